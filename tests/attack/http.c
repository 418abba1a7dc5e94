/*
 * http.c - a browser, a probe, a person with netcat.  Turned away at the first bytes, long
 * before its time is up.
 */
#include "net/hall.h"
#include "support/test.h"

#include <string.h>

TEST(attack, http_is_turned_away_at_once)
{
	static const char *const said[] = {
	    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "G", "\n", "\x43GET"};
	struct hall h;
	cohort_time start = cohort_now();
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		fd = hall_stranger(&h);
		hall_say(fd, said[i], strlen(said[i]));
		CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
		hall_serves(&h);
	}
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	hall_close(&h);
}
