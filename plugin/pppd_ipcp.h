/* SPDX-License-Identifier: MIT */
/*
 * pppd_ipcp.h - IPCP's opening, put off until there is an answer.
 *
 * A server that has to be asked for the peer's address may take its time, and pppd has one thread.
 * So a new link is held up for a moment (most servers have answered by then) and, where that was
 * not enough, IPCP is put off: with its lower layer down it drops what the peer sends, who sends it
 * again, while LCP and everything else go on.
 */
#ifndef RASIP_PPPD_IPCP_H
#define RASIP_PPPD_IPCP_H

#include <stdint.h>

/* Both return the milliseconds until the next step, or -1: there is nothing to wait for. */
struct ipcp_question {
	int64_t (*begin)(void);
	int64_t (*step)(int64_t wait_ms); /* waits for an answer for at most that long */
};

/* From now on the question is asked whenever IPCP is to open. Once, as the plugin is loaded; what
 * `question` points to has to stay. */
void ipcp_put_off_for(const struct ipcp_question *question);

#endif
