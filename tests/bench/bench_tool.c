/* SPDX-License-Identifier: MIT */
/*
 * bench_tool - how long every verb of rasip(8) takes with 100 000 leases in the store, beside what
 * a new process takes that opens the same store with bare LMDB and reads every record. What has to
 * know of every lease whether its owner lives stands beside a second control too, which asks the
 * kernel for all the locks, in one thread, and does nothing else: no system call tells of more than
 * one live owner.
 *
 * Each run is a new process, from its start to its end, with the output thrown away. Control and
 * verbs take turns. The leases belong to a holder, which has a lock for every one of them (not to
 * the process that starts the others: they would spend their time closing its locks), and each of
 * them is in the history. `release` hangs up a session, a process of its own that does on
 * SIGHUP what pppd with the plugin does: it gives the address back and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <lmdb.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "config.h"
#include "owner.h"
#include "parse.h"
#include "pool.h"

#define LEASES 100000
#define FIRST_ADDRESS UINT32_C(0x0a400000) /* of the pool */
#define ROUNDS_MAX 200
#define WORDS_MAX 8

struct subject {
	const char *words[WORDS_MAX];
	double limit_ms;
	bool needs_session;
	bool needs_terminal; /* q is typed at once: one look, and the end */
	bool asks_owners;
	double ms[ROUNDS_MAX];
	double cpu_ms[ROUNDS_MAX];
};

/* The first ones are the controls. ADDRESS is replaced. */
enum { BARE_READ, BARE_LOCKS, N_CONTROLS };
static struct subject subjects[] = {
	[BARE_READ] = { .words = { "bare LMDB, every record read" } },
	[BARE_LOCKS] = { .words = { "bare F_OFD_GETLK, every owner asked for" } },
	{ .words = { "check" }, .limit_ms = 50 },
	{ .words = { "pools" }, .limit_ms = 50 },
	{ .words = { "pools", "--json" }, .limit_ms = 50 },
	{ .words = { "leases" }, .limit_ms = 50 },
	{ .words = { "leases", "--json" }, .limit_ms = 50 },
	{ .words = { "leases", "--user", "user00004*" }, .limit_ms = 50 },
	{ .words = { "leases", "--address", "ADDRESS" }, .limit_ms = 50 },
	{ .words = { "leases", "--dead" }, .limit_ms = 50, .asks_owners = true },
	{ .words = { "explain", "--user", "user00000777" }, .limit_ms = 10 },
	{ .words = { "explain", "--user", "stranger" }, .limit_ms = 10 },
	{ .words = { "release", "ADDRESS" }, .limit_ms = 10, .needs_session = true },
	{ .words = { "reclaim" }, .limit_ms = 50, .asks_owners = true },
	{ .words = { "history" }, .limit_ms = 50 },
	{ .words = { "history", "--json" }, .limit_ms = 50 },
	{ .words = { "history", "--address", "ADDRESS" }, .limit_ms = 50 },
	{ .words = { "history", "--address", "ADDRESS", "--at", "0s" }, .limit_ms = 50 },
	{ .words = { "metrics" }, .limit_ms = 50 },
	{ .words = { "watch" }, .limit_ms = 50, .needs_terminal = true },
};

#define N_SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

static struct {
	char dir[64];
	char config_path[96];
	char tool[4096];
	char self[4096];
	struct config *config;
	char address[IP4_TEXT_SIZE]; /* of one of the leases */
	pid_t session;
	char session_address[IP4_TEXT_SIZE];
	int locks[OWNER_FILES][2];
} bench;

static volatile sig_atomic_t interrupted;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	fputs("bench_tool: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- the control ---------------------------------------------------------------------------- */

/* All that reading the store takes: no decoding, no formatting. */
static int read_bare(const char *path)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	MDB_dbi dbi;
	size_t n = 0;
	unsigned int sum = 0;

	if (mdb_env_create(&env) != 0 || mdb_env_set_mapsize(env, 1U << 30) != 0 ||
	    mdb_env_open(env, path, MDB_RDONLY | MDB_NOSUBDIR, 0600) != 0 ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 ||
	    mdb_dbi_open(txn, NULL, 0, &dbi) != 0 || mdb_cursor_open(txn, dbi, &cursor) != 0)
		return 1;
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		const unsigned char *bytes = value.mv_data;

		for (size_t i = 0; i < value.mv_size; i++)
			sum += bytes[i];
		n++;
	}
	printf("%zu %u\n", n, sum);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return n > LEASES ? 0 : 1;
}

