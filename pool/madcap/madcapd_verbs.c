/* SPDX-License-Identifier: MIT */
/* What the operator asks for. Each change is a batch of its own, answered when it is on disk. */
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "array.h"
#include "madcapd.h"
#include "parse.h"

#define PIECE 500 /* leases told, or passed over, at a time */
#define TRIES 4   /* of a change, where others that share the book overtake it */

/* ---- values ------------------------------------------------------------------------------ */

static json_t *id_json(struct madcap_bytes id)
{
	char text[OCTETS_TEXT_SIZE(BOOK_ID_MAX)];

	return json_string(format_octets(id.data, id.size, text));
}

static json_t *address_json(const struct madcap_address *address)
{
	char text[MADCAP_ADDRESS_TEXT];

	return address->family != 0 ? json_string(madcap_address_format(address, text))
				    : json_null();
}

/* The last second there is stands for no end. */
static json_t *time_json(uint32_t unix_sec)
{
	char text[TIME_TEXT_SIZE];

	return unix_sec != UINT32_MAX ? json_string(format_time(unix_sec, text)) : json_null();
}

static json_t *count_json(uint64_t count)
{
	return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
}

static json_t *addresses_json(const struct book_lease *lease)
{
	json_t *list = json_array();

	for (size_t i = 0; i < lease->n_ranges; i++) {
		struct book_range range = book_lease_range(lease, i);
		struct madcap_address address = range.first;

		for (uint32_t j = 0; j < range.count; j++) {
			json_array_append_new(list, address_json(&address));
			if (!madcap_address_add(&address, 1, &address))
				break;
		}
	}
	return list;
}

static const char *state_name(const struct book_lease *lease, uint32_t now_sec)
{
	switch (lease->state) {
	case BOOK_OFFERED:
		return "offered";
	case BOOK_ACTIVE:
		if (lease->end_sec <= now_sec)
			return "expired";
		return lease->start_sec > now_sec ? "future" : "active";
	case BOOK_PENDING:
		return "pending";
	case BOOK_APPROVED:
		return "approved";
	case BOOK_DENIED:
		return "denied";
	}
	return "unknown";
}

static json_t *lease_json(const struct book_lease *lease, uint32_t now_sec)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "request_id", id_json(lease->id),
			 "scope", address_json(&lease->scope), "addresses", addresses_json(lease),
			 "state", state_name(lease, now_sec), "start", time_json(lease->start_sec),
			 "end", time_json(lease->end_sec), "client", address_json(&lease->client));
}

static json_t *pending_json(const struct book_lease *lease, uint32_t now_sec)
{
	return json_pack("{s:o, s:o, s:i, s:i, s:I, s:s, s:o, s:o, s:o}", "request_id",
			 id_json(lease->id), "scope", address_json(&lease->scope), "count",
			 (int)lease->wanted, "min", (int)lease->wanted_min, "lease_sec",
			 (json_int_t)lease->wanted_lease, "state", state_name(lease, now_sec),
			 "since", time_json(lease->touched_sec), "until", time_json(lease->end_sec),
			 "client", address_json(&lease->client));
}

static bool is_pending(const struct book_lease *lease)
{
	return lease->state == BOOK_PENDING || lease->state == BOOK_APPROVED ||
	       lease->state == BOOK_DENIED;
}

/* ---- listings ---------------------------------------------------------------------------- */

static json_t *names_json(const struct madcap_server_scope *scope)
{
	json_t *names = json_array();

	for (size_t i = 0; i < scope->n_names; i++)
		json_array_append_new(names,
				      json_pack("{s:s, s:s, s:b}", "lang", scope->names[i].language,
						"name", scope->names[i].name, "default",
						(int)scope->names[i].is_default));
	return names;
}

static const char *scope_name(const struct madcap_server_scope *scope)
{
	for (size_t i = 0; i < scope->n_names; i++) {
		if (scope->names[i].is_default)
			return scope->names[i].name;
	}
	return scope->n_names > 0 ? scope->names[0].name : "";
}

