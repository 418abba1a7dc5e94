/*
 * shared.c - handles of shared objects, and their names, of whatever kind they are.
 */
#include "sync/shared.h"

#include "base/err.h"

#include <cohort/shared.h>
#include <stdalign.h>

static bool known(uint32_t magic)
{
	return magic > COH_SHARED_MAGIC(0) && magic < COH_SHARED_MAGIC(COH_SEGMENT_KINDS);
}

const struct coh_segment *coh_shared_segment(const void *object, struct cohort_error *err)
{
	const struct coh_shared *s = object;

	if (object == NULL || (uintptr_t)object % alignof(struct coh_shared) != 0 ||
	    !known(s->magic) || s->segment.header == NULL || s->segment.fd < 0) {
		coh_fail(err, COHORT_EARGUMENT,
		    "%p is no open handle of a shared object: a lock, an event, a queue, an array, "
		    "...",
		    object);
		return NULL;
	}
	return &s->segment;
}

int cohort_shared_unlink(const char *name, struct cohort_error *err)
{
	return coh_segment_unlink(name, err);
}

int cohort_shared_sweep(void)
{
	return coh_segment_sweep();
}
