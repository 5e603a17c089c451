/* SPDX-License-Identifier: MIT */
/* How the client asks: retransmission, several servers, refusals, and what it never asks. */
#include "madcap_client_fixture.h"

/* ---- asking one server ----------------------------------------------------------------------- */

START_TEST(rfc_2_3_retransmission_at_4_12_28_and_over_at_60)
{
	static const int64_t at[] = { 4000, 12000, 28000 };
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	uint8_t first[MADCAP_CLIENT_MESSAGE_MAX];
	size_t size;

	start(&query, &servers);
	(void)sent(MADCAP_REQUEST);
	size = sent_out.size;
	memcpy(first, sent_data, size);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(madcap_client_deadline(&client), START_MS + at[i]);
		now.ms = START_MS + at[i] - 1;
		madcap_client_tick(&client, &now);
		assert_silent();
		tick_at_deadline();
		(void)sent(MADCAP_REQUEST);
		ck_assert_uint_eq(sent_out.size, size); /* the same octets: 2.1.4 */
		ck_assert_mem_eq(sent_data, first, size);
	}
	ck_assert_int_eq(madcap_client_deadline(&client), START_MS + 60000);
	tick_at_deadline();
	assert_silent();
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_FAILED);
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_TIMED_OUT);
	ck_assert_uint_eq(madcap_client_n_silent(&client), 1);
	ck_assert_int_eq(madcap_client_deadline(&client), MADCAP_CLIENT_NEVER);
}
END_TEST

START_TEST(rfc_2_3_every_kind_of_message_is_sent_again)
{
	static const struct {
		enum madcap_operation operation;
		size_t n;
		uint8_t type;
	} kinds[] = {
		{ MADCAP_GET_SCOPES, 1, MADCAP_GETINFO },     /* 2.2.1 */
		{ MADCAP_GET_SCOPES, 0, MADCAP_GETINFO },     /* multicast */
		{ MADCAP_REQUEST_LEASE, 0, MADCAP_DISCOVER }, /* 2.2.2 */
		{ MADCAP_RENEW_LEASE, 1, MADCAP_RENEW },      /* 2.2.7 */
		{ MADCAP_RELEASE_LEASE, 1, MADCAP_RELEASE },  /* 2.2.8 */
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct madcap_query query = query_of(kinds[i].operation);
		struct madcap_servers servers = servers_of(kinds[i].n, 0);
		int64_t begin = now.ms;
		unsigned int n = 0;

		start(&query, &servers);
		while (madcap_client_state(&client) < MADCAP_CLIENT_DONE) {
			(void)sent(kinds[i].type);
			ck_assert_int_eq(sent_out.multicast, kinds[i].n == 0);
			n++;
			do
				tick_at_deadline();
			while (madcap_client_state(&client) < MADCAP_CLIENT_DONE &&
			       !client.to_send);
		}
		ck_assert_uint_eq(n, 4);
		ck_assert_int_eq(now.ms - begin, 60000);
	}
}
END_TEST

START_TEST(t18_all_tries_together_end_in_the_configured_time)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(2, 8000);
	unsigned int n = 0;

	start(&query, &servers);
	while (madcap_client_state(&client) < MADCAP_CLIENT_DONE) {
		struct madcap_message message = sent(MADCAP_REQUEST);

		n++;
		ck_assert_uint_eq(message.xid, n <= 4 ? 101 : 102);
		ck_assert(madcap_address_equal(&sent_out.to.address,
					       n <= 4 ? &server_a.address : &server_b.address));
		do
			tick_at_deadline();
		while (madcap_client_state(&client) < MADCAP_CLIENT_DONE && !client.to_send);
	}
	ck_assert_uint_eq(n, 8);
	ck_assert_int_eq(now.ms, START_MS + 8000);
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_TIMED_OUT);
	ck_assert_uint_eq(madcap_client_n_silent(&client), 2);
}
END_TEST

