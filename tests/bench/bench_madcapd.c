/* SPDX-License-Identifier: MIT */
/*
 * bench_madcapd - how many durable exchanges a second madcapd does, beside what the same machine
 * does in the same run with no protocol and no book.
 *
 * A client keeps N exchanges in flight, each slot of it doing REQUEST, RENEW, RELEASE over and
 * over with lease identifiers of its own, and checks every answer. Every answer is an ACK that is
 * on disk. Two controls take turns with it:
 *  - echo: a process that sends the same datagrams back, with the same batching (recvmmsg,
 *    sendmmsg, 256), and the same client;
 *  - commit: N records of a lease's size put into LMDB and committed, synced, in the same
 *    directory, as fast as it goes.
 *
 * "cpu us" is the time that madcapd and the echo had a processor for, for each exchange: it says
 * something on a machine that has other work as well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256
#define FLIGHT_MAX 256
#define MESSAGE_MAX 128
#define ANSWER_MAX 2048
#define SAMPLES_MAX (1U << 22)
#define RECORD_SIZE 96
#define ID_SIZE 17
#define ROUNDS_MAX 8

enum { TYPE_REQUEST = 3, TYPE_RENEW = 4, TYPE_ACK = 5, TYPE_RELEASE = 7 };
enum { MEASURE_SERVER, MEASURE_ECHO, MEASURE_COMMIT, N_MEASURES };

struct measure {
	uint64_t n;
	double seconds;
	double cpu_seconds;   /* of the process that answers */
	uint32_t *samples_ns; /* of exchanges, or of commits */
	size_t n_samples;
};

/* One exchange in flight. */
struct slot {
	uint8_t message[MESSAGE_MAX];
	size_t size;
	uint8_t type;
	uint64_t serial; /* of the lease */
	uint32_t xid;
	uint64_t sent_ns;
};

static struct {
	char dir[64];
	char server_path[512];
	double round_sec;
	unsigned int rounds;
	uint64_t serial; /* lease identifiers given out */
	uint32_t xid;
	pid_t server, echo;
	uint16_t server_port, echo_port;
	struct slot slots[FLIGHT_MAX];
	struct measure measures[N_MEASURES];
	uint64_t resent;
} bench;

