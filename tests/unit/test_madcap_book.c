/* SPDX-License-Identifier: MIT */
/*
 * The lease book: against a model that looks at every address, across restarts and failed disks,
 * and at a fill where a search that is not logarithmic would show. With $TEST_BOOK_CONNECTION and
 * CK_RUN_CASE=any, the part of it that holds for a shared book as well.
 */
#include "madcap_fixture.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "madcap/book_space.h"
#include "store.h"
#include "suite.h"

#define T0 ((uint32_t)NOW)
#define EXTRA 100

static struct error problem;

static struct book_wish wish(unsigned int lease, unsigned int count, uint32_t start, uint32_t sec)
{
	return (struct book_wish){
		.id = id(lease),
		.scope = addr("239.192.0.0"),
		.client = addr("192.0.2.77"),
		.state = BOOK_ACTIVE,
		.count_min = (uint16_t)count,
		.count = (uint16_t)count,
		.now_sec = start < T0 ? start : T0,
		.start_sec = start,
		.start_latest_sec = start,
		.lease_sec = sec,
		.lease_min_sec = sec,
	};
}

static void set_space(uint32_t size)
{
	struct madcap_address_range range = { addr("239.192.0.0"), { .family = 0 } };
	struct book_space space = { .scope = addr("239.192.0.0"),
				    .last = addr("239.255.255.255"),
				    .allocate = &range,
				    .n_allocate = 1 };

	ck_assert(madcap_address_add(&range.first, size - 1, &range.last));
	ck_assert_int_eq(book_set_spaces(world.book, &space, 1, EXTRA), 0);
}

static void book_setup(void)
{
	prepare();
	world.extra_sec = EXTRA;
	prepare_database();
	open_book();
	set_space(10);
}

static void reopen(uint32_t size)
{
	book_close(&world.book);
	open_book();
	set_space(size);
}

static void begin(void)
{
	ck_assert_int_eq(book_begin(world.book, &problem), 0);
}

static void commit(void)
{
	ck_assert_msg(book_commit(world.book, &problem) == 0, "%s", problem.text);
}

static int grant(const struct book_wish *wish, struct book_lease *ret)
{
	enum book_lack lack;

	return book_grant(world.book, wish, ret, &lack);
}

static void grant_one(unsigned int lease)
{
	struct book_wish one = wish(lease, 1, T0, 1000);
	struct book_lease got;

	begin();
	ck_assert_int_eq(grant(&one, &got), 0);
	commit();
}

static uint64_t n_active(void)
{
	struct book_stats stats;

	ck_assert(book_stats(world.book, NULL, &stats));
	return stats.leases[BOOK_ACTIVE];
}

/* ---- what is kept ---------------------------------------------------------------------------- */

START_TEST(leases_outlive_the_book)
{
	struct book_wish two = wish(1, 3, T0 + 50, 1000);
	struct book_lease before, after;
	struct book_range range, again;
	struct book_client has;

	two.flags = BOOK_SHARED_ID;
	two.client = addr("2001:db8::7");
	begin();
	ck_assert_int_eq(grant(&two, &before), 0);
	range = book_lease_range(&before, 0);
	commit();
	reopen(10);
	ck_assert_int_eq(book_find(world.book, id(1), &after), 0);
	ck_assert_int_eq(after.state, BOOK_ACTIVE);
	ck_assert_uint_eq(after.flags, BOOK_SHARED_ID);
	ck_assert_uint_eq(after.start_sec, T0 + 50);
	ck_assert_uint_eq(after.end_sec, T0 + 1050);
	ck_assert(madcap_address_equal(&after.client, &two.client));
	ck_assert_uint_eq(after.n_ranges, 1);
	ck_assert_uint_eq(book_lease_range(&after, 0).count, 3);
	again = book_lease_range(&after, 0);
	ck_assert(madcap_address_equal(&again.first, &range.first));
	book_client(world.book, &two.client, &has);
	ck_assert_uint_eq(has.addresses, 3);
	ck_assert_uint_eq(has.waiting, 0);
	ck_assert_int_eq(book_find_address(world.book, &range.first, T0 + 60, &after), 0);
	ck_assert_int_eq(book_find_address(world.book, &range.first, T0 + 40, &after),
			 POOL_E_NOT_FOUND);
}
END_TEST

