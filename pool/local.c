/* SPDX-License-Identifier: MIT */
#include "local.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "parse.h"
#include "permute.h"

/* How far one choice goes for comfort; none of these limits what is found when it matters. */
#define REMEMBERED_TRIES 16 /* of the user's last addresses */
#define OWN_DEAD_TRIES 4    /* of the user's active leases, where no limit has to be checked */
#define MOVES_MAX 4096      /* addresses whose rest has ended, moved to the other queue at once */

/* One pool, as one choice sees it. */
struct local {
	struct op *op;
	size_t pool;
	const struct config_pool *config;
	struct pool_counters *counters;
	struct choice *choice;
};

static struct local make_local(struct op *op, size_t pool, struct choice *choice)
{
	return (struct local){
		.op = op,
		.pool = pool,
		.config = &op->pool->config->pools[pool],
		.choice = choice,
	};
}

/* An address that is free as far as the store goes. */
struct candidate {
	uint32_t addr;
	enum queue queue; /* QUEUE_NONE: never used */
	uint64_t order;
};

/* The first entry of a queue at or behind `from`. 0, LOCAL_FULL: none, or an error. */
static int queue_first(struct local *local, enum queue queue, uint64_t from, struct candidate *ret)
{
	struct key key = key_queue(local->counters->number, queue, from, 0);
	struct store_bytes found;
	struct store_bytes value;
	int code = store_seek(local->op->txn, key_bytes(&key), &found, &value);

	if (code == POOL_E_NOT_FOUND ||
	    (code == 0 && !key_has_prefix(found, &key, key_queue_prefix())))
		return LOCAL_FULL;
	if (code == 0 && !key_addr(found, &ret->addr))
		code = POOL_E_DAMAGED;
	if (code != 0)
		return op_fail(local->op, code);
	ret->queue = queue;
	ret->order = key_queue_order(found);
	return 0;
}

static uint64_t hold_us(const struct local *local)
{
	int64_t hold = local->config->hold_sec;

	return hold >= HOLD_FOREVER_SEC ? UINT64_MAX >> 2 : (uint64_t)hold * 1000000;
}

/* The address that was released first, if its rest is over. */
static int rested_first(struct local *local, struct candidate *ret)
{
	int code = queue_first(local, QUEUE_TIME, 0, ret);

	if (code == 0 && ret->order + hold_us(local) > local->op->stamp)
		return LOCAL_FULL;
	return code;
}

/* What a queue's entry says, against the registry. 0: so it is; LOCAL_FULL: the entry is stale and
 * has been taken out; else an error. */
static int check_entry(struct local *local, const struct candidate *candidate,
		       struct lease_record *ret)
{
	struct key key = key_queue(local->counters->number, candidate->queue, candidate->order,
				   candidate->addr);
	int code = record_get_lease(local->op->txn, candidate->addr, ret);
	bool same;

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(local->op, code);
	same = code == 0 && !ret->active && ret->queue == candidate->queue &&
	       ret->order == candidate->order && ret->pool == local->counters->number;
	if (same && range_set_find(&local->config->dynamic, candidate->addr, NULL))
		return 0;
	code = record_delete(local->op->txn, &key);
	if (code == 0 && same) {
		/* The configuration moved the address elsewhere: there a scan will find it. */
		ret->queue = QUEUE_NONE;
		code = record_put_lease(local->op->txn, candidate->addr, ret);
	}
	return code < 0 ? op_fail(local->op, code) : LOCAL_FULL;
}

/* Moves a free address of this pool from its queue into another one. */
static int requeue(struct local *local, const struct candidate *candidate, enum queue queue)
{
	struct lease_record record;
	int code = check_entry(local, candidate, &record);

	if (code == LOCAL_FULL)
		return 0;
	if (code == 0)
		code = lease_unqueue(local->op, candidate->addr, &record);
	if (code == 0)
		code = lease_enqueue(local->op, local->pool, queue, candidate->addr, &record);
	return code;
}

