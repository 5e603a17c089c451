/* SPDX-License-Identifier: MIT */
#include "book_space.h"

#include <string.h>

#define NONE_FREE UINT64_MAX

/* ---- the tree -------------------------------------------------------------------------------- */

static uint32_t next_priority(struct space *space)
{
	uint64_t value = space->random += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(value >> 33);
}

/* What a node knows of itself alone. */
static void pull_self(struct run *run)
{
	const struct booking *booking = run->bookings;

	run->longest_free = booking == NULL ? run->last - run->first : NONE_FREE;
	run->earliest_end = UINT32_MAX;
	run->latest_start = 0;
	run->longest_gap = 0;
	if (booking == NULL || run->is_outside)
		return;
	run->latest_start = booking->by->start_sec;
	for (; booking->next != NULL; booking = booking->next) {
		uint32_t end = booking->by->end_sec;
		uint32_t next = booking->next->by->start_sec;

		if (next > end && next - end > run->longest_gap)
			run->longest_gap = next - end;
	}
	run->earliest_end = booking->by->end_sec;
}

static bool is_longer(uint64_t more, uint64_t than)
{
	return more != NONE_FREE && (than == NONE_FREE || more > than);
}

static void pull(struct run *run)
{
	const struct run *children[] = { run->left, run->right };

	pull_self(run);
	for (int i = 0; i < 2; i++) {
		const struct run *child = children[i];

		if (child == NULL)
			continue;
		if (is_longer(child->longest_free, run->longest_free))
			run->longest_free = child->longest_free;
		if (child->earliest_end < run->earliest_end)
			run->earliest_end = child->earliest_end;
		if (child->latest_start > run->latest_start)
			run->latest_start = child->latest_start;
		if (child->longest_gap > run->longest_gap)
			run->longest_gap = child->longest_gap;
	}
}

/* Everything below `at` to the left, the rest to the right. */
static void split(struct run *run, uint64_t at, struct run **ret_left, struct run **ret_right)
{
	if (run == NULL) {
		*ret_left = NULL;
		*ret_right = NULL;
	} else if (run->first < at) {
		*ret_left = run;
		split(run->right, at, &run->right, ret_right);
		pull(run);
	} else {
		*ret_right = run;
		split(run->left, at, ret_left, &run->left);
		pull(run);
	}
}

static struct run *merge(struct run *left, struct run *right)
{
	if (left == NULL)
		return right;
	if (right == NULL)
		return left;
	if (left->priority > right->priority) {
		left->right = merge(left->right, right);
		pull(left);
		return left;
	}
	right->left = merge(left, right->left);
	pull(right);
	return right;
}

static struct run *insert_into(struct run *root, struct run *run)
{
	if (root == NULL || run->priority > root->priority) {
		split(root, run->first, &run->left, &run->right);
		pull(run);
		return run;
	}
	if (run->first < root->first)
		root->left = insert_into(root->left, run);
	else
		root->right = insert_into(root->right, run);
	pull(root);
	return root;
}

static struct run *remove_from(struct run *root, const struct run *run)
{
	if (root == run)
		return merge(root->left, root->right);
	if (run->first < root->first)
		root->left = remove_from(root->left, run);
	else
		root->right = remove_from(root->right, run);
	pull(root);
	return root;
}

/* After a run has changed in place. */
static void refresh(struct run *root, const struct run *run)
{
	if (root != run)
		refresh(run->first < root->first ? root->left : root->right, run);
	pull(root);
}

/* The last run that begins at or before the address, or NULL. */
static struct run *run_before(const struct space *space, uint64_t address)
{
	struct run *found = NULL;

	for (struct run *run = space->root; run != NULL;) {
		if (run->first <= address) {
			found = run;
			run = run->right;
		} else {
			run = run->left;
		}
	}
	return found;
}

static struct run *run_at(const struct space *space, uint64_t address)
{
	struct run *run = run_before(space, address);

	return run != NULL && run->last >= address ? run : NULL;
}

static struct run *add_run(struct space *space, uint64_t first, uint64_t last)
{
	struct run *run = slab_get(space->runs);

	if (run == NULL)
		return NULL;
	run->first = first;
	run->last = last;
	run->priority = next_priority(space) & 0x7fffffff;
	return run;
}

static void drop_run(struct space *space, struct run *run)
{
	space->root = remove_from(space->root, run);
	slab_put(space->runs, run);
}

/* ---- free addresses and bookings ------------------------------------------------------------- */

