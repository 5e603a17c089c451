/* SPDX-License-Identifier: MIT */
/*
 * udp.h - a MADCAP client's sockets: one for each family that is spoken, opened when it is needed.
 *
 * Never blocks. Sockets are close-on-exec and have ports of the system's choice. Multicasts go out
 * with the TTL of the local scope (RFC 2730, 2.10) and, if one is given, on one interface.
 */
#ifndef RASIP_MADCAP_UDP_H
#define RASIP_MADCAP_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client.h"

#define UDP_FAMILIES 2

struct udp {
	int fd[UDP_FAMILIES];   /* IPv4, IPv6; -1: not open */
	unsigned int interface; /* index; 0: the system's choice */
	int send_errno;         /* of the last datagram that could not be sent; 0: it could */
};

#define UDP_NONE ((struct udp){ .fd = { -1, -1 } })

/* Opens nothing yet. `interface` is a name, or "" for the system's choice. */
void udp_init(struct udp *udp, const char *interface);

/* Closes what is open. */
void udp_close(struct udp *udp);

/* False, with errno, if there is no socket to be had. What cannot be sent counts as lost: it is
 * sent again in its time. */
bool udp_send(struct udp *udp, const struct madcap_output *out);

/* Where a datagram came from. */
struct udp_source {
	struct madcap_endpoint from;
	unsigned int interface; /* index of the one it came in on; 0: not known */
};

/*
 * The next datagram of socket `which` that is not cut: its size; 0 if the next one is to be passed
 * over (call again); -1 if there is none.
 */
ssize_t udp_receive(struct udp *udp, size_t which, uint8_t *data, size_t size,
		    struct udp_source *ret);

/* Waits until there is something to be received or `wait_ms` have passed (or a signal came). */
void udp_wait(const struct udp *udp, int64_t wait_ms);

#endif
