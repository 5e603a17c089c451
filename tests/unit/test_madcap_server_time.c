/* SPDX-License-Identifier: MIT */
/* The MADCAP server: times of leases (RFC 2730, 2.2.2, 2.12, 3.2, 3.7, 3.15, 3.16). */
#include "madcap_server_fixture.h"

/* ---- times: 2.2.2, 2.12, 3.2, 3.7, 3.15, 3.16 ------------------------------------------------ */

START_TEST(rfc2730_3_2_lease_times)
{
	static const struct {
		int64_t asked, least;
		uint32_t got;
	} cases[] = {
		{ -1, -1, 3600 },
		{ 100, -1, 100 },
		{ 0, -1, 3600 },
		{ 400 * 86400, -1, 30 * 86400 },
		{ 400 * 86400, 86400, 30 * 86400 },
		{ 100, 50, 100 },
		{ 50, 100, 100 },
		{ -1, 7200, 7200 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct madcap_message out = message(MADCAP_REQUEST, i);

		if (cases[i].asked >= 0)
			with_number(&out, MADCAP_OPT_LEASE_TIME, cases[i].asked);
		if (cases[i].least >= 0)
			with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, cases[i].least);
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
		ck_assert_uint_eq(world.got.lease_time, cases[i].got);
	}
}
END_TEST

START_TEST(rfc2730_2_2_2_default_is_the_longest_lease)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.scope[0].default_lease_sec = 0;
	restart();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 30 * 86400);
}
END_TEST

START_TEST(rfc2730_3_15_minimum_lease_time_that_cannot_be_met)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 30 * 86400 + 1);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
}
END_TEST

START_TEST(rfc2730_3_7_future_start)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_start(&out, NOW + 86400);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 86400);
	ck_assert_uint_eq(world.got.current_time, NOW);
	ck_assert_uint_eq(world.got.lease_time, 600);
	out = message(MADCAP_REQUEST, 2);
	with_start(&out, NOW - 100); /* past: now */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
}
END_TEST

START_TEST(rfc2730_2_12_extra_allocation_time_on_both_sides)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	one_address();
	request_at(1, NOW + 20000, 10000, 0); /* to 30000 */
	/* Less than an hour before it is not to be had, for less than asked it is. */
	with_number(&out, MADCAP_OPT_LEASE_TIME, 16401);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 16401);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 16400);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 16400);
	ck_assert_str_eq(got_ranges(), "239.192.0.5+1");
	/* Nor less than an hour after it. */
	out = message(MADCAP_REQUEST, 3);
	with_start(&out, NOW + 33599);
	with_latest(&out, NOW + 33599);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	with_latest(&out, NOW + 33600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 33600);
	ck_assert_str_eq(got_ranges(), "239.192.0.5+1");
}
END_TEST

START_TEST(rfc2730_2_2_4_later_start_than_asked_for)
{
	one_address();
	request(1, 1); /* until NOW + 3600 */
	request_at(2, NOW + 60, 600, 0);
	ck_assert_uint_eq(world.got.start_time, NOW + 7200);
	ck_assert_uint_eq(world.got.lease_time, 600);
}
END_TEST

START_TEST(rfc2730_3_16_maximum_start_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	one_address();
	request(1, 1);
	with_start(&out, NOW + 60);
	with_latest(&out, NOW + 7199);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	with_start(&out, NOW + 9000);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	out = message(MADCAP_REQUEST, 3);
	with_latest(&out, NOW + 100000); /* as soon as possible until then */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 7200);
}
END_TEST

START_TEST(a_client_whose_clock_is_a_little_behind_can_say_now_or_never)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_latest(&out, NOW - 20);
	with_number(&out, MADCAP_OPT_CURRENT_TIME, NOW - 20);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
}
END_TEST

START_TEST(rfc2730_2_12_absolute_times_need_current_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_number(&out, MADCAP_OPT_START_TIME, NOW);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_CURRENT_TIME);
	out = message(MADCAP_RENEW, 1);
	with_number(&out, MADCAP_OPT_MAX_START_TIME, NOW);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_CURRENT_TIME);
}
END_TEST

START_TEST(rfc2730_2_12_excessive_clock_skew)
{
	static const int64_t off[] = { 1801, -1801, -NOW };
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	uint8_t now[4] = { (uint8_t)(NOW >> 24), (uint8_t)(NOW >> 16 & 0xff),
			   (uint8_t)(NOW >> 8 & 0xff), (uint8_t)(NOW & 0xff) };

	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		with_number(&out, MADCAP_OPT_CURRENT_TIME, NOW + off[i]);
		ASSERT_NAK(&out, MADCAP_ERR_CLOCK_SKEW, 0);
		ck_assert_uint_eq(world.got.error_data.size, 4);
		ck_assert_mem_eq(world.got.error_data.data, now, 4);
	}
	with_number(&out, MADCAP_OPT_CURRENT_TIME, NOW - 1800);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	world.config.clock_skew_allowance_sec = INT64_MAX;
	out = message(MADCAP_REQUEST, 2);
	with_number(&out, MADCAP_OPT_CURRENT_TIME, 5);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

