/*
 * tls_openssl.h - one end of a TLS 1.3 connection over a connected socket.
 *
 * TLS 1.3 alone, with an ephemeral exchange always, no tickets, no resumption, no early data.  Who the
 * peer is, is shown by the key (an external PSK derived from it, no certificates) or by certificates
 * on both sides; never by either as the peer likes.  No type of OpenSSL shows.
 *
 * The handshake goes on inside the first reads and writes.  An end belongs to one thread at
 * a time.  SIGPIPE is never raised.
 */
#ifndef COH_TRUST_TLS_OPENSSL_H
#define COH_TRUST_TLS_OPENSSL_H

#include "base/name.h"

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct cohort_key;
struct coh_tls;
struct coh_tls_certs;

enum coh_tls_side { COH_TLS_CLIENT, COH_TLS_SERVER };

struct coh_tls_config {
	enum coh_tls_side side;
	int fd;                            /* connected stream socket; stays the caller's */
	bool ahead;                        /* server: OpenSSL's end is made now and not when the client's hello has come */
	const struct cohort_key *key;      /* by the key: borrowed until the handshake is over */
	const char *cluster;               /* likewise; both ends must give the same */
	const struct coh_tls_certs *certs; /* not NULL: by certificates, and the two above are not used */
	const char *host;                  /* client by certificates: the name or number dialled; copied */
};

/* An end that has said nothing yet.  Gives *OUT.  0, -ENOMEM, COHORT_EKEY (no key). */
int coh_tls_new(
    struct coh_tls **out, const struct coh_tls_config *config, struct cohort_error *err);

/* Say farewell: nothing more can be written, what the peer says can be read.  Never waits. */
void coh_tls_end(struct coh_tls *t);

/* As coh_tls_end, and free T.  NULL is fine. */
void coh_tls_free(struct coh_tls *t);

/*
 * Read up to N bytes.  With WAIT the socket is waited for without end, else never.
 * The count; 0 at the peer's farewell, or when it is gone before the handshake is over; -EAGAIN (see
 * coh_tls_events); another -errno, of which coh_tls_why tells more.
 */
ssize_t coh_tls_read(struct coh_tls *t, void *p, size_t n, bool wait);

/*
 * Write from IOV likewise; never 0.  What is said to be written leaves with the write that returned
 * it, or with a later one; some byte is not said to be before all those in front of it have left.
 */
ssize_t coh_tls_write(struct coh_tls *t, const struct iovec *iov, int n, bool wait);

/* Server: true once a whole hello of TLS has come and been found good. */
bool coh_tls_heard(const struct coh_tls *t);

/* True when the last read stopped only for want of room: there is more, whatever the socket says. */
bool coh_tls_ready(const struct coh_tls *t);

/* The poll(2) events that T needs to go on with a read or, when WRITING, with a write. */
short coh_tls_events(const struct coh_tls *t, bool writing);

/*
 * Why T failed, into ERR: COHORT_EAUTH (another key, no key, a certificate that is not believed),
 * COHORT_ECLUSTER, COHORT_EVERSION (no TLS 1.3), COHORT_EPROTOCOL (no TLS at all, or bytes that were
 * altered), COHORT_EBUSY, COHORT_ETRUNCATED (no farewell), -ENOMEM; 0 when its -errno says all.
 */
int coh_tls_why(const struct coh_tls *t, struct cohort_error *err);

/* The handshake is over. */
bool coh_tls_done(const struct coh_tls *t);

/* After the handshake: may the peer call itself NAME?  By the key it may; else its certificate decides. */
bool coh_tls_named(const struct coh_tls *t, const char *name);

/*
 * Our certificate chain and private key (both in CERT_FILE), whom to believe (CA_FILE), and what
 * was taken back (CRL_FILE, may be NULL); PEM.  CERT_FILE must be as private as a key file, the
 * others such that nobody else can write them.  Gives *OUT.  0, COHORT_EKEY, -ENOMEM.
 */
struct coh_tls_files {
	const char *cert_file, *ca_file, *crl_file;
};
int coh_tls_certs_load(struct coh_tls_certs **out, const struct coh_tls_files *files,
    struct cohort_error *err);

/*
 * The first name that our own certificate is for and that is one (base/name.h), at NAME; false: it has
 * none, or there is no memory.
 */
bool coh_tls_certs_name(
    const struct coh_tls_certs *certs, char name[COH_NAME_MAX + 1]);

/* Ends made of them live on.  NULL is fine. */
void coh_tls_certs_free(struct coh_tls_certs *certs);

/* Tests: change the key of a direction after N records instead of 2^23. */
void coh_tls_rekey_after(unsigned long n);

#endif
