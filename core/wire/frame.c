/*
 * frame.c - 24 bytes in front of every message, and what may come when.
 *
 * One table says for each type its name, the phases in which it is legal and the most bytes
 * it may carry there; nothing else in the tree knows.  A length is compared with its limit
 * here, before anybody reserves memory for it, and the limit before authentication is the
 * smallest.  When the first bytes are not ours the sentence says what they look like, since
 * a browser or a TLS client at the wrong port is by far the most frequent cause.
 *
 * Refused: a length of 64 bits (nothing may be that long), a checksum (TCP and TLS have
 * theirs; inside one machine there is nothing to catch).
 */
#include "wire/frame.h"

#include "base/buf.h"
#include "base/err.h"

#include <cohort/message.h>
#include <string.h>

#define IN_STRANGER (1u << COH_PHASE_STRANGER)
#define IN_USER (1u << COH_PHASE_USER)
#define IN_MEMBER (1u << COH_PHASE_MEMBER)
#define IN_SHARED (1u << COH_PHASE_SHARED)
#define IN_ALL (IN_USER | IN_MEMBER | IN_SHARED) /* who has shown the key */

struct kind {
	const char *name;
	unsigned phases;
	uint32_t limit;
};

#define STRANGER(what, bytes) {what, IN_STRANGER, bytes}
#define USER_DATA(what, phases) {what, phases, (uint32_t)COHORT_MESSAGE_MAX}
#define CONTROL(what, phases) {what, phases, COH_FRAME_CONTROL_MAX}
#define EMPTY(what, phases) {what, phases, 0}

static const struct kind kinds[] = {
    [COH_FRAME_CLIENT_HELLO] = STRANGER("CLIENT_HELLO", COH_FRAME_STRANGER_MAX),
    [COH_FRAME_SERVER_HELLO] = STRANGER("SERVER_HELLO", COH_FRAME_STRANGER_MAX),
    [COH_FRAME_CLIENT_PROOF] = STRANGER("CLIENT_PROOF", COH_FRAME_STRANGER_MAX),
    [COH_FRAME_SERVER_PROOF] = STRANGER("SERVER_PROOF", COH_FRAME_STRANGER_MAX),
    [COH_FRAME_REFUSE] = STRANGER("REFUSE", 1),
    [COH_FRAME_MESSAGE] = USER_DATA("MESSAGE", IN_USER),
    [COH_FRAME_BYTES] = USER_DATA("BYTES", IN_USER),
    [COH_FRAME_PING] = CONTROL("PING", IN_ALL),
    [COH_FRAME_PONG] = CONTROL("PONG", IN_ALL),
    [COH_FRAME_BEAT] = EMPTY("BEAT", IN_ALL),
    [COH_FRAME_CREDIT] = EMPTY("CREDIT", IN_ALL),
    [COH_FRAME_OPEN] = {"OPEN", IN_ALL, COH_FRAME_SIZE},
    [COH_FRAME_SLICE] = CONTROL("SLICE", IN_ALL),
    [COH_FRAME_PASS] = USER_DATA("PASS", IN_USER),
    [COH_FRAME_BLOCK] = {"BLOCK", IN_ALL, COH_FRAME_SIZE},
    [COH_FRAME_BLOCK_BACK] = EMPTY("BLOCK_BACK", IN_ALL),
    [COH_FRAME_FILE] = CONTROL("FILE", IN_USER),
    [COH_FRAME_HELLO] = CONTROL("HELLO", IN_MEMBER),
    [COH_FRAME_JOB] = USER_DATA("JOB", IN_MEMBER),
    [COH_FRAME_REGISTRY] = CONTROL("REGISTRY", IN_MEMBER),
    [COH_FRAME_SETUP] = USER_DATA("SETUP", IN_MEMBER),
    [COH_FRAME_READY] = EMPTY("READY", IN_MEMBER),
    [COH_FRAME_FAILED] = CONTROL("FAILED", IN_MEMBER),
    [COH_FRAME_TASK] = USER_DATA("TASK", IN_MEMBER),
    [COH_FRAME_RESULT] = USER_DATA("RESULT", IN_MEMBER),
    [COH_FRAME_ERROR] = CONTROL("ERROR", IN_MEMBER),
    [COH_FRAME_CANCEL] = EMPTY("CANCEL", IN_MEMBER | IN_SHARED),
    [COH_FRAME_ATTACH] = CONTROL("ATTACH", IN_SHARED),
    [COH_FRAME_CALL] = USER_DATA("CALL", IN_SHARED),
    [COH_FRAME_REPLY] = USER_DATA("REPLY", IN_SHARED),
    [COH_FRAME_DETACH] = EMPTY("DETACH", IN_SHARED),
    [COH_FRAME_RING] = EMPTY("RING", IN_SHARED),
};

