/* SPDX-License-Identifier: MIT */
/* Leases as objects, text and files (MC-11 to MC-14), local allocation (MC-1), and the cursor. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "madcap/lease_file.h"
#include "madcap/madcap.h"
#include "scratch.h"
#include "suite.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static char dir[SCRATCH_SIZE];
static struct error error;
static struct madcap *m;

static void setup(void)
{
	scratch_make(dir);
	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION, &m), 0);
	error.text[0] = '\0';
}

static void teardown(void)
{
	madcap_free(&m);
	scratch_remove(dir);
}

static const char *path_of(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

#define ID "00112233445566778899aabbccddeeff00"
#define MEMBERS(id, server, scope, start, end, addresses)                                          \
	"{\"request_id\": " id ", \"server\": " server ", \"scope\": " scope ", \"start\": " start \
	", \"end\": " end ", \"addresses\": " addresses "}"
#define GOOD_START "\"2026-11-20T09:00:00Z\""
#define GOOD_END "\"2026-11-20T10:00:00Z\""
#define GOOD_LIST "[\"239.192.0.7\", \"239.192.0.8\"]"
#define GOOD                                                                                       \
	MEMBERS("\"" ID "\"", "\"192.0.2.1:2535\"", "\"239.192.0.0\"", GOOD_START, GOOD_END,       \
		GOOD_LIST)

static const struct text {
	const char *text;
	bool good;
} texts[] = {
	{ GOOD, true },
	{ "\n" GOOD "\n", true },
	{ MEMBERS("\"01\"", "\"[2001:db8::1]:9\"", "\"ff15::\"", GOOD_START, GOOD_END,
		  "[\"ff15::1\"]"),
	  true },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), true },
	{ MEMBERS("\"AB\"", "\"192.0.2.1\"", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST),
	  true },
	{ "", false },
	{ "{}", false },
	{ "[]", false },
	{ "null", false },
	{ GOOD "x", false },
	{ GOOD GOOD, false },
	{ MEMBERS("\"\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), false },
	{ MEMBERS("\"ABC\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), false },
	{ MEMBERS("\"xy\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), false },
	{ MEMBERS("\"AB\\u0000\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST),
	  false },
	{ MEMBERS("12", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), false },
	{ MEMBERS("\"AB\"", "\"\"", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), false },
	{ MEMBERS("\"AB\"", "\"239.1.1.1:1\"", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST),
	  false },
	{ MEMBERS("\"AB\"", "\"192.0.2.1:0\"", "\"239.192.0.0\"", GOOD_START, GOOD_END, GOOD_LIST),
	  false },
	{ MEMBERS("\"AB\"", "null", "\"10.0.0.0\"", GOOD_START, GOOD_END, GOOD_LIST), false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_END, GOOD_START, GOOD_LIST), false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_START, GOOD_LIST), false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", "\"yesterday\"", GOOD_END, GOOD_LIST),
	  false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, "\"2200-01-01T00:00:00Z\"",
		  GOOD_LIST),
	  false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, "[]"), false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, "[1]"), false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, "[\"10.0.0.1\"]"),
	  false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END, "[\"ff15::1\"]"),
	  false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END,
		  GOOD_LIST ", \"scope\": \"239.255.0.0\""),
	  false },
	{ MEMBERS("\"AB\"", "null", "\"239.192.0.0\"", GOOD_START, GOOD_END,
		  GOOD_LIST ", \"ttl\": 256"),
	  false },
};

START_TEST(mc_14_text_is_exactly_a_lease_or_none)
{
	struct madcap_lease *lease = NULL;
	int code = lease_parse(texts[_i].text, strlen(texts[_i].text), &lease, &error);

	ck_assert_msg((code == 0) == texts[_i].good, "%s: %s", texts[_i].text, error.text);
	ck_assert((lease != NULL) == texts[_i].good);
	if (code != 0)
		ck_assert_str_ne(error.text, "");
	/* A message may be shown to others; the key to the lease stays out of it. */
	ck_assert_ptr_null(strstr(error.text, "0011223344"));
	lease_free(lease);
}
END_TEST

