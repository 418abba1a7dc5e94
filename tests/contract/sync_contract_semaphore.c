/* sync_contract_semaphore.c - what Semaphore and BoundedSemaphore promise. */
#include "contract/sync_fixture.h"

SYNC_BODY(pass_through)
{
	for (int i = 0; i < arg; i++) {
		if (cohort_semaphore_acquire(w->semaphore, COHORT_FOREVER) != 0)
			return 1;
		sync_go_in(w->board);
		sync_go_out(w->board);
		if (cohort_semaphore_release(w->semaphore, 1) != 0)
			return 2;
	}
	return 0;
}

SYNC_BODY(take_and_end)
{
	for (int i = 0; i < arg; i++)
		if (cohort_semaphore_acquire(w->semaphore, COHORT_NOW) != 0)
			return 1;
	sync_die(w);
}

SYNC_BODY(take_bounded_and_end)
{
	for (int i = 0; i < arg; i++)
		if (cohort_semaphore_acquire(w->bounded, COHORT_NOW) != 0)
			return 1;
	sync_die(w);
}

SYNC_BODY(consume)
{
	for (int i = 0; i < arg; i++) {
		if (cohort_semaphore_acquire(w->signals, SOON) != 0)
			return 1;
		atomic_fetch_add(&w->board->done, 1);
	}
	return 0;
}

SYNC_BODY(give)
{
	return cohort_semaphore_release(w->semaphore, (unsigned)arg) == 0 ? 0 : 1;
}

TEST(semaphore, lets_in_as_many_as_it_has_permits)
{
	struct sync_helper h[5];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 5, "pass_through", 1000);
	sync_finish_all(h, 5);
	CHECK(atomic_load(&w.board->most) <= PERMITS);
	CHECK_EQ(cohort_semaphore_value(w.semaphore), PERMITS);
	sync_world_close(&w);
}

TEST(semaphore, tries_counts_and_keeps_its_deadline)
{
	struct sync_world w;
	cohort_time begin;

	sync_world_open(&w);
	for (unsigned i = PERMITS; i > 0; i--) {
		CHECK_EQ(cohort_semaphore_value(w.semaphore), i);
		CHECK_EQ(cohort_semaphore_acquire(w.semaphore, COHORT_NOW), 0);
	}
	CHECK_EQ(cohort_semaphore_value(w.semaphore), 0);
	CHECK_EQ(cohort_semaphore_acquire(w.semaphore, COHORT_NOW), COHORT_ETIMEDOUT);
	begin = cohort_now();
	CHECK_EQ(cohort_semaphore_acquire(w.semaphore, begin + 30 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 30 * COHORT_MS);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, PERMITS), 0);
	CHECK_EQ(cohort_semaphore_value(w.semaphore), PERMITS);
	sync_world_close(&w);
}

TEST(semaphore, release_by_one_who_took_nothing_is_a_new_permit)
{
	struct sync_helper h;
	struct sync_world w;

	sync_world_open(&w);
	sync_start(&w, &h, "give", 3);
	CHECK_EQ(sync_finish(&h), 0);
	CHECK_EQ(cohort_semaphore_value(w.semaphore), PERMITS + 3);
	for (int i = 0; i < PERMITS + 3; i++)
		CHECK_EQ(cohort_semaphore_acquire(w.semaphore, COHORT_NOW), 0);
	CHECK_EQ(cohort_semaphore_acquire(w.semaphore, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, PERMITS + 3), 0);
	sync_world_close(&w);
}

TEST(semaphore, release_wakes_those_who_wait)
{
	struct sync_helper h[3];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 3, "consume", 10);
	for (int i = 0; i < 15; i++)
		CHECK_EQ(cohort_semaphore_release(w.signals, 2), 0);
	sync_finish_all(h, 3);
	CHECK_EQ(atomic_load(&w.board->done), 30);
	CHECK_EQ(cohort_semaphore_value(w.signals), 0);
	sync_world_close(&w);
}

TEST(semaphore, what_a_dead_process_took_comes_back)
{
	struct sync_helper h;
	struct sync_world w;
	cohort_time begin;

	if (sync_is_thread())
		return; /* permits are a process's */
	sync_world_open(&w);
	sync_start(&w, &h, "take_and_end", PERMITS);
	CHECK_EQ(sync_finish(&h), SYNC_DIED);
	begin = cohort_now();
	for (int i = 0; i < PERMITS; i++)
		CHECK_EQ(cohort_semaphore_acquire(w.semaphore, SOON), 0);
	CHECK(cohort_now() - begin < test_span(200 * COHORT_MS));
	CHECK_EQ(cohort_semaphore_acquire(w.semaphore, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, PERMITS), 0);
	sync_world_close(&w);
}

TEST(semaphore, signals_that_were_taken_do_not_come_back)
{
	struct sync_helper h;
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_semaphore_release(w.signals, 3), 0);
	sync_start(&w, &h, "consume", 2);
	CHECK_EQ(sync_finish(&h), 0);
	CHECK_EQ(cohort_semaphore_acquire(w.signals, COHORT_NOW), 0);
	CHECK_EQ(cohort_semaphore_acquire(w.signals, cohort_in(250 * COHORT_MS)), COHORT_ETIMEDOUT);
	sync_world_close(&w);
}

TEST(bounded_semaphore, is_never_released_above_its_beginning)
{
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_semaphore_release(w.bounded, 1), COHORT_EOVER);
	CHECK_EQ(cohort_semaphore_acquire(w.bounded, COHORT_NOW), 0);
	CHECK_EQ(cohort_semaphore_release(w.bounded, 2), COHORT_EOVER);
	CHECK_EQ(cohort_semaphore_value(w.bounded), PERMITS - 1);
	CHECK_EQ(cohort_semaphore_release(w.bounded, 1), 0);
	CHECK_EQ(cohort_semaphore_value(w.bounded), PERMITS);
	sync_world_close(&w);
}

/* Others may release what it took; when it dies, that does not count twice. */
TEST(bounded_semaphore, what_comes_back_of_the_dead_is_bounded_too)
{
	struct sync_helper h;
	struct sync_world w;

	if (sync_is_thread())
		return;
	sync_world_open(&w);
	sync_start(&w, &h, "take_bounded_and_end", PERMITS);
	CHECK_EQ(sync_finish(&h), SYNC_DIED);
	CHECK_EQ(cohort_semaphore_release(w.bounded, 1), 0);
	for (int i = 0; i < PERMITS; i++)
		CHECK_EQ(cohort_semaphore_acquire(w.bounded, SOON), 0);
	CHECK_EQ(cohort_semaphore_acquire(w.bounded, cohort_in(250 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_semaphore_release(w.bounded, PERMITS), 0);
	CHECK_EQ(cohort_semaphore_release(w.bounded, 1), COHORT_EOVER);
	sync_world_close(&w);
}

TEST(semaphore, numbers_out_of_range_are_refused)
{
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, 0), COHORT_EARGUMENT);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, 1u << 31), COHORT_EARGUMENT);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, INT32_MAX), -EOVERFLOW);
	CHECK_EQ(cohort_semaphore_value(w.semaphore), PERMITS);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, INT32_MAX - PERMITS), 0);
	CHECK_EQ(cohort_semaphore_value(w.semaphore), INT32_MAX);
	CHECK_EQ(cohort_semaphore_release(w.semaphore, 1), -EOVERFLOW);
	sync_world_close(&w);
}
