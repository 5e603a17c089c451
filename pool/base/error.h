/* SPDX-License-Identifier: MIT */
/*
 * error.h - what went wrong, in words a person can act on.
 *
 * Library functions return 0 or one of the negative codes below and, where they take a
 * struct error, leave one line of text in it: no trailing newline, no trailing full stop.
 * They never log; whoever decides that the operation failed does that, once.
 */
#ifndef RASIP_ERROR_H
#define RASIP_ERROR_H

#include <stddef.h>

/* Every code that functions of pool/ return. 0 is success; all of these are negative. */
enum pool_code {
	POOL_OK = 0,
	POOL_E_REFUSED =
		-1, /* a decision, not a fault: full, limit reached, reserved, in use, mode */
	POOL_E_INVALID = -2, /* the caller's bug, or an argument that can never be right */
	POOL_E_NO_MEMORY = -3,
	POOL_E_SYSTEM = -4,    /* a system call failed: directory, lock, netlink */
	POOL_E_STORE = -5,     /* the store failed: full, read-only, unreadable */
	POOL_E_DAMAGED = -6,   /* the store is damaged, or is no store of ours */
	POOL_E_VERSION = -7,   /* the store was written by another version */
	POOL_E_NOT_FOUND = -8, /* no such lease, no such pool, no store yet */
	POOL_E_NOT_OWNER = -9, /* the lease exists and is somebody else's (RA-55) */
	POOL_E_CONFIG = -10,   /* the configuration does not load */
	POOL_E_BACKEND = -11,  /* a pool's backend failed: the server, for a MADCAP pool */
};

struct error {
	char text[512];
};

/* Replaces the text. A NULL error is allowed and ignored. */
void error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As error_set, with ": " and strerror(errnum) behind it. */
void error_set_errno(struct error *error, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts this and a blank before the text. */
void error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A short text for a code, static storage; "unknown error" for any other number. */
const char *pool_strerror(int code);

#endif
