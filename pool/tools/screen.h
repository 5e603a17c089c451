/* SPDX-License-Identifier: MIT */
/*
 * screen.h - a full screen of lines on a terminal, of which only what changed is sent again.
 *
 * One screen a process. From screen_open() to screen_close() the alternate screen is shown, the
 * cursor is hidden and keys come one by one; exit(3) closes it as well. SIGINT, SIGTERM and SIGHUP
 * become SCREEN_QUIT, SIGWINCH becomes SCREEN_REDRAW; SIGTSTP gives the terminal back and stops
 * the process until it is continued. These signals are blocked except inside screen_wait().
 */
#ifndef RASIP_SCREEN_H
#define RASIP_SCREEN_H

#include <stdbool.h>

enum screen_event {
	SCREEN_TIMEOUT,
	SCREEN_REDRAW, /* the size has changed, or a redraw was asked for */
	SCREEN_KEY,
	SCREEN_QUIT,
};

/* Takes the terminal over. Returns 0 or -1 with errno. */
int screen_open(void);
void screen_close(void);

/* In a signal handler that ends the process: gives the terminal back, if it was taken. */
void screen_drop(void);

int screen_rows(void);
int screen_columns(void);

/* Shows `text`, lines with a newline each, cut to the screen. Colour sequences are understood. */
void screen_show(const char *text);

/* Waits for at most `timeout_ms`; *ret_key is set for SCREEN_KEY. */
enum screen_event screen_wait(int timeout_ms, char *ret_key);

#endif
