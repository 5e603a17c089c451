/* SPDX-License-Identifier: MIT */
/* MADCAP messages: Table 5 as the RFC has it, round trips, truncations, and octets by hand. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/address.h"
#include "madcap/message.h"
#include "suite.h"

#define ALL_OPTIONS 17 /* 1 to 17 */

/* RFC 2730, Table 5, typed in apart from the table under test: a column per message. A multicast
 * REQUEST is the last one. */
static const struct {
	enum madcap_column column;
	uint8_t type;
	bool multicast;
	const char *must;
	const char *may;
} table5[] = {
	{ MADCAP_COLUMN_GETINFO, MADCAP_GETINFO, false, "3 5", "8 12" },
	{ MADCAP_COLUMN_ACK_GETINFO, MADCAP_ACK, false, "2 3", "9 11 12 17" },
	{ MADCAP_COLUMN_DISCOVER, MADCAP_DISCOVER, true, "3 4", "1 6 7 10 11 12 14 15" },
	{ MADCAP_COLUMN_OFFER, MADCAP_OFFER, false, "1 2 3 4", "6 10 11 12" },
	{ MADCAP_COLUMN_REQUEST, MADCAP_REQUEST, false, "3 4", "1 2 6 7 10 11 12 14 15" },
	{ MADCAP_COLUMN_ACK_REQUEST, MADCAP_ACK, false, "1 2 3 4 10", "6 11 12 13" },
	{ MADCAP_COLUMN_RENEW, MADCAP_RENEW, false, "3", "1 6 11 12 14 15" },
	{ MADCAP_COLUMN_ACK_RENEW, MADCAP_ACK, false, "1 2 3 4 10", "6 11 12 13" },
	{ MADCAP_COLUMN_RELEASE, MADCAP_RELEASE, false, "3", "12" },
	{ MADCAP_COLUMN_ACK_RELEASE, MADCAP_ACK, false, "2 3", "12" },
	{ MADCAP_COLUMN_NAK, MADCAP_NAK, false, "2 3 16", "12" },
	{ MADCAP_COLUMN_REQUEST, MADCAP_REQUEST, true, "2 3 4", "1 6 7 10 11 12 14 15" },
};

#define N_COLUMNS (sizeof(table5) / sizeof(table5[0]))

static uint32_t bits(const char *list)
{
	uint32_t set = 0;
	char *end;

	while (*list != '\0') {
		set |= UINT32_C(1) << strtoul(list, &end, 10);
		list = *end == ' ' ? end + 1 : end;
	}
	return set;
}

/* ---- a message with everything that its column allows ---------------------------------------- */

static uint8_t scope_list[256];
static uint8_t nesting[16];
static uint8_t ranges[64];

static bool inner_first(const void *context, unsigned int inner, unsigned int outer)
{
	(void)context;
	return inner < outer;
}

static struct madcap_address at(uint16_t family, unsigned int n)
{
	struct madcap_address address = { .family = family };

	address.bytes[0] = family == MADCAP_IPV4 ? 239 : 255;
	address.bytes[1] = 0x15;
	address.bytes[family == MADCAP_IPV4 ? 3 : 15] = (uint8_t)n;
	return address;
}

static void fill_lists(struct madcap_message *message)
{
	static const struct madcap_scope_name name = { MADCAP_NAME_DEFAULT,
						       { (const uint8_t *)"en", 2 },
						       { (const uint8_t *)"Here", 4 } };
	struct wire_writer writer;

	wire_writer_init(&writer, scope_list, sizeof(scope_list));
	wire_write_u8(&writer, 3);
	for (unsigned int i = 0; i < 3; i++) {
		const struct madcap_scope_entry entry = { at(message->family, 16 * i),
							  at(message->family, 16 * i + 15), 16,
							  (uint8_t)i };

		madcap_scope_write(&writer, &entry);
		for (unsigned int j = 0; j < i; j++)
			madcap_scope_name_write(&writer, &name);
	}
	ck_assert(!writer.failed);
	message->scope_list = (struct madcap_bytes){ scope_list, writer.at };
	wire_writer_init(&writer, nesting, sizeof(nesting));
	madcap_nesting_write(&writer, 3, inner_first, NULL);
	message->nesting = (struct madcap_bytes){ nesting, writer.at };
	wire_writer_init(&writer, ranges, sizeof(ranges));
	for (unsigned int i = 1; i < 4; i++) {
		const struct madcap_range range = { at(message->family, 20 * i), (uint16_t)i };

		madcap_range_write(&writer, &range);
	}
	ck_assert(!writer.failed);
	message->ranges = (struct madcap_bytes){ ranges, writer.at };
}

