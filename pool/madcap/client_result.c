/* SPDX-License-Identifier: MIT */
/* What came out of a client's operation. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "endpoint.h"
#include "parse.h"

#define EXPERIMENTAL_FIRST 1024
#define EXPERIMENTAL_LAST 2047

size_t madcap_client_n_answers(const struct madcap_client *client)
{
	return client->state == MADCAP_CLIENT_DONE ? client->n_answers : 0;
}

const struct madcap_client_answer *madcap_client_answer(const struct madcap_client *client,
							size_t i)
{
	return i < madcap_client_n_answers(client) ? &client->answers[i] : NULL;
}

const struct madcap_refusal *madcap_client_refusal(const struct madcap_client *client)
{
	return client->was_refused ? &client->refusal : NULL;
}

bool madcap_client_refused_for(const struct madcap_client *client, enum madcap_option option)
{
	const struct madcap_refusal *refusal = &client->refusal;

	return client->code == MADCAP_CLIENT_E_REFUSED &&
	       refusal->error == MADCAP_ERR_NOT_COMPLETED && refusal->extra_size >= 2 &&
	       (refusal->extra[0] << 8 | refusal->extra[1]) == (int)option;
}

bool madcap_client_all_refused(const struct madcap_client *client)
{
	return client->code == MADCAP_CLIENT_E_REFUSED && client->n_refusals >= client->servers.n;
}

size_t madcap_client_n_refusals(const struct madcap_client *client)
{
	return client->n_refusals;
}

uint32_t madcap_client_retry_time(const struct madcap_client *client)
{
	return client->retry_unix_sec;
}

const struct madcap_endpoint *madcap_client_peer(const struct madcap_client *client)
{
	return &client->peer;
}

size_t madcap_client_n_silent(const struct madcap_client *client)
{
	return client->n_silent;
}

const struct madcap_endpoint *madcap_client_silent(const struct madcap_client *client, size_t i)
{
	return i < client->n_silent ? &client->silent[i] : NULL;
}

int madcap_client_grant(const struct madcap_client *client, struct madcap_grant *ret)
{
	const struct madcap_client_answer *answer = madcap_client_answer(client, 0);
	struct madcap_grant grant = { .server = client->peer };
	struct madcap_message message;
	size_t at = 0;

	if (answer == NULL || client->query.operation == MADCAP_GET_SCOPES ||
	    client->query.operation == MADCAP_RELEASE_LEASE)
		return MADCAP_CLIENT_E_INVALID;
	(void)madcap_message_decode(answer->data, answer->size, &message);
	grant.ranges = calloc(message.ranges.size / (madcap_family_size(message.family) + 2) + 1,
			      sizeof(*grant.ranges));
	if (grant.ranges == NULL)
		return MADCAP_CLIENT_E_NO_MEMORY;
	while (madcap_range_next(&message, &at, &grant.ranges[grant.n_ranges]))
		grant.count += grant.ranges[grant.n_ranges++].count;
	grant.server_id = message.server_id;
	grant.scope = message.scope;
	grant.start_sec = madcap_message_has(&message, MADCAP_OPT_START_TIME)
				  ? (int64_t)message.start_time
				  : client->sent_unix_sec;
	if (madcap_message_has(&message, MADCAP_OPT_START_TIME))
		grant.begins_in_sec = (int64_t)message.start_time - (int64_t)message.current_time;
	grant.end_sec = grant.start_sec + (int64_t)message.lease_time;
	if (grant.end_sec > (int64_t)UINT32_MAX)
		grant.end_sec = (int64_t)UINT32_MAX; /* the last moment that the protocol knows */
	grant.mobile = madcap_codes_has(message.features.required, MADCAP_FEATURE_SERVER_MOBILITY);
	*ret = grant;
	return 0;
}

void madcap_grant_done(struct madcap_grant *grant)
{
	free(grant->ranges);
	grant->ranges = NULL;
	grant->n_ranges = 0;
}

