/* SPDX-License-Identifier: MIT */
/*
 * selfish.c - a plugin that takes pppd's address hooks without a look at who had them, as the
 * RADIUS plugin does, and like that one has an opinion about every address.
 *
 *     plugin selfish.so
 *     selfish-address A       the address it chooses; without, it chooses none
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>

#include <pppd/pppd.h>
#ifndef VERSION /* pppd 2.5 */
#include <pppd/options.h>
#endif
#include <pppd/fsm.h>
#include <pppd/ipcp.h>

#ifdef VERSION
#define PPPD_RELEASE VERSION
#define add_plugin_options add_options
#else
#define PPPD_RELEASE PPPD_VERSION
#define add_plugin_options ppp_add_options
#endif

#define EXPORT __attribute__((visibility("default")))

EXPORT extern char pppd_version[];
EXPORT void plugin_init(void);

char pppd_version[] = PPPD_RELEASE;

static char *wish;
static char name[] = "selfish-address";
static char description[] = "the address to choose";

static option_t options[] = {
	{ .name = name, .type = o_string, .addr = &wish, .description = description },
	{ .name = NULL },
};

static u_int32_t wished(void)
{
	return wish ? inet_addr(wish) : 0;
}

static void choose(u_int32_t *address)
{
	if (wish)
		*address = wished();
}

/* Never undecided, as radius_allowed_address() never is. */
static int allowed(u_int32_t address)
{
	if (wish)
		return address == wished();
	return address && address == ipcp_wantoptions[0].hisaddr;
}

void plugin_init(void)
{
	add_plugin_options(options);
	ip_choose_hook = choose;
	allowed_address_hook = allowed;
}
