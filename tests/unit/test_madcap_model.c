/* SPDX-License-Identifier: MIT */
/*
 * Random histories of a MADCAP server, with its real book on disk and a clock of their own: clients
 * that ask, renew, release and give up; a network that loses, doubles and reorders; a server that is
 * started again at any moment, in the middle of a batch as well. A checker follows all that the
 * server commits:
 *
 *	no address is in two leases at one time, or sooner after another one than the extra time;
 *	what was acknowledged is in the book, also after a restart, until its end or its release;
 *	a request that comes again gets the answer that it got;
 *	a refusal can be proven; and no two clients believe that they have one address.
 *
 * How a history is chosen, and how one that fails becomes a short script: torture/history.h.
 */
#include "madcap_fixture.h"

#include <sys/stat.h>

#include "../torture/history.h"

#define CLIENTS 6
#define FLIGHT_MAX 48  /* datagrams on their way */
#define TRUTHS_MAX 512 /* leases, offers, and ended leases whose addresses still rest */
#define EXTRA 100
#define ADDRESSES 10
#define COUNT_MAX 4
#define DATA_MAX 512
#define BATCH_MAX 6

struct datagram {
	bool to_server;
	unsigned int client;
	size_t size;
	uint8_t data[DATA_MAX];
};

struct addresses {
	unsigned int n;
	uint32_t at[COUNT_MAX]; /* offsets in the scope */
};

struct client {
	uint8_t kind; /* of what it waits for; 0: nothing */
	uint32_t sent_sec;
	struct datagram sent;
	unsigned int lease; /* its identifier's number; 0: none */
	bool holds;
	int64_t from, until;
	uint32_t shortest_sec; /* that it has ever asked to have it renewed for */
	struct addresses addresses;
};

/* What has been committed. */
struct truth {
	unsigned int lease;
	bool offer;
	int64_t start, end;
	int64_t held_until_ms; /* offers */
	struct addresses addresses;
};

/* An answer that must come again. */
struct said {
	uint32_t xid;
	int64_t at_ms;
	size_t size;
	uint8_t data[DATA_MAX];
};

static struct {
	struct client clients[CLIENTS];
	struct datagram flight[FLIGHT_MAX];
	size_t n_flight;
	struct truth truths[TRUTHS_MAX];
	size_t n_truths;
	struct said said[64]; /* by xid */
	unsigned int n_leases;
	unsigned int n_given; /* addresses that are given away: the first ones */
} model;

static int64_t now_sec(void)
{
	return world.clock.unix_sec;
}

/* ---- the truth ------------------------------------------------------------------------------- */

static struct truth *find_truth(unsigned int lease)
{
	for (size_t i = 0; i < model.n_truths; i++) {
		if (model.truths[i].lease == lease)
			return &model.truths[i];
	}
	return NULL;
}

static bool is_active(const struct truth *truth)
{
	return truth != NULL && !truth->offer && truth->end > now_sec();
}

static void remove_truth(struct truth *truth)
{
	*truth = model.truths[--model.n_truths];
}

static struct truth *make_truth(unsigned int lease)
{
	struct truth *truth = find_truth(lease);

	if (truth == NULL) {
		HISTORY_EXPECT(model.n_truths < TRUTHS_MAX, "too many leases for this test");
		truth = &model.truths[model.n_truths++];
	}
	*truth = (struct truth){ .lease = lease };
	return truth;
}

/* Offers end with time, and addresses rest only so long. */
static void age(void)
{
	for (size_t i = model.n_truths; i-- > 0;) {
		struct truth *truth = &model.truths[i];

		if (truth->offer ? truth->held_until_ms <= world.clock.mono_ms
				 : truth->end + EXTRA <= now_sec())
			remove_truth(truth);
	}
}

static bool has_address(const struct addresses *addresses, uint32_t at)
{
	for (unsigned int i = 0; i < addresses->n; i++) {
		if (addresses->at[i] == at)
			return true;
	}
	return false;
}

