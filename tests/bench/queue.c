/*
 * queue.c - figures of the queue on one machine.
 *
 * Round trips are by two queues.  Those that only spin have a figure on two CPUs alone: on one, the
 * other side cannot run while one spins.
 */
#include "bulk.h"
#include "flow.h"
#include "peers.h"

#include <cohort/queue.h>

#define SMALL 64
#define SLOTS 1024 /* of the queue, and of the rings it is compared with */
#define BATCH 64
#define SPIN (1 * COHORT_MS)
#define LARGE_SLOTS 4
#define LARGE_WARM 16 /* not timed: the first ones make the pages */

/* ---- ours ---- */

struct job {
	struct cohort_queue *q;
	int batch; /* messages a call */
};

static int report(const char *what, int rc)
{
	return bench_say(BENCH_FAILED, "%s: %s", what, cohort_strerror(rc));
}

static int open_queue(struct cohort_queue **q, const struct cohort_queue_options *options)
{
	struct cohort_error err;

	if (cohort_queue_open(q, "local:", options, &err) == 0)
		return BENCH_OK;
	return bench_say(BENCH_FAILED, "queue: %s", err.text);
}

static int put_singly(struct flow_part *part)
{
	const struct job *job = part->arg;
	struct flow_message m = {{0}};
	long i;
	int rc = 0;

	part->ready();
	for (i = 0; i < part->count && rc == 0; i++) {
		flow_fill(&m, part->first + (uint64_t)i);
		rc = cohort_queue_put_bytes(job->q, &m, sizeof(m), COHORT_FOREVER);
	}
	return rc == 0 ? 0 : report("put", rc);
}

static int get_singly(struct flow_part *part)
{
	const struct job *job = part->arg;
	struct flow_message m;
	size_t size;
	long i;
	int rc = 0;

	part->ready();
	for (i = 0; i < part->count && rc == 0; i++) {
		rc = cohort_queue_get_into(job->q, &m, sizeof(m), &size, COHORT_FOREVER);
		part->sum += flow_number(&m);
	}
	return rc == 0 ? 0 : report("get", rc);
}

