/* SPDX-License-Identifier: MIT */
/*
 * bench_pool - what an address costs, beside what bare LMDB costs in the same store.
 *
 * Two patterns of use, at several sizes and fills of one pool:
 *  - a new process each time, as pppd is: open, allocate, close; later open, release, close;
 *  - N processes that stay, each of them allocating and releasing as fast as it can.
 * The control does the least that LMDB can be asked for by the same processes in the same file:
 * one put in one transaction. Control and subject take turns, so that a busy machine does not
 * favour either.
 *
 * The leases that fill the pool are the holder's, a process that keeps their owners' locks. The
 * biggest pool's are more than a process can keep open; it only has their records. Nothing here
 * looks at them, since no pool is ever full.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <lmdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "lease.h"
#include "pool.h"

#define PROCESSES_MAX 64
#define SAMPLES_MAX 65536  /* of one process in one round, or of all fresh processes */
#define SET_MAX (4U << 20) /* samples of one measure */
#define LOCKS_MAX 65536    /* pools up to this size have every lease's lock held */
#define BATCH 4096         /* leases in one transaction while filling */
#define BYTES_PER_LEASE 512
#define AIM_RATIO 1.3
#define USERS 64 /* that a staying process serves in turn */

enum { MEASURE_CONNECT, MEASURE_RELEASE, MEASURE_CONTROL, N_MEASURES };

struct effort {
	unsigned int rounds;
	unsigned int fresh_per_round;
	double stay_sec; /* one round of one side */
};

static const struct effort FULL = { 8, 100, 0.25 };
static const struct effort QUICK = { 4, 50, 0.08 };

struct measure {
	size_t n;
	double p50_us;
	double p99_us;
	double cpu_us; /* p50 of CPU time, which other load does not lengthen; new processes only */
	double per_sec; /* staying processes only */
};

struct outcome {
	uint64_t size;
	unsigned int fill_permille;
	unsigned int processes; /* 0: a new one each time */
	struct measure measures[N_MEASURES];
};

/* What processes tell their parent. */
struct slot {
	uint32_t n_ops;
	uint32_t n_samples;
	uint32_t ns[SAMPLES_MAX];
	uint32_t cpu_ns[SAMPLES_MAX];
};

static struct {
	char dir[64];
	const struct effort *effort;
	bool json;
	struct slot *slots;         /* PROCESSES_MAX, at least N_MEASURES, shared */
	uint32_t *sets[N_MEASURES]; /* SET_MAX each */
	struct config *config;
	size_t *map_bytes; /* shared */
	struct outcome outcomes[64];
	size_t n_outcomes;
} bench;

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
	(void)signo;
	interrupted = 1;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	fputs("bench_pool: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static uint32_t clip(uint64_t ns)
{
	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void add_sample(struct slot *slot, uint64_t ns)
{
	slot->n_ops++;
	if (slot->n_samples < SAMPLES_MAX)
		slot->ns[slot->n_samples++] = clip(ns);
}

/* Two clocks, for what a new process does once. */
struct stopwatch {
	uint64_t cpu;
	uint64_t wall;
};

static struct stopwatch stopwatch_start(void)
{
	const uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	return (struct stopwatch){ cpu, now_ns() };
}

static void stopwatch_stop(const struct stopwatch *watch, struct slot *slot)
{
	const uint64_t wall = now_ns() - watch->wall;

	if (slot->n_samples < SAMPLES_MAX)
		slot->cpu_ns[slot->n_samples] =
			clip(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - watch->cpu);
	add_sample(slot, wall);
}

/* ---- processes ------------------------------------------------------------------------------ */

static void wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("waitpid: %s", strerror(errno));
	}
	if (!interrupted && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		die("a process failed, with status 0x%x", (unsigned int)status);
}

/*
 * The parent must never ask malloc for large blocks: malloc learns from them to take the next ones
 * from its heap and not from the kernel. Children would inherit that, and spend a millisecond on
 * clearing memory for LMDB's list of dirty pages.
 */
static pid_t start(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	return pid;
}

/* ---- figures -------------------------------------------------------------------------------- */

static int compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Samples of all rounds and processes of one measure; more than fit are left out. */
struct sample_set {
	uint32_t *ns;
	size_t n;
	uint64_t ops;
};

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("no memory to share: %s", strerror(errno));
	return memory;
}

