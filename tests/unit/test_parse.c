/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parse.h"
#include "suite.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED 0xdeadbeef

static const struct {
	const char *text;
	bool ok;
	uint32_t first, last;
} ranges[] = {
	{ "10.64.0.0/16", true, 0x0a400000, 0x0a40ffff },
	{ "10.0.0.10-10.0.0.99", true, 0x0a00000a, 0x0a000063 },
	{ "10.0.0.10-10.0.0.10", true, 0x0a00000a, 0x0a00000a },
	{ "192.0.2.1", true, 0xc0000201, 0xc0000201 },
	{ "192.0.2.1/32", true, 0xc0000201, 0xc0000201 },
	{ "0.0.0.0/0", true, 0, 0xffffffff },
	{ "128.0.0.0/1", true, 0x80000000, 0xffffffff },
	{ "0.0.0.0-255.255.255.255", true, 0, 0xffffffff },
	{ "10.64.0.1/16", false, 0, 0 },
	{ "10.64.0.0/33", false, 0, 0 },
	{ "10.64.0.0/016", false, 0, 0 },
	{ "10.64.0.0/", false, 0, 0 },
	{ "10.64.0.0/-1", false, 0, 0 },
	{ "10.64.0.0/ 8", false, 0, 0 },
	{ "10.64/16", false, 0, 0 },
	{ "/16", false, 0, 0 },
	{ "10.0.0.99-10.0.0.10", false, 0, 0 },
	{ "10.0.0.1-", false, 0, 0 },
	{ "-10.0.0.1", false, 0, 0 },
	{ "10.0.0.1 - 10.0.0.2", false, 0, 0 },
	{ "10.0.0.1-10.0.0.2-10.0.0.3", false, 0, 0 },
	{ "10.0.0.0/24-10.0.1.0/24", false, 0, 0 },
	{ "10.0.0.1,10.0.0.2", false, 0, 0 },
	{ "1000.1000.1000.1000/8", false, 0, 0 },
	{ "", false, 0, 0 },
};

START_TEST(range)
{
	uint32_t first = UNTOUCHED, last = UNTOUCHED;

	ck_assert_msg(parse_ip4_range(ranges[_i].text, &first, &last) == ranges[_i].ok, "%s",
		      ranges[_i].text);
	ck_assert_uint_eq(first, ranges[_i].ok ? ranges[_i].first : UNTOUCHED);
	ck_assert_uint_eq(last, ranges[_i].ok ? ranges[_i].last : UNTOUCHED);
}
END_TEST

static const char *const bad_addresses[] = {
	"",         "1",      "1.2.3",     "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ",
	" 1.2.3.4", "1..3.4", "0x1.2.3.4", "-1.2.3.4",  "1.2.3.4/8", "::1",      "localhost",
};

START_TEST(address_bad)
{
	uint32_t addr = UNTOUCHED;

	ck_assert_msg(!parse_ip4(bad_addresses[_i], &addr), "%s", bad_addresses[_i]);
	ck_assert_uint_eq(addr, UNTOUCHED);
}
END_TEST

START_TEST(address_round_trip)
{
	static const char *const texts[] = { "0.0.0.0", "10.64.0.1", "255.255.255.255",
					     "1.20.255.0" };
	char buf[IP4_TEXT_SIZE];
	uint32_t addr;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		ck_assert(parse_ip4(texts[i], &addr));
		ck_assert_ptr_eq(format_ip4(addr, buf), buf);
		ck_assert_str_eq(buf, texts[i]);
	}
}
END_TEST

static const struct {
	const char *text;
	bool ok;
	int64_t seconds;
} durations[] = {
	{ "0s", true, 0 },
	{ "30s", true, 30 },
	{ "5m", true, 300 },
	{ "1h", true, 3600 },
	{ "30d", true, 2592000 },
	{ "36525d", true, INT64_C(36525) * 86400 },
	{ "forever", true, DURATION_FOREVER },
	{ "36526d", false, 0 },
	{ "3155760001s", false, 0 },
	{ "18446744073709551616s", false, 0 },
	{ "99999999999999999999999999d", false, 0 },
	{ "30", false, 0 },
	{ "s", false, 0 },
	{ "", false, 0 },
	{ "-1s", false, 0 },
	{ "+1s", false, 0 },
	{ "1.5h", false, 0 },
	{ "30 s", false, 0 },
	{ "30sec", false, 0 },
	{ "1h30m", false, 0 },
	{ "30S", false, 0 },
	{ "1w", false, 0 },
	{ "Forever", false, 0 },
	{ "forever ", false, 0 },
};

