/* SPDX-License-Identifier: MIT */
#include "search.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "parse.h"
#include "remote.h"

/* Somebody else may take what a scan found before we do; that it happens this often means that the
 * pool is full by any reckoning. */
#define SCAN_ROUNDS 16

/* Looking at more leases than this takes over a millisecond; where another pool can serve, it is
 * then done at most this often. A refusal always comes after a scan of its own. */
#define SCAN_CHEAP 1024
#define SCAN_INTERVAL_US 1000000

/* Not an error code: a pool looks full, and that has to be proven before the search goes on. */
#define NEEDS_SCAN 3

/* ---- choosing ------------------------------------------------------------------------------- */

/* What is asked of an address that this pool did not choose itself. */
static int check_outside_choice(struct op *op, uint32_t addr, const char *whose)
{
	const struct config *config = op->pool->config;
	char text[IP4_TEXT_SIZE];

	format_ip4(addr, text);
	if (config_unusable((struct range){ addr, addr }) != NULL) {
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
	int code = check_outside_choice(op, addr, whose);

	if (code < 0)
		return code;
	choice->pool = config_pool_of(op->pool->config, addr);
	code = check_servers(op, choice->pool, addr);
	if (code == 0)
		code = lease_take_particular(op, addr, choice);
	if (code == POOL_E_REFUSED)
		error_prefix(op->error, "%s", whose);
	return code;
}

static int choose_reservation(struct search *search)
{
	struct op *op = &search->op;
	const struct config *config = op->pool->config;
	size_t pool = search->assignment.pool;
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
	if (code == POOL_E_REFUSED)
		error_prefix(op->error, "reserved address");
	return code;
}

static bool scan_can_wait(struct search *search, size_t pool)
{
	struct op *op = &search->op;
	int code;
	const struct pool_counters *counters = op_counters(op, pool, false, &code);

	return counters != NULL && op->pool->config->pools[pool].next != CONFIG_NO_POOL &&
	       counters->active > SCAN_CHEAP && op->stamp - counters->scanned_us < SCAN_INTERVAL_US;
}

/* The first pool's reason is the one that a person can act on; the others' follow it. */
static void add_refusal(struct search *search, size_t pool)
{
	size_t used = strlen(search->refusal.text);

	if (used == 0)
		search->refused_by = pool;
	snprintf(search->refusal.text + used, sizeof(search->refusal.text) - used, "%s%s",
		 used > 0 ? "; " : "", search->op.error->text);
}

/* Along the chain of pools. 0, NEEDS_SCAN, REMOTE_ASK, or an error. */
static int choose_from_pools(struct search *search)
{
	const struct config *config = search->op.pool->config;
	size_t unproven = CONFIG_NO_POOL;

	search->refusal.text[0] = '\0';
	for (size_t pool = search->assignment.pool; pool != CONFIG_NO_POOL;
	     pool = config->pools[pool].next) {
		bool is_remote = config_asks_servers(&config->pools[pool]);
		int code;

		search->op.proven = search->proven[pool];
		code = is_remote ? remote_choose(&search->op, pool, &search->choice)
				 : local_choose(&search->op, pool, &search->choice);
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
	error_set(search->op.error, "%s", search->refusal.text);
	return POOL_E_REFUSED;
}

static int choose(struct search *search)
{
	struct op *op = &search->op;
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

/* What a module, or pppd itself, came up with. */
static int choose_outside(struct search *search)
{
	search->choice = (struct choice){ .lock_fd = -1, .how = POOL_HOW_MODULE };
	search->refused_by = CONFIG_NO_POOL;
	return take_outside_choice(&search->op, ntohl(search->outside->addr_be), "address",
				   &search->choice);
}

/* 0, NEEDS_SCAN, REMOTE_ASK, or an error. */
static int choose_once(struct search *search)
{
	return search->outside != NULL ? choose_outside(search) : choose(search);
}

/* ---- what has to be known first ------------------------------------------------------------- */

/* A snapshot is looked at without the writer lock: it takes a while in a big pool. */
static int prove_full(struct search *search)
{
	struct op *op = &search->op;
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
	struct pool_counters *counters = op_counters(&search->op, search->to_scan, true, &code);

	if (counters == NULL)
		return code;
	if (search->scan.n == 0)
		counters->scanned_us = search->op.stamp;
	return scan_apply(&search->op, search->to_scan, &search->scan, NULL);
}

/* Nobody is held up by a server that is asked: the transaction ends before, and what the search has
 * cleared away so far stays done. */
static int ask_servers(struct search *search)
{
	struct op *op = &search->op;
	int code = op_commit(op);

	if (code == 0 && remote_ask(op->pool)) {
		do
			remote_wait(op->pool, INT64_MAX);
		while (remote_ask_step(op->pool));
	}
	return code == 0 ? op_begin_txn(op, true) : code;
}

int search_run(struct search *search)
{
	int code = choose_once(search);

	for (int round = 0; code == NEEDS_SCAN || (code == REMOTE_ASK && !search->op.rehearsal);
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
			code = choose_once(search);
	}
	return code;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

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

static int begin_op(struct op *op, struct pool *pool, const struct pool_request *request,
		    struct error *error)
{
	int code = op_open(op, pool, true, error);

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

int search_begin(struct search *search, struct pool *pool, const struct pool_request *request,
		 const struct pool_choice *outside, struct error *error)
{
	int code = check_request(request, error);

	if (code < 0)
		return code;
	*search = (struct search){ .outside = outside };
	search->proven = calloc(pool->config->n_pools, sizeof(*search->proven));
	if (search->proven == NULL) {
		error_set(error, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	code = begin_op(&search->op, pool, request, error);
	if (code < 0)
		free(search->proven);
	/* The built-in pool is a module itself, and no module is called while another one is. */
	search->op.tells_modules = outside != NULL;
	return code;
}

void search_end(struct search *search)
{
	op_done(&search->op);
	free(search->proven);
}
