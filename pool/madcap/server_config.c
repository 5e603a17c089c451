/* SPDX-License-Identifier: MIT */
#include "server_config.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "address.h"
#include "array.h"
#include "endpoint.h"
#include "parse.h"
#include "server_config_loader.h"

#define DEFAULT_STATE_DIR "/var/lib/madcapd"
#define DEFAULT_LISTEN "0.0.0.0"
#define LIST_MAX 128
#define GETINFO_RATE 20
#define GETINFO_RATE_MAX 1000000 /* the table of rates counts microseconds */

/* ---- values ------------------------------------------------------------------------------ */

const char *server_keep_string(struct config_loader *loader, struct server_config *config,
			       const char *value)
{
	char **strings =
		reallocarray(config->strings, config->n_strings + 1, sizeof(*config->strings));
	char *copy = strdup(value);

	if (strings != NULL)
		config->strings = strings;
	if (strings == NULL || copy == NULL) {
		free(copy);
		loader->no_memory = true;
		return NULL;
	}
	config->strings[config->n_strings++] = copy;
	return copy;
}

bool server_lease_time(struct config_loader *loader, const config_setting_t *setting, uint32_t *ret)
{
	int64_t seconds;

	if (!loader_duration(loader, setting, &seconds))
		return false;
	if (seconds == 0) {
		loader_report(loader, setting, "%s: must be more than \"0s\"",
			      config_setting_name(setting));
		return false;
	}
	*ret = seconds == DURATION_FOREVER ? 0 : (uint32_t)seconds;
	return true;
}

/* ---- addresses and places ---------------------------------------------------------------- */

static bool parse_listen(const char *value, uint16_t port, struct madcap_endpoint *ret)
{
	*ret = (struct madcap_endpoint){ .port = port };
	return madcap_address_parse(value, &ret->address) || madcap_endpoint_parse(value, ret);
}

static void each_listen(struct config_loader *loader, const config_setting_t *at, const char *value,
			void *object)
{
	struct server_draft *draft = object;
	struct server_config *config = draft->config;
	struct madcap_endpoint endpoint;
	char quoted[QUOTE_SIZE];

	if (!parse_listen(value, (uint16_t)draft->port, &endpoint) ||
	    madcap_address_is_multicast(&endpoint.address)) {
		loader_report(loader, at,
			      "listen: %s is no address of a host: write \"0.0.0.0\", \"::\", "
			      "\"192.0.2.1\" or, with a port, \"192.0.2.1:2535\"",
			      loader_quote(value, quoted));
		return;
	}
	for (size_t i = 0; i < config->n_listen; i++) {
		if (madcap_endpoint_equal(&config->listen[i], &endpoint)) {
			loader_report(loader, at, "listen: %s stands here twice",
				      loader_quote(value, quoted));
			return;
		}
	}
	if (config->n_listen == LIST_MAX)
		loader_report(loader, at, "listen: more than %d addresses", LIST_MAX);
	else
		config->listen[config->n_listen++] = endpoint;
}

/* Read when the port is known. */
static void read_listen(struct config_loader *loader, struct server_draft *draft)
{
	static const struct config_strings strings = { DEFAULT_LISTEN, each_listen };
	struct server_config *config = draft->config;

	config->listen = loader_alloc(loader, LIST_MAX, sizeof(*config->listen));
	if (config->listen == NULL)
		return;
	if (draft->listen == NULL) {
		(void)madcap_address_parse(DEFAULT_LISTEN, &config->listen[0].address);
		config->listen[0].port = (uint16_t)draft->port;
		config->n_listen = 1;
		return;
	}
	loader_strings(loader, draft->listen, &strings, draft);
	if (config->n_listen == 0 && loader->n_reports == 0)
		loader_report(loader, draft->listen,
			      "listen: is empty; it looks like listen = ( \"0.0.0.0\" );");
}

static void note_listen(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;

	(void)loader;
	draft->listen = setting;
}

static void note_scopes(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;

	(void)loader;
	draft->scope_list = setting;
}

static void read_port(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;

	(void)loader_unsigned(loader, setting, UINT16_MAX, &draft->port);
}

static void each_interface(struct config_loader *loader, const config_setting_t *at,
			   const char *value, void *object)
{
	struct server_config *config = object;
	char quoted[QUOTE_SIZE];
	char *copy = NULL;

	if (value[0] == '\0' || strlen(value) >= IF_NAMESIZE || strpbrk(value, "/ \t\n") != NULL) {
		loader_report(loader, at, "interfaces: %s is no interface name such as \"eth0\"",
			      loader_quote(value, quoted));
		return;
	}
	for (size_t i = 0; i < config->n_interfaces; i++) {
		if (strcmp(config->interfaces[i], value) == 0) {
			loader_report(loader, at, "interfaces: %s stands here twice",
				      loader_quote(value, quoted));
			return;
		}
	}
	if (config->n_interfaces == LIST_MAX) {
		loader_report(loader, at, "interfaces: more than %d", LIST_MAX);
		return;
	}
	loader_copy(loader, value, &copy);
	if (copy != NULL)
		config->interfaces[config->n_interfaces++] = copy;
}

