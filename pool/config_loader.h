/* SPDX-License-Identifier: MIT */
/*
 * config_loader.h - inside the configuration loader: what its files share.
 *
 *	config_text.c    files, includes, lines
 *	config_value.c   typed values of libconfig settings, mistakes in words
 *	config_file.c    a file with all of it: the settings, or the mistakes
 *	config_modules.c `modules`
 *	config_pool.c    `pools`
 *	config_madcap.c  the madcap group of a pool
 *	config_check.c   what concerns several settings: overlaps, chains, reservations
 *	config.c         the public interface, the top level, `assign`
 *
 * The first three know nothing of rasip.conf; madcapd.conf is read with them as well, and then
 * has `config` and what belongs to it empty.
 *
 * Every reader reports what is wrong and goes on; a configuration with any report is thrown away.
 * Settings live until the loading ends, so checks can still name their lines.
 */
#ifndef RASIP_CONFIG_LOADER_H
#define RASIP_CONFIG_LOADER_H

#include <libconfig.h>

#include "config.h"
#include "config_text.h"

#define QUOTE_SIZE 128
#define WHERE_SIZE 4200
#define LABEL_SIZE 160

/* A mistake. `order` is the line in the merged text. */
struct config_report {
	unsigned int order;
	size_t serial;
	char *line;
};

/* What is known of config->pools[i] only while loading. NULL: not given. */
struct pool_draft {
	const config_setting_t *setting;
	const config_setting_t *name;
	const config_setting_t *backend;
	const config_setting_t *ranges;
	const config_setting_t **range_at; /* of ranges.ranges[i] */
	const config_setting_t *exclude;
	struct range_set excludes;
	const config_setting_t *local;
	const config_setting_t *next;
	const config_setting_t *madcap;
	const config_setting_t *scope; /* in the madcap group */
	const config_setting_t *order;
	const config_setting_t *hold;
	struct config_pool *pool;
};

struct config_loader {
	struct config *config;
	struct config_text text;
	struct pool_draft *drafts;             /* as config->pools */
	const config_setting_t **rule_address; /* as config->rules; NULL: no reservation */
	const config_setting_t *modules;
	const config_setting_t *pools;
	const config_setting_t *assign;
	struct config_report *reports;
	size_t n_reports;
	size_t reports_room;
	bool no_memory;
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
 * Reads all of the source; afterwards the loader's text and reports are gone. Returns 0,
 * POOL_E_CONFIG with all mistakes in `errors`, or POOL_E_NO_MEMORY.
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

/* The text in quotes, on one line and not too long, whatever bytes it holds. */
const char *loader_quote(const char *text, char buf[QUOTE_SIZE]);

/* Where a setting stands. The name lives as long as the configuration that is being loaded. */
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

/* A setting that names a pool which is not there, and what may have been meant. */
void loader_report_no_pool(struct config_loader *loader, const config_setting_t *at,
			   const char *name);

/* An address that a host can have; anything else is reported. */
bool loader_host_address(struct config_loader *loader, const config_setting_t *at,
			 const char *value, uint32_t *ret_addr);

/* ---- the other files --------------------------------------------------------------------- */

void loader_read_modules(struct config_loader *loader, const config_setting_t *list);
void loader_default_modules(struct config_loader *loader);
/* `object` is the pool's draft. */
void loader_read_madcap(struct config_loader *loader, const config_setting_t *setting,
			void *object);
/* What the backend and the group mean together with the rest of the pool. */
void loader_check_backend(struct config_loader *loader, const struct pool_draft *draft);
/* When the pool's `dynamic` set is known. */
void loader_check_pieces(struct config_loader *loader, const struct pool_draft *draft);
void loader_read_pools(struct config_loader *loader, const config_setting_t *pools);
void loader_check(struct config_loader *loader);
void loader_drafts_done(struct config_loader *loader);

/* `pool "x"`, or the pool's line where it has no name. */
const char *loader_pool_label(const struct config_loader *loader, size_t index,
			      char buf[LABEL_SIZE]);

#endif