static const char *const phase_names[COH_PHASE_COUNT] = {
    [COH_PHASE_STRANGER] = "before authentication",
    [COH_PHASE_USER] = "on a connection of the user's",
    [COH_PHASE_MEMBER] = "between a pool and its member",
    [COH_PHASE_SHARED] = "between a server of shared objects and a client",
};

/* What other protocols begin with. */
static const struct {
	const char *start;
	size_t size;
	const char *who;
} others[] = {
    {"\x16\x03", 2, "TLS"},
    {"\x15\x03", 2, "TLS; dial tls://"}, /* its alert, to us */
    {"GET ", 4, "HTTP"},
    {"HEAD", 4, "HTTP"},
    {"POST", 4, "HTTP"},
    {"PUT ", 4, "HTTP"},
    {"PRI ", 4, "HTTP/2"},
    {"OPTI", 4, "HTTP"},
    {"CONN", 4, "HTTP"},
    {"HTTP", 4, "HTTP"},
    {"SSH-", 4, "SSH"},
};

static const struct kind *kind_find(uint8_t type)
{
	if (type >= sizeof kinds / sizeof *kinds || kinds[type].name == NULL)
		return NULL;
	return &kinds[type];
}

void coh_frame_encode(const struct coh_frame *f, unsigned char out[COH_FRAME_SIZE])
{
	coh_put_u16(out, COH_FRAME_MAGIC);
	out[2] = COH_FRAME_VERSION;
	out[3] = f->type;
	coh_put_u32(out + 4, f->length);
	coh_put_u32(out + 8, f->channel);
	coh_put_u32(out + 12, f->flags);
	coh_put_u64(out + 16, f->id);
}

static int fail_magic(const unsigned char *in, struct cohort_error *err)
{
	const char *who = NULL;

	for (size_t i = 0; who == NULL && i < sizeof others / sizeof *others; i++)
		if (memcmp(in, others[i].start, others[i].size) == 0)
			who = others[i].who;
	return coh_fail(err, COHORT_EPROTOCOL,
	    "frame: the peer does not speak Cohort: got %02x %02x %02x %02x%s%s, every frame begins "
	    "with %02x %02x",
	    in[0], in[1], in[2], in[3], who != NULL ? ", which looks like " : "",
	    who != NULL ? who : "", COH_FRAME_MAGIC >> 8, COH_FRAME_MAGIC & 0xff);
}

static int fail_type(uint8_t type, enum coh_frame_phase phase, struct cohort_error *err)
{
	if (kind_find(type) == NULL)
		return coh_fail(err, COHORT_EPROTOCOL, "frame: there is no type 0x%02x", type);
	return coh_fail(err, COHORT_EPROTOCOL, "frame: %s may not come %s", coh_frame_name(type),
	    phase_names[phase]);
}

int coh_frame_decode(struct coh_frame *f, const unsigned char in[COH_FRAME_SIZE],
    enum coh_frame_phase phase, struct cohort_error *err)
{
	uint32_t limit;
	bool legal;

	if (coh_get_u16(in) != COH_FRAME_MAGIC)
		return fail_magic(in, err);
	if (in[2] != COH_FRAME_VERSION)
		return coh_fail(err, COHORT_EVERSION, "frame: got version %u, this side speaks %u",
		    in[2], COH_FRAME_VERSION);
	limit = coh_frame_limit(in[3], phase, &legal);
	if (!legal)
		return fail_type(in[3], phase, err);
	f->type = in[3];
	f->length = coh_get_u32(in + 4);
	f->channel = coh_get_u32(in + 8);
	f->flags = coh_get_u32(in + 12);
	f->id = coh_get_u64(in + 16);
	if (f->length > limit)
		return coh_fail(err, COHORT_ETOOBIG,
		    "frame: %s of %u bytes, %u are allowed %s", coh_frame_name(f->type), f->length,
		    limit, phase_names[phase]);
	return 0;
}

const char *coh_frame_name(uint8_t type)
{
	const struct kind *k = kind_find(type);

	return k != NULL ? k->name : "?";
}

uint32_t coh_frame_limit(uint8_t type, enum coh_frame_phase phase, bool *legal)
{
	const struct kind *k = kind_find(type);

	*legal = k != NULL && (k->phases & 1u << phase) != 0;
	return *legal ? k->limit : 0;
}
