/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <stddef.h>
#include <string.h>

#include "address.h"
#include "message_table.h"

bool madcap_message_has(const struct madcap_message *message, enum madcap_option option)
{
	return (message->present >> (unsigned int)option & 1) != 0;
}

void madcap_message_set(struct madcap_message *message, enum madcap_option option)
{
	message->present |= UINT32_C(1) << (unsigned int)option;
}

static struct madcap_verdict fine(void)
{
	return (struct madcap_verdict){ MADCAP_FINE, MADCAP_OPT_NONE, NULL };
}

static struct madcap_verdict ignore(const char *reason)
{
	return (struct madcap_verdict){ MADCAP_IGNORE, MADCAP_OPT_NONE, reason };
}

static struct madcap_verdict invalid(uint16_t option, const char *reason)
{
	return (struct madcap_verdict){ MADCAP_INVALID, option, reason };
}

/* ---- values ---------------------------------------------------------------------------------- */

size_t madcap_codes_count(struct madcap_bytes codes)
{
	return codes.size / 2;
}

uint16_t madcap_codes_at(struct madcap_bytes codes, size_t index)
{
	return (uint16_t)(codes.data[2 * index] << 8 | codes.data[2 * index + 1]);
}

bool madcap_codes_has(struct madcap_bytes codes, uint16_t code)
{
	for (size_t i = 0; i < madcap_codes_count(codes); i++) {
		if (madcap_codes_at(codes, i) == code)
			return true;
	}
	return false;
}

/* A count and as many codes. */
static struct madcap_bytes read_codes(struct wire_reader *reader)
{
	size_t size = 2 * (size_t)wire_read_u16(reader);
	const uint8_t *data = wire_read_bytes(reader, size);

	return (struct madcap_bytes){ data, data == NULL ? 0 : size };
}

static bool read_features(struct wire_reader *reader, struct madcap_features *ret)
{
	ret->supported = read_codes(reader);
	ret->requested = read_codes(reader);
	ret->required = read_codes(reader);
	return wire_reader_finished(reader);
}

static bool read_address(struct wire_reader *reader, uint16_t family, struct madcap_address *ret)
{
	const uint8_t *bytes = wire_read_bytes(reader, madcap_family_size(family));

	if (bytes == NULL || madcap_family_size(family) == 0)
		return false;
	*ret = madcap_address_make(family, bytes);
	return true;
}

/* The server's family is the option's own (3.3). One that we do not know is kept as "none": the
 * option is well-formed, it is just nobody that we could be. */
static bool read_server_id(struct wire_reader *reader, struct madcap_address *ret)
{
	uint16_t family = wire_read_u16(reader);

	if (madcap_family_size(family) == 0) {
		*ret = (struct madcap_address){ .family = 0 };
		return reader->size >= 3;
	}
	return read_address(reader, family, ret) && wire_reader_finished(reader);
}

/* Whole entries, and every range stays inside the family's addresses. */
static bool ranges_fit(struct madcap_bytes ranges, uint16_t family)
{
	size_t entry = madcap_family_size(family) + 2;

	if (entry == 2 || ranges.size % entry != 0)
		return false;
	for (size_t at = 0; at < ranges.size; at += entry) {
		struct madcap_address first = madcap_address_make(family, ranges.data + at);
		const uint8_t *count = ranges.data + at + entry - 2;
		unsigned int n = (unsigned int)(count[0] << 8 | count[1]);
		struct madcap_address last;

		if (n > 0 && !madcap_address_add(&first, n - 1, &last))
			return false;
	}
	return true;
}

bool madcap_scopes_next(struct madcap_scope_reader *reader, struct madcap_scope_entry *ret)
{
	if (reader->left == 0)
		return false;
	reader->left--;
	if (!read_address(&reader->wire, reader->family, &ret->first) ||
	    !read_address(&reader->wire, reader->family, &ret->last))
		return false;
	ret->ttl = wire_read_u8(&reader->wire);
	ret->n_names = wire_read_u8(&reader->wire);
	return !reader->wire.failed;
}

