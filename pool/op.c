/* SPDX-License-Identifier: MIT */
#include "op.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "array.h"
#include "directory.h"
#include "hash.h"
#include "memory.h"

/* Events that wait for somebody to take them to the memory store. */
#define OP_NEWS_MAX 20000

#define MAP_BYTES_MIN (UINT64_C(256) << 20)
#define MAP_BYTES_PER_ADDRESS 1024
#if SIZE_MAX > UINT32_MAX
#define MAP_BYTES_MAX (UINT64_C(64) << 30)
#else
#define MAP_BYTES_MAX (UINT64_C(512) << 20)
#endif

static uint64_t map_bytes(const struct config *config)
{
	uint64_t bytes = MAP_BYTES_MIN;

	for (size_t i = 0; i < config->n_pools; i++)
		bytes += config->pools[i].ranges.count * MAP_BYTES_PER_ADDRESS;
	return bytes < MAP_BYTES_MAX ? bytes : MAP_BYTES_MAX;
}

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_SIZE sizeof("01234567-89ab-cdef-0123-456789abcdef")

/* 0, or -1 with errno set. */
static int read_boot_id(char id[static BOOT_ID_SIZE])
{
	int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, id, BOOT_ID_SIZE - 1);
	close(fd);
	if (n == BOOT_ID_SIZE - 1) {
		id[n] = '\0';
		return 0;
	}
	if (n >= 0)
		errno = EIO;
	return -1;
}

static uint64_t boot_of_kernel(void)
{
	static uint64_t known; /* it does not change while we live */
	char id[BOOT_ID_SIZE];

	if (known != 0 || read_boot_id(id) < 0)
		return known;
	known = hash_bytes(HASH_START, id, strlen(id));
	return known;
}

uint64_t op_boot(const struct pool *pool)
{
	return pool->env.boot != NULL ? pool->env.boot(pool->env.context) : boot_of_kernel();
}

int op_registry(struct op *op, uint64_t *ret)
{
	int code = record_get_registry(op->txn, ret);

	if (code != POOL_E_NOT_FOUND)
		return code < 0 ? op_fail(op, code) : 0;
	*ret = 0;
	if (!op->write)
		return 0;
	*ret = op->pool->env.random(op->pool->env.context) | 1;
	code = record_put_registry(op->txn, *ret);
	return code < 0 ? op_fail(op, code) : 0;
}

/*
 * Leases are not synced, so after a crash of the machine a store on a real disk may be anything.
 * There, its name carries the boot that it belongs to; a tmpfs is empty after a boot anyway. All
 * processes have to come to the same name: whoever cannot find out has no store.
 */
static int leases_path(struct pool *pool, char *path, size_t size, struct error *error)
{
	const char *dir = pool->config->runtime_dir;
	char boot[BOOT_ID_SIZE] = "";
	struct statfs fs;
	int n;

	if (fstatfs(pool->runtime_fd, &fs) != 0) {
		error_set_errno(error, errno, "cannot find out what file system %s is on", dir);
		return POOL_E_SYSTEM;
	}
	if (fs.f_type != TMPFS_MAGIC && read_boot_id(boot) != 0 && errno != ENOENT) {
		error_set_errno(error, errno, "cannot read " BOOT_ID_FILE);
		return POOL_E_SYSTEM;
	}
	if (boot[0] != '\0')
		n = snprintf(path, size, "%s/leases-%.8s.mdb", dir, boot);
	else
		n = snprintf(path, size, "%s/" LEASES_FILE, dir);
	if (n > 0 && (size_t)n < size)
		return 0;
	error_set(error, "runtime_dir: the path is too long");
	return POOL_E_SYSTEM;
}

static int open_leases(struct pool *pool, bool create, struct error *error)
{
	char path[PATH_MAX];
	struct store_options options = {
		.path = path,
		.kind = LEASES_KIND,
		.version = LEASES_VERSION,
		.map_bytes = map_bytes(pool->config),
		.create = create,
	};
	int code = leases_path(pool, path, sizeof(path), error);

	return code < 0 ? code : store_open(&pool->leases, &options, error);
}

