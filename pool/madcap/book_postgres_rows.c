/* SPDX-License-Identifier: MIT */
#include "book_postgres_rows.h"

#ifdef HAVE_LIBPQ

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "parse.h"

/* The columns of ROWS_ARRAYS. */
enum {
	ROW_ID,
	ROW_PART,
	ROW_PARTS,
	ROW_STATE,
	ROW_FLAGS,
	ROW_SCOPE,
	ROW_CLIENT,
	ROW_STARTS,
	ROW_ENDS,
	ROW_TOUCHED,
	ROW_WANTED_MIN,
	ROW_WANTED,
	ROW_WANTED_LEASE,
	ROW_ADDRESS,
	ROW_HELD_FROM,
	ROW_HELD_UNTIL,
};

/* The columns of ROWS_SELECT. */
enum {
	GOT_ID,
	GOT_STATE,
	GOT_FLAGS,
	GOT_SCOPE,
	GOT_CLIENT,
	GOT_STARTS,
	GOT_ENDS,
	GOT_TOUCHED,
	GOT_WANTED_MIN,
	GOT_WANTED,
	GOT_WANTED_LEASE,
	GOT_PARTS,
	GOT_ADDRESSES,
	GOT_OPEN,
};

/* ---- text ------------------------------------------------------------------------------------ */

void text_reset(struct text *text)
{
	text->used = 0;
	text->no_memory = false;
}

void text_done(struct text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

static char *room(struct text *text, size_t n)
{
	size_t size = 2 * (text->used + n) + 64;
	char *data;

	if (text->used + n <= text->size)
		return text->data + text->used;
	data = realloc(text->data, size);
	if (data == NULL) {
		text->no_memory = true;
		return NULL;
	}
	text->data = data;
	text->size = size;
	return data + text->used;
}

static void add(struct text *text, const char *string)
{
	size_t n = strlen(string);
	char *at = room(text, n + 1);

	if (at == NULL)
		return;
	memcpy(at, string, n + 1);
	text->used += n;
}

static void begin_element(struct text *array)
{
	add(array, array->used == 0 ? "{" : ",");
}

void text_add_number(struct text *array, uint64_t value)
{
	char digits[NUMBER_TEXT_SIZE];

	begin_element(array);
	add(array, format_number(value, digits));
}

void text_add_bytes(struct text *array, struct madcap_bytes bytes)
{
	char *at;

	begin_element(array);
	at = room(array, 2 * bytes.size + 6);
	if (at == NULL)
		return;
	memcpy(at, "\"\\\\x", 4);
	format_octets(bytes.data, bytes.size, at + 4);
	memcpy(at + 4 + 2 * bytes.size, "\"", 2);
	array->used += 5 + 2 * bytes.size;
}

void text_end_array(struct text *array)
{
	add(array, array->used == 0 ? "{}" : "}");
}

static void add_address(struct text *array, const struct madcap_address *address)
{
	char text[MADCAP_ADDRESS_TEXT];

	begin_element(array);
	add(array, address->family != 0 ? madcap_address_format(address, text) : "NULL");
}

/* ---- out ------------------------------------------------------------------------------------- */

void rows_reset(struct rows *rows)
{
	rows->n = 0;
	for (size_t i = 0; i < ROWS_COLUMNS; i++)
		text_reset(&rows->columns[i]);
}

void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < ROWS_COLUMNS; i++)
		text_done(&rows->columns[i]);
}

static void add_null(struct text *array)
{
	begin_element(array);
	add(array, "NULL");
}

/* What all rows of a lease have in common, and its address where it has one. */
static void add_row(struct rows *rows, const struct lease *lease, uint32_t part, uint32_t parts,
		    const struct madcap_address *address)
{
	struct text *columns = rows->columns;

	text_add_bytes(&columns[ROW_ID], lease_id(lease));
	text_add_number(&columns[ROW_PART], part);
	text_add_number(&columns[ROW_PARTS], parts);
	text_add_number(&columns[ROW_STATE], lease->state);
	text_add_number(&columns[ROW_FLAGS], lease->flags);
	add_address(&columns[ROW_SCOPE], &lease->space->scope);
	add_address(&columns[ROW_CLIENT], &lease->client->address);
	text_add_number(&columns[ROW_STARTS], lease->times.start_sec);
	text_add_number(&columns[ROW_ENDS], lease->times.end_sec);
	text_add_number(&columns[ROW_TOUCHED], lease->touched_sec);
	text_add_number(&columns[ROW_WANTED_MIN], lease->wanted_min);
	text_add_number(&columns[ROW_WANTED], lease->wanted);
	text_add_number(&columns[ROW_WANTED_LEASE], lease->wanted_lease);
	add_address(&columns[ROW_ADDRESS], address);
	text_add_number(&columns[ROW_HELD_FROM], lease->times.start_sec);
	if (lease->wants_open)
		add_null(&columns[ROW_HELD_UNTIL]);
	else
		text_add_number(&columns[ROW_HELD_UNTIL],
				(uint64_t)lease->times.end_sec + rows->extra_sec);
	rows->n++;
}

void rows_add(struct rows *rows, const struct lease *lease, uint32_t extra_sec)
{
	static const struct madcap_address none;
	uint32_t n = lease_addresses(lease), part = 0;

	rows->extra_sec = extra_sec;
	if (n == 0)
		add_row(rows, lease, 0, 1, &none);
	for (size_t i = 0; i < lease->n_spans; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count; j++) {
			struct madcap_address address = none;

			(void)madcap_address_add(&lease->space->scope, lease->spans[i].first + j,
						 &address);
			add_row(rows, lease, part++, n, &address);
		}
	}
}

