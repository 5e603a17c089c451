/* SPDX-License-Identifier: MIT */
/* Mistakes that the pool has made once. Each test says what went wrong. */
#include "fixture.h"

#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "local.h"
#include "suite.h"

#define LEASES_MAX 5000

static struct pool_lease leases[LEASES_MAX];

static void acquire_many(int n)
{
	char user[16];

	for (int i = 0; i < n; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		ck_assert_msg(acquire(&leases[i], user) == 0, "%s: %s", user, fixture.why.text);
	}
}

/* Forgets a lease without ending it: its process goes on elsewhere, or was killed. */
static void let_go(struct pool_lease *lease)
{
	close(lease->lock_fd);
	lease->lock_fd = -1;
}

static int acquire_as(struct pool_lease *lease, const struct pool_request *request)
{
	*lease = POOL_LEASE_NONE;
	fixture.why.text[0] = '\0';
	return pool_acquire(fixture.pool, request, lease, &fixture.why);
}

/* A "forever" that somebody ended went on: no rest that began at 0 was long enough. */
START_TEST(forgetting_ends_a_rest_that_is_forever)
{
	struct pool_lease one;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); hold = \"forever\"; } );");
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
	ASSERT_REFUSED("bob", "1 at rest");
	ck_assert_int_eq(pool_forget(fixture.pool, be("10.0.0.1"), &fixture.why), 0);
	ASSERT_GETS(&one, "bob", "10.0.0.1");
}
END_TEST

/* A session that was just giving its address back looked dead to `rasip release`, which then forgot
 * the user instead of leaving what had ended well. */
START_TEST(what_looked_dead_may_have_ended_well)
{
	struct pool_lease one;
	struct pool_lease other;
	uint64_t id;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.0/24\"); } );");
	ASSERT_GETS(&one, "alice", "10.0.0.0");
	id = one.id;
	ck_assert_int_eq(pool_take_back(fixture.pool, be("10.0.0.0"), id, &fixture.why),
			 POOL_E_NOT_OWNER);
	give_back(&one);
	ck_assert_int_eq(pool_take_back(fixture.pool, be("10.0.0.0"), id, &fixture.why),
			 POOL_E_NOT_FOUND);
	ASSERT_GETS(&other, "bob", "10.0.0.1");
	ASSERT_GETS(&one, "alice", "10.0.0.0");
	ck_assert_int_eq(pool_take_back(fixture.pool, be("10.0.0.0"), id, &fixture.why),
			 POOL_E_NOT_FOUND);
	id = one.id;
	let_go(&one);
	ck_assert_int_eq(pool_take_back(fixture.pool, be("10.0.0.0"), id, &fixture.why), 0);
	ASSERT_GETS(&one, "alice", "10.0.0.0");
}
END_TEST

/* An address put aside before anybody had it then rested for a last user who did not exist. */
START_TEST(a_conflict_is_nobodys_rest)
{
	struct pool_lease one;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); hold = \"1h\"; } );");
	fixture.in_use_be = be("10.0.0.1");
	ASSERT_REFUSED("alice", "full");
	fixture.in_use_be = 0;
	fixture.boot_ms += 61000;
	ASSERT_GETS(&one, "alice", "10.0.0.1");
}
END_TEST

/* A big pool that had been scanned a moment ago was passed over, and where the next one was full too,
 * the user was refused though the first had a dead session's address. */
START_TEST(no_refusal_while_a_pool_of_the_chain_is_unproven)
{
	enum { LIVE = 1101 };
	struct rlimit files;
	struct pool_lease one;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	fixture_load(
		"pools = ( { name = \"a\"; ranges = (\"10.0.0.0-10.0.4.75\"); next = \"b\"; }, "
		"{ name = \"b\"; ranges = (\"10.9.0.1\"); } );");
	acquire_many(LIVE);
	ASSERT_REFUSED("x", "full");
	let_go(&leases[500]);
	fixture.boot_ms += 500;
	ASSERT_GETS(&one, "x", text_of(leases[500].addr_be));
}
END_TEST

/* A pool that looked full left its reason to whoever proved it. Until then, what stood there before,
 * which need not even have had an end, was joined to what the other pools said. */
