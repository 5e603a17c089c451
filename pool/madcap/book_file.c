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
#define MAP_BYTES (UINT64_C(16) << 30)

static const char TOTAL_KEY[] = "B";

static struct file_book *file_book_of(struct book *base)
{
	return (struct file_book *)(void *)base;
}

static const struct file_book *const_file_book_of(const struct book *base)
{
	return (const struct file_book *)(const void *)base;
}

/* ---- spaces ---------------------------------------------------------------------------------- */

static struct space *find_space(struct space *const *spaces, size_t n,
				const struct madcap_address *scope)
{
	for (size_t i = 0; i < n; i++) {
		if (madcap_address_equal(&spaces[i]->scope, scope))
			return spaces[i];
	}
	return NULL;
}

struct space *file_book_space(const struct file_book *book, const struct madcap_address *scope)
{
	return find_space(book->spaces, book->n_spaces, scope);
}

static struct space *make_space(struct file_book *book, const struct madcap_address *scope)
{
	struct space *space = calloc(1, sizeof(*space));

	if (space == NULL)
		return NULL;
	space->scope = *scope;
	space->last = *scope;
	space->extra_sec = book->extra_sec;
	space->random = book->seed ^ (uint64_t)book->n_spaces << 32;
	space->runs = &book->runs;
	space->bookings = &book->bookings;
	return space;
}

struct space *file_book_make_space(struct file_book *book, const struct madcap_address *scope)
{
	struct space *space = file_book_space(book, scope);
	struct space **spaces;

	if (space != NULL)
		return space;
	spaces = realloc(book->spaces, (book->n_spaces + 1) * sizeof(struct space *));
	if (spaces == NULL)
		return NULL;
	book->spaces = spaces;
	space = make_space(book, scope);
	if (space != NULL)
		book->spaces[book->n_spaces++] = space;
	return space;
}

static void free_spaces(struct space **spaces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		space_clear(spaces[i]);
		free(spaces[i]);
	}
	free(spaces);
}

/* ---- leases in memory ------------------------------------------------------------------------ */

static void unbook(struct space *space, const struct lease *lease, uint64_t n)
{
	for (size_t i = 0; i < lease->n_spans && n > 0; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count && n > 0; j++, n--)
			space_unbook(space, lease->spans[i].first + j, &lease->times);
	}
}

static bool book_spans(struct space *space, const struct lease *lease)
{
	uint64_t n = 0;

	for (size_t i = 0; i < lease->n_spans; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count; j++, n++) {
			if (!space_book(space, lease->spans[i].first + j, &lease->times)) {
				unbook(space, lease, n);
				return false;
			}
		}
	}
	return true;
}

bool file_book_link(struct file_book *book, struct lease *lease,
		    const struct madcap_address *client, bool book_addresses)
{
	if (book_addresses && !book_spans(lease->space, lease))
		return false;
	lease_index_add(&book->index, lease, client);
	lease->space->leases[lease->state]++;
	lease->space->addresses[lease->state] += lease_addresses(lease);
	return true;
}

void file_book_unlink(struct file_book *book, struct lease *lease)
{
	unbook(lease->space, lease, UINT64_MAX);
	lease->space->leases[lease->state]--;
	lease->space->addresses[lease->state] -= lease_addresses(lease);
	lease_index_remove(&book->index, lease);
}

int file_book_reserve(struct file_book *book)
{
	if (book->n_changes + 2 > book->changes_size) {
		size_t size = 2 * book->changes_size + 64;
		struct change *changes = realloc(book->changes, size * sizeof(*changes));

		if (changes == NULL)
			return POOL_E_NO_MEMORY;
		book->changes = changes;
		book->changes_size = size;
	}
	return lease_index_reserve(&book->index) < 0 ? POOL_E_NO_MEMORY : 0;
}

/* Newest first, so that every address is free again when its former lease comes back. Memory is
 * there: it all was in use before the batch. */
