/* SPDX-License-Identifier: MIT */
/* The MADCAP server, section by section of RFC 2730 (rfc2730_SECTION_...) and RFC 2907. */
#include "madcap_fixture.h"

/* ---- 2.1: what is not answered --------------------------------------------------------------- */

START_TEST(rfc2730_2_1_too_short_is_ignored)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	for (size_t size = 0; size < world.sent_size; size++)
		ck_assert_int_eq(send_bytes(world.sent, size), 0);
}
END_TEST

START_TEST(rfc2730_2_1_1_other_version_is_ignored)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	world.sent[0] = 1;
	ck_assert_int_eq(send_bytes(world.sent, world.sent_size), 0);
}
END_TEST

START_TEST(rfc2730_2_1_5_end_must_be_there_and_last)
{
	static const uint8_t no_end[] = { 0, 8, 0, 1, 0, 0, 0, 9, 0, 3, 0, 1, 7 };
	static const uint8_t behind[] = { 0, 8, 0, 1, 0, 0, 0, 9, 0, 3, 0, 1,
					  7, 0, 0, 0, 0, 0, 5, 0, 2, 0, 9 };
	static const uint8_t long_end[] = { 0, 8, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0 };

	ck_assert_int_eq(send_bytes(no_end, sizeof(no_end)), 0);
	ck_assert_int_eq(send_bytes(behind, sizeof(behind)), 0);
	ck_assert_int_eq(send_bytes(long_end, sizeof(long_end)), 0);
}
END_TEST

START_TEST(rfc2730_2_1_5_missing_options_are_invalid_requests)
{
	struct madcap_message out = { .type = MADCAP_GETINFO, .family = MADCAP_IPV4, .xid = 5 };

	out.lease_id = id(1);
	madcap_message_set(&out, MADCAP_OPT_LEASE_ID);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_OPTION_REQUEST);
	out = message(MADCAP_REQUEST, 1);
	out.present &= ~(UINT32_C(1) << MADCAP_OPT_SCOPE);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SCOPE);
}
END_TEST

START_TEST(rfc2730_2_1_5_missing_lease_id_is_an_invalid_request)
{
	static const uint8_t release[] = { 0, 7, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0 };

	ck_assert_int_eq(send_bytes(release, sizeof(release)), MADCAP_NAK);
	ck_assert_uint_eq(world.got.error_code, MADCAP_ERR_INVALID_REQUEST);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), MADCAP_OPT_LEASE_ID);
	ck_assert_uint_eq(world.got.xid, 9);
}
END_TEST

START_TEST(rfc2730_2_1_5_options_out_of_place_are_invalid_requests)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	out.scope = world.scope[0].first;
	out.family = MADCAP_IPV4;
	madcap_message_set(&out, MADCAP_OPT_SCOPE);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SCOPE);
	out = message(MADCAP_RELEASE, 1);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 10);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_TIME);
}
END_TEST

START_TEST(rfc2730_2_1_5_unknown_options_are_skipped)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	uint8_t longer[512];

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	memcpy(longer, world.sent, world.sent_size);
	longer[7]++; /* another xid */
	memcpy(longer + world.sent_size - 4, "\x12\x34\x00\x02xx\0\0\0\0", 10);
	ck_assert_int_eq(send_bytes(longer, world.sent_size + 6), MADCAP_ACK);
	memcpy(longer + world.sent_size - 4, "\x00\x12\x00\x00\x12\x34\0\0\0\0\0\0", 12);
	ck_assert_int_eq(send_bytes(longer, world.sent_size + 8), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_1_5_the_same_option_twice_is_an_invalid_request)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);
	uint8_t longer[512];

	with_number(&out, MADCAP_OPT_LEASE_TIME, 60);
	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	memcpy(longer, world.sent, world.sent_size);
	memcpy(longer + world.sent_size - 4, "\0\1\0\4\0\0\0\x3c\0\0\0\0", 12);
	ck_assert_int_eq(send_bytes(longer, world.sent_size + 8), MADCAP_NAK);
	ck_assert_uint_eq(world.got.error_code, MADCAP_ERR_INVALID_REQUEST);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), MADCAP_OPT_LEASE_TIME);
	ck_assert_uint_eq(world.got.lease_id.size, ID_SIZE);
}
END_TEST

START_TEST(rfc2730_2_2_unknown_types_are_invalid_requests)
{
	static const uint8_t types[] = { 0, 9, 77, 255, MADCAP_OFFER, MADCAP_ACK };

	for (size_t i = 0; i < sizeof(types); i++) {
		struct madcap_message out = message(MADCAP_RELEASE, 1);

		out.type = types[i];
		ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_NONE);
	}
}
END_TEST

START_TEST(rfc2730_2_6_a_nak_is_never_answered)
{
	static const uint8_t broken[] = { 0, 6, 0, 1, 0, 0, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0 };
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	out.type = MADCAP_NAK;
	ck_assert_int_eq(ask(&out), 0);
	ck_assert_int_eq(send_bytes(broken, sizeof(broken)), 0);
}
END_TEST

START_TEST(rfc2730_2_1_3_families_that_are_not_served)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	world.sent[3] = 9;
	ck_assert_int_eq(send_bytes(world.sent, world.sent_size), MADCAP_NAK);
	ck_assert_uint_eq(world.got.error_code, MADCAP_ERR_INVALID_REQUEST);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), MADCAP_OPT_NONE);
}
END_TEST

/* ---- 2.1.4: retransmissions ------------------------------------------------------------------ */

START_TEST(rfc2730_2_1_4_the_same_answer_again)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct madcap_answer first;
	struct book_stats stats;

	out.xid = 4711;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	first = world.answer;
	pass_time(59);
	world.client.port++; /* it goes to where the retransmission came from */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.answer.size, first.size);
	ck_assert_mem_eq(world.answer.data, first.data, first.size);
	ck_assert_uint_eq(madcap_server_counters(world.server)->retransmissions, 1);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_ACTIVE], 1);
}
END_TEST

START_TEST(rfc2730_2_1_4_a_release_again_is_not_carried_out_again)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	request(1, 1);
	out.xid = 4712;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	pass_time(61);
	ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
}
END_TEST

