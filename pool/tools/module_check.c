/* SPDX-License-Identifier: MIT */
/*
 * module_check.c - whether pppd will be able to load a module. What the plugin does when it
 * starts (plugin/admin.c) as far as it can be done outside pppd: nothing is initialised, and the
 * module is loaded into a child, because its constructors run and may do anything.
 */
#include "tool.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../plugin/admin_module.h"

#define SECONDS_MAX 10 /* that a module may take to be loaded */
#define STATUS_BASE 64 /* the child's exit status, less the verdict: no module ends that way */

enum verdict { GOOD, BAD, UNCERTAIN };

static enum verdict judge(struct error *why, enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum verdict judge(struct error *why, enum verdict verdict, const char *format, ...)
{
	char text[sizeof(why->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(why, "%s", text);
	return verdict;
}

static enum verdict check_file(const char *path, struct error *why)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return judge(why, BAD, "%s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return judge(why, BAD, "not a regular file");
	if (status.st_uid != 0 && status.st_uid != geteuid())
		return judge(why, BAD, "owned neither by root nor by the user that runs pppd");
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return judge(why, BAD, "writable by group or others");
	return GOOD;
}

static enum verdict check_symbol(const char *path, struct error *why)
{
	/* Lazily: functions that the module takes from pppd are not here. */
	void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	const struct rasip_admin_module *module;
	const char *text;

	if (handle == NULL) {
		text = dlerror();
		/* The path, which is told anyway, is in front of most reasons. */
		if (text != NULL && strncmp(text, path, strlen(path)) == 0 &&
		    strncmp(text + strlen(path), ": ", 2) == 0)
			text += strlen(path) + 2;
		if (text != NULL && strstr(text, "undefined symbol") != NULL)
			return judge(why, UNCERTAIN, "only pppd can load it (%s)", text);
		return judge(why, BAD, "%s", text != NULL ? text : "cannot be loaded");
	}
	module = dlsym(handle, "rasip_admin_module");
	if (module == NULL)
		return judge(why, BAD, "exports no rasip_admin_module");
	if (module->abi != RASIP_ADMIN_ABI)
		return judge(why, BAD, "made for ABI %u, this is ABI %u", (unsigned int)module->abi,
			     (unsigned int)RASIP_ADMIN_ABI);
	if ((module->get_ip_address_for_user == NULL) != (module->release_ip_address == NULL))
		return judge(why, BAD,
			     "has one of get_ip_address_for_user and release_ip_address without "
			     "the other");
	return GOOD;
}

/* The child's side; it ends with the verdict. */
static void load_in_child(const char *path, int out)
{
	struct error why = { "" };
	enum verdict verdict;

	/* What a module prints does not belong in our output. */
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		_exit(STATUS_BASE + BAD);
	signal(SIGBUS, SIG_DFL); /* a module's fault, here */
	alarm(SECONDS_MAX);
	verdict = check_symbol(path, &why);
	if (write(out, why.text, strlen(why.text)) < 0)
		_exit(STATUS_BASE + BAD);
	_exit(STATUS_BASE + (int)verdict);
}

static enum verdict load_elsewhere(const char *path, struct error *why)
{
	int ends[2], status = 0;
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int errnum;

	/* Not for programs that the module starts: they may outlive the child. */
	if (pipe2(ends, O_CLOEXEC) < 0)
		return judge(why, UNCERTAIN, "cannot be tried: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	errnum = errno;
	if (pid == 0) {
		close(ends[0]);
		load_in_child(path, ends[1]);
	}
	close(ends[1]);
	while (pid > 0 && len + 1 < sizeof(why->text) &&
	       (n = read(ends[0], why->text + len, sizeof(why->text) - 1 - len)) > 0)
		len += (size_t)n;
	close(ends[0]);
	why->text[len] = '\0';
	if (pid < 0)
		return judge(why, UNCERTAIN, "cannot be tried: %s", strerror(errnum));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return judge(why, BAD, "crashes when it is loaded (%s)",
			     strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) < STATUS_BASE)
		return judge(why, BAD, "ends the process when it is loaded");
	return (enum verdict)(WEXITSTATUS(status) - STATUS_BASE);
}

bool module_check(const struct config_module *module, struct error *ret_problem, bool *ret_certain)
{
	enum verdict verdict;

	ret_problem->text[0] = '\0';
	*ret_certain = true;
	if (strcmp(module->path, CONFIG_BUILTIN) == 0)
		return true;
	verdict = check_file(module->path, ret_problem);
	if (verdict == GOOD)
		verdict = load_elsewhere(module->path, ret_problem);
	*ret_certain = verdict != UNCERTAIN;
	return verdict == GOOD;
}
