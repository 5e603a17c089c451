/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libconfig.h>

#include "config.h"
#include "parse.h"
#include "scratch.h"
#include "suite.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MISTAKES_MAX 10
#define POOL_A "{ name = \"a\"; ranges = ( \"10.0.0.0/24\" ); }"
#define POOLS(settings)                                                                            \
	"pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/24\" );\n" settings " } );\n"
#define ASSIGN(rules) "pools = ( " POOL_A " );\nassign = (\n" rules "\n);\n"
#define MADCAP(settings)                                                                           \
	"pools = ( { name = \"a\"; backend = \"madcap\"; ranges = ( \"10.0.0.0/24\" );\n"          \
	"madcap = { " settings " }; } );\n"

/* Of a number that is too large libconfig makes another one in the pool's range, or none. */
#define IF_LONG_IS_INT(complaint) (sizeof(long) == sizeof(int) ? (complaint) : NULL)
/* Since 1.7 a decimal one stays as it is. */
#if LIBCONFIG_VER_MAJOR > 1 || LIBCONFIG_VER_MINOR >= 7
#define IF_NOT_CUT(complaint) (complaint)
#else
#define IF_NOT_CUT(complaint) IF_LONG_IS_INT(complaint)
#endif

/* Every line is "LINE: message"; the messages are part of the public face, so they are compared. */
static const struct {
	const char *text;
	const char *mistakes[MISTAKES_MAX];
} rejected[] = {
	/* nothing there */
	{ "", { "1: there are no pools: add pools = (" } },
	{ "# nothing\n\n", { "1: there are no pools" } },
	{ "pools = ();", { "1: pools: is empty" } },
	{ "pools = ( {} );", { "1: this pool has no name", "1: this pool has no ranges" } },
	{ "\npools = (\n {\n  name = \"a\"; } );", { "3: this pool has no ranges" } },
	{ "pools = ( { name = \"a\"; ranges = (); } );", { "1: ranges: is empty" } },
	{ "pools = ( { name = \"a\"; ranges = []; } );", { "1: ranges: is empty" } },
	/* syntax */
	{ "pools = (\n" POOL_A "\n", { "3: syntax error" } },
	{ "a = 1\nb == 2;", { "2: syntax error" } },
	{ "a = b;", { "1: syntax error here or just before: a quote ; , or bracket missing" } },
	{ "pools = ( " POOL_A " );\npools = ();",
	  { "2: duplicate setting name: \"pools\" stands twice in this group" } },
	{ POOLS("hold = \"1s\";\nhold : \"2s\";"),
	  { "3: duplicate setting name: \"hold\" stands twice in this group" } },
	{ "pools = ( " POOL_A " );\npools = ( " POOL_A " );",
	  { "2: duplicate setting name: a name stands twice in its group" } },
	{ "a = \"x\n\ny;", { "1: the string that begins here has no closing \"" } },
	{ "\n/* x\n* /\n", { "2: the comment that begins here has no */" } },
	{ POOLS("max_per_user = 4294967297;"),
	  { "2: the number 4294967297 is too large", IF_NOT_CUT("2: max_per_user") } },
	{ POOLS("alarm = 0x100000000;"),
	  { "2: the number 0x100000000 is too large", IF_LONG_IS_INT("2: alarm") } },
	{ ASSIGN("{ user = \"a\\x00b\"; pool = \"a\"; }"), { "3: \\x00 in a string" } },
	{ "@include none.conf", { "1: expected @include \"FILE\"" } },
	{ "@include \"none", { "1: the file name of @include has no closing \"" } },
	{ "\n @include \"/none/none.conf\"",
	  { "2: cannot include \"/none/none.conf\": No such file or directory" } },
	{ "@include \"/\"", { "1: cannot include \"/\": Is a directory" } },
	{ "@include \"/dev/null\"", { "1: cannot include \"/dev/null\": not a regular file" } },
	/* unknown keys, at every level */
	{ "runtimedir = \"/x\";\ncolour = 1;\npools = ( " POOL_A " );",
	  { "1: unknown key \"runtimedir\" (did you mean \"runtime_dir\"?)",
	    "2: unknown key \"colour\"" } },
	{ "pools = ( { name = \"a\";\n ragnes = ( \"10.0.0.0/24\" ); } );",
	  { "1: this pool has no ranges",
	    "2: unknown key \"ragnes\" (did you mean \"ranges\"?)" } },
	{ POOLS("Hold = \"1s\";"), { "2: unknown key \"Hold\" (did you mean \"hold\"?)" } },
	{ ASSIGN("{ users = \"x\"; pool = \"a\"; }"),
	  { "3: unknown key \"users\" (did you mean \"user\"?)" } },
	{ "modules = ( { name = \"P\"; path = \"builtin\"; arg = \"x\"; } );\npools = ( " POOL_A
	  " );",
	  { "1: unknown key \"arg\"" } },
	{ MADCAP("scope = \"239.192.0.0\"; server = ( \"192.0.2.1\" );"),
	  { "2: unknown key \"server\" (did you mean \"servers\"?)" } },
	/* types */
	{ "pools = " POOL_A ";", { "1: pools: expected a list of groups such as pools = (" } },
	{ "pools = ( \"a\" );", { "1: pools: expected a group { ... }, found a string" } },
	{ "pools = ( { name = 1; ranges = ( \"10.0.0.0/24\" ); } );",
	  { "1: name: expected a string such as \"residential\", found a number" } },
	{ "pools = ( { name = \"a\"; ranges = \"10.0.0.0/24\"; } );",
	  { "1: ranges: expected a list of strings such as ranges = ( \"10.64.0.0/16\" );, found "
	    "a string" } },
	{ "pools = ( { name = \"a\"; ranges = ( 10, 1.5, true, {}, [], () ); } );",
	  { "1: ranges: expected a string such as \"10.64.0.0/16\", found a number",
	    "1: ranges: expected a string such as \"10.64.0.0/16\", found a number with a point",
	    "1: ranges: expected a string such as \"10.64.0.0/16\", found true or false",
	    "1: ranges: expected a string such as \"10.64.0.0/16\", found a group",
	    "1: ranges: expected a string such as \"10.64.0.0/16\", found an array",
	    "1: ranges: expected a string such as \"10.64.0.0/16\", found a list" } },
	{ POOLS("sticky = \"true\";"),
	  { "2: sticky: expected true or false (no quotes), found a str" } },
	{ POOLS("alarm = \"80\";"), { "2: alarm: expected a whole number from 0 to 100" } },
	{ POOLS("alarm = 80.0;"), { "2: alarm: expected a whole number from 0 to 100" } },
	{ POOLS("dns = \"192.0.2.1\";"), { "2: dns: expected a list of strings such as dns = (" } },
	{ POOLS("order = 1;"), { "2: order: expected a string such as \"least-recent\"" } },
	{ "runtime_dir = 1;\npools = ( " POOL_A " );", { "1: runtime_dir: expected a string" } },
	{ "modules = ( { name = 1;\npath = 2; } );\npools = ( " POOL_A " );",
	  { "1: name: expected a string such as \"Audit\", found a number",
	    "2: path: expected a string such as \"/usr/lib/rasip/audit.so\", found a" } },
	{ MADCAP("scope = 1;\ninterface = 2;\nlease = 3;\ntimeout = 4;"),
	  { "2: scope: expected a string such as \"239.192.0.0\", found a number",
	    "3: interface: expected a string such as \"eth0\", found a number",
	    "4: lease: a duration is a string with a unit",
	    "5: timeout: a duration is a string with a unit" } },
	{ MADCAP("scope = \"239.192.0.0\"; servers = ( \"192.0.2.1\", \"192.0.2.2\", "
		 "\"192.0.2.3\", \"192.0.2.4\", \"192.0.2.5\", \"192.0.2.6\", \"192.0.2.7\", "
		 "\"192.0.2.8\", \"192.0.2.9\", \"192.0.2.10\", \"192.0.2.11\", \"192.0.2.12\", "
		 "\"192.0.2.13\", \"192.0.2.14\", \"192.0.2.15\", \"192.0.2.16\", \n\"192.0.2.17\" "
		 ");"),
	  { "3: servers: more than 16" } },
	{ "modules = 1;\npools = ( " POOL_A " );", { "1: modules: expected a list of groups" } },
	{ "assign = { pool = \"a\"; };\npools = ( " POOL_A " );",
	  { "1: assign: expected a list of groups such as assign = (" } },
	/* names */
	{ "pools = ( { name = \"\"; ranges = ( \"10.0.0.0/24\" ); } );",
	  { "1: name: \"\" is no pool name: 1 to 63" } },
	{ "pools = ( { name = \"a b\"; ranges = ( \"10.0.0.0/24\" ); } );\n"
	  "assign = ( { pool = \"a b\"; } );",
	  { "1: name: \"a b\" is no pool name" } },
	{ "pools = ( { name = \"\xc3\xa4\n\"; ranges = ( \"10.0.0.0/24\" ); } );",
	  { "1: name: \"\\xC3\\xA4\\x0A\" is no pool name" } },
	{ "pools = ( { name = \"0123456789012345678901234567890123456789012345678901234567890123\";"
	  " ranges = ( \"10.0.0.0/24\" ); } );",
	  { "1: name: \"0123" } },
	{ "pools = ( " POOL_A ",\n{ ranges = ( \"10.0.1.0/24\" );\nname = \"a\"; } );",
	  { "3: name: there is a pool \"a\" already (line 1)" } },
	/* ranges */
	{ "pools = ( { name = \"a\"; ranges = ( \"10.0.0.1/24\" ); } );",
	  { "1: ranges: \"10.0.0.1/24\" has host bits set; the network is \"10.0.0.0/24\"" } },
	{ "pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/024\" ); } );",
	  { "1: ranges: \"10.0.0.0/024\" is no range: write \"10.64.0.0/16\"" } },
	{ "pools = ( { name = \"a\"; ranges = ( \"10.0.0/24\" ); } );",
	  { "1: ranges: \"10.0.0/24\" is no range: write \"10.64.0.0/16\"" } },
	{ "pools = ( { name = \"a\"; ranges = ( \"127.0.0.0/8\",\n\"0.0.0.0\",\n\"224.0.0.0/8\","
	  "\n\"239.0.0.0-240.0.0.0\",\n\"0.0.0.0/0\" ); } );",
	  { "1: ranges: \"127.0.0.0/8\" reaches into 127.0.0.0/8 (loopback)",
	    "2: ranges: \"0.0.0.0\" reaches into 0.0.0.0/8", "3: ranges: \"224.0.0.0/8\" reaches",
	    "4: ranges: \"239.0.0.0-240.0.0.0\" reaches into 224.0.0.0/4 (class D",
	    "5: ranges: \"0.0.0.0/0\" reaches into 0.0.0.0/8" } },
	{ "pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/24\",\n\"10.0.0.255-10.0.1.3\" ); } );",
	  { "2: ranges: \"10.0.0.255-10.0.1.3\" overlaps \"10.0.0.0/24\" (line 1) of the same" } },
	{ "pools = ( { name = \"b\"; ranges = ( \"10.0.0.9\" ); },\n" POOL_A " );",
	  { "2: ranges: \"10.0.0.0/24\" of pool \"a\" overlaps \"10.0.0.9\" of pool \"b\" "
	    "(line" } },
	{ "pools = ( { name = \"b\"; ranges = ( \"10.0.0.0/8\" ); },\n" POOL_A ",\n"
	  "{ name = \"c\"; ranges = ( \"10.255.255.255\" ); } );",
	  { "2: ranges: \"10.0.0.0/24\" of pool \"a\" overlaps \"10.0.0.0/8\" of pool \"b\" (line "
	    "1",
	    "3: ranges: \"10.255.255.255\" of pool \"c\" overlaps \"10.0.0.0/8\" of pool \"b\"" } },
	/* excludes, local ends */
	{ POOLS("exclude = ( \"10.0.1.0\",\n\"10.0.0.250-10.0.1.5\" );"),
	  { "2: exclude: \"10.0.1.0\" is not in the pool's ranges (10.0.1.0 is outside)",
	    "3: exclude: \"10.0.0.250-10.0.1.5\" is not in the pool's ranges (10.0.1.0 is" } },
	{ POOLS("exclude = ( \"10.0.0.9-10.0.0.8\" );"),
	  { "2: exclude: \"10.0.0.9-10.0.0.8\" ends before it begins" } },
	{ POOLS("exclude = ( \"x\" );"), { "2: exclude: \"x\" is no range" } },
	{ POOLS("exclude = ( \"10.0.0.0/24\" );"),
	  { "1: pool \"a\" can never give an address: all are excluded or local ends" } },
	{ "pools = ( { name = \"a\"; ranges = ( \"10.0.0.1\" ); },\n"
	  "{ name = \"b\"; ranges = ( \"10.0.0.2\" ); local = \"10.0.0.1\"; } );",
	  { "1: pool \"a\" can never give an address" } },
	{ POOLS("local = \"127.0.0.1\";"), { "2: local: \"127.0.0.1\" is no host's address" } },
	{ POOLS("local = \"10.0.0.0/8\";"), { "2: local: \"10.0.0.0/8\" is no address" } },
	{ POOLS("dns = ( \"192.0.2.1\", \"192.0.2.2\",\n\"192.0.2.3\" );"),
	  { "3: dns: at most two addresses" } },
	{ POOLS("wins = [ \"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\" ];"),
	  { "2: wins: at most two addresses" } },
	{ POOLS("dns = ( \"224.0.0.1\" );"), { "2: dns: \"224.0.0.1\" is no host's address" } },
	/* words, numbers, durations */
	{ POOLS("order = \"leest\";\nmode = \"hold\";\nbackend = \"remote\";"),
	  { "2: order: \"leest\" is not known: write \"least-recent\", \"sequential\" or "
	    "\"random\"",
	    "3: mode: \"hold\" is not known: write \"open\", \"hold-down\" or \"drain\"",
	    "4: backend: \"remote\" is not known: write \"local\" or \"madcap\"" } },
	{ "candidate = \"no\";\nanonymous = \"yes\";\npools = ( " POOL_A " );",
	  { "1: candidate: \"no\" is not known: write \"keep\" or \"replace\"",
	    "2: anonymous: \"yes\" is not known: write \"refuse\" or \"allow\"" } },
	{ POOLS("alarm = 101;\nmax_per_user = -1;"),
	  { "2: alarm: 101 is not in the range from 0 to 100",
	    "3: max_per_user: -1 is not in the range from 0 to 1000000" } },
	{ POOLS("alarm = -1;\nmax_per_user = 99999999999L;"),
	  { "2: alarm: -1 is not", "3: max_per_user: 99999999999 is not" } },
	{ POOLS("hold = 60;"),
	  { "2: hold: a duration is a string with a unit: for seconds write hold = \"60s\"" } },
	{ POOLS("hold = \"60\";"), { "2: hold: \"60\" is no duration: write \"30s\"" } },
	{ POOLS("hold = true;"), { "2: hold: expected a string such as \"60s\", found true" } },
	/* directories */
	{ "runtime_dir = \"run\";\nstate_dir = \"\";\npools = ( " POOL_A " );",
	  { "1: runtime_dir: \"run\" is no absolute path", "2: state_dir: \"\" is no absolute" } },
	/* chains */
	{ POOLS("next = \"b\";"), { "2: next: there is no pool \"b\"" } },
	{ "pools = ( { name = \"overflow\"; ranges = ( \"10.1.0.0\" ); },\n"
	  "{ name = \"b\"; ranges = ( \"10.1.0.1\" ); next = \"overfow\"; } );\n"
	  "assign = ( { pool = \"Overflow\"; } );",
	  { "2: next: there is no pool \"overfow\" (did you mean \"overflow\"?)",
	    "3: pool: there is no pool \"Overflow\" (did you mean \"overflow\"?)" } },
	{ POOLS("next = \"a\";"), { "2: next: \"a\" is this pool itself" } },
	{ "pools = ( { name = \"z\"; ranges = ( \"10.1.0.0\" ); next = \"a\"; },\n"
	  "{ name = \"a\"; ranges = ( \"10.1.0.1\" ); next = \"b\"; },\n"
	  "{ name = \"b\"; ranges = ( \"10.1.0.2\" );\nnext = \"c\"; },\n"
	  "{ name = \"c\"; ranges = ( \"10.1.0.3\" ); next = \"a\"; } );",
	  { "2: next: the pools go in a circle: \"a\" -> \"b\" -> \"c\" -> \"a\"" } },
	/* assign */
	{ ASSIGN(""), { "2: assign: is empty" } },
	{ ASSIGN("{ port = \"/dev/ttyS*\"; pool = \"a\"; }"),
	  { "3: port: \"/dev/ttyS*\" matches nothing: ports have no /dev/, write \"ttyS*\"" } },
	{ ASSIGN("{ user = \"x\"; }"), { "3: this rule needs pool = \"...\" or address" } },
	{ ASSIGN("{ pool = \"a\"; address = \"10.0.0.1\"; }"),
	  { "3: this rule has both pool and address" } },
	{ ASSIGN("{ pool = \"b\"; },\n{ pool = 1; }"),
	  { "3: pool: there is no pool \"b\"", "4: pool: expected a string" } },
	{ ASSIGN("{ address = \"10.0.0.300\"; }"), { "3: address: \"10.0.0.300\" is no address" } },
	{ ASSIGN("{ address = \"10.0.0.0/24\"; }"),
	  { "3: address: \"10.0.0.0/24\" is no address" } },
	{ ASSIGN("{ address = \"0.0.0.0\"; },\n{ address = \"127.0.0.1\"; },\n"
		 "{ address = \"224.0.0.1\"; },\n{ address = \"240.0.0.1\"; },\n"
		 "{ address = \"255.255.255.255\"; }"),
	  { "3: address: \"0.0.0.0\" is no host's", "4: address: \"127.0.0.1\" is no host's",
	    "5: address: \"224.0.0.1\" is no host's", "6: address: \"240.0.0.1\" is no host's",
	    "7: address: \"255.255.255.255\" is no host's" } },
	{ ASSIGN("{ user = \"x\"; address = \"10.0.0.5\"; },\n{ address = \"10.0.0.6\"; },\n"
		 "{ user = \"y\"; address = \"10.0.0.5\"; }"),
	  { "5: address: 10.0.0.5 is reserved already (line 3)" } },
	{ "assign = ( { user = \"x\"; address = \"10.0.0.1\"; } );\n" POOLS(
		  "local = \"10.0.0.1\";"),
	  { "1: address: 10.0.0.1 is the local end of pool \"a\" (line 3)" } },
	/* modules */
	{ "modules = ();\npools = ( " POOL_A " );", { "1: modules: is empty" } },
	{ "modules = ( {},\n{ name = \"A\"; path = \"a.so\"; },\n{ name = \"A\"; path = "
	  "\"builtin\"; }"
	  ",\n{ name = \"\"; path = \"builtin\"; argument = 1; } );\npools = ( " POOL_A " );",
	  { "1: this module has no name", "1: this module has no path",
	    "2: path: \"a.so\" is neither an absolute path nor \"builtin\"",
	    "3: name: there is a module \"A\" already (line 2)", "4: name: \"\" is no module name",
	    "4: argument: expected a string such as \"/var/log/audit\", found a number",
	    "4: path: \"builtin\" is listed already (line 3)" } },
	/* madcap */
	{ MADCAP(""), { "2: madcap: scope is missing" } },
	{ "pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/24\" ); backend = \"madcap\"; } );",
	  { "1: backend \"madcap\" needs a group madcap" } },
	{ MADCAP("scope = \"192.0.2.1\";\nservers = ( \"x\", \"192.0.2.1:\", \"224.0.0.1\" );\n"
		 "interface = \"a/b\";\nlease = \"forever\";\ntimeout = \"0s\";\n"
		 "local_allocation = 1;"),
	  { "2: scope: \"192.0.2.1\" is no multicast address", "3: servers: \"x\" is no server",
	    "3: servers: \"192.0.2.1:\" is no server",
	    "3: servers: \"224.0.0.1\" is no host's address", "4: interface: \"a/b\" is no",
	    "5: lease: must be more than \"0s\"", "6: timeout: must be more than \"0s\"",
	    "7: local_allocation: expected true or false" } },
	{ MADCAP("scope = \"239.255.0.0\"; lease = \"10m\"; };\nhold = \"11m\"; xx = {"),
	  { "3: unknown key \"xx\"", "3: hold: longer than half of the servers' lease" } },
	{ MADCAP("scope = \"239.255.0.0\"; servers = ( \"192.0.2.1\",\n\"192.0.2.1:2535\" );"),
	  { "3: servers: \"192.0.2.1:2535\" stands here twice" } },
	{ MADCAP("timeout = \"2h\"; scope = \"239.255.0.0\";"),
	  { "2: timeout: must be more than \"0s\" and at most \"1h\"" } },
	{ MADCAP("scope = \"239.255.0.0\"; };\norder = \"random\"; wins = ( "
		 "\"192.0.2.1\" ); exclude = ( \"10.0.0.0\" ); xx = {"),
	  { "3: unknown key \"xx\"", "3: order: a pool with backend = \"madcap\" has none" } },
	{ MADCAP("scope = \"239.255.255.2\";"),
	  { "2: scope: from 239.255.255.2 on there are 254 multicast groups, fewer than the pool's "
	    "256 addresses" } },
	{ POOLS("madcap = { scope = \"239.192.0.0\"; };"),
	  { "2: madcap: only a pool with backend = \"madcap\" has this group" } },
	{ POOLS("madcap = 1;"),
	  { "2: madcap: expected a group { ... }, found a number", "2: madcap: only a pool" } },
};

