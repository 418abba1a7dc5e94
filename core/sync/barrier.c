/*
 * barrier.c - a barrier: parties stand in a roster, each with its own verdict, until the last has
 * come.
 *
 *	            the last comes                  its action is done
 *	 FILLING ───────────────────▶ ACTING ───────────────────────▶ RELEASING ──▶ FILLING
 *	    │  ◀── reset (RESETTING) ── │ ── timeout, death, abort, bad action ──▶ BREAKING ▶ BROKEN
 *
 * Everything is changed under the lock inside; a party that sleeps looks at its slot only.  States
 * that end in -ING but the first two are steps of several stores: whoever finds one under the lock
 * of a dead one finishes it.  The verdict is in the slot, so a party may be as late as it likes to
 * read it; the next round begins at once in other slots.
 *
 * A party that died while its verdict was still open breaks the barrier; so does one that had to go
 * without the lock (DESERTED).  All who wait look for such every 20 ms, and the last to come looks
 * before it lets anybody go.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/object.h"
#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/primitive.h"
#include "sync/roster.h"

#include <cohort/sync.h>
#include <errno.h>
#include <limits.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_BARRIER)
#define PARTIES_MAX 1024

enum barrier_state { FILLING = 0, ACTING, RELEASING, BREAKING, RESETTING, BROKEN };

/* Verdicts: the states of slots. */
enum { OPEN = 1, GO, BREAK, DESERTED };

struct barrier_cell {
	struct coh_mutex mutex;
	uint32_t parties;
	_Atomic uint32_t state;
	_Atomic uint32_t count; /* parties whose verdict is open */
	uint32_t spare;
	struct coh_gate gate;
	struct coh_roster roster;
};

struct cohort_barrier {
	struct coh_shared shared;
	int (*action)(void *arg);
	void *arg;
	cohort_time timeout;
};

static int refuse_parties(unsigned parties, struct cohort_error *err)
{
	return coh_fail(err, COHORT_EARGUMENT, "barrier: %u parties, allowed are 1 to %d", parties,
	    PARTIES_MAX);
}

static int make(void *cell, const void *options, struct cohort_error *err)
{
	const struct cohort_barrier_options *o = options;
	struct barrier_cell *b = cell;

	if (o == NULL)
		return refuse_parties(0, err);
	b->parties = o->parties;
	return 0;
}

static int agree(const void *cell, const void *options, struct cohort_error *err)
{
	const struct cohort_barrier_options *o = options;
	const struct barrier_cell *b = cell;

	if (o == NULL || b->parties == o->parties)
		return 0;
	return coh_fail(err, COHORT_EARGUMENT,
	    "barrier: it was made for %u parties, and is opened for %u", b->parties, o->parties);
}

static const struct coh_primitive kind = {
	.spec = {.kind = COH_SEGMENT_BARRIER,
	    .size = sizeof(struct coh_segment_header) + sizeof(struct barrier_cell),
	    .what = "barrier"},
	.handle = sizeof(struct cohort_barrier),
	.make = make,
	.agree = agree,
};

static struct barrier_cell *cell_of(struct cohort_barrier *b)
{
	return coh_primitive_cell(&COH_SHARED_CAST(struct cohort_barrier, MAGIC, b)->shared);
}

