/*
 * heap.c - allocating from a region of a segment.
 *
 * The chain: blocks lie behind each other from `begin` to `top`, each as long as its head says; no two neighbours are
 * free, and the last is not.  A step that changes it first writes heads that nobody can see yet, inside a free block or
 * behind the top, then makes them visible by the one store that is marked "commits".
 */
#include "sync/heap.h"

#include "os/shm.h"
#include "sync/fault.h"
#include "sync/heap_priv.h"

#include <errno.h>
#include <string.h>

#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* Reserved at a time: one system call for so many bytes, and not more than that unused. */
#define RESERVE_STEP ((uint64_t)256 << 10)
_Static_assert(RESERVE_STEP % COH_HEAP_PAGE == 0, "whole pages are reserved");

/* Once in so many bytes the machine is asked whether it has that much: it costs as much as reserving 100 KiB. */
#define ASK_STEP ((uint64_t)16 << 20)
_Static_assert(sizeof(struct coh_heap) <= COH_HEAP_PAGE, "the head is the region's first page");

/* Bytes of bits for BYTES of blocks: one for each grain, in whole words. */
static uint64_t bits_size(uint64_t bytes)
{
	return ROUND_UP(bytes / GRAIN / 8 + 8, COH_HEAP_PAGE);
}

size_t coh_heap_region(size_t bytes)
{
	/* Behind the last block is room to look at a damaged one as if it were large. */
	return COH_HEAP_PAGE + bits_size(bytes) +
	    ROUND_UP(bytes + sizeof(struct coh_heap_block), COH_HEAP_PAGE);
}

static void see(struct coh_heap_view *v, void *base, int fd, uint64_t at, size_t bytes)
{
	v->base = base;
	v->fd = fd;
	v->heap = (struct coh_heap *)(void *)(v->base + at);
	v->bits = at + COH_HEAP_PAGE;
	v->begin = v->bits + bits_size(bytes);
	v->end = v->begin + bytes / GRAIN * GRAIN;
}

/* Pages for the bytes of the segment from FROM to TO. */
static int pages(const struct coh_heap_view *v, uint64_t from, uint64_t to)
{
	int rc;

	from = from / COH_HEAP_PAGE * COH_HEAP_PAGE;
	to = ROUND_UP(to, COH_HEAP_PAGE);
	rc = coh_shm_reserve(v->fd, v->base + from, from, to - from);
	/* What would have been a SIGBUS is called so: the file system is full. */
	return rc == -EFAULT ? -ENOSPC : rc;
}

int coh_heap_init(struct coh_heap_view *v, void *base, int fd, uint64_t at, size_t bytes)
{
	int rc;

	see(v, base, fd, at, bytes);
	rc = pages(v, at, v->bits + 8);
	if (rc != 0)
		return rc;
	v->heap->bytes = v->end - v->begin;
	v->heap->reserved = v->begin;
	atomic_store_explicit(&v->heap->top, v->begin, memory_order_release);
	return 0;
}

int coh_heap_attach(struct coh_heap_view *v, void *base, int fd, uint64_t at, size_t bytes)
{
	see(v, base, fd, at, bytes);
	return v->heap->bytes == v->end - v->begin ? 0 : COHORT_ESEGMENT;
}

/* Into the lists with the free block of SIZE at OFFSET, which is in the chain. */
void coh_heap_enlist(const struct coh_heap_view *v, uint64_t offset, uint64_t size)
{
	*coh_heap_tail(v, offset + size) = size;
	COH_FAULT("heap.enlist.tail");
	coh_heap_bins_put(v, offset, size);
	COH_FAULT("heap.enlist.put");
}

/* ---- the lock ---- */

static int leave(const struct coh_heap_view *v, int rc)
{
	if (v->heap->broken != 0)
		rc = COHORT_ESEGMENT;
	coh_mutex_unlock(&v->heap->mutex);
	return rc;
}

/* Take the lock, with all in order; else give why not. */
static int enter(const struct coh_heap_view *v)
{
	int rc = coh_mutex_lock(&v->heap->mutex, COHORT_FOREVER);

	if (rc == COHORT_EOWNERDEAD)
		rc = coh_heap_mend(v);
	else if (rc != 0)
		return rc;
	return rc == 0 && v->heap->broken == 0 ? 0 : leave(v, COHORT_ESEGMENT);
}

