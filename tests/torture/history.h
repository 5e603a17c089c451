/* SPDX-License-Identifier: MIT */
/*
 * history.h - for tests: random histories beside a model, and short scripts of those that fail.
 *
 * A model is a table of operations with two arguments each, which every state can make sense of, so
 * that any part of a history is a history. Each runs in a process of its own, so that a crash is a
 * failure like others. One that fails is made shorter, step by step, for as long as it still fails,
 * and printed as a script.
 *
 *	RASIP_SEED=N         the first history's seed; the others' follow it (the time, otherwise)
 *	RASIP_STEPS=N        how long a history is
 *	RASIP_HISTORIES=N    how many; or
 *	RASIP_SECONDS=N      for how long
 *	RASIP_SCRIPT=FILE    plays this script and no other history
 *
 * Include it once, in a test program's only source file.
 */
#ifndef RASIP_TESTS_HISTORY_H
#define RASIP_TESTS_HISTORY_H

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/suite.h"

#define HISTORY_STEPS_MAX 100000
#define HISTORY_RUNS_MAX 3000 /* of one that is made shorter */

struct history_op {
	const char *name;
	unsigned int weight; /* how often it is drawn */
	unsigned int a, b;   /* arguments are below these; 0: it has none */
	void (*play)(unsigned int a, unsigned int b);
};

struct history_model {
	const struct history_op *ops;
	size_t n_ops;
	unsigned int steps;
	unsigned int histories;
	void (*begin)(void);
	void (*end)(void); /* the last look, and cleaning up */
};

struct history_step {
	uint32_t op, a, b;
};

/* What one run said; the file that it stands in is shared with the process that runs it. */
struct history_outcome {
	bool failed;
	size_t at; /* the step */
	char text[600];
};

static struct {
	const struct history_model *model;
	struct history_step *steps;
	size_t n;
	uint64_t seed;
	uint64_t random;
	size_t at;   /* in the process that runs */
	int tell_fd; /* where it tells its outcome */
	char directory[256];
} history;

/* ---- running --------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2), noreturn)) static void history_fail(const char *format, ...)
{
	struct history_outcome outcome = { .failed = true, .at = history.at };
	va_list args;

	va_start(args, format);
	vsnprintf(outcome.text, sizeof(outcome.text), format, args);
	va_end(args);
	if (write(history.tell_fd, &outcome, sizeof(outcome)) != (ssize_t)sizeof(outcome))
		abort();
	/* Cleaning up may be what fails. */
	_exit(1);
}

#define HISTORY_EXPECT(condition, ...)                                                             \
	do {                                                                                       \
		if (!(condition))                                                                  \
			history_fail(__VA_ARGS__);                                                 \
	} while (0)

static void history_play(const struct history_step *steps, size_t n)
{
	history.at = 0;
	history.model->begin();
	for (; history.at < n; history.at++) {
		const struct history_step *step = &steps[history.at];

		history.model->ops[step->op].play(step->a, step->b);
	}
	history.model->end();
}

/* What a run that failed has left below TMPDIR, which is ours alone. */
static void history_clean(void)
{
	ck_assert_int_eq(system("rm -rf \"$TMPDIR\"/*"), 0);
}

static void history_own_directory(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(history.directory, sizeof(history.directory), "%s/history-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(history.directory));
	ck_assert_int_eq(setenv("TMPDIR", history.directory, 1), 0);
}

static struct history_outcome history_run(const struct history_step *steps, size_t n)
{
	struct history_outcome outcome = { .failed = false };
	int status = 0;
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		/* What Check would kill with the test has to end with it. */
		close(ends[0]);
		history.tell_fd = ends[1];
		history_play(steps, n);
		fflush(stdout);
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &outcome, sizeof(outcome)) != (ssize_t)sizeof(outcome))
		outcome = (struct history_outcome){ .failed = false };
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (!outcome.failed && status != 0) {
		outcome.failed = true;
		outcome.at = n;
		snprintf(outcome.text, sizeof(outcome.text), "the process ended with status 0x%x",
			 (unsigned int)status);
	}
	if (outcome.failed)
		history_clean();
	return outcome;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static uint32_t history_draw(uint32_t below)
{
	history.random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t mixed = (history.random ^ history.random >> 30) * UINT64_C(0xbf58476d1ce4e5b9);

	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return below == 0 ? 0 : (uint32_t)((mixed ^ mixed >> 31) >> 16) % below;
}

static void history_generate(uint64_t seed)
{
	const struct history_model *model = history.model;
	uint32_t total = 0;

	history.seed = history.random = seed;
	for (size_t i = 0; i < model->n_ops; i++)
		total += model->ops[i].weight;
	for (size_t i = 0; i < history.n; i++) {
		uint32_t draw = history_draw(total);
		uint32_t op = 0;

		while (draw >= model->ops[op].weight)
			draw -= model->ops[op++].weight;
		history.steps[i] = (struct history_step){ op, history_draw(model->ops[op].a),
							  history_draw(model->ops[op].b) };
	}
}

/* ---- making shorter -------------------------------------------------------------------------- */

