/* SPDX-License-Identifier: MIT */
/*
 * client.h - the client's side of MADCAP (RFC 2730) as a state machine without I/O.
 *
 * The model: a `struct madcap_client` carries one operation at a time: ask for the scopes, request,
 * renew, release. Whoever owns it passes in datagrams and the time, and takes out datagrams to be
 * sent and the time of the next call:
 *
 *	madcap_client_start(&client, &query, &servers, &now);
 *	for (;;) {
 *		while (madcap_client_output(&client, &out))
 *			... sendto(out.to, out.data, out.size) ...
 *		if (madcap_client_state(&client) >= MADCAP_CLIENT_DONE)
 *			break;
 *		... wait for a datagram or until madcap_client_deadline(&client) ...
 *		madcap_client_receive(&client, &from, data, size, &now)   or
 *		madcap_client_tick(&client, &now)
 *	}
 *
 * Nothing here blocks, reads a clock, draws random numbers or knows a socket; the same code serves
 * the blocking library, pppd's timers, and tests that play whole conversations in no time. Calls
 * for one client must not overlap; different clients have nothing to do with each other. A client
 * is memory and nothing else: after a fork each side has one, and only one of them may go on to
 * send.
 *
 * Servers are asked in the order given, each with a new xid, as often as `tries` says and with the
 * delays of RFC 2730, 2.3: 4, 8, 16 seconds, and 60 in all; where there is less time than that, the
 * delays are shorter in proportion. Without servers, and for what may be multicast, they are
 * discovered: offers are collected for the current retransmission delay after the first one, and
 * the best is taken (2.2.2). When `total_ms` is over, the operation has failed, whatever it was
 * doing.
 *
 * Numbers of sections are those of RFC 2730. Ports and counts are in host order; sizes are octets.
 */
#ifndef RASIP_MADCAP_CLIENT_H
#define RASIP_MADCAP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "error.h"
#include "message.h"
#include "proto.h"

#define MADCAP_CLIENT_ID_MAX 255     /* octets; those made here have 17 */
#define MADCAP_CLIENT_SERVERS_MAX 16 /* to be asked in order */
#define MADCAP_CLIENT_ANSWERS_MAX 16 /* offers, or lists of scopes, that are collected */
#define MADCAP_CLIENT_RANGES_MAX 256
#define MADCAP_CLIENT_FEATURES_MAX 4
#define MADCAP_CLIENT_LANGUAGE_MAX 63
#define MADCAP_CLIENT_MESSAGE_MAX 6144 /* octets: 256 ranges of IPv6 addresses, and the rest */
#define MADCAP_CLIENT_TRIES (MADCAP_RETRANSMIT_TRIES + 1) /* transmissions to one server (2.3) */
#define MADCAP_CLIENT_TRIES_MAX 100
#define MADCAP_CLIENT_TOTAL_MS (MADCAP_NO_RESPONSE_SEC * 1000)
#define MADCAP_CLIENT_NEVER INT64_MAX /* as a deadline */

struct madcap_client_id {
	uint8_t bytes[MADCAP_CLIENT_ID_MAX];
	size_t size;
};

/* Both clocks: the monotonic one runs the machine, the wall clock only stands in messages. */
struct madcap_now {
	int64_t ms;       /* monotonic */
	int64_t unix_sec; /* seconds since 1970 */
};

enum madcap_operation {
	MADCAP_GET_SCOPES,    /* GETINFO, 2.2.1 */
	MADCAP_REQUEST_LEASE, /* DISCOVER and REQUEST, 2.2.2 to 2.2.5 */
	MADCAP_RENEW_LEASE,   /* RENEW, 2.2.7 */
	MADCAP_RELEASE_LEASE, /* RELEASE, 2.2.8 */
};

/* What is wanted. Zero means: left out of the message, so that the server's default holds. */
struct madcap_query {
	enum madcap_operation operation;
	uint16_t family;             /* of all addresses but the server's: 1 or 2 */
	struct madcap_client_id id;  /* the lease's; for scopes any new one */
	struct madcap_address scope; /* request: the scope's first address */
	uint32_t lease_sec;          /* request, renew */
	uint32_t min_lease_sec;      /* request, renew: less will not do */
	uint32_t start_sec;          /* request, renew: Unix time */
	uint32_t max_start_sec;      /* request, renew: later will not do */
	uint16_t count, min_count;   /* request; 0 and 1 are one address; min_count 0 is count */
	const struct madcap_range *ranges; /* request: only these addresses will do; copied */
	size_t n_ranges;
	char language[MADCAP_CLIENT_LANGUAGE_MAX + 1]; /* scopes: of their names; "": all names */
	int64_t retry_ms; /* request, renew: for how long a server's "come back later" is followed
	                     (Retry After, 2.13.2); 0: servers are not told that we would */
	/* Feature codes (2.13); Retry After may not be among them. Of a renewal or release the servers
	 * behind the first one, which has granted the lease, are always required to share it. */
	uint16_t requested[MADCAP_CLIENT_FEATURES_MAX], required[MADCAP_CLIENT_FEATURES_MAX];
	size_t n_requested, n_required;
};

