/* SPDX-License-Identifier: MIT */
/*
 * pool.h - addresses for sessions: acquire, release, explain, look. The public interface of pool/.
 *
 * Model. A struct pool is one process's view of all pools of one configuration and of the lease
 * store that every process with the same runtime_dir shares. The store is the registry of every
 * address that a live session has: dynamic leases, reservations, addresses that pppd brought
 * along, addresses from foreign modules. One address, one live session: the store's key makes the
 * second one fail, and the owner's kernel lock makes sure of it.
 *
 * Ownership. A lease belongs to whoever holds the open-file-description lock whose descriptor
 * is in struct pool_lease. It survives fork (both sides then hold it), ends with its last holder,
 * and a lease whose lock nobody holds is dead: the next process that needs the address, its user's
 * place or the pool's room takes it back. Nothing else ever takes a lease away.
 *
 * Processes and forks. Any number of processes may use one store at the same time. The store is
 * opened when a function needs it; pool_rest() closes it, and it must be closed (pool_rest) before
 * a fork whose child or parent goes on to use this pool. pppd's plugin rests after every call.
 * Not thread-safe: one thread uses one struct pool at a time, and a process opens one struct
 * pool for a runtime_dir at a time.
 *
 * Blocking. Functions block on the store's writer lock (tens of microseconds a holder, milliseconds
 * after many rests ended at once; where a process was stopped inside a transaction, for half a
 * minute, and then POOL_E_STORE says which) and on the disk only in pool_maintain(); where more than
 * a hundred processes read at a time (a full pool is looked through), on one of them. No function
 * waits for another session otherwise. A pool that leases from MADCAP servers adds waiting for them,
 * and for the disk that keeps its request ids: see "servers" below, also for how not to wait.
 *
 * Units. Addresses in this interface are in network byte order (`addr_be`), times are Unix seconds
 * (`_sec`), milliseconds (`_ms`) count from the call or, where it says so, on CLOCK_BOOTTIME.
 *
 * Errors. Functions that return int return 0 or a negative enum pool_code, and leave a line in
 * `why`, which may be NULL. Every one that touches the store can return POOL_E_SYSTEM (a directory,
 * a lock, a table of the kernel), _STORE, _DAMAGED, _VERSION and _NO_MEMORY; only what it returns
 * beside them is said at each. Results are written on success alone, except where it says so.
 *
 * Memory. What is passed in is borrowed for the call, the configuration and the pool_env's
 * context for as long as the pool is open. Strings that callbacks are given live until the callback
 * returns. A callback must not call into the same pool.
 *
 *	struct pool *pool;
 *	struct pool_lease lease = POOL_LEASE_NONE;
 *	struct error why;
 *
 *	if (pool_open(&pool, config, NULL) < 0)
 *		...
 *	if (pool_acquire(pool, &(struct pool_request){ .user = "alice", .port = "ttyS0" },
 *			 &lease, &why) < 0)
 *		refuse(why.text);
 *	...
 *	pool_release(pool, &lease, &why);
 *	pool_close(&pool);
 */
#ifndef RASIP_POOL_H
#define RASIP_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "error.h"

#define POOL_USER_MAX 255 /* bytes; pppd's own limit */
#define POOL_PORT_MAX 63  /* bytes; longer port names are cut */
#define POOL_MODULE_MAX CONFIG_MODULE_NAME_MAX
#define POOL_SERVER_TEXT 72 /* "192.0.2.1:2535", or the like for IPv6, and the NUL */

struct pool;
struct pool_served;

/* Where a lease's address came from. */
enum pool_how {
	POOL_HOW_NONE,
	POOL_HOW_NEW,         /* never used before, or by the pool's order */
	POOL_HOW_STICKY,      /* the address the user had */
	POOL_HOW_RESERVATION, /* assign rule */
	POOL_HOW_CANDIDATE,   /* pppd had it already */
	POOL_HOW_MODULE,      /* a foreign module chose it */
};

/* In one word, as in the log: "new", "sticky" ... */
const char *pool_how_name(enum pool_how how);

enum pool_event_kind {
	POOL_EVENT_GRANT,
	POOL_EVENT_RELEASE,
	POOL_EVENT_RECLAIM, /* a dead process's lease was taken back */
	POOL_EVENT_REFUSAL,
	POOL_EVENT_CONFLICT, /* an address was passed over: in use on this machine */
	POOL_EVENT_ALARM_ON, /* a pool's active leases reached its `alarm` */
	POOL_EVENT_ALARM_OFF,
	POOL_EVENT_WARNING, /* something is wrong that costs nobody his address; in words */
};

