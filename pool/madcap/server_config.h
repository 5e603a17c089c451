/* SPDX-License-Identifier: MIT */
/*
 * server_config.h - madcapd.conf, read and checked (madcapd.conf(5); libconfig syntax).
 *
 * As with rasip.conf, a configuration loads as a whole or not at all, and every mistake is
 * reported as "FILE:LINE: message". What has been loaded is not changed afterwards.
 */
#ifndef RASIP_MADCAP_SERVER_CONFIG_H
#define RASIP_MADCAP_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_errors.h"
#include "server.h"

#define SERVER_CONFIG_DEFAULT_PATH "/etc/rasip/madcapd.conf"
#define SERVER_CONFIG_SCOPES_MAX 255 /* the scope list counts them with one octet */

struct server_config {
	char *path;
	struct madcap_endpoint *listen; /* at least one; port 0: any that is free */
	size_t n_listen;
	char **interfaces; /* may be none */
	size_t n_interfaces;
	char *state_dir;  /* absolute */
	char *user;       /* to run as, when started by root; NULL: as started */
	char *connection; /* book = "postgresql": the database; NULL: a file in state_dir */
	char *name;       /* of this server, among those that share the book; NULL: the host's */
	int64_t database_timeout_sec;
	struct madcap_server_config server;

	/* What `server` points to. */
	struct madcap_server_scope *scopes;
	struct server_scope_parts {
		struct madcap_zone_name *names;
		struct madcap_address_range *allocate;
		struct madcap_address_range *exclude;
		struct madcap_address *inside;
	} * parts; /* as scopes */
	char **strings;
	size_t n_strings;
};

/*
 * Reads and checks `path`. Returns 0 and a configuration to be freed with server_config_free(), or
 * POOL_E_CONFIG with at least one line in `errors`, or POOL_E_NO_MEMORY.
 */
int server_config_load(const char *path, struct server_config **ret, struct config_errors *errors)
	__attribute__((warn_unused_result));

/* As server_config_load, from memory; `name` stands for the file in messages. */
int server_config_load_text(const char *text, const char *name, struct server_config **ret,
			    struct config_errors *errors) __attribute__((warn_unused_result));

/* Frees and nulls; NULL and a pointer to NULL are allowed. */
void server_config_free(struct server_config **config);

#endif
