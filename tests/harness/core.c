/* SPDX-License-Identifier: MIT */
/* Notifiers, timers, the scripts' environment, phases, detaching, dying. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pppd_headers.h"
#include "side.h"

/* ---- notifiers ------------------------------------------------------------------------------- */

#if PPPD_25
struct notifier {
	struct notifier *next;
	notify_func func;
	void *arg;
};
#endif

/* The newest is called first, as in pppd. */
EXPORT void add_notifier(struct notifier **list, notify_func func, void *arg)
{
	struct notifier *notifier = malloc(sizeof(*notifier));

	if (!notifier)
		abort();
	*notifier = (struct notifier){ .next = *list, .func = func, .arg = arg };
	*list = notifier;
}

EXPORT void remove_notifier(struct notifier **list, notify_func func, void *arg)
{
	for (; *list; list = &(*list)->next) {
		struct notifier *notifier = *list;

		if (notifier->func == func && notifier->arg == arg) {
			*list = notifier->next;
			free(notifier);
			return;
		}
	}
}

void core_notify(struct notifier *list, int value)
{
	while (list) {
		struct notifier *next = list->next;

		list->func(list->arg, value);
		list = next;
	}
}

/* ---- timers ---------------------------------------------------------------------------------- */

struct callout {
	struct callout *next;
	struct timeval when;
	void (*func)(void *);
	void *arg;
};

static struct callout *callouts;

EXPORT int get_time(struct timeval *now)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now->tv_sec = time.tv_sec;
	now->tv_usec = time.tv_nsec / 1000;
	return 0;
}

/* Among equal times the one that was asked for first runs first. */
EXPORT void timeout(void (*func)(void *), void *arg, int s, int us)
{
	struct callout *callout = malloc(sizeof(*callout));
	struct callout **at = &callouts;
	struct timeval now, delay = { .tv_sec = s + us / 1000000, .tv_usec = us % 1000000 };

	if (!callout)
		abort();
	get_time(&now);
	timeradd(&now, &delay, &callout->when);
	callout->func = func;
	callout->arg = arg;
	while (*at && !timercmp(&(*at)->when, &callout->when, >))
		at = &(*at)->next;
	callout->next = *at;
	*at = callout;
}

EXPORT void untimeout(void (*func)(void *), void *arg)
{
	for (struct callout **at = &callouts; *at; at = &(*at)->next) {
		struct callout *callout = *at;

		if (callout->func == func && callout->arg == arg) {
			*at = callout->next;
			free(callout);
			return;
		}
	}
}

int core_timer_ms(void)
{
	struct timeval now, left;

	if (!callouts)
		return -1;
	get_time(&now);
	if (!timercmp(&callouts->when, &now, >))
		return 0;
	timersub(&callouts->when, &now, &left);
	return left.tv_sec > 3600 ? 3600000 : (int)(left.tv_sec * 1000 + left.tv_usec / 1000 + 1);
}

void core_run_timers(void)
{
	while (callouts && core_timer_ms() == 0) {
		struct callout *callout = callouts;

		callouts = callout->next;
		callout->func(callout->arg);
		free(callout);
	}
}

/* ---- environment of the scripts -------------------------------------------------------------- */

static size_t env_find(const char *name, size_t length)
{
	size_t i = 0;

	while (script_env && script_env[i] &&
	       (strncmp(script_env[i], name, length) != 0 || script_env[i][length] != '='))
		i++;
	return i;
}

EXPORT void script_setenv(char *name, char *value, int iskey)
{
	const size_t length = strlen(name);
	const size_t i = env_find(name, length);
	const size_t size = length + strlen(value) + 2;
	char *entry = malloc(size);

	(void)iskey;
	if (!entry)
		abort();
	snprintf(entry, size, "%s=%s", name, value);
	if (script_env && script_env[i]) {
		free(script_env[i]);
	} else {
		script_env = realloc(script_env, (i + 2) * sizeof(*script_env));
		if (!script_env)
			abort();
		script_env[i + 1] = NULL;
	}
	script_env[i] = entry;
}

EXPORT void script_unsetenv(char *name)
{
	size_t i = env_find(name, strlen(name));

	if (!script_env || !script_env[i])
		return;
	free(script_env[i]);
	do {
		script_env[i] = script_env[i + 1];
	} while (script_env[i++]);
}

void core_env_json(const char *prefix, char *text, size_t size)
{
	struct json json;

	json_begin(&json, text, size);
	for (size_t i = 0; script_env && script_env[i]; i++) {
		char name[64];
		const char *value = strchr(script_env[i], '=');

		if (strncmp(script_env[i], prefix, strlen(prefix)) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(value - script_env[i]), script_env[i]);
		json_string(&json, name, value + 1);
	}
	json_end(&json);
}

/* ---- phases, processes ----------------------------------------------------------------------- */

EXPORT void new_phase(int p)
{
	phase = p;
	core_notify(phasechange, p);
}

EXPORT void die(int value)
{
	core_notify(exitnotify, value);
	exit(value);
}

/*
 * The parent tells of the new pid and exits without its exit notifiers; the child waits until it
 * has gone. The log and the way to the harness stay open.
 */
EXPORT void detach(void)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (detached)
		return;
	if (pipe2(fds, O_CLOEXEC) < 0)
		die(1);
	pid = fork();
	if (pid < 0)
		die(1);
	if (pid > 0) {
		core_notify(pidchange, pid);
		exit(0);
	}
	setsid();
	if (chdir("/") < 0)
		die(1);
	detached = 1;
	close(fds[1]);
	while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(fds[0]);
}
