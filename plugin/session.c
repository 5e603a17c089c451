/* SPDX-License-Identifier: MIT */
/*
 * session.c - a session's life: how it begins and ends, and pppd's events, which take it from one
 * state to the next (session.h has the picture).
 */
#include "session_impl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the end -------------------------------------------------------------------------------- */

static void end_session(struct session *session)
{
	if (session->lease.addr_be != 0)
		session_release_address(session);
	if (session->state == STATE_OPENED) {
		pool_unprepare(session->pool);
		pool_rest(session->pool);
	}
	session_drop_local(session);
	if (session->accepted) {
		session->accepted = false;
		admin_hangup(session->admin, session->user, session->port);
	}
	if (session->answered_be != 0)
		session_clear_env(session);
	session->answered_be = 0;
	session->is_preparing = false;
	session->state = STATE_IDLE;
}

/* ---- the beginning -------------------------------------------------------------------------- */

/* What has to be true before any module is asked. */
static int check_request(struct session *session, const struct session_input *input)
{
	if (strlen(input->user) > POOL_USER_MAX) {
		error_set(&session->why, "the user name is longer than %d bytes", POOL_USER_MAX);
		return POOL_E_INVALID;
	}
	if (input->user[0] == '\0' && !session->config->anonymous_allow) {
		error_set(&session->why, "anonymous: the peer has not authenticated");
		return POOL_E_REFUSED;
	}
	if (session_is_unknown_pool(session->config, input->pool_name)) {
		error_set(&session->why, "rasip-pool: there is no pool %s", input->pool_name);
		return POOL_E_NOT_FOUND;
	}
	return 0;
}

static void take_input(struct session *session, const struct session_input *input)
{
	snprintf(session->user, sizeof(session->user), "%s", input->user);
	snprintf(session->port, sizeof(session->port), "%s", input->port);
	session->request = (struct pool_request){ .user = session->user,
						  .port = session->port,
						  .candidate_be = input->candidate_be,
						  .local_be = input->local_be };
	if (input->pool_name == NULL)
		return;
	/* pppd may free the option while the session goes on. */
	snprintf(session->pool_name, sizeof(session->pool_name), "%s", input->pool_name);
	session->request.pool_name = session->pool_name;
}

static bool is_same_input(const struct session *session, const struct session_input *input)
{
	const struct pool_request *request = &session->request;
	const char *name = request->pool_name;

	if (input->pool_name == NULL ? name != NULL
				     : name == NULL || strcmp(name, input->pool_name) != 0)
		return false;
	return strcmp(session->user, input->user) == 0 &&
	       request->candidate_be == input->candidate_be && request->local_be == input->local_be;
}

/* Up to the question for an address: a connection that is not accepted gets none (RA-15). */
static void open_session(struct session *session, const struct session_input *input)
{
	if (session->count++ > 0)
		session_reload(session);
	session->why.text[0] = '\0';
	take_input(session, input);
	session->state = STATE_OPENED;
	session->open_code = check_request(session, input);
	if (session->open_code < 0)
		return;
	session->accepted =
		admin_accept(session->admin, session->user, session->port, &session->why);
	if (!session->accepted)
		session->open_code = POOL_E_REFUSED;
}

/* What was opened for one question, and is now asked another one. */
static void change_input(struct session *session, const struct session_input *input)
{
	pool_unprepare(session->pool);
	session->is_preparing = false;
	take_input(session, input);
	if (session->open_code == 0)
		session->open_code = check_request(session, input);
}

static int finish_session(struct session *session)
{
	int code = session->open_code;

	session->is_preparing = false;
	if (code == 0)
		code = session_get_address(session);
	return code < 0 ? code : session_hold_local(session, session_wanted_local(session));
}

static void refuse(struct session *session)
{
	/* The address goes back at once; the hang-up is owed until the link has gone. */
	if (session->lease.addr_be != 0)
		session_release_address(session);
	pool_unprepare(session->pool);
	session->state = STATE_REFUSED;
	session_log_end(session, "refuse", session->why.text);
	session->ops->close_link(session->context);
}

static void start_session(struct session *session)
{
	if (finish_session(session) < 0) {
		refuse(session);
		pool_rest(session->pool);
		return;
	}
	pool_rest(session->pool);
	session->state = STATE_LIVE;
	session->pid = getpid();
	session->answered_be = session->lease.addr_be;
	session_set_env(session);
	if (session->lease.server[0] != '\0')
		session_log_server(session);
}

