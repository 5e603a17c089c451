/* SPDX-License-Identifier: MIT */
/*
 * permute.h - a random-looking order of the numbers 0 to n - 1 that needs no memory.
 *
 * For a given n and key, permute() is one-to-one, so counting an index from 0 to n - 1 visits every
 * number exactly once. Not cryptography: it spreads addresses, it hides nothing.
 */
#ifndef RASIP_PERMUTE_H
#define RASIP_PERMUTE_H

#include <stdint.h>

/* index < n, 1 <= n <= 2^32. */
uint64_t permute(uint64_t index, uint64_t n, uint64_t key);

#endif
