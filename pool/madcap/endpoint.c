/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

/* ---- text ------------------------------------------------------------------------------------ */

/* "fe80::1%eth0" loses its zone, which goes into *ret_zone. */
static bool split_zone(char *host, uint32_t *ret_zone)
{
	char *percent = strchr(host, '%');
	uint64_t number;

	*ret_zone = 0;
	if (percent == NULL)
		return true;
	*percent = '\0';
	*ret_zone = if_nametoindex(percent + 1);
	if (*ret_zone == 0 && parse_unsigned(percent + 1, 1, UINT32_MAX, &number))
		*ret_zone = (uint32_t)number;
	return *ret_zone != 0 && strchr(host, ':') != NULL;
}

/* Where the host starts, how long it is, and what follows its port's colon, or NULL. */
static bool split_port(const char *text, const char **ret_host, size_t *ret_len,
		       const char **ret_port)
{
	const char *colon = strchr(text, ':');

	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		*ret_host = text + 1;
		*ret_len = (size_t)(end - text) - 1;
		*ret_port = end[1] == ':' ? end + 2 : NULL;
		return memchr(*ret_host, ':', *ret_len) != NULL;
	}
	*ret_host = text;
	if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		*ret_len = (size_t)(colon - text);
		*ret_port = colon + 1;
	} else {
		*ret_len = strlen(text);
		*ret_port = NULL;
	}
	return true;
}

bool madcap_endpoint_parse(const char *text, struct madcap_endpoint *ret)
{
	struct madcap_endpoint endpoint = { .port = 0 };
	char host[MADCAP_ENDPOINT_TEXT];
	const char *start, *port;
	uint64_t number = MADCAP_PORT;
	size_t len;

	if (!split_port(text, &start, &len, &port) || len >= sizeof(host))
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	if (port != NULL && !parse_unsigned(port, 1, UINT16_MAX, &number))
		return false;
	if (!split_zone(host, &endpoint.zone) || !madcap_address_parse(host, &endpoint.address))
		return false;
	endpoint.port = (uint16_t)number;
	*ret = endpoint;
	return true;
}

bool madcap_endpoint_parse_host(const char *text, struct madcap_endpoint *ret)
{
	struct madcap_endpoint endpoint;

	if (!madcap_endpoint_parse(text, &endpoint) ||
	    madcap_address_is_multicast(&endpoint.address) ||
	    madcap_address_is_unspecified(&endpoint.address))
		return false;
	if (endpoint.address.family == MADCAP_IPV4 &&
	    (endpoint.address.bytes[0] == 0 || endpoint.address.bytes[0] >= 240))
		return false;
	*ret = endpoint;
	return true;
}

char *madcap_endpoint_format(const struct madcap_endpoint *endpoint, char *buf)
{
	char host[MADCAP_ADDRESS_TEXT], zone[IF_NAMESIZE + 1] = "";

	madcap_address_format(&endpoint->address, host);
	if (endpoint->zone != 0) {
		zone[0] = '%';
		if (if_indextoname(endpoint->zone, zone + 1) == NULL)
			snprintf(zone, sizeof(zone), "%%%u", endpoint->zone);
	}
	if (endpoint->address.family == MADCAP_IPV6)
		snprintf(buf, MADCAP_ENDPOINT_TEXT, "[%s%s]:%u", host, zone, endpoint->port);
	else
		snprintf(buf, MADCAP_ENDPOINT_TEXT, "%s:%u", host, endpoint->port);
	return buf;
}

bool madcap_endpoint_equal(const struct madcap_endpoint *a, const struct madcap_endpoint *b)
{
	return a->port == b->port && a->zone == b->zone &&
	       madcap_address_equal(&a->address, &b->address);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static bool is_link_local(const struct madcap_address *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

socklen_t madcap_endpoint_to_socket(const struct madcap_endpoint *endpoint, unsigned int interface,
				    struct sockaddr_storage *ret)
{
	struct sockaddr_in ip4 = { .sin_family = AF_INET, .sin_port = htons(endpoint->port) };
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6, .sin6_port = htons(endpoint->port) };

	memset(ret, 0, sizeof(*ret));
	if (endpoint->address.family == MADCAP_IPV6) {
		memcpy(&ip6.sin6_addr, endpoint->address.bytes, sizeof(ip6.sin6_addr));
		ip6.sin6_scope_id = endpoint->zone;
		if (endpoint->zone == 0 && (is_link_local(&endpoint->address) ||
					    madcap_address_is_multicast(&endpoint->address)))
			ip6.sin6_scope_id = interface;
		memcpy(ret, &ip6, sizeof(ip6));
		return sizeof(ip6);
	}
	memcpy(&ip4.sin_addr, endpoint->address.bytes, sizeof(ip4.sin_addr));
	memcpy(ret, &ip4, sizeof(ip4));
	return sizeof(ip4);
}

bool madcap_endpoint_from_socket(const struct sockaddr_storage *from, struct madcap_endpoint *ret)
{
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;

	if (from->ss_family == AF_INET) {
		memcpy(&ip4, from, sizeof(ip4));
		*ret = (struct madcap_endpoint){
			.address = madcap_address_make(MADCAP_IPV4, &ip4.sin_addr),
			.port = ntohs(ip4.sin_port),
		};
		return true;
	}
	if (from->ss_family == AF_INET6) {
		memcpy(&ip6, from, sizeof(ip6));
		*ret = (struct madcap_endpoint){
			.address = madcap_address_make(MADCAP_IPV6, &ip6.sin6_addr),
			.port = ntohs(ip6.sin6_port),
			.zone = ip6.sin6_scope_id,
		};
		return true;
	}
	return false;
}