START_TEST(rfc_2_2_4_request_says_what_is_wished_and_no_more)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	struct madcap_message message;

	start(&query, &servers);
	message = sent(MADCAP_REQUEST);
	ck_assert_uint_eq(message.present,
			  1u << MADCAP_OPT_LEASE_ID | 1u << MADCAP_OPT_SCOPE); /* 3.8: one */
	ck_assert_uint_eq(message.lease_id.size, 17);                          /* CL-2 */
	ck_assert_uint_eq(message.lease_id.data[0], 0);
	ck_assert(!sent_out.multicast);

	query.count = 5;
	query.min_count = 2;
	query.lease_sec = 600;
	query.start_sec = START_SEC + 60;
	query.ranges = &(struct madcap_range){ .first = address("239.192.1.0"), .count = 9 };
	query.n_ranges = 1;
	query.retry_ms = 1000;
	start(&query, &servers);
	message = sent(MADCAP_REQUEST);
	ck_assert_uint_eq(message.count_min, 2);
	ck_assert_uint_eq(message.count_desired, 5);
	ck_assert_uint_eq(message.lease_time, 600);
	ck_assert_uint_eq(message.current_time, START_SEC); /* 2.12 */
	ck_assert_uint_eq(madcap_ranges_total(&message), 9);
	ck_assert(madcap_codes_has(message.features.supported, MADCAP_FEATURE_RETRY_AFTER));
	ck_assert_uint_eq(message.features.requested.size, 0); /* 2.13.2 */
	ck_assert_uint_eq(message.features.required.size, 0);
}
END_TEST

START_TEST(rfc_2_2_5_ack_is_a_lease)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	struct madcap_grant grant;

	start(&query, &servers);
	(void)sent(MADCAP_REQUEST);
	pass(1000);
	ck_assert(give(&good, &server_a));
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
	ck_assert_int_eq(madcap_client_code(&client), 0);
	ck_assert_int_eq(madcap_client_grant(&client, &grant), 0);
	ck_assert_uint_eq(grant.count, 1);
	ck_assert_int_eq(grant.start_sec, START_SEC); /* the server's clock may run since then */
	ck_assert_int_eq(grant.end_sec, START_SEC + 3600);
	ck_assert_int_eq(grant.begins_in_sec, 0);
	ck_assert(madcap_address_equal(&grant.server.address, &server_a.address));
	madcap_grant_done(&grant);
	ck_assert(!receive(&server_a)); /* once more: nothing is open */
}
END_TEST

START_TEST(rfc_2_13_address_of_the_asked_server_is_kept)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	struct madcap_grant grant;

	start(&query, &servers);
	(void)sent(MADCAP_REQUEST);
	ck_assert(give(&good, &server_b)); /* another interface of it */
	ck_assert_int_eq(madcap_client_grant(&client, &grant), 0);
	ck_assert(madcap_address_equal(&grant.server.address, &server_a.address));
	madcap_grant_done(&grant);
}
END_TEST
/* ---- refusals, and several servers ----------------------------------------------------------- */

START_TEST(rfc_3_17_after_a_nak_nothing_is_sent_again)
{
	struct madcap_query query = query_of(MADCAP_RENEW_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	char text[MADCAP_REFUSAL_TEXT_SIZE];

	start(&query, &servers);
	(void)sent(MADCAP_RENEW);
	ck_assert(give(
		&(struct answer){ .type = MADCAP_NAK, .error_code = MADCAP_ERR_LEASE_ID_UNKNOWN },
		&server_a));
	assert_silent();
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_FAILED);
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_REFUSED);
	ck_assert_uint_eq(madcap_client_refusal(&client)->error, MADCAP_ERR_LEASE_ID_UNKNOWN);
	ck_assert_str_eq(madcap_refusal_text(madcap_client_refusal(&client), text, sizeof(text)),
			 "Lease Identifier Not Recognized");
	ck_assert_uint_eq(madcap_client_n_silent(&client), 0);
}
END_TEST