static struct madcap_message full(size_t column, uint16_t family, uint32_t present)
{
	static const uint8_t codes[] = { 0, 9, 0, 17, 0x12, 0x34 };
	static const uint8_t none[1];
	struct madcap_message message = {
		.type = table5[column].type,
		.family = family,
		.xid = 0x12345678,
		.present = present,
		.lease_time = 3600,
		.start_time = 1700000001,
		.current_time = 1700000000,
		.retry_time = 1700000002,
		.min_lease_time = 60,
		.max_start_time = 1700000003,
		.count_min = 2,
		.count_desired = 300,
		.server_id = at(MADCAP_IPV6, 1),
		.scope = at(family, 0),
		.lease_id = { (const uint8_t *)"\0abcdefgh", 9 },
		.option_request = { codes, sizeof(codes) },
		.language = { (const uint8_t *)"de-CH", 5 },
		.error_code = MADCAP_ERR_NOT_COMPLETED,
		.error_data = { codes, 2 },
	};

	message.features.supported = (struct madcap_bytes){ codes, 4 };
	message.features.requested = (struct madcap_bytes){ none, 0 };
	message.features.required = (struct madcap_bytes){ codes + 2, 2 };
	fill_lists(&message);
	return message;
}

/* Sets what is not present to zero, as it is in a decoded message. */
static void clear_absent(struct madcap_message *message)
{
	static const struct {
		enum madcap_option option;
		size_t at, size;
	} fields[] = {
#define FIELD(option, member)                                                                      \
	{ option, offsetof(struct madcap_message, member),                                         \
	  sizeof(((struct madcap_message *)0)->member) }
		FIELD(MADCAP_OPT_LEASE_TIME, lease_time),
		FIELD(MADCAP_OPT_SERVER_ID, server_id),
		FIELD(MADCAP_OPT_LEASE_ID, lease_id),
		FIELD(MADCAP_OPT_SCOPE, scope),
		FIELD(MADCAP_OPT_OPTION_REQUEST, option_request),
		FIELD(MADCAP_OPT_START_TIME, start_time),
		FIELD(MADCAP_OPT_COUNT, count_min),
		FIELD(MADCAP_OPT_COUNT, count_desired),
		FIELD(MADCAP_OPT_LANGUAGE, language),
		FIELD(MADCAP_OPT_SCOPE_LIST, scope_list),
		FIELD(MADCAP_OPT_RANGES, ranges),
		FIELD(MADCAP_OPT_CURRENT_TIME, current_time),
		FIELD(MADCAP_OPT_FEATURES, features),
		FIELD(MADCAP_OPT_RETRY_TIME, retry_time),
		FIELD(MADCAP_OPT_MIN_LEASE_TIME, min_lease_time),
		FIELD(MADCAP_OPT_MAX_START_TIME, max_start_time),
		FIELD(MADCAP_OPT_ERROR, error_code),
		FIELD(MADCAP_OPT_ERROR, error_data),
		FIELD(MADCAP_OPT_NESTING, nesting),
#undef FIELD
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!madcap_message_has(message, fields[i].option))
			memset((char *)message + fields[i].at, 0, fields[i].size);
	}
}

static struct madcap_message fullest(size_t column, uint16_t family)
{
	struct madcap_message message =
		full(column, family, bits(table5[column].must) | bits(table5[column].may));

	clear_absent(&message);
	return message;
}

static void assert_bytes_eq(struct madcap_bytes a, struct madcap_bytes b)
{
	ck_assert_uint_eq(a.size, b.size);
	if (a.size > 0)
		ck_assert_mem_eq(a.data, b.data, a.size);
}

static void assert_same_numbers(const struct madcap_message *a, const struct madcap_message *b)
{
	const uint32_t x[] = { a->type,           a->family,         a->xid,
			       a->present,        a->lease_time,     a->start_time,
			       a->current_time,   a->retry_time,     a->count_min,
			       a->min_lease_time, a->max_start_time, a->error_code,
			       a->count_desired };
	const uint32_t y[] = { b->type,           b->family,         b->xid,
			       b->present,        b->lease_time,     b->start_time,
			       b->current_time,   b->retry_time,     b->count_min,
			       b->min_lease_time, b->max_start_time, b->error_code,
			       b->count_desired };

	for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
		ck_assert_uint_eq(x[i], y[i]);
	ck_assert(madcap_address_equal(&a->server_id, &b->server_id));
	ck_assert(madcap_address_equal(&a->scope, &b->scope));
}

