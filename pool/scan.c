/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "lease.h"
#include "registry.h"

/* Leases of foreign modules that one request looks at: of its user and of its port, and of all. */
#define FOREIGN_OWN_MAX 16
#define FOREIGN_TURN 64
/* Who is dead for longer is told of before anybody asks a module for an address, which may have none
 * before; for nobody is asked twice (RA-30). */
#define FOREIGN_ALL_US UINT64_C(1000000)

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
	return record->active ? !record_waits_for_module(record)
			      : is_mislaid(op, pool, addr, record);
}

static int may_be_dead(struct op *op, size_t unused, uint32_t addr,
		       const struct lease_record *record)
{
	(void)op;
	(void)unused;
	(void)addr;
	return record->active && !record_waits_for_module(record);
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

	*ret = (struct scan){ .batch = modules ? 1 : SCAN_BATCH };
	code = modules ? look_through_modules(op, ret) : look_through(op, &look, ret);
	if (code == 0)
		ask(op, ret);
	return code;
}

/* Leases of foreign modules, to be asked for in the order of their addresses. */
struct chosen {
	struct owner_question list[FOREIGN_OWN_MAX * 2 + 1 + FOREIGN_TURN];
	size_t n;
};

static int choose_foreign(struct op *op, uint32_t addr, struct chosen *chosen)
{
	struct lease_record record;
	int code = record_get_lease(op->txn, addr, &record);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	if (code == 0 && record.active && record.module[0] != '\0')
		chosen->list[chosen->n++] =
			(struct owner_question){ .id = record.id, .addr = addr };
	return 0;
}

/* A row of marks: those that share this much of the key that they begin at. */
struct marks {
	struct key begin;
	size_t prefix;
	size_t limit;  /* look at so many; how many are left of that, afterwards */
	uint32_t next; /* the address behind them; 0: they were the last */
};

static int choose_marked(struct op *op, struct marks *marks, struct chosen *chosen)
{
	uint32_t addrs[FOREIGN_TURN];
	struct entries entries = entries_from(op->txn, &marks->begin, marks->prefix);
	size_t n = 0;
	int code = 0;

	while (marks->next == 0 && entries_next(&entries)) {
		uint32_t addr;

		if (!key_addr(entries.key, &addr))
			return op_fail(op, POOL_E_DAMAGED);
		if (n == marks->limit)
			marks->next = addr;
		else
			addrs[n++] = addr;
	}
	if (entries.code < 0)
		return op_fail(op, entries.code);
	marks->limit -= n;
	for (size_t i = 0; i < n && code == 0; i++)
		code = choose_foreign(op, addrs[i], chosen);
	return code;
}

static int choose_of_request(struct op *op, const struct pool_request *request,
			     struct chosen *chosen)
{
	struct marks of_user = { .limit = FOREIGN_OWN_MAX };
	struct marks of_port = { .limit = FOREIGN_OWN_MAX };
	char user[POOL_USER_MAX + 1];
	char port[POOL_PORT_MAX + 1];
	int code;

	/* No lease has longer names. */
	snprintf(user, sizeof(user), "%s", request->user);
	snprintf(port, sizeof(port), "%s", request->port);
	of_user.begin = key_foreign_user(user, 0);
	of_user.prefix = of_user.begin.size - sizeof(uint32_t);
	of_port.begin = key_foreign_port(port, 0);
	of_port.prefix = of_port.begin.size - sizeof(uint32_t);
	code = choose_marked(op, &of_user, chosen);
	if (code == 0)
		code = choose_marked(op, &of_port, chosen);
	if (code == 0 && request->candidate_be != 0)
		code = choose_foreign(op, ntohl(request->candidate_be), chosen);
	return code;
}

/* From where the last look has ended, and from the beginning again. */
static int choose_in_turn(struct op *op, struct chosen *chosen, struct scan_turn *ret)
{
	struct marks marks = { .prefix = 1, .limit = FOREIGN_TURN };
	uint32_t from = 0;
	int code = record_get_foreign_next(op->txn, &from);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	marks.begin = key_foreign(from);
	code = choose_marked(op, &marks, chosen);
	if (code == 0 && marks.next == 0 && from != 0) {
		marks.begin = key_foreign(0);
		code = choose_marked(op, &marks, chosen);
	}
	*ret = (struct scan_turn){ .from = from, .next = marks.next };
	return code;
}

static int by_addr(const void *a, const void *b)
{
	const struct owner_question *one = a;
	const struct owner_question *two = b;

	return (one->addr > two->addr) - (one->addr < two->addr);
}

static int is_time_for_all(struct op *op, bool *ret)
{
	uint64_t seen_us = 0;
	int code = record_get_foreign_seen(op->txn, &seen_us);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	*ret = seen_us > op->stamp || op->stamp - seen_us >= FOREIGN_ALL_US;
	return 0;
}

static int ask_chosen(struct op *op, struct chosen *chosen, struct scan *ret)
{
	int code = 0;

	*ret = (struct scan){ .batch = 1 };
	qsort(chosen->list, chosen->n, sizeof(chosen->list[0]), by_addr);
	for (size_t i = 0; i < chosen->n && code == 0; i++) {
		if (i > 0 && chosen->list[i].addr == chosen->list[i - 1].addr)
			continue;
		code = owner_add_question(&ret->asked, chosen->list[i].addr, chosen->list[i].id);
		code = code < 0 ? op_fail(op, code) : 0;
	}
	if (code == 0)
		ask(op, ret);
	return code;
}

int scan_modules_for(struct op *op, const struct pool_request *request, struct scan_turn *ret_turn,
		     struct scan *ret)
{
	struct chosen chosen = { .n = 0 };
	bool all = false;
	int code = choose_of_request(op, request, &chosen);

	*ret = (struct scan){ 0 };
	if (code == 0)
		code = choose_in_turn(op, &chosen, ret_turn);
	if (code == 0 && ret_turn->next != 0)
		code = is_time_for_all(op, &all);
	if (code < 0)
		return code;
	if (!all)
		return ask_chosen(op, &chosen, ret);
	ret_turn->seen_us = op->stamp;
	return scan_dead(op, true, ret);
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
	size_t batch = scan->batch > 0 ? scan->batch : SCAN_BATCH;
	int code = 0;

	for (size_t n = 0; code == 0 && n < batch && scan->at < scan->asked.n; scan->at++) {
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
