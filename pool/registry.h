/* SPDX-License-Identifier: MIT */
/*
 * registry.h - the registry, address by address. Internal to pool/.
 *
 *	struct registry registry;
 *
 *	registry_from(&registry, op, first);
 *	while (registry_next(&registry))
 *		... registry.addr, registry.record
 *	return registry.code;
 */
#ifndef RASIP_REGISTRY_H
#define RASIP_REGISTRY_H

#include "op.h"

struct registry {
	struct op *op;
	struct key begin;
	struct entries entries;
	int code; /* why there are no more: 0, they are all seen; or an error, told by op->error */
	uint32_t addr;
	struct lease_record record;
};

/* To the address `first` and those behind it, in the operation's transaction. */
void registry_from(struct registry *registry, struct op *op, uint32_t first);
bool registry_next(struct registry *registry);

#endif
