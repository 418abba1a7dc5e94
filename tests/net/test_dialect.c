/*
 * test_dialect.c - Python's handshake, message by message, against what CPython was seen to do.
 *
 * The MACs here were made by CPython's hmac under the key 00..1f; our random bytes are 11, a
 * peer's are 22.
 */
#include "python/dialect.h"
#include "support/test.h"
#include "trust/authkey.h"

#include <cohort/auth.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Our end under a script, and the sentence of its last failure. */
struct our {
	struct cohort_key *key;
	struct coh_dialect d;
	struct cohort_error err;
};

/* Bytes made of TEXT and then HEX. */
struct bytes {
	size_t size;
	unsigned char at[600];
};

static struct bytes bytes_of(const char *text, const char *hex)
{
	struct bytes b = {.size = strlen(text)};
	unsigned v;

	memcpy(b.at, text, b.size);
	for (; *hex != '\0'; hex += 2) {
		REQUIRE_EQ(sscanf(hex, "%2x", &v), 1);
		b.at[b.size++] = (unsigned char)v;
	}
	return b;
}

/* TEXT and N bytes of 22. */
static struct bytes filled(const char *text, size_t n)
{
	struct bytes b = bytes_of(text, "");

	REQUIRE(b.size + n <= sizeof b.at);
	memset(b.at + b.size, 0x22, n);
	b.size += n;
	return b;
}

static int ones(void *out, size_t n, void *arg)
{
	(void)arg;
	memset(out, 0x11, n);
	return 0;
}

static int no_random(void *out, size_t n, void *arg)
{
	(void)arg;
	memset(out, 0, n);
	return COHORT_EAUTH;
}

static struct cohort_key *key_of(unsigned char first)
{
	unsigned char secret[32];
	struct cohort_key *key;

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (unsigned char)(first + i);
	REQUIRE_EQ(cohort_key_new_python(&key, secret, sizeof secret, NULL), 0);
	return key;
}

static void our_open(struct our *o, enum coh_handshake_role role, bool md5)
{
	struct coh_dialect_config c = {.role = role, .md5 = md5, .peer = "a test", .random = ones};

	memset(o, 0, sizeof *o);
	c.key = o->key = key_of(0);
	REQUIRE_EQ(coh_dialect_init(&o->d, &c, &o->err), 0);
}

static void our_close(struct our *o)
{
	coh_dialect_fini(&o->d);
	cohort_key_free(o->key);
}

static int hears(struct our *o, struct bytes b)
{
	return coh_dialect_feed(&o->d, b.at, b.size, &o->err);
}

/* What we say now is WANT, and nothing else. */
static void says(struct our *o, struct bytes want)
{
	size_t n;
	const void *p = coh_dialect_output(&o->d, &n);

	REQUIRE(p != NULL);
	if (CHECK_EQ(n, want.size))
		CHECK_MEM(p, want.at, n);
	CHECK(coh_dialect_output(&o->d, &n) == NULL);
}

static void is_silent(struct our *o)
{
	size_t n;

	CHECK(coh_dialect_output(&o->d, &n) == NULL);
	CHECK_EQ(n, 0);
}

static struct bytes our_challenge(void)
{
	struct bytes b = bytes_of("#CHALLENGE#{sha256}", "");

	memset(b.at + b.size, 0x11, 40);
	b.size += 40;
	return b;
}

static const char our_sha256[] = "20e26510354100bb9f59b47217a03c8875908c1bf516ef9a72f6e9ab930faf3a";
static const char our_md5[] = "7c2c16661b2e346c7ef570fd1dcdc628";
static const char their_sha256[] =
    "0a6730785b4ced913dd9596cdf34165176e62832c6bd131ff0e8ed147c340e6f";

/* A client at the point where the challenge M has come; what feeding it returned. */
static int client_gets(struct our *o, bool md5, struct bytes m)
{
	struct bytes b = bytes_of("#CHALLENGE#", "");

	our_open(o, COH_HANDSHAKE_CLIENT, md5);
	memcpy(b.at + b.size, m.at, m.size);
	b.size += m.size;
	return hears(o, b);
}

/* A listener whose challenge was answered by R. */
static int listener_gets(struct our *o, bool md5, struct bytes r)
{
	our_open(o, COH_HANDSHAKE_SERVER, md5);
	says(o, our_challenge());
	return hears(o, r);
}

/* ---- who speaks when ---- */

