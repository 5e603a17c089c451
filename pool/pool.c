/* SPDX-License-Identifier: MIT */
/*
 * pool.c - opening, resting and closing a pool, and the real world behind struct pool_env.
 */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "op.h"
#include "remote.h"

const char *pool_how_name(enum pool_how how)
{
	switch (how) {
	case POOL_HOW_NEW:
		return "new";
	case POOL_HOW_STICKY:
		return "sticky";
	case POOL_HOW_RESERVATION:
		return "reservation";
	case POOL_HOW_CANDIDATE:
		return "candidate";
	case POOL_HOW_MODULE:
		return "module";
	case POOL_HOW_NONE:
	default:
		return "none";
	}
}

/* ---- opening -------------------------------------------------------------------------------- */

static int64_t real_boot_us(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_unix_sec(void *context)
{
	(void)context;
	return (int64_t)time(NULL);
}

static uint64_t real_random(void *context)
{
	uint64_t value;
	ssize_t n;

	(void)context;
	/* Up to 256 bytes are never cut short. Until the kernel has its entropy it blocks, and signals
	 * of pppd's may come. */
	do
		n = getrandom(&value, sizeof(value), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(value))
		abort();
	return value;
}

/* Everything that the meaning of a pool's position and queues depends on. */
static uint64_t layout_of(const struct config *config)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < config->n_pools; i++) {
		const struct config_pool *pool = &config->pools[i];

		hash = hash_bytes(hash, pool->name, strlen(pool->name) + 1);
		hash = hash_bytes(hash, &pool->order, sizeof(pool->order));
		for (size_t j = 0; j < pool->dynamic.n; j++)
			hash = hash_bytes(hash, &pool->dynamic.ranges[j], sizeof(struct range));
	}
	return hash;
}

int pool_open(struct pool **ret, const struct config *config, const struct pool_env *env)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return POOL_E_NO_MEMORY;
	pool->config = config;
	if (env != NULL)
		pool->env = *env;
	if (pool->env.boot_us == NULL)
		pool->env.boot_us = real_boot_us;
	if (pool->env.unix_sec == NULL)
		pool->env.unix_sec = real_unix_sec;
	if (pool->env.random == NULL)
		pool->env.random = real_random;
	pool->layout = layout_of(config);
	pool->runtime_fd = -1;
	pool->owners = OWNER_DIR_NONE;
	*ret = pool;
	return 0;
}

void pool_rest(struct pool *pool)
{
	if (pool->leases != NULL && store_pid(pool->leases) != getpid())
		store_forget(&pool->leases);
	store_close(&pool->leases);
	owner_dir_close(&pool->owners);
	if (pool->runtime_fd >= 0)
		close(pool->runtime_fd);
	pool->runtime_fd = -1;
}

void pool_close(struct pool **pool)
{
	if (*pool == NULL)
		return;
	pool_rest(*pool);
	remote_free(&(*pool)->remote);
	free(*pool);
	*pool = NULL;
}
