/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the small parsers, all with the same text. What they accept is in bounds and,
 * where there is a printer, prints as it was written.
 */
#include "fuzz.h"
#include "parse.h"

static void try_addresses(const char *text)
{
	uint32_t addr = 0, first = 0, last = 0;
	char buf[IP4_TEXT_SIZE];

	if (parse_ip4(text, &addr)) {
		require(strcmp(format_ip4(addr, buf), text) == 0, "an address has one form");
		require(parse_ip4_range(text, &first, &last) && first == addr && last == addr,
			"an address is a range");
	}
	if (parse_ip4_range(text, &first, &last))
		require(first <= last, "first <= last");
}

static void try_numbers(const char *text)
{
	uint64_t value = 0;
	int64_t seconds = 0;

	if (parse_unsigned(text, 10, 1000, &value))
		require(value >= 10 && value <= 1000, "in bounds");
	if (parse_duration(text, &seconds))
		require(seconds == DURATION_FOREVER ||
				(seconds >= 0 && seconds <= INT64_C(36525) * 86400),
			"at most 100 years");
}

static void try_time(const char *text)
{
	char buf[TIME_TEXT_SIZE];
	int64_t seconds = 0, again = 0;

	if (!parse_time(text, &seconds))
		return;
	format_time(seconds, buf);
	require(parse_time(buf, &again) && again == seconds, "a time prints and parses");
	require(text[0] == '@' || strcmp(buf, text) == 0, "a time has one form");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	if (text == NULL)
		return 0;
	try_addresses(text);
	try_numbers(text);
	try_time(text);
	free(text);
	return 0;
}
