/* test_runner.c - what the runner promises a test that does nothing wrong. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(runner, folder_is_private_and_writable)
{
	struct stat st;

	REQUIRE(stat(test_folder(), &st) == 0);
	CHECK(S_ISDIR(st.st_mode));
	CHECK_EQ(st.st_mode & 0777, 0700);
	CHECK(mkdir(test_path("inner"), 0700) == 0);
	CHECK(symlink("/etc", test_path("inner/link")) == 0);
}

TEST(runner, random_numbers_stay_below_their_bound)
{
	for (int i = 0; i < 1000; i++)
		REQUIRE(test_random_below(7) < 7);
	CHECK(test_random() != test_random());
}

TEST(runner, a_check_is_an_expression)
{
	CHECK(CHECK_EQ(1, 1) && CHECK_STR("a", "a") && CHECK_MEM("ab", "ac", 1));
}

TEST(runner, stopped_clock_moves_only_when_told)
{
	test_clock_stop(100);
	CHECK_EQ(cohort_now(), 100);
	test_clock_advance(11);
	CHECK_EQ(cohort_now(), 111);
}

TEST(runner, children_that_are_waited_for_are_no_leak)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(7);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 7);
}

/* A grandchild whose parent dies is waited for by the runner, as init would. */
TEST(runner, an_orphan_that_ends_is_gone)
{
	cohort_time deadline = cohort_in(test_span(5 * COHORT_SECOND));
	int fds[2];
	pid_t pid, orphan = 0;

	REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		orphan = fork();
		if (orphan != 0 && write(fds[1], &orphan, sizeof orphan) != sizeof orphan)
			_exit(1);
		_exit(0);
	}
	REQUIRE_EQ(read(fds[0], &orphan, sizeof orphan), sizeof orphan);
	REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
	while (kill(orphan, 0) == 0 && cohort_now() < deadline)
		sched_yield();
	CHECK_EQ(errno, ESRCH);
	close(fds[0]);
	close(fds[1]);
}

TEST(runner, user_settings_are_hidden)
{
	CHECK(getenv("COHORT_POOL") == NULL);
	CHECK(getenv("COHORT_KEY_FILE") == NULL);
}
