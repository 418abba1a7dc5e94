/*
 * hmac_openssl.h - SHA-256, HMAC, HKDF, random bytes, and handling of secrets.
 *
 * No type of OpenSSL shows.  Every call may fail for want of memory, since OpenSSL
 * allocates inside; none crashes.  Any thread, and after fork.
 */
#ifndef COH_TRUST_HMAC_OPENSSL_H
#define COH_TRUST_HMAC_OPENSSL_H

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>

#define COH_HASH_SIZE 32 /* bytes of a SHA-256 sum, of an HMAC and of a derived key */
#define COH_HMAC_MAX 64  /* of an HMAC by any digest */

/* Some bytes of the caller's.  What takes N of them works on them as if joined. */
struct coh_span {
	const void *data;
	size_t size;
};

/* A hash under way. */
struct coh_hash;

/*
 * Begin a SHA-256; NULL when there is no memory.  coh_hash_free it.  Update and final return 0
 * or COHORT_EAUTH (OpenSSL refused); after final only free may follow.
 */
struct coh_hash *coh_hash_new(void);
int coh_hash_update(struct coh_hash *h, const void *data, size_t size);
int coh_hash_final(struct coh_hash *h, unsigned char out[COH_HASH_SIZE]);
void coh_hash_free(struct coh_hash *h);

/* The SHA-256 of N parts in one call.  0, -ENOMEM, COHORT_EAUTH. */
int coh_hash_parts(const struct coh_span *parts, int n, unsigned char out[COH_HASH_SIZE]);

/*
 * The SHA-256 of the file FD from its first byte to its end; the descriptor's position is
 * neither used nor moved.  Waits for the disk.  0; -errno of the read (-ESPIPE: a pipe or
 * socket); -ENOMEM; COHORT_EAUTH.
 */
int coh_hash_fd(int fd, unsigned char out[COH_HASH_SIZE]);

/* HMAC-SHA-256 of N parts under KEY.  0, -ENOMEM, COHORT_EAUTH. */
int coh_hmac_sign(struct coh_span key, const struct coh_span *parts, int n,
    unsigned char out[COH_HASH_SIZE]);

/*
 * HMAC of MESSAGE under KEY by DIGEST, a name that OpenSSL knows ("MD5", "SHA3-256"); for Python's
 * handshake, which has several.  How many bytes are at OUT, or COHORT_EAUTH (no such digest here, as
 * MD5 in a build for FIPS; no memory).
 */
int coh_hmac_sign_by(const char *digest, struct coh_span key, struct coh_span message,
    unsigned char out[COH_HMAC_MAX]);

/* HKDF (RFC 5869): a uniform key out of SECRET.  As coh_hmac_sign. */
int coh_hmac_extract(
    struct coh_span salt, struct coh_span secret, unsigned char prk[COH_HASH_SIZE]);

/*
 * HKDF: SIZE bytes for the purpose that N parts of INFO name (at most 7), at OUT.
 * As coh_hmac_sign, or COHORT_EARGUMENT (SIZE over 255 * 32); OUT is wiped on failure.
 */
int coh_hmac_expand(const unsigned char prk[COH_HASH_SIZE], const struct coh_span *info, int n,
    void *out, size_t size);

/* True when N bytes are equal, in a time that depends on N alone.  The one way to compare a MAC. */
bool coh_hmac_equal(const void *a, const void *b, size_t n);

/* N unpredictable bytes at OUT.  0, or COHORT_EAUTH when the system gives none; OUT is then wiped. */
int coh_random_bytes(void *out, size_t n);

/* Overwrite N bytes at P so that the compiler cannot leave it out. */
void coh_wipe(void *p, size_t n);

#endif