/* Conflicts are looked at again once their time is over. */
static int end_asides(struct local *local)
{
	struct candidate candidate;
	int code = 0;

	for (int i = 0; i < MOVES_MAX && code == 0; i++) {
		code = queue_first(local, QUEUE_ASIDE, 0, &candidate);
		if (code == 0 && candidate.order > local->op->stamp)
			return 0;
		if (code == 0)
			code = requeue(local, &candidate, QUEUE_INDEX);
	}
	return code == LOCAL_FULL ? 0 : code;
}

/* For the orders that choose by index: rest is a matter of time, so it is waited for elsewhere. */
static int end_rests(struct local *local)
{
	struct candidate candidate;
	int code = 0;

	for (int i = 0; i < MOVES_MAX && code == 0; i++) {
		code = rested_first(local, &candidate);
		if (code == 0)
			code = requeue(local, &candidate, QUEUE_INDEX);
	}
	return code == LOCAL_FULL ? 0 : code;
}

static uint32_t address_at_position(const struct local *local)
{
	const struct range_set *dynamic = &local->config->dynamic;
	uint64_t position = local->counters->position;

	if (local->config->order == ORDER_RANDOM)
		position = permute(position, dynamic->count, local->counters->key);
	return range_set_at(dynamic, position);
}

/* The next address that the store knows nothing of; passes over those that it knows. */
static int never_used(struct local *local, struct candidate *ret)
{
	while (local->counters->position < local->config->dynamic.count) {
		uint32_t addr = address_at_position(local);
		struct key key = key_lease(addr);
		struct store_bytes value;
		int code = store_get(local->op->txn, key_bytes(&key), &value);

		if (code == POOL_E_NOT_FOUND) {
			*ret = (struct candidate){ .addr = addr, .queue = QUEUE_NONE };
			return 0;
		}
		if (code < 0)
			return op_fail(local->op, code);
		local->counters->position++;
	}
	return LOCAL_FULL;
}

static int next_least_recent(struct local *local, struct candidate *ret)
{
	int code = never_used(local, ret);

	if (code == LOCAL_FULL)
		code = rested_first(local, ret);
	if (code == LOCAL_FULL)
		code = queue_first(local, QUEUE_INDEX, 0, ret);
	return code;
}

static int next_sequential(struct local *local, struct candidate *ret)
{
	struct candidate used;
	uint64_t index;
	int code = queue_first(local, QUEUE_INDEX, 0, &used);
	int fresh;

	if (code < 0)
		return code;
	fresh = never_used(local, ret);
	if (fresh < 0)
		return fresh;
	if (fresh == 0 && range_set_find(&local->config->ranges, ret->addr, &index) &&
	    (code != 0 || index < used.order))
		return 0;
	if (code == 0)
		*ret = used;
	return code;
}

/* A queue's entry at a random place, the first one again behind the last. */
static int queue_random(struct local *local, struct candidate *ret)
{
	const struct pool_env *env = &local->op->pool->env;
	uint64_t from = env->random(env->context) % local->config->ranges.count;
	int code = queue_first(local, QUEUE_INDEX, from, ret);

	return code == LOCAL_FULL ? queue_first(local, QUEUE_INDEX, 0, ret) : code;
}

static int next_random(struct local *local, struct candidate *ret)
{
	const struct pool_env *env = &local->op->pool->env;
	uint64_t draw = env->random(env->context) % local->config->dynamic.count;
	int code;

	if (draw < local->counters->position) {
		code = queue_random(local, ret);
		return code == LOCAL_FULL ? never_used(local, ret) : code;
	}
	code = never_used(local, ret);
	return code == LOCAL_FULL ? queue_random(local, ret) : code;
}

static int next_candidate(struct local *local, struct candidate *ret)
{
	int code;

	if (local->config->order == ORDER_LEAST_RECENT)
		return next_least_recent(local, ret);
	code = local->config->order == ORDER_RANDOM ? next_random(local, ret)
						    : next_sequential(local, ret);
	/* What end_rests() left: it may have spent all of its moves on stale entries. */
	return code == LOCAL_FULL ? rested_first(local, ret) : code;
}

