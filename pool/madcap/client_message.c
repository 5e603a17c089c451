/* SPDX-License-Identifier: MIT */
#include "client_message.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"

/* ---- the query ------------------------------------------------------------------------------- */

static bool is_group_of(const struct madcap_address *address, uint16_t family)
{
	return address->family == family && madcap_address_is_multicast(address);
}

static const char *range_problem(const struct madcap_query *query)
{
	if (query->n_ranges > MADCAP_CLIENT_RANGES_MAX)
		return "too many ranges of addresses";
	for (size_t i = 0; i < query->n_ranges; i++) {
		const struct madcap_range *range = &query->ranges[i];
		struct madcap_address last;

		if (range->count == 0 || !is_group_of(&range->first, query->family) ||
		    !madcap_address_add(&range->first, range->count - 1u, &last) ||
		    !madcap_address_is_multicast(&last))
			return "an address is no multicast address of the scope's family";
	}
	return NULL;
}

static bool asks_for_retry(const uint16_t *codes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (codes[i] == MADCAP_FEATURE_RETRY_AFTER)
			return true;
	return false;
}

static const char *request_problem(const struct madcap_query *query)
{
	uint16_t count = query->count == 0 ? 1 : query->count;

	if (!is_group_of(&query->scope, query->family))
		return "the scope is no multicast address of its family";
	if (query->min_count > count)
		return "the least number of addresses is above the number wished for";
	return range_problem(query);
}

static const char *query_problem(const struct madcap_query *query)
{
	bool timed =
		query->operation == MADCAP_REQUEST_LEASE || query->operation == MADCAP_RENEW_LEASE;

	if (madcap_family_size(query->family) == 0)
		return "the address family is neither IPv4 nor IPv6";
	if (query->id.size == 0 || query->id.size > MADCAP_CLIENT_ID_MAX)
		return "a lease identifier has 1 to 255 octets";
	if (timed && query->lease_sec != 0 && query->min_lease_sec > query->lease_sec)
		return "the shortest lease time is above the one wished for";
	if (timed && query->max_start_sec != 0 && query->max_start_sec < query->start_sec)
		return "the latest start is before the start";
	if (query->n_requested > MADCAP_CLIENT_FEATURES_MAX ||
	    query->n_required > MADCAP_CLIENT_FEATURES_MAX)
		return "too many features";
	if (asks_for_retry(query->requested, query->n_requested) ||
	    asks_for_retry(query->required, query->n_required))
		return "Retry After is for the server to choose (RFC 2730, 2.13.2)";
	if (memchr(query->language, '\0', sizeof(query->language)) == NULL)
		return "the language tag is too long";
	return query->operation == MADCAP_REQUEST_LEASE ? request_problem(query) : NULL;
}

bool madcap_client_is_group(const struct madcap_address *address)
{
	if (address->family == MADCAP_IPV6)
		return address->bytes[0] == 0xff && (address->bytes[1] & 0x0f) < 0x0e;
	return address->family == MADCAP_IPV4 && address->bytes[0] == 239;
}

static const char *server_problem(const struct madcap_query *query,
				  const struct madcap_servers *servers)
{
	if (servers->n > MADCAP_CLIENT_SERVERS_MAX)
		return "too many servers";
	if (servers->tries > MADCAP_CLIENT_TRIES_MAX || servers->total_ms < 0)
		return "no such number of tries, or time for them";
	for (size_t i = 0; i < servers->n; i++)
		if (madcap_family_size(servers->server[i].address.family) == 0 ||
		    servers->server[i].port == 0)
			return "a server has no address";
	if (servers->n > 0)
		return NULL;
	if (query->operation == MADCAP_RENEW_LEASE || query->operation == MADCAP_RELEASE_LEASE)
		return "the server that granted the lease is not known";
	if (!madcap_client_is_group(&servers->group.address) || servers->group.port == 0)
		return "there is no server group to look for servers in";
	return NULL;
}

