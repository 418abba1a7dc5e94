/*
 * handshake_replay.c - a session that was heard once, said again.
 */
#include "attack/forge.h"
#include "support/test.h"

/* A whole handshake, with every frame of it kept. */
static void record(struct ends *e, struct parcel tape[4])
{
	ends_begin(e);
	for (int n = 0; n < 4; n++) {
		REQUIRE(ends_take(n % 2 == 0 ? &e->client : &e->server, &tape[n]));
		REQUIRE(ends_give(n % 2 == 0 ? &e->server : &e->client, &tape[n], NULL) >= 0);
	}
}

TEST(attack_replay, of_a_clients_frames_is_refused)
{
	struct parcel tape[4];
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	record(&e, tape);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE_EQ(ends_give(&e.server, &tape[0], NULL), COH_HANDSHAKE_MORE);
		CHECK_EQ(ends_give(&e.server, &tape[2], NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

TEST(attack_replay, of_a_servers_frames_is_refused)
{
	struct parcel tape[4];
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	record(&e, tape);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE_EQ(ends_give(&e.client, &tape[1], NULL), COH_HANDSHAKE_MORE);
		CHECK_EQ(ends_give(&e.client, &tape[3], NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

TEST(attack_replay, of_frames_in_any_other_order_is_refused)
{
	struct parcel tape[4];
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS / 4; i++) {
		record(&e, tape);
		ends_begin(&e);
		CHECK_EQ(ends_give(&e.server, &tape[2], NULL), COHORT_EPROTOCOL);
		CHECK_EQ(ends_give(&e.client, &tape[3], NULL), COHORT_EPROTOCOL);
		ends_begin(&e);
		ends_run(&e, 1);
		CHECK_EQ(ends_give(&e.server, &tape[0], NULL), COHORT_EPROTOCOL);
	}
	ends_close(&e);
}
