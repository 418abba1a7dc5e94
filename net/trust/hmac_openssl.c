/*
 * hmac_openssl.c - what authentication needs of OpenSSL, and nothing of OpenSSL outside.
 *
 * Fetching an algorithm by name costs OpenSSL 3 more than using it, so both are fetched once
 * a process; an HMAC then starts as a copy of one prepared context, or in the copy that the
 * one before has left, its key overwritten (0.4 us, a new copy 0.7, HMAC() 1.2, measured).
 * Fetching is tried again after a failure, so that one moment without memory does not stay
 * for ever.  Rejected: the SHA256_* calls that never allocate (they are
 * deprecated and step past the providers), and EVP_KDF for HKDF (slower than the two HMACs it
 * is made of).
 *
 * MACs are compared here and only here.
 */
#include "trust/hmac_openssl.h"

#include "base/mem.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define FILE_CHUNK ((size_t)256 << 10) /* larger reads gained nothing on a cached file */
#define EXPAND_PARTS 7
#define EXPAND_BLOCKS 255 /* RFC 5869, 2.3 */

/* Both are made once, under the lock, and only read afterwards. */
static pthread_mutex_t fetch_lock = PTHREAD_MUTEX_INITIALIZER;
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac; /* HMAC-SHA-256 without a key */

static EVP_MAC_CTX *_Atomic spare; /* a copy of it that nobody uses; whoever takes it has it alone */
static const unsigned char no_key; /* a NULL key would mean "the one set before" */

/* OpenSSL said no: forget its own words (they may allocate, per thread) and use ours. */
static int failed(int code)
{
	ERR_clear_error();
	return code;
}

/*
 * OpenSSL 3.0 that could not prepare its own context, once and for all, goes on with one that
 * is full of NULL locks and crashes at the first of them: ask, before anything is fetched.
 */
static bool usable(void)
{
	return OSSL_LIB_CTX_get0_global_default() != NULL;
}

static EVP_MD *fetch_sha256(void)
{
	EVP_MD *md;

	pthread_mutex_lock(&fetch_lock);
	if (sha256 == NULL && usable())
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	md = sha256;
	pthread_mutex_unlock(&fetch_lock);
	return md;
}

static EVP_MAC_CTX *prepare_hmac(void)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac); /* the context holds it */
	if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static EVP_MAC_CTX *fetch_hmac(void)
{
	EVP_MAC_CTX *ctx;

	pthread_mutex_lock(&fetch_lock);
	if (hmac == NULL && usable())
		hmac = prepare_hmac();
	ctx = hmac;
	pthread_mutex_unlock(&fetch_lock);
	return ctx;
}

/* struct coh_hash is OpenSSL's context under another name: no allocation of its own. */
static EVP_MD_CTX *hash_ctx(struct coh_hash *h)
{
	return (EVP_MD_CTX *)(void *)h;
}

struct coh_hash *coh_hash_new(void)
{
	EVP_MD *md = fetch_sha256();
	EVP_MD_CTX *ctx = md != NULL ? EVP_MD_CTX_new() : NULL;

	if (ctx == NULL || EVP_DigestInit_ex2(ctx, md, NULL) != 1) {
		failed(0);
		EVP_MD_CTX_free(ctx);
		return NULL;
	}
	return (struct coh_hash *)(void *)ctx;
}

int coh_hash_update(struct coh_hash *h, const void *data, size_t size)
{
	return EVP_DigestUpdate(hash_ctx(h), data, size) == 1 ? 0 : failed(COHORT_EAUTH);
}

int coh_hash_final(struct coh_hash *h, unsigned char out[COH_HASH_SIZE])
{
	unsigned int n = 0;

	if (EVP_DigestFinal_ex(hash_ctx(h), out, &n) != 1 || n != COH_HASH_SIZE)
		return failed(COHORT_EAUTH);
	return 0;
}

void coh_hash_free(struct coh_hash *h)
{
	EVP_MD_CTX_free(hash_ctx(h));
}

int coh_hash_parts(const struct coh_span *parts, int n, unsigned char out[COH_HASH_SIZE])
{
	struct coh_hash *h = coh_hash_new();
	int rc = 0;

	if (h == NULL)
		return -ENOMEM;
	for (int i = 0; i < n && rc == 0; i++)
		rc = coh_hash_update(h, parts[i].data, parts[i].size);
	if (rc == 0)
		rc = coh_hash_final(h, out);
	coh_hash_free(h);
	return rc;
}