/* Whose the address is in these times, or sooner before or after them than may be. */
static const struct truth *in_the_way(uint32_t at, int64_t start, int64_t end, unsigned int except)
{
	for (size_t i = 0; i < model.n_truths; i++) {
		const struct truth *other = &model.truths[i];

		if (other->lease != except && has_address(&other->addresses, at) &&
		    start < other->end + EXTRA && other->start < end + EXTRA)
			return other;
	}
	return NULL;
}

static void check_alone(const struct truth *truth)
{
	for (unsigned int i = 0; i < truth->addresses.n; i++) {
		const struct truth *other =
			in_the_way(truth->addresses.at[i], truth->start, truth->end, truth->lease);

		HISTORY_EXPECT(
			other == NULL,
			"address %u is in lease %u from %+lld to %+lld s, and in %s %u from "
			"%+lld to %+lld",
			truth->addresses.at[i], truth->lease, (long long)(truth->start - now_sec()),
			(long long)(truth->end - now_sec()), other->offer ? "offer" : "lease",
			other->lease, (long long)(other->start - now_sec()),
			(long long)(other->end - now_sec()));
	}
}

/* ---- messages -------------------------------------------------------------------------------- */

static unsigned int lease_of(struct madcap_bytes id)
{
	return (unsigned int)id.data[1] << 24 | (unsigned int)id.data[2] << 16 |
	       (unsigned int)id.data[3] << 8 | id.data[4];
}

static void read_addresses(const struct madcap_message *message, struct addresses *ret)
{
	struct madcap_range range;
	size_t at = 0;

	ret->n = 0;
	while (madcap_range_next(message, &at, &range)) {
		uint64_t first;

		HISTORY_EXPECT(madcap_address_distance(&world.scope[0].first, &range.first, &first),
			       "an address outside the scope");
		for (uint32_t i = 0; i < range.count; i++) {
			HISTORY_EXPECT(ret->n < COUNT_MAX, "more addresses than were asked for");
			ret->at[ret->n++] = (uint32_t)first + i;
		}
	}
}

static bool same_addresses(const struct addresses *a, const struct addresses *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned int i = 0; i < a->n; i++) {
		if (!has_address(b, a->at[i]))
			return false;
	}
	return true;
}

/* An exchange: what was asked, what was answered. */
struct exchange {
	struct madcap_message in, out;
	unsigned int lease;
	struct truth granted; /* as the answer says */
};

/* A lease in an answer: in the future it says its start. */
static void read_lease(struct exchange *exchange)
{
	const struct madcap_message *out = &exchange->out;
	struct truth *granted = &exchange->granted;

	*granted = (struct truth){ .lease = exchange->lease, .start = now_sec() };
	if (madcap_message_has(out, MADCAP_OPT_START_TIME))
		granted->start = out->start_time;
	granted->end = granted->start + out->lease_time;
	read_addresses(out, &granted->addresses);
}

static void check_given(const struct exchange *exchange)
{
	const struct addresses *addresses = &exchange->granted.addresses;
	bool counted = madcap_message_has(&exchange->in, MADCAP_OPT_COUNT);
	unsigned int least = counted ? exchange->in.count_min : 1;

	HISTORY_EXPECT(addresses->n >= least &&
			       addresses->n <= (counted ? exchange->in.count_desired : 1),
		       "%u addresses", addresses->n);
	for (unsigned int i = 0; i < addresses->n; i++)
		HISTORY_EXPECT(addresses->at[i] < model.n_given, "address %u is not given away",
			       addresses->at[i]);
}

/* ---- what an answer means -------------------------------------------------------------------- */

