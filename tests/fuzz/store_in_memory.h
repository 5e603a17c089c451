/* SPDX-License-Identifier: MIT */
/* store_in_memory.h - takes the place of store.c in fuzz targets. */
#ifndef RASIP_FUZZ_STORE_IN_MEMORY_H
#define RASIP_FUZZ_STORE_IN_MEMORY_H

/* Removes all stores; none may be open. */
void store_in_memory_empty(void);

#endif
