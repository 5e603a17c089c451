/* SPDX-License-Identifier: MIT */
#include "book_postgres.h"

#ifdef HAVE_LIBPQ

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "book_postgres_impl.h"
#include "book_postgres_schema.h"

#define RETRY_MS 250          /* between two attempts to connect */
#define RETRY_REFUSED_MS 2000 /* where somebody has to mend something first */

/* A statement whose madcapd is gone ends after so much more than the timeout. */
#define STATEMENT_EXTRA_MS 20000

static const struct postgres_book *const_postgres_book_of(const struct book *base)
{
	return (const struct postgres_book *)(const void *)base;
}

/* ---- time ------------------------------------------------------------------------------------ */

int64_t postgres_book_mono_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t time_at(const struct postgres_book *book, int64_t mono_ms)
{
	return book->db_ms > 0 ? (book->db_ms + mono_ms - book->db_mono_ms) / 1000 : 0;
}

static int64_t postgres_book_now(struct book *base, int64_t mono_ms, int64_t unix_sec)
{
	const struct postgres_book *book = postgres_book_of(base);

	(void)unix_sec;
	return book->memory.in_batch ? book->batch_sec : time_at(book, mono_ms);
}

int64_t postgres_book_time(const struct postgres_book *book)
{
	return time_at(book, postgres_book_mono_ms());
}

/* ---- the connection -------------------------------------------------------------------------- */

void postgres_book_lost(struct postgres_book *book, int retry_ms)
{
	const char *text = postgres_link_problem(book->link);
	const char *host = postgres_link_host(book->link);

	if (postgres_link_state(book->link) != POSTGRES_DOWN)
		postgres_link_drop(book->link);
	else
		error_set(&book->problem, "%s%s%s", strstr(text, host) == NULL ? host : "",
			  strstr(text, host) == NULL ? ": " : "", text);
	book->phase = PHASE_DOWN;
	book->is_turned_down = false;
	book->is_locked = false;
	book->retry_at_ms = postgres_book_mono_ms() + retry_ms;
}

void postgres_book_turned_down(struct postgres_book *book, const struct error *why)
{
	error_set(&book->problem, "%s", why->text);
	book->is_turned_down = true;
	postgres_link_drop(book->link);
	book->phase = PHASE_DOWN;
	book->is_locked = false;
	book->retry_at_ms = postgres_book_mono_ms() + RETRY_REFUSED_MS;
}

/*
 * Commits wait for the standbys, if there are any. A transaction that is left open by a server that
 * has been stopped, or cut off, must not keep the others waiting. Plans are always for few rows of
 * large tables, also while the database thinks that these are small: so they are made once, and not
 * anew for each batch. To compile them takes longer than to carry them out. Who has waited for the
 * lock on the book's row looks at what is there then: other levels of isolation make that an error.
 */
static void ask(struct postgres_book *book)
{
	char timeout[16], longest[16];
	const char *values[] = { timeout, longest };
	struct postgres_statement statements[] = {
		{ .sql = "SELECT set_config('synchronous_commit', 'on', false)"
			 " WHERE current_setting('synchronous_commit') IN ('off', 'local')" },
		{ .sql = "SELECT set_config(name, $1, false), "
			 "set_config('statement_timeout', $2, false) FROM unnest(ARRAY["
			 "'lock_timeout', 'idle_in_transaction_session_timeout',"
			 " 'tcp_user_timeout']) AS name",
		  .n_values = 2,
		  .values = values },
		{ .sql = "SELECT set_config(name, 'off', false) FROM unnest(ARRAY["
			 "'jit', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS "
			 "name UNION ALL SELECT"
			 " set_config('plan_cache_mode', 'force_generic_plan', false)"
			 " UNION ALL SELECT"
			 " set_config('default_transaction_isolation', 'read committed', false)" },
		{ .sql = schema_question },
	};

	snprintf(timeout, sizeof(timeout), "%d", book->timeout_ms);
	snprintf(longest, sizeof(longest), "%d", book->timeout_ms + STATEMENT_EXTRA_MS);
	postgres_link_send(book->link, statements, ARRAY_SIZE(statements));
	book->phase = PHASE_ASKING;
}

#define ASKED_SCHEMA 3

