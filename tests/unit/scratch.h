/* SPDX-License-Identifier: MIT */
/*
 * scratch.h - a directory of a test's own below TMPDIR, and how it goes away.
 */
#ifndef RASIP_TESTS_SCRATCH_H
#define RASIP_TESTS_SCRATCH_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SCRATCH_SIZE 256

static inline void scratch_make(char dir[static SCRATCH_SIZE])
{
	const char *tmp = getenv("TMPDIR");

	int n = snprintf(dir, SCRATCH_SIZE, "%s/rasip-unit-XXXXXX", tmp != NULL ? tmp : "/tmp");

	ck_assert_msg(n < SCRATCH_SIZE, "TMPDIR's name is too long");
	ck_assert_msg(mkdtemp(dir) != NULL, "%s: %m", dir);
}

static inline int scratch_remove_one(const char *path, const struct stat *status, int type,
				     struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

/* The directory and all that is in there; nothing where there is none. */
static inline void scratch_remove(const char *dir)
{
	(void)nftw(dir, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* What one of its directories has. */
static inline void scratch_remove_below(const char *dir, const char *name)
{
	char path[SCRATCH_SIZE + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	scratch_remove(path);
}

#endif
