/* SPDX-License-Identifier: MIT */
/* The MADCAP server and messages as such: what is ignored, what comes again, batches. */
#include "madcap_server_fixture.h"

/* ---- 2.1: what is not answered --------------------------------------------------------------- */

START_TEST(rfc2730_2_1_too_short_is_ignored)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	for (size_t size = 0; size < world.sent_size; size++)
		ck_assert_int_eq(send_bytes(world.sent, size), 0);
}
END_TEST

START_TEST(rfc2730_2_1_1_other_version_is_ignored)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	world.sent[0] = 1;
	ck_assert_int_eq(send_bytes(world.sent, world.sent_size), 0);
}
END_TEST

START_TEST(rfc2730_2_1_5_end_must_be_there_and_last)
{
	static const uint8_t no_end[] = { 0, 8, 0, 1, 0, 0, 0, 9, 0, 3, 0, 1, 7 };
	static const uint8_t behind[] = { 0, 8, 0, 1, 0, 0, 0, 9, 0, 3, 0, 1,
					  7, 0, 0, 0, 0, 0, 5, 0, 2, 0, 9 };
	static const uint8_t long_end[] = { 0, 8, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0 };

	ck_assert_int_eq(send_bytes(no_end, sizeof(no_end)), 0);
	ck_assert_int_eq(send_bytes(behind, sizeof(behind)), 0);
	ck_assert_int_eq(send_bytes(long_end, sizeof(long_end)), 0);
}
END_TEST

START_TEST(rfc2730_2_1_5_missing_options_are_invalid_requests)
{
	struct madcap_message out = { .type = MADCAP_GETINFO, .family = MADCAP_IPV4, .xid = 5 };

	out.lease_id = id(1);
	madcap_message_set(&out, MADCAP_OPT_LEASE_ID);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_OPTION_REQUEST);
	out = message(MADCAP_REQUEST, 1);
	out.present &= ~(UINT32_C(1) << MADCAP_OPT_SCOPE);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SCOPE);
}
END_TEST

START_TEST(rfc2730_2_1_5_missing_lease_id_is_an_invalid_request)
{
	static const uint8_t release[] = { 0, 7, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0 };

	ck_assert_int_eq(send_bytes(release, sizeof(release)), MADCAP_NAK);
	ck_assert_uint_eq(world.got.error_code, MADCAP_ERR_INVALID_REQUEST);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), MADCAP_OPT_LEASE_ID);
	ck_assert_uint_eq(world.got.xid, 9);
}
END_TEST

START_TEST(rfc2730_2_1_5_options_out_of_place_are_invalid_requests)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	out.scope = world.scope[0].first;
	out.family = MADCAP_IPV4;
	madcap_message_set(&out, MADCAP_OPT_SCOPE);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SCOPE);
	out = message(MADCAP_RELEASE, 1);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 10);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_TIME);
}
END_TEST

START_TEST(rfc2730_2_1_5_unknown_options_are_skipped)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	uint8_t longer[512];

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	memcpy(longer, world.sent, world.sent_size);
	longer[7]++; /* another xid */
	memcpy(longer + world.sent_size - 4, "\x12\x34\x00\x02xx\0\0\0\0", 10);
	ck_assert_int_eq(send_bytes(longer, world.sent_size + 6), MADCAP_ACK);
	memcpy(longer + world.sent_size - 4, "\x00\x12\x00\x00\x12\x34\0\0\0\0\0\0", 12);
	ck_assert_int_eq(send_bytes(longer, world.sent_size + 8), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_1_5_the_same_option_twice_is_an_invalid_request)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);
	uint8_t longer[512];

	with_number(&out, MADCAP_OPT_LEASE_TIME, 60);
	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	memcpy(longer, world.sent, world.sent_size);
	memcpy(longer + world.sent_size - 4, "\0\1\0\4\0\0\0\x3c\0\0\0\0", 12);
	ck_assert_int_eq(send_bytes(longer, world.sent_size + 8), MADCAP_NAK);
	ck_assert_uint_eq(world.got.error_code, MADCAP_ERR_INVALID_REQUEST);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), MADCAP_OPT_LEASE_TIME);
	ck_assert_uint_eq(world.got.lease_id.size, ID_SIZE);
}
END_TEST

START_TEST(rfc2730_2_2_unknown_types_are_invalid_requests)
{
	static const uint8_t types[] = { 0, 9, 77, 255, MADCAP_OFFER, MADCAP_ACK };

	for (size_t i = 0; i < sizeof(types); i++) {
		struct madcap_message out = message(MADCAP_RELEASE, 1);

		out.type = types[i];
		ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_NONE);
	}
}
END_TEST

