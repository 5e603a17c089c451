/* SPDX-License-Identifier: MIT */
/*
 * history.h - what happened: from the lease store, where it is written with the lease, to the memory
 * store, where it outlives a reboot. Internal to pool/.
 */
#ifndef RASIP_HISTORY_H
#define RASIP_HISTORY_H

#include "op.h"

/* The numbers of news, from `first` to before `end`. */
struct history_batch {
	uint64_t first;
	uint64_t end;
};

/* Which news there are, at most `max` of the oldest. */
int history_look(struct op *op, uint64_t max, struct history_batch *ret);

/* Copies news behind the history in the memory store, whose oldest events then go. op has a read
 * transaction, `memory` is a write transaction. */
int history_take(struct op *op, const struct history_batch *batch, struct store_txn *memory);

/* Deletes news that have been taken, in op's write transaction. */
int history_settle(struct op *op, const struct history_batch *batch);

#endif
