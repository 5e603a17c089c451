/* SPDX-License-Identifier: MIT */
/*
 * faults.h - for tests: one operation, with each of its calls of the system failing in turn.
 *
 * A case is prepared, run with the n-th call failing, looked at, and ended; n = 1, 2 ... until the
 * operation goes through without one. RASIP_FAULTS=long does so for all the kinds of failure that
 * the calls know, and also with all calls failing from the n-th on; RASIP_FAULT=CASE:N:VARIANT:LASTING
 * repeats a single one, as a failure prints it.
 * Include it once, in a test program's only source file.
 */
#ifndef RASIP_TESTS_FAULTS_H
#define RASIP_TESTS_FAULTS_H

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

#define FAULTS_MAX 3000 /* calls of one operation: more is an endless loop */

/* `run` leaves what `check` looks at in variables; `check` brings everything that `run` has opened
 * or taken back to where `prepare` left it. Both may be left out. */
struct fault_case {
	const char *name;
	void (*prepare)(void);
	void (*run)(void);
	void (*check)(void);
	void (*end)(void);
};

static struct {
	const struct fault_case *now;
	struct fault_plan plan;
	unsigned long faults;
	char context[256];
} faults;

static void faults_describe(void)
{
	snprintf(faults.context, sizeof(faults.context), "RASIP_FAULT=%s:%lu:%u:%d, %s fails",
		 faults.now->name, faults.plan.at, faults.plan.variant, faults.plan.lasting,
		 fault_struck() != NULL ? fault_struck() : "nothing");
}

#define FAULT_EXPECT(condition, ...)                                                               \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			char expect_text_[600];                                                    \
                                                                                                   \
			fault_disarm();                                                            \
			fault_tell();                                                              \
			faults_describe();                                                         \
			snprintf(expect_text_, sizeof(expect_text_), __VA_ARGS__);                 \
			ck_abort_msg("%s: %s", faults.context, expect_text_);                      \
		}                                                                                  \
	} while (0)

/* A crash says of which failure it is. */
static void faults_crashed(int number)
{
	if (write(STDERR_FILENO, faults.context, strlen(faults.context)) < 0)
		_exit(1);
	signal(number, SIG_DFL);
	raise(number);
}

static int faults_open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n;
}

/* Whether a call was struck, so that there may be one behind it. */
static bool faults_one(const struct fault_case *c)
{
	bool struck;
	long held;
	int files;

	if (c->prepare != NULL)
		c->prepare();
	files = faults_open_files();
	held = fault_held();
	faults_describe();
	fault_arm(&faults.plan);
	c->run();
	fault_disarm();
	struck = fault_struck() != NULL;
	faults.faults += struck;
	if (getenv("RASIP_FAULTS_SHOW") != NULL) {
		faults_describe();
		fprintf(stderr, "%s\n", faults.context);
	}
	if (c->check != NULL)
		c->check();
	/* What libraries keep from the first time on is nobody's leak. */
	FAULT_EXPECT(fault_held() == held || faults.plan.at == 0,
		     "%ld pieces of memory were left behind", fault_held() - held);
	FAULT_EXPECT(faults_open_files() == files, "%d descriptors were left open",
		     faults_open_files() - files);
	if (c->end != NULL)
		c->end();
	return struck;
}

static void faults_series(const struct fault_case *c, unsigned int variant, bool lasting)
{
	faults.plan =
		(struct fault_plan){ .kinds = FAULT_ALL, .variant = variant, .lasting = lasting };
	do {
		faults.plan.at++;
		FAULT_EXPECT(faults.plan.at < FAULTS_MAX, "it makes calls without end");
	} while (faults_one(c));
}

static bool faults_repeat(const struct fault_case *c)
{
	const char *text = getenv("RASIP_FAULT");
	size_t n = strlen(c->name);
	int lasting;

	if (text == NULL)
		return false;
	if (strncmp(text, c->name, n) != 0 || text[n] != ':')
		return true;
	faults.plan.kinds = FAULT_ALL;
	if (sscanf(text + n, ":%lu:%u:%d", &faults.plan.at, &faults.plan.variant, &lasting) == 3) {
		faults.plan.lasting = lasting != 0;
		faults_one(c);
	}
	return true;
}

static void faults_try(const struct fault_case *c)
{
	const char *how = getenv("RASIP_FAULTS");
	bool is_long = how != NULL && strcmp(how, "long") == 0;

	faults.now = c;
	faults.faults = 0;
	faults.plan = (struct fault_plan){ .at = 0 };
	signal(SIGSEGV, faults_crashed);
	signal(SIGBUS, faults_crashed);
	signal(SIGABRT, faults_crashed);
	faults_one(c);
	if (faults_repeat(c))
		return;
	faults_series(c, 0, false);
	for (unsigned int variant = 0; is_long && variant < 4; variant++) {
		faults_series(c, variant, true);
		if (variant > 0)
			faults_series(c, variant, false);
	}
	ck_assert(faults.faults > 0 || !fault_has_memory());
	printf("%s: %lu faults\n", c->name, faults.faults);
}

#endif
