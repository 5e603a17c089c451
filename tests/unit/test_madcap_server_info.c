/* SPDX-License-Identifier: MIT */
/* The MADCAP server: GETINFO (RFC 2730, 2.2.1 and 3.10; RFC 2907). */
#include "madcap_server_fixture.h"

/* ---- 2.2.1, 3.10: GETINFO -------------------------------------------------------------------- */

#define ORGANISATION "239.192.0.0-239.195.255.255/32"

START_TEST(rfc2730_2_2_1_getinfo_gets_what_it_asks_for)
{
	struct madcap_message out = getinfo("9bc"); /* scope list, current time, features */

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), ORGANISATION " en* de fr");
	ck_assert_uint_eq(world.got.current_time, NOW);
	ck_assert(madcap_address_equal(&world.got.server_id, &world.local));
	ck_assert_uint_eq(madcap_codes_count(world.got.features.supported), 2);
	ck_assert(madcap_codes_has(world.got.features.supported, MADCAP_FEATURE_RETRY_AFTER));
	ck_assert(madcap_codes_has(world.got.features.supported, MADCAP_FEATURE_SHARED_LEASE_ID));
	out = getinfo("1"); /* not to be had */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_SCOPE_LIST));
}
END_TEST

START_TEST(rfc2730_3_10_languages)
{
	static const struct {
		const char *asked;
		const char *got;
	} cases[] = {
		{ "de", ORGANISATION " de" },     { "DE", ORGANISATION " de" },
		{ "fr", ORGANISATION " fr" },     { "en", ORGANISATION " en*" },
		{ "it", ORGANISATION " en*" },    { "", ORGANISATION " en*" },
		{ "de-AT", ORGANISATION " en*" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct madcap_message out = getinfo("9");

		out.language = bytes(cases[i].asked);
		madcap_message_set(&out, MADCAP_OPT_LANGUAGE);
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
		ck_assert_str_eq(got_scopes(), cases[i].got);
	}
}
END_TEST

/* Organisation around site around local, and one beside them. */

START_TEST(rfc2730_3_10_smaller_scopes_come_first)
{
	struct madcap_message out = getinfo("9");

	four_scopes();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), "239.255.0.0-239.255.255.255/16, "
				       "239.254.0.0-239.254.255.255/8, " ORGANISATION);
	out.family = MADCAP_IPV6;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), "ff15::100-ff15::1ff/16");
}
END_TEST

START_TEST(rfc2907_3_3_nesting_state_with_the_scope_list)
{
	struct madcap_message out = getinfo("9h");

	four_scopes();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int j = 0; j < 3; j++)
			ck_assert_int_eq(madcap_nesting_is(&world.got, i, j), i < j);
	}
	/* 110..., 010..., 000... */
	ck_assert_uint_eq(world.got.nesting.size, 4);
	ck_assert_mem_eq(world.got.nesting.data, "\x03\xc0\x40\x00", 4);
	out = getinfo("h");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_NESTING));
}
END_TEST

START_TEST(rfc2730_2_11_getinfo_on_the_local_group_only)
{
	struct madcap_message out = getinfo("9");

	world.to = addr("239.255.255.254");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	world.to = addr("239.195.255.254");
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

static void many_names(unsigned int n)
{
	static struct madcap_zone_name names[200];
	static char text[256];

	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < n; i++)
		names[i] = (struct madcap_zone_name){ "en", text, i == 7 };
	close_server();
	world.scope[0].names = names;
	world.scope[0].n_names = n;
	open_server();
}

/* How many of `n` questions from the client are answered. */
static unsigned int answered(const struct madcap_message *question, unsigned int n)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < n; i++)
		found += ask(question) == MADCAP_ACK;
	return found;
}

/* Whoever forges his address should not be able to have somebody flooded with what he did not ask
 * for; and whoever asks again is answered. */
START_TEST(rfc2730_4_long_answers_to_one_address_are_few)
{
	struct madcap_message out = getinfo("9");

	world.config.getinfo_rate = 10;
	many_names(4);
	ck_assert_uint_eq(answered(&out, 100), 20); /* two seconds' worth at once */
	ck_assert_uint_eq(madcap_server_counters(world.server)->getinfo_limited, 80);
	ck_assert_uint_eq(madcap_server_counters(world.server)->acks, 20);
	pass_time(1);
	ck_assert_uint_eq(answered(&out, 100), 10);
	for (int second = 0; second < 10; second++) { /* as many as it is for are never short */
		pass_time(1);
		ck_assert_uint_eq(answered(&out, 10), 10);
	}
	world.client.port++;
	ck_assert_uint_eq(answered(&out, 100), 0);
	world.client.address = addr("192.0.2.78");
	ck_assert_uint_eq(answered(&out, 100), 20); /* others do not pay for it */
	pass_time(3600);
	ck_assert_uint_eq(answered(&out, 100), 20);
}
END_TEST

