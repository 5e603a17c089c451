/* SPDX-License-Identifier: MIT */
/* The cursor over bytes, characters, the random order of numbers, hashes, owners' locks, directories.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "directory.h"
#include "hash.h"
#include "owner.h"
#include "permute.h"
#include "utf8.h"
#include "wire.h"
#include "scratch.h"
#include "suite.h"

static char dir[SCRATCH_SIZE];
static int dir_fd;

static void begin(void)
{
	scratch_make(dir);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(dir_fd, 0);
}

static void end(void)
{
	close(dir_fd);
	scratch_remove(dir);
}

START_TEST(wire_round_trip)
{
	uint8_t buf[64];
	char text[8];
	struct wire_writer writer;
	struct wire_reader reader;

	wire_writer_init(&writer, buf, sizeof(buf));
	wire_write_u8(&writer, 0xab);
	wire_write_u16(&writer, 0x1234);
	wire_write_u32(&writer, 0xdeadbeef);
	wire_write_u64(&writer, UINT64_C(0x0123456789abcdef));
	wire_write_string8(&writer, "user");
	ck_assert(!writer.failed);
	ck_assert_mem_eq(buf, "\xab\x12\x34\xde\xad\xbe\xef\x01", 8);
	wire_reader_init(&reader, buf, writer.at);
	ck_assert_uint_eq(wire_read_u8(&reader), 0xab);
	ck_assert_uint_eq(wire_read_u16(&reader), 0x1234);
	ck_assert_uint_eq(wire_read_u32(&reader), 0xdeadbeef);
	ck_assert(wire_read_u64(&reader) == UINT64_C(0x0123456789abcdef));
	wire_read_string8(&reader, text, sizeof(text));
	ck_assert_str_eq(text, "user");
	ck_assert(wire_reader_finished(&reader));
}
END_TEST

START_TEST(wire_stops_at_the_end)
{
	static const uint8_t bytes[] = { 5, 'a', 'b', 0, 'c', 'd' };
	uint8_t small[3];
	char text[16] = "before";
	struct wire_reader reader;
	struct wire_writer writer;

	for (size_t size = 0; size < 4; size++) {
		wire_reader_init(&reader, bytes, size);
		ck_assert_uint_eq(wire_read_u32(&reader), 0);
		ck_assert(reader.failed);
		ck_assert(!wire_reader_finished(&reader));
		ck_assert_ptr_null(wire_read_bytes(&reader, 0));
	}
	wire_reader_init(&reader, bytes, 5); /* the string is cut */
	wire_read_string8(&reader, text, sizeof(text));
	ck_assert(reader.failed);
	ck_assert_str_eq(text, "");
	wire_reader_init(&reader, bytes, 6); /* a NUL inside */
	wire_read_string8(&reader, text, sizeof(text));
	ck_assert(reader.failed);
	wire_reader_init(&reader, "\4abcd", 5); /* longer than the buffer */
	wire_read_string8(&reader, text, 4);
	ck_assert(reader.failed);
	wire_writer_init(&writer, small, sizeof(small));
	wire_write_u16(&writer, 1);
	wire_write_u16(&writer, 2);
	wire_write_u8(&writer, 3);
	ck_assert(writer.failed);
	ck_assert_uint_eq(writer.at, 2);
}
END_TEST

