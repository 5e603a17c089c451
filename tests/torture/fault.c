/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../unit/memcheck.h"

#define FRAMES 16
#define SHORT (-1) /* instead of an errno: half of it is done */

static struct {
	struct fault_plan plan;
	bool armed;
	pthread_t thread;
	unsigned long calls;
	unsigned long total;
	const char *struck;
	void *frames[FRAMES];
	int n_frames;
	long held;
	/* As a library. */
	int forks_left; /* until this is the process that is meant */
	bool by_environment;
	char report[256];
	char callers[256];
} fault = { .forks_left = -1 };

/* ---- plans ----------------------------------------------------------------------------------- */

void fault_arm(const struct fault_plan *plan)
{
	void *frame[1];

	backtrace(frame, 1); /* the first time it loads a library */
	fault.plan = *plan;
	fault.calls = 0;
	fault.struck = NULL;
	fault.n_frames = 0;
	fault.thread = pthread_self();
	fault.armed = true;
}

void fault_disarm(void)
{
	fault.armed = false;
}

const char *fault_struck(void)
{
	return fault.struck;
}

unsigned long fault_calls(void)
{
	return fault.calls;
}

unsigned long fault_total(void)
{
	return fault.total;
}

bool fault_has_memory(void)
{
	return !is_under_memcheck();
}

long fault_held(void)
{
	return !fault_has_memory() ? 0 : __atomic_load_n(&fault.held, __ATOMIC_RELAXED);
}

void fault_tell(void)
{
	backtrace_symbols_fd(fault.frames, fault.n_frames, STDERR_FILENO);
}

static void hold(long n)
{
	__atomic_fetch_add(&fault.held, n, __ATOMIC_RELAXED);
}

/* Through system calls of its own: nothing here may be struck, or take memory. */
static void report(const char *name)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s\n", name);
	int (*real_open)(const char *, int, ...);
	int fd;

	if (fault.report[0] == '\0' || n < 0)
		return;
	*(void **)(&real_open) = dlsym(RTLD_NEXT, "open");
	fd = real_open(fault.report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)n) != n)
		_exit(70);
	close(fd);
}

/*
 * Whose calls are meant. libconfig does not look at what malloc gives it: without memory it crashes,
 * whoever uses it.
 */
static bool is_meant(unsigned int kind, const void *caller)
{
	Dl_info info;
	const char *name;

	if (kind != FAULT_MEMORY && fault.callers[0] == '\0')
		return true;
	if (dladdr(caller, &info) == 0 || info.dli_fname == NULL)
		return fault.callers[0] == '\0';
	name = strrchr(info.dli_fname, '/');
	name = name != NULL ? name + 1 : info.dli_fname;
	if (kind == FAULT_MEMORY && strncmp(name, "libconfig.so", strlen("libconfig.so")) == 0)
		return false;
	return fault.callers[0] == '\0' || strstr(fault.callers, name) != NULL;
}

/* Whether this call is to fail: 0, an errno (set as well), or SHORT. */
static int strikes_from(const void *caller, unsigned int kind, const char *name, const int *errors)
{
	size_t n = 0;
	int error;

	if (!fault.armed || (fault.plan.kinds & kind) == 0 ||
	    !pthread_equal(fault.thread, pthread_self()) || !is_meant(kind, caller))
		return 0;
	fault.calls++;
	if (fault.plan.at == 0 || fault.calls < fault.plan.at ||
	    (fault.calls > fault.plan.at && !fault.plan.lasting))
		return 0;
	while (errors[n] != 0)
		n++;
	error = errors[fault.plan.variant % n];
	/* Signals come again, but not for ever. */
	if (error == EINTR && fault.calls - fault.plan.at > 2)
		return 0;
	fault.total++;
	if (fault.struck == NULL) {
		fault.armed = false; /* backtrace may allocate */
		fault.struck = name;
		if (!fault.by_environment)
			fault.n_frames = backtrace(fault.frames, FRAMES);
		report(name);
		fault.armed = true;
	}
	if (error != SHORT)
		errno = error;
	return error;
}

