/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "server_impl.h"

#include <string.h>

/* An answer this many times as long as its question is a weapon for who forges the address. */
#define LONG_ANSWER 4

static size_t put_code(uint8_t *at, uint16_t code)
{
	at[0] = (uint8_t)(code >> 8);
	at[1] = (uint8_t)code;
	return 2;
}

uint32_t server_now(const struct madcap_server *server)
{
	int64_t now = server->clock.unix_sec;

	return now < 0 ? 0 : now > UINT32_MAX ? UINT32_MAX : (uint32_t)now;
}

/* ---- features, 2.13 and 3.13 ----------------------------------------------------------------- */

static bool has_feature(const struct madcap_server *server, uint16_t feature)
{
	switch (feature) {
	case MADCAP_FEATURE_SERVER_MOBILITY:
		return book_is_shared(server->book);
	case MADCAP_FEATURE_RETRY_AFTER:
	case MADCAP_FEATURE_SHARED_LEASE_ID:
		return true;
	default:
		return false;
	}
}

bool exchange_supports(const struct exchange *exchange, enum madcap_feature feature)
{
	return madcap_codes_has(exchange->in.features.supported, (uint16_t)feature);
}

/* What was asked for and is there is used: it costs nothing, as no lease needs authentication. */
static void use_features(struct exchange *exchange)
{
	static const enum madcap_feature passive[] = { MADCAP_FEATURE_SERVER_MOBILITY,
						       MADCAP_FEATURE_SHARED_LEASE_ID };
	const struct madcap_features *asked = &exchange->in.features;

	for (size_t i = 0; i < ARRAY_SIZE(passive); i++) {
		uint16_t code = (uint16_t)passive[i];

		if (has_feature(exchange->server, code) &&
		    (madcap_codes_has(asked->requested, code) ||
		     madcap_codes_has(asked->required, code)))
			exchange->used_features |= UINT32_C(1) << code;
	}
}

bool answer_features_ok(struct exchange *exchange)
{
	struct madcap_bytes required = exchange->in.features.required;
	size_t n = 0;

	for (size_t i = 0; i < madcap_codes_count(required); i++) {
		uint16_t code = madcap_codes_at(required, i);

		if (!has_feature(exchange->server, code) && n + 2 <= sizeof(exchange->error_data))
			n += put_code(exchange->error_data + n, code);
	}
	if (n == 0) {
		use_features(exchange);
		return true;
	}
	/* A DISCOVER that cannot be met is no server's business (2.2). */
	if (exchange->in.type == MADCAP_DISCOVER) {
		answer_ignore(exchange, "a required feature is not supported");
		return false;
	}
	answer_begin(exchange, MADCAP_NAK);
	exchange->out.error_code = MADCAP_ERR_FEATURE_UNSUPPORTED;
	exchange->out.error_data = (struct madcap_bytes){ exchange->error_data, n };
	madcap_message_set(&exchange->out, MADCAP_OPT_ERROR);
	exchange->answer->note = "a required feature is not supported";
	answer_send(exchange);
	return false;
}

/* The supported list is what we have; the required one what was used and the client knows of. */
static void add_features(struct exchange *exchange)
{
	struct madcap_message *out = &exchange->out;
	size_t n_supported = 0, n_required = 0;

	for (uint16_t code = 0; code <= MADCAP_FEATURE_SHARED_LEASE_ID; code++) {
		if (!has_feature(exchange->server, code))
			continue;
		n_supported += put_code(exchange->supported + n_supported, code);
		if ((exchange->used_features >> code & 1) != 0 && out->type != MADCAP_NAK &&
		    exchange_supports(exchange, (enum madcap_feature)code))
			n_required += put_code(exchange->required + n_required, code);
	}
	out->features.supported = (struct madcap_bytes){ exchange->supported, n_supported };
	out->features.required = (struct madcap_bytes){ exchange->required, n_required };
	madcap_message_set(out, MADCAP_OPT_FEATURES);
}

/* ---- answers --------------------------------------------------------------------------------- */

void answer_depends(struct exchange *exchange)
{
	exchange->answer->depends = true;
	book_rely(exchange->server->book);
}

void answer_begin(struct exchange *exchange, enum madcap_type type)
{
	struct madcap_message *out = &exchange->out;

	memset(out, 0, sizeof(*out));
	out->type = (uint8_t)type;
	out->family = exchange->in.family;
	out->xid = exchange->in.xid;
	out->server_id = exchange->server_id;
	madcap_message_set(out, MADCAP_OPT_SERVER_ID);
	/* A request without one gets its NAK all the same. */
	if (madcap_message_has(&exchange->in, MADCAP_OPT_LEASE_ID)) {
		out->lease_id = exchange->in.lease_id;
		madcap_message_set(out, MADCAP_OPT_LEASE_ID);
	}
	if (madcap_message_has(&exchange->in, MADCAP_OPT_FEATURES))
		add_features(exchange);
}