TEST(dialect, a_listener_speaks_first_and_answers_only_who_has_proved_the_key)
{
	struct our o;

	our_open(&o, COH_HANDSHAKE_SERVER, false);
	says(&o, our_challenge());
	CHECK(!coh_dialect_proved(&o.d));
	CHECK_EQ(hears(&o, bytes_of("{sha256}", our_sha256)), COH_HANDSHAKE_MORE);
	CHECK(coh_dialect_proved(&o.d));
	says(&o, bytes_of("#WELCOME#", ""));
	CHECK_EQ(hears(&o, filled("#CHALLENGE#{sha256}", 40)), COH_HANDSHAKE_MORE);
	says(&o, bytes_of("{sha256}", their_sha256));
	CHECK_EQ(hears(&o, bytes_of("#WELCOME#", "")), COH_HANDSHAKE_DONE);
	is_silent(&o);
	CHECK_EQ(hears(&o, bytes_of("#WELCOME#", "")), COHORT_EPROTOCOL);
	our_close(&o);
}

TEST(dialect, a_client_is_silent_until_it_was_challenged_and_welcomed)
{
	struct our o;

	our_open(&o, COH_HANDSHAKE_CLIENT, false);
	is_silent(&o);
	CHECK_EQ(hears(&o, filled("#CHALLENGE#{sha256}", 40)), COH_HANDSHAKE_MORE);
	says(&o, bytes_of("{sha256}", their_sha256));
	CHECK_EQ(hears(&o, bytes_of("#WELCOME#", "")), COH_HANDSHAKE_MORE);
	says(&o, our_challenge());
	CHECK(!coh_dialect_proved(&o.d));
	CHECK_EQ(hears(&o, bytes_of("{sha256}", our_sha256)), COH_HANDSHAKE_DONE);
	CHECK(coh_dialect_proved(&o.d));
	says(&o, bytes_of("#WELCOME#", ""));
	our_close(&o);
}

TEST(dialect, a_listener_refuses_a_challenge_before_the_answer)
{
	struct our o;

	CHECK_EQ(listener_gets(&o, true, filled("#CHALLENGE#", 20)), COHORT_EAUTH);
	says(&o, bytes_of("#FAILURE#", ""));
	CHECK_EQ(hears(&o, bytes_of("{sha256}", our_sha256)), COHORT_EPROTOCOL);
	is_silent(&o);
	our_close(&o);
}

/* ---- the challenge sent ---- */

TEST(dialect, our_challenge_has_48_bytes_and_is_new_every_time)
{
	struct coh_dialect_config c = {.role = COH_HANDSHAKE_SERVER, .peer = "a test"};
	struct coh_dialect d[2];
	unsigned char out[2][COH_DIALECT_MESSAGE_MAX];
	struct cohort_key *key = key_of(0);
	size_t n;

	c.key = key;
	for (int i = 0; i < 2; i++) {
		const void *p;

		REQUIRE_EQ(coh_dialect_init(&d[i], &c, NULL), 0);
		p = coh_dialect_output(&d[i], &n);
		REQUIRE_EQ(n, 59); /* a frame of 0000003b, as 3.12 and later send it */
		memcpy(out[i], p, n);
		CHECK_MEM(out[i], "#CHALLENGE#{sha256}", 19);
	}
	CHECK(memcmp(out[0] + 19, out[1] + 19, 40) != 0);
	coh_dialect_fini(&d[0]);
	coh_dialect_fini(&d[1]);
	cohort_key_free(key);
}

/* ---- the answer sent: what is signed, and how ---- */

static void answers(const char *prefix, const char *mac)
{
	struct our o;

	CHECK_EQ(client_gets(&o, true, filled(prefix, 40)), COH_HANDSHAKE_MORE);
	says(&o, bytes_of(prefix, mac));
	our_close(&o);
}

TEST(dialect, the_answer_uses_the_digest_named_and_covers_the_name)
{
	answers("{sha256}", their_sha256);
	answers("{sha384}",
	    "489169ccf2fef9749c447ea3b73db58eab8645630be485590b7cb76af103e1a2"
	    "b5bddf9d977988bf498d71d6d0cf70dc");
	answers("{sha3_256}", "58914741769a78cdad8b686d28583711d40b4e81a52ff3f54504f46e7257ecde");
	answers("{sha3_384}",
	    "82bee16850ce0da2b1b9880ed7a742e764b37ed5f951ed59122c025c20229560"
	    "105aebdd18a0288bddd93739dbdfafa0");
	answers("{md5}", "9917c9d521318c2a50ea30fbd2d32efc");
}

