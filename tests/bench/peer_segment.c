/*
 * peer_segment.c - messages of 1 MiB by hand: one segment that both have mapped, used again and
 * again.  The message is copied in, a word says so, it is read where it lies, and another word
 * says that it may be overwritten.
 *
 * Who waits spins where the other has a CPU of its own, for longer than a copy takes, and then
 * sleeps in a futex; on one CPU it sleeps at once.  The other wakes only who sleeps.
 */
#include "bulk.h"
#include "peers.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPIN_NS 500000 /* a copy takes some 100 us */

struct word {
	_Alignas(64) _Atomic uint32_t value;
	_Atomic uint32_t asleep;
};

struct segment {
	struct word filled, freed;
	uint32_t count;
	_Alignas(4096) uint64_t message[BULK_SIZE / sizeof(uint64_t)];
};

static void word_set(struct word *w, uint32_t value)
{
	atomic_store(&w->value, value);
	if (atomic_load(&w->asleep) != 0)
		syscall(SYS_futex, &w->value, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void word_wait(struct word *w, uint32_t value)
{
	int64_t start = bench_now();
	bool spin = bench_cpus() > 1;

	while (atomic_load(&w->value) != value) {
		if (spin) {
			spin = bench_now() - start < SPIN_NS;
			continue;
		}
		atomic_store(&w->asleep, 1);
		syscall(SYS_futex, &w->value, FUTEX_WAIT, value - 1, NULL, NULL, 0);
		atomic_store(&w->asleep, 0);
	}
}

static int reader(void *arg)
{
	struct segment *s = arg;

	for (uint32_t i = 1; i <= s->count; i++) {
		word_wait(&s->filled, i);
		if (!bulk_is(s->message, i))
			return bench_say(BENCH_FAILED, "segment: a wrong message");
		word_set(&s->freed, i);
	}
	return 0;
}

int peer_segment_bulk(const void *load, double *bytes_per_s)
{
	struct segment *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t *message = bulk_new();
	int64_t start = 0;
	uint32_t i;
	pid_t pid;

	if (s == MAP_FAILED || message == NULL)
		return bench_say(BENCH_FAILED, "segment: no memory");
	s->count = (uint32_t)((const struct bench_load *)load)->count;
	pid = bench_peer(reader, s);
	bench_pin(0);
	for (i = 1; pid > 0 && i <= s->count; i++) {
		message[0] = i;
		memcpy(s->message, message, BULK_SIZE);
		word_set(&s->filled, i);
		word_wait(&s->freed, i);
		if (i == 1)
			start = bench_now(); /* the other side is up, and the pages are there */
	}
	*bytes_per_s = (double)BULK_SIZE * (s->count - 1) / bench_since(start);
	free(message);
	munmap(s, sizeof(*s));
	return pid < 0 ? BENCH_FAILED : bench_reap(pid);
}
