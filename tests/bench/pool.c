/*
 * pool.c - figures of the pool: no-op tasks a second, here and on a node, and one at a time.
 *
 * All of it is what a user writes: a task from int to int by tpl, imap_unordered over a
 * million of them, apply for one.  Opening the pool, and a first thousand tasks until its
 * workers are up and measured, are left out, as they are for every peer.
 */
#include "peers.h"

#include <cohort/pool.h>
#include <cohort/process.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM 1000
#define PATIENCE (20 * COHORT_SECOND)

static int no_op(struct cohort_call *call)
{
	int32_t x;

	cohort_call_args(call, &x);
	return cohort_call_result(call, &x);
}
COHORT_TASK(no_op, "i", "i");

/* The worker that runs it goes to a CPU. */
static int settle(struct cohort_call *call)
{
	cpu_set_t set;
	int32_t cpu, rc;

	cohort_call_args(call, &cpu);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	rc = sched_setaffinity(0, sizeof(set), &set);
	return cohort_call_result(call, &rc);
}
COHORT_TASK(settle, "i", "i");

struct input {
	int32_t next, end;
};

static int next_input(struct cohort_message *args, void *arg)
{
	struct input *in = arg;

	if (in->next == in->end)
		return COHORT_EOF;
	in->next++;
	return cohort_message_pack(args, 0, &in->next);
}

static int fail(struct cohort_error *err, const char *text)
{
	snprintf(err->text, sizeof(err->text), "%s", text);
	return -1;
}

/* Run COUNT tasks and add up their results. */
static int run_tasks(struct cohort_pool *p, long count, struct cohort_error *err)
{
	struct input in = {0, (int32_t)count};
	struct cohort_imap imap = {.input = next_input, .arg = &in};
	struct cohort_future *f;
	struct cohort_iter *it;
	int64_t sum = 0;
	int32_t value = 0;
	int rc, got;

	rc = cohort_pool_imap(p, &it, "no_op", &imap, err);
	if (rc != 0)
		return rc;
	while ((got = cohort_iter_next(it, &f, cohort_in(PATIENCE))) == 1) {
		if (rc == 0)
			rc = cohort_future_get(f, COHORT_NOW, err, &value);
		sum += value;
		cohort_future_free(f);
	}
	cohort_iter_free(it);
	if (rc != 0)
		return rc;
	if (got != 0)
		return fail(err, cohort_strerror(got));
	return sum == (int64_t)count * (count + 1) / 2 ? 0 : fail(err, "wrong results");
}

static int time_tasks(struct cohort_pool *p, long count, double *tasks_per_s)
{
	struct cohort_error err;
	int64_t start;
	int rc = run_tasks(p, WARM, &err);

	start = bench_now();
	if (rc == 0)
		rc = run_tasks(p, count, &err);
	*tasks_per_s = (double)count / bench_since(start);
	cohort_pool_free(p);
	return rc == 0 ? BENCH_OK : bench_say(BENCH_FAILED, "pool: %s", err.text);
}

static struct cohort_pool *open_pool(const char *address, const char *key_file)
{
	struct cohort_pool_options options = {.key_file = key_file};
	struct cohort_error err;
	struct cohort_pool *p;

	if (cohort_pool_open(&p, address, &options, &err) == 0)
		return p;
	bench_say(BENCH_FAILED, "pool %s: %s", address, err.text);
	return NULL;
}

static int local_rate(const void *load, double *tasks_per_s)
{
	struct cohort_pool *p = open_pool("local:2", NULL);

	if (p == NULL)
		return BENCH_FAILED;
	return time_tasks(p, ((const struct bench_load *)load)->count, tasks_per_s);
}

/* ---- one at a time ---- */

static int time_singly(struct cohort_pool *p, double *us, long count, struct cohort_error *err)
{
	int32_t in, out;
	int64_t start;
	long i;
	int rc;

	for (i = 0; i < count; i++) {
		in = (int32_t)i;
		start = bench_now();
		rc = cohort_pool_apply(p, COHORT_FOREVER, err, "no_op", &in, &out);
		if (rc != 0)
			return rc;
		us[i] = bench_since(start) * 1e6;
		if (out != in)
			return fail(err, "a wrong result");
	}
	return 0;
}

