/* SPDX-License-Identifier: MIT */
/* Asking the servers of one pool for an address, one after the other. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/endpoint.h"
#include "parse.h"
#include "remote_impl.h"

/* Records that one address may have: the one that counts, and leftovers. */
#define ADOPTABLE_MAX 8

/* ---- records ---------------------------------------------------------------------------------- */

const struct config_pool *remote_asked_pool(const struct pool *pool)
{
	return &pool->config->pools[pool->remote->ask.pool];
}

static uint64_t busy_until(const struct pool *pool)
{
	uint64_t seconds = (uint64_t)remote_asked_pool(pool)->madcap.timeout_sec + REMOTE_BUSY_SEC;

	return remote_stamp(pool) + seconds * 1000000;
}

static void make_id(const struct pool_env *env, struct madcap_client_id *ret)
{
	uint64_t random[2] = { env->random(env->context), env->random(env->context) };
	uint8_t bytes[16];

	memcpy(bytes, random, sizeof(bytes));
	madcap_client_id_make(ret, bytes);
}

/* Before the first request leaves: whoever finds the record releases what may have come of it. */
static int record_request(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;
	const struct config_pool *config = remote_asked_pool(pool);
	const struct pool_env *env = &pool->env;
	struct server_lease record = {
		.number = env->random(env->context),
		.boot = op_boot(pool),
		.busy_us = busy_until(pool),
		.end_sec = env->unix_sec(env->context) + config->madcap.timeout_sec +
			   config->madcap.lease_sec,
	};
	int code;

	if (ask->is_recorded)
		return 0;
	make_id(env, &record.id);
	for (size_t i = 0; i < ask->servers.n; i++)
		if (!ask->is_silent[i])
			record.servers[record.n_servers++] = ask->servers.server[i];
	snprintf(record.pool, sizeof(record.pool), "%s", config->name);
	memcpy(record.user, ask->user, sizeof(record.user));
	code = server_lease_add(pool, &record, &ask->why);
	if (code < 0)
		return code;
	ask->record = record;
	ask->is_recorded = true;
	return 0;
}

/*
 * The record of a question that has come to nothing. What these servers may have granted is owed to
 * them; with none, nothing is. What is owed is never adopted any more.
 */
static void settle(struct pool *pool, const struct madcap_endpoint *owed_to, size_t n)
{
	struct ask *ask = &pool->remote->ask;
	struct server_lease after = ask->record;
	struct error why = { "" };
	int code;

	if (!ask->is_recorded)
		return;
	ask->is_recorded = false;
	after.lease_id = 0;
	after.busy_us = 0;
	after.n_servers = n;
	if (n > 0)
		memmove(after.servers, owed_to, n * sizeof(after.servers[0]));
	if (n == 0)
		code = server_lease_remove(pool, &ask->record, 1, &why);
	else
		code = server_lease_change(pool, &ask->record, &after, &why);
	/* Somebody took it for a dead process's, and may have released it before it was granted. */
	if (code == POOL_E_NOT_FOUND && n > 0)
		code = server_lease_add(pool, &after, &why);
	if (code < 0 && code != POOL_E_NOT_FOUND)
		remote_warn(pool, "a server's lease is not given back yet: %s", why.text);
}

/* Whoever the record names may have granted something. */
static void give_back(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;

	settle(pool, ask->record.servers, ask->record.n_servers);
}

/* ---- asking ----------------------------------------------------------------------------------- */

