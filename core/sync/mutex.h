/*
 * mutex.h - the lock inside everything shared: between processes, and unharmed by the death of any.
 *
 * One word: 0, or the holder's thread id, with FUTEX_WAITERS while somebody may sleep.  Taking and letting go
 * are one atomic operation each while nobody else wants it.  A holder that dies, at any instruction,
 * leaves FUTEX_OWNER_DIED there (robust.h): whoever comes next has the lock and is told, mends what it guards
 * and goes on; dying while mending tells the next one again.
 *
 * FUTEX_WAITERS stays in the word when the lock is let go with sleepers, until a wake leaves nobody asleep: so neither an
 * unlocker killed before its wake, nor a newcomer that takes the lock in between, loses a sleeper.
 *
 * A zeroed struct is a free lock.  Held by a thread, not by a process.  It must be let go by its holder, and its memory must
 * stay until coh_mutex_unlock has returned.  Not for signal handlers.  For processes of one pid namespace: in
 * another, ids mean other threads.
 */
#ifndef COH_SYNC_MUTEX_H
#define COH_SYNC_MUTEX_H

#include "sync/cut.h"
#include "sync/fault.h"
#include "sync/robust.h"

#include <cohort/time.h>
#include <stdbool.h>

struct coh_mutex {
	struct coh_robust robust;
};

/*
 * The longest sleep in one go: a wake may have gone to one who was stopped (SIGSTOP, a frozen cgroup) on its way, and the
 * kernel overlooks a holder that called exec outside its process's first thread.  Other deaths need no such net, and to
 * show it the library for fault tests has none, but where memory may be cut (cut.h): nobody wakes who sleeps there.
 */
#ifdef COHORT_FAULTS
#define COH_MUTEX_SLICE (coh_cut_any() ? 100 * COHORT_MS : COHORT_FOREVER)
#else
#define COH_MUTEX_SLICE (100 * COHORT_MS)
#endif

/* The ways that are not the short one. */
int coh_mutex_lock_slowly(struct coh_mutex *m, cohort_time deadline);
void coh_mutex_unlock_slowly(struct coh_mutex *m);

/* M, which this thread took, is not its own: its memory was cut (else this asserts).  It leaves what we hold. */
void coh_mutex_lost(struct coh_mutex *m);

/* Take M if it is free and nothing is to be said about it. */
static inline bool coh_mutex_take(struct coh_mutex *m)
{
	uint32_t none = 0, me = coh_robust_thread.id;

	if (__builtin_expect(me == 0, 0))
		return false;
	coh_robust_pending(&m->robust);
	COH_FAULT("mutex.lock.pending");
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&m->robust.pair.word, &none, me,
				 memory_order_acquire, memory_order_relaxed),
		0))
		return false; /* still pending */
	COH_FAULT("mutex.lock.taken");
	coh_robust_enter(&m->robust);
	COH_FAULT("mutex.lock.entered");
	coh_robust_settled();
	return true;
}

/*
 * Take M, waiting until DEADLINE.  0; COHORT_EOWNERDEAD: taken as well, but its holder died:
 * what it guards may be half done; COHORT_ETIMEDOUT; -EDEADLK: this very thread holds it; COHORT_ESEGMENT: its memory
 * was cut while we slept.
 */
static inline int coh_mutex_lock(struct coh_mutex *m, cohort_time deadline)
{
	return coh_mutex_take(m) ? 0 : coh_mutex_lock_slowly(m, deadline);
}

/* The same without waiting: COHORT_ETIMEDOUT when another has it. */
static inline int coh_mutex_trylock(struct coh_mutex *m)
{
	return coh_mutex_lock(m, COHORT_NOW);
}

/*
 * This thread holds M; anybody who lives holds it; its holder died and nobody has taken it since.  The last two acquire
 * what was released with it.
 */
static inline bool coh_mutex_mine(struct coh_mutex *m)
{
	uint32_t word = atomic_load_explicit(&m->robust.pair.word, memory_order_relaxed);

	return (word & FUTEX_TID_MASK) == coh_robust_self();
}

bool coh_mutex_held(struct coh_mutex *m);
bool coh_mutex_dead(struct coh_mutex *m);

/* Let go of M, which this thread holds (asserted, unless its memory was cut). */
static inline void coh_mutex_unlock(struct coh_mutex *m)
{
	uint32_t me = coh_robust_thread.id;

	if (__builtin_expect(!coh_mutex_mine(m), 0)) {
		coh_mutex_lost(m);
		return;
	}
	coh_robust_pending(&m->robust);
	COH_FAULT("mutex.unlock.pending");
	coh_robust_leave(&m->robust);
	COH_FAULT("mutex.unlock.left");
	if (__builtin_expect(atomic_compare_exchange_strong_explicit(&m->robust.pair.word, &me, 0,
				 memory_order_release, memory_order_relaxed),
		1)) {
		COH_FAULT("mutex.unlock.free");
		coh_robust_settled();
	} else {
		coh_mutex_unlock_slowly(m);
	}
}

/* M has been held for long: have its holder marked as dead if there is no such thread (see COH_MUTEX_SLICE).  A system call. */
void coh_mutex_doubt(struct coh_mutex *m);

/* Let go of M, which this thread holds (asserted), as if this thread had died: the next one is told. */
void coh_mutex_abandon(struct coh_mutex *m);

#endif
