/* SPDX-License-Identifier: MIT */
/* server_config_loader.h - inside the loader of madcapd.conf: what its files share. */
#ifndef RASIP_MADCAP_SERVER_CONFIG_LOADER_H
#define RASIP_MADCAP_SERVER_CONFIG_LOADER_H

#include "config_loader.h"
#include "server_config.h"

/* What is known of scopes[i] only while loading. NULL: not given. */
struct scope_draft {
	const config_setting_t *setting;
	const config_setting_t *first;
	const config_setting_t *last;
	const config_setting_t *allocate;
	const config_setting_t *exclude;
	const config_setting_t *inside;
	const config_setting_t *default_lease;
	struct madcap_server_scope *scope;
	struct server_scope_parts *parts;
	struct server_config *config;
	bool usable; /* first and last make a scope, so it can be compared with others */
};

/* The object of every top-level key. */
struct server_draft {
	struct server_config *config;
	const config_setting_t *listen;
	const config_setting_t *scope_list;
	const config_setting_t *book;
	const config_setting_t *connection;
	bool is_shared;             /* book = "postgresql" */
	struct scope_draft *scopes; /* as config->scopes */
	uint32_t port;
};

/* A copy that lives as long as the configuration; NULL without memory. */
const char *server_keep_string(struct config_loader *loader, struct server_config *config,
			       const char *value);

/* A duration in whole seconds; *ret is 0 for "forever". False after a report, also for "0s". */
bool server_lease_time(struct config_loader *loader, const config_setting_t *setting,
		       uint32_t *ret);

/* ---- server_config_book.c: readers of the settings that concern the lease book ---------------- */

void server_read_book(struct config_loader *loader, const config_setting_t *setting, void *object);
void server_read_connection(struct config_loader *loader, const config_setting_t *setting,
			    void *object);
void server_read_timeout(struct config_loader *loader, const config_setting_t *setting,
			 void *object);
void server_read_name(struct config_loader *loader, const config_setting_t *setting, void *object);
void server_read_on_failure(struct config_loader *loader, const config_setting_t *setting,
			    void *object);

/* After all of them. */
void server_check_book(struct config_loader *loader, const struct server_draft *draft);

/* ---- scopes ---------------------------------------------------------------------------------- */

void server_read_scopes(struct config_loader *loader, const config_setting_t *list,
			struct server_draft *draft);
void server_check_scopes(struct config_loader *loader, const struct server_draft *draft);

#endif