/* Statements, the book's lock, what is new, and a commit that shows that there can be one. */
static void prepare(struct postgres_book *book)
{
	struct postgres_statement statements[POSTGRES_STATEMENTS_MAX];
	struct follow follow;
	size_t n = postgres_n_prepared - 1; /* the first one is there already */

	memcpy(statements, postgres_prepared + 1, n * sizeof(statements[0]));
	statements[n++] = (struct postgres_statement){ .sql = "BEGIN" };
	follow_statements(book, true, &follow, statements + n);
	n += FOLLOW_STATEMENTS;
	statements[n++] =
		(struct postgres_statement){ .sql = "UPDATE madcap.book SET at_sec = at_sec" };
	statements[n++] = (struct postgres_statement){ .sql = "COMMIT" };
	postgres_link_send(book->link, statements, n);
	book->phase = PHASE_PREPARING;
}

/* Tables of another version may lack what the other statements are about. */
static void asked(struct postgres_book *book)
{
	const struct postgres_statement statements[] = { postgres_prepared[0],
							 { .name = postgres_prepared[0].name } };
	struct error why = { "" };

	if (schema_judge(postgres_link_result(book->link, ASKED_SCHEMA), &why) < 0) {
		postgres_book_turned_down(book, &why);
		return;
	}
	postgres_link_send(book->link, statements, 2);
	book->phase = PHASE_JUDGING;
}

static void judged(struct postgres_book *book)
{
	struct error why = { "" };

	if (follow_judge(book, 1, &why) < 0)
		postgres_book_turned_down(book, &why);
	else
		prepare(book);
}

static void prepared(struct postgres_book *book)
{
	struct error why = { "" };
	int code = follow_take(book, postgres_n_prepared, &why);

	if (code == FOLLOW_LOAD)
		code = follow_load(book, &why);
	if (code < 0) {
		postgres_book_turned_down(book, &why);
		return;
	}
	book->phase = PHASE_UP;
	book->is_turned_down = false;
	book->contended_until_ms = 0;
	book->problem.text[0] = '\0';
}

/* Does what the end of an exchange calls for; false if there was none. */
static bool advance(struct postgres_book *book)
{
	enum postgres_state state = postgres_link_state(book->link);

	if (book->phase == PHASE_DOWN)
		return false;
	if (state == POSTGRES_DOWN) {
		bool was_up = book->phase == PHASE_UP;

		postgres_book_lost(book, was_up                                  ? 0
					 : postgres_link_was_refused(book->link) ? RETRY_REFUSED_MS
										 : RETRY_MS);
		return true;
	}
	if (state != POSTGRES_IDLE || book->phase == PHASE_UP)
		return false;
	if (book->phase == PHASE_CONNECTING)
		ask(book);
	else if (book->phase == PHASE_ASKING)
		asked(book);
	else if (book->phase == PHASE_JUDGING)
		judged(book);
	else
		prepared(book);
	return true;
}

static int postgres_book_work(struct book *base)
{
	struct postgres_book *book = postgres_book_of(base);
	int64_t now_ms = postgres_book_mono_ms();

	if (book->phase == PHASE_DOWN && now_ms >= book->retry_at_ms) {
		book->phase = PHASE_CONNECTING;
		postgres_link_connect(book->link);
	}
	postgres_link_work(book->link);
	while (advance(book))
		continue;
	if (book->phase == PHASE_DOWN)
		return book->retry_at_ms > now_ms ? (int)(book->retry_at_ms - now_ms) : 0;
	return postgres_link_patience_ms(book->link);
}

