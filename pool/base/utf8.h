/* SPDX-License-Identifier: MIT */
/*
 * utf8.h - text from strangers, one character at a time: what is well-formed UTF-8, and what of that
 * has no business on a terminal.
 */
#ifndef RASIP_UTF8_H
#define RASIP_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes the character at `text` has (Unicode 15, table 3-7); 0 where none is well-formed.
 * Looks no further than the NUL that ends the text. */
size_t utf8_length(const char *text);

/*
 * Whether a character, of utf8_length() bytes, moves the cursor, ends a line or turns the direction of
 * what follows: C0 and C1 controls, separators of lines and paragraphs, marks, embeddings, overrides
 * and isolates of direction.
 */
bool utf8_is_control(const char *text, size_t length);

/* Copies a text as a terminal can be given it: control characters, and what is not UTF-8, become \xHH
 * byte by byte. Cut behind a whole character if buf is too small. Returns buf. */
char *utf8_show(const char *text, char *buf, size_t size);

#endif
