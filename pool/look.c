/* SPDX-License-Identifier: MIT */
/*
 * look.c - what the operator sees of the store, and the little he may change in it.
 */
#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"
#include "madcap/endpoint.h"
#include "op.h"
#include "parse.h"
#include "registry.h"

/* ---- pools by number ------------------------------------------------------------------------ */

/* What the numbers in records mean, also of pools that the configuration no longer has. */
struct known_pool {
	uint32_t number;
	size_t pool; /* of the configuration, or CONFIG_NO_POOL */
	char name[CONFIG_POOL_NAME_MAX + 1];
};

struct known_pools {
	struct known_pool *list;
	size_t n;
	size_t last; /* that was asked for */
};

static int add_pool(const struct op *op, struct known_pools *pools, struct store_bytes key,
		    uint32_t number)
{
	size_t length = key.size - 1;
	void *grown = realloc(pools->list, (pools->n + 1) * sizeof(*pools->list));
	struct known_pool *added;

	if (grown == NULL)
		return POOL_E_NO_MEMORY;
	pools->list = grown;
	if (length > CONFIG_POOL_NAME_MAX)
		return POOL_E_DAMAGED;
	added = &pools->list[pools->n++];
	added->number = number;
	memcpy(added->name, (const char *)key.data + 1, length);
	added->name[length] = '\0';
	added->pool = config_find_pool(op->pool->config, added->name);
	return 0;
}

static int read_pools(struct op *op, struct known_pools *ret)
{
	const struct key begin = key_pool("");
	struct entries entries = entries_from(op->txn, &begin, 1);

	*ret = (struct known_pools){ 0 };
	while (entries_next(&entries)) {
		struct pool_counters counters;
		int code = record_decode_pool(entries.value, &counters);

		if (code == 0 && entries.key.size > 1)
			code = add_pool(op, ret, entries.key, counters.number);
		if (code < 0)
			return op_fail(op, code);
	}
	return entries.code < 0 ? op_fail(op, entries.code) : 0;
}

/* Most often it is the same as the last one. */
static const struct known_pool *pool_of(struct known_pools *pools,
					const struct lease_record *record)
{
	static const struct known_pool none = { .pool = CONFIG_NO_POOL };

	if (pools->last < pools->n && pools->list[pools->last].number == record->pool)
		return &pools->list[pools->last];
	for (size_t i = 0; i < pools->n; i++) {
		if (pools->list[i].number == record->pool) {
			pools->last = i;
			return &pools->list[i];
		}
	}
	return &none;
}

/* ---- records -------------------------------------------------------------------------------- */

/* Store time to wall clock, by what both say now. */
static int64_t wall_time(const struct op *op, uint64_t stamp)
{
	if (stamp == UINT64_MAX)
		return INT64_MAX;
	return op->now_sec + ((int64_t)stamp - (int64_t)op->stamp + 999999) / 1000000;
}

/* The server's lease under an active one, where there is any; `server` is for its name. */
static int describe_server(struct op *op, uint32_t addr, const struct lease_record *record,
			   size_t pool, char server[static POOL_SERVER_TEXT],
			   struct pool_record *ret)
{
	const struct config *config = op->pool->config;
	struct served_record served;
	int code;

	if (!record->active || pool == CONFIG_NO_POOL ||
	    config->pools[pool].backend != BACKEND_MADCAP)
		return 0;
	ret->group_be = htonl(config_group(&config->pools[pool], addr));
	code = record_get_served(op->txn, addr, &served);
	if (code < 0)
		return code == POOL_E_NOT_FOUND ? 0 : op_fail(op, code);
	ret->server = madcap_endpoint_format(&served.server, server);
	ret->expires_sec = served.end_sec;
	return 0;
}

/* What stands on an address. `server` is for the name of the server behind it. */
static int describe(struct op *op, uint32_t addr, const struct lease_record *record,
		    const struct known_pool *pool, char server[static POOL_SERVER_TEXT],
		    struct pool_record *ret)
{
	uint64_t rest_end = lease_rest_end(op, addr, record);

