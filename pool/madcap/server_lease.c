/* SPDX-License-Identifier: MIT */
/* server_lease.c - DISCOVER, REQUEST, RENEW and RELEASE (RFC 2730, 2.2.2 to 2.2.8). */
#include "server_impl.h"

#include "address.h"

#define RETRY_AFTER_SEC 60
#define PENDING_LIFE_SEC (7 * 24 * 3600)
#define MAX_PENDING 1024
#define PENDING_SHARE 16 /* of them one client may have the 16th part */

static bool is_ours(const struct exchange *exchange)
{
	return madcap_address_equal(&exchange->in.server_id, &exchange->server_id);
}

/* Finds the lease of this identifier; one whose end has passed is none. */
static bool find_lease(const struct exchange *exchange, struct book_lease *ret)
{
	const struct madcap_server *server = exchange->server;

	return book_find(server->book, exchange->in.lease_id, ret) == 0 &&
	       (ret->state == BOOK_OFFERED || ret->end_sec > server_now(server));
}

static void not_completed(struct exchange *exchange, uint16_t option, const char *note)
{
	if (exchange->in.type == MADCAP_DISCOVER)
		answer_ignore(exchange, note);
	else
		answer_nak(exchange, MADCAP_ERR_NOT_COMPLETED, option, note);
}

static void book_failed(struct exchange *exchange)
{
	if (exchange->server->config->nak_on_failure)
		not_completed(exchange, MADCAP_OPT_NONE, "the lease book failed");
	else
		answer_ignore(exchange, "the lease book failed");
}

static void failed(struct exchange *exchange, int code, enum book_lack lack)
{
	if (code == POOL_E_REFUSED)
		not_completed(exchange, server_blame(exchange, lack), "no addresses for it");
	else
		book_failed(exchange);
	exchange->answer->no_memory = code == POOL_E_NO_MEMORY;
}

/* The scope that is asked for, if it is served and, for multicasts, served here (2.11). */
static bool find_scope(struct exchange *exchange)
{
	exchange->scope = server_scope_find(exchange->server, &exchange->in.scope);
	if (exchange->scope != NULL && exchange->multicast &&
	    !server_scope_answers(exchange->server, exchange->scope, &exchange->input->to)) {
		answer_ignore(exchange, "the scope does not belong to the group that was asked");
		return false;
	}
	if (exchange->scope != NULL)
		return true;
	not_completed(exchange, MADCAP_OPT_SCOPE, "no such scope");
	return false;
}

/* ---- a lease that is there already ----------------------------------------------------------- */

/* Whether its addresses are what is asked for (3.8, 3.11). */
static bool has_what_is_asked(const struct exchange *exchange, const struct book_lease *lease)
{
	const struct madcap_message *in = &exchange->in;
	bool counted = madcap_message_has(in, MADCAP_OPT_COUNT);
	uint32_t least = counted ? in->count_min : 1;
	uint32_t most = counted ? in->count_desired : 1;

	return lease->n_addresses >= least && lease->n_addresses <= most &&
	       (!madcap_message_has(in, MADCAP_OPT_RANGES) ||
		book_lease_is_within(lease, in->ranges));
}

/* Whether its times are (3.15, 3.16). */
static bool lasts_as_asked(const struct exchange *exchange, const struct book_lease *lease)
{
	const struct madcap_message *in = &exchange->in;
	uint32_t now = server_now(exchange->server);
	uint32_t start = lease->start_sec > now ? lease->start_sec : now;

	if (madcap_message_has(in, MADCAP_OPT_MIN_LEASE_TIME) &&
	    lease->end_sec - start < in->min_lease_time)
		return false;
	return start == now || !madcap_message_has(in, MADCAP_OPT_MAX_START_TIME) ||
	       start <= in->max_start_time;
}

