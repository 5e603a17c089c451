/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include "lease.h"

static void suspect(struct scan *scan, uint32_t addr, const struct lease_record *record)
{
	scan->suspects[scan->n].addr = addr;
	scan->suspects[scan->n].id = record->id;
	scan->n++;
}

/* Which registry records to go through, and what makes one suspect. */
struct look {
	uint32_t first;
	uint32_t last;
	bool (*is_suspect)(struct op *, size_t, uint32_t, const struct lease_record *);
	size_t pool; /* that is_suspect is told of */
};

/* *ret_next: where to go on if the batch is full before the end, else UINT64_MAX. */
static int look_through(struct op *op, const struct look *look, struct scan *scan,
			uint64_t *ret_next)
{
	struct key key = key_lease(look->first);
	struct store_bytes found;
	struct store_bytes value;
	int code = store_seek(op->txn, key_bytes(&key), &found, &value);

	*ret_next = UINT64_MAX;
	while (code == 0 && key_has_prefix(found, &key, 1)) {
		struct lease_record record;
		uint32_t addr;

		if (!key_addr(found, &addr))
			return op_fail(op, POOL_E_DAMAGED);
		if (addr > look->last)
			return 0;
		if (scan->n == SCAN_BATCH) {
			*ret_next = addr;
			return 0;
		}
		code = record_decode_lease(value, &record);
		if (code < 0)
			return op_fail(op, code);
		if (look->is_suspect(op, look->pool, addr, &record))
			suspect(scan, addr, &record);
		code = store_next(op->txn, &found, &value);
	}
	return code == 0 || code == POOL_E_NOT_FOUND ? 0 : op_fail(op, code);
}

static bool is_dead(struct op *op, uint32_t addr, const struct lease_record *record)
{
	return record->active && !owner_is_live(&op->pool->owners, addr);
}

/* A dead lease that only its module may hear the end of is for a process that has the module. */
static bool waits_for_module(const struct lease_record *record)
{
	return record->module[0] != '\0' && record->notify;
}

static bool is_dead_or_mislaid(struct op *op, size_t pool, uint32_t addr,
			       const struct lease_record *record)
{
	int code;
	const struct pool_counters *counters;

	if (record->active)
		return !waits_for_module(record) && is_dead(op, addr, record);
	if (record->queue == QUEUE_ASIDE && record->order > op->stamp)
		return !lease_is_own_end(op, addr) && !op_in_use(op, addr) &&
		       !owner_is_held(&op->pool->owners, addr);
	counters = op_counters(op, pool, false, &code);
	return counters != NULL &&
	       (record->queue == QUEUE_NONE || record->pool != counters->number);
}

static bool is_dead_and_ours(struct op *op, size_t unused, uint32_t addr,
			     const struct lease_record *record)
{
	(void)unused;
	return !waits_for_module(record) && is_dead(op, addr, record);
}

int scan_pool(struct op *op, size_t pool, struct scan *ret)
{
	const struct range_set *dynamic = &op->pool->config->pools[pool].dynamic;
	uint64_t next;

	ret->n = 0;
	for (size_t i = 0; i < dynamic->n && ret->n < SCAN_BATCH; i++) {
		const struct look look = {
			.first = dynamic->ranges[i].first,
			.last = dynamic->ranges[i].last,
			.is_suspect = is_dead_or_mislaid,
			.pool = pool,
		};
		int code = look_through(op, &look, ret, &next);

		if (code < 0)
			return code;
	}
	return 0;
}

static int scan_modules(struct op *op, uint64_t from, struct scan *ret, uint64_t *ret_next)
{
	struct key key = key_foreign((uint32_t)from);
	struct store_bytes found;
	struct store_bytes value;
	int code = store_seek(op->txn, key_bytes(&key), &found, &value);

	while (code == 0 && key_has_prefix(found, &key, 1)) {
		struct lease_record record;
		uint32_t addr;

		if (!key_addr(found, &addr))
			return op_fail(op, POOL_E_DAMAGED);
		if (ret->n == SCAN_BATCH) {
			*ret_next = addr;
			return 0;
		}
		code = record_get_lease(op->txn, addr, &record);
		if (code < 0)
			return op_fail(op, code);
		if (is_dead(op, addr, &record))
			suspect(ret, addr, &record);
		code = store_next(op->txn, &found, &value);
	}
	return code == 0 || code == POOL_E_NOT_FOUND ? 0 : op_fail(op, code);
}

int scan_dead(struct op *op, uint64_t from, bool modules, struct scan *ret, uint64_t *ret_next)
{
	const struct look look = {
		.first = (uint32_t)from,
		.last = UINT32_MAX,
		.is_suspect = is_dead_and_ours,
		.pool = CONFIG_NO_POOL,
	};

	ret->n = 0;
	*ret_next = UINT64_MAX;
	if (modules)
		return scan_modules(op, from, ret, ret_next);
	return look_through(op, &look, ret, ret_next);
}

static int recover(struct op *op, size_t pool, uint32_t addr, struct lease_record *record)
{
	int code;

	if (!is_dead_or_mislaid(op, pool, addr, record))
		return 0;
	code = lease_unqueue(op, addr, record);
	if (code < 0)
		return code;
	/* Its rest, if it has one, goes on in the queue that is ordered by time. */
	return lease_enqueue(op, pool,
			     lease_is_resting(op, addr, record) ? QUEUE_TIME : QUEUE_INDEX, addr,
			     record);
}

int scan_apply(struct op *op, size_t pool, const struct scan *scan, uint64_t *ret_reclaimed)
{
	for (size_t i = 0; i < scan->n; i++) {
		uint32_t addr = scan->suspects[i].addr;
		struct lease_record record;
		int code = record_get_lease(op->txn, addr, &record);

		if (code == POOL_E_NOT_FOUND)
			continue;
		if (code < 0)
			return op_fail(op, code);
		if (record.id != scan->suspects[i].id)
			continue;
		if (is_dead(op, addr, &record)) {
			code = lease_reclaim(op, addr, &record);
			if (ret_reclaimed != NULL)
				++*ret_reclaimed;
		} else if (!record.active && pool != CONFIG_NO_POOL) {
			code = recover(op, pool, addr, &record);
		}
		if (code < 0)
			return code;
	}
	return 0;
}
