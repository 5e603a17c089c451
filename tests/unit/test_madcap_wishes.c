/* SPDX-License-Identifier: MIT */
/*
 * libmadcap refuses what can never be right, before anything is sent: the wishes are for a library
 * that draws addresses itself, so that one which is let through succeeds at once.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "madcap/madcap.h"
#include "suite.h"

#define SCOPE "239.192.0.0"
#define YEAR_2106 INT64_C(4294967296)
#define FAR INT64_C(4000000000)

static struct madcap *m;
static const char *const neighbours[] = { "239.192.0.7", "239.192.0.5", "239.192.0.6" };
static const char *const missing[] = { "239.192.0.7", NULL };
static const char *const no_group[] = { "10.0.0.1" };
static const char *const other_family[] = { "ff15::1" };
static const char *const no_address[] = { "239.192.0" };

static const struct {
	struct madcap_wish wish;
	int code;
	const char *words;
} wishes[] = {
	{ { .scope_id = SCOPE }, 0, "" },
	{ { .scope_id = SCOPE, .seconds = 60, .min_seconds = 60 }, 0, "" },
	{ { .scope_id = SCOPE, .stop = FAR }, 0, "" },
	{ { .scope_id = SCOPE, .start = 100, .stop = FAR }, 0, "" },
	{ { .scope_id = SCOPE, .count = 3, .min_count = 3 }, 0, "" },
	{ { .scope_id = SCOPE, .addresses = neighbours, .n_addresses = 3, .count = 3 }, 0, "" },
	{ { .seconds = 60 }, MADCAP_E_POINTER, "names its scope" },
	{ { .scope_id = "239.192" }, MADCAP_E_ARGUMENT, "is no scope" },
	{ { .scope_id = "10.0.0.0" }, MADCAP_E_ARGUMENT, "is no scope" },
	{ { .scope_id = SCOPE, .start = -1 }, MADCAP_E_ARGUMENT, "from 1970 to 2106" },
	{ { .scope_id = SCOPE, .stop = -1 }, MADCAP_E_ARGUMENT, "from 1970 to 2106" },
	{ { .scope_id = SCOPE, .seconds = -1 }, MADCAP_E_ARGUMENT, "from 1970 to 2106" },
	{ { .scope_id = SCOPE, .start = YEAR_2106 }, MADCAP_E_ARGUMENT, "from 1970 to 2106" },
	{ { .scope_id = SCOPE, .stop = YEAR_2106 }, MADCAP_E_ARGUMENT, "from 1970 to 2106" },
	{ { .scope_id = SCOPE, .seconds = YEAR_2106 }, MADCAP_E_ARGUMENT, "from 1970 to 2106" },
	{ { .scope_id = SCOPE, .stop = FAR, .seconds = 60 }, MADCAP_E_ARGUMENT, "either" },
	{ { .scope_id = SCOPE, .start = FAR, .stop = FAR }, MADCAP_E_ARGUMENT, "before it starts" },
	{ { .scope_id = SCOPE, .stop = 100 }, MADCAP_E_ARGUMENT, "over already" },
	{ { .scope_id = SCOPE, .min_seconds = -1 }, MADCAP_E_ARGUMENT, "shortest lease" },
	{ { .scope_id = SCOPE, .min_seconds = YEAR_2106 }, MADCAP_E_ARGUMENT, "shortest lease" },
	{ { .scope_id = SCOPE, .seconds = 60, .min_seconds = 61 }, MADCAP_E_ARGUMENT, "shortest" },
	{ { .scope_id = SCOPE, .latest_start = -1 }, MADCAP_E_ARGUMENT, "latest start" },
	{ { .scope_id = SCOPE, .latest_start = YEAR_2106 }, MADCAP_E_ARGUMENT, "latest start" },
	{ { .scope_id = SCOPE, .start = FAR, .latest_start = FAR - 1 },
	  MADCAP_E_ARGUMENT,
	  "latest start" },
	{ { .scope_id = SCOPE, .count = 65536 }, MADCAP_E_ARGUMENT, "more than 65535" },
	{ { .scope_id = SCOPE, .count = 1, .min_count = 65536 }, MADCAP_E_ARGUMENT, "more than" },
	{ { .scope_id = SCOPE, .min_count = 2 }, MADCAP_E_ARGUMENT, "least number" },
	{ { .scope_id = SCOPE, .count = 2, .min_count = 3 }, MADCAP_E_ARGUMENT, "least number" },
	{ { .scope_id = SCOPE, .addresses = missing, .n_addresses = 2 },
	  MADCAP_E_POINTER,
	  "missing" },
	{ { .scope_id = SCOPE, .addresses = no_group, .n_addresses = 1 },
	  MADCAP_E_ARGUMENT,
	  "no multicast address" },
	{ { .scope_id = SCOPE, .addresses = other_family, .n_addresses = 1 },
	  MADCAP_E_ARGUMENT,
	  "no multicast address" },
	{ { .scope_id = SCOPE, .addresses = no_address, .n_addresses = 1 },
	  MADCAP_E_ARGUMENT,
	  "no multicast address" },
	{ { .scope_id = SCOPE, .addresses = neighbours, .n_addresses = 65536 },
	  MADCAP_E_ARGUMENT,
	  "too many" },
};

static void setup(void)
{
	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION, &m), 0);
	ck_assert_int_eq(madcap_set_local(m, 1), 0);
	ck_assert_int_eq(madcap_start(m), 0);
}

static void teardown(void)
{
	madcap_free(&m);
}

START_TEST(a_wish_is_right_or_refused_in_words)
{
	struct madcap_lease *lease = NULL;
	int code = madcap_request(m, &wishes[_i].wish, &lease);

	ck_assert_msg(code == wishes[_i].code, "%d: %d, %s", _i, code, madcap_error_text(m));
	ck_assert_msg(strstr(madcap_error_text(m), wishes[_i].words) != NULL, "%d: %s", _i,
		      madcap_error_text(m));
	ck_assert_int_eq(lease != NULL, code == 0);
	madcap_lease_free(&lease);
}
END_TEST

START_TEST(nothing_where_something_has_to_be)
{
	const struct madcap_wish wish = { .scope_id = SCOPE };
	struct madcap_scopes *scopes = NULL;
	struct madcap_lease *lease = NULL;
	struct madcap *other = NULL;
	char *text = NULL;

	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION + 1, &other), MADCAP_E_VERSION);
	ck_assert_int_eq(madcap_start(NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_add_server(NULL, "192.0.2.1"), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_add_server(m, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_request(NULL, &wish, &lease), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_request(m, NULL, &lease), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_request(m, &wish, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_renew(m, NULL, &wish, &lease), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_release(m, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_scopes_get(NULL, &scopes), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_scopes_get(m, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_lease_from_json(m, NULL, &lease), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_lease_from_json(m, "{}", NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_lease_to_json(NULL, &text), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_lease_load(m, NULL, &lease), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_lease_save(m, NULL, "x"), MADCAP_E_POINTER);
	madcap_stop(NULL);
	madcap_free(NULL);
	madcap_lease_free(NULL);
	madcap_scopes_free(NULL);
	ck_assert_uint_eq(madcap_scopes_count(NULL), 0);
	ck_assert_ptr_null(madcap_scopes_at(NULL, 0));
}
END_TEST

START_TEST(nothing_before_it_is_started)
{
	const struct madcap_wish wish = { .scope_id = SCOPE };
	struct madcap_lease *lease = NULL;

	madcap_stop(m);
	ck_assert_int_eq(madcap_request(m, &wish, &lease), MADCAP_E_NOT_STARTED);
	ck_assert_int_eq(madcap_start(m), 0);
	ck_assert_int_eq(madcap_request(m, &wish, &lease), 0);
	madcap_lease_free(&lease);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("wishes");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_wish_is_right_or_refused_in_words, 0,
			    (int)(sizeof(wishes) / sizeof(wishes[0])));
	tcase_add_test(tcase, nothing_where_something_has_to_be);
	tcase_add_test(tcase, nothing_before_it_is_started);
	return run_tcase("madcap_wishes", tcase);
}
