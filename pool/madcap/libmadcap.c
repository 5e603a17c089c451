/* SPDX-License-Identifier: MIT */
/* The library's handle: its settings and its errors. */
#include "libmadcap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

/* ---- errors ---------------------------------------------------------------------------------- */

const char *madcap_strerror(int code)
{
	switch (code) {
	case 0:
		return "success";
	case MADCAP_E_POINTER:
		return "a pointer is missing";
	case MADCAP_E_NO_MEMORY:
		return "out of memory";
	case MADCAP_E_NO_SCOPES:
		return "there are no scopes";
	case MADCAP_E_ARGUMENT:
		return "invalid argument";
	case MADCAP_E_NOT_STARTED:
		return "not started in this process";
	case MADCAP_E_VERSION:
		return "the version of the interface is not supported";
	case MADCAP_E_TIMED_OUT:
		return "no server has answered in time";
	case MADCAP_E_REFUSED:
		return "refused by the server";
	case MADCAP_E_DAMAGED:
		return "not a lease, or a damaged one";
	case MADCAP_E_SYSTEM:
		return "a system call failed";
	case MADCAP_E_PENDING:
		return "the server has not decided in time";
	case MADCAP_E_NO_TTL:
		return "the lease has no TTL";
	default:
		return "unknown error";
	}
}

int fail_with(struct madcap *m, int code, const char *format, ...)
{
	va_list args;

	if (m == NULL)
		return code;
	va_start(args, format);
	vsnprintf(m->error.text, sizeof(m->error.text), format, args);
	va_end(args);
	return code;
}

int check_started(struct madcap *m)
{
	m->error.text[0] = '\0';
	m->refusal = -1;
	if (!m->started)
		return fail_with(m, MADCAP_E_NOT_STARTED, "madcap_start was not called");
	if (m->pid != getpid())
		return fail_with(m, MADCAP_E_NOT_STARTED,
				 "madcap_start was called in another process");
	return 0;
}

const char *madcap_error_text(const struct madcap *m)
{
	return m != NULL ? m->error.text : "";
}

int madcap_refusal_code(const struct madcap *m)
{
	return m != NULL ? m->refusal : -1;
}

const char *madcap_refusal_name(uint16_t code)
{
	return madcap_client_error_name(code);
}

/* ---- where to ask ---------------------------------------------------------------------------- */

void server_group(const struct madcap *m, uint16_t family, struct madcap_servers *servers)
{
	servers->group = m->group;
	if (servers->group.address.family != 0)
		return;
	servers->group.address = madcap_local_group(family);
	servers->group.port = MADCAP_PORT;
}

/* ---- clocks and chance ----------------------------------------------------------------------- */

int64_t wall_clock(void)
{
	return (int64_t)time(NULL);
}

