/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"

#define POLL_MOST_MS 20
#define TIMEOUT_DEFAULT_SEC 10

/* What has been done, or why nothing could be. */
struct outcome {
	const char *result; /* one word for programs */
	char sentence[512];
};

struct target {
	struct pool *pool;
	const char *runtime_dir;
	char address[IP4_TEXT_SIZE];
	uint32_t addr_be;
	int64_t timeout_sec;
	/* The lease as it was found. */
	bool known;
	enum pool_state state;
	uint64_t id;
	pid_t pid;
	int64_t seen_ms;
	bool notify;          /* its module has to be told */
	char user[TEXT_SIZE]; /* fit to be printed */
	char module[TEXT_SIZE];
};

static void succeed(struct outcome *outcome, const char *result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void succeed(struct outcome *outcome, const char *result, const char *format, ...)
{
	va_list args;

	outcome->result = result;
	va_start(args, format);
	vsnprintf(outcome->sentence, sizeof(outcome->sentence), format, args);
	va_end(args);
}

/* Signals the lease's process and no other: the pidfd, taken before the process is looked at, goes
 * on meaning that one. */
static int hang_up(const struct target *target)
{
	int fd = pidfd_open(target->pid, 0);
	int status = 0;

	if (fd < 0 && errno != ESRCH)
		return complain("process %d: %s", (int)target->pid, strerror(errno));
	if (fd < 0 ||
	    !is_holder(target->pid, target->runtime_dir, ntohl(target->addr_be), target->seen_ms))
		status = complain("%s belongs to a live session, but process %d is not it: perhaps "
				  "it runs in another container; hang it up there",
				  target->address, (int)target->pid);
	else if (pidfd_send_signal(fd, SIGHUP, NULL, 0) < 0 && errno != ESRCH)
		status = complain("process %d cannot be hung up: %s", (int)target->pid,
				  strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum fate { ENDED, DEAD, ALIVE };

static int look(const struct target *target, enum fate *ret)
{
	struct pool_record record;
	struct error why = { "" };
	bool alive = false;
	int code = pool_lookup(target->pool, target->addr_be, &record, &alive, &why);

	pool_rest(target->pool);
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return complain("%s", why.text);
	if (code == POOL_E_NOT_FOUND || record.state != POOL_STATE_ACTIVE ||
	    record.id != target->id)
		*ret = ENDED;
	else
		*ret = alive ? ALIVE : DEAD;
	return 0;
}

/* A session that ends between the two things that a look consists of, reading its record and trying
 * its lock, seems dead; one that still does when looked at again is. */
static int look_closely(const struct target *target, enum fate *ret)
{
	int status = look(target, ret);

	return status == 0 && *ret == DEAD ? look(target, ret) : status;
}

/* Waits until the session that was hung up has given its lease back, or has died with it. */
static int wait_for_end(const struct target *target, enum fate *ret)
{
	int64_t end_ms =
		target->timeout_sec > INT32_MAX ? INT64_MAX : now_ms() + target->timeout_sec * 1000;
	struct timespec pause = { .tv_nsec = 500000 };

	/* Most sessions are over within a millisecond or two, so the first looks follow closely. */
	for (;; pause.tv_nsec = pause.tv_nsec * 3 / 2) {
		int status = look_closely(target, ret);

		if (status != 0 || *ret != ALIVE)
			return status;
		if (now_ms() >= end_ms)
			return complain(
				"process %d was hung up but has not ended its session within "
				"%lld s; it keeps %s",
				(int)target->pid, (long long)target->timeout_sec, target->address);
		if (pause.tv_nsec > POLL_MOST_MS * 1000000L)
			pause.tv_nsec = POLL_MOST_MS * 1000000L;
		nanosleep(&pause, NULL);
	}
}

static int forget(const struct target *target, struct outcome *outcome)
{
	struct error why = { "" };
	int code = pool_forget(target->pool, target->addr_be, &why);

	pool_rest(target->pool);
	if (code == POOL_E_NOT_FOUND)
		return complain("no lease for %s", target->address);
	if (code == POOL_E_NOT_OWNER)
		return complain("%s has just been given to a session", target->address);
	if (code < 0)
		return complain("%s", why.text);
	if (target->state == POOL_STATE_HELD)
		succeed(outcome, "rest-ended", "no longer at rest, and its last user is forgotten");
	else
		succeed(outcome, "forgotten", "user %s no longer has a claim to it", target->user);
	return 0;
}

static void tell_hung_up(const struct target *target, struct outcome *outcome)
{
	succeed(outcome, "hung-up", "the session of user %s (process %d) was hung up and has ended",
		target->user, (int)target->pid);
}

/* A session gives its lock back a moment before its record: under load it may look dead for some
 * time, and have ended well by now. */
static int release_dead(const struct target *target, struct outcome *outcome)
{
	struct error why = { "" };
	int code;

	if (target->notify)
		return complain(
			"the dead process %d had %s from module %s, which the next pppd tells "
			"before it is free",
			(int)target->pid, target->address, target->module);
	code = pool_take_back(target->pool, target->addr_be, target->id, &why);
	pool_rest(target->pool);
	if (code == POOL_E_NOT_FOUND)
		tell_hung_up(target, outcome);
	else if (code < 0)
		return complain("%s", why.text);
	else
		succeed(outcome, "reclaimed", "taken back from the dead process %d of user %s",
			(int)target->pid, target->user);
	return 0;
}

static int release_active(const struct target *target, struct outcome *outcome)
{
	enum fate fate = ENDED;
	int status = look_closely(target, &fate);

	if (status == 0 && fate == DEAD)
		return release_dead(target, outcome);
	if (status == 0 && fate == ALIVE)
		status = hang_up(target);
	if (status == 0 && fate == ALIVE)
		status = wait_for_end(target, &fate);
	/* It died of the signal rather than closing the link: what it left is ours to clear up. */
	if (status == 0 && fate == DEAD)
		return release_dead(target, outcome);
	if (status == 0)
		tell_hung_up(target, outcome);
	return status;
}

static int see_target(void *context, const struct pool_record *record)
{
	struct target *target = context;

	target->known = true;
	target->state = record->state;
	target->id = record->id;
	target->pid = record->pid;
	target->seen_ms = record->seen_ms;
	target->notify = record->notify;
	text_plain(record->user, "\"\"", target->user, sizeof(target->user));
	text_plain(record->module, "", target->module, sizeof(target->module));
	return 0;
}

static int find_target(struct target *target)
{
	const struct pool_filter filter = { .addr_be = target->addr_be, .all = true };
	struct error why = { "" };
	int code = pool_walk(target->pool, &filter, see_target, target, &why);

	pool_rest(target->pool);
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return complain("%s", why.text);
	return target->known ? 0 : complain("no lease for %s", target->address);
}

static void print_outcome(const struct invocation *invocation, const struct target *target,
			  const struct outcome *outcome)
{
	json_t *object;

	if (!invocation->json) {
		printf("%s: %s\n", target->address, outcome->sentence);
		return;
	}
	object = json_object();
	json_put(object, "address", json_text(target->address));
	json_put(object, "result", json_text(outcome->result));
	json_put(object, "pid", target->pid > 0 ? json_count((uint64_t)target->pid) : json_null());
	json_print(object);
}

static int read_arguments(const struct invocation *invocation, struct target *target)
{
	const char *timeout = invocation->option[OPTION_TIMEOUT];
	uint32_t addr;

	if (!parse_ip4(invocation->argument, &addr) || addr == 0)
		return complain_usage(invocation->verb, "'%s' is not an IPv4 address",
				      invocation->argument);
	target->addr_be = htonl(addr);
	format_ip4(addr, target->address);
	target->timeout_sec = TIMEOUT_DEFAULT_SEC;
	if (timeout != NULL && !parse_duration(timeout, &target->timeout_sec))
		return complain_usage(invocation->verb, "'%s' is not a time, as '10s' or '1m'",
				      timeout);
	return 0;
}

static int run(const struct invocation *invocation)
{
	struct outcome outcome = { 0 };
	struct target target = { 0 };
	struct view view;
	int status = read_arguments(invocation, &target);

	if (status == 0)
		status = view_open(&view, invocation, NULL);
	if (status != 0)
		return status;
	target.pool = view.pool;
	target.runtime_dir = view.config->runtime_dir;
	status = find_target(&target);
	if (status == 0)
		status = target.state == POOL_STATE_ACTIVE ? release_active(&target, &outcome)
							   : forget(&target, &outcome);
	if (status == 0)
		print_outcome(invocation, &target, &outcome);
	view_close(&view);
	return status;
}

static const struct verb_option options[] = {
	{ OPTION_TIMEOUT, "timeout", "TIME", "how long the session may take to end; default: 10s",
	  false },
	{ 0 },
};

const struct verb verb_release = {
	.name = "release",
	.argument = "ADDRESS",
	.brief = "ends a lease; a session that has it is hung up",
	.text = "A live session is sent SIGHUP, at which pppd closes the link, and the command\n"
		"returns when it has ended (a pppd with the option persist then dials again).\n"
		"What a dead process left is taken back. An address at rest rests no longer,\n"
		"and one that is remembered for its last user is forgotten. Where nothing is\n"
		"known of the address: exit status 1.\n",
	.options = options,
	.json = true,
	.run = run,
};
