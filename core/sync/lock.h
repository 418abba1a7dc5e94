/*
 * lock.h - a lock's cell, for the condition and the value that have one inside.
 *
 * The mutex says who; DEPTH, how often, is the holder's alone.  A lock taken from the dead begins
 * at 1.
 */
#ifndef COH_SYNC_LOCK_H
#define COH_SYNC_LOCK_H

#include "sync/mutex.h"
#include "sync/shared.h"

#include <cohort/sync.h>
#include <stdint.h>

struct coh_lock_cell {
	struct coh_mutex mutex;
	uint32_t depth;
	uint32_t recursive;
};

/* A handle.  A value has one inside, of its own segment: the cell is what lies behind the header. */
struct cohort_lock {
	struct coh_shared shared;
};

/* As cohort_lock_acquire and cohort_lock_release. */
int coh_lock_acquire(struct coh_lock_cell *l, cohort_time deadline);
int coh_lock_release(struct coh_lock_cell *l);

/*
 * Let go of L, which this thread holds, however often it does: how often.  Take it back that often:
 * 0 or COHORT_EOWNERDEAD; COHORT_ESEGMENT: its memory was cut, and nobody holds it.
 */
uint32_t coh_lock_drop(struct coh_lock_cell *l);
int coh_lock_retake(struct coh_lock_cell *l, uint32_t depth);

/* The cell of handle L, and the id of its segment. */
struct coh_lock_cell *coh_lock_cell_of(struct cohort_lock *l);
const uint8_t *coh_lock_id_of(struct cohort_lock *l);

#endif
