/* SPDX-License-Identifier: MIT */
#include "lease.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "madcap/endpoint.h"
#include "parse.h"

_Static_assert(POOL_SERVER_TEXT >= MADCAP_ENDPOINT_TEXT, "a server's name fits");

size_t lease_dynamic_pool(const struct op *op, uint32_t addr)
{
	const struct config *config = op->pool->config;
	size_t pool = config_pool_of(config, addr);

	if (pool == CONFIG_NO_POOL || !range_set_find(&config->pools[pool].dynamic, addr, NULL))
		return CONFIG_NO_POOL;
	return pool;
}

/* No two marks are alike: a change of what is just being written down is seen by that. */
int lease_mark_dirty(struct op *op, uint32_t addr)
{
	uint64_t mark = op->pool->env.random(op->pool->env.context);
	struct key key = key_dirty(addr);
	int code = store_put(op->txn, key_bytes(&key), (struct store_bytes){ &mark, sizeof(mark) });

	return code < 0 ? op_fail(op, code) : 0;
}

uint64_t lease_rest_end(const struct op *op, uint32_t addr, const struct lease_record *record)
{
	size_t pool;
	int64_t hold;

	if (record->active)
		return 0;
	if (record->queue == QUEUE_ASIDE)
		return record->order > op->stamp ? record->order : 0;
	pool = lease_dynamic_pool(op, addr);
	if (pool == CONFIG_NO_POOL)
		return 0;
	hold = op->pool->config->pools[pool].hold_sec;
	if (hold == 0 ||
	    record->since_us == 0) /* 0: nobody has released it, or that is forgotten */
		return 0;
	if (hold >= HOLD_FOREVER_SEC)
		return UINT64_MAX;
	if (record->since_us + (uint64_t)hold * 1000000 <= op->stamp)
		return 0;
	return record->since_us + (uint64_t)hold * 1000000;
}

bool lease_is_resting(const struct op *op, uint32_t addr, const struct lease_record *record)
{
	return lease_rest_end(op, addr, record) != 0;
}

int lease_unqueue(struct op *op, uint32_t addr, const struct lease_record *record)
{
	struct key key = key_queue(record->pool, record->queue, record->order, addr);
	int code;

	if (record->queue == QUEUE_NONE)
		return 0;
	code = record_delete(op->txn, &key);
	return code < 0 ? op_fail(op, code) : 0;
}

static uint64_t order_in(const struct op *op, size_t pool, enum queue queue, uint32_t addr,
			 const struct lease_record *record)
{
	uint64_t index = 0;

	switch (queue) {
	case QUEUE_TIME:
		return record->since_us;
	case QUEUE_ASIDE:
		return op->stamp + ASIDE_SEC * UINT64_C(1000000);
	case QUEUE_INDEX:
		range_set_find(&op->pool->config->pools[pool].ranges, addr, &index);
		return index;
	case QUEUE_NONE:
	default:
		return 0;
	}
}

static int forget_user(struct op *op, uint32_t addr, const struct lease_record *record)
{
	struct key key;
	int code;

	if (record->user[0] == '\0')
		return 0;
	key = key_user_remembered(record->user, record->since_us, addr);
	code = record_delete(op->txn, &key);
	return code < 0 ? op_fail(op, code) : 0;
}

static int write_free(struct op *op, uint32_t addr, const struct lease_record *record)
{
	int code = record_put_lease(op->txn, addr, record);

	if (code == 0 && record->user[0] != '\0') {
		struct key key = key_user_remembered(record->user, record->since_us, addr);

		code = record_put_mark(op->txn, &key);
	}
	return code < 0 ? op_fail(op, code) : 0;
}

int lease_enqueue(struct op *op, size_t pool, enum queue queue, uint32_t addr,
		  struct lease_record *record)
{
	int code;
	const struct pool_counters *counters = op_counters(op, pool, true, &code);
	struct key key;

	if (counters == NULL)
		return code;
	record->active = false;
	record->pool = counters->number;
	record->queue = queue;
	record->order = order_in(op, pool, queue, addr, record);
	key = key_queue(record->pool, queue, record->order, addr);
	code = record_put_mark(op->txn, &key);
	if (code < 0)
		return op_fail(op, code);
	return write_free(op, addr, record);
}

bool lease_is_own_end(const struct op *op, uint32_t addr)
{
	return op->request != NULL && htonl(addr) == op->request->local_be;
}

