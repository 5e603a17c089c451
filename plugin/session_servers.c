/* SPDX-License-Identifier: MIT */
/*
 * session_servers.c - pppd's events that have to do with MADCAP servers: asking them before the
 * address is needed, keeping what they gave, and giving back what is owed to them. None waits for
 * longer than it is told to.
 */
#include "session_impl.h"

/* The built-in pool alone can be asked in advance. */
static int64_t go_on_preparing(struct session *session)
{
	int64_t wait_ms;

	session->is_preparing =
		session->open_code == 0 && admin_has_pair(session->admin) &&
		admin_foreign_name(session->admin) == NULL &&
		pool_prepare(session->pool, &session->request, &wait_ms) == POOL_WAIT;
	pool_rest(session->pool);
	return session->is_preparing ? wait_ms : -1;
}

bool session_needs_preparing(const struct session *session)
{
	return !session->abandoned && !session->fatal && !session->busy &&
	       config_has_servers(session->config);
}

int64_t session_prepare(struct session *session, const struct session_input *input)
{
	int64_t wait_ms = -1;

	if (!session_needs_preparing(session))
		return -1;
	session->busy = true;
	session_get_ready(session, input);
	if (session->state == STATE_OPENED)
		wait_ms = go_on_preparing(session);
	session->busy = false;
	return wait_ms;
}

int64_t session_prepare_step(struct session *session, int64_t wait_ms)
{
	int64_t next_ms = -1;

	if (session->abandoned || session->fatal || session->busy || !session->is_preparing)
		return -1;
	session->busy = true;
	if (wait_ms > 0)
		pool_wait(session->pool, wait_ms);
	next_ms = go_on_preparing(session);
	session->busy = false;
	return next_ms;
}

int64_t session_keep(struct session *session)
{
	struct error why = { "" };
	int64_t end_sec = session->lease.end_sec;
	int64_t next_ms = INT64_MAX;

	if (session->abandoned || session->fatal || session->busy || session->state != STATE_LIVE)
		return -1;
	session->busy = true;
	if (pool_keep(session->pool, &session->lease, &next_ms, &why) < 0) {
		/* From now on the address is nobody's, least of all this session's (T20). */
		session->state = STATE_REFUSED;
		session_close_link(session, why.text);
		next_ms = INT64_MAX;
	} else if (session->lease.end_sec != end_sec) {
		session_set_lease_end(session);
	}
	pool_rest(session->pool);
	session->busy = false;
	return next_ms == INT64_MAX ? -1 : next_ms;
}

int64_t session_deliver(struct session *session)
{
	struct error why = { "" };
	int64_t next_ms = -1;
	int code;

	if (session->abandoned || session->fatal || session->busy || session->state != STATE_LIVE)
		return -1;
	session->busy = true;
	code = pool_deliver(session->pool, &next_ms, &why);
	if (code < 0)
		session_complain(session, why.text);
	pool_rest(session->pool);
	session->busy = false;
	return code == POOL_WAIT ? next_ms : -1;
}
