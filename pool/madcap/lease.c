/* SPDX-License-Identifier: MIT */
/* Leases: requested, renewed, released (MC-7 to MC-10). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "endpoint.h"
#include "libmadcap.h"

/* ---- what is wished for ---------------------------------------------------------------------- */

/* start 0 is now, stop 0 the server's choice (CL-6); stop before start is no lease (MC-7). */
static int put_times(struct madcap *m, struct madcap_query *query, const struct madcap_wish *wish)
{
	int64_t now = wall_clock(), start = wish->start, stop = wish->stop;
	int64_t from = start > now ? start : now;

	if (start < 0 || stop < 0 || start >= LEASE_TIME_MAX_SEC || stop > LEASE_TIME_MAX_SEC ||
	    wish->seconds < 0 || wish->seconds > LEASE_TIME_MAX_SEC)
		return fail_with(m, MADCAP_E_ARGUMENT, "times must be from 1970 to 2106");
	if (stop != 0 && wish->seconds != 0)
		return fail_with(m, MADCAP_E_ARGUMENT, "either a stop or a number of seconds");
	if (stop != 0 && stop <= start)
		return fail_with(m, MADCAP_E_ARGUMENT, "the lease would stop before it starts");
	if (stop != 0 && stop <= now)
		return fail_with(m, MADCAP_E_ARGUMENT, "the lease would be over already");
	query->start_sec = start > now ? (uint32_t)start : 0;
	query->lease_sec = stop != 0 ? (uint32_t)(stop - from) : (uint32_t)wish->seconds;
	if (wish->min_seconds < 0 || wish->min_seconds > LEASE_TIME_MAX_SEC ||
	    (query->lease_sec != 0 && wish->min_seconds > query->lease_sec))
		return fail_with(m, MADCAP_E_ARGUMENT,
				 "the shortest lease time is above the one wished for");
	if (wish->latest_start < 0 || wish->latest_start > LEASE_TIME_MAX_SEC ||
	    (wish->latest_start != 0 && wish->latest_start < wish->start))
		return fail_with(m, MADCAP_E_ARGUMENT, "the latest start is before the start");
	query->min_lease_sec = (uint32_t)wish->min_seconds;
	query->max_start_sec = (uint32_t)wish->latest_start;
	return 0;
}

static int put_counts(struct madcap *m, struct madcap_query *query, const struct madcap_wish *wish)
{
	if (wish->count > MADCAP_ADDRESSES_MAX || wish->min_count > MADCAP_ADDRESSES_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "more than %d addresses",
				 MADCAP_ADDRESSES_MAX);
	query->count = (uint16_t)wish->count;
	query->min_count = (uint16_t)wish->min_count;
	if (query->min_count > (query->count > 1 ? query->count : 1))
		return fail_with(m, MADCAP_E_ARGUMENT,
				 "the least number of addresses is above the number wished for");
	return 0;
}

static int compare_addresses(const void *a, const void *b)
{
	return madcap_address_compare(a, b);
}

/* Neighbours become one range. `addresses` is sorted. */
static int join_ranges(struct madcap *m, const struct madcap_address *addresses, size_t n,
		       struct madcap_range *ranges, size_t *ret_n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct madcap_range *last = used > 0 ? &ranges[used - 1] : NULL;
		uint64_t offset;

		if (last != NULL && madcap_address_distance(&last->first, &addresses[i], &offset) &&
		    offset < UINT16_MAX && offset <= last->count) {
			if (offset == last->count)
				last->count++;
			continue;
		}
		if (used == MADCAP_CLIENT_RANGES_MAX)
			return fail_with(m, MADCAP_E_ARGUMENT,
					 "more than %d separate ranges of addresses",
					 MADCAP_CLIENT_RANGES_MAX);
		ranges[used++] = (struct madcap_range){ .first = addresses[i], .count = 1 };
	}
	*ret_n = used;
	return 0;
}

static int put_addresses(struct madcap *m, const struct madcap_wish *wish, uint16_t family,
			 struct madcap_range *ranges, size_t *ret_n)
{
	struct madcap_address *addresses;
	int code = 0;