START_TEST(a_pool_that_looks_full_says_so)
{
	const struct pool_request request = { .user = "bob", .port = "ttyS0" };
	struct pool_lease one;
	struct choice choice;
	struct error why;
	struct op op;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); } );");
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	memset(&why, 'x', sizeof(why));
	ck_assert_int_eq(op_begin(&op, fixture.pool, true, &why), 0);
	op.request = &request;
	ck_assert_int_eq(local_choose(&op, 0, &choice), LOCAL_FULL);
	ck_assert_ptr_nonnull(memchr(why.text, '\0', sizeof(why.text)));
	ck_assert_str_eq(why.text, "pool p is full");
	op_done(&op);
}
END_TEST

/* Looking at a pool that nobody has used gave it a number, which the next look did not find. */
START_TEST(looking_at_a_pool_uses_up_no_number)
{
	const struct pool_counters *counters;
	uint32_t numbers[2];
	struct op op;
	int code;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); } );");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(op_begin(&op, fixture.pool, true, &fixture.why), 0);
		counters = op_counters(&op, 0, false, &code);
		ck_assert_ptr_nonnull(counters);
		numbers[i] = counters->number;
		ck_assert_int_eq(op_commit(&op), 0);
		op_done(&op);
	}
	ck_assert_uint_eq(numbers[0], numbers[1]);
}
END_TEST

static uint64_t position_of_first_pool(void)
{
	const struct pool_counters *counters;
	struct op op;
	uint64_t position;
	int code;

	ck_assert_int_eq(op_begin(&op, fixture.pool, false, &fixture.why), 0);
	counters = op_counters(&op, 0, false, &code);
	ck_assert_ptr_nonnull(counters);
	position = counters->position;
	op_done(&op);
	return position;
}

/* Sessions from before a change of the configuration put the pool back to its beginning when they
 * ended, and each time the next one had to pass over every known address again. */
START_TEST(an_old_sessions_end_does_not_put_the_pool_back)
{
	struct config *old_config;
	struct pool *old_pool;
	struct pool_lease one;
	uint64_t position;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.0/24\"); } );");
	acquire_many(8);
	ck_assert_uint_eq(position_of_first_pool(), 8);
	pool_rest(fixture.pool);
	old_config = fixture.config;
	old_pool = fixture.pool;
	fixture.config = NULL;
	fixture.pool = NULL;
	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.0/24\"); }, "
		     "{ name = \"q\"; ranges = (\"10.99.0.0/24\"); } ); "
		     "assign = ( { pool = \"p\"; } );");
	ASSERT_GETS(&one, "new", "10.0.0.8");
	position = position_of_first_pool();
	ck_assert_uint_ge(position, 9);
	pool_rest(fixture.pool);
	ck_assert_int_eq(pool_release(old_pool, &leases[0], &fixture.why), 0);
	pool_rest(old_pool);
	ck_assert_uint_eq(position_of_first_pool(), position);
	pool_close(&old_pool);
	config_free(&old_config);
}
END_TEST

/* Thousands of entries of addresses that another pool has by now stood before the one whose rest was
 * over, and were all that was looked at. */
START_TEST(a_rested_address_behind_stale_entries_is_found)
{
	struct pool_lease one;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0-10.0.19.135\", \"10.1.0.1\"); "
		     "order = \"sequential\"; hold = \"10s\"; sticky = false; } );");
	for (int i = 0; i < LEASES_MAX; i++) {
		ck_assert_msg(acquire(&leases[i], "u") == 0, "%s", fixture.why.text);
		let_go(&leases[i]);
	}
	ASSERT_GETS(&one, "x", "10.1.0.1");
	for (int i = 0; i < LEASES_MAX; i++)
		give_back(&leases[i]);
	fixture.boot_ms += 1;
	give_back(&one);
	fixture.boot_ms += 100000;
	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.1.0.1\"); "
		     "order = \"sequential\"; hold = \"10s\"; sticky = false; }, "
		     "{ name = \"b\"; ranges = (\"10.0.0.0-10.0.19.135\"); } );");
	ASSERT_GETS(&one, "y", "10.1.0.1");
}
END_TEST

