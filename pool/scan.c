/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include "lease.h"
#include "registry.h"

/* Which registry records to go through, and what makes one worth asking for its owner: 1, 0 or an
 * error. */
struct look {
	uint32_t first;
	uint32_t last;
	int (*is_worth)(struct op *, size_t, uint32_t, const struct lease_record *);
	size_t pool; /* that is_worth is told of */
};

static int add(struct op *op, struct scan *scan, uint32_t addr, const struct lease_record *record)
{
	int code = owner_add_question(&scan->asked, addr, record->id);

	return code < 0 ? op_fail(op, code) : 0;
}

static int look_through(struct op *op, const struct look *look, struct scan *scan)
{
	struct registry registry;

	registry_from(&registry, op, look->first);
	while (registry_next(&registry) && registry.addr <= look->last) {
		const struct lease_record *record = &registry.record;
		int code = look->is_worth(op, look->pool, registry.addr, record);

		if (code > 0)
			code = add(op, scan, registry.addr, record);
		if (code < 0)
			return code;
	}
	return registry.code;
}

/* The snapshot is not needed for it: its pages can be used again meanwhile. */
static void ask(struct op *op, struct scan *scan)
{
	op_abort_txn(op);
	owner_ask(&op->pool->owners, &scan->asked, op->pool->env.threads);
	for (size_t i = 0; i < scan->asked.n; i++)
		scan->n += !scan->asked.list[i].live;
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

static int is_mislaid(struct op *op, size_t pool, uint32_t addr, const struct lease_record *record)
{
	int code;
	const struct pool_counters *counters;

	if (record->queue == QUEUE_ASIDE && record->order > op->stamp) {
		if (lease_is_own_end(op, addr) || owner_is_held(&op->pool->owners, addr))
			return 0;
		code = op_in_use(op, addr);
		return code < 0 ? code : code == 0;
	}
	counters = op_counters(op, pool, false, &code);
	if (counters == NULL)
		return code;
	return record->queue == QUEUE_NONE || record->pool != counters->number;
}

/* Nobody has the lock of a mislaid address: asked for it, it is found to be suspect. */
static int may_be_dead_or_mislaid(struct op *op, size_t pool, uint32_t addr,
				  const struct lease_record *record)
{
	return record->active ? !waits_for_module(record) : is_mislaid(op, pool, addr, record);
}

static int may_be_dead(struct op *op, size_t unused, uint32_t addr,
		       const struct lease_record *record)
{
	(void)op;
	(void)unused;
	(void)addr;
	return record->active && !waits_for_module(record);
}

int scan_pool(struct op *op, size_t pool, struct scan *ret)
{
	const struct range_set *dynamic = &op->pool->config->pools[pool].dynamic;

	*ret = (struct scan){ 0 };
	for (size_t i = 0; i < dynamic->n; i++) {
		const struct range *range = &dynamic->ranges[dynamic->by_address[i]];
		const struct look look = {
			.first = range->first,
			.last = range->last,
			.is_worth = may_be_dead_or_mislaid,
			.pool = pool,
		};
		int code = look_through(op, &look, ret);

		if (code < 0)
			return code;
	}
	ask(op, ret);
	return 0;
}

static int look_through_modules(struct op *op, struct scan *scan)
{
	const struct key begin = key_foreign(0);
	struct entries entries = entries_from(op->txn, &begin, 1);

	while (entries_next(&entries)) {
		struct lease_record record;
		uint32_t addr;
		int code;

		if (!key_addr(entries.key, &addr))
			return op_fail(op, POOL_E_DAMAGED);
		code = record_get_lease(op->txn, addr, &record);
		if (code < 0)
			return op_fail(op, code);
		if (record.active)
			code = add(op, scan, addr, &record);
		if (code < 0)
			return code;
	}
	return entries.code < 0 ? op_fail(op, entries.code) : 0;
}

int scan_dead(struct op *op, bool modules, struct scan *ret)
{
	const struct look look = {
		.first = 0,
		.last = UINT32_MAX,
		.is_worth = may_be_dead,
		.pool = CONFIG_NO_POOL,
	};
	int code;

	*ret = (struct scan){ 0 };
	code = modules ? look_through_modules(op, ret) : look_through(op, &look, ret);
	if (code == 0)
		ask(op, ret);
	return code;
}

static int recover(struct op *op, size_t pool, uint32_t addr, struct lease_record *record)
{
	int code;

	code = is_mislaid(op, pool, addr, record);
	if (code <= 0)
		return code;
	code = lease_unqueue(op, addr, record);
	if (code < 0)
		return code;
	/* Its rest, if it has one, goes on in the queue that is ordered by time. */
	return lease_enqueue(op, pool,
			     lease_is_resting(op, addr, record) ? QUEUE_TIME : QUEUE_INDEX, addr,
			     record);
}

/* It may have ended, or become somebody else's, since the scan. */
static int settle(struct op *op, size_t pool, const struct owner_question *suspect,
		  uint64_t *ret_reclaimed)
{
	struct lease_record record;
	int code = record_get_lease(op->txn, suspect->addr, &record);

	if (code == POOL_E_NOT_FOUND)
		return 0;
	if (code < 0)
		return op_fail(op, code);
	if (record.id != suspect->id)
		return 0;
	if (is_dead(op, suspect->addr, &record)) {
		if (ret_reclaimed != NULL)
			++*ret_reclaimed;
		return lease_reclaim(op, suspect->addr, &record);
	}
	if (record.active || pool == CONFIG_NO_POOL)
		return 0;
	return recover(op, pool, suspect->addr, &record);
}

int scan_apply(struct op *op, size_t pool, struct scan *scan, uint64_t *ret_reclaimed)
{
	int code = 0;

	for (size_t n = 0; code == 0 && n < SCAN_BATCH && scan->at < scan->asked.n; scan->at++) {
		if (scan->asked.list[scan->at].live)
			continue;
		code = settle(op, pool, &scan->asked.list[scan->at], ret_reclaimed);
		n++;
	}
	return code;
}

bool scan_is_over(const struct scan *scan)
{
	return scan->n == 0 || scan->at == scan->asked.n;
}

void scan_done(struct scan *scan)
{
	owner_questions_done(&scan->asked);
	*scan = (struct scan){ 0 };
}
