/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "parse.h"

/* What was taken back, to be shown when the store is closed again. */
struct harvest {
	struct taken {
		uint32_t addr_be;
		pid_t pid;
		char *pool, *user, *port;
	} * taken;
	size_t n, room;
};

static void note(void *context, const struct pool_event *event)
{
	struct harvest *harvest = context;

	if (event->kind != POOL_EVENT_RECLAIM)
		return;
	harvest->taken =
		must_grow(harvest->taken, harvest->n, &harvest->room, sizeof(*harvest->taken));
	harvest->taken[harvest->n++] = (struct taken){
		.addr_be = event->addr_be,
		.pid = event->pid,
		.pool = must_copy(event->pool),
		.user = must_copy(event->user),
		.port = must_copy(event->port),
	};
}

static void harvest_done(struct harvest *harvest)
{
	for (size_t i = 0; i < harvest->n; i++) {
		free(harvest->taken[i].pool);
		free(harvest->taken[i].user);
		free(harvest->taken[i].port);
	}
	free(harvest->taken);
}

static void print_harvest(const struct harvest *harvest, uint64_t left, uint64_t released)
{
	char address[IP4_TEXT_SIZE], pool[TEXT_SIZE], user[TEXT_SIZE], port[TEXT_SIZE];

	for (size_t i = 0; i < harvest->n && !ferror(stdout); i++) {
		const struct taken *taken = &harvest->taken[i];

		printf("%s  pool %s  user %s  port %s  process %d\n",
		       format_ip4(ntohl(taken->addr_be), address),
		       text_plain(taken->pool, "-", pool, sizeof(pool)),
		       text_plain(taken->user, "\"\"", user, sizeof(user)),
		       text_plain(taken->port, "-", port, sizeof(port)), (int)taken->pid);
	}
	printf("%zu lease%s taken back\n", harvest->n, plural_s(harvest->n));
	if (left > 0)
		printf("%llu more wait%s for the next pppd, which tells the module first\n",
		       (unsigned long long)left, left == 1 ? "s" : "");
	if (released > 0)
		printf("%llu lease%s released at MADCAP servers\n", (unsigned long long)released,
		       plural_s(released));
}

static void print_harvest_json(const struct harvest *harvest, uint64_t left, uint64_t released)
{
	json_t *object = json_object();
	json_t *array = json_array();

	for (size_t i = 0; i < harvest->n; i++) {
		const struct taken *taken = &harvest->taken[i];
		json_t *lease = json_object();

		json_put(lease, "address", json_address(taken->addr_be));
		json_put(lease, "pool", json_text_or_null(taken->pool));
		json_put(lease, "user", json_text(taken->user));
		json_put(lease, "port", json_text_or_null(taken->port));
		json_put(lease, "pid",
			 taken->pid > 0 ? json_count((uint64_t)taken->pid) : json_null());
		json_append(array, lease);
	}
	json_put(object, "reclaimed", json_count(harvest->n));
	json_put(object, "left", json_count(left));
	json_put(object, "released", json_count(released));
	json_put(object, "leases", array);
	json_print(object);
}

static int run(const struct invocation *invocation)
{
	struct harvest harvest = { 0 };
	struct pool_env env = { .observe = note, .context = &harvest, .threads = processors() };
	struct error why = { "" };
	struct view view;
	uint64_t left = 0, released = 0;
	int status = view_open(&view, invocation, &env);
	int code;

	if (status != 0)
		return status;
	code = pool_reclaim(view.pool, false, NULL, &why);
	/* What is left, because a module has to be told first. */
	if (code == 0)
		code = pool_count_waiting(view.pool, &left, &why);
	pool_rest(view.pool);
	if (code == POOL_E_NOT_FOUND)
		code = 0;
	/* Afterwards, so that what has just been taken back is given back to its servers, too. */
	if (code == 0)
		code = pool_deliver_all(view.pool, &released, &why);
	pool_rest(view.pool);
	/* Also where it failed half way: what has been taken back is told. */
	if (invocation->json)
		print_harvest_json(&harvest, left, released);
	else if (code == 0 || harvest.n > 0)
		print_harvest(&harvest, left, released);
	if (code < 0)
		status = complain("%s", why.text);
	harvest_done(&harvest);
	view_close(&view);
	return status;
}

const struct verb verb_reclaim = {
	.name = "reclaim",
	.brief = "frees what dead processes left behind and says how many",
	.text = "Sessions do this by themselves when they need an address or a user's place;\n"
		"this does it for all of them now. An address that another module than the\n"
		"built-in pool chose is left to the next pppds if that module has to be told; it\n"
		"says how many are. Leases that MADCAP servers gave to dead sessions, and those\n"
		"that could not be released in time, are released at their servers.\n",
	.json = true,
	.run = run,
};
