/* SPDX-License-Identifier: MIT */
/* The lease book as madcapd has it: opened, made, and watched where it is shared. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "directory.h"
#include "madcapd.h"

#define HOST_SIZE 64
#define CLOCK_BEHIND_SEC 10 /* worth mentioning */

static struct book_options options_of(const struct server_config *config, char host[HOST_SIZE])
{
	int64_t extra = config->server.extra_allocation_sec;

	if (gethostname(host, HOST_SIZE) != 0)
		host[0] = '\0';
	host[HOST_SIZE - 1] = '\0';
	return (struct book_options){
		.connection = config->connection,
		.server = config->name != NULL ? config->name : host,
		.timeout_ms = (int)config->database_timeout_sec * 1000,
		.state_dir = config->state_dir,
		.extra_sec = extra > UINT32_MAX ? UINT32_MAX : (uint32_t)extra,
	};
}

/* As the book in a file does: a second one would take the admin socket away from the first. */
static int lock_directory(const struct madcapd *daemon, struct error *error)
{
	if (flock(daemon->dir_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		error_set(error,
			  "%s: another process has this directory: state_dir is for one "
			  "madcapd alone",
			  daemon->config->state_dir);
		return POOL_E_REFUSED;
	}
	error_set_errno(error, errno, "%s: cannot lock it", daemon->config->state_dir);
	return POOL_E_SYSTEM;
}

int madcapd_open_book(struct madcapd *daemon, struct error *error)
{
	const struct server_config *config = daemon->config;
	char host[HOST_SIZE];
	struct book_options options = options_of(config, host);
	int code = directory_open(config->state_dir, true, &daemon->dir_fd, error);

	if (code == 0 && config->connection != NULL)
		code = lock_directory(daemon, error);
	if (code < 0)
		return code;
	if (getrandom(&options.seed, sizeof(options.seed), 0) != sizeof(options.seed)) {
		error_set_errno(error, errno, "no random numbers");
		return POOL_E_SYSTEM;
	}
	return book_open(&options, &daemon->book, error);
}

int madcapd_init_book(const struct server_config *config, struct error *error)
{
	char host[HOST_SIZE];
	struct book_options options = options_of(config, host);
	const char *did = NULL;
	int code;

	if (config->connection == NULL) {
		error_set(error, "--init-book is for book = \"postgresql\": a file needs no "
				 "preparation");
		return POOL_E_CONFIG;
	}
	code = book_init_shared(&options, &did, error);
	if (code == 0)
		printf("the lease book %s\n", did);
	return code;
}

/* Leases of a file go by this host's clock, but never back (book_now()). */
static void watch_clock(struct madcapd *daemon)
{
	struct madcap_clock clock = madcapd_clock();
	int64_t behind = book_now(daemon->book, clock.mono_ms, clock.unix_sec) - clock.unix_sec;
	bool is_behind = !book_is_shared(daemon->book) && behind > CLOCK_BEHIND_SEC;

	if (is_behind == daemon->is_behind)
		return;
	daemon->is_behind = is_behind;
	if (is_behind)
		madcapd_say("the clock is behind the newest lease by %" PRId64
			    " s: leases go by a time that goes on from there",
			    behind);
	else
		madcapd_say("the clock is no longer behind the newest lease");
}

void madcapd_watch_book(struct madcapd *daemon)
{
	int64_t now_ms = madcapd_clock().mono_ms;
	const char *problem;

	watch_clock(daemon);
	daemon->book_wait_ms = book_work(daemon->book);
	problem = book_problem(daemon->book);
	if (problem == NULL && daemon->said_problem_ms != 0) {
		struct book_health health = { .place = "" };

		(void)book_health(daemon->book, &health);
		madcapd_say("the lease book can be used again, at %s", health.place);
		daemon->said_problem_ms = 0;
	} else if (problem != NULL && (daemon->said_problem_ms == 0 ||
				       now_ms - daemon->said_problem_ms >= MADCAPD_SAY_AGAIN_MS)) {
		madcapd_say("the lease book cannot be used, so nothing is granted: %s", problem);
		daemon->said_problem_ms = now_ms;
	}
}

uint32_t madcapd_book_now(const struct madcapd *daemon)
{
	struct madcap_clock clock = madcapd_clock();

	return (uint32_t)book_now(daemon->book, clock.mono_ms, clock.unix_sec);
}
