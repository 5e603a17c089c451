/* SPDX-License-Identifier: MIT */
/*
 * madcap_fixture.h - a MADCAP server in a temporary directory, a clock that stands still until it is
 * told to go on, and clients that ask it.
 */
#ifndef RASIP_TESTS_MADCAP_FIXTURE_H
#define RASIP_TESTS_MADCAP_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "madcap/address.h"
#include "madcap/book.h"
#include "madcap/message.h"
#include "madcap/server.h"
#include "scratch.h"

#define NOW INT64_C(1700000000)
#define ID_SIZE MADCAP_LEASE_ID_RANDOM_SIZE

static struct {
	char dir[SCRATCH_SIZE];
	struct book *book;
	struct madcap_server *server;
	struct madcap_server_scope scope[4];
	struct madcap_server_config config;
	struct madcap_clock clock;
	struct madcap_endpoint client;
	struct madcap_address to; /* family 0: unicast */
	struct madcap_address local;
	struct madcap_answer answer; /* the last one */
	struct madcap_message got;   /* decoded */
	uint8_t sent[MADCAP_DATAGRAM_MAX];
	size_t sent_size;
	uint32_t xid;
	bool unsynced;          /* nor is the book looked through by a child each time */
	const char *connection; /* to a shared book; NULL: a file */
	uint32_t extra_sec;
} world;

static inline struct madcap_address addr(const char *text)
{
	struct madcap_address address;

	ck_assert_msg(madcap_address_parse(text, &address), "%s", text);
	return address;
}

static inline struct madcap_bytes bytes(const char *text)
{
	return (struct madcap_bytes){ (const uint8_t *)text, strlen(text) };
}

/* The n-th lease identifier, random as far as the server can see. */
static inline struct madcap_bytes id(unsigned int n)
{
	static uint8_t ids[8][ID_SIZE];
	static unsigned int next;
	uint8_t *at = ids[next++ % 8];

	memset(at, 0x5a, ID_SIZE);
	at[0] = MADCAP_LEASE_ID_RANDOM;
	at[1] = (uint8_t)(n >> 24);
	at[2] = (uint8_t)(n >> 16);
	at[3] = (uint8_t)(n >> 8);
	at[4] = (uint8_t)n;
	return (struct madcap_bytes){ at, ID_SIZE };
}

/* $TEST_BOOK_CONNECTION: the same tests with a shared book, in a database that is theirs alone. */
static inline void prepare_database(void)
{
	struct book_options options = { .extra_sec = world.extra_sec };
	const char *did;
	char command[1024];
	struct error error = { "" };

	world.connection = getenv("TEST_BOOK_CONNECTION");
	if (world.connection == NULL)
		return;
	snprintf(command, sizeof(command),
		 "psql -Xqc 'DROP SCHEMA IF EXISTS madcap CASCADE' '%s' 2>/dev/null",
		 world.connection);
	ck_assert_int_eq(system(command), 0);
	options.connection = world.connection;
	ck_assert_msg(book_init_shared(&options, &did, &error) == 0, "%s", error.text);
}

static inline void open_book(void)
{
	const struct book_options options = { .connection = world.connection,
					      .state_dir = world.dir,
					      .map_bytes = UINT64_C(1) << 30,
					      .extra_sec = world.extra_sec,
					      .seed = 42,
					      .unsynced = world.unsynced,
					      .trusted = world.unsynced };
	struct error error = { "" };

	ck_assert_msg(book_open(&options, &world.book, &error) == 0, "%s", error.text);
}

static inline void open_server(void)
{
	struct error error = { "" };

	open_book();
	ck_assert_msg(madcap_server_new(world.book, &world.config, &world.server, &error) == 0,
		      "%s", error.text);
}

static inline void close_server(void)
{
	madcap_server_free(&world.server);
	book_close(&world.book);
}

static inline void restart(void)
{
	close_server();
	open_server();
}

