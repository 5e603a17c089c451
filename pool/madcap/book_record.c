/* SPDX-License-Identifier: MIT */
#include "book_file.h"

#include <stdlib.h>

#include "address.h"
#include "wire.h"

void book_record_key(uint64_t serial, uint8_t key[BOOK_KEY_SIZE])
{
	struct wire_writer writer;

	wire_writer_init(&writer, key, BOOK_KEY_SIZE);
	wire_write_u8(&writer, 'L');
	wire_write_u64(&writer, serial);
}

bool book_record_serial(struct store_bytes key, uint64_t *ret)
{
	struct wire_reader reader;

	wire_reader_init(&reader, key.data, key.size);
	if (wire_read_u8(&reader) != 'L')
		return false;
	*ret = wire_read_u64(&reader);
	return wire_reader_finished(&reader);
}

static void write_address(struct wire_writer *writer, const struct madcap_address *address)
{
	wire_write_u8(writer, (uint8_t)address->family);
	wire_write_bytes(writer, address->bytes, madcap_family_size(address->family));
}

static bool read_address(struct wire_reader *reader, struct madcap_address *ret)
{
	uint16_t family = wire_read_u8(reader);
	const uint8_t *bytes = wire_read_bytes(reader, madcap_family_size(family));

	if (bytes == NULL)
		return false;
	*ret = madcap_address_make(family, bytes);
	return family == 0 || ret->family != 0;
}

size_t book_record_write(const struct lease *lease, void *buf)
{
	const struct madcap_bytes id = lease_id(lease);
	struct wire_writer writer;

	wire_writer_init(&writer, buf, BOOK_RECORD_MAX);
	wire_write_u8(&writer, lease->state);
	wire_write_u8(&writer, lease->flags);
	write_address(&writer, &lease->space->scope);
	write_address(&writer, &lease->client->address);
	wire_write_u32(&writer, lease->times.start_sec);
	wire_write_u32(&writer, lease->times.end_sec);
	wire_write_u32(&writer, lease->touched_sec);
	if (lease->state != BOOK_ACTIVE) {
		wire_write_u16(&writer, lease->wanted_min);
		wire_write_u16(&writer, lease->wanted);
		wire_write_u32(&writer, lease->wanted_lease);
	}
	wire_write_u8(&writer, lease->id_size);
	wire_write_bytes(&writer, id.data, id.size);
	for (size_t i = 0; i < lease->n_spans; i++) {
		if (lease->space->scope.family == MADCAP_IPV4)
			wire_write_u32(&writer, (uint32_t)lease->spans[i].first);
		else
			wire_write_u64(&writer, lease->spans[i].first);
		wire_write_u16(&writer, (uint16_t)lease->spans[i].count);
	}
	return writer.at;
}

/* Nobody's secret: damage does not look for collisions. */
uint64_t book_record_sum(uint64_t serial, struct store_bytes record)
{
	const struct hash_key key = hash_key_make(serial);

	return keyed_hash(&key, record.data, record.size);
}

void book_total_write(const struct book_total *total, uint8_t buf[BOOK_TOTAL_SIZE])
{
	struct wire_writer writer;

	wire_writer_init(&writer, buf, BOOK_TOTAL_SIZE);
	wire_write_u64(&writer, total->batch);
	wire_write_u64(&writer, total->n_records);
	wire_write_u64(&writer, total->sum);
}

bool book_total_read(struct store_bytes record, struct book_total *ret)
{
	struct wire_reader reader;

	wire_reader_init(&reader, record.data, record.size);
	ret->batch = wire_read_u64(&reader);
	ret->n_records = wire_read_u64(&reader);
	ret->sum = wire_read_u64(&reader);
	return wire_reader_finished(&reader);
}

static bool read_head(struct wire_reader *reader, struct lease *lease, struct madcap_address *scope,
		      struct madcap_address *client)
{
	lease->state = wire_read_u8(reader);
	lease->flags = wire_read_u8(reader);
	if (!read_address(reader, scope) || !read_address(reader, client))
		return false;
	lease->times.start_sec = wire_read_u32(reader);
	lease->times.end_sec = wire_read_u32(reader);
	lease->touched_sec = wire_read_u32(reader);
	if (lease->state != BOOK_ACTIVE) {
		lease->wanted_min = wire_read_u16(reader);
		lease->wanted = wire_read_u16(reader);
		lease->wanted_lease = wire_read_u32(reader);
	}
	return !reader->failed && lease->state > BOOK_OFFERED && lease->state <= BOOK_DENIED &&
	       lease->times.end_sec > lease->times.start_sec && scope->family != 0;
}

static bool read_span(struct wire_reader *reader, const struct madcap_address *scope,
		      struct span *ret)
{
	struct madcap_address last;

	ret->first = scope->family == MADCAP_IPV4 ? wire_read_u32(reader) : wire_read_u64(reader);
	ret->count = wire_read_u16(reader);
	return !reader->failed && ret->count > 0 && ret->first <= UINT64_MAX - ret->count &&
	       madcap_address_add(scope, ret->first + ret->count - 1, &last);
}

int book_record_read(struct store_bytes record, struct lease **ret, struct madcap_address *scope,
		     struct madcap_address *client)
{
	struct lease head = { .serial = 0 };
	struct wire_reader reader;
	struct madcap_bytes id;
	struct lease *lease;
	size_t entry, left;

	wire_reader_init(&reader, record.data, record.size);
	if (!read_head(&reader, &head, scope, client))
		return POOL_E_DAMAGED;
	id.size = wire_read_u8(&reader);
	id.data = wire_read_bytes(&reader, id.size);
	entry = scope->family == MADCAP_IPV4 ? 6 : 10;
	left = reader.size - reader.at;
	if (id.data == NULL || id.size == 0 || left % entry != 0 ||
	    left / entry > BOOK_RANGES_MAX || (head.state == BOOK_ACTIVE) != (left > 0))
		return POOL_E_DAMAGED;
	lease = lease_new(id, left / entry);
	if (lease == NULL)
		return POOL_E_NO_MEMORY;
	head.n_spans = lease->n_spans;
	head.id_size = lease->id_size;
	*lease = head;
	for (size_t i = 0; i < lease->n_spans; i++) {
		if (!read_span(&reader, scope, &lease->spans[i])) {
			free(lease);
			return POOL_E_DAMAGED;
		}
	}
	*ret = lease;
	return 0;
}
