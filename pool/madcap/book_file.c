/* SPDX-License-Identifier: MIT */
#include "book_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "address.h"
#include "directory.h"
#include "wire.h"

#define BOOK_KIND "madcap lease book"
#define BOOK_VERSION 2
#define BOOK_FILE "madcap-book.mdb"

static const char TOTAL_KEY[] = "B";

static struct file_book *file_book_of(struct book *base)
{
	return (struct file_book *)(void *)base;
}

/* ---- leases on disk -------------------------------------------------------------------------- */

static struct store_options options_of(const struct file_book *book, bool create)
{
	return (struct store_options){
		.path = book->path,
		.kind = BOOK_KIND,
		.version = BOOK_VERSION,
		.map_bytes = book->map_bytes,
		.synced = !book->unsynced,
		.create = create,
		.advice = BOOK_FILE_ADVICE,
	};
}

/* A book that has gone is made anew by nobody but who is started: it would be an empty one. */
static int open_store(struct file_book *book, struct error *error)
{
	const struct store_options options = options_of(book, false);

	return store_open(&book->store, &options, error);
}

static int load(struct file_book *book, bool leases, struct book_total *ret, struct error *error);

static int spoil(struct file_book *book, int code, const char *what)
{
	error_set(&book->why, "%s: cannot %s: %s", book->path, what, store_txn_problem(book->txn));
	book->spoiled = code;
	return POOL_E_STORE;
}

/* After a failure. What the file has now must be what we have in memory. */
static int open_again(struct file_book *book)
{
	struct book_total total;
	int code = open_store(book, &book->why);

	if (code == 0)
		code = load(book, false, &total, &book->why);
	if (code == 0 && total.batch != book->on_disk.batch) {
		error_set(&book->why,
			  "%s has a batch of which the disk had said that it failed: "
			  "the server has to be started again",
			  book->path);
		code = POOL_E_DAMAGED;
	}
	return code;
}

/* What is written to a file that has lost its name is lost with us. It may be put back, and is kept. */
static int have_store(struct file_book *book)
{
	int code;

	if (book->store != NULL)
		return store_check_file(book->store, &book->why);
	code = open_again(book);
	if (code < 0)
		store_close(&book->store);
	return code;
}

/* The store's transaction begins with the first change: a batch that only looks costs nothing. */
static int begin_writing(struct file_book *book)
{
	int code;

	if (book->spoiled != 0)
		return POOL_E_STORE;
	if (book->txn != NULL)
		return 0;
	code = have_store(book);
	if (code == 0) {
		code = store_begin(book->store, true, &book->txn, NULL, &book->why);
		if (code == 0)
			return 0;
		store_close(&book->store);
	}
	book->spoiled = code;
	return POOL_E_STORE;
}

static int write_record(struct memory_book *memory, struct lease *lease)
{
	struct file_book *book = file_book_of(&memory->base);
	uint8_t key[BOOK_KEY_SIZE];
	uint8_t record[BOOK_RECORD_MAX];
	struct store_bytes value = { record, 0 };
	int code = begin_writing(book);

	if (code < 0)
		return code;
	book_record_key(lease->serial, key);
	value.size = book_record_write(lease, record);
	code = store_put(book->txn, (struct store_bytes){ key, sizeof(key) }, value);
	if (code < 0)
		return spoil(book, code, "write a lease");
	book->total.sum -= lease->sum;
	lease->sum = book_record_sum(lease->serial, value);
	book->total.sum += lease->sum;
	return 0;
}

static int erase_record(struct memory_book *memory, const struct lease *lease)
{
	struct file_book *book = file_book_of(&memory->base);
	uint8_t key[BOOK_KEY_SIZE];
	int code = begin_writing(book);

	if (code < 0)
		return code;
	book_record_key(lease->serial, key);
	code = store_delete(book->txn, (struct store_bytes){ key, sizeof(key) });
	if (code < 0)
		return spoil(book, code, "remove a lease");
	book->total.n_records--;
	book->total.sum -= lease->sum;
	return 0;
}

static int add_record(struct memory_book *memory, struct lease *lease)
{
	file_book_of(&memory->base)->total.n_records++;
	return write_record(memory, lease);
}

/* ---- reading the file ------------------------------------------------------------------------ */

static int load_lease(struct file_book *book, uint64_t serial, struct store_bytes record,
		      struct error *error)
{
	struct madcap_address scope, client;
	struct lease *lease = NULL;
	int code = book_record_read(record, &lease, &scope, &client);

