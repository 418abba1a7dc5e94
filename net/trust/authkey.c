/*
 * authkey.c - how the key is held in memory, and what is derived from it.
 *
 * Of the secret only its HKDF extract is kept, on a page of its own, out of core files; of a key
 * for Python peers the secret itself, since that is what Python signs with.  The
 * page is wiped in forked children (a worker has no business with it).  Zeros would be a
 * key that everybody knows, hence the mark beside it: without it the key is refused.
 * What was derived for a handshake is kept there too: it opens no more than the secret beside it, and
 * deriving it anew for each handshake costs as much as the proofs.
 * Rejected: mprotect around every use, which costs more than the MACs and stops nobody who
 * can already run code here.
 */
#include "trust/authkey.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEY_MARK 0x6b657931u /* "key1" */

/* What Python signs with, as it is in the file. */
struct raw {
	size_t size;
	unsigned char bytes[COHORT_KEY_MAX];
};

#define KEPT 10 /* of two keys, in one cluster: two directions, TLS's key and nobody's, the id */

/* What was derived before.  It is filled once, by the thread that claims it, and only read afterwards. */
struct kept {
	atomic_int state; /* enum kept_state */
	int index;
	char label[32], cluster[65];
	unsigned char key[COH_HASH_SIZE];
};

enum kept_state { KEPT_EMPTY, KEPT_CLAIMED, KEPT_READY };

struct secret {
	uint32_t mark;
	int count;
	bool python; /* it has raw in place of prk */
	unsigned char prk[COH_AUTHKEY_MAX][COH_HASH_SIZE];
	struct raw raw[COH_AUTHKEY_MAX];
	struct kept kept[KEPT];
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

static int key_extract(struct secret *s, const struct coh_span *secrets, int count)
{
	static const char salt[] = "cohort-hs1 authkey";
	int rc = 0;

	for (int i = 0; i < count && rc == 0; i++)
		rc = coh_hmac_extract(
		    (struct coh_span){salt, sizeof salt - 1}, secrets[i], s->prk[i]);
	return rc;
}

static int key_keep(struct secret *s, const struct coh_span *secrets, int count)
{
	s->python = true;
	for (int i = 0; i < count; i++) {
		s->raw[i].size = secrets[i].size;
		memcpy(s->raw[i].bytes, secrets[i].data, secrets[i].size);
	}
	return 0;
}

/* What is made of COUNT secrets on a key's page; 0 or a code. */
typedef int (*key_fill_fn)(struct secret *s, const struct coh_span *secrets, int count);

static int key_new(struct cohort_key **out, const struct coh_span *secrets, int count,
    key_fill_fn fill, struct cohort_error *err)
{
	struct cohort_key *key;
	int rc;

	*out = NULL;
	COH_ASSERT(count >= 1 && count <= COH_AUTHKEY_MAX);
	for (int i = 0; i < count; i++)
		if (secrets[i].size < COHORT_KEY_MIN || secrets[i].size > COHORT_KEY_MAX)
			return coh_fail(err, COHORT_EKEY, "key: %zu bytes, allowed are %d to %d",
			    secrets[i].size, COHORT_KEY_MIN, COHORT_KEY_MAX);
	key = coh_calloc(sizeof *key);
	if (key != NULL)
		key->secret = secret_page(&key->size);
	rc = key != NULL && key->secret != NULL ? fill(key->secret, secrets, count) : -ENOMEM;
	if (rc < 0) {
		cohort_key_free(key);
		return coh_fail(err, rc, "key: %s", cohort_strerror(rc));
	}
	key->secret->count = count;
	key->secret->mark = KEY_MARK;
	*out = key;
	return 0;
}

int coh_authkey_new(struct cohort_key **out, const struct coh_span *secrets, int count,
    struct cohort_error *err)
{
	return key_new(out, secrets, count, key_extract, err);
}

int coh_authkey_new_python(struct cohort_key **out, const struct coh_span *secrets, int count,
    struct cohort_error *err)
{
	return key_new(out, secrets, count, key_keep, err);
}

int cohort_key_new_python(
    struct cohort_key **out, const void *secret, size_t size, struct cohort_error *err)
{
	return coh_authkey_new_python(out, &(struct coh_span){secret, size}, 1, err);
}

int cohort_key_new(
    struct cohort_key **out, const void *secret, size_t size, struct cohort_error *err)
{
	return coh_authkey_new(out, &(struct coh_span){secret, size}, 1, err);
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

/* The page stays where it is: who looks at the key meanwhile finds it. */
void coh_authkey_replace(struct cohort_key *key, struct cohort_key *from)
{
	*key->secret = *from->secret;
	cohort_key_free(from);
}

int coh_authkey_count(const struct cohort_key *key)
{
	return key->secret->mark == KEY_MARK ? key->secret->count : 0;
}

/* May secret INDEX of KEY be used? */
static int key_check(const struct cohort_key *key, int index, struct cohort_error *err)
{
	if (key->secret->mark != KEY_MARK)
		return coh_fail(err, COHORT_EKEY,
		    "key: wiped, since this process was forked after loading it; load it again here");
	COH_ASSERT(index >= 0 && index < key->secret->count);
	return 0;
}

const unsigned char *coh_authkey_prk(
    const struct cohort_key *key, int index, struct cohort_error *err)
{
	if (key_check(key, index, err) != 0)
		return NULL;
	if (!key->secret->python)
		return key->secret->prk[index];
	coh_fail(err, COHORT_EKEY,
	    "key: it was loaded for Python peers (cohort_key_load_python) and serves only them");
	return NULL;
}

int coh_authkey_secret(const struct cohort_key *key, int index, struct coh_span *secret,
    struct cohort_error *err)
{
	int rc = key_check(key, index, err);