static void assert_same(const struct madcap_message *a, const struct madcap_message *b)
{
	assert_same_numbers(a, b);
	assert_bytes_eq(a->lease_id, b->lease_id);
	assert_bytes_eq(a->option_request, b->option_request);
	assert_bytes_eq(a->language, b->language);
	assert_bytes_eq(a->scope_list, b->scope_list);
	assert_bytes_eq(a->ranges, b->ranges);
	assert_bytes_eq(a->nesting, b->nesting);
	assert_bytes_eq(a->features.supported, b->features.supported);
	assert_bytes_eq(a->features.requested, b->features.requested);
	assert_bytes_eq(a->features.required, b->features.required);
	assert_bytes_eq(a->error_data, b->error_data);
}

/* ---- round trips and truncations ------------------------------------------------------------- */

/* A copy of exactly this length, so that reading past its end is seen by sanitizers. */
static struct madcap_verdict decode_exactly(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	struct madcap_message message;
	struct madcap_verdict verdict;

	if (size > 0)
		memcpy(copy, data, size);
	verdict = madcap_message_decode(copy, size, &message);
	free(copy);
	return verdict;
}

START_TEST(every_message_goes_out_and_comes_in)
{
	for (uint16_t family = MADCAP_IPV4; family <= MADCAP_IPV6; family++) {
		struct madcap_message out = fullest((size_t)_i, family), in;
		struct madcap_verdict verdict;
		uint8_t buf[1024];
		size_t size;

		ck_assert(madcap_message_encode(&out, buf, sizeof(buf), &size));
		verdict = madcap_message_decode(buf, size, &in);
		ck_assert_int_eq(verdict.fault, MADCAP_FINE);
		assert_same(&out, &in);
		verdict = madcap_message_check(&in, table5[_i].column, table5[_i].multicast);
		ck_assert_msg(verdict.fault == MADCAP_FINE, "%s", verdict.reason);
	}
}
END_TEST

START_TEST(every_truncation_is_ignored)
{
	for (uint16_t family = MADCAP_IPV4; family <= MADCAP_IPV6; family++) {
		struct madcap_message out = fullest((size_t)_i, family);
		uint8_t buf[1024];
		size_t size;

		ck_assert(madcap_message_encode(&out, buf, sizeof(buf), &size));
		for (size_t n = 0; n < size; n++)
			ck_assert_int_eq(decode_exactly(buf, n).fault, MADCAP_IGNORE);
		/* And an octet too many. */
		buf[size] = 0;
		ck_assert_int_eq(decode_exactly(buf, size + 1).fault, MADCAP_IGNORE);
	}
}
END_TEST

START_TEST(encoding_is_all_or_nothing)
{
	struct madcap_message out = fullest((size_t)_i, MADCAP_IPV6);
	uint8_t buf[1024];
	size_t size, other = 77;

	ck_assert(madcap_message_encode(&out, buf, sizeof(buf), &size));
	for (size_t n = 0; n < size; n++) {
		uint8_t *small = malloc(n > 0 ? n : 1);

		ck_assert(!madcap_message_encode(&out, small, n, &other));
		ck_assert_uint_eq(other, 77);
		free(small);
	}
	ck_assert(madcap_message_encode(&out, buf, size, &other));
	ck_assert_uint_eq(other, size);
}
END_TEST

START_TEST(encoding_refuses_values_that_break_their_rules)
{
	static const uint8_t odd[5] = { 1, 2, 3, 4, 5 };
	static uint8_t huge[70000], room[80000];
	struct madcap_message good = fullest(0, MADCAP_IPV4), out;
	uint8_t buf[512];
	size_t size;

	out = good;
	out.option_request = (struct madcap_bytes){ odd, 5 };
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
	out = good;
	out.lease_id.size = 0;
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
	out = good;
	out.lease_id = (struct madcap_bytes){ huge, 65536 };
	ck_assert(!madcap_message_encode(&out, room, sizeof(room), &size));
	out = good;
	out.present |= UINT32_C(1) << 20;
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
	out = good;
	out.present |= 1; /* End is not an option to be chosen */
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
	out = fullest(4, MADCAP_IPV4);
	out.scope.family = MADCAP_IPV6;
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
	out = fullest(4, MADCAP_IPV4);
	out.server_id.family = 0;
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
	out = fullest(4, MADCAP_IPV4);
	out.features.required = (struct madcap_bytes){ odd, 3 };
	ck_assert(!madcap_message_encode(&out, buf, sizeof(buf), &size));
}
END_TEST

