/* SPDX-License-Identifier: MIT */
/* The lease store when it is damaged, foreign, full, or goes away: never a crash, never an address.
 */
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <lmdb.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "record.h"
#include "store.h"
#include "suite.h"

static int begins_to_fail; /* mdb_txn_begin() */

#define TWO "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.2\"); } );"

/* The lease store's file, whose name carries the boot on a real disk. */
static const char *leases_path(void)
{
	static char path[512];
	char pattern[512];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/run/leases*.mdb", fixture.dir);
	ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
	snprintf(path, sizeof(path), "%s", found.gl_pathv[0]);
	globfree(&found);
	return path;
}

static void make_store(void)
{
	struct pool_lease one;

	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
	pool_rest(fixture.pool);
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t size, off_t length)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, size, at), (ssize_t)size);
	if (length >= 0)
		ck_assert_int_eq(ftruncate(fd, length), 0);
	close(fd);
}

/* Every way in says the same, and removing the file is the cure. */
static void expect_refused(int code, const char *part)
{
	const struct pool_request request = { .user = "alice", .port = "p" };
	struct pool_explanation explanation;
	struct pool_lease one;
	struct pool_stats stats;
	char path[512];

	ck_assert_int_eq(acquire(&one, "alice"), code);
	ck_assert_msg(strstr(fixture.why.text, part) != NULL, "%s", fixture.why.text);
	ck_assert_msg(strstr(fixture.why.text, leases_path()) != NULL, "%s", fixture.why.text);
	ck_assert_int_eq(one.lock_fd, -1);
	ck_assert_int_eq(pool_stats(fixture.pool, &stats, &fixture.why), code);
	ck_assert_int_eq(pool_explain(fixture.pool, &request, &explanation, &fixture.why), code);
	ck_assert_int_eq(pool_reclaim(fixture.pool, false, NULL, &fixture.why), code);
	pool_rest(fixture.pool);
	snprintf(path, sizeof(path), "%s", leases_path());
	ck_assert_int_eq(unlink(path), 0);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
}

START_TEST(garbage)
{
	char noise[8192];

	make_store();
	memset(noise, 'x', sizeof(noise));
	overwrite(leases_path(), 0, noise, sizeof(noise), sizeof(noise));
	expect_refused(POOL_E_DAMAGED, "damaged");
}
END_TEST

START_TEST(cut_short)
{
	struct stat stat;

	make_store();
	ck_assert_int_eq(lstat(leases_path(), &stat), 0);
	ck_assert_int_eq(truncate(leases_path(), stat.st_size - 4096), 0);
	expect_refused(POOL_E_DAMAGED, "damaged");
}
END_TEST

START_TEST(cut_inside_the_head)
{
	make_store();
	ck_assert_int_eq(truncate(leases_path(), 100), 0);
	expect_refused(POOL_E_DAMAGED, "damaged");
}
END_TEST

static void write_store(const char *kind, uint32_t version)
{
	struct store_options options = { .path = leases_path(),
					 .kind = kind,
					 .version = version,
					 .map_bytes = 1 << 20,
					 .create = true };
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	bool fresh;

	ck_assert_int_eq(unlink(options.path), 0);
	ck_assert_msg(store_open(&store, &options, &fixture.why) == 0, "%s", fixture.why.text);
	ck_assert_int_eq(store_begin(store, true, &txn, &fresh, &fixture.why), 0);
	ck_assert(fresh);
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
	store_close(&store);
}

/* Writes n entries, and removes all but the first `keep` of them in the same transaction. */
static void write_and_remove(struct store *store, unsigned int n, unsigned int keep)
{
	static const char value[1000];
	struct store_txn *txn;

	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), 0);
	for (unsigned int i = 0; i < 2 * n - keep; i++) {
		unsigned int key = i < n ? i : 2 * n - 1 - i;
		const struct store_bytes bytes = { &key, sizeof(key) };

		if (i < n)
			ck_assert_int_eq(
				store_put(txn, bytes, (struct store_bytes){ value, sizeof(value) }),
				0);
		else
			ck_assert_int_eq(store_delete(txn, bytes), 0);
	}
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
}