static struct sample_set set_begin(uint32_t *ns)
{
	return (struct sample_set){ .ns = ns };
}

static void collect(struct sample_set *set, const struct slot *slot)
{
	size_t n = slot->n_samples;

	if (n > SET_MAX - set->n)
		n = SET_MAX - set->n;
	memcpy(set->ns + set->n, slot->ns, n * sizeof(*set->ns));
	set->n += n;
	set->ops += slot->n_ops;
}

/* By a child, since qsort asks for large blocks: see start(). */
static void sort(uint32_t *ns, size_t n)
{
	pid_t pid = start();

	if (pid == 0) {
		qsort(ns, n, sizeof(*ns), compare_ns);
		_exit(0);
	}
	wait_for(pid);
}

static double percentile_us(const uint32_t *sorted_ns, size_t n, size_t percent)
{
	const size_t index = n * percent / 100;

	return sorted_ns[index] / 1e3;
}

static double cpu_median_us(struct slot *slot)
{
	if (slot->n_samples == 0)
		return 0;
	sort(slot->cpu_ns, slot->n_samples);
	return percentile_us(slot->cpu_ns, slot->n_samples, 50);
}

static struct measure summarise(struct sample_set *set, double seconds)
{
	struct measure measure = { .n = set->n };

	if (set->n > 0) {
		sort(set->ns, set->n);
		measure.p50_us = percentile_us(set->ns, set->n, 50);
		measure.p99_us = percentile_us(set->ns, set->n, 99);
	}
	if (seconds > 0)
		measure.per_sec = (double)set->ops / seconds;
	return measure;
}

/* ---- the control ---------------------------------------------------------------------------- */

static void check_lmdb(int rc, const char *what)
{
	if (rc != 0)
		die("LMDB, %s: %s", what, mdb_strerror(rc));
}

/* As store.c opens it. */
static MDB_env *control_open(void)
{
	MDB_env *env;
	char path[128];

	snprintf(path, sizeof(path), "%s/run/" LEASES_FILE, bench.dir);
	check_lmdb(mdb_env_create(&env), "create");
	check_lmdb(mdb_env_set_mapsize(env, *bench.map_bytes), "mapsize");
	check_lmdb(
		mdb_env_open(env, path,
			     MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | MDB_NOSYNC | MDB_NOMETASYNC,
			     0600),
		"open");
	return env;
}