/* ---- Table 5 and what ties options together -------------------------------------------------- */

START_TEST(rfc2730_3_table_5)
{
	uint32_t must = bits(table5[_i].must);
	uint32_t may = bits(table5[_i].may);

	for (uint16_t code = 1; code <= ALL_OPTIONS; code++) {
		uint32_t bit = UINT32_C(1) << code;
		struct madcap_message message = full((size_t)_i, MADCAP_IPV4, must | may);
		struct madcap_verdict verdict;

		/* Nesting state depends on the scope list, times on Current Time: see below. */
		message.present ^= bit;
		verdict = madcap_message_check(&message, table5[_i].column, table5[_i].multicast);
		if ((may & bit) != 0 && code != MADCAP_OPT_CURRENT_TIME &&
		    code != MADCAP_OPT_SCOPE_LIST) {
			ck_assert_int_eq(verdict.fault, MADCAP_FINE);
		} else {
			ck_assert_msg(verdict.fault == MADCAP_INVALID ||
					      code == MADCAP_OPT_CURRENT_TIME,
				      "option %u in column %d", code, _i);
			if (verdict.fault == MADCAP_INVALID && code != MADCAP_OPT_SCOPE_LIST)
				ck_assert_uint_eq(verdict.option, code);
		}
	}
}
END_TEST

START_TEST(rfc2730_3_table_5_for_other_users)
{
	for (uint16_t code = 1; code <= ALL_OPTIONS; code++) {
		uint32_t must, may;
		size_t min;

		ck_assert(madcap_option_rule(code, &min, &must, &may));
		for (size_t i = 0; i < MADCAP_COLUMNS; i++) {
			ck_assert_uint_eq(must >> i & 1, bits(table5[i].must) >> code & 1);
			ck_assert_uint_eq(may >> i & 1, bits(table5[i].may) >> code & 1);
		}
		ck_assert_ptr_nonnull(madcap_option_name(code));
	}
	ck_assert_ptr_null(madcap_option_name(18));
	ck_assert_ptr_null(madcap_type_name(0));
	ck_assert_ptr_null(madcap_type_name(9));
	ck_assert_str_eq(madcap_error_name(3), "Lease Identifier Not Recognized");
	ck_assert_ptr_null(madcap_error_name(1024));
	ck_assert_str_eq(madcap_feature_name(1), "Retry After");
}
END_TEST

START_TEST(rfc2730_2_5_columns)
{
	ck_assert_int_eq(madcap_column_of(MADCAP_ACK, MADCAP_RENEW), MADCAP_COLUMN_ACK_RENEW);
	ck_assert_int_eq(madcap_column_of(MADCAP_ACK, MADCAP_DISCOVER), MADCAP_COLUMNS);
	ck_assert_int_eq(madcap_column_of(0, 0), MADCAP_COLUMNS);
	ck_assert_int_eq(madcap_column_of(9, 0), MADCAP_COLUMNS);
}
END_TEST

static void assert_blames(const struct madcap_message *message, size_t column, uint16_t option)
{
	struct madcap_verdict verdict = madcap_message_check(message, table5[column].column, false);

	ck_assert_int_eq(verdict.fault, MADCAP_INVALID);
	ck_assert_uint_eq(verdict.option, option);
	ck_assert_ptr_nonnull(verdict.reason);
}

START_TEST(rules_that_tie_options_together)
{
	struct madcap_message message;

	message = full(4, MADCAP_IPV4, bits("3 4 6"));
	assert_blames(&message, 4, MADCAP_OPT_CURRENT_TIME);
	message = full(5, MADCAP_IPV4, bits("1 2 3 4 10 13"));
	assert_blames(&message, 5, MADCAP_OPT_CURRENT_TIME);
	message = full(4, MADCAP_IPV4, bits("3 4 15"));
	assert_blames(&message, 4, MADCAP_OPT_CURRENT_TIME);
	message = full(4, MADCAP_IPV4, bits("3 4 7"));
	message.count_min = 301;
	assert_blames(&message, 4, MADCAP_OPT_COUNT);
	message = full(5, MADCAP_IPV4, bits("1 2 3 4 10 12"));
	message.features.requested = message.features.supported;
	assert_blames(&message, 5, MADCAP_OPT_FEATURES);
	message = full(4, MADCAP_IPV4, bits("3 4 12"));
	message.features.required = (struct madcap_bytes){ (const uint8_t *)"\0\1", 2 };
	assert_blames(&message, 4, MADCAP_OPT_FEATURES);
	message = full(1, MADCAP_IPV4, bits("2 3 17"));
	assert_blames(&message, 1, MADCAP_OPT_NESTING);
	message = full(1, MADCAP_IPV4, bits("2 3 9"));
	memcpy(scope_list + 1 + 10, scope_list + 1, 4); /* the second begins as the first */
	assert_blames(&message, 1, MADCAP_OPT_SCOPE_LIST);
}
END_TEST

