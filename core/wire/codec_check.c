/*
 * codec_check.c - is this a whole, honest image of that format?  Pure.
 *
 * tpl trusts what it is given: counts from 2^31 on, strings in the old layout, an image that
 * ends early make it read foreign memory or end the process (PROTOCOL.md lists the known
 * five).  So every image is walked here first, and nothing else in the library looks at one
 * that was not.  The rules:
 *
 *   - the flags are exactly what this library writes, the stated length is the real one, the
 *     format is the expected one to the byte, and the walk ends exactly at the end;
 *   - a length or count is compared with what is left before it is believed, in 64 bits;
 *   - a string has no NUL inside;
 *   - each step of the walk uses up at least one byte of the image (an array of nothing is
 *     no format), and arrays of plain numbers are skipped in one step, so the steps are
 *     bounded by the size; the depth by the format, which is ours.
 *
 * Unpacked, each string and each piece of bytes takes its length rounded up to 8 in an
 * arena, at most twice what it took in the image; that is the proof of the memory budget,
 * and the arena's own maximum its second lock.
 */
#include "wire/codec_priv.h"

#include "base/err.h"

#include <string.h>

#define LETTERS "AS($)BiucsfIUjv#" /* all that tpl can write into an image's format */

struct walk {
	const struct coh_format *f;
	const unsigned char *image;
	size_t at, size;
	struct cohort_error *err;
};

/* An array we are inside of. */
struct level {
	uint32_t left; /* elements, with the one under way */
	uint8_t first, end;
};

static size_t left(const struct walk *w)
{
	return w->size - w->at;
}

static int check_format(struct walk *w)
{
	const char *text = (const char *)w->image + COH_IMAGE_PREFIX;
	const char *end = memchr(text, '\0', w->size - COH_IMAGE_PREFIX);
	char got[COH_FORMAT_SHOWN], expected[COH_FORMAT_SHOWN];

	if (end == NULL)
		return coh_fail(w->err, COHORT_ECODEC, "tpl image: byte 8: a format without end");
	if (strcmp(text, w->f->text) == 0)
		return 0;
	coh_format_show(got, text);
	coh_format_show(expected, w->f->text);
	if (text[strspn(text, LETTERS)] != '\0')
		return coh_fail(w->err, COHORT_ECODEC,
		    "tpl image: byte 8: \"%s\" is no format, expected \"%s\"", got, expected);
	return coh_fail(w->err, COHORT_EFORMAT, "tpl image: it has the format \"%s\", expected \"%s\"",
	    got, expected);
}

static int check_flags(struct walk *w)
{
	unsigned got = w->image[3], allowed = w->f->head[3];

	if (got == allowed)
		return 0;
	return coh_fail(w->err, COHORT_ECODEC,
	    "tpl image: byte 3: flags %u, only %u is allowed with format \"%s\"%s", got, allowed,
	    w->f->text, (got & COH_IMAGE_BIGENDIAN) != 0 ? " (big-endian is not taken)" : "");
}

static int check_head(struct walk *w)
{
	uint32_t stated;
	int rc;

	if (w->size > COHORT_MESSAGE_MAX)
		return coh_fail(w->err, COHORT_ETOOBIG, "tpl image: %zu bytes, %zu are allowed",
		    w->size, COHORT_MESSAGE_MAX);
	if (w->size < COH_IMAGE_LEAST)
		return coh_fail(w->err, COHORT_ECODEC, "tpl image: %zu bytes, the shortest has %d",
		    w->size, COH_IMAGE_LEAST);
	if (memcmp(w->image, COH_IMAGE_MAGIC, 3) != 0)
		return coh_fail(w->err, COHORT_ECODEC,
		    "tpl image: byte 0: got %02x %02x %02x, an image begins with 74 70 6c",
		    w->image[0], w->image[1], w->image[2]);
	stated = coh_image_u32(w->image + 4);
	if (stated != w->size && (w->image[3] & COH_IMAGE_BIGENDIAN) == 0)
		return coh_fail(w->err, COHORT_ECODEC,
		    "tpl image: byte 4: it states %u bytes, %zu came", stated, w->size);
	rc = check_format(w);
	if (rc == 0)
		rc = check_flags(w);
	w->at = w->f->head_size;
	return rc;
}