/* Gives it the times that are asked for. */
static void extend(struct exchange *exchange)
{
	struct madcap_server *server = exchange->server;
	enum book_lack lack = BOOK_LACK_START;
	struct book_lease lease;
	struct book_wish wish;
	uint16_t option;
	int code;

	if (server_make_wish(exchange, &wish, &option) < 0) {
		not_completed(exchange, option, "limits or times exclude it");
		return;
	}
	code = book_renew(server->book, &wish, &lease, &lack);
	if (code < 0) {
		failed(exchange, code, lack);
		return;
	}
	server->counters.renewed++;
	answer_lease(exchange, MADCAP_ACK, &lease);
}

/* ---- DISCOVER -------------------------------------------------------------------------------- */

/* What is known of the identifier already; true if there is nothing more to do. */
static bool discover_again(struct exchange *exchange)
{
	struct book_lease lease;

	if (!find_lease(exchange, &lease) || lease.state == BOOK_OFFERED)
		return false;
	/* Its client missed the ACK: what it has is what it will get again. */
	if (lease.state == BOOK_ACTIVE && madcap_address_equal(&lease.scope, &exchange->in.scope) &&
	    has_what_is_asked(exchange, &lease) && lasts_as_asked(exchange, &lease))
		answer_lease(exchange, MADCAP_OFFER, &lease);
	else
		answer_ignore(exchange, "the lease identifier is in use");
	return true;
}

static void offer(struct exchange *exchange, const struct book_wish *wish)
{
	struct madcap_server *server = exchange->server;
	enum book_lack lack = BOOK_LACK_ADDRESSES;
	struct book_lease lease;
	int code;

	if (!server_offers_have_room(server, &wish->scope, wish->count)) {
		/* What is held for it stays so. */
		if (find_lease(exchange, &lease) &&
		    madcap_address_equal(&lease.scope, &wish->scope))
			answer_lease(exchange, MADCAP_OFFER, &lease);
		else
			server_offer_unheld(exchange, wish);
		return;
	}
	code = book_grant(server->book, wish, &lease, &lack);
	if (code < 0) {
		failed(exchange, code, lack);
		return;
	}
	answer_lease(exchange, MADCAP_OFFER, &lease);
	server_offer_note(server, &lease);
}

void server_discover(struct exchange *exchange)
{
	uint32_t above = exchange->server->config->retry_after_above;
	struct book_wish wish;
	uint16_t option;

	if (!find_scope(exchange) || discover_again(exchange))
		return;
	if (server_make_wish(exchange, &wish, &option) < 0) {
		answer_ignore(exchange, "limits or times exclude it");
		return;
	}
	if (above > 0 && wish.count > above &&
	    !exchange_supports(exchange, MADCAP_FEATURE_RETRY_AFTER)) {
		if (wish.count_min > above) {
			answer_ignore(exchange, "that many addresses need the operator");
			return;
		}
		wish.count = (uint16_t)above;
	}
	wish.state = BOOK_OFFERED;
	offer(exchange, &wish);
}

/* ---- REQUEST --------------------------------------------------------------------------------- */

/* 2.13.2: "come back later", with no addresses. */
static void answer_later(struct exchange *exchange, const struct book_lease *lease)
{
	const struct madcap_server *server = exchange->server;
	int64_t wait = server->config->retry_after_sec;
	struct madcap_message *out = &exchange->out;

	exchange->used_features |= UINT32_C(1) << MADCAP_FEATURE_RETRY_AFTER;
	answer_begin(exchange, MADCAP_ACK);
	out->scope = lease->scope;
	out->lease_time = lease->wanted_lease;
	out->current_time = server_now(server);
	out->retry_time = out->current_time + (uint32_t)(wait > 0 ? wait : RETRY_AFTER_SEC);
	madcap_message_set(out, MADCAP_OPT_SCOPE);
	madcap_message_set(out, MADCAP_OPT_LEASE_TIME);
	madcap_message_set(out, MADCAP_OPT_CURRENT_TIME);
	madcap_message_set(out, MADCAP_OPT_RETRY_TIME);
	madcap_message_set(out, MADCAP_OPT_RANGES);
	exchange->answer->note = "the operator decides";
	answer_send(exchange);
}

