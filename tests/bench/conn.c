/*
 * conn.c - figures of the connection: round trips, large messages, and a stream of small ones.
 *
 * Ours are messages of plain bytes.  Over TCP the connection is laid over a socket of the
 * same making as the peer's: what is compared is moving messages, not dialling.
 */
#include "peers.h"

#include "conn/conn_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct side {
	const struct bench_load *load;
	struct cohort_conn *ends[2];
	int fds[2]; /* of a link over TCP, until ours is laid over it */
};

static int wrap(struct side *s, int end)
{
	if (s->load->link == BENCH_SOCKETPAIR)
		return 0;
	close(s->fds[1 - end]);
	return coh_conn_from_fd(&s->ends[end], s->fds[end], COH_PHASE_USER, "peer", NULL);
}

/* Fork FN, whose end is 1, and keep end 0; its pid, or -1. */
static pid_t open_side(struct side *s, const void *load, int (*fn)(void *))
{
	pid_t pid;
	int rc;

	*s = (struct side){.load = load};
	if (s->load->link == BENCH_SOCKETPAIR)
		rc = cohort_conn_pair(&s->ends[0], &s->ends[1], NULL);
	else
		rc = bench_pair(s->load->link, s->fds);
	if (rc != 0)
		return -1;
	pid = bench_peer(fn, s);
	bench_pin(0);
	if (wrap(s, 0) != 0)
		return -1;
	cohort_conn_close(s->ends[1]);
	return pid;
}

/* In the child: its end, alone. */
static struct cohort_conn *other_end(struct side *s)
{
	if (wrap(s, 1) != 0)
		return NULL;
	cohort_conn_close(s->ends[0]);
	return s->ends[1];
}

static int close_side(struct side *s, pid_t pid, int rc)
{
	if (rc < 0)
		bench_say(BENCH_FAILED, "%s", cohort_conn_error(s->ends[0]));
	cohort_conn_close(s->ends[0]);
	return bench_reap(pid) == BENCH_OK && rc >= 0 ? BENCH_OK : BENCH_FAILED;
}

static int echo(void *arg)
{
	struct cohort_conn *c = other_end(arg);
	const void *data;
	size_t size;
	int rc = 0;

	while (rc == 0) {
		rc = cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER);
		if (rc == 0)
			rc = cohort_conn_send_bytes(c, data, size, COHORT_FOREVER);
	}
	return rc == COHORT_EOF ? 0 : 1;
}

static int roundtrip(const void *load, double *us)
{
	char message[4096] = "";
	const void *data;
	size_t size;
	struct side s;
	pid_t pid = open_side(&s, load, echo);
	int64_t start = bench_now();
	long i;
	int rc = 0;

	if (pid < 0)
		return BENCH_FAILED;
	for (i = 0; i < s.load->count && rc == 0; i++) {
		rc = cohort_conn_send_bytes(s.ends[0], message, s.load->size, COHORT_FOREVER);
		if (rc == 0)
			rc = cohort_conn_recv_bytes(s.ends[0], &data, &size, COHORT_FOREVER);
	}
	*us = bench_since(start) * 1e6 / (double)s.load->count;
	return close_side(&s, pid, rc);
}

static int produce_blocks(void *arg)
{
	const struct side *s = arg;
	struct cohort_conn *c = other_end(arg);
	char *block = malloc(s->load->size);
	long i;
	int rc = block == NULL ? -1 : 0;

	if (block != NULL)
		memset(block, 1, s->load->size);
	for (i = 0; i < s->load->count && rc == 0; i++)
		rc = cohort_conn_send_bytes(c, block, s->load->size, COHORT_FOREVER);
	free(block);
	cohort_conn_close(c);
	return rc;
}

/* Receive N messages of the size that was agreed; the sum of their first bytes in *SUM. */
static int consume(const struct side *s, long n, long *sum)
{
	const void *data;
	size_t size;
	long i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++) {
		rc = cohort_conn_recv_bytes(s->ends[0], &data, &size, COHORT_FOREVER);
		if (rc == 0 && size != s->load->size)
			return bench_say(BENCH_FAILED, "a message of another size");
		if (rc == 0)
			*sum += *(const char *)data;
	}
	return rc;
}

static int bulk(const void *load, double *bytes_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, produce_blocks);
	int64_t start;
	long sum = 0;
	int rc;

	if (pid < 0)
		return BENCH_FAILED;
	rc = consume(&s, 1, &sum);
	start = bench_now();
	if (rc == 0)
		rc = consume(&s, s.load->count - 1, &sum);
	*bytes_per_s = (double)s.load->size * (double)(s.load->count - 1) / bench_since(start);
	return close_side(&s, pid, sum == s.load->count ? rc : COHORT_EPROTOCOL);
}

static int produce_small(void *arg)
{
	const struct side *s = arg;
	struct cohort_conn *c = other_end(arg);
	char message[4096] = "";
	long i;
	int rc = 0;

	for (i = 0; i < s->load->count && rc == 0; i++) {
		message[0] = (char)(i & 1);
		rc = cohort_conn_put_bytes(c, message, s->load->size, COHORT_FOREVER);
	}
	if (rc == 0)
		rc = cohort_conn_flush(c, COHORT_FOREVER);
	cohort_conn_close(c);
	return rc;
}

static int stream(const void *load, double *messages_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, produce_small);
	int64_t start = bench_now();
	long sum = 0;
	int rc;

	if (pid < 0)
		return BENCH_FAILED;
	rc = consume(&s, s.load->count, &sum);
	*messages_per_s = (double)s.load->count / bench_since(start);
	return close_side(&s, pid, sum == s.load->count / 2 ? rc : COHORT_EPROTOCOL);
}

static const struct bench_load small_pair = {.link = BENCH_SOCKETPAIR, .count = 20000, .size = 64};
static const struct bench_load small_tcp = {.link = BENCH_TCP, .count = 20000, .size = 64};
static const struct bench_load large_pair = {.link = BENCH_SOCKETPAIR, .count = 1000, .size = 1 << 20};
static const struct bench_load large_tcp = {.link = BENCH_TCP, .count = 1000, .size = 1 << 20};
static const struct bench_load flood = {.link = BENCH_TCP, .count = 2000000, .size = 64};

#define ROUNDTRIP(what, load)                                                               \
	{                                                                                   \
		.name = "conn.roundtrip_" what, .unit = "us", .ours = {"ours", roundtrip, load}, \
		.peer = {"raw", peer_socket_roundtrip, load}, .sense = BENCH_AT_MOST,       \
		.bar = 1.2,                                                                 \
	}
#define BULK(what, load)                                                                    \
	{                                                                                   \
		.name = "conn.bulk_" what, .unit = "bytes/s", .ours = {"ours", bulk, load}, \
		.peer = {"raw", peer_socket_bulk, load}, .bar = 0.9,                        \
	}
#define STREAM(what, peer_name, fn, least)                                                  \
	{                                                                                   \
		.name = "conn.stream_" what, .unit = "messages/s", .ours = {"ours", stream, &flood}, \
		.peer = {peer_name, fn, &flood}, .bar = least,                              \
	}

static const struct bench_figure figures[] = {
	ROUNDTRIP("socketpair", &small_pair),
	ROUNDTRIP("tcp", &small_tcp),
	BULK("socketpair", &large_pair),
	BULK("tcp", &large_tcp),
	STREAM("raw", "batching sender", peer_socket_stream, 0.15),
	STREAM("zeromq", "PUSH/PULL", peer_zmq_stream, 1.5),
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
