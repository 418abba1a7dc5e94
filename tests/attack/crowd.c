/*
 * crowd.c - 200 strangers at once.  No more than the limit are held, and an honest caller is
 * served all the same, because one who speaks is not crowded out by those who do not.
 */
#include "net/hall.h"
#include "support/test.h"

#include <unistd.h>

#define CROWD 200

TEST(attack, a_silent_crowd_keeps_nobody_out)
{
	struct hall h;
	int fds[CROWD];

	hall_open(&h, NULL, 20 * COHORT_SECOND, 32);
	for (int i = 0; i < CROWD; i++)
		fds[i] = hall_stranger(&h);
	hall_serves(&h);
	/* The oldest had to go; the youngest are still waiting for their time to pass. */
	CHECK_EQ(hall_turned_away(fds[0]), 0);
	CHECK(h.most <= 32);
	for (int i = 1; i < CROWD; i++)
		close(fds[i]);
	hall_serves(&h);
	CHECK(h.logged <= 30);
	hall_close(&h);
}

TEST(attack, a_crowd_that_has_spoken_makes_others_wait_until_its_time_is_up)
{
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	struct hall h;
	int fds[8];
	size_t n;

	hall_open(&h, NULL, 300 * COHORT_MS, 8);
	for (int i = 0; i < 8; i++) {
		fds[i] = hall_stranger(&h);
		hall_say_frame(fds[i], COH_FRAME_CLIENT_HELLO, body, hall_hello(&h, fds[i], body));
		CHECK_EQ(hall_hear_frame(fds[i], body, sizeof body, &n), COH_FRAME_SERVER_HELLO);
	}
	hall_serves(&h); /* from the queue */
	for (int i = 0; i < 8; i++)
		CHECK_EQ(hall_turned_away(fds[i]), 0);
	hall_serves(&h);
	hall_close(&h);
}
