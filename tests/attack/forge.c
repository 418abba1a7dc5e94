/*
 * forge.c - client proofs made from their description, not by the handshake's code.
 */
#include "attack/forge.h"

#include "support/test.h"

#include <string.h>

void forge_client_proof(
    const struct coh_handshake *hs, const unsigned char prk[COH_HASH_SIZE], struct parcel *p)
{
	static const char info[] = "cohort-hs1 client finished\0demo";
	struct coh_span parts = {info, sizeof info - 1};
	unsigned char key[COH_HASH_SIZE];

	REQUIRE_EQ(coh_hmac_expand(prk, &parts, 1, key, sizeof key), 0);
	parts = (struct coh_span){hs->transcript, sizeof hs->transcript};
	REQUIRE_EQ(coh_hmac_sign((struct coh_span){key, sizeof key}, &parts, 1, p->body), 0);
	p->f = (struct coh_frame){.type = COH_FRAME_CLIENT_PROOF, .length = COH_HASH_SIZE};
}

void forge_by_secret(const struct coh_handshake *hs, struct coh_span secret, struct parcel *p)
{
	unsigned char prk[COH_HASH_SIZE];

	REQUIRE_EQ(coh_hmac_extract((struct coh_span){"cohort-hs1 authkey", 18}, secret, prk), 0);
	forge_client_proof(hs, prk, p);
}

void forge_server_hello(struct parcel *p)
{
	memmove(p->body + 6, p->body + 8, p->f.length - 8);
	p->f.length -= 2;
	p->f.type = COH_FRAME_SERVER_HELLO;
	p->body[4] = 'S';
	p->body[5] = COH_HANDSHAKE_VERSION;
}
