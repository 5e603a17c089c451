/* SPDX-License-Identifier: MIT */
#include "row.h"

#include "parse.h"
#include "utf8.h"

#define PUT(row, literal) row_put(row, literal, sizeof(literal) - 1)

/* A character of the Basic Multilingual Plane, of so many bytes of UTF-8. */
static void put_coded(struct row *row, const char *text, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	static const unsigned char first_bits[] = { 0, 0x7f, 0x1f, 0x0f };
	unsigned int c = (unsigned char)text[0] & first_bits[length];
	char coded[] = { '\\', 'u', '0', '0', '0', '0' };

	for (size_t i = 1; i < length; i++)
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	for (size_t i = sizeof(coded); i > 2; i--, c >>= 4)
		coded[i - 1] = digits[c & 15];
	row_put(row, coded, sizeof(coded));
}

/* Quotes a text in which nothing needs to be escaped. */
static void put_plain(struct row *row, struct cell text)
{
	PUT(row, "\"");
	row_put(row, text.text, text.length);
	PUT(row, "\",");
}

/* Quotes a text that is valid UTF-8. What a terminal would obey is written in ASCII: the value is the
 * same, and somebody may look at it. */
static void put_string(struct row *row, const char *text)
{
	size_t n;

	PUT(row, "\"");
	for (; *text != '\0'; text += n) {
		n = utf8_length(text);
		if (utf8_is_control(text, n)) {
			put_coded(row, text, n);
			continue;
		}
		if (*text == '"' || *text == '\\')
			PUT(row, "\\");
		row_put(row, text, n);
	}
	PUT(row, "\",");
}

void row_begin(struct row *row, size_t i, struct sheet *sheet)
{
	row->bytes = sheet->bytes + sheet->len;
	row->len = 0;
	if (i == 0)
		PUT(row, "\n  {");
	else
		PUT(row, ",\n  {");
}

void row_end(struct row *row, struct sheet *sheet)
{
	row->bytes[row->len - 1] = '}'; /* in the place of the last member's comma */
	sheet->len += row->len;
}

void row_value(struct row *row, const char *text)
{
	char safe[TEXT_SIZE + 1024];
	size_t length;

	if (text == NULL)
		PUT(row, "null,");
	else if (text_is_plain_json(text, &length))
		put_plain(row, (struct cell){ text, length });
	else
		put_string(row, text_utf8(text, false, safe, sizeof(safe)));
}

void row_value_number(struct row *row, int64_t number)
{
	struct number_cell digits;
	struct cell cell;

	if (number <= 0) {
		PUT(row, "null,");
		return;
	}
	cell = cell_number(&digits, (uint64_t)number, false);
	row_put(row, cell.text, cell.length);
	PUT(row, ",");
}

void row_value_time(struct row *row, int64_t unix_sec)
{
	if (unix_sec == 0 || unix_sec == INT64_MAX)
		PUT(row, "null,");
	else
		put_plain(row, cell_time(&row->time, unix_sec));
}

void row_value_address(struct row *row, uint32_t addr_be)
{
	char buf[IP4_TEXT_SIZE];

	if (addr_be == 0)
		PUT(row, "null,");
	else
		put_plain(row, cell_address(buf, addr_be, false));
}

void rows_print(const struct listing *rows)
{
	putchar('[');
	listing_print(rows);
	fputs(rows->n > 0 ? "\n]\n" : "]\n", stdout);
}