/* ---- allocate ---- */

struct want {
	uint64_t asked, size; /* of the data; of the block */
	uint64_t owner;
	uint64_t *at; /* where its place is noted */
	bool paged;   /* its data shall begin at a page */
};

/* Bytes that stay free before the block when it is taken from what begins at OFFSET. */
static uint64_t front(const struct want *w, uint64_t offset)
{
	uint64_t n = w->paged ? ROUND_UP(offset + HEAD, COH_HEAP_PAGE) - HEAD - offset : 0;

	return n != 0 && n < BLOCK_MIN ? n + COH_HEAP_PAGE : n;
}

/* The head of the block for W, of SIZE, at OFFSET: where it is, nobody sees it yet. */
static void write_used(
    const struct coh_heap_view *v, const struct want *w, uint64_t offset, uint64_t size)
{
	*w->at = offset + HEAD; /* before anybody has the block: no death comes between */
	COH_FAULT("heap.alloc.noted");
	atomic_store_explicit(&coh_heap_block(v, offset)->link, w->owner, memory_order_release);
	COH_FAULT("heap.alloc.owned");
	coh_heap_set_head(v, offset, size | USED | (size - HEAD - w->asked) << SLACK_SHIFT);
}

/* The block at OFFSET is in the chain. */
static void taken(const struct coh_heap_view *v, uint64_t offset)
{
	COH_FAULT("heap.alloc.committed");
	coh_heap_set_bit(v, offset, true);
	COH_FAULT("heap.alloc.bit");
	v->heap->used += coh_heap_size(coh_heap_head(v, offset));
	COH_FAULT("heap.alloc.used");
	v->heap->blocks++;
}

/* Take it from the free block at OFFSET, leaving FRONT bytes before it and what is too much behind it. */
static void take_free(
    const struct coh_heap_view *v, const struct want *w, uint64_t offset, uint64_t front)
{
	uint64_t all = coh_heap_size(coh_heap_head(v, offset)), block = offset + front;
	uint64_t rest = all - front - w->size, size = w->size;

	coh_heap_bins_take(v, offset, all);
	COH_FAULT("heap.alloc.taken");
	if (rest < BLOCK_MIN) {
		size += rest;
		rest = 0;
	}
	if (rest != 0)
		coh_heap_set_head(v, block + size, rest);
	COH_FAULT("heap.alloc.rest");
	write_used(v, w, block, size); /* commits, if it is in front */
	COH_FAULT("heap.alloc.written");
	if (front != 0) {
		coh_heap_set_after_free(v, block, true);
		COH_FAULT("heap.alloc.front");
		coh_heap_set_head(v, offset, front); /* commits */
		coh_heap_enlist(v, offset, front);
	}
	if (rest != 0)
		coh_heap_enlist(v, block + size, rest);
	else if (block + size < coh_heap_top(v))
		coh_heap_set_after_free(v, block + size, false);
	taken(v, block);
}

/* Pages up to UPTO, and their bits. */
static int reserve(const struct coh_heap_view *v, uint64_t upto)
{
	struct coh_heap *h = v->heap;
	uint64_t from = h->reserved, to = ROUND_UP(upto - v->begin, RESERVE_STEP) + v->begin;
	int rc;

	if (upto <= from)
		return 0;
	if (from < v->begin)
		return COHORT_ESEGMENT;
	to = to < v->end ? to : v->end;
	if (from / ASK_STEP != to / ASK_STEP && !coh_shm_there(to - from + ASK_STEP))
		return -ENOSPC;
	rc = pages(
	    v, v->bits + coh_heap_grain(v, from) / 8, v->bits + coh_heap_grain(v, to) / 8 + 8);
	if (rc == 0)
		rc = pages(v, from, to);
	if (rc != 0) {
		to = upto; /* not a step more than is needed */
		rc = pages(v, v->bits + coh_heap_grain(v, from) / 8,
		    v->bits + coh_heap_grain(v, to) / 8 + 8);
		rc = rc != 0 ? rc : pages(v, from, to);
	}
	COH_FAULT("heap.reserve.pages");
	if (rc == 0)
		h->reserved = to;
	return rc;
}

