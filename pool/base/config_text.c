/* SPDX-License-Identifier: MIT */
#include "config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* some editors begin UTF-8 with it; it means nothing */

/* A file while it is looked through. */
struct scan {
	struct config_text *text;
	const struct config_text_reporter *reporter;
	const char *at;
	const char *end;
	size_t file;
	unsigned int line;
	unsigned int depth;
};

static int scan_file(struct config_text *text, const struct config_text_reporter *reporter,
		     size_t file, unsigned int depth, const char *data, size_t length);

__attribute__((format(printf, 3, 4))) static void
report(const struct scan *scan, unsigned int merged, const char *format, ...)
{
	char message[PATH_MAX + 256];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	scan->reporter->report(scan->reporter->context, merged, message);
}

static unsigned int merged_now(const struct scan *scan)
{
	return (unsigned int)scan->text->n_lines;
}

/* ---- the text ---------------------------------------------------------------------------- */

static int text_add_line(struct config_text *text, size_t file, unsigned int line)
{
	if (text->n_lines == text->lines_room) {
		size_t room = text->lines_room == 0 ? 256 : text->lines_room * 2;
		struct config_line *lines = reallocarray(text->lines, room, sizeof(*lines));

		if (lines == NULL)
			return POOL_E_NO_MEMORY;
		text->lines = lines;
		text->lines_room = room;
	}
	text->lines[text->n_lines++] = (struct config_line){ file, line };
	return 0;
}

static int text_add_char(struct config_text *text, char c)
{
	if (text->length == text->room) {
		size_t room = text->room == 0 ? 4096 : text->room * 2;
		char *data = realloc(text->data, room);

		if (data == NULL)
			return POOL_E_NO_MEMORY;
		text->data = data;
		text->room = room;
	}
	text->data[text->length++] = c;
	return 0;
}

static int text_add_file(struct config_text *text, const char *name)
{
	char **files = reallocarray(text->files, text->n_files + 1, sizeof(*files));

	if (files == NULL)
		return POOL_E_NO_MEMORY;
	text->files = files;
	files[text->n_files] = strdup(name);
	if (files[text->n_files] == NULL)
		return POOL_E_NO_MEMORY;
	text->n_files++;
	return 0;
}

/* To libconfig a comment ends with its line's end, and only then is one. */
static int text_end(struct config_text *text)
{
	int code = text_add_char(text, '\n');

	return code < 0 ? code : text_add_char(text, '\0');
}

const char *config_text_file(const struct config_text *text, unsigned int merged)
{
	if (text->n_lines == 0)
		return text->n_files > 0 ? text->files[0] : "";
	if (merged == 0 || merged > text->n_lines)
		merged = merged == 0 ? 1 : (unsigned int)text->n_lines;
	return text->files[text->lines[merged - 1].file];
}

unsigned int config_text_line(const struct config_text *text, unsigned int merged)
{
	if (text->n_lines == 0)
		return 1;
	if (merged == 0 || merged > text->n_lines)
		merged = merged == 0 ? 1 : (unsigned int)text->n_lines;
	return text->lines[merged - 1].line;
}

void config_text_done(struct config_text *text)
{
	for (size_t i = 0; i < text->n_files; i++)
		free(text->files[i]);
	free(text->files);
	free(text->lines);
	free(text->data);
	*text = (struct config_text){ 0 };
}

/* ---- looking through it ------------------------------------------------------------------ */

/* Takes one byte over into the text. */
static int take(struct scan *scan)
{
	char c = *scan->at++;

	if (c == '\0') {
		report(scan, merged_now(scan), "a NUL byte: this is no text file");
		return POOL_E_CONFIG;
	}
	if (scan->text->length >= CONFIG_TEXT_MAX) {
		report(scan, merged_now(scan), "more than %u MiB of configuration",
		       CONFIG_TEXT_MAX >> 20);
		return POOL_E_CONFIG;
	}
	if (text_add_char(scan->text, c) < 0)
		return POOL_E_NO_MEMORY;
	if (c == '\n')
		return text_add_line(scan->text, scan->file, ++scan->line);
	return 0;
}

static int take_n(struct scan *scan, size_t n)
{
	int code = 0;

	while (n-- > 0 && code == 0)
		code = take(scan);
	return code;
}

static bool starts_with(const struct scan *scan, const char *what)
{
	size_t length = strlen(what);

	return (size_t)(scan->end - scan->at) >= length && memcmp(scan->at, what, length) == 0;
}

static int take_line_comment(struct scan *scan)
{
	int code = 0;

	while (scan->at < scan->end && *scan->at != '\n' && code == 0)
		code = take(scan);
	return code;
}

