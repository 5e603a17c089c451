/* SPDX-License-Identifier: MIT */
/*
 * version.h - which rasip this is; debian/changelog has the same.
 */
#ifndef RASIP_BASE_VERSION_H
#define RASIP_BASE_VERSION_H

#ifndef RASIP_VERSION
#define RASIP_VERSION "1.0.0"
#endif

#endif
