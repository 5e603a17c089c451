/* SPDX-License-Identifier: MIT */
/* One flat JSON object a line. Bytes that are not UTF-8 come out as U+0080 to U+00FF. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "call.h"

static void __attribute__((format(printf, 2, 3))) add(struct json *json, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(json->text + json->length, json->size - json->length, format, arguments);
	va_end(arguments);
	if (n > 0)
		json->length += (size_t)n;
	if (json->length >= json->size)
		json->length = json->size - 1;
}

/* Length of the UTF-8 sequence at `text`, 0 if it is none. */
static size_t utf8_length(const unsigned char *text)
{
	const size_t length = text[0] < 0xc2   ? 0
			      : text[0] < 0xe0 ? 2
			      : text[0] < 0xf0 ? 3
			      : text[0] < 0xf5 ? 4
					       : 0;

	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static void add_quoted(struct json *json, const char *value)
{
	const unsigned char *byte = (const unsigned char *)value;

	add(json, "\"");
	while (*byte) {
		const size_t length = *byte < 0x80 ? 0 : utf8_length(byte);

		if (length) {
			add(json, "%.*s", (int)length, (const char *)byte);
			byte += length;
			continue;
		}
		if (*byte == '"' || *byte == '\\')
			add(json, "\\%c", *byte);
		else if (*byte < 0x20 || *byte >= 0x7f)
			add(json, "\\u%04x", *byte);
		else
			add(json, "%c", *byte);
		byte++;
	}
	add(json, "\"");
}

static void add_key(struct json *json, const char *key)
{
	add(json, json->length > 1 ? ", \"%s\": " : "\"%s\": ", key);
}

void json_begin(struct json *json, char *text, size_t size)
{
	*json = (struct json){ .text = text, .size = size };
	add(json, "{");
}

void json_string(struct json *json, const char *key, const char *value)
{
	add_key(json, key);
	add_quoted(json, value);
}

void json_number(struct json *json, const char *key, double value)
{
	add_key(json, key);
	add(json, "%.10g", value);
}

void json_raw(struct json *json, const char *key, const char *value)
{
	add_key(json, key);
	add(json, "%s", value);
}

void json_end(struct json *json)
{
	add(json, "}");
}