/* No record of ours begins with a Z, so whoever reads the store passes over it. */
static void control_put(MDB_env *env, uint32_t who, uint32_t what)
{
	char key_text[16];
	uint32_t filling[16] = { what };
	MDB_val value = { sizeof(filling), filling };
	MDB_val key = { 0, key_text };
	MDB_txn *txn;
	MDB_dbi dbi;

	key.mv_size = (size_t)snprintf(key_text, sizeof(key_text), "Z%08x", who);
	check_lmdb(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	check_lmdb(mdb_dbi_open(txn, NULL, 0, &dbi), "dbi");
	check_lmdb(mdb_put(txn, dbi, &key, &value, 0), "put");
	check_lmdb(mdb_txn_commit(txn), "commit");
}

static void fresh_control(uint32_t index)
{
	const struct stopwatch watch = stopwatch_start();
	MDB_env *env = control_open();

	control_put(env, index % USERS, index);
	mdb_env_close(env);
	stopwatch_stop(&watch, &bench.slots[MEASURE_CONTROL]);
}

static void stay_control(struct slot *slot, uint32_t which, int start_fd)
{
	MDB_env *env = control_open();
	uint64_t end;
	char byte;

	control_put(env, which, 0);
	if (read(start_fd, &byte, 1) < 0)
		die("read: %s", strerror(errno));
	end = now_ns() + (uint64_t)(bench.effort->stay_sec * 1e9);
	for (uint64_t began = now_ns(); began < end;) {
		uint64_t now;

		control_put(env, which, slot->n_ops);
		control_put(env, which, slot->n_ops + 1);
		now = now_ns();
		add_sample(slot, now - began);
		began = now;
	}
	mdb_env_close(env);
}

/* ---- the subject ---------------------------------------------------------------------------- */

static struct pool *subject_open(void)
{
	struct pool *pool;

	if (pool_open(&pool, bench.config, NULL) < 0)
		die("out of memory");
	return pool;
}

static void subject_acquire(struct pool *pool, const char *user, struct pool_lease *lease)
{
	const struct pool_request request = { .user = user, .port = "pts/7" };
	struct error why;

	if (pool_acquire(pool, &request, lease, &why) < 0)
		die("acquire: %s", why.text);
}

static void subject_release(struct pool *pool, struct pool_lease *lease)
{
	struct error why;

	if (pool_release(pool, lease, &why) < 0)
		die("release: %s", why.text);
}

/* Every session is another user's. */
static void fresh_subject(uint32_t index)
{
	struct pool_lease lease = POOL_LEASE_NONE;
	struct pool *pool;
	struct stopwatch watch;
	char user[32];

	snprintf(user, sizeof(user), "fresh%u@bench.example", index);
	watch = stopwatch_start();
	pool = subject_open();
	subject_acquire(pool, user, &lease);
	pool_close(&pool);
	stopwatch_stop(&watch, &bench.slots[MEASURE_CONNECT]);

	watch = stopwatch_start();
	pool = subject_open();
	subject_release(pool, &lease);
	pool_close(&pool);
	stopwatch_stop(&watch, &bench.slots[MEASURE_RELEASE]);
}

static void stay_subject(struct slot *slot, uint32_t which, int start_fd)
{
	struct pool *pool = subject_open();
	struct pool_lease lease = POOL_LEASE_NONE;
	uint64_t end;
	char byte;

	subject_acquire(pool, "warm", &lease);
	subject_release(pool, &lease);
	if (read(start_fd, &byte, 1) < 0)
		die("read: %s", strerror(errno));
	end = now_ns() + (uint64_t)(bench.effort->stay_sec * 1e9);
	for (uint64_t began = now_ns(); began < end;) {
		char user[32];
		uint64_t now;

		snprintf(user, sizeof(user), "stay%u.%u@bench.example", which, slot->n_ops % USERS);
		subject_acquire(pool, user, &lease);
		subject_release(pool, &lease);
		now = now_ns();
		add_sample(slot, now - began);
		began = now;
	}
	pool_close(&pool);
}

/* ---- filling -------------------------------------------------------------------------------- */

/* The process that has the leases. It fills the pool up to what it is told, and answers. */
struct holder {
	pid_t pid;
	int to;
	int from;
};

struct filling {
	struct pool *pool;
	struct op op;
	struct error why;
	uint64_t active;
	uint64_t used; /* addresses before this index have been given out at least once */
};

static void check_fill(const struct filling *filling, int code)
{
	if (code != 0)
		die("filling: %s (%s)", filling->why.text, pool_strerror(code));
}

/*
 * As many locks as leases, but not as many open files, which a process may not have. Each file's
 * bytes are locked through two descriptors, the odd ones and the even ones, since the kernel would
 * make one of neighbours with the same owner.
 */
static void lock_owner(struct filling *filling, uint32_t addr)
{
	static int fds[OWNER_FILES][2];
	int *fd = &fds[owner_file(addr)][addr & 1];
	struct flock lock = { .l_type = F_WRLCK, .l_start = addr, .l_len = 1 };

	if (*fd == 0)
		check_fill(filling,
			   owner_take(&filling->pool->owners, addr, false, fd, &filling->why));
	else if (fcntl(*fd, F_OFD_SETLK, &lock) != 0)
		die("cannot lock: %s", strerror(errno));
}

/* What pool_acquire does once it has found the address. */
static void fill_one(struct filling *filling, bool ends)
{
	const struct range_set *dynamic = &bench.config->pools[0].dynamic;
	uint32_t addr = range_set_at(dynamic, ends ? filling->used : filling->active);
	struct choice choice = { .addr = addr, .how = POOL_HOW_NEW, .lock_fd = -1 };
	struct lease_record record;
	struct pool_lease lease;
	char user[32];
	const struct pool_request request = { .user = user, .port = "pts/1" };
	int code = record_get_lease(filling->op.txn, addr, &choice.known);

	choice.was_known = code == 0;
	snprintf(user, sizeof(user), "user%08" PRIx32, addr);
	filling->op.request = &request;
	if (!ends && dynamic->count <= LOCKS_MAX)
		lock_owner(filling, addr);
	check_fill(filling, lease_grant(&filling->op, &choice, "", false, &lease));
	if (ends) {
		check_fill(filling, record_get_lease(filling->op.txn, addr, &record));
		check_fill(filling, lease_end(&filling->op, addr, &record));
		filling->used++;
	} else {
		filling->active++;
		if (filling->used < filling->active)
			filling->used = filling->active;
	}
}

static void set_position(struct filling *filling)
{
	int code = 0;
	struct pool_counters *counters = op_counters(&filling->op, 0, true, &code);

	check_fill(filling, code);
	if (counters->position < filling->used)
		counters->position = filling->used;
}

/* Addresses that nobody has are free again, not unused, wherever that can be had in time. */
static void fill_to(struct filling *filling, uint64_t target)
{
	uint64_t size = bench.config->pools[0].dynamic.count;
	uint64_t used = size <= LOCKS_MAX ? size : target;

	while (filling->active < target || filling->used < used) {
		check_fill(filling, op_begin(&filling->op, filling->pool, true, &filling->why));
		for (int i = 0; i < BATCH && filling->active < target; i++)
			fill_one(filling, false);
		for (int i = 0; i < BATCH && filling->active == target && filling->used < used; i++)
			fill_one(filling, true);
		set_position(filling);
		check_fill(filling, op_commit(&filling->op));
		op_done(&filling->op);
	}
	pool_rest(filling->pool);
}

static void __attribute__((noreturn)) hold(int from, int to)
{
	struct filling filling = { .pool = subject_open() };
	uint64_t target;

	while (read(from, &target, sizeof(target)) == (ssize_t)sizeof(target)) {
		fill_to(&filling, target);
		if (write(to, &target, sizeof(target)) != (ssize_t)sizeof(target))
			break;
	}
	_exit(0);
}

static struct holder holder_start(void)
{
	int down[2];
	int up[2];
	struct holder holder;

	if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0)
		die("pipe: %s", strerror(errno));
	holder = (struct holder){ .pid = start(), .to = down[1], .from = up[0] };
	if (holder.pid == 0) {
		close(down[1]);
		close(up[0]);
		hold(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	return holder;
}

static void holder_fill(const struct holder *holder, uint64_t target)
{
	if (write(holder->to, &target, sizeof(target)) != (ssize_t)sizeof(target) ||
	    read(holder->from, &target, sizeof(target)) != (ssize_t)sizeof(target)) {
		if (!interrupted)
			die("the process that fills the pool has failed");
	}
}

static void holder_end(struct holder *holder)
{
	close(holder->to);
	close(holder->from);
	wait_for(holder->pid);
}

/* ---- runs ----------------------------------------------------------------------------------- */

static struct outcome *new_outcome(uint64_t size, unsigned int fill_permille,
				   unsigned int processes)
{
	struct outcome *outcome = &bench.outcomes[bench.n_outcomes++];

	if (bench.n_outcomes > sizeof(bench.outcomes) / sizeof(bench.outcomes[0]))
		die("too many cases");
	*outcome = (struct outcome){ .size = size,
				     .fill_permille = fill_permille,
				     .processes = processes };
	return outcome;
}

static void clear_slots(size_t n)
{
	for (size_t i = 0; i < n; i++)
		bench.slots[i].n_ops = bench.slots[i].n_samples = 0;
}

static void run_fresh(uint64_t size, unsigned int fill_permille)
{
	static uint32_t index;
	struct outcome *outcome = new_outcome(size, fill_permille, 0);

	clear_slots(N_MEASURES);
	for (unsigned int round = 0; round < 2 * bench.effort->rounds && !interrupted; round++) {
		for (unsigned int i = 0; i < bench.effort->fresh_per_round; i++, index++) {
			pid_t pid = start();

			if (pid == 0) {
				(round % 2 ? fresh_control : fresh_subject)(index);
				_exit(0);
			}
			wait_for(pid);
		}
	}
	for (size_t i = 0; i < N_MEASURES; i++) {
		struct sample_set set = set_begin(bench.sets[i]);

		collect(&set, &bench.slots[i]);
		outcome->measures[i] = summarise(&set, 0);
		outcome->measures[i].cpu_us = cpu_median_us(&bench.slots[i]);
	}
}

/* One side, once: all begin when the pipe is closed. */
static void stay_together(unsigned int processes, bool control)
{
	pid_t pids[PROCESSES_MAX];
	int fds[2];

	if (pipe(fds) != 0)
		die("pipe: %s", strerror(errno));
	clear_slots(processes);
	for (unsigned int i = 0; i < processes; i++) {
		pids[i] = start();
		if (pids[i] == 0) {
			close(fds[1]);
			(control ? stay_control : stay_subject)(&bench.slots[i], i, fds[0]);
			_exit(0);
		}
	}
	/* Late comers find the pipe closed: they overlap a little less, and measure the same. */
	close(fds[0]);
	close(fds[1]);
	for (unsigned int i = 0; i < processes; i++)
		wait_for(pids[i]);
}

static void run_stay(uint64_t size, unsigned int fill_permille, unsigned int processes)
{
	struct outcome *outcome = new_outcome(size, fill_permille, processes);
	struct sample_set sets[2] = { set_begin(bench.sets[0]), set_begin(bench.sets[1]) };
	double seconds = bench.effort->rounds * bench.effort->stay_sec;

	for (unsigned int round = 0; round < 2 * bench.effort->rounds && !interrupted; round++) {
		stay_together(processes, round % 2);
		for (unsigned int i = 0; i < processes; i++)
			collect(&sets[round % 2], &bench.slots[i]);
	}
	outcome->measures[MEASURE_CONNECT] = summarise(&sets[0], seconds);
	outcome->measures[MEASURE_CONTROL] = summarise(&sets[1], seconds);
}

static void load_config(uint64_t size)
{
	struct config_errors errors = { 0 };
	char text[512];
	unsigned int bits = 0;

	while (UINT64_C(1) << bits < size)
		bits++;
	snprintf(text, sizeof(text),
		 "runtime_dir = \"%s/run\"; state_dir = \"%s/state\";"
		 "pools = ( { name = \"bench\"; ranges = ( \"10.0.0.0/%u\" ); } );",
		 bench.dir, bench.dir, 32 - bits);
	if (config_load_text(text, "bench", &bench.config, &errors) < 0)
		die("%s", errors.n > 0 ? errors.lines[0] : "configuration");
	config_errors_done(&errors);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_below(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", bench.dir, name);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void read_map_bytes(void)
{
	MDB_envinfo info;
	MDB_env *env;
	pid_t pid = start();

	if (pid == 0) {
		*bench.map_bytes = 0; /* the file's own */
		env = control_open();
		check_lmdb(mdb_env_info(env, &info), "info");
		*bench.map_bytes = info.me_mapsize;
		_exit(0);
	}
	wait_for(pid);
}

static void run_all_patterns(uint64_t size, unsigned int fill_permille, uint64_t free)
{
	static const unsigned int counts[] = { 1, 16, 64 };

	run_fresh(size, fill_permille);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (counts[i] <= free)
			run_stay(size, fill_permille, counts[i]);
	}
}

/* The pool of one size, at every fill. */
static void run_pool(uint64_t size)
{
	static const unsigned int fills[] = { 100, 900, 999 };
	struct holder holder;

	load_config(size);
	holder = holder_start();
	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]) && !interrupted; i++) {
		uint64_t active = size * fills[i] / 1000;

		fprintf(stderr, "pool of %" PRIu64 ", %.1f %% full ...\n", size, fills[i] / 10.0);
		holder_fill(&holder, active);
		if (interrupted)
			break;
		read_map_bytes();
		run_all_patterns(size, fills[i], size - active);
	}
	holder_end(&holder);
	config_free(&bench.config);
	remove_below("/run");
}

