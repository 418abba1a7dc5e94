/*
 * peer_socket.c - plain sockets: round trips, large blocks, and framed small messages.
 *
 * The stream is what a programmer does who needs many small messages: frames of a length of
 * four bytes are laid into 64 KiB, which are sent when they are full; the receiver reads as
 * much as there is and parses each frame where it lies.  The bare minimum that still has
 * message boundaries, so the ceiling for everything that does more.
 */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 65536
#define HEADER sizeof(uint32_t)

/* What the other side needs to know. */
struct side {
	const struct bench_load *load;
	int fds[2];
};

static int read_message(const struct side *s, int end, char *message)
{
	if (s->load->link == BENCH_SOCKETPAIR)
		return bench_read_answer(s->fds[end], message, s->load->size);
	return bench_read(s->fds[end], message, s->load->size);
}

static int echo(void *arg)
{
	const struct side *s = arg;
	char message[4096];

	close(s->fds[0]);
	while (read_message(s, 1, message) == 0) {
		if (bench_write(s->fds[1], message, s->load->size) < 0)
			return 1;
	}
	return 0;
}

/* Fork FN onto side 1 of a pair and take side 0; the pid, or -1. */
static pid_t open_side(struct side *s, const void *load, int (*fn)(void *))
{
	pid_t pid;

	s->load = load;
	if (bench_pair(s->load->link, s->fds) != BENCH_OK)
		return -1;
	pid = bench_peer(fn, s);
	bench_pin(0);
	close(s->fds[1]);
	return pid;
}

static int close_side(const struct side *s, pid_t pid, int rc)
{
	close(s->fds[0]);
	if (bench_reap(pid) != BENCH_OK || rc != 0)
		return bench_say(BENCH_FAILED, "socket: the run failed");
	return BENCH_OK;
}

int peer_socket_roundtrip(const void *load, double *us)
{
	char message[4096] = "";
	struct side s;
	pid_t pid = open_side(&s, load, echo);
	int64_t start = bench_now();
	long i;
	int rc = 0;

	if (pid < 0)
		return BENCH_FAILED;
	for (i = 0; i < s.load->count && rc == 0; i++) {
		rc = bench_write(s.fds[0], message, s.load->size);
		if (rc == 0)
			rc = read_message(&s, 0, message);
	}
	*us = bench_since(start) * 1e6 / (double)s.load->count;
	return close_side(&s, pid, rc);
}

static int produce_blocks(void *arg)
{
	const struct side *s = arg;
	char *block = malloc(s->load->size);
	long i;
	int rc = block == NULL ? -1 : 0;

	close(s->fds[0]);
	if (block != NULL)
		memset(block, 1, s->load->size);
	for (i = 0; i < s->load->count && rc == 0; i++)
		rc = bench_write(s->fds[1], block, s->load->size);
	free(block);
	return rc;
}

int peer_socket_bulk(const void *load, double *bytes_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, produce_blocks);
	char *block;
	int64_t start;
	long i;
	int rc;

	if (pid < 0)
		return BENCH_FAILED;
	block = malloc(s.load->size);
	rc = block == NULL ? -1 : bench_read(s.fds[0], block, s.load->size);
	start = bench_now();
	for (i = 1; i < s.load->count && rc == 0; i++)
		rc = bench_read(s.fds[0], block, s.load->size);
	*bytes_per_s = (double)s.load->size * (double)(s.load->count - 1) / bench_since(start);
	free(block);
	return close_side(&s, pid, rc);
}

static int produce_frames(void *arg)
{
	const struct side *s = arg;
	uint32_t size = (uint32_t)s->load->size;
	size_t frame = HEADER + size, used = 0;
	char *batch = malloc(BATCH), payload[4096] = "";
	long i;
	int rc = batch == NULL ? -1 : 0;

	close(s->fds[0]);
	for (i = 0; i < s->load->count && rc == 0; i++) {
		if (used + frame > BATCH) {
			rc = bench_write(s->fds[1], batch, used);
			used = 0;
		}
		payload[0] = (char)(i & 1);
		memcpy(batch + used, &size, HEADER);
		memcpy(batch + used + HEADER, payload, size);
		used += frame;
	}
	if (rc == 0)
		rc = bench_write(s->fds[1], batch, used);
	free(batch);
	return rc;
}

/* Parse the whole frames of BATCH: how many there are, how many bytes they have, whose sum. */
static long parse(const char *batch, size_t held, size_t *used, long *sum)
{
	uint32_t size;
	long frames = 0;

	*used = 0;
	while (held - *used >= HEADER) {
		memcpy(&size, batch + *used, HEADER);
		if (size > BATCH - HEADER)
			return -1;
		if (held - *used - HEADER < size)
			break;
		*sum += batch[*used + HEADER];
		*used += HEADER + size;
		frames++;
	}
	return frames;
}

static int consume_frames(const struct side *s, char *batch, long *sum)
{
	size_t held = 0, used;
	long seen = 0, frames;
	ssize_t n;

	while (seen < s->load->count) {
		n = read(s->fds[0], batch + held, BATCH - held);
		if (n <= 0)
			return -1;
		held += (size_t)n;
		frames = parse(batch, held, &used, sum);
		if (frames < 0)
			return -1;
		seen += frames;
		held -= used;
		memmove(batch, batch + used, held);
	}
	return 0;
}

int peer_socket_stream(const void *load, double *messages_per_s)
{
	struct side s;
	pid_t pid = open_side(&s, load, produce_frames);
	char *batch = malloc(BATCH);
	int64_t start = bench_now();
	long sum = 0;
	int rc;

	if (pid < 0 || batch == NULL)
		return BENCH_FAILED;
	rc = consume_frames(&s, batch, &sum);
	*messages_per_s = (double)s.load->count / bench_since(start);
	free(batch);
	return close_side(&s, pid, sum == s.load->count / 2 ? rc : -1);
}
