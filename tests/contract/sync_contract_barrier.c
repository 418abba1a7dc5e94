/* sync_contract_barrier.c - what Barrier promises. */
#include "contract/sync_fixture.h"

#define ALL ((1u << BARRIER_PARTIES) - 1)

/* Pass ARG times; each round all places are there once. */
SYNC_BODY(pass)
{
	for (int i = 0; i < arg; i++) {
		int place = cohort_barrier_wait(w->barrier, SOON);

		if (place < 0)
			return 1;
		atomic_fetch_add(&w->board->places, UINT64_C(1) << (16 * place));
	}
	return 0;
}

/* Wait once; how it ended. */
static int verdict(int rc)
{
	return rc >= 0 ? rc : rc == COHORT_EBARRIER ? 10 : rc == COHORT_ETIMEDOUT ? 11 : 12;
}

SYNC_BODY(come)
{
	(void)arg;
	return verdict(cohort_barrier_wait(w->barrier, SOON));
}

SYNC_BODY(come_for_a_moment)
{
	return verdict(cohort_barrier_wait(w->barrier, cohort_in(arg * COHORT_MS)));
}

SYNC_BODY(come_and_die)
{
	(void)arg;
	(void)cohort_barrier_wait(w->barrier, SOON);
	return 1;
}

/* All who come see that the action ran once, before anybody went on. */
SYNC_BODY(pass_acting)
{
	for (int i = 0; i < arg; i++) {
		if (cohort_barrier_wait(w->acting, SOON) < 0)
			return 1;
		if (atomic_load(&w->board->done) <= i)
			return 2;
		if (cohort_barrier_wait(w->barrier, SOON) < 0)
			return 3;
		if (atomic_load(&w->board->done) != i + 1)
			return 4;
		if (cohort_barrier_wait(w->barrier, SOON) < 0)
			return 5;
	}
	return 0;
}

SYNC_BODY(come_acting)
{
	(void)arg;
	return verdict(cohort_barrier_wait(w->acting, SOON));
}

static void await_waiting(struct cohort_barrier *b, unsigned n)
{
	SYNC_AWAIT(cohort_barrier_waiting(b) == n);
}

TEST(barrier, each_round_gives_every_place_once)
{
	struct sync_helper h[BARRIER_PARTIES];
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_barrier_parties(w.barrier), BARRIER_PARTIES);
	sync_start_all(&w, h, BARRIER_PARTIES, "pass", 500);
	sync_finish_all(h, BARRIER_PARTIES);
	CHECK_EQ(
	    atomic_load(&w.board->places), 500 + (UINT64_C(500) << 16) + (UINT64_C(500) << 32));
	CHECK_EQ(cohort_barrier_waiting(w.barrier), 0);
	CHECK_EQ(cohort_barrier_broken(w.barrier), 0);
	sync_world_close(&w);
}

TEST(barrier, action_runs_once_a_round_before_anybody_goes)
{
	struct sync_helper h[BARRIER_PARTIES];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, BARRIER_PARTIES, "pass_acting", 100);
	sync_finish_all(h, BARRIER_PARTIES);
	CHECK_EQ(atomic_load(&w.board->done), 100);
	sync_world_close(&w);
}

TEST(barrier, a_failing_action_breaks_it_for_all)
{
	struct sync_helper h[BARRIER_PARTIES];
	struct sync_world w;

	sync_world_open(&w);
	atomic_store(&w.board->most, -1);
	sync_start_all(&w, h, BARRIER_PARTIES, "come_acting", 0);
	for (int i = 0; i < BARRIER_PARTIES; i++)
		CHECK_EQ(sync_finish(&h[i]), 10);
	CHECK_EQ(cohort_barrier_broken(w.acting), 1);
	CHECK_EQ(cohort_barrier_wait(w.acting, SOON), COHORT_EBARRIER);
	sync_world_close(&w);
}

