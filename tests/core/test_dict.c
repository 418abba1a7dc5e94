/* test_dict.c - a dictionary that processes share. */
#include "core/sync_page.h"
#include "support/test.h"
#include "sync/dict_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct cohort_dict_bytes bytes(const char *s)
{
	return (struct cohort_dict_bytes){s, strlen(s)};
}

static struct cohort_dict *open_dict(const char *address, size_t memory)
{
	struct cohort_dict_options o = {.memory = memory};
	struct cohort_error err = {.code = 0};
	struct cohort_dict *d = NULL;

	if (!CHECK_EQ(cohort_dict_open(&d, address, &o, &err), 0))
		FAIL("%s", err.text);
	REQUIRE(d != NULL);
	return d;
}

static void check_value(struct cohort_dict *d, const char *key, const char *want)
{
	char got[200] = "";
	size_t size = 77;
	int rc = cohort_dict_get(d, bytes(key), got, sizeof got, &size);

	CHECK_EQ(rc, want == NULL ? -ENOENT : 0);
	if (want != NULL && CHECK_EQ(size, strlen(want)))
		CHECK_MEM(got, want, size);
}

/* Nothing is allocated but the table and the entries, and the heap is whole. */
static void check_whole(struct cohort_dict *d)
{
	struct coh_heap_stats s;
	size_t keys = cohort_dict_count(d);

	CHECK_EQ(coh_heap_check(&d->heap), 0);
	REQUIRE_EQ(coh_heap_stats(&d->heap, &s), 0);
	CHECK_EQ(s.blocks, keys + (coh_dict_shared(d)->table != 0));
	CHECK_EQ(coh_dict_shared(d)->step.counts, 0);
	CHECK_EQ(coh_dict_shared(d)->fresh, 0);
}

TEST(dict, keeps_what_is_set)
{
	struct cohort_dict *d = open_dict("local:", 0);

	check_value(d, "a", NULL);
	CHECK_EQ(cohort_dict_count(d), 0);
	CHECK_EQ(cohort_dict_set(d, bytes("a"), bytes("1")), 0);
	CHECK_EQ(cohort_dict_set(d, bytes("b"), bytes("two")), 0);
	CHECK_EQ(cohort_dict_set(d, bytes("a"), bytes("one")), 0);
	CHECK_EQ(cohort_dict_set(d, bytes("empty"), bytes("")), 0);
	check_value(d, "a", "one");
	check_value(d, "b", "two");
	check_value(d, "empty", "");
	CHECK_EQ(cohort_dict_count(d), 3);
	CHECK_EQ(cohort_dict_add(d, bytes("a"), bytes("x")), 0);
	CHECK_EQ(cohort_dict_add(d, bytes("c"), bytes("x")), 1);
	check_value(d, "a", "one");
	check_value(d, "c", "x");
	check_whole(d);
	cohort_dict_close(d);
}

TEST(dict, gives_nothing_where_a_value_does_not_fit)
{
	struct cohort_dict *d = open_dict("local:", 0);
	char small[4] = "zzz";
	size_t got = 0;

	CHECK_EQ(cohort_dict_set(d, bytes("k"), bytes("12345")), 0);
	CHECK_EQ(cohort_dict_get(d, bytes("k"), small, 4, &got), COHORT_ETOOBIG);
	CHECK_EQ(got, 5);
	CHECK_STR(small, "zzz");
	CHECK_EQ(cohort_dict_get(d, bytes("k"), NULL, 0, &got), COHORT_ETOOBIG);
	CHECK_EQ(cohort_dict_remove(d, bytes("k"), small, 4, &got), COHORT_ETOOBIG);
	check_value(d, "k", "12345");
	cohort_dict_close(d);
}

TEST(dict, removes_what_is_there_and_gives_it)
{
	struct cohort_dict *d = open_dict("local:", 0);
	char got[10];
	size_t size = 0;

	CHECK_EQ(cohort_dict_remove(d, bytes("k"), NULL, 0, NULL), -ENOENT);
	CHECK_EQ(cohort_dict_set(d, bytes("k"), bytes("value")), 0);
	CHECK_EQ(cohort_dict_remove(d, bytes("k"), got, sizeof got, &size), 0);
	CHECK_MEM(got, "value", 5);
	check_value(d, "k", NULL);
	CHECK_EQ(cohort_dict_set(d, bytes("k"), bytes("value")), 0);
	CHECK_EQ(cohort_dict_remove(d, bytes("k"), NULL, 0, NULL), 0);
	CHECK_EQ(cohort_dict_count(d), 0);
	check_whole(d);
	cohort_dict_close(d);
}

