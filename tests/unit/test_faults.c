/* SPDX-License-Identifier: MIT */
/*
 * The pool, its configuration and a session of the plugin, with every call of the system failing
 * in turn, LMDB's and libconfig's own included: torture/faults.h. Whatever fails, a lease is had or
 * not had and the registry agrees, the reason is in words, nothing is left behind, and the next
 * try without a fault finds every address that is free.
 */
#include "fixture.h"

#include "../torture/faults.h"
#include "session.h"
#include "suite.h"

#define SIZE 3                                       /* of the pool: 10.0.0.1 to 10.0.0.3 */
#define ADDRESS(n) htonl(UINT32_C(0x0a000000) + (n)) /* 10.0.0.n, without an assertion */

static const char conf[] = "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.3\"); } );";

static struct pool_lease held[SIZE];
static struct pool_lease lease; /* what the operation under test is about */
static struct pool_explanation explanation;
static int code;
static unsigned int seen;

/* The kernel is asked which addresses are in use. */
static void open_pool(const char *text)
{
	struct pool_env env = fixture_env;

	fixture_load(text);
	pool_close(&fixture.pool);
	env.in_use = NULL;
	ck_assert_int_eq(pool_open(&fixture.pool, fixture.config, &env), 0);
}

static void prepare_nothing(void)
{
	fixture_begin();
	open_pool(conf);
	lease = POOL_LEASE_NONE;
	for (int i = 0; i < SIZE; i++)
		held[i] = POOL_LEASE_NONE;
}

/* A store with one session in it, at rest. */
static void prepare_used(void)
{
	prepare_nothing();
	ck_assert_int_eq(acquire(&held[0], "first"), 0);
	pool_rest(fixture.pool);
}

/* A full pool; what u0 had is dead, what u2 has lives. */
static void prepare_dead(void)
{
	prepare_nothing();
	for (unsigned int i = 0; i < SIZE; i++) {
		char user[16];

		snprintf(user, sizeof(user), "u%u", i);
		ck_assert_int_eq(acquire(&held[i], user), 0);
	}
	pool_lease_abandon(&held[0]);
	pool_rest(fixture.pool);
}

static void prepare_full(void)
{
	prepare_dead();
	ck_assert_int_eq(acquire(&held[0], "u0"), 0);
	pool_rest(fixture.pool);
}

/* The operation's own lease is there already. */
static void prepare_session(void)
{
	prepare_used();
	ck_assert_int_eq(acquire(&lease, "alice"), 0);
	pool_rest(fixture.pool);
}

static void prepare_freed(void)
{
	prepare_session();
	ck_assert_int_eq(pool_release(fixture.pool, &lease, &fixture.why), 0);
	pool_rest(fixture.pool);
}

/* What is remembered is on disk, and the lease store is gone, as after a boot. */
static void prepare_boot(void)
{
	prepare_session();
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
	ck_assert_int_eq(pool_release(fixture.pool, &lease, &fixture.why), 0);
	pool_lease_abandon(&held[0]);
	pool_rest(fixture.pool);
	scratch_remove_below(fixture.dir, "run");
}

/* ---- what must hold afterwards --------------------------------------------------------------- */

/* A failure says why, and what passes is not said to be for ever. */
static void check_reason(void)
{
	if (code == 0)
		return;
	FAULT_EXPECT(code < 0, "the code is %d", code);
	FAULT_EXPECT(fixture.why.text[0] != '\0', "failed without a reason, code %d", code);
	FAULT_EXPECT(strstr(fixture.why.text, "Success") == NULL, "the reason: %s",
		     fixture.why.text);
	/* LMDB takes a lock that it cannot get for one that another process has. */
	FAULT_EXPECT((code != POOL_E_DAMAGED && code != POOL_E_VERSION) ||
			     strcmp(fault_struck(), "fcntl") == 0,
		     "a fault that passes is called damage: %s", fixture.why.text);
}

static int count_one(void *context, const struct pool_record *record)
{
	(void)context;
	if (record->state == POOL_STATE_ACTIVE)
		seen++;
	return 0;
}

