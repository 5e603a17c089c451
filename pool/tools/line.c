/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <arpa/inet.h>
#include <string.h>

#include "parse.h"

static void put(struct line *line, const char *text, size_t n)
{
	if (n > sizeof(line->bytes) - line->len)
		n = sizeof(line->bytes) - line->len;
	memcpy(line->bytes + line->len, text, n);
	line->len += n;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static void put_escaped(struct line *line, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	const char quoted[] = { '\\', (char)c };
	const char coded[] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

	if (c == '"' || c == '\\')
		put(line, quoted, sizeof(quoted));
	else
		put(line, coded, sizeof(coded));
}

/* Quotes a text that is valid UTF-8. */
static void put_string(struct line *line, const char *text)
{
	put(line, "\"", 1);
	for (;;) {
		size_t n = 0;

		while ((unsigned char)text[n] >= ' ' && text[n] != '"' && text[n] != '\\')
			n++;
		put(line, text, n);
		text += n;
		if (*text == '\0')
			break;
		put_escaped(line, (unsigned char)*text++);
	}
	put(line, "\"", 1);
}

static void put_key(struct line *line, const char *key)
{
	if (line->comma)
		put(line, ",", 1);
	line->comma = true;
	put(line, "\"", 1);
	put_text(line, key);
	put(line, "\":", 2);
}

void line_begin(struct line *line)
{
	line->len = 0;
	line->comma = false;
	put(line, "{", 1);
}

void line_member(struct line *line, const char *key, const char *text)
{
	char safe[TEXT_SIZE + 1024];

	put_key(line, key);
	if (text == NULL)
		put_text(line, "null");
	else
		put_string(line, text_utf8(text, false, safe, sizeof(safe)));
}

void line_member_or_null(struct line *line, const char *key, const char *text)
{
	line_member(line, key, text[0] != '\0' ? text : NULL);
}

void line_number(struct line *line, const char *key, int64_t number)
{
	char buf[24];

	put_key(line, key);
	put_text(line, number > 0 ? text_number((uint64_t)number, buf) : "null");
}

void line_time(struct line *line, const char *key, int64_t unix_sec)
{
	char buf[TIME_TEXT_SIZE];

	put_key(line, key);
	if (unix_sec == 0 || unix_sec == INT64_MAX)
		put_text(line, "null");
	else
		put_string(line, format_time(unix_sec, buf));
}

void line_address(struct line *line, const char *key, uint32_t addr_be)
{
	char buf[IP4_TEXT_SIZE];

	put_key(line, key);
	if (addr_be == 0)
		put_text(line, "null");
	else
		put_string(line, format_ip4(ntohl(addr_be), buf));
}

void line_end(struct line *line)
{
	put(line, "}", 1);
}

void line_print(struct line *line, bool first)
{
	fputs_unlocked(first ? "\n  " : ",\n  ", stdout);
	fwrite_unlocked(line->bytes, 1, line->len, stdout);
}

void line_array_begin(void)
{
	putchar('[');
}

void line_array_end(bool empty)
{
	fputs(empty ? "]\n" : "\n]\n", stdout);
}