#define strikes(kind, name, errors) strikes_from(__builtin_return_address(0), kind, name, errors)

/* ---- as a library ---------------------------------------------------------------------------- */

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoul(text, NULL, 0) : otherwise;
}

static void arm_by_environment(void)
{
	const struct fault_plan plan = {
		.at = number("FAULT_AT", 0),
		.kinds = (unsigned int)number("FAULT_KINDS", FAULT_ALL),
		.variant = (unsigned int)number("FAULT_VARIANT", 0),
		.lasting = number("FAULT_LASTING", 0) != 0,
	};

	fault_arm(&plan);
}

static void after_fork(void)
{
	fault.armed = false;
	if (fault.forks_left > 0 && --fault.forks_left == 0)
		arm_by_environment();
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_REPORT");
	const char *callers = getenv("FAULT_CALLERS");

	if (getenv("FAULT_AT") == NULL)
		return;
	fault.by_environment = true;
	fault.forks_left = (int)number("FAULT_FORKS", 0);
	snprintf(fault.report, sizeof(fault.report), "%s", path != NULL ? path : "");
	snprintf(fault.callers, sizeof(fault.callers), "%s", callers != NULL ? callers : "");
	pthread_atfork(NULL, NULL, after_fork);
	if (fault.forks_left == 0)
		arm_by_environment();
}

/* ---- what fails ------------------------------------------------------------------------------ */

/* NOLINTBEGIN(bugprone-macro-parentheses): types and parameter lists cannot have them. */
#define EXPORT __attribute__((visibility("default")))

