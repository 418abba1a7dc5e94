/*
 * authkey.h - the inside of a key, for what derives others from it.
 *
 * The secret itself is not kept: only what HKDF extracted from it, under the salt
 * "cohort-hs1 authkey", so that no key ever signs a message that a peer chose.
 */
#ifndef COH_TRUST_AUTHKEY_H
#define COH_TRUST_AUTHKEY_H

#include "trust/hmac_openssl.h"

#include <cohort/auth.h>

/*
 * The extracted key (COH_HASH_SIZE bytes), KEY's, for its life; NULL with COHORT_EKEY in ERR
 * when this process was forked after the key was loaded.  Any thread.
 */
const unsigned char *coh_authkey_prk(const struct cohort_key *key, struct cohort_error *err);

/*
 * Derive COH_HASH_SIZE bytes for the purpose LABEL in CLUSTER: HKDF-Expand(prk, LABEL || 0 ||
 * CLUSTER).  0, COHORT_EKEY (as above), -ENOMEM, COHORT_EAUTH.
 */
int coh_authkey_derive(const struct cohort_key *key, const char *label, const char *cluster,
    unsigned char out[COH_HASH_SIZE]);

#endif