/* ---- events --------------------------------------------------------------------------------- */

uint32_t session_candidate(struct session *session, uint32_t address_be)
{
	if (session->answered_be != 0 && address_be == session->answered_be)
		return session->configured_be;
	if (session->state == STATE_IDLE)
		session->configured_be = address_be;
	return address_be;
}

void session_get_ready(struct session *session, const struct session_input *input)
{
	bool is_open = session->state == STATE_LIVE || session->state == STATE_OPENED;

	if (is_open && strcmp(session->user, input->user) != 0)
		end_session(session);
	if (session->state == STATE_IDLE)
		open_session(session, input);
	else if (session->state == STATE_OPENED && !is_same_input(session, input))
		change_input(session, input);
}

bool session_choose(struct session *session, const struct session_input *input,
		    uint32_t *ret_addr_be)
{
	if (session->abandoned || session->fatal)
		return false;
	if (session->busy) { /* RA-19 */
		session_complain(session, "a module called back into the plugin");
		return false;
	}
	session->busy = true;
	session_get_ready(session, input);
	if (session->state == STATE_OPENED)
		start_session(session);
	if (session->state == STATE_LIVE) {
		session_configure_link(session);
		*ret_addr_be = session->lease.addr_be;
	}
	session->busy = false;
	return session->state == STATE_LIVE;
}

int session_allows(const struct session *session, uint32_t addr_be)
{
	if (session->abandoned)
		return -1;
	if (session->state == STATE_LIVE)
		return addr_be == session->lease.addr_be;
	if (session->state == STATE_REFUSED || session->state == STATE_OPENED || session->busy)
		return 0;
	return -1;
}

void session_close_link(struct session *session, const char *reason)
{
	session_log_end(session, "close", reason);
	session->ops->close_link(session->context);
}

void session_ip_up(struct session *session, uint32_t peer_be, uint32_t local_be)
{
	struct error why = { "" };

	if (session->abandoned || session->busy)
		return;
	session->busy = true;
	if (session->state != STATE_LIVE || peer_be != session->lease.addr_be) {
		session_close_link(session, "the peer's address is not the session's");
	} else {
		/* `updetach` has forked since the address was chosen. */
		if (session->pid != getpid()) {
			session->pid = getpid();
			if (pool_lease_adopt(session->pool, &session->lease, &why) < 0)
				session_complain(session, why.text);
		}
		/* Where pppd left our end to the peer, it is known only now. */
		session->why.text[0] = '\0';
		if (session_hold_local(session, local_be) < 0)
			session_close_link(session, session->why.text);
		pool_rest(session->pool);
	}
	session->busy = false;
}

static void maintain(struct session *session)
{
	struct error why = { "" };

	if (pool_maintain(session->pool, &why) < 0)
		session_complain(session, why.text);
	pool_rest(session->pool);
}

void session_maintain(struct session *session)
{
	if (session->abandoned || session->busy)
		return;
	session->busy = true;
	maintain(session);
	session->busy = false;
}

void session_end(struct session *session)
{
	if (session->abandoned || session->busy || session->fatal)
		return;
	session->busy = true;
	end_session(session);
	/* Where a pool is full, or gives nothing new, nobody comes up who would do it. */
	if (pool_is_behind(session->pool))
		maintain(session);
	session->busy = false;
}

void session_exit(struct session **session)
{
	struct session *s = *session;

	/*
	 * Inside a call or a signal handler nothing is certain, not even malloc: the kernel drops
	 * the lock, and the next process that looks takes the lease back.
	 */
	if (s == NULL || s->abandoned || s->busy || s->fatal)
		return;
	s->busy = true;
	end_session(s);
	admin_unload(&s->admin);
	session_free(session);
}

void session_abandon(struct session *session)
{
	if (session->abandoned)
		return;
	session->abandoned = true;
	pool_lease_abandon(&session->lease);
	session_drop_local(session);
	if (session->admin != NULL)
		admin_abandon(session->admin);
}

void session_set_fatal(struct session *session)
{
	session->fatal = 1;
}

bool session_is_refused(const struct session *session)
{
	return session->state == STATE_REFUSED;
}

bool session_is_busy(const struct session *session)
{
	return session->busy;
}
