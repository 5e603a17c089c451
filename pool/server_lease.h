/* SPDX-License-Identifier: MIT */
/*
 * server_lease.h - leases that a MADCAP server has, or may have, given us, as state_dir keeps them
 * (MC-11, MC-12). Internal to pool/.
 *
 * Why they are on disk: a lease lives at the server whatever becomes of us. So its request id is
 * written before the first REQUEST leaves, and the record goes only when the server has confirmed
 * the release or the lease has ended by itself. Between the two,
 *
 *  - asked: addr and lease_id are 0. A process is asking, or died while it did: any of `servers`
 *    may have granted it.
 *  - held: `addr` is the peer's address and `lease_id` the lease in the registry that stands on it.
 *    As long as the registry has that lease, with a living owner or at rest, this is somebody's, and
 *    if it is dead or rests, its user's next session may take it up again.
 *  - owed: `lease_id` is 0. Before the first release leaves, a record becomes that, and it is never
 *    taken up again. Whoever comes by sends the release (remote_deliver.c).
 *
 * `busy_us` keeps others away from a record while one process talks to a server about it. That it
 * is over, and not a lock, is what frees the record of a process that died: so whatever follows a
 * talk checks, in the same transaction, that the record is still as it was left.
 *
 * Every function here is one synced transaction in the memory store, and blocks for the disk.
 */
#ifndef RASIP_SERVER_LEASE_H
#define RASIP_SERVER_LEASE_H

#include "madcap/client.h"
#include "op.h"

struct server_lease {
	uint64_t number; /* random; with `addr` its key */
	uint32_t addr;   /* host order; 0: asked */
	uint64_t lease_id;
	struct madcap_client_id id; /* the request id: the key to the lease at the server */
	struct madcap_endpoint servers[CONFIG_MADCAP_SERVERS_MAX]; /* where it may have to be
								       released; held: one */
	size_t n_servers;
	bool mobile;       /* Server Mobility was used: other servers know it as well */
	int64_t end_sec;   /* wall clock: the lease has ended by itself */
	uint64_t registry; /* held: op_registry() of the one that `lease_id` is in */
	uint64_t boot;     /* op_boot(), that `busy_us` and `registry` belong to */
	uint64_t busy_us;
	char pool[CONFIG_POOL_NAME_MAX + 1];
	char user[POOL_USER_MAX + 1];
};

struct server_claim {
	uint64_t busy_us;
	uint64_t lease_id; /* what it belongs to from now on, in this registry; 0: it is owed */
	uint64_t registry;
};

/* Writes a new record. */
int server_lease_add(struct pool *pool, const struct server_lease *lease, struct error *error)
	__attribute__((warn_unused_result));

/*
 * Puts `after` in the place of `before`. POOL_E_NOT_FOUND if the record is gone or somebody else
 * has taken it up since (its busy_us is another).
 */
int server_lease_change(struct pool *pool, const struct server_lease *before,
			const struct server_lease *after, struct error *error)
	__attribute__((warn_unused_result));

/* Up to `max` records behind that of `place` (its addr and number), by address. POOL_E_NOT_FOUND
 * where there is no store. */
int server_lease_list(struct pool *pool, const struct server_lease *place, struct server_lease *ret,
		      size_t max, size_t *ret_n, struct error *error)
	__attribute__((warn_unused_result));

/* Removes records; one that is gone already, or that somebody has taken up since, is left alone. */
int server_lease_remove(struct pool *pool, const struct server_lease *gone, size_t n,
			struct error *error);

/* Makes busy what nobody has touched since it was read: *n and the array are then those. */
int server_lease_claim(struct pool *pool, struct server_lease *taken, size_t *n,
		       const struct server_claim *how, struct error *error)
	__attribute__((warn_unused_result));

/* True while some process may be at work on it, at the boot time `stamp`. */
bool server_lease_is_busy(const struct server_lease *lease, uint64_t boot, uint64_t stamp);

/* Writes one in the caller's transaction; the functions above do so in theirs. */
int server_lease_put(struct store_txn *txn, const struct server_lease *lease)
	__attribute__((warn_unused_result));

/* Reads what has been written. 0 or POOL_E_DAMAGED. */
int server_lease_decode(struct store_bytes key, struct store_bytes value, struct server_lease *ret);

#endif