START_TEST(rfc_2_2_4_after_a_nak_the_next_server_with_a_new_xid)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(2, 0);
	struct madcap_message first, second;
	struct madcap_grant grant;

	start(&query, &servers);
	first = sent(MADCAP_REQUEST);
	ck_assert(give(&no, &server_a));
	second = sent(MADCAP_REQUEST);
	ck_assert_uint_eq(second.xid, first.xid + 1);
	ck_assert(madcap_address_equal(&sent_out.to.address, &server_b.address));
	ck_assert(give(&good, &server_b));
	ck_assert_int_eq(madcap_client_grant(&client, &grant), 0);
	ck_assert(madcap_address_equal(&grant.server.address, &server_b.address));
	ck_assert_ptr_nonnull(madcap_client_refusal(&client));
	madcap_grant_done(&grant);
}
END_TEST

/* Whoever did not grant the lease has to know of it as well. */
START_TEST(rfc_2_2_7_and_2_2_8_another_server_is_required_to_share_the_lease)
{
	static const struct {
		enum madcap_operation operation;
		uint8_t type;
		bool requested, required;
	} kinds[] = {
		{ MADCAP_REQUEST_LEASE, MADCAP_REQUEST, true, false },
		{ MADCAP_RENEW_LEASE, MADCAP_RENEW, true, true },
		{ MADCAP_RELEASE_LEASE, MADCAP_RELEASE, false, true },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct madcap_query query = query_of(kinds[i].operation);
		struct madcap_servers servers = servers_of(2, 0);
		struct madcap_message message;

		query.requested[0] = MADCAP_FEATURE_SERVER_MOBILITY;
		query.n_requested = kinds[i].requested;
		start(&query, &servers);
		message = sent(kinds[i].type);
		ck_assert_uint_eq(message.features.requested.size, kinds[i].requested ? 2 : 0);
		ck_assert_uint_eq(message.features.required.size, 0);
		ck_assert(give(&no, &server_a));
		message = sent(kinds[i].type);
		ck_assert(madcap_address_equal(&sent_out.to.address, &server_b.address));
		ck_assert_uint_eq(message.features.supported.size, 2);
		ck_assert_uint_eq(message.features.required.size, kinds[i].required ? 2 : 0);
		ck_assert_uint_eq(message.features.requested.size, kinds[i].required ? 0 : 2);
	}
}
END_TEST

/* What the others have said is what became of the lease: that it is gone, say, or cannot be as long. */
START_TEST(who_does_not_share_a_lease_hides_no_refusal_of_it)
{
	static const struct answer unknown = { .type = MADCAP_NAK,
					       .error_code = MADCAP_ERR_LEASE_ID_UNKNOWN };
	static const struct answer alone = { .type = MADCAP_NAK,
					     .error_code = MADCAP_ERR_FEATURE_UNSUPPORTED };
	static const struct {
		enum madcap_operation operation;
		uint8_t type;
	} kinds[] = { { MADCAP_RENEW_LEASE, MADCAP_RENEW },
		      { MADCAP_RELEASE_LEASE, MADCAP_RELEASE } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct madcap_query query = query_of(kinds[i].operation);
		struct madcap_servers servers = servers_of(2, 0);

		start(&query, &servers);
		(void)sent(kinds[i].type);
		ck_assert(give(&unknown, &server_a));
		(void)sent(kinds[i].type);
		ck_assert(give(&alone, &server_b));
		ck_assert(madcap_client_all_refused(&client));
		ck_assert_uint_eq(madcap_client_refusal(&client)->error,
				  MADCAP_ERR_LEASE_ID_UNKNOWN);
		ck_assert(madcap_address_equal(&madcap_client_refusal(&client)->server.address,
					       &server_a.address));
	}
}
END_TEST

