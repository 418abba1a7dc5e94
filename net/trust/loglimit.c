/*
 * loglimit.c - how much may be said of strangers.
 *
 * A minute begins with the first line of it, and ends with its sums.  No more sources can have had a
 * line than there were lines, so the list of them needs no more places than that and nobody
 * is ever thrown out of it.
 *
 * Rejected: a bucket that refills by itself (its sums would have no natural moment).
 */
#include "trust/loglimit.h"

#include <stddef.h>

static bool over(const struct coh_loglimit *l, cohort_time now)
{
	return now - l->since >= COH_LOGLIMIT_MINUTE;
}

static struct coh_loglimit_source *source_find(struct coh_loglimit *l, uint64_t source)
{
	for (int i = 0; i < l->known; i++)
		if (l->sources[i].sum.source == source)
			return &l->sources[i];
	return NULL;
}

bool coh_loglimit_may(struct coh_loglimit *l, uint64_t source, cohort_time now)
{
	struct coh_loglimit_source *s;

	if (over(l, now) && !l->unsaid)
		*l = (struct coh_loglimit){.since = now};
	s = source_find(l, source);
	if (l->lines == COH_LOGLIMIT_ALL || (s != NULL && s->lines == COH_LOGLIMIT_SOURCE)) {
		*(s != NULL ? &s->sum.count : &l->others) += 1;
		l->unsaid = true;
		return false;
	}
	if (s == NULL) {
		s = &l->sources[l->known++];
		*s = (struct coh_loglimit_source){.sum = {.source = source}};
	}
	s->lines++;
	l->lines++;
	return true;
}

bool coh_loglimit_next(struct coh_loglimit *l, cohort_time now, struct coh_loglimit_sum *sum)
{
	if (!l->unsaid || !over(l, now))
		return false;
	while (l->known > 0) {
		*sum = l->sources[--l->known].sum;
		if (sum->count != 0)
			return true;
	}
	*sum = (struct coh_loglimit_sum){COH_LOGLIMIT_OTHERS, l->others};
	l->others = 0;
	l->unsaid = false;
	return sum->count != 0;
}

cohort_time coh_loglimit_due(const struct coh_loglimit *l)
{
	return l->unsaid ? l->since + COH_LOGLIMIT_MINUTE : COHORT_FOREVER;
}
