/* SPDX-License-Identifier: MIT */
/*
 * A session adds its address when it is up and removes it before it begins to go down, so between
 * two adds of one address without a remove both sessions had it: a duplicate, whatever the timing.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "side.h"

#define SLOTS (1u << 20) /* open addressing; touched pages only are real */

struct live_slot {
	_Atomic uint32_t address; /* stays once set */
	_Atomic uint32_t count;
};

struct live_table {
	_Atomic unsigned duplicates;
	struct live_slot slots[SLOTS];
};

struct live_table *live_new(void)
{
	void *memory = mmap(NULL, sizeof(struct live_table), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static struct live_slot *find(struct live_table *table, uint32_t address)
{
	uint32_t i = (address ^ address >> 12) * 2654435761u;

	for (;; i++) {
		struct live_slot *slot = &table->slots[i % SLOTS];
		uint32_t seen = 0;

		if (atomic_compare_exchange_strong(&slot->address, &seen, address) ||
		    seen == address)
			return slot;
	}
}

void live_add(struct live_table *table, uint32_t address)
{
	if (atomic_fetch_add(&find(table, address)->count, 1) > 0)
		atomic_fetch_add(&table->duplicates, 1);
}

void live_remove(struct live_table *table, uint32_t address)
{
	atomic_fetch_sub(&find(table, address)->count, 1);
}

unsigned live_duplicates(const struct live_table *table)
{
	return atomic_load(&table->duplicates);
}
