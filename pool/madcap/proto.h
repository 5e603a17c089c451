/* SPDX-License-Identifier: MIT */
/*
 * proto.h - the numbers of MADCAP, RFC 2730 and RFC 2907. Numbers in comments are sections of
 * RFC 2730. Nothing here has behaviour; address.h, message.h, client.h and server.h have.
 */
#ifndef RASIP_MADCAP_PROTO_H
#define RASIP_MADCAP_PROTO_H

#include <stddef.h>
#include <stdint.h>

#define MADCAP_PORT 2535 /* UDP, the server's */
#define MADCAP_VERSION 0 /* 2.1.1 */

#define MADCAP_HEADER_SIZE 8      /* version, msgtype, addrfamily, xid */
#define MADCAP_SIZE_MIN 12        /* header and End option; anything shorter is ignored (2.1) */
#define MADCAP_DATAGRAM_MAX 65507 /* what UDP over IPv4 carries */

/* Families, IANA's numbers (2.1.3). */
#define MADCAP_IPV4 1
#define MADCAP_IPV6 2

/* A view of bytes that belong to somebody else, often to a received datagram. */
struct madcap_bytes {
	const uint8_t *data;
	size_t size;
};

/* An address of either family. IPv4 uses the first four octets, in network order; the rest is 0,
 * so two addresses may be compared as memory. Family 0 is "none". */
struct madcap_address {
	uint16_t family; /* MADCAP_IPV4, MADCAP_IPV6, or 0 */
	uint8_t bytes[16];
};

struct madcap_address_range {
	struct madcap_address first;
	struct madcap_address last; /* of the same family, not below first */
};

/* An address and a UDP port. */
struct madcap_endpoint {
	struct madcap_address address;
	uint16_t port; /* host order */
	uint32_t zone; /* of a link-local IPv6 address: the interface's index; else 0 */
};

/* Message types, 2.2. */
enum madcap_type {
	MADCAP_DISCOVER = 1,
	MADCAP_OFFER = 2,
	MADCAP_REQUEST = 3,
	MADCAP_RENEW = 4,
	MADCAP_ACK = 5,
	MADCAP_NAK = 6,
	MADCAP_RELEASE = 7,
	MADCAP_GETINFO = 8,
};

/* Options, 3.1 to 3.17, and RFC 2907. */
enum madcap_option {
	MADCAP_OPT_END = 0,
	MADCAP_OPT_LEASE_TIME = 1,
	MADCAP_OPT_SERVER_ID = 2,
	MADCAP_OPT_LEASE_ID = 3,
	MADCAP_OPT_SCOPE = 4,
	MADCAP_OPT_OPTION_REQUEST = 5,
	MADCAP_OPT_START_TIME = 6,
	MADCAP_OPT_COUNT = 7, /* Number of Addresses Requested */
	MADCAP_OPT_LANGUAGE = 8,
	MADCAP_OPT_SCOPE_LIST = 9,
	MADCAP_OPT_RANGES = 10, /* List of Address Ranges */
	MADCAP_OPT_CURRENT_TIME = 11,
	MADCAP_OPT_FEATURES = 12,
	MADCAP_OPT_RETRY_TIME = 13,
	MADCAP_OPT_MIN_LEASE_TIME = 14,
	MADCAP_OPT_MAX_START_TIME = 15,
	MADCAP_OPT_ERROR = 16,
	MADCAP_OPT_NESTING = 17, /* Multicast Scope Nesting State, RFC 2907 */
	MADCAP_OPT_COUNT_KNOWN = 18,
};

#define MADCAP_OPT_NONE 0xffff /* in an error's extra data: no particular option (3.17.1) */

/* Features, 2.13. */
enum madcap_feature {
	MADCAP_FEATURE_SERVER_MOBILITY = 0,
	MADCAP_FEATURE_RETRY_AFTER = 1,
	MADCAP_FEATURE_SHARED_LEASE_ID = 2,
};

/* Error codes, 3.17.1 to 3.17.5; 1024 to 2047 are for experiments. */
enum madcap_error {
	MADCAP_ERR_NOT_COMPLETED = 0,
	MADCAP_ERR_INVALID_REQUEST = 1,
	MADCAP_ERR_CLOCK_SKEW = 2,
	MADCAP_ERR_LEASE_ID_UNKNOWN = 3,
	MADCAP_ERR_FEATURE_UNSUPPORTED = 4,
};

/* The type of our lease identifiers, 2.4: their first octet. */
#define MADCAP_LEASE_ID_RANDOM 0
#define MADCAP_LEASE_ID_RANDOM_SIZE 17 /* the type and 16 random octets (2.4.1) */

/* Recommended values of the RFC's constants, Appendix B. */
#define MADCAP_CLOCK_SKEW_ALLOWANCE_SEC (30 * 60)
#define MADCAP_EXTRA_ALLOCATION_SEC (60 * 60)
#define MADCAP_NO_RESPONSE_SEC 60
#define MADCAP_OFFER_HOLD_SEC 60
#define MADCAP_RESPONSE_CACHE_SEC 60
#define MADCAP_RESPONSE_CACHE_MAX_SEC 300

/* Retransmission, 2.3. */
#define MADCAP_RETRANSMIT_FIRST_MS 4000
#define MADCAP_RETRANSMIT_MAX_MS 16000
#define MADCAP_RETRANSMIT_TRIES 3

/* The TTL of multicasts to the default server group, 2.10. */
#define MADCAP_LOCAL_SCOPE_TTL 16

/* High bit of a zone name's flags: use it where no name fits the language asked for (3.10). */
#define MADCAP_NAME_DEFAULT 0x80

#endif
