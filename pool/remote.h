/* SPDX-License-Identifier: MIT */
/*
 * remote.h - how a pool leases its addresses from MADCAP servers. Internal to pool/.
 *
 * The model: a multicast group of the pool's scope stands for each address (config_group()). Who has
 * the server's lease of the group, and only he, may use the address, on whichever machine he is.
 * The registry on this machine comes on top of that: it has every address of every backend.
 *
 * An address is chosen in turns. Inside the store's transaction remote_choose() says what is to be
 * asked for and answers REMOTE_ASK; the transaction is ended; remote_ask() and its steps talk to the
 * servers; then the choice is made again, from what they said. Nobody waits for a server while he
 * holds up others.
 *
 *	asked for, in this order		where
 *	the lease that this user's last		at the server that gave it: a renewal
 *	session left, at rest or dead
 *	the user's last address			servers in their order
 *	any of the pool's addresses		servers in their order
 *
 * "Full" is what all servers say, of the very list of groups that they were asked for, after what dead
 * sessions on this machine had has been given back. Silence, and any other refusal, is a failure of the
 * backend, and no other pool is tried then: an address that is given twice is worse than none.
 *
 * Times on this machine are measured on the boot clock, from before a request was sent, so that the
 * wall clock decides nothing and a suspended machine finds its leases ended. (A virtual machine that is
 * paused does not know it.)
 */
#ifndef RASIP_REMOTE_H
#define RASIP_REMOTE_H

#include "lease.h"
#include "server_lease.h"

/* Positive, not an error: a server has to be asked before the choice can be made. */
#define REMOTE_ASK 4

/* The server's lease under a lease of ours; struct pool_lease has it. */
struct pool_served {
	struct server_lease record; /* as it stands in state_dir */
	uint64_t lease_us;          /* how long it was when it was last renewed */
	uint64_t end_us;            /* boot clock: the address is not ours any longer */
	uint64_t renew_us;          /* boot clock: when it is to be renewed next */
	bool is_last_try;           /* that renewal is the last one before the end */
	bool may_shorten;           /* the server cannot give as much as is left: less will do */
	bool is_lost;               /* the session may not go on with it */
	bool is_gone;               /* the server does not know it: nothing is owed */
	struct error why;           /* of the last renewal that failed, or of the loss */
};

/* As local_choose(), and REMOTE_ASK. */
int remote_choose(struct op *op, size_t pool, struct choice *choice);

/* For one particular address of the pool: a reservation, a candidate, a module's. 0 if the servers
 * have leased it to us (then the registry decides), REMOTE_ASK, POOL_E_REFUSED or a failure. */
int remote_allows(struct op *op, size_t pool, uint32_t addr);

/* After REMOTE_ASK: begins to ask. True if there is something to wait for. */
bool remote_ask(struct pool *pool);
/* Goes on, without waiting. False when it is over, and the choice can be made again. */
bool remote_ask_step(struct pool *pool);
/* Until something comes in or the next step is due, for at most that long. */
void remote_wait(struct pool *pool, int64_t wait_ms);
int64_t remote_wait_ms(const struct pool *pool);

/* 0 if the servers have granted this address, and *ret is what the registry shows of it. To be asked
 * in the transaction that grants it. */
int remote_granted(struct op *op, uint32_t addr, struct served_record *ret);

/* Writes down what the granted lease now stands under: `lease`, in the registry already. It is then
 * lease->served. On an error the caller gives the address back. */
int remote_bind(struct pool *pool, struct pool_lease *lease, struct error *error)
	__attribute__((warn_unused_result));

/* The pool that remote_choose() or remote_allows() would ask for. */
const struct config_pool *remote_asked_pool(const struct pool *pool);

/* Forgets what the servers said; what they granted and nobody took is owed to them. */
void remote_forget(struct pool *pool);

/* When the pool is closed. */
void remote_free(struct remote **remote);

/* Before the registry gives the address up: the server's lease is owed from now on. False if there is
 * nothing to release. */
bool remote_claim(struct pool *pool, struct pool_served *served);
/* Afterwards: sends the release. pool_settle() waits for the answer. */
void remote_release(struct pool *pool, const struct pool_served *served);

/* Frees and nulls it, and does nothing else: the session is another process's. */
void remote_abandon(struct pool_served **served);

#endif