static volatile sig_atomic_t interrupted;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	fputs("bench_madcapd: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void note(struct measure *measure, uint64_t ns)
{
	if (measure->n_samples < SAMPLES_MAX)
		measure->samples_ns[measure->n_samples++] =
			ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* ---- messages ------------------------------------------------------------------------------ */

static uint8_t *put(uint8_t *at, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	return at + size;
}

static uint8_t *put_option(uint8_t *at, uint16_t code, uint16_t length)
{
	return put(put(at, code, 2), length, 2);
}

static void make_message(struct slot *slot)
{
	uint8_t *at = slot->message;

	at = put(at, 0, 1);
	at = put(at, slot->type, 1);
	at = put(at, 1, 2);
	at = put(at, slot->xid, 4);
	at = put_option(at, 3, ID_SIZE);
	at = put(at, 0, 1);
	at = put(at, slot->serial * 0x9e3779b97f4a7c15U, 8);
	at = put(at, slot->serial, 8);
	if (slot->type == TYPE_REQUEST) {
		at = put_option(at, 4, 4);
		at = put(at, 0xe8000000, 4);
	}
	if (slot->type != TYPE_RELEASE) {
		at = put_option(at, 1, 4);
		at = put(at, 86400, 4);
	}
	at = put_option(at, 0, 0);
	slot->size = (size_t)(at - slot->message);
}

static void next_message(struct slot *slot, bool keep)
{
	if (slot->type == TYPE_REQUEST && !keep) {
		slot->type = TYPE_RENEW;
	} else if (slot->type == TYPE_RENEW) {
		slot->type = TYPE_RELEASE;
	} else {
		slot->type = TYPE_REQUEST;
		slot->serial = ++bench.serial;
	}
	slot->xid = ++bench.xid;
	make_message(slot);
}

/* The slot that an answer is for, by its xid; NULL for a late one. */
static struct slot *find_slot(const uint8_t *data, size_t size, unsigned int n)
{
	uint32_t xid;

	if (size < 12)
		return NULL;
	xid = (uint32_t)data[4] << 24 | (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
	for (unsigned int i = 0; i < n; i++) {
		if (bench.slots[i].xid == xid)
			return &bench.slots[i];
	}
	return NULL;
}

/* ---- the client ---------------------------------------------------------------------------- */

struct flight {
	int fd;
	unsigned int n;
	bool keep;         /* requests only, whose leases stay */
	uint8_t type_back; /* of every answer; 0: as sent */
	uint64_t until;    /* bench.serial, with keep; else ns */
	struct measure *measure;
	struct mmsghdr headers[BATCH];
	struct iovec parts[BATCH];
	uint8_t answers[BATCH][ANSWER_MAX];
};

static void send_slots(struct flight *flight, struct slot *const *slots, unsigned int n)
{
	struct mmsghdr headers[FLIGHT_MAX];
	struct iovec parts[FLIGHT_MAX];
	uint64_t now = now_ns();
	unsigned int at = 0;

	for (unsigned int i = 0; i < n; i++) {
		slots[i]->sent_ns = now;
		parts[i] = (struct iovec){ slots[i]->message, slots[i]->size };
		headers[i] =
			(struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1 } };
	}
	while (at < n) {
		int sent = sendmmsg(flight->fd, headers + at, n - at, 0);

		if (sent < 0 && errno != EINTR && errno != ECONNREFUSED)
			die("sendmmsg: %s", strerror(errno));
		at += sent > 0 ? (unsigned int)sent : 0;
	}
}

static void check_answer(const struct flight *flight, const struct slot *slot, const uint8_t *data)
{
	uint8_t expected = flight->type_back != 0 ? flight->type_back : slot->type;

	if (data[1] != expected)
		die("an answer of type %u to a message of type %u (lease %llu)", data[1],
		    slot->type, (unsigned long long)slot->serial);
}

/* Takes what has come, at least one answer, and sends the next message of each slot. */
static bool turn(struct flight *flight)
{
	struct pollfd ready = { .fd = flight->fd, .events = POLLIN };
	struct slot *next[BATCH];
	unsigned int n_next = 0;
	uint64_t now;
	int got;

	if (poll(&ready, 1, 1000) == 0)
		return false;
	for (unsigned int i = 0; i < BATCH; i++) {
		flight->parts[i] = (struct iovec){ flight->answers[i], ANSWER_MAX };
		flight->headers[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &flight->parts[i],
								    .msg_iovlen = 1 } };
	}
	got = recvmmsg(flight->fd, flight->headers, BATCH, MSG_DONTWAIT, NULL);
	now = now_ns();
	for (int i = 0; i < got; i++) {
		struct slot *slot =
			find_slot(flight->answers[i], flight->headers[i].msg_len, flight->n);

		if (slot == NULL)
			continue;
		check_answer(flight, slot, flight->answers[i]);
		if (flight->measure != NULL) {
			flight->measure->n++;
			note(flight->measure, now - slot->sent_ns);
		}
		next_message(slot, flight->keep);
		next[n_next++] = slot;
	}
	send_slots(flight, next, n_next);
	return true;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int bytes = 4 << 20;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		die("socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static void drain(struct flight *flight)
{
	uint8_t buf[ANSWER_MAX];
	struct pollfd ready = { .fd = flight->fd, .events = POLLIN };

	while (poll(&ready, 1, 50) > 0) {
		if (recv(flight->fd, buf, sizeof(buf), 0) < 0)
			break;
	}
}

/* Runs until it is time to stop; what is lost on the way is sent again after a second. */
static void fly(struct flight *flight)
{
	struct slot *all[FLIGHT_MAX];
	uint64_t began = now_ns();

	for (unsigned int i = 0; i < flight->n; i++) {
		bench.slots[i].type = TYPE_RELEASE;
		next_message(&bench.slots[i], flight->keep);
		all[i] = &bench.slots[i];
	}
	send_slots(flight, all, flight->n);
	while (flight->keep ? bench.serial < flight->until : now_ns() < flight->until) {
		if (interrupted)
			exit(1);
		if (!turn(flight)) {
			bench.resent += flight->n;
			send_slots(flight, all, flight->n);
		}
	}
	if (flight->measure != NULL)
		flight->measure->seconds += (double)(now_ns() - began) / 1e9;
	drain(flight);
}

/* ---- madcapd ------------------------------------------------------------------------------- */

static void write_config(void)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/madcapd.conf", bench.dir);
	file = fopen(path, "w");
	if (file == NULL)
		die("%s: %s", path, strerror(errno));
	fprintf(file,
		"listen = ( \"127.0.0.1\" ); port = 0; state_dir = \"%s/state\";\n"
		"max_addresses_per_client = 0; extra_allocation_time = \"0s\";\n"
		"scopes = ( { first = \"232.0.0.0\"; last = \"232.255.255.255\"; } );\n",
		bench.dir);
	fclose(file);
}

static uint16_t read_port(int fd)
{
	char text[4096] = "";
	size_t used = 0;
	unsigned int port;
	const char *found;
	ssize_t got;

	while (used + 1 < sizeof(text)) {
		got = read(fd, text + used, sizeof(text) - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		text[used] = '\0';
		found = strstr(text, "ready on 127.0.0.1:");
		if (found != NULL && strchr(found, '\n') != NULL &&
		    sscanf(found, "ready on 127.0.0.1:%u", &port) == 1)
			return (uint16_t)port;
	}
	die("madcapd did not get ready:\n%s", text);
}

static void start_server(void)
{
	char conf[128];
	int fds[2];

	write_config();
	snprintf(conf, sizeof(conf), "%s/madcapd.conf", bench.dir);
	if (pipe(fds) != 0)
		die("pipe: %s", strerror(errno));
	bench.server = fork();
	if (bench.server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		execl(bench.server_path, "madcapd", "-c", conf, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	bench.server_port = read_port(fds[0]);
	/* fds[0] stays open: madcapd may have more to say. */
}

/* `field` as /proc calls it: RssAnon is its own, VmRSS has the file's pages as well. */
static long memory_kb(pid_t pid, const char *field)
{
	size_t length = strlen(field);
	char path[64], line[256];
	long kb = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, field, length) == 0 && sscanf(line + length, ": %ld", &kb) == 1)
			break;
	}
	fclose(file);
	return kb;
}

static long disk_kb(void)
{
	char path[128];
	struct stat stat_buf;

	snprintf(path, sizeof(path), "%s/state/madcap-book.mdb", bench.dir);
	return stat(path, &stat_buf) == 0 ? (long)(stat_buf.st_blocks / 2) : 0;
}

static void fill_book(uint64_t n)
{
	struct flight *flight = calloc(1, sizeof(*flight));
	uint64_t began = now_ns();
	long memory = memory_kb(bench.server, "RssAnon"), disk = disk_kb();
	double seconds;

	if (flight == NULL)
		die("no memory");
	*flight = (struct flight){ .fd = connect_to(bench.server_port),
				   .n = BATCH,
				   .keep = true,
				   .type_back = TYPE_ACK,
				   .until = bench.serial + n };
	fly(flight);
	close(flight->fd);
	free(flight);
	seconds = (double)(now_ns() - began) / 1e9;
	printf("filled with %llu leases in %.1f s; %.0f bytes of memory and %.0f of disk a lease\n",
	       (unsigned long long)n, seconds,
	       (double)(memory_kb(bench.server, "RssAnon") - memory) * 1024 / (double)n,
	       (double)(disk_kb() - disk) * 1024 / (double)n);
}

/* ---- controls ------------------------------------------------------------------------------ */

static void __attribute__((noreturn)) echo(int fd)
{
	static struct mmsghdr headers[BATCH];
	static struct iovec parts[BATCH];
	static struct sockaddr_in peers[BATCH];
	static uint8_t data[BATCH][ANSWER_MAX];

	for (;;) {
		int got, at = 0;

		for (unsigned int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){ data[i], ANSWER_MAX };
			headers[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &peers[i],
								    .msg_namelen = sizeof(peers[i]),
								    .msg_iov = &parts[i],
								    .msg_iovlen = 1 } };
		}
		got = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < got; i++)
			parts[i].iov_len = headers[i].msg_len;
		while (at < got) {
			int sent = sendmmsg(fd, headers + at, (unsigned int)(got - at), 0);

			at += sent > 0 ? sent : 1;
		}
	}
}

