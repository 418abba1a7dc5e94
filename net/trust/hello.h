/*
 * hello.h - the two hellos of the handshake as bytes: PROTOCOL.md, "Handshake".  Pure.
 *
 *   client  "COH1" 'C' vmin vmax n suite(2)*n features(4) nonce(32) uuid(16)
 *           lp(cluster) lp(name) lp(address dialled)
 *   server  "COH1" 'S' version suite(2)       features(4) nonce(32) uuid(16)
 *           lp(cluster) lp(name) lp(own address)
 *
 * Integers are big-endian; lp is one byte of length and that many bytes.
 */
#ifndef COH_TRUST_HELLO_H
#define COH_TRUST_HELLO_H

#include "trust/handshake.h"
#include "trust/hmac_openssl.h"

#include <stdint.h>

#define COH_HELLO_SUITES 16           /* as many as a client may offer */
#define COH_HELLO_SUITE_SHA256 0x0001 /* HKDF and HMAC by SHA-256: the only one today */

struct coh_hello {
	uint8_t version_min, version_max; /* of a server: both are the version chosen */
	uint8_t suite_count;              /* of a server: 1 */
	uint16_t suites[COH_HELLO_SUITES];
	uint32_t features;
	unsigned char nonce[COH_HANDSHAKE_NONCE];
	unsigned char uuid[COH_HANDSHAKE_UUID];
	char cluster[COH_HANDSHAKE_NAME_MAX + 1];
	char name[COH_HANDSHAKE_NAME_MAX + 1];
	char address[COH_HANDSHAKE_ADDRESS_MAX + 1];
};

/* Write H as ROLE sends it; how many bytes.  H must be one that decode would accept. */
size_t coh_hello_encode(const struct coh_hello *h, enum coh_handshake_role role,
    unsigned char out[COH_HANDSHAKE_BODY_MAX]);

/*
 * Read the N bytes at BODY, sent by ROLE, into H.  0; COHORT_EPROTOCOL (not such a hello, too
 * short, too long, a range upside down); COHORT_ENAME (cluster or name).
 */
int coh_hello_decode(struct coh_hello *h, enum coh_handshake_role role,
    const struct coh_span *body, struct cohort_error *err);

#endif
