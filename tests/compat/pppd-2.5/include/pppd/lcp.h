/* SPDX-License-Identifier: MIT */
/* See pppdconf.h. */
#ifndef COMPAT_LCP_H
#define COMPAT_LCP_H

void lcp_close(int unit, char *reason);

#endif
