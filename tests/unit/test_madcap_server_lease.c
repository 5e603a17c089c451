/* SPDX-License-Identifier: MIT */
/* The MADCAP server: REQUEST, RENEW and RELEASE (RFC 2730, 2.2.4, 2.2.7, 2.2.8). */
#include "madcap_server_fixture.h"

/* ---- 2.2.4: REQUEST -------------------------------------------------------------------------- */

START_TEST(rfc2730_2_2_4_request_gets_lease_scope_and_ranges)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 3600);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 1);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_FEATURES));
	ck_assert(madcap_address_equal(&world.got.scope, &world.scope[0].first));
}
END_TEST

START_TEST(rfc2730_2_2_4_multicast_request_names_its_server)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.to = addr("239.195.255.254");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SERVER_ID);
	out.server_id = world.local;
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_2_4_unicast_request_may_name_its_server)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.server_id = world.local;
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out = message(MADCAP_REQUEST, 2);
	out.server_id = addr("192.0.2.99");
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SERVER_ID);
}
END_TEST

START_TEST(rfc2730_3_3_server_id_may_be_configured_and_of_another_family)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	close_server();
	world.config.server_id = addr("2001:db8::1");
	open_server();
	out.server_id = addr("2001:db8::1");
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(madcap_address_equal(&world.got.server_id, &world.config.server_id));
}
END_TEST

START_TEST(rfc2730_2_2_4_no_address_twice)
{
	uint8_t seen[10] = { 0 };
	struct madcap_message out;

	for (unsigned int i = 0; i < 10; i++) {
		struct madcap_range range;
		size_t at = 0;

		request(i, 1);
		ck_assert(madcap_range_next(&world.got, &at, &range));
		ck_assert_uint_lt(range.first.bytes[3], 10);
		ck_assert_uint_eq(seen[range.first.bytes[3]]++, 0);
	}
	out = message(MADCAP_REQUEST, 10);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
}
END_TEST

START_TEST(rfc2730_3_8_between_minimum_and_desired)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_count(&out, 2, 1);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_COUNT);
	with_count(&out, 0, 0);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_COUNT);
	with_count(&out, 11, 20);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 3, 7);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 7);
	out = message(MADCAP_REQUEST, 2);
	with_count(&out, 3, 7);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 3);
}
END_TEST

/* The lease that is there already is not what was asked for: it may not be told as if it were. */
START_TEST(rfc2730_2_2_4_request_again_for_something_else)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct book_stats stats;

	request(1, 3);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID); /* one */
	with_count(&out, 4, 8);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
	with_count(&out, 3, 3);
	with_ranges(&out, "239.192.0.200+3");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
	out.type = MADCAP_DISCOVER;
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_REQUEST, 1);
	with_count(&out, 2, 9);
	with_ranges(&out, "239.192.0.5+5 239.192.0.3+4 239.192.0.0+4");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 3);
	out.type = MADCAP_DISCOVER;
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 3);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.addresses[BOOK_ACTIVE], 3);
}
END_TEST

START_TEST(rfc2730_3_15_request_again_never_gets_less_than_its_minimum)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	char first[256];

	one_address();
	with_number(&out, MADCAP_OPT_LEASE_TIME, 3600);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 3600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	snprintf(first, sizeof(first), "%s", got_ranges());
	pass_time(100);
	out.type = MADCAP_DISCOVER;
	ck_assert_int_eq(ask(&out), 0);
	out.type = MADCAP_REQUEST;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_ge(world.got.lease_time, 3600);
	ck_assert_str_eq(got_ranges(), first);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 60);
	pass_time(100);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 3500);
	request_at(2, world.clock.unix_sec + 7200, 60, 0);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 3700);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
}
END_TEST

START_TEST(rfc2730_3_16_request_again_never_gets_a_later_start)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_start(&out, NOW + 500);
	with_latest(&out, NOW + 600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 500);
	out = message(MADCAP_REQUEST, 1);
	with_latest(&out, NOW + 499);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
	pass_time(600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK); /* it has begun in time */
}
END_TEST