START_TEST(rfc2730_2_1_4_type_xid_and_identifier_tell_requests_apart)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.xid = 1;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out.lease_id = id(2);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_ne(got_ranges(), "");
	out = message(MADCAP_RELEASE, 2);
	out.xid = 1;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_server_counters(world.server)->retransmissions, 0);
}
END_TEST

START_TEST(rfc2730_2_1_4_cache_is_bounded)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	const struct madcap_counters *counters;

	world.config.cache_entries = 4;
	restart();
	out.xid = 9;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	for (unsigned int i = 2; i < 8; i++)
		request(i, 1);
	counters = madcap_server_counters(world.server);
	ck_assert_uint_eq(counters->cache_evictions, 3);
	/* Forgotten, and yet no second lease. */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(counters->retransmissions, 0);
	ck_assert_uint_eq(counters->granted, 7);
}
END_TEST

START_TEST(request_again_after_a_restart_gets_its_lease_again)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct book_stats stats;
	char first[256];

	world.unsynced = false;
	restart();
	with_count(&out, 3, 3);
	out.xid = 77;
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	snprintf(first, sizeof(first), "%s", got_ranges());
	restart();
	pass_time(10);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), first);
	ck_assert_uint_eq(world.got.lease_time, 3590);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_ACTIVE], 1);
	ck_assert_uint_eq(stats.addresses[BOOK_ACTIVE], 3);
}
END_TEST

/* ---- 2.2.1, 3.10: GETINFO -------------------------------------------------------------------- */

static struct madcap_message getinfo(const char *codes)
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
static const char *got_scopes(void)
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
static void four_scopes(void)
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

START_TEST(rfc2730_3_10_a_list_that_is_too_long_loses_names_not_scopes)
{
	static struct madcap_zone_name names[200];
	static char text[256];
	struct madcap_message out = getinfo("9");

	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < 200; i++)
		names[i] = (struct madcap_zone_name){ "en", text, i == 7 };
	close_server();
	world.scope[0].names = names;
	world.scope[0].n_names = 200;
	open_server();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), ORGANISATION " en*");
}
END_TEST

/* ---- 2.2.2, 2.2.3: DISCOVER and OFFER -------------------------------------------------------- */

START_TEST(rfc2730_2_2_3_offer_tells_lease_and_scope)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	with_number(&out, MADCAP_OPT_LEASE_TIME, 7200);
	with_count(&out, 2, 4);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	ck_assert_uint_eq(world.got.lease_time, 7200);
	ck_assert(madcap_address_equal(&world.got.scope, &world.scope[0].first));
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 4);
}
END_TEST

START_TEST(rfc2730_2_2_3_offered_addresses_are_held)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);
	char offered[256];

	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	snprintf(offered, sizeof(offered), "%.255s", got_ranges());
	ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	discover = message(MADCAP_REQUEST, 1);
	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), offered);
}
END_TEST

START_TEST(rfc2730_2_2_3_what_was_offered_is_given)
{
	static const char *const lists[] = { NULL, "239.192.0.1+8" };

	for (unsigned int i = 0; i < 2; i++) {
		struct madcap_message out = message(MADCAP_DISCOVER, 10 + i);
		char offered[256];

		with_count(&out, 2, 2);
		if (lists[i] != NULL)
			with_ranges(&out, lists[i]);
		ck_assert_int_eq(ask(&out), MADCAP_OFFER);
		snprintf(offered, sizeof(offered), "%.255s", got_ranges());
		request(20 + i, 1); /* somebody else, in between */
		out.type = MADCAP_REQUEST;
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
		ck_assert_str_eq(got_ranges(), offered);
	}
}
END_TEST

START_TEST(rfc2730_2_2_3_held_for_a_while)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);

	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	pass_time(59);
	tick();
	ASSERT_NAK(&other, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	ck_assert_int_eq(madcap_server_wait_ms(world.server, &world.clock), 1000);
	pass_time(1);
	ck_assert_int_eq(madcap_server_wait_ms(world.server, &world.clock), 0);
	tick();
	ck_assert_int_eq(ask(&other), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_2_3_a_request_to_another_server_ends_the_hold)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct madcap_message other = message(MADCAP_REQUEST, 2);

	world.to = addr("239.195.255.254");
	with_count(&discover, 10, 10);
	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	discover = message(MADCAP_REQUEST, 1);
	discover.server_id = addr("192.0.2.200");
	madcap_message_set(&discover, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&discover), 0);
	world.to = (struct madcap_address){ .family = 0 };
	ck_assert_int_eq(ask(&other), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_2_3_hold_becomes_lease_and_is_not_timed_out)
{
	struct madcap_message discover = message(MADCAP_DISCOVER, 1);
	struct book_lease lease;

	ck_assert_int_eq(ask(&discover), MADCAP_OFFER);
	request(1, 1);
	pass_time(100);
	tick();
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_eq(lease.state, BOOK_ACTIVE);
}
END_TEST

START_TEST(rfc2730_2_2_2_what_cannot_be_met_gets_no_offer)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	with_count(&out, 11, 11);
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_DISCOVER, 1);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 31 * 86400);
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_DISCOVER, 1);
	out.scope = addr("239.1.0.0");
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_DISCOVER, 1);
	with_features(&out, "9", "", "9");
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

START_TEST(rfc2730_2_2_2_offers_are_bounded)
{
	world.config.max_offers = 3;
	restart();
	for (unsigned int i = 0; i < 50; i++) {
		struct madcap_message out = message(MADCAP_DISCOVER, i);
		struct book_stats stats;

		ck_assert_int_eq(ask(&out), MADCAP_OFFER);
		ck_assert(book_stats(world.book, NULL, &stats));
		ck_assert_uint_le(stats.leases[BOOK_OFFERED], 3);
	}
}
END_TEST

