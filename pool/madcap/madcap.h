/* SPDX-License-Identifier: MIT */
/*
 * madcap.h - leases of multicast addresses for programs: the interface of libmadcap.
 *
 * A program asks which scopes there are, leases addresses from one of them for some time, renews
 * and releases the lease. A MADCAP server (RFC 2730) on the network sees to it that nobody else
 * gets the same addresses. Or, where the program says so, addresses are drawn at random on this
 * machine and no server is asked; that is a switch, never a fallback (madcap_set_local).
 *
 *	struct madcap *m = NULL;
 *	struct madcap_scopes *scopes = NULL;
 *	struct madcap_lease *lease = NULL;
 *	int code = madcap_new(MADCAP_API_VERSION, &m);
 *
 *	if (code == 0)
 *		code = madcap_start(m);
 *	if (code == 0)
 *		code = madcap_scopes_get(m, &scopes);
 *	if (code == 0)
 *		code = madcap_request(m, &(struct madcap_wish){
 *			.scope = madcap_scopes_at(scopes, 0) }, &lease);
 *	if (code == 0)
 *		printf("%s until %lld\n", madcap_lease_address(lease, 0),
 *		       (long long)madcap_lease_stop(lease));
 *	else
 *		fprintf(stderr, "%s\n", madcap_error_text(m));
 *	madcap_lease_free(&lease);
 *	madcap_scopes_free(&scopes);
 *	madcap_free(&m);
 *
 * Objects. Everything that a function gives out in its last parameter belongs to the caller, who
 * frees it with the function for its kind; those take the pointer's address, accept NULL in it, and
 * leave NULL in it. Scopes and leases live on without the handle that they came from. Text that a
 * function returns belongs to the object it was asked of. Results are written only on success.
 *
 * Errors. Functions that can fail return 0 or one of the negative codes of enum madcap_code. The
 * last failure of a handle is there in words: madcap_error_text(). The library writes nothing to
 * standard error and never ends the process.
 *
 * Blocking. madcap_scopes_get, madcap_request, madcap_renew and madcap_release wait for a server,
 * never longer than madcap_set_timeout says; where a server asks to come back later, and
 * madcap_set_retry allows it, also for that. Everything else returns at once.
 *
 * Threads. One handle, and one object, is for one thread at a time. There is no global state.
 *
 * Forks. A handle belongs to the process that started it: in a child, it is not started
 * (MADCAP_E_NOT_STARTED) until the child calls madcap_start itself. Other objects are memory only.
 *
 * Units. Times are seconds since 1970, UTC, up to 2106; lengths of time are seconds, but the
 * timeout is milliseconds. Addresses are text: "239.192.0.7", "ff15::8000:1". Servers are text as
 * well: "192.0.2.1", "192.0.2.1:2535", "2001:db8::1", "[2001:db8::1]:2535".
 *
 * Names and numbers of sections are those of RFC 2730; a request id is its Lease Identifier (2.4).
 *
 * Whoever knows a lease's request id can renew and release the lease: keep lease files private.
 */
#ifndef MADCAP_H
#define MADCAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* The version of this interface; madcap_new() is told which one the program was compiled for. */
#define MADCAP_API_VERSION 1

#define MADCAP_PORT 2535           /* where servers listen */
#define MADCAP_ADDRESSES_MAX 65535 /* in one lease */
#define MADCAP_REQUEST_ID_MAX 255  /* octets; leases made here have 17 */

/* Why something did not work. 0 is success. */
enum madcap_code {
	MADCAP_E_POINTER = -1, /* NULL where something has to be: the caller's mistake */
	MADCAP_E_NO_MEMORY = -2,
	MADCAP_E_NO_SCOPES = -3,   /* a server answered, and it has no scopes */
	MADCAP_E_ARGUMENT = -4,    /* can never be right: stop before start, no such address ... */
	MADCAP_E_NOT_STARTED = -5, /* madcap_start was not called, or not in this process */
	MADCAP_E_VERSION = -6,     /* the library does not know the program's MADCAP_API_VERSION */
	MADCAP_E_TIMED_OUT = -7,   /* no server has answered in time */
	MADCAP_E_REFUSED = -8,     /* a server has said no: madcap_refusal_code() */
	MADCAP_E_DAMAGED = -9,     /* a lease file, or JSON text, that is none */
	MADCAP_E_SYSTEM = -10,     /* a system call failed: socket, file */
	MADCAP_E_PENDING = -11, /* the server was still busy with it at the end of madcap_set_retry;
	                               the request has been withdrawn */
	MADCAP_E_NO_TTL = -12,  /* this lease has no TTL */
};

