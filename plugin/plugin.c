/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - the glue between pppd and a session: options, hooks, notifiers, timers.
 *
 * Load order among plugins does not matter. radius.so and others put their hooks in place when
 * they are loaded; ours go over them when all options have been read and, should anybody have
 * put his there since, again before each authentication and each address. Whoever was there is
 * still asked, first (pppd_hooks.h).
 *
 * pppd has one thread and calls everything here from its main loop, on_signal() excepted. It loads
 * plugins RTLD_GLOBAL, and exports some 300 names of its own: what this directory's files have in
 * common is hidden (rasip.map).
 */
#include "pppd_compat.h"

#include <signal.h>
#include <stdlib.h>

#include "config.h"
#include "pppd_hooks.h"
#include "pppd_ipcp.h"
#include "pppd_settings.h"
#include "session.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void plugin_init(void);
EXPORT extern char pppd_version[];
char pppd_version[] = COMPAT_VERSION;

#define MAINTAIN_AFTER_MS 1000
#define TIMER_MAX_MS 10000 /* pppd's clock stands still while the machine sleeps; leases end */

static struct session *session; /* NULL until the options have been checked */
static bool is_link_started;    /* and its settings taken, before anybody authenticated */

/* ---- options -------------------------------------------------------------------------------- */

/* pppd frees what stands here before it writes: NULL, or from malloc. */
static char *option_conf;
static char *option_pool;
static char *pool_of_options; /* option_pool without what secrets files say of single users */

static char name_conf[] = "rasip-conf";
static char name_pool[] = "rasip-pool";
static char text_conf[] = "Configuration of the address pools";
static char text_pool[] = "Address pool for this link or this user";

static option_t options[] = {
	{ .name = name_conf,
	  .type = o_string,
	  .addr = &option_conf,
	  .description = text_conf,
	  .flags = OPT_PRIV },
	{ .name = name_pool,
	  .type = o_string,
	  .addr = &option_pool,
	  .description = text_pool,
	  .flags = OPT_PRIV },
	{ .name = NULL },
};

/* What a user's entry in the secrets file said of the pool ends with the user. */
static void reset_pool_option(void)
{
	if (option_pool == pool_of_options)
		return;
	if (option_pool != NULL && pool_of_options != NULL &&
	    strcmp(option_pool, pool_of_options) == 0)
		return;
	free(option_pool);
	option_pool = pool_of_options != NULL ? strdup(pool_of_options) : NULL;
}

/* ---- what a session needs of pppd ----------------------------------------------------------- */

static void log_line(void *context, enum session_level level, const char *line)
{
	static char format[] = "%s";

	(void)context;
	switch (level) {
	case SESSION_NOTICE:
		notice(format, line);
		break;
	case SESSION_WARNING:
		warn(format, line);
		break;
	case SESSION_ERROR:
		error(format, line);
		break;
	}
}

/* What the peer is told, in LCP's Terminate-Request. Who has what here is for the log alone. */
static char wire_reason[] = "No network address available";

static void close_now(void *arg)
{
	(void)arg;
	compat_set_status(EXIT_NEGOTIATION_FAILED);
	/* Where other links hold a bundle up, LCP's end here would leave the address in use. */
	if (ipcp_fsm[0].state == OPENED)
		ipcp_protent.close(0, wire_reason);
	lcp_close(0, wire_reason);
}

/* Inside ip_choose_hook pppd is half way through starting IPCP: closing waits for the timer. */
static void close_link(void *context)
{
	(void)context;
	compat_untimeout(close_now);
	compat_timeout(close_now, 0);
}

static void set_env(void *context, const char *name, const char *value)
{
	char name_copy[64];
	char value_copy[256];

	(void)context;
	snprintf(name_copy, sizeof(name_copy), "%s", name);
	if (value == NULL) {
		compat_unsetenv(name_copy);
		return;
	}
	snprintf(value_copy, sizeof(value_copy), "%s", value);
	compat_setenv(name_copy, value_copy);
}

static void configure_link(void *context, const struct session_link *link)
{
	(void)context;
	settings_put(link);
}

static const struct session_ops ops = {
	.log = log_line,
	.close_link = close_link,
	.set_env = set_env,
	.configure_link = configure_link,
};

/* ---- the peer's address --------------------------------------------------------------------- */

static void keep(void *arg)
{
	(void)arg;
	if (session != NULL)
		compat_rearm(keep, session_keep(session), TIMER_MAX_MS);
}

/* What pppd knows now, and what those before us make of its candidate. */
static struct session_input make_input(uint32_t *addr_be)
{
	*addr_be = session_candidate(session, *addr_be);
	hooks_next_choose(addr_be);
	return (struct session_input){ .user = compat_user(),
				       .port = compat_port(),
				       .pool_name = option_pool,
				       .candidate_be = *addr_be,
				       .local_be = settings_own_local() };
}

static void on_choose(uint32_t *addr_be)
{
	struct session_input input;

	if (session == NULL || addr_be == NULL)
		return;
	if (hooks_is_chaining()) {
		hooks_next_choose(addr_be);
		return;
	}
	if (session_is_busy(session)) { /* RA-19 */
		session_complain(session, "a module called back into the plugin");
		return;
	}
	input = make_input(addr_be);
	if (session_choose(session, &input, addr_be))
		compat_rearm(keep, 0, TIMER_MAX_MS);
}

static int on_allowed(uint32_t addr_be)
{
	int answer = session != NULL ? session_allows(session, addr_be) : -1;

	return answer >= 0 ? answer : hooks_next_allowed(addr_be);
}

static void install_address_hooks(void)
{
	hooks_install_address(on_choose, on_allowed);
}

