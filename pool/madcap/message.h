/* SPDX-License-Identifier: MIT */
/*
 * message.h - MADCAP messages (RFC 2730, 2.1 and 3), to and from octets.
 *
 * A decoded message is a fixed-size struct: presence flags, numbers, and views into the datagram
 * for everything that is a list. Nothing is allocated; the datagram must outlive the message. To
 * send, fill the same struct (lists are built with the writers below) and encode it. One table
 * (message_table.c) says what every option is, how it is read, written and printed, and in which
 * messages it must, may and must not stand (Table 5).
 *
 *	struct madcap_message message;
 *	struct madcap_verdict verdict = madcap_message_decode(data, size, &message);
 *
 *	if (verdict.fault == MADCAP_FINE)
 *		verdict = madcap_message_check(&message, MADCAP_COLUMN_GETINFO, false);
 *
 * Two kinds of fault: what may be a NAK, or garbled, is ignored (2.1, 2.6); what is a message but
 * does not conform is an Invalid Request with the number of the option to blame (2.1.5). A client
 * ignores both.
 *
 * Numbers are in host order, addresses octets as on the wire; sizes are octets. There is no state
 * behind these functions: any thread may call them.
 */
#ifndef RASIP_MADCAP_MESSAGE_H
#define RASIP_MADCAP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "wire.h"

/* Feature List, 3.13: each view holds u16 codes. */
struct madcap_features {
	struct madcap_bytes supported;
	struct madcap_bytes requested;
	struct madcap_bytes required;
};

struct madcap_message {
	uint8_t type;    /* enum madcap_type; 0 and others are possible after decoding */
	uint16_t family; /* of all addresses but the server identifier's */
	uint32_t xid;
	uint32_t present; /* bit (1 << code) for every option that stands in it; not End */

	uint32_t lease_time; /* s */
	uint32_t start_time; /* Unix s, as all times of day below */
	uint32_t current_time;
	uint32_t retry_time;
	uint32_t min_lease_time; /* s */
	uint32_t max_start_time;
	uint16_t count_min; /* Number of Addresses Requested */
	uint16_t count_desired;
	struct madcap_address server_id;
	struct madcap_address scope; /* its first address */
	struct madcap_bytes lease_id;
	struct madcap_bytes option_request; /* u16 codes */
	struct madcap_bytes language;       /* a tag, no NUL */
	struct madcap_bytes scope_list;     /* the option's value: madcap_scopes_begin() */
	struct madcap_bytes ranges;         /* the option's value: madcap_range_next() */
	struct madcap_bytes nesting;        /* the option's value: madcap_nesting_is() */
	struct madcap_features features;
	uint16_t error_code; /* enum madcap_error or another number */
	struct madcap_bytes error_data;
};

bool madcap_message_has(const struct madcap_message *message, enum madcap_option option);

/* For an encoder: says that the option's field is filled. */
void madcap_message_set(struct madcap_message *message, enum madcap_option option);

enum madcap_fault {
	MADCAP_FINE,
	MADCAP_IGNORE,  /* garbled, another version: never answered */
	MADCAP_INVALID, /* a message that does not conform: Invalid Request, unless it is a NAK */
};

struct madcap_verdict {
	enum madcap_fault fault;
	uint16_t option;    /* MADCAP_INVALID: the option to blame, or MADCAP_OPT_NONE */
	const char *reason; /* static text for a log; NULL if fine */
};

/*
 * Reads a datagram. Unknown options are skipped. The first fault counts, but reading goes on behind
 * an invalid option, so that type, xid and lease identifier are there for the answer. *ret is
 * always filled as far as it went. An unknown message type is no fault here but in the check.
 */
struct madcap_verdict madcap_message_decode(const void *data, size_t size,
					    struct madcap_message *ret);

/* Columns of Table 5. An ACK's depends on what it answers. */
enum madcap_column {
	MADCAP_COLUMN_GETINFO,
	MADCAP_COLUMN_ACK_GETINFO,
	MADCAP_COLUMN_DISCOVER,
	MADCAP_COLUMN_OFFER,
	MADCAP_COLUMN_REQUEST,
	MADCAP_COLUMN_ACK_REQUEST,
	MADCAP_COLUMN_RENEW,
	MADCAP_COLUMN_ACK_RENEW,
	MADCAP_COLUMN_RELEASE,
	MADCAP_COLUMN_ACK_RELEASE,
	MADCAP_COLUMN_NAK,
	MADCAP_COLUMNS,
};

/* The column of a message of this type, of an ACK's by the type of what it answers; MADCAP_COLUMNS
 * if there is none (unknown types, an ACK to something that gets none). */
enum madcap_column madcap_column_of(uint8_t type, uint8_t answers);

