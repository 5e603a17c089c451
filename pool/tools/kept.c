/* SPDX-License-Identifier: MIT */
/* kept.c - leases and events, copied out of the store to be looked at when it is closed again. */
#include "tool.h"

#include <fnmatch.h>
#include <stdlib.h>

#define PIECE_LEAST 65536
#define PIECE_MOST (4 * 1024 * 1024)

/* ---- texts ---------------------------------------------------------------------------------- */

struct texts_piece {
	struct texts_piece *next;
	size_t size;
	char bytes[];
};

/* Each piece is twice as big as the one before it. */
static void texts_extend(struct texts *texts)
{
	size_t size = texts->pieces == NULL ? PIECE_LEAST : 2 * texts->pieces->size;
	struct texts_piece *piece;

	if (size > PIECE_MOST)
		size = PIECE_MOST;
	piece = must_alloc(NULL, sizeof(*piece) + size, 1);
	piece->next = texts->pieces;
	piece->size = size;
	texts->pieces = piece;
	texts->at = piece->bytes;
	texts->room = size;
}

/* A copy of a text that is shorter than a piece; `before`, which is a copy, too, if it says the
 * same. */
static const char *texts_keep(struct texts *texts, const char *text, const char *before)
{
	size_t size;
	char *copy;

	if (text[0] == '\0')
		return "";
	if (strcmp(text, before) == 0)
		return before;
	size = strlen(text) + 1;
	if (size > texts->room)
		texts_extend(texts);
	copy = memcpy(texts->at, text, size);
	texts->at += size;
	texts->room -= size;
	return copy;
}

static void texts_done(struct texts *texts)
{
	while (texts->pieces != NULL) {
		struct texts_piece *piece = texts->pieces;

		texts->pieces = piece->next;
		free(piece);
	}
	*texts = (struct texts){ 0 };
}

/* ---- leases --------------------------------------------------------------------------------- */

/* Neighbours have the same pool, and often the same port, module and server. */
static int keep_record(void *context, const struct pool_record *record)
{
	static const struct pool_record nothing = {
		.pool = "", .port = "", .module = "", .server = ""
	};
	struct kept_list *list = context;
	const struct pool_record *before = &nothing;
	struct pool_record *kept;

	list->records = must_grow(list->records, list->n, &list->room, sizeof(*list->records));
	if (list->n > 0)
		before = &list->records[list->n - 1].record;
	list->records[list->n] = (struct kept){ .record = *record };
	kept = &list->records[list->n++].record;
	kept->pool = texts_keep(&list->texts, record->pool, before->pool);
	kept->user = texts_keep(&list->texts, record->user, "");
	kept->port = texts_keep(&list->texts, record->port, before->port);
	kept->module = texts_keep(&list->texts, record->module, before->module);
	kept->server = texts_keep(&list->texts, record->server, before->server);
	return 0;
}

int kept_walk(struct kept_list *list, struct pool *pool, const struct pool_filter *filter,
	      bool *ret_unused, struct error *why)
{
	int code = pool_walk(pool, filter, keep_record, list, why);

	for (size_t i = 0; filter->dead && i < list->n; i++)
		list->records[i].asked = list->records[i].dead = true;
	if (ret_unused != NULL)
		*ret_unused = code == POOL_E_NOT_FOUND;
	pool_rest(pool);
	return code == POOL_E_NOT_FOUND ? 0 : code;
}

int kept_find_dead(struct kept_list *list, struct pool *pool, struct error *why)
{
	struct pool_owner *owners = must_alloc(NULL, list->n, sizeof(*owners));
	size_t n = 0;
	int code = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct pool_record *record = &list->records[i].record;

		if (record->state == POOL_STATE_ACTIVE)
			owners[n++] =
				(struct pool_owner){ .addr_be = record->addr_be, .id = record->id };
	}
	if (n > 0)
		code = pool_find_dead(pool, owners, n, why);
	n = 0;
	for (size_t i = 0; code == 0 && i < list->n; i++) {
		struct kept *kept = &list->records[i];

		kept->asked = kept->record.state == POOL_STATE_ACTIVE;
		kept->dead = kept->asked && owners[n++].dead;
	}
	pool_rest(pool);
	free(owners);
	return code;
}

void kept_done(struct kept_list *list)
{
	free(list->records);
	texts_done(&list->texts);
	*list = (struct kept_list){ 0 };
}

/* ---- events --------------------------------------------------------------------------------- */

struct past_reader {
	struct past_list *list;
	const struct past_filter *filter;
};

static bool fits(const struct past_filter *filter, const struct pool_past *past)
{
	if (past->time_sec < filter->since_sec || past->time_sec > filter->until_sec)
		return false;
	if (filter->addr_be != 0 && past->addr_be != filter->addr_be)
		return false;
	return filter->user_glob == NULL || fnmatch(filter->user_glob, past->user, 0) == 0;
}

static int keep_event(void *context, const struct pool_past *past)
{
	static const struct pool_past nothing = {
		.pool = "", .port = "", .module = "", .text = ""
	};
	const struct past_reader *reader = context;
	struct past_list *list = reader->list;
	const struct pool_past *before = &nothing;
	struct pool_past *kept;

	if (list->oldest_sec == 0)
		list->oldest_sec = past->time_sec;
	if (!fits(reader->filter, past))
		return 0;
	list->events = must_grow(list->events, list->n, &list->room, sizeof(*list->events));
	if (list->n > 0)
		before = &list->events[list->n - 1];
	kept = &list->events[list->n++];
	*kept = *past;
	kept->pool = texts_keep(&list->texts, past->pool, before->pool);
	kept->user = texts_keep(&list->texts, past->user, "");
	kept->port = texts_keep(&list->texts, past->port, before->port);
	kept->module = texts_keep(&list->texts, past->module, before->module);
	kept->text = texts_keep(&list->texts, past->text, before->text);
	return 0;
}

int past_read(struct past_list *list, struct pool *pool, const struct past_filter *filter,
	      struct error *why)
{
	struct past_reader reader = { list, filter };
	int code = pool_history(pool, keep_event, &reader, why);

	pool_rest(pool);
	return code == POOL_E_NOT_FOUND ? 0 : code;
}

int past_read_newest(struct past_list *list, struct pool *pool, size_t n, struct error *why)
{
	const struct past_filter any = { .since_sec = INT64_MIN, .until_sec = INT64_MAX };
	struct past_reader reader = { list, &any };
	int code = pool_history_newest(pool, n, keep_event, &reader, why);

	pool_rest(pool);
	return code == POOL_E_NOT_FOUND ? 0 : code;
}

void past_done(struct past_list *list)
{
	free(list->events);
	texts_done(&list->texts);
	*list = (struct past_list){ 0 };
}
