/* SPDX-License-Identifier: MIT */
#include "book.h"

#include "book_engine.h"
#include "book_file.h"

int book_open(const struct book_options *options, struct book **ret, struct error *error)
{
	return file_book_open(options, ret, error);
}

void book_close(struct book **book)
{
	if (*book != NULL)
		(*book)->engine->close(*book);
	*book = NULL;
}

bool book_is_shared(const struct book *book)
{
	return book->engine->is_shared;
}

int book_set_spaces(struct book *book, const struct book_space *spaces, size_t n,
		    uint32_t extra_sec)
{
	return book->engine->set_spaces(book, spaces, n, extra_sec);
}

int book_begin(struct book *book, struct error *error)
{
	return book->engine->begin(book, error);
}

int book_commit(struct book *book, struct error *error)
{
	return book->engine->commit(book, error);
}

void book_abort(struct book *book)
{
	book->engine->abort(book);
}

int book_find(const struct book *book, struct madcap_bytes id, struct book_lease *ret)
{
	return book->engine->find(book, id, ret);
}

int book_find_address(const struct book *book, const struct madcap_address *address,
		      uint32_t at_sec, struct book_lease *ret)
{
	return book->engine->find_address(book, address, at_sec, ret);
}

int book_grant(struct book *book, const struct book_wish *wish, struct book_lease *ret,
	       enum book_lack *ret_lack)
{
	return book->engine->grant(book, wish, ret, ret_lack);
}

int book_put_pending(struct book *book, const struct book_wish *wish, uint32_t end_sec,
		     struct book_lease *ret)
{
	return book->engine->put_pending(book, wish, end_sec, ret);
}

int book_decide(struct book *book, struct madcap_bytes id, enum book_state decision)
{
	return book->engine->decide(book, id, decision);
}

int book_renew(struct book *book, const struct book_wish *wish, struct book_lease *ret,
	       enum book_lack *ret_lack)
{
	return book->engine->renew(book, wish, ret, ret_lack);
}

int book_release(struct book *book, struct madcap_bytes id)
{
	return book->engine->release(book, id);
}

int book_sweep(struct book *book, uint32_t now_sec, size_t max, size_t *ret_n)
{
	return book->engine->sweep(book, now_sec, max, ret_n);
}

uint64_t book_client_addresses(const struct book *book, const struct madcap_address *client)
{
	return book->engine->client_addresses(book, client);
}

int book_next(const struct book *book, uint64_t *at, struct book_lease *ret)
{
	return book->engine->next(book, at, ret);
}

bool book_stats(const struct book *book, const struct madcap_address *scope, struct book_stats *ret)
{
	return book->engine->stats(book, scope, ret);
}

struct book_range book_lease_range(const struct book_lease *lease, size_t index)
{
	return lease->engine->range(lease, index);
}
