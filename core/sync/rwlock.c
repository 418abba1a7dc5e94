/*
 * rwlock.c - a reader-writer lock: writers queue at a mutex, readers stand in a roster.
 *
 * A reader enters the roster, then looks at the mutex; a writer takes the mutex, then looks at the
 * roster: one of them sees the other, and if both do, the reader steps back.  So a writer that
 * waits keeps new readers out, and no lock is held inside that a stopped process could sit on.
 *
 * The dead: a reader vanishes, since the kernel marks its slot.  A writer that died while it only
 * waited leaves nothing to tell; one that died writing leaves WRITING set under a marked mutex, and
 * then TORN, until some writer has released in good order: so long every reader and writer is told.
 */
#include "base/clock.h"
#include "base/object.h"
#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/primitive.h"
#include "sync/roster.h"

#include <cohort/sync.h>
#include <errno.h>
#include <limits.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_RWLOCK)
#define READING 1u
#define DOUBT 10 /* looks of a writer, 0.2 s, after which it asks whether the readers exist: they may just read long */

struct rwlock_cell {
	struct coh_mutex writer;
	_Atomic uint32_t writing; /* the holder of that mutex has it alone */
	_Atomic uint32_t torn;    /* a writer died in the middle, and none has put it right since */
	struct coh_gate readers;  /* they wait for the writer to go */
	struct coh_gate writers;  /* the writer waits for readers to go */
	struct coh_roster roster;
};

struct cohort_rwlock {
	struct coh_shared shared;
};

static const struct coh_primitive kind = {
	.spec = {.kind = COH_SEGMENT_RWLOCK,
	    .size = sizeof(struct coh_segment_header) + sizeof(struct rwlock_cell),
	    .what = "reader-writer lock"},
	.handle = sizeof(struct cohort_rwlock),
};

static struct rwlock_cell *cell_of(struct cohort_rwlock *l)
{
	return coh_primitive_cell(&COH_CAST(struct cohort_rwlock, MAGIC, l)->shared);
}

int cohort_rwlock_open(struct cohort_rwlock **out, const char *address,
    const struct cohort_rwlock_options *options, struct cohort_error *err)
{
	return coh_primitive_open(
	    out, &kind, address, options != NULL ? options->open : COHORT_OPEN_EITHER, NULL, err);
}

void cohort_rwlock_close(struct cohort_rwlock *l)
{
	struct coh_roster_slot *s;
	struct rwlock_cell *c;

	if (l == NULL)
		return;
	c = cell_of(l);
	s = coh_roster_mine(&c->roster);
	if (s != NULL)
		coh_roster_leave(s);
	if (coh_mutex_mine(&c->writer))
		coh_mutex_abandon(&c->writer);
	coh_primitive_close(l);
}

static bool has_it(struct rwlock_cell *c)
{
	return coh_mutex_mine(&c->writer) || coh_roster_mine(&c->roster) != NULL;
}

/* Nobody writes now; what the last writer left. */
static int tell(struct rwlock_cell *c)
{
	if (atomic_load(&c->torn) || (coh_mutex_dead(&c->writer) && atomic_load(&c->writing)))
		return COHORT_EOWNERDEAD;
	return 0;
}

static void reader_leave(struct rwlock_cell *c, struct coh_roster_slot *s)
{
	coh_roster_leave(s);
	COH_FAULT("rwlock.read.left");
	coh_gate_open(&c->writers, 1);
}

/* 0: L is read now; -EAGAIN: a writer is there; -ENOSPC. */
static int reader_try(struct rwlock_cell *c)
{
	struct coh_roster_slot *s;

	if (coh_mutex_held(&c->writer))
		return -EAGAIN;
	s = coh_roster_enter(&c->roster, READING);
	if (s == NULL && coh_roster_count(&c->roster) < COH_ROSTER_SLOTS)
		s = coh_roster_enter(&c->roster, READING);
	if (s == NULL)
		return -ENOSPC;
	COH_FAULT("rwlock.read.entered");
	if (!coh_mutex_held(&c->writer))
		return 0;
	reader_leave(c, s);
	return -EAGAIN;
}

