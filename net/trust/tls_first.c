/*
 * tls_first.c - the first record of a TLS client, gathered before OpenSSL hears of it.
 *
 * What came behind it in the same segment is gathered with it: the bytes are given on in their order.
 *
 * Rejected: looking without taking (MSG_PEEK; a poll would go on ringing), a low-water mark of the socket
 * (three more calls for every honest client).
 */
#include "trust/tls_first.h"

#include <errno.h>
#include <sys/socket.h>

#define HEADER 5       /* type, version, length: RFC 8446, 5.1 */
#define HANDSHAKE 0x16 /* the type of a hello's record */

void coh_tls_first_init(struct coh_tls_first *f)
{
	coh_buf_init(&f->bytes, COH_TLS_FIRST_MAX);
	f->whole = false;
}

void coh_tls_first_fini(struct coh_tls_first *f)
{
	coh_buf_fini(&f->bytes);
}

/* How many bytes there have to be, judged by those that are there. */
static size_t needed(const struct coh_tls_first *f)
{
	const unsigned char *p = coh_buf_peek(&f->bytes);
	size_t held = coh_buf_len(&f->bytes);

	if (held != 0 && p[0] != HANDSHAKE)
		return held;
	return held < HEADER ? HEADER : HEADER + (size_t)coh_get_u16(p + 3);
}

int coh_tls_first_gather(struct coh_tls_first *f, int fd, bool wait)
{
	unsigned char part[COH_TLS_FIRST_MAX];
	ssize_t got;

	while (!f->whole && needed(f) > coh_buf_len(&f->bytes)) {
		if (needed(f) > COH_TLS_FIRST_MAX)
			return -EMSGSIZE;
		got = recv(fd, part, COH_TLS_FIRST_MAX - coh_buf_len(&f->bytes), wait ? 0 : MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return -EAGAIN;
		if (got <= 0) /* OpenSSL's reader finds the same */
			break;
		if (coh_buf_put(&f->bytes, part, (size_t)got) != 0)
			return -ENOMEM;
	}
	f->whole = true;
	return 0;
}

bool coh_tls_first_foreign(const struct coh_tls_first *f)
{
	return coh_buf_len(&f->bytes) != 0 && *coh_buf_peek(&f->bytes) != HANDSHAKE;
}

size_t coh_tls_first_give(struct coh_tls_first *f, void *p, size_t n)
{
	size_t held = coh_buf_len(&f->bytes), part = n < held ? n : held;

	if (part != 0 && coh_buf_get(&f->bytes, p, part) != 0)
		return 0;
	if (coh_buf_len(&f->bytes) == 0)
		coh_buf_fini(&f->bytes);
	return part;
}
