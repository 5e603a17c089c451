/* SPDX-License-Identifier: MIT */
/*
 * While a session lives: its server's lease is renewed at half of its time and, should that fail,
 * from seven eighths on until shortly before the end; then, or when the server says no, the session
 * has to go. And its end: the lease is released.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/endpoint.h"
#include "parse.h"
#include "remote_impl.h"

/* How long before the end of its lease an address is given up. Servers count whole seconds, so theirs
 * may end up to a second before ours does; and a machine that is busy hangs up late. */
#define MARGIN_MIN_US UINT64_C(1000000)
#define MARGIN_SHORT_US UINT64_C(2000000) /* of a short lease: or a quarter of it */
#define MARGIN_MAX_US UINT64_C(10000000)
#define MARGIN_PART 16

/* Between two tries behind seven eighths. */
#define AGAIN_US UINT64_C(20000000)

#define RELEASE_WAIT_MS 500
#define RELEASE_TRIES 2

/* ---- keeping a lease -------------------------------------------------------------------------- */

static uint64_t margin(uint64_t lease_us)
{
	uint64_t part = lease_us / MARGIN_PART;

	if (lease_us < 2 * MARGIN_MIN_US)
		return lease_us / 2;
	if (part < MARGIN_SHORT_US)
		part = lease_us / 4 < MARGIN_SHORT_US ? lease_us / 4 : MARGIN_SHORT_US;
	if (part < MARGIN_MIN_US)
		return MARGIN_MIN_US;
	return part < MARGIN_MAX_US ? part : MARGIN_MAX_US;
}

/* The address must be out of use by then. */
static uint64_t deadline(const struct pool_served *served)
{
	return served->end_us - margin(served->lease_us);
}

/* At seven eighths of the lease or, where it is so short that this is too late, half way there. */
static uint64_t last_try(const struct pool_served *served)
{
	uint64_t eighths = served->end_us - served->lease_us / 8;
	uint64_t late = deadline(served);
	uint64_t half = served->end_us - served->lease_us / 2;

	return eighths + MARGIN_MIN_US / 2 < late ? eighths : half + (late - half) / 2;
}

/* For the reason that stands in served->why. */
static int lose(struct pool_served *served, struct error *why)
{
	served->is_lost = true;
	error_set(why, "the lease of the address is lost: %s", served->why.text);
	return POOL_E_BACKEND;
}

static int lose_for(struct pool_served *served, const char *reason, struct error *why)
{
	error_set(&served->why, "%s", reason);
	return lose(served, why);
}

static void show_new_end(struct pool *pool, const struct pool_lease *lease)
{
	const struct served_record shown = { .server = lease->served->record.servers[0],
					     .end_sec = lease->served->record.end_sec };
	struct error why = { "" };
	struct op op;
	int code = op_begin(&op, pool, true, &why);

	if (code == 0) {
		code = record_put_served(op.txn, ntohl(lease->addr_be), &shown);
		code = op_end(&op, code < 0 ? op_fail(&op, code) : 0);
	}
	if (code < 0)
		remote_warn(pool, "a renewal is not shown: %s", why.text);
}

/* The server's lease goes on; so it has to stand in state_dir. */
static int use_renewal(struct pool *pool, struct pool_lease *lease,
		       const struct madcap_grant *grant, struct error *why)
{
	struct pool_served *served = lease->served;
	struct server_lease renewed = served->record;
	uint64_t began_us = pool->remote->talk.began_us;
	int64_t lease_sec = remote_lease_sec(grant);
	struct error problem = { "" };
	int code;

	renewed.servers[0] = grant->server;
	renewed.mobile = grant->mobile;
	renewed.end_sec = pool->env.unix_sec(pool->env.context) + lease_sec;
	code = server_lease_change(pool, &served->record, &renewed, &problem);
	if (code == POOL_E_NOT_FOUND)
		return lose_for(served, problem.text, why);
	if (code < 0) /* a disk that fails costs nobody his address */
		remote_warn(pool, "a renewal is not kept: %s", problem.text);
	served->record = renewed;
	served->may_shorten = false;
	remote_schedule(served, began_us, began_us + (uint64_t)lease_sec * 1000000);
	lease->end_sec = renewed.end_sec;
	madcap_endpoint_format(&grant->server, lease->server);
	show_new_end(pool, lease);
	return 0;
}

