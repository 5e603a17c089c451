/* SPDX-License-Identifier: MIT */
#include "pppd_compat.h"

#include "pppd_ipcp.h"

/* How long a new link may be held up for an answer. Longer, and IPCP is put off instead. */
#define ANSWER_WAIT_MS 200
#define ANSWER_POLL_MS 50

static const struct ipcp_question *question;
static void (*next_open)(int unit);
static void (*next_close)(int unit, char *reason);
static bool is_put_off;

static void open_when_answered(void *arg)
{
	int64_t ms = question->step(0);

	(void)arg;
	if (ms >= 0) {
		compat_rearm(open_when_answered, ms, ANSWER_POLL_MS);
		return;
	}
	is_put_off = false;
	ipcp_protent.lowerup(0);
	next_open(0);
}

/* Most servers have answered by the time that the peer's next packet is here. */
static int64_t wait_for_answer(int64_t ms)
{
	for (int waited = 0; ms >= 0 && waited < ANSWER_WAIT_MS; waited += ANSWER_POLL_MS)
		ms = question->step(ANSWER_POLL_MS);
	return ms;
}

static void on_open(int unit)
{
	int64_t ms = is_put_off ? -1 : wait_for_answer(question->begin());

	if (ms < 0) {
		next_open(unit);
		return;
	}
	is_put_off = true;
	ipcp_protent.lowerdown(unit);
	compat_rearm(open_when_answered, ms, ANSWER_POLL_MS);
}

static void on_close(int unit, char *reason)
{
	compat_untimeout(open_when_answered);
	is_put_off = false;
	next_close(unit, reason);
}

void ipcp_put_off_for(const struct ipcp_question *asked)
{
	question = asked;
	next_open = ipcp_protent.open;
	ipcp_protent.open = on_open;
	next_close = ipcp_protent.close;
	ipcp_protent.close = on_close;
}
