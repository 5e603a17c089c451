/* SPDX-License-Identifier: MIT */
#include "in_use.h"

#include <arpa/inet.h>
#include <errno.h>
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

/* 0 or an errno. */
static int ask(int fd, struct request *request)
{
	ssize_t n = send(fd, request, request->header.nlmsg_len, 0);

	if (n < 0)
		return errno;
	return (size_t)n == request->header.nlmsg_len ? 0 : EIO;
}

static int receive(int fd, union reply *reply, size_t *ret_size)
{
	ssize_t n = recv(fd, reply, sizeof(*reply), 0);

	if (n < 0)
		return errno;
	*ret_size = (size_t)n;
	return NLMSG_OK(&reply->header, *ret_size) ? 0 : EIO;
}

/* What the kernel could not do, as an errno. A dump's end may have one, too. */
static int error_of(struct nlmsghdr *message)
{
	int error = 0;

	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(message), sizeof(error));
	if (error == 0 && message->nlmsg_type == NLMSG_ERROR)
		return EIO;
	return error < 0 ? -error : error;
}

static int fail(int errnum, struct error *error)
{
	error_set_errno(error, errnum, "cannot ask the kernel which addresses this machine has");
	return POOL_E_SYSTEM;
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

enum progress {
	MORE,       /* to receive */
	COMPLETE,   /* all has been read */
	INCOMPLETE, /* there are too many, or some may have been passed over */
	FAILED,
};

/* *ret_errnum with FAILED. */
static enum progress take_in(struct in_use *in_use, union reply *reply, size_t size,
			     int *ret_errnum)
{
	for (struct nlmsghdr *message = &reply->header; NLMSG_OK(message, size);
	     message = NLMSG_NEXT(message, size)) {
		bool is_torn = (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;

		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
			*ret_errnum = error_of(message);
			if (*ret_errnum != 0)
				return FAILED;
			return is_torn ? INCOMPLETE : COMPLETE;
		}
		if (is_torn)
			return INCOMPLETE;
		if (message->nlmsg_type == RTM_NEWADDR && !add_all(in_use, message))
			return INCOMPLETE;
	}
	return MORE;
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

static int read_table(struct in_use *in_use, int fd)
{
	struct request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body.address.ifa_family = AF_INET,
	};
	enum progress progress = MORE;
	union reply reply;
	size_t size = 0;
	int errnum = ask(fd, &request);

	while (errnum == 0 && progress == MORE) {
		errnum = receive(fd, &reply, &size);
		if (errnum == 0)
			progress = take_in(in_use, &reply, size, &errnum);
	}
	in_use->complete = progress == COMPLETE;
	return errnum;
}

int in_use_init(struct in_use *in_use, struct error *error)
{
	int fd = netlink_open();
	int errnum;

	in_use->many = NULL;
	in_use->n = 0;
	in_use->complete = false;
	in_use->netlink_fd = -1;
	if (fd < 0)
		return fail(errno, error);
	errnum = read_table(in_use, fd);
	close(fd); /* what is left of an unfinished dump goes with it */
	qsort(table(in_use), in_use->n, sizeof(uint32_t), compare);
	return errnum == 0 ? 0 : fail(errnum, error);
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

/* What a lookup says of a destination that no route, or one that leads nowhere, is for. */
static bool is_no_route(int errnum)
{
	return errnum == ENETUNREACH || errnum == EHOSTUNREACH || errnum == EACCES ||
	       errnum == EINVAL;
}

/* As in_use_has(), with an errno, negative, for what goes wrong. */
static int has_route(struct in_use *in_use, uint32_t addr)
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
	int errnum;

	if (in_use->netlink_fd < 0)
		in_use->netlink_fd = netlink_open();
	if (in_use->netlink_fd < 0)
		return -errno;
	errnum = ask(in_use->netlink_fd, &request);
	if (errnum == 0)
		errnum = receive(in_use->netlink_fd, &reply, &size);
	if (errnum != 0)
		return -errnum;
	if (reply.header.nlmsg_type != NLMSG_ERROR)
		return is_machines(&reply.header);
	errnum = error_of(&reply.header);
	return is_no_route(errnum) ? 0 : -errnum;
}

int in_use_has(struct in_use *in_use, uint32_t addr, struct error *error)
{
	int found;

	if (bsearch(&addr, table(in_use), in_use->n, sizeof(addr), compare) != NULL)
		return 1;
	found = in_use->complete ? 0 : has_route(in_use, addr);
	return found < 0 ? fail(-found, error) : found;
}

void in_use_done(struct in_use *in_use)
{
	if (in_use->netlink_fd >= 0)
		close(in_use->netlink_fd);
	free(in_use->many);
	*in_use = (struct in_use){ .netlink_fd = -1 };
}
