/* test_data_share.c - all kinds of shared data, opened by children at inherit:NAME, and used by threads at once. */
#include "support/test.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SOON cohort_in(test_span(20 * COHORT_SECOND))

/* One of each. */
struct all {
	struct cohort_value *value;
	struct cohort_array *array;
	struct cohort_memory *memory;
	struct cohort_list *list;
	struct cohort_arena *arena;
	struct cohort_dict *dict;
};

static int open_all(struct all *a, const char *scheme, bool new)
{
	struct cohort_value_options vo = {.type = new ? 'q' : 0};
	struct cohort_array_options ao = {.type = new ? 'i' : 0, .count = new ? 8 : 0};
	struct cohort_memory_options mo = {.size = new ? 5000 : 0};
	struct cohort_list_options lo = {.count = new ? 8 : 0};
	struct cohort_arena_options ro = {.size = new ? 1 << 20 : 0};
	char at[32];
	int rc = 0;

#define OPEN(kind, options)                                                                        \
	snprintf(at, sizeof at, "%s%s", scheme, new ? "" : #kind);                                 \
	rc = rc != 0 ? rc : cohort_##kind##_open(&a->kind, at, options, NULL)
	OPEN(value, &vo);
	OPEN(array, &ao);
	OPEN(memory, &mo);
	OPEN(list, &lo);
	OPEN(arena, &ro);
	OPEN(dict, NULL);
#undef OPEN
	return rc;
}

static void close_all(struct all *a)
{
	cohort_value_close(a->value);
	cohort_array_close(a->array);
	cohort_memory_close(a->memory);
	cohort_list_close(a->list);
	cohort_arena_close(a->arena);
	cohort_dict_close(a->dict);
}

/* A little of everything, N times; 0 when all of it worked. */
static int use_all(struct all *a, int n)
{
	struct cohort_list_item item = {.type = COHORT_ITEM_TEXT, .data = "text", .size = 4};
	struct cohort_dict_bytes key = {"sum", 3};
	int bad = 0, five = 5;
	uint64_t at;
	char got[64];

	for (int i = 0; i < n; i++) {
		bad += cohort_value_add(a->value, 1, NULL) != 0;
		bad += cohort_array_set(a->array, (size_t)i % 8, 1, &five, SOON) != 0;
		bad += cohort_list_set(a->list, (size_t)i % 8, &item) != 0;
		bad += cohort_list_get(a->list, (size_t)i % 8, &item, got, sizeof got) != 0;
		item.data = "text"; /* and not where it was copied to */
		bad += cohort_dict_incr(a->dict, key, 1, NULL) != 0;
		bad += cohort_dict_set(a->dict, (struct cohort_dict_bytes){&i, sizeof i},
			   (struct cohort_dict_bytes){got, (size_t)i % 60}) != 0;
		bad += cohort_arena_alloc(a->arena, 1 + (size_t)i % 3000, &at) != 0;
		memset(cohort_arena_at(a->arena, at), 1, cohort_arena_size_at(a->arena, at));
		bad += cohort_arena_free(a->arena, at) != 0;
	}
	return bad;
}

static void check_used(struct all *a, int64_t times)
{
	struct cohort_arena_stats s;
	int64_t n = -1;

	CHECK_EQ(cohort_value_load(a->value, &n), 0);
	CHECK_EQ(n, times);
	CHECK_EQ(cohort_dict_incr(a->dict, (struct cohort_dict_bytes){"sum", 3}, 0, &n), 0);
	CHECK_EQ(n, times);
	cohort_arena_stats(a->arena, &s);
	CHECK_EQ(s.used, 0);
}

static int use_inherited(struct cohort_call *call)
{
	struct all a = {0};
	int rc = open_all(&a, "inherit:", false);

	(void)call;
	if (rc == 0)
		rc = use_all(&a, 100) == 0 ? 0 : -EIO;
	if (rc == 0)
		memcpy((char *)cohort_memory_data(a.memory) + 4990, "child", 6);
	close_all(&a);
	return rc;
}
COHORT_TASK(use_inherited, "", "");

TEST(data_share, a_child_opens_all_kinds_however_it_was_started)
{
	struct cohort_process_options o = {.shares = 6};
	struct cohort_process *p = NULL;
	struct all a = {0};
	int code = -1;

	REQUIRE_EQ(cohort_init(&test_argc, &test_argv, NULL), 0);
	REQUIRE_EQ(open_all(&a, "local:", true), 0);
	o.share = (struct cohort_share[]){{"value", a.value}, {"array", a.array},
	    {"memory", a.memory}, {"list", a.list}, {"arena", a.arena}, {"dict", a.dict}};
	for (o.start = COHORT_START_ZYGOTE; o.start <= COHORT_START_FORK; o.start++) {
		memset(cohort_memory_data(a.memory), 0, 5000);
		REQUIRE_EQ(cohort_process_start(&p, &o, NULL, "use_inherited"), 0);
		CHECK_EQ(cohort_process_join(p, SOON), 0);
		CHECK_EQ(cohort_process_exit_code(p, &code), 0);
		CHECK_EQ(code, 0);
		cohort_process_free(p);
		CHECK_STR((char *)cohort_memory_data(a.memory) + 4990, "child");
	}
	check_used(&a, 300);
	close_all(&a);
}

static void *use_thread(void *arg)
{
	CHECK_EQ(use_all(arg, 500), 0);
	return NULL;
}

TEST(data_share, threads_use_the_same_handles_at_once)
{
	struct all a = {0};
	pthread_t t[4];

	REQUIRE_EQ(open_all(&a, "local:", true), 0);
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&t[i], NULL, use_thread, &a) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	check_used(&a, 2000);
	close_all(&a);
}

static int open_and_close(void *arg)
{
	struct all a = {0};
	int rc = open_all(&a, "local:", true);

	(void)arg;
	close_all(&a);
	return rc;
}

TEST(data_share, opening_survives_every_failed_allocation)
{
	test_every_allocation(open_and_close, NULL);
}
