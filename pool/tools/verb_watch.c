/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"
#include "screen.h"

#define INTERVAL_DEFAULT_SEC 1
#define INTERVAL_MAX_SEC 3600

/* A lease as far as it is shown. */
struct event {
	int64_t since_sec;
	uint32_t addr_be;
	enum pool_state state;
	char pool[CONFIG_POOL_NAME_MAX + 1], user[POOL_USER_MAX + 1], port[POOL_PORT_MAX + 1];
};

/* The newest events, newest first. */
struct news {
	struct event *events;
	size_t n, room;
};

static int note(void *context, const struct pool_record *record)
{
	struct news *news = context;
	size_t at = news->n;

	if (record->since_sec == 0)
		return 0;
	while (at > 0 && news->events[at - 1].since_sec < record->since_sec)
		at--;
	if (at == news->room)
		return 0;
	if (news->n < news->room)
		news->n++;
	memmove(&news->events[at + 1], &news->events[at],
		(news->n - 1 - at) * sizeof(*news->events));
	news->events[at] = (struct event){
		.since_sec = record->since_sec,
		.addr_be = record->addr_be,
		.state = record->state,
	};
	snprintf(news->events[at].pool, sizeof(news->events[at].pool), "%s", record->pool);
	snprintf(news->events[at].user, sizeof(news->events[at].user), "%s", record->user);
	snprintf(news->events[at].port, sizeof(news->events[at].port), "%s", record->port);
	return 0;
}

static void print_news(FILE *out, const struct news *news)
{
	char time_text[TIME_TEXT_SIZE], address[IP4_TEXT_SIZE];
	char pool[TEXT_SIZE], user[TEXT_SIZE], port[TEXT_SIZE];

	fprintf(out, "\nNEWEST LEASES\n");
	for (size_t i = 0; i < news->n; i++) {
		const struct event *event = &news->events[i];

		fprintf(out, "%s  %-8s  %-15s  %s  %s  %s\n",
			format_time(event->since_sec, time_text),
			event->state == POOL_STATE_ACTIVE ? "granted" : "released",
			format_ip4(ntohl(event->addr_be), address),
			text_plain(event->user, "\"\"", user, sizeof(user)),
			text_plain(event->pool, "-", pool, sizeof(pool)),
			text_plain(event->port, "-", port, sizeof(port)));
	}
	if (news->n == 0)
		fprintf(out, "none yet\n");
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
	struct pool_filter filter = { .all = true };
	struct news news = { 0 };
	struct pool_stats *stats = NULL;
	struct view view = { 0 };
	int code = view_try(&view, invocation->config_path, why);

	if (code == 0)
		code = stats_read(&view, &stats, why);
	if (code == 0) {
		news.room = rows > view.config->n_pools + 5 ? rows - view.config->n_pools - 5 : 0;
		news.events = must_alloc(NULL, news.room + 1, sizeof(*news.events));
		code = pool_walk(view.pool, &filter, note, &news, why);
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
	.brief = "the pools and the newest leases, refreshed, until q",
	.text = "q or Ctrl-C ends it, any other key looks again at once. The configuration is\n"
		"read anew each time, as every pppd that starts does.\n",
	.options = options,
	.run = run,
};
