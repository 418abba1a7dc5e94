/*
 * codec_tpl.h - formats with arrays: one message's worth of tpl.
 *
 * One direction at a time: empty, then either packed and dumped, or opened and unpacked,
 * then reset.  Each call may be made from any thread, one at a time per codec.
 */
#ifndef COH_WIRE_CODEC_TPL_H
#define COH_WIRE_CODEC_TPL_H

#include "wire/codec.h"

struct coh_codec_tpl;

/* Empty, for messages of F, which has an array.  NULL when there is no memory. */
struct coh_codec_tpl *coh_codec_tpl_new(const struct coh_format *f);

/* Release C and everything unpacked from it; NULL is fine. */
void coh_codec_tpl_free(struct coh_codec_tpl *c);

/* Make C empty; what was unpacked from it is gone. */
void coh_codec_tpl_reset(struct coh_codec_tpl *c);

/* Put the values of INDEX.  0, COHORT_ETOOBIG (C is as it was), -ENOMEM (C is empty). */
int coh_codec_tpl_pack(struct coh_codec_tpl *c, int index, va_list ap);

/* Append the image of what was packed to OUT.  0, COHORT_ETOOBIG, -ENOMEM. */
int coh_codec_tpl_dump(struct coh_codec_tpl *c, struct coh_buf *out);

/*
 * Begin to unpack IMAGE, which was checked and stays where it is until C is reset.
 * 0, -ENOMEM (C is empty).
 */
int coh_codec_tpl_open(struct coh_codec_tpl *c, const void *image, size_t size);

/*
 * The next values of INDEX; strings and bytes are C's until it is reset.  1, 0 (no element
 * left), -ENOMEM: an element was lost, so every later call fails alike until C is reset.
 */
int coh_codec_tpl_unpack(struct coh_codec_tpl *c, int index, va_list ap);

#endif
