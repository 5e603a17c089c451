/* SPDX-License-Identifier: MIT */
#include "postgres_link.h"

#ifdef HAVE_LIBPQ

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"

#define KEYS_MAX 64
#define HOST_TEXT_SIZE 160

struct postgres_link {
	enum postgres_state state;
	PGconn *conn;
	PQconninfoOption *parsed; /* of the connection string */
	char *name;
	int timeout_ms;
	size_t n_hosts;
	size_t next_host;
	char host[HOST_TEXT_SIZE];
	PostgresPollingStatusType polling;
	int64_t began_us; /* connecting, or the exchange */
	int64_t extra_us; /* of patience, for the exchange */
	PGresult *results[POSTGRES_STATEMENTS_MAX];
	size_t n_statements;
	size_t at;      /* the statement whose results come next */
	bool wants_out; /* not all of the exchange has been sent */
	bool warned;    /* the server had something to say that a success does not have */
	bool was_refused;
	char sqlstate[6];
	struct error error;
	struct postgres_counters counters;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the end of it --------------------------------------------------------------------------- */

static void clear_results(struct postgres_link *link)
{
	for (size_t i = 0; i < link->n_statements; i++) {
		PQclear(link->results[i]);
		link->results[i] = NULL;
	}
	link->n_statements = 0;
}

static void disconnect(struct postgres_link *link)
{
	clear_results(link);
	PQfinish(link->conn);
	link->conn = NULL;
	link->state = POSTGRES_DOWN;
}

/* libpq's messages have several lines, of which the first ones say it. */
static void note_problem(struct postgres_link *link, const char *text)
{
	size_t n = 0;

	for (; text[n] != '\0' && n + 1 < sizeof(link->error.text); n++) {
		link->error.text[n] = text[n];
		if (text[n] == '\n' || text[n] == '\t')
			link->error.text[n] = ' ';
	}
	while (n > 0 && link->error.text[n - 1] == ' ')
		n--;
	link->error.text[n] = '\0';
}

static void fail(struct postgres_link *link, const char *text)
{
	note_problem(link, text);
	link->counters.failures++;
	disconnect(link);
}

/*
 * Classes of SQLSTATE that time does not mend: wrong data, authorisation, no such database, syntax
 * and access rules. What a server says that starts, stops or is a standby is none of these.
 */
static bool is_refusal(const char *sqlstate)
{
	static const char *const classes[] = { "08P", "0A", "22", "23", "28", "3D", "3F", "42" };

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (strncmp(sqlstate, classes[i], strlen(classes[i])) == 0)
			return true;
	}
	return false;
}

