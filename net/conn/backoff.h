/*
 * backoff.h - how long to wait before trying again.  Pure: no clock, no sleep, its own dice.
 *
 * Full jitter: before try N+1 a pause between 0 and min(last, first * 2^(N-1)), every length as
 * likely as the next, so that a thousand clients turned away together do not come back
 * together.
 */
#ifndef COH_CONN_BACKOFF_H
#define COH_CONN_BACKOFF_H

#include <cohort/dial.h>

/* The caller's storage, plain data; belongs to one thread at a time. */
struct coh_backoff {
	struct cohort_backoff rule;
	unsigned failed; /* tries in a row */
	uint64_t dice;
};

/*
 * Begin by RULE, whose zeros are replaced by the defaults of dial.h.  The same SEED gives the
 * same pauses.
 */
void coh_backoff_init(struct coh_backoff *b, const struct cohort_backoff *rule, uint64_t seed);

/* A try has failed: the pause before the next one (0 or more), or -1 when there is to be none. */
cohort_time coh_backoff_failed(struct coh_backoff *b);

/* A try has succeeded: the next failure is the first again. */
void coh_backoff_succeeded(struct coh_backoff *b);

#endif
