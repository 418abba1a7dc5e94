/*
 * backoff.c - full jitter (Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * The dice are SplitMix64: pauses need to differ between processes, not to be unpredictable, and a
 * seeded run can be repeated.  Rejected: half jitter, whose pauses still come in waves.
 */
#include "conn/backoff.h"

#define FIRST (100 * COHORT_MS)
#define LAST (5 * COHORT_SECOND)

void coh_backoff_init(struct coh_backoff *b, const struct cohort_backoff *rule, uint64_t seed)
{
	*b = (struct coh_backoff){.rule = *rule, .dice = seed};
	if (b->rule.first <= 0)
		b->rule.first = FIRST;
	if (b->rule.last <= 0)
		b->rule.last = LAST;
	if (b->rule.first > b->rule.last)
		b->rule.first = b->rule.last;
}

static uint64_t backoff_roll(struct coh_backoff *b)
{
	uint64_t z = b->dice += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

cohort_time coh_backoff_failed(struct coh_backoff *b)
{
	cohort_time most = b->rule.first;

	if (b->failed < UINT32_MAX)
		b->failed++;
	if (b->rule.tries != 0 && b->failed >= b->rule.tries)
		return -1;
	for (unsigned i = 1; i < b->failed && most < b->rule.last; i++)
		most = most <= b->rule.last / 2 ? 2 * most : b->rule.last;
	return most < COHORT_FOREVER ? (cohort_time)(backoff_roll(b) % ((uint64_t)most + 1)) : most;
}

void coh_backoff_succeeded(struct coh_backoff *b)
{
	b->failed = 0;
}
