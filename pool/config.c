/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "config_draft.h"

#define DEFAULT_RUNTIME_DIR "/run/rasip"
#define DEFAULT_STATE_DIR "/var/lib/rasip"

/* ---- assign ------------------------------------------------------------------------------ */

/* A rule while it is read. */
struct rule_draft {
	struct config_rule *rule;
	const config_setting_t *pool;
	const config_setting_t *address;
};

static void read_rule_user(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct rule_draft *draft = object;
	const char *value;

	if (loader_string(loader, setting, "*@corp.example", &value))
		loader_copy(loader, value, &draft->rule->user);
}

static void read_rule_port(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct rule_draft *draft = object;
	char quoted[QUOTE_SIZE], without[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "ttyS*", &value))
		return;
	if (strncmp(value, "/dev/", 5) == 0)
		loader_report(loader, setting,
			      "port: %s matches nothing: ports have no /dev/, write %s",
			      loader_quote(value, quoted), loader_quote(value + 5, without));
	else
		loader_copy(loader, value, &draft->rule->port);
}

static void read_rule_pool(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct rule_draft *draft = object;
	const char *value;

	draft->pool = setting;
	if (!loader_string(loader, setting, "residential", &value))
		return;
	draft->rule->pool = config_find_pool(config_draft_of(loader)->config, value);
	if (draft->rule->pool == CONFIG_NO_POOL)
		config_report_no_pool(loader, setting, value);
}

static void read_rule_address(struct config_loader *loader, const config_setting_t *setting,
			      void *object)
{
	struct rule_draft *draft = object;
	const char *value;

	draft->address = setting;
	if (loader_string(loader, setting, "10.64.7.7", &value) &&
	    config_host_address(loader, setting, value, &draft->rule->addr))
		draft->rule->is_reservation = true;
}

static void read_rule(struct config_loader *loader, const config_setting_t *setting, size_t index)
{
	static const struct config_key keys[] = {
		{ "user", read_rule_user },
		{ "port", read_rule_port },
		{ "pool", read_rule_pool },
		{ "address", read_rule_address },
	};
	struct config_draft *whole = config_draft_of(loader);
	struct config_rule *rule = &whole->config->rules[index];
	struct rule_draft draft = { .rule = rule };

	*rule = (struct config_rule){ .pool = CONFIG_NO_POOL,
				      .file = loader_file(loader, setting),
				      .line = loader_line(loader, setting) };
	if (!loader_group(loader, setting, keys, ARRAY_SIZE(keys), &draft))
		return;
	whole->rule_address[index] = draft.address;
	if (draft.pool == NULL && draft.address == NULL)
		loader_report(loader, setting,
			      "this rule needs pool = \"...\" or address = \"...\"");
	if (draft.pool != NULL && draft.address != NULL)
		loader_report(loader, setting,
			      "this rule has both pool and address; a reservation has no pool");
}

static void read_assign(struct config_loader *loader, const config_setting_t *list)
{
	struct config_draft *draft = config_draft_of(loader);
	struct config *config = draft->config;
	size_t n = loader_list(loader, list, "{ pool = \"...\"; }");

	if (n == 0)
		return;
	config->rules = loader_alloc(loader, n, sizeof(*config->rules));
	draft->rule_address = loader_alloc(loader, n, sizeof(*draft->rule_address));
	if (config->rules == NULL || draft->rule_address == NULL)
		return;
	for (size_t i = 0; i < n && !loader->no_memory; i++) {
		config->n_rules = i + 1;
		read_rule(loader, config_setting_get_elem(list, (unsigned int)i), i);
	}
}

/* Left out, the first pool serves everybody. */
static void default_rules(struct config_loader *loader)
{
	struct config *config = config_draft_of(loader)->config;

	config->rules = loader_alloc(loader, 1, sizeof(*config->rules));
	if (config->rules != NULL)
		config->n_rules = 1;
}

/* ---- the top level ----------------------------------------------------------------------- */

static void read_dir(struct config_loader *loader, const config_setting_t *setting, char **ret)
{
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, *ret, &value))
		return;
	if (value[0] != '/')
		loader_report(loader, setting, "%s: %s is no absolute path",
			      config_setting_name(setting), loader_quote(value, quoted));
	loader_copy(loader, value, ret);
}

static void read_runtime_dir(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	struct config_draft *draft = object;

	read_dir(loader, setting, &draft->config->runtime_dir);
}

static void read_state_dir(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct config_draft *draft = object;

	read_dir(loader, setting, &draft->config->state_dir);
}

static void note_modules(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct config_draft *draft = object;

	(void)loader;
	draft->modules_at = setting;
}

static void note_pools(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct config_draft *draft = object;

	(void)loader;
	draft->pools_at = setting;
}

static void note_assign(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct config_draft *draft = object;

	(void)loader;
	draft->assign_at = setting;
}

static void read_candidate(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	static const char *const words[] = { "keep", "replace" };
	struct config_draft *draft = object;
	size_t which;

	if (loader_word(loader, setting, words, ARRAY_SIZE(words), &which))
		draft->config->candidate_replace = which == 1;
}