/* ---- the report ----------------------------------------------------------------------------- */

static double ratio_of(const struct outcome *outcome)
{
	return outcome->measures[MEASURE_CONNECT].p50_us /
	       outcome->measures[MEASURE_CONTROL].p50_us;
}

static void print_fresh(const struct outcome *outcome)
{
	printf("%9" PRIu64 " %6.1f |", outcome->size, outcome->fill_permille / 10.0);
	for (int i = 0; i < N_MEASURES; i++)
		printf(" %7.1f %8.1f %7.1f |", outcome->measures[i].p50_us,
		       outcome->measures[i].p99_us, outcome->measures[i].cpu_us);
	printf(" %5.2f\n", ratio_of(outcome));
}

static void print_stay(const struct outcome *outcome)
{
	const struct measure *subject = &outcome->measures[MEASURE_CONNECT];
	const struct measure *control = &outcome->measures[MEASURE_CONTROL];

	printf("%9" PRIu64 " %6.1f %4u | %9.0f %9.1f %9.1f | %9.0f %9.1f %9.1f | %5.2f\n",
	       outcome->size, outcome->fill_permille / 10.0, outcome->processes, subject->per_sec,
	       subject->p50_us, subject->p99_us, control->per_sec, control->p50_us, control->p99_us,
	       ratio_of(outcome));
}