START_TEST(mc_12_text_and_object_are_the_same)
{
	struct madcap_lease *lease = NULL, *again = NULL;
	char *text;

	ck_assert_int_eq(lease_parse(GOOD, strlen(GOOD), &lease, &error), 0);
	lease->ttl = 32;
	text = lease_print(lease);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(lease_parse(text, strlen(text), &again, &error), 0);
	ck_assert_uint_eq(again->id.size, 17);
	ck_assert_mem_eq(again->id.bytes, lease->id.bytes, 17);
	ck_assert_str_eq(again->server, "192.0.2.1:2535");
	ck_assert_str_eq(again->scope, "239.192.0.0");
	ck_assert_int_eq(again->stop_sec - again->start_sec, 3600);
	ck_assert_int_eq(again->ttl, 32);
	ck_assert_uint_eq(again->n_addresses, 2);
	ck_assert_str_eq(again->addresses[1], "239.192.0.8");
	free(text);
	lease_free(lease);
	lease_free(again);
}
END_TEST

START_TEST(every_truncation_of_a_file_is_damage)
{
	for (size_t i = 0; i < strlen(GOOD); i++) {
		struct madcap_lease *lease = NULL;
		char *part = malloc(i > 0 ? i : 1);

		memcpy(part, GOOD, i);
		ck_assert_int_eq(lease_parse(part, i, &lease, &error), LEASE_FILE_E_DAMAGED);
		ck_assert_ptr_null(lease);
		free(part);
	}
}
END_TEST

static size_t files_in_dir(void)
{
	char command[300];
	size_t n = 0;
	FILE *list;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", dir);
	list = popen(command, "r");
	ck_assert_int_eq(fscanf(list, "%zu", &n), 1);
	pclose(list);
	return n;
}

START_TEST(t19_saved_and_loaded_by_a_later_run)
{
	struct madcap_lease *lease = NULL, *loaded = NULL;
	struct stat stat_buf;

	umask(0);
	ck_assert_int_eq(lease_parse(GOOD, strlen(GOOD), &lease, &error), 0);
	ck_assert_int_eq(madcap_lease_save(m, lease, path_of("lease")), 0);
	ck_assert_int_eq(madcap_lease_save(m, lease, path_of("lease")), 0); /* over the old one */
	ck_assert_int_eq(stat(path_of("lease"), &stat_buf), 0);
	ck_assert_uint_eq(stat_buf.st_mode & 07777, 0600);
	ck_assert_uint_eq(files_in_dir(), 1);
	ck_assert_int_eq(madcap_lease_load(m, path_of("lease"), &loaded), 0);
	ck_assert_str_eq(madcap_lease_server(loaded), "192.0.2.1:2535");
	ck_assert_uint_eq(madcap_lease_count(loaded), 2);
	madcap_lease_free(&lease);
	madcap_lease_free(&loaded);
}
END_TEST

START_TEST(files_that_are_missing_damaged_or_no_files)
{
	struct madcap_lease *lease = NULL;
	FILE *file = fopen(path_of("damaged"), "w");

	fputs("{ \"request_id\": \"" ID "\"", file);
	fclose(file);
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	ck_assert_int_eq(madcap_lease_load(m, path_of("missing"), &lease), MADCAP_E_SYSTEM);
	ck_assert_ptr_nonnull(strstr(madcap_error_text(m), "No such file"));
	ck_assert_int_eq(madcap_lease_load(m, path_of("damaged"), &lease), MADCAP_E_DAMAGED);
	ck_assert_ptr_null(strstr(madcap_error_text(m), "0011223344"));
	ck_assert_int_eq(madcap_lease_load(m, path_of("fifo"), &lease), MADCAP_E_DAMAGED);
	ck_assert_int_eq(madcap_lease_load(m, dir, &lease), MADCAP_E_SYSTEM);
	ck_assert_int_eq(madcap_lease_load(m, "/dev/zero", &lease), MADCAP_E_DAMAGED);
	ck_assert_ptr_null(lease);
}
END_TEST