START_TEST(offers_leave_half_of_a_large_scope)
{
	struct book_stats stats;

	world.scope[0].n_allocate = 0;
	world.scope[0].last = addr("239.192.0.129"); /* 129 addresses */
	restart();
	for (unsigned int i = 0; i < 40; i++) {
		struct madcap_message out = message(MADCAP_DISCOVER, i);

		with_count(&out, 10, 10);
		ck_assert_int_eq(ask(&out), MADCAP_OFFER);
		ck_assert(book_stats(world.book, NULL, &stats));
		ck_assert_uint_le(stats.addresses[BOOK_OFFERED], 64);
	}
	request(1000, 64);
}
END_TEST

START_TEST(rfc2730_2_11_scopes_that_the_group_does_not_belong_to)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	four_scopes();
	world.to = addr("239.195.255.254"); /* the organisation's */
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	out = message(MADCAP_DISCOVER, 2);
	out.scope = addr("239.254.0.0");
	ck_assert_int_eq(ask(&out), 0);
	world.to = addr("239.254.255.254"); /* the site's, which the organisation encloses */
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	out = message(MADCAP_DISCOVER, 3);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	world.to = addr("239.255.255.254"); /* local, inside all */
	out = message(MADCAP_DISCOVER, 4);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	world.to = addr("239.7.7.7");
	out = message(MADCAP_DISCOVER, 5);
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

START_TEST(rfc2730_2_10_server_groups)
{
	static const char *const expected[] = { "239.195.255.254", "239.255.255.254",
						"239.254.255.254", "ff15::1fe",
						"ff03:ffff:ffff:ffff:ffff:ffff:ffff:fffe" };
	struct madcap_address group;
	char text[MADCAP_ADDRESS_TEXT];
	size_t at = 0, n = 0;

	four_scopes();
	while (madcap_server_group_next(world.server, &at, &group))
		ck_assert_str_eq(madcap_address_format(&group, text), expected[n++]);
	ck_assert_uint_eq(n, 5);
}
END_TEST

/* ---- 2.2.4: REQUEST -------------------------------------------------------------------------- */

START_TEST(rfc2730_2_2_4_request_gets_lease_scope_and_ranges)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 3600);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 1);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_FEATURES));
	ck_assert(madcap_address_equal(&world.got.scope, &world.scope[0].first));
}
END_TEST

START_TEST(rfc2730_2_2_4_multicast_request_names_its_server)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.to = addr("239.195.255.254");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SERVER_ID);
	out.server_id = world.local;
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

START_TEST(rfc2730_2_2_4_unicast_request_may_name_its_server)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.server_id = world.local;
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out = message(MADCAP_REQUEST, 2);
	out.server_id = addr("192.0.2.99");
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SERVER_ID);
}
END_TEST

START_TEST(rfc2730_3_3_server_id_may_be_configured_and_of_another_family)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	close_server();
	world.config.server_id = addr("2001:db8::1");
	open_server();
	out.server_id = addr("2001:db8::1");
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(madcap_address_equal(&world.got.server_id, &world.config.server_id));
}
END_TEST

START_TEST(rfc2730_2_2_4_no_address_twice)
{
	uint8_t seen[10] = { 0 };
	struct madcap_message out;

	for (unsigned int i = 0; i < 10; i++) {
		struct madcap_range range;
		size_t at = 0;

		request(i, 1);
		ck_assert(madcap_range_next(&world.got, &at, &range));
		ck_assert_uint_lt(range.first.bytes[3], 10);
		ck_assert_uint_eq(seen[range.first.bytes[3]]++, 0);
	}
	out = message(MADCAP_REQUEST, 10);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
}
END_TEST

START_TEST(rfc2730_3_8_between_minimum_and_desired)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_count(&out, 2, 1);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_COUNT);
	with_count(&out, 0, 0);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_COUNT);
	with_count(&out, 11, 20);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 3, 7);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 7);
	out = message(MADCAP_REQUEST, 2);
	with_count(&out, 3, 7);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 3);
}
END_TEST

START_TEST(several_addresses_in_as_few_ranges_as_possible)
{
	struct madcap_message out;
	struct madcap_range range;
	size_t at = 0;

	for (unsigned int i = 0; i < 10; i++)
		request(i, 1);
	/* Frees the addresses .1, .2, .4, .5, .6 and .8. */
	for (unsigned int i = 0; i < 10; i++) {
		struct book_lease lease;
		struct book_range one;

		ck_assert_int_eq(book_find(world.book, id(i), &lease), 0);
		one = book_lease_range(&lease, 0);
		out = message(MADCAP_RELEASE, i);
		if (strchr("\1\2\4\5\6\10", one.first.bytes[3]) != NULL && one.first.bytes[3] != 0)
			ck_assert_int_eq(ask(&out), MADCAP_ACK);
	}
	out = message(MADCAP_REQUEST, 100);
	with_count(&out, 5, 5);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.1+2 239.192.0.4+3");
	out = message(MADCAP_REQUEST, 101);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(madcap_range_next(&world.got, &at, &range));
	ck_assert_uint_eq(range.first.bytes[3], 8);
}
END_TEST

START_TEST(rfc2730_3_11_only_these_addresses_will_do)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_ranges(&out, "239.192.0.7+1 239.192.0.3+1");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.7+1"); /* the first that will do */
	out = message(MADCAP_REQUEST, 2);
	with_ranges(&out, "239.192.0.7+1 239.192.0.3+1");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.3+1");
	out = message(MADCAP_REQUEST, 3);
	with_ranges(&out, "239.192.0.7+1 239.192.0.3+1 10.0.0.1+5 239.192.0.200+7");
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_RANGES);
	/* Overlaps count once. */
	with_ranges(&out, "239.192.0.4+2 239.192.0.4+3 239.192.0.5+1");
	with_count(&out, 4, 4);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_RANGES);
	with_count(&out, 3, 4);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.192.0.4+3");
}
END_TEST

START_TEST(rfc2730_3_5_unknown_scope)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.scope = addr("239.192.0.1");
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	out.scope = addr("ff15::");
	out.family = MADCAP_IPV6;
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
}
END_TEST

START_TEST(ipv6_scope)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	four_scopes();
	out.scope = addr("ff15::100");
	out.family = MADCAP_IPV6;
	with_count(&out, 255, 255);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	/* All but the server group. */
	ck_assert_str_eq(got_ranges(), "ff15::100+254 ff15::1ff+1");
}
END_TEST

