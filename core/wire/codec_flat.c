/*
 * codec_flat.c - formats without arrays, written and read in place as tpl images.
 *
 * Most messages are a few numbers and a string.  Through tpl each costs a tree of nodes made
 * and torn down, on both sides; here one pass measures, one writes, and reading is a walk
 * over the image.  The images are those of tpl to the byte (a test compares them).
 *
 * A string has no NUL in an image (its length says where it ends), so strings are copied out
 * once, behind each other; bytes are lent out of the image.  Refused: writing the NULs into
 * the image itself, which must stay fit to be passed on.
 */
#include "wire/codec_priv.h"

#include <string.h>

static int measure_counted(struct coh_values *v, uint8_t i, size_t size)
{
	if (size > COHORT_MESSAGE_MAX)
		return COHORT_ETOOBIG;
	v->size[i] = (uint32_t)size;
	v->total += size;
	return 0;
}

int coh_codec_measure(
    const struct coh_format *f, int index, struct coh_values *v, va_list ap)
{
	const struct coh_index *x = &f->index[index];
	int rc = 0;

	v->total = x->least;
	for (uint8_t i = 0; i < x->count && rc == 0; i++) {
		char type = f->part[f->order[x->first + i]].type;

		v->at[i] = va_arg(ap, const void *);
		if (type == 's') {
			const char *s = *(const char *const *)v->at[i];

			rc = measure_counted(v, i, s != NULL ? strlen(s) : 0);
		} else if (type == 'B') {
			rc = measure_counted(v, i, ((const struct cohort_bytes *)v->at[i])->size);
		}
	}
	return rc == 0 && v->total > COHORT_MESSAGE_MAX ? COHORT_ETOOBIG : rc;
}

/* A number of SIZE bytes; the switch lets the compiler use one move each. */
static void move_number(void *to, const void *from, uint8_t size)
{
	switch (size) {
	case 1:
		memcpy(to, from, 1);
		break;
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	default:
		memcpy(to, from, 8);
		break;
	}
}

static unsigned char *put_counted(
    unsigned char *out, uint32_t stated, const void *data, uint32_t size)
{
	memcpy(out, &stated, sizeof stated);
	if (size != 0)
		memcpy(out + sizeof stated, data, size);
	return out + sizeof stated + size;
}

static unsigned char *put_value(
    unsigned char *out, const struct coh_part *part, const void *at, uint32_t size)
{
	const char *s;

	switch (part->type) {
	case 's':
		s = *(const char *const *)at;
		return put_counted(out, s != NULL ? size + 1 : 0, s, size);
	case 'B':
		return put_counted(out, size, ((const struct cohort_bytes *)at)->data, size);
	default:
		move_number(out, at, part->size);
		return out + part->size;
	}
}

int coh_codec_pack(const struct coh_format *f, struct coh_buf *out, va_list ap)
{
	struct coh_values v;
	unsigned char *start, *p;
	uint32_t size;
	int rc = coh_codec_measure(f, 0, &v, ap);

	if (rc == 0 && v.total + f->head_size > COHORT_MESSAGE_MAX)
		rc = COHORT_ETOOBIG;
	if (rc == 0)
		rc = coh_buf_reserve(out, v.total + f->head_size);
	if (rc != 0)
		return rc;
	size = (uint32_t)v.total + f->head_size;
	start = out->data + out->tail;
	memcpy(start, f->head, f->head_size);
	memcpy(start + 4, &size, sizeof size);
	p = start + f->head_size;
	for (uint8_t i = 0; i < f->values; i++)
		p = put_value(p, &f->part[i], v.at[i], v.size[i]);
	out->tail += size;
	return 0;
}

/* Bytes that the strings of IMAGE take with their NULs. */
static size_t strings_size(const struct coh_format *f, const unsigned char *p)
{
	size_t sum = 0;
	uint32_t n;

	for (uint8_t i = 0; i < f->parts; i++) {
		n = f->part[i].type == 's' || f->part[i].type == 'B' ? coh_image_u32(p) : 0;
		p += f->part[i].size;
		if (f->part[i].type == 's') {
			sum += n;
			n -= n != 0;
		}
		p += n;
	}
	return sum;
}

/* A string of N bytes counting its NUL out of the image at P; where the image goes on. */
static const unsigned char *get_string(
    struct coh_buf *strings, const unsigned char *p, uint32_t n, const char **out)
{
	char *to;

	*out = NULL;
	if (n == 0)
		return p;
	*out = to = (char *)strings->data + strings->tail;
	memcpy(to, p, n - 1);
	to[n - 1] = '\0';
	strings->tail += n;
	return p + (n - 1);
}

static const unsigned char *get_value(
    const struct coh_part *part, const unsigned char *p, struct coh_buf *strings, void *at)
{
	uint32_t n;

	switch (part->type) {
	case 's':
		return get_string(strings, p + 4, coh_image_u32(p), at);
	case 'B':
		n = coh_image_u32(p);
		*(struct cohort_bytes *)at =
		    (struct cohort_bytes){.data = n != 0 ? p + 4 : NULL, .size = n};
		return p + 4 + n;
	default:
		move_number(at, p, part->size);
		return p + part->size;
	}
}

int coh_codec_unpack(
    const struct coh_format *f, const void *image, struct coh_buf *strings, va_list ap)
{
	const unsigned char *p = (const unsigned char *)image + f->head_size;
	int rc;

	if (f->strings) {
		strings->head = strings->tail = 0;
		rc = coh_buf_reserve(strings, strings_size(f, p));
		if (rc != 0)
			return rc;
	}
	for (uint8_t i = 0; i < f->parts; i++)
		p = get_value(&f->part[i], p, strings, va_arg(ap, void *));
	return 0;
}
