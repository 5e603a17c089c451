/* SPDX-License-Identifier: MIT */
/* The pool through its public interface; the invariants are those of "What must always hold". */
#include "fixture.h"

#include <sys/wait.h>

#include "suite.h"

#define FOUR "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.4\"); %s } );"

static void load_four(const char *extra)
{
	char text[1024];

	snprintf(text, sizeof(text), FOUR, extra);
	fixture_load(text);
}

static void fill_four(struct pool_lease leases[4])
{
	const char *users[] = { "u1", "u2", "u3", "u4" };

	for (int i = 0; i < 4; i++)
		ck_assert_msg(acquire(&leases[i], users[i]) == 0, "%s", fixture.why.text);
}

START_TEST(one_address_one_session)
{
	struct pool_lease leases[4];

	load_four("");
	fill_four(leases);
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < i; j++)
			ck_assert_uint_ne(leases[i].addr_be, leases[j].addr_be);
	}
	ASSERT_REFUSED("u5", "pool p is full: 4 of 4 active, 0 at rest");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_GRANT], 4);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_REFUSAL], 1);
	give_back(&leases[2]);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RELEASE], 1);
	ASSERT_GETS(&leases[2], "u5", "10.0.0.3");
	for (int i = 0; i < 4; i++)
		give_back(&leases[i]);
}
END_TEST

START_TEST(least_recent_order)
{
	struct pool_lease leases[4];
	struct pool_lease one;

	load_four("sticky = false;");
	ASSERT_GETS(&one, "a", "10.0.0.1");
	give_back(&one);
	ASSERT_GETS(&one, "a", "10.0.0.2"); /* never used goes before used */
	give_back(&one);
	fill_four(leases);
	fixture.boot_ms += 10;
	give_back(&leases[1]);
	fixture.boot_ms += 10;
	give_back(&leases[0]);
	ASSERT_GETS(&one, "b", text_of(be("10.0.0.4")));
	give_back(&leases[2]);
	give_back(&leases[3]);
	give_back(&one);
}
END_TEST

START_TEST(sequential_order_takes_the_lowest)
{
	struct pool_lease leases[3];
	struct pool_lease one;

	load_four("order = \"sequential\"; sticky = false;");
	ASSERT_GETS(&leases[0], "a", "10.0.0.1");
	ASSERT_GETS(&leases[1], "b", "10.0.0.2");
	ASSERT_GETS(&leases[2], "c", "10.0.0.3");
	give_back(&leases[1]);
	fixture.boot_ms += 10;
	give_back(&leases[0]);
	ASSERT_GETS(&one, "d", "10.0.0.1");
	ASSERT_GETS(&leases[0], "e", "10.0.0.2");
	ASSERT_GETS(&leases[1], "f", "10.0.0.4");
}
END_TEST

START_TEST(random_order_gives_every_address_once)
{
	struct pool_lease leases[256];
	bool seen[256] = { false };
	unsigned int in_order = 0;

	fixture_load(
		"pools = ( { name = \"p\"; order = \"random\"; ranges = (\"10.0.0.0/24\"); } );");
	for (int i = 0; i < 256; i++) {
		unsigned int last;

		ck_assert_msg(acquire(&leases[i], "u") == 0, "%s", fixture.why.text);
		last = ntohl(leases[i].addr_be) & 255;
		ck_assert(!seen[last]);
		seen[last] = true;
		in_order += last == (unsigned int)i;
	}
	ck_assert_uint_lt(in_order, 32);
	ASSERT_REFUSED("v", "full");
	give_back(&leases[77]);
	ck_assert_int_eq(acquire(&leases[77], "v"), 0);
}
END_TEST

START_TEST(sticky_gives_the_last_address_back)
{
	struct pool_lease alice;
	struct pool_lease bob;

	load_four("");
	ASSERT_GETS(&alice, "alice", "10.0.0.1");
	give_back(&alice);
	ASSERT_GETS(&bob, "bob", "10.0.0.2");
	ASSERT_GETS(&alice, "alice", "10.0.0.1");
	ck_assert_int_eq(alice.how, POOL_HOW_STICKY);
	give_back(&alice);
	give_back(&bob);
}
END_TEST

START_TEST(sticky_survives_a_reboot)
{
	struct pool_lease alice;
	struct pool_lease bob;

	load_four("");
	ASSERT_GETS(&alice, "alice", "10.0.0.1");
	ASSERT_GETS(&bob, "bob", "10.0.0.2");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	/* The machine goes down: what /run holds is gone, and so are the sessions. */
	pool_lease_abandon(&alice);
	pool_lease_abandon(&bob);
	scratch_remove_below(fixture.dir, "run");
	fixture.boot_ms = 5000;
	fixture.unix_sec += 600;
	load_four("");
	ASSERT_GETS(&bob, "bob", "10.0.0.2");
	ASSERT_GETS(&alice, "carol", "10.0.0.3");
	give_back(&alice);
	ASSERT_GETS(&alice, "alice", "10.0.0.1");
}
END_TEST

/* A rest has nothing to do with `sticky`: the next user of the address is to be another one, or later. */
START_TEST(rest_survives_a_reboot_where_nothing_is_sticky)
{
	struct pool_lease leases[4];
	const char *hold =
		_i == 0 ? "sticky = false; hold = \"forever\";" : "sticky = false; hold = \"60s\";";

	load_four(hold);
	ASSERT_GETS(&leases[0], "alice", "10.0.0.1");
	give_back(&leases[0]);
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	fixture_close();
	scratch_remove_below(fixture.dir, "run");
	fixture.boot_ms = 5000;
	fixture.unix_sec += 10;
	load_four(hold);
	ASSERT_GETS(&leases[0], "bob", "10.0.0.2");
	ASSERT_GETS(&leases[1], "carol", "10.0.0.3");
	ASSERT_GETS(&leases[2], "dave", "10.0.0.4");
	ASSERT_REFUSED("eve", "1 at rest");
	ASSERT_GETS(&leases[3], "alice", "10.0.0.1");
}
END_TEST

