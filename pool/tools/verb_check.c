/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "madcap/endpoint.h"
#include "parse.h"

/* What this configuration means for the sessions that are up. */
struct consequences {
	bool known; /* false: there is no store, or it could not be read */
	int code;   /* 0, or why it could not be read */
	struct error why;
	uint64_t active;
	uint64_t outside; /* given by a pool that is gone or no longer has the address */
	uint64_t *pools;  /* active leases by pool of this configuration */
	bool *taken;      /* by pool: a live session has its `local` */
};

struct weighing {
	const struct config *config;
	struct consequences *live;
};

static int weigh(void *context, const struct pool_record *record)
{
	const struct weighing *weighing = context;
	size_t pool = config_pool_of(weighing->config, ntohl(record->addr_be));

	weighing->live->active++;
	if (pool != CONFIG_NO_POOL)
		weighing->live->pools[pool]++;
	else if (record->pool[0] != '\0')
		weighing->live->outside++;
	return 0;
}

/* Then the pool gives nothing. */
static bool is_local_taken(const struct view *view, const struct config_pool *pool)
{
	struct pool_record record;
	struct error ignored;
	bool alive = false;

	return pool->local != 0 &&
	       pool_lookup(view->pool, htonl(pool->local), &record, &alive, &ignored) == 0 && alive;
}

static void look_at_leases(const struct view *view, struct consequences *ret)
{
	struct weighing weighing = { view->config, ret };

	ret->pools = must_alloc(NULL, view->config->n_pools, sizeof(*ret->pools));
	memset(ret->pools, 0, view->config->n_pools * sizeof(*ret->pools));
	ret->code = pool_walk(view->pool, NULL, weigh, &weighing, &ret->why);
	ret->known = ret->code == 0;
	if (ret->code == POOL_E_NOT_FOUND)
		ret->code = 0;
	ret->taken = must_alloc(NULL, view->config->n_pools, sizeof(*ret->taken));
	for (size_t i = 0; i < view->config->n_pools; i++)
		ret->taken[i] = ret->known && is_local_taken(view, &view->config->pools[i]);
	pool_rest(view->pool);
}

/* ---- for people ----------------------------------------------------------------------------- */

static const char *hold_text(int64_t hold_sec, char *buf, size_t size)
{
	if (hold_sec == DURATION_FOREVER)
		return "forever";
	snprintf(buf, size, "%llds", (long long)hold_sec);
	return buf;
}

/* Begins as zeros, but for the configuration. */
struct pool_text {
	const struct config *config;
	char hold[32];
	struct number_cell size, reserved;
	struct cell cells[TABLE_COLUMNS];
};

static const struct cell *pool_cells(void *context, size_t i, bool measure)
{
	struct pool_text *text = context;
	const struct config *config = text->config;
	const struct config_pool *pool = &config->pools[i];
	size_t n = 0;

	text->cells[n++] = cell_of(pool->name);
	text->cells[n++] = cell_of(config_backend_name(pool->backend));
	text->cells[n++] = cell_of(config_mode_name(pool->mode));
	text->cells[n++] = cell_number(&text->size, pool->givable.count, measure);
	text->cells[n++] =
		cell_number(&text->reserved, pool->givable.count - pool->dynamic.count, measure);
	text->cells[n++] =
		cell_of(config_asks_servers(pool) ? "server" : config_order_name(pool->order));
	text->cells[n++] = cell_of(pool->sticky ? "yes" : "no");
	text->cells[n++] = cell_of(hold_text(pool->hold_sec, text->hold, sizeof(text->hold)));
	text->cells[n++] =
		cell_of(pool->next == CONFIG_NO_POOL ? "-" : config->pools[pool->next].name);
	return text->cells;
}

static void print_pools(const struct config *config)
{
	struct table table = {
		.title = { "POOL", "BACKEND", "MODE", "SIZE", "RESERVED", "ORDER", "STICKY", "HOLD",
			   "NEXT" },
		.right = { [3] = true, [4] = true },
	};
	struct pool_text text = { .config = config };

	table_print(&table, config->n_pools, pool_cells, &text, sizeof(text));
}

