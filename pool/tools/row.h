/* SPDX-License-Identifier: MIT */
/*
 * row.h - rows of long listings in JSON. A lease or an event is a line of its own, written by hand
 * into a buffer: a tree of JSON values and a printf for each would take ten times as long as reading
 * the store.
 */
#ifndef RASIP_ROW_H
#define RASIP_ROW_H

#include "sheet.h"

/* Begins as zeros. */
struct row {
	struct time_cell time; /* the last one */
	size_t len;
	char *bytes; /* in a sheet, with room for ROW_SIZE */
};

/* What does not fit is left out. */
static inline void row_put(struct row *row, const char *bytes, size_t n)
{
	if (n > ROW_SIZE - row->len)
		return;
	memcpy(row->bytes + row->len, bytes, n);
	row->len += n;
}

void row_value(struct row *row, const char *text);
void row_value_number(struct row *row, int64_t number);
void row_value_time(struct row *row, int64_t unix_sec);
void row_value_address(struct row *row, uint32_t addr_be);

/* An object on a line of its own, with its members in the order of the calls, as the i-th element of
 * an array. */
void row_begin(struct row *row, size_t i, struct sheet *sheet);
void row_end(struct row *row, struct sheet *sheet);

/* A member's name is a literal, so that it is copied with its quotes, at once, by the size that the
 * compiler knows. */
#define ROW_KEY(row, key) row_put(row, "\"" key "\":", sizeof("\"" key "\":") - 1)
#define row_member(row, key, text) /* NULL: null */ (ROW_KEY(row, key), row_value(row, text))
#define row_number(row, key, number) /* 0 and below: null */                                       \
	(ROW_KEY(row, key), row_value_number(row, number))
#define row_time(row, key, unix_sec) /* 0, INT64_MAX: null */                                      \
	(ROW_KEY(row, key), row_value_time(row, unix_sec))
#define row_address(row, key, addr_be) /* 0: null */                                               \
	(ROW_KEY(row, key), row_value_address(row, addr_be))

/* NULL for "": no text rather than an empty one. */
static inline const char *text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* All of an array, on standard output. */
void rows_print(const struct listing *rows);

#endif
