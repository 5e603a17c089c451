/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: secrets files, held against a reader that is written the other way round: pppd's
 * words, over text in memory.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "secrets.h"

static const char *at_quote_end(const char *p, const char *end, char quote)
{
	while (p < end && *p != quote)
		p += *p == '\\' ? 2 : 1;
	return p < end ? p + 1 : NULL;
}

/* How many characters of blank, comment or continued line there are at p, if any. */
static size_t gap(const char *p, const char *end)
{
	const char *newline;

	if (*p == ' ' || *p == '\t' || *p == '\r')
		return 1;
	if (*p == '\\' && end - p > 1 && p[1] == '\n')
		return 2;
	if (*p != '#')
		return 0;
	newline = memchr(p, '\n', (size_t)(end - p));
	return (size_t)((newline != NULL ? newline : end) - p);
}

/* The end of the word at p; NULL: the file ends in the middle of a quoted part. */
static const char *skip_word(const char *p, const char *end)
{
	while (p != NULL && p < end && strchr(" \t\r\n", *p) == NULL) {
		if (*p == '"' || *p == '\'')
			p = at_quote_end(p + 1, end, *p);
		else
			p += *p == '\\' ? 2 : 1;
	}
	return p;
}

static bool has_entry(const char *p, const char *end)
{
	int words = 0;

	while (p != NULL && p < end && words < 3) {
		size_t n = gap(p, end);

		if (n > 0) {
			p += n;
		} else if (*p == '\n') {
			words = 0;
			p++;
		} else {
			p = skip_word(p, end);
			words++;
		}
	}
	return words >= 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfd_create("secrets", MFD_CLOEXEC);

	if (fd < 0 || memchr(data, '\0', size) != NULL || write(fd, data, size) != (ssize_t)size) {
		close(fd);
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	require(secrets_has_entry(path) == has_entry((const char *)data, (const char *)data + size),
		"is there an entry?");
	close(fd);
	return 0;
}
