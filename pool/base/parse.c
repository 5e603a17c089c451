/* SPDX-License-Identifier: MIT */
#include "parse.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECONDS_100_YEARS (INT64_C(36525) * 86400)
#define SECONDS_YEAR_0 INT64_C(-62167219200)    /* 0000-01-01T00:00:00Z */
#define SECONDS_YEAR_9999 INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define SECONDS_DAY 86400
#define DAYS_4_YEARS 1461
#define DAYS_100_YEARS 36524
#define DAYS_400_YEARS 146097
#define DAYS_MARCH_400_BC_TO_1970 (719468 + DAYS_400_YEARS)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number in the first `length` bytes, which must all be digits. */
static bool parse_digits(const char *text, size_t length, uint64_t *ret)
{
	uint64_t value = 0;

	if (length == 0)
		return false;
	for (size_t i = 0; i < length; i++) {
		uint64_t digit;

		if (!is_digit(text[i]))
			return false;
		digit = (uint64_t)(text[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return true;
}

bool parse_unsigned(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value;

	if (!parse_digits(text, strlen(text), &value) || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

bool parse_ip4(const char *text, uint32_t *ret_addr)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*ret_addr = ntohl(in.s_addr);
	return true;
}

/* As parse_ip4, of the first `length` bytes. */
static bool parse_ip4_part(const char *text, size_t length, uint32_t *ret_addr)
{
	char copy[IP4_TEXT_SIZE];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return parse_ip4(copy, ret_addr);
}

static bool parse_cidr(const char *text, const char *slash, uint32_t *ret_first, uint32_t *ret_last)
{
	uint32_t addr, host_bits;
	uint64_t prefix;

	if (!parse_ip4_part(text, (size_t)(slash - text), &addr) || strlen(slash + 1) > 2 ||
	    !parse_unsigned(slash + 1, 0, 32, &prefix))
		return false;
	host_bits = prefix == 32 ? 0 : UINT32_MAX >> prefix;
	if (addr & host_bits)
		return false;
	*ret_first = addr;
	*ret_last = addr | host_bits;
	return true;
}

bool parse_ip4_range(const char *text, uint32_t *ret_first, uint32_t *ret_last)
{
	const char *mark = strpbrk(text, "/-");
	uint32_t first, last;

	if (mark != NULL && *mark == '/')
		return parse_cidr(text, mark, ret_first, ret_last);
	if (mark == NULL) {
		if (!parse_ip4(text, &first))
			return false;
		last = first;
	} else if (!parse_ip4_part(text, (size_t)(mark - text), &first) ||
		   !parse_ip4(mark + 1, &last) || last < first) {
		return false;
	}
	*ret_first = first;
	*ret_last = last;
	return true;
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

bool parse_duration(const char *text, int64_t *ret_sec)
{
	size_t length = strlen(text);
	uint64_t value;
	int64_t unit;

	if (strcmp(text, "forever") == 0) {
		*ret_sec = DURATION_FOREVER;
		return true;
	}
	if (length < 2 || !parse_digits(text, length - 1, &value))
		return false;
	unit = unit_seconds(text[length - 1]);
	if (unit == 0 || value > (uint64_t)(SECONDS_100_YEARS / unit))
		return false;
	*ret_sec = (int64_t)value * unit;
	return true;
}

/* Listings have hundreds of thousands of numbers, addresses and times, and printf takes ten times as
 * long. */
char *format_number(uint64_t number, char buf[static NUMBER_TEXT_SIZE])
{
	char *p = buf + NUMBER_TEXT_SIZE - 1;

	*p = '\0';
	do {
		*--p = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return p;
}

static const char hex_digits[] = "0123456789abcdefABCDEF";

static uint8_t hex_value(char digit)
{
	size_t place = (size_t)(strchr(hex_digits, digit) - hex_digits);

	return (uint8_t)(place < 16 ? place : place - 6);
}

bool parse_octets(const char *text, size_t max, uint8_t *ret, size_t *ret_size)
{
	size_t length = strlen(text);

	if (length == 0 || length % 2 != 0 || length / 2 > max ||
	    strspn(text, hex_digits) != length)
		return false;
	for (size_t i = 0; i < length / 2; i++)
		ret[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	*ret_size = length / 2;
	return true;
}

char *format_octets(const uint8_t *octets, size_t size, char *buf)
{
	for (size_t i = 0; i < size; i++) {
		buf[2 * i] = hex_digits[octets[i] >> 4];
		buf[2 * i + 1] = hex_digits[octets[i] & 15];
	}
	buf[2 * size] = '\0';
	return buf;
}

static char *put_octet(char *p, unsigned int octet)
{
	unsigned int tens = octet / 10;

	if (tens >= 10)
		*p++ = (char)('0' + tens / 10);
	if (tens > 0)
		*p++ = (char)('0' + tens % 10);
	*p++ = (char)('0' + octet % 10);
	return p;
}

size_t print_ip4(uint32_t addr, char *buf)
{
	char *p = put_octet(buf, addr >> 24);

	*p++ = '.';
	p = put_octet(p, addr >> 16 & 255);
	*p++ = '.';
	p = put_octet(p, addr >> 8 & 255);
	*p++ = '.';
	p = put_octet(p, addr & 255);
	*p = '\0';
	return (size_t)(p - buf);
}

char *format_ip4(uint32_t addr, char *buf)
{
	print_ip4(addr, buf);
	return buf;
}

/* Two digits and what follows them. */
static char *put_pair(char *p, uint32_t number, char end)
{
	*p++ = (char)('0' + number / 10);
	*p++ = (char)('0' + number % 10);
	*p++ = end;
	return p;
}

struct date {
	uint32_t year;
	uint32_t month, day; /* from 1 */
};

/*
 * gmtime_r(3) takes a lock and asks for time zones; this is two thirds of what a row costs then.
 * Years begin in March here, so that leap days are at their end, and months have 153 days in every
 * five.
 */
static struct date date_of(int64_t day_1970)
{
	/* Since 1 March of the year -400: never negative from the year 0 on. */
	uint32_t day = (uint32_t)(day_1970 + DAYS_MARCH_400_BC_TO_1970);
	uint32_t of_400 = day % DAYS_400_YEARS;
	uint32_t leaps = of_400 / (DAYS_4_YEARS - 1) - of_400 / DAYS_100_YEARS +
			 of_400 / (DAYS_400_YEARS - 1);
	uint32_t year = (of_400 - leaps) / 365;
	uint32_t of_year = of_400 - (365 * year + year / 4 - year / 100);
	uint32_t month = (5 * of_year + 2) / 153; /* from 0, March */

	year += 400 * (day / DAYS_400_YEARS) - 400;
	return (struct date){
		.year = month < 10 ? year : year + 1,
		.month = month < 10 ? month + 3 : month - 9,
		.day = of_year - (153 * month + 2) / 5 + 1,
	};
}

char *format_time(int64_t unix_sec, char *buf)
{
	struct date date;
	uint32_t sec;
	char *p = buf;

	/* The form has four digits for the year. */
	if (unix_sec < SECONDS_YEAR_0)
		unix_sec = SECONDS_YEAR_0;
	if (unix_sec > SECONDS_YEAR_9999)
		unix_sec = SECONDS_YEAR_9999;
	sec = (uint32_t)((unix_sec - SECONDS_YEAR_0) % SECONDS_DAY);
	date = date_of((unix_sec - sec) / SECONDS_DAY);
	*p++ = (char)('0' + date.year / 1000);
	*p++ = (char)('0' + date.year / 100 % 10);
	p = put_pair(p, date.year % 100, '-');
	p = put_pair(p, date.month, '-');
	p = put_pair(p, date.day, 'T');
	p = put_pair(p, sec / 3600, ':');
	p = put_pair(p, sec / 60 % 60, ':');
	p = put_pair(p, sec % 60, 'Z');
	*p = '\0';
	return buf;
}

/* True if text has the shape of `pattern`, where 0 stands for any digit. */
static bool has_shape(const char *text, const char *pattern)
{
	for (; *pattern != '\0'; text++, pattern++) {
		if (*pattern == '0' ? !is_digit(*text) : *text != *pattern)
			return false;
	}
	return *text == '\0';
}

static int digits_at(const char *text, size_t from, size_t length)
{
	uint64_t value = 0;

	return parse_digits(text + from, length, &value) ? (int)value : -1;
}

bool parse_time(const char *text, int64_t *ret_unix_sec)
{
	struct tm tm, back;
	uint64_t seconds;
	time_t when;

	if (text[0] == '@') {
		if (!parse_unsigned(text + 1, 0, (uint64_t)SECONDS_YEAR_9999, &seconds))
			return false;
		*ret_unix_sec = (int64_t)seconds;
		return true;
	}
	if (!has_shape(text, "0000-00-00T00:00:00Z"))
		return false;
	tm = (struct tm){
		.tm_year = digits_at(text, 0, 4) - 1900,
		.tm_mon = digits_at(text, 5, 2) - 1,
		.tm_mday = digits_at(text, 8, 2),
		.tm_hour = digits_at(text, 11, 2),
		.tm_min = digits_at(text, 14, 2),
		.tm_sec = digits_at(text, 17, 2),
	};
	back = tm;
	when = timegm(&back);
	/* timegm makes 1 March of 30 February: what it had to change was no date. */
	if (back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday || back.tm_hour != tm.tm_hour ||
	    back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
		return false;
	*ret_unix_sec = (int64_t)when;
	return true;
}
