/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "held_lock.h"
#include "wire.h"

/* Sorts before every other key: all of ours begin with a letter. */
static const char META_KEY[] = "\001rasip";
#define META_SIZE_MAX 64
#define FREE_DBI 0      /* where LMDB keeps the pages that can be used again; its own name for it */
#define FIRST_PAGE 2    /* behind the two that say where the trees begin */
#define READERS_MAX 126 /* LMDB's default, by which it sizes its lock file: */
#define LOCK_FILE_SIZE 8192 /* a header and a cache line for each of them */
#define REOPENS_MAX 200
#define OLD_READER 100   /* changes: nobody of ours reads for that long */
#define CROWDED_MAX 2000 /* some four seconds */
#define PAUSE_US 4001

/* Where in LMDB's lock file a writer's turn is locked; LMDB itself locks bytes by process numbers. */
#define TURN_AT ((off_t)1 << 40)

struct store {
	MDB_env *env;
	size_t map_bytes;
	unsigned int flags; /* LMDB's */
	MDB_dbi dbi;
	bool is_open;              /* `env` is */
	int lock_fd;               /* of LMDB's lock file, for locks beside its own; -1: not open */
	struct lock_holder holder; /* of the writers' turn, where that could not be had */
	bool have_dbi;
	bool read_only;
	pid_t pid;
	uint32_t version;
	uint64_t size; /* of the file, when it was opened and after the last change of ours */
	char kind[32];
	char *path;
	const char *advice;
};

struct store_txn {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *cursor;
	bool write;
	int problem; /* LMDB's code of the last failure */
};

static int code_of(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return POOL_OK;
	case MDB_NOTFOUND:
		return POOL_E_NOT_FOUND;
	case ENOMEM:
		return POOL_E_NO_MEMORY;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
		return POOL_E_DAMAGED;
	case MDB_VERSION_MISMATCH:
		return POOL_E_VERSION;
	default:
		return POOL_E_STORE;
	}
}

struct old_reader {
	long pid;
	size_t txn; /* the last change that it sees */
};

/* A line of LMDB's list: a process, a thread, and what it sees; nothing else is made of numbers. */
static int find_oldest(const char *line, void *context)
{
	struct old_reader *oldest = context;
	struct old_reader reader;

	if (sscanf(line, "%ld %*x %zu", &reader.pid, &reader.txn) == 2 && reader.txn < oldest->txn)
		*oldest = reader;
	return 0;
}

/* As long as somebody reads, no page that he may see is used again. */
static const char *reason_for_full(const struct store *store)
{
	static char text[128]; /* nobody has threads that write */
	struct old_reader oldest = { .txn = SIZE_MAX };
	MDB_envinfo info = { 0 };

	if (store->env == NULL || mdb_env_info(store->env, &info) != 0 ||
	    mdb_reader_list(store->env, find_oldest, &oldest) < 0 ||
	    oldest.txn >= info.me_last_txnid || info.me_last_txnid - oldest.txn < OLD_READER)
		return mdb_strerror(MDB_MAP_FULL);
	snprintf(text, sizeof(text),
		 "it is full, as process %ld has been reading it through %zu changes (is it "
		 "stopped?)",
		 oldest.pid, info.me_last_txnid - oldest.txn);
	return text;
}

/* LMDB calls a write that the disk had only half the room for an input/output error. */
static const char *reason_of(const struct store *store, int rc)
{
	if (rc == MDB_MAP_FULL)
		return reason_for_full(store);
	return rc == EIO ? "Input/output error, or no space left on device" : mdb_strerror(rc);
}

static int fail(const struct store *store, int rc, const char *what, struct error *error)
{
	int code = code_of(rc);

	if (code == POOL_E_DAMAGED)
		error_set(error, "%s is damaged or not a store of rasip's (%s): %s", store->path,
			  mdb_strerror(rc), store->advice);
	else
		error_set(error, "%s: cannot %s: %s", store->path, what, reason_of(store, rc));
	return code;
}

