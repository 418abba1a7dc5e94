/*
 * arena.c - memory taken piece by piece and given back all at once.
 *
 * tpl makes a node for each letter, a cell for each element and a copy of each string; what
 * matters is that making one is a few instructions, that dropping all of them needs no walk,
 * and that nothing leaks when tpl is left by longjmp in the middle.  Blocks double up to a
 * quarter of a mebibyte; a piece that would waste more than an eighth of one gets its own.
 */
#include "wire/arena.h"

#include "base/mem.h"

#include <stdint.h>

#define FIRST_BLOCK 1024u        /* the tree of a format with an array or two */
#define LARGEST_BLOCK (256u << 10)

struct coh_arena_block {
	struct coh_arena_block *next;
	size_t size, used;
	_Alignas(COH_ARENA_ALIGN) unsigned char data[];
};

static struct coh_arena_block *block_new(struct coh_arena *a, size_t size)
{
	struct coh_arena_block *b;

	if (size > a->max || a->held > a->max - size)
		return NULL;
	b = coh_alloc(sizeof *b + size);
	if (b == NULL)
		return NULL;
	*b = (struct coh_arena_block){.size = size};
	a->held += size;
	return b;
}

/* A piece of its own, behind the block that is being filled. */
static void *alloc_large(struct coh_arena *a, size_t n)
{
	struct coh_arena_block *b = block_new(a, n);
	struct coh_arena_block **where = a->blocks != NULL ? &a->blocks->next : &a->blocks;

	if (b == NULL)
		return NULL;
	b->used = n;
	b->next = *where;
	*where = b;
	return b->data;
}

static void *alloc_slow(struct coh_arena *a, size_t n)
{
	size_t size = a->blocks != NULL ? a->blocks->size * 2 : FIRST_BLOCK;
	struct coh_arena_block *b;

	if (n > LARGEST_BLOCK / 8)
		return alloc_large(a, n);
	while (size < n)
		size *= 2;
	if (size > LARGEST_BLOCK)
		size = LARGEST_BLOCK;
	b = block_new(a, size);
	if (b == NULL)
		return NULL;
	b->used = n;
	b->next = a->blocks;
	a->blocks = b;
	return b->data;
}

void *coh_arena_alloc(struct coh_arena *a, size_t n)
{
	struct coh_arena_block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + COH_ARENA_ALIGN - 1) / COH_ARENA_ALIGN * COH_ARENA_ALIGN;
	if (b == NULL || b->size - b->used < n)
		return alloc_slow(a, n);
	p = b->data + b->used;
	b->used += n;
	return p;
}

static void blocks_free(struct coh_arena *a, struct coh_arena_block *b)
{
	struct coh_arena_block *next;

	for (; b != NULL; b = next) {
		next = b->next;
		a->held -= b->size;
		coh_free(b);
	}
}

void coh_arena_reset(struct coh_arena *a)
{
	struct coh_arena_block *kept = a->blocks;

	if (kept == NULL)
		return;
	if (kept->size > COH_ARENA_KEEP) {
		coh_arena_fini(a);
		return;
	}
	blocks_free(a, kept->next);
	kept->next = NULL;
	kept->used = 0;
}

void coh_arena_fini(struct coh_arena *a)
{
	blocks_free(a, a->blocks);
	a->blocks = NULL;
}