TEST(dialect, a_challenge_of_20_bytes_is_answered_in_bare_md5_whatever_is_in_it)
{
	struct our o;

	CHECK_EQ(client_gets(&o, true, filled("", 20)), COH_HANDSHAKE_MORE);
	says(&o, bytes_of("", "eab2b617cfbb775fc91e156b4c6ab2e4"));
	our_close(&o);
	CHECK_EQ(client_gets(&o, true, filled("{sha256}", 12)), COH_HANDSHAKE_MORE);
	says(&o, bytes_of("", "0538544b8214f4af3b699fdebeba0caa"));
	our_close(&o);
}

static void md5_is_refused(struct our *o, int rc)
{
	CHECK_EQ(rc, COHORT_EAUTH);
	CHECK_HAS(o->err.text, "python_md5");
	CHECK_HAS(o->err.text, "a test");
	our_close(o);
}

TEST(dialect, md5_is_spoken_with_the_option_only)
{
	struct our o;
	int rc;

	rc = client_gets(&o, false, filled("", 20));
	is_silent(&o);
	md5_is_refused(&o, rc);
	rc = client_gets(&o, false, filled("{md5}", 40));
	is_silent(&o);
	md5_is_refused(&o, rc);
	rc = listener_gets(&o, false, bytes_of("", our_md5));
	says(&o, bytes_of("#FAILURE#", ""));
	md5_is_refused(&o, rc);
	rc = listener_gets(&o, false, bytes_of("{md5}", our_md5));
	says(&o, bytes_of("#FAILURE#", ""));
	md5_is_refused(&o, rc);
}

TEST(dialect, who_proved_himself_by_sha256_is_not_answered_in_md5_either)
{
	struct our o;
	int rc;

	CHECK_EQ(listener_gets(&o, false, bytes_of("{sha256}", our_sha256)), COH_HANDSHAKE_MORE);
	rc = hears(&o, filled("#CHALLENGE#", 20));
	is_silent(&o);
	md5_is_refused(&o, rc);
}

/* ---- the answer accepted ---- */

static void accepts(const char *prefix, const char *mac)
{
	struct our o;

	CHECK_EQ(listener_gets(&o, true, bytes_of(prefix, mac)), COH_HANDSHAKE_MORE);
	says(&o, bytes_of("#WELCOME#", ""));
	our_close(&o);
}

TEST(dialect, an_answer_by_any_of_pythons_digests_is_accepted)
{
	accepts("", our_md5);
	accepts("{md5}", our_md5);
	accepts("{sha256}", our_sha256);
	accepts("{sha384}",
	    "25c1dbfac522b37495891b4fb7dccc12aa7005279e2ca51584a59ee1efb0e8f6"
	    "881b89702fb27b728ff0c74dc9cb5484");
	accepts("{sha3_256}", "6f04e09f8083ad628adac6eccac68a7dff508e9e9cd78e2a5334aa2e5e8ecdea");
	accepts("{sha3_384}",
	    "c6f839e72fb89b10c9657c4d507923eac6bd7c7296535c307b23e18543bcb89a"
	    "9147b4c13a3243f89375255571748f3b");
}

static void refuses(struct bytes r)
{
	struct our o;

	CHECK_EQ(listener_gets(&o, true, r), COHORT_EAUTH);
	CHECK(!coh_dialect_proved(&o.d));
	CHECK(strlen(o.err.text) > 30);
	says(&o, bytes_of("#FAILURE#", ""));
	CHECK_EQ(hears(&o, bytes_of("{sha256}", our_sha256)), COHORT_EPROTOCOL);
	our_close(&o);
}

TEST(dialect, other_digests_and_other_sizes_are_refused)
{
	struct bytes b = bytes_of("{sha256}", our_sha256);

	refuses(filled("{sha1}", 20));
	refuses(filled("{sha224}", 28));
	refuses(filled("{sha512}", 64));
	refuses(filled("", 5));
	refuses(filled("", 0));
	refuses(filled("", 256));
	refuses(bytes_of("", our_sha256));
	refuses(filled("{sha256}", 0));
	refuses(filled("{sha256", 33));
	b.size--;
	refuses(b);
	b.size += 2;
	refuses(b);
}

