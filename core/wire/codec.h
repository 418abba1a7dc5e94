/*
 * codec.h - typed values to bytes and back by tpl; the inside of struct cohort_message.
 *
 * A format is parsed once (coh_format_get) into a table.  Formats without arrays are
 * written and read in place: no tpl call, bytes lent out of the image, strings copied out of
 * it once.  Formats with arrays go through tpl, in an arena of the message's own.  Every image
 * from outside passes coh_codec_check before either.
 */
#ifndef COH_WIRE_CODEC_H
#define COH_WIRE_CODEC_H

#include "base/buf.h"

#include <cohort/message.h>
#include <stdarg.h>
#include <stdbool.h>

#define COH_FORMAT_PARTS 32 /* parts that hold a value */
#define COH_FORMAT_DEPTH 8
#define COH_FORMAT_LENGTH 128

struct coh_format;

/*
 * The parsed form of TEXT: found, or parsed and kept for the life of the process.  Any thread.
 * NULL with ERR filled: COHORT_EFORMAT, -ENOMEM.
 */
const struct coh_format *coh_format_get(const char *text, struct cohort_error *err);
const char *coh_format_text(const struct coh_format *f);

/* No array in it: coh_codec_pack and coh_codec_unpack apply. */
bool coh_format_flat(const struct coh_format *f);

/* How many values INDEX has, -1 when there is no such index. */
int coh_format_parts(const struct coh_format *f, int index);

/*
 * Check the SIZE bytes at IMAGE, from anyone, against F.  After 0, tpl_load and every unpack
 * of it succeed within the budget of memory (4 x COHORT_MESSAGE_MAX).
 * COHORT_EFORMAT, COHORT_ECODEC, COHORT_ETOOBIG.
 */
int coh_codec_check(const struct coh_format *f, const void *image, size_t size,
    struct cohort_error *err);

/*
 * Flat formats: append the image of the values that AP points at to OUT.
 * 0, COHORT_ETOOBIG, -ENOMEM.
 */
int coh_codec_pack(const struct coh_format *f, struct coh_buf *out, va_list ap);

/*
 * Flat formats: the values out of an image that was checked, into what AP points at.  Bytes
 * point into IMAGE; strings, which have no NUL there, into STRINGS, which is emptied first:
 * both live as long as those two stay as they are.  The same image into the same STRINGS
 * gives the same pointers again.  0 or -ENOMEM (only with a string in the format).
 */
int coh_codec_unpack(
    const struct coh_format *f, const void *image, struct coh_buf *strings, va_list ap);

/* As the public calls of the same name, from a va_list. */
int coh_message_pack(struct cohort_message *m, int index, va_list ap);
int coh_message_unpack(struct cohort_message *m, int index, va_list ap);

/* As cohort_message_load, but IMAGE is borrowed until M is reset, loaded or freed. */
int coh_message_borrow(
    struct cohort_message *m, const void *image, size_t size, struct cohort_error *err);

/*
 * As cohort_message_load, for DATA that somebody else may change meanwhile: it is copied first and
 * checked then.  DATA is not M's own.  After -ENOMEM nothing was looked at.
 */
int coh_message_load_copy(
    struct cohort_message *m, const void *data, size_t size, struct cohort_error *err);

/*
 * Empty M, and have room for an image of SIZE bytes in it; *SIZE becomes what there is room for.  NULL: no memory,
 * or over COHORT_MESSAGE_MAX.  Write the image there, then call coh_message_filled with its size, which loads it as
 * cohort_message_load does.
 */
void *coh_message_room(struct cohort_message *m, size_t *size);
int coh_message_filled(struct cohort_message *m, size_t size, struct cohort_error *err);

/* A new message of an already parsed format; NULL when there is no memory. */
struct cohort_message *coh_message_new(const struct coh_format *f);

#endif
