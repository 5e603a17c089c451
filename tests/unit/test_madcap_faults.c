/* SPDX-License-Identifier: MIT */
/*
 * The MADCAP server, its book and configuration, lease files and the library, with every call of
 * the system failing in turn: torture/faults.h. Whatever fails, a batch has happened as a whole, in
 * memory and on disk, or not at all; what was answered is there after a restart; and without a
 * fault the next request is served.
 */
#include "madcap_fixture.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "../torture/faults.h"
#include "madcap/lease_file.h"
#include "madcap/madcap.h"
#include "madcap/server_config.h"
#include "suite.h"

#define BATCH 4 /* datagrams of the batch under test */

static struct error problem;
static int code;

/* ---- the server ------------------------------------------------------------------------------ */

static struct {
	struct madcap_input input;
	struct madcap_answer answer;
	uint8_t data[1024];
	struct madcap_endpoint from;
} batch[BATCH];
static bool began;

static void put_in_batch(size_t i, const struct madcap_message *out)
{
	struct madcap_message message = *out;
	size_t size;

	message.family = MADCAP_IPV4;
	message.xid = 1000 + (uint32_t)i;
	ck_assert(madcap_message_encode(&message, batch[i].data, sizeof(batch[i].data), &size));
	batch[i].input = input_of(batch[i].data, size);
}

/* What is allocated with the server is freed with it, before the case ends. */
static void open_unharmed(void)
{
	fault_disarm();
	open_server();
	fault_arm(&faults.plan);
}

/* Leases 1 to 3 are there; the batch asks for number 5, renews 1, ends 2, and wants an offer. */
static void prepare_server(void)
{
	struct madcap_message out;

	setup();
	for (unsigned int i = 1; i <= 3; i++)
		request(i, 2);
	out = message(MADCAP_REQUEST, 5);
	put_in_batch(0, &out);
	out = message(MADCAP_RENEW, 1);
	put_in_batch(1, &out);
	out = message(MADCAP_RELEASE, 2);
	put_in_batch(2, &out);
	out = message(MADCAP_DISCOVER, 6);
	put_in_batch(3, &out);
	batch[3].input.to = addr("239.195.255.254");
	pass_time(600);
	close_server();
}

static void end_server(void)
{
	teardown();
}

static void run_batch(void)
{
	code = madcap_server_begin(world.server, &world.clock, &problem);
	began = code == 0;
	if (!began)
		return;
	for (size_t i = 0; i < BATCH; i++)
		madcap_server_step(world.server, &batch[i].input, &batch[i].answer);
	code = madcap_server_commit(world.server, &problem);
	for (size_t i = 0; code < 0 && i < BATCH; i++)
		madcap_server_fail(world.server, &batch[i].input, &batch[i].answer);
}

static bool is_ack(size_t i)
{
	return began && batch[i].answer.size > 0 && batch[i].answer.data[1] == MADCAP_ACK;
}

/* The lease's end in the book, or 0. */
static uint32_t end_of(unsigned int lease)
{
	struct book_lease found;

	if (book_find(world.book, id(lease), &found) < 0 || found.state != BOOK_ACTIVE)
		return 0;
	return found.end_sec;
}

static bool share_an_address(const struct book_range *a, const struct book_range *b)
{
	uint64_t distance;

	return (madcap_address_distance(&a->first, &b->first, &distance) && distance < a->count) ||
	       (madcap_address_distance(&b->first, &a->first, &distance) && distance < b->count);
}

/* Returns how many ranges there are, in leases of all states. */
static size_t check_overlap(void)
{
	static struct book_range seen[64];
	struct book_lease lease;
	uint64_t at = 0;
	size_t n = 0;

	while (book_next(world.book, &at, &lease) == 0) {
		for (size_t i = 0; i < lease.n_ranges && n < 64; i++)
			seen[n++] = book_lease_range(&lease, i);
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < i; j++)
			FAULT_EXPECT(!share_an_address(&seen[i], &seen[j]),
				     "two leases have one address");
	}
	return n;
}

/* What the answers say is what the book has. Leases began at NOW, for an hour, and were renewed
 * 600 seconds later. */
