/*
 * lookup.h - the socket addresses behind an address, without waiting for the resolver.
 *
 * getaddrinfo can be told no deadline and cannot be called off.  So a host that is a name is
 * looked up in a detached thread of its own, with all signals blocked, which is left behind when
 * nobody wants the answer any more.  Numbers, paths and "localhost" never get here: ask coh_resolve_known first.
 *
 * A lookup belongs to one thread.  In a child made by fork while one is under way only
 * coh_lookup_close works; taking fails.
 */
#ifndef COH_ADDR_LOOKUP_H
#define COH_ADDR_LOOKUP_H

#include "addr/resolve.h"

#define COH_LOOKUP_MAX 64 /* threads that wait for the resolver at once, also for nobody */

struct coh_lookup;

/*
 * Begin to look up A.  Gives *OUT; NULL on failure.
 * 0; -EAGAIN (COH_LOOKUP_MAX are under way: the resolver does not answer, or no thread is to be
 * had); -ENOMEM; -EMFILE.
 */
int coh_lookup_start(
    struct coh_lookup **out, const struct coh_address *a, struct cohort_error *err);

/* A descriptor that is readable once the answer is there; L's. */
int coh_lookup_fd(const struct coh_lookup *l);

/* The answer, without waiting: 1 and OUT, 0 when it is not there yet, or as coh_resolve. */
int coh_lookup_take(struct coh_lookup *l, struct coh_resolved *out, struct cohort_error *err);

/* The answer is wanted no more, or was taken.  NULL is fine. */
void coh_lookup_close(struct coh_lookup *l);

#endif
