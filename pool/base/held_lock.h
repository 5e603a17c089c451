/* SPDX-License-Identifier: MIT */
/*
 * held_lock.h - a lock between processes that tells who has it, and since when.
 *
 * The byte at `at` of a file is the lock; who has it also locks a row of bytes behind it, which begins
 * at the time since when he has it and is as long as his process number is large: so those who wait
 * can see both, and there is nothing that could be out of date when a holder was killed. Nothing else
 * in the file may be locked at `at` or behind it.
 *
 * These are open-file-description locks: they end with the process, whatever kills it, and whoever
 * opens and closes the same file cannot lose them for us as he could classic POSIX locks. Whoever
 * waits is served in his turn.
 */
#ifndef RASIP_HELD_LOCK_H
#define RASIP_HELD_LOCK_H

#include <stdint.h>
#include <sys/types.h>

#define LOCK_HOLDER_TEXT 32

struct lock_holder {
	long long pid;   /* 0: he does not say */
	int64_t held_ms; /* so long he has had it or, if he does not say, we have waited */
};

/*
 * Waits for the lock, with whatever signals blocked. Returns 0; -ETIMEDOUT where its holder has had it
 * for longer than `max_ms`, and *ret_holder is he; another negative errno.
 */
int held_lock_take(int fd, off_t at, int64_t max_ms, struct lock_holder *ret_holder)
	__attribute__((warn_unused_result));

/* "process 4711", or "a process"; returns buf. */
const char *lock_holder_text(const struct lock_holder *holder, char buf[LOCK_HOLDER_TEXT]);

/* Gives it back, for every process that inherited it; harmless where it is not held. Closing alone
 * would leave the lock with a child that was forked meanwhile. */
void held_lock_drop(int fd, off_t at);

#endif
