/* SPDX-License-Identifier: MIT */
/*
 * book_slab.h - many objects of one size. What was freed is kept for the next one, so undoing never
 * needs memory that was not there before.
 */
#ifndef RASIP_MADCAP_BOOK_SLAB_H
#define RASIP_MADCAP_BOOK_SLAB_H

#include <stddef.h>

struct slab {
	size_t size; /* of an object; at least a pointer's */
	void *chunks;
	void *unused;
};

/* Zeroed, or NULL without memory. */
void *slab_get(struct slab *slab);
void slab_put(struct slab *slab, void *object);

/* Makes sure that the next n slab_get() succeed; returns 0 or -1. */
int slab_reserve(struct slab *slab, size_t n);
void slab_done(struct slab *slab);

#endif
