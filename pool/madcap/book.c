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

int64_t book_now(struct book *book, int64_t mono_ms, int64_t unix_sec)
{
	int64_t now = book->engine->now(book, mono_ms, unix_sec);

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
