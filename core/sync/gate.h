/*
 * gate.h - where threads of any process sleep until something may have changed; an event count.
 *
 *	one who waits                        one who changes something
 *	    ticket = coh_gate_arm(g)             (the change, and a full barrier)
 *	    look again: done?                    coh_gate_open(g, 1)
 *	    coh_gate_sleep(g, ticket, until)
 *
 * The word is a count with a bit for "somebody may sleep": opening costs a load while that is clear, and a system call
 * else.  The bit is cleared by a wake that leaves nobody asleep, if nobody has armed since it began (the serial counts
 * who armed): so of ten who sleep, ten openings for one wake ten.
 * Nobody has to come back to be counted off, so sleepers may be killed.  Who opens may be killed
 * between its change and its wake, and who was woken before it looked: so nobody sleeps longer than
 * COH_GATE_SLICE at a time, then looks again.  It is a safety net only; what counts on it is slow, never stuck.
 *
 * A zeroed struct is a gate at which nobody sleeps.  Opening and waking are async-signal-safe.
 */
#ifndef COH_SYNC_GATE_H
#define COH_SYNC_GATE_H

#include "sync/pair.h"

#include <cohort/time.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The longest sleep in one go: what was left by somebody killed at the wrong instruction is noticed so late. */
#define COH_GATE_SLICE (100 * COHORT_MS)

struct coh_gate {
	struct coh_pair pair; /* word: count << 1 | somebody may sleep; serial: how many have armed */
};

/*
 * The full barrier that opening needs, for who has just done an atomic read-modify-write (of any order): on x86
 * that is one already.
 */
static inline void coh_gate_fence_after_rmw(void)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
	atomic_signal_fence(memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Say that this thread is about to sleep; gives the ticket for coh_gate_sleep.  A full barrier. */
uint32_t coh_gate_arm(struct coh_gate *g);

/*
 * Sleep until G is opened after TICKET was taken, a slice is over, a signal came, or DEADLINE.
 * COHORT_ETIMEDOUT when DEADLINE has passed, else 0: look again.
 */
int coh_gate_sleep(struct coh_gate *g, uint32_t ticket, cohort_time deadline);

/* Wake N sleepers (N > 0; INT_MAX: all).  A full barrier must lie between the change and this call. */
static inline bool coh_gate_armed(struct coh_gate *g);
void coh_gate_wake(struct coh_gate *g, int n);

static inline void coh_gate_open(struct coh_gate *g, int n)
{
	if (coh_gate_armed(g))
		coh_gate_wake(g, n);
}

static inline bool coh_gate_armed(struct coh_gate *g)
{
	return (atomic_load_explicit(&g->pair.word, memory_order_relaxed) & 1) != 0;
}

/* Busy-wait once (the processor's hint). */
static inline void coh_gate_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb"); /* as long as x86's pause; yield is none on most cores */
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

/*
 * Busy-waiting makes sense: this machine has more than one CPU, and our cgroup may use more than one.  Our own affinity
 * is not asked: who is bound to one CPU may well wait for somebody on another.  Asked once; not while a signal is handled.
 */
bool coh_gate_may_spin(void);

#endif
