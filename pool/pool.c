/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "assign.h"
#include "lease.h"
#include "local.h"
#include "op.h"
#include "parse.h"
#include "remote.h"
#include "scan.h"

/* Somebody else may take what a scan found before we do; that it happens this often means that the
 * pool is full by any reckoning. */
#define SCAN_ROUNDS 16

/* Looking at more leases than this takes over a millisecond; where another pool can serve, it is
 * then done at most this often. A refusal always comes after a scan of its own. */
#define SCAN_CHEAP 1024
#define SCAN_INTERVAL_US 1000000

const char *pool_how_name(enum pool_how how)
{
	switch (how) {
	case POOL_HOW_NEW:
		return "new";
	case POOL_HOW_STICKY:
		return "sticky";
	case POOL_HOW_RESERVATION:
		return "reservation";
	case POOL_HOW_CANDIDATE:
		return "candidate";
	case POOL_HOW_MODULE:
		return "module";
	case POOL_HOW_NONE:
	default:
		return "none";
	}
}

/* ---- opening -------------------------------------------------------------------------------- */

static int64_t real_boot_us(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_unix_sec(void *context)
{
	(void)context;
	return (int64_t)time(NULL);
}

static uint64_t real_random(void *context)
{
	uint64_t value;

	(void)context;
	/* Up to 256 bytes are never cut short once the kernel has its entropy, for which it blocks.
	 */
	if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		abort();
	return value;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Everything that the meaning of a pool's position and queues depends on (FNV-1a). */
static uint64_t layout_of(const struct config *config)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];

		hash = hash_bytes(hash, pool->name, strlen(pool->name) + 1);
		hash = hash_bytes(hash, &pool->order, sizeof(pool->order));
		for (size_t j = 0; j < pool->dynamic.n; j++)
			hash = hash_bytes(hash, &pool->dynamic.ranges[j], sizeof(struct range));
	}
	return hash;
}

int pool_open(struct pool **ret, const struct config *config, const struct pool_env *env)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return POOL_E_NO_MEMORY;
	pool->config = config;
	if (env != NULL)
		pool->env = *env;
	if (pool->env.boot_us == NULL)
		pool->env.boot_us = real_boot_us;
	if (pool->env.unix_sec == NULL)
		pool->env.unix_sec = real_unix_sec;
	if (pool->env.random == NULL)
		pool->env.random = real_random;
	pool->layout = layout_of(config);
	pool->runtime_fd = -1;
	pool->owners = OWNER_DIR_NONE;
	*ret = pool;
	return 0;
}

void pool_rest(struct pool *pool)
{
	if (pool->leases != NULL && store_pid(pool->leases) != getpid())
		store_forget(&pool->leases);
	store_close(&pool->leases);
	owner_dir_close(&pool->owners);
	if (pool->runtime_fd >= 0)
		close(pool->runtime_fd);
	pool->runtime_fd = -1;
}

