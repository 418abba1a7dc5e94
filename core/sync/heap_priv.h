/*
 * heap_priv.h - what heap.c and heap_bins.c share: how a heap lies in memory.
 *
 * All that is read there may have been damaged, so places meet a bound before they are used: one that is out of
 * bounds leads to a scratch block, and to `broken`, which ends every call with COHORT_ESEGMENT.
 */
#ifndef COH_SYNC_HEAP_PRIV_H
#define COH_SYNC_HEAP_PRIV_H

#include "sync/heap.h"
#include "sync/mutex.h"

#include <stdatomic.h>

#define GRAIN 16     /* sizes and places of blocks are multiples of it */
#define HEAD 16      /* bytes of a used block before its data */
#define BLOCK_MIN 32 /* a free block: head, link, link, and its size in the last 8 bytes */
#define BLOCK_BIG                                                                                  \
	1024 /* from here on free blocks are sorted in tries, below it a list for each size */
#define SMALL_BINS (BLOCK_BIG / GRAIN)
#define BIG_BINS 48 /* by the highest bit of the size */

/* A block's first word: the size, with these below it, and above it how many bytes of it nobody asked for. */
#define USED 1u
#define AFTER_FREE                                                                                 \
	2u /* the block before this one is free: its size stands right before this word */
#define SIZE_BITS UINT64_C(0x0000fffffffffff0)
#define SLACK_SHIFT 48

struct coh_heap_block {
	_Atomic uint64_t head;
	_Atomic uint64_t link;     /* used: the owner; free: the next of that size, 0: none */
	uint64_t prev;             /* free: the one before it, 0: the first */
	uint64_t child[2], parent; /* free and big: in its trie (0: none), if it is the first */
};

struct coh_heap {
	struct coh_mutex mutex;
	uint64_t bytes;              /* of blocks: begin to end */
	_Atomic uint64_t top;        /* behind the last block, which is never free */
	uint64_t reserved;           /* up to here there are pages, and for their bits */
	uint64_t used, blocks;       /* bytes, heads too; how many */
	uint32_t broken;             /* it was damaged: nothing is done any more */
	uint64_t small_map, big_map; /* which bins have blocks */
	uint64_t small[SMALL_BINS], big[BIG_BINS];
	struct coh_heap_block scratch;
};

/* The block at OFFSET, whose head is there. */
static inline struct coh_heap_block *coh_heap_block(const struct coh_heap_view *v, uint64_t offset)
{
	if (offset >= v->begin && offset <= v->end - BLOCK_MIN && offset % GRAIN == 0)
		return (struct coh_heap_block *)(void *)(v->base + offset);
	v->heap->broken = 1;
	return &v->heap->scratch;
}

static inline uint64_t coh_heap_head(const struct coh_heap_view *v, uint64_t offset)
{
	return atomic_load_explicit(&coh_heap_block(v, offset)->head, memory_order_relaxed);
}

static inline void coh_heap_set_head(const struct coh_heap_view *v, uint64_t offset, uint64_t head)
{
	/* In the order of the program also for whoever finds it after our death. */
	atomic_store_explicit(&coh_heap_block(v, offset)->head, head, memory_order_release);
}

static inline uint64_t coh_heap_size(uint64_t head)
{
	return head & SIZE_BITS;
}

/* Behind the last block. */
static inline uint64_t coh_heap_top(const struct coh_heap_view *v)
{
	uint64_t top = atomic_load_explicit(&v->heap->top, memory_order_acquire);

	if (top >= v->begin && top <= v->end && top % GRAIN == 0)
		return top;
	v->heap->broken = 1;
	return v->begin;
}

static inline _Atomic uint64_t *coh_heap_bits(const struct coh_heap_view *v, uint64_t grain)
{
	return (_Atomic uint64_t *)(void *)(v->base + v->bits + grain / 64 * 8);
}

static inline uint64_t coh_heap_grain(const struct coh_heap_view *v, uint64_t offset)
{
	return (offset - v->begin) / GRAIN;
}

/* Only with the lock. */
static inline void coh_heap_set_bit(const struct coh_heap_view *v, uint64_t offset, bool on)
{
	uint64_t grain = coh_heap_grain(v, offset), one = UINT64_C(1) << grain % 64;
	_Atomic uint64_t *word = coh_heap_bits(v, grain);
	uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, on ? bits | one : bits & ~one, memory_order_release);
}

/* A used block's data is AT. */
static inline bool coh_heap_begins(const struct coh_heap_view *v, uint64_t at)
{
	uint64_t grain;

	if (at < v->begin + HEAD || at >= coh_heap_top(v) || at % GRAIN != 0)
		return false;
	grain = coh_heap_grain(v, at - HEAD);
	return (atomic_load_explicit(coh_heap_bits(v, grain), memory_order_acquire) >> grain % 64 &
		   1) != 0;
}

/* The block of HEAD at OFFSET ends where the chain can go on. */
static inline bool coh_heap_fits(const struct coh_heap_view *v, uint64_t offset, uint64_t head)
{
	uint64_t size = coh_heap_size(head), top = coh_heap_top(v);

	if (size >= BLOCK_MIN && offset < top && size <= top - offset)
		return true;
	v->heap->broken = 1;
	return false;
}

/* The size of the free block that ends at OFFSET stands there twice: in its head, and at its end. */
static inline uint64_t *coh_heap_tail(const struct coh_heap_view *v, uint64_t offset)
{
	return (uint64_t *)(void *)(v->base + offset - 8);
}

/* The block at OFFSET follows a free one, or it does not. */
static inline void coh_heap_set_after_free(
    const struct coh_heap_view *v, uint64_t offset, bool after)
{
	uint64_t head = coh_heap_head(v, offset);

	coh_heap_set_head(v, offset, after ? head | AFTER_FREE : head & ~(uint64_t)AFTER_FREE);
}

/* Into the lists with the free block of SIZE at OFFSET, which is in the chain. */
void coh_heap_enlist(const struct coh_heap_view *v, uint64_t offset, uint64_t size);

/*
 * heap_mend.c: make everything but the chain anew, 0 or COHORT_ESEGMENT; and look whether all fits, else `broken` is
 * set.  Held: the heap's lock.
 */
int coh_heap_mend(const struct coh_heap_view *v);
void coh_heap_look(const struct coh_heap_view *v);

/* heap_bins.c: the free blocks, by size.  Held: the heap's lock. */
void coh_heap_bins_clear(struct coh_heap *h);
/* Put the free block of SIZE at OFFSET into them; take it out. */
void coh_heap_bins_put(const struct coh_heap_view *v, uint64_t offset, uint64_t size);
void coh_heap_bins_take(const struct coh_heap_view *v, uint64_t offset, uint64_t size);
/* The smallest of at least SIZE, which stays; 0: none.  And the largest of all. */
uint64_t coh_heap_bins_find(const struct coh_heap_view *v, uint64_t size);
uint64_t coh_heap_bins_largest(const struct coh_heap_view *v);
/* They are whole and hold COUNT blocks; else `broken` is set. */
void coh_heap_bins_check(const struct coh_heap_view *v, uint64_t count);

#endif
