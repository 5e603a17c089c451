/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

size_t madcap_family_size(uint16_t family)
{
	switch (family) {
	case MADCAP_IPV4:
		return 4;
	case MADCAP_IPV6:
		return 16;
	default:
		return 0;
	}
}

struct madcap_address madcap_address_make(uint16_t family, const void *bytes)
{
	struct madcap_address address = { .family = family };

	memcpy(address.bytes, bytes, madcap_family_size(family));
	return address;
}

struct madcap_address madcap_address_ip4(uint32_t addr)
{
	uint32_t addr_be = htonl(addr);

	return madcap_address_make(MADCAP_IPV4, &addr_be);
}

int madcap_address_compare(const struct madcap_address *a, const struct madcap_address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool madcap_address_equal(const struct madcap_address *a, const struct madcap_address *b)
{
	return madcap_address_compare(a, b) == 0;
}

bool madcap_address_within(const struct madcap_address *address, const struct madcap_address *first,
			   const struct madcap_address *last)
{
	return address->family == first->family && address->family == last->family &&
	       madcap_address_compare(first, address) <= 0 &&
	       madcap_address_compare(address, last) <= 0;
}

bool madcap_address_is_multicast(const struct madcap_address *address)
{
	if (address->family == MADCAP_IPV4)
		return (address->bytes[0] & 0xf0) == 0xe0;
	return address->family == MADCAP_IPV6 && address->bytes[0] == 0xff;
}

bool madcap_address_is_unspecified(const struct madcap_address *address)
{
	static const uint8_t zero[sizeof(address->bytes)];

	return address->family == 0 || memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

bool madcap_address_add(const struct madcap_address *address, uint64_t n,
			struct madcap_address *ret)
{
	struct madcap_address sum = *address;

	for (size_t i = madcap_family_size(address->family); i > 0 && n > 0; i--) {
		uint64_t octet = sum.bytes[i - 1] + (n & 0xff);

		sum.bytes[i - 1] = (uint8_t)octet;
		n = (n >> 8) + (octet >> 8);
	}
	if (n > 0)
		return false;
	*ret = sum;
	return true;
}

static bool as_number(const struct madcap_address *address, uint64_t *ret_high, uint64_t *ret_low)
{
	uint64_t words[2];
	uint32_t word;

	memcpy(words, address->bytes, sizeof(words));
	memcpy(&word, address->bytes, sizeof(word));
	*ret_high = address->family == MADCAP_IPV6 ? be64toh(words[0]) : 0;
	*ret_low = address->family == MADCAP_IPV6 ? be64toh(words[1]) : ntohl(word);
	return madcap_family_size(address->family) > 0;
}

bool madcap_address_distance(const struct madcap_address *from, const struct madcap_address *to,
			     uint64_t *ret)
{
	uint64_t from_high, from_low, to_high, to_low;

	if (from->family != to->family || !as_number(from, &from_high, &from_low) ||
	    !as_number(to, &to_high, &to_low))
		return false;
	/* Of what lies below `from`, or too far above it, this is not true. */
	if (to_high != from_high + (to_low < from_low) || to_high < from_high)
		return false;
	*ret = to_low - from_low;
	return true;
}

bool madcap_address_parse(const char *text, struct madcap_address *ret)
{
	struct in6_addr ip6;
	uint32_t ip4;

	if (parse_ip4(text, &ip4))
		*ret = madcap_address_ip4(ip4);
	else if (inet_pton(AF_INET6, text, &ip6) == 1)
		*ret = madcap_address_make(MADCAP_IPV6, &ip6);
	else
		return false;
	return true;
}

/* Fails if the prefix leaves host bits set in `first`. */
static bool last_of_prefix(const struct madcap_address *first, uint64_t prefix,
			   struct madcap_address *ret)
{
	struct madcap_address last = *first;

	for (size_t bit = (size_t)prefix; bit < 8 * madcap_family_size(first->family); bit++) {
		uint8_t mask = (uint8_t)(0x80 >> (bit % 8));

		if ((first->bytes[bit / 8] & mask) != 0)
			return false;
		last.bytes[bit / 8] |= mask;
	}
	*ret = last;
	return true;
}

bool madcap_range_parse(const char *text, struct madcap_address *ret_first,
			struct madcap_address *ret_last)
{
	size_t n = strcspn(text, "-/");
	struct madcap_address first, last;
	char head[MADCAP_ADDRESS_TEXT];
	uint64_t prefix;

	if (n >= sizeof(head))
		return false;
	memcpy(head, text, n);
	head[n] = '\0';
	if (!madcap_address_parse(head, &first))
		return false;
	last = first;
	if (text[n] == '-') {
		if (!madcap_address_parse(text + n + 1, &last) || last.family != first.family ||
		    madcap_address_compare(&first, &last) > 0)
			return false;
	} else if (text[n] == '/') {
		if (!parse_unsigned(text + n + 1, 0, 8 * madcap_family_size(first.family),
				    &prefix) ||
		    !last_of_prefix(&first, prefix, &last))
			return false;
	}
	*ret_first = first;
	*ret_last = last;
	return true;
}

char *madcap_address_format(const struct madcap_address *address, char *buf)
{
	int family = address->family == MADCAP_IPV6 ? AF_INET6 : AF_INET;

	if (madcap_family_size(address->family) == 0 ||
	    inet_ntop(family, address->bytes, buf, MADCAP_ADDRESS_TEXT) == NULL)
		snprintf(buf, MADCAP_ADDRESS_TEXT, "none");
	return buf;
}

struct madcap_address madcap_server_group(const struct madcap_address *last)
{
	struct madcap_address group = *last;
	size_t at = madcap_family_size(last->family);

	while (at > 0 && group.bytes[at - 1]-- == 0)
		at--;
	return group;
}

struct madcap_address madcap_local_group(uint16_t family)
{
	struct madcap_address last = { .family = family };

	if (family == MADCAP_IPV4)
		last = madcap_address_ip4(UINT32_C(0xefffffff));
	if (family == MADCAP_IPV6) {
		memset(last.bytes, 0xff, sizeof(last.bytes));
		last.bytes[1] = 0x03;
	}
	return madcap_server_group(&last);
}
