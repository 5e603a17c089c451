/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"
#include "screen.h"

#define INTERVAL_DEFAULT_SEC 1
#define INTERVAL_MAX_SEC 3600

/* An event as far as it is shown. */
struct event {
	struct pool_past past; /* with pointers to the following */
	char pool[CONFIG_POOL_NAME_MAX + 1], user[POOL_USER_MAX + 1], port[POOL_PORT_MAX + 1];
	char module[POOL_MODULE_MAX + 1], text[256];
};

/* The newest events: a ring that the history, which comes oldest first, goes through. */
struct news {
	struct event *events;
	size_t n, room; /* n: how many there have been */
};

static const char *copy(const char *text, char *buf, size_t size)
{
	size_t n = strnlen(text, size - 1);

	memcpy(buf, text, n);
	buf[n] = '\0';
	return buf;
}

static int note(void *context, const struct pool_past *past)
{
	struct news *news = context;
	struct event *event = &news->events[news->n++ % news->room];

	event->past = *past;
	event->past.pool = copy(past->pool, event->pool, sizeof(event->pool));
	event->past.user = copy(past->user, event->user, sizeof(event->user));
	event->past.port = copy(past->port, event->port, sizeof(event->port));
	event->past.module = copy(past->module, event->module, sizeof(event->module));
	event->past.text = copy(past->text, event->text, sizeof(event->text));
	return 0;
}

/* The i-th newest one. */
static const struct pool_past *newest(const struct news *news, size_t i)
{
	return &news->events[(news->n - 1 - i) % news->room].past;
}

static void print_news(FILE *out, const struct news *news)
{
	/* Wide enough for most, so that columns do not move about. */
	struct table table = { .title = { PAST_TITLES }, .width = { [1] = 8, [2] = 15 } };
	size_t n = news->n < news->room ? news->n : news->room;
	struct past_text text;

	fprintf(out, "\nNEWEST EVENTS\n");
	for (size_t i = 0; i < n; i++)
		table_measure(&table, past_cells(newest(news, i), true, &text));
	for (size_t i = 0; i < n; i++)
		table_row(&table, out, past_cells(newest(news, i), false, &text));
	if (n == 0)
		fprintf(out, "none yet\n");
}

/* At least one, for there is always room for it in memory. */
static size_t news_room(const struct view *view)
{
	size_t rows = (size_t)screen_rows();

	return rows > view->config->n_pools + 6 ? rows - view->config->n_pools - 5 : 1;
}

/* Pools come first; the remainder of the screen is for the news. */
static void print_pools(FILE *out, const struct view *view, const struct pool_stats *stats,
			size_t room)
{
	size_t n = view->config->n_pools;

	if (n > room)
		n = room > 1 ? room - 1 : 0;
	pools_print(out, stats, n, screen_columns(), terminal_has_colours());
	if (n < view->config->n_pools)
		fprintf(out, "and %zu more pool%s\n", view->config->n_pools - n,
			plural_s(view->config->n_pools - n));
}

/* Reads everything anew, the configuration too: so does every pppd that starts. */
static int print_body(FILE *out, const struct invocation *invocation, struct error *why)
{
	size_t rows = (size_t)screen_rows();
	struct news news = { 0 };
	struct pool_stats *stats = NULL;
	struct view view = { 0 };
	int code = view_try(&view, invocation->config_path, why);

	if (code == 0)
		code = stats_read(&view, &stats, why);
	if (code == 0) {
		news.room = news_room(&view);
		news.events = must_alloc(NULL, news.room, sizeof(*news.events));
		code = pool_history(view.pool, note, &news, why);
		if (code == POOL_E_NOT_FOUND)
			code = 0;
	}
	if (code == 0) {
		print_pools(out, &view, stats, rows > 3 ? rows - 3 : 0);
		print_news(out, &news);
	}
	free(news.events);
	free(stats);
	view_close(&view);
	return code;
}

/* What was read last goes on being shown while it cannot be read. */
struct frame {
	char *body;
	struct error why;
};

static void read_frame(struct frame *frame, const struct invocation *invocation)
{
	char *body = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&body, &size);
	int code;

	if (out == NULL)
		out_of_memory();
	code = print_body(out, invocation, &frame->why);
	if (fclose(out) != 0)
		out_of_memory();
	if (code < 0 && frame->body != NULL) {
		free(body);
		return;
	}
	if (code == 0)
		frame->why.text[0] = '\0';
	free(frame->body);
	frame->body = body;
}

static void show_frame(const struct frame *frame, const struct invocation *invocation)
{
	char now[TIME_TEXT_SIZE], path[1024], why[4 * sizeof(frame->why.text)];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		out_of_memory();
	fprintf(out, "rasip  %s  q: quit  %s\n", format_time((int64_t)time(NULL), now),
		text_plain(invocation->config_path, "-", path, sizeof(path)));
	fprintf(out, "%s\n%s", text_utf8(frame->why.text, true, why, sizeof(why)), frame->body);
	if (fclose(out) != 0)
		out_of_memory();
	screen_show(text);
	free(text);
}

static int check_terminal(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO))
		return complain("watch needs a terminal to draw on; 'rasip pools' prints once");
	if (term == NULL || *term == '\0' || strcmp(term, "dumb") == 0)
		return complain("watch needs a terminal that can move its cursor, and TERM is '%s'",
				term ? term : "");
	return 0;
}

static int watch(const struct invocation *invocation, int interval_ms)
{
	struct frame frame = { 0 };
	char key = '\0';
	bool quit = false;

	if (screen_open() < 0)
		return complain("the terminal cannot be taken over");
	while (!quit) {
		read_frame(&frame, invocation);
		show_frame(&frame, invocation);
		switch (screen_wait(interval_ms, &key)) {
		case SCREEN_KEY:
			quit = key == 'q' || key == 'Q';
			break;
		case SCREEN_QUIT:
			quit = true;
			break;
		case SCREEN_TIMEOUT:
		case SCREEN_REDRAW:
			break;
		}
		quit = quit || ferror(stdout);
	}
	screen_close();
	free(frame.body);
	return EXIT_DONE;
}

static int run(const struct invocation *invocation)
{
	const char *interval = invocation->option[OPTION_INTERVAL];
	int64_t interval_sec = INTERVAL_DEFAULT_SEC;
	struct pool_stats *stats;
	struct error why = { "" };
	struct view view;
	int status;

	if (interval != NULL && (!parse_duration(interval, &interval_sec) || interval_sec < 1 ||
				 interval_sec > INTERVAL_MAX_SEC))
		return complain_usage(invocation->verb, "'%s' is not a time from 1s to 1h",
				      interval);
	status = check_terminal();
	if (status != 0)
		return status;
	/* What is wrong from the beginning is said on a line, not on a screen. */
	status = view_open(&view, invocation, NULL);
	if (status != 0)
		return status;
	if (stats_read(&view, &stats, &why) < 0)
		status = complain("%s", why.text);
	else
		free(stats);
	view_close(&view);
	return status != 0 ? status : watch(invocation, (int)interval_sec * 1000);
}

static const struct verb_option options[] = {
	{ OPTION_INTERVAL, "interval", "TIME", "how often to look, from 1s to 1h; default: 1s",
	  false },
	{ 0 },
};

const struct verb verb_watch = {
	.name = "watch",
	.brief = "the pools and the newest events, refreshed, until q",
	.text = "q or Ctrl-C ends it, any other key looks again at once. The configuration is\n"
		"read anew each time, as every pppd that starts does.\n",
	.options = options,
	.run = run,
};
