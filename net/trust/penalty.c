/*
 * penalty.c - sources that wasted our time, and until when they stay outside.
 *
 * The table is made of sets of eight entries; a source belongs to one set, by a keyed hash, and to
 * any entry of it.  So every operation looks at eight neighbours, nothing is ever moved or swept
 * (an entry whose time is past is free), and its size is fixed.  Half a million sources at once
 * push out each other's small accounts; a large one, being the last to end, stays.
 *
 * The amounts, the threshold and the limit are those of OpenSSH's PerSourcePenalties.
 *
 * Rejected: a hash map with a heap by expiry (four times the code to forget more fairly).
 */
#include "trust/penalty.h"

#include "base/mem.h"

#include <stdbool.h>

#define WAYS 8
#define SETS (COH_PENALTY_ENTRIES / WAYS)

_Static_assert((SETS & (SETS - 1)) == 0, "a hash is cut to its low bits");

struct coh_penalty_entry {
	uint64_t source;
	cohort_time until; /* when the account is empty */
	bool enforced;
};

static const cohort_time amounts[] = {
    [COH_PENALTY_NONE] = 0,
    [COH_PENALTY_NOAUTH] = 1 * COHORT_SECOND,
    [COH_PENALTY_AUTHFAIL] = 5 * COHORT_SECOND,
    [COH_PENALTY_TIMEOUT] = 10 * COHORT_SECOND,
    [COH_PENALTY_PROTOCOL] = 90 * COHORT_SECOND,
};

void coh_penalty_init(struct coh_penalty *p, const struct coh_source_key *key)
{
	*p = (struct coh_penalty){.key = *key};
}

void coh_penalty_fini(struct coh_penalty *p)
{
	coh_free(p->entries);
	p->entries = NULL;
}

static struct coh_penalty_entry *set_of(const struct coh_penalty *p, uint64_t source)
{
	return p->entries + (size_t)(coh_source_hash(&p->key, source) % SETS) * WAYS;
}

/* The entry of SOURCE in SET, else the one that ends first. */
static struct coh_penalty_entry *entry_for(struct coh_penalty_entry *set, uint64_t source)
{
	struct coh_penalty_entry *first = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].source == source)
			return &set[i];
		if (set[i].until < first->until)
			first = &set[i];
	}
	return first;
}

void coh_penalty_add(
    struct coh_penalty *p, uint64_t source, enum coh_penalty_why why, cohort_time now)
{
	struct coh_penalty_entry *e;

	if (source == COH_SOURCE_EXEMPT || amounts[why] == 0)
		return;
	if (p->entries == NULL) /* 1.5 MiB, of which the system gives what is touched */
		p->entries = coh_calloc(COH_PENALTY_ENTRIES * sizeof *p->entries);
	if (p->entries == NULL)
		return;
	e = entry_for(set_of(p, source), source);
	if (e->source != source && e->until > now + amounts[why])
		return; /* all here have more to answer for */
	if (e->source != source || e->until <= now)
		*e = (struct coh_penalty_entry){.source = source, .until = now};
	e->until += amounts[why];
	if (e->until > now + COH_PENALTY_MAX)
		e->until = now + COH_PENALTY_MAX;
	e->enforced = e->enforced || e->until - now >= COH_PENALTY_ENFORCED;
}

cohort_time coh_penalty_until(const struct coh_penalty *p, uint64_t source, cohort_time now)
{
	const struct coh_penalty_entry *e;

	if (p->entries == NULL || source == COH_SOURCE_EXEMPT)
		return 0;
	e = entry_for(set_of(p, source), source);
	return e->source == source && e->enforced && e->until > now ? e->until : 0;
}

size_t coh_penalty_count(const struct coh_penalty *p, cohort_time now)
{
	size_t n = 0;

	for (size_t i = 0; p->entries != NULL && i < COH_PENALTY_ENTRIES; i++)
		n += p->entries[i].until > now;
	return n;
}
