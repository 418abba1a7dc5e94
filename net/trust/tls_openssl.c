/*
 * tls_openssl.c - one end of a TLS 1.3 connection over a connected socket.
 *
 * OpenSSL reads and writes through a BIO of ours, which never fails for want of room: what the
 * socket does not take at once is held in `out` (one record at most), so that OpenSSL never asks
 * for the same bytes again.  A record that is held was sealed and cannot be taken back; so of the
 * bytes in it the last is owed: it counts as not written until the record has left.  Whoever
 * is told of a part must come with the rest, and thereby pushes the record out.  (Who then takes
 * back what he thinks was not begun may come with something else that begins with the same byte;
 * all frames do.)
 *
 * During the handshake what is to be sent waits in `out` until something is to be read, so that a
 * client's last flight and its first words leave in one segment.
 *
 * What comes is read a buffer full at a time (read ahead) and all that is whole is handed on,
 * as far as there is room; so a record is one system call.
 *
 * The rule that matters: an end of the stream is one only when the peer said so (close_notify);
 * anybody on the way can close a TCP connection.
 *
 * Rejected: OpenSSL's socket BIO (it raises SIGPIPE, and asks twice a record), non-blocking
 * sockets (stream_fd.c says why), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER (the bytes may not change).
 */
#include "trust/tls_openssl.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "trust/tls_first.h"
#include "trust/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD ((size_t)16 << 10) /* of plain text: RFC 8446, 5.1 */
#define OUT_MAX ((size_t)64 << 10) /* one flight, or one record */

struct coh_tls {
	SSL *ssl;         /* of a server: NULL until the client's hello is whole, unless it was made ahead */
	SSL_CTX *context; /* what it is made of */
	int fd;
	enum coh_tls_side side;
	bool by_key;
	bool wait;           /* the call under way may wait for the socket */
	bool corked;         /* nothing is sent now */
	bool dry;            /* nothing is read from the socket now */
	bool done;           /* the handshake is over */
	bool more;           /* see coh_tls_ready */
	bool owed;           /* the next byte to be written is in a record already */
	bool ended;          /* the socket said the end of the stream */
	bool cut;            /* and that was no farewell */
	bool said;           /* our farewell */
	int in_errno;        /* why nothing more can be read; 0 while it can */
	int out_errno;       /* likewise written */
	unsigned long fault; /* OpenSSL's word for it; 0: none */
	unsigned long records;
	unsigned int forks;  /* of this process, when it was last used */
	struct coh_buf out;
	struct coh_tls_first hello; /* server: the client's, until OpenSSL has read it */
	size_t first_size;
	unsigned char first[COH_TLS_FIRST];
	struct coh_tls_secret secret;
};

/*
 * Forks of this process.  Of two processes that share an end only one may speak, or two records would be
 * sealed with one nonce: an end that was not used since a fork says no farewell.
 */
static atomic_uint forks;

static unsigned long rekey_after = 1ul << 23; /* RFC 8446, 5.5: 2^24.5 full ones at most */

void coh_tls_rekey_after(unsigned long n)
{
	rekey_after = n;
}

static unsigned int fork_count(void)
{
	return atomic_load_explicit(&forks, memory_order_relaxed);
}

/* Send from P.  How many bytes went, 0 when there is no room, or -errno. */
static ssize_t out_send(const struct coh_tls *t, const void *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(t->fd, p, n, MSG_NOSIGNAL | (t->wait ? 0 : MSG_DONTWAIT));
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? 0 : -errno;
	return sent;
}

/* Send what is held.  0; -EAGAIN; or why nothing can be sent. */
static int out_flush(struct coh_tls *t)
{
	ssize_t sent;

	while (t->out_errno == 0 && coh_buf_len(&t->out) != 0) {
		sent = out_send(t, coh_buf_peek(&t->out), coh_buf_len(&t->out));
		if (sent == 0)
			return -EAGAIN;
		if (sent < 0)
			t->out_errno = (int)sent;
		else
			coh_buf_drop(&t->out, (size_t)sent);
	}
	coh_buf_fini(&t->out);
	return t->out_errno;
}