static void check_book(const char *when)
{
	FAULT_EXPECT((end_of(5) != 0) == is_ack(0), "%s: the lease %s, and the answer was %s", when,
		     end_of(5) != 0 ? "is there" : "is not there", is_ack(0) ? "ACK" : "another");
	FAULT_EXPECT(end_of(1) == NOW + 3600 + (is_ack(1) ? 600 : 0),
		     "%s: the renewed lease ends after %lld s, and the answer was %s", when,
		     (long long)end_of(1) - (long long)NOW, is_ack(1) ? "ACK" : "another");
	FAULT_EXPECT((end_of(2) == 0) == is_ack(2), "%s: the lease %s, and the answer was %s", when,
		     end_of(2) == 0 ? "has ended" : "is there", is_ack(2) ? "ACK" : "another");
	FAULT_EXPECT(end_of(3) == NOW + 3600, "%s: a lease that nobody asked about is lost", when);
	check_overlap();
}

static void check_reason(void)
{
	if (code == 0)
		return;
	FAULT_EXPECT(problem.text[0] != '\0' && strstr(problem.text, "uccess") == NULL,
		     "code %d, reason: \"%s\"", code, problem.text);
	FAULT_EXPECT((code != POOL_E_DAMAGED && code != POOL_E_VERSION) ||
			     strcmp(fault_struck(), "fcntl") == 0,
		     "a fault that passes is called damage: %s", problem.text);
}

static void check_served(void)
{
	struct madcap_message next = message(MADCAP_REQUEST, 9);

	FAULT_EXPECT(ask(&next) == MADCAP_ACK, "the next request was not served");
	next = message(MADCAP_RELEASE, 9);
	FAULT_EXPECT(ask(&next) == MADCAP_ACK, "the next release was not served");
}

/* The server that lived through it, and the one that comes after it. */
static void check_batch(void)
{
	check_reason();
	for (size_t i = 0; code < 0 && began && i < BATCH - 1; i++)
		FAULT_EXPECT(!is_ack(i), "an ACK from a batch that failed");
	check_book("in memory");
	check_served();
	restart();
	check_book("after a restart");
	check_served();
	close_server();
}

static void run_batch_alone(void)
{
	open_unharmed();
	run_batch();
}

/* Where no answer is wanted instead of a refusal, there is an ACK or nothing, whatever failed. */
static void prepare_silent(void)
{
	prepare_server();
	world.config.nak_on_failure = false;
}

static void check_silent(void)
{
	for (size_t i = 0; began && i < BATCH - 1; i++)
		FAULT_EXPECT(batch[i].answer.size == 0 || is_ack(i), "a refusal");
	check_batch();
}

/* The whole life of a server: that all of it goes is what the counts of memory say. */
static void run_life(void)
{
	const struct book_options options = { .state_dir = world.dir,
					      .map_bytes = UINT64_C(1) << 30,
					      .extra_sec = 3600,
					      .seed = 42 };

	began = false;
	code = book_open(&options, &world.book, &problem);
	if (code == 0)
		code = madcap_server_new(world.book, &world.config, &world.server, &problem);
	if (code == 0)
		run_batch();
}

static void check_life(void)
{
	check_reason();
	close_server();
	open_server();
	check_book("after a restart");
	check_served();
	close_server();
}

/* Leases 1 to 3 ended long ago. */
static void run_sweep(void)
{
	open_unharmed();
	began = false;
	code = madcap_server_begin(world.server, &world.clock, &problem);
	if (code < 0)
		return;
	for (int i = 0; i < 10 && madcap_server_tick(world.server, 1); i++)
		continue;
	code = madcap_server_commit(world.server, &problem);
}

static void prepare_sweep(void)
{
	prepare_server();
	pass_time(86400);
}

static void check_swept(void)
{
	check_reason();
	check_served();
	tick();
	FAULT_EXPECT(check_overlap() == 0, "ended leases have not been swept");
	restart();
	FAULT_EXPECT(check_overlap() == 0, "swept leases have come back");
	close_server();
}

/* Another configuration, with a second scope. */
static void run_configure(void)
{
	open_unharmed();
	world.config.n_scopes = 2;
	code = madcap_server_configure(world.server, &world.config, &problem);
}

