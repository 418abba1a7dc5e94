/*
 * message.c - typed values in one block of bytes, in one direction at a time.
 *
 *   empty --pack--> packed --image--> packed
 *   empty --load--> loaded --unpack--> loaded        reset: back to empty
 *
 * A message holds an image (its own copy, or one that it borrowed) and, for formats with
 * arrays, tpl's view of it, made when the first value is asked for: a message that is only
 * passed on costs its check and nothing more.  What a message keeps for its next use is
 * bounded, so that one large message does not pin its size for ever.
 */
#include "base/err.h"
#include "base/mem.h"
#include "wire/codec_priv.h"
#include "wire/codec_tpl.h"

#include <errno.h>
#include <string.h>

#define KEEP (64u << 10) /* bytes of each buffer that a reset keeps */

enum message_state { MESSAGE_EMPTY, MESSAGE_PACKED, MESSAGE_LOADED };

struct cohort_message {
	const struct coh_format *format;
	enum message_state state;
	bool outside; /* packed: index 0 is in it */
	bool dumped;  /* packed: `image` holds the image of all that was packed */
	bool opened;  /* loaded: `rows` reads `data` */
	const void *data; /* loaded: the image, in `image` or borrowed */
	size_t size;
	struct coh_buf image;
	struct coh_buf strings;     /* of a flat format, unpacked */
	struct coh_codec_tpl *rows; /* of a format with arrays; NULL until needed */
};

struct cohort_message *coh_message_new(const struct coh_format *f)
{
	struct cohort_message *m = coh_calloc(sizeof *m);

	if (m == NULL)
		return NULL;
	m->format = f;
	coh_buf_init(&m->image, COHORT_MESSAGE_MAX);
	coh_buf_init(&m->strings, COHORT_MESSAGE_MAX);
	return m;
}

int cohort_message_new(struct cohort_message **out, const char *format, struct cohort_error *err)
{
	struct cohort_error own = {0};
	const struct coh_format *f = coh_format_get(format, err != NULL ? err : &own);

	*out = NULL;
	if (f == NULL)
		return err != NULL ? err->code : own.code;
	*out = coh_message_new(f);
	return *out != NULL ? 0 : coh_fail_errno(err, ENOMEM, "message of \"%s\"", format);
}

void cohort_message_free(struct cohort_message *m)
{
	if (m == NULL)
		return;
	coh_codec_tpl_free(m->rows);
	coh_buf_fini(&m->image);
	coh_buf_fini(&m->strings);
	coh_free(m);
}

static void buffer_empty(struct coh_buf *b)
{
	if (b->cap > KEEP)
		coh_buf_fini(b);
	b->head = b->tail = 0;
}

/* Forget everything but the image's bytes. */
static void message_forget(struct cohort_message *m)
{
	buffer_empty(&m->strings);
	if (m->rows != NULL)
		coh_codec_tpl_reset(m->rows);
	m->state = MESSAGE_EMPTY;
	m->outside = m->dumped = m->opened = false;
	m->data = NULL;
	m->size = 0;
}

void cohort_message_reset(struct cohort_message *m)
{
	message_forget(m);
	buffer_empty(&m->image);
}

const char *cohort_message_format(const struct cohort_message *m)
{
	return coh_format_text(m->format);
}

static int rows_make(struct cohort_message *m)
{
	if (m->rows == NULL)
		m->rows = coh_codec_tpl_new(m->format);
	return m->rows != NULL ? 0 : -ENOMEM;
}

/* Over the old image, which comes back when there is no room for the new one. */
static int pack_flat(struct cohort_message *m, va_list ap)
{
	size_t head = m->image.head, tail = m->image.tail;
	int rc;

	m->image.head = m->image.tail = 0;
	rc = coh_codec_pack(m->format, &m->image, ap);
	if (rc != 0) {
		m->image.head = head;
		m->image.tail = tail;
		return rc;
	}
	m->dumped = true;
	return 0;
}

static int pack_rows(struct cohort_message *m, int index, va_list ap)
{
	int rc = rows_make(m);

	if (rc == 0)
		rc = coh_codec_tpl_pack(m->rows, index, ap);
	if (rc == -ENOMEM)
		cohort_message_reset(m);
	if (rc == 0)
		m->dumped = false;
	return rc;
}

int coh_message_pack(struct cohort_message *m, int index, va_list ap)
{
	int rc;

	if (coh_format_parts(m->format, index) < 0)
		return COHORT_EARGUMENT;
	if (m->state == MESSAGE_LOADED)
		return COHORT_ESTATE;
	rc = m->format->flat ? pack_flat(m, ap) : pack_rows(m, index, ap);
	if (rc != 0)
		return rc;
	m->state = MESSAGE_PACKED;
	m->outside = m->outside || index == 0;
	return 0;
}

