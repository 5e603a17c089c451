/* SPDX-License-Identifier: MIT */
/*
 * A storm of sessions. Each is a process of its own, as always. Sessions that are up stay so until
 * half of those that may run are up: what matters is many leases at a time, coming and going. Only
 * some load the plugin at a time: starting a process costs many times what an address does, and
 * would drown it.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

struct storm {
	struct fleet *fleet;
	struct session **running;
	struct pollfd *fds;
	unsigned *latencies; /* microseconds in ip_choose_hook, of each session */
	size_t n_latencies;
	size_t n_running, n_up;
	size_t n_loading, n_loading_max; /* processes that have not loaded the plugin yet */
	unsigned long n_started, n_refused, n_to_start, n_parallel;
	char refusal[CALL_LINE_MAX]; /* the answer of the first one that was refused */
};

static int start_one(struct storm *storm)
{
	struct session *session = fleet_start(storm->fleet);
	char line[256];

	if (!session)
		return -1;
	snprintf(line, sizeof(line), "connect storm%lu user=storm-user%lu port=storm%lu brief",
		 storm->n_started, storm->n_started, storm->n_started);
	storm->n_started++;
	storm->n_loading++;
	session_send(session, line);
	storm->fds[storm->n_running] = (struct pollfd){ .fd = session->fd, .events = POLLIN };
	storm->running[storm->n_running++] = session;
	return 0;
}

static void disconnect_one(struct storm *storm)
{
	for (size_t i = 0; i < storm->n_running; i++)
		if (storm->running[i]->address) {
			session_send(storm->running[i], "disconnect x");
			storm->running[i]->address = 0;
			storm->n_up--;
			return;
		}
}

/* Sessions stay in the order in which they started. */
static void finish_one(struct storm *storm, size_t i)
{
	struct session *session = storm->running[i];

	if (session->address)
		storm->n_up--;
	if (!session->is_ready)
		storm->n_loading--;
	session_wait(storm->fleet, session);
	session_free(session);
	storm->n_running--;
	memmove(&storm->running[i], &storm->running[i + 1],
		(storm->n_running - i) * sizeof(*storm->running));
	memmove(&storm->fds[i], &storm->fds[i + 1], (storm->n_running - i) * sizeof(*storm->fds));
}

static void note_reply(struct storm *storm, struct session *session, const struct reply *reply)
{
	if (strcmp(reply->result, "ready") == 0) {
		session->is_ready = 1;
		storm->n_loading--;
		return;
	}
	storm->latencies[storm->n_latencies++] = reply->choose_us;
	if (strcmp(reply->result, "up") == 0) {
		storm->n_up++;
		return;
	}
	if (storm->n_refused++ == 0)
		snprintf(storm->refusal, sizeof(storm->refusal), "%s", reply->json);
	if (strcmp(reply->result, "again") == 0)
		session_send(session, "disconnect x");
}

static void read_replies(struct storm *storm)
{
	struct reply reply;

	for (size_t i = storm->n_running; i-- > 0;) {
		int code;

		if (!storm->fds[i].revents)
			continue;
		code = session_poll(storm->running[i], &reply);
		if (code > 0)
			note_reply(storm, storm->running[i], &reply);
		else if (code == 0)
			finish_one(storm, i);
	}
}

static int may_start(const struct storm *storm)
{
	return storm->n_started < storm->n_to_start && storm->n_running < storm->n_parallel &&
	       storm->n_loading < storm->n_loading_max;
}

static int play(struct storm *storm)
{
	while (storm->n_running || storm->n_started < storm->n_to_start) {
		size_t stay;

		while (may_start(storm) && start_one(storm) == 0)
			;
		if (!storm->n_running)
			return -1;
		stay = storm->n_started < storm->n_to_start ? storm->n_parallel / 2 : 0;
		while (storm->n_up > stay)
			disconnect_one(storm);
		if (poll(storm->fds, storm->n_running, (int)(storm->fleet->limit * 1000)) <= 0)
			return -1;
		read_replies(storm);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static unsigned percentile(const struct storm *storm, unsigned percent)
{
	if (storm->n_latencies == 0)
		return 0;
	return storm->latencies[(storm->n_latencies - 1) * percent / 100];
}

static void report(struct storm *storm, double seconds, unsigned duplicates, char *text,
		   size_t size)
{
	/* A session that ended without an answer had no connection either. */
	const unsigned long mute = storm->n_to_start - storm->n_latencies;
	struct json json;

	qsort(storm->latencies, storm->n_latencies, sizeof(*storm->latencies), compare);
	json_begin(&json, text, size);
	json_number(&json, "sessions", (double)storm->n_to_start);
	json_number(&json, "refused", (double)(storm->n_refused + mute));
	json_number(&json, "duplicates", duplicates);
	json_number(&json, "seconds", seconds);
	json_number(&json, "p50_us", percentile(storm, 50));
	json_number(&json, "p99_us", percentile(storm, 99));
	json_end(&json);
	if (storm->n_refused > 0)
		fprintf(stderr, "ras-harness: the first that was refused: %s\n", storm->refusal);
}

static void abandon(struct storm *storm)
{
	const double limit = storm->fleet->limit;

	storm->fleet->limit = 0;
	while (storm->n_running)
		finish_one(storm, storm->n_running - 1);
	storm->fleet->limit = limit;
}

int storm_run(struct fleet *fleet, const struct call *call, char *text, size_t size)
{
	struct storm storm = { .fleet = fleet,
			       .n_to_start = call->sessions,
			       .n_parallel = call->parallel,
			       .n_loading_max = 4 * (size_t)sysconf(_SC_NPROCESSORS_ONLN) };
	const unsigned duplicates = live_duplicates(fleet->config.live);
	const double start = fleet_now();
	int code = -1;

	storm.running = calloc(call->parallel, sizeof(*storm.running));
	storm.fds = calloc(call->parallel, sizeof(*storm.fds));
	storm.latencies = calloc(call->sessions, sizeof(*storm.latencies));
	if (storm.running && storm.fds && storm.latencies) {
		code = play(&storm);
		abandon(&storm);
		report(&storm, fleet_now() - start,
		       live_duplicates(fleet->config.live) - duplicates, text, size);
	}
	free(storm.running);
	free(storm.fds);
	free(storm.latencies);
	return code;
}
