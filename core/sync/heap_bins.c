/*
 * heap_bins.c - the free blocks of a heap, by size, so that the best fit is found in a few steps.
 *
 * Small sizes have a list each.  Larger ones go by their highest bit into tries, in which each
 * level goes by the next lower bit of the size; every node is itself a block, and blocks of the
 * same size hang in a list behind the first of them.  Everything below a node shares the bits that
 * led to it, so any block further down may take the place of one that leaves.
 *
 * Nothing here outlives a death in the middle: heap.c then makes it anew.
 */
#include "sync/fault.h"
#include "sync/heap_priv.h"

#include <string.h>

/* Levels of a trie: the bits of a size below the highest.  A loop of more goes in a circle. */
#define DEPTH_MAX 44

static struct coh_heap_block *at(const struct coh_heap_view *v, uint64_t offset)
{
	return coh_heap_block(v, offset);
}

static uint64_t size_at(const struct coh_heap_view *v, uint64_t offset)
{
	return coh_heap_size(coh_heap_head(v, offset));
}

static uint64_t next_of(const struct coh_heap_block *b)
{
	return atomic_load_explicit(&b->link, memory_order_relaxed);
}

static void set_next(struct coh_heap_block *b, uint64_t next)
{
	atomic_store_explicit(&b->link, next, memory_order_relaxed);
}

/* The bin of big blocks of SIZE: its highest bit. */
static unsigned bin_of(uint64_t size)
{
	return size == 0 ? 0 : (unsigned)(63 - __builtin_clzll(size)) % BIG_BINS;
}

void coh_heap_bins_clear(struct coh_heap *h)
{
	h->small_map = h->big_map = 0;
	memset(h->small, 0, sizeof h->small);
	memset(h->big, 0, sizeof h->big);
}

static void put_small(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	uint64_t *first = &v->heap->small[size / GRAIN];
	struct coh_heap_block *b = at(v, offset);

	b->prev = 0;
	set_next(b, *first);
	if (*first != 0)
		at(v, *first)->prev = offset;
	COH_FAULT("heap.bins.linked");
	*first = offset;
	COH_FAULT("heap.bins.first");
	v->heap->small_map |= UINT64_C(1) << (size / GRAIN);
}

static void take_small(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	struct coh_heap *h = v->heap;
	struct coh_heap_block *b = at(v, offset);
	uint64_t next = next_of(b);

	if (b->prev != 0)
		set_next(at(v, b->prev), next);
	else
		h->small[size / GRAIN] = next;
	if (next != 0)
		at(v, next)->prev = b->prev;
	COH_FAULT("heap.bins.taken");
	if (h->small[size / GRAIN] == 0)
		h->small_map &= ~(UINT64_C(1) << (size / GRAIN));
}

/* Hang the block at OFFSET behind FIRST, which has its size and stands in the trie. */
static void put_behind(const struct coh_heap_view *v, uint64_t first, uint64_t offset)
{
	uint64_t next = next_of(at(v, first));

	at(v, offset)->prev = first;
	set_next(at(v, offset), next);
	if (next != 0)
		at(v, next)->prev = offset;
	COH_FAULT("heap.bins.behind");
	set_next(at(v, first), offset);
}

static void put_big(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	unsigned bin = bin_of(size), bit = bin;
	uint64_t *link = &v->heap->big[bin], parent = 0;
	struct coh_heap_block *b = at(v, offset);

	while (*link != 0 && size_at(v, *link) != size) {
		if (bit-- == 0) {
			v->heap->broken = 1;
			return;
		}
		parent = *link;
		link = &at(v, parent)->child[size >> bit & 1];
	}
	if (*link != 0) {
		put_behind(v, *link, offset);
		return;
	}
	b->prev = b->child[0] = b->child[1] = 0;
	b->parent = parent;
	set_next(b, 0);
	*link = offset;
	COH_FAULT("heap.bins.hung");
	v->heap->big_map |= UINT64_C(1) << bin;
}

