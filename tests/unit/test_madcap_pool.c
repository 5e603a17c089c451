/* SPDX-License-Identifier: MIT */
/*
 * Pools that lease from servers, in virtual time: access servers with stores of their own, one MADCAP
 * server with its real book, and between them a network that loses, doubles and delays. Each session
 * has a pool of its own, as each pppd does, and goes on while another one waits. Random
 * histories of connects, ends, deaths, silence and clocks that jump; after every step no address may
 * be in two live sessions, and each must stand on a lease that lasts.
 *
 * RASIP_MODEL_SEED plays one history again, RASIP_MODEL_RUNS plays more of them.
 */
#include "madcap_fixture.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "op.h"
#include "pool.h"
#include "remote.h"
#include "suite.h"

#define MACHINES 2
#define USERS 7
#define SESSIONS 12
#define STEPS 120
#define QUEUE 64
#define LEASE_SEC 600
#define SERVERS "servers = ( \"192.0.2.1\" );"

/* A datagram on its way. */
struct parcel {
	bool is_used;
	bool to_server;
	size_t machine;
	int64_t due_us;
	size_t size;
	uint8_t data[2048];
};

struct machine {
	size_t number;
	struct config *config;
	struct pool *pool; /* of whoever comes by */
	int64_t skew_sec;  /* of its wall clock */
	uint64_t boot;
	char dir[SCRATCH_SIZE + 16];
};

struct session {
	bool is_live;
	size_t machine;
	unsigned int user;
	struct pool *pool;
	struct pool_lease lease;
	int64_t keep_us; /* when pool_keep() is due */
};

static struct {
	int64_t now_us;
	uint64_t random;
	bool is_cut; /* nothing gets through */
	bool gave_up; /* while a wall clock was ahead: leases that could not be released seemed over */
	unsigned int loss_percent;
	struct parcel queue[QUEUE];
	struct machine machines[MACHINES];
	struct session sessions[SESSIONS];
	unsigned int grants, refusals, ends, kept;
	unsigned int step;
	uint64_t seed;
} sim;

static uint64_t draw(void)
{
	sim.random ^= sim.random << 13;
	sim.random ^= sim.random >> 7;
	sim.random ^= sim.random << 17;
	return sim.random;
}

static bool chance(unsigned int percent)
{
	return draw() % 100 < percent;
}

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "seed %" PRIu64 ", step %u: ", sim.seed, sim.step);        \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			ck_abort_msg("seed %" PRIu64 ", step %u", sim.seed, sim.step);             \
		}                                                                                  \
	} while (0)

/* ---- the network ----------------------------------------------------------------------------- */

static void post(const struct parcel *parcel)
{
	int copies = chance(sim.loss_percent) || sim.is_cut ? 0 : chance(sim.loss_percent) ? 2 : 1;

	for (size_t i = 0; i < QUEUE && copies > 0; i++) {
		if (sim.queue[i].is_used)
			continue;
		sim.queue[i] = *parcel;
		sim.queue[i].is_used = true;
		sim.queue[i].due_us = sim.now_us + (int64_t)(draw() % 40000);
		copies--;
	}
}

static void serve(const struct parcel *parcel)
{
	struct madcap_input input = {
		.data = parcel->data,
		.size = parcel->size,
		.from = { .address = addr(parcel->machine == 0 ? "192.0.2.10" : "192.0.2.11"),
			  .port = 40000 },
		.to = world.local,
		.local = world.local,
	};
	struct parcel back = { .machine = parcel->machine };
	struct error error = { "" };

	world.clock = (struct madcap_clock){ sim.now_us / 1000, NOW + sim.now_us / 1000000 };
	ck_assert_int_eq(madcap_server_begin(world.server, &world.clock, &error), 0);
	madcap_server_step(world.server, &input, &world.answer);
	ck_assert_int_eq(madcap_server_commit(world.server, &error), 0);
	back.size = world.answer.size;
	if (back.size == 0)
		return;
	memcpy(back.data, world.answer.data, back.size);
	post(&back);
}

/* The server's due datagrams are served; a machine's next due one is its own business. */
static void run_server(void)
{
	for (size_t i = 0; i < QUEUE; i++) {
		struct parcel *parcel = &sim.queue[i];

		if (parcel->is_used && parcel->to_server && parcel->due_us <= sim.now_us) {
			parcel->is_used = false;
			serve(parcel);
		}
	}
}

