/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define DEV "/dev/"

static void print_question(const struct pool_request *request)
{
	char user[TEXT_SIZE], port[TEXT_SIZE], address[IP4_TEXT_SIZE];

	if (request->user[0] == '\0')
		printf("A user who has not authenticated");
	else
		printf("User \"%s\"", text_utf8(request->user, true, user, sizeof(user)));
	if (request->port[0] != '\0')
		printf(" on port \"%s\"", text_utf8(request->port, true, port, sizeof(port)));
	if (request->candidate_be != 0)
		printf(", with %s from pppd", format_ip4(ntohl(request->candidate_be), address));
	printf(":\n");
}

static void print_rule(const struct config *config, const struct pool_request *request,
		       const struct config_rule *rule)
{
	char text[2 * TEXT_SIZE + 256], name[TEXT_SIZE], path[4096];

	text_utf8(config->path, true, path, sizeof(path));
	if (rule != NULL && rule->line == 0)
		printf("  %s has no assign rules: the first pool serves everybody\n", path);
	else if (rule != NULL)
		printf("  %s\n", rule_sentence(config, rule, text, sizeof(text)));
	else if (request->user[0] == '\0' && !config->anonymous_allow)
		return; /* it never comes to the rules */
	else if (request->candidate_be != 0 && !config->candidate_replace)
		printf("  candidate is keep in %s: pppd's own address goes before rules and "
		       "pools\n",
		       path);
	else if (request->pool_name != NULL)
		printf("  rasip-pool %s takes the place of the assign rules\n",
		       text_utf8(request->pool_name, true, name, sizeof(name)));
	else
		printf("  no rule of %s matches\n", path);
}

static bool is_builtin(const struct config_module *module)
{
	return strcmp(module->path, CONFIG_BUILTIN) == 0;
}

/* A session asks all modules whether they accept it, and the first one that can for an address. */
static void print_unasked(const struct config *config)
{
	char name[TEXT_SIZE];
	size_t n_others = 0, n = 0;

	for (size_t i = 0; i < config->n_modules; i++)
		n_others += !is_builtin(&config->modules[i]);
	if (n_others == 0)
		return;
	printf("Not asked here, and may decide otherwise: module%s", plural_s(n_others));
	for (size_t i = 0; i < config->n_modules; i++)
		if (!is_builtin(&config->modules[i]))
			printf("%s \"%s\"", n++ > 0 ? "," : "",
			       text_utf8(config->modules[i].name, true, name, sizeof(name)));
	printf(".\n");
	/* It is listed once at most. */
	if (n_others == config->n_modules)
		printf("No session asks the pools: \"" CONFIG_BUILTIN
		       "\" is not among the modules.\n");
}

static void print_sentences(const struct config *config, const struct pool_request *request,
			    const struct pool_explanation *explanation)
{
	char text[4 * sizeof(explanation->why.text)], address[IP4_TEXT_SIZE];

	print_question(request);
	print_rule(config, request, explanation->rule);
	for (size_t i = 0; i < explanation->n_steps; i++)
		printf("  pool %s: %s\n", explanation->steps[i].config->name,
		       text_utf8(explanation->steps[i].text, true, text, sizeof(text)));
	if (explanation->code < 0) {
		printf("Refused: %s\n", text_utf8(explanation->why.text, true, text, sizeof(text)));
		return;
	}
	if (explanation->addr_be == 0) {
		printf("Gets an address from pool %s if its servers have one for this machine: "
		       "they "
		       "are not asked here\n",
		       explanation->config->name);
		return;
	}
	printf("Gets %s", format_ip4(ntohl(explanation->addr_be), address));
	if (explanation->config != NULL)
		printf(" from pool %s", explanation->config->name);
	printf(": %s\n", how_sentence(explanation->how));
}

static json_t *explanation_json(const struct config *config, const struct pool_request *request,
				const struct pool_explanation *explanation)
{
	bool given = explanation->code == 0;
	bool open = given && explanation->addr_be == 0;
	json_t *object = json_object();
	json_t *steps = json_array();
	json_t *unasked = json_array();

	for (size_t i = 0; i < config->n_modules; i++)
		if (!is_builtin(&config->modules[i]))
			json_append(unasked, json_text(config->modules[i].name));
	for (size_t i = 0; i < explanation->n_steps; i++) {
		json_t *step = json_object();

		json_put(step, "pool", json_text(explanation->steps[i].config->name));
		json_put(step, "text", json_text(explanation->steps[i].text));
		json_append(steps, step);
	}
	json_put(object, "user", json_text(request->user));
	json_put(object, "port", json_text_or_null(request->port));
	json_put(object, "rule",
		 explanation->rule ? rule_json(config, explanation->rule) : json_null());
	json_put(object, "steps", steps);
	json_put(object, "result", json_text(open ? "asked" : given ? "given" : "refused"));
	json_put(object, "address", json_address(given ? explanation->addr_be : 0));
	json_put(object, "how",
		 given && !open ? json_text(pool_how_name(explanation->how)) : json_null());
	json_put(object, "pool",
		 given && explanation->config ? json_text(explanation->config->name) : json_null());
	json_put(object, "why", given ? json_null() : json_text(explanation->why.text));
	json_put(object, "unasked", unasked);
	return object;
}

