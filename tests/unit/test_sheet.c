/* SPDX-License-Identifier: MIT */
/*
 * Long listings, by several threads. The tool is not a library: what is tested comes from its source,
 * and what that needs of the tool is here.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../pool/tools/sheet.c"

void *must_alloc(void *ptr, size_t n, size_t size)
{
	ptr = reallocarray(ptr, n > 0 ? n : 1, size);
	if (ptr == NULL)
		abort();
	return ptr;
}

unsigned int processors(void)
{
	return THREADS_MAX;
}

/* A row says which it is, and is as long as any may be where `which` is a multiple of 1000. */
struct counted {
	size_t rows_of_this_thread;
	char text[32];
};

static void put_number(void *context, size_t i, struct sheet *sheet)
{
	struct counted *counted = context;
	char *row = sheet->bytes + sheet->len;
	size_t length;

	ck_assert_uint_ge(sheet->room - sheet->len, ROW_SIZE);
	counted->rows_of_this_thread++;
	length = (size_t)snprintf(counted->text, sizeof(counted->text), "%zu", i);
	memcpy(row, counted->text, length);
	if (i % 1000 == 0) {
		memset(row + length, '.', ROW_SIZE - length);
		length = ROW_SIZE - 1;
	}
	row[length] = '\n';
	sheet->len += length + 1;
}

static const struct counted counted;

static struct listing listing_of(size_t n)
{
	return (struct listing){ n, put_number, &counted, sizeof(counted) };
}

static const size_t lengths[] = {
	0,
	1,
	ROWS_PER_SHEET - 1,
	ROWS_PER_SHEET,
	ROWS_PER_SHEET + 1,
	2 * ROWS_PER_SHEET *SHEETS_PER_THREAD - 1,
	2 * ROWS_PER_SHEET *SHEETS_PER_THREAD,
	4 * ROWS_PER_SHEET *SHEETS_PER_THREAD + 1,
	50000,
};

START_TEST(rows_come_in_their_order)
{
	const struct listing listing = listing_of(lengths[_i]);
	FILE *file = tmpfile();
	char line[ROW_SIZE + 1];
	size_t n = 0;

	ck_assert_ptr_nonnull(file);
	stdout = file;
	listing_print(&listing);
	rewind(file);
	for (; fgets(line, sizeof(line), file) != NULL; n++) {
		ck_assert_uint_eq(strtoul(line, NULL, 10), n);
		ck_assert_uint_eq(strlen(line) == ROW_SIZE, n % 1000 == 0);
	}
	ck_assert_uint_eq(n, listing.n);
}
END_TEST

START_TEST(it_ends_where_nothing_can_be_written)
{
	const struct listing listing = listing_of(1000000);
	FILE *file = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(file);
	stdout = file;
	listing_print(&listing);
	ck_assert(ferror(file));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sheet");
	TCase *tcase = tcase_create("sheet");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, rows_come_in_their_order, 0,
			    sizeof(lengths) / sizeof(lengths[0]));
	tcase_add_test(tcase, it_ends_where_nothing_can_be_written);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
