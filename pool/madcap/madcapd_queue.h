/* SPDX-License-Identifier: MIT */
/*
 * madcapd_queue.h - datagrams that wait, in a fixed number of slots, and the senders' turns
 * (see madcapd_net.h).
 *
 * There are two lanes. Renewals have one of their own, and three turns of four: when much waits, as
 * after an outage of the lease book, those who have addresses keep them before others get new
 * ones. In each lane senders take turns.
 */
#ifndef RASIP_MADCAPD_QUEUE_H
#define RASIP_MADCAPD_QUEUE_H

#include "madcapd_net.h"

#define QUEUE_NONE UINT16_MAX

struct queue_flow {
	uint16_t first, last; /* slots */
	uint16_t count;
	uint16_t next; /* the flow whose turn is next, if this one waits */
};

struct queue_lane {
	struct queue_flow flows[NET_FLOWS];
	uint16_t turn_first, turn_last; /* flows that wait, in the order of their turns */
	uint16_t n_waiting_flows;
};

enum { QUEUE_RENEWALS, QUEUE_OTHERS, QUEUE_LANES };

struct queue {
	struct net_datagram slots[NET_QUEUE];
	struct queue_lane lanes[QUEUE_LANES];
	uint16_t free_first; /* a list through net_datagram.next */
	uint16_t n_free;
	uint16_t n_waiting;
	uint32_t n_taken;   /* decides whose turn it is */
	uint64_t secret[2]; /* decides which flow a sender belongs to */
	uint32_t n_secret;  /* datagrams that it has been used for */
	uint8_t *memory;
};

/* NULL without memory. */
struct queue *queue_new(void);
void queue_free(struct queue **queue);

/* A free slot, or NULL. It is to be put into its flow or given back. */
struct net_datagram *queue_slot(struct queue *queue);
void queue_give_back(struct queue *queue, struct net_datagram *datagram);

/* False, and the slot is free again, where the sender has too many waiting already. */
bool queue_put(struct queue *queue, struct net_datagram *datagram);

/* The datagram whose turn it is, or NULL. */
struct net_datagram *queue_take(struct queue *queue);

#endif
