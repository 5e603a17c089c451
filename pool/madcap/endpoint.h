/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - an address with its port, as text and as a socket address.
 */
#ifndef RASIP_MADCAP_ENDPOINT_H
#define RASIP_MADCAP_ENDPOINT_H

#include <net/if.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "address.h"
#include "proto.h"

#define MADCAP_ENDPOINT_TEXT (MADCAP_ADDRESS_TEXT + IF_NAMESIZE + 10) /* "[a%eth0]:65535" */

/*
 * "192.0.2.1", "192.0.2.1:2535", "2001:db8::1", "[2001:db8::1]:2535", "[fe80::1%eth0]:2535": the
 * whole text. No port in it is 2535. *ret is untouched on failure.
 */
bool madcap_endpoint_parse(const char *text, struct madcap_endpoint *ret);

/* The same for the address of a host: no group, nothing that no host can have. */
bool madcap_endpoint_parse_host(const char *text, struct madcap_endpoint *ret);

bool madcap_endpoint_equal(const struct madcap_endpoint *a, const struct madcap_endpoint *b);

/* With the port, always; into buf, of MADCAP_ENDPOINT_TEXT bytes; returns buf. */
char *madcap_endpoint_format(const struct madcap_endpoint *endpoint, char *buf);

/* The first returns the size of what is in *ret. interface: its index, for groups and link-local
 * addresses that name none; or 0. */
socklen_t madcap_endpoint_to_socket(const struct madcap_endpoint *endpoint, unsigned int interface,
				    struct sockaddr_storage *ret);
bool madcap_endpoint_from_socket(const struct sockaddr_storage *from, struct madcap_endpoint *ret);

#endif
