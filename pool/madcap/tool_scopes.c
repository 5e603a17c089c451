/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap_tool.h"
#include "utf8.h"

#define NAME_SIZE (255 * 4 + 1)

/* A server's text. */
static const char *clean(const char *text, char buf[NAME_SIZE])
{
	return utf8_show(text, buf, NAME_SIZE);
}

static json_t *names_json(const struct madcap_scope *scope)
{
	json_t *array = json_array();
	char buf[NAME_SIZE];

	for (size_t i = 0; i < madcap_scope_names(scope); i++) {
		json_t *name = json_object();

		json_object_set_new(name, "lang",
				    json_string(clean(madcap_scope_name_language(scope, i), buf)));
		json_object_set_new(name, "name",
				    json_string(clean(madcap_scope_name(scope, i), buf)));
		json_array_append_new(array, name);
	}
	return array;
}

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

static int print_json(const struct madcap_scopes *scopes)
{
	json_t *array = json_array();
	char buf[NAME_SIZE], *text;

	for (size_t i = 0; i < madcap_scopes_count(scopes); i++) {
		const struct madcap_scope *scope = madcap_scopes_at(scopes, i);
		json_t *object = json_object();

		json_object_set_new(object, "scope", json_string(madcap_scope_id(scope)));
		json_object_set_new(object, "last", json_string(madcap_scope_last(scope)));
		json_object_set_new(object, "ttl", json_integer(madcap_scope_ttl(scope)));
		json_object_set_new(object, "name",
				    text_or_null(clean(madcap_scope_description(scope), buf)));
		json_object_set_new(object, "names", names_json(scope));
		json_object_set_new(object, "server", text_or_null(madcap_scope_server(scope)));
		json_object_set_new(object, "interface",
				    text_or_null(madcap_scope_interface(scope)));
		json_array_append_new(array, object);
	}
	text = json_dumps(array, JSON_INDENT(2));
	json_decref(array);
	if (text == NULL)
		return tool_fail("out of memory");
	puts(text);
	free(text);
	return EXIT_DONE;
}

static void measure(const struct madcap_scopes *scopes, int width[3])
{
	static const char *const titles[] = { "SCOPE", "LAST", "SERVER" };

	for (size_t i = 0; i < 3; i++)
		width[i] = (int)strlen(titles[i]);
	for (size_t i = 0; i < madcap_scopes_count(scopes); i++) {
		const struct madcap_scope *scope = madcap_scopes_at(scopes, i);
		const char *cells[] = { madcap_scope_id(scope), madcap_scope_last(scope),
					madcap_scope_server(scope) };

		for (size_t j = 0; j < 3; j++)
			if ((int)strlen(cells[j]) > width[j])
				width[j] = (int)strlen(cells[j]);
	}
}

static int print_table(const struct madcap_scopes *scopes)
{
	char buf[NAME_SIZE];
	int width[3];

	measure(scopes, width);
	printf("%-*s  %-*s  TTL  %-*s  NAME\n", width[0], "SCOPE", width[1], "LAST", width[2],
	       "SERVER");
	for (size_t i = 0; i < madcap_scopes_count(scopes); i++) {
		const struct madcap_scope *scope = madcap_scopes_at(scopes, i);
		const char *server = madcap_scope_server(scope);

		printf("%-*s  %-*s  %3u  %-*s  %s\n", width[0], madcap_scope_id(scope), width[1],
		       madcap_scope_last(scope), madcap_scope_ttl(scope), width[2],
		       server[0] != '\0' ? server : "-",
		       clean(madcap_scope_description(scope), buf));
	}
	return EXIT_DONE;
}

static int run(const struct tool_call *call)
{
	struct madcap_scopes *scopes = NULL;
	struct madcap *m = NULL;
	int status = tool_open(call, &m), code;

	if (status != 0)
		return status;
	code = madcap_scopes_get(m, &scopes);
	if (code != 0)
		status = tool_explain(call, m, code);
	else
		status = tool_has(call, TOOL_JSON) ? print_json(scopes) : print_table(scopes);
	madcap_scopes_free(&scopes);
	madcap_free(&m);
	return status;
}

const struct tool_verb tool_scopes = {
	.name = "scopes",
	.brief = "lists the scopes that servers have",
	.text = "Asks the first server that answers, or all that can be found by multicast.\n",
	.options = TOOL_ASKING | TOOL_FINDING | TOOL_BIT(TOOL_LANG) | TOOL_BIT(TOOL_IPV6) |
		   TOOL_BIT(TOOL_JSON),
	.run = run,
};
