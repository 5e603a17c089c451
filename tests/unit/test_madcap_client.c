/* SPDX-License-Identifier: MIT */
/* The client's state machine against servers that the test plays, in virtual time. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/address.h"
#include "madcap/client.h"

#define START_MS 5000
#define START_SEC 1800000000
#define SIZE_MAX_ANSWER 2048

static struct madcap_client client;
static struct madcap_now now;
static struct error error;
static struct madcap_endpoint server_a, server_b, group;

static struct madcap_address address(const char *text)
{
	struct madcap_address found;

	ck_assert_msg(madcap_address_parse(text, &found), "%s", text);
	return found;
}

static void pass(int64_t ms)
{
	static int64_t rest;

	now.ms += ms;
	rest += ms;
	now.unix_sec += rest / 1000;
	rest %= 1000;
}

static void setup(void)
{
	memset(&server_a, 0, sizeof(server_a));
	server_a.address = address("192.0.2.1");
	server_a.port = 2535;
	server_b = server_a;
	server_b.address = address("192.0.2.2");
	group = server_a;
	group.address = address("239.195.255.254");
	now = (struct madcap_now){ START_MS, START_SEC };
	error.text[0] = '\0';
	madcap_client_init(&client, 100);
}

static void teardown(void)
{
	madcap_client_done(&client);
}

/* ---- what the client sends ------------------------------------------------------------------- */

static struct madcap_query query_of(enum madcap_operation operation)
{
	struct madcap_query query = { .operation = operation, .family = MADCAP_IPV4 };
	uint8_t random[16];

	memset(random, 0x5a, sizeof(random));
	madcap_client_id_make(&query.id, random);
	if (operation == MADCAP_REQUEST_LEASE)
		query.scope = address("239.192.0.0");
	return query;
}

static struct madcap_servers servers_of(size_t n, int64_t total_ms)
{
	struct madcap_servers servers = { .n = n, .group = group, .total_ms = total_ms };

	servers.server[0] = server_a;
	servers.server[1] = server_b;
	return servers;
}

static void start(const struct madcap_query *query, const struct madcap_servers *servers)
{
	int code = madcap_client_start(&client, query, servers, &now, &error);

	ck_assert_msg(code == 0, "%d: %s", code, error.text);
}

static uint8_t sent_data[MADCAP_CLIENT_MESSAGE_MAX];
static struct madcap_output sent_out;

/* The one datagram that is to go out now, decoded, and found to be in order. */
static struct madcap_message sent(uint8_t type)
{
	struct madcap_message message;
	struct madcap_verdict verdict;

	ck_assert_msg(madcap_client_output(&client, &sent_out), "nothing is sent");
	memcpy(sent_data, sent_out.data, sent_out.size);
	sent_out.data = sent_data;
	verdict = madcap_message_decode(sent_data, sent_out.size, &message);
	ck_assert_int_eq(verdict.fault, MADCAP_FINE);
	ck_assert_uint_eq(message.type, type);
	verdict = madcap_message_check(&message, madcap_column_of(type, 0), sent_out.multicast);
	ck_assert_msg(verdict.fault == MADCAP_FINE, "%s", verdict.reason);
	return message;
}

static void assert_silent(void)
{
	struct madcap_output out;

	ck_assert_msg(!madcap_client_output(&client, &out), "something is sent");
}

static void tick_at_deadline(void)
{
	int64_t deadline = madcap_client_deadline(&client);

	ck_assert_int_ne(deadline, MADCAP_CLIENT_NEVER);
	if (deadline > now.ms)
		pass(deadline - now.ms);
	madcap_client_tick(&client, &now);
}

/* ---- what servers answer --------------------------------------------------------------------- */

struct answer {
	uint8_t type;
	const char *server;
	const char *first[4]; /* ranges, up to the first NULL */
	uint16_t count[4];
	uint32_t lease_sec;
	uint32_t start_sec;
	uint32_t retry_sec; /* Retry Time, and the feature used */
	uint16_t error_code;
	uint32_t drop; /* bits of options to be left out again */
	bool with_ranges;
	uint32_t xid_plus;
	const char *scope;
	bool other_id;
};