TEST(dict, compares_before_it_sets)
{
	struct cohort_dict *d = open_dict("local:", 0);
	struct cohort_dict_bytes absent = {NULL, 0};

	CHECK_EQ(cohort_dict_compare(d, bytes("k"), bytes("x"), bytes("1")), 0);
	CHECK_EQ(cohort_dict_compare(d, bytes("k"), bytes(""), bytes("1")), 0);
	CHECK_EQ(cohort_dict_compare(d, bytes("k"), absent, bytes("1")), 1);
	CHECK_EQ(cohort_dict_compare(d, bytes("k"), absent, bytes("2")), 0);
	CHECK_EQ(cohort_dict_compare(d, bytes("k"), bytes("12"), bytes("2")), 0);
	CHECK_EQ(cohort_dict_compare(d, bytes("k"), bytes("1"), bytes("longer")), 1);
	check_value(d, "k", "longer");
	cohort_dict_close(d);
}

TEST(dict, adds_to_numbers)
{
	struct cohort_dict *d = open_dict("local:", 0);
	int64_t now = 0, most = INT64_MAX;

	CHECK_EQ(cohort_dict_incr(d, bytes("n"), 5, &now), 0);
	CHECK_EQ(now, 5);
	CHECK_EQ(cohort_dict_incr(d, bytes("n"), -7, &now), 0);
	CHECK_EQ(now, -2);
	CHECK_EQ(cohort_dict_incr(d, bytes("n"), 1, NULL), 0);
	CHECK_EQ(cohort_dict_set(d, bytes("n"), (struct cohort_dict_bytes){&most, 8}), 0);
	CHECK_EQ(cohort_dict_incr(d, bytes("n"), 1, &now), -EOVERFLOW);
	CHECK_EQ(cohort_dict_incr(d, bytes("n"), 0, &now), 0);
	CHECK_EQ(now, INT64_MAX);
	CHECK_EQ(cohort_dict_set(d, bytes("t"), bytes("text")), 0);
	CHECK_EQ(cohort_dict_incr(d, bytes("t"), 1, &now), COHORT_EFORMAT);
	check_whole(d);
	cohort_dict_close(d);
}

TEST(dict, refuses_keys_and_values_that_cannot_be)
{
	static char longest[COHORT_DICT_KEY_MAX + 1];
	struct cohort_dict *d = open_dict("local:", 1 << 20);
	struct cohort_dict_bytes bad[] = {
	    {"", 0}, {NULL, 3}, {longest, sizeof longest}, {"x", SIZE_MAX}};
	uint64_t none = 0;

	for (size_t i = 0; i < 4; i++) {
		CHECK_EQ(cohort_dict_set(d, bad[i], bytes("v")), COHORT_EARGUMENT);
		CHECK_EQ(cohort_dict_add(d, bad[i], bytes("v")), COHORT_EARGUMENT);
		CHECK_EQ(cohort_dict_get(d, bad[i], &none, 8, NULL), COHORT_EARGUMENT);
		CHECK_EQ(cohort_dict_remove(d, bad[i], NULL, 0, NULL), COHORT_EARGUMENT);
		CHECK_EQ(cohort_dict_compare(d, bad[i], bytes("v"), bytes("v")), COHORT_EARGUMENT);
		CHECK_EQ(cohort_dict_incr(d, bad[i], 1, NULL), COHORT_EARGUMENT);
	}
	CHECK_EQ(cohort_dict_set(d, bytes("k"), bad[1]), COHORT_EARGUMENT);
	CHECK_EQ(cohort_dict_set(d, bytes("k"), bad[3]), -ENOMEM);
	CHECK_EQ(cohort_dict_set(d, bytes("k"), (struct cohort_dict_bytes){"x", (size_t)1 << 40}),
	    -ENOMEM);
	CHECK_EQ(cohort_dict_set(
		     d, (struct cohort_dict_bytes){longest, COHORT_DICT_KEY_MAX}, bytes("v")),
	    0);
	CHECK_EQ(cohort_dict_count(d), 1);
	check_whole(d);
	cohort_dict_close(d);
}

