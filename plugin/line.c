/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

/* Appends as much of the text as there is room for. */
static void append(struct line *line, const char *text)
{
	size_t room = sizeof(line->text) - 1 - line->length;
	size_t length = strlen(text);

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
	line->text[line->length] = '\0';
}

static bool is_plain(const char *value)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.:/@+,-";

	return value[0] != '\0' && value[strspn(value, allowed)] == '\0';
}

/* How one byte appears between quotes; returns its length. */
static size_t escape(unsigned char byte, char text[5])
{
	if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
		return (size_t)snprintf(text, 5, "\\x%02x", byte);
	text[0] = (char)byte;
	text[1] = '\0';
	return 1;
}

void line_start(struct line *line, const char *event)
{
	line->length = 0;
	line->text[0] = '\0';
	append(line, "rasip: ");
	append(line, event);
}

static void append_key(struct line *line, const char *key)
{
	append(line, " ");
	append(line, key);
	append(line, "=");
}

void line_word(struct line *line, const char *key, const char *value)
{
	if (value == NULL || !is_plain(value)) {
		line_quoted(line, key, value, sizeof(line->text));
		return;
	}
	append_key(line, key);
	append(line, value);
}

void line_quoted(struct line *line, const char *key, const char *value, size_t max)
{
	static const char cut[] = "...\"";
	size_t used = 0;
	size_t length;
	char text[5];

	append_key(line, key);
	append(line, "\"");
	for (const char *p = value == NULL ? "" : value; *p != '\0'; p++) {
		length = escape((unsigned char)*p, text);
		if (used + length > max || line->length + length + sizeof(cut) > LINE_SIZE) {
			append(line, cut);
			return;
		}
		append(line, text);
		used += length;
	}
	append(line, "\"");
}

void line_address(struct line *line, const char *key, uint32_t addr_be)
{
	char text[IP4_TEXT_SIZE];

	append_key(line, key);
	append(line, format_ip4(ntohl(addr_be), text));
}

void line_number(struct line *line, const char *key, long long number)
{
	char text[24];

	append_key(line, key);
	snprintf(text, sizeof(text), "%lld", number);
	append(line, text);
}
