/*
 * test_handshake_bytes.c - what the handshake makes of frames that no honest peer sends.
 */
#include "net/ends.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

/* A handshake in which the first N frames have been passed, and frame N taken into P. */
static struct end *ends_up_to(struct ends *e, int n, struct parcel *p)
{
	ends_begin(e);
	ends_run(e, n);
	REQUIRE(ends_take(n % 2 == 0 ? &e->client : &e->server, p));
	return n % 2 == 0 ? &e->server : &e->client;
}

/* The frame N was refused by TO: it is over for good, and at most one byte is told. */
static void ended(struct end *to, int n, int rc)
{
	struct parcel p;

	CHECK(rc < 0);
	if (n < 3) {
		REQUIRE(ends_take(to, &p));
		CHECK_EQ(p.f.type, COH_FRAME_REFUSE);
		CHECK_EQ(p.f.length, 1);
		CHECK(p.body[0] >= 1 && p.body[0] <= 5);
	}
	ends_silent(to);
}

TEST(handshake_bytes, cut_at_any_byte_are_refused)
{
	struct cohort_error err = {0};
	struct parcel p;
	struct ends e;

	ends_open(&e);
	for (int n = 0; n < 4; n++)
		for (uint32_t cut = 0;; cut++) {
			struct end *to = ends_up_to(&e, n, &p);
			int rc;

			if (cut == p.f.length)
				break;
			p.f.length = cut;
			rc = ends_give(to, &p, &err);
			CHECK(rc == COHORT_EPROTOCOL || rc == COHORT_ENAME);
			ended(to, n, rc);
		}
	ends_close(&e);
}

TEST(handshake_bytes, that_follow_a_body_are_refused)
{
	static const uint32_t more[] = {1, 2, 31, 32, 33, 255, 400};
	struct parcel p;
	struct ends e;

	ends_open(&e);
	for (size_t i = 0; i < 4 * sizeof more / sizeof *more; i++) {
		int n = (int)i % 4, rc;
		struct end *to = ends_up_to(&e, n, &p);

		memset(p.body + p.f.length, 0, more[i / 4]);
		p.f.length += more[i / 4];
		rc = ends_give(to, &p, NULL);
		CHECK_EQ(rc, COHORT_EPROTOCOL);
		ended(to, n, rc);
	}
	ends_close(&e);
}

/*
 * With bit BIT of frame N flipped, do both ends end well?  The last proof must be judged too,
 * so the rest is passed as far as it goes.
 */
static bool survives(struct ends *e, int n, uint32_t bit, bool *there)
{
	struct parcel p;
	int rc;
	struct end *to = ends_up_to(e, n, &p), *from = to == &e->server ? &e->client : &e->server;

	*there = bit / 8 < p.f.length;
	p.body[bit / 8] ^= (unsigned char)(1 << bit % 8);
	rc = ends_give(to, &p, NULL);
	for (n++; rc == COH_HANDSHAKE_MORE && n < 4; n++) {
		struct end *back = to;

		if (!ends_take(to, &p))
			return false;
		rc = ends_give(from, &p, NULL);
		to = from;
		from = back;
	}
	return rc == COH_HANDSHAKE_DONE;
}

TEST_TIMEOUT(handshake_bytes, with_any_bit_flipped_never_succeed, 60)
{
	struct ends e;
	bool there;

	ends_open(&e);
	for (int n = 0; n < 4; n++)
		for (uint32_t bit = 0;; bit++) {
			bool well = survives(&e, n, bit, &there);

			if (!there)
				break;
			if (well)
				FAIL("frame %d went through with bit %u flipped", n, bit);
		}
	ends_close(&e);
}

