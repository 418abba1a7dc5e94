/*
 * peer_spin.c - what two sides reach that never sleep, each on a CPU of its own: a ring of one
 * producer and one consumer, and a word handed to and fro.
 *
 * Each side of the ring keeps the other's index as it last saw it, and looks again only when that
 * says full or empty: most messages then move no line but their own.
 */
#include "flow.h"
#include "peers.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 1024

#ifdef __x86_64__
#define pause_cpu() __builtin_ia32_pause()
#else
#define pause_cpu() atomic_signal_fence(memory_order_seq_cst)
#endif

struct ring {
	_Alignas(64) _Atomic uint64_t tail;
	uint64_t head_seen;
	_Alignas(64) _Atomic uint64_t head;
	uint64_t tail_seen;
	_Alignas(64) struct flow_message slots[SLOTS];
};

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void ring_put(struct ring *r, const struct flow_message *m)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	while (tail - r->head_seen == SLOTS) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail - r->head_seen == SLOTS)
			pause_cpu();
	}
	memcpy(&r->slots[tail % SLOTS], m, sizeof(*m));
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

static void ring_get(struct ring *r, struct flow_message *m)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	while (head == r->tail_seen) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head == r->tail_seen)
			pause_cpu();
	}
	memcpy(m, &r->slots[head % SLOTS], sizeof(*m));
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
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

int peer_spin_stream(const void *arg, double *messages_per_s)
{
	struct ring *r = map(sizeof(*r));
	struct flow flow = {
	    .put = put,
	    .get = get,
	    .arg = r,
	    .putters = 1,
	    .getters = 1,
	    .count = ((const struct bench_load *)arg)->count,
	};
	int rc;

	if (r == NULL)
		return bench_say(BENCH_FAILED, "ring: no memory");
	rc = flow_run(&flow, messages_per_s);
	munmap(r, sizeof(*r));
	return rc;
}

/* ---- one word each way ---- */

struct words {
	_Alignas(64) _Atomic uint64_t there;
	_Alignas(64) _Atomic uint64_t back;
	long count;
};

static void word_wait(_Atomic uint64_t *word, uint64_t value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		pause_cpu();
}

static int echo(void *arg)
{
	struct words *w = arg;
	uint64_t i;

	for (i = 1; i <= (uint64_t)w->count; i++) {
		word_wait(&w->there, i);
		atomic_store_explicit(&w->back, i, memory_order_release);
	}
	return 0;
}

int peer_spin_roundtrip(const void *load, double *us)
{
	struct words *w = map(sizeof(*w));
	int64_t start = 0;
	uint64_t i;
	pid_t pid;

	if (w == NULL)
		return bench_say(BENCH_FAILED, "words: no memory");
	w->count = ((const struct bench_load *)load)->count;
	pid = bench_peer(echo, w);
	bench_pin(0);
	for (i = 1; pid > 0 && i <= (uint64_t)w->count; i++) {
		atomic_store_explicit(&w->there, i, memory_order_release);
		word_wait(&w->back, i);
		if (i == 1)
			start = bench_now(); /* the other side is up */
	}
	*us = bench_since(start) * 1e6 / (double)(w->count - 1);
	munmap(w, sizeof(*w));
	return pid < 0 ? BENCH_FAILED : bench_reap(pid);
}
