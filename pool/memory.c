/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "directory.h"
#include "history.h"
#include "lease.h"

/* What one call brings up to date; what is left waits for the next one. */
#define FLUSH_MAX 1024

/* Below runtime_dir: which memory store has been read through since the machine was started. */
#define CHECKED_FILE "memory-checked"
#define CHECKED_SIZE 64

static bool checked_path(const struct pool *pool, char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/" CHECKED_FILE, pool->config->runtime_dir);

	return n > 0 && n < PATH_MAX;
}

/* Which file it is: that of `path`, as a line. False if there is none. */
static bool name_file(const char *path, char line[static CHECKED_SIZE])
{
	struct stat file;

	if (stat(path, &file) != 0)
		return false;
	snprintf(line, CHECKED_SIZE, "%ju %ju\n", (uintmax_t)file.st_dev, (uintmax_t)file.st_ino);
	return true;
}

static bool was_checked(const struct pool *pool, const char *line)
{
	char path[PATH_MAX], noted[CHECKED_SIZE];
	ssize_t n = -1;
	int fd;

	if (!checked_path(pool, path))
		return false;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, noted, sizeof(noted));
	close(fd);
	return n == (ssize_t)strlen(line) && memcmp(noted, line, (size_t)n) == 0;
}

/* Where it cannot be noted, the next one reads it all again. */
static void note_checked(const struct pool *pool, const char *line)
{
	char path[PATH_MAX];
	int fd;

	if (!checked_path(pool, path))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		unlink(path);
	close(fd);
}

/*
 * A page that the disk has lost would end every pppd that comes across it, whose user can do without
 * what is in there. So all is read once, by a child, after the machine has started; what is written
 * later stays in memory as well.
 */
static int check_once(const struct pool *pool, const struct store_options *options,
		      struct error *error)
{
	char line[CHECKED_SIZE];
	int code;

	if (!name_file(options->path, line) || was_checked(pool, line))
		return 0;
	code = store_check_pages(options, error);
	if (code == 0)
		note_checked(pool, line);
	return code;
}

