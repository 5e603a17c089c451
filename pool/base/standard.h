/* SPDX-License-Identifier: MIT */
/*
 * standard.h - a program's standard descriptors.
 */
#ifndef RASIP_STANDARD_H
#define RASIP_STANDARD_H

/*
 * Has something stand at descriptors 0 to 2, where whoever started us left one closed: else a store
 * or a socket could be opened there, and output be written into it. What is put there cannot be
 * written to, so output is still missed.
 */
void standard_fill(void);

#endif
