/* SPDX-License-Identifier: MIT */
/*
 * madcapd.c - the MADCAP server: the command line, signals, and the loop.
 */
#include "madcapd.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "standard.h"
#include "version.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define POLL_MAX (NET_SOCKETS_MAX + ADMIN_CONNECTIONS + 3)
#define POLL_REST_MS 100 /* where it fails, it fails at once */

void madcapd_say(const char *format, ...)
{
	char line[1200];
	va_list args;
	int length = snprintf(line, sizeof(line), "madcapd: ");
	size_t used = (size_t)length;

	va_start(args, format);
	length = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	used += length < 0 ? 0 : (size_t)length;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	/* In one piece, and without waiting for more. A log that is gone is no reason to stop. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

struct madcap_clock madcapd_clock(void)
{
	struct timespec mono, real;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	return (struct madcap_clock){ .mono_ms =
					      (int64_t)mono.tv_sec * 1000 + mono.tv_nsec / 1000000,
				      .unix_sec = real.tv_sec };
}

/* ---- the loop ---------------------------------------------------------------------------- */

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* What cannot be written is an error like others. */
	signal(SIGXFSZ, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* False when it is time to end. */
static bool take_signals(struct madcapd *daemon, int fd)
{
	struct signalfd_siginfo info;
	bool reload = false;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			return false;
		reload = true;
	}
	if (reload)
		madcapd_reload(daemon);
	return true;
}

/* False where it cannot be known what there is to do. */
static bool wait_for_work(struct madcapd *daemon, struct pollfd *fds, size_t n)
{
	const struct timespec rest = { .tv_nsec = POLL_REST_MS * 1000000L };

	if (poll(fds, n, madcapd_wait_ms(daemon)) >= 0 || errno == EINTR) {
		daemon->poll_failing = false;
		return true;
	}
	if (!daemon->poll_failing)
		madcapd_say("poll: %s", strerror(errno));
	daemon->poll_failing = true;
	nanosleep(&rest, NULL);
	return false;
}

static void run(struct madcapd *daemon, int signal_fd)
{
	struct pollfd fds[POLL_MAX];
	struct error error;

	for (;;) {
		size_t n = 0;

		fds[n++] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
		n += admin_socket_poll(daemon->admin, fds + n);
		n += net_poll(daemon->net, fds + n);
		n += book_poll(daemon->book, fds + n);
		if (!wait_for_work(daemon, fds, n))
			fds[0].revents = POLLIN; /* it may be told to end */
		if ((fds[0].revents & POLLIN) != 0 && !take_signals(daemon, signal_fd))
			return;
		madcapd_watch_book(daemon);
		net_receive(daemon->net);
		madcapd_gather(daemon);
		madcapd_serve(daemon);
		if (!admin_socket_serve(daemon->admin, &error))
			madcapd_say("%s", error.text);
	}
}

static int serve(struct madcapd *daemon)
{
	struct error error = { 0 };
	int signal_fd = open_signals();
	int code;

	/* Blocked, and nowhere to be read: it could not be told to end. */
	if (signal_fd < 0) {
		madcapd_say("signalfd: %s", strerror(errno));
		server_config_free(&daemon->config);
		return EXIT_FAILED;
	}
	code = madcapd_start(daemon, &error);
	if (code < 0) {
		madcapd_say("%s", error.text[0] != '\0' ? error.text : pool_strerror(code));
	} else {
		run(daemon, signal_fd);
		madcapd_notify("STOPPING=1");
	}
	madcapd_stop(daemon);
	close(signal_fd);
	if (code == 0)
		madcapd_say("ended");
	return code < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* ---- command line ------------------------------------------------------------------------ */

/* For those who ask something; a server says nothing on standard output. A reader who has gone has
 * what he wanted. */
static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return status;
	fprintf(stderr, "madcapd: standard output: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static void help(void)
{
	printf("usage: madcapd [-c FILE] [--check | --init-book] [-v]\n\n"
	       "Leases multicast addresses to MADCAP clients (RFC 2730).\n\n"
	       "  -c FILE        the configuration; default: %s\n"
	       "      --check    loads the configuration, says what is wrong with it, and ends\n"
	       "      --init-book\n"
	       "                 makes the lease book in a database, or brings it to this\n"
	       "                 version, and ends\n"
	       "  -v, --verbose  logs every message and what became of it\n"
	       "  -h, --help     explains, and does nothing else\n"
	       "  -V, --version  prints the version\n\n"
	       "It stays in the foreground and logs to standard error. SIGHUP loads the\n"
	       "configuration again, SIGTERM ends it. Exit status: 0 ended or checked, 1 it could\n"
	       "not be done, 2 wrong usage. See madcapd(8) and madcapd.conf(5).\n",
	       SERVER_CONFIG_DEFAULT_PATH);
}

static int wrong_usage(const char *what)
{
	fprintf(stderr, "madcapd: %s; see 'madcapd --help'\n", what);
	return EXIT_USAGE;
}

static int load(const char *path, struct server_config **ret)
{
	struct config_errors errors;
	int code = server_config_load(path, ret, &errors);

	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.lines[i]);
	if (code < 0 && errors.n == 0)
		fprintf(stderr, "madcapd: %s\n", pool_strerror(code));
	config_errors_done(&errors);
	return code;
}

static void print_summary(const struct server_config *config)
{
	size_t n = config->server.n_scopes;

	printf("%s: %zu scope%s, %zu address%s to listen on, %zu interface%s\n", config->path, n,
	       n == 1 ? "" : "s", config->n_listen, config->n_listen == 1 ? "" : "es",
	       config->n_interfaces, config->n_interfaces == 1 ? "" : "s");
}

static int init_book(struct server_config **config)
{
	struct error error = { "" };
	int code = madcapd_init_book(*config, &error);

	if (code < 0)
		fprintf(stderr, "madcapd: %s\n", error.text);
	server_config_free(config);
	return code < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'k' },   { "init-book", no_argument, NULL, 'i' },
		{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	struct madcapd *daemon;
	const char *path = SERVER_CONFIG_DEFAULT_PATH;
	bool check = false, init = false, verbose = false;
	int option, status;

	while ((option = getopt_long(argc, argv, "c:vhV", options, NULL)) != -1) {
		if (option == 'c') {
			path = optarg;
		} else if (option == 'k') {
			check = true;
		} else if (option == 'i') {
			init = true;
		} else if (option == 'v') {
			verbose = true;
		} else if (option == 'h') {
			help();
			return EXIT_DONE;
		} else if (option == 'V') {
			printf("madcapd %s\n", RASIP_VERSION);
			return EXIT_DONE;
		} else {
			fputs("See 'madcapd --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return wrong_usage("it takes no arguments");
	if (check && init)
		return wrong_usage("--check and --init-book do not go together");
	daemon = calloc(1, sizeof(*daemon));
	if (daemon == NULL)
		madcapd_say("out of memory");
	if (daemon == NULL || load(path, &daemon->config) < 0) {
		free(daemon);
		return EXIT_FAILED;
	}
	daemon->dir_fd = -1;
	daemon->verbose = verbose;
	if (check) {
		print_summary(daemon->config);
		server_config_free(&daemon->config);
		status = EXIT_DONE;
	} else if (init) {
		status = init_book(&daemon->config);
	} else {
		status = serve(daemon);
	}
	free(daemon);
	return status;
}

int main(int argc, char **argv)
{
	standard_fill();
	signal(SIGPIPE, SIG_IGN);
	return finish_output(dispatch(argc, argv));
}