static void print_tables(void)
{
	puts("A new process each time (microseconds; cpu: p50 of CPU time)\n"
	     "                 | open, allocate, close    | open, release, close     "
	     "| LMDB: open, put, close   |\n"
	     "     pool fill % |     p50      p99     cpu |     p50      p99     cpu "
	     "|     p50      p99     cpu | ratio");
	for (size_t i = 0; i < bench.n_outcomes; i++) {
		if (bench.outcomes[i].processes == 0)
			print_fresh(&bench.outcomes[i]);
	}
	puts("\nProcesses that stay: allocate and release (LMDB: two puts), microseconds a pair\n"
	     "                      | pairs/s         p50       p99 | LMDB pairs/s    p50       "
	     "p99 "
	     "|\n"
	     "     pool fill %    N |                               |                              "
	     " "
	     "| ratio");
	for (size_t i = 0; i < bench.n_outcomes; i++) {
		if (bench.outcomes[i].processes != 0)
			print_stay(&bench.outcomes[i]);
	}
	putchar('\n');
}

static void print_json_measure(const char *name, const struct measure *measure)
{
	printf(", \"%s\": {\"n\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f", name, measure->n,
	       measure->p50_us, measure->p99_us);
	if (measure->cpu_us > 0)
		printf(", \"cpu_p50_us\": %.2f", measure->cpu_us);
	if (measure->per_sec > 0)
		printf(", \"per_second\": %.0f", measure->per_sec);
	putchar('}');
}

