/* SPDX-License-Identifier: MIT */
/* Scopes: asked for, as a collection, by cursor, and one by one (MC-4, MC-5). */
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "libmadcap.h"

#define SCOPES_MAX (MADCAP_CLIENT_ANSWERS_MAX * 255) /* a list has at most 255 */

struct madcap_cursor {
	const struct madcap_scopes *scopes;
	size_t at;
};

/* ---- the collection -------------------------------------------------------------------------- */

struct madcap_scopes *scopes_alloc(size_t n)
{
	struct madcap_scopes *scopes = calloc(1, sizeof(*scopes));

	if (scopes == NULL)
		return NULL;
	scopes->scopes = calloc(n > 0 ? n : 1, sizeof(*scopes->scopes));
	if (scopes->scopes == NULL) {
		free(scopes);
		return NULL;
	}
	scopes->n = n;
	return scopes;
}

void madcap_scopes_free(struct madcap_scopes **scopes)
{
	if (scopes == NULL || *scopes == NULL)
		return;
	for (size_t i = 0; i < (*scopes)->n; i++)
		free((*scopes)->scopes[i].names);
	free((*scopes)->scopes);
	free(*scopes);
	*scopes = NULL;
}

static void copy_bytes(char *buf, const struct madcap_bytes *from)
{
	size_t n = from->size < SCOPE_TEXT_SIZE ? from->size : SCOPE_TEXT_SIZE - 1;

	memcpy(buf, from->data, n);
	buf[n] = '\0';
}

void scope_add_name(struct madcap_scope *scope, const struct madcap_scope_name *from)
{
	struct scope_name *name = &scope->names[scope->n_names++];

	name->is_default = (from->flags & MADCAP_NAME_DEFAULT) != 0;
	copy_bytes(name->language, &from->language);
	copy_bytes(name->name, &from->name);
}

static bool read_scope(struct madcap_scope_reader *reader, struct madcap_scope *scope)
{
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;

	if (!madcap_scopes_next(reader, &entry))
		return true; /* the decoder has seen to it that there is one */
	scope->first = entry.first;
	scope->last = entry.last;
	scope->ttl = entry.ttl;
	madcap_address_format(&scope->first, scope->id_text);
	madcap_address_format(&scope->last, scope->last_text);
	if (entry.n_names == 0)
		return true;
	scope->names = calloc(entry.n_names, sizeof(*scope->names));
	if (scope->names == NULL)
		return false;
	for (unsigned int i = 0; i < entry.n_names; i++)
		if (madcap_scopes_name(reader, &name))
			scope_add_name(scope, &name);
	return true;
}

/* The scopes of the i-th answer, into `scopes`, which has room for them. */
static bool read_answer(struct madcap *m, size_t i, struct madcap_scopes *scopes)
{
	const struct madcap_client_answer *answer = madcap_client_answer(&m->client, i);
	const struct madcap_endpoint *server =
		m->client.multicast ? &answer->from : madcap_client_peer(&m->client);
	struct madcap_scope_reader reader;
	struct madcap_message message;
	unsigned int n;

	(void)madcap_message_decode(answer->data, answer->size, &message);
	n = madcap_scopes_begin(&message, &reader);
	for (unsigned int j = 0; j < n; j++) {
		struct madcap_scope *scope = &scopes->scopes[scopes->n++];

		madcap_endpoint_format(server, scope->server);
		if (m->interface_of[i] != 0)
			(void)if_indextoname(m->interface_of[i], scope->interface);
		if (!read_scope(&reader, scope))
			return false;
	}
	return true;
}

static size_t count_answer(const struct madcap_client_answer *answer)
{
	struct madcap_scope_reader reader;
	struct madcap_message message;

	(void)madcap_message_decode(answer->data, answer->size, &message);
	return madcap_scopes_begin(&message, &reader);
}

int scopes_from_answers(struct madcap *m, struct madcap_scopes **ret)
{
	size_t n = madcap_client_n_answers(&m->client), total = 0;
	struct madcap_scopes *scopes;

	for (size_t i = 0; i < n; i++)
		total += count_answer(madcap_client_answer(&m->client, i));
	if (total == 0 || total > SCOPES_MAX)
		return fail_with(m, MADCAP_E_NO_SCOPES, "the server has no scopes");
	scopes = scopes_alloc(total);
	if (scopes == NULL)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	scopes->n = 0;
	for (size_t i = 0; i < n; i++)
		if (!read_answer(m, i, scopes)) {
			madcap_scopes_free(&scopes);
			return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
		}
	*ret = scopes;
	return 0;
}

