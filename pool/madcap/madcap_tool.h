/* SPDX-License-Identifier: MIT */
/*
 * madcap_tool.h - what the verbs of madcap(1) share. A verb is a `struct tool_verb`; madcap_tool.c
 * has the table of them, parses the command line by it, and makes the help from it.
 */
#ifndef RASIP_MADCAP_TOOL_H
#define RASIP_MADCAP_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "madcap.h"
#include "version.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum tool_option_id {
	TOOL_SERVER,
	TOOL_LANG,
	TOOL_SCOPE,
	TOOL_COUNT,
	TOOL_MIN,
	TOOL_LEASE,
	TOOL_MIN_LEASE,
	TOOL_START,
	TOOL_LATEST_START,
	TOOL_ADDRESS,
	TOOL_SAVE,
	TOOL_REQUEST_ID,
	TOOL_LOCAL,
	TOOL_IPV6,
	TOOL_INTERFACE,
	TOOL_GROUP,
	TOOL_TIMEOUT,
	TOOL_TRIES,
	TOOL_WAIT,
	TOOL_JSON,
	TOOL_OPTIONS
};

#define TOOL_BIT(id) (UINT32_C(1) << (id))

/* What every verb that speaks to servers understands. */
#define TOOL_ASKING (TOOL_BIT(TOOL_TIMEOUT) | TOOL_BIT(TOOL_TRIES) | TOOL_BIT(TOOL_LOCAL))
#define TOOL_FINDING (TOOL_BIT(TOOL_SERVER) | TOOL_BIT(TOOL_INTERFACE) | TOOL_BIT(TOOL_GROUP))

struct tool_values {
	const char **text; /* as many as the command line has words */
	size_t n;
};

struct tool_call {
	const struct tool_verb *verb;
	struct tool_values values[TOOL_OPTIONS]; /* n 0: not given; a switch: "" */
	const char *argument;                    /* NULL: not given */
};

struct tool_verb {
	const char *name;
	const char
		*argument; /* what stands for it in the help; NULL: takes none; in []: optional */
	const char *brief;
	const char *text;                         /* the rest of the help */
	uint32_t options;                         /* TOOL_BITs */
	uint32_t required;                        /* some of them */
	int (*run)(const struct tool_call *call); /* returns an exit status */
};

extern const struct tool_verb tool_scopes, tool_request, tool_renew, tool_release;

/* "madcap: ...", one line on standard error whatever is in it; returns EXIT_FAILED. */
int tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "madcap VERB: ..." and where to find help; returns EXIT_USAGE. */
int tool_usage(const struct tool_verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The last value of an option, or NULL; and whether it was given. */
const char *tool_value(const struct tool_call *call, enum tool_option_id id);
bool tool_has(const struct tool_call *call, enum tool_option_id id);

/* Values; 0 if not given. False after a complaint about wrong usage. */
bool tool_number(const struct tool_call *call, enum tool_option_id id, unsigned int max,
		 unsigned int *ret);
bool tool_duration(const struct tool_call *call, enum tool_option_id id, int64_t max,
		   int64_t *ret_sec);
bool tool_time(const struct tool_call *call, enum tool_option_id id, int64_t *ret_unix_sec);

/* A started handle with all settings from the command line; complains and returns an exit status,
 * or EXIT_DONE. */
int tool_open(const struct tool_call *call, struct madcap **ret);

/* Complains about what the library could not do; returns the exit status for it. */
int tool_explain(const struct tool_call *call, const struct madcap *m, int code);

#endif
