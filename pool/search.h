/* SPDX-License-Identifier: MIT */
/*
 * search.h - the search for one request's address: which rule, reservation or candidate decides,
 * along which chain of pools, and how it is made sure that there is none. Internal to pool/.
 *
 * A choice is made in one write transaction. Where it needs to know more (is a pool that looks full
 * really full? what do the servers say?), that transaction is committed, the question is answered
 * while nobody is held up, and the choice is made anew in another one, from what is known then.
 * What the search has cleared away so far (leases of the dead) stays done.
 *
 *	search_begin -> search_run -> what becomes of search.choice, in search.op -> search_end
 */
#ifndef RASIP_SEARCH_H
#define RASIP_SEARCH_H

#include "assign.h"
#include "lease.h"
#include "scan.h"

struct search {
	struct op op; /* its transaction is open whenever search_run has returned 0 or a refusal */
	const struct pool_choice
		*outside; /* what is to be recorded; NULL: an address is looked for */
	struct assignment assignment;
	struct choice choice; /* the result; its lock is the caller's */
	bool *proven;         /* by pool: a scan found it full */
	size_t to_scan;
	struct scan scan;
	struct error refusal; /* of the first pool that was tried */
	size_t refused_by;    /* the pool to blame, for its counter, or CONFIG_NO_POOL */
};

/* Checks the request, opens the store and begins the first transaction. On an error nothing is
 * left to end. The request and `outside` have to outlive the search; `error` is not NULL. */
int search_begin(struct search *search, struct pool *pool, const struct pool_request *request,
		 const struct pool_choice *outside, struct error *error)
	__attribute__((warn_unused_result));

/* Finds search->choice: returns 0, or an error with the reason in op.error; in a rehearsal
 * (op.rehearsal) REMOTE_ASK, too, where servers would have to be asked. Asks servers and waits
 * for them otherwise. */
int search_run(struct search *search) __attribute__((warn_unused_result));

/* Ends the operation; what was not committed has not happened. */
void search_end(struct search *search);

#endif
