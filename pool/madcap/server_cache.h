/* SPDX-License-Identifier: MIT */
/*
 * server_cache.h - answers that were given lately, for requests that come again (RFC 2730, 2.1.4).
 * A queue of fixed length with a hash table over it; the oldest make room.
 */
#ifndef RASIP_MADCAP_SERVER_CACHE_H
#define RASIP_MADCAP_SERVER_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyed_hash.h"
#include "proto.h"

struct cached_answer {
	uint64_t hash;
	int64_t until_ms;
	uint8_t *bytes; /* identifier, then answer */
	size_t answer_size;
	uint32_t xid;
	uint32_t next; /* in its bucket, as a place + 1; 0: none */
	uint16_t id_size;
	uint8_t type;
};

struct server_cache {
	struct cached_answer *entries; /* a ring */
	uint32_t *buckets;             /* places + 1 */
	size_t size;
	size_t n_buckets; /* a power of 2 */
	size_t first;     /* the oldest */
	size_t n;
	size_t n_new; /* of them, added since the last commit */
	size_t bytes;
	struct hash_key key;
	uint64_t evictions; /* for lack of room */
};

struct cache_key {
	uint32_t xid;
	uint8_t type;
	struct madcap_bytes id;
};

int server_cache_init(struct server_cache *cache, size_t size, uint64_t seed); /* 0 or -1 */
void server_cache_done(struct server_cache *cache);

/* An answer that was found: a view until the next change. */
struct cache_hit {
	struct madcap_bytes answer;
	bool is_new; /* added since the last commit */
};

/* The answer to this request; false if there is none. */
bool server_cache_find(const struct server_cache *cache, const struct cache_key *key,
		       int64_t now_ms, struct cache_hit *ret);

/* Keeps a copy until then; without memory it is not kept. */
void server_cache_add(struct server_cache *cache, const struct cache_key *key,
		      struct madcap_bytes answer, int64_t until_ms);

/* Forgets what is too old. */
void server_cache_expire(struct server_cache *cache, int64_t now_ms);

/* What was added since the last commit stays, or never was. */
void server_cache_commit(struct server_cache *cache);
void server_cache_abort(struct server_cache *cache);

#endif
