/* SPDX-License-Identifier: MIT */
/* request, renew, release. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lease_file.h"
#include "madcap_tool.h"
#include "parse.h"

#define LEASE_SEC_MAX ((int64_t)UINT32_MAX)

/* ---- output ---------------------------------------------------------------------------------- */

static int print_json(const struct madcap_lease *lease)
{
	char *text = NULL;

	if (madcap_lease_to_json(lease, &text) != 0)
		return tool_fail("out of memory");
	puts(text);
	free(text);
	return EXIT_DONE;
}

static int print_lease(const struct tool_call *call, const struct madcap_lease *lease)
{
	const char *server = madcap_lease_server(lease);
	char start[TIME_TEXT_SIZE], stop[TIME_TEXT_SIZE];
	char id_text[OCTETS_TEXT_SIZE(MADCAP_REQUEST_ID_MAX)];
	const uint8_t *id;
	unsigned int ttl;
	size_t size = 0;

	if (tool_has(call, TOOL_JSON))
		return print_json(lease);
	for (size_t i = 0; i < madcap_lease_count(lease); i++)
		printf("%s\n", madcap_lease_address(lease, i));
	printf("from %s until %s\n", format_time(madcap_lease_start(lease), start),
	       format_time(madcap_lease_stop(lease), stop));
	printf("scope %s", madcap_lease_scope(lease));
	if (madcap_lease_ttl(lease, &ttl) == 0)
		printf(", TTL %u", ttl);
	id = madcap_lease_request_id(lease, &size);
	printf("\nserver %s\nrequest id %s\n", server[0] != '\0' ? server : "none, drawn here",
	       format_octets(id, size, id_text));
	return EXIT_DONE;
}

/* ---- wishes ---------------------------------------------------------------------------------- */

static bool read_times(const struct tool_call *call, struct madcap_wish *wish)
{
	if (!tool_duration(call, TOOL_LEASE, LEASE_SEC_MAX, &wish->seconds) ||
	    !tool_duration(call, TOOL_MIN_LEASE, LEASE_SEC_MAX, &wish->min_seconds) ||
	    !tool_time(call, TOOL_START, &wish->start) ||
	    !tool_time(call, TOOL_LATEST_START, &wish->latest_start))
		return false;
	if (tool_has(call, TOOL_LEASE) && wish->seconds == 0) {
		tool_usage(call->verb, "--lease: a lease has to last");
		return false;
	}
	return true;
}

static bool read_wish(const struct tool_call *call, struct madcap_wish *wish)
{
	if (!read_times(call, wish) ||
	    !tool_number(call, TOOL_COUNT, MADCAP_ADDRESSES_MAX, &wish->count) ||
	    !tool_number(call, TOOL_MIN, MADCAP_ADDRESSES_MAX, &wish->min_count))
		return false;
	wish->scope_id = tool_value(call, TOOL_SCOPE);
	if (tool_has(call, TOOL_ADDRESS)) {
		wish->addresses = call->values[TOOL_ADDRESS].text;
		wish->n_addresses = call->values[TOOL_ADDRESS].n;
	}
	return true;
}

/* ---- request --------------------------------------------------------------------------------- */

/* A lease that could not be kept afterwards had better not be asked for. */
static bool can_save(const char *path)
{
	struct error error = { "" };
	char *copy;
	bool can;

	if (lease_check_place(path, &error) < 0) {
		tool_fail("%s", error.text);
		return false;
	}
	copy = strdup(path);
	can = copy != NULL && access(dirname(copy), W_OK | X_OK) == 0;
	if (!can)
		tool_fail("%s: cannot write: %s", path, strerror(errno));
	free(copy);
	return can;
}

static int keep(const struct tool_call *call, struct madcap *m, const struct madcap_lease *lease)
{
	const char *path = tool_value(call, TOOL_SAVE);
	int status;

	if (path == NULL || madcap_lease_save(m, lease, path) == 0)
		return EXIT_DONE;
	status = tool_fail("%s; the lease is given back", madcap_error_text(m));
	if (madcap_release(m, lease) != 0)
		tool_fail("%s", madcap_error_text(m));
	return status;
}

static int run_request(const struct tool_call *call)
{
	struct madcap_wish wish = { .start = 0 };
	struct madcap_lease *lease = NULL;
	struct madcap *m = NULL;
	int status, code;

	if (!read_wish(call, &wish))
		return EXIT_USAGE;
	if (tool_has(call, TOOL_SAVE) && !can_save(tool_value(call, TOOL_SAVE)))
		return EXIT_FAILED;
	status = tool_open(call, &m);
	if (status != 0)
		return status;
	code = madcap_request(m, &wish, &lease);
	status = code != 0 ? tool_explain(call, m, code) : keep(call, m, lease);
	if (status == 0)
		status = print_lease(call, lease);
	madcap_lease_free(&lease);
	madcap_free(&m);
	return status;
}