static void see_lease(struct exchange *exchange, bool offer)
{
	struct truth *truth = find_truth(exchange->lease);

	read_lease(exchange);
	if (is_active(truth)) {
		HISTORY_EXPECT(same_addresses(&truth->addresses, &exchange->granted.addresses),
			       "lease %u has other addresses than it had", exchange->lease);
		HISTORY_EXPECT(truth->end == exchange->granted.end,
			       "lease %u ends %lld s later than it did", exchange->lease,
			       (long long)(exchange->granted.end - truth->end));
		return;
	}
	check_given(exchange);
	truth = make_truth(exchange->lease);
	*truth = exchange->granted;
	truth->offer = offer;
	truth->held_until_ms = world.clock.mono_ms + world.config.offer_hold_sec * 1000;
	check_alone(truth);
}

static void see_renewal(struct exchange *exchange)
{
	struct truth *truth = find_truth(exchange->lease);

	read_lease(exchange);
	HISTORY_EXPECT(is_active(truth), "lease %u was renewed, and there is none",
		       exchange->lease);
	HISTORY_EXPECT(same_addresses(&truth->addresses, &exchange->granted.addresses),
		       "lease %u was renewed with other addresses", exchange->lease);
	truth->start = exchange->granted.start;
	truth->end = exchange->granted.end;
	check_alone(truth);
}

/* With as few addresses and as short a time as the client says would do. */
static void check_refusal(const struct exchange *exchange)
{
	const struct madcap_message *in = &exchange->in;
	bool counted = madcap_message_has(in, MADCAP_OPT_COUNT);
	unsigned int least = counted ? in->count_min : 1;
	unsigned int most = counted ? in->count_desired : 1;
	const struct truth *truth = find_truth(exchange->lease);
	unsigned int n = 0;

	/* What is there is granted again, as long as it is what is asked for: a copy of a REQUEST that was
	 * refused at first may be granted before the client asks for less or more. */
	if (is_active(truth)) {
		HISTORY_EXPECT((in->type == MADCAP_DISCOVER ||
				exchange->out.error_code == MADCAP_ERR_INVALID_REQUEST) &&
				       (truth->addresses.n < least || truth->addresses.n > most),
			       "lease %u: refused, and is there", exchange->lease);
		return;
	}
	if (madcap_message_has(in, MADCAP_OPT_START_TIME))
		return;
	for (uint32_t at = 0; at < model.n_given; at++)
		n += in_the_way(at, now_sec(), now_sec() + in->lease_time, exchange->lease) == NULL;
	HISTORY_EXPECT(n < least, "lease %u: refused, with %u free addresses of %u",
		       exchange->lease, n, least);
}

static void see_nak(const struct exchange *exchange)
{
	const struct truth *truth = find_truth(exchange->lease);

	/* It was on its way for too long. */
	if (exchange->out.error_code == MADCAP_ERR_CLOCK_SKEW)
		HISTORY_EXPECT(madcap_message_has(&exchange->in, MADCAP_OPT_CURRENT_TIME) &&
				       now_sec() - exchange->in.current_time >
					       world.config.clock_skew_allowance_sec,
			       "lease %u: the clock is right", exchange->lease);
	else if (exchange->out.error_code == MADCAP_ERR_LEASE_ID_UNKNOWN)
		HISTORY_EXPECT(!is_active(truth), "lease %u is lost", exchange->lease);
	else if (exchange->in.type == MADCAP_REQUEST)
		check_refusal(exchange);
	else
		/* Others may have what a longer lease would need. */
		HISTORY_EXPECT(exchange->in.type == MADCAP_RENEW && is_active(truth),
			       "lease %u: error %u", exchange->lease, exchange->out.error_code);
}

static void see_ack(struct exchange *exchange)
{
	struct truth *truth = find_truth(exchange->lease);

	switch (exchange->in.type) {
	case MADCAP_REQUEST:
		see_lease(exchange, false);
		break;
	case MADCAP_RENEW:
		see_renewal(exchange);
		break;
	default:
		HISTORY_EXPECT(is_active(truth), "lease %u has ended, and there is none",
			       exchange->lease);
		remove_truth(truth);
		break;
	}
}

