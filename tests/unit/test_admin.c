/* SPDX-License-Identifier: MIT */
/* admin.c: the contract's rules for loading, order, get and release, with modules that exist. */
#include "modules.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/wait.h>

#include "admin.h"
#include "builtin.h"
#include "memcheck.h"
#include "pool.h"
#include "suite.h"

#define MODULES_MAX 3

static struct config config;
static struct config_module list[MODULES_MAX];
static char paths[MODULES_MAX][PATH_MAX];
static char names[MODULES_MAX][16];
static char arguments[MODULES_MAX][PATH_MAX];
static char runtime_dir[PATH_MAX];
static struct admin *admin;
static struct error why;

static void setup(void)
{
	work_setup();
	snprintf(runtime_dir, sizeof(runtime_dir), "%s/run", work);
	config = (struct config){ .path = work, .modules = list, .n_modules = 0 };
	admin = NULL;
	why.text[0] = '\0';
}

static void teardown(void)
{
	admin_unload(&admin);
	work_teardown();
}

/* Adds a module to the list under the names A, B, C. */
static void add(const char *module, const char *words)
{
	size_t i = config.n_modules++;

	snprintf(names[i], sizeof(names[i]), "%c", 'A' + (int)i);
	if (strcmp(module, CONFIG_BUILTIN) == 0)
		snprintf(paths[i], PATH_MAX, "%s", module);
	else
		copy_module(module, names[i], paths[i]);
	snprintf(arguments[i], PATH_MAX, "name=%s log=%s %s", names[i], trace_path, words);
	list[i] = (struct config_module){ .name = names[i],
					  .path = paths[i],
					  .argument = arguments[i],
					  .line = (unsigned int)i + 1 };
}

static int load(void)
{
	return admin_load(&admin, &config, &why);
}

static void ck_why(const char *expected)
{
	ck_assert_msg(strstr(why.text, expected) != NULL, "\"%s\" not in \"%s\"", expected,
		      why.text);
}

START_TEST(ra_2_ra_6_ra_7_initialize_in_order_terminate_in_reverse)
{
	add("watcher", "");
	add("scripted", "");
	add("watcher", "");
	ck_assert_int_eq(load(), 0);
	expect_trace(
		"A initialize - - 0.0.0.0\nB initialize - - 0.0.0.0\nC initialize - - 0.0.0.0\n");
	admin_unload(&admin);
	ck_assert_ptr_null(admin);
	expect_trace("C terminate - - 0.0.0.0\nB terminate - - 0.0.0.0\nA terminate - - 0.0.0.0\n");
}
END_TEST

START_TEST(t14_second_fails_to_initialize_first_is_terminated)
{
	add("watcher", "");
	add("watcher", "init=fail");
	add("watcher", "");
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why(":2: module \"B\": initialize failed with 7");
	ck_assert_ptr_null(admin);
	expect_trace(
		"A initialize - - 0.0.0.0\nB initialize - - 0.0.0.0\nA terminate - - 0.0.0.0\n");
}
END_TEST

static const struct {
	const char *module;
	const char *says;
} bad[] = {
	{ "half", "half a pair" },
	{ "bad_abi", "made for ABI 2, this is ABI 1" },
	{ "no_symbol", "exports no rasip_admin_module" },
};

START_TEST(t13_ra_4_ra_5_what_is_no_module_keeps_all_from_starting)
{
	add("watcher", "");
	add(bad[_i].module, "");
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why(":2: module \"B\": ");
	ck_why(bad[_i].says);
	expect_trace(""); /* not even the good one was started */
}
END_TEST

START_TEST(ra_4_a_file_that_others_could_have_written_is_not_loaded)
{
	add("watcher", "");
	ck_assert_int_eq(chmod(paths[0], 0720), 0);
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why("writable by group or others");
	ck_assert_int_eq(chmod(paths[0], 0702), 0);
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_assert_int_eq(chmod(paths[0], 0700), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(paths[0], 12345, 0), 0);
		ck_assert_int_eq(load(), POOL_E_CONFIG);
		ck_why("owned neither");
	}
}
END_TEST

