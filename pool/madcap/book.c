/* SPDX-License-Identifier: MIT */
#include "book.h"

#include "book_engine.h"
#include "book_file.h"
#include "book_postgres.h"

int book_open(const struct book_options *options, struct book **ret, struct error *error)
{
	if (options->connection != NULL)
		return postgres_book_open(options, ret, error);
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

void book_client(const struct book *book, const struct madcap_address *client,
		 struct book_client *ret)
{
	book->engine->client(book, client, ret);
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

/* ---- sharing --------------------------------------------------------------------------------- */

int book_init_shared(const struct book_options *options, const char **ret_did, struct error *error)
{
	return postgres_book_init(options, ret_did, error);
}

void book_rely(struct book *book)
{
	if (book->engine->rely != NULL)
		book->engine->rely(book);
}

void book_refresh(struct book *book, const struct book_deeds *deeds)
{
	if (book->engine->refresh != NULL)
		book->engine->refresh(book, deeds);
}

bool book_peer(const struct book *book, size_t i, struct book_peer *ret)
{
	return book->engine->peer != NULL && book->engine->peer(book, i, ret);
}

int64_t book_now(const struct book *book, int64_t mono_ms, int64_t unix_sec)
{
	int64_t now = book->engine->now != NULL ? book->engine->now(book, mono_ms) : 0;

	return now > 0 ? now : unix_sec;
}

const char *book_problem(const struct book *book)
{
	return book->engine->problem != NULL ? book->engine->problem(book) : NULL;
}

bool book_poll(const struct book *book, struct pollfd *ret)
{
	return book->engine->poll != NULL && book->engine->poll(book, ret);
}

int book_work(struct book *book)
{
	return book->engine->work != NULL ? book->engine->work(book) : -1;
}

bool book_health(const struct book *book, struct book_health *ret)
{
	if (book->engine->health == NULL)
		return false;
	book->engine->health(book, ret);
	return true;
}
