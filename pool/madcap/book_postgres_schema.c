/* SPDX-License-Identifier: MIT */
#include "book_postgres_schema.h"

#ifdef HAVE_LIBPQ

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* ---- the tables ------------------------------------------------------------------------------ */

/*
 * book has one row: the number of the last batch, a random token of that batch, and the newest time
 * that any batch was made at. Whoever writes a batch adds one to the number, and holds the row's
 * lock until the batch is committed; so batches have an order, and a server that missed some of
 * them, or that knows batches which a failover has lost, finds another number or token there.
 *
 * lease has a row for each address that a lease holds, nearly always one. The constraint lease_apart
 * is what forbids that two leases ever hold one address at the same time, or closer to each other
 * than extra_sec: whatever a program does. It looks at the address as two numbers (for IPv4 they are the
 * same), with which GiST is several times faster than with inet. lease_once makes identifiers
 * unique. Requests that wait for the operator have a row without an address.
 *
 * What it compares is `held`, which lease_held makes span the lease and extra_sec behind it. A lease
 * that is alone on its addresses holds them without an end: then a renewal changes no index. Only
 * where leases of one address follow each other does each hold it until its own end.
 *
 * batch says what each batch changed, so that the other servers can follow. Old rows are removed.
 */
static const char *const version_1[] = {
	"CREATE SCHEMA madcap",
	"CREATE EXTENSION IF NOT EXISTS btree_gist",
	"CREATE TABLE madcap.book ("
	" only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),"
	" program text NOT NULL,"
	" schema_version integer NOT NULL,"
	" extra_sec bigint NOT NULL CHECK (extra_sec >= 0),"
	" version bigint NOT NULL,"
	" token bigint NOT NULL,"
	" at_sec bigint NOT NULL"
	") WITH (fillfactor = 10)",
	"CREATE TABLE madcap.batch ("
	" version bigint PRIMARY KEY,"
	" token bigint NOT NULL,"
	" at_sec bigint NOT NULL,"
	" server text NOT NULL,"
	" changed bytea[] NOT NULL,"
	" removed bytea[] NOT NULL)",
	"CREATE TABLE madcap.lease ("
	" id bytea NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 255),"
	" part integer NOT NULL,"
	" parts integer NOT NULL,"
	" state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),"
	" flags smallint NOT NULL,"
	" scope inet NOT NULL,"
	" client inet,"
	" starts_sec bigint NOT NULL,"
	" ends_sec bigint NOT NULL,"
	" touched_sec bigint NOT NULL,"
	" wanted_min integer NOT NULL,"
	" wanted integer NOT NULL,"
	" wanted_lease_sec bigint NOT NULL,"
	" server text NOT NULL,"
	" address inet CHECK (address = host(address)::inet),"
	" extra_sec bigint NOT NULL CHECK (extra_sec >= 0),"
	" held_from_sec bigint NOT NULL,"
	" held_until_sec bigint,"
	" held int8range GENERATED ALWAYS AS (int8range(held_from_sec, held_until_sec)) STORED,"
	" high bigint GENERATED ALWAYS AS (('x' ||"
	" left(right(encode(inet_send(address), 'hex'), 32), 16))::bit(64)::bigint) STORED,"
	" low bigint GENERATED ALWAYS AS (('x' ||"
	" right(encode(inet_send(address), 'hex'), 16))::bit(64)::bigint) STORED,"
	" CHECK (part >= 0 AND part < parts),"
	" CHECK (starts_sec >= 0 AND starts_sec < ends_sec AND ends_sec <= 4294967295),"
	" CHECK ((state = 1) = (address IS NOT NULL)),"
	" CONSTRAINT lease_held CHECK (held_from_sec <= starts_sec"
	"  AND (held_until_sec IS NULL OR held_until_sec >= ends_sec + extra_sec)),"
	" CONSTRAINT lease_once PRIMARY KEY (id, part),"
	" CONSTRAINT lease_apart EXCLUDE USING gist (low WITH =, high WITH =, held WITH &&)"
	") WITH (fillfactor = 70)",
	"INSERT INTO madcap.book (program, schema_version, extra_sec, version, token, at_sec)"
	" VALUES ('" SCHEMA_PROGRAM "', 1, 0, 1, (random() * 1e15)::bigint, 0)",
	"INSERT INTO madcap.batch SELECT version, token, at_sec, '', '{}', '{}' FROM madcap.book",
};

