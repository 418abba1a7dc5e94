/*
 * clock.c - the one place that asks what time it is.
 *
 * Only CLOCK_MONOTONIC: a step of the wall clock must change nothing (trust: H32).
 */
#include "base/clock.h"

#include <limits.h>
#include <stddef.h>

static coh_clock_fn clock_fn; /* tests only; set before any thread exists */
static void *clock_arg;

cohort_time cohort_now(void)
{
	struct timespec ts;

	if (clock_fn != NULL)
		return clock_fn(clock_arg);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (cohort_time)ts.tv_sec * COHORT_SECOND + ts.tv_nsec;
}

cohort_time cohort_in(cohort_time span)
{
	cohort_time t;

	if (span <= 0)
		return COHORT_NOW;
	if (__builtin_add_overflow(cohort_now(), span, &t))
		return COHORT_FOREVER;
	return t;
}

void coh_clock_replace(coh_clock_fn fn, void *arg)
{
	clock_fn = fn;
	clock_arg = arg;
}

cohort_time coh_clock_left(cohort_time deadline)
{
	cohort_time now;

	if (deadline == COHORT_FOREVER)
		return COHORT_FOREVER;
	if (deadline <= COHORT_NOW)
		return 0;
	now = cohort_now();
	return deadline > now ? deadline - now : 0;
}

bool coh_clock_passed(cohort_time deadline)
{
	return coh_clock_left(deadline) == 0;
}

int coh_clock_poll_ms(cohort_time deadline)
{
	cohort_time left = coh_clock_left(deadline);
	cohort_time ms;

	if (left == COHORT_FOREVER)
		return -1;
	ms = left / COHORT_MS + (left % COHORT_MS != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

struct timespec coh_clock_timespec(cohort_time deadline)
{
	return (struct timespec){.tv_sec = deadline / COHORT_SECOND,
	    .tv_nsec = deadline % COHORT_SECOND};
}
