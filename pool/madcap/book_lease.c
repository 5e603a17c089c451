/* SPDX-License-Identifier: MIT */
#include "book_lease.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"

#define BUCKETS_MIN 1024

/* ---- a lease --------------------------------------------------------------------------------- */

struct lease *lease_new(struct madcap_bytes id, size_t n_spans)
{
	struct lease *lease =
		calloc(1, sizeof(*lease) + n_spans * sizeof(lease->spans[0]) + id.size);

	if (lease == NULL)
		return NULL;
	lease->n_spans = (uint16_t)n_spans;
	lease->id_size = (uint8_t)id.size;
	memcpy(&lease->spans[n_spans], id.data, id.size);
	return lease;
}

struct madcap_bytes lease_id(const struct lease *lease)
{
	return (struct madcap_bytes){ (const uint8_t *)&lease->spans[lease->n_spans],
				      lease->id_size };
}

uint32_t lease_addresses(const struct lease *lease)
{
	uint32_t n = 0;

	for (size_t i = 0; i < lease->n_spans; i++)
		n += lease->spans[i].count;
	return n;
}

/* ---- hashing ---------------------------------------------------------------------------------- */

static uint64_t hash_address(const struct lease_index *index, const struct madcap_address *address)
{
	return keyed_hash(&index->key, address->bytes, sizeof(address->bytes));
}

/* ---- the heap, the next to end first --------------------------------------------------------- */

static bool ends_before(const struct lease *a, const struct lease *b)
{
	if ((a->state == BOOK_OFFERED) != (b->state == BOOK_OFFERED))
		return b->state == BOOK_OFFERED;
	return a->times.end_sec < b->times.end_sec;
}

static void set_place(struct lease_index *index, size_t place, struct lease *lease)
{
	index->heap[place] = lease;
	lease->place = place;
}

