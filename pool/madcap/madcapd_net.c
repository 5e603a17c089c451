/* SPDX-License-Identifier: MIT */
#include "madcapd_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "madcapd_interfaces.h"
#include "madcapd_queue.h"
#include "madcapd_sockets.h"

/* Batches taken from one socket before the others have their turn. */
#define ROUNDS 8
#define CONTROL_SIZE 96

/* Where recvmmsg and sendmmsg put things. */
struct exchange {
	struct mmsghdr headers[NET_BATCH];
	struct iovec parts[NET_BATCH];
	_Alignas(struct cmsghdr) char control[NET_BATCH][CONTROL_SIZE];
	struct net_datagram *into[NET_BATCH];
};

struct net {
	struct sockets sockets;
	struct interfaces interfaces;
	struct queue *queue;
	struct exchange *in, *out;
	uint32_t kernel_drops[NET_SOCKETS_MAX]; /* last count seen, by socket */
	struct net_counters counters;
};

int net_open(struct net **ret, const struct net_options *options, struct error *error)
{
	struct net *net = calloc(1, sizeof(*net));
	int code = POOL_E_NO_MEMORY;

	if (net != NULL) {
		net->queue = queue_new();
		net->in = calloc(1, sizeof(*net->in));
		net->out = calloc(1, sizeof(*net->out));
	}
	if (net == NULL || net->queue == NULL || net->in == NULL || net->out == NULL)
		error_set(error, "no memory for sockets");
	else
		code = net_change(net, options, error);
	if (code < 0)
		net_close(&net);
	else
		*ret = net;
	return code;
}

void net_close(struct net **net)
{
	if (net == NULL || *net == NULL)
		return;
	sockets_close(&(*net)->sockets);
	queue_free(&(*net)->queue);
	free((*net)->in);
	free((*net)->out);
	free(*net);
	*net = NULL;
}

int net_change(struct net *net, const struct net_options *options, struct error *error)
{
	int code = sockets_change(&net->sockets, options, error);

	if (code < 0)
		return code;
	memset(net->kernel_drops, 0, sizeof(net->kernel_drops));
	/* What waits may have come by a socket that is closed; its sender will ask again. */
	for (;;) {
		struct net_datagram *datagram = queue_take(net->queue);

		if (datagram == NULL)
			return 0;
		queue_give_back(net->queue, datagram);
	}
}

bool net_listens(const struct net *net, size_t index, union net_address *ret)
{
	for (size_t i = 0; i < net->sockets.n; i++) {
		if (net->sockets.list[i].is_group)
			continue;
		if (index-- == 0) {
			*ret = net->sockets.list[i].actual;
			return true;
		}
	}
	return false;
}

size_t net_poll(const struct net *net, struct pollfd *fds)
{
	for (size_t i = 0; i < net->sockets.n; i++)
		fds[i] = (struct pollfd){ .fd = net->sockets.list[i].fd, .events = POLLIN };
	return net->sockets.n;
}

const struct net_counters *net_counters(const struct net *net)
{
	return &net->counters;
}

/* ---- receiving --------------------------------------------------------------------------- */

static void note_destination(struct net_datagram *datagram, const struct cmsghdr *control)
{
	if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(control), sizeof(info));
		datagram->asked.in =
			(struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = info.ipi_addr };
		/* For a group this is the address that the interface answers with. */
		datagram->own.in = (struct sockaddr_in){ .sin_family = AF_INET,
							 .sin_addr = info.ipi_spec_dst };
		datagram->ifindex = (unsigned int)info.ipi_ifindex;
	} else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(control), sizeof(info));
		datagram->asked.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
							     .sin6_addr = info.ipi6_addr };
		datagram->own = datagram->asked;
		datagram->ifindex = info.ipi6_ifindex;
	}
}

static void note_drops(struct net *net, size_t socket, const struct cmsghdr *control)
{
	uint32_t drops;

	if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_RXQ_OVFL)
		return;
	memcpy(&drops, CMSG_DATA(control), sizeof(drops));
	net->counters.dropped_kernel += drops - net->kernel_drops[socket];
	net->kernel_drops[socket] = drops;
}