/* ---- octets by hand -------------------------------------------------------------------------- */

struct octets {
	const char *what;
	const char *option; /* code, length, value */
	size_t size;
	enum madcap_fault fault;
	uint16_t blamed;
};

#define OCTETS(text) text, sizeof(text) - 1

static const struct octets octets[] = {
	{ "lease time, 3 octets", OCTETS("\0\1\0\3abc"), MADCAP_INVALID, 1 },
	{ "lease time, 5 octets", OCTETS("\0\1\0\5abcde"), MADCAP_INVALID, 1 },
	{ "lease time, none", OCTETS("\0\1\0\0"), MADCAP_INVALID, 1 },
	{ "server, 2 octets", OCTETS("\0\2\0\2\0\1"), MADCAP_INVALID, 2 },
	{ "server, IPv4 of 3", OCTETS("\0\2\0\5\0\1abc"), MADCAP_INVALID, 2 },
	{ "server, IPv4 of 5", OCTETS("\0\2\0\7\0\1abcde"), MADCAP_INVALID, 2 },
	{ "server of another family", OCTETS("\0\2\0\3\0\7a"), MADCAP_FINE, 0 },
	{ "empty lease identifier", OCTETS("\0\3\0\0"), MADCAP_INVALID, 3 },
	{ "scope of 3 octets", OCTETS("\0\4\0\3abc"), MADCAP_INVALID, 4 },
	{ "scope of 16 octets", OCTETS("\0\4\0\20abcdefghijklmnop"), MADCAP_INVALID, 4 },
	{ "empty option request", OCTETS("\0\5\0\0"), MADCAP_INVALID, 5 },
	{ "odd option request", OCTETS("\0\5\0\3abc"), MADCAP_INVALID, 5 },
	{ "start of 2", OCTETS("\0\6\0\2ab"), MADCAP_INVALID, 6 },
	{ "count of 2", OCTETS("\0\7\0\2ab"), MADCAP_INVALID, 7 },
	{ "empty language", OCTETS("\0\10\0\0"), MADCAP_FINE, 0 },
	{ "empty scope list", OCTETS("\0\11\0\0"), MADCAP_FINE, 0 },
	{ "scope list of no scopes", OCTETS("\0\11\0\1\0"), MADCAP_FINE, 0 },
	{ "scope list that lacks one", OCTETS("\0\11\0\1\1"), MADCAP_INVALID, 9 },
	{ "scope list with more", OCTETS("\0\11\0\2\0\0"), MADCAP_INVALID, 9 },
	{ "scope without its name", OCTETS("\0\11\0\13\1abcdbcde\20\1"), MADCAP_INVALID, 9 },
	{ "name without language", OCTETS("\0\11\0\17\1abcdbcde\20\1\0\0\1x"), MADCAP_INVALID, 9 },
	{ "language without name", OCTETS("\0\11\0\17\1abcdbcde\20\1\0\1x\0"), MADCAP_INVALID, 9 },
	{ "scope that ends before it begins", OCTETS("\0\11\0\13\1bbcdabcd\20\0"), MADCAP_INVALID,
	  9 },
	{ "scope with a name", OCTETS("\0\11\0\20\1abcdbcde\20\1\0\1x\1y"), MADCAP_FINE, 0 },
	{ "empty ranges", OCTETS("\0\12\0\0"), MADCAP_FINE, 0 },
	{ "ranges of 5", OCTETS("\0\12\0\5abcde"), MADCAP_INVALID, 10 },
	{ "ranges past the end", OCTETS("\0\12\0\6\xff\xff\xff\xff\0\2"), MADCAP_INVALID, 10 },
	{ "range to the end", OCTETS("\0\12\0\6\xff\xff\xff\xff\0\1"), MADCAP_FINE, 0 },
	{ "features, 5 octets", OCTETS("\0\14\0\5abcde"), MADCAP_INVALID, 12 },
	{ "features cut short", OCTETS("\0\14\0\6\0\0\0\0\0\1"), MADCAP_INVALID, 12 },
	{ "features with more", OCTETS("\0\14\0\10\0\0\0\0\0\0ab"), MADCAP_INVALID, 12 },
	{ "features, all empty", OCTETS("\0\14\0\6\0\0\0\0\0\0"), MADCAP_FINE, 0 },
	{ "error of 1", OCTETS("\0\20\0\1a"), MADCAP_INVALID, 16 },
	{ "error without data", OCTETS("\0\20\0\2\0\3"), MADCAP_FINE, 0 },
	{ "nesting, empty", OCTETS("\0\21\0\0"), MADCAP_INVALID, 17 },
	{ "nesting of 9, short", OCTETS("\0\21\0\11\11abcdefgh"), MADCAP_INVALID, 17 },
	{ "nesting of 1", OCTETS("\0\21\0\1\1"), MADCAP_FINE, 0 },
	{ "unknown", OCTETS("\x12\x34\0\3abc"), MADCAP_FINE, 0 },
	{ "unknown, twice", OCTETS("\0\22\0\0\0\22\0\0"), MADCAP_FINE, 0 },
	{ "twice", OCTETS("\0\13\0\4abcd\0\13\0\4abcd"), MADCAP_INVALID, 11 },
	{ "twice, malformed first", OCTETS("\0\13\0\3abc\0\13\0\4abcd"), MADCAP_INVALID, 11 },
	{ "the first fault counts", OCTETS("\0\16\0\3abc\0\1\0\3abc"), MADCAP_INVALID, 14 },
	{ "length past the end", OCTETS("\0\1\0\77abcd"), MADCAP_IGNORE, 0xffff },
	{ "garbled behind a fault", OCTETS("\0\1\0\3abc\0\5\xff\xff"), MADCAP_IGNORE, 0xffff },
};

