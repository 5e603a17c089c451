/* SPDX-License-Identifier: MIT */
#include "remote.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "madcap/endpoint.h"
#include "parse.h"
#include "remote_impl.h"

/* So many grants in a row that are in the way of something on this machine are enough. */
#define UNUSABLE_MAX 16

/* For how long a server that did not answer is asked after the others. */
#define SILENT_US UINT64_C(60000000)

/* How often a full pool's leases are gone through for what dead sessions left. */
#define CLEAR_INTERVAL_US UINT64_C(1000000)

/* ---- what all parts need ---------------------------------------------------------------------- */

struct remote *remote_get(struct pool *pool)
{
	struct remote *remote = pool->remote;

	if (remote != NULL)
		return remote;
	remote = calloc(1, sizeof(*remote));
	if (remote == NULL)
		return NULL;
	remote->verdicts = calloc(pool->config->n_pools, sizeof(*remote->verdicts));
	if (remote->verdicts == NULL) {
		free(remote);
		return NULL;
	}
	talk_init(&remote->talk, &pool->env);
	pool->remote = remote;
	return remote;
}

void remote_free(struct remote **remote)
{
	struct remote *r = *remote;

	if (r == NULL)
		return;
	talk_done(&r->talk);
	range_set_done(&r->ask.unusable);
	free(r->verdicts);
	explicit_bzero(r, sizeof(*r));
	free(r);
	*remote = NULL;
}

void remote_stop(struct pool *pool)
{
	talk_stop(&pool->remote->talk);
	if (pool->remote->task == TASK_DELIVER)
		remote_deliver_stop(pool);
	pool->remote->task = TASK_NONE;
	pool->remote->delivery.is_walking = false;
}

uint64_t remote_stamp(const struct pool *pool)
{
	return (uint64_t)(pool->env.boot_us(pool->env.context) + CLOCK_OFFSET_US);
}

int64_t remote_now_ms(const struct pool *pool)
{
	return pool->env.boot_us(pool->env.context) / 1000;
}

