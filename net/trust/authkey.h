/*
 * authkey.h - the inside of a key, for what derives others from it.
 *
 * The secret itself is not kept: only what HKDF extracted from it, under the salt
 * "cohort-hs1 authkey", so that no key ever signs a message that a peer chose.  A key has one
 * secret, or two while a cluster goes over from one to the other.
 */
#ifndef COH_TRUST_AUTHKEY_H
#define COH_TRUST_AUTHKEY_H

#include "trust/hmac_openssl.h"

#include <cohort/auth.h>

#define COH_AUTHKEY_MAX 2 /* the key in use, and in a time of change the other one */
#define COH_AUTHKEY_ID 4  /* bytes by which a key is told from the other without showing it */

/*
 * A key of COUNT secrets, 1 to COH_AUTHKEY_MAX: who dials uses the first, who listens takes any of
 * them.  As cohort_key_new, for each.
 */
int coh_authkey_new(struct cohort_key **out, const struct coh_span *secrets, int count,
    struct cohort_error *err);

/*
 * KEY has the secrets of FROM from now on, and no other; FROM, which is taken, is freed.  Not while
 * another thread uses KEY.
 */
void coh_authkey_replace(struct cohort_key *key, struct cohort_key *from);

/*
 * The same for Python peers, whose handshake signs with the secrets themselves: they are kept, and
 * nothing is derived from them.
 */
int coh_authkey_new_python(struct cohort_key **out, const struct coh_span *secrets, int count,
    struct cohort_error *err);

/* How many secrets KEY has; 0 when this process was forked after the key was loaded. */
int coh_authkey_count(const struct cohort_key *key);

/*
 * What was extracted from its secret INDEX (COH_HASH_SIZE bytes), KEY's, for its life; NULL with
 * COHORT_EKEY in ERR when this process was forked after the key was loaded, or the key is for Python
 * peers.  Any thread.
 */
const unsigned char *coh_authkey_prk(
    const struct cohort_key *key, int index, struct cohort_error *err);

/*
 * The secret INDEX of a key for Python peers, KEY's, for its life.  0, or COHORT_EKEY: it is none, or
 * as coh_authkey_prk.  Any thread.
 */
int coh_authkey_secret(const struct cohort_key *key, int index, struct coh_span *secret,
    struct cohort_error *err);

/* A derived key: what it is for, and in which cluster. */
struct coh_authkey_use {
	int index; /* of the secret */
	const char *label, *cluster;
};

/*
 * Derive COH_HASH_SIZE bytes for USE: HKDF-Expand(prk, label || 0 || cluster).  0, COHORT_EKEY (as
 * above), -ENOMEM, COHORT_EAUTH.
 */
int coh_authkey_derive(const struct cohort_key *key, const struct coh_authkey_use *use,
    unsigned char out[COH_HASH_SIZE]);

/* The id of secret INDEX: HKDF-Expand(prk, "cohort-key-id" || 0).  May be seen by all.  As above. */
int coh_authkey_id(const struct cohort_key *key, int index, unsigned char out[COH_AUTHKEY_ID]);

#endif
