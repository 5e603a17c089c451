/* SPDX-License-Identifier: MIT */
#include "madcapd_budget.h"

static size_t flow_of(const struct budget *budget, const union net_address *peer)
{
	uint64_t hash = peer->sa.sa_family == AF_INET6
				? keyed_hash(&budget->key, &peer->in6.sin6_addr, 8)
				: keyed_hash(&budget->key, &peer->in.sin_addr, 4);

	return (size_t)(hash % BUDGET_FLOWS);
}

/* What is left of it after so long. */
static uint32_t decayed(uint32_t spent, int64_t ms)
{
	uint64_t back = ms > 0 ? (uint64_t)ms * BUDGET_RATE / 1000 : 0;

	return back < spent ? spent - (uint32_t)back : 0;
}

bool budget_allows(struct budget *budget, const union net_address *peer, size_t question,
		   size_t answer, int64_t now_ms)
{
	size_t flow = flow_of(budget, peer);
	uint32_t spent;

	if (answer <= BUDGET_FACTOR * question)
		return true;
	answer -= BUDGET_FACTOR * question;
	spent = decayed(budget->flows[flow].spent, now_ms - budget->flows[flow].at_ms);
	if (answer > BUDGET_BURST - spent) {
		budget->refused++;
		return false;
	}
	budget->flows[flow].at_ms = now_ms;
	budget->flows[flow].spent = spent + (uint32_t)answer;
	return true;
}