static int put_aside(struct local *local, uint32_t addr, struct lease_record *record)
{
	int code = lease_unqueue(local->op, addr, record);

	if (code == 0)
		code = lease_enqueue(local->op, local->pool, QUEUE_ASIDE, addr, record);
	if (code == 0)
		op_note(local->op, POOL_EVENT_CONFLICT, addr, local->pool, NULL,
			local->op->error->text);
	return code;
}

/* 0: taken; LOCAL_FULL: not this one, the next may do; else an error. */
static int try_candidate(struct local *local, const struct candidate *candidate)
{
	struct choice *choice = local->choice;
	int code = 0;

	choice->was_known = candidate->queue != QUEUE_NONE;
	choice->known = (struct lease_record){ .since_sec = local->op->now_sec };
	if (choice->was_known)
		code = check_entry(local, candidate, &choice->known);
	else
		local->counters->position++;
	if (code != 0)
		return code;
	/* A longer `hold` has been configured since it came into this queue. */
	if (candidate->queue == QUEUE_INDEX &&
	    lease_is_resting(local->op, candidate->addr, &choice->known)) {
		code = requeue(local, candidate, QUEUE_TIME);
		return code == 0 ? LOCAL_FULL : code;
	}
	code = lease_take(local->op, candidate->addr, choice);
	if (code != POOL_E_REFUSED)
		return code;
	code = put_aside(local, candidate->addr, &choice->known);
	return code == 0 ? LOCAL_FULL : code;
}

static int choose_by_order(struct local *local)
{
	struct candidate candidate;
	int code = end_asides(local);

	if (code == 0 && local->config->order != ORDER_LEAST_RECENT)
		code = end_rests(local);
	while (code == 0) {
		code = next_candidate(local, &candidate);
		if (code != 0)
			return code;
		code = try_candidate(local, &candidate);
		if (code == 0)
			local->choice->how = POOL_HOW_NEW;
		if (code != LOCAL_FULL)
			return code;
		code = 0;
	}
	return code;
}

/* Whether this address, which the user had, is free for him. 0: it is; LOCAL_FULL; or an error. */
static int look_at_remembered(struct local *local, uint32_t addr, struct lease_record *ret)
{
	int code = record_get_lease(local->op->txn, addr, ret);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(local->op, code);
	if (code < 0 || ret->active || ret->queue == QUEUE_ASIDE ||
	    strcmp(ret->user, local->op->request->user) != 0 ||
	    !range_set_find(&local->config->dynamic, addr, NULL))
		return LOCAL_FULL;
	return 0;
}

/* Whether the user may have back this address that he had. As try_candidate. */
static int try_remembered(struct local *local, uint32_t addr)
{
	struct choice *choice = local->choice;
	int code = look_at_remembered(local, addr, &choice->known);

	if (code != 0)
		return code;
	code = lease_take(local->op, addr, choice);
	choice->was_known = true;
	choice->how = POOL_HOW_STICKY;
	return code == POOL_E_REFUSED ? LOCAL_FULL : code;
}

/* Those of the addresses that the user had which are this pool's now, the latest first; `try` as
 * try_remembered. */
static int each_remembered(struct local *local, uint64_t tries,
			   int (*try)(struct local *local, uint32_t addr))
{
	const char *user = local->op->request->user;
	struct key key = key_user_remembered(user, UINT64_MAX, 0);
	struct store_bytes found;
	struct store_bytes value;
	int code;

	if (user[0] == '\0')
		return LOCAL_FULL;
	code = store_seek(local->op->txn, key_bytes(&key), &found, &value);
	for (uint64_t i = 0; i < tries && code == 0; i++) {
		uint32_t addr;

		if (!key_has_prefix(found, &key, key_user_prefix(user)) || !key_addr(found, &addr))
			return LOCAL_FULL;
		code = try(local, addr);
		if (code != LOCAL_FULL)
			return code;
		code = store_next(local->op->txn, &found, &value);
	}
	return code < 0 && code != POOL_E_NOT_FOUND ? op_fail(local->op, code) : LOCAL_FULL;
}

static int choose_remembered(struct local *local, uint64_t tries)
{
	return each_remembered(local, tries, try_remembered);
}

static int note_remembered(struct local *local, uint32_t addr)
{
	int code = look_at_remembered(local, addr, &local->choice->known);

	if (code == 0)
		local->choice->addr = addr;
	return code;
}

