/*
 * tls_priv.h - shared by the files that speak with OpenSSL's libssl.
 */
#ifndef COH_TRUST_TLS_PRIV_H
#define COH_TRUST_TLS_PRIV_H

#include "trust/authkey.h"
#include "trust/handshake.h"
#include "trust/tls_openssl.h"
#include "wire/frame.h"

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

#define COH_TLS_FIRST (COH_FRAME_SIZE + 1) /* bytes kept of what came first: a REFUSE in clear text */

/* What went wrong, and what is known about it. */
struct coh_tls_fault {
	unsigned long word; /* OpenSSL's */
	long verify;        /* what it said of the peer's certificate */
	bool by_key, server, foreign;
	const unsigned char *first; /* what came first, while the handshake was not over; else NULL */
	size_t first_size;
};

/* Its code and sentence, as coh_tls_why. */
int coh_tls_fault_why(const struct coh_tls_fault *t, struct cohort_error *err);

/* The one context of all ends by the key; NULL when there is no memory.  For ever. */
struct coh_tls_context *coh_tls_context_key(void);

/* The context of CERTS. */
struct coh_tls_context *coh_tls_context_certs(const struct coh_tls_certs *certs);

/* A context with the rules of all, the caller's; NULL when there is no memory. */
struct coh_tls_context *coh_tls_context_new(void);

#endif
