/* SPDX-License-Identifier: MIT */
#include "line.h"

#include "parse.h"
#include "utf8.h"

#define PUT(line, literal) line_put(line, literal, sizeof(literal) - 1)

/* A character of the Basic Multilingual Plane, of so many bytes of UTF-8. */
static void put_coded(struct line *line, const char *text, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	static const unsigned char first_bits[] = { 0, 0x7f, 0x1f, 0x0f };
	unsigned int c = (unsigned char)text[0] & first_bits[length];
	char coded[] = { '\\', 'u', '0', '0', '0', '0' };

	for (size_t i = 1; i < length; i++)
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	for (size_t i = sizeof(coded); i > 2; i--, c >>= 4)
		coded[i - 1] = digits[c & 15];
	line_put(line, coded, sizeof(coded));
}

/* Quotes a text in which nothing needs to be escaped. */
static void put_plain(struct line *line, struct cell text)
{
	PUT(line, "\"");
	line_put(line, text.text, text.length);
	PUT(line, "\",");
}

/* Quotes a text that is valid UTF-8. What a terminal would obey is written in ASCII: the value is the
 * same, and somebody may look at it. */
static void put_string(struct line *line, const char *text)
{
	size_t n;

	PUT(line, "\"");
	for (; *text != '\0'; text += n) {
		n = utf8_length(text);
		if (utf8_is_control(text, n)) {
			put_coded(line, text, n);
			continue;
		}
		if (*text == '"' || *text == '\\')
			PUT(line, "\\");
		line_put(line, text, n);
	}
	PUT(line, "\",");
}

void line_begin(struct line *line, size_t i, struct sheet *sheet)
{
	line->bytes = sheet->bytes + sheet->len;
	line->len = 0;
	if (i == 0)
		PUT(line, "\n  {");
	else
		PUT(line, ",\n  {");
}

void line_end(struct line *line, struct sheet *sheet)
{
	line->bytes[line->len - 1] = '}'; /* in the place of the last member's comma */
	sheet->len += line->len;
}

void line_value(struct line *line, const char *text)
{
	char safe[TEXT_SIZE + 1024];
	size_t length;

	if (text == NULL)
		PUT(line, "null,");
	else if (text_is_plain_json(text, &length))
		put_plain(line, (struct cell){ text, length });
	else
		put_string(line, text_utf8(text, false, safe, sizeof(safe)));
}

void line_value_number(struct line *line, int64_t number)
{
	struct number_cell digits;
	struct cell cell;

	if (number <= 0) {
		PUT(line, "null,");
		return;
	}
	cell = cell_number(&digits, (uint64_t)number, false);
	line_put(line, cell.text, cell.length);
	PUT(line, ",");
}

void line_value_time(struct line *line, int64_t unix_sec)
{
	if (unix_sec == 0 || unix_sec == INT64_MAX)
		PUT(line, "null,");
	else
		put_plain(line, cell_time(&line->time, unix_sec));
}

void line_value_address(struct line *line, uint32_t addr_be)
{
	char buf[IP4_TEXT_SIZE];

	if (addr_be == 0)
		PUT(line, "null,");
	else
		put_plain(line, cell_address(buf, addr_be, false));
}

void lines_print(const struct listing *lines)
{
	putchar('[');
	listing_print(lines);
	fputs(lines->n > 0 ? "\n]\n" : "]\n", stdout);
}
