/* SPDX-License-Identifier: MIT */
#include "builtin.h"

#include <stdio.h>
#include <string.h>

static const struct builtin_binding *bound;

void builtin_bind(const struct builtin_binding *binding)
{
	bound = binding;
}

static int builtin_get(const char *user, const char *port, uint32_t *address, bool *notify_release)
{
	struct pool_request request;
	int code;

	/* RA-40 */
	if (user == NULL || port == NULL || address == NULL || notify_release == NULL)
		return POOL_E_INVALID;
	if (bound == NULL)
		return POOL_E_INVALID;
	if (bound->lease->addr_be != 0) {
		error_set(bound->why, "this session has an address already");
		return POOL_E_INVALID;
	}
	request = *bound->request;
	request.user = user;
	request.port = port;
	request.candidate_be = *address;
	code = pool_acquire(bound->pool, &request, bound->lease, bound->why);
	pool_rest(bound->pool);
	if (code < 0)
		return code;
	*address = bound->lease->addr_be;
	*notify_release = true;
	return 0;
}

static void complain(const char *text)
{
	if (bound->complain != NULL)
		bound->complain(bound->context, text);
}

/* The lease keeps no more of a port's name than POOL_PORT_MAX bytes. */
static bool is_lease_of(const struct pool_lease *lease, const char *user, const char *port,
			uint32_t addr_be)
{
	return lease->addr_be != 0 && lease->addr_be == addr_be && strcmp(lease->user, user) == 0 &&
	       strncmp(lease->port, port, POOL_PORT_MAX) == 0;
}

static void builtin_release(const char *user, const char *port, const uint32_t *address)
{
	struct error why = { "" };
	int code;

	if (bound == NULL)
		return;
	if (user == NULL || port == NULL || address == NULL) {
		complain("release with a null argument");
		return;
	}
	if (!is_lease_of(bound->lease, user, port, *address)) {
		complain("release of an address that this session does not have"); /* RA-55 */
		return;
	}
	code = pool_release(bound->pool, bound->lease, &why);
	pool_rest(bound->pool);
	if (code < 0)
		complain(why.text[0] != '\0' ? why.text : pool_strerror(code));
}

const struct rasip_admin_module builtin_module = {
	.abi = RASIP_ADMIN_ABI,
	.get_ip_address_for_user = builtin_get,
	.release_ip_address = builtin_release,
};