START_TEST(what_was_not_committed_never_was)
{
	struct book_wish more = wish(2, 5, T0, 1000);
	struct book_wish longer = wish(1, 1, T0, 5000);
	struct book_lease lease;
	enum book_lack lack;

	grant_one(1);
	begin();
	ck_assert_int_eq(grant(&more, &lease), 0);
	ck_assert_int_eq(book_renew(world.book, &longer, &lease, &lack), 0);
	ck_assert_uint_eq(lease.end_sec, T0 + 5000);
	ck_assert_int_eq(book_release(world.book, id(1)), 0);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), POOL_E_NOT_FOUND);
	book_abort(world.book);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
		ck_assert_uint_eq(lease.end_sec, T0 + 1000);
		ck_assert_int_eq(book_find(world.book, id(2), &lease), POOL_E_NOT_FOUND);
		ck_assert_uint_eq(n_active(), 1);
		reopen(10);
	}
}
END_TEST

START_TEST(offers_are_not_kept)
{
	struct book_wish one = wish(1, 4, T0, 1000);
	struct book_lease lease;
	struct book_stats stats;

	one.state = BOOK_OFFERED;
	begin();
	ck_assert_int_eq(grant(&one, &lease), 0);
	commit();
	ck_assert(book_stats(world.book, &one.scope, &stats));
	ck_assert_uint_eq(stats.free, 6);
	reopen(10);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), POOL_E_NOT_FOUND);
}
END_TEST

START_TEST(pending_is_kept_and_decided)
{
	struct book_wish many = wish(1, 9, T0, 1000);
	struct book_lease lease;

	begin();
	ck_assert_int_eq(book_put_pending(world.book, &many, T0 + 500, &lease), 0);
	commit();
	reopen(10);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_eq(lease.state, BOOK_PENDING);
	ck_assert_uint_eq(lease.wanted, 9);
	ck_assert_uint_eq(lease.wanted_lease, 1000);
	ck_assert_uint_eq(lease.n_addresses, 0);
	begin();
	ck_assert_int_eq(book_decide(world.book, id(1), BOOK_APPROVED), 0);
	ck_assert_int_eq(book_decide(world.book, id(1), BOOK_DENIED), POOL_E_NOT_FOUND);
	ck_assert_int_eq(book_decide(world.book, id(2), BOOK_DENIED), POOL_E_NOT_FOUND);
	commit();
	reopen(10);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_eq(lease.state, BOOK_APPROVED);
}
END_TEST

