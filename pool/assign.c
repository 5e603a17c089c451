/* SPDX-License-Identifier: MIT */
#include "assign.h"

#include <fnmatch.h>
#include <string.h>

/* No flags: `*` also matches a slash and a leading dot, which mean nothing in a user's name. */
static bool matches(const char *pattern, const char *text)
{
	return pattern == NULL || fnmatch(pattern, text, 0) == 0;
}

enum which { ANY_RULE, RESERVATIONS_ONLY, POOLS_ONLY };

static const struct config_rule *first_match(const struct config *config, const char *user,
					     const char *port, enum which which)
{
	for (size_t i = 0; i < config->n_rules; i++) {
		const struct config_rule *rule = &config->rules[i];

		if (which != ANY_RULE && rule->is_reservation != (which == RESERVATIONS_ONLY))
			continue;
		if (matches(rule->user, user) && matches(rule->port, port))
			return rule;
	}
	return NULL;
}

int assign_find(const struct config *config, const char *user, const char *port,
		const char *pool_name, struct assignment *ret)
{
	const struct config_rule *rule;
	size_t named = CONFIG_NO_POOL;

	if (pool_name != NULL) {
		named = config_find_pool(config, pool_name);
		if (named == CONFIG_NO_POOL)
			return POOL_E_NOT_FOUND;
	}
	rule = first_match(config, user, port, pool_name != NULL ? RESERVATIONS_ONLY : ANY_RULE);
	if (rule == NULL && named == CONFIG_NO_POOL)
		return POOL_E_REFUSED;
	if (rule == NULL)
		*ret = (struct assignment){ .pool = named };
	else
		*ret = (struct assignment){ .rule = rule,
					    .is_reservation = rule->is_reservation,
					    .addr = rule->addr,
					    .pool = rule->pool };
	return 0;
}

size_t assign_pool(const struct config *config, const char *user, const char *port,
		   const char *pool_name)
{
	const struct config_rule *rule;

	if (pool_name != NULL)
		return config_find_pool(config, pool_name);
	rule = first_match(config, user, port, POOLS_ONLY);
	return rule != NULL ? rule->pool : CONFIG_NO_POOL;
}
