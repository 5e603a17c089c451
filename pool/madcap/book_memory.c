/* SPDX-License-Identifier: MIT */
#include "book_memory.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"

_Static_assert(SPACE_STATES == BOOK_DENIED + 1, "a space counts leases of every state");

static const struct memory_book *const_memory_book_of(const struct book *base)
{
	return (const struct memory_book *)(const void *)base;
}

/* ---- spaces ---------------------------------------------------------------------------------- */

static struct space *find_space(struct space *const *spaces, size_t n,
				const struct madcap_address *scope)
{
	for (size_t i = 0; i < n; i++) {
		if (madcap_address_equal(&spaces[i]->scope, scope))
			return spaces[i];
	}
	return NULL;
}

struct space *memory_book_space(const struct memory_book *book, const struct madcap_address *scope)
{
	return find_space(book->spaces, book->n_spaces, scope);
}

static struct space *make_space(struct memory_book *book, const struct madcap_address *scope)
{
	struct space *space = calloc(1, sizeof(*space));

	if (space == NULL)
		return NULL;
	space->scope = *scope;
	space->last = *scope;
	space->extra_sec = book->extra_sec;
	space->random = book->seed ^ (uint64_t)book->n_spaces << 32;
	space->runs = &book->runs;
	space->bookings = &book->bookings;
	return space;
}

struct space *memory_book_make_space(struct memory_book *book, const struct madcap_address *scope)
{
	struct space *space = memory_book_space(book, scope);
	struct space **spaces;

	if (space != NULL)
		return space;
	spaces = realloc(book->spaces, (book->n_spaces + 1) * sizeof(struct space *));
	if (spaces == NULL)
		return NULL;
	book->spaces = spaces;
	space = make_space(book, scope);
	if (space != NULL)
		book->spaces[book->n_spaces++] = space;
	return space;
}

static void free_spaces(struct space **spaces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		space_clear(spaces[i]);
		free(spaces[i]);
	}
	free(spaces);
}

/* ---- leases in memory ------------------------------------------------------------------------ */

static void unbook(struct space *space, const struct lease *lease, uint64_t n)
{
	for (size_t i = 0; i < lease->n_spans && n > 0; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count && n > 0; j++, n--)
			space_unbook(space, lease->spans[i].first + j, &lease->times);
	}
}

static bool book_spans(struct space *space, const struct lease *lease)
{
	uint64_t n = 0;

	for (size_t i = 0; i < lease->n_spans; i++) {
		for (uint32_t j = 0; j < lease->spans[i].count; j++, n++) {
			if (!space_book(space, lease->spans[i].first + j, &lease->times)) {
				unbook(space, lease, n);
				return false;
			}
		}
	}
	return true;
}

bool memory_book_link(struct memory_book *book, struct lease *lease,
		      const struct madcap_address *client, bool book_addresses)
{
	if (book_addresses && !book_spans(lease->space, lease))
		return false;
	if (lease->touched_sec > book->newest_sec)
		book->newest_sec = lease->touched_sec;
	lease_index_add(&book->index, lease, client);
	lease->space->leases[lease->state]++;
	lease->space->addresses[lease->state] += lease_addresses(lease);
	return true;
}

void memory_book_unlink(struct memory_book *book, struct lease *lease)
{
	unbook(lease->space, lease, UINT64_MAX);
	lease->space->leases[lease->state]--;
	lease->space->addresses[lease->state] -= lease_addresses(lease);
	lease_index_remove(&book->index, lease);
}

int memory_book_reserve(struct memory_book *book)
{
	if (book->n_changes + 2 > book->changes_size) {
		size_t size = 2 * book->changes_size + 64;
		struct change *changes = realloc(book->changes, size * sizeof(*changes));

		if (changes == NULL)
			return POOL_E_NO_MEMORY;
		book->changes = changes;
		book->changes_size = size;
	}
	return lease_index_reserve(&book->index) < 0 ? POOL_E_NO_MEMORY : 0;
}

