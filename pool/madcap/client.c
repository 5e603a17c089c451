/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_message.h"

#define FIRST_MIN_MS 100 /* delays do not get shorter than this, however little time there is */
#define RETRY_MIN_MS 1000

/* The delay grows from 4 to 16 s; behind the last transmission the wait is twice as long (2.3). */
#define GROWTH_MAX (MADCAP_RETRANSMIT_MAX_MS / MADCAP_RETRANSMIT_FIRST_MS)

/* ---- the end --------------------------------------------------------------------------------- */

static void drop_answers(struct madcap_client *client)
{
	for (size_t i = 0; i < client->n_answers; i++)
		free(client->answers[i].data);
	client->n_answers = 0;
}

static void finish(struct madcap_client *client, enum madcap_client_state state, int code)
{
	client->state = state;
	client->code = code;
	client->to_send = false;
	client->next_ms = MADCAP_CLIENT_NEVER;
	if (state == MADCAP_CLIENT_FAILED)
		drop_answers(client);
}

/* Nobody is left to be asked. */
static void fail(struct madcap_client *client)
{
	finish(client, MADCAP_CLIENT_FAILED,
	       client->was_refused ? MADCAP_CLIENT_E_REFUSED : MADCAP_CLIENT_E_TIMED_OUT);
}

/* ---- sending --------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static unsigned int tries(const struct madcap_client *client)
{
	return client->servers.tries != 0 ? client->servers.tries : MADCAP_CLIENT_TRIES;
}

/* After the transmission that has just been made: how long until the next one, or the end. */
static void arm(struct madcap_client *client, int64_t now_ms)
{
	if (client->sent > 1)
		client->delay_ms = earlier(2 * client->delay_ms, GROWTH_MAX * client->first_ms);
	client->next_ms = client->sent < tries(client)
				  ? earlier(now_ms + client->delay_ms, client->give_up_ms)
				  : client->give_up_ms;
}

/* All delays as multiples of the first one: 1 + 2 + 4 + 8 with four tries. */
static int64_t delays(unsigned int n)
{
	int64_t sum = 0, growth = 1;

	for (unsigned int i = 1; i < n; i++) {
		sum += growth;
		growth = earlier(2 * growth, GROWTH_MAX);
	}
	return sum + 2 * growth;
}

/* Sends a new message, with a new xid, which may take up to `budget_ms`. */
static void send_new(struct madcap_client *client, uint8_t type, int64_t budget_ms,
		     const struct madcap_now *now)
{
	int64_t units = delays(tries(client));

	client->type = type;
	client->xid++;
	if (!client_message_make(client, now->unix_sec)) {
		finish(client, MADCAP_CLIENT_FAILED, MADCAP_CLIENT_E_INVALID);
		return;
	}
	budget_ms = earlier(budget_ms, units * MADCAP_RETRANSMIT_FIRST_MS);
	client->first_ms = budget_ms / units;
	if (client->first_ms < FIRST_MIN_MS)
		client->first_ms = FIRST_MIN_MS;
	client->delay_ms = client->first_ms;
	client->give_up_ms = now->ms + budget_ms;
	client->sent = 1;
	client->sent_unix_sec = now->unix_sec;
	client->to_send = true;
	arm(client, now->ms);
}

static uint8_t type_of(enum madcap_operation operation)
{
	static const uint8_t types[] = {
		[MADCAP_GET_SCOPES] = MADCAP_GETINFO,
		[MADCAP_REQUEST_LEASE] = MADCAP_REQUEST,
		[MADCAP_RENEW_LEASE] = MADCAP_RENEW,
		[MADCAP_RELEASE_LEASE] = MADCAP_RELEASE,
	};

	return types[operation];
}

/* Unicast to the peer. The time that is left is shared out among it and the servers behind it. */
static void ask(struct madcap_client *client, const struct madcap_now *now)
{
	size_t left = client->server < client->servers.n ? client->servers.n - client->server : 1;

	client->state = MADCAP_CLIENT_ASKING;
	client->to = client->peer;
	client->multicast = false;
	send_new(client, type_of(client->query.operation),
		 (client->end_ms - now->ms) / (int64_t)left, now);
}

static void ask_server(struct madcap_client *client, size_t i, const struct madcap_now *now)
{
	client->server = i;
	client->elsewhere = i > 0;
	client->peer = client->servers.server[i];
	ask(client, now);
}