/* What is printed may be ask->why's own text. */
static void fail(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct pool *pool, const char *format, ...)
{
	struct ask *ask = &pool->remote->ask;
	char text[sizeof(ask->why.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(&ask->why, "pool %s: %.440s", remote_asked_pool(pool)->name, text);
	ask->state = ASK_FAILED;
}

static bool is_behind(const struct madcap_range *range, uint32_t group)
{
	struct madcap_address first = madcap_address_ip4(group);
	uint64_t distance;

	return madcap_address_distance(&range->first, &first, &distance) &&
	       distance == range->count;
}

/* The groups of a run of the pool's addresses, in as few pieces as a message can name: addresses that
 * lie apart often have groups that do not. */
static bool add_groups(struct madcap_range *ranges, size_t *n, uint32_t group, uint64_t count)
{
	if (*n > 0 && is_behind(&ranges[*n - 1], group)) {
		struct madcap_range *last = &ranges[*n - 1];
		uint16_t room = (uint16_t)(UINT16_MAX - last->count);
		uint16_t more = count < room ? (uint16_t)count : room;

		last->count = (uint16_t)(last->count + more);
		group += more;
		count -= more;
	}
	while (count > 0) {
		uint16_t piece = count > UINT16_MAX ? UINT16_MAX : (uint16_t)count;

		if (*n == MADCAP_CLIENT_RANGES_MAX)
			return false;
		ranges[(*n)++] =
			(struct madcap_range){ .first = madcap_address_ip4(group), .count = piece };
		group += piece;
		count -= piece;
	}
	return true;
}

/* What will do, as groups. Loading the configuration has seen to it that they fit. */
static bool make_ranges(struct pool *pool, struct madcap_range *ranges, size_t *n)
{
	const struct config_pool *config = remote_asked_pool(pool);
	const struct ask *ask = &pool->remote->ask;
	uint32_t one = ask->state == ASK_FIRST ? ask->first : ask->only;
	struct range_set left;
	bool fits = true;

	*n = 0;
	if (one != 0)
		return add_groups(ranges, n, config_group(config, one), 1);
	if (range_set_subtract(&config->dynamic, &ask->unusable, &left) < 0)
		return false;
	for (size_t i = 0; i < left.n && fits; i++)
		fits = add_groups(ranges, n, config_group(config, left.ranges[i].first),
				  (uint64_t)left.ranges[i].last - left.ranges[i].first + 1);
	range_set_done(&left);
	return *n > 0;
}

static void start_talk(struct pool *pool, struct madcap_query *query,
		       const struct madcap_servers *servers)
{
	struct remote *remote = pool->remote;
	const struct config_madcap *madcap = &remote_asked_pool(pool)->madcap;
	struct error why = { "" };

	query->family = MADCAP_IPV4;
	query->id = remote->ask.record.id;
	query->lease_sec = madcap->lease_sec;
	/* Where others may serve as well, they may know the lease, too (2.13.1). */
	if (madcap->n_servers != 1)
		query->requested[query->n_requested++] = MADCAP_FEATURE_SERVER_MOBILITY;
	if (talk_start(&remote->talk, query, servers, madcap->interface, &why) < 0) {
		/* Of a new question nothing has left; what was to be taken up is still owed. */
		if (remote->ask.state == ASK_ADOPTING)
			give_back(pool);
		fail(pool, "%s", why.text);
	} else {
		remote->task = TASK_ASK;
	}
}

/* The time that is left is shared out among those that are still to be asked. */
static int64_t share_ms(const struct pool *pool)
{
	const struct ask *ask = &pool->remote->ask;
	int64_t n = 0;

	for (size_t i = ask->at; i < ask->servers.n; i++)
		n += !ask->is_silent[i];
	return (ask->end_ms - remote_now_ms(pool)) / (n > 0 ? n : 1);
}

static void request(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;
	const struct config_pool *config = remote_asked_pool(pool);
	struct madcap_servers servers = { .group = ask->servers.group };
	struct madcap_range ranges[MADCAP_CLIENT_RANGES_MAX];
	struct madcap_query query = { .operation = MADCAP_REQUEST_LEASE,
				      .scope = madcap_address_ip4(config->madcap.scope),
				      .ranges = ranges };

	if (ask->servers.n > 0)
		servers.server[servers.n++] = ask->servers.server[ask->at];
	servers.total_ms = share_ms(pool);
	if (servers.total_ms <= 0) {
		fail(pool, "no answer in %u s", config->madcap.timeout_sec);
	} else if (!make_ranges(pool, ranges, &query.n_ranges)) {
		fail(pool, "there is nothing to be asked for");
	} else if (record_request(pool) < 0) {
		fail(pool, "%s", ask->why.text);
	} else {
		start_talk(pool, &query, &servers);
	}
}

static void begin_turn(struct pool *pool, enum ask_state state);

/* All have been asked. */
static void end_turn(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;

	if (ask->state == ASK_FIRST) {
		begin_turn(pool, ASK_ANY);
	} else if (!ask->all_full) {
		fail(pool, "%s", ask->why.text);
	} else if (ask->may_clear) {
		settle(pool, NULL, 0);
		ask->may_clear = false;
		ask->state = ASK_CLEARING;
		remote_walk_begin(pool);
	} else {
		ask->state = ASK_FULL;
	}
}

static void ask_next(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;
	size_t n = ask->servers.n > 0 ? ask->servers.n : 1; /* one discovery */

	while (ask->at < n && ask->is_silent[ask->at])
		ask->at++;
	if (ask->at < n)
		request(pool);
	else
		end_turn(pool);
}

static void begin_turn(struct pool *pool, enum ask_state state)
{
	struct ask *ask = &pool->remote->ask;

	ask->state = state;
	ask->at = 0;
	ask->all_full = true;
	for (size_t i = 0; i < REMOTE_SERVERS_MAX; i++)
		ask->all_full = ask->all_full && !ask->is_silent[i];
	ask_next(pool);
}

/* ---- what the user's last session left -------------------------------------------------------- */

static bool is_adoptable(const struct pool *pool, const struct server_lease *lease)
{
	const struct ask *ask = &pool->remote->ask;
	bool is_last = lease->lease_id == ask->first_id && lease->registry == ask->registry;

	/* The registry of before the machine was started anew is gone. */
	if (lease->boot != op_boot(pool))
		is_last = true;
	return is_last && lease->lease_id != 0 && lease->addr == ask->first &&
	       lease->n_servers == 1 && strcmp(lease->user, ask->user) == 0 &&
	       strcmp(lease->pool, remote_asked_pool(pool)->name) == 0 &&
	       lease->end_sec > pool->env.unix_sec(pool->env.context) &&
	       !server_lease_is_busy(lease, op_boot(pool), remote_stamp(pool));
}

static bool find_adoptable(struct pool *pool, struct server_lease *ret)
{
	const struct ask *ask = &pool->remote->ask;
	const struct server_lease place = { .addr = ask->first };
	const struct server_claim how = { .busy_us = busy_until(pool),
					  .lease_id = ask->first_id,
					  .registry = ask->registry };
	struct server_lease found[ADOPTABLE_MAX];
	struct error ignored;
	size_t n, one = 1;

	if (ask->first == 0 || ask->first_id == 0 ||
	    server_lease_list(pool, &place, found, ADOPTABLE_MAX, &n, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_adoptable(pool, &found[i]))
			continue;
		*ret = found[i];
		return server_lease_claim(pool, ret, &one, &how, &ignored) == 0 && one == 1;
	}
	return false;
}

static bool adopt(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;
	struct madcap_query query = { .operation = MADCAP_RENEW_LEASE };
	struct madcap_servers servers;
	struct server_lease found;

	if (!find_adoptable(pool, &found))
		return false;
	ask->record = found;
	ask->is_recorded = true;
	ask->state = ASK_ADOPTING;
	servers = remote_holders(pool, &found, &found.servers[0]);
	servers.total_ms = (ask->end_ms - remote_now_ms(pool)) / 2;
	if (servers.total_ms < 1)
		servers.total_ms = 1;
	start_talk(pool, &query, &servers);
	return true;
}

/* ---- the question as a whole ------------------------------------------------------------------ */

static void order_servers(struct ask *ask, const struct config_pool *config)
{
	size_t n = 0;

	ask->servers = remote_servers(config, NULL);
	for (int late = 0; late < 2; late++)
		for (size_t i = 0; i < config->madcap.n_servers; i++)
			if (ask->was_silent[i] == late)
				ask->servers.server[n++] = config->madcap.servers[i];
	memset(ask->is_silent, 0, sizeof(ask->is_silent));
}

/* All servers have said so, and nothing of that is a dead session's of ours. */
static void conclude_full(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;
	struct verdict *verdict = &pool->remote->verdicts[ask->pool];
	char addr[IP4_TEXT_SIZE];

	if (ask->only != 0) {
		error_set(&ask->why, "%s cannot be leased: its servers say that somebody has it",
			  format_ip4(ask->only, addr));
		return;
	}
	verdict->is_full = true;
	snprintf(verdict->text, sizeof(verdict->text), "its servers have no address left");
}

/* A question that is over leaves nothing behind but what is owed. */
static bool is_still_running(struct pool *pool)
{
	const struct ask *ask = &pool->remote->ask;

	if (ask->state == ASK_FAILED || ask->state == ASK_FULL)
		settle(pool, NULL, 0);
	if (ask->state == ASK_FULL)
		conclude_full(pool);
	return ask->state != ASK_NOTHING && ask->state < ASK_GRANTED;
}

static void begin_asking(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;

	begin_turn(pool, ask->first != 0 && ask->only == 0 ? ASK_FIRST : ASK_ANY);
}

bool remote_ask(struct pool *pool)
{
	struct remote *remote = pool->remote;
	struct ask *ask;

	if (remote == NULL || remote->ask.state != ASK_WANTED)
		return false;
	ask = &remote->ask;
	remote_stop(pool);
	give_back(pool);
	ask->why.text[0] = '\0';
	if (ask->end_ms == 0)
		ask->end_ms = remote_now_ms(pool) +
			      (int64_t)remote_asked_pool(pool)->madcap.timeout_sec * 1000;
	order_servers(ask, remote_asked_pool(pool));
	if (op_boot(pool) == 0)
		fail(pool, "the boot id of this machine cannot be read");
	else if (!adopt(pool))
		begin_asking(pool);
	return is_still_running(pool);
}

/* ---- answers ---------------------------------------------------------------------------------- */

bool remote_is_unknown(const struct talk *talk)
{
	return madcap_client_all_refused(&talk->client) &&
	       madcap_client_refusal(&talk->client)->error == MADCAP_ERR_LEASE_ID_UNKNOWN;
}

int64_t remote_lease_sec(const struct madcap_grant *grant)
{
	int64_t lease_sec = grant->end_sec - grant->start_sec;

	if (grant->begins_in_sec < 0)
		lease_sec += grant->begins_in_sec;
	return lease_sec > 0 ? lease_sec : 0;
}

/* The address that was granted, if it can be used; else why not. */
static const char *judge_grant(struct pool *pool, const struct madcap_grant *grant)
{
	struct ask *ask = &pool->remote->ask;
	const uint8_t *bytes = grant->ranges[0].first.bytes;
	uint32_t group = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
			 (uint32_t)bytes[2] << 8 | bytes[3];

	ask->addr = config_group_address(remote_asked_pool(pool), group);
	if (grant->count != 1 || ask->addr == 0 ||
	    (ask->state == ASK_ADOPTING && ask->addr != ask->record.addr))
		return "has granted something else than what was asked for";
	if (grant->begins_in_sec > 0)
		return "grants an address at a later time only";
	return NULL;
}

static void use_grant(struct pool *pool, const struct madcap_grant *grant)
{
	struct ask *ask = &pool->remote->ask;
	int64_t lease_sec = remote_lease_sec(grant);

	ask->record.servers[0] = grant->server;
	ask->record.n_servers = 1;
	ask->record.mobile = grant->mobile;
	ask->record.end_sec = pool->env.unix_sec(pool->env.context) + lease_sec;
	ask->end_us = pool->remote->talk.began_us + (uint64_t)lease_sec * 1000000;
	ask->state = ASK_GRANTED;
}

/* In a discovery one server may have been passed over that has granted all the same. */
static void owe_the_silent(struct pool *pool, const struct madcap_grant *grant)
{
	const struct madcap_client *client = &pool->remote->talk.client;
	struct server_lease owed = pool->remote->ask.record;
	struct error why;

	owed.n_servers = 0;
	for (size_t i = 0; i < madcap_client_n_silent(client); i++)
		if (!madcap_endpoint_equal(madcap_client_silent(client, i), &grant->server))
			owed.servers[owed.n_servers++] = *madcap_client_silent(client, i);
	if (owed.n_servers == 0 || grant->mobile)
		return;
	owed.number = pool->env.random(pool->env.context);
	owed.addr = 0;
	owed.lease_id = 0;
	owed.busy_us = 0;
	if (server_lease_add(pool, &owed, &why) < 0)
		remote_warn(pool, "a lease that a silent server may have given is not kept: %s",
			    why.text);
}

static void take_grant(struct pool *pool)
{
	struct remote *remote = pool->remote;
	char server[MADCAP_ENDPOINT_TEXT];
	struct madcap_grant grant;
	const char *problem;

	if (madcap_client_grant(&remote->talk.client, &grant) < 0) {
		give_back(pool);
		fail(pool, "out of memory");
		return;
	}
	problem = judge_grant(pool, &grant);
	if (problem == NULL) {
		owe_the_silent(pool, &grant);
		use_grant(pool, &grant);
	} else if (remote->ask.state == ASK_ADOPTING) {
		give_back(pool);
		begin_asking(pool);
	} else {
		settle(pool, &grant.server, 1);
		fail(pool, "%s %s", madcap_endpoint_format(&grant.server, server), problem);
	}
	madcap_grant_done(&grant);
}

static void note_failure(struct pool *pool)
{
	struct ask *ask = &pool->remote->ask;

	ask->all_full = false;
	if (ask->why.text[0] == '\0')
		talk_explain(&pool->remote->talk, &ask->why);
}

/* What a silent server may have granted all the same is released there, under its own id. */
static void note_silence(struct pool *pool)
{
	const struct madcap_client *client = &pool->remote->talk.client;
	struct ask *ask = &pool->remote->ask;
	struct madcap_endpoint silent[REMOTE_SERVERS_MAX];
	size_t n = madcap_client_n_silent(client);

	for (size_t i = 0; i < n; i++)
		silent[i] = *madcap_client_silent(client, i);
	settle(pool, silent, n);
	if (madcap_client_code(client) == MADCAP_CLIENT_E_TIMED_OUT)
		ask->is_silent[ask->at] = true;
}

static void conclude_request(struct pool *pool)
{
	struct remote *remote = pool->remote;
	const struct madcap_client *client = &remote->talk.client;

	if (madcap_client_code(client) == 0) {
		take_grant(pool);
		return;
	}
	/* "None of these": any other refusal may have any reason, and is no proof. Of several servers
	 * that were found, only the newest refusal is known. */
	if (!madcap_client_refused_for(client, MADCAP_OPT_RANGES) ||
	    (remote->ask.servers.n == 0 && madcap_client_n_refusals(client) > 1))
		note_failure(pool);
	if (madcap_client_n_silent(client) > 0 ||
	    madcap_client_code(client) == MADCAP_CLIENT_E_TIMED_OUT)
		note_silence(pool);
	remote->ask.at++;
	ask_next(pool);
}

/* Whether the renewal went well or not, the address is the first to be asked for. */
static void conclude_adoption(struct pool *pool)
{
	struct remote *remote = pool->remote;

	if (madcap_client_code(&remote->talk.client) == 0) {
		take_grant(pool);
		return;
	}
	if (remote_is_unknown(&remote->talk))
		settle(pool, NULL, 0);
	else
		give_back(pool);
	begin_asking(pool);
}

/* What was full may not be, now that the dead have given back what they had. */
static void conclude_clearing(struct pool *pool, bool is_late)
{
	struct remote *remote = pool->remote;

	if (remote->delivery.count > 0) {
		remote->ask.end_ms = remote_now_ms(pool) +
				     (int64_t)remote_asked_pool(pool)->madcap.timeout_sec * 1000;
		begin_turn(pool, ASK_ANY);
		return;
	}
	remote->ask.has_cleared = !is_late;
	remote->ask.state = ASK_FULL;
}

/* Discovery has found its server: should we die now, it is there that the lease has to be released. */
static void note_chosen(struct pool *pool)
{
	struct remote *remote = pool->remote;
	struct ask *ask = &remote->ask;
	const struct madcap_endpoint *peer = madcap_client_peer(&remote->talk.client);
	struct server_lease after = ask->record;
	struct error why;

	if (madcap_client_state(&remote->talk.client) != MADCAP_CLIENT_TAKING ||
	    ask->servers.n > 0 || after.n_servers == REMOTE_SERVERS_MAX)
		return;
	if (after.n_servers > 0 && madcap_endpoint_equal(&after.servers[after.n_servers - 1], peer))
		return;
	after.servers[after.n_servers++] = *peer;
	if (server_lease_change(pool, &ask->record, &after, &why) == 0)
		ask->record = after;
	else
		remote_warn(pool, "the server of a request is not kept: %s", why.text);
}

bool remote_ask_step(struct pool *pool)
{
	struct remote *remote = pool->remote;
	struct error why = { "" };

	if (remote == NULL)
		return false;
	if (remote->ask.state == ASK_CLEARING) {
		bool is_late = remote_now_ms(pool) >= remote->ask.end_ms;

		/* Servers that are gone do not hold up this one. */
		if (is_late)
			remote_stop(pool);
		else if (remote_walk_step(pool, &why))
			return true;
		if (why.text[0] != '\0')
			fail(pool, "what is owed cannot be looked at: %s", why.text);
		else
			conclude_clearing(pool, is_late);
		return is_still_running(pool);
	}
	if (remote->task != TASK_ASK)
		return false;
	if (!talk_step(&remote->talk)) {
		note_chosen(pool);
		return true;
	}
	remote->task = TASK_NONE;
	if (remote->ask.state == ASK_ADOPTING)
		conclude_adoption(pool);
	else
		conclude_request(pool);
	return is_still_running(pool);
}

void remote_wait(struct pool *pool, int64_t wait_ms)
{
	if (pool->remote->talk.running)
		talk_wait(&pool->remote->talk, wait_ms);
}

int64_t remote_wait_ms(const struct pool *pool)
{
	return pool->remote->talk.running ? talk_wait_ms(&pool->remote->talk) : 0;
}

/* ---- under a lease of ours -------------------------------------------------------------------- */

void remote_schedule(struct pool_served *served, uint64_t began_us, uint64_t end_us)
{
	served->lease_us = end_us - began_us;
	served->end_us = end_us;
	served->renew_us = began_us + (end_us - began_us) / 2;
	served->is_last_try = false;
}

int remote_bind(struct pool *pool, struct pool_lease *lease, struct error *error)
{
	struct ask *ask = &pool->remote->ask;
	struct pool_served *served = calloc(1, sizeof(*served));
	int code;

	if (served == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	served->record = ask->record;
	served->record.addr = ntohl(lease->addr_be);
	served->record.lease_id = lease->id;
	served->record.registry = ask->registry;
	served->record.busy_us = 0;
	code = server_lease_change(pool, &ask->record, &served->record, error);
	if (code < 0) {
		free(served);
		return code;
	}
	remote_schedule(served, pool->remote->talk.began_us, ask->end_us);
	ask->is_recorded = false;
	ask->state = ASK_NOTHING;
	lease->served = served;
	return 0;
}

void remote_forget(struct pool *pool)
{
	struct remote *remote = pool->remote;

	if (remote == NULL)
		return;
	if (remote->task == TASK_ASK || remote->ask.state == ASK_CLEARING)
		remote_stop(pool);
	give_back(pool);
	range_set_done(&remote->ask.unusable);
	memset(&remote->ask, 0, sizeof(remote->ask));
	memset(remote->verdicts, 0, pool->config->n_pools * sizeof(*remote->verdicts));
}
