/*
 * engine.h - whoever waits does the work.
 *
 * One loop a process, shared by all pools.  Of the threads that wait, one leads: it runs the
 * loop, the others sleep until what they wait for has come or until the lead is theirs.
 * A result so costs no hand-off between threads.  While nobody has waited for a few
 * milliseconds the library's one thread leads, and gives way as soon as a caller waits.
 *
 * One lock, the engine lock, guards the loop's bookkeeping and all pools, members and futures.
 * It is never held while the loop waits, nor while a function of the user's runs.
 */
#ifndef COH_WORK_ENGINE_H
#define COH_WORK_ENGINE_H

#include "os/loop.h"

#include <stdbool.h>

/*
 * Start the engine for one more user; the first creates loop and thread.  A forked child has an engine of its own from its
 * first call of this on: what its parent had in the engine is not in it.  0 or -errno.
 */
int coh_engine_open(struct cohort_error *err);

/* One user less; the last ends the thread and frees the loop.  Not with the lock held. */
void coh_engine_close(void);

void coh_engine_lock(void);
void coh_engine_unlock(void);

/*
 * [lock held] Return with the loop not running (or with this thread inside one of its
 * callbacks), so that watches may be made, changed and freed until the lock is
 * released.  May release the lock for the time a leader needs to step back.
 */
struct coh_loop *coh_engine_loop(void);

/*
 * [lock held] Lead or follow until TEST(ARG), called with the lock held, is true.  0, or
 * COHORT_ETIMEDOUT.  The lock is released meanwhile.
 */
typedef bool (*coh_engine_test_fn)(void *arg);
int coh_engine_wait(coh_engine_test_fn test, void *arg, cohort_time deadline);

/* [lock held] A thread that does not lead has changed what others wait for: they look again. */
void coh_engine_poke(void);

/* [lock held] Call FN(ARG) soon with no lock held, on the thread that leads. */
struct coh_engine_call {
	struct coh_engine_call *next;
	void (*fn)(void *arg);
	void *arg;
};
void coh_engine_call(struct coh_engine_call *call);

#endif