START_TEST(ra_4_a_missing_or_odd_path_is_named)
{
	add("watcher", "");
	snprintf(paths[0], PATH_MAX, "%s/missing.so", work);
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why("missing.so: No such file or directory");
	snprintf(paths[0], PATH_MAX, "%s", work);
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why("not a regular file");
	snprintf(paths[0], PATH_MAX, "A.so");
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why("not an absolute path");
	snprintf(paths[0], PATH_MAX, "%s/text", work);
	fclose(fopen(paths[0], "w"));
	ck_assert_int_eq(load(), POOL_E_CONFIG);
	ck_why("text");
}
END_TEST

START_TEST(ra_8_every_module_is_asked_also_after_one_said_no)
{
	add("watcher", "");
	add("scripted", "accept=no");
	add("watcher", "");
	ck_assert_int_eq(load(), 0);
	expect_trace(
		"A initialize - - 0.0.0.0\nB initialize - - 0.0.0.0\nC initialize - - 0.0.0.0\n");
	ck_assert(!admin_accept(admin, "u", "p", &why));
	ck_why("module B does not accept the connection");
	expect_trace("A accept u p 0.0.0.0\nB accept u p 0.0.0.0\nC accept u p 0.0.0.0\n");
	admin_hangup(admin, "u", "p");
	expect_trace("A hangup u p 0.0.0.0\nB hangup u p 0.0.0.0\nC hangup u p 0.0.0.0\n");
}
END_TEST

START_TEST(ra_9_the_first_with_the_pair_and_no_other_also_when_it_fails)
{
	uint32_t addr_be = 0;
	bool notify = true;

	add("watcher", "");
	add("scripted", "fail address=10.9.0.1");
	add("scripted", "address=10.9.0.2");
	ck_assert_int_eq(load(), 0);
	ck_assert_str_eq(admin_foreign_name(admin), "B");
	unlink(trace_path);
	ck_assert_int_eq(admin_get(admin, "u", "p", &addr_be, &notify, &why), POOL_E_REFUSED);
	ck_why("module B failed with 3");
	ck_assert_uint_eq(addr_be, 0); /* RA-36: the out-values are ignored */
	ck_assert(notify);
	expect_trace("B get u p 0.0.0.0\n");
}
END_TEST

START_TEST(ra_31_to_ra_39_in_and_out)
{
	uint32_t addr_be = htonl(0x0a090005);
	bool notify = false;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	unlink(trace_path);
	ck_assert_int_eq(admin_get(admin, "u", "p", &addr_be, &notify, &why), 0);
	ck_assert_uint_eq(addr_be, htonl(0x0a090005)); /* RA-33: unchanged accepts it */
	ck_assert(notify);                             /* RA-39 */
	admin_release(admin, "u", "p", addr_be);
	expect_trace("A get u p 10.9.0.5\nA release u p 10.9.0.5\n");
}
END_TEST

START_TEST(ra_38_notify_is_false_unless_the_module_says_otherwise)
{
	uint32_t addr_be = 0;
	bool notify = true;

	add("scripted", "address=10.9.0.1 notify=no");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(admin_get(admin, "u", "p", &addr_be, &notify, &why), 0);
	ck_assert(!notify);
}
END_TEST