/* One who waits looks so soon again whether those that it waits for live. */
static cohort_time look_by(cohort_time deadline)
{
	cohort_time look = cohort_in(COH_PRIMITIVE_LOOK);

	return look < deadline ? look : deadline;
}

static bool there(struct cohort_rwlock *l)
{
	return coh_shared_there(&l->shared, MAGIC);
}

static int gone(struct cohort_rwlock *l)
{
	return coh_shared_gone(&l->shared, MAGIC);
}

int cohort_rwlock_read(struct cohort_rwlock *l, cohort_time deadline)
{
	struct rwlock_cell *c;
	int rc;

	if (!there(l))
		return gone(l);
	c = cell_of(l);
	if (has_it(c))
		return -EDEADLK;
	while ((rc = reader_try(c)) == -EAGAIN) {
		uint32_t ticket = coh_gate_arm(&c->readers);

		if (coh_clock_passed(deadline))
			return COHORT_ETIMEDOUT;
		if (coh_mutex_held(&c->writer))
			(void)coh_gate_sleep(&c->readers, ticket, look_by(deadline));
		if (!there(l))
			return gone(l);
	}
	COH_FAULT("rwlock.read.done");
	return rc == 0 ? tell(c) : rc;
}

/* The holder of the mutex, which waits for readers, or writes, goes. */
static void writer_leave(struct rwlock_cell *c)
{
	coh_mutex_unlock(&c->writer);
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.write.left");
	coh_gate_open(&c->readers, INT_MAX);
}

/* The mutex came from a dead one: what it was doing is noted before WRITING is used anew. */
static void writer_inherit(struct rwlock_cell *c)
{
	if (atomic_load(&c->writing))
		atomic_store(&c->torn, 1);
	COH_FAULT("rwlock.write.torn");
	atomic_store(&c->writing, 0);
}

static int await_readers(struct cohort_rwlock *l, struct rwlock_cell *c, cohort_time deadline)
{
	for (unsigned looks = 1;; looks++) {
		uint32_t ticket = coh_gate_arm(&c->writers);

		if (looks % DOUBT == 0)
			coh_roster_doubt(&c->roster);
		if (coh_roster_count(&c->roster) == 0)
			return 0;
		if (coh_clock_passed(deadline))
			return COHORT_ETIMEDOUT;
		COH_FAULT("rwlock.write.await");
		(void)coh_gate_sleep(&c->writers, ticket, look_by(deadline));
		if (!there(l))
			return COHORT_ESEGMENT;
	}
}

int cohort_rwlock_write(struct cohort_rwlock *l, cohort_time deadline)
{
	struct rwlock_cell *c;
	int rc;

	if (!there(l))
		return gone(l);
	c = cell_of(l);
	if (has_it(c))
		return -EDEADLK;
	rc = coh_mutex_lock(&c->writer, deadline);
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.write.queued");
	if (rc == COHORT_EOWNERDEAD)
		writer_inherit(c);
	else if (rc != 0)
		return rc;
	rc = await_readers(l, c, deadline);
	if (rc != 0) {
		writer_leave(c);
		return rc;
	}
	atomic_store(&c->writing, 1);
	COH_FAULT("rwlock.write.done");
	return tell(c);
}

int cohort_rwlock_release(struct cohort_rwlock *l)
{
	struct rwlock_cell *c;
	struct coh_roster_slot *s;

	if (!there(l))
		return gone(l);
	c = cell_of(l);
	if (coh_mutex_mine(&c->writer)) {
		atomic_store(&c->torn, 0);
		COH_FAULT("rwlock.release.whole");
		atomic_store(&c->writing, 0);
		COH_FAULT("rwlock.release.written");
		writer_leave(c);
		return 0;
	}
	s = coh_roster_mine(&c->roster);
	if (s == NULL)
		return COHORT_ENOTOWNER;
	reader_leave(c, s);
	return 0;
}

int cohort_rwlock_locked(struct cohort_rwlock *l)
{
	struct rwlock_cell *c;

	if (!there(l))
		return gone(l);
	c = cell_of(l);
	if (coh_mutex_held(&c->writer) && atomic_load(&c->writing))
		return -1;
	return (int)coh_roster_count(&c->roster);
}
