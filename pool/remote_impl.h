/* SPDX-License-Identifier: MIT */
/*
 * remote_impl.h - what remote*.c share. One process has one talk with servers at a time; what is
 * more urgent ends what is less so: asking for an address, renewing one, giving leases back.
 */
#ifndef RASIP_REMOTE_IMPL_H
#define RASIP_REMOTE_IMPL_H

#include "remote.h"
#include "talk.h"

#define REMOTE_SERVERS_MAX CONFIG_MADCAP_SERVERS_MAX

_Static_assert(REMOTE_SERVERS_MAX == MADCAP_CLIENT_SERVERS_MAX,
	       "who can be configured can be asked, and whom the client asked can be written down");

/* How long nobody else touches a record on top of the time that the talk may take. A process that
 * is stopped for longer finds the record gone, and gives no address. */
#define REMOTE_BUSY_SEC 60

/* The same of a lease that is owed, and never used again: who releases it a second time does no
 * harm, and nobody needs this long. */
#define REMOTE_OWED_SEC 20

/* How often a process that cannot wait looks whether an answer has come. */
#define REMOTE_POLL_MS 50

enum ask_state {
	ASK_NOTHING,
	ASK_WANTED,   /* remote_choose() has said what for */
	ASK_ADOPTING, /* renewing what the user's last session left */
	ASK_FIRST,    /* requesting the user's last address */
	ASK_ANY,      /* requesting any that will do, or the only one that does */
	ASK_CLEARING, /* all are full: is anything of that our own, and dead? */
	ASK_GRANTED,
	ASK_FULL,   /* the servers have none for us: proven */
	ASK_FAILED, /* the backend has failed: see `why` */
};

struct ask {
	enum ask_state state;
	size_t pool;
	uint32_t only;             /* this address and no other; 0: any */
	uint32_t first;            /* the user's last one; 0: none */
	uint64_t first_id;         /* its last lease in the registry */
	uint64_t registry;         /* op_registry() */
	struct range_set unusable; /* granted once, and in the way on this machine */
	size_t n_noted;            /* of those: told of as conflicts */
	bool may_clear;            /* nobody has looked for leftovers a moment ago */
	bool has_cleared;          /* we have, and there were none */
	int64_t end_ms;            /* boot clock: all tries together */

	/* Each server is asked by itself, under a request id of its own where one before it was
	 * silent: what that one may have granted is released there and nowhere else. */
	struct madcap_servers servers; /* in the order in which they are asked; n 0: discovery */
	bool is_silent[REMOTE_SERVERS_MAX];  /* of them; not asked again */
	bool was_silent[REMOTE_SERVERS_MAX]; /* of the configured ones, a while ago: asked last */
	size_t at;
	bool all_full; /* so far */

	bool is_recorded;
	struct server_lease record; /* as it stands in state_dir, where is_recorded */
	uint32_t addr;              /* GRANTED */
	uint64_t end_us;            /* GRANTED: boot clock */
	char user[POOL_USER_MAX + 1];
	struct error why;
};

/* What the servers of one pool have said in this search. */
struct verdict {
	bool is_full;
	char text[256];
};

enum task { TASK_NONE, TASK_ASK, TASK_RENEW, TASK_RELEASE, TASK_DELIVER };

#define DELIVER_MAX 16

/* Releases that are on their way. */
struct delivery {
	struct server_lease owed[DELIVER_MAX];
	bool is_undelivered[DELIVER_MAX];
	size_t n;
	size_t at;                                       /* owed[at] and */
	size_t server;                                   /* its servers[server] are asked */
	struct madcap_endpoint dead[REMOTE_SERVERS_MAX]; /* have not answered: not asked again */
	size_t n_dead;
	uint64_t count;            /* delivered by this process so far */
	bool is_walking;           /* through all of them: on behind `place` */
	struct server_lease place; /* the last one that was looked at */
};

struct remote {
	struct talk talk;
	enum task task;
	struct ask ask;
	struct verdict *verdicts;      /* by pool */
	uint64_t renewing;             /* TASK_RENEW: the record's number */
	struct server_lease releasing; /* TASK_RELEASE: the record */
	struct delivery delivery;
};

/* The pool's, made if it has none; NULL: no memory. */
struct remote *remote_get(struct pool *pool);

/* Ends whatever talk goes on. */
void remote_stop(struct pool *pool);

/* What is being delivered is left to others. For remote_stop(). */
void remote_deliver_stop(struct pool *pool);

uint64_t remote_stamp(const struct pool *pool); /* the boot clock as records hold it */
int64_t remote_now_ms(const struct pool *pool);

/* The configured servers, in order; `first`, if not NULL, before all others. Where the pool has
 * none, the group in which they are looked for. */
struct madcap_servers remote_servers(const struct config_pool *config,
				     const struct madcap_endpoint *first);

/* Those that may be asked about the lease of a record: `server` and, where that one shares its leases
 * with others (RFC 2730, 2.13.1), its pool's other servers behind it. */
struct madcap_servers remote_holders(const struct pool *pool, const struct server_lease *record,
				     const struct madcap_endpoint *server);

/* When to renew a lease that was asked for at `began_us`; both as records hold the boot clock. */
void remote_schedule(struct pool_served *served, uint64_t began_us, uint64_t end_us);

/* How long a grant lasts from now on: its start may lie in the past, by the server's own clock. */
int64_t remote_lease_sec(const struct madcap_grant *grant);

/* Only this refusal, and of all that were asked, says that the server has no such lease; after any other, it may. */
bool remote_is_unknown(const struct talk *talk);

void remote_warn(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Goes through all records and releases what is owed. Begins; then each step is to be repeated while
 * it is true: a talk is under way, or there is more to look at. remote->delivery.count counts.
 */
void remote_walk_begin(struct pool *pool);
bool remote_walk_step(struct pool *pool, struct error *why);

#endif
