/* SPDX-License-Identifier: MIT */
#include "server_cache.h"

#include <stdlib.h>
#include <string.h>

/* All identifiers and answers together. */
#define BYTES_MAX ((size_t)64 << 20)

int server_cache_init(struct server_cache *cache, size_t size, uint64_t seed)
{
	memset(cache, 0, sizeof(*cache));
	cache->size = size;
	cache->n_buckets = 1;
	while (cache->n_buckets < size)
		cache->n_buckets *= 2;
	cache->key = hash_key_make(~seed);
	cache->entries = calloc(size, sizeof(cache->entries[0]));
	cache->buckets = calloc(cache->n_buckets, sizeof(cache->buckets[0]));
	if (cache->entries != NULL && cache->buckets != NULL)
		return 0;
	server_cache_done(cache);
	return -1;
}

void server_cache_done(struct server_cache *cache)
{
	for (size_t i = 0; cache->entries != NULL && i < cache->size; i++)
		free(cache->entries[i].bytes);
	free(cache->entries);
	free(cache->buckets);
	memset(cache, 0, sizeof(*cache));
}

static uint64_t hash_of(const struct server_cache *cache, const struct cache_key *key)
{
	uint64_t head = (uint64_t)key->type << 32 | key->xid;

	return keyed_hash(&cache->key, key->id.data, key->id.size) ^
	       keyed_hash(&cache->key, &head, sizeof(head));
}

static uint32_t *bucket_of(const struct server_cache *cache, uint64_t hash)
{
	return &cache->buckets[hash & (cache->n_buckets - 1)];
}

/* How many entries are younger. */
static size_t age_of(const struct server_cache *cache, size_t place)
{
	size_t from_oldest = (place + cache->size - cache->first) % cache->size;

	return cache->n - 1 - from_oldest;
}

bool server_cache_find(const struct server_cache *cache, const struct cache_key *key,
		       int64_t now_ms, struct cache_hit *ret)
{
	uint64_t hash = hash_of(cache, key);
	uint32_t place = *bucket_of(cache, hash);

	while (place != 0) {
		const struct cached_answer *entry = &cache->entries[place - 1];

		if (entry->hash == hash && entry->xid == key->xid && entry->type == key->type &&
		    entry->id_size == key->id.size && entry->until_ms > now_ms &&
		    memcmp(entry->bytes, key->id.data, key->id.size) == 0) {
			ret->answer = (struct madcap_bytes){ entry->bytes + entry->id_size,
							     entry->answer_size };
			ret->is_new = age_of(cache, place - 1) < cache->n_new;
			return true;
		}
		place = entry->next;
	}
	return false;
}

static void drop(struct server_cache *cache, size_t place)
{
	struct cached_answer *entry = &cache->entries[place];
	uint32_t *at = bucket_of(cache, entry->hash);

	while (*at != place + 1)
		at = &cache->entries[*at - 1].next;
	*at = entry->next;
	cache->bytes -= entry->id_size + entry->answer_size;
	free(entry->bytes);
	entry->bytes = NULL;
	cache->n--;
}

static void drop_oldest(struct server_cache *cache)
{
	drop(cache, cache->first);
	cache->first = (cache->first + 1) % cache->size;
	if (cache->n_new > cache->n)
		cache->n_new = cache->n;
}

void server_cache_add(struct server_cache *cache, const struct cache_key *key,
		      struct madcap_bytes answer, int64_t until_ms)
{
	size_t size = key->id.size + answer.size;
	struct cached_answer *entry;
	uint32_t *bucket;
	uint8_t *bytes;
	size_t place;

	while (cache->n > 0 && (cache->n == cache->size || cache->bytes + size > BYTES_MAX)) {
		drop_oldest(cache);
		cache->evictions++;
	}
	bytes = malloc(size);
	if (bytes == NULL)
		return;
	memcpy(bytes, key->id.data, key->id.size);
	memcpy(bytes + key->id.size, answer.data, answer.size);
	place = (cache->first + cache->n) % cache->size;
	entry = &cache->entries[place];
	*entry = (struct cached_answer){ .hash = hash_of(cache, key),
					 .until_ms = until_ms,
					 .bytes = bytes,
					 .answer_size = answer.size,
					 .xid = key->xid,
					 .id_size = (uint16_t)key->id.size,
					 .type = key->type };
	bucket = bucket_of(cache, entry->hash);
	entry->next = *bucket;
	*bucket = (uint32_t)place + 1;
	cache->n++;
	cache->n_new++;
	cache->bytes += size;
}

void server_cache_expire(struct server_cache *cache, int64_t now_ms)
{
	while (cache->n > 0 && cache->entries[cache->first].until_ms <= now_ms)
		drop_oldest(cache);
}

void server_cache_commit(struct server_cache *cache)
{
	cache->n_new = 0;
}

void server_cache_abort(struct server_cache *cache)
{
	for (; cache->n_new > 0; cache->n_new--)
		drop(cache, (cache->first + cache->n - 1) % cache->size);
}
