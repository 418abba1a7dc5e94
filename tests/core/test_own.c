/* test_own.c - memory of one process alone: kept there, zeroes in a child. */
#include "core/sync_page.h"
#include "os/own.h"
#include "support/test.h"

#include <pthread.h>

static void *_Atomic slot, *_Atomic other;

static void finds_zeroes(void *arg)
{
	int *mine = coh_own_get(&slot, sizeof *mine);

	REQUIRE(mine != NULL);
	CHECK_EQ(*mine, 0);
	*mine = 8;
	CHECK_EQ(*(int *)coh_own_get(&slot, sizeof *mine), 8);
	(void)arg;
}

TEST(own, is_kept_in_a_process_and_zero_in_its_children)
{
	int *mine = coh_own_get(&slot, sizeof *mine);

	REQUIRE(mine != NULL);
	CHECK_EQ(*mine, 0);
	*mine = 7;
	CHECK(coh_own_get(&other, sizeof *mine) != (void *)mine);
	CHECK_EQ(sync_join(sync_fork(finds_zeroes, NULL)), 0);
	CHECK_EQ(*(int *)coh_own_get(&slot, sizeof *mine), 7);
}

static void locks(void *arg)
{
	(void)arg;
	CHECK_EQ(pthread_mutex_trylock(coh_own_get(&slot, sizeof(pthread_mutex_t))), 0);
}

TEST(own, a_lock_in_it_is_free_in_a_child)
{
	pthread_mutex_t *lock = coh_own_get(&slot, sizeof *lock);

	REQUIRE(lock != NULL);
	pthread_mutex_lock(lock);
	CHECK_EQ(sync_join(sync_fork(locks, NULL)), 0);
	pthread_mutex_unlock(lock);
}

static void *asks(void *arg)
{
	(void)arg;
	return coh_own_get(&other, 64);
}

TEST(own, threads_get_the_same)
{
	pthread_t threads[8];
	void *got[8];

	for (int i = 0; i < 8; i++)
		REQUIRE_EQ(pthread_create(&threads[i], NULL, asks, NULL), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], &got[i]);
	for (int i = 1; i < 8; i++)
		CHECK(got[i] == got[0]);
}
