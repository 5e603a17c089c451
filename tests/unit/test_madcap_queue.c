/* SPDX-License-Identifier: MIT */
/* madcapd's queue: senders take turns, and none can keep it from the others. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "madcap/madcapd_queue.h"
#include "madcap/proto.h"
#include "suite.h"

static struct queue *queue;

static void setup(void)
{
	queue = queue_new();
	ck_assert_ptr_nonnull(queue);
	/* Under this one, no two of the senders below share a flow by accident. */
	queue->secret[0] = 1;
	queue->secret[1] = 2;
}

static void teardown(void)
{
	queue_free(&queue);
	ck_assert_ptr_null(queue);
}

/* A datagram of this sender and type; its length is a mark. */
static bool put_type(uint32_t sender, uint8_t type, size_t mark)
{
	struct net_datagram *datagram = queue_slot(queue);

	ck_assert_ptr_nonnull(datagram);
	datagram->peer.in =
		(struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(sender) } };
	datagram->length = mark;
	datagram->data[1] = type;
	return queue_put(queue, datagram);
}

static bool put(uint32_t sender, size_t mark)
{
	return put_type(sender, MADCAP_REQUEST, mark);
}

static size_t take(uint32_t *ret_sender)
{
	struct net_datagram *datagram = queue_take(queue);
	size_t mark;

	if (datagram == NULL)
		return SIZE_MAX;
	mark = datagram->length;
	if (ret_sender != NULL)
		*ret_sender = ntohl(datagram->peer.in.sin_addr.s_addr);
	queue_give_back(queue, datagram);
	return mark;
}

START_TEST(empty)
{
	ck_assert_ptr_null(queue_take(queue));
	ck_assert_uint_eq(queue->n_free, NET_QUEUE);
}
END_TEST

START_TEST(one_sender_in_order)
{
	for (size_t i = 0; i < 100; i++)
		ck_assert(put(1, i));
	for (size_t i = 0; i < 100; i++)
		ck_assert_uint_eq(take(NULL), i);
	ck_assert_uint_eq(take(NULL), SIZE_MAX);
	ck_assert_uint_eq(queue->n_free, NET_QUEUE);
}
END_TEST

START_TEST(one_sender_has_half_of_it_at_most)
{
	size_t n = 0;

	while (put(1, n) && n < NET_QUEUE)
		n++;
	ck_assert_uint_eq(n, NET_QUEUE / 2);
	ck_assert(put(2, 0));
}
END_TEST

START_TEST(who_comes_new_has_the_next_turn_but_one)
{
	uint32_t sender = 0;

	for (size_t i = 0; i < 500; i++)
		(void)put(1, i);
	ck_assert(put(2, 0) && put(3, 0));
	for (size_t i = 0; i < 3; i++)
		(void)take(&sender);
	ck_assert_uint_ne(sender, 1);
}
END_TEST

/* 1000 flooders do not keep one client out: each time it asks, it is served. */
START_TEST(many_flooders)
{
	size_t served = 0;
	uint32_t sender;

	for (size_t round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			(void)put(100 + i, 0);
			(void)put(100 + i, 0);
		}
		(void)put(1, 7); /* it may share a flow once in a while, never for long */
		for (size_t i = 0; i < NET_QUEUE; i++) {
			if (take(&sender) == 7 && sender == 1)
				served++;
		}
	}
	ck_assert_uint_gt(served, 100);
	ck_assert_uint_eq(queue->n_free, NET_QUEUE);
}
END_TEST

/* Renewals that came last are served first, and yet new requests do not wait for ever. */
START_TEST(renewals_come_first)
{
	size_t renewals = 0;

	for (uint32_t i = 0; i < 400; i++)
		(void)put(100 + i, 20);
	for (uint32_t i = 0; i < 300; i++)
		(void)put_type(1000 + i, MADCAP_RENEW, 30);
	for (size_t i = 0; i < 200; i++)
		renewals += take(NULL) == 30;
	ck_assert_uint_eq(renewals, 150);
	while (take(NULL) != SIZE_MAX)
		continue;
	ck_assert_uint_eq(queue->n_free, NET_QUEUE);
}
END_TEST

START_TEST(two_lanes_are_no_two_shares)
{
	size_t n = 0;

	while (n < NET_QUEUE && (put_type(1, MADCAP_RENEW, 30) || put(1, 20)))
		n++;
	ck_assert_uint_le(n, NET_QUEUE / 2);
	ck_assert(put(2, 0));
}
END_TEST

START_TEST(no_slot_is_lost)
{
	struct net_datagram *held[NET_QUEUE];
	size_t n = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		if (queue->n_free > 0)
			(void)put_type(i % 3000, (uint8_t)(i % 9), i);
		if (i % 3 == 0)
			(void)take(NULL);
	}
	while (take(NULL) != SIZE_MAX)
		;
	ck_assert_uint_eq(queue->lanes[QUEUE_RENEWALS].n_waiting_flows, 0);
	ck_assert_uint_eq(queue->lanes[QUEUE_OTHERS].n_waiting_flows, 0);
	while (n < NET_QUEUE && (held[n] = queue_slot(queue)) != NULL)
		n++;
	ck_assert_uint_eq(n, NET_QUEUE);
	ck_assert_ptr_null(queue_slot(queue));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("queue");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, one_sender_in_order);
	tcase_add_test(tcase, one_sender_has_half_of_it_at_most);
	tcase_add_test(tcase, who_comes_new_has_the_next_turn_but_one);
	tcase_add_test(tcase, many_flooders);
	tcase_add_test(tcase, renewals_come_first);
	tcase_add_test(tcase, two_lanes_are_no_two_shares);
	tcase_add_test(tcase, no_slot_is_lost);
	return run_tcase("madcap_queue", tcase);
}
