/* SPDX-License-Identifier: MIT */
/* madcapd.conf: what loads, what it means, and what every mistake is called. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/address.h"
#include "madcap/server_config.h"
#include "suite.h"

#define ORG "first = \"239.192.0.0\"; last = \"239.195.255.255\";"
#define SCOPES "scopes = ( { " ORG " } );\n"

static struct server_config *load(const char *text)
{
	struct server_config *config = NULL;
	struct config_errors errors;
	int code = server_config_load_text(text, "m.conf", &config, &errors);

	for (size_t i = 0; i < errors.n; i++)
		ck_abort_msg("%s", errors.lines[i]);
	ck_assert_int_eq(code, 0);
	return config;
}

static void assert_address(const struct madcap_address *address, const char *text)
{
	char buf[MADCAP_ADDRESS_TEXT];

	ck_assert_str_eq(madcap_address_format(address, buf), text);
}

START_TEST(defaults)
{
	struct server_config *config = load(SCOPES);
	const struct madcap_server_config *server = &config->server;

	ck_assert_uint_eq(config->n_listen, 1);
	assert_address(&config->listen[0].address, "0.0.0.0");
	ck_assert_uint_eq(config->listen[0].port, 2535);
	ck_assert_uint_eq(config->n_interfaces, 0);
	ck_assert_str_eq(config->state_dir, "/var/lib/madcapd");
	ck_assert_ptr_null(config->user);
	ck_assert_uint_eq(server->server_id.family, 0);
	ck_assert_int_eq(server->extra_allocation_sec, 3600);
	ck_assert_int_eq(server->clock_skew_allowance_sec, 1800);
	ck_assert_int_eq(server->response_cache_sec, 60);
	ck_assert_int_eq(server->offer_hold_sec, 60);
	ck_assert_uint_eq(server->max_addresses_per_request, 256);
	ck_assert_uint_eq(server->max_addresses_per_client, 1024);
	ck_assert_uint_eq(server->retry_after_above, 0);
	ck_assert_uint_eq(server->getinfo_rate, 20);
	ck_assert_uint_eq(server->n_scopes, 1);
	ck_assert_uint_eq(server->scopes[0].ttl, 32);
	ck_assert_uint_eq(server->scopes[0].max_lease_sec, 30 * 24 * 3600);
	ck_assert_uint_eq(server->scopes[0].default_lease_sec, 0);
	ck_assert(!server->scopes[0].disabled);
	server_config_free(&config);
	ck_assert_ptr_null(config);
}
END_TEST

/* With a hash that everybody knows, a stranger's messages could all get into one bucket. */
START_TEST(each_server_has_a_secret)
{
	struct server_config *one = load(SCOPES), *two = load(SCOPES);

	ck_assert_uint_ne(one->server.seed, 0);
	ck_assert_uint_ne(two->server.seed, 0);
	ck_assert_uint_ne(one->server.seed, two->server.seed);
	server_config_free(&one);
	server_config_free(&two);
}
END_TEST

