/* SPDX-License-Identifier: MIT */
#include "admin_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *state_dir, int *ret_fd, struct error *error)
{
	const struct timeval patience = { .tv_sec = ADMIN_TIMEOUT_SEC };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", state_dir,
			      ADMIN_SOCKET_NAME);
	int errnum, fd;

	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		error_set_errno(error, ENAMETOOLONG, "%s/%s", state_dir, ADMIN_SOCKET_NAME);
		return POOL_E_SYSTEM;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		error_set_errno(error, errno, "socket");
		return POOL_E_SYSTEM;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_fd = fd;
		return 0;
	}
	errnum = errno;
	close(fd);
	if (errnum == ENOENT || errnum == ECONNREFUSED) {
		error_set_errno(error, errnum, "no madcapd answers at %s", address.sun_path);
		return POOL_E_NOT_FOUND;
	}
	error_set_errno(error, errnum, "%s", address.sun_path);
	return POOL_E_SYSTEM;
}

static int send_request(int fd, const char *verb, const char *argument, struct error *error)
{
	json_t *request = json_pack("{s:s, s:s*}", "verb", verb, "argument", argument);
	char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	int code = 0;

	json_decref(request);
	if (line == NULL) {
		error_set(error, "the argument is no UTF-8 text");
		return POOL_E_INVALID;
	}
	if (dprintf(fd, "%s\n", line) < 0) {
		error_set_errno(error, errno, "cannot write to madcapd");
		code = POOL_E_SYSTEM;
	}
	free(line);
	return code;
}

/* jansson's reader; an error of the socket is the end of the text to it. */
static size_t read_some(void *buffer, size_t size, void *data)
{
	const int *fd = data;
	ssize_t got;

	do
		got = read(*fd, buffer, size);
	while (got < 0 && errno == EINTR);
	return got < 0 ? (size_t)-1 : (size_t)got;
}

static int read_answer(int fd, json_t **ret_result, struct error *error)
{
	json_error_t where;
	json_t *answer, *result;
	const char *problem;

	errno = 0;
	answer = json_load_callback(read_some, &fd, 0, &where);
	if (answer == NULL) {
		if (errno == EAGAIN)
			error_set(error, "madcapd has not answered for %d seconds",
				  ADMIN_TIMEOUT_SEC);
		else
			error_set(error, "madcapd's answer cannot be read: %s", where.text);
		return POOL_E_SYSTEM;
	}
	result = json_object_get(answer, "result");
	if (json_is_true(json_object_get(answer, "ok")) && result != NULL) {
		*ret_result = json_incref(result);
		json_decref(answer);
		return 0;
	}
	problem = json_string_value(json_object_get(answer, "error"));
	error_set(error, "%s", problem != NULL ? problem : "madcapd's answer makes no sense");
	json_decref(answer);
	return problem != NULL ? POOL_E_REFUSED : POOL_E_SYSTEM;
}

int admin_client_ask(const char *state_dir, const char *verb, const char *argument,
		     json_t **ret_result, struct error *error)
{
	int fd = -1;
	int code = connect_to(state_dir, &fd, error);

	if (code == 0)
		code = send_request(fd, verb, argument, error);
	if (code == 0)
		code = read_answer(fd, ret_result, error);
	if (fd >= 0)
		close(fd);
	return code;
}
