/* SPDX-License-Identifier: MIT */
/*
 * tool.h - what the verbs of rasip(8) share. A verb is a `struct verb` in a file of its own;
 * rasip.c has the table of them, parses the command line by it, and makes the help from it.
 */
#ifndef RASIP_TOOL_H
#define RASIP_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "config.h"
#include "parse.h"
#include "pool.h"
#include "version.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* ---- verbs ---------------------------------------------------------------------------------- */

enum option_id {
	OPTION_POOL,
	OPTION_USER,
	OPTION_PORT,
	OPTION_ADDRESS,
	OPTION_CANDIDATE,
	OPTION_ALL,
	OPTION_DEAD,
	OPTION_TIMEOUT,
	OPTION_INTERVAL,
	OPTION_SINCE,
	OPTION_UNTIL,
	OPTION_AT,
	OPTION_COUNT
};

struct verb_option {
	enum option_id id;
	const char *name;  /* without the dashes; NULL ends a table */
	const char *value; /* what stands for the value in the help; NULL: a switch */
	const char *help;
	bool required;
};

struct invocation {
	const struct verb *verb;
	const char *config_path;
	bool json;
	const char *option[OPTION_COUNT]; /* NULL: not given; a switch: "" */
	const char *argument;             /* NULL: not given */
};

struct verb {
	const char *name;
	const char
		*argument; /* what stands for it in the help; NULL: takes none; in []: optional */
	const char *brief; /* one line */
	const char *text;  /* the rest of `rasip help VERB`, lines of at most 78 columns */
	const struct verb_option *options;               /* or NULL */
	bool json;                                       /* understands --json */
	int (*run)(const struct invocation *invocation); /* returns an exit status */
};

extern const struct verb verb_check, verb_pools, verb_leases, verb_explain, verb_release,
	verb_reclaim, verb_history, verb_metrics, verb_watch;

/* ---- complaints, all of them on standard error, as one line that nothing in it can break ---- */

