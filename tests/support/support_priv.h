/* support_priv.h - what the files of the runner share. */
#ifndef TESTS_SUPPORT_PRIV_H
#define TESTS_SUPPORT_PRIV_H

#include "support/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SLOW 5
#endif
#endif
#if !defined(TEST_SLOW) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define TEST_SLOW 5
#endif
#ifndef TEST_SLOW
#define TEST_SLOW 1
#endif

#define TEST_FAILURES_KEPT 16
#define TEST_FAILURE_TEXT 480

struct test_failure {
	char file[128];
	int line;
	char text[TEST_FAILURE_TEXT];
};

/*
 * What a test tells the runner, in memory that both share: so that a process forked by the
 * test, however it closes its descriptors, can still fail it.
 */
struct test_report {
	atomic_int failures; /* all; the first TEST_FAILURES_KEPT are kept below */
	atomic_int finished; /* the body came to its end, and what follows it too */
	atomic_int looks;    /* for leaks, by processes that the test forked */
	char folder[128];    /* made by test_folder, removed by the runner */
	struct test_failure kept[TEST_FAILURES_KEPT];
};

/* The report of the test now running. */
extern struct test_report *test_report;

/* report.c: run BODY; comes back also when a REQUIRE ended it. */
void test_call(void (*body)(void));

/* fixtures.c: before and after a test. */
void test_fixtures_start(const struct test_case *t, uint64_t seed);
void test_fixtures_end(void);
void test_folder_remove(const char *folder);

/* leaks.c: what is open or shared now, one line each, sorted.  Free it with test_things_free. */
struct test_things {
	char **lines;
	size_t n;
};
void test_things_open(struct test_things *t);
void test_things_shared(struct test_things *t);
void test_things_free(struct test_things *t);
/* What T has and BEFORE has not, as one string in TEXT; how many. */
int test_things_more(
    const struct test_things *before, const struct test_things *t, char *text, size_t size);

/* leaks.c: give this program shared segments of its own, if that is allowed. */
void test_hide_shared(void);

/* leaks.c: the processes below ROOT, dead ones not yet waited for too; into PIDS, at most N. */
int test_descendants(pid_t root, pid_t *pids, int n);
/* "1234 (name) state S" into TEXT. */
void test_process_words(pid_t pid, char *text, size_t size);

/* isolate.c: run T in a process of its own, or, without FORK, here; the outcome is in test_report. */
void test_run_forked(const struct test_case *t, uint64_t seed);
void test_run_here(const struct test_case *t, uint64_t seed);

#endif