/* All that finding out takes who lives, of sequential addresses: no reading, no threads. */
static int ask_bare(const char *runtime_dir)
{
	char name[OWNER_FILE_NAME_SIZE];
	unsigned int held = 0;
	int dir = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	for (uint32_t i = 0; i < LEASES; i++) {
		const uint32_t addr = FIRST_ADDRESS + i;
		struct flock lock = { .l_type = F_RDLCK, .l_start = addr, .l_len = 1 };

		if (fd < 0 || owner_file(addr) != owner_file(addr - 1)) {
			if (fd >= 0)
				close(fd);
			owner_file_name(owner_file(addr), name);
			fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
		}
		if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
			return 1;
		held += lock.l_type != F_UNLCK;
	}
	printf("%u\n", held);
	return held > LEASES * 0.99 ? 0 : 1;
}

/* ---- leases --------------------------------------------------------------------------------- */

static struct pool *open_pool(void)
{
	struct pool *pool;

	if (pool_open(&pool, bench.config, NULL) < 0)
		die("out of memory");
	return pool;
}

static uint32_t acquire(struct pool *pool, const char *user, struct pool_lease *lease)
{
	const struct pool_request request = { .user = user, .port = "pts/1" };
	struct error why;

	if (pool_acquire(pool, &request, lease, &why) < 0)
		die("%s: %s", user, why.text);
	return ntohl(lease->addr_be);
}

/*
 * A process may not have as many files open as there are leases. All bytes of an owner file are
 * locked through two descriptors, the odd and the even ones: neighbours that one descriptor has
 * locked would be one lock to the kernel.
 */
static void keep_lock(struct pool_lease *lease, uint32_t addr)
{
	int *fd = &bench.locks[owner_file(addr)][addr & 1];
	struct flock lock = { .l_type = F_WRLCK, .l_start = addr, .l_len = 1 };

	if (*fd == 0) {
		*fd = lease->lock_fd;
		return;
	}
	close(lease->lock_fd);
	if (fcntl(*fd, F_OFD_SETLK, &lock) != 0)
		die("lock: %s", strerror(errno));
}

static void fill(void)
{
	struct pool *pool = open_pool();
	struct error why;

	for (unsigned int i = 0; i < LEASES; i++) {
		struct pool_lease lease = POOL_LEASE_NONE;
		char user[32];
		uint32_t addr;

		snprintf(user, sizeof(user), "user%08u", i);
		addr = acquire(pool, user, &lease);
		if (i == LEASES / 2)
			format_ip4(addr, bench.address);
		keep_lock(&lease, addr);
		/* The history is moved to where it is kept by portions, as sessions do it. */
		if (i % 1000 == 999 && pool_maintain(pool, &why) < 0)
			die("%s", why.text);
	}
	pool_close(&pool);
}

/* Fills the store and stays for as long as the other end of the pipe is open. */
static void __attribute__((noreturn)) holder_run(int ready_fd, int stay_fd)
{
	char byte;

	fill();
	if (write(ready_fd, bench.address, sizeof(bench.address)) != sizeof(bench.address))
		_exit(1);
	_exit(read(stay_fd, &byte, 1) < 0);
}

static void holder_start(void)
{
	int ready[2], stay[2];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(stay, O_CLOEXEC) != 0)
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		close(stay[1]);
		holder_run(ready[1], stay[0]);
	}
	close(ready[1]);
	close(stay[0]);
	if (pid < 0 ||
	    read(ready[0], bench.address, sizeof(bench.address)) != sizeof(bench.address))
		die("no leases");
	close(ready[0]);
}

static void make_config(void)
{
	struct config_errors errors = { 0 };
	FILE *file;

	snprintf(bench.config_path, sizeof(bench.config_path), "%s/rasip.conf", bench.dir);
	file = fopen(bench.config_path, "w");
	if (file == NULL)
		die("%s: %s", bench.config_path, strerror(errno));
	fprintf(file,
		"runtime_dir = \"%s/run\";\nstate_dir = \"%s/state\";\n"
		"pools = ( { name = \"bench\"; ranges = ( \"10.64.0.0/15\" ); "
		"order = \"sequential\"; } );\n",
		bench.dir, bench.dir);
	fclose(file);
	if (config_load(bench.config_path, &bench.config, &errors) < 0)
		die("%s", errors.n > 0 ? errors.lines[0] : "out of memory");
}

/* ---- a session that can be hung up ---------------------------------------------------------- */

