#include "net/hall.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (20 * COHORT_SECOND)

static struct cohort_error err;

static cohort_time patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

/* Dialling ADDRESS fails with CODE, and the sentence has WORDS. */
static void fails(const char *address, const struct cohort_net_options *o, int code,
    const char *words)
{
	struct cohort_conn *c;

	memset(&err, 0, sizeof err);
	CHECK_EQ(cohort_dial(&c, address, o, patience(), &err), code);
	CHECK(c == NULL);
	CHECK_HAS(err.text, words);
	cohort_conn_close(c);
}

TEST(dial, names_the_address_nobody_listens_at)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[COH_ADDRESS_TEXT];

	close(hall_rogue(address));
	fails(address, &o, -ECONNREFUSED, address);
	CHECK_HAS(err.text, "refused");
	fails("unix:/no/such/socket", &o, -ENOENT, "unix:/no/such/socket");
	cohort_key_free(key);
}

TEST(dial, refuses_addresses_it_cannot_dial)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};

	fails("tcp://127.0.0.1", &o, COHORT_EADDRESS, "port");
	fails("tcp://127.0.0.1:0", &o, COHORT_EADDRESS, "port");
	fails("listen:tcp://127.0.0.1:1", &o, COHORT_EADDRESS, "listen");
	fails("local:2", &o, COHORT_EADDRESS, "local");
	fails("tls://127.0.0.1", &o, COHORT_EADDRESS, "port");
	fails("tcp://no-such-host.invalid:1", &o, COHORT_EADDRESS, "no-such-host.invalid");
	cohort_key_free(key);
}

TEST(dial, finds_the_address_of_a_name_that_answers)
{
	struct hall h;
	struct coh_address a;
	struct cohort_conn *c;
	char address[64];

	/* localhost may be ::1 first, where nobody listens. */
	hall_open(&h, "tcp://127.0.0.1:0", PATIENCE, 8);
	REQUIRE_EQ(coh_address_parse(&a, cohort_listener_address(h.listener), NULL), 0);
	snprintf(address, sizeof address, "tcp://localhost:%u", a.port);
	CHECK_EQ(cohort_dial(&c, address, &h.options, patience(), &err), 0);
	CHECK_HAS(cohort_conn_peer(c), "hall at tcp://localhost:");
	cohort_conn_close(c);
	hall_close(&h);
}

TEST(dial, keeps_its_deadline_with_one_who_never_answers)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[COH_ADDRESS_TEXT];
	int fd = hall_rogue(address);
	cohort_time start = cohort_now();
	struct cohort_conn *c;

	CHECK_EQ(cohort_dial(&c, address, &o, start + 50 * COHORT_MS, &err), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - start >= 50 * COHORT_MS);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	CHECK_HAS(err.text, address);
	close(fd);
	cohort_key_free(key);
}

TEST(dial, keeps_its_deadline_with_a_full_queue)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key, .backlog = 1};
	struct cohort_listener *l;
	struct cohort_conn *c;
	char address[300];
	cohort_time start;
	int rc, busy = 0;

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	REQUIRE_EQ(cohort_listen(&l, address, &o, &err), 0);
	start = cohort_now();
	for (int i = 0; i < 4; i++) {
		rc = cohort_dial(&c, address, &o, cohort_in(20 * COHORT_MS), &err);
		CHECK(rc == COHORT_ETIMEDOUT || rc == COHORT_EBUSY);
		CHECK_HAS(err.text, address);
		busy += rc == COHORT_EBUSY;
	}
	CHECK_EQ(busy, 2);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	cohort_listener_close(l);
	cohort_key_free(key);
}

