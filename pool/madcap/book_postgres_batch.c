/* SPDX-License-Identifier: MIT */
/* book_postgres_batch.c - batches of a shared book: begun, committed, or made again. */
#include "book_postgres_impl.h"

#ifdef HAVE_LIBPQ

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "array.h"
#include "book_postgres_schema.h"

/* After a batch that was overtaken, for so long each one begins with the lock. */
#define CONTENDED_MS 1000

/* Leases of very many addresses take their time: so many rows are to be had in a millisecond. */
#define ROWS_PER_MS 4

/* Batches of which is kept what they changed, and how many are removed together. */
#define BATCHES_KEPT 20000
#define BATCHES_AT_A_TIME 256

#define HEAD                                                                                       \
	"SELECT program, schema_version, extra_sec, version, token, greatest(at_sec * 1000,"       \
	" floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM madcap.book"

/* The row is as this server has it in memory, and so is the time, unless the batch took very long. */
#define AS_KNOWN                                                                                   \
	" WHERE version = $1::bigint AND token = $2::bigint"                                       \
	" AND schema_version = " SCHEMA_VERSION_TEXT " AND extra_sec = $3::bigint"                 \
	" AND abs(greatest(at_sec, floor(extract(epoch FROM clock_timestamp()))::bigint)"          \
	" - $4::bigint) <= 2 RETURNING version"

/* "head" is the first: it is what tells whether the others make sense. */
const struct postgres_statement postgres_prepared[] = {
	{ .name = "head", .sql = HEAD },
	{ .name = "head_locked", .sql = HEAD " FOR UPDATE" },
	/* Nothing, where the batches since then do not tell all: a change by hand has none. */
	{ .name = "mine",
	  .sql = "SELECT b.token FROM madcap.batch b, madcap.book k WHERE b.version = $1::bigint"
		 " AND k.version - $1::bigint ="
		 " (SELECT count(*) FROM madcap.batch WHERE version > $1::bigint)"
		 " AND EXISTS (SELECT FROM madcap.batch n"
		 " WHERE n.version = k.version AND n.token = k.token)" },
	{ .name = "removed",
	  .sql = "SELECT encode(unnest(removed), 'hex') FROM madcap.batch"
		 " WHERE version > $1::bigint ORDER BY version" },
	/* One look at the index for each lease: of a join, the database may think that it is cheaper
	 * to read all leases, where it thinks that there are few. */
	{ .name = "changed",
	  .sql = "SELECT " ROWS_FIELDS " FROM (SELECT DISTINCT unnest(changed) AS id"
		 " FROM madcap.batch WHERE version > $1::bigint) AS c CROSS JOIN LATERAL"
		 " (SELECT * FROM madcap.lease WHERE id = c.id AND part = 0 LIMIT 1) AS l" },
	{ .name = "confirm",
	  .sql = "UPDATE madcap.book SET at_sec = greatest(at_sec, $4)" AS_KNOWN },
	{ .name = "turn",
	  .sql = "UPDATE madcap.book SET version = version + 1, token = $5::bigint,"
		 " at_sec = greatest(at_sec, $4)" AS_KNOWN },
	/* What follows does nothing where that has not made the token the batch's. */
	{ .name = "erase",
	  .sql = "DELETE FROM madcap.lease WHERE id = ANY($1::bytea[])"
		 " AND EXISTS (SELECT FROM madcap.book WHERE token = $2::bigint)" },
	{ .name = "put",
	  .sql = "INSERT INTO madcap.lease (" ROWS_NAMES ", server, extra_sec)"
		 " SELECT r.*, $17::text, $18::bigint FROM unnest(" ROWS_ARRAYS ") AS r"
		 " WHERE EXISTS (SELECT FROM madcap.book WHERE token = $19::bigint)" },
	{ .name = "renew",
	  .sql = "UPDATE madcap.lease SET starts_sec = r.starts_sec, ends_sec = r.ends_sec,"
		 " touched_sec = r.touched_sec, server = $5::text"
		 " FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])"
		 " AS r (id, starts_sec, ends_sec, touched_sec) WHERE lease.id = r.id"
		 " AND EXISTS (SELECT FROM madcap.book WHERE token = $6::bigint)" },
	{ .name = "tell",
	  .sql = "INSERT INTO madcap.batch SELECT version, token, at_sec, $2::text, $3::bytea[],"
		 " $4::bytea[] FROM madcap.book WHERE token = $1::bigint" },
	{ .name = "prune",
	  .sql = "DELETE FROM madcap.batch WHERE version < $1::bigint"
		 " AND EXISTS (SELECT FROM madcap.book WHERE token = $2::bigint)" },
	{ .name = "peers",
	  .sql = "SELECT name, seen_sec, granted, renewed, released FROM madcap.server"
		 " ORDER BY name" },
	{ .name = "deeds",
	  .sql = "INSERT INTO madcap.server (name, seen_sec, granted, renewed, released)"
		 " VALUES ($1::text, extract(epoch FROM clock_timestamp())::bigint, $2::bigint,"
		 " $3::bigint, $4::bigint) ON CONFLICT (name) DO UPDATE SET"
		 " seen_sec = excluded.seen_sec, granted = excluded.granted,"
		 " renewed = excluded.renewed, released = excluded.released" },
};
const size_t postgres_n_prepared = ARRAY_SIZE(postgres_prepared);