void remote_warn(struct pool *pool, const char *format, ...)
{
	struct pool_event event = {
		.kind = POOL_EVENT_WARNING, .pool = "", .user = "", .port = "", .module = ""
	};
	char text[512];
	va_list args;

	if (pool->env.observe == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	event.text = text;
	pool->env.observe(pool->env.context, &event);
}

struct madcap_servers remote_servers(const struct config_pool *config,
				     const struct madcap_endpoint *first)
{
	/* Where servers are looked for (RFC 2730, 2.10 and 2.11). */
	struct madcap_servers servers = { .group = { .address = madcap_local_group(MADCAP_IPV4),
						     .port = MADCAP_PORT } };

	if (first != NULL)
		servers.server[servers.n++] = *first;
	for (size_t i = 0; i < config->madcap.n_servers; i++) {
		const struct madcap_endpoint *server = &config->madcap.servers[i];

		if (servers.n < MADCAP_CLIENT_SERVERS_MAX &&
		    (first == NULL || !madcap_endpoint_equal(server, first)))
			servers.server[servers.n++] = *server;
	}
	return servers;
}

struct madcap_servers remote_holders(const struct pool *pool, const struct server_lease *record,
				     const struct madcap_endpoint *server)
{
	/* The pool may have gone from a configuration that was read again. */
	size_t index = config_find_pool(pool->config, record->pool);

	if (record->mobile && index != CONFIG_NO_POOL &&
	    config_asks_servers(&pool->config->pools[index]))
		return remote_servers(&pool->config->pools[index], server);
	return (struct madcap_servers){ .n = 1, .server = { *server } };
}

/* ---- choosing --------------------------------------------------------------------------------- */

/* Whether what is being asked, or was, is the question of this request. */
static bool is_for(const struct op *op, const struct ask *ask, size_t pool, uint32_t only)
{
	return ask->state != ASK_NOTHING && ask->pool == pool && ask->only == only &&
	       strcmp(ask->user, op->request->user) == 0;
}

static int no_memory(struct op *op)
{
	error_set(op->error, "out of memory");
	return POOL_E_NO_MEMORY;
}

/* Who did not answer lately is asked last: one server that is down would otherwise cost every user
 * his share of the time. Only for the order: what cannot be read is as if it were not there. */
static void note_order(struct op *op, struct ask *ask, size_t pool)
{
	const struct config_madcap *madcap = &op->pool->config->pools[pool].madcap;

	for (size_t i = 0; i < madcap->n_servers; i++) {
		uint64_t when_us = 0;

		ask->was_silent[i] =
			record_get_silent(op->txn, &madcap->servers[i], &when_us) == 0 &&
			when_us <= op->stamp && op->stamp - when_us < SILENT_US;
	}
}

/* For the others: who did not answer, and that a full pool has nothing of the dead in it. */
static int note_asked(struct op *op, struct ask *ask)
{
	struct pool_counters *counters;
	int code = 0;

	if (op->rehearsal || ask->state == ASK_NOTHING)
		return 0;
	for (size_t i = 0; i < ask->servers.n && code == 0; i++)
		if (ask->is_silent[i])
			code = record_put_silent(op->txn, &ask->servers.server[i], op->stamp);
	if (code < 0)
		return op_fail(op, code);
	if (ask->has_cleared) {
		counters = op_counters(op, ask->pool, true, &code);
		if (counters != NULL)
			counters->scanned_us = op->stamp;
	}
	return code;
}

/* Says what is to be asked for. What is known of the same question from before stays. */
static int want(struct op *op, struct ask *ask, size_t pool, uint32_t only)
{
	const struct pool_counters *counters;
	int code = op_registry(op, &ask->registry);

	counters = code == 0 ? op_counters(op, pool, false, &code) : NULL;
	if (counters == NULL)
		return code;
	if (!is_for(op, ask, pool, only)) {
		range_set_done(&ask->unusable);
		ask->n_noted = 0;
		ask->end_ms = 0;
	}
	ask->state = ASK_WANTED;
	ask->pool = pool;
	ask->only = only;
	ask->first = 0;
	ask->first_id = 0;
	snprintf(ask->user, sizeof(ask->user), "%s", op->request->user);
	ask->may_clear = op->stamp - counters->scanned_us >= CLEAR_INTERVAL_US;
	ask->has_cleared = false;
	note_order(op, ask, pool);
	return 0;
}

static void tell_wanted(struct op *op, const struct ask *ask)
{
	const struct config_pool *config = &op->pool->config->pools[ask->pool];
	char server[MADCAP_ENDPOINT_TEXT] = "a server that it looks for";
	char first[IP4_TEXT_SIZE + 64] = "";
	char text[IP4_TEXT_SIZE];

	if (op->trace == NULL)
		return;
	if (config->madcap.n_servers > 0)
		madcap_endpoint_format(&config->madcap.servers[0], server);
	if (ask->first != 0)
		snprintf(first, sizeof(first), "first for %s, which the user had, then ",
			 format_ip4(ask->first, text));
	op_explain(op, config, "asks %s %sfor any of %llu addresses", server, first,
		   (unsigned long long)config->dynamic.count);
}

static int want_any(struct op *op, size_t pool)
{
	const struct config_pool *config = &op->pool->config->pools[pool];
	struct ask *ask = &op->pool->remote->ask;
	uint32_t addr;
	uint64_t id;
	int code = want(op, ask, pool, 0);

	if (code < 0)
		return code;
	if (config->sticky) {
		code = local_remembered(op, pool, &addr, &id);
		if (code < 0)
			return code;
		if (code == 0 && !range_set_find(&ask->unusable, addr, NULL)) {
			ask->first = addr;
			ask->first_id = id;
		}
	}
	tell_wanted(op, ask);
	return REMOTE_ASK;
}

static int tell_full(struct op *op, size_t pool, const char *text)
{
	const struct config_pool *config = &op->pool->config->pools[pool];
	uint64_t resting;
	int code = local_count_resting(op, pool, &resting);

	if (code < 0)
		return code;
	error_set(op->error, "pool %s is full: %s; %llu at rest here", config->name, text,
		  (unsigned long long)resting);
	op_explain(op, config, "full: %s; %llu at rest here", text, (unsigned long long)resting);
	return LOCAL_FULL;
}

/* The servers have given an address: is it free on this machine, too? */
static int take(struct op *op, size_t pool, struct choice *choice)
{
	struct ask *ask = &op->pool->remote->ask;
	int code = lease_take_particular(op, ask->addr, choice);

	choice->how = choice->was_known && strcmp(choice->known.user, op->request->user) == 0 &&
				      op->request->user[0] != '\0'
			      ? POOL_HOW_STICKY
			      : POOL_HOW_NEW;
	if (code != POOL_E_REFUSED)
		return code;
	if (range_set_add(&ask->unusable, (struct range){ ask->addr, ask->addr }) < 0)
		return no_memory(op);
	if (ask->unusable.n > UNUSABLE_MAX)
		return tell_full(op, pool, "what its servers grant is in use on this machine");
	return want_any(op, pool);
}

/* Also those that came up in a rehearsal, which tells of nothing. */
static void note_conflicts(struct op *op, struct ask *ask)
{
	if (op->rehearsal)
		return;
	for (; ask->n_noted < ask->unusable.n; ask->n_noted++)
		op_note(op, POOL_EVENT_CONFLICT, ask->unusable.ranges[ask->n_noted].first,
			ask->pool, NULL, "its server granted it, and it is in use on this machine");
}

int remote_choose(struct op *op, size_t pool, struct choice *choice)
{
	struct remote *remote = remote_get(op->pool);
	int code = local_admit(op, pool, choice);

	if (code != 0)
		return code;
	if (remote == NULL)
		return no_memory(op);
	code = note_asked(op, &remote->ask);
	if (code < 0)
		return code;
	if (remote->verdicts[pool].is_full)
		return tell_full(op, pool, remote->verdicts[pool].text);
	if (op->pool->config->pools[pool].dynamic.count == 0)
		return tell_full(op, pool, "all of its addresses are reserved");
	if (is_for(op, &remote->ask, pool, 0) && remote->ask.state == ASK_GRANTED) {
		code = take(op, pool, choice);
		note_conflicts(op, &remote->ask);
		return code;
	}
	if (is_for(op, &remote->ask, pool, 0) && remote->ask.state == ASK_FAILED) {
		*op->error = remote->ask.why;
		return POOL_E_BACKEND;
	}
	return want_any(op, pool);
}

/* What the user's last session left of it is taken up again. */
static int want_only(struct op *op, size_t pool, uint32_t addr)
{
	struct ask *ask = &op->pool->remote->ask;
	struct lease_record known;
	int code = want(op, ask, pool, addr);

	if (code < 0)
		return code;
	code = record_get_lease(op->txn, addr, &known);
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	ask->first = addr;
	ask->first_id = code == 0 && strcmp(known.user, op->request->user) == 0 ? known.id : 0;
	return 0;
}

int remote_allows(struct op *op, size_t pool, uint32_t addr)
{
	struct remote *remote = remote_get(op->pool);
	const struct config_pool *config = &op->pool->config->pools[pool];
	char text[IP4_TEXT_SIZE];
	int code;

	if (remote == NULL)
		return no_memory(op);
	code = note_asked(op, &remote->ask);
	if (code < 0)
		return code;
	if (is_for(op, &remote->ask, pool, addr)) {
		*op->error = remote->ask.why;
		if (remote->ask.state == ASK_GRANTED)
			return 0;
		if (remote->ask.state == ASK_FULL)
			return POOL_E_REFUSED;
		if (remote->ask.state == ASK_FAILED)
			return POOL_E_BACKEND;
	}
	code = want_only(op, pool, addr);
	if (code < 0)
		return code;
	op_explain(op, config, "asks its server for the lease of %s", format_ip4(addr, text));
	return REMOTE_ASK;
}

int remote_granted(struct op *op, uint32_t addr, struct served_record *ret)
{
	struct remote *remote = op->pool->remote;

	if (remote == NULL || remote->ask.state != ASK_GRANTED || remote->ask.addr != addr ||
	    remote->ask.end_us <= op->stamp) {
		error_set(op->error, "the address has no lease from a server");
		return POOL_E_BACKEND;
	}
	ret->server = remote->ask.record.servers[0];
	ret->end_sec = remote->ask.record.end_sec;
	return op_registry(op, &remote->ask.registry);
}
