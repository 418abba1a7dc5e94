/*
 * roster.c - taking a slot, and clearing away the dead.
 *
 * A thread takes the slot it had last when that is free, so that it need not look through those of
 * others each time; else the lowest, so that there is little to look through.  The top only rises
 * while anybody is there.
 */
#include "sync/roster.h"

#include "sync/fault.h"
#include "sync/gate.h"

_Static_assert(sizeof(struct coh_roster_slot) == 64, "its thread sleeps in it: a cache line");

static _Thread_local uint32_t last; /* a guess; of whichever roster it was */

/* Take S if nobody has it, and nobody died in it with something left to be dealt with. */
static bool take(struct coh_roster_slot *s)
{
	int rc;

	if (coh_mutex_held(&s->here) || atomic_load_explicit(&s->state, memory_order_relaxed) != 0)
		return false;
	rc = coh_mutex_trylock(&s->here);
	if (rc != 0 && rc != COHORT_EOWNERDEAD)
		return false;
	COH_FAULT("roster.enter.held");
	if (atomic_load_explicit(&s->state, memory_order_relaxed) == 0)
		return true;
	coh_mutex_abandon(&s->here); /* one died in it just now */
	return false;
}

static void raise_top(struct coh_roster *r, uint32_t least)
{
	uint32_t top = atomic_load_explicit(&r->top, memory_order_relaxed);

	while (top < least && !atomic_compare_exchange_weak(&r->top, &top, least))
		;
}

static struct coh_roster_slot *settle(struct coh_roster *r, uint32_t i, uint32_t state)
{
	struct coh_roster_slot *s = &r->slot[i];

	last = i;
	raise_top(r, i + 1);
	COH_FAULT("roster.enter.raised");
	atomic_exchange(&s->state, state);
	coh_gate_fence_after_rmw();
	COH_FAULT("roster.enter.there");
	return s;
}

struct coh_roster_slot *coh_roster_enter(struct coh_roster *r, uint32_t state)
{
	uint32_t guess = last;

	if (guess < coh_roster_top(r) && take(&r->slot[guess]))
		return settle(r, guess, state);
	for (uint32_t i = 0; i < COH_ROSTER_SLOTS; i++)
		if (take(&r->slot[i]))
			return settle(r, i, state);
	return NULL;
}

void coh_roster_leave(struct coh_roster_slot *s)
{
	COH_FAULT("roster.leave.begin");
	atomic_exchange(&s->state, 0);
	COH_FAULT("roster.leave.gone");
	coh_mutex_unlock(&s->here);
	coh_gate_fence_after_rmw();
	COH_FAULT("roster.leave.done");
}

struct coh_roster_slot *coh_roster_mine(struct coh_roster *r)
{
	uint32_t top = coh_roster_top(r);

	if (last < top && coh_mutex_mine(&r->slot[last].here))
		return &r->slot[last];
	for (uint32_t i = 0; i < top; i++)
		if (coh_mutex_mine(&r->slot[i].here))
			return &r->slot[i];
	return NULL;
}

bool coh_roster_bury(struct coh_roster_slot *s)
{
	int rc = coh_mutex_trylock(&s->here);

	if (rc != 0 && rc != COHORT_EOWNERDEAD)
		return false;
	COH_FAULT("roster.bury.held");
	atomic_store(&s->state, 0);
	COH_FAULT("roster.bury.cleared");
	coh_mutex_unlock(&s->here);
	return rc == COHORT_EOWNERDEAD;
}

void coh_roster_doubt(struct coh_roster *r)
{
	uint32_t top = coh_roster_top(r);

	for (uint32_t i = 0; i < top; i++)
		coh_mutex_doubt(&r->slot[i].here);
}

unsigned coh_roster_count(struct coh_roster *r)
{
	uint32_t top = coh_roster_top(r);
	unsigned n = 0;

	for (uint32_t i = 0; i < top; i++) {
		struct coh_roster_slot *s = &r->slot[i];

		if (coh_roster_dead(s))
			coh_roster_bury(s);
		n += coh_roster_alive(s);
	}
	return n;
}
