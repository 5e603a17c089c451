/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* ---- a list --------------------------------------------------------------------------------- */

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

static void keep_text(struct past_list *list, const char *text)
{
	size_t size = strlen(text) + 1;

	if (list->text_room - list->text_len < size) {
		list->text_room = 2 * list->text_room + size + 4096;
		list->text = must_alloc(list->text, list->text_room, 1);
	}
	memcpy(list->text + list->text_len, text, size);
	list->text_len += size;
}

static int keep(void *context, const struct pool_past *past)
{
	const struct past_reader *reader = context;
	struct past_list *list = reader->list;

	if (list->oldest_sec == 0)
		list->oldest_sec = past->time_sec;
	if (!fits(reader->filter, past))
		return 0;
	if (list->n == list->room) {
		list->room = 2 * list->room + 64;
		list->events = must_alloc(list->events, list->room, sizeof(*list->events));
	}
	list->events[list->n++] = (struct kept_past){
		.kind = past->kind,
		.how = past->how,
		.time_sec = past->time_sec,
		.granted_sec = past->granted_sec,
		.addr_be = past->addr_be,
		.pid = past->pid,
		.text = list->text_len,
	};
	keep_text(list, past->pool);
	keep_text(list, past->user);
	keep_text(list, past->port);
	keep_text(list, past->module);
	keep_text(list, past->text);
	return 0;
}

int past_read(struct past_list *list, struct pool *pool, const struct past_filter *filter,
	      struct error *why)
{
	struct past_reader reader = { list, filter };
	int code = pool_history(pool, keep, &reader, why);

	pool_rest(pool);
	return code == POOL_E_NOT_FOUND ? 0 : code;
}

struct pool_past past_event(const struct past_list *list, size_t i)
{
	const struct kept_past *kept = &list->events[i];
	struct pool_past past = {
		.kind = kept->kind,
		.how = kept->how,
		.time_sec = kept->time_sec,
		.granted_sec = kept->granted_sec,
		.addr_be = kept->addr_be,
		.pid = kept->pid,
	};

	past.pool = list->text + kept->text;
	past.user = past.pool + strlen(past.pool) + 1;
	past.port = past.user + strlen(past.user) + 1;
	past.module = past.port + strlen(past.port) + 1;
	past.text = past.module + strlen(past.module) + 1;
	return past;
}

void past_done(struct past_list *list)
{
	free(list->events);
	free(list->text);
	*list = (struct past_list){ 0 };
}

/* ---- words ---------------------------------------------------------------------------------- */

const char *event_name(enum pool_event_kind kind)
{
	switch (kind) {
	case POOL_EVENT_GRANT:
		return "grant";
	case POOL_EVENT_RELEASE:
		return "release";
	case POOL_EVENT_RECLAIM:
		return "reclaim";
	case POOL_EVENT_REFUSAL:
		return "refuse";
	case POOL_EVENT_CONFLICT:
		return "conflict";
	case POOL_EVENT_ALARM_ON:
	case POOL_EVENT_ALARM_OFF:
		return "alarm";
	case POOL_EVENT_WARNING:
		return "warning";
	}
	return "unknown";
}

const char *format_span(int64_t sec, char *buf, size_t size)
{
	static const struct {
		int64_t sec;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	if (sec < 0)
		sec = 0;
	while (i < 3 && sec < units[i].sec)
		i++;
	if (i == 3 || sec % units[i].sec / units[i + 1].sec == 0)
		snprintf(buf, size, "%lld%c", (long long)(sec / units[i].sec), units[i].letter);
	else
		snprintf(buf, size, "%lld%c %lld%c", (long long)(sec / units[i].sec),
			 units[i].letter, (long long)(sec % units[i].sec / units[i + 1].sec),
			 units[i + 1].letter);
	return buf;
}

const char *event_detail(const struct pool_past *past, char *buf, size_t size)
{
	char span[48];

	switch (past->kind) {
	case POOL_EVENT_GRANT:
		if (past->module[0] != '\0') {
			snprintf(buf, size, "chosen by module %s", past->module);
			return buf;
		}
		return how_sentence(past->how);
	case POOL_EVENT_RELEASE:
		snprintf(buf, size, "after %s",
			 format_span(past->time_sec - past->granted_sec, span, sizeof(span)));
		return buf;
	case POOL_EVENT_RECLAIM:
		snprintf(buf, size, "process %d had died; granted %s before", (int)past->pid,
			 format_span(past->time_sec - past->granted_sec, span, sizeof(span)));
		return buf;
	case POOL_EVENT_ALARM_ON:
	case POOL_EVENT_ALARM_OFF:
		snprintf(buf, size, "%s: %s", past->kind == POOL_EVENT_ALARM_ON ? "on" : "off",
			 past->text);
		return buf;
	case POOL_EVENT_REFUSAL:
	case POOL_EVENT_CONFLICT:
	case POOL_EVENT_WARNING:
		return past->text;
	}
	return "";
}

bool event_has_user(enum pool_event_kind kind)
{
	return kind == POOL_EVENT_GRANT || kind == POOL_EVENT_RELEASE ||
	       kind == POOL_EVENT_RECLAIM || kind == POOL_EVENT_REFUSAL;
}

const char *const *past_cells(const struct pool_past *past, bool measure, struct past_text *text)
{
	const char *nobody = event_has_user(past->kind) ? "\"\"" : "-";
	const char *detail = measure ? "" : event_detail(past, text->raw, sizeof(text->raw));
	size_t n = 0;

	text->cells[n++] = measure ? TIME_SHAPE : format_time(past->time_sec, text->time);
	text->cells[n++] = event_name(past->kind);
	text->cells[n++] =
		past->addr_be != 0 ? format_ip4(ntohl(past->addr_be), text->address) : "-";
	text->cells[n++] = text_plain(past->pool, "-", text->pool, sizeof(text->pool));
	text->cells[n++] = text_plain(past->user, nobody, text->user, sizeof(text->user));
	text->cells[n++] = text_plain(past->port, "-", text->port, sizeof(text->port));
	text->cells[n++] = text_utf8(detail, true, text->detail, sizeof(text->detail));
	return text->cells;
}