	if (code == 0 && lease_index_find(&book->memory.index, lease_id(lease)) != NULL)
		code = POOL_E_DAMAGED;
	if (code == 0) {
		lease->serial = serial;
		lease->sum = book_record_sum(serial, record);
		book->total.n_records++;
		book->total.sum += lease->sum;
		lease->space = memory_book_make_space(&book->memory, &scope);
		/* Its addresses are booked when the spaces are known. */
		if (lease->space == NULL || lease_index_reserve(&book->memory.index) < 0 ||
		    !memory_book_link(&book->memory, lease, &client, false))
			code = POOL_E_NO_MEMORY;
	}
	if (code == 0)
		return 0;
	free(lease);
	if (code == POOL_E_DAMAGED)
		error_set(error,
			  "%s is damaged: lease record %llu cannot be read: " BOOK_FILE_ADVICE,
			  book->path, (unsigned long long)serial);
	else
		error_set(error, "out of memory");
	return code;
}

static int load_leases(struct file_book *book, struct store_txn *txn, struct error *error)
{
	uint8_t first[BOOK_KEY_SIZE];
	struct store_bytes key, value;
	uint64_t serial;
	int code;

	book_record_key(0, first);
	code = store_seek(txn, (struct store_bytes){ first, sizeof(first) }, &key, &value);
	while (code == 0 && book_record_serial(key, &serial)) {
		code = load_lease(book, serial, value, error);
		if (code < 0)
			return code;
		book->memory.last_serial = serial;
		code = store_next(txn, &key, &value);
	}
	if (code == 0 || code == POOL_E_NOT_FOUND)
		return 0;
	error_set(error, "%s: cannot read it: %s", book->path, store_txn_problem(txn));
	return code;
}

static int read_total(struct store_txn *txn, struct book_total *ret)
{
	struct store_bytes value;
	int code = store_get(txn, (struct store_bytes){ TOTAL_KEY, 1 }, &value);

	*ret = (struct book_total){ .batch = 0 };
	if (code == POOL_E_NOT_FOUND)
		return 0;
	if (code < 0)
		return code;
	return book_total_read(value, ret) ? 0 : POOL_E_DAMAGED;
}

/* What has been read is all that was written. */
static int check_total(const struct file_book *book, const struct book_total *total,
		       struct error *error)
{
	if (book->total.n_records == total->n_records && book->total.sum == total->sum)
		return 0;
	error_set(error,
		  "%s is damaged: its leases are not those that were written: " BOOK_FILE_ADVICE,
		  book->path);
	return POOL_E_DAMAGED;
}

/* Reads everything; with `leases` false, only which batch was the last. */
static int load(struct file_book *book, bool leases, struct book_total *ret, struct error *error)
{
	struct store_txn *txn = NULL;
	int code = store_begin(book->store, false, &txn, NULL, error);

	if (code < 0)
		return code;
	code = read_total(txn, ret);
	if (code < 0)
		error_set(error,
			  "%s is damaged: what it should hold cannot be read: " BOOK_FILE_ADVICE,
			  book->path);
	if (code == 0 && leases)
		code = load_leases(book, txn, error);
	if (code == 0 && leases)
		code = check_total(book, ret, error);
	store_abort(&txn);
	return code;
}

/* ---- batches --------------------------------------------------------------------------------- */

static int file_book_begin(struct book *base, struct error *error)
{
	struct file_book *book = file_book_of(base);

	if (book->memory.in_batch) {
		error_set(error, "a batch is open already");
		return POOL_E_INVALID;
	}
	book->memory.in_batch = true;
	book->spoiled = 0;
	return 0;
}

static void file_book_abort(struct book *base)
{
	struct file_book *book = file_book_of(base);

	store_abort(&book->txn);
	memory_book_take_back(&book->memory);
	book->total = book->on_disk;
	book->memory.in_batch = false;
	book->spoiled = 0;
}

/*
 * A commit failed, and whether it reached the disk is unknown. The file says: its batch number is
 * the old one or the new one. Until it can be read again, nothing is written.
 */
static bool was_committed(struct file_book *book)
{
	struct book_total total;

	store_close(&book->store);
	if (open_store(book, NULL) < 0)
		return false;
	if (load(book, false, &total, NULL) < 0) {
		store_close(&book->store);
		return false;
	}
	return total.batch == book->on_disk.batch + 1;
}

