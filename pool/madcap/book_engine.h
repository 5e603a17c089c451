/* SPDX-License-Identifier: MIT */
/*
 * book_engine.h - what an engine of the lease book has to offer: how batches are kept. What they mean
 * is said in book.h, function by function; all else is the same for all of them (book_memory.h).
 */
#ifndef RASIP_MADCAP_BOOK_ENGINE_H
#define RASIP_MADCAP_BOOK_ENGINE_H

#include "book.h"

struct book_engine {
	bool is_shared;
	void (*close)(struct book *book);
	int (*begin)(struct book *book, struct error *error);
	int (*commit)(struct book *book, struct error *error);
	void (*abort)(struct book *book);

	/* The time that leases go by; 0: not known yet. */
	int64_t (*now)(struct book *book, int64_t mono_ms, int64_t unix_sec);

	/* Of shared books; NULL where there is nothing to do. */
	void (*rely)(struct book *book);
	void (*refresh)(struct book *book, const struct book_deeds *deeds);
	bool (*peer)(const struct book *book, size_t i, struct book_peer *ret);
	const char *(*problem)(const struct book *book);
	bool (*poll)(const struct book *book, struct pollfd *ret);
	int (*work)(struct book *book);
	void (*health)(const struct book *book, struct book_health *ret);
};

/* An engine's own struct begins with this. */
struct book {
	const struct book_engine *engine;
};

#endif
