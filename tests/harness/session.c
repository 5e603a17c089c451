/* SPDX-License-Identifier: MIT */
/* A session process: pppd's start, main loop and end, and the harness's commands. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pppd_headers.h"
#include "side.h"

#define CONTROL_FD 3
#define LOG_FD 4

static const struct side_config *config;
static int control_fd = CONTROL_FD; /* -1: the harness has gone */
static struct call call;            /* the peer of now */
static int is_asked;                /* a command waits until the link is up or dead */
static int is_called;               /* a command wants a link */
static const char *dead_word;       /* the answer when the link is dead */
static uint32_t live_address;       /* ours in config->live */

static volatile sig_atomic_t got_sighup;
static int kill_link, asked_to_quit;
static int signal_pipe[2];

/* ---- the address, for the count of duplicates ------------------------------------------------ */

void side_address_up(uint32_t address)
{
	live_address = address;
	live_add(config->live, address);
}

void side_address_down(void)
{
	if (live_address)
		live_remove(config->live, live_address);
	live_address = 0;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void wake_up(void)
{
	const ssize_t n = write(signal_pipe[1], "", 1);

	(void)n;
}

static void on_hangup(int sig)
{
	got_sighup = 1;
	core_notify(sigreceived, sig);
	wake_up();
}

static void on_terminate(int sig)
{
	got_sigterm = sig;
	core_notify(sigreceived, sig);
	wake_up();
}

static void on_debug(int sig)
{
	(void)sig;
	debug = !debug;
}

static void on_bad_signal(int sig)
{
	static int crashed;

	if (crashed)
		_exit(127);
	crashed = 1;
	side_address_down();
	log_complain("Fatal signal %d", sig);
	core_notify(sigreceived, sig);
	die(127);
}

static void catch_signal(int sig, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigaddset(&action.sa_mask, SIGHUP);
	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	sigaction(sig, &action, NULL);
}

static void catch_signals(void)
{
	static const int bad[] = { SIGABRT, SIGALRM, SIGFPE,  SIGILL,  SIGQUIT,  SIGSEGV,
				   SIGBUS,  SIGPROF, SIGTRAP, SIGXCPU, SIGVTALRM };

	if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		die(1);
	catch_signal(SIGHUP, on_hangup);
	catch_signal(SIGINT, on_terminate);
	catch_signal(SIGTERM, on_terminate);
	catch_signal(SIGUSR1, on_debug);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		catch_signal(bad[i], on_bad_signal);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void send_reply(const char *result, uint32_t address, const struct json *json)
{
	char message[CALL_LINE_MAX];
	const int n = snprintf(message, sizeof(message), SIDE_REPLY_FORMAT "%s", result,
			       (int)getpid(), address, ipcp_choose_us(), json->text);

	if (control_fd >= 0 && n > 0)
		send(control_fd, message, (size_t)n, MSG_NOSIGNAL);
}

static void begin_answer(struct json *json, char *text, size_t size, const char *result)
{
	json_begin(json, text, size);
	json_string(json, "name", call.name);
	json_string(json, "result", result);
}

static void add_address(struct json *json, const char *key, uint32_t address)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	json_string(json, key, text);
}

static void add_dns(struct json *json)
{
	const uint32_t *servers = ipcp_allowoptions[0].dnsaddr;
	char text[64] = "[";
	size_t length = 1;

	for (int i = 0; i < 2; i++) {
		char one[INET_ADDRSTRLEN];

		if (servers[i] == 0 || (i == 1 && servers[1] == servers[0]))
			continue;
		inet_ntop(AF_INET, &servers[i], one, sizeof(one));
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\"%s\"",
					   length > 1 ? ", " : "", one);
	}
	snprintf(text + length, sizeof(text) - length, "]");
	json_raw(json, "dns", text);
}

static void add_details(struct json *json)
{
	char env[1024];

	core_env_json("RASIP_", env, sizeof(env));
	json_raw(json, "env", env);
	json_number(json, "pid", getpid());
	if (link_early_opinion() != INT_MIN)
		json_number(json, "early_opinion", link_early_opinion());
}

static void answer_up(const char *result)
{
	const uint32_t address = ipcp_hisoptions[0].hisaddr;
	char text[CALL_LINE_MAX / 2];
	struct json json;

	begin_answer(&json, text, sizeof(text), result);
	add_address(&json, "address", address);
	if (!call.brief) {
		add_address(&json, "local", ipcp_gotoptions[0].ouraddr);
		add_dns(&json);
		json_string(&json, "interface", ifname);
		json_number(&json, "choose_us", ipcp_choose_us());
		add_details(&json);
	}
	json_end(&json);
	send_reply(result, address, &json);
}

