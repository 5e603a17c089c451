/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include "row.h"
#include "parse.h"

/* The kernel is asked for one lease at a time: for so many it is not felt. */
#define OWNERS_MAX 10000

/* Begins as zeros, but for the list. */
struct lease_text {
	const struct kept_list *list;
	char address[IP4_TEXT_SIZE], group[IP4_TEXT_SIZE];
	struct plain_cell pool, user, port;
	struct time_cell since, expires;
	struct number_cell pid;
	struct cell cells[TABLE_COLUMNS];
};

static struct cell time_of(struct time_cell *cell, int64_t unix_sec)
{
	if (unix_sec == INT64_MAX)
		return cell_of("never");
	return unix_sec == 0 ? cell_of("-") : cell_time(cell, unix_sec);
}

/* What the kernel says where the registry says active. NULL: it has not been asked. */
static const char *owner_name(const struct kept *kept)
{
	if (!kept->asked)
		return NULL;
	return kept->dead ? "dead" : "alive";
}

static struct cell state_cell(enum pool_state state)
{
	switch (state) {
	case POOL_STATE_ACTIVE:
		return cell_of("active");
	case POOL_STATE_HELD:
		return cell_of("held");
	case POOL_STATE_REMEMBERED:
	default:
		return cell_of("remembered");
	}
}

static struct cell owner_cell(const struct kept *kept)
{
	if (!kept->asked)
		return kept->state == POOL_STATE_ACTIVE ? cell_of("?") : cell_of("-");
	return kept->dead ? cell_of("dead") : cell_of("alive");
}

static const struct cell *lease_cells(void *context, size_t i, bool measure)
{
	struct lease_text *text = context;
	const struct texts *texts = &text->list->texts;
	const struct kept *kept = &text->list->records[i];
	size_t n = 0;

	text->cells[n++] = cell_address(text->address, kept->addr_be, measure);
	text->cells[n++] = cell_plain(&text->pool, text_at(texts, kept->pool), "-");
	text->cells[n++] = cell_plain(&text->user, text_at(texts, kept->user), "\"\"");
	text->cells[n++] = cell_plain(&text->port, text_at(texts, kept->port), "-");
	text->cells[n++] = state_cell(kept->state);
	text->cells[n++] = time_of(&text->since, kept->since_sec);
	text->cells[n++] = time_of(&text->expires, kept->expires_sec);
	text->cells[n++] = kept->pid > 0 ? cell_number(&text->pid, (uint64_t)kept->pid, measure)
					 : cell_of("-");
	text->cells[n++] = owner_cell(kept);
	text->cells[n++] = cell_address(text->group, kept->group_be, measure);
	text->cells[n++] = kept->server != 0 ? cell_of(text_at(texts, kept->server)) : cell_of("-");
	return text->cells;
}

/* Most have never heard of servers and groups: columns of dashes are not for them. */
static bool has_groups(const struct kept_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->records[i].group_be != 0)
			return true;
	return false;
}

static void print_table(const struct kept_list *list)
{
	struct table table = {
		.title = { "ADDRESS", "POOL", "USER", "PORT", "STATE", "SINCE", "EXPIRES", "PID",
			   "OWNER", "GROUP", "SERVER" },
		.right = { [7] = true },
	};
	struct lease_text text = { .list = list };

	if (!has_groups(list))
		table.title[9] = NULL;
	table_print(&table, list->n, lease_cells, &text, sizeof(text));
}

struct lease_line {
	const struct kept_list *list;
	struct row row;
};

static void put_lease(void *context, size_t i, struct sheet *sheet)
{
	struct lease_line *lease = context;
	struct row *row = &lease->row;
	const struct texts *texts = &lease->list->texts;
	const struct kept *kept = &lease->list->records[i];
	bool active = kept->state == POOL_STATE_ACTIVE;

	row_begin(row, i, sheet);
	row_address(row, "address", kept->addr_be);
	row_member(row, "pool", text_or_null(text_at(texts, kept->pool)));
	/* An active lease without a user name is nobody's, and "" is nobody's name. */
	row_member(row, "user",
		   active ? text_at(texts, kept->user) : text_or_null(text_at(texts, kept->user)));
	row_member(row, "port", text_or_null(text_at(texts, kept->port)));
	row_member(row, "state", state_name(kept->state));
	row_time(row, "since", kept->since_sec);
	row_time(row, "expires", kept->expires_sec);
	row_number(row, "pid", active ? kept->pid : 0);
	/* Only a MADCAP pool's lease has these. */
	row_member(row, "server", text_or_null(text_at(texts, kept->server)));
	row_address(row, "group", kept->group_be);
	row_member(row, "owner", owner_name(kept));
	row_end(row, sheet);
}