	if (wish->n_addresses > MADCAP_ADDRESSES_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "too many addresses");
	addresses = calloc(wish->n_addresses + 1, sizeof(*addresses));
	if (addresses == NULL)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < wish->n_addresses && code == 0; i++) {
		const char *text = wish->addresses[i];

		if (text == NULL)
			code = fail_with(m, MADCAP_E_POINTER, "an address is missing");
		else if (!madcap_address_parse(text, &addresses[i]) ||
			 !madcap_address_is_multicast(&addresses[i]) ||
			 addresses[i].family != family)
			code = fail_with(m, MADCAP_E_ARGUMENT,
					 "'%s' is no multicast address of the scope's family",
					 text);
	}
	if (code == 0) {
		qsort(addresses, wish->n_addresses, sizeof(*addresses), compare_addresses);
		code = join_ranges(m, addresses, wish->n_addresses, ranges, ret_n);
	}
	free(addresses);
	return code;
}

static int put_scope(struct madcap *m, const struct madcap_wish *wish, struct madcap_query *query)
{
	if (wish->scope == NULL && wish->scope_id == NULL)
		return fail_with(m, MADCAP_E_POINTER, "a request names its scope");
	if (wish->scope != NULL)
		query->scope = wish->scope->first;
	else if (!madcap_address_parse(wish->scope_id, &query->scope) ||
		 !madcap_address_is_multicast(&query->scope))
		return fail_with(m, MADCAP_E_ARGUMENT,
				 "'%s' is no scope: it must be the first "
				 "multicast address of one",
				 wish->scope_id);
	query->family = query->scope.family;
	return 0;
}

static int make_query(struct madcap *m, const struct madcap_wish *wish, struct madcap_query *query,
		      struct madcap_range *ranges)
{
	int code;

	*query = (struct madcap_query){ .operation = MADCAP_REQUEST_LEASE,
					.retry_ms = m->retry_sec * 1000,
					.requested = { MADCAP_FEATURE_SERVER_MOBILITY },
					/* Only of use where there is another one. */
					.n_requested = m->n_servers > 1,
					.ranges = ranges };
	code = put_scope(m, wish, query);
	if (code == 0)
		code = put_times(m, query, wish);
	if (code == 0)
		code = put_counts(m, query, wish);
	if (code == 0 && wish->addresses != NULL)
		code = put_addresses(m, wish, query->family, ranges, &query->n_ranges);
	return code;
}

/* A fresh one for each request, and for each server that is asked (CL-2, CL-3). */
static int make_id(struct madcap *m, struct madcap_query *query)
{
	uint8_t random[16];

	if (!random_bytes(random, sizeof(random)))
		return fail_with(m, MADCAP_E_SYSTEM, "no random numbers");
	madcap_client_id_make(&query->id, random);
	return 0;
}

/* ---- what is granted ------------------------------------------------------------------------- */

static void copy_ranges(struct madcap_lease *lease, const struct madcap_grant *grant)
{
	size_t n = 0;

	for (size_t i = 0; i < grant->n_ranges; i++) {
		struct madcap_address address = grant->ranges[i].first;

		for (uint32_t j = 0; j < grant->ranges[i].count; j++) {
			madcap_address_format(&address, lease->addresses[n++]);
			(void)madcap_address_add(&address, 1, &address);
		}
	}
}

/*
 * Who was sent a REQUEST and did not answer may have granted it all the same. Nothing that we keep
 * may have this identifier at those servers.
 */
static void release_at_silent(struct madcap *m, const struct madcap_query *query)
{
	struct madcap_endpoint silent[MADCAP_CLIENT_SERVERS_MAX];
	size_t n = madcap_client_n_silent(&m->client);

	for (size_t i = 0; i < n; i++)
		silent[i] = *madcap_client_silent(&m->client, i);
	for (size_t i = 0; i < n; i++)
		release_unheard(m, query, &silent[i]);
}

/* After a success the identifier is the lease's. Where servers share their leases (2.13.1), the one
 * that a silent server may have is the very same. */
static void release_doubles(struct madcap *m, const struct madcap_query *query)
{
	struct madcap_grant grant;

	if (madcap_client_n_silent(&m->client) == 0 || madcap_client_grant(&m->client, &grant) != 0)
		return;
	if (!grant.mobile)
		release_at_silent(m, query);
	madcap_grant_done(&grant);
}

static int take_grant(struct madcap *m, const struct madcap_client_id *id, int ttl,
		      struct madcap_lease **ret)
{
	struct madcap_grant grant;
	struct madcap_lease *lease;

