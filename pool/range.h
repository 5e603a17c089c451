/* SPDX-License-Identifier: MIT */
/*
 * range.h - ordered sets of IPv4 addresses, as lists of intervals.
 *
 * A range_set has two views of the same addresses: the order in which they were written,
 * in which every address has an index from 0 to count - 1, and the order of the addresses
 * themselves, in which membership is looked up. Both cost O(log intervals), whatever the
 * number of addresses, so a /8 costs no more than a /30.
 *
 * Addresses are in host byte order here and everywhere else inside pool/, in a plain
 * uint32_t called `addr`; network order is always called `addr_be`.
 *
 * Not thread-safe for writers; a set that nobody changes may be read by anybody.
 */
#ifndef RASIP_RANGE_H
#define RASIP_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint32_t first; /* host order */
	uint32_t last;  /* host order, inclusive, >= first */
};

/* All-zero is the empty set. The arrays belong to the set. */
struct range_set {
	struct range *ranges;  /* as added; no two overlap */
	uint64_t *first_index; /* index of ranges[i].first */
	size_t *by_address;    /* permutation of 0..n-1 that sorts ranges by address */
	size_t n;
	uint64_t count; /* addresses in all, 0 to 2^32 */
};

/*
 * Appends a range.
 * Returns 0, POOL_E_INVALID if it overlaps one that is there (or last < first), POOL_E_NO_MEMORY.
 * On an error the set is unchanged.
 */
int range_set_add(struct range_set *set, struct range range) __attribute__((warn_unused_result));

/*
 * *ret becomes `set` without the addresses of `less`, in the order of `set`. O((n + m) log m).
 * ret is overwritten without being freed; on an error it is the empty set.
 */
int range_set_subtract(const struct range_set *set, const struct range_set *less,
		       struct range_set *ret) __attribute__((warn_unused_result));

/* The address with this index; index < set->count is the caller's duty. */
uint32_t range_set_at(const struct range_set *set, uint64_t index);

/* True if addr is in the set; then *ret_index, if not NULL, is its index. */
bool range_set_find(const struct range_set *set, uint32_t addr, uint64_t *ret_index);

/* True if the range shares any address with the set; then *ret_which, if not NULL, says with which.
 */
bool range_set_overlaps(const struct range_set *set, struct range range, size_t *ret_which);

/* Frees what it holds and leaves the empty set. */
void range_set_done(struct range_set *set);

#endif
