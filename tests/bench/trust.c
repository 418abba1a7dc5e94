/*
 * trust.c - figures of peers that prove a key to each other: connects, and what TLS carries.
 *
 * Ours are cohort_listen and cohort_dial as users call them, one server process and one client
 * process.  The peers do the same exchange with nothing above OpenSSL.
 */
#include "peers.h"

#include <cohort/cohort.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM 50 /* connections before the clock runs */
#define ADDRESS 64

struct side {
	const struct bench_load *load;
	struct cohort_net_options options;
	struct cohort_key *key;
	struct cohort_error err;
	char address[ADDRESS];
	int fds[2]; /* on which the server tells its address */
};

static int load_key(struct side *s)
{
	int rc = cohort_key_new(&s->key, "a key that the benchmark shares", 32, &s->err);

	s->options.key = s->key;
	return rc;
}

/* In the child: listen where the load says, and tell the address. */
static struct cohort_listener *hall(struct side *s)
{
	const char *where = s->load->link == BENCH_TLS ? "tls://127.0.0.1:0" : "tcp://127.0.0.1:0";
	struct cohort_listener *l = NULL;
	int rc = load_key(s);

	if (rc == 0)
		rc = cohort_listen(&l, where, &s->options, &s->err);
	if (rc == 0)
		memccpy(s->address, cohort_listener_address(l), '\0', ADDRESS);
	else
		bench_say(BENCH_FAILED, "%s", s->err.text);
	bench_write(s->fds[1], s->address, ADDRESS);
	return l;
}

/* Fork FN as the server, and be the client of the address it tells; its pid, or -1. */
static pid_t open_side(struct side *s, const void *load, int (*fn)(void *))
{
	pid_t pid;

	*s = (struct side){.load = load};
	if (bench_pair(BENCH_SOCKETPAIR, s->fds) != BENCH_OK)
		return -1;
	pid = bench_peer(fn, s);
	bench_pin(0);
	close(s->fds[1]);
	if (bench_read(s->fds[0], s->address, ADDRESS) < 0 || load_key(s) != 0)
		return -1;
	return pid;
}

static struct cohort_conn *dial(struct side *s)
{
	struct cohort_conn *c;

	return cohort_dial(&c, s->address, &s->options, COHORT_FOREVER, &s->err) == 0 ? c : NULL;
}

static int close_side(struct side *s, pid_t pid, int rc)
{
	if (rc != 0)
		bench_say(BENCH_FAILED, "trust: the run failed: %s", s->err.text);
	cohort_key_free(s->key);
	close(s->fds[0]);
	return bench_finish(pid, rc);
}

/* The next who comes; NULL when nobody can. */
static struct cohort_conn *next_peer(struct cohort_listener *l)
{
	struct cohort_error err;
	struct cohort_conn *c;

	if (l == NULL || cohort_listener_accept(l, &c, COHORT_FOREVER, &err) != 0)
		return NULL;
	return c;
}

static int welcome_all(void *arg)
{
	struct side *s = arg;
	struct cohort_listener *l = hall(s);
	struct cohort_conn *c = NULL;
	long i;

	for (i = 0; i < s->load->count + WARM; i++) {
		c = next_peer(l);
		if (c == NULL)
			break;
		cohort_conn_close(c);
	}
	cohort_listener_close(l);
	return c == NULL;
}

static int connects(const void *load, double *connects_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, welcome_all);
	struct cohort_conn *c;
	int64_t start = 0;
	long i;
	int rc = pid < 0;

	for (i = 0; i < s.load->count + WARM && rc == 0; i++) {
		if (i == WARM)
			start = bench_now();
		c = dial(&s);
		rc = c == NULL;
		cohort_conn_close(c);
	}
	*connects_per_s = (double)s.load->count / bench_since(start);
	return close_side(&s, pid, rc);
}

static int echo(void *arg)
{
	struct side *s = arg;
	struct cohort_listener *l = hall(s);
	struct cohort_conn *c = next_peer(l);
	const void *data;
	size_t size;
	int rc = c == NULL;

	while (rc == 0) {
		rc = cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER);
		if (rc == 0)
			rc = cohort_conn_send_bytes(c, data, size, COHORT_FOREVER);
	}
	cohort_listener_close(l);
	return rc == COHORT_EOF ? 0 : 1;
}