static struct madcap_bytes read_text8(struct wire_reader *reader)
{
	size_t size = wire_read_u8(reader);
	const uint8_t *data = wire_read_bytes(reader, size);

	return (struct madcap_bytes){ data, data == NULL ? 0 : size };
}

bool madcap_scopes_name(struct madcap_scope_reader *reader, struct madcap_scope_name *ret)
{
	ret->flags = wire_read_u8(&reader->wire);
	ret->language = read_text8(&reader->wire);
	ret->name = read_text8(&reader->wire);
	return !reader->wire.failed && ret->language.size > 0 && ret->name.size > 0;
}

static struct madcap_scope_reader scope_reader(struct madcap_bytes list, uint16_t family)
{
	struct madcap_scope_reader reader = { .family = family };

	wire_reader_init(&reader.wire, list.data, list.size);
	/* An option without even the count is an empty list: its minimum length is 0. */
	if (list.size > 0)
		reader.left = wire_read_u8(&reader.wire);
	return reader;
}

unsigned int madcap_scopes_begin(const struct madcap_message *message,
				 struct madcap_scope_reader *ret)
{
	*ret = scope_reader(message->scope_list, message->family);
	return ret->left;
}

static bool scopes_fit(struct madcap_bytes list, uint16_t family)
{
	struct madcap_scope_reader reader = scope_reader(list, family);
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;

	if (madcap_family_size(family) == 0)
		return false;
	while (reader.left > 0) {
		if (!madcap_scopes_next(&reader, &entry) ||
		    madcap_address_compare(&entry.first, &entry.last) > 0)
			return false;
		for (unsigned int i = 0; i < entry.n_names; i++) {
			if (!madcap_scopes_name(&reader, &name))
				return false;
		}
	}
	return wire_reader_finished(&reader.wire);
}

/* RFC 2907, 5: a count and that many rows of count - 1 bits, each row padded to octets. */
static bool nesting_fits(struct madcap_bytes value)
{
	size_t n = value.size > 0 ? value.data[0] : 0;
	size_t row = n > 0 ? (n - 1 + 7) / 8 : 0;

	return value.size == 1 + n * row;
}

/* ---- decoding -------------------------------------------------------------------------------- */

/* Reads one value into its field. False if it breaks the option's own rules. */
static bool decode_value(const struct madcap_option_row *row, struct madcap_bytes value,
			 struct madcap_message *message)
{
	void *field = (uint8_t *)message + row->field;
	struct wire_reader reader;

	wire_reader_init(&reader, value.data, value.size);
	switch (row->kind) {
	case MADCAP_KIND_END:
		return false;
	case MADCAP_KIND_SECONDS:
	case MADCAP_KIND_TIME:
		*(uint32_t *)field = wire_read_u32(&reader);
		return wire_reader_finished(&reader);
	case MADCAP_KIND_COUNTS:
		message->count_min = wire_read_u16(&reader);
		message->count_desired = wire_read_u16(&reader);
		return wire_reader_finished(&reader);
	case MADCAP_KIND_SERVER_ID:
		return read_server_id(&reader, field);
	case MADCAP_KIND_ADDRESS:
		return read_address(&reader, message->family, field) &&
		       wire_reader_finished(&reader);
	case MADCAP_KIND_FEATURES:
		return read_features(&reader, field);
	case MADCAP_KIND_ERROR:
		message->error_code = wire_read_u16(&reader);
		message->error_data = (struct madcap_bytes){ value.data + 2, value.size - 2 };
		return true;
	case MADCAP_KIND_OPAQUE:
	case MADCAP_KIND_TEXT:
	case MADCAP_KIND_CODES:
	case MADCAP_KIND_SCOPES:
	case MADCAP_KIND_RANGES:
	case MADCAP_KIND_NESTING:
		*(struct madcap_bytes *)field = value;
		return madcap_list_fits(row->kind, value, message->family);
	}
	return false;
}

bool madcap_list_fits(enum madcap_kind kind, struct madcap_bytes value, uint16_t family)
{
	if (kind == MADCAP_KIND_CODES)
		return value.size % 2 == 0;
	if (kind == MADCAP_KIND_SCOPES)
		return scopes_fit(value, family);
	if (kind == MADCAP_KIND_RANGES)
		return ranges_fit(value, family);
	if (kind == MADCAP_KIND_NESTING)
		return nesting_fits(value);
	return true;
}