static void read_anonymous(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	static const char *const words[] = { "refuse", "allow" };
	struct config_draft *draft = object;
	size_t which;

	if (loader_word(loader, setting, words, ARRAY_SIZE(words), &which))
		draft->config->anonymous_allow = which == 1;
}

/* Pools are read before the rules that name them, whatever the order in the file. */
static void read_all(struct config_loader *loader, const config_setting_t *root,
		     struct config_draft *draft)
{
	static const struct config_key keys[] = {
		{ "runtime_dir", read_runtime_dir }, { "state_dir", read_state_dir },
		{ "modules", note_modules },         { "pools", note_pools },
		{ "assign", note_assign },           { "candidate", read_candidate },
		{ "anonymous", read_anonymous },
	};

	loader_copy(loader, DEFAULT_RUNTIME_DIR, &draft->config->runtime_dir);
	loader_copy(loader, DEFAULT_STATE_DIR, &draft->config->state_dir);
	if (loader->no_memory)
		return;
	(void)loader_group(loader, root, keys, ARRAY_SIZE(keys), draft);
	if (draft->modules_at != NULL)
		config_read_modules(loader, draft->modules_at);
	else
		config_default_modules(loader);
	if (draft->pools_at != NULL)
		config_read_pools(loader, draft->pools_at);
	else
		loader_report_line(loader, 1,
				   "there are no pools: add pools = ( { name = \"...\"; ranges = ( "
				   "\"10.64.0.0/16\" ); } );");
	if (loader->no_memory)
		return;
	if (draft->assign_at != NULL)
		read_assign(loader, draft->assign_at);
	else
		default_rules(loader);
	if (!loader->no_memory)
		config_check(loader);
}

/* ---- loading ----------------------------------------------------------------------------- */

static void free_pool_drafts(struct config_draft *draft)
{
	for (size_t i = 0; draft->pools != NULL && i < draft->config->n_pools; i++) {
		free(draft->pools[i].range_at);
		range_set_done(&draft->pools[i].excludes);
	}
	free(draft->pools);
}

/* Rules and modules go on pointing to the names of their files. */
static void take_files(struct config_loader *loader, struct config *config)
{
	config->files = loader->text.files;
	config->n_files = loader->text.n_files;
	loader->text.files = NULL;
	loader->text.n_files = 0;
}

static void read_root(struct config_loader *loader, const config_setting_t *root, void *object)
{
	struct config_draft *draft = object;

	read_all(loader, root, draft);
	free_pool_drafts(draft);
	take_files(loader, draft->config);
}

static int load(const struct config_source *source, struct config **ret,
		struct config_errors *errors)
{
	struct config_draft draft = { 0 };
	const struct config_reader reader = { read_root, &draft };
	struct config_loader loader = { .draft = &draft };
	int code;

	*errors = (struct config_errors){ 0 };
	draft.config = loader_alloc(&loader, 1, sizeof(*draft.config));
	if (draft.config == NULL)
		return POOL_E_NO_MEMORY;
	loader_copy(&loader, source->path, &draft.config->path);
	code = loader_load(&loader, source, &reader, errors);
	if (code == 0) {
		*ret = draft.config;
		draft.config = NULL;
	}
	free(draft.rule_address);
	config_free(&draft.config);
	return code;
}

int config_load(const char *path, struct config **ret, struct config_errors *errors)
{
	return load(&(struct config_source){ .path = path }, ret, errors);
}

int config_load_text(const char *text, const char *name, struct config **ret,
		     struct config_errors *errors)
{
	return load(&(struct config_source){ .path = name, .text = text }, ret, errors);
}

/* ---- what has been loaded ---------------------------------------------------------------- */

static void free_pool(struct config_pool *pool)
{
	free(pool->name);
	range_set_done(&pool->ranges);
	range_set_done(&pool->givable);
	range_set_done(&pool->dynamic);
}

void config_free(struct config **config)
{
	struct config *old = config != NULL ? *config : NULL;

	if (old == NULL)
		return;
	for (size_t i = 0; i < old->n_modules; i++) {
		free(old->modules[i].name);
		free(old->modules[i].path);
		free(old->modules[i].argument);
	}
	for (size_t i = 0; i < old->n_pools; i++)
		free_pool(&old->pools[i]);
	for (size_t i = 0; i < old->n_rules; i++) {
		free(old->rules[i].user);
		free(old->rules[i].port);
	}
	range_set_done(&old->reserved);
	range_set_done(&old->locals);
	free(old->modules);
	free(old->pools);
	free(old->rules);
	for (size_t i = 0; i < old->n_files; i++)
		free(old->files[i]);
	free(old->files);
	free(old->pieces);
	free(old->path);
	free(old->runtime_dir);
	free(old->state_dir);
	free(old);
	*config = NULL;
}

size_t config_find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_pools; i++) {
		if (strcmp(config->pools[i].name, name) == 0)
			return i;
	}
	return CONFIG_NO_POOL;
}

size_t config_pool_of(const struct config *config, uint32_t addr)
{
	size_t low = 0;
	size_t high = config->n_pieces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (config->pieces[middle].range.last < addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == config->n_pieces || config->pieces[low].range.first > addr)
		return CONFIG_NO_POOL;
	return config->pieces[low].pool;
}
