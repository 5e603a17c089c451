/* SPDX-License-Identifier: MIT */
/*
 * message_table.h - the table of options behind message.c and message_print.c.
 */
#ifndef RASIP_MADCAP_MESSAGE_TABLE_H
#define RASIP_MADCAP_MESSAGE_TABLE_H

#include "message.h"

/* How a value is made, and so read, written and printed. */
enum madcap_kind {
	MADCAP_KIND_END,
	MADCAP_KIND_SECONDS, /* u32 */
	MADCAP_KIND_TIME,    /* u32, Unix */
	MADCAP_KIND_COUNTS,
	MADCAP_KIND_SERVER_ID,
	MADCAP_KIND_ADDRESS, /* of the message's family */
	MADCAP_KIND_OPAQUE,
	MADCAP_KIND_TEXT,
	MADCAP_KIND_CODES,
	MADCAP_KIND_FEATURES,
	MADCAP_KIND_SCOPES,
	MADCAP_KIND_RANGES,
	MADCAP_KIND_ERROR,
	MADCAP_KIND_NESTING,
};

struct madcap_option_row {
	uint16_t code;
	const char *name;  /* as in the RFC */
	const char *label; /* as in madcap_message_print() */
	enum madcap_kind kind;
	size_t min_size;
	size_t field;                 /* offset in struct madcap_message */
	char columns[MADCAP_COLUMNS]; /* Table 5: 'M' must, 'o' may, ' ' must not */
};

/* NULL for an option that we do not know. */
const struct madcap_option_row *madcap_option_row(uint16_t code);

/* True if the list keeps the rules of its kind. */
bool madcap_list_fits(enum madcap_kind kind, struct madcap_bytes value, uint16_t family);

#endif
