/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "parse.h"
#include "server_impl.h"

#define CACHE_ENTRIES 65536
#define MAX_OFFERS 4096

/* ---- one datagram ---------------------------------------------------------------------------- */

/* Group rules that need no reading of the options (2.11, 4). */
static const char *misplaced(const struct exchange *exchange)
{
	struct madcap_address local = madcap_local_group(exchange->input->to.family);

	if (!exchange->multicast)
		return NULL;
	if (exchange->in.type == MADCAP_GETINFO)
		return madcap_address_equal(&exchange->input->to, &local)
			       ? NULL
			       : "a GETINFO to another group than the Local Scope's";
	if (exchange->server->config->only_unicast)
		return "multicast";
	if (exchange->in.type == MADCAP_RENEW || exchange->in.type == MADCAP_RELEASE)
		return "has to be unicast";
	return NULL;
}

static bool is_request(uint8_t type)
{
	return type == MADCAP_DISCOVER || type == MADCAP_REQUEST || type == MADCAP_RENEW ||
	       type == MADCAP_RELEASE || type == MADCAP_GETINFO;
}

/* Ignores or refuses what is no proper request; true if there is something to carry out. */
static bool is_proper(struct exchange *exchange)
{
	const struct madcap_input *input = exchange->input;
	struct madcap_message *in = &exchange->in;
	struct madcap_verdict verdict = madcap_message_decode(input->data, input->size, in);
	enum madcap_column column = MADCAP_COLUMNS;
	const char *why;

	exchange->answer->request = verdict.fault == MADCAP_IGNORE ? 0 : in->type;
	exchange->server->counters.received[madcap_type_name(exchange->answer->request) != NULL
						    ? exchange->answer->request
						    : 0]++;
	why = verdict.fault == MADCAP_IGNORE ? verdict.reason : NULL;
	if (why == NULL && in->type == MADCAP_NAK)
		why = "a NAK";
	if (why == NULL)
		why = misplaced(exchange);
	if (why != NULL) {
		answer_ignore(exchange, why);
		return false;
	}
	if (is_request(in->type))
		column = madcap_column_of(in->type, 0);
	if (verdict.fault == MADCAP_FINE)
		verdict = madcap_message_check(in, column, exchange->multicast);
	if (verdict.fault == MADCAP_FINE && madcap_message_has(in, MADCAP_OPT_COUNT) &&
	    in->count_desired == 0)
		verdict = (struct madcap_verdict){ MADCAP_INVALID, MADCAP_OPT_COUNT,
						   "no addresses are desired" };
	if (verdict.fault == MADCAP_FINE)
		return true;
	answer_nak(exchange, MADCAP_ERR_INVALID_REQUEST, verdict.option, verdict.reason);
	return false;
}

/* 2.12 */
static bool clock_is_off(const struct exchange *exchange)
{
	int64_t allowance = exchange->server->config->clock_skew_allowance_sec;
	int64_t off = (int64_t)exchange->in.current_time - (int64_t)server_now(exchange->server);

	return madcap_message_has(&exchange->in, MADCAP_OPT_CURRENT_TIME) &&
	       (off > allowance || -off > allowance);
}

static void carry_out(struct exchange *exchange)
{
	/* Before all else: what another server is asked is not ours to refuse (2.2.3). */
	if (exchange->in.type == MADCAP_REQUEST && server_request_to_other(exchange))
		return;
	if (exchange->in.lease_id.size > BOOK_ID_MAX && exchange->in.type == MADCAP_DISCOVER) {
		answer_ignore(exchange, "the lease identifier is too long");
		return;
	}
	if (exchange->in.lease_id.size > BOOK_ID_MAX) {
		answer_nak(exchange, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_LEASE_ID,
			   "the lease identifier is too long");
		return;
	}
	if (clock_is_off(exchange)) {
		answer_nak_skew(exchange);
		return;
	}
	if (!answer_features_ok(exchange))
		return;
	if (exchange->in.type == MADCAP_GETINFO) {
		server_getinfo(exchange);
		return;
	}
	/* Even a refusal may rest on what the batch has changed so far. */
	answer_depends(exchange);
	if (exchange->in.type == MADCAP_DISCOVER)
		server_discover(exchange);
	else if (exchange->in.type == MADCAP_REQUEST)
		server_request(exchange);
	else if (exchange->in.type == MADCAP_RENEW)
		server_renew(exchange);
	else
		server_release(exchange);
}

