/* SPDX-License-Identifier: MIT */
#include "module_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "directory.h"

#define LOCK_NAME "modules.lock"
#define LOOK_MS 250 /* so often those who wait look who has it, where that is not known */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The same for all processes; stands still while the machine sleeps, as a module does then. */
static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int lock_bytes(int fd, int command, off_t start, off_t length)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length
	};

	return fcntl(fd, command, &lock);
}

/* ---- waiting -------------------------------------------------------------------------------- */

struct wait {
	int64_t unknown_ms; /* since when the holder does not say who he is; 0: he does */
	struct sigaction handler_before;
	sigset_t mask_before;
	timer_t timer;
	bool has_timer;
};

static void on_tick(int number)
{
	(void)number; /* the system call returns, that is all */
}

static int tick_signal(void)
{
	return SIGRTMAX - 3;
}

/*
 * Interrupts this thread when it is told to: the kernel's queue is fair, and knows no time limit.
 * Neither pppd nor a module has to do with it, for the signal is free again afterwards. Where it
 * cannot be had, we wait for as long as it takes.
 */
static void start_ticking(struct wait *wait)
{
	const struct sigaction handler = { .sa_handler = on_tick };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = tick_signal() };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, tick_signal());
	sigaction(tick_signal(), &handler, &wait->handler_before);
	sigprocmask(SIG_UNBLOCK, &mask, &wait->mask_before);
	event.sigev_notify_thread_id = gettid();
	wait->has_timer = timer_create(CLOCK_MONOTONIC, &event, &wait->timer) == 0;
}

/* Who is interrupted goes to the end of the queue, so it is done when there is something to be seen;
 * and then again and again, as it may happen just before we wait. */
static void tick_at(const struct wait *wait, int64_t at_ms)
{
	const struct itimerspec when = {
		.it_interval.tv_nsec = LOOK_MS * 1000000,
		.it_value.tv_sec = (time_t)(at_ms / 1000),
		.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000,
	};

	if (wait->has_timer)
		timer_settime(wait->timer, TIMER_ABSTIME, &when, NULL);
}

/* A last tick comes before the first of these calls has returned. */
static void stop_ticking(const struct wait *wait)
{
	if (wait->has_timer)
		timer_delete(wait->timer);
	sigprocmask(SIG_SETMASK, &wait->mask_before, NULL);
	sigaction(tick_signal(), &wait->handler_before, NULL);
}

/* A holder of another version locks the whole file, and says nothing by that. */
static bool find_holder(int fd, int64_t *ret_since_ms, long long *ret_pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1 };

	if (fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || lock.l_start == 0)
		return false;
	*ret_since_ms = (int64_t)lock.l_start - 1;
	*ret_pid = (long long)lock.l_len;
	return true;
}

/* 0, or -ETIMEDOUT with `why` set: he has had it for too long. */
static int look_at_holder(int fd, struct wait *wait, const char *runtime_dir, struct error *why)
{
	int64_t now = now_ms();
	int64_t since, next;
	char holder[48] = "a process";
	long long pid;

	if (find_holder(fd, &since, &pid)) {
		wait->unknown_ms = 0;
		next = since + MODULE_LOCK_HELD_MAX_MS + 1;
		snprintf(holder, sizeof(holder), "process %lld", pid);
	} else {
		/* Most likely he is about to. */
		if (wait->unknown_ms == 0)
			wait->unknown_ms = now;
		since = wait->unknown_ms;
		next = now + LOOK_MS;
	}
	if (now - since <= MODULE_LOCK_HELD_MAX_MS) {
		tick_at(wait, next);
		return 0;
	}
	error_set(why, "a module does not return: %s has had %s/" LOCK_NAME " for %lld s", holder,
		  runtime_dir, (long long)(now - since) / 1000);
	return -ETIMEDOUT;
}

static int wait_for_lock(int fd, const char *runtime_dir, struct error *why)
{
	struct wait wait = { .unknown_ms = 0 };
	int code;

	start_ticking(&wait);
	code = look_at_holder(fd, &wait, runtime_dir, why);
	while (code == 0 && lock_bytes(fd, F_OFD_SETLKW, 0, 1) != 0) {
		/* pppd's signals do not restart system calls either. */
		code = errno == EINTR ? look_at_holder(fd, &wait, runtime_dir, why) : -errno;
	}
	stop_ticking(&wait);
	return code;
}

/* ---- the lock ------------------------------------------------------------------------------- */

/* 0 or a negative errno; -ETIMEDOUT with `why` set. */
static int take(int fd, const char *runtime_dir, struct error *why)
{
	int code = 0;

	if (lock_bytes(fd, F_OFD_SETLK, 0, 1) != 0) {
		code = errno == EAGAIN || errno == EACCES ? wait_for_lock(fd, runtime_dir, why)
							  : -errno;
	}
	if (code == 0) /* without it, those who wait do not know who is to blame */
		(void)lock_bytes(fd, F_OFD_SETLK, (off_t)now_ms() + 1, (off_t)getpid());
	return code;
}

int module_lock_take(const char *runtime_dir, int *ret_fd, struct error *why)
{
	int directory;
	int fd;
	/* Perhaps the first session since the machine started: nobody has made it yet. */
	int code = directory_open(runtime_dir, true, &directory, why);

	if (code < 0)
		return code;
	fd = openat(directory, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	code = fd < 0 ? -errno : take(fd, runtime_dir, why);
	close(directory);
	if (code == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (code != -ETIMEDOUT)
		error_set_errno(why, -code, "%s/" LOCK_NAME, runtime_dir);
	if (fd >= 0)
		close(fd);
	return code == -ETIMEDOUT ? POOL_E_REFUSED : POOL_E_SYSTEM;
}

void module_lock_drop(int *fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	/* Closing alone would leave the lock with a child that a module has forked. */
	if (*fd >= 0)
		fcntl(*fd, F_OFD_SETLK, &lock);
	module_lock_abandon(fd);
}

void module_lock_abandon(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
