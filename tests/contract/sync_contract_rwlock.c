/* sync_contract_rwlock.c - what a reader-writer lock promises. */
#include "contract/sync_fixture.h"

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
