/* SPDX-License-Identifier: MIT */
/*
 * session_fixture.h - for tests of session*.c: pppd is a set of functions that write down what they
 * are told; so is the pool, and the modules are scripted.c's.
 */
#ifndef TEST_SESSION_FIXTURE_H
#define TEST_SESSION_FIXTURE_H

#include "modules.h"

#include <arpa/inet.h>
#include <sys/wait.h>

#include "pool.h"
#include "session.h"

/* ---- a pool that writes down its calls ------------------------------------------------------ */

struct pool {
	const struct config *config;
	struct pool_env env;
};

static struct {
	const char *refuses;       /* acquire and record: the reason */
	const char *refuses_local; /* hold_local */
	uint32_t next;             /* host order */
	bool calls_back;           /* acquire calls session_choose again */
	struct pool_event dead;    /* told to the next reclaim's observer; addr_be 0: none */
	int reclaim_code;
	uint64_t waiting; /* dead leases of modules that a reclaim of some leaves */
	int told_code;
	int not_rested;        /* the store is open */
	bool is_prepared;      /* and nobody has come for it */
	int preparing;         /* so often pool_prepare has to be called again */
	const char *server;    /* of the leases that it gives; NULL: none */
	int64_t keep_ms;       /* what pool_keep answers; 0: there is nothing to keep */
	const char *keep_lost; /* pool_keep: the reason why the lease is lost */
	int delivering;        /* so often pool_deliver has to be called again */
	bool is_behind;        /* events wait for pool_maintain */
} fake;

static struct session *session;

static const char *show(uint32_t addr_be)
{
	static char text[4][INET_ADDRSTRLEN];
	static int i;

	i = (i + 1) % 4;
	inet_ntop(AF_INET, &addr_be, text[i], sizeof(text[i]));
	return text[i];
}

int pool_open(struct pool **ret, const struct config *config, const struct pool_env *env)
{
	*ret = calloc(1, sizeof(**ret));
	**ret = (struct pool){ config, *env };
	return 0;
}

void pool_close(struct pool **pool)
{
	free(*pool);
	*pool = NULL;
}

void pool_rest(struct pool *pool)
{
	(void)pool;
	fake.not_rested = 0;
}

static void fill_lease(struct pool_lease *lease, const struct pool_request *request,
		       uint32_t addr_be, const char *module)
{
	lease->addr_be = addr_be;
	lease->lock_fd = -1;
	snprintf(lease->pool, sizeof(lease->pool), "main");
	snprintf(lease->user, sizeof(lease->user), "%s", request->user);
	snprintf(lease->port, sizeof(lease->port), "%s", request->port);
	snprintf(lease->module, sizeof(lease->module), "%s", module);
	if (fake.server == NULL)
		return;
	lease->group_be = htonl(0xefc00001);
	snprintf(lease->server, sizeof(lease->server), "%s", fake.server);
	lease->end_sec = 1000;
}

int pool_prepare(struct pool *pool, const struct pool_request *request, int64_t *ret_ms)
{
	(void)pool;
	fake.not_rested++;
	trace("prepare %s candidate=%s", request->user, show(request->candidate_be));
	*ret_ms = 40;
	fake.is_prepared = true;
	return fake.preparing-- > 0 ? POOL_WAIT : 0;
}

void pool_wait(struct pool *pool, int64_t wait_ms)
{
	(void)pool;
	trace("wait %d", (int)wait_ms);
}

void pool_unprepare(struct pool *pool)
{
	(void)pool;
	if (fake.is_prepared)
		trace("unprepare");
	fake.is_prepared = false;
}

void pool_settle(struct pool *pool)
{
	(void)pool;
}

int pool_keep(struct pool *pool, struct pool_lease *lease, int64_t *ret_ms, struct error *why)
{
	(void)pool;
	fake.not_rested++;
	trace("keep %s", show(lease->addr_be));
	*ret_ms = fake.keep_ms != 0 ? fake.keep_ms : INT64_MAX;
	if (fake.keep_lost == NULL)
		return 0;
	error_set(why, "%s", fake.keep_lost);
	return POOL_E_BACKEND;
}

