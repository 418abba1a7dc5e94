/* test_frame.c - the 24 bytes in front of every message. */
#include "support/test.h"
#include "wire/frame.h"

#include <cohort/message.h>
#include <string.h>

#define PHASES(stranger, user, member, shared)                                                      \
	((stranger) | (user) << 1 | (member) << 2 | (shared) << 3)

/* Every type there is, with the phases it may come in and its limit: the test's own list. */
static const struct {
	uint8_t type;
	unsigned phases;
	uint32_t limit;
	const char *name;
} types[] = {
    {0x01, PHASES(1, 0, 0, 0), 1024, "CLIENT_HELLO"},
    {0x02, PHASES(1, 0, 0, 0), 1024, "SERVER_HELLO"},
    {0x03, PHASES(1, 0, 0, 0), 1024, "CLIENT_PROOF"},
    {0x04, PHASES(1, 0, 0, 0), 1024, "SERVER_PROOF"},
    {0x05, PHASES(1, 0, 0, 0), 1, "REFUSE"},
    {0x10, PHASES(0, 1, 0, 0), 64 << 20, "MESSAGE"},
    {0x11, PHASES(0, 1, 0, 0), 64 << 20, "BYTES"},
    {0x12, PHASES(0, 1, 1, 1), 64 << 10, "PING"},
    {0x13, PHASES(0, 1, 1, 1), 64 << 10, "PONG"},
    {0x14, PHASES(0, 1, 1, 1), 0, "BEAT"},
    {0x15, PHASES(0, 1, 1, 1), 0, "CREDIT"},
    {0x16, PHASES(0, 1, 1, 1), 24, "OPEN"},
    {0x17, PHASES(0, 1, 1, 1), 64 << 10, "SLICE"},
    {0x18, PHASES(0, 1, 0, 0), 64 << 20, "PASS"},
    {0x19, PHASES(0, 1, 1, 1), 24, "BLOCK"},
    {0x1a, PHASES(0, 1, 1, 1), 0, "BLOCK_BACK"},
    {0x1b, PHASES(0, 1, 0, 0), 64 << 10, "FILE"},
    {0x20, PHASES(0, 0, 1, 0), 64 << 10, "HELLO"},
    {0x21, PHASES(0, 0, 1, 0), COHORT_MESSAGE_MAX, "JOB"},
    {0x22, PHASES(0, 0, 1, 0), 64 << 10, "REGISTRY"},
    {0x23, PHASES(0, 0, 1, 0), 64 << 20, "SETUP"},
    {0x24, PHASES(0, 0, 1, 0), 0, "READY"},
    {0x25, PHASES(0, 0, 1, 0), 64 << 10, "FAILED"},
    {0x30, PHASES(0, 0, 1, 0), 64 << 20, "TASK"},
    {0x31, PHASES(0, 0, 1, 0), 64 << 20, "RESULT"},
    {0x32, PHASES(0, 0, 1, 0), 64 << 10, "ERROR"},
    {0x33, PHASES(0, 0, 1, 1), 0, "CANCEL"},
    {0x40, PHASES(0, 0, 0, 1), 64 << 10, "ATTACH"},
    {0x41, PHASES(0, 0, 0, 1), 64 << 20, "CALL"},
    {0x42, PHASES(0, 0, 0, 1), 64 << 20, "REPLY"},
    {0x43, PHASES(0, 0, 0, 1), 0, "DETACH"},
    {0x44, PHASES(0, 0, 0, 1), 0, "RING"},
};
#define TYPES (int)(sizeof types / sizeof *types)

static int decode_of(uint8_t type, uint32_t length, int phase, struct cohort_error *err)
{
	struct coh_frame f = {.type = type, .length = length}, got;
	unsigned char bytes[COH_FRAME_SIZE];

	coh_frame_encode(&f, bytes);
	return coh_frame_decode(&got, bytes, (enum coh_frame_phase)phase, err);
}

static int decode_text(const char *text, struct cohort_error *err)
{
	unsigned char bytes[COH_FRAME_SIZE] = {0};
	struct coh_frame got;

	memcpy(bytes, text, strnlen(text, sizeof bytes));
	return coh_frame_decode(&got, bytes, COH_PHASE_STRANGER, err);
}

