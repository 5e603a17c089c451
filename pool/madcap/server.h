/* SPDX-License-Identifier: MIT */
/*
 * server.h - the MADCAP server of RFC 2730, without any I/O.
 *
 * Datagrams go in, at most one answer for each comes out, and the clock comes in with them, so the
 * daemon and the tests decide both. Leases live in a book (book.h). What a batch of datagrams
 * changes is made durable in one go, and only then may its answers leave:
 *
 *	madcap_server_begin(server, &clock, &error);
 *	for (each datagram)
 *		madcap_server_step(server, &input[i], &answer[i]);
 *	if (madcap_server_commit(server, &error) < 0)
 *		for (each answer)
 *			madcap_server_fail(server, &input[i], &answer[i]);
 *	send every answer that has a size;
 *
 * madcap_server_tick() has to be called now and then, in a batch: it ends offers and sweeps expired
 * leases, a bounded number at a time.
 *
 * Nothing that a stranger sends makes a table grow without limit: see the limits in the
 * configuration. Nothing is logged; counters and madcap_answer.note say what happened.
 *
 * One thread at a time, and not across a fork. Nothing blocks but begin and commit, as the book's
 * do. Numbers of sections are those of RFC 2730. Sizes are octets; what says nothing else is in
 * host order.
 */
#ifndef RASIP_MADCAP_SERVER_H
#define RASIP_MADCAP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "book.h"
#include "error.h"
#include "proto.h"

#define MADCAP_ANSWER_MAX 8192 /* octets of the longest answer */

struct madcap_clock {
	int64_t mono_ms;  /* monotonic */
	int64_t unix_sec; /* time of day */
};

struct madcap_zone_name {
	const char *language; /* RFC 1766 tag, 1 to 255 octets */
	const char *name;     /* UTF-8, 1 to 255 octets */
	bool is_default;
};

struct madcap_server_scope {
	struct madcap_address first;
	struct madcap_address last;
	uint8_t ttl; /* 3.10 */
	const struct madcap_zone_name *names;
	size_t n_names;                              /* at most 255 */
	const struct madcap_address_range *allocate; /* none: the whole scope */
	size_t n_allocate;
	const struct madcap_address_range *exclude; /* the server group is left out anyway */
	size_t n_exclude;
	const struct madcap_address *inside; /* first addresses of scopes that this one nests in */
	size_t n_inside;
	uint32_t max_lease_sec;     /* 0: no limit but the scope's own life time */
	uint32_t default_lease_sec; /* 0: the longest there is */
	int64_t expires_sec;        /* Unix; the scope's own end; 0: never */
	bool disabled; /* not announced, nothing new is given; leases may be released */
};

struct madcap_server_config {
	const struct madcap_server_scope *scopes; /* at most 255 of a family */
	size_t n_scopes;
	struct madcap_address server_id; /* family 0: the address that answers */

	int64_t extra_allocation_sec;     /* saturates at 2^32 - 1 */
	int64_t clock_skew_allowance_sec; /* DURATION_FOREVER: any clock will do */
	int64_t response_cache_sec;       /* 0 to 300 are taken as they are; more is 300 */
	int64_t offer_hold_sec;
	int64_t retry_after_sec;  /* until a client with a pending lease should ask again; 0: 60 */
	int64_t pending_life_sec; /* until a decision is forgotten; 0: 7 days */

	uint32_t max_addresses_per_request; /* 0: 256 */
	uint32_t max_addresses_per_client;  /* 0: no limit */
	uint32_t retry_after_above;         /* 0: never */
	uint32_t getinfo_rate;              /* long answers a second to an address; 0: no limit */
	uint32_t cache_entries;             /* 0: 65536 */
	uint32_t max_offers;                /* 0: 4096 */
	uint32_t max_pending;               /* 0: 1024; a client: the 16th part */

	uint64_t seed;       /* random, secret */
	bool nak_on_failure; /* a book that fails makes NAKs; else silence */
	bool only_unicast;   /* with IPsec: multicasts but GETINFO are dropped (4) */
};

struct madcap_input {
	const uint8_t *data;
	size_t size;
	struct madcap_endpoint from;
	struct madcap_address to;    /* as in the datagram: our address, or a server group */
	struct madcap_address local; /* the address that answers; the same as `to` if unicast */
};

