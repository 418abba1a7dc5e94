/*
 * test.h - what a test is written with.
 *
 *	TEST(queue, get_times_out_when_empty)
 *	{
 *		REQUIRE(cohort_queue_open(&q) == 0);
 *		CHECK_EQ(cohort_queue_get(q, &m, COHORT_NOW), COHORT_ETIMEDOUT);
 *	}
 *
 * A test exists by being defined.  The runner forks each one, ends it at its time limit, and
 * fails it by name when it leaves a descriptor, a process or a shared segment behind.
 * CHECK reports and goes on, REQUIRE ends the test at once.  Both also count in a thread and
 * in a process forked by the test; in those a failed REQUIRE ends the process.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#ifdef NDEBUG
#error "tests are built with their assertions"
#endif

#include <cohort/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
	const char *suite, *name;
	void (*body)(void);
	const char *file;
	int line;
	int seconds; /* 0: the default */
	struct test_case *next;
};

void test_register(struct test_case *t);

/* Seconds a test may take unless it says otherwise; sanitizers multiply it by 5. */
#define TEST_SECONDS 20

#define TEST(suite, name) TEST_TIMEOUT(suite, name, 0)
/* A test that may take LIMIT seconds. */
#define TEST_TIMEOUT(suite, name, limit) TEST_DEFINE(suite, name, limit)
#define TEST_DEFINE(suite, name, limit)                                                     \
	static void test_##suite##_##name(void);                                            \
	static struct test_case test_case_##suite##_##name = {                              \
	    #suite, #name, test_##suite##_##name, __FILE__, __LINE__, limit, NULL};         \
	__attribute__((constructor)) static void test_register_##suite##_##name(void)       \
	{                                                                                   \
		test_register(&test_case_##suite##_##name);                                 \
	}                                                                                   \
	static void test_##suite##_##name(void)

/* Where a check stands. */
struct test_place {
	const char *file;
	int line;
};
#define TEST_HERE ((struct test_place){__FILE__, __LINE__})

/* Each of these is also an expression: true when it held.  Arguments are evaluated once. */
#define CHECK(condition) test_check(TEST_HERE, (condition), #condition)
#define CHECK_EQ(got, want)                                                                 \
	test_check_eq(TEST_HERE, (long long)(got), (long long)(want), #got " == " #want)
#define CHECK_STR(got, want) test_check_str(TEST_HERE, (got), (want), #got " is " #want)
#define CHECK_MEM(got, want, size)                                                          \
	test_check_mem(TEST_HERE, (got), (want), (size), #got " is " #want)
/* TEXT contains PART. */
#define CHECK_HAS(text, part) test_check_has(TEST_HERE, (text), (part), #text)

#define REQUIRE(condition) test_require(CHECK(condition))
#define REQUIRE_EQ(got, want) test_require(CHECK_EQ(got, want))

/* Fail with a sentence, and go on. */
#define FAIL(...) test_fail(TEST_HERE, __VA_ARGS__)

bool test_check(struct test_place at, bool held, const char *what);
bool test_check_eq(struct test_place at, long long got, long long want, const char *what);
bool test_check_str(struct test_place at, const char *got, const char *want, const char *what);
bool test_check_mem(
    struct test_place at, const void *got, const void *want, size_t size, const char *what);
bool test_check_has(struct test_place at, const char *text, const char *part, const char *what);
void test_fail(struct test_place at, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void test_require(bool held);

/* main's own arguments, for cohort_init(&test_argc, &test_argv, ...). */
extern int test_argc;
extern char **test_argv;

/* A private folder of this test, made at the first call and removed with all in it afterwards. */
const char *test_folder(void);

/* NAME in that folder.  Static storage, good for the next 16 calls. */
const char *test_path(const char *name);

/* Random numbers from a seed the runner prints; COHORT_TEST_SEED=N repeats a run. */
uint64_t test_random(void);
/* 0 to N - 1. */
uint64_t test_random_below(uint64_t n);

/*
 * fork(2), at a moment when the library's own thread, if there is one, does nothing: before LLVM 15 a sanitizer does not see to
 * it that no other thread is in its allocator, and a child forked in the middle of that waits for ever.
 */
int test_fork(void);

/* SPAN, multiplied as the time limits are when a sanitizer makes everything slow. */
cohort_time test_span(cohort_time span);

/*
 * Run SCENARIO(ARG) with its first allocation failing, then its second, and so on until it
 * runs through without one; then all of it again, with every later allocation failing too.  It must return -ENOMEM each time and 0 at last; what it leaks is
 * found by the address sanitizer.
 */
void test_every_allocation(int (*scenario)(void *arg), void *arg);

/* Stop cohort_now() at START, and move it on by SPAN.  The end of the test restores it. */
void test_clock_stop(cohort_time start);
void test_clock_advance(cohort_time span);

#endif
