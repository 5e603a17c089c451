/* SPDX-License-Identifier: MIT */
/* See pppdconf.h. */
#ifndef COMPAT_UPAP_H
#define COMPAT_UPAP_H

typedef int(pap_check_hook_fn)(void);
extern pap_check_hook_fn *pap_check_hook;

#endif
