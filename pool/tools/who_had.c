/* SPDX-License-Identifier: MIT */
/*
 * who_had.c - who had an address at a time: from the leases that are active and from the history.
 * A lease is known by its end, which says when it began; by the grant alone, if its end was never
 * seen, as when the machine lost its power. Such a lease is over at the latest when its address is
 * granted again or the machine starts.
 */
#include "tool.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "row.h"
#include "parse.h"

struct holding {
	uint32_t addr_be;
	int64_t from_sec;
	int64_t to_sec;  /* 0: not over, or nobody knows */
	const char *end; /* how it ended, in one word */
	pid_t pid;
	const char *pool, *user, *port;
};

struct search {
	const struct who_had *question;
	struct kept_list active;
	struct past_list past;
	bool *ended; /* those of `active` whose end is in the history after all */
	int64_t read_sec, boot_sec;
	struct holding *found;
	size_t n, room;
};

static void add(struct search *search, const struct holding *holding)
{
	const struct who_had *question = search->question;

	if (question->user_glob != NULL && fnmatch(question->user_glob, holding->user, 0) != 0)
		return;
	search->found = must_grow(search->found, search->n, &search->room, sizeof(*search->found));
	search->found[search->n++] = *holding;
}

static void add_past(struct search *search, const struct kept_past *event, int64_t from_sec,
		     int64_t to_sec, const char *end)
{
	const struct texts *texts = &search->past.texts;

	add(search, &(struct holding){
			    .addr_be = event->addr_be,
			    .from_sec = from_sec,
			    .to_sec = to_sec,
			    .end = end,
			    .pid = event->pid,
			    .pool = text_at(texts, event->pool),
			    .user = text_at(texts, event->user),
			    .port = text_at(texts, event->port),
		    });
}

static size_t find_active(const struct search *search, uint32_t addr_be, int64_t since_sec)
{
	size_t low = 0;
	size_t high = search->active.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ntohl(search->active.records[middle].addr_be) < ntohl(addr_be))
			low = middle + 1;
		else
			high = middle;
	}
	if (low < search->active.n && search->active.records[low].addr_be == addr_be &&
	    search->active.records[low].since_sec == since_sec)
		return low;
	return SIZE_MAX;
}

/* A grant that no end of the same lease followed. next_sec: when the address was granted again. */
static void see_endless(struct search *search, const struct kept_past *grant, int64_t next_sec)
{
	int64_t at_sec = search->question->at_sec;

	if (find_active(search, grant->addr_be, grant->time_sec) != SIZE_MAX)
		return;
	if (grant->time_sec > at_sec || next_sec < at_sec)
		return;
	if (grant->time_sec >= search->read_sec)
		add_past(search, grant, grant->time_sec, 0, "active");
	else if (grant->time_sec >= search->boot_sec || at_sec <= search->boot_sec)
		add_past(search, grant, grant->time_sec, 0, "unknown");
}

static void see_end(struct search *search, const struct kept_past *event)
{
	int64_t at_sec = search->question->at_sec;
	size_t active = find_active(search, event->addr_be, event->granted_sec);

	if (active != SIZE_MAX)
		search->ended[active] = true;
	if (event->granted_sec <= at_sec && at_sec <= event->time_sec)
		add_past(search, event, event->granted_sec, event->time_sec,
			 event->kind == POOL_EVENT_RELEASE ? "release" : "reclaim");
}

/* The events of one address, in their order. */
static void see_address(struct search *search, struct kept_past *const *events, size_t n)
{
	const struct kept_past *open = NULL;

	for (size_t i = 0; i < n; i++) {
		bool grant = events[i]->kind == POOL_EVENT_GRANT;

		if (open != NULL && (grant || events[i]->granted_sec != open->time_sec))
			see_endless(search, open, events[i]->time_sec);
		open = grant ? events[i] : NULL;
		if (!grant)
			see_end(search, events[i]);
	}
	if (open != NULL)
		see_endless(search, open, INT64_MAX);
}

static int by_address(const void *left, const void *right)
{
	const struct kept_past *one = *(struct kept_past *const *)left;
	const struct kept_past *other = *(struct kept_past *const *)right;

	if (one->addr_be != other->addr_be)
		return ntohl(one->addr_be) < ntohl(other->addr_be) ? -1 : 1;
	return one < other ? -1 : one > other;
}

static void see_past(struct search *search)
{
	struct kept_past **events = must_alloc(NULL, search->past.n, sizeof(*events));
	size_t n = 0;

	for (size_t i = 0; i < search->past.n; i++) {
		struct kept_past *event = &search->past.events[i];

		if (event->kind == POOL_EVENT_GRANT || event->kind == POOL_EVENT_RELEASE ||
		    event->kind == POOL_EVENT_RECLAIM)
			events[n++] = event;
	}
	qsort(events, n, sizeof(struct kept_past *), by_address);
	for (size_t begin = 0, end; begin < n; begin = end) {
		for (end = begin + 1; end < n && events[end]->addr_be == events[begin]->addr_be;)
			end++;
		see_address(search, &events[begin], end - begin);
	}
	free(events);
}

