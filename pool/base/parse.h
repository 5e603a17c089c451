/* SPDX-License-Identifier: MIT */
/*
 * parse.h - small parsers and printers for the values that appear in configuration files
 * and on command lines. All of them: the whole text must match, nothing is half-written,
 * and the result is untouched on failure. Addresses are in host byte order.
 */
#ifndef RASIP_PARSE_H
#define RASIP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DURATION_FOREVER INT64_MAX
#define IP4_TEXT_SIZE 16 /* "255.255.255.255" and the NUL */

/* Dotted quad, four decimal numbers, no leading zeros, nothing before or behind it. */
bool parse_ip4(const char *text, uint32_t *ret_addr);

/* "10.64.0.0/16" (no host bits set), "10.0.0.10-10.0.0.99", or one address. */
bool parse_ip4_range(const char *text, uint32_t *ret_first, uint32_t *ret_last);

/* "30s" "5m" "1h" "30d" or "forever"; whole seconds, 0 allowed; no overflow past 100 years. */
bool parse_duration(const char *text, int64_t *ret_sec);

/* An unsigned decimal number in [min, max]. */
bool parse_unsigned(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Decimal, into the end of buf. Returns where it begins; its NUL is buf's last byte. */
#define NUMBER_TEXT_SIZE 21
char *format_number(uint64_t number, char buf[static NUMBER_TEXT_SIZE]);

/* Octets in hexadecimal, two digits each: 1 to `max` of them. */
bool parse_octets(const char *text, size_t max, uint8_t *ret, size_t *ret_size);

/* The other way, in lower case; buf of OCTETS_TEXT_SIZE(size) bytes; returns buf. */
#define OCTETS_TEXT_SIZE(size) (2 * (size) + 1)
char *format_octets(const uint8_t *octets, size_t size, char *buf);

/* Writes the dotted quad into buf (IP4_TEXT_SIZE bytes) and returns buf. */
char *format_ip4(uint32_t addr, char *buf);
/* The same, but returns its length. */
size_t print_ip4(uint32_t addr, char *buf);

/* RFC 3339 in UTC, "2026-11-20T09:00:00Z"; buf of at least 21 bytes; returns buf. */
#define TIME_TEXT_SIZE 32
#define TIME_TEXT_LENGTH 20
char *format_time(int64_t unix_sec, char *buf);

/* The other way, also "@SECONDS"; fractions and offsets other than Z are refused. */
bool parse_time(const char *text, int64_t *ret_unix_sec);

#endif
