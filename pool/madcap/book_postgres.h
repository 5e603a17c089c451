/* SPDX-License-Identifier: MIT */
/*
 * book_postgres.h - the book's engine for several servers: the leases are in PostgreSQL, and each
 * server has all of them in memory, as they were after some batch.
 *
 * Batches have numbers, and each leaves a random token (book_postgres_schema.c). A commit is one
 * exchange: "if the book is still at the number and token that my memory is of, take the next
 * number, and change these leases". Where the book has gone on, nothing of that happens; then the
 * next batch begins with the lock on the book's row and with what the others did, and cannot be
 * overtaken. So everything is decided by what all servers have done up to then, a scope is full
 * only when it is, and the database's constraints are a second guard that never has to act. A lease
 * in memory that a failover has lost is found out by its batch's token.
 *
 * Nothing is answered on the strength of a connection alone: a batch that changes nothing, but
 * whose answers rest on the book, makes the database commit all the same. A primary that has been cut
 * off from its synchronous standby cannot do that.
 *
 * Time is the database's, carried on by this host's monotonic clock, and it never goes back: the
 * book's row has the newest time of any batch. A batch whose time is off is made again.
 *
 * Offers are in the memory of the server that made them and nowhere else: another server may give
 * the same address away, and then the client that takes the offer gets another one, or a refusal.
 *
 * Waiting. A batch blocks madcapd until the database has answered, or for the timeout; then the
 * connection is given up and made again in the background, and until it works (which includes one
 * commit) nothing else blocks. So signals, the operator and questions that need no book wait for one
 * timeout at most. Doing without that would mean several batches in flight, which gains nothing,
 * as each has to know the result of the one before it.
 */
#ifndef RASIP_MADCAP_BOOK_POSTGRES_H
#define RASIP_MADCAP_BOOK_POSTGRES_H

#include "book.h"

#define POSTGRES_TIMEOUT_MS 2000

/* As book_open(); built without libpq, POOL_E_CONFIG. */
int postgres_book_open(const struct book_options *options, struct book **ret, struct error *error)
	__attribute__((warn_unused_result));

/* As book_init_shared(). */
int postgres_book_init(const struct book_options *options, const char **ret_did,
		       struct error *error) __attribute__((warn_unused_result));

#endif
