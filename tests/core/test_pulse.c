/*
 * test_pulse.c - one timer for many, who may leave at any time.
 */
#include "work/pulse.h"

#include "os/fd.h"
#include "support/test.h"
#include "work/engine.h"

#include <errno.h>
#include <stddef.h>

#define PATIENCE cohort_in(test_span(10 * COHORT_SECOND))
#define SHORTLY (20 * COHORT_MS)

struct heart {
	struct coh_pulse pulse;
	int beats, last;            /* how many there were; after how many it wants no more */
	cohort_time asked;          /* when it was to be called */
	struct heart *drops, *joins; /* what it does to others at its first beat */
};

static cohort_time heart_beat(void *arg, cohort_time now)
{
	struct heart *h = arg;

	if (h->beats++ == 0) {
		if (h->drops != NULL)
			coh_pulse_drop(&h->drops->pulse);
		if (h->joins != NULL)
			CHECK_EQ(coh_pulse_add(&h->joins->pulse, heart_beat, h->joins, now), 0);
	}
	h->asked = h->beats < h->last ? now + SHORTLY : COHORT_FOREVER;
	return h->asked;
}

static void heart_begin(struct heart *h, int last)
{
	*h = (struct heart){.last = last, .asked = cohort_in(SHORTLY)};
	CHECK_EQ(coh_pulse_add(&h->pulse, heart_beat, h, h->asked), 0);
}

static bool done_test(void *arg)
{
	const struct heart *h = arg;

	return h->beats >= h->last;
}

static void engine_begin(void)
{
	REQUIRE_EQ(coh_engine_open(NULL), 0);
	coh_engine_lock();
}

static void engine_end(void)
{
	coh_engine_unlock();
	coh_engine_close();
}

TEST(pulse, calls_each_until_it_wants_no_more)
{
	struct heart h[3];

	engine_begin();
	for (int i = 0; i < 3; i++)
		heart_begin(&h[i], i + 2);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(coh_engine_wait(done_test, &h[i], PATIENCE), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(h[i].beats, i + 2);
		coh_pulse_drop(&h[i].pulse);
		coh_pulse_drop(&h[i].pulse); /* harmless */
	}
	engine_end();
}

TEST(pulse, calls_those_that_are_due_soon_together)
{
	struct heart early, late;

	engine_begin();
	heart_begin(&early, 1);
	late = (struct heart){.last = 1};
	CHECK_EQ(coh_pulse_add(&late.pulse, heart_beat, &late, early.asked + 5 * COHORT_MS), 0);
	CHECK_EQ(coh_engine_wait(done_test, &early, PATIENCE), 0);
	CHECK_EQ(late.beats, 1);
	coh_pulse_drop(&early.pulse);
	coh_pulse_drop(&late.pulse);
	engine_end();
}

TEST(pulse, one_may_drop_itself_another_and_the_last)
{
	struct heart h[4];

	engine_begin();
	for (int i = 0; i < 4; i++)
		heart_begin(&h[i], 1);
	h[0].drops = &h[1]; /* whose turn is next */
	h[2].drops = &h[2]; /* itself */
	h[3].drops = &h[0]; /* who had its turn */
	CHECK_EQ(coh_engine_wait(done_test, &h[3], PATIENCE), 0);
	CHECK_EQ(h[0].beats, 1);
	CHECK_EQ(h[1].beats, 0);
	CHECK_EQ(h[2].beats, 1);
	coh_pulse_drop(&h[3].pulse);
	engine_end();
}

TEST(pulse, the_last_may_leave_in_its_own_turn_and_another_come)
{
	struct heart a, b;

	engine_begin();
	b = (struct heart){.last = 2};
	heart_begin(&a, 1);
	a.drops = &a;
	CHECK_EQ(coh_engine_wait(done_test, &a, PATIENCE), 0);
	heart_begin(&a, 1);
	a.drops = &a;
	a.joins = &b;
	CHECK_EQ(coh_engine_wait(done_test, &b, PATIENCE), 0);
	CHECK_EQ(b.beats, 2);
	coh_pulse_drop(&b.pulse);
	engine_end();
}

TEST(pulse, without_a_descriptor_says_so)
{
	struct heart h = {.last = 1};

	engine_begin();
	coh_fd_fail(1, EMFILE);
	CHECK_EQ(coh_pulse_add(&h.pulse, heart_beat, &h, cohort_in(SHORTLY)), -EMFILE);
	coh_fd_fail(0, 0);
	coh_pulse_drop(&h.pulse);
	heart_begin(&h, 1);
	CHECK_EQ(coh_engine_wait(done_test, &h, PATIENCE), 0);
	coh_pulse_drop(&h.pulse);
	engine_end();
}
