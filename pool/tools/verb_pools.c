/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

#define BAR_LEAST 7 /* narrower tells nothing */
#define BAR_MOST 50
#define BAR_COLUMN 4
#define BAR_SIZE (BAR_MOST + 16) /* with two colour sequences */

/* Begins as zeros. */
struct pool_text {
	struct plain_cell name;
	char usage[48], percent[16];
	struct number_cell held, free, reserved;
	struct cell cells[TABLE_COLUMNS];
};

static const struct cell *pool_cells(const struct pool_stats *stats, const char *bar,
				     struct pool_text *text)
{
	size_t n = 0;

	snprintf(text->usage, sizeof(text->usage), "%llu/%llu", (unsigned long long)stats->active,
		 (unsigned long long)stats->size);
	snprintf(text->percent, sizeof(text->percent), "%.1f%%", stats->utilisation);
	text->cells[n++] = cell_plain(&text->name, stats->config->name, "-");
	text->cells[n++] = cell_of(config_mode_name(stats->config->mode));
	text->cells[n++] = cell_of(text->usage);
	text->cells[n++] = cell_of(text->percent);
	text->cells[n++] = cell_of(bar);
	text->cells[n++] = cell_number(&text->held, stats->held, false);
	text->cells[n++] = cell_number(&text->free, stats->free, false);
	text->cells[n++] = cell_number(&text->reserved, stats->reserved, false);
	return text->cells;
}

/* How many of `width` places `part` of `whole` takes: none only for nothing, all only for all. */
static int share(uint64_t part, uint64_t whole, int width)
{
	double places;

	if (part == 0 || whole == 0)
		return 0;
	if (part >= whole)
		return width;
	places = (double)part / (double)whole * width;
	if (places < 1)
		return 1;
	return places > width - 1 ? width - 1 : (int)places;
}

static const char *bar_colour(const struct pool_stats *stats)
{
	unsigned int alarm = stats->config->alarm_percent;

	if (stats->utilisation >= (alarm > 0 ? alarm : 95))
		return "\033[31m";
	return stats->utilisation >= (alarm > 0 ? alarm * 0.8 : 75) ? "\033[33m" : "\033[32m";
}

/* '#' is active, '+' at rest, '.' the remainder. */
static void draw_bar(const struct pool_stats *stats, int width, bool colours, char *buf)
{
	int places = width - 2;
	int active = share(stats->active, stats->size, places);
	int used = share(stats->active + stats->held, stats->size, places);
	char *p = buf;

	if (used < active)
		used = active;
	if (used == active && stats->held > 0 && used < places)
		used++;
	*p++ = '[';
	if (colours)
		p = stpcpy(p, bar_colour(stats));
	memset(p, '.', (size_t)places);
	memset(p, '+', (size_t)used);
	memset(p, '#', (size_t)active);
	p += places;
	if (colours)
		p = stpcpy(p, "\033[0m");
	*p++ = ']';
	*p = '\0';
}

void pools_print(FILE *out, const struct pool_stats *stats, size_t n, int columns, bool colours)
{
	struct table table = {
		.title = { "POOL", "MODE", "ACTIVE/SIZE", "%", "", "HELD", "FREE", "RESERVED" },
		.right = { [2] = true, [3] = true, [5] = true, [6] = true, [7] = true },
	};
	struct pool_text text = { 0 };
	char bar[BAR_SIZE] = "";
	int room;

	table_measure_titles(&table);
	for (size_t i = 0; i < n; i++)
		table_measure(&table, pool_cells(&stats[i], bar, &text));
	room = columns - (int)table_width(&table);
	if (room > BAR_MOST)
		room = BAR_MOST;
	table.hidden[BAR_COLUMN] = room < BAR_LEAST;
	if (room >= BAR_LEAST)
		table.width[BAR_COLUMN] = (size_t)room;
	table_titles(&table, out);
	for (size_t i = 0; i < n && !ferror(out); i++) {
		if (room >= BAR_LEAST)
			draw_bar(&stats[i], room, colours, bar);
		table_row(&table, out, pool_cells(&stats[i], bar, &text));
	}
}

static json_t *pool_json(const struct pool_stats *stats)
{
	json_t *pool = json_object();

	json_put(pool, "name", json_text(stats->config->name));
	json_put(pool, "backend", json_text(config_backend_name(stats->config->backend)));
	json_put(pool, "mode", json_text(config_mode_name(stats->config->mode)));
	json_put(pool, "size", json_count(stats->size));
	json_put(pool, "active", json_count(stats->active));
	json_put(pool, "held", json_count(stats->held));
	json_put(pool, "free", json_count(stats->free));
	json_put(pool, "reserved", json_count(stats->reserved));
	json_put(pool, "utilisation", json_real(stats->utilisation));
	json_put(pool, "peak", json_count(stats->peak));
	json_put(pool, "grants", json_count(stats->grants));
	json_put(pool, "refusals", json_count(stats->refusals));
	json_put(pool, "reclaims", json_count(stats->reclaims));
	return pool;
}

int stats_read(const struct view *view, struct pool_stats **ret, struct error *why)
{
	struct pool_stats *stats = must_alloc(NULL, view->config->n_pools, sizeof(*stats));
	int code = pool_stats(view->pool, stats, why);

	pool_rest(view->pool);
	if (code < 0)
		free(stats);
	else
		*ret = stats;
	return code;
}

static int run(const struct invocation *invocation)
{
	struct error why = { "" };
	struct pool_stats *stats;
	struct view view;
	int status = view_open(&view, invocation, NULL);

	if (status != 0)
		return status;
	if (stats_read(&view, &stats, &why) < 0) {
		status = complain("%s", why.text);
	} else if (invocation->json) {
		json_t *array = json_array();

		for (size_t i = 0; i < view.config->n_pools; i++)
			json_append(array, pool_json(&stats[i]));
		json_print(array);
		free(stats);
	} else {
		pools_print(stdout, stats, view.config->n_pools, terminal_columns(),
			    terminal_has_colours());
		free(stats);
	}
	view_close(&view);
	return status;
}

const struct verb verb_pools = {
	.name = "pools",
	.brief = "one line per pool: active, at rest, free",
	.text = "The bar is as wide as there is room for: '#' is active, '+' at rest, '.' the\n"
		"remainder. FREE counts what anybody could be given now, so it is 0 for a pool\n"
		"whose mode is hold-down or drain; RESERVED are addresses that only their user\n"
		"gets.\n",
	.json = true,
	.run = run,
};
