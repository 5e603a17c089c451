/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <string.h>

#include "madcap/address.h"
#include "wire.h"

enum lease_flag { FLAG_ACTIVE = 1, FLAG_NOTIFY = 2 };

int64_t record_read_time(struct wire_reader *reader)
{
	uint64_t sec = wire_read_u64(reader);

	reader->failed |= sec > INT64_MAX;
	return reader->failed ? 0 : (int64_t)sec;
}

_Static_assert(sizeof(((struct key *)NULL)->bytes) <= STORE_KEY_MAX &&
		       sizeof(((struct key *)NULL)->bytes) >=
			       1 + (POOL_USER_MAX + 1) + 4 + 1 + 8 + 4,
	       "the longest key, key_user_remembered(), fits");

/* The boot clock, or an index: neither comes this far, so that a rest can be added to one, and the
 * difference of two of them is a number. */
static uint64_t read_stamp(struct wire_reader *reader)
{
	uint64_t us = wire_read_u64(reader);

	reader->failed |= us > INT64_MAX / 2;
	return us;
}

static struct wire_writer key_begin(struct key *key, char kind)
{
	struct wire_writer writer;

	wire_writer_init(&writer, key->bytes, sizeof(key->bytes));
	wire_write_u8(&writer, (uint8_t)kind);
	return writer;
}

static struct key key_of_addr(char kind, uint32_t addr)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, kind);

	wire_write_u32(&writer, addr);
	key.size = writer.at;
	return key;
}

struct key key_lease(uint32_t addr)
{
	return key_of_addr('L', addr);
}

struct key key_dirty(uint32_t addr)
{
	return key_of_addr('O', addr);
}

struct key key_foreign(uint32_t addr)
{
	return key_of_addr('F', addr);
}

/* What `name` has. */
static struct key key_of_name(char kind, const char *name, uint32_t addr)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, kind);

	wire_write_bytes(&writer, name, strlen(name) + 1);
	wire_write_u32(&writer, addr);
	key.size = writer.at;
	return key;
}

struct key key_foreign_user(const char *user, uint32_t addr)
{
	return key_of_name('G', user, addr);
}

struct key key_foreign_port(const char *port, uint32_t addr)
{
	return key_of_name('T', port, addr);
}

struct key key_memory(uint32_t addr)
{
	return key_of_addr('A', addr);
}

struct key key_served(uint32_t addr)
{
	return key_of_addr('S', addr);
}

struct key key_server_lease(uint32_t addr, uint64_t number)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, 'W');

	wire_write_u32(&writer, addr);
	wire_write_u64(&writer, number);
	key.size = writer.at;
	return key;
}

bool key_of_server_lease(struct store_bytes found, uint32_t *ret_addr, uint64_t *ret_number)
{
	struct wire_reader reader;

	wire_reader_init(&reader, found.data, found.size);
	wire_read_u8(&reader);
	*ret_addr = wire_read_u32(&reader);
	*ret_number = wire_read_u64(&reader);
	return wire_reader_finished(&reader);
}

static struct key key_of_number(char kind, uint64_t number)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, kind);

	wire_write_u64(&writer, number);
	key.size = writer.at;
	return key;
}

struct key key_news(uint64_t number)
{
	return key_of_number('N', number);
}

struct key key_history(uint64_t number)
{
	return key_of_number('H', number);
}

uint64_t key_number(struct store_bytes found)
{
	struct wire_reader reader;

	wire_reader_init(&reader, found.data, found.size);
	wire_read_u8(&reader);
	return wire_read_u64(&reader);
}

struct key key_pool(const char *name)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, 'P');

	wire_write_bytes(&writer, name, strlen(name));
	key.size = writer.at;
	return key;
}

struct key key_queue(uint32_t pool, enum queue queue, uint64_t order, uint32_t addr)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, 'Q');

	wire_write_u32(&writer, pool);
	wire_write_u8(&writer, (uint8_t)queue);
	wire_write_u64(&writer, order);
	wire_write_u32(&writer, addr);
	key.size = writer.at;
	return key;
}

