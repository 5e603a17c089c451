/* SPDX-License-Identifier: MIT */
/*
 * builtin.h - the address pool in the shape of an admin module.
 *
 * The callbacks of struct rasip_admin_module carry no context, and one pppd serves one session:
 * so what the module works on is bound here, once, by the session.
 */
#ifndef RASIP_BUILTIN_H
#define RASIP_BUILTIN_H

#include "admin_module.h"
#include "pool.h"

struct builtin_binding {
	struct pool *pool;
	struct pool_request *request; /* of the session; the candidate is get's in-value */
	struct pool_lease *lease;     /* filled in by get, emptied by release */
	struct error *why;            /* get's reason for an error */
	/* Told of a release that fits no lease (RA-55) or that failed. */
	void (*complain)(void *context, const char *text);
	void *context;
};

extern const struct rasip_admin_module builtin_module;

/* NULL unbinds: get then fails and release does nothing. The binding must outlive its use. */
void builtin_bind(const struct builtin_binding *binding);

#endif
