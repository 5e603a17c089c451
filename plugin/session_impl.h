/* SPDX-License-Identifier: MIT */
/*
 * session_impl.h - what session*.c share: a session's state, and what each does for the others.
 *
 *	session.c          its life: beginning, end, and pppd's events, which change its state
 *	session_servers.c  those events that have to do with MADCAP servers
 *	session_load.c     what outlives single sessions: configuration, pool, modules
 *	session_address.c  Get and Release: the peer's address, with modules and registry in step
 *	session_link.c     what else the pool and the address mean for the link and for scripts
 *	session_log.c      the log's lines
 *
 * The first two are what pppd's events reach. They set `busy` for as long as a module or the pool
 * may be at work, and close the store (pool_rest) before they return.
 */
#ifndef RASIP_SESSION_IMPL_H
#define RASIP_SESSION_IMPL_H

#include <signal.h>

#include "admin.h"
#include "builtin.h"
#include "line.h"
#include "pool.h"
#include "session.h"

enum session_state { STATE_IDLE, STATE_OPENED, STATE_LIVE, STATE_REFUSED };

struct session {
	const struct session_ops *ops;
	void *context; /* of ops */
	char *config_path;

	struct config *config;
	struct pool *pool; /* a view of config */
	struct admin *admin;
	struct builtin_binding binding;

	enum session_state state;
	int open_code;      /* STATE_OPENED: 0, or why there will be no address */
	bool is_preparing;  /* STATE_OPENED: servers are being asked */
	unsigned int count; /* sessions begun in this process */
	char user[POOL_USER_MAX + 1];
	char port[POOL_PORT_MAX + 1];
	char pool_name[CONFIG_POOL_NAME_MAX + 1]; /* rasip-pool, as it was when the session began */
	struct pool_request request;
	struct pool_lease lease;
	struct error why;       /* of the step under way */
	bool accepted;          /* so a hang-up is owed */
	bool notify;            /* so a release is owed */
	uint32_t configured_be; /* the candidate as the administrator meant it, 0: none */
	uint32_t answered_be;   /* what pppd was told last, 0: nothing in this session */
	uint32_t local_be;      /* what local_fd holds, 0: nothing */
	int local_fd;           /* -1: not open */

	pid_t pid; /* of the process that the registry knows as the session's */
	bool busy;
	bool abandoned;
	volatile sig_atomic_t fatal;
};

/* ---- session.c ------------------------------------------------------------------------------ */

/* Brings the session to where its question can be answered: another user's ends, a new one is
 * opened, and one that was opened for another question takes this one. */
void session_get_ready(struct session *session, const struct session_input *input);

/* Logs why the link has to go down, and has it closed. */
void session_close_link(struct session *session, const char *reason);

/* ---- session_load.c ------------------------------------------------------------------------- */

/* `persist`: a later session gets the configuration of its time, if that loads. */
void session_reload(struct session *session);

/* Frees and nulls. No module is called: they have been unloaded, or never were loaded. */
void session_free(struct session **session);

/* True if `name`, which may be NULL for none, is no pool of this configuration. */
bool session_is_unknown_pool(const struct config *config, const char *name);

/* ---- session_address.c ---------------------------------------------------------------------- */

/* Gets the address from whoever chooses it, and records it: session->lease, session->notify.
 * Returns 0, or an error with the reason in session->why; no address is held then. */
int session_get_address(struct session *session) __attribute__((warn_unused_result));

/* Gives it back: release, where get asked for it, and the registry. Cannot fail, only complain. */
void session_release_address(struct session *session);

/* The pool's observer: `context` is the session. */
void session_observe(void *context, const struct pool_event *event);

/* ---- session_link.c ------------------------------------------------------------------------- */

/* Puts our own end into the registry, so that no peer is given it as long as we have it. Returns
 * 0, or an error with the reason in session->why. */
int session_hold_local(struct session *session, uint32_t local_be)
	__attribute__((warn_unused_result));
void session_drop_local(struct session *session);

/* Our end of the link: the pool's, or else what pppd has; 0 where that is not known yet. */
uint32_t session_wanted_local(const struct session *session);

/* Tells pppd what the pool wants of the link. */
void session_configure_link(struct session *session);

/* The environment of ip-up and ip-down. */
void session_set_env(struct session *session);
void session_set_lease_end(struct session *session);
void session_clear_env(struct session *session);

/* ---- session_log.c -------------------------------------------------------------------------- */

/* The link goes down, or does not come up: `event` is "refuse" or "close". */
void session_log_end(const struct session *session, const char *event, const char *reason);

/* What stands behind an address that a server gave. */
void session_log_server(const struct session *session);

/* What the pool tells. */
void session_log_event(const struct session *session, const struct pool_event *event);

/* RA-54: nobody can tell the module of what a dead process had. */
void session_log_no_module(const struct session *session, const struct pool_event *event);

#endif