size_t key_queue_prefix(void)
{
	return 1 + 4 + 1;
}

uint64_t key_queue_order(struct store_bytes found)
{
	struct wire_reader reader;

	wire_reader_init(&reader, found.data, found.size);
	wire_read_bytes(&reader, key_queue_prefix());
	return wire_read_u64(&reader);
}

static struct wire_writer key_begin_user(struct key *key, const char *user, uint32_t pool,
					 char state)
{
	struct wire_writer writer = key_begin(key, 'U');

	wire_write_bytes(&writer, user, strlen(user) + 1);
	wire_write_u32(&writer, pool);
	wire_write_u8(&writer, (uint8_t)state);
	return writer;
}

struct key key_user_active(const char *user, uint32_t pool, uint32_t addr)
{
	struct key key;
	struct wire_writer writer = key_begin_user(&key, user, pool, 'a');

	wire_write_u32(&writer, addr);
	key.size = writer.at;
	return key;
}

struct key key_user_remembered(const char *user, uint64_t since_us, uint32_t addr)
{
	struct key key;
	struct wire_writer writer = key_begin_user(&key, user, POOL_NUMBER_NONE, 'r');

	wire_write_u64(&writer, ~since_us);
	wire_write_u32(&writer, addr);
	key.size = writer.at;
	return key;
}

size_t key_user_prefix(const char *user)
{
	return 1 + strlen(user) + 1 + 4 + 1;
}

bool key_has_prefix(struct store_bytes found, const struct key *key, size_t prefix)
{
	return found.size >= prefix && memcmp(found.data, key->bytes, prefix) == 0;
}

struct entries entries_from(struct store_txn *txn, const struct key *begin, size_t prefix)
{
	return (struct entries){ .txn = txn, .begin = begin, .prefix = prefix };
}

bool entries_next(struct entries *entries)
{
	int code = entries->begun ? store_next(entries->txn, &entries->key, &entries->value)
				  : store_seek(entries->txn, key_bytes(entries->begin),
					       &entries->key, &entries->value);

	entries->begun = true;
	if (code == 0 && key_has_prefix(entries->key, entries->begin, entries->prefix))
		return true;
	entries->code = code == POOL_E_NOT_FOUND ? 0 : code;
	return false;
}

bool key_addr(struct store_bytes found, uint32_t *ret_addr)
{
	struct wire_reader reader;

	if (found.size < 5)
		return false;
	wire_reader_init(&reader, (const uint8_t *)found.data + found.size - 4, 4);
	*ret_addr = wire_read_u32(&reader);
	return true;
}

int record_put_lease(struct store_txn *txn, uint32_t addr, const struct lease_record *record)
{
	struct key key = key_lease(addr);
	uint8_t buf[RECORD_SIZE_MAX];
	struct wire_writer writer;
	unsigned int flags = 0;

	if (record->active)
		flags |= FLAG_ACTIVE;
	if (record->notify)
		flags |= FLAG_NOTIFY;
	wire_writer_init(&writer, buf, sizeof(buf));
	wire_write_u8(&writer, (uint8_t)flags);
	wire_write_u8(&writer, (uint8_t)record->how);
	wire_write_u8(&writer, (uint8_t)record->queue);
	wire_write_u32(&writer, record->pool);
	wire_write_u64(&writer, record->order);
	wire_write_u64(&writer, record->id);
	wire_write_u64(&writer, (uint64_t)record->since_sec);
	wire_write_u64(&writer, record->since_us);
	wire_write_u32(&writer, (uint32_t)record->pid);
	wire_write_string8(&writer, record->user);
	wire_write_string8(&writer, record->port);
	wire_write_string8(&writer, record->module);
	if (writer.failed)
		return POOL_E_INVALID;
	return store_put(txn, key_bytes(&key), (struct store_bytes){ buf, writer.at });
}

