/*
 * sources.c - offenders from one address, as a network has them: they use up their own places and their own
 * patience, and nobody else's.
 */
#include "net/hall.h"
#include "support/test.h"

#include <string.h>
#include <unistd.h>

#define OFFENDER 9
#define NEIGHBOUR 10

/* A caller from 127.0.0.HOST who says a good hello and then a wrong proof: what it hears last. */
static int wrong_proof(struct hall *h, int host)
{
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	int fd = hall_stranger_from(h, host);
	size_t n;

	hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, hall_hello(h, fd, body));
	if (hall_hear_frame(fd, body, sizeof body, &n) != COH_FRAME_SERVER_HELLO) {
		close(fd);
		return COH_REFUSE_BUSY;
	}
	memset(body, 0x5a, 32);
	hall_say_frame(fd, COH_FRAME_CLIENT_PROOF, body, 32);
	return hall_turned_away(fd);
}

TEST(attack, four_wrong_proofs_keep_an_address_out_and_no_other)
{
	struct hall h;

	hall_open_with_sources(&h, NULL, 20 * COHORT_SECOND, 128);
	for (int i = 0; i < 4; i++) /* 5 s each, less what runs down meanwhile */
		CHECK_EQ(wrong_proof(&h, OFFENDER), COH_REFUSE_AUTH);
	for (int i = 0; i < 50; i++)
		CHECK_EQ(hall_turned_away(hall_stranger_from(&h, OFFENDER)), COH_REFUSE_BUSY);
	CHECK_EQ(wrong_proof(&h, NEIGHBOUR), COH_REFUSE_AUTH);
	CHECK(h.logged <= 10 + 1); /* ten of the offender, one of its neighbour */
	hall_serves(&h);
	hall_close(&h);
}

TEST(attack, who_breaks_our_protocol_is_kept_out_at_once)
{
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	struct hall h;
	size_t n;
	int fd;

	hall_open_with_sources(&h, NULL, 20 * COHORT_SECOND, 128);
	fd = hall_stranger_from(&h, OFFENDER);
	hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, hall_hello(&h, fd, body));
	CHECK_EQ(hall_hear_frame(fd, body, sizeof body, &n), COH_FRAME_SERVER_HELLO);
	hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, n);
	CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	CHECK_EQ(hall_turned_away(hall_stranger_from(&h, OFFENDER)), COH_REFUSE_BUSY);
	hall_serves(&h);
	hall_close(&h);
}

TEST(attack, another_protocol_may_err_three_times)
{
	struct hall h;
	int fd;

	hall_open_with_sources(&h, NULL, 20 * COHORT_SECOND, 128);
	for (int i = 0; i < 4; i++) { /* 5 s each, less what runs down meanwhile */
		fd = hall_stranger_from(&h, OFFENDER);
		hall_say(fd, "GET / HTTP/1.0\r\n\r\n", 18);
		CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	}
	CHECK_EQ(hall_turned_away(hall_stranger_from(&h, OFFENDER)), COH_REFUSE_BUSY);
	hall_serves(&h);
	hall_close(&h);
}

TEST(attack, an_exempt_address_is_not_kept_out)
{
	struct hall h;

	hall_open_with_sources(&h, "192.0.2.0/24,127.0.0.9", 20 * COHORT_SECOND, 128);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(wrong_proof(&h, OFFENDER), COH_REFUSE_AUTH);
		(void)wrong_proof(&h, NEIGHBOUR);
	}
	CHECK_EQ(hall_turned_away(hall_stranger_from(&h, NEIGHBOUR)), COH_REFUSE_BUSY);
	hall_close(&h);
}

TEST(attack, wrong_proofs_from_this_machine_keep_nobody_out)
{
	struct hall h;

	hall_open_with_sources(&h, NULL, 20 * COHORT_SECOND, 128);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(wrong_proof(&h, 1), COH_REFUSE_AUTH);
	hall_serves(&h);
	hall_close(&h);
}

TEST(attack, an_address_has_64_places_and_the_others_have_theirs)
{
	struct hall h;
	int fds[64];

	hall_open_with_sources(&h, NULL, 20 * COHORT_SECOND, 128);
	for (int i = 0; i < 64; i++)
		fds[i] = hall_stranger_from(&h, OFFENDER);
	CHECK_EQ(hall_turned_away(hall_stranger_from(&h, OFFENDER)), COH_REFUSE_BUSY);
	CHECK_EQ(wrong_proof(&h, NEIGHBOUR), COH_REFUSE_AUTH);
	hall_serves(&h);
	for (int i = 0; i < 64; i++)
		close(fds[i]);
	hall_close(&h);
}
