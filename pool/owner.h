/* SPDX-License-Identifier: MIT */
/*
 * owner.h - who owns an address, as a lock that the kernel keeps.
 *
 * Every address has one byte in a lock file: address a.b.c.d byte d of owner/AABBCC. (One file for
 * every 256 addresses: the kernel walks a file's locks one by one.) A session holds its
 * address's byte exclusively; sessions that use an address as their own end share its byte. These
 * are open-file-description locks: they survive fork, are not lost when the process closes the
 * file elsewhere, and end when the last process that inherited the descriptor has ended.
 *
 * Addresses in host order. Functions do not block.
 */
#ifndef RASIP_OWNER_H
#define RASIP_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* The lock files of one runtime_dir; remembers the file that was last looked into. */
struct owner_dir {
	int runtime_fd; /* the caller's, or -1 */
	int file_fd;    /* for owner_is_held only, or -1 */
	uint32_t file;  /* addr >> 8 of file_fd */
};

#define OWNER_DIR_NONE ((struct owner_dir){ .runtime_fd = -1, .file_fd = -1 })

/* Looks for locks in the runtime_dir that is open as runtime_fd and stays so until the close. */
void owner_dir_open(int runtime_fd, struct owner_dir *ret);
void owner_dir_close(struct owner_dir *dir);

/*
 * Takes an address's lock, exclusively or (`shared`) as our own end. Returns 0 and a descriptor
 * that holds it; POOL_E_REFUSED if somebody else holds it; POOL_E_SYSTEM.
 */
int owner_take(struct owner_dir *dir, uint32_t addr, bool shared, int *ret_fd, struct error *error)
	__attribute__((warn_unused_result));

/* Gives an address's lock back, for every process that inherited it, closes *fd and makes it -1. */
void owner_drop(uint32_t addr, int *fd);

/* Whether anybody at all, this process included, holds the lock, exclusively or shared. If that
 * cannot be found out the answer is true: nobody loses a lease for want of a descriptor. */
bool owner_is_held(struct owner_dir *dir, uint32_t addr);

/* Whether a session holds it, exclusively: a lease is live by that alone. A dead lease's address
 * may be somebody's own end of a link by now. Where it cannot be found out: true. */
bool owner_is_live(struct owner_dir *dir, uint32_t addr);

#endif
