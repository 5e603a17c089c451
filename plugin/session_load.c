/* SPDX-License-Identifier: MIT */
/*
 * session_load.c - what outlives single sessions: the configuration, the pool that is a view of it,
 * and the modules.
 *
 * All of it is loaded once, before pppd detaches. Where `persist` lets one session follow another,
 * the configuration and the pool are replaced before the next one begins; the modules stay.
 */
#include "session_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_complaint(void *context, const char *text)
{
	session_complain(context, text);
}

/* Takes `config` over on success only. */
static int use_config(struct session *session, struct config *config)
{
	const struct pool_env env = { .observe = session_observe, .context = session };
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

bool session_is_unknown_pool(const struct config *config, const char *name)
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
	if (session_is_unknown_pool(config, pool_name)) {
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

/* pppd goes to the root directory when it detaches, and `persist` reads the file again: by its name, as
 * a link on the way may lead elsewhere by then. NULL: no memory. */
static char *absolute_path(const char *path)
{
	char directory[PATH_MAX];
	char *absolute;

	/* Where the directory has no name any more, loading says what is wrong. */
	if (path[0] == '/' || getcwd(directory, sizeof(directory)) == NULL)
		return strdup(path);
	return asprintf(&absolute, "%s/%s", directory, path) < 0 ? NULL : absolute;
}

void session_free(struct session **session)
{
	struct session *s = *session;

	builtin_bind(NULL);
	pool_lease_abandon(&s->lease);
	session_drop_local(s);
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
	session->config_path = absolute_path(setup->config_path);
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

void session_reload(struct session *session)
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
