/* sync_contract_event.c - what Event promises. */
#include "contract/sync_fixture.h"

SYNC_BODY(await_event)
{
	(void)arg;
	atomic_fetch_add(&w->board->here, 1);
	return cohort_event_wait(w->event, SOON) == 0 ? 0 : 1;
}

SYNC_BODY(set_event)
{
	(void)arg;
	return cohort_event_set(w->event);
}

/* Wait again and again; how often it was woken is counted. */
SYNC_BODY(await_pulses)
{
	while (!atomic_load(&w->board->done)) {
		atomic_fetch_add(&w->board->here, 1);
		if (cohort_event_wait(w->event, SOON) != 0)
			return 1;
	}
	return arg;
}

SYNC_BODY(wait_and_die)
{
	(void)arg;
	atomic_fetch_add(&w->board->here, 1);
	(void)cohort_event_wait(w->event, cohort_in(20 * COHORT_MS));
	sync_die(w);
}

TEST(event, set_wakes_all_who_wait)
{
	struct sync_helper h[4];
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_event_is_set(w.event), 0);
	sync_start_all(&w, h, 4, "await_event", 0);
	SYNC_AWAIT(atomic_load(&w.board->here) == 4);
	CHECK_EQ(cohort_event_set(w.event), 0);
	sync_finish_all(h, 4);
	CHECK_EQ(cohort_event_is_set(w.event), 1);
	sync_world_close(&w);
}

TEST(event, wait_ends_at_once_when_it_is_set_by_whomever)
{
	struct sync_helper h;
	struct sync_world w;

	sync_world_open(&w);
	sync_start(&w, &h, "set_event", 0);
	CHECK_EQ(cohort_event_wait(w.event, SOON), 0);
	CHECK_EQ(sync_finish(&h), 0);
	CHECK_EQ(cohort_event_wait(w.event, COHORT_NOW), 0);
	CHECK_EQ(cohort_event_set(w.event), 0);
	CHECK_EQ(cohort_event_wait(w.event, COHORT_FOREVER), 0);
	sync_world_close(&w);
}

TEST(event, wait_keeps_its_deadline)
{
	struct sync_world w;
	cohort_time begin;

	sync_world_open(&w);
	CHECK_EQ(cohort_event_wait(w.event, COHORT_NOW), COHORT_ETIMEDOUT);
	begin = cohort_now();
	CHECK_EQ(cohort_event_wait(w.event, begin + 150 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 150 * COHORT_MS);
	CHECK(cohort_now() - begin < test_span(COHORT_SECOND));
	sync_world_close(&w);
}

TEST(event, clear_makes_wait_wait_again)
{
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_event_clear(w.event), 0);
	CHECK_EQ(cohort_event_set(w.event), 0);
	CHECK_EQ(cohort_event_clear(w.event), 0);
	CHECK_EQ(cohort_event_is_set(w.event), 0);
	CHECK_EQ(cohort_event_wait(w.event, COHORT_NOW), COHORT_ETIMEDOUT);
	sync_world_close(&w);
}

/* Set and clear in one breath: Python's waiters may sleep through it. */
TEST(event, a_pulse_wakes_all_who_waited)
{
	struct sync_helper h[3];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 3, "await_pulses", 0);
	for (int i = 0; i < 200; i++) {
		int before = atomic_load(&w.board->here);

		cohort_event_set(w.event);
		cohort_event_clear(w.event);
		if (i % 20 == 0) /* all have come round: they waited, and were woken */
			SYNC_AWAIT((cohort_event_set(w.event), cohort_event_clear(w.event),
			    atomic_load(&w.board->here) >= before + 3));
	}
	atomic_store(&w.board->done, 1);
	cohort_event_set(w.event);
	sync_finish_all(h, 3);
	sync_world_close(&w);
}

TEST(event, dead_waiters_hold_up_nobody)
{
	struct sync_helper dead[3], h;
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, dead, 3, "wait_and_die", 0);
	sync_start(&w, &h, "await_event", 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(sync_finish(&dead[i]), SYNC_DIED);
	SYNC_AWAIT(atomic_load(&w.board->here) == 4);
	CHECK_EQ(cohort_event_set(w.event), 0);
	CHECK_EQ(sync_finish(&h), 0);
	sync_world_close(&w);
}
