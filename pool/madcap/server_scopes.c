/* SPDX-License-Identifier: MIT */
#include "server_impl.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"

#define SCOPES_MAX 255 /* the scope list counts them in one octet (3.10) */

bool server_scope_is_live(const struct madcap_server *server, const struct scope_state *scope)
{
	const struct madcap_server_scope *config = scope->config;

	return !config->disabled &&
	       (config->expires_sec == 0 || server->clock.unix_sec < config->expires_sec);
}

const struct scope_state *server_scope_find(const struct madcap_server *server,
					    const struct madcap_address *first)
{
	for (size_t i = 0; i < server->n_scopes; i++) {
		const struct scope_state *scope = &server->scopes[i];

		if (madcap_address_equal(&scope->config->first, first))
			return server_scope_is_live(server, scope) ? scope : NULL;
	}
	return NULL;
}

/*
 * Served are the group's own scope and those around it. The Local Scope is the smallest there is:
 * every other one encloses it (RFC 2365, 6.1), also where it is not configured, and of whichever
 * family it is: addresses of one may be leased by way of the other (3.3).
 */
bool server_scope_answers(const struct madcap_server *server, const struct scope_state *scope,
			  const struct madcap_address *group)
{
	struct madcap_address local = madcap_local_group(group->family);
	size_t outer = (size_t)(scope - server->scopes);

	if (madcap_address_equal(group, &local))
		return true;
	for (size_t i = 0; i < server->n_scopes; i++) {
		if (!madcap_address_equal(&server->scopes[i].group, group))
			continue;
		if (i == outer || server->nests[i * server->n_scopes + outer] != 0)
			return true;
	}
	return false;
}

/* ---- nesting and order ----------------------------------------------------------------------- */

static size_t place_of(const struct scope_state *scopes, size_t n,
		       const struct madcap_address *first)
{
	size_t i = 0;

	while (i < n && !madcap_address_equal(&scopes[i].config->first, first))
		i++;
	return i;
}

