/* SPDX-License-Identifier: MIT */
/* ras-harness: plays connections with the real plugin; commands come in, JSON lines go out. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"
#include "storm.h"

#define OPTIONS_MAX 64
#define ANSWER_LIMIT_SEC 120

static const char usage[] =
	"Usage: ras-harness --plugin FILE [--option \"NAME VALUE\"]... < commands\n"
	"Stands in for pppd: loads the plugin and plays connections, one process each.\n"
	"\n"
	"  --plugin FILE         load this plugin; may be repeated\n"
	"  --option TEXT         a line of /etc/ppp/options; may be repeated\n"
	"  --user-option TEXT    the same, as an unprivileged user gives it\n"
	"  --detach              sessions detach before their first link, as pppd does by itself\n"
	"  --limit SECONDS       a session that takes longer to answer is killed (120)\n"
	"  --help\n"
	"\n"
	"Commands, one a line; each gets one line of JSON. \\xHH in a field is one byte.\n"
	"  connect NAME [user=U] [port=P] [candidate=A] [asks=A] [noauth] [ipcp=fail] [insists]\n"
	"          [local=A] [allowed=A,A...] [option=TEXT]... [joins] [wrong-secret]\n"
	"  renegotiate NAME [asks=A] [insists] [ipcp=fail]   IPCP again\n"
	"  relogin NAME [user=U] [...]                       LCP and authentication again\n"
	"  reconnect NAME [user=U] [...]                     link down, then a new one\n"
	"  drop NAME                                         link down, waiting for reconnect\n"
	"  detach NAME                                       as updetach does\n"
	"  disconnect NAME [how=terminate|hangup|exit]\n"
	"  kill NAME                                         SIGKILL\n"
	"  signal NAME HUP|TERM|SEGV|...                     sends it and does not wait\n"
	"  gone NAME                                         waits until the session has ended\n"
	"  show NAME                                         the session as it is\n"
	"  wait SECONDS\n"
	"  storm sessions=N parallel=P\n";

static void print(const char *json)
{
	puts(json);
	fflush(stdout);
}

static void print_answer(const char *name, const char *result, const char *reason)
{
	char text[CALL_LINE_MAX];
	struct json json;

	json_begin(&json, text, sizeof(text));
	if (name && name[0])
		json_string(&json, "name", name);
	json_string(&json, "result", result);
	if (reason)
		json_string(&json, "reason", reason);
	json_end(&json);
	print(text);
}

/* For a session that has ended, or is too late to be waited for. */
static void print_end(struct fleet *fleet, struct session *session)
{
	char text[128];

	if (session->is_gone) {
		session_describe_end(session, text, sizeof(text));
		print_answer(session->name, "gone", text);
	} else {
		session_wait(fleet, session);
		print_answer(session->name, "error", "no answer in time: killed");
	}
	fleet_remove(fleet, session);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void relay(struct fleet *fleet, struct session *session, const char *line)
{
	struct reply reply;

	session_send(session, line);
	if (session_receive(fleet, session, &reply) < 0) {
		print_end(fleet, session);
		return;
	}
	if (strcmp(reply.result, "refused") == 0 || strcmp(reply.result, "dead") == 0) {
		session_wait(fleet, session);
		fleet_remove(fleet, session);
	}
	print(reply.json);
}

/* A session that ended by itself makes room. */
static int is_name_free(struct fleet *fleet, const char *name)
{
	struct session *session = fleet_find(fleet, name);
	struct reply reply;

	if (!session)
		return 1;
	if (session_poll(session, &reply) == 0) {
		session_wait(fleet, session);
		fleet_remove(fleet, session);
		return 1;
	}
	return 0;
}

/* The spare one, or a new one that has loaded; NULL with words in `why`. */
static struct session *take_session(struct fleet *fleet, char *why, size_t size)
{
	struct session *session = fleet->spare;
	struct reply ready;

	fleet->spare = NULL;
	if (session)
		return session;
	session = fleet_start(fleet);
	if (!session) {
		snprintf(why, size, "%s", strerror(errno));
		return NULL;
	}
	if (session_receive(fleet, session, &ready) == 0)
		return session;
	session_describe_end(session, why, size);
	session_wait(fleet, session);
	session_free(session);
	return NULL;
}

static void do_connect(struct fleet *fleet, const struct call *call, const char *line)
{
	struct session *session;
	char why[128];

	if (!is_name_free(fleet, call->name)) {
		print_answer(call->name, "error", "there is a session of this name");
		return;
	}
	session = take_session(fleet, why, sizeof(why));
	if (!session) {
		print_answer(call->name, "refused", why);
		return;
	}
	fleet_add(fleet, session, call->name);
	relay(fleet, session, line);
}

static void do_disconnect(struct fleet *fleet, struct session *session, const char *line)
{
	struct reply reply;
	const int was_there = session_poll(session, &reply) != 0;

	session_send(session, line);
	if (session_wait(fleet, session) < 0) {
		print_answer(session->name, "error", "did not end in time: killed");
		fleet_remove(fleet, session);
	} else if (!was_there || WIFSIGNALED(session->exit_status)) {
		print_end(fleet, session);
	} else {
		print_answer(session->name, "down", NULL);
		fleet_remove(fleet, session);
	}
}

static void do_kill(struct fleet *fleet, struct session *session)
{
	struct reply reply;

	if (session_poll(session, &reply) == 0) {
		session_wait(fleet, session);
		print_end(fleet, session);
		return;
	}
	kill(session->pid, SIGKILL);
	session_wait(fleet, session);
	print_answer(session->name, "killed", NULL);
	fleet_remove(fleet, session);
}

static void do_signal(struct fleet *fleet, struct session *session, int sig)
{
	struct reply reply;

	if (session_poll(session, &reply) == 0) {
		session_wait(fleet, session);
		print_end(fleet, session);
		return;
	}
	kill(session->pid, sig);
	print_answer(session->name, "ok", NULL);
}

static void do_gone(struct fleet *fleet, struct session *session)
{
	if (session_wait(fleet, session) < 0)
		print_answer(session->name, "error", "did not end in time: killed");
	else
		print_end(fleet, session);
}

static void do_wait(double seconds)
{
	const double end = fleet_now() + seconds;
	double left;

	while ((left = end - fleet_now()) > 0) {
		const struct timespec pause = { .tv_sec = (time_t)left,
						.tv_nsec = (long)((left - (double)(time_t)left) *
								  1e9) };

		nanosleep(&pause, NULL);
	}
	print_answer(NULL, "ok", NULL);
}

static void do_storm(struct fleet *fleet, const struct call *call)
{
	char text[512];

	if (storm_run(fleet, call, text, sizeof(text)) < 0)
		print_answer(NULL, "error", "the storm came to a halt");
	else
		print(text);
}

/* Commands to one session that is there. */
static void command_session(struct fleet *fleet, const struct call *call, const char *line)
{
	struct session *session = fleet_find(fleet, call->name);

	if (!session)
		print_answer(call->name, "gone", "there is no session of this name");
	else if (call->verb == VERB_DISCONNECT)
		do_disconnect(fleet, session, line);
	else if (call->verb == VERB_KILL)
		do_kill(fleet, session);
	else if (call->verb == VERB_SIGNAL)
		do_signal(fleet, session, call->signal);
	else if (call->verb == VERB_GONE)
		do_gone(fleet, session);
	else
		relay(fleet, session, line);
}

static void run_command(struct fleet *fleet, const char *line)
{
	struct call call;
	char why[1200];

	if (call_is_blank(line))
		return;
	if (call_parse(line, &call, why, sizeof(why)) < 0)
		print_answer(call.name, "error", why);
	else if (call.verb == VERB_CONNECT)
		do_connect(fleet, &call, line);
	else if (call.verb == VERB_WAIT)
		do_wait(call.seconds);
	else if (call.verb == VERB_STORM)
		do_storm(fleet, &call);
	else
		command_session(fleet, &call, line);
}

static void run_script(struct fleet *fleet)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0)
		run_command(fleet, line);
	free(line);
}