/* What happened, told once, after it is in the store. Strings live until the observer returns. */
struct pool_event {
	enum pool_event_kind kind;
	uint32_t addr_be; /* 0 where there is none */
	const char *pool; /* "" where there is none */
	const char *user; /* bytes as the peer sent them: quote before showing */
	const char *port;
	const char *module; /* "" for the built-in pool */
	bool notify;        /* RECLAIM: the module had asked to be told of the release (RA-54) */
	pid_t pid;          /* the session's */
	enum pool_how how;  /* GRANT */
	const char *text;   /* REFUSAL, CONFLICT, ALARM, WARNING: in words; else "" */
};

struct madcap_endpoint;

/* How to talk to MADCAP servers. Sizes are octets; datagrams are the caller's. */
struct pool_net {
	/* May lose it, as the network may. */
	void (*send)(void *context, const struct madcap_endpoint *to, bool multicast,
		     const uint8_t *data, size_t size);
	/* The next datagram that has come in, at most `size` of it, and its size; 0: pass over
	 * it; -1: there is none. Does not block. */
	ssize_t (*receive)(void *context, uint8_t *data, size_t size,
			   struct madcap_endpoint *ret_from);
	/* Until something comes in, or that long. */
	void (*wait)(void *context, int64_t wait_ms);
};

/* Everything that comes from outside; NULL members, or a NULL pointer to it, mean the real thing.
 */
struct pool_env {
	int64_t (*boot_us)(void *context);  /* CLOCK_BOOTTIME, us: the same for all processes */
	int64_t (*unix_sec)(void *context); /* wall clock */
	uint64_t (*boot)(void *context);    /* another number each time the machine starts */
	uint64_t (*random)(void *context);  /* 64 unpredictable bits */
	void (*observe)(void *context, const struct pool_event *event); /* NULL: nobody watches */
	bool (*in_use)(void *context, uint32_t addr_be); /* on this machine; NULL: ask the kernel */
	const struct pool_net *net;                      /* NULL: UDP */
	void *context;
	unsigned int threads; /* that may ask the kernel at a time; 0 or 1: none but the caller's */
};

/*
 * Makes a view of `config`, which must outlive it. Touches nothing: directories and stores are
 * opened, and made where they are missing, by the first call that needs them.
 * Returns 0 or POOL_E_NO_MEMORY.
 */
int pool_open(struct pool **ret, const struct config *config, const struct pool_env *env)
	__attribute__((warn_unused_result));

/* Closes and nulls. Leases that were acquired stay live for as long as their locks are held. */
void pool_close(struct pool **pool);

/* Closes the store until the next call. Cheap where it is closed. */
void pool_rest(struct pool *pool);

struct pool_request {
	const char *user;      /* never NULL; "" is nobody (anonymous) */
	const char *port;      /* never NULL */
	const char *pool_name; /* rasip-pool, or NULL */
	uint32_t candidate_be; /* the address that pppd already has, or 0 */
	uint32_t local_be;     /* our end of this link where known, or 0: never given to the peer */
};

struct pool_lease {
	uint32_t addr_be; /* 0: no lease */
	uint64_t id; /* random, unique in the store: tells this lease from the address's next one */
	int lock_fd; /* -1: not held */
	enum pool_how how;
	bool notify;                         /* foreign modules: a release was asked for */
	char pool[CONFIG_POOL_NAME_MAX + 1]; /* "": outside all pools */
	char user[POOL_USER_MAX + 1];
	char port[POOL_PORT_MAX + 1];
	char module[POOL_MODULE_MAX + 1]; /* "": the built-in pool */
	uint32_t group_be;             /* the multicast group that stands for the address, or 0 */
	char server[POOL_SERVER_TEXT]; /* that granted it; "": none */
	int64_t end_sec;            /* when the server's lease ends, Unix time; 0: there is none */
	struct pool_served *served; /* the server's lease under it, or NULL; the lease's own */
};

#define POOL_LEASE_NONE ((struct pool_lease){ .lock_fd = -1 })

/*
 * Finds an address for the user by the assign rules, records it and takes its lock. `lease` must be
 * empty. On success it is filled in and pool_release() or the process's end gives it back. Returns
 * 0; POOL_E_REFUSED with the reason in words (full, with how many were at rest; limit; reservation
 * or candidate taken; no rule; pool on hold; anonymous); POOL_E_INVALID for a user name over
 * POOL_USER_MAX; POOL_E_NOT_FOUND for an unknown pool_name; POOL_E_BACKEND where a server does not
 * answer or says something else than "full". On any error no address is held, and `why` is what the
 * log is to say. RA-30, RA-31.
 */
