/*
 * time.h - deadlines.
 *
 * Every call that may wait takes an absolute deadline on the monotonic clock, in
 * nanoseconds, and keeps it for the whole operation, however many steps that has.
 * A deadline is passed down unchanged, so that nested calls share one.
 *
 * Everything here may be called from any thread, and after fork.
 */
#ifndef COHORT_TIME_H
#define COHORT_TIME_H

#include <cohort/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A moment on CLOCK_MONOTONIC, in nanoseconds. */
typedef int64_t cohort_time;

#define COHORT_FOREVER INT64_MAX /* wait without end */
#define COHORT_NOW ((cohort_time)0) /* do not wait: a deadline that has passed */

#define COHORT_US ((cohort_time)1000)
#define COHORT_MS ((cohort_time)1000000)
#define COHORT_SECOND ((cohort_time)1000000000)

/* The moment it is now. */
COHORT_API cohort_time cohort_now(void);

/*
 * The deadline SPAN nanoseconds from now, as in cohort_in(5 * COHORT_SECOND).
 * A SPAN that is negative gives COHORT_NOW; one beyond the end of time COHORT_FOREVER.
 */
COHORT_API cohort_time cohort_in(cohort_time span);

#ifdef __cplusplus
}
#endif
#endif