static void prepare_configure(void)
{
	prepare_server();
	world.scope[1] = world.scope[0];
	world.scope[1].first = addr("239.255.0.0");
	world.scope[1].last = addr("239.255.255.255");
	world.scope[1].n_allocate = 0;
}

static void check_configured(void)
{
	struct madcap_message out = message(MADCAP_REQUEST, 8);

	check_reason();
	out.scope = addr("239.255.0.0");
	FAULT_EXPECT((ask(&out) == MADCAP_ACK) == (code == 0), "half a configuration");
	check_served();
	close_server();
}

static const struct fault_case server_cases[] = {
	{ "batch", prepare_server, run_batch_alone, check_batch, end_server },
	{ "silent", prepare_silent, run_batch_alone, check_silent, end_server },
	{ "life", prepare_server, run_life, check_life, end_server },
	{ "sweep", prepare_sweep, run_sweep, check_swept, end_server },
	{ "configure", prepare_configure, run_configure, check_configured, end_server },
};

START_TEST(server)
{
	faults_try(&server_cases[_i]);
}
END_TEST

/* ---- its configuration ----------------------------------------------------------------------- */

static struct server_config *config;
static struct config_errors errors;
static char path[SCRATCH_SIZE + 32];

static void prepare_config(void)
{
	FILE *file;

	prepare();
	snprintf(path, sizeof(path), "%s/madcapd.conf", world.dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"listen = ( \"127.0.0.1\", \"[::1]:2536\" ); interfaces = ( \"lo\" );\n"
		"state_dir = \"%s\"; scopes = ( { first = \"239.192.0.0\"; last = "
		"\"239.195.255.255\"; ttl = 32; names = ( { lang = \"en\"; name = "
		"\"Organisation\"; } "
		"); allocate = ( \"239.192.0.0-239.192.0.9\" ); exclude = ( \"239.192.0.1\" ); } "
		");\n",
		world.dir);
	ck_assert_int_eq(fclose(file), 0);
	config = NULL;
}

static void run_config(void)
{
	code = server_config_load(path, &config, &errors);
}

static void check_config(void)
{
	FAULT_EXPECT((code == 0) == (config != NULL), "code %d, and config is %p", code,
		     (void *)config);
	FAULT_EXPECT(code == 0 || code == POOL_E_CONFIG || code == POOL_E_NO_MEMORY, "code %d",
		     code);
	FAULT_EXPECT((code == POOL_E_CONFIG) == (errors.n > 0), "code %d, %zu errors", code,
		     errors.n);
	for (size_t i = 0; i < errors.n; i++)
		FAULT_EXPECT(strstr(errors.lines[i], world.dir) != NULL &&
				     strstr(errors.lines[i], "Success") == NULL,
			     "error: %s", errors.lines[i]);
	server_config_free(&config);
	config_errors_done(&errors);
}

static const struct fault_case config_case = { "madcapd.conf", prepare_config, run_config,
					       check_config, end_server };

START_TEST(configuration)
{
	faults_try(&config_case);
}
END_TEST

/* ---- lease files ----------------------------------------------------------------------------- */

static struct madcap_lease *lease;

static struct madcap_lease *make_lease(const char *address)
{
	struct madcap_lease *made = lease_alloc(1);

	ck_assert_ptr_nonnull(made);
	made->id.size = 17;
	ck_assert(lease_set_server(made, "192.0.2.1"));
	snprintf(made->scope, sizeof(made->scope), "239.192.0.0");
	snprintf(made->addresses[0], sizeof(made->addresses[0]), "%s", address);
	made->start_sec = NOW;
	made->stop_sec = NOW + 3600;
	made->ttl = 3;
	return made;
}

static void prepare_file(void)
{
	struct madcap_lease *old;

	prepare();
	snprintf(path, sizeof(path), "%s/lease", world.dir);
	old = make_lease("239.192.0.1");
	ck_assert_int_eq(lease_save(old, path, &problem), 0);
	lease_free(old);
	lease = make_lease("239.192.0.2");
}

