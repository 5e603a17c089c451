/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the configuration loader. Any text either loads, and then what was loaded is
 * consistent, or is rejected with at least one FILE:LINE message of one line.
 */
#include "assign.h"
#include "config.h"
#include "fuzz_conf.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct config *config = NULL;
	struct config_errors errors;

	if (text == NULL)
		return 0;
	if (!fuzz_reaches_out(text)) {
		int code = config_load_text(text, FUZZ_CONF_NAME, &config, &errors);

		if (code == 0) {
			require(errors.n == 0, "loaded without errors");
			check_config(config);
		} else if (code == POOL_E_CONFIG) {
			fuzz_check_errors(&errors);
		}
		config_free(&config);
		config_errors_done(&errors);
	}
	free(text);
	return 0;
}
