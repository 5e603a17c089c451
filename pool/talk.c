/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DATAGRAMS_AT_ONCE 64 /* before the clock is looked at again */

void talk_init(struct talk *talk, const struct pool_env *env)
{
	memset(talk, 0, sizeof(*talk));
	talk->env = env;
	talk->udp = UDP_NONE;
	madcap_client_init(&talk->client, (uint32_t)env->random(env->context));
}

void talk_done(struct talk *talk)
{
	talk_stop(talk);
	madcap_client_done(&talk->client);
}

void talk_stop(struct talk *talk)
{
	udp_close(&talk->udp);
	talk->running = false;
}

static struct madcap_now read_clocks(const struct talk *talk)
{
	const struct pool_env *env = talk->env;

	return (struct madcap_now){ .ms = env->boot_us(env->context) / 1000,
				    .unix_sec = env->unix_sec(env->context) };
}

static bool send_one(struct talk *talk, const struct madcap_output *out)
{
	const struct pool_net *net = talk->env->net;

	if (net == NULL)
		return udp_send(&talk->udp, out);
	net->send(talk->env->context, &out->to, out->multicast, out->data, out->size);
	return true;
}

static void send_all(struct talk *talk)
{
	struct madcap_output out;

	while (madcap_client_output(&talk->client, &out)) {
		talk->socket_errno = 0;
		/* No descriptor, or no memory for it: there may be when it is sent again. */
		if (!send_one(talk, &out))
			talk->socket_errno = errno;
	}
}

int talk_start(struct talk *talk, const struct madcap_query *query,
	       const struct madcap_servers *servers, const char *interface, struct error *error)
{
	struct madcap_now now;

	talk_stop(talk);
	udp_init(&talk->udp, interface);
	if (interface[0] != '\0' && talk->udp.interface == 0 && talk->env->net == NULL) {
		error_set(error, "there is no interface %s", interface);
		return POOL_E_BACKEND;
	}
	talk->socket_errno = 0;
	talk->total_ms = servers->total_ms;
	talk->began_us = (uint64_t)(talk->env->boot_us(talk->env->context) + CLOCK_OFFSET_US);
	now = read_clocks(talk);
	if (madcap_client_start(&talk->client, query, servers, &now, error) < 0)
		return POOL_E_BACKEND;
	talk->running = true;
	send_all(talk);
	return 0;
}

static ssize_t receive_one(struct talk *talk, size_t which, uint8_t *data, size_t size,
			   struct udp_source *ret)
{
	const struct pool_net *net = talk->env->net;

	if (net == NULL)
		return udp_receive(&talk->udp, which, data, size, ret);
	return which == 0 ? net->receive(talk->env->context, data, size, &ret->from) : -1;
}

static void receive_all(struct talk *talk, size_t which)
{
	uint8_t data[MADCAP_CLIENT_MESSAGE_MAX];
	struct udp_source source;

	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		ssize_t n = receive_one(talk, which, data, sizeof(data), &source);
		struct madcap_now now = read_clocks(talk);

		if (n < 0)
			return;
		if (n > 0)
			madcap_client_receive(&talk->client, &source.from, data, (size_t)n, &now);
	}
}

bool talk_step(struct talk *talk)
{
	struct madcap_now now;

	if (!talk->running)
		return true;
	for (size_t which = 0; which < UDP_FAMILIES; which++)
		receive_all(talk, which);
	now = read_clocks(talk);
	madcap_client_tick(&talk->client, &now);
	send_all(talk);
	if (madcap_client_state(&talk->client) < MADCAP_CLIENT_DONE)
		return false;
	talk_stop(talk);
	return true;
}

int64_t talk_wait_ms(const struct talk *talk)
{
	int64_t wait_ms = madcap_client_deadline(&talk->client) - read_clocks(talk).ms;

	return wait_ms > 0 ? wait_ms : 0;
}

void talk_wait(struct talk *talk, int64_t wait_ms)
{
	const struct pool_net *net = talk->env->net;
	int64_t due_ms = talk_wait_ms(talk);

	if (wait_ms > due_ms)
		wait_ms = due_ms;
	if (net != NULL)
		net->wait(talk->env->context, wait_ms);
	else
		udp_wait(&talk->udp, wait_ms);
}

void talk_explain(const struct talk *talk, struct error *ret)
{
	char text[MADCAP_FAILURE_TEXT_SIZE];
	int errnum = talk->socket_errno != 0 ? talk->socket_errno : talk->udp.send_errno;

	error_set(ret, "%s", madcap_client_failure(&talk->client, errnum, text, sizeof(text)));
}