/*
 * Whoever writes takes his turn before LMDB's mutex, which nobody then has to wait for: a wait for it
 * has no end where its holder has been stopped, and it knows its holder by a number that a process in
 * another container may have, too: should that one be killed while it waits, the kernel would take the
 * mutex away from the other.
 */
static int take_turn(struct store *store)
{
	int code;

	if (store->lock_fd < 0)
		return 0;
	code = held_lock_take(store->lock_fd, TURN_AT, STORE_HELD_MAX_MS, &store->holder);
	/* The mutex alone does it, too. */
	return code == -ETIMEDOUT ? ETIMEDOUT : 0;
}

static void end_turn(const struct store *store)
{
	if (store->lock_fd >= 0)
		held_lock_drop(store->lock_fd, TURN_AT);
}

/* Where what failed may have been take_turn(). */
static int fail_in_turn(const struct store *store, int rc, const char *what, struct error *error)
{
	char holder[LOCK_HOLDER_TEXT];

	if (rc != ETIMEDOUT)
		return fail(store, rc, what, error);
	error_set(error, "%s: %s has been writing to it for %lld s (is it stopped?)", store->path,
		  lock_holder_text(&store->holder, holder),
		  (long long)store->holder.held_ms / 1000);
	return POOL_E_STORE;
}

/* The file as it is, and as long as LMDB takes it to be. */
struct extent {
	int fd;
	uint64_t size;
	uint64_t page_size;
	uint64_t n_pages;
};

/* 0, or LMDB's code. */
static int read_extent(const struct store *store, struct extent *ret)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat file;

	if (mdb_env_info(store->env, &info) != 0 || mdb_env_stat(store->env, &stat) != 0 ||
	    mdb_env_get_fd(store->env, &ret->fd) != 0)
		return MDB_INVALID;
	/* Last: it grows meanwhile. */
	if (fstat(ret->fd, &file) != 0)
		return errno;
	ret->size = (uint64_t)file.st_size;
	ret->page_size = stat.ms_psize;
	/* A store that has never been committed to has two meta pages and maybe nothing else. */
	ret->n_pages = info.me_last_txnid > 0 ? (uint64_t)info.me_last_pgno + 1 : 0;
	return 0;
}

/* Nobody makes the file shorter again. */
static void note_size(struct store *store)
{
	struct stat file;
	int fd;

	if (mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &file) == 0 &&
	    (uint64_t)file.st_size > store->size)
		store->size = (uint64_t)file.st_size;
}

static bool is_whole(const struct extent *extent)
{
	return extent->size >= extent->n_pages * extent->page_size;
}

/* How many pages at or behind `first` the free list has; fewer where it cannot be read. */
static uint64_t count_free(MDB_env *env, uint64_t first)
{
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	MDB_val key;
	MDB_val list; /* size_t: how many, and then page numbers */
	uint64_t n = 0;

	/* A database like others, for reading only. */
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	if (mdb_cursor_open(txn, FREE_DBI, &cursor) != 0)
		goto out;
	while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
		for (size_t at = sizeof(size_t); at + sizeof(size_t) <= list.mv_size;
		     at += sizeof(size_t)) {
			size_t page;

			memcpy(&page, (const char *)list.mv_data + at, sizeof(page));
			n += page >= first;
		}
	}
	mdb_cursor_close(cursor);
out:
	mdb_txn_abort(txn);
	return n;
}

/*
 * A page that a transaction takes behind the file's end and gives back is never written, so pages
 * may be missing that are free. What is missing is added, empty, while nobody else can write; if any
 * of it is not free, the file has been cut short, and is left as it was.
 */
static int add_missing_pages(struct store *store)
{
	struct extent extent;
	MDB_txn *txn = NULL;
	uint64_t first;
	int rc = take_turn(store);

	if (rc != 0)
		return rc;
	rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc != 0) {
		end_turn(store);
		return rc;
	}
	rc = read_extent(store, &extent);
	if (rc != 0 || is_whole(&extent))
		goto out;
	first = extent.size / extent.page_size;
	if (ftruncate(extent.fd, (off_t)(extent.n_pages * extent.page_size)) != 0) {
		rc = errno;
	} else if (count_free(store->env, first) != extent.n_pages - first) {
		rc = ftruncate(extent.fd, (off_t)extent.size) == 0 ? MDB_CORRUPTED : errno;
	}
