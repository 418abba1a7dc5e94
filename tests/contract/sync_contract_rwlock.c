/* sync_contract_rwlock.c - what a reader-writer lock promises. */
#include "contract/sync_fixture.h"

#include <sched.h>

/* Read, until all ARG readers are in. */
SYNC_BODY(read_together)
{
	if (cohort_rwlock_read(w->rwlock, SOON) != 0)
		return 1;
	atomic_fetch_add(&w->board->here, 1);
	SYNC_AWAIT(atomic_load(&w->board->here) >= arg);
	return cohort_rwlock_release(w->rwlock) == 0 ? 0 : 2;
}

/* Read and write by turns; who reads sees no half of a write. */
SYNC_BODY(read_and_write)
{
	int *plain = &w->board->plain;

	for (int i = 0; i < arg; i++) {
		if (cohort_rwlock_write(w->rwlock, COHORT_FOREVER) != 0)
			return 1;
		++*plain;
		++*plain;
		cohort_rwlock_release(w->rwlock);
		if (cohort_rwlock_read(w->rwlock, COHORT_FOREVER) != 0)
			return 2;
		if (*plain % 2 != 0)
			return 3;
		cohort_rwlock_release(w->rwlock);
	}
	return 0;
}

SYNC_BODY(read_till_told)
{
	if (cohort_rwlock_read(w->rwlock, SOON) != 0)
		return 1;
	atomic_fetch_add(&w->board->here, 1);
	SYNC_AWAIT(atomic_load(&w->board->done));
	if (arg)
		sync_die(w);
	return cohort_rwlock_release(w->rwlock) == 0 ? 0 : 2;
}

SYNC_BODY(write_once)
{
	(void)arg;
	atomic_fetch_add(&w->board->here, 1);
	if (cohort_rwlock_write(w->rwlock, SOON) != 0)
		return 1;
	w->board->plain = 1;
	return cohort_rwlock_release(w->rwlock) == 0 ? 0 : 2;
}

SYNC_BODY(write_and_die)
{
	(void)arg;
	if (cohort_rwlock_write(w->rwlock, SOON) != 0)
		return 1;
	sync_die(w);
}

SYNC_BODY(want_to_write_and_die)
{
	(void)arg;
	if (cohort_rwlock_write(w->rwlock, cohort_in(50 * COHORT_MS)) != COHORT_ETIMEDOUT)
		return 1;
	return 0;
}

TEST(rwlock, readers_read_together)
{
	struct sync_helper h[4];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 4, "read_together", 4);
	sync_finish_all(h, 4);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), 0);
	sync_world_close(&w);
}

TEST(rwlock, a_writer_is_alone)
{
	struct sync_helper h[4];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 4, "read_and_write", 500);
	sync_finish_all(h, 4);
	CHECK_EQ(w.board->plain, 4 * 500 * 2);
	sync_world_close(&w);
}

TEST(rwlock, says_who_has_it)
{
	struct sync_helper h[2];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 2, "read_till_told", 0);
	SYNC_AWAIT(atomic_load(&w.board->here) == 2);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), 2);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), 3);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	atomic_store(&w.board->done, 1);
	sync_finish_all(h, 2);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), -1);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), 0);
	sync_world_close(&w);
}

TEST(rwlock, is_not_acquired_twice_nor_released_by_others)
{
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), COHORT_ENOTOWNER);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), -EDEADLK);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_FOREVER), -EDEADLK);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_FOREVER), -EDEADLK);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), -EDEADLK);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), COHORT_ENOTOWNER);
	sync_world_close(&w);
}

TEST(rwlock, a_writer_that_waits_keeps_new_readers_out)
{
	struct sync_helper reader, writer;
	struct sync_world w;

	sync_world_open(&w);
	sync_start(&w, &reader, "read_till_told", 0);
	SYNC_AWAIT(atomic_load(&w.board->here) == 1);
	sync_start(&w, &writer, "write_once", 0);
	SYNC_AWAIT(cohort_rwlock_read(w.rwlock, COHORT_NOW) == COHORT_ETIMEDOUT ||
	    (cohort_rwlock_release(w.rwlock), false));
	CHECK_EQ(cohort_rwlock_read(w.rwlock, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	atomic_store(&w.board->done, 1);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, SOON), 0);
	CHECK_EQ(w.board->plain, 1);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(sync_finish(&reader), 0);
	CHECK_EQ(sync_finish(&writer), 0);
	sync_world_close(&w);
}

TEST(rwlock, a_writer_that_gives_up_lets_readers_in_and_leaves_nothing_to_tell)
{
	struct sync_helper h;
	struct sync_world w;

	sync_world_open(&w);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), 0);
	sync_start(&w, &h, "want_to_write_and_die", 0);
	CHECK_EQ(sync_finish(&h), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	sync_world_close(&w);
}

TEST(rwlock, dead_readers_vanish)
{
	struct sync_helper h[2];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 2, "read_till_told", 1);
	SYNC_AWAIT(atomic_load(&w.board->here) == 2);
	atomic_store(&w.board->done, 1);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(sync_finish(&h[i]), SYNC_DIED);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), 0);
	sync_world_close(&w);
}

TEST(rwlock, all_are_told_of_a_dead_writer_until_one_has_written)
{
	struct sync_helper h;
	struct sync_world w;

	sync_world_open(&w);
	sync_start(&w, &h, "write_and_die", 0);
	CHECK_EQ(sync_finish(&h), SYNC_DIED);
	CHECK_EQ(cohort_rwlock_locked(w.rwlock), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), COHORT_EOWNERDEAD);
		CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	}
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), COHORT_EOWNERDEAD);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	sync_world_close(&w);
}

/* ---- neither starves the other ---- */

