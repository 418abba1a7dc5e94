/*
 * test_node_certs.c - nodes and pools that know each other by certificates, and have no key.
 */
#include "contract/pool_fixture.h"
#include "net/pki.h"

#include <cohort/cohort.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

/* A node, and what comes out where it says something. */
struct node {
	int pid, words;
	const char *address;
};

/* One by the certificate CERT. */
static struct node node_start(const char *cert)
{
	struct node n;
	int fds[2], old = dup(STDERR_FILENO);

	REQUIRE(old >= 0 && pipe2(fds, O_CLOEXEC) == 0 && dup2(fds[1], STDERR_FILENO) >= 0);
	n.pid = pool_agent((const char *const[]){"--listen", "tls://127.0.0.1:0", "--cert", cert, "--ca",
	    pki_authority(), "--crl", pki_list(), "--slots", "1", "--port-file", test_path("port"), NULL});
	REQUIRE(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	close(fds[1]);
	n.words = fds[0];
	n.address = pool_line(test_path("port"));
	return n;
}

/* Hear from WORDS until they have PART. */
static void hears(int words, const char *part)
{
	struct pollfd p = {.fd = words, .events = POLLIN};
	char said[8192];
	size_t n = 0;
	ssize_t got;

	do {
		REQUIRE_EQ(poll(&p, 1, (int)(test_span(15 * COHORT_SECOND) / COHORT_MS)), 1);
		got = read(words, said + n, sizeof said - 1 - n);
		REQUIRE(got > 0);
		n += (size_t)got;
		said[n] = '\0';
	} while (strstr(said, part) == NULL && n < sizeof said - 1);
	CHECK_HAS(said, part);
}

static int runs(const char *address, const struct cohort_net_options *net, struct cohort_error *err)
{
	struct cohort_pool_options o = {.net = net};
	struct cohort_pool *p;
	int32_t x = 6;
	int64_t y = 0;
	int rc = cohort_pool_open(&p, address, &o, err);

	if (rc == 0)
		rc = cohort_pool_apply(p, PATIENCE, err, "square", &x, &y);
	if (rc == 0)
		CHECK_EQ(y, 36);
	cohort_pool_free(p);
	return rc;
}

TEST(node_certs, run_tasks_for_who_shows_one)
{
	struct cohort_net_options boss = {0}, stranger = {0};
	struct cohort_error err = {0};
	struct node n;

	pool_program();
	unsetenv("COHORT_KEY_FILE");
	pki_open();
	n = node_start(pki_issue("node7", PKI_GOOD));
	boss = pki_options("boss");
	CHECK_EQ(runs(n.address, &boss, &err), 0);
	boss.name = NULL; /* it is in the certificate */
	CHECK_EQ(runs(n.address, &boss, &err), 0);
	stranger = pki_options("stranger");
	stranger.cert_file = pki_issue("stranger", PKI_OTHER_AUTHORITY);
	CHECK(runs(n.address, &stranger, &err) != 0);
	boss.name = "node7";
	CHECK(runs(n.address, &boss, &err) != 0);
	pool_end(NULL);
	close(n.words);
}

TEST(node_certs, are_taken_back_by_sighup)
{
	struct cohort_net_options boss = {0};
	struct cohort_error err = {0};
	struct node n;

	pool_program();
	unsetenv("COHORT_KEY_FILE");
	pki_open();
	n = node_start(pki_issue("node7", PKI_GOOD));
	boss = pki_options("boss");
	CHECK_EQ(runs(n.address, &boss, &err), 0);
	pki_take_back();
	CHECK_EQ(runs(n.address, &boss, &err), 0); /* nobody told it */
	REQUIRE_EQ(kill(n.pid, SIGHUP), 0);
	hears(n.words, "read again");
	CHECK(runs(n.address, &boss, &err) != 0);
	hears(n.words, "revoked");
	pool_end(NULL);
	close(n.words);
}
