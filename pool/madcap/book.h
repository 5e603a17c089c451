/* SPDX-License-Identifier: MIT */
/*
 * book.h - the lease book of a MADCAP server: who holds which groups, from when to when.
 *
 * The model. A lease has an identifier (opaque octets, the key), a scope, a client (a source
 * address, for limits), a start and an end, and one or more ranges of addresses. Two leases of one
 * address never overlap in time, and the book keeps them `extra_sec` apart. What addresses there
 * are to give away is told with book_set_spaces(). Times are Unix seconds in 32 bits, as in the
 * protocol; what lies beyond 2106 is kept as the last second.
 *
 * Offers are leases too (BOOK_OFFERED): they keep their addresses from others but are in memory
 * only. Pending ones (Retry After) have no addresses yet, and are kept on disk.
 *
 * Batches. Every change stands between book_begin() and book_commit(). Commit returns when all of
 * it is on disk, or else none of it has happened: neither on disk nor in what the book answers. A
 * change that fails with POOL_E_STORE spoils its batch: abort it.
 *
 * Engines. All leases are in memory, where it is decided what a wish gets; an engine keeps batches.
 * There is the engine of one host (book_file.h: one file, one process at a time) and one that several
 * servers share (book_postgres.h: a database); then book_is_shared() is true.
 *
 * Sharing. What the memory of a shared book says may be out of date. That does no harm, as a commit
 * fails with BOOK_AGAIN where any other server has committed since: nothing has happened then, the
 * book knows more now, and the batch is to be made again from its beginning. Who answers by what
 * the book says, and changes nothing, calls book_rely(), so that commit makes sure of it.
 *
 * One thread, one process: after a fork the book is the parent's, and the child leaves it alone.
 * Addresses are as in proto.h, other numbers in host order. Nothing blocks but open and commit and,
 * of a shared book, begin, refresh and work, each for a small multiple of the configured timeout at
 * most; but all leases may have to be read again.
 */
#ifndef RASIP_MADCAP_BOOK_H
#define RASIP_MADCAP_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "proto.h"

#define BOOK_ID_MAX 255     /* octets of a lease identifier */
#define BOOK_RANGES_MAX 256 /* ranges of one lease */

enum book_state {
	BOOK_OFFERED,  /* held for a DISCOVER; not on disk */
	BOOK_ACTIVE,   /* granted; expired when its end has passed */
	BOOK_PENDING,  /* waits for the operator; no addresses */
	BOOK_APPROVED, /* the operator said yes; granted when the client asks again */
	BOOK_DENIED,   /* the operator said no */
};

struct pollfd;

#define BOOK_AGAIN 1 /* of book_commit() */

#define BOOK_SHARED_ID 1 /* flag: the Shared Lease Identifier feature was used (2.13.3) */

struct book_range {
	struct madcap_address first;
	uint32_t count;
};

/* A lease as the book has it; id and ranges are views that live until the next change. */
struct book_lease {
	struct madcap_bytes id;
	enum book_state state;
	uint8_t flags;
	struct madcap_address scope; /* its first address */
	struct madcap_address client;
	uint32_t start_sec;
	uint32_t end_sec;
	uint32_t touched_sec;  /* granted or renewed last */
	uint16_t wanted_min;   /* pending: as asked for */
	uint16_t wanted;       /* pending: as asked for */
	uint32_t wanted_lease; /* pending: seconds */
	uint32_t n_addresses;
	size_t n_ranges;
	const void *place; /* the book's */
};

/* index < n_ranges */
struct book_range book_lease_range(const struct book_lease *lease, size_t index);

/* Whether all of its addresses are in a List of Address Ranges, as in a message of its scope's
 * family. */
bool book_lease_is_within(const struct book_lease *lease, struct madcap_bytes ranges);

/* The addresses of one scope that may be given away. */
struct book_space {
	struct madcap_address scope; /* first and last of the scope, given away or not */
	struct madcap_address last;
	const struct madcap_address_range *allocate; /* inside the scope, sorted, none twice */
	size_t n_allocate;
};

/* What somebody wants. */
struct book_wish {
	struct madcap_bytes id;
	struct madcap_address scope;
	struct madcap_address client;
	enum book_state state; /* BOOK_OFFERED or BOOK_ACTIVE; the others: book_put_pending() */
	uint8_t flags;
	uint16_t count_min; /* 1 <= count_min <= count */
	uint16_t count;
	uint32_t now_sec;
	uint32_t start_sec;        /* >= now_sec */
	uint32_t start_latest_sec; /* >= start_sec; later than start_sec: a later start will do */
	uint32_t lease_sec;        /* >= 1 */
	uint32_t lease_min_sec;    /* 1 <= lease_min_sec <= lease_sec */
	bool restricted;           /* only these addresses will do, the first ones first */
	struct madcap_bytes
		only; /* a List of Address Ranges, as in a message of the scope's family */
};

