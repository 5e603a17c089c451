/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - the glue between pppd and a session: options, hooks, notifiers, link settings.
 *
 * Load order among plugins does not matter. radius.so and others put their hooks in place when
 * they are loaded; ours go over them when all options have been read and, should anybody have
 * put his there since, again before each authentication and each address. Whoever was there is
 * still asked, first.
 *
 * Everything is static: pppd loads plugins RTLD_GLOBAL, and exports some 300 names of its own.
 */
#include "pppd_compat.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>

#include "config.h"
#include "secrets.h"
#include "session.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void plugin_init(void);
EXPORT extern char pppd_version[];
char pppd_version[] = COMPAT_VERSION;

/* How long a new link may be held up for a server's answer. Longer, and IPCP is put off instead. */
#define ANSWER_WAIT_MS 200
#define ANSWER_POLL_MS 50

#define MAINTAIN_AFTER_MS 1000
#define TIMER_MAX_MS 10000 /* pppd's clock stands still while the machine sleeps; leases end */

static struct session *session; /* NULL until the options have been checked */

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

/* ---- the link's settings -------------------------------------------------------------------- */

/* What IPCP's options are without this session: the administrator's values. */
struct settings {
	uint32_t peer_be;
	uint32_t local_be;
	bool accept_peer;
	bool accept_local;
	uint32_t dns_be[2];
	uint32_t wins_be[2];
};

static struct settings original;
static bool is_link_started;  /* and `original` taken, before anybody authenticated */
static uint32_t local_put_be; /* the local address that we put there, 0: none */

static void take_settings(void)
{
	const ipcp_options *wanted = &ipcp_wantoptions[0];
	const ipcp_options *allowed = &ipcp_allowoptions[0];

	original.peer_be = wanted->hisaddr;
	original.local_be = wanted->ouraddr;
	original.accept_peer = wanted->accept_remote;
	original.accept_local = wanted->accept_local;
	memcpy(original.dns_be, allowed->dnsaddr, sizeof(original.dns_be));
	memcpy(original.wins_be, allowed->winsaddr, sizeof(original.wins_be));
}

/* All but the peer's address. */
static void restore_local_settings(void)
{
	ipcp_options *allowed = &ipcp_allowoptions[0];

	/* Those to be sent, too: pppd has copied them already when it asks for the next address. */
	ipcp_options *const both[] = { &ipcp_wantoptions[0], &ipcp_gotoptions[0] };

	for (size_t i = 0; i < 2; i++) {
		if (local_put_be == 0 || both[i]->ouraddr != local_put_be)
			continue;
		both[i]->ouraddr = original.local_be;
		both[i]->accept_local = original.accept_local;
	}
	local_put_be = 0;
	memcpy(allowed->dnsaddr, original.dns_be, sizeof(original.dns_be));
	memcpy(allowed->winsaddr, original.wins_be, sizeof(original.wins_be));
}

/*
 * pppd keeps the peer's address from one session to the next, and a user's own address from the
 * secrets file with it: the next user would find it as his candidate.
 */
static void restore_peer_address(void)
{
	ipcp_wantoptions[0].hisaddr = original.peer_be;
	ipcp_wantoptions[0].accept_remote = original.accept_peer;
}

static void put_local(uint32_t local_be)
{
	/* pppd copied the wanted options to those it will send just before it asked for an address.
	 */
	ipcp_options *const both[] = { &ipcp_wantoptions[0], &ipcp_gotoptions[0] };

	for (size_t i = 0; i < 2; i++) {
		both[i]->ouraddr = local_be;
		both[i]->accept_local = 0;
	}
	local_put_be = local_be;
}

/* One server serves as both, as with pppd's own ms-dns. */
static void put_servers(uint32_t to[2], const uint32_t from[2], size_t n)
{
	if (n == 0)
		return;
	to[0] = from[0];
	to[1] = from[n > 1 ? 1 : 0];
}

static void configure_link(void *context, const struct session_link *link)
{
	(void)context;
	restore_local_settings();
	if (link->local_be != 0)
		put_local(link->local_be);
	put_servers(ipcp_allowoptions[0].dnsaddr, link->dns_be, link->n_dns);
	put_servers(ipcp_allowoptions[0].winsaddr, link->wins_be, link->n_wins);
}

