/* SPDX-License-Identifier: MIT */
/*
 * config_text.h - the text of a configuration, with its included files put in.
 *
 * libconfig 1.5 can include files itself, but ends the process when one is a directory, ignores
 * an @include whose quote is missing, cannot mix absolute and relative names, cuts strings at
 * \x00 and lets large numbers wrap around. So files are read, included and looked through here,
 * and libconfig gets one text. Every line of that text belongs to one line of one file; a
 * line number of the text is called `merged`, counts from 1, and orders mistakes.
 */
#ifndef RASIP_CONFIG_TEXT_H
#define RASIP_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_TEXT_MAX (16U << 20) /* bytes, all files together */
#define CONFIG_INCLUDE_DEPTH 10

struct config_line {
	size_t file; /* index into files */
	unsigned int line;
};

struct config_text {
	char *data; /* NUL-terminated once it is complete */
	size_t length;
	size_t room;
	struct config_line *lines; /* [merged - 1] */
	size_t n_lines;
	size_t lines_room;
	char **files;
	size_t n_files;
};

/* Called for every mistake: `message` is complete and lives until it returns. */
struct config_text_reporter {
	void (*report)(void *context, unsigned int merged, const char *message);
	void *context;
};

/*
 * Reads `path` and what it includes. Names in @include are relative to the including file.
 * Returns 0; POOL_E_CONFIG where libconfig should not see the text, after reporting why; for a
 * `path` that cannot be read, POOL_E_SYSTEM with the reason in errno: EPERM for a file that is
 * neither root's nor ours, or that others may write. POOL_E_NO_MEMORY. `text` is to be freed with
 * config_text_done() in every case.
 */
int config_text_load(struct config_text *text, const char *path,
		     const struct config_text_reporter *reporter)
	__attribute__((warn_unused_result));

/* That errno in words. */
const char *config_text_reason(int errnum);

/* As config_text_load, from memory. */
int config_text_load_string(struct config_text *text, const char *string, const char *name,
			    const struct config_text_reporter *reporter)
	__attribute__((warn_unused_result));

/* Where a line of the text comes from; lines behind the last one count as the last one. */
const char *config_text_file(const struct config_text *text, unsigned int merged);
unsigned int config_text_line(const struct config_text *text, unsigned int merged);

void config_text_done(struct config_text *text);

#endif
