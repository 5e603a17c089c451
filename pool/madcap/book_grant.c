/* SPDX-License-Identifier: MIT */
/*
 * book_grant.c - which addresses a wish gets, and when.
 *
 * Addresses are booked while they are chosen, so the next choice sees them; a claim that ends with
 * too few gives them all back. First comes the wish as it stands, then a shorter lease, then a later
 * start, each the best there is (RFC 2730, 2.2.4).
 */
#include "book_memory.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "message.h"

/* Ranges of a list that are looked at; a longer list is cut. */
#define LISTED_MAX 1024

/* Addresses counted from the scope's first one, both ends included. */
struct piece {
	uint64_t lo;
	uint64_t hi;
};

static const struct piece nowhere = { UINT64_MAX, 0 };

struct claim {
	const struct book_wish *wish;
	struct space *space;
	struct lease *lease;        /* spans: what has been booked so far */
	const struct lease *before; /* the lease that this one replaces, or NULL */
	const struct piece *listed; /* those that have a part in the scope */
	size_t n_listed;
	uint64_t listed_hi; /* the last address of any of them */
	size_t spans_max;
	uint32_t n;
	bool no_memory;
};

static uint32_t saturating_add(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void take(struct claim *claim, uint64_t first, uint64_t n)
{
	struct lease *lease = claim->lease;
	struct span *span = lease->n_spans > 0 ? &lease->spans[lease->n_spans - 1] : NULL;

	if (span == NULL || span->first + span->count != first) {
		span = &lease->spans[lease->n_spans++];
		*span = (struct span){ first, 0 };
	}
	for (uint64_t i = 0; i < n && !claim->no_memory; i++) {
		claim->no_memory = !space_book(claim->space, first + i, &lease->times);
		if (!claim->no_memory) {
			span->count++;
			claim->n++;
		}
	}
	claim->space->cursor = first + n;
}

static struct window window_of(const struct claim *claim, uint64_t lo, uint64_t hi)
{
	return (struct window){ lo, hi, claim->lease->times.start_sec,
				claim->lease->times.end_sec };
}

/* One more range, the longest that is of use. False if there is nothing more in [lo, hi]. */
static bool choose(struct claim *claim, uint64_t lo, uint64_t hi)
{
	struct window all = window_of(claim, lo, hi);
	uint64_t need = claim->wish->count - claim->n;
	struct window rest = all;
	uint64_t first = 0, more = 0;

	if (claim->space->cursor > lo && claim->space->cursor <= hi)
		rest.lo = claim->space->cursor;
	if (space_find_run(claim->space, &rest, need, &first) ||
	    space_find_run(claim->space, &all, need, &first))
		take(claim, first, need);
	else if (space_longest_run(claim->space, &all, &first, &more))
		take(claim, first, more + 1 < need ? more + 1 : need);
	else if (space_find_gap(claim->space, &all, &first))
		take(claim, first, 1);
	else
		return false;
	return true;
}

static void choose_within(struct claim *claim, uint64_t lo, uint64_t hi)
{
	while (claim->n < claim->wish->count && claim->lease->n_spans < claim->spans_max &&
	       !claim->no_memory && choose(claim, lo, hi))
		continue;
}

static void read_list(struct claim *claim, struct piece listed[LISTED_MAX])
{
	const struct madcap_address *scope = &claim->space->scope;
	struct madcap_message message = { .family = scope->family, .ranges = claim->wish->only };
	size_t at = 0, most = LISTED_MAX * (madcap_family_size(scope->family) + 2);
	struct madcap_range range;

	claim->listed = listed;
	while (at < most && madcap_range_next(&message, &at, &range)) {
		struct piece *piece = &listed[claim->n_listed];

		if (!madcap_address_distance(scope, &range.first, &piece->lo) ||
		    piece->lo > UINT64_MAX - range.count)
			continue;
		piece->hi = piece->lo + range.count - 1;
		if (piece->hi > claim->listed_hi)
			claim->listed_hi = piece->hi;
		claim->n_listed++;
	}
}

/*
 * The next one of the list, from *at on, that has an address at these times. A long list is mostly
 * one of ranges that follow each other and are full: `barren` is where nothing was found by a look
 * that began in one of them and went on behind it.
 */
static const struct piece *next_listed(const struct claim *claim, size_t *at,
				       const struct window *times, struct piece *barren)
{
	while (*at < claim->n_listed) {
		const struct piece *piece = &claim->listed[(*at)++];
		struct window window = { piece->lo, claim->listed_hi, times->start_sec,
					 times->end_sec };
		uint64_t first;

		if (piece->lo >= barren->lo && piece->hi <= barren->hi)
			continue;
		if (!space_find_first(claim->space, &window, &first))
			*barren = (struct piece){ piece->lo, claim->listed_hi };
		else if (first > piece->hi)
			*barren = (struct piece){ piece->lo, first - 1 };
		else
			return piece;
	}
	return NULL;
}

/* What the lease before had of [lo, hi]. */
static void choose_former(struct claim *claim, uint64_t lo, uint64_t hi)
{
	for (size_t i = 0; claim->before != NULL && i < claim->before->n_spans; i++) {
		uint64_t first = claim->before->spans[i].first;
		uint64_t last = first + claim->before->spans[i].count - 1;

		first = first > lo ? first : lo;
		last = last < hi ? last : hi;
		if (first <= last)
			choose_within(claim, first, last);
	}
}

static void choose_all(struct claim *claim)
{
	struct window times = window_of(claim, 0, UINT64_MAX);
	struct piece barren = nowhere;
	const struct piece *piece;
	size_t at = 0;

	if (!claim->wish->restricted) {
		choose_former(claim, 0, UINT64_MAX);
		choose_within(claim, 0, UINT64_MAX);
		return;
	}
	for (size_t i = 0; claim->before != NULL && i < claim->n_listed; i++)
		choose_former(claim, claim->listed[i].lo, claim->listed[i].hi);
	while (claim->n < claim->wish->count &&
	       (piece = next_listed(claim, &at, &times, &barren)) != NULL)
		choose_within(claim, piece->lo, piece->hi);
}

static void give_back(struct claim *claim)
{
	for (size_t i = 0; i < claim->lease->n_spans; i++) {
		const struct span *span = &claim->lease->spans[i];

		for (uint32_t j = 0; j < span->count; j++)
			space_unbook(claim->space, span->first + j, &claim->lease->times);
	}
	claim->lease->n_spans = 0;
	claim->n = 0;
}

/* Tries these times; false, and nothing is booked, if there are too few addresses. */
static bool attempt(struct claim *claim, uint32_t start_sec, uint32_t lease_sec)
{
	claim->lease->times.start_sec = start_sec;
	claim->lease->times.end_sec = saturating_add(start_sec, lease_sec);
	if (claim->lease->times.end_sec - start_sec < claim->wish->lease_min_sec)
		return false;
	choose_all(claim);
	if (claim->n >= claim->wish->count_min && !claim->no_memory)
		return true;
	give_back(claim);
	return false;
}

/* ---- shorter, or later ----------------------------------------------------------------------- */

static uint64_t available(struct claim *claim, uint32_t start_sec, uint32_t lease_sec)
{
	struct window window = { 0, UINT64_MAX, start_sec, saturating_add(start_sec, lease_sec) };
	struct piece barren = nowhere;
	uint64_t most = claim->wish->count_min;
	const struct piece *piece;
	uint64_t n = 0;
	size_t at = 0;

	if (!claim->wish->restricted)
		return space_available(claim->space, &window, most);
	while (n < most && (piece = next_listed(claim, &at, &window, &barren)) != NULL) {
		window.lo = piece->lo;
		window.hi = piece->hi;
		n += space_available(claim->space, &window, most - n);
	}
	return n;
}

static bool is_enough(struct claim *claim, uint32_t start_sec, uint32_t lease_sec)
{
	return available(claim, start_sec, lease_sec) >= claim->wish->count_min;
}

/* The longest lease from then on that is not below the least. */
static bool attempt_shorter(struct claim *claim, uint32_t start_sec)
{
	uint32_t good = claim->wish->lease_min_sec;
	uint32_t bad = claim->wish->lease_sec;

	if (good >= bad || !is_enough(claim, start_sec, good))
		return false;
	while (bad - good > 1) {
		uint32_t middle = good + (bad - good) / 2;

		if (is_enough(claim, start_sec, middle))
			good = middle;
		else
			bad = middle;
	}
	return attempt(claim, start_sec, good);
}

/* The earliest start, as far as addresses that become free stay free. */
static bool attempt_later(struct claim *claim)
{
	uint32_t least = claim->wish->lease_min_sec;
	uint32_t bad = claim->wish->start_sec;
	uint32_t good = claim->wish->start_latest_sec;

	if (good <= bad || !is_enough(claim, good, least))
		return false;
	while (good - bad > 1) {
		uint32_t middle = bad + (good - bad) / 2;

		if (is_enough(claim, middle, least))
			good = middle;
		else
			bad = middle;
	}
	return attempt(claim, good, claim->wish->lease_sec) || attempt_shorter(claim, good);
}

static enum book_lack lack_of(struct claim *claim)
{
	const struct book_wish *wish = claim->wish;
	struct window all = { 0, UINT64_MAX, wish->start_sec,
			      saturating_add(wish->start_sec, wish->lease_min_sec) };

	if (is_enough(claim, wish->start_sec, 1))
		return BOOK_LACK_LEASE;
	if (is_enough(claim, UINT32_MAX - 2, 1))
		return BOOK_LACK_START;
	if (wish->restricted)
		return BOOK_LACK_LISTED;
	if (wish->count_min > 1 && space_available(claim->space, &all, 1) > 0)
		return BOOK_LACK_COUNT;
	return BOOK_LACK_ADDRESSES;
}

/* ---- granting -------------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts the ranges, joins neighbours, and moves the identifier up behind them. */
static void tidy(struct lease *lease, size_t spans_max)
{
	const uint8_t *id = (const uint8_t *)&lease->spans[spans_max];
	size_t n = 0;

	qsort(lease->spans, lease->n_spans, sizeof(lease->spans[0]), by_first);
	for (size_t i = 0; i < lease->n_spans; i++) {
		struct span *last = n > 0 ? &lease->spans[n - 1] : NULL;

		if (last != NULL && last->first + last->count == lease->spans[i].first)
			last->count += lease->spans[i].count;
		else
			lease->spans[n++] = lease->spans[i];
	}
	lease->n_spans = (uint16_t)n;
	memmove(&lease->spans[n], id, lease->id_size);
}

static bool wish_is_valid(const struct book_wish *wish, const struct space *space)
{
	return space != NULL && space->is_configured && wish->id.size > 0 &&
	       wish->id.size <= BOOK_ID_MAX && wish->count_min > 0 &&
	       wish->count_min <= wish->count && wish->lease_min_sec > 0 &&
	       wish->lease_min_sec <= wish->lease_sec &&
	       wish->start_sec <= wish->start_latest_sec &&
	       (wish->state == BOOK_OFFERED || wish->state == BOOK_ACTIVE);
}

static int claim_addresses(struct claim *claim, enum book_lack *ret_lack)
{
	if (attempt(claim, claim->wish->start_sec, claim->wish->lease_sec) ||
	    attempt_shorter(claim, claim->wish->start_sec) || attempt_later(claim))
		return 0;
	if (claim->no_memory)
		return POOL_E_NO_MEMORY;
	*ret_lack = lack_of(claim);
	return POOL_E_REFUSED;
}

/* Adds the lease, whose addresses are booked, in the place of the one before it. */
static int replace(struct memory_book *book, const struct claim *claim, struct lease *before,
		   const struct madcap_address *before_client)
{
	int removed = 0, added;

	if (before != NULL)
		removed = memory_book_removed(book, before, before_client);
	/* Also after a failure, which spoils the batch: taking it back undoes both. */
	memory_book_link(book, claim->lease, &claim->wish->client, false);
	added = memory_book_added(book, claim->lease);
	return removed < 0 ? removed : added;
}

int book_grant(struct book *base, const struct book_wish *wish, struct book_lease *ret,
	       enum book_lack *ret_lack)
{
	struct memory_book *book = memory_book_of(base);
	struct claim claim = { .wish = wish, .space = memory_book_space(book, &wish->scope) };
	struct lease *before = lease_index_find(&book->index, wish->id);
	struct madcap_address before_client = { .family = 0 };
	struct piece listed[LISTED_MAX];
	int code;

	if (!book->in_batch || !wish_is_valid(wish, claim.space))
		return POOL_E_INVALID;
	if (wish->restricted)
		read_list(&claim, listed);
	claim.spans_max = wish->count < BOOK_RANGES_MAX ? wish->count : BOOK_RANGES_MAX;
	claim.lease = lease_new(wish->id, claim.spans_max);
	if (claim.lease == NULL || memory_book_reserve(book) < 0) {
		free(claim.lease);
		return POOL_E_NO_MEMORY;
	}
	claim.lease->n_spans = 0;
	claim.lease->space = claim.space;
	claim.lease->state = (uint8_t)wish->state;
	claim.lease->flags = wish->flags;
	claim.lease->touched_sec = wish->now_sec;
	if (before != NULL) {
		before_client = before->client->address;
		memory_book_unlink(book, before);
		claim.before = before->space == claim.space ? before : NULL;
	}
	code = claim_addresses(&claim, ret_lack);
	if (code < 0) {
		free(claim.lease);
		if (before != NULL)
			memory_book_link(book, before, &before_client, true);
		return code;
	}
	tidy(claim.lease, claim.spans_max);
	code = replace(book, &claim, before, &before_client);
	memory_book_show(claim.lease, ret);
	return code;
}

/* ---- what was granted, again ------------------------------------------------------------------ */

static int by_lo(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

bool book_lease_is_within(const struct book_lease *shown, struct madcap_bytes ranges)
{
	const struct lease *lease = shown->place;
	const struct book_wish wish = { .only = ranges };
	struct claim claim = { .wish = &wish, .space = lease->space };
	struct piece listed[LISTED_MAX];

	read_list(&claim, listed);
	qsort(listed, claim.n_listed, sizeof(listed[0]), by_lo);
	for (size_t i = 0; i < lease->n_spans; i++) {
		uint64_t at = lease->spans[i].first, behind = at + lease->spans[i].count;

		for (size_t j = 0; j < claim.n_listed && listed[j].lo <= at && at < behind; j++)
			at = listed[j].hi >= at ? listed[j].hi + 1 : at;
		if (at < behind)
			return false;
	}
	return true;
}

/* ---- renewing -------------------------------------------------------------------------------- */

/* What other leases of its addresses leave to a lease. */
struct room {
	uint64_t start_sec;  /* earliest start */
	uint64_t before_sec; /* latest end */
	uint32_t least_sec;  /* a lease shorter than this is no use */
};

static void squeeze(struct room *room, const struct booking *booking, const struct booker *mine,
		    uint64_t extra)
{
	for (; booking != NULL; booking = booking->next) {
		const struct booker *by = booking->by;

		if (by == mine || by->end_sec + extra <= room->start_sec)
			continue;
		if (by->start_sec < room->start_sec + room->least_sec + extra)
			room->start_sec = by->end_sec + extra;
		else if (by->start_sec < room->before_sec + extra)
			room->before_sec = by->start_sec - extra;
	}
}

/* The time from the earliest possible start on in which all addresses are the lease's alone. */
static struct room room_of(const struct lease *lease, uint32_t start_sec, uint32_t least_sec)
{
	struct room room = { start_sec, UINT32_MAX, least_sec };
	uint64_t was;

	do {
		was = room.start_sec;
		room.before_sec = UINT32_MAX;
		for (size_t i = 0; i < lease->n_spans; i++) {
			const struct span *span = &lease->spans[i];

			for (uint32_t j = 0; j < span->count; j++)
				squeeze(&room, space_bookings(lease->space, span->first + j),
					&lease->times, lease->space->extra_sec);
		}
	} while (room.start_sec != was);
	return room;
}

static int set_times(struct memory_book *book, struct lease *lease, struct booker times,
		     uint32_t now_sec)
{
	struct change old = { .times = lease->times,
			      .touched_sec = lease->touched_sec,
			      .state = lease->state };
	struct madcap_address client = lease->client->address;
	int code = memory_book_reserve(book);

	if (code < 0)
		return code;
	memory_book_unlink(book, lease);
	lease->times = times;
	lease->touched_sec = now_sec;
	/* What was freed just now is there again. */
	memory_book_link(book, lease, &client, true);
	return memory_book_edited(book, lease, &old);
}

int book_renew(struct book *base, const struct book_wish *wish, struct book_lease *ret,
	       enum book_lack *ret_lack)
{
	struct memory_book *book = memory_book_of(base);
	struct lease *lease = lease_index_find(&book->index, wish->id);
	struct room room;
	uint64_t end;
	int code;

	if (!book->in_batch || lease == NULL || lease->state != BOOK_ACTIVE)
		return lease == NULL ? POOL_E_NOT_FOUND : POOL_E_INVALID;
	room = room_of(lease, wish->start_sec, wish->lease_min_sec);
	if (room.start_sec > wish->start_latest_sec) {
		room = room_of(lease, wish->start_sec, 1);
		*ret_lack =
			room.start_sec > wish->start_latest_sec ? BOOK_LACK_START : BOOK_LACK_LEASE;
		return POOL_E_REFUSED;
	}
	end = room.start_sec + wish->lease_sec;
	if (end > room.before_sec)
		end = room.before_sec;
	if (end < room.start_sec + wish->lease_min_sec) {
		*ret_lack = BOOK_LACK_LEASE;
		return POOL_E_REFUSED;
	}
	code = set_times(book, lease, (struct booker){ (uint32_t)room.start_sec, (uint32_t)end },
			 wish->now_sec);
	if (code == 0)
		memory_book_show(lease, ret);
	return code;
}
