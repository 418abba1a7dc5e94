/*
 * test_trust_tls.c - TLS by the key: what is refused, what is kept, and how it ends.
 *
 * Two ends are joined by a wire that the test carries byte by byte, or one end is bare OpenSSL.
 */
#include "net/hall.h"
#include "net/pki.h"
#include "support/test.h"
#include "trust/authkey.h"
#include "trust/tls_openssl.h"

#include <cohort/dial.h>
#include <cohort/log.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE (5 * COHORT_SECOND)
#define IDENTITY 96
#define STRANGERS 32 /* callers are in this process too, and OpenSSL takes 70 KiB for each */
#define AT_ONCE 4096

/* ---- two ends and the wire between them ---- */

struct wire {
	struct cohort_key *key;
	struct coh_tls *client, *server;
	int at_client[2], at_server[2]; /* [0] is the end's, [1] the wire's */
	size_t chunk;                   /* so many bytes are carried at once */
	int flip;                       /* this byte on the way to the server is altered; -1: none */
};

static struct coh_tls *end_new(enum coh_tls_side side, int fd, const struct cohort_key *key)
{
	struct coh_tls_config c = {.side = side, .fd = fd, .key = key, .cluster = "cohort"};
	struct coh_tls *t;

	REQUIRE_EQ(coh_tls_new(&t, &c, NULL), 0);
	return t;
}

static void wire_open(struct wire *w)
{
	*w = (struct wire){.key = hall_key(), .chunk = AT_ONCE, .flip = -1};
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->at_client), 0);
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->at_server), 0);
	w->client = end_new(COH_TLS_CLIENT, w->at_client[0], w->key);
	w->server = end_new(COH_TLS_SERVER, w->at_server[0], w->key);
}

static void wire_close(struct wire *w)
{
	coh_tls_free(w->client);
	coh_tls_free(w->server);
	for (int i = 0; i < 2; i++) {
		close(w->at_client[i]);
		close(w->at_server[i]);
	}
	cohort_key_free(w->key);
}

/* Carry what is there, one chunk each way; true when there was something. */
static bool wire_carry(struct wire *w)
{
	unsigned char b[AT_ONCE];
	ssize_t up = recv(w->at_client[1], b, w->chunk, MSG_DONTWAIT), down;

	if (up > 0 && w->flip >= 0 && w->flip < up)
		b[w->flip] ^= 1;
	if (up > 0 && w->flip >= 0)
		w->flip -= w->flip < up ? w->flip + 1 : (int)up;
	if (up > 0)
		REQUIRE_EQ(send(w->at_server[1], b, (size_t)up, MSG_NOSIGNAL), up);
	down = recv(w->at_server[1], b, w->chunk, MSG_DONTWAIT);
	if (down > 0)
		REQUIRE_EQ(send(w->at_client[1], b, (size_t)down, MSG_NOSIGNAL), down);
	return up > 0 || down > 0;
}

/* TEXT from one end to the other; how that ended. */
static int wire_say(struct wire *w, struct coh_tls *from, struct coh_tls *to, const char *text)
{
	struct iovec iov = {.iov_base = strdup(text), .iov_len = strlen(text)};
	char got[256];
	size_t have = 0;
	ssize_t n, sent = -EAGAIN;
	void *copy = iov.iov_base;

	do {
		if (sent == -EAGAIN)
			sent = coh_tls_write(from, &iov, 1, false);
		n = coh_tls_read(to, got + have, sizeof got - have, false);
		have += n > 0 ? (size_t)n : 0;
	} while (have < strlen(text) && (n > 0 || n == -EAGAIN) && (sent > 0 || sent == -EAGAIN) &&
	    (wire_carry(w) || n > 0));
	free(copy);
	if (have == strlen(text) && CHECK_EQ(sent, (ssize_t)have))
		CHECK_MEM(got, text, have);
	return have == strlen(text) ? 0 : n < 0 && n != -EAGAIN ? (int)n : (int)sent;
}

