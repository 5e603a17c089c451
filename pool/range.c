/* SPDX-License-Identifier: MIT */
#include "range.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

static uint64_t range_count(struct range range)
{
	return (uint64_t)range.last - range.first + 1;
}

static const struct range *range_by_address(const struct range_set *set, size_t position)
{
	return &set->ranges[set->by_address[position]];
}

/* The position in by_address of the first range that ends at or behind addr; n if none does. */
static size_t range_lower_bound(const struct range_set *set, uint32_t addr)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (range_by_address(set, middle)->last < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Room for one more. The arrays double whenever n reaches a power of two, so no capacity is kept.
 */
static int range_set_grow(struct range_set *set)
{
	size_t room = set->n == 0 ? 1 : set->n * 2;
	struct range *ranges;
	uint64_t *first_index;
	size_t *by_address;

	if ((set->n & (set->n - 1)) != 0)
		return 0;
	ranges = reallocarray(set->ranges, room, sizeof(*ranges));
	if (ranges == NULL)
		return POOL_E_NO_MEMORY;
	set->ranges = ranges;
	first_index = reallocarray(set->first_index, room, sizeof(*first_index));
	if (first_index == NULL)
		return POOL_E_NO_MEMORY;
	set->first_index = first_index;
	by_address = reallocarray(set->by_address, room, sizeof(*by_address));
	if (by_address == NULL)
		return POOL_E_NO_MEMORY;
	set->by_address = by_address;
	return 0;
}

int range_set_add(struct range_set *set, struct range range)
{
	size_t position;

	if (range.last < range.first)
		return POOL_E_INVALID;
	position = range_lower_bound(set, range.first);
	if (position < set->n && range_by_address(set, position)->first <= range.last)
		return POOL_E_INVALID;
	if (range_set_grow(set) < 0)
		return POOL_E_NO_MEMORY;
	memmove(&set->by_address[position + 1], &set->by_address[position],
		(set->n - position) * sizeof(*set->by_address));
	set->by_address[position] = set->n;
	set->ranges[set->n] = range;
	set->first_index[set->n] = set->count;
	set->count += range_count(range);
	set->n++;
	return 0;
}

/* Adds to `ret` what is left of `range` without `less`. */
static int subtract_from_range(struct range range, const struct range_set *less,
			       struct range_set *ret)
{
	uint64_t next = range.first; /* not handled yet; past UINT32_MAX at the very end */
	int code;

	for (size_t i = range_lower_bound(less, range.first); i < less->n; i++) {
		const struct range *hole = range_by_address(less, i);

		if (hole->first > range.last)
			break;
		if (hole->first > next) {
			code = range_set_add(ret,
					     (struct range){ (uint32_t)next, hole->first - 1 });
			if (code < 0)
				return code;
		}
		next = (uint64_t)hole->last + 1;
	}
	if (next > range.last)
		return 0;
	return range_set_add(ret, (struct range){ (uint32_t)next, range.last });
}

int range_set_subtract(const struct range_set *set, const struct range_set *less,
		       struct range_set *ret)
{
	struct range_set result = { 0 };

	*ret = result;
	for (size_t i = 0; i < set->n; i++) {
		int code = subtract_from_range(set->ranges[i], less, &result);

		if (code < 0) {
			range_set_done(&result);
			return code;
		}
	}
	*ret = result;
	return 0;
}

uint32_t range_set_at(const struct range_set *set, uint64_t index)
{
	size_t low = 0, high = set->n;

	/* The last range whose first index is not above `index`. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (set->first_index[middle] <= index)
			low = middle;
		else
			high = middle;
	}
	return (uint32_t)(set->ranges[low].first + (index - set->first_index[low]));
}

bool range_set_find(const struct range_set *set, uint32_t addr, uint64_t *ret_index)
{
	size_t position = range_lower_bound(set, addr);
	size_t which;

	if (position == set->n || range_by_address(set, position)->first > addr)
		return false;
	which = set->by_address[position];
	if (ret_index != NULL)
		*ret_index = set->first_index[which] + (addr - set->ranges[which].first);
	return true;
}

bool range_set_overlaps(const struct range_set *set, struct range range, size_t *ret_which)
{
	size_t position = range_lower_bound(set, range.first);

	if (position == set->n || range_by_address(set, position)->first > range.last)
		return false;
	if (ret_which != NULL)
		*ret_which = set->by_address[position];
	return true;
}

void range_set_done(struct range_set *set)
{
	free(set->ranges);
	free(set->first_index);
	free(set->by_address);
	*set = (struct range_set){ 0 };
}