/* What each server has done, and the leases for people to read. */
static const char *const version_2[] = {
	"CREATE TABLE madcap.server ("
	" name text PRIMARY KEY,"
	" seen_sec bigint NOT NULL,"
	" granted bigint NOT NULL,"
	" renewed bigint NOT NULL,"
	" released bigint NOT NULL"
	") WITH (fillfactor = 20)",
	"CREATE VIEW madcap.leases AS SELECT address, scope, client, server,"
	" (ARRAY['active', 'pending', 'approved', 'denied'])[state] AS state,"
	" to_timestamp(starts_sec) AS starts, to_timestamp(ends_sec) AS ends,"
	" to_timestamp(touched_sec) AS touched, id FROM madcap.lease",
};

/* How to get from the version before to each version. */
static const struct {
	const char *const *statements;
	size_t n;
} migrations[SCHEMA_VERSION] = {
	{ version_1, ARRAY_SIZE(version_1) },
	{ version_2, ARRAY_SIZE(version_2) },
};

/* ---- judging --------------------------------------------------------------------------------- */

enum {
	FOUND_DATABASE,
	FOUND_ROLE,
	FOUND_SCHEMA,
	FOUND_TABLES,
	FOUND_RIGHTS,
	FOUND_CONSTRAINTS,
};

#define OUR_TABLES "c.relnamespace = n.oid AND c.relname IN ('book', 'batch', 'lease')"

/* The catalogue may be read by everybody, so nothing of this fails for want of rights. */
const char schema_question[] =
	"SELECT current_database(), current_user, n.oid IS NOT NULL,"
	" (SELECT count(*) FROM pg_class c WHERE " OUR_TABLES "),"
	" coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AND"
	" (SELECT coalesce(bool_and(has_table_privilege(c.oid, 'SELECT')"
	"   AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')"
	"   AND has_table_privilege(c.oid, 'DELETE')), true) FROM pg_class c WHERE"
	"   c.relnamespace = n.oid AND c.relkind = 'r'),"
	" (SELECT count(*) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
	"   JOIN pg_index i ON i.indexrelid = k.conindid"
	"   WHERE " OUR_TABLES " AND c.relname = 'lease' AND k.convalidated AND i.indisvalid AND"
	"   (k.conname = 'lease_apart' AND k.contype = 'x' OR"
	"    k.conname = 'lease_once' AND k.contype = 'p')) +"
	" (SELECT count(*) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
	"   WHERE " OUR_TABLES " AND k.conname = 'lease_held' AND k.convalidated)"
	" FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname = 'madcap'";

static bool found(const PGresult *answer, int column)
{
	return PQgetvalue(answer, 0, column)[0] == 't';
}

int schema_judge(const PGresult *answer, struct error *error)
{
	const char *database = PQgetvalue(answer, 0, FOUND_DATABASE);
	const char *role = PQgetvalue(answer, 0, FOUND_ROLE);

	if (!found(answer, FOUND_SCHEMA)) {
		error_set(error,
			  "there is no lease book in database \"%s\": "
			  "make it with madcapd --init-book",
			  database);
		return POOL_E_NOT_FOUND;
	}
	if (strcmp(PQgetvalue(answer, 0, FOUND_TABLES), "3") != 0) {
		error_set(error,
			  "the schema \"madcap\" in database \"%s\" is not a lease book of "
			  "madcapd: give madcapd a database of its own",
			  database);
		return POOL_E_DAMAGED;
	}
	if (!found(answer, FOUND_RIGHTS)) {
		error_set(error,
			  "role \"%s\" may not use the lease book in database \"%s\": GRANT USAGE "
			  "ON SCHEMA madcap TO \"%s\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL "
			  "TABLES IN SCHEMA madcap TO \"%s\"",
			  role, database, role, role);
		return POOL_E_REFUSED;
	}
	if (strcmp(PQgetvalue(answer, 0, FOUND_CONSTRAINTS), "3") != 0) {
		error_set(error,
			  "the lease book in database \"%s\" is damaged: madcap.lease lacks one of "
			  "its constraints lease_apart, lease_held and lease_once, so that "
			  "addresses could be leased twice; restore the schema from a backup",
			  database);
		return POOL_E_DAMAGED;
	}
	return 0;
}