TEST(dict, refuses_sizes_that_cannot_be)
{
	struct cohort_dict_options o = {.memory = 65535};
	struct cohort_dict *d = NULL, *same;

	CHECK_EQ(cohort_dict_open(&d, "local:", &o, NULL), COHORT_EARGUMENT);
	o.memory = ((size_t)1 << 40) + 1;
	CHECK_EQ(cohort_dict_open(&d, "local:", &o, NULL), COHORT_EARGUMENT);
	d = open_dict("local:d", 70000);
	o = (struct cohort_dict_options){.open = COHORT_OPEN_ATTACH, .memory = 80000};
	CHECK_EQ(cohort_dict_open(&same, "local:d", &o, NULL), COHORT_EARGUMENT);
	CHECK_EQ(cohort_dict_open(&same, "local:d", NULL, NULL), 0);
	cohort_dict_close(same);
	cohort_dict_close(d);
}

static struct cohort_dict_bytes numbered(char key[32], int i)
{
	snprintf(key, 32, "key-%d", i);
	return bytes(key);
}

TEST(dict, made_for_as_many_keys_does_not_grow_till_there_are_twice_as_many)
{
	struct cohort_dict_options o = {.memory = 8 << 20, .keys = 3000};
	struct cohort_dict *d;
	uint64_t table;
	char key[32];

	REQUIRE_EQ(cohort_dict_open(&d, "local:", &o, NULL), 0);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(cohort_dict_set(d, numbered(key, 0), bytes("")), 0);
		table = coh_dict_shared(d)->table;
		for (int i = 1; i < 6000; i++)
			CHECK_EQ(cohort_dict_set(d, numbered(key, i), bytes("")), 0);
		CHECK_EQ(coh_dict_shared(d)->table, table);
		check_whole(d);
		CHECK_EQ(cohort_dict_clear(d), 0);
	}
	cohort_dict_close(d);
	o.keys = o.memory / 64 + 1;
	CHECK_EQ(cohort_dict_open(&d, "local:", &o, NULL), COHORT_EARGUMENT);
	o.keys--;
	REQUIRE_EQ(cohort_dict_open(&d, "local:", &o, NULL), 0);
	CHECK_EQ(cohort_dict_set(d, numbered(key, 0), bytes("")), 0);
	cohort_dict_close(d);
}

TEST(dict, grows_and_can_be_cleared)
{
	struct cohort_dict *d = open_dict("local:", 32 << 20);
	char key[32];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20000; i++)
			CHECK_EQ(cohort_dict_set(d, numbered(key, i), bytes("some value")), 0);
		CHECK_EQ(cohort_dict_count(d), 20000);
		for (int i = 0; i < 20000; i++)
			check_value(d, numbered(key, i).data, "some value");
		check_whole(d);
		CHECK_EQ(cohort_dict_clear(d), 0);
		CHECK_EQ(cohort_dict_count(d), 0);
		check_value(d, "key-7", NULL);
		check_whole(d);
	}
	cohort_dict_close(d);
}

TEST(dict, says_when_its_memory_is_used_up_and_works_on)
{
	struct cohort_dict *d = open_dict("local:", 65536);
	char key[32], value[1000] = "v";
	int rc = 0, n = 0;

	while (n < 1000 && rc == 0)
		rc = cohort_dict_set(
		    d, numbered(key, n++), (struct cohort_dict_bytes){value, sizeof value});
	CHECK_EQ(rc, -ENOMEM);
	CHECK(n > 50 && n < 66);
	CHECK_EQ(cohort_dict_count(d), n - 1);
	check_whole(d);
	CHECK_EQ(cohort_dict_remove(d, numbered(key, 0), NULL, 0, NULL), 0);
	CHECK_EQ(
	    cohort_dict_set(d, bytes("again"), (struct cohort_dict_bytes){value, sizeof value}), 0);
	for (n = 0; cohort_dict_set(d, numbered(key, n), bytes("")) == 0 && n < 2000; n++)
		continue; /* until there is no memory for a larger table either */
	CHECK(n < 2000);
	check_whole(d);
	cohort_dict_close(d);
}

/* ---- walks ---- */

