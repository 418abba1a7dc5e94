/*
 * flow.c - runs the processes of a flow, and adds up what they got.
 */
#include "flow.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the processes share. */
struct gate {
	_Atomic uint32_t there, open;
	struct {
		uint64_t sum;
		int64_t end;
	} parts[FLOW_MAX];
};

struct start {
	const struct flow *flow;
	struct gate *gate;
	int index; /* putters first */
};

/* Those who run, as their parent sees them. */
struct crew {
	int n;
	pid_t pids[FLOW_MAX];
	struct pollfd ends[FLOW_MAX];
};

static struct gate *gate_here; /* a process has one part */

static void gate_wait(void)
{
	atomic_fetch_add(&gate_here->there, 1);
	while (atomic_load(&gate_here->open) == 0)
		syscall(SYS_futex, &gate_here->open, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void gate_open(struct gate *g)
{
	atomic_store(&g->open, 1);
	syscall(SYS_futex, &g->open, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int part_run(void *arg)
{
	const struct start *s = arg;
	const struct flow *f = s->flow;
	int putter = s->index < f->putters;
	int among = putter ? s->index : s->index - f->putters;
	struct flow_part part = {
	    .arg = f->arg,
	    .index = among,
	    .count = f->count / (putter ? f->putters : f->getters),
	    .ready = gate_wait,
	};
	int rc;

	gate_here = s->gate;
	part.first = putter ? (uint64_t)among * (uint64_t)part.count : 0;
	if (f->placing == FLOW_ANYWHERE)
		bench_unpin();
	else
		bench_pin(f->placing == FLOW_FIRST ? 0 : putter ? among : among + 1);
	rc = (putter ? f->put : f->get)(&part);
	s->gate->parts[s->index].sum = part.sum;
	s->gate->parts[s->index].end = bench_now();
	return rc;
}

static int crew_start(struct crew *c, struct start *s)
{
	int i;

	c->n = 0;
	for (i = 0; i < s->flow->putters + s->flow->getters; i++) {
		s->index = i;
		c->pids[i] = bench_peer(part_run, s);
		if (c->pids[i] < 0)
			return BENCH_FAILED;
		c->ends[i].fd = (int)syscall(SYS_pidfd_open, c->pids[i], 0);
		c->ends[i].events = POLLIN;
		c->n++;
	}
	return BENCH_OK;
}

/* Until all are at the gate; one who ends before has failed. */
static int crew_gather(struct crew *c, const struct gate *g)
{
	while (atomic_load(&g->there) < (uint32_t)c->n)
		if (poll(c->ends, (nfds_t)c->n, 1) != 0)
			return bench_say(BENCH_FAILED, "a side ended before it began");
	return BENCH_OK;
}

/* Until each has ended; when one fails, the others, who may wait for it, are killed. */
static int crew_reap(struct crew *c, int rc)
{
	int left, i, status;

	for (left = c->n; left > 0;) {
		for (i = 0; rc != BENCH_OK && i < c->n; i++)
			if (c->pids[i] > 0)
				kill(c->pids[i], SIGKILL);
		poll(c->ends, (nfds_t)c->n, -1);
		for (i = 0; i < c->n; i++) {
			if (c->pids[i] <= 0 || waitpid(c->pids[i], &status, WNOHANG) != c->pids[i])
				continue;
			c->pids[i] = 0;
			close(c->ends[i].fd);
			c->ends[i].fd = -1; /* poll passes it over */
			left--;
			if (status != 0 && rc == BENCH_OK)
				rc = bench_say(BENCH_FAILED, "a side ended with status %#x", status);
		}
	}
	return rc;
}

/* What the getters must have added up. */
static uint64_t expected(const struct flow *f)
{
	uint64_t each = (uint64_t)(f->putters > 0 ? f->count : f->count / f->getters);
	uint64_t times = f->putters > 0 ? 1 : (uint64_t)f->getters;

	return each * (each - 1) / 2 * times;
}

static int judge(const struct flow *f, const struct gate *g, int64_t start, double *messages_per_s)
{
	uint64_t sum = 0;
	int64_t end = start;
	int i;

	for (i = 0; i < f->putters + f->getters; i++) {
		sum += g->parts[i].sum;
		if (g->parts[i].end > end)
			end = g->parts[i].end;
	}
	*messages_per_s = (double)f->count * 1e9 / (double)(end - start);
	if (sum == expected(f))
		return BENCH_OK;
	return bench_say(BENCH_FAILED, "messages were lost, doubled or torn");
}

int flow_run(const struct flow *flow, double *messages_per_s)
{
	struct gate *g = mmap(NULL, sizeof(*g), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct start s = {.flow = flow, .gate = g};
	struct crew crew;
	int64_t start;
	int rc;

	if (g == MAP_FAILED || flow->putters + flow->getters > FLOW_MAX)
		return bench_say(BENCH_FAILED, "flow: no memory, or too many sides");
	rc = crew_start(&crew, &s);
	if (rc == BENCH_OK)
		rc = crew_gather(&crew, g);
	start = bench_now();
	gate_open(g);
	rc = crew_reap(&crew, rc);
	if (rc == BENCH_OK)
		rc = judge(flow, g, start, messages_per_s);
	munmap(g, sizeof(*g));
	return rc;
}
