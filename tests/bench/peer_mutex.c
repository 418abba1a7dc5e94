/*
 * peer_mutex.c - pthread_mutex_t, process-shared and robust, which is what a lock must be that
 * outlives its holder; and an atomic add.  Each guards or is a number, which must be right at the end.
 */
#include "flow.h"
#include "peers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

struct guarded {
	pthread_mutex_t lock;
	_Alignas(64) int64_t number;
};

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct guarded *guarded_open(void)
{
	struct guarded *g = map(sizeof(*g));
	pthread_mutexattr_t attributes;

	if (g == NULL)
		return NULL;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&g->lock, &attributes);
	return g;
}

static int add(struct guarded *g, long count)
{
	int rc = 0;

	for (long i = 0; i < count && rc == 0; i++) {
		rc = pthread_mutex_lock(&g->lock);
		g->number++;
		if (rc == 0)
			rc = pthread_mutex_unlock(&g->lock);
	}
	return rc;
}

int peer_mutex_uncontended(const void *load, double *ns)
{
	long count = ((const struct bench_load *)load)->count;
	struct guarded *g = guarded_open();
	int64_t start = bench_now(), number;
	int rc;

	if (g == NULL)
		return BENCH_FAILED;
	bench_pin(0);
	rc = add(g, count);
	*ns = bench_since(start) * 1e9 / (double)count;
	number = g->number;
	munmap(g, sizeof(*g));
	return rc == 0 && number == count ? BENCH_OK : BENCH_FAILED;
}

static int contend(struct flow_part *part)
{
	part->ready();
	part->sum = (uint64_t)part->count * ((uint64_t)part->count - 1) / 2; /* as flow_run wants it */
	return add(part->arg, part->count);
}

int peer_mutex_contended(const void *load, double *locks_per_s)
{
	struct guarded *g = guarded_open();
	struct flow flow = {
	    .get = contend,
	    .arg = g,
	    .getters = 2,
	    .count = ((const struct bench_load *)load)->count,
	};
	int64_t number;
	int rc;

	if (g == NULL)
		return BENCH_FAILED;
	rc = flow_run(&flow, locks_per_s);
	number = g->number;
	munmap(g, sizeof(*g));
	return rc == BENCH_OK && number == flow.count ? BENCH_OK : BENCH_FAILED;
}

int peer_atomic_add(const void *load, double *ns)
{
	long count = ((const struct bench_load *)load)->count;
	struct shared {
		_Atomic int64_t number;
	} *s = map(sizeof(*s));
	int64_t start = bench_now(), sum;
	long i;

	if (s == NULL)
		return BENCH_FAILED;
	bench_pin(0);
	for (i = 0; i < count; i++)
		atomic_fetch_add(&s->number, 1);
	*ns = bench_since(start) * 1e9 / (double)count;
	sum = atomic_load(&s->number);
	munmap(s, sizeof(*s));
	return sum == count ? BENCH_OK : BENCH_FAILED;
}
