/*
 * pulse.h - one timer for all connections of the engine that depend on time.
 *
 * A connection with a session (wire/session.h) must be looked at several times in a beat: to say that we
 * live, and to see whether the peer does.  Pools and agents put each of theirs into the pulse, which
 * calls them in turn; those that are due soon are called at once, so that a thousand connections wake the
 * engine no more often than one.
 *
 * All of it needs the engine lock.
 */
#ifndef COH_WORK_PULSE_H
#define COH_WORK_PULSE_H

#include <cohort/time.h>

#define COH_PULSE_BEAT (2500 * COHORT_MS) /* what pools and agents promise their peers */

/*
 * It is NOW.  Returns when to call again at the latest, COHORT_FOREVER for never.  Called by the
 * leader of the engine, inside its loop, with the lock held; may drop and free anything, itself included.
 */
typedef cohort_time (*coh_pulse_fn)(void *arg, cohort_time now);

/* One that is called.  Its owner's storage, which lives until it is dropped; zero it before use. */
struct coh_pulse {
	struct coh_pulse *prev, *next;
	coh_pulse_fn fn;
	void *arg;
	cohort_time due;
};

/*
 * Call FN(ARG) at DUE, and then as it says.  May release the lock (engine.h, coh_engine_loop).
 * 0, or -errno (no descriptor or no memory for the timer): P is not called.
 */
int coh_pulse_add(struct coh_pulse *p, coh_pulse_fn fn, void *arg, cohort_time due);

/* P is not called any more.  Harmless when it never was.  May release the lock, too. */
void coh_pulse_drop(struct coh_pulse *p);

#endif