START_TEST(mistakes_are_reported_by_line)
{
	struct config_errors errors;
	struct config *config = NULL;
	char expected[256];
	size_t n = 0;

	ck_assert_int_eq(config_load_text(rejected[_i].text, "conf", &config, &errors),
			 POOL_E_CONFIG);
	ck_assert_ptr_null(config);
	for (; n < MISTAKES_MAX && rejected[_i].mistakes[n] != NULL; n++) {
		snprintf(expected, sizeof(expected), "conf:%s", rejected[_i].mistakes[n]);
		ck_assert_msg(n < errors.n, "missing: %s", expected);
		ck_assert_msg(strncmp(errors.lines[n], expected, strlen(expected)) == 0,
			      "found:    %s\nexpected: %s", errors.lines[n], expected);
	}
	ck_assert_msg(errors.n == n, "one too many: %s", errors.n > n ? errors.lines[n] : "");
	config_errors_done(&errors);
	ck_assert_ptr_null(errors.lines);
}
END_TEST

static struct config *load(const char *text)
{
	struct config_errors errors;
	struct config *config = NULL;
	int code = config_load_text(text, "conf", &config, &errors);

	ck_assert_msg(code == 0, "%s", errors.n > 0 ? errors.lines[0] : "no memory");
	ck_assert_uint_eq(errors.n, 0);
	return config;
}

