/*
 * rwlock.c - a reader-writer lock: writers queue at a mutex, readers stand in a roster.
 *
 * A reader enters the roster, then looks at the mutex; a writer takes the mutex, then looks at the
 * roster: one of them sees the other, and if both do, the reader steps back.  So a writer that
 * waits keeps new readers out, and no lock is held inside that a stopped process could sit on.
 *
 * Neither starves the other.  A reader that has to wait stays in the roster, with the phase in which it began to: how many writes
 * were over.  Once another is, it is due: it goes in though the next writer has the mutex, who waits for it.  Such a writer
 * CLAIMS the lock when it sees none due, and looks again: what one that is due did meanwhile, one of them sees.  Who began to wait later
 * is behind that writer.  One that does not come when it is due, as it was stopped, is passed over after a second.
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
/* What a reader is in the roster for, in the low bits of its state; above them, of one that waits: the phase. */
#define READING 1u
#define WAITING 2u
#define PASSED 3u /* it was due, and did not come */
#define KIND 3u
#define PHASE 4u /* one of them: phases count round */
#define DOUBT 10 /* looks of a writer, 0.2 s, after which it asks whether the readers exist: they may just read long */

struct rwlock_cell {
	struct coh_mutex writer;
	_Atomic uint32_t writing; /* the holder of that mutex has it alone */
	_Atomic uint32_t torn;    /* a writer died in the middle, and none has put it right since */
	_Atomic uint32_t claimed; /* the holder of the mutex lets in nobody who is due */
	_Atomic uint32_t phase;   /* PHASE for each write that is over; the holder of the mutex moves it */
	_Atomic int64_t turn;     /* since when those are due who are */
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
	return coh_primitive_cell(&COH_SHARED_CAST(struct cohort_rwlock, MAGIC, l)->shared);
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

	if (!coh_shared_open(l))
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

/* ---- readers ---- */

static void reader_leave(struct rwlock_cell *c, struct coh_roster_slot *s)
{
	coh_roster_leave(s);
	COH_FAULT("rwlock.read.left");
	coh_gate_open(&c->writers, 1);
}

/* A slot in the roster for KIND, or NULL: all have somebody in them. */
static struct coh_roster_slot *reader_stand(struct rwlock_cell *c, uint32_t state)
{
	struct coh_roster_slot *s = coh_roster_enter(&c->roster, state);

