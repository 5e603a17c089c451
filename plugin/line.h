/* SPDX-License-Identifier: MIT */
/*
 * line.h - one event, one log line: `rasip: grant address=10.64.0.7 user="alice" port=ttyS0`.
 *
 * What a peer or an administrator typed can hold any byte. User names and reasons are always
 * quoted, other values only where they hold odd bytes; anything but printable ASCII, and `"` and
 * `\`, becomes \xHH, so a line stays one line and can be taken apart again. A value too long for
 * the line is cut, with "..." inside its closing quote.
 */
#ifndef RASIP_LINE_H
#define RASIP_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* pppd formats log messages into 1024 bytes and puts a prefix of its own before ours. */
#define LINE_SIZE 900

struct line {
	char text[LINE_SIZE]; /* always a string */
	size_t length;
};

/* Starts a line: "rasip: EVENT". */
void line_start(struct line *line, const char *event);

/* Appends ` key=value`, plain if the value needs no quotes. NULL is the empty string. */
void line_word(struct line *line, const char *key, const char *value);

/* Appends ` key="value"`, at most `max` bytes of value on the line. */
void line_quoted(struct line *line, const char *key, const char *value, size_t max);

/* Appends ` key=a.b.c.d`; network byte order. */
void line_address(struct line *line, const char *key, uint32_t addr_be);

/* Appends ` key=number`. */
void line_number(struct line *line, const char *key, long long number);

#endif
