/*
 * event.c - an event: one word of a generation and two bits.
 *
 * Each set moves the generation, so that one who waits and looks late sees that it was set,
 * although it is clear again. Nothing is locked and nothing counted: any of them may be killed
 * anywhere, and a signal's handler may set what it interrupts.  A setter killed between its store
 * and its wake leaves sleepers; those look again each slice.
 */
#include "base/clock.h"
#include "base/object.h"
#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/primitive.h"
#include "sync/robust.h"

#include <cohort/sync.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_EVENT)

/* The word. */
#define SET 1u
#define SLEEPERS 2u /* somebody may sleep on it; never together with SET */
#define STEP 4u     /* of the generation */

struct event_cell {
	_Atomic uint32_t word;
};

struct cohort_event {
	struct coh_shared shared;
};

static const struct coh_primitive kind = {
	.spec = {.kind = COH_SEGMENT_EVENT,
	    .size = sizeof(struct coh_segment_header) + sizeof(struct event_cell),
	    .what = "event"},
	.handle = sizeof(struct cohort_event),
};

int cohort_event_open(struct cohort_event **out, const char *address,
    const struct cohort_event_options *options, struct cohort_error *err)
{
	return coh_primitive_open(
	    out, &kind, address, options != NULL ? options->open : COHORT_OPEN_EITHER, NULL, err);
}

void cohort_event_close(struct cohort_event *e)
{
	if (coh_shared_open(e))
		coh_primitive_close(COH_SHARED_CAST(struct cohort_event, MAGIC, e));
}

static _Atomic uint32_t *word_of(struct cohort_event *e)
{
	struct event_cell *cell = coh_primitive_cell(&e->shared);

	return &cell->word;
}

static bool there(struct cohort_event *e)
{
	return coh_shared_there(&e->shared, MAGIC);
}

static int gone(struct cohort_event *e)
{
	return coh_shared_gone(&e->shared, MAGIC);
}

int cohort_event_set(struct cohort_event *e)
{
	_Atomic uint32_t *word;
	uint32_t was;

	if (!there(e))
		return gone(e);
	word = word_of(e);
	was = atomic_load(word);
	do {
		if (was & SET)
			return 0;
		COH_FAULT("event.set.look");
	} while (!atomic_compare_exchange_weak(word, &was, ((was & ~SLEEPERS) + STEP) | SET));
	COH_FAULT("event.set.stored");
	if (was & SLEEPERS)
		coh_futex_wake(word, INT_MAX);
	COH_FAULT("event.set.done");
	return 0;
}

int cohort_event_clear(struct cohort_event *e)
{
	if (!there(e))
		return gone(e);
	COH_FAULT("event.clear.begin");
	atomic_fetch_and(word_of(e), ~SET);
	COH_FAULT("event.clear.done");
	return 0;
}

int cohort_event_is_set(struct cohort_event *e)
{
	return there(e) ? (atomic_load(word_of(e)) & SET) != 0 : gone(e);
}

/* Sleep while *WORD is WAS, which is not set. */
static void event_sleep(_Atomic uint32_t *word, uint32_t was, cohort_time deadline)
{
	cohort_time until = cohort_in(COH_GATE_SLICE);

	if (!(was & SLEEPERS) && !atomic_compare_exchange_strong(word, &was, was | SLEEPERS))
		return;
	COH_FAULT("event.wait.sleep");
	coh_futex_wait(word, was | SLEEPERS, until < deadline ? until : deadline);
	COH_FAULT("event.wait.woken");
}

int cohort_event_wait(struct cohort_event *e, cohort_time deadline)
{
	_Atomic uint32_t *word;
	uint32_t first, now;

	if (!there(e))
		return gone(e);
	word = word_of(e);
	first = now = atomic_load(word);
	while (!(now & SET) && now / STEP == first / STEP) {
		COH_FAULT("event.wait.look");
		if (coh_clock_passed(deadline))
			return COHORT_ETIMEDOUT;
		event_sleep(word, now, deadline);
		now = atomic_load(word);
		if (!there(e))
			return gone(e);
	}
	return 0;
}