static void see_active(struct search *search)
{
	const struct texts *texts = &search->active.texts;

	for (size_t i = 0; i < search->active.n; i++) {
		const struct kept *kept = &search->active.records[i];

		if (search->ended[i] || kept->since_sec > search->question->at_sec)
			continue;
		add(search, &(struct holding){
				    .addr_be = kept->addr_be,
				    .from_sec = kept->since_sec,
				    .end = "active",
				    .pid = kept->pid,
				    .pool = text_at(texts, kept->pool),
				    .user = text_at(texts, kept->user),
				    .port = text_at(texts, kept->port),
			    });
	}
}

static int in_order(const void *left, const void *right)
{
	const struct holding *one = left;
	const struct holding *other = right;

	if (one->addr_be != other->addr_be)
		return ntohl(one->addr_be) < ntohl(other->addr_be) ? -1 : 1;
	return one->from_sec < other->from_sec ? -1 : one->from_sec > other->from_sec;
}

/* First the leases, then the history: what ends between the two is in both, never in neither. */
static int look(struct search *search, struct error *why)
{
	const struct who_had *question = search->question;
	struct pool_filter active = { .addr_be = question->addr_be };
	struct past_filter past = {
		.addr_be = question->addr_be,
		.since_sec = INT64_MIN,
		.until_sec = INT64_MAX,
	};
	struct timespec up;
	int code;

	clock_gettime(CLOCK_BOOTTIME, &up);
	search->read_sec = (int64_t)time(NULL);
	search->boot_sec = search->read_sec - up.tv_sec;
	code = kept_walk(&search->active, question->pool, &active, NULL, why);
	if (code == 0)
		code = past_read(&search->past, question->pool, &past, why);
	if (code < 0)
		return code;
	search->ended = must_alloc(NULL, search->active.n, sizeof(*search->ended));
	memset(search->ended, 0, search->active.n * sizeof(*search->ended));
	see_past(search);
	see_active(search);
	if (search->n > 0)
		qsort(search->found, search->n, sizeof(*search->found), in_order);
	return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Begins as zeros, but for the holdings. */
struct holding_text {
	const struct holding *found;
	char address[IP4_TEXT_SIZE];
	struct time_cell from, to;
	struct plain_cell pool, user, port;
	struct cell cells[TABLE_COLUMNS];
};

static const struct cell *holding_cells(void *context, size_t i, bool measure)
{
	struct holding_text *text = context;
	const struct holding *holding = &text->found[i];
	size_t n = 0;

	text->cells[n++] = cell_address(text->address, holding->addr_be, measure);
	text->cells[n++] = cell_plain(&text->pool, holding->pool, "-");
	text->cells[n++] = cell_plain(&text->user, holding->user, "\"\"");
	text->cells[n++] = cell_plain(&text->port, holding->port, "-");
	text->cells[n++] = cell_time(&text->from, holding->from_sec);
	if (holding->to_sec != 0)
		text->cells[n++] = cell_time(&text->to, holding->to_sec);
	else
		text->cells[n++] = cell_of(strcmp(holding->end, "active") == 0 ? "-" : "?");
	text->cells[n++] = cell_of(holding->end);
	return text->cells;
}

static void print_table(const struct search *search)
{
	struct table table = {
		.title = { "ADDRESS", "POOL", "USER", "PORT", "FROM", "TO", "END" },
	};
	struct holding_text text = { .found = search->found };

	table_print(&table, search->n, holding_cells, &text, sizeof(text));
}

struct holding_line {
	const struct holding *found;
	struct row row;
};

static void put_holding(void *context, size_t i, struct sheet *sheet)
{
	struct holding_line *lines = context;
	struct row *row = &lines->row;
	const struct holding *holding = &lines->found[i];

	row_begin(row, i, sheet);
	row_address(row, "address", holding->addr_be);
	row_member(row, "pool", text_or_null(holding->pool));
	row_member(row, "user", holding->user);
	row_member(row, "port", text_or_null(holding->port));
	row_number(row, "pid", holding->pid);
	row_time(row, "from", holding->from_sec);
	row_time(row, "to", holding->to_sec);
	row_member(row, "end", holding->end);
	row_end(row, sheet);
}

static void print_json(const struct search *search)
{
	const struct holding_line context = { .found = search->found };

	rows_print(&(struct listing){ search->n, put_holding, &context, sizeof(context) });
}

/* That nobody is known is worth less where the history does not go back that far. */
static void print_nobody(const struct search *search)
{
	char time_text[TIME_TEXT_SIZE];

	if (search->past.oldest_sec == 0)
		fprintf(stderr, "rasip: nothing has happened yet\n");
	else if (search->question->at_sec < search->past.oldest_sec)
		fprintf(stderr, "rasip: nobody that is known of; the history begins at %s\n",
			format_time(search->past.oldest_sec, time_text));
	else
		fprintf(stderr, "rasip: nobody\n");
}

int who_had_print(const struct who_had *question, bool json)
{
	struct search search = { .question = question };
	struct error why = { "" };
	int status = EXIT_DONE;

	if (look(&search, &why) < 0)
		status = complain("%s", why.text);
	else if (json)
		print_json(&search);
	else if (search.n > 0)
		print_table(&search);
	else
		print_nobody(&search);
	free(search.found);
	free(search.ended);
	kept_done(&search.active);
	past_done(&search.past);
	return status;
}