/* GETINFO needs a lease identifier too, though there is no lease (Table 5). */
static int ask(struct madcap *m)
{
	struct madcap_query query = { .operation = MADCAP_GET_SCOPES, .family = m->family };
	struct madcap_servers servers = { .n = m->n_servers,
					  .total_ms = m->timeout_ms,
					  .tries = m->tries };
	uint8_t random[16];

	if (!random_bytes(random, sizeof(random)))
		return fail_with(m, MADCAP_E_SYSTEM, "no random numbers");
	madcap_client_id_make(&query.id, random);
	memcpy(query.language, m->language, sizeof(query.language));
	memcpy(servers.server, m->servers, sizeof(servers.server));
	server_group(m, m->family, &servers);
	return exchange(m, &query, &servers);
}

int madcap_scopes_get(struct madcap *m, struct madcap_scopes **ret)
{
	int code;

	if (m == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	code = check_started(m);
	if (code != 0)
		return code;
	if (m->local)
		return local_scopes(m, ret);
	code = ask(m);
	return code != 0 ? code : scopes_from_answers(m, ret);
}

size_t madcap_scopes_count(const struct madcap_scopes *scopes)
{
	return scopes != NULL ? scopes->n : 0;
}

const struct madcap_scope *madcap_scopes_at(const struct madcap_scopes *scopes, size_t i)
{
	return i < madcap_scopes_count(scopes) ? &scopes->scopes[i] : NULL;
}

/* ---- the cursor ------------------------------------------------------------------------------ */

int madcap_cursor_new(const struct madcap_scopes *scopes, struct madcap_cursor **ret)
{
	struct madcap_cursor *cursor;

	if (scopes == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	cursor = calloc(1, sizeof(*cursor));
	if (cursor == NULL)
		return MADCAP_E_NO_MEMORY;
	cursor->scopes = scopes;
	*ret = cursor;
	return 0;
}

int madcap_cursor_next(struct madcap_cursor *cursor, size_t n, const struct madcap_scope **scopes,
		       size_t *ret_n)
{
	size_t done = 0;

	if (cursor == NULL || (scopes == NULL && n > 0) || ret_n == NULL)
		return MADCAP_E_POINTER;
	while (done < n && cursor->at < cursor->scopes->n)
		scopes[done++] = &cursor->scopes->scopes[cursor->at++];
	*ret_n = done;
	return 0;
}

size_t madcap_cursor_skip(struct madcap_cursor *cursor, size_t n)
{
	size_t left;

	if (cursor == NULL)
		return 0;
	left = cursor->scopes->n - cursor->at;
	if (n > left)
		n = left;
	cursor->at += n;
	return n;
}

void madcap_cursor_reset(struct madcap_cursor *cursor)
{
	if (cursor != NULL)
		cursor->at = 0;
}

int madcap_cursor_clone(const struct madcap_cursor *cursor, struct madcap_cursor **ret)
{
	struct madcap_cursor *clone = NULL;
	int code;

	if (cursor == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	code = madcap_cursor_new(cursor->scopes, &clone);
	if (code != 0)
		return code;
	clone->at = cursor->at;
	*ret = clone;
	return 0;
}

void madcap_cursor_free(struct madcap_cursor **cursor)
{
	if (cursor == NULL)
		return;
	free(*cursor);
	*cursor = NULL;
}

/* ---- one scope ------------------------------------------------------------------------------- */

const char *madcap_scope_id(const struct madcap_scope *scope)
{
	return scope != NULL ? scope->id_text : NULL;
}

const char *madcap_scope_last(const struct madcap_scope *scope)
{
	return scope != NULL ? scope->last_text : NULL;
}

const char *madcap_scope_server(const struct madcap_scope *scope)
{
	return scope != NULL ? scope->server : NULL;
}

const char *madcap_scope_interface(const struct madcap_scope *scope)
{
	return scope != NULL ? scope->interface : NULL;
}

const char *madcap_scope_description(const struct madcap_scope *scope)
{
	if (scope == NULL)
		return NULL;
	for (size_t i = 0; i < scope->n_names; i++)
		if (scope->names[i].is_default)
			return scope->names[i].name;
	return scope->n_names > 0 ? scope->names[0].name : "";
}

unsigned int madcap_scope_ttl(const struct madcap_scope *scope)
{
	return scope != NULL ? scope->ttl : 0;
}

size_t madcap_scope_names(const struct madcap_scope *scope)
{
	return scope != NULL ? scope->n_names : 0;
}

const char *madcap_scope_name(const struct madcap_scope *scope, size_t i)
{
	return i < madcap_scope_names(scope) ? scope->names[i].name : NULL;
}

const char *madcap_scope_name_language(const struct madcap_scope *scope, size_t i)
{
	return i < madcap_scope_names(scope) ? scope->names[i].language : NULL;
}