static uint8_t answer_data[SIZE_MAX_ANSWER];
static size_t answer_size;

static void write_lists(const struct answer *answer, struct madcap_message *message)
{
	static uint8_t ranges[256], features[16];
	static const uint8_t blame[2] = { 0xff, 0xff };
	struct wire_writer writer;

	wire_writer_init(&writer, ranges, sizeof(ranges));
	for (size_t i = 0; i < 4 && answer->first[i] != NULL; i++)
		madcap_range_write(&writer,
				   &(struct madcap_range){ .first = address(answer->first[i]),
							   .count = answer->count[i] });
	message->ranges = (struct madcap_bytes){ ranges, writer.at };
	if (answer->with_ranges || writer.at > 0)
		madcap_message_set(message, MADCAP_OPT_RANGES);
	if (answer->retry_sec != 0) {
		wire_writer_init(&writer, features, sizeof(features));
		wire_write_u16(&writer, MADCAP_FEATURE_RETRY_AFTER);
		message->features.supported = (struct madcap_bytes){ features, 2 };
		message->features.required = (struct madcap_bytes){ features, 2 };
		madcap_message_set(message, MADCAP_OPT_FEATURES);
		message->retry_time = answer->retry_sec;
		madcap_message_set(message, MADCAP_OPT_RETRY_TIME);
	}
	if (answer->type == MADCAP_NAK) {
		message->error_code = answer->error_code;
		message->error_data = (struct madcap_bytes){ blame, 2 };
		madcap_message_set(message, MADCAP_OPT_ERROR);
	}
}

static void write_times(const struct answer *answer, struct madcap_message *message)
{
	if (answer->lease_sec != 0) {
		message->lease_time = answer->lease_sec;
		madcap_message_set(message, MADCAP_OPT_LEASE_TIME);
		message->scope = address(answer->scope != NULL ? answer->scope : "239.192.0.0");
		madcap_message_set(message, MADCAP_OPT_SCOPE);
	}
	if (answer->start_sec != 0) {
		message->start_time = answer->start_sec;
		madcap_message_set(message, MADCAP_OPT_START_TIME);
	}
	if (answer->start_sec != 0 || answer->retry_sec != 0) {
		message->current_time = (uint32_t)now.unix_sec;
		madcap_message_set(message, MADCAP_OPT_CURRENT_TIME);
	}
}

/* Writes the answer to the message that was sent last. */
static void make_answer(const struct answer *answer)
{
	static const uint8_t octets[17] = { 0, 1, 2, 3 };
	static const struct madcap_bytes other_id = { octets, sizeof(octets) };
	struct madcap_message asked, message = { .type = answer->type };

	(void)madcap_message_decode(sent_data, sent_out.size, &asked);
	message.family = asked.family;
	message.xid = asked.xid + answer->xid_plus;
	message.lease_id = answer->other_id ? other_id : asked.lease_id;
	madcap_message_set(&message, MADCAP_OPT_LEASE_ID);
	message.server_id = address(answer->server != NULL ? answer->server : "192.0.2.1");
	madcap_message_set(&message, MADCAP_OPT_SERVER_ID);
	write_times(answer, &message);
	write_lists(answer, &message);
	message.present &= ~answer->drop;
	ck_assert(madcap_message_encode(&message, answer_data, sizeof(answer_data), &answer_size));
}

static bool receive(const struct madcap_endpoint *from)
{
	return madcap_client_receive(&client, from, answer_data, answer_size, &now);
}

static bool give(const struct answer *answer, const struct madcap_endpoint *from)
{
	make_answer(answer);
	return receive(from);
}

static const struct answer good = {
	.type = MADCAP_ACK, .first = { "239.192.0.7" }, .count = { 1 }, .lease_sec = 3600
};
static const struct answer no = { .type = MADCAP_NAK, .error_code = MADCAP_ERR_NOT_COMPLETED };

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
	madcap_grant_done(&grant);
}
END_TEST

