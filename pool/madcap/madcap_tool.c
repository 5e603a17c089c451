/* SPDX-License-Identifier: MIT */
/*
 * madcap_tool.c - the command line of madcap(1): finds the verb, sorts the options by the table,
 * and makes every help text from the two. `madcap admin` has a command line of its own.
 */
#include "madcap_tool.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin_client.h"
#include "array.h"
#include "nearest.h"
#include "parse.h"
#include "standard.h"

static int run_help(const struct tool_call *call);

static const struct tool_verb tool_help = {
	.name = "help",
	.argument = "[VERB]",
	.brief = "explains a verb",
	.text = "",
	.run = run_help,
};

static const struct tool_verb tool_admin_verb = {
	.name = "admin",
	.brief = "for the operator of the madcapd on this host: madcap admin --help",
	.text = "",
};

static const struct tool_verb *const verbs[] = {
	&tool_scopes, &tool_request, &tool_renew, &tool_release, &tool_admin_verb, &tool_help,
};

struct option {
	const char *name;  /* without the dashes */
	const char *value; /* NULL: a switch */
	const char *help;
	bool many; /* may be given several times */
};

static const struct option options[TOOL_OPTIONS] = {
	[TOOL_SERVER] = { "server", "A[:PORT]",
			  "the server to ask; several are tried in order; none: by multicast",
			  true },
	[TOOL_LANG] = { "lang", "TAG", "one name a scope, in this language if there is one",
			false },
	[TOOL_SCOPE] = { "scope", "A", "the first address of the scope to lease from", false },
	[TOOL_COUNT] = { "count", "N", "how many addresses; default 1", false },
	[TOOL_MIN] = { "min", "N", "fewer will not do; default: as --count", false },
	[TOOL_LEASE] = { "lease", "DUR", "for how long: 30s, 5m, 1h, 30d; default: the server's",
			 false },
	[TOOL_MIN_LEASE] = { "min-lease", "DUR", "a shorter lease will not do", false },
	[TOOL_START] = { "start", "TIME", "2026-11-20T09:00:00Z or @SECONDS; default: now", false },
	[TOOL_LATEST_START] = { "latest-start", "TIME", "a later start will not do", false },
	[TOOL_ADDRESS] = { "address", "A", "only this address will do, or one of several", true },
	[TOOL_SAVE] = { "save", "FILE", "keeps the lease for a later run", false },
	[TOOL_REQUEST_ID] = { "request-id", "HEX", "the lease, where there is no file of it",
			      false },
	[TOOL_LOCAL] = { "local", NULL, "draws addresses at random here, asks no server", false },
	[TOOL_IPV6] = { "ipv6", NULL, "IPv6 scopes, or an IPv6 lease", false },
	[TOOL_INTERFACE] = { "interface", "NAME", "for multicast", false },
	[TOOL_GROUP] = { "group", "A[:PORT]", "the group to look for servers in", false },
	[TOOL_TIMEOUT] = { "timeout", "DUR", "for all servers and tries; default 60s a server",
			   false },
	[TOOL_TRIES] = { "tries", "N", "how often a server is asked; default 4", false },
	[TOOL_WAIT] = { "wait", "DUR",
			"how long to follow a server's \"come back later\"; default 1h, 0s: not",
			false },
	[TOOL_JSON] = { "json", NULL, "prints JSON, for programs", false },
};

struct command_line {
	int argc;
	char **argv;
	int next;
	bool options_over;
	bool help;
	bool version;
	struct tool_call call;
};

/* ---- complaints ------------------------------------------------------------------------------ */

/* What came from outside cannot end the line or move the cursor. */
static void print_line(const char *prefix, const char *verb, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void print_line(const char *prefix, const char *verb, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	for (char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "%s%s%s: %s\n", prefix, verb != NULL ? " " : "", verb != NULL ? verb : "",
		text);
}

int tool_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("madcap", NULL, format, args);
	va_end(args);
	return EXIT_FAILED;
}

int tool_usage(const struct tool_verb *verb, const char *format, ...)
{
	const char *name = verb != NULL ? verb->name : NULL;
	va_list args;

	va_start(args, format);
	print_line("madcap", name, format, args);
	va_end(args);
	fprintf(stderr, "Try 'madcap%s%s --help'.\n", name != NULL ? " " : "",
		name != NULL ? name : "");
	return EXIT_USAGE;
}

