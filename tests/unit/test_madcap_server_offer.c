/* SPDX-License-Identifier: MIT */
/* The MADCAP server: DISCOVER and OFFER (RFC 2730, 2.2.2, 2.2.3, 2.10, 2.11). */
#include "madcap_server_fixture.h"

/* ---- 2.2.2, 2.2.3: DISCOVER and OFFER -------------------------------------------------------- */

START_TEST(rfc2730_2_2_3_offer_tells_lease_and_scope)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	with_number(&out, MADCAP_OPT_LEASE_TIME, 7200);
	with_count(&out, 2, 4);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	ck_assert_uint_eq(world.got.lease_time, 7200);
	ck_assert(madcap_address_equal(&world.got.scope, &world.scope[0].first));
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 4);
}
END_TEST

START_TEST(rfc2730_2_2_3_offered_addresses_are_held)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);
	char offered[256];

	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	snprintf(offered, sizeof(offered), "%s", got_ranges());
	ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	discover = message(MADCAP_REQUEST, 1);
	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), offered);
}
END_TEST

START_TEST(rfc2730_2_2_3_what_was_offered_is_given)
{
	static const char *const lists[] = { NULL, "239.192.0.1+8" };

	for (unsigned int i = 0; i < 2; i++) {
		struct madcap_message out = message(MADCAP_DISCOVER, 10 + i);
		char offered[256];

		with_count(&out, 2, 2);
		if (lists[i] != NULL)
			with_ranges(&out, lists[i]);
		ck_assert_int_eq(ask(&out), MADCAP_OFFER);
		snprintf(offered, sizeof(offered), "%s", got_ranges());
		request(20 + i, 1); /* somebody else, in between */
		out.type = MADCAP_REQUEST;
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
		ck_assert_str_eq(got_ranges(), offered);
	}
}
END_TEST

START_TEST(rfc2730_2_2_3_held_for_a_while)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);

	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	pass_time(59);
	tick();
	ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	ck_assert_int_eq(madcap_server_wait_ms(world.server, &world.clock), 1000);
	pass_time(1);
	ck_assert_int_eq(madcap_server_wait_ms(world.server, &world.clock), 0);
	tick();
	ck_assert_int_eq(ask(&other), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_2_3_a_request_to_another_server_ends_the_hold)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);

	world.to = addr("239.195.255.254");
	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	discover = message(MADCAP_REQUEST, 1);
	discover.server_id = addr("192.0.2.200");
	madcap_message_set(&discover, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&discover), 0);
	world.to = (struct madcap_address){ .family = 0 };
	ck_assert_int_eq(ask(&other), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_2_3_hold_becomes_lease_and_is_not_timed_out)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct book_lease lease;

	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	request(1, 1);
	pass_time(100);
	tick();
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_eq(lease.state, BOOK_ACTIVE);
}
END_TEST

START_TEST(rfc2730_2_2_2_what_cannot_be_met_gets_no_offer)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	with_count(&out, 11, 11);
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_DISCOVER, 1);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 31 * 86400);
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_DISCOVER, 1);
	out.scope = addr("239.1.0.0");
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_DISCOVER, 1);
	with_features(&out, "9", "", "9");
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

START_TEST(rfc2730_2_2_2_offers_are_bounded)
{
	world.config.max_offers = 3;
	restart();
	for (unsigned int i = 0; i < 50; i++) {
		struct madcap_message out = message(MADCAP_DISCOVER, i);
		struct book_stats stats;

		ck_assert_int_eq(ask(&out), MADCAP_OFFER);
		ck_assert(book_stats(world.book, NULL, &stats));
		ck_assert_uint_le(stats.leases[BOOK_OFFERED], 3);
	}
}
END_TEST

START_TEST(offers_leave_half_of_a_large_scope)
{
	struct book_stats stats;

	world.scope[0].n_allocate = 0;
	world.scope[0].last = addr("239.192.0.129"); /* 129 addresses */
	restart();
	for (unsigned int i = 0; i < 40; i++) {
		struct madcap_message out = message(MADCAP_DISCOVER, i);

		with_count(&out, 10, 10);
		ck_assert_int_eq(ask(&out), MADCAP_OFFER);
		ck_assert(book_stats(world.book, NULL, &stats));
		ck_assert_uint_le(stats.addresses[BOOK_OFFERED], 64);
	}
	request(1000, 64);
}
END_TEST

static void discover(unsigned int lease, const char *scope, unsigned int n)
{
	struct madcap_message out = message(MADCAP_DISCOVER, lease);

	out.scope = addr(scope);
	with_count(&out, n, n);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
}

static bool is_held(unsigned int lease)
{
	struct book_lease found;

	return book_find(world.book, id(lease), &found) == 0 && found.state == BOOK_OFFERED;
}

/* Two scopes: 239.192.0.0 with ten addresses, 239.193.0.0 with 129. */
static void two_scopes(void)
{
	world.scope[0].last = addr("239.192.0.255");
	world.scope[1] = world.scope[0];
	world.scope[1].first = addr("239.193.0.0");
	world.scope[1].last = addr("239.193.0.129");
	world.scope[1].n_allocate = 0;
	world.config.n_scopes = 2;
	restart();
}

