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

/* Rows are put together here, for a call of stdio for each cell, or each row, is felt. */
struct sheet {
	size_t len;
	size_t row_width; /* most often, with its end */
	char bytes[2 * ROW_SIZE];
};

static void flush(struct sheet *sheet, FILE *out)
{
	fwrite_unlocked(sheet->bytes, 1, sheet->len, out);
	sheet->len = 0;
}

/*
 * The cells are put in their places on a row of blanks, as far as they fit. One that is longer than
 * its column (colours take no room on the screen) moves those behind it.
 */
static void put_row(struct sheet *sheet, const struct table *table, const struct cell *cells)
{
	char *row = sheet->bytes + sheet->len;
	size_t blank = sheet->row_width; /* so many of its bytes are there */
	size_t at = 0;                   /* where the next cell begins */
	size_t len = 0;

	memset(row, ' ', blank);
	for (size_t i = 0; i < TABLE_COLUMNS && table->title[i] != NULL; i++) {
		size_t length = cells[i].length;
		size_t width = length > table->width[i] ? length : table->width[i];
		size_t next = at + width + GAP;

		if (table->hidden[i])
			continue;
		if (next >= ROW_SIZE)
			break;
		if (next > blank) {
			memset(row + blank, ' ', next - blank);
			blank = next;
		}
		len = at + (table->right[i] ? width : length);
		memcpy(row + len - length, cells[i].text, length);
		at = next;
	}
	row[len] = '\n';
	sheet->len += len + 1;
}

static void begin_sheet(struct sheet *sheet, const struct table *table)
{
	size_t width = table_width(table) + GAP;

	sheet->len = 0;
	sheet->row_width = width < ROW_SIZE ? width : ROW_SIZE;
}

void table_row(const struct table *table, FILE *out, const struct cell *cells)
{
	struct sheet sheet;

	begin_sheet(&sheet, table);
	put_row(&sheet, table, cells);
	flush(&sheet, out);
}

void table_print(struct table *table, size_t n,
		 const struct cell *(*row)(void *context, size_t i, bool measure), void *context)
{
	struct cell titles[TABLE_COLUMNS];
	struct sheet sheet;

	table_measure_titles(table);
	for (size_t i = 0; i < n; i++)
		table_measure(table, row(context, i, true));
	begin_sheet(&sheet, table);
	put_row(&sheet, table, title_cells(table, titles));
	for (size_t i = 0; i < n && !ferror(stdout); i++) {
		put_row(&sheet, table, row(context, i, false));
		if (sheet.len > sizeof(sheet.bytes) - ROW_SIZE)
			flush(&sheet, stdout);
	}
	flush(&sheet, stdout);
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
