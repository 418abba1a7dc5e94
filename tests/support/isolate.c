/*
 * isolate.c - one test in a process of its own, and what it may not leave behind.
 *
 * The test's process looks at its own descriptors, segments and direct children: of these
 * nothing may be left, at once.  The runner is the subreaper, so processes whose parent died
 * come to it as they would come to init: it waits for them while the test runs (a test may
 * wait for a grandchild to vanish) and afterwards for a bounded time, since a child notices
 * the death of its parent a little after it.  What is left then fails the test and is killed.
 *
 * Rejected: alarm(2) in the test's process; a test may use SIGALRM, and may hang with it blocked.
 */
#include "base/clock.h"
#include "support/support_priv.h"

#include <cohort/process.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SURVIVORS 64                       /* named and killed in one round; there are more rounds */
#define ORPHAN_GRACE (2 * COHORT_SECOND)   /* for processes to notice that their parent died */
#define SEGMENT_GRACE (500 * COHORT_MS)    /* another test may be between close and unlink */
#define LEAK_LOOKS 16                      /* of the processes that a test forks so many look for leaks, */
#define LEAK_SHARE 7                       /* and of more than these one in so many */

/* Present when the test uses processes at all. */
__attribute__((weak)) int cohort_shutdown(cohort_time deadline);
/* Present when it uses the engine. */
__attribute__((weak)) void coh_engine_lock(void);
__attribute__((weak)) void coh_engine_unlock(void);
/* Present under the address sanitizer. */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);
/* Asked by it before each look, at exit too (sanitizer/lsan_interface.h). */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

static pid_t test_process;

/* A look takes 50 ms, nearly all of it in ten megabytes of the sanitizer's own: half of the time of tests that fork hundreds. */
int __lsan_is_turned_off(void)
{
	pid_t pid = getpid();

	if (pid == test_process || test_report == NULL) /* NULL: the program was run anew */
		return 0;
	if (atomic_fetch_add(&test_report->looks, 1) < LEAK_LOOKS)
		return 0;
	return pid % LEAK_SHARE != 0;
}

static struct test_place place(const struct test_case *t)
{
	return (struct test_place){t->file, t->line};
}

static void wait_a_moment(void)
{
	struct timespec ts = {.tv_nsec = 10 * COHORT_MS};
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigtimedwait(&chld, NULL, &ts);
}

static void check_segments(const struct test_case *t, const struct test_things *before)
{
	cohort_time deadline = cohort_in(SEGMENT_GRACE);
	char text[300];
	struct test_things now;
	int n;

	for (;;) {
		test_things_shared(&now);
		n = test_things_more(before, &now, text, sizeof text);
		test_things_free(&now);
		if (n == 0 || coh_clock_passed(deadline))
			break;
		wait_a_moment();
	}
	if (n != 0)
		test_fail(place(t), "%d shared segments left: %s", n, text);
}

static void check_open(const struct test_case *t, const struct test_things *before)
{
	struct test_things now;
	char text[300];
	int n;

	test_things_open(&now);
	n = test_things_more(before, &now, text, sizeof text);
	if (n != 0)
		test_fail(place(t), "%d descriptors left: %s", n, text);
	n = test_things_more(&now, before, text, sizeof text);
	if (n != 0)
		test_fail(place(t), "%d descriptors closed that were not the test's: %s", n, text);
	test_things_free(&now);
}

static void check_children(const struct test_case *t)
{
	pid_t pids[SURVIVORS];
	char words[128];
	siginfo_t info;
	int n;

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
		return;
	n = test_descendants(getpid(), pids, SURVIVORS);
	for (int i = 0; i < n; i++) {
		test_process_words(pids[i], words, sizeof words);
		test_fail(place(t), "process left: %s", words);
	}
}

static void shut_down(const struct test_case *t)
{
	int rc;

	if (cohort_shutdown == NULL)
		return;
	rc = cohort_shutdown(cohort_in(test_span(5 * COHORT_SECOND)));
	if (rc != 0)
		test_fail(place(t), "cohort_shutdown: %s", cohort_strerror(rc));
}