TEST(dial, tells_what_is_wrong_with_the_two)
{
	struct hall h;
	struct cohort_key *other = hall_other_key();
	struct cohort_net_options o;

	hall_open(&h, NULL, PATIENCE, 8);
	o = (struct cohort_net_options){.key = other};
	fails(cohort_listener_address(h.listener), &o, COHORT_EAUTH, "127.0.0.1");
	o = (struct cohort_net_options){.key = h.key, .cluster = "elsewhere"};
	fails(cohort_listener_address(h.listener), &o, COHORT_ECLUSTER, "127.0.0.1");
	o = (struct cohort_net_options){.key = h.key, .name = "no name"};
	fails(cohort_listener_address(h.listener), &o, COHORT_ENAME, "no name");
	hall_serves(&h);
	cohort_key_free(other);
	hall_close(&h);
}

/* Where a hall may be, one for each way to be guarded. */
static const char *address_of_kind(int kind)
{
	static char path[300] = "unix:";

	strcpy(path + 5, test_path("s"));
	return ((const char *const[]){"tcp://127.0.0.1:0", "tls://127.0.0.1:0", path})[kind];
}

/* Over TLS too, whose key alone would let it (RFC 9257, "Selfie"). */
TEST(dial, finds_out_that_it_dialled_itself)
{
	struct hall h;

	for (int kind = 0; kind < 3; kind++) {
		hall_open(&h, address_of_kind(kind), PATIENCE, 8);
		/* Undo what the hall does so that its own process may call. */
		coh_listener_identity(h.listener)->uuid[0] ^= 1;
		h.max = 64; /* what the caller's end of TLS takes is counted too */
		fails(cohort_listener_address(h.listener), &h.options, COHORT_ESELF, "this very process");
		CHECK_EQ(h.welcomed, 0);
		hall_close(&h);
	}
}

/* TLS has no word for it: there the cluster is a part of what the key is called. */
TEST(dial, into_another_cluster_is_refused_however_it_is_guarded)
{
	static const int codes[] = {COHORT_ECLUSTER, COHORT_EAUTH, COHORT_ECLUSTER};
	struct cohort_net_options o;
	struct hall h;

	for (int kind = 0; kind < 3; kind++) {
		hall_open(&h, address_of_kind(kind), PATIENCE, 8);
		h.max = 64;
		o = (struct cohort_net_options){.key = h.key, .cluster = "elsewhere"};
		fails(cohort_listener_address(h.listener), &o, codes[kind], "cluster");
		CHECK_EQ(h.welcomed, 0);
		hall_serves(&h);
		hall_close(&h);
	}
}

TEST(dial, is_told_to_come_back_where_too_many_wait)
{
	static const char *const addresses[] = {"tcp://127.0.0.1:0", "tls://127.0.0.1:0"};
	struct hall h;
	struct cohort_conn *c;

	for (int i = 0; i < 2; i++) {
		hall_open(&h, addresses[i], PATIENCE, 0);
		memset(&err, 0, sizeof err);
		CHECK_EQ(cohort_dial(&c, cohort_listener_address(h.listener), &h.options,
			     cohort_in(test_span(COHORT_SECOND)), &err),
		    COHORT_EBUSY);
		CHECK_HAS(err.text, "127.0.0.1");
		CHECK_HAS(err.text, "no more peers");
		h.max = 64; /* what the caller's end of TLS takes is counted too */
		hall_close(&h);
	}
}

/* Takes one caller and says WORDS to it. */
struct rogue {
	int listening;
	const char *words;
	size_t size;
};

static void *rogue(void *arg)
{
	struct rogue *r = arg;
	char hello[1024];
	int fd = accept(r->listening, NULL, NULL);

	REQUIRE(fd >= 0);
	CHECK(recv(fd, hello, sizeof hello, 0) > 0);
	if (r->size != 0)
		hall_say(fd, r->words, r->size);
	close(fd);
	return NULL;
}

