/* SPDX-License-Identifier: MIT */
/*
 * nearest.h - what somebody may have meant by a word that nobody knows.
 */
#ifndef RASIP_NEAREST_H
#define RASIP_NEAREST_H

#include <stddef.h>

/*
 * The one of `n` words that `word` is most likely a slip for: the fewest letters inserted, left
 * out, replaced, or swapped with their neighbour; or one that it is the beginning of. NULL where
 * more than about a third of the letters would have to change. Case does not count, and NULL
 * entries are passed over.
 */
const char *nearest_word(const char *word, const char *const *words, size_t n);

#endif