START_TEST(rfc2730_2_6_a_nak_is_never_answered)
{
	static const uint8_t broken[] = { 0, 6, 0, 1, 0, 0, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0 };
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	out.type = MADCAP_NAK;
	ck_assert_int_eq(ask(&out), 0);
	ck_assert_int_eq(send_bytes(broken, sizeof(broken)), 0);
}
END_TEST

START_TEST(rfc2730_2_1_3_families_that_are_not_served)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	world.sent[3] = 9;
	ck_assert_int_eq(send_bytes(world.sent, world.sent_size), MADCAP_NAK);
	ck_assert_uint_eq(world.got.error_code, MADCAP_ERR_INVALID_REQUEST);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), MADCAP_OPT_NONE);
}
END_TEST

/* ---- 2.1.4: retransmissions ------------------------------------------------------------------ */

START_TEST(rfc2730_2_1_4_the_same_answer_again)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct madcap_answer first;
	struct book_stats stats;

	out.xid = 4711;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	first = world.answer;
	pass_time(59);
	world.client.port++; /* it goes to where the retransmission came from */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.answer.size, first.size);
	ck_assert_mem_eq(world.answer.data, first.data, first.size);
	ck_assert_uint_eq(madcap_server_counters(world.server)->retransmissions, 1);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_ACTIVE], 1);
}
END_TEST

START_TEST(rfc2730_2_1_4_a_release_again_is_not_carried_out_again)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	request(1, 1);
	out.xid = 4712;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	pass_time(61);
	ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
}
END_TEST

START_TEST(rfc2730_2_1_4_type_xid_and_identifier_tell_requests_apart)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.xid = 1;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out.lease_id = id(2);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_ne(got_ranges(), "");
	out = message(MADCAP_RELEASE, 2);
	out.xid = 1;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_server_counters(world.server)->retransmissions, 0);
}
END_TEST

START_TEST(rfc2730_2_1_4_cache_is_bounded)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	const struct madcap_counters *counters;

	world.config.cache_entries = 4;
	restart();
	out.xid = 9;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	for (unsigned int i = 2; i < 8; i++)
		request(i, 1);
	counters = madcap_server_counters(world.server);
	ck_assert_uint_eq(counters->cache_evictions, 3);
	/* Forgotten, and yet no second lease. */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(counters->retransmissions, 0);
	ck_assert_uint_eq(counters->granted, 7);
}
END_TEST

START_TEST(request_again_after_a_restart_gets_its_lease_again)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct book_stats stats;
	char first[256];

	world.unsynced = false;
	restart();
	with_count(&out, 3, 3);
	out.xid = 77;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	snprintf(first, sizeof(first), "%s", got_ranges());
	restart();
	pass_time(10);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), first);
	ck_assert_uint_eq(world.got.lease_time, 3590);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_ACTIVE], 1);
	ck_assert_uint_eq(stats.addresses[BOOK_ACTIVE], 3);
}
END_TEST

/* ---- batches --------------------------------------------------------------------------------- */

START_TEST(a_request_for_another_server_is_none_of_ours)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	world.to = addr("239.195.255.254");
	out.server_id = addr("192.0.2.99");
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	out.current_time = 1000;
	madcap_message_set(&out, MADCAP_OPT_CURRENT_TIME);
	ck_assert_int_ne(ask(&out), MADCAP_NAK);
	ck_assert_uint_eq(world.answer.size, 0);
}
END_TEST

START_TEST(failed_commit_takes_everything_back)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);
	struct madcap_input input;
	struct error error;

	request(1, 4);
	with_count(&out, 6, 6);
	out.xid = 55;
	ck_assert(madcap_message_encode(&out, world.sent, sizeof(world.sent), &world.sent_size));
	input = input_of(world.sent, world.sent_size);
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	madcap_server_step(world.server, &input, &world.answer);
	ck_assert(world.answer.depends);
	book_abort(world.book); /* as if the disk had failed */
	ck_assert_int_eq(book_begin(world.book, &error), 0);
	madcap_server_fail(world.server, &input, &world.answer);
	ck_assert_uint_gt(world.answer.size, 0);
	ck_assert_uint_eq(world.answer.data[1], MADCAP_NAK);
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
	request(3, 6);
}
END_TEST

/* What was committed before stays true, whatever becomes of the batch of a retransmission. */
START_TEST(rfc2730_2_1_4_the_same_answer_again_from_a_batch_that_fails)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);
	struct madcap_answer first, failed;
	struct madcap_input input;
	struct error error;

	out.xid = 55;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	first = world.answer;
	other.xid = 56;
	other.family = out.family;
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	step(&other, &failed);
	step(&other, &failed); /* its own comes again as well */
	ck_assert(failed.depends);
	step(&out, &world.answer);
	ck_assert_uint_eq(world.answer.size, first.size);
	fail_commit();
	input = input_of(world.sent, world.sent_size);
	madcap_server_fail(world.server, &input, &world.answer);
	ck_assert_uint_eq(world.answer.size, first.size);
	ck_assert_mem_eq(world.answer.data, first.data, first.size);
	madcap_server_fail(world.server, &input, &failed);
	ck_assert_uint_eq(failed.data[1], MADCAP_NAK);
}
END_TEST

