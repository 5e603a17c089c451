/* SPDX-License-Identifier: MIT */
/*
 * book_check.c - whether a book can be read at all. LMDB trusts its pages: damage in one of them
 * ends the process that comes across it. So the whole file is read by a child first, and madcapd
 * can say what is the matter instead of being gone.
 */
#include "array.h"
#include "book_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_FINE = 0, CHILD_DAMAGE = 1 };

/* What can be said in words is left to whoever opens the book in earnest. */
static int read_all(const struct store_options *options)
{
	struct store *store = NULL;
	struct store_txn *txn = NULL;

	if (store_open(&store, options, NULL) < 0 ||
	    store_begin(store, false, &txn, NULL, NULL) < 0)
		return CHILD_FINE;
	return store_read_all(txn) == POOL_E_DAMAGED ? CHILD_DAMAGE : CHILD_FINE;
}

static void __attribute__((noreturn)) child(const struct store_options *options)
{
	static const int deadly[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	const struct rlimit no_core = { 0, 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		signal(deadly[i], SIG_DFL);
	/* LMDB says a line of its own when it gives up. */
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	_exit(read_all(options));
}

int book_file_check(const struct store_options *options, struct error *error)
{
	int status = 0;
	pid_t pid;

	if (access(options->path, F_OK) != 0)
		return 0;
	pid = fork();
	if (pid == 0)
		child(options);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (pid < 0) {
		error_set_errno(error, errno, "%s: cannot start a process that reads it",
				options->path);
		return POOL_E_SYSTEM;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE)
		return 0;
	error_set(error, "%s is damaged: not all of its pages can be read: " BOOK_FILE_ADVICE,
		  options->path);
	return POOL_E_DAMAGED;
}
