/* SPDX-License-Identifier: MIT */
/*
 * Random histories of the pool beside a model as simple as can be: an array of addresses. After
 * every step the pool's answer has to be one that the model allows, a refusal has to be one that
 * the model can prove, and what the operator sees has to be what the model has. How a history is
 * chosen, and how one that fails becomes a short script: torture/history.h.
 */
#include "fixture.h"

#include <time.h>

#include "../torture/history.h"

#define ADDRESSES 12 /* 10.0.0.1 to 10.0.0.12 */
#define USERS 6
#define LEASES_MAX (ADDRESSES + 1)
#define FIRST UINT32_C(0x0a000001)
#define POOLS_MAX 2

enum address_state { NEVER, LIVE, DEAD, FREE };

struct address {
	enum address_state state;
	int user; /* whose it is, or was; -1: nobody's */
	int64_t released_ms;
	char pool; /* LIVE, DEAD: the pool it was given by, 0 for a reservation outside */
};

/* One pool: the addresses from `first` to `last`, the first one being 0. */
struct layout_pool {
	char name;
	int first, last;
	bool sticky;
	int64_t hold_ms;
	unsigned int limit;
	bool open;
};

/* What the configurations differ in: their pools, each of which is the next of the one before. */
struct layout {
	const char *text;
	struct layout_pool pools[POOLS_MAX];
	int n_pools;
	int reserved; /* for user 0; -1: none */
	bool random;
};

static const struct layout layouts[] = {
	{ "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.12\"); } );",
	  { { 'p', 0, 11, true, 0, 0, true } },
	  1,
	  -1,
	  false },
	{ "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.8\"); order = \"sequential\"; "
	  "sticky = false; hold = \"20s\"; } );",
	  { { 'p', 0, 7, false, 20000, 0, true } },
	  1,
	  -1,
	  false },
	{ "pools = ( { name = \"q\"; ranges = (\"10.0.0.1-10.0.0.12\"); order = \"random\"; "
	  "hold = \"5s\"; max_per_user = 3; } ); "
	  "assign = ( { user = \"u0\"; address = \"10.0.0.3\"; }, { pool = \"q\"; } );",
	  { { 'q', 0, 11, true, 5000, 3, true } },
	  1,
	  2,
	  true },
	{ "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.10\"); hold = \"40s\"; } );",
	  { { 'p', 0, 9, true, 40000, 0, true } },
	  1,
	  -1,
	  false },
	{ "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.12\"); mode = \"drain\"; } );",
	  { { 'p', 0, 11, true, 0, 0, false } },
	  1,
	  -1,
	  false },
	{ "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.4\"); hold = \"10s\"; next = "
	  "\"q\"; }, { name = \"q\"; ranges = (\"10.0.0.5-10.0.0.12\"); max_per_user = 2; } );",
	  { { 'p', 0, 3, true, 10000, 0, true }, { 'q', 4, 11, true, 0, 2, true } },
	  2,
	  -1,
	  false },
};

static struct {
	const struct layout *layout;
	struct address addresses[ADDRESSES];
	struct pool_lease leases[LEASES_MAX];
	size_t n_leases;
} model;

/* ---- what the model allows ------------------------------------------------------------------- */

static const struct layout_pool *pool_of(int index)
{
	for (int i = 0; i < model.layout->n_pools; i++) {
		const struct layout_pool *pool = &model.layout->pools[i];

		if (index >= pool->first && index <= pool->last && index != model.layout->reserved)
			return pool;
	}
	return NULL;
}

/* Reserved addresses do not rest: no pool gives them to anybody else. Nor does any that no pool
 * gives at all. */
static bool rests(int index)
{
	const struct address *address = &model.addresses[index];
	const struct layout_pool *pool = pool_of(index);

	return pool != NULL && address->state == FREE &&
	       fixture.boot_ms < address->released_ms + pool->hold_ms;
}

/* Whether this user may be given the address now by its pool, apart from the pool's order. */
static bool may_have(int index, int user)
{
	const struct address *address = &model.addresses[index];
	const struct layout_pool *pool = pool_of(index);

	return pool != NULL && address->state != LIVE &&
	       /* A dead session's address rests from the moment it is taken back. */
	       !(address->state == DEAD && address->user != user && pool->hold_ms > 0) &&
	       (address->user == user || !rests(index));
}

static unsigned int live_sessions(int user, const struct layout_pool *pool)
{
	unsigned int n = 0;

	for (int i = 0; i < ADDRESSES; i++)
		n += model.addresses[i].state == LIVE && model.addresses[i].user == user &&
		     model.addresses[i].pool == pool->name;
	return n;
}

