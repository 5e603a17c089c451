/* SPDX-License-Identifier: MIT */
/* The MADCAP server: features, Retry After, limits (RFC 2730, 2.13, 3.13). */
#include "madcap_server_fixture.h"

/* ---- 2.13, 3.13: features -------------------------------------------------------------------- */

START_TEST(rfc2730_3_13_feature_lists)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_features(&out, "", "", "0");
	ASSERT_NAK(&out, MADCAP_ERR_FEATURE_UNSUPPORTED, 0);
	ck_assert_uint_eq(world.got.error_data.size, 2);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), 0);
	with_features(&out, "02", "0", "729");
	ASSERT_NAK(&out, MADCAP_ERR_FEATURE_UNSUPPORTED, 0);
	ck_assert_uint_eq(world.got.error_data.size, 4);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), 7);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 1), 9);
	with_features(&out, "02", "02", "");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.requested.size, 0);
	ck_assert_uint_eq(world.got.features.required.size, 2);
	ck_assert_uint_eq(madcap_codes_at(world.got.features.required, 0),
			  MADCAP_FEATURE_SHARED_LEASE_ID);
}
END_TEST

START_TEST(rfc2730_3_13_required_list_is_a_subset_of_what_the_client_supports)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_features(&out, "", "2", "");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.required.size, 0);
}
END_TEST

START_TEST(rfc2730_2_13_3_shared_lease_identifier)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct book_lease lease;

	with_features(&out, "2", "", "2");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.required.size, 2);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_uint_eq(lease.flags, BOOK_SHARED_ID);
	world.client.address = addr("198.51.100.9");
	out = message(MADCAP_RENEW, 1);
	with_features(&out, "2", "", "2");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.required.size, 2);
}
END_TEST

START_TEST(rfc2730_2_13_2_retry_after_is_not_the_clients_choice)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_features(&out, "1", "1", "");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_FEATURES);
	with_features(&out, "1", "", "1");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_FEATURES);
}
END_TEST

/* ---- 2.13.2: Retry After --------------------------------------------------------------------- */

static struct madcap_message large(unsigned int lease)
{
	struct madcap_message out = message(MADCAP_REQUEST, lease);

	with_count(&out, 6, 6);
	with_features(&out, "1", "", "");
	return out;
}

static void with_operator(void)
{
	world.config.retry_after_above = 5;
	restart();
}

static void decide(unsigned int lease, int (*decision)(struct madcap_server *, struct madcap_bytes))
{
	struct error error;

	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	ck_assert_int_eq(decision(world.server, id(lease)), 0);
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
}

static void assert_later(const struct madcap_message *out)
{
	ck_assert_int_eq(ask(out), MADCAP_ACK);
	ck_assert(madcap_message_has(&world.got, MADCAP_OPT_RETRY_TIME));
	ck_assert_uint_gt(world.got.retry_time, world.got.current_time);
	ck_assert_uint_eq(world.got.ranges.size, 0);
	ck_assert(madcap_codes_has(world.got.features.required, MADCAP_FEATURE_RETRY_AFTER));
}

START_TEST(rfc2730_2_13_2_come_back_later_until_approved)
{
	struct madcap_message out = large(1);
	struct book_stats stats;

	with_operator();
	assert_later(&out);
	assert_later(&out);
	restart(); /* it is remembered */
	assert_later(&out);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_PENDING], 1);
	decide(1, madcap_server_approve);
	restart();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_RETRY_TIME));
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 6);
}
END_TEST

/* The operator has seen how many addresses, and for how long. */
START_TEST(rfc2730_2_13_2_approved_for_so_long)
{
	struct madcap_message out = large(1);

	with_operator();
	with_number(&out, MADCAP_OPT_LEASE_TIME, 600);
	assert_later(&out);
	decide(1, madcap_server_approve);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 86400);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 601);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 60);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 600);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 6);
}
END_TEST

START_TEST(rfc2730_2_13_2_approved_for_so_long_without_a_least_time)
{
	struct madcap_message out = large(1);

	with_operator();
	with_number(&out, MADCAP_OPT_LEASE_TIME, 600);
	assert_later(&out);
	decide(1, madcap_server_approve);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 86400);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 600);
}
END_TEST

START_TEST(rfc2730_2_13_2_approved_for_so_many)
{
	struct madcap_message out = large(1);

	with_operator();
	assert_later(&out);
	decide(1, madcap_server_approve);
	with_count(&out, 7, 8);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 2, 8);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 6);
}
END_TEST

START_TEST(rfc2730_2_13_2_denied)
{
	struct madcap_message out = large(1);

	with_operator();
	assert_later(&out);
	decide(1, madcap_server_deny);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	pass_time(8 * 86400); /* forgotten */
	assert_later(&out);
}
END_TEST

START_TEST(rfc2730_2_13_2_renew_while_pending_is_invalid)
{
	struct madcap_message out = large(1);

	with_operator();
	assert_later(&out);
	out = message(MADCAP_RENEW, 1);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
}
END_TEST

START_TEST(rfc2730_2_13_2_release_ends_a_pending_lease)
{
	struct madcap_message out = large(1);
	struct book_lease lease;

	with_operator();
	assert_later(&out);
	out = message(MADCAP_RELEASE, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), POOL_E_NOT_FOUND);
}
END_TEST