/* A host has all the addresses of its /64, and so has whoever forges them. */
START_TEST(rfc2730_4_the_addresses_of_one_ipv6_network_share_their_long_answers)
{
	struct madcap_message out = getinfo("9");
	unsigned int found = 0;

	world.config.getinfo_rate = 10;
	many_names(4);
	world.client.address = addr("2001:db8:0:1::1");
	for (unsigned int i = 0; i < 100; i++) {
		world.client.address.bytes[15] = (uint8_t)i;
		found += answered(&out, 1);
	}
	ck_assert_uint_eq(found, 20);
	world.client.address = addr("2001:db8:0:2::1");
	ck_assert_uint_eq(answered(&out, 100), 20);
}
END_TEST

/* A lease of 127 ranges, and the same answer over and over for who knows its identifier. */
START_TEST(rfc2730_4_leases_are_no_long_answers_to_forged_addresses)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1), again = message(MADCAP_REQUEST, 1);
	static struct madcap_address_range odd[127];
	struct madcap_message other;

	for (unsigned int i = 0; i < 127; i++) {
		odd[i].first = addr("239.192.0.1");
		ck_assert(madcap_address_add(&odd[i].first, 2 * i, &odd[i].first));
		odd[i].last = odd[i].first;
	}
	close_server();
	world.scope[0].allocate = odd;
	world.scope[0].n_allocate = 127;
	world.config.getinfo_rate = 10;
	open_server();
	with_count(&out, 127, 127);
	with_count(&again, 127, 127);
	out.xid = again.xid = 5000;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_gt(world.answer.size, 127 * 6);
	world.client.address = addr("192.0.2.66");
	ck_assert_uint_eq(answered(&again, 100), 20); /* retransmissions, from memory */
	again.xid = 0;
	ck_assert_uint_eq(answered(&again, 100), 0); /* or the lease that is there already */
	ck_assert_uint_eq(madcap_server_counters(world.server)->getinfo_limited, 180);
	other = message(MADCAP_RENEW, 1);
	ck_assert_uint_eq(answered(&other, 100), 0);
	other = message(MADCAP_RELEASE, 2);
	ck_assert_int_eq(ask(&other), MADCAP_NAK); /* short ones come all the same */
	world.client.address = addr("192.0.2.67");
	ck_assert_uint_eq(answered(&again, 100), 20);
}
END_TEST

START_TEST(short_answers_are_not_limited)
{
	struct madcap_message out = getinfo("9bc");

	world.config.getinfo_rate = 10;
	restart();
	ck_assert_uint_eq(answered(&out, 200), 200);
	world.config.getinfo_rate = 0; /* no limit */
	many_names(4);
	ck_assert_uint_eq(answered(&out, 200), 200);
}
END_TEST

START_TEST(rfc2730_3_10_a_list_that_is_too_long_loses_names_not_scopes)
{
	struct madcap_message out = getinfo("9");

	many_names(200);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), ORGANISATION " en*");
}
END_TEST

START_TEST(rfc2907_nesting_that_does_not_fit_is_left_out)
{
	static struct madcap_server_scope many[255];
	struct madcap_message out = getinfo("9h");

	close_server();
	for (uint64_t i = 0; i < 255; i++) {
		struct madcap_address first = addr("239.192.0.0");

		many[i] = (struct madcap_server_scope){ .ttl = 16 };
		ck_assert(madcap_address_add(&first, 16 * i, &many[i].first));
		ck_assert(madcap_address_add(&first, 16 * i + 15, &many[i].last));
	}
	world.config.scopes = many;
	for (world.config.n_scopes = 200; world.config.n_scopes <= 255; world.config.n_scopes++) {
		open_server();
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
		ck_assert(madcap_message_has(&world.got, MADCAP_OPT_SCOPE_LIST));
		ck_assert(madcap_message_has(&world.got, MADCAP_OPT_NESTING) ||
			  world.config.n_scopes > 205);
		close_server();
	}
	world.config.n_scopes = 200;
	open_server();
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_2_1_getinfo_gets_what_it_asks_for);
	tcase_add_test(tcase, rfc2730_3_10_languages);
	tcase_add_test(tcase, rfc2730_3_10_smaller_scopes_come_first);
	tcase_add_test(tcase, rfc2907_3_3_nesting_state_with_the_scope_list);
	tcase_add_test(tcase, rfc2730_2_11_getinfo_on_the_local_group_only);
	tcase_add_test(tcase, rfc2730_4_long_answers_to_one_address_are_few);
	tcase_add_test(tcase, rfc2730_4_the_addresses_of_one_ipv6_network_share_their_long_answers);
	tcase_add_test(tcase, rfc2730_4_leases_are_no_long_answers_to_forged_addresses);
	tcase_add_test(tcase, short_answers_are_not_limited);
	tcase_add_test(tcase, rfc2907_nesting_that_does_not_fit_is_left_out);
	tcase_add_test(tcase, rfc2730_3_10_a_list_that_is_too_long_loses_names_not_scopes);
}

int main(void)
{
	return run_server_tests("madcap_server_info", add_tests);
}