static void run_save(void)
{
	code = lease_save(lease, path, &problem);
}

/* The old one or the new one. */
static void check_saved(void)
{
	struct madcap_lease *found = NULL;
	struct error why;

	check_reason();
	FAULT_EXPECT(lease_load(path, &found, &why) == 0, "no lease is left: %s", why.text);
	FAULT_EXPECT(code < 0 || strcmp(found->addresses[0], "239.192.0.2") == 0,
		     "saved, and the file has %s", found->addresses[0]);
	lease_free(found);
	FAULT_EXPECT(lease_save(lease, path, &why) == 0, "the next save: %s", why.text);
}

static void end_file(void)
{
	lease_free(lease);
	lease = NULL;
	end_server();
}

static struct madcap_lease *loaded;

static void run_load(void)
{
	loaded = NULL;
	code = lease_load(path, &loaded, &problem);
}

static void check_loaded(void)
{
	FAULT_EXPECT((code == 0) == (loaded != NULL), "code %d, and lease is %p", code,
		     (void *)loaded);
	FAULT_EXPECT(code == 0 ||
			     (problem.text[0] != '\0' && strstr(problem.text, "Success") == NULL),
		     "code %d, reason: \"%s\"", code, problem.text);
	/* jansson calls text for which it has no memory wrong. */
	FAULT_EXPECT(code != LEASE_FILE_E_DAMAGED || strcmp(fault_struck(), "malloc") == 0,
		     "a fault that passes is called damage: %s", problem.text);
	lease_free(loaded);
}

static const struct fault_case file_cases[] = {
	{ "lease_save", prepare_file, run_save, check_saved, end_file },
	{ "lease_load", prepare_file, run_load, check_loaded, end_file },
};

START_TEST(lease_files)
{
	faults_try(&file_cases[_i]);
}
END_TEST

/* ---- the library, with a server on the loopback interface ------------------------------------ */

static struct {
	pid_t pid;
	char address[32];
	struct madcap *m;
	struct madcap_lease *first;
	struct madcap_lease *second;
} remote;

/* Answers until it is killed. */
static void serve(int fd)
{
	static uint8_t data[MADCAP_DATAGRAM_MAX];

	for (;;) {
		struct sockaddr_in from;
		socklen_t from_size = sizeof(from);
		ssize_t n =
			recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_size);
		struct madcap_input input;

		if (n < 0)
			_exit(1);
		input = input_of(data, (size_t)n);
		world.clock.unix_sec = (int64_t)time(NULL);
		world.clock.mono_ms += 10;
		if (madcap_server_begin(world.server, &world.clock, &problem) < 0)
			_exit(1);
		madcap_server_step(world.server, &input, &world.answer);
		if (madcap_server_commit(world.server, &problem) < 0)
			_exit(1);
		if (world.answer.size > 0)
			sendto(fd, world.answer.data, world.answer.size, 0,
			       (struct sockaddr *)&from, from_size);
	}
}

static void start_remote(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	prepare();
	world.scope[0].n_allocate = 0;
	world.config.max_addresses_per_client = 0;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	snprintf(remote.address, sizeof(remote.address), "127.0.0.1:%u", ntohs(at.sin_port));
	remote.pid = fork();
	ck_assert_int_ge(remote.pid, 0);
	if (remote.pid == 0) {
		open_server();
		serve(fd);
	}
	close(fd);
}

static void stop_remote(void)
{
	kill(remote.pid, SIGKILL);
	waitpid(remote.pid, NULL, 0);
	end_server();
}

static void open_handle(void)
{
	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION, &remote.m), 0);
	ck_assert_int_eq(madcap_add_server(remote.m, remote.address), 0);
	ck_assert_int_eq(madcap_set_timeout(remote.m, 100), 0);
	ck_assert_int_eq(madcap_start(remote.m), 0);
	remote.first = remote.second = NULL;
}