START_TEST(excluded_addresses_and_server_group_are_never_given)
{
	static struct madcap_address_range exclude[2];
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	close_server();
	exclude[0] =
		(struct madcap_address_range){ addr("239.195.255.240"), addr("239.195.255.249") };
	exclude[1] = (struct madcap_address_range){ addr("239.192.0.0"), addr("239.195.255.239") };
	world.scope[0].n_allocate = 0;
	world.scope[0].exclude = exclude;
	world.scope[0].n_exclude = 2;
	open_server();
	with_count(&out, 1, 256);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_ranges(), "239.195.255.250+4 239.195.255.255+1");
}
END_TEST

/* ---- times: 2.2.2, 2.12, 3.2, 3.7, 3.15, 3.16 ------------------------------------------------ */

START_TEST(rfc2730_3_2_lease_times)
{
	static const struct {
		int64_t asked, least;
		uint32_t got;
	} cases[] = {
		{ -1, -1, 3600 },
		{ 100, -1, 100 },
		{ 0, -1, 3600 },
		{ 400 * 86400, -1, 30 * 86400 },
		{ 400 * 86400, 86400, 30 * 86400 },
		{ 100, 50, 100 },
		{ 50, 100, 100 },
		{ -1, 7200, 7200 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct madcap_message out = message(MADCAP_REQUEST, i);

		if (cases[i].asked >= 0)
			with_number(&out, MADCAP_OPT_LEASE_TIME, cases[i].asked);
		if (cases[i].least >= 0)
			with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, cases[i].least);
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
		ck_assert_uint_eq(world.got.lease_time, cases[i].got);
	}
}
END_TEST

START_TEST(rfc2730_2_2_2_default_is_the_longest_lease)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.scope[0].default_lease_sec = 0;
	restart();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 30 * 86400);
}
END_TEST

START_TEST(rfc2730_3_15_minimum_lease_time_that_cannot_be_met)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 30 * 86400 + 1);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
}
END_TEST

START_TEST(rfc2730_3_7_future_start)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_start(&out, NOW + 86400);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 86400);
	ck_assert_uint_eq(world.got.current_time, NOW);
	ck_assert_uint_eq(world.got.lease_time, 600);
	out = message(MADCAP_REQUEST, 2);
	with_start(&out, NOW - 100); /* past: now */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
}
END_TEST

/* One address, so that leases have to share it. */
static void one_address(void)
{
	static struct madcap_address_range one;

	close_server();
	one = (struct madcap_address_range){ addr("239.192.0.5"), addr("239.192.0.5") };
	world.scope[0].allocate = &one;
	open_server();
}

static void request_at(unsigned int lease, int64_t start, int64_t lease_time, int64_t latest)
{
	struct madcap_message out = message(MADCAP_REQUEST, lease);

	with_start(&out, start);
	with_number(&out, MADCAP_OPT_LEASE_TIME, lease_time);
	if (latest > 0)
		with_latest(&out, latest);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}

START_TEST(rfc2730_2_12_extra_allocation_time_on_both_sides)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	one_address();
	request_at(1, NOW + 20000, 10000, 0); /* to 30000 */
	/* Less than an hour before it is not to be had, for less than asked it is. */
	with_number(&out, MADCAP_OPT_LEASE_TIME, 16401);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 16401);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 16400);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 16400);
	ck_assert_str_eq(got_ranges(), "239.192.0.5+1");
	/* Nor less than an hour after it. */
	out = message(MADCAP_REQUEST, 3);
	with_start(&out, NOW + 33599);
	with_latest(&out, NOW + 33599);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	with_latest(&out, NOW + 33600);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 33600);
	ck_assert_str_eq(got_ranges(), "239.192.0.5+1");
}
END_TEST

START_TEST(rfc2730_2_2_4_later_start_than_asked_for)
{
	one_address();
	request(1, 1); /* until NOW + 3600 */
	request_at(2, NOW + 60, 600, 0);
	ck_assert_uint_eq(world.got.start_time, NOW + 7200);
	ck_assert_uint_eq(world.got.lease_time, 600);
}
END_TEST

START_TEST(rfc2730_3_16_maximum_start_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	one_address();
	request(1, 1);
	with_start(&out, NOW + 60);
	with_latest(&out, NOW + 7199);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	with_start(&out, NOW + 9000);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	out = message(MADCAP_REQUEST, 3);
	with_latest(&out, NOW + 100000); /* as soon as possible until then */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 7200);
}
END_TEST

START_TEST(a_client_whose_clock_is_a_little_behind_can_say_now_or_never)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_latest(&out, NOW - 20);
	with_number(&out, MADCAP_OPT_CURRENT_TIME, NOW - 20);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
}
END_TEST

START_TEST(rfc2730_2_12_absolute_times_need_current_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_number(&out, MADCAP_OPT_START_TIME, NOW);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_CURRENT_TIME);
	out = message(MADCAP_RENEW, 1);
	with_number(&out, MADCAP_OPT_MAX_START_TIME, NOW);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_CURRENT_TIME);
}
END_TEST

START_TEST(rfc2730_2_12_excessive_clock_skew)
{
	static const int64_t off[] = { 1801, -1801, -NOW };
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	uint8_t now[4] = { (uint8_t)(NOW >> 24), (uint8_t)(NOW >> 16 & 0xff),
			   (uint8_t)(NOW >> 8 & 0xff), (uint8_t)(NOW & 0xff) };

	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		with_number(&out, MADCAP_OPT_CURRENT_TIME, NOW + off[i]);
		ASSERT_NAK(&out, MADCAP_ERR_CLOCK_SKEW, 0);
		ck_assert_uint_eq(world.got.error_data.size, 4);
		ck_assert_mem_eq(world.got.error_data.data, now, 4);
	}
	with_number(&out, MADCAP_OPT_CURRENT_TIME, NOW - 1800);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	world.config.clock_skew_allowance_sec = INT64_MAX;
	out = message(MADCAP_REQUEST, 2);
	with_number(&out, MADCAP_OPT_CURRENT_TIME, 5);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

