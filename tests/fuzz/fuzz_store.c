/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: stores whose entries say anything. The input is a list of entries, for the lease
 * store or the memory store; small letters are records with fields out of the input, well encoded,
 * so that what stands in them contradicts itself rather than does not decode. Then everything is
 * done that sessions and the operator do. Nothing crashes, and whatever the stores say, an address
 * that is given is one of the pool's, no other session's and nobody's own end.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "pool.h"
#include "record.h"
#include "server_lease.h"
#include "store.h"
#include "store_in_memory.h"
#include "wire.h"

#define ENTRIES_MAX 64
#define SESSIONS 3

static struct config *config;
static int64_t boot_us;

/* ---- a world in which runs do not differ ----------------------------------------------------- */

static int64_t read_boot_us(void *context)
{
	(void)context;
	return boot_us++;
}

static int64_t read_unix_sec(void *context)
{
	(void)context;
	return 1800000000;
}

static uint64_t draw(void *context)
{
	(void)context;
	return UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_in_use(void *context, uint32_t addr_be)
{
	(void)context;
	return addr_be == htonl(0x0a000003);
}

/* A server that never answers; time passes all the same. */
static void send_nowhere(void *context, const struct madcap_endpoint *to, bool multicast,
			 const uint8_t *data, size_t size)
{
	(void)context;
	(void)data;
	require(!multicast && to->port != 0 && size > 0, "sent: a datagram to a server");
}

static ssize_t receive_nothing(void *context, uint8_t *data, size_t size,
			       struct madcap_endpoint *ret_from)
{
	(void)context;
	(void)data;
	(void)size;
	(void)ret_from;
	return -1;
}

static void let_time_pass(void *context, int64_t wait_ms)
{
	(void)context;
	boot_us += wait_ms < 60000 ? wait_ms * 1000 : 60000000;
}

static uint64_t which_boot(void *context)
{
	(void)context;
	return 1;
}

static const struct pool_net net = { send_nowhere, receive_nothing, let_time_pass };

static const struct pool_env env = {
	.net = &net,
	.boot = which_boot,
	.boot_us = read_boot_us,
	.unix_sec = read_unix_sec,
	.random = draw,
	.in_use = is_in_use,
};

/* On a tmpfs if there is one: elsewhere the store's name would have the boot's number in it. */
static void prepare(void)
{
	char text[1024];
	struct config_errors errors = { 0 };

	fuzz_make_directory("/dev/shm/fuzz-store-XXXXXX");
	snprintf(text, sizeof(text),
		 "runtime_dir = \"%s\"; state_dir = \"%s\";"
		 "pools = ( { name = \"p\"; ranges = (\"10.0.0.0/29\"); local = \"10.0.0.7\";"
		 " hold = \"10s\"; max_per_user = 2; alarm = 50; next = \"q\"; },"
		 " { name = \"q\"; ranges = (\"10.0.1.0/30\"); order = \"random\"; },"
		 " { name = \"s\"; ranges = (\"10.0.2.0/30\"); backend = \"madcap\"; hold = \"9s\";"
		 " madcap = { scope = \"239.192.0.0\"; servers = (\"192.0.2.1\"); timeout = \"1s\";"
		 " }; } );"
		 "assign = ( { user = \"r\"; address = \"10.0.0.1\"; }, { pool = \"p\"; } );",
		 fuzz_directory, fuzz_directory);
	require(config_load_text(text, "fuzz", &config, &errors) == 0, "a configuration");
	config_errors_done(&errors);
}

/* ---- entries out of the input ---------------------------------------------------------------- */

static uint32_t take_addr(struct wire_reader *reader)
{
	uint8_t which = wire_read_u8(reader);

	if (which >= 0xf0)
		return wire_read_u32(reader);
	/* One of the first three networks. */
	return 0x0a000000U + (which & 0x0fU) + (which & 0x10U) * 0x10U + (which & 0x20U) * 0x10U;
}

static uint64_t take_number(struct wire_reader *reader)
{
	uint8_t small = wire_read_u8(reader);

	if (small < 0x80)
		return small;
	return small < 0xc0 ? (uint64_t)CLOCK_OFFSET_US + small : wire_read_u64(reader);
}

static void take_text(struct wire_reader *reader, char *ret, size_t size)
{
	static const char *const usual[] = { "", "alice", "bob", "r", "p", "q", "ttyS0", "s" };
	uint8_t which = wire_read_u8(reader);

	if (which < sizeof(usual) / sizeof(usual[0])) {
		snprintf(ret, size, "%s", usual[which]);
		return;
	}
	ret[0] = '\0';
	wire_read_string8(reader, ret, size);
}

static int put_lease(struct store_txn *txn, struct wire_reader *reader)
{
	static const enum queue queues[] = { QUEUE_NONE, QUEUE_TIME, QUEUE_INDEX, QUEUE_ASIDE };
	struct lease_record record = { 0 };
	uint32_t addr = take_addr(reader);
	uint8_t bits = wire_read_u8(reader);

	record.active = bits & 1;
	record.notify = bits & 2;
	record.queue = queues[bits >> 2 & 3];
	record.how = (enum pool_how)(bits >> 4 & 3);
	record.order = take_number(reader);
	record.pool = (uint32_t)take_number(reader);
	record.id = take_number(reader);
	record.since_sec = (int64_t)take_number(reader);
	record.since_us = take_number(reader);
	record.pid = (pid_t)take_number(reader);
	take_text(reader, record.user, sizeof(record.user));
	take_text(reader, record.port, sizeof(record.port));
	take_text(reader, record.module, sizeof(record.module));
	return record_put_lease(txn, addr, &record);
}

static int put_counters(struct store_txn *txn, struct wire_reader *reader)
{
	char name[CONFIG_POOL_NAME_MAX + 1];
	struct pool_counters counters = { 0 };

	take_text(reader, name, sizeof(name));
	counters.number = (uint32_t)take_number(reader);
	counters.layout = take_number(reader);
	counters.position = take_number(reader);
	counters.key = take_number(reader);
	counters.active = take_number(reader);
	counters.peak = take_number(reader);
	counters.scanned_us = take_number(reader);
	return record_put_pool(txn, name, &counters);
}

static int put_memory(struct store_txn *txn, struct wire_reader *reader)
{
	struct memory_record record = { 0 };
	uint32_t addr = take_addr(reader);

	record.released = wire_read_u8(reader) & 1;
	record.since_sec = (int64_t)take_number(reader);
	take_text(reader, record.user, sizeof(record.user));
	return record_put_memory(txn, addr, &record);
}

static int put_history(struct store_txn *txn, struct wire_reader *reader, char letter)
{
	struct history_record record = { 0 };
	uint64_t number = take_number(reader);
	struct key key = letter == 'n' ? key_news(number) : key_history(number);

	record.kind = (enum pool_event_kind)(wire_read_u8(reader) % (POOL_EVENT_WARNING + 1));
	record.time_sec = (int64_t)take_number(reader);
	record.granted_sec = (int64_t)take_number(reader);
	record.addr = take_addr(reader);
	take_text(reader, record.user, sizeof(record.user));
	take_text(reader, record.text, sizeof(record.text));
	return record_put_history(txn, &key, &record);
}

static int put_mark(struct store_txn *txn, struct wire_reader *reader, char letter)
{
	char user[POOL_USER_MAX + 1];
	struct key key;
	uint32_t pool;

	if (letter == 'o' || letter == 'f') {
		key = letter == 'o' ? key_dirty(take_addr(reader)) : key_foreign(take_addr(reader));
		return record_put_mark(txn, &key);
	}
	if (letter == 'q') {
		pool = (uint32_t)take_number(reader);
		key = key_queue(pool, wire_read_u8(reader), take_number(reader), take_addr(reader));
		return record_put_mark(txn, &key);
	}
	take_text(reader, user, sizeof(user));
	if (letter == 'g' || letter == 't') {
		key = letter == 'g' ? key_foreign_user(user, take_addr(reader))
				    : key_foreign_port(user, take_addr(reader));
		return record_put_mark(txn, &key);
	}
	pool = (uint32_t)take_number(reader);
	key = letter == 'u' ? key_user_active(user, pool, take_addr(reader))
			    : key_user_remembered(user, take_number(reader), take_addr(reader));
	return record_put_mark(txn, &key);
}

static int put_server_lease(struct store_txn *txn, struct wire_reader *reader)
{
	uint8_t bits = wire_read_u8(reader);
	struct server_lease lease = {
		.number = take_number(reader),
		.addr = take_addr(reader),
		.lease_id = take_number(reader),
		.id = { .size = 17, .bytes = { 0, bits } },
		.end_sec = (bits & 1) != 0 ? 1900000000 : (int64_t)take_number(reader),
		.registry = take_number(reader),
		.boot = take_number(reader),
		.busy_us = take_number(reader),
		.mobile = (bits & 2) != 0,
		.n_servers = bits >> 2 & 3,
	};

	for (size_t i = 0; i < lease.n_servers; i++)
		lease.servers[i] =
			(struct madcap_endpoint){ .address = { .family = MADCAP_IPV4,
							       .bytes = { 192, 0, 2, (uint8_t)i } },
						  .port = MADCAP_PORT };
	take_text(reader, lease.pool, sizeof(lease.pool));
	take_text(reader, lease.user, sizeof(lease.user));
	return server_lease_put(txn, &lease);
}

/* What an active lease stands on, and which registry this is. */
static int put_served(struct store_txn *txn, struct wire_reader *reader)
{
	struct served_record record = { .server = { .address = { .family = MADCAP_IPV4,
								 .bytes = { 192, 0, 2, 1 } },
						    .port = MADCAP_PORT },
					.end_sec = (int64_t)take_number(reader) };
	int code = record_put_registry(txn, take_number(reader));

	return code == 0 ? record_put_served(txn, take_addr(reader), &record) : code;
}

/* A key and a value as they come. */
static int put_raw(struct store_txn *txn, struct wire_reader *reader)
{
	uint8_t key_size = wire_read_u8(reader);
	const uint8_t *key = wire_read_bytes(reader, key_size);
	uint8_t size = wire_read_u8(reader);
	const uint8_t *value = wire_read_bytes(reader, size);

	if (key == NULL || value == NULL || key_size == 0)
		return 0;
	return store_put(txn, (struct store_bytes){ key, key_size },
			 (struct store_bytes){ value, size });
}

static int put_entry(struct store_txn *txn, struct wire_reader *reader, char letter)
{
	switch (letter) {
	case 'l':
		return put_lease(txn, reader);
	case 'p':
		return put_counters(txn, reader);
	case 'm':
		return put_memory(txn, reader);
	case 'w':
		return put_server_lease(txn, reader);
	case 's':
		return put_served(txn, reader);
	case 'c':
		return record_put_foreign_next(txn, take_addr(reader));
	case 'b':
		return record_put_foreign_seen(txn, take_number(reader));
	case 'n':
	case 'h':
		return put_history(txn, reader, letter);
	case 'o':
	case 'f':
	case 'g':
	case 't':
	case 'q':
	case 'u':
	case 'v':
		return put_mark(txn, reader, letter);
	default:
		return put_raw(txn, reader);
	}
}

static void open_store(bool memory, struct store **ret_store, struct store_txn **ret_txn)
{
	char path[128];
	const struct store_options options = {
		.path = path,
		.kind = memory ? MEMORY_KIND : LEASES_KIND,
		.version = memory ? MEMORY_VERSION : LEASES_VERSION,
		.map_bytes = 1 << 22,
		.create = true,
	};
	struct error why;

	snprintf(path, sizeof(path), "%s/%s", fuzz_directory, memory ? MEMORY_FILE : LEASES_FILE);
	require(store_open(ret_store, &options, &why) == 0, "a store opens");
	require(store_begin(*ret_store, true, ret_txn, NULL, &why) == 0, "a transaction");
}

/* 'm', 'h', 'w' and capitals behind a 'M' go into the memory store. */
static void fill(struct wire_reader *reader)
{
	struct store *stores[2] = { NULL };
	struct store_txn *txns[2] = { NULL };
	bool used[2] = { false };
	struct error why;

	for (int i = 0; i < 2; i++)
		open_store(i == 1, &stores[i], &txns[i]);
	for (int i = 0; i < ENTRIES_MAX && reader->at < reader->size && !reader->failed; i++) {
		char letter = (char)wire_read_u8(reader);
		int which = letter == 'm' || letter == 'h' || letter == 'w' || letter == 'M';

		used[which] = true;
		(void)put_entry(txns[which], reader, letter);
	}
	for (int i = 0; i < 2; i++) {
		if (used[i])
			require(store_commit(&txns[i], &why) == 0, "a commit");
		store_abort(&txns[i]);
		store_close(&stores[i]);
	}
}

/* ---- what is done with them ------------------------------------------------------------------ */

static int count_record(void *context, const struct pool_record *record)
{
	++*(size_t *)context;
	return strlen(record->user) > POOL_USER_MAX;
}

static int count_past(void *context, const struct pool_past *past)
{
	++*(size_t *)context;
	return past->kind > POOL_EVENT_WARNING;
}

static void look(struct pool *pool)
{
	static struct pool_explanation explanation;
	const struct pool_filter filters[] = { { .all = true }, { .dead = true } };
	const struct pool_request request = { .user = "alice", .port = "ttyS0" };
	struct pool_stats stats[3];
	struct pool_record record;
	struct error why;
	uint64_t count;
	size_t n = 0;
	bool alive;

	for (size_t i = 0; i < 2; i++)
		(void)pool_walk(pool, &filters[i], count_record, &n, &why);
	(void)pool_history(pool, count_past, &n, &why);
	(void)pool_stats(pool, stats, &why);
	(void)pool_lookup(pool, htonl(0x0a000001), &record, &alive, &why);
	(void)pool_explain(pool, &request, &explanation, &why);
	(void)!pool_count_waiting(pool, &count, &why);
}

static void check_given(const struct pool_lease *leases, size_t n)
{
	uint32_t addr = ntohl(leases[n].addr_be);

	require(config_pool_of(config, addr) != CONFIG_NO_POOL, "given: one of a pool's");
	require(addr != 0x0a000007, "given: not our own end");
	require(addr != 0x0a000003, "given: in use by nobody on this machine");
	require((addr == 0x0a000001) == (strcmp(leases[n].user, "r") == 0),
		"given: a reservation to its user alone");
	for (size_t i = 0; i < n; i++)
		require(leases[i].addr_be != leases[n].addr_be, "given: no other session's");
}

static void live(struct pool *pool)
{
	static const char *const users[SESSIONS] = { "alice", "r", "bob" };
	struct pool_lease leases[SESSIONS];
	struct error why;
	uint64_t count;

	for (size_t i = 0; i < SESSIONS; i++) {
		const struct pool_request request = { .user = users[i], .port = "ttyS0" };

		leases[i] = POOL_LEASE_NONE;
		if (pool_acquire(pool, &request, &leases[i], &why) == 0)
			check_given(leases, i);
		else
			require(leases[i].addr_be == 0 && why.text[0] != '\0', "refused: why");
	}
	look(pool);
	(void)pool_reclaim(pool, false, &count, &why);
	(void)pool_reclaim_for(pool,
			       &(struct pool_request){ .user = "alice",
						       .port = "ttyS0",
						       .candidate_be = htonl(0x0a000001) },
			       &why);
	(void)pool_reclaim(pool, true, &count, &why);
	(void)pool_forget(pool, htonl(0x0a000002), &why);
	for (size_t i = 0; i < SESSIONS; i++)
		(void)pool_release(pool, &leases[i], &why);
	(void)pool_maintain(pool, &why);
}

/* Nobody answers: no address, whatever the stores say, and nothing that does not end. */
static void ask_servers(struct pool *pool)
{
	static const struct pool_request request = { .user = "alice",
						     .port = "ttyS0",
						     .pool_name = "s" };
	struct pool_lease lease = POOL_LEASE_NONE;
	struct error why;
	uint64_t count;

	(void)pool_deliver_all(pool, &count, &why);
	require(pool_acquire(pool, &request, &lease, &why) < 0, "no server, no address");
	require(lease.addr_be == 0 && lease.served == NULL, "nothing is held");
	boot_us += 100000000;
	(void)pool_deliver_all(pool, &count, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader reader;
	struct pool *pool;

	if (fuzz_directory[0] == '\0')
		prepare();
	store_in_memory_empty();
	boot_us = 1000000;
	wire_reader_init(&reader, data, size);
	fill(&reader);
	require(pool_open(&pool, config, &env) == 0, "a pool");
	look(pool);
	live(pool);
	ask_servers(pool);
	pool_close(&pool);
	return 0;
}
