/* test_value.c - one value that processes share: types, locks, and steps that nobody sees half done. */
#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/data.h>
#include <errno.h>
#include <string.h>
#include <wchar.h>

static struct cohort_value *make(const char *address, struct cohort_value_options o)
{
	struct cohort_error err = {.code = 0};
	struct cohort_value *v = NULL;

	if (!CHECK_EQ(cohort_value_open(&v, address, &o, &err), 0))
		FAIL("%s", err.text);
	REQUIRE(v != NULL);
	return v;
}

TEST(value, has_the_size_and_alignment_of_each_of_pythons_types)
{
	static const char codes[] = "cubBhHiIlLqQfd";
	static const size_t sizes[] = {1, sizeof(wchar_t), 1, 1, 2, 2, 4, 4, sizeof(long),
	    sizeof(long), 8, 8, sizeof(float), sizeof(double)};

	for (size_t i = 0; i < sizeof codes - 1; i++) {
		struct cohort_value *v =
		    make("local:", (struct cohort_value_options){.type = codes[i]});
		unsigned char in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {0};

		CHECK_EQ(cohort_value_type(v), codes[i]);
		CHECK_EQ(cohort_value_size(v), sizes[i]);
		CHECK_EQ((uintptr_t)cohort_value_data(v) % 64, 0);
		REQUIRE_EQ(cohort_value_get(v, out, COHORT_FOREVER), 0);
		CHECK_MEM(out, (char[8]){0}, 8); /* zero at first */
		CHECK_EQ(cohort_value_set(v, in, COHORT_FOREVER), 0);
		CHECK_EQ(cohort_value_get(v, out, COHORT_NOW), 0);
		CHECK_MEM(out, in, sizes[i]);
		CHECK_MEM(cohort_value_data(v), in, sizes[i]);
		CHECK(sizes[i] == 8 || out[sizes[i]] == 0);
		cohort_value_close(v);
	}
}

struct point {
	double x, y;
	char name[50];
};

TEST(value, may_be_a_struct_with_a_first_value)
{
	struct point first = {1, 2, "first"}, got;
	struct cohort_value *v =
	    make("local:", (struct cohort_value_options){.size = sizeof first, .init = &first});

	CHECK_EQ(cohort_value_type(v), 0);
	CHECK_EQ(cohort_value_get(v, &got, COHORT_FOREVER), 0);
	CHECK_STR(got.name, "first");
	((struct point *)cohort_value_data(v))->y = 3;
	CHECK_EQ(cohort_value_get(v, &got, COHORT_FOREVER), 0);
	CHECK(got.y == 3);
	CHECK_EQ(cohort_value_add(v, 1, NULL), COHORT_ENOTSUP);
	CHECK_EQ(cohort_value_exchange(v, 1, NULL), COHORT_ENOTSUP);
	CHECK_EQ(cohort_value_compare(v, 1, 1, NULL), COHORT_ENOTSUP);
	CHECK_EQ(cohort_value_load(v, &(int64_t){0}), COHORT_ENOTSUP);
	cohort_value_close(v);
}

/* The largest of each type, and what one more makes of it. */
TEST(value, adds_as_its_type_does_and_wraps)
{
	static const struct {
		char type;
		int64_t most, next;
	} t[] = {{'b', INT8_MAX, INT8_MIN}, {'B', UINT8_MAX, 0}, {'h', INT16_MAX, INT16_MIN},
	    {'H', UINT16_MAX, 0}, {'i', INT32_MAX, INT32_MIN}, {'I', UINT32_MAX, 0},
	    {'l', INT64_MAX, INT64_MIN}, {'q', INT64_MAX, INT64_MIN}, {'Q', -1, 0}, {'L', -1, 0}};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct cohort_value *v =
		    make("local:", (struct cohort_value_options){.type = t[i].type});
		int64_t old = 5;

		CHECK_EQ(cohort_value_exchange(v, t[i].most, &old), 0);
		CHECK_EQ(old, 0);
		CHECK_EQ(cohort_value_add(v, 1, &old), 0);
		CHECK_EQ(old, t[i].most);
		CHECK_EQ(cohort_value_load(v, &old), 0);
		CHECK_EQ(old, t[i].next);
		CHECK_EQ(cohort_value_compare(v, t[i].most, 0, &old), 0);
		CHECK_EQ(old, t[i].next);
		CHECK_EQ(cohort_value_compare(v, t[i].next, 42, &old), 1);
		CHECK_EQ(old, t[i].next);
		CHECK_EQ(cohort_value_add(v, -42, NULL), 0);
		CHECK_EQ(cohort_value_load(v, &old), 0);
		CHECK_EQ(old, 0);
		cohort_value_close(v);
	}
}