/* A page that one transaction takes behind the file's end and gives back is never written. */
START_TEST(a_file_may_end_before_pages_that_are_free)
{
	char path[300];
	const struct store_options options = {
		.path = path, .kind = "test", .version = 1, .map_bytes = 1 << 26, .create = true
	};
	struct store *store = NULL;

	snprintf(path, sizeof(path), "%s/store.mdb", fixture.dir);
	for (unsigned int keep = 0; keep < 40; keep++) {
		ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
		write_and_remove(store, 40 + 3 * keep, keep);
		ck_assert_msg(store_check_file(store, &fixture.why) == 0, "%s", fixture.why.text);
		store_close(&store);
		ck_assert_msg(store_open(&store, &options, &fixture.why) == 0, "%s",
			      fixture.why.text);
		write_and_remove(store, 100, keep);
		ck_assert_msg(store_check_file(store, &fixture.why) == 0, "%s", fixture.why.text);
		store_close(&store);
	}
}
END_TEST

/* More than the 1 MB that LMDB has for those who do not say, or say a number that it cannot hold. */
START_TEST(a_file_grows_where_nobody_says_how_far)
{
	static const char value[64 << 10];
	char path[300];
	const struct store_options options = {
		.path = path, .kind = "test", .version = 1, .create = true
	};
	struct store *store = NULL;
	struct store_txn *txn = NULL;

	snprintf(path, sizeof(path), "%s/store.mdb", fixture.dir);
	ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct key key = key_lease(i);

		ck_assert_msg(store_put(txn, key_bytes(&key),
					(struct store_bytes){ value, sizeof(value) }) == 0,
			      "entry %u", i);
	}
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
	store_close(&store);
}
END_TEST

START_TEST(a_file_that_is_cut_short_while_it_is_open)
{
	char path[300];
	const struct store_options options = {
		.path = path, .kind = "test", .version = 1, .map_bytes = 1 << 26, .create = true
	};
	struct store *store = NULL;
	struct stat file;

	snprintf(path, sizeof(path), "%s/store.mdb", fixture.dir);
	ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
	write_and_remove(store, 100, 50);
	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert_int_eq(store_check_file(store, &fixture.why), 0);
	ck_assert_int_eq(truncate(path, file.st_size - 1), 0);
	ck_assert_int_eq(store_check_file(store, &fixture.why), POOL_E_DAMAGED);
	ck_assert_int_eq(truncate(path, file.st_size), 0);
	ck_assert_int_eq(store_check_file(store, &fixture.why), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(store_check_file(store, &fixture.why), POOL_E_STORE);
	store_close(&store);
}
END_TEST

/* It is opened again where LMDB's mutexes are destroyed, and never made anew. */
START_TEST(a_file_that_is_gone_is_not_made_again)
{
	char path[300];
	const struct store_options options = {
		.path = path, .kind = "test", .version = 1, .map_bytes = 1 << 26, .create = true
	};
	struct store *store = NULL;
	struct store_txn *txn;

	snprintf(path, sizeof(path), "%s/store.mdb", fixture.dir);
	ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
	ck_assert_int_eq(unlink(path), 0);
	begins_to_fail = 1;
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), POOL_E_STORE);
	ck_assert_int_ne(access(path, F_OK), 0);
	store_close(&store);
}
END_TEST

START_TEST(another_version)
{
	make_store();
	write_store(LEASES_KIND, LEASES_VERSION + 1);
	expect_refused(POOL_E_VERSION, "another version");
}
END_TEST

START_TEST(another_kind)
{
	make_store();
	write_store("something-else", LEASES_VERSION);
	expect_refused(POOL_E_DAMAGED, "not a store of rasip's");
}
END_TEST

START_TEST(a_damaged_memory_costs_nobody_an_address)
{
	char path[512];
	char noise[8192] = { 'x' };
	struct pool_lease one;
	int fd;

	fixture_load(TWO);
	snprintf(path, sizeof(path), "%s/state", fixture.dir);
	ck_assert_int_eq(mkdir(path, 0750), 0);
	snprintf(path, sizeof(path), "%s/state/" MEMORY_FILE, fixture.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, noise, sizeof(noise)), (ssize_t)sizeof(noise));
	close(fd);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_WARNING], 1);
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), POOL_E_DAMAGED);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, path));
}
END_TEST

