/* SPDX-License-Identifier: MIT */
/*
 * session.h - one PPP session, between pppd's events and the admin modules.
 *
 * Model. A struct session is what one pppd process does for its peers, one after the other where
 * `persist` is set: it loads the configuration and the modules once, and then takes each
 * session from the first question for an address to the end.
 *
 *	idle [--prepare--> opened] --choose--> live or refused --end--> idle
 *
 *  - prepare: the modules have been asked whether they accept, and the servers that the pool needs
 *    are being asked for an address. Without it, choose does both, and waits.
 *  - choose: a new session is put to every module (accept), then to the one that gives addresses,
 *    and the answer is recorded. Asked again in the same session, the answer is the same; only
 *    another user name starts over, after the old session has ended.
 *  - refused stays refused until the end: nothing is asked again, and no address is allowed.
 *  - end: release once, where get asked for it; then the address is given back; then hang-up, once,
 *    where the modules had accepted. Ending an idle session does nothing, so events may overlap.
 *
 * Nothing here knows pppd. What has to be done to the link is done through struct session_ops.
 *
 * Processes. The lease is a kernel lock that a fork shares: session_abandon() drops our share in
 * the process that is not, or no longer, the session's, and from then on every function does
 * nothing there. The store is closed whenever a function returns, so pppd may fork at any time.
 *
 * Callbacks of modules run inside these functions. A module that calls back into them gets an
 * error at once; a process that ends inside them (fatal(), a signal) leaves everything to whoever
 * reclaims the lease.
 */
#ifndef RASIP_SESSION_H
#define RASIP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

enum session_level { SESSION_NOTICE, SESSION_WARNING, SESSION_ERROR };

/* What the pool wants of the link beside the peer's address; network order. */
struct session_link {
	uint32_t local_be; /* 0: as it is */
	uint32_t dns_be[2];
	size_t n_dns; /* 0: as it is */
	uint32_t wins_be[2];
	size_t n_wins;
};

struct session_ops {
	/* One complete line, no newline. */
	void (*log)(void *context, enum session_level level, const char *line);
	/* Closes the link soon, after the caller has returned; until session_end at the latest.
	 * Why is in the log and not for the peer. */
	void (*close_link)(void *context);
	/* For ip-up and ip-down; NULL takes it away again. */
	void (*set_env)(void *context, const char *name, const char *value);
	/* Called for every answer of session_choose that is an address. */
	void (*configure_link)(void *context, const struct session_link *link);
};

struct session_setup {
	const char *config_path;
	const char *pool_name; /* rasip-pool as the options have it, or NULL */
	const struct session_ops *ops;
	void *context;
};

/* What pppd knows when it asks for the peer's address. */
struct session_input {
	const char *user;      /* "" for nobody */
	const char *port;      /* longer than POOL_PORT_MAX: cut */
	const char *pool_name; /* rasip-pool, or NULL */
	uint32_t candidate_be; /* from session_candidate(), or what another plugin put over it */
	uint32_t local_be;     /* our end where it is known, or 0 */
};

struct session;

/*
 * Loads the configuration and the modules. The setup's strings are copied.
 * Returns 0; POOL_E_CONFIG with a line for every mistake in `errors` (to be freed by the caller);
 * POOL_E_NO_MEMORY.
 */
int session_load(struct session **ret, const struct session_setup *setup,
		 struct config_errors *errors) __attribute__((warn_unused_result));

/*
 * What the administrator meant by the address that pppd has: `address_be`, unless that is only
 * our own last answer, which pppd hands back; then what stood there before.
 */
uint32_t session_candidate(struct session *session, uint32_t address_be);

/*
 * Begins what session_choose() would have to wait for: where the pool leases from MADCAP servers,
 * they are asked. Returns the milliseconds until session_prepare_step() is to be called, or -1
 * where there is nothing to wait for (any more). Of the input nothing is kept but copies;
 * session_choose() with another one begins anew.
 */
int64_t session_prepare(struct session *session, const struct session_input *input);

/* Whether there is anything to prepare at all: whether any pool leases from servers. */
bool session_needs_preparing(const struct session *session);

/* Goes on with it, after waiting for an answer for at most `wait_ms`. Returns as session_prepare. */
int64_t session_prepare_step(struct session *session, int64_t wait_ms);

/*
 * The peer's address. True: *ret_addr_be is it. False: refused, close_link has been called, or
 * this process has no say; nothing is written. Blocks as pool_acquire() does, and as modules do.
 */
bool session_choose(struct session *session, const struct session_input *input,
		    uint32_t *ret_addr_be);

/* May the peer have this address? 1 yes, 0 no, -1: there is no session, ask somebody else. */
int session_allows(const struct session *session, uint32_t addr_be);

/* IPCP is up with these addresses: closes the link if the peer's is not the session's. */
void session_ip_up(struct session *session, uint32_t peer_be, uint32_t local_be);

/*
 * Renews a lease that a server gave when it is due, and closes the link when it cannot be kept.
 * Returns the milliseconds until the next call, or -1: there is nothing to keep. First to be called
 * after session_choose().
 */
int64_t session_keep(struct session *session);

/* Releases some of what is owed to servers, whoever owed it. Returns as session_prepare. */
int64_t session_deliver(struct session *session);

/* Disk work that was put off (pool_maintain). Some time after ip_up, never before an address. */
void session_maintain(struct session *session);

/* The link is dead. Blocks on the disk where many events wait for it (pool_is_behind). */
void session_end(struct session *session);

/* The process ends: the session too, and the modules. Frees and nulls. */
void session_exit(struct session **session);

/* This process is not the session's (a forked child; the parent that detached). */
void session_abandon(struct session *session);

/* A fatal signal is ending the process: nothing is to be done any more. For signal handlers. */
void session_set_fatal(struct session *session);

/* True from a refusal to the session's end. */
bool session_is_refused(const struct session *session);

/* True while a module or the pool is at work, here or further up the stack. */
bool session_is_busy(const struct session *session);

/* Logs a warning, with this as its reason. */
void session_complain(const struct session *session, const char *text);

#endif
