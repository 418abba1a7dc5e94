/*
 * peer_ring.c - a bounded ring in shared memory under a process-shared mutex, with a condition
 * variable for each side, as one writes it by hand.
 *
 * As good as that gets: the slots are of a fixed size, only who is waited for signals, after it has
 * released the mutex (or it would be woken only to wait for the mutex), and a message fills a
 * cache line of its own.  It does not outlive a death, and does not try to.
 */
#include "flow.h"
#include "peers.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 1024 /* as many as ours has */

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t filled, freed;
	unsigned getters_wait, putters_wait;
	uint32_t head, count;
	_Alignas(64) struct flow_message slots[SLOTS];
};

static struct ring *ring_open(void)
{
	struct ring *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;

	if (r == MAP_FAILED)
		return NULL;
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&r->lock, &mutex);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&r->filled, &cond);
	pthread_cond_init(&r->freed, &cond);
	return r;
}

static void ring_put(struct ring *r, const struct flow_message *m)
{
	unsigned waiting;

	pthread_mutex_lock(&r->lock);
	while (r->count == SLOTS) {
		r->putters_wait++;
		pthread_cond_wait(&r->freed, &r->lock);
		r->putters_wait--;
	}
	memcpy(&r->slots[(r->head + r->count++) % SLOTS], m, sizeof(*m));
	waiting = r->getters_wait;
	pthread_mutex_unlock(&r->lock);
	if (waiting > 0)
		pthread_cond_signal(&r->filled);
}

static void ring_get(struct ring *r, struct flow_message *m)
{
	unsigned waiting;

	pthread_mutex_lock(&r->lock);
	while (r->count == 0) {
		r->getters_wait++;
		pthread_cond_wait(&r->filled, &r->lock);
		r->getters_wait--;
	}
	memcpy(m, &r->slots[r->head++ % SLOTS], sizeof(*m));
	r->count--;
	waiting = r->putters_wait;
	pthread_mutex_unlock(&r->lock);
	if (waiting > 0)
		pthread_cond_signal(&r->freed);
}

static int put(struct flow_part *part)
{
	struct flow_message m = {{0}};
	long i;

	part->ready();
	for (i = 0; i < part->count; i++) {
		flow_fill(&m, part->first + (uint64_t)i);
		ring_put(part->arg, &m);
	}
	return 0;
}

static int get(struct flow_part *part)
{
	struct flow_message m;
	long i;

	part->ready();
	for (i = 0; i < part->count; i++) {
		ring_get(part->arg, &m);
		part->sum += flow_number(&m);
	}
	return 0;
}

int peer_ring_stream(const void *arg, double *messages_per_s)
{
	const struct bench_load *load = arg;
	struct ring *r = ring_open();
	struct flow flow = {
	    .put = put,
	    .get = get,
	    .arg = r,
	    .putters = load->sides,
	    .getters = load->sides,
	    .count = load->count,
	};
	int rc;

	if (r == NULL)
		return bench_say(BENCH_FAILED, "ring: no memory");
	rc = flow_run(&flow, messages_per_s);
	munmap(r, sizeof(*r));
	return rc;
}
