/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>

#include "parse.h"

static json_t *sure(json_t *value)
{
	if (value == NULL)
		out_of_memory();
	return value;
}

json_t *json_text(const char *text)
{
	char buf[4096]; /* holds any name, path or reason that comes here, escaped */

	return sure(json_string(text_utf8(text, false, buf, sizeof(buf))));
}

json_t *json_text_or_null(const char *text)
{
	return text == NULL || *text == '\0' ? json_null() : json_text(text);
}

json_t *json_address(uint32_t addr_be)
{
	char buf[IP4_TEXT_SIZE];

	return addr_be == 0 ? json_null() : json_text(format_ip4(ntohl(addr_be), buf));
}

json_t *json_count(uint64_t count)
{
	return sure(json_integer((json_int_t)count));
}

void json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		out_of_memory();
}

void json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		out_of_memory();
}

void json_print(json_t *value)
{
	if (json_dumpf(value, stdout, JSON_STYLE) == 0)
		putchar('\n');
	json_decref(value);
}
