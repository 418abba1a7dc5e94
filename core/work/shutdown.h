/* shutdown.h - taking part in cohort_shutdown. */
#ifndef COH_WORK_SHUTDOWN_H
#define COH_WORK_SHUTDOWN_H

#include <cohort/time.h>

/*
 * Ends what its owner started, by DEADLINE.  Returns 0, or COHORT_ETIMEDOUT when something had
 * to be killed.  Called without any lock held; also when there is nothing left to end.
 */
typedef int (*coh_shutdown_fn)(cohort_time deadline);

/*
 * Call FN at cohort_shutdown, before processes are ended; the last one named is called
 * first.  Naming it again changes nothing.  At most 8 different ones: there is one for each
 * kind of thing that has processes.  Any thread.
 */
void coh_shutdown_hook(coh_shutdown_fn fn);

/* In a forked child: what hooks know of is the parent's.  They are forgotten. */
void coh_shutdown_reset(void);

#endif