/* Who comes when half of a scope is held is told what there is, and takes nothing from others. */
START_TEST(rfc2730_2_2_3_holds_of_others_stay_under_a_flood)
{
	struct madcap_message out = message(MADCAP_REQUEST, 29);

	two_scopes();
	discover(1, "239.192.0.0", 3);
	discover(2, "239.193.0.0", 10);
	for (unsigned int i = 10; i < 30; i++)
		discover(i, "239.193.0.0", 10);
	ck_assert(is_held(1));
	ck_assert(is_held(2));
	ck_assert(!is_held(29));
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_RANGES)); /* as many as it asked for */
	ck_assert_uint_eq(world.got.lease_time, 3600);
	out.scope = addr("239.193.0.0");
	with_count(&out, 10, 10);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	discover(2, "239.193.0.0", 10); /* again: its own */
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 10);
	pass_time(61);
	tick();
	ck_assert(!is_held(1));
	ck_assert(!is_held(2));
	discover(30, "239.193.0.0", 10);
	ck_assert(is_held(30));
}
END_TEST

START_TEST(without_a_hold_nothing_is_offered_that_is_not_there)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 3);

	two_scopes();
	discover(1, "239.193.0.0", 64);
	out.scope = addr("239.193.0.0");
	with_count(&out, 66, 66); /* 65 are free */
	ck_assert_int_eq(ask(&out), 0);
	with_count(&out, 65, 65);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	with_count(&out, 1, 20); /* a list, or a later time, has to be looked at */
	with_ranges(&out, "239.193.0.0+200");
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 16);
	ck_assert(!is_held(3));
	with_count(&out, 17, 20);
	ck_assert_int_eq(ask(&out), 0);
	request(4, 1);
	with_count(&out, 1, 1);
	with_ranges(&out, "239.194.0.0+1"); /* not of this scope */
	ck_assert_int_eq(ask(&out), 0);
	ck_assert(is_held(1));
}
END_TEST

/* Places of offers that have become leases can be had again at once. */
START_TEST(rfc2730_2_2_2_offers_that_were_taken_do_not_count)
{
	world.config.max_offers = 3;
	world.scope[0].n_allocate = 0;
	restart();
	for (unsigned int i = 0; i < 50; i++) {
		discover(i, "239.192.0.0", 1);
		ck_assert(is_held(i));
		request(i, 1);
	}
}
END_TEST

START_TEST(offers_that_ended_come_back_when_the_batch_fails)
{
	struct madcap_message out = message(MADCAP_REQUEST, 5);
	struct error error;

	two_scopes();
	discover(1, "239.193.0.0", 30);
	pass_time(61);
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	out.xid = 77;
	step(&out, &world.answer);
	ck_assert(!madcap_server_tick(world.server, 100));
	ck_assert(!is_held(1));
	fail_commit();
	ck_assert(is_held(1));
	tick();
	ck_assert(!is_held(1));
}
END_TEST

START_TEST(rfc2730_2_11_scopes_that_the_group_does_not_belong_to)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	four_scopes();
	world.to = addr("239.195.255.254"); /* the organisation's */
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	out = message(MADCAP_DISCOVER, 2);
	out.scope = addr("239.254.0.0");
	ck_assert_int_eq(ask(&out), 0);
	world.to = addr("239.254.255.254"); /* the site's, which the organisation encloses */
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	out = message(MADCAP_DISCOVER, 3);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	world.to = addr("239.255.255.254"); /* local, inside all */
	out = message(MADCAP_DISCOVER, 4);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	world.to = addr("ff03:ffff:ffff:ffff:ffff:ffff:ffff:fffe"); /* of the other family (3.3) */
	out = message(MADCAP_DISCOVER, 6);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	world.to = addr("239.7.7.7");
	out = message(MADCAP_DISCOVER, 5);
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

START_TEST(rfc2730_2_10_server_groups)
{
	static const char *const expected[] = { "239.195.255.254", "239.255.255.254",
						"239.254.255.254", "ff15::1fe",
						"ff03:ffff:ffff:ffff:ffff:ffff:ffff:fffe" };
	struct madcap_address group;
	char text[MADCAP_ADDRESS_TEXT];
	size_t at = 0, n = 0;

	four_scopes();
	while (madcap_server_group_next(world.server, &at, &group))
		ck_assert_str_eq(madcap_address_format(&group, text), expected[n++]);
	ck_assert_uint_eq(n, 5);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_2_3_offer_tells_lease_and_scope);
	tcase_add_test(tcase, rfc2730_2_2_3_offered_addresses_are_held);
	tcase_add_test(tcase, rfc2730_2_2_3_what_was_offered_is_given);
	tcase_add_test(tcase, rfc2730_2_2_3_held_for_a_while);
	tcase_add_test(tcase, rfc2730_2_2_3_a_request_to_another_server_ends_the_hold);
	tcase_add_test(tcase, rfc2730_2_2_3_hold_becomes_lease_and_is_not_timed_out);
	tcase_add_test(tcase, rfc2730_2_2_2_what_cannot_be_met_gets_no_offer);
	tcase_add_test(tcase, rfc2730_2_2_2_offers_are_bounded);
	tcase_add_test(tcase, offers_leave_half_of_a_large_scope);
	tcase_add_test(tcase, rfc2730_2_2_3_holds_of_others_stay_under_a_flood);
	tcase_add_test(tcase, without_a_hold_nothing_is_offered_that_is_not_there);
	tcase_add_test(tcase, rfc2730_2_2_2_offers_that_were_taken_do_not_count);
	tcase_add_test(tcase, offers_that_ended_come_back_when_the_batch_fails);
	tcase_add_test(tcase, rfc2730_2_11_scopes_that_the_group_does_not_belong_to);
	tcase_add_test(tcase, rfc2730_2_10_server_groups);
}

int main(void)
{
	return run_server_tests("madcap_server_offer", add_tests);
}
