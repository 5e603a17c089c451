/* SPDX-License-Identifier: MIT */
#include "secrets.h"

#include <stdio.h>

#define WORDS_OF_ENTRY 3

/* Reads to the end of a quoted part; false at the end of the file. */
static bool skip_quoted(FILE *file, int quote)
{
	int c;

	while ((c = getc(file)) != EOF && c != quote) {
		if (c == '\\')
			getc(file);
	}
	return c != EOF;
}

static void skip_comment(FILE *file)
{
	int c;

	while ((c = getc(file)) != EOF && c != '\n')
		continue;
	if (c == '\n')
		ungetc(c, file);
}

/* True for a word, false at the end of the line or, with *ret_eof, of the file. */
static bool next_word(FILE *file, bool *ret_eof)
{
	bool in_word = false;
	int c;

	while ((c = getc(file)) != EOF) {
		if (c == '#' && !in_word) {
			skip_comment(file);
		} else if (c == '\n') {
			ungetc(c, file);
			break;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			if (in_word)
				return true;
		} else if (c == '\\') {
			/* A backslash at the end of a line goes on to the next one. */
			in_word = getc(file) != '\n' || in_word;
		} else {
			in_word = true;
			if ((c == '"' || c == '\'') && !skip_quoted(file, c))
				break;
		}
	}
	*ret_eof = c == EOF;
	return in_word;
}

bool secrets_has_entry(const char *path)
{
	FILE *file = fopen(path, "re");
	bool eof = false;
	int words = 0;

	if (file == NULL)
		return false;
	while (!eof && words < WORDS_OF_ENTRY) {
		if (next_word(file, &eof)) {
			words++;
			continue;
		}
		words = 0;
		if (getc(file) == EOF) /* the newline */
			eof = true;
	}
	fclose(file);
	return words >= WORDS_OF_ENTRY;
}
