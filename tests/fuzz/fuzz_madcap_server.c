/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a server and a script of datagrams for it. Each piece of input is an octet that
 * says where it comes from and goes to, one that lets time pass, a length, and so many octets; "L"
 * as the first octet of a lease identifier is nothing special. Batches are committed, failed, or the
 * server is started again. However it goes: answers conform and go with their requests, no two
 * leases of an address overlap, tables stay within their limits.
 */
#include <unistd.h>

#include "fuzz.h"
#include "madcap/address.h"
#include "madcap/book.h"
#include "madcap/message.h"
#include "madcap/server.h"
#include "wire.h"

#define LEASES_MAX 512
#define N_ADDRESSES 16

static const struct madcap_zone_name names[] = { { "en", "Somewhere", true },
						 { "de", "Irgendwo", false } };

static struct madcap_address_range allocate[2];
static struct madcap_server_scope scopes[2];
static struct book *book;
static struct madcap_server *server;
static struct madcap_clock now;
static struct madcap_server_config config = {
	.scopes = scopes,
	.n_scopes = 2,
	.extra_allocation_sec = 60,
	.clock_skew_allowance_sec = 1800,
	.response_cache_sec = 60,
	.offer_hold_sec = 30,
	.max_addresses_per_request = 8,
	.max_addresses_per_client = 12,
	.retry_after_above = 6,
	.cache_entries = 16,
	.max_offers = 8,
	.max_pending = 4,
	.nak_on_failure = true,
};

static struct madcap_address address(const char *text)
{
	struct madcap_address address = { .family = 0 };

	require(madcap_address_parse(text, &address), "an address");
	return address;
}

static void start(void)
{
	const struct book_options options = { .state_dir = fuzz_directory,
					      .map_bytes = 1 << 24,
					      .extra_sec = 60,
					      .seed = 1,
					      .unsynced = true,
					      .trusted = true };
	struct error error;

	require(book_open(&options, &book, &error) == 0, "the book opens");
	require(madcap_server_new(book, &config, &server, &error) == 0, "the server starts");
}

static void stop(void)
{
	madcap_server_free(&server);
	book_close(&book);
}

static void prepare(void)
{
	allocate[0] = (struct madcap_address_range){ address("239.1.0.0"), address("239.1.0.15") };
	allocate[1] = (struct madcap_address_range){ address("ff15::"), address("ff15::f") };
	for (int i = 0; i < 2; i++)
		scopes[i] = (struct madcap_server_scope){
			.first = allocate[i].first,
			.last = address(i == 0 ? "239.1.255.255" : "ff15::ffff"),
			.ttl = 16,
			.names = names,
			.n_names = 2,
			.allocate = &allocate[i],
			.n_allocate = 1,
			.max_lease_sec = 1000,
			.default_lease_sec = 100,
		};
	fuzz_make_directory("/tmp/fuzz-madcap-XXXXXX");
}

static void remove_files(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/madcap-book.mdb", fuzz_directory);
	unlink(path);
	snprintf(path, sizeof(path), "%s/madcap-book.mdb-lock", fuzz_directory);
	unlink(path);
}

/* ---- what always holds ----------------------------------------------------------------------- */

struct held {
	struct madcap_address first;
	uint32_t count;
	uint32_t start, end;
};

static bool clash(const struct held *a, const struct held *b)
{
	struct madcap_address a_last, b_last;

	require(madcap_address_add(&a->first, a->count - 1, &a_last), "a range");
	require(madcap_address_add(&b->first, b->count - 1, &b_last), "a range");
	if (a->first.family != b->first.family || a->start >= b->end || b->start >= a->end)
		return false;
	return madcap_address_compare(&a->first, &b_last) <= 0 &&
	       madcap_address_compare(&b->first, &a_last) <= 0;
}

