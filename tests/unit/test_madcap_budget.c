/* SPDX-License-Identifier: MIT */
/* madcapd sends nobody much more than he sent, whoever he says he is. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "madcap/madcapd_budget.h"

#define QUESTION 39
#define ANSWER 8192

static struct budget budget;

static void setup(void)
{
	budget = (struct budget){ .key = hash_key_make(1) };
}

static union net_address ip4(uint32_t addr, uint16_t port)
{
	return (union net_address){ .in = { .sin_family = AF_INET,
					    .sin_port = htons(port),
					    .sin_addr = { htonl(addr) } } };
}

static bool allows(uint32_t addr, size_t answer, int64_t now_ms)
{
	static uint16_t port;
	union net_address peer = ip4(addr, ++port); /* ports cost nothing */

	return budget_allows(&budget, &peer, QUESTION, answer, now_ms);
}

START_TEST(short_answers_are_free)
{
	for (int i = 0; i < 100000; i++)
		ck_assert(allows(1, BUDGET_FACTOR * QUESTION, 0));
	ck_assert_uint_eq(budget.refused, 0);
}
END_TEST

START_TEST(long_ones_come_to_an_end)
{
	size_t got = 0;

	for (int i = 0; i < 100000; i++)
		got += allows(1, ANSWER, i / 100) ? ANSWER : 0; /* a second */
	ck_assert_uint_ge(got, BUDGET_BURST - ANSWER);
	ck_assert_uint_le(got, BUDGET_BURST + BUDGET_RATE + BUDGET_BURST / 8);
	ck_assert_uint_eq(budget.refused, 100000 - got / ANSWER);
	ck_assert(allows(1, 100, 1000)); /* a short one still comes */
	ck_assert(allows(2, ANSWER, 1000));
}
END_TEST

START_TEST(it_comes_back_with_time)
{
	while (allows(1, ANSWER, 5000))
		;
	ck_assert(!allows(1, ANSWER, 5000));
	ck_assert(!allows(1, ANSWER, 6000));
	ck_assert(allows(1, ANSWER, 5000 + 1000 * (BUDGET_BURST / BUDGET_RATE)));
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_sender)
{
	union net_address peer = { .in6 = { .sin6_family = AF_INET6 } };
	int n = 0;

	inet_pton(AF_INET6, "2001:db8::", &peer.in6.sin6_addr);
	for (int i = 0; i < 100; i++) {
		peer.in6.sin6_addr.s6_addr[15] = (uint8_t)i;
		n += budget_allows(&budget, &peer, QUESTION, ANSWER, 0);
	}
	ck_assert_int_eq(n, BUDGET_BURST / (ANSWER - BUDGET_FACTOR * QUESTION));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("madcap_budget");
	TCase *tcase = tcase_create("budget");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, short_answers_are_free);
	tcase_add_test(tcase, long_ones_come_to_an_end);
	tcase_add_test(tcase, it_comes_back_with_time);
	tcase_add_test(tcase, a_network_of_ipv6_is_one_sender);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
