/* SPDX-License-Identifier: MIT */
/*
 * text.c - names as peers sent them, made fit to be shown. User names are any bytes: shown raw they
 * could move the cursor, forge a line, or break a reader of JSON. In tables and JSON, what is changed
 * can be told from what is not: each \xHH in the result is one byte of the name, and there is no other.
 */
#include "tool.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "utf8.h"

static bool looks_escaped(const unsigned char *p)
{
	return p[0] == '\\' && p[1] == 'x' && isxdigit(p[2]) && isxdigit(p[3]);
}

/* Appends n bytes as they are, or each as \xHH. Returns false if they do not fit. */
static bool put(char *buf, size_t size, size_t *len, const unsigned char *bytes, size_t n, bool raw)
{
	static const char digits[] = "0123456789abcdef";
	size_t need = raw ? n : 4 * n;

	if (size - *len <= need)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (raw) {
			buf[(*len)++] = (char)bytes[i];
			continue;
		}
		buf[(*len)++] = '\\';
		buf[(*len)++] = 'x';
		buf[(*len)++] = digits[bytes[i] >> 4];
		buf[(*len)++] = digits[bytes[i] & 15];
	}
	return true;
}

/* Where a byte is shown as it is. */
enum { IN_CELL = 1, IN_LINE = 2, IN_JSON = 4 };

static const unsigned char shown_in[UCHAR_MAX + 1] = {
	[' '] = IN_LINE | IN_JSON,
	['!'] = IN_CELL | IN_LINE | IN_JSON,
	['"'] = IN_CELL | IN_LINE,
	['#' ... '['] = IN_CELL | IN_LINE | IN_JSON,
	[']' ... '~'] = IN_CELL | IN_LINE | IN_JSON,
};

/* Most names need nothing done to them: how many bytes from the beginning do not. */
static size_t plain_length(const char *text, unsigned char where)
{
	size_t n = 0;

	while ((shown_in[(unsigned char)text[n]] & where) != 0)
		n++;
	return n;
}

static bool copy_plain(const char *text, unsigned char where, char *buf, size_t size)
{
	size_t n = plain_length(text, where);

	if (text[n] != '\0' || n >= size)
		return false;
	memcpy(buf, text, n + 1);
	return true;
}

const char *text_plain(const char *text, const char *empty, char *buf, size_t size)
{
	const unsigned char *p = (const unsigned char *)(*text != '\0' ? text : empty);
	size_t len = 0;

	if (copy_plain((const char *)p, IN_CELL, buf, size))
		return buf;
	for (; *p != '\0'; p++) {
		bool raw = *p > ' ' && *p < 0x7f && !looks_escaped(p);

		if (!put(buf, size, &len, p, 1, raw))
			break;
	}
	buf[len] = '\0';
	return buf;
}

const char *text_utf8(const char *text, bool oneline, char *buf, size_t size)
{
	size_t len = 0;

	if (copy_plain(text, IN_LINE, buf, size))
		return buf;
	while (*text != '\0') {
		const unsigned char *p = (const unsigned char *)text;
		size_t n = utf8_length(text);
		bool raw = n > 0;

		if (oneline)
			raw = raw && !utf8_is_control(text, n);
		else
			raw = raw && !looks_escaped(p);
		if (n == 0)
			n = 1;
		if (!put(buf, size, &len, p, n, raw))
			break;
		text += n;
	}
	buf[len] = '\0';
	return buf;
}

struct cell cell_plain(struct plain_cell *cell, const char *text, const char *empty)
{
	size_t n;

	if (*text == '\0')
		return cell_of(empty);
	if (cell->of == text)
		return cell->cell;
	n = plain_length(text, IN_CELL);
	cell->of = text;
	if (text[n] == '\0')
		cell->cell = (struct cell){ text, n };
	else
		cell->cell = cell_of(text_plain(text, empty, cell->escaped, sizeof(cell->escaped)));
	return cell->cell;
}

struct cell cell_sentence(const char *text, char *buf, size_t size)
{
	size_t n = plain_length(text, IN_LINE);

	if (text[n] == '\0')
		return (struct cell){ text, n };
	return cell_of(text_utf8(text, true, buf, size));
}

bool text_is_plain_json(const char *text, size_t *ret_length)
{
	*ret_length = plain_length(text, IN_JSON);
	return text[*ret_length] == '\0';
}

struct cell cell_time(struct time_cell *cell, int64_t unix_sec)
{
	if (cell->cell.length == 0 || cell->of_sec != unix_sec) {
		cell->of_sec = unix_sec;
		cell->cell = (struct cell){ format_time(unix_sec, cell->text), TIME_TEXT_LENGTH };
	}
	return cell->cell;
}

static size_t number_length(uint64_t number)
{
	size_t length = 1;

	while (number >= 10) {
		number /= 10;
		length++;
	}
	return length;
}

struct cell cell_number(struct number_cell *cell, uint64_t number, bool measure)
{
	const char *end = cell->digits + NUMBER_TEXT_SIZE - 1;
	const char *digits;

	if (measure)
		return (struct cell){ cell->digits, number_length(number) };
	digits = format_number(number, cell->digits);
	return (struct cell){ digits, (size_t)(end - digits) };
}

static size_t ip4_length(uint32_t addr)
{
	size_t length = sizeof("0.0.0.0") - 1;

	for (int shift = 0; shift < 32; shift += 8)
		length += (size_t)((addr >> shift & 255) > 9) + ((addr >> shift & 255) > 99);
	return length;
}

struct cell cell_address(char buf[static IP4_TEXT_SIZE], uint32_t addr_be, bool measure)
{
	uint32_t addr = ntohl(addr_be);

	if (addr == 0)
		return cell_of("-");
	return (struct cell){ buf, measure ? ip4_length(addr) : print_ip4(addr, buf) };
}

const char *state_name(enum pool_state state)
{
	switch (state) {
	case POOL_STATE_ACTIVE:
		return "active";
	case POOL_STATE_HELD:
		return "held";
	case POOL_STATE_REMEMBERED:
		return "remembered";
	}
	return "unknown";
}

const char *how_sentence(enum pool_how how)
{
	switch (how) {
	case POOL_HOW_NONE:
		return "";
	case POOL_HOW_NEW:
		return "the next one in the pool's order";
	case POOL_HOW_STICKY:
		return "the address this user had";
	case POOL_HOW_RESERVATION:
		return "reserved for this user";
	case POOL_HOW_CANDIDATE:
		return "the address that pppd has already";
	case POOL_HOW_MODULE:
		return "chosen by a module";
	}
	return "";
}

const char *plural_s(uint64_t n)
{
	return n == 1 ? "" : "s";
}