	*ret = (struct pool_record){
		.addr_be = htonl(addr),
		.state = record->active  ? POOL_STATE_ACTIVE
			 : rest_end != 0 ? POOL_STATE_HELD
					 : POOL_STATE_REMEMBERED,
		.pool = pool->name,
		.user = record->user,
		.port = record->port,
		.module = record->module,
		.notify = record->active && record->notify && record->module[0] != '\0',
		.since_sec = record->since_sec,
		.expires_sec = rest_end != 0 ? wall_time(op, rest_end) : 0,
		.pid = record->active ? record->pid : 0,
		.seen_ms =
			record->active ? ((int64_t)record->since_us - CLOCK_OFFSET_US) / 1000 : 0,
		.id = record->id,
		.server = "",
	};
	return describe_server(op, addr, record, pool->pool, server, ret);
}

/* Which records are wanted, and what is done with them. */
struct walk {
	const struct pool_filter *filter;
	size_t literal; /* so many bytes of the filter's user_glob mean themselves */
	struct known_pools pools;
	int (*each)(void *context, const struct pool_record *record);
	void *context;
};

/* Nobody's, and free: what was forgotten is not shown. */
static bool is_blank(const struct op *op, uint32_t addr, const struct lease_record *record)
{
	return !record->active && record->user[0] == '\0' && !lease_is_resting(op, addr, record);
}

static bool fits_user(const struct walk *walk, const char *user)
{
	const char *glob = walk->filter->user_glob;

	return glob == NULL || (strncmp(glob, user, walk->literal) == 0 &&
				fnmatch(glob + walk->literal, user + walk->literal, 0) == 0);
}

static bool fits(const struct op *op, struct walk *walk, uint32_t addr,
		 const struct lease_record *record)
{
	const struct pool_filter *filter = walk->filter;

	if (!record->active && (!filter->all || is_blank(op, addr, record)))
		return false;
	if (filter->addr_be != 0 && htonl(addr) != filter->addr_be)
		return false;
	if (!fits_user(walk, record->user))
		return false;
	return filter->pool == NULL ||
	       strcmp(filter->pool, pool_of(&walk->pools, record)->name) == 0;
}

static int see(struct op *op, struct walk *walk, uint32_t addr, const struct lease_record *record)
{
	struct pool_record seen;
	char server[POOL_SERVER_TEXT];
	int code;

	if (!fits(op, walk, addr, record))
		return 0;
	code = describe(op, addr, record, pool_of(&walk->pools, record), server, &seen);
	return code == 0 ? walk->each(walk->context, &seen) : code;
}

static int walk_all(struct op *op, struct walk *walk)
{
	uint32_t only = ntohl(walk->filter->addr_be);
	struct registry registry;

	registry_from(&registry, op, only);
	while (registry_next(&registry)) {
		int code = see(op, walk, registry.addr, &registry.record);

		if (code != 0)
			return code;
		if (only != 0)
			break;
	}
	return registry.code;
}

static int collect_active(struct op *op, struct owner_questions *questions)
{
	struct registry registry;

	registry_from(&registry, op, 0);
	while (registry_next(&registry)) {
		int code = 0;

		if (registry.record.active)
			code = owner_add_question(questions, registry.addr, registry.record.id);
		if (code < 0)
			return op_fail(op, code);
	}
	return registry.code;
}

/* Most of those that are without a lock although they were active have ended well since then:
 * POOL_E_NOT_FOUND. */
static int get_unowned(struct op *op, uint32_t addr, uint64_t id, struct lease_record *ret)
{
	int code = record_get_lease(op->txn, addr, ret);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	return code == 0 && ret->active && ret->id == id ? 0 : POOL_E_NOT_FOUND;
}

/* In a snapshot that was taken after the locks were looked at. */
static int walk_unowned(struct op *op, struct walk *walk, const struct owner_questions *questions)
{
	for (size_t i = 0; i < questions->n; i++) {
		const struct owner_question *question = &questions->list[i];
		struct lease_record record;
		int code;

		if (question->live)
			continue;
		code = get_unowned(op, question->addr, question->id, &record);
		if (code == POOL_E_NOT_FOUND)
			continue;
		if (code == 0)
			code = see(op, walk, question->addr, &record);
		if (code != 0)
			return code;
	}
	return 0;
}

