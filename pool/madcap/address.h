/* SPDX-License-Identifier: MIT */
/*
 * address.h - IPv4 and IPv6 addresses alike: compare, count, parse, print.
 */
#ifndef RASIP_MADCAP_ADDRESS_H
#define RASIP_MADCAP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"

#define MADCAP_ADDRESS_TEXT 46 /* "ffff:...:255.255.255.255" and the NUL */

/* Octets of an address of this family: 4, 16, or 0 for a family that we do not know. */
size_t madcap_family_size(uint16_t family);

struct madcap_address madcap_address_ip4(uint32_t addr); /* host order */

/* `bytes` has madcap_family_size(family) octets. */
struct madcap_address madcap_address_make(uint16_t family, const void *bytes);

/* Below, at or above 0: by family, then by value. */
int madcap_address_compare(const struct madcap_address *a, const struct madcap_address *b);
bool madcap_address_equal(const struct madcap_address *a, const struct madcap_address *b);

/* first <= address <= last, all of one family. */
bool madcap_address_within(const struct madcap_address *address, const struct madcap_address *first,
			   const struct madcap_address *last);

/* 224.0.0.0/4, ff00::/8. */
bool madcap_address_is_multicast(const struct madcap_address *address);
bool madcap_address_is_unspecified(const struct madcap_address *address); /* or family 0 */

/* *address + n in *ret; false, and *ret as it was, if that is not an address of the family. */
bool madcap_address_add(const struct madcap_address *address, uint64_t n,
			struct madcap_address *ret);

/* `to` - `from` in *ret; false unless both are of one family, from <= to, and it fits 64 bits. */
bool madcap_address_distance(const struct madcap_address *from, const struct madcap_address *to,
			     uint64_t *ret);

/* "239.192.0.1" or "ff15::1"; the whole text. *ret is untouched on failure. */
bool madcap_address_parse(const char *text, struct madcap_address *ret);

/* "A-B", "A/PREFIX" without host bits, or one address. */
bool madcap_range_parse(const char *text, struct madcap_address *ret_first,
			struct madcap_address *ret_last);

/* Into buf, of MADCAP_ADDRESS_TEXT bytes; returns buf. */
char *madcap_address_format(const struct madcap_address *address, char *buf);

/* The scope's server group, 2.10: the last address less one. `last` must not be the first address
 * of its family. */
struct madcap_address madcap_server_group(const struct madcap_address *last);

/* The default server group: IPv4 Local Scope's, or SCOP 3's for IPv6 (2.10). */
struct madcap_address madcap_local_group(uint16_t family);

#endif