/* ---- start and end --------------------------------------------------------------------------- */

/*
 * The first session starts at once and waits to be called: a plugin that does not load, or a wrong
 * option, shows now. Its message has gone to standard error then.
 */
static int load_spare(struct fleet *fleet)
{
	struct reply reply;

	fleet->spare = fleet_start(fleet);
	if (!fleet->spare) {
		perror("ras-harness");
		return -1;
	}
	if (session_receive(fleet, fleet->spare, &reply) == 0)
		return 0;
	if (WIFSIGNALED(fleet->spare->exit_status))
		fprintf(stderr, "ras-harness: signal %d while loading\n",
			WTERMSIG(fleet->spare->exit_status));
	return -1;
}

static void end_all(struct fleet *fleet)
{
	if (fleet->spare) {
		session_send(fleet->spare, "disconnect x");
		session_wait(fleet, fleet->spare);
		session_free(fleet->spare);
	}
	for (struct session *s = fleet->sessions; s; s = s->next)
		session_send(s, "disconnect x");
	while (fleet->sessions) {
		session_wait(fleet, fleet->sessions);
		fleet_remove(fleet, fleet->sessions);
	}
}

static int wrong_usage(void)
{
	fputs(usage, stderr);
	return 2;
}

struct arguments {
	char *plugins[OPTIONS_MAX];
	char *options[OPTIONS_MAX];
	char *user_options[OPTIONS_MAX];
	size_t n_plugins, n_options, n_user_options;
	int detach;
	double limit;
};

