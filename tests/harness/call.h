/* SPDX-License-Identifier: MIT */
/*
 * call.h - a command line of ras-harness, parsed.
 *
 * A line is a verb, for most verbs a session's name, and KEY=value or bare KEY fields, all split
 * at blanks; \xHH in a field is one byte. The harness parses every line, to answer mistakes
 * itself, and the session parses it again.
 */
#ifndef HARNESS_CALL_H
#define HARNESS_CALL_H

#include <stddef.h>
#include <stdint.h>

#define CALL_FIELD_MAX 1024
#define CALL_LIST_MAX 8
#define CALL_LINE_MAX 16384

enum call_verb {
	VERB_CONNECT,
	VERB_RENEGOTIATE,
	VERB_RELOGIN,
	VERB_RECONNECT,
	VERB_DROP,
	VERB_SHOW,
	VERB_DETACH,
	VERB_DISCONNECT,
	VERB_KILL,
	VERB_SIGNAL,
	VERB_GONE,
	VERB_WAIT,
	VERB_STORM,
};

enum call_how { HOW_TERMINATE, HOW_HANGUP, HOW_EXIT };

struct call {
	enum call_verb verb;
	char name[CALL_FIELD_MAX]; /* of the session */
	char user[CALL_FIELD_MAX];
	int has_user;
	char port[128];     /* "": pppd knows no device */
	uint32_t candidate; /* addresses in network byte order, 0: none */
	uint32_t asks;
	uint32_t local;
	int insists; /* the peer refuses every NAK of its address */
	int noauth;
	int ipcp_fail; /* the peer never speaks IPCP */
	int joins;     /* the link joins another process's multilink bundle */
	int wrong_secret;
	int brief; /* storm: short answers, no notices in the log */
	enum call_how how;
	int signal;
	double seconds;
	unsigned long sessions;
	unsigned long parallel;
	char options[CALL_LIST_MAX][CALL_FIELD_MAX]; /* of this user, from the secrets file */
	size_t n_options;
	char allowed[CALL_LIST_MAX][32]; /* the addresses of the user's secret */
	size_t n_allowed;
};

/* Parses a line. Returns 0, or -1 with words in `why`. */
int call_parse(const char *line, struct call *ret, char *why, size_t why_size);

/* A line with nothing in it, or a comment. */
int call_is_blank(const char *line);

/* A growing piece of JSON text in a caller's buffer; too much text is cut and leaves it invalid. */
struct json {
	char *text;
	size_t size;
	size_t length;
};

void json_begin(struct json *json, char *text, size_t size);
void json_string(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, double value);
void json_raw(struct json *json, const char *key, const char *value);
void json_end(struct json *json);

#endif
