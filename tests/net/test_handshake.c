/*
 * test_handshake.c - the handshake among honest ends, and each of its rules.
 *
 * Hostile bytes are in test_handshake_bytes.c, hostile peers in tests/attack.
 */
#include "base/err.h"
#include "net/ends.h"
#include "support/test.h"
#include "trust/authkey.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The bytes at GOT are those that HEX means. */
static void hex_is(const unsigned char *got, const char *hex)
{
	char text[2 * COH_HASH_SIZE + 1] = "";

	for (size_t i = 0; i < strlen(hex) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", got[i]);
	CHECK_STR(text, hex);
}

TEST(handshake, derives_the_known_keys)
{
	unsigned char psk[COH_HASH_SIZE];
	struct ends e;

	ends_open(&e);
	hex_is(coh_authkey_prk(e.key, 0, NULL),
	    "db2b489d622282f350dd0523639055d8036c486b821f1f8010cc4bced98aed54");
	REQUIRE_EQ(coh_authkey_derive(e.key,
		       &(struct coh_authkey_use){0, "cohort-tls13-psk", "demo"}, psk),
	    0);
	hex_is(psk, "56588a180be98bfe12a787d5bc8777e6aa627e1e5a77e9e260ad776a15626390");
	ends_close(&e);
}

TEST(handshake, makes_the_known_transcript_and_proofs)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_run(&e, 2);
	hex_is(e.server.hs.transcript,
	    "38d682a72def863cb4f30aaaca35cc9bcc1c27110f7c7e07baccc21ea1460815");
	REQUIRE(ends_take(&e.client, &p));
	CHECK_EQ(p.f.length, 32);
	hex_is(p.body, "9a80430e4e31a07b99d517b8f0ec34bddbcc78279de093a9062d345316c8a527");
	CHECK_EQ(ends_give(&e.server, &p, NULL), COH_HANDSHAKE_DONE);
	REQUIRE(ends_take(&e.server, &p));
	CHECK_EQ(p.f.length, 16 + 8 + 32);
	hex_is(p.body, "77777777777777777777777777777777");
	hex_is(p.body + 16, "0000000000000001");
	hex_is(p.body + 24, "b61694f7a26a6af7da610bef09f728e9f3fa136d28991e72d32a4ff2688c6248");
	CHECK_EQ(ends_give(&e.client, &p, NULL), COH_HANDSHAKE_DONE);
	ends_close(&e);
}

TEST(handshake, sends_the_hellos_of_the_document)
{
	static const char client[] = "COH1C\1\1\1\0\1\0\0\0\0";
	static const char server[] = "COH1S\1\0\1\0\0\0\0";
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	REQUIRE(ends_take(&e.client, &p));
	CHECK_EQ(p.f.type, COH_FRAME_CLIENT_HELLO);
	CHECK_EQ(p.f.length, 14 + 32 + 16 + 5 + 3 + 20);
	CHECK_MEM(p.body, client, 14);
	CHECK_MEM(p.body + 14 + 32 + 16, "\4demo\2w1\23tcp:127.0.0.1:47000", 5 + 3 + 20);
	REQUIRE_EQ(ends_give(&e.server, &p, NULL), COH_HANDSHAKE_MORE);
	REQUIRE(ends_take(&e.server, &p));
	CHECK_EQ(p.f.type, COH_FRAME_SERVER_HELLO);
	CHECK_EQ(p.f.length, 12 + 32 + 16 + 5 + 4 + 20);
	CHECK_MEM(p.body, server, 12);
	CHECK_MEM(p.body + 12 + 32 + 16, "\4demo\3mgr\23tcp:127.0.0.1:47000", 5 + 4 + 20);
	ends_close(&e);
}