/* Take it from what was never used, or is again as if it had not been. */
static int take_top(const struct coh_heap_view *v, const struct want *w)
{
	uint64_t top = coh_heap_top(v), gap = front(w, top), block = top + gap;
	int rc;

	if (v->end - top < gap + w->size)
		return -ENOMEM;
	rc = reserve(v, block + w->size);
	if (rc != 0)
		return rc;
	write_used(v, w, block, w->size);
	if (gap != 0) {
		coh_heap_set_after_free(v, block, true);
		COH_FAULT("heap.alloc.gap");
		coh_heap_set_head(v, top, gap);
	}
	COH_FAULT("heap.alloc.behind");
	atomic_store_explicit(&v->heap->top, block + w->size, memory_order_release); /* commits */
	if (gap != 0)
		coh_heap_enlist(v, top, gap);
	taken(v, block);
	return 0;
}

/* The free block of at least SIZE that W fits in; 0: none. */
static uint64_t find(const struct coh_heap_view *v, const struct want *w, uint64_t size)
{
	uint64_t offset = coh_heap_bins_find(v, size), head;

	if (offset == 0 || v->heap->broken != 0)
		return 0;
	head = coh_heap_head(v, offset);
	if ((head & (USED | AFTER_FREE)) != 0 || coh_heap_size(head) < size) {
		v->heap->broken = 1;
		return 0;
	}
	return coh_heap_fits(v, offset, head) && coh_heap_size(head) >= front(w, offset) + w->size
	    ? offset
	    : 0;
}

static int take(const struct coh_heap_view *v, const struct want *w)
{
	uint64_t offset = find(v, w, w->size);

	if (offset == 0 && w->paged)
		offset = find(v, w, w->size + COH_HEAP_PAGE + BLOCK_MIN);
	if (offset == 0)
		return v->heap->broken != 0 ? COHORT_ESEGMENT : take_top(v, w);
	take_free(v, w, offset, front(w, offset));
	return 0;
}

int coh_heap_alloc(struct coh_heap_view *v, size_t size, uint64_t owner, uint64_t *at)
{
	struct want w = {size, 0, owner, at, size >= COH_HEAP_LARGE};
	int rc;

	if (size == 0)
		return COHORT_EARGUMENT;
	if (size > v->end - v->begin)
		return -ENOMEM;
	w.size = ROUND_UP(size + HEAD, w.paged ? COH_HEAP_PAGE : GRAIN);
	w.size = w.size < BLOCK_MIN ? BLOCK_MIN : w.size;
	rc = enter(v);
	if (rc != 0)
		return rc;
	rc = take(v, &w);
	if (rc == -ENOMEM && w.paged) {
		w.paged = false; /* slower to copy is better than none */
		w.size = ROUND_UP(size + HEAD, GRAIN);
		rc = take(v, &w);
	}
	return leave(v, rc);
}

/* ---- free ---- */

/* The free block before the one at OFFSET leaves the lists: where it is. */
static uint64_t join_before(const struct coh_heap_view *v, uint64_t offset)
{
	uint64_t size = *coh_heap_tail(v, offset), before = offset - size;

	if (size < BLOCK_MIN || size > offset - v->begin || coh_heap_head(v, before) != size) {
		v->heap->broken = 1;
		return offset;
	}
	coh_heap_bins_take(v, before, size);
	COH_FAULT("heap.free.before");
	return before;
}

