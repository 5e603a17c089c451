/* SPDX-License-Identifier: MIT */
/*
 * config_loader.h - reads a configuration of any kind, in libconfig's syntax.
 *
 *	config_text.c    files, includes, lines
 *	config_file.c    a file with all of it: the settings, or the mistakes
 *	config_value.c   typed values of settings, mistakes in words
 *
 * rasip.conf and madcapd.conf are read with it. Every reader reports what is wrong and goes on; a
 * configuration with any report is thrown away. Settings live until the loading ends, so checks
 * can still name their lines.
 */
#ifndef RASIP_CONFIG_LOADER_H
#define RASIP_CONFIG_LOADER_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_errors.h"
#include "config_text.h"
#include "error.h"

#define QUOTE_SIZE 128
#define WHERE_SIZE 4200

/* A mistake. `order` is the line in the merged text. */
struct config_report {
	unsigned int order;
	size_t serial;
	char *line;
};

struct config_loader {
	struct config_text text;
	struct config_report *reports;
	size_t n_reports;
	size_t reports_room;
	bool no_memory;
	void *draft; /* what is being made of the settings; this knows nothing of it */
};

/* One key of a group and what reads it. */
struct config_key {
	const char *name;
	void (*read)(struct config_loader *loader, const config_setting_t *setting, void *object);
};

/* ---- config_file.c ----------------------------------------------------------------------- */

struct config_source {
	const char *path; /* the file, or what `text` is called in messages */
	const char *text; /* NULL: it is read from the file */
};

/* What is to be done with the settings, as long as they live. */
struct config_reader {
	void (*read_root)(struct config_loader *loader, const config_setting_t *root, void *object);
	void *object;
};

/*
 * Reads all of the source; afterwards the loader's text and reports are gone, but for what read_root has
 * taken of `text.files`. Returns 0, POOL_E_CONFIG with all mistakes in `errors`, or POOL_E_NO_MEMORY.
 */
int loader_load(struct config_loader *loader, const struct config_source *source,
		const struct config_reader *reader, struct config_errors *errors)
	__attribute__((warn_unused_result));

/* ---- config_value.c ---------------------------------------------------------------------- */

void loader_report_line(struct config_loader *loader, unsigned int merged, const char *message);
void loader_report(struct config_loader *loader, const config_setting_t *at, const char *format,
		   ...) __attribute__((format(printf, 3, 4)));

/* A list of strings, as `example` shows; NULL to `each` is never passed. */
struct config_strings {
	const char *example;
	void (*each)(struct config_loader *loader, const config_setting_t *element,
		     const char *value, void *object);
};

/* "line 12", or "FILE:12" where that is another file than that of `from`. */
const char *loader_where(const struct config_loader *loader, const config_setting_t *at,
			 const config_setting_t *from, char buf[WHERE_SIZE]);

/* The name of a setting; an element of a list goes by the list's. */
const char *loader_key(const config_setting_t *setting);

/* The text in quotes, on one line and not too long, whatever bytes it holds. */
const char *loader_quote(const char *text, char buf[QUOTE_SIZE]);

/* Where a setting stands. The name lives as long as the loader, or whoever takes the files. */
const char *loader_file(const struct config_loader *loader, const config_setting_t *at);
unsigned int loader_line(const struct config_loader *loader, const config_setting_t *at);

/* Memory that is zero; NULL sets no_memory. */
void *loader_alloc(struct config_loader *loader, size_t n, size_t size);

/* Reads every member of a group by its key; other keys are mistakes. False if it is no group. */
bool loader_group(struct config_loader *loader, const config_setting_t *group,
		  const struct config_key *keys, size_t n_keys, void *object);

/* False, after a report, where the setting's type is another one. NULL: nothing is reported. */
bool loader_string(struct config_loader *loader, const config_setting_t *setting,
		   const char *example, const char **ret);
bool loader_bool(struct config_loader *loader, const config_setting_t *setting, bool *ret);
bool loader_number(struct config_loader *loader, const config_setting_t *setting, uint32_t min,
		   uint32_t max, uint32_t *ret);
bool loader_unsigned(struct config_loader *loader, const config_setting_t *setting, uint32_t max,
		     uint32_t *ret);
bool loader_duration(struct config_loader *loader, const config_setting_t *setting,
		     int64_t *ret_sec);
bool loader_word(struct config_loader *loader, const config_setting_t *setting,
		 const char *const *words, size_t n_words, size_t *ret);
void loader_strings(struct config_loader *loader, const config_setting_t *setting,
		    const struct config_strings *strings, void *object);
/* A list of groups, not empty; returns how many, 0 after a report. */
size_t loader_list(struct config_loader *loader, const config_setting_t *setting,
		   const char *example);
/* Copies a string into *ret, freeing what was there. */
void loader_copy(struct config_loader *loader, const char *value, char **ret);

#endif
