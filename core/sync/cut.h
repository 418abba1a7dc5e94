/*
 * cut.h - named segments whose file somebody cuts short while we have it mapped.
 *
 * A named segment is a file, and whoever may open it may cut it.  What is behind the cut is then no memory any more: touching
 * it is a SIGBUS.  So each such mapping is watched: the handler (os/bus.h) puts zeroes, this process's own, in place of all of
 * it, and the operation goes on with those to some end.  The last word of a segment is a mark that no cut leaves there: every
 * call looks at it first (shared.h), and says COHORT_ESEGMENT once it is gone.
 *
 * Nobody wakes who sleeps in memory that was cut, and no lock there is let go by who has zeroes in its place: who has slept
 * for a slice asks coh_cut_found.
 *
 * A mapping that was cut stays, as zeroes, for the life of the process: the lists of locks of threads may lead through it
 * (robust.h).
 */
#ifndef COH_SYNC_CUT_H
#define COH_SYNC_CUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Watch the mapping of SIZE bytes at BEGIN, of which *MARK, its last word, is WANT as long as it is whole.
 * 0 or -ENOMEM.  Any thread.
 */
int coh_cut_watch(void *begin, size_t size, const uint32_t *mark, uint32_t want);

/* Unmap it, watched or not; what was cut stays. */
void coh_cut_unmap(void *begin, size_t size);

/*
 * P lies in a watched mapping that was cut: that is all zeroes now, if it was not yet.  Async-signal-safe; a walk through
 * all that are watched.
 */
bool coh_cut_found(const void *p);

/* Anything is watched, or was. */
bool coh_cut_any(void);

#endif
