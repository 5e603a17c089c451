/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>

#include "parse.h"

struct lease_text {
	char address[IP4_TEXT_SIZE], pool[TEXT_SIZE], user[TEXT_SIZE], port[TEXT_SIZE];
	char since[TIME_TEXT_SIZE], expires[TIME_TEXT_SIZE], pid[16];
	const char *cells[TABLE_COLUMNS];
};

static const char *time_text(int64_t unix_sec, const char *none, char *buf)
{
	if (unix_sec == INT64_MAX)
		return "never";
	return unix_sec == 0 ? none : format_time(unix_sec, buf);
}

static const char *const *lease_cells(const struct pool_record *record, struct lease_text *text)
{
	size_t n = 0;

	snprintf(text->pid, sizeof(text->pid), "%d", (int)record->pid);
	text->cells[n++] = format_ip4(ntohl(record->addr_be), text->address);
	text->cells[n++] = text_plain(record->pool, "-", text->pool, sizeof(text->pool));
	text->cells[n++] = text_plain(record->user, "\"\"", text->user, sizeof(text->user));
	text->cells[n++] = text_plain(record->port, "-", text->port, sizeof(text->port));
	text->cells[n++] = state_name(record->state);
	text->cells[n++] = time_text(record->since_sec, "-", text->since);
	text->cells[n++] = time_text(record->expires_sec, "-", text->expires);
	text->cells[n++] = record->pid > 0 ? text->pid : "-";
	return text->cells;
}

static void print_table(const struct kept_list *list)
{
	struct table table = {
		.title = { "ADDRESS", "POOL", "USER", "PORT", "STATE", "SINCE", "EXPIRES", "PID" },
		.right = { [7] = true },
	};
	struct lease_text text;

	table_measure(&table, table.title);
	for (size_t i = 0; i < list->n; i++) {
		struct pool_record record = kept_record(list, i);

		table_measure(&table, lease_cells(&record, &text));
	}
	table_row(&table, stdout, table.title);
	for (size_t i = 0; i < list->n && !ferror(stdout); i++) {
		struct pool_record record = kept_record(list, i);

		table_row(&table, stdout, lease_cells(&record, &text));
	}
}

/* One object at a time: an array of a million of them need not be in memory. */
static void print_json(const struct kept_list *list)
{
	fputc('[', stdout);
	for (size_t i = 0; i < list->n && !ferror(stdout); i++) {
		struct pool_record record = kept_record(list, i);
		json_t *lease = lease_json(&record);

		fputs(i > 0 ? ",\n  " : "\n  ", stdout);
		json_dumpf(lease, stdout, JSON_COMPACT);
		json_decref(lease);
	}
	fputs(list->n > 0 ? "\n]\n" : "]\n", stdout);
}

/* A name that no pool has and no lease remembers is a slip, not an empty pool. */
static int check_pool(const struct view *view, const char *name)
{
	if (name == NULL || config_find_pool(view->config, name) != CONFIG_NO_POOL)
		return 0;
	return complain_no_pool(view->config, name);
}

static int run(const struct invocation *invocation)
{
	struct pool_filter filter = {
		.pool = invocation->option[OPTION_POOL],
		.user_glob = invocation->option[OPTION_USER],
		.all = invocation->option[OPTION_ALL] != NULL,
	};
	struct kept_list list = { 0 };
	struct error why = { "" };
	struct view view;
	bool unused;
	int status;

	status = option_address(invocation, OPTION_ADDRESS, &filter.addr_be);
	if (status == 0)
		status = view_open(&view, invocation, NULL);
	if (status != 0)
		return status;
	if (kept_walk(&list, view.pool, &filter, &unused, &why) < 0)
		status = complain("%s", why.text);
	else if (list.n == 0)
		status = check_pool(&view, filter.pool);
	if (status == 0 && invocation->json)
		print_json(&list);
	else if (status == 0 && list.n > 0)
		print_table(&list);
	else if (status == 0)
		fprintf(stderr, "rasip: %s\n",
			unused ? "no session has used this configuration yet" : "no leases");
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
	{ 0 },
};

const struct verb verb_leases = {
	.name = "leases",
	.brief = "live leases; with --all, resting and remembered ones",
	.text = "A lease is active (a session has it), held (at rest after its release until\n"
		"the time under EXPIRES) or remembered (free, and its last user will get it\n"
		"again). SINCE is when it was granted, or released. Times are UTC. '-' is none.\n"
		"Bytes that are not printable, and blanks, are written as \\xHH.\n",
	.options = options,
	.json = true,
	.run = run,
};