static void fill_pages(const char *path, int with)
{
	static char pages[1 << 20];
	struct stat file;

	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert_int_gt(file.st_size, 8192);
	ck_assert_int_le(file.st_size, (off_t)sizeof(pages));
	memset(pages, with, sizeof(pages));
	overwrite(path, 8192, pages, (size_t)file.st_size - 8192, -1);
}

/* The head is fine, and LMDB would follow what is written behind it: to a signal, or to no end. */
START_TEST(a_memory_that_is_damaged_inside_costs_nobody_an_address)
{
	static const int fills[] = { 0, 0x55, 0xff };
	char path[512];
	struct pool_lease one;

	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	pool_lease_abandon(&one);
	fixture_close();
	scratch_remove_below(fixture.dir, "run");
	fixture.boot_ms = 5000;
	snprintf(path, sizeof(path), "%s/state/" MEMORY_FILE, fixture.dir);
	fill_pages(path, fills[_i]);
	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_WARNING], 1);
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), POOL_E_DAMAGED);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, path));
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "move it away"));
	/* Which is the cure. */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	give_back(&one);
}
END_TEST

/* Nothing can be counted from a time before there were any. */
START_TEST(a_memory_of_a_time_that_cannot_be_is_none)
{
	char path[512];
	const struct store_options options = {
		.path = path, .kind = MEMORY_KIND, .version = MEMORY_VERSION, .create = true
	};
	const struct memory_record record = { .released = true,
					      .since_sec = INT64_MIN + 200,
					      .user = "alice" };
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	struct pool_lease one;

	snprintf(path, sizeof(path), "%s/state", fixture.dir);
	ck_assert_int_eq(mkdir(path, 0750), 0);
	snprintf(path, sizeof(path), "%s/state/" MEMORY_FILE, fixture.dir);
	ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), 0);
	ck_assert_int_eq(record_put_memory(txn, 0x0a000002, &record), 0);
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
	store_close(&store);
	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
}
END_TEST

/* As whoever started us may have left it: nobody can wait for a child then. */
START_TEST(a_memory_is_read_where_ends_of_children_are_ignored)
{
	struct pool_lease one;

	signal(SIGCHLD, SIG_IGN);
	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	give_back(&one);
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	ck_assert_ptr_eq(signal(SIGCHLD, SIG_DFL), SIG_IGN);
}
END_TEST

/* A record that makes no sense, in a store that does. */
START_TEST(a_senseless_record)
{
	struct store_options options = { .kind = LEASES_KIND,
					 .version = LEASES_VERSION,
					 .map_bytes = 1 << 20 };
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	struct key key = key_lease(0x0a000001);
	struct pool_lease one;

	make_store();
	options.path = leases_path();
	ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), 0);
	ck_assert_int_eq(store_put(txn, key_bytes(&key), (struct store_bytes){ "\xff\xff", 2 }), 0);
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
	store_close(&store);
	ck_assert_int_eq(acquire(&one, "alice"), POOL_E_DAMAGED);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "makes no sense"));
}
END_TEST

static int see_nothing(void *context, const struct pool_record *record)
{
	(void)context;
	(void)record;
	return 0;
}

/* Nor does one whose times no clock comes to: of those, not even a difference can be told. */
START_TEST(a_record_of_a_time_that_cannot_be)
{
	static const struct lease_record records[] = {
		{ .queue = QUEUE_ASIDE, .order = UINT64_C(1) << 63, .user = "bob" },
		{ .active = true, .since_us = UINT64_C(1) << 63, .user = "bob" },
		{ .queue = QUEUE_TIME, .since_us = UINT64_MAX, .user = "bob" },
		{ .active = true, .since_sec = INT64_MIN, .user = "bob" },
	};
	const struct pool_filter all = { .all = true };
	struct store_options options = { .kind = LEASES_KIND,
					 .version = LEASES_VERSION,
					 .map_bytes = 1 << 20 };
	struct store *store = NULL;
	struct store_txn *txn = NULL;

	make_store();
	options.path = leases_path();
	ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), 0);
	ck_assert_int_eq(record_put_lease(txn, 0x0a000002, &records[_i]), 0);
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
	store_close(&store);
	ck_assert_int_eq(pool_walk(fixture.pool, &all, see_nothing, NULL, &fixture.why),
			 POOL_E_DAMAGED);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "makes no sense"));
}
END_TEST