bool client_query_check(const struct madcap_query *query, const struct madcap_servers *servers,
			struct error *error)
{
	const char *problem = query_problem(query);

	if (problem == NULL)
		problem = server_problem(query, servers);
	if (problem != NULL)
		error_set(error, "%s", problem);
	return problem == NULL;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* The lists of a message while it is made. */
struct lists {
	uint8_t ranges[MADCAP_CLIENT_RANGES_MAX * 18];
	uint8_t supported[2 * (2 * MADCAP_CLIENT_FEATURES_MAX + 2)];
	uint8_t requested[2 * MADCAP_CLIENT_FEATURES_MAX];
	uint8_t required[2 * (MADCAP_CLIENT_FEATURES_MAX + 1)];
	uint8_t options[2];
};

static struct madcap_bytes written(const struct wire_writer *writer)
{
	return (struct madcap_bytes){ writer->data, writer->at };
}

static void put_times(const struct madcap_query *query, int64_t unix_sec,
		      struct madcap_message *message)
{
	const struct {
		enum madcap_option option;
		uint32_t value;
		uint32_t *field;
	} times[] = {
		{ MADCAP_OPT_LEASE_TIME, query->lease_sec, &message->lease_time },
		{ MADCAP_OPT_MIN_LEASE_TIME, query->min_lease_sec, &message->min_lease_time },
		{ MADCAP_OPT_START_TIME, query->start_sec, &message->start_time },
		{ MADCAP_OPT_MAX_START_TIME, query->max_start_sec, &message->max_start_time },
	};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (times[i].value != 0) {
			*times[i].field = times[i].value;
			madcap_message_set(message, times[i].option);
		}
	if (query->start_sec != 0 || query->max_start_sec != 0) {
		message->current_time = (uint32_t)unix_sec;
		madcap_message_set(message, MADCAP_OPT_CURRENT_TIME); /* 2.12 */
	}
}

static void put_wish(const struct madcap_client *client, struct madcap_message *message,
		     struct lists *lists)
{
	const struct madcap_query *query = &client->query;
	struct wire_writer writer;

	message->scope = query->scope;
	madcap_message_set(message, MADCAP_OPT_SCOPE);
	if (query->count > 1) { /* for one address it is left out (3.8) */
		message->count_desired = query->count;
		message->count_min = query->min_count != 0 ? query->min_count : query->count;
		madcap_message_set(message, MADCAP_OPT_COUNT);
	}
	if (query->n_ranges > 0) {
		wire_writer_init(&writer, lists->ranges, sizeof(lists->ranges));
		for (size_t i = 0; i < query->n_ranges; i++)
			madcap_range_write(&writer, &client->ranges[i]);
		message->ranges = written(&writer);
		madcap_message_set(message, MADCAP_OPT_RANGES);
	}
	if (client->naming) {
		message->server_id = client->chosen;
		madcap_message_set(message, MADCAP_OPT_SERVER_ID);
	}
}

/* Another server than the one that granted the lease has to know of it (2.2.7, 2.2.8). */
static bool needs_mobility(const struct madcap_client *client)
{
	return client->elsewhere &&
	       (client->type == MADCAP_RENEW || client->type == MADCAP_RELEASE);
}

static void put_features(const struct madcap_client *client, struct madcap_message *message,
			 struct lists *lists)
{
	const struct madcap_query *query = &client->query;
	struct wire_writer supported, requested, required;
	bool mobile = needs_mobility(client);

