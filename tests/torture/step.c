/* SPDX-License-Identifier: MIT */
/*
 * step: runs a command and kills one of its processes at its N-th system call.
 *
 *	step [--child] [--after CALL] [--signal NUMBER] N REPORT COMMAND [ARGUMENT]...
 *
 * The process is the command's own or, with --child, the first one that it forks. Calls are counted
 * from its beginning or, with --after, from when a call of that name has first returned something
 * above 0. Before the N-th call is entered the process gets the signal (SIGKILL), and everything
 * else goes on. A program that is killed before its N-th call, for N = 1, 2 ..., is killed in every
 * state that others can see of it: between two calls only memory changes.
 *
 * REPORT gets one line when the process has ended: "killed N CALL", or "ended N", N being how many
 * calls it made. The exit status is the command's, or 70 where this program itself fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TROUBLE 70
/* A stop at a system call, as PTRACE_O_TRACESYSGOOD marks it. */
#define CALL_STOP (SIGTRAP | 0x80)

static const struct {
	const char *name;
	long number;
} calls[] = {
	{ "read", SYS_read },           { "write", SYS_write },
	{ "pwrite64", SYS_pwrite64 },   { "writev", SYS_writev },
	{ "fcntl", SYS_fcntl },         { "openat", SYS_openat },
	{ "close", SYS_close },         { "mmap", SYS_mmap },
	{ "munmap", SYS_munmap },       { "fdatasync", SYS_fdatasync },
	{ "fsync", SYS_fsync },         { "ftruncate", SYS_ftruncate },
	{ "fallocate", SYS_fallocate }, { "flock", SYS_flock },
	{ "linkat", SYS_linkat },       { "unlinkat", SYS_unlinkat },
	{ "mkdirat", SYS_mkdirat },     { "futex", SYS_futex },
	{ "recvfrom", SYS_recvfrom },   { "recvmmsg", SYS_recvmmsg },
	{ "sendto", SYS_sendto },       { "sendmmsg", SYS_sendmmsg },
	{ "ppoll", SYS_ppoll },         { "exit_group", SYS_exit_group },
#ifdef SYS_link
	{ "link", SYS_link },           { "unlink", SYS_unlink },
	{ "mkdir", SYS_mkdir },         { "poll", SYS_poll },
#endif
};

static struct {
	bool child;
	long after; /* -1: from the beginning */
	int signal;
	unsigned long at;
	const char *report;
	pid_t command;
	pid_t subject; /* 0: not there yet */
	bool counting;
	bool inside; /* a call */
	long number; /* of that call */
	unsigned long count;
	bool struck;
	int status; /* the command's */
} step = { .after = -1, .signal = SIGKILL };

static void die(const char *what)
{
	fprintf(stderr, "step: %s: %s\n", what, strerror(errno));
	exit(TROUBLE);
}

static const char *name_of(long number, char text[static 24])
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].number == number)
			return calls[i].name;
	}
	snprintf(text, 24, "%ld", number);
	return text;
}

static long number_of(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	}
	fprintf(stderr, "step: no call named %s is known here\n", name);
	exit(TROUBLE);
}

static void tell(void)
{
	FILE *file = fopen(step.report, "w");
	char text[24];

	if (file == NULL)
		die(step.report);
	if (step.struck)
		fprintf(file, "killed %lu %s\n", step.count, name_of(step.number, text));
	else
		fprintf(file, "ended %lu\n", step.count);
	if (fclose(file) != 0)
		die(step.report);
}

/* One that is ending meanwhile is gone: that is no failure. */
static void go_on(pid_t pid, int signal)
{
	bool stops = pid == step.subject && !step.struck;
	enum __ptrace_request request = stops ? PTRACE_SYSCALL : PTRACE_CONT;

	if (ptrace(request, pid, NULL, (void *)(intptr_t)signal) != 0 && errno != ESRCH)
		die("ptrace");
}

static void strike(void)
{
	step.struck = true;
	if (kill(step.subject, step.signal) != 0 && errno != ESRCH)
		die("kill");
}

/* The subject stands before or behind a system call. */
static void see_call(void)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, step.subject, (void *)sizeof(info), &info) <= 0)
		return; /* it has been killed by somebody else */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		step.number = (long)info.entry.nr;
		if (step.counting && ++step.count == step.at)
			strike();
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && step.number == step.after &&
		   !info.exit.is_error && info.exit.rval > 0) {
		step.counting = true;
	}
}

static void see_stop(pid_t pid, int status)
{
	int signal = WSTOPSIG(status);
	int event = status >> 16;

	/* A child may be seen to stop before its parent is seen to have forked. */
	if (step.child && step.subject == 0 && pid != step.command)
		step.subject = pid;
	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_CLONE ||
	    event == PTRACE_EVENT_VFORK) {
		unsigned long child = 0;

		ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child);
		if (step.child && step.subject == 0 && pid == step.command)
			step.subject = (pid_t)child;
		go_on(pid, 0);
	} else if (signal == CALL_STOP) {
		if (pid == step.subject)
			see_call();
		go_on(pid, 0);
	} else if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP ||
						  signal == SIGTTIN || signal == SIGTTOU)) {
		/* It has been stopped, and stays so until it gets SIGCONT. */
		if (ptrace(PTRACE_LISTEN, pid, NULL, NULL) != 0 && errno != ESRCH)
			die("ptrace");
	} else {
		go_on(pid, event == 0 ? signal : 0);
	}
}

static void watch(void)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return; /* nobody is left */
		if (WIFSTOPPED(status)) {
			see_stop(pid, status);
			continue;
		}
		if (pid == step.subject)
			tell();
		if (pid == step.command)
			step.status =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		/* What the command has left behind goes with us. */
		if (pid == step.command)
			return;
	}
}

static void start(char **command)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int gate[2];
	char byte = 0;

	if (pipe2(gate, O_CLOEXEC) != 0)
		die("pipe");
	step.command = fork();
	if (step.command < 0)
		die("fork");
	if (step.command == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(TROUBLE);
		execvp(command[0], command);
		fprintf(stderr, "step: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, step.command, NULL, (void *)options) != 0 ||
	    ptrace(PTRACE_INTERRUPT, step.command, NULL, NULL) != 0)
		die("ptrace");
	if (!step.child)
		step.subject = step.command;
	if (write(gate[1], &byte, 1) != 1)
		die("write");
	close(gate[0]);
	close(gate[1]);
}

static void usage(void)
{
	fprintf(stderr, "usage: step [--child] [--after CALL] [--signal NUMBER] N REPORT COMMAND "
			"[ARGUMENT]...\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "child", no_argument, NULL, 'c' },
						 { "after", required_argument, NULL, 'a' },
						 { "signal", required_argument, NULL, 's' },
						 { NULL, 0, NULL, 0 } };
	int letter;

	while ((letter = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (letter == 'c')
			step.child = true;
		else if (letter == 'a')
			step.after = number_of(optarg);
		else if (letter == 's')
			step.signal = (int)strtol(optarg, NULL, 10);
		else
			usage();
	}
	if (argc - optind < 3)
		usage();
	step.at = strtoul(argv[optind], NULL, 10);
	step.report = argv[optind + 1];
	step.counting = step.after == -1;
	start(argv + optind + 2);
	watch();
	return step.status;
}