/* The user's first active lease in this pool at or behind `from`; LOCAL_FULL: no more. */
static int next_active(struct local *local, uint32_t from, uint32_t *ret_addr,
		       struct lease_record *ret)
{
	const char *user = local->op->request->user;
	struct key key = key_user_active(user, local->counters->number, from);
	struct store_bytes found;
	struct store_bytes value;
	int code = store_seek(local->op->txn, key_bytes(&key), &found, &value);

	if (code == POOL_E_NOT_FOUND ||
	    (code == 0 && !key_has_prefix(found, &key, key_user_prefix(user))))
		return LOCAL_FULL;
	if (code == 0 && !key_addr(found, ret_addr))
		code = POOL_E_DAMAGED;
	if (code == 0)
		code = record_get_lease(local->op->txn, *ret_addr, ret);
	return code < 0 ? op_fail(local->op, code) : code;
}

/*
 * Takes back what the user's own dead sessions left in this pool, as far as it matters: for the
 * limit until it is known whether he has reached it, else so that he finds his address again.
 */
static int check_user(struct local *local)
{
	uint32_t limit = local->config->max_per_user;
	uint32_t live = 0;
	uint32_t from = 0;
	int code = 0;

	for (uint32_t i = 0; limit > 0 ? live < limit : i < OWN_DEAD_TRIES; i++) {
		struct lease_record record;
		uint32_t addr;

		code = next_active(local, from, &addr, &record);
		if (code != 0)
			return code == LOCAL_FULL ? 0 : code;
		if (owner_is_live(&local->op->pool->owners, addr))
			live++;
		else if (record.active && !record_waits_for_module(&record))
			code = lease_reclaim(local->op, addr, &record);
		if (code < 0)
			return code;
		if (addr == UINT32_MAX)
			return 0;
		from = addr + 1;
	}
	if (limit == 0)
		return 0;
	error_set(local->op->error, "the user has %" PRIu32 " live sessions in pool %s, the limit",
		  live, local->config->name);
	return POOL_E_REFUSED;
}

/* Not a reason to refuse, if another pool can serve. */
static bool is_closed(struct local *local)
{
	if (local->config->mode == MODE_OPEN)
		return false;
	op_explain(local->op, local->config, "gives nothing new: its mode is %s",
		   config_mode_name(local->config->mode));
	error_set(local->op->error, "pool %s gives nothing new (mode %s)", local->config->name,
		  config_mode_name(local->config->mode));
	return true;
}

/* As is_closed(). The session would be refused after all (pool_hold_local), and an address be at rest
 * for somebody who has never had it. 1, 0 or an error. */
static int is_own_end_taken(struct local *local)
{
	struct op *op = local->op;
	uint32_t addr = local->config->local;
	char text[IP4_TEXT_SIZE];
	struct lease_record record;
	int code = addr != 0 ? record_get_lease(op->txn, addr, &record) : POOL_E_NOT_FOUND;

	if (code < 0)
		return code == POOL_E_NOT_FOUND ? 0 : op_fail(op, code);
	if (!record.active || !owner_is_live(&op->pool->owners, addr))
		return 0;
	format_ip4(addr, text);
	op_explain(op, local->config, "gives nothing: a live session has %s, its local", text);
	error_set(op->error, "pool %s gives nothing: a live session has %s, its local",
		  local->config->name, text);
	return 1;
}

int local_count_resting(struct op *op, size_t pool, uint64_t *ret)
{
	struct local local = make_local(op, pool, NULL);
	const enum queue queues[] = { QUEUE_TIME, QUEUE_ASIDE };
	int code;

	local.counters = op_counters(op, pool, false, &code);
	if (local.counters == NULL)
		return code;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		uint64_t rest = queues[i] == QUEUE_TIME ? hold_us(&local) : 0;
		uint64_t from = rest < op->stamp ? op->stamp - rest + 1 : 0;
		const struct key begin = key_queue(local.counters->number, queues[i], from, 0);
		struct entries entries = entries_from(op->txn, &begin, key_queue_prefix());

		while (entries_next(&entries))
			++*ret;
		if (entries.code < 0)
			return op_fail(op, entries.code);
	}
	return 0;
}

