/* SPDX-License-Identifier: MIT */
/*
 * rasip.c - the command line of rasip(8): finds the verb in the table, sorts the options by the
 * verb's own table, and makes every help text from the two.
 */
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "nearest.h"
#include "screen.h"
#include "standard.h"

static int run_help(const struct invocation *invocation);

static const struct verb verb_help = {
	.name = "help",
	.argument = "[VERB]",
	.brief = "explains a verb",
	.text = "",
	.run = run_help,
};

static const struct verb *const verbs[] = {
	&verb_check,   &verb_pools,   &verb_leases,  &verb_explain, &verb_release,
	&verb_reclaim, &verb_history, &verb_metrics, &verb_watch,   &verb_help,
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int unknown_verb(const char *name)
{
	const char *names[ARRAY_SIZE(verbs)];
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i]->name;
	near = nearest_word(name, names, ARRAY_SIZE(names));
	if (near != NULL)
		return complain_usage(NULL, "unknown verb '%s'; did you mean '%s'?", name, near);
	return complain_usage(NULL, "unknown verb '%s'", name);
}

/* ---- help ----------------------------------------------------------------------------------- */

static void print_option(const char *name, const char *value, const char *help)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%s%s%s", name, value ? " " : "", value ? value : "");
	printf("  %-22s %s\n", buf, help);
}

static void print_common_options(const struct verb *verb)
{
	print_option("-c", "FILE", "the configuration; default: " CONFIG_DEFAULT_PATH);
	if (verb == NULL || verb->json)
		print_option("--json", NULL, "prints JSON, for programs");
	print_option("-h, --help", NULL, "explains, and does nothing else");
	if (verb == NULL)
		print_option("-V, --version", NULL, "prints the version");
}

static void print_usage(void)
{
	printf("usage: rasip [-c FILE] VERB [OPTION]...\n\n"
	       "Looks at, and looks after, the addresses that rasip.so gives to PPP sessions.\n\n"
	       "verbs:\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct verb *verb = verbs[i];
		char buf[64];

		snprintf(buf, sizeof(buf), "%s%s%s", verb->name, verb->argument ? " " : "",
			 verb->argument ? verb->argument : "");
		printf("  %-22s %s\n", buf, verb->brief);
	}
	printf("\noptions, before or after the verb:\n");
	print_common_options(NULL);
	printf("\nExit status: 0 done, 1 it could not be done, 2 wrong usage.\n"
	       "'rasip help VERB' explains a verb; rasip(8) explains everything.\n");
}

/* One more word of the usage line, on a new line where it does not fit. */
static void print_usage_word(int *column, const char *word)
{
	if (*column + 1 + (int)strlen(word) > 78) {
		printf("\n      ");
		*column = 6;
	}
	*column += printf(" %s", word);
}

static void print_verb_usage(const struct verb *verb)
{
	const struct verb_option *option = verb->options;
	int column = printf("usage: rasip [-c FILE] %s", verb->name);
	char name[64];

	for (; option != NULL && option->name != NULL; option++) {
		snprintf(name, sizeof(name), "%s--%s%s%s%s", option->required ? "" : "[",
			 option->name, option->value ? " " : "", option->value ? option->value : "",
			 option->required ? "" : "]");
		print_usage_word(&column, name);
	}
	if (verb->json)
		print_usage_word(&column, "[--json]");
	if (verb->argument != NULL)
		print_usage_word(&column, verb->argument);
	printf("\n");
}

static void print_verb_help(const struct verb *verb)
{
	const struct verb_option *option = verb->options;
	char name[32];

	print_verb_usage(verb);
	printf("\n%s: %s.\n\n%s\noptions:\n", verb->name, verb->brief, verb->text);
	for (; option != NULL && option->name != NULL; option++) {
		snprintf(name, sizeof(name), "--%s", option->name);
		print_option(name, option->value, option->help);
	}
	print_common_options(verb);
}