START_TEST(everything)
{
	struct server_config *config =
		load("listen = ( \"192.0.2.1\", \"::1\", \"192.0.2.2:99\", \"fe80::1%1\",\n"
		     " \"fe80::1%2\", \"::2\" ); port = 0;\n"
		     "interfaces = [ \"eth0\", \"eth1\" ]; state_dir = \"/x\"; user = \"u\";\n"
		     "server_id = \"192.0.2.9\"; retry_after = \"5m\"; retry_after_above = 10;\n"
		     "clock_skew_allowance = \"forever\"; only_unicast = true;\n"
		     "getinfo_rate = 0;\n"
		     "scopes = ( { " ORG " ttl = 255; enabled = false; max_lease = \"forever\";\n"
		     "  default_lease = \"1h\"; expires = \"2027-01-01T00:00:00Z\";\n"
		     "  names = ( { lang = \"en\"; name = \"Org\"; default = true; },\n"
		     "            { lang = \"de\"; name = \"B\xc3\xbcro\"; } );\n"
		     "  allocate = ( \"239.192.1.0/24\", \"239.193.0.0-239.193.0.9\" );\n"
		     "  exclude = ( \"239.192.1.7\" ); inside = ( \"ff15::\" ); },\n"
		     "  { first = \"ff15::\"; last = \"ff15::ffff:ffff\"; } );\n");
	const struct madcap_server_scope *scope = &config->server.scopes[0];

	ck_assert_uint_eq(config->n_listen, 6);
	ck_assert_uint_eq(config->listen[1].port, 0);
	ck_assert_uint_eq(config->listen[2].port, 99);
	ck_assert_uint_eq(config->listen[4].zone, 2);
	ck_assert_uint_eq(config->listen[5].zone, 0); /* not what the one before it had */
	ck_assert_uint_eq(config->n_interfaces, 2);
	ck_assert_str_eq(config->interfaces[1], "eth1");
	ck_assert_str_eq(config->user, "u");
	assert_address(&config->server.server_id, "192.0.2.9");
	ck_assert_int_eq(config->server.retry_after_sec, 300);
	ck_assert_int_eq(config->server.clock_skew_allowance_sec, INT64_MAX);
	ck_assert(config->server.only_unicast);
	ck_assert_uint_eq(config->server.getinfo_rate, 0);
	ck_assert_uint_eq(scope->ttl, 255);
	ck_assert(scope->disabled);
	ck_assert_uint_eq(scope->max_lease_sec, 0);
	ck_assert_uint_eq(scope->default_lease_sec, 3600);
	ck_assert_int_eq(scope->expires_sec, 1798761600);
	ck_assert_uint_eq(scope->n_names, 2);
	ck_assert_str_eq(scope->names[1].name, "B\xc3\xbcro");
	ck_assert_uint_eq(scope->n_allocate, 2);
	assert_address(&scope->allocate[1].last, "239.193.0.9");
	ck_assert_uint_eq(scope->n_exclude, 1);
	ck_assert_uint_eq(scope->n_inside, 1);
	ck_assert_uint_eq(config->server.scopes[1].first.family, MADCAP_IPV6);
	server_config_free(&config);
}
END_TEST

