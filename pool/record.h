/* SPDX-License-Identifier: MIT */
/*
 * record.h - what stands in the lease store, and in the memory store.
 *
 * Lease store (RUNTIME/leases.mdb), one tree; the first octet of a key says what it is:
 *
 *	'L' addr	struct lease_record: the registry. Every address that is active, at rest,
 *			put aside or remembered has one; one without has never been used
 *	'N' number	struct history_record: what happened, not yet in the memory store
 *	'O' addr	owed to the memory store; value: a random number. Next to 'P', so that a
 *			grant changes one page for both
 *	'P' name	struct pool_counters: a pool's number and counters
 *	'Q' pool queue order addr	free addresses that have been used, in the order in which
 *			`queue` gives them out; no value
 *	'U' user 0 pool 'a' addr	the user's active leases in a pool; no value
 *	'U' user 0 none 'r' ~time addr	the addresses the user had last, latest first; no value
 *	'F' addr	active leases of foreign modules; no value
 *	'G' user 0 addr, 'T' port 0 addr	the same, by user and by port; no value
 *	'C'		u64: the address of a foreign module's lease from which to look on for dead ones
 *	'B'		u64: when all of them were looked at, on the boot clock
 *	'I'		u64: tells this registry from others
 *	'D' endpoint	a server that did not answer; value: when, on the boot clock
 *	'S' addr	struct served_record: what an active lease stands on, where a server gave it
 *
 * Memory store (STATE/memory.mdb):
 *
 *	'A' addr	struct memory_record: who had the address last
 *	'H' number	struct history_record: what happened, oldest first
 *	'W' addr number	struct server_lease (server_lease.h): leases held from servers, or owed to them
 *
 * Integers are big-endian, so keys sort as numbers do. Decoding checks everything: a record that
 * does not fit is an error, never a wrong address. Addresses in host order.
 */
#ifndef RASIP_RECORD_H
#define RASIP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"
#include "store.h"

#define LEASES_FILE "leases.mdb"
#define LEASES_KIND "rasip-leases"
#define LEASES_VERSION 2 /* of the records, and of the lock files (owner.h) */
#define MEMORY_FILE "memory.mdb"
#define MEMORY_KIND "rasip-memory"
#define MEMORY_VERSION 1

#define RECORD_SIZE_MAX 1024 /* bytes of any value */

#define POOL_NUMBER_NONE 0 /* outside all pools */

/* In which queue of its pool a free address stands. */
enum queue {
	QUEUE_NONE = 0,
	QUEUE_TIME = 't', /* by time of release: rests until `hold` has passed, then free */
	QUEUE_INDEX =
		'i', /* by index in the pool's ranges: rested when they came (sequential, random) */
	QUEUE_ASIDE = 'x', /* by end of the time for which a conflict puts it aside */
};

struct lease_record {
	bool active;
	enum queue queue;  /* where not active */
	uint64_t order;    /* where not active: the key in `queue` */
	uint32_t pool;     /* its number */
	uint64_t id;       /* of this lease, or of the last one */
	int64_t since_sec; /* wall clock: granted or released */
	uint64_t since_us; /* boot clock, offset: when `pid` was seen to have it, or released */
	enum pool_how how;
	bool notify;
	pid_t pid;
	char user[POOL_USER_MAX + 1]; /* whose it is, or was; "" where nobody's */
	char port[POOL_PORT_MAX + 1];
	char module[POOL_MODULE_MAX + 1];
};

/* Whether a module has to be told of the end of this lease: the lease of a dead session is then for
 * those to take back who can (RA-54). */
static inline bool record_waits_for_module(const struct lease_record *record)
{
	return record->active && record->notify && record->module[0] != '\0';
}

/* Times before boot (from the memory store) must not be negative in keys. */
#define CLOCK_OFFSET_US (INT64_C(1) << 52)

/* A rest this long is for ever, and cannot overflow. */
#define HOLD_FOREVER_SEC (INT64_C(1) << 40)

struct pool_counters {
	uint32_t number;
	uint64_t layout;   /* hash of the configuration that `position` belongs to */
	uint64_t position; /* addresses before it, in the pool's own sequence, have been used */
	uint64_t key;      /* of the random sequence */
	uint64_t active;
	uint64_t peak;
	uint64_t grants;
	uint64_t refusals;
	uint64_t reclaims;
	uint64_t scanned_us; /* boot clock: the last search for dead leases that found none */
	bool alarm_on;
};

struct memory_record {
	bool released; /* ended at `since_sec`; else granted then, or nobody knows */
	int64_t since_sec;
	char user[POOL_USER_MAX + 1];
};

struct history_record {
	enum pool_event_kind kind;
	int64_t time_sec;    /* wall clock: when it happened */
	int64_t granted_sec; /* RELEASE, RECLAIM: when the lease began; else 0 */
	uint32_t addr;       /* 0: none */
	enum pool_how how;   /* GRANT */
	pid_t pid;
	char pool[CONFIG_POOL_NAME_MAX + 1];
	char user[POOL_USER_MAX + 1];
	char port[POOL_PORT_MAX + 1];
	char module[POOL_MODULE_MAX + 1];
	char text[256];
};