static void print_json(const struct kept_list *list)
{
	const struct lease_line context = { .list = list };

	rows_print(&(struct listing){ list->n, put_lease, &context, sizeof(context) });
}

/* A name that no pool has and no lease remembers is a slip, not an empty pool. */
static int check_pool(const struct view *view, const char *name)
{
	if (name == NULL || config_find_pool(view->config, name) != CONFIG_NO_POOL)
		return 0;
	return complain_no_pool(view->config, name);
}

static int read_list(struct kept_list *list, const struct view *view,
		     const struct pool_filter *filter, bool *ret_unused)
{
	struct error why = { "" };
	int code = kept_walk(list, view->pool, filter, ret_unused, &why);

	if (code == 0 && !filter->dead && list->n <= OWNERS_MAX)
		code = kept_find_dead(list, view->pool, &why);
	return code < 0 ? complain("%s", why.text) : 0;
}

static int run(const struct invocation *invocation)
{
	struct pool_filter filter = {
		.pool = invocation->option[OPTION_POOL],
		.user_glob = invocation->option[OPTION_USER],
		.all = invocation->option[OPTION_ALL] != NULL,
		.dead = invocation->option[OPTION_DEAD] != NULL,
	};
	const struct pool_env env = { .threads = processors() };
	struct kept_list list = { 0 };
	struct view view;
	bool unused;
	int status;

	status = option_address(invocation, OPTION_ADDRESS, &filter.addr_be);
	if (status == 0)
		status = view_open(&view, invocation, &env);
	if (status != 0)
		return status;
	status = read_list(&list, &view, &filter, &unused);
	if (status == 0 && list.n == 0)
		status = check_pool(&view, filter.pool);
	if (status == 0 && invocation->json)
		print_json(&list);
	else if (status == 0 && list.n > 0)
		print_table(&list);
	else if (status == 0)
		fprintf(stderr, "rasip: %s\n",
			unused        ? "no session has used this configuration yet"
			: filter.dead ? "no leases of dead processes"
				      : "no leases");
	kept_done(&list);
	view_close(&view);
	return status;
}

static const struct verb_option options[] = {
	{ OPTION_POOL, "pool", "NAME", "only leases of this pool", false },
	{ OPTION_USER, "user", "GLOB", "only leases of users that match, as 'j*' or '*@example'",
	  false },
	{ OPTION_ADDRESS, "address", "ADDRESS", "only this address", false },
	{ OPTION_ALL, "all", NULL, "also addresses at rest, and who had which address last",
	  false },
	{ OPTION_DEAD, "dead", NULL, "only leases that killed processes left behind", false },
	{ 0 },
};

const struct verb verb_leases = {
	.name = "leases",
	.brief = "live leases; with --all, resting and remembered ones",
	.text = "A lease is active (a session has it), held (at rest after its release until\n"
		"the time under EXPIRES) or remembered (free, and its last user will get it\n"
		"again). SINCE is when it was granted, or released. An active one whose OWNER is\n"
		"dead was left behind by a process that was killed; it is taken back when it is\n"
		"needed, or by 'rasip reclaim'. In a listing of more than 10 000 leases OWNER is\n"
		"'?': nobody has been asked; --dead always asks. In a pool that leases from\n"
		"MADCAP servers, GROUP is the multicast group that stands for the address, SERVER\n"
		"who gave it, and EXPIRES when that lease ends unless it is renewed. Times are\n"
		"UTC. '-' is none.\n"
		"Bytes that are not printable, and blanks, are written as \\xHH.\n",
	.options = options,
	.json = true,
	.run = run,
};
