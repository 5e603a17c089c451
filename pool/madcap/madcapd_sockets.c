/* SPDX-License-Identifier: MIT */
#include "madcapd_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

/* A batch's worth of commits may take a while; datagrams wait in the kernel for so long. */
#define BUFFER_BYTES (8 << 20)

static socklen_t address_size(const union net_address *address)
{
	return address->sa.sa_family == AF_INET6 ? sizeof(address->in6) : sizeof(address->in);
}

static bool same_address(const union net_address *a, const union net_address *b)
{
	return net_same_host(a, b) && a->in.sin_port == b->in.sin_port;
}

/* ---- one socket -------------------------------------------------------------------------- */

static void set_buffer(int fd, int forced, int asked)
{
	int bytes = BUFFER_BYTES;

	/* Without the privilege it is what the system's limit allows. */
	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, asked, &bytes, sizeof(bytes));
}

static int set_options(int fd, sa_family_t family)
{
	int on = 1, off = 0;

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	if (family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof(off));
		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
			return -1;
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	}
	/* Groups that other programs of this host have joined are not for us. */
	(void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
	return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
}

/* `bound` is `wanted` with the port to bind to. */
static int open_socket(struct socket_entry *entry, const union net_address *bound,
		       struct error *error)
{
	socklen_t size = address_size(bound);
	char text[NET_TEXT_SIZE];

