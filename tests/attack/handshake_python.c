/*
 * handshake_python.c - one secret used for both handshakes, against advice, and an attacker who
 * carries what one of them signs over to the other.
 *
 * Python's client signs what a rogue listener chooses.  That must be of no use against our own
 * handshake, whose keys come out of the secret by HKDF with the secret as its input, nor the
 * other way around.
 */
#include "attack/forge.h"
#include "python/dialect.h"
#include "support/test.h"

#include <string.h>

struct both {
	struct ends own;
	struct cohort_key *python; /* the same secret */
};

static void both_open(struct both *b)
{
	unsigned char secret[32];

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (unsigned char)i; /* as in ends.c */
	ends_open(&b->own);
	ends_randomize(&b->own);
	REQUIRE_EQ(cohort_key_new_python(&b->python, secret, sizeof secret, NULL), 0);
}

static void both_close(struct both *b)
{
	ends_close(&b->own);
	cohort_key_free(b->python);
}

static void python_begin(struct coh_dialect *d, const struct both *b, enum coh_handshake_role role)
{
	const struct coh_dialect_config c = {
	    .role = role, .key = b->python, .md5 = true, .peer = "an attacker"};

	REQUIRE_EQ(coh_dialect_init(d, &c, NULL), 0);
}

/* What a lured client of Python's signs of the N bytes at TEXT: 32 bytes at MAC. */
static void oracle(const struct both *b, const void *text, size_t n, unsigned char mac[32])
{
	unsigned char challenge[COH_DIALECT_MESSAGE_MAX] = "#CHALLENGE#{sha256}";
	const unsigned char *answer;
	struct coh_dialect d;
	size_t size;

	memcpy(challenge + 19, text, n);
	python_begin(&d, b, COH_HANDSHAKE_CLIENT);
	REQUIRE_EQ(coh_dialect_feed(&d, challenge, 19 + n, NULL), COH_HANDSHAKE_MORE);
	answer = coh_dialect_output(&d, &size);
	REQUIRE(answer != NULL && size == 8 + 32);
	memcpy(mac, answer + 8, 32);
	coh_dialect_fini(&d);
}

TEST(attack_python, what_pythons_client_signs_is_no_proof_of_ours)
{
	struct parcel p = {.f = {.type = COH_FRAME_CLIENT_PROOF, .length = 32}};
	struct both b;

	both_open(&b);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&b.own);
		ends_run(&b.own, 2);
		oracle(&b, b.own.server.hs.transcript, 32, p.body);
		CHECK_EQ(ends_give(&b.own.server, &p, NULL), COHORT_EAUTH);
	}
	both_close(&b);
}

TEST(attack_python, what_pythons_client_signs_is_no_key_of_ours)
{
	static const char *const labels[] = {
	    "cohort-hs1 authkey", "cohort-hs1 client finished\0demo\1"};
	static const size_t sizes[] = {18, 32};
	unsigned char prk[COH_HASH_SIZE];
	struct parcel p;
	struct both b;

	both_open(&b);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&b.own);
		ends_run(&b.own, 2);
		oracle(&b, labels[i % 2], sizes[i % 2], prk);
		forge_client_proof(&b.own.server.hs, prk, &p);
		CHECK_EQ(ends_give(&b.own.server, &p, NULL), COHORT_EAUTH);
	}
	both_close(&b);
}

/* PROOF, 32 bytes of our own handshake, as an answer to Python's listener; it must not serve. */
static void offer(const struct both *b, const void *proof, const char *prefix, size_t size)
{
	unsigned char answer[COH_DIALECT_MESSAGE_MAX];
	struct coh_dialect d;
	size_t n = strlen(prefix);

	memcpy(answer, prefix, n);
	memcpy(answer + n, proof, size);
	python_begin(&d, b, COH_HANDSHAKE_SERVER);
	CHECK_EQ(coh_dialect_feed(&d, answer, n + size, NULL), COHORT_EAUTH);
	CHECK(!coh_dialect_proved(&d));
	coh_dialect_fini(&d);
}

TEST(attack_python, what_ours_proves_is_no_answer_to_pythons_listener)
{
	struct parcel p;
	struct both b;

	both_open(&b);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&b.own);
		ends_run(&b.own, 2);
		REQUIRE(ends_take(&b.own.client, &p)); /* the client's proof */
		offer(&b, p.body, "{sha256}", 32);
		offer(&b, p.body, "", 16);
		REQUIRE_EQ(ends_give(&b.own.server, &p, NULL), COH_HANDSHAKE_DONE);
		REQUIRE(ends_take(&b.own.server, &p)); /* the server's */
		offer(&b, p.body + 24, "{sha256}", 32);
		offer(&b, p.body + 24, "{sha3_256}", 32);
	}
	both_close(&b);
}

/* As CPython 3.11 to 3.13 fell to it: one client's challenge shown to another one of the same process. */
TEST(attack_python, reflection_between_two_connections_of_a_process_is_refused)
{
	struct coh_dialect a, c;
	const void *m2;
	struct both b;
	size_t n;

	both_open(&b);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		python_begin(&a, &b, COH_HANDSHAKE_CLIENT);
		python_begin(&c, &b, COH_HANDSHAKE_CLIENT);
		REQUIRE_EQ(coh_dialect_feed(&a, "#CHALLENGE#{sha256}0123456789abc", 32, NULL),
		    COH_HANDSHAKE_MORE);
		REQUIRE_EQ(coh_dialect_feed(&a, "#WELCOME#", 9, NULL), COH_HANDSHAKE_MORE);
		m2 = coh_dialect_output(&a, &n);
		REQUIRE(m2 != NULL);
		CHECK_EQ(coh_dialect_feed(&c, m2, n, NULL), COHORT_EAUTH);
		coh_dialect_fini(&a);
		coh_dialect_fini(&c);
	}
	both_close(&b);
}