/* Whether this is an answer that was given before: then it has to be the same. */
static bool is_said(const struct exchange *exchange, const struct madcap_answer *answer)
{
	struct said *said = &model.said[exchange->in.xid % 64];
	int64_t age_ms = world.clock.mono_ms - said->at_ms;

	if (said->xid == exchange->in.xid && said->size > 0 &&
	    age_ms < world.config.response_cache_sec * 1000) {
		HISTORY_EXPECT(said->size == answer->size &&
				       memcmp(said->data, answer->data, answer->size) == 0,
			       "lease %u: another answer to the same request", exchange->lease);
		return true;
	}
	said->xid = exchange->in.xid;
	said->at_ms = world.clock.mono_ms;
	said->size = answer->size;
	HISTORY_EXPECT(answer->size <= DATA_MAX, "an answer of %zu octets", answer->size);
	memcpy(said->data, answer->data, answer->size);
	return false;
}

static void see_answer(const struct datagram *asked, const struct madcap_answer *answer)
{
	static struct exchange exchange;

	madcap_message_decode(asked->data, asked->size, &exchange.in);
	exchange.lease = lease_of(exchange.in.lease_id);
	if (answer->size == 0) {
		HISTORY_EXPECT(exchange.in.type == MADCAP_DISCOVER, "lease %u: no answer (%s)",
			       exchange.lease, answer->note);
		check_refusal(&exchange);
		return;
	}
	HISTORY_EXPECT(madcap_message_decode(answer->data, answer->size, &exchange.out).fault ==
			       MADCAP_FINE,
		       "an answer that cannot be read");
	/* One that tells the time is not kept. */
	if (exchange.out.error_code != MADCAP_ERR_CLOCK_SKEW && is_said(&exchange, answer))
		return;
	if (exchange.out.type == MADCAP_NAK)
		see_nak(&exchange);
	else if (exchange.out.type == MADCAP_OFFER)
		see_lease(&exchange, true);
	else
		see_ack(&exchange);
}

/* ---- the book -------------------------------------------------------------------------------- */

static void check_lease(const struct book_lease *lease)
{
	const struct truth *truth = find_truth(lease_of(lease->id));
	unsigned int n = 0;

	HISTORY_EXPECT(truth != NULL, "the book has lease %u, which nobody was told of",
		       lease_of(lease->id));
	HISTORY_EXPECT(truth->offer == (lease->state == BOOK_OFFERED), "lease %u is in state %d",
		       truth->lease, (int)lease->state);
	HISTORY_EXPECT(truth->end == lease->end_sec, "lease %u ends %lld s later than was said",
		       truth->lease, (long long)lease->end_sec - truth->end);
	for (size_t i = 0; i < lease->n_ranges; i++) {
		struct book_range range = book_lease_range(lease, i);
		uint64_t first = 0;

		madcap_address_distance(&world.scope[0].first, &range.first, &first);
		for (uint32_t j = 0; j < range.count; j++, n++)
			HISTORY_EXPECT(has_address(&truth->addresses, (uint32_t)first + j),
				       "lease %u has address %u in the book alone", truth->lease,
				       (uint32_t)first + j);
	}
	HISTORY_EXPECT(n == truth->addresses.n, "lease %u has %u addresses in the book, not %u",
		       truth->lease, n, truth->addresses.n);
}