/* Newest first, so that every address is free again when its former lease comes back. Memory is
 * there: it all was in use before the batch. */
void memory_book_take_back(struct memory_book *book)
{
	while (book->n_changes > 0) {
		const struct change *change = &book->changes[--book->n_changes];
		struct lease *lease = change->lease;
		struct madcap_address client;

		switch (change->kind) {
		case CHANGE_ADDED:
			memory_book_unlink(book, lease);
			free(lease);
			break;
		case CHANGE_REMOVED:
			memory_book_link(book, lease, &change->client, true);
			break;
		case CHANGE_EDITED:
			client = lease->client->address;
			memory_book_unlink(book, lease);
			lease->times = change->times;
			lease->touched_sec = change->touched_sec;
			lease->state = change->state;
			lease->sum = change->sum;
			memory_book_link(book, lease, &client, true);
			break;
		}
	}
}

void memory_book_forget_changes(struct memory_book *book)
{
	for (size_t i = 0; i < book->n_changes; i++) {
		if (book->changes[i].kind == CHANGE_REMOVED)
			free(book->changes[i].lease);
	}
	book->n_changes = 0;
}

static struct change *note(struct memory_book *book, enum change_kind kind, struct lease *lease)
{
	struct change *change = &book->changes[book->n_changes++];

	memset(change, 0, sizeof(*change));
	change->kind = kind;
	change->lease = lease;
	return change;
}

int memory_book_added(struct memory_book *book, struct lease *lease)
{
	note(book, CHANGE_ADDED, lease);
	if (lease->state == BOOK_OFFERED)
		return 0;
	lease->serial = ++book->last_serial;
	return book->add != NULL ? book->add(book, lease) : 0;
}

int memory_book_removed(struct memory_book *book, struct lease *lease,
			const struct madcap_address *client)
{
	note(book, CHANGE_REMOVED, lease)->client = *client;
	return lease->serial == 0 || book->erase == NULL ? 0 : book->erase(book, lease);
}