START_TEST(duration)
{
	int64_t seconds = -7;

	ck_assert_msg(parse_duration(durations[_i].text, &seconds) == durations[_i].ok, "%s",
		      durations[_i].text);
	ck_assert_int_eq(seconds, durations[_i].ok ? durations[_i].seconds : -7);
}
END_TEST

static const struct {
	const char *text;
	uint64_t min, max;
	bool ok;
	uint64_t value;
} numbers[] = {
	{ "0", 0, 0, true, 0 },
	{ "100", 0, 100, true, 100 },
	{ "101", 0, 100, false, 0 },
	{ "4", 5, 100, false, 0 },
	{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
	{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
	{ "", 0, 9, false, 0 },
	{ "+1", 0, 9, false, 0 },
	{ "-1", 0, 9, false, 0 },
	{ " 1", 0, 9, false, 0 },
	{ "1 ", 0, 9, false, 0 },
	{ "0x1", 0, 9, false, 0 },
};

START_TEST(number)
{
	uint64_t value = UNTOUCHED;

	ck_assert_msg(parse_unsigned(numbers[_i].text, numbers[_i].min, numbers[_i].max, &value) ==
			      numbers[_i].ok,
		      "%s", numbers[_i].text);
	ck_assert_uint_eq(value, numbers[_i].ok ? numbers[_i].value : UNTOUCHED);
}
END_TEST

static const struct {
	const char *text;
	bool ok;
	int64_t seconds;
} times[] = {
	{ "1970-01-01T00:00:00Z", true, 0 },
	{ "2026-11-20T09:00:00Z", true, 1795165200 },
	{ "2024-02-29T23:59:59Z", true, 1709251199 },
	{ "1969-12-31T23:59:59Z", true, -1 },
	{ "9999-12-31T23:59:59Z", true, 253402300799 },
	{ "0000-01-01T00:00:00Z", true, -62167219200 },
	{ "@0", true, 0 },
	{ "@1795165200", true, 1795165200 },
	{ "@253402300800", false, 0 },
	{ "@", false, 0 },
	{ "@-1", false, 0 },
	{ "@1.5", false, 0 },
	{ "1795165200", false, 0 },
	{ "2026-11-20T09:00:00", false, 0 },
	{ "2026-11-20T09:00:00+00:00", false, 0 },
	{ "2026-11-20T09:00:00.5Z", false, 0 },
	{ "2026-11-20 09:00:00Z", false, 0 },
	{ "2026-11-20t09:00:00z", false, 0 },
	{ "2026-02-29T00:00:00Z", false, 0 },
	{ "2026-13-01T00:00:00Z", false, 0 },
	{ "2026-00-01T00:00:00Z", false, 0 },
	{ "2026-01-00T00:00:00Z", false, 0 },
	{ "2026-04-31T00:00:00Z", false, 0 },
	{ "2026-01-01T24:00:00Z", false, 0 },
	{ "2026-01-01T00:60:00Z", false, 0 },
	{ "2026-01-01T00:00:60Z", false, 0 },
	{ "26-01-01T00:00:00Z", false, 0 },
	{ "", false, 0 },
};

START_TEST(time_text)
{
	int64_t seconds = -7;
	char buf[TIME_TEXT_SIZE];

	ck_assert_msg(parse_time(times[_i].text, &seconds) == times[_i].ok, "%s", times[_i].text);
	ck_assert_int_eq(seconds, times[_i].ok ? times[_i].seconds : -7);
	if (times[_i].ok && times[_i].text[0] != '@')
		ck_assert_str_eq(format_time(seconds, buf), times[_i].text);
}
END_TEST

static void check_time(int64_t sec)
{
	char buf[TIME_TEXT_SIZE], expected[64];
	time_t when = (time_t)sec;
	struct tm tm;

	if (when != sec)
		return; /* 32 bit */
	ck_assert_ptr_nonnull(gmtime_r(&when, &tm));
	snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	ck_assert_str_eq(format_time(sec, buf), expected);
}

/* Beside the C library: some of all days, and each around the turns of centuries. */
START_TEST(days)
{
	const int64_t day = 86400;

	for (int64_t sec = INT64_C(-62167219200); sec <= INT64_C(253402300799);
	     sec += 97 * day + 12347)
		check_time(sec);
	for (int64_t century = INT64_C(-62167219200); century <= INT64_C(253402300799) - 1000 * day;
	     century += 36525 * day)
		for (int i = 0; i < 800; i++)
			check_time(century + i * day);
}
END_TEST

START_TEST(numbers_and_addresses)
{
	static const uint32_t addrs[] = { 0,          UINT32_MAX, 0x0a40c350, 0x01020304,
					  0x0909090a, 0x63646362, 0x010a64c8 };
	static const uint64_t integers[] = { 0, 1, 9, 10, 99, 100, 4294967296, UINT64_MAX };
	char buf[NUMBER_TEXT_SIZE], expected[64];

	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		snprintf(expected, sizeof(expected), "%u.%u.%u.%u", addrs[i] >> 24,
			 addrs[i] >> 16 & 255, addrs[i] >> 8 & 255, addrs[i] & 255);
		ck_assert_uint_eq(print_ip4(addrs[i], buf), strlen(expected));
		ck_assert_str_eq(buf, expected);
		ck_assert_str_eq(format_ip4(addrs[i], buf), expected);
	}
	for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
		snprintf(expected, sizeof(expected), "%llu", (unsigned long long)integers[i]);
		ck_assert_str_eq(format_number(integers[i], buf), expected);
	}
}
END_TEST