int lease_refuse_own_end(struct op *op, uint32_t addr)
{
	char text[IP4_TEXT_SIZE];

	error_set(op->error, "%s, our end of the link, belongs to a peer's live session",
		  format_ip4(addr, text));
	return POOL_E_REFUSED;
}

int lease_take(struct op *op, uint32_t addr, struct choice *choice)
{
	char text[IP4_TEXT_SIZE];
	int code;

	if (lease_is_own_end(op, addr)) {
		error_set(op->error, "%s is our own end of the link", format_ip4(addr, text));
		return POOL_E_REFUSED;
	}
	code = op_in_use(op, addr);
	if (code < 0)
		return code;
	if (code > 0) {
		error_set(op->error, "%s is in use on this machine", format_ip4(addr, text));
		return POOL_E_REFUSED;
	}
	if (op->rehearsal)
		code = owner_is_held(&op->pool->owners, addr) ? POOL_E_REFUSED : 0;
	else
		code = owner_take(&op->pool->owners, addr, false, &choice->lock_fd, op->error);
	if (code == POOL_E_REFUSED)
		error_set(op->error, "%s is our own end of another link", format_ip4(addr, text));
	if (code == 0)
		choice->addr = addr;
	return code;
}

int lease_take_particular(struct op *op, uint32_t addr, struct choice *choice)
{
	char text[IP4_TEXT_SIZE];
	struct lease_record *known = &choice->known;
	int code = record_get_lease(op->txn, addr, known);

	if (code == 0 && known->active) {
		if (owner_is_live(&op->pool->owners, addr)) {
			error_set(op->error, "%s belongs to a live session",
				  format_ip4(addr, text));
			return POOL_E_REFUSED;
		}
		if (record_waits_for_module(known) && !op->tells_modules) {
			error_set(op->error,
				  "%s is a dead session's, of which module %s has not heard yet",
				  format_ip4(addr, text), known->module);
			return POOL_E_REFUSED;
		}
		code = lease_reclaim(op, addr, known);
		if (code == 0)
			code = record_get_lease(op->txn, addr, known);
	}
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	choice->was_known = code == 0;
	if (choice->was_known && known->queue != QUEUE_ASIDE && lease_is_resting(op, addr, known) &&
	    (op->request->user[0] == '\0' || strcmp(known->user, op->request->user) != 0)) {
		error_set(op->error, "%s is at rest for its last user", format_ip4(addr, text));
		return POOL_E_REFUSED;
	}
	return lease_take(op, addr, choice);
}

static void check_alarm(struct op *op, size_t pool, struct pool_counters *counters)
{
	const struct config_pool *config = &op->pool->config->pools[pool];
	bool on = config->alarm_percent > 0 && config->givable.count > 0 &&
		  counters->active * 100 >= config->givable.count * config->alarm_percent;
	char text[128];

	if (on == counters->alarm_on)
		return;
	counters->alarm_on = on;
	snprintf(text, sizeof(text), "%llu of %llu addresses active, alarm at %u %%",
		 (unsigned long long)counters->active, (unsigned long long)config->givable.count,
		 config->alarm_percent);
	op_note(op, on ? POOL_EVENT_ALARM_ON : POOL_EVENT_ALARM_OFF, 0, pool, NULL, text);
}

static int count_grant(struct op *op, size_t pool, struct lease_record *record)
{
	int code;
	struct pool_counters *counters;

	if (pool == CONFIG_NO_POOL)
		return 0;
	counters = op_counters(op, pool, true, &code);
	if (counters == NULL)
		return code;
	record->pool = counters->number;
	counters->grants++;
	counters->active++;
	if (counters->active > counters->peak)
		counters->peak = counters->active;
	return 0;
}

static int mark_foreign(struct op *op, uint32_t addr, const struct lease_record *record,
			int (*change)(struct store_txn *, const struct key *))
{
	const struct key keys[] = { key_foreign(addr), key_foreign_user(record->user, addr),
				    key_foreign_port(record->port, addr) };
	int code = 0;

	if (record->module[0] == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys) && code == 0; i++)
		code = change(op->txn, &keys[i]);
	return code;
}

/* Whether a server's lease may stand under it: also where its pool has gone from the configuration. */
static bool may_be_served(struct op *op, uint32_t addr, const struct lease_record *record)
{
	size_t pool = op_pool_by_number(op, record->pool, addr);

	if (record->pool == POOL_NUMBER_NONE)
		return false;
	return pool == CONFIG_NO_POOL || op->pool->config->pools[pool].backend == BACKEND_MADCAP;
}

