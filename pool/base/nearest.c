/* SPDX-License-Identifier: MIT */
#include "nearest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 63 /* longer words are not looked at: nobody mistypes those into shape */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

static int same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Three rows of the edit-distance matrix are enough: a swap looks two rows back. */
static size_t edit_distance(const char *a, const char *b, size_t len_b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2], *spare;
	size_t len_a = strlen(a);

	for (size_t j = 0; j <= len_b; j++)
		last[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		now[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[len_b];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
	const char *found = NULL;
	size_t len = strlen(word);
	size_t least;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	least = (len < 3 ? 1 : (len + 1) / 3) + 1; /* one more than is allowed */
	for (size_t i = 0; i < n; i++) {
		size_t distance, len_i;

		if (words[i] == NULL)
			continue;
		len_i = strlen(words[i]);
		if (len_i > WORD_MAX)
			continue;
		if (len > 1 && strncasecmp(word, words[i], len) == 0)
			distance = 1; /* a beginning is as good as a slip of one letter */
		else
			distance = edit_distance(word, words[i], len_i);
		if (distance < least && distance < len_i) {
			least = distance;
			found = words[i];
		}
	}
	return found;
}