/* ---- discovery ------------------------------------------------------------------------------- */

static struct answer offer_of(const char *server, uint16_t n, uint32_t lease_sec)
{
	struct answer offer = { .type = MADCAP_OFFER, .server = server, .lease_sec = lease_sec };

	if (n > 0) {
		offer.first[0] = "239.192.0.16";
		offer.count[0] = n;
	}
	return offer;
}

static void discover(uint16_t count)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(0, 0);

	query.count = count;
	query.min_count = 1;
	query.lease_sec = 1000;
	start(&query, &servers);
	(void)sent(MADCAP_DISCOVER);
	ck_assert(sent_out.multicast);
	ck_assert(madcap_address_equal(&sent_out.to.address, &group.address));
}

static void give_offer(const char *server, uint16_t n, uint32_t lease_sec, bool fits)
{
	struct answer offer = offer_of(server, n, lease_sec);
	struct madcap_endpoint from = server_a;

	from.address = address(server);
	ck_assert_int_eq(give(&offer, &from), fits);
}

static const struct contest {
	const char *winner;
	uint16_t n[3]; /* addresses offered by .1, .2, .3; 0: not told, so all */
	uint32_t lease_sec[3];
} contests[] = {
	{ "192.0.2.2", { 3, 4, 2 }, { 1000, 500, 1000 } },  /* most addresses */
	{ "192.0.2.3", { 4, 3, 0 }, { 1000, 1000, 10 } },   /* not told: all that were asked for */
	{ "192.0.2.2", { 4, 4, 4 }, { 500, 900, 800 } },    /* the longest lease */
	{ "192.0.2.1", { 4, 4, 4 }, { 1000, 5000, 9000 } }, /* more than asked for is no better */
};

START_TEST(rfc_2_2_2_the_best_offer_of_those_that_come_in_time)
{
	const struct contest *contest = &contests[_i];
	struct madcap_address winner = address(contest->winner);
	struct madcap_message message;
	struct madcap_endpoint from = server_a;
	struct answer ack = good;

	discover(5);
	pass(500);
	give_offer("192.0.2.1", contest->n[0], contest->lease_sec[0], true);
	give_offer("192.0.2.1", contest->n[0], contest->lease_sec[0], false); /* a duplicate */
	ck_assert_int_eq(madcap_client_deadline(&client), now.ms + 4000);     /* DISCOVER-DELAY */
	pass(3000);
	give_offer("192.0.2.2", contest->n[1], contest->lease_sec[1], true);
	give_offer("192.0.2.3", contest->n[2], contest->lease_sec[2], true);
	assert_silent();
	tick_at_deadline();
	message = sent(MADCAP_REQUEST);
	ck_assert(sent_out.multicast); /* 2.2.4: so that the others hear of it */
	ck_assert(madcap_address_equal(&sent_out.to.address, &group.address));
	ck_assert(madcap_address_equal(&message.server_id, &winner));
	ck_assert_uint_eq(message.lease_time, 1000);

	ack.server = "192.0.2.9";
	ck_assert(!give(&ack, &from)); /* not the chosen one */
	ack.server = contest->winner;
	from.address = winner;
	ck_assert(give(&ack, &from));
	ck_assert(madcap_address_equal(&madcap_client_peer(&client)->address, &winner));
}
END_TEST

START_TEST(rfc_2_2_2_delay_for_offers_is_the_current_retransmission_delay)
{
	discover(1);
	tick_at_deadline();
	(void)sent(MADCAP_DISCOVER);
	pass(100);
	give_offer("192.0.2.1", 1, 1000, true);
	ck_assert_int_eq(madcap_client_deadline(&client), now.ms + 8000);
}
END_TEST

