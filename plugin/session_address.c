/* SPDX-License-Identifier: MIT */
/*
 * session_address.c - Get and Release (contract: RA-10, RA-30 to RA-55): the peer's address, from
 * whoever chooses addresses, and into the registry; then back again, exactly once.
 *
 * Three may choose: a foreign module, the built-in pool, and pppd itself where no module has the
 * pair. A foreign module is called, and what it says recorded, under the modules' lock, so that
 * nobody sees an address between the two; the built-in pool's store has a lock of its own.
 */
#include "session_impl.h"

#include <arpa/inet.h>

/* ---- get ------------------------------------------------------------------------------------ */

/* RA-42, and the registry: nobody else has what a foreign module or pppd itself came up with. */
static int record(struct session *session, uint32_t addr_be, const char *module, bool notify)
{
	const struct pool_choice choice = { .addr_be = addr_be,
					    .module = module,
					    .notify = notify };
	int code = admin_check_address(addr_be, &session->why);

	if (code < 0)
		return code;
	return pool_record(session->pool, &session->request, &choice, &session->lease,
			   &session->why);
}

/* RA-10 */
static int take_candidate(struct session *session)
{
	if (session->request.candidate_be == 0) {
		error_set(&session->why, "no module chooses addresses, and pppd has none");
		return POOL_E_REFUSED;
	}
	return record(session, session->request.candidate_be, "", false);
}

/*
 * RA-54: the dead of modules first, whoever chooses now; what they had, somebody may well want to
 * give. Those that have to do with this session, and some others: the lock is everybody's, so it
 * must not take longer the more sessions there are. `all`: every one of them.
 * Not found: no session yet since the machine started. If the store is broken, the next to use it
 * will say so.
 */
static void reclaim_from_modules(struct session *session, bool all)
{
	int code = all ? pool_reclaim(session->pool, true, NULL, &session->why)
		       : pool_reclaim_for(session->pool, &session->request, &session->why);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		session_complain(session, session->why.text);
	session->why.text[0] = '\0';
	pool_rest(session->pool); /* a module may fork */
}

/* Whether dead sessions still have addresses of modules. Nobody has to wait for this look. The store
 * stays open. */
static bool are_dead_left(struct session *session)
{
	struct error ignored = { "" };
	uint64_t count = 0;

	return pool_count_waiting(session->pool, &count, &ignored) == 0 && count > 0;
}

/*
 * Full is proven: not with addresses that only a module's release stands before. And what the pool
 * refuses is counted and remembered, so it is asked once, when they are told.
 */
static int ask_builtin(struct session *session)
{
	uint32_t addr_be = session->request.candidate_be;
	bool all = are_dead_left(session);
	int code = 0;

	if (admin_has_release(session->admin))
		code = admin_enter(session->admin, session->config->runtime_dir, &session->why);
	/* A module that hangs is no reason to refuse what the pool has. */
	if (code == POOL_E_REFUSED)
		session_complain(session, session->why.text);
	else if (code == 0)
		reclaim_from_modules(session, all);
	pool_rest(session->pool);
	if (code < 0 && code != POOL_E_REFUSED)
		return code;
	session->why.text[0] = '\0';
	admin_leave(session->admin);
	code = admin_get(session->admin, session->user, session->port, &addr_be, &session->notify,
			 &session->why);
	if (code < 0)
		return code;
	code = admin_check_address(addr_be, &session->why);
	if (code < 0)
		session_release_address(session);
	return code;
}

static bool asks_servers(const struct session *session, uint32_t addr_be)
{
	size_t pool = config_pool_of(session->config, ntohl(addr_be));

	return pool != CONFIG_NO_POOL && config_asks_servers(&session->config->pools[pool]);
}

/* Inside the modules' lock. */
static int ask_locked(struct session *session, const char *module)
{
	uint32_t addr_be = session->request.candidate_be;
	struct error ignored = { "" };
	bool notify = false;
	int code;

	reclaim_from_modules(session, false);
	code = admin_get(session->admin, session->user, session->port, &addr_be, &notify,
			 &session->why);
	if (code < 0)
		return code;
	/* Servers may take their time, which is not to be everybody's. */
	if (asks_servers(session, addr_be)) {
		admin_leave(session->admin);
		code = record(session, addr_be, module, notify);
		if (admin_enter(session->admin, session->config->runtime_dir, &ignored) < 0)
			session_complain(session, ignored.text);
	} else {
		code = record(session, addr_be, module, notify);
	}
	if (code < 0) {
		/* RA-32: with 0 there is no address to be released. */
		if (notify && addr_be != 0)
			admin_release(session->admin, session->user, session->port, addr_be);
		return code;
	}
	session->notify = notify;
	return 0;
}

/* RA-30, RA-35: once, whatever comes of it. */
static int ask_foreign(struct session *session, const char *module)
{
	int code = admin_enter(session->admin, session->config->runtime_dir, &session->why);

	if (code < 0)
		return code;
	code = ask_locked(session, module);
	admin_leave(session->admin);
	return code;
}

int session_get_address(struct session *session)
{
	const char *module = admin_foreign_name(session->admin);
	int code;

	if (!admin_has_pair(session->admin))
		code = take_candidate(session);
	else if (module != NULL)
		code = ask_foreign(session, module);
	else
		code = ask_builtin(session);
	if (code < 0 && session->why.text[0] == '\0')
		error_set(&session->why, "%s", pool_strerror(code));
	return code;
}

/* ---- release -------------------------------------------------------------------------------- */

/*
 * Module first, registry second (RA-50: the address may be given again only after release), and
 * both under the modules' lock, so that no other process is given the address by the module and
 * finds it still recorded.
 */
void session_release_address(struct session *session)
{
	const uint32_t addr_be = session->lease.addr_be;
	const bool foreign = session->notify && admin_foreign_name(session->admin) != NULL;
	struct error why = { "" };
	int code = 0;

	if (foreign)
		code = admin_enter(session->admin, session->config->runtime_dir, &why);
	/* RA-53: Release cannot be refused: without the lock it goes on all the same. */
	if (code < 0)
		session_complain(session, why.text);
	/* RA-17: but nobody goes in while another process is inside. Neither is the hang-up to be
	 * held up: whoever takes the lease back tells the module. */
	if (code == POOL_E_REFUSED) {
		session->notify = false;
		pool_lease_abandon(&session->lease);
	}
	/* Never twice, whatever happens inside, and whoever finds the lease if we are killed here. */
	if (session->notify && foreign &&
	    pool_lease_told(session->pool, &session->lease, &why) < 0) {
		session_complain(session, why.text);
		/* Whoever takes the lease back tells the module; so it must not end well here. */
		session->notify = false;
		pool_lease_abandon(&session->lease);
	}
	if (session->notify) {
		session->notify = false;
		admin_release(session->admin, session->user, session->port, addr_be);
	}
	why.text[0] = '\0';
	if (pool_release(session->pool, &session->lease, &why) < 0)
		session_complain(session, why.text);
	admin_leave(session->admin);
	/* Nobody else has to wait for a server's answer. */
	pool_settle(session->pool);
	pool_rest(session->pool);
}

/* ---- what others left behind ---------------------------------------------------------------- */

void session_observe(void *context, const struct pool_event *event)
{
	struct session *session = context;

	session_log_event(session, event);
	if (event->kind != POOL_EVENT_RECLAIM || !event->notify || event->module[0] == '\0')
		return;
	/* RA-54: a process that was killed could not tell the module; whoever reclaims its lease
	 * does. */
	if (!admin_release_for(session->admin, event->module, event->user, event->port,
			       event->addr_be))
		session_log_no_module(session, event);
}