static void __attribute__((noreturn)) session_run(int ready_fd)
{
	struct pool_lease lease = POOL_LEASE_NONE;
	struct pool *pool = open_pool();
	struct error why;
	sigset_t hup;
	uint32_t addr;
	int signum;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, NULL);
	addr = acquire(pool, "session", &lease);
	pool_rest(pool);
	if (write(ready_fd, &addr, sizeof(addr)) != sizeof(addr))
		_exit(1);
	sigwait(&hup, &signum);
	_exit(pool_release(pool, &lease, &why) < 0 ? 1 : 0);
}

static void session_start(void)
{
	uint32_t addr;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		die("pipe: %s", strerror(errno));
	bench.session = fork();
	if (bench.session == 0)
		session_run(fds[1]);
	close(fds[1]);
	if (bench.session < 0 || read(fds[0], &addr, sizeof(addr)) != sizeof(addr))
		die("no session");
	close(fds[0]);
	format_ip4(addr, bench.session_address);
}

static void session_end(void)
{
	int status;

	if (waitpid(bench.session, &status, 0) != bench.session || status != 0)
		die("the session did not end well");
	bench.session = 0;
}

/* ---- measuring ------------------------------------------------------------------------------ */

static const char *word_value(const struct subject *subject, const char *word)
{
	if (strcmp(word, "ADDRESS") != 0)
		return word;
	return subject->needs_session ? bench.session_address : bench.address;
}

static double timeval_ms(const struct timeval *time)
{
	return (double)time->tv_sec * 1e3 + (double)time->tv_usec / 1e3;
}

/* A terminal that nobody reads, big enough for what one look draws: the side to give to a process,
 * and the one to type on. */
static int open_terminal(int *ret_keys)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int keys = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];
	int fd;

	if (keys < 0 || grantpt(keys) != 0 || unlockpt(keys) != 0 ||
	    ptsname_r(keys, name, sizeof(name)) != 0)
		die("no terminal: %s", strerror(errno));
	fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TIOCSWINSZ, &size) != 0 || write(keys, "q", 1) != 1)
		die("%s: %s", name, strerror(errno));
	*ret_keys = keys;
	return fd;
}

static double run_once(const struct subject *subject, double *ret_cpu_ms)
{
	const char *words[WORDS_MAX + 4] = { bench.tool, "-c", bench.config_path };
	char *argv[WORDS_MAX + 4] = { NULL };
	char path[96];
	posix_spawn_file_actions_t files;
	size_t n = 3;
	struct rusage usage;
	int terminal = -1;
	int keys = -1;
	double began;
	pid_t pid;
	int status;

	for (size_t i = 0; subject->words[i] != NULL; i++)
		words[n++] = word_value(subject, subject->words[i]);
	if (subject < &subjects[N_CONTROLS]) {
		bool reads = subject == &subjects[BARE_READ];

		snprintf(path, sizeof(path), "%s/run%s", bench.dir, reads ? "/leases.mdb" : "");
		words[0] = bench.self;
		words[1] = reads ? "--bare-read" : "--bare-locks";
		words[2] = path;
		words[3] = NULL;
	}
	for (size_t i = 0; words[i] != NULL; i++)
		argv[i] = strdup(words[i]);
	posix_spawn_file_actions_init(&files);
	if (subject->needs_terminal) {
		terminal = open_terminal(&keys);
		posix_spawn_file_actions_adddup2(&files, terminal, STDIN_FILENO);
		posix_spawn_file_actions_adddup2(&files, terminal, STDOUT_FILENO);
	} else {
		posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	}
	began = now_ms();
	errno = posix_spawn(&pid, words[0], &files, NULL, argv, environ);
	if (errno != 0)
		die("%s: %s", words[0], strerror(errno));
	if (wait4(pid, &status, 0, &usage) != pid || status != 0)
		die("%s %s failed", words[0], words[3] != NULL ? words[3] : "");
	began = now_ms() - began;
	*ret_cpu_ms = timeval_ms(&usage.ru_utime) + timeval_ms(&usage.ru_stime);
	posix_spawn_file_actions_destroy(&files);
	if (terminal >= 0) {
		close(terminal);
		close(keys);
	}
	for (size_t i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	return began;
}

static void measure(unsigned int rounds)
{
	for (unsigned int round = 0; round < rounds && !interrupted; round++) {
		for (size_t i = 0; i < N_SUBJECTS && !interrupted; i++) {
			if (subjects[i].needs_session)
				session_start();
			subjects[i].ms[round] = run_once(&subjects[i], &subjects[i].cpu_ms[round]);
			if (subjects[i].needs_session)
				session_end();
		}
	}
}

static int compare(const void *left, const void *right)
{
	const double one = *(const double *)left;
	const double other = *(const double *)right;

	return one < other ? -1 : one > other;
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(values[0]), compare);
	return values[n / 2];
}

