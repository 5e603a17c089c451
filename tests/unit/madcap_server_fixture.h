/* SPDX-License-Identifier: MIT */
/*
 * madcap_server_fixture.h - what the tests of the MADCAP server share: other scopes than the
 * fixture's, and what is asked often.
 */
#ifndef RASIP_TESTS_MADCAP_SERVER_FIXTURE_H
#define RASIP_TESTS_MADCAP_SERVER_FIXTURE_H

#include <signal.h>
#include <sys/resource.h>

#include "madcap_fixture.h"
#include "suite.h"

static inline struct madcap_message getinfo(const char *codes)
{
	static uint8_t buf[32];
	struct madcap_message out = message(MADCAP_GETINFO, 500);
	size_t n = 0;

	for (; *codes != '\0'; codes++, n += 2) {
		buf[n] = 0;
		buf[n + 1] = (uint8_t)(*codes >= 'a' ? *codes - 'a' + 10 : *codes - '0');
	}
	out.option_request = (struct madcap_bytes){ buf, n };
	madcap_message_set(&out, MADCAP_OPT_OPTION_REQUEST);
	return out;
}

/* "first-last/ttl name name, ..." of the last answer; default names have a star. */
static inline const char *got_scopes(void)
{
	static char text[4096];
	struct madcap_scope_reader reader;
	struct madcap_scope_entry entry;
	struct madcap_scope_name name;
	char a[MADCAP_ADDRESS_TEXT], b[MADCAP_ADDRESS_TEXT];
	size_t at = 0;

	text[0] = '\0';
	madcap_scopes_begin(&world.got, &reader);
	while (madcap_scopes_next(&reader, &entry)) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s-%s/%u",
				       at > 0 ? ", " : "", madcap_address_format(&entry.first, a),
				       madcap_address_format(&entry.last, b), entry.ttl);
		for (unsigned int i = 0; i < entry.n_names; i++) {
			ck_assert(madcap_scopes_name(&reader, &name));
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %.*s%s",
					       (int)name.language.size, name.language.data,
					       name.flags == MADCAP_NAME_DEFAULT ? "*" : "");
		}
	}
	return text;
}

static inline void four_scopes(void)
{
	static struct madcap_address in_site, in_organisation;

	close_server();
	in_site = addr("239.254.0.0");
	in_organisation = addr("239.192.0.0");
	world.scope[0].names = NULL;
	world.scope[0].n_names = 0;
	for (int i = 1; i < 4; i++)
		world.scope[i] = (struct madcap_server_scope){ .ttl = 16 };
	world.scope[1].first = addr("239.255.0.0");
	world.scope[1].last = addr("239.255.255.255");
	world.scope[1].inside = &in_site;
	world.scope[1].n_inside = 1;
	world.scope[2].first = in_site;
	world.scope[2].last = addr("239.254.255.255");
	world.scope[2].ttl = 8; /* and yet behind the one that it encloses */
	world.scope[2].inside = &in_organisation;
	world.scope[2].n_inside = 1;
	world.scope[3].first = addr("ff15::100");
	world.scope[3].last = addr("ff15::1ff");
	world.config.n_scopes = 4;
	open_server();
}

/* One address, so that leases have to share it. */
static inline void one_address(void)
{
	static struct madcap_address_range one;

	close_server();
	one = (struct madcap_address_range){ addr("239.192.0.5"), addr("239.192.0.5") };
	world.scope[0].allocate = &one;
	open_server();
}

static inline void request_at(unsigned int lease, int64_t start, int64_t lease_time, int64_t latest)
{
	struct madcap_message out = message(MADCAP_REQUEST, lease);

	with_start(&out, start);
	with_number(&out, MADCAP_OPT_LEASE_TIME, lease_time);
	if (latest > 0)
		with_latest(&out, latest);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}

/* One message of a batch that is open already. */
static inline void step(const struct madcap_message *message, struct madcap_answer *ret)
{
	struct madcap_input input;

	ck_assert(madcap_message_encode(message, world.sent, sizeof(world.sent), &world.sent_size));
	input = input_of(world.sent, world.sent_size);
	madcap_server_step(world.server, &input, ret);
}

/* Ends the batch with a disk that takes nothing; something in it has to be written. */
static inline void fail_commit(void)
{
	struct rlimit none, before;
	struct error error;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 1;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_lt(madcap_server_commit(world.server, &error), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
}

/* Runs the tests that `add` adds, each with a server of its own; main()'s exit status. */
static inline int run_server_tests(const char *name, void (*add)(TCase *tcase))
{
	TCase *tcase = tcase_create("rfc2730");

	tcase_add_checked_fixture(tcase, setup, teardown);
	add(tcase);
	return run_tcase(name, tcase);
}

#endif