static void clear_below(struct space *space, struct run *run)
{
	if (run == NULL)
		return;
	clear_below(space, run->left);
	clear_below(space, run->right);
	while (run->bookings != NULL) {
		struct booking *booking = run->bookings;

		run->bookings = booking->next;
		slab_put(space->bookings, booking);
	}
	slab_put(space->runs, run);
}

void space_clear(struct space *space)
{
	clear_below(space, space->root);
	space->root = NULL;
	space->size = 0;
	space->free = 0;
}

bool space_add(struct space *space, uint64_t first, uint64_t last)
{
	struct run *run = add_run(space, first, last);
	uint64_t more = last - first;

	if (run == NULL)
		return false;
	space->root = insert_into(space->root, run);
	/* Only the count of all 2^64 addresses would not fit. */
	space->size = space->size + more == UINT64_MAX ? UINT64_MAX : space->size + more + 1;
	space->free = space->size;
	return true;
}

/* Makes the address a run of its own; false without memory. */
static bool isolate(struct space *space, uint64_t address, struct run **ret)
{
	struct run *run = run_at(space, address);
	uint64_t last;

	if (slab_reserve(space->runs, 2) < 0)
		return false;
	if (run == NULL) {
		run = add_run(space, address, address);
		run->is_outside = 1;
		space->root = insert_into(space->root, run);
	}
	last = run->last;
	if (run->first < address) {
		run->last = address - 1;
		refresh(space->root, run);
		run = add_run(space, address, address);
		space->root = insert_into(space->root, run);
	}
	if (last > address) {
		struct run *rest = add_run(space, address + 1, last);

		run->last = address;
		refresh(space->root, run);
		space->root = insert_into(space->root, rest);
	}
	*ret = run;
	return true;
}

bool space_book(struct space *space, uint64_t address, const struct booker *by)
{
	struct booking *booking = slab_get(space->bookings);
	struct booking **at;
	struct run *run;

	if (booking == NULL || !isolate(space, address, &run)) {
		if (booking != NULL)
			slab_put(space->bookings, booking);
		return false;
	}
	if (run->bookings == NULL && !run->is_outside)
		space->free--;
	for (at = &run->bookings; *at != NULL && (*at)->by->start_sec < by->start_sec;)
		at = &(*at)->next;
	booking->by = by;
	booking->next = *at;
	*at = booking;
	refresh(space->root, run);
	return true;
}

/* Joins a run that has become free to its neighbours. */
static void join(struct space *space, struct run *run)
{
	struct run *before = run->first > 0 ? run_at(space, run->first - 1) : NULL;
	struct run *behind = run->last < UINT64_MAX ? run_at(space, run->last + 1) : NULL;

	if (behind != NULL && behind->bookings == NULL) {
		uint64_t last = behind->last;

		drop_run(space, behind);
		run->last = last;
		refresh(space->root, run);
	}
	if (before != NULL && before->bookings == NULL) {
		uint64_t last = run->last;

		drop_run(space, run);
		before->last = last;
		refresh(space->root, before);
	}
}

void space_unbook(struct space *space, uint64_t address, const struct booker *by)
{
	struct run *run = run_at(space, address);
	struct booking **at;
	struct booking *gone;

	if (run == NULL)
		return;
	for (at = &run->bookings; *at != NULL && (*at)->by != by;)
		at = &(*at)->next;
	gone = *at;
	if (gone == NULL)
		return;
	*at = gone->next;
	slab_put(space->bookings, gone);
	if (run->bookings == NULL && run->is_outside) {
		drop_run(space, run);
		return;
	}
	refresh(space->root, run);
	if (run->bookings == NULL) {
		space->free++;
		join(space, run);
	}
}

const struct booking *space_bookings(const struct space *space, uint64_t address)
{
	const struct run *run = run_at(space, address);

	return run == NULL ? NULL : run->bookings;
}

/* ---- searching ------------------------------------------------------------------------------- */

/* The part of a free run that lies in the window: its length less one. */
static bool clip(const struct run *run, const struct window *window, uint64_t *ret_first,
		 uint64_t *ret_more)
{
	uint64_t first = run->first > window->lo ? run->first : window->lo;
	uint64_t last = run->last < window->hi ? run->last : window->hi;

	if (run->bookings != NULL || first > last)
		return false;
	*ret_first = first;
	*ret_more = last - first;
	return true;
}

static bool find_run(const struct run *run, const struct window *window, uint64_t more,
		     uint64_t *ret_first)
{
	uint64_t have;

	if (run == NULL || run->longest_free == NONE_FREE || run->longest_free < more)
		return false;
	if (run->first > window->lo && find_run(run->left, window, more, ret_first))
		return true;
	if (clip(run, window, ret_first, &have) && have >= more)
		return true;
	return run->first < window->hi && find_run(run->right, window, more, ret_first);
}