/* Read; the result is whether somebody wrote before. */
SYNC_BODY(read_and_say_what_was_written)
{
	int written;

	(void)arg;
	atomic_store(&w->board->places, (uint64_t)gettid());
	if (cohort_rwlock_read(w->rwlock, SOON) != 0)
		return 2;
	written = w->board->plain;
	return cohort_rwlock_release(w->rwlock) == 0 ? written : 3;
}

SYNC_BODY(write_and_say_who)
{
	(void)arg;
	atomic_store(&w->board->places, (uint64_t)gettid());
	if (cohort_rwlock_write(w->rwlock, SOON) != 0)
		return 1;
	w->board->plain = 1;
	return cohort_rwlock_release(w->rwlock) == 0 ? 0 : 2;
}

/* Start H, and wait until it waits. */
static void start_waiting(struct sync_world *w, struct sync_helper *h, const char *body)
{
	atomic_store(&w->board->places, 0);
	sync_start(w, h, body, 0);
	SYNC_AWAIT(atomic_load(&w->board->places) != 0);
	REQUIRE(sync_await_state((pid_t)atomic_load(&w->board->places), 'S'));
}

TEST(rwlock, a_reader_that_waits_through_a_write_is_before_the_next)
{
	struct sync_helper reader, writer;
	struct sync_world w;

	sync_world_open(&w);
	for (int i = 0; i < 5; i++) {
		w.board->plain = 0;
		REQUIRE_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
		start_waiting(&w, &writer, "write_and_say_who");
		start_waiting(&w, &reader, "read_and_say_what_was_written");
		CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
		CHECK_EQ(sync_finish(&reader), 0);
		CHECK_EQ(sync_finish(&writer), 0);
	}
	sync_world_close(&w);
}

/* Nor is it overtaken by one who tries. */
TEST(rwlock, a_try_to_write_lets_those_read_who_are_due)
{
	struct sync_helper reader;
	struct sync_world w;

	sync_world_open(&w);
	REQUIRE_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
	start_waiting(&w, &reader, "read_and_say_what_was_written");
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	SYNC_AWAIT(cohort_rwlock_locked(w.rwlock) == -1 || cohort_rwlock_write(w.rwlock, COHORT_NOW) == 0);
	w.board->plain = 1;
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(sync_finish(&reader), 0);
	sync_world_close(&w);
}

/* Read so that there is always one who reads: not before another one is in. */
SYNC_BODY(read_in_a_stream)
{
	while (!atomic_load(&w->board->done)) {
		int seen;

		if (cohort_rwlock_read(w->rwlock, SOON) != 0)
			return 1;
		seen = atomic_fetch_add(&w->board->here, 1) + 1;
		for (int i = 0; i < arg && atomic_load(&w->board->here) == seen; i++)
			sched_yield();
		if (cohort_rwlock_release(w->rwlock) != 0)
			return 2;
	}
	return 0;
}

SYNC_BODY(write_in_a_stream)
{
	(void)arg;
	while (!atomic_load(&w->board->done))
		if (cohort_rwlock_write(w->rwlock, SOON) != 0 || cohort_rwlock_release(w->rwlock) != 0)
			return 1;
	return 0;
}

TEST(rwlock, writers_are_not_starved_by_a_stream_of_readers)
{
	struct sync_helper h[3];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 3, "read_in_a_stream", 1000);
	for (int i = 0; i < 100; i++) {
		REQUIRE_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
		CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	}
	atomic_store(&w.board->done, 1);
	sync_finish_all(h, 3);
	sync_world_close(&w);
}

TEST(rwlock, readers_are_not_starved_by_a_stream_of_writers)
{
	struct sync_helper h[3];
	struct sync_world w;

	sync_world_open(&w);
	sync_start_all(&w, h, 3, "write_in_a_stream", 0);
	for (int i = 0; i < 100; i++) {
		REQUIRE_EQ(cohort_rwlock_read(w.rwlock, SOON), 0);
		CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	}
	atomic_store(&w.board->done, 1);
	sync_finish_all(h, 3);
	sync_world_close(&w);
}

TEST(rwlock, who_dies_waiting_holds_up_nobody)
{
	struct sync_helper h[2];
	struct sync_world w;

	if (sync_is_thread())
		return;
	sync_world_open(&w);
	REQUIRE_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
	for (int i = 0; i < 2; i++) {
		start_waiting(&w, &h[i], i == 0 ? "read_and_say_what_was_written" : "write_and_say_who");
		kill((pid_t)atomic_load(&w.board->places), SIGKILL);
		CHECK_EQ(sync_finish(&h[i]), SYNC_DIED);
	}
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_read(w.rwlock, COHORT_NOW), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	sync_world_close(&w);
}

TEST(rwlock, a_reader_that_is_stopped_when_it_is_due_is_passed_over_once)
{
	struct sync_helper reader;
	struct sync_world w;
	cohort_time begin;
	pid_t pid;

	if (sync_is_thread())
		return;
	sync_world_open(&w);
	REQUIRE_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
	start_waiting(&w, &reader, "read_and_say_what_was_written");
	pid = (pid_t)atomic_load(&w.board->places);
	kill(pid, SIGSTOP);
	REQUIRE(sync_await_state(pid, 'T'));
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_rwlock_write(w.rwlock, SOON), 0);
	CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	begin = cohort_now();
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(cohort_rwlock_write(w.rwlock, COHORT_NOW), 0);
		CHECK_EQ(cohort_rwlock_release(w.rwlock), 0);
	}
	CHECK(cohort_now() - begin < test_span(COHORT_SECOND));
	kill(pid, SIGCONT);
	CHECK_EQ(sync_finish(&reader), 0);
	sync_world_close(&w);
}
