/*
 * test_dialect_framing.c - Python's headers: what is a length and what is not.
 */
#include "python/framing.h"
#include "support/test.h"

#include <cohort/message.h>
#include <limits.h>
#include <string.h>

/* What was read out of a header. */
struct read {
	int rc;
	struct coh_frame f;
	size_t size;
	struct cohort_error err;
};

static struct read decode(const struct coh_framing *framing, const char *bytes, size_t held)
{
	struct read r = {0};
	unsigned char in[16];

	memcpy(in, bytes, held);
	r.rc = framing->decode(&r.f, in, held, &r.size, &r.err);
	return r;
}

static void is(const char *bytes, size_t held, uint32_t length)
{
	struct read r = decode(&coh_framing_python_data, bytes, held);

	CHECK_EQ(r.rc, 1);
	CHECK_EQ(r.f.type, COH_FRAME_BYTES);
	CHECK_EQ(r.f.length, length);
	CHECK_EQ(r.size, held < 12 ? 4 : 12);
	for (size_t n = 0; n < r.size; n++)
		CHECK_EQ(decode(&coh_framing_python_data, bytes, n).rc, 0);
}

TEST(dialect_framing, reads_both_forms)
{
	is("\0\0\0\0", 4, 0);
	is("\0\0\0\x3b", 4, 59);
	is("\x04\0\0\0", 4, COHORT_MESSAGE_MAX);
	is("\xff\xff\xff\xff\0\0\0\0\0\0\0\0", 12, 0);
	is("\xff\xff\xff\xff\0\0\0\0\0\0\0\x05", 12, 5);
	is("\xff\xff\xff\xff\0\0\0\0\x04\0\0\0", 12, COHORT_MESSAGE_MAX);
}

static void is_not(const struct coh_framing *framing, const char *bytes, size_t held, int code)
{
	struct read r = decode(framing, bytes, held);

	CHECK_EQ(r.rc, code);
	CHECK_EQ(r.err.code, code);
	CHECK(strlen(r.err.text) > 20);
}

TEST(dialect_framing, refuses_other_negative_lengths)
{
	is_not(&coh_framing_python_data, "\xff\xff\xff\xfe", 4, COHORT_EPROTOCOL);
	is_not(&coh_framing_python_data, "\xff\xff\xff\x9c", 4, COHORT_EPROTOCOL);
	is_not(&coh_framing_python_data, "\x80\0\0\0", 4, COHORT_EPROTOCOL);
}

TEST(dialect_framing, refuses_what_is_too_big)
{
	is_not(&coh_framing_python_data, "\x04\0\0\x01", 4, COHORT_ETOOBIG);
	is_not(&coh_framing_python_data, "\x7f\xff\xff\xff", 4, COHORT_ETOOBIG);
	is_not(&coh_framing_python_data, "\xff\xff\xff\xff\0\0\0\x01\0\0\0\0", 12, COHORT_ETOOBIG);
	is_not(&coh_framing_python_data, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12,
	    COHORT_ETOOBIG);
}

TEST(dialect_framing, takes_256_bytes_in_the_handshake_and_guesses_who_says_more)
{
	const struct coh_framing *greeting = &coh_framing_python_greeting;

	CHECK_EQ(decode(greeting, "\0\0\x01\0", 4).rc, 1);
	CHECK_EQ(decode(greeting, "\xff\xff\xff\xff\0\0\0\0\0\0\x01\0", 12).rc, 1);
	is_not(greeting, "\0\0\x01\x01", 4, COHORT_ETOOBIG);
	is_not(greeting, "\xff\xff\xff\xff\0\0\0\0\0\0\x01\x01", 12, COHORT_ETOOBIG);
	CHECK_HAS(decode(greeting, "\x16\x03\x01\x02", 4).err.text, "TLS");
	CHECK_HAS(decode(greeting, "\x43\xc7\x01\x01", 4).err.text, "Cohort's own");
	CHECK_HAS(decode(greeting, "GET ", 4).err.text, "multiprocessing.connection?");
	CHECK_HAS(decode(greeting, "\xff\xff\xff\x9c", 4).err.text, "-100 bytes");
}

TEST(dialect_framing, writes_four_bytes)
{
	struct coh_frame f = {.type = COH_FRAME_BYTES, .length = 59};
	unsigned char out[COH_FRAME_SIZE];

	CHECK_EQ(coh_framing_python_greeting.encode(&f, out), 4);
	CHECK_MEM(out, "\0\0\0\x3b", 4);
	f.length = COHORT_MESSAGE_MAX;
	CHECK_EQ(coh_framing_python_data.encode(&f, out), 4);
	CHECK_MEM(out, "\x04\0\0\0", 4);
}