static bool first_270_are_in_use(void *context, uint32_t addr_be)
{
	(void)context;
	return ntohl(addr_be) - ntohl(inet_addr("10.0.0.0")) < 270;
}

/* Where a scan's whole batch was dead but in use on this machine, what it had put aside was undone
 * with the transaction, and the next round found the same batch. */
START_TEST(a_batch_of_useless_suspects_does_not_stop_a_scan)
{
	enum { SESSIONS = 280 };
	struct pool_env env = fixture_env;
	struct pool_lease one;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0-10.0.1.23\"); } );");
	acquire_many(SESSIONS);
	for (int i = 0; i < SESSIONS; i++)
		let_go(&leases[i]);
	pool_close(&fixture.pool);
	env.in_use = first_270_are_in_use;
	ck_assert_int_eq(pool_open(&fixture.pool, fixture.config, &env), 0);
	ASSERT_GETS(&one, "y", "10.0.1.14");
}
END_TEST

/* Of the addresses that a user had, only the latest sixteen were looked at, even where the pool had
 * nothing else for him than the seventeenth. */
START_TEST(an_address_at_rest_is_found_behind_many_remembered_ones)
{
	const struct pool_request elsewhere = { .user = "guest", .port = "other" };
	struct pool_lease one;

	fixture_load("pools = ( "
		     "{ name = \"a\"; ranges = (\"10.0.0.0/24\"); hold = \"forever\"; }, "
		     "{ name = \"b\"; ranges = (\"10.1.0.1\"); hold = \"forever\"; } ); "
		     "assign = ( { user = \"guest\"; port = \"ttyS0\"; pool = \"a\"; }, "
		     "{ pool = \"b\"; } );");
	ck_assert_int_eq(acquire_as(&one, &elsewhere), 0);
	ck_assert_str_eq(text_of(one.addr_be), "10.1.0.1");
	give_back(&one);
	fixture.boot_ms += 1000;
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(acquire(&leases[i], "guest"), 0);
	for (int i = 0; i < 20; i++)
		give_back(&leases[i]);
	fixture.boot_ms += 1000;
	ck_assert_msg(acquire_as(&one, &elsewhere) == 0, "%s", fixture.why.text);
	ck_assert_str_eq(text_of(one.addr_be), "10.1.0.1");
}
END_TEST

/* Not a mistake, but taken for one: a dead lease whose module wants to be told waits for a process that
 * has the module, and full means full until then. */
START_TEST(ra_54_a_foreign_modules_dead_lease_can_be_taken_back)
{
	const struct pool_request request = { .user = "m", .port = "p" };
	const struct pool_choice choice = { .addr_be = be("10.0.0.1"),
					    .module = "M",
					    .notify = true };
	struct pool_lease one = POOL_LEASE_NONE;
	uint64_t count;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.1\"); } );");
	ck_assert_int_eq(pool_record(fixture.pool, &request, &choice, &one, &fixture.why), 0);
	let_go(&one);
	ck_assert_int_eq(pool_reclaim(fixture.pool, false, &count, &fixture.why), 0);
	ck_assert_uint_eq(count, 0);
	ASSERT_REFUSED("alice", "full");
	ck_assert_int_eq(pool_reclaim(fixture.pool, true, &count, &fixture.why), 0);
	ck_assert_uint_eq(count, 1);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
}
END_TEST

/* A dead lease's address that had become the local end of a link counted as its user's session. */
START_TEST(our_end_does_not_bring_a_dead_lease_to_life)
{
	struct pool_lease one;
	int fd;

	fixture_load(
		"pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); max_per_user = 1; } );");
	ASSERT_GETS(&one, "alice", "10.0.0.0");
	let_go(&one);
	ck_assert_int_eq(pool_hold_local(fixture.pool, be("10.0.0.0"), &fd, &fixture.why), 0);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	close(fd);
}
END_TEST

/* A pool of reserved addresses alone was at its alarm from the first session on, for good. */
START_TEST(no_alarm_of_a_pool_without_addresses)
{
	struct pool_lease one;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.1\"); "
		     "exclude = (\"10.0.0.1\"); alarm = 80; } ); "
		     "assign = ( { user = \"alice\"; address = \"10.0.0.1\"; } );");
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	give_back(&one);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_ON], 0);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_OFF], 0);
}
END_TEST

