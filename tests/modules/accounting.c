/* SPDX-License-Identifier: MIT */
/*
 * accounting.c - a small admin module to start from: who was connected, when, and where.
 *
 *	modules = (
 *	  { name = "Accounting"; path = "/usr/lib/rasip/accounting.so"; argument =
 *"/var/log/ppp-users"; }, { name = "Pool"; path = "builtin"; }
 *	);
 *
 * It appends one line for each connect and disconnect to the file that its argument names:
 *
 *	2026-11-20T09:00:00Z connect "alice" ttyS0
 *
 * Any number of pppds write to the file at the same time: each line is one write() to a file
 * opened with O_APPEND, so lines never mix. The file is opened for each line, and may be rotated.
 *
 * A connection that another module refuses after all has a connect here and no disconnect.
 *
 *	cc -shared -fPIC -I/usr/local/include/rasip -o accounting.so accounting.c
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin_module.h"

#define ESCAPED_MAX (255 * 4 + 1) /* a user name has at most 255 bytes, \xHH each */

static char path[4096];

/* The name is what the peer sent, so any byte may be in it: nothing but plain text is written. */
static void escape(const char *text, char *out, size_t size)
{
	size_t used = 0;

	for (; *text != '\0' && used + 5 <= size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", c);
		else
			out[used++] = (char)c;
	}
	out[used] = '\0';
}

static int append_line(const char *event, const char *user, const char *port)
{
	char quoted[ESCAPED_MAX];
	char line[ESCAPED_MAX + 512];
	char when[32];
	time_t now = time(NULL);
	struct tm utc;
	int fd;
	int length;
	ssize_t written;

	escape(user, quoted, sizeof(quoted));
	gmtime_r(&now, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	length = snprintf(line, sizeof(line), "%s %s \"%s\" %.200s\n", when, event, quoted, port);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -1;
	written = write(fd, line, (size_t)length);
	close(fd);
	return written == length ? 0 : -1;
}

static int accounting_initialize(const char *argument)
{
	size_t length = strlen(argument);
	int fd;

	if (length == 0 || length >= sizeof(path))
		return -1;
	memcpy(path, argument, length + 1);
	/* A file that cannot be written keeps pppd from starting, rather than losing lines later.
	 */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* True: nobody is kept out. A site that must account for everybody returns append_line() == 0. */
static bool accounting_accept(const char *user, const char *port)
{
	(void)append_line("connect", user, port);
	return true;
}

static void accounting_hangup(const char *user, const char *port)
{
	(void)append_line("disconnect", user, port);
}

const struct rasip_admin_module rasip_admin_module = {
	.abi = RASIP_ADMIN_ABI,
	.initialize = accounting_initialize,
	.accept_new_connection = accounting_accept,
	.connection_hangup_notification = accounting_hangup,
};
