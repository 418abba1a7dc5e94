/*
 * tls_priv.h - shared by the two files that speak with OpenSSL's libssl.
 */
#ifndef COH_TRUST_TLS_PRIV_H
#define COH_TRUST_TLS_PRIV_H

#include "trust/authkey.h"
#include "trust/handshake.h"
#include "trust/tls_openssl.h"

/* OpenSSL's SSL_CTX under another name. */
struct coh_tls_context;

/* "cohort1:" CLUSTER "#" and the id of the secret in hexadecimal. */
#define COH_TLS_IDENTITY (8 + COH_HANDSHAKE_NAME_MAX + 1 + 2 * COH_AUTHKEY_ID + 1)

/* What an end by the key needs during the handshake: the SSL's application data. */
struct coh_tls_secret {
	const struct cohort_key *key;
	const char *cluster;
	char identity[COH_TLS_IDENTITY]; /* client: the one it names */
	bool foreign;                    /* server: the peer named one of another cluster */
};

/* The one context of all ends by the key; NULL when there is no memory.  For ever. */
struct coh_tls_context *coh_tls_context_key(void);

#endif
