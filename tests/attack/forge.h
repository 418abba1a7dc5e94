/*
 * forge.h - what an attacker makes by hand: proofs under keys that cohort_key_new refuses.
 */
#ifndef TESTS_ATTACK_FORGE_H
#define TESTS_ATTACK_FORGE_H

#include "net/ends.h"
#include "trust/hmac_openssl.h"

#define ATTACK_RUNS 10000 /* of each script: trust's figure */

/* The client proof over HS's transcript under the extracted key PRK, in cluster demo. */
void forge_client_proof(
    const struct coh_handshake *hs, const unsigned char prk[COH_HASH_SIZE], struct parcel *p);

/* As above, under SECRET, which is extracted first. */
void forge_by_secret(const struct coh_handshake *hs, struct coh_span secret, struct parcel *p);

/* Make P, a client's hello, into that of a server with the same nonce, uuid, name and address. */
void forge_server_hello(struct parcel *p);

#endif
