/*
 * authkey.c - how the key is held in memory, and what is derived from it.
 *
 * Of the secret only its HKDF extract is kept, on a page of its own, out of core files.  The
 * page is wiped in forked children (a worker has no business with it).  Zeros would be a
 * key that everybody knows, hence the mark beside it: without it the key is refused.
 * Rejected: mprotect around every use, which costs more than the MACs and stops nobody who
 * can already run code here.
 */
#include "trust/authkey.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY_MARK 0x6b657931u /* "key1" */

struct secret {
	uint32_t mark;
	unsigned char prk[COH_HASH_SIZE];
};

struct cohort_key {
	struct secret *secret; /* a page of its own */
	size_t size;           /* of the mapping */
};

static void *secret_page(size_t *size)
{
	long page = sysconf(_SC_PAGESIZE);
	void *p;

	*size = page > 0 ? (size_t)page : 4096;
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, *size, MADV_DONTDUMP);   /* each of the three is a kindness of the */
	(void)madvise(p, *size, MADV_WIPEONFORK); /* system; without it the key works as well */
	(void)mlock(p, *size);
	return p;
}

static int key_extract(struct cohort_key *key, const void *bytes, size_t n)
{
	static const char salt[] = "cohort-hs1 authkey";
	int rc = coh_hmac_extract((struct coh_span){salt, sizeof salt - 1},
	    (struct coh_span){bytes, n}, key->secret->prk);

	if (rc == 0)
		key->secret->mark = KEY_MARK;
	return rc;
}

int cohort_key_new(
    struct cohort_key **out, const void *secret, size_t size, struct cohort_error *err)
{
	struct cohort_key *key;
	int rc;

	*out = NULL;
	if (size < COHORT_KEY_MIN || size > COHORT_KEY_MAX)
		return coh_fail(err, COHORT_EKEY, "key: %zu bytes, allowed are %d to %d", size,
		    COHORT_KEY_MIN, COHORT_KEY_MAX);
	key = coh_calloc(sizeof *key);
	if (key != NULL)
		key->secret = secret_page(&key->size);
	rc = key != NULL && key->secret != NULL ? key_extract(key, secret, size) : -ENOMEM;
	if (rc < 0) {
		cohort_key_free(key);
		return coh_fail(err, rc, "key: %s", cohort_strerror(rc));
	}
	*out = key;
	return 0;
}

void cohort_key_free(struct cohort_key *key)
{
	if (key == NULL)
		return;
	if (key->secret != NULL) {
		coh_wipe(key->secret, sizeof *key->secret);
		munmap(key->secret, key->size);
	}
	coh_free(key);
}

const unsigned char *coh_authkey_prk(const struct cohort_key *key, struct cohort_error *err)
{
	if (key->secret->mark == KEY_MARK)
		return key->secret->prk;
	coh_fail(err, COHORT_EKEY,
	    "key: wiped, since this process was forked after loading it; load it again here");
	return NULL;
}

int coh_authkey_derive(const struct cohort_key *key, const char *label, const char *cluster,
    unsigned char out[COH_HASH_SIZE])
{
	const struct coh_span info[] = {{label, strlen(label) + 1}, {cluster, strlen(cluster)}};
	const unsigned char *prk = coh_authkey_prk(key, NULL);

	return prk != NULL ? coh_hmac_expand(prk, info, 2, out, COH_HASH_SIZE) : COHORT_EKEY;
}
