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

#define NEWS_MAX 1000 /* more than a screen has rows */

/* What there is to be shown, and the remainder of what was read with it. */
struct look {
	struct view view;
	struct pool_stats *stats;
	struct past_list news;
};

static void look_done(struct look *look)
{
	free(look->stats);
	past_done(&look->news);
	view_close(&look->view);
	*look = (struct look){ 0 };
}

/* Where all could be read, there is nothing to be said: no store yet is no mistake. */
static int look_at_all(struct look *look, struct error *why)
{
	int code = stats_read(&look->view, &look->stats, why);

	if (code == 0)
		code = past_read_newest(&look->news, look->view.pool, NEWS_MAX, why);
	if (code == 0)
		why->text[0] = '\0';
	return code;
}

static const struct cell *news_cells(const struct past_list *news, size_t i, bool measure,
				     struct past_text *text)
{
	const struct pool_past past = past_event(news, i);

	return past_cells(&past, measure, text);
}

/* The newest ones first. */
static void print_news(FILE *out, const struct past_list *news, size_t room)
{
	/* Wide enough for most, so that columns do not move about. */
	struct table table = { .title = { PAST_TITLES }, .width = { [1] = 8, [2] = 15 } };
	size_t oldest = news->n > room ? news->n - room : 0;
	struct past_text text = { 0 };

	fprintf(out, "\nNEWEST EVENTS\n");
	for (size_t i = news->n; i > oldest; i--)
		table_measure(&table, news_cells(news, i - 1, true, &text));
	for (size_t i = news->n; i > oldest; i--)
		table_row(&table, out, news_cells(news, i - 1, false, &text));
	if (news->n == 0)
		fprintf(out, "none yet\n");
}

/* How many rows the pools leave. */
static size_t news_room(const struct config *config)
{
	size_t rows = (size_t)screen_rows();

	return rows > config->n_pools + 6 ? rows - config->n_pools - 5 : 1;
}

/* Pools come first; the remainder of the screen is for the news. */
static void print_pools(FILE *out, const struct look *look, size_t room)
{
	size_t n_pools = look->view.config->n_pools;
	size_t n = n_pools;

	if (n > room)
		n = room > 1 ? room - 1 : 0;
	pools_print(out, look->stats, n, screen_columns(), terminal_has_colours());
	if (n < n_pools)
		fprintf(out, "and %zu more pool%s\n", n_pools - n, plural_s(n_pools - n));
}

/* What was read last goes on being shown while it cannot be read. */
struct frame {
	struct look look;
	struct error why;
};

/* Reads everything anew, the configuration too: so does every pppd that starts. */
static void read_frame(struct frame *frame, const char *config_path)
{
	struct look now = { 0 };
	int code = view_try(&now.view, config_path, &frame->why);

	if (code == 0)
		code = look_at_all(&now, &frame->why);
	if (code < 0) {
		look_done(&now);
		return;
	}
	look_done(&frame->look);
	frame->look = now;
}

static void show_frame(const struct frame *frame, const struct invocation *invocation)
{
	char now[TIME_TEXT_SIZE], path[1024], why[4 * sizeof(frame->why.text)];
	size_t rows = (size_t)screen_rows();
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		out_of_memory();
	fprintf(out, "rasip  %s  q: quit  %s\n", format_time((int64_t)time(NULL), now),
		text_plain(invocation->config_path, "-", path, sizeof(path)));
	fprintf(out, "%s\n", text_utf8(frame->why.text, true, why, sizeof(why)));
	print_pools(out, &frame->look, rows > 3 ? rows - 3 : 0);
	print_news(out, &frame->look.news, news_room(frame->look.view.config));
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

/* From the first look on. */
static int watch(const struct invocation *invocation, struct frame *frame, int interval_ms)
{
	char key = '\0';
	bool quit = false;

	if (screen_open() < 0)
		return complain("the terminal cannot be taken over");
	while (!quit) {
		show_frame(frame, invocation);
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
		if (!quit)
			read_frame(frame, invocation->config_path);
	}
	screen_close();
	return EXIT_DONE;
}

static int run(const struct invocation *invocation)
{
	const char *interval = invocation->option[OPTION_INTERVAL];
	int64_t interval_sec = INTERVAL_DEFAULT_SEC;
	struct frame frame = { 0 };
	int status;

	if (interval != NULL && (!parse_duration(interval, &interval_sec) || interval_sec < 1 ||
				 interval_sec > INTERVAL_MAX_SEC))
		return complain_usage(invocation->verb, "'%s' is not a time from 1s to 1h",
				      interval);
	status = check_terminal();
	if (status != 0)
		return status;
	/* What is wrong from the beginning is said on a line, not on a screen. */
	status = view_open(&frame.look.view, invocation, NULL);
	if (status != 0)
		return status;
	if (look_at_all(&frame.look, &frame.why) < 0)
		status = complain("%s", frame.why.text);
	else
		status = watch(invocation, &frame, (int)interval_sec * 1000);
	look_done(&frame.look);
	return status;
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