/* A block below the one at OFFSET that has none below itself, taken out of the trie; 0: none. */
static uint64_t take_leaf(const struct coh_heap_view *v, uint64_t offset)
{
	struct coh_heap_block *b = at(v, offset), *up = b;
	uint64_t leaf = 0;

	for (int depth = 0; (b->child[0] | b->child[1]) != 0; depth++) {
		if (depth > DEPTH_MAX) {
			v->heap->broken = 1;
			return 0;
		}
		up = b;
		leaf = b->child[b->child[1] != 0];
		b = at(v, leaf);
	}
	if (leaf != 0)
		up->child[up->child[1] == leaf] = 0;
	COH_FAULT("heap.bins.leaf");
	return leaf;
}

/* The trie has REPLACE, or nothing (0), where OFFSET was. */
static void replace(const struct coh_heap_view *v, unsigned bin, uint64_t offset, uint64_t replace)
{
	const struct coh_heap_block *old = at(v, offset);
	struct coh_heap_block *b;

	if (old->parent == 0)
		v->heap->big[bin] = replace;
	else
		at(v, old->parent)->child[at(v, old->parent)->child[1] == offset] = replace;
	if (v->heap->big[bin] == 0)
		v->heap->big_map &= ~(UINT64_C(1) << bin);
	if (replace == 0)
		return;
	b = at(v, replace);
	b->parent = old->parent;
	COH_FAULT("heap.bins.replaced");
	for (int side = 0; side < 2; side++) {
		b->child[side] = old->child[side];
		if (b->child[side] != 0)
			at(v, b->child[side])->parent = replace;
	}
}

static void take_big(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	const struct coh_heap_block *b = at(v, offset);
	uint64_t next = next_of(b);

	if (b->prev != 0) {
		set_next(at(v, b->prev), next);
		if (next != 0)
			at(v, next)->prev = b->prev;
		return;
	}
	if (next != 0)
		at(v, next)->prev = 0;
	replace(v, bin_of(size), offset, next != 0 ? next : take_leaf(v, offset));
}

void coh_heap_bins_put(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	if (size < BLOCK_BIG)
		put_small(v, offset, size);
	else
		put_big(v, offset, size);
}

void coh_heap_bins_take(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	if (size < BLOCK_BIG)
		take_small(v, offset, size);
	else
		take_big(v, offset, size);
}

/* The smallest of at least SIZE in the trie at NODE or BEST, whose size is *LEAST; it is the smallest of its left-most path. */
static uint64_t leftmost(
    const struct coh_heap_view *v, uint64_t node, uint64_t best, uint64_t *least)
{
	for (int depth = 0; node != 0; depth++) {
		const struct coh_heap_block *b = at(v, node);

		if (size_at(v, node) < *least) {
			*least = size_at(v, node);
			best = node;
		}
		if (depth > DEPTH_MAX) {
			v->heap->broken = 1;
			return 0;
		}
		node = b->child[0] != 0 ? b->child[0] : b->child[1];
	}
	return best;
}

/*
 * Follow the bits of SIZE in its own bin.  What is larger hangs to the right of that path, and the
 * least of it to the right of its lowest turn to the left; or stands in the path.
 */
static uint64_t find_in_bin(const struct coh_heap_view *v, unsigned bin, uint64_t size)
{
	uint64_t node = v->heap->big[bin], best = 0, least = UINT64_MAX, right = 0;

	for (unsigned bit = bin; node != 0 && least != size; bit--) {
		const struct coh_heap_block *b = at(v, node);
		uint64_t has = size_at(v, node);

		if (has >= size && has < least) {
			least = has;
			best = node;
		}
		if (bit == 0) {
			v->heap->broken = 1;
			return 0;
		}
		if ((size >> (bit - 1) & 1) == 0 && b->child[1] != 0)
			right = b->child[1];
		node = b->child[size >> (bit - 1) & 1];
	}
	return least == size ? best : leftmost(v, right, best, &least);
}

static uint64_t find_big(const struct coh_heap_view *v, uint64_t size)
{
	unsigned bin = size < BLOCK_BIG ? bin_of(BLOCK_BIG) : bin_of(size);
	uint64_t best = size < BLOCK_BIG ? 0 : find_in_bin(v, bin, size), least = UINT64_MAX;
	uint64_t above = v->heap->big_map >> bin >> (size >= BLOCK_BIG);

	if (best == 0 && above != 0) {
		bin += (unsigned)__builtin_ctzll(above) + (size >= BLOCK_BIG);
		best = leftmost(v, v->heap->big[bin % BIG_BINS], 0, &least);
	}
	/* One that hangs behind the first leaves without any work in the trie. */
	return best != 0 && next_of(at(v, best)) != 0 ? next_of(at(v, best)) : best;
}

