/*
 * phase.c - frames that are good, at a time when they are not: work before the hello, a proof
 * before the hello, a hello twice, messages before the key was shown.
 */
#include "net/hall.h"
#include "support/test.h"

#include <string.h>

TEST(attack, a_frame_out_of_phase_is_turned_away_at_once)
{
	static const uint8_t types[] = {COH_FRAME_BYTES, COH_FRAME_MESSAGE, COH_FRAME_TASK,
	    COH_FRAME_JOB, COH_FRAME_PING, COH_FRAME_SERVER_HELLO, COH_FRAME_CLIENT_PROOF,
	    COH_FRAME_SERVER_PROOF, 0, 0xff};
	unsigned char body[32] = "";
	struct hall h;
	cohort_time start = cohort_now();
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	for (size_t i = 0; i < sizeof types; i++) {
		fd = hall_stranger(&h);
		hall_say_frame(fd, types[i], body, sizeof body);
		CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	}
	hall_serves(&h);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	hall_close(&h);
}

TEST(attack, nothing_may_follow_the_hello_before_its_answer)
{
	unsigned char hello[COH_HANDSHAKE_BODY_MAX], both[2 * (COH_FRAME_SIZE + sizeof hello)];
	struct coh_frame f = {.type = COH_FRAME_CLIENT_HELLO};
	struct hall h;
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	fd = hall_stranger(&h);
	f.length = (uint32_t)hall_hello(&h, fd, hello);
	for (int i = 0; i < 2; i++) {
		coh_frame_encode(&f, both + (size_t)i * (COH_FRAME_SIZE + f.length));
		memcpy(both + (size_t)i * (COH_FRAME_SIZE + f.length) + COH_FRAME_SIZE, hello, f.length);
	}
	hall_say(fd, both, 2 * (COH_FRAME_SIZE + (size_t)f.length));
	CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	hall_serves(&h);
	CHECK_EQ(h.welcomed, 1);
	hall_close(&h);
}

/* A client that holds the key, up to its proof, which it sends with MORE behind it in one write. */
static int proof_with_more(struct hall *h, const void *more, size_t size)
{
	struct cohort_error err = {0};
	struct coh_identity id;
	struct coh_greeting g;
	struct cohort_conn *c;
	struct coh_frame f;
	unsigned char body[COH_HANDSHAKE_BODY_MAX], wire[COH_FRAME_SIZE + sizeof body + 64];
	const void *out;
	size_t n;
	int fd = hall_stranger(h);

	REQUIRE_EQ(coh_identity_init(&id, &h->options, &err), 0);
	REQUIRE_EQ(coh_conn_from_fd(&c, fd, COH_PHASE_STRANGER, "hall", &err), 0);
	REQUIRE_EQ(coh_greeting_init(&g, c, &id, COH_HANDSHAKE_CLIENT, NULL, &err), 0);
	out = coh_handshake_output(&g.hs, &f);
	hall_say_frame(fd, f.type, out, f.length);
	REQUIRE_EQ(hall_hear_frame(fd, body, sizeof body, &n), COH_FRAME_SERVER_HELLO);
	f = (struct coh_frame){.type = COH_FRAME_SERVER_HELLO, .length = (uint32_t)n};
	REQUIRE_EQ(coh_handshake_feed(&g.hs, &f, body, &err), COH_HANDSHAKE_MORE);
	out = coh_handshake_output(&g.hs, &f);
	coh_frame_encode(&f, wire);
	memcpy(wire + COH_FRAME_SIZE, out, f.length);
	memcpy(wire + COH_FRAME_SIZE + f.length, more, size);
	hall_say(fd, wire, COH_FRAME_SIZE + f.length + size);
	coh_greeting_fini(&g);
	fd = coh_conn_release_fd(c);
	coh_identity_fini(&id);
	return hall_turned_away(fd);
}

TEST(attack, nothing_may_follow_the_proof_before_its_answer)
{
	struct coh_frame f = {.type = COH_FRAME_TASK, .length = 1};
	unsigned char task[COH_FRAME_SIZE + 1] = "";
	struct hall h;

	coh_frame_encode(&f, task);
	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	CHECK_EQ(proof_with_more(&h, task, sizeof task), COH_REFUSE_AUTH);
	CHECK_EQ(proof_with_more(&h, task, 5), COH_REFUSE_AUTH);
	CHECK_EQ(proof_with_more(&h, "x", 1), COH_REFUSE_AUTH);
	CHECK_EQ(h.welcomed, 0);
	hall_serves(&h);
	hall_close(&h);
}