static int run_help(const struct invocation *invocation)
{
	const struct verb *verb;

	if (invocation->argument == NULL) {
		print_usage();
		return EXIT_DONE;
	}
	verb = find_verb(invocation->argument);
	if (verb == NULL)
		return unknown_verb(invocation->argument);
	if (verb == &verb_help)
		print_usage();
	else
		print_verb_help(verb);
	return EXIT_DONE;
}

/* ---- command line --------------------------------------------------------------------------- */

struct command_line {
	int argc;
	char **argv;
	int next;
	bool options_over; /* "--" was seen */
	bool help, version;
	struct invocation invocation;
};

/* The value of the option `name`: behind its '=', or the next word. NULL: complained. */
static const char *option_value(struct command_line *line, const char *name,
				const char *inline_value)
{
	if (inline_value != NULL)
		return inline_value;
	if (line->next < line->argc)
		return line->argv[line->next++];
	complain_usage(line->invocation.verb, "%s needs a value", name);
	return NULL;
}

/* True if some verb has this option, for those who write it before the verb. */
static bool is_any_option(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		for (const struct verb_option *option = verbs[i]->options;
		     option != NULL && option->name != NULL; option++)
			if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0)
				return true;
	return false;
}

static int unknown_option(const struct verb *verb, const char *word)
{
	const char *names[OPTION_COUNT + 4];
	const char *near;
	size_t n = 0;

	if (verb == NULL && is_any_option(word))
		return complain_usage(NULL, "'%s' belongs behind its verb", word);
	for (const struct verb_option *option = verb ? verb->options : NULL;
	     option != NULL && option->name != NULL; option++)
		names[n++] = option->name;
	names[n++] = "help";
	names[n++] = "version";
	if (verb == NULL || verb->json)
		names[n++] = "json";
	near = nearest_word(word + strspn(word, "-"), names, n);
	if (near != NULL)
		return complain_usage(verb, "unknown option '%s'; did you mean '--%s'?", word,
				      near);
	return complain_usage(verb, "unknown option '%s'", word);
}

static int set_option(struct command_line *line, const struct verb_option *option,
		      const char *inline_value)
{
	struct invocation *invocation = &line->invocation;
	const char *value = "";
	char name[32];

	snprintf(name, sizeof(name), "--%s", option->name);
	if (invocation->option[option->id] != NULL)
		return complain_usage(invocation->verb, "%s is given twice", name);
	if (option->value == NULL && inline_value != NULL)
		return complain_usage(invocation->verb, "%s takes no value", name);
	if (option->value != NULL)
		value = option_value(line, name, inline_value);
	if (value == NULL)
		return EXIT_USAGE;
	invocation->option[option->id] = value;
	return 0;
}

/* "--name", "--name=value" or "--name value". */
static int parse_long(struct command_line *line, const char *word)
{
	const struct verb *verb = line->invocation.verb;
	const char *name = word + 2;
	const char *equals = strchr(name, '=');
	const char *value = equals ? equals + 1 : NULL;
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	char copy[32];

	if (len >= sizeof(copy))
		return unknown_option(verb, word);
	memcpy(copy, name, len);
	copy[len] = '\0';
	for (const struct verb_option *option = verb ? verb->options : NULL;
	     option != NULL && option->name != NULL; option++)
		if (strcmp(option->name, copy) == 0)
			return set_option(line, option, value);
	if (strcmp(copy, "json") == 0)
		line->invocation.json = true;
	else if (strcmp(copy, "help") == 0)
		line->help = true;
	else if (strcmp(copy, "version") == 0)
		line->version = true;
	else
		return unknown_option(verb, value == NULL ? word : copy);
	return value == NULL ? 0 : complain_usage(verb, "--%s takes no value", copy);
}

static int parse_short(struct command_line *line, const char *word)
{
	if (word[1] == 'c') {
		line->invocation.config_path =
			option_value(line, "-c", word[2] != '\0' ? word + 2 : NULL);
		return line->invocation.config_path == NULL ? EXIT_USAGE : 0;
	}
	if (strcmp(word, "-h") == 0)
		line->help = true;
	else if (strcmp(word, "-V") == 0)
		line->version = true;
	else
		return unknown_option(line->invocation.verb, word);
	return 0;
}