START_TEST(several_addresses_in_as_few_ranges_as_possible)
{
	struct madcap_message out;
	struct madcap_range range;
	size_t at = 0;

	for (unsigned int i = 0; i < 10; i++)
		request(i, 1);
	/* Frees the addresses .1, .2, .4, .5, .6 and .8. */
	for (unsigned int i = 0; i < 10; i++) {
		struct book_lease lease;
		struct book_range one;

		ck_assert_int_eq(book_find(world.book, id(i), &lease), 0);
		one = book_lease_range(&lease, 0);
		out = message(MADCAP_RELEASE, i);
		if (strchr("\1\2\4\5\6\10", one.first.bytes[3]) != NULL && one.first.bytes[3] != 0)
			ck_assert_int_eq(ask(&out), MADCAP_ACK);
	}
	out = message(MADCAP_REQUEST, 100);
	with_count(&out, 5, 5);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.1+2 239.192.0.4+3");
	out = message(MADCAP_REQUEST, 101);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(madcap_range_next(&world.got, &at, &range));
	ck_assert_uint_eq(range.first.bytes[3], 8);
}
END_TEST

START_TEST(rfc2730_3_11_only_these_addresses_will_do)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_ranges(&out, "239.192.0.7+1 239.192.0.3+1");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.7+1"); /* the first that will do */
	out = message(MADCAP_REQUEST, 2);
	with_ranges(&out, "239.192.0.7+1 239.192.0.3+1");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.3+1");
	out = message(MADCAP_REQUEST, 3);
	with_ranges(&out, "239.192.0.7+1 239.192.0.3+1 10.0.0.1+5 239.192.0.200+7");
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_RANGES);
	/* Overlaps count once. */
	with_ranges(&out, "239.192.0.4+2 239.192.0.4+3 239.192.0.5+1");
	with_count(&out, 4, 4);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_RANGES);
	with_count(&out, 3, 4);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.4+3");
}
END_TEST

START_TEST(rfc2730_3_5_unknown_scope)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.scope = addr("239.192.0.1");
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	out.scope = addr("ff15::");
	out.family = MADCAP_IPV6;
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
}
END_TEST

START_TEST(ipv6_scope)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	four_scopes();
	out.scope = addr("ff15::100");
	out.family = MADCAP_IPV6;
	with_count(&out, 255, 255);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	/* All but the server group. */
	ck_assert_str_eq(got_ranges(), "ff15::100+254 ff15::1ff+1");
}
END_TEST

START_TEST(t23_excluded_addresses_and_server_group_are_never_given)
{
	static struct madcap_address_range exclude[2];
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	close_server();
	exclude[0] =
		(struct madcap_address_range){ addr("239.195.255.240"), addr("239.195.255.249") };
	exclude[1] = (struct madcap_address_range){ addr("239.192.0.0"), addr("239.195.255.239") };
	world.scope[0].n_allocate = 0;
	world.scope[0].exclude = exclude;
	world.scope[0].n_exclude = 2;
	open_server();
	with_count(&out, 1, 256);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.195.255.250+4 239.195.255.255+1");
}
END_TEST

/* ---- 2.2.7: RENEW ---------------------------------------------------------------------------- */

START_TEST(rfc2730_2_2_7_renew_counts_from_now)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);
	char first[256];

	request(1, 3);
	snprintf(first, sizeof(first), "%s", got_ranges());
	pass_time(3000);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 5000);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 5000);
	ck_assert_str_eq(got_ranges(), first);
	ck_assert(madcap_address_equal(&world.got.scope, &world.scope[0].first));
	pass_time(4999);
	out = message(MADCAP_RENEW, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK); /* the default */
	ck_assert_uint_eq(world.got.lease_time, 3600);
}
END_TEST

START_TEST(rfc2730_2_2_7_renew_to_another_start)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	request(1, 1);
	with_start(&out, NOW + 500);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 500);
	ck_assert_uint_eq(world.got.lease_time, 3600);
	out = message(MADCAP_RENEW, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
}
END_TEST

START_TEST(rfc2730_2_2_7_renew_within_what_others_leave)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	one_address();
	request(1, 1);
	request_at(2, NOW + 20000, 600, 0);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 20000);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 16400);
	out = message(MADCAP_RENEW, 1);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 16401);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	out = message(MADCAP_RENEW, 1);
	with_start(&out, NOW + 19000);
	with_latest(&out, NOW + 19500);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	out = message(MADCAP_RENEW, 1);
	with_start(&out, NOW + 19000); /* behind the other one, then */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 20600 + 3600);
}
END_TEST

/* Its answer could not tell the addresses. */
START_TEST(rfc2730_2_2_7_renew_in_another_address_family)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);
	struct book_lease lease;

	request(1, 1);
	pass_time(600);
	out.family = MADCAP_IPV6;
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_uint_eq(lease.end_sec, NOW + 3600);
	out = message(MADCAP_RELEASE, 1); /* has no addresses */
	out.family = MADCAP_IPV6;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_4_unknown_lease_identifiers)
{
	static const enum madcap_type types[] = { MADCAP_RENEW, MADCAP_RELEASE };

	for (int i = 0; i < 2; i++) {
		struct madcap_message out = message(types[i], 1);

		ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
		ck_assert_uint_eq(world.got.error_data.size, 0);
	}
}
END_TEST

