/*
 * remote.c - figures of a server's queue, over TCP on loopback: 64 bytes put, then got.
 *
 * The server is a process of its own, as Redis is; a client alone is on the other CPU, many run
 * anywhere.  A hundred under way are put by one call, then got by one; the peer has 50 of each in
 * its pipeline.
 */
#include "flow.h"
#include "peers.h"

#include <cohort/auth.h>
#include <cohort/server.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS 96
#define BATCH 100
#define PATIENCE (20 * COHORT_SECOND)

struct server {
	int fds[2];
	char address[ADDRESS]; /* of its queue */
	pid_t pid;
};

/* Each process makes the key anew: one that is forked has none of its parent's. */
static int net_init(struct cohort_net_options *net, struct cohort_key **key, struct cohort_error *err)
{
	int rc = cohort_key_new(key, "a key that the benchmark shares", 32, err);

	*net = (struct cohort_net_options){.key = *key};
	return rc;
}

/* The server's process: tell where the queue is, and serve until the other side is gone. */
static int serve(void *arg)
{
	struct server *s = arg;
	struct cohort_server *server;
	struct cohort_queue *q;
	struct cohort_net_options net;
	struct cohort_key *key;
	struct cohort_error err;
	char byte;
	int rc = net_init(&net, &key, &err);

	close(s->fds[0]);
	if (rc == 0)
		rc = cohort_queue_open(&q, "local:", NULL, &err);
	if (rc == 0)
		rc = cohort_server_open(&server, "tcp://127.0.0.1:0", &net, &err);
	if (rc == 0)
		rc = cohort_server_publish(server, "jobs", q, &err);
	if (rc != 0)
		return bench_say(BENCH_FAILED, "server: %s", err.text);
	snprintf(s->address, ADDRESS, "%s/jobs", cohort_server_address(server));
	if (bench_write(s->fds[1], s->address, ADDRESS) < 0)
		return -1;
	while (bench_read(s->fds[1], &byte, 1) == 0)
		;
	cohort_server_close(server);
	cohort_queue_close(q, COHORT_NOW);
	cohort_key_free(key);
	return 0;
}

static void server_close(struct server *s)
{
	close(s->fds[0]);
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

static int server_open(struct server *s)
{
	if (bench_pair(BENCH_SOCKETPAIR, s->fds) != BENCH_OK)
		return BENCH_FAILED;
	s->pid = bench_peer(serve, s);
	close(s->fds[1]);
	if (s->pid > 0 && bench_read(s->fds[0], s->address, ADDRESS) == 0)
		return BENCH_OK;
	server_close(s);
	return BENCH_FAILED;
}

/* ---- clients ---- */

static int open_queue(struct cohort_queue **q, const struct server *s)
{
	struct cohort_net_options net;
	struct cohort_queue_options options = {.net = &net, .deadline = cohort_in(PATIENCE)};
	struct cohort_key *key;
	struct cohort_error err;
	int rc = net_init(&net, &key, &err);

	close(s->fds[0]);
	*q = NULL;
	if (rc == 0)
		rc = cohort_queue_open(q, s->address, &options, &err);
	return rc == 0 ? 0 : bench_say(BENCH_FAILED, "%s: %s", s->address, err.text);
}

static int part_end(struct cohort_queue *q, int rc)
{
	if (rc != 0 && q != NULL)
		bench_say(BENCH_FAILED, "%s", cohort_queue_error(q));
	cohort_queue_close(q, COHORT_NOW);
	return rc;
}

static int one_at_a_time(struct flow_part *part)
{
	struct flow_message m = {{0}};
	struct cohort_queue *q;
	size_t size;
	long i;
	int rc = open_queue(&q, part->arg);

	part->ready();
	for (i = 0; i < part->count && rc == 0; i++) {
		flow_fill(&m, (uint64_t)i);
		rc = cohort_queue_put_bytes(q, &m, sizeof(m), COHORT_FOREVER);
		if (rc == 0)
			rc = cohort_queue_get_into(q, &m, sizeof(m), &size, COHORT_FOREVER);
		part->sum += flow_number(&m);
	}
	return part_end(q, rc);
}

/* Put N messages, the first of this NUMBER, and get as many. */
static int batch(struct cohort_queue *q, uint64_t number, int n, uint64_t *sum)
{
	struct flow_message m[BATCH] = {{{0}}};
	struct cohort_bytes items[BATCH];
	int i, done, rc;

	for (i = 0; i < n; i++) {
		flow_fill(&m[i], number + (uint64_t)i);
		items[i] = (struct cohort_bytes){&m[i], sizeof(m[i])};
	}
	for (done = 0; done < n; done += rc) {
		rc = cohort_queue_put_many(q, items + done, n - done, COHORT_FOREVER);
		if (rc < 0)
			return rc;
	}
	for (done = 0; done < n; done += rc) {
		rc = cohort_queue_get_many(q, items, n - done, m, sizeof(m), COHORT_FOREVER);
		for (i = 0; i < rc; i++)
			*sum += flow_number(items[i].data);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int in_batches(struct flow_part *part)
{
	struct cohort_queue *q;
	long i;
	int n, rc = open_queue(&q, part->arg);

	part->ready();
	for (i = 0; i < part->count && rc == 0; i += n) {
		n = part->count - i < BATCH ? (int)(part->count - i) : BATCH;
		rc = batch(q, (uint64_t)i, n, &part->sum);
	}
	return part_end(q, rc);
}

static int run(const struct bench_load *load, flow_fn fn, double *pairs_per_s)
{
	struct server s;
	struct flow flow = {
	    .get = fn,
	    .arg = &s,
	    .getters = load->sides,
	    .count = load->count,
	    .placing = load->sides == 1 ? FLOW_FIRST : FLOW_ANYWHERE,
	};
	int rc = server_open(&s);

	if (rc != BENCH_OK)
		return rc;
	rc = flow_run(&flow, pairs_per_s);
	server_close(&s);
	return rc;
}

static int calls(const void *load, double *pairs_per_s)
{
	return run(load, one_at_a_time, pairs_per_s);
}

static int many(const void *load, double *pairs_per_s)
{
	return run(load, in_batches, pairs_per_s);
}

static const struct bench_load single = {.count = 3000, .sides = 1};
static const struct bench_load clients8 = {.count = 12000, .sides = 8};
static const struct bench_load pipelined = {.count = 100000, .sides = 1};

static const struct bench_figure figures[] = {
	{
		.name = "remote.single",
		.unit = "pairs/s",
		.ours = {"ours", calls, &single},
		.peer = {"Redis", peer_redis_calls, &single},
		.bar = 1,
		.rounds = 21,
	},
	{
		.name = "remote.clients8",
		.unit = "pairs/s",
		.ours = {"ours", calls, &clients8},
		.peer = {"Redis", peer_redis_calls, &clients8},
		.bar = 1,
		.rounds = 61,
	},
	{
		.name = "remote.pipelined100",
		.unit = "pairs/s",
		.ours = {"put_many, get_many", many, &pipelined},
		.peer = {"Redis", peer_redis_pipeline, &pipelined},
		.bar = 1,
		.rounds = 5,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
