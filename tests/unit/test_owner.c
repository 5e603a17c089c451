/* SPDX-License-Identifier: MIT */
/*
 * Owners' locks: which file and byte an address has, and many questions at a time.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owner.h"
#include "scratch.h"
#include "suite.h"

/* A stride that spreads addresses over all files, unevenly, and over all of IPv4. */
#define STRIDE UINT32_C(131071)
#define MANY 20000

static char directory[SCRATCH_SIZE];
static int runtime_fd;
static struct owner_dir owners;
static struct error why;

static void begin(void)
{
	scratch_make(directory);
	runtime_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(runtime_fd, 0);
	owner_dir_open(runtime_fd, &owners);
}

static void end(void)
{
	owner_dir_close(&owners);
	close(runtime_fd);
	scratch_remove(directory);
}

static int take(uint32_t addr, bool shared)
{
	int fd = -1;

	ck_assert_int_eq(owner_take(&owners, addr, shared, &fd, &why), 0);
	return fd;
}

START_TEST(every_address_has_a_byte_of_its_own)
{
	/* The first two share a file, the third is one round of files further on. */
	const uint32_t addrs[] = { 0x0a000001, 0x0a000002, 0x0a000001 + 16 * OWNER_FILES,
				   UINT32_MAX };
	int fds[4];

	ck_assert_uint_eq(owner_file(addrs[0]), owner_file(addrs[2]));
	for (size_t i = 0; i < 4; i++) {
		ck_assert(!owner_is_held(&owners, addrs[i]));
		fds[i] = take(addrs[i], false);
		ck_assert(owner_is_live(&owners, addrs[i]));
	}
	for (size_t i = 0; i < 4; i++) {
		int again;

		ck_assert_int_eq(owner_take(&owners, addrs[i], false, &again, &why),
				 POOL_E_REFUSED);
		owner_drop(addrs[i], &fds[i]);
		ck_assert(!owner_is_held(&owners, addrs[i]));
	}
}
END_TEST

/* Every 70th is a session's, every 50th our own end of a link; the others are nobody's. (A process
 * may not have many files open.) */
static int take_some(uint32_t i)
{
	if (i % 70 == 0)
		return take(i * STRIDE, false);
	return i % 50 == 0 ? take(i * STRIDE, true) : -1;
}