/* No room for the commit: refused with the reason, and service when there is room again. */
START_TEST(a_full_disk)
{
	struct rlimit limit;
	struct pool_lease one;
	struct pool_lease two;

	make_store();
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	pool_rest(fixture.pool);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(acquire(&two, "bob"), POOL_E_STORE);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, leases_path()));
	ck_assert_uint_eq(fixture.events[POOL_EVENT_GRANT], 2);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ASSERT_GETS(&two, "bob", "10.0.0.2");
	give_back(&two);
	give_back(&one);
}
END_TEST

/* The release cannot be written: the lock goes all the same, so the next in need takes the lease
 * back. */
START_TEST(a_release_on_a_full_disk)
{
	struct rlimit limit;
	struct pool_lease leases[2];

	make_store();
	ASSERT_GETS(&leases[0], "alice", "10.0.0.1");
	ASSERT_GETS(&leases[1], "bob", "10.0.0.2");
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(pool_release(fixture.pool, &leases[0], &fixture.why), POOL_E_STORE);
	ck_assert_int_eq(leases[0].lock_fd, -1);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ASSERT_GETS(&leases[0], "carol", "10.0.0.1");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 1);
}
END_TEST

START_TEST(no_descriptors_left)
{
	struct rlimit limit;
	struct pool_lease one;

	fixture_load(TWO);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t n = 3; n < 12; n++) {
		struct rlimit few = { .rlim_cur = n, .rlim_max = limit.rlim_max };
		int code;

		pool_rest(fixture.pool);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
		code = acquire(&one, "alice");
		ck_assert_msg(code == 0 || fixture.why.text[0] != '\0', "no reason with %d",
			      (int)n);
		if (code == 0)
			give_back(&one);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
}
END_TEST

/* qemu's emulation of a process has no robust mutexes, on which LMDB's writer lock depends. */
static bool have_robust_mutexes(void)
{
	void *head;
	size_t size;

	return syscall(SYS_get_robust_list, 0, &head, &size) == 0 || errno != ENOSYS;
}

/* A writer killed inside its transaction leaves what was committed, and no lock. */
START_TEST(a_writer_is_killed)
{
	struct pool_lease one;

	if (!have_robust_mutexes())
		return;
	make_store();
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0) {
			struct store_options options = { .path = leases_path(),
							 .kind = LEASES_KIND,
							 .version = LEASES_VERSION,
							 .map_bytes = 256 << 20 };
			struct store *store = NULL;
			struct store_txn *txn = NULL;
			struct key key = key_lease(0x0a000001);

			if (store_open(&store, &options, NULL) != 0 ||
			    store_begin(store, true, &txn, NULL, NULL) != 0 ||
			    store_put(txn, key_bytes(&key), (struct store_bytes){ "x", 1 }) != 0)
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		ASSERT_GETS(&one, "alice", "10.0.0.1");
		give_back(&one);
	}
}
END_TEST

/* ---- LMDB's mutexes: newer versions destroy them --------------------------------------------- */

static bool is_watched;
static int n_closed;
static bool were_held;

static void *real(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	ck_assert_ptr_nonnull(function);
	return function;
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **ret)
{
	__typeof__(&mdb_txn_begin) begin = (__typeof__(begin))real("mdb_txn_begin");

	if (begins_to_fail > 0) {
		begins_to_fail--;
		return EINVAL;
	}
	return begin(env, parent, flags, ret);
}

/* Whether somebody who opens the store now would have to share it, although LMDB has closed it. */
static bool is_held(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
	close(fd);
	return lock.l_type != F_UNLCK;
}

void mdb_env_close(MDB_env *env)
{
	__typeof__(&mdb_env_close) end = (__typeof__(end))real("mdb_env_close");
	const char *path = NULL;
	char lock_path[4096];

	/* (One whose opening has failed still gives the path, which is freed.) */
	if (!is_watched) {
		end(env);
		return;
	}
	ck_assert_int_eq(mdb_env_get_path(env, &path), 0);
	snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
	end(env);
	were_held = were_held && is_held(lock_path);
	n_closed++;
}

