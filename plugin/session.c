/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "builtin.h"
#include "line.h"
#include "parse.h"
#include "pool.h"

#define USER_SHOWN_MAX 400 /* bytes of a user name on a line: leaves room for the reason */

enum state { STATE_IDLE, STATE_OPENED, STATE_LIVE, STATE_REFUSED };

struct session {
	const struct session_ops *ops;
	void *context;
	char *config_path;

	struct config *config;
	struct pool *pool;
	struct admin *admin;
	struct builtin_binding binding;

	enum state state;
	int open_code;      /* STATE_OPENED: 0, or why there will be no address */
	bool is_preparing;  /* STATE_OPENED: servers are being asked */
	unsigned int count; /* sessions begun in this process */
	char user[POOL_USER_MAX + 1];
	char port[POOL_PORT_MAX + 1];
	char pool_name[CONFIG_POOL_NAME_MAX + 1]; /* rasip-pool, as it was when the session began */
	struct pool_request request;
	struct pool_lease lease;
	struct error why; /* of the step under way */
	bool accepted;    /* so a hang-up is owed */
	bool notify;      /* so a release is owed */
	uint32_t configured_be;
	uint32_t answered_be;
	uint32_t local_be; /* what local_fd holds, 0: nothing */
	int local_fd;

	pid_t pid;
	bool busy;
	bool abandoned;
	volatile sig_atomic_t fatal;
};

/* ---- log lines ------------------------------------------------------------------------------ */

static void log_line(const struct session *session, enum session_level level,
		     const struct line *line)
{
	session->ops->log(session->context, level, line->text);
}

static void log_reason(const struct session *session, enum session_level level, const char *event,
		       const char *reason)
{
	struct line line;

	line_start(&line, event);
	line_quoted(&line, "reason", reason, LINE_SIZE);
	log_line(session, level, &line);
}

void session_complain(const struct session *session, const char *text)
{
	log_reason(session, SESSION_WARNING, "warning", text);
}

static void add_lease(struct line *line, const struct pool_event *event)
{
	line_address(line, "address", event->addr_be);
	line_word(line, "pool", event->pool);
	line_quoted(line, "user", event->user, USER_SHOWN_MAX);
	line_word(line, "port", event->port);
	if (event->module[0] != '\0')
		line_quoted(line, "module", event->module, USER_SHOWN_MAX);
}

static void log_event(const struct session *session, const struct pool_event *event)
{
	struct line line;

	switch (event->kind) {
	case POOL_EVENT_GRANT:
		line_start(&line, "grant");
		add_lease(&line, event);
		line_word(&line, "how", pool_how_name(event->how));
		break;
	case POOL_EVENT_RELEASE:
		line_start(&line, "release");
		add_lease(&line, event);
		break;
	case POOL_EVENT_RECLAIM:
		line_start(&line, "reclaim");
		add_lease(&line, event);
		line_number(&line, "pid", event->pid);
		break;
	case POOL_EVENT_CONFLICT:
		line_start(&line, "conflict");
		line_address(&line, "address", event->addr_be);
		line_word(&line, "pool", event->pool);
		line_quoted(&line, "reason", event->text, LINE_SIZE);
		break;
	case POOL_EVENT_ALARM_ON:
	case POOL_EVENT_ALARM_OFF:
		line_start(&line, "alarm");
		line_word(&line, "pool", event->pool);
		line_word(&line, "state", event->kind == POOL_EVENT_ALARM_ON ? "on" : "off");
		line_quoted(&line, "reason", event->text, LINE_SIZE);
		break;
	case POOL_EVENT_WARNING:
		session_complain(session, event->text);
		return;
	case POOL_EVENT_REFUSAL: /* the session says it itself, with whatever else refuses */
	default:
		return;
	}
	log_line(session, SESSION_NOTICE, &line);
}

