/* SPDX-License-Identifier: MIT */
/*
 * local.h - how a local pool chooses an address. Internal to pool/.
 *
 * Addresses that have never been used come from a position that moves once through the pool;
 * addresses that were used and released stand in queues. So a free address is found in
 * O(log n) at any fill and any size, and a range costs nothing until it is used.
 */
#ifndef RASIP_LOCAL_H
#define RASIP_LOCAL_H

#include "lease.h"

/* Full as far as the queues say; only a scan proves it (scan.h). Positive: not an error. */
#define LOCAL_FULL 1
/* Its mode lets it give nothing new, or a peer has our end of its links. */
#define LOCAL_CLOSED 2

/*
 * Chooses an address of this pool for the request. 0: found; LOCAL_FULL; LOCAL_CLOSED;
 * POOL_E_REFUSED: this pool gives nothing and no other is to be tried (limit per user); other
 * codes: a failure.
 */
int local_choose(struct op *op, size_t pool, struct choice *choice);

/* The first half of that, which does not depend on where addresses come from: makes `choice` empty,
 * and returns 0, LOCAL_CLOSED, POOL_E_REFUSED (limit per user) or a failure. */
int local_admit(struct op *op, size_t pool, struct choice *choice);

/* The address of this pool that the request's user had last and that nobody has now, and the id of
 * its last lease. 0, LOCAL_FULL where there is none, or a failure. */
int local_remembered(struct op *op, size_t pool, uint32_t *ret_addr, uint64_t *ret_id);

/* How many of the pool's addresses are at rest or put aside. */
int local_count_resting(struct op *op, size_t pool, uint64_t *ret);

#endif
