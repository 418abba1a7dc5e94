/*
 * sim.c - a virtual clock with events in order, and chance from a seed.
 *
 * Chance is splitmix64: every seed, also 0 and its neighbours, gives an unrelated sequence.
 * Events are a binary heap ordered by moment, then by the order in which they were set.
 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

void sim_init(struct sim *s, uint64_t seed)
{
	*s = (struct sim){.random = seed, .trace = 0xcbf29ce484222325u};
}

void sim_fini(struct sim *s)
{
	free(s->heap);
	s->heap = NULL;
}

uint64_t sim_random(struct sim *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t sim_below(struct sim *s, uint32_t n)
{
	return (uint32_t)(((sim_random(s) >> 32) * n) >> 32);
}

int64_t sim_between(struct sim *s, int64_t low, int64_t high)
{
	return low + (int64_t)(sim_random(s) % (uint64_t)(high - low + 1));
}

int64_t sim_magnitude(struct sim *s, int64_t low, int64_t high)
{
	uint32_t doublings = 0;

	while ((high >> doublings) / 2 >= low)
		doublings++;
	low <<= sim_below(s, doublings + 1);
	return sim_between(s, low, high / 2 < low ? high : 2 * low);
}

static int event_before(const struct sim_event *x, const struct sim_event *y)
{
	return x->at < y->at || (x->at == y->at && x->order < y->order);
}

static void heap_swap(struct sim_event *h, size_t i, size_t j)
{
	struct sim_event e = h[i];

	h[i] = h[j];
	h[j] = e;
}

void sim_after(struct sim *s, int64_t in, int what, uint32_t a, uint32_t b)
{
	size_t i = s->count++;

	if (s->count > s->room) {
		s->room = s->room != 0 ? 2 * s->room : 256;
		s->heap = realloc(s->heap, s->room * sizeof *s->heap);
		if (s->heap == NULL) {
			fputs("sim: no memory\n", stderr);
			abort();
		}
	}
	s->heap[i] = (struct sim_event){s->now + in, s->order++, what, a, b};
	for (; i > 0 && event_before(&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(s->heap, i, (i - 1) / 2);
}

int sim_next(struct sim *s, struct sim_event *e)
{
	size_t i = 0, child;

	if (s->count == 0)
		return 0;
	*e = s->heap[0];
	s->heap[0] = s->heap[--s->count];
	while ((child = 2 * i + 1) < s->count) {
		if (child + 1 < s->count && event_before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!event_before(&s->heap[child], &s->heap[i]))
			break;
		heap_swap(s->heap, i, child);
		i = child;
	}
	s->now = e->at;
	return 1;
}

void sim_trace(struct sim *s, uint64_t value)
{
	s->trace = (s->trace ^ value) * 0x100000001b3u;
}

uint64_t sim_setting(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : fallback;
}
