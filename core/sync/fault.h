/*
 * fault.h - places in shared-memory operations where a test kills the process.
 *
 * COH_FAULT("queue.put.publish") does nothing in what is shipped.  In test builds (COHORT_FAULTS) it is a point at which a
 * process ends by SIGKILL when it was told to: the test names a point, or a number of points to pass.
 */
#ifndef COH_SYNC_FAULT_H
#define COH_SYNC_FAULT_H

#ifdef COHORT_FAULTS
void coh_fault(const char *point);
#define COH_FAULT(point) coh_fault(point)

/* Tests: die at the N-th point from now whose name begins with PREFIX (1: the next); 0: never. */
void coh_fault_arm(const char *prefix, unsigned long n);
/* Tests: do THIS at that point in place of dying, and go on; NULL: die. */
void coh_fault_do(void (*this)(void));
/* Points with that prefix passed since; and the names of all points passed so far, each once (at most N). */
unsigned long coh_fault_count(void);
int coh_fault_names(const char **names, int n);
/* From now on this process and those it forks note points in one place; and which of them were passed without a death there. */
void coh_fault_share(void);
int coh_fault_spared(const char **names, int n);
#else
#define COH_FAULT(point) ((void)0)
#endif

#endif