static json_t *scope_json(const struct madcapd *daemon, const struct madcap_server_scope *scope)
{
	struct book_stats stats = { 0 };
	char time[TIME_TEXT_SIZE];

	(void)madcap_server_stats(daemon->server, &scope->first, &stats);
	return json_pack("{s:o, s:o, s:i, s:s, s:o, s:b, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "first", address_json(&scope->first), "last", address_json(&scope->last),
			 "ttl", (int)scope->ttl, "name", scope_name(scope), "names",
			 names_json(scope), "enabled", (int)!scope->disabled, "expires",
			 scope->expires_sec != 0 ? format_time(scope->expires_sec, time) : NULL,
			 "size", count_json(stats.size), "free", count_json(stats.free), "leased",
			 count_json(stats.addresses[BOOK_ACTIVE]), "leases",
			 count_json(stats.leases[BOOK_ACTIVE]), "offered",
			 count_json(stats.addresses[BOOK_OFFERED]), "pending",
			 count_json(stats.leases[BOOK_PENDING]));
}

static void ask_scopes(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	const struct madcap_server_config *config = &daemon->config->server;
	json_t *list = json_array();

	(void)argument;
	for (size_t i = 0; i < config->n_scopes; i++)
		json_array_append_new(list, scope_json(daemon, &config->scopes[i]));
	admin_reply_result(reply, list);
}

/* One more piece of a listing of those leases that are pending, or that are not. */
static bool tell_leases(const struct madcapd *daemon, struct admin_reply *reply, bool pending)
{
	uint32_t now_sec = madcapd_book_now(daemon);
	struct book_lease lease;

	if (reply->is_first && reply->at == 0)
		admin_reply_add(reply, "{\"ok\":true,\"result\":[");
	for (size_t i = 0; i < PIECE; i++) {
		json_t *value;

		if (book_next(daemon->book, &reply->at, &lease) < 0) {
			admin_reply_add(reply, "]}\n");
			return false;
		}
		if (is_pending(&lease) != pending)
			continue;
		value = pending ? pending_json(&lease, now_sec) : lease_json(&lease, now_sec);
		admin_reply_add(reply, reply->is_first ? "\n" : ",\n");
		admin_reply_json(reply, value);
		json_decref(value);
		reply->is_first = false;
	}
	return true;
}

static bool more_leases(void *context, struct admin_reply *reply)
{
	return tell_leases(context, reply, false);
}

static bool more_pending(void *context, struct admin_reply *reply)
{
	return tell_leases(context, reply, true);
}

static void ask_leases(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	(void)daemon;
	(void)argument;
	reply->more = more_leases;
}

static void ask_pending(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	(void)daemon;
	(void)argument;
	reply->more = more_pending;
}

static void ask_metrics(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	(void)argument;
	admin_reply_result(reply, madcapd_metrics(daemon));
}

/* ---- changes ----------------------------------------------------------------------------- */

/* A request id in hexadecimal: *ret points into buf. */
static bool parse_id(const char *text, uint8_t buf[BOOK_ID_MAX], struct madcap_bytes *ret)
{
	ret->data = buf;
	return parse_octets(text, BOOK_ID_MAX, buf, &ret->size);
}

static bool has_address(const struct book_lease *lease, const struct madcap_address *address)
{
	for (size_t i = 0; i < lease->n_ranges; i++) {
		struct book_range range = book_lease_range(lease, i);
		uint64_t distance;

		if (madcap_address_distance(&range.first, address, &distance) &&
		    distance < range.count)
			return true;
	}
	return false;
}

/* Who has the address now, else who will have it. */
static int find_address(const struct madcapd *daemon, const struct madcap_address *address,
			struct book_lease *ret)
{
	uint32_t now_sec = madcapd_book_now(daemon);
	uint64_t at = 0;
	int code = book_find_address(daemon->book, address, now_sec, ret);

	while (code == POOL_E_NOT_FOUND) {
		if (book_next(daemon->book, &at, ret) < 0)
			return POOL_E_NOT_FOUND;
		if (ret->end_sec > now_sec && has_address(ret, address))
			code = 0;
	}
	return code;
}

/* The identifier of the lease that the operator means, in buf. False after an error. */
static bool find_lease(const struct madcapd *daemon, const char *text, uint8_t buf[BOOK_ID_MAX],
		       struct book_lease *ret, struct admin_reply *reply)
{
	struct madcap_address address;
	struct madcap_bytes id;
	int code;

	if (madcap_address_parse(text, &address)) {
		code = find_address(daemon, &address, ret);
	} else if (parse_id(text, buf, &id)) {
		code = book_find(daemon->book, id, ret);
	} else {
		admin_reply_error(reply, "'%s' is no address and no request id in hexadecimal",
				  text);
		return false;
	}
	if (code < 0) {
		admin_reply_error(reply, "there is no lease %s", text);
		return false;
	}
	memcpy(buf, ret->id.data, ret->id.size);
	ret->id.data = buf;
	return true;
}

