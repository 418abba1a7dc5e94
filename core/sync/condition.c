/*
 * condition.c - a condition: who waits is in a roster, and each one is told by a word of its own.
 *
 * Everything is changed with the lock held, so a notifier marks exactly the number it was asked
 * for, and nobody has to confirm anything: a dead one holds up no notifier.  A waiter sleeps on its
 * own word without the lock, takes the lock again, and only then its word decides whether it was
 * notified.
 *
 * A notification given to one who died before it was back is passed on to another, or else what it
 * told of would have nobody to do it.  Whoever notifies sees to it, and each who waits looks at
 * every slice.
 *
 * Notifying goes round the roster, so that everyone's turn comes.
 *
 * Refused: pthread_cond_t, whose count of waiters a killed one leaves wrong for ever.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/object.h"
#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/lock.h"
#include "sync/primitive.h"
#include "sync/roster.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_CONDITION)

/* States in the roster. */
#define WAITING 1u
#define NOTIFIED 2u

struct condition_cell {
	struct coh_lock_cell own;
	uint8_t lock[16];  /* the segment of the caller's lock */
	uint32_t foreign;  /* it is the caller's lock that counts */
	uint32_t next;     /* where in the roster the next turn begins */
	uint32_t spare[2];
	struct coh_roster roster;
};

struct cohort_condition {
	struct coh_shared shared;
	struct coh_lock_cell *lock;
	const struct coh_shared *with; /* the handle of LOCK: its own, or the caller's */
};

/* The lock that OPTIONS give, or NULL. */
static struct cohort_lock *lock_in(const void *options)
{
	const struct cohort_condition_options *o = options;

	return o != NULL ? o->lock : NULL;
}

static int make(void *cell, const void *options, struct cohort_error *err)
{
	struct cohort_lock *lock = lock_in(options);
	struct condition_cell *c = cell;

	(void)err;
	c->own.recursive = 1;
	c->foreign = lock != NULL;
	if (c->foreign)
		memcpy(c->lock, coh_lock_id_of(lock), sizeof c->lock);
	return 0;
}

static int agree(const void *cell, const void *options, struct cohort_error *err)
{
	struct cohort_lock *lock = lock_in(options);
	const struct condition_cell *c = cell;

	if (c->foreign != (lock != NULL))
		return coh_fail(err, COHORT_EARGUMENT,
		    "condition: it was made with %s lock, and is opened with %s; give the same lock "
		    "everywhere",
		    c->foreign ? "a caller's" : "its own", lock != NULL ? "a caller's" : "its own");
	if (c->foreign && memcmp(c->lock, coh_lock_id_of(lock), sizeof c->lock) != 0)
		return coh_fail(err, COHORT_EARGUMENT,
		    "condition: it was made with another lock than the one it is opened with; give the "
		    "same lock everywhere");
	return 0;
}

static const struct coh_primitive kind = {
	.spec = {.kind = COH_SEGMENT_CONDITION,
	    .size = sizeof(struct coh_segment_header) + sizeof(struct condition_cell),
	    .what = "condition"},
	.handle = sizeof(struct cohort_condition),
	.make = make,
	.agree = agree,
};

static struct condition_cell *cell_of(struct cohort_condition *c)
{
	return coh_primitive_cell(&COH_SHARED_CAST(struct cohort_condition, MAGIC, c)->shared);
}

