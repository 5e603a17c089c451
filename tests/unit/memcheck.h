/* SPDX-License-Identifier: MIT */
/*
 * memcheck.h - for tests: whether valgrind looks on. It has a malloc of its own, and no signal gets
 * through to a process that waits for an open-file-description lock.
 */
#ifndef RASIP_TESTS_MEMCHECK_H
#define RASIP_TESTS_MEMCHECK_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool is_under_memcheck(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

#endif