static void print_json_outcome(const struct outcome *outcome)
{
	printf("{\"pool\": %" PRIu64 ", \"fill\": %.1f, \"processes\": ", outcome->size,
	       outcome->fill_permille / 10.0);
	if (outcome->processes == 0)
		printf("\"new\"");
	else
		printf("%u", outcome->processes);
	print_json_measure(outcome->processes == 0 ? "connect" : "pair",
			   &outcome->measures[MEASURE_CONNECT]);
	if (outcome->processes == 0)
		print_json_measure("release", &outcome->measures[MEASURE_RELEASE]);
	print_json_measure("control", &outcome->measures[MEASURE_CONTROL]);
	printf(", \"ratio\": %.3f}", ratio_of(outcome));
}

struct aim {
	const char *name;
	const char *text;
	double limit;
	double found; /* the worst */
};

/* Of open, allocate and close by a new process, which is what a session does. */
static void find_aims(struct aim aims[static 2])
{
	double least = 1e12;
	double most = 0;

	aims[0] = (struct aim){ "ratio", "open, allocate, close: p50 against LMDB's, the worst",
				AIM_RATIO, 0 };
	aims[1] = (struct aim){ "flat",
				"the same CPU time at every fill and size: largest to smallest",
				AIM_RATIO, 0 };
	for (size_t i = 0; i < bench.n_outcomes; i++) {
		const struct outcome *outcome = &bench.outcomes[i];
		double cpu = outcome->measures[MEASURE_CONNECT].cpu_us;

		if (outcome->processes != 0)
			continue;
		least = cpu < least ? cpu : least;
		most = cpu > most ? cpu : most;
		if (ratio_of(outcome) > aims[0].found)
			aims[0].found = ratio_of(outcome);
	}
	aims[1].found = most / least;
}