/* ---- help ------------------------------------------------------------------------------------ */

static void print_option(const char *name, const char *value, const char *help)
{
	char left[40];

	snprintf(left, sizeof(left), "%s%s%s", name, value != NULL ? " " : "",
		 value != NULL ? value : "");
	printf("  %-22s %s\n", left, help);
}

static void print_usage(void)
{
	printf("usage: madcap VERB [OPTION]...\n\n"
	       "Leases multicast addresses from MADCAP servers (RFC 2730).\n\nverbs:\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-10s %s\n", verbs[i]->name, verbs[i]->brief);
	printf("\nThe exit status is 0 if it was done, 1 if it could not be done, 2 for wrong "
	       "usage.\n'madcap VERB --help' explains a verb; madcap(1) says it all.\n");
}

static void print_verb_help(const struct tool_verb *verb)
{
	printf("usage: madcap %s%s%s [OPTION]...\n\n%s%s\noptions:\n", verb->name,
	       verb->argument != NULL ? " " : "", verb->argument != NULL ? verb->argument : "",
	       verb->text, verb->text[0] != '\0' ? "" : "Explains a verb.\n");
	for (size_t i = 0; i < TOOL_OPTIONS; i++) {
		char name[32];

		if ((verb->options & TOOL_BIT(i)) == 0)
			continue;
		snprintf(name, sizeof(name), "--%s", options[i].name);
		print_option(name, options[i].value, options[i].help);
	}
	print_option("-h, --help", NULL, "explains, and does nothing else");
}

static const struct tool_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int unknown_verb(const char *word)
{
	const char *names[ARRAY_SIZE(verbs)];
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i]->name;
	near = nearest_word(word, names, ARRAY_SIZE(names));
	if (near != NULL)
		return tool_usage(NULL, "unknown verb '%s'; did you mean '%s'?", word, near);
	return tool_usage(NULL, "unknown verb '%s'", word);
}

static int run_help(const struct tool_call *call)
{
	const struct tool_verb *verb;

	if (call->argument == NULL) {
		print_usage();
		return EXIT_DONE;
	}
	verb = find_verb(call->argument);
	if (verb == NULL)
		return unknown_verb(call->argument);
	if (verb == &tool_admin_verb) {
		char name[] = "admin", help[] = "--help";

		return tool_admin(2, (char *[]){ name, help, NULL });
	}
	print_verb_help(verb);
	return EXIT_DONE;
}

/* ---- the command line ------------------------------------------------------------------------ */

static int unknown_option(const struct tool_verb *verb, const char *word)
{
	const char *names[TOOL_OPTIONS + 1] = { NULL };
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < TOOL_OPTIONS; i++)
		if (verb == NULL || (verb->options & TOOL_BIT(i)) != 0)
			names[n++] = options[i].name;
	names[n++] = "help";
	near = nearest_word(word + strspn(word, "-"), names, n);
	if (near != NULL)
		return tool_usage(verb, "unknown option '%s'; did you mean '--%s'?", word, near);
	return tool_usage(verb, "unknown option '%s'", word);
}

/* The verb, wherever it stands: an option's value can look like one. */
static int set_option(struct command_line *line, enum tool_option_id id, const char *value)
{
	struct tool_values *values = &line->call.values[id];
	const struct tool_verb *verb = line->call.verb;
	const struct option *option = &options[id];

	if (option->value == NULL && value != NULL)
		return tool_usage(verb, "--%s takes no value", option->name);
	if (option->value != NULL && value == NULL) {
		if (line->next == line->argc)
			return tool_usage(verb, "--%s needs a value: %s", option->name,
					  option->value);
		value = line->argv[line->next++];
	}
	if (values->n > 0 && !option->many && option->value != NULL)
		return tool_usage(verb, "--%s is given twice", option->name);
	if (values->text == NULL)
		values->text = calloc((size_t)line->argc, sizeof(*values->text));
	if (values->text == NULL)
		return tool_fail("out of memory");
	values->text[values->n++] = value != NULL ? value : "";
	return 0;
}