TEST(handshake, tells_each_end_who_the_other_is)
{
	struct ends e;

	ends_open(&e);
	e.server.config.epoch = UINT64_C(0xfedcba9876543210);
	ends_begin(&e);
	ends_run(&e, 4);
	CHECK_STR(e.client.hs.peer.name, "mgr");
	CHECK_STR(e.server.hs.peer.name, "w1");
	CHECK_MEM(e.client.hs.peer.uuid, e.server.uuid, COH_HANDSHAKE_UUID);
	CHECK_MEM(e.server.hs.peer.uuid, e.client.uuid, COH_HANDSHAKE_UUID);
	CHECK_STR(e.client.hs.peer.address, "tcp:127.0.0.1:47000");
	CHECK_STR(e.server.hs.peer.address, "tcp:127.0.0.1:47000");
	CHECK_MEM(e.client.hs.peer.session, e.server.hs.peer.session, COH_HANDSHAKE_SESSION);
	CHECK_EQ(e.client.hs.peer.epoch, UINT64_C(0xfedcba9876543210));
	CHECK_EQ(e.server.hs.peer.epoch, UINT64_C(0xfedcba9876543210));
	CHECK_EQ(e.client.hs.peer.version, COH_HANDSHAKE_VERSION);
	CHECK_EQ(e.server.hs.peer.version, COH_HANDSHAKE_VERSION);
	ends_close(&e);
}

TEST(handshake, is_new_every_time)
{
	unsigned char session[COH_HANDSHAKE_SESSION], nonce[COH_HANDSHAKE_NONCE];
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	ends_begin(&e);
	ends_run(&e, 4);
	memcpy(session, e.client.hs.peer.session, sizeof session);
	memcpy(nonce, e.client.hs.nonce, sizeof nonce);
	CHECK(memcmp(nonce, e.server.hs.nonce, sizeof nonce) != 0);
	ends_begin(&e);
	ends_run(&e, 4);
	CHECK(memcmp(session, e.client.hs.peer.session, sizeof session) != 0);
	CHECK(memcmp(nonce, e.client.hs.nonce, sizeof nonce) != 0);
	ends_close(&e);
}

TEST(handshake, server_says_nothing_first)
{
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_silent(&e.server);
	ends_close(&e);
}

TEST(handshake, gives_each_frame_to_send_once)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	REQUIRE(ends_take(&e.client, &p));
	ends_silent(&e.client);
	REQUIRE_EQ(ends_give(&e.server, &p, NULL), COH_HANDSHAKE_MORE);
	REQUIRE(ends_take(&e.server, &p));
	ends_silent(&e.server);
	ends_close(&e);
}

/* What both ends make of a handshake that the server ends at the client's hello. */
static void server_refuses(struct ends *e, int code, enum coh_handshake_refusal byte,
    const char *hint)
{
	struct cohort_error err = {0};
	struct parcel p;

	ends_begin(e);
	CHECK_EQ(ends_pass(&e->client, &e->server, &err), code);
	CHECK_EQ(err.code, code);
	CHECK_HAS(err.text, "handshake with ");
	CHECK_HAS(err.text, hint);
	REQUIRE(ends_take(&e->server, &p));
	CHECK_EQ(p.f.type, COH_FRAME_REFUSE);
	CHECK_EQ(p.f.length, 1);
	CHECK_EQ(p.body[0], byte);
	CHECK_EQ(ends_give(&e->client, &p, &err), code);
	CHECK_HAS(err.text, "it refused: ");
	ends_silent(&e->client);
	ends_silent(&e->server);
}

/* Admits whom ARG, an int, says: 0, or a code. */
static int admit_as_told(
    const struct coh_handshake_peer *peer, void *arg, struct cohort_error *err)
{
	const int *code = arg;

	CHECK_STR(peer->name, "w1");
	CHECK_EQ(peer->uuid[0], 0xc0);
	return *code == 0 ? 0 : coh_fail(err, *code, "said the test");
}

TEST(handshake, asks_whom_to_admit_of_those_who_proved_the_key)
{
	static const struct {
		int code;
		enum coh_handshake_refusal byte;
	} cases[] = {{COHORT_ENAME, COH_REFUSE_NAME}, {COHORT_EBUSY, COH_REFUSE_BUSY}};
	struct cohort_error err = {0};
	struct ends e;
	int code = 0;

	ends_open(&e);
	e.server.config.admit = admit_as_told;
	e.server.config.admit_arg = &code;
	ends_begin(&e);
	ends_run(&e, 4);
	for (int i = 0; i < 2; i++) {
		code = cases[i].code;
		ends_begin(&e);
		ends_run(&e, 2);
		CHECK_EQ(ends_pass(&e.client, &e.server, &err), code);
		CHECK_HAS(err.text, "w1 is not admitted: said the test");
		ends_refuses(&e.server, cases[i].byte);
		CHECK(e.server.hs.peer.name[0] == '\0');
	}
	ends_close(&e);
}

