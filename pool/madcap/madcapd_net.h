/* SPDX-License-Identifier: MIT */
/*
 * madcapd_net.h - madcapd's sockets: datagrams in and out, many at a time.
 *
 * What has been received waits in a queue of a fixed size until it is taken. Senders take turns
 * there: each source address belongs to one of NET_FLOWS flows (which one is secret, and changes), a
 * batch takes one datagram of each flow before a second one of any, and what a flow may keep
 * waiting is limited by how many flows are waiting. So one sender can have all of the server when nobody else
 * wants it, and loses the surplus when somebody does.
 *
 * A unicast socket for each address of `listen`. Groups are joined on the socket that listens on
 * all addresses of the group's family; without one, each group gets a socket of its own, bound to
 * the group, so that nothing else comes in there.
 */
#ifndef RASIP_MADCAPD_NET_H
#define RASIP_MADCAPD_NET_H

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define NET_BATCH 256
#define NET_DATAGRAM_MAX 6144 /* longer ones, which madcap does not make, are dropped */
#define NET_QUEUE 2048        /* datagrams that may wait */
#define NET_FLOWS 4096
#define NET_SOCKETS_MAX 128
#define NET_TEXT_SIZE 72 /* "[address%interface]:port" */

union net_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* One received datagram, as long as it is not given back. */
struct net_datagram {
	union net_address peer;
	union net_address asked; /* where it was sent to: one of our addresses, or a group */
	union net_address own;   /* the address of ours to answer from, one that we listen on;
	                            AF_UNSPEC: none is known */
	unsigned int ifindex;    /* where it came in */
	int fd;
	size_t length;
	uint8_t *data;
	uint16_t slot; /* the queue's */
	uint16_t next; /* the queue's */
};

struct net_answer {
	const struct net_datagram *to;
	const uint8_t *data;
	size_t length;
};

struct net_options {
	const union net_address *listen; /* with ports; port 0: one that is free */
	size_t n_listen;
	const union net_address *groups; /* without ports; joined on every interface */
	size_t n_groups;
	char *const *interfaces;
	size_t n_interfaces;
};

struct net_counters {
	uint64_t received;
	uint64_t sent;
	uint64_t dropped_unfair; /* of a sender that had more than its share waiting */
	uint64_t dropped_length;
	uint64_t dropped_kernel; /* the kernel had no room for it */
	uint64_t send_failed;
};

struct net;

int net_open(struct net **ret, const struct net_options *options, struct error *error)
	__attribute__((warn_unused_result));
void net_close(struct net **net);

/* Goes over to other options. Where that fails everything stays as it was. */
int net_change(struct net *net, const struct net_options *options, struct error *error)
	__attribute__((warn_unused_result));

/* The unicast sockets' addresses, with their real ports; false behind the last one. */
bool net_listens(const struct net *net, size_t index, union net_address *ret);

/* Fills in at most NET_SOCKETS_MAX entries and returns how many. */
size_t net_poll(const struct net *net, struct pollfd *fds);

/* Reads what the sockets have, without waiting. */
void net_receive(struct net *net);

/* The next batch, oldest of each flow first; each one is to be given back. */
size_t net_take(struct net *net, struct net_datagram *batch[NET_BATCH]);
void net_give_back(struct net *net, struct net_datagram *const *batch, size_t n);
size_t net_waiting(const struct net *net);

/* Sends without waiting; what the kernel has no room for is lost, as on a wire. */
void net_send(struct net *net, const struct net_answer *answers, size_t n);

const struct net_counters *net_counters(const struct net *net);

/* "192.0.2.1:2535", "[2001:db8::1]:2535"; returns buf. */
const char *net_format(const union net_address *address, char buf[NET_TEXT_SIZE]);
bool net_is_any(const union net_address *address);
bool net_is_multicast(const union net_address *address);
/* Compares addresses alone. */
bool net_same_host(const union net_address *a, const union net_address *b);

#endif
