/*
 * peer_auth.c - a plain socket, and the least that proves a key to both ends.
 *
 *	nonce ->        <- nonce        HMAC(key, 'C' nonces) ->        <- HMAC(key, 'S' nonces)
 *
 * One server process that serves one client after the other, one client process.  Each keeps
 * one HMAC context with the key in it for all connections, and asks the system for
 * nothing that it can do without: no names, no addresses, no deadline, nobody else is waiting.
 */
#include "peers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE 32 /* of a nonce, of the key, of a MAC */
#define WARM 50 /* connections before the clock runs */

/* What is proved: by whom, and both nonces. */
struct said {
	unsigned char role, client[SIZE], server[SIZE];
};

struct side {
	const struct bench_load *load;
	int listener, port;
	EVP_MAC_CTX *mac;
};

static int keyed_context(EVP_MAC_CTX **out)
{
	static const unsigned char key[SIZE] = "a key that the benchmark shares";
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	*out = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	return EVP_MAC_init(*out, key, sizeof(key), params) == 1 ? 0 : -1;
}

static int sign(const struct side *s, struct said *what, unsigned char role, unsigned char *out)
{
	size_t size;

	what->role = role;
	if (EVP_MAC_init(s->mac, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(s->mac, (unsigned char *)what, sizeof(*what)) != 1)
		return -1;
	return EVP_MAC_final(s->mac, out, &size, SIZE) == 1 ? 0 : -1;
}

/* The other's proof comes as ROLE's. */
static int check(const struct side *s, struct said *what, unsigned char role, int fd)
{
	unsigned char want[SIZE], got[SIZE];

	if (sign(s, what, role, want) < 0 || bench_read(fd, got, SIZE) < 0)
		return -1;
	return CRYPTO_memcmp(want, got, SIZE) == 0 ? 0 : -1;
}

static int prove(const struct side *s, struct said *what, unsigned char role, int fd)
{
	unsigned char proof[SIZE];

	return sign(s, what, role, proof) < 0 ? -1 : bench_write(fd, proof, SIZE);
}

static int welcome(const struct side *s, int fd)
{
	struct said what;
	int on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    bench_read(fd, what.client, SIZE) < 0 || RAND_bytes(what.server, SIZE) != 1 ||
	    bench_write(fd, what.server, SIZE) < 0 || check(s, &what, 'C', fd) < 0 ||
	    prove(s, &what, 'S', fd) < 0)
		return -1;
	return close(fd);
}

static int serve(void *arg)
{
	struct side *s = arg;
	long i;
	int rc = keyed_context(&s->mac);

	for (i = 0; i < s->load->count + WARM && rc == 0; i++)
		rc = welcome(s, accept4(s->listener, NULL, NULL, SOCK_CLOEXEC));
	return rc;
}

static int visit(const struct side *s)
{
	struct said what;
	int fd = bench_connect(s->port);

	if (fd < 0 || RAND_bytes(what.client, SIZE) != 1 ||
	    bench_write(fd, what.client, SIZE) < 0 || bench_read(fd, what.server, SIZE) < 0 ||
	    prove(s, &what, 'C', fd) < 0 || check(s, &what, 'S', fd) < 0)
		return -1;
	return close(fd);
}

int peer_auth_connect(const void *load, double *connects_per_s)
{
	struct side s = {.load = load};
	pid_t pid = -1;
	int64_t start = 0;
	long i;
	int rc;

	s.listener = bench_listen(&s.port);
	if (s.listener >= 0)
		pid = bench_peer(serve, &s);
	if (pid < 0)
		return bench_say(BENCH_FAILED, "hmac: no server");
	bench_pin(0);
	rc = keyed_context(&s.mac);
	for (i = 0; i < s.load->count + WARM && rc == 0; i++) {
		if (i == WARM)
			start = bench_now();
		rc = visit(&s);
	}
	*connects_per_s = (double)s.load->count / bench_since(start);
	EVP_MAC_CTX_free(s.mac);
	close(s.listener);
	return bench_finish(pid, rc);
}
