/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - a pool in a directory of its own, with a clock, a kernel and random numbers that the
 * test decides. Include it once, in a test program's only source file.
 */
#ifndef RASIP_TEST_FIXTURE_H
#define RASIP_TEST_FIXTURE_H

#include <arpa/inet.h>
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parse.h"
#include "pool.h"
#include "scratch.h"

#define FIXTURE_EVENTS_MAX 64

static struct {
	char dir[SCRATCH_SIZE];
	struct config *config;
	struct pool *pool;
	int64_t boot_ms;
	int64_t unix_sec;
	uint64_t random;
	uint32_t in_use_be; /* one address that "an interface" has */
	unsigned int events[POOL_EVENT_WARNING + 1];
	char last_event[256];
	struct error why;
	void (*on_event)(const struct pool_event *event);
} fixture;

static int64_t fixture_boot_us(void *context)
{
	(void)context;
	return fixture.boot_ms * 1000;
}

static int64_t fixture_unix_sec(void *context)
{
	(void)context;
	return fixture.unix_sec;
}

static uint64_t fixture_random(void *context)
{
	(void)context;
	fixture.random += UINT64_C(0x9e3779b97f4a7c15);
	return fixture.random ^ fixture.random >> 29;
}

static void fixture_observe(void *context, const struct pool_event *event)
{
	char text[IP4_TEXT_SIZE];

	(void)context;
	fixture.events[event->kind]++;
	if (fixture.on_event != NULL)
		fixture.on_event(event);
	snprintf(fixture.last_event, sizeof(fixture.last_event), "%d %s %s %s %s", (int)event->kind,
		 format_ip4(ntohl(event->addr_be), text), event->pool, event->user, event->text);
}

static bool fixture_in_use(void *context, uint32_t addr_be)
{
	(void)context;
	return addr_be == fixture.in_use_be;
}

static const struct pool_env fixture_env = {
	.boot_us = fixture_boot_us,
	.unix_sec = fixture_unix_sec,
	.random = fixture_random,
	.observe = fixture_observe,
	.in_use = fixture_in_use,
};

static void fixture_begin(void)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture.boot_ms = 1000000;
	fixture.unix_sec = 1800000000;
	scratch_make(fixture.dir);
}

static void fixture_close(void)
{
	pool_close(&fixture.pool);
	config_free(&fixture.config);
}

static void fixture_end(void)
{
	fixture_close();
	scratch_remove(fixture.dir);
}

/* Closes what is open and loads a configuration: `text` without the two directories. */
static void fixture_load(const char *text)
{
	struct config_errors errors = { 0 };
	char full[8192];

	fixture_close();
	snprintf(full, sizeof(full), "runtime_dir = \"%s/run\"; state_dir = \"%s/state\"; %s",
		 fixture.dir, fixture.dir, text);
	if (config_load_text(full, "test", &fixture.config, &errors) != 0)
		ck_abort_msg("configuration: %s", errors.n > 0 ? errors.lines[0] : "?");
	config_errors_done(&errors);
	ck_assert_int_eq(pool_open(&fixture.pool, fixture.config, &fixture_env), 0);
}

__attribute__((unused)) static uint32_t be(const char *text)
{
	uint32_t addr = 0;

	ck_assert_msg(parse_ip4(text, &addr), "%s", text);
	return htonl(addr);
}

__attribute__((unused)) static const char *text_of(uint32_t addr_be)
{
	static char texts[4][IP4_TEXT_SIZE];
	static unsigned int next;

	next = (next + 1) % 4;
	return format_ip4(ntohl(addr_be), texts[next]);
}

__attribute__((unused)) static int acquire(struct pool_lease *lease, const char *user)
{
	*lease = POOL_LEASE_NONE;
	fixture.why.text[0] = '\0';
	return pool_acquire(fixture.pool, &(struct pool_request){ .user = user, .port = "ttyS0" },
			    lease, &fixture.why);
}

/* The user gets exactly this address. */
#define ASSERT_GETS(lease, user, address)                                                          \
	do {                                                                                       \
		int gets_code_ = acquire(lease, user);                                             \
		ck_assert_msg(gets_code_ == 0, "%s: %s", user, fixture.why.text);                  \
		ck_assert_str_eq(text_of((lease)->addr_be), address);                              \
	} while (0)

/* The user is refused, and the reason holds this text. */
#define ASSERT_REFUSED(user, part)                                                                 \
	do {                                                                                       \
		struct pool_lease refused_;                                                        \
		ck_assert_int_eq(acquire(&refused_, user), POOL_E_REFUSED);                        \
		ck_assert_uint_eq(refused_.addr_be, 0);                                            \
		ck_assert_msg(strstr(fixture.why.text, part) != NULL, "reason: %s",                \
			      fixture.why.text);                                                   \
	} while (0)

__attribute__((unused)) static void give_back(struct pool_lease *lease)
{
	ck_assert_msg(pool_release(fixture.pool, lease, &fixture.why) == 0, "%s", fixture.why.text);
	ck_assert_int_eq(lease->lock_fd, -1);
}

#endif
