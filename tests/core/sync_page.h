/* sync_page.h - what tests of shared objects share: a page with any struct in it, and processes at work on it. */
#ifndef TESTS_CORE_SYNC_PAGE_H
#define TESTS_CORE_SYNC_PAGE_H

#include "support/test.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNC_PAGE 4096

/* A zeroed page that this process and those it forks share; SIZE bytes are used.  It ends with the test's process. */
static inline void *sync_page(size_t size)
{
	void *p = mmap(NULL, SYNC_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(size <= SYNC_PAGE && p != MAP_FAILED);
	return p;
}

/* Fork a process that does BODY(ARG) and exits with 0. */
static inline pid_t sync_fork(void (*body)(void *arg), void *arg)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		body(arg);
		_exit(0);
	}
	return pid;
}

/* Wait for PID's end: its wait status. */
static inline int sync_join(pid_t pid)
{
	int status = -1;

	REQUIRE(waitpid(pid, &status, 0) == pid);
	return status;
}

/* What PID does, as /proc tells: S asleep, T stopped, R running, Z ended, ? gone. */
char sync_state(pid_t pid);

/* Wait for that. */
bool sync_await_state(pid_t pid, char state);

/* Wait until CONDITION holds; fails the test after some seconds. */
#define SYNC_AWAIT(condition)                                                               \
	do {                                                                                \
		cohort_time sync_end = cohort_in(test_span(10 * COHORT_SECOND));            \
		while (!(condition) && cohort_now() < sync_end)                             \
			poll(NULL, 0, 1);                                                   \
		REQUIRE(condition);                                                         \
	} while (0)

#endif
