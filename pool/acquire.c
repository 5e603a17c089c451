/* SPDX-License-Identifier: MIT */
/*
 * acquire.c - what a search is good for: an address for a session, the record of one that came from
 * elsewhere, asking the servers in advance, and an explanation.
 */
#include "pool.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include "assign.h"
#include "lease.h"
#include "owner.h"
#include "remote.h"
#include "search.h"

/* ---- for sessions --------------------------------------------------------------------------- */

/* A refusal changes counters and tells the log. That this fails must not hide the reason. */
static void record_refusal(struct search *search)
{
	struct op *op = &search->op;
	const struct error reason = *op->error;
	struct lease_record who = { 0 };
	int code = 0;

	snprintf(who.user, sizeof(who.user), "%s", op->request->user);
	snprintf(who.port, sizeof(who.port), "%s", op->request->port);
	who.pid = getpid();
	if (search->refused_by != CONFIG_NO_POOL) {
		struct pool_counters *counters = op_counters(op, search->refused_by, true, &code);

		if (counters != NULL)
			counters->refusals++;
	}
	if (code == 0) {
		op_note(op, POOL_EVENT_REFUSAL, 0, search->refused_by, &who, reason.text);
		code = op_commit(op);
	}
	*op->error = reason;
}

/* An address that servers give is never given without them. */
static int note_server(struct op *op, struct choice *choice)
{
	if (choice->pool == CONFIG_NO_POOL ||
	    !config_asks_servers(&op->pool->config->pools[choice->pool]))
		return 0;
	choice->is_served = true;
	return remote_granted(op, choice->addr, &choice->served);
}

static int finish_search(struct search *search, int code, struct pool_lease *lease)
{
	const struct pool_choice *outside = search->outside;
	struct op *op = &search->op;
	struct pool_lease granted;

	if (code == POOL_E_REFUSED || code == POOL_E_NOT_FOUND || code == POOL_E_BACKEND)
		record_refusal(search);
	if (code == 0)
		code = note_server(op, &search->choice);
	if (code == 0)
		code = lease_grant(op, &search->choice, outside != NULL ? outside->module : "",
				   outside != NULL && outside->notify, &granted);
	if (code == 0)
		code = op_commit(op);
	if (code == 0)
		*lease = granted;
	else if (search->choice.lock_fd >= 0)
		owner_drop(search->choice.addr, &search->choice.lock_fd);
	return code;
}

/* The address is in the registry; now what it stands on is written down, too. Whatever servers have
 * granted beside it, or for nothing, goes back to them. */
static int bind_server(struct pool *pool, struct pool_lease *lease, int code, struct error *why)
{
	struct error ignored;

	if (code == 0 && lease->server[0] != '\0') {
		code = remote_bind(pool, lease, why);
		if (code < 0)
			(void)pool_release(pool, lease, &ignored);
	}
	remote_forget(pool);
	return code;
}

static int acquire(struct pool *pool, const struct pool_request *request,
		   const struct pool_choice *outside, struct pool_lease *lease, struct error *why)
{
	struct search search;
	struct error ignored = { "" };
	int code;

	why = why != NULL ? why : &ignored;
	code = search_begin(&search, pool, request, outside, why);
	if (code == 0) {
		code = search_run(&search);
		code = finish_search(&search, code, lease);
		search_end(&search);
	}
	return bind_server(pool, lease, code, why);
}

int pool_acquire(struct pool *pool, const struct pool_request *request, struct pool_lease *lease,
		 struct error *why)
{
	return acquire(pool, request, NULL, lease, why);
}

int pool_record(struct pool *pool, const struct pool_request *request,
		const struct pool_choice *choice, struct pool_lease *lease, struct error *why)
{
	return acquire(pool, request, choice, lease, why);
}

/* ---- asking in advance ---------------------------------------------------------------------- */

/* True if there is something to be asked before the request can be answered. */
static bool needs_server(struct pool *pool, const struct pool_request *request)
{
	struct search search;
	struct error ignored = { "" };
	int code = search_begin(&search, pool, request, NULL, &ignored);

	if (code == 0) {
		search.op.rehearsal = true;
		code = search_run(&search);
		search_end(&search);
	}
	return code == REMOTE_ASK;
}

int pool_prepare(struct pool *pool, const struct pool_request *request, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (!config_has_servers(pool->config))
		return 0;
	/* When one pool's servers have answered, another pool may have to be asked. */
	while (!remote_ask_step(pool)) {
		if (!needs_server(pool, request))
			return 0;
		if (remote_ask(pool))
			break;
	}
	*ret_ms = remote_wait_ms(pool);
	return POOL_WAIT;
}

void pool_wait(struct pool *pool, int64_t wait_ms)
{
	if (pool->remote != NULL)
		remote_wait(pool, wait_ms);
}

void pool_unprepare(struct pool *pool)
{
	remote_forget(pool);
}

/* ---- explaining ----------------------------------------------------------------------------- */

/* A session holds its own end of the link when it has the peer's address (pool_hold_local). */
static int check_own_end(struct search *search, size_t pool)
{
	struct op *op = &search->op;
	const struct config *config = op->pool->config;
	uint32_t local;

	/* As pool_lease_config() has it. */
	if (pool == CONFIG_NO_POOL)
		pool = assign_pool(config, op->request->user, op->request->port,
				   op->request->pool_name);
	local = pool != CONFIG_NO_POOL ? config->pools[pool].local : 0;
	if (local == 0 || !owner_is_live(&op->pool->owners, local))
		return 0;
	return lease_refuse_own_end(op, local);
}

int pool_explain(struct pool *pool, const struct pool_request *request,
		 struct pool_explanation *ret, struct error *why)
{
	struct search search;
	bool is_asked;
	int code;

	*ret = (struct pool_explanation){ 0 };
	code = search_begin(&search, pool, request, NULL, &ret->why);
	if (code < 0) {
		error_set(why, "%s", ret->why.text);
		return code;
	}
	search.op.rehearsal = true;
	search.op.trace = ret;
	search.op.tells_modules = true; /* a session would, before */
	ret->code = search_run(&search);
	is_asked = ret->code == REMOTE_ASK;
	if (is_asked || ret->code == 0)
		ret->code = check_own_end(&search, search.choice.pool);
	search_end(&search);
	if (ret->code != 0)
		return 0;
	if (is_asked) {
		ret->config = remote_asked_pool(pool);
		return 0;
	}
	ret->addr_be = htonl(search.choice.addr);
	ret->how = search.choice.how;
	if (search.choice.pool != CONFIG_NO_POOL)
		ret->config = &pool->config->pools[search.choice.pool];
	return 0;
}