static int write_total(struct file_book *book)
{
	struct book_total total = book->total;
	uint8_t record[BOOK_TOTAL_SIZE];
	int code;

	total.batch++;
	book_total_write(&total, record);
	code = store_put(book->txn, (struct store_bytes){ TOTAL_KEY, 1 },
			 (struct store_bytes){ record, sizeof(record) });
	return code < 0 ? spoil(book, code, "write its total") : 0;
}

static int file_book_commit(struct book *base, struct error *error)
{
	struct file_book *book = file_book_of(base);
	int code = book->spoiled;

	if (code == 0 && book->txn != NULL && write_total(book) == 0) {
		code = store_commit(&book->txn, &book->why);
		if (code < 0 && was_committed(book))
			code = 0;
		if (code == 0) {
			book->total.batch++;
			book->on_disk = book->total;
		}
	} else if (code == 0) {
		code = book->spoiled;
	}
	if (code < 0) {
		if (error != NULL)
			*error = book->why;
		file_book_abort(base);
		return code;
	}
	memory_book_forget_changes(&book->memory);
	book->memory.in_batch = false;
	return 0;
}

/*
 * What was granted by a clock that was ahead, and has been set back since, would seem to begin some time
 * in the future, and its addresses to be free until then. So time is never before the newest grant, and
 * goes on from there: leases last for as long as was promised.
 */
static int64_t file_book_now(struct book *base, int64_t mono_ms, int64_t unix_sec)
{
	struct file_book *book = file_book_of(base);
	int64_t least_sec = book->newest_sec + (mono_ms - book->newest_ms) / 1000;

	/* A grant at this very time is no news: its part of a second would be lost each time. */
	if (book->memory.newest_sec > least_sec) {
		book->newest_sec = book->memory.newest_sec;
		book->newest_ms = mono_ms;
		least_sec = book->newest_sec;
	}
	return unix_sec > least_sec ? unix_sec : least_sec;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void file_book_close(struct book *base)
{
	struct file_book *book = file_book_of(base);

	store_abort(&book->txn);
	memory_book_done(&book->memory);
	store_close(&book->store);
	free(book->path);
	if (book->directory >= 0)
		close(book->directory);
	free(book);
}

static const struct book_engine file_engine = {
	.is_shared = false,
	.close = file_book_close,
	.begin = file_book_begin,
	.commit = file_book_commit,
	.abort = file_book_abort,
	.now = file_book_now,
};

/* The directory's lock tells a second server off: its indexes would know nothing of ours. */
static int lock_directory(struct file_book *book, const char *path, struct error *error)
{
	int code = directory_open(path, true, &book->directory, error);

	if (code < 0)
		return code;
	if (flock(book->directory, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		error_set(error, "%s: another process has the lease book", path);
		return POOL_E_REFUSED;
	}
	error_set_errno(error, errno, "%s: cannot lock it", path);
	return POOL_E_SYSTEM;
}

/* Opens the file and reads it. */
static int read_book(struct file_book *book, struct error *error)
{
	const struct store_options options = options_of(book, true);
	int code = book->trusted ? 0 : store_check_pages(&options, error);

	if (code == 0)
		code = store_open(&book->store, &options, error);
	if (code == 0)
		code = load(book, true, &book->on_disk, error);
	if (code < 0)
		return code;
	book->total = book->on_disk;
	/* What has been read is in memory, and need not be there a second time as the file's pages. */
	store_close(&book->store);
	return open_store(book, error);
}

int file_book_open(const struct book_options *options, struct book **ret, struct error *error)
{
	struct file_book *book = calloc(1, sizeof(*book));
	int code;

	error_set(error, "out of memory");
	if (book == NULL)
		return POOL_E_NO_MEMORY;
	book->memory.base.engine = &file_engine;
	book->memory.add = add_record;
	book->memory.write = write_record;
	book->memory.erase = erase_record;
	book->directory = -1;
	book->map_bytes = options->map_bytes;
	book->unsynced = options->unsynced;
	book->trusted = options->trusted;
	code = memory_book_init(&book->memory, options);
	if (asprintf(&book->path, "%s/" BOOK_FILE, options->state_dir) < 0) {
		book->path = NULL;
		code = POOL_E_NO_MEMORY;
	}
	if (code == 0)
		code = lock_directory(book, options->state_dir, error);
	if (code == 0)
		code = read_book(book, error);
	if (code < 0) {
		file_book_close(&book->memory.base);
		return code;
	}
	*ret = &book->memory.base;
	return 0;
}
