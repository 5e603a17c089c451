/* SPDX-License-Identifier: MIT */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "tool.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J" /* alternate screen, no cursor, no wrapping */
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

static struct screen {
	bool open;
	bool keys; /* standard input is there to be read */
	bool raw;  /* `saved` is to be restored */
	struct termios saved;
	sigset_t normal_mask;
	int rows, columns;
	char **shown; /* what each row shows, or NULL: unknown */
	int n_shown;
} screen;

static volatile sig_atomic_t quit_seen, resize_seen, stop_seen;

static void on_quit(int signum)
{
	(void)signum;
	quit_seen = 1;
}

static void on_resize(int signum)
{
	(void)signum;
	resize_seen = 1;
}

static void on_stop(int signum)
{
	(void)signum;
	stop_seen = 1;
}

static const struct {
	int signum;
	void (*handler)(int);
} signals[] = {
	{ SIGINT, on_quit },     { SIGTERM, on_quit }, { SIGHUP, on_quit },
	{ SIGWINCH, on_resize }, { SIGTSTP, on_stop }, { SIGCONT, on_resize },
};

#define N_SIGNALS ARRAY_SIZE(signals)

static void catch_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaddset(&mask, signals[i].signum);
	sigprocmask(SIG_BLOCK, &mask, &screen.normal_mask);
	for (size_t i = 0; i < N_SIGNALS; i++) {
		struct sigaction action = { .sa_handler = signals[i].handler };

		sigdelset(&screen.normal_mask, signals[i].signum);
		sigaction(signals[i].signum, &action, NULL);
	}
}

static void forget_shown(void)
{
	for (int i = 0; i < screen.n_shown; i++)
		free(screen.shown[i]);
	free(screen.shown);
	screen.shown = NULL;
	screen.n_shown = 0;
}

/* Some terminals, serial ones for instance, do not know their size. */
static void measure(void)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) {
		size.ws_row = 24;
		size.ws_col = 80;
	}
	forget_shown();
	screen.rows = size.ws_row;
	screen.columns = size.ws_col;
	screen.n_shown = screen.rows;
	screen.shown = must_alloc(NULL, (size_t)screen.rows, sizeof(*screen.shown));
	memset(screen.shown, 0, (size_t)screen.rows * sizeof(*screen.shown));
	fputs("\033[2J", stdout);
}

static void take(void)
{
	struct termios mode;

	screen.raw = tcgetattr(STDIN_FILENO, &screen.saved) == 0;
	if (screen.raw) {
		mode = screen.saved;
		mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		mode.c_cc[VMIN] = 1;
		mode.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
	}
	fputs(ENTER, stdout);
	screen.open = true;
	measure();
	fflush(stdout);
}

static void give_back(void)
{
	fputs(LEAVE, stdout);
	fflush(stdout);
	if (screen.raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.saved);
	screen.open = false;
}

void screen_drop(void)
{
	if (!screen.open)
		return;
	if (write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1) < 0)
		return; /* the terminal has gone */
	if (screen.raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.saved);
}

int screen_open(void)
{
	if (!isatty(STDOUT_FILENO))
		return -1;
	screen.keys = true;
	if (atexit(screen_close) != 0)
		return -1;
	catch_signals();
	take();
	return 0;
}

void screen_close(void)
{
	if (!screen.open)
		return;
	give_back();
	forget_shown();
}

int screen_rows(void)
{
	return screen.rows;
}

int screen_columns(void)
{
	return screen.columns;
}

/* A copy of the line, cut behind `columns` visible characters; sequences take no room. */
static char *cut_line(const char *line, size_t len, int columns)
{
	static const char plain[] = "\033[0m";
	char *copy = must_alloc(NULL, len + sizeof(plain), 1);
	bool coloured = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\033') {
			coloured = true;
			while (i < len && line[i] != 'm')
				copy[n++] = line[i++];
			if (i < len)
				copy[n++] = 'm';
		} else if (columns > 0) {
			columns--;
			copy[n++] = line[i];
		}
	}
	if (coloured)
		memcpy(copy + n, plain, sizeof(plain));
	else
		copy[n] = '\0';
	return copy;
}

void screen_show(const char *text)
{
	for (int row = 0; row < screen.rows; row++) {
		size_t len = strcspn(text, "\n");
		char *line = cut_line(text, len, screen.columns);

		text += len;
		if (*text == '\n')
			text++;
		if (screen.shown[row] != NULL && strcmp(screen.shown[row], line) == 0) {
			free(line);
			continue;
		}
		printf("\033[%d;1H\033[K%s", row + 1, line);
		free(screen.shown[row]);
		screen.shown[row] = line;
	}
	fflush(stdout);
}

/* As the terminal's driver would have done, but with the terminal as it was before. */
static void stop(void)
{
	give_back();
	raise(SIGSTOP);
	take();
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Signals that came are looked at here, outside the handlers. Returns false if there were none. */
static bool take_signal(enum screen_event *ret)
{
	if (quit_seen) {
		*ret = SCREEN_QUIT;
	} else if (stop_seen) {
		stop_seen = 0;
		stop();
		*ret = SCREEN_REDRAW;
	} else if (resize_seen) {
		resize_seen = 0;
		measure();
		*ret = SCREEN_REDRAW;
	} else {
		return false;
	}
	return true;
}

/* Returns false at the end of the input, which is then not looked at any more. */
static bool read_key(char *ret)
{
	ssize_t n = read(STDIN_FILENO, ret, 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		*ret = '\0';
	else if (n <= 0)
		screen.keys = false;
	return screen.keys;
}

enum screen_event screen_wait(int timeout_ms, char *ret_key)
{
	int64_t end_ms = clock_ms() + timeout_ms;
	enum screen_event event;

	for (;;) {
		struct pollfd in = { .fd = screen.keys ? STDIN_FILENO : -1, .events = POLLIN };
		int64_t left_ms = end_ms - clock_ms();
		struct timespec left = { 0 };
		int n;

		if (left_ms > 0)
			left = (struct timespec){ .tv_sec = (time_t)(left_ms / 1000),
						  .tv_nsec = (long)(left_ms % 1000) * 1000000 };
		n = ppoll(&in, 1, &left, &screen.normal_mask);
		if (take_signal(&event))
			return event;
		if (n == 0)
			return SCREEN_TIMEOUT;
		if (n > 0 && read_key(ret_key))
			return SCREEN_KEY;
	}
}