/* Takes out `size` steps here and there, wherever it fails without them too. */
static bool history_cut(size_t size, unsigned int *runs, struct history_outcome *outcome)
{
	struct history_step *tried = calloc(history.n + 1, sizeof(*tried));
	bool shorter = false;
	size_t from = 0;

	ck_assert_ptr_nonnull(tried);
	while (from < history.n && ++*runs < HISTORY_RUNS_MAX) {
		size_t n = history.n - from < size ? history.n - from : size;
		struct history_outcome found;

		memcpy(tried, history.steps, from * sizeof(*tried));
		memcpy(tried + from, history.steps + from + n,
		       (history.n - from - n) * sizeof(*tried));
		found = history_run(tried, history.n - n);
		if (!found.failed) {
			from += n;
			continue;
		}
		*outcome = found;
		history.n -= n;
		memcpy(history.steps, tried, history.n * sizeof(*tried));
		shorter = true;
	}
	free(tried);
	return shorter;
}

static void history_shrink(struct history_outcome *outcome)
{
	unsigned int runs = 0;

	if (outcome->at + 1 < history.n)
		history.n = outcome->at + 1;
	for (size_t size = history.n / 2; size > 0; size /= 2)
		history_cut(size, &runs, outcome);
	while (history_cut(1, &runs, outcome) && runs < HISTORY_RUNS_MAX)
		continue;
}

/* ---- scripts --------------------------------------------------------------------------------- */

static void history_print(char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < history.n && used < size; i++) {
		const struct history_step *step = &history.steps[i];

		used += (size_t)snprintf(text + used, size - used, "%s %u %u\n",
					 history.model->ops[step->op].name, step->a, step->b);
	}
}

static void history_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[100];

	ck_assert_msg(file != NULL, "RASIP_SCRIPT: %s cannot be read", path);
	history.n = 0;
	while (fgets(line, sizeof(line), file) != NULL && history.n < HISTORY_STEPS_MAX) {
		struct history_step *step = &history.steps[history.n];
		char name[32];

		if (sscanf(line, "%31s %u %u", name, &step->a, &step->b) != 3)
			continue;
		for (step->op = 0; step->op < history.model->n_ops; step->op++) {
			if (strcmp(history.model->ops[step->op].name, name) == 0)
				break;
		}
		ck_assert_msg(step->op < history.model->n_ops, "RASIP_SCRIPT: no step \"%s\"",
			      name);
		history.n++;
	}
	fclose(file);
}

static uint64_t history_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void history_report(struct history_outcome *outcome)
{
	static char script[20000];
	char first[sizeof(outcome->text)];
	size_t at = outcome->at;

	memcpy(first, outcome->text, sizeof(first));
	if (getenv("RASIP_SCRIPT") == NULL)
		history_shrink(outcome);
	history_print(script, sizeof(script));
	rmdir(history.directory);
	ck_abort_msg("RASIP_SEED=%llu, step %zu: %s\n%zu steps are enough (%s):\n%s",
		     (unsigned long long)history.seed, at, first, history.n, outcome->text, script);
}

static void history_script(const char *path)
{
	struct history_outcome outcome;

	history_read(path);
	outcome = history_run(history.steps, history.n);
	if (outcome.failed)
		history_report(&outcome);
}

static void history_test(const struct history_model *model)
{
	const char *script = getenv("RASIP_SCRIPT");
	const uint64_t seed =
		history_number("RASIP_SEED", (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20);
	const uint64_t seconds = history_number("RASIP_SECONDS", 0);
	const uint64_t steps = history_number("RASIP_STEPS", model->steps);
	uint64_t histories = history_number("RASIP_HISTORIES", model->histories);
	const time_t end = time(NULL) + (time_t)seconds;
	uint64_t done = 0;

	history_own_directory();
	history.steps = calloc(HISTORY_STEPS_MAX, sizeof(*history.steps));
	ck_assert_ptr_nonnull(history.steps);
	if (script != NULL)
		history_script(script);
	for (; script == NULL && (seconds > 0 ? time(NULL) < end : done < histories); done++) {
		struct history_outcome outcome;

		history.n = steps < HISTORY_STEPS_MAX ? (size_t)steps : HISTORY_STEPS_MAX;
		history_generate(seed + done);
		outcome = history_run(history.steps, history.n);
		if (outcome.failed)
			history_report(&outcome);
	}
	printf("%llu histories of %llu steps, from RASIP_SEED=%llu\n", (unsigned long long)done,
	       (unsigned long long)steps, (unsigned long long)seed);
	free(history.steps);
	rmdir(history.directory);
}

START_TEST(random_histories)
{
	history_test(history.model);
}
END_TEST

/* The main() of a program for this model. */
static int history_main(const char *name, const struct history_model *model)
{
	TCase *tcase = tcase_create("model");

	history.model = model;
	/* RASIP_SECONDS may be an hour. */
	tcase_set_timeout(tcase, 7200);
	tcase_add_test(tcase, random_histories);
	return run_tcase(name, tcase);
}

#endif
