/* SPDX-License-Identifier: MIT */
/*
 * store.h without LMDB and files, for fuzz targets: a hundred times as fast, and stricter. Every key
 * and value is a block of its own that is gone with the transaction or the next change, so that
 * whoever keeps one for longer than store.h allows is found out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store.h"
#include "store_in_memory.h"

#define FILES_MAX 4

struct entry {
	struct store_bytes key;
	struct store_bytes value;
};

struct content {
	struct entry *entries; /* by key */
	size_t n;
};

struct file {
	char path[256];
	struct content content;
};

struct store {
	struct file *file;
};

struct store_txn {
	struct store *store;
	struct content content; /* a copy */
	size_t at;              /* of the cursor */
};

static struct file files[FILES_MAX];

static void *must_have(void *block)
{
	if (block == NULL)
		abort();
	return block;
}

static struct store_bytes copy(struct store_bytes bytes)
{
	uint8_t *block = must_have(malloc(bytes.size > 0 ? bytes.size : 1));

	if (bytes.size > 0)
		memcpy(block, bytes.data, bytes.size);
	return (struct store_bytes){ block, bytes.size };
}

static void drop(struct entry *entry)
{
	free((void *)(uintptr_t)entry->key.data);
	free((void *)(uintptr_t)entry->value.data);
}

static void content_done(struct content *content)
{
	for (size_t i = 0; i < content->n; i++)
		drop(&content->entries[i]);
	free(content->entries);
	*content = (struct content){ 0 };
}

static struct content content_copy(const struct content *content)
{
	struct content copied = { .n = content->n };

	copied.entries = must_have(calloc(content->n + 1, sizeof(*copied.entries)));
	for (size_t i = 0; i < content->n; i++) {
		copied.entries[i].key = copy(content->entries[i].key);
		copied.entries[i].value = copy(content->entries[i].value);
	}
	return copied;
}

void store_in_memory_empty(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		content_done(&files[i].content);
		files[i].path[0] = '\0';
	}
}

static int compare(struct store_bytes a, struct store_bytes b)
{
	int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The first entry that is not before the key. */
static size_t find(const struct content *content, struct store_bytes key)
{
	size_t i = 0;

	while (i < content->n && compare(content->entries[i].key, key) < 0)
		i++;
	return i;
}

static bool is_at(const struct content *content, size_t i, struct store_bytes key)
{
	return i < content->n && compare(content->entries[i].key, key) == 0;
}

int store_open(struct store **ret, const struct store_options *options, struct error *error)
{
	struct store *store = must_have(calloc(1, sizeof(*store)));

	for (size_t i = 0; i < FILES_MAX && store->file == NULL; i++) {
		bool is_free = files[i].path[0] == '\0';

		if (is_free && options->create)
			snprintf(files[i].path, sizeof(files[i].path), "%s", options->path);
		if (strcmp(files[i].path, options->path) == 0)
			store->file = &files[i];
	}
	if (store->file == NULL) {
		error_set(error, "%s does not exist", options->path);
		free(store);
		return POOL_E_NOT_FOUND;
	}
	*ret = store;
	return 0;
}

void store_close(struct store **store)
{
	free(*store);
	*store = NULL;
}

void store_forget(struct store **store)
{
	store_close(store);
}

int store_check_file(const struct store *store, struct error *error)
{
	(void)store;
	(void)error;
	return 0;
}

pid_t store_pid(const struct store *store)
{
	(void)store;
	return getpid();
}

int store_begin(struct store *store, bool write, struct store_txn **ret, bool *ret_fresh,
		struct error *error)
{
	struct store_txn *txn = must_have(calloc(1, sizeof(*txn)));

	(void)error;
	(void)write;
	txn->store = store;
	txn->content = content_copy(&store->file->content);
	if (ret_fresh != NULL)
		*ret_fresh = txn->content.n == 0;
	*ret = txn;
	return 0;
}

int store_commit(struct store_txn **txn, struct error *error)
{
	struct content *content = &(*txn)->store->file->content;

	(void)error;
	content_done(content);
	*content = content_copy(&(*txn)->content);
	store_abort(txn);
	return 0;
}

void store_abort(struct store_txn **txn)
{
	if (*txn == NULL)
		return;
	content_done(&(*txn)->content);
	free(*txn);
	*txn = NULL;
}

/* All that has been handed out moves to other places. */
static void renew(struct store_txn *txn)
{
	struct content moved = content_copy(&txn->content);

	content_done(&txn->content);
	txn->content = moved;
}

int store_get(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_value)
{
	size_t i = find(&txn->content, key);

	if (!is_at(&txn->content, i, key))
		return POOL_E_NOT_FOUND;
	*ret_value = txn->content.entries[i].value;
	return 0;
}

int store_put(struct store_txn *txn, struct store_bytes key, struct store_bytes value)
{
	struct content *content = &txn->content;
	struct entry entry = { copy(key), copy(value) };
	size_t i = find(content, key);

	if (key.size == 0 || key.size > STORE_KEY_MAX) {
		drop(&entry);
		return POOL_E_STORE;
	}
	if (is_at(content, i, key)) {
		drop(&content->entries[i]);
	} else {
		content->entries = must_have(
			reallocarray(content->entries, content->n + 2, sizeof(*content->entries)));
		memmove(&content->entries[i + 1], &content->entries[i],
			(content->n++ - i) * sizeof(*content->entries));
	}
	content->entries[i] = entry;
	renew(txn);
	return 0;
}

int store_delete(struct store_txn *txn, struct store_bytes key)
{
	struct content *content = &txn->content;
	size_t i = find(content, key);

	if (!is_at(content, i, key))
		return POOL_E_NOT_FOUND;
	drop(&content->entries[i]);
	memmove(&content->entries[i], &content->entries[i + 1],
		(--content->n - i) * sizeof(*content->entries));
	renew(txn);
	return 0;
}

static int give(struct store_txn *txn, size_t at, struct store_bytes *ret_key,
		struct store_bytes *ret_value)
{
	txn->at = at;
	if (at >= txn->content.n)
		return POOL_E_NOT_FOUND;
	*ret_key = txn->content.entries[at].key;
	*ret_value = txn->content.entries[at].value;
	return 0;
}

int store_seek(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_key,
	       struct store_bytes *ret_value)
{
	return give(txn, find(&txn->content, key), ret_key, ret_value);
}

int store_seek_before(struct store_txn *txn, struct store_bytes key, struct store_bytes *ret_key,
		      struct store_bytes *ret_value)
{
	size_t at = find(&txn->content, key);

	return at == 0 ? POOL_E_NOT_FOUND : give(txn, at - 1, ret_key, ret_value);
}

int store_next(struct store_txn *txn, struct store_bytes *ret_key, struct store_bytes *ret_value)
{
	return give(txn, txn->at + 1, ret_key, ret_value);
}

/* There is no list of free pages here, and what there is has been read when it was asked for. */
int store_read_all(struct store_txn *txn)
{
	(void)txn;
	return 0;
}

const char *store_txn_problem(const struct store_txn *txn)
{
	(void)txn;
	return "none";
}
