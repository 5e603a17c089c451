/* SPDX-License-Identifier: MIT */
/* Answers that the client has to ignore: what does not fit, and octets that are no message. */
#include "madcap_client_fixture.h"

/* One thing wrong in each; the query: 2 to 3 addresses of 239.192.0.0-15, 600 s at least. */
enum spoilt {
	SPOILT_XID,
	SPOILT_LEASE_ID,
	SPOILT_TYPE_OFFER,
	SPOILT_TYPE_REQUEST,
	SPOILT_TYPE_UNKNOWN,
	SPOILT_NO_SERVER,
	SPOILT_NO_LEASE_ID,
	SPOILT_NO_LEASE_TIME,
	SPOILT_NO_RANGES,
	SPOILT_EMPTY,
	SPOILT_SCOPE,
	SPOILT_TOO_FEW,
	SPOILT_TOO_MANY,
	SPOILT_OTHERS,
	SPOILT_TWICE,
	SPOILT_OVERLAP,
	SPOILT_UNICAST,
	SPOILT_SHORT,
	SPOILT_LATE,
	SPOILT_NO_CURRENT_TIME,
	SPOILT_RETRY,
	SPOILT_NAK,
	N_MISFITS,
};

static void set_ranges(struct answer *answer, const char *first, const char *second)
{
	answer->first[0] = first;
	answer->first[1] = second;
	answer->count[0] = answer->count[1] = first == NULL || second == NULL ? 2 : 1;
}

static void spoil_options(enum spoilt how, struct answer *answer)
{
	static const uint16_t missing[N_MISFITS] = {
		[SPOILT_NO_SERVER] = MADCAP_OPT_SERVER_ID,
		[SPOILT_NO_LEASE_ID] = MADCAP_OPT_LEASE_ID,
		[SPOILT_NO_LEASE_TIME] = MADCAP_OPT_LEASE_TIME,
		[SPOILT_NO_RANGES] = MADCAP_OPT_RANGES,
		[SPOILT_NO_CURRENT_TIME] = MADCAP_OPT_CURRENT_TIME,
		[SPOILT_NAK] = MADCAP_OPT_ERROR,
	};
	static const uint8_t types[N_MISFITS] = {
		[SPOILT_TYPE_OFFER] = MADCAP_OFFER,
		[SPOILT_TYPE_REQUEST] = MADCAP_REQUEST,
		[SPOILT_TYPE_UNKNOWN] = 9,
		[SPOILT_NAK] = MADCAP_NAK,
	};

	if (missing[how] != 0)
		answer->drop = 1u << missing[how];
	if (types[how] != 0)
		answer->type = types[how];
	answer->xid_plus = how == SPOILT_XID;
	answer->other_id = how == SPOILT_LEASE_ID;
	if (how == SPOILT_SCOPE)
		answer->scope = "239.255.0.0";
	if (how == SPOILT_SHORT)
		answer->lease_sec = 599;
	if (how == SPOILT_LATE)
		answer->start_sec = START_SEC + 101;
	if (how == SPOILT_NO_CURRENT_TIME)
		answer->start_sec = START_SEC + 50;
	if (how == SPOILT_RETRY)
		answer->retry_sec = START_SEC + 9; /* we have not said that we would */
}

static void spoil_ranges(enum spoilt how, struct answer *answer)
{
	if (how == SPOILT_TOO_FEW)
		answer->count[0] = 1;
	if (how == SPOILT_TOO_MANY)
		answer->count[0] = 4;
	if (how == SPOILT_OTHERS)
		set_ranges(answer, "239.192.0.15", NULL); /* and .16 */
	if (how == SPOILT_TWICE)
		set_ranges(answer, "239.192.0.7", "239.192.0.7");
	if (how == SPOILT_UNICAST)
		set_ranges(answer, "10.0.0.7", NULL);
	if (how == SPOILT_OVERLAP) {
		set_ranges(answer, "239.192.0.7", "239.192.0.6");
		answer->count[1] = 2;
	}
	if (how == SPOILT_EMPTY || how == SPOILT_RETRY) {
		set_ranges(answer, NULL, NULL);
		answer->with_ranges = true;
	}
}

static struct answer misfit(enum spoilt how)
{
	struct answer answer = { .type = MADCAP_ACK, .lease_sec = 3600 };

	set_ranges(&answer, "239.192.0.7", NULL);
	spoil_options(how, &answer);
	spoil_ranges(how, &answer);
	return answer;
}

static void start_choosy(void)
{
	struct madcap_range range = { .first = address("239.192.0.0"), .count = 16 };
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(1, 0);

	query.count = 3;
	query.min_count = 2;
	query.min_lease_sec = 600;
	query.max_start_sec = START_SEC + 100;
	query.ranges = &range;
	query.n_ranges = 1;
	start(&query, &servers);
	(void)sent(MADCAP_REQUEST);
}

