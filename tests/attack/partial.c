/*
 * partial.c - a thousand strangers who announce as much as they may and then say half of it.  Memory
 * follows what came, and is given back.
 */
#include "net/hall.h"
#include "support/test.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MANY 1000

TEST(attack, a_thousand_halves_of_a_hello_cost_8_KiB_each)
{
	static int fds[MANY];
	unsigned char half[COH_FRAME_STRANGER_MAX / 2 + COH_FRAME_SIZE];
	struct coh_frame f = {.type = COH_FRAME_CLIENT_HELLO, .length = COH_FRAME_STRANGER_MAX};
	struct rlimit files = {MANY * 2 + 100, MANY * 2 + 100};
	struct hall h;

	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	memset(half, 'x', sizeof half);
	coh_frame_encode(&f, half);
	hall_open(&h, NULL, 60 * COHORT_SECOND, MANY + 1);
	for (int i = 0; i < MANY; i++) {
		fds[i] = hall_stranger(&h);
		hall_say(fds[i], half, sizeof half);
	}
	hall_serves(&h); /* after all of them: they have been heard */
	CHECK(h.most >= MANY);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	hall_serves(&h);
	hall_close(&h); /* which looks at the memory */
}