static struct madcap_verdict decode_option(uint16_t code, struct madcap_bytes value,
					   struct madcap_message *message)
{
	const struct madcap_option_row *row = madcap_option_row(code);

	if (row == NULL)
		return fine();
	if (madcap_message_has(message, (enum madcap_option)code))
		return invalid(code, "an option stands twice");
	madcap_message_set(message, (enum madcap_option)code);
	if (value.size < row->min_size || !decode_value(row, value, message)) {
		/* A value that cannot be trusted is not to be read either, but the lease
		 * identifier's, which has no wrong ones. */
		message->present &= ~(UINT32_C(1) << code);
		return invalid(code, "an option is malformed");
	}
	return fine();
}

/* The options up to End, which has to be the last octets (2.1.5). */
static struct madcap_verdict decode_options(struct wire_reader *reader,
					    struct madcap_message *message)
{
	struct madcap_verdict first = fine();
	uint32_t seen = 0;

	for (;;) {
		uint16_t code = wire_read_u16(reader);
		size_t size = wire_read_u16(reader);
		struct madcap_bytes value = { wire_read_bytes(reader, size), size };
		struct madcap_verdict verdict;

		if (reader->failed)
			return ignore("the option list is cut short or has no End");
		if (code == MADCAP_OPT_END && (size > 0 || !wire_reader_finished(reader)))
			return ignore("End is not the last option");
		if (code == MADCAP_OPT_END)
			return first;
		verdict = decode_option(code, value, message);
		/* Also the second of two that were malformed stands twice. */
		if (code < MADCAP_OPT_COUNT_KNOWN && (seen >> code & 1) != 0)
			verdict = invalid(code, "an option stands twice");
		if (code < MADCAP_OPT_COUNT_KNOWN)
			seen |= UINT32_C(1) << code;
		if (first.fault == MADCAP_FINE)
			first = verdict;
	}
}

struct madcap_verdict madcap_message_decode(const void *data, size_t size,
					    struct madcap_message *ret)
{
	struct madcap_verdict verdict;
	struct wire_reader reader;
	uint8_t version;

