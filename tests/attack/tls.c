/*
 * tls.c - a TLS client hello, of which the peer waits for an answer.  Turned away at once.
 */
#include "net/hall.h"
#include "support/test.h"

TEST(attack, tls_is_turned_away_at_once)
{
	static const unsigned char hello[] = {0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4,
	    0x03, 0x03, 0x52, 0x1a, 0x7c, 0x33, 0x90, 0x11, 0xfe, 0x02, 0x8b, 0x71, 0x5d, 0x4e, 0x29};
	struct hall h;
	cohort_time start = cohort_now();
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	fd = hall_stranger(&h);
	hall_say(fd, hello, sizeof hello);
	CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	hall_serves(&h);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	hall_close(&h);
}