TEST(handshake, tells_the_client_that_its_name_is_taken)
{
	struct cohort_error err = {0};
	struct ends e;
	int code = COHORT_ENAME;

	ends_open(&e);
	e.server.config.admit = admit_as_told;
	e.server.config.admit_arg = &code;
	ends_begin(&e);
	ends_run(&e, 2);
	CHECK_EQ(ends_pass(&e.client, &e.server, &err), COHORT_ENAME);
	CHECK_EQ(ends_pass(&e.server, &e.client, &err), COHORT_ENAME);
	CHECK_HAS(err.text, "another peer of our name");
	ends_close(&e);
}

TEST(handshake, with_this_very_process_is_refused)
{
	struct ends e;

	ends_open(&e);
	memcpy(e.client.uuid, e.server.uuid, sizeof e.client.uuid);
	server_refuses(&e, COHORT_ESELF, COH_REFUSE_SELF, "it is this very process");
	ends_close(&e);
}

TEST(handshake, with_another_cluster_is_refused)
{
	struct ends e;

	ends_open(&e);
	e.client.config.cluster = "demo2";
	server_refuses(&e, COHORT_ECLUSTER, COH_REFUSE_CLUSTER,
	    "w1 belongs to cluster demo2, we to demo");
	ends_close(&e);
}

TEST(handshake, dialled_at_another_local_address_is_refused)
{
	struct ends e;

	ends_open(&e);
	e.client.config.address = "tcp:127.0.0.1:47001";
	server_refuses(&e, COHORT_EADDR, COH_REFUSE_ADDRESS,
	    "w1 dialled tcp:127.0.0.1:47001, this is tcp:127.0.0.1:47000");
	ends_close(&e);
}

TEST(handshake, through_a_translated_address_is_allowed_from_far_away)
{
	struct ends e;

	ends_open(&e);
	e.client.config.reach = e.server.config.reach = COH_HANDSHAKE_REMOTE;
	e.client.config.address = "tcp:192.0.2.1:47000";
	ends_begin(&e);
	ends_run(&e, 4);
	CHECK_STR(e.server.hs.peer.address, "tcp:192.0.2.1:47000");
	ends_close(&e);
}

/* The client alone must see it, when the server does not look. */
static void client_refuses(struct ends *e, int code, enum coh_handshake_refusal byte)
{
	struct cohort_error err = {0};

	ends_begin(e);
	ends_run(e, 1);
	CHECK_EQ(ends_pass(&e->server, &e->client, &err), code);
	CHECK_EQ(err.code, code);
	ends_refuses(&e->client, byte);
}

TEST(handshake, client_looks_at_the_address_too)
{
	struct ends e;

	ends_open(&e);
	e.server.config.reach = COH_HANDSHAKE_REMOTE;
	e.server.config.address = "tcp:127.0.0.1:47001";
	client_refuses(&e, COHORT_EADDR, COH_REFUSE_ADDRESS);
	ends_close(&e);
}

TEST(handshake, with_our_own_nonce_is_an_echo)
{
	struct ends e;

	ends_open(&e);
	e.client.nonce = e.server.nonce;
	server_refuses(&e, COHORT_EAUTH, COH_REFUSE_AUTH, "our own nonce came back");
	ends_close(&e);
}

/* Byte OFFSET of the server's hello as BYTE, on its way to the client. */
static int altered_server_hello(
    struct ends *e, size_t offset, unsigned char byte, struct cohort_error *err)
{
	struct parcel p;

	ends_begin(e);
	ends_run(e, 1);
	REQUIRE(ends_take(&e->server, &p));
	REQUIRE(p.body[offset] != byte);
	p.body[offset] = byte;
	return ends_give(&e->client, &p, err);
}