/* One scope of ten addresses, 239.192.0.0 to .9, in a larger range; nothing is opened yet. */
static inline void prepare(void)
{
	static const struct madcap_zone_name names[] = { { "en", "Organisation", true },
							 { "de", "Organisation (de)", false },
							 { "fr", "Entreprise", false } };
	static struct madcap_address_range ten;

	memset(&world, 0, sizeof(world));
	scratch_make(world.dir);
	ten = (struct madcap_address_range){ addr("239.192.0.0"), addr("239.192.0.9") };
	world.unsynced = true;
	world.extra_sec = 3600;
	world.scope[0] = (struct madcap_server_scope){
		.first = addr("239.192.0.0"),
		.last = addr("239.195.255.255"),
		.ttl = 32,
		.names = names,
		.n_names = 3,
		.allocate = &ten,
		.n_allocate = 1,
		.max_lease_sec = 30 * 86400,
		.default_lease_sec = 3600,
	};
	world.config = (struct madcap_server_config){
		.scopes = world.scope,
		.n_scopes = 1,
		.extra_allocation_sec = 3600,
		.clock_skew_allowance_sec = 1800,
		.response_cache_sec = 60,
		.offer_hold_sec = 60,
		.max_addresses_per_request = 256,
		.max_addresses_per_client = 1024,
		.seed = 7,
		.nak_on_failure = true,
	};
	world.clock = (struct madcap_clock){ 1000000, NOW };
	world.client = (struct madcap_endpoint){ .address = addr("192.0.2.77"), .port = 40000 };
	world.local = addr("192.0.2.1");
	world.xid = 100;
}

static inline void setup(void)
{
	prepare();
	open_server();
}

static inline void teardown(void)
{
	close_server();
	scratch_remove(world.dir);
}

static inline void pass_time(int64_t sec)
{
	world.clock.unix_sec += sec;
	world.clock.mono_ms += 1000 * sec;
}

static inline void tick(void)
{
	struct error error;

	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	while (madcap_server_tick(world.server, 100))
		continue;
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
}

static inline struct madcap_input input_of(const void *data, size_t size)
{
	return (struct madcap_input){
		.data = data,
		.size = size,
		.from = world.client,
		.to = world.to.family != 0 ? world.to : world.local,
		.local = world.local,
	};
}

/* Octets in, one batch, the answer decoded into world.got; its type, 0 for silence. */
static inline int send_bytes(const void *data, size_t size)
{
	struct madcap_input input = input_of(data, size);
	struct error error = { "" };

	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	madcap_server_step(world.server, &input, &world.answer);
	ck_assert_msg(madcap_server_commit(world.server, &error) == 0, "%s", error.text);
	if (world.answer.size == 0)
		return 0;
	ck_assert_int_eq(
		madcap_message_decode(world.answer.data, world.answer.size, &world.got).fault,
		((const uint8_t *)data)[3] <= MADCAP_IPV6 ? MADCAP_FINE : MADCAP_INVALID);
	return world.got.type;
}

/* Sends the message, with the next xid unless it has one, and checks what holds for every answer. */
static inline int ask(const struct madcap_message *message)
{
	struct madcap_message out = *message;
	struct madcap_verdict verdict;
	int type;

	if (out.family == 0)
		out.family = MADCAP_IPV4;
	if (out.xid == 0)
		out.xid = ++world.xid;
	ck_assert(madcap_message_encode(&out, world.sent, sizeof(world.sent), &world.sent_size));
	type = send_bytes(world.sent, world.sent_size);
	if (type == 0)
		return 0;
	verdict =
		madcap_message_check(&world.got, madcap_column_of((uint8_t)type, out.type), false);
	ck_assert_msg(verdict.fault == MADCAP_FINE, "the answer does not conform: %s",
		      verdict.reason);
	ck_assert_uint_eq(world.got.xid, out.xid);
	ck_assert_uint_eq(world.got.lease_id.size, out.lease_id.size);
	ck_assert_mem_eq(world.got.lease_id.data, out.lease_id.data, out.lease_id.size);
	ck_assert(madcap_message_has(&out, MADCAP_OPT_FEATURES) ==
			  madcap_message_has(&world.got, MADCAP_OPT_FEATURES) ||
		  out.type == MADCAP_GETINFO);
	return type;
}

static inline struct madcap_message message(enum madcap_type type, unsigned int lease)
{
	struct madcap_message message = { .type = (uint8_t)type, .lease_id = id(lease) };

	madcap_message_set(&message, MADCAP_OPT_LEASE_ID);
	if (type == MADCAP_DISCOVER || type == MADCAP_REQUEST) {
		message.scope = world.scope[0].first;
		message.family = message.scope.family;
		madcap_message_set(&message, MADCAP_OPT_SCOPE);
	}
	return message;
}