static void answer_with(const char *header, const char *result, const char *reason)
{
	char text[CALL_LINE_MAX / 2];
	struct json json;

	begin_answer(&json, text, sizeof(text), result);
	if (reason)
		json_string(&json, "reason", reason);
	if (!call.brief)
		add_details(&json);
	json_end(&json);
	send_reply(header, 0, &json);
}

static void answer(const char *result)
{
	answer_with(result, result, NULL);
}

/* After "again" the harness does not wait for the session's end: it can be called again. */
static void answer_dead(const char *result)
{
	answer_with(persist && !asked_to_quit ? "again" : result, result, link_reason());
}

static void show_dead(void)
{
	answer_with("shown", "dead", NULL);
}

/* ---- commands -------------------------------------------------------------------------------- */

/* What a command that continues a session leaves out stays as it was. */
static void take_over(const struct call *next)
{
	struct call merged = *next;

	if (!next->has_user) {
		memcpy(merged.user, call.user, sizeof(merged.user));
		merged.noauth |= call.noauth;
		if (!next->n_options) {
			memcpy(merged.options, call.options, sizeof(merged.options));
			merged.n_options = call.n_options;
		}
	}
	if (!next->port[0])
		memcpy(merged.port, call.port, sizeof(merged.port));
	merged.brief |= call.brief;
	call = merged;
}

static void ask(const char *word_if_dead)
{
	is_asked = 1;
	dead_word = word_if_dead;
	link_forget_reason();
}

static void do_connect(const struct call *next)
{
	call = *next;
	if (!call.has_user && !call.noauth)
		memcpy(call.user, call.name, sizeof(call.user));
	call.user[MAXNAMELEN - 1] = '\0';
	log_set_name(call.name);
	log_set_quiet(call.brief);
	ask("refused");
	is_called = 1;
}

static void do_reconnect(const struct call *next)
{
	take_over(next);
	ask("refused");
	is_called = 1;
	if (phase != PHASE_DEAD && phase != PHASE_HOLDOFF) {
		persist = 1;
		peer_sends(PACKET_HANGUP);
	}
}

static void do_relogin(const struct call *next)
{
	take_over(next);
	ask("refused");
	link_expect(&call);
	peer_sends(PACKET_LCP_REQUEST);
}

static void do_renegotiate(const struct call *next)
{
	call.asks = next->asks;
	call.insists = next->insists;
	call.ipcp_fail = next->ipcp_fail;
	ask("refused");
	peer_renegotiates();
}

static void do_disconnect(enum call_how how)
{
	persist = 0;
	if (how == HOW_EXIT) {
		side_address_down();
		fatal(TEXT("Ended as by a fatal error"));
	} else if (how == HOW_TERMINATE || phase == PHASE_HOLDOFF) {
		raise(SIGTERM);
	} else {
		peer_sends(PACKET_HANGUP);
	}
}

static void do_drop(void)
{
	ask("dead");
	persist = 1;
	peer_sends(PACKET_HANGUP);
}

static int needs_link(enum call_verb verb)
{
	return verb == VERB_RELOGIN || verb == VERB_RENEGOTIATE || verb == VERB_DROP;
}

static void obey(const struct call *command)
{
	if (phase == PHASE_HOLDOFF && needs_link(command->verb)) {
		show_dead();
		return;
	}
	switch (command->verb) {
	case VERB_CONNECT:
		do_connect(command);
		break;
	case VERB_RECONNECT:
		do_reconnect(command);
		break;
	case VERB_RELOGIN:
		do_relogin(command);
		break;
	case VERB_RENEGOTIATE:
		do_renegotiate(command);
		break;
	case VERB_DROP:
		do_drop();
		break;
	case VERB_SHOW:
		if (ipcp_is_established())
			answer_up("up");
		else
			show_dead();
		break;
	case VERB_DETACH:
		detach();
		answer("ok");
		break;
	case VERB_DISCONNECT:
		do_disconnect(command->how);
		break;
	case VERB_KILL:
	case VERB_SIGNAL:
	case VERB_GONE:
	case VERB_WAIT:
	case VERB_STORM:
		break; /* the harness's own */
	}
}

static void read_command(void)
{
	char line[CALL_LINE_MAX];
	char why[256];
	struct call command;
	const ssize_t n = recv(control_fd, line, sizeof(line) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		control_fd = -1;
		persist = 0;
		raise(SIGTERM);
		return;
	}
	line[n] = '\0';
	if (call_parse(line, &command, why, sizeof(why)) == 0)
		obey(&command);
}

/* ---- pppd's main loop ------------------------------------------------------------------------ */

