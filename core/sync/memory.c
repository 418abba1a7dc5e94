/* memory.c - a block of shared memory: SharedMemory, of exactly the size that was asked for. */
#include "base/err.h"
#include "base/object.h"
#include "sync/data.h"

#include <cohort/data.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_MEMORY)
#define SIZE_MOST ((uint64_t)1 << 40) /* more than any machine's memory file */

struct cohort_memory {
	struct coh_data data;
};

static int see(struct coh_data *d, const void *options, struct cohort_error *err)
{
	const struct cohort_memory_options *o = options;

	if (d->shape.size > d->shared.segment.size - COH_DATA_BEGIN)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open a block: it says it has %llu bytes, but there are %zu",
		    (unsigned long long)d->shape.size, d->shared.segment.size - COH_DATA_BEGIN);
	if (o != NULL && o->size > d->shape.size)
		return coh_fail(err, COHORT_EARGUMENT,
		    "open a block: it has %llu bytes, wanted are %zu",
		    (unsigned long long)d->shape.size, o->size);
	return 0;
}

int cohort_memory_open(struct cohort_memory **out, const char *address,
    const struct cohort_memory_options *options, struct cohort_error *err)
{
	uint64_t size = options != NULL ? options->size : 0;
	struct coh_data_plan plan = {
	    .spec = {.kind = COH_SEGMENT_MEMORY,
		.size = COH_DATA_BEGIN + size,
		.what = "block of memory"},
	    .handle = sizeof(struct cohort_memory),
	    .shape = {.size = size},
	    .lacks = size == 0 ? "its size is 0, allowed are 1 to 2^40 bytes" : NULL,
	    .see = see,
	};

	if (size > SIZE_MOST)
		return coh_fail(err, COHORT_EARGUMENT,
		    "open a block: its size is %llu, allowed are 1 to 2^40 bytes",
		    (unsigned long long)size);
	return coh_data_open(out, &plan, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
}

static struct coh_data *check(const struct cohort_memory *m)
{
	return &COH_SHARED_CAST(struct cohort_memory, MAGIC, (void *)(uintptr_t)m)->data;
}

void cohort_memory_close(struct cohort_memory *m)
{
	if (coh_shared_open(m))
		coh_data_close(check(m));
}

void *cohort_memory_data(struct cohort_memory *m)
{
	return coh_shared_open(check(m)) ? coh_data_at(check(m), COH_DATA_BEGIN) : NULL;
}

size_t cohort_memory_size(const struct cohort_memory *m)
{
	return check(m)->shape.size;
}

const char *cohort_memory_name(const struct cohort_memory *m)
{
	return check(m)->shared.segment.name;
}