static void check_book(void)
{
	struct book_lease lease;
	uint64_t at = 0;
	size_t n = 0;

	for (; book_next(world.book, &at, &lease) == 0; n++)
		check_lease(&lease);
	for (size_t i = 0; i < model.n_truths; i++)
		HISTORY_EXPECT(book_find(world.book, id(model.truths[i].lease), &lease) == 0,
			       "%s %u is lost", model.truths[i].offer ? "offer" : "lease",
			       model.truths[i].lease);
	HISTORY_EXPECT(n == model.n_truths, "%zu leases in the book, not %zu", n, model.n_truths);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void start_again(void)
{
	close_server();
	open_server();
	memset(model.said, 0, sizeof(model.said));
	for (size_t i = model.n_truths; i-- > 0;) {
		if (model.truths[i].offer)
			remove_truth(&model.truths[i]);
	}
	check_book();
}

static void restart_server(unsigned int a, unsigned int b)
{
	(void)a;
	(void)b;
	start_again();
}

static void let_time_pass(unsigned int sec, unsigned int b)
{
	(void)b;
	pass_time((int64_t)sec);
	tick();
	age();
	check_book();
}

static struct datagram take_flight(size_t k)
{
	struct datagram taken = model.flight[k];

	model.flight[k] = model.flight[--model.n_flight];
	return taken;
}

static void put_flight(const struct datagram *datagram)
{
	if (model.n_flight < FLIGHT_MAX) /* else it is lost */
		model.flight[model.n_flight++] = *datagram;
}

/* Up to n of those that are on their way to the server, whichever they are. */
static size_t take_batch(struct datagram *batch, unsigned int from, size_t n)
{
	size_t taken = 0;

	for (size_t tried = model.n_flight; tried-- > 0 && taken < n && model.n_flight > 0;) {
		size_t k = (from + tried) % model.n_flight;

		if (model.flight[k].to_server)
			batch[taken++] = take_flight(k);
	}
	return taken;
}

static struct madcap_input input_from(const struct datagram *datagram)
{
	struct madcap_input input = {
		.data = datagram->data,
		.size = datagram->size,
		.from = world.client,
		.to = world.local,
		.local = world.local,
	};

	input.from.port = (uint16_t)(40000 + datagram->client);
	if (datagram->data[1] == MADCAP_DISCOVER)
		input.to = addr("239.195.255.254");
	return input;
}

enum end { END_WELL, END_BEFORE_COMMIT, END_AFTER_COMMIT };

static void play_batch(unsigned int from, size_t n, enum end end)
{
	static struct madcap_answer answers[BATCH_MAX];
	struct datagram batch[BATCH_MAX];
	struct error error;

	n = take_batch(batch, from, n);
	HISTORY_EXPECT(madcap_server_begin(world.server, &world.clock, &error) == 0, "%s",
		       error.text);
	for (size_t i = 0; i < n; i++) {
		struct madcap_input input = input_from(&batch[i]);

		madcap_server_step(world.server, &input, &answers[i]);
	}
	if (end == END_BEFORE_COMMIT) {
		start_again();
		return;
	}
	HISTORY_EXPECT(madcap_server_commit(world.server, &error) == 0, "%s", error.text);
	for (size_t i = 0; i < n; i++) {
		struct datagram answer = { .client = batch[i].client, .size = answers[i].size };

		see_answer(&batch[i], &answers[i]);
		memcpy(answer.data, answers[i].data, answer.size);
		if (answer.size > 0 && end == END_WELL)
			put_flight(&answer);
	}
	check_book();
	if (end == END_AFTER_COMMIT)
		start_again();
}

static void serve(unsigned int from, unsigned int n)
{
	play_batch(from, 1 + n % BATCH_MAX, END_WELL);
}

static void crash(unsigned int from, unsigned int how)
{
	play_batch(from, 1 + how / 2 % BATCH_MAX,
		   how % 2 == 0 ? END_BEFORE_COMMIT : END_AFTER_COMMIT);
}

/* Another number of addresses is given away; leases stay as they are. */
static void configure(unsigned int n, unsigned int b)
{
	static struct madcap_address_range range;
	struct error error;

	(void)b;
	model.n_given = 4 + n % (ADDRESSES - 3);
	range.first = world.scope[0].first;
	if (!madcap_address_add(&range.first, model.n_given - 1, &range.last))
		history_fail("no such address");
	world.scope[0].allocate = &range;
	HISTORY_EXPECT(madcap_server_configure(world.server, &world.config, &error) == 0, "%s",
		       error.text);
	check_book();
}

/* ---- the network ----------------------------------------------------------------------------- */

static void lose(unsigned int k, unsigned int b)
{
	(void)b;
	if (model.n_flight > 0)
		take_flight(k % model.n_flight);
}

static void twice(unsigned int k, unsigned int b)
{
	(void)b;
	if (model.n_flight > 0)
		put_flight(&model.flight[k % model.n_flight]);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void send_out(unsigned int number, struct madcap_message *out)
{
	struct client *client = &model.clients[number];

	out->family = MADCAP_IPV4;
	out->xid = ++world.xid;
	client->sent = (struct datagram){ .to_server = true, .client = number };
	if (!madcap_message_encode(out, client->sent.data, DATA_MAX, &client->sent.size))
		history_fail("a message that cannot be written");
	client->kind = out->type;
	client->sent_sec = (uint32_t)now_sec();
	put_flight(&client->sent);
}

/* Up to COUNT_MAX addresses, for up to 1000 seconds, some of them from a later time on. */
static void wish_for(struct madcap_message *out, unsigned int b)
{
	unsigned int count = 1 + b % COUNT_MAX;

	if (count > 1)
		with_count(out, 1 + b / 4 % count, count);
	with_number(out, MADCAP_OPT_LEASE_TIME, 20 + b / 16 % 1000);
	if (b / 16384 % 4 == 0)
		with_start(out, now_sec() + b / 65536 % 500);
}

static void begin_lease(unsigned int number, unsigned int b, enum madcap_type type)
{
	struct client *client = &model.clients[number % CLIENTS];
	struct madcap_message out;

	if (client->kind != 0 || client->holds)
		return;
	/* A REQUEST may follow an offer. */
	if (client->lease == 0 || type == MADCAP_DISCOVER)
		client->lease = ++model.n_leases;
	client->shortest_sec = UINT32_MAX;
	out = message(type, client->lease);
	wish_for(&out, b);
	send_out(number % CLIENTS, &out);
}

static void discover(unsigned int number, unsigned int b)
{
	begin_lease(number, b, MADCAP_DISCOVER);
}

static void request_lease(unsigned int number, unsigned int b)
{
	begin_lease(number, b, MADCAP_REQUEST);
}

static void renew(unsigned int number, unsigned int b)
{
	struct client *client = &model.clients[number % CLIENTS];
	struct madcap_message out;

	if (client->kind != 0 || !client->holds)
		return;
	out = message(MADCAP_RENEW, client->lease);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 20 + b % 1000);
	send_out(number % CLIENTS, &out);
	/* If no answer comes, the lease may have become shorter all the same; and what was to begin later
	 * may begin at once, and end before. A refusal does not say that no second copy was granted. */
	if (client->until > now_sec() + out.lease_time)
		client->until = now_sec() + out.lease_time;
	if (client->from > now_sec())
		client->until = client->from;
	if (client->shortest_sec > out.lease_time)
		client->shortest_sec = out.lease_time;
}

/* From now on it is nobody's, as far as the client knows. */
static void release(unsigned int number, unsigned int b)
{
	struct client *client = &model.clients[number % CLIENTS];
	struct madcap_message out;

	(void)b;
	if (client->kind != 0 || !client->holds)
		return;
	client->holds = false;
	out = message(MADCAP_RELEASE, client->lease);
	send_out(number % CLIENTS, &out);
}

static void again(unsigned int number, unsigned int b)
{
	struct client *client = &model.clients[number % CLIENTS];

	(void)b;
	if (client->kind != 0)
		put_flight(&client->sent);
}

static void give_up(unsigned int number, unsigned int b)
{
	struct client *client = &model.clients[number % CLIENTS];

	(void)b;
	/* An identifier is for one lease: what is on its way may still begin or end it. */
	if (client->kind != MADCAP_RENEW)
		client->lease = 0;
	client->kind = 0;
}

static bool believe_in_one_time(const struct client *a, const struct client *b)
{
	int64_t from = a->from > b->from ? a->from : b->from;
	int64_t until = a->until < b->until ? a->until : b->until;

	return from < until;
}

static void check_belief(const struct client *client)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		const struct client *other = &model.clients[i];

		if (other == client || !other->holds || !believe_in_one_time(client, other))
			continue;
		for (unsigned int j = 0; j < client->addresses.n; j++)
			HISTORY_EXPECT(!has_address(&other->addresses, client->addresses.at[j]),
				       "two clients have address %u", client->addresses.at[j]);
	}
}