static void obey_signals(void)
{
	if (got_sighup) {
		log_say("Hangup (SIGHUP)");
		got_sighup = 0;
		kill_link = 1;
		if (status != EXIT_HANGUP)
			status = EXIT_USER_REQUEST;
	}
	if (got_sigterm) {
		log_say("Terminating on signal %d", got_sigterm);
		got_sigterm = 0;
		kill_link = 1;
		asked_to_quit = 1;
		persist = 0;
		status = EXIT_USER_REQUEST;
	}
}

/* Waits for a packet, a timer, a signal or a command; timers run before packets are read. */
static void handle_events(void)
{
	struct pollfd fds[2] = { { .fd = signal_pipe[0], .events = POLLIN },
				 { .fd = is_asked ? -1 : control_fd, .events = POLLIN } };
	char drain[64];

	kill_link = 0;
	if (poll(fds, 2, peer_has_packet() ? 0 : core_timer_ms()) > 0) {
		while (fds[0].revents && read(signal_pipe[0], drain, sizeof(drain)) > 0)
			;
		if (fds[1].revents)
			read_command();
	}
	core_run_timers();
	obey_signals();
}

static void get_input(void)
{
	const enum packet packet = peer_next_packet();

	if (packet == PACKET_IPCP_REQUEST || packet == PACKET_IPCP_ACK ||
	    packet == PACKET_IPCP_TERMINATE_ACK)
		ipcp_receives(packet);
	else if (packet != PACKET_NONE)
		link_receives(packet);
}

/* A command is answered when nothing more is on the way: also timers that are due have run. */
static void answer_if_settled(void)
{
	if (!is_asked || peer_has_packet() || core_timer_ms() == 0)
		return;
	if (ipcp_is_established()) {
		answer_up("up");
	} else if (link_has_joined()) {
		answer("joined");
	} else {
		return;
	}
	is_called = 0;
	is_asked = 0;
}

static void play_link(void)
{
	link_expect(&call);
	is_called = 0;
	status = EXIT_OK;
	unsuccess++;
	lcp_open(0);
	start_link(0);
	while (phase != PHASE_DEAD) {
		handle_events();
		get_input();
		if (kill_link)
			lcp_close(0, TEXT("User request"));
		answer_if_settled();
	}
	lcp_close(0, TEXT(""));
}

/* The link is dead: whoever waits for it is told, unless he wanted just that to be followed by a
 * call. */
static void tell_dead(void)
{
	if (!is_asked || is_called)
		return;
	is_asked = 0;
	answer_dead(dead_word);
}

/* Stands for the connect script, and for the time between two calls. Returns 0 if no call will
 * come. */
static int await_call(void)
{
	const int was_called_before = phase == PHASE_DEAD;

	if (was_called_before && !is_called)
		new_phase(PHASE_HOLDOFF);
	while (!is_called && !asked_to_quit)
		handle_events();
	if (was_called_before && !asked_to_quit)
		new_phase(PHASE_DORMANT);
	return !asked_to_quit;
}

static void play_links(void)
{
	while (await_call()) {
		play_link();
		tell_dead();
		if ((!persist && !is_called) || asked_to_quit)
			break;
	}
}

/* ---- start ----------------------------------------------------------------------------------- */

static void set_up_files(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int control = fcntl(config->control_fd, F_DUPFD_CLOEXEC, 10);
	const int log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

	if (null < 0 || control < 0 || log < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup3(control, CONTROL_FD, O_CLOEXEC) < 0 || dup3(log, LOG_FD, O_CLOEXEC) < 0)
		_exit(1);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	close_range(LOG_FD + 1, ~0u, 0);
	fd_devnull = STDIN_FILENO;
	log_set_fd(LOG_FD);
}

static void load(void)
{
	static char name[] = "ras-harness";

	progname = name;
	ifunit = config->unit;
	gethostname(hostname, MAXNAMELEN - 1);
	new_phase(PHASE_INITIALIZE);
	for (int i = 0; protocols[i]; i++)
		protocols[i]->init(0);
	privileged_option = 1;
	for (size_t i = 0; config->plugins[i]; i++)
		if (!options_load_plugin(config->plugins[i]))
			exit(EXIT_OPTION_ERROR);
	for (size_t i = 0; config->options[i]; i++)
		if (!options_from_line(config->options[i], "command line",
				       i < config->n_privileged))
			exit(EXIT_OPTION_ERROR);
	link_check_auth();
	for (int i = 0; protocols[i]; i++)
		if (protocols[i]->check_options)
			protocols[i]->check_options();
}

void side_run(const struct side_config *session_config)
{
	struct json json = { .text = TEXT("{}") };

	config = session_config;
	set_up_files();
	load();
	if (config->detach)
		detach();
	catch_signals();
	send_reply("ready", 0, &json);
	play_links();
	die(status);
	abort(); /* for the compiler: die() does not return */
}
