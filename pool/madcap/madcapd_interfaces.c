/* SPDX-License-Identifier: MIT */
#include "madcapd_interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

static void note_address(struct interfaces *interfaces, unsigned int ifindex,
			 const struct in6_addr *address)
{
	size_t i = 0;

	while (i < interfaces->n && interfaces->list[i].ifindex != ifindex)
		i++;
	if (i == INTERFACES_MAX)
		return;
	if (i == interfaces->n) {
		interfaces->n++;
		interfaces->list[i].ifindex = ifindex;
		interfaces->list[i].has_local = interfaces->list[i].has_global = false;
	}
	if (IN6_IS_ADDR_LINKLOCAL(address)) {
		interfaces->list[i].local = *address;
		interfaces->list[i].has_local = true;
	} else if (!interfaces->list[i].has_global) {
		interfaces->list[i].global = *address;
		interfaces->list[i].has_global = true;
	}
}

static void read_again(struct interfaces *interfaces)
{
	struct ifaddrs *all = NULL;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (interfaces->n > 0 && interfaces->read_at == now.tv_sec)
		return;
	interfaces->read_at = now.tv_sec;
	if (getifaddrs(&all) != 0)
		return;
	interfaces->n = 0;
	for (const struct ifaddrs *each = all; each != NULL; each = each->ifa_next) {
		struct sockaddr_in6 address;

		if (each->ifa_addr == NULL || each->ifa_addr->sa_family != AF_INET6)
			continue;
		memcpy(&address, each->ifa_addr, sizeof(address));
		note_address(interfaces, if_nametoindex(each->ifa_name), &address.sin6_addr);
	}
	freeifaddrs(all);
}

void interfaces_own(struct interfaces *interfaces, unsigned int ifindex,
		    const union net_address *peer, union net_address *ret)
{
	bool near = IN6_IS_ADDR_LINKLOCAL(&peer->in6.sin6_addr);

	ret->sa.sa_family = AF_UNSPEC;
	read_again(interfaces);
	for (size_t i = 0; i < interfaces->n; i++) {
		const struct in6_addr *found = &interfaces->list[i].global;

		if (interfaces->list[i].ifindex != ifindex)
			continue;
		if ((near && interfaces->list[i].has_local) || !interfaces->list[i].has_global)
			found = &interfaces->list[i].local;
		ret->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = *found };
		return;
	}
}