START_TEST(characters_are_told_from_what_is_none)
{
	static const struct {
		const char *text;
		size_t length;
		bool is_control;
	} cases[] = {
		{ "a", 1, false },
		{ "\n", 1, true },
		{ "\x1b", 1, true },
		{ "\x7f", 1, true },
		{ "\xc3\xb6", 2, false },
		{ "\xc2\x9b", 2, true },
		{ "\xc2\xa0", 2, false },
		{ "\xd8\x9c", 2, true },
		{ "\xe2\x80\x8e", 3, true },
		{ "\xe2\x80\xa8", 3, true },
		{ "\xe2\x80\xae", 3, true },
		{ "\xe2\x80\xb0", 3, false }, /* per mille */
		{ "\xe2\x81\xa6", 3, true },
		{ "\xe2\x81\xaa", 3, false },
		{ "\xf0\x9f\x98\x80", 4, false },
		{ "\xff", 0, false },
		{ "\xc3", 0, false },
		{ "\xc3\n", 0, false },
		{ "\xe2\x82", 0, false },
		{ "\xc0\xaf", 0, false },         /* longer than it has to be */
		{ "\xe0\x80\xaf", 0, false },     /* the same */
		{ "\xed\xa0\x80", 0, false },     /* half of a pair */
		{ "\xf4\x90\x80\x80", 0, false }, /* beyond Unicode */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = utf8_length(cases[i].text);

		ck_assert_msg(length == cases[i].length, "case %zu", i);
		ck_assert_msg(length == 0 ||
				      utf8_is_control(cases[i].text, length) == cases[i].is_control,
			      "case %zu", i);
	}
}
END_TEST

START_TEST(what_is_shown_is_cut_between_characters)
{
	static const char text[] = "\xc3\xb6\x1b\xff.\xc2\x9b";
	static const char whole[] = "\xc3\xb6\\x1b\\xff.\\xc2\\x9b";
	static const size_t cuts[] = { 0, 2, 6, 10, 11, sizeof(whole) - 1 };
	char buf[sizeof(whole)];
	size_t cut = 0;

	for (size_t size = 1; size <= sizeof(buf); size++) {
		if (cuts[cut + 1] < size)
			cut++;
		memset(buf, '#', sizeof(buf));
		ck_assert_ptr_eq(utf8_show(text, buf, size), buf);
		ck_assert_uint_eq(strlen(buf), cuts[cut]);
		ck_assert_mem_eq(buf, whole, cuts[cut]);
	}
	ck_assert_str_eq(buf, whole);
}
END_TEST

START_TEST(permute_visits_every_number_once)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 5, 16, 17, 255, 256, 1000, 65536, 70001 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t n = sizes[i];
		bool *seen = calloc((size_t)n, sizeof(*seen));

		ck_assert_ptr_nonnull(seen);
		for (uint64_t index = 0; index < n; index++) {
			uint64_t value = permute(index, n, UINT64_C(0x1234567) * i);

			ck_assert_uint_lt(value, n);
			ck_assert(!seen[value]);
			seen[value] = true;
		}
		free(seen);
	}
	for (uint64_t index = 0; index < 1000; index++)
		ck_assert(permute(index, UINT64_C(1) << 32, 7) < UINT64_C(1) << 32);
}
END_TEST

/* The authors' own test vectors. What is in a store may have been made by an older rasip. */
START_TEST(a_hash_is_fnv_1a)
{
	ck_assert_uint_eq(hash_bytes(HASH_START, "", 0), UINT64_C(0xcbf29ce484222325));
	ck_assert_uint_eq(hash_bytes(HASH_START, "a", 1), UINT64_C(0xaf63dc4c8601ec8c));
	ck_assert_uint_eq(hash_bytes(HASH_START, "foobar", 6), UINT64_C(0x85944171f73967e8));
	ck_assert_uint_eq(hash_bytes(hash_bytes(HASH_START, "foo", 3), "bar", 3),
			  UINT64_C(0x85944171f73967e8));
}
END_TEST

