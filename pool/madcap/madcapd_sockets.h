/* SPDX-License-Identifier: MIT */
/* madcapd_sockets.h - the set of sockets and memberships, and its change as a whole. */
#ifndef RASIP_MADCAPD_SOCKETS_H
#define RASIP_MADCAPD_SOCKETS_H

#include "madcapd_net.h"

#define SOCKETS_MEMBERS_MAX 1024

struct socket_entry {
	int fd;
	bool is_group;            /* bound to a group, hears nothing else */
	union net_address wanted; /* as configured, so port 0 may stand here */
	union net_address actual;
};

struct membership {
	int fd;
	union net_address group;
	unsigned int ifindex;
};

struct sockets {
	struct socket_entry list[NET_SOCKETS_MAX];
	size_t n;
	struct membership *members;
	size_t n_members;
};

/* Zeros are an empty set. Where the change fails the set is as it was. */
int sockets_change(struct sockets *sockets, const struct net_options *options, struct error *error)
	__attribute__((warn_unused_result));
void sockets_close(struct sockets *sockets);

#endif