static int parse_argument(struct command_line *line, const char *word)
{
	struct invocation *invocation = &line->invocation;

	if (invocation->verb == NULL) {
		invocation->verb = find_verb(word);
		return invocation->verb == NULL ? unknown_verb(word) : 0;
	}
	if (invocation->verb->argument == NULL || invocation->argument != NULL)
		return complain_usage(invocation->verb, "'%s' is one word too many", word);
	invocation->argument = word;
	return 0;
}

static int parse_command_line(struct command_line *line)
{
	int status = 0;

	while (status == 0 && line->next < line->argc) {
		const char *word = line->argv[line->next++];

		if (line->options_over || word[0] != '-' || word[1] == '\0')
			status = parse_argument(line, word);
		else if (strcmp(word, "--") == 0)
			line->options_over = true;
		else if (word[1] == '-')
			status = parse_long(line, word);
		else
			status = parse_short(line, word);
	}
	return status;
}

static int check_command_line(const struct invocation *invocation)
{
	const struct verb *verb = invocation->verb;

	for (const struct verb_option *option = verb->options;
	     option != NULL && option->name != NULL; option++)
		if (option->required && invocation->option[option->id] == NULL)
			return complain_usage(verb, "--%s is missing", option->name);
	if (invocation->json && !verb->json)
		return complain_usage(verb, "there is no --json here");
	if (verb->argument != NULL && verb->argument[0] != '[' && invocation->argument == NULL)
		return complain_usage(verb, "%s is missing", verb->argument);
	return 0;
}

static int dispatch(struct command_line *line)
{
	int status = parse_command_line(line);

	if (status != 0)
		return status;
	if (line->version) {
		printf("rasip %s\n", RASIP_VERSION);
		return EXIT_DONE;
	}
	if (line->help) {
		if (line->invocation.verb == NULL || line->invocation.verb == &verb_help)
			print_usage();
		else
			print_verb_help(line->invocation.verb);
		return EXIT_DONE;
	}
	if (line->invocation.verb == NULL)
		return complain_usage(NULL, "a verb is missing");
	status = check_command_line(&line->invocation);
	return status != 0 ? status : line->invocation.verb->run(&line->invocation);
}

/* ---- output --------------------------------------------------------------------------------- */

/* A reader who has gone (`| head`) has what he wanted; anything else lost is a failure. */
static int finish_output(int status)
{
	struct pollfd out = { .fd = STDOUT_FILENO };
	int errnum;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	errnum = errno;
	if (poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0)
		return status;
	complain("standard output: %s", errnum != 0 ? strerror(errnum) : "write error");
	return status != EXIT_DONE ? status : EXIT_FAILED;
}

/* A listing is written by as much as a pipe takes at once. */
static void fill_output_by_pipefuls(void)
{
	static char buffer[65536];

	if (!isatty(STDOUT_FILENO))
		setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

/* LMDB reads a store through a map and believes what is in it: of a damaged one it may look for
 * pages that no file has. */
static void meet_damage(int number)
{
	static const char text[] =
		"rasip: a store is damaged: move what is in runtime_dir away once no session uses "
		"it or, if that does not help, what is in state_dir\n";

	(void)number;
	screen_drop(); /* NOLINT(bugprone-signal-handler,cert-sig30-c): made for this */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
	struct command_line line = {
		.argc = argc,
		.argv = argv,
		.next = 1,
		.invocation = { .config_path = CONFIG_DEFAULT_PATH },
	};

	standard_fill();
	fill_output_by_pipefuls();
	signal(SIGBUS, meet_damage);
	signal(SIGPIPE,
	       SIG_IGN); /* what was begun is finished, and the status told, all the same */
	return finish_output(dispatch(&line));
}