int cohort_condition_open(struct cohort_condition **out, const char *address,
    const struct cohort_condition_options *options, struct cohort_error *err)
{
	struct cohort_lock *lock = lock_in(options);
	struct cohort_condition *c;
	int rc;

	if (lock != NULL && !coh_shared_open(lock))
		return coh_fail(err, COHORT_ECLOSED, "open a condition: the lock that is given was closed");
	rc = coh_primitive_open(&c, &kind, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
	if (rc != 0)
		return rc;
	c->lock = lock != NULL ? coh_lock_cell_of(lock) : &cell_of(c)->own;
	c->with = lock != NULL ? &lock->shared : &c->shared;
	*out = c;
	return 0;
}

void cohort_condition_close(struct cohort_condition *c)
{
	struct condition_cell *cell;

	if (!coh_shared_open(c))
		return;
	cell = cell_of(c);
	if (coh_mutex_mine(&cell->own.mutex))
		coh_mutex_abandon(&cell->own.mutex);
	coh_primitive_close(c);
}

/* C and its lock are there: 0, or COHORT_ESEGMENT. */
static int check(struct cohort_condition *c)
{
	if (!coh_shared_there(&c->shared, MAGIC))
		return coh_shared_gone(&c->shared, MAGIC);
	return coh_shared_end(c->with, 0);
}

int cohort_condition_acquire(struct cohort_condition *c, cohort_time deadline)
{
	int rc = check(c);

	return rc == 0 ? coh_lock_acquire(c->lock, deadline) : rc;
}

/* The caller's lock can be let go of though the condition is cut. */
int cohort_condition_release(struct cohort_condition *c)
{
	int rc = check(c);

	return rc == 0 || coh_shared_end(c->with, 0) == 0 ? coh_lock_release(c->lock) : rc;
}

int cohort_condition_locked(struct cohort_condition *c)
{
	int rc = check(c);

	return rc == 0 ? coh_mutex_held(&c->lock->mutex) : rc;
}

/* S waits and lives: tell it. */
static bool notify_one(struct coh_roster_slot *s)
{
	if (atomic_load(&s->state) != WAITING || !coh_mutex_held(&s->here))
		return false;
	COH_FAULT("condition.notify.found");
	atomic_store(&s->state, NOTIFIED);
	COH_FAULT("condition.notify.marked");
	coh_futex_wake(&s->state, 1);
	COH_FAULT("condition.notify.woken");
	return true;
}

/* Tell N who wait, from the one whose turn it is. */
static int notify_turns(struct condition_cell *c, int n)
{
	uint32_t top = coh_roster_top(&c->roster), first = c->next;
	int told = 0;

	for (uint32_t i = 0; i < top && told < n; i++) {
		uint32_t at = (first + i) % top;

		if (notify_one(&c->roster.slot[at])) {
			COH_FAULT("condition.notify.turn");
			c->next = at + 1;
			told++;
		}
	}
	return told;
}

/* Bury the dead; how many of them had been notified. */
static int bury_dead(struct condition_cell *c)
{
	uint32_t top = coh_roster_top(&c->roster);
	int orphans = 0;

	for (uint32_t i = 0; i < top; i++) {
		struct coh_roster_slot *s = &c->roster.slot[i];
		bool notified = atomic_load(&s->state) == NOTIFIED;

		if (!coh_roster_dead(s))
			continue;
		if (notified)
			(void)notify_turns(c, 1); /* first: rather passed on twice than lost */
		orphans += notified;
		COH_FAULT("condition.bury.passed");
		(void)coh_roster_bury(s);
	}
	return orphans;
}

static bool orphan(struct condition_cell *c)
{
	uint32_t top = coh_roster_top(&c->roster);

	for (uint32_t i = 0; i < top; i++) {
		struct coh_roster_slot *s = &c->roster.slot[i];

		if (atomic_load(&s->state) == NOTIFIED && coh_mutex_dead(&s->here))
			return true;
	}
	return false;
}

static int notify(struct cohort_condition *c, int n)
{
	struct condition_cell *cell;
	int rc = check(c);

	if (rc != 0)
		return rc;
	cell = cell_of(c);
	if (!coh_mutex_mine(&c->lock->mutex))
		return COHORT_ENOTOWNER;
	if (n < 0)
		return COHORT_EARGUMENT;
	(void)bury_dead(cell);
	return notify_turns(cell, n);
}

int cohort_condition_notify(struct cohort_condition *c, int n)
{
	return notify(c, n);
}

int cohort_condition_notify_all(struct cohort_condition *c)
{
	return notify(c, INT_MAX);
}

/* Until S is told, DEADLINE, the memory is cut, or one who was told died: then TRUE. */
static bool sleep_till_told(
    struct condition_cell *c, struct coh_roster_slot *s, const struct coh_shared *shared, cohort_time deadline)
{
	while (coh_shared_there(shared, MAGIC) && atomic_load(&s->state) == WAITING && !coh_clock_passed(deadline)) {
		cohort_time until = cohort_in(COH_GATE_SLICE);

		COH_FAULT("condition.wait.sleep");
		coh_futex_wait(&s->state, WAITING, until < deadline ? until : deadline);
		COH_FAULT("condition.wait.woken");
		if (atomic_load(&s->state) == WAITING && orphan(c))
			return true;
	}
	return false;
}

/* Wait in S with the lock dropped; it is held again afterwards, unless it was cut.  0 or COHORT_EOWNERDEAD; COHORT_ESEGMENT. */
static int wait_in(struct cohort_condition *c, struct coh_roster_slot *s, cohort_time deadline)
{
	struct condition_cell *cell = cell_of(c);
	bool again;
	int rc;

	do {
		uint32_t depth = coh_lock_drop(c->lock);

		COH_FAULT("condition.wait.dropped");
		again = sleep_till_told(cell, s, &c->shared, deadline);
		rc = coh_lock_retake(c->lock, depth);
		COH_FAULT("condition.wait.retaken");
		if (again)
			(void)bury_dead(cell);
	} while (again && rc == 0 && atomic_load(&s->state) == WAITING);
	return rc;
}

static struct coh_roster_slot *enter(struct condition_cell *c)
{
	struct coh_roster_slot *s = coh_roster_enter(&c->roster, WAITING);

	if (s != NULL)
		return s;
	(void)bury_dead(c);
	return coh_roster_enter(&c->roster, WAITING);
}

int cohort_condition_wait(struct cohort_condition *c, cohort_time deadline)
{
	struct coh_roster_slot *s;
	bool told;
	int rc;

	rc = check(c);
	if (rc != 0)
		return rc;
	if (!coh_mutex_mine(&c->lock->mutex))
		return COHORT_ENOTOWNER;
	s = enter(cell_of(c));
	if (s == NULL)
		return -ENOSPC;
	rc = wait_in(c, s, deadline);
	told = atomic_load(&s->state) == NOTIFIED;
	coh_roster_leave(s);
	if (rc == 0 && !told)
		rc = COHORT_ETIMEDOUT;
	return rc == 0 ? 0 : coh_shared_end(&c->shared, rc);
}

static int positive(int value)
{
	if (value == INT_MIN)
		return INT_MAX;
	return value < 0 ? -value : value;
}

int cohort_condition_wait_for(
    struct cohort_condition *c, int (*test)(void *arg), void *arg, cohort_time deadline)
{
	int rc = check(c), value;

	if (rc != 0)
		return rc;
	if (!coh_mutex_mine(&c->lock->mutex))
		return COHORT_ENOTOWNER;
	for (;;) {
		value = test(arg);
		if (value != 0 || rc == COHORT_ETIMEDOUT)
			return positive(value);
		rc = cohort_condition_wait(c, deadline);
		if (rc != 0 && rc != COHORT_ETIMEDOUT)
			return rc;
	}
}
