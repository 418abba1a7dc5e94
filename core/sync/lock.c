/*
 * lock.c - Lock and RLock: a mutex that processes share, with a count for those who take it again.
 *
 * Everything hard is the mutex's (mutex.c).  Here is only whose it is and how often.
 */
#include "sync/lock.h"

#include "base/err.h"
#include "base/object.h"
#include "sync/fault.h"
#include "sync/primitive.h"

#include <errno.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_LOCK)
#define DEPTH_MAX INT32_MAX

static const char *word_for(uint32_t recursive)
{
	return recursive ? "recursive" : "not recursive";
}

static int make(void *cell, const void *options, struct cohort_error *err)
{
	const struct cohort_lock_options *o = options;
	struct coh_lock_cell *l = cell;

	(void)err;
	l->recursive = o != NULL && o->recursive != 0;
	return 0;
}

static int agree(const void *cell, const void *options, struct cohort_error *err)
{
	const struct cohort_lock_options *o = options;
	const struct coh_lock_cell *l = cell;

	if (o == NULL || l->recursive == (o->recursive != 0))
		return 0;
	return coh_fail(err, COHORT_EARGUMENT,
	    "lock: it was made %s, and is opened as one that is %s", word_for(l->recursive), word_for(o->recursive != 0));
}

static const struct coh_primitive kind = {
	.spec = {.kind = COH_SEGMENT_LOCK,
	    .size = sizeof(struct coh_segment_header) + sizeof(struct coh_lock_cell),
	    .what = "lock"},
	.handle = sizeof(struct cohort_lock),
	.make = make,
	.agree = agree,
};

int cohort_lock_open(struct cohort_lock **out, const char *address,
    const struct cohort_lock_options *options, struct cohort_error *err)
{
	return coh_primitive_open(out, &kind, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
}

struct coh_lock_cell *coh_lock_cell_of(struct cohort_lock *l)
{
	return coh_primitive_cell(&COH_SHARED_CAST(struct cohort_lock, MAGIC, l)->shared);
}

const uint8_t *coh_lock_id_of(struct cohort_lock *l)
{
	return COH_SHARED_CAST(struct cohort_lock, MAGIC, l)->shared.segment.id;
}

void cohort_lock_close(struct cohort_lock *l)
{
	struct coh_lock_cell *cell;

	if (!coh_shared_open(l))
		return;
	cell = coh_lock_cell_of(l);
	if (coh_mutex_mine(&cell->mutex))
		coh_mutex_abandon(&cell->mutex);
	coh_primitive_close(l);
}

/* This thread holds L already. */
static int acquire_again(struct coh_lock_cell *l)
{
	if (!l->recursive)
		return -EDEADLK;
	if (l->depth == DEPTH_MAX)
		return -EOVERFLOW;
	l->depth++;
	return 0;
}

int coh_lock_acquire(struct coh_lock_cell *l, cohort_time deadline)
{
	int rc = coh_mutex_lock(&l->mutex, deadline);

	if (rc == -EDEADLK)
		return acquire_again(l);
	if (rc == 0 || rc == COHORT_EOWNERDEAD) {
		COH_FAULT("lock.acquire.taken");
		l->depth = 1;
	}
	COH_FAULT("lock.acquire.done");
	return rc;
}

int coh_lock_release(struct coh_lock_cell *l)
{
	if (!coh_mutex_mine(&l->mutex))
		return COHORT_ENOTOWNER;
	COH_FAULT("lock.release.mine");
	if (--l->depth > 0)
		return 0;
	COH_FAULT("lock.release.last");
	coh_mutex_unlock(&l->mutex);
	COH_FAULT("lock.release.done");
	return 0;
}

uint32_t coh_lock_drop(struct coh_lock_cell *l)
{
	uint32_t depth = l->depth;

	l->depth = 0;
	COH_FAULT("lock.drop.none");
	coh_mutex_unlock(&l->mutex);
	return depth;
}

int coh_lock_retake(struct coh_lock_cell *l, uint32_t depth)
{
	int rc = coh_mutex_lock(&l->mutex, COHORT_FOREVER);

	COH_ASSERT(rc == 0 || rc == COHORT_EOWNERDEAD || rc == COHORT_ESEGMENT);
	COH_FAULT("lock.retake.taken");
	if (rc != COHORT_ESEGMENT)
		l->depth = depth;
	return rc;
}

int cohort_lock_acquire(struct cohort_lock *l, cohort_time deadline)
{
	if (!coh_shared_there(&l->shared, MAGIC))
		return coh_shared_gone(&l->shared, MAGIC);
	return coh_lock_acquire(coh_primitive_cell(&l->shared), deadline);
}

int cohort_lock_release(struct cohort_lock *l)
{
	if (!coh_shared_there(&l->shared, MAGIC))
		return coh_shared_gone(&l->shared, MAGIC);
	return coh_lock_release(coh_primitive_cell(&l->shared));
}

int cohort_lock_locked(struct cohort_lock *l)
{
	if (!coh_shared_there(&l->shared, MAGIC))
		return coh_shared_gone(&l->shared, MAGIC);
	return coh_mutex_held(&((struct coh_lock_cell *)coh_primitive_cell(&l->shared))->mutex);
}