static int write_active(struct op *op, const struct choice *choice,
			const struct lease_record *record)
{
	uint32_t addr = choice->addr;
	struct key user = key_user_active(record->user, record->pool, addr);
	struct key served = key_served(addr);
	int code = record_put_lease(op->txn, addr, record);

	if (code == 0)
		code = record_put_mark(op->txn, &user);
	if (code == 0)
		code = mark_foreign(op, addr, record, record_put_mark);
	if (code == 0 && choice->is_served)
		code = record_put_served(op->txn, addr, &choice->served);
	/* It may stand there from a lease that ended while the pool had another backend. */
	else if (code == 0 && may_be_served(op, addr, record))
		code = record_delete(op->txn, &served);
	return code < 0 ? op_fail(op, code) : 0;
}

static void fill_in_server(const struct op *op, const struct choice *choice, struct pool_lease *ret)
{
	if (choice->pool != CONFIG_NO_POOL)
		ret->group_be =
			htonl(config_group(&op->pool->config->pools[choice->pool], choice->addr));
	if (!choice->is_served)
		return;
	madcap_endpoint_format(&choice->served.server, ret->server);
	ret->end_sec = choice->served.end_sec;
}

static void fill_in(const struct op *op, const struct choice *choice,
		    const struct lease_record *record, struct pool_lease *ret)
{
	*ret = (struct pool_lease){
		.addr_be = htonl(choice->addr),
		.id = record->id,
		.lock_fd = choice->lock_fd,
		.how = choice->how,
		.notify = record->notify,
	};
	snprintf(ret->pool, sizeof(ret->pool), "%s", op_pool_name(op, choice->pool));
	memcpy(ret->user, record->user, sizeof(ret->user));
	memcpy(ret->port, record->port, sizeof(ret->port));
	memcpy(ret->module, record->module, sizeof(ret->module));
	fill_in_server(op, choice, ret);
}

bool lease_is_remembered(const struct config_pool *config)
{
	return config->sticky || config->hold_sec > 0;
}

/* Where there are rests, the memory follows each beginning and each end of a lease: from an end that
 * was not the last one, no rest can be counted. */
bool lease_is_end_remembered(const struct config_pool *config)
{
	return config->hold_sec > 0;
}

/* Else the memory has to change when the address's last user does, and only then. */
static int note_user_change(struct op *op, const struct choice *choice,
			    const struct lease_record *record)
{
	size_t pool = lease_dynamic_pool(op, choice->addr);
	bool same = choice->was_known && strcmp(choice->known.user, record->user) == 0;

	if (pool == CONFIG_NO_POOL || !lease_is_remembered(&op->pool->config->pools[pool]) ||
	    (same && !lease_is_end_remembered(&op->pool->config->pools[pool])))
		return 0;
	return lease_mark_dirty(op, choice->addr);
}

int lease_grant(struct op *op, const struct choice *choice, const char *module, bool notify,
		struct pool_lease *ret)
{
	struct lease_record record = {
		.active = true,
		.id = op->pool->env.random(op->pool->env.context),
		.since_sec = op->now_sec,
		.since_us = op->stamp,
		.how = choice->how,
		.notify = notify,
		.pid = getpid(),
	};
	int code = 0;

	snprintf(record.user, sizeof(record.user), "%s", op->request->user);
	snprintf(record.port, sizeof(record.port), "%s", op->request->port);
	snprintf(record.module, sizeof(record.module), "%s", module);
	if (choice->was_known) {
		code = lease_unqueue(op, choice->addr, &choice->known);
		if (code == 0)
			code = forget_user(op, choice->addr, &choice->known);
	}
	if (code == 0)
		code = count_grant(op, choice->pool, &record);
	if (code == 0)
		code = write_active(op, choice, &record);
	if (code == 0)
		code = note_user_change(op, choice, &record);
	if (code < 0)
		return code;
	op_note(op, POOL_EVENT_GRANT, choice->addr, choice->pool, &record, "");
	if (choice->pool != CONFIG_NO_POOL)
		check_alarm(op, choice->pool, &op->counters[choice->pool].now);
	fill_in(op, choice, &record, ret);
	return 0;
}

static int unmark_active(struct op *op, uint32_t addr, const struct lease_record *record)
{
	struct key user = key_user_active(record->user, record->pool, addr);
	struct key served = key_served(addr);
	int code = record_delete(op->txn, &user);

	if (code == 0)
		code = mark_foreign(op, addr, record, record_delete);
	if (code == 0 && may_be_served(op, addr, record))
		code = record_delete(op->txn, &served);
	return code < 0 ? op_fail(op, code) : 0;
}