int pool_acquire(struct pool *pool, const struct pool_request *request, struct pool_lease *lease,
		 struct error *why) __attribute__((warn_unused_result));

struct pool_choice {
	uint32_t addr_be;
	const char *module; /* never NULL */
	bool notify; /* it asked for the release: whoever reclaims the lease has to tell it */
};

/*
 * Records an address that a foreign module chose, in the same registry (RA-42: refused with
 * POOL_E_REFUSED if a live session has it, if it is in use on this machine or somebody's `local`).
 * `lease` and errors as in pool_acquire().
 */
int pool_record(struct pool *pool, const struct pool_request *request,
		const struct pool_choice *choice, struct pool_lease *lease, struct error *why)
	__attribute__((warn_unused_result));

/*
 * Ends a lease: the address rests or is free, the lock is dropped, and `lease` is empty
 * afterwards, also on an error (the lock is gone, so the lease is dead and will be reclaimed).
 * POOL_E_NOT_OWNER or POOL_E_NOT_FOUND where the store no longer has this lease (owner and address
 * are compared, never the address alone: RA-55). An empty lease: 0.
 */
int pool_release(struct pool *pool, struct pool_lease *lease, struct error *why);

/* Drops the lock and empties `lease` without touching the store: for a forked child that is not
 * the session. While another process holds the lock, the lease goes on. */
void pool_lease_abandon(struct pool_lease *lease);

/* Records that this process now is the lease's (after updetach's fork). Harmless if it already is.
 * Returns as pool_release(). */
int pool_lease_adopt(struct pool *pool, const struct pool_lease *lease, struct error *why);

/* A foreign module is about to be told of the lease's end: should this process die before the lease
 * has been released, nobody tells it again (RA-54). Returns as pool_release(). */
int pool_lease_told(struct pool *pool, const struct pool_lease *lease, struct error *why);

/*
 * Keeps an address, our own end of a link, from being given to a peer for as long as *ret_fd (to
 * be closed by the caller) is open; any number of links may share one. POOL_E_REFUSED if a live
 * peer has it.
 */
int pool_hold_local(struct pool *pool, uint32_t addr_be, int *ret_fd, struct error *why)
	__attribute__((warn_unused_result));

/*
 * The pool whose settings (dns, wins, local) the lease's link gets: the lease's own or, outside all
 * pools (a reservation, a candidate, a module's address), the pool that the user would get an
 * address from: by rasip-pool (`pool_name`, or NULL), or else by the rules. NULL where there is
 * none.
 */
const struct config_pool *pool_lease_config(const struct pool *pool, const struct pool_lease *lease,
					    const char *pool_name);

/*
 * Writes what should outlive a reboot (who had which address) to state_dir, in one synced
 * transaction for everything that all processes have noted since the last time. May block for a
 * disk flush, so never on the way to an address. 0 also if another process is at it.
 */
int pool_maintain(struct pool *pool, struct error *why);

/* True where so many events wait for pool_maintain() that it has a use of its own, also where no
 * session comes up; the oldest of many more would be lost. Touches nothing: it is known from this
 * pool's last operation. */
bool pool_is_behind(const struct pool *pool);

/*
 * Takes back the leases whose owner is dead and tells the observer of each: all but those whose end
 * a foreign module has asked to be told of or, with `modules`, those of foreign modules alone (the
 * observer then has to tell the module: RA-54). *ret_count, if not NULL, is how many. Looks for
 * them in a snapshot, while nobody waits. POOL_E_NOT_FOUND where no session has used this
 * configuration yet.
 */
int pool_reclaim(struct pool *pool, bool modules, uint64_t *ret_count, struct error *why);

/*
 * Takes back, and tells the observer of, what dead sessions have of foreign modules, as far as a
 * module that is asked for this request's address would want to hear of it first: the user's, the
 * port's and the candidate's; and, so that everybody's turn comes, that of a few others each time
 * (of all, while there are no more than a few). So it takes no longer when more sessions are live,
 * but once a second, when it is like pool_reclaim(), which finds all. For `request` see pool_acquire(). Errors as pool_reclaim().
 */
int pool_reclaim_for(struct pool *pool, const struct pool_request *request, struct error *why);

