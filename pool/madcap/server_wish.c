/* SPDX-License-Identifier: MIT */
/*
 * server_wish.c - from the options of a DISCOVER, REQUEST or RENEW to what the book is asked for:
 * defaults (RFC 2730, 2.2.2), limits, and which option is to blame if they exclude each other.
 */
#include "server_impl.h"

#include "address.h"

/* What is left of a lease that had to be made shorter, unless the client says less. */
#define LEASE_LEAST_SEC 60

/* The latest start that can be told and still leaves a lease. */
#define START_LAST (UINT32_MAX - 1)

static bool has(const struct exchange *exchange, enum madcap_option option)
{
	return madcap_message_has(&exchange->in, option);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* By how much the client's clock is behind, as far as it says; "now or never" still means now. */
static uint32_t client_lag(const struct exchange *exchange, uint32_t now)
{
	uint32_t theirs = exchange->in.current_time;

	return has(exchange, MADCAP_OPT_CURRENT_TIME) && theirs < now ? now - theirs : 0;
}

static int set_start(const struct exchange *exchange, struct book_wish *wish)
{
	const struct madcap_message *in = &exchange->in;
	uint32_t now = wish->now_sec;

	wish->start_sec = now;
	if (has(exchange, MADCAP_OPT_START_TIME) && in->start_time > now)
		wish->start_sec = smaller(in->start_time, START_LAST);
	wish->start_latest_sec = wish->start_sec;
	if (has(exchange, MADCAP_OPT_MAX_START_TIME)) {
		if (in->max_start_time > wish->start_sec)
			wish->start_latest_sec = smaller(in->max_start_time, START_LAST);
		else if ((uint64_t)in->max_start_time + client_lag(exchange, now) < wish->start_sec)
			return -1;
	} else if (has(exchange, MADCAP_OPT_START_TIME)) {
		wish->start_latest_sec = START_LAST;
	}
	return 0;
}

static uint32_t longest_lease(const struct exchange *exchange, uint32_t start)
{
	const struct madcap_server_scope *scope = exchange->scope->config;
	uint32_t longest = scope->max_lease_sec > 0 ? scope->max_lease_sec : UINT32_MAX;

	/* Times end in 2106. */
	longest = smaller(longest, UINT32_MAX - start);
	if (scope->expires_sec == 0)
		return longest;
	if (scope->expires_sec <= start)
		return 0;
	if (scope->expires_sec - start < longest)
		longest = (uint32_t)(scope->expires_sec - start);
	return longest;
}

static int set_lease(const struct exchange *exchange, struct book_wish *wish)
{
	const struct madcap_server_scope *scope = exchange->scope->config;
	uint32_t longest = longest_lease(exchange, wish->start_sec);
	uint32_t lease = scope->default_lease_sec > 0 ? scope->default_lease_sec : longest;
	uint32_t least = has(exchange, MADCAP_OPT_MIN_LEASE_TIME) ? exchange->in.min_lease_time : 0;

	if (has(exchange, MADCAP_OPT_LEASE_TIME) && exchange->in.lease_time > 0)
		lease = exchange->in.lease_time;
	if (longest == 0 || least > longest)
		return -1;
	lease = smaller(lease > least ? lease : least, longest);
	wish->lease_sec = lease;
	wish->lease_min_sec = least > 0 ? least : smaller(lease, LEASE_LEAST_SEC);
	/* A later start must not carry the lease past the end of its scope. */
	if (scope->expires_sec != 0)
		wish->start_latest_sec = wish->start_sec;
	return 0;
}

static uint32_t client_room(const struct exchange *exchange, struct book_wish *wish)
{
	const struct madcap_server *server = exchange->server;
	uint32_t limit = server->config->max_addresses_per_client;
	struct book_client has;
	struct book_lease own;

	if (limit == 0)
		return UINT32_MAX;
	book_client(server->book, &wish->client, &has);
	/* What is replaced does not count. */
	if (book_find(server->book, wish->id, &own) == 0 &&
	    madcap_address_equal(&own.client, &wish->client))
		has.addresses -= own.n_addresses;
	return has.addresses < limit ? limit - (uint32_t)has.addresses : 0;
}

static int set_count(const struct exchange *exchange, struct book_wish *wish)
{
	const struct madcap_server_config *config = exchange->server->config;
	uint32_t most = config->max_addresses_per_request, room;

	wish->count_min = 1;
	wish->count = 1;
	if (has(exchange, MADCAP_OPT_COUNT)) {
		wish->count = exchange->in.count_desired;
		if (exchange->in.count_min > 1)
			wish->count_min = exchange->in.count_min;
	}
	most = most > 0 ? most : 256;
	room = client_room(exchange, wish);
	if (wish->count_min > smaller(most, room)) {
		exchange->answer->over_limit = wish->count_min <= most;
		return -1;
	}
	most = smaller(most, room);
	wish->count = (uint16_t)smaller(wish->count, most);
	return 0;
}

int server_make_wish(const struct exchange *exchange, struct book_wish *ret, uint16_t *ret_option)
{
	const struct madcap_message *in = &exchange->in;
	struct book_wish wish = {
		.id = in->lease_id,
		.scope = exchange->scope->config->first,
		.client = exchange->input->from.address,
		.state = BOOK_ACTIVE,
		.count = 1,
		.count_min = 1,
		.now_sec = server_now(exchange->server),
		.restricted = has(exchange, MADCAP_OPT_RANGES),
		.only = in->ranges,
	};

	if ((exchange->used_features >> MADCAP_FEATURE_SHARED_LEASE_ID & 1) != 0)
		wish.flags = BOOK_SHARED_ID;
	*ret_option = MADCAP_OPT_MAX_START_TIME;
	if (set_start(exchange, &wish) < 0)
		return -1;
	*ret_option = has(exchange, MADCAP_OPT_MIN_LEASE_TIME) ? MADCAP_OPT_MIN_LEASE_TIME
							       : MADCAP_OPT_SCOPE;
	if (set_lease(exchange, &wish) < 0)
		return -1;
	*ret_option = has(exchange, MADCAP_OPT_COUNT) ? MADCAP_OPT_COUNT : MADCAP_OPT_NONE;
	if (in->type != MADCAP_RENEW && set_count(exchange, &wish) < 0)
		return -1;
	*ret = wish;
	return 0;
}

uint16_t server_blame(const struct exchange *exchange, enum book_lack lack)
{
	switch (lack) {
	case BOOK_LACK_LEASE:
		if (has(exchange, MADCAP_OPT_MIN_LEASE_TIME))
			return MADCAP_OPT_MIN_LEASE_TIME;
		break;
	case BOOK_LACK_START:
		if (has(exchange, MADCAP_OPT_MAX_START_TIME))
			return MADCAP_OPT_MAX_START_TIME;
		break;
	case BOOK_LACK_LISTED:
	case BOOK_LACK_COUNT:
	case BOOK_LACK_ADDRESSES:
		break;
	}
	if (has(exchange, MADCAP_OPT_RANGES))
		return MADCAP_OPT_RANGES;
	if (has(exchange, MADCAP_OPT_COUNT) && exchange->in.count_min > 1)
		return MADCAP_OPT_COUNT;
	return MADCAP_OPT_NONE;
}
