/* SPDX-License-Identifier: MIT */
/* See pppdconf.h. */
#ifndef COMPAT_FSM_H
#define COMPAT_FSM_H

#define OPENED 9

typedef struct fsm {
	int state;
} fsm;

#endif