/* A lease lasts from when it was asked for, for all that a client can be sure of; and what it had asked
 * before may be heard last, at any time since then. */
static void believe(struct client *client, const struct madcap_message *got)
{
	int64_t start = client->sent_sec;

	if (madcap_message_has(got, MADCAP_OPT_START_TIME))
		start = got->start_time;
	client->from = start > now_sec() ? start : now_sec();
	client->until = start + got->lease_time;
	if (client->until > (int64_t)client->sent_sec + client->shortest_sec)
		client->until = (int64_t)client->sent_sec + client->shortest_sec;
	client->holds = client->until > now_sec();
	if (!client->holds) {
		client->lease = 0;
		return;
	}
	read_addresses(got, &client->addresses);
	check_belief(client);
}

static void receive(unsigned int k, unsigned int b)
{
	static struct madcap_message got;
	struct datagram answer;
	struct client *client;
	uint8_t kind;

	(void)b;
	if (model.n_flight == 0 || model.flight[k % model.n_flight].to_server)
		return;
	answer = take_flight(k % model.n_flight);
	client = &model.clients[answer.client];
	madcap_message_decode(answer.data, answer.size, &got);
	if (client->kind == 0 || memcmp(client->sent.data + 4, answer.data + 4, 4) != 0)
		return;
	kind = client->kind;
	client->kind = 0;
	if (got.type == MADCAP_ACK && (kind == MADCAP_REQUEST || kind == MADCAP_RENEW))
		believe(client, &got);
	else if (kind == MADCAP_RELEASE || (got.type == MADCAP_NAK && kind == MADCAP_REQUEST))
		client->lease = 0;
}

