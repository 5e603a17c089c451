/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: one datagram through decoder, checks, list readers and printer. What decodes is
 * encoded again, and decodes to the same.
 */
#include "fuzz.h"
#include "madcap/address.h"
#include "madcap/message.h"

static void read_lists(const struct madcap_message *message)
{
	struct madcap_scope_reader reader;
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;
	struct madcap_range range;
	uint64_t total = 0;
	size_t at = 0;

	while (madcap_range_next(message, &at, &range)) {
		struct madcap_address last;

		require(range.count > 0, "no empty range");
		require(madcap_address_add(&range.first, range.count - 1u, &last),
			"a range stays inside its family");
		total += range.count;
	}
	require(total == madcap_ranges_total(message), "as many addresses");
	for (unsigned int left = madcap_scopes_begin(message, &reader); left > 0; left--) {
		require(madcap_scopes_next(&reader, &entry), "as many scopes as it says");
		for (unsigned int i = 0; i < entry.n_names; i++)
			require(madcap_scopes_name(&reader, &name), "as many names as it says");
	}
	require(!madcap_scopes_next(&reader, &entry), "and no more scopes");
	for (unsigned int i = 0; i < 256; i += 51)
		madcap_nesting_is(message, i, 255 - i);
}

/* Unknown options are gone from the second one, and the order may be another. */
static void round_trip(const struct madcap_message *message, size_t size)
{
	uint8_t *first = malloc(size), *second = malloc(size);
	size_t first_size = 0, second_size = 0;
	struct madcap_message again;

	require(first != NULL && second != NULL, "memory");
	/* A server of an unknown family was read as nobody, who cannot be written. */
	if (madcap_message_has(message, MADCAP_OPT_SERVER_ID) && message->server_id.family == 0)
		goto out;
	require(madcap_message_encode(message, first, size, &first_size),
		"what was decoded is encoded, and is not longer");
	require(madcap_message_decode(first, first_size, &again).fault == MADCAP_FINE,
		"what was encoded is decoded");
	require(again.present == message->present, "the same options");
	require(madcap_message_encode(&again, second, size, &second_size) &&
			second_size == first_size && memcmp(first, second, first_size) == 0,
		"encoding has one result");
out:
	free(first);
	free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct madcap_message message;
	struct madcap_verdict verdict = madcap_message_decode(data, size, &message);
	char text[256];

	madcap_message_print(&message, false, text, sizeof(text));
	madcap_message_print(&message, true, text, 7);
	if (verdict.fault != MADCAP_FINE)
		return 0;
	for (unsigned int column = 0; column <= MADCAP_COLUMNS; column++)
		madcap_message_check(&message, (enum madcap_column)column, column % 2 != 0);
	read_lists(&message);
	round_trip(&message, size);
	return 0;
}