static bool is_loopback(const union net_address *address)
{
	if (address->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
	return ntohl(address->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/*
 * The interface's own address need not be one that we listen on. Where the answer comes from is where
 * the client renews its lease, so it is one of those: one that others can be answered from.
 */
static void choose_own(const struct net *net, struct net_datagram *datagram)
{
	const union net_address *listen = NULL;

	for (size_t i = 0; i < net->sockets.n; i++) {
		const struct socket_entry *entry = &net->sockets.list[i];

		if (entry->is_group || entry->actual.sa.sa_family != datagram->asked.sa.sa_family)
			continue;
		if (net_is_any(&entry->actual) || net_same_host(&entry->actual, &datagram->own))
			return;
		if (listen == NULL && !is_loopback(&entry->actual))
			listen = &entry->actual;
	}
	if (listen != NULL)
		datagram->own = *listen;
}

/* Fills in what came with the datagram. False: nobody is to get an answer. */
static bool note_message(struct net *net, size_t socket, struct net_datagram *datagram,
			 struct mmsghdr *header)
{
	struct msghdr *message = &header->msg_hdr;

	datagram->asked.sa.sa_family = datagram->own.sa.sa_family = AF_UNSPEC;
	datagram->fd = net->sockets.list[socket].fd;
	datagram->length = header->msg_len;
	for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
	     control = CMSG_NXTHDR(message, control)) {
		note_destination(datagram, control);
		note_drops(net, socket, control);
	}
	net->counters.received++;
	if ((message->msg_flags & MSG_TRUNC) != 0) {
		net->counters.dropped_length++;
		return false;
	}
	if (datagram->asked.sa.sa_family == AF_UNSPEC || datagram->peer.in.sin_port == 0)
		return false;
	if (net_is_multicast(&datagram->asked)) {
		if (datagram->asked.sa.sa_family == AF_INET6)
			interfaces_own(&net->interfaces, datagram->ifindex, &datagram->peer,
				       &datagram->own);
		choose_own(net, datagram);
	}
	return datagram->own.sa.sa_family != AF_UNSPEC && !net_is_any(&datagram->own);
}

static unsigned int prepare(struct net *net)
{
	struct exchange *in = net->in;
	unsigned int n;

	for (n = 0; n < NET_BATCH; n++) {
		struct net_datagram *datagram = queue_slot(net->queue);

		if (datagram == NULL)
			break;
		memset(&datagram->peer, 0, sizeof(datagram->peer));
		in->into[n] = datagram;
		in->parts[n] = (struct iovec){ datagram->data, NET_DATAGRAM_MAX };
		in->headers[n].msg_hdr = (struct msghdr){
			.msg_name = &datagram->peer,
			.msg_namelen = sizeof(datagram->peer),
			.msg_iov = &in->parts[n],
			.msg_iovlen = 1,
			.msg_control = in->control[n],
			.msg_controllen = CONTROL_SIZE,
		};
	}
	return n;
}

/* True if there may be more. */
static bool receive_batch(struct net *net, size_t socket)
{
	struct exchange *in = net->in;
	unsigned int room = prepare(net);
	int got = 0;

	if (room == 0)
		return false;
	got = recvmmsg(net->sockets.list[socket].fd, in->headers, room, MSG_DONTWAIT, NULL);
	for (unsigned int i = 0; i < room; i++) {
		if ((int)i >= got || !note_message(net, socket, in->into[i], &in->headers[i]))
			queue_give_back(net->queue, in->into[i]);
		else if (!queue_put(net->queue, in->into[i]))
			net->counters.dropped_unfair++;
	}
	return got == (int)room;
}

void net_receive(struct net *net)
{
	struct pollfd fds[NET_SOCKETS_MAX];
	size_t n = net_poll(net, fds);

	if (poll(fds, n, 0) <= 0)
		return;
	for (size_t i = 0; i < n; i++) {
		bool more = (fds[i].revents & POLLIN) != 0;

		for (int round = 0; round < ROUNDS && more; round++)
			more = receive_batch(net, i);
	}
}

size_t net_take(struct net *net, struct net_datagram *batch[NET_BATCH])
{
	size_t n = 0;

	while (n < NET_BATCH) {
		batch[n] = queue_take(net->queue);
		if (batch[n] == NULL)
			break;
		n++;
	}
	return n;
}

void net_give_back(struct net *net, struct net_datagram *const *batch, size_t n)
{
	for (size_t i = 0; i < n; i++)
		queue_give_back(net->queue, batch[i]);
}

size_t net_waiting(const struct net *net)
{
	return net->queue->n_waiting;
}

/* ---- sending ----------------------------------------------------------------------------- */

static size_t put_control(const struct net_datagram *to, char *buf)
{
	struct cmsghdr control;

	if (to->own.sa.sa_family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = to->own.in.sin_addr };

		control = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(info)),
					    .cmsg_level = IPPROTO_IP,
					    .cmsg_type = IP_PKTINFO };
		memcpy(buf, &control, sizeof(control));
		memcpy(buf + CMSG_LEN(0), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	if (to->own.sa.sa_family == AF_INET6) {
		struct in6_pktinfo info = { .ipi6_addr = to->own.in6.sin6_addr };

		if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			info.ipi6_ifindex = to->ifindex;
		control = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(info)),
					    .cmsg_level = IPPROTO_IPV6,
					    .cmsg_type = IPV6_PKTINFO };
		memcpy(buf, &control, sizeof(control));
		memcpy(buf + CMSG_LEN(0), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	return 0;
}

static void put_answer(struct exchange *out, size_t at, const struct net_answer *answer)
{
	/* The system's interface has no const; it only reads. */
	union {
		const void *given;
		void *taken;
	} data = { answer->data }, peer = { &answer->to->peer };
	size_t length = put_control(answer->to, out->control[at]);

	out->parts[at] = (struct iovec){ data.taken, answer->length };
	out->headers[at].msg_hdr = (struct msghdr){
		.msg_name = peer.taken,
		.msg_namelen = answer->to->peer.sa.sa_family == AF_INET6
				       ? sizeof(struct sockaddr_in6)
				       : sizeof(struct sockaddr_in),
		.msg_iov = &out->parts[at],
		.msg_iovlen = 1,
		.msg_control = length > 0 ? out->control[at] : NULL,
		.msg_controllen = length,
	};
}

/* All of one socket. One that cannot be sent does not keep the others. */
static void send_batch(struct net *net, int fd, unsigned int n)
{
	unsigned int at = 0;

	while (at < n) {
		int sent = sendmmsg(fd, net->out->headers + at, n - at, MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			net->counters.send_failed++;
			at++;
			continue;
		}
		net->counters.sent += (unsigned int)sent;
		at += (unsigned int)sent;
	}
}

void net_send(struct net *net, const struct net_answer *answers, size_t n)
{
	unsigned int pending = 0;

	for (size_t i = 0; i < n; i++) {
		put_answer(net->out, pending++, &answers[i]);
		if (i + 1 == n || pending == NET_BATCH ||
		    answers[i + 1].to->fd != answers[i].to->fd) {
			send_batch(net, answers[i].to->fd, pending);
			pending = 0;
		}
	}
}

/* ---- addresses --------------------------------------------------------------------------- */

const char *net_format(const union net_address *address, char buf[NET_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
		snprintf(buf, NET_TEXT_SIZE, "[%s]:%u", host, ntohs(address->in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
		snprintf(buf, NET_TEXT_SIZE, "%s:%u", host, ntohs(address->in.sin_port));
	}
	return buf;
}

bool net_is_any(const union net_address *address)
{
	if (address->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
	return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool net_is_multicast(const union net_address *address)
{
	if (address->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_MULTICAST(&address->in6.sin6_addr);
	return IN_MULTICAST(ntohl(address->in.sin_addr.s_addr));
}

bool net_same_host(const union net_address *a, const union net_address *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
	return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}