static void count_registry(unsigned int live)
{
	struct pool_stats stats;
	int walked;

	seen = 0;
	walked = pool_walk(fixture.pool, NULL, count_one, NULL, &fixture.why);
	FAULT_EXPECT(walked == 0 || walked == POOL_E_NOT_FOUND, "walk: %s", fixture.why.text);
	FAULT_EXPECT(seen == live, "%u leases in the registry, not %u", seen, live);
	FAULT_EXPECT(pool_stats(fixture.pool, &stats, &fixture.why) == 0, "stats: %s",
		     fixture.why.text);
	FAULT_EXPECT(stats.active == live, "%llu active by the counters, not %u",
		     (unsigned long long)stats.active, live);
}

/* Every address that nobody holds can be had, once; then the pool is full; then all is given
 * back but what the case itself holds. */
static void fill(void)
{
	struct pool_lease extra[SIZE + 1];
	unsigned int live = lease.addr_be != 0;
	unsigned int n = 0;
	char user[16];

	for (int i = 0; i < SIZE; i++)
		live += held[i].addr_be != 0;
	while (live + n < SIZE) {
		snprintf(user, sizeof(user), "x%u", n);
		FAULT_EXPECT(acquire(&extra[n], user) == 0, "the next connect: %s",
			     fixture.why.text);
		for (unsigned int j = 0; j < n; j++)
			FAULT_EXPECT(extra[j].addr_be != extra[n].addr_be, "%s was given twice",
				     text_of(extra[n].addr_be));
		n++;
	}
	FAULT_EXPECT(acquire(&extra[n], "more") == POOL_E_REFUSED, "more than the pool has");
	FAULT_EXPECT(strstr(fixture.why.text, "full") != NULL, "reason: %s", fixture.why.text);
	count_registry(SIZE);
	while (n > 0)
		FAULT_EXPECT(pool_release(fixture.pool, &extra[--n], &fixture.why) == 0,
			     "release: %s", fixture.why.text);
	count_registry(live);
	pool_rest(fixture.pool);
}

static void check_anything(void)
{
	check_reason();
	pool_rest(fixture.pool);
	fill();
}

static void check_acquired(void)
{
	check_reason();
	FAULT_EXPECT((code == 0) == (lease.addr_be != 0), "code %d, and %s", code,
		     lease.addr_be != 0 ? "an address" : "no address");
	FAULT_EXPECT((code == 0) == (lease.lock_fd >= 0), "code %d, and the lock is not like it",
		     code);
	for (int i = 0; i < SIZE; i++)
		FAULT_EXPECT(code != 0 || lease.addr_be != held[i].addr_be, "an address twice");
	pool_rest(fixture.pool);
	fill();
	if (code == 0)
		FAULT_EXPECT(pool_release(fixture.pool, &lease, &fixture.why) == 0, "release: %s",
			     fixture.why.text);
	pool_rest(fixture.pool);
}

static void check_free_acquired(void)
{
	FAULT_EXPECT(code != POOL_E_REFUSED, "refused with free addresses: %s", fixture.why.text);
	check_acquired();
}

static void check_released(void)
{
	check_reason();
	FAULT_EXPECT(lease.addr_be == 0 && lease.lock_fd == -1, "the lease is not empty");
	pool_rest(fixture.pool);
	fill();
	FAULT_EXPECT(acquire(&lease, "alice") == 0, "%s", fixture.why.text);
	pool_rest(fixture.pool);
}

/* It ends as it is when the case began: with the lock's descriptor. */
static void check_kept(void)
{
	check_reason();
	FAULT_EXPECT(lease.addr_be != 0 && lease.lock_fd >= 0, "the lease is gone");
	pool_rest(fixture.pool);
	fill();
}

static void end(void)
{
	for (int i = 0; i < SIZE; i++)
		pool_lease_abandon(&held[i]);
	pool_lease_abandon(&lease);
	fixture_end();
}

/* ---- the pool -------------------------------------------------------------------------------- */

static void run_acquire(void)
{
	code = acquire(&lease, "alice");
}

static void run_acquire_u0(void)
{
	code = acquire(&lease, "u0");
}

static void run_record(void)
{
	const struct pool_choice choice = { .addr_be = ADDRESS(3), .module = "m" };

	code = pool_record(fixture.pool, &(struct pool_request){ .user = "alice", .port = "p1" },
			   &choice, &lease, &fixture.why);
}

