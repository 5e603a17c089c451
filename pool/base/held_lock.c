/* SPDX-License-Identifier: MIT */
#include "held_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 250 /* so often those who wait look who has it, where that is not known */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The same for all processes; stands still while the machine sleeps, as a holder does then. */
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
	int64_t max_ms;
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
 * Nobody else has to do with it, for the signal is free again afterwards. Where it cannot be had, we
 * wait for as long as it takes.
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

/* A holder of another version may lock the whole file, and says nothing by that. */
static bool find_holder(int fd, off_t at, int64_t *ret_since_ms, long long *ret_pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at + 1 };

	if (fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || lock.l_start <= at)
		return false;
	*ret_since_ms = (int64_t)(lock.l_start - at) - 1;
	*ret_pid = (long long)lock.l_len;
	return true;
}

/* 0, or -ETIMEDOUT: he has had it for too long. */
static int look_at_holder(int fd, off_t at, struct wait *wait, struct lock_holder *ret)
{
	int64_t now = now_ms();
	int64_t since, next;

	ret->pid = 0;
	if (find_holder(fd, at, &since, &ret->pid)) {
		wait->unknown_ms = 0;
		next = since + wait->max_ms + 1;
	} else {
		/* Most likely he is about to. */
		if (wait->unknown_ms == 0)
			wait->unknown_ms = now;
		since = wait->unknown_ms;
		next = now + LOOK_MS;
	}
	ret->held_ms = now - since;
	if (ret->held_ms > wait->max_ms)
		return -ETIMEDOUT;
	tick_at(wait, next);
	return 0;
}

static int wait_for_lock(int fd, off_t at, int64_t max_ms, struct lock_holder *ret)
{
	struct wait wait = { .max_ms = max_ms };
	int code;

	start_ticking(&wait);
	code = look_at_holder(fd, at, &wait, ret);
	while (code == 0 && lock_bytes(fd, F_OFD_SETLKW, at, 1) != 0) {
		/* pppd's signals do not restart system calls either. */
		code = errno == EINTR ? look_at_holder(fd, at, &wait, ret) : -errno;
	}
	stop_ticking(&wait);
	return code;
}

/* ---- the lock ------------------------------------------------------------------------------- */

int held_lock_take(int fd, off_t at, int64_t max_ms, struct lock_holder *ret_holder)
{
	int code = 0;

	if (lock_bytes(fd, F_OFD_SETLK, at, 1) != 0) {
		code = errno == EAGAIN || errno == EACCES
			       ? wait_for_lock(fd, at, max_ms, ret_holder)
			       : -errno;
	}
	if (code == 0) /* without it, those who wait do not know who is to blame */
		(void)lock_bytes(fd, F_OFD_SETLK, at + 1 + (off_t)now_ms(), (off_t)getpid());
	return code;
}

const char *lock_holder_text(const struct lock_holder *holder, char buf[LOCK_HOLDER_TEXT])
{
	if (holder->pid != 0)
		snprintf(buf, LOCK_HOLDER_TEXT, "process %lld", holder->pid);
	else
		snprintf(buf, LOCK_HOLDER_TEXT, "a process");
	return buf;
}

void held_lock_drop(int fd, off_t at)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = at };

	fcntl(fd, F_OFD_SETLK, &lock);
}