int memory_book_edited(struct memory_book *book, struct lease *lease, const struct change *old)
{
	struct change *change = note(book, CHANGE_EDITED, lease);

	change->times = old->times;
	change->touched_sec = old->touched_sec;
	change->state = old->state;
	change->sum = lease->sum;
	return lease->serial == 0 || book->write == NULL ? 0 : book->write(book, lease);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct book_range book_lease_range(const struct book_lease *shown, size_t index)
{
	const struct lease *lease = shown->place;
	struct book_range range = { .count = lease->spans[index].count };

	/* Inside its scope since it was granted. */
	if (!madcap_address_add(&lease->space->scope, lease->spans[index].first, &range.first))
		range.first = lease->space->scope;
	return range;
}

void memory_book_show(const struct lease *lease, struct book_lease *ret)
{
	*ret = (struct book_lease){
		.id = lease_id(lease),
		.state = (enum book_state)lease->state,
		.flags = lease->flags,
		.scope = lease->space->scope,
		.client = lease->client->address,
		.start_sec = lease->times.start_sec,
		.end_sec = lease->times.end_sec,
		.touched_sec = lease->touched_sec,
		.wanted_min = lease->wanted_min,
		.wanted = lease->wanted,
		.wanted_lease = lease->wanted_lease,
		.n_addresses = lease_addresses(lease),
		.n_ranges = lease->n_spans,
		.place = lease,
	};
}

int book_find(const struct book *base, struct madcap_bytes id, struct book_lease *ret)
{
	const struct memory_book *book = const_memory_book_of(base);
	const struct lease *lease = lease_index_find(&book->index, id);

	if (lease == NULL)
		return POOL_E_NOT_FOUND;
	memory_book_show(lease, ret);
	return 0;
}

int book_find_address(const struct book *base, const struct madcap_address *address,
		      uint32_t at_sec, struct book_lease *ret)
{
	const struct memory_book *book = const_memory_book_of(base);
	const struct booking *booking;
	uint64_t offset;

	for (size_t i = 0; i < book->n_spaces; i++) {
		if (!madcap_address_distance(&book->spaces[i]->scope, address, &offset))
			continue;
		booking = space_bookings(book->spaces[i], offset);
		for (; booking != NULL; booking = booking->next) {
			if (booking->by->start_sec > at_sec || booking->by->end_sec <= at_sec)
				continue;
			memory_book_show(lease_of(booking), ret);
			return 0;
		}
	}
	return POOL_E_NOT_FOUND;
}

int book_next(const struct book *base, uint64_t *at, struct book_lease *ret)
{
	const struct memory_book *book = const_memory_book_of(base);

	if (*at >= book->index.n_leases)
		return POOL_E_NOT_FOUND;
	memory_book_show(book->index.heap[(*at)++], ret);
	return 0;
}

void book_client(const struct book *base, const struct madcap_address *client,
		 struct book_client *ret)
{
	const struct client *found = lease_index_client(&const_memory_book_of(base)->index, client);

	*ret = (struct book_client){ .addresses = 0 };
	if (found != NULL)
		*ret = (struct book_client){ .addresses = found->n_addresses,
					     .waiting = found->n_waiting };
}

static void add_stats(const struct space *space, struct book_stats *stats)
{
	for (int i = BOOK_OFFERED; i <= BOOK_DENIED; i++) {
		stats->leases[i] += space->leases[i];
		stats->addresses[i] += space->addresses[i];
	}
	stats->size =
		space->size > UINT64_MAX - stats->size ? UINT64_MAX : stats->size + space->size;
	stats->free =
		space->free > UINT64_MAX - stats->free ? UINT64_MAX : stats->free + space->free;
}

bool book_stats(const struct book *base, const struct madcap_address *scope, struct book_stats *ret)
{
	const struct memory_book *book = const_memory_book_of(base);
	struct book_stats stats = { .size = 0 };
	bool found = scope == NULL;

	for (size_t i = 0; i < book->n_spaces; i++) {
		const struct space *space = book->spaces[i];

		if (scope != NULL && !madcap_address_equal(scope, &space->scope))
			continue;
		add_stats(space, &stats);
		found = true;
	}
	if (found)
		*ret = stats;
	return found;
}

/* ---- small changes --------------------------------------------------------------------------- */

static int remove_lease(struct memory_book *book, struct lease *lease)
{
	struct madcap_address client = lease->client->address;
	int code = memory_book_reserve(book);

	if (code < 0)
		return code;
	memory_book_unlink(book, lease);
	return memory_book_removed(book, lease, &client);
}

int book_release(struct book *base, struct madcap_bytes id)
{
	struct memory_book *book = memory_book_of(base);
	struct lease *lease = lease_index_find(&book->index, id);

	return lease == NULL ? POOL_E_NOT_FOUND : remove_lease(book, lease);
}

int book_sweep(struct book *base, uint32_t now_sec, size_t max, size_t *ret_n)
{
	struct memory_book *book = memory_book_of(base);
	size_t n = 0;

	while (n < max && book->index.n_leases > 0) {
		struct lease *lease = book->index.heap[0];
		int code;

		if (lease->state == BOOK_OFFERED ||
		    (uint64_t)lease->times.end_sec + book->extra_sec > now_sec)
			break;
		code = remove_lease(book, lease);
		if (code < 0)
			return code;
		n++;
	}
	*ret_n = n;
	return 0;
}

int book_put_pending(struct book *base, const struct book_wish *wish, uint32_t end_sec,
		     struct book_lease *ret)
{
	struct memory_book *book = memory_book_of(base);
	struct space *space = memory_book_space(book, &wish->scope);
	struct lease *old = lease_index_find(&book->index, wish->id);
	struct lease *lease;
	int code = 0;

	if (space == NULL || end_sec <= wish->now_sec || wish->id.size == 0 ||
	    wish->id.size > BOOK_ID_MAX)
		return POOL_E_INVALID;
	lease = lease_new(wish->id, 0);
	if (lease == NULL)
		return POOL_E_NO_MEMORY;
	if (old != NULL)
		code = remove_lease(book, old);
	if (code == 0)
		code = memory_book_reserve(book);
	if (code < 0) {
		free(lease);
		return code;
	}
	lease->space = space;
	lease->state = BOOK_PENDING;
	lease->flags = wish->flags;
	lease->times = (struct booker){ wish->now_sec, end_sec };
	lease->touched_sec = wish->now_sec;
	lease->wanted_min = wish->count_min;
	lease->wanted = wish->count;
	lease->wanted_lease = wish->lease_sec;
	memory_book_link(book, lease, &wish->client, false);
	code = memory_book_added(book, lease);
	memory_book_show(lease, ret);
	return code;
}

int book_decide(struct book *base, struct madcap_bytes id, enum book_state decision)
{
	struct memory_book *book = memory_book_of(base);
	struct lease *lease = lease_index_find(&book->index, id);
	struct change old;
	int code;

	if (decision != BOOK_APPROVED && decision != BOOK_DENIED)
		return POOL_E_INVALID;
	if (lease == NULL || lease->state != BOOK_PENDING)
		return POOL_E_NOT_FOUND;
	code = memory_book_reserve(book);
	if (code < 0)
		return code;
	old = (struct change){ .times = lease->times,
			       .touched_sec = lease->touched_sec,
			       .state = lease->state };
	lease->space->leases[lease->state]--;
	lease->state = (uint8_t)decision;
	lease->space->leases[lease->state]++;
	return memory_book_edited(book, lease, &old);
}

/* ---- spaces as configured -------------------------------------------------------------------- */

static bool fill_space(struct space *space, const struct book_space *from)
{
	for (size_t i = 0; i < from->n_allocate; i++) {
		uint64_t first, last;

		/* What lies 2^64 addresses or more behind the first one is out of reach. */
		if (!madcap_address_distance(&space->scope, &from->allocate[i].first, &first))
			continue;
		if (!madcap_address_distance(&space->scope, &from->allocate[i].last, &last) ||
		    last == UINT64_MAX)
			last = UINT64_MAX - 1;
		if (!space_add(space, first, last))
			return false;
	}
	return true;
}

static bool spaces_are_valid(const struct book_space *spaces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!madcap_address_within(&spaces[i].last, &spaces[i].scope, &spaces[i].last))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (madcap_address_within(&spaces[i].scope, &spaces[j].scope,
						  &spaces[j].last) ||
			    madcap_address_within(&spaces[j].scope, &spaces[i].scope,
						  &spaces[i].last))
				return false;
		}
	}
	return true;
}

