/* SPDX-License-Identifier: MIT */
/*
 * tool_admin.c - `madcap admin VERB`, for the operator of a madcapd on this host. madcapd makes
 * JSON of what it knows; here it becomes tables, or stays JSON.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "admin_client.h"
#include "array.h"
#include "nearest.h"
#include "server_config.h"
#include "utf8.h"

#define COLUMNS_MAX 8
#define CELL_SIZE 1024

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* A column shows the member `key` of each record. */
struct column {
	const char *title;
	const char *key;
	bool right;
};

struct admin_verb {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *brief;
	const char *nothing; /* what an empty list says; NULL: the answer is no list */
	struct column columns[COLUMNS_MAX];
	void (*print)(const json_t *result); /* where it is no list */
};

static void print_text(const json_t *result);
static void print_ended(const json_t *result);
static void print_decided(const json_t *result);

static const struct admin_verb verbs[] = {
	{ "scopes",
	  NULL,
	  "the scopes, and how full they are",
	  "no scopes",
	  { { "SCOPE", "first", false },
	    { "LAST", "last", false },
	    { "TTL", "ttl", true },
	    { "SIZE", "size", true },
	    { "LEASED", "leased", true },
	    { "FREE", "free", true },
	    { "NAME", "name", false } },
	  NULL },
	{ "leases",
	  NULL,
	  "the leases",
	  "no leases",
	  { { "ADDRESSES", "addresses", false },
	    { "SCOPE", "scope", false },
	    { "STATE", "state", false },
	    { "START", "start", false },
	    { "END", "end", false },
	    { "CLIENT", "client", false },
	    { "REQUEST-ID", "request_id", false } },
	  NULL },
	{ "release",
	  "REQUEST-ID|ADDRESS",
	  "ends a lease, as its client could",
	  NULL,
	  { { 0 } },
	  print_ended },
	{ "pending",
	  NULL,
	  "the requests that wait for approve or deny",
	  "nothing is pending",
	  { { "REQUEST-ID", "request_id", false },
	    { "SCOPE", "scope", false },
	    { "COUNT", "count", true },
	    { "STATE", "state", false },
	    { "SINCE", "since", false },
	    { "CLIENT", "client", false } },
	  NULL },
	{ "approve",
	  "REQUEST-ID",
	  "lets a pending request have its addresses",
	  NULL,
	  { { 0 } },
	  print_decided },
	{ "deny", "REQUEST-ID", "refuses a pending request", NULL, { { 0 } }, print_decided },
	{ "metrics", NULL, "counters, in Prometheus text format", NULL, { { 0 } }, print_text },
};

/* ---- command line ------------------------------------------------------------------------ */

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int usage(const char *format, ...)
{
	va_list args;

	fputs("madcap admin: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see 'madcap admin --help'\n", stderr);
	return EXIT_USAGE;
}

static void help(void)
{
	char buf[64];

	printf("usage: madcap admin [-c FILE] VERB [--json]\n\n"
	       "Looks after the madcapd that runs on this host.\n\nverbs:\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		snprintf(buf, sizeof(buf), "%s%s%s", verbs[i].name, verbs[i].argument ? " " : "",
			 verbs[i].argument ? verbs[i].argument : "");
		printf("  %-28s %s\n", buf, verbs[i].brief);
	}
	printf("\noptions, before or after the verb:\n"
	       "  %-28s madcapd's configuration; default: %s\n"
	       "  %-28s prints JSON, for programs\n"
	       "  %-28s explains, and does nothing else\n",
	       "-c FILE", SERVER_CONFIG_DEFAULT_PATH, "--json", "-h, --help");
}

struct admin_line {
	const struct admin_verb *verb;
	const char *argument;
	const char *config_path;
	bool json;
	bool help;
};

static int find_verb(const char *name, const struct admin_verb **ret)
{
	const char *names[ARRAY_SIZE(verbs)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		names[i] = verbs[i].name;
		if (strcmp(name, names[i]) == 0) {
			*ret = &verbs[i];
			return EXIT_DONE;
		}
	}
	near = nearest_word(name, names, ARRAY_SIZE(names));
	if (near != NULL)
		return usage("unknown verb '%s'; did you mean '%s'?", name, near);
	return usage("unknown verb '%s'", name);
}

static int take_word(struct admin_line *line, const char *word)
{
	if (line->verb == NULL)
		return find_verb(word, &line->verb);
	if (line->verb->argument == NULL)
		return usage("%s takes no argument: '%s'", line->verb->name, word);
	if (line->argument != NULL)
		return usage("%s takes one argument: '%s'", line->verb->name, word);
	line->argument = word;
	return EXIT_DONE;
}

static int parse_line(struct admin_line *line, int argc, char **argv)
{
	int status = EXIT_DONE;

	for (int i = 1; i < argc && status == EXIT_DONE; i++) {
		const char *word = argv[i];

		if (strcmp(word, "-c") == 0) {
			if (++i == argc)
				return usage("-c needs a FILE");
			line->config_path = argv[i];
		} else if (strncmp(word, "-c", 2) == 0) {
			line->config_path = word + 2;
		} else if (strcmp(word, "--json") == 0) {
			line->json = true;
		} else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
			line->help = true;
		} else if (word[0] == '-') {
			return usage("unknown option '%s'", word);
		} else {
			status = take_word(line, word);
		}
	}
	if (status != EXIT_DONE || line->help)
		return status;
	if (line->verb == NULL)
		return usage("which verb?");
	if (line->verb->argument != NULL && line->argument == NULL)
		return usage("%s needs %s", line->verb->name, line->verb->argument);
	return EXIT_DONE;
}