	memset(ret, 0, sizeof(*ret));
	wire_reader_init(&reader, data, size);
	version = wire_read_u8(&reader);
	ret->type = wire_read_u8(&reader);
	ret->family = wire_read_u16(&reader);
	ret->xid = wire_read_u32(&reader);
	if (size < MADCAP_SIZE_MIN)
		return ignore("shorter than any message");
	if (version != MADCAP_VERSION)
		return ignore("another version of the protocol");
	verdict = decode_options(&reader, ret);
	if (verdict.fault != MADCAP_IGNORE && madcap_family_size(ret->family) == 0)
		return invalid(MADCAP_OPT_NONE, "an address family that is not served");
	return verdict;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static void write_codes(struct wire_writer *writer, struct madcap_bytes codes)
{
	if (codes.size % 2 != 0 || codes.size / 2 > UINT16_MAX) {
		writer->failed = true;
		return;
	}
	wire_write_u16(writer, (uint16_t)(codes.size / 2));
	wire_write_bytes(writer, codes.data, codes.size);
}

static void write_address(struct wire_writer *writer, const struct madcap_address *address,
			  uint16_t family)
{
	if (address->family != family || madcap_family_size(family) == 0)
		writer->failed = true;
	wire_write_bytes(writer, address->bytes, madcap_family_size(family));
}

static void encode_value(struct wire_writer *writer, const struct madcap_option_row *row,
			 const struct madcap_message *message)
{
	const void *field = (const uint8_t *)message + row->field;
	const struct madcap_bytes *bytes = field;
	const struct madcap_address *address = field;

	switch (row->kind) {
	case MADCAP_KIND_END:
		break;
	case MADCAP_KIND_SECONDS:
	case MADCAP_KIND_TIME:
		wire_write_u32(writer, *(const uint32_t *)field);
		break;
	case MADCAP_KIND_COUNTS:
		wire_write_u16(writer, message->count_min);
		wire_write_u16(writer, message->count_desired);
		break;
	case MADCAP_KIND_SERVER_ID:
		wire_write_u16(writer, address->family);
		write_address(writer, address, address->family);
		break;
	case MADCAP_KIND_ADDRESS:
		write_address(writer, address, message->family);
		break;
	case MADCAP_KIND_FEATURES:
		write_codes(writer, message->features.supported);
		write_codes(writer, message->features.requested);
		write_codes(writer, message->features.required);
		break;
	case MADCAP_KIND_ERROR:
		wire_write_u16(writer, message->error_code);
		wire_write_bytes(writer, message->error_data.data, message->error_data.size);
		break;
	case MADCAP_KIND_OPAQUE:
	case MADCAP_KIND_TEXT:
	case MADCAP_KIND_CODES:
	case MADCAP_KIND_SCOPES:
	case MADCAP_KIND_RANGES:
	case MADCAP_KIND_NESTING:
		if (!madcap_list_fits(row->kind, *bytes, message->family))
			writer->failed = true;
		wire_write_bytes(writer, bytes->data, bytes->size);
		break;
	}
}

/* Writes the value behind its head and puts the length in afterwards. */
static void encode_option(struct wire_writer *writer, const struct madcap_option_row *row,
			  const struct madcap_message *message)
{
	struct wire_writer head = *writer;
	size_t size;

	wire_write_u32(writer, 0);
	encode_value(writer, row, message);
	if (writer->failed)
		return;
	size = writer->at - head.at - 4;
	if (size < row->min_size || size > UINT16_MAX) {
		writer->failed = true;
		return;
	}
	wire_write_u16(&head, row->code);
	wire_write_u16(&head, (uint16_t)size);
}

bool madcap_message_encode(const struct madcap_message *message, void *buf, size_t size,
			   size_t *ret_size)
{
	struct wire_writer writer;

	wire_writer_init(&writer, buf, size);
	wire_write_u8(&writer, MADCAP_VERSION);
	wire_write_u8(&writer, message->type);
	wire_write_u16(&writer, message->family);
	wire_write_u32(&writer, message->xid);
	for (uint16_t code = 0; code < 32; code++) {
		const struct madcap_option_row *row = madcap_option_row(code);

		if ((message->present >> code & 1) == 0)
			continue;
		if (row == NULL || row->kind == MADCAP_KIND_END)
			return false;
		encode_option(&writer, row, message);
	}
	wire_write_u32(&writer, MADCAP_OPT_END);
	if (writer.failed)
		return false;
	*ret_size = writer.at;
	return true;
}

/* ---- checking -------------------------------------------------------------------------------- */

static bool has_absolute_time(const struct madcap_message *message)
{
	return madcap_message_has(message, MADCAP_OPT_START_TIME) ||
	       madcap_message_has(message, MADCAP_OPT_MAX_START_TIME) ||
	       madcap_message_has(message, MADCAP_OPT_RETRY_TIME);
}

static bool from_server(enum madcap_column column)
{
	switch (column) {
	case MADCAP_COLUMN_GETINFO:
	case MADCAP_COLUMN_DISCOVER:
	case MADCAP_COLUMN_REQUEST:
	case MADCAP_COLUMN_RENEW:
	case MADCAP_COLUMN_RELEASE:
		return false;
	case MADCAP_COLUMN_ACK_GETINFO:
	case MADCAP_COLUMN_OFFER:
	case MADCAP_COLUMN_ACK_REQUEST:
	case MADCAP_COLUMN_ACK_RENEW:
	case MADCAP_COLUMN_ACK_RELEASE:
	case MADCAP_COLUMN_NAK:
	case MADCAP_COLUMNS:
		break;
	}
	return true;
}

static struct madcap_verdict check_features(const struct madcap_message *message,
					    enum madcap_column column)
{
	const struct madcap_features *features = &message->features;

