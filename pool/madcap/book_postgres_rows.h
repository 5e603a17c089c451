/* SPDX-License-Identifier: MIT */
/*
 * book_postgres_rows.h - leases as rows of madcap.lease: many of them as one array of text for each
 * column, and one of them from a row that came back.
 *
 * A lease has one row for each of its addresses.
 */
#ifndef RASIP_MADCAP_BOOK_POSTGRES_ROWS_H
#define RASIP_MADCAP_BOOK_POSTGRES_ROWS_H

#ifdef HAVE_LIBPQ

#include <libpq-fe.h>
#include <stdbool.h>

#include "book_memory.h"

/* Text that grows; NUL-terminated once something is in it. */
struct text {
	char *data;
	size_t used;
	size_t size;
	bool no_memory;
};

void text_reset(struct text *text);
void text_done(struct text *text);

/* One more element of an array in PostgreSQL's notation; text_end_array() closes it. */
void text_add_bytes(struct text *array, struct madcap_bytes bytes);
void text_add_number(struct text *array, uint64_t value);
void text_end_array(struct text *array);

#define ROWS_COLUMNS 16
/* The columns in the order of the arrays, and their types. */
#define ROWS_NAMES                                                                                 \
	"id, part, parts, state, flags, scope, client, starts_sec, ends_sec, touched_sec, "        \
	"wanted_min, wanted, wanted_lease_sec, address, held_from_sec, held_until_sec"
#define ROWS_ARRAYS                                                                                \
	"$1::bytea[], $2::int[], $3::int[], $4::smallint[], $5::smallint[], $6::inet[], "          \
	"$7::inet[], $8::bigint[], $9::bigint[], $10::bigint[], $11::int[], $12::int[], "          \
	"$13::bigint[], $14::inet[], $15::bigint[], $16::bigint[]"

struct rows {
	size_t n;
	uint32_t extra_sec;
	struct text columns[ROWS_COLUMNS];
};

void rows_reset(struct rows *rows);
void rows_done(struct rows *rows);
/* As it is to be kept: open, or until extra_sec after its end. */
void rows_add(struct rows *rows, const struct lease *lease, uint32_t extra_sec);

/* Closes the arrays and gives them; false without memory. */
bool rows_values(struct rows *rows, const char *values[ROWS_COLUMNS]);

/* What lease_from_row() reads: one row for each lease, of its first row in madcap.lease, `l`. */
#define ROWS_FIELDS                                                                                \
	"encode(l.id, 'hex'), l.state, l.flags, host(l.scope), host(l.client), "                   \
	"l.starts_sec, l.ends_sec, l.touched_sec, l.wanted_min, l.wanted, l.wanted_lease_sec, "    \
	"l.parts, CASE WHEN l.parts = 1 THEN host(l.address) ELSE (SELECT string_agg("             \
	"host(b.address), ',' ORDER BY b.part) FROM madcap.lease b WHERE b.id = l.id) END, "       \
	"l.held_until_sec IS NULL"

/* Of all leases. */
#define ROWS_SELECT "SELECT " ROWS_FIELDS " FROM madcap.lease l WHERE l.part = 0"

/*
 * A lease that is in no index yet. 0; POOL_E_DAMAGED for a row that no madcapd writes;
 * POOL_E_NO_MEMORY.
 */
int lease_from_row(const PGresult *result, int row, struct lease **ret,
		   struct madcap_address *ret_scope, struct madcap_address *ret_client)
	__attribute__((warn_unused_result));

/* An identifier from hexadecimal digits; false, and nothing of use in buf, if it is none. */
bool id_from_hex(const char *text, uint8_t buf[BOOK_ID_MAX], struct madcap_bytes *ret);

#endif
#endif