out:
	mdb_txn_abort(txn);
	end_turn(store);
	return rc;
}

/* LMDB reads pages through a map: a file cut short would be a SIGBUS, not an error. 0, or LMDB's code. */
static int check_length(struct store *store)
{
	struct extent extent;
	int rc = read_extent(store, &extent);

	if (rc == 0 && !is_whole(&extent))
		rc = store->read_only ? MDB_CORRUPTED : add_missing_pages(store);
	if (rc == 0)
		note_size(store);
	return rc;
}

int store_check_file(const struct store *store, struct error *error)
{
	struct stat named = { 0 }, open = { 0 };
	int fd;
	int rc = mdb_env_get_fd(store->env, &fd);

	if (rc == 0 && (fstat(fd, &open) != 0 || stat(store->path, &named) != 0))
		rc = errno;
	if (rc != 0)
		return fail(store, rc, "look at it", error);
	if (named.st_dev != open.st_dev || named.st_ino != open.st_ino) {
		error_set(error, "%s has become another file than the one that was opened",
			  store->path);
		return POOL_E_STORE;
	}
	return (uint64_t)open.st_size >= store->size ? 0
						     : fail(store, MDB_CORRUPTED, "use it", error);
}

/*
 * LMDB makes its lock file sparse and writes to it through a map. On a full disk that would be a
 * SIGBUS, so its blocks are there before LMDB sees it. (Closing the file again drops this process's
 * locks on it: there are none yet.)
 */
static int reserve_lock_file(const struct store_options *options, struct error *error)
{
	char path[PATH_MAX];
	struct stat file;
	int fd;
	int errnum;

	if ((size_t)snprintf(path, sizeof(path), "%s-lock", options->path) >= sizeof(path)) {
		error_set(error, "%s: the path is too long", options->path);
		return POOL_E_STORE;
	}
	if (stat(path, &file) == 0 && file.st_size >= LOCK_FILE_SIZE &&
	    file.st_blocks * 512 >= file.st_size)
		return 0;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	errnum = fd < 0 ? errno : posix_fallocate(fd, 0, LOCK_FILE_SIZE);
	if (fd >= 0)
		close(fd);
	if (errnum == 0)
		return 0;
	error_set_errno(error, errnum, "cannot make %s", path);
	return POOL_E_STORE;
}

static unsigned int env_flags(const struct store_options *options)
{
	unsigned int flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;

	if (!options->synced)
		flags |= MDB_NOSYNC | MDB_NOMETASYNC;
	if (options->read_only)
		flags |= MDB_RDONLY;
	return flags;
}

/*
 * LMDB allocates 3 MiB of lists with every environment and touches little of them. In maps of their
 * own they cost nothing and go back at once. glibc would move them to the heap from the second time
 * on, where they are zeroed, page by page, and stay; a threshold that was set is not moved.
 */
static void keep_lists_off_the_heap(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

/* That a file has a name has to reach the disk as well. 0 or an errno. */
static int sync_directory_of(const char *path)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;
	int rc;

	snprintf(directory, sizeof(directory), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
		 slash != NULL ? path : ".");
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	rc = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	/* Not all file systems know that. */
	return rc == EINVAL || rc == ENOTSUP ? 0 : rc;
}

/*
 * A new file comes into place whole: one whose head was cut short by a full disk, or with the
 * machine's power, would stay damaged for ever. Somebody else may be making it too; who is second
 * uses what is there.
 */
