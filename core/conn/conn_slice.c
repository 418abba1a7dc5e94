/*
 * conn_slice.c - slices that come, made into the frame they are of.
 *
 * A slice is copied once, into a block that grows with what has come (at most double, and never
 * by what was claimed), and what it took of the window is given back at once: the frame's own
 * limit bounds the block.  When the last slice is there the frame is delivered from it.
 *
 * Only one transfer can be under way in each direction of a lane, and each phase slices frames in
 * one lane only, so one block is enough.
 */
#include "conn/conn_struct.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

#define FIRST ((size_t)256 << 10) /* of a block: four slices */
#define KEEP_MAX ((size_t)4 << 20) /* as conn_in.c */

/* Frames that may go in slices: those that may be large. */
static bool slice_of(uint8_t type, enum coh_frame_phase phase)
{
	bool legal;

	return coh_frame_limit(type, phase, &legal) > COH_FRAME_CONTROL_MAX && legal;
}

static int slice_fail(struct cohort_conn *c, const struct coh_frame *f, const char *what)
{
	return c->in.failure = coh_conn_fail(
		   c, COHORT_EPROTOCOL, "%s: %s", coh_frame_name(f->type), what);
}

/* Where the frames of this phase come in slices. */
static enum coh_session_lane slice_lane(const struct cohort_conn *c)
{
	return coh_frame_overtakes(c->phase) ? COH_LANE_BULK : COH_LANE_ORDERED;
}

static int slice_open(struct cohort_conn *c, const struct coh_frame *f, const void *body)
{
	struct coh_conn_in *in = &c->in;
	struct cohort_error err;

	if (!c->session.on || f->flags != COH_OPEN_FRAME || f->channel != slice_lane(c))
		return slice_fail(c, f, "nothing of this kind goes in this lane");
	if (f->length != COH_FRAME_SIZE ||
	    coh_frame_decode(&in->frame, body, c->phase, &err) != 0 ||
	    in->frame.length != f->id || in->frame.length <= COH_SESSION_SLICE ||
	    !slice_of(in->frame.type, c->phase))
		return slice_fail(c, f, "it announces no frame that can come in slices");
	if (coh_session_opened(&c->session, slice_lane(c), f->id) != 0)
		return slice_fail(c, f, "the one before it is not finished");
	in->parts_len = 0;
	return 0;
}

static int slice_room(struct coh_conn_in *in, size_t n)
{
	size_t cap = 2 * in->parts_len > FIRST ? 2 * in->parts_len : FIRST;
	unsigned char *p;

	if (in->parts_len + n <= in->parts_cap)
		return 0;
	cap = cap < in->frame.length ? cap : in->frame.length;
	p = coh_realloc(in->parts, cap);
	if (p == NULL)
		return -ENOMEM;
	in->parts = p;
	in->parts_cap = cap;
	return 0;
}

static int slice_bytes(struct cohort_conn *c, const struct coh_frame *f, const void *body)
{
	struct coh_conn_in *in = &c->in;
	int rc;

	if (slice_room(in, f->length) != 0)
		return coh_conn_fail_code(c, -ENOMEM); /* it stays where it is */
	rc = coh_session_sliced(&c->session, slice_lane(c), f->length);
	if (rc < 0)
		return slice_fail(c, f, "more bytes than its OPEN announced, or none");
	memcpy(in->parts + in->parts_len, body, f->length);
	in->parts_len += f->length;
	in->assembled = rc == 1;
	return rc;
}

int coh_conn_slice_came(struct cohort_conn *c, const struct coh_frame *f, const void *body)
{
	int rc;

	if (f->type == COH_FRAME_OPEN)
		rc = slice_open(c, f, body);
	else if (f->channel != slice_lane(c) || !c->session.way[slice_lane(c)].transfer)
		rc = slice_fail(c, f, "no OPEN came before it");
	else if (f->flags == COH_SLICE_BYTES)
		rc = slice_bytes(c, f, body);
	else
		rc = coh_session_given_up(&c->session, slice_lane(c));
	if (rc >= 0 && coh_conn_lane_counts(f))
		coh_conn_session_taken(
		    c, (enum coh_session_lane)f->channel, COH_FRAME_SIZE + (uint64_t)f->length);
	return rc;
}

void coh_conn_slice_settle(struct coh_conn_in *in)
{
	in->assembled = in->parts_lent = false;
	in->parts_len = 0;
	if (in->parts_cap <= KEEP_MAX)
		return;
	coh_free(in->parts);
	in->parts = NULL;
	in->parts_cap = 0;
}
