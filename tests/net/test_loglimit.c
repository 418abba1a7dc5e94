/*
 * test_loglimit.c - how many lines a flood makes, and that none of it goes unmentioned.
 */
#include "support/test.h"
#include "trust/loglimit.h"

#define START (1000 * COHORT_SECOND)

static struct coh_loglimit limit;

/* N events of SOURCE at NOW: how many lines are said. */
static int said(uint64_t source, int n, cohort_time now)
{
	int lines = 0;

	for (int i = 0; i < n; i++)
		lines += coh_loglimit_may(&limit, source, now);
	return lines;
}

TEST(loglimit, says_ten_lines_a_minute_of_a_source_and_then_a_sum)
{
	struct coh_loglimit_sum sum;

	CHECK_EQ(said(7, 4, START), 4);
	CHECK_EQ(coh_loglimit_due(&limit), COHORT_FOREVER);
	CHECK_EQ(said(7, 100, START + 1), 6);
	CHECK_EQ(coh_loglimit_due(&limit), START + COH_LOGLIMIT_MINUTE);
	CHECK(!coh_loglimit_next(&limit, START + COH_LOGLIMIT_MINUTE - 1, &sum));
	REQUIRE(coh_loglimit_next(&limit, START + COH_LOGLIMIT_MINUTE, &sum));
	CHECK_EQ(sum.source, 7);
	CHECK_EQ(sum.count, 94);
	CHECK(!coh_loglimit_next(&limit, START + COH_LOGLIMIT_MINUTE, &sum));
	CHECK_EQ(coh_loglimit_due(&limit), COHORT_FOREVER);
	CHECK_EQ(said(7, 100, START + COH_LOGLIMIT_MINUTE), 10);
}

TEST(loglimit, begins_a_minute_anew_when_nothing_was_left_unsaid)
{
	struct coh_loglimit_sum sum;

	CHECK_EQ(said(7, 10, START), 10);
	CHECK(!coh_loglimit_next(&limit, START + 5 * COH_LOGLIMIT_MINUTE, &sum));
	CHECK_EQ(said(7, 11, START + 5 * COH_LOGLIMIT_MINUTE), 10);
	CHECK_EQ(coh_loglimit_due(&limit), START + 6 * COH_LOGLIMIT_MINUTE);
}

TEST(loglimit, lets_no_source_silence_another)
{
	CHECK_EQ(said(7, 100000, START), 10);
	CHECK_EQ(said(8, 1, START), 1);
	CHECK_EQ(said(0, 100, START), 10); /* this machine is a source like others */
}

TEST(loglimit, says_a_hundred_lines_a_minute_of_all)
{
	struct coh_loglimit_sum sum;
	int lines = 0;

	for (uint64_t source = 1; source <= 100000; source++)
		lines += said(source, 1, START);
	CHECK_EQ(lines, COH_LOGLIMIT_ALL);
	CHECK_EQ(said(1, 3, START), 0); /* known: counted by itself */
	REQUIRE(coh_loglimit_next(&limit, START + COH_LOGLIMIT_MINUTE, &sum));
	CHECK_EQ(sum.source, 1);
	CHECK_EQ(sum.count, 3);
	REQUIRE(coh_loglimit_next(&limit, START + COH_LOGLIMIT_MINUTE, &sum));
	CHECK_EQ(sum.source, COH_LOGLIMIT_OTHERS);
	CHECK_EQ(sum.count, 100000 - COH_LOGLIMIT_ALL);
	CHECK(!coh_loglimit_next(&limit, START + COH_LOGLIMIT_MINUTE, &sum));
}

/* Every event is either a line or part of a sum; nothing is said twice. */
TEST(loglimit, loses_no_event)
{
	enum { EVENTS = 100000 };
	struct coh_loglimit_sum sum;
	cohort_time now = START;
	unsigned long lines = 0, summed = 0, sums = 0;

	for (int i = 0; i < EVENTS; i++) {
		for (; coh_loglimit_next(&limit, now, &sum); sums++)
			summed += sum.count;
		lines += coh_loglimit_may(&limit, test_random_below(300), now);
		now += (cohort_time)test_random_below(6) * COHORT_MS;
	}
	for (now += COH_LOGLIMIT_MINUTE; coh_loglimit_next(&limit, now, &sum); sums++)
		summed += sum.count;
	CHECK_EQ(lines + summed, EVENTS);
	CHECK(lines + sums <= 1000); /* in the four minutes that this was */
}