/* A server that does not share the lease has not refused it: it is the silent one's. */
START_TEST(who_does_not_share_a_lease_has_no_say_in_it)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	int silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[512];

	ck_assert_int_eq(bind(silent, (struct sockaddr *)&at, size), 0);
	ck_assert_int_eq(getsockname(silent, (struct sockaddr *)&at, &size), 0);
	snprintf(text, sizeof(text),
		 "{\"request_id\":\"0011\",\"server\":\"127.0.0.1:%u\",\"scope\":\"239.192.0.0\","
		 "\"start\":\"2026-11-20T09:00:00Z\",\"end\":\"2026-11-20T10:00:00Z\","
		 "\"addresses\":[\"239.192.0.7\"],\"mobile\":true}",
		 ntohs(at.sin_port));
	open_handle();
	ck_assert_int_eq(madcap_set_timeout(remote.m, 1000), 0);
	ck_assert_msg(madcap_lease_from_json(remote.m, text, &remote.first) == 0, "%s",
		      madcap_error_text(remote.m));
	ck_assert_int_eq(madcap_renew(remote.m, remote.first, NULL, &remote.second),
			 MADCAP_E_TIMED_OUT);
	ck_assert_int_eq(madcap_refusal_code(remote.m), -1);
	ck_assert_ptr_nonnull(strstr(madcap_error_text(remote.m), "no answer from"));
	ck_assert_ptr_nonnull(strstr(madcap_error_text(remote.m), remote.address));
	ck_assert_int_eq(madcap_release(remote.m, remote.first), MADCAP_E_TIMED_OUT);
	madcap_lease_free(&remote.first);
	madcap_free(&remote.m);
	close(silent);
}
END_TEST

static void run_exchange(void)
{
	const struct madcap_wish wish = { .scope_id = "239.192.0.0", .count = 2 };
	struct madcap_scopes *scopes = NULL;

	fault_disarm();
	open_handle();
	fault_arm(&faults.plan);
	code = madcap_scopes_get(remote.m, &scopes);
	madcap_scopes_free(&scopes);
	if (code == 0)
		code = madcap_request(remote.m, &wish, &remote.first);
	if (code == 0)
		code = madcap_renew(remote.m, remote.first, NULL, &remote.second);
	if (code == 0)
		code = madcap_release(remote.m, remote.second);
}

static void check_exchange(void)
{
	const struct madcap_wish wish = { .scope_id = "239.192.0.0" };
	struct madcap_lease *next = NULL;

	FAULT_EXPECT(code <= 0, "the code is %d", code);
	FAULT_EXPECT(code != MADCAP_E_REFUSED || remote.second != NULL, "refused: %s",
		     madcap_error_text(remote.m));
	FAULT_EXPECT(code == 0 || (madcap_error_text(remote.m)[0] != '\0' &&
				   strstr(madcap_error_text(remote.m), "Success") == NULL),
		     "code %d, reason: \"%s\"", code, madcap_error_text(remote.m));
	madcap_lease_free(&remote.first);
	madcap_lease_free(&remote.second);
	ck_assert_int_eq(madcap_set_timeout(remote.m, 10000), 0);
	FAULT_EXPECT(madcap_request(remote.m, &wish, &next) == 0, "the next request: %s",
		     madcap_error_text(remote.m));
	FAULT_EXPECT(madcap_release(remote.m, next) == 0, "the next release: %s",
		     madcap_error_text(remote.m));
	madcap_lease_free(&next);
	madcap_free(&remote.m);
}

static const struct fault_case exchange_case = { "exchange", NULL, run_exchange, check_exchange,
						 NULL };

START_TEST(library)
{
	faults_try(&exchange_case);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("madcap_faults");
	TCase *tcase = tcase_create("faults");
	TCase *net = tcase_create("library");

	tcase_set_timeout(tcase, 600);
	tcase_add_loop_test(tcase, server, 0,
			    (int)(sizeof(server_cases) / sizeof(server_cases[0])));
	tcase_add_test(tcase, configuration);
	tcase_add_loop_test(tcase, lease_files, 0,
			    (int)(sizeof(file_cases) / sizeof(file_cases[0])));
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(net, 600);
	tcase_add_checked_fixture(net, start_remote, stop_remote);
	tcase_add_test(net, who_does_not_share_a_lease_has_no_say_in_it);
	tcase_add_test(net, library);
	suite_add_tcase(suite, net);
	return run_suite(suite);
}
