/* SPDX-License-Identifier: MIT */
#include "history.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "directory.h"
#include "memory.h"

/* How many events behind the limit go at once; nothing else makes the history shorter. */
#define TRIM_MAX 8192

int history_look(struct op *op, struct history_batch *ret)
{
	const struct key begin = key_news(0);
	struct entries entries = entries_from(op->txn, &begin, 1);

	ret->first = ret->end = 0;
	ret->n = 0;
	while (ret->n < HISTORY_BATCH_MAX && entries_next(&entries)) {
		const struct store_bytes value = entries.value;

		if (value.size > sizeof(ret->events[0].data))
			return op_fail(op, POOL_E_DAMAGED);
		if (ret->n == 0)
			ret->first = key_number(entries.key);
		ret->end = key_number(entries.key) + 1;
		ret->events[ret->n].size = value.size;
		memcpy(ret->events[ret->n].data, value.data, value.size);
		ret->n++;
	}
	return entries.code < 0 ? op_fail(op, entries.code) : 0;
}

/* The number behind the last event's, and the first one's. */
static int find_ends(struct store_txn *memory, uint64_t *ret_first, uint64_t *ret_end)
{
	const struct key begin = key_history(0);
	const struct key end = key_history(UINT64_MAX);
	struct store_bytes found;
	struct store_bytes value;
	int code = store_seek(memory, key_bytes(&begin), &found, &value);

	*ret_first = 0;
	*ret_end = 0;
	if (code == POOL_E_NOT_FOUND || (code == 0 && !key_has_prefix(found, &begin, 1)))
		return 0;
	if (code == 0) {
		*ret_first = key_number(found);
		code = store_seek_before(memory, key_bytes(&end), &found, &value);
	}
	if (code == 0)
		*ret_end = key_number(found) + 1;
	return code;
}

static int trim(struct store_txn *memory, uint64_t first, uint64_t end)
{
	int code = 0;

	for (int i = 0; i < TRIM_MAX && end - first > POOL_HISTORY_MAX && code == 0; i++) {
		const struct key key = key_history(first++);

		code = record_delete(memory, &key);
	}
	return code;
}

int history_take(const struct history_batch *batch, struct store_txn *memory)
{
	uint64_t first;
	uint64_t end;
	int code = find_ends(memory, &first, &end);

	for (size_t i = 0; i < batch->n && code == 0; i++) {
		const struct key key = key_history(end++);

		code = store_put(
			memory, key_bytes(&key),
			(struct store_bytes){ batch->events[i].data, batch->events[i].size });
	}
	return code == 0 ? trim(memory, first, end) : code;
}

int history_settle(struct op *op, const struct history_batch *batch)
{
	for (uint64_t number = batch->first; number < batch->end; number++) {
		const struct key key = key_news(number);
		int code = record_delete(op->txn, &key);

		if (code < 0)
			return op_fail(op, code);
	}
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
	uint64_t newest; /* how many are wanted at least */
	int (*each)(void *context, const struct pool_past *past);
	void *context;
};

static int read_one(const struct reader *reader, struct store_bytes value)
{
	struct history_record record;
	int code = record_decode_history(value, &record);

	if (code < 0)
		return code;
	return reader->each(reader->context, &(struct pool_past){
						     .kind = record.kind,
						     .time_sec = record.time_sec,
						     .granted_sec = record.granted_sec,
						     .addr_be = htonl(record.addr),
						     .how = record.how,
						     .pid = record.pid,
						     .pool = record.pool,
						     .user = record.user,
						     .port = record.port,
						     .module = record.module,
						     .text = record.text,
					     });
}

/* The events of a store, whose keys key_of makes of their numbers. */
static int read_all(struct store_txn *txn, struct key (*key_of)(uint64_t number),
		    const struct reader *reader)
{
	const struct key end = key_of(UINT64_MAX);
	struct key begin = key_of(0);
	struct entries entries = entries_from(txn, &begin, 1);
	struct store_bytes found;
	struct store_bytes value;
	int code = store_seek_before(txn, key_bytes(&end), &found, &value);

	if (code == 0 && key_has_prefix(found, &begin, 1) && key_number(found) >= reader->newest)
		begin = key_of(key_number(found) - reader->newest + 1);
	if (code == POOL_E_NOT_FOUND)
		code = 0;
	while (code == 0 && entries_next(&entries))
		code = read_one(reader, entries.value);
	return code != 0 ? code : entries.code;
}

/* What is in the memory store; POOL_E_NOT_FOUND if there is none. */
static int read_memory(const struct pool *pool, const struct reader *reader, struct error *why)
{
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	int code = memory_open(pool, false, &store, why);

	if (code == 0)
		code = store_begin(store, false, &txn, NULL, why);
	if (code == 0) {
		code = read_all(txn, key_history, reader);
		if (code == POOL_E_DAMAGED || code == POOL_E_STORE)
			error_set(why, "the history in %s cannot be read: %s",
				  pool->config->state_dir, pool_strerror(code));
	}
	store_abort(&txn);
	store_close(&store);
	return code;
}

static int read_news(struct pool *pool, const struct reader *reader, struct error *why)
{
	struct op op;
	int code = op_begin(&op, pool, false, why);

	if (code < 0)
		return code;
	code = read_all(op.txn, key_news, reader);
	if (code == POOL_E_DAMAGED || code == POOL_E_STORE)
		op_fail(&op, code);
	op_done(&op);
	return code;
}

static int read_both(struct pool *pool, const struct reader *reader, struct error *why)
{
	int lock_fd = -1;
	int code = directory_open(pool->config->state_dir, false, &lock_fd, why);
	int news;

	/* Nobody may move events from the one store to the other in the meantime. */
	if (code == 0)
		while (flock(lock_fd, LOCK_SH) != 0 && errno == EINTR)
			;
	if (code == 0)
		code = read_memory(pool, reader, why);
	if (code == 0 || code == POOL_E_NOT_FOUND) {
		news = read_news(pool, reader, why);
		if (news != POOL_E_NOT_FOUND)
			code = news;
	}
	if (lock_fd >= 0)
		close(lock_fd);
	return code;
}

int pool_history(struct pool *pool, int (*each)(void *context, const struct pool_past *past),
		 void *context, struct error *why)
{
	const struct reader reader = { UINT64_MAX, each, context };

	return read_both(pool, &reader, why);
}

int pool_history_newest(struct pool *pool, size_t n,
			int (*each)(void *context, const struct pool_past *past), void *context,
			struct error *why)
{
	const struct reader reader = { n, each, context };

	return read_both(pool, &reader, why);
}
