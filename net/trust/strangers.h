/*
 * strangers.h - who may wait to prove the key, and who has to go for whom.  Pure.
 *
 * A listener asks here about each newcomer, and tells of each stranger that it spoke or left.
 * What is promised to the honest, who say a good hello at once: they are never driven out by those
 * who say nothing, however many these are; and only a crowd that speaks well, and so fast that
 * nobody has been here for a second, gets a newcomer sent away.
 *
 *   newcomer -> COH_STRANGERS_ADMIT      enter it; when there is a victim, that one yields first
 *            -> COH_STRANGERS_BUSY       no place: all who are here have a better right to it
 *            -> COH_STRANGERS_SOURCE     as many as may be are here from its source
 *            -> COH_STRANGERS_PENALTY    its source is kept out (penalty.h)
 *
 * Time is what the caller says it is, and chance comes from a seed.  One thread at a time.
 */
#ifndef COH_TRUST_STRANGERS_H
#define COH_TRUST_STRANGERS_H

#include "trust/penalty.h"

#include <stdbool.h>
#include <sys/queue.h>

/*
 * From START strangers on a newcomer drives out a silent one in PERCENT of the cases, rising to all of
 * them at FULL, which is never exceeded.
 */
struct coh_strangers_limits {
	cohort_time patience; /* from entering to the end of the handshake; no byte prolongs it */
	int start, percent, full;
	int per_source;
};

#define COH_STRANGERS_LIMITS                                                               \
	((struct coh_strangers_limits){.patience = 5 * COHORT_SECOND,                      \
	    .start = 100,                                                                  \
	    .percent = 30,                                                                 \
	    .full = 1000,                                                                  \
	    .per_source = 64})

#define COH_STRANGERS_SETTLED COHORT_SECOND /* younger than this, one who has spoken stays */
#define COH_STRANGERS_BUCKETS 256

/* A stranger; the caller's storage, from enter to leave.  Read it as you like. */
struct coh_stranger {
	TAILQ_ENTRY(coh_stranger) by_age, by_silence;
	LIST_ENTRY(coh_stranger) by_source;
	uint64_t source;
	cohort_time since;
	bool spoke; /* a good hello */
};

TAILQ_HEAD(coh_stranger_queue, coh_stranger);

struct coh_strangers {
	struct coh_strangers_limits limits;
	struct coh_stranger_queue all, silent; /* the oldest first */
	LIST_HEAD(, coh_stranger) sources[COH_STRANGERS_BUCKETS];
	struct coh_penalty penalty;
	struct coh_source_key key;
	uint64_t chance;
	int count;
};

enum coh_strangers_verdict {
	COH_STRANGERS_ADMIT,
	COH_STRANGERS_BUSY,
	COH_STRANGERS_SOURCE,
	COH_STRANGERS_PENALTY,
};

/* Nobody yet.  KEY (copied) also seeds chance.  Fini when all have left. */
void coh_strangers_init(struct coh_strangers *s, const struct coh_strangers_limits *limits,
    const struct coh_source_key *key);
void coh_strangers_fini(struct coh_strangers *s);

/*
 * May one from SOURCE come in?  *VICTIM is who has to yield for it, or NULL.  Hear the victim once more
 * before: if it has spoken after all, ask again.
 */
enum coh_strangers_verdict coh_strangers_judge(struct coh_strangers *s, uint64_t source,
    cohort_time now, struct coh_stranger **victim);

/*
 * Until when every newcomer would be sent away as BUSY if nobody leaves; 0: not so now.  To leave them in
 * their queue so long is better: in a rush of honest callers somebody leaves soon.
 */
cohort_time coh_strangers_busy(const struct coh_strangers *s, cohort_time now);

/* Somebody to let go of when a resource is short: the oldest of the silent, or NULL. */
struct coh_stranger *coh_strangers_spare(const struct coh_strangers *s);

/* ST, from SOURCE, has come in (after ADMIT, and after the victim yielded). */
void coh_strangers_enter(
    struct coh_strangers *s, struct coh_stranger *st, uint64_t source, cohort_time now);

/* ST has said a good hello.  Saying so again changes nothing. */
void coh_strangers_spoke(struct coh_strangers *s, struct coh_stranger *st);

/* ST leaves; WHY goes on the account of its source. */
void coh_strangers_leave(struct coh_strangers *s, struct coh_stranger *st,
    enum coh_penalty_why why, cohort_time now);

/* ST, a victim, leaves for somebody else: on its account if it had a second and said nothing. */
void coh_strangers_yield(struct coh_strangers *s, struct coh_stranger *st, cohort_time now);

/* The next whose time is up, and that moment; NULL and COHORT_FOREVER when nobody is here. */
struct coh_stranger *coh_strangers_due(const struct coh_strangers *s, cohort_time *when);

#endif
