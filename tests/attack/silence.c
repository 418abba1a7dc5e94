/*
 * silence.c - a peer that connects and says nothing.  It has its time from the accept, then it is
 * let go without a word; meanwhile others are served.
 */
#include "net/hall.h"
#include "support/test.h"

TEST(attack, silence_is_let_go_when_its_time_is_up)
{
	struct hall h;
	cohort_time start = cohort_now();
	int fd;

	hall_open(&h, NULL, 200 * COHORT_MS, 8);
	fd = hall_stranger(&h);
	hall_serves(&h);
	CHECK_EQ(hall_turned_away(fd), 0);
	CHECK(cohort_now() - start >= 200 * COHORT_MS);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	CHECK_EQ(h.most, 1);
	hall_close(&h);
}