/*
 * Checks a decoded message against its column and the rules that tie options together: Current Time
 * with absolute times (2.12), minimum <= desired (3.8), a server identifier in a multicast REQUEST
 * (2.2.4), nesting state only with a scope list of the same length (RFC 2907, 3.3 and 5), Retry
 * After never requested nor required by a client (2.13.2), no requested features from a server
 * (3.13), scope identifiers unique (3.10). `column` MADCAP_COLUMNS is the fault of an unknown type.
 */
struct madcap_verdict madcap_message_check(const struct madcap_message *message,
					   enum madcap_column column, bool multicast);

/*
 * Writes header, every option that is present, and End into buf. All or nothing: false if it does
 * not fit, if a value breaks its option's own rules (length, family), or if an unknown option is
 * marked present; *ret_size is then untouched.
 */
bool madcap_message_encode(const struct madcap_message *message, void *buf, size_t size,
			   size_t *ret_size);

/*
 * One line for a log, "REQUEST xid=1a2b3c4d scope=239.192.0.0 lease-time=3600 ...", always
 * terminated, cut where it does not fit. Lease identifiers, which are the keys to leases, show
 * their length and first 4 octets unless `secrets`. Returns buf.
 */
char *madcap_message_print(const struct madcap_message *message, bool secrets, char *buf,
			   size_t size);

/* Static texts: "REQUEST", "Lease Time", "Excessive Clock Skew"; NULL for unknown numbers. */
const char *madcap_type_name(uint8_t type);
const char *madcap_option_name(uint16_t code);
const char *madcap_error_name(uint16_t code);
const char *madcap_feature_name(uint16_t code);

/* Every option that has the shortest length `*ret_min` and stands in the table; for tests and
 * tools. False for an unknown code. `*ret_must` and `*ret_may` are bits (1 << column). */
bool madcap_option_rule(uint16_t code, size_t *ret_min, uint32_t *ret_must, uint32_t *ret_may);

/* ---- lists of codes -------------------------------------------------------------------------- */

size_t madcap_codes_count(struct madcap_bytes codes);
uint16_t madcap_codes_at(struct madcap_bytes codes, size_t index); /* index < count */
bool madcap_codes_has(struct madcap_bytes codes, uint16_t code);

/* ---- address ranges, 3.11 -------------------------------------------------------------------- */

struct madcap_range {
	struct madcap_address first;
	uint16_t count; /* 1 or more */
};

/*
 * Reads the ranges one after another: *at starts at 0. False at the end. The decoder has made sure
 * of whole entries that stay inside the family; a count of 0 is passed over.
 */
bool madcap_range_next(const struct madcap_message *message, size_t *at, struct madcap_range *ret);

/* Addresses in all ranges, counted as they stand. */
uint64_t madcap_ranges_total(const struct madcap_message *message);

void madcap_range_write(struct wire_writer *writer, const struct madcap_range *range);

/* ---- scope list, 3.10 ------------------------------------------------------------------------ */

struct madcap_scope_entry {
	struct madcap_address first;
	struct madcap_address last;
	uint8_t ttl;
	uint8_t n_names;
};

struct madcap_scope_name {
	uint8_t flags; /* MADCAP_NAME_DEFAULT */
	struct madcap_bytes language;
	struct madcap_bytes name; /* UTF-8, unchecked, no NUL */
};

/*
 * Walks through a scope list that was decoded: for each scope, its names (as many as n_names says)
 * have to be read before the next scope.
 */
struct madcap_scope_reader {
	struct wire_reader wire;
	uint16_t family;
	unsigned int left;
};

unsigned int madcap_scopes_begin(const struct madcap_message *message,
				 struct madcap_scope_reader *ret); /* the number of scopes */
bool madcap_scopes_next(struct madcap_scope_reader *reader, struct madcap_scope_entry *ret);
bool madcap_scopes_name(struct madcap_scope_reader *reader, struct madcap_scope_name *ret);

/* The writers: first the u8 count of scopes (wire_write_u8), then per scope an entry and its names.
 */
void madcap_scope_write(struct wire_writer *writer, const struct madcap_scope_entry *entry);
void madcap_scope_name_write(struct wire_writer *writer, const struct madcap_scope_name *name);

/* ---- nesting state, RFC 2907 ----------------------------------------------------------------- */

/* True if the option says that the scope at place `inner` of the scope list nests in `outer`. */
bool madcap_nesting_is(const struct madcap_message *message, unsigned int inner,
		       unsigned int outer);

/* Writes the count and the matrix; nests(context, inner, outer) is asked for every pair. More than 255
 * scopes are a failure. */
void madcap_nesting_write(struct wire_writer *writer, unsigned int n,
			  bool (*nests)(const void *context, unsigned int inner,
					unsigned int outer),
			  const void *context);

#endif