/* The end that was written down is not the last one: since then nothing had to be written. */
START_TEST(rest_after_a_reboot_is_not_counted_from_an_earlier_end)
{
	struct pool_lease lease;

	load_four("hold = \"60s\";");
	ASSERT_GETS(&lease, "alice", "10.0.0.1");
	give_back(&lease);
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	ASSERT_GETS(&lease, "alice", "10.0.0.1");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	fixture.boot_ms += 86400000;
	fixture.unix_sec += 86400;
	if (_i == 0)
		give_back(&lease);
	else
		pool_lease_abandon(&lease); /* with the machine */
	fixture_close();
	scratch_remove_below(fixture.dir, "run");
	fixture.boot_ms = 5000;
	fixture.unix_sec += 10;
	load_four("hold = \"60s\"; order = \"sequential\";");
	ASSERT_GETS(&lease, "bob", "10.0.0.2");
	fixture.boot_ms += 60000;
	fixture.unix_sec += 60;
	ASSERT_GETS(&lease, "carol", "10.0.0.1");
}
END_TEST

/* What somebody else may have written decides nothing, and is no reason to refuse anybody. */
START_TEST(a_memory_that_others_may_write_is_not_used)
{
	struct pool_lease one;
	char state[SCRATCH_SIZE + 16];

	load_four("");
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
	pool_rest(fixture.pool);
	snprintf(state, sizeof(state), "%s/state", fixture.dir);
	ck_assert_int_eq(chmod(state, 0777), 0);
	for (int i = 0; i < 2; i++) {
		scratch_remove_below(fixture.dir, "run");
		load_four("");
		ASSERT_GETS(&one, "bob", i == 0 ? "10.0.0.1" : "10.0.0.2");
		ck_assert_uint_eq(fixture.events[POOL_EVENT_WARNING], 1);
		pool_lease_abandon(&one);
		pool_rest(fixture.pool);
		ck_assert_int_eq(chmod(state, 0750), 0);
	}
}
END_TEST

START_TEST(hold_keeps_others_away)
{
	struct pool_lease leases[4];
	struct pool_lease one;

	load_four("hold = \"60s\"; sticky = false;");
	fill_four(leases);
	give_back(&leases[1]);
	ASSERT_REFUSED("other", "3 of 4 active, 1 at rest");
	fixture.boot_ms += 59999;
	ASSERT_REFUSED("other", "1 at rest");
	/* Its last user gets it, sticky or not: nobody else could. */
	ASSERT_GETS(&one, "u2", "10.0.0.2");
	give_back(&one);
	fixture.boot_ms += 60000;
	ASSERT_GETS(&one, "other", "10.0.0.2");
}
END_TEST

START_TEST(hold_in_the_other_orders)
{
	struct pool_lease leases[4];
	struct pool_lease one;

	load_four("hold = \"60s\"; sticky = false; order = \"sequential\";");
	fill_four(leases);
	give_back(&leases[3]);
	fixture.boot_ms += 30000;
	give_back(&leases[0]);
	ASSERT_REFUSED("other", "2 at rest");
	fixture.boot_ms += 30000;
	ASSERT_GETS(&one, "other", "10.0.0.4");
	fixture.boot_ms += 30000;
	ASSERT_GETS(&leases[0], "another", "10.0.0.1");
}
END_TEST

START_TEST(hold_forever)
{
	struct pool_lease leases[4];

	load_four("hold = \"forever\";");
	fill_four(leases);
	give_back(&leases[0]);
	fixture.boot_ms += INT64_C(1000) * 86400 * 365 * 50;
	ASSERT_REFUSED("other", "1 at rest");
	ASSERT_GETS(&leases[0], "u1", "10.0.0.1");
}
END_TEST

START_TEST(dead_sessions_are_taken_back_when_needed)
{
	struct pool_lease leases[4];
	struct pool_lease one;

	load_four("");
	fill_four(leases);
	pool_lease_abandon(&leases[2]);
	ASSERT_GETS(&one, "new", "10.0.0.3");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 1);
	ASSERT_REFUSED("newer", "full");
}
END_TEST

START_TEST(ra_55_a_late_release_frees_nobody)
{
	struct pool_lease leases[4];
	struct pool_lease one;
	struct pool_lease late;

	load_four("");
	fill_four(leases);
	late = leases[2];
	pool_lease_abandon(&leases[2]);
	ASSERT_GETS(&one, "new", "10.0.0.3");
	late.lock_fd = -1;
	ck_assert_int_eq(pool_release(fixture.pool, &late, &fixture.why), POOL_E_NOT_OWNER);
	ASSERT_REFUSED("newer", "full");
	late = one;
	late.lock_fd = -1;
	give_back(&one);
	ck_assert_int_eq(pool_release(fixture.pool, &late, &fixture.why), POOL_E_NOT_FOUND);
}
END_TEST

START_TEST(a_dead_users_own_address_comes_back)
{
	struct pool_lease alice;
	struct pool_lease bob;

	load_four("");
	ASSERT_GETS(&alice, "alice", "10.0.0.1");
	ASSERT_GETS(&bob, "bob", "10.0.0.2");
	pool_lease_abandon(&alice);
	ASSERT_GETS(&alice, "alice", "10.0.0.1");
	ck_assert_int_eq(alice.how, POOL_HOW_STICKY);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 1);
}
END_TEST