START_TEST(rfc_2_2_4_chosen_server_refuses_then_another_is_found)
{
	struct madcap_message message;
	struct madcap_address b = address("192.0.2.2");

	discover(1);
	give_offer("192.0.2.1", 1, 1000, true);
	give_offer("192.0.2.2", 1, 900, true);
	tick_at_deadline();
	(void)sent(MADCAP_REQUEST);
	ck_assert(give(&no, &server_a));
	(void)sent(MADCAP_DISCOVER);
	give_offer("192.0.2.1", 1, 1000, false); /* did not keep its offer */
	give_offer("192.0.2.2", 1, 900, true);
	tick_at_deadline();
	message = sent(MADCAP_REQUEST);
	ck_assert(madcap_address_equal(&message.server_id, &b));
}
END_TEST

START_TEST(rfc_2_2_2_offers_that_are_no_use)
{
	discover(1);
	make_answer(
		&(struct answer){ .type = MADCAP_OFFER, .lease_sec = 9, .scope = "239.255.0.0" });
	ck_assert(!receive(&server_a));
	ck_assert(!give(&good, &server_a)); /* nobody has been asked for a lease yet */
	give_offer("192.0.2.1", 2, 1000, false);
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_FINDING);
	while (madcap_client_state(&client) < MADCAP_CLIENT_DONE)
		tick_at_deadline();
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_TIMED_OUT);
	ck_assert_int_eq(now.ms, START_MS + 60000);
}
END_TEST

START_TEST(rfc_3_17_a_nak_to_a_discover_ends_retransmission)
{
	discover(1);
	ck_assert(give(&no, &server_a));
	while (madcap_client_state(&client) < MADCAP_CLIENT_DONE) {
		tick_at_deadline();
		assert_silent();
	}
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_REFUSED);
}
END_TEST

/* ---- scopes ---------------------------------------------------------------------------------- */

static void give_scopes(const char *server)
{
	struct madcap_message asked, message = { .type = MADCAP_ACK, .family = MADCAP_IPV4 };
	struct madcap_scope_entry entry = { .first = address("239.192.0.0"),
					    .last = address("239.195.255.255"),
					    .ttl = 32 };
	struct madcap_endpoint from = server_a;
	struct wire_writer writer;
	uint8_t list[64];

	wire_writer_init(&writer, list, sizeof(list));
	wire_write_u8(&writer, 1);
	madcap_scope_write(&writer, &entry);
	(void)madcap_message_decode(sent_data, sent_out.size, &asked);
	message.xid = asked.xid;
	message.lease_id = asked.lease_id;
	message.server_id = from.address = address(server);
	message.scope_list = (struct madcap_bytes){ list, writer.at };
	message.present = 1u << MADCAP_OPT_LEASE_ID | 1u << MADCAP_OPT_SERVER_ID |
			  1u << MADCAP_OPT_SCOPE_LIST;
	ck_assert(madcap_message_encode(&message, answer_data, sizeof(answer_data), &answer_size));
	ck_assert(receive(&from));
}

START_TEST(rfc_2_2_1_scopes_of_all_servers_that_answer)
{
	struct madcap_query query = query_of(MADCAP_GET_SCOPES);
	struct madcap_servers servers = servers_of(0, 0);
	struct madcap_message message;

	strcpy(query.language, "pt-BR");
	start(&query, &servers);
	message = sent(MADCAP_GETINFO);
	ck_assert_uint_eq(message.language.size, 5);
	ck_assert(madcap_codes_has(message.option_request, MADCAP_OPT_SCOPE_LIST));
	give_scopes("192.0.2.1");
	give_scopes("192.0.2.2");
	ck_assert_uint_eq(madcap_client_n_answers(&client), 0); /* not yet */
	tick_at_deadline();
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
	ck_assert_uint_eq(madcap_client_n_answers(&client), 2);
	ck_assert_ptr_null(madcap_client_answer(&client, 2));
}
END_TEST

