/*
 * lock.c - figures of the lock, taken by nobody else and by two processes.  What it guards is
 * a number, which must be right at the end.
 */
#include "flow.h"
#include "peers.h"

#include <cohort/sync.h>
#include <sys/mman.h>

struct guarded {
	struct cohort_lock *lock;
	int64_t *number; /* shared */
};

static void guarded_close(struct guarded *g)
{
	cohort_lock_close(g->lock);
	if (g->number != MAP_FAILED)
		munmap(g->number, sizeof(*g->number));
}

static int guarded_open(struct guarded *g)
{
	struct cohort_error err = {0};
	int rc;

	g->lock = NULL;
	g->number = mmap(NULL, sizeof(*g->number), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	rc = g->number == MAP_FAILED ? -1 : cohort_lock_open(&g->lock, "local:", NULL, &err);
	if (rc == 0)
		return BENCH_OK;
	guarded_close(g);
	return bench_say(BENCH_FAILED, "lock: %s", err.text);
}

static int add(const struct guarded *g, long count)
{
	int rc = 0;

	for (long i = 0; i < count && rc == 0; i++) {
		rc = cohort_lock_acquire(g->lock, COHORT_FOREVER);
		++*g->number;
		if (rc == 0)
			rc = cohort_lock_release(g->lock);
	}
	return rc == 0 ? 0 : bench_say(BENCH_FAILED, "lock: %s", cohort_strerror(rc));
}

static int judge(const struct guarded *g, long count, int rc)
{
	if (rc == BENCH_OK && *g->number != count)
		return bench_say(BENCH_FAILED, "lock: it did not keep others out");
	return rc;
}

static int uncontended(const void *load, double *ns)
{
	long count = ((const struct bench_load *)load)->count;
	struct guarded g;
	int64_t start;
	int rc = guarded_open(&g);

	if (rc != BENCH_OK)
		return rc;
	bench_pin(0);
	start = bench_now();
	rc = add(&g, count);
	*ns = bench_since(start) * 1e9 / (double)count;
	rc = judge(&g, count, rc);
	guarded_close(&g);
	return rc;
}

static int contend(struct flow_part *part)
{
	part->ready();
	part->sum = (uint64_t)part->count * ((uint64_t)part->count - 1) / 2; /* as flow_run wants it */
	return add(part->arg, part->count);
}

static int contended(const void *load, double *locks_per_s)
{
	struct guarded g;
	struct flow flow = {
	    .get = contend,
	    .arg = &g,
	    .getters = 2,
	    .count = ((const struct bench_load *)load)->count,
	};
	int rc = guarded_open(&g);

	if (rc != BENCH_OK)
		return rc;
	rc = judge(&g, flow.count, flow_run(&flow, locks_per_s));
	guarded_close(&g);
	return rc;
}

static const struct bench_load alone = {.count = 2000000};
static const struct bench_load two = {.count = 3000000};

static const struct bench_figure figures[] = {
	{
		.name = "lock.uncontended",
		.unit = "ns",
		.ours = {"ours", uncontended, &alone},
		.peer = {"robust pthread mutex", peer_mutex_uncontended, &alone},
		.sense = BENCH_AT_MOST,
		.bar = 1.5,
	},
	{
		.name = "lock.contended",
		.unit = "locks/s",
		.ours = {"ours", contended, &two},
		.peer = {"robust pthread mutex", peer_mutex_contended, &two},
		.bar = 1,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