int pool_deliver(struct pool *pool, int64_t *ret_ms, struct error *why)
{
	(void)pool;
	(void)why;
	fake.not_rested++;
	trace("deliver");
	*ret_ms = 30;
	return fake.delivering-- > 0 ? POOL_WAIT : 0;
}

int pool_acquire(struct pool *pool, const struct pool_request *request, struct pool_lease *lease,
		 struct error *why)
{
	const struct session_input again = { .user = request->user, .port = request->port };
	uint32_t addr_be;

	fake.not_rested++;
	fake.is_prepared = false;
	trace("acquire %s %s pool=%s candidate=%s local=%s", request->user, request->port,
	      request->pool_name != NULL ? request->pool_name : "-", show(request->candidate_be),
	      show(request->local_be));
	if (fake.calls_back && session_choose(session, &again, &addr_be))
		trace("was let in");
	if (fake.refuses != NULL) {
		error_set(why, "%s", fake.refuses);
		return POOL_E_REFUSED;
	}
	fill_lease(lease, request,
		   request->candidate_be != 0 && !pool->config->candidate_replace
			   ? request->candidate_be
			   : htonl(fake.next++),
		   "");
	return 0;
}

int pool_record(struct pool *pool, const struct pool_request *request,
		const struct pool_choice *choice, struct pool_lease *lease, struct error *why)
{
	(void)pool;
	fake.not_rested++;
	trace("record %s %s %s module=%s notify=%d", request->user, request->port,
	      show(choice->addr_be), choice->module, choice->notify);
	if (fake.refuses != NULL) {
		error_set(why, "%s", fake.refuses);
		return POOL_E_REFUSED;
	}
	fill_lease(lease, request, choice->addr_be, choice->module);
	return 0;
}

int pool_release(struct pool *pool, struct pool_lease *lease, struct error *why)
{
	(void)pool;
	(void)why;
	if (lease->addr_be == 0)
		return 0;
	fake.not_rested++;
	trace("free %s", show(lease->addr_be));
	*lease = POOL_LEASE_NONE;
	return 0;
}

void pool_lease_abandon(struct pool_lease *lease)
{
	if (lease->addr_be != 0)
		trace("abandon %s", show(lease->addr_be));
	*lease = POOL_LEASE_NONE;
}

int pool_lease_adopt(struct pool *pool, const struct pool_lease *lease, struct error *why)
{
	(void)pool;
	(void)why;
	fake.not_rested++;
	trace("adopt %s", show(lease->addr_be));
	return 0;
}