/* ---- histories ------------------------------------------------------------------------------- */

/* A lease whose time is over is given up by whoever had it. */
static void notice_ends(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &model.clients[i];

		if (client->holds && client->until <= now_sec()) {
			client->holds = false;
			client->kind = 0;
			client->lease = 0;
		}
	}
}

static void wait_sec(unsigned int sec, unsigned int b)
{
	let_time_pass(1 + sec, b);
	notice_ends();
}

static const struct history_op ops[] = {
	{ "request", 14, CLIENTS, 1U << 28, request_lease },
	{ "discover", 4, CLIENTS, 1U << 28, discover },
	{ "renew", 7, CLIENTS, 1U << 28, renew },
	{ "release", 5, CLIENTS, 0, release },
	{ "again", 7, CLIENTS, 0, again },
	{ "give-up", 3, CLIENTS, 0, give_up },
	{ "serve", 24, FLIGHT_MAX, BATCH_MAX, serve },
	{ "receive", 24, FLIGHT_MAX, 0, receive },
	{ "lose", 3, FLIGHT_MAX, 0, lose },
	{ "twice", 3, FLIGHT_MAX, 0, twice },
	{ "wait", 5, 90, 0, wait_sec },
	{ "wait-long", 1, 2000, 0, wait_sec },
	{ "restart", 1, 0, 0, restart_server },
	{ "crash", 2, FLIGHT_MAX, 2 * BATCH_MAX, crash },
	{ "configure", 1, ADDRESSES, 0, configure },
};

static void begin(void)
{
	prepare();
	memset(&model, 0, sizeof(model));
	model.n_given = ADDRESSES;
	world.config.extra_allocation_sec = EXTRA;
	world.config.max_addresses_per_client = 0;
	open_server();
}

static void end(void)
{
	check_book();
	start_again();
	teardown();
}

static const struct history_model madcap_model = {
	.ops = ops,
	.n_ops = sizeof(ops) / sizeof(ops[0]),
	.steps = 3000,
	.histories = 6,
	.begin = begin,
	.end = end,
};

int main(void)
{
	return history_main("madcap_model", &madcap_model);
}
