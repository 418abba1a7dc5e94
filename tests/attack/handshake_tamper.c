/*
 * handshake_tamper.c - someone on the way who changes what is negotiated, or cuts the MAC.
 */
#include "attack/forge.h"
#include "support/test.h"

#include <string.h>

/* Offsets in a client's hello: versions, suites, features. */
static const size_t negotiated[] = {5, 6, 7, 8, 9, 10, 11, 12, 13};

TEST(attack_tamper, with_what_a_client_offers_never_succeeds)
{
	struct parcel p;
	struct ends e;
	int rc;

	ends_open(&e);
	ends_randomize(&e);
	e.client.config.version_min = e.server.config.version_min = 1;
	e.client.config.version_max = e.server.config.version_max = 4;
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE(ends_take(&e.client, &p));
		p.body[negotiated[i % 9]] ^= (unsigned char)(1 + test_random_below(255));
		rc = ends_give(&e.server, &p, NULL);
		if (rc == COH_HANDSHAKE_MORE)
			rc = ends_pass(&e.server, &e.client, NULL);
		if (rc == COH_HANDSHAKE_MORE)
			rc = ends_pass(&e.client, &e.server, NULL);
		CHECK(rc < 0);
	}
	ends_close(&e);
}

/* Down from 4 to each version below: both ends would speak it, and neither is fooled. */
TEST(attack_tamper, that_talks_the_version_down_breaks_the_proof)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	e.client.config.version_min = e.server.config.version_min = 1;
	e.client.config.version_max = e.server.config.version_max = 4;
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE(ends_take(&e.client, &p));
		p.body[6] = (unsigned char)(1 + i % 3);
		REQUIRE_EQ(ends_give(&e.server, &p, NULL), COH_HANDSHAKE_MORE);
		REQUIRE_EQ(ends_pass(&e.server, &e.client, NULL), COH_HANDSHAKE_MORE);
		CHECK_EQ(ends_pass(&e.client, &e.server, NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

TEST(attack_tamper, with_the_length_of_a_proof_is_refused)
{
	static const uint32_t sizes[] = {0, 1, 16, 31, 33};
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		ends_run(&e, 2);
		REQUIRE(ends_take(&e.client, &p));
		p.body[32] = 0;
		p.f.length = sizes[i % 5];
		CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EPROTOCOL);
	}
	ends_close(&e);
}

TEST(attack_tamper, with_the_length_of_the_servers_proof_is_refused)
{
	static const uint32_t sizes[] = {0, 1, 16, 31, 33};
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		ends_run(&e, 3);
		REQUIRE(ends_take(&e.server, &p));
		p.body[24 + 32] = 0;
		p.f.length = 24 + sizes[i % 5];
		CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EPROTOCOL);
	}
	ends_close(&e);
}