/* ---- servers ----------------------------------------------------------------------------------
 *
 * pool_acquire() and pool_record() do all that pools with backend "madcap" need by themselves, and
 * wait for the servers for as long as the pool's `timeout`; also for flushes of the disk, two for a
 * grant and two for a release, one process at a time. A process that must not wait for servers has
 * the talking done before, in steps. pool_release() sends, and pool_settle() waits for the answer.
 *
 * A process has one talk with servers at a time. It is not for a forked child to go on with:
 * after a fork only one of the two may call any of these.
 */

#define POOL_WAIT 1 /* not an error: something is under way, call again */

/*
 * Asks the servers that pool_acquire() would have to ask for this request (RFC 2730, 2.2.2 to
 * 2.2.5). To be called while it returns POOL_WAIT, each time after *ret_ms or when something may
 * have come in (pool_wait). Then pool_acquire() with the same request seldom has to wait, and says
 * what the servers said. Blocks on the stores, and for a flush of the disk before the first request
 * leaves.
 */
int pool_prepare(struct pool *pool, const struct pool_request *request, int64_t *ret_ms);

/* Waits for an answer to what pool_prepare() has asked, for at most that long. */
void pool_wait(struct pool *pool, int64_t wait_ms);

/* Nobody will come for what was prepared: it is given back. Harmless where nothing was. */
void pool_unprepare(struct pool *pool);

/*
 * Renews the server's lease under `lease` when it is due (RFC 2730, 2.2.7). To be called again
 * after *ret_ms (INT64_MAX: there is nothing to renew). POOL_E_BACKEND: the address is, or will in
 * a moment, not be ours any longer, and has to go out of use now; `why` says why. Does not wait.
 */
int pool_keep(struct pool *pool, struct pool_lease *lease, int64_t *ret_ms, struct error *why)
	__attribute__((warn_unused_result));

/* Waits a moment for the server to confirm what pool_release() has sent. Without it, or where no
 * answer comes, the lease stays owed, and whoever comes by releases it. */
void pool_settle(struct pool *pool);

/*
 * Releases leases that are owed to their servers (RFC 2730, 2.2.8): of dead processes, and those
 * that could not be delivered; some of them, each time others. POOL_WAIT: call again after *ret_ms,
 * else 0 or an error. Does not wait. Gives way to pool_prepare() and pool_keep(), so to be left
 * alone then.
 */
int pool_deliver(struct pool *pool, int64_t *ret_ms, struct error *why);

/* The same for all of them, and waits. *ret_count is how many were delivered. */
int pool_deliver_all(struct pool *pool, uint64_t *ret_count, struct error *why);

/* How many dead leases there are of foreign modules: those that a pool_reclaim without `modules`
 * leaves. Errors as pool_reclaim(). */
int pool_count_waiting(struct pool *pool, uint64_t *ret_count, struct error *why)
	__attribute__((warn_unused_result));

/* ---- for the operator's tool: nothing below is used by sessions ------------------------------ */

enum pool_state { POOL_STATE_ACTIVE, POOL_STATE_HELD, POOL_STATE_REMEMBERED };

struct pool_record {
	uint32_t addr_be;
	enum pool_state state;
	const char *pool; /* "": outside all pools */
	const char *user;
	const char *port;
	const char *module;
	bool notify;       /* ACTIVE: that module has to be told of the end */
	int64_t since_sec; /* ACTIVE: when granted; else when released */
	/* HELD: when the rest ends (INT64_MAX: never). ACTIVE: when its server's lease ends. 0: no
	 * end. */
	int64_t expires_sec;
	pid_t pid; /* ACTIVE; else 0 */
	/* ACTIVE: when that process had the lease, ms of CLOCK_BOOTTIME. A process with its number
	 * that was started later is another one. */
	int64_t seen_ms;
	uint64_t id;
	uint32_t group_be;  /* ACTIVE, in a MADCAP pool; else 0 */
	const char *server; /* that gave the lease, with its port; "": none */
};

struct pool_filter {
	const char *pool;      /* NULL: any */
	const char *user_glob; /* NULL: any */
	uint32_t addr_be;      /* 0: any */
	bool all;              /* resting and remembered ones too */
	bool dead;             /* active ones whose owner is dead alone, as pool_find_dead has it */
};

/*
 * Calls `each` for every record that fits (`filter` NULL: that is active), in address order, from one
 * consistent snapshot, without blocking any session. `each` returns 0 to go on, anything else to stop,
 * which is then returned. POOL_E_NOT_FOUND where no session has used this configuration yet.
 */
int pool_walk(struct pool *pool, const struct pool_filter *filter,
	      int (*each)(void *context, const struct pool_record *record), void *context,
	      struct error *why);

