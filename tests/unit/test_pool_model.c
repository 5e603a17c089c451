/* SPDX-License-Identifier: MIT */
/*
 * Random histories of the pool beside a model as simple as can be: an array of addresses. After
 * every step the pool's answer has to be one that the model allows, and a refusal has to be one
 * that the model can prove. RASIP_SEED and RASIP_STEPS choose another history; a failure prints its
 * seed.
 */
#include "fixture.h"

#include <time.h>

#define ADDRESSES 12 /* 10.0.0.1 to 10.0.0.12 */
#define USERS 6
#define LEASES_MAX (ADDRESSES + 1)
#define FIRST UINT32_C(0x0a000001)
#define STEPS 4000

enum address_state { NEVER, LIVE, DEAD, FREE };

struct address {
	enum address_state state;
	int user; /* whose it is, or was; -1: nobody's */
	int64_t released_ms;
	char pool; /* LIVE, DEAD: the pool it was given by, 0 for a reservation outside */
};

/* What the configurations differ in; every one covers addresses 0 to `last` with one pool. */
struct layout {
	char name; /* of its pool */
	const char *text;
	enum pool_order order;
	bool sticky;
	int64_t hold_ms;
	unsigned int limit;
	int last;
	int reserved; /* for user 0; -1: none */
	bool open;
};

static const struct layout layouts[] = {
	{ 'p', "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.12\"); } );",
	  ORDER_LEAST_RECENT, true, 0, 0, 11, -1, true },
	{ 'p',
	  "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.8\"); order = \"sequential\"; "
	  "sticky = false; hold = \"20s\"; } );",
	  ORDER_SEQUENTIAL, false, 20000, 0, 7, -1, true },
	{ 'q',
	  "pools = ( { name = \"q\"; ranges = (\"10.0.0.1-10.0.0.12\"); order = \"random\"; "
	  "hold = \"5s\"; max_per_user = 3; } ); "
	  "assign = ( { user = \"u0\"; address = \"10.0.0.3\"; }, { pool = \"q\"; } );",
	  ORDER_RANDOM, true, 5000, 3, 11, 2, true },
	{ 'p', "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.10\"); hold = \"40s\"; } );",
	  ORDER_LEAST_RECENT, true, 40000, 0, 9, -1, true },
	{ 'p',
	  "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.12\"); mode = \"drain\"; } );",
	  ORDER_LEAST_RECENT, true, 0, 0, 11, -1, false },
};

static struct {
	const struct layout *layout;
	struct address addresses[ADDRESSES];
	struct pool_lease leases[LEASES_MAX];
	size_t n_leases;
	uint64_t seed;
	uint64_t random;
	unsigned int step;
	unsigned int granted;
	unsigned int refused;
} model;

static void see_reclaim(const struct pool_event *event);

static unsigned int draw(unsigned int n)
{
	model.random = model.random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned int)((model.random >> 33) % n);
}

#define EXPECT(condition, ...)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			char expect_text_[400];                                                    \
                                                                                                   \
			snprintf(expect_text_, sizeof(expect_text_), __VA_ARGS__);                 \
			ck_abort_msg("RASIP_SEED=%llu, step %u: %s",                               \
				     (unsigned long long)model.seed, model.step, expect_text_);    \
		}                                                                                  \
	} while (0)

static bool rests_for_others(const struct address *address, int user)
{
	return address->state == FREE && address->user != user &&
	       fixture.boot_ms < address->released_ms + model.layout->hold_ms;
}

/* Whether this user may be given the address now by the pool, apart from the pool's order. */
static bool may_have(int index, int user)
{
	const struct address *address = &model.addresses[index];

	return index <= model.layout->last && index != model.layout->reserved &&
	       address->state != LIVE &&
	       /* A dead session's address rests from the moment it is taken back. */
	       !(address->state == DEAD && address->user != user && model.layout->hold_ms > 0) &&
	       !rests_for_others(address, user);
}