static void read_interfaces(struct config_loader *loader, const config_setting_t *setting,
			    void *object)
{
	static const struct config_strings strings = { "eth0", each_interface };
	struct server_draft *draft = object;
	struct server_config *config = draft->config;

	config->interfaces = loader_alloc(loader, LIST_MAX, sizeof(*config->interfaces));
	if (config->interfaces != NULL)
		loader_strings(loader, setting, &strings, config);
}

static void read_state_dir(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct server_draft *draft = object;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, DEFAULT_STATE_DIR, &value))
		return;
	if (value[0] != '/')
		loader_report(loader, setting, "state_dir: %s is no absolute path",
			      loader_quote(value, quoted));
	loader_copy(loader, value, &draft->config->state_dir);
}

static void read_user(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;
	const char *value;

	if (!loader_string(loader, setting, "madcapd", &value))
		return;
	if (value[0] == '\0')
		loader_report(loader, setting, "user: is empty; leave it out or name a user");
	loader_copy(loader, value, &draft->config->user);
}

static void read_server_id(struct config_loader *loader, const config_setting_t *setting,
			   void *object)
{
	struct server_draft *draft = object;
	struct madcap_address address;
	char quoted[QUOTE_SIZE];
	const char *value;

	if (!loader_string(loader, setting, "192.0.2.1", &value))
		return;
	if (!madcap_address_parse(value, &address) || madcap_address_is_multicast(&address) ||
	    madcap_address_is_unspecified(&address))
		loader_report(loader, setting,
			      "server_id: %s is no host's address such as \"192.0.2.1\"",
			      loader_quote(value, quoted));
	else
		draft->config->server.server_id = address;
}

/* ---- times and limits -------------------------------------------------------------------- */

static void read_extra_time(struct config_loader *loader, const config_setting_t *setting,
			    void *object)
{
	struct server_draft *draft = object;

	(void)loader_duration(loader, setting, &draft->config->server.extra_allocation_sec);
}

static void read_skew(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;

	(void)loader_duration(loader, setting, &draft->config->server.clock_skew_allowance_sec);
}

/* A time of which what waits for it takes memory. */
static void read_short(struct config_loader *loader, const config_setting_t *setting,
		       int64_t max_sec, int64_t *ret_sec)
{
	int64_t seconds;

	if (!loader_duration(loader, setting, &seconds))
		return;
	if (seconds > max_sec)
		loader_report(loader, setting, "%s: must not be more than \"%llds\"",
			      config_setting_name(setting), (long long)max_sec);
	else
		*ret_sec = seconds;
}

static void read_cache(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;

	read_short(loader, setting, MADCAP_RESPONSE_CACHE_MAX_SEC,
		   &draft->config->server.response_cache_sec);
}

static void read_hold(struct config_loader *loader, const config_setting_t *setting, void *object)
{
	struct server_draft *draft = object;

	read_short(loader, setting, 3600, &draft->config->server.offer_hold_sec);
}

static void read_retry_after(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	struct server_draft *draft = object;
	uint32_t seconds;

	if (!server_lease_time(loader, setting, &seconds))
		return;
	if (seconds == 0)
		loader_report(loader, setting, "retry_after: must not be \"forever\"");
	draft->config->server.retry_after_sec = seconds;
}

static void read_per_request(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	struct server_draft *draft = object;
	uint32_t value;

	if (loader_number(loader, setting, 1, UINT16_MAX, &value))
		draft->config->server.max_addresses_per_request = value;
}

static void read_per_client(struct config_loader *loader, const config_setting_t *setting,
			    void *object)
{
	struct server_draft *draft = object;

	(void)loader_unsigned(loader, setting, INT32_MAX,
			      &draft->config->server.max_addresses_per_client);
}

static void read_retry_above(struct config_loader *loader, const config_setting_t *setting,
			     void *object)
{
	struct server_draft *draft = object;

	(void)loader_unsigned(loader, setting, UINT16_MAX,
			      &draft->config->server.retry_after_above);
}

static void read_getinfo_rate(struct config_loader *loader, const config_setting_t *setting,
			      void *object)
{
	struct server_draft *draft = object;

	(void)loader_unsigned(loader, setting, GETINFO_RATE_MAX,
			      &draft->config->server.getinfo_rate);
}

