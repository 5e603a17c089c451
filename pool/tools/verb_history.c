/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

#include "row.h"
#include "parse.h"

struct event_rows {
	const struct past_list *list;
	struct past_text text;
};

static const struct cell *event_cells(void *context, size_t i, bool measure)
{
	struct event_rows *rows = context;
	const struct pool_past past = past_event(rows->list, i);

	return past_cells(&past, measure, &rows->text);
}

static void print_table(const struct past_list *list)
{
	struct table table = { .title = { PAST_TITLES } };
	struct event_rows rows = { .list = list };

	table_print(&table, list->n, event_cells, &rows, sizeof(rows));
}

struct event_line {
	const struct past_list *list;
	struct row row;
};

static void put_event(void *context, size_t i, struct sheet *sheet)
{
	struct event_line *event = context;
	struct row *row = &event->row;
	const struct pool_past past = past_event(event->list, i);
	bool user = event_has_user(past.kind);
	char buf[512];

	row_begin(row, i, sheet);
	row_time(row, "time", past.time_sec);
	row_member(row, "event", event_name(past.kind));
	row_address(row, "address", past.addr_be);
	row_member(row, "pool", text_or_null(past.pool));
	row_member(row, "user", user ? past.user : NULL);
	row_member(row, "port", text_or_null(past.port));
	row_number(row, "pid", past.pid);
	row_time(row, "granted", past.granted_sec);
	row_member(row, "how", past.kind == POOL_EVENT_GRANT ? pool_how_name(past.how) : NULL);
	row_member(row, "module", text_or_null(past.module));
	row_member(row, "detail", event_detail(&past, buf, sizeof(buf)));
	row_end(row, sheet);
}

static void print_json(const struct past_list *list)
{
	const struct event_line context = { .list = list };

	rows_print(&(struct listing){ list->n, put_event, &context, sizeof(context) });
}

static int list_events(struct pool *pool, const struct past_filter *filter, bool json)
{
	struct past_list list = { 0 };
	struct error why = { "" };
	int status = EXIT_DONE;

	if (past_read(&list, pool, filter, &why) < 0)
		status = complain("%s", why.text);
	else if (json)
		print_json(&list);
	else if (list.n > 0)
		print_table(&list);
	else
		fprintf(stderr, "rasip: %s\n",
			list.oldest_sec == 0 ? "nothing has happened yet" : "no such event");
	past_done(&list);
	return status;
}

static int read_times(const struct invocation *invocation, struct past_filter *filter,
		      struct who_had *question)
{
	bool at = invocation->option[OPTION_AT] != NULL;
	int status;

	if (at && (invocation->option[OPTION_SINCE] || invocation->option[OPTION_UNTIL]))
		return complain_usage(invocation->verb,
				      "--at does not go together with --since or --until");
	status = option_time(invocation, OPTION_AT, &question->at_sec);
	if (status == 0)
		status = option_time(invocation, OPTION_SINCE, &filter->since_sec);
	if (status == 0)
		status = option_time(invocation, OPTION_UNTIL, &filter->until_sec);
	if (status == 0 && filter->since_sec > filter->until_sec)
		return complain_usage(invocation->verb, "--since is later than --until");
	return status;
}

static int run(const struct invocation *invocation)
{
	struct past_filter filter = { .since_sec = INT64_MIN, .until_sec = INT64_MAX };
	struct who_had question = { 0 };
	struct view view;
	int status = option_address(invocation, OPTION_ADDRESS, &filter.addr_be);

	filter.user_glob = invocation->option[OPTION_USER];
	if (status == 0)
		status = read_times(invocation, &filter, &question);
	if (status == 0)
		status = view_open(&view, invocation, NULL);
	if (status != 0)
		return status;
	if (invocation->option[OPTION_AT] != NULL) {
		question.pool = view.pool;
		question.addr_be = filter.addr_be;
		question.user_glob = filter.user_glob;
		status = who_had_print(&question, invocation->json);
	} else {
		status = list_events(view.pool, &filter, invocation->json);
	}
	view_close(&view);
	return status;
}

static const struct verb_option options[] = {
	{ OPTION_ADDRESS, "address", "ADDRESS", "only what happened to this address", false },
	{ OPTION_USER, "user", "GLOB", "only what happened to users that match", false },
	{ OPTION_SINCE, "since", "TIME", "only what happened then or later", false },
	{ OPTION_UNTIL, "until", "TIME", "only what happened then or before", false },
	{ OPTION_AT, "at", "TIME", "who had the address, or any, at this time", false },
	{ 0 },
};

const struct verb verb_history = {
	.name = "history",
	.brief = "what happened; who had an address, and when",
	.text = "One line for each grant, release, reclaim, refusal, conflict and alarm, the\n"
		"oldest first. TIME is 2026-11-20T09:00:00Z, @SECONDS since 1970, or how long\n"
		"ago: 45s, 30m, 2h, 7d. With --at it says instead which sessions had an address\n"
		"at that time, from when to when: '-' where they still have it, '?' where nobody\n"
		"knows, because the machine went down with them. The last 200000 events are\n"
		"kept, across reboots.\n",
	.options = options,
	.json = true,
	.run = run,
};