bool random_bytes(void *buf, size_t size)
{
	uint8_t *at = buf;

	while (size > 0) {
		ssize_t n = getrandom(at, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

/* ---- the handle ------------------------------------------------------------------------------ */

int madcap_new(unsigned int version, struct madcap **ret)
{
	struct madcap *m;

	if (ret == NULL)
		return MADCAP_E_POINTER;
	if (version != MADCAP_API_VERSION)
		return MADCAP_E_VERSION;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return MADCAP_E_NO_MEMORY;
	madcap_client_init(&m->client, 0);
	m->family = MADCAP_IPV4;
	m->refusal = -1;
	*ret = m;
	return 0;
}

void madcap_stop(struct madcap *m)
{
	if (m != NULL)
		m->started = false;
}

void madcap_free(struct madcap **m)
{
	if (m == NULL || *m == NULL)
		return;
	madcap_client_done(&(*m)->client);
	free(*m);
	*m = NULL;
}

int madcap_start(struct madcap *m)
{
	uint32_t xid;

	if (m == NULL)
		return MADCAP_E_POINTER;
	m->error.text[0] = '\0';
	if (m->started && m->pid == getpid())
		return 0;
	if (!random_bytes(&xid, sizeof(xid)))
		return fail_with(m, MADCAP_E_SYSTEM, "no random numbers: %s", strerror(errno));
	/* A child's xids differ from its parent's. */
	madcap_client_done(&m->client);
	madcap_client_init(&m->client, xid);
	m->started = true;
	m->pid = getpid();
	return 0;
}

/* ---- settings -------------------------------------------------------------------------------- */

int madcap_add_server(struct madcap *m, const char *server)
{
	struct madcap_endpoint endpoint;

	if (m == NULL || server == NULL)
		return MADCAP_E_POINTER;
	if (!madcap_endpoint_parse_host(server, &endpoint))
		return fail_with(m, MADCAP_E_ARGUMENT,
				 "'%s' is no server: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT",
				 server);
	if (m->n_servers == MADCAP_CLIENT_SERVERS_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "more than %d servers",
				 MADCAP_CLIENT_SERVERS_MAX);
	m->servers[m->n_servers++] = endpoint;
	return 0;
}

int madcap_set_interface(struct madcap *m, const char *name)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	if (name == NULL)
		name = "";
	if (strlen(name) >= sizeof(m->interface) || (name[0] != '\0' && if_nametoindex(name) == 0))
		return fail_with(m, MADCAP_E_ARGUMENT, "there is no interface '%s'", name);
	snprintf(m->interface, sizeof(m->interface), "%s", name);
	return 0;
}

int madcap_set_group(struct madcap *m, const char *group)
{
	struct madcap_endpoint endpoint = { .port = 0 };

	if (m == NULL)
		return MADCAP_E_POINTER;
	if (group != NULL && (!madcap_endpoint_parse(group, &endpoint) ||
			      !madcap_client_is_group(&endpoint.address)))
		return fail_with(m, MADCAP_E_ARGUMENT, "'%s' is no group below the global scope",
				 group);
	m->group = endpoint;
	if (group != NULL)
		m->family = endpoint.address.family;
	return 0;
}

int madcap_set_family(struct madcap *m, int family)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	if (family != AF_INET && family != AF_INET6)
		return fail_with(m, MADCAP_E_ARGUMENT, "the family is neither IPv4 nor IPv6");
	m->family = family == AF_INET6 ? MADCAP_IPV6 : MADCAP_IPV4;
	return 0;
}

int madcap_set_language(struct madcap *m, const char *tag)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	if (tag == NULL)
		tag = "";
	if (strlen(tag) >= sizeof(m->language))
		return fail_with(m, MADCAP_E_ARGUMENT, "the language tag is too long");
	for (const char *c = tag; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return fail_with(m, MADCAP_E_ARGUMENT,
					 "the language tag is none such as 'en' or 'pt-BR'");
	snprintf(m->language, sizeof(m->language), "%s", tag);
	return 0;
}

int madcap_set_timeout(struct madcap *m, int64_t ms)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	if (ms <= 0 || ms > INT64_C(86400000) * 366)
		return fail_with(m, MADCAP_E_ARGUMENT, "the timeout is not from 1 ms to a year");
	m->timeout_ms = ms;
	return 0;
}

int madcap_set_tries(struct madcap *m, unsigned int tries)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	if (tries < 1 || tries > MADCAP_CLIENT_TRIES_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "the number of tries is not from 1 to %d",
				 MADCAP_CLIENT_TRIES_MAX);
	m->tries = tries;
	return 0;
}

int madcap_set_retry(struct madcap *m, int64_t seconds)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	if (seconds < 0 || seconds > (int64_t)UINT32_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "no such time to wait for a server");
	m->retry_sec = seconds;
	return 0;
}

int madcap_set_local(struct madcap *m, int local)
{
	if (m == NULL)
		return MADCAP_E_POINTER;
	m->local = local != 0;
	return 0;
}