static bool is_queue(unsigned int value)
{
	return value == QUEUE_NONE || value == QUEUE_TIME || value == QUEUE_INDEX ||
	       value == QUEUE_ASIDE;
}

int record_decode_lease(struct store_bytes value, struct lease_record *ret)
{
	struct wire_reader reader;
	unsigned int flags;
	unsigned int how;
	unsigned int queue;

	wire_reader_init(&reader, value.data, value.size);
	flags = wire_read_u8(&reader);
	how = wire_read_u8(&reader);
	queue = wire_read_u8(&reader);
	ret->active = (flags & FLAG_ACTIVE) != 0;
	ret->notify = (flags & FLAG_NOTIFY) != 0;
	ret->how = (enum pool_how)how;
	ret->queue = (enum queue)queue;
	ret->pool = wire_read_u32(&reader);
	ret->order = read_stamp(&reader);
	ret->id = wire_read_u64(&reader);
	ret->since_sec = record_read_time(&reader);
	ret->since_us = read_stamp(&reader);
	ret->pid = (pid_t)wire_read_u32(&reader);
	wire_read_string8(&reader, ret->user, sizeof(ret->user));
	wire_read_string8(&reader, ret->port, sizeof(ret->port));
	wire_read_string8(&reader, ret->module, sizeof(ret->module));
	if (!wire_reader_finished(&reader) || how > POOL_HOW_MODULE || !is_queue(queue))
		return POOL_E_DAMAGED;
	return 0;
}

int record_get_lease(struct store_txn *txn, uint32_t addr, struct lease_record *ret)
{
	struct key key = key_lease(addr);
	struct store_bytes value;
	int code = store_get(txn, key_bytes(&key), &value);

	return code == 0 ? record_decode_lease(value, ret) : code;
}

int record_put_pool(struct store_txn *txn, const char *name, const struct pool_counters *counters)
{
	struct key key = key_pool(name);
	uint8_t buf[RECORD_SIZE_MAX];
	struct wire_writer writer;

	wire_writer_init(&writer, buf, sizeof(buf));
	wire_write_u32(&writer, counters->number);
	wire_write_u64(&writer, counters->layout);
	wire_write_u64(&writer, counters->position);
	wire_write_u64(&writer, counters->key);
	wire_write_u64(&writer, counters->active);
	wire_write_u64(&writer, counters->peak);
	wire_write_u64(&writer, counters->grants);
	wire_write_u64(&writer, counters->refusals);
	wire_write_u64(&writer, counters->reclaims);
	wire_write_u64(&writer, counters->scanned_us);
	wire_write_u8(&writer, counters->alarm_on);
	return store_put(txn, key_bytes(&key), (struct store_bytes){ buf, writer.at });
}

int record_decode_pool(struct store_bytes value, struct pool_counters *ret)
{
	struct wire_reader reader;

	wire_reader_init(&reader, value.data, value.size);
	ret->number = wire_read_u32(&reader);
	ret->layout = wire_read_u64(&reader);
	ret->position = wire_read_u64(&reader);
	ret->key = wire_read_u64(&reader);
	ret->active = wire_read_u64(&reader);
	ret->peak = wire_read_u64(&reader);
	ret->grants = wire_read_u64(&reader);
	ret->refusals = wire_read_u64(&reader);
	ret->reclaims = wire_read_u64(&reader);
	ret->scanned_us = wire_read_u64(&reader);
	ret->alarm_on = wire_read_u8(&reader) != 0;
	return wire_reader_finished(&reader) ? 0 : POOL_E_DAMAGED;
}

int record_get_pool(struct store_txn *txn, const char *name, struct pool_counters *ret)
{
	struct key key = key_pool(name);
	struct store_bytes value;
	int code = store_get(txn, key_bytes(&key), &value);

	return code == 0 ? record_decode_pool(value, ret) : code;
}