START_TEST(defaults)
{
	struct config *config = load("pools = ( " POOL_A " );");
	const struct config_pool *pool = &config->pools[0];

	ck_assert_str_eq(config->path, "conf");
	ck_assert_str_eq(config->runtime_dir, "/run/rasip");
	ck_assert_str_eq(config->state_dir, "/var/lib/rasip");
	ck_assert(config->n_modules == 1 && config->n_pools == 1 && config->n_rules == 1);
	ck_assert_str_eq(config->modules[0].path, CONFIG_BUILTIN);
	ck_assert_str_eq(config->modules[0].argument, "");
	ck_assert(!config->candidate_replace && !config->anonymous_allow);
	ck_assert_str_eq(pool->name, "a");
	ck_assert(pool->backend == BACKEND_LOCAL && pool->order == ORDER_LEAST_RECENT);
	ck_assert(pool->mode == MODE_OPEN && pool->sticky && pool->hold_sec == 0);
	ck_assert(pool->max_per_user == 0 && pool->next == CONFIG_NO_POOL);
	ck_assert(pool->alarm_percent == 0 && pool->n_dns == 0 && pool->n_wins == 0);
	ck_assert(pool->local == 0 && pool->line == 1);
	ck_assert(pool->ranges.count == 256 && pool->dynamic.count == 256);
	ck_assert(config->rules[0].user == NULL && config->rules[0].port == NULL);
	ck_assert(!config->rules[0].is_reservation && config->rules[0].pool == 0);
	config_free(&config);
	ck_assert_ptr_null(config);
	config_free(&config);
	config_free(NULL);
}
END_TEST

