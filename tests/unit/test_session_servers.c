/* SPDX-License-Identifier: MIT */
/*
 * session*.c with pools that lease from servers: what is asked in advance, what goes on while a session
 * lives, and how it ends when its lease does.
 */
#include "session_fixture.h"
#include "suite.h"

#define SERVER_POOL                                                                                \
	"backend = \"madcap\"; madcap = { scope = \"239.192.0.0\"; servers = (\"192.0.2.1\"); };"
#define ENV_SERVED                                                                                 \
	ENV_SET "env RASIP_GROUP=239.192.0.1\nenv RASIP_SERVER=192.0.2.1:2535\n"                   \
		"env RASIP_LEASE_END=1000\n"
#define LOG_SERVED                                                                                 \
	"log0 rasip: lease address=10.0.0.1 group=239.192.0.1 server=192.0.2.1:2535 "              \
	"until=1970-01-01T00:16:40Z\n"
#define ACQUIRED "reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"

static int64_t prepare(const char *user, uint32_t candidate_be)
{
	const struct session_input input = { .user = user,
					     .port = "ttyS0",
					     .candidate_be = candidate_be };

	return session_prepare(session, &input);
}

static void start(void)
{
	load("", SERVER_POOL, "");
	fake.server = "192.0.2.1:2535";
	ck_assert(choose("alice"));
	expect_trace(ACQUIRED ENV_SERVED LOG_SERVED PLAIN_LINK);
}

START_TEST(a_pool_without_servers_prepares_nothing)
{
	load("", "", "");
	ck_assert_int_eq(prepare("alice", 0), -1);
	ck_assert_int_eq(session_prepare_step(session, 0), -1);
	expect_trace("");
}
END_TEST

START_TEST(what_was_prepared_is_chosen)
{
	load("", SERVER_POOL, "");
	fake.server = "192.0.2.1:2535";
	fake.preparing = 2;
	ck_assert_int_eq(prepare("alice", 0), 40);
	ck_assert_int_eq(session_allows(session, htonl(0x0a000001)), 0); /* nothing fails open */
	ck_assert_int_eq(session_prepare_step(session, 0), 40);
	ck_assert_int_eq(session_prepare_step(session, 25), -1);
	ck_assert_int_eq(session_prepare_step(session, 0), -1);
	expect_trace("prepare alice candidate=0.0.0.0\nprepare alice candidate=0.0.0.0\nwait 25\n"
		     "prepare alice candidate=0.0.0.0\n");
	ck_assert(choose("alice"));
	expect_trace(ACQUIRED ENV_SERVED LOG_SERVED PLAIN_LINK);
}
END_TEST

START_TEST(another_question_is_prepared_anew)
{
	load("", SERVER_POOL, "");
	fake.preparing = 9;
	ck_assert_int_eq(prepare("alice", 0), 40);
	ck_assert_int_eq(prepare("alice", htonl(0x0a000063)), 40);
	expect_trace(
		"prepare alice candidate=0.0.0.0\nunprepare\nprepare alice candidate=10.0.0.99\n");
	ck_assert(choose("bob"));
	expect_trace("unprepare\nreclaim\nacquire bob ttyS0 pool=- candidate=0.0.0.0 "
		     "local=0.0.0.0\n" ENV_SET PLAIN_LINK);
}
END_TEST

START_TEST(a_link_that_ends_while_it_waits_gives_back)
{
	load("", SERVER_POOL, "");
	fake.preparing = 9;
	ck_assert_int_eq(prepare("alice", 0), 40);
	session_end(session);
	expect_trace("prepare alice candidate=0.0.0.0\nunprepare\n");
	ck_assert_int_eq(session_prepare_step(session, 0), -1);
	expect_trace("");
}
END_TEST

/* RA-15: who is not accepted gets no address, so none is asked for. */
START_TEST(ra_15_nobody_is_asked_for_a_refused_connection)
{
	char path[PATH_MAX], modules[2 * PATH_MAX];

	snprintf(modules, sizeof(modules),
		 "modules = ( { name = \"A\"; path = \"%s\"; argument = \"name=A log=%s "
		 "accept=no\"; }, { name = \"P\"; path = \"builtin\"; } );",
		 copy_module("watcher", "A", path), trace_path);
	load(modules, SERVER_POOL, "");
	ck_assert_int_eq(prepare("alice", 0), -1);
	expect_trace("A accept alice ttyS0 0.0.0.0\n");
	ck_assert(!choose("alice"));
	expect_trace(
		"log2 rasip: refuse user=\"alice\" port=ttyS0 reason=\"module A does not accept "
		"the connection\"\nclose\n");
}
END_TEST

START_TEST(a_lease_is_kept_while_the_session_lives)
{
	start();
	fake.keep_ms = 5000;
	ck_assert_int_eq(session_keep(session), 5000);
	expect_trace("keep 10.0.0.1\n");
	session_end(session);
	expect_trace("free 10.0.0.1\n" ENV_UNSET);
	ck_assert_int_eq(session_keep(session), -1);
	expect_trace("");
}
END_TEST

/* T20 */
START_TEST(t20_a_lost_lease_closes_the_link_and_is_released_once)
{
	start();
	fake.keep_lost = "the server said no";
	ck_assert_int_eq(session_keep(session), -1);
	expect_trace("keep 10.0.0.1\nlog2 rasip: close user=\"alice\" port=ttyS0 reason=\"the "
		     "server said "
		     "no\"\nclose\n");
	ck_assert_int_eq(session_allows(session, htonl(0x0a000001)), 0);
	ck_assert(!choose("alice")); /* a renegotiation before the link is down */
	ck_assert_int_eq(session_keep(session), -1);
	session_end(session);
	session_end(session);
	expect_trace("free 10.0.0.1\n" ENV_UNSET);
}
END_TEST

START_TEST(owed_releases_are_delivered_while_a_session_lives)
{
	start();
	fake.delivering = 1;
	ck_assert_int_eq(session_deliver(session), 30);
	ck_assert_int_eq(session_deliver(session), -1);
	session_end(session);
	ck_assert_int_eq(session_deliver(session), -1);
	expect_trace("deliver\ndeliver\nfree 10.0.0.1\n" ENV_UNSET);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, a_pool_without_servers_prepares_nothing);
	tcase_add_test(all, what_was_prepared_is_chosen);
	tcase_add_test(all, another_question_is_prepared_anew);
	tcase_add_test(all, a_link_that_ends_while_it_waits_gives_back);
	tcase_add_test(all, ra_15_nobody_is_asked_for_a_refused_connection);
	tcase_add_test(all, a_lease_is_kept_while_the_session_lives);
	tcase_add_test(all, t20_a_lost_lease_closes_the_link_and_is_released_once);
	tcase_add_test(all, owed_releases_are_delivered_while_a_session_lives);
	return run_tcase("session_servers", all);
}