static void take_back(struct file_book *book)
{
	while (book->n_changes > 0) {
		const struct change *change = &book->changes[--book->n_changes];
		struct lease *lease = change->lease;
		struct madcap_address client;

		switch (change->kind) {
		case CHANGE_ADDED:
			file_book_unlink(book, lease);
			free(lease);
			break;
		case CHANGE_REMOVED:
			file_book_link(book, lease, &change->client, true);
			break;
		case CHANGE_EDITED:
			client = lease->client->address;
			file_book_unlink(book, lease);
			lease->times = change->times;
			lease->touched_sec = change->touched_sec;
			lease->state = change->state;
			lease->sum = change->sum;
			file_book_link(book, lease, &client, true);
			break;
		}
	}
	book->total = book->on_disk;
}

static void forget_changes(struct file_book *book)
{
	for (size_t i = 0; i < book->n_changes; i++) {
		if (book->changes[i].kind == CHANGE_REMOVED)
			free(book->changes[i].lease);
	}
	book->n_changes = 0;
}

/* ---- leases on disk -------------------------------------------------------------------------- */

static struct store_options options_of(const struct file_book *book)
{
	return (struct store_options){
		.path = book->path,
		.kind = BOOK_KIND,
		.version = BOOK_VERSION,
		.map_bytes = book->map_bytes,
		.synced = !book->unsynced,
		.create = true,
	};
}

