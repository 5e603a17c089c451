/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "address.h"
#include "message_table.h"

/* Octets of a lease identifier that a log may show. */
#define ID_SHOWN 4

/* Text that is cut, never overrun; what has been cut once gets nothing more. */
struct text {
	char *buf;
	size_t size;
	size_t at;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	if (text->at + 1 >= text->size)
		return;
	va_start(args, format);
	n = vsnprintf(text->buf + text->at, text->size - text->at, format, args);
	va_end(args);
	if (n > 0)
		text->at =
			(size_t)n < text->size - text->at ? text->at + (size_t)n : text->size - 1;
}

static void add_hex(struct text *text, struct madcap_bytes bytes, size_t most)
{
	for (size_t i = 0; i < bytes.size && i < most; i++)
		add(text, "%02x", bytes.data[i]);
	if (bytes.size > most)
		add(text, "...(%zu)", bytes.size);
}

/* Whatever stands in a datagram, a log gets printable ASCII. */
static void add_text(struct text *text, struct madcap_bytes bytes)
{
	add(text, "\"");
	for (size_t i = 0; i < bytes.size; i++) {
		uint8_t c = bytes.data[i];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
			add(text, "%c", c);
		else
			add(text, "\\x%02x", c);
	}
	add(text, "\"");
}

static void add_codes(struct text *text, struct madcap_bytes codes)
{
	for (size_t i = 0; i < madcap_codes_count(codes); i++)
		add(text, "%s%u", i > 0 ? "," : "", madcap_codes_at(codes, i));
}

static void add_address(struct text *text, const struct madcap_address *address)
{
	char buf[MADCAP_ADDRESS_TEXT];

	add(text, "%s", madcap_address_format(address, buf));
}

static void add_ranges(struct text *text, const struct madcap_message *message)
{
	struct madcap_range range;
	size_t at = 0;

	for (bool first = true; madcap_range_next(message, &at, &range); first = false) {
		add(text, "%s", first ? "" : ",");
		add_address(text, &range.first);
		add(text, "+%u", range.count);
	}
}

static void add_scopes(struct text *text, const struct madcap_message *message)
{
	struct madcap_scope_reader reader;
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;

	madcap_scopes_begin(message, &reader);
	for (bool first = true; madcap_scopes_next(&reader, &entry); first = false) {
		add(text, "%s", first ? "" : ",");
		add_address(text, &entry.first);
		add(text, "-");
		add_address(text, &entry.last);
		add(text, "/ttl%u", entry.ttl);
		for (unsigned int i = 0; i < entry.n_names; i++) {
			if (madcap_scopes_name(&reader, &name))
				add_text(text, name.name);
		}
	}
}

static void add_error(struct text *text, const struct madcap_message *message)
{
	const char *name = madcap_error_name(message->error_code);

	add(text, "%u", message->error_code);
	if (name != NULL)
		add(text, " (%s)", name);
	if (message->error_data.size > 0) {
		add(text, " data=");
		add_hex(text, message->error_data, 16);
	}
}

static void add_value(struct text *text, const struct madcap_option_row *row,
		      const struct madcap_message *message, bool secrets)
{
	const void *field = (const uint8_t *)message + row->field;

	switch (row->kind) {
	case MADCAP_KIND_END:
		break;
	case MADCAP_KIND_SECONDS:
	case MADCAP_KIND_TIME:
		add(text, "%" PRIu32, *(const uint32_t *)field);
		break;
	case MADCAP_KIND_COUNTS:
		add(text, "%u..%u", message->count_min, message->count_desired);
		break;
	case MADCAP_KIND_SERVER_ID:
	case MADCAP_KIND_ADDRESS:
		add_address(text, field);
		break;
	case MADCAP_KIND_OPAQUE:
		add_hex(text, *(const struct madcap_bytes *)field, secrets ? SIZE_MAX : ID_SHOWN);
		break;
	case MADCAP_KIND_TEXT:
		add_text(text, *(const struct madcap_bytes *)field);
		break;
	case MADCAP_KIND_CODES:
		add_codes(text, *(const struct madcap_bytes *)field);
		break;
	case MADCAP_KIND_FEATURES:
		add_codes(text, message->features.supported);
		add(text, "/");
		add_codes(text, message->features.requested);
		add(text, "/");
		add_codes(text, message->features.required);
		break;
	case MADCAP_KIND_SCOPES:
		add_scopes(text, message);
		break;
	case MADCAP_KIND_RANGES:
		add_ranges(text, message);
		break;
	case MADCAP_KIND_ERROR:
		add_error(text, message);
		break;
	case MADCAP_KIND_NESTING:
		add_hex(text, *(const struct madcap_bytes *)field, 64);
		break;
	}
}

char *madcap_message_print(const struct madcap_message *message, bool secrets, char *buf,
			   size_t size)
{
	const char *type = madcap_type_name(message->type);
	struct text text = { buf, size, 0 };

	if (size == 0)
		return buf;
	buf[0] = '\0';
	if (type != NULL)
		add(&text, "%s", type);
	else
		add(&text, "type-%u", message->type);
	add(&text, " xid=%08" PRIx32, message->xid);
	for (uint16_t code = 1; code < MADCAP_OPT_COUNT_KNOWN; code++) {
		const struct madcap_option_row *row = madcap_option_row(code);

		if (!madcap_message_has(message, (enum madcap_option)code))
			continue;
		add(&text, " %s=", row->label);
		add_value(&text, row, message, secrets);
	}
	return buf;
}