TEST(value, compares_with_all_of_what_is_expected)
{
	struct cohort_value *v = make("local:", (struct cohort_value_options){.type = 'B'});
	int64_t old = 5;

	CHECK_EQ(cohort_value_compare(v, 256, 7, &old), 0); /* and not with its lowest byte */
	CHECK_EQ(old, 0);
	CHECK_EQ(cohort_value_compare(v, 0, 7, NULL), 1);
	cohort_value_close(v);
}

TEST(value, is_refused_with_options_that_cannot_be)
{
	struct cohort_lock *lock = NULL;
	struct cohort_value *v = NULL;
	struct cohort_error err = {.code = 0};
	struct cohort_value_options bad[] = {{.type = 'x'}, {.type = 'i', .size = 8},
	    {.size = ((size_t)1 << 30) + 1}, {.size = SIZE_MAX},
	    {.type = 'i', .lock = (enum cohort_data_lock)7}, {.type = -1}, {.type = 0}};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_EQ(cohort_value_open(&v, "local:", &bad[i], &err), COHORT_EARGUMENT);
		CHECK_HAS(err.text, "value");
	}
	CHECK_EQ(cohort_value_open(&v, "local:", NULL, NULL), COHORT_EARGUMENT);
	REQUIRE_EQ(cohort_lock_open(&lock, "local:", NULL, NULL), 0);
	bad[0] = (struct cohort_value_options){.type = 'i', .lock = COHORT_DATA_RAW, .with = lock};
	CHECK_EQ(cohort_value_open(&v, "local:", &bad[0], NULL), COHORT_EARGUMENT);
	CHECK(v == NULL);
	cohort_lock_close(lock);
}

TEST(value, is_refused_when_it_was_made_otherwise)
{
	struct cohort_value *v = make("local:v", (struct cohort_value_options){.type = 'i'}),
			    *w = NULL;
	struct cohort_value_options bad[] = {
	    {.type = 'I'}, {.type = 'q'}, {.size = 4}, {.lock = COHORT_DATA_RAW}};
	struct cohort_lock *lock = NULL;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_EQ(cohort_value_open(&w, "local:v", &bad[i], NULL), COHORT_EARGUMENT);
	REQUIRE_EQ(cohort_lock_open(&lock, "local:", NULL, NULL), 0);
	bad[0] = (struct cohort_value_options){.type = 'i', .with = lock};
	CHECK_EQ(cohort_value_open(&w, "local:v", &bad[0], NULL), COHORT_EARGUMENT);
	CHECK(w == NULL);
	cohort_value_close(make("local:v", (struct cohort_value_options){0}));
	cohort_lock_close(lock);
	cohort_value_close(v);
}

/* ---- locks ---- */