static int read_request(const struct invocation *invocation, struct pool_request *request)
{
	const char *port = invocation->option[OPTION_PORT];

	/* A device's name as it is written elsewhere: no port has that in front. */
	if (port != NULL && strncmp(port, DEV, strlen(DEV)) == 0)
		port += strlen(DEV);
	*request = (struct pool_request){
		.user = invocation->option[OPTION_USER],
		.port = port != NULL ? port : "",
		.pool_name = invocation->option[OPTION_POOL],
	};
	return option_address(invocation, OPTION_CANDIDATE, &request->candidate_be);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

/* Before the first session there is no store, and to explain must not make it: a decision in an
 * empty one elsewhere is the same, for what is remembered from before a reboot is in state_dir. */
static int explain_elsewhere(const struct view *view, const struct pool_request *request,
			     struct pool_explanation *ret, struct error *why)
{
	char *runtime_dir = view->config->runtime_dir;
	char scratch[] = "/tmp/rasip-explain-XXXXXX";
	int code;

	if (mkdtemp(scratch) == NULL) {
		error_set_errno(why, errno, "cannot make a directory in /tmp");
		return POOL_E_SYSTEM;
	}
	view->config->runtime_dir = scratch;
	code = pool_explain(view->pool, request, ret, why);
	pool_rest(view->pool);
	view->config->runtime_dir = runtime_dir;
	nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return code;
}

static int explain(const struct view *view, const struct pool_request *request,
		   struct pool_explanation *ret, struct error *why)
{
	struct pool_filter filter = { .addr_be = htonl(INADDR_LOOPBACK) };
	struct kept_list list = { 0 };
	bool unused = false;
	int code = kept_walk(&list, view->pool, &filter, &unused, why);

	kept_done(&list);
	if (code < 0)
		return code;
	if (unused)
		return explain_elsewhere(view, request, ret, why);
	code = pool_explain(view->pool, request, ret, why);
	pool_rest(view->pool);
	return code;
}

static int check_pool_name(const struct view *view, const char *name)
{
	if (name == NULL || config_find_pool(view->config, name) != CONFIG_NO_POOL)
		return 0;
	return complain_no_pool(view->config, name);
}

static int run(const struct invocation *invocation)
{
	struct pool_explanation explanation = { 0 };
	struct pool_request request;
	struct error why = { "" };
	struct view view;
	int status = read_request(invocation, &request);

	if (status == 0)
		status = view_open(&view, invocation, NULL);
	if (status != 0)
		return status;
	status = check_pool_name(&view, request.pool_name);
	if (status == 0 && explain(&view, &request, &explanation, &why) < 0)
		status = complain("%s", why.text);
	if (status == 0 && explanation.code < 0 && explanation.code != POOL_E_REFUSED &&
	    explanation.code != POOL_E_NOT_FOUND)
		status = complain("%s", explanation.why.text);
	if (status == 0 && invocation->json) {
		json_print(explanation_json(view.config, &request, &explanation));
	} else if (status == 0) {
		print_sentences(view.config, &request, &explanation);
		print_unasked(view.config);
	}
	view_close(&view);
	return status;
}

static const struct verb_option options[] = {
	{ OPTION_USER, "user", "NAME", "whom it is about; '' is one who has not authenticated",
	  true },
	{ OPTION_PORT, "port", "PORT", "the device without /dev/, or the interface", false },
	{ OPTION_POOL, "pool", "NAME", "as if pppd had the option rasip-pool NAME", false },
	{ OPTION_CANDIDATE, "candidate", "ADDRESS", "as if pppd had this address already", false },
	{ 0 },
};

const struct verb verb_explain = {
	.name = "explain",
	.brief = "which address a user would get now, and why",
	.text = "Takes the same decision as for a session, at this moment, and undoes it:\n"
		"nothing is changed. The exit status is 0 also where the user would be refused;\n"
		"in JSON, result is \"given\", \"refused\" or, where MADCAP servers would be\n"
		"asked, \"asked\". Neither they nor other modules than the built-in pool are\n"
		"asked here.\n",
	.options = options,
	.json = true,
	.run = run,
};
