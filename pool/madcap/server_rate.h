/* SPDX-License-Identifier: MIT */
/*
 * server_rate.h - how often an address gets what only some should get: a fixed table of times, in
 * which each address has its place by a secret hash. Two addresses may share a place, and then its
 * rate; nothing that strangers send makes it grow.
 */
#ifndef RASIP_MADCAP_SERVER_RATE_H
#define RASIP_MADCAP_SERVER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "keyed_hash.h"
#include "proto.h"

#define RATE_PLACES 4096
#define RATE_BURST_SEC 2 /* what an address may have at once: as much as in this time */

struct server_rate {
	int64_t *until_us; /* until when what an address has had so far would last */
	struct hash_key key;
};

int server_rate_init(struct server_rate *rate, uint64_t seed); /* 0 or -1 */
void server_rate_done(struct server_rate *rate);

/* True, and it counts, if the address may have one more at `per_sec` a second. All of an IPv6 /64 are
 * one: a host has as many of them as it likes. */
bool server_rate_allows(struct server_rate *rate, const struct madcap_address *address,
			uint32_t per_sec, int64_t now_ms);

#endif
