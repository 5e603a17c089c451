/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: the loader of madcapd.conf. Any text either loads, and then a server accepts
 * it, or is rejected with at least one FILE:LINE message of one line.
 */
#include "fuzz_conf.h"
#include "madcap/address.h"
#include "madcap/book.h"
#include "madcap/server.h"
#include "madcap/server_config.h"

static struct book *book;

static void close_book(void)
{
	book_close(&book);
}

static void open_book(void)
{
	const struct book_options options = { .state_dir = fuzz_directory,
					      .map_bytes = 1 << 20,
					      .unsynced = true };
	struct error error = { 0 };

	fuzz_make_directory("/tmp/fuzz-madcap-config-XXXXXX");
	require(book_open(&options, &book, &error) == 0, error.text);
	atexit(close_book);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct server_config *config = NULL;
	struct config_errors errors;

	if (text == NULL)
		return 0;
	if (book == NULL)
		open_book();
	if (!fuzz_reaches_out(text)) {
		int code = server_config_load_text(text, FUZZ_CONF_NAME, &config, &errors);

		if (code == 0) {
			require(errors.n == 0, "loaded without errors");
			check_config(config);
		} else if (code == POOL_E_CONFIG) {
			fuzz_check_errors(&errors);
		}
		server_config_free(&config);
		config_errors_done(&errors);
	}
	free(text);
	return 0;
}
