/* SPDX-License-Identifier: MIT */
/*
 * lease.h - what granting and ending a lease change in the store, whatever chose the address.
 * Internal to pool/. Every function works inside op's write transaction and leaves the text of a
 * failure in op->error.
 */
#ifndef RASIP_LEASE_H
#define RASIP_LEASE_H

#include "op.h"

/* An address that was found for the request, and its lock. */
struct choice {
	uint32_t addr;
	enum pool_how how;
	size_t pool; /* whose lease it will be; CONFIG_NO_POOL: outside all */
	int lock_fd; /* -1 in a rehearsal */
	bool was_known;
	struct lease_record known; /* what the store has on the address, where was_known */
	bool is_served;            /* it stands on a server's lease: */
	struct served_record served;
};

/* How many seconds an address that is in use on this machine is put aside. */
#define ASIDE_SEC 60

/* Whether the request says that this is our own end of its link. */
bool lease_is_own_end(const struct op *op, uint32_t addr);

/* Says that a peer has what is to be our own end of the link. Returns POOL_E_REFUSED. */
int lease_refuse_own_end(struct op *op, uint32_t addr);

/*
 * Tries to take an address that is known to be free: not our end of the link, not in use on this
 * machine, lock to be had. 0: taken, choice->addr and lock_fd are set; POOL_E_REFUSED: not now, the
 * reason is in op->error; other codes: the system failed.
 */
int lease_take(struct op *op, uint32_t addr, struct choice *choice);

/*
 * Tries to take one particular address for the request's user: a reservation, a candidate or a
 * module's choice. A live session's, one that rests for somebody else and one that lease_take
 * refuses are POOL_E_REFUSED; a dead session's is reclaimed first, unless a module has to be told
 * of it and cannot be.
 */
int lease_take_particular(struct op *op, uint32_t addr, struct choice *choice);

/* Writes the lease. module is "" for the built-in pool. */
int lease_grant(struct op *op, const struct choice *choice, const char *module, bool notify,
		struct pool_lease *ret);

/* Ends an active lease: the address rests, is free, or is only remembered where no pool gives it.
 */
int lease_end(struct op *op, uint32_t addr, const struct lease_record *record);

/* lease_end for a dead owner's, with its event and counter. */
int lease_reclaim(struct op *op, uint32_t addr, const struct lease_record *record);

/* Ends a free address's rest and forgets whose it was: it is free for anybody. */
int lease_forget(struct op *op, uint32_t addr, const struct lease_record *record);

/* Takes a free address out of the queue it stands in; `record` is what the store has on it. */
int lease_unqueue(struct op *op, uint32_t addr, const struct lease_record *record);

/* Puts a free address that is in no queue into one of this pool's, and writes the record. */
int lease_enqueue(struct op *op, size_t pool, enum queue queue, uint32_t addr,
		  struct lease_record *record);

/* Whether an address at rest is still to be left alone for everybody but its last user. */
bool lease_is_resting(const struct op *op, uint32_t addr, const struct lease_record *record);

/* When the rest of a free address ends, in store time; 0 if it does not rest, UINT64_MAX: never. */
uint64_t lease_rest_end(const struct op *op, uint32_t addr, const struct lease_record *record);

/* The pool that gives this address to anybody, or CONFIG_NO_POOL. */
size_t lease_dynamic_pool(const struct op *op, uint32_t addr);

/* Whether it is to outlive a reboot who had an address of this pool last: he gets it back, or it rests
 * for him. */
bool lease_is_remembered(const struct config_pool *config);

/* Whether what the memory says of an end is true, or only that there was one. */
bool lease_is_end_remembered(const struct config_pool *config);

/* Makes a note that the memory store has to be brought up to date for this address. */
int lease_mark_dirty(struct op *op, uint32_t addr);

#endif