START_TEST(a_save_that_fails_leaves_the_old_file)
{
	struct madcap_lease *lease = NULL, *loaded = NULL;
	char path[300];

	ck_assert_int_eq(lease_parse(GOOD, strlen(GOOD), &lease, &error), 0);
	snprintf(path, sizeof(path), "%s/no/such/place", dir);
	ck_assert_int_eq(madcap_lease_save(m, lease, path), MADCAP_E_SYSTEM);
	ck_assert_int_eq(mkdir(path_of("directory"), 0700), 0);
	ck_assert_int_eq(madcap_lease_save(m, lease, path_of("directory")), MADCAP_E_SYSTEM);
	ck_assert_uint_eq(files_in_dir(), 1); /* nothing half-done stays */
	/* Nor does a file take the place of what is none, as root could have it do. */
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0600), 0);
	ck_assert_int_eq(madcap_lease_save(m, lease, path_of("fifo")), MADCAP_E_SYSTEM);
	ck_assert_ptr_nonnull(strstr(madcap_error_text(m), "not a regular file"));
	ck_assert_uint_eq(files_in_dir(), 2);
	ck_assert_int_eq(madcap_lease_save(m, lease, path_of("lease")), 0);
	ck_assert_int_eq(madcap_lease_load(m, path_of("lease"), &loaded), 0);
	madcap_lease_free(&lease);
	madcap_lease_free(&loaded);
}
END_TEST

/* A directory that may be written but not read cannot be opened, and so not be synced. The file is
 * there all the same, and whoever was told that it is not would give the lease back. */
START_TEST(a_directory_that_cannot_be_synced_is_no_failure)
{
	struct madcap_lease *lease = NULL, *loaded = NULL;
	const uid_t user = geteuid() == 0 ? 65534 : geteuid();
	const uid_t before = geteuid();

	ck_assert_int_eq(lease_parse(GOOD, strlen(GOOD), &lease, &error), 0);
	ck_assert_int_eq(chmod(dir, 0711), 0);
	ck_assert_int_eq(mkdir(path_of("blind"), 0300), 0);
	ck_assert_int_eq(chown(path_of("blind"), user, (gid_t)-1), 0);
	ck_assert_int_eq(seteuid(user), 0);
	ck_assert_int_lt(open(path_of("blind"), O_RDONLY | O_DIRECTORY), 0);
	ck_assert_msg(madcap_lease_save(m, lease, path_of("blind/lease")) == 0, "%s",
		      madcap_error_text(m));
	ck_assert_int_eq(madcap_lease_load(m, path_of("blind/lease"), &loaded), 0);
	ck_assert_int_eq(chmod(path_of("blind"), 0700), 0);
	ck_assert_int_eq(seteuid(before), 0);
	madcap_lease_free(&lease);
	madcap_lease_free(&loaded);
}
END_TEST

/* ---- CreateLeaseInfo ------------------------------------------------------------------------- */

static const char *const two[] = { "239.192.0.7", "239.192.0.8" };

static struct madcap_lease_parts parts(void)
{
	static const uint8_t id[17] = { 0, 1, 2 };

	return (struct madcap_lease_parts){ .request_id = id,
					    .request_id_size = sizeof(id),
					    .server = "192.0.2.1",
					    .scope_id = "239.192.0.0",
					    .start = 1800000000,
					    .stop = 1800003600,
					    .addresses = two,
					    .n_addresses = 2 };
}