static int64_t cache_ms(const struct madcap_server *server)
{
	int64_t sec = server->config->response_cache_sec;

	if (sec > MADCAP_RESPONSE_CACHE_MAX_SEC)
		sec = MADCAP_RESPONSE_CACHE_MAX_SEC;
	return sec > 0 ? sec * 1000 : 0;
}

/* 2.1.4. What does not touch the book is worked out again: it comes to the same. */
static bool answer_from_cache(struct exchange *exchange)
{
	const struct cache_key key = { exchange->in.xid, exchange->in.type, exchange->in.lease_id };
	struct madcap_server *server = exchange->server;
	struct cache_hit hit;

	if (!server_cache_find(&server->cache, &key, server->clock.mono_ms, &hit))
		return false;
	/* Whoever has had a long answer once could have it sent to anybody by a short message. */
	if (answer_is_too_much(exchange, hit.answer.size))
		return true;
	memcpy(exchange->answer->data, hit.answer.data, hit.answer.size);
	exchange->answer->size = hit.answer.size;
	/* Else it is on disk; but what others who share the book have done may forbid it. */
	if (hit.is_new || book_is_shared(server->book))
		answer_depends(exchange);
	exchange->answer->note = "a retransmission";
	server->counters.retransmissions++;
	return true;
}

static void keep_answer(struct exchange *exchange)
{
	const struct cache_key key = { exchange->in.xid, exchange->in.type, exchange->in.lease_id };
	struct madcap_server *server = exchange->server;

	if (exchange->answer->size == 0 || !exchange->answer->depends || cache_ms(server) == 0)
		return;
	server_cache_add(&server->cache, &key,
			 (struct madcap_bytes){ exchange->answer->data, exchange->answer->size },
			 server->clock.mono_ms + cache_ms(server));
	server->counters.cache_evictions = server->cache.evictions;
}

static void begin_exchange(struct madcap_server *server, const struct madcap_input *input,
			   struct madcap_answer *answer, struct exchange *exchange)
{
	memset(exchange, 0, sizeof(*exchange));
	answer->size = 0;
	answer->depends = false;
	answer->no_memory = false;
	answer->over_limit = false;
	answer->request = 0;
	answer->note = NULL;
	exchange->server = server;
	exchange->input = input;
	exchange->answer = answer;
	exchange->multicast = madcap_address_is_multicast(&input->to);
	exchange->server_id =
		server->config->server_id.family != 0 ? server->config->server_id : input->local;
}

void madcap_server_step(struct madcap_server *server, const struct madcap_input *input,
			struct madcap_answer *ret)
{
	struct exchange exchange;

	begin_exchange(server, input, ret, &exchange);
	if (!is_proper(&exchange) || answer_from_cache(&exchange))
		return;
	carry_out(&exchange);
	keep_answer(&exchange);
}

/* ---- batches --------------------------------------------------------------------------------- */

int madcap_server_begin(struct madcap_server *server, const struct madcap_clock *clock,
			struct error *error)
{
	int code = book_begin(server->book, error);

	server->clock = *clock;
	server->clock.unix_sec = book_now(server->book, clock->mono_ms, clock->unix_sec);
	server->counters_before = server->counters;
	server_cache_expire(&server->cache, clock->mono_ms);
	return code;
}

int madcap_server_commit(struct madcap_server *server, struct error *error)
{
	int code = book_commit(server->book, error);

	if (code != 0) {
		server_cache_abort(&server->cache);
		server_offers_abort(server);
		/* What did not happen is not counted; what came in did come in. */
		if (code == BOOK_AGAIN)
			server->counters = server->counters_before;
		else
			server->counters.failed_batches++;
	} else {
		server_cache_commit(&server->cache);
		server_offers_commit(server);
	}
	return code;
}