static int take_block_comment(struct scan *scan)
{
	unsigned int begin = merged_now(scan);
	int code = take_n(scan, 2);

	while (scan->at < scan->end && code == 0) {
		if (starts_with(scan, "*/"))
			return take_n(scan, 2);
		code = take(scan);
	}
	if (code < 0)
		return code;
	report(scan, begin, "the comment that begins here has no */");
	return POOL_E_CONFIG;
}

static int take_string(struct scan *scan)
{
	unsigned int begin = merged_now(scan);
	int code = take(scan);

	while (scan->at < scan->end && code == 0) {
		if (*scan->at == '"')
			return take(scan);
		if (starts_with(scan, "\\x00"))
			report(scan, merged_now(scan),
			       "\\x00 in a string: names never hold a NUL byte");
		code = take_n(scan, starts_with(scan, "\\\\") || starts_with(scan, "\\\"") ? 2 : 1);
	}
	if (code < 0)
		return code;
	report(scan, begin, "the string that begins here has no closing \"");
	return POOL_E_CONFIG;
}

static bool is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '+' || c == '_' || c == '*' || c == '.';
}

/* True for an integer that libconfig would read as some other integer. */
static bool is_too_large(const char *word)
{
	bool is_hex = strncmp(word, "0x", 2) == 0 || strncmp(word, "0X", 2) == 0;
	bool is_long;
	char *end;
	long long value;

	errno = 0;
	value = strtoll(word, &end, is_hex ? 16 : 10);
	is_long = *end == 'L';
	if (end == word || end[strspn(end, "L")] != '\0')
		return false;
	return errno == ERANGE || (!is_long && (value > INT_MAX || value < INT_MIN));
}

/* A name or a number. */
static int take_word(struct scan *scan)
{
	char word[48];
	size_t length = 0;

	while (length < (size_t)(scan->end - scan->at) && is_word_char(scan->at[length]))
		length++;
	snprintf(word, sizeof(word), "%.*s", (int)(length > 47 ? 47 : length), scan->at);
	if (is_too_large(word))
		report(scan, merged_now(scan), "the number %s is too large", word);
	return take_n(scan, length);
}

/* ---- files ------------------------------------------------------------------------------- */

/* Reads all of fd; a byte more than CONFIG_TEXT_MAX is enough to know that it is too much. */
static int read_all(int fd, char **ret_data, size_t *ret_length)
{
	size_t room = 16384, length = 0;
	char *data = malloc(room);
	ssize_t got;

	if (data == NULL)
		return POOL_E_NO_MEMORY;
	while (length <= CONFIG_TEXT_MAX) {
		if (length == room) {
			char *larger = realloc(data, room * 2);

			if (larger == NULL) {
				free(data);
				return POOL_E_NO_MEMORY;
			}
			data = larger;
			room *= 2;
		}
		got = read(fd, data + length, room - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	if (length <= CONFIG_TEXT_MAX && got < 0) {
		free(data);
		return POOL_E_SYSTEM;
	}
	*ret_data = data;
	*ret_length = length;
	return 0;
}

/* Who may write a configuration decides which modules run, as root. The group of whoever reads it is
 * no stranger's: where every user has a group of his own, files are made so. */
static bool is_trusted(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return true;
	if ((st->st_uid != 0 && st->st_uid != geteuid()) || (st->st_mode & S_IWOTH) != 0)
		return false;
	return (st->st_mode & S_IWGRP) == 0 || st->st_gid == getegid();
}

const char *config_text_reason(int errnum)
{
	if (errnum == EPERM)
		return "belongs to another user or may be written by others: not used";
	return strerror(errnum);
}

/* The main file may be a pipe (a shell's <(...)); an included one may not: it could block for good.
 */
static int read_file(const char *path, bool only_regular, char **ret_data, size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (only_regular ? O_NONBLOCK : 0));
	struct stat st;
	int code = POOL_E_SYSTEM;
	int errnum;

	if (fd < 0)
		return POOL_E_SYSTEM;
	if (fstat(fd, &st) < 0) {
		errnum = errno;
	} else if (S_ISDIR(st.st_mode)) {
		errnum = EISDIR;
	} else if (only_regular && !S_ISREG(st.st_mode)) {
		errnum = EINVAL;
	} else if (!is_trusted(&st)) {
		errnum = EPERM;
	} else {
		code = read_all(fd, ret_data, ret_length);
		errnum = errno;
	}
	close(fd);
	errno = errnum;
	return code;
}

/* The included file's name: what stands between the quotes, seen from the including file. */
static int include_path(const struct scan *scan, const char *name, size_t length, char *path)
{
	const char *including = scan->text->files[scan->file];
	const char *slash = strrchr(including, '/');
	size_t used = 0;

	if (slash != NULL && length > 0 && name[0] != '/')
		used = (size_t)(slash - including) + 1;
	if (used + length >= PATH_MAX)
		return POOL_E_CONFIG;
	memcpy(path, including, used);
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '\\' && i + 1 < length &&
		    (name[i + 1] == '\\' || name[i + 1] == '"'))
			i++;
		path[used++] = name[i];
	}
	path[used] = '\0';
	return 0;
}