START_TEST(t25_ra_40_null_arguments)
{
	const struct rasip_admin_module *m = &builtin_module;
	struct pool_request request = { 0 };
	struct pool_lease lease = POOL_LEASE_NONE;
	const struct builtin_binding binding = { .request = &request,
						 .lease = &lease,
						 .why = &why };
	uint32_t addr_be = 7;
	bool notify = true;

	add("scripted", "address=10.9.0.1");
	ck_assert_int_eq(load(), 0);
	unlink(trace_path);
	ck_assert_int_lt(admin_get(admin, NULL, "p", &addr_be, &notify, &why), 0);
	ck_assert_int_lt(admin_get(admin, "u", NULL, &addr_be, &notify, &why), 0);
	ck_assert_int_lt(admin_get(admin, "u", "p", NULL, &notify, &why), 0);
	ck_assert_int_lt(admin_get(admin, "u", "p", &addr_be, NULL, &why), 0);
	expect_trace("");
	builtin_bind(&binding);
	ck_assert_int_ne(m->get_ip_address_for_user(NULL, "p", &addr_be, &notify), 0);
	ck_assert_int_ne(m->get_ip_address_for_user("u", NULL, &addr_be, &notify), 0);
	ck_assert_int_ne(m->get_ip_address_for_user("u", "p", NULL, &notify), 0);
	ck_assert_int_ne(m->get_ip_address_for_user("u", "p", &addr_be, NULL), 0);
	m->release_ip_address(NULL, "p", &addr_be);
	m->release_ip_address("u", NULL, &addr_be);
	m->release_ip_address("u", "p", NULL);
	builtin_bind(NULL);
	ck_assert_int_ne(m->get_ip_address_for_user("u", "p", &addr_be, &notify), 0);
	m->release_ip_address("u", "p", &addr_be);
	ck_assert_uint_eq(addr_be, 7);
	ck_assert(notify);
}
END_TEST

START_TEST(ra_10_without_a_pair_nobody_is_asked)
{
	uint32_t addr_be = 0;
	bool notify;

	add("watcher", "");
	ck_assert_int_eq(load(), 0);
	ck_assert(!admin_has_pair(admin));
	ck_assert_ptr_null(admin_foreign_name(admin));
	ck_assert_int_eq(admin_get(admin, "u", "p", &addr_be, &notify, &why), POOL_E_INVALID);
	admin_release(admin, "u", "p", 1);
}
END_TEST

START_TEST(the_built_in_pool_is_a_module_like_others)
{
	add("watcher", "");
	add(CONFIG_BUILTIN, "");
	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	ck_assert(admin_has_pair(admin));
	ck_assert_ptr_null(admin_foreign_name(admin));
}
END_TEST

START_TEST(ra_54_release_for_the_dead_goes_by_name)
{
	add("scripted", "");
	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	unlink(trace_path);
	ck_assert(admin_release_for(admin, "B", "u", "p", htonl(0x0a090001)));
	ck_assert(!admin_release_for(admin, "X", "u", "p", htonl(0x0a090001)));
	expect_trace("B release u p 10.9.0.1\n");
}
END_TEST

/* A child that calls get `n` times, each under the lock. */
static pid_t start_caller(int n)
{
	uint32_t addr_be = 0;
	bool notify;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (int i = 0; i < n; i++) {
		if (admin_enter(admin, runtime_dir, &why) < 0)
			_exit(1);
		if (admin_get(admin, "u", "p", &addr_be, &notify, &why) < 0)
			_exit(2);
		admin_leave(admin);
	}
	_exit(0);
}

/* The trace is `n` times a get with its got directly behind it. */
static void check_pairs(int n)
{
	FILE *file = fopen(trace_path, "r");
	char line[256];
	int i = 0;

	ck_assert_ptr_nonnull(file);
	for (; fgets(line, sizeof(line), file) != NULL; i++)
		ck_assert_int_eq(strncmp(line, i % 2 == 0 ? "A get " : "A got ", 6), 0);
	ck_assert_int_eq(i, 2 * n);
	fclose(file);
}

START_TEST(ra_17_get_is_entered_by_one_process_at_a_time)
{
	pid_t pids[4];
	int status;

	add("scripted", "address=10.9.0.1 slow");
	ck_assert_int_eq(load(), 0);
	unlink(trace_path);
	for (int i = 0; i < 4; i++)
		pids[i] = start_caller(2);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	check_pairs(8);
}
END_TEST