START_TEST(limit_per_user)
{
	struct pool_lease leases[3];

	load_four("max_per_user = 2;");
	ASSERT_GETS(&leases[0], "alice", "10.0.0.1");
	ASSERT_GETS(&leases[1], "alice", "10.0.0.2");
	ASSERT_REFUSED("alice", "2 live sessions in pool p, the limit");
	ASSERT_GETS(&leases[2], "bob", "10.0.0.3");
	pool_lease_abandon(&leases[0]);
	ASSERT_GETS(&leases[0], "alice", "10.0.0.1");
	ASSERT_REFUSED("alice", "limit");
}
END_TEST

START_TEST(ra_57_two_ports_two_addresses)
{
	struct pool_lease leases[2];

	load_four("");
	ASSERT_GETS(&leases[0], "alice", "10.0.0.1");
	ASSERT_GETS(&leases[1], "alice", "10.0.0.2");
	give_back(&leases[0]);
	give_back(&leases[1]);
}
END_TEST

#define CHAIN                                                                                      \
	"pools = ( { name = \"first\"; ranges = (\"10.0.0.1-10.0.0.2\"); next = \"second\"; %s "   \
	"}, "                                                                                      \
	"{ name = \"second\"; ranges = (\"10.0.1.1\"); } );"

START_TEST(chain_goes_on_when_full)
{
	struct pool_lease leases[3];
	char text[512];

	snprintf(text, sizeof(text), CHAIN, "");
	fixture_load(text);
	ASSERT_GETS(&leases[0], "a", "10.0.0.1");
	ASSERT_GETS(&leases[1], "b", "10.0.0.2");
	ASSERT_GETS(&leases[2], "c", "10.0.1.1");
	ck_assert_str_eq(leases[2].pool, "second");
	ASSERT_REFUSED("d", "pool first is full: 2 of 2 active, 0 at rest; pool second is full");
	pool_lease_abandon(&leases[1]);
	ASSERT_GETS(&leases[1], "d", "10.0.0.2");
}
END_TEST

START_TEST(closed_pools_give_nothing_new)
{
	const char *modes[] = { "mode = \"hold-down\";", "mode = \"drain\";" };
	struct pool_lease one;
	char text[512];

	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), CHAIN, modes[i]);
		fixture_load(text);
		ASSERT_GETS(&one, "a", "10.0.1.1");
		ASSERT_REFUSED("b", "pool first gives nothing new");
		give_back(&one);
	}
}
END_TEST

#define RESERVED                                                                                   \
	"pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.4\"); local = \"10.0.0.4\"; } ); "  \
	"assign = ( { user = \"alice\"; address = \"10.0.0.2\"; }, "                               \
	"{ user = \"bob\"; address = \"192.0.2.9\"; }, { pool = \"p\"; } ); "

START_TEST(reservations)
{
	struct pool_lease alice;
	struct pool_lease bob;
	struct pool_lease leases[2];

	fixture_load(RESERVED);
	ASSERT_GETS(&leases[0], "x", "10.0.0.1");
	ASSERT_GETS(&leases[1], "y", "10.0.0.3");
	ASSERT_REFUSED("z", "full");
	ASSERT_GETS(&alice, "alice", "10.0.0.2");
	ck_assert_int_eq(alice.how, POOL_HOW_RESERVATION);
	ck_assert_str_eq(alice.pool, "p");
	ASSERT_REFUSED("alice", "reserved address 10.0.0.2 belongs to a live session");
	ASSERT_GETS(&bob, "bob", "192.0.2.9");
	ck_assert_str_eq(bob.pool, "");
	/* Outside all pools, the link still gets the settings of the pool he would have been in. */
	ck_assert_str_eq(pool_lease_config(fixture.pool, &bob, NULL)->name, "p");
	give_back(&alice);
	ASSERT_REFUSED("z", "full");
	ASSERT_GETS(&alice, "alice", "10.0.0.2");
	pool_lease_abandon(&alice);
	ASSERT_GETS(&alice, "alice", "10.0.0.2");
}
END_TEST

static int acquire_candidate(struct pool_lease *lease, const char *user, const char *candidate)
{
	*lease = POOL_LEASE_NONE;
	return pool_acquire(
		fixture.pool,
		&(struct pool_request){ .user = user, .port = "p0", .candidate_be = be(candidate) },
		lease, &fixture.why);
}

START_TEST(candidates_are_kept_and_recorded)
{
	static const struct {
		const char *user;
		const char *address;
		const char *reason;
	} refused[] = {
		{ "x", "10.0.0.2", "reserved for somebody else" },
		{ "x", "10.0.0.4", "local address" },
		{ "x", "127.0.0.1", "cannot be a peer's address" },
		{ "x", "224.0.0.1", "cannot be a peer's address" },
		{ "x", "255.255.255.255", "cannot be a peer's address" },
		{ "x", "0.0.0.7", "cannot be a peer's address" },
		{ "x", "10.0.0.1", "belongs to a live session" },
		{ "x", "10.9.9.8", "in use on this machine" },
	};
	struct pool_lease one;
	struct pool_lease two;

	fixture_load(RESERVED);
	fixture.in_use_be = be("10.9.9.8");
	ck_assert_int_eq(acquire_candidate(&one, "u", "10.0.0.1"), 0);
	ck_assert_int_eq(one.how, POOL_HOW_CANDIDATE);
	ck_assert_str_eq(one.pool, "p");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ck_assert_int_eq(acquire_candidate(&two, refused[i].user, refused[i].address),
				 POOL_E_REFUSED);
		ck_assert_msg(strstr(fixture.why.text, refused[i].reason) != NULL, "%s",
			      fixture.why.text);
	}
	ASSERT_GETS(&two, "v", "10.0.0.3"); /* not 10.0.0.1, which the candidate has */
	give_back(&one);
	ck_assert_int_eq(acquire_candidate(&one, "alice", "10.0.0.2"), 0);
	give_back(&one);
	ck_assert_int_eq(acquire_candidate(&one, "u", "172.16.0.1"), 0);
	ck_assert_str_eq(one.pool, "");
	give_back(&one);
}
END_TEST

