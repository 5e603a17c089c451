/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "error.h"
#include "range.h"
#include "suite.h"

/* Random sets live in a small universe, at either end of the address space, beside a bitmap. */
#define UNIVERSE 256
#define ROUNDS 2000

struct model {
	bool has[UNIVERSE];
	struct range order[UNIVERSE]; /* as added, relative to the base */
	size_t n;
};

/* ck_assert is too slow for millions of checks: it writes down every one. */
static void require(bool ok, const char *what)
{
	if (!ok)
		ck_abort_msg("%s", what);
}

static const uint32_t bases[] = { 0, 0x0a000000, UINT32_MAX - UNIVERSE + 1 };
static uint64_t random_state;

/* xorshift: the same numbers for the same seed, everywhere. */
static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % bound;
}

/* $RASIP_SEED repeats a run. */
static void seed_random(void)
{
	const char *given = getenv("RASIP_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random_state = given != NULL ? strtoull(given, NULL, 0)
				     : (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15 + 1;
	fprintf(stderr, "test_range: RASIP_SEED=%" PRIu64 "\n", random_state);
}

static bool model_overlaps(const struct model *model, struct range range)
{
	for (uint32_t a = range.first; a <= range.last; a++) {
		if (model->has[a])
			return true;
	}
	return false;
}

static void model_add(struct model *model, struct range range)
{
	for (uint32_t a = range.first; a <= range.last; a++)
		model->has[a] = true;
	model->order[model->n++] = range;
}

static struct range random_range(void)
{
	uint32_t first = random_below(UNIVERSE);
	uint32_t length = random_below(random_below(8) == 0 ? UNIVERSE : 12);
	uint32_t last = first + length < UNIVERSE ? first + length : UNIVERSE - 1;

	return (struct range){ first, last };
}

static void fill(struct range_set *set, struct model *model, uint32_t base)
{
	uint32_t tries = random_below(30);

	for (uint32_t i = 0; i < tries; i++) {
		struct range range = random_range();
		struct range real = { base + range.first, base + range.last };
		size_t which = 999;
		bool overlaps = model_overlaps(model, range);

		require(range_set_overlaps(set, real, &which) == overlaps, "overlaps");
		if (overlaps) {
			require(which < set->n && set->ranges[which].first <= real.last &&
					set->ranges[which].last >= real.first,
				"overlaps with which");
			require(range_set_add(set, real) == POOL_E_INVALID, "add an overlap");
		} else {
			require(range_set_add(set, real) == 0, "add");
			model_add(model, range);
		}
		require(set->n == model->n, "n");
	}
}

/* The set has exactly the model's addresses, in the model's order. */
static void compare(const struct range_set *set, const struct model *model, uint32_t base)
{
	uint64_t next = 0, index;

	for (size_t i = 0; i < model->n; i++) {
		for (uint32_t a = model->order[i].first; a <= model->order[i].last; a++) {
			require(range_set_at(set, next) == base + a, "at");
			require(range_set_find(set, base + a, &index), "find");
			require(index == next, "index");
			next++;
		}
	}
	require(set->count == next, "count");
	for (uint32_t a = 0; a < UNIVERSE; a++)
		require(range_set_find(set, base + a, NULL) == model->has[a], "membership");
}

/* What is left of the model's order, address by address, and merged again. */
static void model_subtract(const struct model *model, const struct model *less, struct model *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < model->n; i++) {
		bool open = false;

		for (uint32_t a = model->order[i].first; a <= model->order[i].last; a++) {
			if (less->has[a]) {
				open = false;
				continue;
			}
			ret->has[a] = true;
			if (open)
				ret->order[ret->n - 1].last = a;
			else
				ret->order[ret->n++] = (struct range){ a, a };
			open = true;
		}
	}
}

START_TEST(random_sets_match_a_bitmap)
{
	uint32_t base = bases[_i];

	for (int round = 0; round < ROUNDS; round++) {
		struct range_set set = { 0 }, less = { 0 }, rest;
		struct model model = { 0 }, less_model = { 0 }, rest_model;

		fill(&set, &model, base);
		fill(&less, &less_model, base);
		compare(&set, &model, base);
		ck_assert_int_eq(range_set_subtract(&set, &less, &rest), 0);
		model_subtract(&model, &less_model, &rest_model);
		compare(&rest, &rest_model, base);
		range_set_done(&set);
		range_set_done(&less);
		range_set_done(&rest);
	}
}
END_TEST

START_TEST(the_whole_space)
{
	struct range_set all = { 0 }, none = { 0 }, rest;
	uint64_t index;

	ck_assert_int_eq(range_set_add(&all, (struct range){ 0, UINT32_MAX }), 0);
	ck_assert_uint_eq(all.count, UINT64_C(1) << 32);
	ck_assert_uint_eq(range_set_at(&all, UINT32_MAX), UINT32_MAX);
	ck_assert(range_set_find(&all, UINT32_MAX, &index));
	ck_assert_uint_eq(index, UINT32_MAX);
	ck_assert_int_eq(range_set_subtract(&all, &all, &rest), 0);
	ck_assert_uint_eq(rest.count, 0);
	ck_assert_int_eq(range_set_subtract(&all, &none, &rest), 0);
	ck_assert_uint_eq(rest.count, all.count);
	range_set_done(&rest);
	range_set_done(&all);
}
END_TEST

START_TEST(nothing_is_in_the_empty_set)
{
	struct range_set set = { 0 };
	uint64_t index = 7;
	size_t which = 7;

	ck_assert(!range_set_find(&set, 1, &index));
	ck_assert(!range_set_overlaps(&set, (struct range){ 0, UINT32_MAX }, &which));
	ck_assert(index == 7 && which == 7);
	ck_assert_int_eq(range_set_add(&set, (struct range){ 2, 1 }), POOL_E_INVALID);
	ck_assert_uint_eq(set.n, 0);
	range_set_done(&set);
}
END_TEST

START_TEST(index_follows_the_order_written)
{
	struct range_set set = { 0 };
	uint64_t index;

	ck_assert_int_eq(range_set_add(&set, (struct range){ 100, 109 }), 0);
	ck_assert_int_eq(range_set_add(&set, (struct range){ 10, 19 }), 0);
	ck_assert_int_eq(range_set_add(&set, (struct range){ 50, 50 }), 0);
	ck_assert_uint_eq(range_set_at(&set, 0), 100);
	ck_assert_uint_eq(range_set_at(&set, 10), 10);
	ck_assert_uint_eq(range_set_at(&set, 20), 50);
	ck_assert(range_set_find(&set, 19, &index));
	ck_assert_uint_eq(index, 19);
	range_set_done(&set);
}
END_TEST

/* Ten thousand single addresses, from the top down: the worst order for the sorted view. */
START_TEST(many_ranges)
{
	struct range_set set = { 0 }, all = { 0 }, rest;
	uint64_t index;

	for (uint32_t i = 10000; i > 0; i--)
		require(range_set_add(&set, (struct range){ i * 2, i * 2 }) == 0, "add");
	for (uint32_t i = 1; i <= 10000; i++) {
		require(range_set_find(&set, i * 2, &index) && index == 10000 - i, "find");
		require(!range_set_find(&set, i * 2 + 1, NULL), "find what is not there");
	}
	ck_assert_int_eq(range_set_add(&all, (struct range){ 1, 20001 }), 0);
	ck_assert_int_eq(range_set_subtract(&all, &set, &rest), 0);
	ck_assert_uint_eq(rest.count, 10001);
	ck_assert_uint_eq(range_set_at(&rest, 5000), 10001);
	range_set_done(&rest);
	range_set_done(&all);
	range_set_done(&set);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("range");

	seed_random();
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, random_sets_match_a_bitmap, 0,
			    (int)(sizeof(bases) / sizeof(bases[0])));
	tcase_add_test(tcase, the_whole_space);
	tcase_add_test(tcase, nothing_is_in_the_empty_set);
	tcase_add_test(tcase, index_follows_the_order_written);
	tcase_add_test(tcase, many_ranges);
	return run_tcase("range", tcase);
}
