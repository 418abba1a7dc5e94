/*
 * loglimit.h - how much may be said of strangers, who are not to fill a disk.  Pure.
 *
 * Of one source COH_LOGLIMIT_SOURCE lines a minute are said, of all COH_LOGLIMIT_ALL; what is
 * beyond is counted, and told in one line a source (and one for all others) when the minute is over:
 *
 *   if (coh_loglimit_may(&l, source, now)) say it
 *   while (coh_loglimit_next(&l, now, &sum)) say "SUM.count more of SUM.source"
 *
 * Time is what the caller says it is.  A zeroed struct is ready.  One thread at a time.
 */
#ifndef COH_TRUST_LOGLIMIT_H
#define COH_TRUST_LOGLIMIT_H

#include <cohort/time.h>
#include <stdbool.h>
#include <stdint.h>

#define COH_LOGLIMIT_MINUTE (60 * COHORT_SECOND)
#define COH_LOGLIMIT_SOURCE 10
#define COH_LOGLIMIT_ALL 100

#define COH_LOGLIMIT_OTHERS UINT64_MAX /* in a sum: of all whom no line was said of */

struct coh_loglimit_sum {
	uint64_t source;
	unsigned long count; /* of what was not said */
};

struct coh_loglimit {
	cohort_time since; /* when this minute began */
	int lines;         /* said in it */
	int known;
	struct coh_loglimit_source {
		struct coh_loglimit_sum sum;
		int lines;
	} sources[COH_LOGLIMIT_ALL]; /* those of whom a line was said */
	unsigned long others;
	bool unsaid; /* something waits to be told as a sum */
};

/* May a line be said of SOURCE?  False: it has been counted. */
bool coh_loglimit_may(struct coh_loglimit *l, uint64_t source, cohort_time now);

/* A sum to be told at NOW, in *SUM; false when there is none (more). */
bool coh_loglimit_next(struct coh_loglimit *l, cohort_time now, struct coh_loglimit_sum *sum);

/* When a sum will be there to be told; COHORT_FOREVER when nothing was left unsaid. */
cohort_time coh_loglimit_due(const struct coh_loglimit *l);

#endif