int record_put_memory(struct store_txn *txn, uint32_t addr, const struct memory_record *record)
{
	struct key key = key_memory(addr);
	uint8_t buf[RECORD_SIZE_MAX];
	struct wire_writer writer;

	wire_writer_init(&writer, buf, sizeof(buf));
	wire_write_u8(&writer, record->released);
	wire_write_u64(&writer, (uint64_t)record->since_sec);
	wire_write_string8(&writer, record->user);
	if (writer.failed)
		return POOL_E_INVALID;
	return store_put(txn, key_bytes(&key), (struct store_bytes){ buf, writer.at });
}

int record_decode_memory(struct store_bytes value, struct memory_record *ret)
{
	struct wire_reader reader;

	wire_reader_init(&reader, value.data, value.size);
	ret->released = wire_read_u8(&reader) != 0;
	ret->since_sec = record_read_time(&reader);
	wire_read_string8(&reader, ret->user, sizeof(ret->user));
	return wire_reader_finished(&reader) ? 0 : POOL_E_DAMAGED;
}

int record_put_history(struct store_txn *txn, const struct key *key,
		       const struct history_record *record)
{
	uint8_t buf[RECORD_SIZE_MAX];
	struct wire_writer writer;

	wire_writer_init(&writer, buf, sizeof(buf));
	wire_write_u8(&writer, (uint8_t)record->kind);
	wire_write_u64(&writer, (uint64_t)record->time_sec);
	wire_write_u64(&writer, (uint64_t)record->granted_sec);
	wire_write_u32(&writer, record->addr);
	wire_write_u8(&writer, (uint8_t)record->how);
	wire_write_u32(&writer, (uint32_t)record->pid);
	wire_write_string8(&writer, record->pool);
	wire_write_string8(&writer, record->user);
	wire_write_string8(&writer, record->port);
	wire_write_string8(&writer, record->module);
	wire_write_string8(&writer, record->text);
	if (writer.failed)
		return POOL_E_INVALID;
	return store_put(txn, key_bytes(key), (struct store_bytes){ buf, writer.at });
}

int record_decode_history(struct store_bytes value, struct history_record *ret)
{
	struct wire_reader reader;
	unsigned int kind;
	unsigned int how;

	wire_reader_init(&reader, value.data, value.size);
	kind = wire_read_u8(&reader);
	ret->time_sec = record_read_time(&reader);
	ret->granted_sec = record_read_time(&reader);
	ret->addr = wire_read_u32(&reader);
	how = wire_read_u8(&reader);
	ret->pid = (pid_t)wire_read_u32(&reader);
	wire_read_string8(&reader, ret->pool, sizeof(ret->pool));
	wire_read_string8(&reader, ret->user, sizeof(ret->user));
	wire_read_string8(&reader, ret->port, sizeof(ret->port));
	wire_read_string8(&reader, ret->module, sizeof(ret->module));
	wire_read_string8(&reader, ret->text, sizeof(ret->text));
	ret->kind = (enum pool_event_kind)kind;
	ret->how = (enum pool_how)how;
	if (!wire_reader_finished(&reader) || kind > POOL_EVENT_WARNING || how > POOL_HOW_MODULE)
		return POOL_E_DAMAGED;
	return 0;
}

/* Addresses of either family, by the octets that the family has. */
void record_write_endpoint(struct wire_writer *writer, const struct madcap_endpoint *endpoint)
{
	wire_write_u16(writer, endpoint->address.family);
	wire_write_bytes(writer, endpoint->address.bytes,
			 madcap_family_size(endpoint->address.family));
	wire_write_u16(writer, endpoint->port);
	wire_write_u32(writer, endpoint->zone);
}

bool record_read_endpoint(struct wire_reader *reader, struct madcap_endpoint *ret)
{
	uint16_t family = wire_read_u16(reader);
	size_t size = madcap_family_size(family);
	const uint8_t *bytes = wire_read_bytes(reader, size);

	if (size == 0 || bytes == NULL)
		return false;
	ret->address = madcap_address_make(family, bytes);
	ret->port = wire_read_u16(reader);
	ret->zone = wire_read_u32(reader);
	return ret->port != 0;
}