	if (rc != 0)
		return rc;
	if (!key->secret->python)
		return coh_fail(err, COHORT_EKEY,
		    "key: it was not loaded for Python peers, whose handshake needs the secret itself: "
		    "use cohort_key_load_python or cohort_key_new_python, and a key of its own");
	*secret = (struct coh_span){key->secret->raw[index].bytes, key->secret->raw[index].size};
	return 0;
}

/* Was it derived for USE before?  Then it is at OUT. */
static bool kept_find(
    const struct secret *s, const struct coh_authkey_use *use, unsigned char out[COH_HASH_SIZE])
{
	for (int i = 0; i < KEPT; i++) {
		const struct kept *k = &s->kept[i];

		if (atomic_load(&k->state) != KEPT_READY || k->index != use->index ||
		    strcmp(k->label, use->label) != 0 || strcmp(k->cluster, use->cluster) != 0)
			continue;
		memcpy(out, k->key, sizeof k->key);
		return true;
	}
	return false;
}

/* Keep KEY, derived for USE, if there is room. */
static void kept_add(
    struct secret *s, const struct coh_authkey_use *use, const unsigned char key[COH_HASH_SIZE])
{
	size_t label = strlen(use->label) + 1, cluster = strlen(use->cluster) + 1;

	for (int i = 0; i < KEPT; i++) {
		struct kept *k = &s->kept[i];
		int empty = KEPT_EMPTY;

		if (label > sizeof k->label || cluster > sizeof k->cluster ||
		    !atomic_compare_exchange_strong(&k->state, &empty, KEPT_CLAIMED))
			continue;
		k->index = use->index;
		memcpy(k->label, use->label, label);
		memcpy(k->cluster, use->cluster, cluster);
		memcpy(k->key, key, sizeof k->key);
		atomic_store(&k->state, KEPT_READY);
		return;
	}
}

int coh_authkey_derive(const struct cohort_key *key, const struct coh_authkey_use *use,
    unsigned char out[COH_HASH_SIZE])
{
	const struct coh_span info[] = {
	    {use->label, strlen(use->label) + 1}, {use->cluster, strlen(use->cluster)}};
	const unsigned char *prk = coh_authkey_prk(key, use->index, NULL);
	int rc;

	if (prk == NULL)
		return COHORT_EKEY;
	if (kept_find(key->secret, use, out))
		return 0;
	rc = coh_hmac_expand(prk, info, 2, out, COH_HASH_SIZE);
	if (rc == 0)
		kept_add(key->secret, use, out);
	return rc;
}

int coh_authkey_id(const struct cohort_key *key, int index, unsigned char out[COH_AUTHKEY_ID])
{
	const struct coh_authkey_use use = {index, "cohort-key-id", ""};
	unsigned char whole[COH_HASH_SIZE]; /* begins with what a shorter expansion would be */
	int rc = coh_authkey_derive(key, &use, whole);

	if (rc == 0)
		memcpy(out, whole, COH_AUTHKEY_ID);
	return rc;
}