START_TEST(madcap_settings)
{
	struct config *config = load(
		"pools = ( { name = \"a\"; backend = \"madcap\"; ranges = ( \"10.0.1.0/24\", "
		"\"10.0.0.0/25\" ); madcap = { scope = \"239.192.1.0\"; servers = ( \"192.0.2.1\","
		" \"192.0.2.2:99\", \"[2001:db8::1]:98\", \"fe80::1%1\", \"fe80::1%2\" ); "
		"interface = \"eth0\"; lease = \"2h\";"
		" timeout = \"3s\"; }; },\n"
		"{ name = \"b\"; backend = \"madcap\"; ranges = ( \"10.0.2.0/24\" );"
		" madcap = { scope = \"239.255.0.0\"; local_allocation = true; }; },\n"
		"{ name = \"c\"; ranges = ( \"10.0.3.0/24\" ); } );");
	const struct config_pool *a = &config->pools[0], *b = &config->pools[1];

	ck_assert(a->madcap.scope == 0xefc00100 && a->madcap.n_servers == 5);
	ck_assert(a->madcap.servers[0].port == 2535 && a->madcap.servers[1].port == 99);
	ck_assert(a->madcap.servers[2].address.family == MADCAP_IPV6);
	ck_assert(a->madcap.servers[3].zone == 1 && a->madcap.servers[4].zone == 2);
	ck_assert_str_eq(a->madcap.interface, "eth0");
	ck_assert(a->madcap.lease_sec == 7200 && a->madcap.timeout_sec == 3);
	ck_assert(b->madcap.lease_sec == 3600 && b->madcap.timeout_sec == 8);
	ck_assert(b->madcap.n_servers == 0 && b->madcap.interface[0] == '\0');
	ck_assert(config_asks_servers(a) && !config_asks_servers(b));
	ck_assert(b->order == ORDER_RANDOM); /* drawn at random (MC-1) */
	ck_assert(config_has_servers(config) && !config_asks_servers(&config->pools[2]));
	/* by index, as the ranges are written */
	ck_assert_uint_eq(config_group(a, 0x0a000100), 0xefc00100);
	ck_assert_uint_eq(config_group(a, 0x0a000000), 0xefc00200);
	ck_assert_uint_eq(config_group(a, 0x0a00007f), 0xefc0027f);
	ck_assert_uint_eq(config_group(a, 0x0a000080), 0);
	ck_assert_uint_eq(config_group(&config->pools[2], 0x0a000300), 0);
	ck_assert_uint_eq(config_group_address(a, 0xefc00200), 0x0a000000);
	ck_assert_uint_eq(config_group_address(a, 0xefc00280), 0);
	ck_assert_uint_eq(config_group_address(a, 0xefc000ff), 0);
	config_free(&config);
}
END_TEST

