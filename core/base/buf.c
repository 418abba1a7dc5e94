/*
 * buf.c - growable bytes with a hard maximum inside.
 *
 * Growth doubles, never by a claim: what is reserved is what is about to be written.
 */
#include "base/buf.h"

#include "base/mem.h"
#include "base/object.h"

#include <cohort/error.h>
#include <errno.h>
#include <string.h>

#define FIRST_CAP 256 /* most control messages fit; small enough to keep per idle peer */

void coh_buf_init(struct coh_buf *b, size_t max)
{
	*b = (struct coh_buf){.max = max};
}

void coh_buf_fini(struct coh_buf *b)
{
	coh_free(b->data);
	coh_buf_init(b, b->max);
}

void coh_buf_fini_wiped(struct coh_buf *b)
{
	coh_free_wiped(b->data, b->cap);
	coh_buf_init(b, b->max);
}

static void compact(struct coh_buf *b)
{
	size_t n = coh_buf_len(b);

	if (b->head == 0)
		return;
	memmove(b->data, b->data + b->head, n);
	b->head = 0;
	b->tail = n;
}

int coh_buf_reserve(struct coh_buf *b, size_t n)
{
	size_t want, cap;
	unsigned char *p;

	if (b->cap - b->tail >= n)
		return 0;
	if (__builtin_add_overflow(coh_buf_len(b), n, &want) || want > b->max)
		return COHORT_ETOOBIG;
	if (want <= b->cap && b->head >= coh_buf_len(b)) {
		compact(b); /* moves at most as much as was consumed since the last time */
		return 0;
	}
	cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;
	while (cap < want)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	if (cap > b->max)
		cap = b->max;
	if (cap == b->cap) {
		compact(b);
		return 0;
	}
	p = coh_alloc(cap);
	if (p == NULL)
		return -ENOMEM;
	if (coh_buf_len(b) != 0)
		memcpy(p, coh_buf_peek(b), coh_buf_len(b));
	b->tail = coh_buf_len(b);
	b->head = 0;
	coh_free(b->data);
	b->data = p;
	b->cap = cap;
	return 0;
}

int coh_buf_put(struct coh_buf *b, const void *p, size_t n)
{
	int rc = coh_buf_reserve(b, n);

	if (rc == 0 && n != 0) {
		memcpy(b->data + b->tail, p, n);
		b->tail += n;
	}
	return rc;
}

int coh_buf_put_u8(struct coh_buf *b, uint8_t v)
{
	return coh_buf_put(b, &v, 1);
}

int coh_buf_put_u16(struct coh_buf *b, uint16_t v)
{
	unsigned char p[2];

	coh_put_u16(p, v);
	return coh_buf_put(b, p, sizeof p);
}

int coh_buf_put_u32(struct coh_buf *b, uint32_t v)
{
	unsigned char p[4];

	coh_put_u32(p, v);
	return coh_buf_put(b, p, sizeof p);
}

int coh_buf_put_u64(struct coh_buf *b, uint64_t v)
{
	unsigned char p[8];

	coh_put_u64(p, v);
	return coh_buf_put(b, p, sizeof p);
}

void coh_buf_drop(struct coh_buf *b, size_t n)
{
	COH_ASSERT(n <= coh_buf_len(b));
	b->head += n;
	if (b->head == b->tail)
		b->head = b->tail = 0;
}

int coh_buf_get(struct coh_buf *b, void *p, size_t n)
{
	if (coh_buf_len(b) < n)
		return COHORT_ECODEC;
	if (n != 0) {
		memcpy(p, coh_buf_peek(b), n);
		coh_buf_drop(b, n);
	}
	return 0;
}

int coh_buf_get_u8(struct coh_buf *b, uint8_t *v)
{
	return coh_buf_get(b, v, 1);
}

int coh_buf_get_u16(struct coh_buf *b, uint16_t *v)
{
	unsigned char p[2];
	int rc = coh_buf_get(b, p, sizeof p);

	if (rc == 0)
		*v = coh_get_u16(p);
	return rc;
}

int coh_buf_get_u32(struct coh_buf *b, uint32_t *v)
{
	unsigned char p[4];
	int rc = coh_buf_get(b, p, sizeof p);

	if (rc == 0)
		*v = coh_get_u32(p);
	return rc;
}

int coh_buf_get_u64(struct coh_buf *b, uint64_t *v)
{
	unsigned char p[8];
	int rc = coh_buf_get(b, p, sizeof p);

	if (rc == 0)
		*v = coh_get_u64(p);
	return rc;
}
