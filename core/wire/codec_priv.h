/*
 * codec_priv.h - the table a format is parsed into, shared by the files of the codec.
 *
 * The layout of a tpl image, as libtpl 1.6 writes it and this codec too:
 *
 *   "tpl", a byte of flags, uint32 length of the whole image, the format and its NUL, then
 *   the values in the order of the format: numbers as in memory; a string as uint32 length
 *   counting its NUL (0: a NULL string) and its bytes without the NUL; bytes as uint32
 *   length and the bytes; an array as uint32 count and its elements.
 *
 * Numbers are in the byte order of the writer, which a flag names.
 */
#ifndef COH_WIRE_CODEC_PRIV_H
#define COH_WIRE_CODEC_PRIV_H

#include "wire/codec.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the codec writes and accepts little-endian images only; see PROTOCOL.md"
#endif

#define COH_IMAGE_MAGIC "tpl"
#define COH_IMAGE_BIGENDIAN 1 /* flags: never written here, and refused */
#define COH_IMAGE_STRINGS 2   /* flags: set if and only if the format has an 's' */
#define COH_IMAGE_PREFIX 8    /* magic, flags, length */
#define COH_IMAGE_LEAST 9     /* the prefix and an empty format */

#define COH_FORMAT_ARRAYS (COH_FORMAT_LENGTH / 2) /* "A(" takes two characters */
#define COH_FORMAT_NODES (COH_FORMAT_PARTS + COH_FORMAT_ARRAYS)

/* One letter of a format. */
struct coh_part {
	char type;     /* a letter of message.h; 'A' for an array */
	uint8_t size;  /* bytes in the image; of s, B, A those of the uint32 in front */
	uint8_t index; /* of the array around it, 0 when there is none */
	uint8_t value; /* how many values are written before it; not for A */
	uint8_t inner; /* A: the index of its elements */
	uint8_t end;   /* A: the part behind its last one; its first is the next */
};

/* What one call of pack or unpack moves. */
struct coh_index {
	uint8_t first, count; /* its values: order[first] and on */
	uint8_t arrays;       /* directly inside an element */
	bool fixed;           /* every element has the same size: no s, B or A inside */
	uint32_t least;       /* bytes of the shortest element */
};

struct coh_format {
	struct coh_format *next; /* in its chain; guarded by the lock of format.c */
	char text[COH_FORMAT_LENGTH + 1];
	unsigned char head[COH_IMAGE_PREFIX + COH_FORMAT_LENGTH + 1]; /* of every image, length 0 */
	uint32_t head_size;
	bool flat, strings;
	uint8_t parts, values, indices;
	struct coh_part part[COH_FORMAT_NODES];
	struct coh_index index[1 + COH_FORMAT_ARRAYS];
	uint8_t order[COH_FORMAT_PARTS]; /* parts that hold a value, by index, then as written */
};

/* The pointers of one call, and what the values at them take in an image. */
struct coh_values {
	const void *at[COH_FORMAT_PARTS];
	uint32_t size[COH_FORMAT_PARTS]; /* strings and bytes, without the length in front */
	size_t total;
};

/*
 * Take the pointers of INDEX out of AP and measure what they point at.  0 or COHORT_ETOOBIG.
 * Strings and bytes are borrowed.
 */
int coh_codec_measure(
    const struct coh_format *f, int index, struct coh_values *v, va_list ap);

/* TEXT as it may be shown in a sentence: escaped and cut. */
#define COH_FORMAT_SHOWN 64
const char *coh_format_show(char out[COH_FORMAT_SHOWN], const char *text);

static inline uint32_t coh_image_u32(const unsigned char *p)
{
	uint32_t n;

	__builtin_memcpy(&n, p, sizeof n);
	return n;
}

#endif
