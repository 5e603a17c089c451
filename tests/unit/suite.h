/* SPDX-License-Identifier: MIT */
/*
 * suite.h - how a program of unit tests ends: it runs what it has put together, and its exit status
 * is the result. How much is said, CK_VERBOSITY decides.
 */
#ifndef TEST_SUITE_H
#define TEST_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A suite of one case. */
static inline int run_tcase(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);

	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}

#endif
