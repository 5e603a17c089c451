/* SPDX-License-Identifier: MIT */
#include "config_loader.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "array.h"
#include "nearest.h"
#include "parse.h"

#define KEYS_MAX 64 /* of one group */

/* ---- mistakes ---------------------------------------------------------------------------- */

void loader_report_line(struct config_loader *loader, unsigned int merged, const char *message)
{
	char *line = NULL;

	if (loader->n_reports == loader->reports_room) {
		size_t room = loader->reports_room == 0 ? 16 : loader->reports_room * 2;
		struct config_report *reports =
			reallocarray(loader->reports, room, sizeof(*reports));

		if (reports == NULL) {
			loader->no_memory = true;
			return;
		}
		loader->reports = reports;
		loader->reports_room = room;
	}
	if (asprintf(&line, "%s:%u: %s", config_text_file(&loader->text, merged),
		     config_text_line(&loader->text, merged), message) < 0) {
		loader->no_memory = true;
		return;
	}
	loader->reports[loader->n_reports] = (struct config_report){ .order = merged,
								     .serial = loader->n_reports,
								     .line = line };
	loader->n_reports++;
}

void loader_report(struct config_loader *loader, const config_setting_t *at, const char *format,
		   ...)
{
	char message[PATH_MAX + 1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	loader_report_line(loader, at->line, message);
}

const char *loader_file(const struct config_loader *loader, const config_setting_t *at)
{
	return config_text_file(&loader->text, at->line);
}

unsigned int loader_line(const struct config_loader *loader, const config_setting_t *at)
{
	return config_text_line(&loader->text, at->line);
}

const char *loader_where(const struct config_loader *loader, const config_setting_t *at,
			 const config_setting_t *from, char buf[WHERE_SIZE])
{
	const char *file = config_text_file(&loader->text, at->line);

	if (strcmp(file, config_text_file(&loader->text, from->line)) == 0)
		snprintf(buf, WHERE_SIZE, "line %u", loader_line(loader, at));
	else
		snprintf(buf, WHERE_SIZE, "%s:%u", file, loader_line(loader, at));
	return buf;
}

const char *loader_quote(const char *text, char buf[QUOTE_SIZE])
{
	size_t used = 0;

	buf[used++] = '"';
	for (; *text != '\0' && used < QUOTE_SIZE - 10; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
			buf[used++] = (char)c;
		else
			used += (size_t)snprintf(buf + used, 5, "\\x%02X", c);
	}
	snprintf(buf + used, QUOTE_SIZE - used, "%s\"", *text != '\0' ? "..." : "");
	return buf;
}

/* ---- types ------------------------------------------------------------------------------- */

static const char *found(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a point";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	default:
		return "nothing";
	}
}

const char *loader_key(const config_setting_t *setting)
{
	while (setting != NULL && config_setting_name(setting) == NULL)
		setting = config_setting_parent(setting);
	return setting != NULL ? config_setting_name(setting) : "the file";
}

void *loader_alloc(struct config_loader *loader, size_t n, size_t size)
{
	void *memory = calloc(n > 0 ? n : 1, size);

	if (memory == NULL)
		loader->no_memory = true;
	return memory;
}

void loader_copy(struct config_loader *loader, const char *value, char **ret)
{
	char *copy = strdup(value);

	if (copy == NULL) {
		loader->no_memory = true;
		return;
	}
	free(*ret);
	*ret = copy;
}

bool loader_string(struct config_loader *loader, const config_setting_t *setting,
		   const char *example, const char **ret)
{
	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		loader_report(loader, setting, "%s: expected a string such as \"%s\", found %s",
			      loader_key(setting), example, found(setting));
		return false;
	}
	*ret = config_setting_get_string(setting);
	if (*ret == NULL)
		*ret = "";
	return true;
}

bool loader_bool(struct config_loader *loader, const config_setting_t *setting, bool *ret)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
		loader_report(loader, setting, "%s: expected true or false (no quotes), found %s",
			      loader_key(setting), found(setting));
		return false;
	}
	*ret = config_setting_get_bool(setting) != 0;
	return true;
}

bool loader_unsigned(struct config_loader *loader, const config_setting_t *setting, uint32_t max,
		     uint32_t *ret)
{
	return loader_number(loader, setting, 0, max, ret);
}

bool loader_number(struct config_loader *loader, const config_setting_t *setting, uint32_t min,
		   uint32_t max, uint32_t *ret)
{
	int type = config_setting_type(setting);
	long long value;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		loader_report(loader, setting,
			      "%s: expected a whole number from %u to %u (no quotes), found %s",
			      loader_key(setting), min, max, found(setting));
		return false;
	}
	value = type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
					: config_setting_get_int64(setting);
	if (value < (long long)min || value > (long long)max) {
		loader_report(loader, setting, "%s: %lld is not in the range from %u to %u",
			      loader_key(setting), value, min, max);
		return false;
	}
	*ret = (uint32_t)value;
	return true;
}