static int open_store(struct file_book *book, struct error *error)
{
	const struct store_options options = options_of(book);

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

/* The store's transaction begins with the first change: a batch that only looks costs nothing. */
static int begin_writing(struct file_book *book)
{
	int code = 0;

	if (book->spoiled != 0)
		return POOL_E_STORE;
	if (book->txn != NULL)
		return 0;
	if (book->store == NULL)
		code = open_again(book);
	if (code == 0)
		code = store_begin(book->store, true, &book->txn, NULL, &book->why);
	if (code == 0)
		return 0;
	book->spoiled = code;
	store_close(&book->store);
	return POOL_E_STORE;
}

static int write_record(struct file_book *book, struct lease *lease)
{
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

static int erase_record(struct file_book *book, const struct lease *lease)
{
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

static struct change *note(struct file_book *book, enum change_kind kind, struct lease *lease)
{
	struct change *change = &book->changes[book->n_changes++];

	memset(change, 0, sizeof(*change));
	change->kind = kind;
	change->lease = lease;
	return change;
}

int file_book_added(struct file_book *book, struct lease *lease)
{
	note(book, CHANGE_ADDED, lease);
	if (lease->state == BOOK_OFFERED)
		return 0;
	lease->serial = ++book->last_serial;
	book->total.n_records++;
	return write_record(book, lease);
}

int file_book_removed(struct file_book *book, struct lease *lease,
		      const struct madcap_address *client)
{
	note(book, CHANGE_REMOVED, lease)->client = *client;
	return lease->serial == 0 ? 0 : erase_record(book, lease);
}

int file_book_edited(struct file_book *book, struct lease *lease, const struct change *old)
{
	struct change *change = note(book, CHANGE_EDITED, lease);

	change->times = old->times;
	change->touched_sec = old->touched_sec;
	change->state = old->state;
	change->sum = lease->sum;
	return lease->serial == 0 ? 0 : write_record(book, lease);
}

/* ---- reading the file ------------------------------------------------------------------------ */

static int load_lease(struct file_book *book, uint64_t serial, struct store_bytes record,
		      struct error *error)
{
	struct madcap_address scope, client;
	struct lease *lease = NULL;
	int code = book_record_read(record, &lease, &scope, &client);

	if (code == 0 && lease_index_find(&book->index, lease_id(lease)) != NULL)
		code = POOL_E_DAMAGED;
	if (code == 0) {
		lease->serial = serial;
		lease->sum = book_record_sum(serial, record);
		book->total.n_records++;
		book->total.sum += lease->sum;
		lease->space = file_book_make_space(book, &scope);
		/* Its addresses are booked when the spaces are known. */
		if (lease->space == NULL || lease_index_reserve(&book->index) < 0 ||
		    !file_book_link(book, lease, &client, false))
			code = POOL_E_NO_MEMORY;
	}
	if (code == 0)
		return 0;
	free(lease);
	if (code == POOL_E_DAMAGED)
		error_set(error, "%s is damaged: lease record %llu cannot be read", book->path,
			  (unsigned long long)serial);
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
		book->last_serial = serial;
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
	error_set(error, "%s is damaged: its leases are not those that were written", book->path);
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
		error_set(error, "%s is damaged: what it should hold cannot be read", book->path);
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

	if (book->in_batch) {
		error_set(error, "a batch is open already");
		return POOL_E_INVALID;
	}
	book->in_batch = true;
	book->spoiled = 0;
	return 0;
}

static void file_book_abort(struct book *base)
{
	struct file_book *book = file_book_of(base);

	store_abort(&book->txn);
	take_back(book);
	book->in_batch = false;
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
	forget_changes(book);
	book->in_batch = false;
	return 0;
}

/* ---- looking --------------------------------------------------------------------------------- */

static struct book_range file_book_range(const struct book_lease *shown, size_t index)
{
	const struct lease *lease = shown->place;
	struct book_range range = { .count = lease->spans[index].count };

	/* Inside its scope since it was granted. */
	if (!madcap_address_add(&lease->space->scope, lease->spans[index].first, &range.first))
		range.first = lease->space->scope;
	return range;
}

void file_book_show(const struct file_book *book, const struct lease *lease, struct book_lease *ret)
{
	*ret = (struct book_lease){
		.id = lease_id(lease),
		.state = (enum book_state)lease->state,
		.flags = lease->flags,
		.scope = lease->space->scope,
		.client = lease->client->address,
		.start_sec = lease->times.start_sec,
		.end_sec = lease->times.end_sec,
		.touched_sec = lease->touched_sec,
		.wanted_min = lease->wanted_min,
		.wanted = lease->wanted,
		.wanted_lease = lease->wanted_lease,
		.n_addresses = lease_addresses(lease),
		.n_ranges = lease->n_spans,
		.place = lease,
		.engine = book->base.engine,
	};
}

static int file_book_find(const struct book *base, struct madcap_bytes id, struct book_lease *ret)
{
	const struct file_book *book = const_file_book_of(base);
	const struct lease *lease = lease_index_find(&book->index, id);

	if (lease == NULL)
		return POOL_E_NOT_FOUND;
	file_book_show(book, lease, ret);
	return 0;
}

static int file_book_find_address(const struct book *base, const struct madcap_address *address,
				  uint32_t at_sec, struct book_lease *ret)
{
	const struct file_book *book = const_file_book_of(base);
	const struct booking *booking;
	uint64_t offset;

	for (size_t i = 0; i < book->n_spaces; i++) {
		if (!madcap_address_distance(&book->spaces[i]->scope, address, &offset))
			continue;
		booking = space_bookings(book->spaces[i], offset);
		for (; booking != NULL; booking = booking->next) {
			if (booking->by->start_sec > at_sec || booking->by->end_sec <= at_sec)
				continue;
			file_book_show(book, (const struct lease *)(const void *)booking->by, ret);
			return 0;
		}
	}
	return POOL_E_NOT_FOUND;
}

static int file_book_next(const struct book *base, uint64_t *at, struct book_lease *ret)
{
	const struct file_book *book = const_file_book_of(base);

	if (*at >= book->index.n_leases)
		return POOL_E_NOT_FOUND;
	file_book_show(book, book->index.heap[(*at)++], ret);
	return 0;
}

static uint64_t file_book_client_addresses(const struct book *base,
					   const struct madcap_address *client)
{
	const struct client *found = lease_index_client(&const_file_book_of(base)->index, client);

	return found == NULL ? 0 : found->n_addresses;
}

static void add_stats(const struct space *space, struct book_stats *stats)
{
	for (int i = BOOK_OFFERED; i <= BOOK_DENIED; i++) {
		stats->leases[i] += space->leases[i];
		stats->addresses[i] += space->addresses[i];
	}
	stats->size =
		space->size > UINT64_MAX - stats->size ? UINT64_MAX : stats->size + space->size;
	stats->free =
		space->free > UINT64_MAX - stats->free ? UINT64_MAX : stats->free + space->free;
}

static bool file_book_stats(const struct book *base, const struct madcap_address *scope,
			    struct book_stats *ret)
{
	const struct file_book *book = const_file_book_of(base);
	struct book_stats stats = { .size = 0 };
	bool found = scope == NULL;

	for (size_t i = 0; i < book->n_spaces; i++) {
		const struct space *space = book->spaces[i];

		if (scope != NULL && !madcap_address_equal(scope, &space->scope))
			continue;
		add_stats(space, &stats);
		found = true;
	}
	if (found)
		*ret = stats;
	return found;
}

/* ---- small changes --------------------------------------------------------------------------- */

static int remove_lease(struct file_book *book, struct lease *lease)
{
	struct madcap_address client = lease->client->address;
	int code = file_book_reserve(book);

	if (code < 0)
		return code;
	file_book_unlink(book, lease);
	return file_book_removed(book, lease, &client);
}

static int file_book_release(struct book *base, struct madcap_bytes id)
{
	struct file_book *book = file_book_of(base);
	struct lease *lease = lease_index_find(&book->index, id);

	return lease == NULL ? POOL_E_NOT_FOUND : remove_lease(book, lease);
}

static int file_book_sweep(struct book *base, uint32_t now_sec, size_t max, size_t *ret_n)
{
	struct file_book *book = file_book_of(base);
	size_t n = 0;

	while (n < max && book->index.n_leases > 0) {
		struct lease *lease = book->index.heap[0];
		int code;

		if (lease->state == BOOK_OFFERED ||
		    (uint64_t)lease->times.end_sec + book->extra_sec > now_sec)
			break;
		code = remove_lease(book, lease);
		if (code < 0)
			return code;
		n++;
	}
	*ret_n = n;
	return 0;
}

static int file_book_put_pending(struct book *base, const struct book_wish *wish, uint32_t end_sec,
				 struct book_lease *ret)
{
	struct file_book *book = file_book_of(base);
	struct space *space = file_book_space(book, &wish->scope);
	struct lease *old = lease_index_find(&book->index, wish->id);
	struct lease *lease;
	int code = 0;

	if (space == NULL || end_sec <= wish->now_sec || wish->id.size == 0 ||
	    wish->id.size > BOOK_ID_MAX)
		return POOL_E_INVALID;
	lease = lease_new(wish->id, 0);
	if (lease == NULL)
		return POOL_E_NO_MEMORY;
	if (old != NULL)
		code = remove_lease(book, old);
	if (code == 0)
		code = file_book_reserve(book);
	if (code < 0) {
		free(lease);
		return code;
	}
	lease->space = space;
	lease->state = BOOK_PENDING;
	lease->flags = wish->flags;
	lease->times = (struct booker){ wish->now_sec, end_sec };
	lease->touched_sec = wish->now_sec;
	lease->wanted_min = wish->count_min;
	lease->wanted = wish->count;
	lease->wanted_lease = wish->lease_sec;
	file_book_link(book, lease, &wish->client, false);
	code = file_book_added(book, lease);
	file_book_show(book, lease, ret);
	return code;
}

static int file_book_decide(struct book *base, struct madcap_bytes id, enum book_state decision)
{
	struct file_book *book = file_book_of(base);
	struct lease *lease = lease_index_find(&book->index, id);
	struct change old;
	int code;

	if (decision != BOOK_APPROVED && decision != BOOK_DENIED)
		return POOL_E_INVALID;
	if (lease == NULL || lease->state != BOOK_PENDING)
		return POOL_E_NOT_FOUND;
	code = file_book_reserve(book);
	if (code < 0)
		return code;
	old = (struct change){ .times = lease->times,
			       .touched_sec = lease->touched_sec,
			       .state = lease->state };
	lease->space->leases[lease->state]--;
	lease->state = (uint8_t)decision;
	lease->space->leases[lease->state]++;
	return file_book_edited(book, lease, &old);
}

/* ---- spaces as configured -------------------------------------------------------------------- */

static bool fill_space(struct space *space, const struct book_space *from)
{
	for (size_t i = 0; i < from->n_allocate; i++) {
		uint64_t first, last;

		/* What lies 2^64 addresses or more behind the first one is out of reach. */
		if (!madcap_address_distance(&space->scope, &from->allocate[i].first, &first))
			continue;
		if (!madcap_address_distance(&space->scope, &from->allocate[i].last, &last) ||
		    last == UINT64_MAX)
			last = UINT64_MAX - 1;
		if (!space_add(space, first, last))
			return false;
	}
	return true;
}

static bool spaces_are_valid(const struct book_space *spaces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!madcap_address_within(&spaces[i].last, &spaces[i].scope, &spaces[i].last))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (madcap_address_within(&spaces[i].scope, &spaces[j].scope,
						  &spaces[j].last) ||
			    madcap_address_within(&spaces[j].scope, &spaces[i].scope,
						  &spaces[i].last))
				return false;
		}
	}
	return true;
}

