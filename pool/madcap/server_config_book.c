/* SPDX-License-Identifier: MIT */
/* Where madcapd.conf says that the leases are kept, and what is answered when that fails. */
#include <string.h>

#include "array.h"
#include "server_config_loader.h"

#define TIMEOUT_MAX_SEC 60
#define NAME_MAX_SIZE 63

void server_read_book(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	static const char *const words[] = { "file", "postgresql" };
	struct server_draft *draft = object;
	size_t word = 0;

	draft->book = setting;
	if (loader_word(loader, setting, words, ARRAY_SIZE(words), &word))
		draft->is_shared = word == 1;
}

void server_read_connection(struct config_loader *loader, const config_setting_t *setting,
			    void *object)
{
	struct server_draft *draft = object;
	const char *value;

	draft->connection = setting;
	if (!loader_string(loader, setting, "host=db1,db2 dbname=madcap", &value))
		return;
	loader_copy(loader, value, &draft->config->connection);
}

void server_read_timeout(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct server_draft *draft = object;
	int64_t seconds;

	if (!loader_duration(loader, setting, &seconds))
		return;
	if (seconds < 1 || seconds > TIMEOUT_MAX_SEC)
		loader_report(loader, setting, "database_timeout: must be from \"1s\" to \"%ds\"",
			      TIMEOUT_MAX_SEC);
	else
		draft->config->database_timeout_sec = seconds;
}

void server_read_name(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;
	const char *value;

	if (!loader_string(loader, setting, "madcapd1", &value))
		return;
	if (value[0] == '\0' || strlen(value) > NAME_MAX_SIZE)
		loader_report(loader, setting, "server_name: has to have from 1 to %d characters",
			      NAME_MAX_SIZE);
	loader_copy(loader, value, &draft->config->name);
}

void server_read_on_failure(struct config_loader *loader, const config_setting_t *setting,
			    void *object)
{
	static const char *const words[] = { "silence", "nak" };
	struct server_draft *draft = object;
	size_t word = 0;

	if (loader_word(loader, setting, words, ARRAY_SIZE(words), &word))
		draft->config->server.nak_on_failure = word == 1;
}

void server_check_book(struct config_loader *loader, const struct server_draft *draft)
{
	if (draft->is_shared && draft->connection == NULL)
		loader_report(loader, draft->book,
			      "book: \"postgresql\" needs connection = "
			      "\"host=db1,db2 dbname=madcap\"");
	if (!draft->is_shared && draft->connection != NULL)
		loader_report(loader, draft->connection,
			      "connection: is for book = \"postgresql\" only");
}
