/*
 * test_trust_certs.c - mutual TLS: of twelve certificates one is believed, by either end.
 *
 * The other end is bare OpenSSL without scruples where ours would not load the certificate at all.
 */
#include "conn/listener_priv.h"
#include "net/pki.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <cohort/log.h>
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kinds[PKI_KINDS] = {"good", "expired", "not yet valid", "of another authority",
    "self-signed", "for another use", "for no use", "taken back", "RSA of 1024 bits", "signed over MD5",
    "behind a chain of 20", "of 1 MiB"};

static char logged[4096];

static void remember(enum cohort_log_level level, const char *line, void *arg)
{
	(void)level;
	(void)arg;
	snprintf(logged, sizeof logged, "%s", line);
}

static cohort_time patience(void)
{
	return cohort_in(test_span(10 * COHORT_SECOND));
}

static struct cohort_listener *listening(const struct cohort_net_options *o)
{
	struct cohort_listener *l;
	struct cohort_error err = {0};

	if (cohort_listen(&l, "tls://127.0.0.1:0", o, &err) != 0) {
		FAIL("%s", err.text);
		REQUIRE(false);
	}
	coh_listener_identity(l)->uuid[0] ^= 1;
	cohort_log_to(remember, COHORT_LOG_DEBUG, NULL);
	return l;
}

struct caller {
	const char *address;
	const struct cohort_net_options *options;
	struct cohort_conn *conn;
	struct cohort_error err;
	int rc;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	c->rc = cohort_dial(&c->conn, c->address, c->options, patience(), &c->err);
	return NULL;
}

/* Who dials L as CLIENT says: 0 and both ends work, or why not, in ERR. */
static int meet_at(struct cohort_listener *l, const char *address,
    const struct cohort_net_options *client, struct cohort_error *err)
{
	struct caller c = {.options = client, .address = address};
	struct cohort_conn *conn = NULL;
	cohort_time end = patience();
	pthread_t thread;
	const void *data;
	size_t size;

	REQUIRE_EQ(pthread_create(&thread, NULL, call, &c), 0);
	while (cohort_listener_accept(l, &conn, cohort_in(5 * COHORT_MS), NULL) == COHORT_ETIMEDOUT &&
	    c.rc == 0 && cohort_now() < end)
		continue;
	pthread_join(thread, NULL);
	if (conn != NULL && c.conn != NULL) {
		CHECK_EQ(cohort_conn_send_bytes(c.conn, "hello", 5, patience()), 0);
		CHECK_EQ(cohort_conn_recv_bytes(conn, &data, &size, patience()), 0);
		CHECK_EQ(cohort_conn_send_bytes(conn, data, size, patience()), 0);
		CHECK_EQ(cohort_conn_recv_bytes(c.conn, &data, &size, patience()), 0);
		CHECK_HAS(cohort_conn_guard(conn), "certificates");
	} else if (conn == NULL) {
		(void)cohort_listener_accept(l, &conn, cohort_in(50 * COHORT_MS), NULL);
	}
	cohort_conn_close(conn);
	cohort_conn_close(c.conn);
	*err = c.err;
	return c.rc;
}

static int meet(const struct cohort_net_options *server, const struct cohort_net_options *client,
    struct cohort_error *err)
{
	struct cohort_listener *l = listening(server);
	int rc = meet_at(l, cohort_listener_address(l), client, err);

	cohort_listener_close(l);
	return rc;
}

static int port_of(const struct cohort_listener *l)
{
	return atoi(strrchr(cohort_listener_address(l), ':') + 1);
}

/* Bare OpenSSL that shows what is in the file CERT, and believes everybody. */
static SSL *bare(const char *cert, int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl;

	REQUIRE(ctx != NULL);
	SSL_CTX_set_security_level(ctx, 0);
	REQUIRE_EQ(SSL_CTX_use_certificate_chain_file(ctx, cert), 1);
	REQUIRE_EQ(SSL_CTX_use_PrivateKey_file(ctx, cert, SSL_FILETYPE_PEM), 1);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	REQUIRE(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	return ssl;
}

struct listener_thread {
	struct cohort_listener *l;
	int pipe[2];
};

static void *listener_serve(void *arg)
{
	struct listener_thread *t = arg;
	struct cohort_wait_item items[] = {{.fd = cohort_listener_fd(t->l)}, {.fd = t->pipe[0]}};
	struct cohort_conn *c;

	while (cohort_wait(items, 2, patience()) > 0 && !items[1].ready)
		if (cohort_listener_accept(t->l, &c, COHORT_NOW, NULL) == 0)
			cohort_conn_close(c);
	return NULL;
}

/* Is a bare client with CERT heard by L, beyond TLS? */
static bool is_heard(struct cohort_listener *l, const char *cert)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(l))};
	struct listener_thread t = {.l = l};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;
	char answer[64];
	SSL *ssl;
	bool heard;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0);
	REQUIRE_EQ(pipe(t.pipe), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, listener_serve, &t), 0);
	ssl = bare(cert, fd);
	heard = SSL_connect(ssl) == 1 && SSL_write(ssl, "no frame of ours at all", 23) == 23 &&
	    SSL_read(ssl, answer, sizeof answer) > 0;
	CHECK_EQ(write(t.pipe[1], "", 1), 1);
	pthread_join(thread, NULL);
	SSL_free(ssl);
	close(fd);
	close(t.pipe[0]);
	close(t.pipe[1]);
	return heard;
}

