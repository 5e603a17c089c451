/* SPDX-License-Identifier: MIT */
/* The madcap group of a pool, and what it means together with the pool's ranges. */
#include "config_draft.h"

#include <string.h>

#include "array.h"
#include "madcap/endpoint.h"
#include "parse.h"

#define DEFAULT_LEASE_SEC 3600
#define DEFAULT_TIMEOUT_SEC 8
#define TIMEOUT_MAX_SEC 3600
/* A message names at most 256 ranges; some are left for what turns out to be unusable. */
#define PIECES_MAX 240
#define GROUP_FIRST UINT32_C(0xe0000000)
#define GROUP_LAST UINT32_C(0xefffffff)

_Static_assert(CONFIG_MADCAP_SERVERS_MAX >= 1 && CONFIG_INTERFACE_MAX + 1 >= IF_NAMESIZE,
	       "an interface's name fits");

/* ---- mapping ----------------------------------------------------------------------------- */

bool config_asks_servers(const struct config_pool *pool)
{
	return pool->backend == BACKEND_MADCAP && !pool->madcap.local_allocation;
}

bool config_has_servers(const struct config *config)
{
	for (size_t i = 0; i < config->n_pools; i++)
		if (config_asks_servers(&config->pools[i]))
			return true;
	return false;
}

uint32_t config_group(const struct config_pool *pool, uint32_t addr)
{
	uint64_t index;

	if (pool->backend != BACKEND_MADCAP || !range_set_find(&pool->ranges, addr, &index))
		return 0;
	return pool->madcap.scope + (uint32_t)index; /* loading has seen to it that it fits */
}

uint32_t config_group_address(const struct config_pool *pool, uint32_t group)
{
	if (pool->backend != BACKEND_MADCAP || group < pool->madcap.scope ||
	    group - pool->madcap.scope >= pool->ranges.count)
		return 0;
	return range_set_at(&pool->ranges, group - pool->madcap.scope);
}

/* ---- the group's keys -------------------------------------------------------------------- */

static void read_scope(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;
	uint32_t addr;

	draft->scope = setting;
	if (!loader_string(loader, setting, "239.192.0.0", &value))
		return;
	if (!parse_ip4(value, &addr) || addr < GROUP_FIRST || addr > GROUP_LAST)
		loader_report(
			loader, setting,
			"scope: %s is no multicast address: write the scope's first one, such "
			"as \"239.192.0.0\"",
			loader_quote(value, quoted));
	else
		draft->pool->madcap.scope = addr;
}

static bool has_server(const struct config_madcap *madcap, const struct madcap_endpoint *server)
{
	for (size_t i = 0; i < madcap->n_servers; i++)
		if (madcap_endpoint_equal(&madcap->servers[i], server))
			return true;
	return false;
}

static void each_server(struct config_loader *loader, const config_setting_t *at, const char *value,
			void *object)
{
	struct config_madcap *madcap = object;
	struct madcap_endpoint server;
	char quoted[QUOTE_SIZE];

	if (!madcap_endpoint_parse(value, &server))
		loader_report(loader, at,
			      "servers: %s is no server: write \"192.0.2.1\" or, with a port, "
			      "\"192.0.2.1:2535\"",
			      loader_quote(value, quoted));
	/* A server on this host is fine; a group or 0.0.0.0 is not. */
	else if (!madcap_endpoint_parse_host(value, &server))
		loader_report(loader, at, "servers: %s is no host's address",
			      loader_quote(value, quoted));
	else if (has_server(madcap, &server))
		loader_report(loader, at, "servers: %s stands here twice",
			      loader_quote(value, quoted));
	else if (madcap->n_servers == CONFIG_MADCAP_SERVERS_MAX)
		loader_report(loader, at, "servers: more than %d", CONFIG_MADCAP_SERVERS_MAX);
	else
		madcap->servers[madcap->n_servers++] = server;
}

static void read_servers(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	static const struct config_strings strings = { "192.0.2.1", each_server };
	struct pool_draft *draft = object;

	draft->pool->madcap.n_servers = 0;
	loader_strings(loader, setting, &strings, &draft->pool->madcap);
}

static void read_interface(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct pool_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "eth0", &value))
		return;
	if (value[0] == '\0' || strlen(value) >= IF_NAMESIZE || strpbrk(value, "/ \t\n") != NULL)
		loader_report(loader, setting,
			      "interface: %s is no interface name such as \"eth0\"",
			      loader_quote(value, quoted));
	else
		memcpy(draft->pool->madcap.interface, value, strlen(value) + 1);
}