/* Sessions that ended while their pool was gone from the configuration stayed active in its count.
 */
START_TEST(a_pool_that_was_away_counts_no_ended_sessions)
{
	struct pool_lease one;
	struct pool_stats stats;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); alarm = 1; } );");
	acquire_many(3);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_ALARM_ON], 1);
	fixture_load("pools = ( { name = \"b\"; ranges = (\"10.0.0.0/24\"); } );");
	for (int i = 0; i < 3; i++)
		give_back(&leases[i]);
	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); alarm = 1; } );");
	ck_assert_int_eq(acquire(&one, "zoe"), 0);
	ck_assert_int_eq(pool_stats(fixture.pool, &stats, &fixture.why), 0);
	ck_assert_uint_eq(stats.active, 1);
	ck_assert_uint_eq(stats.peak, 3);
}
END_TEST

static int count_past(void *context, const struct pool_past *past)
{
	(void)past;
	++*(unsigned int *)context;
	return 0;
}

static void note_many(unsigned int n)
{
	struct op op;

	ck_assert_int_eq(op_begin(&op, fixture.pool, true, &fixture.why), 0);
	for (unsigned int i = 0; i < n; i++)
		op_note(&op, POOL_EVENT_REFUSAL, 0, 0, NULL, "full");
	ck_assert_int_eq(op_commit(&op), 0);
	op_done(&op);
}

static unsigned int history_length(void)
{
	unsigned int n = 0;

	ck_assert_int_eq(pool_history(fixture.pool, count_past, &n, &fixture.why), 0);
	return n;
}

/* Whatever had happened at once, a single old event made room for it, so that what waits for
 * pool_maintain grew without end. */
START_TEST(events_that_nobody_takes_away_have_a_limit)
{
	unsigned int limit;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); } );");
	for (int i = 0; i < 1200; i++)
		note_many(20);
	limit = history_length();
	ck_assert_uint_lt(limit, 23500);
	note_many(256);
	ck_assert_uint_eq(history_length(), limit);
}
END_TEST

/* Events were taken away by sessions that had come up alone: a full pool, or one in mode "drain", has
 * none, and refused so many that ends of sessions were lost. */
START_TEST(who_notes_many_events_knows)
{
	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); } );");
	ck_assert(!pool_is_behind(fixture.pool));
	note_many(1000);
	ck_assert(!pool_is_behind(fixture.pool));
	note_many(100);
	ck_assert(pool_is_behind(fixture.pool));
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
	ck_assert(!pool_is_behind(fixture.pool));
	note_many(1);
	ck_assert(!pool_is_behind(fixture.pool));
}
END_TEST

static off_t total_size;

static int add_size(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type == FTW_F)
		total_size += stat->st_size;
	return 0;
}

static off_t runtime_size(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/run", fixture.dir);
	total_size = 0;
	ck_assert_int_eq(nftw(path, add_size, 8, FTW_PHYS), 0);
	return total_size;
}

/* Has many sessions come and go; the store must find room for them in the pages that it has. */
static void check_that_pages_are_used_again(void)
{
	off_t before = runtime_size();
	struct pool_lease one;

	for (int i = 0; i < 500; i++) {
		ck_assert_msg(acquire(&one, "u") == 0, "%s", fixture.why.text);
		give_back(&one);
	}
	ck_assert_int_lt(runtime_size() - before, 1 << 20);
}

static void wait_for_byte(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 1);
}

static int die(void *context, const struct pool_record *record)
{
	(void)context;
	(void)record;
	raise(SIGKILL);
	return 0;
}

/* Keeps the store open until it is killed: who opens it is never the first. */
static pid_t start_keeper(void)
{
	int ready[2];
	struct pool_stats stats;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (pool_stats(fixture.pool, &stats, NULL) == 0 && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_gt(pid, 0);
	close(ready[1]);
	wait_for_byte(ready[0]);
	return pid;
}

/* After a reader was killed, no page was used again until the store was full. */
START_TEST(a_killed_reader_keeps_no_pages)
{
	struct pool_lease one;
	pid_t keeper;
	pid_t reader;
	int status;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); } );");
	ck_assert_int_eq(acquire(&one, "a"), 0);
	pool_rest(fixture.pool);
	keeper = start_keeper();
	reader = fork();
	if (reader == 0)
		_exit(pool_walk(fixture.pool, NULL, die, NULL, NULL) == 0);
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_that_pages_are_used_again();
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
}
END_TEST