static void sift_up(struct lease_index *index, struct lease *lease)
{
	size_t place = lease->place;

	while (place > 0 && ends_before(lease, index->heap[(place - 1) / 2])) {
		set_place(index, place, index->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	set_place(index, place, lease);
}

static void sift_down(struct lease_index *index, struct lease *lease)
{
	size_t place = lease->place;

	for (;;) {
		size_t child = 2 * place + 1;

		if (child + 1 < index->n_leases &&
		    ends_before(index->heap[child + 1], index->heap[child]))
			child++;
		if (child >= index->n_leases || !ends_before(index->heap[child], lease))
			break;
		set_place(index, place, index->heap[child]);
		place = child;
	}
	set_place(index, place, lease);
}

void lease_index_moved(struct lease_index *index, struct lease *lease)
{
	sift_up(index, lease);
	sift_down(index, lease);
}

/* ---- the tables ------------------------------------------------------------------------------ */

int lease_index_init(struct lease_index *index, uint64_t seed)
{
	memset(index, 0, sizeof(*index));
	index->clients.size = sizeof(struct client);
	index->key = hash_key_make(seed);
	index->n_buckets = BUCKETS_MIN;
	index->n_client_buckets = BUCKETS_MIN;
	index->buckets = calloc(BUCKETS_MIN, sizeof(struct lease *));
	index->client_buckets = calloc(BUCKETS_MIN, sizeof(struct client *));
	return index->buckets != NULL && index->client_buckets != NULL ? 0 : -1;
}

void lease_index_done(struct lease_index *index)
{
	free(index->buckets);
	free(index->client_buckets);
	free(index->heap);
	slab_done(&index->clients);
	memset(index, 0, sizeof(*index));
}

struct lease *lease_index_find(const struct lease_index *index, struct madcap_bytes id)
{
	uint32_t hash = (uint32_t)keyed_hash(&index->key, id.data, id.size);
	struct lease *lease = index->buckets[hash & (index->n_buckets - 1)];

	for (; lease != NULL; lease = lease->next) {
		if (lease->hash == hash && lease->id_size == id.size &&
		    memcmp(lease_id(lease).data, id.data, id.size) == 0)
			return lease;
	}
	return NULL;
}

static struct client **client_bucket(const struct lease_index *index,
				     const struct madcap_address *address)
{
	return &index->client_buckets[hash_address(index, address) & (index->n_client_buckets - 1)];
}

const struct client *lease_index_client(const struct lease_index *index,
					const struct madcap_address *address)
{
	const struct client *client = *client_bucket(index, address);

	while (client != NULL && !madcap_address_equal(&client->address, address))
		client = client->next;
	return client;
}

static int grow_buckets(struct lease_index *index)
{
	size_t n = index->n_buckets > 0 ? 2 * index->n_buckets : BUCKETS_MIN;
	struct lease **buckets = calloc(n, sizeof(*buckets));

	if (buckets == NULL)
		return -1;
	for (size_t i = 0; i < index->n_leases; i++) {
		struct lease *lease = index->heap[i];

		lease->next = buckets[lease->hash & (n - 1)];
		buckets[lease->hash & (n - 1)] = lease;
	}
	free(index->buckets);
	index->buckets = buckets;
	index->n_buckets = n;
	return 0;
}

static int grow_clients(struct lease_index *index)
{
	struct client **old = index->client_buckets;
	size_t n_old = index->n_client_buckets;
	size_t n = n_old > 0 ? 2 * n_old : BUCKETS_MIN;
	struct client **buckets = calloc(n, sizeof(struct client *));

	if (buckets == NULL)
		return -1;
	index->client_buckets = buckets;
	index->n_client_buckets = n;
	for (size_t i = 0; i < n_old; i++) {
		while (old[i] != NULL) {
			struct client *client = old[i];
			struct client **bucket = client_bucket(index, &client->address);

			old[i] = client->next;
			client->next = *bucket;
			*bucket = client;
		}
	}
	free(old);
	return 0;
}

int lease_index_reserve(struct lease_index *index)
{
	if (index->n_leases == index->heap_size) {
		size_t size = index->heap_size == 0 ? BUCKETS_MIN
						    : index->heap_size + index->heap_size / 2;
		struct lease **heap = realloc(index->heap, size * sizeof(*heap));

		if (heap == NULL)
			return -1;
		index->heap = heap;
		index->heap_size = size;
	}
	if (index->n_leases >= index->n_buckets && grow_buckets(index) < 0)
		return -1;
	if (index->n_clients >= index->n_client_buckets && grow_clients(index) < 0)
		return -1;
	return slab_reserve(&index->clients, 1);
}

static void add_client(struct lease_index *index, struct lease *lease,
		       const struct madcap_address *address)
{
	struct client **bucket = client_bucket(index, address);
	struct client *client = *bucket;

	while (client != NULL && !madcap_address_equal(&client->address, address))
		client = client->next;
	if (client == NULL) {
		client = slab_get(&index->clients);
		client->address = *address;
		client->next = *bucket;
		*bucket = client;
		index->n_clients++;
	}
	client->n_leases++;
	client->n_waiting += lease_addresses(lease) == 0;
	client->n_addresses += lease_addresses(lease);
	lease->client = client;
}

static void remove_client(struct lease_index *index, struct lease *lease)
{
	struct client *client = lease->client;
	struct client **at = client_bucket(index, &client->address);

	client->n_waiting -= lease_addresses(lease) == 0;
	client->n_addresses -= lease_addresses(lease);
	if (--client->n_leases > 0)
		return;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	index->n_clients--;
	slab_put(&index->clients, client);
}

void lease_index_add(struct lease_index *index, struct lease *lease,
		     const struct madcap_address *client)
{
	struct madcap_bytes id = lease_id(lease);
	struct lease **bucket;

	lease->hash = (uint32_t)keyed_hash(&index->key, id.data, id.size);
	bucket = &index->buckets[lease->hash & (index->n_buckets - 1)];
	lease->next = *bucket;
	*bucket = lease;
	set_place(index, index->n_leases++, lease);
	sift_up(index, lease);
	add_client(index, lease, client);
}

void lease_index_remove(struct lease_index *index, struct lease *lease)
{
	struct lease **at = &index->buckets[lease->hash & (index->n_buckets - 1)];
	struct lease *last = index->heap[index->n_leases - 1];
	size_t place = lease->place;

	while (*at != lease)
		at = &(*at)->next;
	*at = lease->next;
	index->n_leases--;
	if (last != lease) {
		set_place(index, place, last);
		lease_index_moved(index, last);
	}
	remove_client(index, lease);
}