bool space_find_run(const struct space *space, const struct window *window, uint64_t need,
		    uint64_t *ret_first)
{
	return find_run(space->root, window, need - 1, ret_first);
}

static void longest_run(const struct run *run, const struct window *window, uint64_t *best_first,
			uint64_t *best_more)
{
	uint64_t first, more;

	if (run == NULL || !is_longer(run->longest_free, *best_more))
		return;
	if (run->first > window->lo)
		longest_run(run->left, window, best_first, best_more);
	if (clip(run, window, &first, &more) && is_longer(more, *best_more)) {
		*best_first = first;
		*best_more = more;
	}
	if (run->first < window->hi)
		longest_run(run->right, window, best_first, best_more);
}

bool space_longest_run(const struct space *space, const struct window *window, uint64_t *ret_first,
		       uint64_t *ret_more)
{
	uint64_t more = NONE_FREE;

	longest_run(space->root, window, ret_first, &more);
	if (more == NONE_FREE)
		return false;
	*ret_more = more;
	return true;
}

/* True if an address with these bookings is free in the window's time. */
static bool fits_between(const struct booking *booking, const struct window *window, uint64_t extra)
{
	uint64_t free_from = 0;

	for (; booking != NULL; booking = booking->next) {
		if (window->start_sec >= free_from &&
		    window->end_sec + extra <= booking->by->start_sec)
			return true;
		free_from = booking->by->end_sec + extra;
	}
	return window->start_sec >= free_from;
}

/* False if no booked address of the subtree can be free in the window's time. */
static bool may_have_gap(const struct run *run, const struct window *window, uint64_t extra)
{
	uint64_t need = window->end_sec - window->start_sec + 2 * extra;

	return run->earliest_end + extra <= window->start_sec ||
	       window->end_sec + extra <= run->latest_start || run->longest_gap >= need;
}

static bool find_gap(const struct space *space, const struct run *run, const struct window *window,
		     uint64_t *ret_address)
{
	if (run == NULL || !may_have_gap(run, window, space->extra_sec))
		return false;
	if (run->first > window->lo && find_gap(space, run->left, window, ret_address))
		return true;
	if (run->bookings != NULL && !run->is_outside && run->first >= window->lo &&
	    run->first <= window->hi && fits_between(run->bookings, window, space->extra_sec)) {
		*ret_address = run->first;
		return true;
	}
	return run->first < window->hi && find_gap(space, run->right, window, ret_address);
}

bool space_find_gap(const struct space *space, const struct window *window, uint64_t *ret_address)
{
	return find_gap(space, space->root, window, ret_address);
}

static bool find_first(const struct space *space, const struct run *run,
		       const struct window *window, uint64_t *ret_address)
{
	uint64_t more;

	if (run == NULL ||
	    (run->longest_free == NONE_FREE && !may_have_gap(run, window, space->extra_sec)))
		return false;
	if (run->first > window->lo && find_first(space, run->left, window, ret_address))
		return true;
	if (clip(run, window, ret_address, &more))
		return true;
	if (run->bookings != NULL && !run->is_outside && run->first >= window->lo &&
	    run->first <= window->hi && fits_between(run->bookings, window, space->extra_sec)) {
		*ret_address = run->first;
		return true;
	}
	return run->first < window->hi && find_first(space, run->right, window, ret_address);
}

bool space_find_first(const struct space *space, const struct window *window, uint64_t *ret_address)
{
	return find_first(space, space->root, window, ret_address);
}

static void count_available(const struct space *space, const struct run *run,
			    const struct window *window, uint64_t most, uint64_t *n)
{
	uint64_t first, more;

	if (run == NULL || *n >= most ||
	    (run->longest_free == NONE_FREE && !may_have_gap(run, window, space->extra_sec)))
		return;
	if (run->first > window->lo)
		count_available(space, run->left, window, most, n);
	if (clip(run, window, &first, &more))
		*n = more >= most - 1 ? most : *n + more + 1;
	else if (run->bookings != NULL && !run->is_outside && run->first >= window->lo &&
		 run->first <= window->hi && fits_between(run->bookings, window, space->extra_sec))
		*n += 1;
	if (run->first < window->hi)
		count_available(space, run->right, window, most, n);
}

uint64_t space_available(const struct space *space, const struct window *window, uint64_t most)
{
	uint64_t n = 0;

	count_available(space, space->root, window, most, &n);
	return n < most ? n : most;
}