static int open_all(struct pool *pool, bool create, struct error *error)
{
	int code = 0;

	/* A fork went by: what is open belongs to the other process. */
	if (pool->leases != NULL && store_pid(pool->leases) != getpid())
		store_forget(&pool->leases);
	if (pool->runtime_fd < 0)
		code = directory_open(pool->config->runtime_dir, create, &pool->runtime_fd, error);
	if (code == 0 && pool->owners.runtime_fd < 0)
		owner_dir_open(pool->runtime_fd, &pool->owners);
	if (code == 0 && pool->leases == NULL)
		code = open_leases(pool, create, error);
	if (code < 0)
		pool_rest(pool);
	return code;
}

int op_begin_txn(struct op *op, bool write)
{
	bool fresh;
	int code = store_begin(op->pool->leases, write, &op->txn, &fresh, op->error);

	if (code < 0)
		return code;
	op->write = write;
	op->now_us = op->pool->env.boot_us(op->pool->env.context);
	op->now_sec = op->pool->env.unix_sec(op->pool->env.context);
	op->stamp = (uint64_t)(op->now_us + CLOCK_OFFSET_US);
	if (write && fresh)
		code = memory_import(op);
	if (code < 0)
		op_abort_txn(op);
	return code;
}

/*
 * pppd's handlers come without SA_RESTART, and a script or a helper of pppd may end at any moment:
 * no system call in here, LMDB's least of all, is to fail because of that. Faults still get
 * through.
 */
void op_block_signals(sigset_t *ret_before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&set, faults[i]);
	sigprocmask(SIG_BLOCK, &set, ret_before);
}

void op_unblock_signals(const sigset_t *before)
{
	static const struct timespec at_once;
	sigset_t written;

	/* A file that may not grow is an error that has been told, and no reason to end pppd. */
	if (sigismember(before, SIGXFSZ) == 0) {
		sigemptyset(&written);
		sigaddset(&written, SIGXFSZ);
		(void)sigtimedwait(&written, NULL, &at_once);
	}
	sigprocmask(SIG_SETMASK, before, NULL);
}

