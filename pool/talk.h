/* SPDX-License-Identifier: MIT */
/*
 * talk.h - one exchange with MADCAP servers, in steps that never wait. Internal to pool/.
 *
 * The client's state machine (madcap/client.h) with the pool's clock and, unless the pool's
 * environment has a network of its own, with UDP. Whoever owns it calls talk_step() when
 * talk_wait_ms() has passed, or talk_wait() in between if he may wait.
 *
 * A fork shares the sockets; only the process that began a talk may go on with it.
 */
#ifndef RASIP_TALK_H
#define RASIP_TALK_H

#include "madcap/client.h"
#include "madcap/udp.h"
#include "op.h"

struct talk {
	const struct pool_env *env;
	struct madcap_client client;
	struct udp udp;
	uint64_t began_us; /* boot clock, as records hold it: before the first datagram left */
	int64_t total_ms;
	int socket_errno; /* there was no socket to be had */
	bool running;
};

void talk_init(struct talk *talk, const struct pool_env *env);
void talk_done(struct talk *talk);

/* Begins; whatever went on is given up. 0, or POOL_E_BACKEND with the reason in `error`. */
int talk_start(struct talk *talk, const struct madcap_query *query,
	       const struct madcap_servers *servers, const char *interface, struct error *error)
	__attribute__((warn_unused_result));

/* Sends and receives what there is. True when it is over: see talk->client. */
bool talk_step(struct talk *talk);

/* Until the state machine's next step is due; something may come in before. */
int64_t talk_wait_ms(const struct talk *talk);

/* Waits for a datagram: until the next step is due, and for at most `wait_ms`. */
void talk_wait(struct talk *talk, int64_t wait_ms);

/* Gives up, and closes the sockets. Harmless where nothing goes on. */
void talk_stop(struct talk *talk);

/* Why it failed, in one line. */
void talk_explain(const struct talk *talk, struct error *ret);

#endif
