/* SPDX-License-Identifier: MIT */
/*
 * history.h - what happened: from the lease store, where it is written with the lease, to the
 * memory store, where it outlives a reboot. Internal to pool/.
 */
#ifndef RASIP_HISTORY_H
#define RASIP_HISTORY_H

#include "op.h"

#define HISTORY_BATCH_MAX 1024

/* Copies of the oldest news, numbered from `first` to before `end`. */
struct history_batch {
	uint64_t first;
	uint64_t end;
	size_t n;
	struct {
		size_t size;
		uint8_t data[RECORD_SIZE_MAX];
	} events[HISTORY_BATCH_MAX];
};

/* Copies what news there are, in any transaction of op's. */
int history_look(struct op *op, struct history_batch *ret);

/* Puts them behind the history in the memory store, whose oldest events then go. `memory` is a
 * write transaction. */
int history_take(const struct history_batch *batch, struct store_txn *memory);

/* Deletes news that have been taken, in op's write transaction. */
int history_settle(struct op *op, const struct history_batch *batch);

#endif
