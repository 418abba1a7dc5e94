/*
 * handshake_reflection.c - a rogue without the key that makes honest peers answer each other.
 */
#include "attack/forge.h"
#include "support/test.h"

#include <string.h>

TEST(attack_reflection, of_a_servers_hello_as_a_clients_is_refused)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		ends_run(&e, 1);
		REQUIRE(ends_take(&e.server, &p));
		ends_begin(&e);
		p.f.type = COH_FRAME_CLIENT_HELLO;
		memmove(p.body + 8, p.body + 6, p.f.length - 6);
		p.f.length += 2;
		memcpy(p.body + 4, i % 2 == 1 ? "C\1\1\1" : "S\1\1\1", 4);
		/* as a client's, it is the server's own uuid that comes back */
		CHECK_EQ(ends_give(&e.server, &p, NULL), i % 2 == 1 ? COHORT_ESELF : COHORT_EPROTOCOL);
	}
	ends_close(&e);
}

/*
 * Two clients dial the rogue.  It shows each the other's hello as its own, gets both proofs,
 * and hands each to the other as the server's.  CPython falls to this.
 */
static void cross(struct ends *e, struct end *b, int i)
{
	struct end *a = &e->client;
	struct parcel pa, pb;

	REQUIRE(ends_take(a, &pa));
	REQUIRE(ends_take(b, &pb));
	forge_server_hello(&pa);
	forge_server_hello(&pb);
	REQUIRE_EQ(ends_give(a, &pb, NULL), COH_HANDSHAKE_MORE);
	REQUIRE_EQ(ends_give(b, &pa, NULL), COH_HANDSHAKE_MORE);
	REQUIRE(ends_take(a, &pa));
	REQUIRE(ends_take(b, &pb));
	memcpy(pa.body + 24, pb.body, 32);
	memset(pa.body, i & 1, 24);
	pa.f = (struct coh_frame){.type = COH_FRAME_SERVER_PROOF, .length = 24 + 32};
	CHECK_EQ(ends_give(a, &pa, NULL), COHORT_EAUTH);
}

TEST(attack_reflection, between_two_clients_is_refused)
{
	struct end b = {0};
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	b.config = e.client.config;
	b.config.name = "w2";
	b.config.uuid = b.uuid;
	b.config.random = NULL;
	for (int i = 0; i < ATTACK_RUNS; i++) {
		b.uuid[0] = (unsigned char)(e.client.uuid[0] + 1);
		ends_begin(&e);
		REQUIRE_EQ(coh_handshake_init(&b.hs, &b.config, NULL), 0);
		cross(&e, &b, i);
	}
	coh_handshake_fini(&b.hs);
	ends_close(&e);
}

/* The rogue has a client, and dials two servers of the cluster for a proof to show it. */
TEST(attack_reflection, of_a_clients_proof_at_another_server_is_refused)
{
	struct parcel hello, proof;
	struct ends e, other;

	ends_open(&e);
	ends_open(&other);
	ends_randomize(&e);
	ends_randomize(&other);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		ends_begin(&other);
		REQUIRE(ends_take(&e.client, &hello));
		REQUIRE_EQ(ends_give(&other.server, &hello, NULL), COH_HANDSHAKE_MORE);
		REQUIRE_EQ(ends_give(&e.server, &hello, NULL), COH_HANDSHAKE_MORE);
		REQUIRE_EQ(ends_pass(&e.server, &e.client, NULL), COH_HANDSHAKE_MORE);
		REQUIRE(ends_take(&e.client, &proof));
		CHECK_EQ(ends_give(&other.server, &proof, NULL), COHORT_EAUTH);
	}
	ends_close(&other);
	ends_close(&e);
}