/* Where pools with backend "madcap" lease their addresses. */
static void print_servers(const struct config *config)
{
	char first[IP4_TEXT_SIZE], last[IP4_TEXT_SIZE], lease[32], timeout[32];
	char server[MADCAP_ENDPOINT_TEXT];
	bool is_first = true;

	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];
		const struct config_madcap *madcap = &pool->madcap;

		if (pool->backend != BACKEND_MADCAP)
			continue;
		printf("%s  %s: groups %s-%s, ", is_first ? "\nMADCAP:\n" : "", pool->name,
		       format_ip4(madcap->scope, first),
		       format_ip4(madcap->scope + (uint32_t)(pool->ranges.count - 1), last));
		is_first = false;
		if (madcap->local_allocation) {
			printf("drawn on this host, no server is asked\n");
			continue;
		}
		printf("lease %s, timeout %s, ", hold_text(madcap->lease_sec, lease, sizeof(lease)),
		       hold_text(madcap->timeout_sec, timeout, sizeof(timeout)));
		if (madcap->n_servers == 0)
			printf("servers are looked for%s%s",
			       madcap->interface[0] != '\0' ? " on " : "", madcap->interface);
		for (size_t j = 0; j < madcap->n_servers; j++)
			printf("%s%s", j == 0 ? "servers " : ", ",
			       madcap_endpoint_format(&madcap->servers[j], server));
		printf("\n");
	}
}

static bool matches_all(const char *pattern)
{
	return pattern == NULL || strcmp(pattern, "*") == 0;
}

/* What keeps a rule behind one that matches everybody from being reached. pppd's rasip-pool looks at
 * the reservations only. */
static const char *never_reached(const struct config_rule *everybody,
				 const struct config_rule *rule)
{
	if (everybody == NULL)
		return "";
	if (rule->is_reservation && !everybody->is_reservation)
		return " (only where pppd has rasip-pool: a rule above matches everybody)";
	return " (never: a rule above matches everybody)";
}

static void print_rules(const struct config *config)
{
	const struct config_rule *everybody = NULL;
	char text[2 * TEXT_SIZE + 256];

	printf("\nassign, first match wins:\n");
	for (size_t i = 0; i < config->n_rules; i++) {
		const struct config_rule *rule = &config->rules[i];

		printf("  %s%s\n", rule_sentence(config, rule, text, sizeof(text)),
		       never_reached(everybody, rule));
		if (everybody == NULL && matches_all(rule->user) && matches_all(rule->port))
			everybody = rule;
	}
	printf("candidate: %s; anonymous: %s\n", config->candidate_replace ? "replace" : "keep",
	       config->anonymous_allow ? "allow" : "refuse");
}

static void print_modules(const struct config *config)
{
	char name[TEXT_SIZE], path[4096], argument[4096];

	printf("\nmodules, in this order:\n");
	for (size_t i = 0; i < config->n_modules; i++) {
		const struct config_module *module = &config->modules[i];

		printf("  %s: %s%s%s\n", text_utf8(module->name, true, name, sizeof(name)),
		       text_utf8(module->path, true, path, sizeof(path)),
		       module->argument[0] != '\0' ? ", argument " : "",
		       text_utf8(module->argument, true, argument, sizeof(argument)));
	}
}

static void print_consequences(const struct config *config, const struct consequences *live)
{
	char local[IP4_TEXT_SIZE];

	if (live->code == 0 && !live->known)
		printf("\nNo session has used this configuration yet.\n");
	if (!live->known)
		return;
	printf("\n%llu active lease%s now.\n", (unsigned long long)live->active,
	       plural_s(live->active));
	if (live->outside > 0)
		printf("%llu active lease%s outside all pools of this configuration: kept until "
		       "the session ends, not given again.\n",
		       (unsigned long long)live->outside, live->outside == 1 ? " lies" : "s lie");
	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];

		if (live->taken[i])
			printf("Pool %s gives nothing until the session that has %s, its local, "
			       "has ended.\n",
			       pool->name, format_ip4(pool->local, local));
		if (pool->mode != MODE_OPEN)
			printf("Pool %s is in mode %s: %llu active lease%s, nothing new is "
			       "given.\n",
			       pool->name, config_mode_name(pool->mode),
			       (unsigned long long)live->pools[i], plural_s(live->pools[i]));
	}
}

static void print_summary(const struct config *config, const struct consequences *live)
{
	char path[4096];

	printf("%s: loads\n\n", text_utf8(config->path, true, path, sizeof(path)));
	print_pools(config);
	print_servers(config);
	print_rules(config);
	print_modules(config);
	print_consequences(config, live);
}

/* ---- for programs --------------------------------------------------------------------------- */

static json_t *pools_json(const struct config *config, const struct consequences *live)
{
	json_t *array = json_array();

	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];
		json_t *object = json_object();

		json_put(object, "name", json_text(pool->name));
		json_put(object, "backend", json_text(config_backend_name(pool->backend)));
		json_put(object, "mode", json_text(config_mode_name(pool->mode)));
		json_put(object, "size", json_count(pool->givable.count));
		json_put(object, "reserved", json_count(pool->givable.count - pool->dynamic.count));
		json_put(object, "active", live->known ? json_count(live->pools[i]) : json_null());
		json_put(object, "local_taken",
			 !live->known     ? json_null()
			 : live->taken[i] ? json_true()
					  : json_false());
		json_append(array, object);
	}
	return array;
}

