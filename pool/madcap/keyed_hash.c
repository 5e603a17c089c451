/* SPDX-License-Identifier: MIT */
#include "keyed_hash.h"

#include <string.h>

struct hash_key hash_key_make(uint64_t seed)
{
	return (struct hash_key){ { seed, seed * UINT64_C(0x9e3779b97f4a7c15) ^
						  UINT64_C(0x5851f42d4c957f2d) } };
}

static uint64_t rotate(uint64_t value, unsigned int by)
{
	return value << by | value >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3, whose result nobody can steer who does not know the key. */
uint64_t keyed_hash(const struct hash_key *key, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t v[4] = { key->words[0] ^ UINT64_C(0x736f6d6570736575),
			  key->words[1] ^ UINT64_C(0x646f72616e646f6d),
			  key->words[0] ^ UINT64_C(0x6c7967656e657261),
			  key->words[1] ^ UINT64_C(0x7465646279746573) };

	for (size_t at = 0; at <= size; at += 8) {
		uint64_t word = 0;

		if (size - at >= 8)
			memcpy(&word, bytes + at, 8);
		else if (size > at)
			memcpy(&word, bytes + at, size - at);
		if (size - at < 8)
			word |= (uint64_t)(size & 0xff) << 56;
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