static void net_send(void *context, const struct madcap_endpoint *to, bool multicast,
		     const uint8_t *data, size_t size)
{
	const struct machine *machine = context;
	struct parcel parcel = { .to_server = true, .machine = machine->number, .size = size };

	(void)to;
	ck_assert(!multicast);
	ck_assert_uint_le(size, sizeof(parcel.data));
	memcpy(parcel.data, data, size);
	post(&parcel);
}

static ssize_t net_receive(void *context, uint8_t *data, size_t size,
			   struct madcap_endpoint *ret_from)
{
	const struct machine *machine = context;

	run_server();
	for (size_t i = 0; i < QUEUE; i++) {
		struct parcel *parcel = &sim.queue[i];

		if (!parcel->is_used || parcel->to_server || parcel->machine != machine->number ||
		    parcel->due_us > sim.now_us)
			continue;
		parcel->is_used = false;
		ck_assert_uint_le(parcel->size, size);
		memcpy(data, parcel->data, parcel->size);
		*ret_from = (struct madcap_endpoint){ .address = world.local, .port = MADCAP_PORT };
		return (ssize_t)parcel->size;
	}
	return -1;
}

/* Time passes, to the next datagram at most. */
static void net_wait(void *context, int64_t wait_ms)
{
	int64_t until_us = sim.now_us + (wait_ms > 60000 ? 60000 : wait_ms) * 1000;

	(void)context;
	for (size_t i = 0; i < QUEUE; i++)
		if (sim.queue[i].is_used && sim.queue[i].due_us > sim.now_us &&
		    sim.queue[i].due_us < until_us)
			until_us = sim.queue[i].due_us;
	sim.now_us = until_us;
	run_server();
}

static const struct pool_net net = { net_send, net_receive, net_wait };

/* ---- machines -------------------------------------------------------------------------------- */

static int64_t env_boot_us(void *context)
{
	(void)context;
	return sim.now_us;
}

static int64_t env_unix_sec(void *context)
{
	const struct machine *machine = context;

	return NOW + sim.now_us / 1000000 + machine->skew_sec;
}

static uint64_t env_boot(void *context)
{
	const struct machine *machine = context;

	return machine->boot;
}

static uint64_t env_random(void *context)
{
	(void)context;
	return draw();
}

static bool env_in_use(void *context, uint32_t addr_be)
{
	(void)context;
	(void)addr_be;
	return false;
}

static struct pool *open_pool(struct machine *machine)
{
	const struct pool_env env = { .boot_us = env_boot_us,
				      .unix_sec = env_unix_sec,
				      .boot = env_boot,
				      .random = env_random,
				      .in_use = env_in_use,
				      .net = &net,
				      .context = machine };
	struct pool *pool;

	ck_assert_int_eq(pool_open(&pool, machine->config, &env), 0);
	return pool;
}

static void open_machine(size_t number, const char *pools)
{
	struct machine *machine = &sim.machines[number];
	struct config_errors errors = { 0 };
	char text[2048];

	machine->number = number;
	machine->boot = 1;
	snprintf(machine->dir, sizeof(machine->dir), "%s/m%zu", world.dir, number);
	mkdir(machine->dir, 0755);
	snprintf(text, sizeof(text), "runtime_dir = \"%s/run\"; state_dir = \"%s/state\"; %s",
		 machine->dir, machine->dir, pools);
	if (config_load_text(text, "test", &machine->config, &errors) != 0)
		ck_abort_msg("%s", errors.n > 0 ? errors.lines[0] : "?");
	config_errors_done(&errors);
	machine->pool = open_pool(machine);
}

static void close_machine(struct machine *machine)
{
	pool_close(&machine->pool);
	config_free(&machine->config);
}

static void begin(uint64_t seed, const char *pools)
{
	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim.now_us = INT64_C(1000000000);
	prepare();
	world.config.max_addresses_per_client = 0;
	open_server();
	for (size_t i = 0; i < MACHINES; i++)
		open_machine(i, pools);
}

