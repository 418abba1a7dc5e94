/*
 * framing.c - 4 bytes of length, or 12.
 *
 * Python's header has no magic: any bytes are some length, and only the limit tells that a peer speaks
 * something else.  So during the handshake, where the limit is low, the sentence guesses what.
 */
#include "python/framing.h"

#include "base/buf.h"
#include "base/err.h"
#include "python/dialect.h"

#include <cohort/message.h>
#include <inttypes.h>

#define SHORT 4
#define LONG 12

/* What speaks like this, for a sentence. */
static const char *guess(const unsigned char *in)
{
	if (in[0] == 0x16 && in[1] == 0x03)
		return "; it looks like TLS";
	if (coh_get_u16(in) == COH_FRAME_MAGIC)
		return "; it speaks Cohort's own protocol, not Python's";
	return "; is it Python's multiprocessing.connection?";
}

static int decode(struct coh_frame *f, const unsigned char *in, size_t held, size_t *size,
    size_t limit, struct cohort_error *err)
{
	uint64_t n;

	if (held < SHORT)
		return 0;
	*size = SHORT;
	n = coh_get_u32(in);
	if (n == UINT32_MAX) {
		if (held < LONG)
			return 0;
		*size = LONG;
		n = coh_get_u64(in + SHORT);
	} else if (n > INT32_MAX) {
		return coh_fail(err, COHORT_EPROTOCOL,
		    "a message of %" PRId32 " bytes; only -1 may stand for a length that follows%s",
		    (int32_t)(uint32_t)n, limit < COHORT_MESSAGE_MAX ? guess(in) : "");
	}
	if (n > limit)
		return coh_fail(err, COHORT_ETOOBIG,
		    "a message of %" PRIu64 " bytes, allowed are %zu%s", n, limit,
		    limit < COHORT_MESSAGE_MAX ? guess(in) : "");
	*f = (struct coh_frame){.type = COH_FRAME_BYTES, .length = (uint32_t)n};
	return 1;
}

static int decode_greeting(struct coh_frame *f, const unsigned char *in, size_t held, size_t *size,
    struct cohort_error *err)
{
	return decode(f, in, held, size, COH_DIALECT_MESSAGE_MAX, err);
}

static int decode_data(struct coh_frame *f, const unsigned char *in, size_t held, size_t *size,
    struct cohort_error *err)
{
	return decode(f, in, held, size, COHORT_MESSAGE_MAX, err);
}

static size_t encode(const struct coh_frame *f, unsigned char out[COH_FRAME_SIZE])
{
	_Static_assert(COHORT_MESSAGE_MAX <= INT32_MAX, "the short form serves for all");
	coh_put_u32(out, f->length);
	return SHORT;
}

const struct coh_framing coh_framing_python_greeting = {decode_greeting, encode};
const struct coh_framing coh_framing_python_data = {decode_data, encode};
