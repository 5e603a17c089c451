/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c - taking back all leases whose owner is dead. The looking is done in a snapshot, while
 * nobody waits; what is taken back is looked at again, SCAN_BATCH at a time.
 */
#include "pool.h"

#include "scan.h"

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

/* Also where nobody is dead, the next look has to go on behind this one. */
static int note_turn(struct op *op, const struct scan_turn *turn)
{
	int code = op_begin_txn(op, true);

	if (code < 0)
		return code;
	code = record_put_foreign_next(op->txn, turn->next);
	if (code == 0 && turn->seen_us > 0)
		code = record_put_foreign_seen(op->txn, turn->seen_us);
	return code < 0 ? op_fail(op, code) : op_commit(op);
}

int pool_reclaim_for(struct pool *pool, const struct pool_request *request, struct error *why)
{
	struct scan scan = { 0 };
	struct scan_turn turn;
	uint64_t count = 0;
	struct op op;
	int code = op_open(&op, pool, false, why);

	if (code < 0)
		return code;
	code = op_begin_txn(&op, false);
	if (code == 0)
		code = scan_modules_for(&op, request, &turn, &scan);
	op_abort_txn(&op);
	if (code == 0 && (turn.next != turn.from || turn.seen_us > 0))
		code = note_turn(&op, &turn);
	while (code == 0 && !scan_is_over(&scan))
		code = apply_reclaim(&op, &scan, &count);
	op_done(&op);
	scan_done(&scan);
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