START_TEST(mc_11_a_lease_from_its_parts)
{
	struct madcap_lease_parts some = parts();
	struct madcap_lease *lease = NULL;
	struct sockaddr_storage to;
	socklen_t size = 0;
	unsigned int ttl;
	size_t id_size = 0;

	ck_assert_int_eq(madcap_lease_new(NULL, &some, &lease), 0);
	ck_assert_str_eq(madcap_lease_server(lease), "192.0.2.1:2535");
	ck_assert_mem_eq(madcap_lease_request_id(lease, &id_size), some.request_id, 17);
	ck_assert_uint_eq(id_size, 17);
	ck_assert_int_eq(madcap_lease_start(lease), 1800000000);
	ck_assert_int_eq(madcap_lease_stop(lease), 1800003600);
	ck_assert_uint_eq(madcap_lease_count(lease), 2);
	ck_assert_int_eq(madcap_lease_ttl(lease, &ttl), MADCAP_E_NO_TTL); /* MC-13 */
	ck_assert_int_eq(madcap_lease_sockaddr(lease, 1, &to, &size), 0);
	ck_assert_int_eq(to.ss_family, AF_INET);
	ck_assert_int_eq(madcap_lease_sockaddr(lease, 2, &to, &size), MADCAP_E_ARGUMENT);
	ck_assert_ptr_null(madcap_lease_address(lease, 2));
	madcap_lease_free(&lease);
	ck_assert_ptr_null(lease);
}
END_TEST

START_TEST(mc_15_parts_that_make_no_lease)
{
	struct madcap_lease_parts some = parts();
	struct madcap_lease *lease = NULL;
	int expected = MADCAP_E_ARGUMENT;

	switch (_i) {
	case 0:
		some.stop = some.start; /* T21 */
		break;
	case 1:
		some.request_id_size = 0;
		break;
	case 2:
		some.n_addresses = 0;
		break;
	case 3:
		some.scope_id = "10.0.0.0";
		break;
	case 4:
		some.server = "nowhere";
		break;
	case 5:
		some.start = -1;
		break;
	default:
		some.addresses = NULL;
		expected = MADCAP_E_POINTER;
		break;
	}
	ck_assert_int_eq(madcap_lease_new(m, &some, &lease), expected);
	ck_assert_ptr_null(lease);
}
END_TEST

/* ---- the library without a server ------------------------------------------------------------ */

START_TEST(mc_15_errors_are_distinct)
{
	struct madcap_scopes *scopes = NULL;
	struct madcap_lease *lease = NULL;
	struct madcap_wish wish = { .scope_id = "239.192.0.0" };
	struct madcap *other = NULL;

	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_new(MADCAP_API_VERSION + 1, &other), MADCAP_E_VERSION);
	ck_assert_int_eq(madcap_scopes_get(m, &scopes), MADCAP_E_NOT_STARTED);
	ck_assert_int_eq(madcap_request(m, &wish, &lease), MADCAP_E_NOT_STARTED);
	ck_assert_int_eq(madcap_start(m), 0);
	ck_assert_int_eq(madcap_request(m, NULL, &lease), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_request(m, &wish, NULL), MADCAP_E_POINTER);
	ck_assert_int_eq(madcap_release(m, NULL), MADCAP_E_POINTER);
	wish = (struct madcap_wish){ .scope_id = "10.0.0.0" };
	ck_assert_int_eq(madcap_request(m, &wish, &lease), MADCAP_E_ARGUMENT);
	ck_assert_int_eq(madcap_add_server(m, "239.1.1.1"), MADCAP_E_ARGUMENT);
	ck_assert_int_eq(madcap_set_tries(m, 0), MADCAP_E_ARGUMENT);
	for (int code = MADCAP_E_NO_TTL; code <= 0; code++)
		for (int each = code + 1; each <= 0; each++)
			ck_assert_str_ne(madcap_strerror(code), madcap_strerror(each));
}
END_TEST

