/*
 * shared.c - handles of shared objects, and their names, of whatever kind they are.
 */
#include "sync/shared.h"

#include "base/err.h"
#include "base/object.h"
#include "sync/cut.h"
#include "sync/robust.h"

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

int coh_shared_gone(const struct coh_shared *s, uint32_t magic)
{
	COH_ASSERT(s != NULL && s->magic == magic);
	(void)coh_cut_found(s->segment.header); /* so that all that is inside it is gone too */
	coh_robust_mend();                      /* of what this thread held there */
	return COHORT_ESEGMENT;
}

int cohort_shared_check(const void *object, struct cohort_error *err)
{
	const struct coh_segment *s = coh_shared_segment(object, err);

	return s != NULL ? coh_segment_check(s, err) : COHORT_EARGUMENT;
}

int cohort_shared_unlink(const char *name, struct cohort_error *err)
{
	return coh_segment_unlink(name, err);
}

int cohort_shared_sweep(void)
{
	return coh_segment_sweep();
}