START_TEST(octets_by_hand)
{
	const struct octets *one = &octets[_i];
	static const uint8_t head[8] = { 0, MADCAP_GETINFO, 0, MADCAP_IPV4, 1, 2, 3, 4 };
	struct madcap_message message;
	struct madcap_verdict verdict;
	uint8_t buf[256] = { 0 };

	memcpy(buf, head, 8);
	memcpy(buf + 8, one->option, one->size);
	verdict = madcap_message_decode(buf, 8 + one->size + 4, &message);
	ck_assert_msg(verdict.fault == one->fault, "%s: fault %d (%s)", one->what, verdict.fault,
		      verdict.reason == NULL ? "" : verdict.reason);
	if (one->fault == MADCAP_INVALID)
		ck_assert_msg(verdict.option == one->blamed, "%s: option %u", one->what,
			      verdict.option);
	ck_assert_uint_eq(message.xid, 0x01020304);
}
END_TEST

/* RFC 2730, 3.10: the example's scopes (whose length it gives as 51). */
START_TEST(rfc2730_3_10_example)
{
	static const uint8_t option[] =
		"\0\5\0\1\0\0\0\1\0\11\0\63\2"
		"\xef\xc0\0\0\xef\xc3\xff\xff\12\1\x80\2en\17Inside abcd.com"
		"\xe0\0\1\0\xee\xff\xff\xff\20\1\x80\2en\5world\0\0\0";
	struct madcap_scope_reader reader;
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;
	struct madcap_message message;

	ck_assert_uint_eq(sizeof(option), 8 + 4 + 51 + 4);
	ck_assert_int_eq(madcap_message_decode(option, sizeof(option), &message).fault,
			 MADCAP_FINE);
	ck_assert_uint_eq(madcap_scopes_begin(&message, &reader), 2);
	ck_assert(madcap_scopes_next(&reader, &entry));
	ck_assert_uint_eq(entry.ttl, 10);
	ck_assert(madcap_scopes_name(&reader, &name));
	ck_assert_uint_eq(name.name.size, 15);
	ck_assert_mem_eq(name.name.data, "Inside abcd.com", 15);
	ck_assert(madcap_scopes_next(&reader, &entry));
	ck_assert(madcap_scopes_name(&reader, &name));
	ck_assert_mem_eq(name.name.data, "world", 5);
	ck_assert(!madcap_scopes_next(&reader, &entry));
}
END_TEST

/* RFC 2907, 3.2, Figure 4: S1 nests in S2, S2 in S3 and S4, and so on to S7. */
static bool figure4(const void *context, unsigned int inner, unsigned int outer)
{
	(void)context;
	return inner < outer && !(inner == 2 && outer == 3);
}