static bool postgres_book_poll(const struct book *base, struct pollfd *ret)
{
	return postgres_link_poll(const_postgres_book_of(base)->link, ret);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void postgres_book_rely(struct book *base)
{
	postgres_book_of(base)->is_relied = true;
}

#define TELL_MS 10000 /* so often a server says that it is there */

/* One more transaction, which waits for no disk: only a count would be lost. */
struct telling {
	char numbers[3][24];
	const char *values[4];
};

static size_t add_telling(const struct postgres_book *book, struct telling *telling,
			  struct postgres_statement *statements)
{
	const uint64_t deeds[] = { book->told.granted, book->told.renewed, book->told.released };

	telling->values[0] = book->server;
	for (size_t i = 0; i < 3; i++) {
		snprintf(telling->numbers[i], sizeof(telling->numbers[i]), "%" PRIu64, deeds[i]);
		telling->values[i + 1] = telling->numbers[i];
	}
	statements[0] = (struct postgres_statement){ .sql = "BEGIN" };
	statements[1] = (struct postgres_statement){ .sql = "SET LOCAL synchronous_commit = off" };
	statements[2] = (struct postgres_statement){ .name = "deeds",
						     .n_values = 4,
						     .values = telling->values };
	statements[3] = (struct postgres_statement){ .sql = "COMMIT" };
	return 4;
}

static bool is_news(struct postgres_book *book, const struct book_deeds *deeds)
{
	int64_t now_ms = postgres_book_mono_ms();

	if (deeds == NULL || (book->told_ms != 0 && now_ms - book->told_ms < TELL_MS &&
			      memcmp(&book->told, deeds, sizeof(*deeds)) == 0))
		return false;
	book->told = *deeds;
	book->told_ms = now_ms;
	return true;
}

static void keep_peers(struct postgres_book *book, const PGresult *result)
{
	PQclear(book->peers);
	book->peers = PQcopyResult(result, PG_COPYRES_TUPLES | PG_COPYRES_ATTRS);
}

static void postgres_book_refresh(struct book *base, const struct book_deeds *deeds)
{
	struct postgres_book *book = postgres_book_of(base);
	struct postgres_statement statements[FOLLOW_STATEMENTS + 8] = {
		{ .sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }
	};
	struct telling telling;
	struct follow follow;
	struct error why = { "" };
	size_t n = 1 + FOLLOW_STATEMENTS;
	int code;

	if (book->phase != PHASE_UP || book->memory.in_batch)
		return;
	follow_statements(book, false, &follow, statements + 1);
	statements[n++] = (struct postgres_statement){ .name = "peers" };
	statements[n++] = (struct postgres_statement){ .sql = "COMMIT" };
	if (is_news(book, deeds))
		n += add_telling(book, &telling, statements + n);
	postgres_link_send(book->link, statements, n);
	postgres_link_wait(book->link);
	if (postgres_link_state(book->link) != POSTGRES_IDLE) {
		postgres_book_lost(book, 0);
		return;
	}
	keep_peers(book, postgres_link_result(book->link, 1 + FOLLOW_STATEMENTS));
	code = follow_take(book, 1, &why);
	if (code == FOLLOW_LOAD)
		code = follow_load(book, &why);
	if (code < 0)
		postgres_book_turned_down(book, &why);
}

static bool postgres_book_peer(const struct book *base, size_t i, struct book_peer *ret)
{
	const PGresult *peers = const_postgres_book_of(base)->peers;
	int row = (int)i;

	if (peers == NULL || i >= (size_t)PQntuples(peers))
		return false;
	*ret = (struct book_peer){
		.name = PQgetvalue(peers, row, 0),
		.seen_sec = strtoull(PQgetvalue(peers, row, 1), NULL, 10),
		.deeds = { .granted = strtoull(PQgetvalue(peers, row, 2), NULL, 10),
			   .renewed = strtoull(PQgetvalue(peers, row, 3), NULL, 10),
			   .released = strtoull(PQgetvalue(peers, row, 4), NULL, 10) },
	};
	return true;
}

static const char *postgres_book_problem(const struct book *base)
{
	const struct postgres_book *book = const_postgres_book_of(base);

	return book->phase != PHASE_UP ? book->problem.text : NULL;
}

static void postgres_book_health(const struct book *base, struct book_health *ret)
{
	const struct postgres_book *book = const_postgres_book_of(base);
	const struct postgres_counters *counters = postgres_link_counters(book->link);

	*ret = (struct book_health){
		.place = postgres_link_host(book->link),
		.is_up = book->phase == PHASE_UP,
		.version = (uint64_t)book->version,
		.connections = counters->connections,
		.failures = counters->failures,
		.exchanges = counters->exchanges,
		.busy_us = counters->busy_us,
		.again = book->again,
		.reloads = book->reloads,
	};
}

static void postgres_book_close(struct book *base)
{
	struct postgres_book *book = postgres_book_of(base);

	postgres_link_free(&book->link);
	PQclear(book->peers);
	memory_book_done(&book->memory);
	rows_done(&book->rows);
	for (size_t i = 0; i < 4; i++)
		text_done(&book->renewed[i]);
	text_done(&book->erased);
	text_done(&book->changed);
	text_done(&book->removed);
	free(book);
}

static const struct book_engine postgres_engine = {
	.is_shared = true,
	.close = postgres_book_close,
	.begin = postgres_book_begin,
	.commit = postgres_book_commit,
	.abort = postgres_book_abort,
	.rely = postgres_book_rely,
	.refresh = postgres_book_refresh,
	.peer = postgres_book_peer,
	.now = postgres_book_now,
	.problem = postgres_book_problem,
	.poll = postgres_book_poll,
	.work = postgres_book_work,
	.health = postgres_book_health,
};

/* ---- opening --------------------------------------------------------------------------------- */

static int open_link(const struct book_options *options, struct postgres_link **ret,
		     struct error *error)
{
	char name[sizeof("madcapd ") + POSTGRES_SERVER_MAX];
	struct postgres_options how = {
		.connection = options->connection,
		.name = name,
		.timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : POSTGRES_TIMEOUT_MS,
	};

	snprintf(name, sizeof(name), "madcapd %.*s", POSTGRES_SERVER_MAX,
		 options->server != NULL ? options->server : "");
	return postgres_link_new(&how, ret, error);
}

/* Tries each host once. What is only not there now may come; what says no has to be told now. */
static int first_contact(struct postgres_book *book, struct error *error)
{
	size_t n = postgres_link_hosts(book->link);
	bool refused = false;

	for (size_t i = 0; i < n && book->phase != PHASE_UP; i++) {
		book->phase = PHASE_CONNECTING;
		postgres_link_connect(book->link);
		do
			postgres_link_wait(book->link);
		while (advance(book));
		if (book->phase == PHASE_DOWN &&
		    (book->is_turned_down || postgres_link_was_refused(book->link))) {
			refused = true;
			*error = book->problem;
		}
	}
	return refused && book->phase != PHASE_UP ? POOL_E_REFUSED : 0;
}

int postgres_book_open(const struct book_options *options, struct book **ret, struct error *error)
{
	struct postgres_book *book = calloc(1, sizeof(*book));
	int code;

	error_set(error, "out of memory");
	if (book == NULL)
		return POOL_E_NO_MEMORY;
	book->memory.base.engine = &postgres_engine;
	book->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : POSTGRES_TIMEOUT_MS;
	snprintf(book->server, sizeof(book->server), "%s",
		 options->server != NULL ? options->server : "");
	code = memory_book_init(&book->memory, options);
	if (code == 0)
		code = open_link(options, &book->link, error);
	if (code == 0)
		code = first_contact(book, error);
	if (code < 0) {
		postgres_book_close(&book->memory.base);
		return code;
	}
	*ret = &book->memory.base;
	return 0;
}

int postgres_book_init(const struct book_options *options, const char **ret_did,
		       struct error *error)
{
	struct postgres_link *link = NULL;
	int code = open_link(options, &link, error);

	if (code < 0)
		return code;
	for (size_t i = 0; i < postgres_link_hosts(link); i++) {
		postgres_link_connect(link);
		postgres_link_wait(link);
		if (postgres_link_state(link) == POSTGRES_IDLE)
			break;
	}
	if (postgres_link_state(link) == POSTGRES_IDLE) {
		code = schema_make(link, options->extra_sec, ret_did, error);
	} else {
		error_set(error, "%s", postgres_link_problem(link));
		code = POOL_E_STORE;
	}
	postgres_link_free(&link);
	return code;
}

#else

int postgres_book_open(const struct book_options *options, struct book **ret, struct error *error)
{
	(void)options;
	(void)ret;
	error_set(error,
		  "this madcapd was built without libpq, so it has no book = \"postgresql\"");
	return POOL_E_CONFIG;
}

int postgres_book_init(const struct book_options *options, const char **ret_did,
		       struct error *error)
{
	struct book *none = NULL;

	(void)ret_did;
	return postgres_book_open(options, &none, error);
}

#endif
