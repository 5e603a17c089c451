/* SPDX-License-Identifier: MIT */
/*
 * Leases that are owed to their servers are released: of processes that died, and those whose release
 * was not heard. Whoever has the time looks at some of the records in state_dir; a pool that is full
 * has all of them looked at first.
 */
#include <stdlib.h>
#include <string.h>

#include "madcap/endpoint.h"
#include "remote_impl.h"

/* How far one look goes, and for how long a server is asked for one lease. */
#define LOOK_MAX 64
#define LOOKS_AT_ONCE 8
#define DELIVER_WAIT_MS 1500
#define DELIVER_TRIES 2

/* For so long nobody tries again what could not be delivered. */
#define AGAIN_US UINT64_C(5000000)

/* So long after its end, by a wall clock that may be wrong, a record of others is of no use. */
#define FORGET_SEC (INT64_C(7) * 86400)

/* What the registry says of a lease in state_dir. */
enum standing {
	STANDING_USED, /* somebody's, at rest, or being worked at */
	STANDING_OWED,
	STANDING_ENDED, /* long over, by itself */
	STANDING_DEAD,  /* its owner is, and the registry does not know yet */
};

/* One of them, or an error. *ret is the registry's record where it is dead. */
static int find_standing(struct op *op, const struct server_lease *lease, struct lease_record *ret)
{
	uint64_t boot = op_boot(op->pool);
	uint64_t registry;
	int code;

	/* Where the boot cannot be known, nothing is proven. */
	if (boot == 0 || lease->boot == 0 || server_lease_is_busy(lease, boot, op->stamp))
		return STANDING_USED;
	if (lease->lease_id == 0 || lease->boot != boot)
		return STANDING_OWED; /* or of before the machine was started anew */
	code = op_registry(op, &registry);
	if (code < 0)
		return code;
	/* In another registry, or in one that was lost under its sessions: nobody can tell. */
	if (lease->registry != registry)
		return lease->end_sec <= op->now_sec - FORGET_SEC ? STANDING_ENDED : STANDING_USED;
	code = record_get_lease(op->txn, lease->addr, ret);
	if (code == POOL_E_NOT_FOUND || (code == 0 && ret->id != lease->lease_id))
		return STANDING_OWED;
	if (code < 0)
		return op_fail(op, code);
	if (!ret->active)
		return lease_is_resting(op, lease->addr, ret) ? STANDING_USED : STANDING_OWED;
	if (owner_is_live(&op->pool->owners, lease->addr))
		return STANDING_USED;
	/* A module has to be told first, by a process that has it. */
	return ret->notify && ret->module[0] != '\0' ? STANDING_USED : STANDING_DEAD;
}

/* The same after the dead has been taken back. */
static int bury(struct op *op, const struct server_lease *lease, const struct lease_record *record)
{
	struct lease_record now;
	int code = lease_reclaim(op, lease->addr, record);

	return code < 0 ? code : find_standing(op, lease, &now);
}

/* One look at state_dir. */
struct lot {
	struct server_lease found[LOOK_MAX];
	size_t n_found;
	struct server_lease owed[DELIVER_MAX];
	size_t n_owed;
	size_t seen; /* of those found, until as many were owed as can be delivered at once */
};

/* Judges them. With `write`, the dead are taken back on the way; without, the first one ends it, and
 * *ret_dead is true. */
static int sort_out(struct pool *pool, struct lot *lot, bool write, bool *ret_dead,
		    struct error *why)
{
	struct op op;
	int code = op_begin(&op, pool, write, why);

	*ret_dead = false;
	lot->n_owed = 0;
	if (code < 0)
		return code;
	for (lot->seen = 0; lot->seen < lot->n_found && lot->n_owed < DELIVER_MAX; lot->seen++) {
		const struct server_lease *lease = &lot->found[lot->seen];
		struct lease_record record;

		code = find_standing(&op, lease, &record);
		if (code == STANDING_DEAD && write)
			code = bury(&op, lease, &record);
		*ret_dead = code == STANDING_DEAD;
		if (code < 0 || *ret_dead)
			break;
		if (code == STANDING_OWED || code == STANDING_ENDED)
			lot->owed[lot->n_owed++] = *lease;
		if (code == STANDING_ENDED)
			lot->owed[lot->n_owed - 1].n_servers = 0; /* nobody to tell */
	}
	if (code >= 0)
		code = write ? op_commit(&op) : 0;
	op_done(&op);
	return code;
}

/* The registry is looked at without holding up anybody, unless a dead one has to be taken back. */
static int find_owed(struct pool *pool, struct lot *lot, struct error *why)
{
	bool is_dead;
	int code = sort_out(pool, lot, false, &is_dead, why);

	if (code == POOL_E_NOT_FOUND || (code == 0 && is_dead))
		code = sort_out(pool, lot, true, &is_dead, why);
	return code;
}

