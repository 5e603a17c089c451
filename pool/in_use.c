/* SPDX-License-Identifier: MIT */
#include "in_use.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_SIZE 8192 /* more makes the kernel allocate more, for answers of a few lines */

struct request {
	struct nlmsghdr header;
	union {
		struct ifaddrmsg address;
		struct rtmsg route;
	} body;
	struct rtattr attribute; /* routes only */
	uint32_t dst_be;
};

union reply {
	struct nlmsghdr header;
	char bytes[REPLY_SIZE];
};

static bool ask(int fd, struct request *request)
{
	return send(fd, request, request->header.nlmsg_len, 0) ==
	       (ssize_t)request->header.nlmsg_len;
}

/* False where the kernel has nothing (more) to say. */
static bool receive(int fd, union reply *reply, size_t *ret_size)
{
	ssize_t n = recv(fd, reply, sizeof(*reply), 0);

	*ret_size = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static uint32_t *table(struct in_use *in_use)
{
	return in_use->many != NULL ? in_use->many : in_use->few;
}

static bool make_room(struct in_use *in_use)
{
	if (in_use->n == IN_USE_TABLE_MAX)
		return false;
	if (in_use->n != IN_USE_FEW || in_use->many != NULL)
		return true;
	in_use->many = malloc(IN_USE_TABLE_MAX * sizeof(*in_use->many));
	if (in_use->many != NULL)
		memcpy(in_use->many, in_use->few, sizeof(in_use->few));
	return in_use->many != NULL;
}

static bool add(struct in_use *in_use, struct rtattr *attribute)
{
	uint32_t addr_be;

	if (RTA_PAYLOAD(attribute) != sizeof(addr_be))
		return true;
	if (!make_room(in_use))
		return false;
	memcpy(&addr_be, RTA_DATA(attribute), sizeof(addr_be));
	table(in_use)[in_use->n++] = ntohl(addr_be);
	return true;
}

/* IFA_LOCAL is our own address, IFA_ADDRESS the peer's or, on a broadcast link, ours again. */
static bool add_all(struct in_use *in_use, struct nlmsghdr *message)
{
	struct ifaddrmsg *body = NLMSG_DATA(message);
	struct rtattr *attribute = IFA_RTA(body);
	size_t left = IFA_PAYLOAD(message);

	while (left >= sizeof(*attribute) && attribute->rta_len >= sizeof(*attribute) &&
	       attribute->rta_len <= left) {
		size_t step = RTA_ALIGN(attribute->rta_len);

		if (attribute->rta_type == IFA_LOCAL || attribute->rta_type == IFA_ADDRESS) {
			if (!add(in_use, attribute))
				return false;
		}
		if (step >= left)
			break;
		left -= step;
		attribute = (void *)((char *)attribute + step);
	}
	return true;
}

/* 1: all read, 0: there is more to receive, -1: too many. */
static int take_in(struct in_use *in_use, union reply *reply, size_t size)
{
	for (struct nlmsghdr *message = &reply->header; NLMSG_OK(message, size);
	     message = NLMSG_NEXT(message, size)) {
		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
			return 1;
		if (message->nlmsg_type == RTM_NEWADDR && !add_all(in_use, message))
			return -1;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int netlink_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

void in_use_init(struct in_use *in_use)
{
	struct request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body.address.ifa_family = AF_INET,
	};
	union reply reply;
	int state = -1;
	size_t size;
	int fd = netlink_open();

	in_use->many = NULL;
	in_use->n = 0;
	in_use->netlink_fd = -1;
	if (fd >= 0 && ask(fd, &request)) {
		state = 0;
		while (state == 0 && receive(fd, &reply, &size))
			state = take_in(in_use, &reply, size);
	}
	in_use->complete = state == 1;
	qsort(table(in_use), in_use->n, sizeof(uint32_t), compare);
	if (fd >= 0)
		close(fd); /* what is left of an unfinished dump goes with it */
}

/* A host route that the kernel made itself is an own address or the peer of a point-to-point link.
 */
static bool is_machines(struct nlmsghdr *message)
{
	const struct rtmsg *route = NLMSG_DATA(message);

	return message->nlmsg_type == RTM_NEWROUTE && route->rtm_dst_len == 32 &&
	       (route->rtm_type == RTN_LOCAL ||
		(route->rtm_type == RTN_UNICAST && route->rtm_protocol == RTPROT_KERNEL));
}

static bool has_route(struct in_use *in_use, uint32_t addr)
{
	struct request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) +
					 RTA_LENGTH(sizeof(uint32_t)),
			    .nlmsg_type = RTM_GETROUTE,
			    .nlmsg_flags = NLM_F_REQUEST },
		.body.route = { .rtm_family = AF_INET,
				.rtm_dst_len = 32,
				.rtm_flags = RTM_F_FIB_MATCH },
		.attribute = { .rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = RTA_DST },
		.dst_be = htonl(addr),
	};
	union reply reply;
	size_t size;

	if (in_use->netlink_fd < 0)
		in_use->netlink_fd = netlink_open();
	return in_use->netlink_fd >= 0 && ask(in_use->netlink_fd, &request) &&
	       receive(in_use->netlink_fd, &reply, &size) && NLMSG_OK(&reply.header, size) &&
	       is_machines(&reply.header);
}

bool in_use_has(struct in_use *in_use, uint32_t addr)
{
	if (bsearch(&addr, table(in_use), in_use->n, sizeof(addr), compare) != NULL)
		return true;
	return !in_use->complete && has_route(in_use, addr);
}

void in_use_done(struct in_use *in_use)
{
	if (in_use->netlink_fd >= 0)
		close(in_use->netlink_fd);
	free(in_use->many);
	*in_use = (struct in_use){ .netlink_fd = -1 };
}
