/* SPDX-License-Identifier: MIT */
/*
 * book_space.h - which addresses of a scope are free, and when.
 *
 * Addresses are counted from the scope's first one. They stand in one balanced tree of runs, by
 * address: a run of free addresses of any length, or one address with its bookings in the order of
 * their starts. Each node knows of its subtree the longest free run, the earliest end of a last
 * booking, the latest start of a first one and the longest time between two, so that a search goes
 * only where something can be found: O(log n) at any fill, as long as addresses do not have many
 * bookings each. A scope of 2^64 addresses costs one node until it is used.
 *
 * Nothing of this is on disk; the book builds it from its leases.
 */
#ifndef RASIP_MADCAP_BOOK_SPACE_H
#define RASIP_MADCAP_BOOK_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "book_slab.h"
#include "proto.h"

/* What a booking needs to know of its lease; the first member of struct lease. */
struct booker {
	uint32_t start_sec;
	uint32_t end_sec; /* > start_sec */
};

struct booking {
	const struct booker *by;
	struct booking *next; /* a later one */
};

struct run {
	struct run *left;
	struct run *right;
	uint64_t first;
	uint64_t last;
	struct booking *bookings; /* NULL: free */
	/* of the subtree */
	uint64_t longest_free;   /* addresses less one, or UINT64_MAX for none */
	uint32_t earliest_end;   /* of the last booking of an address */
	uint32_t latest_start;   /* of the first booking of an address */
	uint32_t longest_gap;    /* s, between two bookings of an address */
	uint32_t priority : 31;  /* a heap by priority, a search tree by address */
	uint32_t is_outside : 1; /* not to be given away; here because it is booked */
};

#define SPACE_STATES 5

struct space {
	struct madcap_address scope;
	struct madcap_address last;
	struct run *root;
	uint64_t cursor; /* where the last allocation ended */
	uint64_t size;   /* addresses that may be given away */
	uint64_t free;   /* of them, not booked at all */
	uint32_t extra_sec;
	uint64_t random;
	struct slab *runs;             /* of struct run */
	struct slab *bookings;         /* of struct booking */
	uint64_t leases[SPACE_STATES]; /* by enum book_state */
	uint64_t addresses[SPACE_STATES];
	bool is_configured;
};

/* Addresses wanted from start to end, among those in [lo, hi]. */
struct window {
	uint64_t lo;
	uint64_t hi;
	uint32_t start_sec;
	uint32_t end_sec;
};

/* Takes away all runs and bookings. */
void space_clear(struct space *space);

/* Adds free addresses; what is there already stays. False without memory. */
bool space_add(struct space *space, uint64_t first, uint64_t last);

/* Books an address, whatever else it has. False without memory; then nothing has changed. */
bool space_book(struct space *space, uint64_t address, const struct booker *by);
void space_unbook(struct space *space, uint64_t address, const struct booker *by);

/* The bookings of an address, NULL for none. */
const struct booking *space_bookings(const struct space *space, uint64_t address);

/* A free run in the window of at least `need` addresses, the first one; false if there is none. */
bool space_find_run(const struct space *space, const struct window *window, uint64_t need,
		    uint64_t *ret_first);

/* The longest free run in the window: its first address, and its length less one. */
bool space_longest_run(const struct space *space, const struct window *window, uint64_t *ret_first,
		       uint64_t *ret_more);

/* The first booked address that is free in the window's time all the same. */
bool space_find_gap(const struct space *space, const struct window *window, uint64_t *ret_address);

/* The first address that the window has: in a free run, or booked and free in its time. */
bool space_find_first(const struct space *space, const struct window *window,
		      uint64_t *ret_address);

/* How many addresses the window has, at most `most`. */
uint64_t space_available(const struct space *space, const struct window *window, uint64_t most);

#endif
