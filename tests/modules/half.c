/* SPDX-License-Identifier: MIT */
/* Half a pair: get without release. Must not load (RA-5). */
#include "admin_module.h"

static int half_get(const char *user, const char *port, uint32_t *address, bool *notify_release)
{
	(void)user;
	(void)port;
	(void)address;
	*notify_release = false;
	return 0;
}

const struct rasip_admin_module rasip_admin_module = {
	.abi = RASIP_ADMIN_ABI,
	.get_ip_address_for_user = half_get,
};