static int hung_disk_fd = -1; /* set where the disk hangs: this pipe is told when it begins */

/* In place of the C library's, for LMDB. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
	(void)fd;
	if (hung_disk_fd >= 0 && write(hung_disk_fd, "", 1) == 1) {
		for (;;)
			pause();
	}
	return 0;
}

/* pool_maintain read the sessions' store until its own was on the disk, and while that took long, no
 * page of the sessions' was used again. */
START_TEST(a_hung_disk_keeps_no_pages)
{
	struct pool_lease one;
	int begun[2];
	pid_t pid;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); } );");
	ck_assert_int_eq(acquire(&one, "a"), 0);
	pool_rest(fixture.pool);
	ck_assert_int_eq(pipe(begun), 0);
	pid = fork();
	if (pid == 0) {
		hung_disk_fd = begun[1];
		pool_maintain(fixture.pool, NULL);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	close(begun[1]);
	wait_for_byte(begun[0]);
	check_that_pages_are_used_again();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

/* Outside all pools, a link got the settings of the rules' pool and not of rasip-pool's. */
START_TEST(rasip_pool_decides_about_settings)
{
	const struct pool_request request = {
		.user = "u", .port = "p", .pool_name = "b", .candidate_be = be("192.0.2.7")
	};
	struct pool_lease one;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); }, "
		     "{ name = \"b\"; ranges = (\"10.1.0.0/24\"); } );");
	ck_assert_int_eq(acquire_as(&one, &request), 0);
	ck_assert_str_eq(pool_lease_config(fixture.pool, &one, "b")->name, "b");
	ck_assert_str_eq(pool_lease_config(fixture.pool, &one, NULL)->name, "a");
}
END_TEST

/* With rasip-pool, a user's own reserved address was somebody else's once pppd proposed it. */
START_TEST(a_candidate_may_be_ones_own_reservation_with_rasip_pool)
{
	struct pool_request request = { .user = "u", .port = "p", .pool_name = "b" };
	struct pool_lease one;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); }, "
		     "{ name = \"b\"; ranges = (\"10.1.0.0/24\"); } ); "
		     "assign = ( { port = \"p\"; pool = \"a\"; }, "
		     "{ user = \"u\"; address = \"10.1.0.9\"; } );");
	ck_assert_int_eq(acquire_as(&one, &request), 0);
	ck_assert_str_eq(text_of(one.addr_be), "10.1.0.9");
	give_back(&one);
	request.candidate_be = be("10.1.0.9");
	ck_assert_msg(acquire_as(&one, &request) == 0, "%s", fixture.why.text);
	ck_assert_str_eq(text_of(one.addr_be), "10.1.0.9");
}
END_TEST

/* Not a mistake, but taken for one: what pppd has decided is recorded whatever the pool's `mode` and
 * `max_per_user` say. */
START_TEST(candidates_ignore_mode_and_limit)
{
	struct pool_request request = { .user = "u", .port = "p" };
	const char *candidates[] = { "10.0.0.9", "10.0.0.10" };
	struct pool_lease one;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.0/24\"); mode = \"drain\"; "
		     "max_per_user = 1; } );");
	for (size_t i = 0; i < 2; i++) {
		request.candidate_be = be(candidates[i]);
		ck_assert_msg(acquire_as(&one, &request) == 0, "%s", fixture.why.text);
		ck_assert_str_eq(text_of(one.addr_be), candidates[i]);
		ck_assert_str_eq(one.pool, "a");
	}
}
END_TEST

static unsigned int transactions; /* each reads the clock once */

static int64_t count_transaction(void *context)
{
	transactions++;
	return fixture_boot_us(context);
}

static unsigned int transactions_of_refusal(const struct pool_request *request)
{
	struct pool_lease one;

	transactions = 0;
	ck_assert_int_eq(acquire_as(&one, request), POOL_E_REFUSED);
	return transactions;
}