static json_t *modules_json(const struct config *config)
{
	json_t *array = json_array();

	for (size_t i = 0; i < config->n_modules; i++) {
		json_t *object = json_object();

		json_put(object, "name", json_text(config->modules[i].name));
		json_put(object, "path", json_text(config->modules[i].path));
		json_put(object, "argument", json_text(config->modules[i].argument));
		json_append(array, object);
	}
	return array;
}

static void print_summary_json(const struct config *config, const struct consequences *live)
{
	json_t *object = json_object();
	json_t *rules = json_array();

	for (size_t i = 0; i < config->n_rules; i++)
		json_append(rules, rule_json(config, &config->rules[i]));
	json_put(object, "path", json_text(config->path));
	json_put(object, "ok", json_true());
	json_put(object, "errors", json_array());
	json_put(object, "pools", pools_json(config, live));
	json_put(object, "rules", rules);
	json_put(object, "modules", modules_json(config));
	json_put(object, "active", live->known ? json_count(live->active) : json_null());
	json_put(object, "outside", live->known ? json_count(live->outside) : json_null());
	json_print(object);
}

static void print_errors_json(const char *path, const struct config_errors *errors)
{
	json_t *object = json_object();
	json_t *array = json_array();

	for (size_t i = 0; i < errors->n; i++)
		json_append(array, json_text(errors->lines[i]));
	json_put(object, "path", json_text(path));
	json_put(object, "ok", json_false());
	json_put(object, "errors", array);
	json_print(object);
}

static void add_error(struct config_errors *errors, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_error(struct config_errors *errors, const char *format, ...)
{
	va_list args;

	errors->lines = must_alloc(errors->lines, errors->n + 1, sizeof(*errors->lines));
	va_start(args, format);
	if (vasprintf(&errors->lines[errors->n], format, args) < 0)
		out_of_memory();
	va_end(args);
	errors->n++;
}

/* A module that pppd cannot load keeps pppd from starting, like a mistake in the file. */
static void check_modules(const struct config *config, struct config_errors *errors)
{
	for (size_t i = 0; i < config->n_modules; i++) {
		const struct config_module *module = &config->modules[i];
		struct error problem;
		bool certain;

		if (module_check(module, &problem, &certain))
			continue;
		if (certain)
			add_error(errors, "%s:%u: module %s: %s: %s", module->file, module->line,
				  module->name, module->path, problem.text);
		else
			complain("module %s: %s: %s", module->name, module->path, problem.text);
	}
}

/* A store that is no good keeps everybody out, so that counts as a failure. That another user than
 * root's may not look at it says nothing about the configuration. */
static int complain_store(const struct consequences *live)
{
	if (live->code == 0)
		return EXIT_DONE;
	complain("the configuration loads, but: %s", live->why.text);
	return live->code == POOL_E_SYSTEM && geteuid() != 0 ? EXIT_DONE : EXIT_FAILED;
}

static int show(const struct invocation *invocation, const struct view *view)
{
	struct consequences live = { 0 };

	look_at_leases(view, &live);
	if (invocation->json)
		print_summary_json(view->config, &live);
	else
		print_summary(view->config, &live);
	free(live.pools);
	free(live.taken);
	return complain_store(&live);
}

static int run(const struct invocation *invocation)
{
	struct config_errors errors = { 0 };
	struct view view = { 0 };
	int code = config_load(invocation->config_path, &view.config, &errors);
	int status = EXIT_FAILED;

	if (code == POOL_E_NO_MEMORY)
		out_of_memory();
	if (code == 0)
		check_modules(view.config, &errors);
	if (errors.n > 0) {
		complain_config(&errors);
		if (invocation->json)
			print_errors_json(invocation->config_path, &errors);
	} else if (pool_open(&view.pool, view.config, NULL) == 0) {
		status = show(invocation, &view);
	} else {
		out_of_memory();
	}
	config_errors_done(&errors);
	view_close(&view);
	return status;
}

const struct verb verb_check = {
	.name = "check",
	.brief = "loads the configuration as the plugin would",
	.text = "Prints what it says, or every mistake in it as FILE:LINE: MESSAGE on standard\n"
		"error, with exit status 1. Modules are tried too. Where sessions are up, it\n"
		"also says what the configuration means for them. Nothing is changed; a session\n"
		"uses the file as it is when its pppd starts.\n",
	.json = true,
	.run = run,
};