const char *madcap_client_error_name(uint16_t error)
{
	const char *name = madcap_error_name(error);

	if (name != NULL)
		return name;
	return error >= EXPERIMENTAL_FIRST && error <= EXPERIMENTAL_LAST ? "experimental error"
									 : "unknown error";
}

static void print_option(uint16_t option, char *buf, size_t size)
{
	const char *name = madcap_option_name(option);

	if (option == MADCAP_OPT_NONE)
		buf[0] = '\0';
	else if (name != NULL)
		snprintf(buf, size, ": %s", name);
	else
		snprintf(buf, size, ": option %u", option);
}

static void print_features(struct wire_reader *reader, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	while (used < size && reader->size - reader->at >= 2) {
		uint16_t code = wire_read_u16(reader);
		const char *name = madcap_feature_name(code);
		int n = name != NULL
				? snprintf(buf + used, size - used, "%s %s", used ? "," : ":", name)
				: snprintf(buf + used, size - used, "%s feature %u",
					   used ? "," : ":", code);

		used += n > 0 ? (size_t)n : size;
	}
}

char *madcap_refusal_text(const struct madcap_refusal *refusal, char *buf, size_t size)
{
	char extra[160] = "", time[TIME_TEXT_SIZE];
	struct wire_reader reader;

	wire_reader_init(&reader, refusal->extra, refusal->extra_size);
	if (refusal->error == MADCAP_ERR_NOT_COMPLETED ||
	    refusal->error == MADCAP_ERR_INVALID_REQUEST) {
		if (refusal->extra_size >= 2)
			print_option(wire_read_u16(&reader), extra, sizeof(extra));
	} else if (refusal->error == MADCAP_ERR_CLOCK_SKEW) {
		if (refusal->extra_size >= 4)
			snprintf(extra, sizeof(extra), ": the server's time is %s",
				 format_time(wire_read_u32(&reader), time));
	} else if (refusal->error == MADCAP_ERR_FEATURE_UNSUPPORTED) {
		print_features(&reader, extra, sizeof(extra));
	}
	if (madcap_error_name(refusal->error) != NULL)
		snprintf(buf, size, "%s%s", madcap_error_name(refusal->error), extra);
	else
		snprintf(buf, size, "%s %u", madcap_client_error_name(refusal->error),
			 refusal->error);
	return buf;
}

static void describe_silence(const struct madcap_client *client, const char *reason, char *buf,
			     size_t size)
{
	const struct madcap_servers *servers = &client->servers;
	const char *open = reason != NULL ? " (" : "", *close = reason != NULL ? ")" : "";
	char server[MADCAP_ENDPOINT_TEXT];

	if (reason == NULL)
		reason = "";
	if (servers->n == 1)
		snprintf(buf, size, "no answer from %s%s%s%s",
			 madcap_endpoint_format(&servers->server[0], server), open, reason, close);
	else if (servers->n > 1)
		snprintf(buf, size, "no answer from any of the servers");
	else
		snprintf(buf, size, "no server has answered at group %s%s%s%s",
			 madcap_endpoint_format(&servers->group, server), open, reason, close);
}

char *madcap_client_failure(const struct madcap_client *client, int errnum, char *buf, size_t size)
{
	char server[MADCAP_ENDPOINT_TEXT], text[MADCAP_REFUSAL_TEXT_SIZE];

	switch (client->code) {
	case MADCAP_CLIENT_E_REFUSED:
		snprintf(buf, size, "%s refuses: %s",
			 madcap_endpoint_format(&client->refusal.server, server),
			 madcap_refusal_text(&client->refusal, text, sizeof(text)));
		break;
	case MADCAP_CLIENT_E_TIMED_OUT:
		describe_silence(client, errnum != 0 ? strerror(errnum) : NULL, buf, size);
		break;
	case MADCAP_CLIENT_E_PENDING:
		snprintf(buf, size, "%s has not decided in time",
			 madcap_endpoint_format(&client->peer, server));
		break;
	case MADCAP_CLIENT_E_NO_MEMORY:
		snprintf(buf, size, "out of memory");
		break;
	default:
		snprintf(buf, size, "the request can never be right");
		break;
	}
	return buf;
}