static int bio_write(BIO *bio, const char *p, int n)
{
	struct coh_tls *t = BIO_get_data(bio);
	ssize_t sent = 0;

	if (!t->corked && coh_buf_len(&t->out) == 0)
		sent = out_send(t, p, (size_t)n);
	if (sent >= 0 && sent < n && coh_buf_put(&t->out, p + sent, (size_t)(n - sent)) != 0)
		sent = -ENOMEM;
	if (sent >= 0)
		return n;
	t->out_errno = (int)sent;
	return -1;
}

/* What was gathered, then what the socket has.  As recv, but for EINTR. */
static ssize_t in_recv(struct coh_tls *t, void *p, size_t n)
{
	ssize_t got = (ssize_t)coh_tls_first_give(&t->hello, p, n);

	if (got != 0)
		return got;
	do
		got = t->dry ? -1 : recv(t->fd, p, n, t->wait ? 0 : MSG_DONTWAIT);
	while (got < 0 && !t->dry && errno == EINTR);
	return got;
}

static void keep_first(struct coh_tls *t, const void *p, size_t n)
{
	if (n > COH_TLS_FIRST - t->first_size)
		n = COH_TLS_FIRST - t->first_size;
	memcpy(t->first + t->first_size, p, n);
	t->first_size += n;
}

static int bio_read(BIO *bio, char *p, int n)
{
	struct coh_tls *t = BIO_get_data(bio);
	bool asks = !t->wait && !t->done && coh_buf_len(&t->out) != 0;
	ssize_t got;

	BIO_clear_retry_flags(bio);
	/* Its failure is the writer's to hear: there may be a last word to read. */
	if (out_flush(t) == 0 && asks) {
		BIO_set_retry_read(bio); /* the answer to what has just left cannot be here yet */
		return -1;
	}
	got = in_recv(t, p, (size_t)n);
	if (got < 0 && (t->dry || errno == EAGAIN))
		BIO_set_retry_read(bio);
	else if (got < 0)
		t->in_errno = -errno;
	t->ended = t->ended || got == 0;
	if (got > 0 && !t->done)
		keep_first(t, p, (size_t)got);
	return (int)got;
}

static long bio_ctrl(BIO *bio, int what, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return what == BIO_CTRL_FLUSH;
}

static void count_fork(void)
{
	atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

/* NULL when there is no memory. */
static BIO_METHOD *bio_make(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "cohort socket");

	if (method != NULL && BIO_meth_set_write(method, bio_write) == 1 &&
	    BIO_meth_set_read(method, bio_read) == 1 && BIO_meth_set_ctrl(method, bio_ctrl) == 1 &&
	    pthread_atfork(NULL, count_fork, count_fork) == 0)
		return method;
	BIO_meth_free(method);
	return NULL;
}

static BIO_METHOD *bio_method(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static BIO_METHOD *method; /* made once, under the lock */

	pthread_mutex_lock(&lock);
	if (method == NULL)
		method = bio_make();
	pthread_mutex_unlock(&lock);
	return method;
}

/* The certificate of the server must bear the HOST that was dialled, by name or by number. */
static bool expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