const struct tool_verb tool_request = {
	.name = "request",
	.brief = "leases addresses",
	.text = "What is granted may be less than asked for: fewer addresses, down to --min, a\n"
		"shorter time, a later start. It is printed, and with --save kept in a file from\n"
		"which the lease can be renewed and released.\n",
	.options = TOOL_ASKING | TOOL_FINDING | TOOL_BIT(TOOL_SCOPE) | TOOL_BIT(TOOL_COUNT) |
		   TOOL_BIT(TOOL_MIN) | TOOL_BIT(TOOL_LEASE) | TOOL_BIT(TOOL_MIN_LEASE) |
		   TOOL_BIT(TOOL_START) | TOOL_BIT(TOOL_LATEST_START) | TOOL_BIT(TOOL_ADDRESS) |
		   TOOL_BIT(TOOL_SAVE) | TOOL_BIT(TOOL_WAIT) | TOOL_BIT(TOOL_JSON),
	.required = TOOL_BIT(TOOL_SCOPE),
	.run = run_request,
};

/* ---- renew ----------------------------------------------------------------------------------- */

/* The file is read before anything is sent, and tells the truth again afterwards. */
static int renew(const struct tool_call *call, struct madcap *m, const struct madcap_wish *wish)
{
	struct madcap_lease *lease = NULL, *renewed = NULL;
	int status = EXIT_DONE, code = madcap_lease_load(m, call->argument, &lease);

	if (code == 0)
		code = madcap_renew(m, lease, wish, &renewed);
	if (code != 0) {
		status = tool_explain(call, m, code);
	} else {
		status = print_lease(call, renewed);
		if (madcap_lease_save(m, renewed, call->argument) != 0)
			status = tool_fail("renewed, but %s", madcap_error_text(m));
	}
	madcap_lease_free(&lease);
	madcap_lease_free(&renewed);
	return status;
}

static int run_renew(const struct tool_call *call)
{
	struct madcap_wish wish = { .start = 0 };
	struct madcap *m = NULL;
	int status;

	if (!read_times(call, &wish))
		return EXIT_USAGE;
	status = tool_open(call, &m);
	if (status == 0)
		status = renew(call, m, &wish);
	madcap_free(&m);
	return status;
}

const struct tool_verb tool_renew = {
	.name = "renew",
	.argument = "FILE",
	.brief = "renews the lease in FILE, at the server that granted it",
	.text = "The lease time counts from --start, or from now. FILE is written anew. Where the\n"
		"server shares its leases with others, those are asked when it does not answer,\n"
		"in the order of --server.\n",
	.options = TOOL_ASKING | TOOL_BIT(TOOL_SERVER) | TOOL_BIT(TOOL_LEASE) |
		   TOOL_BIT(TOOL_MIN_LEASE) | TOOL_BIT(TOOL_START) | TOOL_BIT(TOOL_LATEST_START) |
		   TOOL_BIT(TOOL_WAIT) | TOOL_BIT(TOOL_INTERFACE) | TOOL_BIT(TOOL_JSON),
	.run = run_renew,
};

/* ---- release --------------------------------------------------------------------------------- */

static int release_file(const struct tool_call *call, struct madcap *m)
{
	struct madcap_lease *lease = NULL;
	int code = madcap_lease_load(m, call->argument, &lease);

	if (code == 0)
		code = madcap_release(m, lease);
	madcap_lease_free(&lease);
	return code;
}

static int release_id(const struct tool_call *call, struct madcap *m)
{
	struct madcap_client_id id = { .size = 0 };

	(void)lease_parse_id(tool_value(call, TOOL_REQUEST_ID), &id);
	return madcap_release_id(m, id.bytes, id.size, tool_value(call, TOOL_SERVER));
}

static int check_release(const struct tool_call *call)
{
	const char *text = tool_value(call, TOOL_REQUEST_ID);
	struct madcap_client_id id;

	if ((call->argument != NULL) == (text != NULL))
		return tool_usage(call->verb, "either FILE or --request-id says which lease");
	if (text != NULL && !lease_parse_id(text, &id))
		return tool_usage(call->verb,
				  "--request-id: 1 to 255 octets, two hexadecimal digits each");
	if (text != NULL && call->values[TOOL_SERVER].n != 1)
		return tool_usage(call->verb, "--request-id needs one --server, which granted it");
	return 0;
}

static int run_release(const struct tool_call *call)
{
	struct madcap *m = NULL;
	int status = check_release(call), code;

	if (status == 0)
		status = tool_open(call, &m);
	if (status != 0)
		return status;
	code = call->argument != NULL ? release_file(call, m) : release_id(call, m);
	if (code != 0)
		status = tool_explain(call, m, code);
	madcap_free(&m);
	return status;
}

const struct tool_verb tool_release = {
	.name = "release",
	.argument = "[FILE]",
	.brief = "ends a lease as a whole",
	.text = "The lease is the one in FILE, which stays where it is, or the one that\n"
		"--request-id names, at --server. Of a FILE, the server that granted it is asked\n"
		"and, where that one shares its leases with others, those of --server after it.\n",
	.options = TOOL_ASKING | TOOL_BIT(TOOL_SERVER) | TOOL_BIT(TOOL_REQUEST_ID) |
		   TOOL_BIT(TOOL_IPV6) | TOOL_BIT(TOOL_INTERFACE),
	.run = run_release,
};