/* The body and all checks that its own process can make. */
static void run_checked(const struct test_case *t, uint64_t seed)
{
	struct test_things open_before, shared_before;

	test_process = getpid();
	test_things_open(&open_before);
	test_things_shared(&shared_before);
	test_fixtures_start(t, seed);
	test_call(t->body);
	test_fixtures_end();
	shut_down(t);
	if (test_report->failures == 0) { /* a test cut short leaves things: no news */
		check_open(t, &open_before);
		check_children(t);
		check_segments(t, &shared_before);
	}
	test_things_free(&open_before);
	test_things_free(&shared_before);
	if (test_report->failures == 0 && __lsan_do_recoverable_leak_check != NULL &&
	    __lsan_do_recoverable_leak_check() != 0)
		test_fail(place(t), "memory was leaked: see above");
	test_report->finished = 1;
}

int test_fork(void)
{
	pid_t pid;

	if (coh_engine_lock == NULL || coh_engine_unlock == NULL)
		return fork();
	coh_engine_lock();
	pid = fork();
	coh_engine_unlock();
	return pid;
}

void test_run_here(const struct test_case *t, uint64_t seed)
{
	run_checked(t, seed);
	test_folder_remove(test_report->folder);
}

/* Reap everything that has ended; true, with its STATUS, when CHILD is among it. */
static bool ended(pid_t child, int *status)
{
	bool is = false;
	pid_t pid;
	int s;

	while ((pid = waitpid(-1, &s, WNOHANG)) > 0)
		if (pid == child) {
			*status = s;
			is = true;
		}
	return is;
}

/* Wait for the test's process; true with its STATUS, false when it had to be killed. */
static bool await(pid_t child, cohort_time deadline, int *status)
{
	while (!ended(child, status)) {
		if (coh_clock_passed(deadline)) {
			kill(child, SIGKILL);
			waitpid(child, status, 0);
			return false;
		}
		wait_a_moment();
	}
	return true;
}

/* Wait for processes that outlived the test's until DEADLINE; then name, kill and reap them. */
static void clear_orphans(const struct test_case *t, cohort_time deadline)
{
	pid_t pids[SURVIVORS];
	char words[128];
	int n, unused;

	for (;;) {
		ended(0, &unused);
		n = test_descendants(getpid(), pids, SURVIVORS);
		if (n == 0)
			return;
		for (int i = 0; coh_clock_passed(deadline) && i < n; i++) {
			test_process_words(pids[i], words, sizeof words);
			if (test_report->failures == 0)
				test_fail(place(t), "process outlived the test: %s", words);
			kill(pids[i], SIGKILL);
		}
		wait_a_moment();
	}
}

static void judge(const struct test_case *t, int status)
{
	if (WIFSIGNALED(status))
		test_fail(place(t), "killed by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else if (!test_report->finished && test_report->failures == 0)
		test_fail(place(t), "the process exited with %d before the test ended",
		    WEXITSTATUS(status));
	else if (WEXITSTATUS(status) != 0 && test_report->failures == 0)
		test_fail(place(t), "the process exited with %d", WEXITSTATUS(status));
}

static void be_test(const struct test_case *t, uint64_t seed, const sigset_t *mask)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	run_checked(t, seed);
	fflush(NULL);
	_exit(0);
}

void test_run_forked(const struct test_case *t, uint64_t seed)
{
	int seconds = (t->seconds != 0 ? t->seconds : TEST_SECONDS) * TEST_SLOW;
	sigset_t chld, mask;
	int status = 0;
	bool in_time;
	pid_t child;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &mask);
	fflush(NULL);
	child = fork();
	if (child == 0)
		be_test(t, seed, &mask);
	if (child < 0) {
		test_fail(place(t), "fork: %s", strerror(errno));
		return;
	}
	in_time = await(child, cohort_in(seconds * COHORT_SECOND), &status);
	if (!in_time)
		test_fail(place(t), "still running after %d seconds", seconds);
	else
		judge(t, status);
	clear_orphans(t, in_time && test_report->failures == 0 ? cohort_in(test_span(ORPHAN_GRACE))
							      : COHORT_NOW);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	test_folder_remove(test_report->folder);
}