START_TEST(rfc2907_3_2_figure_4)
{
	static const uint8_t expected[] = { 7, 0xfc, 0x7c, 0x1c, 0x1c, 0x0c, 0x04, 0x00 };
	uint8_t buf[16];
	struct wire_writer writer;

	wire_writer_init(&writer, buf, sizeof(buf));
	madcap_nesting_write(&writer, 7, figure4, NULL);
	ck_assert_uint_eq(writer.at, sizeof(expected));
	ck_assert_mem_eq(buf, expected, sizeof(expected));
}
END_TEST

/* Their count is one octet. */
START_TEST(rfc2907_3_3_more_scopes_than_can_be_counted)
{
	static uint8_t buf[65536];
	struct wire_writer writer;

	wire_writer_init(&writer, buf, sizeof(buf));
	madcap_nesting_write(&writer, UINT8_MAX, figure4, NULL);
	ck_assert(!writer.failed);
	wire_writer_init(&writer, buf, sizeof(buf));
	madcap_nesting_write(&writer, UINT8_MAX + 1, figure4, NULL);
	ck_assert(writer.failed);
}
END_TEST

START_TEST(rfc2907_5_other_counts_are_ignored)
{
	struct madcap_message message = full(1, MADCAP_IPV4, bits("2 3 9 17"));

	ck_assert(madcap_nesting_is(&message, 0, 1));
	ck_assert(!madcap_nesting_is(&message, 1, 0));
	ck_assert(!madcap_nesting_is(&message, 1, 1));
	ck_assert(!madcap_nesting_is(&message, 0, 3));
	message.nesting = (struct madcap_bytes){ (const uint8_t *)"\2\xff\xff", 3 };
	ck_assert(!madcap_nesting_is(&message, 0, 1));
}
END_TEST

START_TEST(printing)
{
	struct madcap_message message = fullest((size_t)_i, MADCAP_IPV4);
	char text[2048], cut[64];

	madcap_message_print(&message, false, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, madcap_type_name(message.type)));
	ck_assert_ptr_nonnull(strstr(text, "xid=12345678"));
	ck_assert_ptr_nonnull(strstr(text, "lease-id=00616263...(9)"));
	ck_assert_ptr_null(strstr(text, "6465666768"));
	madcap_message_print(&message, true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "lease-id=006162636465666768"));
	for (size_t size = 1; size < sizeof(cut); size++) {
		madcap_message_print(&message, false, cut, size);
		ck_assert_uint_lt(strlen(cut), size);
	}
}
END_TEST

START_TEST(printing_keeps_strange_text_out_of_logs)
{
	struct madcap_message message = { .type = 99, .present = 1U << MADCAP_OPT_LANGUAGE };
	char text[256];

	message.language = (struct madcap_bytes){ (const uint8_t *)"a\n\"\x1b", 4 };
	madcap_message_print(&message, false, text, sizeof(text));
	ck_assert_str_eq(text, "type-99 xid=00000000 language=\"a\\x0a\\x22\\x1b\"");
}
END_TEST

/* ---- addresses ------------------------------------------------------------------------------- */

