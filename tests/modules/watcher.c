/* SPDX-License-Identifier: MIT */
/* scripted.c without get and release. */
#define WITHOUT_PAIR
#include "scripted.c"