	if (madcap_client_grant(&m->client, &grant) != 0)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	lease = lease_alloc(grant.count > 0 ? grant.count : 1);
	if (lease != NULL) {
		lease->n_addresses = grant.count;
		lease->id = *id;
		lease->ttl = ttl;
		lease->start_sec = grant.start_sec;
		lease->stop_sec = grant.end_sec;
		lease->mobile = grant.mobile;
		madcap_endpoint_format(&grant.server, lease->server);
		madcap_address_format(&grant.scope, lease->scope);
		copy_ranges(lease, &grant);
		*ret = lease;
	}
	madcap_grant_done(&grant);
	return lease != NULL ? 0 : fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
}

/* What was put off and has been given up must not come to be later (2.13.2). */
static void withdraw(struct madcap *m, const struct madcap_query *query)
{
	struct madcap_endpoint server = *madcap_client_peer(&m->client);
	struct madcap_query release = { .operation = MADCAP_RELEASE_LEASE,
					.family = query->family,
					.id = query->id };
	struct madcap_servers servers = {
		.server = { server }, .n = 1, .total_ms = m->timeout_ms, .tries = m->tries
	};
	struct error error = m->error;

	(void)exchange(m, &release, &servers);
	m->error = error;
	m->refusal = -1;
}

/* One server, or discovery. */
static int try_once(struct madcap *m, struct madcap_query *query,
		    const struct madcap_servers *servers)
{
	int code = make_id(m, query);

	if (code == 0)
		code = exchange(m, query, servers);
	if (code == MADCAP_E_PENDING) {
		withdraw(m, query);
	} else if (code != 0) {
		if (code == MADCAP_E_TIMED_OUT && m->n_unheard < MADCAP_CLIENT_SERVERS_MAX)
			m->unheard[m->n_unheard++] = query->id;
		release_at_silent(m, query);
	}
	return code;
}

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The refusals and silences of several servers, one behind the other. */
static void add_reason(struct error *all, const struct madcap *m)
{
	size_t used = strlen(all->text);

	if (used + 2 < sizeof(all->text))
		snprintf(all->text + used, sizeof(all->text) - used, "%s%.*s", used > 0 ? "; " : "",
			 (int)(sizeof(all->text) - used - 3), m->error.text);
}

/*
 * Each server has a lease identifier of its own: then what a silent one may have granted can be
 * released without regard to whether servers share their leases.
 */
static int ask_in_order(struct madcap *m, struct madcap_query *query,
			const struct madcap_servers *all)
{
	int64_t end_ms =
		monotonic_ms() +
		(all->total_ms != 0 ? all->total_ms : MADCAP_CLIENT_TOTAL_MS * (int64_t)all->n);
	struct madcap_servers one = *all;
	struct error reasons = { "" };
	int code = MADCAP_E_TIMED_OUT, refusal = -1;

	one.n = 1;
	for (size_t i = 0; i < all->n; i++) {
		one.server[0] = all->server[i];
		one.total_ms = (end_ms - monotonic_ms()) / (int64_t)(all->n - i);
		if (one.total_ms <= 0)
			one.total_ms = 1;
		code = try_once(m, query, &one);
		if (code != MADCAP_E_TIMED_OUT && code != MADCAP_E_REFUSED &&
		    code != MADCAP_E_SYSTEM) /* IPv6 may be missing here, say */
			return code;
		if (code == MADCAP_E_REFUSED)
			refusal = m->refusal;
		add_reason(&reasons, m);
	}
	m->error = reasons;
	m->refusal = refusal;
	return refusal >= 0 ? MADCAP_E_REFUSED : code;
}

/* Of a server that has not granted the lease itself (2.2.7, 2.2.8). */
static void require_mobility(struct madcap_query *query)
{
	query->n_requested = 0;
	query->required[0] = MADCAP_FEATURE_SERVER_MOBILITY;
	query->n_required = 1;
}

/* A server that shares its leases with the silent ones can end what they may have granted. */
static void release_elsewhere(struct madcap *m, const struct madcap_query *asked,
			      const struct madcap_lease *lease)
{
	struct madcap_query query = { .family = asked->family };
	struct madcap_endpoint server;

	require_mobility(&query);
	for (size_t i = 0; i < m->n_unheard; i++) {
		query.id = m->unheard[i];
		if (lease->mobile && madcap_endpoint_parse(lease->server, &server))
			release_unheard(m, &query, &server);
	}
}

/* ---- where to ask ---------------------------------------------------------------------------- */

