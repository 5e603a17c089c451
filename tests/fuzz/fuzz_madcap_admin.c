/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: what somebody may write to madcapd's admin socket. A server with a lease and a
 * request that is pending behind the real socket and the real verbs; the input arrives in two
 * pieces, the first of them as long as the first octet says. Whatever it is, the answer is nothing
 * (the connection is cut) or one JSON object.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "madcap/address.h"
#include "madcap/madcapd.h"
#include "store_in_memory.h"

#define ANSWER_MAX (1 << 20)
#define NOW 1700000000

static struct madcapd daemon_state;
static const struct madcap_bytes one = { (const uint8_t *)"\001one", 4 };
static const struct madcap_bytes two = { (const uint8_t *)"\001two", 4 };

void madcapd_say(const char *format, ...)
{
	(void)format;
}

struct madcap_clock madcapd_clock(void)
{
	return (struct madcap_clock){ 1000, NOW };
}

static void prepare(void)
{
	static const char text[] =
		"listen = ( \"127.0.0.1\" ); port = 0; state_dir = \"/nowhere\";"
		"scopes = ( { first = \"239.1.0.0\"; last = \"239.1.255.255\"; ttl = 16;"
		" names = ( { lang = \"en\"; name = \"Somewhere\"; default = true; } );"
		" allocate = ( \"239.1.0.0-239.1.0.15\" );"
		" max_lease = \"1d\"; default_lease = \"1h\"; } );";
	const union net_address here = { .in = { .sin_family = AF_INET,
						 .sin_addr = { htonl(INADDR_LOOPBACK) } } };
	const struct net_options options = { .listen = &here, .n_listen = 1 };
	struct config_errors errors = { 0 };
	struct error error;

	fuzz_make_directory("/tmp/fuzz-admin-XXXXXX");
	require(server_config_load_text(text, "fuzz", &daemon_state.config, &errors) == 0,
		"a configuration");
	require(net_open(&daemon_state.net, &options, &error) == 0, "a socket");
}

static void make_leases(void)
{
	struct book_wish wish = { .state = BOOK_ACTIVE,
				  .count_min = 1,
				  .count = 2,
				  .now_sec = NOW,
				  .start_sec = NOW,
				  .start_latest_sec = NOW,
				  .lease_sec = 100,
				  .lease_min_sec = 1 };
	struct book_lease lease;
	enum book_lack lack;
	struct error error;

	require(madcap_address_parse("239.1.0.0", &wish.scope), "a scope");
	require(madcap_address_parse("192.0.2.9", &wish.client), "a client");
	require(madcapd_begin(&daemon_state, &error) == 0, "begins");
	wish.id = one;
	require(book_grant(daemon_state.book, &wish, &lease, &lack) == 0, "grants");
	wish.id = two;
	require(book_put_pending(daemon_state.book, &wish, NOW + 100, &lease) == 0, "asks");
	require(madcapd_commit(&daemon_state, &error) == 0, "commits");
}

static void start(void)
{
	const struct book_options options = {
		.state_dir = fuzz_directory, .map_bytes = 1 << 22, .seed = 1, .unsynced = true
	};
	const struct admin_service service = { .ask = madcapd_ask, .context = &daemon_state };
	struct error error;

	store_in_memory_empty();
	require(book_open(&options, &daemon_state.book, &error) == 0, "the book opens");
	require(madcap_server_new(daemon_state.book, &daemon_state.config->server,
				  &daemon_state.server, &error) == 0,
		"the server starts");
	make_leases();
	require(admin_socket_open(fuzz_directory, &service, &daemon_state.admin, &error) == 0,
		"the admin socket opens");
}

static void stop(void)
{
	admin_socket_close(&daemon_state.admin);
	madcap_server_free(&daemon_state.server);
	book_close(&daemon_state.book);
}

static int connect_to_it(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fuzz_directory,
		 ADMIN_SOCKET_NAME);
	require(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0,
		"connects");
	require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "does not wait");
	return fd;
}

static void serve(void)
{
	struct error error;

	require(admin_socket_serve(daemon_state.admin, &error), "takes connections");
}

/* Whether there may be more. */
static bool receive(int fd, char *answer, size_t *n)
{
	ssize_t got;

	serve();
	got = read(fd, answer + *n, ANSWER_MAX - *n);
	if (got > 0)
		*n += (size_t)got;
	return got > 0 || (got < 0 && errno == EAGAIN);
}

static void check_answer(const char *answer, size_t n)
{
	json_t *value;

	if (n == 0)
		return;
	require(answer[n - 1] == '\n', "whole lines");
	value = json_loadb(answer, n, 0, NULL);
	require(json_is_boolean(json_object_get(value, "ok")),
		"a JSON object that says how it went");
	json_decref(value);
}

static void talk(const uint8_t *data, size_t size)
{
	static char answer[ANSWER_MAX];
	size_t first = size > 1 && data[0] < size - 1 ? data[0] : 0;
	int fd = connect_to_it();
	size_t n = 0;

	serve();
	data++;
	size--;
	if (send(fd, data, first, MSG_NOSIGNAL) == (ssize_t)first)
		(void)receive(fd, answer, &n);
	(void)!send(fd, data + first, size - first, MSG_NOSIGNAL);
	/* As many pieces as an answer here may have, and those that nothing follows. */
	for (int i = 0; i < 64 && receive(fd, answer, &n); i++)
		;
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 64 && receive(fd, answer, &n); i++)
		;
	check_answer(answer, n);
	close(fd);
	serve();
}

/* Whether the next run would find the same as this one. */
static bool is_unchanged(void)
{
	struct book_lease lease;

	return book_find(daemon_state.book, one, &lease) == 0 && lease.state == BOOK_ACTIVE &&
	       book_find(daemon_state.book, two, &lease) == 0 && lease.state == BOOK_PENDING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (fuzz_directory[0] == '\0')
		prepare();
	if (size == 0 || size > ADMIN_REQUEST_MAX + 256)
		return 0;
	if (daemon_state.book == NULL)
		start();
	talk(data, size);
	if (!is_unchanged())
		stop();
	return 0;
}
