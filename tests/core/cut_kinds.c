/* cut_kinds.c - every kind of shared object, and a walk through its calls. */
#include "core/cut_kinds.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOMENT cohort_in(2 * COHORT_MS)
#define LARGE 70000 /* over `inlined`, and a block that begins at a page */

#define OPEN(noun, what, ...)                                                                                \
	static int open_##what(void **out, const char *address, struct cohort_error *err)                    \
	{                                                                                                    \
		struct cohort_##noun##_options o = {__VA_ARGS__};                                            \
		struct cohort_##noun *object = NULL;                                                         \
		int rc = cohort_##noun##_open(&object, address, &o, err);                                    \
		*out = object;                                                                               \
		return rc;                                                                                   \
	}
#define CLOSE(noun)                                                                                          \
	static void close_##noun(void *object)                                                               \
	{                                                                                                    \
		cohort_##noun##_close(object);                                                               \
	}
/* A call of NOUN that needs no more than its object O. */
#define CALL(name, expression)                                                                               \
	static int64_t name(void *o)                                                                         \
	{                                                                                                    \
		return expression;                                                                           \
	}

/* ---- sync.h ---- */

OPEN(lock, lock, .recursive = 0)
OPEN(lock, rlock, .recursive = 1)
CLOSE(lock)
CALL(lock_acquire, cohort_lock_acquire(o, MOMENT))
CALL(lock_locked, cohort_lock_locked(o))
CALL(lock_release, cohort_lock_release(o))

OPEN(semaphore, semaphore, .value = 2)
OPEN(semaphore, bounded, .value = 2, .bounded = 1)
CLOSE(semaphore)
CALL(semaphore_acquire, cohort_semaphore_acquire(o, MOMENT))
CALL(semaphore_release, cohort_semaphore_release(o, 1))

OPEN(condition, condition, .open = COHORT_OPEN_EITHER)
CLOSE(condition)
static int never(void *arg)
{
	(void)arg;
	return 0;
}
CALL(condition_acquire, cohort_condition_acquire(o, MOMENT))
CALL(condition_notify, cohort_condition_notify(o, 1))
CALL(condition_all, cohort_condition_notify_all(o))
CALL(condition_wait, cohort_condition_wait(o, MOMENT))
CALL(condition_wait_for, cohort_condition_wait_for(o, never, NULL, MOMENT))
CALL(condition_release, cohort_condition_release(o))

OPEN(event, event, .open = COHORT_OPEN_EITHER)
CLOSE(event)
CALL(event_wait, cohort_event_wait(o, MOMENT))
CALL(event_set, cohort_event_set(o))
CALL(event_is_set, cohort_event_is_set(o))
CALL(event_clear, cohort_event_clear(o))

OPEN(barrier, barrier, .parties = 1)
OPEN(barrier, pair, .parties = 2)
CLOSE(barrier)
CALL(barrier_wait, cohort_barrier_wait(o, MOMENT))
CALL(barrier_broken, cohort_barrier_broken(o))
CALL(barrier_abort, cohort_barrier_abort(o))
CALL(barrier_reset, cohort_barrier_reset(o))

OPEN(rwlock, rwlock, .open = COHORT_OPEN_EITHER)
CLOSE(rwlock)
CALL(rwlock_read, cohort_rwlock_read(o, MOMENT))
CALL(rwlock_write, cohort_rwlock_write(o, MOMENT))
CALL(rwlock_locked, cohort_rwlock_locked(o))
CALL(rwlock_release, cohort_rwlock_release(o))

/* ---- data.h ---- */

OPEN(value, value, .type = 'q')
OPEN(value, raw, .type = 'q', .lock = COHORT_DATA_RAW)
CLOSE(value)
static _Thread_local int64_t number;
CALL(value_get, cohort_value_get(o, &number, MOMENT))
CALL(value_set, cohort_value_set(o, &number, MOMENT))
CALL(value_add, cohort_value_add(o, 1, NULL))
CALL(value_exchange, cohort_value_exchange(o, 1, &number))
CALL(value_compare, cohort_value_compare(o, 1, 2, &number))
CALL(value_load, cohort_value_load(o, &number))
CALL(value_lock, cohort_lock_acquire(cohort_value_lock(o), MOMENT))
CALL(value_unlock, cohort_lock_release(cohort_value_lock(o)))

#define LONG 2000
static _Thread_local int64_t numbers[LONG];
OPEN(array, array, .type = 'q', .count = LONG)
CLOSE(array)
CALL(array_get, cohort_array_get(o, 0, LONG, numbers, MOMENT))
CALL(array_set, cohort_array_set(o, 0, LONG, numbers, MOMENT))
CALL(array_add, cohort_array_add(o, LONG - 1, 1, NULL))
CALL(array_exchange, cohort_array_exchange(o, 0, 1, &number))
CALL(array_compare, cohort_array_compare(o, LONG / 2, 1, 2, &number))