	entry->fd = socket(bound->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (entry->fd < 0 || set_options(entry->fd, bound->sa.sa_family) != 0 ||
	    bind(entry->fd, &bound->sa, size) != 0 ||
	    getsockname(entry->fd, &entry->actual.sa, &size) != 0) {
		error_set_errno(error, errno, "cannot listen on %s", net_format(bound, text));
		if (entry->fd >= 0)
			close(entry->fd);
		entry->fd = -1;
		return POOL_E_SYSTEM;
	}
	return 0;
}

static int join_or_leave(const struct membership *member, bool join)
{
	struct group_req request = { .gr_interface = member->ifindex };
	int level = member->group.sa.sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;

	memcpy(&request.gr_group, &member->group, sizeof(member->group));
	return setsockopt(member->fd, level, join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request,
			  sizeof(request));
}

/* ---- sets -------------------------------------------------------------------------------- */

static const struct socket_entry *find_socket(const struct sockets *sockets,
					      const union net_address *wanted)
{
	for (size_t i = 0; i < sockets->n; i++) {
		if (same_address(&sockets->list[i].wanted, wanted))
			return &sockets->list[i];
	}
	return NULL;
}

static bool has_fd(const struct sockets *sockets, int fd)
{
	for (size_t i = 0; i < sockets->n; i++) {
		if (sockets->list[i].fd == fd)
			return true;
	}
	return false;
}

static bool has_member(const struct sockets *sockets, const struct membership *member)
{
	for (size_t i = 0; i < sockets->n_members; i++) {
		const struct membership *each = &sockets->members[i];

		if (each->fd == member->fd && each->ifindex == member->ifindex &&
		    net_same_host(&each->group, &member->group))
			return true;
	}
	return false;
}

/* Ends what `sockets` has and `kept` has not. */
static void drop(struct sockets *sockets, const struct sockets *kept)
{
	for (size_t i = 0; i < sockets->n_members; i++) {
		if (!has_member(kept, &sockets->members[i]))
			(void)join_or_leave(&sockets->members[i], false);
	}
	for (size_t i = 0; i < sockets->n; i++) {
		if (!has_fd(kept, sockets->list[i].fd))
			close(sockets->list[i].fd);
	}
	free(sockets->members);
	*sockets = (struct sockets){ 0 };
}

void sockets_close(struct sockets *sockets)
{
	const struct sockets none = { 0 };

	drop(sockets, &none);
}

/* ---- a change ---------------------------------------------------------------------------- */

struct change {
	const struct sockets *old;
	struct sockets next;
	const struct net_options *options;
	struct error *error;
};

/* One more socket, taken over from the old set or new. `port`: in network order, for port 0. */
static int add_socket(struct change *change, const union net_address *wanted, bool is_group,
		      in_port_t port)
{
	const struct socket_entry *old = find_socket(change->old, wanted);
	struct socket_entry entry = { .is_group = is_group, .wanted = *wanted };
	union net_address bound = *wanted;
	int code;

	if (change->next.n == NET_SOCKETS_MAX) {
		error_set(change->error, "more than %d addresses and groups to listen on",
			  NET_SOCKETS_MAX);
		return POOL_E_INVALID;
	}
	if (old != NULL) {
		entry = *old;
	} else {
		if (bound.in.sin_port == 0)
			bound.in.sin_port = port;
		code = open_socket(&entry, &bound, change->error);
		if (code < 0)
			return code;
	}
	change->next.list[change->next.n++] = entry;
	return 0;
}

/* With port 0, all of them share the port that the first one got. */
static int add_listens(struct change *change)
{
	int code = 0;

	for (size_t i = 0; i < change->options->n_listen && code == 0; i++)
		code = add_socket(change, &change->options->listen[i], false,
				  i > 0 ? change->next.list[0].actual.in.sin_port : 0);
	return code;
}

/* The socket that is to join a group: *ret_fd. */
static int group_socket(struct change *change, const union net_address *group, int *ret_fd)
{
	union net_address wanted = *group;
	int code;

	for (size_t i = 0; i < change->next.n; i++) {
		const struct socket_entry *entry = &change->next.list[i];

		if ((entry->is_group && net_same_host(&entry->wanted, group)) ||
		    (entry->wanted.sa.sa_family == group->sa.sa_family &&
		     net_is_any(&entry->wanted))) {
			*ret_fd = entry->fd;
			return 0;
		}
	}
	wanted.in.sin_port = change->next.list[0].actual.in.sin_port;
	code = add_socket(change, &wanted, true, 0);
	if (code == 0)
		*ret_fd = change->next.list[change->next.n - 1].fd;
	return code;
}

static int add_member(struct change *change, const union net_address *group, const char *interface)
{
	struct membership member = { .group = *group, .ifindex = if_nametoindex(interface) };
	char text[NET_TEXT_SIZE];
	int code;

	if (member.ifindex == 0) {
		error_set_errno(change->error, errno, "interfaces: %s", interface);
		return POOL_E_SYSTEM;
	}
	code = group_socket(change, group, &member.fd);
	if (code < 0 || has_member(&change->next, &member))
		return code;
	if (change->next.n_members == SOCKETS_MEMBERS_MAX) {
		error_set(change->error, "more than %d groups to join", SOCKETS_MEMBERS_MAX);
		return POOL_E_INVALID;
	}
	if (!has_member(change->old, &member) && join_or_leave(&member, true) != 0) {
		error_set_errno(change->error, errno, "cannot join group %s on %s%s",
				net_format(group, text), interface,
				errno == ENOBUFS ? " (see net.ipv4.igmp_max_memberships)" : "");
		return POOL_E_SYSTEM;
	}
	change->next.members[change->next.n_members++] = member;
	return 0;
}

static int add_members(struct change *change)
{
	const struct net_options *options = change->options;
	int code = 0;

	change->next.members = calloc(SOCKETS_MEMBERS_MAX, sizeof(*change->next.members));
	if (change->next.members == NULL) {
		error_set(change->error, "no memory");
		return POOL_E_NO_MEMORY;
	}
	for (size_t i = 0; i < options->n_interfaces; i++) {
		for (size_t j = 0; j < options->n_groups && code == 0; j++)
			code = add_member(change, &options->groups[j], options->interfaces[i]);
	}
	return code;
}

int sockets_change(struct sockets *sockets, const struct net_options *options, struct error *error)
{
	struct change change = { .old = sockets, .options = options, .error = error };
	int code = add_listens(&change);

	if (code == 0)
		code = add_members(&change);
	if (code < 0) {
		drop(&change.next, sockets);
		return code;
	}
	drop(sockets, &change.next);
	*sockets = change.next;
	return 0;
}
