/* SPDX-License-Identifier: MIT */
/*
 * bench_modules - what a Get of a foreign module costs the pool while others hold many addresses of
 * modules: looking for what the dead among them left behind, and recording the answer.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "pool.h"

#define LEASES_MAX 9600
#define GETS 200

static const unsigned int SIZES[] = { 0, 300, 1200, 4800, 9600 };

static struct pool_lease leases[LEASES_MAX];

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void check(int code, const struct error *why)
{
	if (code == 0)
		return;
	fprintf(stderr, "bench_modules: %s\n", why->text);
	exit(1);
}

static void get(struct pool *pool, uint32_t n, bool looks, struct pool_lease *lease)
{
	char user[32];
	char port[32];
	const struct pool_request request = { .user = user, .port = port };
	const struct pool_choice choice = { .addr_be = htonl(0x0a090000 + n),
					    .module = "bench",
					    .notify = true };
	struct error why = { "" };

	snprintf(user, sizeof(user), "user%u@example", n);
	snprintf(port, sizeof(port), "ppp%u", n);
	*lease = POOL_LEASE_NONE;
	if (looks)
		check(pool_reclaim_for(pool, &request, &why), &why);
	check(pool_record(pool, &request, &choice, lease, &why), &why);
	pool_rest(pool);
}

static void measure(struct pool *pool, unsigned int n)
{
	static double took[GETS];
	struct pool_lease lease;
	struct error why = { "" };

	for (int i = 0; i < GETS; i++) {
		double begin = now_us();

		get(pool, LEASES_MAX, true, &lease);
		took[i] = now_us() - begin;
		check(pool_release(pool, &lease, &why), &why);
	}
	qsort(took, GETS, sizeof(took[0]), by_size);
	printf("%6u live leases of modules: a Get takes the pool %8.0f us (p50) %8.0f us (p99)\n",
	       n, took[GETS / 2], took[GETS * 99 / 100]);
}

int main(void)
{
	char dir[] = "/dev/shm/rasip-bench-XXXXXX";
	char text[512];
	struct config_errors errors = { 0 };
	struct config *config = NULL;
	struct pool *pool = NULL;
	struct error why = { "" };
	struct rlimit limit = { 16384, 16384 };
	unsigned int n = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || mkdtemp(dir) == NULL) {
		perror("bench_modules");
		return 1;
	}
	snprintf(text, sizeof(text),
		 "runtime_dir = \"%s/run\"; state_dir = \"%s/state\"; pools = ({ name = \"p\"; "
		 "ranges = (\"10.1.0.0/24\"); });",
		 dir, dir);
	if (config_load_text(text, "bench", &config, &errors) != 0 ||
	    pool_open(&pool, config, NULL) != 0)
		return 1;
	get(pool, LEASES_MAX, false, &leases[0]);
	check(pool_release(pool, &leases[0], &why), &why);
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		for (; n < SIZES[i]; n++)
			get(pool, n, false, &leases[n]);
		measure(pool, n);
	}
	pool_close(&pool);
	config_free(&config);
	snprintf(text, sizeof(text), "rm -r %s", dir);
	return system(text) != 0;
}