/* A duration that has to end and to fit into the protocol's 32 bits. */
static void read_lease(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	int64_t seconds;

	if (!loader_duration(loader, setting, &seconds))
		return;
	if (seconds == 0 || seconds > UINT32_MAX)
		loader_report(loader, setting,
			      "lease: must be more than \"0s\" and not \"forever\"");
	else
		draft->pool->madcap.lease_sec = (uint32_t)seconds;
}

static void read_timeout(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct pool_draft *draft = object;
	int64_t seconds;

	if (!loader_duration(loader, setting, &seconds))
		return;
	if (seconds == 0 || seconds > TIMEOUT_MAX_SEC)
		loader_report(loader, setting,
			      "timeout: must be more than \"0s\" and at most \"1h\"");
	else
		draft->pool->madcap.timeout_sec = (uint32_t)seconds;
}

static void read_local_allocation(struct config_loader *loader, const config_setting_t *setting,
				  void *object)
{
	struct pool_draft *draft = object;

	(void)loader_bool(loader, setting, &draft->pool->madcap.local_allocation);
}

void config_read_madcap(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	static const struct config_key keys[] = {
		{ "scope", read_scope },         { "servers", read_servers },
		{ "interface", read_interface }, { "lease", read_lease },
		{ "timeout", read_timeout },     { "local_allocation", read_local_allocation },
	};
	struct pool_draft *draft = object;

	draft->madcap = setting;
	draft->pool->madcap = (struct config_madcap){ .lease_sec = DEFAULT_LEASE_SEC,
						      .timeout_sec = DEFAULT_TIMEOUT_SEC };
	if (loader_group(loader, setting, keys, ARRAY_SIZE(keys), draft) && draft->scope == NULL)
		loader_report(loader, setting,
			      "madcap: scope is missing: add scope = \"239.192.0.0\";");
}

/* ---- the pool as a whole ----------------------------------------------------------------- */

/* Every address needs a group; where a scope ends, only its servers know. */
static void check_groups(struct config_loader *loader, const struct pool_draft *draft)
{
	const struct config_pool *pool = draft->pool;
	uint64_t groups = (uint64_t)GROUP_LAST - pool->madcap.scope + 1;
	char text[IP4_TEXT_SIZE];

	if (pool->madcap.scope != 0 && pool->ranges.count > groups)
		loader_report(loader, draft->scope,
			      "scope: from %s on there are %llu multicast groups, fewer than the "
			      "pool's %llu addresses",
			      format_ip4(pool->madcap.scope, text), (unsigned long long)groups,
			      (unsigned long long)pool->ranges.count);
}

void config_check_backend(struct config_loader *loader, const struct pool_draft *draft)
{
	struct config_pool *pool = draft->pool;

	if (pool->backend != BACKEND_MADCAP) {
		if (draft->madcap != NULL)
			loader_report(
				loader, draft->madcap,
				"madcap: only a pool with backend = \"madcap\" has this group");
		return;
	}
	if (draft->madcap == NULL) {
		loader_report(loader, draft->backend,
			      "backend \"madcap\" needs a group madcap = { scope = ...; };");
		return;
	}
	check_groups(loader, draft);
	if (draft->order != NULL)
		loader_report(
			loader, draft->order,
			"order: a pool with backend = \"madcap\" has none: its server chooses");
	/* Nobody renews the lease of an address at rest. */
	if (!pool->madcap.local_allocation && pool->hold_sec > (int64_t)pool->madcap.lease_sec / 2)
		loader_report(loader, draft->hold,
			      "hold: longer than half of the servers' lease (madcap, lease), which "
			      "may end then");
	/* Drawn at random: with the switch on, that is what this backend does. */
	if (pool->madcap.local_allocation)
		pool->order = ORDER_RANDOM;
}

/* A request names all the groups that will do. */
void config_check_pieces(struct config_loader *loader, const struct pool_draft *draft)
{
	const struct config_pool *pool = draft->pool;
	uint64_t pieces = 0;

	if (!config_asks_servers(pool))
		return;
	for (size_t i = 0; i < pool->dynamic.n; i++) {
		const struct range *range = &pool->dynamic.ranges[i];

		pieces += ((uint64_t)range->last - range->first) / UINT16_MAX + 1;
	}
	if (pieces > PIECES_MAX)
		loader_report(loader, draft->exclude != NULL ? draft->exclude : draft->ranges,
			      "%s: leaves the pool in %llu pieces of at most 65535 addresses; a "
			      "request to a MADCAP server can name %d",
			      draft->exclude != NULL ? "exclude" : "ranges",
			      (unsigned long long)pieces, PIECES_MAX);
}
