/* test_array.c - many values of one type that processes share, and text. */
#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/data.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct cohort_array *make(const char *address, struct cohort_array_options o)
{
	struct cohort_error err = {.code = 0};
	struct cohort_array *a = NULL;

	if (!CHECK_EQ(cohort_array_open(&a, address, &o, &err), 0))
		FAIL("%s", err.text);
	REQUIRE(a != NULL);
	return a;
}

TEST(array, holds_its_elements_one_after_another)
{
	static const char codes[] = "cubBhHiIlLqQfd";

	for (size_t i = 0; i < sizeof codes - 1; i++)
		for (int raw = 0; raw < 2; raw++) {
			struct cohort_array *a = make("local:",
			    (struct cohort_array_options){.type = codes[i],
				.count = 37,
				.lock = raw ? COHORT_DATA_RAW : COHORT_DATA_LOCKED});
			size_t size = cohort_array_size(a);
			unsigned char in[37 * 8], out[37 * 8] = {0};

			for (size_t n = 0; n < sizeof in; n++)
				in[n] = (unsigned char)(n * 13 + 1);
			CHECK_EQ(cohort_array_count(a), 37);
			CHECK_EQ(cohort_array_type(a), codes[i]);
			CHECK_EQ(cohort_array_set(a, 0, 37, in, COHORT_NOW), 0);
			CHECK_EQ(cohort_array_get(a, 3, 20, out, COHORT_NOW), 0);
			CHECK_MEM(out, in + 3 * size, 20 * size);
			CHECK_MEM(cohort_array_data(a), in, 37 * size);
			CHECK(size == 8 || out[20 * size] == 0);
			cohort_array_close(a);
		}
}

TEST(array, begins_with_what_it_is_given)
{
	double first[] = {1.5, 2.5, 3.5}, got[3];
	struct cohort_array *a =
	    make("local:", (struct cohort_array_options){.type = 'd', .count = 3, .init = first});

	CHECK_EQ(cohort_array_get(a, 0, 3, got, COHORT_FOREVER), 0);
	CHECK_MEM(got, first, sizeof first);
	cohort_array_close(a);
}