START_TEST(an_owner_excludes_others)
{
	struct owner_dir owners;
	struct error error;
	int first;
	int second;

	owner_dir_open(dir_fd, &owners);
	ck_assert(!owner_is_held(&owners, 0x0a000001));
	ck_assert_int_eq(owner_take(&owners, 0x0a000001, false, &first, &error), 0);
	ck_assert(owner_is_held(&owners, 0x0a000001));
	ck_assert(!owner_is_held(&owners, 0x0a000002));
	ck_assert(!owner_is_held(&owners, 0x0a000101));
	ck_assert_int_eq(owner_take(&owners, 0x0a000001, false, &second, &error), POOL_E_REFUSED);
	ck_assert_int_eq(owner_take(&owners, 0x0a000001, true, &second, &error), POOL_E_REFUSED);
	owner_drop(0x0a000001, &first);
	ck_assert_int_eq(first, -1);
	ck_assert_int_eq(owner_take(&owners, 0x0a000001, true, &first, &error), 0);
	ck_assert_int_eq(owner_take(&owners, 0x0a000001, true, &second, &error), 0);
	ck_assert(owner_is_held(&owners, 0x0a000001));
	owner_drop(0x0a000001, &first);
	ck_assert(owner_is_held(&owners, 0x0a000001));
	owner_drop(0x0a000001, &second);
	ck_assert(!owner_is_held(&owners, 0x0a000001));
	owner_dir_close(&owners);
}
END_TEST

/* updetach: the child goes on, the parent exits, and nobody thinks the lease dead in between. */
START_TEST(an_owner_survives_fork)
{
	struct owner_dir owners;
	struct error error;
	int lock;
	int gate[2];
	pid_t child;

	owner_dir_open(dir_fd, &owners);
	ck_assert_int_eq(pipe(gate), 0);
	ck_assert_int_eq(owner_take(&owners, 1, false, &lock, &error), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char byte;

		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(gate[0]);
	close(lock); /* as an exit would */
	ck_assert(owner_is_held(&owners, 1));
	close(gate[1]); /* the child ends */
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!owner_is_held(&owners, 1));
	owner_dir_close(&owners);
}
END_TEST

START_TEST(a_release_frees_what_a_child_still_has_open)
{
	struct owner_dir owners;
	struct error error;
	int lock;
	int copy;

	owner_dir_open(dir_fd, &owners);
	ck_assert_int_eq(owner_take(&owners, 1, false, &lock, &error), 0);
	copy = dup(lock);
	owner_drop(1, &lock);
	ck_assert(!owner_is_held(&owners, 1));
	close(copy);
	owner_dir_close(&owners);
}
END_TEST

static int open_inside(const char *name, bool create, struct error *error)
{
	char path[512];
	int fd;
	int code;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	code = directory_open(path, create, &fd, error);
	if (code == 0)
		close(fd);
	return code;
}

START_TEST(directories_are_made_with_the_right_mode)
{
	struct error error = { "" };
	struct stat stat;

	ck_assert_int_eq(open_inside("a/b/c", false, &error), POOL_E_NOT_FOUND);
	umask(0777);
	ck_assert_msg(open_inside("a/b/c", true, &error) == 0, "%s", error.text);
	ck_assert_int_eq(fstatat(dir_fd, "a/b/c", &stat, 0), 0);
	ck_assert_uint_eq(stat.st_mode & 07777, 0750);
	ck_assert_int_eq(fstatat(dir_fd, "a/b", &stat, 0), 0);
	ck_assert_uint_eq(stat.st_mode & 07777, 0755);
	ck_assert_msg(open_inside("d/e//", true, &error) == 0, "%s", error.text);
	ck_assert_int_eq(fstatat(dir_fd, "d/e", &stat, 0), 0);
	ck_assert_uint_eq(stat.st_mode & 07777, 0750);
}
END_TEST

/* What mkdir() makes, for the test that has somebody take it away at once; elsewhere as it is. */
static bool is_taken_away;

int mkdir(const char *path, mode_t mode)
{
	int code = mkdirat(AT_FDCWD, path, mode);

	if (code == 0 && is_taken_away) {
		ck_assert_int_eq(rmdir(path), 0);
		ck_assert_int_eq(symlink("victim", path), 0);
	}
	return code;
}

