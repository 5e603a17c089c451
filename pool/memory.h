/* SPDX-License-Identifier: MIT */
/*
 * memory.h - what outlives a reboot: who had which address last. Internal to pool/.
 */
#ifndef RASIP_MEMORY_H
#define RASIP_MEMORY_H

#include "op.h"

/* Opens the memory store; with `create`, makes it and its directory, which nobody else may be able to
 * write. POOL_E_NOT_FOUND where there is none. Without `create` it can be read, and on a file system
 * that is not read-only written. */
int memory_open(const struct pool *pool, bool create, struct store **ret, struct error *error);

/* Takes what the memory store has into a fresh lease store, in op's write transaction. A memory
 * store that cannot be read is an event, not a failure: the users get addresses, only not their old
 * ones. */
int memory_import(struct op *op);

#endif
