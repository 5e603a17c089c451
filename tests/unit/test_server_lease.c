/* SPDX-License-Identifier: MIT */
/* server_lease.c: what stands in state_dir of leases from servers, also where it makes no sense. */
#include "server_lease.h"

#include "fixture.h"
#include "memory.h"

static struct server_lease lease;

static void setup(void)
{
	fixture_begin();
	fixture_load("pools = ( { name = \"p\"; ranges = (\"10.0.0.0/24\"); } );");
	lease = (struct server_lease){
		.number = 77,
		.addr = 0x0a000001,
		.lease_id = 5,
		.id = { .size = 3, .bytes = { 0, 1, 2 } },
		.servers = { { .address = { .family = MADCAP_IPV4, .bytes = { 192, 0, 2, 1 } },
			       .port = 2535 },
			     { .address = { .family = MADCAP_IPV6, .bytes = { 0x20, 1 } },
			       .port = 2536,
			       .zone = 3 } },
		.n_servers = 2,
		.mobile = true,
		.end_sec = 1900000000,
		.registry = 11,
		.boot = 12,
		.busy_us = 13,
		.pool = "p",
		.user = "alice",
	};
}

static void teardown(void)
{
	fixture_end();
}

static void add(const struct server_lease *one)
{
	ck_assert_int_eq(server_lease_add(fixture.pool, one, &fixture.why), 0);
}

static size_t list(struct server_lease found[static 4])
{
	const struct server_lease first = { .addr = 0 };
	size_t n = 0;

	ck_assert_int_eq(server_lease_list(fixture.pool, &first, found, 4, &n, &fixture.why), 0);
	return n;
}

/* Puts `size` octets in the place of the lease's record. */
static void write_record(const void *data, size_t size)
{
	struct key key = key_server_lease(lease.addr, lease.number);
	struct store *store = NULL;
	struct store_txn *txn = NULL;

	ck_assert_int_eq(memory_open(fixture.pool, true, &store, &fixture.why), 0);
	ck_assert_int_eq(store_begin(store, true, &txn, NULL, &fixture.why), 0);
	ck_assert_int_eq(store_put(txn, key_bytes(&key), (struct store_bytes){ data, size }), 0);
	ck_assert_int_eq(store_commit(&txn, &fixture.why), 0);
	store_close(&store);
}

static size_t read_record(uint8_t *data, size_t size)
{
	struct key key = key_server_lease(lease.addr, lease.number);
	struct store *store = NULL;
	struct store_txn *txn = NULL;
	struct store_bytes value = { NULL, 0 };

	ck_assert_int_eq(memory_open(fixture.pool, true, &store, &fixture.why), 0);
	ck_assert_int_eq(store_begin(store, false, &txn, NULL, &fixture.why), 0);
	ck_assert_int_eq(store_get(txn, key_bytes(&key), &value), 0);
	ck_assert_uint_le(value.size, size);
	memcpy(data, value.data, value.size);
	store_abort(&txn);
	store_close(&store);
	return value.size;
}

START_TEST(what_is_written_is_read)
{
	struct server_lease found[4];

	add(&lease);
	ck_assert_uint_eq(list(found), 1);
	ck_assert_uint_eq(found[0].number, lease.number);
	ck_assert_uint_eq(found[0].addr, lease.addr);
	ck_assert_uint_eq(found[0].lease_id, lease.lease_id);
	ck_assert_uint_eq(found[0].id.size, 3);
	ck_assert_mem_eq(found[0].id.bytes, lease.id.bytes, 3);
	ck_assert_uint_eq(found[0].n_servers, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(found[0].servers[i].port, lease.servers[i].port);
		ck_assert_uint_eq(found[0].servers[i].zone, lease.servers[i].zone);
		ck_assert(madcap_address_equal(&found[0].servers[i].address,
					       &lease.servers[i].address));
	}
	ck_assert(found[0].mobile);
	ck_assert_int_eq(found[0].end_sec, lease.end_sec);
	ck_assert_uint_eq(found[0].registry, 11);
	ck_assert_uint_eq(found[0].boot, 12);
	ck_assert_uint_eq(found[0].busy_us, 13);
	ck_assert_str_eq(found[0].pool, "p");
	ck_assert_str_eq(found[0].user, "alice");
}
END_TEST

/* Cut at any place, or with something behind it, it is no record; and whatever one octet becomes, what
 * is read can be written again. */
START_TEST(a_senseless_record_is_damage)
{
	struct key key = key_server_lease(lease.addr, lease.number);
	struct server_lease found;
	uint8_t data[1024], changed[1024];
	size_t size, n_damaged = 0;

	add(&lease);
	size = read_record(data, sizeof(data) - 1);
	data[size] = 0;
	ck_assert_int_eq(
		server_lease_decode(key_bytes(&key), (struct store_bytes){ data, size }, &found),
		0);
	for (size_t cut = 0; cut <= size + 1; cut++) {
		if (cut == size)
			continue;
		ck_assert_int_eq(server_lease_decode(key_bytes(&key),
						     (struct store_bytes){ data, cut }, &found),
				 POOL_E_DAMAGED);
	}
	for (size_t at = 0; at < size; at++) {
		for (unsigned int value = 0; value < 256; value++) {
			memcpy(changed, data, size);
			changed[at] = (uint8_t)value;
			if (server_lease_decode(key_bytes(&key),
						(struct store_bytes){ changed, size },
						&found) < 0) {
				n_damaged++;
				continue;
			}
			ck_assert_uint_gt(found.id.size, 0);
			ck_assert_uint_le(found.n_servers, CONFIG_MADCAP_SERVERS_MAX);
			for (size_t i = 0; i < found.n_servers; i++)
				ck_assert_uint_ne(found.servers[i].port, 0);
		}
	}
	ck_assert_uint_gt(n_damaged, 1000);
	for (key.size--; key.size > 0; key.size--)
		ck_assert_int_eq(server_lease_decode(key_bytes(&key),
						     (struct store_bytes){ data, size }, &found),
				 POOL_E_DAMAGED);
}
END_TEST