struct madcap;
struct madcap_scopes;
struct madcap_scope;
struct madcap_cursor;
struct madcap_lease;

/* A code in a few words; static storage; "unknown error" for any other number. */
const char *madcap_strerror(int code);

/* ---- the handle ------------------------------------------------------------------------------ */

/*
 * A handle, to be freed by madcap_free(). version: MADCAP_API_VERSION. Errors: E_POINTER,
 * E_VERSION, E_NO_MEMORY.
 */
int madcap_new(unsigned int version, struct madcap **ret);

/* Stops and frees. */
void madcap_free(struct madcap **m);

/*
 * Settings; they hold from the next call on. All return E_POINTER for NULL, E_NO_MEMORY, and
 * E_ARGUMENT, with the reason in words, for what can never be right.
 *
 * madcap_add_server      Requests go to the servers added, in this order, until one grants. Without
 *                        any, servers are found by multicast. At most 16.
 * madcap_set_interface   The interface for multicast, by name; NULL: the system's choice.
 * madcap_set_group       The server group that multicasts go to, "ADDRESS" or "ADDRESS:PORT". NULL,
 *                        the default: that of IPv4 Local Scope or IPv6's SCOP 3 (2.10).
 * madcap_set_family      AF_INET (the default) or AF_INET6: which servers are found by multicast,
 *                        and of which family the scopes are that madcap_scopes_get asks for.
 * madcap_set_language    RFC 1766 tag: one name for each scope, in that language if there is one
 *                        (3.9). NULL, the default: the server's choice.
 * madcap_set_timeout     Milliseconds for one call, all servers and tries together. Default: 60000
 *                        for each server.
 * madcap_set_tries       How often one server is asked, 1 to 100. Default: 4, after 4, 8 and 16 s
 *                        as RFC 2730 recommends (2.3); with a shorter timeout, the delays shrink as
 *                        well.
 * madcap_set_retry       Seconds for which a server's "come back later" is followed (2.13.2);
 *                        0, the default: servers are not told that we would.
 * madcap_set_local       1: every address is drawn at random on this machine, no server is ever
 *                        asked and no packet sent; two machines may draw the same. 0: servers.
 */
int madcap_add_server(struct madcap *m, const char *server);
int madcap_set_interface(struct madcap *m, const char *name);
int madcap_set_group(struct madcap *m, const char *group);
int madcap_set_family(struct madcap *m, int family);
int madcap_set_language(struct madcap *m, const char *tag);
int madcap_set_timeout(struct madcap *m, int64_t ms);
int madcap_set_tries(struct madcap *m, unsigned int tries);
int madcap_set_retry(struct madcap *m, int64_t seconds);
int madcap_set_local(struct madcap *m, int local);

/*
 * Makes the handle ready: to be called before scopes are asked for and leases taken. Needs no
 * server yet. Once more is no error. Errors: E_POINTER, E_SYSTEM (no random numbers).
 */
int madcap_start(struct madcap *m);

/* The opposite. NULL is ignored. */
void madcap_stop(struct madcap *m);

/* The last failure of this handle as one line, "" if there was none. */
const char *madcap_error_text(const struct madcap *m);

/* The error code of RFC 2730, 3.17, of the last refusal by a server, or -1. */
int madcap_refusal_code(const struct madcap *m);

/* "Lease Identifier Not Recognized" and so on. */
const char *madcap_refusal_name(uint16_t code);

/* ---- scopes ---------------------------------------------------------------------------------- */

