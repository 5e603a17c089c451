/* SPDX-License-Identifier: MIT */
/*
 * sheet.h - long listings on standard output. Their rows are put together by several threads, a sheet
 * of them at a time, and the sheets are printed in their order. Short listings need no thread.
 */
#ifndef RASIP_SHEET_H
#define RASIP_SHEET_H

#include "tool.h"

#define ROW_SIZE 16384 /* more than every text of a row at its longest, escaped */

/* Rows, one behind the other. Empty when zero. */
struct sheet {
	char *bytes;
	size_t len, room;
};

struct listing {
	size_t n;
	/* Adds the i-th row to the sheet, which has room for ROW_SIZE bytes more. */
	void (*put)(void *context, size_t i, struct sheet *sheet);
	/* What `put` is given: each thread has a copy of its own. */
	const void *context;
	size_t context_size;
};

void listing_print(const struct listing *listing);

#endif
