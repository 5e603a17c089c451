/* SPDX-License-Identifier: MIT */
/* Datagrams through the server: none of the answers leaves before the batch is on disk. */
#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include "address.h"
#include "endpoint.h"
#include "madcapd.h"
#include "message.h"

#define SWEEP_MAX 256 /* leases ended in one batch */
#define TICK_MS 1000
#define GATHER_MAX_US 2000 /* longest wait for more datagrams */
#define TRIES 4            /* of a batch, where others that share the book overtake it */

/* ---- addresses --------------------------------------------------------------------------- */

void madcapd_endpoint(const union net_address *from, struct madcap_endpoint *ret)
{
	*ret = (struct madcap_endpoint){ 0 };
	if (from->sa.sa_family == AF_INET) {
		ret->address = madcap_address_make(MADCAP_IPV4, &from->in.sin_addr);
		ret->port = ntohs(from->in.sin_port);
	} else if (from->sa.sa_family == AF_INET6) {
		ret->address = madcap_address_make(MADCAP_IPV6, &from->in6.sin6_addr);
		ret->port = ntohs(from->in6.sin6_port);
		ret->zone = from->in6.sin6_scope_id;
	}
}

void madcapd_address(const struct madcap_endpoint *from, union net_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (from->address.family == MADCAP_IPV6) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons(from->port);
		ret->in6.sin6_scope_id = from->zone;
		memcpy(&ret->in6.sin6_addr, from->address.bytes, 16);
	} else {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(from->port);
		memcpy(&ret->in.sin_addr, from->address.bytes, 4);
	}
}

static void make_input(const struct net_datagram *datagram, struct madcap_input *ret)
{
	struct madcap_endpoint to, local;

	madcapd_endpoint(&datagram->peer, &ret->from);
	madcapd_endpoint(&datagram->asked, &to);
	madcapd_endpoint(&datagram->own, &local);
	ret->to = to.address;
	ret->local = local.address;
	ret->data = datagram->data;
	ret->size = datagram->length;
}

/* ---- one batch --------------------------------------------------------------------------- */

int madcapd_begin(struct madcapd *daemon, struct error *error)
{
	struct madcap_clock clock = madcapd_clock();

	return madcap_server_begin(daemon->server, &clock, error);
}

/*
 * Says so when commits begin to fail, and when they work again; not every time. `wrote`: the batch
 * had something to be written, so that its success says something.
 */
static void note_commit(struct madcapd *daemon, int code, bool wrote, const struct error *error)
{
	if (code == BOOK_AGAIN)
		return;
	daemon->batches++;
	if (code < 0) {
		daemon->failed_batches++;
		/* Of a shared book madcapd_watch_book() says it. */
		if (!daemon->failing && book_problem(daemon->book) == NULL)
			madcapd_say("the lease book cannot be written, so nothing is granted: %s",
				    error->text);
		daemon->failing = true;
	} else if (daemon->failing && wrote) {
		madcapd_say("the lease book can be written again");
		daemon->failing = false;
	}
}

int madcapd_commit(struct madcapd *daemon, struct error *error)
{
	int code = madcap_server_commit(daemon->server, error);

	note_commit(daemon, code, true, error);
	return code;
}

static void say_answer(const struct madcap_input *input, const struct madcap_answer *answer)
{
	char from[MADCAP_ENDPOINT_TEXT];
	const char *type = madcap_type_name(answer->request);
	const char *answered = answer->size > 1 ? madcap_type_name(answer->data[1]) : "no answer";

	madcapd_say("%s from %s: %s%s%s", type != NULL ? type : "no message",
		    madcap_endpoint_format(&input->from, from), answered != NULL ? answered : "?",
		    answer->note != NULL ? ": " : "", answer->note != NULL ? answer->note : "");
}

static void send_answers(struct madcapd *daemon, size_t n)
{
	struct net_answer answers[NET_BATCH];
	size_t n_answers = 0;

	for (size_t i = 0; i < n; i++) {
		const struct madcap_answer *answer = &daemon->answers[i];

		if (daemon->verbose)
			say_answer(&daemon->inputs[i], answer);
		if (answer->size > 0)
			answers[n_answers++] = (struct net_answer){ daemon->datagrams[i],
								    answer->data, answer->size };
	}
	net_send(daemon->net, answers, n_answers);
}

static void step_all(struct madcapd *daemon, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		make_input(daemon->datagrams[i], &daemon->inputs[i]);
		madcap_server_step(daemon->server, &daemon->inputs[i], &daemon->answers[i]);
	}
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void madcapd_gather(const struct madcapd *daemon)
{
	int64_t window_us = daemon->last_us / 8, began_us = now_us(), left_us;
	size_t target = daemon->last_n < NET_BATCH ? daemon->last_n : NET_BATCH;
	struct pollfd fds[NET_SOCKETS_MAX];

	if (window_us > GATHER_MAX_US)
		window_us = GATHER_MAX_US;
	while (net_waiting(daemon->net) > 0 && net_waiting(daemon->net) < target) {
		struct timespec wait;

		left_us = began_us + window_us - now_us();
		if (left_us <= 0)
			return;
		wait = (struct timespec){ .tv_nsec = (long)left_us * 1000 };
		if (ppoll(fds, net_poll(daemon->net, fds), &wait, NULL) <= 0)
			return;
		net_receive(daemon->net);
	}
}