/* A stand-in for `name`: fails if it has to, and else calls the real one. */
#define FUNCTION(kind, type, bad, name, parameters, arguments, ...)                                \
	EXPORT type fault_##name parameters __asm__(#name);                                        \
	type fault_##name parameters                                                               \
	{                                                                                          \
		static const int errors[] = { __VA_ARGS__, 0 };                                    \
		static type(*real) parameters;                                                     \
                                                                                                   \
		if (strikes(kind, #name, errors) != 0)                                             \
			return bad;                                                                \
		if (real == NULL)                                                                  \
			*(void **)(&real) = dlsym(RTLD_NEXT, #name);                               \
		return real arguments;                                                             \
	}

/* The same for those that may do half of what they are asked for: `count` is the size. */
#define TRANSFER(kind, name, parameters, arguments, count, ...)                                    \
	EXPORT ssize_t fault_##name parameters __asm__(#name);                                     \
	ssize_t fault_##name parameters                                                            \
	{                                                                                          \
		static const int errors[] = { __VA_ARGS__, 0 };                                    \
		static ssize_t(*real) parameters;                                                  \
		int error = strikes(kind, #name, errors);                                          \
                                                                                                   \
		if (error == SHORT)                                                                \
			count = (count + 1) / 2;                                                   \
		else if (error != 0)                                                               \
			return -1;                                                                 \
		if (real == NULL)                                                                  \
			*(void **)(&real) = dlsym(RTLD_NEXT, #name);                               \
		return real arguments;                                                             \
	}

/* And for those with one optional argument at the end, which is no larger than a pointer. */
#define VARIADIC(kind, name, parameters, last, arguments, ...)                                     \
	EXPORT int fault_##name parameters __asm__(#name);                                         \
	int fault_##name parameters                                                                \
	{                                                                                          \
		static const int errors[] = { __VA_ARGS__, 0 };                                    \
		static int(*real) parameters;                                                      \
		va_list list;                                                                      \
		void *optional;                                                                    \
                                                                                                   \
		va_start(list, last);                                                              \
		optional = va_arg(list, void *);                                                   \
		va_end(list);                                                                      \
		if (strikes(kind, #name, errors) != 0)                                             \
			return -1;                                                                 \
		if (real == NULL)                                                                  \
			*(void **)(&real) = dlsym(RTLD_NEXT, #name);                               \
		return real arguments;                                                             \
	}

/* ---- memory ---------------------------------------------------------------------------------- */

static const int no_memory[] = { ENOMEM, 0 };

#define MEMORY(type, name, parameters, arguments)                                                  \
	EXPORT type fault_##name parameters __asm__(#name);                                        \
	type fault_##name parameters                                                               \
	{                                                                                          \
		static type(*real) parameters;                                                     \
		type got;                                                                          \
                                                                                                   \
		if (strikes(FAULT_MEMORY, #name, no_memory) != 0)                                  \
			return NULL;                                                               \
		if (real == NULL)                                                                  \
			*(void **)(&real) = dlsym(RTLD_NEXT, #name);                               \
		got = real arguments;                                                              \
		if (got != NULL)                                                                   \
			hold(1);                                                                   \
		return got;                                                                        \
	}

MEMORY(void *, malloc, (size_t size), (size))
MEMORY(void *, calloc, (size_t n, size_t size), (n, size))
MEMORY(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
MEMORY(void *, memalign, (size_t alignment, size_t size), (alignment, size))

/* NOLINTEND(bugprone-macro-parentheses) */

EXPORT void fault_free(void *block) __asm__("free");
void fault_free(void *block)
{
	static void (*real)(void *);
	static bool looking;

	if (block == NULL || looking)
		return;
	/* dlsym frees what it had to say of the last failure: by us, in here. */
	looking = real == NULL;
	if (looking)
		*(void **)(&real) = dlsym(RTLD_NEXT, "free");
	looking = false;
	hold(-1);
	real(block);
}

EXPORT void *fault_realloc(void *block, size_t size) __asm__("realloc");
void *fault_realloc(void *block, size_t size)
{
	static void *(*real)(void *, size_t);
	void *got;

	if (strikes(FAULT_MEMORY, "realloc", no_memory) != 0)
		return NULL;
	if (real == NULL)
		*(void **)(&real) = dlsym(RTLD_NEXT, "realloc");
	got = real(block, size);
	if (got != NULL && block == NULL)
		hold(1);
	if (got == NULL && block != NULL && size == 0)
		hold(-1);
	return got;
}

EXPORT void *fault_reallocarray(void *block, size_t n, size_t size) __asm__("reallocarray");
void *fault_reallocarray(void *block, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return fault_realloc(block, n * size);
}

EXPORT int fault_posix_memalign(void **ret, size_t alignment,
				size_t size) __asm__("posix_memalign");
int fault_posix_memalign(void **ret, size_t alignment, size_t size)
{
	static int (*real)(void **, size_t, size_t);
	int code;

	if (strikes(FAULT_MEMORY, "posix_memalign", no_memory) != 0)
		return ENOMEM;
	if (real == NULL)
		*(void **)(&real) = dlsym(RTLD_NEXT, "posix_memalign");
	code = real(ret, alignment, size);
	if (code == 0)
		hold(1);
	return code;
}

/* Memory that is not asked about again. */
static void *allocate(size_t size)
{
	static void *(*real)(size_t);
	void *got;

	if (real == NULL)
		*(void **)(&real) = dlsym(RTLD_NEXT, "malloc");
	got = real(size);
	if (got != NULL)
		hold(1);
	return got;
}

/* Sanitizers have one of their own that does not come by our malloc. */
EXPORT char *fault_strdup(const char *text) __asm__("strdup");
char *fault_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = strikes(FAULT_MEMORY, "strdup", no_memory) == 0 ? allocate(size) : NULL;

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}
EXPORT char *fault_internal_strdup(const char *text) __asm__("__strdup");
char *fault_internal_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = strikes(FAULT_MEMORY, "strdup", no_memory) == 0 ? allocate(size) : NULL;

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

EXPORT char *fault_strndup(const char *text, size_t max) __asm__("strndup");
char *fault_strndup(const char *text, size_t max)
{
	size_t size = strnlen(text, max);
	char *copy = strikes(FAULT_MEMORY, "strndup", no_memory) == 0 ? allocate(size + 1) : NULL;

	if (copy != NULL) {
		memcpy(copy, text, size);
		copy[size] = '\0';
	}
	return copy;
}

/* ---- files ----------------------------------------------------------------------------------- */

#define OPEN_ERRORS EMFILE, EACCES, ENOSPC, EIO

VARIADIC(FAULT_FILES, open, (const char *path, int flags, ...), flags,
	 (path, flags, (mode_t)(uintptr_t)optional), OPEN_ERRORS)
VARIADIC(FAULT_FILES, open64, (const char *path, int flags, ...), flags,
	 (path, flags, (mode_t)(uintptr_t)optional), OPEN_ERRORS)
VARIADIC(FAULT_FILES, openat, (int fd, const char *path, int flags, ...), flags,
	 (fd, path, flags, (mode_t)(uintptr_t)optional), OPEN_ERRORS)
VARIADIC(FAULT_FILES, openat64, (int fd, const char *path, int flags, ...), flags,
	 (fd, path, flags, (mode_t)(uintptr_t)optional), OPEN_ERRORS)
FUNCTION(FAULT_FILES, int, -1, __open64_2, (const char *path, int flags), (path, flags),
	 OPEN_ERRORS)
FUNCTION(FAULT_FILES, FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode),
	 OPEN_ERRORS)
FUNCTION(FAULT_FILES, FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode),
	 OPEN_ERRORS)
FUNCTION(FAULT_FILES, FILE *, NULL, fdopen, (int fd, const char *mode), (fd, mode), ENOMEM)

TRANSFER(FAULT_FILES, read, (int fd, void *buf, size_t size), (fd, buf, size), size, EIO, SHORT,
	 EINTR)
TRANSFER(FAULT_FILES, write, (int fd, const void *buf, size_t size), (fd, buf, size), size, ENOSPC,
	 SHORT, EINTR, EIO)
FUNCTION(FAULT_FILES, ssize_t, -1, writev, (int fd, const struct iovec *v, int n), (fd, v, n),
	 ENOSPC, EINTR, EIO)

FUNCTION(FAULT_FILES, int, -1, fsync, (int fd), (fd), EIO, ENOSPC)
FUNCTION(FAULT_FILES, int, -1, fdatasync, (int fd), (fd), EIO, ENOSPC)
FUNCTION(FAULT_FILES, int, -1, msync, (void *at, size_t size, int flags), (at, size, flags), EIO)
FUNCTION(FAULT_FILES, int, -1, ftruncate64, (int fd, off_t size), (fd, size), ENOSPC, EIO)
FUNCTION(FAULT_FILES, int, ENOSPC, posix_fallocate64, (int fd, off_t at, off_t size),
	 (fd, at, size), ENOSPC)
FUNCTION(FAULT_FILES, int, -1, mkdir, (const char *path, mode_t mode), (path, mode), ENOSPC, EACCES,
	 EROFS)
FUNCTION(FAULT_FILES, int, -1, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode),
	 ENOSPC, EACCES, EROFS)
FUNCTION(FAULT_FILES, int, -1, chmod, (const char *path, mode_t mode), (path, mode), EROFS, EPERM)
FUNCTION(FAULT_FILES, int, -1, fchmod, (int fd, mode_t mode), (fd, mode), EROFS, EPERM)
FUNCTION(FAULT_FILES, int, -1, link, (const char *from, const char *to), (from, to), ENOSPC, EPERM)
FUNCTION(FAULT_FILES, int, -1, unlink, (const char *path), (path), EROFS)
FUNCTION(FAULT_FILES, int, -1, rename, (const char *from, const char *to), (from, to), ENOSPC, EIO)
FUNCTION(FAULT_FILES, int, -1, access, (const char *path, int mode), (path, mode), EACCES)
FUNCTION(FAULT_FILES, int, -1, stat64, (const char *path, struct stat *st), (path, st), EACCES, EIO)
FUNCTION(FAULT_FILES, int, -1, fstat64, (int fd, struct stat *st), (fd, st), EIO)
FUNCTION(FAULT_FILES, int, -1, __fxstat, (int version, int fd, struct stat *st), (version, fd, st),
	 EIO)
FUNCTION(FAULT_FILES, int, -1, fstatfs, (int fd, struct statfs *st), (fd, st), EIO)
FUNCTION(FAULT_FILES, int, -1, fstatfs64, (int fd, struct statfs *st), (fd, st), EIO)
FUNCTION(FAULT_FILES, int, -1, fflush, (FILE * file), (file), ENOSPC)

/* Sanitizers give it memory of their own, too. */
EXPORT char *fault_realpath(const char *path, char *resolved) __asm__("realpath");
char *fault_realpath(const char *path, char *resolved)
{
	static const int errors[] = { EACCES, ENOMEM, 0 };
	static char *(*real)(const char *, char *);
	char *buf;
	char *got;

	if (strikes(FAULT_FILES, "realpath", errors) != 0)
		return NULL;
	if (real == NULL)
		*(void **)(&real) = dlsym(RTLD_NEXT, "realpath");
	buf = resolved != NULL ? resolved : allocate(PATH_MAX);
	got = buf != NULL ? real(path, buf) : NULL;
	if (got == NULL && resolved == NULL)
		fault_free(buf);
	return got;
}

/* Where off_t is not what these take, they are left alone. */
#if __SIZEOF_LONG__ == 8

TRANSFER(FAULT_FILES, pread, (int fd, void *buf, size_t size, off_t at), (fd, buf, size, at), size,
	 EIO)
TRANSFER(FAULT_FILES, pwrite, (int fd, const void *buf, size_t size, off_t at), (fd, buf, size, at),
	 size, ENOSPC, SHORT, EINTR, EIO)
FUNCTION(FAULT_FILES, int, -1, ftruncate, (int fd, off_t size), (fd, size), ENOSPC, EIO)
FUNCTION(FAULT_FILES, off_t, -1, lseek, (int fd, off_t at, int from), (fd, at, from), EIO)

EXPORT void *fault_mmap(void *at, size_t size, int prot, int flags, int fd,
			off_t offset) __asm__("mmap");
void *fault_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	static const int errors[] = { ENOMEM, ENODEV, 0 };
	static void *(*real)(void *, size_t, int, int, int, off_t);
	void *got;

	if (strikes(FAULT_FILES, "mmap", errors) != 0)
		return MAP_FAILED;
	if (real == NULL)
		*(void **)(&real) = dlsym(RTLD_NEXT, "mmap");
	got = real(at, size, prot, flags, fd, offset);
	if (got != MAP_FAILED)
		hold(1);
	return got;
}

EXPORT int fault_munmap(void *at, size_t size) __asm__("munmap");
int fault_munmap(void *at, size_t size)
{
	static int (*real)(void *, size_t);
	int code;

	if (real == NULL)
		*(void **)(&real) = dlsym(RTLD_NEXT, "munmap");
	code = real(at, size);
	if (code == 0)
		hold(-1);
	return code;
}

#endif

/* ---- locks ----------------------------------------------------------------------------------- */

VARIADIC(FAULT_LOCKS, fcntl, (int fd, int command, ...), command, (fd, command, optional), ENOLCK,
	 EINTR)
VARIADIC(FAULT_LOCKS, fcntl64, (int fd, int command, ...), command, (fd, command, optional), ENOLCK,
	 EINTR)
FUNCTION(FAULT_LOCKS, int, -1, flock, (int fd, int operation), (fd, operation), ENOLCK, EINTR)

/* ---- network --------------------------------------------------------------------------------- */

#define SEND_ERRORS ENOBUFS, EPERM, ENETUNREACH, EINTR

FUNCTION(FAULT_NETWORK, int, -1, socket, (int family, int type, int protocol),
	 (family, type, protocol), EMFILE, ENOBUFS, EAFNOSUPPORT)
FUNCTION(FAULT_NETWORK, int, -1, bind, (int fd, const struct sockaddr *to, socklen_t size),
	 (fd, to, size), EADDRINUSE, EADDRNOTAVAIL)
FUNCTION(FAULT_NETWORK, int, -1, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE)
FUNCTION(FAULT_NETWORK, int, -1, connect, (int fd, const struct sockaddr *to, socklen_t size),
	 (fd, to, size), ENETUNREACH, ECONNREFUSED)
FUNCTION(FAULT_NETWORK, int, -1, setsockopt,
	 (int fd, int level, int name, const void *value, socklen_t size),
	 (fd, level, name, value, size), ENOBUFS, ENOPROTOOPT)
FUNCTION(FAULT_NETWORK, int, -1, getsockname, (int fd, struct sockaddr *to, socklen_t *size),
	 (fd, to, size), ENOBUFS)
FUNCTION(FAULT_NETWORK, ssize_t, -1, send, (int fd, const void *buf, size_t size, int flags),
	 (fd, buf, size, flags), SEND_ERRORS)
FUNCTION(FAULT_NETWORK, ssize_t, -1, sendto,
	 (int fd, const void *buf, size_t size, int flags, const struct sockaddr *to,
	  socklen_t to_size),
	 (fd, buf, size, flags, to, to_size), SEND_ERRORS)
FUNCTION(FAULT_NETWORK, ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags),
	 (fd, message, flags), SEND_ERRORS)
FUNCTION(FAULT_NETWORK, int, -1, sendmmsg,
	 (int fd, struct mmsghdr *messages, unsigned int n, int flags), (fd, messages, n, flags),
	 SEND_ERRORS)
FUNCTION(FAULT_NETWORK, ssize_t, -1, recv, (int fd, void *buf, size_t size, int flags),
	 (fd, buf, size, flags), ENOBUFS, ECONNREFUSED, EINTR)
FUNCTION(FAULT_NETWORK, ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags),
	 (fd, message, flags), ENOBUFS, ECONNREFUSED, EINTR)
FUNCTION(FAULT_NETWORK, int, -1, recvmmsg,
	 (int fd, struct mmsghdr *messages, unsigned int n, int flags, struct timespec *timeout),
	 (fd, messages, n, flags, timeout), ENOBUFS, ECONNREFUSED, EINTR)
FUNCTION(FAULT_NETWORK, int, -1, poll, (struct pollfd * fds, nfds_t n, int timeout),
	 (fds, n, timeout), EINTR, ENOMEM)
FUNCTION(FAULT_NETWORK, int, -1, ppoll,
	 (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
	 (fds, n, timeout, mask), EINTR, ENOMEM)
FUNCTION(FAULT_NETWORK, int, -1, accept4,
	 (int fd, struct sockaddr *from, socklen_t *size, int flags), (fd, from, size, flags),
	 EMFILE, ECONNABORTED, EINTR)
FUNCTION(FAULT_NETWORK, int, -1, getifaddrs, (struct ifaddrs * *ret), (ret), ENOMEM, EMFILE)
FUNCTION(FAULT_NETWORK, unsigned int, 0, if_nametoindex, (const char *name), (name), EMFILE)
FUNCTION(FAULT_NETWORK, char *, NULL, if_indextoname, (unsigned int index, char *name),
	 (index, name), EMFILE)
FUNCTION(FAULT_NETWORK, int, -1, signalfd, (int fd, const sigset_t *mask, int flags),
	 (fd, mask, flags), EMFILE, ENOMEM)

/* What the dynamic linker keeps is no leak of ours, now that it takes memory from here. */
EXPORT const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:_dl_map_object_deps\n";
}

/* ---- random numbers -------------------------------------------------------------------------- */

FUNCTION(FAULT_RANDOM, ssize_t, -1, getrandom, (void *buf, size_t size, unsigned int flags),
	 (buf, size, flags), ENOSYS, EINTR)
