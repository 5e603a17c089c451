/* SPDX-License-Identifier: MIT */
/*
 * keyed_hash.h - a hash for tables whose keys strangers choose: without the key, nobody can make
 * many of them fall into one bucket.
 *
 * Lease books in files have sums made with it (book_record.c): another hash is another BOOK_VERSION.
 */
#ifndef RASIP_MADCAP_KEYED_HASH_H
#define RASIP_MADCAP_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t words[2];
};

struct hash_key hash_key_make(uint64_t seed);
uint64_t keyed_hash(const struct hash_key *key, const void *data, size_t size);

#endif