START_TEST(rfc2730_2_4_an_expired_lease_is_no_lease)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	request(1, 1);
	pass_time(3600);
	ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
	out = message(MADCAP_RELEASE, 1);
	ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
}
END_TEST

START_TEST(rfc2730_2_4_lease_identifiers_are_opaque)
{
	static const char *const ids[] = { "\1", "x", "anything at all", "\xff\xff" };

	for (size_t i = 0; i < 4; i++) {
		struct madcap_message out = message(MADCAP_REQUEST, 1);

		out.lease_id = bytes(ids[i]);
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
	}
}
END_TEST

START_TEST(lease_identifiers_have_a_longest_length)
{
	static uint8_t longest[BOOK_ID_MAX + 1];
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.lease_id = (struct madcap_bytes){ longest, BOOK_ID_MAX };
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out.lease_id.size++;
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_LEASE_ID);
}
END_TEST

/* ---- 2.2.8: RELEASE -------------------------------------------------------------------------- */

START_TEST(rfc2730_2_2_8_release_ends_the_whole_lease)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);
	struct book_stats stats;

	request(1, 10);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	/* Server and lease identifier, and nothing else (2.2.5). */
	ck_assert_uint_eq(world.got.present,
			  1U << MADCAP_OPT_SERVER_ID | 1U << MADCAP_OPT_LEASE_ID);
	ck_assert(book_stats(world.book, &world.scope[0].first, &stats));
	ck_assert_uint_eq(stats.free, 10);
	request(2, 10);
}
END_TEST

START_TEST(multicast_renew_and_release_are_ignored)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	request(1, 1);
	world.to = addr("239.195.255.254");
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_RENEW, 1);
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

START_TEST(rfc2730_4_with_ipsec_only_getinfo_is_multicast)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	world.config.only_unicast = true;
	world.to = addr("239.255.255.254");
	ck_assert_int_eq(ask(&out), 0);
	out = getinfo("9");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_2_4_request_gets_lease_scope_and_ranges);
	tcase_add_test(tcase, rfc2730_2_2_4_multicast_request_names_its_server);
	tcase_add_test(tcase, rfc2730_2_2_4_unicast_request_may_name_its_server);
	tcase_add_test(tcase, rfc2730_3_3_server_id_may_be_configured_and_of_another_family);
	tcase_add_test(tcase, rfc2730_2_2_4_no_address_twice);
	tcase_add_test(tcase, rfc2730_3_8_between_minimum_and_desired);
	tcase_add_test(tcase, rfc2730_2_2_4_request_again_for_something_else);
	tcase_add_test(tcase, rfc2730_3_15_request_again_never_gets_less_than_its_minimum);
	tcase_add_test(tcase, rfc2730_3_16_request_again_never_gets_a_later_start);
	tcase_add_test(tcase, several_addresses_in_as_few_ranges_as_possible);
	tcase_add_test(tcase, rfc2730_3_11_only_these_addresses_will_do);
	tcase_add_test(tcase, rfc2730_3_5_unknown_scope);
	tcase_add_test(tcase, ipv6_scope);
	tcase_add_test(tcase, t23_excluded_addresses_and_server_group_are_never_given);
	tcase_add_test(tcase, rfc2730_2_2_7_renew_counts_from_now);
	tcase_add_test(tcase, rfc2730_2_2_7_renew_to_another_start);
	tcase_add_test(tcase, rfc2730_2_2_7_renew_within_what_others_leave);
	tcase_add_test(tcase, rfc2730_2_2_7_renew_in_another_address_family);
	tcase_add_test(tcase, rfc2730_2_4_unknown_lease_identifiers);
	tcase_add_test(tcase, rfc2730_2_4_an_expired_lease_is_no_lease);
	tcase_add_test(tcase, rfc2730_2_4_lease_identifiers_are_opaque);
	tcase_add_test(tcase, lease_identifiers_have_a_longest_length);
	tcase_add_test(tcase, rfc2730_2_2_8_release_ends_the_whole_lease);
	tcase_add_test(tcase, multicast_renew_and_release_are_ignored);
	tcase_add_test(tcase, rfc2730_4_with_ipsec_only_getinfo_is_multicast);
}

int main(void)
{
	return run_server_tests("madcap_server_lease", add_tests);
}