	if (!madcap_message_has(message, MADCAP_OPT_FEATURES))
		return fine();
	if (from_server(column) && features->requested.size > 0)
		return invalid(MADCAP_OPT_FEATURES, "a server requests features");
	if (!from_server(column) &&
	    (madcap_codes_has(features->requested, MADCAP_FEATURE_RETRY_AFTER) ||
	     madcap_codes_has(features->required, MADCAP_FEATURE_RETRY_AFTER)))
		return invalid(MADCAP_OPT_FEATURES, "Retry After is the server's choice alone");
	return fine();
}

/* Known by their first addresses (3.10). */
static bool scopes_are_distinct(const struct madcap_message *message)
{
	struct madcap_address firsts[UINT8_MAX]; /* the list counts them in one octet */
	struct madcap_scope_reader reader;
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;
	unsigned int n;

	madcap_scopes_begin(message, &reader);
	for (n = 0; madcap_scopes_next(&reader, &entry); n++) {
		for (unsigned int i = 0; i < n; i++) {
			if (madcap_address_equal(&firsts[i], &entry.first))
				return false;
		}
		firsts[n] = entry.first;
		for (unsigned int i = 0; i < entry.n_names; i++)
			(void)madcap_scopes_name(&reader, &name);
	}
	return true;
}

static struct madcap_verdict check_scopes(const struct madcap_message *message)
{
	bool has_scopes = madcap_message_has(message, MADCAP_OPT_SCOPE_LIST);

	if (!has_scopes && madcap_message_has(message, MADCAP_OPT_NESTING))
		return invalid(MADCAP_OPT_NESTING, "nesting state without a scope list");
	if (has_scopes && !scopes_are_distinct(message))
		return invalid(MADCAP_OPT_SCOPE_LIST, "a scope is listed twice");
	return fine();
}

static struct madcap_verdict check_ties(const struct madcap_message *message,
					enum madcap_column column, bool multicast)
{
	struct madcap_verdict verdict;

