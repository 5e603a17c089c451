/* SPDX-License-Identifier: MIT */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_MODE 0750
#define PARENT_MODE 0755

/* The umask of whoever started pppd must not decide who may read leases. Nor is a mode to be set
 * afterwards: by then something else may stand there, where others may write. */
static int make(const char *path, mode_t mode)
{
	mode_t mask = umask(0);
	int code = mkdir(path, mode);

	umask(mask);
	return code != 0 && errno != EEXIST ? -1 : 0;
}

static int make_path(char *part, struct error *error)
{
	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (make(part, PARENT_MODE) != 0) {
			error_set_errno(error, errno, "cannot make directory %s", part);
			return POOL_E_SYSTEM;
		}
		*slash = '/';
	}
	if (make(part, OWN_MODE) != 0) {
		error_set_errno(error, errno, "cannot make directory %s", part);
		return POOL_E_SYSTEM;
	}
	return 0;
}

static int check_trust(const char *path, int fd, struct error *error)
{
	struct stat stat;

	if (fstat(fd, &stat) != 0) {
		error_set_errno(error, errno, "%s", path);
		return POOL_E_SYSTEM;
	}
	if (stat.st_uid != geteuid()) {
		error_set(error, "%s belongs to user %u, not to user %u who runs this: not used",
			  path, (unsigned int)stat.st_uid, (unsigned int)geteuid());
		return POOL_E_SYSTEM;
	}
	if ((stat.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		error_set(error, "%s may be written by others (mode %04o): not used", path,
			  (unsigned int)stat.st_mode & 07777U);
		return POOL_E_SYSTEM;
	}
	return 0;
}

/* A slash at the end would have a link followed, and the directory made as if it were a parent. */
static int without_slashes(const char *path, char ret[static PATH_MAX], struct error *error)
{
	int length = snprintf(ret, PATH_MAX, "%s", path);

	if (length < 0 || length >= PATH_MAX) {
		error_set_errno(error, ENAMETOOLONG, "cannot open directory %s", path);
		return POOL_E_SYSTEM;
	}
	while (length > 1 && ret[length - 1] == '/')
		ret[--length] = '\0';
	return 0;
}

/* Of a link, the kernel only says that it is no directory. */
static void cannot_open(const char *path, const char *plain, int errnum, struct error *error)
{
	struct stat stat;

	if (lstat(plain, &stat) == 0 && S_ISLNK(stat.st_mode))
		error_set(error, "%s is a symbolic link, which is not followed: name the directory",
			  path);
	else
		error_set_errno(error, errnum, "cannot open directory %s", path);
}

int directory_open(const char *path, bool create, int *ret_fd, struct error *error)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char plain[PATH_MAX];
	int fd;
	int code = without_slashes(path, plain, error);

	if (code < 0)
		return code;
	fd = open(plain, flags);
	if (fd < 0 && errno == ENOENT) {
		if (!create) {
			error_set(error, "%s does not exist", path);
			return POOL_E_NOT_FOUND;
		}
		code = make_path(plain, error);
		if (code < 0)
			return code;
		fd = open(plain, flags);
	}
	if (fd < 0) {
		cannot_open(path, plain, errno, error);
		return POOL_E_SYSTEM;
	}
	code = check_trust(path, fd, error);
	if (code < 0) {
		close(fd);
		return code;
	}
	*ret_fd = fd;
	return 0;
}
