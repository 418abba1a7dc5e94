/* test_clock.c - deadlines on a clock that stands still. */
#include "base/clock.h"
#include "support/test.h"

#include <limits.h>

TEST(clock, goes_forward)
{
	cohort_time a = cohort_now(), b = cohort_now();

	CHECK(a > 0);
	CHECK(b >= a);
}

TEST(clock, a_deadline_is_now_and_the_span)
{
	test_clock_stop(1000);
	CHECK_EQ(cohort_in(5), 1005);
	CHECK_EQ(cohort_in(0), COHORT_NOW);
	CHECK_EQ(cohort_in(-5), COHORT_NOW);
	CHECK_EQ(cohort_in(COHORT_FOREVER), COHORT_FOREVER);
	CHECK_EQ(cohort_in(COHORT_FOREVER - 500), COHORT_FOREVER);
}

TEST(clock, what_is_left_is_never_negative)
{
	test_clock_stop(1000);
	CHECK_EQ(coh_clock_left(1500), 500);
	CHECK_EQ(coh_clock_left(1000), 0);
	CHECK_EQ(coh_clock_left(1), 0);
	CHECK_EQ(coh_clock_left(COHORT_NOW), 0);
	CHECK_EQ(coh_clock_left(-1), 0);
	CHECK_EQ(coh_clock_left(COHORT_FOREVER), COHORT_FOREVER);
}

TEST(clock, a_deadline_passes_when_it_is_reached)
{
	test_clock_stop(1000);
	CHECK(!coh_clock_passed(1001));
	test_clock_advance(1);
	CHECK(coh_clock_passed(1001));
	CHECK(coh_clock_passed(COHORT_NOW));
	CHECK(!coh_clock_passed(COHORT_FOREVER));
}

TEST(clock, poll_gets_milliseconds_rounded_up)
{
	test_clock_stop(COHORT_SECOND);
	CHECK_EQ(coh_clock_poll_ms(COHORT_SECOND), 0);
	CHECK_EQ(coh_clock_poll_ms(COHORT_SECOND + 1), 1);
	CHECK_EQ(coh_clock_poll_ms(COHORT_SECOND + COHORT_MS), 1);
	CHECK_EQ(coh_clock_poll_ms(COHORT_SECOND + COHORT_MS + 1), 2);
	CHECK_EQ(coh_clock_poll_ms(COHORT_FOREVER), -1);
	CHECK_EQ(coh_clock_poll_ms(COHORT_FOREVER - 1), INT_MAX);
}

TEST(clock, a_timespec_is_the_same_moment)
{
	struct timespec ts = coh_clock_timespec(3 * COHORT_SECOND + 7);

	CHECK_EQ(ts.tv_sec, 3);
	CHECK_EQ(ts.tv_nsec, 7);
}