/* In a directory that others may write, too, something else may stand there a moment later. */
START_TEST(nothing_is_done_to_what_takes_a_directorys_place)
{
	struct error error = { "" };
	struct stat stat;

	ck_assert_int_eq(mkdirat(dir_fd, "victim", 0700), 0);
	is_taken_away = true;
	ck_assert_int_eq(open_inside("run", true, &error), POOL_E_SYSTEM);
	ck_assert_int_eq(fstatat(dir_fd, "victim", &stat, 0), 0);
	ck_assert_uint_eq(stat.st_mode & 07777, 0700);
}
END_TEST

START_TEST(directories_of_others_are_not_trusted)
{
	struct error error = { "" };

	ck_assert_int_eq(open_inside("run", true, &error), 0);
	ck_assert_int_eq(fchmodat(dir_fd, "run", 0770, 0), 0);
	ck_assert_int_eq(open_inside("run", true, &error), POOL_E_SYSTEM);
	ck_assert_ptr_nonnull(strstr(error.text, "may be written by others (mode 0770)"));
	ck_assert_int_eq(fchmodat(dir_fd, "run", 0750, 0), 0);
	ck_assert_int_eq(symlinkat("run", dir_fd, "link"), 0);
	ck_assert_int_eq(open_inside("link", true, &error), POOL_E_SYSTEM);
	ck_assert_int_eq(open_inside("link/", true, &error), POOL_E_SYSTEM);
	close(openat(dir_fd, "file", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(open_inside("file", true, &error), POOL_E_SYSTEM);
	ck_assert_int_eq(open_inside("file/below", true, &error), POOL_E_SYSTEM);
	if (geteuid() == 0) {
		ck_assert_int_eq(fchownat(dir_fd, "run", 65534, 65534, 0), 0);
		ck_assert_int_eq(open_inside("run", true, &error), POOL_E_SYSTEM);
		ck_assert_ptr_nonnull(strstr(error.text, "belongs to user 65534"));
	}
}
END_TEST

START_TEST(every_code_has_words_of_its_own)
{
	for (int code = POOL_E_BACKEND; code <= POOL_OK; code++) {
		ck_assert_str_ne(pool_strerror(code), pool_strerror(1));
		for (int other = POOL_E_BACKEND; other < code; other++)
			ck_assert_str_ne(pool_strerror(code), pool_strerror(other));
	}
	ck_assert_str_eq(pool_strerror(POOL_E_BACKEND - 1), pool_strerror(1));
}
END_TEST

START_TEST(a_reason_that_is_too_long_is_cut)
{
	struct error error;
	char text[2 * sizeof(error.text)];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set_errno(&error, ENOENT, "%s", text);
	ck_assert_uint_eq(strlen(error.text), sizeof(error.text) - 1);
	error_set_errno(&error, ENOENT, "here");
	ck_assert_str_eq(error.text, "here: No such file or directory");
	error_set(NULL, "nobody");
	error_set_errno(NULL, ENOENT, "nobody");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("base");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, wire_round_trip);
	tcase_add_test(tcase, wire_stops_at_the_end);
	tcase_add_test(tcase, characters_are_told_from_what_is_none);
	tcase_add_test(tcase, what_is_shown_is_cut_between_characters);
	tcase_add_test(tcase, permute_visits_every_number_once);
	tcase_add_test(tcase, a_hash_is_fnv_1a);
	tcase_add_test(tcase, an_owner_excludes_others);
	tcase_add_test(tcase, an_owner_survives_fork);
	tcase_add_test(tcase, a_release_frees_what_a_child_still_has_open);
	tcase_add_test(tcase, directories_are_made_with_the_right_mode);
	tcase_add_test(tcase, nothing_is_done_to_what_takes_a_directorys_place);
	tcase_add_test(tcase, directories_of_others_are_not_trusted);
	tcase_add_test(tcase, every_code_has_words_of_its_own);
	tcase_add_test(tcase, a_reason_that_is_too_long_is_cut);
	return run_tcase("base", tcase);
}
