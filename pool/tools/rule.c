/* SPDX-License-Identifier: MIT */
/*
 * rule.c - a rule of `assign`, in words.
 */
#include "tool.h"

#include <arpa/inet.h>

#include "parse.h"

static const char *whom(const struct config_rule *rule, char *buf, size_t size)
{
	char user[TEXT_SIZE], port[TEXT_SIZE];

	text_utf8(rule->user ? rule->user : "", true, user, sizeof(user));
	text_utf8(rule->port ? rule->port : "", true, port, sizeof(port));
	if (rule->user != NULL && rule->port != NULL)
		snprintf(buf, size, "user \"%s\" on port \"%s\"", user, port);
	else if (rule->user != NULL)
		snprintf(buf, size, "user \"%s\"", user);
	else if (rule->port != NULL)
		snprintf(buf, size, "port \"%s\"", port);
	else
		snprintf(buf, size, "everybody");
	return buf;
}

const char *rule_sentence(const struct config *config, const struct config_rule *rule, char *buf,
			  size_t size)
{
	char who[2 * TEXT_SIZE + 32], address[IP4_TEXT_SIZE];
	char file[TEXT_SIZE], line[TEXT_SIZE + 32] = "";

	whom(rule, who, sizeof(who));
	if (rule->line > 0)
		snprintf(line, sizeof(line),
			 "%s:%u: ", text_utf8(rule->file, true, file, sizeof(file)), rule->line);
	if (rule->is_reservation)
		snprintf(buf, size, "%s%s gets the reserved address %s", line, who,
			 format_ip4(rule->addr, address));
	else
		snprintf(buf, size, "%s%s gets pool %s", line, who, config->pools[rule->pool].name);
	return buf;
}

json_t *rule_json(const struct config *config, const struct config_rule *rule)
{
	json_t *object = json_object();

	json_put(object, "file", rule->line > 0 ? json_text(rule->file) : json_null());
	json_put(object, "line", rule->line > 0 ? json_count(rule->line) : json_null());
	json_put(object, "user", rule->user ? json_text(rule->user) : json_null());
	json_put(object, "port", rule->port ? json_text(rule->port) : json_null());
	json_put(object, "address",
		 rule->is_reservation ? json_address(htonl(rule->addr)) : json_null());
	json_put(object, "pool",
		 rule->pool == CONFIG_NO_POOL ? json_null()
					      : json_text(config->pools[rule->pool].name));
	return object;
}