START_TEST(addresses_count)
{
	static const struct {
		const char *from;
		uint64_t n;
		const char *to; /* NULL: none */
	} cases[] = {
		{ "239.255.255.255", 1, "240.0.0.0" },
		{ "255.255.255.255", 1, NULL },
		{ "0.0.0.0", UINT32_MAX, "255.255.255.255" },
		{ "0.0.0.1", UINT32_MAX, NULL },
		{ "ff15::ffff:ffff:ffff:ffff", 1, "ff15:0:0:1::" },
		{ "ff15::", UINT64_MAX, "ff15::ffff:ffff:ffff:ffff" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, NULL },
		{ "239.1.2.3", 0, "239.1.2.3" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct madcap_address from, to, sum;
		uint64_t n = 0;

		ck_assert(madcap_address_parse(cases[i].from, &from));
		if (cases[i].to == NULL) {
			ck_assert(!madcap_address_add(&from, cases[i].n, &sum));
			continue;
		}
		ck_assert(madcap_address_parse(cases[i].to, &to));
		ck_assert(madcap_address_add(&from, cases[i].n, &sum));
		ck_assert(madcap_address_equal(&sum, &to));
		ck_assert(madcap_address_distance(&from, &to, &n));
		ck_assert_uint_eq(n, cases[i].n);
		ck_assert(n == 0 || !madcap_address_distance(&to, &from, &n));
	}
}
END_TEST

START_TEST(distances_that_do_not_fit)
{
	struct madcap_address a, b;
	uint64_t n = 9;

	ck_assert(madcap_address_parse("ff15::", &a));
	ck_assert(madcap_address_parse("ff15:0:0:1::", &b));
	ck_assert(!madcap_address_distance(&a, &b, &n));
	ck_assert(madcap_address_parse("255.0.0.0", &b));
	ck_assert(!madcap_address_distance(&b, &a, &n));
	ck_assert_uint_eq(n, 9);
}
END_TEST

START_TEST(ranges_parse)
{
	static const struct {
		const char *text;
		const char *first; /* NULL: refused */
		const char *last;
	} cases[] = {
		{ "239.192.0.0/14", "239.192.0.0", "239.195.255.255" },
		{ "239.192.0.0-239.192.0.9", "239.192.0.0", "239.192.0.9" },
		{ "239.192.0.7", "239.192.0.7", "239.192.0.7" },
		{ "ff15::/112", "ff15::", "ff15::ffff" },
		{ "ff15::1-ff15::1", "ff15::1", "ff15::1" },
		{ "0.0.0.0/0", "0.0.0.0", "255.255.255.255" },
		{ "239.192.0.1/14", NULL, NULL },
		{ "239.192.0.0/33", NULL, NULL },
		{ "239.192.0.9-239.192.0.0", NULL, NULL },
		{ "239.192.0.0-ff15::", NULL, NULL },
		{ "239.192.0.0-", NULL, NULL },
		{ "", NULL, NULL },
		{ " 239.1.1.1", NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct madcap_address first, last;
		char a[MADCAP_ADDRESS_TEXT], b[MADCAP_ADDRESS_TEXT];

		ck_assert_int_eq(madcap_range_parse(cases[i].text, &first, &last),
				 cases[i].first != NULL);
		if (cases[i].first == NULL)
			continue;
		ck_assert_str_eq(madcap_address_format(&first, a), cases[i].first);
		ck_assert_str_eq(madcap_address_format(&last, b), cases[i].last);
	}
}
END_TEST

START_TEST(rfc2730_2_10_server_group_is_the_last_address_less_one)
{
	static const char *const cases[][2] = {
		{ "239.255.255.255", "239.255.255.254" },
		{ "239.192.1.0", "239.192.0.255" },
		{ "ff15:0:0:1::", "ff15::ffff:ffff:ffff:ffff" },
	};
	char text[MADCAP_ADDRESS_TEXT];
	struct madcap_address address;

	for (size_t i = 0; i < 3; i++) {
		ck_assert(madcap_address_parse(cases[i][0], &address));
		address = madcap_server_group(&address);
		ck_assert_str_eq(madcap_address_format(&address, text), cases[i][1]);
	}
	address = madcap_local_group(MADCAP_IPV4);
	ck_assert_str_eq(madcap_address_format(&address, text), "239.255.255.254");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("messages");

	tcase_add_loop_test(tcase, every_message_goes_out_and_comes_in, 0, N_COLUMNS);
	tcase_add_loop_test(tcase, every_truncation_is_ignored, 0, N_COLUMNS);
	tcase_add_loop_test(tcase, encoding_is_all_or_nothing, 0, N_COLUMNS);
	tcase_add_test(tcase, encoding_refuses_values_that_break_their_rules);
	tcase_add_loop_test(tcase, rfc2730_3_table_5, 0, N_COLUMNS);
	tcase_add_test(tcase, rfc2730_3_table_5_for_other_users);
	tcase_add_test(tcase, rfc2730_2_5_columns);
	tcase_add_test(tcase, rules_that_tie_options_together);
	tcase_add_loop_test(tcase, octets_by_hand, 0, sizeof(octets) / sizeof(octets[0]));
	tcase_add_test(tcase, rfc2730_3_10_example);
	tcase_add_test(tcase, rfc2907_3_2_figure_4);
	tcase_add_test(tcase, rfc2907_3_3_more_scopes_than_can_be_counted);
	tcase_add_test(tcase, rfc2907_5_other_counts_are_ignored);
	tcase_add_loop_test(tcase, printing, 0, N_COLUMNS);
	tcase_add_test(tcase, printing_keeps_strange_text_out_of_logs);
	tcase_add_test(tcase, addresses_count);
	tcase_add_test(tcase, distances_that_do_not_fit);
	tcase_add_test(tcase, ranges_parse);
	tcase_add_test(tcase, rfc2730_2_10_server_group_is_the_last_address_less_one);
	return run_tcase("madcap_message", tcase);
}