TEST(handshake_bytes, at_random_never_succeed)
{
	struct parcel p;
	struct ends e;

	ends_open(&e);
	for (int i = 0; i < 20000; i++) {
		int n = i % 4;
		struct end *to = ends_up_to(&e, n, &p);

		if (n < 2 || test_random_below(2) == 0)
			p.f.length = (uint32_t)test_random_below(COH_FRAME_STRANGER_MAX + 1);
		for (size_t k = test_random_below(2) * 5; k < p.f.length; k++)
			p.body[k] = (unsigned char)test_random();
		ended(to, n, ends_give(to, &p, NULL));
	}
	ends_close(&e);
}

/* Every type of frame in every state of both ends: only what is due is taken. */
TEST(handshake_bytes, of_a_frame_out_of_turn_are_refused)
{
	static const uint8_t due[2][5] = {
	    /* after 0, 1, 2, 3, 4 frames; the client has one to send first */
	    {COH_FRAME_SERVER_HELLO, COH_FRAME_SERVER_HELLO, COH_FRAME_SERVER_PROOF,
		COH_FRAME_SERVER_PROOF, 0},
	    {COH_FRAME_CLIENT_HELLO, COH_FRAME_CLIENT_PROOF, COH_FRAME_CLIENT_PROOF, 0, 0},
	};
	struct parcel p = {.f.length = 32};
	struct cohort_error err;
	struct ends e;

	ends_open(&e);
	for (int type = 0; type < 256; type++)
		for (int n = 0; n < 5; n++)
			for (int role = 0; role < 2; role++) {
				if (type == due[role][n] || type == COH_FRAME_REFUSE)
					continue;
				ends_begin(&e);
				ends_run(&e, n);
				p.f.type = (uint8_t)type;
				err.code = 0;
				CHECK_EQ(ends_give(role == 0 ? &e.client : &e.server, &p, &err),
				    COHORT_EPROTOCOL);
				CHECK_EQ(err.code, COHORT_EPROTOCOL);
			}
	ends_close(&e);
}

TEST(handshake_bytes, out_of_turn_are_named)
{
	struct parcel p = {.f = {.type = COH_FRAME_TASK, .length = 8}};
	struct cohort_error err;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	CHECK_EQ(ends_give(&e.server, &p, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "a TASK came where a ");
	ends_refuses(&e.server, COH_REFUSE_AUTH);
	ends_close(&e);
}

TEST(handshake_bytes, sent_too_early_take_back_the_servers_proof)
{
	struct parcel p = {.f = {.type = COH_FRAME_MESSAGE, .length = 8}};
	struct cohort_error err;
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_run(&e, 3);
	CHECK_EQ(ends_give(&e.server, &p, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "came after the end of it");
	ends_refuses(&e.server, COH_REFUSE_AUTH);
	ends_close(&e);
}

TEST(handshake_bytes, after_a_good_end_are_refused_without_an_answer)
{
	struct parcel p = {.f = {.type = COH_FRAME_REFUSE, .length = 1}, .body = {1}};
	struct ends e;

	ends_open(&e);
	ends_begin(&e);
	ends_run(&e, 4);
	CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EPROTOCOL);
	ends_silent(&e.server);
	CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EPROTOCOL);
	ends_silent(&e.client);
	ends_close(&e);
}

TEST(handshake_bytes, under_a_header_with_other_fields_set_are_refused)
{
	struct coh_frame *f;
	struct parcel p;
	struct ends e;

	ends_open(&e);
	for (int n = 0; n < 4; n++)
		for (int field = 0; field < 3; field++) {
			struct end *to = ends_up_to(&e, n, &p);

			f = &p.f;
			f->channel = field == 0;
			f->flags = field == 1;
			f->id = field == 2;
			CHECK_EQ(ends_give(to, &p, NULL), COHORT_EPROTOCOL);
		}
	ends_close(&e);
}

