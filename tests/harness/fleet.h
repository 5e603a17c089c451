/* SPDX-License-Identifier: MIT */
/*
 * fleet.h - the harness's view of its sessions: one process each, spoken to over a socket.
 *
 * The harness forks sessions before it has loaded any plugin, and adopts the children of those
 * that detach (it is their subreaper), so that every session's end can be waited for.
 */
#ifndef HARNESS_FLEET_H
#define HARNESS_FLEET_H

#include <stdint.h>
#include <sys/types.h>

#include "side.h"

struct session {
	struct session *next;
	char name[CALL_FIELD_MAX];
	pid_t pid;
	int fd;
	int unit;
	int exit_status; /* as from waitpid */
	int is_gone;
	int is_ready;     /* storm: it has loaded the plugin */
	uint32_t address; /* while it is up, as last heard */
};

struct reply {
	char result[32];
	int pid;
	uint32_t address;
	unsigned choose_us;
	char json[CALL_LINE_MAX];
};

struct fleet {
	struct side_config config; /* of the sessions to be started */
	struct session *sessions;  /* named ones */
	struct session *spare;     /* loaded, waiting for its first call */
	double limit;              /* seconds that a session may take to answer or to end */
};

/* Starts a session process. NULL if the system refuses. */
struct session *fleet_start(struct fleet *fleet);
/* Puts a new session under a name. */
void fleet_add(struct fleet *fleet, struct session *session, const char *name);
struct session *fleet_find(const struct fleet *fleet, const char *name);
void fleet_remove(struct fleet *fleet, struct session *session);

void session_free(struct session *session);
int session_send(const struct session *session, const char *line);
/* Waits for an answer. Returns 0, or -1 if the session ended (it is then gone) or is stuck. */
int session_receive(struct fleet *fleet, struct session *session, struct reply *reply);
/* One answer that is there already: 1; the session's end: 0; nothing yet: -1. */
int session_poll(struct session *session, struct reply *reply);
/* Waits for the process's end; one that takes too long is killed: -1. */
int session_wait(struct fleet *fleet, struct session *session);
/* How it ended, in words. */
void session_describe_end(const struct session *session, char *text, size_t size);

double fleet_now(void);

#endif