static int tell_full(struct local *local)
{
	uint64_t resting = 0;
	int code;

	/* Counting takes a while with many at rest, and is done once a scan has proven it. */
	if (!local->op->proven && local->op->trace == NULL) {
		error_set(local->op->error, "pool %s is full", local->config->name);
		return LOCAL_FULL;
	}
	code = local_count_resting(local->op, local->pool, &resting);
	if (code < 0)
		return code;
	error_set(local->op->error,
		  "pool %s is full: %" PRIu64 " of %" PRIu64 " active, %" PRIu64 " at rest",
		  local->config->name, local->counters->active, local->config->givable.count,
		  resting);
	op_explain(local->op, local->config,
		   "full: %" PRIu64 " of %" PRIu64 " active, %" PRIu64 " at rest, %" PRIu64
		   " reserved",
		   local->counters->active, local->config->givable.count, resting,
		   local->config->givable.count - local->config->dynamic.count);
	return LOCAL_FULL;
}

static void tell_found(struct local *local)
{
	char text[IP4_TEXT_SIZE];
	const char *why = "the next by its order, ";

	format_ip4(local->choice->addr, text);
	if (local->choice->how == POOL_HOW_STICKY)
		op_explain(local->op, local->config, "gives %s: the address that the user had",
			   text);
	else if (!local->choice->was_known)
		op_explain(local->op, local->config, "gives %s: never used before (%s%s)", text,
			   why, config_order_name(local->config->order));
	else
		op_explain(local->op, local->config, "gives %s: free again (%s%s)", text, why,
			   config_order_name(local->config->order));
}

/*
 * Positions mean other addresses since the configuration changed: begin again, and pass over what
 * is known. Only here: a session that began before the change must not undo this when it ends.
 */
static void follow_layout(struct local *local)
{
	if (local->counters->layout == local->op->pool->layout)
		return;
	local->counters->layout = local->op->pool->layout;
	local->counters->position = 0;
}

/* What has to be so before a pool gives anything, wherever its addresses come from. */
static int admit(struct local *local, struct choice *choice)
{
	struct op *op = local->op;
	int code = 0;

	*choice = (struct choice){ .pool = local->pool, .lock_fd = -1 };
	local->counters = op_counters(op, local->pool, true, &code);
	if (local->counters == NULL)
		return code;
	if (is_closed(local))
		return LOCAL_CLOSED;
	code = is_own_end_taken(local);
	if (code != 0)
		return code > 0 ? LOCAL_CLOSED : code;
	if (local->config->max_per_user > 0 ||
	    (local->config->sticky && op->request->user[0] != '\0'))
		code = check_user(local);
	if (code < 0)
		op_explain(op, local->config, "%s", op->error->text);
	return code;
}

int local_admit(struct op *op, size_t pool, struct choice *choice)
{
	struct local local = make_local(op, pool, choice);

	return admit(&local, choice);
}

int local_remembered(struct op *op, size_t pool, uint32_t *ret_addr, uint64_t *ret_id)
{
	struct choice choice = { .pool = pool, .lock_fd = -1 };
	struct local local = make_local(op, pool, &choice);
	int code = each_remembered(&local, REMEMBERED_TRIES, note_remembered);

	if (code == 0) {
		*ret_addr = choice.addr;
		*ret_id = choice.known.id;
	}
	return code;
}

int local_choose(struct op *op, size_t pool, struct choice *choice)
{
	struct local local = make_local(op, pool, choice);
	int code = admit(&local, choice);

	if (code != 0)
		return code;
	follow_layout(&local);
	code = local.config->sticky ? choose_remembered(&local, REMEMBERED_TRIES) : LOCAL_FULL;
	if (code == LOCAL_FULL && local.config->dynamic.count > 0)
		code = choose_by_order(&local);
	/* An address at rest goes to its last user rather than to nobody. */
	if (code == LOCAL_FULL)
		code = choose_remembered(&local, UINT64_MAX);
	if (code == LOCAL_FULL)
		return tell_full(&local);
	if (code == 0)
		tell_found(&local);
	return code;
}