static void finish(void)
{
	for (size_t i = 0; i < MACHINES; i++)
		close_machine(&sim.machines[i]);
	teardown();
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct pool *pool_of(const struct session *session)
{
	return session->pool != NULL ? session->pool : sim.machines[session->machine].pool;
}

/* The lease at the server that has the session's group now; false: there is none. */
static bool find_at_server(const struct session *session, struct book_lease *ret)
{
	struct madcap_address group = madcap_address_ip4(ntohl(session->lease.group_be));

	return book_find_address(world.book, &group, (uint32_t)(NOW + sim.now_us / 1000000), ret) ==
	       0;
}

static void check_all(void)
{
	for (size_t i = 0; i < MACHINES; i++)
		sim.gave_up |= sim.machines[i].skew_sec > 0 && (sim.is_cut || sim.loss_percent > 0);
	for (size_t i = 0; i < SESSIONS; i++) {
		const struct session *a = &sim.sessions[i];
		const struct pool_served *served = a->lease.served;
		struct book_lease lease;

		if (!a->is_live)
			continue;
		for (size_t j = i + 1; j < SESSIONS; j++)
			CHECK(!sim.sessions[j].is_live ||
				      sim.sessions[j].lease.addr_be != a->lease.addr_be,
			      "an address is in two live sessions");
		CHECK(find_at_server(a, &lease), "a live session has no lease at the server");
		CHECK(lease.id.size == served->record.id.size &&
			      memcmp(lease.id.data, served->record.id.bytes, lease.id.size) == 0,
		      "a live session's group is leased to somebody else");
		/* Servers count whole seconds: that is what the margin is for. */
		CHECK((int64_t)served->end_us - (INT64_C(1) << 52) - 1000000 <=
			      ((int64_t)lease.end_sec - NOW) * 1000000,
		      "a session believes that its lease lasts longer than it does");
	}
}

static void end_session(struct session *session)
{
	struct error why = { "" };

	(void)pool_release(pool_of(session), &session->lease, &why);
	pool_settle(pool_of(session));
	pool_rest(pool_of(session));
	pool_close(&session->pool);
	session->is_live = false;
	sim.ends++;
}

static void keep(struct session *session)
{
	int64_t next_ms;
	struct error why = { "" };

	if (!session->is_live || session->keep_us > sim.now_us)
		return;
	if (pool_keep(pool_of(session), &session->lease, &next_ms, &why) < 0) {
		end_session(session);
		return;
	}
	pool_rest(pool_of(session));
	sim.kept++;
	session->keep_us = next_ms == INT64_MAX ? INT64_MAX : sim.now_us + next_ms * 1000;
}

/* With pppd's timers: whoever is due is called. */
static void pass(int64_t us)
{
	int64_t until_us = sim.now_us + us;

	while (sim.now_us < until_us) {
		int64_t next_us = until_us;

		for (size_t i = 0; i < SESSIONS; i++)
			if (sim.sessions[i].is_live && sim.sessions[i].keep_us < next_us)
				next_us = sim.sessions[i].keep_us;
		if (next_us > sim.now_us)
			sim.now_us = next_us;
		run_server();
		for (size_t i = 0; i < SESSIONS; i++)
			keep(&sim.sessions[i]);
		check_all();
	}
}

static bool is_busy(size_t machine, unsigned int user)
{
	for (size_t i = 0; i < SESSIONS; i++)
		if (sim.sessions[i].is_live && sim.sessions[i].machine == machine &&
		    sim.sessions[i].user == user)
			return true;
	return false;
}

static void connect_somebody(void)
{
	struct session *session = &sim.sessions[draw() % SESSIONS];
	char name[16];
	struct pool_request request = { .user = name, .port = "ttyS0" };
	struct error why = { "" };
	int64_t wait_ms;

	if (session->is_live)
		return;
	*session = (struct session){ .machine = draw() % MACHINES,
				     .user = (unsigned int)(draw() % USERS),
				     .lease = POOL_LEASE_NONE };
	if (is_busy(session->machine, session->user))
		return;
	snprintf(name, sizeof(name), "user%u", session->user);
	session->pool = open_pool(&sim.machines[session->machine]);
	/* As the plugin does, or, where nobody has to wait for long, all at once. */
	while ((chance(70) || sim.is_cut || sim.loss_percent > 0) &&
	       pool_prepare(session->pool, &request, &wait_ms) == POOL_WAIT) {
		pool_rest(session->pool);
		pass((wait_ms < 50 ? wait_ms + 1 : 50) * 1000);
	}
	if (chance(90) && pool_acquire(session->pool, &request, &session->lease, &why) == 0) {
		sim.grants++;
		session->is_live = true;
		session->keep_us = sim.now_us;
		pool_rest(session->pool);
		return;
	}
	sim.refusals++;
	ck_assert_uint_eq(session->lease.addr_be, 0);
	pool_unprepare(session->pool);
	pool_close(&session->pool);
}

static void deliver_somewhere(void)
{
	struct pool *pool = sim.machines[draw() % MACHINES].pool;
	struct error why = { "" };
	int64_t wait_ms;
	int code;

	while ((code = pool_deliver(pool, &wait_ms, &why)) == POOL_WAIT) {
		pool_rest(pool);
		pass(wait_ms * 1000);
	}
	pool_rest(pool);
	CHECK(code == 0, "%s", why.text);
}

static void die(struct session *session)
{
	pool_lease_abandon(&session->lease);
	pool_close(&session->pool);
	session->is_live = false;
}

/* A process is killed: its lock is gone, and nobody has said anything. */
static void kill_somebody(void)
{
	struct session *session = &sim.sessions[draw() % SESSIONS];

	if (session->is_live)
		die(session);
}

/* Nothing of runtime_dir is left. */
static void restart_machine(struct machine *machine)
{
	pool_rest(machine->pool);
	machine->boot++;
	scratch_remove_below(machine->dir, "run");
}

static void reboot(void)
{
	struct machine *machine = &sim.machines[draw() % MACHINES];

	for (size_t i = 0; i < SESSIONS; i++)
		if (sim.sessions[i].is_live && sim.sessions[i].machine == machine->number)
			die(&sim.sessions[i]);
	restart_machine(machine);
}

/* What it had not read yet is lost with it. (Otherwise a doubled REQUEST could come after the release
 * of its lease, and to a server that does not remember it.) */
static void restart_server(void)
{
	for (size_t i = 0; i < QUEUE; i++)
		if (sim.queue[i].to_server)
			sim.queue[i].is_used = false;
	restart();
}

static void step(void)
{
	uint64_t what = draw() % 100;

	if (what < 40) {
		connect_somebody();
	} else if (what < 60) {
		struct session *session = &sim.sessions[draw() % SESSIONS];

		if (session->is_live)
			end_session(session);
	} else if (what < 66) {
		kill_somebody();
	} else if (what < 78) {
		pass((int64_t)(draw() % (LEASE_SEC * UINT64_C(1000000))));
	} else if (what < 82) {
		sim.is_cut = !sim.is_cut;
	} else if (what < 88) {
		deliver_somewhere();
	} else if (what < 92) {
		sim.machines[draw() % MACHINES].skew_sec = (int64_t)(draw() % 200000) - 100000;
	} else if (what < 94) {
		reboot();
	} else if (what < 97) {
		restart_server();
	} else {
		sim.loss_percent = (unsigned int)(draw() % 40);
	}
	check_all();
}

/* When all is over, what is owed is delivered. */
static void wind_up(void)
{
	sim.is_cut = false;
	sim.loss_percent = 0;
	for (size_t i = 0; i < MACHINES; i++)
		sim.machines[i].skew_sec = 0;
	for (size_t i = 0; i < SESSIONS; i++)
		if (sim.sessions[i].is_live)
			end_session(&sim.sessions[i]);
	sim.now_us += INT64_C(200000000); /* nothing is busy any more, nothing rests */
	for (int i = 0; i < 40; i++)
		deliver_somewhere();
}

static unsigned int left_at_server(void)
{
	uint64_t at = 0;
	struct book_lease lease;
	unsigned int n = 0;

	while (book_next(world.book, &at, &lease) == 0)
		n += (int64_t)lease.end_sec > NOW + sim.now_us / 1000000;
	return n;
}

#define HISTORY_POOL                                                                               \
	"pools = ( { name = \"p\"; backend = \"madcap\"; ranges = ( \"10.0.0.0-10.0.0.9\" ); "     \
	"%s madcap = { scope = \"239.192.0.0\"; " SERVERS                                          \
	" lease = \"10m\"; timeout = \"8s\"; }; } );"

static void play(uint64_t seed)
{
	char pools[512];

	snprintf(pools, sizeof(pools), HISTORY_POOL,
		 seed % 3 == 0   ? "hold = \"90s\";"
		 : seed % 3 == 1 ? "max_per_user = 1;"
				 : "");
	begin(seed, pools);
	for (sim.step = 0; sim.step < STEPS; sim.step++)
		step();
	wind_up();
	CHECK(sim.gave_up || left_at_server() == 0, "%u leases are left at the server",
	      left_at_server());
	finish();
}

START_TEST(random_histories)
{
	const char *given = getenv("RASIP_MODEL_SEED"), *more = getenv("RASIP_MODEL_RUNS");
	uint64_t first = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)_i * 1000 + 1;
	uint64_t runs = given != NULL ? 1 : more != NULL ? strtoull(more, NULL, 10) : 2;

	for (uint64_t seed = first; seed < first + runs; seed++)
		play(seed);
}
END_TEST

