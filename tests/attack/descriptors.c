/*
 * descriptors.c - 200 callers at a listener whose process has no descriptor left.  It waits instead of
 * spinning, says so once in a while, and serves again as soon as there are some.
 */
#include "net/hall.h"
#include "support/test.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLERS 200
#define LIMIT 64

static void limit_descriptors(rlim_t n)
{
	struct rlimit files;

	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = n;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
}

/* A child that calls CALLERS times, says so, and holds on until END is closed. */
static pid_t callers(struct hall *h, int end[2], int ready)
{
	struct pollfd p = {.fd = end[0], .events = POLLIN};
	pid_t pid = test_fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		close(end[1]);
		limit_descriptors(CALLERS * 2);
		for (int i = 0; i < CALLERS; i++)
			(void)hall_stranger(h);
		(void)!write(ready, "r", 1);
		(void)poll(&p, 1, -1);
		_exit(0);
	}
	return pid;
}

/* CPU time that this process has used. */
static cohort_time cpu(void)
{
	struct rusage u;

	REQUIRE_EQ(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * COHORT_SECOND +
	    (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * COHORT_US;
}

TEST(attack, callers_without_end_find_no_descriptor_and_wait)
{
	int end[2], ready[2], taken[LIMIT], n = 0, lines, status;
	struct pollfd nothing;
	cohort_time used;
	struct hall h;
	pid_t pid;
	char byte;

	hall_open(&h, NULL, 20 * COHORT_SECOND, LIMIT / 2);
	REQUIRE_EQ(pipe(end), 0);
	REQUIRE_EQ(pipe(ready), 0);
	limit_descriptors(LIMIT);
	while (n < LIMIT && (taken[n] = dup(0)) >= 0)
		n++;
	pid = callers(&h, end, ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	nothing = (struct pollfd){.fd = ready[0], .events = POLLIN};
	lines = h.logged;
	used = cpu();
	CHECK_EQ(poll(&nothing, 1, 2000), 0); /* two seconds to be watched */
	CHECK(cpu() - used <= test_span(200 * COHORT_MS));
	CHECK(h.logged - lines <= 4);
	while (n > 0)
		close(taken[--n]);
	hall_serves(&h); /* within a second */
	close(end[1]);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	close(end[0]);
	close(ready[0]);
	close(ready[1]);
	hall_close(&h);
}