START_TEST(sweeping_in_bounded_steps)
{
	size_t n;

	for (unsigned int i = 0; i < 5; i++)
		grant_one(i);
	begin();
	ck_assert_int_eq(book_sweep(world.book, T0 + 1000 + EXTRA - 1, 100, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(book_sweep(world.book, T0 + 1000 + EXTRA, 3, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(book_sweep(world.book, T0 + 1000 + EXTRA, 3, &n), 0);
	ck_assert_uint_eq(n, 2);
	commit();
	ck_assert_uint_eq(n_active(), 0);
	reopen(10);
	ck_assert_uint_eq(n_active(), 0);
}
END_TEST

START_TEST(walking)
{
	struct book_lease lease;
	uint64_t at = 0;
	unsigned int n = 0;

	for (unsigned int i = 0; i < 7; i++)
		grant_one(i);
	while (book_next(world.book, &at, &lease) == 0)
		n++;
	ck_assert_uint_eq(n, 7);
}
END_TEST

START_TEST(wishes_against_their_own_rules)
{
	struct book_wish bad;
	struct book_lease lease;

	begin();
	bad = wish(1, 0, T0, 10);
	ck_assert_int_eq(grant(&bad, &lease), POOL_E_INVALID);
	bad = wish(1, 1, T0, 0);
	ck_assert_int_eq(grant(&bad, &lease), POOL_E_INVALID);
	bad = wish(1, 1, T0, 10);
	bad.scope = addr("239.0.0.0");
	ck_assert_int_eq(grant(&bad, &lease), POOL_E_INVALID);
	bad = wish(1, 1, T0, 10);
	bad.id.size = 0;
	ck_assert_int_eq(grant(&bad, &lease), POOL_E_INVALID);
	bad = wish(1, 1, T0, 10);
	bad.start_latest_sec = T0 - 1;
	ck_assert_int_eq(grant(&bad, &lease), POOL_E_INVALID);
	bad = wish(1, 1, T0, 10);
	bad.state = BOOK_PENDING;
	ck_assert_int_eq(grant(&bad, &lease), POOL_E_INVALID);
	ck_assert_int_eq(book_begin(world.book, &problem), POOL_E_INVALID);
	commit();
}
END_TEST

START_TEST(a_grant_that_fails_leaves_the_lease_before)
{
	struct book_wish all = wish(1, 11, T0, 1000);
	struct book_lease lease;

	grant_one(1);
	begin();
	ck_assert_int_eq(grant(&all, &lease), POOL_E_REFUSED);
	all = wish(1, 10, T0, 1000);
	all.count_min = 10;
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_eq(grant(&all, &lease), 0); /* its own address among them */
	ck_assert_uint_eq(lease.n_addresses, 10);
	commit();
	reopen(10);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_uint_eq(lease.n_addresses, 10);
	ck_assert_uint_eq(n_active(), 1);
}
END_TEST

/* ---- a model --------------------------------------------------------------------------------- */

#define SIZE 24
#define LEASES 60

struct model_lease {
	bool is_there;
	uint32_t start, end;
	uint32_t addresses; /* bits */
};

static struct model_lease model[LEASES], committed[LEASES];
static uint64_t dice = 12345;

static uint32_t roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 20) % n;
}

/* Addresses that nobody but `mine` has within EXTRA of these times. */
static uint32_t model_free(unsigned int mine, uint32_t start, uint32_t end)
{
	uint32_t bits = (UINT32_C(1) << SIZE) - 1;

	for (unsigned int i = 0; i < LEASES; i++) {
		if (model[i].is_there && i != mine && start < model[i].end + EXTRA &&
		    model[i].start < end + EXTRA)
			bits &= ~model[i].addresses;
	}
	return bits;
}

static uint32_t bits_of(const struct book_lease *lease)
{
	struct madcap_address first = addr("239.192.0.0");
	uint32_t bits = 0;

	for (size_t i = 0; i < lease->n_ranges; i++) {
		struct book_range range = book_lease_range(lease, i);
		uint64_t offset;

		ck_assert(madcap_address_distance(&first, &range.first, &offset));
		ck_assert_uint_le(offset + range.count, SIZE);
		bits |= ((UINT32_C(1) << range.count) - 1) << offset;
	}
	ck_assert_uint_eq((unsigned int)__builtin_popcount(bits), lease->n_addresses);
	return bits;
}

/* A List of Address Ranges: pieces of the space in any order, which may overlap. */
struct list {
	uint8_t data[8 * 6];
	uint32_t pieces[8]; /* bits */
	size_t n;
};

static uint32_t make_list(struct list *list, struct book_wish *want)
{
	struct madcap_address scope = addr("239.192.0.0");
	struct wire_writer writer;
	uint32_t bits = 0;

	wire_writer_init(&writer, list->data, sizeof(list->data));
	list->n = 1 + roll(8);
	for (size_t i = 0; i < list->n; i++) {
		struct madcap_range range = { .count = (uint16_t)(1 + roll(4)) };
		uint32_t at = roll(SIZE - range.count + 1);

		ck_assert(madcap_address_add(&scope, at, &range.first));
		madcap_range_write(&writer, &range);
		list->pieces[i] = ((UINT32_C(1) << range.count) - 1) << at;
		bits |= list->pieces[i];
	}
	want->restricted = true;
	want->only = (struct madcap_bytes){ list->data, writer.at };
	return bits;
}

/* The first piece that has a free address is where one comes from. */
static void check_first(const struct list *list, uint32_t free_bits, uint32_t got)
{
	size_t i = 0;

	while (i < list->n && (list->pieces[i] & free_bits) == 0)
		i++;
	ck_assert(i == list->n || (list->pieces[i] & got) != 0);
}

static void model_grant(unsigned int i)
{
	struct book_wish want = wish(i, 1 + roll(4), T0 + roll(3000), 1 + roll(800));
	struct list list = { .n = 0 };
	uint32_t listed = UINT32_MAX;
	struct book_lease lease;
	enum book_lack lack;
	bool flexible = roll(3) == 0;
	uint32_t free_bits;
	int code;

	want.count_min = (uint16_t)(1 + roll(want.count));
	if (flexible) {
		want.lease_min_sec = 1 + roll(want.lease_sec);
		want.start_latest_sec = want.start_sec + roll(2000);
	}
	if (roll(4) == 0)
		want.state = BOOK_OFFERED;
	if (roll(2) == 0)
		listed = make_list(&list, &want);
	free_bits = listed & model_free(i, want.start_sec, want.start_sec + want.lease_sec);
	code = book_grant(world.book, &want, &lease, &lack);
	if (code == POOL_E_REFUSED) {
		/* Full is proven. */
		ck_assert_int_lt(__builtin_popcount(free_bits), want.count_min);
		return;
	}
	ck_assert_int_eq(code, 0);
	ck_assert_uint_ge(lease.start_sec, want.start_sec);
	ck_assert_uint_le(lease.start_sec, want.start_latest_sec);
	ck_assert_uint_ge(lease.end_sec - lease.start_sec, want.lease_min_sec);
	ck_assert_uint_le(lease.end_sec - lease.start_sec, want.lease_sec);
	ck_assert_uint_ge(lease.n_addresses, want.count_min);
	ck_assert_uint_le(lease.n_addresses, want.count);
	ck_assert_uint_eq(bits_of(&lease) & ~model_free(i, lease.start_sec, lease.end_sec), 0);
	ck_assert_uint_eq(bits_of(&lease) & ~listed, 0);
	if (!model[i].is_there && __builtin_popcount(free_bits) >= want.count)
		check_first(&list, free_bits, bits_of(&lease));
	if (__builtin_popcount(free_bits) >= want.count)
		ck_assert_uint_eq(lease.n_addresses, want.count);
	model[i] = (struct model_lease){ true, lease.start_sec, lease.end_sec, bits_of(&lease) };
}

static void model_renew(unsigned int i)
{
	struct book_wish want = wish(i, 1, T0 + roll(3000), 1 + roll(2000));
	struct book_lease lease;
	enum book_lack lack;
	bool fits;
	int code = book_find(world.book, want.id, &lease);

	ck_assert_int_eq(code == 0, model[i].is_there);
	if (code < 0 || lease.state != BOOK_ACTIVE)
		return;
	if (roll(2) == 0)
		want.lease_min_sec = 1 + roll(want.lease_sec);
	fits = (model[i].addresses &
		~model_free(i, want.start_sec, want.start_sec + want.lease_min_sec)) == 0;
	code = book_renew(world.book, &want, &lease, &lack);
	ck_assert_int_eq(code, fits ? 0 : POOL_E_REFUSED);
	if (!fits)
		return;
	ck_assert_uint_eq(bits_of(&lease), model[i].addresses);
	ck_assert_uint_eq(model[i].addresses & ~model_free(i, lease.start_sec, lease.end_sec), 0);
	model[i].start = lease.start_sec;
	model[i].end = lease.end_sec;
}

static void model_release(unsigned int i)
{
	ck_assert_int_eq(book_release(world.book, id(i)), model[i].is_there ? 0 : POOL_E_NOT_FOUND);
	model[i].is_there = false;
}

static void model_compare(void)
{
	struct book_stats stats;
	uint64_t n = 0, offered = 0;

	for (unsigned int i = 0; i < LEASES; i++) {
		struct book_lease lease;
		int code = book_find(world.book, id(i), &lease);

		ck_assert_int_eq(code, model[i].is_there ? 0 : POOL_E_NOT_FOUND);
		if (code < 0)
			continue;
		n++;
		offered += lease.state == BOOK_OFFERED;
		ck_assert_uint_eq(lease.start_sec, model[i].start);
		ck_assert_uint_eq(lease.end_sec, model[i].end);
		ck_assert_uint_eq(bits_of(&lease), model[i].addresses);
	}
	ck_assert(book_stats(world.book, NULL, &stats));
	ck_assert_uint_eq(stats.leases[BOOK_ACTIVE], n - offered);
	ck_assert_uint_eq(stats.leases[BOOK_OFFERED], offered);
	ck_assert_uint_eq(stats.size, SIZE);
	ck_assert_uint_eq(stats.free, (unsigned int)__builtin_popcount(
					      model_free(LEASES, 0, UINT32_MAX - EXTRA)));
}

static void forget_offers(void)
{
	for (unsigned int i = 0; i < LEASES; i++) {
		struct book_lease lease;

		if (book_find(world.book, id(i), &lease) == 0 && lease.state == BOOK_OFFERED)
			model[i].is_there = false;
	}
}

START_TEST(agrees_with_a_model)
{
	set_space(SIZE);
	dice += (uint64_t)_i * 7919;
	for (int round = 0; round < 300; round++) {
		memcpy(committed, model, sizeof(model));
		begin();
		for (uint32_t n = roll(12); n > 0; n--) {
			unsigned int i = roll(LEASES);
			uint32_t what = roll(10);

			if (what < 5)
				model_grant(i);
			else if (what < 8)
				model_renew(i);
			else
				model_release(i);
		}
		if (roll(4) == 0) {
			book_abort(world.book);
			memcpy(model, committed, sizeof(model));
		} else {
			commit();
		}
		model_compare();
		if (roll(20) == 0) {
			forget_offers();
			reopen(SIZE);
			model_compare();
		}
	}
}
END_TEST

/* ---- disks ----------------------------------------------------------------------------------- */

START_TEST(one_process_at_a_time)
{
	const struct book_options options = { .state_dir = world.dir };
	struct book *other = NULL;

	ck_assert_int_eq(book_open(&options, &other, &problem), POOL_E_REFUSED);
	ck_assert_ptr_nonnull(strstr(problem.text, "another process"));
	ck_assert_ptr_null(other);
}
END_TEST

static void overwrite(const void *bytes, size_t size, off_t where)
{
	char path[SCRATCH_SIZE + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/madcap-book.mdb", world.dir);
	fd = open(path, O_WRONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, size, where), (ssize_t)size);
	close(fd);
}

START_TEST(a_damaged_book_is_refused_and_left_alone)
{
	const struct book_options options = { .state_dir = world.dir };
	static const char garbage[8192] = "garbage";
	char path[SCRATCH_SIZE + 32], after[sizeof(garbage)];
	int fd;

	grant_one(1);
	book_close(&world.book);
	overwrite(garbage, sizeof(garbage), 0);
	ck_assert_int_eq(book_open(&options, &world.book, &problem), POOL_E_DAMAGED);
	snprintf(path, sizeof(path), "%s/madcap-book.mdb", world.dir);
	ck_assert_ptr_nonnull(strstr(problem.text, path));
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(read(fd, after, sizeof(after)), sizeof(after));
	ck_assert_mem_eq(garbage, after, sizeof(after));
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
	open_book();
}
END_TEST

/* Makes another store of ours in the book's place. */
static void put_store(const char *kind, uint32_t version)
{
	char path[SCRATCH_SIZE + 32];
	const struct store_options options = {
		.path = path, .kind = kind, .version = version, .map_bytes = 1 << 20, .create = true
	};
	struct store *store;
	struct store_txn *txn;

	snprintf(path, sizeof(path), "%s/madcap-book.mdb", world.dir);
	unlink(path);
	ck_assert_int_eq(store_open(&store, &options, &problem), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &problem), 0);
	ck_assert_int_eq(store_commit(&txn, &problem), 0);
	store_close(&store);
}

START_TEST(another_kind_or_version_is_refused)
{
	const struct book_options options = { .state_dir = world.dir };

	book_close(&world.book);
	put_store("something else", 1);
	ck_assert_int_eq(book_open(&options, &world.book, &problem), POOL_E_DAMAGED);
	put_store("madcap lease book", 99);
	ck_assert_int_eq(book_open(&options, &world.book, &problem), POOL_E_VERSION);
	ck_assert_ptr_null(world.book);
	put_store("madcap lease book", 2);
	open_book();
}
END_TEST

static off_t file_size(void)
{
	char path[SCRATCH_SIZE + 32];
	struct stat file;

	snprintf(path, sizeof(path), "%s/madcap-book.mdb", world.dir);
	ck_assert_int_eq(stat(path, &file), 0);
	return file.st_size;
}

/* kB of the book's file that are in our memory. */
static unsigned long mapped_kb(void)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long sum = 0, kb, from, to;
	bool is_book = false;
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_book = strstr(line, "madcap-book.mdb") != NULL;
		else if (is_book && sscanf(line, "Rss: %lu", &kb) == 1)
			sum += kb;
	}
	fclose(maps);
	return sum;
}