struct key key_silent(const struct madcap_endpoint *server)
{
	struct key key;
	struct wire_writer writer = key_begin(&key, 'D');

	record_write_endpoint(&writer, server);
	key.size = writer.at;
	return key;
}

static int put_u64(struct store_txn *txn, const struct key *key, uint64_t number)
{
	uint8_t bytes[8];
	struct wire_writer writer;

	wire_writer_init(&writer, bytes, sizeof(bytes));
	wire_write_u64(&writer, number);
	return store_put(txn, key_bytes(key), (struct store_bytes){ bytes, writer.at });
}

static int get_u64(struct store_txn *txn, const struct key *key, uint64_t *ret)
{
	struct store_bytes value;
	struct wire_reader reader;
	int code = store_get(txn, key_bytes(key), &value);

	if (code < 0)
		return code;
	wire_reader_init(&reader, value.data, value.size);
	*ret = wire_read_u64(&reader);
	return wire_reader_finished(&reader) ? 0 : POOL_E_DAMAGED;
}

int record_put_silent(struct store_txn *txn, const struct madcap_endpoint *server, uint64_t us)
{
	struct key key = key_silent(server);

	return put_u64(txn, &key, us);
}

int record_get_silent(struct store_txn *txn, const struct madcap_endpoint *server, uint64_t *ret_us)
{
	struct key key = key_silent(server);

	return get_u64(txn, &key, ret_us);
}

static struct key key_alone(char kind)
{
	struct key key;

	key.size = key_begin(&key, kind).at;
	return key;
}

int record_put_registry(struct store_txn *txn, uint64_t registry)
{
	struct key key = key_alone('I');

	return put_u64(txn, &key, registry);
}

int record_get_registry(struct store_txn *txn, uint64_t *ret)
{
	struct key key = key_alone('I');

	return get_u64(txn, &key, ret);
}

int record_put_foreign_next(struct store_txn *txn, uint32_t addr)
{
	struct key key = key_alone('C');

	return put_u64(txn, &key, addr);
}

int record_get_foreign_next(struct store_txn *txn, uint32_t *ret_addr)
{
	struct key key = key_alone('C');
	uint64_t number;
	int code = get_u64(txn, &key, &number);

	if (code == 0)
		*ret_addr = (uint32_t)number;
	return code;
}

int record_put_foreign_seen(struct store_txn *txn, uint64_t us)
{
	struct key key = key_alone('B');

	return put_u64(txn, &key, us);
}

int record_get_foreign_seen(struct store_txn *txn, uint64_t *ret_us)
{
	struct key key = key_alone('B');

	return get_u64(txn, &key, ret_us);
}

int record_put_served(struct store_txn *txn, uint32_t addr, const struct served_record *record)
{
	uint8_t bytes[64];
	struct wire_writer writer;
	struct key key = key_served(addr);

	wire_writer_init(&writer, bytes, sizeof(bytes));
	wire_write_u64(&writer, (uint64_t)record->end_sec);
	record_write_endpoint(&writer, &record->server);
	return store_put(txn, key_bytes(&key), (struct store_bytes){ bytes, writer.at });
}

int record_get_served(struct store_txn *txn, uint32_t addr, struct served_record *ret)
{
	struct key key = key_served(addr);
	struct store_bytes value;
	struct wire_reader reader;
	int code = store_get(txn, key_bytes(&key), &value);

	if (code < 0)
		return code;
	wire_reader_init(&reader, value.data, value.size);
	ret->end_sec = record_read_time(&reader);
	return record_read_endpoint(&reader, &ret->server) && wire_reader_finished(&reader)
		       ? 0
		       : POOL_E_DAMAGED;
}

int record_put_mark(struct store_txn *txn, const struct key *key)
{
	return store_put(txn, key_bytes(key), (struct store_bytes){ "", 0 });
}

int record_delete(struct store_txn *txn, const struct key *key)
{
	int code = store_delete(txn, key_bytes(key));

	return code == POOL_E_NOT_FOUND ? 0 : code;
}