static void note_state(struct postgres_link *link, const char *sqlstate)
{
	snprintf(link->sqlstate, sizeof(link->sqlstate), "%s", sqlstate != NULL ? sqlstate : "");
	link->was_refused = is_refusal(link->sqlstate);
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* The i-th element of a list with commas, or its last one; "" of no list. */
static void element(const char *list, size_t i, char *buf, size_t size)
{
	if (list == NULL)
		list = "";
	for (; i > 0 && strchr(list, ',') != NULL; i--)
		list = strchr(list, ',') + 1;
	snprintf(buf, size, "%.*s", (int)strcspn(list, ","), list);
}

static const char *parsed_value(const struct postgres_link *link, const char *key)
{
	for (const PQconninfoOption *option = link->parsed; option->keyword != NULL; option++) {
		if (strcmp(option->keyword, key) == 0)
			return option->val;
	}
	return NULL;
}

static size_t count_elements(const char *list)
{
	size_t n = 1;

	for (; list != NULL && *list != '\0'; list++)
		n += *list == ',';
	return n;
}

static bool is_list(const char *key)
{
	return strcmp(key, "host") == 0 || strcmp(key, "hostaddr") == 0 || strcmp(key, "port") == 0;
}

/*
 * One host at a time: libpq itself would wait for a host that has accepted the connection and says
 * nothing until the end of time, and with it for those behind it.
 */
static PGconn *start(struct postgres_link *link, size_t host)
{
	const char *keys[KEYS_MAX + 3], *values[KEYS_MAX + 3];
	char parts[3][HOST_TEXT_SIZE];
	size_t n = 0, n_parts = 0;

	for (const PQconninfoOption *option = link->parsed; option->keyword != NULL; option++) {
		if (option->val == NULL || n == KEYS_MAX)
			continue;
		keys[n] = option->keyword;
		values[n] = option->val;
		if (is_list(option->keyword) && n_parts < 3) {
			element(option->val, host, parts[n_parts], sizeof(parts[0]));
			values[n] = parts[n_parts++];
		}
		n++;
	}
	keys[n] = "fallback_application_name";
	values[n++] = link->name;
	if (parsed_value(link, "target_session_attrs") == NULL) {
		keys[n] = "target_session_attrs";
		values[n++] = "read-write";
	}
	keys[n] = values[n] = NULL;
	return PQconnectStartParams(keys, values, 0);
}

static void note_host(struct postgres_link *link, size_t host)
{
	char name[HOST_TEXT_SIZE / 2], port[16];

	element(parsed_value(link, "host"), host, name, sizeof(name));
	if (name[0] == '\0')
		element(parsed_value(link, "hostaddr"), host, name, sizeof(name));
	element(parsed_value(link, "port"), host, port, sizeof(port));
	snprintf(link->host, sizeof(link->host), "%s%s%s", name[0] != '\0' ? name : "local",
		 port[0] != '\0' ? ":" : "", port);
}

/* A commit that a standby has not confirmed succeeds with a warning, where somebody cancelled it. */
static void on_notice(void *context, const PGresult *result)
{
	struct postgres_link *link = context;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && strcmp(severity, "WARNING") == 0)
		link->warned = true;
}

void postgres_link_drop(struct postgres_link *link)
{
	disconnect(link);
}

void postgres_link_connect(struct postgres_link *link)
{
	size_t host = link->next_host;

	disconnect(link);
	link->next_host = (host + 1) % link->n_hosts;
	note_host(link, host);
	note_state(link, "");
	link->warned = false;
	link->began_us = now_us();
	link->extra_us = 0;
	link->conn = start(link, host);
	if (link->conn == NULL) {
		fail(link, "out of memory");
	} else if (PQstatus(link->conn) == CONNECTION_BAD) {
		fail(link, PQerrorMessage(link->conn));
	} else {
		PQsetErrorVerbosity(link->conn, PQERRORS_VERBOSE);
		link->state = POSTGRES_CONNECTING;
		link->polling = PGRES_POLLING_WRITING;
	}
}

/*
 * Of a connection that failed libpq has no SQLSTATE but in the text, "...:  28P01: ...", and there
 * only with this verbosity, which also adds a line of where in the server's sources.
 */
static void fail_to_connect(struct postgres_link *link)
{
	const char *text = PQerrorMessage(link->conn);
	const char *at = text;
	char line[sizeof(link->error.text)], code[6] = "";

	snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	while ((at = strstr(at, ":  ")) != NULL) {
		at += 3;
		if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[5] == ':')
			snprintf(code, sizeof(code), "%.5s", at);
	}
	note_state(link, code);
	fail(link, line);
}

