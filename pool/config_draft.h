/* SPDX-License-Identifier: MIT */
/*
 * config_draft.h - inside the loader of rasip.conf: what its files share.
 *
 *	config_modules.c `modules`
 *	config_pool.c    `pools`
 *	config_madcap.c  the madcap group of a pool
 *	config_check.c   what concerns several settings: overlaps, chains, reservations
 *	config.c         the public interface, the top level, `assign`
 */
#ifndef RASIP_CONFIG_DRAFT_H
#define RASIP_CONFIG_DRAFT_H

#include "config.h"
#include "config_loader.h"

#define LABEL_SIZE 160

/* What is known of config->pools[i] only while loading. NULL: not given. */
struct pool_draft {
	const config_setting_t *setting;
	const config_setting_t *name;
	const config_setting_t *backend;
	const config_setting_t *ranges;
	const config_setting_t **range_at; /* of ranges.ranges[i] */
	const config_setting_t *exclude;
	struct range_set excludes;
	const config_setting_t *local;
	const config_setting_t *next;
	const config_setting_t *madcap;
	const config_setting_t *scope; /* in the madcap group */
	const config_setting_t *order;
	const config_setting_t *hold;
	struct config_pool *pool;
};

/* A configuration while it is loaded. NULL: not given. */
struct config_draft {
	struct config *config;
	struct pool_draft *pools;              /* as config->pools */
	const config_setting_t **rule_address; /* as config->rules; NULL: no reservation */
	const config_setting_t *modules_at;
	const config_setting_t *pools_at;
	const config_setting_t *assign_at;
};

static inline struct config_draft *config_draft_of(const struct config_loader *loader)
{
	return loader->draft;
}

void config_read_modules(struct config_loader *loader, const config_setting_t *list);
void config_default_modules(struct config_loader *loader);
void config_read_pools(struct config_loader *loader, const config_setting_t *pools);
/* `object` is the pool's draft. */
void config_read_madcap(struct config_loader *loader, const config_setting_t *setting,
			void *object);
/* What the backend and the group mean together with the rest of the pool. */
void config_check_backend(struct config_loader *loader, const struct pool_draft *draft);
/* When the pool's `dynamic` set is known. */
void config_check_pieces(struct config_loader *loader, const struct pool_draft *draft);
/* All that concerns more than one setting, when all are read. */
void config_check(struct config_loader *loader);

/* `pool "x"`, or the pool's line where it has no name. */
const char *config_pool_label(const struct config_loader *loader, size_t index,
			      char buf[LABEL_SIZE]);

/* A setting that names a pool which is not there, and what may have been meant. */
void config_report_no_pool(struct config_loader *loader, const config_setting_t *at,
			   const char *name);

/* An address that a host can have; anything else is reported. */
bool config_host_address(struct config_loader *loader, const config_setting_t *at,
			 const char *value, uint32_t *ret_addr);

#endif
