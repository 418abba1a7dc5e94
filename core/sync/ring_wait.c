/*
 * ring_wait.c - waiting for items or for room, the locks, and the bells.
 *
 * Who waits first keeps its CPU busy for as long as that has paid off lately, then lets others have it once (on a
 * single CPU that is how the other side gets on, and makes many items of one sleep), then sleeps at the gate.
 *
 * The bell of items is exact whoever is killed: it is rung before an item becomes visible, with the put lock
 * held, and hushed only with that lock held and nothing there.  So never is something there with a silent bell.
 */
#include "base/clock.h"
#include "base/object.h"
#include "sync/bell.h"
#include "sync/ring_priv.h"

#include <errno.h>
#include <sched.h>

#define GRACE COHORT_SECOND /* for the lock, beyond the deadline: its holder may only be waiting for a CPU */
#define SPIN_MIN 64u        /* pauses of the CPU, about a microsecond: what a sleep cost at least, so it is always worth that */
#define SPIN_MAX 4096u
#define PAUSE_MIN 16u       /* of them before a look */
#define PAUSE_MAX 128u
#define PAUSE_CLOCK 32u     /* of them between two looks at the clock */
#define YIELDS 2            /* times to let others have the CPU */

/* ---- locks ---- */

static cohort_time with_grace(cohort_time deadline)
{
	cohort_time least = cohort_in(GRACE);

	return deadline > least ? deadline : least;
}

static int lock_slowly(struct coh_ring *r, struct coh_mutex *m, cohort_time deadline)
{
	if (coh_ring_there(r))
		return coh_mutex_lock_slowly(m, with_grace(deadline));
	(void)coh_cut_found(r->base);
	coh_robust_mend(); /* of what this thread held there */
	return COHORT_ESEGMENT;
}

int coh_ring_lock_put_slowly(struct coh_ring *r, cohort_time deadline)
{
	int rc = lock_slowly(r, &r->shared->put.mutex, deadline);

	if (rc == COHORT_EOWNERDEAD)
		coh_ring_mend_put(r);
	return rc == COHORT_EOWNERDEAD ? 0 : rc;
}

int coh_ring_lock_get_slowly(struct coh_ring *r, cohort_time deadline)
{
	int rc = lock_slowly(r, &r->shared->get.mutex, deadline);

	if (rc == COHORT_EOWNERDEAD)
		coh_ring_mend_get(r);
	return rc == COHORT_EOWNERDEAD ? 0 : rc;
}

int coh_ring_lock_both(struct coh_ring *r, cohort_time deadline)
{
	int rc = coh_ring_lock_put(r, deadline);

	if (rc != 0)
		return rc;
	rc = coh_ring_lock_get(r, deadline);
	if (rc != 0)
		coh_ring_unlock_put(r);
	return rc;
}

void coh_ring_unlock_both(struct coh_ring *r)
{
	coh_ring_unlock_get(r);
	coh_ring_unlock_put(r);
}

/* ---- waiting ---- */

enum stage { STAGE_SPIN = 0, STAGE_YIELD, STAGE_ARM = STAGE_YIELD + YIELDS, STAGE_SLEEP, STAGE_LAST };

/* What is looked at while spinning. */
struct look {
	struct coh_ring *r;
	_Atomic uint64_t *head; /* NULL: for items */
	uint64_t was;
};

/* How many records have come or gone since; 1 too when something else is there to be seen; 0: wait on. */
static uint32_t look_news(const struct look *l)
{
	struct coh_ring_shared *s = l->r->shared;
	uint32_t n = 0;

	if (l->head == NULL && !coh_ring_ready(l->r))
		return 0;
	if (l->head != NULL)
		n = coh_ring_between(l->was, atomic_load_explicit(l->head, memory_order_relaxed));
	else
		n = coh_ring_between(atomic_load_explicit(&s->lane[0].head, memory_order_relaxed),
		    atomic_load_explicit(&s->lane[0].tail, memory_order_relaxed));
	if (n == 0 && (l->head == NULL || atomic_load_explicit(&s->watch.shut, memory_order_relaxed) != 0))
		n = 1;
	return n;
}

/* Look after each PAUSE for MOST pauses or until UNTIL; the news. */
static uint32_t spin_until(const struct look *l, uint32_t most, uint32_t pause, cohort_time until)
{
	uint32_t news, clock = 0;

	for (uint32_t done = 0; done < most; done += pause) {
		for (uint32_t i = 0; i < pause; i++)
			coh_gate_relax();
		news = look_news(l);
		if (news != 0)
			return news;
		clock += pause;
		if (clock >= PAUSE_CLOCK) {
			clock = 0;
			if (cohort_now() >= until)
				return 0;
		}
	}
	return 0;
}

/*
 * Each look takes a cache line from the other side, which is about to write it.  When several records came at one look they
 * are in a stream, and rarer looks leave the other its line for many of them; who waits for one alone looks often.
 */
