/* SPDX-License-Identifier: MIT */
/*
 * owner.h - who owns an address, as a lock that the kernel keeps.
 *
 * Every address has one byte in one of OWNER_FILES lock files (owner_file_name): the byte whose
 * offset is the address. The kernel walks a file's locks one by one, so that many locks in one
 * file are slow, and opening a file takes as long as some ten questions, so that many files are
 * slow: with 100 000 leases, wherever they lie, a file has about 50. A session holds its
 * address's byte exclusively; sessions that use an address as their own end share its byte. These
 * are open-file-description locks: they survive fork, are not lost when the process closes the
 * file elsewhere, and end when the last process that inherited the descriptor has ended.
 *
 * Where the lock of an address stands is part of the version of the lease store (record.h): a
 * process that looked elsewhere would take living leases for dead.
 *
 * Addresses in host order. Functions do not block.
 */
#ifndef RASIP_OWNER_H
#define RASIP_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define OWNER_FILES 2048
#define OWNER_FILE_NAME_SIZE sizeof("owner/7ff")

/* The file that has the address's byte, below runtime_dir. Neighbours share one, most often: who
 * asks for one of them asks for others. */
static inline unsigned int owner_file(uint32_t addr)
{
	return addr >> 4 & (OWNER_FILES - 1);
}

void owner_file_name(unsigned int file, char ret_name[static OWNER_FILE_NAME_SIZE]);

/* The lock files of one runtime_dir; remembers the file that was last looked into. */
struct owner_dir {
	int runtime_fd;    /* the caller's, or -1 */
	int file_fd;       /* for owner_is_held only, or -1 */
	unsigned int file; /* owner_file() of file_fd */
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

/* A lease, and whether a session holds its lock. */
struct owner_question {
	uint64_t id; /* the asker's */
	uint32_t addr;
	uint32_t order; /* owner_ask's own */
	bool live;      /* the answer, as owner_is_live */
};

/* A list of questions, empty when zero. */
struct owner_questions {
	struct owner_question *list;
	size_t n;
	size_t room;
};

/* In the order of addresses. 0, POOL_E_NO_MEMORY, or POOL_E_INVALID for one that is out of order. */
int owner_add_question(struct owner_questions *questions, uint32_t addr, uint64_t id)
	__attribute__((warn_unused_result));
void owner_questions_done(struct owner_questions *questions);

/*
 * Answers all questions, file by file, in as many threads as `threads` allows and their number
 * deserves: the kernel tells of one lock at a time, and that is all the time there is to save. 0 or
 * 1: in none but the caller's, as has to be in a process that is not ours.
 */
void owner_ask(const struct owner_dir *dir, struct owner_questions *questions,
	       unsigned int threads);

#endif