/* ---- one at a time ---------------------------------------------------------------------------- */

#define ONE_POOL                                                                                   \
	"pools = ( { name = \"p\"; backend = \"madcap\"; ranges = ( \"10.0.0.0-10.0.0.9\" ); "     \
	"madcap = { scope = \"239.192.0.0\"; " SERVERS                                             \
	" lease = \"10m\"; timeout = \"8s\"; }; } );"

static int acquire(size_t machine, const char *user, struct session *ret)
{
	struct pool_request request = { .user = user, .port = "ttyS0" };
	struct error why = { "" };
	int code;

	*ret = (struct session){ .machine = machine, .lease = POOL_LEASE_NONE };
	code = pool_acquire(pool_of(ret), &request, &ret->lease, &why);
	pool_rest(pool_of(ret));
	ret->is_live = code == 0;
	return code;
}

/* A process that was stopped while it asked finds that its record is gone, and takes nothing. */
START_TEST(a_stopped_process_does_not_use_what_was_given_up)
{
	struct pool_request request = { .user = "alice", .port = "ttyS0" };
	struct pool_lease lease = POOL_LEASE_NONE;
	struct error why = { "" };
	struct pool *other;
	int64_t wait_ms;
	uint64_t count;

	begin(1, ONE_POOL);
	while (pool_prepare(sim.machines[0].pool, &request, &wait_ms) == POOL_WAIT)
		pool_wait(sim.machines[0].pool, wait_ms);
	ck_assert_uint_eq(left_at_server(), 1);
	sim.now_us += INT64_C(300) * 1000000; /* SIGSTOP, for so long */
	pool_rest(sim.machines[0].pool);
	other = open_pool(&sim.machines[0]);
	ck_assert_int_eq(pool_deliver_all(other, &count, &why), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(left_at_server(), 0);
	pool_close(&other);
	/* SIGCONT */
	ck_assert_int_lt(pool_acquire(sim.machines[0].pool, &request, &lease, &why), 0);
	ck_assert_uint_eq(lease.addr_be, 0);
	ck_assert_ptr_nonnull(strstr(why.text, "given up meanwhile"));
	finish();
}
END_TEST

/* The lease time counts from before the request was sent, on a clock that nobody sets. */
START_TEST(the_wall_clock_decides_nothing)
{
	struct session session;
	struct error why = { "" };
	int64_t next_ms = 0, end_us;

	begin(2, ONE_POOL);
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	end_us = sim.now_us + INT64_C(600) * 1000000;
	ck_assert_int_eq(pool_keep(pool_of(&session), &session.lease, &next_ms, &why), 0);
	ck_assert_int_le(next_ms, 300001);
	ck_assert_int_ge(next_ms, 299000);
	sim.is_cut = true;
	sim.machines[0].skew_sec = -1000000;
	while (pool_keep(pool_of(&session), &session.lease, &next_ms, &why) == 0)
		sim.now_us += next_ms * 1000;
	ck_assert_int_lt(sim.now_us, end_us - INT64_C(9000000)); /* the margin */
	ck_assert_int_gt(sim.now_us, end_us - INT64_C(13000000));
	ck_assert_ptr_nonnull(strstr(why.text, "could not be renewed"));
	end_session(&session);
	finish();
}
END_TEST

/* A second of it may be the server's, which counts whole ones; the other is for hanging up. */
START_TEST(a_short_lease_is_given_up_two_seconds_before_its_end)
{
	struct session session;
	struct error why = { "" };
	int64_t next_ms, end_us;

	begin(9, "pools = ( { name = \"p\"; backend = \"madcap\"; ranges = ( \"10.0.0.0/30\" ); "
		 "madcap = { scope = \"239.192.0.0\"; " SERVERS " lease = \"9s\"; "
		 "timeout = \"8s\"; }; } );");
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	end_us = sim.now_us + INT64_C(9000000);
	sim.is_cut = true;
	while (pool_keep(pool_of(&session), &session.lease, &next_ms, &why) == 0)
		sim.now_us += next_ms * 1000;
	ck_assert_int_le(sim.now_us, end_us - INT64_C(1900000));
	ck_assert_int_gt(sim.now_us, end_us - INT64_C(3000000));
	end_session(&session);
	finish();
}
END_TEST

/* Asleep for longer than the lease: nothing is renewed that others may have by now. */
START_TEST(a_machine_that_slept_gives_up)
{
	struct session session, others[10];
	struct error why = { "" };
	int64_t next_ms;

	begin(3, ONE_POOL);
	world.config.extra_allocation_sec = 0;
	ck_assert_int_eq(madcap_server_configure(world.server, &world.config, &why), 0);
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	sim.now_us += INT64_C(700) * 1000000;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(acquire(1, "bob", &others[i]), 0);
	ck_assert_int_eq(pool_keep(pool_of(&session), &session.lease, &next_ms, &why),
			 POOL_E_BACKEND);
	for (int i = 0; i < 10; i++)
		end_session(&others[i]);
	end_session(&session);
	finish();
}
END_TEST

/* Why it was lost was said once, and then it was that of a renewal that had failed before, if any. */
START_TEST(a_lost_lease_is_lost_for_the_same_reason_each_time)
{
	struct session session;
	struct error first = { "" }, again = { "" };
	int64_t next_ms;

	begin(4, ONE_POOL);
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	ck_assert_int_eq(
		server_lease_remove(pool_of(&session), &session.lease.served->record, 1, &first),
		0);
	while (pool_keep(pool_of(&session), &session.lease, &next_ms, &first) == 0) {
		sim.now_us += next_ms * 1000;
		run_server();
	}
	ck_assert_ptr_nonnull(strstr(first.text, "given up meanwhile"));
	ck_assert_int_eq(pool_keep(pool_of(&session), &session.lease, &next_ms, &again),
			 POOL_E_BACKEND);
	ck_assert_str_eq(again.text, first.text);
	end_session(&session);
}
END_TEST

/* MC-11, T19: what is at rest is taken up again by its user, under the same request id. */
START_TEST(t19_a_lease_at_rest_is_renewed_for_its_user)
{
	struct session session;
	struct madcap_client_id first;
	uint32_t addr_be;

	begin(4, "pools = ( { name = \"p\"; backend = \"madcap\"; ranges = ( \"10.0.0.0/30\" ); "
		 "hold = \"5m\"; madcap = { scope = \"239.192.0.0\"; " SERVERS " lease = \"10m\"; "
		 "timeout = \"8s\"; }; } );");
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	first = session.lease.served->record.id;
	addr_be = session.lease.addr_be;
	end_session(&session);
	ck_assert_uint_eq(left_at_server(), 1);
	sim.now_us += INT64_C(100) * 1000000;
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	ck_assert_uint_eq(session.lease.addr_be, addr_be);
	ck_assert_mem_eq(&session.lease.served->record.id, &first, sizeof(first));
	ck_assert_uint_eq(left_at_server(), 1);
	end_session(&session);
	finish();
}
END_TEST

/* A lease that the server has, and whose release it has not heard. */
static void owe_one(uint64_t seed)
{
	struct session session;

	begin(seed, ONE_POOL);
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	sim.is_cut = true;
	end_session(&session);
	ck_assert_uint_eq(left_at_server(), 1);
}

static void deliver_at_last(void)
{
	struct pool *pool = open_pool(&sim.machines[0]);
	struct error why = { "" };
	uint64_t count;

	sim.is_cut = false;
	ck_assert_int_eq(pool_deliver_all(pool, &count, &why), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(left_at_server(), 0);
	pool_close(&pool);
	finish();
}

START_TEST(a_release_that_was_not_heard_is_tried_again_soon)
{
	struct pool *pool;
	struct error why = { "" };
	uint64_t count;

	owe_one(6);
	pool = open_pool(&sim.machines[0]);
	ck_assert_int_eq(pool_deliver_all(pool, &count, &why), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(left_at_server(), 1);
	pool_close(&pool);
	sim.now_us += INT64_C(6) * 1000000;
	deliver_at_last();
}
END_TEST

START_TEST(a_release_whose_process_was_killed_is_tried_again_soon)
{
	struct error why = { "" };
	int64_t wait_ms;

	owe_one(8);
	ck_assert_int_eq(pool_deliver(sim.machines[0].pool, &wait_ms, &why), POOL_WAIT);
	pool_close(&sim.machines[0].pool);
	sim.machines[0].pool = open_pool(&sim.machines[0]);
	sim.now_us += INT64_C(25) * 1000000;
	deliver_at_last();
}
END_TEST

/* Something more urgent came in between. */
START_TEST(a_delivery_that_is_broken_off_is_for_others_at_once)
{
	struct session session;
	struct error why = { "" };
	int64_t wait_ms;

	owe_one(7);
	sim.is_cut = false;
	ck_assert_int_eq(acquire(0, "bob", &session), 0);
	sim.is_cut = true;
	ck_assert_int_eq(pool_deliver(pool_of(&session), &wait_ms, &why), POOL_WAIT);
	sim.is_cut = false;
	end_session(&session);
	ck_assert_uint_eq(left_at_server(), 1);
	deliver_at_last();
}
END_TEST

/* The registry is gone then; what was remembered of the user, and the server's lease, are not. */
START_TEST(t19_a_lease_of_before_a_reboot_is_renewed_for_its_user)
{
	struct session session;
	struct madcap_client_id first;
	struct error why = { "" };
	uint32_t addr_be;

	begin(6, ONE_POOL);
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	first = session.lease.served->record.id;
	addr_be = session.lease.addr_be;
	ck_assert_int_eq(pool_maintain(pool_of(&session), &why), 0);
	die(&session);
	restart_machine(&sim.machines[0]);
	sim.now_us += INT64_C(60) * 1000000; /* the machine needs that long to start */
	ck_assert_int_eq(acquire(0, "alice", &session), 0);
	ck_assert_uint_eq(session.lease.addr_be, addr_be);
	ck_assert_mem_eq(&session.lease.served->record.id, &first, sizeof(first));
	ck_assert_uint_eq(left_at_server(), 1);
	end_session(&session);
	ck_assert_uint_eq(left_at_server(), 0);
	finish();
}
END_TEST

/* The kernel's, where no test says otherwise. */
START_TEST(this_boot_of_the_machine_is_known)
{
	struct pool *pool;

	begin(5, ONE_POOL);
	ck_assert_int_eq(pool_open(&pool, sim.machines[0].config, NULL), 0);
	ck_assert_uint_ne(op_boot(pool), 0);
	ck_assert_uint_eq(op_boot(pool), op_boot(pool));
	pool_close(&pool);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("madcap_pool");
	TCase *model = tcase_create("model"), *single = tcase_create("single");

	tcase_set_timeout(model, getenv("RASIP_MODEL_RUNS") != NULL ? 36000 : 60);
	tcase_add_loop_test(model, random_histories, 0, 4);
	suite_add_tcase(suite, model);
	tcase_add_test(single, a_stopped_process_does_not_use_what_was_given_up);
	tcase_add_test(single, the_wall_clock_decides_nothing);
	tcase_add_test(single, a_short_lease_is_given_up_two_seconds_before_its_end);
	tcase_add_test(single, a_machine_that_slept_gives_up);
	tcase_add_test(single, a_lost_lease_is_lost_for_the_same_reason_each_time);
	tcase_add_test(single, t19_a_lease_at_rest_is_renewed_for_its_user);
	tcase_add_test(single, a_release_that_was_not_heard_is_tried_again_soon);
	tcase_add_test(single, a_release_whose_process_was_killed_is_tried_again_soon);
	tcase_add_test(single, a_delivery_that_is_broken_off_is_for_others_at_once);
	tcase_add_test(single, t19_a_lease_of_before_a_reboot_is_renewed_for_its_user);
	tcase_add_test(single, this_boot_of_the_machine_is_known);
	suite_add_tcase(suite, single);
	return run_suite(suite);
}
