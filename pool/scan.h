/* SPDX-License-Identifier: MIT */
/*
 * scan.h - the proof that a pool is full: every record of the pool is looked at, and every owner.
 *
 * The looking is done in a read transaction, so that nobody waits for it; what it suspects is
 * looked at again, one by one, in the write transaction that acts on it. A pool is full at the
 * moment of the snapshot if the scan suspects nothing.
 */
#ifndef RASIP_SCAN_H
#define RASIP_SCAN_H

#include "op.h"

/* Enough to go on with; the rest is found when it is needed. */
#define SCAN_BATCH 256

struct scan {
	struct {
		uint32_t addr;
		uint64_t id;
	} suspects[SCAN_BATCH];
	size_t n;
};

/* Looks through a pool: dead owners, free addresses that no queue of the pool holds, addresses put
 * aside that are usable again. The operation must have a transaction. */
int scan_pool(struct op *op, size_t pool, struct scan *ret);

/*
 * Looks for dead owners from the address `from` on, among all leases but those whose end a foreign
 * module has to be told of, or (`modules`) among the leases of foreign modules alone. *ret_next is
 * where to go on, UINT64_MAX: finished.
 */
int scan_dead(struct op *op, uint64_t from, bool modules, struct scan *ret, uint64_t *ret_next);

/* Acts on what was suspected, in a write transaction; pool: for what goes into its queues, or
 * CONFIG_NO_POOL. *ret_reclaimed, if not NULL, grows by the leases taken back. */
int scan_apply(struct op *op, size_t pool, const struct scan *scan, uint64_t *ret_reclaimed);

#endif
