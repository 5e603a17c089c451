/* SPDX-License-Identifier: MIT */
/*
 * scan.h - the proof that a pool is full: every record of the pool is looked at, and every owner.
 *
 * The looking is done in a read transaction, so that nobody waits for it, and the owners are asked
 * for together, which takes a fraction of the time; what is suspected then is looked at again,
 * one by one, in the write transaction that acts on it. A pool is full at the
 * moment of the snapshot if the scan suspects nothing.
 */
#ifndef RASIP_SCAN_H
#define RASIP_SCAN_H

#include "op.h"

/* Enough to go on with; the rest is found when it is needed. */
#define SCAN_BATCH 256

/* Empty when zero. */
struct scan {
	struct owner_questions asked; /* what is not live of them is suspected */
	size_t n;                     /* suspected */
	size_t at;                    /* of `asked`: where scan_apply goes on */
	size_t batch;                 /* so many at once; 0: SCAN_BATCH */
};

/* Where a look at some of the leases of foreign modules has begun, and where the next one has to: an
 * address. They are the same where it has seen all of them. */
struct scan_turn {
	uint32_t from;
	uint32_t next;
	uint64_t seen_us; /* all have been looked at now, instead; 0: they have not */
};

/* Looks through a pool: dead owners, free addresses that no queue of the pool holds, addresses put
 * aside that are usable again. The operation must have a transaction, which is ended. The scan is
 * the caller's to end, also after an error. */
int scan_pool(struct op *op, size_t pool, struct scan *ret);

/* Likewise looks for dead owners, among all leases but those whose end a foreign module has to be
 * told of, or (`modules`) among the leases of foreign modules alone. */
int scan_dead(struct op *op, bool modules, struct scan *ret);

/*
 * Likewise, but only at those leases of foreign modules whose end could make a difference to the
 * module that is asked for this request: the user's, the port's and the candidate's; and at a few
 * of the others, those that were not looked at for the longest time, so that all have their turn.
 * Where some are left, and it is long ago that anybody looked at all, it does that instead.
 * ret_turn is for record_put_foreign_next() and record_put_foreign_seen().
 */
int scan_modules_for(struct op *op, const struct pool_request *request, struct scan_turn *ret_turn,
		     struct scan *ret);

/*
 * Acts on the next SCAN_BATCH of what was suspected, in a write transaction; pool: for what goes
 * into its queues, or CONFIG_NO_POOL. *ret_reclaimed, if not NULL, grows by the leases taken back.
 * Modules' leases are taken back one by one: a process that ends while it tells a module of one must
 * not have taken others, of which nobody would tell it then (RA-54).
 */
int scan_apply(struct op *op, size_t pool, struct scan *scan, uint64_t *ret_reclaimed);

/* Nothing that was suspected is left to act on. */
bool scan_is_over(const struct scan *scan);

void scan_done(struct scan *scan);

#endif
