/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "nearest.h"
#include "suite.h"

static const char *const words[] = { "check",   "pools",   NULL,      "leases", "explain",
				     "release", "reclaim", "metrics", "watch" };

static const struct {
	const char *word;
	const char *nearest; /* NULL: none */
} cases[] = {
	{ "leases", "leases" },
	{ "lease", "leases" },
	{ "lesaes", "leases" }, /* neighbours swapped */
	{ "pols", "pools" },    /* left out */
	{ "poools", "pools" },  /* one too many */
	{ "watsh", "watch" },   /* replaced */
	{ "LEASES", "leases" },
	{ "relase", "release" },
	{ "recliam", "reclaim" },
	{ "expl", "explain" }, /* a beginning */
	{ "me", "metrics" },
	{ "", NULL },
	{ "x", NULL },
	{ "status", NULL },
	{ "xyzzy", NULL },
	{ "releasereclaimreleasereclaimreleasereclaimreleasereclaimreleasereclaim", NULL },
};

START_TEST(nearest_of_words)
{
	const char *found = nearest_word(cases[_i].word, words, sizeof(words) / sizeof(words[0]));

	if (cases[_i].nearest == NULL)
		ck_assert_ptr_null(found);
	else
		ck_assert_pstr_eq(found, cases[_i].nearest);
}
END_TEST

START_TEST(nearest_of_nothing)
{
	ck_assert_ptr_null(nearest_word("leases", NULL, 0));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("nearest");

	tcase_add_loop_test(tcase, nearest_of_words, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, nearest_of_nothing);
	return run_tcase("nearest", tcase);
}