/* One message has to name all the groups that will do. */
START_TEST(madcap_pool_in_too_many_pieces)
{
	char text[16384];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "pools = ( { name = \"a\"; backend = \"madcap\";\nranges = ( "
				    "\"10.0.0.0/16\" ); madcap = { scope = \"239.192.0.0\"; };\n"
				    "exclude = ( \"10.0.0.1\"");
	struct config_errors errors;
	struct config *config = NULL;

	for (unsigned int i = 1; i < 250; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ", \"10.0.%u.1\"", i);
	snprintf(text + n, sizeof(text) - n, " ); } );");
	ck_assert_int_eq(config_load_text(text, "conf", &config, &errors), POOL_E_CONFIG);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(errors.lines[0],
			 "conf:3: exclude: leaves the pool in 251 pieces of at most 65535 "
			 "addresses; a request to a MADCAP server can name 240");
	config_errors_done(&errors);
}
END_TEST

START_TEST(every_setting)
{
	struct config *config = load(
		"runtime_dir = \"/r\"; state_dir = \"/s\"; candidate = \"replace\";"
		"anonymous = \"allow\";\n"
		"assign = (\n{ user = \"al\\x20ice\"; address = \"10.0.0.7\"; },\n"
		"{ address = \"192.0.2.9\"; }, { address = \"10.0.0.0\"; },\n"
		"{ port = \"ttyS*\"; pool = \"b\"; } );\n"
		"modules = ( { name = \"Au dit\"; path = \"/a.so\"; argument = \"x y\"; },\n"
		"{ path = \"builtin\"; name = \"Pool\"; } );\n"
		"pools = ( { name = \"a\"; ranges = [ \"10.0.0.0/24\" ]; exclude = ( \"10.0.0.0\","
		"\"10.0.0.0/30\", \"10.0.0.255\" ); order = \"random\"; sticky = false;"
		"hold = \"forever\"; max_per_user = 3; next = \"b\"; mode = \"drain\"; alarm = 100;"
		"dns = ( \"192.0.2.1\", \"192.0.2.2\" ); wins = ( \"192.0.2.3\" );"
		"local = \"10.0.0.9\"; },\n"
		"{ name = \"b\"; ranges = ( \"10.0.1.9\", \"10.0.1.0-10.0.1.3\" );"
		"local = \"10.0.0.9\"; mode = \"hold-down\"; order = \"sequential\"; } );");
	const struct config_pool *a = &config->pools[0], *b = &config->pools[1];

	ck_assert_str_eq(config->runtime_dir, "/r");
	ck_assert_str_eq(config->state_dir, "/s");
	ck_assert(config->candidate_replace && config->anonymous_allow);
	ck_assert_str_eq(config->modules[0].name, "Au dit");
	ck_assert_str_eq(config->modules[0].argument, "x y");
	ck_assert(config->modules[0].line == 6 && config->modules[1].line == 7);
	ck_assert(a->order == ORDER_RANDOM && !a->sticky && a->hold_sec == DURATION_FOREVER);
	ck_assert(a->max_per_user == 3 && a->next == 1 && a->mode == MODE_DRAIN);
	ck_assert(a->alarm_percent == 100 && a->n_dns == 2 && a->dns[1] == 0xc0000202);
	ck_assert(a->n_wins == 1 && a->wins[0] == 0xc0000203 && a->local == 0x0a000009);
	/* excluded: 5, local: 1; of the rest one is reserved */
	ck_assert(a->ranges.count == 256 && a->givable.count == 250 && a->dynamic.count == 249);
	ck_assert(b->mode == MODE_HOLD_DOWN && b->order == ORDER_SEQUENTIAL && b->line == 9);
	ck_assert(b->ranges.count == 5 && range_set_at(&b->ranges, 0) == 0x0a000109);
	ck_assert(config->reserved.count == 3 && config->locals.count == 1);
	ck_assert_str_eq(config->rules[0].user, "al ice");
	ck_assert(config->rules[0].is_reservation && config->rules[0].pool == 0);
	ck_assert(config->rules[1].pool == CONFIG_NO_POOL && config->rules[1].addr == 0xc0000209);
	/* an excluded address may be reserved, and is still the pool's */
	ck_assert(config->rules[2].pool == 0 && !range_set_find(&a->givable, 0x0a000000, NULL));
	ck_assert(config->rules[3].pool == 1 && config->rules[3].line == 5);
	ck_assert_uint_eq(config_pool_of(config, 0x0a000103), 1);
	ck_assert_uint_eq(config_pool_of(config, 0x0a000104), CONFIG_NO_POOL);
	ck_assert_uint_eq(config_find_pool(config, "b"), 1);
	ck_assert_uint_eq(config_find_pool(config, "c"), CONFIG_NO_POOL);
	config_free(&config);
}
END_TEST

