/* SPDX-License-Identifier: MIT */
#include "admin_socket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A connection that does nothing for so long is cut, so that none can be kept from others. */
#define IDLE_SEC 30
#define REST_SEC 1 /* after a failing accept, which would fail again and again */

struct connection {
	int fd; /* -1: free */
	time_t active_at;
	char request[ADMIN_REQUEST_MAX];
	size_t n_request;
	bool answering;
	struct admin_reply reply;
	size_t sent; /* of reply.text */
};

struct admin_socket {
	int fd;
	bool failing;      /* accept has failed, and not worked since */
	time_t rest_until; /* where it is failing */
	struct sockaddr_un address;
	struct admin_service service;
	struct connection connections[ADMIN_CONNECTIONS];
};

/* ---- replies ----------------------------------------------------------------------------- */

void admin_reply_add(struct admin_reply *reply, const char *text)
{
	size_t length = strlen(text);

	if (reply->failed)
		return;
	if (reply->length + length > reply->room) {
		size_t room = (reply->length + length) * 2 + 1024;
		char *grown = realloc(reply->text, room);

		if (grown == NULL) {
			reply->failed = true;
			return;
		}
		reply->text = grown;
		reply->room = room;
	}
	memcpy(reply->text + reply->length, text, length);
	reply->length += length;
}

void admin_reply_json(struct admin_reply *reply, const json_t *value)
{
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	if (text == NULL)
		reply->failed = true;
	else
		admin_reply_add(reply, text);
	free(text);
}

void admin_reply_result(struct admin_reply *reply, json_t *result)
{
	admin_reply_add(reply, "{\"ok\":true,\"result\":");
	admin_reply_json(reply, result);
	admin_reply_add(reply, "}\n");
	json_decref(result);
}

void admin_reply_error(struct admin_reply *reply, const char *format, ...)
{
	struct error error;
	va_list args;
	json_t *text;

	va_start(args, format);
	vsnprintf(error.text, sizeof(error.text), format, args);
	va_end(args);
	text = json_string(error.text);
	admin_reply_add(reply, "{\"ok\":false,\"error\":");
	admin_reply_json(reply, text);
	admin_reply_add(reply, "}\n");
	json_decref(text);
}

/* ---- one connection ---------------------------------------------------------------------- */

static time_t now_sec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void hang_up(struct connection *connection)
{
	close(connection->fd);
	free(connection->reply.text);
	*connection = (struct connection){ .fd = -1 };
}

static void answer(struct admin_socket *admin, struct connection *connection, size_t length)
{
	json_t *request = json_loadb(connection->request, length, 0, NULL);
	const char *verb = json_string_value(json_object_get(request, "verb"));
	const char *argument = json_string_value(json_object_get(request, "argument"));

	connection->answering = true;
	connection->reply.is_first = true;
	if (verb == NULL)
		admin_reply_error(&connection->reply, "the request is no JSON object with a verb");
	else
		admin->service.ask(admin->service.context, verb, argument, &connection->reply);
	json_decref(request);
}

static void read_request(struct admin_socket *admin, struct connection *connection)
{
	size_t room = sizeof(connection->request) - connection->n_request;
	ssize_t got = read(connection->fd, connection->request + connection->n_request, room);
	const char *end;

	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(connection);
		return;
	}
	connection->active_at = now_sec();
	connection->n_request += (size_t)got;
	end = memchr(connection->request, '\n', connection->n_request);
	if (end != NULL)
		answer(admin, connection, (size_t)(end - connection->request));
	else if (connection->n_request == sizeof(connection->request))
		hang_up(connection);
}

/* False when there is nothing left to send. */
static bool next_piece(struct admin_socket *admin, struct connection *connection)
{
	struct admin_reply *reply = &connection->reply;

	if (connection->sent < reply->length)
		return true;
	connection->sent = reply->length = 0;
	if (reply->more == NULL)
		return false;
	if (!reply->more(admin->service.context, reply))
		reply->more = NULL;
	return !reply->failed && (reply->length > 0 || reply->more != NULL);
}

static void send_answer(struct admin_socket *admin, struct connection *connection)
{
	ssize_t sent;

	if (connection->reply.failed || !next_piece(admin, connection)) {
		hang_up(connection);
		return;
	}
	sent = send(connection->fd, connection->reply.text + connection->sent,
		    connection->reply.length - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			hang_up(connection);
		return;
	}
	connection->active_at = now_sec();
	connection->sent += (size_t)sent;
}