/* ---- what a batch comes to ------------------------------------------------------------------- */

enum {
	MARK_NONE,
	MARK_PUT,     /* new */
	MARK_RENEWED, /* its times are others, and it begins no earlier */
	MARK_CHANGED,
	MARK_GONE,
};

/* A lease that was made and removed in the same batch never was; offers are nobody else's. */
static void mark_change(const struct change *change)
{
	struct lease *lease = change->lease;

	if (lease->serial == 0)
		return;
	switch (change->kind) {
	case CHANGE_ADDED:
		lease->mark = MARK_PUT;
		break;
	case CHANGE_REMOVED:
		lease->mark = lease->mark == MARK_PUT ? MARK_NONE : MARK_GONE;
		break;
	case CHANGE_EDITED:
		if (lease->mark == MARK_NONE)
			lease->mark = MARK_RENEWED;
		if (lease->mark == MARK_RENEWED &&
		    (lease->state != BOOK_ACTIVE ||
		     lease->times.start_sec < change->times.start_sec))
			lease->mark = MARK_CHANGED;
		break;
	}
}

/* Another lease of an address, at another time. It must not be held without an end any more. */
static bool meet(struct memory_book *memory, const struct booking *booking,
		 const struct lease *lease)
{
	bool alone = true;

	for (; booking != NULL; booking = booking->next) {
		struct lease *other = lease_of(booking);
		struct change same = { .times = other->times,
				       .touched_sec = other->touched_sec,
				       .state = other->state };

		if (other == lease || other->serial == 0)
			continue;
		alone = false;
		if (!other->is_open || other->mark != MARK_NONE)
			continue;
		if (memory_book_reserve(memory) < 0)
			return false;
		other->mark = MARK_CHANGED;
		(void)memory_book_edited(memory, other, &same);
	}
	return alone;
}

/* How a lease is to be kept: see book_postgres_schema.c. */
static void settle(struct memory_book *memory, struct lease *lease)
{
	bool alone = true;

	for (size_t i = 0; i < lease->n_spans; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count; j++) {
			uint64_t address = lease->spans[i].first + j;

			if (!meet(memory, space_bookings(lease->space, address), lease))
				alone = false;
		}
	}
	lease->wants_open = alone;
	if (lease->mark == MARK_RENEWED && !(alone && lease->is_open))
		lease->mark = MARK_CHANGED;
}

static void reset(struct postgres_book *book)
{
	rows_reset(&book->rows);
	for (size_t i = 0; i < 4; i++)
		text_reset(&book->renewed[i]);
	text_reset(&book->erased);
	text_reset(&book->changed);
	text_reset(&book->removed);
}

static void add_renewal(struct postgres_book *book, const struct lease *lease)
{
	text_add_bytes(&book->renewed[0], lease_id(lease));
	text_add_number(&book->renewed[1], lease->times.start_sec);
	text_add_number(&book->renewed[2], lease->times.end_sec);
	text_add_number(&book->renewed[3], lease->touched_sec);
}

/* Each marked lease once; the marks are gone afterwards. Returns how many there were. */
static size_t collect(struct postgres_book *book)
{
	struct memory_book *memory = &book->memory;
	size_t n = 0;

	reset(book);
	for (size_t i = 0; i < memory->n_changes; i++)
		mark_change(&memory->changes[i]);
	for (size_t i = 0; i < memory->n_changes; i++) { /* which may get more */
		struct lease *lease = memory->changes[i].lease;

		if (lease->mark != MARK_NONE && lease->mark != MARK_GONE)
			settle(memory, lease);
	}
	for (size_t i = 0; i < memory->n_changes; i++) {
		struct lease *lease = memory->changes[i].lease;
		uint8_t mark = lease->mark;

		lease->mark = MARK_NONE;
		n += mark != MARK_NONE;
		if (mark == MARK_CHANGED || mark == MARK_GONE)
			text_add_bytes(&book->erased, lease_id(lease));
		if (mark == MARK_GONE)
			text_add_bytes(&book->removed, lease_id(lease));
		else if (mark != MARK_NONE)
			text_add_bytes(&book->changed, lease_id(lease));
		if (mark == MARK_PUT || mark == MARK_CHANGED)
			rows_add(&book->rows, lease, memory->extra_sec);
		else if (mark == MARK_RENEWED)
			add_renewal(book, lease);
	}
	return n;
}

