/*
 * identity.h - who we are to strangers: the options of a listener or a dial, resolved.
 */
#ifndef COH_CONN_IDENTITY_H
#define COH_CONN_IDENTITY_H

#include "trust/handshake.h"
#include "trust/tls_openssl.h"

#include <cohort/listener.h>

/* Certificates instead of the key, inside TLS; all NULL without. */
struct coh_identity_certs {
	struct coh_tls_certs *loaded;
	char *cert_file, *ca_file, *crl_file;
	char **peers; /* the names expected, ended by NULL; NULL: all that are signed */
};

struct coh_identity {
	const struct cohort_key *key; /* NULL: none, since there are certificates */
	struct cohort_key *own_key; /* KEY when it was loaded here */
	char *key_file;             /* from there; NULL: from the one that the environment names */
	struct coh_identity_certs certs;
	char cluster[COH_HANDSHAKE_NAME_MAX + 1];
	char name[COH_HANDSHAKE_NAME_MAX + 1];
	unsigned char uuid[COH_HANDSHAKE_UUID];
	uint32_t features; /* of our hello: COH_HANDSHAKE_BEAT */
	bool python; /* for peers that are Python's: KEY is one of cohort_key_load_python */
	bool python_md5;
};

/* identity_certs.c: make them of OPTIONS, read their files anew, may a peer have NAME?  As for an identity. */
int coh_identity_certs_init(struct coh_identity_certs *c, const struct cohort_net_options *o,
    struct cohort_error *err);
int coh_identity_certs_read(
    struct coh_tls_certs **out, const struct coh_identity_certs *c, struct cohort_error *err);
bool coh_identity_certs_expect(const struct coh_identity_certs *c, const char *name);
void coh_identity_certs_fini(struct coh_identity_certs *c);

/*
 * Who OPTIONS (NULL: all defaults) say we are; coh_identity_fini it, also after a failure.
 * 0, COHORT_EKEY, COHORT_ENAME, COHORT_EARGUMENT (heartbeat), COHORT_EAUTH (no random
 * bytes), -ENOMEM.
 */
int coh_identity_init(struct coh_identity *id, const struct cohort_net_options *options,
    struct cohort_error *err);

/* The same for Python peers: with another key, cluster and name being of no use there. */
int coh_identity_init_python(struct coh_identity *id, const struct cohort_net_options *options,
    struct cohort_error *err);

void coh_identity_fini(struct coh_identity *id);

/*
 * Read again what ID was read from: certificates, and the key, unless the options gave it.  Handshakes under way go on,
 * by the new key where they have not yet used the old one.  0, or why it cannot be used (as init): then
 * all is as it was.
 */
int coh_identity_reload(struct coh_identity *id, struct cohort_error *err);

#endif
