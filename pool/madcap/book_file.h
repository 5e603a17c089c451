/* SPDX-License-Identifier: MIT */
/*
 * book_file.h - the book's engine for one host: all leases in memory, each with one record in a
 * file, which is read once when it is opened.
 *
 * Records have numbers that only grow, so leases that are made together lie together, and a batch
 * of new ones writes few pages. Each commit also writes a batch number: after a commit of which
 * nobody knows whether it reached the disk, the file is opened again and the number tells. With it
 * stand how many records there are and the sum of their hashes, so that a book that has lost or
 * changed one is seen to be damaged, and no address is given away that is somebody's.
 */
#ifndef RASIP_MADCAP_BOOK_FILE_H
#define RASIP_MADCAP_BOOK_FILE_H

#include "book_memory.h"
#include "store.h"

/* The whole of the book, as it stands beside the leases. */
struct book_total {
	uint64_t batch; /* number of the last one */
	uint64_t n_records;
	uint64_t sum; /* of the records' hashes */
};

struct file_book {
	struct memory_book memory;
	int directory; /* locked while we have the book */
	char *path;
	uint64_t map_bytes;
	bool unsynced;
	bool trusted;
	struct store *store; /* NULL after it could not be opened again */
	struct store_txn *txn;
	int spoiled;               /* why the batch cannot be committed; 0 */
	struct book_total total;   /* with the open batch's changes, under the last one's number */
	struct book_total on_disk; /* as the last batch has left it */
	struct error why;          /* what spoiled the batch */
	uint32_t newest_sec; /* memory.newest_sec, as it was seen first at this monotonic time: */
	int64_t newest_ms;
};

/* Where a book is damaged, or not ours. */
#define BOOK_FILE_ADVICE "bring back a copy: its leases are lost without it"

/* As book_open(). */
int file_book_open(const struct book_options *options, struct book **ret, struct error *error)
	__attribute__((warn_unused_result));

/* Records: book_record.c. */
#define BOOK_RECORD_MAX (64 + BOOK_ID_MAX + 10 * BOOK_RANGES_MAX)
#define BOOK_KEY_SIZE 9

void book_record_key(uint64_t serial, uint8_t key[BOOK_KEY_SIZE]);
bool book_record_serial(struct store_bytes key, uint64_t *ret);
size_t book_record_write(const struct lease *lease, void *buf); /* of BOOK_RECORD_MAX octets */

/* Of a record under its key; as good as different if one octet is. */
uint64_t book_record_sum(uint64_t serial, struct store_bytes record);

#define BOOK_TOTAL_SIZE 24
void book_total_write(const struct book_total *total, uint8_t buf[BOOK_TOTAL_SIZE]);
bool book_total_read(struct store_bytes record, struct book_total *ret);

/* A lease from its record, with its scope and client; 0, POOL_E_DAMAGED, POOL_E_NO_MEMORY. */
int book_record_read(struct store_bytes record, struct lease **ret, struct madcap_address *scope,
		     struct madcap_address *client);

#endif