/* The loop variable is half the number of threads. */
START_TEST(many_questions_have_the_answers_of_single_ones)
{
	struct owner_questions questions = { 0 };
	static int fds[MANY];
	size_t live = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		fds[i] = take_some(i);
		ck_assert_int_eq(owner_add_question(&questions, i * STRIDE, i), 0);
	}
	owner_ask(&owners, &questions, 2 * (unsigned int)_i);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_uint_eq(questions.list[i].id, i);
		ck_assert_uint_eq(questions.list[i].addr, (uint32_t)i * STRIDE);
		ck_assert_int_eq(questions.list[i].live, i % 70 == 0);
		if (i % 30 == 0)
			ck_assert_int_eq(questions.list[i].live,
					 owner_is_live(&owners, (uint32_t)i * STRIDE));
		live += questions.list[i].live;
	}
	ck_assert_uint_eq(live, (MANY + 69) / 70);
	owner_questions_done(&questions);
	for (size_t i = 0; i < MANY; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
END_TEST

#define FEW 64

/* Addresses that share a file: sixteen neighbours, and others far from them. */
static uint32_t in_one_file(uint32_t i)
{
	return i / 16 * (16 * OWNER_FILES) + i % 16;
}

/* What happens to each of them; locks come in another order than addresses. */
static void take_in_disorder(const char *fates, int *fds)
{
	for (uint32_t i = 0; i < FEW; i++)
		fds[i] = -1;
	for (uint32_t n = 0; n < FEW; n++) {
		uint32_t i = n * 37 % FEW;

		if (fates[i] == 'L' || fates[i] == 'l' || fates[i] == 's')
			fds[i] = take(in_one_file(i), fates[i] == 's');
	}
}

/* L: live, l: live and not asked for, s: our own end of a link, d: dead, -: not asked for. */
static const char *const fates[] = {
	"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
	"LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL",
	"LdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLdLd",
	"dddddddLdddddddddddddddLdddddddddddddddddddddLdddddddddddddddddd",
	"Ldddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd-",
	"-ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddL",
	"ldl-dddlldlldldllllldddll-----dlldddddllllldlldldlldldl---lldldl",
	"sdsdsdsLsLsdsdsdssssssssssssssssssssssssssLddddddddddddLssssssss",
	"llllllllllllllllllllllllllllllldllllllllllllllllllllllllllllllll",
	"------------------------------------------L---------------------",
};

START_TEST(stretches_have_the_answers_of_single_questions)
{
	struct owner_questions questions = { 0 };
	int fds[FEW];

	take_in_disorder(fates[_i], fds);
	for (uint32_t i = 0; i < FEW; i++)
		if (fates[_i][i] != 'l' && fates[_i][i] != '-')
			ck_assert_int_eq(owner_add_question(&questions, in_one_file(i), i), 0);
	owner_ask(&owners, &questions, 1);
	for (size_t i = 0; i < questions.n; i++) {
		const struct owner_question *question = &questions.list[i];

		ck_assert_int_eq(question->live, fates[_i][question->id] == 'L');
		ck_assert_int_eq(question->live, owner_is_live(&owners, question->addr));
	}
	owner_questions_done(&questions);
	for (size_t i = 0; i < FEW; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
END_TEST

/* Neighbours that one process has are one lock to the kernel. */
START_TEST(a_lock_may_be_longer_than_an_address)
{
	struct owner_questions questions = { 0 };
	struct flock lock = { .l_type = F_WRLCK, .l_start = 4, .l_len = 7 };
	int fd = take(5, false);

	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	for (uint32_t addr = 0; addr < 16; addr++)
		ck_assert_int_eq(owner_add_question(&questions, addr, 0), 0);
	owner_ask(&owners, &questions, 1);
	for (uint32_t addr = 0; addr < 16; addr++)
		ck_assert_int_eq(questions.list[addr].live, addr >= 4 && addr < 11);
	/* To the end of the file, however long that is. */
	lock.l_len = 0;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	owner_ask(&owners, &questions, 1);
	for (uint32_t addr = 0; addr < 16; addr++)
		ck_assert_int_eq(questions.list[addr].live, addr >= 4);
	owner_questions_done(&questions);
	close(fd);
}
END_TEST

START_TEST(questions_out_of_order_are_refused)
{
	struct owner_questions questions = { 0 };

	ck_assert_int_eq(owner_add_question(&questions, 2, 0), 0);
	ck_assert_int_eq(owner_add_question(&questions, 2, 0), 0);
	ck_assert_int_eq(owner_add_question(&questions, 1, 0), POOL_E_INVALID);
	ck_assert_uint_eq(questions.n, 2);
	owner_questions_done(&questions);
}
END_TEST

START_TEST(in_doubt_an_owner_lives)
{
	struct owner_questions questions = { 0 };
	char name[OWNER_FILE_NAME_SIZE];
	int fd = take(1, false);

	/* The lock file cannot be opened: a link is not followed. */
	owner_drop(1, &fd);
	owner_file_name(owner_file(1), name);
	ck_assert_int_eq(unlinkat(runtime_fd, name, 0), 0);
	ck_assert_int_eq(symlinkat("elsewhere", runtime_fd, name), 0);
	ck_assert(owner_is_live(&owners, 1));
	ck_assert_int_eq(owner_add_question(&questions, 1, 0), 0);
	ck_assert_int_eq(owner_add_question(&questions, 2, 0), 0);
	ck_assert_int_eq(owner_add_question(&questions, 1000, 0), 0);
	owner_ask(&owners, &questions, 0);
	ck_assert(questions.list[0].live);
	ck_assert(questions.list[1].live);
	ck_assert(!questions.list[2].live);
	owner_questions_done(&questions);
}
END_TEST

START_TEST(no_question_at_all)
{
	struct owner_questions questions = { 0 };

	owner_ask(&owners, &questions, 4);
	owner_questions_done(&questions);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("owner");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, every_address_has_a_byte_of_its_own);
	tcase_add_loop_test(tcase, many_questions_have_the_answers_of_single_ones, 0, 3);
	tcase_add_loop_test(tcase, stretches_have_the_answers_of_single_questions, 0,
			    sizeof(fates) / sizeof(fates[0]));
	tcase_add_test(tcase, a_lock_may_be_longer_than_an_address);
	tcase_add_test(tcase, questions_out_of_order_are_refused);
	tcase_add_test(tcase, in_doubt_an_owner_lives);
	tcase_add_test(tcase, no_question_at_all);
	return run_tcase("owner", tcase);
}