static _Thread_local char bytes[LARGE];
OPEN(array, text, .type = 'c', .count = 10000)
CALL(text_set, cohort_array_set_text(o, "of some length", MOMENT))
CALL(text_get, cohort_array_text(o, bytes, 10001, MOMENT))

OPEN(memory, memory, .size = 50000)
CLOSE(memory)
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER; /* a block has none */
static int64_t memory_fill(void *o)
{
	pthread_mutex_lock(&memory_lock);
	memset(cohort_memory_data(o), 1, cohort_memory_size(o));
	pthread_mutex_unlock(&memory_lock);
	return cohort_shared_check(o, NULL);
}
static int64_t memory_look(void *o)
{
	pthread_mutex_lock(&memory_lock);
	memcpy(bytes, cohort_memory_data(o), cohort_memory_size(o));
	pthread_mutex_unlock(&memory_lock);
	return cohort_shared_check(o, NULL);
}

OPEN(list, list, .count = 200, .room = 100)
CLOSE(list)
static const struct cohort_list_item text = {.type = COHORT_ITEM_TEXT, .data = "a text", .size = 6};
static int64_t list_get(void *o)
{
	struct cohort_list_item item;

	return cohort_list_get(o, 150, &item, bytes, sizeof bytes);
}
CALL(list_set, cohort_list_set(o, 150, &text))
CALL(list_index, cohort_list_index(o, &text, 0))

OPEN(arena, arena, .size = 1 << 20)
CLOSE(arena)
/* Some blocks of SIZE, of which every other one goes first. */
static int64_t arena_some(void *o, size_t size)
{
	uint64_t at[6];
	int rc = 0;

	for (int i = 0; rc == 0 && i < 6; i++)
		rc = cohort_arena_alloc(o, size + (size_t)i * 16, &at[i]);
	for (int i = 0; rc == 0 && i < 6; i++)
		rc = cohort_arena_free(o, at[i * 2 % 6 + (i >= 3)]);
	return rc;
}
CALL(arena_small, arena_some(o, 100))
CALL(arena_medium, arena_some(o, 3000))
CALL(arena_large, arena_some(o, LARGE))

OPEN(dict, dict, .memory = 1 << 20)
CLOSE(dict)
#define BYTES(p, n) ((struct cohort_dict_bytes){(p), (n)})
static int64_t dict_fill(void *o)
{
	char key[16];
	int rc = 0;

	for (int i = 0; rc == 0 && i < 20; i++) {
		snprintf(key, sizeof key, "%d", i);
		rc = cohort_dict_set(o, BYTES(key, strlen(key)), BYTES(bytes, (size_t)i * 7));
	}
	return rc;
}
static int64_t dict_next(void *o)
{
	uint64_t cursor = 0;
	size_t got;
	int rc;

	while ((rc = cohort_dict_next(o, &cursor, bytes, sizeof bytes, &got)) == 1)
		;
	return rc;
}
CALL(dict_add, cohort_dict_add(o, BYTES("new", 3), BYTES("it", 2)))
CALL(dict_get, cohort_dict_get(o, BYTES("15", 2), bytes, sizeof bytes, NULL))
CALL(dict_compare, cohort_dict_compare(o, BYTES("new", 3), BYTES("it", 2), BYTES("that", 4)))
CALL(dict_incr, cohort_dict_incr(o, BYTES("n", 1), 1, &number))
CALL(dict_remove, cohort_dict_remove(o, BYTES("7", 1), NULL, 0, NULL))
CALL(dict_clear, cohort_dict_clear(o))

/* ---- queue.h ---- */

OPEN(queue, queue, .memory = 1 << 20, .priorities = 2, .takes = 4)
OPEN(queue, full, .memory = 1 << 18, .most = 2, .tries = 2)
static void close_queue(void *object)
{
	CHECK(cohort_queue_close(object, COHORT_NOW) >= 0);
}
static int64_t queue_many(void *o)
{
	struct cohort_bytes items[4] = {{bytes, 10}, {bytes, LARGE}, {bytes, 100}, {bytes, 3000}};

	return cohort_queue_put_many(o, items, 4, MOMENT);
}
static int64_t queue_get_many(void *o)
{
	struct cohort_bytes items[4];

	return cohort_queue_get_many(o, items, 4, bytes, sizeof bytes, MOMENT);
}
static int64_t queue_ack(void *o)
{
	struct cohort_item item;
	int rc = cohort_queue_take(o, &item, MOMENT);

	return rc != 0 ? rc : cohort_queue_ack(o, &item);
}
static int64_t queue_return(void *o)
{
	struct cohort_item item;
	int rc = cohort_queue_take(o, &item, MOMENT);

	return rc != 0 ? rc : cohort_queue_return(o, &item);
}
static int64_t queue_stats(void *o)
{
	struct cohort_queue_stats stats;

	return cohort_queue_stats(o, &stats);
}
CALL(queue_put, cohort_queue_put_bytes(o, bytes, 64, MOMENT))
CALL(queue_put_large, cohort_queue_put_bytes(o, bytes, LARGE, MOMENT))
CALL(queue_put_now, cohort_queue_put_bytes(o, bytes, 64, COHORT_NOW))
CALL(queue_get, cohort_queue_get_into(o, bytes, sizeof bytes, NULL, MOMENT))
CALL(queue_get_now, cohort_queue_get_into(o, bytes, sizeof bytes, NULL, COHORT_NOW))
CALL(queue_peek, cohort_queue_peek(o, bytes, sizeof bytes, NULL, MOMENT))
CALL(queue_done, cohort_queue_task_done(o))
CALL(queue_join, cohort_queue_join(o, MOMENT))
CALL(queue_size, cohort_queue_size(o))
CALL(queue_fd, cohort_queue_fd(o))
CALL(queue_shutdown, cohort_queue_shutdown(o, COHORT_SHUTDOWN_NOW))