	if (query->retry_ms == 0 && query->n_requested == 0 && query->n_required == 0 && !mobile)
		return;
	wire_writer_init(&supported, lists->supported, sizeof(lists->supported));
	wire_writer_init(&requested, lists->requested, sizeof(lists->requested));
	wire_writer_init(&required, lists->required, sizeof(lists->required));
	if (query->retry_ms != 0)
		wire_write_u16(&supported, MADCAP_FEATURE_RETRY_AFTER);
	if (mobile) {
		wire_write_u16(&supported, MADCAP_FEATURE_SERVER_MOBILITY);
		wire_write_u16(&required, MADCAP_FEATURE_SERVER_MOBILITY);
	}
	for (size_t i = 0; i < query->n_requested; i++) {
		if (mobile && query->requested[i] == MADCAP_FEATURE_SERVER_MOBILITY)
			continue;
		wire_write_u16(&supported, query->requested[i]);
		wire_write_u16(&requested, query->requested[i]);
	}
	for (size_t i = 0; i < query->n_required; i++) {
		wire_write_u16(&supported, query->required[i]);
		wire_write_u16(&required, query->required[i]);
	}
	message->features.supported = written(&supported);
	message->features.requested = written(&requested);
	message->features.required = written(&required);
	madcap_message_set(message, MADCAP_OPT_FEATURES);
}

static void put_question(const struct madcap_query *query, struct madcap_message *message,
			 struct lists *lists)
{
	struct wire_writer writer;

