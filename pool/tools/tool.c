/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nearest.h"
#include "parse.h"

static void say(const char *prefix, const char *name, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Messages quote what users, peers and files contain: a control character must not get through. */
static void say(const char *prefix, const char *name, const char *format, va_list args)
{
	char raw[1024], safe[4 * sizeof(raw)];

	vsnprintf(raw, sizeof(raw), format, args);
	text_utf8(raw, true, safe, sizeof(safe));
	fflush(stdout);
	fprintf(stderr, "%s%s: %s\n", prefix, name, safe);
}

int complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("rasip", "", format, args);
	va_end(args);
	return EXIT_FAILED;
}

int complain_usage(const struct verb *verb, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verb ? "rasip " : "rasip", verb ? verb->name : "", format, args);
	va_end(args);
	fprintf(stderr, "Try 'rasip help%s%s'.\n", verb ? " " : "", verb ? verb->name : "");
	return EXIT_USAGE;
}

void complain_config(const struct config_errors *errors)
{
	char line[4096];

	for (size_t i = 0; i < errors->n; i++)
		fprintf(stderr, "%s\n", text_utf8(errors->lines[i], true, line, sizeof(line)));
}

void out_of_memory(void)
{
	complain("out of memory");
	exit(EXIT_FAILED);
}

void *must_alloc(void *ptr, size_t n, size_t size)
{
	ptr = reallocarray(ptr, n > 0 ? n : 1, size);
	if (ptr == NULL)
		out_of_memory();
	return ptr;
}

void *must_grow(void *items, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return items;
	*room = 2 * *room + 64;
	return must_alloc(items, *room, size);
}

char *must_copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(must_alloc(NULL, size, 1), text, size);
}

int view_open(struct view *view, const struct invocation *invocation, const struct pool_env *env)
{
	struct config_errors errors = { 0 };
	int code;

	*view = (struct view){ 0 };
	code = config_load(invocation->config_path, &view->config, &errors);
	if (code == POOL_E_NO_MEMORY)
		out_of_memory();
	if (code < 0) {
		complain_config(&errors);
		config_errors_done(&errors);
		return EXIT_FAILED;
	}
	config_errors_done(&errors);
	if (pool_open(&view->pool, view->config, env) < 0)
		out_of_memory();
	return 0;
}

unsigned int processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

int view_try(struct view *view, const char *config_path, struct error *why)
{
	struct config_errors errors = { 0 };
	int code;

	*view = (struct view){ 0 };
	code = config_load(config_path, &view->config, &errors);
	if (code < 0)
		error_set(why, "%s", errors.n > 0 ? errors.lines[0] : pool_strerror(code));
	config_errors_done(&errors);
	if (code == 0)
		code = pool_open(&view->pool, view->config, NULL);
	return code;
}

void view_close(struct view *view)
{
	pool_close(&view->pool);
	config_free(&view->config);
}

int complain_no_pool(const struct config *config, const char *name)
{
	const char **names = must_alloc(NULL, config->n_pools, sizeof(*names));
	const char *near;

	for (size_t i = 0; i < config->n_pools; i++)
		names[i] = config->pools[i].name;
	near = nearest_word(name, names, config->n_pools);
	free(names);
	if (near != NULL)
		return complain("no pool is called '%s'; did you mean '%s'?", name, near);
	return complain("no pool is called '%s'", name);
}

int option_address(const struct invocation *invocation, enum option_id id, uint32_t *ret_be)
{
	const char *text = invocation->option[id];
	uint32_t addr = 0;

	if (text != NULL && (!parse_ip4(text, &addr) || addr == 0))
		return complain_usage(invocation->verb, "'%s' is not an IPv4 address", text);
	*ret_be = htonl(addr);
	return 0;
}

int option_time(const struct invocation *invocation, enum option_id id, int64_t *ret_sec)
{
	const char *text = invocation->option[id];
	int64_t ago_sec;

	if (text == NULL || parse_time(text, ret_sec))
		return 0;
	if (!parse_duration(text, &ago_sec) || ago_sec == DURATION_FOREVER)
		return complain_usage(
			invocation->verb,
			"'%s' is not a time, as '2026-11-20T09:00:00Z', '@1795165200' "
			"or, so long ago, '2h'",
			text);
	*ret_sec = (int64_t)time(NULL) - ago_sec;
	return 0;
}
