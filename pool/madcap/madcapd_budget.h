/* SPDX-License-Identifier: MIT */
/*
 * madcapd_budget.h - no mirror for others' traffic. A source address may be forged, and an answer
 * may be 200 times as long as its question (GETINFO, with many scopes). So what an address is sent
 * beyond BUDGET_FACTOR times what came from it is limited: a burst, and a trickle. Who asks for
 * himself does not notice.
 */
#ifndef RASIP_MADCAPD_BUDGET_H
#define RASIP_MADCAPD_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyed_hash.h"
#include "madcapd_net.h"

#define BUDGET_FACTOR 3
#define BUDGET_BURST 65536 /* octets: eight answers of the longest kind */
#define BUDGET_RATE 4096   /* octets a second */
#define BUDGET_FLOWS 4096

struct budget {
	struct hash_key key; /* random: which addresses share a place is nobody's to choose */
	struct {
		int64_t at_ms; /* when `spent` was right */
		uint32_t spent;
	} flows[BUDGET_FLOWS];
	uint64_t refused;
};

/* Whether an answer of this length may go to the sender of a question of that length. An IPv6
 * sender is his /64. now_ms: monotonic. */
bool budget_allows(struct budget *budget, const union net_address *peer, size_t question,
		   size_t answer, int64_t now_ms);

#endif