/* Whether the server renewed the group of this address and not some other. */
static bool is_renewed(const struct pool_lease *lease, const struct madcap_grant *grant)
{
	struct madcap_address group = madcap_address_ip4(ntohl(lease->group_be));

	for (size_t i = 0; i < grant->n_ranges; i++) {
		uint64_t distance;

		if (madcap_address_distance(&grant->ranges[i].first, &group, &distance) &&
		    distance < grant->ranges[i].count)
			return true;
	}
	return false;
}

static int conclude_grant(struct pool *pool, struct pool_lease *lease,
			  const struct madcap_grant *grant, struct error *why)
{
	if (grant->begins_in_sec > 0)
		return lose_for(lease->served, "its server has renewed it for later", why);
	if (!is_renewed(lease, grant))
		return lose_for(lease->served, "its server has renewed another one", why);
	return use_renewal(pool, lease, grant, why);
}

static int conclude_failure(struct pool *pool, struct pool_lease *lease, struct error *why)
{
	struct pool_served *served = lease->served;
	const struct madcap_client *client = &pool->remote->talk.client;
	char text[IP4_TEXT_SIZE];
	struct error ignored;

	/* It will not give a lease that lasts as long as the present one. */
	if (madcap_client_refused_for(client, MADCAP_OPT_MIN_LEASE_TIME) && !served->may_shorten) {
		served->may_shorten = true;
		served->renew_us = remote_stamp(pool);
		return 0;
	}
	if (madcap_client_all_refused(client)) {
		/* Of what it does not know it wants no release. */
		if (remote_is_unknown(&pool->remote->talk))
			served->is_gone =
				server_lease_remove(pool, &served->record, 1, &ignored) == 0;
		return lose(served, why);
	}
	if (served->may_shorten)
		return lose_for(served, "its server may have made it shorter, and does not answer",
				why);
	remote_warn(pool, "%s: its lease could not be renewed: %s",
		    format_ip4(ntohl(lease->addr_be), text), served->why.text);
	served->renew_us = served->is_last_try ? remote_stamp(pool) + AGAIN_US : last_try(served);
	served->is_last_try = true;
	return 0;
}

static int conclude(struct pool *pool, struct pool_lease *lease, struct error *why)
{
	struct talk *talk = &pool->remote->talk;
	struct madcap_grant grant;
	int code;

	if (madcap_client_code(&talk->client) != 0) {
		talk_explain(talk, &lease->served->why);
		return conclude_failure(pool, lease, why);
	}
	if (madcap_client_grant(&talk->client, &grant) < 0) {
		error_set(&lease->served->why, "out of memory");
		return conclude_failure(pool, lease, why);
	}
	code = conclude_grant(pool, lease, &grant, why);
	madcap_grant_done(&grant);
	return code;
}

static void renew(struct pool *pool, struct pool_lease *lease)
{
	struct remote *remote = remote_get(pool);
	struct pool_served *served = lease->served;
	size_t index = config_find_pool(pool->config, lease->pool);
	uint64_t now = remote_stamp(pool);
	struct madcap_servers servers =
		remote_holders(pool, &served->record, &served->record.servers[0]);
	struct madcap_query query = { .operation = MADCAP_RENEW_LEASE,
				      .family = MADCAP_IPV4,
				      .id = served->record.id };
	int64_t timeout_ms = INT64_MAX;
	uint32_t left_sec;

	if (remote == NULL)
		return; /* no memory now; there will be another look */
	/* The pool may have gone from a configuration that was read again. */
	query.lease_sec = (uint32_t)(served->lease_us / 1000000);
	if (index != CONFIG_NO_POOL && config_asks_servers(&pool->config->pools[index])) {
		const struct config_pool *config = &pool->config->pools[index];

		query.lease_sec = config->madcap.lease_sec;
		timeout_ms = (int64_t)config->madcap.timeout_sec * 1000;
	}
	if (served->record.mobile)
		query.requested[query.n_requested++] = MADCAP_FEATURE_SERVER_MOBILITY;
	/* A renewal whose answer gets lost must not have made the lease end before we know. */
	left_sec = (uint32_t)((served->end_us - now) / 1000000 + 1);
	if (query.lease_sec < left_sec)
		query.lease_sec = left_sec;
	query.min_lease_sec = served->may_shorten ? 0 : left_sec;
	servers.total_ms = (int64_t)(deadline(served) - now) / 1000 + 1;
	if (served->is_last_try)
		servers.tries = MADCAP_CLIENT_TRIES_MAX;
	else if (servers.total_ms > timeout_ms)
		servers.total_ms = timeout_ms;
	remote_stop(pool);
	if (talk_start(&remote->talk, &query, &servers, "", &served->why) == 0) {
		remote->task = TASK_RENEW;
		remote->renewing = served->record.number;
	}
}

