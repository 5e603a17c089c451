/* SPDX-License-Identifier: MIT */
#include "madcapd_queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto.h"

/* What one flow may keep waiting whatever the others do. */
#define FLOW_MINIMUM 1
/* So often senders are dealt out anew: nobody shares a flow with a flooder for good. */
#define SECRET_USES 65536
/* One turn in so many is not for renewals. */
#define OTHERS_TURN 4

struct queue *queue_new(void)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return NULL;
	queue->memory = malloc((size_t)NET_QUEUE * NET_DATAGRAM_MAX);
	if (queue->memory == NULL ||
	    getrandom(queue->secret, sizeof(queue->secret), 0) != sizeof(queue->secret)) {
		queue_free(&queue);
		return NULL;
	}
	queue->free_first = QUEUE_NONE;
	for (size_t i = NET_QUEUE; i-- > 0;) {
		queue->slots[i].slot = (uint16_t)i;
		queue->slots[i].data = queue->memory + i * NET_DATAGRAM_MAX;
		queue_give_back(queue, &queue->slots[i]);
	}
	for (size_t lane = 0; lane < QUEUE_LANES; lane++) {
		struct queue_lane *one = &queue->lanes[lane];

		for (size_t i = 0; i < NET_FLOWS; i++)
			one->flows[i].first = one->flows[i].last = QUEUE_NONE;
		one->turn_first = one->turn_last = QUEUE_NONE;
	}
	return queue;
}

void queue_free(struct queue **queue)
{
	if (queue == NULL || *queue == NULL)
		return;
	free((*queue)->memory);
	free(*queue);
	*queue = NULL;
}

struct net_datagram *queue_slot(struct queue *queue)
{
	struct net_datagram *datagram;

	if (queue->n_free == 0)
		return NULL;
	datagram = &queue->slots[queue->free_first];
	queue->free_first = datagram->next;
	queue->n_free--;
	return datagram;
}

void queue_give_back(struct queue *queue, struct net_datagram *datagram)
{
	datagram->next = queue->free_first;
	queue->free_first = datagram->slot;
	queue->n_free++;
}

/* The sender's port does not count: ports cost a flooder nothing. */
static uint16_t flow_of(const struct queue *queue, const union net_address *peer)
{
	uint64_t words[2] = { 0 };
	uint64_t hash = queue->secret[0];

	if (peer->sa.sa_family == AF_INET6)
		memcpy(words, &peer->in6.sin6_addr, 8); /* a /64 is one sender */
	else
		memcpy(words, &peer->in.sin_addr, 4);
	for (size_t i = 0; i < 2; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15U;
		hash ^= hash >> 29;
		hash = (hash + queue->secret[1]) * 0xbf58476d1ce4e5b9U;
		hash ^= hash >> 32;
	}
	return (uint16_t)(hash % NET_FLOWS);
}

static void change_secret(struct queue *queue)
{
	uint64_t secret[2];

	queue->n_secret = 0;
	if (getrandom(secret, sizeof(secret), GRND_NONBLOCK) == sizeof(secret))
		memcpy(queue->secret, secret, sizeof(secret));
}

static void append_turn(struct queue_lane *lane, uint16_t flow)
{
	lane->flows[flow].next = QUEUE_NONE;
	if (lane->turn_last == QUEUE_NONE)
		lane->turn_first = flow;
	else
		lane->flows[lane->turn_last].next = flow;
	lane->turn_last = flow;
}

/* Half of the slots are shared out among those who wait; the other half is for who comes new. */
static bool has_its_share(const struct queue *queue, uint16_t index)
{
	unsigned int flows = 0, count = 0, share;

	for (size_t lane = 0; lane < QUEUE_LANES; lane++) {
		flows += queue->lanes[lane].n_waiting_flows;
		count += queue->lanes[lane].flows[index].count;
	}
	share = NET_QUEUE / 2 / (flows > 0 ? flows : 1);
	return count >= (share > FLOW_MINIMUM ? share : FLOW_MINIMUM);
}

static struct queue_lane *lane_of(struct queue *queue, const struct net_datagram *datagram)
{
	bool renews = datagram->length > 1 && datagram->data[1] == MADCAP_RENEW;

	return &queue->lanes[renews ? QUEUE_RENEWALS : QUEUE_OTHERS];
}

bool queue_put(struct queue *queue, struct net_datagram *datagram)
{
	struct queue_lane *lane = lane_of(queue, datagram);
	struct queue_flow *flow;
	uint16_t index;

	if (++queue->n_secret >= SECRET_USES)
		change_secret(queue);
	index = flow_of(queue, &datagram->peer);
	flow = &lane->flows[index];
	if (has_its_share(queue, index)) {
		queue_give_back(queue, datagram);
		return false;
	}
	datagram->next = QUEUE_NONE;
	if (flow->count == 0) {
		flow->first = datagram->slot;
		lane->n_waiting_flows++;
		append_turn(lane, index);
	} else {
		queue->slots[flow->last].next = datagram->slot;
	}
	flow->last = datagram->slot;
	flow->count++;
	queue->n_waiting++;
	return true;
}

static struct queue_lane *next_lane(struct queue *queue)
{
	struct queue_lane *renewals = &queue->lanes[QUEUE_RENEWALS];
	struct queue_lane *others = &queue->lanes[QUEUE_OTHERS];
	bool is_others_turn = ++queue->n_taken % OTHERS_TURN == 0;

	if (renewals->turn_first == QUEUE_NONE)
		return others;
	return is_others_turn && others->turn_first != QUEUE_NONE ? others : renewals;
}

struct net_datagram *queue_take(struct queue *queue)
{
	struct queue_lane *lane = next_lane(queue);
	uint16_t index = lane->turn_first;
	struct net_datagram *datagram;
	struct queue_flow *flow;

	if (index == QUEUE_NONE)
		return NULL;
	flow = &lane->flows[index];
	datagram = &queue->slots[flow->first];
	flow->first = datagram->next;
	flow->count--;
	queue->n_waiting--;
	lane->turn_first = flow->next;
	if (lane->turn_first == QUEUE_NONE)
		lane->turn_last = QUEUE_NONE;
	if (flow->count > 0) {
		append_turn(lane, index);
	} else {
		flow->first = flow->last = QUEUE_NONE;
		lane->n_waiting_flows--;
	}
	return datagram;
}