START_TEST(t18_all_refuse_or_are_silent_then_it_is_a_refusal)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(2, 2000);

	start(&query, &servers);
	(void)sent(MADCAP_REQUEST);
	ck_assert(give(&no, &server_a));
	while (madcap_client_state(&client) < MADCAP_CLIENT_DONE)
		tick_at_deadline();
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_REFUSED);
	ck_assert_int_le(now.ms, START_MS + 2000);
	ck_assert_uint_eq(madcap_client_n_silent(&client), 1);
	ck_assert(madcap_address_equal(&madcap_client_silent(&client, 0)->address,
				       &server_b.address));
}
END_TEST

START_TEST(rfc_2_2_8_release_and_its_ack)
{
	struct madcap_query query = query_of(MADCAP_RELEASE_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	struct madcap_message message;

	start(&query, &servers);
	message = sent(MADCAP_RELEASE);
	ck_assert_uint_eq(message.present, 1u << MADCAP_OPT_LEASE_ID);
	ck_assert(!give(&good, &server_a)); /* with a lease it is no ACK to a RELEASE */
	ck_assert(give(&(struct answer){ .type = MADCAP_ACK }, &server_a));
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
}
END_TEST

START_TEST(mc_9_renewal_changes_times)
{
	struct madcap_query query = query_of(MADCAP_RENEW_LEASE);
	struct madcap_servers servers = servers_of(1, 0);
	struct madcap_message message;
	struct madcap_grant grant;

	query.start_sec = START_SEC + 10;
	query.lease_sec = 60;
	start(&query, &servers);
	message = sent(MADCAP_RENEW);
	ck_assert(!madcap_message_has(&message, MADCAP_OPT_SCOPE));
	ck_assert(give(&(struct answer){ .type = MADCAP_ACK,
					 .first = { "239.192.0.7" },
					 .count = { 1 },
					 .lease_sec = 50,
					 .start_sec = START_SEC + 20 },
		       &server_a));
	ck_assert_int_eq(madcap_client_grant(&client, &grant), 0);
	ck_assert_int_eq(grant.start_sec, START_SEC + 20); /* MC-7: the lease tells the truth */
	ck_assert_int_eq(grant.end_sec, START_SEC + 70);
	ck_assert_int_eq(grant.begins_in_sec, 20);
	madcap_grant_done(&grant);
}
END_TEST

/* ---- Retry After ----------------------------------------------------------------------------- */

static const struct answer later = {
	.type = MADCAP_ACK, .lease_sec = 3600, .retry_sec = START_SEC + 30, .with_ranges = true
};

static void start_patient(int64_t retry_ms)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(2, 0);

	query.retry_ms = retry_ms;
	query.count = 2;
	start(&query, &servers);
	(void)sent(MADCAP_REQUEST);
	ck_assert(give(&later, &server_a));
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_WAITING);
	ck_assert_uint_eq(madcap_client_retry_time(&client), START_SEC + 30);
	assert_silent();
}

START_TEST(rfc_2_13_2_later_is_followed_with_a_new_xid)
{
	uint8_t first[MADCAP_CLIENT_MESSAGE_MAX];
	struct answer ack = good;
	size_t size;

	start_patient(3600000);
	size = sent_out.size;
	memcpy(first, sent_data, size);
	ck_assert_int_eq(madcap_client_deadline(&client), now.ms + 30000);
	tick_at_deadline();
	(void)sent(MADCAP_REQUEST);
	ck_assert_uint_eq(sent_out.size, size);
	ck_assert_int_ne(memcmp(sent_data + 4, first + 4, 4), 0);                 /* the xid */
	ck_assert_mem_eq(sent_data + 8, first + 8, size - 8);                     /* all options */
	ck_assert(madcap_address_equal(&sent_out.to.address, &server_a.address)); /* same server */
	ack.count[0] = 2;
	ck_assert(give(&ack, &server_a));
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
}
END_TEST

