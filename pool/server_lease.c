/* SPDX-License-Identifier: MIT */
#include "server_lease.h"

#include <string.h>

#include "memory.h"
#include "wire.h"

enum { FLAG_MOBILE = 1 };

/* ---- the record ------------------------------------------------------------------------------ */

int server_lease_put(struct store_txn *txn, const struct server_lease *lease)
{
	uint8_t bytes[RECORD_SIZE_MAX];
	struct wire_writer writer;
	struct key key = key_server_lease(lease->addr, lease->number);

	wire_writer_init(&writer, bytes, sizeof(bytes));
	wire_write_u8(&writer, lease->mobile ? FLAG_MOBILE : 0);
	wire_write_u64(&writer, lease->lease_id);
	wire_write_u8(&writer, (uint8_t)lease->id.size);
	wire_write_bytes(&writer, lease->id.bytes, lease->id.size);
	wire_write_u64(&writer, (uint64_t)lease->end_sec);
	wire_write_u64(&writer, lease->registry);
	wire_write_u64(&writer, lease->boot);
	wire_write_u64(&writer, lease->busy_us);
	wire_write_string8(&writer, lease->pool);
	wire_write_string8(&writer, lease->user);
	wire_write_u8(&writer, (uint8_t)lease->n_servers);
	for (size_t i = 0; i < lease->n_servers; i++)
		record_write_endpoint(&writer, &lease->servers[i]);
	if (writer.failed)
		return POOL_E_INVALID;
	return store_put(txn, key_bytes(&key), (struct store_bytes){ bytes, writer.at });
}

int server_lease_decode(struct store_bytes key, struct store_bytes value, struct server_lease *ret)
{
	struct wire_reader reader;
	const uint8_t *bytes;
	uint8_t flags;

	memset(ret, 0, sizeof(*ret));
	if (!key_of_server_lease(key, &ret->addr, &ret->number))
		return POOL_E_DAMAGED;
	wire_reader_init(&reader, value.data, value.size);
	flags = wire_read_u8(&reader);
	ret->mobile = (flags & FLAG_MOBILE) != 0;
	ret->lease_id = wire_read_u64(&reader);
	ret->id.size = wire_read_u8(&reader);
	bytes = wire_read_bytes(&reader, ret->id.size);
	if (bytes == NULL || ret->id.size == 0)
		return POOL_E_DAMAGED;
	memcpy(ret->id.bytes, bytes, ret->id.size);
	ret->end_sec = record_read_time(&reader);
	ret->registry = wire_read_u64(&reader);
	ret->boot = wire_read_u64(&reader);
	ret->busy_us = wire_read_u64(&reader);
	wire_read_string8(&reader, ret->pool, sizeof(ret->pool));
	wire_read_string8(&reader, ret->user, sizeof(ret->user));
	ret->n_servers = wire_read_u8(&reader);
	if (ret->n_servers > CONFIG_MADCAP_SERVERS_MAX)
		return POOL_E_DAMAGED;
	for (size_t i = 0; i < ret->n_servers; i++)
		if (!record_read_endpoint(&reader, &ret->servers[i]))
			return POOL_E_DAMAGED;
	return wire_reader_finished(&reader) && flags <= FLAG_MOBILE ? 0 : POOL_E_DAMAGED;
}

bool server_lease_is_busy(const struct server_lease *lease, uint64_t boot, uint64_t stamp)
{
	return lease->boot == boot && lease->busy_us > stamp;
}

/* ---- transactions ---------------------------------------------------------------------------- */

struct state {
	struct pool *pool;
	struct store *store;
	struct store_txn *txn;
	sigset_t signals;
	struct error *error;
};

static void state_done(struct state *state)
{
	store_abort(&state->txn);
	store_close(&state->store);
	op_unblock_signals(&state->signals);
}

static int state_begin(struct state *state, struct pool *pool, bool write, struct error *error)
{
	int code;

	*state = (struct state){ .pool = pool, .error = error };
	op_block_signals(&state->signals);
	code = memory_open(pool, write, &state->store, error);
	if (code == 0)
		code = store_begin(state->store, write, &state->txn, NULL, error);
	if (code < 0)
		state_done(state);
	return code;
}

