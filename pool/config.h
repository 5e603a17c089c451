/* SPDX-License-Identifier: MIT */
/*
 * config.h - rasip.conf, read and checked (rasip.conf(5); libconfig syntax).
 *
 * A configuration either loads as a whole or not at all. Loading goes on after the first
 * mistake to report all of them, one "FILE:LINE: message" each; an error in an @included file
 * names that file. What has been loaded is never changed afterwards, holds no file open, and
 * may be used across fork and by any number of threads.
 *
 * Addresses and groups are in host order throughout, durations in seconds. Everything that a struct
 * config points to is its own.
 */
#ifndef RASIP_CONFIG_H
#define RASIP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_errors.h"
#include "error.h"
#include "madcap/proto.h"
#include "range.h"

#define CONFIG_DEFAULT_PATH "/etc/rasip/rasip.conf"
#define CONFIG_BUILTIN "builtin" /* the path of the built-in pool in `modules` */
#define CONFIG_POOL_NAME_MAX 63
#define CONFIG_MODULE_NAME_MAX 63
#define CONFIG_NO_POOL SIZE_MAX

enum pool_backend { BACKEND_LOCAL, BACKEND_MADCAP };
enum pool_order { ORDER_LEAST_RECENT, ORDER_SEQUENTIAL, ORDER_RANDOM };
enum pool_mode { MODE_OPEN, MODE_HOLD_DOWN, MODE_DRAIN };

struct config_module {
	char *name;       /* 1 to CONFIG_MODULE_NAME_MAX printable ASCII characters */
	char *path;       /* absolute, or CONFIG_BUILTIN */
	char *argument;   /* never NULL; "" where none is given */
	const char *file; /* and the line in it; NULL for the made-up one */
	unsigned int line;
};

#define CONFIG_MADCAP_SERVERS_MAX 16
#define CONFIG_INTERFACE_MAX 15 /* bytes, as the kernel has it */

/*
 * Where a pool with the backend "madcap" gets its leases. The i-th group of the scope stands for
 * the i-th address of the pool's `ranges`, counted from 0 as they are written.
 */
struct config_madcap {
	uint32_t scope; /* host order: its first group, which stands for the first address */
	struct madcap_endpoint servers[CONFIG_MADCAP_SERVERS_MAX]; /* asked in this order */
	size_t n_servers;                                          /* 0: they are discovered */
	char interface[CONFIG_INTERFACE_MAX + 1]; /* for discovery; "": the system's choice */
	uint32_t lease_sec;                       /* wished for */
	uint32_t timeout_sec;                     /* for all tries together */
	bool local_allocation; /* groups are drawn on this host, and no server is asked */
};

struct config_pool {
	char *name; /* 1 to CONFIG_POOL_NAME_MAX bytes of [A-Za-z0-9_.-] */
	enum pool_backend backend;
	struct range_set ranges;  /* as written */
	struct range_set givable; /* ranges less excludes and every pool's `local` */
	struct range_set dynamic; /* givable less every reservation: what anybody may get */
	enum pool_order order;
	bool sticky;
	int64_t hold_sec;      /* 0: none; or DURATION_FOREVER */
	uint32_t max_per_user; /* 0: no limit */
	size_t next; /* index of the pool to try when this one is full, or CONFIG_NO_POOL */
	enum pool_mode mode;
	unsigned int alarm_percent; /* 0: none, else 1 to 100 */
	uint32_t dns[2];            /* host order */
	size_t n_dns;
	uint32_t wins[2]; /* host order */
	size_t n_wins;
	uint32_t local;              /* host order; 0: none */
	struct config_madcap madcap; /* where backend is BACKEND_MADCAP */
	unsigned int line;           /* where it begins in its file */
};

/*
 * One entry of `assign`. It names a pool or a reserved address, never both. An excluded address
 * may be reserved (excluded means not given to just anybody), a `local` one never is.
 */
struct config_rule {
	char *user; /* shell glob, or NULL: any */
	char *port; /* shell glob, or NULL: any */
	bool is_reservation;
	uint32_t addr; /* host order, where is_reservation */
	size_t pool; /* index; for a reservation the pool whose `ranges` hold it, or CONFIG_NO_POOL
		      */
	const char *file;  /* and the line in it; NULL for the made-up one */
	unsigned int line; /* 0: made up where `assign` is left out */
};

/* A range and the pool that has it. */
struct config_piece {
	struct range range;
	size_t pool;
};

struct config {
	char *path;
	char **files; /* `path` and what it includes: what `file` points to */
	size_t n_files;
	char *runtime_dir;             /* absolute */
	char *state_dir;               /* absolute */
	struct config_module *modules; /* at least one: left out, it is the built-in pool */
	size_t n_modules;
	struct config_pool *pools; /* at least one */
	size_t n_pools;
	struct config_rule *rules; /* never empty: left out, the first pool serves everybody */
	size_t n_rules;
	struct config_piece *pieces; /* every pool's ranges, by address */
	size_t n_pieces;
	struct range_set reserved; /* every reservation */
	struct range_set locals;   /* every pool's `local` */
	bool candidate_replace;    /* candidate = "replace" */
	bool anonymous_allow;      /* anonymous = "allow" */
};

/*
 * Reads and checks `path`. `errors` is overwritten; config_errors_done() is due whatever is
 * returned. Returns 0 and a configuration to be freed with config_free(), or POOL_E_CONFIG with at
 * least one line in `errors` ("PATH: No such file or directory", without a line number, where the
 * file cannot be read), or POOL_E_NO_MEMORY. Blocks for as long as reading files does.
 */
int config_load(const char *path, struct config **ret, struct config_errors *errors)
	__attribute__((warn_unused_result));

/* As config_load, from memory; `name` stands for the file in messages. For tests and fuzzing. */
int config_load_text(const char *text, const char *name, struct config **ret,
		     struct config_errors *errors) __attribute__((warn_unused_result));

/* Frees and nulls; NULL and a pointer to NULL are allowed. */
void config_free(struct config **config);

/* The pool with this name, or CONFIG_NO_POOL. */
size_t config_find_pool(const struct config *config, const char *name);

/* The pool whose `ranges` hold this address (pools never overlap), or CONFIG_NO_POOL. */
size_t config_pool_of(const struct config *config, uint32_t addr);

/* Why no host can have any address of the range, or some of them; static storage; NULL if all are fine. */
const char *config_unusable(struct range range);

/* True if the pool's addresses have to be leased from a server. */
bool config_asks_servers(const struct config_pool *pool);

/* True if any pool's have to be. */
bool config_has_servers(const struct config *config);

/* The multicast group that stands for an address of a MADCAP pool's ranges; 0 for other pools and
 * addresses. Host order. */
uint32_t config_group(const struct config_pool *pool, uint32_t addr);

/* The other way: the address that a group stands for, or 0. */
uint32_t config_group_address(const struct config_pool *pool, uint32_t group);

/* As in the file; static storage. */
const char *config_order_name(enum pool_order order);       /* "least-recent" ... */
const char *config_mode_name(enum pool_mode mode);          /* "open" ... */
const char *config_backend_name(enum pool_backend backend); /* "local" ... */

#endif
