/*
 * peer_tls.c - bare OpenSSL over blocking sockets: TLS 1.3 by a pre-shared key.
 *
 * As ours does it: TLS_AES_128_GCM_SHA256, psk_dhe_ke over X25519, no certificates, no tickets.
 * Each process makes its context and its key's session once.  After the handshake of a
 * connect each side says one message of the size of a hello, so that both have heard the other.
 */
#include "peers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WARM 20 /* connections before the clock runs */
#define IDENTITY "cohort1:bench"
#define HELLO 160

struct side {
	const struct bench_load *load;
	int listener, port;
	SSL_CTX *ctx;
};

static SSL_SESSION *key_session; /* one a process, as the key is */

static int find_session(SSL *ssl, const unsigned char *id, size_t size, SSL_SESSION **out)
{
	(void)ssl;
	*out = NULL;
	if (size == strlen(IDENTITY) && memcmp(id, IDENTITY, size) == 0) {
		SSL_SESSION_up_ref(key_session);
		*out = key_session;
	}
	return 1;
}

static int use_session(
    SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *size, SSL_SESSION **out)
{
	(void)ssl;
	(void)md;
	SSL_SESSION_up_ref(key_session);
	*out = key_session;
	*id = (const unsigned char *)IDENTITY;
	*size = strlen(IDENTITY);
	return 1;
}

static int make_session(SSL_CTX *ctx)
{
	static const unsigned char key[32] = "a key that the benchmark shares", suite[] = {0x13, 0x01};
	SSL *ssl = SSL_new(ctx);

	key_session = SSL_SESSION_new();
	if (ssl == NULL || key_session == NULL ||
	    SSL_SESSION_set1_master_key(key_session, key, sizeof(key)) != 1 ||
	    SSL_SESSION_set_cipher(key_session, SSL_CIPHER_find(ssl, suite)) != 1 ||
	    SSL_SESSION_set_protocol_version(key_session, TLS1_3_VERSION) != 1)
		return -1;
	SSL_free(ssl);
	return 0;
}

static int make_context(struct side *s)
{
	s->ctx = SSL_CTX_new(TLS_method());
	if (s->ctx == NULL || SSL_CTX_set_min_proto_version(s->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(s->ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(s->ctx, "X25519") != 1 ||
	    SSL_CTX_set_num_tickets(s->ctx, 0) != 1)
		return -1;
	SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(s->ctx, 1);
	SSL_CTX_set_psk_find_session_callback(s->ctx, find_session);
	SSL_CTX_set_psk_use_session_callback(s->ctx, use_session);
	return make_session(s->ctx);
}

static int tls_write(SSL *ssl, const void *data, size_t n)
{
	return SSL_write(ssl, data, (int)n) == (int)n ? 0 : -1;
}

static int tls_read(SSL *ssl, void *data, size_t n)
{
	char *p = data;
	int got;

	while (n > 0) {
		got = SSL_read(ssl, p, (int)n);
		if (got <= 0)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* The handshake on FD, taken on success, and a hello each way. */
static SSL *meet(const struct side *s, int fd, bool server)
{
	unsigned char hello[HELLO] = "";
	SSL *ssl = SSL_new(s->ctx);
	int rc = ssl != NULL && SSL_set_fd(ssl, fd) == 1 ? 0 : -1;

	if (rc == 0)
		rc = (server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1 ? 0 : -1;
	if (rc == 0 && !server)
		rc = tls_write(ssl, hello, HELLO);
	if (rc == 0)
		rc = tls_read(ssl, hello, HELLO);
	if (rc == 0 && server)
		rc = tls_write(ssl, hello, HELLO);
	if (rc == 0)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

static SSL *tls_accept(const struct side *s)
{
	int on = 1, fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return NULL;
	return meet(s, fd, true);
}

static SSL *tls_connect(const struct side *s)
{
	int fd = bench_connect(s->port);

	return fd < 0 ? NULL : meet(s, fd, false);
}

static int part(SSL *ssl)
{
	int fd = ssl != NULL ? SSL_get_fd(ssl) : -1;

	SSL_free(ssl);
	return fd < 0 ? -1 : close(fd);
}

/* Fork FN as the server and become the client; its pid, or -1. */
static pid_t open_side(struct side *s, const void *load, int (*fn)(void *))
{
	pid_t pid;

	*s = (struct side){.load = load};
	s->listener = bench_listen(&s->port);
	pid = s->listener < 0 ? -1 : bench_peer(fn, s);
	bench_pin(0);
	return pid > 0 && make_context(s) == 0 ? pid : -1;
}

static int close_side(struct side *s, pid_t pid, int rc)
{
	if (rc != 0)
		bench_say(BENCH_FAILED, "bare tls: the run failed");
	SSL_CTX_free(s->ctx);
	SSL_SESSION_free(key_session);
	close(s->listener);
	return bench_finish(pid, rc);
}

static int welcome_all(void *arg)
{
	struct side *s = arg;
	long i;
	int rc = make_context(s);

	for (i = 0; i < s->load->count + WARM && rc == 0; i++)
		rc = part(tls_accept(s));
	return rc;
}

int peer_tls_connect(const void *load, double *connects_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, welcome_all);
	int64_t start = 0;
	long i;
	int rc = pid < 0;

	for (i = 0; i < s.load->count + WARM && rc == 0; i++) {
		if (i == WARM)
			start = bench_now();
		rc = part(tls_connect(&s));
	}
	*connects_per_s = (double)s.load->count / bench_since(start);
	return close_side(&s, pid, rc);
}

static int echo(void *arg)
{
	struct side *s = arg;
	char message[4096];
	SSL *ssl = make_context(s) == 0 ? tls_accept(s) : NULL;

	if (ssl == NULL)
		return 1;
	while (tls_read(ssl, message, s->load->size) == 0)
		if (tls_write(ssl, message, s->load->size) < 0)
			return 1;
	return part(ssl);
}

int peer_tls_roundtrip(const void *load, double *us)
{
	char message[4096] = "";
	struct side s;
	pid_t pid = open_side(&s, load, echo);
	SSL *ssl = pid > 0 ? tls_connect(&s) : NULL;
	int64_t start = bench_now();
	long i;
	int rc = ssl == NULL;

	for (i = 0; i < s.load->count && rc == 0; i++) {
		rc = tls_write(ssl, message, s.load->size);
		if (rc == 0)
			rc = tls_read(ssl, message, s.load->size);
	}
	*us = bench_since(start) * 1e6 / (double)s.load->count;
	part(ssl);
	return close_side(&s, pid, rc);
}

static int produce_blocks(void *arg)
{
	struct side *s = arg;
	SSL *ssl = make_context(s) == 0 ? tls_accept(s) : NULL;
	char *block = calloc(1, s->load->size);
	long i;
	int rc = ssl == NULL || block == NULL;

	for (i = 0; i < s->load->count && rc == 0; i++)
		rc = tls_write(ssl, block, s->load->size);
	free(block);
	part(ssl);
	return rc;
}

int peer_tls_bulk(const void *load, double *bytes_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, produce_blocks);
	SSL *ssl = pid > 0 ? tls_connect(&s) : NULL;
	char *block = malloc(s.load->size);
	int64_t start;
	long i;
	int rc = ssl == NULL || block == NULL ? -1 : tls_read(ssl, block, s.load->size);

	start = bench_now();
	for (i = 1; i < s.load->count && rc == 0; i++)
		rc = tls_read(ssl, block, s.load->size);
	*bytes_per_s = (double)s.load->size * (double)(s.load->count - 1) / bench_since(start);
	free(block);
	part(ssl);
	return close_side(&s, pid, rc);
}