TEST_TIMEOUT(trust_certs, a_listener_believes_one_of_twelve, 60)
{
	struct cohort_net_options o;
	struct cohort_listener *l;
	const char *cert;

	signal(SIGPIPE, SIG_IGN);
	pki_open();
	o = pki_options("server");
	o.crl_file = pki_list();
	for (int kind = 0; kind < PKI_KINDS; kind++) {
		cert = pki_issue("client", (enum pki_kind)kind);
		l = listening(&o);
		logged[0] = '\0';
		if (is_heard(l, cert) != (kind == PKI_GOOD))
			FAIL("a certificate %s was %s: %s", kinds[kind],
			    kind == PKI_GOOD ? "not believed" : "believed", logged);
		CHECK_HAS(logged, kind == PKI_GOOD ? "does not speak Cohort" : "TLS: its certificate");
		cohort_listener_close(l);
	}
}

struct bare_server {
	int fd;
	const char *cert;
};

static void *bare_serve(void *arg)
{
	struct bare_server *b = arg;
	int fd = accept(b->fd, NULL, NULL);
	SSL *ssl = bare(b->cert, fd);
	char in[512];

	if (SSL_accept(ssl) == 1 && SSL_read(ssl, in, sizeof in) > 0)
		(void)SSL_write(ssl, "no frame of ours at all", 23);
	SSL_free(ssl);
	close(fd);
	return NULL;
}

/* What a dial as O to a bare server with CERT says. */
static int dial_bare(const struct cohort_net_options *o, const char *cert, struct cohort_error *err)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	struct bare_server b = {.cert = cert, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct cohort_conn *c;
	char address[64];
	pthread_t thread;
	int rc;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(bind(b.fd, (struct sockaddr *)&sin, len) == 0 && listen(b.fd, 8) == 0 &&
	    getsockname(b.fd, (struct sockaddr *)&sin, &len) == 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, bare_serve, &b), 0);
	snprintf(address, sizeof address, "tls://127.0.0.1:%d", ntohs(sin.sin_port));
	rc = cohort_dial(&c, address, o, patience(), err);
	pthread_join(thread, NULL);
	close(b.fd);
	return rc;
}

TEST_TIMEOUT(trust_certs, a_dialler_believes_one_of_twelve, 60)
{
	struct cohort_net_options o;
	struct cohort_error err = {0};

	signal(SIGPIPE, SIG_IGN);
	pki_open();
	o = pki_options("client");
	o.crl_file = pki_list();
	for (int kind = 0; kind < PKI_KINDS; kind++) {
		int rc = dial_bare(&o, pki_issue("server", (enum pki_kind)kind), &err);

		if (rc != (kind == PKI_GOOD ? COHORT_EPROTOCOL : COHORT_EAUTH))
			FAIL("a certificate %s: %d, %s", kinds[kind], rc, err.text);
	}
}

TEST(trust_certs, two_good_ones_meet)
{
	struct cohort_net_options server, client;
	struct cohort_error err = {0};

	pki_open();
	server = pki_options("server");
	client = pki_options("client");
	if (meet(&server, &client, &err) != 0)
		FAIL("%s; %s", err.text, logged);
}

