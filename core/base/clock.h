/* clock.h - the monotonic clock, and a way for tests to replace it. */
#ifndef COH_BASE_CLOCK_H
#define COH_BASE_CLOCK_H

#include <cohort/time.h>
#include <stdbool.h>
#include <time.h>

typedef cohort_time (*coh_clock_fn)(void *arg);

/* From now on cohort_now() asks FN(ARG); NULL restores the real clock.  Tests only, one thread. */
void coh_clock_replace(coh_clock_fn fn, void *arg);

/* What remains until DEADLINE, never negative; COHORT_FOREVER stays COHORT_FOREVER. */
cohort_time coh_clock_left(cohort_time deadline);

/* True once DEADLINE has passed. */
bool coh_clock_passed(cohort_time deadline);

/* What remains as poll(2) wants it: milliseconds rounded up, -1 for COHORT_FOREVER. */
int coh_clock_poll_ms(cohort_time deadline);

/* DEADLINE as an absolute CLOCK_MONOTONIC timespec. */
struct timespec coh_clock_timespec(cohort_time deadline);

#endif
