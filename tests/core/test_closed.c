/* test_closed.c - handles of shared objects that were closed: calls with them are an error, and to close them again is none. */
#include "support/test.h"

#include <cohort/cohort.h>
#include <string.h>

#define CLOSED(call) CHECK_EQ((call), COHORT_ECLOSED)

static void still_no_harm(void *handle)
{
	struct cohort_error err = {0};

	CHECK_EQ(cohort_shared_check(handle, &err), COHORT_ECLOSED);
	CHECK_HAS(err.text, "closed");
}

TEST(closed, lock_says_so)
{
	struct cohort_lock *l;

	REQUIRE_EQ(cohort_lock_open(&l, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_lock_acquire(l, COHORT_NOW), 0);
	cohort_lock_close(l);
	CLOSED(cohort_lock_acquire(l, COHORT_FOREVER));
	CLOSED(cohort_lock_release(l));
	CLOSED(cohort_lock_locked(l));
	still_no_harm(l);
	cohort_lock_close(l);
}

TEST(closed, semaphore_says_so)
{
	struct cohort_semaphore *s;

	REQUIRE_EQ(cohort_semaphore_open(&s, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_semaphore_acquire(s, COHORT_NOW), 0);
	cohort_semaphore_close(s);
	CLOSED(cohort_semaphore_acquire(s, COHORT_FOREVER));
	CLOSED(cohort_semaphore_release(s, 1));
	CHECK_EQ(cohort_semaphore_value(s), 0);
	still_no_harm(s);
	cohort_semaphore_close(s);
}

static int never(void *arg)
{
	(void)arg;
	return 0;
}

TEST(closed, condition_says_so)
{
	struct cohort_condition *c;

	REQUIRE_EQ(cohort_condition_open(&c, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_condition_locked(c), 0);
	REQUIRE_EQ(cohort_condition_acquire(c, COHORT_NOW), 0);
	CHECK_EQ(cohort_condition_locked(c), 1);
	cohort_condition_close(c);
	CLOSED(cohort_condition_acquire(c, COHORT_FOREVER));
	CLOSED(cohort_condition_release(c));
	CLOSED(cohort_condition_locked(c));
	CLOSED(cohort_condition_wait(c, COHORT_FOREVER));
	CLOSED(cohort_condition_wait_for(c, never, NULL, COHORT_FOREVER));
	CLOSED(cohort_condition_notify(c, 1));
	CLOSED(cohort_condition_notify_all(c));
	still_no_harm(c);
	cohort_condition_close(c);
}

TEST(closed, event_says_so)
{
	struct cohort_event *e;

	REQUIRE_EQ(cohort_event_open(&e, "local:", NULL, NULL), 0);
	cohort_event_close(e);
	CLOSED(cohort_event_set(e));
	CLOSED(cohort_event_clear(e));
	CLOSED(cohort_event_is_set(e));
	CLOSED(cohort_event_wait(e, COHORT_FOREVER));
	still_no_harm(e);
	cohort_event_close(e);
}

TEST(closed, barrier_says_so)
{
	struct cohort_barrier_options o = {.parties = 2};
	struct cohort_barrier *b;

	REQUIRE_EQ(cohort_barrier_open(&b, "local:", &o, NULL), 0);
	cohort_barrier_close(b);
	CLOSED(cohort_barrier_wait(b, COHORT_FOREVER));
	CLOSED(cohort_barrier_abort(b));
	CLOSED(cohort_barrier_reset(b));
	CLOSED(cohort_barrier_broken(b));
	CHECK_EQ(cohort_barrier_parties(b), 0);
	CHECK_EQ(cohort_barrier_waiting(b), 0);
	still_no_harm(b);
	cohort_barrier_close(b);
}

TEST(closed, rwlock_says_so)
{
	struct cohort_rwlock *l;

	REQUIRE_EQ(cohort_rwlock_open(&l, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_rwlock_read(l, COHORT_NOW), 0);
	cohort_rwlock_close(l);
	CLOSED(cohort_rwlock_read(l, COHORT_FOREVER));
	CLOSED(cohort_rwlock_write(l, COHORT_FOREVER));
	CLOSED(cohort_rwlock_release(l));
	CLOSED(cohort_rwlock_locked(l));
	still_no_harm(l);
	cohort_rwlock_close(l);
}

TEST(closed, value_says_so)
{
	struct cohort_value_options o = {.type = 'i'};
	struct cohort_lock *lock;
	struct cohort_value *v;
	int64_t n;
	int i = 0;

	REQUIRE_EQ(cohort_value_open(&v, "local:", &o, NULL), 0);
	lock = cohort_value_lock(v);
	cohort_value_close(v);
	CLOSED(cohort_value_get(v, &i, COHORT_FOREVER));
	CLOSED(cohort_value_set(v, &i, COHORT_FOREVER));
	CLOSED(cohort_value_add(v, 1, &n));
	CLOSED(cohort_value_exchange(v, 1, &n));
	CLOSED(cohort_value_compare(v, 1, 2, &n));
	CLOSED(cohort_value_load(v, &n));
	CLOSED(cohort_lock_acquire(lock, COHORT_FOREVER)); /* it was the value's */
	CHECK(cohort_value_data(v) == NULL && cohort_value_lock(v) == NULL);
	CHECK(cohort_value_size(v) == 0 && cohort_value_type(v) == 0);
	still_no_harm(v);
	cohort_value_close(v);
}

TEST(closed, array_says_so)
{
	struct cohort_array_options o = {.type = 'c', .count = 8};
	struct cohort_array *a;
	char text[9] = "abcdefg";
	int64_t n;

	REQUIRE_EQ(cohort_array_open(&a, "local:", &o, NULL), 0);
	cohort_array_close(a);
	CLOSED(cohort_array_get(a, 0, 1, text, COHORT_FOREVER));
	CLOSED(cohort_array_set(a, 0, 1, text, COHORT_FOREVER));
	CLOSED(cohort_array_add(a, 0, 1, &n));
	CLOSED(cohort_array_exchange(a, 0, 1, &n));
	CLOSED(cohort_array_compare(a, 0, 1, 2, &n));
	CLOSED(cohort_array_text(a, text, sizeof text, COHORT_FOREVER));
	CLOSED(cohort_array_set_text(a, text, COHORT_FOREVER));
	CHECK(cohort_array_data(a) == NULL && cohort_array_lock(a) == NULL);
	CHECK(cohort_array_count(a) == 0 && cohort_array_size(a) == 0 && cohort_array_type(a) == 0);
	still_no_harm(a);
	cohort_array_close(a);
}

TEST(closed, block_and_arena_say_so)
{
	struct cohort_memory_options block = {.size = 100};
	struct cohort_arena_options room = {.size = 1 << 20};
	struct cohort_arena_stats stats;
	struct cohort_memory *m;
	struct cohort_arena *a;
	uint64_t at;

	REQUIRE_EQ(cohort_memory_open(&m, "local:", &block, NULL), 0);
	cohort_memory_close(m);
	CHECK(cohort_memory_data(m) == NULL && cohort_memory_size(m) == 0 && cohort_memory_name(m) == NULL);
	still_no_harm(m);
	cohort_memory_close(m);
	REQUIRE_EQ(cohort_arena_open(&a, "local:", &room, NULL), 0);
	REQUIRE_EQ(cohort_arena_alloc(a, 10, &at), 0);
	cohort_arena_close(a);
	CLOSED(cohort_arena_alloc(a, 10, &at));
	CLOSED(cohort_arena_free(a, at));
	CHECK(cohort_arena_at(a, at) == NULL && cohort_arena_size_at(a, at) == 0);
	cohort_arena_stats(a, &stats);
	CHECK_EQ(stats.size, 0);
	still_no_harm(a);
	cohort_arena_close(a);
}

TEST(closed, list_says_so)
{
	struct cohort_list_options o = {.count = 3};
	struct cohort_list_item item = {.type = COHORT_ITEM_NONE};
	struct cohort_list *l;

	REQUIRE_EQ(cohort_list_open(&l, "local:", &o, NULL), 0);
	cohort_list_close(l);
	CLOSED(cohort_list_get(l, 0, &item, NULL, 0));
	CLOSED(cohort_list_set(l, 0, &item));
	CLOSED(cohort_list_index(l, &item, 0));
	CHECK(cohort_list_count(l) == 0 && cohort_list_tally(l, &item) == 0);
	still_no_harm(l);
	cohort_list_close(l);
}

TEST(closed, dict_says_so)
{
	struct cohort_dict_bytes key = {"k", 1};
	struct cohort_dict *d;
	uint64_t cursor = 0;
	size_t size;
	int64_t n;

	REQUIRE_EQ(cohort_dict_open(&d, "local:", NULL, NULL), 0);
	cohort_dict_close(d);
	CLOSED(cohort_dict_set(d, key, key));
	CLOSED(cohort_dict_add(d, key, key));
	CLOSED(cohort_dict_get(d, key, NULL, 0, &size));
	CLOSED(cohort_dict_remove(d, key, NULL, 0, &size));
	CLOSED(cohort_dict_compare(d, key, key, key));
	CLOSED(cohort_dict_incr(d, key, 1, &n));
	CLOSED(cohort_dict_clear(d));
	CLOSED(cohort_dict_next(d, &cursor, NULL, 0, &size));
	CHECK_EQ(cohort_dict_count(d), 0);
	still_no_harm(d);
	cohort_dict_close(d);
}

TEST(closed, queue_says_so)
{
	struct cohort_bytes bytes = {"x", 1};
	struct cohort_queue_stats stats;
	struct cohort_item item = {0};
	struct cohort_queue *q;
	char c;

	REQUIRE_EQ(cohort_queue_open(&q, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_queue_shutdown(q, (enum cohort_shutdown_mode)7), COHORT_EARGUMENT);
	CHECK_HAS(cohort_queue_error(q), "7");
	CHECK_EQ(cohort_queue_close(q, COHORT_NOW), 0);
	CLOSED(cohort_queue_put_bytes(q, "x", 1, COHORT_FOREVER));
	CHECK_HAS(cohort_queue_error(q), "closed");
	CLOSED(cohort_queue_put_many(q, &bytes, 1, COHORT_FOREVER));
	CLOSED(cohort_queue_get_into(q, &c, 1, NULL, COHORT_FOREVER));
	CLOSED(cohort_queue_get_many(q, &bytes, 1, &c, 1, COHORT_FOREVER));
	CLOSED(cohort_queue_peek(q, &c, 1, NULL, COHORT_FOREVER));
	CLOSED(cohort_queue_take(q, &item, COHORT_FOREVER));
	CLOSED(cohort_queue_ack(q, &item));
	CLOSED(cohort_queue_return(q, &item));
	CLOSED(cohort_queue_task_done(q));
	CLOSED(cohort_queue_join(q, COHORT_FOREVER));
	CLOSED(cohort_queue_shutdown(q, COHORT_SHUTDOWN_NOW));
	CLOSED(cohort_queue_size(q));
	CLOSED(cohort_queue_stats(q, &stats));
	CLOSED(cohort_queue_fd(q));
	CLOSED(cohort_queue_close(q, COHORT_NOW));
	still_no_harm(q);
}

TEST(closed, lock_is_no_lock_of_another_object)
{
	struct cohort_condition_options co = {0};
	struct cohort_value_options vo = {.type = 'i'};
	struct cohort_error err = {0};
	struct cohort_condition *c;
	struct cohort_value *v;
	struct cohort_lock *l;

	REQUIRE_EQ(cohort_lock_open(&l, "local:", NULL, NULL), 0);
	cohort_lock_close(l);
	co.lock = vo.with = l;
	CHECK_EQ(cohort_condition_open(&c, "local:", &co, &err), COHORT_ECLOSED);
	CHECK_HAS(err.text, "lock");
	CHECK_EQ(cohort_value_open(&v, "local:", &vo, &err), COHORT_ECLOSED);
	CHECK_HAS(err.text, "lock");
}

/* Those that were closed long ago are freed. */
TEST(closed, handles_do_not_pile_up)
{
	struct cohort_lock *l;

	for (int i = 0; i < 1000; i++) {
		REQUIRE_EQ(cohort_lock_open(&l, "local:", NULL, NULL), 0);
		cohort_lock_close(l);
		CLOSED(cohort_lock_locked(l));
	}
}
