/* SPDX-License-Identifier: MIT */
/*
 * Checks that concern several settings, and what follows from all of them together: the sets of
 * addresses, the chains of pools. Everything is O(n log n) in the number of ranges and rules.
 */
#include "config_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* A range of some pool. */
struct piece {
	struct range range;
	size_t pool;
	const config_setting_t *at;
};

/* A reservation. */
struct booking {
	uint32_t addr;
	size_t rule;
};

/* All ranges of all pools by address. */
struct atlas {
	struct piece *pieces;
	size_t n;
};

/* ---- names ------------------------------------------------------------------------------- */

static void check_names(struct config_loader *loader)
{
	const struct config_draft *draft = config_draft_of(loader);
	const struct config *config = draft->config;
	char quoted[QUOTE_SIZE], where[WHERE_SIZE];

	for (size_t i = 1; i < config->n_pools; i++) {
		const char *name = config->pools[i].name;
		size_t first = name[0] != '\0' ? config_find_pool(config, name) : i;

		if (first < i)
			loader_report(loader, draft->pools[i].name,
				      "name: there is a pool %s already (%s)",
				      loader_quote(name, quoted),
				      loader_where(loader, draft->pools[first].setting,
						   draft->pools[i].name, where));
	}
}

/* ---- chains of pools --------------------------------------------------------------------- */

static void find_next(struct config_loader *loader, size_t index)
{
	const struct config_draft *draft = config_draft_of(loader);
	const config_setting_t *setting = draft->pools[index].next;
	struct config *config = draft->config;
	char quoted[QUOTE_SIZE];
	const char *name;
	size_t next;

	if (setting == NULL)
		return;
	name = config_setting_get_string(setting);
	next = name != NULL ? config_find_pool(config, name) : CONFIG_NO_POOL;
	if (next == CONFIG_NO_POOL)
		config_report_no_pool(loader, setting, name != NULL ? name : "");
	else if (next == index)
		loader_report(loader, setting, "next: %s is this pool itself",
			      loader_quote(name, quoted));
	else
		config->pools[index].next = next;
}

static void report_cycle(struct config_loader *loader, size_t start)
{
	const struct config_draft *draft = config_draft_of(loader);
	const struct config_pool *pools = draft->config->pools;
	char chain[512], quoted[QUOTE_SIZE];
	size_t used, at = start;

	used = (size_t)snprintf(chain, sizeof(chain), "%s",
				loader_quote(pools[start].name, quoted));
	do {
		at = pools[at].next;
		loader_quote(pools[at].name, quoted);
		/* A very long cycle is cut in the middle, never at its end. */
		if (used + 2 * QUOTE_SIZE < sizeof(chain))
			used += (size_t)snprintf(chain + used, sizeof(chain) - used, " -> %s",
						 quoted);
		else if (at == start)
			snprintf(chain + used, sizeof(chain) - used, " ... -> %s", quoted);
	} while (at != start);
	loader_report(loader, draft->pools[start].next, "next: the pools go in a circle: %s",
		      chain);
}

/* Follows every chain once; meeting a pool of the same walk again is a cycle. */
static void check_cycles(struct config_loader *loader)
{
	const struct config *config = config_draft_of(loader)->config;
	size_t *walk = loader_alloc(loader, config->n_pools, sizeof(*walk)); /* 0: not seen */

	for (size_t i = 0; walk != NULL && i < config->n_pools; i++) {
		size_t at = i;

		while (at != CONFIG_NO_POOL && walk[at] == 0) {
			walk[at] = i + 1;
			at = config->pools[at].next;
		}
		if (at != CONFIG_NO_POOL && walk[at] == i + 1)
			report_cycle(loader, at);
	}
	free(walk);
}

/* ---- ranges of several pools ------------------------------------------------------------- */

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *one = a, *other = b;

	if (one->range.first != other->range.first)
		return one->range.first < other->range.first ? -1 : 1;
	return one->pool < other->pool ? -1 : one->pool > other->pool;
}

