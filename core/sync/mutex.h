/*
 * mutex.h - the lock inside everything shared: between processes, and unharmed by the death of any.
 *
 * One word: 0, or the holder's thread id, with FUTEX_WAITERS while somebody may sleep.  Taking and letting go
 * are one atomic operation each while nobody else wants it.  A holder that dies, at any instruction,
 * leaves FUTEX_OWNER_DIED there (robust.h): whoever comes next has the lock and is told, mends what it guards
 * and goes on; dying while mending tells the next one again.
 *
 * FUTEX_WAITERS stays in the word when the lock is let go with sleepers, until a wake finds nobody: so neither an
 * unlocker killed before its wake, nor a newcomer that takes the lock in between, loses a sleeper.
 *
 * A zeroed struct is a free lock.  Held by a thread, not by a process.  It must be let go by its holder.
 */
#ifndef COH_SYNC_MUTEX_H
#define COH_SYNC_MUTEX_H

#include "sync/robust.h"

#include <cohort/time.h>
#include <stdbool.h>

struct coh_mutex {
	struct coh_robust robust;
};

/*
 * Take M, waiting until DEADLINE.  0; COHORT_EOWNERDEAD: taken as well, but its holder died:
 * what it guards may be half done; COHORT_ETIMEDOUT; -EDEADLK: this very thread holds it.
 */
int coh_mutex_lock(struct coh_mutex *m, cohort_time deadline);

/* The same without waiting: COHORT_ETIMEDOUT when another has it. */
int coh_mutex_trylock(struct coh_mutex *m);

/* Let go of M, which this thread holds (asserted). */
void coh_mutex_unlock(struct coh_mutex *m);

/* This thread holds M; anybody who lives holds it; its holder died and nobody has taken it since. */
bool coh_mutex_mine(struct coh_mutex *m);
bool coh_mutex_held(struct coh_mutex *m);
bool coh_mutex_dead(struct coh_mutex *m);

#endif