	if (s == NULL && coh_roster_count(&c->roster) < COH_ROSTER_SLOTS)
		s = coh_roster_enter(&c->roster, state);
	COH_FAULT("rwlock.read.entered");
	return s;
}

static uint32_t waiting_now(struct rwlock_cell *c)
{
	return atomic_load(&c->phase) | WAITING;
}

/* May one who waits in STATE read?  Nobody writes, nor is about to; or it is due, and the next writer has not claimed. */
static bool reader_may(struct rwlock_cell *c, uint32_t state)
{
	return !coh_mutex_held(&c->writer) ||
	    ((state & ~KIND) != atomic_load(&c->phase) && atomic_load(&c->claimed) == 0);
}

/* S reads no more, but waits in STATE: a writer may have seen it. */
static void reader_step_back(struct rwlock_cell *c, struct coh_roster_slot *s, uint32_t state)
{
	atomic_exchange(&s->state, state);
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.read.back");
	coh_gate_open(&c->writers, 1);
}

/* S, which waits, reads now, if it may: then true. */
static bool reader_try(struct rwlock_cell *c, struct coh_roster_slot *s)
{
	uint32_t state = atomic_load(&s->state);

	if ((state & KIND) == PASSED) {
		state = waiting_now(c);
		atomic_exchange(&s->state, state);
	}
	if (!reader_may(c, state) || !atomic_compare_exchange_strong(&s->state, &state, READING))
		return false;
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.read.turned");
	if (reader_may(c, state))
		return true;
	reader_step_back(c, s, state);
	return false;
}

/*
 * Until a reader may go in, in S or, NULL, in the first slot that is free.  0, COHORT_ETIMEDOUT, COHORT_ESEGMENT (cut), or
 * -ENOSPC: no writer is in the way, but others have all slots.
 */
static int reader_await(struct cohort_rwlock *l, struct coh_roster_slot *s, cohort_time deadline)
{
	struct rwlock_cell *c = cell_of(l);

	for (;;) {
		uint32_t ticket = coh_gate_arm(&c->readers);

		if (s == NULL && !coh_clock_passed(deadline))
			s = reader_stand(c, waiting_now(c));
		if (s != NULL && reader_try(c, s))
			return 0;
		if (s == NULL && !coh_mutex_held(&c->writer))
			return coh_clock_passed(deadline) ? COHORT_ETIMEDOUT : -ENOSPC;
		if (coh_clock_passed(deadline))
			break;
		(void)coh_gate_sleep(&c->readers, ticket, look_by(deadline));
		if (!there(l))
			return COHORT_ESEGMENT;
	}
	if (s != NULL)
		reader_leave(c, s);
	return COHORT_ETIMEDOUT;
}

/* Nobody writes while we read: what says so was left by one who died. */
static int reader_told(struct rwlock_cell *c)
{
	COH_FAULT("rwlock.read.done");
	/* In this order: who inherits the mutex sets the one before it clears the other. */
	return atomic_load(&c->writing) || atomic_load(&c->torn) ? COHORT_EOWNERDEAD : 0;
}

int cohort_rwlock_read(struct cohort_rwlock *l, cohort_time deadline)
{
	struct coh_roster_slot *s = NULL;
	struct rwlock_cell *c;
	int rc;

	if (!there(l))
		return gone(l);
	c = cell_of(l);
	if (has_it(c))
		return -EDEADLK;
	if (!coh_mutex_held(&c->writer)) {
		s = reader_stand(c, READING);
		if (s == NULL)
			return -ENOSPC;
		if (!coh_mutex_held(&c->writer))
			return reader_told(c);
		(void)coh_gate_arm(&c->readers);
		reader_step_back(c, s, waiting_now(c));
	}
	rc = reader_await(l, s, deadline);
	if (rc == COHORT_ESEGMENT)
		return gone(l);
	return rc == 0 ? reader_told(c) : rc;
}

/* ---- writers ---- */

/* The holder of the mutex, which waits for readers, or writes, goes. */
static void writer_leave(struct rwlock_cell *c)
{
	coh_mutex_unlock(&c->writer);
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.write.left");
	coh_gate_open(&c->readers, INT_MAX);
}

/* A word of the holder's of the mutex, which others see in the order in which they are set: the barriers are in what it does next. */
static void set(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/* A write is over: who waits now is due. */
static void writer_turn(struct rwlock_cell *c)
{
	if (coh_gate_armed(&c->readers)) /* every reader arms before it stands there waiting */
		atomic_store_explicit(&c->turn, cohort_now(), memory_order_relaxed);
	COH_FAULT("rwlock.turn.time");
	set(&c->phase, atomic_load_explicit(&c->phase, memory_order_relaxed) + PHASE);
	COH_FAULT("rwlock.turn.phase");
	set(&c->claimed, 0);
	COH_FAULT("rwlock.turn.done");
}

/* The mutex came from a dead one: what it was doing is noted before WRITING is used anew. */
static void writer_inherit(struct rwlock_cell *c)
{
	if (atomic_load(&c->writing))
		set(&c->torn, 1);
	COH_FAULT("rwlock.write.torn");
	set(&c->writing, 0);
	COH_FAULT("rwlock.write.untorn");
	writer_turn(c);
}

/* How many read; how many wait and are due. */
struct crowd {
	unsigned reading, due;
};

/* Look round; with PASS those that are due are passed over. */
static struct crowd crowd_of(struct rwlock_cell *c, bool pass)
{
	uint32_t top = coh_roster_top(&c->roster), phase = atomic_load(&c->phase), state;
	struct crowd n = {0};

	for (uint32_t i = 0; i < top; i++) {
		struct coh_roster_slot *s = &c->roster.slot[i];

		if (coh_roster_dead(s))
			coh_roster_bury(s);
		state = atomic_load(&s->state);
		if (!coh_roster_alive(s))
			continue;
		n.reading += (state & KIND) == READING;
		if ((state & KIND) != WAITING || (state & ~KIND) == phase)
			continue;
		if (!pass || !atomic_compare_exchange_strong(&s->state, &state, (state & ~KIND) | PASSED))
			n.due++;
	}
	return n;
}

/* Those that are due have been so for long: they were stopped, or there is no CPU for them. */
static bool turn_over(struct rwlock_cell *c)
{
	cohort_time since = cohort_now() - atomic_load(&c->turn);

	return since < 0 || since > COH_PRIMITIVE_GRACE;
}

/* None reads and none is due: keep it so.  False: one was quicker. */
static bool writer_claim(struct rwlock_cell *c)
{
	COH_FAULT("rwlock.write.clear");
	atomic_exchange(&c->claimed, 1);
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.write.claimed");
	if (crowd_of(c, false).reading == 0)
		return true;
	atomic_exchange(&c->claimed, 0);
	coh_gate_fence_after_rmw();
	COH_FAULT("rwlock.write.withdrawn");
	coh_gate_open(&c->readers, INT_MAX);
	return false;
}

static int writer_await(struct cohort_rwlock *l, struct rwlock_cell *c, cohort_time deadline)
{
	for (unsigned looks = 1;; looks++) {
		uint32_t ticket = coh_gate_arm(&c->writers);
		struct crowd n;

		if (looks % DOUBT == 0)
			coh_roster_doubt(&c->roster);
		n = crowd_of(c, false);
		if (n.due != 0 && turn_over(c))
			n = crowd_of(c, true);
		if (n.reading + n.due == 0 && writer_claim(c))
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
	rc = writer_await(l, c, deadline);
	if (rc != 0) {
		writer_leave(c);
		return rc;
	}
	set(&c->writing, 1);
	COH_FAULT("rwlock.write.done");
	return atomic_load(&c->torn) ? COHORT_EOWNERDEAD : 0;
}

/* ---- both ---- */

int cohort_rwlock_release(struct cohort_rwlock *l)
{
	struct rwlock_cell *c;
	struct coh_roster_slot *s;

	if (!there(l))
		return gone(l);
	c = cell_of(l);
	if (coh_mutex_mine(&c->writer)) {
		set(&c->torn, 0);
		COH_FAULT("rwlock.release.whole");
		set(&c->writing, 0);
		COH_FAULT("rwlock.release.written");
		writer_turn(c);
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
	return (int)crowd_of(c, false).reading;
}
