/* SPDX-License-Identifier: MIT */
/*
 * madcap_client_fixture.h - the client's state machine against servers that the test plays, in
 * virtual time.
 */
#ifndef RASIP_TESTS_MADCAP_CLIENT_FIXTURE_H
#define RASIP_TESTS_MADCAP_CLIENT_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/address.h"
#include "madcap/client.h"
#include "suite.h"

#define START_MS 5000
#define START_SEC 1800000000
#define SIZE_MAX_ANSWER 2048

static struct madcap_client client;
static struct madcap_now now;
static struct error error;
static struct madcap_endpoint server_a, server_b, group;

static inline struct madcap_address address(const char *text)
{
	struct madcap_address found;

	ck_assert_msg(madcap_address_parse(text, &found), "%s", text);
	return found;
}

static inline void pass(int64_t ms)
{
	static int64_t rest;

	now.ms += ms;
	rest += ms;
	now.unix_sec += rest / 1000;
	rest %= 1000;
}

static inline void setup(void)
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

static inline void teardown(void)
{
	madcap_client_done(&client);
}

/* ---- what the client sends ------------------------------------------------------------------- */

static inline struct madcap_query query_of(enum madcap_operation operation)
{
	struct madcap_query query = { .operation = operation, .family = MADCAP_IPV4 };
	uint8_t random[16];

	memset(random, 0x5a, sizeof(random));
	madcap_client_id_make(&query.id, random);
	if (operation == MADCAP_REQUEST_LEASE)
		query.scope = address("239.192.0.0");
	return query;
}

static inline struct madcap_servers servers_of(size_t n, int64_t total_ms)
{
	struct madcap_servers servers = { .n = n, .group = group, .total_ms = total_ms };

	servers.server[0] = server_a;
	servers.server[1] = server_b;
	return servers;
}

static inline void start(const struct madcap_query *query, const struct madcap_servers *servers)
{
	int code = madcap_client_start(&client, query, servers, &now, &error);

	ck_assert_msg(code == 0, "%d: %s", code, error.text);
}

static uint8_t sent_data[MADCAP_CLIENT_MESSAGE_MAX];
static struct madcap_output sent_out;

/* The one datagram that is to go out now, decoded, and found to be in order. */
static inline struct madcap_message sent(uint8_t type)
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

static inline void assert_silent(void)
{
	struct madcap_output out;

	ck_assert_msg(!madcap_client_output(&client, &out), "something is sent");
}

static inline void tick_at_deadline(void)
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

static inline void write_lists(const struct answer *answer, struct madcap_message *message)
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

static inline void write_times(const struct answer *answer, struct madcap_message *message)
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
static inline void make_answer(const struct answer *answer)
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

static inline bool receive(const struct madcap_endpoint *from)
{
	return madcap_client_receive(&client, from, answer_data, answer_size, &now);
}

static inline bool give(const struct answer *answer, const struct madcap_endpoint *from)
{
	make_answer(answer);
	return receive(from);
}

static const struct answer good = {
	.type = MADCAP_ACK, .first = { "239.192.0.7" }, .count = { 1 }, .lease_sec = 3600
};
static const struct answer no = { .type = MADCAP_NAK, .error_code = MADCAP_ERR_NOT_COMPLETED };

static inline int run_client_tests(const char *name, void (*add)(TCase *tcase))
{
	TCase *tcase = tcase_create("rfc2730");

	tcase_add_checked_fixture(tcase, setup, teardown);
	add(tcase);
	return run_tcase(name, tcase);
}

#endif