TEST(dict, is_walked_through_key_by_key)
{
	struct cohort_dict *d = open_dict("local:", 0);
	bool seen[300] = {false};
	uint64_t cursor = 0;
	char key[32] = "";
	size_t got = 0;
	int n = 0;

	CHECK_EQ(cohort_dict_next(d, &cursor, key, sizeof key, &got), 0);
	for (int i = 0; i < 300; i++)
		CHECK_EQ(cohort_dict_set(d, numbered(key, i), bytes("")), 0);
	CHECK_EQ(cohort_dict_next(d, &cursor, key, 4, &got), COHORT_ETOOBIG);
	CHECK(got >= 5 && cursor == 0);
	for (memset(key, 0, 32); cohort_dict_next(d, &cursor, key, 31, &got) == 1;
	     memset(key, 0, 32)) {
		int i = -1;

		REQUIRE(sscanf(key, "key-%d", &i) == 1 && i >= 0 && i < 300 && !seen[i]);
		seen[i] = true;
		n++;
	}
	CHECK_EQ(n, 300);
	CHECK_EQ(cohort_dict_next(d, &cursor, key, 31, &got), 0);
	cohort_dict_close(d);
}

/* Keys 0 to 99 stay; others come and go, and the table grows, between the steps of a walk. */
TEST(dict, gives_each_key_that_stays_once_however_it_grows)
{
	for (int round = 0; round < 20; round++) {
		struct cohort_dict *d = open_dict("local:", 0);
		int seen[100] = {0}, i, other = 100;
		uint64_t cursor = 0;
		char key[32];
		size_t got;

		for (i = 0; i < 100; i++)
			CHECK_EQ(cohort_dict_set(d, numbered(key, i), bytes("")), 0);
		for (memset(key, 0, 32); cohort_dict_next(d, &cursor, key, 31, &got) == 1;
		     memset(key, 0, 32)) {
			REQUIRE(sscanf(key, "key-%d", &i) == 1);
			if (i < 100)
				seen[i]++;
			for (int n = 0; n < 30; n++)
				CHECK_EQ(cohort_dict_set(d, numbered(key, other++), bytes("x")), 0);
			for (int n = 0; n < 10; n++)
				(void)cohort_dict_remove(d,
				    numbered(key, 100 + (int)test_random_below(5000)), NULL, 0,
				    NULL);
			CHECK_EQ(cohort_dict_set(
				     d, numbered(key, (int)test_random_below(100)), bytes("new")),
			    0);
			if (other > 8000)
				other = 100;
		}
		for (i = 0; i < 100; i++)
			CHECK_EQ(seen[i], 1);
		cohort_dict_close(d);
	}
}

/* ---- a model ---- */

#define KEYS 40

struct model {
	bool there[KEYS];
	size_t size[KEYS];
	unsigned char fill[KEYS];
	size_t count;
};

static void check_model(struct cohort_dict *d, const struct model *m, int k)
{
	static char got[70000];
	char key[32];
	size_t size = 0;
	int rc = cohort_dict_get(d, numbered(key, k), got, sizeof got, &size);

	CHECK_EQ(rc, m->there[k] ? 0 : -ENOENT);
	if (rc != 0)
		return;
	CHECK_EQ(size, m->size[k]);
	CHECK(size == 0 ||
	    ((unsigned char)got[0] == m->fill[k] && memcmp(got, got + 1, size - 1) == 0));
}

static void model_step(struct cohort_dict *d, struct model *m)
{
	static char value[70000];
	int k = (int)test_random_below(KEYS), op = (int)test_random_below(10), rc;
	size_t size = test_random_below(20) == 0 ? test_random_below(70000) : test_random_below(64);
	unsigned char fill = (unsigned char)test_random();
	struct cohort_dict_bytes v = {value, size};
	char key[32];

	memset(value, fill, size);
	if (op < 6) {
		rc = op < 4 ? cohort_dict_set(d, numbered(key, k), v)
			    : cohort_dict_add(d, numbered(key, k), v);
		CHECK(op < 4 ? rc == 0 || rc == -ENOMEM : rc == -ENOMEM || rc == !m->there[k]);
		if (rc < 0 || (op >= 4 && rc == 0))
			return;
		m->count += !m->there[k];
		m->there[k] = true;
		m->size[k] = size;
		m->fill[k] = fill;
	} else if (op < 9) {
		rc = cohort_dict_remove(d, numbered(key, k), NULL, 0, NULL);
		CHECK_EQ(rc, m->there[k] ? 0 : -ENOENT);
		m->count -= m->there[k];
		m->there[k] = false;
	} else if (test_random_below(100) == 0) {
		CHECK_EQ(cohort_dict_clear(d), 0);
		memset(m, 0, sizeof *m);
	}
}