TEST(dialect, an_answer_with_any_bit_changed_is_refused)
{
	struct bytes good = bytes_of("{sha256}", our_sha256), b;

	for (size_t i = 0; i < 8 * good.size; i++) {
		b = good;
		b.at[i / 8] ^= (unsigned char)(1u << i % 8);
		refuses(b);
	}
	good = bytes_of("", our_md5);
	for (size_t i = 0; i < 8 * good.size; i++) {
		b = good;
		b.at[i / 8] ^= (unsigned char)(1u << i % 8);
		refuses(b);
	}
}

/* ---- the challenge accepted ---- */

TEST(dialect, challenges_are_20_to_245_bytes_long)
{
	static const size_t bad[] = {0, 16, 19, 246, 500};
	struct our o;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK_EQ(client_gets(&o, true, filled("", bad[i])), COHORT_EPROTOCOL);
		CHECK_HAS(o.err.text, "allowed are 20 to 245");
		is_silent(&o);
		our_close(&o);
	}
	CHECK_EQ(client_gets(&o, false, filled("{sha256}", 13)), COH_HANDSHAKE_MORE);
	says(&o,
	    bytes_of(
		"{sha256}", "3213599c569e8a45e56d0258788fbab9d0d7480a78b2965bf0b1536557d2f8f7"));
	our_close(&o);
	CHECK_EQ(client_gets(&o, false, filled("{sha256}", 237)), COH_HANDSHAKE_MORE);
	says(&o,
	    bytes_of(
		"{sha256}", "62a668a4671a1d5f8f521808866ebc012386200d68d5a6e9a58b501aa5fa2e75"));
	our_close(&o);
}

TEST(dialect, a_longer_challenge_must_name_a_digest_that_is_known)
{
	struct our o;

	CHECK_EQ(client_gets(&o, true, filled("", 21)), COHORT_EPROTOCOL);
	is_silent(&o);
	our_close(&o);
	CHECK_EQ(client_gets(&o, true, filled("{sha512}", 40)), COHORT_EPROTOCOL);
	is_silent(&o);
	our_close(&o);
	CHECK_EQ(client_gets(&o, true, filled(" {sha256}", 40)), COHORT_EPROTOCOL);
	is_silent(&o);
	our_close(&o);
}

/* ---- tags ---- */

TEST(dialect, another_first_tag_is_refused)
{
	struct our o;

	our_open(&o, COH_HANDSHAKE_CLIENT, true);
	CHECK_EQ(hears(&o, filled("#challenge#{sha256}", 40)), COHORT_EPROTOCOL);
	is_silent(&o);
	our_close(&o);
	our_open(&o, COH_HANDSHAKE_CLIENT, true);
	CHECK_EQ(hears(&o, filled("", 0)), COHORT_EPROTOCOL);
	our_close(&o);
	our_open(&o, COH_HANDSHAKE_CLIENT, true);
	CHECK_EQ(hears(&o, bytes_of("#WELCOME#", "")), COHORT_EPROTOCOL);
	our_close(&o);
}

TEST(dialect, a_failure_says_that_the_keys_may_differ)
{
	struct our o;

	CHECK_EQ(client_gets(&o, false, filled("{sha256}", 40)), COH_HANDSHAKE_MORE);
	CHECK_EQ(hears(&o, bytes_of("#FAILURE#", "")), COHORT_EAUTH);
	CHECK_HAS(o.err.text, "is the key the same at both ends?");
	is_silent(&o);
	our_close(&o);
	CHECK_EQ(client_gets(&o, false, filled("{sha256}", 40)), COH_HANDSHAKE_MORE);
	CHECK_EQ(hears(&o, bytes_of("#WELCOME#\n", "")), COHORT_EPROTOCOL);
	our_close(&o);
}

/* ---- reflection ---- */

TEST(dialect, a_challenge_that_this_process_waits_for_is_not_answered)
{
	struct our listener, client, rogue;

	our_open(&listener, COH_HANDSHAKE_SERVER, false);
	CHECK_EQ(client_gets(&client, false, filled("{sha256}", 40)), COH_HANDSHAKE_MORE);
	our_open(&rogue, COH_HANDSHAKE_CLIENT, false);
	CHECK_EQ(hears(&rogue, our_challenge()), COHORT_EAUTH);
	CHECK_HAS(rogue.err.text, "this process has sent");
	is_silent(&rogue);
	our_close(&rogue);
	our_close(&listener);

	/* Nobody waits for it any more: whoever knew it has nothing to gain. */
	our_open(&rogue, COH_HANDSHAKE_CLIENT, false);
	CHECK_EQ(hears(&rogue, our_challenge()), COH_HANDSHAKE_MORE);
	our_close(&rogue);
	our_close(&client);
}

