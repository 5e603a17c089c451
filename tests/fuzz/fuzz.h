/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what fuzz targets share. A target is one function, which libFuzzer, AFL++ or replay.c
 * calls with one input after the other, in one process.
 */
#ifndef RASIP_TESTS_FUZZ_H
#define RASIP_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold whatever the input is. */
static inline void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* The input as a string, to be freed; NULL: no memory. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		return NULL;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static char fuzz_directory[64]; /* "": not made yet */

static inline void fuzz_remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", fuzz_directory);
	if (system(command) != 0)
		perror(command);
}

/* Makes fuzz_directory, which is removed as the process ends. */
static inline void fuzz_make_directory(const char *template)
{
	snprintf(fuzz_directory, sizeof(fuzz_directory), "%s", template);
	require(mkdtemp(fuzz_directory) != NULL, "a directory");
	atexit(fuzz_remove_directory);
}

#endif
