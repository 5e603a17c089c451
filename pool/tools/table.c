/* SPDX-License-Identifier: MIT */
/*
 * table.c - tables for people. Rows are formatted twice, once to be measured and once to be
 * printed, so that a listing of any length needs no memory of its own.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "parse.h"

#define GAP 2

void table_measure(struct table *table, const char *const *cells)
{
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++) {
		int width = (int)strlen(cells[i]);

		if (width > table->width[i])
			table->width[i] = width;
	}
}

int table_width(const struct table *table)
{
	int width = -GAP;

	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++)
		width += table->width[i] + GAP;
	return width < 0 ? 0 : width;
}

static void put_blanks(FILE *out, int n)
{
	static const char blanks[] = "                                                            ";

	for (int room = (int)sizeof(blanks) - 1; n > 0; n -= room)
		fwrite_unlocked(blanks, 1, (size_t)(n < room ? n : room), out);
}

void table_row(const struct table *table, FILE *out, const char *const *cells)
{
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++) {
		bool last = i + 1 == TABLE_COLUMNS || table->title[i + 1] == NULL;
		size_t length = strlen(cells[i]);
		int pad = table->width[i] - (int)length;

		if (table->hidden[i])
			continue;
		if (table->right[i])
			put_blanks(out, pad);
		fwrite_unlocked(cells[i], 1, length, out);
		if (!last)
			put_blanks(out, GAP + (table->right[i] || pad < 0 ? 0 : pad));
	}
	putc_unlocked('\n', out);
}

int terminal_columns(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t n;

	if (!isatty(STDOUT_FILENO))
		return PIPE_COLUMNS;
	if (columns != NULL && parse_unsigned(columns, 1, 10000, &n))
		return (int)n;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return PIPE_COLUMNS;
}

bool terminal_has_colours(void)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0') && term != NULL &&
	       strcmp(term, "dumb") != 0;
}