static void run_release(void)
{
	code = pool_release(fixture.pool, &lease, &fixture.why);
}

static void run_maintain(void)
{
	code = pool_maintain(fixture.pool, &fixture.why);
}

static void run_explain(void)
{
	code = pool_explain(fixture.pool, &(struct pool_request){ .user = "alice", .port = "p1" },
			    &explanation, &fixture.why);
}

static void run_reclaim(void)
{
	uint64_t n;

	code = pool_reclaim(fixture.pool, false, &n, &fixture.why);
}

/* ---- foreign modules' dead -------------------------------------------------------------------- */

static unsigned int n_told;

static void note_told(const struct pool_event *event)
{
	n_told += event->kind == POOL_EVENT_RECLAIM && event->notify;
}

/* Two, of whose end the module wants to be told. */
static void prepare_dead_of_module(void)
{
	prepare_nothing();
	for (uint32_t i = 1; i <= 2; i++) {
		const struct pool_choice choice = { .addr_be = ADDRESS(i),
						    .module = "m",
						    .notify = true };
		const struct pool_request request = { .user = "bob", .port = "p1" };

		ck_assert_int_eq(pool_record(fixture.pool, &request, &choice, &lease, NULL), 0);
		pool_lease_abandon(&lease);
	}
	pool_rest(fixture.pool);
	n_told = 0;
	fixture.on_event = note_told;
}

static void run_reclaim_of_module(void)
{
	code = pool_reclaim(fixture.pool, true, NULL, &fixture.why);
}

/* RA-54: each of the two is told of, or waits to be, and never both. */
static void check_told(void)
{
	uint64_t waiting = 0;

	check_reason();
	pool_rest(fixture.pool);
	FAULT_EXPECT(pool_count_waiting(fixture.pool, &waiting, &fixture.why) == 0, "waiting: %s",
		     fixture.why.text);
	FAULT_EXPECT(waiting + n_told == 2, "%u told of, and %u waiting", n_told,
		     (unsigned int)waiting);
	pool_rest(fixture.pool);
}

static void run_adopt(void)
{
	code = pool_lease_adopt(fixture.pool, &lease, &fixture.why);
}

static void run_told(void)
{
	code = pool_lease_told(fixture.pool, &lease, &fixture.why);
}

static void run_hold_local(void)
{
	int fd = -1;

	code = pool_hold_local(fixture.pool, ADDRESS(257), &fd, &fixture.why);
	if (code == 0)
		close(fd);
}

static void run_forget(void)
{
	code = pool_forget(fixture.pool, ADDRESS(2), &fixture.why);
}

static int see_past(void *context, const struct pool_past *past)
{
	(void)context;
	(void)past;
	return 0;
}

/* All that the operator's tool reads. */
static void run_look(void)
{
	struct pool_record record;
	struct pool_stats stats;
	bool alive;

	code = pool_walk(fixture.pool, NULL, count_one, NULL, &fixture.why);
	if (code == 0)
		code = pool_stats(fixture.pool, &stats, &fixture.why);
	if (code == 0)
		code = pool_lookup(fixture.pool, ADDRESS(1), &record, &alive, &fixture.why);
	if (code == 0)
		code = pool_history(fixture.pool, see_past, NULL, &fixture.why);
}

static void check_explained(void)
{
	if (code == 0 && explanation.code != 0)
		FAULT_EXPECT(explanation.why.text[0] != '\0', "no reason in the explanation");
	check_anything();
}

static void prepare_maintained(void)
{
	prepare_session();
	ck_assert_int_eq(pool_maintain(fixture.pool, &fixture.why), 0);
	ck_assert_int_eq(pool_release(fixture.pool, &lease, &fixture.why), 0);
	pool_rest(fixture.pool);
}

/* What a failed one has not written, the next one does. */
static void check_maintained(void)
{
	check_reason();
	FAULT_EXPECT(pool_maintain(fixture.pool, &fixture.why) == 0, "the next one: %s",
		     fixture.why.text);
	pool_rest(fixture.pool);
	fill();
}