int schema_judge_version(const char *version, struct error *error)
{
	int number = atoi(version);

	if (number == SCHEMA_VERSION)
		return 0;
	error_set(error,
		  number > SCHEMA_VERSION
			  ? "the lease book has version %d, and this madcapd knows %d: upgrade it"
			  : "the lease book has version %d, and this madcapd needs %d: run madcapd "
			    "--init-book",
		  number, SCHEMA_VERSION);
	return POOL_E_VERSION;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* A large book is not changed in the time that an answer may take, and somebody is there who can
 * end it. */
#define MIGRATION_MS (INT64_C(24) * 60 * 60 * 1000)

static int finish(struct postgres_link *link, struct error *error)
{
	postgres_link_wait(link);
	if (postgres_link_state(link) == POSTGRES_IDLE)
		return 0;
	error_set(error, "%s", postgres_link_problem(link));
	return POOL_E_STORE;
}

static int exchange(struct postgres_link *link, const struct postgres_statement *statement,
		    struct error *error)
{
	postgres_link_send(link, statement, 1);
	return finish(link, error);
}

/* All that is missing, in one transaction; then all servers that run have to look anew. */
static int migrate(struct postgres_link *link, int from, const char *extra, struct error *error)
{
	struct postgres_statement statements[POSTGRES_STATEMENTS_MAX];
	size_t n = 0;
	const char *const values[] = { extra };

	statements[n++] = (struct postgres_statement){ .sql = "BEGIN" };
	for (int i = from; i < SCHEMA_VERSION; i++) {
		for (size_t j = 0; j < migrations[i].n; j++)
			statements[n++] =
				(struct postgres_statement){ .sql = migrations[i].statements[j] };
	}
	statements[n++] = (struct postgres_statement){
		/* What is held without an end stays so. */
		.sql = "UPDATE madcap.lease SET extra_sec = $1::bigint, held_until_sec ="
		       " CASE WHEN held_until_sec IS NOT NULL THEN ends_sec + $1::bigint END"
		       " WHERE extra_sec <> $1::bigint",
		.n_values = 1,
		.values = values,
	};
	statements[n++] = (struct postgres_statement){
		.sql = "UPDATE madcap.book SET schema_version = " SCHEMA_VERSION_TEXT
		       ", extra_sec = $1::bigint, version = version + 1",
		.n_values = 1,
		.values = values,
	};
	statements[n++] = (struct postgres_statement){
		.sql = "INSERT INTO madcap.batch SELECT version, token, at_sec, '', '{}', '{}'"
		       " FROM madcap.book",
	};
	statements[n++] = (struct postgres_statement){ .sql = "COMMIT" };
	postgres_link_send(link, statements, n);
	postgres_link_extend(link, MIGRATION_MS);
	return finish(link, error);
}

static int make_new(struct postgres_link *link, const char *extra, struct error *error)
{
	int code = migrate(link, 0, extra, error);

	if (code < 0 && strcmp(postgres_link_sqlstate(link), "42501") == 0)
		error_set(error,
			  "%s; the book's owner needs GRANT CREATE ON DATABASE, or an account "
			  "that has it runs madcapd --init-book",
			  postgres_link_problem(link));
	return code;
}

static int bring_up(struct postgres_link *link, const char *extra, const char **ret_did,
		    struct error *error)
{
	static const struct postgres_statement ask = {
		.sql = "SELECT program, schema_version, extra_sec FROM madcap.book"
	};
	const PGresult *row;
	bool newer, same;
	int from, code = exchange(link, &ask, error);

	if (code < 0)
		return code;
	row = postgres_link_result(link, 0);
	if (PQntuples(row) != 1 || strcmp(PQgetvalue(row, 0, 0), SCHEMA_PROGRAM) != 0) {
		error_set(error, "the schema \"madcap\" there is not a lease book of madcapd");
		return POOL_E_DAMAGED;
	}
	from = atoi(PQgetvalue(row, 0, 1));
	same = strcmp(PQgetvalue(row, 0, 2), extra) == 0;
	newer = from > SCHEMA_VERSION || from < 1;
	if (newer)
		return schema_judge_version(PQgetvalue(row, 0, 1), error);
	if (from == SCHEMA_VERSION && same) {
		*ret_did = "is there already";
		return 0;
	}
	*ret_did = from < SCHEMA_VERSION ? "was brought to version " SCHEMA_VERSION_TEXT
					 : "has another extra_allocation_time now";
	code = migrate(link, from, extra, error);
	if (code < 0 && strcmp(postgres_link_sqlstate(link), "23P01") == 0)
		error_set(error,
			  "extra_allocation_time cannot be made longer: there are leases of one "
			  "address that lie closer together");
	return code;
}

int schema_make(struct postgres_link *link, uint32_t extra_sec, const char **ret_did,
		struct error *error)
{
	static const struct postgres_statement ask = { .sql = schema_question };
	char extra[16];
	int code = exchange(link, &ask, error);

	if (code < 0)
		return code;
	snprintf(extra, sizeof(extra), "%" PRIu32, extra_sec);
	code = schema_judge(postgres_link_result(link, 0), error);
	*ret_did = "was made";
	if (code == POOL_E_NOT_FOUND)
		return make_new(link, extra, error);
	return code < 0 ? code : bring_up(link, extra, ret_did, error);
}

#endif