bool answer_is_too_much(struct exchange *exchange, size_t size)
{
	struct madcap_server *server = exchange->server;
	uint32_t per_sec = server->config->getinfo_rate;

	if (per_sec == 0 || size <= LONG_ANSWER * exchange->input->size ||
	    server_rate_allows(&server->getinfo_rate, &exchange->input->from.address, per_sec,
			       server->clock.mono_ms))
		return false;
	server->counters.getinfo_limited++;
	answer_ignore(exchange, "too many long answers to this address");
	return true;
}

void answer_send(struct exchange *exchange)
{
	struct madcap_counters *counters = &exchange->server->counters;
	const struct madcap_message *out = &exchange->out;
	struct madcap_answer *answer = exchange->answer;
	size_t size;

	/* Only lists make an answer long. */
	if (answer_is_too_much(exchange,
			       out->scope_list.size + out->nesting.size + out->ranges.size))
		return;
	if (madcap_message_has(&exchange->out, MADCAP_OPT_FEATURES))
		add_features(exchange);
	if (!madcap_message_encode(&exchange->out, answer->data, sizeof(answer->data), &size)) {
		answer_ignore(exchange, "the answer would be too long");
		return;
	}
	answer->size = size;
	if (exchange->out.type == MADCAP_OFFER) {
		counters->offers++;
	} else if (exchange->out.type == MADCAP_ACK) {
		counters->acks++;
	} else {
		counters->naks++;
		counters->naks_by_error[exchange->out.error_code]++;
	}
}

void answer_ignore(struct exchange *exchange, const char *note)
{
	exchange->answer->size = 0;
	exchange->answer->note = note;
	exchange->server->counters.ignored++;
}

void answer_nak(struct exchange *exchange, enum madcap_error error, uint16_t option,
		const char *note)
{
	struct madcap_message *out = &exchange->out;

	answer_begin(exchange, MADCAP_NAK);
	out->error_code = (uint16_t)error;
	if (error == MADCAP_ERR_NOT_COMPLETED || error == MADCAP_ERR_INVALID_REQUEST) {
		put_code(exchange->error_data, option);
		out->error_data = (struct madcap_bytes){ exchange->error_data, 2 };
	}
	madcap_message_set(out, MADCAP_OPT_ERROR);
	exchange->answer->note = note;
	answer_send(exchange);
}

void answer_nak_skew(struct exchange *exchange)
{
	uint32_t now = server_now(exchange->server);

	answer_begin(exchange, MADCAP_NAK);
	put_code(exchange->error_data, (uint16_t)(now >> 16));
	put_code(exchange->error_data + 2, (uint16_t)now);
	exchange->out.error_code = MADCAP_ERR_CLOCK_SKEW;
	exchange->out.error_data = (struct madcap_bytes){ exchange->error_data, 4 };
	madcap_message_set(&exchange->out, MADCAP_OPT_ERROR);
	exchange->answer->note = "the client's clock is off";
	answer_send(exchange);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void add_ranges(struct exchange *exchange, const struct book_lease *lease)
{
	uint8_t *buf = exchange->server->lists[0];
	struct wire_writer writer;

	wire_writer_init(&writer, buf, sizeof(exchange->server->lists[0]));
	for (size_t i = 0; i < lease->n_ranges; i++) {
		struct book_range range = book_lease_range(lease, i);
		struct madcap_range wire = { range.first, (uint16_t)range.count };

		madcap_range_write(&writer, &wire);
	}
	exchange->out.ranges = (struct madcap_bytes){ buf, writer.at };
	madcap_message_set(&exchange->out, MADCAP_OPT_RANGES);
}

/* A lease that has begun lasts for what is left of it; one that has not says when it does (2.2.5).
 */
void answer_lease(struct exchange *exchange, enum madcap_type type, const struct book_lease *lease)
{
	struct madcap_message *out = &exchange->out;
	uint32_t now = server_now(exchange->server);
	uint32_t start = lease->start_sec > now ? lease->start_sec : now;

	answer_begin(exchange, type);
	out->scope = lease->scope;
	madcap_message_set(out, MADCAP_OPT_SCOPE);
	out->lease_time = lease->end_sec > start ? lease->end_sec - start : 0;
	madcap_message_set(out, MADCAP_OPT_LEASE_TIME);
	if (start > now) {
		out->start_time = start;
		out->current_time = now;
		madcap_message_set(out, MADCAP_OPT_START_TIME);
		madcap_message_set(out, MADCAP_OPT_CURRENT_TIME);
	}
	add_ranges(exchange, lease);
	answer_send(exchange);
}
