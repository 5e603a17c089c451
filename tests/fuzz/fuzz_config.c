/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the configuration loader. Any text either loads, and then what was loaded is
 * consistent, or is rejected with at least one FILE:LINE message of one line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign.h"
#include "config.h"

#define NAME "fuzz.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

/* libconfig 1.5 does not free the string in which it met a syntax error. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void check_errors(const struct config_errors *errors)
{
	require(errors->n > 0, "a rejection says why");
	for (size_t i = 0; i < errors->n; i++) {
		require(strncmp(errors->lines[i], NAME ":", strlen(NAME) + 1) == 0, "FILE first");
		require(strtoul(errors->lines[i] + strlen(NAME) + 1, NULL, 10) > 0,
			"a line number");
		require(strchr(errors->lines[i], '\n') == NULL, "one line each");
	}
}

static void check_set(const struct range_set *set)
{
	uint64_t index;

	for (size_t i = 0; i < set->n; i++) {
		require(range_set_find(set, set->ranges[i].last, &index), "the last is found");
		require(range_set_at(set, index) == set->ranges[i].last, "find and at agree");
	}
}

static void check_config(const struct config *config)
{
	struct assignment found;

	require(config->n_pools > 0 && config->n_modules > 0 && config->n_rules > 0, "not empty");
	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];

		check_set(&pool->ranges);
		check_set(&pool->givable);
		check_set(&pool->dynamic);
		require(pool->ranges.count > 0, "a pool has addresses");
		require(pool->dynamic.count <= pool->givable.count &&
				pool->givable.count <= pool->ranges.count,
			"the sets nest");
		require(config_pool_of(config, range_set_at(&pool->ranges, 0)) == i, "pool_of");
		require(config_find_pool(config, pool->name) == i, "find_pool");
		require(pool->next != i && (pool->next < config->n_pools || pool->next == SIZE_MAX),
			"next");
		require(assign_find(config, "alice", "ttyS0", pool->name, &found) == 0,
			"rasip-pool");
	}
	for (size_t i = 0; i < config->n_rules; i++) {
		const struct config_rule *rule = &config->rules[i];

		require(rule->is_reservation ? rule->pool == config_pool_of(config, rule->addr)
					     : rule->pool < config->n_pools,
			"a rule's pool");
	}
	(void)!assign_find(config, "", "", NULL, &found);
}

/* Files named by the input would make runs differ; without a slash there are none here. */
static bool reaches_out(const char *text)
{
	return strstr(text, "@include") != NULL && strchr(text, '/') != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct config *config = NULL;
	struct config_errors errors;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!reaches_out(text)) {
		int code = config_load_text(text, NAME, &config, &errors);

		if (code == 0) {
			require(errors.n == 0, "loaded without errors");
			check_config(config);
		} else if (code == POOL_E_CONFIG) {
			check_errors(&errors);
		}
		config_free(&config);
		config_errors_done(&errors);
	}
	free(text);
	return 0;
}
