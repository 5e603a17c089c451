/* SPDX-License-Identifier: MIT */
/*
 * server_impl.h - what the files of the server share. One request passes through them as a
 * struct exchange: decoded, judged, carried out, answered.
 */
#ifndef RASIP_MADCAP_SERVER_IMPL_H
#define RASIP_MADCAP_SERVER_IMPL_H

#include "message.h"
#include "server.h"
#include "server_cache.h"
#include "server_rate.h"

/* What was offered, in the order of the offers' ends. */
struct offer {
	int64_t until_ms;
	uint32_t
		made_sec; /* as the book has it: an older offer of the same identifier is not meant */
	uint8_t id_size;
	uint8_t id[BOOK_ID_MAX];
};

struct scope_state {
	const struct madcap_server_scope *config;
	struct madcap_address group;
};

struct madcap_server {
	struct book *book;
	const struct madcap_server_config *config;
	struct scope_state *scopes; /* as in the configuration */
	size_t n_scopes;
	size_t *order;  /* places in `scopes`, smaller ones first */
	uint8_t *nests; /* [inner * n_scopes + outer] */
	struct madcap_clock clock;
	struct server_cache cache;
	struct server_rate getinfo_rate;
	struct offer *offers; /* a ring */
	size_t max_offers;
	size_t first_offer;
	size_t n_offers;
	size_t n_ended; /* in this batch: they stand before the first, for an abort */
	size_t ring;    /* places in `offers` */
	struct madcap_counters counters;
	struct madcap_counters counters_before; /* the batch */
	uint8_t lists[2]
		     [MADCAP_ANSWER_MAX]; /* scratch for what is sent: ranges or scopes, nesting */
};

struct exchange {
	struct madcap_server *server;
	const struct madcap_input *input;
	struct madcap_answer *answer;
	struct madcap_message in;
	struct madcap_message out;
	struct madcap_address server_id;
	const struct scope_state *scope; /* of a DISCOVER, a REQUEST, or the lease to be renewed */
	bool multicast;
	uint32_t used_features; /* bits (1 << feature) */
	uint8_t supported[6];   /* the answer's Feature List */
	uint8_t required[6];
	uint8_t error_data[64];
};

uint32_t server_now(const struct madcap_server *server);

/* ---- server_scopes.c ------------------------------------------------------------------------- */

/* Checks the configuration, tells the book its spaces and takes it over. */
int server_scopes_set(struct madcap_server *server, const struct madcap_server_config *config,
		      struct error *error);
void server_scopes_done(struct madcap_server *server);

/* The scope that begins with this address and is in service; NULL if there is none. */
const struct scope_state *server_scope_find(const struct madcap_server *server,
					    const struct madcap_address *first);
bool server_scope_is_live(const struct madcap_server *server, const struct scope_state *scope);

/* 2.11: whether requests for the scope are served that came to this group. */
bool server_scope_answers(const struct madcap_server *server, const struct scope_state *scope,
			  const struct madcap_address *group);

/* ---- server_answer.c ------------------------------------------------------------------------- */

/* The answer, or that there is none, rests on the book. */
void answer_depends(struct exchange *exchange);

/* Begins an answer of this type: xid, both identifiers and, if one came, a Feature List. */
void answer_begin(struct exchange *exchange, enum madcap_type type);

/*
 * 4. True, and it is not answered, if so many octets would be far more than was asked with, and the
 * address has had its share of such answers. Honest clients ask seldom, and again if they have to.
 */
bool answer_is_too_much(struct exchange *exchange, size_t size);

/* Encodes it. What does not fit, or would be too much for the address, is not sent at all. */
void answer_send(struct exchange *exchange);

/* A NAK; `option` is the extra data of errors 0 and 1. `note` as in struct madcap_answer. */
void answer_nak(struct exchange *exchange, enum madcap_error error, uint16_t option,
		const char *note);
void answer_nak_skew(struct exchange *exchange);
void answer_ignore(struct exchange *exchange, const char *note);

/* False, and a NAK or silence is on its way, if a required feature cannot be had (3.13). */
bool answer_features_ok(struct exchange *exchange);
bool exchange_supports(const struct exchange *exchange, enum madcap_feature feature);

/* OFFER or ACK for a lease. */
void answer_lease(struct exchange *exchange, enum madcap_type type, const struct book_lease *lease);

/* ---- what is done for each type -------------------------------------------------------------- */

void server_getinfo(struct exchange *exchange);  /* server_info.c */
void server_discover(struct exchange *exchange); /* server_lease.c, as the rest */
void server_request(struct exchange *exchange);

/* True, and it is dealt with, if a REQUEST names another server. */
bool server_request_to_other(struct exchange *exchange);

void server_renew(struct exchange *exchange);
void server_release(struct exchange *exchange);

/* ---- server_wish.c --------------------------------------------------------------------------- */

/* 0, or -1 and *ret_option is to blame for a Valid Request that cannot be completed. */
int server_make_wish(const struct exchange *exchange, struct book_wish *ret, uint16_t *ret_option);
uint16_t server_blame(const struct exchange *exchange, enum book_lack lack);

/* ---- server_offer.c -------------------------------------------------------------------------- */

void server_offer_note(struct madcap_server *server, const struct book_lease *lease);
/* Whether n more addresses of the scope may be held. */
bool server_offers_have_room(struct madcap_server *server, const struct madcap_address *scope,
			     uint32_t n);

/* An OFFER of what may still be there when the client asks for it, or silence. */
void server_offer_unheld(struct exchange *exchange, const struct book_wish *wish);

/* After a batch: what it ended stays so, or is held again as the book has it. */
void server_offers_commit(struct madcap_server *server);
void server_offers_abort(struct madcap_server *server);

/* Ends at most `max` offers; true if more are due. */
bool server_offers_end(struct madcap_server *server, size_t max);

#endif