START_TEST(nobody_is_alone_with_a_store_that_is_being_closed)
{
	struct pool_lease one;
	char path[4096];

	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	were_held = true;
	is_watched = true;
	pool_rest(fixture.pool);
	is_watched = false;
	ck_assert_int_gt(n_closed, 0);
	ck_assert(were_held);
	snprintf(path, sizeof(path), "%s-lock", leases_path());
	ck_assert(!is_held(path));
	give_back(&one);
}
END_TEST

START_TEST(a_store_whose_mutexes_are_destroyed_is_opened_again)
{
	struct pool_lease one;

	fixture_load(TWO);
	begins_to_fail = 3;
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_int_eq(begins_to_fail, 0);
	pool_rest(fixture.pool);
	begins_to_fail = 1;
	give_back(&one);
	ck_assert_int_eq(begins_to_fail, 0);
}
END_TEST

START_TEST(a_store_that_cannot_be_locked_is_an_error)
{
	struct pool_lease one;

	fixture_load(TWO);
	begins_to_fail = INT_MAX;
	ck_assert_int_eq(acquire(&one, "alice"), POOL_E_STORE);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "cannot begin a transaction"));
	begins_to_fail = 0;
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
}
END_TEST

/* ---- readers --------------------------------------------------------------------------------- */

/* As many as LMDB has places for, who stay for a while. */
#define READERS 126
#define READING_MS 300

static void read_for_a_while(int ready_fd)
{
	struct store_options options = { .path = leases_path(),
					 .kind = LEASES_KIND,
					 .version = LEASES_VERSION,
					 .map_bytes = 256 << 20 };
	const struct timespec pause = { .tv_nsec = READING_MS * 1000000 };
	struct store *store = NULL;
	struct store_txn *txn = NULL;

	if (store_open(&store, &options, NULL) != 0 ||
	    store_begin(store, false, &txn, NULL, NULL) != 0 || write(ready_fd, "", 1) != 1)
		_exit(1);
	nanosleep(&pause, NULL);
	store_abort(&txn);
	store_close(&store);
	_exit(0);
}

/* A crowd that looks through a full pool is in each other's way for a moment, and no reason to
 * tell anybody that the store is broken. */
START_TEST(a_crowd_of_readers_is_waited_for)
{
	struct pool_lease one, two;
	int ready[2];
	char byte;

	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ASSERT_GETS(&two, "bob", "10.0.0.2");
	pool_rest(fixture.pool);
	ck_assert_int_eq(pipe(ready), 0);
	for (int i = 0; i < READERS; i++) {
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0)
			read_for_a_while(ready[1]);
	}
	close(ready[1]);
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ASSERT_REFUSED("carol", "full");
	close(ready[0]);
	for (int i = 0; i < READERS; i++)
		ck_assert_int_gt(wait(NULL), 0);
	give_back(&one);
	give_back(&two);
}
END_TEST

/* ---- others that write or read --------------------------------------------------------------- */

/* LMDB's lock file. Where a writer has his turn in it, and how he says who he is, is for all versions. */
#define TURN_AT ((off_t)1 << 40)

static int open_lock_file(const char *of)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%.500s-lock", of);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void lock_bytes(int fd, off_t start, off_t length)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length
	};

	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

/* As process 4711, which has written for 40 seconds. */
static int take_turn(const char *path)
{
	struct timespec now;
	int fd = open_lock_file(path);

	clock_gettime(CLOCK_MONOTONIC, &now);
	lock_bytes(fd, TURN_AT, 1);
	lock_bytes(fd, TURN_AT + 1 + now.tv_sec * 1000 - 40000, 4711);
	return fd;
}

/* A process that was stopped while it wrote held up everybody for as long, and no signal but SIGKILL
 * ended them. */