START_TEST(expired_leases_rest_for_the_extra_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	one_address();
	request(1, 1);
	pass_time(7199);
	tick();
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	/* Its former owner may have it back, if it names it or not. */
	request(1, 1);
	pass_time(7200);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	tick();
	ck_assert_uint_eq(madcap_server_counters(world.server)->expired, 1);
}
END_TEST

START_TEST(a_scope_has_a_life_time)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.scope[0].expires_sec = NOW + 1000;
	restart();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 1000);
	out = message(MADCAP_REQUEST, 2);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 1001);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	out = message(MADCAP_REQUEST, 3);
	with_start(&out, NOW + 1500);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	pass_time(1000);
	out = message(MADCAP_REQUEST, 4);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	out = getinfo("9");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_str_eq(got_scopes(), "");
}
END_TEST

/* ---- 2.2.7: RENEW ---------------------------------------------------------------------------- */

START_TEST(rfc2730_2_2_7_renew_counts_from_now)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);
	char first[256];

	request(1, 3);
	snprintf(first, sizeof(first), "%s", got_ranges());
	pass_time(3000);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 5000);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 5000);
	ck_assert_str_eq(got_ranges(), first);
	ck_assert(madcap_address_equal(&world.got.scope, &world.scope[0].first));
	pass_time(4999);
	out = message(MADCAP_RENEW, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK); /* the default */
	ck_assert_uint_eq(world.got.lease_time, 3600);
}
END_TEST

START_TEST(rfc2730_2_2_7_renew_to_another_start)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	request(1, 1);
	with_start(&out, NOW + 500);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 500);
	ck_assert_uint_eq(world.got.lease_time, 3600);
	out = message(MADCAP_RENEW, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_START_TIME));
}
END_TEST

START_TEST(rfc2730_2_2_7_renew_within_what_others_leave)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	one_address();
	request(1, 1);
	request_at(2, NOW + 20000, 600, 0);
	with_number(&out, MADCAP_OPT_LEASE_TIME, 20000);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.lease_time, 16400);
	out = message(MADCAP_RENEW, 1);
	with_number(&out, MADCAP_OPT_MIN_LEASE_TIME, 16401);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MIN_LEASE_TIME);
	out = message(MADCAP_RENEW, 1);
	with_start(&out, NOW + 19000);
	with_latest(&out, NOW + 19500);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_MAX_START_TIME);
	out = message(MADCAP_RENEW, 1);
	with_start(&out, NOW + 19000); /* behind the other one, then */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.start_time, NOW + 20600 + 3600);
}
END_TEST

START_TEST(rfc2730_2_4_unknown_lease_identifiers)
{
	static const enum madcap_type types[] = { MADCAP_RENEW, MADCAP_RELEASE };

	for (int i = 0; i < 2; i++) {
		struct madcap_message out = message(types[i], 1);

		ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
		ck_assert_uint_eq(world.got.error_data.size, 0);
	}
}
END_TEST

START_TEST(rfc2730_2_4_an_expired_lease_is_no_lease)
{
	struct madcap_message out = message(MADCAP_RENEW, 1);

	request(1, 1);
	pass_time(3600);
	ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
	out = message(MADCAP_RELEASE, 1);
	ASSERT_NAK(&out, MADCAP_ERR_LEASE_ID_UNKNOWN, 0);
}
END_TEST

START_TEST(rfc2730_2_4_lease_identifiers_are_opaque)
{
	static const char *const ids[] = { "\1", "x", "anything at all", "\xff\xff" };

	for (size_t i = 0; i < 4; i++) {
		struct madcap_message out = message(MADCAP_REQUEST, 1);

		out.lease_id = bytes(ids[i]);
		ck_assert_int_eq(ask(&out), MADCAP_ACK);
	}
}
END_TEST

START_TEST(lease_identifiers_have_a_longest_length)
{
	static uint8_t longest[BOOK_ID_MAX + 1];
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	out.lease_id = (struct madcap_bytes){ longest, BOOK_ID_MAX };
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out.lease_id.size++;
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_LEASE_ID);
}
END_TEST

/* ---- 2.2.8: RELEASE -------------------------------------------------------------------------- */

START_TEST(rfc2730_2_2_8_release_ends_the_whole_lease)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);
	struct book_stats stats;

	request(1, 10);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	/* Server and lease identifier, and nothing else (2.2.5). */
	ck_assert_uint_eq(world.got.present,
			  1U << MADCAP_OPT_SERVER_ID | 1U << MADCAP_OPT_LEASE_ID);
	ck_assert(book_stats(world.book, &world.scope[0].first, &stats));
	ck_assert_uint_eq(stats.free, 10);
	request(2, 10);
}
END_TEST

START_TEST(multicast_renew_and_release_are_ignored)
{
	struct madcap_message out = message(MADCAP_RELEASE, 1);

	request(1, 1);
	world.to = addr("239.195.255.254");
	ck_assert_int_eq(ask(&out), 0);
	out = message(MADCAP_RENEW, 1);
	ck_assert_int_eq(ask(&out), 0);
}
END_TEST

START_TEST(rfc2730_4_with_ipsec_only_getinfo_is_multicast)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 1);

	world.config.only_unicast = true;
	world.to = addr("239.255.255.254");
	ck_assert_int_eq(ask(&out), 0);
	out = getinfo("9");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
}
END_TEST

/* ---- 2.13, 3.13: features -------------------------------------------------------------------- */

START_TEST(rfc2730_3_13_feature_lists)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_features(&out, "", "", "0");
	ASSERT_NAK(&out, MADCAP_ERR_FEATURE_UNSUPPORTED, 0);
	ck_assert_uint_eq(world.got.error_data.size, 2);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), 0);
	with_features(&out, "02", "0", "729");
	ASSERT_NAK(&out, MADCAP_ERR_FEATURE_UNSUPPORTED, 0);
	ck_assert_uint_eq(world.got.error_data.size, 4);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 0), 7);
	ck_assert_uint_eq(madcap_codes_at(world.got.error_data, 1), 9);
	with_features(&out, "02", "02", "");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.requested.size, 0);
	ck_assert_uint_eq(world.got.features.required.size, 2);
	ck_assert_uint_eq(madcap_codes_at(world.got.features.required, 0),
			  MADCAP_FEATURE_SHARED_LEASE_ID);
}
END_TEST

