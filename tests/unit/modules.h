/* SPDX-License-Identifier: MIT */
/*
 * modules.h - for tests of the plugin: the modules of tests/modules, and one file in which they
 * and the tests' own fakes write down, in order, everything that is called.
 */
#ifndef TEST_MODULES_H
#define TEST_MODULES_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"

static char work[SCRATCH_SIZE];
static char trace_path[PATH_MAX / 2];

/* A new directory, only ours to write, with an empty trace. */
static void work_setup(void)
{
	scratch_make(work);
	snprintf(trace_path, sizeof(trace_path), "%s/trace", work);
}

static void work_teardown(void)
{
	scratch_remove(work);
}

__attribute__((format(printf, 1, 2), unused)) static void trace(const char *format, ...)
{
	char line[2048];
	va_list args;
	int fd = open(trace_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	ck_assert_int_eq(write(fd, line, (size_t)n), n);
	close(fd);
}

/* Compares the whole trace, and empties it. */
static void expect_trace_at(const char *file, int line, const char *expected)
{
	char text[16384] = "";
	int fd = open(trace_path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		close(fd);
		unlink(trace_path);
	}
	ck_assert_msg(strcmp(text, expected) == 0, "%s:%d: expected\n%sbut was\n%s", file, line,
		      expected, text);
}

#define expect_trace(expected) expect_trace_at(__FILE__, __LINE__, expected)

/*
 * A copy of a module under another name: the dynamic linker takes it for another module, with
 * variables of its own. `path` has PATH_MAX bytes.
 */
static const char *copy_module(const char *module, const char *as, char *path)
{
	const char *build = getenv("RASIP_BUILD");
	char exe[PATH_MAX / 2] = "";
	char command[2 * PATH_MAX];
	ssize_t n;

	if (build == NULL) {
		n = readlink("/proc/self/exe", exe, sizeof(exe) - 1); /* BUILD/tests/test_x */
		ck_assert_int_gt(n, 0);
		for (int i = 0; i < 2; i++)
			*strrchr(exe, '/') = '\0';
		build = exe;
	}
	snprintf(path, PATH_MAX, "%s/%s.so", work, as);
	snprintf(command, sizeof(command), "cp '%s/modules/%s.so' '%s'", build, module, path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(chmod(path, 0700), 0);
	return path;
}

/* The modules' lock in this directory, as a process has it that went into a module so long ago and
 * does not come back; `says` whether it lets others see that. Its descriptor. */
__attribute__((unused)) static int hang_in_module(const char *runtime_dir, int64_t ago_ms,
						  bool says)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct timespec now;
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/modules.lock", runtime_dir);
	(void)mkdir(runtime_dir, 0700);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	lock.l_start = (off_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000 - ago_ms + 1);
	lock.l_len = 4711;
	if (says)
		ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

#endif