START_TEST(rfc_2_5_and_2_6_what_does_not_fit_is_ignored)
{
	static const struct answer fits = { .type = MADCAP_ACK,
					    .first = { "239.192.0.9", "239.192.0.7" },
					    .count = { 1, 1 },
					    .lease_sec = 600,
					    .start_sec = START_SEC + 100 };

	struct answer wrong = misfit((enum spoilt)_i);

	start_choosy();
	ck_assert_msg(!give(&wrong, &server_a), "misfit %d is taken", _i);
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_ASKING);
	assert_silent();
	ck_assert(give(&fits, &server_a));
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
}
END_TEST

START_TEST(rfc_2_1_5_every_truncation_is_ignored)
{
	uint8_t whole[SIZE_MAX_ANSWER];
	size_t size;

	start_choosy();
	make_answer(&(struct answer){
		.type = MADCAP_ACK, .first = { "239.192.0.3" }, .count = { 3 }, .lease_sec = 600 });
	size = answer_size;
	memcpy(whole, answer_data, size);
	for (size_t i = 0; i < size; i++) {
		uint8_t *exact = malloc(i > 0 ? i : 1); /* for the sanitizer */

		memcpy(exact, whole, i);
		ck_assert(!madcap_client_receive(&client, &server_a, exact, i, &now));
		free(exact);
	}
	ck_assert(madcap_client_receive(&client, &server_a, whole, size, &now));
}
END_TEST

/* ---- octets that the encoder would not write -------------------------------------------------- */

static void insert(size_t at, const void *bytes, size_t size)
{
	memmove(answer_data + at + size, answer_data + at, answer_size - at);
	memcpy(answer_data + at, bytes, size);
	answer_size += size;
}

START_TEST(rfc_2_1_1_another_version_is_ignored)
{
	start_choosy();
	make_answer(&(struct answer){ .type = MADCAP_NAK });
	answer_data[0] = 1;
	ck_assert(!receive(&server_a));
	answer_data[0] = 0;
	ck_assert(receive(&server_a));
}
END_TEST

START_TEST(rfc_2_1_5_unknown_options_are_passed_over)
{
	static const uint8_t unknown[] = { 0x7f, 0xff, 0, 3, 1, 2, 3 };

	start_choosy();
	make_answer(&(struct answer){ .type = MADCAP_NAK });
	insert(MADCAP_HEADER_SIZE, unknown, sizeof(unknown));
	ck_assert(receive(&server_a));
}
END_TEST

START_TEST(rfc_2_1_5_an_option_twice_is_ignored)
{
	static const uint8_t again[] = { 0, MADCAP_OPT_ERROR, 0, 4, 0, 3, 0, 0 };

	start_choosy();
	make_answer(&(struct answer){ .type = MADCAP_NAK });
	insert(MADCAP_HEADER_SIZE, again, sizeof(again));
	ck_assert(!receive(&server_a));
}
END_TEST

START_TEST(rfc_2_1_5_octets_behind_end_are_ignored_as_a_whole)
{
	start_choosy();
	make_answer(&(struct answer){ .type = MADCAP_NAK });
	insert(answer_size, "\0", 1);
	ck_assert(!receive(&server_a));
}
END_TEST

START_TEST(rfc_2_1_5_any_order)
{
	static const uint8_t error_first[] = { 0, MADCAP_OPT_ERROR, 0, 2, 0, 3 };

	start_choosy();
	make_answer(&(struct answer){ .type = MADCAP_NAK, .drop = 1u << MADCAP_OPT_ERROR });
	insert(MADCAP_HEADER_SIZE, error_first, sizeof(error_first));
	ck_assert(receive(&server_a));
	ck_assert_uint_eq(madcap_client_refusal(&client)->error, MADCAP_ERR_LEASE_ID_UNKNOWN);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, rfc_2_5_and_2_6_what_does_not_fit_is_ignored, 0, N_MISFITS);
	tcase_add_test(tcase, rfc_2_1_5_every_truncation_is_ignored);
	tcase_add_test(tcase, rfc_2_1_1_another_version_is_ignored);
	tcase_add_test(tcase, rfc_2_1_5_unknown_options_are_passed_over);
	tcase_add_test(tcase, rfc_2_1_5_an_option_twice_is_ignored);
	tcase_add_test(tcase, rfc_2_1_5_octets_behind_end_are_ignored_as_a_whole);
	tcase_add_test(tcase, rfc_2_1_5_any_order);
}

int main(void)
{
	return run_client_tests("madcap_client_misfits", add_tests);
}
