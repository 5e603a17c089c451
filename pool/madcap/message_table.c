/* SPDX-License-Identifier: MIT */
#include "message_table.h"

#include <stddef.h>

#include "array.h"

#define FIELD(member) offsetof(struct madcap_message, member)

/*
 * RFC 2730, 3 and Table 5; RFC 2907, 3.3 and 5. The columns are, in the order of enum
 * madcap_column: GETINFO and its ACK, DISCOVER, OFFER, REQUEST and its ACK, RENEW and its ACK,
 * RELEASE and its ACK, NAK. That a multicast REQUEST must name its server is checked apart.
 */
static const struct madcap_option_row options[MADCAP_OPT_COUNT_KNOWN] = {
	{ MADCAP_OPT_END, "End", "end", MADCAP_KIND_END, 0, 0, "MMMMMMMMMMM" },
	{ MADCAP_OPT_LEASE_TIME, "Lease Time", "lease-time", MADCAP_KIND_SECONDS, 4,
	  FIELD(lease_time), "  oMoMoM   " },
	{ MADCAP_OPT_SERVER_ID, "Server Identifier", "server", MADCAP_KIND_SERVER_ID, 3,
	  FIELD(server_id), " M MoM M MM" },
	{ MADCAP_OPT_LEASE_ID, "Lease Identifier", "lease-id", MADCAP_KIND_OPAQUE, 1,
	  FIELD(lease_id), "MMMMMMMMMMM" },
	{ MADCAP_OPT_SCOPE, "Multicast Scope", "scope", MADCAP_KIND_ADDRESS, 1, FIELD(scope),
	  "  MMMM M   " },
	{ MADCAP_OPT_OPTION_REQUEST, "Option Request List", "options", MADCAP_KIND_CODES, 2,
	  FIELD(option_request), "M          " },
	{ MADCAP_OPT_START_TIME, "Start Time", "start", MADCAP_KIND_TIME, 4, FIELD(start_time),
	  "  oooooo   " },
	{ MADCAP_OPT_COUNT, "Number of Addresses Requested", "count", MADCAP_KIND_COUNTS, 4, 0,
	  "  o o      " },
	{ MADCAP_OPT_LANGUAGE, "Requested Language", "language", MADCAP_KIND_TEXT, 0,
	  FIELD(language), "o          " },
	{ MADCAP_OPT_SCOPE_LIST, "Multicast Scope List", "scopes", MADCAP_KIND_SCOPES, 0,
	  FIELD(scope_list), " o         " },
	{ MADCAP_OPT_RANGES, "List of Address Ranges", "ranges", MADCAP_KIND_RANGES, 0,
	  FIELD(ranges), "  oooM M   " },
	{ MADCAP_OPT_CURRENT_TIME, "Current Time", "now", MADCAP_KIND_TIME, 4, FIELD(current_time),
	  " ooooooo   " },
	{ MADCAP_OPT_FEATURES, "Feature List", "features", MADCAP_KIND_FEATURES, 6, FIELD(features),
	  "ooooooooooo" },
	{ MADCAP_OPT_RETRY_TIME, "Retry Time", "retry", MADCAP_KIND_TIME, 4, FIELD(retry_time),
	  "     o o   " },
	{ MADCAP_OPT_MIN_LEASE_TIME, "Minimum Lease Time", "min-lease-time", MADCAP_KIND_SECONDS, 4,
	  FIELD(min_lease_time), "  o o o    " },
	{ MADCAP_OPT_MAX_START_TIME, "Maximum Start Time", "max-start", MADCAP_KIND_TIME, 4,
	  FIELD(max_start_time), "  o o o    " },
	{ MADCAP_OPT_ERROR, "Error", "error", MADCAP_KIND_ERROR, 2, 0, "          M" },
	{ MADCAP_OPT_NESTING, "Multicast Scope Nesting State", "nesting", MADCAP_KIND_NESTING, 1,
	  FIELD(nesting), " o         " },
};

const struct madcap_option_row *madcap_option_row(uint16_t code)
{
	return code < MADCAP_OPT_COUNT_KNOWN ? &options[code] : NULL;
}

bool madcap_option_rule(uint16_t code, size_t *ret_min, uint32_t *ret_must, uint32_t *ret_may)
{
	const struct madcap_option_row *row = madcap_option_row(code);

	if (row == NULL)
		return false;
	*ret_min = row->min_size;
	*ret_must = 0;
	*ret_may = 0;
	for (unsigned int column = 0; column < MADCAP_COLUMNS; column++) {
		*ret_must |= (uint32_t)(row->columns[column] == 'M') << column;
		*ret_may |= (uint32_t)(row->columns[column] == 'o') << column;
	}
	return true;
}

const char *madcap_option_name(uint16_t code)
{
	return code < MADCAP_OPT_COUNT_KNOWN ? options[code].name : NULL;
}

const char *madcap_type_name(uint8_t type)
{
	static const char *const names[] = { NULL,  "DISCOVER", "OFFER",   "REQUEST", "RENEW",
					     "ACK", "NAK",      "RELEASE", "GETINFO" };

	return type < ARRAY_SIZE(names) ? names[type] : NULL;
}

const char *madcap_error_name(uint16_t code)
{
	static const char *const names[] = {
		"Valid Request Could Not Be Completed",
		"Invalid Request",
		"Excessive Clock Skew",
		"Lease Identifier Not Recognized",
		"Required Feature Not Supported",
	};

	return code < ARRAY_SIZE(names) ? names[code] : NULL;
}

const char *madcap_feature_name(uint16_t code)
{
	static const char *const names[] = { "Server Mobility", "Retry After",
					     "Shared Lease Identifier" };

	return code < ARRAY_SIZE(names) ? names[code] : NULL;
}
