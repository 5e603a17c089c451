/* SPDX-License-Identifier: MIT */
#include "pppd_compat.h"

#include "pppd_settings.h"

#include "session.h"

/* What IPCP's options are without this session: the administrator's values. */
struct settings {
	uint32_t peer_be;
	uint32_t local_be;
	bool accept_peer;
	bool accept_local;
	uint32_t dns_be[2];
	uint32_t wins_be[2];
};

static struct settings original;
static uint32_t local_put_be; /* the local address that we put there, 0: none */

void settings_take(void)
{
	const ipcp_options *wanted = &ipcp_wantoptions[0];
	const ipcp_options *allowed = &ipcp_allowoptions[0];

	original.peer_be = wanted->hisaddr;
	original.local_be = wanted->ouraddr;
	original.accept_peer = wanted->accept_remote;
	original.accept_local = wanted->accept_local;
	memcpy(original.dns_be, allowed->dnsaddr, sizeof(original.dns_be));
	memcpy(original.wins_be, allowed->winsaddr, sizeof(original.wins_be));
}

void settings_restore(void)
{
	ipcp_options *allowed = &ipcp_allowoptions[0];

	/* Those to be sent, too: pppd has copied them already when it asks for the next address. */
	ipcp_options *const both[] = { &ipcp_wantoptions[0], &ipcp_gotoptions[0] };

	for (size_t i = 0; i < 2; i++) {
		if (local_put_be == 0 || both[i]->ouraddr != local_put_be)
			continue;
		both[i]->ouraddr = original.local_be;
		both[i]->accept_local = original.accept_local;
	}
	local_put_be = 0;
	memcpy(allowed->dnsaddr, original.dns_be, sizeof(original.dns_be));
	memcpy(allowed->winsaddr, original.wins_be, sizeof(original.wins_be));
}

void settings_restore_peer(void)
{
	ipcp_wantoptions[0].hisaddr = original.peer_be;
	ipcp_wantoptions[0].accept_remote = original.accept_peer;
}

static void put_local(uint32_t local_be)
{
	/* pppd copied the wanted options to those it will send just before it asked for an address.
	 */
	ipcp_options *const both[] = { &ipcp_wantoptions[0], &ipcp_gotoptions[0] };

	for (size_t i = 0; i < 2; i++) {
		both[i]->ouraddr = local_be;
		both[i]->accept_local = 0;
	}
	local_put_be = local_be;
}

/* One server serves as both, as with pppd's own ms-dns. */
static void put_servers(uint32_t to[2], const uint32_t from[2], size_t n)
{
	if (n == 0)
		return;
	to[0] = from[0];
	to[1] = from[n > 1 ? 1 : 0];
}

void settings_put(const struct session_link *link)
{
	settings_restore();
	if (link->local_be != 0)
		put_local(link->local_be);
	put_servers(ipcp_allowoptions[0].dnsaddr, link->dns_be, link->n_dns);
	put_servers(ipcp_allowoptions[0].winsaddr, link->wins_be, link->n_wins);
}

uint32_t settings_own_local(void)
{
	uint32_t local_be = ipcp_wantoptions[0].ouraddr;

	return local_put_be != 0 && local_be == local_put_be ? original.local_be : local_be;
}