START_TEST(scopes_of_one_server_need_no_waiting)
{
	struct madcap_query query = query_of(MADCAP_GET_SCOPES);
	struct madcap_servers servers = servers_of(2, 0);

	start(&query, &servers);
	(void)sent(MADCAP_GETINFO);
	give_scopes("192.0.2.1");
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
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

/* ---- many operations over a bad network ------------------------------------------------------ */

#define STORM_CLIENTS 2
#define STORM_OPERATIONS 1500
#define STORM_ADDRESSES 8
#define FLIGHT_MAX 512
#define N_CACHE 1024

struct flight {
	int64_t at_ms;
	size_t client; /* whose it is; to it if `answer` */
	bool answer;
	uint8_t data[512];
	size_t size;
};

static struct {
	struct madcap_client client[STORM_CLIENTS];
	struct madcap_client_id id[STORM_CLIENTS];
	bool holds[STORM_CLIENTS];
	uint32_t held[STORM_CLIENTS];
	struct flight flights[FLIGHT_MAX];
	size_t n_flights;
	uint64_t random;
	/* The server's: who has which address; and its answers, by what they answered. */
	struct madcap_client_id owner[STORM_ADDRESSES];
	struct {
		uint8_t asked[8];
		uint8_t id[17];
		uint8_t data[512];
		size_t size;
	} cache[N_CACHE]; /* more than can be under way, the oldest goes first */
	size_t n_cached;
	unsigned int done, refused, timed_out;
} storm;

static uint64_t draw(uint64_t n)
{
	storm.random ^= storm.random << 13;
	storm.random ^= storm.random >> 7;
	storm.random ^= storm.random << 17;
	return storm.random % n;
}

/* A fifth is lost, a tenth comes twice, all of it in any order. */
static void fly(size_t who, bool answer, const uint8_t *data, size_t size)
{
	unsigned int copies = draw(5) == 0 ? 0 : draw(10) == 0 ? 2 : 1;

	while (copies-- > 0 && storm.n_flights < FLIGHT_MAX) {
		struct flight *flight = &storm.flights[storm.n_flights++];

		*flight = (struct flight){ .at_ms = now.ms + 1 + (int64_t)draw(400),
					   .client = who,
					   .answer = answer,
					   .size = size };
		memcpy(flight->data, data, size);
	}
}

static size_t owned_by(const struct madcap_bytes *id)
{
	for (size_t i = 0; i < STORM_ADDRESSES; i++)
		if (storm.owner[i].size == id->size && id->size > 0 &&
		    memcmp(storm.owner[i].bytes, id->data, id->size) == 0)
			return i;
	return STORM_ADDRESSES;
}

/* A server in a few lines: REQUEST, RENEW, RELEASE of one address a lease. */
static struct answer decide(const struct madcap_message *message)
{
	static char text[MADCAP_ADDRESS_TEXT];
	size_t at = owned_by(&message->lease_id);
	struct answer answer = good;

	if (message->type == MADCAP_REQUEST && at == STORM_ADDRESSES)
		for (at = 0; at < STORM_ADDRESSES && storm.owner[at].size != 0; at++)
			;
	if (at == STORM_ADDRESSES)
		return no;
	memset(&storm.owner[at], 0, sizeof(storm.owner[at]));
	if (message->type == MADCAP_RELEASE)
		return (struct answer){ .type = MADCAP_ACK };
	storm.owner[at].size = message->lease_id.size;
	memcpy(storm.owner[at].bytes, message->lease_id.data, message->lease_id.size);
	snprintf(text, sizeof(text), "239.192.0.%zu", at);
	answer.first[0] = text;
	return answer;
}

static size_t cached(const struct flight *flight, const struct madcap_message *message)
{
	for (size_t i = 0; i < N_CACHE && i < storm.n_cached; i++)
		if (memcmp(storm.cache[i].asked, flight->data, 8) == 0 &&
		    memcmp(storm.cache[i].id, message->lease_id.data, 17) == 0)
			return i;
	return N_CACHE;
}

static void serve(const struct flight *flight)
{
	struct madcap_message message;
	size_t slot;

	(void)madcap_message_decode(flight->data, flight->size, &message);
	slot = cached(flight, &message);
	if (slot == N_CACHE) {
		struct answer answer = decide(&message);

		slot = storm.n_cached++ % N_CACHE;
		memcpy(sent_data, flight->data, flight->size);
		sent_out.size = flight->size;
		make_answer(&answer);
		memcpy(storm.cache[slot].asked, flight->data, 8);
		memcpy(storm.cache[slot].id, message.lease_id.data, 17);
		memcpy(storm.cache[slot].data, answer_data, answer_size);
		storm.cache[slot].size = answer_size;
	}
	fly(flight->client, true, storm.cache[slot].data, storm.cache[slot].size);
}

static void send_all(size_t who)
{
	struct madcap_output out;

	while (madcap_client_output(&storm.client[who], &out))
		fly(who, false, out.data, out.size);
}

static void begin(size_t who)
{
	struct madcap_servers servers = servers_of(1, 0);
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	uint8_t random[16];

	servers.tries = 30;
	if (storm.holds[who]) {
		query.operation = draw(2) == 0 ? MADCAP_RENEW_LEASE : MADCAP_RELEASE_LEASE;
	} else {
		for (size_t i = 0; i < sizeof(random); i++)
			random[i] = (uint8_t)draw(256);
		madcap_client_id_make(&storm.id[who], random);
	}
	if (query.operation == MADCAP_RELEASE_LEASE)
		storm.holds[who] = false; /* it is not used any more from now on */
	query.id = storm.id[who];
	ck_assert_int_eq(madcap_client_start(&storm.client[who], &query, &servers, &now, &error),
			 0);
	send_all(who);
}

static void check_result(size_t who)
{
	struct madcap_client *one = &storm.client[who];
	enum madcap_operation operation = one->query.operation;
	struct madcap_grant grant;

	storm.done++;
	storm.timed_out += madcap_client_code(one) == MADCAP_CLIENT_E_TIMED_OUT;
	storm.refused += madcap_client_code(one) == MADCAP_CLIENT_E_REFUSED;
	if (madcap_client_code(one) != 0)
		return;
	if (operation == MADCAP_RELEASE_LEASE)
		return;
	storm.holds[who] = true;
	ck_assert_int_eq(madcap_client_grant(one, &grant), 0);
	ck_assert_uint_eq(grant.count, 1);
	if (operation == MADCAP_RENEW_LEASE)
		ck_assert_uint_eq(storm.held[who], grant.ranges[0].first.bytes[3]);
	storm.held[who] = grant.ranges[0].first.bytes[3];
	madcap_grant_done(&grant);
	for (size_t i = 0; i < STORM_CLIENTS; i++)
		ck_assert_msg(i == who || !storm.holds[i] || storm.held[i] != storm.held[who],
			      "an address is held twice");
}

static void deliver(void)
{
	for (size_t i = 0; i < storm.n_flights;) {
		struct flight flight = storm.flights[i];

		if (flight.at_ms > now.ms) {
			i++;
			continue;
		}
		storm.flights[i] = storm.flights[--storm.n_flights];
		if (flight.answer)
			(void)madcap_client_receive(&storm.client[flight.client], &server_a,
						    flight.data, flight.size, &now);
		else
			serve(&flight);
	}
}

static int64_t next_event(void)
{
	int64_t next = MADCAP_CLIENT_NEVER;

	for (size_t i = 0; i < STORM_CLIENTS; i++)
		if (madcap_client_deadline(&storm.client[i]) < next)
			next = madcap_client_deadline(&storm.client[i]);
	for (size_t i = 0; i < storm.n_flights; i++)
		if (storm.flights[i].at_ms < next)
			next = storm.flights[i].at_ms;
	return next;
}

START_TEST(two_clients_over_a_bad_network_never_share_an_address)
{
	memset(&storm, 0, sizeof(storm));
	storm.random = UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)_i;
	for (size_t i = 0; i < STORM_CLIENTS; i++) {
		madcap_client_init(&storm.client[i], (uint32_t)draw(UINT32_MAX));
		begin(i);
	}
	while (storm.done < STORM_OPERATIONS) {
		int64_t next = next_event();

		if (next > now.ms)
			pass(next - now.ms);
		deliver();
		for (size_t i = 0; i < STORM_CLIENTS; i++) {
			madcap_client_tick(&storm.client[i], &now);
			send_all(i);
			if (madcap_client_state(&storm.client[i]) >= MADCAP_CLIENT_DONE) {
				check_result(i);
				begin(i);
			}
		}
	}
	ck_assert_uint_eq(storm.timed_out, 0);
	ck_assert_uint_eq(storm.refused, 0);
	for (size_t i = 0; i < STORM_CLIENTS; i++)
		madcap_client_done(&storm.client[i]);
}
END_TEST