/* Multicast: who is there, and what has he to offer? */
static void find(struct madcap_client *client, const struct madcap_now *now)
{
	drop_answers(client);
	client->state = MADCAP_CLIENT_FINDING;
	client->naming = false;
	client->to = client->servers.group;
	client->multicast = true;
	send_new(client,
		 client->query.operation == MADCAP_GET_SCOPES ? MADCAP_GETINFO : MADCAP_DISCOVER,
		 client->end_ms - now->ms, now);
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* What an offer comes to. */
struct value {
	uint64_t addresses;
	uint32_t lease_sec;
	uint32_t start_sec;
};

static struct value value_of(const struct madcap_client *client,
			     const struct madcap_client_answer *offer)
{
	struct madcap_message message;
	struct value value = { .addresses = client->query.count > 1 ? client->query.count : 1 };

	(void)madcap_message_decode(offer->data, offer->size, &message);
	if (madcap_message_has(&message, MADCAP_OPT_RANGES))
		value.addresses = madcap_ranges_total(&message);
	value.lease_sec = message.lease_time;
	value.start_sec = client->query.start_sec;
	if (madcap_message_has(&message, MADCAP_OPT_START_TIME))
		value.start_sec = message.start_time;
	return value;
}

/* More than was asked for is worth nothing. */
static uint32_t useful_lease(const struct madcap_client *client, uint32_t lease_sec)
{
	uint32_t asked = client->query.lease_sec;

	return asked != 0 && lease_sec > asked ? asked : lease_sec;
}

static bool is_better(const struct madcap_client *client, const struct value *a,
		      const struct value *b)
{
	uint32_t a_sec = useful_lease(client, a->lease_sec);
	uint32_t b_sec = useful_lease(client, b->lease_sec);

	if (a->addresses != b->addresses)
		return a->addresses > b->addresses;
	if (a_sec != b_sec)
		return a_sec > b_sec;
	return a->start_sec < b->start_sec;
}

static size_t best_offer(const struct madcap_client *client)
{
	struct value best = value_of(client, &client->answers[0]);
	size_t at = 0;

	for (size_t i = 1; i < client->n_answers; i++) {
		struct value value = value_of(client, &client->answers[i]);

		if (is_better(client, &value, &best)) {
			best = value;
			at = i;
		}
	}
	return at;
}

/* The REQUEST that tells all servers which offer is taken (2.2.4). */
static void take(struct madcap_client *client, size_t offer, const struct madcap_now *now)
{
	int64_t left_ms = client->end_ms - now->ms;
	struct madcap_message message;

	(void)madcap_message_decode(client->answers[offer].data, client->answers[offer].size,
				    &message);
	client->chosen = message.server_id;
	client->naming = true;
	client->peer = client->answers[offer].from;
	client->others = client->n_answers - 1;
	drop_answers(client);
	client->state = MADCAP_CLIENT_TAKING;
	/* Some time is kept for the others, should this one not keep its offer. */
	send_new(client, MADCAP_REQUEST, client->others > 0 ? left_ms / 2 : left_ms, now);
}

static void choose(struct madcap_client *client, const struct madcap_now *now)
{
	if (client->n_answers == 0)
		fail(client);
	else if (client->query.operation == MADCAP_GET_SCOPES)
		finish(client, MADCAP_CLIENT_DONE, 0);
	else
		take(client, best_offer(client), now);
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool keep_answer(struct madcap_client *client, const struct madcap_endpoint *from,
			struct madcap_bytes raw)
{
	struct madcap_client_answer *answer = &client->answers[client->n_answers];
	uint8_t *copy;

	if (client->n_answers == MADCAP_CLIENT_ANSWERS_MAX)
		return false;
	copy = malloc(raw.size);
	if (copy == NULL)
		return false;
	memcpy(copy, raw.data, raw.size);
	*answer = (struct madcap_client_answer){ .from = *from, .data = copy, .size = raw.size };
	client->n_answers++;
	return true;
}

static bool is_known(const struct madcap_client *client, const struct madcap_address *server_id)
{
	struct madcap_message other;

	for (size_t i = 0; i < client->n_passed_over; i++)
		if (madcap_address_equal(server_id, &client->passed_over[i]))
			return true;
	for (size_t i = 0; i < client->n_answers; i++) {
		(void)madcap_message_decode(client->answers[i].data, client->answers[i].size,
					    &other);
		if (madcap_address_equal(server_id, &other.server_id))
			return true;
	}
	return false;
}

/* The first answer to a multicast sets the time for all others (2.2.2). */
static void start_choosing(struct madcap_client *client, const struct madcap_now *now)
{
	if (client->state != MADCAP_CLIENT_FINDING)
		return;
	client->state = MADCAP_CLIENT_CHOOSING;
	client->to_send = false;
	client->next_ms =
		earlier(now->ms + client->delay_ms, now->ms + (client->end_ms - now->ms) / 2);
}

static void note_refusal(struct madcap_client *client, const struct madcap_endpoint *from,
			 const struct madcap_message *message)
{
	struct madcap_refusal *refusal = &client->refusal;
	size_t n = message->error_data.size;

	if (n > sizeof(refusal->extra))
		n = sizeof(refusal->extra);
	client->n_refusals++;
	/* Who does not share the lease has no say in it: what the others have said stands. */
	if (client->was_refused && client->elsewhere &&
	    (client->type == MADCAP_RENEW || client->type == MADCAP_RELEASE) &&
	    message->error_code == MADCAP_ERR_FEATURE_UNSUPPORTED)
		return;
	client->was_refused = true;
	*refusal = (struct madcap_refusal){ .server = *from, .error = message->error_code };
	if (n > 0)
		memcpy(refusal->extra, message->error_data.data, n);
	refusal->extra_size = n;
}

static void note_silence(struct madcap_client *client)
{
	if (client->type == MADCAP_REQUEST && client->n_silent < MADCAP_CLIENT_SERVERS_MAX)
		client->silent[client->n_silent++] = client->peer;
}

/* The server that is asked has said no, or nothing. */
static void go_on(struct madcap_client *client, const struct madcap_now *now)
{
	if (client->state == MADCAP_CLIENT_ASKING && client->server + 1 < client->servers.n) {
		ask_server(client, client->server + 1, now);
	} else if (client->state == MADCAP_CLIENT_TAKING && client->others > 0 &&
		   client->n_passed_over < MADCAP_CLIENT_ANSWERS_MAX) {
		client->passed_over[client->n_passed_over++] = client->chosen;
		find(client, now);
	} else {
		fail(client);
	}
}

static void refuse(struct madcap_client *client, const struct madcap_endpoint *from,
		   const struct madcap_message *message, const struct madcap_now *now)
{
	note_refusal(client, from, message);
	if (client->state == MADCAP_CLIENT_FINDING || client->state == MADCAP_CLIENT_CHOOSING)
		start_choosing(client, now); /* others may still say yes */
	else
		go_on(client, now);
}

static void come_back_later(struct madcap_client *client, const struct madcap_message *message,
			    const struct madcap_now *now)
{
	int64_t wait_ms = ((int64_t)message->retry_time - (int64_t)message->current_time) * 1000;

	client->retry_unix_sec = message->retry_time;
	if (now->ms >= client->retry_end_ms) {
		finish(client, MADCAP_CLIENT_FAILED, MADCAP_CLIENT_E_PENDING);
		return;
	}
	if (wait_ms < RETRY_MIN_MS)
		wait_ms = RETRY_MIN_MS;
	client->state = MADCAP_CLIENT_WAITING;
	client->to_send = false;
	client->next_ms = earlier(now->ms + wait_ms, client->retry_end_ms);
}

/* Where the answer came from is where the lease lives, unless the server was chosen by address. */
static void settle(struct madcap_client *client, const struct madcap_endpoint *from)
{
	if (client->multicast)
		client->peer = *from;
}

static bool use(struct madcap_client *client, const struct madcap_endpoint *from,
		const struct madcap_message *message, struct madcap_bytes raw,
		const struct madcap_now *now)
{
	if (client->state == MADCAP_CLIENT_FINDING || client->state == MADCAP_CLIENT_CHOOSING) {
		if (is_known(client, &message->server_id) || !keep_answer(client, from, raw))
			return false;
		start_choosing(client, now);
		return true;
	}
	if (client_message_is_later(client, message)) {
		settle(client, from);
		come_back_later(client, message, now);
		return true;
	}
	if (!keep_answer(client, from, raw))
		return false; /* no memory now; it comes again with the next try */
	settle(client, from);
	finish(client, MADCAP_CLIENT_DONE, 0);
	return true;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void send_again(struct madcap_client *client, const struct madcap_now *now)
{
	client->sent++;
	client->to_send = true;
	arm(client, now->ms);
}

/* What was put off is asked for again: all options the same, a new xid, unicast (2.13.2). */
static void come_back(struct madcap_client *client, const struct madcap_now *now)
{
	int64_t share = client->servers.n > 0 ? (int64_t)client->servers.n : 1;

	client->server = client->servers.n; /* nobody else is asked now */
	client->end_ms = now->ms + client->servers.total_ms / share;
	ask(client, now);
}

static void step(struct madcap_client *client, const struct madcap_now *now)
{
	if (client->state == MADCAP_CLIENT_WAITING) {
		come_back(client, now);
	} else if (client->state == MADCAP_CLIENT_CHOOSING) {
		choose(client, now);
	} else if (now->ms < client->give_up_ms && client->sent < tries(client)) {
		send_again(client, now);
	} else {
		note_silence(client);
		go_on(client, now);
	}
}

/* ---- the interface --------------------------------------------------------------------------- */

void madcap_client_init(struct madcap_client *client, uint32_t first_xid)
{
	memset(client, 0, sizeof(*client));
	client->xid = first_xid;
	client->next_ms = MADCAP_CLIENT_NEVER;
}

void madcap_client_done(struct madcap_client *client)
{
	drop_answers(client);
	explicit_bzero(client, sizeof(*client));
}

void madcap_client_id_make(struct madcap_client_id *ret, const uint8_t random[16])
{
	memset(ret, 0, sizeof(*ret));
	ret->bytes[0] = MADCAP_LEASE_ID_RANDOM;
	memcpy(ret->bytes + 1, random, 16);
	ret->size = MADCAP_LEASE_ID_RANDOM_SIZE;
}

static void copy_query(struct madcap_client *client, const struct madcap_query *query,
		       const struct madcap_servers *servers)
{
	client->query = *query;
	if (query->operation != MADCAP_REQUEST_LEASE)
		client->query.n_ranges = 0;
	for (size_t i = 0; i < client->query.n_ranges; i++)
		client->ranges[i] = query->ranges[i];
	client->query.ranges = client->ranges;
	if (query->operation != MADCAP_REQUEST_LEASE && query->operation != MADCAP_RENEW_LEASE)
		client->query.retry_ms = 0;
	client->servers = *servers;
	if (servers->total_ms == 0)
		client->servers.total_ms =
			MADCAP_CLIENT_TOTAL_MS * (int64_t)(servers->n > 0 ? servers->n : 1);
}

int madcap_client_start(struct madcap_client *client, const struct madcap_query *query,
			const struct madcap_servers *servers, const struct madcap_now *now,
			struct error *error)
{
	uint32_t xid = client->xid;

	drop_answers(client);
	madcap_client_init(client, xid);
	if (!client_query_check(query, servers, error)) {
		finish(client, MADCAP_CLIENT_FAILED, MADCAP_CLIENT_E_INVALID);
		return client->code;
	}
	copy_query(client, query, servers);
	client->end_ms = now->ms + client->servers.total_ms;
	client->retry_end_ms = now->ms + client->query.retry_ms;
	if (servers->n > 0)
		ask_server(client, 0, now);
	else
		find(client, now);
	if (client->state == MADCAP_CLIENT_FAILED)
		error_set(error, "the request does not fit into a message");
	return client->code;
}

bool madcap_client_output(struct madcap_client *client, struct madcap_output *ret)
{
	if (!client->to_send)
		return false;
	client->to_send = false;
	*ret = (struct madcap_output){ .to = client->to,
				       .multicast = client->multicast,
				       .data = client->message,
				       .size = client->message_size };
	return true;
}

bool madcap_client_receive(struct madcap_client *client, const struct madcap_endpoint *from,
			   const uint8_t *data, size_t size, const struct madcap_now *now)
{
	struct madcap_message message;

	if (client->state == MADCAP_CLIENT_IDLE || client->state == MADCAP_CLIENT_WAITING ||
	    client->state >= MADCAP_CLIENT_DONE)
		return false;
	if (!client_message_accept(client, data, size, &message))
		return false;
	if (message.type == MADCAP_NAK) {
		refuse(client, from, &message, now);
		return true;
	}
	return use(client, from, &message, (struct madcap_bytes){ data, size }, now);
}

void madcap_client_tick(struct madcap_client *client, const struct madcap_now *now)
{
	while (client->state != MADCAP_CLIENT_IDLE && client->state < MADCAP_CLIENT_DONE &&
	       now->ms >= client->next_ms)
		step(client, now);
}

int64_t madcap_client_deadline(const struct madcap_client *client)
{
	return client->next_ms;
}

enum madcap_client_state madcap_client_state(const struct madcap_client *client)
{
	return client->state;
}

int madcap_client_code(const struct madcap_client *client)
{
	return client->code;
}
