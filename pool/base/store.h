/* SPDX-License-Identifier: MIT */
/*
 * store.h - ordered keys and values in one LMDB file; nothing outside store.c knows LMDB.
 *
 * Both of our stores are of this kind: live leases (runtime_dir, not synced) and memory
 * (state_dir, synced). One writer at a time across all processes, readers never block it. A
 * process killed at any point leaves the last committed state. Keys sort as bytes; at most
 * STORE_KEY_MAX of them.
 *
 * Forks: a store must be closed before a fork whose child uses it. A child that finds itself
 * with its parent's store has to forget it (store_forget), not close it.
 *
 * One thread at a time, and one transaction at a time for each store. Not to be opened twice by one
 * process: LMDB's rule, as closing one would drop the other's locks.
 *
 * Transactions and values are the store's; keys and values that are passed in are copied.
 */
#ifndef RASIP_STORE_H
#define RASIP_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#define STORE_KEY_MAX 511

/* So long may one process write; then others no longer wait, for it may have been stopped. */
#define STORE_HELD_MAX_MS 30000

struct store;
struct store_txn;

struct store_bytes {
	const void *data;
	size_t size;
};

/*
 * How far a file may grow where its user does not say. Only addresses are taken for it; but an
 * emulator takes time for each of their pages, and is given less when this is compiled for it.
 */
#ifndef STORE_MAP_BYTES
#define STORE_MAP_BYTES (SIZE_MAX > UINT32_MAX ? UINT64_C(16) << 30 : UINT64_C(256) << 20)
#endif

struct store_options {
	const char *path;
	const char *kind;   /* what the file says it is; another kind is refused */
	uint32_t version;   /* of the records; another version is refused */
	uint64_t map_bytes; /* how far the file may grow; 0: STORE_MAP_BYTES */
	bool synced;        /* commits reach the disk before they return */
	bool create;        /* make the file where it is missing; else POOL_E_NOT_FOUND */
	bool read_only;     /* nothing is written to the file */
	/* What can be done where it is damaged or of another version. NULL: it is moved away, since
	 * nothing is lost that cannot be. Kept as a pointer. */
	const char *advice;
};

#define STORE_ADVICE "move it away once no session uses it" /* for NULL */

/*
 * Opens the file. Returns 0; POOL_E_NOT_FOUND; POOL_E_DAMAGED (not an LMDB file, cut short, or
 * another kind); POOL_E_VERSION; POOL_E_STORE; POOL_E_NO_MEMORY; `error` names the file.
 */
int store_open(struct store **ret, const struct store_options *options, struct error *error)
	__attribute__((warn_unused_result));

/* Closes and nulls; a pointer to NULL is allowed. No transaction may be open. */
void store_close(struct store **store);

/* After a fork: drops the handle without touching what the parent still uses. */
void store_forget(struct store **store);

/* The process that opened it. */
pid_t store_pid(const struct store *store);

/*
 * For a process that keeps a store open: that its file still has its name, and has not been cut
 * short, which a transaction would not live through. 0, POOL_E_STORE, POOL_E_DAMAGED.
 */
int store_check_file(const struct store *store, struct error *error)
	__attribute__((warn_unused_result));

/*
 * A transaction, to be ended by one of the two below; blocks for the writer lock if write (until
 * somebody has had it for STORE_HELD_MAX_MS, then POOL_E_STORE), else for a place where too many are
 * reading (some seconds, then POOL_E_STORE).
 * *ret_fresh, if not NULL, is set to true where the store is empty: a write transaction then has
 * already put the kind and version into it. Returns 0; POOL_E_DAMAGED, POOL_E_VERSION (of the file
 * as it is by now); POOL_E_STORE; POOL_E_NO_MEMORY.
 */
int store_begin(struct store *store, bool write, struct store_txn **ret, bool *ret_fresh,
		struct error *error) __attribute__((warn_unused_result));

/* Both null *txn, whatever is returned. Commit: 0, or POOL_E_STORE, POOL_E_NO_MEMORY; then
 * nothing has changed. Blocks for the disk if the store is synced. */
int store_commit(struct store_txn **txn, struct error *error) __attribute__((warn_unused_result));
void store_abort(struct store_txn **txn); /* NULL is allowed */

/* Values live until the transaction ends or, in a write transaction, until the next change. */
int store_get(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_value)
	__attribute__((warn_unused_result)); /* 0, POOL_E_NOT_FOUND, POOL_E_STORE */
int store_put(struct store_txn *txn, struct store_bytes key, struct store_bytes value)
	__attribute__((warn_unused_result)); /* 0, POOL_E_STORE */
int store_delete(struct store_txn *txn, struct store_bytes key)
	__attribute__((warn_unused_result)); /* 0, POOL_E_NOT_FOUND, POOL_E_STORE */

/* The first entry whose key is at or behind `key`: 0, POOL_E_NOT_FOUND, POOL_E_STORE. */
int store_seek(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_key,
	       struct store_bytes *ret_value) __attribute__((warn_unused_result));

/* The last entry whose key is before `key`: 0, POOL_E_NOT_FOUND, POOL_E_STORE. */
int store_seek_before(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_key,
		      struct store_bytes *ret_value) __attribute__((warn_unused_result));

/* The entry behind the one that the last store_seek or store_next gave; any change in between
 * needs a new store_seek. */
int store_next(struct store_txn *txn, struct store_bytes *ret_key, struct store_bytes *ret_value)
	__attribute__((warn_unused_result));

/*
 * Reads all that the file has, its list of free pages as well. 0, POOL_E_DAMAGED, POOL_E_STORE.
 * Where LMDB finds a page that makes no sense, it ends the process, if not the system does: this is
 * for a process that may be lost.
 */
int store_read_all(struct store_txn *txn) __attribute__((warn_unused_result));

/*
 * Whether all of the file can be read, as a child finds out: 0, also where there is none or it cannot
 * be opened; POOL_E_DAMAGED; POOL_E_SYSTEM where no child could say. Not with threads about, nor while
 * this process has the file open.
 */
int store_check_pages(const struct store_options *options, struct error *error)
	__attribute__((warn_unused_result));

/* What the last failing call in this transaction failed of, in words; static storage. */
const char *store_txn_problem(const struct store_txn *txn);

#endif