TEST(barrier, a_timeout_breaks_it_for_all_until_it_is_reset)
{
	struct sync_helper h[BARRIER_PARTIES];
	struct sync_world w;

	sync_world_open(&w);
	sync_start(&w, &h[0], "come", 0);
	await_waiting(w.barrier, 1);
	CHECK_EQ(cohort_barrier_wait(w.barrier, cohort_in(30 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(sync_finish(&h[0]), 10);
	CHECK_EQ(cohort_barrier_broken(w.barrier), 1);
	CHECK_EQ(cohort_barrier_wait(w.barrier, COHORT_FOREVER), COHORT_EBARRIER);
	CHECK_EQ(cohort_barrier_reset(w.barrier), 0);
	CHECK_EQ(cohort_barrier_broken(w.barrier), 0);
	sync_start_all(&w, h, BARRIER_PARTIES, "pass", 3);
	sync_finish_all(h, BARRIER_PARTIES);
	CHECK_EQ(cohort_barrier_wait(w.barrier, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_barrier_broken(w.barrier), 1);
	sync_world_close(&w);
}

TEST(barrier, abort_breaks_it)
{
	struct sync_helper h[2];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 2, "come", 0);
	await_waiting(w.barrier, 2);
	CHECK_EQ(cohort_barrier_abort(w.barrier), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(sync_finish(&h[i]), 10);
	CHECK_EQ(cohort_barrier_broken(w.barrier), 1);
	CHECK_EQ(cohort_barrier_waiting(w.barrier), 0);
	CHECK_EQ(cohort_barrier_wait(w.barrier, SOON), COHORT_EBARRIER);
	sync_world_close(&w);
}

TEST(barrier, reset_throws_those_out_who_wait)
{
	struct sync_helper h[BARRIER_PARTIES];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 2, "come", 0);
	await_waiting(w.barrier, 2);
	CHECK_EQ(cohort_barrier_reset(w.barrier), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(sync_finish(&h[i]), 10);
	CHECK_EQ(cohort_barrier_broken(w.barrier), 0);
	sync_start_all(&w, h, BARRIER_PARTIES, "pass", 2);
	sync_finish_all(h, BARRIER_PARTIES);
	sync_world_close(&w);
}

/* A party is killed while it waits: the others are told, long before their deadline. */
TEST(barrier, a_party_that_dies_in_its_wait_breaks_it_at_once)
{
	struct sync_helper dead, h;
	struct sync_world w;
	cohort_time begin;

	sync_world_open(&w);
	if (w.kind != SYNC_THREAD) { /* a thread cannot be killed alone */
		sync_start(&w, &dead, "come_and_die", 0);
		sync_start(&w, &h, "come", 0);
		await_waiting(w.barrier, 2);
		begin = cohort_now();
		kill(dead.process != NULL ? cohort_process_pid(dead.process) : dead.pid, SIGKILL);
		CHECK_EQ(sync_finish(&h), 10);
		CHECK(cohort_now() - begin < test_span(300 * COHORT_MS));
		CHECK_EQ(sync_finish(&dead), SYNC_DIED);
		CHECK_EQ(cohort_barrier_broken(w.barrier), 1);
	}
	sync_world_close(&w);
}

TEST(barrier, some_give_up_while_others_come)
{
	struct sync_helper h[2];
	struct sync_world w;
	int a, b;

	sync_world_open(&w);
	for (int i = 0; i < 20; i++) {
		sync_start(&w, &h[0], "come_for_a_moment", 3);
		sync_start(&w, &h[1], "come", 0);
		a = verdict(cohort_barrier_wait(w.barrier, SOON));
		b = sync_finish(&h[0]);
		if (b < BARRIER_PARTIES) {
			CHECK_EQ((1u << a | 1u << b | 1u << sync_finish(&h[1])), ALL);
		} else {
			CHECK(b == 11 && a == 10);
			CHECK_EQ(sync_finish(&h[1]), 10);
		}
		CHECK_EQ(cohort_barrier_reset(w.barrier), 0);
	}
	sync_world_close(&w);
}
