/*
 * drip.c - a peer that says a good hello, a byte at a time.  Progress buys no time: the limit
 * counts from the accept.
 */
#include "net/hall.h"
#include "support/test.h"

#include <poll.h>

TEST(attack, a_drip_of_bytes_buys_no_time)
{
	struct hall h;
	unsigned char hello[COH_HANDSHAKE_BODY_MAX], header[COH_FRAME_SIZE];
	struct coh_frame f = {.type = COH_FRAME_CLIENT_HELLO};
	struct pollfd p = {.events = POLLIN};
	cohort_time start = cohort_now();
	size_t said = 0;

	hall_open(&h, NULL, 200 * COHORT_MS, 8);
	p.fd = hall_stranger(&h);
	f.length = (uint32_t)hall_hello(&h, p.fd, hello);
	coh_frame_encode(&f, header);
	/* A byte whenever 10 ms have passed without an answer. */
	for (; poll(&p, 1, 10) == 0 && said < sizeof header + f.length; said++)
		hall_say(p.fd, said < sizeof header ? &header[said] : &hello[said - sizeof header], 1);
	CHECK(said > 2 && said < sizeof header + f.length);
	hall_serves(&h);
	CHECK_EQ(hall_turned_away(p.fd), 0);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	hall_close(&h);
}
