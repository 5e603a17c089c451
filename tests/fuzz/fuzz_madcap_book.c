/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a lease book whose entries say anything. The input is a list of keys and values
 * (a length each; keys that begin with "=" are a serial number of one octet), with a total that goes
 * with them unless they have one of their own. A book that opens is gone through, granted from,
 * released from and swept; one that does not is left as it is.
 */
#include <unistd.h>

#include "fuzz.h"
#include "madcap/address.h"
#include "madcap/book.h"
#include "madcap/book_file.h"
#include "store.h"
#include "store_in_memory.h"
#include "wire.h"

#define ENTRIES_MAX 32
#define NOW 0x65000000

static struct book *open_book(void)
{
	const struct book_options options = { .state_dir = fuzz_directory,
					      .map_bytes = 1 << 22,
					      .extra_sec = 60,
					      .seed = 1,
					      .unsynced = true,
					      .trusted = true };
	struct book *book = NULL;
	struct error error = { "" };

	if (book_open(&options, &book, &error) < 0)
		require(error.text[0] != '\0', "a reason");
	return book;
}

static void put(struct store_txn *txn, struct wire_reader *reader)
{
	uint8_t key_size = wire_read_u8(reader);
	const uint8_t *key = wire_read_bytes(reader, key_size);
	uint8_t size = wire_read_u8(reader);
	const uint8_t *value = wire_read_bytes(reader, size);
	uint8_t serial[BOOK_KEY_SIZE];

	if (key == NULL || value == NULL || key_size == 0)
		return;
	if (key[0] == '=' && key_size == 2) {
		book_record_key(key[1], serial);
		key = serial;
		key_size = sizeof(serial);
	}
	(void)!store_put(txn, (struct store_bytes){ key, key_size },
			 (struct store_bytes){ value, size });
}

/* Else no book would ever open: it would have lost what its total says. */
static void put_total(struct store_txn *txn)
{
	uint8_t first[BOOK_KEY_SIZE], record[BOOK_TOTAL_SIZE];
	struct book_total total = { .batch = 1 };
	struct store_bytes key, value;
	uint64_t serial;
	int code;

	if (store_get(txn, (struct store_bytes){ "B", 1 }, &value) == 0)
		return;
	book_record_key(0, first);
	code = store_seek(txn, (struct store_bytes){ first, sizeof(first) }, &key, &value);
	while (code == 0 && book_record_serial(key, &serial)) {
		total.n_records++;
		total.sum += book_record_sum(serial, value);
		code = store_next(txn, &key, &value);
	}
	book_total_write(&total, record);
	require(store_put(txn, (struct store_bytes){ "B", 1 },
			  (struct store_bytes){ record, sizeof(record) }) == 0,
		"a total");
}

/* Into a book that has been made by the book itself, so that kind and version are right. */
static void fill(struct wire_reader *reader)
{
	char path[128];
	const struct store_options options = {
		.path = path, .kind = "madcap lease book", .map_bytes = 1 << 22, .create = true
	};
	struct store *store;
	struct store_txn *txn;
	struct error error;

	snprintf(path, sizeof(path), "%s/madcap-book.mdb", fuzz_directory);
	store_in_memory_empty();
	require(store_open(&store, &options, &error) == 0, "a store");
	require(store_begin(store, true, &txn, NULL, &error) == 0, "a transaction");
	for (int i = 0; i < ENTRIES_MAX && reader->at < reader->size && !reader->failed; i++)
		put(txn, reader);
	put_total(txn);
	require(store_commit(&txn, &error) == 0, "a commit");
	store_close(&store);
}

static void set_spaces(struct book *book)
{
	static struct madcap_address_range allocate;
	struct book_space space = { .allocate = &allocate, .n_allocate = 1 };

	require(madcap_address_parse("239.1.0.0", &allocate.first) &&
			madcap_address_parse("239.1.0.15", &allocate.last),
		"addresses");
	space.scope = allocate.first;
	require(madcap_address_parse("239.1.255.255", &space.last), "an address");
	(void)!book_set_spaces(book, &space, 1, 60);
}

static void walk(struct book *book)
{
	struct book_lease lease;
	struct book_lease found;
	uint64_t at = 0;

	while (book_next(book, &at, &lease) == 0) {
		require(book_find(book, lease.id, &found) == 0, "what is there is found");
		for (size_t i = 0; i < lease.n_ranges; i++)
			require(book_lease_range(&lease, i).count > 0, "a range has addresses");
	}
}

static void change(struct book *book)
{
	struct book_wish wish = { .state = BOOK_ACTIVE,
				  .count_min = 1,
				  .count = 4,
				  .now_sec = NOW,
				  .start_sec = NOW,
				  .start_latest_sec = NOW,
				  .lease_sec = 100,
				  .lease_min_sec = 1 };
	struct book_lease lease;
	enum book_lack lack;
	struct error error;
	size_t n;

	require(madcap_address_parse("239.1.0.0", &wish.scope) &&
			madcap_address_parse("192.0.2.9", &wish.client),
		"addresses");
	wish.id = (struct madcap_bytes){ (const uint8_t *)"\001one", 4 };
	require(book_begin(book, &error) == 0, "begins");
	(void)!book_sweep(book, NOW, 16, &n);
	if (book_grant(book, &wish, &lease, &lack) == 0)
		require(lease.n_addresses >= 1 && lease.n_addresses <= 4, "as many as asked for");
	walk(book);
	(void)!book_release(book, wish.id);
	(void)!book_commit(book, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader reader;
	struct book *book;

	if (fuzz_directory[0] == '\0')
		fuzz_make_directory("/tmp/fuzz-book-XXXXXX");
	wire_reader_init(&reader, data, size);
	fill(&reader);
	book = open_book();
	if (book != NULL) {
		walk(book);
		set_spaces(book);
		change(book);
	}
	book_close(&book);
	return 0;
}
