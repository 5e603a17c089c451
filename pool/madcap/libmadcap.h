/* SPDX-License-Identifier: MIT */
/*
 * libmadcap.h - what the library's sources share; madcap.h is what programs see.
 */
#ifndef RASIP_LIBMADCAP_H
#define RASIP_LIBMADCAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client.h"
#include "error.h"
#include "lease_file.h"

/* madcap.h has names of its own for two numbers of proto.h. */
#include "madcap.h"

struct madcap {
	bool started;
	pid_t pid; /* that started it */
	struct madcap_client client;
	unsigned int interface_of[MADCAP_CLIENT_ANSWERS_MAX]; /* where each answer came in */

	struct madcap_endpoint servers[MADCAP_CLIENT_SERVERS_MAX];
	size_t n_servers;
	struct madcap_endpoint group; /* family 0: the default */
	char interface[IF_NAMESIZE];  /* "": the system's choice */
	uint16_t family;
	char language[MADCAP_CLIENT_LANGUAGE_MAX + 1];
	int64_t timeout_ms;
	unsigned int tries;
	int64_t retry_sec;
	bool local;

	/* Requests that a server has not answered, and may have granted; of the last call. */
	struct madcap_client_id unheard[MADCAP_CLIENT_SERVERS_MAX];
	size_t n_unheard;

	struct error error;
	int refusal; /* RFC 2730's error code, or -1 */
};

#define SCOPE_TEXT_SIZE 256 /* a length octet's worth, and the NUL */

struct scope_name {
	char language[SCOPE_TEXT_SIZE];
	char name[SCOPE_TEXT_SIZE];
	bool is_default;
};

struct madcap_scope {
	struct madcap_address first, last;
	char id_text[MADCAP_ADDRESS_TEXT];
	char last_text[MADCAP_ADDRESS_TEXT];
	char server[MADCAP_ENDPOINT_TEXT];
	char interface[IF_NAMESIZE];
	unsigned int ttl;
	struct scope_name *names;
	size_t n_names;
};

struct madcap_scopes {
	struct madcap_scope *scopes;
	size_t n;
};

/* ---- libmadcap.c ----------------------------------------------------------------------------- */

/* Notes why and returns the code. m may be NULL. */
int fail_with(struct madcap *m, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* 0 and no error so far; E_NOT_STARTED if it is not for use in this process. */
int check_started(struct madcap *m);

/* Seconds since 1970. */
int64_t wall_clock(void);

/* Fills `size` octets; false if the system has none. */
bool random_bytes(void *buf, size_t size);

/* Where servers are looked for: the configured group, or the Local Scope's, whatever the scope of a
 * request is (RFC 2730, 2.10 and 2.11). */
void server_group(const struct madcap *m, uint16_t family, struct madcap_servers *servers);

/* ---- exchange.c: one operation with servers, blocking ---------------------------------------- */

/* 0, E_TIMED_OUT, E_REFUSED, E_PENDING, E_ARGUMENT, E_SYSTEM, E_NO_MEMORY; m->client has the rest. */
int exchange(struct madcap *m, const struct madcap_query *query,
	     const struct madcap_servers *servers);

/* Sends a release once and does not wait: the server may have granted what it did not answer. Of `granted`
 * it is the identifier, the family and what is required that count. */
void release_unheard(struct madcap *m, const struct madcap_query *granted,
		     const struct madcap_endpoint *server);

/* ---- scopes.c -------------------------------------------------------------------------------- */

/* The scopes in the answers of m->client. */
int scopes_from_answers(struct madcap *m, struct madcap_scopes **ret);

/* A collection of n empty scopes, or NULL. */
struct madcap_scopes *scopes_alloc(size_t n);

/* Into scope->names, which has room for it. */
void scope_add_name(struct madcap_scope *scope, const struct madcap_scope_name *name);

/* ---- local_allocation.c: no server, no packet (MC-1) ----------------------------------------- */

int local_scopes(struct madcap *m, struct madcap_scopes **ret);
int local_request(struct madcap *m, const struct madcap_query *query, int ttl,
		  struct madcap_lease **ret);

#endif
