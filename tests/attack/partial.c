/*
 * partial.c - a thousand strangers who announce as much as they may and then say half of it.  Memory
 * follows what came, and is given back; TLS, which takes 64 KiB, begins when a hello is whole.
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

#define SOME 300
#define TLS_HALF ((size_t)16 << 10) /* what each of them may cost */
#define TLS_ROOM ((size_t)512 << 10) /* what OpenSSL takes once, and for somebody honest at both ends */

TEST(attack, halves_of_a_tls_hello_cost_16_KiB_each)
{
	static const unsigned char lengths[][2] = {{1, 255}, {0x3f, 255}}; /* as long as may be; too long */
	unsigned char half[200] = {0x16, 3, 1};
	static int fds[SOME];
	struct hall h;

	hall_open(&h, "tls://127.0.0.1:0", 60 * COHORT_SECOND, SOME + 1);
	for (int how = 0; how < 2; how++) {
		memcpy(half + 3, lengths[how], 2);
		for (int i = 0; i < SOME; i++) {
			fds[i] = hall_stranger(&h);
			hall_say(fds[i], half, sizeof half);
		}
		hall_serves(&h);
		CHECK(how == 1 || h.most >= SOME);
		CHECK(h.peak <= h.memory + SOME * TLS_HALF + TLS_ROOM);
		for (int i = 0; i < SOME; i++)
			close(fds[i]);
	}
	hall_serves(&h);
	hall_close(&h);
}
