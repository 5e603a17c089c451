/* SPDX-License-Identifier: MIT */
/* secrets.c: three words make a user (no address column is needed). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "secrets.h"
#include "suite.h"

static const struct {
	const char *text;
	bool expected;
} files[] = {
	{ "", false },
	{ "\n\n", false },
	{ "alice * secret", true },
	{ "alice * secret\n", true },
	{ "alice * secret -\n", true },
	{ "alice * secret 10.0.0.1 -- rasip-pool x\n", true },
	{ "alice *\nsecret\n", false },
	{ "alice\n* secret\n", false },
	{ "# alice * secret\n", false },
	{ "alice * # secret\n", false },
	{ "alice * #\n# x\nbob * x\n", true },
	{ "alice * a#b\n", true },
	{ "\"al ice\" * secret\n", true },
	{ "\"alice * secret\"\n", false },
	{ "'' * ''\n", true },
	{ "\"a\\\"b\" *\n", false },
	{ "\"a\\\"b\" * c\n", true },
	{ "alice \\\n * secret\n", true },
	{ "a\\ b c\n", false },
	{ "a\\ b c d\n", true },
	{ "\t alice\t*\tsecret\r\n", true },
	{ "alice * \"unfinished", true },
	{ "alice * \\", true },
	{ "\\", false },
};

START_TEST(three_words_are_an_entry)
{
	char path[] = "/tmp/rasip-secrets-XXXXXX";
	size_t length = strlen(files[_i].text);
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, files[_i].text, length), (ssize_t)length);
	close(fd);
	ck_assert_msg(secrets_has_entry(path) == files[_i].expected, "\"%s\"", files[_i].text);
	unlink(path);
}
END_TEST

START_TEST(a_missing_file_has_none)
{
	ck_assert(!secrets_has_entry("/nonexistent/secrets"));
	ck_assert(!secrets_has_entry("/"));
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("all");

	tcase_add_loop_test(all, three_words_are_an_entry, 0, sizeof(files) / sizeof(files[0]));
	tcase_add_test(all, a_missing_file_has_none);
	return run_tcase("secrets", all);
}