static int walk_dead(struct op *op, struct walk *walk)
{
	struct owner_questions questions = { 0 };
	int code = collect_active(op, &questions);

	if (code == 0) {
		op_abort_txn(op);
		owner_ask(&op->pool->owners, &questions, op->pool->env.threads);
		code = op_begin_txn(op, false);
	}
	if (code == 0)
		code = walk_unowned(op, walk, &questions);
	owner_questions_done(&questions);
	return code;
}

int pool_walk(struct pool *pool, const struct pool_filter *filter,
	      int (*each)(void *context, const struct pool_record *record), void *context,
	      struct error *why)
{
	const struct pool_filter any = { 0 };
	struct walk walk = {
		.filter = filter != NULL ? filter : &any,
		.each = each,
		.context = context,
	};
	struct op op;
	int code = op_begin(&op, pool, false, why);

	if (code < 0)
		return code;
	if (walk.filter->user_glob != NULL)
		walk.literal = strcspn(walk.filter->user_glob, "*?[\\");
	code = read_pools(&op, &walk.pools);
	if (code == 0)
		code = walk.filter->dead ? walk_dead(&op, &walk) : walk_all(&op, &walk);
	free(walk.pools.list);
	op_done(&op);
	return code;
}

int pool_lookup(struct pool *pool, uint32_t addr_be, struct pool_record *ret_record,
		bool *ret_alive, struct error *why)
{
	uint32_t addr = ntohl(addr_be);
	struct known_pools pools = { 0 };
	struct op op;
	int code = op_begin(&op, pool, false, why);

	if (code < 0)
		return code;
	code = record_get_lease(op.txn, addr, &pool->looked_up);
	if (code == POOL_E_NOT_FOUND)
		error_set(why, "no lease for this address");
	else if (code < 0)
		op_fail(&op, code);
	else
		code = read_pools(&op, &pools);
	if (code == 0) {
		*ret_alive = pool->looked_up.active && owner_is_live(&pool->owners, addr);
		code = describe(&op, addr, &pool->looked_up, pool_of(&pools, &pool->looked_up),
				pool->looked_up_server, ret_record);
	}
	if (code == 0) {
		snprintf(pool->looked_up_pool, sizeof(pool->looked_up_pool), "%s",
			 ret_record->pool);
		ret_record->pool = pool->looked_up_pool;
	}
	free(pools.list);
	op_done(&op);
	return code;
}

/* ---- owners --------------------------------------------------------------------------------- */

static int ask_owners(struct op *op, struct pool_owner *owners, size_t n)
{
	struct owner_questions questions = { 0 };
	int code = 0;

	for (size_t i = 0; code == 0 && i < n; i++)
		code = owner_add_question(&questions, ntohl(owners[i].addr_be), owners[i].id);
	if (code == 0)
		owner_ask(&op->pool->owners, &questions, op->pool->env.threads);
	else
		error_set(op->error, "%s", pool_strerror(code));
	for (size_t i = 0; code == 0 && i < n; i++)
		owners[i].dead = !questions.list[i].live;
	owner_questions_done(&questions);
	return code;
}

static int spare_ended(struct op *op, struct pool_owner *owners, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct lease_record record;
		int code;

		if (!owners[i].dead)
			continue;
		code = get_unowned(op, ntohl(owners[i].addr_be), owners[i].id, &record);
		owners[i].dead = code == 0;
		if (code < 0 && code != POOL_E_NOT_FOUND)
			return code;
	}
	return 0;
}

int pool_find_dead(struct pool *pool, struct pool_owner *owners, size_t n, struct error *why)
{
	struct op op;
	int code = op_open(&op, pool, false, why);

	if (code < 0)
		return code;
	code = ask_owners(&op, owners, n);
	if (code == 0)
		code = op_begin_txn(&op, false);
	if (code == 0)
		code = spare_ended(&op, owners, n);
	op_done(&op);
	return code;
}

/* ---- statistics ----------------------------------------------------------------------------- */

/* One address of the registry, for the pool that has it now. */
static void count_record(struct op *op, uint32_t addr, const struct lease_record *record,
			 struct pool_stats *stats)
{
	size_t pool = lease_dynamic_pool(op, addr);
	size_t owner = record->active ? op_pool_by_number(op, record->pool, addr) : CONFIG_NO_POOL;