TEST(trust_tls, carries_in_both_directions_whatever_the_pieces)
{
	static const size_t chunks[] = {1, 2, 7, 100, AT_ONCE};

	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		struct wire w;

		wire_open(&w);
		w.chunk = chunks[i];
		CHECK_EQ(wire_say(&w, w.client, w.server, "from the client"), 0);
		CHECK_EQ(wire_say(&w, w.server, w.client, "from the server"), 0);
		CHECK(coh_tls_named(w.server, "anything"));
		wire_close(&w);
	}
}

TEST(trust_tls, every_altered_byte_of_the_way_there_ends_it)
{
	struct cohort_error err;
	int met = 0, rc, flip = 0;

	/* Until it is so far behind that nothing is altered any more. */
	for (; met == 0 && flip < 4096; flip++) {
		struct wire w;

		wire_open(&w);
		w.flip = flip;
		rc = wire_say(&w, w.client, w.server, "one altered byte is enough");
		met = w.flip >= 0;
		if (met != 0) {
			CHECK_EQ(rc, 0);
		} else if (rc == 0 && flip != 2) { /* the first record's version means nothing: RFC 8446, 5.1 */
			FAIL("byte %d was altered, and nobody saw it", flip);
		} else if (rc != -EAGAIN) { /* else a length was: more is waited for */
			rc = coh_tls_why(w.server, &err);
			CHECK(rc == 0 || rc == COHORT_EPROTOCOL || rc == COHORT_EAUTH ||
			    rc == COHORT_EVERSION || rc == COHORT_ECLUSTER || rc == COHORT_ETRUNCATED);
		}
		wire_close(&w);
	}
	CHECK(met != 0 && flip > 300);
}

TEST(trust_tls, changes_its_keys_now_and_then)
{
	struct wire w;
	char text[32];

	coh_tls_rekey_after(3);
	wire_open(&w);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "message %d", i);
		REQUIRE_EQ(wire_say(&w, w.client, w.server, text), 0);
		REQUIRE_EQ(wire_say(&w, w.server, w.client, text), 0);
	}
	wire_close(&w);
}

/* All that the socket of T takes, in pieces of SIZE: how many bytes are said to be written. */
static size_t fill(struct coh_tls *t, unsigned char *data, size_t size, size_t done)
{
	struct iovec iov = {data + done, size - done};
	ssize_t n;

	while (iov.iov_len != 0 && (n = coh_tls_write(t, &iov, 1, false)) > 0)
		iov = (struct iovec){(char *)iov.iov_base + n, iov.iov_len - (size_t)n};
	return size - iov.iov_len;
}

TEST(trust_tls, what_does_not_leave_at_once_is_owed_and_comes_once)
{
	const size_t size = 3 << 20;
	unsigned char *data = malloc(size), *got = malloc(size);
	size_t sent = 0, have = 0;
	ssize_t n = -EAGAIN;
	struct wire w;

	REQUIRE(data != NULL && got != NULL);
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 13);
	wire_open(&w);
	REQUIRE_EQ(wire_say(&w, w.client, w.server, "hello"), 0);
	while (have < size) {
		sent = fill(w.client, data, size, sent);
		CHECK((sent < size) == ((coh_tls_events(w.client, true) & POLLOUT) != 0) || sent == size);
		while (wire_carry(&w))
			while ((n = coh_tls_read(w.server, got + have, size - have, false)) > 0)
				have += (size_t)n;
		REQUIRE(n == -EAGAIN || have == size);
		REQUIRE(have <= sent + 1);
	}
	CHECK_EQ(sent, size);
	CHECK_MEM(got, data, size);
	wire_close(&w);
	free(data);
	free(got);
}

