/*
 * fuzz_frame.c - a stream of bytes, read as the headers of frames in one phase.
 *
 * What must hold of any 24 bytes: they are refused with a sentence and one of three codes,
 * or they are a frame that may come in this phase, within its limit, and writing it again
 * gives the same bytes.  PLANT: the limit on the length is forgotten for one type.
 */
#include "base/object.h"
#include "wire/frame.h"

#include <string.h>

#define HEADERS 8 /* of one input, each a byte further on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct coh_frame *f, const unsigned char *in, enum coh_frame_phase phase,
    struct cohort_error *err)
{
	int rc = coh_frame_decode(f, in, phase, err);

#ifdef PLANT
	if (rc == COHORT_ETOOBIG && in[3] == COH_FRAME_CLIENT_PROOF)
		rc = 0;
#endif
	return rc;
}

static void check_refused(int rc, const struct cohort_error *err)
{
	COH_ASSERT(rc == COHORT_EPROTOCOL || rc == COHORT_EVERSION || rc == COHORT_ETOOBIG);
	COH_ASSERT(err->code == rc);
	COH_ASSERT(strlen(err->text) > 10 && strlen(err->text) < sizeof err->text - 1);
}

static void check_taken(
    const struct coh_frame *f, const unsigned char *in, enum coh_frame_phase phase)
{
	unsigned char again[COH_FRAME_SIZE];
	bool legal;
	uint32_t limit = coh_frame_limit(f->type, phase, &legal);

	COH_ASSERT(legal && f->length <= limit);
	COH_ASSERT(phase != COH_PHASE_STRANGER || f->length <= COH_FRAME_STRANGER_MAX);
	COH_ASSERT(f->length <= 64u << 20);
	COH_ASSERT(strcmp(coh_frame_name(f->type), "?") != 0);
	coh_frame_encode(f, again);
	COH_ASSERT(memcmp(again, in, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum coh_frame_phase phase;

	if (size == 0)
		return 0;
	phase = data[0] % COH_PHASE_COUNT;
	data++;
	size--;
	for (int n = 0; n < HEADERS && size >= COH_FRAME_SIZE; n++, data++, size--) {
		struct cohort_error err = {0};
		struct coh_frame f = {0};
		int rc = decode(&f, data, phase, &err);

		if (rc != 0)
			check_refused(rc, &err);
		else
			check_taken(&f, data, phase);
	}
	return 0;
}
