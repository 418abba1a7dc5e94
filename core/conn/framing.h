/*
 * framing.h - how frames look on the wire, when it is not our own 24 bytes (wire/frame.h).
 *
 * A connection with a framing carries plain bytes only: every frame that comes is BYTES, and
 * nothing but BYTES can be sent.  Pure functions: any thread.
 */
#ifndef COH_CONN_FRAMING_H
#define COH_CONN_FRAMING_H

#include "wire/frame.h"

struct cohort_conn;

struct coh_framing {
	/*
	 * Read the header at IN, of which HELD bytes (maybe none) have come.  1: F is filled and the
	 * header took *SIZE bytes; 0: more bytes are needed; COHORT_EPROTOCOL, COHORT_ETOOBIG.
	 */
	int (*decode)(struct coh_frame *f, const unsigned char *in, size_t held, size_t *size,
	    struct cohort_error *err);
	/* Write the header of F; how many bytes, at most COH_FRAME_SIZE. */
	size_t (*encode)(const struct coh_frame *f, unsigned char out[COH_FRAME_SIZE]);
};

/* True when C speaks another framing than ours. */
bool coh_conn_is_foreign(const struct cohort_conn *c);

/*
 * From now on C speaks FRAMING (borrowed for ever; NULL: ours); nothing may be held for sending, unless
 * it looks the same in both.
 */
void coh_conn_set_framing(struct cohort_conn *c, const struct coh_framing *framing);

#endif
