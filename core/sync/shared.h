/*
 * shared.h - what every handle of a shared object begins with, so that a pointer to one can be
 * told from others.
 */
#ifndef COH_SYNC_SHARED_H
#define COH_SYNC_SHARED_H

#include "sync/segment.h"

/* The magic of a handle whose segment is of KIND. */
#define COH_SHARED_MAGIC(kind) (0x53480000u | (uint32_t)(kind)) /* "SH" */

/* The first member of struct cohort_queue, struct cohort_lock, ... */
struct coh_shared {
	uint32_t magic; /* COH_SHARED_MAGIC of its kind, 0 once it is closed */
	struct coh_segment segment;
};

/*
 * The segment of OBJECT, which a user says is the handle of a shared object: it, or NULL with
 * COHORT_EARGUMENT in ERR when it does not look like one.  A pointer to what is no memory at all
 * cannot be told.
 */
const struct coh_segment *coh_shared_segment(const void *object, struct cohort_error *err);

#endif
