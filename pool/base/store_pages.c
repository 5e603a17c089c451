/* SPDX-License-Identifier: MIT */
/*
 * store_pages.c - whether all of a store can be read. LMDB trusts its pages: damage in one of them ends
 * the process that comes across it. So a child reads them first, and the damage can be told.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"

enum { CHILD_FINE = 0, CHILD_DAMAGE = 1 };

static const int deadly[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };

/* What can be said in words is left to whoever opens the store in earnest. */
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

static bool met_damage(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		if (WIFSIGNALED(status) && WTERMSIG(status) == deadly[i])
			return true;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DAMAGE;
}

/* False, with errno, if no child can be had. */
static bool run_child(const struct store_options *options, int *ret_status)
{
	pid_t pid = fork();

	if (pid == 0)
		child(options);
	if (pid < 0)
		return false;
	while (waitpid(pid, ret_status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return true;
}

int store_check_pages(const struct store_options *options, struct error *error)
{
	const struct sigaction noticed = { .sa_handler = SIG_DFL };
	struct sigaction before;
	int status = 0;
	int errnum;
	bool ran;

	if (access(options->path, F_OK) != 0)
		return 0;
	/* Whoever started us may have left it so that no child's end can be waited for. */
	sigaction(SIGCHLD, NULL, &before);
	if (before.sa_handler == SIG_IGN)
		sigaction(SIGCHLD, &noticed, NULL);
	ran = run_child(options, &status);
	errnum = errno;
	if (before.sa_handler == SIG_IGN)
		sigaction(SIGCHLD, &before, NULL);
	if (!ran) {
		error_set_errno(error, errnum, "%s: cannot have a process read it", options->path);
		return POOL_E_SYSTEM;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FINE)
		return 0;
	if (met_damage(status)) {
		error_set(error, "%s is damaged: not all of its pages can be read: %s",
			  options->path, options->advice != NULL ? options->advice : STORE_ADVICE);
		return POOL_E_DAMAGED;
	}
	error_set(error, "%s: the process that reads it was ended", options->path);
	return POOL_E_SYSTEM;
}
