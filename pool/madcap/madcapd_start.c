/* SPDX-License-Identifier: MIT */
/* Starting, stopping, and going over to another configuration. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "directory.h"
#include "madcapd.h"

#define GROUPS_MAX (SERVER_CONFIG_SCOPES_MAX * 2 + 2)

void madcapd_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path != NULL ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

/* ---- user and directory ------------------------------------------------------------------ */

/* What is made by root has to belong to the user who is to work there. */
static int open_dir_as_root(struct madcapd *daemon, const struct passwd *user, struct error *error)
{
	const char *path = daemon->config->state_dir;
	bool is_new = access(path, F_OK) != 0 && errno == ENOENT;
	int fd, code;

	if (!is_new)
		return 0;
	code = directory_open(path, true, &fd, error);
	if (code < 0)
		return code;
	if (fchown(fd, user->pw_uid, user->pw_gid) != 0) {
		error_set_errno(error, errno, "cannot give %s to user %s", path, user->pw_name);
		code = POOL_E_SYSTEM;
	}
	close(fd);
	return code;
}

static int drop_privileges(struct madcapd *daemon, struct error *error)
{
	const char *name = daemon->config->user;
	const struct passwd *user;
	int code;

	if (name == NULL || geteuid() != 0)
		return 0;
	errno = 0;
	user = getpwnam(name);
	if (user == NULL) {
		error_set(error, "user: there is no user \"%s\"", name);
		return POOL_E_SYSTEM;
	}
	code = open_dir_as_root(daemon, user, error);
	if (code < 0)
		return code;
	if (initgroups(name, user->pw_gid) != 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0) {
		error_set_errno(error, errno, "cannot become user %s", name);
		return POOL_E_SYSTEM;
	}
	return 0;
}

/* ---- the server and its sockets ---------------------------------------------------------- */

static bool listens_to(const struct server_config *config, uint16_t family)
{
	for (size_t i = 0; i < config->n_listen; i++) {
		if (config->listen[i].address.family == family)
			return true;
	}
	return false;
}

/* The sockets that `config` and the server's groups ask for. */
static int make_sockets(struct madcapd *daemon, const struct server_config *config,
			struct error *error)
{
	union net_address *listen = calloc(config->n_listen, sizeof(*listen));
	union net_address *groups = calloc(GROUPS_MAX, sizeof(*groups));
	struct net_options options = { .listen = listen,
				       .n_listen = config->n_listen,
				       .groups = groups,
				       .interfaces = config->interfaces,
				       .n_interfaces = config->n_interfaces };
	struct madcap_endpoint group = { 0 };
	int code = POOL_E_NO_MEMORY;
	size_t at = 0;

	if (listen == NULL || groups == NULL) {
		error_set(error, "no memory for sockets");
		goto out;
	}
	for (size_t i = 0; i < config->n_listen; i++)
		madcapd_address(&config->listen[i], &listen[i]);
	while (options.n_groups < GROUPS_MAX &&
	       madcap_server_group_next(daemon->server, &at, &group.address)) {
		if (listens_to(config, group.address.family))
			madcapd_address(&group, &groups[options.n_groups++]);
	}
	code = daemon->net == NULL ? net_open(&daemon->net, &options, error)
				   : net_change(daemon->net, &options, error);
out:
	free(listen);
	free(groups);
	return code;
}

static void say_ready(const struct madcapd *daemon)
{
	union net_address address;
	char text[NET_TEXT_SIZE];

	for (size_t i = 0; net_listens(daemon->net, i, &address); i++)
		madcapd_say("ready on %s", net_format(&address, text));
}

int madcapd_start(struct madcapd *daemon, struct error *error)
{
	const struct admin_service service = { madcapd_ask, daemon };
	int code;

	daemon->started_sec = madcapd_clock().unix_sec;
	daemon->answers = calloc(NET_BATCH, sizeof(*daemon->answers));
	if (daemon->answers == NULL) {
		error_set(error, "no memory");
		return POOL_E_NO_MEMORY;
	}
	code = drop_privileges(daemon, error);
	if (code == 0)
		code = madcapd_open_book(daemon, error);
	if (code == 0)
		code = madcap_server_new(daemon->book, &daemon->config->server, &daemon->server,
					 error);
	if (code == 0)
		code = admin_socket_open(daemon->config->state_dir, &service, &daemon->admin,
					 error);
	if (code == 0)
		code = make_sockets(daemon, daemon->config, error);
	if (code < 0)
		return code;
	if (geteuid() == 0)
		madcapd_say("runs as root, which it need not: see user in madcapd.conf(5)");
	madcapd_watch_book(daemon);
	say_ready(daemon);
	madcapd_notify("READY=1");
	return 0;
}

void madcapd_stop(struct madcapd *daemon)
{
	net_close(&daemon->net);
	admin_socket_close(&daemon->admin);
	madcap_server_free(&daemon->server);
	book_close(&daemon->book);
	if (daemon->dir_fd >= 0)
		close(daemon->dir_fd);
	free(daemon->answers);
	server_config_free(&daemon->config);
}

/* ---- reloading --------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

static int change_to(struct madcapd *daemon, const struct server_config *next, struct error *error)
{
	struct error ignored;
	int code;

	if (!same_text(daemon->config->state_dir, next->state_dir) ||
	    !same_text(daemon->config->user, next->user) ||
	    !same_text(daemon->config->connection, next->connection) ||
	    !same_text(daemon->config->name, next->name) ||
	    daemon->config->database_timeout_sec != next->database_timeout_sec) {
		error_set(error, "state_dir, user, book, connection, database_timeout and "
				 "server_name only change with a restart");
		return POOL_E_CONFIG;
	}
	code = madcap_server_configure(daemon->server, &next->server, error);
	if (code < 0)
		return code;
	code = make_sockets(daemon, next, error);
	/* What it had before it can have again, unless memory has run out meanwhile. */
	if (code < 0 &&
	    madcap_server_configure(daemon->server, &daemon->config->server, &ignored) < 0) {
		madcapd_say("%s: all is changed but the sockets", error->text);
		return 0;
	}
	return code;
}

void madcapd_reload(struct madcapd *daemon)
{
	struct server_config *next = NULL;
	struct config_errors errors;
	struct error error = { 0 };
	int code = server_config_load(daemon->config->path, &next, &errors);

	if (code == 0)
		code = change_to(daemon, next, &error);
	else if (errors.n == 0)
		error_set(&error, "%s", pool_strerror(code));
	for (size_t i = 0; i < errors.n; i++)
		madcapd_say("%s", errors.lines[i]);
	config_errors_done(&errors);
	if (code < 0) {
		madcapd_say("not reloaded, the configuration from before goes on%s%s",
			    error.text[0] != '\0' ? ": " : "", error.text);
		server_config_free(&next);
		return;
	}
	server_config_free(&daemon->config);
	daemon->config = next;
	madcapd_say("reloaded %s", daemon->config->path);
	say_ready(daemon);
}