static void begin_pending(struct exchange *exchange, const struct book_wish *wish)
{
	struct madcap_server *server = exchange->server;
	const struct madcap_server_config *config = server->config;
	int64_t life = config->pending_life_sec > 0 ? config->pending_life_sec : PENDING_LIFE_SEC;
	uint32_t most = config->max_pending > 0 ? config->max_pending : MAX_PENDING;
	int64_t end = wish->now_sec + life;
	uint32_t most_own = most > PENDING_SHARE ? most / PENDING_SHARE : 1;
	struct book_stats stats = { .size = 0 };
	struct book_client own;
	struct book_lease lease;
	int code;

	book_stats(server->book, NULL, &stats);
	book_client(server->book, &wish->client, &own);
	if (own.waiting >= most_own ||
	    stats.leases[BOOK_PENDING] + stats.leases[BOOK_APPROVED] + stats.leases[BOOK_DENIED] >=
		    most) {
		not_completed(exchange, MADCAP_OPT_COUNT, "too many requests wait already");
		return;
	}
	code = book_put_pending(server->book, wish, end > UINT32_MAX ? UINT32_MAX : (uint32_t)end,
				&lease);
	if (code < 0)
		failed(exchange, code, BOOK_LACK_ADDRESSES);
	else
		answer_later(exchange, &lease);
}

static void grant(struct exchange *exchange, const struct book_wish *wish)
{
	struct madcap_server *server = exchange->server;
	enum book_lack lack = BOOK_LACK_ADDRESSES;
	struct book_lease lease;
	int code = book_grant(server->book, wish, &lease, &lack);

	if (code < 0) {
		failed(exchange, code, lack);
		return;
	}
	server->counters.granted++;
	answer_lease(exchange, MADCAP_ACK, &lease);
}

/*
 * The operator's consent was given to so many addresses for so long as were asked for at the time
 * (2.13.2: the client asks again with the same options). False, and the answer is on its way, if the
 * wish is for more.
 */
static bool keep_to_consent(struct exchange *exchange, const struct book_lease *approved,
			    struct book_wish *wish)
{
	bool for_so_long = wish->lease_sec <= approved->wanted_lease ||
			   !madcap_message_has(&exchange->in, MADCAP_OPT_MIN_LEASE_TIME) ||
			   wish->lease_min_sec <= approved->wanted_lease;

	if (wish->count_min > approved->wanted || !for_so_long) {
		not_completed(exchange, for_so_long ? MADCAP_OPT_COUNT : MADCAP_OPT_MIN_LEASE_TIME,
			      "more than the operator said yes to");
		return false;
	}
	if (wish->count > approved->wanted)
		wish->count = approved->wanted;
	if (wish->lease_sec > approved->wanted_lease)
		wish->lease_sec = approved->wanted_lease;
	if (wish->lease_min_sec > wish->lease_sec)
		wish->lease_min_sec = wish->lease_sec;
	return true;
}

/* A new lease, unless that many addresses need the operator's consent. */
static void allocate(struct exchange *exchange, const struct book_lease *approved)
{
	uint32_t above = exchange->server->config->retry_after_above;
	struct book_wish wish;
	uint16_t option;

	if (server_make_wish(exchange, &wish, &option) < 0) {
		not_completed(exchange, option, "limits or times exclude it");
		return;
	}
	if (approved != NULL && !keep_to_consent(exchange, approved, &wish))
		return;
	if (approved != NULL || above == 0 || wish.count <= above) {
		grant(exchange, &wish);
		return;
	}
	if (exchange_supports(exchange, MADCAP_FEATURE_RETRY_AFTER)) {
		begin_pending(exchange, &wish);
	} else if (wish.count_min <= above) {
		wish.count = (uint16_t)above;
		grant(exchange, &wish);
	} else {
		not_completed(exchange, MADCAP_OPT_COUNT, "that many addresses need the operator");
	}
}

