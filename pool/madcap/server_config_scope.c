/* SPDX-License-Identifier: MIT */
/* The `scopes` of madcapd.conf. */
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "array.h"
#include "parse.h"
#include "server_config_loader.h"

#define DEFAULT_TTL 32
#define DEFAULT_MAX_LEASE_SEC (30 * 24 * 3600)
#define NAMES_MAX 255
#define NAME_OCTETS_MAX 255

/* ---- names ------------------------------------------------------------------------------- */

struct name_draft {
	struct scope_draft *scope;
	struct madcap_zone_name *name;
};

/* Octets that follow the first one of a character, or -1. */
static int utf8_following(unsigned char first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first < 0xe0)
		return 1;
	if (first >= 0xe0 && first < 0xf0)
		return 2;
	return first >= 0xf0 && first < 0xf5 ? 3 : -1;
}

static bool is_utf8(const char *text)
{
	while (*text != '\0') {
		unsigned char first = (unsigned char)*text++;
		unsigned char next = (unsigned char)*text;
		int following = utf8_following(first);

		/* Overlong forms, surrogates, and what lies beyond Unicode. */
		if (following < 0 || (first == 0xe0 && next < 0xa0) ||
		    (first == 0xed && next >= 0xa0) || (first == 0xf0 && next < 0x90) ||
		    (first == 0xf4 && next >= 0x90))
			return false;
		for (; following > 0; following--, text++) {
			if (((unsigned char)*text & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

static bool is_tag(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= NAME_OCTETS_MAX && text[0] != '-' &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") ==
		       length;
}

static void read_lang(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct name_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "en", &value))
		return;
	if (!is_tag(value))
		loader_report(loader, setting, "lang: %s is no language tag such as \"en\"",
			      loader_quote(value, quoted));
	draft->name->language = server_keep_string(loader, draft->scope->config, value);
}

static void read_name(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct name_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "Organisation", &value))
		return;
	if (value[0] == '\0' || strlen(value) > NAME_OCTETS_MAX || !is_utf8(value))
		loader_report(loader, setting, "name: %s is not 1 to %d octets of UTF-8",
			      loader_quote(value, quoted), NAME_OCTETS_MAX);
	draft->name->name = server_keep_string(loader, draft->scope->config, value);
}

static void read_default(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct name_draft *draft = object;

	(void)loader_bool(loader, setting, &draft->name->is_default);
}

static void check_name(struct config_loader *loader, const config_setting_t *setting,
		       const struct scope_draft *scope, const struct madcap_zone_name *name)
{
	if (name->language == NULL || name->name == NULL) {
		loader_report(loader, setting, "a name needs lang = \"...\" and name = \"...\"");
		return;
	}
	for (const struct madcap_zone_name *other = scope->parts->names; other < name; other++) {
		if (other->language != NULL && strcasecmp(other->language, name->language) == 0)
			loader_report(loader, setting, "names: a second name for language \"%s\"",
				      name->language);
		if (other->is_default && name->is_default)
			loader_report(loader, setting,
				      "names: a second one with default = true; one name is the "
				      "default");
	}
}

static void read_names(struct config_loader *loader, const config_setting_t *list, void *object)
{
	static const struct config_key keys[] = {
		{ "lang", read_lang },
		{ "name", read_name },
		{ "default", read_default },
	};
	struct scope_draft *draft = object;
	size_t n = loader_list(loader, list, "{ lang = \"en\"; name = \"Organisation\"; }");

	if (n > NAMES_MAX) {
		loader_report(loader, list, "names: more than %d", NAMES_MAX);
		return;
	}
	draft->parts->names = loader_alloc(loader, n, sizeof(*draft->parts->names));
	if (draft->parts->names == NULL)
		return;
	draft->scope->names = draft->parts->names;
	for (size_t i = 0; i < n && !loader->no_memory; i++) {
		const config_setting_t *element = config_setting_get_elem(list, (unsigned int)i);
		struct name_draft name = { draft, &draft->parts->names[i] };

		draft->scope->n_names = i + 1;
		if (loader_group(loader, element, keys, ARRAY_SIZE(keys), &name))
			check_name(loader, element, draft, name.name);
	}
}

/* ---- addresses --------------------------------------------------------------------------- */

static bool read_group(struct config_loader *loader, const config_setting_t *setting,
		       struct madcap_address *ret)
{
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "239.192.0.0", &value))
		return false;
	if (madcap_address_parse(value, ret) && madcap_address_is_multicast(ret))
		return true;
	loader_report(loader, setting, "%s: %s is no multicast address such as \"239.192.0.0\"",
		      config_setting_name(setting), loader_quote(value, quoted));
	*ret = (struct madcap_address){ 0 };
	return false;
}

static void read_first(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct scope_draft *draft = object;

	draft->first = setting;
	(void)read_group(loader, setting, &draft->scope->first);
}

static void read_last(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct scope_draft *draft = object;

	draft->last = setting;
	(void)read_group(loader, setting, &draft->scope->last);
}

/* A list of ranges that grows. */
struct ranges_draft {
	struct madcap_address_range *list;
	size_t n, room;
};

static void each_range(struct config_loader *loader, const config_setting_t *at, const char *value,
		       void *object)
{
	struct ranges_draft *draft = object;
	struct madcap_address_range range;
	char quoted[QUOTE_SIZE];

	if (!madcap_range_parse(value, &range.first, &range.last)) {
		loader_report(loader, at,
			      "%s: %s is no range: write \"239.192.0.0/16\", "
			      "\"239.192.0.0-239.192.0.99\" or one address",
			      config_setting_name(config_setting_parent(at)),
			      loader_quote(value, quoted));
		return;
	}
	if (draft->n == draft->room) {
		size_t room = draft->room == 0 ? 16 : draft->room * 2;
		struct madcap_address_range *list =
			reallocarray(draft->list, room, sizeof(*draft->list));

		if (list == NULL) {
			loader->no_memory = true;
			return;
		}
		draft->list = list;
		draft->room = room;
	}
	draft->list[draft->n++] = range;
}