static bool ranges_meet(const struct madcap_address *first, const struct madcap_address *last,
			const struct book_space *space)
{
	return madcap_address_within(first, &space->scope, &space->last) ||
	       madcap_address_within(&space->scope, first, last);
}

/*
 * An address is kept out of other leases by the space of its lease's own scope alone. In a scope that
 * has been cut out of that one, or laid over it, it would be given a second time.
 */
static bool is_in_another_space(const struct lease *lease, const struct book_space *spaces,
				size_t n)
{
	const struct madcap_address *scope = &lease->space->scope;

	for (size_t i = 0; i < lease->n_spans; i++) {
		const struct span *span = &lease->spans[i];
		struct madcap_address first, last;

		if (!madcap_address_add(scope, span->first, &first) ||
		    !madcap_address_add(&first, span->count - 1, &last))
			continue;
		for (size_t j = 0; j < n; j++) {
			if (!madcap_address_equal(&spaces[j].scope, scope) &&
			    ranges_meet(&first, &last, &spaces[j]))
				return true;
		}
	}
	return false;
}

/* A number that a stranger cannot know, below the size. */
static uint64_t first_cursor(struct file_book *book, const struct space *space, size_t i)
{
	uint64_t value = (book->seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	value ^= value >> 29;
	return space->size > 0 ? value % space->size : 0;
}

/* The new spaces and, behind them, those of former scopes that still have leases. */
static struct space **build_spaces(struct file_book *book, const struct book_space *spaces,
				   size_t n, size_t *ret_n)
{
	struct space **built = calloc(n + book->n_spaces + 1, sizeof(struct space *));
	size_t m = 0;

	for (size_t i = 0; built != NULL && i < n; i++) {
		built[m] = make_space(book, &spaces[i].scope);
		if (built[m] == NULL)
			goto fail;
		m++;
		built[i]->last = spaces[i].last;
		built[i]->is_configured = true;
		if (!fill_space(built[i], &spaces[i]))
			goto fail;
		built[i]->cursor = first_cursor(book, built[i], i);
	}
	for (size_t i = 0; built != NULL && i < book->n_spaces; i++) {
		if (find_space(built, m, &book->spaces[i]->scope) != NULL)
			continue;
		built[m] = make_space(book, &book->spaces[i]->scope);
		if (built[m] == NULL)
			goto fail;
		m++;
	}
	*ret_n = m;
	return built;
fail:
	free_spaces(built, m);
	return NULL;
}

static int file_book_set_spaces(struct book *base, const struct book_space *spaces, size_t n,
				uint32_t extra_sec)
{
	struct file_book *book = file_book_of(base);
	const struct lease_index *index = &book->index;
	struct space **built;
	size_t m = 0;

	if (book->in_batch || !spaces_are_valid(spaces, n))
		return POOL_E_INVALID;
	for (size_t i = 0; i < index->n_leases; i++) {
		if (is_in_another_space(index->heap[i], spaces, n))
			return POOL_E_REFUSED;
	}
	built = build_spaces(book, spaces, n, &m);
	if (built == NULL)
		return POOL_E_NO_MEMORY;
	for (size_t i = 0; i < index->n_leases; i++) {
		const struct lease *lease = index->heap[i];

		if (!book_spans(find_space(built, m, &lease->space->scope), lease)) {
			free_spaces(built, m);
			return POOL_E_NO_MEMORY;
		}
	}
	for (size_t i = 0; i < index->n_leases; i++) {
		struct lease *lease = index->heap[i];

		lease->space = find_space(built, m, &lease->space->scope);
		lease->space->leases[lease->state]++;
		lease->space->addresses[lease->state] += lease_addresses(lease);
	}
	free_spaces(book->spaces, book->n_spaces);
	book->spaces = built;
	book->n_spaces = m;
	book->extra_sec = extra_sec;
	for (size_t i = 0; i < m; i++)
		book->spaces[i]->extra_sec = extra_sec;
	return 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void file_book_close(struct book *base)
{
	struct file_book *book = file_book_of(base);

	store_abort(&book->txn);
	take_back(book);
	store_close(&book->store);
	for (size_t i = 0; i < book->index.n_leases; i++)
		free(book->index.heap[i]);
	free_spaces(book->spaces, book->n_spaces);
	lease_index_done(&book->index);
	slab_done(&book->runs);
	slab_done(&book->bookings);
	free(book->changes);
	free(book->path);
	if (book->directory >= 0)
		close(book->directory);
	free(book);
}

static const struct book_engine file_engine = {
	.is_shared = false,
	.close = file_book_close,
	.set_spaces = file_book_set_spaces,
	.begin = file_book_begin,
	.commit = file_book_commit,
	.abort = file_book_abort,
	.find = file_book_find,
	.find_address = file_book_find_address,
	.grant = file_book_grant,
	.put_pending = file_book_put_pending,
	.decide = file_book_decide,
	.renew = file_book_renew,
	.release = file_book_release,
	.sweep = file_book_sweep,
	.client_addresses = file_book_client_addresses,
	.next = file_book_next,
	.stats = file_book_stats,
	.range = file_book_range,
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
	const struct store_options options = options_of(book);
	int code = book->trusted ? 0 : book_file_check(&options, error);

	if (code == 0)
		code = open_store(book, error);
	if (code == 0)
		code = load(book, true, &book->on_disk, error);
	if (code < 0)
		return code;
	book->total = book->on_disk;
	/* What has been read is in memory, and need not be there a second time as the file's pages. */
	store_close(&book->store);
	return open_store(book, error);
}

int book_open(const struct book_options *options, struct book **ret, struct error *error)
{
	struct file_book *book = calloc(1, sizeof(*book));
	int code = POOL_E_NO_MEMORY;

	error_set(error, "out of memory");
	if (book == NULL)
		return code;
	book->base.engine = &file_engine;
	book->directory = -1;
	book->map_bytes = options->map_bytes > 0 ? options->map_bytes : MAP_BYTES;
	book->unsynced = options->unsynced;
	book->trusted = options->trusted;
	book->seed = options->seed;
	book->extra_sec = options->extra_sec;
	book->runs.size = sizeof(struct run);
	book->bookings.size = sizeof(struct booking);
	if (asprintf(&book->path, "%s/" BOOK_FILE, options->state_dir) < 0)
		book->path = NULL;
	if (book->path != NULL && lease_index_init(&book->index, options->seed) == 0)
		code = lock_directory(book, options->state_dir, error);
	if (code == 0)
		code = read_book(book, error);
	if (code < 0) {
		file_book_close(&book->base);
		return code;
	}
	*ret = &book->base;
	return 0;
}
