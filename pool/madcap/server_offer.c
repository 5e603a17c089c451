/* SPDX-License-Identifier: MIT */
/*
 * server_offer.c - addresses held for a DISCOVER (RFC 2730, 2.2.3). Each hold is a lease in the
 * book that is not on disk; here is only when it ends. There are so many holds and no more: under a
 * flood of DISCOVERs those that are there stay, and others are told what there is without a hold.
 */
#include "server_impl.h"

#include <string.h>

/* A scope with more addresses than this is never held by half, but by one alone. */
#define SMALL_SCOPE 64

/* So many addresses are looked for in a list, or in the future, only to be told. */
#define UNHELD_MAX 16

static struct offer *nth(const struct madcap_server *server, size_t i)
{
	return &server->offers[(server->first_offer + i) % server->ring];
}

/* The offer may have become a lease, or another offer, in the meantime. */
static bool is_held(const struct madcap_server *server, const struct offer *offer)
{
	const struct madcap_bytes id = { offer->id, offer->id_size };
	struct book_lease lease;

	return book_find(server->book, id, &lease) == 0 && lease.state == BOOK_OFFERED &&
	       lease.touched_sec == offer->made_sec;
}

static void end_first(struct madcap_server *server)
{
	const struct offer *offer = nth(server, 0);
	const struct madcap_bytes id = { offer->id, offer->id_size };

	if (is_held(server, offer) && book_release(server->book, id) == 0)
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

bool server_offers_have_room(struct madcap_server *server, const struct madcap_address *scope,
			     uint32_t n)
{
	struct book_stats stats;

	while (server->n_offers >= server->max_offers && !is_held(server, nth(server, 0)))
		end_first(server);
	if (server->n_offers >= server->max_offers || !book_stats(server->book, scope, &stats))
		return false;
	return stats.size <= SMALL_SCOPE || stats.addresses[BOOK_OFFERED] == 0 ||
	       stats.addresses[BOOK_OFFERED] + n <= stats.size / 2;
}

void server_offer_note(struct madcap_server *server, const struct book_lease *lease)
{
	struct offer *offer = nth(server, server->n_offers++);

	offer->until_ms = server->clock.mono_ms + server->config->offer_hold_sec * 1000;
	offer->made_sec = lease->touched_sec;
	offer->id_size = (uint8_t)lease->id.size;
	memcpy(offer->id, lease->id.data, lease->id.size);
}

/* Any addresses, at once: as many as are free can be had. */
static void offer_any(struct exchange *exchange, const struct book_wish *wish)
{
	struct madcap_message *out = &exchange->out;
	struct book_stats stats;

	if (!book_stats(exchange->server->book, &wish->scope, &stats) ||
	    stats.free < wish->count_min) {
		answer_ignore(exchange, "no addresses for it");
		return;
	}
	answer_begin(exchange, MADCAP_OFFER);
	out->scope = wish->scope;
	out->lease_time = wish->lease_sec;
	madcap_message_set(out, MADCAP_OPT_SCOPE);
	madcap_message_set(out, MADCAP_OPT_LEASE_TIME);
	answer_send(exchange);
}

void server_offer_unheld(struct exchange *exchange, const struct book_wish *wish)
{
	struct book *book = exchange->server->book;
	enum book_lack lack = BOOK_LACK_ADDRESSES;
	struct book_wish few = *wish;
	struct book_lease lease;

	exchange->answer->note = "too many addresses are held already: offered without a hold";
	if (!wish->restricted && wish->start_sec == wish->now_sec) {
		offer_any(exchange, wish);
		return;
	}
	if (few.count > UNHELD_MAX)
		few.count = UNHELD_MAX;
	if (few.count < few.count_min || book_grant(book, &few, &lease, &lack) < 0) {
		answer_ignore(exchange, "no addresses for it");
		return;
	}
	answer_lease(exchange, MADCAP_OFFER, &lease);
	if (book_release(book, wish->id) < 0)
		answer_ignore(exchange, "the lease book failed");
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