typedef int change_function(struct madcap_server *server, struct madcap_bytes id);

/* Carries out one change as a batch of its own. */
static int change_once(struct madcapd *daemon, change_function *function, struct madcap_bytes id,
		       struct error *error)
{
	int code = madcapd_begin(daemon, error);
	int end;

	if (code < 0)
		return code;
	code = function(daemon->server, id);
	if (code < 0)
		error_set(error, "%s", pool_strerror(code));
	/* Where that was the book's failure, it says more of it. */
	end = madcapd_commit(daemon, error);
	return code < 0 ? code : end;
}

/* Others that share the book may be faster, but not for ever. */
static int change(struct madcapd *daemon, change_function *function, struct madcap_bytes id,
		  struct error *error)
{
	int code = BOOK_AGAIN;

	for (int i = 0; i < TRIES && code == BOOK_AGAIN; i++)
		code = change_once(daemon, function, id, error);
	if (code != BOOK_AGAIN)
		return code;
	error_set(error, "other servers were faster, time and again");
	return POOL_E_STORE;
}

static void ask_release(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	struct error error = { 0 };
	uint8_t buf[BOOK_ID_MAX];
	struct book_lease lease;
	json_t *result;
	int code;

	if (!find_lease(daemon, argument, buf, &lease, reply))
		return;
	result = lease_json(&lease, madcapd_book_now(daemon));
	code = change(daemon, madcap_server_release, lease.id, &error);
	if (code == 0) {
		admin_reply_result(reply, result);
		return;
	}
	json_decref(result);
	admin_reply_error(reply, "%s could not be released: %s", argument, error.text);
}

static void decide(struct madcapd *daemon, const char *argument, change_function *function,
		   struct admin_reply *reply)
{
	struct error error = { 0 };
	uint8_t buf[BOOK_ID_MAX];
	struct madcap_bytes id;
	struct book_lease lease;
	int code;

	if (!parse_id(argument, buf, &id)) {
		admin_reply_error(reply, "'%s' is no request id in hexadecimal", argument);
		return;
	}
	code = change(daemon, function, id, &error);
	if (code == POOL_E_NOT_FOUND)
		admin_reply_error(reply, "no request %s is pending", argument);
	else if (code < 0)
		admin_reply_error(reply, "%s could not be decided: %s", argument, error.text);
	else if (book_find(daemon->book, id, &lease) < 0)
		admin_reply_error(reply, "request %s is gone", argument);
	else
		admin_reply_result(reply, pending_json(&lease, 0));
}

static void ask_approve(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	decide(daemon, argument, madcap_server_approve, reply);
}

static void ask_deny(struct madcapd *daemon, const char *argument, struct admin_reply *reply)
{
	decide(daemon, argument, madcap_server_deny, reply);
}

/* ---- the verbs --------------------------------------------------------------------------- */

/* Nothing is told of a shared book that may have changed meanwhile. */
static bool is_current(struct madcapd *daemon, struct admin_reply *reply)
{
	const char *problem;

	book_refresh(daemon->book, NULL);
	problem = book_problem(daemon->book);
	if (problem != NULL)
		admin_reply_error(reply, "the lease book cannot be used: %s", problem);
	return problem == NULL;
}

void madcapd_ask(void *context, const char *verb, const char *argument, struct admin_reply *reply)
{
	static const struct {
		const char *name;
		bool needs_argument;
		void (*ask)(struct madcapd *daemon, const char *argument,
			    struct admin_reply *reply);
	} verbs[] = {
		{ "scopes", false, ask_scopes },   { "leases", false, ask_leases },
		{ "release", true, ask_release },  { "pending", false, ask_pending },
		{ "approve", true, ask_approve },  { "deny", true, ask_deny },
		{ "metrics", false, ask_metrics },
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verb, verbs[i].name) != 0)
			continue;
		if (verbs[i].needs_argument && argument == NULL)
			admin_reply_error(reply, "%s needs an argument", verb);
		else if (verbs[i].ask == ask_metrics || is_current(context, reply))
			verbs[i].ask(context, argument, reply);
		return;
	}
	admin_reply_error(reply, "unknown verb '%s'", verb);
}
