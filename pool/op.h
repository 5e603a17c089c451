/* SPDX-License-Identifier: MIT */
/*
 * op.h - one operation on the lease store: a transaction, the time it happens at, the pools'
 * counters it touches and the events it will tell of once it is committed. Internal to pool/.
 */
#ifndef RASIP_OP_H
#define RASIP_OP_H

#include <signal.h>

#include "in_use.h"
#include "owner.h"
#include "pool.h"
#include "record.h"
#include "store.h"

struct remote;

struct pool {
	const struct config *config;
	struct pool_env env; /* boot_us, unix_sec and random are set */
	uint64_t layout; /* hash of what decides which addresses a pool gives, and in which order */
	int runtime_fd;  /* -1: not open */
	struct owner_dir owners;
	struct store *leases; /* NULL: not open */
	uint64_t n_news; /* events that wait for pool_maintain(), when the last ones were written */
	struct remote *remote;         /* the talk with servers; NULL: none so far */
	struct lease_record looked_up; /* what pool_lookup's strings point into */
	char looked_up_pool[CONFIG_POOL_NAME_MAX + 1];
	char looked_up_server[POOL_SERVER_TEXT];
};

/* A pool's counters as this operation sees and changes them. */
struct op_counters {
	bool loaded;
	bool changed;
	struct pool_counters now;
};

struct op_event {
	struct history_record record;
	bool notify;
};

struct op {
	struct pool *pool;
	struct store_txn *txn;
	sigset_t signals; /* the caller's mask, while signals_blocked */
	bool signals_blocked;
	bool write;
	bool proven;    /* the pool that is asked has been scanned: what it says is final */
	bool rehearsal; /* explain: takes no lock, is never committed */
	int64_t now_us;
	int64_t now_sec;
	uint64_t stamp; /* now_us + CLOCK_OFFSET_US, as records hold it */
	bool have_in_use;
	struct in_use in_use;
	const struct pool_request *request; /* acquire and record only */
	struct pool_explanation *trace;     /* explain only */
	struct op_counters *counters;       /* config->n_pools of them */
	struct op_event *events;
	size_t n_events;
	bool tells_modules; /* the observer can call modules: it is not inside of one */
	bool is_unheard;    /* a module would not be told of a release: it must not happen */
	struct error *error;
};

/*
 * Starts an operation without a transaction: blocks signals until op_done(), opens what is not open
 * and, with `create`, makes what is missing. On an error nothing is left to end.
 */
int op_open(struct op *op, struct pool *pool, bool create, struct error *error)
	__attribute__((warn_unused_result));

/*
 * op_open and op_begin_txn. A write operation makes what is missing. In a fresh store, what the
 * memory store remembers is taken in.
 */
int op_begin(struct op *op, struct pool *pool, bool write, struct error *error)
	__attribute__((warn_unused_result));

/* Begins a transaction (the operation must have none) and reads the clocks. On an error the
 * operation is still to be ended by op_done(). */
int op_begin_txn(struct op *op, bool write) __attribute__((warn_unused_result));

/* Ends the transaction and forgets counters and events. */
void op_abort_txn(struct op *op);

/* Writes the counters, commits and tells the observer. On an error nothing has happened. */
int op_commit(struct op *op) __attribute__((warn_unused_result));

/* Frees everything; aborts what has not been committed. */
void op_done(struct op *op);

/* The two together: commits if `code`, what the operation has come to, is 0. Returns that or, where the
 * commit failed, its code. */
int op_end(struct op *op, int code) __attribute__((warn_unused_result));

/* The counters of a pool of the configuration, made, and changed, if the store has none; marks them
 * changed if `change`. NULL, with op->error set and *ret_code, if they cannot be read. */
struct pool_counters *op_counters(struct op *op, size_t pool, bool change, int *ret_code);

/* The index in the configuration of the pool with this number in the store, which an address's
 * record names, or CONFIG_NO_POOL. Most often it is the pool that has the address now. */
size_t op_pool_by_number(struct op *op, uint32_t number, uint32_t addr);

/* Notes an event: it is written with the commit and told after it. What `lease` says is copied. */
void op_note(struct op *op, enum pool_event_kind kind, uint32_t addr, size_t pool,
	     const struct lease_record *lease, const char *text);

void op_set_failure(struct op *op, int code);

/* Sets op->error from the transaction's failure and returns `code`. Here, so that a static analyzer
 * sees that a failure stays one. */
static inline int op_fail(struct op *op, int code)
{
	op_set_failure(op, code);
	return code;
}

/* What a pool has to say to an explain; nothing where nobody asked for it. */
void op_explain(struct op *op, const struct config_pool *config, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether an interface of this machine, or its peer, has the address: 1, 0 or, with op->error set, an
 * error. The table of addresses is read by op_read_in_use(), or else by the first question. */
int op_read_in_use(struct op *op) __attribute__((warn_unused_result));
int op_in_use(struct op *op, uint32_t addr) __attribute__((warn_unused_result));

/* All but faults, as op_open() does, for work on a store outside of an operation. */
void op_block_signals(sigset_t *ret_before);
void op_unblock_signals(const sigset_t *before);

/* Tells this boot of the machine from others; 0 where that cannot be known. */
uint64_t op_boot(const struct pool *pool);

/* Tells this registry from others, of other configurations or one that was lost. Made by the first
 * write transaction that asks; 0 for a reader before. */
int op_registry(struct op *op, uint64_t *ret);

/* The name of a pool of the configuration; "" for CONFIG_NO_POOL. */
const char *op_pool_name(const struct op *op, size_t pool);

#endif
