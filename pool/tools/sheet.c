/* SPDX-License-Identifier: MIT */
#include "sheet.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ROWS_PER_SHEET 256
#define SHEETS_PER_THREAD 16 /* less is not worth a thread */
#define THREADS_MAX 4

struct printing {
	const struct listing *listing;
	size_t n_sheets;
	atomic_size_t next; /* that nobody has begun with */
	pthread_mutex_t lock;
	pthread_cond_t turn_is_over;
	size_t turn; /* whose it is to be printed */
};

static void fill(const struct listing *listing, void *context, size_t which, struct sheet *sheet)
{
	size_t begin = which * ROWS_PER_SHEET;
	size_t end = listing->n - begin > ROWS_PER_SHEET ? begin + ROWS_PER_SHEET : listing->n;

	sheet->len = 0;
	for (size_t i = begin; i < end; i++) {
		if (sheet->room - sheet->len < ROW_SIZE) {
			sheet->room = 2 * sheet->room + ROW_SIZE;
			sheet->bytes = must_alloc(sheet->bytes, sheet->room, 1);
		}
		listing->put(context, i, sheet);
	}
}

/* Those before it are under way, so its turn comes. */
static void print_in_turn(struct printing *printing, size_t which, const struct sheet *sheet)
{
	pthread_mutex_lock(&printing->lock);
	while (printing->turn != which)
		pthread_cond_wait(&printing->turn_is_over, &printing->lock);
	if (fwrite_unlocked(sheet->bytes, 1, sheet->len, stdout) < sheet->len)
		printing->next = printing->n_sheets; /* nobody reads: no more of it */
	printing->turn++;
	pthread_cond_broadcast(&printing->turn_is_over);
	pthread_mutex_unlock(&printing->lock);
}

static void *print_sheets(void *context)
{
	struct printing *printing = context;
	const struct listing *listing = printing->listing;
	void *own = must_alloc(NULL, listing->context_size, 1);
	struct sheet sheet = { 0 };
	size_t which;

	memcpy(own, listing->context, listing->context_size);
	while ((which = atomic_fetch_add(&printing->next, 1)) < printing->n_sheets) {
		fill(listing, own, which, &sheet);
		print_in_turn(printing, which, &sheet);
	}
	free(sheet.bytes);
	free(own);
	return NULL;
}

void listing_print(const struct listing *listing)
{
	struct printing printing = {
		.listing = listing,
		.n_sheets = (listing->n + ROWS_PER_SHEET - 1) / ROWS_PER_SHEET,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.turn_is_over = PTHREAD_COND_INITIALIZER,
	};
	size_t deserved = printing.n_sheets / SHEETS_PER_THREAD;
	unsigned int allowed = deserved > 1 ? processors() : 1;
	pthread_t helpers[THREADS_MAX - 1];
	unsigned int n = 0;

	/* Where no thread can be had, those that are there do it all. */
	while (n + 1 < allowed && n + 1 < deserved && n < THREADS_MAX - 1 &&
	       pthread_create(&helpers[n], NULL, print_sheets, &printing) == 0)
		n++;
	print_sheets(&printing);
	while (n > 0)
		pthread_join(helpers[--n], NULL);
}
