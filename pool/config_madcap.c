/* SPDX-License-Identifier: MIT */
/* The madcap group of a pool is checked in full; nothing of it is kept yet. */
#include "config_loader.h"

#include <net/if.h>
#include <string.h>

#include "parse.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void read_scope(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	bool *scope_given = object;
	char quoted[QUOTE_SIZE];
	const char *value;
	uint32_t addr;

	*scope_given = true;
	if (loader_string(loader, setting, "239.192.0.0", &value) &&
	    (!parse_ip4(value, &addr) || addr >> 28 != 14))
		loader_report(
			loader, setting,
			"scope: %s is no multicast address: write the scope's first one, such "
			"as \"239.192.0.0\"",
			loader_quote(value, quoted));
}

static void each_server(struct config_loader *loader, const config_setting_t *at, const char *value,
			void *object)
{
	const char *colon = strchr(value, ':');
	size_t length = colon != NULL ? (size_t)(colon - value) : strlen(value);
	char host[IP4_TEXT_SIZE] = "", quoted[QUOTE_SIZE];
	struct range range;
	uint64_t port;

	(void)object;
	if (length < sizeof(host))
		memcpy(host, value, length);
	if (!parse_ip4(host, &range.first) ||
	    (colon != NULL && !parse_unsigned(colon + 1, 1, 65535, &port))) {
		loader_report(loader, at,
			      "servers: %s is no server: write \"192.0.2.1\" or, with a port, "
			      "\"192.0.2.1:2535\"",
			      loader_quote(value, quoted));
		return;
	}
	/* A server on this host is fine; a group or 0.0.0.0 is not. */
	if (range.first >> 24 == 0 || range.first >> 28 >= 14)
		loader_report(loader, at, "servers: %s is no host's address",
			      loader_quote(value, quoted));
}

static void read_servers(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	static const struct config_strings strings = { "192.0.2.1", each_server };

	loader_strings(loader, setting, &strings, object);
}

static void read_interface(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	char quoted[QUOTE_SIZE];
	const char *value;

	(void)object;
	if (!loader_string(loader, setting, "eth0", &value))
		return;
	if (value[0] == '\0' || strlen(value) >= IF_NAMESIZE || strpbrk(value, "/ \t\n") != NULL)
		loader_report(loader, setting,
			      "interface: %s is no interface name such as \"eth0\"",
			      loader_quote(value, quoted));
}

/* A duration that has to end and to fit into the protocol's 32 bits. */
static void read_madcap_time(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	int64_t seconds;

	(void)object;
	if (loader_duration(loader, setting, &seconds) && (seconds == 0 || seconds > UINT32_MAX))
		loader_report(loader, setting, "%s: must be more than \"0s\" and not \"forever\"",
			      config_setting_name(setting));
}

static void read_local_allocation(struct config_loader *loader, const config_setting_t *setting,
				  void *object)
{
	bool value;

	(void)object;
	(void)loader_bool(loader, setting, &value);
}

void loader_read_madcap(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	static const struct config_key keys[] = {
		{ "scope", read_scope },         { "servers", read_servers },
		{ "interface", read_interface }, { "lease", read_madcap_time },
		{ "timeout", read_madcap_time }, { "local_allocation", read_local_allocation },
	};
	struct pool_draft *draft = object;
	bool scope_given = false;

	draft->madcap = setting;
	if (loader_group(loader, setting, keys, ARRAY_SIZE(keys), &scope_given) && !scope_given)
		loader_report(loader, setting,
			      "madcap: scope is missing: add scope = \"239.192.0.0\";");
}