static bool ranges_meet(const struct madcap_address *first, const struct madcap_address *last,
			const struct book_space *space)
{
	return madcap_address_within(first, &space->scope, &space->last) ||
	       madcap_address_within(&space->scope, first, last);
}

/*
 * An address is kept out of other leases by the space of its lease's own scope alone. In a scope that
 * has been cut out of that one, or laid over it, it would be given a second time.
 */
static bool is_in_another_space(const struct lease *lease, const struct book_space *spaces,
				size_t n)
{
	const struct madcap_address *scope = &lease->space->scope;

	for (size_t i = 0; i < lease->n_spans; i++) {
		const struct span *span = &lease->spans[i];
		struct madcap_address first, last;

		if (!madcap_address_add(scope, span->first, &first) ||
		    !madcap_address_add(&first, span->count - 1, &last))
			continue;
		for (size_t j = 0; j < n; j++) {
			if (!madcap_address_equal(&spaces[j].scope, scope) &&
			    ranges_meet(&first, &last, &spaces[j]))
				return true;
		}
	}
	return false;
}

bool memory_book_is_astray(const struct memory_book *book, const struct lease *lease)
{
	for (size_t i = 0; i < book->n_spaces; i++) {
		const struct space *space = book->spaces[i];
		struct book_space whole = { .scope = space->scope, .last = space->last };

		if (space->is_configured && is_in_another_space(lease, &whole, 1))
			return true;
	}
	return false;
}