/* What looks odd and is right. */
static const char *const accepted[] = {
	/* only reserved users are served */
	POOLS("exclude = ( \"10.0.0.0/24\" );") "assign = ( { user = \"x\"; address = "
						"\"10.0.0.5\"; "
						"} );",
	"pools = ( { name = \"a\"; ranges = ( \"10.0.0.5\" ); } );"
	"assign = ( { user = \"x\"; address = \"10.0.0.5\"; } );",
	/* rules behind a catch-all, the same rule twice */
	ASSIGN("{ pool = \"a\"; }, { pool = \"a\"; }, { user = \"x\"; address = \"10.0.0.1\"; }"),
	/* no built-in pool */
	"modules = ( { name = \"A\"; path = \"/a.so\"; } ); pools = ( " POOL_A " );",
	/* a local end outside the ranges, and in another pool's */
	POOLS("local = \"192.0.2.1\";"),
	"pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/31\" ); },"
	" { name = \"b\"; ranges = ( \"10.0.0.2\" ); local = \"10.0.0.1\"; } );",
	/* chains that meet are no cycle */
	"pools = ( { name = \"a\"; ranges = ( \"10.0.0.1\" ); next = \"c\"; },"
	" { name = \"b\"; ranges = ( \"10.0.0.2\" ); next = \"c\"; },"
	" { name = \"c\"; ranges = ( \"10.0.0.3\" ); } );",
	/* neighbours do not overlap, whatever their order */
	"pools = ( { name = \"a\"; ranges = ( \"10.0.0.128/25\", \"10.0.0.0/25\" ); },"
	" { name = \"b\"; ranges = ( \"10.0.1.0/24\" ); } );",
	POOLS("dns = (); wins = []; exclude = (); max_per_user = 0x10; alarm = 5L;"),
	"pools = ( " POOL_A " ) /* no semicolons */ // here",
	"pools : ( " POOL_A " ); # @include \"none\"\n/*\n@include \"none\"\n*/\n",
	ASSIGN("{ user = \"@include \\\"x\\\"\"; pool = \"a\"; }"),
	ASSIGN("{ user = \"\n@include \\\"x\\\"\"; pool = \"a\"; }"),
};