/* In a full pool, each scan took the link's own local end for an address to be had, and the search
 * began again until it had done so as often as it may. */
START_TEST(our_end_in_a_full_pool_is_scanned_for_once)
{
	const struct pool_request plain = { .user = "x", .port = "p" };
	const struct pool_request own_end = { .user = "x",
					      .port = "p",
					      .local_be = be("10.0.0.4") };
	struct pool_env env = fixture_env;
	struct pool_lease one;
	unsigned int needed;

	fixture_load("pools = ( { name = \"a\"; ranges = (\"10.0.0.1-10.0.0.4\"); } );");
	pool_close(&fixture.pool);
	env.boot_us = count_transaction;
	ck_assert_int_eq(pool_open(&fixture.pool, fixture.config, &env), 0);
	acquire_many(3);
	transactions_of_refusal(&own_end); /* puts it aside */
	needed = transactions_of_refusal(&own_end);
	ASSERT_GETS(&one, "last", "10.0.0.4");
	ck_assert_uint_eq(needed, transactions_of_refusal(&plain));
}
END_TEST

/* Found by test_pool_model: it had lost its record, and the pool had passed its place. */
START_TEST(what_was_forgotten_while_in_no_pool_is_found_again)
{
	static const char both[] =
		"pools = ( { name = \"a\"; ranges = (\"10.0.0.1-10.0.0.2\"); } );";
	static const char first[] = "pools = ( { name = \"b\"; ranges = (\"10.0.0.1\"); } );";
	struct pool_lease one, two;

	fixture_load(both);
	ASSERT_GETS(&one, "x", "10.0.0.1");
	ASSERT_GETS(&two, "y", "10.0.0.2");
	give_back(&two);
	fixture_load(first);
	ck_assert_int_eq(pool_forget(fixture.pool, be("10.0.0.2"), &fixture.why), 0);
	ck_assert_int_eq(pool_forget(fixture.pool, be("10.0.0.2"), &fixture.why), POOL_E_NOT_FOUND);
	fixture_load(both);
	ASSERT_GETS(&two, "z", "10.0.0.2");
}
END_TEST

/* ---- what changes while it is taken to the disk ----------------------------------------------- */

static struct pool_lease *ends_next; /* at the next look at the clock, in another process */

static int64_t boot_us_and_end(void *context)
{
	struct pool_lease *lease = ends_next;
	pid_t child;
	int status;

	ends_next = NULL;
	if (lease == NULL)
		return fixture.boot_ms * 1000;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct pool *pool;

		if (pool_open(&pool, fixture.config, &fixture_env) < 0 ||
		    pool_release(pool, lease, NULL) < 0)
			_exit(1);
		pool_close(&pool);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	let_go(lease);
	return fixture_boot_us(context);
}

/* A lease that ended while pool_maintain() wrote down its beginning was not written down again: both
 * notes were the same. Its rest began anew when the machine did. */
START_TEST(a_rest_that_begins_while_the_lease_is_written_down)
{
	struct pool_env env = fixture_env;
	struct pool_lease one;

	env.boot_us = boot_us_and_end;
	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); hold = \"1h\"; } );");
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	pool_close(&fixture.pool);
	ck_assert_int_eq(pool_open(&fixture.pool, fixture.config, &env), 0);
	ends_next = &one;
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	ck_assert_ptr_null(ends_next);
	ck_assert_msg(pool_maintain(fixture.pool, &fixture.why) == 0, "%s", fixture.why.text);
	pool_rest(fixture.pool);
	scratch_remove_below(fixture.dir, "run");
	fixture.boot_ms = 5000;
	fixture.unix_sec += 3590;
	ASSERT_REFUSED("bob", "1 at rest");
	fixture.boot_ms += 11000;
	fixture.unix_sec += 11;
	ASSERT_GETS(&one, "bob", "10.0.0.1");
}
END_TEST

/* Of a user who had come back to his address the disk still said that he had released it long ago;
 * when the machine went down under him, the address did not rest. */