/* ---------------------------------------------------------------------------------------------- */

static void add_asking(TCase *asking)
{
	tcase_add_test(asking, rfc_2_3_retransmission_at_4_12_28_and_over_at_60);
	tcase_add_test(asking, rfc_2_3_every_kind_of_message_is_sent_again);
	tcase_add_test(asking, t18_all_tries_together_end_in_the_configured_time);
	tcase_add_test(asking, rfc_2_2_4_request_says_what_is_wished_and_no_more);
	tcase_add_test(asking, rfc_2_2_5_ack_is_a_lease);
	tcase_add_test(asking, rfc_2_13_address_of_the_asked_server_is_kept);
	tcase_add_loop_test(asking, rfc_2_5_and_2_6_what_does_not_fit_is_ignored, 0, N_MISFITS);
	tcase_add_test(asking, rfc_2_1_5_every_truncation_is_ignored);
	tcase_add_test(asking, rfc_2_1_1_another_version_is_ignored);
	tcase_add_test(asking, rfc_2_1_5_unknown_options_are_passed_over);
	tcase_add_test(asking, rfc_2_1_5_an_option_twice_is_ignored);
	tcase_add_test(asking, rfc_2_1_5_octets_behind_end_are_ignored_as_a_whole);
	tcase_add_test(asking, rfc_2_1_5_any_order);
	tcase_add_test(asking, rfc_3_17_after_a_nak_nothing_is_sent_again);
	tcase_add_test(asking, rfc_2_2_4_after_a_nak_the_next_server_with_a_new_xid);
	tcase_add_test(asking, t18_all_refuse_or_are_silent_then_it_is_a_refusal);
	tcase_add_test(asking, rfc_2_2_8_release_and_its_ack);
	tcase_add_test(asking, mc_9_renewal_changes_times);
}