static void check_book(void)
{
	static struct held held[LEASES_MAX];
	struct book_stats stats;
	struct book_lease lease;
	uint64_t at = 0;
	size_t n = 0;

	while (book_next(book, &at, &lease) == 0) {
		for (size_t i = 0; i < lease.n_ranges && n < LEASES_MAX; i++) {
			struct book_range range = book_lease_range(&lease, i);

			held[n] = (struct held){ range.first, range.count, lease.start_sec,
						 lease.end_sec };
			for (size_t j = 0; j < n; j++)
				require(!clash(&held[j], &held[n]), "no address is given twice");
			n++;
		}
	}
	require(book_stats(book, NULL, &stats), "counts");
	require(stats.size == 2 * N_ADDRESSES && stats.free <= stats.size, "sizes");
	require(stats.leases[BOOK_OFFERED] <= config.max_offers, "offers are bounded");
	require(stats.leases[BOOK_PENDING] <= config.max_pending, "pending leases are bounded");
}

static void check_answer(const struct madcap_input *input, const struct madcap_answer *answer)
{
	struct madcap_message asked, told;
	struct madcap_verdict verdict;

	if (answer->size == 0)
		return;
	require(madcap_message_decode(input->data, input->size, &asked).fault != MADCAP_IGNORE,
		"nothing garbled is answered");
	require(asked.type != MADCAP_NAK, "no NAK is answered");
	verdict = madcap_message_decode(answer->data, answer->size, &told);
	require(told.xid == asked.xid && told.family == asked.family, "xid and family");
	if (madcap_family_size(asked.family) == 0)
		return;
	require(verdict.fault == MADCAP_FINE, "an answer is well-formed");
	if (!madcap_message_has(&asked, MADCAP_OPT_LEASE_ID))
		return;
	verdict = madcap_message_check(&told, madcap_column_of(told.type, asked.type), false);
	require(verdict.fault == MADCAP_FINE, "an answer conforms");
	require(told.lease_id.size == asked.lease_id.size &&
			memcmp(told.lease_id.data, asked.lease_id.data, told.lease_id.size) == 0,
		"an answer has the lease identifier");
}

/* ---- the script ------------------------------------------------------------------------------ */

static void end_batch(uint8_t how, const struct madcap_input *input, struct madcap_answer *answer)
{
	struct error error;

	if (how % 8 == 1) {
		book_abort(book);
		require(book_begin(book, &error) == 0, "a batch");
		madcap_server_fail(server, input, answer);
	}
	require(madcap_server_commit(server, &error) == 0, "commits");
	check_answer(input, answer);
	if (how % 8 == 2) {
		stop();
		start();
	}
}

static void decide(uint8_t how)
{
	struct book_lease lease;
	uint64_t at = 0;

	while (book_next(book, &at, &lease) == 0) {
		if (lease.state != BOOK_PENDING)
			continue;
		require((how % 8 == 3 ? madcap_server_approve(server, lease.id)
				      : madcap_server_deny(server, lease.id)) == 0,
			"decides");
		return;
	}
}

static void step(uint8_t how, uint8_t time, const uint8_t *data, size_t size)
{
	static struct madcap_answer answer;
	struct madcap_input input = { .data = data, .size = size };
	struct error error;

	input.local = address("192.0.2.1");
	input.to = input.local;
	if ((how & 0x80) != 0)
		input.to = address((how & 0x40) != 0 ? "239.1.255.254" : "239.255.255.254");
	input.from.address = address("192.0.2.2");
	input.from.address.bytes[3] = (uint8_t)(2 + (how >> 4 & 3));
	now.unix_sec += (int64_t)time * time;
	now.mono_ms += 1000 * (int64_t)time * time;
	require(madcap_server_begin(server, &now, &error) == 0, "begins");
	madcap_server_tick(server, 4);
	if (how % 8 == 3 || how % 8 == 4)
		decide(how);
	madcap_server_step(server, &input, &answer);
	check_answer(&input, &answer);
	end_batch(how, &input, &answer);
	check_book();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader reader;

	if (fuzz_directory[0] == '\0')
		prepare();
	remove_files();
	now = (struct madcap_clock){ 1000, 0x65000000 };
	start();
	wire_reader_init(&reader, data, size);
	for (int i = 0; i < 40 && reader.at < size; i++) {
		uint8_t how = wire_read_u8(&reader);
		uint8_t time = wire_read_u8(&reader);
		size_t length = wire_read_u8(&reader);
		const uint8_t *bytes;

		if (length > size - reader.at)
			length = size - reader.at;
		bytes = wire_read_bytes(&reader, length);
		if (bytes == NULL)
			break;
		step(how, time, bytes, length);
	}
	stop();
	return 0;
}