/* The same for config_pool_of(), which outlives the settings. */
static bool publish(struct config_loader *loader, const struct atlas *atlas)
{
	struct config *config = config_draft_of(loader)->config;

	config->pieces = loader_alloc(loader, atlas->n, sizeof(*config->pieces));
	if (config->pieces == NULL)
		return false;
	for (size_t i = 0; i < atlas->n; i++)
		config->pieces[i] =
			(struct config_piece){ atlas->pieces[i].range, atlas->pieces[i].pool };
	config->n_pieces = atlas->n;
	return true;
}

static bool atlas_init(struct config_loader *loader, struct atlas *atlas)
{
	const struct config_draft *draft = config_draft_of(loader);
	const struct config *config = draft->config;
	size_t n = 0;

	for (size_t i = 0; i < config->n_pools; i++)
		n += config->pools[i].ranges.n;
	*atlas = (struct atlas){ .pieces = loader_alloc(loader, n, sizeof(*atlas->pieces)) };
	if (atlas->pieces == NULL)
		return false;
	for (size_t i = 0; i < config->n_pools; i++) {
		const struct range_set *ranges = &config->pools[i].ranges;

		for (size_t j = 0; j < ranges->n; j++)
			atlas->pieces[atlas->n++] =
				(struct piece){ ranges->ranges[j], i, draft->pools[i].range_at[j] };
	}
	qsort(atlas->pieces, atlas->n, sizeof(*atlas->pieces), compare_pieces);
	return publish(loader, atlas);
}

static void report_overlap(struct config_loader *loader, const struct piece *a,
			   const struct piece *b)
{
	const struct piece *late = a->at->line >= b->at->line ? a : b;
	const struct piece *early = late == a ? b : a;
	char late_text[QUOTE_SIZE], early_text[QUOTE_SIZE], where[WHERE_SIZE];
	char late_pool[LABEL_SIZE], early_pool[LABEL_SIZE];

	loader_report(loader, late->at, "ranges: %s of %s overlaps %s of %s (%s)",
		      loader_quote(config_setting_get_string(late->at), late_text),
		      config_pool_label(loader, late->pool, late_pool),
		      loader_quote(config_setting_get_string(early->at), early_text),
		      config_pool_label(loader, early->pool, early_pool),
		      loader_where(loader, early->at, late->at, where));
}

/* Ranges of one pool do not overlap, so whatever the furthest one reaches is another pool's. */
static void check_overlaps(struct config_loader *loader, const struct atlas *atlas)
{
	size_t furthest = 0;

	for (size_t i = 1; i < atlas->n; i++) {
		const struct piece *piece = &atlas->pieces[i];

		if (piece->range.first <= atlas->pieces[furthest].range.last)
			report_overlap(loader, &atlas->pieces[furthest], piece);
		if (piece->range.last > atlas->pieces[furthest].range.last)
			furthest = i;
	}
}

/* ---- reservations ------------------------------------------------------------------------ */

static int compare_bookings(const void *a, const void *b)
{
	const struct booking *one = a, *other = b;

	if (one->addr != other->addr)
		return one->addr < other->addr ? -1 : 1;
	return one->rule < other->rule ? -1 : one->rule > other->rule;
}

static void add_booking(struct config_loader *loader, const struct booking *booking,
			const struct booking *before)
{
	const struct config_draft *draft = config_draft_of(loader);
	const config_setting_t *at = draft->rule_address[booking->rule];
	char text[IP4_TEXT_SIZE], where[WHERE_SIZE];

	if (before != NULL && before->addr == booking->addr) {
		loader_report(loader, at, "address: %s is reserved already (%s)",
			      format_ip4(booking->addr, text),
			      loader_where(loader, draft->rule_address[before->rule], at, where));
		return;
	}
	if (range_set_add(&draft->config->reserved,
			  (struct range){ booking->addr, booking->addr }) < 0)
		loader->no_memory = true;
}

/* Sorted first, so that the set grows at its end and an address given twice has a neighbour. */
static void collect_reservations(struct config_loader *loader)
{
	const struct config *config = config_draft_of(loader)->config;
	struct booking *bookings = loader_alloc(loader, config->n_rules, sizeof(*bookings));
	size_t n = 0;

	if (bookings == NULL)
		return;
	for (size_t i = 0; i < config->n_rules; i++) {
		if (config->rules[i].is_reservation)
			bookings[n++] = (struct booking){ config->rules[i].addr, i };
	}
	qsort(bookings, n, sizeof(*bookings), compare_bookings);
	for (size_t i = 0; i < n; i++)
		add_booking(loader, &bookings[i], i > 0 ? &bookings[i - 1] : NULL);
	free(bookings);
}

