/* SPDX-License-Identifier: MIT */
/*
 * admin_socket.h - madcapd's side of admin_client.h: a few connections at a time, each with one
 * line in and one line out, none of which ever waits. Long answers are made piece by piece, as the
 * other side takes them, so that a million leases need no memory and datagrams do not wait.
 */
#ifndef RASIP_ADMIN_SOCKET_H
#define RASIP_ADMIN_SOCKET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin_client.h"
#include "error.h"

#define ADMIN_CONNECTIONS 8

/* An answer while it is made. */
struct admin_reply {
	char *text; /* what is to be sent next */
	size_t length, room;
	bool failed; /* no memory: the connection is cut */

	/* For long answers. more() is called again and again until it returns false. */
	bool (*more)(void *context, struct admin_reply *reply);
	uint64_t at;
	bool is_first;
};

/* Appends. */
void admin_reply_add(struct admin_reply *reply, const char *text);
void admin_reply_json(struct admin_reply *reply, const json_t *value);

/* The whole answer: steals the result, or says what is wrong. */
void admin_reply_result(struct admin_reply *reply, json_t *result);
void admin_reply_error(struct admin_reply *reply, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct admin_service {
	/* Answers, or fills in reply->more. `argument` is NULL if there is none. */
	void (*ask)(void *context, const char *verb, const char *argument,
		    struct admin_reply *reply);
	void *context;
};

struct admin_socket;

/* Listens in state_dir, which the caller has to himself: a socket left behind there is replaced. 0,
 * POOL_E_SYSTEM or POOL_E_NO_MEMORY. */
int admin_socket_open(const char *state_dir, const struct admin_service *service,
		      struct admin_socket **ret, struct error *error)
	__attribute__((warn_unused_result));
void admin_socket_close(struct admin_socket **admin); /* and removes it */

/* At most ADMIN_CONNECTIONS + 1 entries. */
size_t admin_socket_poll(const struct admin_socket *admin, struct pollfd *fds);

/* False, with the reason, when connections can no longer be accepted; once, until they can be again.
 * Those who connect wait, and a second later the next one is tried. */
bool admin_socket_serve(struct admin_socket *admin, struct error *error);

#endif
