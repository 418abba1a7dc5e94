/*
 * shared.h - what every handle of a shared object begins with, so that a pointer to one can be
 * told from others.
 */
#ifndef COH_SYNC_SHARED_H
#define COH_SYNC_SHARED_H

#include "sync/segment.h"

/* The magic of a handle whose segment is of KIND: what marks the segment, so that a call looks at both at once. */
#define COH_SHARED_MAGIC(kind) COH_SEGMENT_MARK(kind)

/* The first member of struct cohort_queue, struct cohort_lock, ... */
struct coh_shared {
	uint32_t magic; /* COH_SHARED_MAGIC of its kind, COH_SHARED_CLOSED once it is closed */
	struct coh_segment segment;
};

#define COH_SHARED_CLOSED 0xc105edu

/* P, a handle of TYPE and MAGIC, open or closed; ends the process where it is none. */
#define COH_SHARED_CAST(type, magic, p) ((type *)coh_shared_handle((p), (magic)))
void *coh_shared_handle(const void *p, uint32_t magic);

/* Is there something to close at P, a handle or NULL?  Not where it is closed already. */
bool coh_shared_open(const void *p);

/*
 * S, whose segment is closed, stays for a while and is no open handle any more, so that a call with it is COHORT_ECLOSED and no accident:
 * until this process has closed COH_SHARED_KEPT others.  It begins what coh_alloc gave, and is freed then.
 */
#define COH_SHARED_KEPT 256
void coh_shared_retire(struct coh_shared *s);
/* The same of one that is part of another, and stays with it. */
void coh_shared_mark_closed(struct coh_shared *s);

/*
 * The handle S is of MAGIC and open, and its memory is all there: what every call that touches the memory asks first.  If not it
 * returns coh_shared_gone, which is COHORT_ESEGMENT, COHORT_ECLOSED of a closed one; or ends the process, where S is no such handle.
 */
static inline bool coh_shared_there(const struct coh_shared *s, uint32_t magic)
{
	return __builtin_expect(
	    s != NULL && *s->segment.mark == magic, 1);
}
int coh_shared_gone(const struct coh_shared *s, uint32_t magic) __attribute__((cold));

/* Of a call that may have slept on S, which was there: RC, or COHORT_ESEGMENT. */
static inline int coh_shared_end(const struct coh_shared *s, int rc)
{
	return coh_shared_there(s, s->magic) ? rc : coh_shared_gone(s, s->magic);
}

/*
 * The segment of OBJECT, which a user says is the handle of a shared object: it, or NULL with
 * COHORT_EARGUMENT in ERR when it does not look like one.  A pointer to what is no memory at all
 * cannot be told.
 */
const struct coh_segment *coh_shared_segment(const void *object, struct cohort_error *err);

#endif
