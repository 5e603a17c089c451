/* SPDX-License-Identifier: MIT */
/*
 * book_file.h - the book's engine for one host: all leases in memory, each with one record in a
 * file, which is read once when it is opened.
 *
 * Records have numbers that only grow, so leases that are made together lie together, and a batch
 * of new ones writes few pages. Each commit also writes a batch number: after a commit of which
 * nobody knows whether it reached the disk, the file is opened again and the number tells.
 */
#ifndef RASIP_MADCAP_BOOK_FILE_H
#define RASIP_MADCAP_BOOK_FILE_H

#include "book_memory.h"
#include "store.h"

struct file_book {
	struct memory_book memory;
	int directory; /* locked while we have the book */
	char *path;
	uint64_t map_bytes;
	bool unsynced;
	struct store *store; /* NULL after it could not be opened again */
	struct store_txn *txn;
	int spoiled;      /* why the batch cannot be committed; 0 */
	uint64_t batch;   /* the last one on disk */
	struct error why; /* what spoiled the batch */
};

/* As book_open(). */
int file_book_open(const struct book_options *options, struct book **ret, struct error *error)
	__attribute__((warn_unused_result));

/* Records: book_record.c. */
#define BOOK_RECORD_MAX (64 + BOOK_ID_MAX + 10 * BOOK_RANGES_MAX)
#define BOOK_KEY_SIZE 9

void book_record_key(uint64_t serial, uint8_t key[BOOK_KEY_SIZE]);
bool book_record_serial(struct store_bytes key, uint64_t *ret);
size_t book_record_write(const struct lease *lease, void *buf); /* of BOOK_RECORD_MAX octets */

/* A lease from its record, with its scope and client; 0, POOL_E_DAMAGED, POOL_E_NO_MEMORY. */
int book_record_read(struct store_bytes record, struct lease **ret, struct madcap_address *scope,
		     struct madcap_address *client);

#endif
