/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "assign.h"
#include "suite.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define POOLS                                                                                      \
	"pools = ( { name = \"a\"; ranges = ( \"10.0.0.0/24\" ); },"                               \
	" { name = \"b\"; ranges = ( \"10.0.1.0/24\" ); } );\n"

static const char rules[] =
	POOLS "assign = (\n"
	      "  { user = \"alice\"; address = \"10.0.1.7\"; },\n"
	      "  { user = \"bob\"; port = \"ttyS1\"; address = \"192.0.2.9\"; },\n"
	      "  { user = \"*@corp.example\"; pool = \"b\"; },\n"
	      "  { user = \"[xy]?\"; port = \"pts*\"; pool = \"b\"; },\n"
	      "  { user = \"ann\\x65\"; pool = \"b\"; },\n"
	      "  { user = \"\\xff\\xfe*\"; pool = \"b\"; },\n"
	      "  { user = \"\"; pool = \"b\"; },\n"
	      "  { port = \"ttyS*\"; pool = \"a\"; },\n"
	      "  { user = \"carol\"; address = \"10.0.0.5\"; }\n"
	      ");\n";

static struct config *load(const char *text)
{
	struct config_errors errors;
	struct config *config = NULL;
	int code = config_load_text(text, "test", &config, &errors);

	ck_assert_msg(code == 0, "%s", errors.n > 0 ? errors.lines[0] : "no memory");
	return config;
}

/* pool: 'a', 'b', or '-' for outside both; addr 0: no reservation. */
static const struct {
	const char *user, *port, *pool_name;
	int code;
	char pool;
	uint32_t addr;
} cases[] = {
	{ "alice", "ttyS0", NULL, 0, 'b', 0x0a000107 },
	{ "alice", "", NULL, 0, 'b', 0x0a000107 },
	{ "Alice", "", NULL, POOL_E_REFUSED, '-', 0 },
	{ "alice2", "", NULL, POOL_E_REFUSED, '-', 0 },
	/* a name is no pattern */
	{ "al*", "", NULL, POOL_E_REFUSED, '-', 0 },
	{ "?lice", "", NULL, POOL_E_REFUSED, '-', 0 },
	{ "[a]lice", "", NULL, POOL_E_REFUSED, '-', 0 },
	{ "bob", "ttyS1", NULL, 0, '-', 0xc0000209 },
	{ "bob", "ttyS2", NULL, 0, 'a', 0 },
	{ "bob", "ttyS10", NULL, 0, 'a', 0 },
	{ "me@corp.example", "eth0", NULL, 0, 'b', 0 },
	{ ".a/b@corp.example", "eth0", NULL, 0, 'b', 0 },
	{ "@corp.example", "eth0", NULL, 0, 'b', 0 },
	{ "me@corp.example.org", "eth0", NULL, POOL_E_REFUSED, '-', 0 },
	{ "x1", "pts/3", NULL, 0, 'b', 0 },
	{ "z1", "pts/3", NULL, POOL_E_REFUSED, '-', 0 },
	{ "anne", "", NULL, 0, 'b', 0 },
	{ "\xff\xfe\x01\x80", "", NULL, 0, 'b', 0 },
	{ "", "", NULL, 0, 'b', 0 },
	{ "", "ttyS0", NULL, 0, 'b', 0 },
	{ "dave", "ttyS0", NULL, 0, 'a', 0 },
	{ "dave", "ttyUSB0", NULL, POOL_E_REFUSED, '-', 0 },
	/* first match wins: the port's rule stands before carol's */
	{ "carol", "ttyS0", NULL, 0, 'a', 0 },
	{ "carol", "eth0", NULL, 0, 'a', 0x0a000005 },
	/* rasip-pool takes the place of the rules, reservations excepted */
	{ "dave", "ttyUSB0", "a", 0, 'a', 0 },
	{ "me@corp.example", "eth0", "a", 0, 'a', 0 },
	{ "alice", "eth0", "a", 0, 'b', 0x0a000107 },
	{ "carol", "ttyS0", "b", 0, 'a', 0x0a000005 },
	{ "", "", "b", 0, 'b', 0 },
	{ "dave", "ttyS0", "none", POOL_E_NOT_FOUND, '-', 0 },
	{ "alice", "ttyS0", "", POOL_E_NOT_FOUND, '-', 0 },
};

START_TEST(first_match_wins)
{
	struct config *config = load(rules);
	struct assignment found = { .addr = 77, .pool = 77 };
	int code = assign_find(config, cases[_i].user, cases[_i].port, cases[_i].pool_name, &found);

	ck_assert_int_eq(code, cases[_i].code);
	if (code < 0) {
		ck_assert(found.addr == 77 && found.pool == 77);
	} else {
		ck_assert_uint_eq(found.pool, cases[_i].pool == '-'
						      ? CONFIG_NO_POOL
						      : (size_t)(cases[_i].pool - 'a'));
		ck_assert(found.is_reservation == (cases[_i].addr != 0));
		ck_assert_uint_eq(found.addr, cases[_i].addr);
		ck_assert((found.rule == NULL) ==
			  (cases[_i].pool_name != NULL && cases[_i].addr == 0));
	}
	config_free(&config);
}
END_TEST

START_TEST(no_rules_the_first_pool_serves_everybody)
{
	struct config *config = load(POOLS);
	struct assignment found;

	ck_assert_int_eq(assign_find(config, "anybody", "", NULL, &found), 0);
	ck_assert(found.pool == 0 && !found.is_reservation);
	ck_assert_int_eq(assign_find(config, "", "", NULL, &found), 0);
	config_free(&config);
}
END_TEST

START_TEST(a_catch_all_reservation)
{
	struct config *config = load(POOLS "assign = ( { address = \"10.0.0.9\"; } );");
	struct assignment found;

	ck_assert_int_eq(assign_find(config, "anybody", "x", "b", &found), 0);
	ck_assert(found.is_reservation && found.addr == 0x0a000009 && found.pool == 0);
	config_free(&config);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("assign");

	tcase_add_loop_test(tcase, first_match_wins, 0, ARRAY_SIZE(cases));
	tcase_add_test(tcase, no_rules_the_first_pool_serves_everybody);
	tcase_add_test(tcase, a_catch_all_reservation);
	return run_tcase("assign", tcase);
}
