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
 *
 * While a batch is open every change of the indexes is noted, and taken back if the batch fails.
 */
#ifndef RASIP_MADCAP_BOOK_FILE_H
#define RASIP_MADCAP_BOOK_FILE_H

#include "book_engine.h"
#include "book_lease.h"
#include "store.h"

enum change_kind { CHANGE_ADDED, CHANGE_REMOVED, CHANGE_EDITED };

struct change {
	enum change_kind kind;
	struct lease *lease;
	struct madcap_address client; /* removed: whose it was */
	struct booker times;          /* edited: as it was */
	uint32_t touched_sec;
	uint8_t state;
	uint64_t sum; /* of the record as it was */
};

/* The whole of the book, as it stands beside the leases. */
struct book_total {
	uint64_t batch; /* number of the last one */
	uint64_t n_records;
	uint64_t sum; /* of the records' hashes */
};

struct file_book {
	struct book base;
	int directory; /* locked while we have the book */
	char *path;
	uint64_t map_bytes;
	bool unsynced;
	bool trusted;
	struct store *store; /* NULL after it could not be opened again */
	struct store_txn *txn;
	bool in_batch;
	int spoiled; /* why the batch cannot be committed; 0 */
	struct lease_index index;
	struct slab runs;
	struct slab bookings;
	struct space **spaces;
	size_t n_spaces;
	uint32_t extra_sec;
	uint64_t seed;
	uint64_t last_serial;
	struct book_total total;   /* with the open batch's changes, under the last one's number */
	struct book_total on_disk; /* as the last batch has left it */
	struct change *changes;
	size_t n_changes;
	size_t changes_size;
	struct error why; /* what spoiled the batch */
};

struct space *file_book_space(const struct file_book *book, const struct madcap_address *scope);

/* The space of this scope, made if it is new; NULL without memory. */
struct space *file_book_make_space(struct file_book *book, const struct madcap_address *scope);

/* Room for two more changes and one more lease: 0 or POOL_E_NO_MEMORY. */
int file_book_reserve(struct file_book *book);

/* In memory: with and without its addresses booked. False without memory. */
bool file_book_link(struct file_book *book, struct lease *lease,
		    const struct madcap_address *client, bool book_addresses);
void file_book_unlink(struct file_book *book, struct lease *lease);

/* On disk, and noted; memory has been changed already (add, edit) or will be (remove). */
int file_book_added(struct file_book *book, struct lease *lease);
int file_book_removed(struct file_book *book, struct lease *lease,
		      const struct madcap_address *client);
int file_book_edited(struct file_book *book, struct lease *lease, const struct change *old);

void file_book_show(const struct file_book *book, const struct lease *lease,
		    struct book_lease *ret);

/* The operations that decide: book_grant.c. */
int file_book_grant(struct book *base, const struct book_wish *wish, struct book_lease *ret,
		    enum book_lack *ret_lack);
int file_book_renew(struct book *base, const struct book_wish *wish, struct book_lease *ret,
		    enum book_lack *ret_lack);

/* Whether all of the file can be read: 0, also where there is none; POOL_E_DAMAGED, POOL_E_SYSTEM.
 * book_check.c. */
int book_file_check(const struct store_options *options, struct error *error)
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