/* ---- the socket -------------------------------------------------------------------------- */

static int listen_at(struct admin_socket *admin, struct error *error)
{
	const struct sockaddr *address = (const struct sockaddr *)&admin->address;
	mode_t mask;
	int result;

	/* The book is open, so no other madcapd has this directory: what is here is left over. */
	(void)unlink(admin->address.sun_path);
	admin->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (admin->fd >= 0) {
		mask = umask(0177);
		result = bind(admin->fd, address, sizeof(admin->address));
		umask(mask);
		if (result == 0 && listen(admin->fd, ADMIN_CONNECTIONS) == 0)
			return 0;
	}
	error_set_errno(error, errno, "%s", admin->address.sun_path);
	return POOL_E_SYSTEM;
}

int admin_socket_open(const char *state_dir, const struct admin_service *service,
		      struct admin_socket **ret, struct error *error)
{
	struct admin_socket *admin = calloc(1, sizeof(*admin));
	int length, code;

	if (admin == NULL) {
		error_set(error, "no memory for %s", ADMIN_SOCKET_NAME);
		return POOL_E_NO_MEMORY;
	}
	admin->fd = -1;
	admin->service = *service;
	admin->address.sun_family = AF_UNIX;
	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++)
		admin->connections[i].fd = -1;
	length = snprintf(admin->address.sun_path, sizeof(admin->address.sun_path), "%s/%s",
			  state_dir, ADMIN_SOCKET_NAME);
	if (length < 0 || (size_t)length >= sizeof(admin->address.sun_path)) {
		error_set_errno(error, ENAMETOOLONG, "%s/%s", state_dir, ADMIN_SOCKET_NAME);
		admin->address.sun_path[0] = '\0';
		code = POOL_E_SYSTEM;
	} else {
		code = listen_at(admin, error);
	}
	if (code < 0)
		admin_socket_close(&admin);
	else
		*ret = admin;
	return code;
}

void admin_socket_close(struct admin_socket **admin)
{
	struct admin_socket *old = admin != NULL ? *admin : NULL;

	if (old == NULL)
		return;
	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
		if (old->connections[i].fd >= 0)
			hang_up(&old->connections[i]);
	}
	if (old->fd >= 0) {
		close(old->fd);
		(void)unlink(old->address.sun_path);
	}
	free(old);
	*admin = NULL;
}

size_t admin_socket_poll(const struct admin_socket *admin, struct pollfd *fds)
{
	size_t n = 0;

	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
		const struct connection *connection = &admin->connections[i];

		if (connection->fd >= 0)
			fds[n++] = (struct pollfd){
				.fd = connection->fd,
				.events = connection->answering ? POLLOUT : POLLIN,
			};
	}
	/* With all connections in use, others wait to be accepted. */
	if (n < ADMIN_CONNECTIONS && (!admin->failing || now_sec() >= admin->rest_until))
		fds[n++] = (struct pollfd){ .fd = admin->fd, .events = POLLIN };
	return n;
}

/* 0, or why no more connections can be accepted. */
static int accept_all(struct admin_socket *admin)
{
	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
		struct connection *connection = &admin->connections[i];

		if (connection->fd >= 0)
			continue;
		connection->fd = accept4(admin->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (connection->fd < 0)
			return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0
											  : errno;
		connection->active_at = now_sec();
	}
	return 0;
}

bool admin_socket_serve(struct admin_socket *admin, struct error *error)
{
	time_t now = now_sec();
	bool was_failing = admin->failing;
	int errnum;

	for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
		struct connection *connection = &admin->connections[i];

		if (connection->fd >= 0 && !connection->answering)
			read_request(admin, connection);
		if (connection->fd >= 0 && connection->answering)
			send_answer(admin, connection);
		if (connection->fd >= 0 && now - connection->active_at > IDLE_SEC)
			hang_up(connection);
	}
	if (was_failing && now < admin->rest_until)
		return true;
	errnum = accept_all(admin);
	admin->failing = errnum != 0;
	admin->rest_until = now + REST_SEC;
	if (!admin->failing || was_failing)
		return true;
	error_set_errno(error, errnum, "%s: no connection can be accepted",
			admin->address.sun_path);
	return false;
}
