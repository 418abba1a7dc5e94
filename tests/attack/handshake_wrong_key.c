/*
 * handshake_wrong_key.c - peers that hold another key, none, or almost the right one.
 */
#include "attack/forge.h"
#include "support/test.h"

#include <string.h>

static const unsigned char right[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

/* A server of the right key, up to where a client's proof is due. */
static void due(struct ends *e)
{
	ends_begin(e);
	ends_run(e, 2);
}

static void secret_is_refused(const void *secret, size_t size, int want)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < (want < 0 ? ATTACK_RUNS : 1); i++) {
		due(&e);
		forge_by_secret(&e.server.hs, (struct coh_span){secret, size}, &p);
		CHECK_EQ(ends_give(&e.server, &p, NULL), want);
	}
	ends_close(&e);
}

TEST(attack_wrong_key, is_told_from_the_right_one)
{
	secret_is_refused(right, sizeof right, COH_HANDSHAKE_DONE); /* the forger does it right */
	secret_is_refused("another key, of 32 bytes, wrong.", 32, COHORT_EAUTH);
}

TEST(attack_wrong_key, that_is_empty_is_refused)
{
	secret_is_refused(NULL, 0, COHORT_EAUTH);
}

TEST(attack_wrong_key, that_is_the_right_one_and_a_newline_is_refused)
{
	unsigned char more[33];

	memcpy(more, right, sizeof right);
	more[32] = '\n';
	secret_is_refused(more, sizeof more, COHORT_EAUTH);
	secret_is_refused(right, sizeof right - 1, COHORT_EAUTH);
}

/* An HMAC key is filled up with zeros; an extract by HMAC of the secret as data is not. */
TEST(attack_wrong_key, that_is_the_right_one_and_a_zero_is_refused)
{
	unsigned char more[33] = {0};

	memcpy(more, right, sizeof right);
	secret_is_refused(more, sizeof more, COHORT_EAUTH);
}

/* What a key would be if the page that holds it had been wiped. */
TEST(attack_wrong_key, of_zeros_after_extraction_is_refused)
{
	static const unsigned char zero[COH_HASH_SIZE];
	struct parcel p;
	struct ends e;

	ends_open(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		due(&e);
		forge_client_proof(&e.server.hs, zero, &p);
		CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

/* CPython's answer: HMAC(authkey, what the other end chose). */
TEST(attack_wrong_key, answer_of_pythons_kind_is_refused)
{
	struct coh_span transcript;
	struct parcel p = {.f = {.type = COH_FRAME_CLIENT_PROOF, .length = COH_HASH_SIZE}};
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		due(&e);
		transcript = (struct coh_span){e.server.hs.transcript, COH_HASH_SIZE};
		REQUIRE_EQ(coh_hmac_sign((struct coh_span){right, 32}, &transcript, 1, p.body), 0);
		CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

TEST(attack_wrong_key, challenge_of_pythons_kind_is_refused)
{
	static const char challenge[] = "#CHALLENGE#{sha256}0123456789012345678901234567890123456789";
	struct parcel p = {.f = {.length = sizeof challenge - 1}};
	struct ends e;

	memcpy(p.body, challenge, sizeof challenge - 1);
	ends_open(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		for (size_t k = sizeof challenge - 41; k < sizeof challenge - 1; k++)
			p.body[k] = (unsigned char)test_random();
		p.f.type = COH_FRAME_CLIENT_HELLO;
		CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EPROTOCOL);
		p.f.type = COH_FRAME_SERVER_HELLO;
		CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EPROTOCOL);
	}
	ends_close(&e);
}

TEST(attack_wrong_key, tries_all_hear_the_same_byte)
{
	struct parcel p, reply;
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	for (int i = 0; i < 1000; i++) {
		due(&e);
		forge_by_secret(&e.server.hs, (struct coh_span){&i, sizeof i}, &p);
		CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EAUTH);
		REQUIRE(ends_take(&e.server, &reply));
		CHECK_EQ(reply.f.type, COH_FRAME_REFUSE);
		CHECK_EQ(reply.f.length, 1);
		CHECK_EQ(reply.body[0], COH_REFUSE_AUTH);
	}
	ends_close(&e);
}

/* A scanner hears nothing that depends on the key. */
TEST(attack_wrong_key, hears_a_hello_that_any_key_would_give)
{
	struct cohort_key *other;
	struct parcel a, b;
	struct ends e;

	ends_open(&e);
	REQUIRE_EQ(cohort_key_new(&other, "another key, of 32 bytes, wrong.", 32, NULL), 0);
	ends_begin(&e);
	ends_run(&e, 1);
	REQUIRE(ends_take(&e.server, &a));
	e.server.config.key = other;
	ends_begin(&e);
	ends_run(&e, 1);
	REQUIRE(ends_take(&e.server, &b));
	CHECK_EQ(a.f.length, b.f.length);
	CHECK_MEM(a.body, b.body, a.f.length);
	cohort_key_free(other);
	ends_close(&e);
}