void madcap_server_fail(struct madcap_server *server, const struct madcap_input *input,
			struct madcap_answer *answer)
{
	struct exchange exchange;
	bool silent = answer->size == 0 || answer->request == MADCAP_DISCOVER;

	if (!answer->depends)
		return;
	begin_exchange(server, input, answer, &exchange);
	if (madcap_message_decode(input->data, input->size, &exchange.in).fault != MADCAP_FINE)
		return;
	answer->request = exchange.in.type;
	if (silent || !server->config->nak_on_failure)
		answer_ignore(&exchange, "the lease book failed");
	else
		answer_nak(&exchange, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE,
			   "the lease book failed");
}

bool madcap_server_tick(struct madcap_server *server, size_t max)
{
	bool more = server_offers_end(server, max);
	size_t n = 0;

	if (book_sweep(server->book, server_now(server), max, &n) < 0)
		return false;
	server->counters.expired += n;
	return more || n == max;
}

int madcap_server_wait_ms(const struct madcap_server *server, const struct madcap_clock *clock)
{
	int64_t wait = 1000;

	if (server->n_offers > 0) {
		int64_t left = server->offers[server->first_offer].until_ms - clock->mono_ms;

		if (left < wait)
			wait = left > 0 ? left : 0;
	}
	return (int)wait;
}

/* ---- the operator ---------------------------------------------------------------------------- */

int madcap_server_release(struct madcap_server *server, struct madcap_bytes id)
{
	int code = book_release(server->book, id);

	if (code == 0)
		server->counters.released++;
	return code;
}

int madcap_server_approve(struct madcap_server *server, struct madcap_bytes id)
{
	return book_decide(server->book, id, BOOK_APPROVED);
}

int madcap_server_deny(struct madcap_server *server, struct madcap_bytes id)
{
	return book_decide(server->book, id, BOOK_DENIED);
}

const struct madcap_counters *madcap_server_counters(const struct madcap_server *server)
{
	return &server->counters;
}

bool madcap_server_stats(const struct madcap_server *server, const struct madcap_address *scope,
			 struct book_stats *ret)
{
	return book_stats(server->book, scope, ret);
}

/* ---- making and ending ----------------------------------------------------------------------- */

int madcap_server_new(struct book *book, const struct madcap_server_config *config,
		      struct madcap_server **ret, struct error *error)
{
	struct madcap_server *server = calloc(1, sizeof(*server));
	size_t entries = config->cache_entries > 0 ? config->cache_entries : CACHE_ENTRIES;
	int code = POOL_E_NO_MEMORY;

	error_set(error, "out of memory");
	if (server == NULL)
		return code;
	server->book = book;
	server->max_offers = config->max_offers > 0 ? config->max_offers : MAX_OFFERS;
	/* Twice: a batch that fails gets back what it ended. */
	server->ring = 2 * server->max_offers;
	server->offers = calloc(server->ring, sizeof(server->offers[0]));
	if (server->offers != NULL && server_rate_init(&server->getinfo_rate, config->seed) == 0 &&
	    server_cache_init(&server->cache, entries, config->seed) == 0)
		code = server_scopes_set(server, config, error);
	if (code < 0) {
		madcap_server_free(&server);
		return code;
	}
	*ret = server;
	return 0;
}

/* Sizes of tables are those that the server was made with. */
int madcap_server_configure(struct madcap_server *server, const struct madcap_server_config *config,
			    struct error *error)
{
	return server_scopes_set(server, config, error);
}

void madcap_server_free(struct madcap_server **server)
{
	if (*server == NULL)
		return;
	server_scopes_done(*server);
	if ((*server)->cache.entries != NULL)
		server_cache_done(&(*server)->cache);
	server_rate_done(&(*server)->getinfo_rate);
	free((*server)->offers);
	free(*server);
	*server = NULL;
}
