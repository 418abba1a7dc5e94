/*
 * strangers.c - who may wait to prove the key, and who has to go for whom.
 *
 * A newcomer is always worth more than the oldest who said nothing: an honest peer speaks at once.
 * So early drop, which OpenSSH (MaxStartups 100:30:1000) turns against newcomers, is turned against
 * the silent here, and it is the oldest of them that goes.  Among those who spoke, one
 * who has been here for a second or more has had its two round trips.
 *
 * Strangers hang in a few queues and in buckets by source; the storage is the caller's and
 * nothing is allocated, so nothing here can fail.  To count a source its bucket is walked: it holds
 * at most as many as one source may have, and what chance adds.
 */
#include "trust/strangers.h"

#include "base/object.h"

#include <string.h>

void coh_strangers_init(struct coh_strangers *s, const struct coh_strangers_limits *limits,
    const struct coh_source_key *key)
{
	memset(s, 0, sizeof *s);
	s->limits = *limits;
	s->key = *key;
	s->chance = key->k0 ^ key->k1;
	coh_penalty_init(&s->penalty, key);
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->silent);
}

void coh_strangers_fini(struct coh_strangers *s)
{
	COH_ASSERT(s->count == 0);
	coh_penalty_fini(&s->penalty);
}

/* True in PERCENT of the cases (splitmix64). */
static bool by_chance(struct coh_strangers *s, int percent)
{
	uint64_t z = s->chance += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (int)(z % 100) < percent;
}

/* Does a newcomer drive out a silent stranger though there is room yet? */
static bool early_drop(struct coh_strangers *s)
{
	const struct coh_strangers_limits *l = &s->limits;

	return s->count >= l->start &&
	    by_chance(s, l->percent + (100 - l->percent) * (s->count - l->start) / (l->full - l->start));
}

static bool settled(const struct coh_stranger *st, cohort_time now)
{
	return now - st->since > COH_STRANGERS_SETTLED;
}

/* How many are here from SOURCE, and the oldest of those who said nothing. */
static int source_count(
    const struct coh_strangers *s, uint64_t source, struct coh_stranger **silent)
{
	struct coh_stranger *st;
	int n = 0;

	*silent = NULL;
	LIST_FOREACH(st, &s->sources[coh_source_hash(&s->key, source) % COH_STRANGERS_BUCKETS],
	    by_source) {
		if (st->source != source)
			continue;
		n++;
		if (!st->spoke)
			*silent = st; /* newcomers are put at the head: the last is the oldest */
	}
	return n;
}

struct coh_stranger *coh_strangers_spare(const struct coh_strangers *s)
{
	return TAILQ_FIRST(&s->silent);
}

cohort_time coh_strangers_busy(const struct coh_strangers *s, cohort_time now)
{
	const struct coh_stranger *oldest = TAILQ_FIRST(&s->all);

	if (s->count < s->limits.full || oldest == NULL || coh_strangers_spare(s) != NULL ||
	    settled(oldest, now))
		return 0;
	return oldest->since + COH_STRANGERS_SETTLED + 1;
}

/* A newcomer of a source that has all it may have: one of its own makes room, or nobody. */
static enum coh_strangers_verdict judge_own(
    struct coh_stranger *silent, cohort_time now, struct coh_stranger **victim)
{
	if (silent == NULL || !settled(silent, now))
		return COH_STRANGERS_SOURCE;
	*victim = silent;
	return COH_STRANGERS_ADMIT;
}

enum coh_strangers_verdict coh_strangers_judge(struct coh_strangers *s, uint64_t source,
    cohort_time now, struct coh_stranger **victim)
{
	struct coh_stranger *silent, *oldest = TAILQ_FIRST(&s->all);

	*victim = NULL;
	if (coh_penalty_until(&s->penalty, source, now) != 0)
		return COH_STRANGERS_PENALTY;
	if (source != COH_SOURCE_EXEMPT && source_count(s, source, &silent) >= s->limits.per_source)
		return judge_own(silent, now, victim);
	silent = coh_strangers_spare(s);
	if (s->count < s->limits.full) {
		*victim = early_drop(s) ? silent : NULL;
		return COH_STRANGERS_ADMIT;
	}
	if (silent != NULL)
		*victim = silent;
	else if (oldest != NULL && settled(oldest, now))
		*victim = oldest;
	return *victim != NULL ? COH_STRANGERS_ADMIT : COH_STRANGERS_BUSY;
}

void coh_strangers_enter(
    struct coh_strangers *s, struct coh_stranger *st, uint64_t source, cohort_time now)
{
	COH_ASSERT(s->count < s->limits.full);
	*st = (struct coh_stranger){.source = source, .since = now};
	TAILQ_INSERT_TAIL(&s->all, st, by_age);
	TAILQ_INSERT_TAIL(&s->silent, st, by_silence);
	LIST_INSERT_HEAD(&s->sources[coh_source_hash(&s->key, source) % COH_STRANGERS_BUCKETS], st,
	    by_source);
	s->count++;
}

void coh_strangers_spoke(struct coh_strangers *s, struct coh_stranger *st)
{
	if (st->spoke)
		return;
	st->spoke = true;
	TAILQ_REMOVE(&s->silent, st, by_silence);
}

void coh_strangers_yield(struct coh_strangers *s, struct coh_stranger *st, cohort_time now)
{
	coh_strangers_leave(
	    s, st, !st->spoke && settled(st, now) ? COH_PENALTY_NOAUTH : COH_PENALTY_NONE, now);
}

void coh_strangers_leave(struct coh_strangers *s, struct coh_stranger *st,
    enum coh_penalty_why why, cohort_time now)
{
	coh_strangers_spoke(s, st);
	TAILQ_REMOVE(&s->all, st, by_age);
	LIST_REMOVE(st, by_source);
	s->count--;
	coh_penalty_add(&s->penalty, st->source, why, now);
}

struct coh_stranger *coh_strangers_due(const struct coh_strangers *s, cohort_time *when)
{
	struct coh_stranger *st = TAILQ_FIRST(&s->all);

	*when = st != NULL ? st->since + s->limits.patience : COHORT_FOREVER;
	return st;
}