START_TEST(candidates_are_replaced)
{
	struct pool_lease one;

	fixture_load(RESERVED " candidate = \"replace\";");
	ck_assert_int_eq(acquire_candidate(&one, "u", "172.16.0.1"), 0);
	ck_assert_str_eq(text_of(one.addr_be), "10.0.0.1");
}
END_TEST

START_TEST(a_candidate_does_not_break_anothers_rest)
{
	struct pool_lease one;

	load_four("hold = \"60s\";");
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
	ck_assert_int_eq(acquire_candidate(&one, "bob", "10.0.0.1"), POOL_E_REFUSED);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "at rest"));
	ck_assert_int_eq(acquire_candidate(&one, "alice", "10.0.0.1"), 0);
}
END_TEST

START_TEST(anonymous_links)
{
	struct pool_lease one;
	struct pool_lease two;

	load_four("");
	ASSERT_REFUSED("", "no user was authenticated");
	fixture_load("anonymous = \"allow\"; pools = ( { name = \"p\"; "
		     "ranges = (\"10.0.0.1-10.0.0.2\"); hold = \"60s\"; } );");
	ASSERT_GETS(&one, "", "10.0.0.1");
	give_back(&one);
	/* Nobody is not somebody who comes back: his address rests for everybody. */
	ASSERT_GETS(&one, "", "10.0.0.2");
	ck_assert_int_eq(acquire(&two, ""), POOL_E_REFUSED);
}
END_TEST

START_TEST(no_rule_and_unknown_pools)
{
	struct pool_lease one = POOL_LEASE_NONE;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); } ); "
		     "assign = ( { user = \"a*\"; pool = \"p\"; } );");
	ASSERT_REFUSED("bob", "no rule of assign matches");
	ck_assert_int_eq(
		pool_acquire(fixture.pool,
			     &(struct pool_request){ .user = "bob", .port = "", .pool_name = "q" },
			     &one, &fixture.why),
		POOL_E_NOT_FOUND);
	ck_assert_int_eq(
		pool_acquire(fixture.pool,
			     &(struct pool_request){ .user = "bob", .port = "", .pool_name = "p" },
			     &one, &fixture.why),
		0);
}
END_TEST

START_TEST(addresses_in_use_here_are_passed_over)
{
	struct pool_lease leases[3];
	struct pool_lease one;

	load_four("");
	fixture.in_use_be = be("10.0.0.2");
	ASSERT_GETS(&leases[0], "a", "10.0.0.1");
	ASSERT_GETS(&leases[1], "b", "10.0.0.3");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_CONFLICT], 1);
	ASSERT_GETS(&leases[2], "c", "10.0.0.4");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_CONFLICT], 1); /* noted once */
	ASSERT_REFUSED("d", "3 of 4 active, 1 at rest");
	/* "Full" is proven: the moment the interface has gone, so has the reason. */
	fixture.in_use_be = 0;
	ASSERT_GETS(&one, "d", "10.0.0.2");
}
END_TEST

START_TEST(our_end_is_never_the_peers)
{
	struct pool_lease one = POOL_LEASE_NONE;
	struct pool_lease two;
	int fd;
	int shared;

	load_four("");
	ck_assert_int_eq(pool_hold_local(fixture.pool, be("10.0.0.1"), &fd, &fixture.why), 0);
	ck_assert_int_eq(pool_hold_local(fixture.pool, be("10.0.0.1"), &shared, &fixture.why), 0);
	ck_assert_int_eq(pool_acquire(fixture.pool,
				      &(struct pool_request){
					      .user = "a", .port = "", .local_be = be("10.0.0.2") },
				      &one, &fixture.why),
			 0);
	ck_assert_str_eq(text_of(one.addr_be), "10.0.0.3");
	ck_assert_int_eq(pool_hold_local(fixture.pool, be("10.0.0.3"), &fd, &fixture.why),
			 POOL_E_REFUSED);
	close(fd);
	close(shared);
	ASSERT_GETS(&two, "b", "10.0.0.4");
}
END_TEST

