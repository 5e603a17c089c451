/* SPDX-License-Identifier: MIT */
/*
 * session_link.c - what the session's pool and address mean for the link beside the peer's address:
 * our own end of it, name servers, and the environment of ip-up and ip-down.
 */
#include "session_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include "array.h"
#include "parse.h"

/* ---- our own end ---------------------------------------------------------------------------- */

void session_drop_local(struct session *session)
{
	if (session->local_fd >= 0)
		close(session->local_fd);
	session->local_fd = -1;
	session->local_be = 0;
}

uint32_t session_wanted_local(const struct session *session)
{
	const struct config_pool *pool =
		pool_lease_config(session->pool, &session->lease, session->request.pool_name);

	return pool != NULL && pool->local != 0 ? htonl(pool->local) : session->request.local_be;
}

int session_hold_local(struct session *session, uint32_t local_be)
{
	int fd;
	int code;

	if (local_be == 0 || local_be == session->local_be)
		return 0;
	code = pool_hold_local(session->pool, local_be, &fd, &session->why);
	if (code < 0)
		return code;
	session_drop_local(session);
	session->local_fd = fd;
	session->local_be = local_be;
	return 0;
}

/* ---- settings ------------------------------------------------------------------------------- */

/* Also when the same session asks again: pppd starts each negotiation from its own values. */
void session_configure_link(struct session *session)
{
	const struct config_pool *pool =
		pool_lease_config(session->pool, &session->lease, session->request.pool_name);
	struct session_link link = { 0 };

	if (pool != NULL) {
		link.local_be = htonl(pool->local);
		link.n_dns = pool->n_dns;
		link.n_wins = pool->n_wins;
		for (size_t i = 0; i < 2; i++) {
			link.dns_be[i] = htonl(pool->dns[i]);
			link.wins_be[i] = htonl(pool->wins[i]);
		}
	}
	session->ops->configure_link(session->context, &link);
}

/* ---- for ip-up and ip-down ------------------------------------------------------------------- */

void session_clear_env(struct session *session)
{
	static const char *const names[] = { "RASIP_POOL", "RASIP_ADDRESS", "RASIP_GROUP",
					     "RASIP_SERVER", "RASIP_LEASE_END" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		session->ops->set_env(session->context, names[i], NULL);
}

void session_set_lease_end(struct session *session)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld", (long long)session->lease.end_sec);
	session->ops->set_env(session->context, "RASIP_LEASE_END", seconds);
}

void session_set_env(struct session *session)
{
	const struct pool_lease *lease = &session->lease;
	const struct session_ops *ops = session->ops;
	char shown[IP4_TEXT_SIZE];

	ops->set_env(session->context, "RASIP_POOL", lease->pool);
	ops->set_env(session->context, "RASIP_ADDRESS", format_ip4(ntohl(lease->addr_be), shown));
	if (lease->group_be != 0)
		ops->set_env(session->context, "RASIP_GROUP",
			     format_ip4(ntohl(lease->group_be), shown));
	if (lease->server[0] == '\0')
		return;
	ops->set_env(session->context, "RASIP_SERVER", lease->server);
	session_set_lease_end(session);
}