/* Why a wish was refused. */
enum book_lack {
	BOOK_LACK_ADDRESSES, /* not even one address is free then */
	BOOK_LACK_COUNT,     /* fewer than count_min */
	BOOK_LACK_LISTED,    /* fewer than count_min of those in `only` */
	BOOK_LACK_LEASE,     /* there are, but not for lease_min_sec */
	BOOK_LACK_START,     /* there are, but after start_latest_sec */
};

struct book_options {
	const char *connection; /* to a database, as libpq has it; NULL: a file in state_dir */
	const char *server;     /* shared: what this server is called there */
	int timeout_ms;         /* shared: for one answer of the database */
	const char *state_dir;  /* exists; the file is madcap-book.mdb in it */
	uint64_t map_bytes;     /* how far the file may grow; 0: STORE_MAP_BYTES */
	uint32_t extra_sec;     /* between two leases of an address */
	uint64_t seed;          /* random: where allocation begins, and how hashing goes */
	bool unsynced;          /* for tests only: commits do not wait for the disk */
	bool trusted;           /* for tests only: no child reads the file first */
};

struct book;

/*
 * Opens the book and reads it; with book_set_spaces() about 3 s for a million leases. Of a file a
 * child reads it first, since a damaged page ends who comes across it: not to be called with
 * threads about. Returns 0; POOL_E_REFUSED if another process has it, or the database says no;
 * POOL_E_DAMAGED, POOL_E_VERSION for a file or a schema that is no book of this version, which is
 * left as it is; POOL_E_NOT_FOUND where the database has none; POOL_E_CONFIG for a connection
 * string that is none; POOL_E_STORE, POOL_E_SYSTEM, POOL_E_NO_MEMORY. A database that cannot be
 * reached is no failure: see book_problem().
 */
int book_open(const struct book_options *options, struct book **ret, struct error *error)
	__attribute__((warn_unused_result));
void book_close(struct book **book); /* aborts an open batch; NULL is allowed */

/* True if other servers see the same leases. */
bool book_is_shared(const struct book *book);

/*
 * Replaces the spaces and the distance between leases; leases stay, also those that now lie outside
 * every space. Has to be called once before anything is granted, and not inside a batch.
 * POOL_E_INVALID if spaces overlap, POOL_E_REFUSED if an address of one space is leased in another
 * scope (which was split, joined or moved), POOL_E_NO_MEMORY; then nothing has changed.
 */
int book_set_spaces(struct book *book, const struct book_space *spaces, size_t n,
		    uint32_t extra_sec) __attribute__((warn_unused_result));

/*
 * A database that cannot be reached fails the commit, not the beginning. Commit returns 0,
 * BOOK_AGAIN or a negative code; only then is the reason in `error`.
 */
int book_begin(struct book *book, struct error *error) __attribute__((warn_unused_result));
int book_commit(struct book *book, struct error *error) __attribute__((warn_unused_result));
void book_abort(struct book *book); /* nothing of the batch has happened */

/* In a batch: something is answered by what the book says, so commit has to make sure that it is so
 * still. */
void book_rely(struct book *book);

/* ---- sharing; of a book in a file these do nothing ------------------------------------------- */

/* Makes the tables, or brings them to this version; *ret_did says which, in static text. Blocks.
 * Errors as book_open(), and POOL_E_STORE where the database is not there. */
int book_init_shared(const struct book_options *options, const char **ret_did, struct error *error)
	__attribute__((warn_unused_result));

/*
 * The time that leases go by, in Unix seconds, which never goes back: unix_sec or, where the clock has
 * been set back, a time that goes on from the newest grant; of a shared book the database's time,
 * whatever the clock of this host says. mono_ms is now, on the monotonic clock.
 */
int64_t book_now(struct book *book, int64_t mono_ms, int64_t unix_sec);

/* What servers that share a book have done since each was started. */
struct book_deeds {
	uint64_t granted;
	uint64_t renewed;
	uint64_t released;
};

struct book_peer {
	const char *name;  /* the book's, until it is refreshed */
	uint64_t seen_sec; /* Unix: when it told its deeds last */
	struct book_deeds deeds;
};

/* What the others have done meanwhile, so that listings show it, and tells them what this server
 * has done; NULL: nothing new. Not inside a batch. */