static int hash_file(struct coh_hash *h, int fd, unsigned char *chunk)
{
	off_t at = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0) {
		n = pread(fd, chunk, FILE_CHUNK, at);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			rc = coh_hash_update(h, chunk, (size_t)n);
			at += n;
		}
	}
	return rc;
}

int coh_hash_fd(int fd, unsigned char out[COH_HASH_SIZE])
{
	struct coh_hash *h = coh_hash_new();
	unsigned char *chunk = coh_alloc(FILE_CHUNK);
	int rc = h != NULL && chunk != NULL ? hash_file(h, fd, chunk) : -ENOMEM;

	if (rc == 0)
		rc = coh_hash_final(h, out);
	coh_free(chunk);
	coh_hash_free(h);
	return rc;
}

static int sign_parts(EVP_MAC_CTX *ctx, const struct coh_span *parts, int n, unsigned char *out)
{
	size_t size = 0;

	for (int i = 0; i < n; i++)
		if (EVP_MAC_update(ctx, parts[i].data, parts[i].size) != 1)
			return failed(COHORT_EAUTH);
	if (EVP_MAC_final(ctx, out, &size, COH_HASH_SIZE) != 1 || size != COH_HASH_SIZE)
		return failed(COHORT_EAUTH);
	return 0;
}

/* A context for one HMAC, with any key or none. */
static EVP_MAC_CTX *take_context(void)
{
	EVP_MAC_CTX *ctx = atomic_exchange(&spare, NULL);
	const EVP_MAC_CTX *prepared = ctx == NULL ? fetch_hmac() : NULL;

	return prepared != NULL ? EVP_MAC_CTX_dup(prepared) : ctx;
}

/* Done with CTX: nothing of its key stays. */
static void put_context(EVP_MAC_CTX *ctx)
{
	if (EVP_MAC_init(ctx, &no_key, 0, NULL) == 1)
		ctx = atomic_exchange(&spare, ctx);
	EVP_MAC_CTX_free(ctx);
}

int coh_hmac_sign(struct coh_span key, const struct coh_span *parts, int n,
    unsigned char out[COH_HASH_SIZE])
{
	EVP_MAC_CTX *ctx = take_context();
	int rc;

	if (ctx == NULL)
		return failed(-ENOMEM);
	if (EVP_MAC_init(ctx, key.data != NULL ? key.data : &no_key, key.size, NULL) != 1)
		rc = failed(-ENOMEM);
	else
		rc = sign_parts(ctx, parts, n, out);
	put_context(ctx);
	return rc;
}

int coh_hmac_sign_by(const char *digest, struct coh_span key, struct coh_span message,
    unsigned char out[COH_HMAC_MAX])
{
	size_t n = 0;

	if (!usable() || EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key.data, key.size, message.data,
			     message.size, out, COH_HMAC_MAX, &n) == NULL)
		return failed(COHORT_EAUTH);
	return (int)n;
}

int coh_hmac_extract(
    struct coh_span salt, struct coh_span secret, unsigned char prk[COH_HASH_SIZE])
{
	return coh_hmac_sign(salt, &secret, 1, prk);
}

int coh_hmac_expand(const unsigned char prk[COH_HASH_SIZE], const struct coh_span *info, int n,
    void *out, size_t size)
{
	struct coh_span parts[EXPAND_PARTS + 2]; /* T(i-1) || info || i */
	unsigned char block[COH_HASH_SIZE], count, *to = out;
	size_t done = 0, take;
	int rc = 0;

	if (n < 0 || n > EXPAND_PARTS || size > EXPAND_BLOCKS * sizeof block)
		return COHORT_EARGUMENT;
	parts[0] = (struct coh_span){block, 0};
	for (int i = 0; i < n; i++)
		parts[i + 1] = info[i];
	parts[n + 1] = (struct coh_span){&count, sizeof count};
	for (count = 1; done < size && rc == 0; count++) {
		rc = coh_hmac_sign((struct coh_span){prk, COH_HASH_SIZE}, parts, n + 2, block);
		take = size - done < sizeof block ? size - done : sizeof block;
		if (rc == 0)
			memcpy(to + done, block, take);
		done += take;
		parts[0].size = sizeof block;
	}
	coh_wipe(block, sizeof block);
	if (rc < 0)
		coh_wipe(out, size);
	return rc;
}

bool coh_hmac_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

int coh_random_bytes(void *out, size_t n)
{
	if (n <= INT32_MAX && usable() && RAND_bytes(out, (int)n) == 1)
		return 0;
	coh_wipe(out, n);
	return failed(COHORT_EAUTH);
}

void coh_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