/* "rasip: ..."; returns EXIT_FAILED. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "rasip VERB: ..." and where to find help; returns EXIT_USAGE. */
int complain_usage(const struct verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Every mistake on a line of its own, as compilers write them, for editors to jump to. */
void complain_config(const struct config_errors *errors);

/* Says so and exits. */
void out_of_memory(void) __attribute__((noreturn));

/* Checked malloc(3) and friends, for a program that can do nothing better than end. */
void *must_alloc(void *ptr, size_t n, size_t size) __attribute__((warn_unused_result));
char *must_copy(const char *text) __attribute__((warn_unused_result));

/* `items` with room for one more than n; *room says for how many there is. */
void *must_grow(void *items, size_t n, size_t *room, size_t size)
	__attribute__((warn_unused_result));

/* ---- configuration and pool ----------------------------------------------------------------- */

struct view {
	struct config *config;
	struct pool *pool;
};

/* Loads the configuration and opens the pool; complains and returns EXIT_FAILED, or returns 0. */
int view_open(struct view *view, const struct invocation *invocation, const struct pool_env *env);
void view_close(struct view *view);

/* How many processors this process may use, at least 1: for pool_env's threads. */
unsigned int processors(void);

/* As view_open, without complaints: the first mistake is in *why. Returns a pool_code. */
int view_try(struct view *view, const char *config_path, struct error *why);

/* The figures of every pool, to be freed. As pool_stats. */
int stats_read(const struct view *view, struct pool_stats **ret, struct error *why);

/* No pool is called `name`, and which one may have been meant. Returns EXIT_FAILED. */
int complain_no_pool(const struct config *config, const char *name);

/* The value of an option that is an address, into *ret_be; absent is 0. Complains; EXIT_USAGE. */
int option_address(const struct invocation *invocation, enum option_id id, uint32_t *ret_be);

/*
 * The value of an option that is a time: RFC 3339, @SECONDS, or how long ago. *ret_sec stays as it
 * is where the option is absent. Complains; EXIT_USAGE.
 */
int option_time(const struct invocation *invocation, enum option_id id, int64_t *ret_sec);

/*
 * Whether pppd will be able to load a module. If not, the problem in words; *ret_certain is false
 * where only pppd can tell.
 */
bool module_check(const struct config_module *module, struct error *ret_problem, bool *ret_certain);

/*
 * Whether process `pid` holds the lease of `addr`. seen_ms: when it was last known to be the one,
 * for where /proc does not tell.
 */
bool is_holder(pid_t pid, const char *runtime_dir, uint32_t addr, int64_t seen_ms);

/* ---- kept: a walk holds a snapshot of the store, so nothing is printed during one ------------ */

/* Copies of texts, one behind the other, each known by where it begins; "" by 0. A listing is kept as
 * small as it goes: fresh memory takes longer than what is written into it. */
struct texts {
	char *bytes;
	size_t len, room;
};

static inline const char *text_at(const struct texts *texts, uint32_t at)
{
	return at != 0 ? texts->bytes + at : "";
}

/* A lease, as far as it is listed. */
struct kept {
	uint64_t id;
	int64_t since_sec, expires_sec;
	uint32_t addr_be, group_be;
	uint32_t pool, user, port, server; /* texts */
	pid_t pid;
	enum pool_state state : 8;
	bool asked : 1; /* whether its owner is dead */
	bool dead : 1;
};

struct kept_list {
	struct kept *records;
	size_t n, room;
	struct texts texts;
};

/* As pool_walk, with a filter, into a list; no store yet is an empty list, and *ret_unused, if not NULL, true. */
int kept_walk(struct kept_list *list, struct pool *pool, const struct pool_filter *filter,
	      bool *ret_unused, struct error *why);
/* Asks for the owners of the active ones. Returns a pool_code. */
int kept_find_dead(struct kept_list *list, struct pool *pool, struct error *why);
void kept_done(struct kept_list *list);

struct kept_past {
	int64_t time_sec, granted_sec;
	uint32_t addr_be;
	uint32_t pool, user, port, module, text; /* texts */
	pid_t pid;
	enum pool_event_kind kind : 8;
	enum pool_how how : 8;
};

struct past_list {
	struct kept_past *events;
	size_t n, room;
	struct texts texts;
	int64_t oldest_sec; /* of all that were looked at, kept or not; 0: none */
};

struct past_filter {
	uint32_t addr_be;      /* 0: any */
	const char *user_glob; /* NULL: any */
	int64_t since_sec, until_sec;
};

/* As pool_history, into a list; no history yet is an empty list. */
int past_read(struct past_list *list, struct pool *pool, const struct past_filter *filter,
	      struct error *why);
/* The newest n events, and maybe others before them. */
int past_read_newest(struct past_list *list, struct pool *pool, size_t n, struct error *why);
struct pool_past past_event(const struct past_list *list, size_t i);
void past_done(struct past_list *list);

/* ---- events --------------------------------------------------------------------------------- */

/* The event in one word, the same as in the log: "grant". */
const char *event_name(enum pool_event_kind kind);

bool event_has_user(enum pool_event_kind kind);

/* What else there is to say of it: "the address this user had", "after 2h 5m". */
const char *event_detail(const struct pool_past *past, char *buf, size_t size);

/* "2h 5m", "3d 4h", "12s". */
const char *format_span(int64_t sec, char *buf, size_t size);

struct who_had {
	struct pool *pool;
	uint32_t addr_be; /* 0: any */
	const char *user_glob;
	int64_t at_sec;
};

/* Prints who had which address at a time. Returns an exit status. */
int who_had_print(const struct who_had *question, bool json);

/* ---- text ----------------------------------------------------------------------------------- */

/* Room for any user, port or pool name, escaped. */
#define TEXT_SIZE (4 * POOL_USER_MAX + 1)

/*
 * For tables: printable ASCII without blanks stays as it is, every other byte becomes \xHH, and so
 * does a backslash that would look like one of those. "" becomes `empty`. Cut if buf is too small.
 */
const char *text_plain(const char *text, const char *empty, char *buf, size_t size);

/*
 * For JSON: valid UTF-8 stays as it is, except that a backslash that looks like the beginning of \xHH
 * becomes \x5c; other bytes become \xHH. With `oneline`, for messages: control characters become
 * \xHH too, and backslashes stay, as a message may quote what has been escaped before.
 */
const char *text_utf8(const char *text, bool oneline, char *buf, size_t size);

/* Whether a string of JSON has the text as it is, and how long it is then. */
bool text_is_plain_json(const char *text, size_t *ret_length);

const char *state_name(enum pool_state state);
const char *how_sentence(enum pool_how how); /* "the address this user had" */

/* "1 lease", "2 leases": plural_s(n) is "" or "s". */
const char *plural_s(uint64_t n);

/* ---- tables --------------------------------------------------------------------------------- */

#define TABLE_COLUMNS 12

/* A text, and how long it is: in a listing of hundreds of thousands of rows, counting is felt. */
struct cell {
	const char *text;
	size_t length;
};

static inline struct cell cell_of(const char *text)
{
	return (struct cell){ text, strlen(text) };
}

/* What a column's cell was made of last, for the next row most often has the same. Begins as zeros. */
struct plain_cell {
	const char *of; /* has not changed since, for as long as rows are made */
	struct cell cell;
	char escaped[TEXT_SIZE];
};

struct time_cell {
	int64_t of_sec;
	struct cell cell;
	char text[TIME_TEXT_SIZE];
};

struct number_cell {
	char digits[NUMBER_TEXT_SIZE];
};

/* As text_plain. */
struct cell cell_plain(struct plain_cell *cell, const char *text, const char *empty);
struct cell cell_time(struct time_cell *cell, int64_t unix_sec);
/* measure: only the length is wanted. */
struct cell cell_number(struct number_cell *cell, uint64_t number, bool measure);
/* "-" for 0. */
struct cell cell_address(char buf[static IP4_TEXT_SIZE], uint32_t addr_be, bool measure);
/* As text_utf8 on one line, in buf only where something has to be changed. */
struct cell cell_sentence(const char *text, char *buf, size_t size);

struct table {
	const char *title[TABLE_COLUMNS]; /* up to the first NULL */
	bool right[TABLE_COLUMNS];        /* aligned to the right */
	bool hidden[TABLE_COLUMNS];
	size_t width[TABLE_COLUMNS];
};

void table_measure_titles(struct table *table);
void table_measure(struct table *table, const struct cell *cells);
size_t table_width(const struct table *table);
void table_titles(const struct table *table, FILE *out);
void table_row(const struct table *table, FILE *out, const struct cell *cells);

/*
 * All of a table, on standard output: the titles and n rows, the i-th of which `row` makes; twice,
 * once to be measured and once to be printed, so that a listing of any length needs no memory of its
 * own. measure: the row will not be printed, so the last column, which nothing stands behind, may be
 * left out. `row` is called by several threads, each with a copy of the context.
 */
void table_print(struct table *table, size_t n,
		 const struct cell *(*row)(void *context, size_t i, bool measure), void *context,
		 size_t context_size);

/* Begins as zeros. */
struct past_text {
	struct time_cell time;
	char address[IP4_TEXT_SIZE];
	struct plain_cell pool, user, port;
	char raw[512], detail[4 * 512];
	struct cell cells[TABLE_COLUMNS];
};

#define PAST_TITLES "TIME", "EVENT", "ADDRESS", "POOL", "USER", "PORT", "DETAIL"

/* An event's row under PAST_TITLES. measure: as in table_print. */
const struct cell *past_cells(const struct pool_past *past, bool measure, struct past_text *text);

/* ---- terminal ------------------------------------------------------------------------------- */

#define PIPE_COLUMNS 80

/* The width to format for: COLUMNS, else the terminal's, else PIPE_COLUMNS. */
int terminal_columns(void);
bool terminal_has_colours(void);

/* One line per pool, with titles. columns: the width to fill. */
void pools_print(FILE *out, const struct pool_stats *stats, size_t n, int columns, bool colours);

/* ---- JSON ----------------------------------------------------------------------------------- */

/* In ASCII, with \uXXXX for the rest: jansson would leave in names what a terminal obeys. */
#define JSON_STYLE (JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII)

json_t *json_text(const char *text);         /* as text_utf8 */
json_t *json_text_or_null(const char *text); /* null for "" or NULL */
json_t *json_address(uint32_t addr_be);      /* null for 0 */
json_t *json_count(uint64_t count);

/* json_object_set_new() that cannot fail. */
void json_put(json_t *object, const char *key, json_t *value);
void json_append(json_t *array, json_t *value);

/* Prints and frees. */
void json_print(json_t *value);

/* One of the configuration's rules: "/etc/rasip/rasip.conf:41: user "alice" gets pool office". */
const char *rule_sentence(const struct config *config, const struct config_rule *rule, char *buf,
			  size_t size);
json_t *rule_json(const struct config *config, const struct config_rule *rule);

#endif
