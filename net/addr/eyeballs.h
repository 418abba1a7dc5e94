/*
 * eyeballs.h - which of a host's addresses to try, and when (RFC 8305).  Pure.
 *
 * Families take turns, in the resolver's order within each.  An attempt that fails makes room for
 * the next at once; one that says nothing for 250 ms no longer holds the next up, but goes on
 * beside it.  Who connects first wins.  The caller has the sockets and the clock.
 */
#ifndef COH_ADDR_EYEBALLS_H
#define COH_ADDR_EYEBALLS_H

#include "addr/resolve.h"

#include <cohort/time.h>

#define COH_EYEBALLS_DELAY (250 * COHORT_MS) /* RFC 8305, 5: what is recommended */

/* The caller's storage, plain data. */
struct coh_eyeballs {
	int n;           /* addresses */
	int begun;       /* the first so many have been tried */
	cohort_time due; /* when the next one is */
};

/* Put WHERE into the order to try: families in turn, that of the first address first. */
void coh_eyeballs_order(struct coh_resolved *where);

/* Begin with N addresses, the first of them due at once. */
void coh_eyeballs_init(struct coh_eyeballs *e, int n);

/* It is NOW: the number of an address that is to be tried now, or -1.  Ask again until -1. */
int coh_eyeballs_begin(struct coh_eyeballs *e, cohort_time now);

/* An attempt has failed: the next address need not wait. */
void coh_eyeballs_failed(struct coh_eyeballs *e);

/* When to ask for the next; COHORT_FOREVER when all have been begun. */
cohort_time coh_eyeballs_next(const struct coh_eyeballs *e);

#endif
