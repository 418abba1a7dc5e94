/*
 * buf.h - growable bytes with a hard maximum inside.
 *
 * Bytes go in at the tail and come out at the head.  The maximum is part of the object, so
 * that whoever fills it on a peer's word is bounded (OpenSSH's sshbuf).  A zeroed struct is
 * an empty buffer that may hold nothing: set `max` first.  Integers are big-endian.
 * Not thread-safe.
 */
#ifndef COH_BASE_BUF_H
#define COH_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct coh_buf {
	unsigned char *data;
	size_t head, tail; /* what is held: data[head..tail) */
	size_t cap, max;   /* cap <= max */
};

/* Start empty, able to hold MAX bytes.  Allocates nothing. */
void coh_buf_init(struct coh_buf *b, size_t max);

/* Release what it holds; a zeroed struct is fine.  The buffer is empty afterwards. */
void coh_buf_fini(struct coh_buf *b);

/* As coh_buf_fini, and overwrite it first. */
void coh_buf_fini_wiped(struct coh_buf *b);

static inline size_t coh_buf_len(const struct coh_buf *b)
{
	return b->tail - b->head;
}

static inline const unsigned char *coh_buf_peek(const struct coh_buf *b)
{
	return b->data != NULL ? b->data + b->head : NULL; /* NULL + 0 is undefined in C */
}

/*
 * Make room for N more bytes at the tail; the room starts at data + tail.
 * 0, -ENOMEM, or COHORT_ETOOBIG (more than max); on failure nothing changed.
 */
int coh_buf_reserve(struct coh_buf *b, size_t n);

/* Append; 0 or as coh_buf_reserve. */
int coh_buf_put(struct coh_buf *b, const void *p, size_t n);
int coh_buf_put_u8(struct coh_buf *b, uint8_t v);
int coh_buf_put_u16(struct coh_buf *b, uint16_t v);
int coh_buf_put_u32(struct coh_buf *b, uint32_t v);
int coh_buf_put_u64(struct coh_buf *b, uint64_t v);

/* Take from the head; 0, or COHORT_ECODEC when fewer bytes are held (then nothing is taken). */
int coh_buf_get(struct coh_buf *b, void *p, size_t n);
int coh_buf_get_u8(struct coh_buf *b, uint8_t *v);
int coh_buf_get_u16(struct coh_buf *b, uint16_t *v);
int coh_buf_get_u32(struct coh_buf *b, uint32_t *v);
int coh_buf_get_u64(struct coh_buf *b, uint64_t *v);

/* Drop N held bytes from the head (N <= len).  An empty buffer starts again at its beginning. */
void coh_buf_drop(struct coh_buf *b, size_t n);

/* Big-endian integers in plain memory. */
static inline void coh_put_u16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static inline void coh_put_u32(unsigned char *p, uint32_t v)
{
	coh_put_u16(p, (uint16_t)(v >> 16));
	coh_put_u16(p + 2, (uint16_t)v);
}

static inline void coh_put_u64(unsigned char *p, uint64_t v)
{
	coh_put_u32(p, (uint32_t)(v >> 32));
	coh_put_u32(p + 4, (uint32_t)v);
}

static inline uint16_t coh_get_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t coh_get_u32(const unsigned char *p)
{
	return (uint32_t)coh_get_u16(p) << 16 | coh_get_u16(p + 2);
}

static inline uint64_t coh_get_u64(const unsigned char *p)
{
	return (uint64_t)coh_get_u32(p) << 32 | coh_get_u32(p + 4);
}

#endif
