/* SPDX-License-Identifier: MIT */
#include "config_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "nearest.h"
#include "parse.h"

#define MAX_PER_USER_MAX 1000000
#define RANGE_FORMS "\"10.64.0.0/16\", \"10.0.0.10-10.0.0.99\" or one address"
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static const char *const backend_words[] = { "local", "madcap" };
static const char *const order_words[] = { "least-recent", "sequential", "random" };
static const char *const mode_words[] = { "open", "hold-down", "drain" };

const char *config_order_name(enum pool_order order)
{
	return (size_t)order < ARRAY_SIZE(order_words) ? order_words[order] : "unknown";
}

const char *config_mode_name(enum pool_mode mode)
{
	return (size_t)mode < ARRAY_SIZE(mode_words) ? mode_words[mode] : "unknown";
}

const char *config_backend_name(enum pool_backend backend)
{
	return (size_t)backend < ARRAY_SIZE(backend_words) ? backend_words[backend] : "unknown";
}

const char *config_pool_label(const struct config_loader *loader, size_t index,
			      char buf[LABEL_SIZE])
{
	const struct config_pool *pool = &config_draft_of(loader)->config->pools[index];
	char quoted[QUOTE_SIZE];

	if (pool->name[0] != '\0')
		snprintf(buf, LABEL_SIZE, "pool %s", loader_quote(pool->name, quoted));
	else
		snprintf(buf, LABEL_SIZE, "the pool of line %u", pool->line);
	return buf;
}

void config_report_no_pool(struct config_loader *loader, const config_setting_t *at,
			   const char *name)
{
	const struct config *config = config_draft_of(loader)->config;
	const char **names = loader_alloc(loader, config->n_pools, sizeof(*names));
	const char *nearest;
	char quoted[QUOTE_SIZE];

	if (names == NULL)
		return;
	for (size_t i = 0; i < config->n_pools; i++)
		names[i] = config->pools[i].name;
	nearest = nearest_word(name, names, config->n_pools);
	loader_quote(name, quoted);
	if (nearest != NULL && nearest[0] != '\0')
		loader_report(loader, at, "%s: there is no pool %s (did you mean \"%s\"?)",
			      loader_key(at), quoted, nearest);
	else
		loader_report(loader, at, "%s: there is no pool %s", loader_key(at), quoted);
	free(names);
}

/* ---- addresses --------------------------------------------------------------------------- */