/* A number that a stranger cannot know, below the size. */
static uint64_t first_cursor(struct memory_book *book, const struct space *space, size_t i)
{
	uint64_t value = (book->seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	value ^= value >> 29;
	return space->size > 0 ? value % space->size : 0;
}

/* The new spaces and, behind them, those of former scopes that still have leases. */
static struct space **build_spaces(struct memory_book *book, const struct book_space *spaces,
				   size_t n, size_t *ret_n)
{
	struct space **built = calloc(n + book->n_spaces + 1, sizeof(struct space *));
	size_t m = 0;

	for (size_t i = 0; built != NULL && i < n; i++) {
		built[m] = make_space(book, &spaces[i].scope);
		if (built[m] == NULL)
			goto fail;
		m++;
		built[i]->last = spaces[i].last;
		built[i]->is_configured = true;
		if (!fill_space(built[i], &spaces[i]))
			goto fail;
		built[i]->cursor = first_cursor(book, built[i], i);
	}
	for (size_t i = 0; built != NULL && i < book->n_spaces; i++) {
		if (find_space(built, m, &book->spaces[i]->scope) != NULL)
			continue;
		built[m] = make_space(book, &book->spaces[i]->scope);
		if (built[m] == NULL)
			goto fail;
		m++;
	}
	*ret_n = m;
	return built;
fail:
	free_spaces(built, m);
	return NULL;
}

int book_set_spaces(struct book *base, const struct book_space *spaces, size_t n,
		    uint32_t extra_sec)
{
	struct memory_book *book = memory_book_of(base);
	const struct lease_index *index = &book->index;
	struct space **built;
	size_t m = 0;

	if (book->in_batch || !spaces_are_valid(spaces, n))
		return POOL_E_INVALID;
	for (size_t i = 0; i < index->n_leases; i++) {
		if (is_in_another_space(index->heap[i], spaces, n))
			return POOL_E_REFUSED;
	}
	built = build_spaces(book, spaces, n, &m);
	if (built == NULL)
		return POOL_E_NO_MEMORY;
	for (size_t i = 0; i < index->n_leases; i++) {
		const struct lease *lease = index->heap[i];

		if (!book_spans(find_space(built, m, &lease->space->scope), lease)) {
			free_spaces(built, m);
			return POOL_E_NO_MEMORY;
		}
	}
	for (size_t i = 0; i < index->n_leases; i++) {
		struct lease *lease = index->heap[i];

		lease->space = find_space(built, m, &lease->space->scope);
		lease->space->leases[lease->state]++;
		lease->space->addresses[lease->state] += lease_addresses(lease);
	}
	free_spaces(book->spaces, book->n_spaces);
	book->spaces = built;
	book->n_spaces = m;
	book->has_spaces = true;
	book->extra_sec = extra_sec;
	for (size_t i = 0; i < m; i++)
		book->spaces[i]->extra_sec = extra_sec;
	return 0;
}

/* ---- making and ending ----------------------------------------------------------------------- */

int memory_book_init(struct memory_book *book, const struct book_options *options)
{
	book->seed = options->seed;
	book->extra_sec = options->extra_sec;
	book->runs.size = sizeof(struct run);
	book->bookings.size = sizeof(struct booking);
	return lease_index_init(&book->index, options->seed) == 0 ? 0 : POOL_E_NO_MEMORY;
}

void memory_book_clear(struct memory_book *book)
{
	while (book->index.n_leases > 0) {
		struct lease *lease = book->index.heap[book->index.n_leases - 1];

		memory_book_unlink(book, lease);
		free(lease);
	}
}

void memory_book_done(struct memory_book *book)
{
	memory_book_take_back(book);
	for (size_t i = 0; i < book->index.n_leases; i++)
		free(book->index.heap[i]);
	free_spaces(book->spaces, book->n_spaces);
	lease_index_done(&book->index);
	slab_done(&book->runs);
	slab_done(&book->bookings);
	free(book->changes);
}