/* All leases are in memory: the pages that they were read from need not be. */
START_TEST(what_was_read_is_not_kept_twice)
{
	struct book_lease lease;

	set_space(200000);
	begin();
	for (unsigned int i = 0; i < 20000; i++) {
		struct book_wish one = wish(1000 + i, 1, T0, 1000);

		ck_assert_int_eq(grant(&one, &lease), 0);
	}
	commit();
	ck_assert_int_gt(file_size(), 1024 * 1024);
	reopen(200000);
	ck_assert_uint_eq(n_active(), 20000);
	/* A few pages, and what the kernel maps around them. */
	ck_assert_uint_lt(mapped_kb(), (unsigned long)file_size() / 1024 / 2);
	grant_one(1);
	ck_assert_uint_gt(mapped_kb(), 0);
}
END_TEST

/* Grants until the disk is full; the number of leases then. */
static unsigned int fill_disk(void)
{
	for (unsigned int n = 0;; n += 50) {
		struct book_lease lease;

		begin();
		for (unsigned int i = n; i < n + 50; i++) {
			struct book_wish one = wish(1000 + i, 1, T0, 1000);

			if (grant(&one, &lease) < 0)
				break;
		}
		if (book_commit(world.book, &problem) < 0)
			return n;
		ck_assert_uint_lt(n, 100000);
	}
}