static int include_file(const struct scan *scan, const char *path)
{
	unsigned int merged = merged_now(scan);
	char *data = NULL;
	size_t length = 0;
	int code;

	if (scan->depth >= CONFIG_INCLUDE_DEPTH) {
		report(scan, merged,
		       "cannot include \"%s\": files include each other more than %d deep", path,
		       CONFIG_INCLUDE_DEPTH);
		return POOL_E_CONFIG;
	}
	code = read_file(path, true, &data, &length);
	if (code == POOL_E_SYSTEM) {
		report(scan, merged, "cannot include \"%s\": %s", path,
		       errno == EINVAL ? "not a regular file" : config_text_reason(errno));
		return POOL_E_CONFIG;
	}
	if (code < 0)
		return code;
	code = text_add_file(scan->text, path);
	if (code == 0)
		code = scan_file(scan->text, scan->reporter, scan->text->n_files - 1,
				 scan->depth + 1, data, length);
	free(data);
	return code;
}

static const char *closing_quote(const char *at, const char *end)
{
	for (; at < end && *at != '\n' && *at != '\0'; at++) {
		if (*at == '"')
			return at;
		if (*at == '\\' && at + 1 < end && (at[1] == '\\' || at[1] == '"'))
			at++;
	}
	return NULL;
}

/*
 * @include stands at the beginning of a line. The file's lines go between this line's (blank)
 * beginning and its rest, which becomes a line of its own.
 */
static int take_include(struct scan *scan)
{
	const char *name = scan->at + strlen("@include");
	const char *close;
	char path[PATH_MAX];
	int code;

	while (name < scan->end && (*name == ' ' || *name == '\t'))
		name++;
	if (name == scan->end || *name != '"') {
		report(scan, merged_now(scan), "expected @include \"FILE\"");
		return POOL_E_CONFIG;
	}
	close = closing_quote(++name, scan->end);
	if (close == NULL) {
		report(scan, merged_now(scan), "the file name of @include has no closing \"");
		return POOL_E_CONFIG;
	}
	if (include_path(scan, name, (size_t)(close - name), path) < 0) {
		report(scan, merged_now(scan), "the file name of @include is too long");
		return POOL_E_CONFIG;
	}
	scan->at = close + 1;
	code = include_file(scan, path);
	if (code == 0)
		code = text_add_char(scan->text, '\n');
	if (code == 0)
		code = text_add_line(scan->text, scan->file, scan->line);
	return code;
}

static int take_token(struct scan *scan, bool blank_before)
{
	if (blank_before && starts_with(scan, "@include"))
		return take_include(scan);
	if (*scan->at == '#' || starts_with(scan, "//"))
		return take_line_comment(scan);
	if (starts_with(scan, "/*"))
		return take_block_comment(scan);
	if (*scan->at == '"')
		return take_string(scan);
	if (is_word_char(*scan->at))
		return take_word(scan);
	return take(scan);
}

static int scan_file(struct config_text *text, const struct config_text_reporter *reporter,
		     size_t file, unsigned int depth, const char *data, size_t length)
{
	struct scan scan = { .text = text,
			     .reporter = reporter,
			     .at = data,
			     .end = data + length,
			     .file = file,
			     .line = 1,
			     .depth = depth };
	bool blank_before = true;
	int code = 0;

	/* An included file begins on the line of its @include, of which nothing else is left. */
	if (text->n_lines > 0)
		text->lines[text->n_lines - 1] = (struct config_line){ file, 1 };
	else
		code = text_add_line(text, file, 1);
	if (starts_with(&scan, BYTE_ORDER_MARK))
		scan.at += strlen(BYTE_ORDER_MARK);
	while (scan.at < scan.end && code == 0) {
		char c = *scan.at;

		code = take_token(&scan, blank_before);
		/* What follows an @include is a new line to libconfig, which must never see one. */
		blank_before = c == '\n' || (blank_before && (c == ' ' || c == '\t' || c == '@'));
	}
	return code;
}

int config_text_load_string(struct config_text *text, const char *string, const char *name,
			    const struct config_text_reporter *reporter)
{
	int code = text_add_file(text, name);

	if (code == 0)
		code = scan_file(text, reporter, 0, 0, string, strlen(string));
	if (code == 0)
		code = text_end(text);
	return code;
}

int config_text_load(struct config_text *text, const char *path,
		     const struct config_text_reporter *reporter)
{
	char *data = NULL;
	size_t length = 0;
	int code = read_file(path, false, &data, &length);

	if (code < 0)
		return code;
	code = text_add_file(text, path);
	if (code == 0)
		code = scan_file(text, reporter, 0, 0, data, length);
	if (code == 0)
		code = text_end(text);
	free(data);
	return code;
}