static int make_file(const struct store *store, const struct store_options *options,
		     struct error *error)
{
	char path[PATH_MAX];
	MDB_env *env = NULL;
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s-new-%d", store->path, (int)getpid()) >=
	    sizeof(path))
		return fail(store, ENAMETOOLONG, "make it", error);
	unlink(path); /* of one who had our number and was killed in here */
	rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_open(env, path, env_flags(options) | MDB_NOLOCK, 0600);
	if (rc == 0 && options->synced)
		rc = mdb_env_sync(env, 1);
	if (env != NULL)
		mdb_env_close(env);
	if (rc == 0 && link(path, store->path) != 0 && errno != EEXIST)
		rc = errno;
	if (rc == 0 && options->synced)
		rc = sync_directory_of(store->path);
	unlink(path);
	return rc == 0 ? 0 : fail(store, rc, "make it", error);
}

static int prepare_files(const struct store *store, const struct store_options *options,
			 struct error *error)
{
	struct stat file;
	int errnum = stat(store->path, &file) == 0 ? 0 : errno;
	bool missing = errnum == ENOENT;

	if (missing && !options->create) {
		error_set(error, "%s does not exist", store->path);
		return POOL_E_NOT_FOUND;
	}
	if (missing) {
		int code = make_file(store, options, error);

		if (code < 0)
			return code;
	} else if (errnum == 0 && file.st_size == 0) {
		/* LMDB would take it for a new one, and all that it had for nothing. */
		return fail(store, MDB_INVALID, "open it", error);
	}
	return options->read_only ? 0 : reserve_lock_file(options, error);
}

/* ---- LMDB's locks ---------------------------------------------------------------------------- */

/*
 * Whoever closes the file as the last one has LMDB destroy its mutexes, since 0.9.26. A process that
 * opens the file in this moment takes them for good, and whatever it does, and everybody does who
 * joins it, is an "invalid argument". So nobody of ours is ever the last one while LMDB closes:
 * another lock stands beside LMDB's own, and whoever comes next finds the mutexes as they were, or
 * is alone and makes new ones.
 */
static void hold_lock_file(const struct store *store)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	/* Without it, others may have to open the file once more: see begin_txn(). */
	if (store->lock_fd >= 0)
		(void)fcntl(store->lock_fd, F_OFD_SETLK, &lock);
}

/* Before LMDB opens it, and closed after LMDB has: whoever closes a file loses the locks that LMDB
 * has on it. */