TEST(trust_tls, an_end_without_a_farewell_is_a_truncation)
{
	struct cohort_error err;
	struct wire w;
	char c;

	wire_open(&w);
	REQUIRE_EQ(wire_say(&w, w.client, w.server, "hello"), 0);
	shutdown(w.at_server[1], SHUT_WR);
	CHECK_EQ(coh_tls_read(w.server, &c, 1, false), -ECONNRESET);
	CHECK_EQ(coh_tls_read(w.server, &c, 1, false), -ECONNRESET);
	CHECK_EQ(coh_tls_why(w.server, &err), COHORT_ETRUNCATED);
	CHECK_HAS(err.text, "without a farewell");
	wire_close(&w);

	wire_open(&w);
	REQUIRE_EQ(wire_say(&w, w.client, w.server, "hello"), 0);
	coh_tls_free(w.client);
	w.client = NULL;
	while (wire_carry(&w))
		continue;
	shutdown(w.at_server[1], SHUT_WR);
	CHECK_EQ(coh_tls_read(w.server, &c, 1, false), 0);
	CHECK_EQ(coh_tls_why(w.server, &err), 0);
	wire_close(&w);

	wire_open(&w); /* one direction ends, the other goes on */
	REQUIRE_EQ(wire_say(&w, w.client, w.server, "hello"), 0);
	coh_tls_end(w.client);
	while (wire_carry(&w))
		continue;
	CHECK_EQ(coh_tls_read(w.server, &c, 1, false), 0);
	CHECK_EQ(coh_tls_write(w.client, &(struct iovec){&c, 1}, 1, false), -EPIPE);
	CHECK_EQ(wire_say(&w, w.server, w.client, "so long"), 0);
	wire_close(&w);

	wire_open(&w); /* before the handshake is over there is nothing that could be missing */
	shutdown(w.at_server[1], SHUT_WR);
	CHECK_EQ(coh_tls_read(w.server, &c, 1, false), 0);
	CHECK_EQ(coh_tls_read(w.server, &c, 1, false), 0);
	wire_close(&w);
}

#define MANY 50

TEST(trust_tls, costs_little_memory)
{
	static const unsigned char half[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
	struct wire w[MANY], first;
	size_t before;
	char c;

	wire_open(&first); /* what is made once */
	REQUIRE_EQ(wire_say(&first, first.client, first.server, "hello"), 0);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY; i++) {
		wire_open(&w[i]);
		coh_tls_free(w[i].client);
		w[i].client = NULL;
		REQUIRE_EQ(send(w[i].at_server[1], half, sizeof half, 0), (ssize_t)sizeof half);
		CHECK_EQ(coh_tls_read(w[i].server, &c, 1, false), -EAGAIN);
	}
	CHECK(mallinfo2().uordblks - before < (size_t)MANY * (4 << 10));
	for (int i = 0; i < MANY; i++)
		wire_close(&w[i]);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY; i++) {
		wire_open(&w[i]);
		REQUIRE_EQ(wire_say(&w[i], w[i].client, w[i].server, "hello"), 0);
		coh_tls_free(w[i].client);
		w[i].client = NULL;
	}
	CHECK(mallinfo2().uordblks - before < (size_t)MANY * (20 << 10));
	for (int i = 0; i < MANY; i++)
		wire_close(&w[i]);
	wire_close(&first);
}

/* ---- bare OpenSSL at the door of a listener ---- */

static char logged[4096];

static void remember(enum cohort_log_level level, const char *line, void *arg)
{
	(void)level;
	(void)arg;
	snprintf(logged, sizeof logged, "%s", line);
}

static void tls_hall(struct hall *h)
{
	struct wire w;

	signal(SIGPIPE, SIG_IGN);
	wire_open(&w); /* what is made once is not counted */
	REQUIRE_EQ(wire_say(&w, w.client, w.server, "hello"), 0);
	wire_close(&w);
	hall_open(h, "tls://127.0.0.1:0", PATIENCE, STRANGERS);
	cohort_log_to(remember, COHORT_LOG_DEBUG, NULL);
}