/* RA-54: a process that was killed could not tell the module; whoever reclaims its lease does. */
static void release_for_the_dead(struct session *session, const struct pool_event *event)
{
	struct line line;

	if (admin_release_for(session->admin, event->module, event->user, event->port,
			      event->addr_be))
		return;
	line_start(&line, "warning");
	line_quoted(&line, "module", event->module, USER_SHOWN_MAX);
	line_address(&line, "address", event->addr_be);
	line_quoted(&line, "reason", "module not loaded, cannot be told of the release", LINE_SIZE);
	log_line(session, SESSION_WARNING, &line);
}

static void on_pool_event(void *context, const struct pool_event *event)
{
	struct session *session = context;

	log_event(session, event);
	if (event->kind == POOL_EVENT_RECLAIM && event->notify && event->module[0] != '\0')
		release_for_the_dead(session, event);
}

static void on_complaint(void *context, const char *text)
{
	session_complain(context, text);
}

/* ---- loading -------------------------------------------------------------------------------- */

/* Takes `config` over on success only. */
static int use_config(struct session *session, struct config *config)
{
	const struct pool_env env = { .observe = on_pool_event, .context = session };
	struct pool *pool;
	int code = pool_open(&pool, config, &env);

	if (code < 0)
		return code;
	pool_close(&session->pool);
	config_free(&session->config);
	session->pool = pool;
	session->config = config;
	session->binding.pool = pool;
	return 0;
}

static int add_error(struct config_errors *errors, const char *text)
{
	char **lines = realloc(errors->lines, (errors->n + 1) * sizeof(*lines));

	if (lines == NULL)
		return POOL_E_NO_MEMORY;
	errors->lines = lines;
	lines[errors->n] = strdup(text);
	if (lines[errors->n] == NULL)
		return POOL_E_NO_MEMORY;
	errors->n++;
	return POOL_E_CONFIG;
}

static bool is_unknown_pool(const struct config *config, const char *name)
{
	return name != NULL && config_find_pool(config, name) == CONFIG_NO_POOL;
}

static int load_first_config(struct session *session, const char *pool_name,
			     struct config_errors *errors)
{
	struct config *config = NULL;
	struct error why = { "" };
	int code = config_load(session->config_path, &config, errors);

	if (code < 0)
		return code;
	if (is_unknown_pool(config, pool_name)) {
		error_set(&why, "rasip-pool %s: %s has no such pool", pool_name,
			  session->config_path);
		config_free(&config);
		return add_error(errors, why.text);
	}
	code = use_config(session, config);
	if (code < 0)
		config_free(&config);
	return code;
}

static int load_modules(struct session *session, struct config_errors *errors)
{
	struct error why = { "" };
	int code;

	builtin_bind(&session->binding);
	session->busy = true;
	code = admin_load(&session->admin, session->config, &why);
	session->busy = false;
	return code == POOL_E_CONFIG ? add_error(errors, why.text) : code;
}

/* As pppd goes down: nobody is called. */
static void session_free(struct session **session)
{
	struct session *s = *session;

	builtin_bind(NULL);
	pool_lease_abandon(&s->lease);
	if (s->local_fd >= 0)
		close(s->local_fd);
	pool_close(&s->pool);
	config_free(&s->config);
	free(s->config_path);
	free(s);
	*session = NULL;
}

int session_load(struct session **ret, const struct session_setup *setup,
		 struct config_errors *errors)
{
	struct session *session = calloc(1, sizeof(*session));
	int code;

	if (session == NULL)
		return POOL_E_NO_MEMORY;
	session->ops = setup->ops;
	session->context = setup->context;
	session->lease = POOL_LEASE_NONE;
	session->local_fd = -1;
	session->pid = getpid();
	session->binding = (struct builtin_binding){ .request = &session->request,
						     .lease = &session->lease,
						     .why = &session->why,
						     .complain = on_complaint,
						     .context = session };
	/* pppd goes to the root directory when it detaches, and `persist` reads the file again. */
	session->config_path = realpath(setup->config_path, NULL);
	if (session->config_path == NULL)
		session->config_path = strdup(setup->config_path); /* loading says what is wrong */
	code = session->config_path == NULL ? POOL_E_NO_MEMORY
					    : load_first_config(session, setup->pool_name, errors);
	if (code == 0)
		code = load_modules(session, errors);
	if (code < 0) {
		session_free(&session);
		return code;
	}
	*ret = session;
	return 0;
}