/* What nests in what nests in a third nests there too (RFC 2907, 3.2). */
static int make_nesting(struct madcap_server *server, struct error *error)
{
	size_t n = server->n_scopes;
	uint8_t *nests = calloc(n * n + 1, 1);

	if (nests == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	server->nests = nests;
	for (size_t i = 0; i < n; i++) {
		const struct madcap_server_scope *scope = server->scopes[i].config;

		for (size_t j = 0; j < scope->n_inside; j++) {
			size_t outer = place_of(server->scopes, n, &scope->inside[j]);
			char text[MADCAP_ADDRESS_TEXT];

			if (outer == n || outer == i) {
				error_set(error, "no other scope begins with %s",
					  madcap_address_format(&scope->inside[j], text));
				return POOL_E_CONFIG;
			}
			nests[i * n + outer] = 1;
		}
	}
	for (size_t k = 0; k < n; k++) {
		for (size_t i = 0; i < n; i++) {
			for (size_t j = 0; j < n && nests[i * n + k] != 0; j++)
				nests[i * n + j] |= (uint8_t)(nests[k * n + j] & (i != j));
		}
	}
	return 0;
}

static bool is_smaller(const struct madcap_server_scope *a, const struct madcap_server_scope *b)
{
	uint64_t a_size = UINT64_MAX, b_size = UINT64_MAX;

	if (a->ttl != b->ttl)
		return a->ttl < b->ttl;
	madcap_address_distance(&a->first, &a->last, &a_size);
	madcap_address_distance(&b->first, &b->last, &b_size);
	return a_size < b_size;
}

/* True if a scope that nests in this one, and not the other way round, has no place yet. */
static bool must_wait(const struct madcap_server *server, size_t scope, const bool *placed)
{
	size_t n = server->n_scopes;

	for (size_t i = 0; i < n; i++) {
		if (!placed[i] && server->nests[i * n + scope] != 0 &&
		    server->nests[scope * n + i] == 0)
			return true;
	}
	return false;
}

/* 3.10: smaller scopes come first; inner ones before those around them in any case. */
static int make_order(struct madcap_server *server, struct error *error)
{
	bool placed[2 * SCOPES_MAX] = { false };
	size_t n = server->n_scopes;

	server->order = calloc(n + 1, sizeof(size_t));
	if (server->order == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	for (size_t place = 0; place < n; place++) {
		size_t best = n;

		for (size_t i = 0; i < n; i++) {
			if (placed[i] || must_wait(server, i, placed))
				continue;
			if (best == n ||
			    is_smaller(server->scopes[i].config, server->scopes[best].config))
				best = i;
		}
		placed[best] = true;
		server->order[place] = best;
	}
	return 0;
}

/* ---- spaces: what is allocated, less what is excluded and the server group ------------------- */

struct ranges {
	struct madcap_address_range *all;
	size_t n;
	size_t size;
};

static int push(struct ranges *ranges, struct madcap_address first, struct madcap_address last)
{
	if (ranges->n == ranges->size) {
		size_t size = 2 * ranges->size + 8;
		struct madcap_address_range *all = realloc(ranges->all, size * sizeof(*all));

		if (all == NULL)
			return POOL_E_NO_MEMORY;
		ranges->all = all;
		ranges->size = size;
	}
	ranges->all[ranges->n++] = (struct madcap_address_range){ first, last };
	return 0;
}

static struct madcap_address before(const struct madcap_address *address)
{
	/* The address below: a server group is its scope's last one less one. */
	return madcap_server_group(address);
}

/* Takes [first, last] out of every range. */
static int subtract(struct ranges *ranges, const struct madcap_address *first,
		    const struct madcap_address *last)
{
	struct ranges left = { NULL, 0, 0 };
	int code = 0;

	for (size_t i = 0; i < ranges->n && code == 0; i++) {
		struct madcap_address_range *range = &ranges->all[i];
		struct madcap_address behind;

		if (madcap_address_compare(last, &range->first) < 0 ||
		    madcap_address_compare(first, &range->last) > 0) {
			code = push(&left, range->first, range->last);
			continue;
		}
		if (madcap_address_compare(&range->first, first) < 0)
			code = push(&left, range->first, before(first));
		if (code == 0 && madcap_address_compare(last, &range->last) < 0 &&
		    madcap_address_add(last, 1, &behind))
			code = push(&left, behind, range->last);
	}
	free(ranges->all);
	*ranges = left;
	return code;
}

static int by_first(const void *a, const void *b)
{
	const struct madcap_address_range *x = a, *y = b;

	return madcap_address_compare(&x->first, &y->first);
}

/* Sorted, and neighbours joined: a lease then needs fewer ranges. */
static void join_neighbours(struct ranges *ranges)
{
	size_t n = 0;

	if (ranges->n > 0)
		qsort(ranges->all, ranges->n, sizeof(ranges->all[0]), by_first);
	for (size_t i = 0; i < ranges->n; i++) {
		struct madcap_address_range *last = n > 0 ? &ranges->all[n - 1] : NULL;
		struct madcap_address behind;

		if (last != NULL && madcap_address_add(&last->last, 1, &behind) &&
		    madcap_address_compare(&ranges->all[i].first, &behind) <= 0) {
			if (madcap_address_compare(&ranges->all[i].last, &last->last) > 0)
				last->last = ranges->all[i].last;
		} else {
			ranges->all[n++] = ranges->all[i];
		}
	}
	ranges->n = n;
}

static int make_space(const struct scope_state *state, struct book_space *space,
		      struct ranges *ranges)
{
	const struct madcap_server_scope *scope = state->config;
	int code = 0;

	if (scope->n_allocate == 0)
		code = push(ranges, scope->first, scope->last);
	for (size_t i = 0; i < scope->n_allocate && code == 0; i++)
		code = push(ranges, scope->allocate[i].first, scope->allocate[i].last);
	for (size_t i = 0; i < scope->n_exclude && code == 0; i++)
		code = subtract(ranges, &scope->exclude[i].first, &scope->exclude[i].last);
	if (code == 0)
		code = subtract(ranges, &state->group, &state->group);
	if (code == 0)
		join_neighbours(ranges);
	*space = (struct book_space){ scope->first, scope->last, ranges->all, ranges->n };
	return code;
}

static uint32_t seconds(int64_t sec)
{
	return sec > UINT32_MAX ? UINT32_MAX : sec < 0 ? 0 : (uint32_t)sec;
}

static int tell_book(const struct madcap_server *server, const struct madcap_server_config *config,
		     struct error *error)
{
	struct book_space *spaces = calloc(server->n_scopes + 1, sizeof(*spaces));
	struct ranges *ranges = calloc(server->n_scopes + 1, sizeof(*ranges));
	int code = spaces == NULL || ranges == NULL ? POOL_E_NO_MEMORY : 0;

	for (size_t i = 0; i < server->n_scopes && code == 0; i++)
		code = make_space(&server->scopes[i], &spaces[i], &ranges[i]);
	if (code == 0)
		code = book_set_spaces(server->book, spaces, server->n_scopes,
				       seconds(config->extra_allocation_sec));
	if (code == POOL_E_INVALID) {
		error_set(error, "two scopes overlap");
		code = POOL_E_CONFIG;
	} else if (code == POOL_E_REFUSED) {
		error_set(error,
			  "a scope cannot be split, joined or moved while addresses of it are "
			  "leased: let its leases end, or release them");
		code = POOL_E_CONFIG;
	} else if (code < 0) {
		error_set(error, "out of memory");
	}
	for (size_t i = 0; ranges != NULL && i < server->n_scopes; i++)
		free(ranges[i].all);
	free(ranges);
	free(spaces);
	return code;
}

/* ---- a configuration as a whole -------------------------------------------------------------- */

static int check_scope(const struct madcap_server_scope *scope, struct error *error)
{
	char text[MADCAP_ADDRESS_TEXT];
	uint64_t size = UINT64_MAX;

	madcap_address_format(&scope->first, text);
	madcap_address_distance(&scope->first, &scope->last, &size);
	if (!madcap_address_is_multicast(&scope->first) ||
	    !madcap_address_is_multicast(&scope->last) ||
	    !madcap_address_within(&scope->last, &scope->first, &scope->last))
		error_set(error, "scope %s is no range of multicast addresses", text);
	else if (size < 2)
		error_set(error, "scope %s has no address beside its server group", text);
	else if (scope->n_names > UINT8_MAX)
		error_set(error, "scope %s has more than 255 names", text);
	else
		return 0;
	return POOL_E_CONFIG;
}

static int check_config(const struct madcap_server_config *config, struct error *error)
{
	size_t n[2] = { 0, 0 };

	for (size_t i = 0; i < config->n_scopes; i++) {
		int code = check_scope(&config->scopes[i], error);

		if (code < 0)
			return code;
		if (++n[config->scopes[i].first.family == MADCAP_IPV6] > SCOPES_MAX) {
			error_set(error, "more than %d scopes of a family", SCOPES_MAX);
			return POOL_E_CONFIG;
		}
	}
	return 0;
}

void server_scopes_done(struct madcap_server *server)
{
	free(server->scopes);
	free(server->order);
	free(server->nests);
	server->scopes = NULL;
	server->order = NULL;
	server->nests = NULL;
	server->n_scopes = 0;
}

int server_scopes_set(struct madcap_server *server, const struct madcap_server_config *config,
		      struct error *error)
{
	struct madcap_server next = { .book = server->book };
	int code = check_config(config, error);

	if (code < 0)
		return code;
	next.scopes = calloc(config->n_scopes + 1, sizeof(next.scopes[0]));
	if (next.scopes == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	next.n_scopes = config->n_scopes;
	for (size_t i = 0; i < config->n_scopes; i++) {
		next.scopes[i].config = &config->scopes[i];
		next.scopes[i].group = madcap_server_group(&config->scopes[i].last);
	}
	code = make_nesting(&next, error);
	if (code == 0)
		code = make_order(&next, error);
	if (code == 0)
		code = tell_book(&next, config, error);
	if (code < 0) {
		server_scopes_done(&next);
		return code;
	}
	server_scopes_done(server);
	server->scopes = next.scopes;
	server->order = next.order;
	server->nests = next.nests;
	server->n_scopes = next.n_scopes;
	server->config = config;
	return 0;
}

/* Groups by number: the scopes' own, then the default ones; false behind the last. */
static bool nth_group(const struct madcap_server *server, size_t at, struct madcap_address *ret)
{
	if (at < server->n_scopes)
		*ret = server->scopes[at].group;
	else if (at < server->n_scopes + 2)
		*ret = madcap_local_group(at == server->n_scopes ? MADCAP_IPV4 : MADCAP_IPV6);
	else
		return false;
	return true;
}

static bool has_family(const struct madcap_server *server, uint16_t family)
{
	for (size_t i = 0; i < server->n_scopes; i++) {
		if (server->scopes[i].group.family == family)
			return true;
	}
	return false;
}

bool madcap_server_group_next(const struct madcap_server *server, size_t *at,
			      struct madcap_address *ret)
{
	struct madcap_address group, other;

	while (nth_group(server, *at, &group)) {
		bool again = !has_family(server, group.family);

		for (size_t i = 0; i < *at && !again; i++)
			again = nth_group(server, i, &other) &&
				madcap_address_equal(&group, &other);
		++*at;
		if (!again) {
			*ret = group;
			return true;
		}
	}
	return false;
}