TEST(trust_certs, a_name_counts_only_with_its_certificate)
{
	struct cohort_net_options server, client, stolen;
	const char *friends[] = {"friend", NULL}, *all[] = {"friend", "client", NULL};
	struct cohort_error err = {0};

	pki_open();
	server = pki_options("server");
	client = pki_options("client");
	stolen = client;
	stolen.name = "friend";
	CHECK_EQ(meet(&server, &stolen, &err), COHORT_EAUTH);
	CHECK_HAS(logged, "its certificate is for no such DNS name");
	stolen = server;
	stolen.name = "friend";
	CHECK_EQ(meet(&stolen, &client, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "its certificate is for no such DNS name");
	server.peers = friends;
	CHECK_EQ(meet(&server, &client, &err), COHORT_EAUTH);
	CHECK_HAS(logged, "client is not among the peers");
	server.peers = all;
	CHECK_EQ(meet(&server, &client, &err), 0);
}

TEST(trust_certs, a_host_counts_only_with_its_certificate)
{
	struct cohort_net_options server, client;
	struct cohort_error err = {0};
	struct cohort_listener *l;
	char address[64];

	pki_open();
	server = pki_options("server");
	client = pki_options("client");
	l = listening(&server);
	snprintf(address, sizeof address, "tls://127.0.0.2:%d", port_of(l));
	cohort_listener_close(l);
	REQUIRE_EQ(cohort_listen(&l, "tls://0.0.0.0:0", &server, NULL), 0);
	coh_listener_identity(l)->uuid[0] ^= 1;
	snprintf(address, sizeof address, "tls://127.0.0.2:%d", port_of(l));
	CHECK_EQ(meet_at(l, address, &client, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "IP address mismatch");
	snprintf(address, sizeof address, "tls://localhost:%d", port_of(l));
	CHECK_EQ(meet_at(l, address, &client, &err), 0);
	cohort_listener_close(l);
}

TEST(trust_certs, the_list_of_what_was_taken_back_is_read_again)
{
	struct cohort_net_options server, client;
	struct cohort_error err = {0};
	struct cohort_listener *l;

	pki_open();
	server = pki_options("server");
	server.crl_file = pki_list();
	client = pki_options("client");
	l = listening(&server);
	CHECK_EQ(meet_at(l, cohort_listener_address(l), &client, &err), 0);
	pki_take_back();
	CHECK_EQ(meet_at(l, cohort_listener_address(l), &client, &err), 0);
	CHECK_EQ(cohort_listener_reload(l, &err), 0);
	CHECK_EQ(meet_at(l, cohort_listener_address(l), &client, &err), COHORT_EAUTH);
	CHECK_HAS(logged, "certificate revoked");
	CHECK_HAS(err.text, "taken back");
	REQUIRE_EQ(truncate(pki_list(), 10), 0);
	CHECK_EQ(cohort_listener_reload(l, &err), COHORT_EKEY); /* and the old one stays in force */
	CHECK_HAS(err.text, "CRL file");
	CHECK_EQ(meet_at(l, cohort_listener_address(l), &client, &err), COHORT_EAUTH);
	cohort_listener_close(l);
}

static void refused(const struct cohort_net_options *o, int code, const char *why)
{
	struct cohort_error err = {0};
	struct cohort_listener *l;

	CHECK_EQ(cohort_listen(&l, "tls://127.0.0.1:0", o, &err), code);
	CHECK_HAS(err.text, why);
}

TEST(trust_certs, without_a_key_listen_in_tls_only)
{
	struct cohort_net_options o;
	struct cohort_listener *l;
	struct cohort_error err;

	unsetenv("COHORT_KEY_FILE");
	pki_open();
	o = pki_options("server");
	CHECK_EQ(cohort_listen(&l, "tcp://127.0.0.1:0", &o, &err), COHORT_EKEY);
	CHECK_HAS(err.text, "certificates count in TLS only");
	REQUIRE_EQ(cohort_listen(&l, "tls://127.0.0.1:0", &o, &err), 0);
	cohort_listener_close(l);
}

TEST(trust_certs, files_that_cannot_be_used_are_named)
{
	struct cohort_net_options good, o;
	const char *nobody[] = {"no/name", NULL};
	char empty[4096];

	unsetenv("COHORT_KEY_FILE");
	pki_open();
	good = pki_options("server");
	o = good;
	o.ca_file = NULL;
	refused(&o, COHORT_EKEY, "both are needed");
	o = (struct cohort_net_options){.ca_file = good.ca_file};
	refused(&o, COHORT_EKEY, "both are needed");
	o = (struct cohort_net_options){.crl_file = pki_list()};
	refused(&o, COHORT_EARGUMENT, "crl_file");
	o = (struct cohort_net_options){0};
	refused(&o, COHORT_EKEY, "cohort keygen");
	o = good;
	o.peers = nobody;
	refused(&o, COHORT_ENAME, "no/name");
	o = good;
	o.cert_file = good.ca_file;
	refused(&o, COHORT_EKEY, "private key: none is in it");
	o = good;
	o.cert_file = pki_issue("server", PKI_WEAK_KEY);
	refused(&o, COHORT_EKEY, "ee key too small");
	o = good;
	o.crl_file = good.ca_file;
	refused(&o, COHORT_EKEY, "CRL file");
	snprintf(empty, sizeof empty, "%s", test_path("none.pem"));
	o = good;
	o.ca_file = empty;
	refused(&o, COHORT_EKEY, "there is no such file");
	REQUIRE_EQ(chmod(good.cert_file, 0640), 0);
	refused(&good, COHORT_EKEY, "lets others at it");
}