TEST(handshake, client_looks_at_what_the_server_chose)
{
	struct cohort_error err = {0};
	struct ends e;

	ends_open(&e);
	CHECK_EQ(altered_server_hello(&e, 5, 2, &err), COHORT_EVERSION);
	CHECK_HAS(err.text, "we speak versions 1 to 1, mgr chose 2");
	ends_refuses(&e.client, COH_REFUSE_VERSION);
	CHECK_EQ(altered_server_hello(&e, 7, 2, &err), COHORT_EVERSION);
	CHECK_HAS(err.text, "mgr chose suite 0002, offered was 0001");
	CHECK_EQ(altered_server_hello(&e, 11, 1, &err), COH_HANDSHAKE_MORE);
	CHECK_EQ(e.client.hs.peer.features, 1);
	CHECK_EQ(altered_server_hello(&e, 5, 0, &err), COHORT_EPROTOCOL);
	ends_close(&e);
}

/* A client's hello with suites 2 and 3 only. */
TEST(handshake, without_a_common_suite_is_refused)
{
	struct cohort_error err = {0};
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	REQUIRE(ends_take(&e.client, &p));
	memmove(p.body + 12, p.body + 10, p.f.length - 10);
	p.f.length += 2;
	p.body[7] = 2;
	memcpy(p.body + 8, "\0\2\0\3", 4);
	CHECK_EQ(ends_give(&e.server, &p, &err), COHORT_EVERSION);
	CHECK_HAS(err.text, "w1 offers 2 suites, none is 0001");
	ends_refuses(&e.server, COH_REFUSE_VERSION);
	ends_close(&e);
}

/* Our suite among others of the future is found: the version was not raised for those. */
TEST(handshake, finds_the_suite_among_sixteen)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	REQUIRE(ends_take(&e.client, &p));
	memmove(p.body + 40, p.body + 10, p.f.length - 10);
	p.f.length += 30;
	p.body[7] = 16;
	memset(p.body + 8, 0x7f, 30);
	memcpy(p.body + 38, "\0\1", 2);
	CHECK_EQ(ends_give(&e.server, &p, NULL), COH_HANDSHAKE_MORE);
	ends_close(&e);
}

static void skew(struct ends *e, const uint8_t client[2], const uint8_t server[2])
{
	uint8_t best = client[1] < server[1] ? client[1] : server[1];

	e->client.config.version_min = client[0];
	e->client.config.version_max = client[1];
	e->server.config.version_min = server[0];
	e->server.config.version_max = server[1];
	if (best < client[0] || best < server[0]) {
		server_refuses(e, COHORT_EVERSION, COH_REFUSE_VERSION, "we speak versions ");
		return;
	}
	ends_begin(e);
	ends_run(e, 4);
	CHECK_EQ(e->client.hs.peer.version, best);
	CHECK_EQ(e->server.hs.peer.version, best);
}

TEST(handshake, agrees_on_the_highest_version_of_both)
{
	static const uint8_t ranges[][2] = {{1, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 4}, {1, 4}, {255, 255}};
	const size_t n = sizeof ranges / sizeof *ranges;
	struct ends e;

	ends_open(&e);
	for (size_t i = 0; i < n * n; i++)
		skew(&e, ranges[i / n], ranges[i % n]);
	ends_close(&e);
}

TEST(handshake, without_a_common_version_names_both)
{
	struct ends e;

	ends_open(&e);
	e.client.config.version_min = 2;
	e.client.config.version_max = 3;
	server_refuses(&e, COHORT_EVERSION, COH_REFUSE_VERSION,
	    "we speak versions 1 to 1, w1 2 to 3");
	ends_close(&e);
}

