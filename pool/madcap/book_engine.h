/* SPDX-License-Identifier: MIT */
/*
 * book_engine.h - the operations that an engine of the lease book has to offer; what they mean is
 * said in book.h, function by function.
 */
#ifndef RASIP_MADCAP_BOOK_ENGINE_H
#define RASIP_MADCAP_BOOK_ENGINE_H

#include "book.h"

struct book_engine {
	bool is_shared;
	void (*close)(struct book *book);
	int (*set_spaces)(struct book *book, const struct book_space *spaces, size_t n,
			  uint32_t extra_sec);
	int (*begin)(struct book *book, struct error *error);
	int (*commit)(struct book *book, struct error *error);
	void (*abort)(struct book *book);
	int (*find)(const struct book *book, struct madcap_bytes id, struct book_lease *ret);
	int (*find_address)(const struct book *book, const struct madcap_address *address,
			    uint32_t at_sec, struct book_lease *ret);
	int (*grant)(struct book *book, const struct book_wish *wish, struct book_lease *ret,
		     enum book_lack *ret_lack);
	int (*put_pending)(struct book *book, const struct book_wish *wish, uint32_t end_sec,
			   struct book_lease *ret);
	int (*decide)(struct book *book, struct madcap_bytes id, enum book_state decision);
	int (*renew)(struct book *book, const struct book_wish *wish, struct book_lease *ret,
		     enum book_lack *ret_lack);
	int (*release)(struct book *book, struct madcap_bytes id);
	int (*sweep)(struct book *book, uint32_t now_sec, size_t max, size_t *ret_n);
	void (*client)(const struct book *book, const struct madcap_address *client,
		       struct book_client *ret);
	int (*next)(const struct book *book, uint64_t *at, struct book_lease *ret);
	bool (*stats)(const struct book *book, const struct madcap_address *scope,
		      struct book_stats *ret);
	struct book_range (*range)(const struct book_lease *lease, size_t index);

	/* Of shared books; NULL where there is nothing to do. */
	void (*rely)(struct book *book);
	void (*refresh)(struct book *book, const struct book_deeds *deeds);
	bool (*peer)(const struct book *book, size_t i, struct book_peer *ret);
	int64_t (*now)(const struct book *book, int64_t mono_ms);
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