static const struct fault_case pool_cases[] = {
	{ "first_acquire", prepare_nothing, run_acquire, check_free_acquired, end },
	{ "acquire", prepare_used, run_acquire, check_free_acquired, end },
	{ "acquire_again", prepare_freed, run_acquire, check_free_acquired, end },
	{ "acquire_own_dead", prepare_dead, run_acquire_u0, check_acquired, end },
	{ "acquire_others_dead", prepare_dead, run_acquire, check_acquired, end },
	{ "acquire_full", prepare_full, run_acquire, check_acquired, end },
	{ "acquire_after_boot", prepare_boot, run_acquire, check_free_acquired, end },
	{ "record", prepare_used, run_record, check_free_acquired, end },
	{ "release", prepare_session, run_release, check_released, end },
	{ "first_maintain", prepare_session, run_maintain, check_maintained, end },
	{ "maintain", prepare_maintained, run_maintain, check_maintained, end },
	{ "explain", prepare_freed, run_explain, check_explained, end },
	{ "explain_dead", prepare_dead, run_explain, check_explained, end },
	{ "reclaim", prepare_dead, run_reclaim, check_anything, end },
	{ "reclaim_of_module", prepare_dead_of_module, run_reclaim_of_module, check_told, end },
	{ "adopt", prepare_session, run_adopt, check_kept, end },
	{ "told", prepare_session, run_told, check_kept, end },
	{ "hold_local", prepare_used, run_hold_local, check_anything, end },
	{ "forget", prepare_freed, run_forget, check_anything, end },
	{ "look", prepare_freed, run_look, check_anything, end },
};

START_TEST(pool)
{
	faults_try(&pool_cases[_i]);
}
END_TEST

/* ---- the configuration ----------------------------------------------------------------------- */

static struct config *config;
static struct config_errors errors;
static char config_path[300];

