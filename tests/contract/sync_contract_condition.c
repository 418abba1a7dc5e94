/*
 * sync_contract_condition.c - what Condition promises, with a lock of its own and with the
 * caller's.
 */
#include "contract/sync_fixture.h"

#include <limits.h>

static struct cohort_condition *which(struct sync_world *w, int tied)
{
	return tied ? w->tied : w->condition;
}

/* Wait once; 0: notified. */
SYNC_BODY(await_notice)
{
	struct cohort_condition *c = which(w, arg);
	int rc;

	if (cohort_condition_acquire(c, SOON) != 0)
		return 1;
	atomic_fetch_add(&w->board->here, 1);
	rc = cohort_condition_wait(c, SOON);
	atomic_fetch_add(&w->board->done, rc == 0);
	if (cohort_condition_release(c) != 0)
		return 2;
	return rc == 0 ? 0 : rc == COHORT_EOWNERDEAD ? 4 : 3;
}

SYNC_BODY(wait_and_be_killed)
{
	struct cohort_condition *c = which(w, arg);

	if (cohort_condition_acquire(c, SOON) != 0)
		return 1;
	atomic_fetch_add(&w->board->here, 1);
	(void)cohort_condition_wait(c, cohort_in(COHORT_MS));
	sync_die(w); /* with the lock */
}

/* Add one to what the lock guards, and tell it. */
SYNC_BODY(step)
{
	for (int i = 0; i < arg; i++) {
		if (cohort_condition_acquire(w->condition, SOON) != 0)
			return 1;
		w->board->plain++;
		if (cohort_condition_notify_all(w->condition) < 0)
			return 2;
		if (cohort_condition_release(w->condition) != 0)
			return 3;
	}
	return 0;
}

SYNC_BODY(acquire_and_die)
{
	(void)arg;
	if (cohort_condition_acquire(w->condition, SOON) != 0)
		return 1;
	(void)cohort_condition_notify_all(w->condition);
	sync_die(w);
}

/* N helpers wait at the condition now. */
static void start_waiting(struct sync_world *w, struct sync_helper *h, int n, int tied)
{
	struct cohort_condition *c = which(w, tied);

	sync_start_all(w, h, n, "await_notice", tied);
	SYNC_AWAIT(atomic_load(&w->board->here) == n);
	REQUIRE_EQ(cohort_condition_acquire(c, SOON), 0); /* so the last one waits */
}