TEST(dict, does_as_a_model_for_random_steps)
{
	struct cohort_dict *d = open_dict("local:", 200000);
	static struct model m;

	for (int i = 0; i < 20000; i++) {
		model_step(d, &m);
		check_model(d, &m, (int)test_random_below(KEYS));
		if (i % 64 == 0)
			check_whole(d);
	}
	CHECK_EQ(cohort_dict_count(d), m.count);
	for (int k = 0; k < KEYS; k++)
		check_model(d, &m, k);
	cohort_dict_close(d);
}

/* ---- many processes ---- */

static void hammer(void *arg)
{
	struct cohort_dict_options o = {.open = COHORT_OPEN_ATTACH};
	struct cohort_dict *d = NULL;
	char key[32], value[64];

	REQUIRE_EQ(cohort_dict_open(&d, arg, &o, NULL), 0);
	for (int i = 0; i < 50; i++) {
		int k = (int)test_random_below(100);

		CHECK_EQ(cohort_dict_incr(d, bytes("sum"), 1, NULL), 0);
		snprintf(value, sizeof value, "%d %d", k, k);
		CHECK_EQ(cohort_dict_set(d, numbered(key, k), bytes(value)), 0);
		snprintf(key, sizeof key, "own-%d-%d", (int)getpid(), i);
		CHECK_EQ(cohort_dict_add(d, bytes(key), bytes(key)), 1);
		check_value(d, key, key);
		if (i % 2 == 0)
			CHECK_EQ(cohort_dict_remove(d, bytes(key), NULL, 0, NULL), 0);
	}
	cohort_dict_close(d);
}

TEST_TIMEOUT(dict, serves_200_processes, 60)
{
	struct cohort_dict *d = open_dict("local:many", 0);
	pid_t pids[200];
	int64_t sum = 0;

	for (int i = 0; i < 200; i++)
		pids[i] = sync_fork(hammer, (void *)(uintptr_t) "local:many");
	for (int i = 0; i < 200; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(cohort_dict_incr(d, bytes("sum"), 0, &sum), 0);
	CHECK_EQ(sum, 200 * 50);
	check_whole(d);
	CHECK(cohort_dict_count(d) >= 200 * 25 + 1);
	cohort_dict_close(d);
}

/* ---- damage ---- */

static void use(struct cohort_dict *d)
{
	uint64_t cursor = 0;
	char key[32], got[64];
	size_t size;

	for (int i = 0; i < 30; i++) {
		(void)cohort_dict_get(d, numbered(key, i), got, sizeof got, &size);
		(void)cohort_dict_set(d, numbered(key, i), bytes("new value"));
		(void)cohort_dict_incr(d, numbered(key, i), 1, NULL);
		(void)cohort_dict_remove(d, numbered(key, i + 3), NULL, 0, NULL);
	}
	for (int i = 0; i < 100; i++)
		if (cohort_dict_next(d, &cursor, got, sizeof got, &size) != 1)
			break;
	(void)cohort_dict_clear(d);
	(void)cohort_dict_count(d);
}

/* Bytes behind the locks are changed. */
TEST(dict, that_was_damaged_never_crashes)
{
	for (int round = 0; round < 400; round++) {
		struct cohort_dict *d = open_dict("local:", 65536);
		unsigned char *p = (unsigned char *)d->data.shared.segment.header;
		size_t blocks = d->heap.begin, n = 1 + test_random_below(30);
		char key[32];

		for (int i = 0; i < 30; i++)
			CHECK_EQ(cohort_dict_set(d, numbered(key, i), bytes("value")), 0);
		while (n-- > 0)
			if (test_random_below(4) == 0)
				p[COH_DATA_BEGIN +
				    test_random_below(sizeof(struct coh_dict_shared))] =
				    (unsigned char)test_random();
			else
				p[blocks + test_random_below(4000)] = (unsigned char)test_random();
		use(d);
		cohort_dict_close(d);
	}
}