int memory_open(const struct pool *pool, bool create, struct store **ret, struct error *error)
{
	char path[PATH_MAX];
	struct store_options options = {
		.path = path,
		.kind = MEMORY_KIND,
		.version = MEMORY_VERSION,
		.synced = true,
		.create = create,
	};
	struct statvfs fs;
	int n = snprintf(path, sizeof(path), "%s/" MEMORY_FILE, pool->config->state_dir);
	int dir_fd = -1;
	int code;

	if (n < 0 || (size_t)n >= sizeof(path)) {
		error_set(error, "state_dir: the path is too long");
		return POOL_E_SYSTEM;
	}
	code = directory_open(pool->config->state_dir, create, &dir_fd, error);
	if (code < 0)
		return code;
	/* LMDB locks what it reads in a file beside it, but where nobody can write it does without. */
	options.read_only = !create && fstatvfs(dir_fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
	close(dir_fd);
	code = check_once(pool, &options, error);
	return code == 0 ? store_open(ret, &options, error) : code;
}

/*
 * When the address's rest began, as far as we know: a lease that was never seen to end lived until
 * the machine went down. Without a rest only the order matters, and there the older date does.
 */
static uint64_t released_at(const struct op *op, size_t pool, const struct memory_record *memory)
{
	int64_t ago_sec = op->now_sec - memory->since_sec;

	if (!memory->released && op->pool->config->pools[pool].hold_sec > 0)
		return op->stamp;
	if (ago_sec < 0 || ago_sec > CLOCK_OFFSET_US / 4000000)
		return op->stamp;
	return op->stamp - (uint64_t)ago_sec * 1000000;
}

static int import_one(struct op *op, uint32_t addr, const struct memory_record *memory)
{
	size_t pool = lease_dynamic_pool(op, addr);
	struct lease_record record = {
		.id = op->pool->env.random(op->pool->env.context),
		.since_sec = memory->since_sec,
	};

	if (pool == CONFIG_NO_POOL || !lease_is_remembered(&op->pool->config->pools[pool]))
		return 0;
	record.since_us = released_at(op, pool, memory);
	memcpy(record.user, memory->user, sizeof(record.user));
	return lease_enqueue(op, pool, QUEUE_TIME, addr, &record);
}

static void warn(struct op *op, const char *text)
{
	op_note(op, POOL_EVENT_WARNING, 0, CONFIG_NO_POOL, NULL, text);
}

static int import_all(struct op *op, struct store_txn *txn)
{
	const struct key begin = key_memory(0);
	struct entries entries = entries_from(txn, &begin, 1);

	while (entries_next(&entries)) {
		struct memory_record memory;
		uint32_t addr;
		int code;

		if (!key_addr(entries.key, &addr) ||
		    record_decode_memory(entries.value, &memory) < 0)
			continue;
		code = import_one(op, addr, &memory);
		if (code < 0)
			return code;
	}
	if (entries.code < 0)
		warn(op, "not all that is remembered of users could be read");
	return 0;
}

int memory_import(struct op *op)
{
	struct error error = { "" };
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	int code = memory_open(op->pool, false, &store, &error);

	if (code == 0)
		code = store_begin(store, false, &txn, NULL, &error);
	if (code == 0) {
		code = import_all(op, txn);
	} else {
		if (code != POOL_E_NOT_FOUND)
			warn(op, error.text);
		code = 0;
	}
	store_abort(&txn);
	store_close(&store);
	return code;
}

/* One address whose memory is not what it should be. */
struct change {
	uint32_t addr;
	uint64_t mark; /* lease_mark_dirty() */
	bool forget;
	struct memory_record memory;
};

static int collect_one(struct op *op, uint32_t addr, struct change *ret)
{
	struct lease_record record;
	size_t pool;
	int code = record_get_lease(op->txn, addr, &record);

	*ret = (struct change){ .addr = addr };
	if (code == POOL_E_NOT_FOUND || (code == 0 && record.user[0] == '\0')) {
		ret->forget = true;
		return 0;
	}
	if (code < 0)
		return op_fail(op, code);
	pool = lease_dynamic_pool(op, addr);
	ret->memory.released = !record.active && pool != CONFIG_NO_POOL &&
			       lease_is_end_remembered(&op->pool->config->pools[pool]);
	ret->memory.since_sec = record.since_sec;
	memcpy(ret->memory.user, record.user, sizeof(ret->memory.user));
	return 0;
}

/* All that one call brings up to date. */
struct work {
	struct history_batch news;
	size_t n_changes;
	struct change changes[FLUSH_MAX];
};

static int collect(struct op *op, struct work *work)
{
	const struct key begin = key_dirty(0);
	struct entries entries = entries_from(op->txn, &begin, 1);

	work->n_changes = 0;
	while (work->n_changes < FLUSH_MAX && entries_next(&entries)) {
		struct change *change = &work->changes[work->n_changes];
		const struct store_bytes value = entries.value;
		uint32_t addr;
		int code;

		if (!key_addr(entries.key, &addr) || value.size != sizeof(change->mark))
			return op_fail(op, POOL_E_DAMAGED);
		code = collect_one(op, addr, change);
		if (code < 0)
			return code;
		memcpy(&change->mark, value.data, value.size);
		work->n_changes++;
	}
	if (entries.code < 0)
		return op_fail(op, entries.code);
	return history_look(op, &work->news);
}

static int write_changes(struct store_txn *txn, const struct work *work)
{
	int code = 0;

	for (size_t i = 0; i < work->n_changes && code == 0; i++) {
		const struct change *change = &work->changes[i];
		struct key key = key_memory(change->addr);

		if (change->forget)
			code = record_delete(txn, &key);
		else
			code = record_put_memory(txn, change->addr, &change->memory);
	}
	return code;
}

static int flush(struct op *op, const struct work *work, struct error *error)
{
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	int code = memory_open(op->pool, true, &store, error);

	if (code == 0)
		code = store_begin(store, true, &txn, NULL, error);
	if (code == 0) {
		code = write_changes(txn, work);
		if (code == 0)
			code = history_take(&work->news, txn);
		if (code < 0)
			error_set(error, "%s/" MEMORY_FILE ": %s", op->pool->config->state_dir,
				  store_txn_problem(txn));
	}
	if (code == 0)
		code = store_commit(&txn, error);
	store_abort(&txn);
	store_close(&store);
	return code;
}

/* What has changed again in the meantime stays noted. */
static int settle(struct op *op, const struct work *work)
{
	int code;

	for (size_t i = 0; i < work->n_changes; i++) {
		const struct change *change = &work->changes[i];
		struct key key = key_dirty(change->addr);
		struct store_bytes value;

		code = store_get(op->txn, key_bytes(&key), &value);
		if (code == 0 && value.size == sizeof(change->mark) &&
		    memcmp(value.data, &change->mark, value.size) == 0)
			code = record_delete(op->txn, &key);
		if (code < 0 && code != POOL_E_NOT_FOUND)
			return op_fail(op, code);
	}
	code = history_settle(op, &work->news);
	return code == 0 ? op_commit(op) : code;
}

/* One process at a time is enough; the others' notes are in the same store. */
static int lock_state(const struct pool *pool, int *ret_fd, struct error *error)
{
	int fd;
	int code = directory_open(pool->config->state_dir, true, &fd, error);

	if (code < 0)
		return code;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno != EWOULDBLOCK)
		error_set_errno(error, errno, "cannot lock %s", pool->config->state_dir);
	code = errno == EWOULDBLOCK ? POOL_E_REFUSED : POOL_E_SYSTEM;
	close(fd);
	return code;
}

/* From the one store to the disk's, and only then out of the first. Other processes may go on all
 * the time but for the moment in which what has been written is struck off. */
static int write_and_settle(struct op *op, const struct work *work, struct error *error)
{
	int lock_fd;
	int code = lock_state(op->pool, &lock_fd, error);

	if (code < 0)
		return code == POOL_E_REFUSED ? 0 : code;
	/* No reader while the disk works: the pages that it sees could not be used again, and the lease
	 * store would grow with every session until it is full. */
	op_abort_txn(op);
	/* What cannot be struck off would be written again by the next one: so whoever was stopped while
	 * he wrote is met before. */
	code = op_begin_txn(op, true);
	op_abort_txn(op);
	if (code == 0)
		code = flush(op, work, error);
	if (code == 0)
		code = op_begin_txn(op, true);
	if (code == 0)
		code = settle(op, work);
	close(lock_fd);
	return code;
}

bool pool_is_behind(const struct pool *pool)
{
	return pool->n_news >= HISTORY_BATCH_MAX;
}

int pool_maintain(struct pool *pool, struct error *error)
{
	struct work *work = malloc(sizeof(*work));
	struct op op;
	int code;

	if (work == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	pool->n_news = 0; /* until there are others */
	code = op_begin(&op, pool, false, error);
	if (code < 0) {
		free(work);
		return code == POOL_E_NOT_FOUND ? 0 : code;
	}
	code = collect(&op, work);
	if (code == 0 && (work->n_changes > 0 || work->news.n > 0))
		code = write_and_settle(&op, work, error);
	free(work);
	op_done(&op);
	return code;
}