/* Who is asked, and for how long. */
struct madcap_servers {
	struct madcap_endpoint server[MADCAP_CLIENT_SERVERS_MAX]; /* in this order */
	size_t n;                     /* 0: discovery, for scopes and requests only */
	struct madcap_endpoint group; /* discovery goes to this server group (2.10) */
	int64_t total_ms;             /* 0: MADCAP_CLIENT_TOTAL_MS for each server */
	unsigned int tries;           /* 0: MADCAP_CLIENT_TRIES */
};

enum madcap_client_state {
	MADCAP_CLIENT_IDLE,     /* not started */
	MADCAP_CLIENT_ASKING,   /* unicast has gone out */
	MADCAP_CLIENT_FINDING,  /* multicast has gone out, nobody has answered yet */
	MADCAP_CLIENT_CHOOSING, /* offers or lists come in */
	MADCAP_CLIENT_TAKING,  /* the multicast REQUEST that names the chosen server has gone out */
	MADCAP_CLIENT_WAITING, /* the server has said "come back later" */
	MADCAP_CLIENT_DONE,    /* it worked: see the answers */
	MADCAP_CLIENT_FAILED,  /* see madcap_client_code() */
};

/* Why an operation failed; madcap_client_code(). 0 is success or not over yet. */
enum madcap_client_code {
	MADCAP_CLIENT_E_INVALID = -1, /* the query can never be right; nothing was sent */
	MADCAP_CLIENT_E_NO_MEMORY = -2,
	MADCAP_CLIENT_E_TIMED_OUT = -3, /* no server answered in time */
	MADCAP_CLIENT_E_REFUSED = -4,   /* a server said no: see madcap_client_refusal() */
	MADCAP_CLIENT_E_PENDING =
		-5, /* still "come back later" when retry_ms was over; the lease may
	                                   yet come to be, so it should be released */
};

/* A server's NAK. */
struct madcap_refusal {
	struct madcap_endpoint server; /* where it came from */
	uint16_t error;                /* RFC 2730, 3.17 */
	uint8_t extra[64];             /* what came with it, cut to this */
	size_t extra_size;
};

struct madcap_client_answer {
	struct madcap_endpoint from;
	uint8_t *data; /* one whole message that has been found in order */
	size_t size;
};

/* Opaque to users: nothing in it is to be read or written. */
struct madcap_client {
	enum madcap_client_state state;
	int code;
	struct madcap_query query;
	struct madcap_range ranges[MADCAP_CLIENT_RANGES_MAX]; /* the query's */
	struct madcap_servers servers;
	size_t server;  /* the one that is asked */
	bool elsewhere; /* it is not the first one */

	/* The message that is out, and how often it has been sent. */
	uint8_t message[MADCAP_CLIENT_MESSAGE_MAX];
	size_t message_size;
	uint8_t type;
	uint32_t xid; /* the next message's is one more */
	struct madcap_endpoint to;
	bool multicast;
	bool to_send; /* once more */
	unsigned int sent;
	int64_t sent_unix_sec; /* for the first time */

	int64_t first_ms;   /* the delay behind the first transmission */
	int64_t delay_ms;   /* the current retransmission delay */
	int64_t next_ms;    /* when something happens next */
	int64_t give_up_ms; /* no more waiting for an answer to this message */
	int64_t end_ms;     /* the operation's time is over */
	int64_t retry_end_ms;

	struct madcap_client_answer answers[MADCAP_CLIENT_ANSWERS_MAX];
	size_t n_answers;
	bool naming;                  /* the REQUEST names the server: */
	struct madcap_address chosen; /* this identifier */
	struct madcap_endpoint peer;  /* the server that it is all about */
	size_t others;                /* offers that were not taken */
	struct madcap_address
		passed_over[MADCAP_CLIENT_ANSWERS_MAX]; /* did not keep their offers */
	size_t n_passed_over;
	struct madcap_endpoint silent[MADCAP_CLIENT_SERVERS_MAX];
	size_t n_silent;
	bool was_refused;
	size_t n_refusals;
	struct madcap_refusal refusal;
	uint32_t retry_unix_sec;
};

/* first_xid: random (2.1.4). The client counts it up, also from one operation to the next. */
void madcap_client_init(struct madcap_client *client, uint32_t first_xid);

/* Frees what it holds. To be called once, also if nothing was started. */
void madcap_client_done(struct madcap_client *client);

/* A new lease identifier of 17 octets from 16 random ones (2.4.1; CL-2). */
void madcap_client_id_make(struct madcap_client_id *ret, const uint8_t random[16]);