bool rows_values(struct rows *rows, const char *values[ROWS_COLUMNS])
{
	bool fine = true;

	for (size_t i = 0; i < ROWS_COLUMNS; i++) {
		text_end_array(&rows->columns[i]);
		fine = fine && !rows->columns[i].no_memory;
		values[i] = rows->columns[i].data;
	}
	return fine;
}

/* ---- in -------------------------------------------------------------------------------------- */

bool id_from_hex(const char *text, uint8_t buf[BOOK_ID_MAX], struct madcap_bytes *ret)
{
	ret->data = buf;
	return parse_octets(text, BOOK_ID_MAX, buf, &ret->size);
}

/* A number up to `max`; NULL, and what is no number, is above all of them. */
static bool read_number(const PGresult *result, int row, int column, uint32_t max, uint32_t *ret)
{
	const char *text = PQgetvalue(result, row, column);
	unsigned long value;
	char *end;

	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > max)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool read_head(const PGresult *result, int row, struct lease *lease,
		      struct madcap_address *scope, struct madcap_address *client)
{
	uint32_t state, flags, wanted_min, wanted;

	*client = (struct madcap_address){ .family = 0 };
	if (!read_number(result, row, GOT_STATE, BOOK_DENIED, &state) || state == BOOK_OFFERED ||
	    !read_number(result, row, GOT_FLAGS, UINT8_MAX, &flags) ||
	    !madcap_address_parse(PQgetvalue(result, row, GOT_SCOPE), scope) ||
	    (!PQgetisnull(result, row, GOT_CLIENT) &&
	     !madcap_address_parse(PQgetvalue(result, row, GOT_CLIENT), client)) ||
	    !read_number(result, row, GOT_STARTS, UINT32_MAX, &lease->times.start_sec) ||
	    !read_number(result, row, GOT_ENDS, UINT32_MAX, &lease->times.end_sec) ||
	    !read_number(result, row, GOT_TOUCHED, UINT32_MAX, &lease->touched_sec) ||
	    !read_number(result, row, GOT_WANTED_MIN, UINT16_MAX, &wanted_min) ||
	    !read_number(result, row, GOT_WANTED, UINT16_MAX, &wanted) ||
	    !read_number(result, row, GOT_WANTED_LEASE, UINT32_MAX, &lease->wanted_lease))
		return false;
	lease->state = (uint8_t)state;
	lease->flags = (uint8_t)flags;
	lease->wanted_min = (uint16_t)wanted_min;
	lease->wanted = (uint16_t)wanted;
	return lease->times.end_sec > lease->times.start_sec;
}

/* Where in the scope an address is. */
static bool read_address(const char *text, size_t length, const struct madcap_address *scope,
			 uint64_t *ret)
{
	char copy[MADCAP_ADDRESS_TEXT];
	struct madcap_address address;

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return madcap_address_parse(copy, &address) &&
	       madcap_address_distance(scope, &address, ret);
}

/* Addresses that follow each other are one span. False if there are not `parts`, or too many spans. */
static bool read_addresses(const char *text, uint32_t parts, const struct madcap_address *scope,
			   struct span spans[BOOK_RANGES_MAX], size_t *ret_n)
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; *text != '\0'; i++) {
		struct span *last = n > 0 ? &spans[n - 1] : NULL;
		size_t length = strcspn(text, ",");
		uint64_t at;

		if (!read_address(text, length, scope, &at))
			return false;
		if (last != NULL && last->first + last->count == at && last->count < UINT16_MAX)
			last->count++;
		else if (n < BOOK_RANGES_MAX)
			spans[n++] = (struct span){ at, 1 };
		else
			return false;
		text += length + (text[length] == ',');
	}
	*ret_n = n;
	return i == parts;
}

int lease_from_row(const PGresult *result, int row, struct lease **ret,
		   struct madcap_address *ret_scope, struct madcap_address *ret_client)
{
	struct span spans[BOOK_RANGES_MAX];
	struct lease head = { .serial = 1 };
	uint8_t buf[BOOK_ID_MAX];
	struct madcap_bytes id;
	struct lease *lease;
	uint32_t parts;
	size_t n = 0;

	if (!id_from_hex(PQgetvalue(result, row, GOT_ID), buf, &id) ||
	    !read_head(result, row, &head, ret_scope, ret_client) ||
	    !read_number(result, row, GOT_PARTS, UINT32_MAX, &parts))
		return POOL_E_DAMAGED;
	if (head.state == BOOK_ACTIVE ? !read_addresses(PQgetvalue(result, row, GOT_ADDRESSES),
							parts, ret_scope, spans, &n)
				      : !PQgetisnull(result, row, GOT_ADDRESSES))
		return POOL_E_DAMAGED;
	lease = lease_new(id, n);
	if (lease == NULL)
		return POOL_E_NO_MEMORY;
	head.is_open = PQgetvalue(result, row, GOT_OPEN)[0] == 't';
	head.n_spans = lease->n_spans;
	head.id_size = lease->id_size;
	*lease = head;
	memcpy(lease->spans, spans, n * sizeof(spans[0]));
	*ret = lease;
	return 0;
}

#endif
