/* SPDX-License-Identifier: MIT */
#include "registry.h"

void registry_from(struct registry *registry, struct op *op, uint32_t first)
{
	registry->op = op;
	registry->begin = key_lease(first);
	registry->entries = entries_from(op->txn, &registry->begin, 1);
	registry->code = 0;
}

bool registry_next(struct registry *registry)
{
	struct entries *entries = &registry->entries;
	bool found = entries_next(entries);
	int code = entries->code;

	if (found)
		code = key_addr(entries->key, &registry->addr)
			       ? record_decode_lease(entries->value, &registry->record)
			       : POOL_E_DAMAGED;
	if (code < 0)
		registry->code = op_fail(registry->op, code);
	return found && code == 0;
}
