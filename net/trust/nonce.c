/*
 * nonce.c - random bytes drawn ahead.
 *
 * Each draw makes OpenSSL ask the system whether this is still the process that seeded its generator: 2 us
 * of the 50 that either end of a handshake takes on a virtual machine, and there were two draws.  Here the
 * question is the page's (os/own.h), and a draw serves some ten handshakes.
 */
#include "trust/nonce.h"

#include "os/own.h"
#include "trust/hmac_openssl.h"

#include <pthread.h>
#include <string.h>

#define AHEAD 512

/* All zeroes is a pool that holds nothing, and whose lock is free (POSIX does not say so, Linux does). */
struct pool {
	pthread_mutex_t lock;
	size_t left; /* how many of the bytes, from the first on, have not been given out */
	unsigned char bytes[AHEAD];
};

static void *_Atomic pages;

/* Under the lock.  0 or a code. */
static int pool_take(struct pool *p, void *out, size_t n)
{
	int rc = 0;

	if (p->left < n) {
		rc = coh_random_bytes(p->bytes, sizeof p->bytes);
		p->left = rc == 0 ? sizeof p->bytes : 0;
	}
	if (rc != 0) {
		coh_wipe(out, n);
		return rc;
	}
	p->left -= n;
	memcpy(out, p->bytes + p->left, n);
	coh_wipe(p->bytes + p->left, n);
	return 0;
}

int coh_nonce_bytes(void *out, size_t n)
{
	struct pool *p = n <= AHEAD ? coh_own_get(&pages, sizeof *p) : NULL;
	int rc;

	if (p == NULL)
		return coh_random_bytes(out, n);
	pthread_mutex_lock(&p->lock);
	rc = pool_take(p, out, n);
	pthread_mutex_unlock(&p->lock);
	return rc;
}