	wire_writer_init(&writer, lists->options, sizeof(lists->options));
	wire_write_u16(&writer, MADCAP_OPT_SCOPE_LIST);
	message->option_request = written(&writer);
	madcap_message_set(message, MADCAP_OPT_OPTION_REQUEST);
	if (query->language[0] != '\0') {
		message->language.data = (const uint8_t *)query->language;
		message->language.size = strlen(query->language);
		madcap_message_set(message, MADCAP_OPT_LANGUAGE);
	}
}

bool client_message_make(struct madcap_client *client, int64_t unix_sec)
{
	struct madcap_message message = { .type = client->type,
					  .family = client->query.family,
					  .xid = client->xid };
	struct lists lists;

	message.lease_id = (struct madcap_bytes){ client->query.id.bytes, client->query.id.size };
	madcap_message_set(&message, MADCAP_OPT_LEASE_ID);
	if (client->type == MADCAP_GETINFO)
		put_question(&client->query, &message, &lists);
	if (client->type == MADCAP_DISCOVER || client->type == MADCAP_REQUEST)
		put_wish(client, &message, &lists);
	if (client->type != MADCAP_GETINFO && client->type != MADCAP_RELEASE)
		put_times(&client->query, unix_sec, &message);
	put_features(client, &message, &lists);
	return madcap_message_encode(&message, client->message, sizeof(client->message),
				     &client->message_size);
}

/* ---- in -------------------------------------------------------------------------------------- */

static int compare_ranges(const void *a, const void *b)
{
	return madcap_address_compare(&((const struct madcap_range *)a)->first,
				      &((const struct madcap_range *)b)->first);
}

/* Groups all of them, and none twice. Sorts. */
static bool ranges_are_sound(struct madcap_range *ranges, size_t n)
{
	struct madcap_address last, next;

	qsort(ranges, n, sizeof(*ranges), compare_ranges);
	for (size_t i = 0; i < n; i++) {
		if (!madcap_address_is_multicast(&ranges[i].first) ||
		    !madcap_address_add(&ranges[i].first, ranges[i].count - 1u, &last) ||
		    !madcap_address_is_multicast(&last))
			return false;
		if (i + 1 == n)
			break;
		next = ranges[i + 1].first;
		if (madcap_address_compare(&next, &last) <= 0)
			return false;
	}
	return true;
}

/* Whether every address of a range is one of those that the query is restricted to. */
static bool was_asked_for(const struct madcap_client *client, const struct madcap_range *range)
{
	uint32_t found = 0;

	while (found < range->count) {
		struct madcap_address address;
		uint32_t before = found;

		if (!madcap_address_add(&range->first, found, &address))
			return false;
		for (size_t i = 0; i < client->query.n_ranges && found == before; i++) {
			const struct madcap_range *wanted = &client->ranges[i];
			uint64_t offset;

			if (madcap_address_distance(&wanted->first, &address, &offset) &&
			    offset < wanted->count)
				found += (uint32_t)(wanted->count - offset);
		}
		if (found == before)
			return false;
	}
	return true;
}

static bool ranges_fit(const struct madcap_client *client, const struct madcap_message *message)
{
	size_t n = 0, at = 0, entry = madcap_family_size(message->family) + 2;
	struct madcap_range *ranges = calloc(message->ranges.size / entry + 1, sizeof(*ranges));
	bool fit;

	if (ranges == NULL)
		return false; /* it will come again */
	while (madcap_range_next(message, &at, &ranges[n]))
		n++;
	fit = ranges_are_sound(ranges, n);
	for (size_t i = 0; fit && client->query.n_ranges > 0 && i < n; i++)
		fit = was_asked_for(client, &ranges[i]);
	free(ranges);
	return fit;
}

/* What a server may offer or grant to a request (2.2.3, 2.2.4, 3.8, 3.15, 3.16). */
static bool wish_is_met(const struct madcap_client *client, const struct madcap_message *message)
{
	const struct madcap_query *query = &client->query;
	uint16_t wished = query->count > 1 ? query->count : 1;
	uint16_t least = query->min_count != 0 ? query->min_count : wished;
	uint64_t total;

	if (!madcap_address_equal(&message->scope, &query->scope))
		return false;
	if (!madcap_message_has(message, MADCAP_OPT_RANGES))
		return true; /* an OFFER of what was asked for */
	total = madcap_ranges_total(message);
	return total >= least && total <= wished && ranges_fit(client, message);
}

static bool times_are_met(const struct madcap_query *query, const struct madcap_message *message)
{
	if (message->lease_time == 0 || message->lease_time < query->min_lease_sec)
		return false;
	return query->max_start_sec == 0 || !madcap_message_has(message, MADCAP_OPT_START_TIME) ||
	       message->start_time <= query->max_start_sec;
}

bool client_message_is_later(const struct madcap_client *client,
			     const struct madcap_message *message)
{
	return client->query.retry_ms != 0 && message->type == MADCAP_ACK &&
	       madcap_message_has(message, MADCAP_OPT_RETRY_TIME) &&
	       madcap_codes_has(message->features.required, MADCAP_FEATURE_RETRY_AFTER) &&
	       madcap_ranges_total(message) == 0;
}

static bool grant_is_sound(const struct madcap_client *client, const struct madcap_message *message)
{
	switch (client->type) {
	case MADCAP_DISCOVER:
	case MADCAP_REQUEST:
		return client_message_is_later(client, message) ||
		       (wish_is_met(client, message) && times_are_met(&client->query, message));
	case MADCAP_RENEW:
		return client_message_is_later(client, message) ||
		       (madcap_ranges_total(message) > 0 &&
			madcap_ranges_total(message) <= UINT16_MAX && ranges_fit(client, message) &&
			times_are_met(&client->query, message));
	default:
		return true;
	}
}

bool client_message_accept(const struct madcap_client *client, const uint8_t *data, size_t size,
			   struct madcap_message *ret)
{
	const struct madcap_client_id *id = &client->query.id;
	struct madcap_verdict verdict = madcap_message_decode(data, size, ret);
	uint8_t expected = client->type == MADCAP_DISCOVER ? MADCAP_OFFER : MADCAP_ACK;

	if (verdict.fault != MADCAP_FINE || ret->xid != client->xid ||
	    ret->lease_id.size != id->size || memcmp(ret->lease_id.data, id->bytes, id->size) != 0)
		return false;
	if (ret->family != client->query.family ||
	    (ret->type != expected && ret->type != MADCAP_NAK))
		return false;
	verdict = madcap_message_check(ret, madcap_column_of(ret->type, client->type), false);
	if (verdict.fault != MADCAP_FINE)
		return false;
	if (client->naming && !madcap_address_equal(&ret->server_id, &client->chosen))
		return false;
	return ret->type == MADCAP_NAK || grant_is_sound(client, ret);
}