/* One answer; it goes to the input's `from`, from its `local` address and our port. */
struct madcap_answer {
	size_t size;     /* 0: no answer */
	bool depends;    /* on the batch being committed */
	bool no_memory;  /* was refused for want of memory */
	bool over_limit; /* was refused since its client has what max_addresses_per_client allows */
	uint8_t request; /* message type of what is answered or ignored; 0 if unreadable */
	const char *note; /* static: why it was ignored or refused, or what is special about it */
	uint8_t data[MADCAP_ANSWER_MAX];
};

struct madcap_counters {
	uint64_t received[9]; /* by message type; [0]: garbled or unknown */
	uint64_t offers;
	uint64_t acks;
	uint64_t naks;
	uint64_t naks_by_error[5];
	uint64_t retransmissions; /* answered from the cache */
	uint64_t ignored;         /* no answer at all */
	uint64_t granted;         /* leases */
	uint64_t renewed;
	uint64_t released;
	uint64_t expired; /* leases and offers */
	uint64_t failed_batches;
	uint64_t cache_evictions; /* for lack of room */
	uint64_t
		getinfo_limited; /* of those ignored: long answers that an address had too many of */
};

struct madcap_server;

/*
 * The configuration is borrowed: it has to stay until another takes its place or the server is
 * freed. The book is borrowed as well, and the server tells it its spaces.
 * Returns 0; POOL_E_CONFIG with the reason: scopes that overlap, an empty one, more than 255,
 * `inside` that names no scope; POOL_E_NO_MEMORY.
 */
int madcap_server_new(struct book *book, const struct madcap_server_config *config,
		      struct madcap_server **ret, struct error *error)
	__attribute__((warn_unused_result));
void madcap_server_free(struct madcap_server **server); /* NULL is allowed */

/*
 * Another configuration, between batches; as madcap_server_new(). On failure the old one stays.
 * The sizes of tables (cache_entries, max_offers) stay those that the server was made with.
 */
int madcap_server_configure(struct madcap_server *server, const struct madcap_server_config *config,
			    struct error *error) __attribute__((warn_unused_result));

/* Opens a batch, at this time; of a shared book, the book's time takes the place of the time of
 * day. Returns 0 or the book's code. */
int madcap_server_begin(struct madcap_server *server, const struct madcap_clock *clock,
			struct error *error) __attribute__((warn_unused_result));

/* One datagram in, at most one answer out. Cannot fail: what the book cannot do is a NAK or
 * silence. madcap_server_fail() wants the same input. */
void madcap_server_step(struct madcap_server *server, const struct madcap_input *input,
			struct madcap_answer *ret);

/* 0, or the code of what failed: then nothing in the batch has happened, and every one of its
 * answers has to go through madcap_server_fail(). BOOK_AGAIN: nothing has happened, and the
 * batch is to be begun again, and its datagrams passed in again; once more is enough as a rule. */
int madcap_server_commit(struct madcap_server *server, struct error *error)
	__attribute__((warn_unused_result));

/* After a commit that failed: leaves answers alone that do not depend on it, and makes the others
 * NAKs or silence. */
void madcap_server_fail(struct madcap_server *server, const struct madcap_input *input,
			struct madcap_answer *answer);

/*
 * Ends offers that were held long enough and sweeps at most `max` expired leases, in a batch that
 * the caller opened. Returns true if there is more to do at once.
 */
bool madcap_server_tick(struct madcap_server *server, size_t max);

/* Milliseconds until madcap_server_tick() has something to do, at most 1000. */
int madcap_server_wait_ms(const struct madcap_server *server, const struct madcap_clock *clock);

/* ---- for the operator, each inside a batch of its own ---------------------------------------- */

/* Ends a lease; says yes or no to one that is pending (Retry After, 2.13.2). 0, POOL_E_NOT_FOUND,
 * POOL_E_STORE. */
int madcap_server_release(struct madcap_server *server, struct madcap_bytes id)
	__attribute__((warn_unused_result));
int madcap_server_approve(struct madcap_server *server, struct madcap_bytes id)
	__attribute__((warn_unused_result));
int madcap_server_deny(struct madcap_server *server, struct madcap_bytes id)
	__attribute__((warn_unused_result));

/* The server's own, since it was made. */
const struct madcap_counters *madcap_server_counters(const struct madcap_server *server);

/* Of one scope of the present configuration, by its first address, or of all with NULL; false if
 * there is no such scope. */
bool madcap_server_stats(const struct madcap_server *server, const struct madcap_address *scope,
			 struct book_stats *ret);

/* The groups to be joined: *at starts at 0; every scope's, and the default one of each family that
 * has a scope (2.10), none twice. False at the end. */
bool madcap_server_group_next(const struct madcap_server *server, size_t *at,
			      struct madcap_address *ret);

#endif
