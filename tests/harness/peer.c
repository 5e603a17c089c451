/* SPDX-License-Identifier: MIT */
/* The made-up peer: what it wants, and the packets that it has sent and pppd has not read yet. */
#include "side.h"

#define QUEUE_MAX 16

static const struct call *peer;
static enum packet queue[QUEUE_MAX];
static unsigned queue_head, queue_length;

static uint32_t wanted_address;
static int offers_address;  /* its request has an address in it */
static int request_pending; /* its request is on the way or waits for our answer */
static int request_agreed;

void peer_meet(const struct call *call)
{
	peer = call;
	peer_forget_packets();
}

static void peer_starts_ipcp(void)
{
	wanted_address = peer->asks;
	offers_address = 1;
	request_agreed = 0;
}

void peer_forget_packets(void)
{
	queue_length = 0;
	request_pending = 0;
	peer_starts_ipcp();
}

int peer_has_packet(void)
{
	return queue_length > 0;
}

enum packet peer_next_packet(void)
{
	enum packet packet;

	if (!queue_length)
		return PACKET_NONE;
	packet = queue[queue_head++ % QUEUE_MAX];
	queue_length--;
	return packet;
}

void peer_sends(enum packet packet)
{
	if (queue_length < QUEUE_MAX)
		queue[(queue_head + queue_length++) % QUEUE_MAX] = packet;
}

int peer_is_silent(void)
{
	return peer->ipcp_fail;
}

int peer_request(uint32_t *ret_address)
{
	*ret_address = wanted_address;
	return offers_address;
}

static void send_request(void)
{
	request_pending = 1;
	peer_sends(PACKET_IPCP_REQUEST);
}

void peer_hears_ipcp_request(void)
{
	if (peer_is_silent())
		return;
	peer_sends(PACKET_IPCP_ACK);
	if (!request_pending && !request_agreed)
		send_request();
}

void peer_hears_answer(enum answer answer, uint32_t address)
{
	request_pending = 0;
	if (peer_is_silent())
		return;
	if (answer == ANSWER_ACK) {
		request_agreed = 1;
		return;
	}
	if (answer == ANSWER_REJECT) {
		offers_address = 0;
	} else if (!peer->insists) {
		wanted_address = address;
		offers_address = 1;
	}
	send_request();
}

/* The peer starts IPCP again; a silent one leaves it at that. */
void peer_renegotiates(void)
{
	peer_starts_ipcp();
	send_request();
}