START_TEST(rfc2730_3_13_required_list_is_a_subset_of_what_the_client_supports)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_features(&out, "", "2", "");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.required.size, 0);
}
END_TEST

START_TEST(rfc2730_2_13_3_shared_lease_identifier)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);
	struct book_lease lease;

	with_features(&out, "2", "", "2");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.required.size, 2);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_uint_eq(lease.flags, BOOK_SHARED_ID);
	world.client.address = addr("198.51.100.9");
	out = message(MADCAP_RENEW, 1);
	with_features(&out, "2", "", "2");
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(world.got.features.required.size, 2);
}
END_TEST

START_TEST(rfc2730_2_13_2_retry_after_is_not_the_clients_choice)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_features(&out, "1", "1", "");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_FEATURES);
	with_features(&out, "1", "", "1");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_FEATURES);
}
END_TEST

/* ---- 2.13.2: Retry After --------------------------------------------------------------------- */

static struct madcap_message large(unsigned int lease)
{
	struct madcap_message out = message(MADCAP_REQUEST, lease);

	with_count(&out, 6, 6);
	with_features(&out, "1", "", "");
	return out;
}

static void with_operator(void)
{
	world.config.retry_after_above = 5;
	restart();
}

static void decide(unsigned int lease, int (*decision)(struct madcap_server *, struct madcap_bytes))
{
	struct error error;

	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	ck_assert_int_eq(decision(world.server, id(lease)), 0);
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
}

static void assert_later(const struct madcap_message *out)
{
	ck_assert_int_eq(ask(out), MADCAP_ACK);
	ck_assert(madcap_message_has(&world.got, MADCAP_OPT_RETRY_TIME));
	ck_assert_uint_gt(world.got.retry_time, world.got.current_time);
	ck_assert_uint_eq(world.got.ranges.size, 0);
	ck_assert(madcap_codes_has(world.got.features.required, MADCAP_FEATURE_RETRY_AFTER));
}

START_TEST(rfc2730_2_13_2_come_back_later_until_approved)
{
	struct madcap_message out = large(1);
	struct book_stats stats;

	with_operator();
	assert_later(&out);
	assert_later(&out);
	restart(); /* it is remembered */
	assert_later(&out);
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_PENDING], 1);
	decide(1, madcap_server_approve);
	restart();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert(!madcap_message_has(&world.got, MADCAP_OPT_RETRY_TIME));
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 6);
}
END_TEST

START_TEST(rfc2730_2_13_2_denied)
{
	struct madcap_message out = large(1);

	with_operator();
	assert_later(&out);
	decide(1, madcap_server_deny);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	pass_time(8 * 86400); /* forgotten */
	assert_later(&out);
}
END_TEST

START_TEST(rfc2730_2_13_2_renew_while_pending_is_invalid)
{
	struct madcap_message out = large(1);

	with_operator();
	assert_later(&out);
	out = message(MADCAP_RENEW, 1);
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
}
END_TEST

START_TEST(rfc2730_2_13_2_release_ends_a_pending_lease)
{
	struct madcap_message out = large(1);
	struct book_lease lease;

	with_operator();
	assert_later(&out);
	out = message(MADCAP_RELEASE, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), POOL_E_NOT_FOUND);
}
END_TEST

START_TEST(rfc2730_3_13_retry_after_only_for_those_who_support_it)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	with_operator();
	with_count(&out, 6, 6);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 2, 6); /* as many as need no consent */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 5);
}
END_TEST

START_TEST(pending_leases_are_bounded)
{
	world.config.max_pending = 3;
	with_operator();
	for (unsigned int i = 0; i < 3; i++) {
		struct madcap_message out = large(i);

		assert_later(&out);
	}
	{
		struct madcap_message out = large(9);

		ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	}
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(limit_per_request)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	world.config.max_addresses_per_request = 4;
	with_count(&out, 5, 6);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 1, 6);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 4);
}
END_TEST

START_TEST(limit_per_client)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	world.config.max_addresses_per_client = 4;
	request(1, 3);
	with_count(&out, 2, 3);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_COUNT);
	with_count(&out, 1, 3);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	ck_assert_uint_eq(madcap_ranges_total(&world.got), 1);
	out = message(MADCAP_REQUEST, 3);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
	world.client.address = addr("192.0.2.78"); /* somebody else */
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	world.client.address = addr("192.0.2.77");
	out = message(MADCAP_RELEASE, 1);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	request(4, 3);
}
END_TEST

START_TEST(a_lease_identifier_is_for_one_scope)
{
	struct madcap_message out = message(MADCAP_REQUEST, 1);

	four_scopes();
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	out.scope = addr("239.255.0.0");
	ASSERT_NAK(&out, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID);
}
END_TEST

START_TEST(reload_keeps_leases)
{
	static struct madcap_server_config other;
	struct madcap_message out;
	struct error error;

	request(1, 5);
	other = world.config;
	other.n_scopes = 0;
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), 0);
	out = message(MADCAP_REQUEST, 2);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	out = message(MADCAP_RENEW, 1);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_SCOPE);
	ck_assert_int_eq(madcap_server_configure(world.server, &world.config, &error), 0);
	ck_assert_int_eq(ask(&out), MADCAP_ACK);
	request(3, 5);
	out = message(MADCAP_REQUEST, 4);
	ASSERT_NAK(&out, MADCAP_ERR_NOT_COMPLETED, MADCAP_OPT_NONE);
}
END_TEST

START_TEST(configurations_that_are_refused)
{
	struct error error;
	struct madcap_server_config other = world.config;
	struct madcap_server_scope scopes[2] = { world.scope[0], world.scope[0] };
	struct madcap_address nowhere = addr("239.1.2.0");

	other.scopes = scopes;
	other.n_scopes = 2;
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("239.195.255.255");
	scopes[1].last = addr("239.196.0.255");
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("239.196.0.254");
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("192.0.2.0");
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	scopes[1].first = addr("239.196.0.0");
	scopes[1].inside = &nowhere;
	scopes[1].n_inside = 1;
	ck_assert_int_eq(madcap_server_configure(world.server, &other, &error), POOL_E_CONFIG);
	request(1, 1); /* the old one goes on */
}
END_TEST