/* Of a request, of a renewal and of a lease made from its parts; nothing is sent. */
START_TEST(t21_stop_before_start)
{
	struct madcap_wish wish = { .scope_id = "239.192.0.0",
				    .start = 1900000000,
				    .stop = 1899999999 };
	struct madcap_lease_parts some = parts();
	struct madcap_lease *lease = NULL, *renewed = NULL;

	ck_assert_int_eq(madcap_start(m), 0);
	ck_assert_int_eq(madcap_lease_new(m, &some, &lease), 0);
	for (int local = 0; local <= 1; local++) {
		ck_assert_int_eq(madcap_set_local(m, local), 0);
		ck_assert_int_eq(madcap_request(m, &wish, &renewed), MADCAP_E_ARGUMENT);
		ck_assert_ptr_nonnull(strstr(madcap_error_text(m), "before it starts"));
		ck_assert_int_eq(madcap_renew(m, lease, &wish, &renewed), MADCAP_E_ARGUMENT);
		ck_assert_ptr_nonnull(strstr(madcap_error_text(m), "before it starts"));
	}
	some.stop = some.start - 1;
	ck_assert_int_eq(madcap_lease_new(m, &some, &renewed), MADCAP_E_ARGUMENT);
	ck_assert_ptr_null(renewed);
	madcap_lease_free(&lease);
}
END_TEST

START_TEST(mc_13_server_count_and_ttl_of_a_lease)
{
	struct madcap_wish wish = { .scope_id = "239.255.0.0", .count = 3, .seconds = 60 };
	struct madcap_lease_parts some = parts();
	struct madcap_lease *lease = NULL;
	unsigned int ttl = 99;

	ck_assert_int_eq(madcap_lease_new(m, &some, &lease), 0);
	ck_assert_str_eq(madcap_lease_server(lease), "192.0.2.1:2535");
	ck_assert_uint_eq(madcap_lease_count(lease), 2);
	ck_assert_int_eq(madcap_lease_ttl(lease, &ttl), MADCAP_E_NO_TTL);
	ck_assert_uint_eq(ttl, 99);
	madcap_lease_free(&lease);
	some.server = NULL; /* not granted by one */
	ck_assert_int_eq(madcap_lease_new(m, &some, &lease), 0);
	ck_assert_str_eq(madcap_lease_server(lease), "");
	madcap_lease_free(&lease);
	ck_assert_int_eq(madcap_start(m), 0);
	ck_assert_int_eq(madcap_set_local(m, 1), 0);
	ck_assert_int_eq(madcap_request(m, &wish, &lease), 0);
	ck_assert_uint_eq(madcap_lease_count(lease), 3);
	ck_assert_str_eq(madcap_lease_server(lease), "");
	madcap_lease_free(&lease);
}
END_TEST

