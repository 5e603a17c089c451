/* SPDX-License-Identifier: MIT */
/*
 * book_memory.h - the part of a book that all engines have: all leases in memory, what a wish gets,
 * and the way back when a batch fails. An engine's own struct begins with a struct memory_book, and
 * keeps what is decided here: one lease at a time as it changes (write, erase), or all of a batch
 * when it is committed, from `changes`.
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
	uint32_t extra_sec;
	uint64_t seed;
	uint64_t last_serial;
	struct change *changes;
	size_t n_changes;
	size_t changes_size;
};

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

void memory_book_show(const struct memory_book *book, const struct lease *lease,
		      struct book_lease *ret);

/* True if the lease has addresses that lie in a configured scope which is not its own. */
bool memory_book_is_astray(const struct memory_book *book, const struct lease *lease);

/* Operations as in struct book_engine, the same for all engines. */
int memory_book_set_spaces(struct book *base, const struct book_space *spaces, size_t n,
			   uint32_t extra_sec);
int memory_book_find(const struct book *base, struct madcap_bytes id, struct book_lease *ret);
int memory_book_find_address(const struct book *base, const struct madcap_address *address,
			     uint32_t at_sec, struct book_lease *ret);
int memory_book_next(const struct book *base, uint64_t *at, struct book_lease *ret);
void memory_book_client(const struct book *base, const struct madcap_address *client,
			struct book_client *ret);
bool memory_book_stats(const struct book *base, const struct madcap_address *scope,
		       struct book_stats *ret);
struct book_range memory_book_range(const struct book_lease *shown, size_t index);
int memory_book_release(struct book *base, struct madcap_bytes id);
int memory_book_sweep(struct book *base, uint32_t now_sec, size_t max, size_t *ret_n);
int memory_book_put_pending(struct book *base, const struct book_wish *wish, uint32_t end_sec,
			    struct book_lease *ret);
int memory_book_decide(struct book *base, struct madcap_bytes id, enum book_state decision);

/* The operations that decide: book_grant.c. */
int memory_book_grant(struct book *base, const struct book_wish *wish, struct book_lease *ret,
		      enum book_lack *ret_lack);
int memory_book_renew(struct book *base, const struct book_wish *wish, struct book_lease *ret,
		      enum book_lack *ret_lack);

#endif
