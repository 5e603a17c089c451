/* SPDX-License-Identifier: MIT */
/*
 * line.h - rows of long listings in JSON. A lease or an event is a line of its own, written by hand
 * into a buffer: a tree of JSON values and a printf for each would take ten times as long as reading
 * the store.
 */
#ifndef RASIP_LINE_H
#define RASIP_LINE_H

#include "sheet.h"

/* Begins as zeros. */
struct line {
	struct time_cell time; /* the last one */
	size_t len;
	char *bytes; /* in a sheet, with room for ROW_SIZE */
};

/* What does not fit is left out. */
static inline void line_put(struct line *line, const char *bytes, size_t n)
{
	if (n > ROW_SIZE - line->len)
		return;
	memcpy(line->bytes + line->len, bytes, n);
	line->len += n;
}

void line_value(struct line *line, const char *text);
void line_value_number(struct line *line, int64_t number);
void line_value_time(struct line *line, int64_t unix_sec);
void line_value_address(struct line *line, uint32_t addr_be);

/* An object on a line of its own, with its members in the order of the calls, as the i-th element of
 * an array. */
void line_begin(struct line *line, size_t i, struct sheet *sheet);
void line_end(struct line *line, struct sheet *sheet);

/* A member's name is a literal, so that it is copied with its quotes, at once, by the size that the
 * compiler knows. */
#define LINE_KEY(line, key) line_put(line, "\"" key "\":", sizeof("\"" key "\":") - 1)
#define line_member(line, key, text) /* NULL: null */ (LINE_KEY(line, key), line_value(line, text))
#define line_number(line, key, number) /* 0 and below: null */                                     \
	(LINE_KEY(line, key), line_value_number(line, number))
#define line_time(line, key, unix_sec) /* 0, INT64_MAX: null */                                    \
	(LINE_KEY(line, key), line_value_time(line, unix_sec))
#define line_address(line, key, addr_be) /* 0: null */                                             \
	(LINE_KEY(line, key), line_value_address(line, addr_be))

/* NULL for "": no text rather than an empty one. */
static inline const char *text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* All of an array, on standard output. */
void lines_print(const struct listing *lines);

#endif