/* Put all N, however many a call takes. */
static int put_all(struct cohort_queue *q, const struct cohort_bytes *items, int n)
{
	int done, rc;

	for (done = 0; done < n; done += rc) {
		rc = cohort_queue_put_many(q, items + done, n - done, COHORT_FOREVER);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int put_batches(struct flow_part *part)
{
	const struct job *job = part->arg;
	struct flow_message m[BATCH] = {{{0}}};
	struct cohort_bytes items[BATCH];
	long i;
	int n, rc = 0;

	part->ready();
	for (i = 0; i < part->count && rc == 0; i += n) {
		for (n = 0; n < BATCH && i + n < part->count; n++) {
			flow_fill(&m[n], part->first + (uint64_t)(i + n));
			items[n] = (struct cohort_bytes){&m[n], sizeof(m[n])};
		}
		rc = put_all(job->q, items, n);
	}
	return rc == 0 ? 0 : report("put_many", rc);
}

static int get_batches(struct flow_part *part)
{
	const struct job *job = part->arg;
	struct flow_message m[BATCH];
	struct cohort_bytes items[BATCH];
	long i;
	int k, n = 0, want;

	part->ready();
	for (i = 0; i < part->count && n >= 0; i += n) {
		want = part->count - i < BATCH ? (int)(part->count - i) : BATCH;
		n = cohort_queue_get_many(job->q, items, want, m, sizeof(m), COHORT_FOREVER);
		for (k = 0; k < n; k++)
			part->sum += flow_number(items[k].data);
	}
	return n >= 0 ? 0 : report("get_many", n);
}

static int flow(const struct bench_load *load, flow_fn put, flow_fn get, double *messages_per_s)
{
	const struct cohort_queue_options options = {.most = SLOTS, .inlined = SMALL};
	struct job job;
	struct flow f = {
	    .put = put,
	    .get = get,
	    .arg = &job,
	    .putters = load->sides,
	    .getters = load->sides,
	    .count = load->count,
	};
	int rc = open_queue(&job.q, &options);

	if (rc == BENCH_OK)
		rc = flow_run(&f, messages_per_s);
	cohort_queue_close(job.q, COHORT_NOW);
	return rc;
}

static int singly(const void *load, double *messages_per_s)
{
	return flow(load, put_singly, get_singly, messages_per_s);
}

static int in_batches(const void *load, double *messages_per_s)
{
	return flow(load, put_batches, get_batches, messages_per_s);
}

/* ---- round trips ---- */

struct two {
	struct cohort_queue *there, *back;
	long count;
};

static int echo(void *arg)
{
	const struct two *t = arg;
	uint64_t word;
	size_t size;
	long i;
	int rc = 0;

	for (i = 0; i < t->count && rc == 0; i++) {
		rc = cohort_queue_get_into(t->there, &word, sizeof(word), &size, COHORT_FOREVER);
		if (rc == 0)
			rc = cohort_queue_put_bytes(t->back, &word, sizeof(word), COHORT_FOREVER);
	}
	return rc;
}

static int trip(const struct two *t, uint64_t number)
{
	uint64_t word = number;
	size_t size = 0;
	int rc = cohort_queue_put_bytes(t->there, &word, sizeof(word), COHORT_FOREVER);

	word = 0;
	if (rc == 0)
		rc = cohort_queue_get_into(t->back, &word, sizeof(word), &size, COHORT_FOREVER);
	return rc == 0 && word != number ? COHORT_EPROTOCOL : rc;
}

static int time_trips(const struct two *t, double *us)
{
	int64_t start;
	long i;
	int rc = trip(t, 0); /* the other side is up */

	start = bench_now();
	for (i = 1; i < t->count && rc == 0; i++)
		rc = trip(t, (uint64_t)i);
	*us = bench_since(start) * 1e6 / (double)(t->count - 1);
	return rc == 0 ? BENCH_OK : report("round trip", rc);
}

static int roundtrip(const void *load, cohort_time spin, double *us)
{
	const struct cohort_queue_options options = {.most = SLOTS, .spin = spin};
	struct two t = {.count = ((const struct bench_load *)load)->count};
	int rc = open_queue(&t.there, &options);
	pid_t pid;

	if (rc == BENCH_OK)
		rc = open_queue(&t.back, &options);
	if (rc != BENCH_OK)
		return rc;
	pid = bench_peer(echo, &t);
	bench_pin(0);
	rc = bench_finish(pid, time_trips(&t, us));
	cohort_queue_close(t.there, COHORT_NOW);
	cohort_queue_close(t.back, COHORT_NOW);
	return rc;
}

static int sleeping(const void *load, double *us)
{
	return roundtrip(load, -1, us);
}

static int spinning(const void *load, double *us)
{
	return roundtrip(load, SPIN, us);
}

/* ---- large messages ---- */

static int put_large(void *arg)
{
	const struct job *job = arg;
	uint64_t *message = bulk_new();
	int i, rc = message == NULL ? -1 : 0;

	for (i = 0; i < job->batch && rc == 0; i++) {
		message[0] = (uint64_t)i;
		rc = cohort_queue_put_bytes(job->q, message, BULK_SIZE, COHORT_FOREVER);
	}
	free(message);
	return rc == 0 ? 0 : report("put", rc);
}

static int take_large(struct cohort_queue *q, uint64_t number)
{
	struct cohort_item item;
	int good, rc = cohort_queue_take(q, &item, COHORT_FOREVER);

	if (rc != 0)
		return report("take", rc);
	good = item.size == BULK_SIZE && bulk_is(item.data, number);
	rc = cohort_queue_ack(q, &item);
	return good && rc == 0 ? BENCH_OK : report("a wrong message, or ack", rc);
}

static int large(const void *load, double *bytes_per_s)
{
	const struct cohort_queue_options options = {.most = LARGE_SLOTS};
	struct job job = {.batch = (int)((const struct bench_load *)load)->count};
	int64_t start = 0;
	pid_t pid;
	int i, rc = open_queue(&job.q, &options);

	if (rc != BENCH_OK)
		return rc;
	pid = bench_peer(put_large, &job);
	bench_pin(0);
	for (i = 0; i < job.batch && rc == BENCH_OK; i++) {
		if (i == LARGE_WARM)
			start = bench_now();
		rc = take_large(job.q, (uint64_t)i);
	}
	*bytes_per_s = (double)BULK_SIZE * (job.batch - LARGE_WARM) / bench_since(start);
	rc = bench_finish(pid, rc);
	cohort_queue_close(job.q, COHORT_NOW);
	return rc;
}

/* ---- the figures ---- */

static const struct bench_load python = {.count = 10000, .size = SMALL};
static const struct bench_load zeromq = {.count = 200000, .size = SMALL};
static const struct bench_load stream = {.count = 400000, .size = SMALL, .sides = 1};
static const struct bench_load many = {.count = 2000000, .size = SMALL, .sides = 1};
static const struct bench_load pairs = {.count = 400000, .size = SMALL, .sides = 2};
static const struct bench_load spun = {.count = 2000000, .size = SMALL};
static const struct bench_load wakes = {.count = 1000};
static const struct bench_load spins = {.count = 50000};
static const struct bench_load mib = {.count = 500};

static const struct bench_figure figures[] = {
	{
		.name = "queue.python",
		.unit = "messages/s",
		.ours = {"ours", singly, &stream},
		.peer = {"Queue", peer_python_queue, &python},
		.bar = 40,
		.rounds = 5,
	},
	{
		.name = "queue.zeromq",
		.unit = "messages/s",
		.ours = {"ours", singly, &stream},
		.peer = {"PUSH/PULL ipc", peer_zmq_ipc, &zeromq},
		.bar = 3,
	},
	{
		.name = "queue.mutexring",
		.unit = "messages/s",
		.ours = {"one a call", singly, &stream},
		.peer = {"mutex and condition variables", peer_ring_stream, &stream},
		.bar = 1,
	},
	{
		.name = "queue.mutexring_batch",
		.unit = "messages/s",
		.ours = {"many a call", in_batches, &many},
		.peer = {"mutex and condition variables", peer_ring_stream, &stream},
		.bar = 3,
	},
	{
		.name = "queue.spsc",
		.unit = "messages/s",
		.ours = {"ours", in_batches, &many},
		.peer = {"spinning ring", peer_spin_stream, &spun},
		.bar = 0.25,
		.cpus = 2,
	},
	{
		.name = "queue.pairs_2x2",
		.unit = "messages/s",
		.ours = {"2+2", singly, &pairs},
		.peer = {"1+1", singly, &stream},
		.bar = 0.5,
	},
	{
		.name = "queue.pairs_mutexring",
		.unit = "messages/s",
		.ours = {"2+2", singly, &pairs},
		.peer = {"mutex and condition variables, 2+2", peer_ring_stream, &pairs},
		.bar = 1,
	},
	{
		.name = "queue.wake",
		.unit = "us",
		.ours = {"ours", sleeping, &wakes},
		.peer = {"futex", peer_futex_roundtrip, &wakes},
		.sense = BENCH_AT_MOST,
		.bar = 1.3,
	},
	{
		.name = "queue.spin",
		.unit = "us",
		.ours = {"ours", spinning, &spins},
		.peer = {"spinning word", peer_spin_roundtrip, &spins},
		.sense = BENCH_AT_MOST,
		.bar = 3,
		.cpus = 2,
	},
	{
		.name = "queue.mib",
		.unit = "bytes/s",
		.ours = {"ours", large, &mib},
		.peer = {"one segment by hand", peer_segment_bulk, &mib},
		.bar = 0.6,
	},
	{
		.name = "queue.mib_mpi",
		.unit = "bytes/s",
		.ours = {"ours", large, &mib},
		.peer = {"Open MPI", peer_openmpi_bulk, &mib},
		.bar = 1,
		.rounds = 5,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