/* The server's lease under an active lease of the registry. */
struct served_record {
	struct madcap_endpoint server;
	int64_t end_sec; /* wall clock */
};

struct key {
	uint8_t bytes[320];
	size_t size;
};

struct key key_lease(uint32_t addr);
struct key key_pool(const char *name);
struct key key_queue(uint32_t pool, enum queue queue, uint64_t order, uint32_t addr);
struct key key_user_active(const char *user, uint32_t pool, uint32_t addr);
struct key key_user_remembered(const char *user, uint64_t since_us, uint32_t addr);
struct key key_dirty(uint32_t addr);
struct key key_foreign(uint32_t addr);
struct key key_foreign_user(const char *user, uint32_t addr);
struct key key_foreign_port(const char *port, uint32_t addr);
struct key key_served(uint32_t addr);
struct key key_silent(const struct madcap_endpoint *server);
struct key key_memory(uint32_t addr);
struct key key_server_lease(uint32_t addr, uint64_t number);
bool key_of_server_lease(struct store_bytes found, uint32_t *ret_addr, uint64_t *ret_number);
struct key key_news(uint64_t number);
struct key key_history(uint64_t number);
/* The number at the end of those two. */
uint64_t key_number(struct store_bytes found);

static inline struct store_bytes key_bytes(const struct key *key)
{
	return (struct store_bytes){ key->bytes, key->size };
}

/* True if found begins with the first `prefix` bytes of key. */
bool key_has_prefix(struct store_bytes found, const struct key *key, size_t prefix);

/*
 * A walk over the entries whose keys begin with the first `prefix` bytes of a key, from that key on:
 *
 *	struct entries entries = entries_from(txn, &key, 1);
 *
 *	while (entries_next(&entries))
 *		... entries.key, entries.value
 *	return entries.code;
 *
 * A transaction has one walk at a time, and what is changed in it ends the walk.
 */
struct entries {
	struct store_txn *txn;
	const struct key *begin; /* the caller's */
	size_t prefix;
	bool begun;
	int code; /* why there are no more: 0, they are all seen; POOL_E_STORE */
	struct store_bytes key;
	struct store_bytes value;
};

struct entries entries_from(struct store_txn *txn, const struct key *begin, size_t prefix);
bool entries_next(struct entries *entries);

/* The address at a key's end, which all keys but a pool's have; false if it is too short. */
bool key_addr(struct store_bytes found, uint32_t *ret_addr);

/* Sizes of the prefixes that searches use. */
size_t key_queue_prefix(void);                      /* 'Q' pool queue */
size_t key_user_prefix(const char *user);           /* 'U' user 0 pool 'a'|'r' */
uint64_t key_queue_order(struct store_bytes found); /* of a key_queue */

struct wire_reader;
struct wire_writer;
void record_write_endpoint(struct wire_writer *writer, const struct madcap_endpoint *endpoint);
bool record_read_endpoint(struct wire_reader *reader, struct madcap_endpoint *ret);
/* Unix time: no clock stands before 1970, and the difference of two of these is a number. */
int64_t record_read_time(struct wire_reader *reader);

/* Read and write one record. 0, POOL_E_NOT_FOUND, POOL_E_DAMAGED (does not decode), POOL_E_STORE.
 */
int record_get_lease(struct store_txn *txn, uint32_t addr, struct lease_record *ret);
int record_put_lease(struct store_txn *txn, uint32_t addr, const struct lease_record *record);
int record_decode_lease(struct store_bytes value, struct lease_record *ret);
int record_get_pool(struct store_txn *txn, const char *name, struct pool_counters *ret);
int record_put_pool(struct store_txn *txn, const char *name, const struct pool_counters *counters);
int record_decode_pool(struct store_bytes value, struct pool_counters *ret);
int record_get_registry(struct store_txn *txn, uint64_t *ret);
int record_put_registry(struct store_txn *txn, uint64_t registry);
int record_get_foreign_next(struct store_txn *txn, uint32_t *ret_addr);
int record_put_foreign_next(struct store_txn *txn, uint32_t addr);
int record_get_foreign_seen(struct store_txn *txn, uint64_t *ret_us);
int record_put_foreign_seen(struct store_txn *txn, uint64_t us);
int record_get_silent(struct store_txn *txn, const struct madcap_endpoint *server,
		      uint64_t *ret_us);
int record_put_silent(struct store_txn *txn, const struct madcap_endpoint *server, uint64_t us);
int record_get_served(struct store_txn *txn, uint32_t addr, struct served_record *ret);
int record_put_served(struct store_txn *txn, uint32_t addr, const struct served_record *record);
int record_put_memory(struct store_txn *txn, uint32_t addr, const struct memory_record *record);
int record_decode_memory(struct store_bytes value, struct memory_record *ret);
int record_put_history(struct store_txn *txn, const struct key *key,
		       const struct history_record *record);
int record_decode_history(struct store_bytes value, struct history_record *ret);

/* An entry without a value. */
int record_put_mark(struct store_txn *txn, const struct key *key);
/* Deletes; that it is not there is no error. */
int record_delete(struct store_txn *txn, const struct key *key);

#endif