static int64_t begin_preparing(void)
{
	uint32_t addr_be = ipcp_wantoptions[0].hisaddr;
	struct session_input input;

	if (session == NULL || !session_needs_preparing(session))
		return -1;
	install_address_hooks();
	input = make_input(&addr_be);
	return session_prepare(session, &input);
}

static int64_t go_on_preparing(int64_t wait_ms)
{
	return session != NULL ? session_prepare_step(session, wait_ms) : -1;
}

static const struct ipcp_question question = { .begin = begin_preparing, .step = go_on_preparing };

/* ---- events --------------------------------------------------------------------------------- */

static void deliver(void *arg)
{
	(void)arg;
	if (session != NULL)
		compat_rearm(deliver, session_deliver(session), TIMER_MAX_MS);
}

static void maintain(void *arg)
{
	if (session == NULL)
		return;
	session_maintain(session);
	deliver(arg);
}

static void on_link_dead(void)
{
	bool was_refused = session_is_refused(session);

	compat_untimeout(close_now);
	compat_untimeout(maintain);
	compat_untimeout(deliver);
	compat_untimeout(keep);
	session_end(session);
	if (is_link_started) {
		settings_restore();
		settings_restore_peer();
	}
	is_link_started = false;
	reset_pool_option();
	/* A refused peer that hung up before our own end had finished is still a refused one. */
	if (was_refused && compat_status() == EXIT_HANGUP)
		compat_set_status(EXIT_NEGOTIATION_FAILED);
}

static void on_phase(void *context, int phase_now)
{
	(void)context;
	if (session == NULL)
		return;
	switch (phase_now) {
	case PHASE_SERIALCONN:
	case PHASE_ESTABLISH:
		install_address_hooks();
		if (!is_link_started)
			settings_take();
		is_link_started = true;
		break;
	case PHASE_DEAD:
		on_link_dead();
		break;
	default:
		break;
	}
}

/* Before the options of the user's entry in the secrets file are read. */
static void on_auth_up(void *context, int arg)
{
	(void)context;
	(void)arg;
	if (session == NULL)
		return;
	install_address_hooks();
	reset_pool_option();
}

/* LCP starts over: whoever authenticates next is not to find the last one's address. */
static void on_link_down(void *context, int arg)
{
	(void)context;
	(void)arg;
	if (session != NULL && is_link_started)
		settings_restore_peer();
}

static void on_ip_up(void *context, int arg)
{
	(void)context;
	(void)arg;
	if (session == NULL)
		return;
	session_ip_up(session, ipcp_hisoptions[0].hisaddr, ipcp_gotoptions[0].ouraddr);
	compat_untimeout(maintain);
	compat_timeout(maintain, MAINTAIN_AFTER_MS);
}

static void on_exit_notify(void *context, int arg)
{
	(void)context;
	(void)arg;
	session_exit(&session);
}

/* Runs in signal handlers. What pppd survives is no reason to do anything. */
static void on_signal(void *context, int number)
{
	(void)context;
	switch (number) {
	case SIGHUP:
	case SIGINT:
	case SIGTERM:
	case SIGUSR1:
	case SIGUSR2:
	case SIGCHLD:
		return;
	default:
		if (session != NULL)
			session_set_fatal(session);
	}
}

/* In a child that is not the session, and in the parent that has just detached from it. */
static void on_not_ours(void *context, int arg)
{
	(void)context;
	(void)arg;
	if (session != NULL)
		session_abandon(session);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void (*next_check_options)(void);

static void fail_start(const char *text)
{
	compat_option_error(text);
	exit(EXIT_OPTION_ERROR);
}

static void load_session(void)
{
	const struct session_setup setup = {
		.config_path = option_conf != NULL ? option_conf : CONFIG_DEFAULT_PATH,
		.pool_name = option_pool,
		.ops = &ops,
	};
	struct config_errors errors = { 0 };
	int code = session_load(&session, &setup, &errors);

	if (code == 0)
		return;
	for (size_t i = 0; i < errors.n; i++)
		compat_option_error(errors.lines[i]);
	if (errors.n == 0)
		compat_option_error(pool_strerror(code));
	exit(EXIT_OPTION_ERROR);
}

/*
 * pppd has every protocol check its options when all of them have been read and nothing has been
 * opened or detached: IPCP's turn is ours.
 */
static void check_all_options(void)
{
	if (next_check_options != NULL)
		next_check_options();
	if (session != NULL)
		return;
	/* On demand pppd gives the interface an address before there is a peer to have it. */
	if (compat_is_demand())
		fail_start("rasip: the demand option cannot be used with address pools");
	if (option_pool != NULL) {
		pool_of_options = strdup(option_pool);
		if (pool_of_options == NULL)
			fail_start("rasip: out of memory");
	}
	load_session();
	settings_take();
	install_address_hooks();
}

void plugin_init(void)
{
	compat_add_options(options);

	next_check_options = ipcp_protent.check_options;
	ipcp_protent.check_options = check_all_options;
	ipcp_put_off_for(&question);
	hooks_install_secrets();

	compat_notify(COMPAT_PHASE, on_phase);
	compat_notify(COMPAT_AUTH_UP, on_auth_up);
	compat_notify(COMPAT_LINK_DOWN, on_link_down);
	compat_notify(COMPAT_IP_UP, on_ip_up);
	compat_notify(COMPAT_EXIT, on_exit_notify);
	compat_notify(COMPAT_SIGNAL, on_signal);
	compat_notify(COMPAT_FORK, on_not_ours);
	compat_notify(COMPAT_PID_CHANGE, on_not_ours);
}