	if (has_absolute_time(message) && !madcap_message_has(message, MADCAP_OPT_CURRENT_TIME))
		return invalid(MADCAP_OPT_CURRENT_TIME, "a time of day without Current Time");
	if (madcap_message_has(message, MADCAP_OPT_COUNT) &&
	    message->count_min > message->count_desired)
		return invalid(MADCAP_OPT_COUNT, "fewer addresses desired than needed");
	if (multicast && column == MADCAP_COLUMN_REQUEST &&
	    !madcap_message_has(message, MADCAP_OPT_SERVER_ID))
		return invalid(MADCAP_OPT_SERVER_ID, "a multicast REQUEST that names no server");
	verdict = check_features(message, column);
	return verdict.fault == MADCAP_FINE ? check_scopes(message) : verdict;
}

struct madcap_verdict madcap_message_check(const struct madcap_message *message,
					   enum madcap_column column, bool multicast)
{
	if (column >= MADCAP_COLUMNS)
		return invalid(MADCAP_OPT_NONE, "no such message type here");
	for (uint16_t code = 1; code < MADCAP_OPT_COUNT_KNOWN; code++) {
		char rule = madcap_option_row(code)->columns[column];
		bool has = madcap_message_has(message, (enum madcap_option)code);

		if (rule == 'M' && !has)
			return invalid(code, "a required option is missing");
		if (rule == ' ' && has)
			return invalid(code, "an option that has no place in this message");
	}
	return check_ties(message, column, multicast);
}

enum madcap_column madcap_column_of(uint8_t type, uint8_t answers)
{
	switch (type) {
	case MADCAP_DISCOVER:
		return MADCAP_COLUMN_DISCOVER;
	case MADCAP_OFFER:
		return MADCAP_COLUMN_OFFER;
	case MADCAP_REQUEST:
		return MADCAP_COLUMN_REQUEST;
	case MADCAP_RENEW:
		return MADCAP_COLUMN_RENEW;
	case MADCAP_NAK:
		return MADCAP_COLUMN_NAK;
	case MADCAP_RELEASE:
		return MADCAP_COLUMN_RELEASE;
	case MADCAP_GETINFO:
		return MADCAP_COLUMN_GETINFO;
	case MADCAP_ACK:
		break;
	default:
		return MADCAP_COLUMNS;
	}
	switch (answers) {
	case MADCAP_GETINFO:
		return MADCAP_COLUMN_ACK_GETINFO;
	case MADCAP_REQUEST:
		return MADCAP_COLUMN_ACK_REQUEST;
	case MADCAP_RENEW:
		return MADCAP_COLUMN_ACK_RENEW;
	case MADCAP_RELEASE:
		return MADCAP_COLUMN_ACK_RELEASE;
	default:
		return MADCAP_COLUMNS;
	}
}

/* ---- reading and building lists -------------------------------------------------------------- */

bool madcap_range_next(const struct madcap_message *message, size_t *at, struct madcap_range *ret)
{
	size_t entry = madcap_family_size(message->family) + 2;

	while (entry > 2 && message->ranges.size - *at >= entry) {
		const uint8_t *data = message->ranges.data + *at;
		uint16_t count = (uint16_t)(data[entry - 2] << 8 | data[entry - 1]);

		*at += entry;
		if (count == 0)
			continue;
		ret->first = madcap_address_make(message->family, data);
		ret->count = count;
		return true;
	}
	return false;
}

uint64_t madcap_ranges_total(const struct madcap_message *message)
{
	struct madcap_range range;
	uint64_t total = 0;
	size_t at = 0;

	while (madcap_range_next(message, &at, &range))
		total += range.count;
	return total;
}

void madcap_range_write(struct wire_writer *writer, const struct madcap_range *range)
{
	write_address(writer, &range->first, range->first.family);
	wire_write_u16(writer, range->count);
}

void madcap_scope_write(struct wire_writer *writer, const struct madcap_scope_entry *entry)
{
	write_address(writer, &entry->first, entry->first.family);
	write_address(writer, &entry->last, entry->first.family);
	wire_write_u8(writer, entry->ttl);
	wire_write_u8(writer, entry->n_names);
}

static void write_text8(struct wire_writer *writer, struct madcap_bytes text)
{
	if (text.size == 0 || text.size > UINT8_MAX)
		writer->failed = true;
	wire_write_u8(writer, (uint8_t)text.size);
	wire_write_bytes(writer, text.data, text.size);
}

void madcap_scope_name_write(struct wire_writer *writer, const struct madcap_scope_name *name)
{
	wire_write_u8(writer, name->flags);
	write_text8(writer, name->language);
	write_text8(writer, name->name);
}

/* The place of (inner, outer) in the matrix without its diagonal. */
static unsigned int nesting_bit(unsigned int inner, unsigned int outer)
{
	return outer < inner ? outer : outer - 1;
}

bool madcap_nesting_is(const struct madcap_message *message, unsigned int inner, unsigned int outer)
{
	const struct madcap_bytes *value = &message->nesting;
	struct madcap_scope_reader reader;
	unsigned int n = value->size > 0 ? value->data[0] : 0;
	unsigned int bit = nesting_bit(inner, outer);
	size_t row = n > 0 ? (n - 1 + 7) / 8 : 0;

	/* RFC 2907, 5: it goes with a scope list of the same length, or counts for nothing. */
	if (!madcap_message_has(message, MADCAP_OPT_NESTING) ||
	    madcap_scopes_begin(message, &reader) != n)
		return false;
	if (inner >= n || outer >= n || inner == outer)
		return false;
	return (value->data[1 + inner * row + bit / 8] & (0x80 >> (bit % 8))) != 0;
}

void madcap_nesting_write(struct wire_writer *writer, unsigned int n,
			  bool (*nests)(const void *context, unsigned int inner,
					unsigned int outer),
			  const void *context)
{
	writer->failed |= n > UINT8_MAX;
	wire_write_u8(writer, (uint8_t)n);
	for (unsigned int inner = 0; inner < n && !writer->failed; inner++) {
		uint8_t row[UINT8_MAX / 8 + 1] = { 0 };

		for (unsigned int outer = 0; outer < n; outer++) {
			unsigned int bit = nesting_bit(inner, outer);

			if (outer != inner && nests(context, inner, outer))
				row[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
		}
		wire_write_bytes(writer, row, (n - 1 + 7) / 8);
	}
}
