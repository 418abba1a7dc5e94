/*
 * peer_zmq.c - ZeroMQ PUSH to PULL over TCP on loopback or ipc, one producer and one consumer.
 *
 * The high-water marks are raised from 1000 messages to 100,000, which is faster for it; the
 * rest is as it comes, and so is its thread for input and output on each side.
 */
#include "flow.h"
#include "peers.h"

#ifdef BENCH_ZMQ

#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#define HIGH_WATER 100000

#define ENDPOINT 64

/* The producer is forked before any thread of ZeroMQ's exists, and told the port over a pair. */
struct side {
	const struct bench_load *load;
	int fds[2];
};

static void *open_socket(void *context, int type)
{
	void *s = zmq_socket(context, type);
	int mark = HIGH_WATER;

	zmq_setsockopt(s, ZMQ_SNDHWM, &mark, sizeof(mark));
	zmq_setsockopt(s, ZMQ_RCVHWM, &mark, sizeof(mark));
	return s;
}

static int push(void *arg)
{
	const struct side *side = arg;
	char endpoint[ENDPOINT], message[4096] = "";
	void *context, *s;
	long i;
	int rc;

	if (bench_read(side->fds[1], endpoint, ENDPOINT) < 0)
		return 1;
	context = zmq_ctx_new();
	s = open_socket(context, ZMQ_PUSH);
	rc = zmq_connect(s, endpoint);
	for (i = 0; i < side->load->count && rc >= 0; i++)
		rc = zmq_send(s, message, side->load->size, 0);
	zmq_close(s);
	zmq_ctx_term(context); /* waits until all is sent */
	return rc < 0;
}

/* Messages from the second on: connecting is not the figure. */
static int pull(void *s, const struct bench_load *load, double *messages_per_s)
{
	char message[4096];
	int64_t start;
	long i;

	if (zmq_recv(s, message, sizeof(message), 0) < 0)
		return BENCH_FAILED;
	start = bench_now();
	for (i = 1; i < load->count; i++) {
		if (zmq_recv(s, message, sizeof(message), 0) != (int)load->size)
			return BENCH_FAILED;
	}
	*messages_per_s = (double)(load->count - 1) / bench_since(start);
	return BENCH_OK;
}

int peer_zmq_stream(const void *load, double *messages_per_s)
{
	struct side side = {.load = load};
	char endpoint[ENDPOINT] = "";
	size_t length = ENDPOINT;
	void *context, *s;
	pid_t pid;
	int rc = BENCH_FAILED;

	if (bench_pair(BENCH_SOCKETPAIR, side.fds) != BENCH_OK)
		return BENCH_FAILED;
	pid = bench_peer(push, &side);
	bench_pin(0);
	context = zmq_ctx_new();
	s = open_socket(context, ZMQ_PULL);
	if (zmq_bind(s, "tcp://127.0.0.1:*") == 0 &&
	    zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, endpoint, &length) == 0 &&
	    bench_write(side.fds[0], endpoint, ENDPOINT) == 0)
		rc = pull(s, load, messages_per_s);
	close(side.fds[0]);
	close(side.fds[1]);
	zmq_close(s);
	zmq_ctx_term(context);
	return bench_reap(pid) == BENCH_OK ? rc : BENCH_FAILED;
}

/* ---- over ipc ---- */

static int ipc_put(struct flow_part *part)
{
	struct flow_message m = {{0}};
	void *context = zmq_ctx_new(), *s = open_socket(context, ZMQ_PUSH);
	int rc = zmq_connect(s, part->arg);
	long i;

	part->ready();
	for (i = 0; i < part->count && rc >= 0; i++) {
		flow_fill(&m, part->first + (uint64_t)i);
		rc = zmq_send(s, &m, sizeof(m), 0);
	}
	zmq_close(s);
	zmq_ctx_term(context);
	return rc < 0;
}

static int ipc_get(struct flow_part *part)
{
	struct flow_message m;
	void *context = zmq_ctx_new(), *s = open_socket(context, ZMQ_PULL);
	int rc = zmq_bind(s, part->arg) == 0 ? (int)sizeof(m) : -1;
	long i;

	part->ready();
	for (i = 0; i < part->count && rc == (int)sizeof(m); i++) {
		rc = zmq_recv(s, &m, sizeof(m), 0);
		part->sum += flow_number(&m);
	}
	zmq_close(s);
	zmq_ctx_term(context);
	return rc != (int)sizeof(m);
}

int peer_zmq_ipc(const void *load, double *messages_per_s)
{
	char endpoint[ENDPOINT];
	struct flow flow = {
	    .put = ipc_put,
	    .get = ipc_get,
	    .arg = endpoint,
	    .putters = 1,
	    .getters = 1,
	    .count = ((const struct bench_load *)load)->count,
	};

	snprintf(endpoint, sizeof(endpoint), "ipc://@cohort-bench-%d", (int)getpid());
	return flow_run(&flow, messages_per_s);
}

#else

int peer_zmq_ipc(const void *load, double *messages_per_s)
{
	(void)load;
	(void)messages_per_s;
	return bench_say(BENCH_MISSING, "ZeroMQ: built without libzmq3-dev");
}

int peer_zmq_stream(const void *load, double *messages_per_s)
{
	(void)load;
	(void)messages_per_s;
	return bench_say(BENCH_MISSING, "ZeroMQ: built without libzmq3-dev");
}

#endif
