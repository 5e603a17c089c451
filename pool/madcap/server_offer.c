/* SPDX-License-Identifier: MIT */
/*
 * server_offer.c - addresses held for a DISCOVER (RFC 2730, 2.2.3). Each hold is a lease in the
 * book that is not on disk; here is only when it ends. Under a flood the oldest holds give way:
 * their clients can still get addresses, just not these for certain.
 *
 * Offers stand in one ring, in the order of their ends, and those of one scope in a chain through
 * it. Whoever needs room in a scope ends the first ones of its chain; their places in the ring stay
 * until their time has come.
 */
#include "server_impl.h"

#include <string.h>

#include "address.h"

/* A scope with more addresses than this is never held by half. */
#define SMALL_SCOPE 64

static uint32_t place_of(const struct madcap_server *server, size_t i)
{
	return (uint32_t)((server->first_offer + i) % server->ring);
}

/* ---- chains ---------------------------------------------------------------------------------- */

static struct scope_state *state_of(struct madcap_server *server,
				    const struct madcap_address *scope)
{
	for (size_t i = 0; i < server->n_scopes; i++) {
		if (madcap_address_equal(&server->scopes[i].config->first, scope))
			return &server->scopes[i];
	}
	return NULL;
}

static void chain(struct madcap_server *server, uint32_t place)
{
	struct offer *offer = &server->offers[place];
	struct scope_state *scope = state_of(server, &offer->scope);

	offer->next = OFFER_NONE;
	if (scope == NULL)
		return;
	if (scope->first_offer == OFFER_NONE)
		scope->first_offer = place;
	else
		server->offers[scope->last_offer].next = place;
	scope->last_offer = place;
}

static void unchain_first(struct madcap_server *server, struct scope_state *scope)
{
	scope->first_offer = server->offers[scope->first_offer].next;
}

void server_offers_sort(struct madcap_server *server)
{
	for (size_t i = 0; i < server->n_scopes; i++)
		server->scopes[i].first_offer = OFFER_NONE;
	for (size_t i = 0; i < server->n_offers; i++)
		chain(server, place_of(server, i));
}

/* ---- their ends ------------------------------------------------------------------------------ */

/* The offer may have become a lease, or another offer, in the meantime. */
static void end(struct madcap_server *server, const struct offer *offer)
{
	const struct madcap_bytes id = { offer->id, offer->id_size };
	struct book_lease lease;

	if (book_find(server->book, id, &lease) == 0 && lease.state == BOOK_OFFERED &&
	    lease.touched_sec == offer->made_sec && book_release(server->book, id) == 0)
		server->counters.expired++;
}

static void end_first(struct madcap_server *server)
{
	uint32_t place = place_of(server, 0);
	struct scope_state *scope = state_of(server, &server->offers[place].scope);

	end(server, &server->offers[place]);
	if (scope != NULL && scope->first_offer == place)
		unchain_first(server, scope);
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
	server_offers_sort(server);
}

/* ---- the interface --------------------------------------------------------------------------- */

void server_offer_note(struct madcap_server *server, const struct book_lease *lease)
{
	struct offer *offer;
	uint32_t place;

	while (server->n_offers >= server->max_offers)
		end_first(server);
	place = place_of(server, server->n_offers++);
	offer = &server->offers[place];
	offer->until_ms = server->clock.mono_ms + server->config->offer_hold_sec * 1000;
	offer->made_sec = lease->touched_sec;
	offer->scope = lease->scope;
	offer->id_size = (uint8_t)lease->id.size;
	memcpy(offer->id, lease->id.data, lease->id.size);
	chain(server, place);
}

void server_offers_make_room(struct madcap_server *server, const struct madcap_address *first,
			     uint32_t n)
{
	struct scope_state *scope = state_of(server, first);
	struct book_stats stats;

	while (scope != NULL && scope->first_offer != OFFER_NONE &&
	       book_stats(server->book, first, &stats) && stats.size > SMALL_SCOPE &&
	       stats.addresses[BOOK_OFFERED] > 0 &&
	       stats.addresses[BOOK_OFFERED] + n > stats.size / 2) {
		end(server, &server->offers[scope->first_offer]);
		unchain_first(server, scope);
	}
}

bool server_offers_end(struct madcap_server *server, size_t max)
{
	while (server->n_offers > 0 &&
	       server->offers[server->first_offer].until_ms <= server->clock.mono_ms) {
		if (max-- == 0)
			return true;
		end_first(server);
	}
	return false;
}