START_TEST(a_handle_does_not_pass_a_fork)
{
	struct madcap_scopes *scopes = NULL;
	int status;
	pid_t pid;

	ck_assert_int_eq(madcap_set_local(m, 1), 0);
	ck_assert_int_eq(madcap_start(m), 0);
	pid = fork();
	if (pid == 0) {
		int code = madcap_scopes_get(m, &scopes);

		if (code == MADCAP_E_NOT_STARTED && madcap_start(m) == 0)
			code = madcap_scopes_get(m, &scopes);
		_exit(code == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void start_local(void)
{
	ck_assert_int_eq(madcap_set_local(m, 1), 0);
	ck_assert_int_eq(madcap_start(m), 0);
}

START_TEST(mc_4_cursor_and_collection)
{
	struct madcap_scopes *scopes = NULL;
	struct madcap_cursor *cursor = NULL, *clone = NULL;
	const struct madcap_scope *some[8];
	size_t n = 0;

	start_local();
	ck_assert_int_eq(madcap_set_family(m, AF_INET6), 0);
	ck_assert_int_eq(madcap_scopes_get(m, &scopes), 0);
	ck_assert_uint_eq(madcap_scopes_count(scopes), 3);
	ck_assert_int_eq(madcap_cursor_new(scopes, &cursor), 0);
	ck_assert_int_eq(madcap_cursor_next(cursor, 1, some, &n), 0);
	ck_assert_ptr_eq(some[0], madcap_scopes_at(scopes, 0));
	ck_assert_int_eq(madcap_cursor_clone(cursor, &clone), 0);
	ck_assert_uint_eq(madcap_cursor_skip(cursor, 1), 1);
	ck_assert_int_eq(madcap_cursor_next(cursor, 8, some, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(madcap_cursor_next(cursor, 8, some, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(madcap_cursor_skip(cursor, 9), 0);
	ck_assert_int_eq(madcap_cursor_next(clone, 8, some, &n), 0); /* it has its own place */
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_eq(some[0], madcap_scopes_at(scopes, 1));
	madcap_cursor_reset(cursor);
	ck_assert_int_eq(madcap_cursor_next(cursor, 8, some, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(madcap_cursor_next(cursor, 8, NULL, &n), MADCAP_E_POINTER);
	ck_assert_ptr_null(madcap_scopes_at(scopes, 3));
	madcap_cursor_free(&cursor);
	madcap_cursor_free(&clone);
	madcap_scopes_free(&scopes);
}
END_TEST

START_TEST(mc_5_what_a_scope_tells)
{
	struct madcap_scopes *scopes = NULL;
	const struct madcap_scope *scope;

	start_local();
	ck_assert_int_eq(madcap_scopes_get(m, &scopes), 0);
	scope = madcap_scopes_at(scopes, 0);
	ck_assert_str_eq(madcap_scope_id(scope), "239.255.0.0");
	ck_assert_str_eq(madcap_scope_last(scope), "239.255.255.255");
	ck_assert_str_eq(madcap_scope_server(scope), "");
	ck_assert_str_eq(madcap_scope_interface(scope), "");
	ck_assert_str_eq(madcap_scope_description(scope), "IPv4 Local Scope");
	ck_assert_uint_eq(madcap_scope_ttl(scope), 16);
	ck_assert_uint_eq(madcap_scope_names(scope), 1);
	ck_assert_str_eq(madcap_scope_name_language(scope, 0), "en");
	ck_assert_ptr_null(madcap_scope_id(NULL));
	madcap_scopes_free(&scopes);
}
END_TEST

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

START_TEST(mc_1_local_addresses_are_different_ones_of_the_scope)
{
	static const char *const scope_ids[] = { "239.255.0.0", "239.192.0.0", "ff15::" };
	struct madcap_wish wish = { .scope_id = scope_ids[_i], .count = 3000, .seconds = 60 };
	const char *addresses[3000];
	struct madcap_lease *lease = NULL;

	start_local();
	ck_assert_int_eq(madcap_request(m, &wish, &lease), 0);
	ck_assert_uint_eq(madcap_lease_count(lease), 3000);
	ck_assert_str_eq(madcap_lease_server(lease), "");
	ck_assert_int_eq(madcap_lease_stop(lease) - madcap_lease_start(lease), 60);
	for (size_t i = 0; i < 3000; i++) {
		addresses[i] = madcap_lease_address(lease, i);
		ck_assert_int_eq(strncmp(addresses[i], scope_ids[_i], 5), 0);
	}
	qsort(addresses, 3000, sizeof(addresses[0]), compare_text);
	for (size_t i = 1; i < 3000; i++)
		ck_assert_str_ne(addresses[i - 1], addresses[i]);
	madcap_lease_free(&lease);
}
END_TEST

START_TEST(mc_1_local_draws_only_from_the_addresses_given)
{
	struct madcap_wish wish = { .scope_id = "239.100.0.0",
				    .count = 5,
				    .min_count = 2,
				    .addresses = two,
				    .n_addresses = 2 };
	struct madcap_lease *lease = NULL;

	start_local();
	ck_assert_int_eq(madcap_request(m, &wish, &lease), 0);
	ck_assert_uint_eq(madcap_lease_count(lease), 2);
	ck_assert_str_ne(madcap_lease_address(lease, 0), madcap_lease_address(lease, 1));
	madcap_lease_free(&lease);
	wish.min_count = 3;
	ck_assert_int_eq(madcap_request(m, &wish, &lease), MADCAP_E_ARGUMENT);
	wish.addresses = NULL;
	ck_assert_int_eq(madcap_request(m, &wish, &lease), MADCAP_E_ARGUMENT);
}
END_TEST

START_TEST(mc_9_local_renewal_is_a_new_object)
{
	struct madcap_wish wish = { .scope_id = "239.255.0.0", .seconds = 60 };
	struct madcap_lease *lease = NULL, *renewed = NULL;

	start_local();
	ck_assert_int_eq(madcap_request(m, &wish, &lease), 0);
	ck_assert_int_eq(madcap_set_local(m, 0), 0); /* it stays what it is */
	wish.seconds = 600;
	ck_assert_int_eq(madcap_renew(m, lease, &wish, &renewed), 0);
	ck_assert_ptr_ne(lease, renewed);
	ck_assert_mem_eq(madcap_lease_request_id(lease, NULL),
			 madcap_lease_request_id(renewed, NULL), 17);
	ck_assert_int_eq(madcap_lease_stop(renewed) - madcap_lease_start(renewed), 600);
	ck_assert_str_eq(madcap_lease_address(renewed, 0), madcap_lease_address(lease, 0));
	ck_assert_int_eq(madcap_release(m, renewed), 0);
	madcap_lease_free(&lease);
	madcap_lease_free(&renewed);
}
END_TEST

START_TEST(mc_2_a_servers_lease_is_not_for_local_allocation)
{
	struct madcap_lease_parts some = parts();
	struct madcap_lease *lease = NULL, *renewed = NULL;

	start_local();
	ck_assert_int_eq(madcap_lease_new(m, &some, &lease), 0);
	ck_assert_int_eq(madcap_renew(m, lease, NULL, &renewed), MADCAP_E_ARGUMENT);
	ck_assert_int_eq(madcap_release(m, lease), MADCAP_E_ARGUMENT);
	madcap_lease_free(&lease);
}
END_TEST

/* ---------------------------------------------------------------------------------------------- */

int main(void)
{
	TCase *cases = tcase_create("leases");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_loop_test(cases, mc_14_text_is_exactly_a_lease_or_none, 0, N_ELEMENTS(texts));
	tcase_add_test(cases, mc_12_text_and_object_are_the_same);
	tcase_add_test(cases, every_truncation_of_a_file_is_damage);
	tcase_add_test(cases, t19_saved_and_loaded_by_a_later_run);
	tcase_add_test(cases, files_that_are_missing_damaged_or_no_files);
	tcase_add_test(cases, a_save_that_fails_leaves_the_old_file);
	tcase_add_test(cases, a_directory_that_cannot_be_synced_is_no_failure);
	tcase_add_test(cases, mc_11_a_lease_from_its_parts);
	tcase_add_loop_test(cases, mc_15_parts_that_make_no_lease, 0, 7);
	tcase_add_test(cases, mc_15_errors_are_distinct);
	tcase_add_test(cases, t21_stop_before_start);
	tcase_add_test(cases, mc_13_server_count_and_ttl_of_a_lease);
	tcase_add_test(cases, a_handle_does_not_pass_a_fork);
	tcase_add_test(cases, mc_4_cursor_and_collection);
	tcase_add_test(cases, mc_5_what_a_scope_tells);
	tcase_add_loop_test(cases, mc_1_local_addresses_are_different_ones_of_the_scope, 0, 3);
	tcase_add_test(cases, mc_1_local_draws_only_from_the_addresses_given);
	tcase_add_test(cases, mc_9_local_renewal_is_a_new_object);
	tcase_add_test(cases, mc_2_a_servers_lease_is_not_for_local_allocation);
	return run_tcase("madcap_lease_file", cases);
}