/* Our end as pppd has it by itself, whatever the last session's pool had. */
static uint32_t own_local(void)
{
	uint32_t local_be = ipcp_wantoptions[0].ouraddr;

	return local_put_be != 0 && local_be == local_put_be ? original.local_be : local_be;
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

static const struct session_ops ops = {
	.log = log_line,
	.close_link = close_link,
	.set_env = set_env,
	.configure_link = configure_link,
};

/* ---- hooks ---------------------------------------------------------------------------------- */

static void (*next_choose)(uint32_t *);
static int (*next_allowed)(uint32_t);
/* Those before the last change: whoever came in between may call ours to get there. */
static void (*former_choose)(uint32_t *);
static int (*former_allowed)(uint32_t);
static int (*next_pap_check)(void);
static int (*next_chap_check)(void);

/*
 * True while the hooks behind ours run: one of them may have been put there by somebody who
 * keeps ours behind his.
 */
static bool is_chaining;

static void call_next_choose(uint32_t *addr_be)
{
	if (next_choose == NULL)
		return;
	is_chaining = true;
	next_choose(addr_be);
	is_chaining = false;
}

static void arm(void (*func)(void *), int64_t ms, int64_t max_ms)
{
	compat_untimeout(func);
	if (ms >= 0)
		compat_timeout(func, (int)(ms < max_ms ? ms : max_ms));
}

static void keep(void *arg)
{
	(void)arg;
	if (session != NULL)
		arm(keep, session_keep(session), TIMER_MAX_MS);
}

/* What pppd knows now, and what those before us make of its candidate. */
static struct session_input make_input(uint32_t *addr_be)
{
	*addr_be = session_candidate(session, *addr_be);
	call_next_choose(addr_be);
	return (struct session_input){ .user = compat_user(),
				       .port = compat_port(),
				       .pool_name = option_pool,
				       .candidate_be = *addr_be,
				       .local_be = own_local() };
}

static void on_choose(uint32_t *addr_be)
{
	struct session_input input;

	if (session == NULL || addr_be == NULL)
		return;
	if (is_chaining) {
		if (former_choose != NULL)
			former_choose(addr_be);
		return;
	}
	if (session_is_busy(session)) { /* RA-19 */
		session_complain(session, "a module called back into the plugin");
		return;
	}
	input = make_input(addr_be);
	if (session_choose(session, &input, addr_be))
		arm(keep, 0, TIMER_MAX_MS);
}

static int on_allowed(uint32_t addr_be)
{
	int answer = session != NULL ? session_allows(session, addr_be) : -1;

	if (answer >= 0)
		return answer;
	if (is_chaining)
		return former_allowed != NULL ? former_allowed(addr_be) : -1;
	if (next_allowed == NULL)
		return -1;
	is_chaining = true;
	answer = next_allowed(addr_be);
	is_chaining = false;
	return answer;
}

static int on_pap_check(void)
{
	char buffer[PATH_MAX];
	int answer = next_pap_check != NULL ? next_pap_check() : -1;

	if (answer >= 0)
		return answer;
	return secrets_has_entry(compat_pap_secrets(buffer, sizeof(buffer))) ? 1 : -1;
}

static int on_chap_check(void)
{
	char buffer[PATH_MAX];
	int answer = next_chap_check != NULL ? next_chap_check() : -1;

	if (answer >= 0)
		return answer;
	return secrets_has_entry(compat_chap_secrets(buffer, sizeof(buffer))) ? 1 : -1;
}

static void install_address_hooks(void)
{
	if (ip_choose_hook != on_choose) {
		if (ip_choose_hook != next_choose)
			former_choose = next_choose;
		next_choose = ip_choose_hook;
		ip_choose_hook = on_choose;
	}
	if (allowed_address_hook != on_allowed) {
		if (allowed_address_hook != next_allowed)
			former_allowed = next_allowed;
		next_allowed = allowed_address_hook;
		allowed_address_hook = on_allowed;
	}
}

/* ---- waiting for servers -------------------------------------------------------------------- */

/*
 * A server that has to be asked for the peer's address may take its time, and pppd has one thread.
 * So IPCP is put off until the answer is there: with its lower layer down it drops what the peer
 * sends, who sends it again, while LCP and everything else go on.
 */
static void (*next_open)(int unit);
static void (*next_close)(int unit, char *reason);
static bool is_put_off;

static void open_when_answered(void *arg)
{
	int64_t ms = session != NULL ? session_prepare_step(session, 0) : -1;

	(void)arg;
	if (ms >= 0) {
		arm(open_when_answered, ms, ANSWER_POLL_MS);
		return;
	}
	is_put_off = false;
	ipcp_protent.lowerup(0);
	next_open(0);
}

/* Most servers have answered by the time that the peer's next packet is here. */
static int64_t wait_for_answer(int64_t ms)
{
	for (int waited = 0; ms >= 0 && waited < ANSWER_WAIT_MS; waited += ANSWER_POLL_MS)
		ms = session_prepare_step(session, ANSWER_POLL_MS);
	return ms;
}

static void on_ipcp_open(int unit)
{
	struct session_input input;
	uint32_t addr_be = ipcp_wantoptions[0].hisaddr;
	int64_t ms = -1;

	if (session != NULL && session_needs_preparing(session) && !is_put_off) {
		install_address_hooks();
		input = make_input(&addr_be);
		ms = wait_for_answer(session_prepare(session, &input));
	}
	if (ms < 0) {
		next_open(unit);
		return;
	}
	is_put_off = true;
	ipcp_protent.lowerdown(unit);
	arm(open_when_answered, ms, ANSWER_POLL_MS);
}

static void on_ipcp_close(int unit, char *reason)
{
	compat_untimeout(open_when_answered);
	is_put_off = false;
	next_close(unit, reason);
}

/* ---- events --------------------------------------------------------------------------------- */

static void deliver(void *arg)
{
	(void)arg;
	if (session != NULL)
		arm(deliver, session_deliver(session), TIMER_MAX_MS);
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
		restore_local_settings();
		restore_peer_address();
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
			take_settings();
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
		restore_peer_address();
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
	take_settings();
	install_address_hooks();
}

void plugin_init(void)
{
	compat_add_options(options);

	next_check_options = ipcp_protent.check_options;
	ipcp_protent.check_options = check_all_options;
	next_open = ipcp_protent.open;
	ipcp_protent.open = on_ipcp_open;
	next_close = ipcp_protent.close;
	ipcp_protent.close = on_ipcp_close;
	next_pap_check = pap_check_hook;
	pap_check_hook = on_pap_check;
	next_chap_check = chap_check_hook;
	chap_check_hook = on_chap_check;

	compat_notify(COMPAT_PHASE, on_phase);
	compat_notify(COMPAT_AUTH_UP, on_auth_up);
	compat_notify(COMPAT_LINK_DOWN, on_link_down);
	compat_notify(COMPAT_IP_UP, on_ip_up);
	compat_notify(COMPAT_EXIT, on_exit_notify);
	compat_notify(COMPAT_SIGNAL, on_signal);
	compat_notify(COMPAT_FORK, on_not_ours);
	compat_notify(COMPAT_PID_CHANGE, on_not_ours);
}
