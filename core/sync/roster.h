/*
 * roster.h - which threads are there now: those that wait at a condition or a barrier, or read.
 *
 * A table of slots.  A thread that is there holds the lock of its slot for as long; when it dies,
 * however it does, the kernel marks that lock.  So who is there and lives is known exactly, and no
 * pid can be taken for another's. STATE says what its thread is there for, in the words of the
 * roster's owner; 0: nobody.  A slot whose thread died keeps its state until somebody has dealt
 * with that (coh_roster_bury).
 *
 * A zeroed struct is an empty roster.
 */
#ifndef COH_SYNC_ROSTER_H
#define COH_SYNC_ROSTER_H

#include "sync/mutex.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define COH_ROSTER_SLOTS 1024 /* 64 KiB; far more threads than wait for one thing */

struct coh_roster_slot {
	struct coh_mutex here;
	_Atomic uint32_t state; /* its thread may sleep on it */
	uint32_t place;         /* for who owns the roster, as is SPARE */
	uint64_t spare[2];
};

struct coh_roster {
	_Atomic uint32_t top; /* slots from here on are not in use: what has to be looked through */
	uint32_t spare[15];
	struct coh_roster_slot slot[COH_ROSTER_SLOTS];
};

/*
 * Be there, in STATE (not 0): a slot that nobody has, or NULL when there is none.  A full barrier.
 * Slots of the dead are left alone.
 */
struct coh_roster_slot *coh_roster_enter(struct coh_roster *r, uint32_t state);

/* Be there no more.  A full barrier. */
void coh_roster_leave(struct coh_roster_slot *s);

/* This thread's slot, or NULL. */
struct coh_roster_slot *coh_roster_mine(struct coh_roster *r);

/* S has somebody who lives; somebody who died in it. */
static inline bool coh_roster_alive(struct coh_roster_slot *s)
{
	return atomic_load_explicit(&s->state, memory_order_acquire) != 0 &&
	    coh_mutex_held(&s->here);
}

static inline bool coh_roster_dead(struct coh_roster_slot *s)
{
	return coh_mutex_dead(&s->here) &&
	    atomic_load_explicit(&s->state, memory_order_acquire) != 0;
}

/* S had a dead one: make it free.  False: another was quicker. */
bool coh_roster_bury(struct coh_roster_slot *s);

/*
 * They have been there for long: find those whose death the kernel did not tell (mutex.h).  A
 * system call each.
 */
void coh_roster_doubt(struct coh_roster *r);

/* How many live ones R has; the dead are buried. */
unsigned coh_roster_count(struct coh_roster *r);

/* How many slots have to be looked through; memory that was damaged leads nowhere. */
static inline uint32_t coh_roster_top(struct coh_roster *r)
{
	uint32_t top = atomic_load(&r->top);

	return top < COH_ROSTER_SLOTS ? top : COH_ROSTER_SLOTS;
}

#endif