START_TEST(one_batch_sees_its_own_changes)
{
	struct madcap_message out[4];
	struct madcap_answer answers[4];
	struct error error;

	out[0] = message(MADCAP_REQUEST, 1);
	with_count(&out[0], 10, 10);
	out[1] = message(MADCAP_REQUEST, 2);
	out[2] = message(MADCAP_RELEASE, 1);
	out[3] = message(MADCAP_REQUEST, 3);
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	for (unsigned int i = 0; i < 4; i++) {
		struct madcap_input input;

		out[i].xid = i;
		out[i].family = MADCAP_IPV4;
		ck_assert(madcap_message_encode(&out[i], world.sent, sizeof(world.sent),
						&world.sent_size));
		input = input_of(world.sent, world.sent_size);
		madcap_server_step(world.server, &input, &answers[i]);
	}
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
	ck_assert_uint_eq(answers[0].data[1], MADCAP_ACK);
	ck_assert_uint_eq(answers[1].data[1], MADCAP_NAK);
	ck_assert_uint_eq(answers[2].data[1], MADCAP_ACK);
	ck_assert_uint_eq(answers[3].data[1], MADCAP_ACK);
}
END_TEST

START_TEST(counters_and_stats)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 9);
	const struct madcap_counters *counters = madcap_server_counters(world.server);
	struct book_stats stats;

	request(1, 2);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	out = message(MADCAP_RENEW, 5);
	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	ck_assert_int_eq(send_bytes("x", 1), 0);
	ck_assert_uint_eq(counters->received[MADCAP_REQUEST], 1);
	ck_assert_uint_eq(counters->received[0], 1);
	ck_assert_uint_eq(counters->offers, 1);
	ck_assert_uint_eq(counters->acks, 1);
	ck_assert_uint_eq(counters->naks, 1);
	ck_assert_uint_eq(counters->naks_by_error[MADCAP_ERR_LEASE_ID_UNKNOWN], 1);
	ck_assert_uint_eq(counters->ignored, 1);
	ck_assert(madcap_server_stats(world.server, &world.scope[0].first, &stats));
	ck_assert_uint_eq(stats.size, 10);
	ck_assert_uint_eq(stats.free, 7);
	ck_assert_uint_eq(stats.addresses[BOOK_ACTIVE], 2);
	ck_assert_uint_eq(stats.leases[BOOK_OFFERED], 1);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_1_too_short_is_ignored);
	tcase_add_test(tcase, rfc2730_2_1_1_other_version_is_ignored);
	tcase_add_test(tcase, rfc2730_2_1_5_end_must_be_there_and_last);
	tcase_add_test(tcase, rfc2730_2_1_5_missing_options_are_invalid_requests);
	tcase_add_test(tcase, rfc2730_2_1_5_missing_lease_id_is_an_invalid_request);
	tcase_add_test(tcase, rfc2730_2_1_5_options_out_of_place_are_invalid_requests);
	tcase_add_test(tcase, rfc2730_2_1_5_unknown_options_are_skipped);
	tcase_add_test(tcase, rfc2730_2_1_5_the_same_option_twice_is_an_invalid_request);
	tcase_add_test(tcase, rfc2730_2_2_unknown_types_are_invalid_requests);
	tcase_add_test(tcase, rfc2730_2_6_a_nak_is_never_answered);
	tcase_add_test(tcase, rfc2730_2_1_3_families_that_are_not_served);
	tcase_add_test(tcase, rfc2730_2_1_4_the_same_answer_again);
	tcase_add_test(tcase, rfc2730_2_1_4_a_release_again_is_not_carried_out_again);
	tcase_add_test(tcase, rfc2730_2_1_4_type_xid_and_identifier_tell_requests_apart);
	tcase_add_test(tcase, rfc2730_2_1_4_cache_is_bounded);
	tcase_add_test(tcase, request_again_after_a_restart_gets_its_lease_again);
	tcase_add_test(tcase, a_request_for_another_server_is_none_of_ours);
	tcase_add_test(tcase, failed_commit_takes_everything_back);
	tcase_add_test(tcase, rfc2730_2_1_4_the_same_answer_again_from_a_batch_that_fails);
	tcase_add_test(tcase, one_batch_sees_its_own_changes);
	tcase_add_test(tcase, counters_and_stats);
}

int main(void)
{
	return run_server_tests("madcap_server", add_tests);
}