/* ---- printing ---------------------------------------------------------------------------- */

/* Text from a stranger must not reach the terminal as it is. */
static const char *cell(const json_t *value, char *buf, size_t size)
{
	char text[CELL_SIZE];
	size_t more = 0;

	if (json_is_array(value) && json_array_size(value) > 0) {
		more = json_array_size(value) - 1;
		value = json_array_get(value, 0);
	}
	if (json_is_integer(value))
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (!json_is_string(value) || json_string_length(value) == 0)
		snprintf(buf, size, "-");
	else if (more > 0)
		snprintf(buf, size, "%s +%zu",
			 utf8_show(json_string_value(value), text, sizeof(text) - 32), more);
	else
		utf8_show(json_string_value(value), buf, size);
	return buf;
}

static void print_cells(const struct admin_verb *verb, const json_t *record, const int *widths)
{
	char buf[CELL_SIZE];

	for (size_t i = 0; i < COLUMNS_MAX && verb->columns[i].title != NULL; i++) {
		const struct column *column = &verb->columns[i];
		bool last = i + 1 == COLUMNS_MAX || verb->columns[i + 1].title == NULL;
		const char *text = record != NULL ? cell(json_object_get(record, column->key), buf,
							 sizeof(buf))
						  : column->title;

		if (last)
			printf("%s\n", text);
		else
			printf(column->right ? "%*s  " : "%-*s  ", widths[i], text);
	}
}

static void print_table(const struct admin_verb *verb, const json_t *list)
{
	int widths[COLUMNS_MAX] = { 0 };
	size_t n = json_array_size(list);
	char buf[CELL_SIZE];

	if (n == 0) {
		printf("%s\n", verb->nothing);
		return;
	}
	for (size_t i = 0; i < COLUMNS_MAX && verb->columns[i].title != NULL; i++) {
		widths[i] = (int)strlen(verb->columns[i].title);
		for (size_t j = 0; j < n; j++) {
			const json_t *value =
				json_object_get(json_array_get(list, j), verb->columns[i].key);
			int width = (int)strlen(cell(value, buf, sizeof(buf)));

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	print_cells(verb, NULL, widths);
	for (size_t j = 0; j < n; j++)
		print_cells(verb, json_array_get(list, j), widths);
}

static void print_text(const json_t *result)
{
	const char *text = json_string_value(json_object_get(result, "text"));

	fputs(text != NULL ? text : "", stdout);
}

static void print_ended(const json_t *result)
{
	char id[CELL_SIZE], addresses[CELL_SIZE];

	printf("released %s (%s)\n",
	       cell(json_object_get(result, "addresses"), addresses, sizeof(addresses)),
	       cell(json_object_get(result, "request_id"), id, sizeof(id)));
}

static void print_decided(const json_t *result)
{
	char id[CELL_SIZE], state[CELL_SIZE];

	printf("%s is %s; its client learns it when it asks again\n",
	       cell(json_object_get(result, "request_id"), id, sizeof(id)),
	       cell(json_object_get(result, "state"), state, sizeof(state)));
}

static void print_json(const struct admin_verb *verb, const json_t *result)
{
	/* The metrics' text is for Prometheus; JSON has the numbers. */
	const json_t *values = json_object_get(result, "values");

	if (verb->print == print_text && values != NULL)
		result = values;
	json_dumpf(result, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* ---- asking ------------------------------------------------------------------------------ */

static int ask(const struct admin_line *line, const char *state_dir)
{
	struct error error = { 0 };
	json_t *result;
	int code;

	code = admin_client_ask(state_dir, line->verb->name, line->argument, &result, &error);
	if (code < 0) {
		fprintf(stderr, "madcap admin: %s\n", error.text);
		return EXIT_FAILED;
	}
	if (line->json)
		print_json(line->verb, result);
	else if (line->verb->nothing != NULL)
		print_table(line->verb, result);
	else
		line->verb->print(result);
	json_decref(result);
	return EXIT_DONE;
}

int tool_admin(int argc, char **argv)
{
	struct admin_line line = { .config_path = SERVER_CONFIG_DEFAULT_PATH };
	struct server_config *config = NULL;
	struct config_errors errors;
	int status = parse_line(&line, argc, argv);
	int code;

	if (status != EXIT_DONE)
		return status;
	if (line.help || line.verb == NULL) {
		help();
		return EXIT_DONE;
	}
	code = server_config_load(line.config_path, &config, &errors);
	if (code < 0) {
		for (size_t i = 0; i < errors.n; i++)
			fprintf(stderr, "%s\n", errors.lines[i]);
		if (errors.n == 0)
			fprintf(stderr, "madcap admin: %s\n", pool_strerror(code));
		config_errors_done(&errors);
		return EXIT_FAILED;
	}
	status = ask(&line, config->state_dir);
	server_config_free(&config);
	return status;
}
