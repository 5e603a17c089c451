/* SPDX-License-Identifier: MIT */
/* The client finds servers and scopes: discovery, the choice among offers, GETINFO. */
#include "madcap_client_fixture.h"

/* ---- discovery ------------------------------------------------------------------------------- */

static struct answer offer_of(const char *server, uint16_t n, uint32_t lease_sec)
{
	struct answer offer = { .type = MADCAP_OFFER, .server = server, .lease_sec = lease_sec };

	if (n > 0) {
		offer.first[0] = "239.192.0.16";
		offer.count[0] = n;
	}
	return offer;
}

static void discover(uint16_t count)
{
	struct madcap_query query = query_of(MADCAP_REQUEST_LEASE);
	struct madcap_servers servers = servers_of(0, 0);

	query.count = count;
	query.min_count = 1;
	query.lease_sec = 1000;
	start(&query, &servers);
	(void)sent(MADCAP_DISCOVER);
	ck_assert(sent_out.multicast);
	ck_assert(madcap_address_equal(&sent_out.to.address, &group.address));
}

static void give_offer(const char *server, uint16_t n, uint32_t lease_sec, bool fits)
{
	struct answer offer = offer_of(server, n, lease_sec);
	struct madcap_endpoint from = server_a;

	from.address = address(server);
	ck_assert_int_eq(give(&offer, &from), fits);
}

static const struct contest {
	const char *winner;
	uint16_t n[3]; /* addresses offered by .1, .2, .3; 0: not told, so all */
	uint32_t lease_sec[3];
} contests[] = {
	{ "192.0.2.2", { 3, 4, 2 }, { 1000, 500, 1000 } },  /* most addresses */
	{ "192.0.2.3", { 4, 3, 0 }, { 1000, 1000, 10 } },   /* not told: all that were asked for */
	{ "192.0.2.2", { 4, 4, 4 }, { 500, 900, 800 } },    /* the longest lease */
	{ "192.0.2.1", { 4, 4, 4 }, { 1000, 5000, 9000 } }, /* more than asked for is no better */
};

START_TEST(rfc_2_2_2_the_best_offer_of_those_that_come_in_time)
{
	const struct contest *contest = &contests[_i];
	struct madcap_address winner = address(contest->winner);
	struct madcap_message message;
	struct madcap_endpoint from = server_a;
	struct answer ack = good;

	discover(5);
	pass(500);
	give_offer("192.0.2.1", contest->n[0], contest->lease_sec[0], true);
	give_offer("192.0.2.1", contest->n[0], contest->lease_sec[0], false); /* a duplicate */
	ck_assert_int_eq(madcap_client_deadline(&client), now.ms + 4000);     /* DISCOVER-DELAY */
	pass(3000);
	give_offer("192.0.2.2", contest->n[1], contest->lease_sec[1], true);
	give_offer("192.0.2.3", contest->n[2], contest->lease_sec[2], true);
	assert_silent();
	tick_at_deadline();
	message = sent(MADCAP_REQUEST);
	ck_assert(sent_out.multicast); /* 2.2.4: so that the others hear of it */
	ck_assert(madcap_address_equal(&sent_out.to.address, &group.address));
	ck_assert(madcap_address_equal(&message.server_id, &winner));
	ck_assert_uint_eq(message.lease_time, 1000);

	ack.server = "192.0.2.9";
	ck_assert(!give(&ack, &from)); /* not the chosen one */
	ack.server = contest->winner;
	from.address = winner;
	ck_assert(give(&ack, &from));
	ck_assert(madcap_address_equal(&madcap_client_peer(&client)->address, &winner));
}
END_TEST

START_TEST(rfc_2_2_2_delay_for_offers_is_the_current_retransmission_delay)
{
	discover(1);
	tick_at_deadline();
	(void)sent(MADCAP_DISCOVER);
	pass(100);
	give_offer("192.0.2.1", 1, 1000, true);
	ck_assert_int_eq(madcap_client_deadline(&client), now.ms + 8000);
}
END_TEST

START_TEST(rfc_2_2_4_chosen_server_refuses_then_another_is_found)
{
	struct madcap_message message;
	struct madcap_address b = address("192.0.2.2");

	discover(1);
	give_offer("192.0.2.1", 1, 1000, true);
	give_offer("192.0.2.2", 1, 900, true);
	tick_at_deadline();
	(void)sent(MADCAP_REQUEST);
	ck_assert(give(&no, &server_a));
	(void)sent(MADCAP_DISCOVER);
	give_offer("192.0.2.1", 1, 1000, false); /* did not keep its offer */
	give_offer("192.0.2.2", 1, 900, true);
	tick_at_deadline();
	message = sent(MADCAP_REQUEST);
	ck_assert(madcap_address_equal(&message.server_id, &b));
}
END_TEST

