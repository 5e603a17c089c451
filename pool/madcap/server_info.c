/* SPDX-License-Identifier: MIT */
/* server_info.c - GETINFO (RFC 2730, 2.2.1): scope list, nesting state, time, features. */
#include "server_impl.h"

#include <string.h>
#include <strings.h>

#include "address.h"

/* Octets of a scope list with names, and of one without: 255 IPv4 scopes, or 180 IPv6 ones. */
#define NAMES_SIZE_MAX 1200
#define SCOPES_SIZE_MAX 6144

/* All but the two lists, with the longest identifier, is shorter. */
#define REST_SIZE_MAX 512

/* Which names of a scope are told. */
enum names { NAMES_ALL, NAMES_ONE, NAMES_NONE };

static bool is_language(const struct madcap_zone_name *name, struct madcap_bytes tag)
{
	return strlen(name->language) == tag.size &&
	       strncasecmp(name->language, (const char *)tag.data, tag.size) == 0;
}

/* 3.10: the name in the language asked for, else the one marked for that, else any. */
static const struct madcap_zone_name *best_name(const struct madcap_server_scope *scope,
						struct madcap_bytes tag)
{
	const struct madcap_zone_name *best = NULL;

	for (size_t i = 0; i < scope->n_names; i++) {
		const struct madcap_zone_name *name = &scope->names[i];

		if (tag.size > 0 && is_language(name, tag))
			return name;
		if (best == NULL || (name->is_default && !best->is_default))
			best = name;
	}
	return best;
}

static void write_name(struct wire_writer *writer, const struct madcap_zone_name *name)
{
	const struct madcap_scope_name wire = {
		.flags = name->is_default ? MADCAP_NAME_DEFAULT : 0,
		.language = { (const uint8_t *)name->language, strlen(name->language) },
		.name = { (const uint8_t *)name->name, strlen(name->name) },
	};

	madcap_scope_name_write(writer, &wire);
}

static void write_scope(struct wire_writer *writer, const struct madcap_server_scope *scope,
			enum names names, struct madcap_bytes tag)
{
	const struct madcap_zone_name *one = names == NAMES_ONE ? best_name(scope, tag) : NULL;
	size_t n = names == NAMES_ALL ? scope->n_names : one != NULL;
	const struct madcap_scope_entry entry = {
		.first = scope->first,
		.last = scope->last,
		.ttl = scope->ttl,
		.n_names = (uint8_t)n,
	};

	madcap_scope_write(writer, &entry);
	if (one != NULL)
		write_name(writer, one);
	for (size_t i = 0; i < n && one == NULL; i++)
		write_name(writer, &scope->names[i]);
}

/* The scopes that are announced to a client of this family, in order. */
static size_t announced(const struct madcap_server *server, uint16_t family, size_t *places)
{
	size_t n = 0;

	for (size_t i = 0; i < server->n_scopes; i++) {
		const struct scope_state *scope = &server->scopes[server->order[i]];

		if (scope->group.family == family && server_scope_is_live(server, scope))
			places[n++] = server->order[i];
	}
	return n;
}

struct nesting {
	const struct madcap_server *server;
	const size_t *places;
};

static bool nests(const void *context, unsigned int inner, unsigned int outer)
{
	const struct nesting *nesting = context;
	const struct madcap_server *server = nesting->server;

	return server->nests[nesting->places[inner] * server->n_scopes + nesting->places[outer]] !=
	       0;
}

/*
 * All names, or if that is too long one a scope, or none: the scopes matter more. Names get as much
 * as leaves the answer in one frame, so that nobody is flooded with what others ask for (4).
 */
static bool add_scopes(struct exchange *exchange, const size_t *places, size_t n)
{
	struct madcap_server *server = exchange->server;
	bool one = madcap_message_has(&exchange->in, MADCAP_OPT_LANGUAGE);
	struct wire_writer writer = { .failed = true };

	for (int names = one ? NAMES_ONE : NAMES_ALL; names <= NAMES_NONE && writer.failed;
	     names++) {
		wire_writer_init(&writer, server->lists[0],
				 names == NAMES_NONE ? SCOPES_SIZE_MAX : NAMES_SIZE_MAX);
		wire_write_u8(&writer, (uint8_t)n);
		for (size_t i = 0; i < n; i++)
			write_scope(&writer, server->scopes[places[i]].config, (enum names)names,
				    exchange->in.language);
	}
	if (writer.failed)
		return false;
	exchange->out.scope_list = (struct madcap_bytes){ server->lists[0], writer.at };
	madcap_message_set(&exchange->out, MADCAP_OPT_SCOPE_LIST);
	return true;
}

/* Behind the list, if there is room for it: without the list the client has nothing. */
static void add_nesting(struct exchange *exchange, const size_t *places, size_t n)
{
	struct madcap_server *server = exchange->server;
	const struct nesting nesting = { server, places };
	struct wire_writer writer;

	wire_writer_init(&writer, server->lists[1],
			 MADCAP_ANSWER_MAX - REST_SIZE_MAX - exchange->out.scope_list.size);
	madcap_nesting_write(&writer, (unsigned int)n, nests, &nesting);
	if (writer.failed)
		return;
	exchange->out.nesting = (struct madcap_bytes){ server->lists[1], writer.at };
	madcap_message_set(&exchange->out, MADCAP_OPT_NESTING);
}

void server_getinfo(struct exchange *exchange)
{
	struct madcap_server *server = exchange->server;
	struct madcap_bytes wanted = exchange->in.option_request;
	size_t places[2 * UINT8_MAX];
	size_t n = announced(server, exchange->in.family, places);
	bool scopes = false;

	answer_begin(exchange, MADCAP_ACK);
	if (madcap_codes_has(wanted, MADCAP_OPT_SCOPE_LIST))
		scopes = add_scopes(exchange, places, n);
	/* RFC 2907, 3.3: only together with the list that it is about. */
	if (scopes && madcap_codes_has(wanted, MADCAP_OPT_NESTING))
		add_nesting(exchange, places, n);
	if (madcap_codes_has(wanted, MADCAP_OPT_CURRENT_TIME)) {
		exchange->out.current_time = server_now(server);
		madcap_message_set(&exchange->out, MADCAP_OPT_CURRENT_TIME);
	}
	if (madcap_codes_has(wanted, MADCAP_OPT_FEATURES))
		madcap_message_set(&exchange->out, MADCAP_OPT_FEATURES);
	answer_send(exchange);
}