static const struct {
	const char *text;
	const char *line; /* the beginning of one of the lines, without the file's name */
} mistakes[] = {
	{ "", "1: there are no scopes" },
	{ "scopes = ();", "1: scopes: is empty" },
	{ "scopes = 5;", "1: scopes: expected a list of groups" },
	{ "\nscope = ();\n" SCOPES, "2: unknown key \"scope\" (did you mean \"scopes\"?)" },
	{ "port = 65536;\n" SCOPES, "1: port: 65536 is not in the range" },
	{ "port = \"2535\";\n" SCOPES, "1: port: expected a whole number" },
	{ "listen = ( \"eth0\" );\n" SCOPES, "1: listen: \"eth0\" is no address" },
	{ "listen = ( \"239.1.1.1\" );\n" SCOPES, "1: listen: \"239.1.1.1\" is no address" },
	{ "listen = ();\n" SCOPES, "1: listen: is empty" },
	{ "listen = ( \"::1\",\n\"0::1\" );\n" SCOPES, "2: listen: \"0::1\" stands here twice" },
	{ "interfaces = ( \"a/b\" );\n" SCOPES, "1: interfaces: \"a/b\" is no interface name" },
	{ "interfaces = \"eth0\";\n" SCOPES, "1: interfaces: expected a list of strings" },
	{ "state_dir = \"x\";\n" SCOPES, "1: state_dir: \"x\" is no absolute path" },
	{ "user = \"\";\n" SCOPES, "1: user: is empty" },
	{ "server_id = \"0.0.0.0\";\n" SCOPES, "1: server_id: \"0.0.0.0\" is no host's address" },
	{ "response_cache = \"301s\";\n" SCOPES, "1: response_cache: must not be more than" },
	{ "offer_hold = \"forever\";\n" SCOPES, "1: offer_hold: must not be more than" },
	{ "offer_hold = 60;\n" SCOPES, "1: offer_hold: a duration is a string with a unit" },
	{ "max_addresses_per_request = 0;\n" SCOPES,
	  "1: max_addresses_per_request: 0 is not in the range from 1 to 65535" },
	{ "scopes = ( { " ORG " ttl = 256; } );", "1: ttl: 256 is not in the range from 1 to 255" },
	{ "interfaces = ( \"lo\",\n\"lo\" );\n" SCOPES, "2: interfaces: \"lo\" stands here twice" },
	{ "retry_after = \"forever\";\n" SCOPES, "1: retry_after: must not be" },
	{ "scopes = ( {} );", "1: this scope needs first" },
	{ "scopes = ( { first = \"10.0.0.0\"; } );", "1: first: \"10.0.0.0\" is no multicast" },
	{ "scopes = ( { first = \"239.1.0.0\";\nlast = \"ff05::1\"; } );",
	  "2: last: is of another address family" },
	{ "scopes = ( { first = \"239.1.0.9\";\nlast = \"239.1.0.0\"; } );",
	  "2: last: lies before" },
	{ "scopes = ( { first = \"239.1.0.0\";\nlast = \"239.1.0.1\"; } );",
	  "2: last: a scope has 3 addresses or more" },
	{ "scopes = ( { " ORG " },\n{ first = \"239.195.0.0\"; last = \"239.196.0.0\"; } );",
	  "2: this scope overlaps the one of line 1" },
	{ "scopes = ( { " ORG "\nallocate = ( \"239.196.0.0/16\" ); } );",
	  "2: allocate: 239.196.0.0 does not lie inside the scope" },
	{ "scopes = ( { " ORG "\nallocate = ( \"239.192.0.1/16\" ); } );",
	  "2: allocate: \"239.192.0.1/16\" is no range" },
	{ "scopes = ( { " ORG "\nallocate = ( \"239.192.0.0/16\", \"239.192.3.0/24\" ); } );",
	  "2: allocate: 239.192.3.0 stands here twice" },
	{ "scopes = ( { " ORG "\nexclude = ( \"239.1.0.0\" ); } );",
	  "2: exclude: 239.1.0.0 does not lie inside the scope" },
	{ "scopes = ( { " ORG "\nallocate = ( \"239.192.0.0-239.192.0.9\" );\n"
	  "exclude = ( \"239.192.0.5-239.192.0.9\", \"239.192.0.0-239.192.0.4\" ); } );",
	  "2: this scope can never give an address" },
	{ "scopes = ( { " ORG "\nallocate = ( \"239.195.255.254\" ); } );",
	  "2: this scope can never give an address" },
	{ "scopes = ( { " ORG "\nallocate = (); } );", "2: this scope can never give an address" },
	{ "scopes = ( { " ORG "\nttl = 0; } );", "2: ttl: 0 is not in the range from 1 to 255" },
	{ "scopes = ( { " ORG "\nmax_lease = \"0s\"; } );", "2: max_lease: must be more than" },
	{ "scopes = ( { " ORG "\nmax_lease = \"1h\";\ndefault_lease = \"2h\"; } );",
	  "3: default_lease: is longer than max_lease" },
	{ "scopes = ( { " ORG "\nexpires = \"tomorrow\"; } );", "2: expires: \"tomorrow\" is no" },
	{ "scopes = ( { " ORG "\ninside = ( \"239.1.0.0\" ); } );",
	  "2: inside: 239.1.0.0 begins no other scope" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; } ); } );", "2: a name needs lang" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"e n\"; name = \"x\"; } ); } );",
	  "2: lang: \"e n\" is no language tag" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; name = \"\xff\"; } ); } );",
	  "2: name: \"\\xFF\" is not 1 to 255 octets of UTF-8" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; name = \"x\"; },\n"
	  "{ lang = \"EN\"; name = \"y\"; } ); } );",
	  "3: names: a second name for language \"EN\"" },
	{ "scopes = ( { " ORG "\ninside = ( \"Org\" ); } );",
	  "2: inside: \"Org\" is no address: name the other scope by its first one" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; name = \"x\"; default = true; },\n"
	  "{ lang = \"de\"; name = \"y\"; default = true; } ); } );",
	  "3: names: a second one with default = true" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; name = \"\xe2\x82\"; } ); } );",
	  "2: name: \"\\xE2\\x82\" is not 1 to 255 octets of UTF-8" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; name = \"\xf4\x90\x80\x80\"; } ); } );",
	  "2: name: " },
	{ "scopes = ( { " ORG "\nnames = ( { lang = 1; name = 2; } ); } );",
	  "2: lang: expected a string such as \"en\"" },
	{ "scopes = ( { " ORG "\nnames = ( { lang = \"en\"; name = 2; } ); } );",
	  "2: name: expected a string such as \"Organisation\"" },
	{ "scopes = ( { first = 1; last = 2; } );", "1: first: expected a string such as" },
	{ "scopes = ( { " ORG "\nmax_lease = 5; } );", "2: max_lease: a duration is a string" },
	{ "scopes = ( { " ORG "\ndefault_lease = 5; } );", "2: default_lease: a duration" },
	{ "scopes = ( { " ORG "\nttl = \"5\"; } );", "2: ttl: expected a whole number" },
	{ "state_dir = 5;\n" SCOPES, "1: state_dir: expected a string" },
	{ "server_id = 5;\n" SCOPES, "1: server_id: expected a string" },
	{ "server_name = 5;\n" SCOPES, "1: server_name: expected a string" },
	{ "connection = 5;\n" SCOPES, "1: connection: expected a string" },
	{ "database_timeout = 5;\n" SCOPES, "1: database_timeout: a duration is a string" },
	{ "retry_after_above = \"5\";\n" SCOPES, "1: retry_after_above: expected a whole" },
	{ "scopes = ( { " ORG " }", "1: syntax error" },
};