static const char *psk_identity;
static unsigned char psk[32];

static int use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *n, SSL_SESSION **out)
{
	static const unsigned char suite[] = {0x13, 0x01};
	SSL_SESSION *s = SSL_SESSION_new();

	(void)md;
	REQUIRE(s != NULL && SSL_SESSION_set1_master_key(s, psk, sizeof psk) == 1 &&
	    SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite)) == 1 &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1 &&
	    SSL_SESSION_set_max_early_data(s, 100) == 1);
	*id = (const unsigned char *)psk_identity;
	*n = strlen(psk_identity);
	*out = s;
	return 1;
}

/* The reason of the alert that a bare client of VERSION, with the psk if it has an identity, is given. */
static int alert_for(struct hall *h, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd = hall_stranger(h), reason = 0;
	SSL *ssl;

	REQUIRE(ctx != NULL && SSL_CTX_set_max_proto_version(ctx, version) == 1);
	if (psk_identity != NULL)
		SSL_CTX_set_psk_use_session_callback(ctx, use_psk);
	ssl = SSL_new(ctx);
	REQUIRE(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	ERR_clear_error();
	if (SSL_connect(ssl) == 1)
		FAIL("let in");
	else
		reason = ERR_GET_REASON(ERR_peek_error());
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return reason;
}

TEST(trust_tls, an_older_version_is_refused)
{
	struct hall h;

	tls_hall(&h);
	CHECK_EQ(alert_for(&h, TLS1_2_VERSION), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	hall_serves(&h);
	CHECK_HAS(logged, "it speaks no TLS 1.3");
	hall_close(&h);
}

TEST(trust_tls, one_without_a_key_is_refused)
{
	struct hall h;

	tls_hall(&h);
	CHECK_EQ(alert_for(&h, TLS1_3_VERSION), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
	hall_serves(&h);
	CHECK_HAS(logged, "it offered no key");
	hall_close(&h);
}

/* The identity that the hall's own key has. */
static void right_identity(char out[IDENTITY])
{
	struct cohort_key *key = hall_key();
	unsigned char id[COH_AUTHKEY_ID];

	REQUIRE_EQ(coh_authkey_id(key, 0, id), 0);
	snprintf(out, IDENTITY, "cohort1:cohort#%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	cohort_key_free(key);
}

TEST(trust_tls, a_wrong_key_and_an_unknown_one_are_refused_alike)
{
	char right[IDENTITY];
	struct hall h;

	right_identity(right);
	tls_hall(&h);
	psk_identity = right;
	CHECK_EQ(alert_for(&h, TLS1_3_VERSION), SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
	psk_identity = "cohort1:cohort#00000000";
	CHECK_EQ(alert_for(&h, TLS1_3_VERSION), SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
	psk_identity = "of another system";
	CHECK_EQ(alert_for(&h, TLS1_3_VERSION), SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
	hall_serves(&h);
	CHECK_HAS(logged, "its key is another one");
	hall_close(&h);
}

static int tickets;

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	(void)session;
	tickets++;
	return 0;
}

TEST(trust_tls, gives_no_tickets_and_takes_no_early_data)
{
	struct coh_authkey_use use = {0, "cohort-tls13-psk", "cohort"};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char right[IDENTITY], in[64];
	size_t n;
	struct hall h;
	int fd;
	SSL *ssl;

	tls_hall(&h);
	right_identity(right);
	psk_identity = right;
	REQUIRE_EQ(coh_authkey_derive(h.key, &use, psk), 0);
	REQUIRE(ctx != NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ctx, on_ticket);
	SSL_CTX_set_psk_use_session_callback(ctx, use_psk);
	fd = hall_stranger(&h);
	ssl = SSL_new(ctx);
	REQUIRE(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	SSL_set_connect_state(ssl);
	CHECK_EQ(SSL_write_early_data(ssl, "early", 5, &n), 1);
	CHECK_EQ(SSL_connect(ssl), 1); /* it has the key: what is refused is the early data */
	CHECK_EQ(SSL_get_early_data_status(ssl), SSL_EARLY_DATA_REJECTED);
	CHECK_EQ(SSL_write(ssl, "no frame of ours at all", 23), 23);
	CHECK(SSL_read(ssl, in, sizeof in) > 0); /* the refusal, by which a ticket would have come */
	CHECK_EQ(tickets, 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	hall_serves(&h);
	hall_close(&h);
}

/* ---- dials that are refused ---- */

static int dial(struct hall *h, const struct cohort_net_options *o, struct cohort_error *err)
{
	struct cohort_conn *c = NULL;
	int rc = hall_dial(h, o, &c, err);

	cohort_conn_close(c);
	return rc;
}

TEST(trust_tls, says_what_is_wrong_at_both_ends)
{
	struct cohort_key *key = hall_other_key();
	struct cohort_net_options o = {.key = key};
	struct cohort_error err = {0};
	struct hall h;

	tls_hall(&h);
	CHECK_EQ(dial(&h, &o, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "are the key and the cluster the same at both ends?");
	o.key = h.key;
	o.cluster = "other";
	CHECK_EQ(dial(&h, &o, &err), COHORT_EAUTH);
	hall_serves(&h);
	CHECK_HAS(logged, "another cluster");
	o.cluster = NULL;
	coh_listener_identity(h.listener)->uuid[0] ^= 1;
	CHECK_EQ(dial(&h, &o, &err), COHORT_ESELF);
	coh_listener_identity(h.listener)->uuid[0] ^= 1;
	hall_close(&h);
	cohort_key_free(key);
}

/* ADDRESS, spoken to as SCHEME. */
static const char *spoken(const char *address, const char *scheme)
{
	static char text[128];

	snprintf(text, sizeof text, "%s%s", scheme, strchr(address, ':'));
	return text;
}

TEST(trust_tls, tells_clear_text_from_tls)
{
	struct cohort_error err = {0};
	struct cohort_conn *c;
	struct hall h;

	tls_hall(&h);
	CHECK_EQ(cohort_dial(&c, spoken(cohort_listener_address(h.listener), "tcp"), &h.options,
		     cohort_in(test_span(PATIENCE)), &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "TLS");
	hall_serves(&h);
	CHECK_HAS(logged, "it speaks in clear text, and here is TLS");
	hall_close(&h);
	hall_open(&h, NULL, PATIENCE, STRANGERS);
	CHECK_EQ(cohort_dial(&c, spoken(cohort_listener_address(h.listener), "tls"), &h.options,
		     cohort_in(test_span(PATIENCE)), &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, "it speaks in clear text, not TLS");
	hall_serves(&h);
	hall_close(&h);
}

/* Someone on the way, who has no key, and a certificate that he signed himself. */
static void *between(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);
	const char *cert = pki_issue("between", PKI_SELF_SIGNED);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl;

	REQUIRE(ctx != NULL && SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
	    SSL_CTX_use_PrivateKey_file(ctx, cert, SSL_FILETYPE_PEM) == 1);
	ssl = SSL_new(ctx);
	REQUIRE(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	CHECK(SSL_accept(ssl) != 1);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return NULL;
}

TEST(trust_tls, no_certificate_stands_for_the_key)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[COH_ADDRESS_TEXT];
	struct cohort_error err = {0};
	struct cohort_conn *c;
	int fd = hall_rogue(address);
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	REQUIRE_EQ(pthread_create(&thread, NULL, between, &fd), 0);
	CHECK_EQ(cohort_dial(&c, spoken(address, "tls"), &o, cohort_in(test_span(PATIENCE)), &err),
	    COHORT_EAUTH);
	CHECK_HAS(err.text, "its certificate is not believed");
	pthread_join(thread, NULL);
	close(fd);
	cohort_key_free(key);
}
