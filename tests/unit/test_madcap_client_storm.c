/* SPDX-License-Identifier: MIT */
/* Many operations of two clients over a network that loses, repeats and delays. */
#include "madcap_client_fixture.h"

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

static void add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, two_clients_over_a_bad_network_never_share_an_address, 0, 4);
}

int main(void)
{
	return run_client_tests("madcap_client_storm", add_tests);
}