int cohort_barrier_open(struct cohort_barrier **out, const char *address,
    const struct cohort_barrier_options *options, struct cohort_error *err)
{
	struct cohort_barrier *b;
	int rc;

	if (options != NULL && (options->parties < 1 || options->parties > PARTIES_MAX))
		return refuse_parties(options->parties, err);
	if (options != NULL && options->timeout < 0)
		return coh_fail(err, COHORT_EARGUMENT, "barrier: a timeout of %lld ns, least is 0",
		    (long long)options->timeout);
	rc = coh_primitive_open(&b, &kind, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
	if (rc != 0)
		return rc;
	if (options != NULL) {
		b->action = options->action;
		b->arg = options->arg;
		b->timeout = options->timeout;
	}
	*out = b;
	return 0;
}

void cohort_barrier_close(struct cohort_barrier *b)
{
	if (coh_shared_open(b))
		coh_primitive_close(COH_SHARED_CAST(struct cohort_barrier, MAGIC, b));
}

/*
 * Give VERDICT to all whose verdict is open, and have them look; the state becomes NEXT.  All of it
 * again does no harm.
 */
static void judge(struct barrier_cell *c, uint32_t verdict, uint32_t next)
{
	uint32_t top = coh_roster_top(&c->roster);

	for (uint32_t i = 0; i < top; i++) {
		struct coh_roster_slot *s = &c->roster.slot[i];
		uint32_t open = OPEN;

		if (coh_roster_dead(s))
			(void)coh_roster_bury(s);
		else if (!atomic_compare_exchange_strong(&s->state, &open, verdict) &&
		    open == DESERTED)
			(void)atomic_compare_exchange_strong(&s->state, &open, 0);
		COH_FAULT("barrier.judge.one");
	}
	atomic_store(&c->count, 0);
	COH_FAULT("barrier.judge.counted");
	atomic_exchange(&c->state, next);
	coh_gate_fence_after_rmw();
	COH_FAULT("barrier.judge.done");
	coh_gate_open(&c->gate, INT_MAX);
}

/* Do what STATE says to the end. */
static void finish(struct barrier_cell *c, uint32_t state)
{
	atomic_store(&c->state, state);
	COH_FAULT("barrier.finish.begun");
	if (state == RELEASING)
		judge(c, GO, FILLING);
	else if (state == RESETTING)
		judge(c, BREAK, FILLING);
	else
		judge(c, BREAK, BROKEN);
}

/* A party that is there no more, though its verdict is open. */
static bool lost(struct coh_roster_slot *s)
{
	uint32_t state = atomic_load(&s->state);

	return state == DESERTED || (state == OPEN && coh_mutex_dead(&s->here));
}

static bool anyone_gone(struct barrier_cell *c)
{
	uint32_t top = coh_roster_top(&c->roster);

	for (uint32_t i = 0; i < top; i++)
		if (lost(&c->roster.slot[i]))
			return true;
	return false;
}

/* The lock's last holder died: finish its step, and count anew. */
static void mend(struct barrier_cell *c)
{
	uint32_t state = atomic_load(&c->state), top = coh_roster_top(&c->roster), open = 0;

	if (state == RELEASING || state == BREAKING || state == RESETTING) {
		finish(c, state);
		return;
	}
	for (uint32_t i = 0; i < top; i++)
		open += atomic_load(&c->roster.slot[i].state) == OPEN;
	atomic_store(&c->count, open);
	COH_FAULT("barrier.mend.counted");
}

/* The lock inside, and what has become of the barrier by then.  0, COHORT_ETIMEDOUT, COHORT_ESEGMENT. */
static int lock(struct barrier_cell *c, cohort_time deadline)
{
	int rc = coh_primitive_lock(&c->mutex, deadline);

	if (rc == COHORT_ETIMEDOUT || rc == COHORT_ESEGMENT)
		return rc;
	COH_FAULT("barrier.lock.locked");
	if (rc == COHORT_EOWNERDEAD)
		mend(c);
	if (anyone_gone(c))
		finish(c, BREAKING);
	COH_FAULT("barrier.lock.done");
	return 0;
}

static void unlock(struct barrier_cell *c)
{
	coh_mutex_unlock(&c->mutex);
	COH_FAULT("barrier.unlock.done");
}

static cohort_time look_by(cohort_time deadline)
{
	cohort_time look = cohort_in(COH_PRIMITIVE_LOOK);

	return look < deadline ? look : deadline;
}

/*
 * A slot for a party, unless all are in use; those are free whose parties died after their verdict.
 */
static struct coh_roster_slot *slot_for_party(struct barrier_cell *c)
{
	struct coh_roster_slot *s = coh_roster_enter(&c->roster, OPEN);

	for (uint32_t i = 0; s == NULL && i < COH_ROSTER_SLOTS; i++) {
		struct coh_roster_slot *old = &c->roster.slot[i];

		if (coh_roster_dead(old) && atomic_load(&old->state) != OPEN &&
		    coh_roster_bury(old))
			s = coh_roster_enter(&c->roster, OPEN);
	}
	return s;
}

/*
 * Become a party: 0 with its slot in *OUT and the lock held; COHORT_EBARRIER; COHORT_ETIMEDOUT;
 * -EAGAIN: not now, since the round before is at its action, or no slot is free.
 */
static int enter(struct barrier_cell *c, struct coh_roster_slot **out, cohort_time deadline)
{
	int rc = lock(c, deadline);

	if (rc != 0)
		return rc;
	if (atomic_load(&c->state) == BROKEN)
		rc = COHORT_EBARRIER;
	else if (atomic_load(&c->state) != FILLING)
		rc = -EAGAIN;
	if (rc == 0) {
		*out = slot_for_party(c);
		COH_FAULT("barrier.enter.there");
		rc = *out == NULL ? -EAGAIN : 0;
	}
	if (rc != 0)
		unlock(c);
	return rc;
}

static bool there(struct cohort_barrier *b)
{
	return coh_shared_there(&b->shared, MAGIC);
}

static int gone(struct cohort_barrier *b)
{
	return coh_shared_gone(&b->shared, MAGIC);
}

static int enter_in_turn(struct cohort_barrier *b, struct coh_roster_slot **out, cohort_time deadline)
{
	struct barrier_cell *c = cell_of(b);
	int rc = enter(c, out, deadline);

	while (rc == -EAGAIN) {
		uint32_t ticket = coh_gate_arm(&c->gate);

		rc = enter(c, out, deadline);
		if (rc != -EAGAIN)
			break;
		if (coh_clock_passed(deadline))
			return COHORT_ETIMEDOUT;
		(void)coh_gate_sleep(&c->gate, ticket, look_by(deadline));
		if (!there(b))
			return gone(b);
	}
	return rc;
}

/* The last has come, and holds the lock: its action, then all may go. */
static void let_go(struct cohort_barrier *b, struct coh_roster_slot *s)
{
	struct barrier_cell *c = cell_of(b);
	int failed = 0;

	if (b->action != NULL) {
		atomic_store(&c->state, ACTING);
		COH_FAULT("barrier.act.begin");
		unlock(c);
		failed = b->action(b->arg);
		COH_FAULT("barrier.act.done");
		(void)lock(c, COHORT_FOREVER);
	}
	if (atomic_load(&s->state) == OPEN) /* else it was broken or reset meanwhile */
		finish(c, failed ? BREAKING : RELEASING);
}

/* This party's deadline has passed: it breaks the barrier, unless the verdict came first. */
static bool give_up(struct barrier_cell *c, struct coh_roster_slot *s)
{
	uint32_t open = OPEN;
	bool was_open;

	if (lock(c, COHORT_NOW) != 0) /* somebody sits on the lock: whoever gets it next will see */
		return atomic_compare_exchange_strong(&s->state, &open, DESERTED);
	was_open = atomic_load(&s->state) == OPEN;
	COH_FAULT("barrier.give_up.locked");
	if (was_open)
		finish(c, BREAKING);
	unlock(c);
	return was_open;
}

/* Sleep till S has its verdict, or was cut.  0, or COHORT_ETIMEDOUT. */
static int await_verdict(struct cohort_barrier *b, struct coh_roster_slot *s, cohort_time deadline)
{
	struct barrier_cell *c = cell_of(b);

	while (there(b) && atomic_load(&s->state) == OPEN) {
		uint32_t ticket = coh_gate_arm(&c->gate);

		COH_FAULT("barrier.wait.armed");
		if (anyone_gone(c) && lock(c, deadline) == 0)
			unlock(c);
		if (atomic_load(&s->state) != OPEN)
			break;
		if (coh_clock_passed(deadline)) {
			if (give_up(c, s))
				return COHORT_ETIMEDOUT;
			break;
		}
		(void)coh_gate_sleep(&c->gate, ticket, look_by(deadline));
		COH_FAULT("barrier.wait.woken");
	}
	return 0;
}

int cohort_barrier_wait(struct cohort_barrier *b, cohort_time deadline)
{
	struct barrier_cell *c;
	struct coh_roster_slot *s;
	uint32_t place;
	int rc;

	if (!there(b))
		return gone(b);
	c = cell_of(b);
	if (deadline == COHORT_FOREVER && b->timeout > 0)
		deadline = cohort_in(b->timeout);
	rc = enter_in_turn(b, &s, deadline);
	if (rc != 0)
		return rc;
	place = atomic_load(&c->count);
	atomic_store(&c->count, place + 1);
	COH_FAULT("barrier.wait.counted");
	if (place + 1 == c->parties)
		let_go(b, s);
	unlock(c);
	rc = await_verdict(b, s, deadline);
	if (rc == 0)
		rc = atomic_load(&s->state) == GO ? (int)place : COHORT_EBARRIER;
	if (atomic_load(&s->state) != DESERTED)
		coh_roster_leave(s);
	else
		coh_mutex_unlock(&s->here);
	return coh_shared_end(&b->shared, rc);
}

static int change(struct cohort_barrier *b, uint32_t to)
{
	struct barrier_cell *c;
	int rc;

	if (!there(b))
		return gone(b);
	c = cell_of(b);
	rc = lock(c, COHORT_FOREVER);
	if (rc != 0)
		return rc;
	finish(c, to);
	unlock(c);
	return 0;
}

int cohort_barrier_abort(struct cohort_barrier *b)
{
	return change(b, BREAKING);
}

int cohort_barrier_reset(struct cohort_barrier *b)
{
	return change(b, RESETTING);
}

unsigned cohort_barrier_parties(struct cohort_barrier *b)
{
	return there(b) ? cell_of(b)->parties : 0;
}

/* What is asked for is looked up under the lock, so that parties who died do not count. */
static unsigned look(struct cohort_barrier *b, _Atomic uint32_t *word)
{
	struct barrier_cell *c = cell_of(b);
	unsigned value;

	if (!there(b))
		return 0;
	if (lock(c, COHORT_NOW) != 0)
		return atomic_load(word);
	value = atomic_load(word);
	unlock(c);
	return value;
}

unsigned cohort_barrier_waiting(struct cohort_barrier *b)
{
	return look(b, &cell_of(b)->count);
}

int cohort_barrier_broken(struct cohort_barrier *b)
{
	if (!there(b))
		return gone(b);
	return look(b, &cell_of(b)->state) == BROKEN;
}
