/* SPDX-License-Identifier: MIT */
/*
 * server_offer.c - addresses held for a DISCOVER (RFC 2730, 2.2.3). Each hold is a lease in the
 * book that is not on disk; here is only when it ends. Under a flood the oldest holds give way:
 * their clients can still get addresses, just not these for certain.
 */
#include "server_impl.h"

#include <string.h>

/* A scope with more addresses than this is never held by half. */
#define SMALL_SCOPE 64

static struct offer *nth(const struct madcap_server *server, size_t i)
{
	return &server->offers[(server->first_offer + i) % server->ring];
}

/* The offer may have become a lease, or another offer, in the meantime. */
static void end_first(struct madcap_server *server)
{
	const struct offer *offer = nth(server, 0);
	const struct madcap_bytes id = { offer->id, offer->id_size };
	struct book_lease lease;

	if (book_find(server->book, id, &lease) == 0 && lease.state == BOOK_OFFERED &&
	    lease.touched_sec == offer->made_sec && book_release(server->book, id) == 0)
		server->counters.expired++;
	server->first_offer = (server->first_offer + 1) % server->ring;
	server->n_offers--;
	server->n_ended++;
}

void server_offers_commit(struct madcap_server *server)
{
	server->n_ended = 0;
}

void server_offers_abort(struct madcap_server *server)
{
	size_t room = server->ring - server->n_offers;
	size_t n = server->n_ended < room ? server->n_ended : room;

	server->first_offer = (server->first_offer + server->ring - n) % server->ring;
	server->n_offers += n;
	server->n_ended = 0;
}

void server_offer_note(struct madcap_server *server, const struct book_lease *lease)
{
	struct offer *offer;

	while (server->n_offers >= server->max_offers)
		end_first(server);
	offer = nth(server, server->n_offers++);
	offer->until_ms = server->clock.mono_ms + server->config->offer_hold_sec * 1000;
	offer->made_sec = lease->touched_sec;
	offer->id_size = (uint8_t)lease->id.size;
	memcpy(offer->id, lease->id.data, lease->id.size);
}

void server_offers_make_room(struct madcap_server *server, const struct madcap_address *scope,
			     uint32_t n)
{
	struct book_stats stats;

	while (server->n_offers > 0 && book_stats(server->book, scope, &stats) &&
	       stats.size > SMALL_SCOPE && stats.addresses[BOOK_OFFERED] > 0 &&
	       stats.addresses[BOOK_OFFERED] + n > stats.size / 2)
		end_first(server);
}

bool server_offers_end(struct madcap_server *server, size_t max)
{
	while (server->n_offers > 0 && nth(server, 0)->until_ms <= server->clock.mono_ms) {
		if (max-- == 0)
			return true;
		end_first(server);
	}
	return false;
}