TEST(array, refuses_elements_that_are_not_there)
{
	struct cohort_array *a =
	    make("local:", (struct cohort_array_options){.type = 'i', .count = 10});
	int buffer[20] = {0};

	CHECK_EQ(cohort_array_get(a, 0, 11, buffer, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_set(a, 10, 1, buffer, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_get(a, 11, 0, buffer, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_get(a, 10, 0, buffer, COHORT_NOW), 0);
	CHECK_EQ(cohort_array_get(a, SIZE_MAX, 2, buffer, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_get(a, 2, SIZE_MAX, buffer, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_add(a, 10, 1, NULL), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_exchange(a, SIZE_MAX, 1, NULL), COHORT_EARGUMENT);
	CHECK_EQ(cohort_array_compare(a, 10, 1, 1, NULL), COHORT_EARGUMENT);
	cohort_array_close(a);
}

TEST(array, refuses_options_that_cannot_be)
{
	struct cohort_array_options bad[] = {{.type = 'i'}, {.count = 10},
	    {.type = 'x', .count = 10}, {.type = 'd', .count = ((size_t)1 << 37) + 1},
	    {.type = 'c', .count = SIZE_MAX}, {.size = 1 << 30, .count = 1025},
	    {.type = 'd', .size = 4, .count = 1}};
	struct cohort_array *a = NULL;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_EQ(cohort_array_open(&a, "local:", &bad[i], NULL), COHORT_EARGUMENT);
	a = make("local:a", (struct cohort_array_options){.type = 'i', .count = 10});
	bad[0] = (struct cohort_array_options){.type = 'i', .count = 11};
	CHECK_EQ(cohort_array_open(&a, "local:a", &bad[0], NULL), COHORT_EARGUMENT);
	bad[0] = (struct cohort_array_options){.type = 'I', .count = 10};
	CHECK_EQ(cohort_array_open(&a, "local:a", &bad[0], NULL), COHORT_EARGUMENT);
	cohort_array_close(make("local:a", (struct cohort_array_options){.count = 10}));
	cohort_array_close(a);
}

TEST(array, steps_on_its_elements)
{
	struct cohort_array *a =
	    make("local:", (struct cohort_array_options){.type = 'h', .count = 3});
	int16_t got[3];
	int64_t old = 0;

	CHECK_EQ(cohort_array_add(a, 1, 40, NULL), 0);
	CHECK_EQ(cohort_array_add(a, 1, 2, &old), 0);
	CHECK_EQ(old, 40);
	CHECK_EQ(cohort_array_exchange(a, 2, -7, &old), 0);
	CHECK_EQ(cohort_array_compare(a, 2, -7, 8, &old), 1);
	CHECK_EQ(cohort_array_compare(a, 2, -7, 9, &old), 0);
	CHECK_EQ(old, 8);
	CHECK_EQ(cohort_array_get(a, 0, 3, got, COHORT_FOREVER), 0);
	CHECK(got[0] == 0 && got[1] == 42 && got[2] == 8);
	cohort_array_close(a);
}

TEST(array, of_type_c_is_text_up_to_its_first_nul)
{
	struct cohort_array *a =
	    make("local:", (struct cohort_array_options){.type = 'c', .count = 8});
	char out[16];

	CHECK_EQ(cohort_array_text(a, out, sizeof out, COHORT_NOW), 0);
	CHECK_STR(out, "");
	CHECK_EQ(cohort_array_set_text(a, "eight!!!", COHORT_NOW), 8); /* no room for a NUL */
	CHECK_EQ(cohort_array_text(a, out, sizeof out, COHORT_NOW), 8);
	CHECK_STR(out, "eight!!!");
	CHECK_EQ(cohort_array_set_text(a, "ab", COHORT_NOW), 2);
	CHECK_EQ(cohort_array_text(a, out, sizeof out, COHORT_NOW), 2);
	CHECK_STR(out, "ab");
	CHECK_MEM(
	    cohort_array_data(a), "ab\0ht!!!", 8); /* what lies behind it stays, as in Python */
	CHECK_EQ(cohort_array_text(a, out, 2, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(cohort_array_text(a, out, 3, COHORT_NOW), 2);
	CHECK_EQ(cohort_array_set_text(a, "nine chars", COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(cohort_array_text(a, out, 3, COHORT_NOW), 2);
	cohort_array_close(a);
	a = make("local:", (struct cohort_array_options){.type = 'b', .count = 8});
	CHECK_EQ(cohort_array_text(a, out, sizeof out, COHORT_NOW), COHORT_ENOTSUP);
	CHECK_EQ(cohort_array_set_text(a, "x", COHORT_NOW), COHORT_ENOTSUP);
	cohort_array_close(a);
}

/* ---- structs ---- */

/* Of no size that a type has, and not a power of two. */
struct point {
	int16_t x, y;
	char name[26]; /* no padding behind it: they are compared as bytes */
};

#define POINTS 50

static struct point point_of(int i)
{
	struct point p = {.x = (int16_t)i, .y = (int16_t)(i * -7)};

	snprintf(p.name, sizeof p.name, "point %d", i);
	return p;
}

/* The odd ones, in a process of its own that says nothing of their size. */
static void write_odd_points(void *arg)
{
	struct cohort_array *a = make(arg, (struct cohort_array_options){.open = COHORT_OPEN_ATTACH});
	struct point p, got;

	CHECK_EQ(cohort_array_size(a), sizeof p);
	for (int i = 1; i < POINTS; i += 2) {
		p = point_of(i - 1);
		CHECK_EQ(cohort_array_get(a, (size_t)i - 1, 1, &got, COHORT_FOREVER), 0);
		CHECK_MEM(&got, &p, sizeof p);
		p = point_of(i);
		CHECK_EQ(cohort_array_set(a, (size_t)i, 1, &p, COHORT_FOREVER), 0);
	}
	cohort_array_close(a);
}

TEST(array, of_structs_is_written_by_one_process_and_read_by_another)
{
	struct cohort_array_options o = {.size = sizeof(struct point), .count = POINTS};
	struct cohort_array *a = make("local:points", o), *same = make("local:points", o);
	struct point p, all[POINTS];

	CHECK_EQ(cohort_array_type(a), 0);
	CHECK_EQ(cohort_array_size(a), sizeof p);
	CHECK_EQ(cohort_array_count(same), POINTS);
	for (int i = 0; i < POINTS; i += 2) {
		p = point_of(i);
		CHECK_EQ(cohort_array_set(a, (size_t)i, 1, &p, COHORT_FOREVER), 0);
	}
	CHECK_EQ(sync_join(sync_fork(write_odd_points, (void *)(uintptr_t) "local:points")), 0);
	CHECK_EQ(cohort_array_get(same, 0, POINTS, all, COHORT_FOREVER), 0);
	for (int i = 0; i < POINTS; i++) {
		p = point_of(i);
		CHECK_MEM(&all[i], &p, sizeof p);
		CHECK_MEM((struct point *)cohort_array_data(same) + i, &p, sizeof p);
	}
	CHECK_EQ(cohort_array_get(a, POINTS - 1, 2, all, COHORT_NOW), COHORT_EARGUMENT);
	cohort_array_close(same);
	cohort_array_close(a);
}

TEST(array, of_structs_begins_with_them_and_is_no_array_of_numbers)
{
	struct point first[2] = {point_of(1), point_of(2)}, got[2];
	struct cohort_array_options o = {.size = sizeof first[0], .count = 2, .init = first};
	struct cohort_array *a = make("local:points", o), *other = NULL;
	char text[64];

	CHECK_EQ(cohort_array_get(a, 0, 2, got, COHORT_NOW), 0);
	CHECK_MEM(got, first, sizeof first);
	CHECK_EQ(cohort_array_add(a, 0, 1, NULL), COHORT_ENOTSUP);
	CHECK_EQ(cohort_array_exchange(a, 0, 1, NULL), COHORT_ENOTSUP);
	CHECK_EQ(cohort_array_compare(a, 0, 1, 1, NULL), COHORT_ENOTSUP);
	CHECK_EQ(cohort_array_text(a, text, sizeof text, COHORT_NOW), COHORT_ENOTSUP);
	o.size++;
	CHECK_EQ(cohort_array_open(&other, "local:points", &o, NULL), COHORT_EARGUMENT);
	o = (struct cohort_array_options){.type = 'h', .count = 2};
	CHECK_EQ(cohort_array_open(&other, "local:points", &o, NULL), COHORT_EARGUMENT);
	CHECK(other == NULL);
	cohort_array_close(a);
}

/* ---- locks ---- */

/* All elements are always the same: nobody sees a copy of which only a part was made. */
static void fill(void *arg)
{
	struct cohort_array *a =
	    make(arg, (struct cohort_array_options){.open = COHORT_OPEN_ATTACH});
	int64_t in[500];

	for (int64_t round = 0; round < 500; round++) {
		for (int i = 0; i < 500; i++)
			in[i] = round;
		CHECK_EQ(cohort_array_set(a, 0, 500, in, COHORT_FOREVER), 0);
	}
	cohort_array_close(a);
}

TEST(array, with_a_lock_is_copied_whole)
{
	struct cohort_array *a =
	    make("local:a", (struct cohort_array_options){.type = 'q', .count = 500});
	pid_t pid = sync_fork(fill, (void *)(uintptr_t) "local:a");
	int64_t got[500];

	do {
		CHECK_EQ(cohort_array_get(a, 0, 500, got, COHORT_FOREVER), 0);
		for (int i = 1; i < 500; i++)
			REQUIRE_EQ(got[i], got[0]);
	} while (got[0] < 499);
	CHECK_EQ(sync_join(pid), 0);
	cohort_array_close(a);
}

TEST(array, with_a_lock_shows_it_and_raw_has_none)
{
	struct cohort_array *a = make("local:", (struct cohort_array_options){.type = 'i', .count = 2});
	struct cohort_array *raw = make(
	    "local:", (struct cohort_array_options){.type = 'i', .count = 2, .lock = COHORT_DATA_RAW});

	REQUIRE(cohort_array_lock(a) != NULL);
	CHECK_EQ(cohort_lock_acquire(cohort_array_lock(a), COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_release(cohort_array_lock(a)), 0);
	CHECK(cohort_array_lock(raw) == NULL);
	cohort_array_close(a);
	cohort_array_close(raw);
}

#define GIVEN "local:given-lock"
#define GUARDED "local:guarded"

static struct cohort_lock *open_given(enum cohort_open how)
{
	struct cohort_lock_options o = {.open = how};
	struct cohort_lock *l = NULL;

	REQUIRE_EQ(cohort_lock_open(&l, GIVEN, &o, NULL), 0);
	return l;
}

/* Another process has the same lock by its name; *RC is what its calls shall find. */
static void set_guarded(void *rc)
{
	struct cohort_lock *l = open_given(COHORT_OPEN_ATTACH);
	struct cohort_array *a = make(GUARDED, (struct cohort_array_options){.open = COHORT_OPEN_ATTACH, .with = l});
	int32_t in[3] = {4, 5, 6}, out[3];

	CHECK(cohort_array_lock(a) == l);
	CHECK_EQ(cohort_array_set(a, 0, 3, in, COHORT_NOW), *(int *)rc);
	CHECK_EQ(cohort_array_get(a, 0, 3, out, COHORT_NOW), *(int *)rc);
	cohort_array_close(a);
	cohort_lock_close(l);
}

TEST(array, with_a_given_lock_waits_for_it_in_every_process)
{
	struct cohort_lock *l = open_given(COHORT_OPEN_CREATE);
	int32_t in[3] = {1, 2, 3}, out[3];
	struct cohort_array *a = make(GUARDED,
	    (struct cohort_array_options){.type = 'i', .count = 3, .with = l, .init = in});
	int busy = COHORT_ETIMEDOUT, free = 0;

	CHECK(cohort_array_lock(a) == l);
	CHECK_EQ(cohort_lock_acquire(l, COHORT_NOW), 0);
	CHECK_EQ(cohort_array_get(a, 0, 3, out, COHORT_NOW), -EDEADLK); /* it is not recursive */
	CHECK_EQ(sync_join(sync_fork(set_guarded, &busy)), 0);
	CHECK_MEM(cohort_array_data(a), in, sizeof in);
	CHECK_EQ(cohort_lock_release(l), 0);
	CHECK_EQ(sync_join(sync_fork(set_guarded, &free)), 0);
	CHECK_EQ(cohort_array_get(a, 0, 3, out, COHORT_NOW), 0);
	CHECK(out[0] == 4 && out[1] == 5 && out[2] == 6);
	CHECK_EQ(cohort_lock_locked(l), 0);
	cohort_array_close(a);
	CHECK_EQ(cohort_lock_acquire(l, COHORT_NOW), 0); /* it was only borrowed */
	CHECK_EQ(cohort_lock_release(l), 0);
	cohort_lock_close(l);
}

TEST(array, with_a_given_lock_opens_with_no_other)
{
	struct cohort_lock *l = open_given(COHORT_OPEN_CREATE), *other = NULL;
	struct cohort_array_options o = {.type = 'i', .count = 3, .with = l};
	struct cohort_array *a = make(GUARDED, o), *b = NULL;

	REQUIRE_EQ(cohort_lock_open(&other, "local:", NULL, NULL), 0);
	o.with = other;
	CHECK_EQ(cohort_array_open(&b, GUARDED, &o, NULL), COHORT_EARGUMENT);
	o.with = NULL;
	CHECK_EQ(cohort_array_open(&b, GUARDED, &o, NULL), COHORT_EARGUMENT);
	o.lock = COHORT_DATA_RAW;
	CHECK_EQ(cohort_array_open(&b, GUARDED, &o, NULL), COHORT_EARGUMENT);
	CHECK(b == NULL);
	cohort_array_close(a);
	cohort_lock_close(other);
	cohort_lock_close(l);
}

TEST(array, whose_name_is_removed_works_on_and_is_found_no_more)
{
	struct cohort_array_options o = {.type = 'i', .count = 2};
	struct cohort_array *a = make("local:removed", o), *other;

	CHECK_EQ(cohort_shared_unlink("removed", NULL), 0);
	CHECK_EQ(cohort_shared_unlink("removed", NULL), -ENOENT);
	CHECK_EQ(cohort_shared_unlink("a/b", NULL), COHORT_ENAME);
	CHECK_EQ(cohort_array_add(a, 1, 5, NULL), 0);
	o.open = COHORT_OPEN_ATTACH;
	CHECK_EQ(cohort_array_open(&other, "local:removed", &o, NULL), -ENOENT);
	cohort_array_close(a);
}