START_TEST(rfc_2_13_2_later_is_not_followed_for_ever)
{
	start_patient(40000);
	tick_at_deadline();
	(void)sent(MADCAP_REQUEST);
	ck_assert(give(&later, &server_a)); /* its Retry Time has passed: at least a second */
	while (madcap_client_state(&client) == MADCAP_CLIENT_WAITING) {
		ck_assert_int_gt(madcap_client_deadline(&client), now.ms);
		tick_at_deadline();
		(void)sent(MADCAP_REQUEST);
		ck_assert(give(&later, &server_a));
	}
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_FAILED);
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_PENDING);
	ck_assert_int_eq(now.ms, START_MS + 40000);
	ck_assert(madcap_address_equal(&madcap_client_peer(&client)->address, &server_a.address));
}
END_TEST

/* ---- what can never be right ----------------------------------------------------------------- */

static void spoil(int how, struct madcap_query *query, struct madcap_servers *servers)
{
	static const struct madcap_range empty = { .count = 0 };

	switch (how) {
	case 0:
		query->family = 7;
		break;
	case 1:
		query->id.size = 0;
		break;
	case 2:
		query->scope = address("10.0.0.0");
		break;
	case 3:
		query->min_count = 2;
		break;
	case 4:
		query->lease_sec = 1;
		query->min_lease_sec = 2;
		break;
	case 5:
		query->ranges = &empty;
		query->n_ranges = 1;
		break;
	case 6:
		query->n_required = 1;
		query->required[0] = MADCAP_FEATURE_RETRY_AFTER;
		break;
	case 7:
		servers->n = 0;
		servers->group.address = address("10.0.0.1");
		break;
	case 8:
		servers->n = 0;
		query->operation = MADCAP_RELEASE_LEASE;
		break;
	case 9:
		servers->n = MADCAP_CLIENT_SERVERS_MAX + 1;
		break;
	case 10:
		query->scope = address("ff15::");
		break;
	case 11: /* 2.11: not the global scope's */
		servers->n = 0;
		servers->group.address = address("238.255.255.254");
		break;
	case 12:
		servers->n = 0;
		servers->group.address = address("ff0e::1");
		break;
	default:
		memset(query->language, 'x', sizeof(query->language));
		break;
	}
}

#define N_SPOILS 14

START_TEST(mc_15_invalid_queries_send_nothing)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(1, 0);

	spoil(_i, &query, &servers);
	ck_assert_int_eq(madcap_client_start(&client, &query, &servers, &now, &error),
			 MADCAP_CLIENT_E_INVALID);
	ck_assert_str_ne(error.text, "");
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_FAILED);
	assert_silent();
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, rfc_2_3_retransmission_at_4_12_28_and_over_at_60);
	tcase_add_test(tcase, rfc_2_3_every_kind_of_message_is_sent_again);
	tcase_add_test(tcase, t18_all_tries_together_end_in_the_configured_time);
	tcase_add_test(tcase, rfc_2_2_4_request_says_what_is_wished_and_no_more);
	tcase_add_test(tcase, rfc_2_2_5_ack_is_a_lease);
	tcase_add_test(tcase, rfc_2_13_address_of_the_asked_server_is_kept);
	tcase_add_test(tcase, rfc_3_17_after_a_nak_nothing_is_sent_again);
	tcase_add_test(tcase, rfc_2_2_4_after_a_nak_the_next_server_with_a_new_xid);
	tcase_add_test(tcase, rfc_2_2_7_and_2_2_8_another_server_is_required_to_share_the_lease);
	tcase_add_test(tcase, who_does_not_share_a_lease_hides_no_refusal_of_it);
	tcase_add_test(tcase, t18_all_refuse_or_are_silent_then_it_is_a_refusal);
	tcase_add_test(tcase, rfc_2_2_8_release_and_its_ack);
	tcase_add_test(tcase, mc_9_renewal_changes_times);
	tcase_add_test(tcase, rfc_2_13_2_later_is_followed_with_a_new_xid);
	tcase_add_test(tcase, rfc_2_13_2_later_is_not_followed_for_ever);
	tcase_add_loop_test(tcase, mc_15_invalid_queries_send_nothing, 0, N_SPOILS);
}

int main(void)
{
	return run_client_tests("madcap_client", add_tests);
}