static unsigned int live_sessions(int user)
{
	unsigned int n = 0;

	for (int i = 0; i < ADDRESSES; i++)
		n += model.addresses[i].state == LIVE && model.addresses[i].user == user &&
		     model.addresses[i].pool == model.layout->name;
	return n;
}

static bool has_own(int user)
{
	for (int i = 0; i < ADDRESSES; i++) {
		const struct address *address = &model.addresses[i];

		if (address->user == user && (address->state == FREE) && may_have(i, user))
			return true;
	}
	return false;
}

/* The pool may take back what is dead whenever it likes, if it says so. */
static void see_reclaim(const struct pool_event *event)
{
	struct address *address;

	if (event->kind != POOL_EVENT_RECLAIM)
		return;
	address = &model.addresses[ntohl(event->addr_be) - FIRST];
	EXPECT(address->state == DEAD, "%s was taken back alive", text_of(event->addr_be));
	address->state = FREE;
	address->released_ms = fixture.boot_ms;
}

/* Reserved addresses do not rest: no pool gives them to anybody else. */
static void check_reserved(int user, int code, const struct pool_lease *lease)
{
	const struct address *address = &model.addresses[model.layout->reserved];

	if (code == 0)
		EXPECT(ntohl(lease->addr_be) == FIRST + (uint32_t)model.layout->reserved,
		       "u%d has a reservation and got another address", user);
	else
		EXPECT(address->state == LIVE, "u%d's reservation was refused: %.300s", user,
		       fixture.why.text);
}

static void check_refusal(int user)
{
	const struct layout *layout = model.layout;

	model.refused++;
	if (!layout->open)
		return;
	if (layout->limit > 0 && live_sessions(user) >= layout->limit)
		return;
	for (int i = 0; i < ADDRESSES; i++)
		EXPECT(!may_have(i, user),
		       "u%d refused (%.200s), though 10.0.0.%d is free (state %d, u%d)", user,
		       fixture.why.text, i + 1, (int)model.addresses[i].state,
		       model.addresses[i].user);
}

static void check_grant(int user, const struct pool_lease *lease)
{
	int index = (int)(ntohl(lease->addr_be) - FIRST);

	model.granted++;
	EXPECT(model.layout->open, "a pool that drains gave an address");
	EXPECT(index >= 0 && index < ADDRESSES, "%s is no address of ours",
	       text_of(lease->addr_be));
	EXPECT(may_have(index, user) || (model.addresses[index].state == DEAD &&
					 model.addresses[index].user == user),
	       "u%d got 10.0.0.%d, which is %s u%d's", user, index + 1,
	       model.addresses[index].state == LIVE ? "live" : "at rest or reserved,",
	       model.addresses[index].user);
	EXPECT(model.layout->limit == 0 || live_sessions(user) < model.layout->limit,
	       "u%d is over his limit", user);
	if (model.layout->sticky && has_own(user))
		EXPECT(model.addresses[index].user == user, "u%d did not get an address he had",
		       user);
}

static void take(int user, const struct pool_lease *lease)
{
	struct address *address = &model.addresses[ntohl(lease->addr_be) - FIRST];

	*address = (struct address){ .state = LIVE, .user = user, .pool = lease->pool[0] };
	model.leases[model.n_leases++] = *lease;
}

static void connect_user(void)
{
	int user = (int)draw(USERS);
	char name[8];
	struct pool_lease lease;
	int code;

	if (model.n_leases == LEASES_MAX)
		return;
	snprintf(name, sizeof(name), "u%d", user);
	code = acquire(&lease, name);
	EXPECT(code == 0 || code == POOL_E_REFUSED, "%s: %.300s", pool_strerror(code),
	       fixture.why.text);
	if (user == 0 && model.layout->reserved >= 0)
		check_reserved(user, code, &lease);
	else if (code == 0)
		check_grant(user, &lease);
	else
		check_refusal(user);
	if (code == 0)
		take(user, &lease);
}

