/*
 * handshake_echo.c - a peer that holds no key and gives back what it gets.
 */
#include "attack/forge.h"
#include "support/test.h"

#include <string.h>

TEST(attack_echo, of_every_frame_of_a_client_is_refused)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE(ends_take(&e.client, &p));
		if (i % 2 == 1)
			p.f.type = COH_FRAME_SERVER_HELLO;
		CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EPROTOCOL);
	}
	ends_close(&e);
}

TEST(attack_echo, of_a_hello_in_the_other_role_is_refused)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE(ends_take(&e.client, &p));
		forge_server_hello(&p);
		if (i % 2 == 1)
			p.body[12 + 32] ^= 1; /* another uuid, so that the nonce is looked at */
		CHECK_EQ(ends_give(&e.client, &p, NULL), i % 2 == 1 ? COHORT_EAUTH : COHORT_ESELF);
	}
	ends_close(&e);
}

TEST(attack_echo, of_a_proof_is_refused)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		ends_run(&e, 2);
		REQUIRE(ends_take(&e.client, &p));
		p.f.type = COH_FRAME_SERVER_PROOF;
		memmove(p.body + 24, p.body, 32);
		memset(p.body, i & 1, 24);
		p.f.length = 24 + 32;
		CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}
