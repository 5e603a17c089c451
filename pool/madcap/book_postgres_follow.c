/* SPDX-License-Identifier: MIT */
/* book_postgres_follow.c - how memory follows what other servers have committed. */
#include "book_postgres_impl.h"

#ifdef HAVE_LIBPQ

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "book_postgres_schema.h"

/* The results of the statements, in their order. */
enum { FOLLOW_HEAD, FOLLOW_MINE, FOLLOW_REMOVED, FOLLOW_CHANGED };

/* The columns of the first of them. */
enum { HEAD_PROGRAM, HEAD_SCHEMA, HEAD_EXTRA, HEAD_VERSION, HEAD_TOKEN, HEAD_TIME };

void follow_statements(const struct postgres_book *book, bool locked, struct follow *follow,
		       struct postgres_statement statements[FOLLOW_STATEMENTS])
{
	/* No batch has number -1. */
	snprintf(follow->version, sizeof(follow->version), "%" PRId64,
		 book->is_loaded ? book->version : INT64_C(-1));
	follow->values[0] = follow->version;
	statements[FOLLOW_HEAD] =
		(struct postgres_statement){ .name = locked ? "head_locked" : "head" };
	statements[FOLLOW_MINE] = (struct postgres_statement){ .name = "mine",
							       .n_values = 1,
							       .values = follow->values };
	statements[FOLLOW_REMOVED] = (struct postgres_statement){ .name = "removed",
								  .n_values = 1,
								  .values = follow->values };
	statements[FOLLOW_CHANGED] = (struct postgres_statement){ .name = "changed",
								  .n_values = 1,
								  .values = follow->values };
}

static int64_t number(const PGresult *result, int column)
{
	return strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

/* ---- one lease ------------------------------------------------------------------------------- */

static void forget(struct memory_book *memory, struct madcap_bytes id)
{
	struct lease *lease = lease_index_find(&memory->index, id);

	if (lease == NULL)
		return;
	memory_book_unlink(memory, lease);
	free(lease);
}

static bool are_too_close(const struct lease *a, const struct lease *b)
{
	uint64_t extra = a->space->extra_sec;

	return a->times.start_sec < b->times.end_sec + extra &&
	       b->times.start_sec < a->times.end_sec + extra;
}

/*
 * The others know nothing of what is held here for an offer, and may lease it. Then the offer gives
 * way: it must not keep the lease from being renewed here, and leases of an address never overlap.
 */
static void end_offers(struct memory_book *memory, const struct lease *lease, uint64_t address)
{
	const struct booking *booking = space_bookings(lease->space, address);

	while (booking != NULL) {
		const struct lease *other = lease_of(booking);

		booking = booking->next;
		if (other->state != BOOK_OFFERED || !are_too_close(other, lease))
			continue;
		forget(memory, lease_id(other));
		booking = space_bookings(lease->space, address);
	}
}

static void end_offers_of(struct memory_book *memory, const struct lease *lease)
{
	/* As while all leases are read. */
	if (lease->space->leases[BOOK_OFFERED] == 0)
		return;
	for (size_t i = 0; i < lease->n_spans; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count; j++)
			end_offers(memory, lease, lease->spans[i].first + j);
	}
}

static int damaged(const PGresult *result, int row, struct error *error)
{
	error_set(error,
		  "the lease book is damaged: a lease of scope %s that begins at %s cannot be "
		  "read; see madcap.leases, and restore it from a backup or delete its rows",
		  PQgetvalue(result, row, 3), PQgetvalue(result, row, 5));
	return POOL_E_DAMAGED;
}

/* A lease as the database has it takes the place of what memory had under its identifier. */
static int take_lease(struct postgres_book *book, const PGresult *result, int row,
		      struct error *error)
{
	struct memory_book *memory = &book->memory;
	struct madcap_address scope, client;
	struct lease *lease = NULL;
	int code = lease_from_row(result, row, &lease, &scope, &client);

	if (code == POOL_E_DAMAGED)
		return damaged(result, row, error);
	if (code == 0) {
		forget(memory, lease_id(lease));
		lease->space = memory_book_make_space(memory, &scope);
		if (lease->space == NULL || lease_index_reserve(&memory->index) < 0)
			code = POOL_E_NO_MEMORY;
	}
	if (code == 0 && memory->has_spaces && memory_book_is_astray(memory, lease)) {
		char text[MADCAP_ADDRESS_TEXT];

		error_set(error,
			  "another server leases addresses of the scopes that are configured here "
			  "as scope %s: the scopes have to be the same on all servers",
			  madcap_address_format(&scope, text));
		free(lease);
		return POOL_E_CONFIG;
	}
	if (code == 0 && !memory_book_link(memory, lease, &client, memory->has_spaces))
		code = POOL_E_NO_MEMORY;
	if (code < 0) {
		free(lease);
		error_set(error, "out of memory for leases");
	} else {
		end_offers_of(memory, lease);
	}
	return code;
}

/* ---- what is new ----------------------------------------------------------------------------- */

