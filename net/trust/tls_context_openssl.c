/*
 * tls_context_openssl.c - what TLS connections share: rules, the key's part, certificates.
 *
 * Making a context costs OpenSSL more than a handshake, so that all ends by the key share one; the
 * key itself is asked for during each handshake and what is derived from it lives as long as
 * that.  With certificates there is a context for each set of files.
 *
 * The rules, for both: TLS 1.3 alone; both suites have SHA-256, as the key's proof needs; a fresh
 * exchange of keys always (OpenSSL does psk_ke only when asked); no tickets, hence no resumption and
 * no early data; and whoever shows neither key nor certificate is not believed, since nobody
 * is in the store of a context by the key (a client would else accept any certificate).
 *
 * A server that is told an identity it does not know goes on with a key that nobody has, so that
 * a stranger cannot tell a wrong name from a wrong key.
 */
#include "trust/tls_priv.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256"
#define PSK_LABEL "cohort-tls13-psk"
#define NOBODY_LABEL "cohort-tls13-nobody"

/* Sessions must be of the same context as the connection; one name serves for all. */
static const unsigned char ours[] = {'c', 'o', 'h', 'o', 'r', 't'};

/* The identity of secret INDEX.  0 or why there is none. */
static int identity_make(const struct coh_tls_secret *s, int index, char out[COH_TLS_IDENTITY])
{
	unsigned char id[COH_AUTHKEY_ID];
	int rc = coh_authkey_id(s->key, index, id);

	if (rc == 0)
		snprintf(out, COH_TLS_IDENTITY, "cohort1:%.*s#%02x%02x%02x%02x",
		    COH_HANDSHAKE_NAME_MAX, s->cluster, id[0], id[1], id[2], id[3]);
	return rc;
}

/* A session to begin with, out of what USE derives from the key; NULL when it cannot be. */
static SSL_SESSION *session_make(SSL *ssl, const struct coh_authkey_use *use)
{
	static const unsigned char suite[] = {0x13, 0x01}; /* its hash counts, any with SHA-256 may follow */
	const struct coh_tls_secret *s = SSL_get_app_data(ssl);
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
	unsigned char psk[COH_HASH_SIZE];
	SSL_SESSION *session = NULL;

	if (cipher != NULL && coh_authkey_derive(s->key, use, psk) == 0)
		session = SSL_SESSION_new();
	if (session != NULL &&
	    (SSL_SESSION_set1_master_key(session, psk, sizeof psk) != 1 ||
		SSL_SESSION_set_cipher(session, cipher) != 1 ||
		SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1 ||
		SSL_SESSION_set1_id_context(session, ours, sizeof ours) != 1)) {
		SSL_SESSION_free(session);
		session = NULL;
	}
	coh_wipe(psk, sizeof psk);
	return session;
}

/* A client names its identity; MD is NULL at first, then the hash that must be SHA-256. */
static int on_client(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *size,
    SSL_SESSION **session)
{
	struct coh_tls_secret *s = SSL_get_app_data(ssl);
	struct coh_authkey_use use = {0, PSK_LABEL, s->cluster};

	*session = NULL;
	if (md != NULL && !EVP_MD_is_a(md, "SHA256"))
		return 1;
	if (identity_make(s, 0, s->identity) != 0)
		return 0;
	*session = session_make(ssl, &use);
	*id = (const unsigned char *)s->identity;
	*size = strlen(s->identity);
	return *session != NULL;
}

/* Is the identity ID (SIZE bytes) one of our cluster?  Only to say so in the log. */
static bool identity_is_foreign(const struct coh_tls_secret *s, const char *id, size_t size)
{
	char known[COH_TLS_IDENTITY];
	int n = snprintf(known, sizeof known, "cohort1:%s#", s->cluster);

	return size > 8 && strncmp(id, known, 8) == 0 &&
	    ((size_t)n > size || strncmp(id, known, (size_t)n) != 0);
}

/* A client named the identity ID: which of our secrets is it? */
static int on_server(SSL *ssl, const unsigned char *id, size_t size, SSL_SESSION **session)
{
	struct coh_tls_secret *s = SSL_get_app_data(ssl);
	struct coh_authkey_use use = {0, NOBODY_LABEL, s->cluster};
	char known[COH_TLS_IDENTITY];
	int count = coh_authkey_count(s->key);

	for (int i = 0; i < count; i++) {
		if (identity_make(s, i, known) != 0)
			return 0;
		/* NOT SECRET: identities are told to everybody. */
		if (size == strlen(known) && memcmp(id, known, size) == 0)
			use = (struct coh_authkey_use){i, PSK_LABEL, s->cluster};
	}
	s->foreign = identity_is_foreign(s, (const char *)id, size);
	*session = session_make(ssl, &use);
	return *session != NULL;
}

/* OpenSSL could prepare itself; without, it must not be called. */
static bool usable(void)
{
	return OSSL_LIB_CTX_get0_global_default() != NULL && OPENSSL_init_ssl(0, NULL) == 1;
}

struct coh_tls_context *coh_tls_context_new(void)
{
	char groups[] = GROUPS; /* OpenSSL's macro casts away a const */
	SSL_CTX *ctx = usable() ? SSL_CTX_new(TLS_method()) : NULL;

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, SUITES) != 1 || SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, ours, sizeof ours) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return (struct coh_tls_context *)(void *)ctx;
}

struct coh_tls_context *coh_tls_context_key(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static SSL_CTX *ctx; /* made once, under the lock */

	pthread_mutex_lock(&lock);
	if (ctx == NULL) {
		ctx = (SSL_CTX *)(void *)coh_tls_context_new();
		if (ctx != NULL) {
			SSL_CTX_set_psk_use_session_callback(ctx, on_client);
			SSL_CTX_set_psk_find_session_callback(ctx, on_server);
		}
	}
	pthread_mutex_unlock(&lock);
	return (struct coh_tls_context *)(void *)ctx;
}