TEST(value, has_a_recursive_lock_of_its_own_unless_it_is_raw)
{
	struct cohort_value *v = make("local:v", (struct cohort_value_options){.type = 'i'});
	struct cohort_value *same = make("local:v", (struct cohort_value_options){.type = 'i'});
	struct cohort_value *raw =
	    make("local:", (struct cohort_value_options){.type = 'i', .lock = COHORT_DATA_RAW});
	struct cohort_lock *l = cohort_value_lock(v);
	int n = 3;

	CHECK(cohort_value_lock(raw) == NULL);
	REQUIRE(l != NULL);
	CHECK_EQ(cohort_lock_acquire(l, COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_acquire(l, COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_locked(cohort_value_lock(same)), 1);
	CHECK_EQ(cohort_value_set(v, &n, COHORT_NOW), 0); /* its holder does not wait for itself */
	CHECK_EQ(cohort_lock_release(l), 0);
	CHECK_EQ(cohort_lock_release(l), 0);
	CHECK_EQ(cohort_lock_release(l), COHORT_ENOTOWNER);
	CHECK_EQ(cohort_lock_locked(l), 0);
	cohort_value_close(same);
	cohort_value_close(v);
	cohort_value_close(raw);
}

struct held {
	struct cohort_value *v;
	_Atomic bool ready, done;
};

static void hold(void *arg)
{
	struct held *h = arg;

	REQUIRE_EQ(cohort_lock_acquire(cohort_value_lock(h->v), COHORT_FOREVER), 0);
	h->ready = true;
	for (;;)
		pause();
}

TEST(value, whose_holder_died_is_told_once_and_works_on)
{
	struct held *h = sync_page(sizeof *h);
	int64_t got = 0;
	int n = 0;
	pid_t pid;

	h->v = make("local:", (struct cohort_value_options){.type = 'i'});
	pid = sync_fork(hold, h);
	SYNC_AWAIT(h->ready);
	CHECK_EQ(cohort_value_get(h->v, &n, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_value_set(h->v, &n, cohort_in(10 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_value_add(h->v, 5, NULL), 0); /* which waits for no lock */
	kill(pid, SIGKILL);
	CHECK_EQ(WTERMSIG(sync_join(pid)), SIGKILL);
	CHECK_EQ(cohort_value_get(h->v, &n, COHORT_FOREVER), COHORT_EOWNERDEAD);
	CHECK_EQ(n, 5); /* done all the same */
	CHECK_EQ(cohort_value_get(h->v, &n, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_value_load(h->v, &got), 0);
	CHECK_EQ(got, 5);
	cohort_value_close(h->v);
}

TEST(value, may_be_guarded_by_another_lock)
{
	struct cohort_lock *lock = NULL;
	struct cohort_value *a, *b, *c = NULL, *other;
	struct cohort_value_options o = {.type = 'd'};
	double d = 1.5;

	REQUIRE_EQ(cohort_lock_open(&lock, "local:l", NULL, NULL), 0);
	o.with = lock;
	a = make("local:a", o);
	b = make("local:b", o);
	CHECK(cohort_value_lock(a) == lock && cohort_value_lock(b) == lock);
	CHECK_EQ(cohort_value_set(a, &d, COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_acquire(lock, COHORT_NOW), 0);
	CHECK_EQ(cohort_value_set(b, &d, COHORT_NOW), -EDEADLK); /* it is not recursive */
	CHECK_EQ(cohort_lock_release(lock), 0);
	o.with = NULL;
	CHECK_EQ(cohort_value_open(&c, "local:a", &o, NULL), COHORT_EARGUMENT);
	other = make("local:", (struct cohort_value_options){.type = 'i'});
	o.with = cohort_value_lock(other);
	CHECK_EQ(cohort_value_open(&c, "local:a", &o, NULL), COHORT_EARGUMENT);
	cohort_value_close(other);
	cohort_value_close(a);
	cohort_value_close(b);
	cohort_lock_close(lock);
}

#define ROUNDS 20000

static void count(void *arg)
{
	struct held *h = arg;
	int64_t n;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(cohort_value_add(h->v, 1, NULL), 0);
		REQUIRE_EQ(cohort_lock_acquire(cohort_value_lock(h->v), COHORT_FOREVER), 0);
		CHECK_EQ(cohort_value_load(h->v, &n), 0);
		CHECK_EQ(cohort_lock_release(cohort_value_lock(h->v)), 0);
	}
}

TEST(value, loses_no_step_of_many_processes)
{
	struct held *h = sync_page(sizeof *h);
	pid_t pids[4];
	int64_t n;

	h->v = make("local:", (struct cohort_value_options){.type = 'h'});
	for (int i = 0; i < 4; i++)
		pids[i] = sync_fork(count, h);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(cohort_value_load(h->v, &n), 0);
	CHECK_EQ(n, (int16_t)(4 * ROUNDS));
	cohort_value_close(h->v);
}

/* One word of two halves that are always alike. */
static void flip(void *arg)
{
	struct held *h = arg;

	for (uint64_t i = 0; !h->done; i++) {
		uint64_t n = i % 2 ? UINT64_MAX : 0;

		CHECK_EQ(cohort_value_set(h->v, &n, COHORT_NOW), 0);
		h->ready = true;
	}
}

TEST(value, without_a_lock_is_never_seen_half_written)
{
	struct held *h = sync_page(sizeof *h);
	uint64_t n = 0;
	pid_t pid;

	h->v = make("local:", (struct cohort_value_options){.type = 'Q', .lock = COHORT_DATA_RAW});
	pid = sync_fork(flip, h);
	SYNC_AWAIT(h->ready);
	for (int i = 0; i < 200000; i++) {
		CHECK_EQ(cohort_value_get(h->v, &n, COHORT_NOW), 0);
		if (!CHECK(n == 0 || n == UINT64_MAX))
			break;
	}
	h->done = true;
	CHECK_EQ(sync_join(pid), 0);
	cohort_value_close(h->v);
}