static void write_file(const char *name, bool with_directories, const char *text)
{
	FILE *file;

	snprintf(config_path, sizeof(config_path), "%s/%s", fixture.dir, name);
	file = fopen(config_path, "w");
	ck_assert_ptr_nonnull(file);
	if (with_directories)
		fprintf(file, "runtime_dir = \"%s/run\"; state_dir = \"%s/state\";\n", fixture.dir,
			fixture.dir);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

/* Every kind of entry there is, and an included file. */
static void prepare_config(void)
{
	fixture_begin();
	write_file("pools.conf", false,
		   "pools = ( { name = \"p\"; ranges = (\"10.0.0.1-10.0.0.3\"); exclude = "
		   "(\"10.0.0.2\"); dns = (\"192.0.2.53\"); wins = (\"192.0.2.54\"); local = "
		   "\"10.0.0.3\"; hold = \"10s\"; next = \"q\"; }, { name = \"q\"; ranges = "
		   "(\"10.0.1.0/24\"); order = \"random\"; } );\n");
	write_file("rasip.conf", true,
		   "modules = ( { name = \"Pool\"; path = \"builtin\"; } );\n"
		   "@include \"pools.conf\"\n"
		   "assign = ( { user = \"a*\"; pool = \"q\"; }, { user = \"u\"; address = "
		   "\"10.0.1.7\"; }, { pool = \"p\"; } );\n");
	config = NULL;
}

static void run_config(void)
{
	code = config_load(config_path, &config, &errors);
}

static void check_config(void)
{
	FAULT_EXPECT(code == 0 || code == POOL_E_CONFIG || code == POOL_E_NO_MEMORY, "code %d",
		     code);
	FAULT_EXPECT((code == 0) == (config != NULL), "code %d, and config is %p", code,
		     (void *)config);
	FAULT_EXPECT((code == POOL_E_CONFIG) == (errors.n > 0), "code %d, %zu errors", code,
		     errors.n);
	for (size_t i = 0; i < errors.n; i++)
		FAULT_EXPECT(strstr(errors.lines[i], fixture.dir) != NULL &&
				     strstr(errors.lines[i], "Success") == NULL,
			     "error: %s", errors.lines[i]);
	config_free(&config);
	config_errors_done(&errors);
}

static const struct fault_case config_case = { "config", prepare_config, run_config, check_config,
					       fixture_end };

START_TEST(configuration)
{
	faults_try(&config_case);
}
END_TEST

/* ---- a session of the plugin ----------------------------------------------------------------- */

static struct session *session;
static uint32_t answer_be;
static bool chosen;
static bool told;   /* an error line has been logged */
static bool closed; /* the link has been told to close */

static void on_log(void *context, enum session_level level, const char *line)
{
	(void)context;
	told |= level == SESSION_ERROR && strlen(line) > strlen("rasip: refuse reason=\"\"");
}

static void on_close(void *context)
{
	(void)context;
	closed = true;
}

static void on_env(void *context, const char *name, const char *value)
{
	(void)context;
	(void)name;
	(void)value;
}

static void on_link(void *context, const struct session_link *link)
{
	(void)context;
	(void)link;
}

static const struct session_ops ops = { on_log, on_close, on_env, on_link };

static int load_session(void)
{
	const struct session_setup setup = { .config_path = config_path, .ops = &ops };

	return session_load(&session, &setup, &errors);
}

static void prepare_load(void)
{
	prepare_config();
	session = NULL;
	answer_be = 0;
	told = closed = chosen = false;
}

static void prepare_idle(void)
{
	prepare_load();
	ck_assert_int_eq(load_session(), 0);
}

static const struct session_input input = { .user = "alice", .port = "p1" };

static void prepare_live(void)
{
	prepare_idle();
	ck_assert(session_choose(session, &input, &answer_be));
}

static void run_load(void)
{
	code = load_session();
}

static void run_choose(void)
{
	chosen = session_choose(session, &input, &answer_be);
}

static void run_end(void)
{
	session_end(session);
}

static void run_whole(void)
{
	if (!session_choose(session, &input, &answer_be))
		return;
	session_ip_up(session, answer_be, 0);
	session_maintain(session);
	(void)session_choose(session, &input, &answer_be);
	session_end(session);
}

/* A session that works, from beginning to end, in a process that goes on. */
static void check_next(void)
{
	uint32_t next_be = 0;

	FAULT_EXPECT(session_choose(session, &input, &next_be) && next_be != 0,
		     "the next session was refused");
	FAULT_EXPECT(session_allows(session, next_be) == 1, "its address is not allowed");
	session_end(session);
	FAULT_EXPECT(session_allows(session, next_be) == -1, "it has not ended");
}

static void check_loaded(void)
{
	FAULT_EXPECT((code == 0) == (session != NULL), "code %d, and session is %p", code,
		     (void *)session);
	FAULT_EXPECT((code == POOL_E_CONFIG) == (errors.n > 0), "code %d, %zu errors", code,
		     errors.n);
	config_errors_done(&errors);
	if (session != NULL)
		check_next();
	session_exit(&session);
}

/* No address, no link, and the log says why. */
static void check_chosen(void)
{
	FAULT_EXPECT(chosen == (answer_be != 0), "refused with an address");
	FAULT_EXPECT(chosen || (told && closed && session_is_refused(session)),
		     "refused without a reason or with an open link");
	FAULT_EXPECT(chosen || session_allows(session, htonl(UINT32_C(0x0a000101))) == 0,
		     "refused, and an address is allowed");
	session_end(session);
	check_next();
}

static void check_ended(void)
{
	session_end(session);
	check_next();
}

/* And has one again, as when it began. */
static void check_live_ended(void)
{
	check_ended();
	FAULT_EXPECT(session_choose(session, &input, &answer_be), "the next session was refused");
}

static void end_session(void)
{
	session_exit(&session);
	fixture_end();
}

static const struct fault_case session_cases[] = {
	{ "session_load", prepare_load, run_load, check_loaded, fixture_end },
	{ "session_choose", prepare_idle, run_choose, check_chosen, end_session },
	{ "session_end", prepare_live, run_end, check_live_ended, end_session },
	{ "session", prepare_idle, run_whole, check_ended, end_session },
};

START_TEST(sessions)
{
	faults_try(&session_cases[_i]);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("faults");

	tcase_set_timeout(tcase, 600);
	tcase_add_loop_test(tcase, pool, 0, (int)(sizeof(pool_cases) / sizeof(pool_cases[0])));
	tcase_add_test(tcase, configuration);
	tcase_add_loop_test(tcase, sessions, 0,
			    (int)(sizeof(session_cases) / sizeof(session_cases[0])));
	return run_tcase("faults", tcase);
}
