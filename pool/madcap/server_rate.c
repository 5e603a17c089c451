/* SPDX-License-Identifier: MIT */
#include "server_rate.h"

#include <stdlib.h>

#define SEC_US INT64_C(1000000)
#define NETWORK_SIZE 8 /* octets: a /64 is one sender, as in madcapd's queue */

int server_rate_init(struct server_rate *rate, uint64_t seed)
{
	rate->key = hash_key_make(seed ^ UINT64_C(0x5bd1e9955bd1e995));
	rate->until_us = calloc(RATE_PLACES, sizeof(rate->until_us[0]));
	return rate->until_us != NULL ? 0 : -1;
}

void server_rate_done(struct server_rate *rate)
{
	free(rate->until_us);
	rate->until_us = NULL;
}

bool server_rate_allows(struct server_rate *rate, const struct madcap_address *address,
			uint32_t per_sec, int64_t now_ms)
{
	uint64_t hash = keyed_hash(&rate->key, address->bytes, NETWORK_SIZE);
	int64_t *until_us = &rate->until_us[hash % RATE_PLACES];
	int64_t now_us = now_ms * 1000;

	if (*until_us < now_us)
		*until_us = now_us;
	if (*until_us - now_us > RATE_BURST_SEC * SEC_US - SEC_US / per_sec)
		return false;
	*until_us += SEC_US / per_sec;
	return true;
}