static inline void with_number(struct madcap_message *message, enum madcap_option option,
			       int64_t value)
{
	uint32_t number = (uint32_t)value;

	madcap_message_set(message, option);
	switch ((int)option) {
	case MADCAP_OPT_LEASE_TIME:
		message->lease_time = number;
		break;
	case MADCAP_OPT_START_TIME:
		message->start_time = number;
		break;
	case MADCAP_OPT_CURRENT_TIME:
		message->current_time = number;
		break;
	case MADCAP_OPT_MIN_LEASE_TIME:
		message->min_lease_time = number;
		break;
	case MADCAP_OPT_MAX_START_TIME:
		message->max_start_time = number;
		break;
	default:
		ck_abort_msg("not a number");
	}
}

/* Start Time, and the clock that goes with it. */
static inline void with_start(struct madcap_message *message, int64_t start)
{
	with_number(message, MADCAP_OPT_START_TIME, start);
	with_number(message, MADCAP_OPT_CURRENT_TIME, world.clock.unix_sec);
}

static inline void with_latest(struct madcap_message *message, int64_t latest)
{
	with_number(message, MADCAP_OPT_MAX_START_TIME, latest);
	with_number(message, MADCAP_OPT_CURRENT_TIME, world.clock.unix_sec);
}

static inline void with_count(struct madcap_message *message, unsigned int least,
			      unsigned int desired)
{
	message->count_min = (uint16_t)least;
	message->count_desired = (uint16_t)desired;
	madcap_message_set(message, MADCAP_OPT_COUNT);
}

/* "239.192.0.3+2 239.192.0.8+1" */
static inline void with_ranges(struct madcap_message *message, const char *text)
{
	static uint8_t buf[4096];
	struct wire_writer writer;
	char copy[512];

	snprintf(copy, sizeof(copy), "%s", text);
	wire_writer_init(&writer, buf, sizeof(buf));
	for (char *save, *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *plus = strchr(word, '+');
		struct madcap_range range = { .count = (uint16_t)atoi(plus + 1) };

		*plus = '\0';
		range.first = addr(word);
		madcap_range_write(&writer, &range);
	}
	message->ranges = (struct madcap_bytes){ buf, writer.at };
	madcap_message_set(message, MADCAP_OPT_RANGES);
}

/* Lists of single digits: "12" is features 1 and 2. */
static inline void with_features(struct madcap_message *message, const char *supported,
				 const char *requested, const char *required)
{
	static uint8_t buf[3][16];
	const char *lists[3] = { supported, requested, required };
	struct madcap_bytes views[3];

	for (int i = 0; i < 3; i++) {
		size_t n = strlen(lists[i]);

		for (size_t j = 0; j < n; j++) {
			buf[i][2 * j] = 0;
			buf[i][2 * j + 1] = (uint8_t)(lists[i][j] - '0');
		}
		views[i] = (struct madcap_bytes){ buf[i], 2 * n };
	}
	message->features = (struct madcap_features){ views[0], views[1], views[2] };
	madcap_message_set(message, MADCAP_OPT_FEATURES);
}

/* The ranges of the last answer, as with_ranges() takes them. */
static inline const char *got_ranges(void)
{
	static char text[2048];
	char buf[MADCAP_ADDRESS_TEXT];
	struct madcap_range range;
	size_t at = 0, used = 0;

	text[0] = '\0';
	while (madcap_range_next(&world.got, &at, &range))
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s+%u",
					 used > 0 ? " " : "",
					 madcap_address_format(&range.first, buf), range.count);
	return text;
}

/* Asks for a NAK with this error and, for errors 0 and 1, this option. */
#define ASSERT_NAK(message, error, option) assert_nak(message, error, option, __LINE__)

static inline void assert_nak(const struct madcap_message *message, uint16_t error, uint16_t option,
			      int line)
{
	int type = ask(message);

	ck_assert_msg(type == MADCAP_NAK, "line %d: %s", line,
		      type == 0 ? "silence" : madcap_type_name((uint8_t)type));
	ck_assert_msg(world.got.error_code == error, "line %d: error %u", line,
		      world.got.error_code);
	if (error > MADCAP_ERR_INVALID_REQUEST)
		return;
	ck_assert_uint_eq(world.got.error_data.size, 2);
	ck_assert_msg(madcap_codes_at(world.got.error_data, 0) == option, "line %d: option %u",
		      line, madcap_codes_at(world.got.error_data, 0));
}

/* A REQUEST for this many addresses that is granted. */
static inline void request(unsigned int lease, unsigned int count)
{
	struct madcap_message out = message(MADCAP_REQUEST, lease);

	if (count > 1)
		with_count(&out, count, count);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}

#endif