static int parse_long(struct command_line *line, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals != NULL ? (size_t)(equals - word) - 2 : strlen(word) - 2;

	if (strcmp(word, "--help") == 0) {
		line->help = true;
		return 0;
	}
	if (strcmp(word, "--version") == 0) {
		line->version = true;
		return 0;
	}
	for (size_t i = 0; i < TOOL_OPTIONS; i++)
		if (strlen(options[i].name) == len && memcmp(options[i].name, word + 2, len) == 0 &&
		    (line->call.verb == NULL || (line->call.verb->options & TOOL_BIT(i)) != 0))
			return set_option(line, (enum tool_option_id)i,
					  equals != NULL ? equals + 1 : NULL);
	return unknown_option(line->call.verb, word);
}

static int parse_argument(struct command_line *line, const char *word)
{
	struct tool_call *call = &line->call;

	if (call->verb == NULL) {
		call->verb = find_verb(word);
		return call->verb == NULL ? unknown_verb(word) : 0;
	}
	if (call->verb->argument == NULL || call->argument != NULL)
		return tool_usage(call->verb, "'%s' is one word too many", word);
	call->argument = word;
	return 0;
}

static int parse_word(struct command_line *line)
{
	const char *word = line->argv[line->next++];

	if (line->options_over || word[0] != '-' || word[1] == '\0')
		return parse_argument(line, word);
	if (strcmp(word, "--") == 0) {
		line->options_over = true;
		return 0;
	}
	if (word[1] == '-')
		return parse_long(line, word);
	if (strcmp(word, "-h") == 0)
		line->help = true;
	else if (strcmp(word, "-V") == 0)
		line->version = true;
	else
		return unknown_option(line->call.verb, word);
	return 0;
}

static int check(const struct tool_call *call)
{
	const struct tool_verb *verb = call->verb;

	for (size_t i = 0; i < TOOL_OPTIONS; i++) {
		if (call->values[i].n > 0 && (verb->options & TOOL_BIT(i)) == 0)
			return tool_usage(verb, "there is no --%s here", options[i].name);
		if (call->values[i].n == 0 && (verb->required & TOOL_BIT(i)) != 0)
			return tool_usage(verb, "--%s is missing", options[i].name);
	}
	if (verb->argument != NULL && verb->argument[0] != '[' && call->argument == NULL)
		return tool_usage(verb, "%s is missing", verb->argument);
	return 0;
}

static int dispatch(struct command_line *line)
{
	int status = 0;

	while (status == 0 && line->next < line->argc) {
		status = parse_word(line);
		if (line->call.verb == &tool_admin_verb)
			return tool_admin(line->argc - line->next + 1, line->argv + line->next - 1);
	}
	if (status != 0)
		return status;
	if (line->version) {
		printf("madcap %s\n", RASIP_VERSION);
		return EXIT_DONE;
	}
	if (line->help) {
		if (line->call.verb == NULL || line->call.verb == &tool_help)
			print_usage();
		else
			print_verb_help(line->call.verb);
		return EXIT_DONE;
	}
	if (line->call.verb == NULL)
		return tool_usage(NULL, "a verb is missing");
	status = check(&line->call);
	return status != 0 ? status : line->call.verb->run(&line->call);
}

/* ---- values ---------------------------------------------------------------------------------- */

const char *tool_value(const struct tool_call *call, enum tool_option_id id)
{
	const struct tool_values *values = &call->values[id];

	return values->n > 0 ? values->text[values->n - 1] : NULL;
}

bool tool_has(const struct tool_call *call, enum tool_option_id id)
{
	return call->values[id].n > 0;
}

bool tool_number(const struct tool_call *call, enum tool_option_id id, unsigned int max,
		 unsigned int *ret)
{
	const char *text = tool_value(call, id);
	uint64_t number = 0;

	if (text != NULL && !parse_unsigned(text, 1, max, &number)) {
		tool_usage(call->verb, "--%s: '%s' is no number from 1 to %u", options[id].name,
			   text, max);
		return false;
	}
	*ret = (unsigned int)number;
	return true;
}

bool tool_duration(const struct tool_call *call, enum tool_option_id id, int64_t max,
		   int64_t *ret_sec)
{
	const char *text = tool_value(call, id);
	int64_t seconds = 0;

	if (text != NULL && (!parse_duration(text, &seconds) || seconds < 0)) {
		tool_usage(call->verb, "--%s: '%s' is no duration such as 30s, 5m, 1h or 30d",
			   options[id].name, text);
		return false;
	}
	*ret_sec = seconds > max ? max : seconds; /* "forever" is as long as can be */
	return true;
}