static int roundtrip(const void *load, double *us)
{
	char message[4096] = "";
	const void *data;
	size_t size;
	struct side s;
	pid_t pid = open_side(&s, load, echo);
	struct cohort_conn *c = pid > 0 ? dial(&s) : NULL;
	int64_t start = bench_now();
	long i;
	int rc = c == NULL;

	for (i = 0; i < s.load->count && rc == 0; i++) {
		rc = cohort_conn_send_bytes(c, message, s.load->size, COHORT_FOREVER);
		if (rc == 0)
			rc = cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER);
	}
	*us = bench_since(start) * 1e6 / (double)s.load->count;
	cohort_conn_close(c);
	return close_side(&s, pid, rc);
}

/* Until the peer has closed C.  0 or 1. */
static int until_end(struct cohort_conn *c)
{
	const void *data;
	size_t size;

	return cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER) != COHORT_EOF;
}

static int produce_blocks(void *arg)
{
	struct side *s = arg;
	struct cohort_listener *l = hall(s);
	struct cohort_conn *c = next_peer(l);
	char *block = calloc(1, s->load->size);
	long i;
	int rc = c == NULL || block == NULL;

	for (i = 0; i < s->load->count && rc == 0; i++)
		rc = cohort_conn_send_bytes(c, block, s->load->size, COHORT_FOREVER);
	free(block);
	if (rc == 0) /* who closes first, with the peer's credit unread, resets what is under way */
		rc = until_end(c);
	cohort_conn_close(c);
	cohort_listener_close(l);
	return rc;
}

static int consume(struct cohort_conn *c, long n, size_t want)
{
	const void *data;
	size_t size;
	long i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++) {
		rc = cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER);
		if (rc == 0 && size != want)
			return bench_say(BENCH_FAILED, "a message of another size");
	}
	return rc;
}

static int bulk(const void *load, double *bytes_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, produce_blocks);
	struct cohort_conn *c = pid > 0 ? dial(&s) : NULL;
	int64_t start;
	int rc = c == NULL ? -1 : consume(c, 1, s.load->size);

	start = bench_now();
	if (rc == 0)
		rc = consume(c, s.load->count - 1, s.load->size);
	*bytes_per_s = (double)s.load->size * (double)(s.load->count - 1) / bench_since(start);
	cohort_conn_close(c);
	return close_side(&s, pid, rc);
}

/* A machine beneath is fast or slow for seconds at a time, at waking above all: many rounds meet both. */
#define SHORT_ROUNDS 41

static const struct bench_load calls = {.link = BENCH_TCP, .count = 1000};
static const struct bench_load tls_calls = {.link = BENCH_TLS, .count = 300};
static const struct bench_load small = {.link = BENCH_TLS, .count = 20000, .size = 64};
static const struct bench_load large = {.link = BENCH_TLS, .count = 1000, .size = 1 << 20};

static const struct bench_figure figures[] = {
	{
	    .name = "trust.connect_tcp", .unit = "connects/s", .ours = {"ours", connects, &calls},
	    .peer = {"plain HMAC", peer_auth_connect, &calls}, .bar = 0.8,
	    .rounds = SHORT_ROUNDS,
	},
	{
	    .name = "trust.connect_tls", .unit = "connects/s", .ours = {"ours", connects, &tls_calls},
	    .peer = {"bare OpenSSL", peer_tls_connect, &tls_calls}, .bar = 0.8,
	    .rounds = SHORT_ROUNDS,
	},
	{
	    .name = "trust.bulk_tls", .unit = "bytes/s", .ours = {"ours", bulk, &large},
	    .peer = {"bare OpenSSL", peer_tls_bulk, &large}, .bar = 0.9,
	    .rounds = 15,
	},
	{
	    .name = "trust.roundtrip_tls", .unit = "us", .ours = {"ours", roundtrip, &small},
	    .peer = {"bare OpenSSL", peer_tls_roundtrip, &small}, .sense = BENCH_AT_MOST, .bar = 1.2,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
