/* SPDX-License-Identifier: MIT */
/*
 * book_memory.h - the part of a book that all engines have: all leases in memory, what a wish gets
 * (book_grant.c), and the way back when a batch fails. What book.h has of single leases is here; an
 * engine's own struct begins with a struct memory_book, and keeps what is decided: one lease at a time
 * as it changes (add, write, erase), or all of a batch when it is committed, from `changes`.
 *
 * While a batch is open every change of the indexes is noted, and taken back if the batch fails.
 */
#ifndef RASIP_MADCAP_BOOK_MEMORY_H
#define RASIP_MADCAP_BOOK_MEMORY_H

#include "book_engine.h"
#include "book_lease.h"

enum change_kind { CHANGE_ADDED, CHANGE_REMOVED, CHANGE_EDITED };

struct change {
	enum change_kind kind;
	struct lease *lease;
	struct madcap_address client; /* removed: whose it was */
	struct booker times;          /* edited: as it was */
	uint32_t touched_sec;
	uint8_t state;
	uint64_t sum; /* edited: as it was, lease.sum */
};

struct memory_book {
	struct book base;
	/* NULL: the engine looks at `changes`. 0 or POOL_E_STORE, which spoils the batch. */
	int (*add)(struct memory_book *book, struct lease *lease);
	int (*write)(struct memory_book *book, struct lease *lease);
	int (*erase)(struct memory_book *book, const struct lease *lease);
	bool in_batch;
	struct lease_index index;
	struct slab runs;
	struct slab bookings;
	struct space **spaces;
	size_t n_spaces;
	bool has_spaces; /* those of a configuration, book_set_spaces() */
	uint32_t extra_sec;
	uint64_t seed;
	uint64_t last_serial;
	uint32_t newest_sec; /* when something was granted or renewed last */
	struct change *changes;
	size_t n_changes;
	size_t changes_size;
};

static inline struct memory_book *memory_book_of(struct book *base)
{
	return (struct memory_book *)(void *)base;
}

/* For an engine's own struct, zeroed. 0 or POOL_E_NO_MEMORY; to be done with in either case. */
int memory_book_init(struct memory_book *book, const struct book_options *options)
	__attribute__((warn_unused_result));
void memory_book_done(struct memory_book *book);

/* Removes all leases, offers too; not inside a batch. */
void memory_book_clear(struct memory_book *book);

struct space *memory_book_space(const struct memory_book *book, const struct madcap_address *scope);

/* The space of this scope, made if it is new; NULL without memory. */
struct space *memory_book_make_space(struct memory_book *book, const struct madcap_address *scope);

/* Room for two more changes and one more lease: 0 or POOL_E_NO_MEMORY. */
int memory_book_reserve(struct memory_book *book);

/* In memory: with and without its addresses booked. False without memory. */
bool memory_book_link(struct memory_book *book, struct lease *lease,
		      const struct madcap_address *client, bool book_addresses);
void memory_book_unlink(struct memory_book *book, struct lease *lease);

/* Noted and kept; memory has been changed already (add, edit) or will be (remove). */
int memory_book_added(struct memory_book *book, struct lease *lease);
int memory_book_removed(struct memory_book *book, struct lease *lease,
			const struct madcap_address *client);
int memory_book_edited(struct memory_book *book, struct lease *lease, const struct change *old);

/* The end of a batch: everything as it was before, or for good. */
void memory_book_take_back(struct memory_book *book);
void memory_book_forget_changes(struct memory_book *book);

/* The lease as book.h has it. */
void memory_book_show(const struct lease *lease, struct book_lease *ret);

/* True if the lease has addresses that lie in a configured scope which is not its own. */
bool memory_book_is_astray(const struct memory_book *book, const struct lease *lease);

#endif