START_TEST(odd_but_right)
{
	struct config *config = load(accepted[_i]);

	config_free(&config);
}
END_TEST

START_TEST(names_of_values)
{
	ck_assert_str_eq(config_order_name(ORDER_LEAST_RECENT), "least-recent");
	ck_assert_str_eq(config_order_name(ORDER_SEQUENTIAL), "sequential");
	ck_assert_str_eq(config_order_name(ORDER_RANDOM), "random");
	ck_assert_str_eq(config_mode_name(MODE_OPEN), "open");
	ck_assert_str_eq(config_mode_name(MODE_HOLD_DOWN), "hold-down");
	ck_assert_str_eq(config_mode_name(MODE_DRAIN), "drain");
	ck_assert_str_eq(config_backend_name(BACKEND_LOCAL), "local");
	ck_assert_str_eq(config_backend_name(BACKEND_MADCAP), "madcap");
	ck_assert_str_eq(config_mode_name((enum pool_mode)77), "unknown");
}
END_TEST

/* ---- files ------------------------------------------------------------------------------- */

static char dir[SCRATCH_SIZE];

static void make_dir(void)
{
	scratch_make(dir);
}

static void remove_dir(void)
{
	scratch_remove(dir);
}

static void put(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/sub", dir);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert(fputs(text, file) >= 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* Loads DIR/name; `expected` are the lines without "DIR/" in front, up to NULL: none is success. */
static void expect(const char *name, const char *const expected[])
{
	struct config_errors errors;
	struct config *config = NULL;
	char path[512];
	size_t n = 0;
	int code;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	code = config_load(path, &config, &errors);
	for (; expected[n] != NULL; n++) {
		snprintf(path, sizeof(path), "%s/%s", dir, expected[n]);
		ck_assert_msg(n < errors.n, "missing: %s", path);
		ck_assert_msg(strncmp(errors.lines[n], path, strlen(path)) == 0,
			      "found:    %s\nexpected: %s", errors.lines[n], path);
	}
	ck_assert_msg(errors.n == n, "one too many: %s", errors.n > n ? errors.lines[n] : "");
	ck_assert_int_eq(code, n == 0 ? 0 : POOL_E_CONFIG);
	config_free(&config);
	config_errors_done(&errors);
}

#define EXPECT(...) EXPECT_LINES(__VA_ARGS__, NULL)
#define EXPECT_LINES(name, ...) expect(name, (const char *const[]){ __VA_ARGS__ })

START_TEST(files_that_cannot_be_read)
{
	EXPECT("none.conf", "none.conf: No such file or directory");
	EXPECT("none/none.conf", "none/none.conf: No such file or directory");
	put("main.conf", "");
	EXPECT("main.conf", "main.conf:1: there are no pools");
	EXPECT("sub", "sub: Is a directory");
	EXPECT("main.conf/x", "main.conf/x: Not a directory");
}
END_TEST

/* Names in @include are seen from the including file; mistakes name the included one. */
START_TEST(includes)
{
	put("main.conf", "# first\n@include \"sub/b.conf\"\n  \t@include \"a.conf\"  assign = (\n"
			 "{ pool = \"x\"; } ); colour = 1;\n");
	put("a.conf", "candidate = \"replace\";\n\nhue = 1;");
	put("sub/b.conf", "pools = (\n@include \"c.conf\"\n);\nshade = 2;");
	put("sub/c.conf", "{ name = \"a\"; ranges = ( \"10.0.0.0/24\" );\n tint = 3; },\n"
			  "{ name = \"b\";\nranges = ( \"10.0.0.1\" ); }");
	EXPECT("main.conf", "sub/c.conf:2: unknown key \"tint\"",
	       "sub/c.conf:4: ranges: \"10.0.0.1\" of pool \"b\" overlaps \"10.0.0.0/24\" of pool "
	       "\"a\" (line 1)",
	       "sub/b.conf:4: unknown key \"shade\"", "a.conf:3: unknown key \"hue\"",
	       "main.conf:4: unknown key \"colour\"", "main.conf:4: pool: there is no pool \"x\"");
}
END_TEST

START_TEST(another_file_is_named)
{
	char expected[600];

	put("main.conf", "pools = (\n" POOL_A ",\n@include \"a.conf\"\n);\n");
	put("a.conf", "{ name = \"b\"; ranges = ( \"10.0.0.1\" ); }\n");
	snprintf(expected, sizeof(expected),
		 "a.conf:1: ranges: \"10.0.0.1\" of pool \"b\" overlaps \"10.0.0.0/24\" of pool "
		 "\"a\" "
		 "(%s/main.conf:2)",
		 dir);
	EXPECT("main.conf", expected);
}
END_TEST

START_TEST(includes_that_load)
{
	put("main.conf", "pools = (@\n");
	EXPECT("main.conf", "main.conf:1: syntax error");
	/* What some editors put before a text in UTF-8. */
	put("main.conf", "\xef\xbb\xbf@include \"sub/b.conf\"\n");
	put("sub/b.conf", "\xef\xbb\xbfpools = ( " POOL_A " );\r\n");
	EXPECT_LINES("main.conf", NULL);
	put("main.conf", "@include \"sub/b.conf\" @include \"a.conf\"\n@include \"a.conf\"");
	put("sub/b.conf", "pools = ( " POOL_A " );");
	put("a.conf", "");
	EXPECT_LINES("main.conf", NULL);
}
END_TEST

START_TEST(includes_that_do_not_load)
{
	put("main.conf", "\n@include \"a.conf\"\n");
	EXPECT("main.conf", "main.conf:2: cannot include \"");
	put("a.conf", "@include \"sub\"\n");
	put("sub/b.conf", "");
	EXPECT("main.conf", "a.conf:1: cannot include \"");
	put("a.conf", "\n\n@include \"main.conf\"\n");
	EXPECT("main.conf", "main.conf:2: cannot include \"");
	put("a.conf", "x = ;\n");
	EXPECT("main.conf", "a.conf:1: syntax error");
	put("a.conf", "x = \"\n");
	EXPECT("main.conf", "a.conf:1: the string that begins here");
	put("main.conf", "@include \"/dev/null\" @include \"sub\"\n");
	EXPECT("main.conf", "main.conf:1: cannot include \"/dev/null\": not a regular file");
}
END_TEST

/* \\ and \" stand for themselves, as in libconfig's own strings. */
START_TEST(include_of_a_name_with_quotes)
{
	put("main.conf", "@include \"a\\\\b.conf\"\n");
	EXPECT("main.conf", "main.conf:1: cannot include \"");
	put("main.conf", "@include \"a\\\"b.conf\"\npools = ( " POOL_A " );\n");
	put("a\"b.conf", "# nothing\n");
	EXPECT("main.conf");
	{
		char path[512];

		snprintf(path, sizeof(path), "%s/a\"b.conf", dir);
		ck_assert_int_eq(remove(path), 0);
	}
}
END_TEST

START_TEST(include_of_a_name_that_is_too_long)
{
	static char text[8192];

	snprintf(text, sizeof(text), "\n@include \"%05000d\"\n", 7);
	put("main.conf", text);
	EXPECT("main.conf", "main.conf:2: the file name of @include is too long");
}
END_TEST

/* Files are read piece by piece. */
START_TEST(a_large_file)
{
	static char text[2 << 20];
	size_t length = (size_t)snprintf(text, sizeof(text), "pools = ( " POOL_A " );\n");

	while (length < sizeof(text) - 100)
		length += (size_t)snprintf(text + length, 80, "# %050zu\n", length);
	put("main.conf", text);
	EXPECT("main.conf");
	snprintf(text + length, 20, "colour = 1;\n");
	put("main.conf", text);
	snprintf(text, sizeof(text), "main.conf:%zu: unknown key \"colour\"",
		 2 + (length - strlen("pools = ( " POOL_A " );\n")) / 53);
	EXPECT("main.conf", text);
}
END_TEST

START_TEST(a_file_without_an_end)
{
	const size_t size = 17 << 20, line = 64;
	char *text = malloc(size + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, '#', size);
	for (size_t at = line - 1; at < size; at += line)
		text[at] = '\n';
	text[size] = '\0';
	put("main.conf", text);
	free(text);
	EXPECT("main.conf", "main.conf:262145: more than 16 MiB of configuration");
}
END_TEST

START_TEST(a_nul_byte)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/main.conf", dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite("pools = ();\n\n\0", 1, 14, file), 14);
	ck_assert_int_eq(fclose(file), 0);
	EXPECT("main.conf", "main.conf:3: a NUL byte");
}
END_TEST