START_TEST(a_writer_that_is_stopped_is_not_waited_for)
{
	struct pool_lease one, two;
	char expected[600];
	int fd;

	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	fd = take_turn(leases_path());
	ck_assert_int_eq(acquire(&two, "bob"), POOL_E_STORE);
	snprintf(expected, sizeof(expected),
		 "%.500s: process 4711 has been writing to it for 40 s (is it stopped?)",
		 leases_path());
	ck_assert_str_eq(fixture.why.text, expected);
	/* Who is dead without having ended the lease is no longer in anybody's way afterwards. */
	ck_assert_int_eq(pool_release(fixture.pool, &one, &fixture.why), POOL_E_STORE);
	close(fd);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 1);
	give_back(&one);
}
END_TEST

static int count_past(void *context, const struct pool_past *past)
{
	(void)past;
	++*(unsigned int *)context;
	return 0;
}

/* What cannot be struck off would be written down again by the next one. */
START_TEST(what_a_stopped_writer_holds_up_is_remembered_once)
{
	struct pool_lease one;
	unsigned int n = 0;
	int fd;

	fixture_load(TWO);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	fd = take_turn(leases_path());
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), POOL_E_STORE);
	close(fd);
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
	ck_assert_int_eq(pool_history(fixture.pool, count_past, &n, &fixture.why), 0);
	ck_assert_uint_eq(n, 1);
	give_back(&one);
}
END_TEST

/* Nor by who opens the file and finds pages to be added. */
START_TEST(a_writer_that_is_stopped_is_named_by_who_opens_the_file)
{
	char path[300];
	const struct store_options options = {
		.path = path, .kind = "test", .version = 1, .map_bytes = 1 << 26, .create = true
	};
	struct store *store = NULL;
	unsigned int n_missing = 0;

	snprintf(path, sizeof(path), "%s/store.mdb", fixture.dir);
	for (unsigned int keep = 0; keep < 40; keep++) {
		int fd;

		ck_assert_int_eq(store_open(&store, &options, &fixture.why), 0);
		write_and_remove(store, 40 + 3 * keep, keep);
		store_close(&store);
		fd = take_turn(path);
		if (store_open(&store, &options, &fixture.why) < 0) {
			ck_assert_msg(strstr(fixture.why.text, "process 4711 has been writing") !=
					      NULL,
				      "%s", fixture.why.text);
			n_missing++;
		}
		store_close(&store);
		close(fd);
	}
	ck_assert_uint_gt(n_missing, 0);
}
END_TEST

/*
 * LMDB's mutex knows its holder by a number. Of two containers' processes with the same one, the kernel
 * took the mutex away from the one that wrote where the other was killed while it waited: so it is
 * not waited for.
 */
