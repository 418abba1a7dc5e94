/*
 * peer_forkpool.c - a fork pool on socket pairs, by hand, for a no-op from int to int.
 *
 * Tasks travel in batches of 16 ints and two batches are under way per worker, so that a
 * worker finds the next one in its socket when it has written the last one's results; when
 * both are there it takes and answers them with one system call each.  Batches come back
 * whole and in order on each socket, so nothing but the ints travels.
 *
 * The parent sleeps in poll over the two sockets; epoll, with one call the like of this, was
 * not faster for two descriptors, nor were packets (SOCK_SEQPACKET), which never coalesce.
 */
#include "peers.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 2
#define BATCH 16
#define AHEAD 2
#define BATCH_BYTES (BATCH * sizeof(int32_t))

struct worker {
	int fd;
	pid_t pid;
	size_t held; /* bytes of an incomplete batch of results */
	int32_t results[AHEAD * BATCH];
};

struct forkpool {
	struct worker workers[WORKERS];
	long unsent, undone; /* batches */
	int64_t sum;         /* of all results: each is looked at */
};

static int32_t no_op(int32_t x)
{
	return x;
}

/* Not static const: the call is through a pointer, as any pool's is. */
static int32_t (*volatile task)(int32_t) = no_op;

/* A worker's life: whole batches in, as many out, until its parent closes. */
static int serve(int fd)
{
	int32_t values[AHEAD * BATCH];
	size_t held = 0, whole, i;
	ssize_t n;

	while ((n = read(fd, (char *)values + held, sizeof(values) - held)) > 0) {
		held += (size_t)n;
		whole = held - held % BATCH_BYTES;
		for (i = 0; i < whole / sizeof(int32_t); i++)
			values[i] = task(values[i]);
		if (whole > 0 && bench_write(fd, values, whole) < 0)
			return 1;
		held -= whole;
		memmove(values, (char *)values + whole, held);
	}
	return n == 0 ? 0 : 1;
}

static int worker_start(struct worker *w, int others)
{
	int fds[2];

	if (bench_pair(BENCH_SOCKETPAIR, fds) != BENCH_OK)
		return -1;
	w->pid = fork();
	if (w->pid == 0) {
		close(fds[0]);
		if (others >= 0)
			close(others);
		_exit(serve(fds[1]));
	}
	close(fds[1]);
	w->fd = fds[0];
	return w->pid < 0 ? -1 : 0;
}

/* Send up to N batches with one write. */
static int feed(struct forkpool *p, struct worker *w, long n)
{
	int32_t values[AHEAD * BATCH];
	long i;

	if (n > p->unsent)
		n = p->unsent;
	for (i = 0; i < n * BATCH; i++)
		values[i] = (int32_t)(p->unsent * BATCH - i);
	p->unsent -= n;
	return n == 0 ? 0 : bench_write(w->fd, values, (size_t)n * BATCH_BYTES);
}

/* Results of a worker are there: count the whole batches, send as many. */
static int take(struct forkpool *p, struct worker *w)
{
	ssize_t n = read(w->fd, (char *)w->results + w->held, sizeof(w->results) - w->held);
	size_t whole, i;

	if (n <= 0)
		return -1;
	w->held += (size_t)n;
	whole = w->held / BATCH_BYTES;
	if (whole == 0)
		return 0;
	if (feed(p, w, (long)whole) < 0)
		return -1;
	for (i = 0; i < whole * BATCH; i++)
		p->sum += w->results[i];
	p->undone -= (long)whole;
	w->held -= whole * BATCH_BYTES;
	memmove(w->results, (char *)w->results + whole * BATCH_BYTES, w->held);
	return 0;
}

static int run(struct forkpool *p)
{
	struct pollfd polls[WORKERS];
	int i;

	for (i = 0; i < WORKERS; i++) {
		polls[i] = (struct pollfd){.fd = p->workers[i].fd, .events = POLLIN};
		if (feed(p, &p->workers[i], AHEAD) < 0)
			return -1;
	}
	while (p->undone > 0) {
		if (poll(polls, WORKERS, -1) < 0)
			return -1;
		for (i = 0; i < WORKERS; i++) {
			if (polls[i].revents != 0 && take(p, &p->workers[i]) < 0)
				return -1;
		}
	}
	return 0;
}

int peer_forkpool_rate(const void *load, double *tasks_per_s)
{
	long batches = ((const struct bench_load *)load)->count / BATCH, tasks = batches * BATCH;
	struct forkpool p = {.unsent = batches, .undone = batches};
	int64_t start;
	int i, rc = 0;

	for (i = 0; i < WORKERS; i++) {
		if (worker_start(&p.workers[i], i > 0 ? p.workers[0].fd : -1) < 0)
			return bench_say(BENCH_FAILED, "fork pool: %s", strerror(errno));
	}
	start = bench_now();
	rc = run(&p);
	*tasks_per_s = (double)tasks / bench_since(start);
	for (i = 0; i < WORKERS; i++) {
		close(p.workers[i].fd);
		rc |= bench_reap(p.workers[i].pid);
	}
	if (rc != 0 || p.sum != (int64_t)tasks * (tasks + 1) / 2)
		return bench_say(BENCH_FAILED, "fork pool: wrong results");
	return BENCH_OK;
}

/* One int at a time. */
static int serve_singly(void *arg)
{
	int *fds = arg, fd = fds[1];
	int32_t value;

	close(fds[0]);
	while (bench_read_answer(fd, &value, sizeof(value)) == 0) {
		value = task(value);
		if (bench_write(fd, &value, sizeof(value)) < 0)
			return 1;
	}
	return 0;
}

static int time_singly(int fd, double *us, long count)
{
	int32_t value;
	int64_t start;
	long i;

	for (i = 0; i < count; i++) {
		value = (int32_t)i;
		start = bench_now();
		if (bench_write(fd, &value, sizeof(value)) < 0 ||
		    bench_read_answer(fd, &value, sizeof(value)) < 0 || value != (int32_t)i)
			return bench_say(BENCH_FAILED, "fork worker: lost");
		us[i] = bench_since(start) * 1e6;
	}
	return BENCH_OK;
}

int peer_forkpool_latency(const void *load, double *us)
{
	long count = ((const struct bench_load *)load)->count;
	double *each = calloc((size_t)count, sizeof(*each));
	int fds[2], rc;
	pid_t pid;

	if (each == NULL || bench_pair(BENCH_SOCKETPAIR, fds) != BENCH_OK)
		return bench_say(BENCH_FAILED, "fork worker: %s", strerror(errno));
	pid = bench_peer(serve_singly, fds);
	bench_pin(0);
	close(fds[1]);
	rc = time_singly(fds[0], each, count);
	*us = bench_median(each, (int)count);
	close(fds[0]);
	free(each);
	return bench_reap(pid) == BENCH_OK ? rc : BENCH_FAILED;
}