START_TEST(a_full_disk_loses_nothing)
{
	struct rlimit small, before;
	struct book_lease lease;
	unsigned int n;

	set_space(200000);
	grant_one(1);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = (rlim_t)file_size() + 200 * 1024;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	n = fill_disk();
	ck_assert_uint_gt(n, 100);
	for (int i = 0; i < 3; i++) { /* and so on */
		struct book_wish one = wish(7, 1, T0, 1000);

		begin();
		grant(&one, &lease);
		if (book_commit(world.book, &problem) < 0)
			ck_assert_int_eq(book_find(world.book, id(7), &lease), POOL_E_NOT_FOUND);
		ck_assert_uint_ge(n_active(), n + 1);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	grant_one(8);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	reopen(200000);
	ck_assert_uint_ge(n_active(), n + 2);
	ck_assert_int_eq(book_find(world.book, id(1), &lease), 0);
	ck_assert_int_eq(book_find(world.book, id(8), &lease), 0);
}
END_TEST

START_TEST(a_full_map_loses_nothing)
{
	const struct book_options options = { .state_dir = world.dir,
					      .map_bytes = 256 * 1024,
					      .unsynced = true };
	struct book_lease lease;
	unsigned int n;

	book_close(&world.book);
	ck_assert_int_eq(book_open(&options, &world.book, &problem), 0);
	set_space(200000);
	n = fill_disk();
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_eq(n_active(), n);
	begin();
	for (unsigned int i = 0; i < 50; i++)
		ck_assert_int_eq(book_release(world.book, id(1000 + i)), 0);
	/* Releasing needs room as well, and may or may not find it. */
	if (book_commit(world.book, &problem) == 0)
		grant_one(5);
	else
		ck_assert_uint_eq(n_active(), n);
	book_close(&world.book);
	open_book();
	set_space(200000);
	ck_assert_uint_ge(n_active(), n - 50);
	ck_assert_int_eq(book_find(world.book, id(1000 + 60), &lease), 0);
	grant_one(6);
}
END_TEST

/* Tells through a pipe what was committed, until it is killed. In its loop it asserts nothing: Check
 * would note that in a file that is the parent's as well, and the kill may cut such a note short. */
static void writer_child(int fd)
{
	struct book_wish one = wish(0, 1, T0, 1000);
	struct book_lease lease;
	bool ok = true;

	open_book();
	set_space(200000);
	for (unsigned int n = 0; ok; n += 10) {
		ok = book_begin(world.book, &problem) == 0;
		for (unsigned int i = n; i < n + 10 && ok; i++) {
			one.id = id(i);
			ok = grant(&one, &lease) == 0;
		}
		ok = ok && book_commit(world.book, &problem) == 0 &&
		     write(fd, &n, sizeof(n)) == sizeof(n);
	}
	_exit(1);
}

START_TEST(sigkill_loses_no_acknowledged_lease)
{
	unsigned int last = 0;
	int pipes[2];
	pid_t child;

	book_close(&world.book);
	ck_assert_int_eq(pipe(pipes), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		writer_child(pipes[1]);
	close(pipes[1]);
	for (int i = 0; i < 20 + 7 * _i; i++)
		ck_assert_int_eq(read(pipes[0], &last, sizeof(last)), sizeof(last));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	while (read(pipes[0], &last, sizeof(last)) == sizeof(last))
		continue;
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	close(pipes[0]);
	open_book();
	set_space(200000);
	for (unsigned int i = 0; i < last + 10; i++) {
		struct book_lease lease;

		ck_assert_int_eq(book_find(world.book, id(i), &lease), 0);
	}
}
END_TEST

/* ---- size and speed -------------------------------------------------------------------------- */

START_TEST(less_than_300_bytes_of_memory_and_disk_a_lease)
{
	const unsigned int n = 50000;
	struct book_lease lease;
	size_t before, used;

	set_space(200000);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (unsigned int i = 0; i < n; i += 250) {
		begin();
		for (unsigned int j = i; j < i + 250; j++) {
			struct book_wish one = wish(j, 1, T0, 1000 + roll(100000));

			one.client.bytes[2] = (uint8_t)(j >> 8); /* every one its own */
			one.client.bytes[3] = (uint8_t)j;
			one.client.bytes[1] = (uint8_t)(j >> 16);
			ck_assert_int_eq(grant(&one, &lease), 0);
		}
		commit();
	}
	used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
	ck_assert_msg(used / n < 300, "%zu bytes of memory a lease", used / n);
	ck_assert_msg((size_t)file_size() / n < 300, "%zu bytes of disk a lease",
		      (size_t)file_size() / n);
}
END_TEST

/* A full space, and one that is full but for a gap in time at its end: every search that looked at
 * each address would take seconds here. */
START_TEST(searches_are_short_at_any_fill)
{
	const unsigned int n = 60000;
	struct book_wish all = wish(0, 1, T0, 100000);
	struct book_lease lease;
	enum book_lack lack;

	set_space(n);
	begin();
	for (unsigned int i = 0; i < n; i++) {
		all.id = id(i);
		ck_assert_int_eq(grant(&all, &lease), 0);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		struct book_wish more = wish(n + i, 1, T0 + 10, 10);

		ck_assert_int_eq(book_grant(world.book, &more, &lease, &lack), POOL_E_REFUSED);
		ck_assert_int_eq(lack, BOOK_LACK_START);
	}
	ck_assert_int_eq(book_release(world.book, id(n - 1)), 0);
	all = wish(n, 1, T0, 50);
	ck_assert_int_eq(grant(&all, &lease), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		struct book_wish more = wish(n + 1, 1, T0 + 150, 10);

		ck_assert_int_eq(book_grant(world.book, &more, &lease, &lack), 0);
		ck_assert_int_eq(book_release(world.book, id(n + 1)), 0);
	}
	commit();
}
END_TEST

/* The linker has the book call the second one for the first. */
bool __real_space_find_first(const struct space *space, const struct window *window,
			     uint64_t *ret_address);
bool __wrap_space_find_first(const struct space *space, const struct window *window,
			     uint64_t *ret_address);
static unsigned int looks;

bool __wrap_space_find_first(const struct space *space, const struct window *window,
			     uint64_t *ret_address)
{
	looks++;
	return __real_space_find_first(space, window, ret_address);
}

/* How often addresses are looked for until a request from this list of ranges is refused. */
static unsigned int looks_for_refusal(struct madcap_bytes list)
{
	struct book_wish more = wish(5000, 1, T0, 100);
	struct book_lease lease;
	enum book_lack lack;

	looks = 0;
	more.lease_min_sec = 50;
	more.restricted = true;
	more.only = list;
	ck_assert_int_eq(book_grant(world.book, &more, &lease, &lack), POOL_E_REFUSED);
	ck_assert_int_eq(lack, BOOK_LACK_START);
	return looks;
}

/* A list of a thousand ranges that are full, beside one range that is as long as all of them. */
START_TEST(long_lists_are_gone_through_fast)
{
	static uint8_t data[1000 * 6], whole[6];
	struct madcap_range range = { .first = addr("239.192.0.0"), .count = 2000 };
	struct book_wish all = wish(0, 2, T0, 100000);
	struct wire_writer writer;
	struct book_lease lease;
	unsigned int one;

	set_space(4000);
	wire_writer_init(&writer, whole, sizeof(whole));
	madcap_range_write(&writer, &range);
	wire_writer_init(&writer, data, sizeof(data));
	range.count = 2;
	all.restricted = true;
	begin();
	for (unsigned int i = 0; i < 1000; i++) {
		all.id = id(i);
		all.only = (struct madcap_bytes){ data + writer.at, 6 };
		madcap_range_write(&writer, &range);
		ck_assert(madcap_address_add(&range.first, 2, &range.first));
		ck_assert_int_eq(grant(&all, &lease), 0);
	}
	one = looks_for_refusal((struct madcap_bytes){ whole, sizeof(whole) });
	ck_assert_uint_gt(one, 0);
	ck_assert_uint_le(looks_for_refusal((struct madcap_bytes){ data, sizeof(data) }), 2 * one);
	commit();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("madcap_book");
	TCase *tcase = tcase_create("any"); /* engine */
	TCase *file = tcase_create("file");

	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, file);
	tcase_set_timeout(tcase, 60);
	tcase_set_timeout(file, 60);
	tcase_add_checked_fixture(tcase, book_setup, teardown);
	tcase_add_checked_fixture(file, book_setup, teardown);
	tcase_add_test(tcase, leases_outlive_the_book);
	tcase_add_test(tcase, what_was_not_committed_never_was);
	tcase_add_test(tcase, offers_are_not_kept);
	tcase_add_test(tcase, pending_is_kept_and_decided);
	tcase_add_test(tcase, sweeping_in_bounded_steps);
	tcase_add_test(tcase, walking);
	tcase_add_test(tcase, wishes_against_their_own_rules);
	tcase_add_test(tcase, a_grant_that_fails_leaves_the_lease_before);
	tcase_add_loop_test(tcase, agrees_with_a_model, 0,
			    getenv("TEST_BOOK_CONNECTION") != NULL ? 2 : 8);
	tcase_add_test(file, what_was_read_is_not_kept_twice);
	tcase_add_test(file, one_process_at_a_time);
	tcase_add_test(file, a_damaged_book_is_refused_and_left_alone);
	tcase_add_test(file, another_kind_or_version_is_refused);
	tcase_add_test(file, a_full_disk_loses_nothing);
	tcase_add_test(file, a_full_map_loses_nothing);
	tcase_add_loop_test(file, sigkill_loses_no_acknowledged_lease, 0, 3);
	tcase_add_test(file, less_than_300_bytes_of_memory_and_disk_a_lease);
	tcase_add_test(file, searches_are_short_at_any_fill);
	tcase_add_test(file, long_lists_are_gone_through_fast);
	return run_suite(suite);
}
