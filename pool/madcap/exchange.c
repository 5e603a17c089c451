/* SPDX-License-Identifier: MIT */
/* One operation of the client's state machine over sockets, until it is over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libmadcap.h"
#include "udp.h"

#define DATAGRAMS_AT_ONCE 64 /* before the clock is looked at again */

static struct madcap_now read_clocks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct madcap_now){ .ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
				    .unix_sec = wall_clock() };
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* One datagram; false if there is none. */
static bool receive_one(struct madcap *m, struct udp *udp, size_t which)
{
	uint8_t data[MADCAP_DATAGRAM_MAX];
	size_t before = m->client.n_answers;
	struct udp_source source;
	struct madcap_now now;
	ssize_t n = udp_receive(udp, which, data, sizeof(data), &source);

	if (n <= 0)
		return n == 0;
	now = read_clocks();
	madcap_client_receive(&m->client, &source.from, data, (size_t)n, &now);
	if (m->client.n_answers == before + 1)
		m->interface_of[before] = source.interface;
	return true;
}

static void wait_and_receive(struct madcap *m, struct udp *udp)
{
	struct madcap_now now = read_clocks();

	udp_wait(udp, madcap_client_deadline(&m->client) - now.ms);
	for (size_t which = 0; which < UDP_FAMILIES; which++)
		for (int n = 0; n < DATAGRAMS_AT_ONCE; n++)
			if (!receive_one(m, udp, which))
				break;
	now = read_clocks();
	madcap_client_tick(&m->client, &now);
}

static int run(struct madcap *m, struct udp *udp)
{
	struct madcap_output out;

	for (;;) {
		while (madcap_client_output(&m->client, &out))
			if (!udp_send(udp, &out))
				return fail_with(m, MADCAP_E_SYSTEM, "no socket: %s",
						 strerror(errno));
		if (madcap_client_state(&m->client) >= MADCAP_CLIENT_DONE)
			return 0;
		wait_and_receive(m, udp);
	}
}

/* ---- what came out --------------------------------------------------------------------------- */

static int explain(struct madcap *m, const struct udp *udp)
{
	char text[MADCAP_FAILURE_TEXT_SIZE];

	madcap_client_failure(&m->client, udp->send_errno, text, sizeof(text));
	switch (madcap_client_code(&m->client)) {
	case 0:
		return 0;
	case MADCAP_CLIENT_E_REFUSED:
		m->refusal = madcap_client_refusal(&m->client)->error;
		return fail_with(m, MADCAP_E_REFUSED, "%s", text);
	case MADCAP_CLIENT_E_TIMED_OUT:
		return fail_with(m, MADCAP_E_TIMED_OUT, "%s", text);
	case MADCAP_CLIENT_E_PENDING:
		return fail_with(m, MADCAP_E_PENDING, "%s; the request is withdrawn", text);
	case MADCAP_CLIENT_E_NO_MEMORY:
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	default:
		return MADCAP_E_ARGUMENT;
	}
}

int exchange(struct madcap *m, const struct madcap_query *query,
	     const struct madcap_servers *servers)
{
	struct madcap_now now = read_clocks();
	struct udp udp;
	int code;

	udp_init(&udp, m->interface);
	memset(m->interface_of, 0, sizeof(m->interface_of));
	(void)madcap_client_start(&m->client, query, servers, &now, &m->error);
	code = run(m, &udp);
	if (code == 0)
		code = explain(m, &udp);
	udp_close(&udp);
	return code;
}

void release_unheard(struct madcap *m, const struct madcap_query *granted,
		     const struct madcap_endpoint *server)
{
	struct madcap_query query = { .operation = MADCAP_RELEASE_LEASE,
				      .family = granted->family,
				      .id = granted->id,
				      .n_required = granted->n_required };
	struct madcap_servers servers = { .server = { *server }, .n = 1, .tries = 1 };
	struct madcap_now now = read_clocks();
	struct madcap_output out;
	struct udp udp;

	memcpy(query.required, granted->required, sizeof(query.required));
	udp_init(&udp, m->interface);
	if (madcap_client_start(&m->client, &query, &servers, &now, NULL) == 0 &&
	    madcap_client_output(&m->client, &out))
		(void)udp_send(&udp, &out);
	udp_close(&udp);
}