static void name_of(const struct subject *subject, char *name, size_t size)
{
	size_t n = 0;

	for (size_t j = 0; subject->words[j] != NULL && n < size; j++)
		n += (size_t)snprintf(name + n, size - n, "%s%s", j > 0 ? " " : "",
				      subject->words[j]);
}

static void report(unsigned int rounds, bool json)
{
	double control[N_CONTROLS] = { 0 };

	if (!json)
		printf("rasip(8) with %d leases, ms from start to end of a new process\n"
		       "%-44s %7s %7s %7s %7s %7s\n",
		       LEASES, "", "p50", "p95", "CPU p50", "limit", "/bare");
	for (size_t i = 0; i < N_SUBJECTS; i++) {
		struct subject *subject = &subjects[i];
		double p50 = median(subject->ms, rounds);
		double cpu = median(subject->cpu_ms, rounds);
		double p95 = subject->ms[rounds * 95 / 100];
		char name[80];
		double bare;

		name_of(subject, name, sizeof(name));
		if (i < N_CONTROLS)
			control[i] = p50;
		bare = control[i == BARE_LOCKS ? BARE_LOCKS : BARE_READ];
		if (subject->asks_owners)
			bare += control[BARE_LOCKS];
		if (json)
			printf("%s{\"verb\": \"%s\", \"p50_ms\": %.2f, \"p95_ms\": %.2f, "
			       "\"cpu_ms\": %.2f, "
			       "\"limit_ms\": %.0f, \"bare_ms\": %.2f}",
			       i > 0 ? ",\n " : "[", name, p50, p95, cpu, subject->limit_ms, bare);
		else if (i < N_CONTROLS)
			printf("%-44s %7.2f %7.2f %7.2f\n", name, p50, p95, cpu);
		else
			printf("%-44s %7.2f %7.2f %7.2f %7.0f %7.2f%s\n", name, p50, p95, cpu,
			       subject->limit_ms, p50 / bare,
			       p50 > subject->limit_ms ? "  too slow" : "");
	}
	if (json)
		printf("]\n");
}

/* ---- around it ------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static pid_t main_pid;

static void clean_up(void)
{
	if (getpid() == main_pid && bench.dir[0] != '\0')
		nftw(bench.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void on_signal(int signum)
{
	(void)signum;
	interrupted = 1;
}

static void make_directory(void)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const char *given = getenv("BENCH_DIR");

	snprintf(bench.dir, sizeof(bench.dir), "%.40s/rasip-bench-XXXXXX",
		 given != NULL && given[0] != '\0' ? given : "/dev/shm");
	if (mkdtemp(bench.dir) == NULL)
		die("%s: %s", bench.dir, strerror(errno));
	main_pid = getpid();
	atexit(clean_up);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* The tool is where this program was built. */
static void find_programs(void)
{
	ssize_t n = readlink("/proc/self/exe", bench.self, sizeof(bench.self) - 1);

	if (n <= 0)
		die("/proc/self/exe: %s", strerror(errno));
	snprintf(bench.tool, sizeof(bench.tool), "%s", bench.self);
	for (int i = 0; i < 2 && strrchr(bench.tool, '/') != NULL; i++)
		*strrchr(bench.tool, '/') = '\0';
	strncat(bench.tool, "/rasip", sizeof(bench.tool) - strlen(bench.tool) - 1);
	if (access(bench.tool, X_OK) != 0)
		die("%s: %s", bench.tool, strerror(errno));
}

int main(int argc, char **argv)
{
	const char *quick = getenv("BENCH_QUICK");
	unsigned int rounds = quick != NULL && quick[0] != '\0' ? 10 : 50;
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;

	if (argc == 3 && strcmp(argv[1], "--bare-read") == 0)
		return read_bare(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--bare-locks") == 0)
		return ask_bare(argv[2]);
	if (argc > 1 && !json) {
		fputs("usage: bench_tool [--json]\nBENCH_QUICK=1: fewer runs\n"
		      "BENCH_DIR: the tmpfs to work in\n",
		      stderr);
		return 2;
	}
	setenv("TERM", "xterm", 1);
	find_programs();
	make_directory();
	make_config();
	holder_start();
	measure(rounds);
	if (interrupted)
		return 1;
	report(rounds, json);
	config_free(&bench.config);
	return 0;
}
