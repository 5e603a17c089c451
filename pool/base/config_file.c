/* SPDX-License-Identifier: MIT */
/* From a file to its settings, and from reports to lines: the same for every configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_loader.h"

/* A name that does not exist: libconfig itself is never to include anything. */
#define NO_INCLUDE_DIR "/dev/null"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_*-"
#define MESSAGE_SIZE 256

static void text_report(void *context, unsigned int merged, const char *message)
{
	loader_report_line(context, merged, message);
}

static int compare_reports(const void *a, const void *b)
{
	const struct config_report *one = a, *other = b;

	if (one->order != other->order)
		return one->order < other->order ? -1 : 1;
	return one->serial < other->serial ? -1 : one->serial > other->serial;
}

/* Hands the reports over as lines. */
static int take_errors(struct config_loader *loader, struct config_errors *ret)
{
	char **lines = calloc(loader->n_reports, sizeof(*lines));

	if (lines == NULL)
		return POOL_E_NO_MEMORY;
	qsort(loader->reports, loader->n_reports, sizeof(*loader->reports), compare_reports);
	for (size_t i = 0; i < loader->n_reports; i++)
		lines[i] = loader->reports[i].line;
	*ret = (struct config_errors){ lines, loader->n_reports };
	loader->n_reports = 0;
	return POOL_E_CONFIG;
}

/* The one mistake that has no line. */
static int unreadable(const char *path, int errnum, struct config_errors *ret)
{
	char **lines = calloc(1, sizeof(*lines));

	if (lines == NULL)
		return POOL_E_NO_MEMORY;
	if (asprintf(&lines[0], "%s: %s", path, config_text_reason(errnum)) < 0) {
		free(lines);
		return POOL_E_NO_MEMORY;
	}
	*ret = (struct config_errors){ lines, 1 };
	return POOL_E_CONFIG;
}

/* The name that is given a value on this line of the text, and its length; 0 unless it is the only
 * one. */
static size_t name_set_on_line(const char *text, unsigned int line, const char **ret)
{
	const char *at = text;
	size_t length = 0, n = 0;

	while (at != NULL && line-- > 1) {
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	for (; at != NULL && *at != '\0' && *at != '\n'; at += n > 0 ? n : 1) {
		const char *mark;

		n = strspn(at, NAME_CHARS);
		mark = at + n + strspn(at + n, " \t");
		if (n == 0 || (*mark != '=' && *mark != ':'))
			continue;
		if (length > 0)
			return 0;
		length = n;
		*ret = at;
	}
	return length;
}

static void report_duplicate(struct config_loader *loader, unsigned int line)
{
	const char *name = "";
	size_t length = name_set_on_line(loader->text.data, line, &name);
	char message[MESSAGE_SIZE];

	if (length > 0 && length < MESSAGE_SIZE / 2)
		snprintf(message, sizeof(message),
			 "duplicate setting name: \"%.*s\" stands twice in this group", (int)length,
			 name);
	else
		snprintf(message, sizeof(message),
			 "duplicate setting name: a name stands twice in its group");
	loader_report_line(loader, line, message);
}

/* libconfig notices a missing or superfluous mark only at the word behind it. */
static void report_syntax(struct config_loader *loader, const config_t *parsed)
{
	const char *message = config_error_text(parsed);
	unsigned int line = (unsigned int)config_error_line(parsed);

	if (message == NULL || strcmp(message, "syntax error") == 0)
		message =
			"syntax error here or just before: a quote ; , or bracket missing, or one "
			"too many";
	if (strcmp(message, "duplicate setting name") == 0)
		report_duplicate(loader, line);
	else
		loader_report_line(loader, line, message);
}

static void read_text(struct config_loader *loader, const struct config_reader *reader)
{
	config_t parsed;

	config_init(&parsed);
	config_set_include_dir(&parsed, NO_INCLUDE_DIR);
	if (config_read_string(&parsed, loader->text.data))
		reader->read_root(loader, config_root_setting(&parsed), reader->object);
	else
		report_syntax(loader, &parsed);
	config_destroy(&parsed);
}

int loader_load(struct config_loader *loader, const struct config_source *source,
		const struct config_reader *reader, struct config_errors *errors)
{
	const struct config_text_reporter reporter = { text_report, loader };
	int code;

	*errors = (struct config_errors){ 0 };
	if (source->text != NULL)
		code = config_text_load_string(&loader->text, source->text, source->path,
					       &reporter);
	else
		code = config_text_load(&loader->text, source->path, &reporter);
	if (code == POOL_E_SYSTEM)
		code = unreadable(source->path, errno, errors);
	else if (code == 0)
		read_text(loader, reader);
	if (loader->no_memory || code == POOL_E_NO_MEMORY)
		code = POOL_E_NO_MEMORY;
	else if (loader->n_reports > 0)
		code = take_errors(loader, errors);
	for (size_t i = 0; i < loader->n_reports; i++)
		free(loader->reports[i].line);
	free(loader->reports);
	config_text_done(&loader->text);
	return code;
}

void config_errors_done(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct config_errors){ 0 };
}
