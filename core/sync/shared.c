/*
 * shared.c - handles of shared objects, and their names, of whatever kind they are.
 */
#include "sync/shared.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "sync/cut.h"
#include "sync/robust.h"

#include <cohort/shared.h>
#include <stdalign.h>
#include <stdatomic.h>

static bool known(uint32_t magic)
{
	return magic > COH_SHARED_MAGIC(0) && magic < COH_SHARED_MAGIC(COH_SEGMENT_KINDS);
}

const struct coh_segment *coh_shared_segment(const void *object, struct cohort_error *err)
{
	const struct coh_shared *s = object;

	if (s != NULL && (uintptr_t)s % alignof(struct coh_shared) == 0 && s->magic == COH_SHARED_CLOSED) {
		coh_fail(err, COHORT_ECLOSED, "%p is the handle of a shared object that was closed", object);
		return NULL;
	}
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

void *coh_shared_handle(const void *p, uint32_t magic)
{
	const struct coh_shared *s = p;

	COH_ASSERT(s != NULL && (s->magic == magic || s->magic == COH_SHARED_CLOSED));
	return (void *)(uintptr_t)p;
}

bool coh_shared_open(const void *p)
{
	const struct coh_shared *s = p;

	return s != NULL && s->magic != COH_SHARED_CLOSED;
}

void coh_shared_mark_closed(struct coh_shared *s)
{
	static struct coh_segment_header nothing; /* has no mark */
	static const uint32_t unmarked;

	s->segment.header = &nothing;
	s->segment.mark = &unmarked;
	s->segment.fd = -1;
	s->segment.name = NULL;
	s->magic = COH_SHARED_CLOSED;
}

void coh_shared_retire(struct coh_shared *s)
{
	static struct coh_shared *_Atomic kept[COH_SHARED_KEPT];
	static atomic_uint next;

	coh_shared_mark_closed(s);
	coh_free(atomic_exchange(&kept[atomic_fetch_add(&next, 1) % COH_SHARED_KEPT], s));
}

int coh_shared_gone(const struct coh_shared *s, uint32_t magic)
{
	if (s != NULL && s->magic == COH_SHARED_CLOSED)
		return COHORT_ECLOSED;
	COH_ASSERT(s != NULL && s->magic == magic);
	(void)coh_cut_found(s->segment.header); /* so that all that is inside it is gone too */
	coh_robust_mend();                      /* of what this thread held there */
	return COHORT_ESEGMENT;
}

int cohort_shared_check(const void *object, struct cohort_error *err)
{
	struct cohort_error own;
	const struct coh_segment *s = coh_shared_segment(object, err != NULL ? err : &own);

	return s != NULL ? coh_segment_check(s, err) : err != NULL ? err->code : own.code;
}

int cohort_shared_unlink(const char *name, struct cohort_error *err)
{
	return coh_segment_unlink(name, err);
}

int cohort_shared_sweep(void)
{
	return coh_segment_sweep();
}