TEST(dialect, a_clients_own_challenge_is_remembered_until_it_is_answered)
{
	struct our a, b;

	CHECK_EQ(client_gets(&a, false, filled("{sha256}", 40)), COH_HANDSHAKE_MORE);
	CHECK_EQ(hears(&a, bytes_of("#WELCOME#", "")), COH_HANDSHAKE_MORE);
	our_open(&b, COH_HANDSHAKE_CLIENT, false);
	CHECK_EQ(hears(&b, our_challenge()), COHORT_EAUTH);
	our_close(&b);
	CHECK_EQ(hears(&a, bytes_of("{sha256}", our_sha256)), COH_HANDSHAKE_DONE);
	our_open(&b, COH_HANDSHAKE_CLIENT, false);
	CHECK_EQ(hears(&b, our_challenge()), COH_HANDSHAKE_MORE);
	our_close(&b);
	our_close(&a);
}

TEST(dialect, an_echo_of_everything_is_refused)
{
	struct our o;

	CHECK_EQ(listener_gets(&o, true, our_challenge()), COHORT_EAUTH);
	our_close(&o);
}

/* ---- keys ---- */

TEST(dialect, wants_a_key_that_was_made_for_it)
{
	struct coh_dialect_config c = {.role = COH_HANDSHAKE_SERVER, .peer = "a test"};
	struct cohort_error err = {0};
	struct cohort_key *key;
	struct coh_dialect d;

	CHECK_EQ(cohort_key_new_python(&key, "", 0, &err), COHORT_EKEY);
	CHECK_EQ(cohort_key_new_python(&key, "0123456789abcde", 15, &err), COHORT_EKEY);
	REQUIRE_EQ(cohort_key_new(&key, "0123456789abcdef", 16, &err), 0);
	c.key = key;
	CHECK_EQ(coh_dialect_init(&d, &c, &err), COHORT_EKEY);
	CHECK_HAS(err.text, "cohort_key_load_python");
	coh_dialect_fini(&d);
	cohort_key_free(key);
}

TEST(dialect, a_forked_child_has_no_key)
{
	struct coh_dialect_config c = {.role = COH_HANDSHAKE_SERVER, .peer = "a test"};
	struct cohort_key *key = key_of(0);
	struct coh_dialect d;
	int status;
	pid_t pid;

	c.key = key;
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(coh_dialect_init(&d, &c, NULL) == COHORT_EKEY ? 0 : 1);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	cohort_key_free(key);
}

TEST(dialect, says_when_there_are_no_random_bytes)
{
	struct coh_dialect_config c = {
	    .role = COH_HANDSHAKE_SERVER, .peer = "a test", .random = no_random};
	struct cohort_key *key = key_of(0);
	struct cohort_error err = {0};
	struct coh_dialect d;

	c.key = key;
	CHECK_EQ(coh_dialect_init(&d, &c, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "random");
	coh_dialect_fini(&d);
	cohort_key_free(key);
}

TEST(dialect, a_zeroed_machine_refuses_everything)
{
	struct coh_dialect d = {.config.peer = "a test"};

	CHECK_EQ(coh_dialect_feed(&d, "#WELCOME#", 9, NULL), COHORT_EPROTOCOL);
	coh_dialect_fini(&d);
}

TEST(dialect, of_two_keys_either_is_accepted_and_the_peers_own_is_answered_with)
{
	static const unsigned char other[32] = {9, 9, 9},
				   ours[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
				       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
				       31};
	const struct coh_span both[] = {{other, sizeof other}, {ours, sizeof ours}};
	struct our o;

	for (int first = 0; first < 2; first++) {
		our_open(&o, COH_HANDSHAKE_SERVER, false);
		cohort_key_free(o.key);
		REQUIRE_EQ(coh_authkey_new_python(&o.key,
			       (const struct coh_span[]){both[first], both[!first]}, 2, NULL),
		    0);
		o.d.config.key = o.key;
		says(&o, our_challenge());
		CHECK_EQ(hears(&o, bytes_of("{sha256}", our_sha256)), COH_HANDSHAKE_MORE);
		says(&o, bytes_of("#WELCOME#", ""));
		CHECK_EQ(hears(&o, filled("#CHALLENGE#{sha256}", 40)), COH_HANDSHAKE_MORE);
		says(&o, bytes_of("{sha256}", their_sha256));
		our_close(&o);
	}
}