static const char *verdict(const struct aim *aim)
{
	return aim->found <= aim->limit ? "met" : "missed";
}

static void report_json(const struct aim *aims)
{
	fputs("{\"outcomes\": [\n", stdout);
	for (size_t i = 0; i < bench.n_outcomes; i++) {
		if (i > 0)
			fputs(",\n", stdout);
		print_json_outcome(&bench.outcomes[i]);
	}
	fputs("\n], \"aims\": [\n", stdout);
	for (size_t i = 0; i < 2; i++)
		printf("%s{\"name\": \"%s\", \"limit\": %.2f, \"found\": %.3f, \"result\": "
		       "\"%s\"}",
		       i > 0 ? ",\n" : "", aims[i].name, aims[i].limit, aims[i].found,
		       verdict(&aims[i]));
	fputs("\n]}\n", stdout);
}

static void report(void)
{
	struct aim aims[2];

	find_aims(aims);
	if (bench.json) {
		report_json(aims);
		return;
	}
	print_tables();
	for (size_t i = 0; i < 2; i++)
		printf("%-6s %s: %.2f, aim %.2f\n", verdict(&aims[i]), aims[i].text, aims[i].found,
		       aims[i].limit);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static pid_t main_pid;

static void clean_up(void)
{
	if (getpid() == main_pid)
		remove_below("");
}

/* Leases live in a tmpfs (rasip.conf(5), runtime_dir), so this has to be one. */
static void make_directory(void)
{
	const char *places[] = { getenv("BENCH_DIR"), "/dev/shm", "/run", "/tmp" };
	struct statfs fs;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i] == NULL || statfs(places[i], &fs) != 0 || fs.f_type != TMPFS_MAGIC)
			continue;
		snprintf(bench.dir, sizeof(bench.dir), "%.40s/rasip-bench-XXXXXX", places[i]);
		if (mkdtemp(bench.dir) == NULL)
			continue;
		main_pid = getpid();
		atexit(clean_up);
		return;
	}
	die("no tmpfs to be found: name one in BENCH_DIR");
}

static bool has_room_for(uint64_t size)
{
	struct statfs fs;

	return statfs(bench.dir, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize > size * BYTES_PER_LEASE;
}

static void prepare(bool quick)
{
	const struct sigaction action = { .sa_handler = on_signal };

	bench.effort = quick ? &QUICK : &FULL;
	bench.slots = share(PROCESSES_MAX * sizeof(*bench.slots));
	bench.map_bytes = share(sizeof(*bench.map_bytes));
	for (size_t i = 0; i < N_MEASURES; i++)
		bench.sets[i] = share(SET_MAX * sizeof(*bench.sets[i]));
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	make_directory();
}

int main(int argc, char **argv)
{
	const char *quick_text = getenv("BENCH_QUICK");
	bool quick = quick_text != NULL && quick_text[0] != '\0';
	static const uint64_t sizes[] = { 256, 65536, 16777216 };
	size_t n_sizes = sizeof(sizes) / sizeof(sizes[0]);

	bench.json = argc == 2 && strcmp(argv[1], "--json") == 0;
	if (argc > 2 || (argc == 2 && !bench.json)) {
		fputs("usage: bench_pool [--json]\n"
		      "BENCH_QUICK=1: half a minute, and not the biggest pool\n"
		      "BENCH_DIR: the tmpfs to work in\n",
		      stderr);
		return 2;
	}
	prepare(quick);
	for (size_t i = 0; i < (quick ? n_sizes - 1 : n_sizes) && !interrupted; i++) {
		if (has_room_for(sizes[i]))
			run_pool(sizes[i]);
		else
			fprintf(stderr, "pool of %" PRIu64 ": not enough room in %s\n", sizes[i],
				bench.dir);
	}
	if (interrupted)
		return 1;
	report();
	return 0;
}