/* The end of a lease is compared with times that lie some days off. */
START_TEST(an_end_that_no_clock_comes_to_is_damage)
{
	struct server_lease found[4];

	lease.end_sec = -1;
	add(&lease);
	ck_assert_uint_eq(list(found), 0);
}
END_TEST

/* It is nobody's lease, it is told of, and the others are not held up by it. */
START_TEST(damage_in_the_store_is_told_and_passed_over)
{
	struct server_lease other = lease, found[4], taken[2] = { lease, lease };
	const struct server_claim how = { .busy_us = 99 };
	size_t n = 1;

	add(&lease);
	other.addr++;
	add(&other);
	write_record("nonsense", 8);
	ck_assert_uint_eq(list(found), 1);
	ck_assert_uint_eq(found[0].addr, other.addr);
	ck_assert_int_eq(server_lease_change(fixture.pool, &lease, &other, &fixture.why),
			 POOL_E_DAMAGED);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "/state/memory.mdb holds a record that "
						       "makes no sense"));
	ck_assert_int_eq(server_lease_claim(fixture.pool, taken, &n, &how, &fixture.why),
			 POOL_E_DAMAGED);
	ck_assert_int_eq(server_lease_remove(fixture.pool, &lease, 1, &fixture.why),
			 POOL_E_DAMAGED);
	ck_assert_int_eq(server_lease_remove(fixture.pool, &other, 1, &fixture.why), 0);
	ck_assert_uint_eq(list(found), 0);
}
END_TEST

/* Whoever comes late finds it changed or gone, and leaves it alone. */
START_TEST(what_others_have_taken_up_is_left_alone)
{
	struct server_lease mine[2] = { lease, lease }, taken = lease, found[4];
	const struct server_claim how = { .busy_us = 99, .registry = 1 };
	size_t n = 2;

	mine[1].addr++;
	add(&mine[0]);
	add(&mine[1]);
	taken.busy_us = 1000;
	ck_assert_int_eq(server_lease_change(fixture.pool, &lease, &taken, &fixture.why), 0);
	ck_assert_int_eq(server_lease_claim(fixture.pool, mine, &n, &how, &fixture.why), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(mine[0].addr, lease.addr + 1);
	ck_assert_uint_eq(mine[0].busy_us, 99);
	ck_assert_int_eq(server_lease_change(fixture.pool, &lease, &taken, &fixture.why),
			 POOL_E_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "given up meanwhile"));
	ck_assert_int_eq(server_lease_remove(fixture.pool, &lease, 1, &fixture.why), 0);
	ck_assert_uint_eq(list(found), 2);
	ck_assert_int_eq(server_lease_remove(fixture.pool, &taken, 1, &fixture.why), 0);
	ck_assert_int_eq(server_lease_remove(fixture.pool, &taken, 1, &fixture.why), 0);
	ck_assert_uint_eq(list(found), 1);
	ck_assert_uint_eq(found[0].addr, lease.addr + 1);
}
END_TEST

/* state_dir is another user's, say: told, and nothing is taken for done. */
START_TEST(a_directory_that_cannot_be_used)
{
	const struct server_claim how = { .busy_us = 99 };
	struct server_lease found[4];
	char path[300];
	size_t n = 1;

	add(&lease);
	snprintf(path, sizeof(path), "%s/state", fixture.dir);
	ck_assert_int_eq(chmod(path, 0777), 0);
	ck_assert_int_lt(server_lease_add(fixture.pool, &lease, &fixture.why), 0);
	ck_assert_ptr_nonnull(strstr(fixture.why.text, "may be written by others"));
	ck_assert_int_lt(server_lease_change(fixture.pool, &lease, &lease, &fixture.why), 0);
	ck_assert_int_lt(server_lease_remove(fixture.pool, &lease, 1, &fixture.why), 0);
	ck_assert_int_lt(server_lease_claim(fixture.pool, &lease, &n, &how, &fixture.why), 0);
	ck_assert_int_lt(server_lease_list(fixture.pool, &lease, found, 4, &n, &fixture.why), 0);
	ck_assert_int_eq(chmod(path, 0750), 0);
	ck_assert_uint_eq(list(found), 1);
	ck_assert_uint_eq(found[0].busy_us, 13);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server_lease");
	TCase *tcase = tcase_create("server_lease");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_is_written_is_read);
	tcase_add_test(tcase, a_senseless_record_is_damage);
	tcase_add_test(tcase, an_end_that_no_clock_comes_to_is_damage);
	tcase_add_test(tcase, damage_in_the_store_is_told_and_passed_over);
	tcase_add_test(tcase, what_others_have_taken_up_is_left_alone);
	tcase_add_test(tcase, a_directory_that_cannot_be_used);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
