/*
 * test_trust_tls_memory.c - no memory, at every place where TLS asks for some; OpenSSL's allocations are
 * sent through coh_alloc by test_trust_memory.c, which this is linked with.
 *
 * What must hold: an end says that it failed, or that it did not; nothing crashes; and afterwards all works.
 */
#include "base/mem.h"
#include "support/test.h"
#include "trust/tls_openssl.h"

#include <cohort/auth.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct cohort_key *key;

/* A word from CLIENT to SERVER and back: 0 or how it failed. */
static int talk(struct coh_tls *client, struct coh_tls *server)
{
	char word[] = "word", got[8];
	struct iovec iov = {word, 4};
	ssize_t sent = -EAGAIN, back = -EAGAIN, n = -EAGAIN;

	for (int i = 0; i < 8 && n == -EAGAIN; i++) {
		if (sent == -EAGAIN)
			sent = coh_tls_write(client, &iov, 1, false);
		if (sent > 0 && back == -EAGAIN)
			back = coh_tls_read(server, got, sizeof got, false);
		else if (sent == -EAGAIN)
			back = coh_tls_read(server, got, sizeof got, false);
		if (back > 0)
			(void)coh_tls_write(server, &iov, 1, false);
		if (sent != -EAGAIN)
			n = coh_tls_read(client, got, sizeof got, false);
	}
	if (n == 4)
		CHECK_MEM(got, word, 4);
	return n == 4 ? 0 : n == 0 ? -EPIPE : (int)n;
}

static int meet(void)
{
	struct coh_tls *client = NULL, *server = NULL;
	struct coh_tls_config c = {.side = COH_TLS_CLIENT, .key = key, .cluster = "cohort"};
	struct cohort_error err;
	int fds[2], rc;

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	c.fd = fds[0];
	rc = coh_tls_new(&client, &c, &err);
	c.side = COH_TLS_SERVER;
	c.fd = fds[1];
	if (rc == 0)
		rc = coh_tls_new(&server, &c, &err);
	if (rc == 0)
		rc = talk(client, server);
	if (rc != 0 && client != NULL && server != NULL) {
		(void)coh_tls_why(client, &err);
		(void)coh_tls_why(server, &err);
	}
	coh_tls_free(client);
	coh_tls_free(server);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

static void every_allocation(enum coh_mem_fault kind)
{
	unsigned long n = 0, seen, failures = 0;
	int rc;

	REQUIRE_EQ(meet(), 0);
	do {
		coh_mem_fail(++n, kind);
		rc = meet();
		seen = coh_mem_count();
		coh_mem_fail(0, kind);
		failures += rc != 0;
	} while (seen >= n);
	CHECK(n > 100 && failures > n / 4);
	CHECK_EQ(meet(), 0);
}

TEST_TIMEOUT(trust_memory, tls_survives_every_failed_allocation, 60)
{
	REQUIRE_EQ(cohort_key_new(&key, "0123456789abcdef", 16, NULL), 0);
	every_allocation(COH_MEM_FAIL_ONCE);
	every_allocation(COH_MEM_FAIL_FROM);
	cohort_key_free(key);
}