/*
 * The scopes that the first server to answer has, or, found by multicast, those of all servers that
 * answered (2.2.1): a collection, to be freed by madcap_scopes_free(). Blocks. Errors: E_POINTER,
 * E_NOT_STARTED, E_NO_SCOPES, E_TIMED_OUT, E_REFUSED, E_SYSTEM, E_NO_MEMORY.
 */
int madcap_scopes_get(struct madcap *m, struct madcap_scopes **ret);
void madcap_scopes_free(struct madcap_scopes **scopes);

/* 0 for NULL; and NULL where there is no such one. A scope belongs to its collection. */
size_t madcap_scopes_count(const struct madcap_scopes *scopes);
const struct madcap_scope *madcap_scopes_at(const struct madcap_scopes *scopes, size_t i);

/*
 * A cursor over a collection, which has to outlive it. next: up to n scopes into `scopes`, how many
 * in *ret_n; fewer than n, also 0, at the end. skip: returns how many were passed over. clone: a
 * second cursor at the same place. Errors: E_POINTER, E_NO_MEMORY.
 */
int madcap_cursor_new(const struct madcap_scopes *scopes, struct madcap_cursor **ret);
int madcap_cursor_next(struct madcap_cursor *cursor, size_t n, const struct madcap_scope **scopes,
		       size_t *ret_n);
size_t madcap_cursor_skip(struct madcap_cursor *cursor, size_t n);
void madcap_cursor_reset(struct madcap_cursor *cursor);
int madcap_cursor_clone(const struct madcap_cursor *cursor, struct madcap_cursor **ret);
void madcap_cursor_free(struct madcap_cursor **cursor);

/*
 * What a scope is. id and last: its first and last address. server: who told of it, "" for local
 * allocation; id and server together select it. interface: where it was learnt, "" if not known.
 * description: a name, "" if it has none. ttl: 0 to 255. NULL, and 0, for NULL.
 */
const char *madcap_scope_id(const struct madcap_scope *scope);
const char *madcap_scope_last(const struct madcap_scope *scope);
const char *madcap_scope_server(const struct madcap_scope *scope);
const char *madcap_scope_interface(const struct madcap_scope *scope);
const char *madcap_scope_description(const struct madcap_scope *scope);
unsigned int madcap_scope_ttl(const struct madcap_scope *scope);

/* All its names: the i-th one and its language tag; NULL where there is no such one. */
size_t madcap_scope_names(const struct madcap_scope *scope);
const char *madcap_scope_name(const struct madcap_scope *scope, size_t i);
const char *madcap_scope_name_language(const struct madcap_scope *scope, size_t i);

/* ---- leases ---------------------------------------------------------------------------------- */

/* What is wished for. Zero everywhere but in one of the first two is a good beginning. */
struct madcap_wish {
	const struct madcap_scope *scope; /* from a collection: the request goes to its server */
	const char *scope_id;             /* or, where that is NULL, the scope's first address */
	int64_t start;                    /* 0: now */
	int64_t stop;                     /* behind start; or: */
	int64_t seconds;                  /* the lease's length; both 0: the server's default */
	int64_t latest_start;             /* 0: whenever it can be (3.16) */
	int64_t min_seconds;              /* a shorter lease will not do; 0: any (3.15) */
	unsigned int count;               /* how many addresses; 0: one */
	unsigned int min_count;           /* fewer will not do; 0: as `count` */
	const char *const *addresses;     /* only these will do; NULL: any (3.11) */
	size_t n_addresses;
};

/*
 * Leases addresses (2.2.2 to 2.2.5). What is granted may be less than wished for in every respect:
 * ask the lease. Each call makes a new request id. Blocks. Errors: E_POINTER, E_NOT_STARTED,
 * E_ARGUMENT, E_TIMED_OUT, E_REFUSED, E_PENDING, E_SYSTEM, E_NO_MEMORY.
 */
int madcap_request(struct madcap *m, const struct madcap_wish *wish, struct madcap_lease **ret);