TEST(handshake, with_a_wrong_key_fails_on_the_server_and_is_told_in_one_byte)
{
	struct cohort_error err = {0};
	struct cohort_key *other;
	struct parcel p;
	struct ends e;

	ends_open(&e);
	REQUIRE_EQ(cohort_key_new(&other, "another key, of 32 bytes, wrong.", 32, NULL), 0);
	e.client.config.key = other;
	ends_begin(&e);
	ends_run(&e, 2);
	CHECK_EQ(ends_pass(&e.client, &e.server, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "the proof of w1 is wrong");
	REQUIRE(ends_take(&e.server, &p));
	CHECK_EQ(p.f.type, COH_FRAME_REFUSE);
	CHECK_EQ(p.f.length, 1);
	CHECK_EQ(p.body[0], COH_REFUSE_AUTH);
	CHECK_EQ(ends_give(&e.client, &p, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "is the key the same at both ends?");
	cohort_key_free(other);
	ends_close(&e);
}

TEST(handshake, client_says_nothing_after_its_proof)
{
	struct cohort_error err = {0};
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_run(&e, 3);
	REQUIRE(ends_take(&e.server, &p));
	p.body[p.f.length - 1] ^= 1;
	CHECK_EQ(ends_give(&e.client, &p, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "the proof of mgr is wrong: it does not hold the key");
	ends_silent(&e.client);
	ends_close(&e);
}

TEST(handshake, session_and_epoch_are_under_the_proof)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	for (size_t i = 0; i < 16 + 8; i++) {
		ends_begin(&e);
		ends_run(&e, 3);
		REQUIRE(ends_take(&e.server, &p));
		p.body[i] ^= 0x40;
		CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

TEST(handshake, refusal_has_six_meanings)
{
	static const int codes[] = {COHORT_EPROTOCOL, COHORT_EAUTH, COHORT_EVERSION, COHORT_ESELF,
	    COHORT_ECLUSTER, COHORT_EADDR, COHORT_EBUSY};
	struct parcel p = {.f = {.type = COH_FRAME_REFUSE, .length = 1}};
	struct ends e;

	ends_open(&e);
	for (int byte = 0; byte < 256; byte++) {
		ends_begin(&e);
		ends_run(&e, byte % 4);
		p.body[0] = (unsigned char)byte;
		CHECK_EQ(ends_give(byte % 2 == 0 ? &e.client : &e.server, &p, NULL),
		    byte % 4 == 3 ? COHORT_EPROTOCOL : codes[byte <= 6 ? byte : 0]);
	}
	ends_close(&e);
}

TEST(handshake, codes_become_refusals_and_what_has_none_is_auth)
{
	CHECK_EQ(coh_handshake_refusal(COHORT_EAUTH), COH_REFUSE_AUTH);
	CHECK_EQ(coh_handshake_refusal(COHORT_EVERSION), COH_REFUSE_VERSION);
	CHECK_EQ(coh_handshake_refusal(COHORT_ESELF), COH_REFUSE_SELF);
	CHECK_EQ(coh_handshake_refusal(COHORT_ECLUSTER), COH_REFUSE_CLUSTER);
	CHECK_EQ(coh_handshake_refusal(COHORT_EADDR), COH_REFUSE_ADDRESS);
	CHECK_EQ(coh_handshake_refusal(COHORT_EBUSY), COH_REFUSE_BUSY);
	CHECK_EQ(coh_handshake_refusal(COHORT_EPROTOCOL), COH_REFUSE_AUTH);
	CHECK_EQ(coh_handshake_refusal(COHORT_ENAME), COH_REFUSE_AUTH);
	CHECK_EQ(coh_handshake_refusal(COHORT_EKEY), COH_REFUSE_AUTH);
}

static int init_with(struct ends *e, struct cohort_error *err)
{
	*err = (struct cohort_error){0};
	return coh_handshake_init(&e->client.hs, &e->client.config, err);
}

TEST(handshake, of_our_own_bad_names_does_not_begin)
{
	static const char *const bad[] = {"", "a b", "a/b", "a\n", "\xc3\xa4",
	    "12345678901234567890123456789012345678901234567890123456789012345"};
	struct cohort_error err;
	struct ends e;

	ends_open(&e);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e.client.config.name = bad[i];
		CHECK_EQ(init_with(&e, &err), COHORT_ENAME);
		ends_silent(&e.client);
		e.client.config.name = "w1";
		e.client.config.cluster = bad[i];
		CHECK_EQ(init_with(&e, &err), COHORT_ENAME);
		e.client.config.cluster = "demo";
	}
	e.client.config.name = "1234567890123456789012345678901234567890123456789012345678901234";
	CHECK_EQ(init_with(&e, &err), 0);
	ends_close(&e);
}

TEST(handshake, of_our_own_bad_address_or_versions_does_not_begin)
{
	char address[COH_HANDSHAKE_ADDRESS_MAX + 2];
	struct cohort_error err;
	struct ends e;

	ends_open(&e);
	memset(address, 'a', sizeof address);
	address[COH_HANDSHAKE_ADDRESS_MAX] = '\0';
	e.client.config.address = address;
	CHECK_EQ(init_with(&e, &err), 0);
	address[COH_HANDSHAKE_ADDRESS_MAX] = 'a';
	address[COH_HANDSHAKE_ADDRESS_MAX + 1] = '\0';
	CHECK_EQ(init_with(&e, &err), COHORT_EADDRESS);
	e.client.config.address = "";
	CHECK_EQ(init_with(&e, &err), COHORT_EADDRESS);
	e.client.config.address = "a";
	e.client.config.version_min = 2;
	e.client.config.version_max = 1;
	CHECK_EQ(init_with(&e, &err), COHORT_EARGUMENT);
	ends_close(&e);
}

static int no_random(void *out, size_t n, void *arg)
{
	(void)out;
	(void)n;
	(void)arg;
	return COHORT_EAUTH;
}

TEST(handshake, without_random_bytes_does_not_go_on)
{
	struct cohort_error err;
	struct ends e;

	ends_open(&e);
	e.client.config.random = no_random;
	CHECK_EQ(init_with(&e, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "no random bytes");
	ends_silent(&e.client);
	e.client.config.random = e.server.config.random;
	e.server.config.random = no_random;
	ends_begin(&e);
	CHECK_EQ(ends_pass(&e.client, &e.server, &err), COHORT_EAUTH);
	e.server.config.random = e.client.config.random;
	ends_begin(&e);
	ends_run(&e, 2);
	e.server.hs.config.random = no_random; /* for the session */
	CHECK_EQ(ends_pass(&e.client, &e.server, &err), COHORT_EAUTH);
	ends_refuses(&e.server, COH_REFUSE_AUTH);
	ends_close(&e);
}

TEST(handshake, in_a_child_forked_after_loading_the_key_does_not_begin)
{
	struct cohort_error err;
	struct ends e;
	int status;
	pid_t pid;

	ends_open(&e);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(init_with(&e, &err) == COHORT_EKEY ? 42 : 1);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	ends_close(&e);
}

TEST(handshake, leaves_nothing_behind)
{
	static const struct coh_handshake zero;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_run(&e, 4);
	coh_handshake_fini(&e.client.hs);
	CHECK_MEM(&e.client.hs, &zero, sizeof zero);
	coh_handshake_fini(&e.client.hs);
	ends_close(&e);
}

TEST(handshake, that_failed_has_forgotten_the_peer)
{
	static const struct coh_handshake_peer nobody;
	struct parcel p;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_run(&e, 2);
	REQUIRE(ends_take(&e.client, &p));
	p.body[0] ^= 1;
	CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EAUTH);
	CHECK_MEM(&e.server.hs.peer, &nobody, sizeof nobody);
	p.body[0] ^= 1; /* the right proof, one try too late */
	CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EPROTOCOL);
	ends_close(&e);
}

#define THREADS 4

static void *shake_often(void *key)
{
	struct ends e;

	ends_open(&e);
	ends_randomize(&e);
	e.client.config.key = e.server.config.key = key;
	for (int i = 0; i < 100; i++) {
		ends_begin(&e);
		ends_run(&e, 4);
	}
	ends_close(&e);
	return NULL;
}

TEST(handshake, of_many_threads_with_one_key_do_not_disturb_each_other)
{
	struct cohort_key *key;
	pthread_t threads[THREADS];

	REQUIRE_EQ(cohort_key_new(&key, "one key of 32 bytes for them all", 32, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		REQUIRE_EQ(pthread_create(&threads[i], NULL, shake_often, key), 0);
	for (int i = 0; i < THREADS; i++)
		REQUIRE_EQ(pthread_join(threads[i], NULL), 0);
	cohort_key_free(key);
}