/* Let OpenSSL begin.  0 or -ENOMEM. */
static int tls_begin(struct coh_tls *t)
{
	BIO_METHOD *method = bio_method();
	BIO *bio = method != NULL ? BIO_new(method) : NULL;

	t->ssl = bio != NULL ? SSL_new(t->context) : NULL;
	if (t->ssl == NULL) {
		BIO_free(bio);
		return -ENOMEM;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (t->side == COH_TLS_CLIENT)
		SSL_set_connect_state(t->ssl);
	else
		SSL_set_accept_state(t->ssl);
	return SSL_set_app_data(t->ssl, &t->secret) == 1 ? 0 : -ENOMEM;
}

static int tls_init(struct coh_tls *t, const struct coh_tls_config *c)
{
	struct coh_tls_context *context =
	    c->certs != NULL ? coh_tls_context_certs(c->certs) : coh_tls_context_key();
	int rc;

	if (context == NULL || SSL_CTX_up_ref((SSL_CTX *)(void *)context) != 1)
		return -ENOMEM;
	t->context = (SSL_CTX *)(void *)context;
	if (c->side == COH_TLS_SERVER && !c->ahead)
		return 0;
	rc = tls_begin(t);
	return rc == 0 && c->side == COH_TLS_CLIENT && c->certs != NULL && !expect_host(t->ssl, c->host) ? -ENOMEM : rc;
}

int coh_tls_new(struct coh_tls **out, const struct coh_tls_config *config, struct cohort_error *err)
{
	struct coh_tls *t;

	*out = NULL;
	if (config->certs == NULL && coh_authkey_count(config->key) == 0)
		return coh_fail(err, COHORT_EKEY, "TLS: there is no key in this process");
	t = coh_calloc(sizeof *t);
	if (t == NULL)
		return coh_fail(err, -ENOMEM, "TLS: no memory");
	t->fd = config->fd;
	t->side = config->side;
	t->by_key = config->certs == NULL;
	t->secret.key = config->key;
	t->secret.cluster = config->cluster;
	coh_buf_init(&t->out, OUT_MAX);
	coh_tls_first_init(&t->hello);
	if (tls_init(t, config) != 0) {
		ERR_clear_error();
		coh_tls_free(t);
		return coh_fail(err, -ENOMEM, "TLS: no memory");
	}
	*out = t;
	return 0;
}

/*
 * The peer's words that were not read are lost with us: then it is to hear of a reset, as of any socket, and
 * not of an end.  Who does not hear the farewell at once sees us gone.
 */
static void tls_farewell(struct coh_tls *t)
{
	char c;

	if (!t->done || t->said || t->out_errno != 0 || t->forks != fork_count() || SSL_has_pending(t->ssl) ||
	    recv(t->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return;
	t->wait = false;
	if (SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
}

void coh_tls_end(struct coh_tls *t)
{
	if (!t->done || t->said || t->out_errno != 0)
		return;
	t->wait = false;
	t->forks = fork_count();
	t->said = true;
	if (SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
}

void coh_tls_free(struct coh_tls *t)
{
	if (t == NULL)
		return;
	tls_farewell(t);
	SSL_free(t->ssl);
	SSL_CTX_free(t->context);
	coh_buf_fini(&t->out);
	coh_tls_first_fini(&t->hello);
	coh_free(t);
}

/* OpenSSL failed: keep its word, and end what has ended.  Returns why, as -errno. */
static int tls_fail(struct coh_tls *t)
{
	unsigned long fault = ERR_peek_error();

	t->wait = false;
	(void)out_flush(t); /* the alert, if it gets through at once */
	if (t->ended && t->in_errno == 0) {
		t->cut = t->done;
		t->in_errno = -ECONNRESET;
	} else if (t->in_errno == 0 && t->out_errno == 0) {
		t->fault = fault != 0 ? fault : ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_PACKET);
		t->in_errno = t->out_errno = ERR_GET_REASON(fault) == ERR_R_MALLOC_FAILURE ? -ENOMEM
											  : -EPROTO;
	}
	ERR_clear_error();
	return t->in_errno != 0 ? t->in_errno : t->out_errno;
}

/* What R, which OpenSSL returned, means: -EAGAIN, 0 for the peer's farewell, or why it failed. */
static int tls_result(struct coh_tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return tls_fail(t);
	}
}

/* For good: it failed with E (-errno), or with OpenSSL's FAULT. */
static int tls_over(struct coh_tls *t, int e, int fault)
{
	t->fault = fault != 0 ? ERR_PACK(ERR_LIB_SSL, 0, fault) : 0;
	t->in_errno = t->out_errno = e;
	return e;
}

/* The handshake is over: was it the one that was meant? */
static int tls_judge(struct coh_tls *t)
{
	static const unsigned char nothing[COH_HASH_SIZE];

	t->done = true;
	if (!t->by_key)
		return 0;
	if (SSL_session_reused(t->ssl) != 1)
		return tls_over(t, -EPROTO, SSL_R_BINDER_DOES_NOT_VERIFY);
	/* What was derived from the key has served: it need not lie in memory for the connection's life. */
	(void)SSL_SESSION_set1_master_key(SSL_get_session(t->ssl), nothing, sizeof nothing);
	return 0;
}

/* What came is not TLS: say so in TLS, so that whoever it is can tell what is here. */
static int tls_refuse(struct coh_tls *t)
{
	static const unsigned char alert[] = {21, 3, 1, 0, 2, 2, 70}; /* fatal: protocol version */
	unsigned char first[COH_TLS_FIRST];

	keep_first(t, first, coh_tls_first_give(&t->hello, first, sizeof first));
	if (coh_buf_put(&t->out, alert, sizeof alert) == 0)
		(void)out_flush(t);
	return tls_over(t, -EPROTO, SSL_R_WRONG_VERSION_NUMBER);
}

/* A server begins when the client has said its hello.  0; -EAGAIN; or why it cannot. */
static int tls_hear(struct coh_tls *t)
{
	int rc = coh_tls_first_gather(&t->hello, t->fd, t->wait);

	if (rc == -EAGAIN)
		return rc;
	if (rc == -EMSGSIZE)
		return tls_over(t, -EPROTO, SSL_R_EXCESSIVE_MESSAGE_SIZE);
	if (rc == 0 && coh_tls_first_foreign(&t->hello))
		return tls_refuse(t);
	if (rc == 0 && t->ssl == NULL)
		rc = tls_begin(t);
	ERR_clear_error();
	return rc == 0 ? 0 : tls_over(t, rc, 0);
}

/* Go on with the handshake.  0 when it is over; -EAGAIN; or why it failed. */
static int tls_shake(struct coh_tls *t)
{
	int rc = t->side == COH_TLS_SERVER && !t->hello.whole ? tls_hear(t) : 0;

	if (rc != 0)
		return rc;
	ERR_clear_error();
	t->corked = true;
	rc = SSL_do_handshake(t->ssl);
	t->corked = false;
	if (rc == 1)
		return tls_judge(t);
	rc = tls_result(t, rc);
	return rc == 0 ? -ECONNRESET : rc;
}

/* Read what comes up to P + N, waiting for the first byte only.  The count; or as tls_result. */
static ssize_t tls_take(struct coh_tls *t, char *p, size_t n)
{
	size_t got = 0, part;
	int r, rc = -EAGAIN;

	t->more = false;
	do {
		ERR_clear_error();
		r = SSL_read_ex(t->ssl, p + got, n - got, &part);
		if (r == 1)
			got += part;
		else
			rc = tls_result(t, r);
		t->dry = true;
	} while (r == 1 && got < n && SSL_has_pending(t->ssl));
	t->dry = false;
	t->more = r == 1 && SSL_has_pending(t->ssl);
	return got != 0 ? (ssize_t)got : rc;
}

ssize_t coh_tls_read(struct coh_tls *t, void *p, size_t n, bool wait)
{
	int rc;

	t->wait = wait;
	t->forks = fork_count();
	if (t->in_errno != 0)
		return t->ended && !t->done ? 0 : t->in_errno;
	if (!t->done) {
		rc = tls_shake(t);
		if (rc != 0)
			return t->ended ? 0 : rc;
	}
	if (coh_buf_len(&t->out) != 0)
		(void)out_flush(t);
	return tls_take(t, p, n);
}

/* Up to one record out of IOV behind SKIP bytes: at *P, in STAGE unless it lies in one piece. */
static size_t tls_gather(const struct iovec *iov, int n, size_t skip, unsigned char *stage,
    const unsigned char **p)
{
	size_t have = 0, part;

	*p = stage;
	for (int i = 0; i < n && have < RECORD; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - skip;
		if (have == 0 && (part >= RECORD || i == n - 1)) {
			*p = (const unsigned char *)iov[i].iov_base + skip;
			return part < RECORD ? part : RECORD;
		}
		if (part > RECORD - have)
			part = RECORD - have;
		memcpy(stage + have, (const unsigned char *)iov[i].iov_base + skip, part);
		have += part;
		skip = 0;
	}
	return have;
}

/* Seal SIZE bytes at P into a record.  0 or why it failed. */
static int tls_seal(struct coh_tls *t, const unsigned char *p, size_t size)
{
	size_t sealed;
	int r;

	ERR_clear_error();
	if (++t->records >= rekey_after) {
		t->records = 0;
		(void)SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
	}
	r = SSL_write_ex(t->ssl, p, size, &sealed);
	if (r == 1)
		return 0;
	r = tls_result(t, r);
	return r != 0 ? r : t->out_errno != 0 ? t->out_errno : -EPIPE;
}

/* Write all of IOV behind SKIP bytes that the socket takes.  How many are sealed, or as tls_seal. */
static ssize_t tls_give(struct coh_tls *t, const struct iovec *iov, int n, size_t skip)
{
	unsigned char stage[RECORD];
	const unsigned char *p;
	size_t size, done = 0;
	int rc = 0;

	while (rc == 0 && (size = tls_gather(iov, n, skip + done, stage, &p)) != 0) {
		rc = tls_seal(t, p, size);
		if (rc == 0) {
			done += size;
			rc = coh_buf_len(&t->out) != 0 ? out_flush(t) : 0;
		}
	}
	return done != 0 ? (ssize_t)done : rc;
}

ssize_t coh_tls_write(struct coh_tls *t, const struct iovec *iov, int n, bool wait)
{
	size_t skip = t->owed ? 1 : 0;
	ssize_t given;
	int rc;

	t->wait = wait;
	t->forks = fork_count();
	if (t->out_errno != 0 || t->said)
		return t->out_errno != 0 ? t->out_errno : -EPIPE;
	rc = t->done ? out_flush(t) : tls_shake(t);
	if (rc != 0)
		return rc;
	t->owed = false;
	given = tls_give(t, iov, n, skip);
	if (given < 0 && skip == 0)
		return given;
	given = (given > 0 ? given : 0) + (ssize_t)skip;
	if (coh_buf_len(&t->out) == 0)
		return given;
	t->owed = true;
	return given > 1 ? given - 1 : -EAGAIN;
}

bool coh_tls_heard(const struct coh_tls *t)
{
	return t->hello.whole && t->in_errno == 0;
}

bool coh_tls_ready(const struct coh_tls *t)
{
	return t->more;
}

short coh_tls_events(const struct coh_tls *t, bool writing)
{
	if (coh_buf_len(&t->out) != 0 || (writing && t->done))
		return POLLIN | POLLOUT;
	return POLLIN;
}

bool coh_tls_done(const struct coh_tls *t)
{
	return t->done;
}

bool coh_tls_named(const struct coh_tls *t, const char *name)
{
	const unsigned int flags = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	X509 *peer = SSL_get0_peer_certificate(t->ssl);

	return t->by_key || (peer != NULL && X509_check_host(peer, name, 0, flags, NULL) == 1);
}

int coh_tls_why(const struct coh_tls *t, struct cohort_error *err)
{
	if (t->in_errno == -ENOMEM || t->out_errno == -ENOMEM)
		return coh_fail(err, -ENOMEM, "TLS: no memory");
	if (t->fault != 0)
		return coh_tls_fault_why(&(struct coh_tls_fault){.word = t->fault,
		    .verify = t->ssl != NULL ? SSL_get_verify_result(t->ssl) : 0,
		    .by_key = t->by_key,
		    .server = t->side == COH_TLS_SERVER,
		    .foreign = t->secret.foreign,
		    .first = t->done ? NULL : t->first,
		    .first_size = t->first_size}, err);
	if (t->cut)
		return coh_fail(err, COHORT_ETRUNCATED,
		    "closed without a farewell: what it said last may be missing");
	return 0;
}
