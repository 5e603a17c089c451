/* SPDX-License-Identifier: MIT */
#ifndef HARNESS_STORM_H
#define HARNESS_STORM_H

#include "fleet.h"

/* Plays call->sessions sessions, call->parallel processes at a time, and writes the answer. */
int storm_run(struct fleet *fleet, const struct call *call, char *text, size_t size);

#endif
