/*
 * message.h - typed values in one block of bytes: a tpl image of a known format.
 *
 * A format is a tpl format string of these parts:
 *
 *   c  char, int8_t     i  int32_t    u  uint32_t    f  double
 *   j  int16_t          I  int64_t    U  uint64_t    s  a string (const char *)
 *   v  uint16_t                                      B  bytes (struct cohort_bytes)
 *   A(...)  any number of elements of the parts inside; may be nested
 *
 * such as "s", "iB", "A(sU)" or "sA(iA(s))".  S(...), $(...) and # of tpl are refused.  A
 * format has at most 32 parts that hold a value and arrays nested 8 deep; it may be empty
 * ("": no value at all).
 *
 * As in tpl, index 0 is everything outside arrays, and each A( counts on from 1, in the
 * order of the opening brackets.  Values are passed by pointer, one pointer for each part
 * of that index in its order, so that packing and unpacking read alike:
 *
 *	cohort_message_pack(m, 1, &word, &count);      once an element of "A(sU)"
 *	while (cohort_message_unpack(m, 1, &word, &count) > 0) ...
 *
 * Inner arrays are packed before the element that holds them, and unpacked after it.
 *
 * A message belongs to one thread at a time.  It survives fork like any memory.
 */
#ifndef COHORT_MESSAGE_H
#define COHORT_MESSAGE_H

#include <cohort/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_message;

/* What "B" packs and unpacks.  Unpacked bytes belong to the message; see unpack. */
struct cohort_bytes {
	const void *data;
	size_t size;
};

/* No message is larger than this, header apart, in bytes (trust: frame limit). */
#define COHORT_MESSAGE_MAX ((size_t)64 << 20)

/*
 * A new, empty message of FORMAT.  Borrows FORMAT; gives the message, free it with
 * cohort_message_free.  A format is parsed once in a process, then found again.
 *
 * Returns 0, COHORT_EFORMAT (the sentence shows where), -ENOMEM.
 */
COHORT_API int cohort_message_new(
    struct cohort_message **out, const char *format, struct cohort_error *err);

/* Release M and everything unpacked from it.  NULL is fine. */
COHORT_API void cohort_message_free(struct cohort_message *m);

/* Make M empty again, ready to be packed; its memory is kept for the next use. */
COHORT_API void cohort_message_reset(struct cohort_message *m);

/* The format M was made with.  Lives for ever. */
COHORT_API const char *cohort_message_format(const struct cohort_message *m);

/*
 * Put the values of INDEX into M: with index 0 once for the whole message (again replaces
 * the values), with a higher index once for each element.
 * Borrows every pointer, and what strings and bytes point at, for the call only.  A NULL
 * string stays a NULL string; a string ends at its first NUL.  A message whose index 0 has
 * parts must have it packed before it is sent.
 *
 * Returns 0, COHORT_EARGUMENT (no such index), COHORT_ETOOBIG, COHORT_ESTATE (M holds a
 * received message: reset it first), -ENOMEM.  On failure M is as it was, or, after
 * -ENOMEM, empty.
 */
COHORT_API int cohort_message_pack(struct cohort_message *m, int index, ...);

/*
 * Take the next values of INDEX out of M into what the pointers point at.  Index 0 can be
 * taken any number of times; a higher index gives the next element at each call.  Strings
 * and bytes that come out are M's: they are valid until M is reset, freed or receives again.
 * Bytes may begin at any address; of no bytes the pointer is NULL.
 *
 * Returns 1, 0 (no element left), COHORT_EARGUMENT (no such index), COHORT_ESTATE (nothing
 * was loaded or received), -ENOMEM (an element of an array may be lost by it, so every later
 * call returns the same until M is reset or receives again).
 */
COHORT_API int cohort_message_unpack(struct cohort_message *m, int index, ...);

/*
 * The tpl image of what is packed or was loaded; ready for `tpl_load` by anyone.  The bytes
 * are M's, valid until M is next packed, loaded, reset or freed.
 *
 * Returns 0, COHORT_ESTATE (index 0 not packed), COHORT_ETOOBIG, -ENOMEM.
 */
COHORT_API int cohort_message_image(
    struct cohort_message *m, const void **data, size_t *size);

/*
 * Fill M from the tpl image of SIZE bytes at DATA (copied), which may come from a stranger:
 * it is checked in full against M's format before anything reads it.
 *
 * Returns 0, COHORT_EFORMAT (an image of another format: the sentence names both),
 * COHORT_ECODEC (not a valid image: the sentence says at which byte and why),
 * COHORT_ETOOBIG, -ENOMEM.  On failure M is empty.
 */
COHORT_API int cohort_message_load(
    struct cohort_message *m, const void *data, size_t size, struct cohort_error *err);

#ifdef __cplusplus
}
#endif
#endif
