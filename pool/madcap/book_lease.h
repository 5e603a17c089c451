/* SPDX-License-Identifier: MIT */
/*
 * book_lease.h - a lease in memory, and where to find it: by identifier, by client, by end.
 */
#ifndef RASIP_MADCAP_BOOK_LEASE_H
#define RASIP_MADCAP_BOOK_LEASE_H

#include "book.h"
#include "book_slab.h"
#include "book_space.h"
#include "keyed_hash.h"

/* Addresses of a lease, counted from its scope's first one. */
struct span {
	uint64_t first;
	uint32_t count;
};

struct client {
	struct client *next; /* in its bucket */
	struct madcap_address address;
	uint32_t n_leases;
	uint32_t n_waiting; /* of them, without addresses */
	uint64_t n_addresses;
};

struct lease {
	struct booker times; /* first: lease_of() */
	struct lease *next;  /* in its bucket */
	struct client *client;
	struct space *space;
	uint64_t serial; /* its key on disk; 0: not there */
	uint64_t sum;    /* of its record there */
	size_t place;    /* in the heap by end */
	uint32_t hash;
	uint32_t touched_sec;
	uint32_t wanted_lease;
	uint16_t wanted_min;
	uint16_t wanted;
	uint16_t n_spans;
	uint8_t state;
	uint8_t flags;
	uint8_t id_size;
	/* An engine's: */
	uint8_t mark;        /* while it commits */
	uint8_t is_open;     /* how it is kept: without an end, or until its end */
	uint8_t wants_open;  /* how it is to be kept */
	struct span spans[]; /* and behind them the identifier */
};

_Static_assert(offsetof(struct lease, times) == 0, "a booker is its lease's first member");

/* The lease that an address is booked by: nobody else books any. */
static inline struct lease *lease_of(const struct booking *booking)
{
	return (struct lease *)(void *)(uintptr_t)booking->by;
}

struct lease_index {
	struct lease **buckets;
	size_t n_buckets; /* a power of 2 */
	struct client **client_buckets;
	size_t n_client_buckets;
	size_t n_clients;
	struct lease **heap; /* all leases; offers, which end otherwise, at the bottom */
	size_t n_leases;
	size_t heap_size;
	struct hash_key key;
	struct slab clients;
};

int lease_index_init(struct lease_index *index, uint64_t seed);
void lease_index_done(struct lease_index *index); /* the leases are the caller's */

/* Not in any index yet; NULL without memory. */
struct lease *lease_new(struct madcap_bytes id, size_t n_spans);
struct madcap_bytes lease_id(const struct lease *lease);
uint32_t lease_addresses(const struct lease *lease);

struct lease *lease_index_find(const struct lease_index *index, struct madcap_bytes id);

/* Makes room for one more lease and its client; 0 or -1. */
int lease_index_reserve(struct lease_index *index);

/* Adds a lease whose client has this address; there must be room. */
void lease_index_add(struct lease_index *index, struct lease *lease,
		     const struct madcap_address *client);
void lease_index_remove(struct lease_index *index, struct lease *lease);

/* After its end or state has changed. */
void lease_index_moved(struct lease_index *index, struct lease *lease);

const struct client *lease_index_client(const struct lease_index *index,
					const struct madcap_address *address);

#endif
