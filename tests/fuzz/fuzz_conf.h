/* SPDX-License-Identifier: MIT */
/*
 * fuzz_conf.h - for fuzz targets that are loaders of configurations, which libconfig reads.
 */
#ifndef RASIP_TESTS_FUZZ_CONF_H
#define RASIP_TESTS_FUZZ_CONF_H

#include "config.h"
#include "fuzz.h"

#define FUZZ_CONF_NAME "fuzz.conf"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

/* libconfig 1.5 does not free the string in which it met a syntax error. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

/* A rejection: FILE:LINE, and one line for each mistake. */
static inline void fuzz_check_errors(const struct config_errors *errors)
{
	const size_t length = strlen(FUZZ_CONF_NAME);

	require(errors->n > 0, "a rejection says why");
	for (size_t i = 0; i < errors->n; i++) {
		require(strncmp(errors->lines[i], FUZZ_CONF_NAME ":", length + 1) == 0,
			"FILE first");
		require(strtoul(errors->lines[i] + length + 1, NULL, 10) > 0, "a line number");
		require(strchr(errors->lines[i], '\n') == NULL, "one line each");
	}
}

/* Files named by the input would make runs differ; without a slash there are none here. */
static inline bool fuzz_reaches_out(const char *text)
{
	return strstr(text, "@include") != NULL && strchr(text, '/') != NULL;
}

#endif
