/* SPDX-License-Identifier: MIT */
/*
 * fault.h - calls of the system that fail when a test says so.
 *
 * fault.c defines malloc, open, pwrite, fcntl, recvmsg and their like. Linked into a program it
 * stands before the C library, for the program's own code as well as for LMDB, libconfig, jansson
 * and the library's own use of malloc; loaded by LD_PRELOAD it does so in a program that knows
 * nothing of it (see below). While nothing is armed, every call goes through and is only counted.
 *
 *	struct fault_plan plan = { .at = 1, .kinds = FAULT_ALL };
 *
 *	fault_arm(&plan);
 *	code = pool_acquire(...);
 *	fault_disarm();
 *	if (fault_struck() == NULL)
 *		it has no first call that could fail;
 *
 * Only the thread that arms is struck. What is allocated, and what is mapped, is counted all the
 * time, so that a test can tell what a failure has left behind: fault_held().
 *
 * As a library, it is told by the environment: FAULT_AT is the number of the call that fails,
 * FAULT_KINDS (a number), FAULT_LASTING and FAULT_VARIANT are as in the plan, FAULT_FORKS says how
 * many forks deep the process is that is meant (0: the program itself), FAULT_CALLERS names the files
 * whose calls are meant ("rasip.so liblmdb.so.0"; all, where it is not set), and FAULT_REPORT a file
 * that gets the name of the call that was struck.
 */
#ifndef RASIP_TESTS_FAULT_H
#define RASIP_TESTS_FAULT_H

#include <stdbool.h>

enum fault_kind {
	FAULT_MEMORY = 1,  /* malloc and its like */
	FAULT_FILES = 2,   /* open, read, write, mmap, rename ... */
	FAULT_LOCKS = 4,   /* fcntl, flock */
	FAULT_NETWORK = 8, /* socket, sendmsg, poll ... */
	FAULT_RANDOM = 16, /* getrandom */
	FAULT_ALL = FAULT_MEMORY | FAULT_FILES | FAULT_LOCKS | FAULT_NETWORK,
};

struct fault_plan {
	unsigned long at;   /* the first is 1; 0: none fails, but all are counted */
	unsigned int kinds; /* of enum fault_kind: others neither fail nor count */
	unsigned int
		variant; /* which of a call's errors: it has one to four, and then begins again */
	bool lasting;    /* all the calls behind it fail as well */
};

void fault_arm(const struct fault_plan *plan);
void fault_disarm(void);

/* The name of the first call that has failed since the last fault_arm(), or NULL. */
const char *fault_struck(void);

/* Where that was: return addresses, as offsets in their files, on standard error. */
void fault_tell(void);

/* How many calls there were since the last fault_arm(). */
unsigned long fault_calls(void);

/* How many calls have failed in all. */
unsigned long fault_total(void);

/* Whether memory is asked for here: not under memcheck, which has functions of its own for it, and
 * finds by itself what has been left behind. */
bool fault_has_memory(void);

/* How many pieces of memory are allocated at the moment, and how many maps there are. */
long fault_held(void);

#endif