static struct pool_lease remove_lease(void)
{
	unsigned int index = draw((unsigned int)model.n_leases);
	struct pool_lease lease = model.leases[index];

	model.leases[index] = model.leases[--model.n_leases];
	return lease;
}

static void disconnect_user(void)
{
	struct pool_lease lease;
	struct address *address;

	if (model.n_leases == 0)
		return;
	lease = remove_lease();
	address = &model.addresses[ntohl(lease.addr_be) - FIRST];
	EXPECT(pool_release(fixture.pool, &lease, &fixture.why) == 0, "release: %.300s",
	       fixture.why.text);
	address->state = FREE;
	address->released_ms = fixture.boot_ms;
}

static void kill_user(void)
{
	struct pool_lease lease;

	if (model.n_leases == 0)
		return;
	lease = remove_lease();
	model.addresses[ntohl(lease.addr_be) - FIRST].state = DEAD;
	pool_lease_abandon(&lease);
}

static void reclaim_all(void)
{
	uint64_t dead = 0;
	uint64_t count = 0;
	int code;

	for (int i = 0; i < ADDRESSES; i++)
		dead += model.addresses[i].state == DEAD;
	code = pool_reclaim(fixture.pool, false, &count, &fixture.why);
	EXPECT(code == 0 || code == POOL_E_NOT_FOUND, "reclaim: %.300s", fixture.why.text);
	EXPECT(count == dead, "%llu taken back of %llu", (unsigned long long)count,
	       (unsigned long long)dead);
}

static int check_active(void *context, const struct pool_record *record)
{
	unsigned int *live = context;
	int index = (int)(ntohl(record->addr_be) - FIRST);

	EXPECT(index >= 0 && index < ADDRESSES, "a stranger in the registry");
	EXPECT(model.addresses[index].state == LIVE || model.addresses[index].state == DEAD,
	       "10.0.0.%d is active in the registry alone", index + 1);
	*live += model.addresses[index].state == LIVE;
	return 0;
}

static void check_registry(void)
{
	unsigned int live = 0;
	struct pool_stats stats;
	int code = pool_walk(fixture.pool, NULL, check_active, &live, &fixture.why);

	EXPECT(code == 0 || code == POOL_E_NOT_FOUND, "walk: %.300s", fixture.why.text);
	EXPECT(live == model.n_leases, "%u live leases in the registry, %zu in the model", live,
	       model.n_leases);
	EXPECT(pool_stats(fixture.pool, &stats, &fixture.why) == 0, "stats: %.300s",
	       fixture.why.text);
	EXPECT(stats.free + stats.held + stats.reserved <= stats.size || stats.active == 0,
	       "the figures of the pool do not add up");
}

static void change_layout(void)
{
	model.layout = &layouts[draw(sizeof(layouts) / sizeof(layouts[0]))];
	fixture_load(model.layout->text);
}

static void one_step(void)
{
	unsigned int what = draw(100);

	if (what < 45)
		connect_user();
	else if (what < 75)
		disconnect_user();
	else if (what < 85)
		kill_user();
	else if (what < 93)
		fixture.boot_ms += draw(15000);
	else if (what < 95)
		reclaim_all();
	else if (what < 98)
		check_registry();
	else
		change_layout();
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(random_histories)
{
	uint64_t steps = from_environment("RASIP_STEPS", STEPS);

	model.seed =
		from_environment("RASIP_SEED", (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20);
	model.random = model.seed;
	model.layout = &layouts[0];
	for (int i = 0; i < ADDRESSES; i++)
		model.addresses[i].user = -1;
	fixture_load(model.layout->text);
	fixture.on_event = see_reclaim;
	for (model.step = 0; model.step < steps; model.step++) {
		one_step();
		if (draw(4) == 0)
			pool_rest(fixture.pool);
	}
	check_registry();
	ck_assert_uint_gt(model.granted, 0);
	ck_assert_uint_gt(model.refused, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool_model");
	TCase *tcase = tcase_create("model");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, random_histories);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