TEST(handshake_bytes, of_a_refusal_that_is_not_one_byte_are_refused)
{
	struct parcel p = {.f = {.type = COH_FRAME_REFUSE}, .body = {1, 1}};
	struct ends e;

	ends_open(&e);
	for (int i = 0; i < 2; i++) {
		p.f.length = i == 0 ? 0 : 2;
		ends_begin(&e);
		CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EPROTOCOL);
		ends_silent(&e.client);
		CHECK_EQ(ends_give(&e.server, &p, NULL), COHORT_EPROTOCOL);
		ends_silent(&e.server);
	}
	ends_close(&e);
}

/* The client's hello with NAME (SIZE bytes) for its own; what the server says to it. */
static int named(const void *name, size_t size, struct cohort_error *err)
{
	const size_t at = 14 + 32 + 16 + 5; /* where the known hello has "\2w1" */
	struct parcel p;
	struct ends e;
	int rc;

	ends_open(&e);
	ends_begin(&e);
	REQUIRE(ends_take(&e.client, &p));
	memmove(p.body + at + 1 + size, p.body + at + 3, p.f.length - at - 3);
	p.body[at] = (unsigned char)size;
	memcpy(p.body + at + 1, name, size);
	p.f.length = (uint32_t)(p.f.length - 2 + size);
	rc = ends_give(&e.server, &p, err);
	if (rc < 0)
		ends_refuses(&e.server, COH_REFUSE_AUTH);
	ends_close(&e);
	return rc;
}

TEST(handshake_bytes, of_a_hostile_name_are_refused_and_not_repeated)
{
	static const char *const bad[] = {"", " ", "a b", "../x", "a/b", "a\nb", "\033[2J", "%n%n",
	    "w\xc3\xa4", "w1;rm", "$HOME", "w1\x7f"};
	struct cohort_error err;
	char name[200];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK_EQ(named(bad[i], strlen(bad[i]), &err), COHORT_ENAME);
		CHECK(i < 2 || strstr(err.text, bad[i]) == NULL);
	}
	CHECK_EQ(named("a\0b", 3, &err), COHORT_ENAME);
	memset(name, 'a', sizeof name);
	CHECK_EQ(named(name, 64, &err), COH_HANDSHAKE_MORE);
	CHECK_EQ(named(name, 65, &err), COHORT_ENAME);
	CHECK_EQ(named(name, 200, &err), COHORT_ENAME);
	CHECK_EQ(named("A-z_0.9", 7, &err), COH_HANDSHAKE_MORE);
}

/* The client's hello with byte OFFSET as BYTE; what the server says to it. */
static int altered(size_t offset, unsigned char byte, struct cohort_error *err)
{
	struct parcel p;
	struct ends e;
	int rc;

	ends_open(&e);
	ends_begin(&e);
	REQUIRE(ends_take(&e.client, &p));
	p.body[offset] = byte;
	rc = ends_give(&e.server, &p, err);
	ends_close(&e);
	return rc;
}

TEST(handshake_bytes, of_an_offer_that_cannot_be_are_refused)
{
	struct cohort_error err;

	CHECK_EQ(altered(5, 2, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "its hello offers versions 2 to 1");
	CHECK_EQ(altered(5, 0, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "its hello offers versions 0 to 1");
	CHECK_EQ(altered(7, 0, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "its hello offers 0 suites, allowed are 1 to 16");
	CHECK_EQ(altered(7, 17, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "its hello offers 17 suites");
}

TEST(handshake_bytes, of_an_address_that_is_none_are_refused)
{
	const size_t at = 14 + 32 + 16 + 5 + 3; /* where the known hello has its address */
	struct cohort_error err;

	CHECK_EQ(altered(at, 0, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "the address in its hello is none");
	CHECK_EQ(altered(at, 192, &err), COHORT_EPROTOCOL);
	CHECK_EQ(altered(at + 1, '\n', &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "the address in its hello is none");
	CHECK_EQ(altered(at + 1, 0, &err), COHORT_EPROTOCOL);
	CHECK_EQ(altered(at + 1, 0x7f, &err), COHORT_EPROTOCOL);
}
