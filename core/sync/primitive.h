/*
 * primitive.h - what locks, semaphores, conditions, events, barriers have in common: a cell in a
 * segment.
 *
 * A handle begins with struct coh_shared (shared.h), whose magic is that of its kind; the cell is
 * what lies behind the segment's header.  Options count when the cell is made, and are compared
 * when it is attached.
 */
#ifndef COH_SYNC_PRIMITIVE_H
#define COH_SYNC_PRIMITIVE_H

#include "sync/mutex.h"
#include "sync/shared.h"

#include <cohort/shared.h>

/*
 * How long a call waits for one who is in the middle of a step inside (a few stores), beyond its
 * own deadline: that one may have lost its CPU, and then a try would fail for no reason that its
 * caller could understand.
 */
#define COH_PRIMITIVE_GRACE COHORT_SECOND

/* How soon one who waits for others looks whether they live. */
#define COH_PRIMITIVE_LOOK (20 * COHORT_MS)

struct coh_primitive {
	struct coh_segment_spec spec;
	size_t handle; /* its size */

	/*
	 * CELL, all zero and nobody else's yet, becomes what OPTIONS (NULL: the usual ones) say.
	 * NULL: it stays as it is.
	 */
	int (*make)(void *cell, const void *options, struct cohort_error *err);

	/*
	 * CELL is what OPTIONS (not NULL) say: 0, or COHORT_EARGUMENT with a sentence.  NULL: it
	 * always is.
	 */
	int (*agree)(const void *cell, const void *options, struct cohort_error *err);
};

/* As any open of sync.h: a zeroed handle whose coh_shared is filled in.  Gives *HANDLE. */
int coh_primitive_open(void *handle, const struct coh_primitive *kind, const char *address,
    enum cohort_open how, const void *options, struct cohort_error *err);

/* HANDLE, whose magic was checked, is closed and freed. */
void coh_primitive_close(void *handle);

static inline void *coh_primitive_cell(const struct coh_shared *s)
{
	return s->segment.header + 1;
}

/*
 * coh_mutex_lock of a lock inside a cell, held for a few stores only: until DEADLINE and the grace
 * have passed.
 */
int coh_primitive_wait(struct coh_mutex *m, cohort_time deadline);

static inline int coh_primitive_lock(struct coh_mutex *m, cohort_time deadline)
{
	return coh_mutex_take(m) ? 0 : coh_primitive_wait(m, deadline);
}

#endif