/* "forever" reaches the printer as INT64_MAX in places: it must not overflow anything. */
START_TEST(time_extremes)
{
	char buf[TIME_TEXT_SIZE];

	ck_assert_str_eq(format_time(INT64_MAX, buf), "9999-12-31T23:59:59Z");
	ck_assert_str_eq(format_time(INT64_MIN, buf), "0000-01-01T00:00:00Z");
}
END_TEST

START_TEST(octets_in_hexadecimal)
{
	static const char *const bad[] = { "", "0", "0g", "00 ", "0x00", "000000", "+1", "ab\n" };
	uint8_t octets[2] = { 7, 7 };
	char buf[OCTETS_TEXT_SIZE(2)];
	size_t size = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(!parse_octets(bad[i], 2, octets, &size), "%s", bad[i]);
		ck_assert_uint_eq(size, 7);
		ck_assert_uint_eq(octets[0], 7);
	}
	ck_assert(parse_octets("0aF9", 2, octets, &size));
	ck_assert_uint_eq(size, 2);
	ck_assert_uint_eq(octets[0], 0x0a);
	ck_assert_uint_eq(octets[1], 0xf9);
	ck_assert_str_eq(format_octets(octets, size, buf), "0af9");
	ck_assert_str_eq(format_octets(octets, 0, buf), "");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("parse");

	tcase_add_loop_test(tcase, range, 0, ARRAY_SIZE(ranges));
	tcase_add_loop_test(tcase, address_bad, 0, ARRAY_SIZE(bad_addresses));
	tcase_add_test(tcase, address_round_trip);
	tcase_add_loop_test(tcase, duration, 0, ARRAY_SIZE(durations));
	tcase_add_loop_test(tcase, number, 0, ARRAY_SIZE(numbers));
	tcase_add_loop_test(tcase, time_text, 0, ARRAY_SIZE(times));
	tcase_add_test(tcase, time_extremes);
	tcase_add_test(tcase, days);
	tcase_add_test(tcase, numbers_and_addresses);
	tcase_add_test(tcase, octets_in_hexadecimal);
	return run_tcase("parse", tcase);
}