static void connect_more(struct postgres_link *link)
{
	link->polling = PQconnectPoll(link->conn);
	if (link->polling == PGRES_POLLING_FAILED) {
		fail_to_connect(link);
		return;
	}
	if (link->polling != PGRES_POLLING_OK)
		return;
	PQsetErrorVerbosity(link->conn, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(link->conn, on_notice, link);
	if (PQsetnonblocking(link->conn, 1) != 0 || PQenterPipelineMode(link->conn) != 1) {
		fail(link, PQerrorMessage(link->conn));
		return;
	}
	/* The host that works is where the next connection is tried first. */
	link->next_host = (link->next_host + link->n_hosts - 1) % link->n_hosts;
	link->counters.connections++;
	link->state = POSTGRES_IDLE;
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static bool send_one(PGconn *conn, const struct postgres_statement *statement)
{
	if (statement->name != NULL && statement->sql != NULL)
		return PQsendPrepare(conn, statement->name, statement->sql, 0, NULL) == 1;
	if (statement->name != NULL)
		return PQsendQueryPrepared(conn, statement->name, statement->n_values,
					   statement->values, NULL, NULL, 0) == 1;
	return PQsendQueryParams(conn, statement->sql, statement->n_values, NULL, statement->values,
				 NULL, NULL, 0) == 1;
}

static void flush(struct postgres_link *link)
{
	int left = PQflush(link->conn);

	if (left < 0)
		fail(link, PQerrorMessage(link->conn));
	else
		link->wants_out = left > 0;
}

void postgres_link_send(struct postgres_link *link, const struct postgres_statement *statements,
			size_t n)
{
	if (link->state != POSTGRES_IDLE || n > POSTGRES_STATEMENTS_MAX) {
		fail(link, "the connection is not ready for an exchange");
		return;
	}
	clear_results(link);
	link->n_statements = n;
	link->at = 0;
	link->warned = false;
	link->began_us = now_us();
	link->extra_us = 0;
	link->state = POSTGRES_BUSY;
	for (size_t i = 0; i < n; i++) {
		if (!send_one(link->conn, &statements[i])) {
			fail(link, PQerrorMessage(link->conn));
			return;
		}
	}
	if (PQpipelineSync(link->conn) != 1)
		fail(link, PQerrorMessage(link->conn));
	else
		flush(link);
}

static void finish(struct postgres_link *link)
{
	if (link->warned) {
		fail(link, "a commit was not confirmed by the standby");
		return;
	}
	link->counters.exchanges++;
	link->counters.busy_us += (uint64_t)(now_us() - link->began_us);
	link->state = POSTGRES_IDLE;
}

static void take_result(struct postgres_link *link, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(result);
		finish(link);
	} else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
		PQclear(link->results[link->at]);
		link->results[link->at] = result;
	} else {
		note_state(link, PQresultErrorField(result, PG_DIAG_SQLSTATE));
		fail(link, PQresultErrorMessage(result));
		PQclear(result);
	}
}

static void exchange_more(struct postgres_link *link)
{
	if (PQconsumeInput(link->conn) != 1) {
		note_state(link, "");
		fail(link, PQerrorMessage(link->conn));
		return;
	}
	if (link->wants_out)
		flush(link);
	while (link->state == POSTGRES_BUSY && PQisBusy(link->conn) == 0) {
		PGresult *result = PQgetResult(link->conn);

		if (result != NULL)
			take_result(link, result);
		else if (PQstatus(link->conn) == CONNECTION_BAD || link->at >= link->n_statements)
			fail(link, PQerrorMessage(link->conn));
		else
			link->at++;
	}
}

/* ---- working and waiting --------------------------------------------------------------------- */

void postgres_link_extend(struct postgres_link *link, int64_t ms)
{
	link->extra_us = ms * 1000;
}

int postgres_link_patience_ms(const struct postgres_link *link)
{
	int64_t left_us;

	if (link->state != POSTGRES_CONNECTING && link->state != POSTGRES_BUSY)
		return -1;
	left_us = link->began_us + (int64_t)link->timeout_ms * 1000 + link->extra_us - now_us();
	return left_us > 0 ? (int)(left_us / 1000) + 1 : 0;
}

bool postgres_link_poll(const struct postgres_link *link, struct pollfd *ret)
{
	bool out;

	if (link->state == POSTGRES_DOWN)
		return false;
	out = link->state == POSTGRES_CONNECTING ? link->polling == PGRES_POLLING_WRITING
						 : link->state == POSTGRES_BUSY && link->wants_out;
	*ret = (struct pollfd){ .fd = PQsocket(link->conn), .events = out ? POLLOUT : POLLIN };
	if (link->state == POSTGRES_BUSY)
		ret->events |= POLLIN;
	return ret->fd >= 0;
}