bool tool_time(const struct tool_call *call, enum tool_option_id id, int64_t *ret_unix_sec)
{
	const char *text = tool_value(call, id);
	int64_t seconds = 0;

	if (text != NULL &&
	    (!parse_time(text, &seconds) || seconds < 0 || seconds > (int64_t)UINT32_MAX)) {
		tool_usage(call->verb,
			   "--%s: '%s' is no time such as 2026-11-20T09:00:00Z or @1795165200",
			   options[id].name, text);
		return false;
	}
	*ret_unix_sec = seconds;
	return true;
}

/* ---- the library ----------------------------------------------------------------------------- */

int tool_explain(const struct tool_call *call, const struct madcap *m, int code)
{
	const char *text = madcap_error_text(m);

	if (text[0] == '\0')
		text = madcap_strerror(code);
	return code == MADCAP_E_ARGUMENT ? tool_usage(call->verb, "%s", text)
					 : tool_fail("%s", text);
}

static int set_times(const struct tool_call *call, struct madcap *m)
{
	int64_t timeout_sec, wait_sec;
	unsigned int tries;
	int code = 0;

	if (!tool_duration(call, TOOL_TIMEOUT, 86400 * 366, &timeout_sec) ||
	    !tool_duration(call, TOOL_WAIT, UINT32_MAX, &wait_sec) ||
	    !tool_number(call, TOOL_TRIES, 100, &tries))
		return EXIT_USAGE;
	if (tool_has(call, TOOL_TIMEOUT))
		code = madcap_set_timeout(m, timeout_sec * 1000);
	if (code == 0 && tries != 0)
		code = madcap_set_tries(m, tries);
	if (code == 0 && (call->verb->options & TOOL_BIT(TOOL_WAIT)) != 0)
		code = madcap_set_retry(m, tool_has(call, TOOL_WAIT) ? wait_sec : 3600);
	return code != 0 ? tool_explain(call, m, code) : 0;
}

static int set_places(const struct tool_call *call, struct madcap *m)
{
	const struct tool_values *servers = &call->values[TOOL_SERVER];
	int code = 0;

	for (size_t i = 0; i < servers->n && code == 0; i++)
		code = madcap_add_server(m, servers->text[i]);
	if (code == 0 && tool_has(call, TOOL_IPV6))
		code = madcap_set_family(m, AF_INET6);
	if (code == 0 && tool_has(call, TOOL_GROUP))
		code = madcap_set_group(m, tool_value(call, TOOL_GROUP));
	if (code == 0 && tool_has(call, TOOL_LANG))
		code = madcap_set_language(m, tool_value(call, TOOL_LANG));
	if (code == 0)
		code = madcap_set_local(m, tool_has(call, TOOL_LOCAL));
	if (code != 0)
		return tool_explain(call, m, code);
	if (tool_has(call, TOOL_INTERFACE) &&
	    madcap_set_interface(m, tool_value(call, TOOL_INTERFACE)) != 0)
		return tool_fail("%s", madcap_error_text(m)); /* tomorrow there may be one */
	return 0;
}

int tool_open(const struct tool_call *call, struct madcap **ret)
{
	struct madcap *m = NULL;
	int code = madcap_new(MADCAP_API_VERSION, &m), status;

	if (code != 0)
		return tool_fail("%s", madcap_strerror(code));
	status = set_times(call, m);
	if (status == 0)
		status = set_places(call, m);
	if (status == 0) {
		code = madcap_start(m);
		status = code != 0 ? tool_explain(call, m, code) : 0;
	}
	if (status == 0)
		*ret = m;
	else
		madcap_free(&m);
	return status;
}

/* ---- main ------------------------------------------------------------------------------------ */

static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return status; /* the reader has what he wanted */
	return tool_fail("standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct command_line line = { .argc = argc, .argv = argv, .next = 1 };
	int status;

	standard_fill();
	signal(SIGPIPE, SIG_IGN); /* what was begun is finished all the same */
	status = finish_output(dispatch(&line));
	for (size_t i = 0; i < TOOL_OPTIONS; i++)
		free(line.call.values[i].text);
	return status;
}
