/* SPDX-License-Identifier: MIT */
/*
 * line.h - rows of long listings. A lease or an event is a line of its own, written by hand into a
 * buffer: a tree of JSON values and a printf for each would take ten times as long as reading the
 * store.
 */
#ifndef RASIP_LINE_H
#define RASIP_LINE_H

#include "tool.h"

struct line {
	size_t len;
	bool comma;        /* JSON: the next member needs one before it */
	char bytes[16384]; /* more than every string of a record at its longest, escaped */
};

/* JSON: an object on a line of its own, with its members in the order of the calls. */
void line_begin(struct line *line);
void line_member(struct line *line, const char *key, const char *text);         /* NULL: null */
void line_member_or_null(struct line *line, const char *key, const char *text); /* "": null too */
void line_number(struct line *line, const char *key, int64_t number);    /* 0 and below: null */
void line_time(struct line *line, const char *key, int64_t unix_sec);    /* 0, INT64_MAX: null */
void line_address(struct line *line, const char *key, uint32_t addr_be); /* 0: null */
void line_end(struct line *line);

/* Prints it as the next element of an array: first says whether it is the first one. */
void line_print(struct line *line, bool first);

/* What goes before the elements and behind them. */
void line_array_begin(void);
void line_array_end(bool empty);

#endif
