/*
 * tls_first.h - the first record of a TLS client, gathered before OpenSSL hears of it.
 *
 * With the first byte that it sees OpenSSL takes 64 KiB.  A stranger who says a part of a hello and no
 * more is given what it said, COH_TLS_FIRST_MAX at most.
 */
#ifndef COH_TRUST_TLS_FIRST_H
#define COH_TRUST_TLS_FIRST_H

#include "base/buf.h"

#include <stdbool.h>

#define COH_TLS_FIRST_MAX 2048 /* a hello of ours has some 300 bytes, one with certificates 400 */

struct coh_tls_first {
	struct coh_buf bytes;
	bool whole;
};

void coh_tls_first_init(struct coh_tls_first *f);
void coh_tls_first_fini(struct coh_tls_first *f);

/*
 * Take what has come of it from the socket FD; with WAIT until it is whole.  0: it is whole, or nothing that
 * more bytes would make a hello of, or the stream has ended: go on with OpenSSL, which may say why.
 * -EAGAIN; -EMSGSIZE (it announces more than may be); -ENOMEM.
 */
int coh_tls_first_gather(struct coh_tls_first *f, int fd, bool wait);

/* True when what has come is no record of TLS that could be a hello. */
bool coh_tls_first_foreign(const struct coh_tls_first *f);

/* Up to N of the bytes gathered, in their order, to P: how many, 0 when all have been given. */
size_t coh_tls_first_give(struct coh_tls_first *f, void *p, size_t n);

#endif