START_TEST(a_machine_that_goes_down_under_a_user_who_came_back)
{
	struct pool_lease one;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); hold = \"1h\"; } );");
	for (int i = 0; i < 2; i++) {
		ASSERT_GETS(&one, "alice", "10.0.0.1");
		ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
		if (i == 0)
			give_back(&one);
		ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
		fixture.boot_ms += 7200000;
		fixture.unix_sec += 7200;
	}
	pool_lease_abandon(&one);
	pool_rest(fixture.pool);
	scratch_remove_below(fixture.dir, "run");
	fixture.boot_ms = 5000;
	ASSERT_REFUSED("bob", "1 at rest");
	fixture.boot_ms += 3600000;
	fixture.unix_sec += 3600;
	ASSERT_GETS(&one, "bob", "10.0.0.1");
}
END_TEST

static int n_blocked;

static void count_blocked(const struct pool_event *event)
{
	sigset_t mask;

	(void)event;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	n_blocked += sigismember(&mask, SIGTERM) + sigismember(&mask, SIGALRM);
}

/* A module that was told of a dead session's release, and all that it started, could not be stopped
 * by any signal. */
START_TEST(the_observer_runs_with_the_callers_signals)
{
	struct pool_lease one;
	sigset_t mask;

	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.1\"); } );");
	fixture.on_event = count_blocked;
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	let_go(&one);
	ck_assert_int_eq(pool_reclaim(fixture.pool, false, NULL, &fixture.why), 0);
	ASSERT_GETS(&one, "alice", "10.0.0.1");
	ASSERT_REFUSED("bob", "full");
	give_back(&one);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_RECLAIM], 1);
	ck_assert_uint_eq(fixture.events[POOL_EVENT_REFUSAL], 1);
	ck_assert_int_eq(n_blocked, 0);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
}
END_TEST

static TCase *make_tcase(void)
{
	TCase *tcase = tcase_create("pool_regressions");

	tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
	tcase_add_test(tcase, forgetting_ends_a_rest_that_is_forever);
	tcase_add_test(tcase, what_looked_dead_may_have_ended_well);
	tcase_add_test(tcase, a_conflict_is_nobodys_rest);
	tcase_add_test(tcase, no_refusal_while_a_pool_of_the_chain_is_unproven);
	tcase_add_test(tcase, a_pool_that_looks_full_says_so);
	tcase_add_test(tcase, looking_at_a_pool_uses_up_no_number);
	tcase_add_test(tcase, an_old_sessions_end_does_not_put_the_pool_back);
	tcase_add_test(tcase, a_rested_address_behind_stale_entries_is_found);
	tcase_add_test(tcase, a_batch_of_useless_suspects_does_not_stop_a_scan);
	tcase_add_test(tcase, an_address_at_rest_is_found_behind_many_remembered_ones);
	tcase_add_test(tcase, ra_54_a_foreign_modules_dead_lease_can_be_taken_back);
	tcase_add_test(tcase, our_end_does_not_bring_a_dead_lease_to_life);
	tcase_add_test(tcase, no_alarm_of_a_pool_without_addresses);
	tcase_add_test(tcase, a_pool_that_was_away_counts_no_ended_sessions);
	tcase_add_test(tcase, events_that_nobody_takes_away_have_a_limit);
	tcase_add_test(tcase, who_notes_many_events_knows);
	tcase_add_test(tcase, a_killed_reader_keeps_no_pages);
	tcase_add_test(tcase, a_hung_disk_keeps_no_pages);
	tcase_add_test(tcase, rasip_pool_decides_about_settings);
	tcase_add_test(tcase, a_candidate_may_be_ones_own_reservation_with_rasip_pool);
	tcase_add_test(tcase, candidates_ignore_mode_and_limit);
	tcase_add_test(tcase, our_end_in_a_full_pool_is_scanned_for_once);
	tcase_add_test(tcase, a_rest_that_begins_while_the_lease_is_written_down);
	tcase_add_test(tcase, a_machine_that_goes_down_under_a_user_who_came_back);
	tcase_add_test(tcase, the_observer_runs_with_the_callers_signals);
	tcase_add_test(tcase, what_was_forgotten_while_in_no_pool_is_found_again);
	return tcase;
}

int main(void)
{
	return run_tcase("pool_regressions", make_tcase());
}
