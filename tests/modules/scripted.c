/* SPDX-License-Identifier: MIT */
/*
 * An admin module that does what its argument says: words, separated by blanks.
 *
 *	log=FILE      append a line to FILE for every callback: "NAME CALLBACK USER PORT ADDRESS"
 *	name=NAME     for the log; "scripted" without it
 *	address=A     get answers A; without it, what came in
 *	zero          get succeeds with 0
 *	fail          get writes an address, asks for the release, and fails
 *	notify=no     get does not ask for the release; without it, it does
 *	accept=no     every connection is refused
 *	init=fail     initialize fails
 *	reenter       get calls pppd's ip_choose_hook, and logs what it did to an address
 *	slow          get takes 20 ms, and logs a second line, "got", when it is done
 *	crash         get ends the process by SIGSEGV
 *
 * WITHOUT_PAIR makes a module that only watches.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin_module.h"

static char argument_copy[1024];
static const char *log_path;
static const char *name = "scripted";
static const char *address_text;
static bool says_zero, fails, is_silent, refuses, init_fails, reenters, is_slow, crashes;

static void log_call(const char *call, const char *user, const char *port, uint32_t addr_be)
{
	char line[1024];
	char addr[INET_ADDRSTRLEN];
	ssize_t written;
	int fd;
	int n;

	if (log_path == NULL)
		return;
	inet_ntop(AF_INET, &addr_be, addr, sizeof(addr));
	n = snprintf(line, sizeof(line), "%s %s %s %s %s\n", name, call, user, port, addr);
	fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	written = write(fd, line, (size_t)n);
	(void)written;
	close(fd);
}

static bool take_value(const char *word, const char *key, const char **ret)
{
	size_t length = strlen(key);

	if (strncmp(word, key, length) != 0)
		return false;
	*ret = word + length;
	return true;
}

static int scripted_initialize(const char *argument)
{
	struct {
		const char *word;
		bool *flag;
	} flags[] = {
		{ "zero", &says_zero },       { "fail", &fails },
		{ "notify=no", &is_silent },  { "accept=no", &refuses },
		{ "init=fail", &init_fails }, { "reenter", &reenters },
		{ "slow", &is_slow },         { "crash", &crashes },
	};
	char *rest = argument_copy;
	char *word;

	snprintf(argument_copy, sizeof(argument_copy), "%s", argument);
	while ((word = strsep(&rest, " ")) != NULL) {
		if (take_value(word, "log=", &log_path) || take_value(word, "name=", &name) ||
		    take_value(word, "address=", &address_text))
			continue;
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			if (strcmp(word, flags[i].word) == 0)
				*flags[i].flag = true;
		}
	}
	log_call("initialize", "-", "-", 0);
	return init_fails ? 7 : 0;
}

static void scripted_terminate(void)
{
	log_call("terminate", "-", "-", 0);
}

static bool scripted_accept(const char *user, const char *port)
{
	log_call("accept", user, port, 0);
	return !refuses;
}

static void scripted_hangup(const char *user, const char *port)
{
	log_call("hangup", user, port, 0);
}

#ifndef WITHOUT_PAIR
static void reenter(void)
{
	void (**hook)(uint32_t *) = (void (**)(uint32_t *))dlsym(RTLD_DEFAULT, "ip_choose_hook");
	uint32_t addr_be = htonl(0x01020304);

	if (hook != NULL && *hook != NULL)
		(*hook)(&addr_be);
	log_call("reentered", "-", "-", addr_be);
}

static int scripted_get(const char *user, const char *port, uint32_t *address, bool *notify_release)
{
	const struct timespec delay = { .tv_nsec = 20 * 1000 * 1000 };

	if (user == NULL || port == NULL || address == NULL || notify_release == NULL)
		return 1;
	log_call("get", user, port, *address);
	if (crashes)
		raise(SIGSEGV);
	if (reenters)
		reenter();
	if (is_slow) {
		nanosleep(&delay, NULL);
		log_call("got", user, port, *address);
	}
	if (address_text != NULL && inet_pton(AF_INET, address_text, address) != 1)
		return 2;
	if (says_zero)
		*address = 0;
	*notify_release = !is_silent;
	return fails ? 3 : 0;
}

static void scripted_release(const char *user, const char *port, const uint32_t *address)
{
	log_call("release", user, port, *address);
}
#endif

const struct rasip_admin_module rasip_admin_module = {
	.abi = RASIP_ADMIN_ABI,
	.initialize = scripted_initialize,
	.terminate = scripted_terminate,
	.accept_new_connection = scripted_accept,
	.connection_hangup_notification = scripted_hangup,
#ifndef WITHOUT_PAIR
	.get_ip_address_for_user = scripted_get,
	.release_ip_address = scripted_release,
#endif
};