static void start_echo(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		die("socket: %s", strerror(errno));
	bench.echo_port = ntohs(address.sin_port);
	bench.echo = fork();
	if (bench.echo == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		echo(fd);
	}
	close(fd);
}

static void check(int code, const char *what)
{
	if (code != 0)
		die("%s: %s", what, mdb_strerror(code));
}

static void commit_once(MDB_env *env, MDB_dbi dbi, unsigned int n, uint64_t *serial)
{
	uint8_t key[8], value[RECORD_SIZE] = { 0 };
	MDB_val mdb_key = { sizeof(key), key }, mdb_value = { sizeof(value), value };
	MDB_txn *txn;

	check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
	for (unsigned int i = 0; i < n; i++) {
		/* As many records as there are in flight come and go. */
		put(key, (*serial)++ % (8 * FLIGHT_MAX) * 0x9e3779b97f4a7c15U, 8);
		check(mdb_put(txn, dbi, &mdb_key, &mdb_value, 0), "mdb_put");
	}
	check(mdb_txn_commit(txn), "mdb_txn_commit");
}

static void run_commits(unsigned int n, struct measure *measure)
{
	uint64_t began, at, serial = 0;
	char path[128];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(path, sizeof(path), "%s/control.mdb", bench.dir);
	check(mdb_env_create(&env), "mdb_env_create");
	check(mdb_env_set_mapsize(env, 64 << 20), "mdb_env_set_mapsize");
	check(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), "mdb_env_open");
	check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
	check(mdb_dbi_open(txn, NULL, 0, &dbi), "mdb_dbi_open");
	check(mdb_txn_commit(txn), "mdb_txn_commit");
	began = at = now_ns();
	while (at < began + (uint64_t)(bench.round_sec * 1e9)) {
		uint64_t before = at;

		commit_once(env, dbi, n, &serial);
		at = now_ns();
		note(measure, at - before);
		measure->n += n;
	}
	measure->seconds += (double)(at - began) / 1e9;
	mdb_env_close(env);
}