static int fail_short(const struct walk *w, const char *what, uint64_t wanted)
{
	return coh_fail(w->err, COHORT_ECODEC,
	    "tpl image of \"%s\": byte %zu: %s of %llu bytes, %zu are left", w->f->text, w->at, what,
	    (unsigned long long)wanted, left(w));
}

/* The uint32 in front of a string, of bytes, of an array. */
static int take_u32(struct walk *w, uint32_t *n)
{
	*n = 0;
	if (left(w) < sizeof *n)
		return fail_short(w, "a length", sizeof *n);
	*n = coh_image_u32(w->image + w->at);
	w->at += sizeof *n;
	return 0;
}

static int check_number(struct walk *w, uint8_t size)
{
	if (left(w) < size)
		return fail_short(w, "a number", size);
	w->at += size;
	return 0;
}

static int check_bytes(struct walk *w)
{
	uint32_t n;
	int rc = take_u32(w, &n);

	if (rc == 0 && n > left(w))
		rc = fail_short(w, "bytes", n);
	if (rc == 0)
		w->at += n;
	return rc;
}

static int check_string(struct walk *w)
{
	const unsigned char *nul;
	uint32_t n;
	int rc = take_u32(w, &n);

	if (rc != 0 || n == 0) /* 0: a NULL string */
		return rc;
	n--;
	if (n > left(w))
		return fail_short(w, "a string", n);
	nul = memchr(w->image + w->at, '\0', n);
	if (nul != NULL)
		return coh_fail(w->err, COHORT_ECODEC,
		    "tpl image of \"%s\": byte %zu: a NUL inside a string", w->f->text,
		    (size_t)(nul - w->image));
	w->at += n;
	return 0;
}

/* The count of an array; its elements are skipped when all have the same size. */
static int check_count(struct walk *w, const struct coh_part *a, uint32_t *count)
{
	const struct coh_index *x = &w->f->index[a->inner];
	int rc = take_u32(w, count);

	if (rc != 0)
		return rc;
	if ((uint64_t)*count * x->least > left(w))
		return coh_fail(w->err, COHORT_ECODEC,
		    "tpl image of \"%s\": byte %zu: %u elements of at least %u bytes, %zu bytes are left",
		    w->f->text, w->at - sizeof *count, *count, x->least, left(w));
	if (x->fixed) {
		w->at += (size_t)*count * x->least;
		*count = 0;
	}
	return 0;
}

static int check_value(struct walk *w, const struct coh_part *part)
{
	switch (part->type) {
	case 's':
		return check_string(w);
	case 'B':
		return check_bytes(w);
	default:
		return check_number(w, part->size);
	}
}

static int check_body(struct walk *w)
{
	struct level stack[COH_FORMAT_DEPTH + 1] = {{.left = 1, .end = w->f->parts}};
	struct level *top = stack;
	const struct coh_part *part;
	uint8_t n = 0;
	uint32_t count;
	int rc = 0;

	while (rc == 0) {
		if (n == top->end) {
			if (--top->left != 0)
				n = top->first;
			else if (top == stack)
				break;
			else
				top--;
			continue;
		}
		part = &w->f->part[n++];
		if (part->type != 'A') {
			rc = check_value(w, part);
			continue;
		}
		rc = check_count(w, part, &count);
		if (rc == 0 && count != 0)
			*++top = (struct level){.left = count, .first = n, .end = part->end};
		else
			n = part->end;
	}
	if (rc == 0 && left(w) != 0)
		return coh_fail(w->err, COHORT_ECODEC,
		    "tpl image of \"%s\": byte %zu: %zu bytes behind the last value", w->f->text, w->at,
		    left(w));
	return rc;
}

int coh_codec_check(const struct coh_format *f, const void *image, size_t size,
    struct cohort_error *err)
{
	struct walk w = {.f = f, .image = image, .size = size, .err = err};
	int rc = check_head(&w);

	return rc == 0 ? check_body(&w) : rc;
}
