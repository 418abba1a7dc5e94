/*
 * fuzz_strangers.c - triples of bytes, read as what strangers do: come, speak, leave, and time passes.
 *
 * Whatever happens in whatever order: never more than the limit in all or of a source, nobody out of
 * order, no victim that has a right to stay, no verdict without its reason, and the exempt are never
 * kept out.  PLANT: one who is penalised for breaking the protocol is entered on a wrong account.
 */
#include "base/object.h"
#include "trust/strangers.h"

#include <string.h>

#define FULL 12
#define PER_SOURCE 4
#define SOURCES 6 /* 0 is the exempt one */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum event { COME, SPEAK, LEAVE, DUE, REST, EVENTS };

struct hall {
	struct coh_strangers regime;
	struct coh_stranger at[FULL];
	bool here[FULL];
	cohort_time now;
	cohort_time broke[SOURCES]; /* until when a source is out for it, at the least; 0: never did */
	bool blameless[SOURCES];    /* nobody from there has left on its own account */
};

static int hall_count(const struct hall *h, uint64_t source)
{
	int n = 0;

	for (int i = 0; i < FULL; i++)
		n += h->here[i] && (source == SOURCES || h->at[i].source == source);
	return n;
}

static bool settled(const struct hall *h, const struct coh_stranger *st)
{
	return h->now - st->since > COH_STRANGERS_SETTLED;
}

static void check_victim(const struct hall *h, const struct coh_stranger *victim, uint64_t source)
{
	bool own = source != 0 && hall_count(h, source) == PER_SOURCE;

	COH_ASSERT(h->here[victim - h->at]);
	COH_ASSERT(!own || (victim->source == source && !victim->spoke && settled(h, victim)));
	COH_ASSERT(!victim->spoke || (h->regime.count == FULL && settled(h, victim)));
	for (int i = 0; i < FULL; i++) /* silent ones first, and the oldest of them */
		if (h->here[i] && !h->at[i].spoke && (!own || h->at[i].source == source))
			COH_ASSERT(!victim->spoke && victim->since <= h->at[i].since);
}

static void check_verdict(const struct hall *h, enum coh_strangers_verdict v, uint64_t source)
{
	switch (v) {
	case COH_STRANGERS_ADMIT:
		COH_ASSERT(h->broke[source] <= h->now);
		break;
	case COH_STRANGERS_BUSY:
		COH_ASSERT(h->regime.count == FULL && TAILQ_EMPTY(&h->regime.silent));
		break;
	case COH_STRANGERS_SOURCE:
		COH_ASSERT(source != 0 && hall_count(h, source) == PER_SOURCE);
		break;
	case COH_STRANGERS_PENALTY:
		COH_ASSERT(source != 0 && !h->blameless[source]);
		break;
	}
}

static void hall_leave(struct hall *h, int i, enum coh_penalty_why why)
{
	uint64_t source = h->at[i].source;

#ifdef PLANT
	if (why == COH_PENALTY_PROTOCOL)
		h->at[i].source++;
#endif
	coh_strangers_leave(&h->regime, &h->at[i], why, h->now);
	h->here[i] = false;
	if (why != COH_PENALTY_NONE)
		h->blameless[source] = false;
	if (why == COH_PENALTY_PROTOCOL && source != 0)
		h->broke[source] = h->now + 90 * COHORT_SECOND;
}

static void hall_come(struct hall *h, uint64_t source)
{
	struct coh_stranger *victim;
	enum coh_strangers_verdict v = coh_strangers_judge(&h->regime, source, h->now, &victim);
	int i = 0;

	check_verdict(h, v, source);
	COH_ASSERT(v == COH_STRANGERS_ADMIT || victim == NULL);
	if (v != COH_STRANGERS_ADMIT)
		return;
	if (victim != NULL) {
		check_victim(h, victim, source);
		if (settled(h, victim) && !victim->spoke)
			h->blameless[victim->source] = false;
		h->here[victim - h->at] = false;
		coh_strangers_yield(&h->regime, victim, h->now);
	}
	while (h->here[i])
		i++;
	coh_strangers_enter(&h->regime, &h->at[i], source, h->now);
	h->here[i] = true;
}

/* All whose time is up leave, the oldest first. */
static void hall_due(struct hall *h)
{
	struct coh_stranger *st;
	cohort_time when, last = 0;

	while ((st = coh_strangers_due(&h->regime, &when)) != NULL && when <= h->now) {
		COH_ASSERT(when >= last && when == st->since + h->regime.limits.patience);
		last = when;
		hall_leave(h, (int)(st - h->at), COH_PENALTY_TIMEOUT);
	}
}

static void hall_event(struct hall *h, enum event what, unsigned whom, unsigned how)
{
	int i = (int)(whom % FULL);

	switch (what) {
	case COME:
		hall_come(h, whom % SOURCES);
		break;
	case SPEAK:
		if (h->here[i])
			coh_strangers_spoke(&h->regime, &h->at[i]);
		break;
	case LEAVE:
		if (h->here[i])
			hall_leave(h, i, (enum coh_penalty_why)(how % (COH_PENALTY_PROTOCOL + 1)));
		break;
	case DUE:
		hall_due(h);
		break;
	case REST:
		h->now += (cohort_time)whom * (how % 2 == 0 ? 10 * COHORT_MS : COHORT_SECOND);
		break;
	case EVENTS:
		break;
	}
}

static void hall_check(const struct hall *h)
{
	COH_ASSERT(h->regime.count == hall_count(h, SOURCES) && h->regime.count <= FULL);
	for (uint64_t source = 1; source < SOURCES; source++)
		COH_ASSERT(hall_count(h, source) <= PER_SOURCE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coh_strangers_limits limits = {.patience = 5 * COHORT_SECOND,
	    .start = 6,
	    .percent = 30,
	    .full = FULL,
	    .per_source = PER_SOURCE};
	struct coh_source_key key = {1, 2};
	struct hall h = {.now = COHORT_SECOND};

	memset(h.blameless, true, sizeof h.blameless);
	coh_strangers_init(&h.regime, &limits, &key);
	for (size_t i = 0; i + 2 < size; i += 3) {
		hall_event(&h, (enum event)(data[i] % EVENTS), data[i + 1], data[i + 2]);
		hall_check(&h);
	}
	for (int i = 0; i < FULL; i++)
		if (h.here[i])
			hall_leave(&h, i, COH_PENALTY_NONE);
	coh_strangers_fini(&h.regime);
	return 0;
}