static int local_latency(const void *load, double *us)
{
	long count = ((const struct bench_load *)load)->count;
	double *each = calloc((size_t)count, sizeof(*each));
	struct cohort_error err = {0};
	struct cohort_pool *p;
	int32_t cpu = bench_cpu(1), failed;
	int rc;

	bench_pin(0); /* first: the library's thread then stays on this side too */
	p = open_pool("local:1", NULL);
	if (p == NULL || each == NULL)
		return BENCH_FAILED;
	rc = cohort_pool_apply(p, cohort_in(PATIENCE), &err, "settle", &cpu, &failed);
	if (rc == 0)
		rc = time_singly(p, each, count, &err);
	*us = bench_median(each, (int)count);
	cohort_pool_free(p);
	free(each);
	return rc == 0 && failed == 0 ? BENCH_OK : bench_say(BENCH_FAILED, "pool: %s", err.text);
}

/* ---- on a node agent ---- */

struct node {
	char folder[64], key[96], port[96];
	char address[128];
	pid_t pid;
};

static int wait_exit(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		;
	return status;
}

/* `cohort ARGV...`; dies with this process. */
static pid_t cohort_start(char *const argv[])
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execv(BENCH_COHORT, argv);
	_exit(127);
}

/* Until the agent has written the address it is bound to. */
static int node_wait(struct node *n)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int64_t start = bench_now();
	FILE *file;

	while (bench_since(start) < 5) {
		file = fopen(n->port, "r");
		if (file != NULL) {
			if (fgets(n->address, sizeof(n->address), file) == NULL)
				n->address[0] = '\0';
			fclose(file);
			n->address[strcspn(n->address, "\n")] = '\0';
			if (n->address[0] != '\0')
				return BENCH_OK;
		}
		nanosleep(&pause, NULL);
	}
	return bench_say(BENCH_FAILED, "cohort node: does not say its address");
}

static int node_open(struct node *n)
{
	char name[] = "cohort", keygen[] = "keygen", serve[] = "node", slots[] = "--slots=2";
	char listen[] = "--listen=tcp://127.0.0.1:0", key[128], port[128];
	char *make_key[] = {name, keygen, n->key, NULL};
	char *run[] = {name, serve, listen, slots, key, port, NULL};

	strcpy(n->folder, "/tmp/cohort-bench-XXXXXX");
	if (mkdtemp(n->folder) == NULL)
		return BENCH_FAILED;
	snprintf(n->key, sizeof(n->key), "%s/key", n->folder);
	snprintf(n->port, sizeof(n->port), "%s/port", n->folder);
	snprintf(key, sizeof(key), "--key=%s", n->key);
	snprintf(port, sizeof(port), "--port-file=%s", n->port);
	if (wait_exit(cohort_start(make_key)) != 0)
		return bench_say(BENCH_FAILED, "cohort keygen: failed");
	n->pid = cohort_start(run);
	return node_wait(n);
}

static void node_close(struct node *n)
{
	if (n->pid > 0) {
		kill(n->pid, SIGTERM);
		wait_exit(n->pid);
	}
	unlink(n->key);
	unlink(n->port);
	rmdir(n->folder);
}

static int node_rate(const void *load, double *tasks_per_s)
{
	long count = ((const struct bench_load *)load)->count;
	struct node n = {.pid = 0};
	struct cohort_pool *p = NULL;
	int rc = node_open(&n);

	if (rc == BENCH_OK)
		p = open_pool(n.address, n.key);
	rc = p == NULL ? BENCH_FAILED : time_tasks(p, count, tasks_per_s);
	node_close(&n);
	return rc;
}

static const struct bench_load many = {.count = 1000000};
static const struct bench_load hundred_thousand = {.count = 100000};
static const struct bench_load single = {.count = 10000};

static const struct bench_figure figures[] = {
	{
		.name = "pool.python",
		.unit = "tasks/s",
		.ours = {"local:2", local_rate, &many},
		.peer = {"Pool(2)", peer_python_pool, &hundred_thousand},
		.bar = 8,
		.rounds = 5,
	},
	{
		.name = "pool.forkpool",
		.unit = "tasks/s",
		.ours = {"local:2", local_rate, &many},
		.peer = {"hand-written pool", peer_forkpool_rate, &many},
		.bar = 0.25,
	},
	{
		.name = "pool.gearman",
		.unit = "tasks/s",
		.ours = {"one node", node_rate, &many},
		.peer = {"gearmand", peer_gearman_rate, &hundred_thousand},
		.bar = 10,
	},
	{
		.name = "pool.latency",
		.unit = "us",
		.ours = {"local:1", local_latency, &single},
		.peer = {"hand-written worker", peer_forkpool_latency, &single},
		.sense = BENCH_AT_MOST,
		.bar = 1.5,
	},
};

int main(int argc, char **argv)
{
	struct cohort_error err;

	if (cohort_init(&argc, &argv, &err) != 0)
		return bench_say(2, "%s", err.text);
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