/* `persist`: a later session gets the configuration of its time, if that loads. */
static void reload_config(struct session *session)
{
	struct config_errors errors = { 0 };
	struct config *config = NULL;
	int code = config_load(session->config_path, &config, &errors);

	if (code == 0)
		code = use_config(session, config);
	if (code < 0) {
		config_free(&config);
		for (size_t i = 0; i < errors.n; i++)
			session_complain(session, errors.lines[i]);
		session_complain(session, "the configuration of the last session stays in use");
	}
	config_errors_done(&errors);
}

/* ---- for ip-up and ip-down ------------------------------------------------------------------- */

static void clear_env(struct session *session)
{
	static const char *const names[] = { "RASIP_POOL", "RASIP_ADDRESS", "RASIP_GROUP",
					     "RASIP_SERVER", "RASIP_LEASE_END" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		session->ops->set_env(session->context, names[i], NULL);
}

static void set_lease_end(struct session *session)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld", (long long)session->lease.end_sec);
	session->ops->set_env(session->context, "RASIP_LEASE_END", seconds);
}

static void set_env(struct session *session)
{
	const struct pool_lease *lease = &session->lease;
	const struct session_ops *ops = session->ops;
	char shown[IP4_TEXT_SIZE];

	ops->set_env(session->context, "RASIP_POOL", lease->pool);
	ops->set_env(session->context, "RASIP_ADDRESS", format_ip4(ntohl(lease->addr_be), shown));
	if (lease->group_be != 0)
		ops->set_env(session->context, "RASIP_GROUP",
			     format_ip4(ntohl(lease->group_be), shown));
	if (lease->server[0] == '\0')
		return;
	ops->set_env(session->context, "RASIP_SERVER", lease->server);
	set_lease_end(session);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void drop_local(struct session *session)
{
	if (session->local_fd >= 0)
		close(session->local_fd);
	session->local_fd = -1;
	session->local_be = 0;
}

/*
 * Module first, registry second (RA-50: the address may be given again only after release), and
 * both under the modules' lock, so that no other process is given the address by the module and
 * finds it still recorded.
 */
static void release_address(struct session *session)
{
	const uint32_t addr_be = session->lease.addr_be;
	const bool foreign = session->notify && admin_foreign_name(session->admin) != NULL;
	struct error why = { "" };

	/* Release cannot be refused: without the lock it goes on all the same. */
	if (foreign && admin_enter(session->admin, session->config->runtime_dir, &why) < 0)
		session_complain(session, why.text);
	/* Never twice, whatever happens inside, and whoever finds the lease if we are killed here. */
	if (foreign && pool_lease_told(session->pool, &session->lease, &why) < 0) {
		session_complain(session, why.text);
		session->notify = false; /* whoever takes the lease back tells the module */
	}
	if (session->notify) {
		session->notify = false;
		admin_release(session->admin, session->user, session->port, addr_be);
	}
	why.text[0] = '\0';
	if (pool_release(session->pool, &session->lease, &why) < 0)
		session_complain(session, why.text);
	admin_leave(session->admin);
	/* Nobody else has to wait for a server's answer. */
	pool_settle(session->pool);
	pool_rest(session->pool);
}

static void end_session(struct session *session)
{
	if (session->lease.addr_be != 0)
		release_address(session);
	if (session->state == STATE_OPENED) {
		pool_unprepare(session->pool);
		pool_rest(session->pool);
	}
	drop_local(session);
	if (session->accepted) {
		session->accepted = false;
		admin_hangup(session->admin, session->user, session->port);
	}
	if (session->answered_be != 0)
		clear_env(session);
	session->answered_be = 0;
	session->is_preparing = false;
	session->state = STATE_IDLE;
}

/* ---- the beginning -------------------------------------------------------------------------- */

/* What has to be true before any module is asked. */
static int check_request(struct session *session, const struct session_input *input)
{
	if (strlen(input->user) > POOL_USER_MAX) {
		error_set(&session->why, "the user name is longer than %d bytes", POOL_USER_MAX);
		return POOL_E_INVALID;
	}
	if (input->user[0] == '\0' && !session->config->anonymous_allow) {
		error_set(&session->why, "anonymous: the peer has not authenticated");
		return POOL_E_REFUSED;
	}
	if (is_unknown_pool(session->config, input->pool_name)) {
		error_set(&session->why, "rasip-pool: there is no pool %s", input->pool_name);
		return POOL_E_NOT_FOUND;
	}
	return 0;
}

/* RA-42, and the registry: nobody else has what a foreign module or pppd itself came up with. */
static int record(struct session *session, uint32_t addr_be, const char *module, bool notify)
{
	const struct pool_choice choice = { .addr_be = addr_be,
					    .module = module,
					    .notify = notify };
	int code = admin_check_address(addr_be, &session->why);

	if (code < 0)
		return code;
	return pool_record(session->pool, &session->request, &choice, &session->lease,
			   &session->why);
}

/* RA-10 */
static int take_candidate(struct session *session)
{
	if (session->request.candidate_be == 0) {
		error_set(&session->why, "no module chooses addresses, and pppd has none");
		return POOL_E_REFUSED;
	}
	return record(session, session->request.candidate_be, "", false);
}

/*
 * RA-54: the dead of modules first, whoever chooses now; what they had, somebody may well want to
 * give. Not found: no session yet since the machine started. If the store is broken, the next to
 * use it will say so.
 */
static void reclaim_from_modules(struct session *session)
{
	int code = pool_reclaim(session->pool, true, NULL, &session->why);

	if (code < 0 && code != POOL_E_NOT_FOUND)
		session_complain(session, session->why.text);
	session->why.text[0] = '\0';
	pool_rest(session->pool); /* a module may fork */
}

static int ask_builtin(struct session *session)
{
	uint32_t addr_be = session->request.candidate_be;
	int code = 0;

	if (admin_has_release(session->admin))
		code = admin_enter(session->admin, session->config->runtime_dir, &session->why);
	if (code < 0)
		return code;
	reclaim_from_modules(session);
	admin_leave(session->admin);
	code = admin_get(session->admin, session->user, session->port, &addr_be, &session->notify,
			 &session->why);
	if (code < 0)
		return code;
	code = admin_check_address(addr_be, &session->why);
	if (code < 0)
		release_address(session);
	return code;
}

static bool asks_servers(const struct session *session, uint32_t addr_be)
{
	size_t pool = config_pool_of(session->config, ntohl(addr_be));

	return pool != CONFIG_NO_POOL && config_asks_servers(&session->config->pools[pool]);
}

/* Inside the modules' lock. */
static int ask_locked(struct session *session, const char *module)
{
	uint32_t addr_be = session->request.candidate_be;
	struct error ignored = { "" };
	bool notify = false;
	int code;

	reclaim_from_modules(session);
	code = admin_get(session->admin, session->user, session->port, &addr_be, &notify,
			 &session->why);
	if (code < 0)
		return code;
	/* Servers may take their time, which is not to be everybody's. */
	if (asks_servers(session, addr_be)) {
		admin_leave(session->admin);
		code = record(session, addr_be, module, notify);
		if (admin_enter(session->admin, session->config->runtime_dir, &ignored) < 0)
			session_complain(session, ignored.text);
	} else {
		code = record(session, addr_be, module, notify);
	}
	if (code < 0) {
		/* RA-32: with 0 there is no address to be released. */
		if (notify && addr_be != 0)
			admin_release(session->admin, session->user, session->port, addr_be);
		return code;
	}
	session->notify = notify;
	return 0;
}

static int ask_foreign(struct session *session, const char *module)
{
	int code = admin_enter(session->admin, session->config->runtime_dir, &session->why);

	if (code < 0)
		return code;
	code = ask_locked(session, module);
	admin_leave(session->admin);
	return code;
}

static int get_address(struct session *session)
{
	const char *module = admin_foreign_name(session->admin);
	int code;

	if (!admin_has_pair(session->admin))
		code = take_candidate(session);
	else if (module != NULL)
		code = ask_foreign(session, module);
	else
		code = ask_builtin(session);
	if (code < 0 && session->why.text[0] == '\0')
		error_set(&session->why, "%s", pool_strerror(code));
	return code;
}

/* Our end of the link: the pool's, or else what pppd has. */
static uint32_t wanted_local(const struct session *session)
{
	const struct config_pool *pool =
		pool_lease_config(session->pool, &session->lease, session->request.pool_name);

	return pool != NULL && pool->local != 0 ? htonl(pool->local) : session->request.local_be;
}

/* Puts our own end into the registry, so that no peer is given it as long as we have it. */
static int hold_local(struct session *session, uint32_t local_be)
{
	int fd;
	int code;

	if (local_be == 0 || local_be == session->local_be)
		return 0;
	code = pool_hold_local(session->pool, local_be, &fd, &session->why);
	if (code < 0)
		return code;
	drop_local(session);
	session->local_fd = fd;
	session->local_be = local_be;
	return 0;
}

static void take_input(struct session *session, const struct session_input *input)
{
	snprintf(session->user, sizeof(session->user), "%s", input->user);
	snprintf(session->port, sizeof(session->port), "%s", input->port);
	session->request = (struct pool_request){ .user = session->user,
						  .port = session->port,
						  .candidate_be = input->candidate_be,
						  .local_be = input->local_be };
	if (input->pool_name == NULL)
		return;
	/* pppd may free the option while the session goes on. */
	snprintf(session->pool_name, sizeof(session->pool_name), "%s", input->pool_name);
	session->request.pool_name = session->pool_name;
}

static bool is_same_input(const struct session *session, const struct session_input *input)
{
	const struct pool_request *request = &session->request;
	const char *name = request->pool_name;

	if (input->pool_name == NULL ? name != NULL
				     : name == NULL || strcmp(name, input->pool_name) != 0)
		return false;
	return strcmp(session->user, input->user) == 0 &&
	       request->candidate_be == input->candidate_be && request->local_be == input->local_be;
}

/* Up to the question for an address: a connection that is not accepted gets none (RA-15). */
static void open_session(struct session *session, const struct session_input *input)
{
	if (session->count++ > 0)
		reload_config(session);
	session->why.text[0] = '\0';
	take_input(session, input);
	session->state = STATE_OPENED;
	session->open_code = check_request(session, input);
	if (session->open_code < 0)
		return;
	session->accepted =
		admin_accept(session->admin, session->user, session->port, &session->why);
	if (!session->accepted)
		session->open_code = POOL_E_REFUSED;
}

/* What was opened for one question, and is now asked another one. */
static void change_input(struct session *session, const struct session_input *input)
{
	pool_unprepare(session->pool);
	session->is_preparing = false;
	take_input(session, input);
	if (session->open_code == 0)
		session->open_code = check_request(session, input);
}

static int finish_session(struct session *session)
{
	int code = session->open_code;

	session->is_preparing = false;
	if (code == 0)
		code = get_address(session);
	return code < 0 ? code : hold_local(session, wanted_local(session));
}

static void refuse(struct session *session)
{
	struct line line;

	/* The address goes back at once; the hang-up is owed until the link has gone. */
	if (session->lease.addr_be != 0)
		release_address(session);
	pool_unprepare(session->pool);
	session->state = STATE_REFUSED;
	line_start(&line, "refuse");
	line_quoted(&line, "user", session->user, USER_SHOWN_MAX);
	line_word(&line, "port", session->port);
	line_quoted(&line, "reason", session->why.text, LINE_SIZE);
	log_line(session, SESSION_ERROR, &line);
	session->ops->close_link(session->context);
}

/* Also when the same session asks again: pppd starts each negotiation from its own values. */
static void configure_link(struct session *session)
{
	const struct config_pool *pool =
		pool_lease_config(session->pool, &session->lease, session->request.pool_name);
	struct session_link link = { 0 };

	if (pool != NULL) {
		link.local_be = htonl(pool->local);
		link.n_dns = pool->n_dns;
		link.n_wins = pool->n_wins;
		for (size_t i = 0; i < 2; i++) {
			link.dns_be[i] = htonl(pool->dns[i]);
			link.wins_be[i] = htonl(pool->wins[i]);
		}
	}
	session->ops->configure_link(session->context, &link);
}

/* What stands behind an address that a server gave. */
static void log_server(const struct session *session)
{
	const struct pool_lease *lease = &session->lease;
	char until[TIME_TEXT_SIZE];
	struct line line;

	line_start(&line, "lease");
	line_address(&line, "address", lease->addr_be);
	line_address(&line, "group", lease->group_be);
	line_word(&line, "server", lease->server);
	line_word(&line, "until", format_time(lease->end_sec, until));
	log_line(session, SESSION_NOTICE, &line);
}

static void start_session(struct session *session)
{
	if (finish_session(session) < 0) {
		refuse(session);
		pool_rest(session->pool);
		return;
	}
	pool_rest(session->pool);
	session->state = STATE_LIVE;
	session->pid = getpid();
	session->answered_be = session->lease.addr_be;
	set_env(session);
	if (session->lease.server[0] != '\0')
		log_server(session);
}

/* ---- events --------------------------------------------------------------------------------- */

uint32_t session_candidate(struct session *session, uint32_t address_be)
{
	if (session->answered_be != 0 && address_be == session->answered_be)
		return session->configured_be;
	if (session->state == STATE_IDLE)
		session->configured_be = address_be;
	return address_be;
}

/* Another user is another session; the same user's question may have become another one. */
static void get_ready(struct session *session, const struct session_input *input)
{
	bool is_open = session->state == STATE_LIVE || session->state == STATE_OPENED;

	if (is_open && strcmp(session->user, input->user) != 0)
		end_session(session);
	if (session->state == STATE_IDLE)
		open_session(session, input);
	else if (session->state == STATE_OPENED && !is_same_input(session, input))
		change_input(session, input);
}

/* The built-in pool alone can be asked in advance. */
static int64_t go_on_preparing(struct session *session)
{
	int64_t wait_ms;

	session->is_preparing =
		session->open_code == 0 && admin_has_pair(session->admin) &&
		admin_foreign_name(session->admin) == NULL &&
		pool_prepare(session->pool, &session->request, &wait_ms) == POOL_WAIT;
	pool_rest(session->pool);
	return session->is_preparing ? wait_ms : -1;
}

bool session_needs_preparing(const struct session *session)
{
	return !session->abandoned && !session->fatal && !session->busy &&
	       config_has_servers(session->config);
}

int64_t session_prepare(struct session *session, const struct session_input *input)
{
	int64_t wait_ms = -1;

	if (!session_needs_preparing(session))
		return -1;
	session->busy = true;
	get_ready(session, input);
	if (session->state == STATE_OPENED)
		wait_ms = go_on_preparing(session);
	session->busy = false;
	return wait_ms;
}

int64_t session_prepare_step(struct session *session, int64_t wait_ms)
{
	int64_t next_ms = -1;

	if (session->abandoned || session->fatal || session->busy || !session->is_preparing)
		return -1;
	session->busy = true;
	if (wait_ms > 0)
		pool_wait(session->pool, wait_ms);
	next_ms = go_on_preparing(session);
	session->busy = false;
	return next_ms;
}

bool session_choose(struct session *session, const struct session_input *input,
		    uint32_t *ret_addr_be)
{
	if (session->abandoned || session->fatal)
		return false;
	if (session->busy) { /* RA-19 */
		session_complain(session, "a module called back into the plugin");
		return false;
	}
	session->busy = true;
	get_ready(session, input);
	if (session->state == STATE_OPENED)
		start_session(session);
	if (session->state == STATE_LIVE) {
		configure_link(session);
		*ret_addr_be = session->lease.addr_be;
	}
	session->busy = false;
	return session->state == STATE_LIVE;
}

int session_allows(const struct session *session, uint32_t addr_be)
{
	if (session->abandoned)
		return -1;
	if (session->state == STATE_LIVE)
		return addr_be == session->lease.addr_be;
	if (session->state == STATE_REFUSED || session->state == STATE_OPENED || session->busy)
		return 0;
	return -1;
}

static void close_link(struct session *session, const char *reason)
{
	struct line line;

	line_start(&line, "close");
	line_quoted(&line, "user", session->user, USER_SHOWN_MAX);
	line_word(&line, "port", session->port);
	line_quoted(&line, "reason", reason, LINE_SIZE);
	log_line(session, SESSION_ERROR, &line);
	session->ops->close_link(session->context);
}

void session_ip_up(struct session *session, uint32_t peer_be, uint32_t local_be)
{
	struct error why = { "" };

	if (session->abandoned || session->busy)
		return;
	session->busy = true;
	if (session->state != STATE_LIVE || peer_be != session->lease.addr_be) {
		close_link(session, "the peer's address is not the session's");
	} else {
		/* `updetach` has forked since the address was chosen. */
		if (session->pid != getpid()) {
			session->pid = getpid();
			if (pool_lease_adopt(session->pool, &session->lease, &why) < 0)
				session_complain(session, why.text);
		}
		/* Where pppd left our end to the peer, it is known only now. */
		session->why.text[0] = '\0';
		if (hold_local(session, local_be) < 0)
			close_link(session, session->why.text);
		pool_rest(session->pool);
	}
	session->busy = false;
}

int64_t session_keep(struct session *session)
{
	struct error why = { "" };
	int64_t end_sec = session->lease.end_sec;
	int64_t next_ms = INT64_MAX;

	if (session->abandoned || session->fatal || session->busy || session->state != STATE_LIVE)
		return -1;
	session->busy = true;
	if (pool_keep(session->pool, &session->lease, &next_ms, &why) < 0) {
		/* From now on the address is nobody's, least of all this session's (T20). */
		session->state = STATE_REFUSED;
		close_link(session, why.text);
		next_ms = INT64_MAX;
	} else if (session->lease.end_sec != end_sec) {
		set_lease_end(session);
	}
	pool_rest(session->pool);
	session->busy = false;
	return next_ms == INT64_MAX ? -1 : next_ms;
}

int64_t session_deliver(struct session *session)
{
	struct error why = { "" };
	int64_t next_ms = -1;
	int code;

	if (session->abandoned || session->fatal || session->busy || session->state != STATE_LIVE)
		return -1;
	session->busy = true;
	code = pool_deliver(session->pool, &next_ms, &why);
	if (code < 0)
		session_complain(session, why.text);
	pool_rest(session->pool);
	session->busy = false;
	return code == POOL_WAIT ? next_ms : -1;
}

void session_maintain(struct session *session)
{
	struct error why = { "" };

	if (session->abandoned || session->busy)
		return;
	session->busy = true;
	if (pool_maintain(session->pool, &why) < 0)
		session_complain(session, why.text);
	pool_rest(session->pool);
	session->busy = false;
}

void session_end(struct session *session)
{
	if (session->abandoned || session->busy || session->fatal)
		return;
	session->busy = true;
	end_session(session);
	session->busy = false;
}

void session_exit(struct session **session)
{
	struct session *s = *session;

	/*
	 * Inside a call or a signal handler nothing is certain, not even malloc: the kernel drops
	 * the lock, and the next process that looks takes the lease back.
	 */
	if (s == NULL || s->abandoned || s->busy || s->fatal)
		return;
	s->busy = true;
	end_session(s);
	admin_unload(&s->admin);
	session_free(session);
}

void session_abandon(struct session *session)
{
	if (session->abandoned)
		return;
	session->abandoned = true;
	pool_lease_abandon(&session->lease);
	drop_local(session);
	if (session->admin != NULL)
		admin_leave(session->admin);
}

void session_set_fatal(struct session *session)
{
	session->fatal = 1;
}

bool session_is_refused(const struct session *session)
{
	return session->state == STATE_REFUSED;
}

bool session_is_busy(const struct session *session)
{
	return session->busy;
}