/* ---- all ---- */

const struct cut_kind cut_kinds[CUT_KINDS] = {
    {"lock", open_lock, close_lock, {lock_acquire, lock_locked, lock_acquire, lock_release}},
    {"rlock", open_rlock, close_lock, {lock_acquire, lock_acquire, lock_release, lock_release}},
    {"semaphore", open_semaphore, close_semaphore,
	{semaphore_acquire, semaphore_acquire, semaphore_acquire, semaphore_release, semaphore_release,
	    semaphore_release}},
    {"bounded", open_bounded, close_semaphore,
	{semaphore_acquire, semaphore_acquire, semaphore_release, semaphore_release, semaphore_release}},
    {"condition", open_condition, close_condition,
	{condition_acquire, condition_notify, condition_all, condition_wait, condition_wait_for, condition_release}},
    {"event", open_event, close_event, {event_wait, event_set, event_is_set, event_wait, event_clear}},
    {"barrier", open_barrier, close_barrier,
	{barrier_wait, barrier_broken, barrier_wait, barrier_abort, barrier_wait, barrier_reset}},
    {"pair", open_pair, close_barrier, {barrier_wait, barrier_reset, barrier_wait, barrier_reset}},
    {"rwlock", open_rwlock, close_rwlock,
	{rwlock_read, rwlock_locked, rwlock_release, rwlock_write, rwlock_locked, rwlock_release}},
    {"value", open_value, close_value,
	{value_get, value_set, value_add, value_exchange, value_compare, value_load, value_lock, value_get, value_unlock}},
    {"raw", open_raw, close_value, {value_get, value_set, value_add, value_exchange, value_compare, value_load}},
    {"array", open_array, close_array, {array_get, array_set, array_add, array_exchange, array_compare}},
    {"text", open_text, close_array, {text_set, text_get}},
    {"memory", open_memory, close_memory, {memory_fill, memory_look}},
    {"list", open_list, close_list, {list_set, list_get, list_index, list_set}},
    {"arena", open_arena, close_arena, {arena_small, arena_medium, arena_large}},
    {"dict", open_dict, close_dict,
	{dict_fill, dict_add, dict_get, dict_compare, dict_incr, dict_incr, dict_next, dict_remove, dict_clear}},
    {"queue", open_queue, close_queue,
	{queue_fd, queue_put, queue_put_large, queue_many, queue_peek, queue_get, queue_get, queue_done, queue_ack,
	    queue_return, queue_size, queue_stats, queue_get_many, queue_get_now, queue_get_now, queue_get,
	    queue_join, queue_put_large, queue_put, queue_shutdown}},
    {"full", open_full, close_queue,
	{queue_put, queue_put, queue_put, queue_put_now, queue_put_large, queue_get, queue_put_large, queue_return,
	    queue_return, queue_return, queue_get, queue_get, queue_get_now}},
};

const struct cut_kind *cut_kind(const char *name)
{
	for (int i = 0; i < CUT_KINDS; i++)
		if (strcmp(cut_kinds[i].name, name) == 0)
			return &cut_kinds[i];
	FAIL("no kind %s", name);
	return NULL;
}

void *cut_open(const struct cut_kind *k, const char *address)
{
	struct cohort_error err = {.code = 0};
	void *object = NULL;

	if (!CHECK_EQ(k->open(&object, address, &err), 0))
		FAIL("%s: %s", k->name, err.text);
	REQUIRE(object != NULL);
	return object;
}

void cut_walk(const struct cut_kind *k, void *object, const _Atomic bool *stop)
{
	for (int i = 0; i < CUT_CALLS && k->calls[i] != NULL && (stop == NULL || !*stop); i++)
		(void)k->calls[i](object);
}

const char *cut_file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "/dev/shm/cohort-%u/names/%s/segment", (unsigned)geteuid(), name);
	return path;
}

long cut_size_of(const char *name)
{
	struct stat st;

	REQUIRE(stat(cut_file(name), &st) == 0);
	return (long)st.st_size;
}

void cut_to(const char *name, long size)
{
	REQUIRE(truncate(cut_file(name), size >= 0 ? size : cut_size_of(name) + size) == 0);
}
