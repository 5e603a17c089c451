/* SPDX-License-Identifier: MIT */
/*
 * assign.h - which rule of `assign` serves a user on a port. The first match wins.
 */
#ifndef RASIP_ASSIGN_H
#define RASIP_ASSIGN_H

#include "config.h"

struct assignment {
	const struct config_rule *rule; /* what matched; NULL where rasip-pool decided */
	bool is_reservation;
	uint32_t addr; /* host order, where is_reservation */
	size_t pool;   /* index into config->pools; for a reservation perhaps CONFIG_NO_POOL */
};

/*
 * user and port are never NULL ("" matches only patterns that match the empty string, or rules
 * without one). `pool_name`, the rasip-pool option, may be NULL; where it is given, rules that
 * name a pool are passed over, reservations are not, and where none of those matches the named
 * pool serves.
 * Returns 0; POOL_E_REFUSED where no rule matches; POOL_E_NOT_FOUND where pool_name is no pool.
 */
int assign_find(const struct config *config, const char *user, const char *port,
		const char *pool_name, struct assignment *ret) __attribute__((warn_unused_result));

/* The pool of that name or, where pool_name is NULL, the one that the rules name for the user,
 * reservations left aside; or CONFIG_NO_POOL. */
size_t assign_pool(const struct config *config, const char *user, const char *port,
		   const char *pool_name);

#endif