uint64_t coh_heap_bins_find(const struct coh_heap_view *v, uint64_t size)
{
	uint64_t small = size < BLOCK_BIG ? v->heap->small_map >> (size / GRAIN) : 0;

	if (small != 0)
		return v->heap
		    ->small[(size / GRAIN + (unsigned)__builtin_ctzll(small)) % SMALL_BINS];
	return find_big(v, size);
}

/* The largest of a trie, likewise: it is on its right-most path. */
static uint64_t rightmost(const struct coh_heap_view *v, uint64_t node)
{
	uint64_t most = 0;

	for (int depth = 0; node != 0 && depth <= DEPTH_MAX; depth++) {
		const struct coh_heap_block *b = at(v, node);

		if (size_at(v, node) > most)
			most = size_at(v, node);
		node = b->child[1] != 0 ? b->child[1] : b->child[0];
	}
	return most;
}

uint64_t coh_heap_bins_largest(const struct coh_heap_view *v)
{
	const struct coh_heap *h = v->heap;

	if (h->big_map != 0)
		return rightmost(
		    v, h->big[(unsigned)(63 - __builtin_clzll(h->big_map)) % BIG_BINS]);
	return h->small_map == 0 ? 0 : (uint64_t)(63 - __builtin_clzll(h->small_map)) * GRAIN;
}

/* ---- the check ---- */

/* The list that begins at FIRST: all free and of one SIZE, linked both ways; how many. */
static uint64_t check_list(
    const struct coh_heap_view *v, uint64_t first, uint64_t size, uint64_t most)
{
	uint64_t n = 0, prev = 0;

	for (uint64_t o = first; o != 0 && n <= most; o = next_of(at(v, o)), n++) {
		if (size_at(v, o) != size || (coh_heap_head(v, o) & USED) != 0 ||
		    at(v, o)->prev != prev)
			v->heap->broken = 1;
		prev = o;
	}
	return n;
}

/* Where a walk through a trie is: the node to see, and what its size must begin with. */
struct spot {
	uint64_t node, prefix;
	unsigned bit; /* bits of the prefix from here up are fixed */
};

static uint64_t check_trie(const struct coh_heap_view *v, unsigned bin, uint64_t most)
{
	struct spot stack[2 * DEPTH_MAX + 2];
	uint64_t n = 0;
	int depth = 0;

	stack[depth++] = (struct spot){v->heap->big[bin], UINT64_C(1) << bin, bin};
	while (depth > 0 && n <= most && v->heap->broken == 0) {
		struct spot s = stack[--depth];
		const struct coh_heap_block *b = at(v, s.node);

		if (size_at(v, s.node) >> s.bit != s.prefix >> s.bit)
			v->heap->broken = 1;
		n += check_list(v, s.node, size_at(v, s.node), most);
		for (uint64_t side = 0; side < 2; side++) {
			if (b->child[side] == 0)
				continue;
			if (s.bit == 0 || at(v, b->child[side])->parent != s.node) {
				v->heap->broken = 1;
				return n;
			}
			stack[depth++] = (struct spot){
			    b->child[side], s.prefix | side << (s.bit - 1), s.bit - 1};
		}
	}
	return n;
}

void coh_heap_bins_check(const struct coh_heap_view *v, uint64_t count)
{
	struct coh_heap *h = v->heap;
	uint64_t n = 0;

	for (unsigned i = 0; i < SMALL_BINS; i++) {
		if ((h->small[i] != 0) != ((h->small_map >> i & 1) != 0))
			h->broken = 1;
		n += check_list(v, h->small[i], (uint64_t)i * GRAIN, count);
	}
	for (unsigned i = 0; i < BIG_BINS && h->broken == 0; i++) {
		if ((h->big[i] != 0) != ((h->big_map >> i & 1) != 0))
			h->broken = 1;
		if (h->big[i] != 0)
			n += check_trie(v, i, count);
	}
	if (n != count)
		h->broken = 1;
}