/* Where there is nobody to tell, that is all. */
static int take_up(struct pool *pool, const struct lot *lot, struct error *why)
{
	struct delivery *delivery = &pool->remote->delivery;
	const struct server_claim owed = {
		.busy_us = remote_stamp(pool) + UINT64_C(1000000) * REMOTE_OWED_SEC,
	};
	struct server_lease gone[DELIVER_MAX];
	size_t n_gone = 0;
	int code = 0;

	for (size_t i = 0; i < lot->n_owed; i++) {
		if (lot->owed[i].n_servers == 0)
			gone[n_gone++] = lot->owed[i];
		else
			delivery->owed[delivery->n++] = lot->owed[i];
	}
	if (n_gone > 0)
		code = server_lease_remove(pool, gone, n_gone, why);
	if (code == 0 && delivery->n > 0)
		code = server_lease_claim(pool, delivery->owed, &delivery->n, &owed, why);
	if (code < 0)
		delivery->n = 0;
	return code;
}

/* One look behind delivery->place, which becomes the last record that was looked at; *ret_seen: how
 * many were. */
static int look(struct pool *pool, size_t *ret_seen, struct error *why)
{
	struct delivery *delivery = &pool->remote->delivery;
	struct lot *lot = calloc(1, sizeof(*lot));
	int code;

	delivery->n = 0;
	*ret_seen = 0;
	if (lot == NULL) {
		error_set(why, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	code = server_lease_list(pool, &delivery->place, lot->found, LOOK_MAX, &lot->n_found, why);
	if (code == 0 && lot->n_found > 0)
		code = find_owed(pool, lot, why);
	if (code == 0 && lot->n_found > 0) {
		delivery->place = lot->found[lot->seen - 1];
		*ret_seen = lot->seen;
		code = take_up(pool, lot, why);
	}
	explicit_bzero(lot, sizeof(*lot));
	free(lot);
	return code == POOL_E_NOT_FOUND ? 0 : code;
}

static bool is_dead(const struct delivery *delivery, const struct madcap_endpoint *server)
{
	for (size_t i = 0; i < delivery->n_dead; i++)
		if (madcap_endpoint_equal(&delivery->dead[i], server))
			return true;
	return false;
}

static struct madcap_servers servers_of(const struct pool *pool, const struct server_lease *record,
					const struct madcap_endpoint *server)
{
	struct madcap_servers servers = remote_holders(pool, record, server);

	servers.total_ms = (int64_t)servers.n * DELIVER_WAIT_MS;
	servers.tries = DELIVER_TRIES;
	return servers;
}

/* The next server of the next record that is worth asking; false if there is none. */
static bool send_next(struct pool *pool)
{
	struct remote *remote = pool->remote;
	struct delivery *delivery = &remote->delivery;

	for (; delivery->at < delivery->n; delivery->at++, delivery->server = 0) {
		const struct server_lease *record = &delivery->owed[delivery->at];
		struct madcap_query query = { .operation = MADCAP_RELEASE_LEASE,
					      .family = MADCAP_IPV4,
					      .id = record->id };

		/* Whoever was stopped on the way finds that others may have taken it up. */
		if (!server_lease_is_busy(record, op_boot(pool), remote_stamp(pool))) {
			delivery->is_undelivered[delivery->at] = true;
			continue;
		}
		for (; delivery->server < record->n_servers; delivery->server++) {
			const struct madcap_endpoint *server = &record->servers[delivery->server];
			struct madcap_servers servers = servers_of(pool, record, server);

			if (!is_dead(delivery, server) &&
			    talk_start(&remote->talk, &query, &servers, "", NULL) == 0) {
				remote->task = TASK_DELIVER;
				return true;
			}
			delivery->is_undelivered[delivery->at] = true;
		}
	}
	return false;
}

/* What the servers have confirmed is owed no longer, nor what has ended by itself by now; the rest is
 * anybody's again, after `wait_us`. */
static int finish_delivery(struct pool *pool, uint64_t wait_us, struct error *why)
{
	struct delivery *delivery = &pool->remote->delivery;
	const struct server_claim still_owed = { .busy_us = remote_stamp(pool) + wait_us };
	int64_t now_sec = pool->env.unix_sec(pool->env.context);
	struct server_lease *owed = delivery->owed;
	size_t n_done = 0, n_left;
	int code = 0;

	pool->remote->task = TASK_NONE;
	for (size_t i = 0; i < delivery->n; i++) {
		delivery->count += !delivery->is_undelivered[i];
		if (!delivery->is_undelivered[i] || owed[i].end_sec <= now_sec) {
			struct server_lease done = owed[i];

			owed[i] = owed[n_done];
			owed[n_done++] = done;
		}
	}
	n_left = delivery->n - n_done;
	delivery->n = 0;
	if (n_done > 0)
		code = server_lease_remove(pool, owed, n_done, why);
	if (code == 0 && n_left > 0)
		code = server_lease_claim(pool, owed + n_done, &n_left, &still_owed, why);
	return code;
}

void remote_deliver_stop(struct pool *pool)
{
	struct delivery *delivery = &pool->remote->delivery;
	struct error ignored;

	for (size_t i = delivery->at; i < delivery->n; i++)
		delivery->is_undelivered[i] = true;
	(void)finish_delivery(pool, 0, &ignored); /* else they are busy for a while longer */
}

/* True while there is something to wait for. */
static bool deliver_step(struct pool *pool)
{
	struct remote *remote = pool->remote;
	struct delivery *delivery = &remote->delivery;
	int code;

	if (!talk_step(&remote->talk))
		return true;
	code = madcap_client_code(&remote->talk.client);
	if (code != 0 && !remote_is_unknown(&remote->talk)) {
		delivery->is_undelivered[delivery->at] = true;
		if (code == MADCAP_CLIENT_E_TIMED_OUT && delivery->n_dead < REMOTE_SERVERS_MAX)
			delivery->dead[delivery->n_dead++] =
				delivery->owed[delivery->at].servers[delivery->server];
	}
	delivery->server++;
	return send_next(pool);
}

/* Begins to deliver what a look has found. */
static bool deliver_begin(struct pool *pool)
{
	struct delivery *delivery = &pool->remote->delivery;

	delivery->at = 0;
	delivery->server = 0;
	memset(delivery->is_undelivered, 0, sizeof(delivery->is_undelivered));
	return send_next(pool);
}

/* Somewhere else each time, so that in the end all are seen; those that were only asked for have no
 * address and stand before all others. */
static struct server_lease random_place(struct pool *pool)
{
	const struct config *config = pool->config;
	uint64_t random = pool->env.random(pool->env.context);
	const struct config_piece *piece = &config->pieces[random % config->n_pieces];
	uint64_t size = (uint64_t)piece->range.last - piece->range.first + 1;
	struct server_lease place = { .number = 0 };

	if ((random >> 63) != 0)
		place.addr = piece->range.first + (uint32_t)((random >> 20) % size);
	return place;
}

/* Some of those behind a random place and, where that comes to the end, some from the beginning. */
static int look_around(struct pool *pool, struct error *why)
{
	struct delivery *delivery = &pool->remote->delivery;
	size_t seen;
	int code;

	delivery->n_dead = 0;
	delivery->place = random_place(pool);
	code = look(pool, &seen, why);
	if (code < 0 || seen == LOOK_MAX || delivery->n > 0)
		return code;
	delivery->place = (struct server_lease){ .number = 0 };
	return look(pool, &seen, why);
}

int pool_deliver(struct pool *pool, int64_t *ret_ms, struct error *why)
{
	struct remote *remote = config_has_servers(pool->config) ? remote_get(pool) : NULL;
	bool goes_on;
	int code = 0;

	if (remote == NULL || (remote->task != TASK_NONE && remote->task != TASK_DELIVER) ||
	    remote->delivery.is_walking)
		return 0;
	if (remote->task == TASK_DELIVER) {
		goes_on = deliver_step(pool);
	} else {
		code = look_around(pool, why);
		goes_on = code == 0 && deliver_begin(pool);
	}
	*ret_ms = REMOTE_POLL_MS;
	if (goes_on)
		return POOL_WAIT;
	return code < 0 ? code : finish_delivery(pool, AGAIN_US, why);
}

/* ---- all of them ------------------------------------------------------------------------------ */

void remote_walk_begin(struct pool *pool)
{
	struct delivery *delivery = &pool->remote->delivery;

	remote_stop(pool);
	delivery->place = (struct server_lease){ .number = 0 };
	delivery->count = 0;
	delivery->n_dead = 0;
	delivery->is_walking = true;
}

static int walk_on(struct pool *pool, bool *ret_goes_on, struct error *why)
{
	struct remote *remote = pool->remote;
	size_t seen = 1;
	int code = 0;

	*ret_goes_on = true;
	if (remote->task == TASK_DELIVER) {
		if (deliver_step(pool))
			return 0;
		code = finish_delivery(pool, AGAIN_US, why);
	}
	for (int i = 0; i < LOOKS_AT_ONCE && code == 0; i++) {
		code = look(pool, &seen, why);
		if (code < 0 || seen == 0 || deliver_begin(pool))
			break;
		code = finish_delivery(pool, AGAIN_US, why);
	}
	*ret_goes_on = code == 0 && seen > 0;
	return code;
}

bool remote_walk_step(struct pool *pool, struct error *why)
{
	bool goes_on;

	if (!pool->remote->delivery.is_walking)
		return false;
	(void)walk_on(pool, &goes_on, why);
	if (!goes_on)
		remote_stop(pool);
	return goes_on;
}

int pool_deliver_all(struct pool *pool, uint64_t *ret_count, struct error *why)
{
	struct remote *remote = config_has_servers(pool->config) ? remote_get(pool) : NULL;
	bool goes_on = true;
	int code = 0;

	*ret_count = 0;
	if (remote == NULL)
		return 0;
	remote_walk_begin(pool);
	while (goes_on && code == 0) {
		code = walk_on(pool, &goes_on, why);
		if (goes_on)
			remote_wait(pool, INT64_MAX);
	}
	remote_stop(pool);
	*ret_count = remote->delivery.count;
	return code;
}
