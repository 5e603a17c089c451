/* SPDX-License-Identifier: MIT */
/* book_postgres_impl.h - inside the engine on PostgreSQL: what its files share. */
#ifndef RASIP_MADCAP_BOOK_POSTGRES_IMPL_H
#define RASIP_MADCAP_BOOK_POSTGRES_IMPL_H

#ifdef HAVE_LIBPQ

#include "book_memory.h"
#include "book_postgres_rows.h"
#include "postgres_link.h"

#define POSTGRES_SERVER_MAX 63

/* Of the connection: each phase but the first and the last waits for an exchange. */
enum postgres_phase {
	PHASE_DOWN,
	PHASE_CONNECTING,
	PHASE_ASKING,    /* what there is */
	PHASE_JUDGING,   /* the book's row */
	PHASE_PREPARING, /* statements, and what has changed */
	PHASE_UP,
};

struct postgres_book {
	struct memory_book memory;
	struct postgres_link *link;
	enum postgres_phase phase;
	char server[POSTGRES_SERVER_MAX + 1];
	int timeout_ms;
	bool is_loaded; /* memory is the book after this batch: */
	int64_t version;
	int64_t token;
	bool is_locked;      /* a transaction is open that has the lock on the book's row */
	bool is_relied;      /* in this batch: on what the book says */
	bool is_turned_down; /* not up because of what the database says, not of the network */
	bool is_cut_off;     /* this batch: cannot be committed */
	int64_t batch_sec;   /* the database's time, by which this batch is made */
	int64_t contended_until_ms;
	int64_t retry_at_ms;
	int64_t db_ms; /* the database's time, Unix ms, at this monotonic time: */
	int64_t db_mono_ms;
	struct rows rows;
	struct text renewed[4]; /* id, starts_sec, ends_sec, touched_sec */
	struct text erased;
	struct text changed;
	struct text removed;
	PGresult *peers; /* name, seen_sec, granted, renewed, released */
	struct book_deeds told;
	int64_t told_ms; /* monotonic; 0: not yet */
	uint64_t again;
	uint64_t reloads;
	struct error problem; /* why it is not up */
};

static inline struct postgres_book *postgres_book_of(struct book *base)
{
	return (struct postgres_book *)(void *)base;
}

int64_t postgres_book_mono_ms(void);

/* The database's time, Unix seconds; 0 if it has never been heard. */
int64_t postgres_book_time(const struct postgres_book *book);

/* The connection is given up; it is tried again after so many ms. */
void postgres_book_lost(struct postgres_book *book, int retry_ms);

/* The same where the database has said no: that is told, and tried again now and then. */
void postgres_book_turned_down(struct postgres_book *book, const struct error *why);

/* ---- book_postgres_follow.c: what the others have done --------------------------------------- */

#define FOLLOW_STATEMENTS 4
#define FOLLOW_LOAD 1 /* all leases have to be read */

/* The statements that tell what is new since memory's batch; `locked`: taking the row's lock. */
struct follow {
	char version[24];
	const char *values[1];
};

void follow_statements(const struct postgres_book *book, bool locked, struct follow *follow,
		       struct postgres_statement statements[FOLLOW_STATEMENTS]);

/* Whether this server may use the book with that row, the result number `i`. 0 or a code. */
int follow_judge(struct postgres_book *book, size_t i, struct error *error);

/*
 * Takes over the results of these statements, the first of which is the link's result number
 * `first`. 0, FOLLOW_LOAD, or a code with the reason.
 */
int follow_take(struct postgres_book *book, size_t first, struct error *error);

/* Reads all leases, which blocks. 0 or a code with the reason; the link may be down then. */
int follow_load(struct postgres_book *book, struct error *error);

/* ---- book_postgres_batch.c: what is prepared, and a batch ------------------------------------ */

extern const struct postgres_statement postgres_prepared[];
extern const size_t postgres_n_prepared;

int postgres_book_begin(struct book *base, struct error *error);
int postgres_book_commit(struct book *base, struct error *error);
void postgres_book_abort(struct book *base);

#endif
#endif
