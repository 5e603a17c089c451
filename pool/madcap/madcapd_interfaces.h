/* SPDX-License-Identifier: MIT */
/*
 * madcapd_interfaces.h - which IPv6 address an interface answers with. IPv4 needs no table: there
 * the kernel tells it with each datagram.
 */
#ifndef RASIP_MADCAPD_INTERFACES_H
#define RASIP_MADCAPD_INTERFACES_H

#include <time.h>

#include "madcapd_net.h"

#define INTERFACES_MAX 64

struct interfaces {
	struct {
		unsigned int ifindex;
		bool has_local, has_global;
		struct in6_addr local, global;
	} list[INTERFACES_MAX];
	size_t n;
	time_t read_at; /* monotonic; it is read again after a second, when somebody asks */
};

/* Sets *ret to an address without a port; AF_UNSPEC where the interface has none. */
void interfaces_own(struct interfaces *interfaces, unsigned int ifindex,
		    const union net_address *peer, union net_address *ret);

#endif