/* One event of the past. */
struct pool_past {
	enum pool_event_kind kind;
	int64_t time_sec;
	int64_t granted_sec; /* RELEASE, RECLAIM: when the lease began; else 0 */
	uint32_t addr_be;    /* 0: none */
	enum pool_how how;   /* GRANT */
	pid_t pid;
	const char *pool;
	const char *user;
	const char *port;
	const char *module;
	const char *text; /* REFUSAL, CONFLICT, ALARM: in words; else "" */
};

/*
 * Calls `each` for what happened, oldest first, until it returns something else than 0, which is
 * then returned. The last POOL_HISTORY_MAX events are kept, across reboots. POOL_E_NOT_FOUND where
 * nothing has ever happened.
 */
#define POOL_HISTORY_MAX 200000
int pool_history(struct pool *pool, int (*each)(void *context, const struct pool_past *past),
		 void *context, struct error *why);

/* The same for the newest n events, and maybe for some before them. */
int pool_history_newest(struct pool *pool, size_t n,
			int (*each)(void *context, const struct pool_past *past), void *context,
			struct error *why);

struct pool_stats {
	const struct config_pool *config;
	uint64_t size;      /* addresses of the ranges, less excludes and local ends */
	uint64_t active;    /* live leases, dead ones that nobody has reclaimed yet included */
	uint64_t held;      /* at rest, or put aside because in use on this machine */
	uint64_t free;      /* what anybody could be given now; 0 in hold-down and drain */
	uint64_t reserved;  /* addresses of the pool that only their user gets */
	double utilisation; /* active / size, per cent */
	uint64_t peak;
	uint64_t grants;
	uint64_t refusals;
	uint64_t reclaims;
};

/* Fills `ret`, an array of config->n_pools entries, also where there is no store yet. */
int pool_stats(struct pool *pool, struct pool_stats *ret, struct error *why);

/* What one pool of the chain had to say to an explain. */
struct pool_step {
	const struct config_pool *config;
	char text[256]; /* "full: 254 of 254 active", "gives 10.64.0.7: the address alice had" */
};

#define POOL_STEPS_MAX 64

struct pool_explanation {
	const struct config_rule *rule; /* NULL: rasip-pool, or none matched */
	int code;                       /* what pool_acquire would return */
	uint32_t addr_be;               /* where code is 0 */
	enum pool_how how;
	const struct config_pool *config; /* the pool that gives; NULL: none, or outside all */
	size_t n_steps;
	struct pool_step steps[POOL_STEPS_MAX];
	struct error why; /* where code is not 0 */
};

/*
 * What pool_acquire would do now, by the same code, without doing it: ret->code and, where that is
 * not 0, ret->why. Blocks writers for as long as an acquire does, and makes directory and store
 * where they are missing. Returns 0 if there is an explanation, else why there is none.
 */
int pool_explain(struct pool *pool, const struct pool_request *request,
		 struct pool_explanation *ret, struct error *why);

/*
 * What the registry has on an address, in whatever state, and whether a live session holds its
 * lock. Both are looked at one after the other: of a session that is just ending, the record may
 * still be active and the lock gone. ret_record's strings live until the next call.
 * POOL_E_NOT_FOUND.
 */
int pool_lookup(struct pool *pool, uint32_t addr_be, struct pool_record *ret_record,
		bool *ret_alive, struct error *why);

/* A lease that pool_walk showed as active. */
struct pool_owner {
	uint32_t addr_be;
	uint64_t id;
	bool dead; /* it is still in the registry, and no session holds its lock */
};

/*
 * Finds out which of these leases, in the order of their addresses, are waiting to be taken back:
 * sets `dead` of each. Every lock is asked for, by up to env.threads threads. As with pool_lookup, a
 * session that is giving its address back at this moment may be taken for dead. On an error `dead`
 * says nothing.
 */
int pool_find_dead(struct pool *pool, struct pool_owner *owners, size_t n, struct error *why)
	__attribute__((warn_unused_result));

/* Ends an address's rest and forgets who had it; takes a dead lease back. POOL_E_NOT_OWNER if a
 * live session has it, POOL_E_NOT_FOUND if nothing is known of it. */
int pool_forget(struct pool *pool, uint32_t addr_be, struct error *why);

/*
 * Takes back the lease `id` of an address, which looked dead. POOL_E_NOT_FOUND if it has ended
 * since then, which leaves all that is remembered; POOL_E_NOT_OWNER if a live session has it.
 */
int pool_take_back(struct pool *pool, uint32_t addr_be, uint64_t id, struct error *why)
	__attribute__((warn_unused_result));

#endif
