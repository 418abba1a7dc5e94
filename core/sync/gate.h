/*
 * gate.h - where threads of any process sleep until something may have changed; an event count.
 *
 *	one who waits                        one who changes something
 *	    ticket = coh_gate_arm(g)             (the change, and a full barrier)
 *	    look again: done?                    coh_gate_open(g, 1)
 *	    coh_gate_sleep(g, ticket, until)
 *
 * The word is a count with a bit for "somebody may sleep": opening costs a load while that is clear, and a system call
 * else.  Nobody has to come back to be counted off, so sleepers may be killed.  Who opens may be killed
 * between its change and its wake, and who was woken before it looked: so nobody sleeps longer than
 * COH_GATE_SLICE at a time, then looks again.  It is a safety net only; what counts on it is slow, never stuck.
 *
 * A zeroed struct is a gate at which nobody sleeps.
 */
#ifndef COH_SYNC_GATE_H
#define COH_SYNC_GATE_H

#include <cohort/time.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The longest sleep in one go: what was left by somebody killed at the wrong instruction is noticed so late. */
#define COH_GATE_SLICE (100 * COHORT_MS)

struct coh_gate {
	_Atomic uint32_t word; /* count << 1 | somebody may sleep */
};

/* Say that this thread is about to sleep; gives the ticket for coh_gate_sleep.  A full barrier. */
uint32_t coh_gate_arm(struct coh_gate *g);

/*
 * Sleep until G is opened after TICKET was taken, a slice is over, a signal came, or DEADLINE.
 * COHORT_ETIMEDOUT when DEADLINE has passed, else 0: look again.
 */
int coh_gate_sleep(struct coh_gate *g, uint32_t ticket, cohort_time deadline);

/* Wake N sleepers (INT_MAX: all).  A full barrier must lie between the change and this call. */
static inline bool coh_gate_armed(struct coh_gate *g);
void coh_gate_wake(struct coh_gate *g, int n);

static inline void coh_gate_open(struct coh_gate *g, int n)
{
	if (coh_gate_armed(g))
		coh_gate_wake(g, n);
}

static inline bool coh_gate_armed(struct coh_gate *g)
{
	return (atomic_load_explicit(&g->word, memory_order_relaxed) & 1) != 0;
}

/* Busy-wait once (the processor's hint); and whether busy-waiting makes sense: more than one CPU. */
void coh_gate_relax(void);
bool coh_gate_may_spin(void);

#endif