/* After a commit: they are kept as they were to be kept. */
static void note_kept(const struct memory_book *memory)
{
	for (size_t i = 0; i < memory->n_changes; i++)
		memory->changes[i].lease->is_open = memory->changes[i].lease->wants_open;
}

/* ---- the exchanges --------------------------------------------------------------------------- */

/* Statements being put together, and numbers as text that they refer to. */
struct script {
	struct postgres_statement statements[POSTGRES_STATEMENTS_MAX];
	size_t n;
	size_t judge; /* the statement that says whether the batch has its turn */
	char version[24], token[24], extra[24], now[24], next[24], oldest[24];
	const char *known[5];
	const char *rows[ROWS_COLUMNS + 3];
	const char *renew[6];
	const char *erase[2];
	const char *tell[4];
	const char *prune[2];
};

static void add(struct script *script, const char *name, int n_values, const char *const *values)
{
	script->statements[script->n++] =
		(struct postgres_statement){ .name = name, .n_values = n_values, .values = values };
}

static void add_sql(struct script *script, const char *sql)
{
	script->statements[script->n++] = (struct postgres_statement){ .sql = sql };
}

static void begin_script(const struct postgres_book *book, struct script *script)
{
	memset(script, 0, sizeof(*script));
	snprintf(script->version, sizeof(script->version), "%" PRId64, book->version);
	snprintf(script->token, sizeof(script->token), "%" PRId64, book->token);
	snprintf(script->extra, sizeof(script->extra), "%" PRIu32, book->memory.extra_sec);
	snprintf(script->now, sizeof(script->now), "%" PRId64, book->batch_sec);
	script->known[0] = script->version;
	script->known[1] = script->token;
	script->known[2] = script->extra;
	script->known[3] = script->now;
	script->known[4] = script->next;
	if (!book->is_locked)
		add_sql(script, "BEGIN");
	script->judge = script->n;
}

static bool add_changes(struct postgres_book *book, struct script *script)
{
	bool fine = rows_values(&book->rows, script->rows);

	text_end_array(&book->erased);
	text_end_array(&book->changed);
	text_end_array(&book->removed);
	script->erase[0] = book->erased.data;
	script->erase[1] = script->next;
	add(script, "erase", 2, script->erase);
	script->rows[ROWS_COLUMNS] = book->server;
	script->rows[ROWS_COLUMNS + 1] = script->extra;
	script->rows[ROWS_COLUMNS + 2] = script->next;
	add(script, "put", ROWS_COLUMNS + 3, script->rows);
	for (size_t i = 0; i < 4; i++) {
		text_end_array(&book->renewed[i]);
		fine = fine && !book->renewed[i].no_memory;
		script->renew[i] = book->renewed[i].data;
	}
	script->renew[4] = book->server;
	script->renew[5] = script->next;
	add(script, "renew", 6, script->renew);
	script->tell[0] = script->next;
	script->tell[1] = book->server;
	script->tell[2] = book->changed.data;
	script->tell[3] = book->removed.data;
	add(script, "tell", 4, script->tell);
	return fine && !book->erased.no_memory && !book->changed.no_memory &&
	       !book->removed.no_memory;
}

static void add_pruning(const struct postgres_book *book, struct script *script)
{
	snprintf(script->oldest, sizeof(script->oldest), "%" PRId64, book->version - BATCHES_KEPT);
	script->prune[0] = script->oldest;
	script->prune[1] = script->next;
	add(script, "prune", 2, script->prune);
}

static int64_t new_token(void)
{
	uint64_t token = 0;

	if (getrandom(&token, sizeof(token), 0) != sizeof(token))
		return -1;
	return (int64_t)(token >> 1);
}

/* The commit has failed, or may have; what the database has is found out when it is there again. */
static int broken(struct postgres_book *book, struct error *error)
{
	/* A constraint that acts means that memory and the database do not agree. */
	if (strncmp(postgres_link_sqlstate(book->link), "23", 2) == 0)
		book->is_loaded = false;
	postgres_book_lost(book, 0);
	error_set(error, "%s", book->problem.text);
	return POOL_E_STORE;
}