static bool tick_is_due(const struct madcapd *daemon, const struct madcap_clock *clock)
{
	if (clock->mono_ms >= daemon->next_tick_ms)
		return true;
	return !daemon->tick_failed && madcap_server_wait_ms(daemon->server, clock) <= 0;
}

int madcapd_wait_ms(const struct madcapd *daemon)
{
	struct madcap_clock clock = madcapd_clock();
	int64_t left = daemon->next_tick_ms - clock.mono_ms;
	int wait_ms = madcap_server_wait_ms(daemon->server, &clock);

	if (net_waiting(daemon->net) > 0 || left <= 0)
		return 0;
	if (daemon->book_wait_ms >= 0 && daemon->book_wait_ms < left)
		left = daemon->book_wait_ms;
	return daemon->tick_failed || wait_ms > left ? (int)left : wait_ms;
}

/* As madcap_server_tick(), where it is due: what is left over, it does the next time round. */
static void tick(struct madcapd *daemon, const struct madcap_clock *clock)
{
	bool more = madcap_server_tick(daemon->server, SWEEP_MAX);

	daemon->next_tick_ms = clock->mono_ms + (more ? 0 : TICK_MS);
}

/* Whether the batch grants, renews or releases: a refusal, or what is only offered, can be had where
 * nothing can be written. */
static bool any_writes(const struct madcapd *daemon, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct madcap_answer *answer = &daemon->answers[i];

		if (answer->depends && answer->size > 1 && answer->data[1] == MADCAP_ACK)
			return true;
	}
	return false;
}

/* Whether it is time to say something that would be said for each request. */
static bool may_say(int64_t *said_ms)
{
	int64_t now_ms = madcapd_clock().mono_ms;

	if (*said_ms != 0 && now_ms - *said_ms < MADCAPD_SAY_AGAIN_MS)
		return false;
	*said_ms = now_ms;
	return true;
}

/* An access server whose sessions are refused cannot tell why: the protocol has no word for it. */
static void note_limit(struct madcapd *daemon, size_t n)
{
	char client[MADCAP_ADDRESS_TEXT];

	for (size_t i = 0; i < n; i++) {
		if (!daemon->answers[i].over_limit || !may_say(&daemon->said_limit_ms))
			continue;
		madcap_address_format(&daemon->inputs[i].from.address, client);
		madcapd_say("%s has as many addresses as max_addresses_per_client allows (%u): "
			    "its requests for more are refused",
			    client, daemon->config->server.max_addresses_per_client);
	}
}

/* The client is told that its request was not completed; the operator, why. */
static void note_memory(struct madcapd *daemon, size_t n)
{
	bool lacking = false;

	for (size_t i = 0; i < n; i++)
		lacking |= daemon->answers[i].no_memory;
	if (lacking && may_say(&daemon->said_memory_ms))
		madcapd_say("out of memory: requests are refused");
}

/* 0 or the code of what failed: then nothing of the batch has happened. */
static int commit_batch(struct madcapd *daemon, int begun, size_t n, struct error *error)
{
	int64_t began_us = now_us();
	int code = madcap_server_commit(daemon->server, begun < 0 ? NULL : error);

	if (n > 0) {
		daemon->last_us = now_us() - began_us;
		daemon->last_n = n;
	}
	if (begun < 0)
		code = begun;
	note_commit(daemon, code, any_writes(daemon, n), error);
	return code;
}

/* A batch that others overtake is made again, from its beginning. */
static int run_batch(struct madcapd *daemon, size_t n, bool is_due, struct error *error)
{
	int code = BOOK_AGAIN;

	for (int i = 0; i < TRIES && code == BOOK_AGAIN; i++) {
		struct madcap_clock clock = madcapd_clock();
		int begun = madcap_server_begin(daemon->server, &clock, error);

		/* Where no batch can be begun, what needs no book is answered all the same. */
		step_all(daemon, n);
		if (is_due)
			tick(daemon, &clock);
		code = commit_batch(daemon, begun, n, error);
	}
	if (code != BOOK_AGAIN)
		return code;
	error_set(error, "other servers were faster, time and again");
	return POOL_E_STORE;
}

static void refresh(struct madcapd *daemon)
{
	const struct madcap_counters *counters = madcap_server_counters(daemon->server);
	struct book_deeds deeds = { counters->granted, counters->renewed, counters->released };

	book_refresh(daemon->book, &deeds);
}

void madcapd_serve(struct madcapd *daemon)
{
	struct madcap_clock clock = madcapd_clock();
	bool is_due = tick_is_due(daemon, &clock);
	struct error error = { 0 };
	size_t n = net_take(daemon->net, daemon->datagrams);
	int code;

	if (n == 0 && !is_due)
		return;
	if (clock.mono_ms >= daemon->next_tick_ms)
		refresh(daemon);
	code = run_batch(daemon, n, is_due, &error);
	note_memory(daemon, n);
	note_limit(daemon, n);
	if (is_due)
		daemon->tick_failed = code < 0;
	if (daemon->tick_failed && daemon->next_tick_ms <= clock.mono_ms)
		daemon->next_tick_ms = clock.mono_ms + TICK_MS;
	for (size_t i = 0; i < n && code < 0; i++)
		madcap_server_fail(daemon->server, &daemon->inputs[i], &daemon->answers[i]);
	send_answers(daemon, n);
	net_give_back(daemon->net, daemon->datagrams, n);
}
