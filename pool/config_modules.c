/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "config_draft.h"

#include <stdlib.h>
#include <string.h>

static void read_module_name(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	struct config_module *module = object;
	char quoted[QUOTE_SIZE];
	const char *value;
	bool printable = true;

	if (!loader_string(loader, setting, "Audit", &value))
		value = "?"; /* given, if wrongly: not missing */
	for (const char *c = value; *c != '\0'; c++)
		printable = printable && *c >= ' ' && *c < 0x7f;
	if (!printable || value[0] == '\0' || strlen(value) > CONFIG_MODULE_NAME_MAX)
		loader_report(loader, setting,
			      "name: %s is no module name: 1 to %d printable ASCII characters",
			      loader_quote(value, quoted), CONFIG_MODULE_NAME_MAX);
	loader_copy(loader, value, &module->name);
}

static void read_module_path(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	struct config_module *module = object;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "/usr/lib/rasip/audit.so", &value))
		value = "/?";
	if (value[0] != '/' && strcmp(value, CONFIG_BUILTIN) != 0)
		loader_report(loader, setting,
			      "path: %s is neither an absolute path nor \"" CONFIG_BUILTIN "\"",
			      loader_quote(value, quoted));
	loader_copy(loader, value, &module->path);
}

static void read_module_argument(struct config_loader *loader, const config_setting_t *setting,
				 void *object)
{
	struct config_module *module = object;
	const char *value;

	if (loader_string(loader, setting, "/var/log/audit", &value))
		loader_copy(loader, value, &module->argument);
}

/* The module must differ from those before it. */
static void check_module(struct config_loader *loader, const config_setting_t *setting,
			 size_t index)
{
	const struct config_module *modules = config_draft_of(loader)->config->modules;
	const struct config_module *module = &modules[index];
	char quoted[QUOTE_SIZE];

	if (module->name == NULL)
		loader_report(loader, setting, "this module has no name: add name = \"...\";");
	if (module->path == NULL)
		loader_report(loader, setting, "this module has no path: add path = \"...\";");
	for (size_t i = 0; i < index; i++) {
		if (module->name != NULL && modules[i].name != NULL &&
		    strcmp(module->name, "?") != 0 && strcmp(module->name, modules[i].name) == 0)
			loader_report(loader, setting,
				      "name: there is a module %s already (line %u)",
				      loader_quote(module->name, quoted), modules[i].line);
		if (module->path != NULL && modules[i].path != NULL &&
		    strcmp(module->path, CONFIG_BUILTIN) == 0 &&
		    strcmp(modules[i].path, CONFIG_BUILTIN) == 0)
			loader_report(loader, setting,
				      "path: \"" CONFIG_BUILTIN "\" is listed already (line %u)",
				      modules[i].line);
	}
}

void config_read_modules(struct config_loader *loader, const config_setting_t *list)
{
	static const struct config_key keys[] = {
		{ "name", read_module_name },
		{ "path", read_module_path },
		{ "argument", read_module_argument },
	};
	struct config *config = config_draft_of(loader)->config;
	size_t n = loader_list(loader, list, "{ name = \"Pool\"; path = \"builtin\"; }");

	if (n == 0)
		return;
	config->modules = loader_alloc(loader, n, sizeof(*config->modules));
	for (size_t i = 0; config->modules != NULL && i < n && !loader->no_memory; i++) {
		const config_setting_t *setting = config_setting_get_elem(list, (unsigned int)i);
		struct config_module *module = &config->modules[i];

		config->n_modules = i + 1;
		module->file = loader_file(loader, setting);
		module->line = loader_line(loader, setting);
		loader_copy(loader, "", &module->argument);
		if (loader_group(loader, setting, keys, ARRAY_SIZE(keys), module))
			check_module(loader, setting, i);
	}
}

void config_default_modules(struct config_loader *loader)
{
	struct config *config = config_draft_of(loader)->config;

	config->modules = loader_alloc(loader, 1, sizeof(*config->modules));
	if (config->modules == NULL)
		return;
	config->n_modules = 1;
	loader_copy(loader, "Pool", &config->modules[0].name);
	loader_copy(loader, CONFIG_BUILTIN, &config->modules[0].path);
	loader_copy(loader, "", &config->modules[0].argument);
}