START_TEST(expired_leases_rest_for_the_extra_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	one_address();
	request(1, 1);
	pass_time(7199);
	tick();
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	/* Its former owner may have it back, if it names it or not. */
	request(1, 1);
	pass_time(7200);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	tick();
	ck_assert_uint_eq(madcap_server_counters(world.server)->expired, 1);
}
END_TEST

START_TEST(t23_a_scope_has_a_life_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.scope[0].expires_sec = NOW + 1000;
	restart();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 1000);
	out = message(MADCAP_REQUEST, 2);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 1001);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	out = message(MADCAP_REQUEST, 3);
	with_start(&out, NOW + 1500);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	pass_time(1000);
	out = message(MADCAP_REQUEST, 4);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	out = getinfo("9");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), "");
}
END_TEST

START_TEST(a_lease_at_the_end_of_time_is_no_shorter_than_its_least)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_start(&out, UINT32_MAX - 100);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 7200);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 3600);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	out = message(MADCAP_DISCOVER, 1);
	with_start(&out, UINT32_MAX - 100);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 3600);
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_REQUEST, 1);
	with_start(&out, UINT32_MAX - 100);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 7200);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 100);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 100);
}
END_TEST

/* What was granted when the clock was ahead is still somebody's. */
START_TEST(a_clock_that_goes_back_gives_no_address_twice)
{
	struct madcap_message other = message(MADCAP_REQUEST, 2), renewal;

	one_address();
	request(1, 1);
	pass_time(1800);
	for (int i = 0; i < 2; i++) {
		world.clock.unix_sec = NOW - 5 * 3600;
		ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
		renewal = message(MADCAP_RENEW, 1);
		ck_assert_int_eq(ask(&renewal), MADCAP_ACK);
		ck_assert_uint_eq(world.got.lease_time, 3600);
		restart(); /* nor then */
	}
	ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	pass_time(3600 + 3600 - 1); /* and it ends when it was to end */
	ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	pass_time(1);
	ck_assert_int_eq(ask(&other), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 3600);
}
END_TEST

/* Grants come at any part of a second: were that cut off each time, time would go slower. */
START_TEST(after_a_clock_went_back_leases_last_for_as_long_as_they_would)
{
	struct madcap_message other = message(MADCAP_RENEW, 2);
	struct book_lease lease;

	request(1, 1);
	request(2, 1);
	world.clock.unix_sec = NOW - 86400;
	for (int i = 0; i < 1800; i++) {
		world.clock.mono_ms += 1990;
		world.clock.unix_sec = NOW - 86400 + (int64_t)(i + 1) * 1990 / 1000;
		ck_assert_int_eq(ask(&other), MADCAP_ACK);
	}
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_ge(book_now(world.book, world.clock.mono_ms, world.clock.unix_sec),
			 NOW + 3580);
	ck_assert_int_le(book_now(world.book, world.clock.mono_ms, world.clock.unix_sec),
			 NOW + 3582);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, after_a_clock_went_back_leases_last_for_as_long_as_they_would);
	tcase_add_test(tcase, a_clock_that_goes_back_gives_no_address_twice);
	tcase_add_test(tcase, rfc2730_3_2_lease_times);
	tcase_add_test(tcase, rfc2730_2_2_2_default_is_the_longest_lease);
	tcase_add_test(tcase, rfc2730_3_15_minimum_lease_time_that_cannot_be_met);
	tcase_add_test(tcase, rfc2730_3_7_future_start);
	tcase_add_test(tcase, a_lease_at_the_end_of_time_is_no_shorter_than_its_least);
	tcase_add_test(tcase, rfc2730_2_12_extra_allocation_time_on_both_sides);
	tcase_add_test(tcase, rfc2730_2_2_4_later_start_than_asked_for);
	tcase_add_test(tcase, rfc2730_3_16_maximum_start_time);
	tcase_add_test(tcase, a_client_whose_clock_is_a_little_behind_can_say_now_or_never);
	tcase_add_test(tcase, rfc2730_2_12_absolute_times_need_current_time);
	tcase_add_test(tcase, rfc2730_2_12_excessive_clock_skew);
	tcase_add_test(tcase, expired_leases_rest_for_the_extra_time);
	tcase_add_test(tcase, t23_a_scope_has_a_life_time);
}

int main(void)
{
	return run_server_tests("madcap_server_time", add_tests);
}