/*
 * Renews (2.2.7), with the times of `wish`: start, stop or seconds, latest_start, min_seconds;
 * NULL: from now on, the server's default. Asks the server that granted the lease and, where that
 * one shares its leases with others (Server Mobility, 2.13.1), the servers added with
 * madcap_add_server, in their order, until one answers; else no other. Gives a new lease object;
 * the old one stays as it was. Blocks. Errors as madcap_request; E_ARGUMENT also where local
 * allocation is on and a server granted the lease. What was drawn on this machine is renewed here,
 * whatever the switch says.
 */
int madcap_renew(struct madcap *m, const struct madcap_lease *lease, const struct madcap_wish *wish,
		 struct madcap_lease **ret);

/*
 * Ends the lease as a whole (2.2.8), at the same servers; the object is still the caller's to free.
 * Blocks. Errors as madcap_renew. A server that does not know the lease any more refuses (error 3).
 */
int madcap_release(struct madcap *m, const struct madcap_lease *lease);

/* The same where no more is left of a lease than this. IPv6 leases: madcap_set_family first.
 * `size` is 1 to MADCAP_REQUEST_ID_MAX octets; E_ARGUMENT for others, and for a server that is
 * none. */
int madcap_release_id(struct madcap *m, const uint8_t *request_id, size_t size, const char *server);

/* The parts of a lease, for a later run of the program. */
struct madcap_lease_parts {
	const uint8_t *request_id;
	size_t request_id_size; /* 1 to 255 */
	const char *server;     /* NULL or "": drawn on this machine */
	const char *scope_id;
	int64_t start, stop;          /* stop behind start */
	const char *const *addresses; /* at least one */
	size_t n_addresses;
};

/*
 * A lease object from its parts, or from the JSON text that madcap_lease_to_json() makes. Local
 * operations: nobody is asked whether there is such a lease. m may be NULL; it gets the words.
 * Errors: E_POINTER, E_ARGUMENT (parts), E_DAMAGED (JSON), E_NO_MEMORY.
 */
int madcap_lease_new(struct madcap *m, const struct madcap_lease_parts *parts,
		     struct madcap_lease **ret);
int madcap_lease_from_json(struct madcap *m, const char *text, struct madcap_lease **ret);

/* JSON text, to be freed by free(3): see madcap(1) for its members. E_POINTER, E_NO_MEMORY. */
int madcap_lease_to_json(const struct madcap_lease *lease, char **ret);

/*
 * The same from and to a file. It is written beside its place, synced and renamed, with mode 0600,
 * so that there is the old one or the new one whatever happens. That its directory cannot be synced
 * is no error: the file is there. Errors: E_POINTER, E_SYSTEM, E_DAMAGED, E_NO_MEMORY.
 */
int madcap_lease_load(struct madcap *m, const char *path, struct madcap_lease **ret);
int madcap_lease_save(struct madcap *m, const struct madcap_lease *lease, const char *path);

void madcap_lease_free(struct madcap_lease **lease);

/*
 * What a lease is. server: "ADDRESS:PORT", "" (unspecified) if no server granted it. start, stop:
 * Unix seconds. ttl: E_NO_TTL if not known, as for a lease made of parts. NULL, 0 for NULL, or
 * where there is no such address.
 */
const uint8_t *madcap_lease_request_id(const struct madcap_lease *lease, size_t *ret_size);
const char *madcap_lease_server(const struct madcap_lease *lease);
const char *madcap_lease_scope(const struct madcap_lease *lease);
int64_t madcap_lease_start(const struct madcap_lease *lease);
int64_t madcap_lease_stop(const struct madcap_lease *lease);
size_t madcap_lease_count(const struct madcap_lease *lease);
const char *madcap_lease_address(const struct madcap_lease *lease, size_t i);
int madcap_lease_ttl(const struct madcap_lease *lease, unsigned int *ret_ttl);

/* An address for bind(2) or sendto(2), port 0. E_POINTER, E_ARGUMENT (no such address). */
int madcap_lease_sockaddr(const struct madcap_lease *lease, size_t i, struct sockaddr_storage *ret,
			  socklen_t *ret_size);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