bool loader_duration(struct config_loader *loader, const config_setting_t *setting,
		     int64_t *ret_sec)
{
	char quoted[QUOTE_SIZE];
	const char *value;
	int type = config_setting_type(setting);

	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) {
		long long number = type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
							   : config_setting_get_int64(setting);

		loader_report(
			loader, setting,
			"%s: a duration is a string with a unit: for seconds write %s = \"%llds\"",
			loader_key(setting), loader_key(setting), number < 0 ? 0 : number);
		return false;
	}
	if (!loader_string(loader, setting, "60s", &value))
		return false;
	if (!parse_duration(value, ret_sec)) {
		loader_report(loader, setting,
			      "%s: %s is no duration: write \"30s\", \"5m\", \"1h\", \"30d\" "
			      "(at most 100 years) or \"forever\"",
			      loader_key(setting), loader_quote(value, quoted));
		return false;
	}
	return true;
}

bool loader_word(struct config_loader *loader, const config_setting_t *setting,
		 const char *const *words, size_t n_words, size_t *ret)
{
	char quoted[QUOTE_SIZE], list[256] = "";
	const char *value;

	if (!loader_string(loader, setting, words[0], &value))
		return false;
	for (size_t i = 0; i < n_words; i++) {
		size_t used = strlen(list);

		if (strcmp(value, words[i]) == 0) {
			*ret = i;
			return true;
		}
		snprintf(list + used, sizeof(list) - used, "%s\"%s\"",
			 i == 0 ? "" : (i + 1 == n_words ? " or " : ", "), words[i]);
	}
	loader_report(loader, setting, "%s: %s is not known: write %s", loader_key(setting),
		      loader_quote(value, quoted), list);
	return false;
}

void loader_strings(struct config_loader *loader, const config_setting_t *setting,
		    const struct config_strings *strings, void *object)
{
	const char *name = loader_key(setting);
	const char *value;
	int n;

	if (!config_setting_is_list(setting) && !config_setting_is_array(setting)) {
		loader_report(loader, setting,
			      "%s: expected a list of strings such as %s = ( \"%s\" );, found %s",
			      name, name, strings->example, found(setting));
		return;
	}
	n = config_setting_length(setting);
	for (int i = 0; i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);

		if (loader_string(loader, element, strings->example, &value))
			strings->each(loader, element, value, object);
	}
}

size_t loader_list(struct config_loader *loader, const config_setting_t *setting,
		   const char *example)
{
	int n;

	/* An array [ ] cannot hold groups; an empty one is as good as an empty list. */
	if (!config_setting_is_list(setting) && !config_setting_is_array(setting)) {
		loader_report(loader, setting,
			      "%s: expected a list of groups such as %s = ( %s );, found %s",
			      loader_key(setting), loader_key(setting), example, found(setting));
		return 0;
	}
	n = config_setting_length(setting);
	if (n == 0)
		loader_report(loader, setting, "%s: is empty; it looks like %s = ( %s );",
			      loader_key(setting), loader_key(setting), example);
	return (size_t)n;
}

/* ---- groups and keys --------------------------------------------------------------------- */

static void report_unknown_key(struct config_loader *loader, const config_setting_t *setting,
			       const struct config_key *keys, size_t n_keys)
{
	const char *name = config_setting_name(setting);
	const char *names[KEYS_MAX];
	const char *nearest;
	char quoted[QUOTE_SIZE];
	size_t n = 0;

	while (n < n_keys && n < KEYS_MAX) {
		names[n] = keys[n].name;
		n++;
	}
	nearest = nearest_word(name, names, n);
	if (nearest != NULL)
		loader_report(loader, setting, "unknown key %s (did you mean \"%s\"?)",
			      loader_quote(name, quoted), nearest);
	else
		loader_report(loader, setting, "unknown key %s", loader_quote(name, quoted));
}

static const struct config_key *find_key(const struct config_key *keys, size_t n_keys,
					 const char *name)
{
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

bool loader_group(struct config_loader *loader, const config_setting_t *group,
		  const struct config_key *keys, size_t n_keys, void *object)
{
	int n;

	if (!config_setting_is_group(group)) {
		loader_report(loader, group, "%s: expected a group { ... }, found %s",
			      loader_key(group), found(group));
		return false;
	}
	n = config_setting_length(group);
	for (int i = 0; i < n; i++) {
		const config_setting_t *member = config_setting_get_elem(group, (unsigned int)i);
		const struct config_key *key = find_key(keys, n_keys, config_setting_name(member));

		if (key != NULL)
			key->read(loader, member, object);
		else
			report_unknown_key(loader, member, keys, n_keys);
	}
	return true;
}