/*
 * Whether servers may be looked for in this group: a multicast address, and not of the global
 * scope (2.11): in 239.0.0.0/8, or below SCOP E.
 */
bool madcap_client_is_group(const struct madcap_address *address);

/*
 * Begins an operation; whatever went on before is forgotten. Copies all it is given. 0, or
 * MADCAP_CLIENT_E_INVALID with the reason in `error`, or MADCAP_CLIENT_E_NO_MEMORY; the state is
 * then FAILED.
 */
int madcap_client_start(struct madcap_client *client, const struct madcap_query *query,
			const struct madcap_servers *servers, const struct madcap_now *now,
			struct error *error);

struct madcap_output {
	struct madcap_endpoint to;
	bool multicast;      /* TTL at most 16; from the configured interface */
	const uint8_t *data; /* the client's, until its next call */
	size_t size;
};

/* The datagram to be sent now, once: false if there is none. */
bool madcap_client_output(struct madcap_client *client, struct madcap_output *ret);

/*
 * A datagram has come in. What does not belong to the operation, or is in any way not as it has to
 * be, changes nothing (2.5, 2.6). Returns whether it was of use.
 */
bool madcap_client_receive(struct madcap_client *client, const struct madcap_endpoint *from,
			   const uint8_t *data, size_t size, const struct madcap_now *now);

/* Time has passed; harmless before the deadline. */
void madcap_client_tick(struct madcap_client *client, const struct madcap_now *now);

/* When madcap_client_tick() is due, on the monotonic clock, or MADCAP_CLIENT_NEVER. */
int64_t madcap_client_deadline(const struct madcap_client *client);

enum madcap_client_state madcap_client_state(const struct madcap_client *client);
int madcap_client_code(const struct madcap_client *client);

/* In state DONE: how many answers there are (one, except for scopes), and each of them. */
size_t madcap_client_n_answers(const struct madcap_client *client);
const struct madcap_client_answer *madcap_client_answer(const struct madcap_client *client,
							size_t i);

/* The newest refusal, or NULL; also where another server said yes afterwards. */
const struct madcap_refusal *madcap_client_refusal(const struct madcap_client *client);

/* Whether it is the newest refusal's reason that a valid request cannot be completed, for this option's
 * sake (3.17.1). */
bool madcap_client_refused_for(const struct madcap_client *client, enum madcap_option option);

/* Whether every server that was asked said no, and none was silent; how many did. */
bool madcap_client_all_refused(const struct madcap_client *client);
size_t madcap_client_n_refusals(const struct madcap_client *client);

/* In state WAITING, or after E_PENDING: the server's Retry Time, on its clock. */
uint32_t madcap_client_retry_time(const struct madcap_client *client);

/* The server that the operation has come to: which answered, or has the request pending. */
const struct madcap_endpoint *madcap_client_peer(const struct madcap_client *client);

/*
 * The servers that were sent a REQUEST and have not answered it: each may have granted it all the
 * same, and deserves a release.
 */
size_t madcap_client_n_silent(const struct madcap_client *client);
const struct madcap_endpoint *madcap_client_silent(const struct madcap_client *client, size_t i);

/* What a server's ACK to a REQUEST or RENEW says. */
struct madcap_grant {
	struct madcap_endpoint server; /* where to renew and release */
	struct madcap_address server_id;
	struct madcap_address scope;
	int64_t start_sec; /* Unix time; that of the first try where the server names none, since its
	                      clock may have started then */
	int64_t end_sec;
	int64_t begins_in_sec; /* when it starts, by the server's own clock; below 0 in the past, 0 also
	                          where the server names no start */
	struct madcap_range *ranges; /* to be freed by madcap_grant_done() */
	size_t n_ranges;
	uint32_t count; /* addresses in them */
	bool mobile;    /* Server Mobility was used (2.13.1) */
};

/* In state DONE, after a request or a renewal. 0 or MADCAP_CLIENT_E_NO_MEMORY. */
int madcap_client_grant(const struct madcap_client *client, struct madcap_grant *ret);
void madcap_grant_done(struct madcap_grant *grant);

/* madcap_error_name(), or for other numbers "experimental error", "unknown error". */
const char *madcap_client_error_name(uint16_t error);

/*
 * Why an operation failed, as one line: the refusal, or who has not answered, with `errnum` as the
 * reason where sending failed (0: it did not). Returns buf.
 */
#define MADCAP_FAILURE_TEXT_SIZE 400
char *madcap_client_failure(const struct madcap_client *client, int errnum, char *buf, size_t size);

/* The whole refusal as one line: name, blamed option, the server's time. Returns buf. */
#define MADCAP_REFUSAL_TEXT_SIZE 256
char *madcap_refusal_text(const struct madcap_refusal *refusal, char *buf, size_t size);

#endif