/* ---- batches --------------------------------------------------------------------------------- */

START_TEST(a_request_for_another_server_is_none_of_ours)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);

	world.to = addr("239.195.255.254");
	out.server_id = addr("192.0.2.99");
	madcap_message_set(&out, MADCAP_OPT_SERVER_ID);
	out.current_time = 1000;
	madcap_message_set(&out, MADCAP_OPT_CURRENT_TIME);
	ck_assert_int_ne(ask(&out), MADCAP_NAK);
	ck_assert_uint_eq(world.answer.size, 0);
}
END_TEST

START_TEST(failed_commit_takes_everything_back)
{
	struct madcap_message out = message(MADCAP_REQUEST, 2);
	struct madcap_input input;
	struct error error;

	request(1, 4);
	with_count(&out, 6, 6);
	out.xid = 55;
	ck_assert(madcap_message_encode(&out, world.sent, sizeof(world.sent), &world.sent_size));
	input = input_of(world.sent, world.sent_size);
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	madcap_server_step(world.server, &input, &world.answer);
	ck_assert(world.answer.depends);
	book_abort(world.book); /* as if the disk had failed */
	ck_assert_int_eq(book_begin(world.book, &error), 0);
	madcap_server_fail(world.server, &input, &world.answer);
	ck_assert_uint_gt(world.answer.size, 0);
	ck_assert_uint_eq(world.answer.data[1], MADCAP_NAK);
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
	request(3, 6);
}
END_TEST

START_TEST(one_batch_sees_its_own_changes)
{
	struct madcap_message out[4];
	struct madcap_answer answers[4];
	struct error error;

	out[0] = message(MADCAP_REQUEST, 1);
	with_count(&out[0], 10, 10);
	out[1] = message(MADCAP_REQUEST, 2);
	out[2] = message(MADCAP_RELEASE, 1);
	out[3] = message(MADCAP_REQUEST, 3);
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	for (unsigned int i = 0; i < 4; i++) {
		struct madcap_input input;

		out[i].xid = i;
		out[i].family = MADCAP_IPV4;
		ck_assert(madcap_message_encode(&out[i], world.sent, sizeof(world.sent),
						&world.sent_size));
		input = input_of(world.sent, world.sent_size);
		madcap_server_step(world.server, &input, &answers[i]);
	}
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
	ck_assert_uint_eq(answers[0].data[1], MADCAP_ACK);
	ck_assert_uint_eq(answers[1].data[1], MADCAP_NAK);
	ck_assert_uint_eq(answers[2].data[1], MADCAP_ACK);
	ck_assert_uint_eq(answers[3].data[1], MADCAP_ACK);
}
END_TEST

START_TEST(counters_and_stats)
{
	struct madcap_message out = message(MADCAP_DISCOVER, 9);
	const struct madcap_counters *counters = madcap_server_counters(world.server);
	struct book_stats stats;

	request(1, 2);
	ck_assert_int_eq(ask(&out), MADCAP_OFFER);
	out = message(MADCAP_RENEW, 5);
	ck_assert_int_eq(ask(&out), MADCAP_NAK);
	ck_assert_int_eq(send_bytes("x", 1), 0);
	ck_assert_uint_eq(counters->received[MADCAP_REQUEST], 1);
	ck_assert_uint_eq(counters->received[0], 1);
	ck_assert_uint_eq(counters->offers, 1);
	ck_assert_uint_eq(counters->acks, 1);
	ck_assert_uint_eq(counters->naks, 1);
	ck_assert_uint_eq(counters->naks_by_error[MADCAP_ERR_LEASE_ID_UNKNOWN], 1);
	ck_assert_uint_eq(counters->ignored, 1);
	ck_assert(madcap_server_stats(world.server, &world.scope[0].first, &stats));
	ck_assert_uint_eq(stats.size, 10);
	ck_assert_uint_eq(stats.free, 7);
	ck_assert_uint_eq(stats.addresses[BOOK_ACTIVE], 2);
	ck_assert_uint_eq(stats.leases[BOOK_OFFERED], 1);
}
END_TEST

static void add_messages(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_1_too_short_is_ignored);
	tcase_add_test(tcase, rfc2730_2_1_1_other_version_is_ignored);
	tcase_add_test(tcase, rfc2730_2_1_5_end_must_be_there_and_last);
	tcase_add_test(tcase, rfc2730_2_1_5_missing_options_are_invalid_requests);
	tcase_add_test(tcase, rfc2730_2_1_5_missing_lease_id_is_an_invalid_request);
	tcase_add_test(tcase, rfc2730_2_1_5_options_out_of_place_are_invalid_requests);
	tcase_add_test(tcase, rfc2730_2_1_5_unknown_options_are_skipped);
	tcase_add_test(tcase, rfc2730_2_1_5_the_same_option_twice_is_an_invalid_request);
	tcase_add_test(tcase, rfc2730_2_2_unknown_types_are_invalid_requests);
	tcase_add_test(tcase, rfc2730_2_6_a_nak_is_never_answered);
	tcase_add_test(tcase, rfc2730_2_1_3_families_that_are_not_served);
	tcase_add_test(tcase, rfc2730_2_1_4_the_same_answer_again);
	tcase_add_test(tcase, rfc2730_2_1_4_a_release_again_is_not_carried_out_again);
	tcase_add_test(tcase, rfc2730_2_1_4_type_xid_and_identifier_tell_requests_apart);
	tcase_add_test(tcase, rfc2730_2_1_4_cache_is_bounded);
	tcase_add_test(tcase, request_again_after_a_restart_gets_its_lease_again);
}