START_TEST(ra_17_a_process_that_dies_inside_frees_the_lock)
{
	char text[PATH_MAX + 16];
	struct stat status;
	int fds[2];
	pid_t pid;
	char byte;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		if (admin_enter(admin, runtime_dir, &why) == 0 && write(fds[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(admin_enter(admin, runtime_dir, &why), 0);
	ck_assert_int_lt(admin_enter(admin, runtime_dir, &why), 0); /* not twice */
	admin_leave(admin);
	admin_leave(admin);
	snprintf(text, sizeof(text), "%s/modules.lock", runtime_dir);
	ck_assert_int_eq(stat(text, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static bool is_locked(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/modules.lock", runtime_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
	close(fd);
	return lock.l_type != F_UNLCK;
}

/* A module may fork, for work that takes longer than it may. */
START_TEST(ra_17_a_child_of_a_module_does_not_keep_the_lock)
{
	pid_t pid;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(admin_enter(admin, runtime_dir, &why), 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(1);
	}
	ck_assert(is_locked());
	admin_leave(admin);
	ck_assert(!is_locked());
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* The lock is the session's, whatever becomes of its children. */
START_TEST(ra_17_a_child_that_is_not_the_session_leaves_the_lock_alone)
{
	pid_t pid;
	int status;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(admin_enter(admin, runtime_dir, &why), 0);
	pid = fork();
	if (pid == 0) {
		admin_abandon(admin);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(is_locked());
	admin_leave(admin);
}
END_TEST

/* A clock that can be put right is not at hand: whoever has come late enough is refused. */
START_TEST(ra_17_nobody_waits_for_ever_for_a_module_that_hangs)
{
	const int64_t ago_ms[] = { 40000, 29700 };
	struct sigaction before;
	int fd;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	fd = hang_in_module(runtime_dir, ago_ms[_i], true);
	ck_assert_int_eq(admin_enter(admin, runtime_dir, &why), POOL_E_REFUSED);
	ck_why("a module does not return: process 4711 has had ");
	ck_why(_i == 0 ? "/modules.lock for 40 s" : "/modules.lock for 30 s");
	/* The signal that has waited with us is as it was. */
	ck_assert_int_eq(sigaction(SIGRTMAX - 3, NULL, &before), 0);
	ck_assert(before.sa_handler == SIG_DFL);
	close(fd);
	ck_assert_int_eq(admin_enter(admin, runtime_dir, &why), 0);
	admin_leave(admin);
	/* Nothing of the one who was there last is left. */
	fd = hang_in_module(runtime_dir, 0, false);
	close(fd);
}
END_TEST

START_TEST(ra_17_who_waits_is_served_when_the_module_returns)
{
	pid_t pid;
	int status;
	int fd;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	fd = hang_in_module(runtime_dir, 1000, _i == 0);
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(admin_enter(admin, runtime_dir, &why) == 0 ? 7 : 1);
	}
	usleep(700000); /* some looks at who has it */
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	close(fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

/* How many wait for the modules' lock, as the kernel says. */
static unsigned int count_waiting(void)
{
	char path[PATH_MAX + 16], line[256], file[32];
	struct stat status;
	unsigned int n = 0;
	FILE *locks = fopen("/proc/locks", "r");

	snprintf(path, sizeof(path), "%s/modules.lock", runtime_dir);
	ck_assert_int_eq(stat(path, &status), 0);
	snprintf(file, sizeof(file), ":%llu ", (unsigned long long)status.st_ino);
	ck_assert_ptr_nonnull(locks);
	while (fgets(line, sizeof(line), locks) != NULL)
		n += strstr(line, "-> ") != NULL && strstr(line, file) != NULL;
	fclose(locks);
	return n;
}

#define QUEUE_LENGTH 12

/* Looking at who has the lock costs nobody his place. */
START_TEST(ra_17_who_waits_is_served_in_his_turn)
{
	int fd, fds[2];
	char turn;

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(pipe(fds), 0);
	fd = hang_in_module(runtime_dir, 1000, true);
	for (char i = 0; i < QUEUE_LENGTH; i++) {
		if (fork() == 0) {
			close(fd);
			if (admin_enter(admin, runtime_dir, &why) != 0 || write(fds[1], &i, 1) != 1)
				_exit(1);
			admin_leave(admin);
			_exit(0);
		}
		while (count_waiting() <= (unsigned int)i)
			usleep(1000);
		usleep(40000);
	}
	close(fd);
	for (char i = 0; i < QUEUE_LENGTH; i++) {
		ck_assert_int_eq(read(fds[0], &turn, 1), 1);
		ck_assert_int_eq(turn, i);
	}
	while (wait(NULL) > 0)
		;
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_lock_that_is_a_link_is_not_followed)
{
	char text[PATH_MAX + 16];

	add("scripted", "");
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(mkdir(runtime_dir, 0700), 0);
	snprintf(text, sizeof(text), "%s/modules.lock", runtime_dir);
	ck_assert_int_eq(symlink(trace_path, text), 0);
	ck_assert_int_eq(admin_enter(admin, runtime_dir, &why), POOL_E_SYSTEM);
}
END_TEST

static const struct {
	const char *addr;
	bool usable;
} addresses[] = {
	{ "0.0.0.0", false },        { "0.0.0.1", false },         { "0.255.255.255", false },
	{ "1.0.0.0", true },         { "10.0.0.0", true },         { "126.255.255.255", true },
	{ "127.0.0.0", false },      { "127.0.0.1", false },       { "128.0.0.0", true },
	{ "223.255.255.255", true }, { "224.0.0.0", false },       { "239.255.255.255", false },
	{ "240.0.0.0", false },      { "255.255.255.254", false }, { "255.255.255.255", false },
};

START_TEST(t24_ra_42_addresses_that_nobody_can_have)
{
	uint32_t addr_be = inet_addr(addresses[_i].addr);

	ck_assert_int_eq(admin_check_address(addr_be, &why),
			 addresses[_i].usable ? 0 : POOL_E_REFUSED);
	if (!addresses[_i].usable)
		ck_why(addresses[_i].addr);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, ra_2_ra_6_ra_7_initialize_in_order_terminate_in_reverse);
	tcase_add_test(all, t14_second_fails_to_initialize_first_is_terminated);
	tcase_add_loop_test(all, t13_ra_4_ra_5_what_is_no_module_keeps_all_from_starting, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(all, ra_4_a_file_that_others_could_have_written_is_not_loaded);
	tcase_add_test(all, ra_4_a_missing_or_odd_path_is_named);
	tcase_add_test(all, ra_8_every_module_is_asked_also_after_one_said_no);
	tcase_add_test(all, ra_9_the_first_with_the_pair_and_no_other_also_when_it_fails);
	tcase_add_test(all, ra_31_to_ra_39_in_and_out);
	tcase_add_test(all, ra_38_notify_is_false_unless_the_module_says_otherwise);
	tcase_add_test(all, t25_ra_40_null_arguments);
	tcase_add_test(all, ra_10_without_a_pair_nobody_is_asked);
	tcase_add_test(all, the_built_in_pool_is_a_module_like_others);
	tcase_add_test(all, ra_54_release_for_the_dead_goes_by_name);
	tcase_add_test(all, ra_17_get_is_entered_by_one_process_at_a_time);
	tcase_add_test(all, ra_17_a_process_that_dies_inside_frees_the_lock);
	tcase_add_test(all, ra_17_a_child_of_a_module_does_not_keep_the_lock);
	tcase_add_test(all, ra_17_a_child_that_is_not_the_session_leaves_the_lock_alone);
	tcase_add_loop_test(all, ra_17_nobody_waits_for_ever_for_a_module_that_hangs, 0,
			    is_under_memcheck() ? 1 : 2);
	tcase_add_loop_test(all, ra_17_who_waits_is_served_when_the_module_returns, 0, 2);
	tcase_add_test(all, ra_17_who_waits_is_served_in_his_turn);
	tcase_add_test(all, a_lock_that_is_a_link_is_not_followed);
	tcase_add_loop_test(all, t24_ra_42_addresses_that_nobody_can_have, 0,
			    sizeof(addresses) / sizeof(addresses[0]));
	return run_tcase("admin", all);
}