const char *config_unusable(struct range range)
{
	static const struct {
		struct range range;
		const char *why;
	} bad[] = {
		{ { 0x00000000, 0x00ffffff }, "0.0.0.0/8 (\"this network\")" },
		{ { 0x7f000000, 0x7fffffff }, "127.0.0.0/8 (loopback)" },
		{ { 0xe0000000, 0xefffffff }, "224.0.0.0/4 (class D, multicast)" },
		{ { 0xf0000000, 0xffffffff }, "240.0.0.0/4 (class E and broadcast)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (range.first <= bad[i].range.last && range.last >= bad[i].range.first)
			return bad[i].why;
	}
	return NULL;
}

bool config_host_address(struct config_loader *loader, const config_setting_t *at,
			 const char *value, uint32_t *ret_addr)
{
	char quoted[QUOTE_SIZE];
	const char *why;
	uint32_t addr;

	if (!parse_ip4(value, &addr)) {
		loader_report(loader, at,
			      "%s: %s is no address: write four numbers such as \"10.64.0.1\"",
			      loader_key(at), loader_quote(value, quoted));
		return false;
	}
	why = config_unusable((struct range){ addr, addr });
	if (why != NULL) {
		loader_report(loader, at, "%s: %s is no host's address: it lies in %s",
			      loader_key(at), loader_quote(value, quoted), why);
		return false;
	}
	*ret_addr = addr;
	return true;
}

/* ---- ranges ------------------------------------------------------------------------------ */

/* Reads a range; what is in the way of that is reported. */
static bool read_range(struct config_loader *loader, const config_setting_t *at, const char *value,
		       struct range *ret)
{
	const char *key = loader_key(at);
	char quoted[QUOTE_SIZE], network[IP4_TEXT_SIZE];
	const char *slash = strchr(value, '/'), *dash = strchr(value, '-');
	char addr_text[IP4_TEXT_SIZE];
	uint64_t prefix;
	uint32_t addr, last;

	if (parse_ip4_range(value, &ret->first, &ret->last))
		return true;
	loader_quote(value, quoted);
	/* A likely slip deserves its own words: 10.64.0.1/16 for 10.64.0.0/16. */
	if (slash != NULL && (size_t)(slash - value) < sizeof(addr_text)) {
		snprintf(addr_text, sizeof(addr_text), "%.*s", (int)(slash - value), value);
		if (parse_ip4(addr_text, &addr) && parse_unsigned(slash + 1, 1, 32, &prefix) &&
		    (addr & ~(UINT32_MAX << (32 - prefix))) != 0) {
			addr &= UINT32_MAX << (32 - prefix);
			loader_report(loader, at,
				      "%s: %s has host bits set; the network is \"%s/%u\"", key,
				      quoted, format_ip4(addr, network), (unsigned int)prefix);
			return false;
		}
	}
	if (dash != NULL && (size_t)(dash - value) < sizeof(addr_text)) {
		snprintf(addr_text, sizeof(addr_text), "%.*s", (int)(dash - value), value);
		if (parse_ip4(addr_text, &addr) && parse_ip4(dash + 1, &last)) {
			loader_report(loader, at, "%s: %s ends before it begins", key, quoted);
			return false;
		}
	}
	loader_report(loader, at, "%s: %s is no range: write " RANGE_FORMS, key, quoted);
	return false;
}

/* Grows with the range set: it doubles whenever its length reaches a power of two. */
static bool remember_range(struct config_loader *loader, struct pool_draft *draft,
			   const config_setting_t *at, size_t n)
{
	if ((n & (n - 1)) == 0) {
		const config_setting_t **larger =
			reallocarray(draft->range_at, n == 0 ? 1 : n * 2, sizeof(*larger));

		if (larger == NULL) {
			loader->no_memory = true;
			return false;
		}
		draft->range_at = larger;
	}
	draft->range_at[n] = at;
	return true;
}

static void each_range(struct config_loader *loader, const config_setting_t *at, const char *value,
		       void *object)
{
	struct pool_draft *draft = object;
	struct range_set *ranges = &draft->pool->ranges;
	char quoted[QUOTE_SIZE], other[QUOTE_SIZE], where[WHERE_SIZE];
	struct range range;
	const char *why;
	size_t which;

	if (!read_range(loader, at, value, &range))
		return;
	loader_quote(value, quoted);
	why = config_unusable(range);
	if (why != NULL) {
		loader_report(loader, at, "ranges: %s reaches into %s, which no host can have",
			      quoted, why);
		return;
	}
	if (range_set_overlaps(ranges, range, &which)) {
		const config_setting_t *first = draft->range_at[which];

		loader_report(loader, at, "ranges: %s overlaps %s (%s) of the same pool", quoted,
			      loader_quote(config_setting_get_string(first), other),
			      loader_where(loader, first, at, where));
		return;
	}
	if (remember_range(loader, draft, at, ranges->n) && range_set_add(ranges, range) < 0)
		loader->no_memory = true;
}

static void read_ranges(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	static const struct config_strings strings = { "10.64.0.0/16", each_range };
	struct pool_draft *draft = object;

	draft->ranges = setting;
	loader_strings(loader, setting, &strings, draft);
	if (config_setting_is_aggregate(setting) && config_setting_length(setting) == 0)
		loader_report(loader, setting, "ranges: is empty; write " RANGE_FORMS);
}

/* Adds to the excludes what is not among them yet. */
static int add_exclude(struct range_set *excludes, struct range range)
{
	struct range_set one = { 0 }, fresh = { 0 };
	int code = range_set_add(&one, range);

	if (code == 0)
		code = range_set_subtract(&one, excludes, &fresh);
	for (size_t i = 0; i < fresh.n && code == 0; i++)
		code = range_set_add(excludes, fresh.ranges[i]);
	range_set_done(&one);
	range_set_done(&fresh);
	return code;
}

/* The first address of the range that is not in the set, or false if all are. */
static bool first_outside(const struct range_set *set, struct range range, uint32_t *ret_addr)
{
	uint32_t addr = range.first;
	uint64_t index;

	while (range_set_find(set, addr, &index)) {
		size_t which;

		if (!range_set_overlaps(set, (struct range){ addr, addr }, &which) ||
		    set->ranges[which].last >= range.last)
			return false;
		addr = set->ranges[which].last + 1;
	}
	*ret_addr = addr;
	return true;
}

static void each_exclude(struct config_loader *loader, const config_setting_t *at,
			 const char *value, void *object)
{
	struct pool_draft *draft = object;
	char quoted[QUOTE_SIZE], outside[IP4_TEXT_SIZE];
	struct range range;
	uint32_t addr;

	if (!read_range(loader, at, value, &range))
		return;
	/* Without any good range this would be noise about the mistake that is there. */
	if (draft->pool->ranges.n == 0)
		return;
	if (first_outside(&draft->pool->ranges, range, &addr)) {
		loader_report(loader, at, "exclude: %s is not in the pool's ranges (%s is outside)",
			      loader_quote(value, quoted), format_ip4(addr, outside));
		return;
	}
	if (add_exclude(&draft->excludes, range) < 0)
		loader->no_memory = true;
}

/* ---- the other keys, in the manual's order ----------------------------------------------- */

static void read_name(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;
	size_t length;

	draft->name = setting;
	if (!loader_string(loader, setting, "residential", &value))
		return;
	length = strlen(value);
	if (length == 0 || length > CONFIG_POOL_NAME_MAX ||
	    value[strspn(value, NAME_CHARS)] != '\0')
		loader_report(
			loader, setting,
			"name: %s is no pool name: 1 to %d letters, digits, \"_\", \".\" or \"-\"",
			loader_quote(value, quoted), CONFIG_POOL_NAME_MAX);
	/* A bad one is kept too, so that what refers to it is no second mistake. */
	loader_copy(loader, value, &draft->pool->name);
}

static void read_backend(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct pool_draft *draft = object;
	size_t which;

	draft->backend = setting;
	if (loader_word(loader, setting, backend_words, ARRAY_SIZE(backend_words), &which))
		draft->pool->backend = (enum pool_backend)which;
}

static void read_exclude(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct pool_draft *draft = object;

	(void)loader;
	draft->exclude = setting; /* read when the ranges are known */
}

static void read_order(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	size_t which;

	draft->order = setting;
	if (loader_word(loader, setting, order_words, ARRAY_SIZE(order_words), &which))
		draft->pool->order = (enum pool_order)which;
}

static void read_sticky(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;

	(void)loader_bool(loader, setting, &draft->pool->sticky);
}

static void read_hold(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;

	draft->hold = setting;
	(void)loader_duration(loader, setting, &draft->pool->hold_sec);
}

static void read_max_per_user(struct config_loader *loader, const config_setting_t *setting,
			      void *object)
{
	struct pool_draft *draft = object;

	(void)loader_unsigned(loader, setting, MAX_PER_USER_MAX, &draft->pool->max_per_user);
}

static void read_next(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	const char *value;

	if (loader_string(loader, setting, "overflow", &value))
		draft->next = setting; /* looked up when all pools are known */
}

static void read_mode(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	size_t which;

	if (loader_word(loader, setting, mode_words, ARRAY_SIZE(mode_words), &which))
		draft->pool->mode = (enum pool_mode)which;
}

static void read_alarm(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	uint32_t value;

	if (loader_unsigned(loader, setting, 100, &value))
		draft->pool->alarm_percent = value;
}

/* At most two addresses that are told to the peer. */
struct told {
	uint32_t addrs[2];
	size_t n;
};

static void each_told(struct config_loader *loader, const config_setting_t *at, const char *value,
		      void *object)
{
	struct told *told = object;
	uint32_t addr;

	if (!config_host_address(loader, at, value, &addr))
		return;
	if (told->n == ARRAY_SIZE(told->addrs))
		loader_report(loader, at, "%s: at most two addresses can be told to a peer",
			      loader_key(at));
	else
		told->addrs[told->n++] = addr;
}

static const struct config_strings told_strings = { "192.0.2.53", each_told };

static void read_dns(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	struct told told = { 0 };

	loader_strings(loader, setting, &told_strings, &told);
	memcpy(draft->pool->dns, told.addrs, sizeof(told.addrs));
	draft->pool->n_dns = told.n;
}

static void read_wins(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	struct told told = { 0 };

	loader_strings(loader, setting, &told_strings, &told);
	memcpy(draft->pool->wins, told.addrs, sizeof(told.addrs));
	draft->pool->n_wins = told.n;
}

static void read_local(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct pool_draft *draft = object;
	const char *value;

	draft->local = setting;
	if (loader_string(loader, setting, "10.64.0.1", &value))
		(void)config_host_address(loader, setting, value, &draft->pool->local);
}

/* ---- a pool as a whole ------------------------------------------------------------------- */

static const struct config_key pool_keys[] = {
	{ "name", read_name },
	{ "backend", read_backend },
	{ "ranges", read_ranges },
	{ "exclude", read_exclude },
	{ "order", read_order },
	{ "sticky", read_sticky },
	{ "hold", read_hold },
	{ "max_per_user", read_max_per_user },
	{ "next", read_next },
	{ "mode", read_mode },
	{ "alarm", read_alarm },
	{ "dns", read_dns },
	{ "wins", read_wins },
	{ "local", read_local },
	{ "madcap", config_read_madcap },
};

static void read_pool(struct config_loader *loader, const config_setting_t *setting, size_t index)
{
	static const struct config_strings excludes = { "10.64.0.0", each_exclude };
	struct config_draft *whole = config_draft_of(loader);
	struct pool_draft *draft = &whole->pools[index];
	struct config_pool *pool = &whole->config->pools[index];

	*draft = (struct pool_draft){ .setting = setting, .pool = pool };
	*pool = (struct config_pool){ .sticky = true,
				      .next = CONFIG_NO_POOL,
				      .line = loader_line(loader, setting) };
	loader_copy(loader, "", &pool->name);
	if (!loader_group(loader, setting, pool_keys, ARRAY_SIZE(pool_keys), draft))
		return;
	if (draft->exclude != NULL)
		loader_strings(loader, draft->exclude, &excludes, draft);
	if (draft->name == NULL)
		loader_report(loader, setting, "this pool has no name: add name = \"...\";");
	if (draft->ranges == NULL)
		loader_report(loader, setting,
			      "this pool has no ranges: add ranges = ( \"10.64.0.0/16\" );");
	config_check_backend(loader, draft);
}

void config_read_pools(struct config_loader *loader, const config_setting_t *pools)
{
	struct config_draft *draft = config_draft_of(loader);
	struct config *config = draft->config;
	size_t n = loader_list(loader, pools, "{ name = \"...\"; ranges = ( \"10.64.0.0/16\" ); }");

	if (n == 0)
		return;
	config->pools = loader_alloc(loader, n, sizeof(*config->pools));
	draft->pools = loader_alloc(loader, n, sizeof(*draft->pools));
	if (config->pools == NULL || draft->pools == NULL)
		return;
	for (size_t i = 0; i < n && !loader->no_memory; i++) {
		config->n_pools = i + 1;
		read_pool(loader, config_setting_get_elem(pools, (unsigned int)i), i);
	}
}