START_TEST(modules_addresses_are_in_the_same_registry)
{
	const struct pool_request request = { .user = "a", .port = "p" };
	struct pool_choice choice = { .addr_be = be("10.0.0.1"), .module = "M", .notify = true };
	struct pool_lease one = POOL_LEASE_NONE;
	struct pool_lease two = POOL_LEASE_NONE;
	uint64_t count;

	load_four("");
	ck_assert_int_eq(pool_record(fixture.pool, &request, &choice, &one, &fixture.why), 0);
	ck_assert_int_eq(pool_record(fixture.pool, &request, &choice, &two, &fixture.why),
			 POOL_E_REFUSED);
	choice.addr_be = be("127.0.0.1");
	ck_assert_int_eq(pool_record(fixture.pool, &request, &choice, &two, &fixture.why),
			 POOL_E_REFUSED);
	ASSERT_GETS(&two, "b", "10.0.0.2");
	pool_lease_abandon(&one);
	pool_lease_abandon(&two);
	/* Only who can tell the module may take its lease back (RA-54). */
	ck_assert_int_eq(pool_reclaim(fixture.pool, false, &count, &fixture.why), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(pool_reclaim(fixture.pool, true, &count, &fixture.why), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 2);
}
END_TEST

#define MODULE_LEASES 200

/* What the observer was told of dead sessions of modules: how often of each address, and in all. */
static struct {
	unsigned int of[MODULE_LEASES];
	unsigned int n;
} told;

static void count_told(const struct pool_event *event)
{
	uint32_t i = ntohl(event->addr_be) - 0x0a090000;

	if (event->kind != POOL_EVENT_RECLAIM)
		return;
	ck_assert_uint_lt(i, MODULE_LEASES);
	told.of[i]++;
	told.n++;
}

static void record_many(struct pool_lease leases[MODULE_LEASES])
{
	char user[16];
	char port[16];
	struct pool_request request = { .user = user, .port = port };
	struct pool_choice choice = { .module = "M", .notify = true };

	told.n = 0;
	memset(told.of, 0, sizeof(told.of));
	for (unsigned int i = 0; i < MODULE_LEASES; i++) {
		leases[i] = POOL_LEASE_NONE;
		snprintf(user, sizeof(user), "u%u", i);
		snprintf(port, sizeof(port), "p%u", i);
		choice.addr_be = htonl(0x0a090000 + i);
		ck_assert_int_eq(
			pool_record(fixture.pool, &request, &choice, &leases[i], &fixture.why), 0);
	}
	fixture.on_event = count_told;
}

static void reclaim_for(const char *user, const char *port, const char *candidate)
{
	const struct pool_request request = {
		.user = user, .port = port, .candidate_be = candidate != NULL ? be(candidate) : 0
	};

	ck_assert_int_eq(pool_reclaim_for(fixture.pool, &request, &fixture.why), 0);
}

START_TEST(ra_54_what_a_module_would_want_to_hear_first_is_told_first)
{
	struct pool_lease leases[MODULE_LEASES];

	load_four("");
	record_many(leases);
	reclaim_for("x", "x", NULL); /* the next look is at those behind the first ones */
	ck_assert_uint_eq(told.n, 0);
	pool_lease_abandon(&leases[190]);
	pool_lease_abandon(&leases[191]);
	pool_lease_abandon(&leases[192]);
	pool_lease_abandon(&leases[193]);
	reclaim_for("u190", "p191", "10.9.0.192");
	ck_assert_uint_eq(told.n, 3);
	ck_assert_uint_eq(told.of[190], 1);
	ck_assert_uint_eq(told.of[191], 1);
	ck_assert_uint_eq(told.of[192], 1);
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		pool_lease_abandon(&leases[i]);
}
END_TEST

START_TEST(ra_54_everybody_dead_is_told_of_once_though_a_look_is_at_few)
{
	struct pool_lease leases[MODULE_LEASES];

	load_four("");
	record_many(leases);
	reclaim_for("x", "x", NULL); /* not one of those that are at all */
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		pool_lease_abandon(&leases[i]);
	for (unsigned int turn = 0; turn < 4; turn++) {
		reclaim_for("x", "x", NULL);
		ck_assert_uint_le(told.n, 64 * (turn + 1));
	}
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		ck_assert_uint_eq(told.of[i], 1);
}
END_TEST

/* So no module has to be asked twice for the sake of those who died long ago. */
START_TEST(ra_54_everybody_who_is_dead_for_a_second_is_told_of)
{
	struct pool_lease leases[MODULE_LEASES];

	load_four("");
	record_many(leases);
	reclaim_for("x", "x", NULL);
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		pool_lease_abandon(&leases[i]);
	fixture.boot_ms += 1000;
	reclaim_for("x", "x", NULL);
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		ck_assert_uint_eq(told.of[i], 1);
}
END_TEST

static void die_of_event(const struct pool_event *event)
{
	if (event->kind == POOL_EVENT_RECLAIM)
		_exit(7);
}

/* A module crashes when it is told of one: the others are still there to be told of. */
START_TEST(ra_54_who_dies_while_telling_leaves_the_others_to_be_told)
{
	struct pool_lease leases[MODULE_LEASES];
	uint64_t count;
	int status;
	pid_t pid;

	load_four("");
	record_many(leases);
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		pool_lease_abandon(&leases[i]);
	pool_rest(fixture.pool);
	pid = fork();
	if (pid == 0) {
		fixture.on_event = die_of_event;
		if (_i == 0)
			reclaim_for("x", "x", NULL);
		else
			(void)pool_reclaim(fixture.pool, true, NULL, &fixture.why);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(pool_reclaim(fixture.pool, true, &count, &fixture.why), 0);
	ck_assert_uint_eq(count, MODULE_LEASES - 1);
}
END_TEST

/* Where few are left the next look is at all of them, wherever the last one has ended. */
START_TEST(ra_54_of_few_none_is_passed_over)
{
	struct pool_lease leases[MODULE_LEASES];

	load_four("");
	record_many(leases);
	reclaim_for("x", "x", NULL);
	for (unsigned int i = 40; i < MODULE_LEASES; i++)
		ck_assert_int_eq(pool_release(fixture.pool, &leases[i], &fixture.why), 0);
	for (unsigned int i = 0; i < 40; i++) {
		pool_lease_abandon(&leases[i]);
		reclaim_for("x", "x", NULL);
		ck_assert_uint_eq(told.n, i + 1);
	}
}
END_TEST

START_TEST(names_longer_than_any_lease_has_are_nobodys)
{
	struct pool_lease leases[MODULE_LEASES];
	char name[2000];

	memset(name, 'u', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	load_four("");
	record_many(leases);
	reclaim_for(name, name, "255.255.255.255");
	ck_assert_uint_eq(told.n, 0);
	for (unsigned int i = 0; i < MODULE_LEASES; i++)
		pool_lease_abandon(&leases[i]);
}
END_TEST

/* While the built-in pool chooses, no module can be told; so what one has to be told of stays. */
START_TEST(ra_54_a_particular_address_is_not_taken_from_a_module_unheard)
{
	const struct pool_request has = { .user = "r", .port = "p" };
	const struct pool_request request = { .user = "m", .port = "p" };
	const struct pool_request wants = { .user = "b",
					    .port = "p",
					    .candidate_be = be("10.0.0.2") };
	struct pool_choice choice = { .addr_be = be("10.0.0.1"), .module = "M", .notify = true };
	struct pool_lease lease = POOL_LEASE_NONE;

	load_four("} ); assign = ( { user = \"r\"; address = \"10.0.0.1\"; }, { pool = \"p\"; ");
	for (int i = 0; i < 2; i++) {
		choice.addr_be = htonl(0x0a000001 + (uint32_t)i);
		ck_assert_int_eq(pool_record(fixture.pool, i == 0 ? &has : &request, &choice,
					     &lease, &fixture.why),
				 0);
		pool_lease_abandon(&lease);
	}
	ck_assert_int_eq(acquire(&lease, "r"), POOL_E_REFUSED);
	ck_assert_int_eq(pool_acquire(fixture.pool, &wants, &lease, &fixture.why), POOL_E_REFUSED);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 0);
	ck_assert_int_eq(pool_reclaim(fixture.pool, true, NULL, &fixture.why), 0);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 2);
	ASSERT_GETS(&lease, "r", "10.0.0.1");
	lease = POOL_LEASE_NONE;
	ck_assert_int_eq(pool_acquire(fixture.pool, &wants, &lease, &fixture.why), 0);
}
END_TEST

START_TEST(alarm_is_told_once_each_way)
{
	struct pool_lease leases[4];

	load_four("alarm = 75;");
	fill_four(leases);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_ON], 1);
	give_back(&leases[3]);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_OFF], 0);
	give_back(&leases[2]);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_OFF], 1);
	give_back(&leases[1]);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_OFF], 1);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_ON], 1);
}
END_TEST