START_TEST(rfc2730_3_13_retry_after_only_for_those_who_support_it)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_operator();
	with_count(&out, 6, 6);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 2, 6); /* as many as need no consent */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 5);
}
END_TEST

START_TEST(rfc2730_3_13_no_offer_that_the_operator_has_to_allow)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	with_operator();
	with_count(&out, 6, 6);
	ck_assert_int_eq(ask(&out), 0);
	with_count(&out, 2, 6);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 5);
	out = message(MADCAP_DISCOVER, 2);
	with_count(&out, 1, 2);
	with_features(&out, "1", "", "");
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
}
END_TEST

START_TEST(pending_leases_are_bounded)
{
	struct madcap_message out;

	world.config.max_pending = 3;
	with_operator();
	for (unsigned int i = 0; i < 3; i++) {
		world.client.address.bytes[3]++;
		out = large(i);
		assert_later(&out);
	}
	world.client.address.bytes[3]++;
	out = large(9);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
}
END_TEST

/* Whoever asks for many leaves room for others. */
START_TEST(a_client_has_a_share_of_what_waits)
{
	struct madcap_message out;

	world.config.max_pending = 32;
	with_operator();
	for (unsigned int i = 0; i < 2; i++) {
		out = large(i);
		assert_later(&out);
	}
	out = large(2);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	out = large(1);
	assert_later(&out);
	world.client.address.bytes[3]++;
	out = large(2);
	assert_later(&out);
	/* One that has been granted waits no longer. */
	world.client.address.bytes[3]--;
	decide(1, madcap_server_approve);
	out = large(1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out = large(3);
	assert_later(&out);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(limit_per_request)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.config.max_addresses_per_request = 4;
	with_count(&out, 5, 6);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 1, 6);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 4);
}
END_TEST

START_TEST(limit_per_client)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	world.config.max_addresses_per_client = 4;
	request(1, 3);
	with_count(&out, 2, 3);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 1, 3);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 1);
	out = message(MADCAP_REQUEST, 3);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	world.client.address = addr("192.0.2.78"); /* somebody else */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	world.client.address = addr("192.0.2.77");
	out = message(MADCAP_RELEASE, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	request(4, 3);
	pass_time(3600); /* what rests is nobody else's either, so it counts */
	tick();
	out = message(MADCAP_REQUEST, 5);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	pass_time(3600);
	tick();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

START_TEST(a_lease_identifier_is_for_one_scope)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	four_scopes();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out.scope = addr("239.255.0.0");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
}
END_TEST

START_TEST(reload_keeps_leases)
{
	static struct madcap_server_config other;
	struct madcap_message out;
	struct error error;

	request(1, 5);
	other = world.config;
	other.n_scopes = 0;
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), 0);
	out = message(MADCAP_REQUEST, 2);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	out = message(MADCAP_RENEW, 1);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	ck_assert_int_eq(madcap_server_configure(world.server, &world.config, &error), 0);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	request(3, 5);
	out = message(MADCAP_REQUEST, 4);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
}
END_TEST

START_TEST(configurations_that_are_refused)
{
	struct error error;
	struct madcap_server_config other = world.config;
	struct madcap_server_scope scopes[2] = { world.scope[0], world.scope[0] };
	struct madcap_address nowhere = addr("239.1.2.0");

	other.scopes = scopes;
	other.n_scopes = 2;
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("239.195.255.255");
	scopes[1].last = addr("239.196.0.255");
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("239.196.0.254");
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("192.0.2.0");
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("239.196.0.0");
	scopes[1].inside = &nowhere;
	scopes[1].n_inside = 1;
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	request(1, 1); /* the old one goes on */
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_3_13_feature_lists);
	tcase_add_test(tcase, rfc2730_3_13_required_list_is_a_subset_of_what_the_client_supports);
	tcase_add_test(tcase, rfc2730_2_13_3_shared_lease_identifier);
	tcase_add_test(tcase, rfc2730_2_13_2_retry_after_is_not_the_clients_choice);
	tcase_add_test(tcase, rfc2730_2_13_2_come_back_later_until_approved);
	tcase_add_test(tcase, rfc2730_2_13_2_approved_for_so_long);
	tcase_add_test(tcase, rfc2730_2_13_2_approved_for_so_long_without_a_least_time);
	tcase_add_test(tcase, rfc2730_2_13_2_approved_for_so_many);
	tcase_add_test(tcase, rfc2730_2_13_2_denied);
	tcase_add_test(tcase, rfc2730_2_13_2_renew_while_pending_is_invalid);
	tcase_add_test(tcase, rfc2730_2_13_2_release_ends_a_pending_lease);
	tcase_add_test(tcase, rfc2730_3_13_retry_after_only_for_those_who_support_it);
	tcase_add_test(tcase, rfc2730_3_13_no_offer_that_the_operator_has_to_allow);
	tcase_add_test(tcase, pending_leases_are_bounded);
	tcase_add_test(tcase, a_client_has_a_share_of_what_waits);
	tcase_add_test(tcase, limit_per_request);
	tcase_add_test(tcase, limit_per_client);
	tcase_add_test(tcase, a_lease_identifier_is_for_one_scope);
	tcase_add_test(tcase, reload_keeps_leases);
	tcase_add_test(tcase, configurations_that_are_refused);
}

int main(void)
{
	return run_server_tests("madcap_server_rules", add_tests);
}
