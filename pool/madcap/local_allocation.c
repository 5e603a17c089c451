/* SPDX-License-Identifier: MIT */
/*
 * Addresses drawn at random on this machine (MC-1). Nothing here opens a socket. The scopes are
 * those of RFC 2365 and, for IPv6, of RFC 4291 with the group ids that RFC 3307 leaves to hosts.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "libmadcap.h"
#include "permute.h"

#define DEFAULT_LEASE_SEC (30 * 86400)
#define RELATIVE 256 /* the last addresses of a scope are spoken for: RFC 2365, 9 */

struct local_scope {
	const char *first, *last;
	const char *draw; /* from here ... */
	uint64_t size;    /* ... so many may be drawn */
	unsigned int ttl;
	const char *name;
};

#define HOST_GROUPS (UINT64_C(1) << 31) /* RFC 3307, 4.3: 8000:0000 to ffff:ffff */

static const struct local_scope scopes_known[] = {
	{ "239.255.0.0", "239.255.255.255", "239.255.0.0", 65536 - RELATIVE, 16,
	  "IPv4 Local Scope" },
	{ "239.192.0.0", "239.195.255.255", "239.192.0.0", 4 * 65536 - RELATIVE, 32,
	  "IPv4 Organization Local Scope" },
	{ "ff13::", "ff13:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff13::8000:0",
	  HOST_GROUPS - RELATIVE, 16, "IPv6 SCOP 3" },
	{ "ff15::", "ff15:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff15::8000:0",
	  HOST_GROUPS - RELATIVE, 32, "IPv6 Site-Local Scope" },
	{ "ff18::", "ff18:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff18::8000:0",
	  HOST_GROUPS - RELATIVE, 32, "IPv6 Organization-Local Scope" },
};

#define N_KNOWN ARRAY_SIZE(scopes_known)

static const struct local_scope *find(const struct madcap_address *first)
{
	struct madcap_address address;

	for (size_t i = 0; i < N_KNOWN; i++)
		if (madcap_address_parse(scopes_known[i].first, &address) &&
		    madcap_address_equal(&address, first))
			return &scopes_known[i];
	return NULL;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static bool fill_scope(struct madcap_scope *scope, const struct local_scope *from)
{
	struct madcap_scope_name name = { .flags = MADCAP_NAME_DEFAULT,
					  .language = { (const uint8_t *)"en", 2 },
					  .name = { (const uint8_t *)from->name,
						    strlen(from->name) } };

	(void)madcap_address_parse(from->first, &scope->first);
	(void)madcap_address_parse(from->last, &scope->last);
	madcap_address_format(&scope->first, scope->id_text);
	madcap_address_format(&scope->last, scope->last_text);
	scope->ttl = from->ttl;
	scope->names = calloc(1, sizeof(*scope->names));
	if (scope->names == NULL)
		return false;
	scope_add_name(scope, &name);
	return true;
}

int local_scopes(struct madcap *m, struct madcap_scopes **ret)
{
	struct madcap_scopes *scopes = scopes_alloc(N_KNOWN);
	size_t n = 0;

	for (size_t i = 0; scopes != NULL && i < N_KNOWN; i++) {
		bool ip6 = strchr(scopes_known[i].first, ':') != NULL;

		if (ip6 == (m->family == MADCAP_IPV6) &&
		    !fill_scope(&scopes->scopes[n++], &scopes_known[i]))
			madcap_scopes_free(&scopes);
	}
	if (scopes == NULL)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	scopes->n = n;
	*ret = scopes;
	return 0;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* What may be drawn: the addresses asked for, or the scope's. */
struct urn {
	const struct madcap_range *ranges; /* or NULL */
	size_t n_ranges;
	struct madcap_address first;
	uint64_t size;
};

static bool fill_urn(struct madcap *m, const struct madcap_query *query, struct urn *urn)
{
	const struct local_scope *scope = find(&query->scope);

	*urn = (struct urn){ .ranges = query->ranges, .n_ranges = query->n_ranges };
	for (size_t i = 0; i < urn->n_ranges; i++)
		urn->size += urn->ranges[i].count;
	if (urn->n_ranges > 0)
		return true;
	if (scope == NULL) {
		fail_with(m, 0,
			  "local allocation does not know this scope: it draws from 239.255.0.0, "
			  "239.192.0.0, ff13::, ff15:: and ff18::, or from addresses given");
		return false;
	}
	urn->size = scope->size;
	return madcap_address_parse(scope->draw, &urn->first);
}

static struct madcap_address in_urn(const struct urn *urn, uint64_t index)
{
	struct madcap_address address = urn->first;

	for (size_t i = 0; i < urn->n_ranges; i++) {
		if (index < urn->ranges[i].count) {
			address = urn->ranges[i].first;
			break;
		}
		index -= urn->ranges[i].count;
	}
	(void)madcap_address_add(&address, index, &address);
	return address;
}

static void fill_lease(struct madcap_lease *lease, const struct madcap_query *query,
		       const struct urn *urn, uint64_t key)
{
	int64_t start = query->start_sec != 0 ? (int64_t)query->start_sec : wall_clock();

	lease->id = query->id;
	madcap_address_format(&query->scope, lease->scope);
	lease->start_sec = start;
	lease->stop_sec = lease_stop_of(start, query->lease_sec != 0 ? (int64_t)query->lease_sec
								     : DEFAULT_LEASE_SEC);
	for (size_t i = 0; i < lease->n_addresses; i++) {
		struct madcap_address address = in_urn(urn, permute(i, urn->size, key));

		madcap_address_format(&address, lease->addresses[i]);
	}
}

int local_request(struct madcap *m, const struct madcap_query *query, int ttl,
		  struct madcap_lease **ret)
{
	const struct local_scope *scope = find(&query->scope);
	uint64_t count = query->count > 1 ? query->count : 1;
	uint64_t least = query->min_count != 0 ? query->min_count : count;
	struct madcap_lease *lease;
	struct urn urn;
	uint64_t key;

	if (!fill_urn(m, query, &urn))
		return MADCAP_E_ARGUMENT;
	if (urn.size < least)
		return fail_with(m, MADCAP_E_ARGUMENT, "there are only %llu addresses to draw from",
				 (unsigned long long)urn.size);
	if (!random_bytes(&key, sizeof(key)))
		return fail_with(m, MADCAP_E_SYSTEM, "no random numbers");
	lease = lease_alloc((size_t)(count < urn.size ? count : urn.size));
	if (lease == NULL)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	fill_lease(lease, query, &urn, key);
	lease->ttl = ttl;
	if (ttl == LEASE_TTL_UNKNOWN && scope != NULL)
		lease->ttl = (int)scope->ttl;
	*ret = lease;
	return 0;
}
