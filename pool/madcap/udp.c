/* SPDX-License-Identifier: MIT */
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint.h"

#define WAIT_MAX_MS 3600000

void udp_init(struct udp *udp, const char *interface)
{
	*udp = UDP_NONE;
	if (interface[0] != '\0')
		udp->interface = if_nametoindex(interface);
}

void udp_close(struct udp *udp)
{
	for (size_t i = 0; i < UDP_FAMILIES; i++) {
		if (udp->fd[i] >= 0)
			close(udp->fd[i]);
		udp->fd[i] = -1;
	}
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static bool set_up_ip4(int fd, unsigned int interface)
{
	struct ip_mreqn via = { .imr_ifindex = (int)interface };

	return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
	       set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, MADCAP_LOCAL_SCOPE_TTL) &&
	       (interface == 0 ||
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)) == 0);
}

static bool set_up_ip6(int fd, unsigned int interface)
{
	return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
	       set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
	       set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, MADCAP_LOCAL_SCOPE_TTL) &&
	       (interface == 0 || set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface));
}

static int open_socket(struct udp *udp, uint16_t family)
{
	int *fd = &udp->fd[family == MADCAP_IPV6];
	bool ready;

	if (*fd >= 0)
		return *fd;
	*fd = socket(family == MADCAP_IPV6 ? AF_INET6 : AF_INET,
		     SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -1;
	ready = family == MADCAP_IPV6 ? set_up_ip6(*fd, udp->interface)
				      : set_up_ip4(*fd, udp->interface);
	if (!ready) {
		int saved = errno;

		close(*fd);
		*fd = -1;
		errno = saved;
	}
	return *fd;
}

bool udp_send(struct udp *udp, const struct madcap_output *out)
{
	int fd = open_socket(udp, out->to.address.family);
	struct sockaddr_storage to;
	socklen_t size = madcap_endpoint_to_socket(&out->to, udp->interface, &to);

	if (fd < 0)
		return false;
	if (sendto(fd, out->data, out->size, 0, (struct sockaddr *)&to, size) < 0)
		udp->send_errno = errno;
	else
		udp->send_errno = 0;
	return true;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static unsigned int interface_of(struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		struct in_pktinfo ip4;
		struct in6_pktinfo ip6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&ip4, CMSG_DATA(c), sizeof(ip4));
			return (unsigned int)ip4.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&ip6, CMSG_DATA(c), sizeof(ip6));
			return (unsigned int)ip6.ipi6_ifindex;
		}
	}
	return 0;
}

ssize_t udp_receive(struct udp *udp, size_t which, uint8_t *data, size_t size,
		    struct udp_source *ret)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
						 CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	struct iovec vector = { data, size };
	struct msghdr header = { .msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	ssize_t n;

	if (udp->fd[which] < 0)
		return -1;
	n = recvmsg(udp->fd[which], &header, 0);
	if (n < 0) /* a port that nobody listens at comes as an error, in place of a datagram */
		return errno == EINTR || errno == ECONNREFUSED ? 0 : -1;
	if ((header.msg_flags & MSG_TRUNC) != 0 || !madcap_endpoint_from_socket(&from, &ret->from))
		return 0;
	ret->interface = interface_of(&header);
	return n;
}

void udp_wait(const struct udp *udp, int64_t wait_ms)
{
	struct pollfd polls[UDP_FAMILIES];

	for (size_t i = 0; i < UDP_FAMILIES; i++)
		polls[i] = (struct pollfd){ .fd = udp->fd[i], .events = POLLIN };
	if (wait_ms < 0)
		wait_ms = 0;
	if (wait_ms > WAIT_MAX_MS)
		wait_ms = WAIT_MAX_MS;
	(void)poll(polls, UDP_FAMILIES, (int)wait_ms);
}