START_TEST(a_changed_configuration_loses_no_address)
{
	struct pool_lease leases[4];
	struct pool_lease one;

	load_four("sticky = false;");
	fill_four(leases);
	for (int i = 0; i < 3; i++)
		give_back(&leases[i]);
	/* Another name, another order, another cut: the same addresses. */
	fixture_load("pools = ( { name = \"q\"; ranges = (\"10.0.0.3-10.0.0.6\"); "
		     "order = \"sequential\"; sticky = false; }, "
		     "{ name = \"r\"; ranges = (\"10.0.0.1-10.0.0.2\"); } );");
	ASSERT_GETS(&one, "n1", "10.0.0.5");
	ASSERT_GETS(&one, "n2", "10.0.0.6");
	ASSERT_GETS(&one, "n3", "10.0.0.3");
	ASSERT_REFUSED("n4", "full"); /* 10.0.0.4 is live from before */
	give_back(&leases[3]);
	ASSERT_GETS(&one, "n4", "10.0.0.4");
}
END_TEST

START_TEST(explain_says_what_acquire_does)
{
	const struct pool_request request = { .user = "alice", .port = "ttyS0" };
	struct pool_explanation explanation;
	struct pool_lease one;
	unsigned int events;

	load_four("");
	for (int i = 0; i < 5; i++) {
		struct pool_lease lease = POOL_LEASE_NONE;

		events = fixture.events[POOL_EVENT_GRANT] + fixture.events[POOL_EVENT_REFUSAL];
		ck_assert_int_eq(pool_explain(fixture.pool, &request, &explanation, &fixture.why),
				 0);
		ck_assert_int_eq(pool_explain(fixture.pool, &request, &explanation, &fixture.why),
				 0);
		ck_assert_uint_eq(events, fixture.events[POOL_EVENT_GRANT] +
						  fixture.events[POOL_EVENT_REFUSAL]);
		ck_assert_uint_eq(explanation.n_steps, 1);
		ck_assert_int_eq(explanation.code,
				 pool_acquire(fixture.pool, &request, &lease, &fixture.why));
		ck_assert_uint_eq(explanation.addr_be, lease.addr_be);
		ck_assert_int_eq(explanation.how, lease.how);
		if (i == 2) {
			one = lease;
			give_back(&one); /* the next one is sticky */
		}
	}
}
END_TEST

struct seen {
	unsigned int states[3];
	char last_user[POOL_USER_MAX + 1];
	int64_t expires;
};

static int see(void *context, const struct pool_record *record)
{
	struct seen *seen = context;

	seen->states[record->state]++;
	snprintf(seen->last_user, sizeof(seen->last_user), "%s", record->user);
	if (record->state == POOL_STATE_HELD)
		seen->expires = record->expires_sec;
	return 0;
}