int follow_judge(struct postgres_book *book, size_t i, struct error *error)
{
	const PGresult *head = postgres_link_result(book->link, i);
	int64_t now_ms = postgres_book_mono_ms();
	int code;

	if (PQntuples(head) != 1 ||
	    strcmp(PQgetvalue(head, 0, HEAD_PROGRAM), SCHEMA_PROGRAM) != 0) {
		error_set(error, "the schema \"madcap\" there is not a lease book of madcapd");
		return POOL_E_DAMAGED;
	}
	code = schema_judge_version(PQgetvalue(head, 0, HEAD_SCHEMA), error);
	if (code < 0)
		return code;
	if (number(head, HEAD_EXTRA) != (int64_t)book->memory.extra_sec) {
		error_set(error,
			  "extra_allocation_time is %" PRIu32 " s here and %" PRId64
			  " s in the lease book: it has to be the same on all servers, and is "
			  "changed by madcapd --init-book",
			  book->memory.extra_sec, number(head, HEAD_EXTRA));
		return POOL_E_CONFIG;
	}
	book->db_ms = number(head, HEAD_TIME);
	book->db_mono_ms = now_ms;
	return 0;
}

static int take_removed(struct postgres_book *book, const PGresult *removed)
{
	uint8_t buf[BOOK_ID_MAX];
	struct madcap_bytes id;

	for (int row = 0; row < PQntuples(removed); row++) {
		const struct lease *lease;

		if (!id_from_hex(PQgetvalue(removed, row, 0), buf, &id))
			return POOL_E_DAMAGED;
		lease = lease_index_find(&book->memory.index, id);
		/* Held offers are this server's own. */
		if (lease != NULL && lease->state != BOOK_OFFERED)
			forget(&book->memory, id);
	}
	return 0;
}

/* The batch that memory is of has to be there still, and be the same one. */
static bool is_known(const struct postgres_book *book, const PGresult *mine)
{
	return book->is_loaded && PQntuples(mine) == 1 && number(mine, 0) == book->token;
}

int follow_take(struct postgres_book *book, size_t first, struct error *error)
{
	const PGresult *head = postgres_link_result(book->link, first + FOLLOW_HEAD);
	const PGresult *changed = postgres_link_result(book->link, first + FOLLOW_CHANGED);
	int code = follow_judge(book, first + FOLLOW_HEAD, error);

	if (code < 0)
		return code;
	/* Nothing is new. A change by hand has a number, and no batch. */
	if (book->is_loaded && number(head, HEAD_VERSION) == book->version &&
	    number(head, HEAD_TOKEN) == book->token)
		return 0;
	if (!is_known(book, postgres_link_result(book->link, first + FOLLOW_MINE)) ||
	    number(head, HEAD_VERSION) == book->version) {
		book->is_loaded = false;
		return FOLLOW_LOAD;
	}
	/* From here on a failure leaves memory between two batches. */
	book->is_loaded = false;
	code = take_removed(book, postgres_link_result(book->link, first + FOLLOW_REMOVED));
	if (code < 0)
		error_set(error, "the lease book is damaged: its batches cannot be read");
	for (int row = 0; code == 0 && row < PQntuples(changed); row++)
		code = take_lease(book, changed, row, error);
	if (code < 0)
		return code;
	book->version = number(head, HEAD_VERSION);
	book->token = number(head, HEAD_TOKEN);
	book->is_loaded = true;
	return 0;
}

/* ---- everything ------------------------------------------------------------------------------ */

#define LOAD_AT_A_TIME "5000"

static int exchange(struct postgres_book *book, const struct postgres_statement *statements,
		    size_t n, struct error *error)
{
	postgres_link_send(book->link, statements, n);
	postgres_link_wait(book->link);
	if (postgres_link_state(book->link) == POSTGRES_IDLE)
		return 0;
	error_set(error, "%s", postgres_link_problem(book->link));
	return POOL_E_STORE;
}

static int load_pieces(struct postgres_book *book, struct error *error)
{
	static const struct postgres_statement fetch = { .sql = "FETCH " LOAD_AT_A_TIME
								" FROM madcap_all" };
	const PGresult *piece;
	int n, code;

	do {
		code = exchange(book, &fetch, 1, error);
		if (code < 0)
			return code;
		piece = postgres_link_result(book->link, 0);
		n = PQntuples(piece);
		for (int row = 0; code == 0 && row < n; row++)
			code = take_lease(book, piece, row, error);
	} while (code == 0 && n > 0);
	return code;
}

int follow_load(struct postgres_book *book, struct error *error)
{
	static const struct postgres_statement begin[] = {
		{ .sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" },
		{ .name = "head" },
		{ .sql = "SET LOCAL enable_seqscan = on" },
		{ .sql = "DECLARE madcap_all NO SCROLL CURSOR FOR " ROWS_SELECT },
	};
	static const struct postgres_statement end = { .sql = "COMMIT" };
	int64_t version = 0, token = 0;
	int code = exchange(book, begin, 4, error);

	book->is_loaded = false;
	book->reloads++;
	memory_book_clear(&book->memory);
	if (code == 0) {
		const PGresult *head = postgres_link_result(book->link, 1);

		code = follow_judge(book, 1, error);
		version = code == 0 ? number(head, HEAD_VERSION) : 0;
		token = code == 0 ? number(head, HEAD_TOKEN) : 0;
	}
	if (code == 0)
		code = load_pieces(book, error);
	if (code == 0)
		code = exchange(book, &end, 1, error);
	if (code < 0)
		return code;
	book->version = version;
	book->token = token;
	book->is_loaded = true;
	return 0;
}

#endif
