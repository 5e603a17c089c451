/* SPDX-License-Identifier: MIT */
/* table.c - tables for people. */
#include "sheet.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "parse.h"

#define GAP 2

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

/*
 * The cells are put in their places on a row of blanks, as far as they fit. One that is longer than
 * its column (colours take no room on the screen) moves those behind it. width: table_width. Returns
 * the row's length.
 */
static size_t put_row(char row[static ROW_SIZE], const struct table *table, size_t width,
		      const struct cell *cells)
{
	size_t blank = width < ROW_SIZE ? width : ROW_SIZE; /* so many bytes are there */
	size_t at = 0;                                      /* where the next cell begins */
	size_t len = 0;

	memset(row, ' ', blank);
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++) {
		size_t length = cells[i].length;
		size_t end = at + (length > table->width[i] ? length : table->width[i]);

		if (table->hidden[i])
			continue;
		if (end + GAP >= ROW_SIZE)
			break;
		if (end > blank) {
			memset(row + blank, ' ', end + GAP - blank);
			blank = end + GAP;
		}
		len = table->right[i] ? end : at + length;
		memcpy(row + len - length, cells[i].text, length);
		at = end + GAP;
	}
	row[len++] = '\n';
	return len;
}

void table_row(const struct table *table, FILE *out, const struct cell *cells)
{
	char row[ROW_SIZE];

	fwrite_unlocked(row, 1, put_row(row, table, table_width(table), cells), out);
}

/* The context of put(). */
struct rows {
	const struct table *table;
	size_t width;
	const struct cell *(*row)(void *context, size_t i, bool measure);
	char context[] __attribute__((aligned(16)));
};

static void put(void *context, size_t i, struct sheet *sheet)
{
	struct rows *rows = context;

	sheet->len += put_row(sheet->bytes + sheet->len, rows->table, rows->width,
			      rows->row(rows->context, i, false));
}

void table_print(struct table *table, size_t n,
		 const struct cell *(*row)(void *context, size_t i, bool measure), void *context,
		 size_t context_size)
{
	struct rows *rows = must_alloc(NULL, sizeof(*rows) + context_size, 1);
	struct listing listing = {
		.n = n,
		.put = put,
		.context = rows,
		.context_size = sizeof(*rows) + context_size,
	};

	memcpy(rows->context, context, context_size); /* as it is before the first row */
	table_measure_titles(table);
	for (size_t i = 0; i < n; i++)
		table_measure(table, row(context, i, true));
	table_titles(table, stdout);
	rows->table = table;
	rows->width = table_width(table);
	rows->row = row;
	listing_print(&listing);
	free(rows);
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
