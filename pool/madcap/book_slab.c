/* SPDX-License-Identifier: MIT */
#include "book_slab.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_OBJECTS 256

struct node {
	struct node *next;
};

static int grow(struct slab *slab)
{
	char *chunk = malloc(sizeof(struct node) * 2 + CHUNK_OBJECTS * slab->size);

	if (chunk == NULL)
		return -1;
	((struct node *)(void *)chunk)->next = slab->chunks;
	slab->chunks = chunk;
	for (size_t i = CHUNK_OBJECTS; i > 0; i--)
		slab_put(slab, chunk + sizeof(struct node) * 2 + (i - 1) * slab->size);
	return 0;
}

void *slab_get(struct slab *slab)
{
	struct node *node;

	if (slab->unused == NULL && grow(slab) < 0)
		return NULL;
	node = slab->unused;
	slab->unused = node->next;
	memset(node, 0, slab->size);
	return node;
}

void slab_put(struct slab *slab, void *object)
{
	struct node *node = object;

	node->next = slab->unused;
	slab->unused = node;
}

int slab_reserve(struct slab *slab, size_t n)
{
	const struct node *node = slab->unused;

	for (; n > 0 && node != NULL; n--)
		node = node->next;
	for (size_t have = 0; have < n; have += CHUNK_OBJECTS) {
		if (grow(slab) < 0)
			return -1;
	}
	return 0;
}

void slab_done(struct slab *slab)
{
	struct node *chunk = slab->chunks;

	while (chunk != NULL) {
		struct node *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	slab->chunks = NULL;
	slab->unused = NULL;
}
