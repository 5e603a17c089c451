/* SPDX-License-Identifier: MIT */
/* See pppdconf.h. */
#ifndef COMPAT_CHAP_H
#define COMPAT_CHAP_H

typedef int(chap_check_hook_fn)(void);
extern chap_check_hook_fn *chap_check_hook;

#endif
