/* SPDX-License-Identifier: MIT */
/* array.h - how many elements an array has; not for pointers. */
#ifndef RASIP_ARRAY_H
#define RASIP_ARRAY_H

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
