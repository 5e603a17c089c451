/* SPDX-License-Identifier: MIT */
/*
 * session*.c: what a session asks of modules and pool, in which order, and how often.
 */
#include "session_fixture.h"
#include "suite.h"

/* One foreign module, scripted by `words`; in the trace it is "A". */
static const char *foreign(const char *words)
{
	static char text[2 * PATH_MAX];
	char path[PATH_MAX];

	snprintf(text, sizeof(text),
		 "modules = ( { name = \"A\"; path = \"%s\"; argument = \"name=A log=%s %s\"; } );",
		 copy_module("scripted", "A", path), trace_path, words);
	return text;
}

/* Two of them: "A" and "B". */
static const char *two(const char *first, const char *words_1, const char *second,
		       const char *words_2)
{
	static char text[4 * PATH_MAX];
	char paths[2][PATH_MAX];

	snprintf(text, sizeof(text),
		 "modules = ( { name = \"A\"; path = \"%s\"; argument = \"name=A log=%s %s\"; },"
		 "{ name = \"B\"; path = \"%s\"; argument = \"name=B log=%s %s\"; } );",
		 copy_module(first, "A", paths[0]), trace_path, words_1,
		 copy_module(second, "B", paths[1]), trace_path, words_2);
	return text;
}

START_TEST(t1_connect_and_disconnect)
{
	load("", "", "");
	ck_assert_int_eq(session_allows(session, htonl(0x0a000001)), -1); /* T17 */
	ck_assert(choose("alice"));
	ck_assert_uint_eq(address_be, htonl(0x0a000001));
	expect_trace("reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 "
		     "local=0.0.0.0\n" ENV_SET PLAIN_LINK);
	ck_assert_int_eq(session_allows(session, htonl(0x0a000001)), 1);
	ck_assert_int_eq(session_allows(session, htonl(0x0a000002)), 0);
	session_ip_up(session, address_be, 0);
	session_maintain(session);
	expect_trace("maintain\n");
	session_end(session);
	expect_trace("free 10.0.0.1\n" ENV_UNSET);
	ck_assert_int_eq(session_allows(session, htonl(0x0a000001)), -1);
	session_exit(&session);
	ck_assert_ptr_null(session);
	expect_trace("");
}
END_TEST

START_TEST(t1_foreign_module_gets_the_same_triple_back)
{
	load(foreign("address=10.9.0.7"), "", "");
	ck_assert(choose("alice"));
	ck_assert_uint_eq(address_be, htonl(0x0a090007));
	expect_trace("A accept alice ttyS0 0.0.0.0\nreclaim\nA get alice ttyS0 0.0.0.0\n"
		     "record alice ttyS0 10.9.0.7 module=A notify=1\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.9.0.7\n" PLAIN_LINK);
	session_end(session);
	/* RA-50: the address is free only after release has returned. */
	expect_trace("A release alice ttyS0 10.9.0.7\nfree 10.9.0.7\nA hangup alice ttyS0 "
		     "0.0.0.0\n" ENV_UNSET);
	session_exit(&session);
	expect_trace("A terminate - - 0.0.0.0\n");
}
END_TEST