	if (owner != CONFIG_NO_POOL)
		stats[owner].active++;
	if (pool == CONFIG_NO_POOL)
		return;
	if (record->active) {
		stats[pool].free--;
	} else if (lease_is_resting(op, addr, record)) {
		stats[pool].held++;
		stats[pool].free--;
	}
}

static int count_records(struct op *op, struct pool_stats *stats)
{
	struct registry registry;

	registry_from(&registry, op, 0);
	while (registry_next(&registry))
		count_record(op, registry.addr, &registry.record, stats);
	return registry.code;
}

static int copy_counters(struct op *op, struct pool_stats *stats)
{
	for (size_t i = 0; i < op->pool->config->n_pools; i++) {
		struct pool_counters counters;
		int code = record_get_pool(op->txn, op_pool_name(op, i), &counters);

		if (code == POOL_E_NOT_FOUND)
			continue;
		if (code < 0)
			return op_fail(op, code);
		stats[i].peak = counters.peak;
		stats[i].grants = counters.grants;
		stats[i].refusals = counters.refusals;
		stats[i].reclaims = counters.reclaims;
	}
	return 0;
}

static void begin_stats(const struct config_pool *config, struct pool_stats *ret)
{
	*ret = (struct pool_stats){
		.config = config,
		.size = config->givable.count,
		.reserved = config->givable.count - config->dynamic.count,
		.free = config->dynamic.count,
	};
}

static void end_stats(struct pool_stats *stats)
{
	if (stats->config->mode != MODE_OPEN)
		stats->free = 0;
	if (stats->size > 0)
		stats->utilisation = (double)stats->active * 100 / (double)stats->size;
}

int pool_stats(struct pool *pool, struct pool_stats *ret, struct error *why)
{
	const struct config *config = pool->config;
	struct op op;
	int code;

	for (size_t i = 0; i < config->n_pools; i++)
		begin_stats(&config->pools[i], &ret[i]);
	code = op_begin(&op, pool, false, why);
	if (code == 0) {
		code = copy_counters(&op, ret);
		if (code == 0)
			code = count_records(&op, ret);
		op_done(&op);
	}
	for (size_t i = 0; i < config->n_pools; i++)
		end_stats(&ret[i]);
	return code == POOL_E_NOT_FOUND ? 0 : code;
}

/* ---- changing ------------------------------------------------------------------------------- */

static int forget(struct op *op, uint32_t addr)
{
	struct lease_record record;
	char text[IP4_TEXT_SIZE];
	int code = record_get_lease(op->txn, addr, &record);

	if (code == 0 && is_blank(op, addr, &record))
		code = POOL_E_NOT_FOUND;
	if (code == POOL_E_NOT_FOUND)
		error_set(op->error, "nothing is known of %s", format_ip4(addr, text));
	else if (code < 0)
		op_fail(op, code);
	if (code < 0)
		return code;
	if (record.active && owner_is_live(&op->pool->owners, addr)) {
		error_set(op->error, "%s belongs to a live session", format_ip4(addr, text));
		return POOL_E_NOT_OWNER;
	}
	return record.active ? lease_reclaim(op, addr, &record) : lease_forget(op, addr, &record);
}

int pool_forget(struct pool *pool, uint32_t addr_be, struct error *why)
{
	struct op op;
	int code = op_begin(&op, pool, true, why);

	return code < 0 ? code : op_end(&op, forget(&op, ntohl(addr_be)));
}

static int take_back(struct op *op, uint32_t addr, uint64_t id)
{
	struct lease_record record;
	char text[IP4_TEXT_SIZE];
	int code = get_unowned(op, addr, id, &record);

	if (code == POOL_E_NOT_FOUND)
		error_set(op->error, "the lease of %s has ended", format_ip4(addr, text));
	if (code < 0)
		return code;
	if (owner_is_live(&op->pool->owners, addr)) {
		error_set(op->error, "%s belongs to a live session", format_ip4(addr, text));
		return POOL_E_NOT_OWNER;
	}
	return lease_reclaim(op, addr, &record);
}

int pool_take_back(struct pool *pool, uint32_t addr_be, uint64_t id, struct error *why)
{
	struct op op;
	int code = op_begin(&op, pool, true, why);

	return code < 0 ? code : op_end(&op, take_back(&op, ntohl(addr_be), id));
}