int op_open(struct op *op, struct pool *pool, bool create, struct error *error)
{
	int code;

	*op = (struct op){ .pool = pool, .error = error };
	op->counters = calloc(pool->config->n_pools, sizeof(*op->counters));
	if (op->counters == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	op_block_signals(&op->signals);
	op->signals_blocked = true;
	code = open_all(pool, create, error);
	if (code < 0)
		op_done(op);
	return code;
}

int op_begin(struct op *op, struct pool *pool, bool write, struct error *error)
{
	int code = op_open(op, pool, write, error);

	if (code == 0) {
		code = op_begin_txn(op, write);
		if (code < 0)
			op_done(op);
	}
	return code;
}

void op_abort_txn(struct op *op)
{
	store_abort(&op->txn);
	memset(op->counters, 0, op->pool->config->n_pools * sizeof(*op->counters));
	op->n_events = 0;
	op->is_unheard = false;
}

static int write_counters(struct op *op)
{
	for (size_t i = 0; i < op->pool->config->n_pools; i++) {
		int code;

		if (!op->counters[i].changed)
			continue;
		code = record_put_pool(op->txn, op_pool_name(op, i), &op->counters[i].now);
		if (code < 0)
			return op_fail(op, code);
	}
	return 0;
}

/*
 * What happened goes into the same transaction, behind what is there, for pool_maintain to take to
 * the memory store. Where nobody does that, the oldest goes.
 */
static int write_news(struct op *op)
{
	const struct key end = key_news(UINT64_MAX);
	const struct key begin = key_news(0);
	struct store_bytes found;
	struct store_bytes value;
	uint64_t number = 0;
	int code = store_seek_before(op->txn, key_bytes(&end), &found, &value);

	if (code == 0 && key_has_prefix(found, &begin, 1))
		number = key_number(found) + 1;
	for (size_t i = 0; i < op->n_events; i++) {
		struct key key = key_news(number++);

		code = record_put_history(op->txn, &key, &op->events[i].record);
		if (code < 0)
			return op_fail(op, code);
	}
	do {
		code = store_seek(op->txn, key_bytes(&begin), &found, &value);
		op->pool->n_news = code == 0 ? number - key_number(found) : 0;
		if (code < 0 || op->pool->n_news <= OP_NEWS_MAX)
			break;
		code = store_delete(op->txn, found);
	} while (code == 0);
	return code < 0 && code != POOL_E_NOT_FOUND ? op_fail(op, code) : 0;
}

/* The observer may call a foreign module, which is not to run with signals blocked. */
static void tell(struct op *op)
{
	const struct pool_env *env = &op->pool->env;
	bool is_told = env->observe != NULL && op->n_events > 0;

	if (is_told && op->signals_blocked)
		op_unblock_signals(&op->signals);
	for (size_t i = 0; is_told && i < op->n_events; i++) {
		const struct history_record *record = &op->events[i].record;

		env->observe(env->context, &(struct pool_event){
						   .kind = record->kind,
						   .addr_be = htonl(record->addr),
						   .pool = record->pool,
						   .user = record->user,
						   .port = record->port,
						   .module = record->module,
						   .notify = op->events[i].notify,
						   .pid = record->pid,
						   .how = record->how,
						   .text = record->text,
					   });
	}
	if (is_told && op->signals_blocked)
		op_block_signals(&op->signals);
	op->n_events = 0;
}

int op_commit(struct op *op)
{
	int code = op->write ? write_counters(op) : 0;

	if (code == 0 && op->is_unheard)
		code = op_fail(op, POOL_E_NO_MEMORY);
	if (code == 0 && op->n_events > 0)
		code = write_news(op);
	if (code < 0) {
		op_abort_txn(op);
		return code;
	}
	code = store_commit(&op->txn, op->error);
	if (code < 0) {
		op->n_events = 0;
		/* LMDB may take nothing more from this handle: the next operation opens it anew. */
		store_close(&op->pool->leases);
	}
	memset(op->counters, 0, op->pool->config->n_pools * sizeof(*op->counters));
	tell(op);
	return code;
}

void op_done(struct op *op)
{
	store_abort(&op->txn);
	if (op->have_in_use)
		in_use_done(&op->in_use);
	free(op->counters);
	free(op->events);
	if (op->signals_blocked)
		op_unblock_signals(&op->signals);
	*op = (struct op){ 0 };
}

int op_end(struct op *op, int code)
{
	if (code == 0)
		code = op_commit(op);
	op_done(op);
	return code;
}

void op_set_failure(struct op *op, int code)
{
	if (code == POOL_E_DAMAGED)
		error_set(op->error,
			  "the lease store in %s holds a record that makes no sense: move it "
			  "away once no session uses it",
			  op->pool->config->runtime_dir);
	else if (code == POOL_E_NO_MEMORY)
		error_set(op->error, "out of memory");
	else if (code == POOL_E_INVALID)
		error_set(op->error, "a record for the lease store in %s is too long",
			  op->pool->config->runtime_dir);
	else
		error_set(op->error, "the lease store in %s: %s", op->pool->config->runtime_dir,
			  store_txn_problem(op->txn));
}

void op_explain(struct op *op, const struct config_pool *config, const char *format, ...)
{
	struct pool_explanation *trace = op->trace;
	struct pool_step *step;
	va_list args;

	if (trace == NULL || trace->n_steps == POOL_STEPS_MAX)
		return;
	step = &trace->steps[trace->n_steps++];
	step->config = config;
	va_start(args, format);
	vsnprintf(step->text, sizeof(step->text), format, args);
	va_end(args);
}

const char *op_pool_name(const struct op *op, size_t pool)
{
	return pool == CONFIG_NO_POOL ? "" : op->pool->config->pools[pool].name;
}

/* Numbers are given in order of first use; the nameless record counts them. */
static int make_counters(struct op *op, struct pool_counters *ret)
{
	struct pool_counters numbers = { 0 };
	int code = record_get_pool(op->txn, "", &numbers);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return code;
	numbers.number++;
	if (op->write) {
		code = record_put_pool(op->txn, "", &numbers);
		if (code < 0)
			return code;
	}
	*ret = (struct pool_counters){
		.number = numbers.number,
		.layout = op->pool->layout,
		.key = op->pool->env.random(op->pool->env.context),
	};
	return 0;
}

struct pool_counters *op_counters(struct op *op, size_t pool, bool change, int *ret_code)
{
	struct op_counters *counters = &op->counters[pool];
	bool made = false;
	int code = 0;

	if (!counters->loaded) {
		code = record_get_pool(op->txn, op_pool_name(op, pool), &counters->now);
		made = code == POOL_E_NOT_FOUND;
		if (made)
			code = make_counters(op, &counters->now);
		if (code < 0) {
			*ret_code = op_fail(op, code);
			return NULL;
		}
		counters->loaded = true;
		counters->changed = made; /* the number is given away */
	}
	counters->changed |= change;
	return &counters->now;
}

static bool has_number(struct op *op, size_t pool, uint32_t number)
{
	int code;
	const struct pool_counters *counters = op_counters(op, pool, false, &code);

	return counters != NULL && counters->number == number;
}

size_t op_pool_by_number(struct op *op, uint32_t number, uint32_t addr)
{
	size_t likely = config_pool_of(op->pool->config, addr);

	if (number == POOL_NUMBER_NONE)
		return CONFIG_NO_POOL;
	if (likely != CONFIG_NO_POOL && has_number(op, likely, number))
		return likely;
	for (size_t i = 0; i < op->pool->config->n_pools; i++) {
		if (has_number(op, i, number))
			return i;
	}
	return CONFIG_NO_POOL;
}

void op_note(struct op *op, enum pool_event_kind kind, uint32_t addr, size_t pool,
	     const struct lease_record *lease, const char *text)
{
	struct op_event *grown;
	struct history_record *record;

	if (op->rehearsal)
		return;
	grown = realloc(op->events, (op->n_events + 1) * sizeof(*grown));
	if (grown == NULL) {
		/* The lease matters more than the line in the log, but not more than RA-54. */
		op->is_unheard |= kind == POOL_EVENT_RECLAIM && lease != NULL && lease->notify;
		return;
	}
	op->events = grown;
	op->events[op->n_events] = (struct op_event){ .notify = lease != NULL && lease->notify };
	record = &op->events[op->n_events++].record;
	*record = (struct history_record){ .kind = kind, .addr = addr, .time_sec = op->now_sec };
	snprintf(record->pool, sizeof(record->pool), "%s", op_pool_name(op, pool));
	snprintf(record->text, sizeof(record->text), "%.255s", text);
	if (lease == NULL)
		return;
	if (kind == POOL_EVENT_RELEASE || kind == POOL_EVENT_RECLAIM)
		record->granted_sec = lease->since_sec;
	record->how = lease->how;
	record->pid = lease->pid;
	memcpy(record->user, lease->user, sizeof(record->user));
	memcpy(record->port, lease->port, sizeof(record->port));
	memcpy(record->module, lease->module, sizeof(record->module));
}

int op_read_in_use(struct op *op)
{
	if (op->have_in_use || op->pool->env.in_use != NULL)
		return 0;
	op->have_in_use = true;
	return in_use_init(&op->in_use, op->error);
}

int op_in_use(struct op *op, uint32_t addr)
{
	const struct pool_env *env = &op->pool->env;
	int code;

	if (env->in_use != NULL)
		return env->in_use(env->context, htonl(addr));
	code = op_read_in_use(op);
	return code < 0 ? code : in_use_has(&op->in_use, addr, op->error);
}