/* The lease as it is, or with more time; never less than the client says that it needs (2.2.4). */
static void request_active(struct exchange *exchange, const struct book_lease *lease)
{
	if (!has_what_is_asked(exchange, lease)) {
		answer_nak(exchange, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID,
			   "the lease identifier is in use for other addresses");
	} else if (!lasts_as_asked(exchange, lease)) {
		extend(exchange);
	} else {
		exchange->answer->note = "the lease that is there already";
		answer_lease(exchange, MADCAP_ACK, lease);
	}
}

/* The identifier is known: it says what has become of an earlier REQUEST. */
static void request_again(struct exchange *exchange, const struct book_lease *lease)
{
	if (!madcap_address_equal(&lease->scope, &exchange->in.scope) &&
	    lease->state != BOOK_OFFERED) {
		answer_nak(exchange, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID,
			   "the lease identifier is in use in another scope");
		return;
	}
	switch (lease->state) {
	case BOOK_ACTIVE:
		request_active(exchange, lease);
		break;
	case BOOK_PENDING:
		if (exchange_supports(exchange, MADCAP_FEATURE_RETRY_AFTER))
			answer_later(exchange, lease);
		else
			not_completed(exchange, MADCAP_OPT_COUNT, "the operator has to decide");
		break;
	case BOOK_DENIED:
		not_completed(exchange, MADCAP_OPT_COUNT, "the operator said no");
		break;
	case BOOK_APPROVED:
		allocate(exchange, lease);
		break;
	case BOOK_OFFERED:
		allocate(exchange, NULL);
		break;
	}
}

/* 2.2.3: another server was chosen, so what is held for the client is free again. */
bool server_request_to_other(struct exchange *exchange)
{
	struct book_lease lease;

	if (!madcap_message_has(&exchange->in, MADCAP_OPT_SERVER_ID) || is_ours(exchange))
		return false;
	answer_depends(exchange);
	if (book_find(exchange->server->book, exchange->in.lease_id, &lease) == 0 &&
	    lease.state == BOOK_OFFERED &&
	    book_release(exchange->server->book, exchange->in.lease_id) < 0) {
		answer_ignore(exchange, "the lease book failed");
		return true;
	}
	if (exchange->multicast)
		answer_ignore(exchange, "another server was chosen");
	else
		answer_nak(exchange, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_SERVER_ID,
			   "meant for another server");
	return true;
}

void server_request(struct exchange *exchange)
{
	struct book_lease lease;

	if (!find_scope(exchange))
		return;
	if (find_lease(exchange, &lease))
		request_again(exchange, &lease);
	else
		allocate(exchange, NULL);
}

/* ---- RENEW and RELEASE ----------------------------------------------------------------------- */

void server_renew(struct exchange *exchange)
{
	struct book_lease lease;

	if (!find_lease(exchange, &lease) || lease.state == BOOK_OFFERED) {
		answer_nak(exchange, MADCAP_ERR_LEASE_ID_UNKNOWN, 0, "no such lease");
		return;
	}
	if (lease.state != BOOK_ACTIVE) {
		answer_nak(exchange, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID,
			   "the lease is still being allocated");
		return;
	}
	/* The answer tells addresses of the request's family (2.1.3). */
	if (lease.scope.family != exchange->in.family) {
		answer_nak(exchange, MADCAP_ERR_INVALID_REQUEST, MADCAP_OPT_LEASE_ID,
			   "the lease is of another address family");
		return;
	}
	exchange->scope = server_scope_find(exchange->server, &lease.scope);
	if (exchange->scope == NULL)
		not_completed(exchange, MADCAP_OPT_SCOPE, "its scope is no longer served");
	else
		extend(exchange);
}

void server_release(struct exchange *exchange)
{
	struct madcap_server *server = exchange->server;
	struct book_lease lease;

	if (!find_lease(exchange, &lease) || lease.state == BOOK_OFFERED) {
		answer_nak(exchange, MADCAP_ERR_LEASE_ID_UNKNOWN, 0, "no such lease");
		return;
	}
	if (book_release(server->book, exchange->in.lease_id) < 0) {
		book_failed(exchange);
		return;
	}
	server->counters.released++;
	answer_begin(exchange, MADCAP_ACK);
	answer_send(exchange);
}
