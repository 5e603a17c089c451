/* SPDX-License-Identifier: MIT */
/*
 * directory.h - the directories that rasip keeps its files in, and whether they can be trusted.
 */
#ifndef RASIP_DIRECTORY_H
#define RASIP_DIRECTORY_H

#include <stdbool.h>

#include "error.h"

/*
 * Opens a directory that only we may write: owned by our effective user, not writable by group or
 * others, not a symbolic link. With `create`, what is missing of the path is made, the last part
 * with mode 0750 and the rest with 0755, whatever the umask (which is the whole process's, and another
 * one meanwhile: no other thread may be making files). *ret_fd (close-on-exec) is the caller's.
 * Returns 0, POOL_E_NOT_FOUND (without `create`), POOL_E_SYSTEM with the path and the reason.
 */
int directory_open(const char *path, bool create, int *ret_fd, struct error *error)
	__attribute__((warn_unused_result));

#endif