START_TEST(rfc_2_2_2_offers_that_are_no_use)
{
	discover(1);
	make_answer(
		&(struct answer){ .type = MADCAP_OFFER, .lease_sec = 9, .scope = "239.255.0.0" });
	ck_assert(!receive(&server_a));
	ck_assert(!give(&good, &server_a)); /* nobody has been asked for a lease yet */
	give_offer("192.0.2.1", 2, 1000, false);
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_FINDING);
	while (madcap_client_state(&client) < MADCAP_CLIENT_DONE)
		tick_at_deadline();
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_TIMED_OUT);
	ck_assert_int_eq(now.ms, START_MS + 60000);
}
END_TEST

START_TEST(rfc_3_17_a_nak_to_a_discover_ends_retransmission)
{
	discover(1);
	ck_assert(give(&no, &server_a));
	while (madcap_client_state(&client) < MADCAP_CLIENT_DONE) {
		tick_at_deadline();
		assert_silent();
	}
	ck_assert_int_eq(madcap_client_code(&client), MADCAP_CLIENT_E_REFUSED);
}
END_TEST

/* ---- scopes ---------------------------------------------------------------------------------- */

static void give_scopes(const char *server)
{
	struct madcap_message asked, message = { .type = MADCAP_ACK, .family = MADCAP_IPV4 };
	struct madcap_scope_entry entry = { .first = address("239.192.0.0"),
					    .last = address("239.195.255.255"),
					    .ttl = 32 };
	struct madcap_endpoint from = server_a;
	struct wire_writer writer;
	uint8_t list[64];

	wire_writer_init(&writer, list, sizeof(list));
	wire_write_u8(&writer, 1);
	madcap_scope_write(&writer, &entry);
	(void)madcap_message_decode(sent_data, sent_out.size, &asked);
	message.xid = asked.xid;
	message.lease_id = asked.lease_id;
	message.server_id = from.address = address(server);
	message.scope_list = (struct madcap_bytes){ list, writer.at };
	message.present = 1u << MADCAP_OPT_LEASE_ID | 1u << MADCAP_OPT_SERVER_ID |
			  1u << MADCAP_OPT_SCOPE_LIST;
	ck_assert(madcap_message_encode(&message, answer_data, sizeof(answer_data), &answer_size));
	ck_assert(receive(&from));
}

START_TEST(rfc_2_2_1_scopes_of_all_servers_that_answer)
{
	struct madcap_query query = query_of(MADCAP_GET_SCOPES);
	struct madcap_servers servers = servers_of(0, 0);
	struct madcap_message message;

	strcpy(query.language, "pt-BR");
	start(&query, &servers);
	message = sent(MADCAP_GETINFO);
	ck_assert_uint_eq(message.language.size, 5);
	ck_assert(madcap_codes_has(message.option_request, MADCAP_OPT_SCOPE_LIST));
	give_scopes("192.0.2.1");
	give_scopes("192.0.2.2");
	ck_assert_uint_eq(madcap_client_n_answers(&client), 0); /* not yet */
	tick_at_deadline();
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
	ck_assert_uint_eq(madcap_client_n_answers(&client), 2);
	ck_assert_ptr_null(madcap_client_answer(&client, 2));
}
END_TEST

START_TEST(scopes_of_one_server_need_no_waiting)
{
	struct madcap_query query = query_of(MADCAP_GET_SCOPES);
	struct madcap_servers servers = servers_of(2, 0);

	start(&query, &servers);
	(void)sent(MADCAP_GETINFO);
	give_scopes("192.0.2.1");
	ck_assert_int_eq(madcap_client_state(&client), MADCAP_CLIENT_DONE);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, rfc_2_2_2_the_best_offer_of_those_that_come_in_time, 0,
			    sizeof(contests) / sizeof(contests[0]));
	tcase_add_test(tcase, rfc_2_2_2_delay_for_offers_is_the_current_retransmission_delay);
	tcase_add_test(tcase, rfc_2_2_4_chosen_server_refuses_then_another_is_found);
	tcase_add_test(tcase, rfc_2_2_2_offers_that_are_no_use);
	tcase_add_test(tcase, rfc_3_17_a_nak_to_a_discover_ends_retransmission);
	tcase_add_test(tcase, rfc_2_2_1_scopes_of_all_servers_that_answer);
	tcase_add_test(tcase, scopes_of_one_server_need_no_waiting);
}

int main(void)
{
	return run_client_tests("madcap_client_finding", add_tests);
}