static void add_info(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_2_1_getinfo_gets_what_it_asks_for);
	tcase_add_test(tcase, rfc2730_3_10_languages);
	tcase_add_test(tcase, rfc2730_3_10_smaller_scopes_come_first);
	tcase_add_test(tcase, rfc2907_3_3_nesting_state_with_the_scope_list);
	tcase_add_test(tcase, rfc2730_2_11_getinfo_on_the_local_group_only);
	tcase_add_test(tcase, rfc2730_3_10_a_list_that_is_too_long_loses_names_not_scopes);
	tcase_add_test(tcase, rfc2730_2_2_3_offer_tells_lease_and_scope);
	tcase_add_test(tcase, rfc2730_2_2_3_offered_addresses_are_held);
	tcase_add_test(tcase, rfc2730_2_2_3_what_was_offered_is_given);
	tcase_add_test(tcase, rfc2730_2_2_3_held_for_a_while);
	tcase_add_test(tcase, rfc2730_2_2_3_a_request_to_another_server_ends_the_hold);
	tcase_add_test(tcase, rfc2730_2_2_3_hold_becomes_lease_and_is_not_timed_out);
	tcase_add_test(tcase, rfc2730_2_2_2_what_cannot_be_met_gets_no_offer);
	tcase_add_test(tcase, rfc2730_2_2_2_offers_are_bounded);
	tcase_add_test(tcase, offers_leave_half_of_a_large_scope);
	tcase_add_test(tcase, rfc2730_2_11_scopes_that_the_group_does_not_belong_to);
	tcase_add_test(tcase, rfc2730_2_10_server_groups);
}

static void add_requests(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_2_4_request_gets_lease_scope_and_ranges);
	tcase_add_test(tcase, rfc2730_2_2_4_multicast_request_names_its_server);
	tcase_add_test(tcase, rfc2730_2_2_4_unicast_request_may_name_its_server);
	tcase_add_test(tcase, rfc2730_3_3_server_id_may_be_configured_and_of_another_family);
	tcase_add_test(tcase, rfc2730_2_2_4_no_address_twice);
	tcase_add_test(tcase, rfc2730_3_8_between_minimum_and_desired);
	tcase_add_test(tcase, several_addresses_in_as_few_ranges_as_possible);
	tcase_add_test(tcase, rfc2730_3_11_only_these_addresses_will_do);
	tcase_add_test(tcase, rfc2730_3_5_unknown_scope);
	tcase_add_test(tcase, ipv6_scope);
	tcase_add_test(tcase, excluded_addresses_and_server_group_are_never_given);
}

static void add_times(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_3_2_lease_times);
	tcase_add_test(tcase, rfc2730_2_2_2_default_is_the_longest_lease);
	tcase_add_test(tcase, rfc2730_3_15_minimum_lease_time_that_cannot_be_met);
	tcase_add_test(tcase, rfc2730_3_7_future_start);
	tcase_add_test(tcase, rfc2730_2_12_extra_allocation_time_on_both_sides);
	tcase_add_test(tcase, rfc2730_2_2_4_later_start_than_asked_for);
	tcase_add_test(tcase, rfc2730_3_16_maximum_start_time);
	tcase_add_test(tcase, a_client_whose_clock_is_a_little_behind_can_say_now_or_never);
	tcase_add_test(tcase, rfc2730_2_12_absolute_times_need_current_time);
	tcase_add_test(tcase, rfc2730_2_12_excessive_clock_skew);
	tcase_add_test(tcase, expired_leases_rest_for_the_extra_time);
	tcase_add_test(tcase, a_scope_has_a_life_time);
}

static void add_renewals(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_2_2_7_renew_counts_from_now);
	tcase_add_test(tcase, rfc2730_2_2_7_renew_to_another_start);
	tcase_add_test(tcase, rfc2730_2_2_7_renew_within_what_others_leave);
	tcase_add_test(tcase, rfc2730_2_4_unknown_lease_identifiers);
	tcase_add_test(tcase, rfc2730_2_4_an_expired_lease_is_no_lease);
	tcase_add_test(tcase, rfc2730_2_4_lease_identifiers_are_opaque);
	tcase_add_test(tcase, lease_identifiers_have_a_longest_length);
	tcase_add_test(tcase, rfc2730_2_2_8_release_ends_the_whole_lease);
	tcase_add_test(tcase, multicast_renew_and_release_are_ignored);
	tcase_add_test(tcase, rfc2730_4_with_ipsec_only_getinfo_is_multicast);
}

static void add_features(TCase *tcase)
{
	tcase_add_test(tcase, rfc2730_3_13_feature_lists);
	tcase_add_test(tcase, rfc2730_3_13_required_list_is_a_subset_of_what_the_client_supports);
	tcase_add_test(tcase, rfc2730_2_13_3_shared_lease_identifier);
	tcase_add_test(tcase, rfc2730_2_13_2_retry_after_is_not_the_clients_choice);
	tcase_add_test(tcase, rfc2730_2_13_2_come_back_later_until_approved);
	tcase_add_test(tcase, rfc2730_2_13_2_denied);
	tcase_add_test(tcase, rfc2730_2_13_2_renew_while_pending_is_invalid);
	tcase_add_test(tcase, rfc2730_2_13_2_release_ends_a_pending_lease);
	tcase_add_test(tcase, rfc2730_3_13_retry_after_only_for_those_who_support_it);
	tcase_add_test(tcase, pending_leases_are_bounded);
}

static void add_operation(TCase *tcase)
{
	tcase_add_test(tcase, limit_per_request);
	tcase_add_test(tcase, limit_per_client);
	tcase_add_test(tcase, a_lease_identifier_is_for_one_scope);
	tcase_add_test(tcase, reload_keeps_leases);
	tcase_add_test(tcase, configurations_that_are_refused);
	tcase_add_test(tcase, a_request_for_another_server_is_none_of_ours);
	tcase_add_test(tcase, failed_commit_takes_everything_back);
	tcase_add_test(tcase, one_batch_sees_its_own_changes);
	tcase_add_test(tcase, counters_and_stats);
}

int main(void)
{
	Suite *suite = suite_create("madcap_server");
	TCase *tcase = tcase_create("rfc2730");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_messages(tcase);
	add_info(tcase);
	add_requests(tcase);
	add_times(tcase);
	add_renewals(tcase);
	add_features(tcase);
	add_operation(tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