START_TEST(the_operators_view)
{
	struct pool_lease leases[4];
	struct pool_stats stats;
	struct pool_record record;
	struct seen seen = { 0 };
	bool alive;

	load_four("hold = \"60s\"; sticky = false;");
	ck_assert_int_eq(pool_walk(fixture.pool, NULL, see, &seen, &fixture.why), POOL_E_NOT_FOUND);
	ck_assert_int_eq(pool_stats(fixture.pool, &stats, &fixture.why), 0);
	ck_assert_uint_eq(stats.free, 4);
	fill_four(leases);
	give_back(&leases[0]);
	fixture.boot_ms += 60000;
	give_back(&leases[1]);
	ck_assert_int_eq(pool_walk(fixture.pool, NULL, see, &seen, &fixture.why), 0);
	ck_assert_uint_eq(seen.states[POOL_STATE_ACTIVE], 2);
	seen = (struct seen){ 0 };
	ck_assert_int_eq(pool_walk(fixture.pool, &(struct pool_filter){ .all = true }, see, &seen,
				   &fixture.why),
			 0);
	ck_assert_uint_eq(seen.states[POOL_STATE_ACTIVE], 2);
	ck_assert_uint_eq(seen.states[POOL_STATE_HELD], 1);
	ck_assert_uint_eq(seen.states[POOL_STATE_REMEMBERED], 1);
	ck_assert_int_eq(seen.expires, fixture.unix_sec + 60);
	seen = (struct seen){ 0 };
	ck_assert_int_eq(pool_walk(fixture.pool, &(struct pool_filter){ .user_glob = "*4" }, see,
				   &seen, &fixture.why),
			 0);
	ck_assert_str_eq(seen.last_user, "u4");
	ck_assert_int_eq(pool_stats(fixture.pool, &stats, &fixture.why), 0);
	ck_assert_uint_eq(stats.size, 4);
	ck_assert_uint_eq(stats.active, 2);
	ck_assert_uint_eq(stats.held, 1);
	ck_assert_uint_eq(stats.free, 1);
	ck_assert_uint_eq(stats.peak, 4);
	ck_assert_uint_eq(stats.grants, 4);
	ck_assert_double_eq_tol(stats.utilisation, 50, 0.001);
	ck_assert_int_eq(
		pool_lookup(fixture.pool, leases[3].addr_be, &record, &alive, &fixture.why), 0);
	ck_assert(alive);
	ck_assert_int_eq(record.pid, getpid());
	ck_assert_int_eq(record.seen_ms, fixture.boot_ms - 60000);
	ck_assert_int_eq(pool_forget(fixture.pool, leases[3].addr_be, &fixture.why),
			 POOL_E_NOT_OWNER);
	ck_assert_int_eq(pool_forget(fixture.pool, be("10.0.0.2"), &fixture.why), 0);
	ck_assert_int_eq(pool_forget(fixture.pool, be("10.0.0.2"), &fixture.why), POOL_E_NOT_FOUND);
	ck_assert_int_eq(pool_forget(fixture.pool, be("10.3.0.2"), &fixture.why), POOL_E_NOT_FOUND);
	ck_assert_int_eq(pool_stats(fixture.pool, &stats, &fixture.why), 0);
	ck_assert_uint_eq(stats.free, 2);
}
END_TEST

struct past {
	unsigned int n;
	char text[512];
};

static int remember(void *context, const struct pool_past *past)
{
	struct past *seen = context;
	size_t used = strlen(seen->text);

	seen->n++;
	if (used < sizeof(seen->text))
		snprintf(seen->text + used, sizeof(seen->text) - used, "%d %s %s+%d; ", past->kind,
			 text_of(past->addr_be), past->user,
			 past->granted_sec == 0 ? -1 : (int)(past->time_sec - past->granted_sec));
	return 0;
}

START_TEST(history_is_kept_across_reboots)
{
	struct past past = { 0 };
	struct pool_lease one;

	load_four("");
	ck_assert_int_eq(pool_history(fixture.pool, remember, &past, &fixture.why),
			 POOL_E_NOT_FOUND);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_int_eq(pool_history(fixture.pool, remember, &past, &fixture.why), 0);
	ck_assert_str_eq(past.text, "0 10.0.0.1 alice+-1; ");
	fixture.unix_sec += 60;
	give_back(&one);
	ASSERT_REFUSED("", "no user");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	ASSERT_GETS(&one, "bob", "10.0.0.2");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	pool_lease_abandon(&one);
	scratch_remove_below(fixture.dir, "run");
	load_four("");
	past = (struct past){ 0 };
	ck_assert_int_eq(pool_history(fixture.pool, remember, &past, &fixture.why), 0);
	ck_assert_str_eq(past.text, "0 10.0.0.1 alice+-1; 1 10.0.0.1 alice+60; 3 0.0.0.0 +-1; "
				    "0 10.0.0.2 bob+-1; ");
}
END_TEST

/* The newest ones of the memory store, and those that are not in it yet. */
START_TEST(the_newest_history)
{
	static const struct {
		size_t n;
		const char *text;
	} cases[] = {
		{ 0, "" },
		{ 1, "0 10.0.0.2 bob+-1; 0 10.0.0.4 dora+-1; " },
		{ 2, "0 10.0.0.1 alice+-1; 0 10.0.0.2 bob+-1; 0 10.0.0.3 carl+-1; "
		     "0 10.0.0.4 dora+-1; " },
		{ 3, "0 10.0.0.1 alice+-1; 0 10.0.0.2 bob+-1; 0 10.0.0.3 carl+-1; "
		     "0 10.0.0.4 dora+-1; " },
		{ SIZE_MAX, "0 10.0.0.1 alice+-1; 0 10.0.0.2 bob+-1; 0 10.0.0.3 carl+-1; "
			    "0 10.0.0.4 dora+-1; " },
	};
	struct pool_lease leases[4];
	struct past past = { 0 };

	load_four("");
	ck_assert_int_eq(pool_history_newest(fixture.pool, 3, remember, &past, &fixture.why),
			 POOL_E_NOT_FOUND);
	ASSERT_GETS(&leases[0], "alice", "10.0.0.1");
	ASSERT_GETS(&leases[1], "bob", "10.0.0.2");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	ASSERT_GETS(&leases[2], "carl", "10.0.0.3");
	ASSERT_GETS(&leases[3], "dora", "10.0.0.4");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		past = (struct past){ 0 };
		ck_assert_int_eq(pool_history_newest(fixture.pool, cases[i].n, remember, &past,
						     &fixture.why),
				 0);
		ck_assert_str_eq(past.text, cases[i].text);
	}
	for (size_t i = 0; i < 4; i++)
		give_back(&leases[i]);
}
END_TEST