TEST(condition, notify_wakes_exactly_so_many)
{
	struct sync_helper h[5];
	struct sync_world w;

	sync_world_open(&w);
	start_waiting(&w, h, 5, 0);
	CHECK_EQ(cohort_condition_notify(w.condition, 0), 0);
	CHECK_EQ(cohort_condition_notify(w.condition, 2), 2);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	SYNC_AWAIT(atomic_load(&w.board->done) == 2);
	CHECK_EQ(cohort_condition_acquire(w.condition, SOON), 0);
	CHECK_EQ(cohort_condition_wait(w.condition, cohort_in(150 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(atomic_load(&w.board->done), 2);
	CHECK_EQ(cohort_condition_notify(w.condition, 100), 3);
	CHECK_EQ(cohort_condition_notify_all(w.condition), 0);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	sync_finish_all(h, 5);
	sync_world_close(&w);
}

TEST(condition, notify_all_wakes_all_who_wait_and_nobody_later)
{
	struct sync_helper h[4];
	struct sync_world w;

	sync_world_open(&w);
	start_waiting(&w, h, 4, 1);
	CHECK_EQ(cohort_condition_notify_all(w.tied), 4);
	CHECK_EQ(cohort_condition_wait(w.tied, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_lock_release(w.lock), 0); /* the condition's lock is the caller's */
	sync_finish_all(h, 4);
	sync_world_close(&w);
}

TEST(condition, wait_gives_up_all_levels_and_takes_them_back)
{
	struct sync_helper h;
	struct sync_world w;

	sync_world_open(&w);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(cohort_condition_acquire(w.condition, COHORT_NOW), 0);
	sync_start(&w, &h, "step", 1);
	while (w.board->plain == 0)
		CHECK_EQ(cohort_condition_wait(w.condition, SOON), 0);
	CHECK_EQ(sync_finish(&h), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(cohort_condition_release(w.condition), 0);
	CHECK_EQ(cohort_condition_release(w.condition), COHORT_ENOTOWNER);
	sync_world_close(&w);
}

TEST(condition, wait_keeps_its_deadline_and_holds_the_lock_after_it)
{
	struct sync_world w;
	cohort_time begin;

	sync_world_open(&w);
	REQUIRE_EQ(cohort_condition_acquire(w.condition, COHORT_NOW), 0);
	CHECK_EQ(cohort_condition_wait(w.condition, COHORT_NOW), COHORT_ETIMEDOUT);
	begin = cohort_now();
	CHECK_EQ(cohort_condition_wait(w.condition, begin + 130 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 130 * COHORT_MS);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	sync_world_close(&w);
}

TEST(condition, all_calls_want_the_lock)
{
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_condition_wait(w.condition, COHORT_NOW), COHORT_ENOTOWNER);
	CHECK_EQ(cohort_condition_notify(w.condition, 1), COHORT_ENOTOWNER);
	CHECK_EQ(cohort_condition_notify_all(w.tied), COHORT_ENOTOWNER);
	CHECK_EQ(cohort_condition_wait_for(w.tied, NULL, NULL, COHORT_NOW), COHORT_ENOTOWNER);
	CHECK_EQ(cohort_condition_release(w.condition), COHORT_ENOTOWNER);
	REQUIRE_EQ(cohort_condition_acquire(w.condition, COHORT_NOW), 0);
	CHECK_EQ(cohort_condition_notify(w.condition, -1), COHORT_EARGUMENT);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	sync_world_close(&w);
}

static int has_come_to_50(void *arg)
{
	struct sync_board *b = arg;

	return b->plain >= 50 ? -b->plain : 0;
}

static int never(void *arg)
{
	++*(int *)arg;
	return 0;
}

static int least(void *arg)
{
	(void)arg;
	return INT_MIN;
}

TEST(condition, wait_for_gives_what_the_test_gave_last)
{
	struct sync_helper h;
	struct sync_world w;
	int asked = 0;

	sync_world_open(&w);
	REQUIRE_EQ(cohort_condition_acquire(w.condition, COHORT_NOW), 0);
	sync_start(&w, &h, "step", 50);
	CHECK_EQ(cohort_condition_wait_for(w.condition, has_come_to_50, w.board, SOON), 50);
	CHECK_EQ(cohort_condition_wait_for(w.condition, least, NULL, COHORT_NOW), INT_MAX);
	CHECK_EQ(
	    cohort_condition_wait_for(w.condition, never, &asked, cohort_in(10 * COHORT_MS)), 0);
	CHECK(asked >= 2);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	CHECK_EQ(sync_finish(&h), 0);
	sync_world_close(&w);
}

TEST(condition, every_waiter_gets_its_turn)
{
	struct sync_helper h[3];
	struct sync_world w;

	sync_world_open(&w);
	start_waiting(&w, h, 3, 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(cohort_condition_notify(w.condition, 1), 1);
	CHECK_EQ(cohort_condition_notify(w.condition, 1), 0);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	sync_finish_all(h, 3);
	sync_world_close(&w);
}

TEST(condition, a_dead_waiter_is_not_counted_and_holds_up_nobody)
{
	struct sync_helper dead[2], h[2];
	struct sync_world w;

	sync_world_open(&w);
	for (int i = 0; i < 2; i++) {
		sync_start(&w, &dead[i], "wait_and_be_killed", 0);
		CHECK_EQ(sync_finish(&dead[i]), SYNC_DIED);
		CHECK_EQ(cohort_condition_acquire(w.condition, SOON), COHORT_EOWNERDEAD);
		CHECK_EQ(cohort_condition_release(w.condition), 0);
	}
	atomic_store(&w.board->here, 0);
	start_waiting(&w, h, 2, 0);
	CHECK_EQ(cohort_condition_notify(w.condition, 3), 2);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	sync_finish_all(h, 2);
	sync_world_close(&w);
}

TEST(condition, waiters_are_told_when_a_holder_died)
{
	struct sync_helper dying, h[2];
	struct sync_world w;
	int told = 0;

	sync_world_open(&w);
	start_waiting(&w, h, 2, 0);
	CHECK_EQ(cohort_condition_release(w.condition), 0);
	sync_start(&w, &dying, "acquire_and_die", 0);
	CHECK_EQ(sync_finish(&dying), SYNC_DIED);
	for (int i = 0; i < 2; i++)
		told += sync_finish(&h[i]) == 4;
	CHECK_EQ(told, 1); /* one takes it from the dead, and lets go in good order */
	sync_world_close(&w);
}
