/*
 * fuzz_python_frame.c - a stream of Python's messages, as it arrives in pieces.
 *
 * Input: the stream.  It is cut into messages by the header reader, once with each header whole at
 * once and once byte by byte: both must find the same, no length beyond the limit, and end at the
 * same place.  Re-encoding the short form gives the header that was read.
 * PLANT: a negative length is an empty message, as it is to CPython.
 */
#include "base/buf.h"
#include "base/object.h"
#include "python/dialect.h"
#include "python/framing.h"

#include <cohort/message.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(const struct coh_framing *framing, struct coh_frame *f, const uint8_t *in,
    size_t held, size_t *header)
{
	struct cohort_error err = {0};
	int rc = framing->decode(f, in, held, header, &err);

#ifdef PLANT
	if (rc == COHORT_EPROTOCOL) {
		*f = (struct coh_frame){.type = COH_FRAME_BYTES};
		*header = 4;
		return 1;
	}
#endif
	COH_ASSERT(rc >= 0 || (err.code == rc && strlen(err.text) > 20));
	return rc;
}

static void check_header(const uint8_t *in, size_t header, const struct coh_frame *f, size_t limit)
{
	unsigned char again[COH_FRAME_SIZE];

	COH_ASSERT(f->type == COH_FRAME_BYTES && f->length <= limit);
	COH_ASSERT(header == 4 || header == 12);
	if (header == 12) {
		COH_ASSERT(coh_get_u32(in) == UINT32_MAX && coh_get_u64(in + 4) == f->length);
		return;
	}
	COH_ASSERT(coh_framing_python_data.encode(f, again) == 4);
	COH_ASSERT(memcmp(again, in, 4) == 0);
}

static void stream(
    const struct coh_framing *framing, size_t limit, const uint8_t *data, size_t size)
{
	struct coh_frame whole, slow;
	size_t header, slow_header, held;
	int rc, slow_rc;

	for (size_t at = 0; at < size; at += header + whole.length) {
		rc = decode(framing, &whole, data + at, size - at, &header);
		for (held = 0, slow_rc = 0; slow_rc == 0 && held <= size - at; held++)
			slow_rc = decode(framing, &slow, data + at, held, &slow_header);
		COH_ASSERT(rc == slow_rc);
		if (rc != 1)
			return;
		COH_ASSERT(slow_header == header && slow.length == whole.length);
		check_header(data + at, header, &whole, limit);
		if (whole.length > size - at)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	stream(&coh_framing_python_greeting, COH_DIALECT_MESSAGE_MAX, data, size);
	stream(&coh_framing_python_data, COHORT_MESSAGE_MAX, data, size);
	return 0;
}
