/* arena.c - shared memory to allocate from: a segment that is all heap (heap.h). */
#include "base/err.h"
#include "base/object.h"
#include "sync/data.h"
#include "sync/heap.h"
#include "sync/party.h"

#include <cohort/data.h>
#include <string.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_ARENA)
#define SIZE_LEAST 4096
#define REGION COH_HEAP_PAGE /* where the heap begins: the first page is the header's */
_Static_assert(COH_DATA_BEGIN <= REGION, "the head fits in the first page");

struct cohort_arena {
	struct coh_data data;
	struct coh_heap_view heap;
};

static int make(struct coh_data *d, const void *options, struct cohort_error *err)
{
	struct coh_segment *s = &d->shared.segment;
	struct coh_heap_view v;
	int rc = coh_heap_init(&v, s->header, s->fd, REGION, d->shape.size);

	(void)options;
	return rc != 0 ? coh_fail_errno(err, -rc, "make an arena: its first pages") : 0;
}

static int see(struct coh_data *d, const void *options, struct cohort_error *err)
{
	struct cohort_arena *a = (struct cohort_arena *)d;
	const struct cohort_arena_options *o = options;
	struct coh_segment *s = &d->shared.segment;
	uint64_t size = d->shape.size;

	if (size < SIZE_LEAST || size > COH_HEAP_MAX || s->size < REGION ||
	    coh_heap_region(size) > s->size - REGION ||
	    coh_heap_attach(&a->heap, s->header, s->fd, REGION, size) != 0)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open an arena: it says it is of %llu bytes, but its memory of %zu is not made "
		    "so",
		    (unsigned long long)size, s->size);
	return coh_data_agree(d, "size", size, o != NULL ? o->size : 0, err);
}

int cohort_arena_open(struct cohort_arena **out, const char *address,
    const struct cohort_arena_options *options, struct cohort_error *err)
{
	uint64_t size = options != NULL ? options->size : 0;
	struct coh_data_plan plan = {
	    .spec = {.kind = COH_SEGMENT_ARENA, .size = REGION, .what = "shared arena"},
	    .handle = sizeof(struct cohort_arena),
	    .shape = {.size = size},
	    .lacks = size == 0 ? "its size is 0, allowed are 4096 to 2^40 bytes" : NULL,
	    .make = make,
	    .see = see,
	};

	if (size != 0 && (size < SIZE_LEAST || size > COH_HEAP_MAX))
		return coh_fail(err, COHORT_EARGUMENT,
		    "open an arena: its size is %llu, allowed are 4096 to 2^40 bytes",
		    (unsigned long long)size);
	plan.spec.tail = coh_heap_region(size);
	return coh_data_open(out, &plan, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
}

static struct cohort_arena *check(struct cohort_arena *a)
{
	return COH_SHARED_CAST(struct cohort_arena, MAGIC, a);
}

void cohort_arena_close(struct cohort_arena *a)
{
	if (coh_shared_open(a))
		coh_data_close(&check(a)->data);
}

int cohort_arena_alloc(struct cohort_arena *a, size_t size, uint64_t *at)
{
	int rc = coh_data_check(&a->data, MAGIC);

	if (rc != 0)
		return rc;
	if (size == 0 || size > a->data.shape.size)
		return COHORT_EARGUMENT;
	return coh_heap_alloc(&a->heap, size, coh_party_self(), at);
}

int cohort_arena_free(struct cohort_arena *a, uint64_t at)
{
	int rc = coh_data_check(&a->data, MAGIC);

	return rc != 0 ? rc : coh_heap_free(&a->heap, at);
}

void *cohort_arena_at(struct cohort_arena *a, uint64_t at)
{
	return coh_data_check(&a->data, MAGIC) == 0 ? coh_heap_at(&a->heap, at, NULL) : NULL;
}

size_t cohort_arena_size_at(struct cohort_arena *a, uint64_t at)
{
	size_t size = 0;

	if (coh_data_check(&a->data, MAGIC) != 0)
		return 0;
	return coh_heap_at(&a->heap, at, &size) != NULL ? size : 0;
}

void cohort_arena_stats(struct cohort_arena *a, struct cohort_arena_stats *stats)
{
	struct coh_heap_stats s = {check(a)->data.shape.size, 0, 0, 0};

	if (coh_data_check(&a->data, MAGIC) == 0)
		(void)coh_heap_stats(
		    &a->heap, &s); /* a damaged one has nothing in use, and nothing to give */
	*stats = (struct cohort_arena_stats){s.size, s.used, s.blocks, s.largest};
}
