/* SPDX-License-Identifier: MIT */
/*
 * postgres_link.h - one connection to PostgreSQL, by way of libpq; knows nothing of leases.
 *
 * The model. A link is down, connecting, idle, or busy with one exchange: several statements sent
 * together in libpq's pipeline mode, whose results come back together, so an exchange costs one
 * round trip. Where one of its statements fails, those behind it are not carried out. Whoever owns
 * the link either lets it work in a loop of his own (postgres_link_poll, postgres_link_work) or
 * waits for the end (postgres_link_wait), which takes no longer than the link's timeout.
 *
 * Several hosts in the connection string are tried one by one, each for the timeout at most, also
 * those that accept a connection and then say nothing; only one that takes writes will do. After a
 * failure of any kind, be it the network's or a statement's, the link is down: what the session had
 * begun is gone, and whether a commit that was under way took place is not known.
 *
 * Names of hosts are looked up by libpq, which blocks; addresses are not looked up.
 *
 * One thread. Not to be used across a fork.
 */
#ifndef RASIP_MADCAP_POSTGRES_LINK_H
#define RASIP_MADCAP_POSTGRES_LINK_H

#ifdef HAVE_LIBPQ

#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define POSTGRES_STATEMENTS_MAX 24 /* of one exchange */

enum postgres_state {
	POSTGRES_DOWN,
	POSTGRES_CONNECTING,
	POSTGRES_IDLE, /* the results of the last exchange are there, until the next one */
	POSTGRES_BUSY,
};

struct postgres_options {
	const char *connection; /* as libpq has it, a URI or "key=value ..." */
	const char *name;       /* told to the database as application_name */
	int timeout_ms;
};

struct postgres_statement {
	const char *name; /* a prepared one; with sql too: prepares it */
	const char *sql;
	int n_values;
	const char *const *values; /* text; NULL is NULL */
};

struct postgres_link;

/* 0; POOL_E_CONFIG for a connection string that libpq cannot read; POOL_E_NO_MEMORY. */
int postgres_link_new(const struct postgres_options *options, struct postgres_link **ret,
		      struct error *error) __attribute__((warn_unused_result));
void postgres_link_free(struct postgres_link **link); /* NULL is allowed */

size_t postgres_link_hosts(const struct postgres_link *link);

/* Begins to connect to the next host; a link that is not down is ended first. */
void postgres_link_connect(struct postgres_link *link);
void postgres_link_drop(struct postgres_link *link);

/* Sends an exchange; the link has to be idle. Values are copied. */
void postgres_link_send(struct postgres_link *link, const struct postgres_statement *statements,
			size_t n);

/* The exchange that has just been sent may take so much longer than the timeout. */
void postgres_link_extend(struct postgres_link *link, int64_t ms);

/* What to wait for, where something is under way: false, or one entry. */
bool postgres_link_poll(const struct postgres_link *link, struct pollfd *ret);

/* Milliseconds until the link has waited long enough; -1: it waits for nothing. */
int postgres_link_patience_ms(const struct postgres_link *link);

/* Goes on, without waiting. */
void postgres_link_work(struct postgres_link *link);

/* Waits until the link is down or idle. */
void postgres_link_wait(struct postgres_link *link);

enum postgres_state postgres_link_state(const struct postgres_link *link);

/* Idle: the result of the i-th statement, which has succeeded. It is the link's. */
const PGresult *postgres_link_result(const struct postgres_link *link, size_t i);

/*
 * Down: why, as one line, and the SQLSTATE behind it, "" if no server has said one. `refused` is
 * true where trying again will not help: the password, the database, the role, the statement.
 */
const char *postgres_link_problem(const struct postgres_link *link);
const char *postgres_link_sqlstate(const struct postgres_link *link);
bool postgres_link_was_refused(const struct postgres_link *link);

/* "HOST:PORT" of the host that is or was connected to last. */
const char *postgres_link_host(const struct postgres_link *link);

struct postgres_counters {
	uint64_t connections; /* made */
	uint64_t exchanges;   /* round trips */
	uint64_t failures;    /* ends of a connection, and attempts that made none */
	uint64_t busy_us;     /* spent in exchanges that succeeded */
};

const struct postgres_counters *postgres_link_counters(const struct postgres_link *link);

#endif
#endif
