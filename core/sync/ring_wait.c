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
#define LOOKS_MIN 16u       /* about a microsecond: what a sleep cost at least, so it is always worth that */
#define LOOKS_MAX 4096u
#define LOOKS_CLOCK 32u     /* looks between two of the clock */
#define YIELDS 2            /* times to let others have the CPU */

/* ---- locks ---- */

static cohort_time with_grace(cohort_time deadline)
{
	cohort_time least = cohort_in(GRACE);

	return deadline > least ? deadline : least;
}

int coh_ring_lock_put_slowly(struct coh_ring *r, cohort_time deadline)
{
	int rc = coh_mutex_lock_slowly(&r->shared->put.mutex, with_grace(deadline));

	if (rc == COHORT_EOWNERDEAD)
		coh_ring_mend_put(r);
	return rc == COHORT_EOWNERDEAD ? 0 : rc;
}

int coh_ring_lock_get_slowly(struct coh_ring *r, cohort_time deadline)
{
	int rc = coh_mutex_lock_slowly(&r->shared->get.mutex, with_grace(deadline));

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

static bool look_changed(const struct look *l)
{
	if (l->head == NULL)
		return coh_ring_ready(l->r);
	return atomic_load_explicit(l->head, memory_order_relaxed) != l->was ||
	    atomic_load_explicit(&l->r->shared->watch.shut, memory_order_relaxed) != 0;
}

static bool spin_until(const struct look *l, uint32_t looks, cohort_time until)
{
	for (uint32_t i = 1; i <= looks; i++) {
		coh_gate_relax();
		if (look_changed(l))
			return true;
		if (i % LOOKS_CLOCK == 0 && cohort_now() >= until)
			return false;
	}
	return false;
}

static void spin(const struct look *l, cohort_time deadline)
{
	_Atomic uint32_t *learnt = &l->r->spins[l->head != NULL];
	uint32_t looks = atomic_load_explicit(learnt, memory_order_relaxed);
	cohort_time until = cohort_in(l->r->spin);

	if (l->r->spin_asked) {
		(void)spin_until(l, UINT32_MAX, until < deadline ? until : deadline);
		return;
	}
	if (spin_until(l, looks, until < deadline ? until : deadline))
		looks = looks * 2 < LOOKS_MAX ? looks * 2 : LOOKS_MAX;
	else
		looks = looks / 2 > LOOKS_MIN ? looks / 2 : LOOKS_MIN;
	atomic_store_explicit(learnt, looks, memory_order_relaxed);
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
		atomic_fetch_add(&r->shared->watch.listeners[which], 1);
		coh_bell_ring(r->bell[which]);
		if (which == COH_RING_ITEMS)
			r->shared->put.rung = 1;
		else
			r->shared->get.rung = 1;
	}
	coh_ring_unlock_both(r);
	return 0;
}
