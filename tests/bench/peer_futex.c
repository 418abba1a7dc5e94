/*
 * peer_futex.c - what it costs to wake another process: a word each way, and a futex to sleep in.
 *
 * Who waits goes to sleep at once; who writes wakes without asking whether anybody sleeps, since
 * here somebody does.
 */
#include "peers.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct words {
	_Alignas(64) _Atomic uint32_t there;
	_Alignas(64) _Atomic uint32_t back;
	uint32_t count;
};

static void word_set(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void word_wait(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load(word) != value)
		syscall(SYS_futex, word, FUTEX_WAIT, value - 1, NULL, NULL, 0);
}

static int echo(void *arg)
{
	struct words *w = arg;
	uint32_t i;

	for (i = 1; i <= w->count; i++) {
		word_wait(&w->there, i);
		word_set(&w->back, i);
	}
	return 0;
}

int peer_futex_roundtrip(const void *load, double *us)
{
	struct words *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t start = 0;
	uint32_t i;
	pid_t pid;

	if (w == MAP_FAILED)
		return bench_say(BENCH_FAILED, "words: no memory");
	w->count = (uint32_t)((const struct bench_load *)load)->count;
	pid = bench_peer(echo, w);
	bench_pin(0);
	for (i = 1; pid > 0 && i <= w->count; i++) {
		word_set(&w->there, i);
		word_wait(&w->back, i);
		if (i == 1)
			start = bench_now(); /* the other side is up */
	}
	*us = bench_since(start) * 1e6 / (double)(w->count - 1);
	munmap(w, sizeof(*w));
	return pid < 0 ? BENCH_FAILED : bench_reap(pid);
}
