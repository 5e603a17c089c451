/* SPDX-License-Identifier: MIT */
/*
 * release.c - a lease in a session's hands, from its grant to its release; and our own end of the
 * link, for which there is a lock and no lease.
 */
#include "pool.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "assign.h"
#include "lease.h"
#include "parse.h"
#include "remote.h"

static void empty(struct pool_lease *lease)
{
	owner_drop(ntohl(lease->addr_be), &lease->lock_fd);
	remote_abandon(&lease->served);
	*lease = POOL_LEASE_NONE;
}

/* The record of this very lease; anything else is somebody else's (RA-55). */
static int find_own(struct op *op, const struct pool_lease *lease, struct lease_record *ret)
{
	char text[IP4_TEXT_SIZE];
	uint32_t addr = ntohl(lease->addr_be);
	int code = record_get_lease(op->txn, addr, ret);

	if (code == 0 && ret->active && ret->id == lease->id)
		return 0;
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	code = code == 0 && ret->active ? POOL_E_NOT_OWNER : POOL_E_NOT_FOUND;
	error_set(op->error, "%s: %s", format_ip4(addr, text),
		  code == POOL_E_NOT_OWNER ? "the address belongs to another session by now"
					   : "the store knows no such lease");
	return code;
}

static int write_own(struct op *op, const struct pool_lease *lease,
		     const struct lease_record *record)
{
	int code = record_put_lease(op->txn, ntohl(lease->addr_be), record);

	return code < 0 ? op_fail(op, code) : 0;
}

/* Whether the address is kept from others for a while: then its server keeps the lease. */
static bool rests_after(const struct pool *pool, const struct pool_lease *lease)
{
	size_t index = config_find_pool(pool->config, lease->pool);

	return index != CONFIG_NO_POOL && pool->config->pools[index].hold_sec > 0 &&
	       range_set_find(&pool->config->pools[index].dynamic, ntohl(lease->addr_be), NULL);
}

static int end_lease(struct op *op, struct pool_lease *lease)
{
	uint32_t addr = ntohl(lease->addr_be);
	struct lease_record record;
	int code = find_own(op, lease, &record);

	if (code == 0)
		code = lease_end(op, addr, &record);
	if (code < 0)
		return code;
	op_note(op, POOL_EVENT_RELEASE, addr, op_pool_by_number(op, record.pool, addr), &record,
		"");
	/* While nobody else can be in the store, so that nobody finds the address free and the lock
	 * still held. */
	owner_drop(addr, &lease->lock_fd);
	return 0;
}

int pool_release(struct pool *pool, struct pool_lease *lease, struct error *why)
{
	struct op op;
	bool is_owed;
	int code;

	if (lease->addr_be == 0)
		return 0;
	/* First, so that nobody takes up what we release. */
	is_owed = lease->served != NULL && !rests_after(pool, lease) &&
		  remote_claim(pool, lease->served);
	code = op_begin(&op, pool, true, why);
	if (code == 0)
		code = op_end(&op, end_lease(&op, lease));
	if (is_owed && code == 0)
		remote_release(pool, lease->served);
	empty(lease);
	return code;
}

void pool_lease_abandon(struct pool_lease *lease)
{
	if (lease->lock_fd >= 0)
		close(lease->lock_fd);
	remote_abandon(&lease->served);
	*lease = POOL_LEASE_NONE;
}

int pool_lease_adopt(struct pool *pool, const struct pool_lease *lease, struct error *why)
{
	struct lease_record record;
	struct op op;
	int code;

	if (lease->addr_be == 0)
		return 0;
	code = op_begin(&op, pool, true, why);
	if (code < 0)
		return code;
	code = find_own(&op, lease, &record);
	if (code == 0 && record.pid != getpid()) {
		record.pid = getpid();
		record.since_us = op.stamp;
		code = write_own(&op, lease, &record);
	}
	return op_end(&op, code);
}

int pool_lease_told(struct pool *pool, const struct pool_lease *lease, struct error *why)
{
	struct lease_record record;
	struct op op;
	int code = op_begin(&op, pool, true, why);

	if (code < 0)
		return code;
	code = find_own(&op, lease, &record);
	if (code == 0) {
		record.notify = false;
		code = write_own(&op, lease, &record);
	}
	return op_end(&op, code);
}

int pool_hold_local(struct pool *pool, uint32_t addr_be, int *ret_fd, struct error *why)
{
	struct op op;
	int code = op_open(&op, pool, true, why);

	if (code < 0)
		return code;
	code = owner_take(&pool->owners, ntohl(addr_be), true, ret_fd, why);
	if (code == POOL_E_REFUSED)
		code = lease_refuse_own_end(&op, ntohl(addr_be));
	op_done(&op);
	return code;
}

const struct config_pool *pool_lease_config(const struct pool *pool, const struct pool_lease *lease,
					    const char *pool_name)
{
	const char *name = lease->pool[0] != '\0' ? lease->pool : pool_name;
	size_t index = assign_pool(pool->config, lease->user, lease->port, name);

	return index == CONFIG_NO_POOL ? NULL : &pool->config->pools[index];
}