static void count_down(struct pool_counters *counters, bool reclaimed)
{
	if (counters->active > 0)
		counters->active--;
	if (reclaimed)
		counters->reclaims++;
}

/* A pool that the configuration has no longer, or not yet again. */
static int count_end_elsewhere(struct op *op, uint32_t number, bool reclaimed)
{
	const struct key begin = key_pool("");
	struct entries entries = entries_from(op->txn, &begin, 1);

	while (entries_next(&entries)) {
		const struct store_bytes key = entries.key;
		struct pool_counters counters;
		char name[CONFIG_POOL_NAME_MAX + 1] = "";
		int code = record_decode_pool(entries.value, &counters);

		if (code < 0)
			return op_fail(op, code);
		if (key.size <= 1 || key.size > sizeof(name) || counters.number != number)
			continue;
		memcpy(name, (const char *)key.data + 1, key.size - 1);
		count_down(&counters, reclaimed);
		code = record_put_pool(op->txn, name, &counters);
		return code < 0 ? op_fail(op, code) : 0;
	}
	return entries.code < 0 ? op_fail(op, entries.code) : 0;
}

static int count_end(struct op *op, uint32_t number, uint32_t addr, bool reclaimed)
{
	size_t pool = op_pool_by_number(op, number, addr);
	struct pool_counters *counters;
	int code;

	if (number == POOL_NUMBER_NONE)
		return 0;
	if (pool == CONFIG_NO_POOL)
		return count_end_elsewhere(op, number, reclaimed);
	counters = op_counters(op, pool, true, &code);
	if (counters == NULL)
		return code;
	count_down(counters, reclaimed);
	check_alarm(op, pool, counters);
	return 0;
}

/* Back into the pool that gives this address now, whichever it was when the lease began. */
static int put_back(struct op *op, size_t pool, uint32_t addr, struct lease_record *record)
{
	const struct config_pool *config = &op->pool->config->pools[pool];
	enum queue queue = QUEUE_TIME;
	int code;

	if (config->order != ORDER_LEAST_RECENT && config->hold_sec == 0)
		queue = QUEUE_INDEX;
	code = lease_enqueue(op, pool, queue, addr, record);
	if (code == 0 && lease_is_end_remembered(config))
		code = lease_mark_dirty(op, addr);
	return code;
}

/* No pool gives it now: it stands in no queue until the configuration lets a scan find it. */
static int put_away(struct op *op, uint32_t addr, struct lease_record *record)
{
	record->active = false;
	record->queue = QUEUE_NONE;
	return write_free(op, addr, record);
}

static int end(struct op *op, uint32_t addr, const struct lease_record *record, bool reclaimed)
{
	size_t pool = lease_dynamic_pool(op, addr);
	struct lease_record ended = *record;
	int code = unmark_active(op, addr, record);

	if (code == 0)
		code = count_end(op, record->pool, addr, reclaimed);
	if (code < 0)
		return code;
	ended.since_sec = op->now_sec;
	ended.since_us = op->stamp;
	ended.pid = 0;
	ended.notify = false;
	ended.module[0] = '\0';
	return pool != CONFIG_NO_POOL ? put_back(op, pool, addr, &ended)
				      : put_away(op, addr, &ended);
}

int lease_end(struct op *op, uint32_t addr, const struct lease_record *record)
{
	return end(op, addr, record, false);
}

int lease_reclaim(struct op *op, uint32_t addr, const struct lease_record *record)
{
	op_note(op, POOL_EVENT_RECLAIM, addr, op_pool_by_number(op, record->pool, addr), record,
		"");
	return end(op, addr, record, true);
}

int lease_forget(struct op *op, uint32_t addr, const struct lease_record *record)
{
	size_t pool = lease_dynamic_pool(op, addr);
	struct lease_record forgotten = *record;
	int code = lease_unqueue(op, addr, record);

	if (code == 0)
		code = forget_user(op, addr, record);
	if (code == 0)
		code = lease_mark_dirty(op, addr);
	if (code < 0)
		return code;
	forgotten.user[0] = '\0';
	forgotten.port[0] = '\0';
	forgotten.since_us = 0; /* no rest, not even one "forever" */
	if (pool != CONFIG_NO_POOL)
		return lease_enqueue(op, pool, QUEUE_INDEX, addr, &forgotten);
	/* Without a record, a pool that has passed this address would not find it again once the
	 * configuration gives it back. */
	return put_away(op, addr, &forgotten);
}