static void read_only_unicast(struct config_loader *loader, const config_setting_t *setting,
			      void *object)
{
	struct server_draft *draft = object;

	(void)loader_bool(loader, setting, &draft->config->server.only_unicast);
}

/* ---- the whole --------------------------------------------------------------------------- */

static void read_root(struct config_loader *loader, const config_setting_t *root, void *object)
{
	static const struct config_key keys[] = {
		{ "listen", note_listen },
		{ "port", read_port },
		{ "interfaces", read_interfaces },
		{ "state_dir", read_state_dir },
		{ "user", read_user },
		{ "server_id", read_server_id },
		{ "book", server_read_book },
		{ "connection", server_read_connection },
		{ "database_timeout", server_read_timeout },
		{ "server_name", server_read_name },
		{ "on_failure", server_read_on_failure },
		{ "scopes", note_scopes },
		{ "extra_allocation_time", read_extra_time },
		{ "clock_skew_allowance", read_skew },
		{ "response_cache", read_cache },
		{ "offer_hold", read_hold },
		{ "retry_after", read_retry_after },
		{ "max_addresses_per_request", read_per_request },
		{ "max_addresses_per_client", read_per_client },
		{ "retry_after_above", read_retry_above },
		{ "getinfo_rate", read_getinfo_rate },
		{ "only_unicast", read_only_unicast },
	};
	struct server_draft *draft = object;

	if (loader->no_memory)
		return;
	(void)loader_group(loader, root, keys, ARRAY_SIZE(keys), draft);
	read_listen(loader, draft);
	server_check_book(loader, draft);
	if (draft->scope_list == NULL)
		loader_report_line(loader, 1,
				   "there are no scopes: add scopes = ( { first = "
				   "\"239.192.0.0\"; last = \"239.195.255.255\"; } );");
	else if (!loader->no_memory)
		server_read_scopes(loader, draft->scope_list, draft);
	if (!loader->no_memory)
		server_check_scopes(loader, draft);
}

static struct server_config *new_config(struct config_loader *loader, const char *path)
{
	struct server_config *config = loader_alloc(loader, 1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->server = (struct madcap_server_config){
		.extra_allocation_sec = MADCAP_EXTRA_ALLOCATION_SEC,
		.clock_skew_allowance_sec = MADCAP_CLOCK_SKEW_ALLOWANCE_SEC,
		.response_cache_sec = MADCAP_RESPONSE_CACHE_SEC,
		.offer_hold_sec = MADCAP_OFFER_HOLD_SEC,
		.max_addresses_per_request = 256,
		.max_addresses_per_client = 1024,
		.getinfo_rate = GETINFO_RATE,
	};
	/* Not to be known to those whose messages the server keeps in its tables. */
	if (getrandom(&config->server.seed, sizeof(config->server.seed), 0) !=
	    sizeof(config->server.seed))
		loader->no_memory = true;
	config->database_timeout_sec = 2;
	loader_copy(loader, path, &config->path);
	loader_copy(loader, DEFAULT_STATE_DIR, &config->state_dir);
	return config;
}

static int load(const struct config_source *source, struct server_config **ret,
		struct config_errors *errors)
{
	struct config_loader loader = { 0 };
	struct server_draft draft = { .port = MADCAP_PORT };
	const struct config_reader reader = { read_root, &draft };
	int code;

	*errors = (struct config_errors){ 0 };
	draft.config = new_config(&loader, source->path);
	if (draft.config == NULL)
		return POOL_E_NO_MEMORY;
	code = loader_load(&loader, source, &reader, errors);
	free(draft.scopes);
	if (code == 0)
		*ret = draft.config;
	else
		server_config_free(&draft.config);
	return code;
}

int server_config_load(const char *path, struct server_config **ret, struct config_errors *errors)
{
	return load(&(struct config_source){ .path = path }, ret, errors);
}

int server_config_load_text(const char *text, const char *name, struct server_config **ret,
			    struct config_errors *errors)
{
	return load(&(struct config_source){ .path = name, .text = text }, ret, errors);
}

void server_config_free(struct server_config **config)
{
	struct server_config *old = config != NULL ? *config : NULL;

	if (old == NULL)
		return;
	for (size_t i = 0; i < old->server.n_scopes; i++) {
		free(old->parts[i].names);
		free(old->parts[i].allocate);
		free(old->parts[i].exclude);
		free(old->parts[i].inside);
	}
	for (size_t i = 0; i < old->n_strings; i++)
		free(old->strings[i]);
	for (size_t i = 0; i < old->n_interfaces; i++)
		free(old->interfaces[i]);
	free(old->strings);
	free(old->interfaces);
	free(old->scopes);
	free(old->parts);
	free(old->listen);
	free(old->connection);
	free(old->name);
	free(old->state_dir);
	free(old->user);
	free(old->path);
	free(old);
	*config = NULL;
}