/* ---- measures ------------------------------------------------------------------------------ */

static int compare_samples(const void *a, const void *b)
{
	const uint32_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

static double percentile_us(const struct measure *measure, double share)
{
	size_t at = (size_t)((double)measure->n_samples * share);

	if (measure->n_samples == 0)
		return 0;
	return measure->samples_ns[at < measure->n_samples ? at : measure->n_samples - 1] / 1e3;
}

static double rate(const struct measure *measure)
{
	return measure->seconds > 0 ? (double)measure->n / measure->seconds : 0;
}

static double cpu_seconds(pid_t pid)
{
	struct timespec used = { .tv_sec = 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		clock_gettime(clock, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void run_exchanges(bool echoed, unsigned int n, struct measure *measure)
{
	pid_t pid = echoed ? bench.echo : bench.server;
	struct flight *flight = calloc(1, sizeof(*flight));
	double before = cpu_seconds(pid);

	if (flight == NULL)
		die("no memory");
	*flight = (struct flight){ .fd = connect_to(echoed ? bench.echo_port : bench.server_port),
				   .n = n,
				   .type_back = echoed ? 0 : TYPE_ACK,
				   .until = now_ns() + (uint64_t)(bench.round_sec * 1e9),
				   .measure = measure };
	fly(flight);
	measure->cpu_seconds += cpu_seconds(pid) - before;
	close(flight->fd);
	free(flight);
}

static double cpu_us(const struct measure *measure)
{
	return measure->n > 0 ? measure->cpu_seconds * 1e6 / (double)measure->n : 0;
}

static void measure_one(uint64_t leases, unsigned int n)
{
	const struct measure *server = &bench.measures[MEASURE_SERVER];
	const struct measure *echoed = &bench.measures[MEASURE_ECHO];
	const struct measure *commits = &bench.measures[MEASURE_COMMIT];

	for (size_t i = 0; i < N_MEASURES; i++) {
		bench.measures[i].n = bench.measures[i].n_samples = 0;
		bench.measures[i].seconds = bench.measures[i].cpu_seconds = 0;
	}
	for (unsigned int round = 0; round < bench.rounds; round++) {
		run_exchanges(false, n, &bench.measures[MEASURE_SERVER]);
		run_exchanges(true, n, &bench.measures[MEASURE_ECHO]);
		run_commits(n, &bench.measures[MEASURE_COMMIT]);
	}
	for (size_t i = 0; i < N_MEASURES; i++)
		qsort(bench.measures[i].samples_ns, bench.measures[i].n_samples, sizeof(uint32_t),
		      compare_samples);
	printf("%8llu %6u %10.0f %8.0f %8.0f %7.1f %10.0f %8.0f %7.1f %10.0f %8.0f %7.2f %7.2f\n",
	       (unsigned long long)leases, n, rate(server), percentile_us(server, 0.5),
	       percentile_us(server, 0.99), cpu_us(server), rate(echoed),
	       percentile_us(echoed, 0.5), cpu_us(echoed), rate(commits),
	       percentile_us(commits, 0.5), rate(server) / rate(echoed),
	       rate(server) / rate(commits));
	fflush(stdout);
}

/* How long a start takes with what is in the book. */
static void measure_start(uint64_t leases)
{
	uint64_t began;
	int status = 0;

	if (kill(bench.server, SIGTERM) == 0)
		waitpid(bench.server, &status, 0);
	began = now_ns();
	start_server();
	printf("ready again with %llu leases after %.2f s; bytes of memory a lease: %.0f in all, "
	       "%.0f without the file's pages\n",
	       (unsigned long long)leases, (double)(now_ns() - began) / 1e9,
	       (double)memory_kb(bench.server, "VmRSS") * 1024 / (double)leases,
	       (double)memory_kb(bench.server, "RssAnon") * 1024 / (double)leases);
}

static void measure_all(bool million)
{
	static const uint64_t sizes[] = { 0, 100000, 1000000 };
	static const unsigned int flights[] = { 1, 16, 64, 256 };
	uint64_t leases = 0;

	for (size_t i = 0; i < (million ? 3 : 2); i++) {
		if (sizes[i] > leases)
			fill_book(sizes[i] - leases);
		leases = sizes[i];
		printf("%8s %6s %10s %8s %8s %7s %10s %8s %7s %10s %8s %7s %7s\n", "leases",
		       "flight", "madcapd/s", "p50 us", "p99 us", "cpu us", "echo/s", "p50 us",
		       "cpu us", "commit/s", "p50 us", "of echo", "of comm");
		for (size_t j = 0; j < sizeof(flights) / sizeof(flights[0]); j++)
			measure_one(leases, flights[j]);
	}
	measure_start(leases);
}

/* ---- somebody else's servers --------------------------------------------------------------- */

/* "PORT:FLIGHT": exchanges with a madcapd that runs already, for so long; prints how many a second. */
static int measure_port(const char *what, const char *seconds)
{
	struct measure *measure = &bench.measures[MEASURE_SERVER];
	unsigned int port, flight;

	if (sscanf(what, "%u:%u", &port, &flight) != 2 || port > UINT16_MAX || flight < 1 ||
	    flight > FLIGHT_MAX)
		die("%s is not PORT:FLIGHT", what);
	bench.round_sec = atof(seconds);
	/* Others may begin at the same moment, and a lease of theirs must not be one of ours. */
	if (getentropy(&bench.serial, sizeof(bench.serial)) != 0)
		die("getentropy: %s", strerror(errno));
	bench.server_port = (uint16_t)port;
	run_exchanges(false, flight, measure);
	qsort(measure->samples_ns, measure->n_samples, sizeof(uint32_t), compare_samples);
	printf("%.0f %.0f %.0f\n", rate(measure), percentile_us(measure, 0.5),
	       percentile_us(measure, 0.99));
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void clean_up(void)
{
	char command[160];
	int status = 0;

	if (bench.server > 0 && kill(bench.server, SIGTERM) == 0)
		waitpid(bench.server, &status, 0);
	if (bench.echo > 0 && kill(bench.echo, SIGKILL) == 0)
		waitpid(bench.echo, NULL, 0);
	bench.server = bench.echo = 0;
	if (bench.dir[0] != '\0') {
		snprintf(command, sizeof(command), "rm -rf '%s'", bench.dir);
		if (system(command) != 0)
			fprintf(stderr, "bench_madcapd: %s is left behind\n", bench.dir);
	}
}

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* madcapd stands beside the directory that this program is in. */
static void find_server(const char *self)
{
	const char *slash = strrchr(self, '/');

	snprintf(bench.server_path, sizeof(bench.server_path), "%.*s../madcapd",
		 slash != NULL ? (int)(slash + 1 - self) : 0, self);
	if (access(bench.server_path, X_OK) != 0)
		die("%s: %s", bench.server_path, strerror(errno));
}

int main(int argc, char **argv)
{
	bool quick = getenv("BENCH_QUICK") != NULL, million = false;
	bool is_load = argc == 4 && strcmp(argv[1], "--load") == 0;

	for (int i = 1; i < argc && !is_load; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			quick = true;
		} else if (strcmp(argv[i], "--million") == 0) {
			million = true;
		} else {
			fprintf(stderr, "usage: bench_madcapd [--quick] [--million]\n"
					"       bench_madcapd --load PORT:FLIGHT SECONDS\n");
			return 2;
		}
	}
	find_server(argv[0]);
	bench.round_sec = quick ? 0.3 : 1.0;
	bench.rounds = quick ? 2 : 3;
	for (size_t i = 0; i < N_MEASURES; i++) {
		bench.measures[i].samples_ns = malloc(SAMPLES_MAX * sizeof(uint32_t));
		if (bench.measures[i].samples_ns == NULL)
			die("no memory");
	}
	if (is_load)
		return measure_port(argv[2], argv[3]);
	/* On a disk, where commits cost what they cost; BENCH_DIR names another. */
	snprintf(bench.dir, sizeof(bench.dir), "%.40s/bench_madcapd.XXXXXX",
		 getenv("BENCH_DIR") != NULL ? getenv("BENCH_DIR") : "/var/tmp");
	if (mkdtemp(bench.dir) == NULL)
		die("%s: %s", bench.dir, strerror(errno));
	atexit(clean_up);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	start_echo();
	start_server();
	printf("madcapd: REQUEST, RENEW, RELEASE in turn, each answered when it is on disk\n");
	measure_all(million);
	if (bench.resent > 0)
		printf("messages sent again: %llu\n", (unsigned long long)bench.resent);
	return 0;
}
