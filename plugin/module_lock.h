/* SPDX-License-Identifier: MIT */
/*
 * module_lock.h - one process at a time is inside get or release of a foreign module (RA-17).
 *
 * The file is RUNTIME_DIR/modules.lock; its first byte is the lock (held_lock.h).
 */
#ifndef RASIP_MODULE_LOCK_H
#define RASIP_MODULE_LOCK_H

#include "error.h"

/* As long may one process have the lock before others give up on it: a peer has given up by then. */
#define MODULE_LOCK_HELD_MAX_MS 30000

/*
 * Waits for the lock. Returns 0 and a descriptor that holds it; POOL_E_REFUSED where its holder has
 * had it for too long (`why` says who and how long: a module hangs); POOL_E_SYSTEM.
 */
int module_lock_take(const char *runtime_dir, int *ret_fd, struct error *why)
	__attribute__((warn_unused_result));

/* Gives it back, for every process that inherited it, closes *fd and makes it -1. */
void module_lock_drop(int *fd);

/* Only closes: the lock stays with the process that it was taken in. */
void module_lock_abandon(int *fd);

#endif