static bool is_limited(int user, const struct layout_pool *pool)
{
	return pool->limit > 0 && live_sessions(user, pool) >= pool->limit;
}

/* Whether a free address that the user had is his to have back. */
static bool has_own(int user, const struct layout_pool *pool)
{
	for (int i = 0; i < ADDRESSES; i++) {
		if (pool_of(i) == pool && model.addresses[i].user == user &&
		    model.addresses[i].state == FREE && may_have(i, user))
			return true;
	}
	return false;
}

/* An address of the pool that the user ought to have been given, or -1. */
static int free_in(const struct layout_pool *pool, int user)
{
	for (int i = 0; i < ADDRESSES; i++) {
		if (pool_of(i) == pool && may_have(i, user))
			return i;
	}
	return -1;
}

/* The pool may take back what is dead whenever it likes, if it says so. */
static void see_reclaim(const struct pool_event *event)
{
	struct address *address;

	if (event->kind != POOL_EVENT_RECLAIM)
		return;
	address = &model.addresses[ntohl(event->addr_be) - FIRST];
	HISTORY_EXPECT(address->state == DEAD, "%s was taken back alive", text_of(event->addr_be));
	address->state = FREE;
	address->released_ms = fixture.boot_ms;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void check_reserved(int code, const struct pool_lease *lease)
{
	const struct address *address = &model.addresses[model.layout->reserved];

	if (code == 0)
		HISTORY_EXPECT(ntohl(lease->addr_be) == FIRST + (uint32_t)model.layout->reserved,
			       "u0 has a reservation and got another address");
	else
		HISTORY_EXPECT(address->state == LIVE, "u0's reservation was refused: %.300s",
			       fixture.why.text);
}

/* Whoever reaches his limit in one pool is not sent to the next. */
static void check_refusal(int user)
{
	for (int i = 0; i < model.layout->n_pools; i++) {
		const struct layout_pool *pool = &model.layout->pools[i];
		int index = free_in(pool, user);

		if (!pool->open)
			continue;
		if (is_limited(user, pool))
			return;
		HISTORY_EXPECT(index < 0,
			       "u%d refused (%.200s), though 10.0.0.%d is free (state %d, u%d)",
			       user, fixture.why.text, index + 1, (int)model.addresses[index].state,
			       model.addresses[index].user);
	}
}

/* Pools before the one that has given: they had nothing. */
static void check_passed_over(const struct layout_pool *given, int user)
{
	for (const struct layout_pool *pool = model.layout->pools; pool < given; pool++) {
		int index = free_in(pool, user);

		HISTORY_EXPECT(!pool->open || index < 0,
			       "u%d was sent on to pool %c, though 10.0.0.%d of pool %c is free",
			       user, given->name, index + 1, pool->name);
	}
}

static void check_grant(int user, const struct pool_lease *lease)
{
	int index = (int)(ntohl(lease->addr_be) - FIRST);
	const struct layout_pool *pool = NULL;

	HISTORY_EXPECT(index >= 0 && index < ADDRESSES, "%s is no address of ours",
		       text_of(lease->addr_be));
	pool = pool_of(index);
	HISTORY_EXPECT(pool != NULL, "10.0.0.%d is in no pool", index + 1);
	HISTORY_EXPECT(pool->open, "a pool that drains gave an address");
	HISTORY_EXPECT(lease->pool[0] == pool->name, "10.0.0.%d is said to be pool %s's", index + 1,
		       lease->pool);
	HISTORY_EXPECT(may_have(index, user) || (model.addresses[index].state == DEAD &&
						 model.addresses[index].user == user),
		       "u%d got 10.0.0.%d, which is %s u%d's", user, index + 1,
		       model.addresses[index].state == LIVE ? "live" : "at rest or reserved,",
		       model.addresses[index].user);
	HISTORY_EXPECT(!is_limited(user, pool), "u%d is over his limit", user);
	if (pool->sticky && has_own(user, pool))
		HISTORY_EXPECT(model.addresses[index].user == user,
			       "u%d did not get an address he had", user);
	check_passed_over(pool, user);
}

static void check_answer(int user, int code, const struct pool_lease *lease)
{
	HISTORY_EXPECT(code == 0 || code == POOL_E_REFUSED, "%s: %.300s", pool_strerror(code),
		       fixture.why.text);
	HISTORY_EXPECT(code == 0 || (fixture.why.text[0] != '\0' && lease->addr_be == 0),
		       "refused without a reason, or with an address");
	if (user == 0 && model.layout->reserved >= 0)
		check_reserved(code, lease);
	else if (code == 0)
		check_grant(user, lease);
	else
		check_refusal(user);
}

static void take(int user, const struct pool_lease *lease)
{
	struct address *address = &model.addresses[ntohl(lease->addr_be) - FIRST];

	*address = (struct address){ .state = LIVE, .user = user, .pool = lease->pool[0] };
	model.leases[model.n_leases++] = *lease;
}

/* ---- what the operator sees ------------------------------------------------------------------ */

static struct {
	bool active[ADDRESSES];
	enum pool_state states[ADDRESSES];
	bool listed[ADDRESSES];
	uint64_t sum; /* of all that is listed */
} seen;

static int see_record(void *context, const struct pool_record *record)
{
	int index = (int)(ntohl(record->addr_be) - FIRST);

	(void)context;
	HISTORY_EXPECT(index >= 0 && index < ADDRESSES, "a stranger in the registry");
	seen.listed[index] = true;
	seen.states[index] = record->state;
	seen.sum = seen.sum * 31 + record->id + (uint64_t)record->state + (uint64_t)record->user[1];
	return 0;
}

static void look(void)
{
	const struct pool_filter all = { .all = true };
	int code;

	memset(&seen, 0, sizeof(seen));
	code = pool_walk(fixture.pool, &all, see_record, NULL, &fixture.why);
	HISTORY_EXPECT(code == 0 || code == POOL_E_NOT_FOUND, "walk: %.300s", fixture.why.text);
}

static void check_listed(int index)
{
	const struct address *address = &model.addresses[index];
	bool active = address->state == LIVE || address->state == DEAD;
	enum pool_state expected = active         ? POOL_STATE_ACTIVE
				   : rests(index) ? POOL_STATE_HELD
						  : POOL_STATE_REMEMBERED;

	if (address->user < 0)
		HISTORY_EXPECT(!seen.listed[index], "10.0.0.%d is listed, and nobody had it",
			       index + 1);
	else
		HISTORY_EXPECT(seen.listed[index] && seen.states[index] == expected,
			       "10.0.0.%d is in state %d, not %d", index + 1,
			       seen.listed[index] ? (int)seen.states[index] : -1, (int)expected);
}

static void check_figures(const struct pool_stats *stats, const struct layout_pool *pool)
{
	uint64_t active = 0, held = 0, busy = 0;

	for (int i = 0; i < ADDRESSES; i++) {
		const struct address *address = &model.addresses[i];
		bool is_active = address->state == LIVE || address->state == DEAD;

		active += is_active && address->pool == pool->name;
		if (pool_of(i) == pool) {
			held += !is_active && rests(i);
			busy += is_active;
		}
	}
	HISTORY_EXPECT(stats->active == active && stats->held == held,
		       "pool %c: %llu active, %llu held, and there are %llu and %llu", pool->name,
		       (unsigned long long)stats->active, (unsigned long long)stats->held,
		       (unsigned long long)active, (unsigned long long)held);
	HISTORY_EXPECT(!pool->open || stats->free == stats->size - stats->reserved - busy - held,
		       "pool %c: %llu free of %llu", pool->name, (unsigned long long)stats->free,
		       (unsigned long long)stats->size);
}

static void check_all(unsigned int a, unsigned int b)
{
	struct pool_stats stats[POOLS_MAX];

	(void)a;
	(void)b;
	look();
	for (int i = 0; i < ADDRESSES; i++)
		check_listed(i);
	HISTORY_EXPECT(pool_stats(fixture.pool, stats, &fixture.why) == 0, "stats: %.300s",
		       fixture.why.text);
	for (int i = 0; i < model.layout->n_pools; i++)
		check_figures(&stats[i], &model.layout->pools[i]);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static const char *const names[USERS] = { "u0", "u1", "u2", "u3", "u4", "u5" };

static void connect_user(unsigned int user, unsigned int b)
{
	struct pool_lease lease;
	int code;

	(void)b;
	if (model.n_leases == LEASES_MAX)
		return;
	code = acquire(&lease, names[user]);
	check_answer((int)user, code, &lease);
	if (code == 0)
		take((int)user, &lease);
}

/* What is explained is what happens then, and explaining alone changes nothing. */
static void explain_and_connect(unsigned int user, unsigned int b)
{
	static struct pool_explanation explained;
	struct pool_lease lease;
	uint64_t sum, drawn;
	int code;

	(void)b;
	if (model.n_leases == LEASES_MAX)
		return;
	look();
	sum = seen.sum;
	drawn = fixture.random;
	code = pool_explain(fixture.pool,
			    &(struct pool_request){ .user = names[user], .port = "ttyS0" },
			    &explained, &fixture.why);
	HISTORY_EXPECT(code == 0, "explain: %.300s", fixture.why.text);
	look();
	HISTORY_EXPECT(seen.sum == sum, "explain has changed the registry");
	fixture.random = drawn;
	code = acquire(&lease, names[user]);
	check_answer((int)user, code, &lease);
	HISTORY_EXPECT(code == explained.code, "explained as %d (%.200s), and was %d (%.200s)",
		       explained.code, explained.why.text, code, fixture.why.text);
	if (code == 0 && !model.layout->random)
		HISTORY_EXPECT(lease.addr_be == explained.addr_be && lease.how == explained.how,
			       "explained as %s, and was %s", text_of(explained.addr_be),
			       text_of(lease.addr_be));
	if (code == 0)
		take((int)user, &lease);
}

/* pppd has an address already. Neither the pool's mode nor its limit stands in the way. */
static void bring_candidate(unsigned int user, unsigned int index)
{
	const struct address *address = &model.addresses[index];
	const struct layout_pool *pool = pool_of((int)index);
	struct pool_lease lease;
	bool others_rest, reserved;
	int code;

	if (model.n_leases == LEASES_MAX)
		return;
	others_rest = address->user != (int)user &&
		      (rests((int)index) ||
		       (address->state == DEAD && pool != NULL && pool->hold_ms > 0));
	reserved = (int)index == model.layout->reserved && user != 0;
	if (address->state == LIVE)
		others_rest = true;
	lease = POOL_LEASE_NONE;
	code = pool_acquire(fixture.pool,
			    &(struct pool_request){ .user = names[user],
						    .port = "ttyS0",
						    .candidate_be = htonl(FIRST + index) },
			    &lease, &fixture.why);
	HISTORY_EXPECT(code == 0 || code == POOL_E_REFUSED, "%s: %.300s", pool_strerror(code),
		       fixture.why.text);
	HISTORY_EXPECT((code == 0) == !(others_rest || reserved),
		       "u%u's candidate 10.0.0.%u (state %d, u%d) was %s: %.200s", user, index + 1,
		       (int)address->state, address->user, code == 0 ? "taken" : "refused",
		       fixture.why.text);
	if (code != 0)
		return;
	HISTORY_EXPECT(lease.addr_be == htonl(FIRST + index), "another address than the candidate");
	take((int)user, &lease);
}

/* Where there is no lease, slots are none. */
static struct pool_lease remove_lease(unsigned int slot)
{
	size_t index = slot % model.n_leases;
	struct pool_lease lease = model.leases[index];

	model.leases[index] = model.leases[model.n_leases - 1];
	model.n_leases--;
	return lease;
}

static int end_lease(unsigned int slot)
{
	struct pool_lease lease = remove_lease(slot);
	struct address *address = &model.addresses[ntohl(lease.addr_be) - FIRST];

	HISTORY_EXPECT(pool_release(fixture.pool, &lease, &fixture.why) == 0, "release: %.300s",
		       fixture.why.text);
	address->state = FREE;
	address->released_ms = fixture.boot_ms;
	return address->user;
}

static void disconnect_user(unsigned int slot, unsigned int b)
{
	(void)b;
	if (model.n_leases > 0)
		end_lease(slot);
}

/* `persist`: the same user again, in the same process. */
static void reconnect_user(unsigned int slot, unsigned int b)
{
	if (model.n_leases > 0)
		connect_user((unsigned int)end_lease(slot), b);
}

static void kill_user(unsigned int slot, unsigned int b)
{
	struct pool_lease lease;

	(void)b;
	if (model.n_leases == 0)
		return;
	lease = remove_lease(slot);
	model.addresses[ntohl(lease.addr_be) - FIRST].state = DEAD;
	pool_lease_abandon(&lease);
}

/* updetach: another process has the session from now on. This one stands for both. */
static void detach(unsigned int slot, unsigned int b)
{
	struct pool_lease *lease;
	int copy;

	(void)b;
	if (model.n_leases == 0)
		return;
	lease = &model.leases[slot % model.n_leases];
	copy = dup(lease->lock_fd);
	close(lease->lock_fd);
	lease->lock_fd = copy;
	HISTORY_EXPECT(pool_lease_adopt(fixture.pool, lease, &fixture.why) == 0, "adopt: %.300s",
		       fixture.why.text);
}

/* `rasip release`, once the session is down or if there is none. */
static void forget(unsigned int index, unsigned int b)
{
	struct address *address = &model.addresses[index];
	enum address_state before = address->state;
	int code;

	(void)b;
	code = pool_forget(fixture.pool, htonl(FIRST + index), &fixture.why);
	if (before == LIVE)
		HISTORY_EXPECT(code == POOL_E_NOT_OWNER, "a live lease was forgotten: %d", code);
	else if (address->user < 0)
		HISTORY_EXPECT(code == POOL_E_NOT_FOUND, "nobody had 10.0.0.%u, and: %d", index + 1,
			       code);
	else
		HISTORY_EXPECT(code == 0, "forget 10.0.0.%u: %.300s", index + 1, fixture.why.text);
	if (before == FREE && code == 0)
		*address = (struct address){ .state = NEVER, .user = -1 };
	HISTORY_EXPECT(before != DEAD || address->state == FREE, "a dead lease is still there");
}

static void reclaim_all(unsigned int a, unsigned int b)
{
	uint64_t dead = 0;
	uint64_t count = 0;
	int code;

	(void)a;
	(void)b;
	for (int i = 0; i < ADDRESSES; i++)
		dead += model.addresses[i].state == DEAD;
	code = pool_reclaim(fixture.pool, false, &count, &fixture.why);
	HISTORY_EXPECT(code == 0 || code == POOL_E_NOT_FOUND, "reclaim: %.300s", fixture.why.text);
	HISTORY_EXPECT(count == dead, "%llu taken back of %llu", (unsigned long long)count,
		       (unsigned long long)dead);
}

static void maintain(unsigned int a, unsigned int b)
{
	(void)a;
	(void)b;
	HISTORY_EXPECT(pool_maintain(fixture.pool, &fixture.why) == 0, "maintain: %.300s",
		       fixture.why.text);
}

static void pass_time(unsigned int ms, unsigned int b)
{
	(void)b;
	fixture.boot_ms += ms;
	fixture.unix_sec += ms / 1000;
}

/* Somebody sets the clock: by up to a year, forth or back. Rests are measured by another one. */
static void set_clock(unsigned int hours, unsigned int back)
{
	fixture.unix_sec += (back != 0 ? -3600 : 3600) * (int64_t)hours;
}

static void rest(unsigned int a, unsigned int b)
{
	(void)a;
	(void)b;
	pool_rest(fixture.pool);
}

static void reload(unsigned int layout, unsigned int random)
{
	model.layout = &layouts[layout % (sizeof(layouts) / sizeof(layouts[0]))];
	fixture_load(model.layout->text);
	fixture.random ^= random;
}

static const struct history_op ops[] = {
	{ "connect", 34, USERS, 0, connect_user },
	{ "explain", 8, USERS, 0, explain_and_connect },
	{ "candidate", 4, USERS, ADDRESSES, bring_candidate },
	{ "disconnect", 22, LEASES_MAX, 0, disconnect_user },
	{ "reconnect", 6, LEASES_MAX, 0, reconnect_user },
	{ "kill", 9, LEASES_MAX, 0, kill_user },
	{ "detach", 3, LEASES_MAX, 0, detach },
	{ "forget", 3, ADDRESSES, 0, forget },
	{ "reclaim", 2, 0, 0, reclaim_all },
	{ "maintain", 1, 0, 0, maintain },
	{ "time", 9, 15000, 0, pass_time },
	{ "clock", 1, 24 * 365, 2, set_clock },
	{ "rest", 20, 0, 0, rest },
	{ "reload", 2, sizeof(layouts) / sizeof(layouts[0]), 1U << 31, reload },
	{ "look", 4, 0, 0, check_all },
};

static void begin(void)
{
	fixture_begin();
	memset(&model, 0, sizeof(model));
	model.layout = &layouts[0];
	for (int i = 0; i < ADDRESSES; i++)
		model.addresses[i].user = -1;
	fixture_load(model.layout->text);
	fixture.on_event = see_reclaim;
}

static void end(void)
{
	check_all(0, 0);
	while (model.n_leases > 0)
		end_lease(0);
	check_all(0, 0);
	fixture_end();
}

static const struct history_model pool_model = {
	.ops = ops,
	.n_ops = sizeof(ops) / sizeof(ops[0]),
	.steps = 2000,
	.histories = 8,
	.begin = begin,
	.end = end,
};

int main(void)
{
	return history_main("pool_model", &pool_model);
}