int cohort_message_pack(struct cohort_message *m, int index, ...)
{
	va_list ap;
	int rc;

	va_start(ap, index);
	rc = coh_message_pack(m, index, ap);
	va_end(ap);
	return rc;
}

static int rows_open(struct cohort_message *m)
{
	int rc = m->opened ? 0 : rows_make(m);

	if (rc == 0 && !m->opened)
		rc = coh_codec_tpl_open(m->rows, m->data, m->size);
	m->opened = rc == 0;
	return rc;
}

int coh_message_unpack(struct cohort_message *m, int index, va_list ap)
{
	int rc;

	if (coh_format_parts(m->format, index) < 0)
		return COHORT_EARGUMENT;
	if (m->state != MESSAGE_LOADED)
		return COHORT_ESTATE;
	if (m->format->flat) {
		rc = coh_codec_unpack(m->format, m->data, &m->strings, ap);
		return rc == 0 ? 1 : rc;
	}
	rc = rows_open(m);
	return rc == 0 ? coh_codec_tpl_unpack(m->rows, index, ap) : rc;
}

int cohort_message_unpack(struct cohort_message *m, int index, ...)
{
	va_list ap;
	int rc;

	va_start(ap, index);
	rc = coh_message_unpack(m, index, ap);
	va_end(ap);
	return rc;
}

/* Put the image of what is packed into `image`. */
static int message_dump(struct cohort_message *m)
{
	int rc;

	if (m->dumped)
		return 0;
	if (m->format->flat)
		return cohort_message_pack(m, 0); /* no value at all: only the format "" gets here */
	m->image.head = m->image.tail = 0;
	rc = rows_make(m);
	if (rc == 0)
		rc = coh_codec_tpl_dump(m->rows, &m->image);
	m->dumped = rc == 0;
	return rc;
}

int cohort_message_image(struct cohort_message *m, const void **data, size_t *size)
{
	int rc;

	if (m->state == MESSAGE_LOADED) {
		*data = m->data;
		*size = m->size;
		return 0;
	}
	if (m->format->index[0].count != 0 && !m->outside)
		return COHORT_ESTATE;
	rc = message_dump(m);
	if (rc != 0)
		return rc;
	*data = coh_buf_peek(&m->image);
	*size = coh_buf_len(&m->image);
	return 0;
}

static void message_loaded(struct cohort_message *m, const void *image, size_t size)
{
	m->state = MESSAGE_LOADED;
	m->data = image;
	m->size = size;
}

/* DATA may be M's own, image or unpacked bytes, so it is copied before anything is dropped. */
int cohort_message_load(
    struct cohort_message *m, const void *data, size_t size, struct cohort_error *err)
{
	int rc = coh_codec_check(m->format, data, size, err);

	if (rc == 0) {
		m->image.head = m->image.tail = 0;
		rc = coh_buf_reserve(&m->image, size);
		if (rc != 0)
			coh_fail_errno(err, ENOMEM, "message of %zu bytes", size);
	}
	if (rc != 0) {
		cohort_message_reset(m);
		return rc;
	}
	memmove(m->image.data, data, size);
	m->image.tail = size;
	message_forget(m);
	message_loaded(m, m->image.data, size);
	return 0;
}

int coh_message_load_copy(
    struct cohort_message *m, const void *data, size_t size, struct cohort_error *err)
{
	int rc;

	cohort_message_reset(m);
	rc = coh_buf_put(&m->image, data, size);
	if (rc != 0)
		return coh_fail_errno(err, ENOMEM, "message of %zu bytes", size);
	rc = coh_codec_check(m->format, m->image.data, size, err);
	if (rc == 0)
		message_loaded(m, m->image.data, size);
	else
		cohort_message_reset(m);
	return rc;
}

void *coh_message_room(struct cohort_message *m, size_t *size)
{
	message_forget(m);
	m->image.head = m->image.tail = 0;
	if (coh_buf_reserve(&m->image, *size) != 0)
		return NULL;
	*size = m->image.cap;
	return m->image.data;
}

int coh_message_filled(struct cohort_message *m, size_t size, struct cohort_error *err)
{
	int rc = coh_codec_check(m->format, m->image.data, size, err);

	if (rc == 0) {
		m->image.tail = size;
		message_loaded(m, m->image.data, size);
	} else {
		cohort_message_reset(m);
	}
	return rc;
}

int coh_message_borrow(
    struct cohort_message *m, const void *image, size_t size, struct cohort_error *err)
{
	int rc = coh_codec_check(m->format, image, size, err);

	cohort_message_reset(m);
	if (rc == 0)
		message_loaded(m, image, size);
	return rc;
}