/* Commits where all went well, and ends it. */
static int state_end(struct state *state, int code)
{
	const char *dir = state->pool->config->state_dir;

	if (code == 0)
		code = store_commit(&state->txn, state->error);
	else if (code == POOL_E_DAMAGED)
		error_set(state->error, "%s/" MEMORY_FILE " holds a record that makes no sense",
			  dir);
	else if (code != POOL_E_NOT_FOUND)
		error_set(state->error, "%s/" MEMORY_FILE ": %s", dir,
			  store_txn_problem(state->txn));
	state_done(state);
	return code;
}

static int get(struct store_txn *txn, const struct server_lease *lease, struct server_lease *ret)
{
	struct key key = key_server_lease(lease->addr, lease->number);
	struct store_bytes value;
	int code = store_get(txn, key_bytes(&key), &value);

	return code == 0 ? server_lease_decode(key_bytes(&key), value, ret) : code;
}

static int delete_record(struct store_txn *txn, const struct server_lease *lease)
{
	struct key key = key_server_lease(lease->addr, lease->number);

	return record_delete(txn, &key);
}

/* Whether nobody has taken it up since it was read. */
static int check_untouched(struct store_txn *txn, const struct server_lease *lease)
{
	struct server_lease now;
	int code = get(txn, lease, &now);

	if (code == 0 && (now.busy_us != lease->busy_us || now.boot != lease->boot ||
			  now.lease_id != lease->lease_id))
		return POOL_E_NOT_FOUND;
	return code;
}

int server_lease_add(struct pool *pool, const struct server_lease *lease, struct error *error)
{
	struct state state;
	int code = state_begin(&state, pool, true, error);

	return code < 0 ? code : state_end(&state, server_lease_put(state.txn, lease));
}

int server_lease_change(struct pool *pool, const struct server_lease *before,
			const struct server_lease *after, struct error *error)
{
	struct state state;
	int code = state_begin(&state, pool, true, error);

	if (code < 0)
		return code;
	code = check_untouched(state.txn, before);
	if (code == 0)
		code = delete_record(state.txn, before);
	if (code == 0)
		code = server_lease_put(state.txn, after);
	if (code == POOL_E_NOT_FOUND)
		error_set(error, "the server's lease has been given up meanwhile");
	return state_end(&state, code);
}

int server_lease_remove(struct pool *pool, const struct server_lease *gone, size_t n,
			struct error *error)
{
	struct state state;
	int code = state_begin(&state, pool, true, error);

	if (code < 0)
		return code;
	for (size_t i = 0; i < n && code == 0; i++) {
		code = check_untouched(state.txn, &gone[i]);
		if (code == 0)
			code = delete_record(state.txn, &gone[i]);
		else if (code == POOL_E_NOT_FOUND)
			code = 0;
	}
	return state_end(&state, code);
}

int server_lease_list(struct pool *pool, const struct server_lease *place, struct server_lease *ret,
		      size_t max, size_t *ret_n, struct error *error)
{
	struct key from = key_server_lease(place->addr, place->number);
	struct store_bytes key;
	struct store_bytes value;
	struct state state;
	int code = state_begin(&state, pool, false, error);

	*ret_n = 0;
	if (code < 0)
		return code;
	code = store_seek(state.txn, key_bytes(&from), &key, &value);
	if (code == 0 && key_has_prefix(key, &from, from.size))
		code = store_next(state.txn, &key, &value);
	while (code == 0 && *ret_n < max && key_has_prefix(key, &from, 1)) {
		/* One that makes no sense is nobody's lease; the others still have to be released. */
		if (server_lease_decode(key, value, &ret[*ret_n]) == 0)
			++*ret_n;
		code = store_next(state.txn, &key, &value);
	}
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return state_end(&state, code);
	state_done(&state);
	return 0;
}

static int claim(struct state *state, struct server_lease *taken, size_t *n,
		 const struct server_claim *how)
{
	struct store_txn *txn = state->txn;
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		int code = check_untouched(txn, &taken[i]);

		if (code == POOL_E_NOT_FOUND)
			continue;
		if (code < 0)
			return code;
		taken[kept] = taken[i];
		taken[kept].boot = op_boot(state->pool);
		taken[kept].busy_us = how->busy_us;
		taken[kept].lease_id = how->lease_id;
		taken[kept].registry = how->registry;
		code = server_lease_put(txn, &taken[kept++]);
		if (code < 0)
			return code;
	}
	*n = kept;
	return 0;
}

int server_lease_claim(struct pool *pool, struct server_lease *taken, size_t *n,
		       const struct server_claim *how, struct error *error)
{
	struct state state;
	int code = state_begin(&state, pool, true, error);

	return code < 0 ? code : state_end(&state, claim(&state, taken, n, how));
}
