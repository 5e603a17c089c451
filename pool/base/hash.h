/* SPDX-License-Identifier: MIT */
/*
 * hash.h - FNV-1a, 64 bits: to tell things apart that nobody chose on purpose to look alike. What a
 * peer can choose wants a keyed hash.
 */
#ifndef RASIP_HASH_H
#define RASIP_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Goes on from `hash`: HASH_START, or what the last call returned. */
uint64_t hash_bytes(uint64_t hash, const void *data, size_t size);

#endif