int pool_hold_local(struct pool *pool, uint32_t addr_be, int *ret_fd, struct error *why)
{
	(void)pool;
	fake.not_rested++;
	trace("hold %s", show(addr_be));
	if (fake.refuses_local != NULL) {
		error_set(why, "%s", fake.refuses_local);
		return POOL_E_REFUSED;
	}
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

/* The real one is in pool.c, which these fakes stand for. */
const char *pool_how_name(enum pool_how how)
{
	static const char *const names[] = { "none",        "new",       "sticky",
					     "reservation", "candidate", "module" };

	return names[how];
}

int pool_lease_told(struct pool *pool, const struct pool_lease *lease, struct error *why)
{
	(void)pool;
	(void)lease;
	fake.not_rested++;
	if (fake.told_code < 0)
		error_set(why, "no telling");
	return fake.told_code;
}

const struct config_pool *pool_lease_config(const struct pool *pool, const struct pool_lease *lease,
					    const char *pool_name)
{
	(void)pool_name;
	(void)lease;
	return &pool->config->pools[0];
}

int pool_maintain(struct pool *pool, struct error *why)
{
	(void)pool;
	(void)why;
	trace("maintain");
	return 0;
}

bool pool_is_behind(const struct pool *pool)
{
	(void)pool;
	return fake.is_behind;
}

static int fake_reclaim(struct pool *pool, struct error *why)
{
	fake.not_rested++;
	if (fake.reclaim_code < 0) {
		error_set(why, "no reclaiming");
		return fake.reclaim_code;
	}
	if (fake.dead.addr_be != 0)
		pool->env.observe(pool->env.context, &fake.dead);
	fake.dead.addr_be = 0;
	return 0;
}

int pool_reclaim_for(struct pool *pool, const struct pool_request *request, struct error *why)
{
	ck_assert_ptr_nonnull(request->user);
	trace("reclaim");
	return fake_reclaim(pool, why);
}

int pool_count_waiting(struct pool *pool, uint64_t *ret_count, struct error *why)
{
	(void)pool;
	(void)why;
	fake.not_rested++;
	*ret_count = fake.waiting;
	return 0;
}

int pool_reclaim(struct pool *pool, bool modules, uint64_t *ret_count, struct error *why)
{
	(void)ret_count;
	trace("reclaim all modules=%d", modules);
	fake.waiting = 0;
	return fake_reclaim(pool, why);
}

/* ---- a pppd that does ----------------------------------------------------------------------- */

static void on_log(void *context, enum session_level level, const char *line)
{
	(void)context;
	trace("log%d %s", (int)level, line);
}

static void on_close(void *context)
{
	(void)context;
	trace("close");
}

static void on_env(void *context, const char *name, const char *value)
{
	(void)context;
	trace("env %s=%s", name, value != NULL ? value : "(none)");
}

static void on_link(void *context, const struct session_link *link)
{
	(void)context;
	trace("link local=%s dns=%zu:%s,%s wins=%zu", show(link->local_be), link->n_dns,
	      show(link->dns_be[0]), show(link->dns_be[1]), link->n_wins);
}

static const struct session_ops ops = {
	.log = on_log,
	.close_link = on_close,
	.set_env = on_env,
	.configure_link = on_link,
};

#define PLAIN_LINK "link local=0.0.0.0 dns=0:0.0.0.0,0.0.0.0 wins=0\n"
#define ENV_SET "env RASIP_POOL=main\nenv RASIP_ADDRESS=10.0.0.1\n"
#define ENV_UNSET                                                                                  \
	"env RASIP_POOL=(none)\nenv RASIP_ADDRESS=(none)\nenv RASIP_GROUP=(none)\n"                \
	"env RASIP_SERVER=(none)\nenv RASIP_LEASE_END=(none)\n"

/* ---- sessions ------------------------------------------------------------------------------- */

static struct config_errors errors;
static char config_path[PATH_MAX];
static uint32_t address_be;
static struct session *volatile left_over[8]; /* volatile: nobody reads it but leak checkers */
static int n_left_over;

static void setup(void)
{
	work_setup();
	snprintf(config_path, sizeof(config_path), "%s/rasip.conf", work);
	memset(&fake, 0, sizeof(fake));
	fake.next = 0x0a000001;
	session = NULL;
	address_be = 0;
}

static void teardown(void)
{
	ck_assert_int_eq(fake.not_rested, 0); /* LMDB is never open across a fork */
	session_exit(&session);
	/* One that was abandoned is left as it is, as in a process that is about to end. */
	if (session != NULL)
		left_over[n_left_over++] = session;
	config_errors_done(&errors);
	work_teardown();
}

static void write_config(const char *modules, const char *pool, const char *rest)
{
	FILE *file = fopen(config_path, "w");

	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"runtime_dir = \"%s/run\"; state_dir = \"%s/state\";\n%s\n"
		"pools = ( { name = \"main\"; ranges = (\"10.0.0.0/24\"); %s } );\n%s\n",
		work, work, modules, pool, rest);
	fclose(file);
}

__attribute__((unused)) static int load_with(const char *pool_name)
{
	const struct session_setup session_setup = {
		.config_path = config_path,
		.pool_name = pool_name,
		.ops = &ops,
	};

	return session_load(&session, &session_setup, &errors);
}

static void load(const char *modules, const char *pool, const char *rest)
{
	int code;

	write_config(modules, pool, rest);
	code = load_with(NULL);
	ck_assert_msg(code == 0, "%s", errors.n > 0 ? errors.lines[0] : "no reason");
	unlink(trace_path); /* initialize */
}

static bool choose_with(const char *user, uint32_t candidate_be)
{
	const struct session_input input = {
		.user = user,
		.port = "ttyS0",
		.candidate_be = session_candidate(session, candidate_be),
	};

	return session_choose(session, &input, &address_be);
}

/* pppd's habit: what was answered is what is asked with the next time. */
__attribute__((unused)) static bool choose(const char *user)
{
	return choose_with(user, address_be);
}

#endif