START_TEST(who_writes_waits_for_his_turn)
{
	const struct timespec moment = { .tv_nsec = 200000000 };
	struct pool_lease one;
	int ready[2], done[2];
	pid_t child;
	char byte;

	make_store();
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe2(done, O_NONBLOCK), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		lock_bytes(open_lock_file(leases_path()), TURN_AT, 1);
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		nanosleep(&moment, NULL);
		_exit(write(done[1], "", 1) != 1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ck_assert_int_eq(read(done[0], &byte, 1), 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	give_back(&one);
}
END_TEST

/* Another container may have a process with our number, by which LMDB locks its place. */
START_TEST(a_reader_with_the_same_number_is_waited_for)
{
	const struct timespec moment = { .tv_nsec = 200000000 };
	struct flock number = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int ready[2];
	pid_t child;
	char byte;

	make_store();
	ck_assert_int_eq(pipe(ready), 0);
	number.l_start = getpid();
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int fd = open_lock_file(leases_path());

		ck_assert_int_eq(fcntl(fd, F_SETLK, &number), 0);
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		nanosleep(&moment, NULL);
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_msg(pool_reclaim(fixture.pool, false, NULL, &fixture.why) == 0, "%s",
		      fixture.why.text);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

/* A reader keeps all pages that he may see, and a store that was full said nothing of him. */
START_TEST(a_reader_that_fills_the_store_is_named)
{
	char path[SCRATCH_SIZE + 16], expected[128];
	struct store_options options = {
		.path = path, .kind = "test", .version = 1, .map_bytes = 1 << 20, .create = true
	};
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	int ready[2], code = 0;
	uint8_t data[512] = { 0 };
	pid_t child;
	char byte;

	snprintf(path, sizeof(path), "%s/full.mdb", fixture.dir);
	ck_assert_int_eq(store_open(&store, &options, NULL), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, NULL), 0);
	ck_assert_int_eq(store_commit(&txn, NULL), 0);
	store_close(&store);
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		ck_assert_int_eq(store_open(&store, &options, NULL), 0);
		ck_assert_int_eq(store_begin(store, false, &txn, NULL, NULL), 0);
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(store_open(&store, &options, NULL), 0);
	for (int i = 0; code == 0 && i < 10000; i++) {
		data[0] = (uint8_t)i;
		ck_assert_int_eq(store_begin(store, true, &txn, NULL, NULL), 0);
		code = store_put(txn, (struct store_bytes){ "key", 3 },
				 (struct store_bytes){ data, sizeof(data) });
		if (code == 0)
			code = store_commit(&txn, &fixture.why);
		else
			error_set(&fixture.why, "%s", store_txn_problem(txn));
		store_abort(&txn);
	}
	ck_assert_int_eq(code, POOL_E_STORE);
	snprintf(expected, sizeof(expected), "as process %d has been reading it through ",
		 (int)child);
	ck_assert_msg(strstr(fixture.why.text, expected) != NULL, "%s", fixture.why.text);
	store_close(&store);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* pppd's handlers interrupt system calls, and its scripts end whenever they like. */
START_TEST(a_storm_of_signals)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 50 }, { 0, 50 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	struct pool_lease one;
	sigset_t before;
	sigset_t after;

	fixture_load(TWO);
	sigaction(SIGALRM, &action, NULL);
	sigprocmask(SIG_SETMASK, NULL, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 500; i++) {
		ASSERT_GETS(&one, "alice", "10.0.0.1");
		pool_rest(fixture.pool);
		give_back(&one);
		pool_rest(fixture.pool);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		ck_assert_int_eq(sigismember(&before, sig), sigismember(&after, sig));
	ck_assert_int_gt(alarms, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("store");

	tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, garbage);
	tcase_add_test(tcase, cut_short);
	tcase_add_test(tcase, cut_inside_the_head);
	tcase_add_test(tcase, a_file_may_end_before_pages_that_are_free);
	tcase_add_test(tcase, a_file_grows_where_nobody_says_how_far);
	tcase_add_test(tcase, a_file_that_is_cut_short_while_it_is_open);
	tcase_add_test(tcase, a_file_that_is_gone_is_not_made_again);
	tcase_add_test(tcase, another_version);
	tcase_add_test(tcase, another_kind);
	tcase_add_test(tcase, a_damaged_memory_costs_nobody_an_address);
	tcase_add_loop_test(tcase, a_memory_that_is_damaged_inside_costs_nobody_an_address, 0, 3);
	tcase_add_test(tcase, a_memory_of_a_time_that_cannot_be_is_none);
	tcase_add_test(tcase, a_memory_is_read_where_ends_of_children_are_ignored);
	tcase_add_test(tcase, a_senseless_record);
	tcase_add_loop_test(tcase, a_record_of_a_time_that_cannot_be, 0, 4);
	tcase_add_test(tcase, a_full_disk);
	tcase_add_test(tcase, a_release_on_a_full_disk);
	tcase_add_test(tcase, no_descriptors_left);
	tcase_add_test(tcase, a_writer_is_killed);
	tcase_add_test(tcase, nobody_is_alone_with_a_store_that_is_being_closed);
	tcase_add_test(tcase, a_store_whose_mutexes_are_destroyed_is_opened_again);
	tcase_add_test(tcase, a_store_that_cannot_be_locked_is_an_error);
	tcase_add_test(tcase, a_crowd_of_readers_is_waited_for);
	tcase_add_test(tcase, a_writer_that_is_stopped_is_not_waited_for);
	tcase_add_test(tcase, what_a_stopped_writer_holds_up_is_remembered_once);
	tcase_add_test(tcase, a_writer_that_is_stopped_is_named_by_who_opens_the_file);
	tcase_add_test(tcase, who_writes_waits_for_his_turn);
	tcase_add_test(tcase, a_reader_with_the_same_number_is_waited_for);
	tcase_add_test(tcase, a_reader_that_fills_the_store_is_named);
	tcase_add_test(tcase, a_storm_of_signals);
	return run_tcase("store", tcase);
}