static void open_lock_file(struct store *store)
{
	char path[PATH_MAX];

	if (store->lock_fd < 0 &&
	    (size_t)snprintf(path, sizeof(path), "%s-lock", store->path) < sizeof(path))
		store->lock_fd =
			open(path, (store->read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
}

static void close_lock_file(struct store *store)
{
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	store->lock_fd = -1;
}

static void close_env(struct store *store)
{
	if (store->env == NULL)
		return;
	if (store->is_open)
		hold_lock_file(store);
	mdb_env_close(store->env);
	store->env = NULL;
	store->is_open = false;
	close_lock_file(store);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int open_lmdb(struct store *store)
{
	int rc;

	open_lock_file(store);
	rc = mdb_env_create(&store->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(store->env, store->map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
	if (rc == 0)
		rc = mdb_env_open(store->env, store->path, store->flags, 0600);
	store->is_open = rc == 0;
	return rc;
}

static int open_env(struct store *store, const struct store_options *options, struct error *error)
{
	int code;
	int rc;

	keep_lists_off_the_heap();
	code = prepare_files(store, options, error);
	if (code < 0)
		return code;
	store->flags = env_flags(options);
	store->map_bytes = (size_t)(options->map_bytes > 0 ? options->map_bytes : STORE_MAP_BYTES);
	rc = open_lmdb(store);
	if (rc != 0)
		return fail(store, rc, "open it", error);
	/* A reader that was killed would keep every page from being used again, until the map is full. */
	(void)mdb_reader_check(store->env, NULL);
	rc = check_length(store);
	return rc == 0 ? 0 : fail_in_turn(store, rc, "look at it", error);
}

int store_open(struct store **ret, const struct store_options *options, struct error *error)
{
	struct store *store = calloc(1, sizeof(*store));
	int code = POOL_E_NO_MEMORY;

	if (store != NULL) {
		store->lock_fd = -1;
		store->path = strdup(options->path);
	}
	if (store == NULL || store->path == NULL) {
		error_set(error, "out of memory");
		goto out;
	}
	store->pid = getpid();
	store->version = options->version;
	store->read_only = options->read_only;
	store->advice = options->advice != NULL ? options->advice : STORE_ADVICE;
	snprintf(store->kind, sizeof(store->kind), "%s", options->kind);
	code = open_env(store, options, error);
	if (code == 0) {
		*ret = store;
		store = NULL;
	}
out:
	store_close(&store);
	return code;
}

void store_close(struct store **store)
{
	if (*store == NULL)
		return;
	close_env(*store);
	store_forget(store);
}

void store_forget(struct store **store)
{
	if (*store == NULL)
		return;
	close_lock_file(*store);
	free((*store)->path);
	free(*store);
	*store = NULL;
}

pid_t store_pid(const struct store *store)
{
	return store->pid;
}

/* Those who try again do it at different times. */
static void pause_a_moment(unsigned int tries)
{
	const long us = (long)(((unsigned int)getpid() + tries) * 7919 % PAUSE_US);
	const struct timespec pause = { .tv_nsec = us * 1000 };

	nanosleep(&pause, NULL);
}

/*
 * Another process may have opened the file with a larger map; then ours follows. All places for
 * readers may be taken: killed ones keep theirs until somebody looks, and of hundreds of processes
 * that look through a full pool more than that may be at it. Each needs some milliseconds. EAGAIN is
 * a reader in another container that has our process number there, by which LMDB locks.
 */
static int begin_in_turn(struct store *store, bool write, MDB_txn **ret)
{
	int rc = mdb_txn_begin(store->env, NULL, write ? 0 : MDB_RDONLY, ret);

	for (unsigned int tries = 0; tries < CROWDED_MAX; tries++) {
		int dead;

		if (rc == MDB_MAP_RESIZED) {
			rc = mdb_env_set_mapsize(store->env, 0);
			if (rc != 0)
				return rc;
		} else if (rc != MDB_READERS_FULL && rc != EAGAIN && rc != EACCES) {
			return rc;
		} else if (mdb_reader_check(store->env, &dead) != 0 || dead == 0) {
			pause_a_moment(tries);
		}
		rc = mdb_txn_begin(store->env, NULL, write ? 0 : MDB_RDONLY, ret);
	}
	return rc;
}

static int try_to_begin(struct store *store, bool write, MDB_txn **ret)
{
	int rc = write ? take_turn(store) : 0;

	if (rc != 0)
		return rc;
	rc = begin_in_turn(store, write, ret);
	if (rc != 0 && write)
		end_turn(store);
	return rc;
}

/* The same file; LMDB would make another one where it is gone. */
static int reopen(struct store *store)
{
	struct stat file;
	int rc;

	close_env(store);
	store->have_dbi = false;
	if (stat(store->path, &file) != 0)
		return errno;
	if ((uint64_t)file.st_size < store->size)
		return MDB_CORRUPTED;
	rc = open_lmdb(store);
	if (rc == 0)
		rc = check_length(store);
	if (rc != 0)
		close_env(store);
	return rc;
}

/*
 * Others may close the file as LMDB does (mdb_stat does); see hold_lock_file(). Only the first
 * transaction can find the mutexes destroyed. When all have left who did, the next one makes new ones.
 */
static int begin_txn(struct store *store, bool write, MDB_txn **ret)
{
	int rc = store->env != NULL ? try_to_begin(store, write, ret) : EINVAL;

	for (unsigned int tries = 0; rc == EINVAL && tries < REOPENS_MAX; tries++) {
		close_env(store);
		pause_a_moment(tries);
		rc = reopen(store);
		if (rc == 0)
			rc = try_to_begin(store, write, ret);
	}
	return rc;
}

static int write_meta(struct store_txn *txn)
{
	uint8_t buf[META_SIZE_MAX];
	struct wire_writer writer;
	MDB_val key = { sizeof(META_KEY), (void *)(uintptr_t)META_KEY };
	MDB_val value = { 0, buf };

	wire_writer_init(&writer, buf, sizeof(buf));
	wire_write_string8(&writer, txn->store->kind);
	wire_write_u32(&writer, txn->store->version);
	value.mv_size = writer.at;
	return mdb_put(txn->txn, txn->store->dbi, &key, &value, 0);
}

static int check_meta(const struct store *store, const MDB_val *value, struct error *error)
{
	struct wire_reader reader;
	uint32_t version;
	char kind[32];

	wire_reader_init(&reader, value->mv_data, value->mv_size);
	wire_read_string8(&reader, kind, sizeof(kind));
	version = wire_read_u32(&reader);
	if (!wire_reader_finished(&reader) || strcmp(kind, store->kind) != 0)
		return fail(store, MDB_INVALID, "read", error);
	if (version != store->version) {
		error_set(error,
			  "%s was written by another version of rasip (format %u, this is %u): %s",
			  store->path, version, store->version, store->advice);
		return POOL_E_VERSION;
	}
	return 0;
}

/* A store says what it is in its first entry; one that has none must be empty. */
static int check_kind(struct store_txn *txn, bool write, bool *ret_fresh, struct error *error)
{
	struct store *store = txn->store;
	MDB_val key = { sizeof(META_KEY), (void *)(uintptr_t)META_KEY };
	MDB_val value;
	MDB_stat stat;
	int rc = mdb_get(txn->txn, store->dbi, &key, &value);

	if (rc == 0)
		return check_meta(store, &value, error);
	if (rc != MDB_NOTFOUND)
		return fail(store, rc, "read it", error);
	rc = mdb_stat(txn->txn, store->dbi, &stat);
	if (rc == 0 && stat.ms_entries > 0)
		rc = MDB_INVALID;
	if (rc == 0 && write)
		rc = write_meta(txn);
	if (rc != 0)
		return fail(store, rc, "write to it", error);
	if (ret_fresh != NULL)
		*ret_fresh = true;
	return 0;
}

int store_begin(struct store *store, bool write, struct store_txn **ret, bool *ret_fresh,
		struct error *error)
{
	struct store_txn *txn = calloc(1, sizeof(*txn));
	int code;
	int rc;

	if (ret_fresh != NULL)
		*ret_fresh = false;
	if (txn == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	txn->store = store;
	txn->write = write;
	rc = begin_txn(store, write, &txn->txn);
	if (rc != 0) {
		code = fail_in_turn(store, rc, "begin a transaction", error);
		goto out;
	}
	if (!store->have_dbi) {
		rc = mdb_dbi_open(txn->txn, NULL, 0, &store->dbi);
		if (rc != 0) {
			code = fail(store, rc, "open it", error);
			goto out;
		}
		store->have_dbi = true;
	}
	code = check_kind(txn, write, ret_fresh, error);
	if (code == 0) {
		*ret = txn;
		txn = NULL;
	}
out:
	store_abort(&txn);
	return code;
}

static void close_cursor(struct store_txn *txn)
{
	if (txn->cursor != NULL)
		mdb_cursor_close(txn->cursor);
	txn->cursor = NULL;
}

int store_commit(struct store_txn **txn, struct error *error)
{
	struct store *store = (*txn)->store;
	int rc;

	close_cursor(*txn);
	rc = mdb_txn_commit((*txn)->txn);
	if ((*txn)->write)
		end_turn(store);
	if (rc == 0)
		note_size(store);
	free(*txn);
	*txn = NULL;
	return rc == 0 ? 0 : fail(store, rc, "commit", error);
}

void store_abort(struct store_txn **txn)
{
	if (*txn == NULL)
		return;
	close_cursor(*txn);
	if ((*txn)->txn != NULL) {
		mdb_txn_abort((*txn)->txn);
		if ((*txn)->write)
			end_turn((*txn)->store);
	}
	free(*txn);
	*txn = NULL;
}

static int finish(struct store_txn *txn, int rc)
{
	if (rc != 0 && rc != MDB_NOTFOUND)
		txn->problem = rc;
	return code_of(rc);
}

static MDB_val val_of(struct store_bytes bytes)
{
	return (MDB_val){ bytes.size, (void *)(uintptr_t)bytes.data };
}

int store_get(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_value)
{
	MDB_val k = val_of(key);
	MDB_val v;
	int rc = mdb_get(txn->txn, txn->store->dbi, &k, &v);

	if (rc == 0)
		*ret_value = (struct store_bytes){ v.mv_data, v.mv_size };
	return finish(txn, rc);
}

int store_put(struct store_txn *txn, struct store_bytes key, struct store_bytes value)
{
	MDB_val k = val_of(key);
	MDB_val v = val_of(value);

	return finish(txn, mdb_put(txn->txn, txn->store->dbi, &k, &v, 0));
}

int store_delete(struct store_txn *txn, struct store_bytes key)
{
	MDB_val k = val_of(key);

	return finish(txn, mdb_del(txn->txn, txn->store->dbi, &k, NULL));
}

static int move_cursor(struct store_txn *txn, MDB_val key, MDB_cursor_op op,
		       struct store_bytes *ret_key, struct store_bytes *ret_value)
{
	MDB_val value;
	int rc = 0;

	if (txn->cursor == NULL)
		rc = mdb_cursor_open(txn->txn, txn->store->dbi, &txn->cursor);
	if (rc == 0)
		rc = mdb_cursor_get(txn->cursor, &key, &value, op);
	if (rc == 0) {
		*ret_key = (struct store_bytes){ key.mv_data, key.mv_size };
		*ret_value = (struct store_bytes){ value.mv_data, value.mv_size };
	}
	return finish(txn, rc);
}

int store_seek(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_key,
	       struct store_bytes *ret_value)
{
	return move_cursor(txn, val_of(key), MDB_SET_RANGE, ret_key, ret_value);
}

int store_seek_before(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_key,
		      struct store_bytes *ret_value)
{
	int code = store_seek(txn, key, ret_key, ret_value);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		return code;
	return move_cursor(txn, (MDB_val){ 0, NULL }, code == 0 ? MDB_PREV : MDB_LAST, ret_key,
			   ret_value);
}

int store_next(struct store_txn *txn, struct store_bytes *ret_key, struct store_bytes *ret_value)
{
	return move_cursor(txn, (MDB_val){ 0, NULL }, MDB_NEXT, ret_key, ret_value);
}

/* Its pages as LMDB lists them: how many, and their numbers, the largest first. */
static bool is_list_of_pages(const MDB_val *value, size_t last_page)
{
	size_t n, before = last_page + 1, page;

	if (value->mv_size < sizeof(n))
		return false;
	memcpy(&n, value->mv_data, sizeof(n));
	if (n != value->mv_size / sizeof(n) - 1 || value->mv_size % sizeof(n) != 0)
		return false;
	for (size_t i = 1; i <= n; i++) {
		memcpy(&page, (const char *)value->mv_data + i * sizeof(page), sizeof(page));
		if (page < FIRST_PAGE || page >= before)
			return false;
		before = page;
	}
	return true;
}

static int read_tree(struct store_txn *txn, MDB_dbi dbi, size_t last_page)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn->txn, dbi, &cursor);

	while (rc == 0) {
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		if (rc == 0 && dbi == FREE_DBI && !is_list_of_pages(&value, last_page))
			rc = MDB_CORRUPTED;
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_read_all(struct store_txn *txn)
{
	MDB_envinfo info;
	int rc = mdb_env_info(txn->store->env, &info);

	if (rc == 0)
		rc = read_tree(txn, FREE_DBI, info.me_last_pgno);
	if (rc == 0)
		rc = read_tree(txn, txn->store->dbi, info.me_last_pgno);
	return finish(txn, rc);
}

const char *store_txn_problem(const struct store_txn *txn)
{
	return reason_of(txn->store, txn->problem);
}