TEST(frame, header_is_laid_out_as_the_protocol_says)
{
	static const unsigned char want[COH_FRAME_SIZE] = {0x43, 0xc7, 1, 0x30, 0, 0, 1, 2, 3, 4, 5,
	    6, 7, 8, 9, 10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
	struct coh_frame f = {.type = COH_FRAME_TASK, .length = 0x102, .channel = 0x3040506,
	    .flags = 0x708090a, .id = 0x1112131415161718};
	unsigned char got[COH_FRAME_SIZE];

	coh_frame_encode(&f, got);
	CHECK_MEM(got, want, sizeof want);
}

TEST(frame, decode_gives_back_what_was_encoded)
{
	struct coh_frame f = {.type = COH_FRAME_RESULT, .length = 64 << 20, .channel = UINT32_MAX,
	    .flags = UINT32_MAX, .id = UINT64_MAX};
	unsigned char bytes[COH_FRAME_SIZE];
	struct coh_frame got = {0};

	coh_frame_encode(&f, bytes);
	REQUIRE_EQ(coh_frame_decode(&got, bytes, COH_PHASE_MEMBER, NULL), 0);
	CHECK_EQ(got.type, f.type);
	CHECK_EQ(got.length, f.length);
	CHECK_EQ(got.channel, f.channel);
	CHECK_EQ(got.flags, f.flags);
	CHECK_EQ(got.id, f.id);
}

TEST(frame, each_type_is_legal_in_its_phases_only)
{
	for (int type = 0; type < 256; type++)
		for (int phase = 0; phase < COH_PHASE_COUNT; phase++) {
			int want = COHORT_EPROTOCOL;

			for (int i = 0; i < TYPES; i++)
				if (types[i].type == type && (types[i].phases >> phase & 1) != 0)
					want = 0;
			if (!CHECK_EQ(decode_of((uint8_t)type, 0, phase, NULL), want))
				FAIL("type 0x%02x in phase %d", type, phase);
		}
}

TEST(frame, each_type_has_its_limit)
{
	struct cohort_error err;

	for (int i = 0; i < TYPES; i++)
		for (int phase = 0; phase < COH_PHASE_COUNT; phase++) {
			if ((types[i].phases >> phase & 1) == 0)
				continue;
			CHECK_EQ(decode_of(types[i].type, types[i].limit, phase, NULL), 0);
			CHECK_EQ(decode_of(types[i].type, types[i].limit + 1, phase, &err),
			    COHORT_ETOOBIG);
			CHECK_HAS(err.text, types[i].name);
			CHECK_EQ(decode_of(types[i].type, UINT32_MAX, phase, NULL), COHORT_ETOOBIG);
		}
}

TEST(frame, too_big_names_what_was_got_and_what_is_allowed)
{
	struct cohort_error err;

	CHECK_EQ(decode_of(COH_FRAME_CLIENT_HELLO, 4294967295u, COH_PHASE_STRANGER, &err),
	    COHORT_ETOOBIG);
	CHECK_HAS(err.text, "4294967295");
	CHECK_HAS(err.text, "1024");
	CHECK_HAS(err.text, "before authentication");
}

TEST(frame, limit_tells_legal_and_empty_apart)
{
	bool legal = false;

	CHECK_EQ(coh_frame_limit(COH_FRAME_CANCEL, COH_PHASE_MEMBER, &legal), 0);
	CHECK(legal);
	CHECK_EQ(coh_frame_limit(COH_FRAME_CANCEL, COH_PHASE_USER, &legal), 0);
	CHECK(!legal);
	CHECK_EQ(coh_frame_limit(0xff, COH_PHASE_USER, &legal), 0);
	CHECK(!legal);
}

TEST(frame, type_out_of_phase_is_named)
{
	struct cohort_error err;

	CHECK_EQ(decode_of(COH_FRAME_TASK, 0, COH_PHASE_STRANGER, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "TASK may not come before authentication");
	CHECK_EQ(decode_of(0x77, 0, COH_PHASE_USER, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "0x77");
}

TEST(frame, other_version_is_refused_by_number)
{
	unsigned char bytes[COH_FRAME_SIZE];
	struct coh_frame f = {.type = COH_FRAME_CLIENT_HELLO}, got;
	struct cohort_error err;

	coh_frame_encode(&f, bytes);
	bytes[2] = 9;
	CHECK_EQ(coh_frame_decode(&got, bytes, COH_PHASE_STRANGER, &err), COHORT_EVERSION);
	CHECK_HAS(err.text, "version 9");
}

TEST(frame, foreign_protocols_are_guessed)
{
	static const struct {
		const char *text, *who;
	} peers[] = {
	    {"GET / HTTP/1.1\r\nHost: a\r\n", "looks like HTTP"},
	    {"POST / HTTP/1.1\r\nHost: a\r\n", "looks like HTTP"},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "looks like HTTP/2"},
	    {"\x16\x03\x01\x02", "looks like TLS"},
	    {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "looks like SSH"},
	    {"something else altogether", "does not speak Cohort: got 73 6f 6d 65, every"},
	};
	struct cohort_error err;

	for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
		CHECK_EQ(decode_text(peers[i].text, &err), COHORT_EPROTOCOL);
		CHECK_HAS(err.text, peers[i].who);
		CHECK_EQ(decode_text(peers[i].text, NULL), COHORT_EPROTOCOL);
	}
}

TEST(frame, header_out_of_step_by_any_number_of_bytes_is_refused)
{
	struct coh_frame f = {.type = COH_FRAME_MESSAGE, .length = 5, .id = 7}, got;
	unsigned char bytes[2 * COH_FRAME_SIZE];

	coh_frame_encode(&f, bytes);
	coh_frame_encode(&f, bytes + COH_FRAME_SIZE);
	for (int shift = 1; shift < COH_FRAME_SIZE; shift++)
		CHECK_EQ(coh_frame_decode(&got, bytes + shift, COH_PHASE_USER, NULL),
		    COHORT_EPROTOCOL);
}

TEST(frame, every_type_has_a_name)
{
	for (int i = 0; i < TYPES; i++)
		CHECK_STR(coh_frame_name(types[i].type), types[i].name);
	CHECK_STR(coh_frame_name(0), "?");
	CHECK_STR(coh_frame_name(0x34), "?");
	CHECK_STR(coh_frame_name(0xff), "?");
}