/* The example in conf/ loads; the tests run in the top directory. */
START_TEST(the_example_loads)
{
	struct config_errors errors;
	struct config *config = NULL;
	int code;

	if (access("conf/rasip.conf", R_OK) < 0)
		return;
	code = config_load("conf/rasip.conf", &config, &errors);
	ck_assert_msg(code == 0, "%s", errors.n > 0 ? errors.lines[0] : "no memory");
	config_free(&config);
}
END_TEST

/* ---- size -------------------------------------------------------------------------------- */

struct text {
	char data[1 << 21];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->data + text->length, sizeof(text->data) - text->length, format, args);
	va_end(args);
	ck_assert(n >= 0 && (size_t)n < sizeof(text->data) - text->length);
	text->length += (size_t)n;
}

START_TEST(ten_thousand_reservations)
{
	static struct text text;
	struct config *config;

	append(&text, "pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/8\" ); } );\nassign = (\n");
	for (unsigned int i = 10000; i > 0; i--)
		append(&text, "{ user = \"user%u\"; address = \"10.%u.%u.7\"; },\n", i, i / 250,
		       i % 250);
	append(&text, "{ pool = \"a\"; } );\n");
	config = load(text.data);
	ck_assert_uint_eq(config->n_rules, 10001);
	ck_assert_uint_eq(config->reserved.count, 10000);
	ck_assert_uint_eq(config->pools[0].dynamic.count, (1U << 24) - 10000);
	ck_assert_uint_eq(config->rules[9999].pool, 0);
	config_free(&config);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, mistakes_are_reported_by_line, 0, ARRAY_SIZE(rejected));
	tcase_add_loop_test(tcase, odd_but_right, 0, ARRAY_SIZE(accepted));
	tcase_add_test(tcase, defaults);
	tcase_add_test(tcase, every_setting);
	tcase_add_test(tcase, madcap_settings);
	tcase_add_test(tcase, madcap_pool_in_too_many_pieces);
	tcase_add_test(tcase, names_of_values);
	tcase_add_test(tcase, the_example_loads);
	tcase_add_test(tcase, ten_thousand_reservations);
}

static void add_file_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, make_dir, remove_dir);
	tcase_add_test(tcase, files_that_cannot_be_read);
	tcase_add_test(tcase, includes);
	tcase_add_test(tcase, another_file_is_named);
	tcase_add_test(tcase, includes_that_load);
	tcase_add_test(tcase, includes_that_do_not_load);
	tcase_add_test(tcase, include_of_a_name_with_quotes);
	tcase_add_test(tcase, include_of_a_name_that_is_too_long);
	tcase_add_test(tcase, a_large_file);
	tcase_add_test(tcase, a_file_without_an_end);
	tcase_add_test(tcase, a_nul_byte);
}

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *texts = tcase_create("texts"), *files = tcase_create("files");

	add_tests(texts);
	add_file_tests(files);
	tcase_set_timeout(texts, 60);
	suite_add_tcase(suite, texts);
	suite_add_tcase(suite, files);
	return run_suite(suite);
}
