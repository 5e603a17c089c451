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

/* A row is put together here: a call of stdio for each cell takes longer than making the cells. */
struct row {
	char bytes[16384];
	size_t len;
};

static void flush(struct row *row, FILE *out)
{
	fwrite_unlocked(row->bytes, 1, row->len, out);
	row->len = 0;
}

static void put_blanks(struct row *row, FILE *out, int n)
{
	while (n-- > 0) {
		if (row->len == sizeof(row->bytes))
			flush(row, out);
		row->bytes[row->len++] = ' ';
	}
}

static void put_cell(struct row *row, FILE *out, const char *cell, size_t length)
{
	if (length > sizeof(row->bytes) - row->len)
		flush(row, out);
	if (length > sizeof(row->bytes)) {
		fwrite_unlocked(cell, 1, length, out);
		return;
	}
	memcpy(row->bytes + row->len, cell, length);
	row->len += length;
}

void table_row(const struct table *table, FILE *out, const char *const *cells)
{
	struct row row;

	row.len = 0;
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++) {
		bool last = i + 1 == TABLE_COLUMNS || table->title[i + 1] == NULL;
		size_t length = strlen(cells[i]);
		int pad = table->width[i] - (int)length;

		if (table->hidden[i])
			continue;
		if (table->right[i])
			put_blanks(&row, out, pad);
		put_cell(&row, out, cells[i], length);
		if (!last)
			put_blanks(&row, out, GAP + (table->right[i] || pad < 0 ? 0 : pad));
	}
	put_cell(&row, out, "\n", 1);
	flush(&row, out);
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