static bool is_ready(const struct postgres_link *link)
{
	struct pollfd fd;

	return postgres_link_poll(link, &fd) && poll(&fd, 1, 0) > 0;
}

/* An idle connection that becomes readable has been ended, or is told something. */
static void look_at_idle(struct postgres_link *link)
{
	if (PQconsumeInput(link->conn) != 1 || PQstatus(link->conn) == CONNECTION_BAD) {
		note_state(link, "");
		fail(link, PQerrorMessage(link->conn));
	}
}

void postgres_link_work(struct postgres_link *link)
{
	if (postgres_link_patience_ms(link) == 0) {
		bool connecting = link->state == POSTGRES_CONNECTING;
		char text[HOST_TEXT_SIZE + 80];

		note_state(link, "");
		snprintf(text, sizeof(text), "%s: no answer%s within %d ms", link->host,
			 connecting ? "" : " to what was asked", link->timeout_ms);
		fail(link, text);
		return;
	}
	if (!is_ready(link))
		return;
	if (link->state == POSTGRES_CONNECTING)
		connect_more(link);
	else if (link->state == POSTGRES_BUSY)
		exchange_more(link);
	else
		look_at_idle(link);
}

void postgres_link_wait(struct postgres_link *link)
{
	struct pollfd fd;

	while ((link->state == POSTGRES_CONNECTING || link->state == POSTGRES_BUSY) &&
	       postgres_link_poll(link, &fd)) {
		if (poll(&fd, 1, postgres_link_patience_ms(link)) < 0 && errno != EINTR)
			fail(link, strerror(errno));
		else
			postgres_link_work(link);
	}
}

/* ---- the rest -------------------------------------------------------------------------------- */

enum postgres_state postgres_link_state(const struct postgres_link *link)
{
	return link->state;
}

const PGresult *postgres_link_result(const struct postgres_link *link, size_t i)
{
	return link->results[i];
}

const char *postgres_link_problem(const struct postgres_link *link)
{
	return link->error.text;
}

const char *postgres_link_sqlstate(const struct postgres_link *link)
{
	return link->sqlstate;
}

bool postgres_link_was_refused(const struct postgres_link *link)
{
	return link->was_refused;
}

const char *postgres_link_host(const struct postgres_link *link)
{
	return link->host;
}

size_t postgres_link_hosts(const struct postgres_link *link)
{
	return link->n_hosts;
}

const struct postgres_counters *postgres_link_counters(const struct postgres_link *link)
{
	return &link->counters;
}

static size_t count_hosts(const struct postgres_link *link)
{
	const char *hosts = parsed_value(link, "host");

	if (hosts == NULL || hosts[0] == '\0')
		hosts = parsed_value(link, "hostaddr");
	return count_elements(hosts);
}

int postgres_link_new(const struct postgres_options *options, struct postgres_link **ret,
		      struct error *error)
{
	struct postgres_link *link = calloc(1, sizeof(*link));
	char *text = NULL;

	if (link == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	link->parsed = PQconninfoParse(options->connection, &text);
	link->name = strdup(options->name);
	if (link->parsed == NULL || link->name == NULL) {
		int code = text != NULL ? POOL_E_CONFIG : POOL_E_NO_MEMORY;

		note_problem(link, text != NULL ? text : "out of memory");
		error_set(error, "connection: %s", link->error.text);
		PQfreemem(text);
		postgres_link_free(&link);
		return code;
	}
	link->timeout_ms = options->timeout_ms;
	link->n_hosts = count_hosts(link);
	*ret = link;
	return 0;
}

void postgres_link_free(struct postgres_link **link)
{
	if (*link == NULL)
		return;
	disconnect(*link);
	PQconninfoFree((*link)->parsed);
	free((*link)->name);
	free(*link);
	*link = NULL;
}

#endif
