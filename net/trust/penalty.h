/*
 * penalty.h - sources that wasted our time, and until when they stay outside.  Pure.
 *
 * Each offence adds seconds to its source's account, which runs down by itself.  Less than
 * COH_PENALTY_ENFORCED on it is forgiven; from there on the source is kept out until the account
 * is empty.  One table of fixed size remembers them, whatever comes (trust: H3).
 *
 * Time is what the caller says it is.  One thread at a time.
 */
#ifndef COH_TRUST_PENALTY_H
#define COH_TRUST_PENALTY_H

#include "trust/source.h"

#include <cohort/time.h>
#include <stddef.h>

#define COH_PENALTY_ENFORCED (15 * COHORT_SECOND)
#define COH_PENALTY_MAX (600 * COHORT_SECOND)
#define COH_PENALTY_ENTRIES 65536

enum coh_penalty_why {
	COH_PENALTY_NONE,     /* no fault of its own */
	COH_PENALTY_NOAUTH,   /* 1 s: gone before it tried to prove anything, or nobody of ours */
	COH_PENALTY_AUTHFAIL, /* 5 s: its proof was wrong, or it speaks another protocol */
	COH_PENALTY_TIMEOUT,  /* 10 s: it held its place to the end */
	COH_PENALTY_PROTOCOL, /* 90 s: it broke the protocol */
};

struct coh_penalty {
	struct coh_penalty_entry *entries; /* NULL until there is something to remember */
	struct coh_source_key key;
};

/* An empty table; KEY is copied. */
void coh_penalty_init(struct coh_penalty *p, const struct coh_source_key *key);
void coh_penalty_fini(struct coh_penalty *p);

/*
 * SOURCE did WHY.  COH_SOURCE_EXEMPT is passed over.  When its part of the table is full the account
 * that ends first is forgotten; without memory for the table nothing is remembered at all.
 */
void coh_penalty_add(
    struct coh_penalty *p, uint64_t source, enum coh_penalty_why why, cohort_time now);

/* The moment until which SOURCE is kept out; 0: it may come. */
cohort_time coh_penalty_until(const struct coh_penalty *p, uint64_t source, cohort_time now);

/* How many accounts are not empty.  Goes through the whole table: for tests. */
size_t coh_penalty_count(const struct coh_penalty *p, cohort_time now);

#endif