static void collect_locals(struct config_loader *loader)
{
	struct config *config = config_draft_of(loader)->config;

	for (size_t i = 0; i < config->n_pools; i++) {
		uint32_t addr = config->pools[i].local;

		/* Several pools may have the same end. */
		if (addr == 0 || range_set_find(&config->locals, addr, NULL))
			continue;
		if (range_set_add(&config->locals, (struct range){ addr, addr }) < 0)
			loader->no_memory = true;
	}
}

static void report_reserved_local(struct config_loader *loader, const config_setting_t *at,
				  uint32_t addr)
{
	const struct config_draft *draft = config_draft_of(loader);
	const struct config *config = draft->config;
	char text[IP4_TEXT_SIZE], label[LABEL_SIZE], where[WHERE_SIZE];

	for (size_t i = 0; i < config->n_pools; i++) {
		if (config->pools[i].local != addr)
			continue;
		loader_report(loader, at,
			      "address: %s is the local end of %s (%s) and cannot be reserved",
			      format_ip4(addr, text), config_pool_label(loader, i, label),
			      loader_where(loader, draft->pools[i].local, at, where));
		return;
	}
}

static void place_reservations(struct config_loader *loader)
{
	const struct config_draft *draft = config_draft_of(loader);
	struct config *config = draft->config;

	for (size_t i = 0; i < config->n_rules; i++) {
		struct config_rule *rule = &config->rules[i];

		if (!rule->is_reservation)
			continue;
		rule->pool = config_pool_of(config, rule->addr);
		if (range_set_find(&config->locals, rule->addr, NULL))
			report_reserved_local(loader, draft->rule_address[i], rule->addr);
	}
}

/* ---- what a pool can give ---------------------------------------------------------------- */

/* True if some reservation lies in the pool: then it serves at least that user. */
static bool has_reservation(const struct config *config, const struct config_pool *pool)
{
	for (size_t i = 0; i < pool->ranges.n; i++) {
		if (range_set_overlaps(&config->reserved, pool->ranges.ranges[i], NULL))
			return true;
	}
	return false;
}

static int derive_sets(const struct config *config, const struct pool_draft *draft)
{
	struct config_pool *pool = draft->pool;
	struct range_set rest = { 0 };
	int code = range_set_subtract(&pool->ranges, &draft->excludes, &rest);

	if (code == 0)
		code = range_set_subtract(&rest, &config->locals, &pool->givable);
	if (code == 0)
		code = range_set_subtract(&pool->givable, &config->reserved, &pool->dynamic);
	range_set_done(&rest);
	return code;
}

static void check_pool(struct config_loader *loader, size_t index)
{
	const struct config_draft *whole = config_draft_of(loader);
	const struct pool_draft *draft = &whole->pools[index];
	char label[LABEL_SIZE];

	if (derive_sets(whole->config, draft) < 0) {
		loader->no_memory = true;
		return;
	}
	if (draft->pool->ranges.n > 0 && draft->pool->givable.n == 0 &&
	    !has_reservation(whole->config, draft->pool))
		loader_report(loader, draft->setting,
			      "%s can never give an address: all are excluded or local ends",
			      config_pool_label(loader, index, label));
	config_check_pieces(loader, draft);
}

void config_check(struct config_loader *loader)
{
	const struct config *config = config_draft_of(loader)->config;
	struct atlas atlas;

	check_names(loader);
	for (size_t i = 0; i < config->n_pools; i++)
		find_next(loader, i);
	check_cycles(loader);
	collect_locals(loader);
	collect_reservations(loader);
	if (atlas_init(loader, &atlas)) {
		check_overlaps(loader, &atlas);
		place_reservations(loader);
	}
	free(atlas.pieces);
	for (size_t i = 0; i < config->n_pools && !loader->no_memory; i++)
		check_pool(loader, i);
}
