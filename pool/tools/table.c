/* SPDX-License-Identifier: MIT */
/* table.c - tables for people. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "parse.h"

#define GAP 2

#define ROW_SIZE 16384 /* more than a row of cells at their longest */

static const struct cell *title_cells(const struct table *table, struct cell *cells)
{
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++)
		cells[i] = cell_of(table->title[i]);
	return cells;
}

void table_measure_titles(struct table *table)
{
	struct cell cells[TABLE_COLUMNS];

	table_measure(table, title_cells(table, cells));
}

void table_titles(const struct table *table, FILE *out)
{
	struct cell cells[TABLE_COLUMNS];

	table_row(table, out, title_cells(table, cells));
}

void table_measure(struct table *table, const struct cell *cells)
{
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++)
		if (cells[i].length > table->width[i])
			table->width[i] = cells[i].length;
}

size_t table_width(const struct table *table)
{
	size_t width = 0;

	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++)
		width += table->width[i] + (i > 0 ? GAP : 0);
	return width;
}

/* A row is put together here: a call of stdio for each cell takes longer than making the cells. */
struct row {
	size_t blank; /* so many bytes are there, all of them blanks at first */
	char bytes[ROW_SIZE];
};

static bool extend(struct row *row, size_t size)
{
	if (size > sizeof(row->bytes))
		return false;
	memset(row->bytes + row->blank, ' ', size - row->blank);
	row->blank = size;
	return true;
}

/* The cells are put in their places, as far as they fit. One that is longer than its column (colours
 * take no room on the screen) moves those behind it. */
void table_row(const struct table *table, FILE *out, const struct cell *cells)
{
	struct row row;
	size_t at = 0; /* where the next cell begins */
	size_t len = 0;

	row.blank = 0;
	if (!extend(&row, table_width(table) + GAP + 1))
		return;
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++) {
		size_t length = cells[i].length;
		size_t width = length > table->width[i] ? length : table->width[i];
		size_t next = at + width + GAP;

		if (table->hidden[i])
			continue;
		if (next >= row.blank && !extend(&row, next + 1))
			break;
		len = at + (table->right[i] ? width : length);
		memcpy(row.bytes + len - length, cells[i].text, length);
		at = next;
	}
	row.bytes[len++] = '\n';
	fwrite_unlocked(row.bytes, 1, len, out);
}

void table_print(struct table *table, size_t n,
		 const struct cell *(*row)(void *context, size_t i, bool measure), void *context)
{
	table_measure_titles(table);
	for (size_t i = 0; i < n; i++)
		table_measure(table, row(context, i, true));
	table_titles(table, stdout);
	for (size_t i = 0; i < n && !ferror(stdout); i++)
		table_row(table, stdout, row(context, i, false));
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