static void spin(const struct look *l, cohort_time deadline)
{
	struct coh_ring_learnt *learnt = &l->r->learnt[l->head != NULL];
	uint32_t most = atomic_load_explicit(&learnt->spin, memory_order_relaxed), news;
	uint32_t pause = atomic_load_explicit(&learnt->pause, memory_order_relaxed);
	cohort_time until = cohort_in(l->r->spin);

	until = until < deadline ? until : deadline;
	if (l->r->spin_asked) {
		(void)spin_until(l, UINT32_MAX, 1, until);
		return;
	}
	news = spin_until(l, most, pause, until);
	if (news != 0)
		most = most * 2 < SPIN_MAX ? most * 2 : SPIN_MAX;
	else
		most = most / 2 > SPIN_MIN ? most / 2 : SPIN_MIN;
	if (news > 1)
		pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
	else
		pause = pause / 2 > PAUSE_MIN ? pause / 2 : PAUSE_MIN;
	atomic_store_explicit(&learnt->spin, most, memory_order_relaxed);
	atomic_store_explicit(&learnt->pause, pause, memory_order_relaxed);
}

int coh_ring_wait_gate(struct coh_ring *r, struct coh_gate *g, struct coh_ring_wait *w, cohort_time deadline)
{
	(void)r;
	if (w->stage < STAGE_ARM) {
		if (coh_clock_passed(deadline))
			return COHORT_ETIMEDOUT;
		w->stage = STAGE_ARM;
	}
	if (w->stage == STAGE_ARM) {
		w->ticket = coh_gate_arm(g);
		w->stage = STAGE_SLEEP;
		return 0;
	}
	if (w->stage == STAGE_LAST)
		return COHORT_ETIMEDOUT;
	w->slept = true;
	w->stage = coh_gate_sleep(g, w->ticket, deadline) == 0 ? STAGE_ARM : STAGE_LAST;
	return 0;
}

/* True: try again, nobody has slept. */
static bool wait_awake(const struct look *l, struct coh_ring_wait *w, cohort_time deadline)
{
	if (w->stage >= STAGE_ARM || coh_clock_passed(deadline))
		return false;
	if (w->stage == STAGE_SPIN && l->r->spin > 0)
		spin(l, deadline);
	else
		sched_yield();
	w->stage++;
	return true;
}

int coh_ring_wait_items(struct coh_ring *r, struct coh_ring_wait *w, cohort_time deadline)
{
	struct look l = {.r = r};

	if (wait_awake(&l, w, deadline))
		return 0;
	if (w->stage == STAGE_SLEEP)
		coh_ring_tend_lent(r);
	return coh_ring_wait_gate(r, &r->shared->watch.items, w, deadline);
}

int coh_ring_wait_room(struct coh_ring *r, struct coh_ring_wait *w, unsigned lane, uint64_t head,
    cohort_time deadline)
{
	struct look l = {.r = r, .head = &r->shared->lane[lane].head, .was = head};

	if (wait_awake(&l, w, deadline))
		return 0;
	return coh_ring_wait_gate(r, &r->shared->watch.room, w, deadline);
}

/* ---- bells ---- */

void coh_ring_ring_items(struct coh_ring *r)
{
	struct coh_ring_put_side *side = &r->shared->put;

	if (side->rung != 0)
		return;
	coh_bell_ring(r->bell[COH_RING_ITEMS]);
	COH_FAULT("ring.bell.rung");
	side->rung = 1;
}

void coh_ring_ring_room(struct coh_ring *r)
{
	struct coh_ring_get_side *side = &r->shared->get;

	if (side->rung != 0)
		return;
	coh_bell_ring(r->bell[COH_RING_ROOM]);
	COH_FAULT("ring.room.rung");
	side->rung = 1;
}

void coh_ring_hush_items(struct coh_ring *r)
{
	if (coh_ring_lock_put(r, COHORT_NOW) != 0)
		return;
	if (!coh_ring_ready(r)) {
		r->shared->put.rung = 0;
		COH_FAULT("ring.bell.hush");
		coh_bell_hush(r->bell[COH_RING_ITEMS]);
	}
	coh_ring_unlock_put(r);
}

/* Look for room once more after this: what came before was hushed with the rest. */
void coh_ring_hush_room(struct coh_ring *r)
{
	if (coh_ring_lock_get(r, COHORT_NOW) != 0)
		return;
	if (atomic_load(&r->shared->watch.shut) == 0) {
		r->shared->get.rung = 0;
		COH_FAULT("ring.room.hush");
		coh_bell_hush(r->bell[COH_RING_ROOM]);
	}
	coh_ring_unlock_get(r);
}

int coh_ring_listen(struct coh_ring *r, unsigned seat, enum coh_ring_bell which)
{
	struct coh_ring_seat *s = &r->shared->seat[seat];
	int rc = r->bell[which] >= 0 ? coh_ring_lock_both(r, COHORT_FOREVER) : COHORT_ENOTSUP;

	if (rc != 0)
		return rc;
	if (!(s->listens & 1u << which)) {
		s->listens |= 1u << which;
		COH_FAULT("ring.listen.said");
		atomic_fetch_add(&r->shared->watch.listeners[which], 1);
		COH_FAULT("ring.listen.counted");
		coh_bell_ring(r->bell[which]);
		if (which == COH_RING_ITEMS)
			r->shared->put.rung = 1;
		else
			r->shared->get.rung = 1;
	}
	coh_ring_unlock_both(r);
	return 0;
}