void book_refresh(struct book *book, const struct book_deeds *deeds);

/* The i-th server that has told, as of the last refresh; false behind the last one. */
bool book_peer(const struct book *book, size_t i, struct book_peer *ret);

/* Why nothing can be committed at present, as one line; NULL if it can. */
const char *book_problem(const struct book *book);

/*
 * The connection that is made again in the background. book_poll() says what to wait for, if
 * anything; book_work() goes on with it, and returns the milliseconds until it is to be called
 * again in any case, or -1.
 */
bool book_poll(const struct book *book, struct pollfd *ret);
int book_work(struct book *book);

/* A shared book as it is seen from here. */
struct book_health {
	const char *place; /* the database's host */
	bool is_up;
	uint64_t version;     /* the number of the newest batch that is known */
	uint64_t connections; /* made, in all */
	uint64_t failures;    /* of connections and of statements */
	uint64_t exchanges;   /* round trips */
	uint64_t busy_us;     /* spent in them */
	uint64_t again;       /* batches that were overtaken, and made again */
	uint64_t reloads;     /* how often all leases were read */
};

/* False if it is not shared. */
bool book_health(const struct book *book, struct book_health *ret);

/* The lease with this identifier, in any state, also expired: 0 or POOL_E_NOT_FOUND. */
int book_find(const struct book *book, struct madcap_bytes id, struct book_lease *ret)
	__attribute__((warn_unused_result));

/* The lease that has the address at this time: 0 or POOL_E_NOT_FOUND. */
int book_find_address(const struct book *book, const struct madcap_address *address,
		      uint32_t at_sec, struct book_lease *ret) __attribute__((warn_unused_result));

/*
 * Makes a lease. One that is there under the same identifier is replaced, and its addresses are
 * preferred; on failure it stays.
 * 0, and the lease in *ret; POOL_E_REFUSED with *ret_lack; POOL_E_INVALID (an unknown scope, a
 * wish against its own rules); POOL_E_NO_MEMORY; POOL_E_STORE, which spoils the batch.
 */
int book_grant(struct book *book, const struct book_wish *wish, struct book_lease *ret,
	       enum book_lack *ret_lack) __attribute__((warn_unused_result));

/* Notes that the wish waits for the operator, until end_sec. As book_grant(). */
int book_put_pending(struct book *book, const struct book_wish *wish, uint32_t end_sec,
		     struct book_lease *ret) __attribute__((warn_unused_result));

/* Decides it: BOOK_APPROVED or BOOK_DENIED. POOL_E_NOT_FOUND if no such lease is pending. */
int book_decide(struct book *book, struct madcap_bytes id, enum book_state decision)
	__attribute__((warn_unused_result));

/*
 * Gives an active lease new times, as the wish's id, now, start, start_latest, lease and lease_min
 * say; nothing else of the wish is read. As book_grant(), and POOL_E_NOT_FOUND.
 */
int book_renew(struct book *book, const struct book_wish *wish, struct book_lease *ret,
	       enum book_lack *ret_lack) __attribute__((warn_unused_result));

/* Ends a lease in any state. 0, POOL_E_NOT_FOUND, POOL_E_STORE. */
int book_release(struct book *book, struct madcap_bytes id) __attribute__((warn_unused_result));

/* Removes at most `max` leases that ended `extra_sec` or longer before now, the oldest first; in a
 * batch. *ret_n is their number, 0 if there are none left. */
int book_sweep(struct book *book, uint32_t now_sec, size_t max, size_t *ret_n)
	__attribute__((warn_unused_result));

/* What a client has. */
struct book_client {
	uint64_t addresses; /* in leases of any state */
	uint64_t waiting;   /* leases that are pending, approved or denied */
};

void book_client(const struct book *book, const struct madcap_address *client,
		 struct book_client *ret);

/*
 * Walks through all leases in no particular order. *at starts at 0; POOL_E_NOT_FOUND at the end.
 * Changes in between are allowed; what comes or goes meanwhile may be missed.
 */
int book_next(const struct book *book, uint64_t *at, struct book_lease *ret)
	__attribute__((warn_unused_result));

struct book_stats {
	uint64_t leases[BOOK_DENIED + 1]; /* by state; active ones include expired ones */
	uint64_t addresses[BOOK_DENIED + 1];
	uint64_t size; /* addresses in the space; saturates */
	uint64_t free; /* of them, in no lease at all */
};

/* Of one scope, or of all with NULL; false if the scope is unknown. */
bool book_stats(const struct book *book, const struct madcap_address *scope,
		struct book_stats *ret);

#endif