static void release(const struct coh_heap_view *v, uint64_t offset, uint64_t head)
{
	uint64_t begin = offset, end = offset + coh_heap_size(head), next;

	coh_heap_set_bit(v, offset, false);
	COH_FAULT("heap.free.bit");
	if ((head & AFTER_FREE) != 0)
		begin = join_before(v, offset);
	if (v->heap->broken != 0)
		return;
	v->heap->used -= coh_heap_size(head);
	COH_FAULT("heap.free.used");
	v->heap->blocks--;
	if (end == coh_heap_top(v)) {
		atomic_store_explicit(&v->heap->top, begin, memory_order_release); /* commits */
		COH_FAULT("heap.free.top");
		return;
	}
	next = coh_heap_head(v, end);
	if (!coh_heap_fits(v, end, next))
		return;
	if ((next & USED) == 0) {
		coh_heap_bins_take(v, end, coh_heap_size(next));
		end += coh_heap_size(next);
	}
	COH_FAULT("heap.free.joined");
	coh_heap_set_head(v, begin, end - begin); /* commits */
	COH_FAULT("heap.free.committed");
	coh_heap_set_after_free(v, end, true);
	COH_FAULT("heap.free.after");
	coh_heap_enlist(v, begin, end - begin);
}

int coh_heap_free(struct coh_heap_view *v, uint64_t at)
{
	uint64_t head;
	int rc = enter(v);

	if (rc != 0)
		return rc;
	if (!coh_heap_begins(v, at))
		return leave(v, COHORT_EARGUMENT);
	head = coh_heap_head(v, at - HEAD);
	if ((head & USED) == 0)
		v->heap->broken = 1;
	else if (coh_heap_fits(v, at - HEAD, head))
		release(v, at - HEAD, head);
	return leave(v, 0);
}

int coh_heap_clear(struct coh_heap_view *v)
{
	int rc = enter(v);

	if (rc != 0)
		return rc;
	atomic_store_explicit(&v->heap->top, v->begin, memory_order_release); /* commits */
	COH_FAULT("heap.clear.top");
	return leave(v, coh_heap_mend(v));
}

/* ---- what is there ---- */

void *coh_heap_at(const struct coh_heap_view *v, uint64_t at, size_t *size)
{
	uint64_t head, whole, slack;

	if (!coh_heap_begins(v, at))
		return NULL;
	head = coh_heap_head(v, at - HEAD);
	whole = coh_heap_size(head);
	slack = (head >> SLACK_SHIFT) + HEAD;
	if (whole > v->end - (at - HEAD) || slack >= whole)
		return NULL;
	if (size != NULL)
		*size = whole - slack;
	return v->base + at;
}

uint64_t coh_heap_owner(const struct coh_heap_view *v, uint64_t at)
{
	if (!coh_heap_begins(v, at))
		return 0;
	return atomic_load_explicit(&coh_heap_block(v, at - HEAD)->link, memory_order_relaxed);
}

void coh_heap_set_owner(const struct coh_heap_view *v, uint64_t at, uint64_t owner)
{
	if (coh_heap_begins(v, at))
		atomic_store_explicit(
		    &coh_heap_block(v, at - HEAD)->link, owner, memory_order_release);
}

int coh_heap_next(const struct coh_heap_view *v, uint64_t *cursor, uint64_t *at)
{
	uint64_t grain = *cursor < v->begin ? 0 : coh_heap_grain(v, *cursor),
		 end = coh_heap_grain(v, coh_heap_top(v));

	while (grain < end) {
		uint64_t word = atomic_load_explicit(coh_heap_bits(v, grain), memory_order_acquire);

		word >>= grain % 64;
		if (word == 0) {
			grain = (grain / 64 + 1) * 64;
			continue;
		}
		grain += (unsigned)__builtin_ctzll(word);
		*at = v->begin + grain * GRAIN + HEAD;
		*cursor = *at;
		return 1;
	}
	return 0;
}

int coh_heap_stats(struct coh_heap_view *v, struct coh_heap_stats *stats)
{
	uint64_t rest, largest;
	int rc = enter(v);

	*stats = (struct coh_heap_stats){v->end - v->begin, 0, 0, 0};
	if (rc != 0)
		return rc;
	stats->used = v->heap->used;
	stats->blocks = v->heap->blocks;
	largest = coh_heap_bins_largest(v);
	rest = v->end - coh_heap_top(v);
	largest = largest > rest ? largest : rest;
	stats->largest = largest < BLOCK_MIN ? 0 : largest - HEAD;
	return leave(v, 0);
}

int coh_heap_check(struct coh_heap_view *v)
{
	int rc = enter(v);

	if (rc != 0)
		return rc;
	coh_heap_look(v);
	return leave(v, 0);
}
