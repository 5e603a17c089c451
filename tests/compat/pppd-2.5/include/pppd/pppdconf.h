/* SPDX-License-Identifier: MIT */
/*
 * Stands for the headers of pppd 2.5, so that a machine that has 2.4.9 notices when the plugin no
 * longer compiles for 2.5. Written by hand from the documented interface, as far as the plugin
 * uses it: good for compiling and for nothing else. Structures have the members that the plugin
 * names, not their real layout, so never link or load what was compiled with them.
 */
#ifndef COMPAT_PPPDCONF_H
#define COMPAT_PPPDCONF_H

#define PPPD_VERSION "2.5.compile-check"

#endif
