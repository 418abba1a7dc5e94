/*
 * heap_mend.c - making a heap anew from the chain of its blocks, after a death in the middle; and looking whether all fits.
 */
#include "sync/fault.h"
#include "sync/heap_priv.h"

/*
 * Walk through the chain, joining free neighbours, and make all else follow from it.  The bits are
 * right or one step off, and others read them meanwhile: each word is put right by one store.
 */
struct mend {
	uint64_t grain, word; /* the bits of the word that GRAIN is in, so far */
	uint64_t free;        /* the free block before this one; 0: none */
};

static void mend_bits(const struct coh_heap_view *v, struct mend *m, uint64_t grain, bool used)
{
	while (m->grain / 64 < grain / 64) {
		if (atomic_load_explicit(coh_heap_bits(v, m->grain), memory_order_relaxed) !=
		    m->word)
			atomic_store_explicit(
			    coh_heap_bits(v, m->grain), m->word, memory_order_release);
		m->grain = (m->grain / 64 + 1) * 64;
		m->word = 0;
	}
	if (used)
		m->word |= UINT64_C(1) << grain % 64;
}

/* The block at OFFSET; gives where the next one is. */
static uint64_t mend_block(const struct coh_heap_view *v, struct mend *m, uint64_t offset)
{
	uint64_t head = coh_heap_head(v, offset), size = coh_heap_size(head);

	if ((head & USED) == 0) {
		m->free = m->free != 0 ? m->free : offset;
		coh_heap_set_head(v, m->free, offset + size - m->free); /* commits */
		COH_FAULT("heap.mend.joined");
		return offset + size;
	}
	if (m->free != 0)
		coh_heap_enlist(v, m->free, offset - m->free);
	coh_heap_set_after_free(v, offset, m->free != 0);
	m->free = 0;
	v->heap->used += size;
	v->heap->blocks++;
	COH_FAULT("heap.mend.counted");
	mend_bits(v, m, coh_heap_grain(v, offset), true);
	return offset + size;
}

/* The end of the bits that ever were in use. */
static uint64_t bits_end(const struct coh_heap_view *v)
{
	uint64_t reserved = v->heap->reserved;

	return coh_heap_grain(v, reserved >= v->begin && reserved <= v->end ? reserved : v->end);
}

int coh_heap_mend(const struct coh_heap_view *v)
{
	struct mend m = {0, 0, 0};
	uint64_t offset = v->begin, top = coh_heap_top(v);

	v->heap->used = v->heap->blocks = 0;
	coh_heap_bins_clear(v->heap);
	COH_FAULT("heap.mend.cleared");
	while (offset < top) {
		if (!coh_heap_fits(v, offset, coh_heap_head(v, offset)))
			return COHORT_ESEGMENT;
		offset = mend_block(v, &m, offset);
		COH_FAULT("heap.mend.block");
	}
	if (m.free != 0)
		atomic_store_explicit(&v->heap->top, m.free, memory_order_release); /* commits */
	COH_FAULT("heap.mend.top");
	mend_bits(v, &m, bits_end(v) / 64 * 64 + 64, false);
	return v->heap->broken != 0 ? COHORT_ESEGMENT : 0;
}

/* ---- the check ---- */

static void check_block(
    const struct coh_heap_view *v, uint64_t offset, uint64_t head, bool after_free)
{
	bool used = (head & USED) != 0;

	if (((head & AFTER_FREE) != 0) != after_free || (!used && after_free) ||
	    coh_heap_begins(v, offset + HEAD) != used)
		v->heap->broken = 1;
	if (!used && *coh_heap_tail(v, offset + coh_heap_size(head)) != coh_heap_size(head))
		v->heap->broken = 1;
	if (used && (head >> SLACK_SHIFT) + HEAD >= coh_heap_size(head))
		v->heap->broken = 1;
}

/* As many bits are set as there are used blocks, whose bits were seen: so no other is. */
static void check_bits(const struct coh_heap_view *v, uint64_t blocks)
{
	uint64_t n = 0, end = bits_end(v);

	for (uint64_t grain = 0; grain <= end; grain += 64)
		n += (unsigned)__builtin_popcountll(
		    atomic_load_explicit(coh_heap_bits(v, grain), memory_order_relaxed));
	if (n != blocks)
		v->heap->broken = 1;
}

void coh_heap_look(const struct coh_heap_view *v)
{
	uint64_t offset = v->begin, blocks = 0, used = 0, spare = 0, top = coh_heap_top(v);
	bool after_free = false;

	while (offset < top) {
		uint64_t head = coh_heap_head(v, offset);

		if (!coh_heap_fits(v, offset, head))
			return;
		check_block(v, offset, head, after_free);
		after_free = (head & USED) == 0;
		blocks += !after_free;
		spare += after_free;
		used += after_free ? 0 : coh_heap_size(head);
		offset += coh_heap_size(head);
	}
	if (after_free || blocks != v->heap->blocks || used != v->heap->used)
		v->heap->broken = 1;
	check_bits(v, blocks);
	coh_heap_bins_check(v, spare);
}
