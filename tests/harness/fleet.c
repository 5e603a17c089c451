/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"

#define UNITS_MAX 65536

static unsigned char units[UNITS_MAX];

double fleet_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int take_unit(void)
{
	for (int i = 0; i < UNITS_MAX; i++)
		if (!units[i]) {
			units[i] = 1;
			return i;
		}
	return 0;
}

struct session *fleet_start(struct fleet *fleet)
{
	struct session *session = calloc(1, sizeof(*session));
	int fds[2];

	if (!session || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		free(session);
		return NULL;
	}
	session->fd = fds[0];
	session->unit = take_unit();
	session->pid = fork();
	if (session->pid == 0) {
		fleet->config.control_fd = fds[1];
		fleet->config.unit = session->unit;
		side_run(&fleet->config);
	}
	close(fds[1]);
	if (session->pid < 0) {
		session_free(session);
		return NULL;
	}
	return session;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	units[session->unit] = 0;
	close(session->fd);
	free(session);
}

void fleet_add(struct fleet *fleet, struct session *session, const char *name)
{
	snprintf(session->name, sizeof(session->name), "%s", name);
	session->next = fleet->sessions;
	fleet->sessions = session;
}

struct session *fleet_find(const struct fleet *fleet, const char *name)
{
	struct session *session = fleet->sessions;

	while (session && strcmp(session->name, name) != 0)
		session = session->next;
	return session;
}

void fleet_remove(struct fleet *fleet, struct session *session)
{
	struct session **at = &fleet->sessions;

	while (*at && *at != session)
		at = &(*at)->next;
	if (*at)
		*at = session->next;
	session_free(session);
}

int session_send(const struct session *session, const char *line)
{
	return send(session->fd, line, strlen(line), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* One that was killed could not say that its address is no longer up. */
static void reap(struct fleet *fleet, struct session *session, int flags)
{
	int ended;

	if (session->is_gone)
		return;
	do {
		ended = waitpid(session->pid, &session->exit_status, flags);
	} while (ended < 0 && errno == EINTR);
	session->is_gone = ended == session->pid || (ended < 0 && errno == ECHILD);
	if (ended == session->pid && WIFSIGNALED(session->exit_status) && session->address)
		live_remove(fleet->config.live, session->address);
}

/* A session that detached answers as its own child: its parent has ended by then. */
static void note_pid(struct session *session, pid_t pid)
{
	if (session->pid == pid)
		return;
	waitpid(session->pid, NULL, 0);
	session->pid = pid;
}

int session_poll(struct session *session, struct reply *reply)
{
	char message[CALL_LINE_MAX + 64];
	int offset = 0;
	const ssize_t n = recv(session->fd, message, sizeof(message) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (n <= 0)
		return 0;
	message[n] = '\0';
	if (sscanf(message, "%31s %d %u %u %n", reply->result, &reply->pid, &reply->address,
		   &reply->choose_us, &offset) < 4)
		return 0;
	snprintf(reply->json, sizeof(reply->json), "%s", message + offset);
	note_pid(session, reply->pid);
	session->address = reply->address;
	return 1;
}

int session_receive(struct fleet *fleet, struct session *session, struct reply *reply)
{
	const double deadline = fleet_now() + fleet->limit;
	int code;

	while ((code = session_poll(session, reply)) < 0) {
		struct pollfd fd = { .fd = session->fd, .events = POLLIN };
		const double left = deadline - fleet_now();

		if (left <= 0)
			return -1;
		poll(&fd, 1, (int)(left * 1000) + 1);
	}
	if (code > 0)
		return 0;
	session_wait(fleet, session);
	return -1;
}

int session_wait(struct fleet *fleet, struct session *session)
{
	const double deadline = fleet_now() + fleet->limit;
	struct timespec pause = { .tv_nsec = 200000 };
	struct reply ignored;

	/* Its end of the socket closes when the process ends, or a moment before. */
	while (!session->is_gone && fleet_now() < deadline) {
		struct pollfd fd = { .fd = session->fd, .events = POLLIN };

		reap(fleet, session, WNOHANG);
		if (session->is_gone)
			return 0;
		if (poll(&fd, 1, 100) > 0 && session_poll(session, &ignored) == 0) {
			nanosleep(&pause, NULL);
			pause.tv_nsec =
				pause.tv_nsec < 20000000 ? pause.tv_nsec * 2 : pause.tv_nsec;
		}
	}
	if (session->is_gone)
		return 0;
	kill(session->pid, SIGKILL);
	reap(fleet, session, 0);
	return -1;
}

void session_describe_end(const struct session *session, char *text, size_t size)
{
	const int how = session->exit_status;

	if (WIFSIGNALED(how))
		snprintf(text, size, "the process was ended by signal %d", WTERMSIG(how));
	else
		snprintf(text, size, "the process exited with status %d", WEXITSTATUS(how));
}