static void read_allocate(struct config_loader *loader, const config_setting_t *setting,
			  void *object)
{
	static const struct config_strings strings = { "239.192.0.0-239.192.255.255", each_range };
	struct scope_draft *draft = object;
	struct ranges_draft ranges = { 0 };

	draft->allocate = setting;
	loader_strings(loader, setting, &strings, &ranges);
	draft->scope->allocate = draft->parts->allocate = ranges.list;
	draft->scope->n_allocate = ranges.n;
}

static void read_exclude(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	static const struct config_strings strings = { "239.192.0.1", each_range };
	struct scope_draft *draft = object;
	struct ranges_draft ranges = { 0 };

	draft->exclude = setting;
	loader_strings(loader, setting, &strings, &ranges);
	draft->scope->exclude = draft->parts->exclude = ranges.list;
	draft->scope->n_exclude = ranges.n;
}

static void each_inside(struct config_loader *loader, const config_setting_t *at, const char *value,
			void *object)
{
	struct scope_draft *draft = object;
	struct madcap_address address;
	char quoted[QUOTE_SIZE];

	if (!madcap_address_parse(value, &address)) {
		loader_report(loader, at,
			      "inside: %s is no address: name the other scope by its first one",
			      loader_quote(value, quoted));
		return;
	}
	if (draft->scope->n_inside < SERVER_CONFIG_SCOPES_MAX)
		draft->parts->inside[draft->scope->n_inside++] = address;
}

static void read_inside(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	static const struct config_strings strings = { "239.192.0.0", each_inside };
	struct scope_draft *draft = object;

	draft->inside = setting;
	draft->parts->inside =
		loader_alloc(loader, SERVER_CONFIG_SCOPES_MAX, sizeof(*draft->parts->inside));
	if (draft->parts->inside == NULL)
		return;
	draft->scope->inside = draft->parts->inside;
	loader_strings(loader, setting, &strings, draft);
}

/* ---- the rest of a scope ----------------------------------------------------------------- */

static void read_ttl(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct scope_draft *draft = object;
	uint32_t value;

	if (loader_number(loader, setting, 1, 255, &value))
		draft->scope->ttl = (uint8_t)value;
}

static void read_max_lease(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct scope_draft *draft = object;

	(void)server_lease_time(loader, setting, &draft->scope->max_lease_sec);
}

static void read_default_lease(struct config_loader *loader, const config_setting_t *setting,
			       void *object)
{
	struct scope_draft *draft = object;

	draft->default_lease = setting;
	(void)server_lease_time(loader, setting, &draft->scope->default_lease_sec);
}

static void read_expires(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct scope_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (loader_string(loader, setting, "2027-01-01T00:00:00Z", &value) &&
	    !parse_time(value, &draft->scope->expires_sec))
		loader_report(loader, setting,
			      "expires: %s is no time such as \"2027-01-01T00:00:00Z\"",
			      loader_quote(value, quoted));
}

static void read_enabled(struct config_loader *loader, const config_setting_t *setting,
			 void *object)
{
	struct scope_draft *draft = object;
	bool value;

	if (loader_bool(loader, setting, &value))
		draft->scope->disabled = !value;
}

static void read_scope(struct config_loader *loader, struct scope_draft *draft)
{
	static const struct config_key keys[] = {
		{ "first", read_first },
		{ "last", read_last },
		{ "ttl", read_ttl },
		{ "names", read_names },
		{ "allocate", read_allocate },
		{ "exclude", read_exclude },
		{ "max_lease", read_max_lease },
		{ "default_lease", read_default_lease },
		{ "inside", read_inside },
		{ "expires", read_expires },
		{ "enabled", read_enabled },
	};

	draft->scope->ttl = DEFAULT_TTL;
	draft->scope->max_lease_sec = DEFAULT_MAX_LEASE_SEC;
	if (!loader_group(loader, draft->setting, keys, ARRAY_SIZE(keys), draft))
		return;
	if (draft->first == NULL || draft->last == NULL)
		loader_report(loader, draft->setting,
			      "this scope needs first = \"...\" and last = \"...\"");
}

void server_read_scopes(struct config_loader *loader, const config_setting_t *list,
			struct server_draft *draft)
{
	struct server_config *config = draft->config;
	size_t n = loader_list(loader, list, "{ first = \"...\"; last = \"...\"; }");

	if (n > SERVER_CONFIG_SCOPES_MAX) {
		loader_report(loader, list, "scopes: more than %d", SERVER_CONFIG_SCOPES_MAX);
		return;
	}
	config->scopes = loader_alloc(loader, n, sizeof(*config->scopes));
	config->parts = loader_alloc(loader, n, sizeof(*config->parts));
	draft->scopes = loader_alloc(loader, n, sizeof(*draft->scopes));
	if (loader->no_memory)
		return;
	config->server.scopes = config->scopes;
	config->server.n_scopes = n;
	for (size_t i = 0; i < n && !loader->no_memory; i++) {
		draft->scopes[i] = (struct scope_draft){
			.setting = config_setting_get_elem(list, (unsigned int)i),
			.scope = &config->scopes[i],
			.parts = &config->parts[i],
			.config = config,
		};
		read_scope(loader, &draft->scopes[i]);
	}
}