static void add_finding(TCase *finding)
{
	tcase_add_loop_test(finding, rfc_2_2_2_the_best_offer_of_those_that_come_in_time, 0,
			    sizeof(contests) / sizeof(contests[0]));
	tcase_add_test(finding, rfc_2_2_2_delay_for_offers_is_the_current_retransmission_delay);
	tcase_add_test(finding, rfc_2_2_4_chosen_server_refuses_then_another_is_found);
	tcase_add_test(finding, rfc_2_2_2_offers_that_are_no_use);
	tcase_add_test(finding, rfc_3_17_a_nak_to_a_discover_ends_retransmission);
	tcase_add_test(finding, rfc_2_2_1_scopes_of_all_servers_that_answer);
	tcase_add_test(finding, scopes_of_one_server_need_no_waiting);
}

static void add_others(TCase *others)
{
	tcase_add_test(others, rfc_2_13_2_later_is_followed_with_a_new_xid);
	tcase_add_test(others, rfc_2_13_2_later_is_not_followed_for_ever);
	tcase_add_loop_test(others, mc_15_invalid_queries_send_nothing, 0, N_SPOILS);
	tcase_add_loop_test(others, two_clients_over_a_bad_network_never_share_an_address, 0, 4);
}

int main(void)
{
	Suite *suite = suite_create("madcap_client");
	TCase *cases[] = { tcase_create("asking"), tcase_create("finding"),
			   tcase_create("others") };
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		suite_add_tcase(suite, cases[i]);
	}
	add_asking(cases[0]);
	add_finding(cases[1]);
	add_others(cases[2]);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