/* The module is told by whoever takes the lease back, which therefore has to be there to be taken. */
START_TEST(ra_54_a_release_that_cannot_be_noted_is_left_to_others)
{
	load(foreign("address=10.9.0.7"), "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	fake.told_code = POOL_E_STORE;
	session_end(session);
	expect_trace("log1 rasip: warning reason=\"no telling\"\nabandon 10.9.0.7\n"
		     "A hangup alice ttyS0 0.0.0.0\n" ENV_UNSET);
}
END_TEST

START_TEST(t2_a_candidate_is_accepted)
{
	load(foreign(""), "", "");
	ck_assert(choose_with("alice", htonl(0x0a000063)));
	ck_assert_uint_eq(address_be, htonl(0x0a000063));
	unlink(trace_path);
	session_end(session);
	expect_trace("A release alice ttyS0 10.0.0.99\nfree 10.0.0.99\n"
		     "A hangup alice ttyS0 0.0.0.0\n" ENV_UNSET);
}
END_TEST

START_TEST(t3_a_candidate_is_replaced_and_release_has_the_replacement)
{
	load(foreign("address=10.9.0.7"), "", "");
	ck_assert(choose_with("alice", htonl(0x0a000063)));
	ck_assert_uint_eq(address_be, htonl(0x0a090007));
	unlink(trace_path);
	session_end(session);
	expect_trace("A release alice ttyS0 10.9.0.7\nfree 10.9.0.7\nA hangup alice ttyS0 "
		     "0.0.0.0\n" ENV_UNSET);
}
END_TEST

START_TEST(t4_no_address_no_link_and_no_release)
{
	load("", "", "");
	fake.refuses = "full: 254 of 254 active";
	address_be = htonl(0x01020304);
	ck_assert(!choose_with("alice", 0));
	ck_assert_uint_eq(address_be, htonl(0x01020304));
	expect_trace(
		"reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		"log2 rasip: refuse user=\"alice\" port=ttyS0 reason=\"full: 254 of 254 active\"\n"
		"close\n");
	ck_assert(session_is_refused(session));
	ck_assert_int_eq(session_allows(session, htonl(0x0a000001)), 0);
	/* RA-30: asked once, also where the answer was no. */
	fake.refuses = NULL;
	ck_assert(!choose_with("alice", 0));
	ck_assert(!choose_with("bob", 0));
	expect_trace("");
	session_end(session);
	expect_trace("");
	ck_assert(!session_is_refused(session));
	ck_assert(choose_with("alice", 0));
}
END_TEST

static const struct {
	const char *words;
	const char *after_get; /* in the trace */
	const char *reason;
} failing[] = {
	{ "zero", "", "0.0.0.0 is no address" },                   /* T5 */
	{ "fail address=10.9.0.7", "", "module A failed with 3" }, /* T6 */
	{ "address=127.0.0.1", "A release alice ttyS0 127.0.0.1\n",
	  "127.0.0.1 is a loopback address" }, /* T24 */
	{ "address=127.0.0.1 notify=no", "", "127.0.0.1 is a loopback address" },
	{ "address=224.0.0.9", "A release alice ttyS0 224.0.0.9\n",
	  "224.0.0.9 is a multicast address" },
	{ "address=255.255.255.255", "A release alice ttyS0 255.255.255.255\n",
	  "255.255.255.255 is the broadcast address" },
};

START_TEST(t5_t6_t24_get_that_gives_nothing_usable)
{
	char expected[2048];

	load(foreign(failing[_i].words), "", "");
	ck_assert(!choose("alice"));
	snprintf(expected, sizeof(expected),
		 "A accept alice ttyS0 0.0.0.0\nreclaim\nA get alice ttyS0 0.0.0.0\n%s"
		 "log2 rasip: refuse user=\"alice\" port=ttyS0 reason=\"%s\"\nclose\n",
		 failing[_i].after_get, failing[_i].reason);
	expect_trace(expected);
	session_end(session);
	expect_trace("A hangup alice ttyS0 0.0.0.0\n"); /* it was accepted */
}
END_TEST

START_TEST(ra_42_an_address_that_is_in_use_goes_back_to_the_module)
{
	load(foreign("address=10.9.0.7"), "", "");
	fake.refuses = "10.9.0.7 has a live session";
	ck_assert(!choose("alice"));
	expect_trace("A accept alice ttyS0 0.0.0.0\nreclaim\nA get alice ttyS0 0.0.0.0\n"
		     "record alice ttyS0 10.9.0.7 module=A notify=1\n"
		     "A release alice ttyS0 10.9.0.7\n"
		     "log2 rasip: refuse user=\"alice\" port=ttyS0 "
		     "reason=\"10.9.0.7 has a live session\"\n"
		     "close\n");
}
END_TEST

START_TEST(t7_no_release_where_get_did_not_ask_for_it)
{
	load(foreign("address=10.9.0.7 notify=no"), "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	session_end(session);
	expect_trace("free 10.9.0.7\nA hangup alice ttyS0 0.0.0.0\n" ENV_UNSET);
}
END_TEST

START_TEST(t8_renegotiation_is_not_a_new_session)
{
	load("", "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	for (int i = 0; i < 3; i++) {
		ck_assert(choose("alice"));
		ck_assert_uint_eq(address_be, htonl(0x0a000001));
		expect_trace(PLAIN_LINK);
		session_ip_up(session, address_be, 0);
	}
	ck_assert(choose_with("alice", htonl(0x0a000063))); /* whatever else stands there by now */
	ck_assert_uint_eq(address_be, htonl(0x0a000001));
}
END_TEST

START_TEST(t9_t11_one_release_however_it_ends)
{
	load("", "", "");
	ck_assert(choose("alice")); /* and IPCP never comes up */
	unlink(trace_path);
	session_end(session);
	session_end(session);
	expect_trace("free 10.0.0.1\n" ENV_UNSET);
	address_be = 0;
	ck_assert(choose("alice"));
	unlink(trace_path);
	session_exit(&session); /* fatal(): no phase, only the exit */
	expect_trace("free 10.0.0.2\n" ENV_UNSET);
	session_exit(&session);
}
END_TEST

START_TEST(t10_nobody_in_particular)
{
	load("", "", "anonymous = \"allow\";");
	ck_assert(choose(""));
	unlink(trace_path);
	session_end(session);
	expect_trace("free 10.0.0.1\n" ENV_UNSET);
}
END_TEST

START_TEST(anonymous_is_refused_before_anybody_is_asked)
{
	load(foreign(""), "", "");
	ck_assert(!choose(""));
	expect_trace("log2 rasip: refuse user=\"\" port=ttyS0 "
		     "reason=\"anonymous: the peer has not authenticated\"\n"
		     "close\n");
	session_end(session);
	expect_trace("");
}
END_TEST

START_TEST(who_ends_takes_events_away_where_many_wait)
{
	load("", "", "");
	fake.refuses = "full";
	fake.is_behind = true;
	ck_assert(!choose("alice"));
	unlink(trace_path);
	session_end(session);
	expect_trace("maintain\n");
}
END_TEST

START_TEST(t12_persist_asks_anew)
{
	load("", "", "candidate = \"replace\";");
	ck_assert(choose("alice"));
	session_end(session);
	unlink(trace_path);
	address_be = 0; /* what the plugin puts back */
	ck_assert(choose("bob"));
	ck_assert_uint_eq(address_be, htonl(0x0a000002));
	expect_trace("reclaim\nacquire bob ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.2\n" PLAIN_LINK);
}
END_TEST

START_TEST(t12_persist_reads_the_configuration_again)
{
	load("", "", "");
	ck_assert(choose("alice"));
	session_end(session);
	write_config("", "local = \"10.0.0.254\"; dns = (\"192.0.2.53\");", "");
	unlink(trace_path);
	address_be = 0;
	ck_assert(choose("alice"));
	expect_trace("reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 "
		     "local=0.0.0.0\nhold 10.0.0.254\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.2\n"
		     "link local=10.0.0.254 dns=1:192.0.2.53,0.0.0.0 wins=0\n");
}
END_TEST

START_TEST(t12_a_configuration_that_no_longer_loads_is_not_used)
{
	char expected[PATH_MAX + 512];

	load("", "", "");
	ck_assert(choose("alice"));
	session_end(session);
	ck_assert_int_eq(unlink(config_path), 0);
	unlink(trace_path);
	address_be = 0;
	ck_assert(choose("alice"));
	snprintf(expected, sizeof(expected),
		 "log1 rasip: warning reason=\"%s: No such file or directory\"\n"
		 "log1 rasip: warning reason=\"the configuration of the last session stays in "
		 "use\"\n"
		 "reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		 "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.2\n" PLAIN_LINK,
		 config_path);
	expect_trace(expected);
}
END_TEST

START_TEST(t13_two_pairs_only_the_first_also_when_it_fails)
{
	load(two("scripted", "fail address=10.9.0.1", "scripted", "address=10.9.0.2"), "", "");
	ck_assert(!choose("alice"));
	expect_trace("A accept alice ttyS0 0.0.0.0\nB accept alice ttyS0 0.0.0.0\n"
		     "reclaim\nA get alice ttyS0 0.0.0.0\n"
		     "log2 rasip: refuse user=\"alice\" port=ttyS0 "
		     "reason=\"module A failed with 3\"\n"
		     "close\n");
}
END_TEST

START_TEST(t13_a_first_one_without_the_pair)
{
	load(two("watcher", "", "scripted", "address=10.9.0.2"), "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	session_end(session);
	expect_trace("B release alice ttyS0 10.9.0.2\nfree 10.9.0.2\n"
		     "A hangup alice ttyS0 0.0.0.0\nB hangup alice ttyS0 0.0.0.0\n" ENV_UNSET);
}
END_TEST

START_TEST(ra_15_a_refused_connection_gets_nothing_more)
{
	load(two("watcher", "accept=no", "scripted", "address=10.9.0.2"), "", "");
	ck_assert(!choose("alice"));
	expect_trace("A accept alice ttyS0 0.0.0.0\nB accept alice ttyS0 0.0.0.0\n"
		     "log2 rasip: refuse user=\"alice\" port=ttyS0 "
		     "reason=\"module A does not accept the connection\"\n"
		     "close\n");
	session_end(session);
	expect_trace("");
	session_exit(&session);
	expect_trace("B terminate - - 0.0.0.0\nA terminate - - 0.0.0.0\n");
}
END_TEST

START_TEST(ra_10_no_module_chooses_so_pppd_does)
{
	load(two("watcher", "", "watcher", ""), "", "");
	ck_assert(choose_with("alice", htonl(0x0a000063)));
	ck_assert_uint_eq(address_be, htonl(0x0a000063));
	expect_trace("A accept alice ttyS0 0.0.0.0\nB accept alice ttyS0 0.0.0.0\n"
		     "record alice ttyS0 10.0.0.99 module= notify=0\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.99\n" PLAIN_LINK);
	session_end(session);
	unlink(trace_path);
	ck_assert(!choose_with("alice", 0)); /* and nothing fails open */
}
END_TEST

START_TEST(ra_54_the_dead_are_released_before_get)
{
	load(foreign("address=10.9.0.7"), "", "");
	fake.dead = (struct pool_event){ .kind = POOL_EVENT_RECLAIM,
					 .addr_be = htonl(0x0a090007),
					 .pool = "",
					 .user = "carol",
					 .port = "ttyS9",
					 .module = "A",
					 .notify = true,
					 .pid = 4711,
					 .text = "" };
	ck_assert(choose("alice"));
	expect_trace("A accept alice ttyS0 0.0.0.0\nreclaim\n"
		     "log0 rasip: reclaim address=10.9.0.7 pool=\"\" user=\"carol\" port=ttyS9 "
		     "module=\"A\" pid=4711\n"
		     "A release carol ttyS9 10.9.0.7\nA get alice ttyS0 0.0.0.0\n"
		     "record alice ttyS0 10.9.0.7 module=A notify=1\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.9.0.7\n" PLAIN_LINK);
}
END_TEST

/* Whatever it answers, and whoever is dead meanwhile. */
START_TEST(ra_30_ra_35_a_module_that_has_nothing_is_not_asked_again)
{
	load(foreign(_i == 0 ? "fail" : "zero"), "", "");
	fake.waiting = 2;
	ck_assert(!choose("alice"));
	expect_trace(_i == 0 ? "A accept alice ttyS0 0.0.0.0\n"
			       "reclaim\nA get alice ttyS0 0.0.0.0\n"
			       "log2 rasip: refuse user=\"alice\" port=ttyS0 "
			       "reason=\"module A failed with 3\"\nclose\n"
			     : "A accept alice ttyS0 0.0.0.0\n"
			       "reclaim\nA get alice ttyS0 0.0.0.0\n"
			       "log2 rasip: refuse user=\"alice\" port=ttyS0 "
			       "reason=\"0.0.0.0 is no address\"\nclose\n");
}
END_TEST

START_TEST(ra_54_full_is_not_said_while_a_module_has_not_heard_of_the_dead)
{
	load("", "", "");
	fake.waiting = 2;
	fake.refuses = "full";
	ck_assert(!choose("alice"));
	/* One question, and so one refusal in counters and history. */
	expect_trace("reclaim all modules=1\n"
		     "acquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		     "log2 rasip: refuse user=\"alice\" port=ttyS0 reason=\"full\"\nclose\n");
}
END_TEST

static char run_dir[SCRATCH_SIZE + 8];

static int hang(void)
{
	snprintf(run_dir, sizeof(run_dir), "%s/run", work);
	return hang_in_module(run_dir, 40000, true);
}

START_TEST(ra_17_get_is_refused_while_a_module_hangs_elsewhere)
{
	char expected[4096];
	int fd;

	load(foreign("address=10.9.0.7"), "", "");
	fd = hang();
	ck_assert(!choose("alice"));
	snprintf(expected, sizeof(expected),
		 "A accept alice ttyS0 0.0.0.0\n"
		 "log2 rasip: refuse user=\"alice\" port=ttyS0 reason=\"a module does not "
		 "return: process 4711 has had %s/modules.lock for 40 s\"\nclose\n",
		 run_dir);
	expect_trace(expected);
	close(fd);
}
END_TEST

/* RA-53: nothing holds up the hang-up; RA-17: nobody goes in. Who takes the lease back tells it. */
START_TEST(ra_17_release_is_left_to_others_while_a_module_hangs_elsewhere)
{
	char expected[4096];
	int fd;

	load(foreign("address=10.9.0.7"), "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	fd = hang();
	session_end(session);
	snprintf(expected, sizeof(expected),
		 "log1 rasip: warning reason=\"a module does not return: process 4711 has had "
		 "%s/modules.lock for 40 s\"\nabandon 10.9.0.7\n"
		 "A hangup alice ttyS0 0.0.0.0\n" ENV_UNSET,
		 run_dir);
	expect_trace(expected);
	close(fd);
}
END_TEST

/* It is not the one that chooses. */
START_TEST(a_module_that_hangs_elsewhere_does_not_close_the_built_in_pool)
{
	char expected[4 * PATH_MAX];
	char path[PATH_MAX];
	int fd;

	snprintf(expected, sizeof(expected),
		 "modules = ( { name = \"A\"; path = \"builtin\"; },"
		 "{ name = \"B\"; path = \"%s\"; argument = \"name=B log=%s\"; } );",
		 copy_module("scripted", "B", path), trace_path);
	load(expected, "", "");
	fd = hang();
	ck_assert(choose("alice"));
	snprintf(expected, sizeof(expected),
		 "B accept alice ttyS0 0.0.0.0\n"
		 "log1 rasip: warning reason=\"a module does not return: process 4711 has had "
		 "%s/modules.lock for 40 s\"\n"
		 "acquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		 "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.1\n" PLAIN_LINK,
		 run_dir);
	expect_trace(expected);
	close(fd);
}
END_TEST

START_TEST(what_cannot_be_reclaimed_keeps_nobody_out)
{
	load(foreign("address=10.9.0.7"), "", "");
	fake.reclaim_code = POOL_E_NOT_FOUND; /* no session yet since the machine started */
	ck_assert(choose("alice"));
	session_end(session);
	unlink(trace_path);
	fake.reclaim_code = POOL_E_SYSTEM;
	address_be = 0;
	ck_assert(choose("bob"));
	expect_trace("A accept bob ttyS0 0.0.0.0\nreclaim\n"
		     "log1 rasip: warning reason=\"no reclaiming\"\nA get bob ttyS0 0.0.0.0\n"
		     "record bob ttyS0 10.9.0.7 module=A notify=1\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.9.0.7\n" PLAIN_LINK);
}
END_TEST

START_TEST(another_user_on_the_same_link_is_another_session)
{
	load(foreign(""), "", "");
	ck_assert(choose_with("alice", htonl(0x0a000063)));
	unlink(trace_path);
	/* pppd hands alice's address back: bob's candidate is the administrator's value. */
	ck_assert(choose_with("bob", htonl(0x0a000063)));
	expect_trace("A release alice ttyS0 10.0.0.99\nfree 10.0.0.99\n"
		     "A hangup alice ttyS0 0.0.0.0\n" ENV_UNSET "A accept bob ttyS0 0.0.0.0\n"
		     "reclaim\nA get bob ttyS0 10.0.0.99\n"
		     "record bob ttyS0 10.0.0.99 module=A notify=1\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.99\n" PLAIN_LINK);
}
END_TEST

START_TEST(our_own_answer_is_no_candidate)
{
	load("", "", "");
	ck_assert(choose("alice"));
	ck_assert_uint_eq(session_candidate(session, address_be), 0);
	unlink(trace_path);
	ck_assert(choose("bob"));
	expect_trace("free 10.0.0.1\n" ENV_UNSET
		     "reclaim\nacquire bob ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		     "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.2\n" PLAIN_LINK);
}
END_TEST

START_TEST(ra_19_a_call_from_inside_is_answered_with_an_error)
{
	load("", "", "");
	fake.calls_back = true;
	ck_assert(choose("alice"));
	expect_trace("reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		     "log1 rasip: warning reason=\"a module called back into the plugin\"\n" ENV_SET
			     PLAIN_LINK);
}
END_TEST

START_TEST(our_end_of_the_link_is_held_and_told)
{
	const struct session_input input = { .user = "alice",
					     .port = "ttyS0",
					     .local_be = htonl(0xc0000201) };

	load("", "", "");
	ck_assert(session_choose(session, &input, &address_be));
	expect_trace("reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 local=192.0.2.1\n"
		     "hold 192.0.2.1\n" ENV_SET PLAIN_LINK);
	session_ip_up(session, address_be, htonl(0xc0000201));
	expect_trace("");
	/* The peer had another one for us, and pppd took it. */
	session_ip_up(session, address_be, htonl(0xc0000202));
	expect_trace("hold 192.0.2.2\n");
}
END_TEST

START_TEST(our_end_that_a_peer_has_is_no_link)
{
	load("", "local = \"10.0.0.254\";", "");
	fake.refuses_local = "10.0.0.254 has a live session";
	ck_assert(!choose("alice"));
	expect_trace("reclaim\nacquire alice ttyS0 pool=- candidate=0.0.0.0 local=0.0.0.0\n"
		     "hold 10.0.0.254\nfree 10.0.0.1\n"
		     "log2 rasip: refuse user=\"alice\" port=ttyS0 "
		     "reason=\"10.0.0.254 has a live session\"\nclose\n");
}
END_TEST

START_TEST(ip_up_with_another_address_closes_the_link)
{
	load("", "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	session_ip_up(session, htonl(0x0a404001), 0);
	expect_trace("log2 rasip: close user=\"alice\" port=ttyS0 "
		     "reason=\"the peer's address is not the session's\"\n"
		     "close\n");
}
END_TEST

START_TEST(updetach_the_child_takes_the_lease_over)
{
	int status;
	int fds[2];
	char byte;
	pid_t pid;

	load("", "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		/* As pppd's child waits for its parent's end. */
		close(fds[1]);
		if (read(fds[0], &byte, 1) != 0)
			_exit(1);
		session_ip_up(session, address_be, 0);
		session_ip_up(session, address_be, 0);
		session_exit(&session);
		_exit(0); /* without Check's own end of a test */
	}
	session_abandon(session);
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	session_exit(&session);
	expect_trace("abandon 10.0.0.1\nadopt 10.0.0.1\nfree 10.0.0.1\n" ENV_UNSET);
}
END_TEST

START_TEST(a_child_that_is_not_the_session_does_nothing)
{
	load(foreign("address=10.9.0.7"), "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	session_abandon(session);
	session_abandon(session);
	expect_trace("abandon 10.9.0.7\n");
	session_end(session);
	session_ip_up(session, 1, 1);
	session_maintain(session);
	ck_assert(!choose("bob"));
	ck_assert_int_eq(session_allows(session, 1), -1);
	session_exit(&session);
	expect_trace("");
}
END_TEST

START_TEST(ra_54_after_a_fatal_signal_nothing_is_done)
{
	load(foreign("address=10.9.0.7"), "", "");
	ck_assert(choose("alice"));
	unlink(trace_path);
	session_set_fatal(session);
	session_exit(&session);
	ck_assert_ptr_nonnull(session);
	session_end(session);
	ck_assert(!choose("alice"));
	expect_trace("");
}
END_TEST

START_TEST(names_that_are_too_long)
{
	char user[POOL_USER_MAX + 2];
	char port[POOL_PORT_MAX + 20];
	struct session_input input = { .user = user, .port = "ttyS0" };
	char expected[512];

	load("", "", "");
	memset(user, 'u', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	memset(port, 'p', sizeof(port) - 1);
	port[sizeof(port) - 1] = '\0';
	ck_assert(!session_choose(session, &input, &address_be));
	session_end(session);
	unlink(trace_path);
	input.user = "alice";
	input.port = port;
	ck_assert(session_choose(session, &input, &address_be));
	snprintf(expected, sizeof(expected),
		 "reclaim\nacquire alice %.*s pool=- candidate=0.0.0.0 "
		 "local=0.0.0.0\n" ENV_SET PLAIN_LINK,
		 POOL_PORT_MAX, port);
	expect_trace(expected);
	session_end(session);
	expect_trace("free 10.0.0.1\n" ENV_UNSET);
}
END_TEST

START_TEST(rasip_pool_that_does_not_exist)
{
	const struct session_input input = { .user = "alice",
					     .port = "ttyS0",
					     .pool_name = "mian" };

	write_config("", "", "");
	ck_assert_int_eq(load_with("mian"), POOL_E_CONFIG);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_ptr_nonnull(strstr(errors.lines[0], "rasip-pool mian: "));
	ck_assert_ptr_null(session);
	config_errors_done(&errors);
	ck_assert_int_eq(load_with("main"), 0);
	ck_assert(!session_choose(session, &input, &address_be));
	expect_trace("log2 rasip: refuse user=\"alice\" port=ttyS0 "
		     "reason=\"rasip-pool: there is no pool mian\"\n"
		     "close\n");
}
END_TEST

START_TEST(rasip_pool_reaches_the_pool)
{
	const struct session_input input = { .user = "alice",
					     .port = "ttyS0",
					     .pool_name = "main" };

	load("", "", "");
	ck_assert(session_choose(session, &input, &address_be));
	expect_trace("reclaim\nacquire alice ttyS0 pool=main candidate=0.0.0.0 "
		     "local=0.0.0.0\n" ENV_SET PLAIN_LINK);
}
END_TEST

START_TEST(every_mistake_of_a_configuration_is_told)
{
	FILE *file = fopen(config_path, "w");

	fputs("pools = ( { name = \"main\"; ranges = (\"x\"); colour = 1; } );\n", file);
	fclose(file);
	ck_assert_int_eq(load_with(NULL), POOL_E_CONFIG);
	ck_assert_uint_ge(errors.n, 2);
	ck_assert_ptr_null(session);
}
END_TEST

START_TEST(t14_a_module_that_does_not_start_is_a_mistake_of_the_configuration)
{
	write_config(two("watcher", "", "watcher", "init=fail"), "", "");
	ck_assert_int_eq(load_with(NULL), POOL_E_CONFIG);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_int_eq(strncmp(errors.lines[0], config_path, strlen(config_path)), 0);
	ck_assert_ptr_nonnull(strstr(errors.lines[0], "module \"B\": initialize failed with 7"));
	expect_trace(
		"A initialize - - 0.0.0.0\nB initialize - - 0.0.0.0\nA terminate - - 0.0.0.0\n");
}
END_TEST

static void add_endings(TCase *all)
{
	tcase_add_test(all, t9_t11_one_release_however_it_ends);
	tcase_add_test(all, who_ends_takes_events_away_where_many_wait);
	tcase_add_test(all, t12_persist_asks_anew);
	tcase_add_test(all, t12_persist_reads_the_configuration_again);
	tcase_add_test(all, t12_a_configuration_that_no_longer_loads_is_not_used);
	tcase_add_test(all, another_user_on_the_same_link_is_another_session);
	tcase_add_test(all, our_own_answer_is_no_candidate);
	tcase_add_test(all, updetach_the_child_takes_the_lease_over);
	tcase_add_test(all, a_child_that_is_not_the_session_does_nothing);
	tcase_add_test(all, ra_54_after_a_fatal_signal_nothing_is_done);
	tcase_add_test(all, ra_54_the_dead_are_released_before_get);
	tcase_add_loop_test(all, ra_30_ra_35_a_module_that_has_nothing_is_not_asked_again, 0, 2);
	tcase_add_test(all, ra_54_full_is_not_said_while_a_module_has_not_heard_of_the_dead);
	tcase_add_test(all, ra_17_get_is_refused_while_a_module_hangs_elsewhere);
	tcase_add_test(all, ra_17_release_is_left_to_others_while_a_module_hangs_elsewhere);
	tcase_add_test(all, a_module_that_hangs_elsewhere_does_not_close_the_built_in_pool);
	tcase_add_test(all, what_cannot_be_reclaimed_keeps_nobody_out);
}

static void add_beginnings(TCase *all)
{
	tcase_add_test(all, t1_connect_and_disconnect);
	tcase_add_test(all, t1_foreign_module_gets_the_same_triple_back);
	tcase_add_test(all, ra_54_a_release_that_cannot_be_noted_is_left_to_others);
	tcase_add_test(all, t2_a_candidate_is_accepted);
	tcase_add_test(all, t3_a_candidate_is_replaced_and_release_has_the_replacement);
	tcase_add_test(all, t4_no_address_no_link_and_no_release);
	tcase_add_loop_test(all, t5_t6_t24_get_that_gives_nothing_usable, 0,
			    sizeof(failing) / sizeof(failing[0]));
	tcase_add_test(all, ra_42_an_address_that_is_in_use_goes_back_to_the_module);
	tcase_add_test(all, t7_no_release_where_get_did_not_ask_for_it);
	tcase_add_test(all, t8_renegotiation_is_not_a_new_session);
	tcase_add_test(all, t10_nobody_in_particular);
	tcase_add_test(all, anonymous_is_refused_before_anybody_is_asked);
	tcase_add_test(all, t13_two_pairs_only_the_first_also_when_it_fails);
	tcase_add_test(all, t13_a_first_one_without_the_pair);
	tcase_add_test(all, ra_15_a_refused_connection_gets_nothing_more);
	tcase_add_test(all, ra_10_no_module_chooses_so_pppd_does);
	tcase_add_test(all, ra_19_a_call_from_inside_is_answered_with_an_error);
	tcase_add_test(all, our_end_of_the_link_is_held_and_told);
	tcase_add_test(all, our_end_that_a_peer_has_is_no_link);
	tcase_add_test(all, ip_up_with_another_address_closes_the_link);
	tcase_add_test(all, names_that_are_too_long);
	tcase_add_test(all, rasip_pool_that_does_not_exist);
	tcase_add_test(all, rasip_pool_reaches_the_pool);
	tcase_add_test(all, every_mistake_of_a_configuration_is_told);
	tcase_add_test(all, t14_a_module_that_does_not_start_is_a_mistake_of_the_configuration);
}

int main(void)
{
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, teardown);
	add_beginnings(all);
	add_endings(all);
	return run_tcase("session", all);
}
