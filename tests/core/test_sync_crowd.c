/* test_sync_crowd.c - two hundred processes that inherit one object of each kind, and use all of them. */
#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/cohort.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define SOON cohort_in(test_span(15 * COHORT_SECOND))
#define CROWD 200
#define ROUNDS 5

static struct {
	_Atomic int here, done;
	int plain;      /* guarded by the lock */
	int came, went; /* by the condition */
} *board;

static struct cohort_lock *lock;
static struct cohort_semaphore *semaphore;
static struct cohort_condition *condition;
static struct cohort_event *event;
static struct cohort_barrier *barrier;
static struct cohort_rwlock *rwlock;

static void open_locks(void)
{
	struct cohort_semaphore_options s = {.value = 2};
	struct cohort_barrier_options b = {.parties = CROWD};

	REQUIRE_EQ(cohort_lock_open(&lock, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_semaphore_open(&semaphore, "local:", &s, NULL), 0);
	REQUIRE_EQ(cohort_condition_open(&condition, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_event_open(&event, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_barrier_open(&barrier, "local:", &b, NULL), 0);
	REQUIRE_EQ(cohort_rwlock_open(&rwlock, "local:", NULL, NULL), 0);
}

static void close_locks(void)
{
	cohort_lock_close(lock);
	cohort_semaphore_close(semaphore);
	cohort_condition_close(condition);
	cohort_event_close(event);
	cohort_barrier_close(barrier);
	cohort_rwlock_close(rwlock);
}

/* Element N of the array and the list is of the process N, one more in the array is of all. */
static struct {
	struct cohort_value *value;
	struct cohort_array *array;
	struct cohort_list *list;
	struct cohort_arena *arena;
} data;

static void open_data(void)
{
	struct cohort_value_options v = {.type = 'q'};
	struct cohort_array_options a = {.type = 'Q', .count = CROWD + 1};
	struct cohort_list_options l = {.count = CROWD};
	struct cohort_arena_options r = {.size = 1 << 20};

	REQUIRE_EQ(cohort_value_open(&data.value, "local:", &v, NULL), 0);
	REQUIRE_EQ(cohort_array_open(&data.array, "local:", &a, NULL), 0);
	REQUIRE_EQ(cohort_list_open(&data.list, "local:", &l, NULL), 0);
	REQUIRE_EQ(cohort_arena_open(&data.arena, "local:", &r, NULL), 0);
}

static void close_data(void)
{
	cohort_value_close(data.value);
	cohort_array_close(data.array);
	cohort_list_close(data.list);
	cohort_arena_close(data.arena);
}

static void go_through_locks(void)
{
	REQUIRE_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
	REQUIRE_EQ(cohort_lock_acquire(lock, SOON), 0);
	board->plain++;
	REQUIRE_EQ(cohort_lock_release(lock), 0);
	REQUIRE_EQ(cohort_semaphore_release(semaphore, 1), 0);
	REQUIRE_EQ(cohort_rwlock_read(rwlock, SOON), 0);
	REQUIRE_EQ(cohort_rwlock_release(rwlock), 0);
}

/* A block that has NUMBER in each byte, and shares none with another's. */
static uint64_t allocate(uint64_t number)
{
	size_t size = 50 + number;
	unsigned char want[50 + CROWD], *block;
	uint64_t at = 0;

	memset(want, (int)number, size);
	REQUIRE_EQ(cohort_arena_alloc(data.arena, size, &at), 0);
	block = cohort_arena_at(data.arena, at);
	REQUIRE(block != NULL);
	memset(block, (int)number, size);
	sched_yield();
	CHECK_MEM(block, want, size);
	return at;
}

/* To all that there is of the process, and of everybody, a step; the block of the last round stays, its place in the array. */
static void go_through_data(uint64_t number, int round)
{
	struct cohort_list_item item = {0};
	uint64_t at = allocate(number), before = 0;

	CHECK_EQ(cohort_value_add(data.value, (int64_t)number, NULL), 0);
	CHECK_EQ(cohort_array_add(data.array, CROWD, 1, NULL), 0);
	CHECK_EQ(cohort_array_get(data.array, number, 1, &before, SOON), 0);
	CHECK_EQ(cohort_array_set(data.array, number, 1, &at, SOON), 0);
	if (round > 0)
		CHECK_EQ(cohort_arena_free(data.arena, before), 0);
	CHECK_EQ(cohort_list_get(data.list, number, &item, NULL, 0), 0);
	CHECK_EQ(item.type, round == 0 ? COHORT_ITEM_NONE : COHORT_ITEM_INT);
	item = (struct cohort_list_item){.type = COHORT_ITEM_INT, .number = item.number + (int64_t)number};
	CHECK_EQ(cohort_list_set(data.list, number, &item), 0);
}

static int all_have_come(void *arg)
{
	(void)arg;
	return board->came == CROWD;
}

/* The last to come notifies all that wait. */
static void come_together(void)
{
	REQUIRE_EQ(cohort_condition_acquire(condition, SOON), 0);
	if (++board->came == CROWD)
		CHECK(cohort_condition_notify_all(condition) >= 0);
	CHECK_EQ(cohort_condition_wait_for(condition, all_have_come, NULL, SOON), 1);
	board->went++;
	CHECK_EQ(cohort_condition_release(condition), 0);
}

static void be_one_of_many(void *number)
{
	if (cohort_barrier_wait(barrier, SOON) < 0)
		_exit(1);
	for (int i = 0; i < ROUNDS; i++) {
		go_through_locks();
		go_through_data((uintptr_t)number, i);
	}
	come_together();
	CHECK_EQ(cohort_event_is_set(event), 0);
	atomic_fetch_add(&board->here, 1);
	CHECK_EQ(cohort_event_wait(event, SOON), 0);
	atomic_fetch_add(&board->done, 1);
	_exit(cohort_barrier_wait(barrier, SOON) < 0 ? 6 : 0);
}

static void expect_locks_free(void)
{
	CHECK_EQ(board->plain, CROWD * ROUNDS);
	CHECK_EQ(board->went, CROWD);
	CHECK_EQ(cohort_lock_locked(lock), 0);
	CHECK_EQ(cohort_condition_acquire(condition, COHORT_NOW), 0);
	CHECK_EQ(cohort_condition_release(condition), 0);
	CHECK_EQ(cohort_semaphore_value(semaphore), 2);
	CHECK_EQ(cohort_rwlock_locked(rwlock), 0);
	CHECK_EQ(cohort_barrier_broken(barrier), 0);
}

/* One block of each was left: it is where its process said, and nothing else is in use. */
static void expect_blocks(void)
{
	struct cohort_arena_stats stats;
	uint64_t at[CROWD] = {0};

	CHECK_EQ(cohort_array_get(data.array, 0, CROWD, at, COHORT_NOW), 0);
	cohort_arena_stats(data.arena, &stats);
	CHECK_EQ(stats.blocks, CROWD);
	for (size_t i = 0; i < CROWD; i++) {
		REQUIRE_EQ(cohort_arena_size_at(data.arena, at[i]), 50 + i);
		CHECK_EQ(*(unsigned char *)cohort_arena_at(data.arena, at[i]), i);
		CHECK_EQ(cohort_arena_free(data.arena, at[i]), 0);
	}
	cohort_arena_stats(data.arena, &stats);
	CHECK_EQ(stats.blocks, 0);
	CHECK_EQ(stats.used, 0);
}

static void expect_totals(void)
{
	struct cohort_list_item item = {0};
	uint64_t steps = 0;
	int64_t sum = 0, listed = 0;

	CHECK_EQ(cohort_value_load(data.value, &sum), 0);
	CHECK_EQ(sum, ROUNDS * CROWD * (CROWD - 1) / 2);
	CHECK_EQ(cohort_array_get(data.array, CROWD, 1, &steps, COHORT_NOW), 0);
	CHECK_EQ(steps, CROWD * ROUNDS);
	for (size_t i = 0; i < CROWD; i++) {
		CHECK_EQ(cohort_list_get(data.list, i, &item, NULL, 0), 0);
		listed += item.number;
	}
	CHECK_EQ(listed, sum);
}

TEST_TIMEOUT(sync_crowd, two_hundred_processes_share_one_of_each, 60)
{
	pid_t pids[CROWD];

	board = sync_page(sizeof *board);
	open_locks();
	open_data();
	for (uintptr_t i = 0; i < CROWD; i++)
		pids[i] = sync_fork(be_one_of_many, (void *)i);
	SYNC_AWAIT(atomic_load(&board->here) == CROWD);
	CHECK_EQ(atomic_load(&board->done), 0);
	CHECK_EQ(cohort_event_set(event), 0);
	for (int i = 0; i < CROWD; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(atomic_load(&board->done), CROWD);
	expect_locks_free();
	expect_totals();
	expect_blocks();
	close_data();
	close_locks();
}