/* Runs the script: 0, BOOK_AGAIN if the batch was overtaken, or a code. */
static int run(struct postgres_book *book, struct script *script, struct error *error)
{
	add_sql(script, "COMMIT");
	postgres_link_send(book->link, script->statements, script->n);
	postgres_link_extend(book->link, (int64_t)book->rows.n / ROWS_PER_MS);
	postgres_link_wait(book->link);
	if (postgres_link_state(book->link) != POSTGRES_IDLE)
		return broken(book, error);
	book->is_locked = false;
	if (PQntuples(postgres_link_result(book->link, script->judge)) == 1)
		return 0;
	book->again++;
	book->contended_until_ms = postgres_book_mono_ms() + CONTENDED_MS;
	return BOOK_AGAIN;
}

static int write_batch(struct postgres_book *book, struct error *error)
{
	int64_t token = new_token();
	struct script script;
	int code;

	begin_script(book, &script);
	snprintf(script.next, sizeof(script.next), "%" PRId64, token);
	add(&script, "turn", 5, script.known);
	if (token < 0 || !add_changes(book, &script)) {
		error_set(error, "out of memory for a batch");
		postgres_book_turned_down(book, error);
		return POOL_E_NO_MEMORY;
	}
	if (book->version % BATCHES_AT_A_TIME == 0)
		add_pruning(book, &script);
	code = run(book, &script, error);
	if (code == 0) {
		book->version++;
		book->token = token;
	}
	return code;
}

static int confirm(struct postgres_book *book, struct error *error)
{
	struct script script;

	begin_script(book, &script);
	add(&script, "confirm", 4, script.known);
	return run(book, &script, error);
}

static void unlock(struct postgres_book *book)
{
	static const struct postgres_statement rollback = { .sql = "ROLLBACK" };

	if (!book->is_locked)
		return;
	postgres_link_send(book->link, &rollback, 1);
	postgres_link_wait(book->link);
	book->is_locked = false;
	if (postgres_link_state(book->link) != POSTGRES_IDLE)
		postgres_book_lost(book, 0);
}

/* ---- batches --------------------------------------------------------------------------------- */

/* Takes the lock, and what the others have done: nobody can overtake this batch. */
static int lock(struct postgres_book *book, struct error *error)
{
	struct postgres_statement statements[FOLLOW_STATEMENTS + 1] = { { .sql = "BEGIN" } };
	struct follow follow;
	int code;

	follow_statements(book, true, &follow, statements + 1);
	postgres_link_send(book->link, statements, FOLLOW_STATEMENTS + 1);
	postgres_link_wait(book->link);
	if (postgres_link_state(book->link) != POSTGRES_IDLE)
		return broken(book, error);
	book->is_locked = true;
	code = follow_take(book, 1, error);
	if (code == 0)
		return 0;
	/* To read all leases takes long; the others need not wait for it. */
	unlock(book);
	if (code == FOLLOW_LOAD && book->phase == PHASE_UP)
		code = follow_load(book, error);
	if (code < 0)
		postgres_book_turned_down(book, error);
	return code;
}

int postgres_book_begin(struct book *base, struct error *error)
{
	struct postgres_book *book = postgres_book_of(base);
	struct error why = { "" };

	if (book->memory.in_batch) {
		error_set(error, "a batch is open already");
		return POOL_E_INVALID;
	}
	book->memory.in_batch = true;
	book->is_relied = false;
	if (book->phase == PHASE_UP && postgres_book_mono_ms() < book->contended_until_ms)
		(void)lock(book, &why);
	book->is_cut_off = book->phase != PHASE_UP;
	book->batch_sec = postgres_book_time(book);
	return 0;
}

static void end_batch(struct postgres_book *book)
{
	book->memory.in_batch = false;
	book->is_relied = false;
}

void postgres_book_abort(struct book *base)
{
	struct postgres_book *book = postgres_book_of(base);

	unlock(book);
	memory_book_take_back(&book->memory);
	end_batch(book);
}

int postgres_book_commit(struct book *base, struct error *error)
{
	struct postgres_book *book = postgres_book_of(base);
	struct error why = book->problem;
	size_t n = collect(book);
	int code = 0;

	if (book->is_cut_off)
		code = n > 0 || book->is_relied ? POOL_E_STORE : 0;
	else if (n > 0)
		code = write_batch(book, &why);
	else if (book->is_relied)
		code = confirm(book, &why);
	if (code < 0 && error != NULL)
		*error = why;
	if (code != 0) {
		postgres_book_abort(base);
		return code;
	}
	unlock(book);
	note_kept(&book->memory);
	memory_book_forget_changes(&book->memory);
	end_batch(book);
	return 0;
}

#endif