static int64_t until_ms(uint64_t from_us, uint64_t to_us)
{
	return to_us > from_us ? (int64_t)((to_us - from_us) / 1000) + 1 : 0;
}

static int give_up(struct pool *pool, struct pool_served *served, struct error *why)
{
	if (pool->remote != NULL && pool->remote->task == TASK_RENEW)
		remote_stop(pool);
	error_set(why, "the lease of the address ends and could not be renewed%s%.400s",
		  served->why.text[0] != '\0' ? ": " : "", served->why.text);
	return POOL_E_BACKEND;
}

int pool_keep(struct pool *pool, struct pool_lease *lease, int64_t *ret_ms, struct error *why)
{
	struct pool_served *served = lease->served;
	struct remote *remote = pool->remote;
	uint64_t now = remote_stamp(pool);
	struct error ignored;
	int code = 0;

	*ret_ms = INT64_MAX;
	if (served == NULL)
		return 0;
	if (served->is_lost)
		return lose(served, why);
	if (now >= deadline(served))
		return give_up(pool, served, why);
	if (remote != NULL && remote->task == TASK_RENEW &&
	    remote->renewing == served->record.number) {
		*ret_ms = REMOTE_POLL_MS;
		if (!talk_step(&remote->talk))
			return 0;
		remote->task = TASK_NONE;
		code = conclude(pool, lease, why);
		/* A server that answers is one that can be given what it is owed. */
		if (code == 0 && served->renew_us > now)
			(void)pool_deliver(pool, ret_ms, &ignored);
	} else if (now >= served->renew_us) {
		renew(pool, lease);
		*ret_ms = REMOTE_POLL_MS;
		return 0;
	} else if (remote != NULL && remote->task == TASK_DELIVER) {
		(void)pool_deliver(pool, ret_ms, &ignored);
	}
	pool_rest(pool);
	if (remote == NULL || remote->task != TASK_DELIVER)
		*ret_ms = until_ms(remote_stamp(pool), served->renew_us < deadline(served)
							       ? served->renew_us
							       : deadline(served));
	return code;
}

/* ---- the end ---------------------------------------------------------------------------------- */

bool remote_claim(struct pool *pool, struct pool_served *served)
{
	struct server_lease owed = served->record;
	struct error why = { "" };
	int code;

	if (served->is_gone)
		return false;
	owed.lease_id = 0;
	owed.busy_us = remote_stamp(pool) + UINT64_C(1000000) * REMOTE_OWED_SEC;
	code = server_lease_change(pool, &served->record, &owed, &why);
	if (code < 0 && code != POOL_E_NOT_FOUND)
		remote_warn(pool, "a server's lease is not given back yet: %s", why.text);
	if (code < 0)
		return false;
	served->record = owed;
	return true;
}

void remote_release(struct pool *pool, const struct pool_served *served)
{
	struct remote *remote = remote_get(pool);
	const struct server_lease *record = &served->record;
	struct madcap_query query = { .operation = MADCAP_RELEASE_LEASE,
				      .family = MADCAP_IPV4,
				      .id = record->id };
	struct madcap_servers servers = remote_holders(pool, record, &record->servers[0]);

	if (remote == NULL)
		return;
	servers.total_ms = RELEASE_WAIT_MS;
	servers.tries = RELEASE_TRIES;
	remote_stop(pool);
	remote->releasing = *record;
	if (talk_start(&remote->talk, &query, &servers, "", NULL) == 0)
		remote->task = TASK_RELEASE;
}

void pool_settle(struct pool *pool)
{
	struct remote *remote = pool->remote;
	struct server_lease owed;
	struct error ignored;
	int code;

	if (remote == NULL || remote->task != TASK_RELEASE)
		return;
	while (!talk_step(&remote->talk))
		talk_wait(&remote->talk, INT64_MAX);
	remote->task = TASK_NONE;
	owed = remote->releasing;
	owed.busy_us = 0;
	/* What cannot be delivered stays, for whoever comes by. */
	if (madcap_client_code(&remote->talk.client) == 0 || remote_is_unknown(&remote->talk))
		code = server_lease_remove(pool, &remote->releasing, 1, &ignored);
	else
		code = server_lease_change(pool, &remote->releasing, &owed, &ignored);
	(void)code; /* where that fails, it is busy for a while longer */
}

void remote_abandon(struct pool_served **served)
{
	if (*served == NULL)
		return;
	explicit_bzero(*served, sizeof(**served));
	free(*served);
	*served = NULL;
}
