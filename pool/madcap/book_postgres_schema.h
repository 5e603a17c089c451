/* SPDX-License-Identifier: MIT */
/*
 * book_postgres_schema.h - the tables of the shared lease book, how they are made, brought to this
 * version, and told from tables of others.
 *
 * Of PostgreSQL's own features this uses the types inet and int8range, a GiST exclusion constraint
 * with the extension btree_gist (which comes with PostgreSQL, and which a database's owner may
 * create), stored generated columns, and arrays with unnest(). There are no functions and no
 * triggers.
 */
#ifndef RASIP_MADCAP_BOOK_POSTGRES_SCHEMA_H
#define RASIP_MADCAP_BOOK_POSTGRES_SCHEMA_H

#ifdef HAVE_LIBPQ

#include "postgres_link.h"

#define SCHEMA_VERSION 2
#define SCHEMA_VERSION_TEXT "2"
#define SCHEMA_PROGRAM "rasip madcapd"

/* A statement that says what the database has, whoever may have made it. */
extern const char schema_question[];

/*
 * Judges the answer to it: 0; POOL_E_NOT_FOUND where there is no book yet; POOL_E_DAMAGED where the
 * schema is another program's or has been changed by hand; POOL_E_REFUSED where the role may not
 * use it. Each but 0 with a line that says what to do.
 */
int schema_judge(const PGresult *answer, struct error *error) __attribute__((warn_unused_result));

/* The same for the version in the book's row, as text: 0 or POOL_E_VERSION. */
int schema_judge_version(const char *version, struct error *error)
	__attribute__((warn_unused_result));

/* Makes the book, or brings it to this version; *ret_did is static text that says which. */
int schema_make(struct postgres_link *link, uint32_t extra_sec, const char **ret_did,
		struct error *error) __attribute__((warn_unused_result));

#endif
#endif