START_TEST(leases_by_glob)
{
	static const struct {
		const char *glob;
		unsigned int n;
	} cases[] = {
		{ "*", 4 },    { "u*", 4 },   { "u?", 4 },   { "u[13]", 2 }, { "u[!1]", 3 },
		{ "u4", 1 },   { "\\u4", 1 }, { "u\\4", 1 }, { "U4", 0 },    { "u", 0 },
		{ "u44", 0 },  { "u4*", 1 },  { "u4?", 0 },  { "*4", 1 },    { "", 0 },
		{ "u4\\", 0 }, { "v*", 0 },
	};
	struct pool_lease leases[4];

	load_four("");
	fill_four(leases);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pool_filter filter = { .user_glob = cases[i].glob };
		struct seen seen = { 0 };

		ck_assert_int_eq(pool_walk(fixture.pool, &filter, see, &seen, &fixture.why), 0);
		ck_assert_msg(seen.states[POOL_STATE_ACTIVE] == cases[i].n, "%s: %u", cases[i].glob,
			      seen.states[POOL_STATE_ACTIVE]);
	}
}
END_TEST

START_TEST(t25_bad_arguments)
{
	struct pool_lease one = POOL_LEASE_NONE;
	char user[POOL_USER_MAX + 2];

	load_four("");
	memset(user, 'x', sizeof(user));
	user[POOL_USER_MAX + 1] = '\0';
	ck_assert_int_eq(acquire(&one, user), POOL_E_INVALID);
	user[POOL_USER_MAX] = '\0';
	ASSERT_GETS(&one, user, "10.0.0.1");
	give_back(&one);
	ASSERT_GETS(&one, user, "10.0.0.1");
	ck_assert_int_eq(pool_acquire(fixture.pool, &(struct pool_request){ .user = "a" }, &one,
				      &fixture.why),
			 POOL_E_INVALID);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("pool");

	tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
	tcase_add_test(tcase, one_address_one_session);
	tcase_add_test(tcase, least_recent_order);
	tcase_add_test(tcase, sequential_order_takes_the_lowest);
	tcase_add_test(tcase, random_order_gives_every_address_once);
	tcase_add_test(tcase, sticky_gives_the_last_address_back);
	tcase_add_test(tcase, sticky_survives_a_reboot);
	tcase_add_loop_test(tcase, rest_after_a_reboot_is_not_counted_from_an_earlier_end, 0, 2);
	tcase_add_loop_test(tcase, rest_survives_a_reboot_where_nothing_is_sticky, 0, 2);
	tcase_add_test(tcase, a_memory_that_others_may_write_is_not_used);
	tcase_add_test(tcase, hold_keeps_others_away);
	tcase_add_test(tcase, hold_in_the_other_orders);
	tcase_add_test(tcase, hold_forever);
	tcase_add_test(tcase, dead_sessions_are_taken_back_when_needed);
	tcase_add_test(tcase, ra_55_a_late_release_frees_nobody);
	tcase_add_test(tcase, a_dead_users_own_address_comes_back);
	tcase_add_test(tcase, limit_per_user);
	tcase_add_test(tcase, ra_57_two_ports_two_addresses);
	tcase_add_test(tcase, chain_goes_on_when_full);
	tcase_add_test(tcase, closed_pools_give_nothing_new);
	tcase_add_test(tcase, reservations);
	tcase_add_test(tcase, candidates_are_kept_and_recorded);
	tcase_add_test(tcase, candidates_are_replaced);
	tcase_add_test(tcase, a_candidate_does_not_break_anothers_rest);
	tcase_add_test(tcase, anonymous_links);
	tcase_add_test(tcase, no_rule_and_unknown_pools);
	tcase_add_test(tcase, addresses_in_use_here_are_passed_over);
	tcase_add_test(tcase, our_end_is_never_the_peers);
	tcase_add_test(tcase, modules_addresses_are_in_the_same_registry);
	tcase_add_test(tcase, ra_54_what_a_module_would_want_to_hear_first_is_told_first);
	tcase_add_test(tcase, ra_54_everybody_dead_is_told_of_once_though_a_look_is_at_few);
	tcase_add_test(tcase, ra_54_everybody_who_is_dead_for_a_second_is_told_of);
	tcase_add_loop_test(tcase, ra_54_who_dies_while_telling_leaves_the_others_to_be_told, 0, 2);
	tcase_add_test(tcase, ra_54_of_few_none_is_passed_over);
	tcase_add_test(tcase, names_longer_than_any_lease_has_are_nobodys);
	tcase_add_test(tcase, ra_54_a_particular_address_is_not_taken_from_a_module_unheard);
	tcase_add_test(tcase, alarm_is_told_once_each_way);
	tcase_add_test(tcase, a_changed_configuration_loses_no_address);
	tcase_add_test(tcase, explain_says_what_acquire_does);
	tcase_add_test(tcase, the_operators_view);
	tcase_add_test(tcase, leases_by_glob);
	tcase_add_test(tcase, history_is_kept_across_reboots);
	tcase_add_test(tcase, the_newest_history);
	tcase_add_test(tcase, t25_bad_arguments);
	return run_tcase("pool", tcase);
}