TEST(dial, makes_sense_of_servers_that_are_none)
{
	static const struct {
		const char *words;
		size_t size;
		int code;
	} cases[] = {
	    {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, COHORT_EPROTOCOL},
	    {"SSH-2.0-OpenSSH_9.2\r\n", 21, COHORT_EPROTOCOL},
	    {"\x43\xc7\x07\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, COHORT_EVERSION},
	    {"\x43\xc7\x01\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, COHORT_ETOOBIG},
	    {"\x43\xc7\x01\x04\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0!", 25, COHORT_EPROTOCOL},
	    {"\x43\xc7\x01", 3, COHORT_ETRUNCATED},
	    {"", 0, COHORT_EOF},
	};
	struct cohort_key *key = hall_key();
	const struct cohort_backoff once = {.tries = 1};
	struct cohort_net_options o = {.key = key, .retry = &once};
	char address[COH_ADDRESS_TEXT];
	struct rogue r = {.listening = hall_rogue(address)};
	pthread_t thread;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		r.words = cases[i].words;
		r.size = cases[i].size;
		REQUIRE_EQ(pthread_create(&thread, NULL, rogue, &r), 0);
		fails(address, &o, cases[i].code, address);
		pthread_join(thread, NULL);
	}
	close(r.listening);
	cohort_key_free(key);
}

struct relay {
	struct hall *h;
	int listening;
};

/* Passes everything on between one caller and the hall. */
static void *relay(void *arg)
{
	struct relay *r = arg;
	char bytes[2048];
	int caller = accept(r->listening, NULL, NULL), hall = hall_stranger(r->h);
	struct pollfd p[2] = {{.fd = caller, .events = POLLIN}, {.fd = hall, .events = POLLIN}};
	ssize_t n = 1;

	while (n > 0 && poll(p, 2, (int)(test_span(PATIENCE) / COHORT_MS)) > 0)
		for (int i = 0; i < 2 && n > 0; i++)
			if (p[i].revents != 0) {
				n = recv(p[i].fd, bytes, sizeof bytes, 0);
				if (n > 0)
					hall_say(p[1 - i].fd, bytes, (size_t)n);
			}
	close(caller);
	close(hall);
	return NULL;
}

TEST(dial, is_not_led_to_another_address_by_one_in_the_middle)
{
	struct hall h;
	struct relay r = {.h = &h};
	char address[COH_ADDRESS_TEXT];
	pthread_t thread;

	hall_open(&h, NULL, PATIENCE, 8);
	r.listening = hall_rogue(address);
	REQUIRE_EQ(pthread_create(&thread, NULL, relay, &r), 0);
	fails(address, &h.options, COHORT_EADDR, address);
	pthread_join(thread, NULL);
	CHECK_EQ(h.welcomed, 0);
	close(r.listening);
	hall_close(&h);
}

static int dial_once(void *arg)
{
	struct cohort_key *key = NULL;
	struct cohort_conn *c = NULL;
	struct cohort_net_options o = {0};
	int rc = cohort_key_new(&key, "a key for every hall", 20, &err);

	o.key = key;
	if (rc == 0)
		rc = cohort_dial(&c, arg, &o, patience(), &err);
	if (rc == 0 && strstr(cohort_conn_peer(c), "hall at") == NULL)
		rc = -ENOMEM; /* it found all but room for the name, and does without */
	cohort_conn_close(c);
	cohort_key_free(key);
	return rc;
}

/* A hall in a process of its own, which has none of our failures; it ends when *END is closed. */
static pid_t hall_process(char *address, int *end)
{
	int ready[2], stop[2];
	struct hall h;
	pid_t pid;
	char byte;

	REQUIRE(pipe2(ready, O_CLOEXEC) == 0 && pipe2(stop, O_CLOEXEC) == 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		close(stop[1]);
		hall_open(&h, address, PATIENCE, 64);
		CHECK_EQ(write(ready[1], "r", 1), 1);
		CHECK_EQ(read(stop[0], &byte, 1), 0);
		hall_close(&h);
		_exit(0);
	}
	close(ready[1]);
	close(stop[0]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*end = stop[1];
	return pid;
}

TEST_TIMEOUT(dial, survives_every_failed_allocation, 60)
{
	char address[300];
	int end;
	pid_t pid;

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	pid = hall_process(address, &end);
	test_every_allocation(dial_once, address);
	close(end);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}
