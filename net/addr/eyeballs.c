/*
 * eyeballs.c - the order and the pace of attempts at one host.
 */
#include "addr/eyeballs.h"

void coh_eyeballs_order(struct coh_resolved *where)
{
	bool used[COH_RESOLVE_MAX] = {false};
	struct coh_resolved in;
	int at;

	if (where->n < 2)
		return;
	in = *where;
	for (int i = 0; i < in.n; i++) {
		int other = -1,
		    first = -1; /* the first unused of another family than the last; of any */

		for (at = in.n - 1; at >= 0; at--) {
			if (used[at])
				continue;
			first = at;
			if (i == 0 || in.at[at].sa.ss_family != where->at[i - 1].sa.ss_family)
				other = at;
		}
		at = other >= 0 ? other : first;
		used[at] = true;
		where->at[i] = in.at[at];
	}
}

void coh_eyeballs_init(struct coh_eyeballs *e, int n)
{
	*e = (struct coh_eyeballs){.n = n};
}

int coh_eyeballs_begin(struct coh_eyeballs *e, cohort_time now)
{
	if (e->begun == e->n || now < e->due)
		return -1;
	e->due = now + COH_EYEBALLS_DELAY;
	return e->begun++;
}

void coh_eyeballs_failed(struct coh_eyeballs *e)
{
	e->due = COHORT_NOW;
}

cohort_time coh_eyeballs_next(const struct coh_eyeballs *e)
{
	return e->begun < e->n ? e->due : COHORT_FOREVER;
}
