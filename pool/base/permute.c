/* SPDX-License-Identifier: MIT */
#include "permute.h"

#define ROUNDS 4

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= UINT64_C(0x9e3779b97f4a7c15);
	value ^= value >> 29;
	value *= UINT64_C(0xd6e8feb86659fd93);
	return value ^ value >> 32;
}

/* A Feistel network over the smallest even number of bits that holds n. What falls outside goes
 * through it again, which ends because the network is one-to-one itself. */
uint64_t permute(uint64_t index, uint64_t n, uint64_t key)
{
	unsigned int half = 1;
	uint64_t mask;

	while (half < 16 && n > UINT64_C(1) << (2 * half))
		half++;
	mask = (UINT64_C(1) << half) - 1;
	do {
		uint64_t left = index >> half;
		uint64_t right = index & mask;

		for (uint64_t round = 0; round < ROUNDS; round++) {
			uint64_t next = left ^ (mix(right + key + round * 0x51ed2701) & mask);

			left = right;
			right = next;
		}
		index = left << half | right;
	} while (index >= n);
	return index;
}
