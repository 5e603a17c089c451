/* SPDX-License-Identifier: MIT */
/* kept.c - leases and events, copied out of the store to be looked at when it is closed again. */
#include "tool.h"

#include <fnmatch.h>
#include <stdlib.h>

/* A copy of `text`; `before`, which is one, too, if it says the same. */
static uint32_t keep(struct texts *texts, const char *text, uint32_t before)
{
	size_t at = texts->len;
	size_t size;

	if (text[0] == '\0')
		return 0;
	if (before != 0 && strcmp(text, texts->bytes + before) == 0)
		return before;
	if (at == 0)
		at = 1; /* 0 is "" */
	size = strlen(text) + 1;
	if (size > texts->room || at > texts->room - size) {
		texts->room = 2 * texts->room + size + 4096;
		if (texts->room > UINT32_MAX)
			out_of_memory();
		texts->bytes = must_alloc(texts->bytes, texts->room, 1);
	}
	memcpy(texts->bytes + at, text, size);
	texts->len = at + size;
	return (uint32_t)at;
}

/* ---- leases --------------------------------------------------------------------------------- */

/* Neighbours have the same pool, and often the same port and server. */
static int keep_record(void *context, const struct pool_record *record)
{
	static const struct kept nothing;
	struct kept_list *list = context;
	const struct kept *before = &nothing;
	struct kept *kept;

	list->records = must_grow(list->records, list->n, &list->room, sizeof(*list->records));
	kept = &list->records[list->n];
	if (list->n++ > 0)
		before = kept - 1;
	*kept = (struct kept){
		.id = record->id,
		.since_sec = record->since_sec,
		.expires_sec = record->expires_sec,
		.addr_be = record->addr_be,
		.group_be = record->group_be,
		.pool = keep(&list->texts, record->pool, before->pool),
		.user = keep(&list->texts, record->user, 0),
		.port = keep(&list->texts, record->port, before->port),
		.server = keep(&list->texts, record->server, before->server),
		.pid = record->pid,
		.state = record->state,
	};
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
		const struct kept *kept = &list->records[i];

		if (kept->state == POOL_STATE_ACTIVE)
			owners[n++] =
				(struct pool_owner){ .addr_be = kept->addr_be, .id = kept->id };
	}
	if (n > 0)
		code = pool_find_dead(pool, owners, n, why);
	n = 0;
	for (size_t i = 0; code == 0 && i < list->n; i++) {
		struct kept *kept = &list->records[i];

		kept->asked = kept->state == POOL_STATE_ACTIVE;
		kept->dead = kept->asked && owners[n++].dead;
	}
	pool_rest(pool);
	free(owners);
	return code;
}

void kept_done(struct kept_list *list)
{
	free(list->records);
	free(list->texts.bytes);
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
	static const struct kept_past nothing;
	const struct past_reader *reader = context;
	struct past_list *list = reader->list;
	const struct kept_past *before = &nothing;
	struct kept_past *kept;

	if (list->oldest_sec == 0)
		list->oldest_sec = past->time_sec;
	if (!fits(reader->filter, past))
		return 0;
	list->events = must_grow(list->events, list->n, &list->room, sizeof(*list->events));
	kept = &list->events[list->n];
	if (list->n++ > 0)
		before = kept - 1;
	*kept = (struct kept_past){
		.time_sec = past->time_sec,
		.granted_sec = past->granted_sec,
		.addr_be = past->addr_be,
		.pool = keep(&list->texts, past->pool, before->pool),
		.user = keep(&list->texts, past->user, before->user),
		.port = keep(&list->texts, past->port, before->port),
		.module = keep(&list->texts, past->module, before->module),
		.text = keep(&list->texts, past->text, before->text),
		.pid = past->pid,
		.kind = past->kind,
		.how = past->how,
	};
	return 0;
}

struct pool_past past_event(const struct past_list *list, size_t i)
{
	const struct kept_past *kept = &list->events[i];

	return (struct pool_past){
		.kind = kept->kind,
		.how = kept->how,
		.time_sec = kept->time_sec,
		.granted_sec = kept->granted_sec,
		.addr_be = kept->addr_be,
		.pid = kept->pid,
		.pool = text_at(&list->texts, kept->pool),
		.user = text_at(&list->texts, kept->user),
		.port = text_at(&list->texts, kept->port),
		.module = text_at(&list->texts, kept->module),
		.text = text_at(&list->texts, kept->text),
	};
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
	free(list->texts.bytes);
	*list = (struct past_list){ 0 };
}
