/* SPDX-License-Identifier: MIT */
/*
 * in_use.h - which IPv4 addresses this machine has already: an interface's own or its peer's.
 *
 * Asked of the kernel through rtnetlink. The address table is read once; on a machine with more
 * than IN_USE_TABLE_MAX addresses that would cost more than the session, and single addresses
 * are looked up in the routing table instead (which knows own addresses, and peers' of
 * interfaces that are up); likewise where the table changed while it was read.
 */
#ifndef RASIP_IN_USE_H
#define RASIP_IN_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define IN_USE_TABLE_MAX 1024
#define IN_USE_FEW 32

struct in_use {
	uint32_t few[IN_USE_FEW]; /* enough for most machines, without asking for memory */
	uint32_t *many;           /* IN_USE_TABLE_MAX of them where a few were not enough */
	size_t n;                 /* host order, sorted, in `many` if there is one */
	bool complete;            /* the table held them all */
	int netlink_fd;           /* -1: not open */
};

/*
 * Reads the table: 0, or POOL_E_SYSTEM where the kernel does not tell (a process that may not have
 * netlink sockets, no descriptor, no memory). Then no address is known to be free. in_use_done()
 * may follow either.
 */
int in_use_init(struct in_use *in_use, struct error *error) __attribute__((warn_unused_result));

/* 1: it has the address, 0: it has not, or POOL_E_SYSTEM, as above. */
int in_use_has(struct in_use *in_use, uint32_t addr, struct error *error)
	__attribute__((warn_unused_result));
void in_use_done(struct in_use *in_use);

#endif