static int add_argument(char **list, size_t *n, char *value)
{
	if (*n + 1 >= OPTIONS_MAX)
		return -1;
	list[(*n)++] = value;
	return 0;
}

/* Returns 0; 1 after --help; -1. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "plugin", required_argument, NULL, 'p' },
		{ "option", required_argument, NULL, 'o' },
		{ "user-option", required_argument, NULL, 'u' },
		{ "detach", no_argument, NULL, 'd' },
		{ "limit", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, code = 0;

	while (code == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			code = add_argument(arguments->plugins, &arguments->n_plugins, optarg);
		else if (c == 'o')
			code = add_argument(arguments->options, &arguments->n_options, optarg);
		else if (c == 'u')
			code = add_argument(arguments->user_options, &arguments->n_user_options,
					    optarg);
		else if (c == 'd')
			arguments->detach = 1;
		else if (c == 'l')
			arguments->limit = strtod(optarg, NULL);
		else
			code = c == 'h' ? 1 : -1;
	}
	return code == 0 && optind < argc ? -1 : code;
}

static void join_options(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->n_user_options; i++)
		if (arguments->n_options + i + 1 < OPTIONS_MAX)
			arguments->options[arguments->n_options + i] = arguments->user_options[i];
}

/* Every session costs the harness a file. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .limit = ANSWER_LIMIT_SEC };
	struct fleet fleet = { 0 };
	const int code = parse_arguments(argc, argv, &arguments);

	if (code > 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (code < 0 || !(arguments.limit > 0))
		return wrong_usage();
	join_options(&arguments);
	fleet.limit = arguments.limit;
	fleet.config = (struct side_config){ .plugins = arguments.plugins,
					     .options = arguments.options,
					     .n_privileged = arguments.n_options,
					     .detach = arguments.detach,
					     .live = live_new() };
	raise_file_limit();
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!fleet.config.live || load_spare(&fleet) < 0)
		return 1;
	run_script(&fleet);
	end_all(&fleet);
	return 0;
}