void pool_close(struct pool **pool)
{
	if (*pool == NULL)
		return;
	pool_rest(*pool);
	remote_free(&(*pool)->remote);
	free(*pool);
	*pool = NULL;
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* Not an error code: a pool looks full, and that has to be proven before the search goes on. */
#define NEEDS_SCAN 3

/* The search for one request's address, over as many transactions as scans make necessary. */
struct search {
	struct op *op;
	struct assignment assignment;
	struct choice choice;
	bool *proven; /* by pool: a scan found it full */
	size_t to_scan;
	struct scan scan;
	const struct pool_choice *outside; /* pool_record */
	struct error refusal;              /* of the first pool that was tried */
	size_t refused_by;                 /* the pool to blame, for its counter */
};

static bool is_host_address(uint32_t addr)
{
	return addr >> 24 != 0 && addr >> 24 != 127 && addr < UINT32_C(0xe0000000);
}

/* What is asked of an address that this pool did not choose itself. */
static int check_outside_choice(struct op *op, uint32_t addr, const char *whose)
{
	const struct config *config = op->pool->config;
	char text[IP4_TEXT_SIZE];

	format_ip4(addr, text);
	if (!is_host_address(addr)) {
		error_set(op->error, "%s %s cannot be a peer's address", whose, text);
		return POOL_E_REFUSED;
	}
	if (range_set_find(&config->locals, addr, NULL)) {
		error_set(op->error, "%s %s is a pool's local address", whose, text);
		return POOL_E_REFUSED;
	}
	if (range_set_find(&config->reserved, addr, NULL)) {
		struct assignment own;
		int code = assign_find(config, op->request->user, op->request->port,
				       op->request->pool_name, &own);

		if (code < 0 || !own.is_reservation || own.addr != addr) {
			error_set(op->error, "%s %s is reserved for somebody else", whose, text);
			return POOL_E_REFUSED;
		}
	}
	return 0;
}

/* An address of a pool that leases from servers is used under their lease only, whoever chose it. */
static int check_servers(struct op *op, size_t pool, uint32_t addr)
{
	char text[IP4_TEXT_SIZE];
	struct lease_record known;
	int code;

	if (pool == CONFIG_NO_POOL || !config_asks_servers(&op->pool->config->pools[pool]))
		return 0;
	code = record_get_lease(op->txn, addr, &known);
	if (code == 0 && known.active && owner_is_live(&op->pool->owners, addr)) {
		error_set(op->error, "%s belongs to a live session", format_ip4(addr, text));
		return POOL_E_REFUSED;
	}
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	return remote_allows(op, pool, addr);
}

static int take_outside_choice(struct op *op, uint32_t addr, const char *whose,
			       struct choice *choice)
{
	struct error reason;
	int code = check_outside_choice(op, addr, whose);

	if (code < 0)
		return code;
	choice->pool = config_pool_of(op->pool->config, addr);
	code = check_servers(op, choice->pool, addr);
	if (code == 0)
		code = lease_take_particular(op, addr, choice);
	if (code == POOL_E_REFUSED && op->error != NULL) {
		reason = *op->error;
		error_set(op->error, "%s %.400s", whose, reason.text);
	}
	return code;
}

static int choose_reservation(struct search *search)
{
	struct op *op = search->op;
	const struct config *config = op->pool->config;
	size_t pool = search->assignment.pool;
	struct error reason;
	int code;

	search->choice.how = POOL_HOW_RESERVATION;
	search->choice.pool = pool;
	if (pool != CONFIG_NO_POOL && config->pools[pool].mode != MODE_OPEN) {
		error_set(op->error,
			  "pool %s, which holds the user's reservation, gives nothing new "
			  "(mode %s)",
			  config->pools[pool].name, config_mode_name(config->pools[pool].mode));
		return POOL_E_REFUSED;
	}
	code = check_servers(op, pool, search->assignment.addr);
	if (code == 0)
		code = lease_take_particular(op, search->assignment.addr, &search->choice);
	if (code == POOL_E_REFUSED && op->error != NULL) {
		reason = *op->error;
		error_set(op->error, "reserved address %.400s", reason.text);
	}
	return code;
}

static bool scan_can_wait(struct search *search, size_t pool)
{
	struct op *op = search->op;
	int code;
	const struct pool_counters *counters = op_counters(op, pool, false, &code);

	return counters != NULL && op->pool->config->pools[pool].next != CONFIG_NO_POOL &&
	       counters->active > SCAN_CHEAP && op->stamp - counters->scanned_us < SCAN_INTERVAL_US;
}

/* The first pool's reason is the one that a person can act on; the others' follow it. */
static void add_refusal(struct search *search, size_t pool)
{
	size_t used = strlen(search->refusal.text);
	const char *text = search->op->error != NULL ? search->op->error->text : "";

	if (used == 0)
		search->refused_by = pool;
	snprintf(search->refusal.text + used, sizeof(search->refusal.text) - used, "%s%s",
		 used > 0 ? "; " : "", text);
}

/* Along the chain of pools. 0, NEEDS_SCAN, REMOTE_ASK, or an error. */
static int choose_from_pools(struct search *search)
{
	const struct config *config = search->op->pool->config;
	size_t unproven = CONFIG_NO_POOL;

	search->refusal.text[0] = '\0';
	for (size_t pool = search->assignment.pool; pool != CONFIG_NO_POOL;
	     pool = config->pools[pool].next) {
		bool is_remote = config_asks_servers(&config->pools[pool]);
		int code;

		search->op->proven = search->proven[pool];
		code = is_remote ? remote_choose(search->op, pool, &search->choice)
				 : local_choose(search->op, pool, &search->choice);
		if (code == LOCAL_FULL && !is_remote && !search->proven[pool]) {
			search->to_scan = pool;
			if (!scan_can_wait(search, pool))
				return NEEDS_SCAN;
			unproven = pool;
		}
		if (code != LOCAL_FULL && code != LOCAL_CLOSED && code != POOL_E_REFUSED)
			return code;
		add_refusal(search, pool);
		if (code == POOL_E_REFUSED)
			break;
	}
	/* Nobody else can serve: now what could wait has to be proven, too. */
	if (unproven != CONFIG_NO_POOL) {
		search->to_scan = unproven;
		return NEEDS_SCAN;
	}
	error_set(search->op->error, "%s", search->refusal.text);
	return POOL_E_REFUSED;
}

static int choose(struct search *search)
{
	struct op *op = search->op;
	const struct config *config = op->pool->config;
	const struct pool_request *request = op->request;
	int code;

	search->refused_by = CONFIG_NO_POOL;
	search->choice = (struct choice){ .pool = CONFIG_NO_POOL, .lock_fd = -1 };
	if (op->trace != NULL)
		op->trace->n_steps = 0;
	if (request->user[0] == '\0' && !config->anonymous_allow) {
		error_set(op->error, "no user was authenticated (anonymous = \"refuse\")");
		return POOL_E_REFUSED;
	}
	if (request->candidate_be != 0 && !config->candidate_replace) {
		search->choice.how = POOL_HOW_CANDIDATE;
		return take_outside_choice(op, ntohl(request->candidate_be), "candidate",
					   &search->choice);
	}
	code = assign_find(config, request->user, request->port, request->pool_name,
			   &search->assignment);
	if (code == POOL_E_NOT_FOUND)
		error_set(op->error, "there is no pool named \"%s\" (rasip-pool)",
			  request->pool_name);
	else if (code < 0)
		error_set(op->error, "no rule of assign matches this user and port");
	if (code < 0)
		return code;
	if (op->trace != NULL)
		op->trace->rule = search->assignment.rule;
	search->refused_by = search->assignment.pool;
	return search->assignment.is_reservation ? choose_reservation(search)
						 : choose_from_pools(search);
}

/* A snapshot is looked at without the writer lock: it takes a while in a big pool. */
static int prove_full(struct search *search)
{
	struct op *op = search->op;
	int code = 0;

	/* What the search has cleared away so far stays done, or the next scan would find it again. */
	if (op->rehearsal)
		op_abort_txn(op);
	else
		code = op_commit(op);
	if (code == 0)
		code = op_begin_txn(op, false);
	if (code == 0)
		code = scan_pool(op, search->to_scan, &search->scan);
	op_abort_txn(op);
	if (code < 0)
		return code;
	if (search->scan.n == 0)
		search->proven[search->to_scan] = true;
	return op_begin_txn(op, true);
}

static int note_scan(struct search *search)
{
	int code;
	struct pool_counters *counters = op_counters(search->op, search->to_scan, true, &code);

	if (counters == NULL)
		return code;
	if (search->scan.n == 0)
		counters->scanned_us = search->op->stamp;
	return scan_apply(search->op, search->to_scan, &search->scan, NULL);
}

/* Nobody is held up by a server that is asked: the transaction ends before, and what the search has
 * cleared away so far stays done. */
static int ask_servers(struct search *search)
{
	struct op *op = search->op;
	int code = op_commit(op);

	if (code == 0 && remote_ask(op->pool)) {
		do
			remote_wait(op->pool, INT64_MAX);
		while (remote_ask_step(op->pool));
	}
	return code == 0 ? op_begin_txn(op, true) : code;
}

/* 0 or an error; in a rehearsal REMOTE_ASK, too. `again` makes the choice. */
static int search_with(struct search *search, int (*again)(struct search *search))
{
	int code = again(search);

	for (int round = 0; code == NEEDS_SCAN || (code == REMOTE_ASK && !search->op->rehearsal);
	     round++) {
		if (code == REMOTE_ASK) {
			code = ask_servers(search);
		} else {
			code = prove_full(search);
			if (code == 0)
				code = note_scan(search);
			scan_done(&search->scan);
			if (round >= SCAN_ROUNDS)
				search->proven[search->to_scan] = true;
		}
		if (code == 0)
			code = again(search);
	}
	return code;
}

static int search_address(struct search *search)
{
	return search_with(search, choose);
}

/* ---- sessions ------------------------------------------------------------------------------- */

static int check_request(const struct pool_request *request, struct error *error)
{
	if (request->user == NULL || request->port == NULL) {
		error_set(error, "no user or port given");
		return POOL_E_INVALID;
	}
	if (strlen(request->user) > POOL_USER_MAX) {
		error_set(error, "the user name is longer than %d bytes", POOL_USER_MAX);
		return POOL_E_INVALID;
	}
	return 0;
}

static int begin_search(struct search *search, struct op *op, struct pool *pool,
			const struct pool_request *request, struct error *error)
{
	int code = check_request(request, error);

	*search = (struct search){ .op = op };
	if (code < 0)
		return code;
	search->proven = calloc(pool->config->n_pools, sizeof(*search->proven));
	if (search->proven == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	code = op_open(op, pool, true, error);
	if (code < 0)
		return code;
	op->request = request;
	code = op_read_in_use(op); /* before anybody has to wait for us */
	if (code == 0)
		code = op_begin_txn(op, true);
	if (code < 0)
		op_done(op);
	return code;
}

/* A refusal changes counters and tells the log. That this fails must not hide the reason. */
static void record_refusal(struct search *search)
{
	struct op *op = search->op;
	const struct error reason = *op->error;
	struct lease_record who = { 0 };
	int code = 0;

	snprintf(who.user, sizeof(who.user), "%s", op->request->user);
	snprintf(who.port, sizeof(who.port), "%s", op->request->port);
	who.pid = getpid();
	if (search->refused_by != CONFIG_NO_POOL) {
		struct pool_counters *counters = op_counters(op, search->refused_by, true, &code);

		if (counters != NULL)
			counters->refusals++;
	}
	if (code == 0) {
		op_note(op, POOL_EVENT_REFUSAL, 0, search->refused_by, &who, reason.text);
		code = op_commit(op);
	}
	*op->error = reason;
}

/* An address that servers give is never given without them. */
static int note_server(struct op *op, struct choice *choice)
{
	if (choice->pool == CONFIG_NO_POOL ||
	    !config_asks_servers(&op->pool->config->pools[choice->pool]))
		return 0;
	choice->is_served = true;
	return remote_granted(op, choice->addr, &choice->served);
}

static int finish_search(struct search *search, int code, const char *module, bool notify,
			 struct pool_lease *lease)
{
	struct op *op = search->op;
	struct pool_lease granted;

	if (code == POOL_E_REFUSED || code == POOL_E_NOT_FOUND || code == POOL_E_BACKEND)
		record_refusal(search);
	if (code == 0)
		code = note_server(op, &search->choice);
	if (code == 0)
		code = lease_grant(op, &search->choice, module, notify, &granted);
	if (code == 0)
		code = op_commit(op);
	if (code == 0)
		*lease = granted;
	else if (search->choice.lock_fd >= 0)
		owner_drop(search->choice.addr, &search->choice.lock_fd);
	return code;
}

/* The address is in the registry; now what it stands on is written down, too. Whatever servers have
 * granted beside it, or for nothing, goes back to them. */
static int bind_server(struct pool *pool, struct pool_lease *lease, int code, struct error *why)
{
	struct error ignored;

	if (code == 0 && lease->server[0] != '\0') {
		code = remote_bind(pool, lease, why);
		if (code < 0)
			(void)pool_release(pool, lease, &ignored);
	}
	remote_forget(pool);
	return code;
}

int pool_acquire(struct pool *pool, const struct pool_request *request, struct pool_lease *lease,
		 struct error *why)
{
	struct op op = { 0 };
	struct search search;
	struct error ignored = { "" };
	int code;

	why = why != NULL ? why : &ignored;
	code = begin_search(&search, &op, pool, request, why);
	if (code == 0) {
		code = search_address(&search);
		code = finish_search(&search, code, "", false, lease);
		op_done(&op);
	}
	free(search.proven);
	return bind_server(pool, lease, code, why);
}

/* What a module, or pppd itself, came up with. */
static int choose_outside(struct search *search)
{
	search->choice = (struct choice){ .lock_fd = -1, .how = POOL_HOW_MODULE };
	search->refused_by = CONFIG_NO_POOL;
	return take_outside_choice(search->op, ntohl(search->outside->addr_be), "address",
				   &search->choice);
}

int pool_record(struct pool *pool, const struct pool_request *request,
		const struct pool_choice *choice, struct pool_lease *lease, struct error *why)
{
	struct op op = { 0 };
	struct search search;
	struct error ignored = { "" };
	int code;

	why = why != NULL ? why : &ignored;
	code = begin_search(&search, &op, pool, request, why);
	if (code == 0) {
		search.outside = choice;
		code = search_with(&search, choose_outside);
		code = finish_search(&search, code, choice->module, choice->notify, lease);
		op_done(&op);
	}
	free(search.proven);
	return bind_server(pool, lease, code, why);
}

/* ---- servers -------------------------------------------------------------------------------- */

/* True if there is something to be asked before the request can be answered. */
static bool needs_server(struct pool *pool, const struct pool_request *request)
{
	struct op op = { 0 };
	struct search search;
	struct error ignored;
	int code = begin_search(&search, &op, pool, request, &ignored);

	if (code == 0) {
		op.rehearsal = true;
		code = search_address(&search);
		op_done(&op);
	}
	free(search.proven);
	return code == REMOTE_ASK;
}

int pool_prepare(struct pool *pool, const struct pool_request *request, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (!config_has_servers(pool->config))
		return 0;
	/* When one pool's servers have answered, another pool may have to be asked. */
	while (!remote_ask_step(pool)) {
		if (!needs_server(pool, request))
			return 0;
		if (remote_ask(pool))
			break;
	}
	*ret_ms = remote_wait_ms(pool);
	return POOL_WAIT;
}

void pool_wait(struct pool *pool, int64_t wait_ms)
{
	if (pool->remote != NULL)
		remote_wait(pool, wait_ms);
}

void pool_settle(struct pool *pool)
{
	remote_settle(pool);
}

void pool_unprepare(struct pool *pool)
{
	remote_forget(pool);
}

static void empty(struct pool_lease *lease)
{
	owner_drop(ntohl(lease->addr_be), &lease->lock_fd);
	remote_abandon(&lease->served);
	*lease = POOL_LEASE_NONE;
}

/* The record of this very lease; anything else is somebody else's (RA-55). */
static int find_own(struct op *op, const struct pool_lease *lease, struct lease_record *ret)
{
	char text[IP4_TEXT_SIZE];
	uint32_t addr = ntohl(lease->addr_be);
	int code = record_get_lease(op->txn, addr, ret);

	if (code == 0 && ret->active && ret->id == lease->id)
		return 0;
	if (code < 0 && code != POOL_E_NOT_FOUND)
		return op_fail(op, code);
	code = code == 0 && ret->active ? POOL_E_NOT_OWNER : POOL_E_NOT_FOUND;
	error_set(op->error, "%s: %s", format_ip4(addr, text),
		  code == POOL_E_NOT_OWNER ? "the address belongs to another session by now"
					   : "the store knows no such lease");
	return code;
}

/* Whether the address is kept from others for a while: then its server keeps the lease. */
static bool rests_after(const struct pool *pool, const struct pool_lease *lease)
{
	size_t index = config_find_pool(pool->config, lease->pool);

	return index != CONFIG_NO_POOL && pool->config->pools[index].hold_sec > 0 &&
	       range_set_find(&pool->config->pools[index].dynamic, ntohl(lease->addr_be), NULL);
}

int pool_release(struct pool *pool, struct pool_lease *lease, struct error *why)
{
	struct lease_record record;
	struct op op;
	bool is_owed;
	int code;

	if (lease->addr_be == 0)
		return 0;
	/* First, so that nobody takes up what we release. */
	is_owed = lease->served != NULL && !rests_after(pool, lease) &&
		  remote_claim(pool, lease->served);
	code = op_begin(&op, pool, true, why);
	if (code == 0) {
		code = find_own(&op, lease, &record);
		if (code == 0)
			code = lease_end(&op, ntohl(lease->addr_be), &record);
		if (code == 0)
			op_note(&op, POOL_EVENT_RELEASE, ntohl(lease->addr_be),
				op_pool_by_number(&op, record.pool, ntohl(lease->addr_be)), &record,
				"");
		/* While nobody else can be in the store, so that nobody finds the address free and
		 * the lock still held. */
		if (code == 0)
			owner_drop(ntohl(lease->addr_be), &lease->lock_fd);
		if (code == 0)
			code = op_commit(&op);
		op_done(&op);
	}
	if (is_owed && code == 0)
		remote_release(pool, lease->served);
	empty(lease);
	return code;
}

void pool_lease_abandon(struct pool_lease *lease)
{
	if (lease->lock_fd >= 0)
		close(lease->lock_fd);
	remote_abandon(&lease->served);
	*lease = POOL_LEASE_NONE;
}

int pool_lease_adopt(struct pool *pool, const struct pool_lease *lease, struct error *why)
{
	struct lease_record record;
	struct op op;
	int code;

	if (lease->addr_be == 0)
		return 0;
	code = op_begin(&op, pool, true, why);
	if (code < 0)
		return code;
	code = find_own(&op, lease, &record);
	if (code == 0 && record.pid != getpid()) {
		record.pid = getpid();
		record.since_us = op.stamp;
		code = record_put_lease(op.txn, ntohl(lease->addr_be), &record);
		code = code < 0 ? op_fail(&op, code) : op_commit(&op);
	}
	op_done(&op);
	return code;
}

int pool_lease_told(struct pool *pool, const struct pool_lease *lease, struct error *why)
{
	struct lease_record record;
	struct op op;
	int code = op_begin(&op, pool, true, why);

	if (code < 0)
		return code;
	code = find_own(&op, lease, &record);
	if (code == 0) {
		record.notify = false;
		code = record_put_lease(op.txn, ntohl(lease->addr_be), &record);
		code = code < 0 ? op_fail(&op, code) : op_commit(&op);
	}
	op_done(&op);
	return code;
}

int pool_hold_local(struct pool *pool, uint32_t addr_be, int *ret_fd, struct error *why)
{
	char text[IP4_TEXT_SIZE];
	struct op op;
	int code = op_open(&op, pool, true, why);

	if (code < 0)
		return code;
	code = owner_take(&pool->owners, ntohl(addr_be), true, ret_fd, why);
	if (code == POOL_E_REFUSED)
		error_set(why, "%s, our end of the link, belongs to a peer's live session",
			  format_ip4(ntohl(addr_be), text));
	op_done(&op);
	return code;
}

const struct config_pool *pool_lease_config(const struct pool *pool, const struct pool_lease *lease,
					    const char *pool_name)
{
	const char *name = lease->pool[0] != '\0' ? lease->pool : pool_name;
	size_t index = name != NULL ? config_find_pool(pool->config, name)
				    : assign_pool(pool->config, lease->user, lease->port);

	return index == CONFIG_NO_POOL ? NULL : &pool->config->pools[index];
}

/* ---- taking back ---------------------------------------------------------------------------- */

static int apply_reclaim(struct op *op, struct scan *scan, uint64_t *count)
{
	uint64_t reclaimed = 0;
	int code = op_begin_txn(op, true);

	if (code == 0)
		code = scan_apply(op, CONFIG_NO_POOL, scan, &reclaimed);
	if (code == 0)
		code = op_commit(op);
	if (code == 0)
		*count += reclaimed;
	return code;
}

static int look_for_dead(struct op *op, bool modules, struct scan *ret)
{
	int code = op_begin_txn(op, false);

	if (code == 0)
		code = scan_dead(op, modules, ret);
	op_abort_txn(op);
	return code;
}

int pool_reclaim(struct pool *pool, bool modules, uint64_t *ret_count, struct error *why)
{
	struct scan scan = { 0 };
	uint64_t count = 0;
	struct op op;
	int code = op_open(&op, pool, false, why);

	if (code < 0)
		return code;
	code = look_for_dead(&op, modules, &scan);
	while (code == 0 && !scan_is_over(&scan))
		code = apply_reclaim(&op, &scan, &count);
	op_done(&op);
	scan_done(&scan);
	if (code == 0 && ret_count != NULL)
		*ret_count = count;
	return code;
}

int pool_count_waiting(struct pool *pool, uint64_t *ret_count, struct error *why)
{
	struct scan scan = { 0 };
	struct op op;
	int code = op_open(&op, pool, false, why);

	if (code < 0)
		return code;
	code = look_for_dead(&op, true, &scan);
	if (code == 0)
		*ret_count = scan.n;
	op_done(&op);
	scan_done(&scan);
	return code;
}

/* ---- explaining ----------------------------------------------------------------------------- */

int pool_explain(struct pool *pool, const struct pool_request *request,
		 struct pool_explanation *ret, struct error *why)
{
	struct op op = { 0 };
	struct search search;
	int code;

	*ret = (struct pool_explanation){ 0 };
	code = begin_search(&search, &op, pool, request, &ret->why);
	if (code < 0) {
		free(search.proven);
		error_set(why, "%s", ret->why.text);
		return code;
	}
	op.rehearsal = true;
	op.trace = ret;
	ret->code = search_address(&search);
	op_done(&op);
	free(search.proven);
	if (ret->code == REMOTE_ASK) {
		ret->code = 0;
		ret->config = remote_asked(pool);
		return 0;
	}
	if (ret->code != 0)
		return 0;
	ret->addr_be = htonl(search.choice.addr);
	ret->how = search.choice.how;
	if (search.choice.pool != CONFIG_NO_POOL)
		ret->config = &pool->config->pools[search.choice.pool];
	return 0;
}
