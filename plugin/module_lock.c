/* SPDX-License-Identifier: MIT */
#include "module_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "directory.h"
#include "held_lock.h"

#define LOCK_NAME "modules.lock"

/* 0 or a negative errno; -ETIMEDOUT with `why` set. */
static int take(int fd, const char *runtime_dir, struct error *why)
{
	struct lock_holder holder = { 0 };
	char text[LOCK_HOLDER_TEXT];
	int code = held_lock_take(fd, 0, MODULE_LOCK_HELD_MAX_MS, &holder);

	if (code == -ETIMEDOUT)
		error_set(why, "a module does not return: %s has had %s/" LOCK_NAME " for %lld s",
			  lock_holder_text(&holder, text), runtime_dir,
			  (long long)holder.held_ms / 1000);
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
	if (*fd >= 0)
		held_lock_drop(*fd, 0);
	module_lock_abandon(fd);
}

void module_lock_abandon(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