static int request(struct madcap *m, const struct madcap_wish *wish, struct madcap_query *query)
{
	struct madcap_servers servers = { .total_ms = m->timeout_ms, .tries = m->tries };

	if (wish->scope != NULL && wish->scope->server[0] != '\0') {
		servers.n = 1;
		if (!madcap_endpoint_parse(wish->scope->server, &servers.server[0]))
			return fail_with(m, MADCAP_E_ARGUMENT, "'%s' is no server",
					 wish->scope->server);
	} else {
		servers.n = m->n_servers;
		memcpy(servers.server, m->servers, sizeof(servers.server));
	}
	if (servers.n > 0)
		return ask_in_order(m, query, &servers);
	server_group(m, query->family, &servers);
	/* To learn whether servers share their leases: release_doubles(). */
	query->requested[query->n_requested++] = MADCAP_FEATURE_SERVER_MOBILITY;
	return try_once(m, query, &servers);
}

int madcap_request(struct madcap *m, const struct madcap_wish *wish, struct madcap_lease **ret)
{
	struct madcap_range ranges[MADCAP_CLIENT_RANGES_MAX];
	struct madcap_query query;
	int ttl = LEASE_TTL_UNKNOWN, code;

	if (m == NULL || wish == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	code = check_started(m);
	if (code == 0)
		code = make_query(m, wish, &query, ranges);
	if (code != 0)
		return code;
	if (wish->scope != NULL)
		ttl = (int)wish->scope->ttl;
	if (m->local) {
		code = make_id(m, &query);
		return code != 0 ? code : local_request(m, &query, ttl, ret);
	}
	m->n_unheard = 0;
	code = request(m, wish, &query);
	if (code == 0) {
		code = take_grant(m, &query.id, ttl, ret);
		release_doubles(m, &query);
	}
	if (code == 0)
		release_elsewhere(m, &query, *ret);
	return code;
}

/* ---- renewal and release --------------------------------------------------------------------- */

static struct madcap_lease *copy_lease(const struct madcap_lease *lease)
{
	struct madcap_lease *copy = lease_alloc(lease->n_addresses);

	if (copy == NULL)
		return NULL;
	memcpy(copy->addresses, lease->addresses, lease->n_addresses * sizeof(*copy->addresses));
	copy->id = lease->id;
	memcpy(copy->server, lease->server, sizeof(copy->server));
	memcpy(copy->scope, lease->scope, sizeof(copy->scope));
	copy->ttl = lease->ttl;
	copy->mobile = lease->mobile;
	return copy;
}

/* A lease that was drawn here is renewed by drawing the line elsewhere. */
static int renew_here(struct madcap *m, const struct madcap_lease *lease,
		      const struct madcap_query *times, struct madcap_lease **ret)
{
	struct madcap_lease *renewed = copy_lease(lease);

	if (renewed == NULL)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	renewed->start_sec = times->start_sec != 0 ? (int64_t)times->start_sec : wall_clock();
	renewed->stop_sec = lease_stop_of(
		renewed->start_sec, times->lease_sec != 0 ? (int64_t)times->lease_sec
							  : lease->stop_sec - lease->start_sec);
	*ret = renewed;
	return 0;
}

/*
 * Who may be asked about a lease: the server that granted it (2.2.7, 2.2.8) and, where that one
 * shares its leases with others, those that the handle knows of (2.13.1).
 */
static int holders(struct madcap *m, const struct madcap_lease *lease, struct madcap_servers *ret)
{
	if (m->local)
		return fail_with(m, MADCAP_E_ARGUMENT,
				 "the lease is %s's, and local allocation asks no server",
				 lease->server);
	if (!madcap_endpoint_parse(lease->server, &ret->server[0]))
		return fail_with(m, MADCAP_E_ARGUMENT, "the lease makes no sense");
	ret->n = 1;
	for (size_t i = 0; lease->mobile && i < m->n_servers; i++) {
		if (ret->n < MADCAP_CLIENT_SERVERS_MAX &&
		    !madcap_endpoint_equal(&m->servers[i], &ret->server[0]))
			ret->server[ret->n++] = m->servers[i];
	}
	return 0;
}

/* Whether another server may have another answer to the same question. */
static bool is_worth_another(const struct madcap *m, int code)
{
	return code == MADCAP_E_TIMED_OUT || code == MADCAP_E_SYSTEM ||
	       (code == MADCAP_E_REFUSED && (m->refusal == MADCAP_ERR_NOT_COMPLETED ||
					     m->refusal == MADCAP_ERR_FEATURE_UNSUPPORTED));
}

/* One after the other, until one has an answer that counts. */
static int ask_holders(struct madcap *m, struct madcap_query *query,
		       const struct madcap_servers *all)
{
	int64_t total_ms =
		m->timeout_ms != 0 ? m->timeout_ms : MADCAP_CLIENT_TOTAL_MS * (int64_t)all->n;
	int64_t end_ms = monotonic_ms() + total_ms;
	struct madcap_servers one = { .n = 1, .tries = m->tries };
	struct error reasons = { "" };
	bool silence = false;
	int code = MADCAP_E_TIMED_OUT, refusal = -1;

	for (size_t i = 0; i < all->n; i++) {
		int said;

		if (i > 0)
			require_mobility(query);
		one.server[0] = all->server[i];
		one.total_ms = (end_ms - monotonic_ms()) / (int64_t)(all->n - i);
		if (one.total_ms <= 0)
			one.total_ms = 1;
		said = exchange(m, query, &one);
		/* Then the silent one has carried it out. */
		if (silence && query->operation == MADCAP_RELEASE_LEASE &&
		    said == MADCAP_E_REFUSED && m->refusal == MADCAP_ERR_LEASE_ID_UNKNOWN)
			return 0;
		if (!is_worth_another(m, said))
			return said;
		silence = silence || said == MADCAP_E_TIMED_OUT;
		/* Who does not share the lease has no say in it. */
		if (i == 0 || said != MADCAP_E_REFUSED ||
		    m->refusal != MADCAP_ERR_FEATURE_UNSUPPORTED) {
			code = said;
			refusal = m->refusal;
		}
		add_reason(&reasons, m);
	}
	m->error = reasons;
	m->refusal = refusal;
	return code;
}

static int ask_about(struct madcap *m, const struct madcap_lease *lease, struct madcap_query *query)
{
	struct madcap_servers all = { .n = 0 };
	struct madcap_address scope;
	int code = holders(m, lease, &all);

	if (code == 0 && !madcap_address_parse(lease->scope, &scope))
		code = fail_with(m, MADCAP_E_ARGUMENT, "the lease makes no sense");
	if (code != 0)
		return code;
	query->family = scope.family;
	query->id = lease->id;
	return ask_holders(m, query, &all);
}

int madcap_renew(struct madcap *m, const struct madcap_lease *lease, const struct madcap_wish *wish,
		 struct madcap_lease **ret)
{
	static const struct madcap_wish as_it_is;
	struct madcap_query query = { .operation = MADCAP_RENEW_LEASE };
	int code;

	if (m == NULL || lease == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	code = check_started(m);
	if (code == 0)
		code = put_times(m, &query, wish != NULL ? wish : &as_it_is);
	if (code != 0)
		return code;
	if (lease->server[0] == '\0')
		return renew_here(m, lease, &query, ret);
	query.retry_ms = m->retry_sec * 1000;
	if (lease->mobile) {
		query.requested[0] = MADCAP_FEATURE_SERVER_MOBILITY;
		query.n_requested = 1;
	}
	code = ask_about(m, lease, &query);
	return code != 0 ? code : take_grant(m, &lease->id, lease->ttl, ret);
}

int madcap_release_id(struct madcap *m, const uint8_t *request_id, size_t size, const char *server)
{
	struct madcap_query query = { .operation = MADCAP_RELEASE_LEASE };
	struct madcap_servers servers = { .n = 1, .total_ms = m != NULL ? m->timeout_ms : 0 };
	int code;

	if (m == NULL || request_id == NULL || server == NULL)
		return MADCAP_E_POINTER;
	code = check_started(m);
	if (code != 0)
		return code;
	if (size == 0 || size > MADCAP_REQUEST_ID_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "a request id has 1 to 255 octets");
	if (m->local || !madcap_endpoint_parse_host(server, &servers.server[0]))
		return fail_with(m, MADCAP_E_ARGUMENT, "'%s' is no server that may be asked",
				 server);
	memcpy(query.id.bytes, request_id, size);
	query.id.size = size;
	query.family = m->family;
	servers.tries = m->tries;
	return exchange(m, &query, &servers);
}

int madcap_release(struct madcap *m, const struct madcap_lease *lease)
{
	struct madcap_query query = { .operation = MADCAP_RELEASE_LEASE };
	int code;

	if (m == NULL || lease == NULL)
		return MADCAP_E_POINTER;
	code = check_started(m);
	if (code != 0 || lease->server[0] == '\0')
		return code;
	return ask_about(m, lease, &query);
}