START_TEST(mistake)
{
	struct server_config *config = NULL;
	struct config_errors errors;
	char expected[256], all[2048] = "";
	bool found = false;
	int code;

	snprintf(expected, sizeof(expected), "m.conf:%s", mistakes[_i].line);
	code = server_config_load_text(mistakes[_i].text, "m.conf", &config, &errors);
	ck_assert_msg(code == POOL_E_CONFIG, "%s loads", mistakes[_i].text);
	ck_assert_ptr_null(config);
	for (size_t i = 0; i < errors.n; i++) {
		found = found || strncmp(errors.lines[i], expected, strlen(expected)) == 0;
		strncat(all, errors.lines[i], sizeof(all) - strlen(all) - 1);
		strncat(all, "\n", sizeof(all) - strlen(all) - 1);
	}
	ck_assert_msg(found, "expected %s, got %s", expected, all);
	config_errors_done(&errors);
}
END_TEST

/* `n` times what `each` makes of its number, between `head` and `tail`. */
static const char *many(const char *head, unsigned int n, const char *each, const char *tail)
{
	static char text[65536];
	size_t length = (size_t)snprintf(text, sizeof(text), "%s", head);

	for (unsigned int i = 0; i < n; i++) {
		const char *comma = i > 0 ? ",\n" : "";

		length +=
			(size_t)snprintf(text + length, sizeof(text) - length, "%s%s", comma, each);
		for (char *hash = strchr(text, '#'); hash != NULL; hash = strchr(hash, '#'))
			*hash = "0123456789abcdef"[hash[1] == '#' ? i / 16 : i % 16];
	}
	ck_assert_uint_lt(length + strlen(tail), sizeof(text));
	snprintf(text + length, sizeof(text) - length, "%s", tail);
	return text;
}

static void expect_mistake(const char *text, const char *words)
{
	struct server_config *config = NULL;
	struct config_errors errors;
	bool found = false;

	ck_assert_int_eq(server_config_load_text(text, "m.conf", &config, &errors), POOL_E_CONFIG);
	for (size_t i = 0; i < errors.n; i++)
		found = found || strstr(errors.lines[i], words) != NULL;
	ck_assert_msg(found, "expected %s, got %s", words, errors.n > 0 ? errors.lines[0] : "");
	config_errors_done(&errors);
}

START_TEST(too_many)
{
	expect_mistake(many("interfaces = ( ", 129, "\"e##\"", " );\n" SCOPES),
		       "interfaces: more than ");
	expect_mistake(many("listen = ( ", 129, "\"2001:db8::##\"", " );\n" SCOPES),
		       "listen: more than ");
	expect_mistake(many("scopes = ( { " ORG " names = ( ", 256,
			    "{ lang = \"##\"; name = \"x\"; }", " ); } );"),
		       "names: more than ");
	expect_mistake(many("scopes = ( ", 256, "{ first = \"239.1.1.1\"; }", " );"),
		       "scopes: more than ");
}
END_TEST

START_TEST(all_mistakes_at_once)
{
	struct server_config *config = NULL;
	struct config_errors errors;
	int code = server_config_load_text("port = -1;\nuser = 5;\n", "m.conf", &config, &errors);

	ck_assert_int_eq(code, POOL_E_CONFIG);
	ck_assert_uint_eq(errors.n, 3);
	config_errors_done(&errors);
}
END_TEST

START_TEST(missing_file)
{
	struct server_config *config = NULL;
	struct config_errors errors;
	int code = server_config_load("/nonexistent/m.conf", &config, &errors);

	ck_assert_int_eq(code, POOL_E_CONFIG);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(errors.lines[0], "/nonexistent/m.conf: No such file or directory");
	config_errors_done(&errors);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("madcapd.conf");

	tcase_add_test(tcase, defaults);
	tcase_add_test(tcase, each_server_has_a_secret);
	tcase_add_test(tcase, everything);
	tcase_add_loop_test(tcase, mistake, 0, (int)(sizeof(mistakes) / sizeof(mistakes[0])));
	tcase_add_test(tcase, too_many);
	tcase_add_test(tcase, all_mistakes_at_once);
	tcase_add_test(tcase, missing_file);
	return run_tcase("madcap_server_config", tcase);
}
