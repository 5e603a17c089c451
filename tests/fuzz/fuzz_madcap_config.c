/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the loader of madcapd.conf. Any text either loads, and then a server accepts
 * it, or is rejected with at least one FILE:LINE message of one line.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/address.h"
#include "madcap/book.h"
#include "madcap/server.h"
#include "madcap/server_config.h"

#define NAME "fuzz.conf"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

/* libconfig 1.5 does not free the string in which it met a syntax error. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

static struct book *book;

static void close_book(void)
{
	book_close(&book);
}

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void open_book(void)
{
	char path[] = "/tmp/fuzz-madcap-config.XXXXXX", command[64];
	struct book_options options = { .map_bytes = 1 << 20, .unsynced = true };
	struct error error = { 0 };

	require(mkdtemp(path) != NULL, "a directory");
	options.state_dir = path;
	require(book_open(&options, &book, &error) == 0, error.text);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	require(system(command) == 0, "it is removed");
	atexit(close_book);
}

static void check_errors(const struct config_errors *errors)
{
	require(errors->n > 0, "a rejection says why");
	for (size_t i = 0; i < errors->n; i++) {
		require(strncmp(errors->lines[i], NAME ":", strlen(NAME) + 1) == 0, "FILE first");
		require(strtoul(errors->lines[i] + strlen(NAME) + 1, NULL, 10) > 0,
			"a line number");
		require(strchr(errors->lines[i], '\n') == NULL, "one line each");
	}
}

static void check_config(const struct server_config *config)
{
	struct madcap_server *server = NULL;
	struct error error = { 0 };
	int code;

	require(config->n_listen > 0 && config->server.n_scopes > 0, "not empty");
	require(config->state_dir[0] == '/', "an absolute path");
	for (size_t i = 0; i < config->server.n_scopes; i++) {
		const struct madcap_server_scope *scope = &config->server.scopes[i];

		require(madcap_address_is_multicast(&scope->first) &&
				madcap_address_compare(&scope->first, &scope->last) < 0,
			"a scope is one");
		require(scope->ttl > 0, "a ttl");
	}
	code = madcap_server_new(book, &config->server, &server, &error);
	require(code == 0 || code == POOL_E_NO_MEMORY, error.text);
	madcap_server_free(&server);
}

/* Files named by the input would make runs differ; without a slash there are none here. */
static bool reaches_out(const char *text)
{
	return strstr(text, "@include") != NULL && strchr(text, '/') != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct server_config *config = NULL;
	struct config_errors errors;

	if (text == NULL)
		return 0;
	if (book == NULL)
		open_book();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!reaches_out(text)) {
		int code = server_config_load_text(text, NAME, &config, &errors);

		if (code == 0) {
			require(errors.n == 0, "loaded without errors");
			check_config(config);
		} else if (code == POOL_E_CONFIG) {
			check_errors(&errors);
		}
		server_config_free(&config);
		config_errors_done(&errors);
	}
	free(text);
	return 0;
}
