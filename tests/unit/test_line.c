/* SPDX-License-Identifier: MIT */
/* line.c: log lines that stay one line whatever a peer sends. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "suite.h"

START_TEST(an_event_is_one_line_of_words)
{
	struct line line;

	line_start(&line, "grant");
	line_address(&line, "address", htonl(0x0a400007));
	line_word(&line, "pool", "residential");
	line_quoted(&line, "user", "alice", 100);
	line_word(&line, "port", "pts/3");
	line_number(&line, "pid", 42);
	ck_assert_str_eq(line.text,
			 "rasip: grant address=10.64.0.7 pool=residential user=\"alice\" "
			 "port=pts/3 pid=42");
}
END_TEST

static const struct {
	const char *value;
	const char *word;
	const char *quoted;
} values[] = {
	{ "", " k=\"\"", " k=\"\"" },
	{ NULL, " k=\"\"", " k=\"\"" },
	{ "a b", " k=\"a b\"", " k=\"a b\"" },
	{ "a\nb", " k=\"a\\x0ab\"", " k=\"a\\x0ab\"" },
	{ "\"\\", " k=\"\\x22\\x5c\"", " k=\"\\x22\\x5c\"" },
	{ "\xc3\xa9", " k=\"\\xc3\\xa9\"", " k=\"\\xc3\\xa9\"" },
	{ "%s%n", " k=\"%s%n\"", " k=\"%s%n\"" },
	{ "bob@corp.example", " k=bob@corp.example", " k=\"bob@corp.example\"" },
	{ "x=y", " k=\"x=y\"", " k=\"x=y\"" },
	{ "\x7f", " k=\"\\x7f\"", " k=\"\\x7f\"" },
};

START_TEST(odd_bytes_are_escaped)
{
	struct line line;

	line_start(&line, "");
	line_word(&line, "k", values[_i].value);
	ck_assert_str_eq(line.text + strlen("rasip: "), values[_i].word);
	line_start(&line, "");
	line_quoted(&line, "k", values[_i].value, 100);
	ck_assert_str_eq(line.text + strlen("rasip: "), values[_i].quoted);
}
END_TEST

START_TEST(a_long_value_is_cut_inside_its_quotes)
{
	char name[300];
	struct line line;

	memset(name, 1, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	line_start(&line, "");
	line_quoted(&line, "k", name, 9);
	ck_assert_str_eq(line.text + strlen("rasip: "), " k=\"\\x01\\x01...\"");
}
END_TEST

START_TEST(a_full_line_ends_properly)
{
	char name[2000];
	struct line line;

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	line_start(&line, "refuse");
	line_quoted(&line, "user", name, sizeof(name));
	ck_assert_uint_lt(strlen(line.text), LINE_SIZE);
	ck_assert_str_eq(line.text + strlen(line.text) - 5, "a...\"");
	for (int i = 0; i < 100; i++)
		line_quoted(&line, "reason", name, sizeof(name));
	ck_assert_uint_lt(strlen(line.text), LINE_SIZE);
	ck_assert_uint_eq(strlen(line.text), line.length);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("all");

	tcase_add_test(all, an_event_is_one_line_of_words);
	tcase_add_loop_test(all, odd_bytes_are_escaped, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_test(all, a_long_value_is_cut_inside_its_quotes);
	tcase_add_test(all, a_full_line_ends_properly);
	return run_tcase("line", all);
}
