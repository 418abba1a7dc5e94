/*
 * runner_sins.c - tests that the runner must report as failed, each for its own reason.
 *
 * runner_sins.sh runs them one by one and looks for that reason.  The last ones are innocent
 * and must pass, so that a runner which fails everything is found out too.
 */
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int nothing;

TEST(sins, check_fails)
{
	CHECK(nothing != 0);
	CHECK_EQ(nothing, COHORT_EOF);
}

TEST(sins, require_ends_the_test)
{
	REQUIRE(nothing != 0);
	FAIL("went on after a failed REQUIRE");
}

TEST(sins, check_fails_in_a_child)
{
	pid_t pid = fork();

	if (pid == 0) {
		closefrom(3);
		CHECK(nothing == 77);
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void *require_in_thread(void *arg)
{
	REQUIRE(nothing == 78);
	return arg;
}

TEST(sins, require_fails_in_a_thread)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, require_in_thread, NULL) == 0);
	pthread_join(thread, NULL);
}

TEST(sins, leaves_a_descriptor)
{
	CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

TEST(sins, closes_a_descriptor_of_others)
{
	close(STDIN_FILENO);
}

TEST(sins, leaves_a_child)
{
	if (fork() == 0)
		for (;;)
			pause();
}

TEST(sins, leaves_a_zombie)
{
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

TEST(sins, leaves_an_orphan)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

TEST(sins, leaves_a_posix_segment)
{
	char name[64];
	int fd;

	snprintf(name, sizeof name, "/cohort-sin-%d", getpid());
	fd = shm_open(name, O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	close(fd);
}

TEST(sins, leaves_a_sysv_segment)
{
	CHECK(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0);
}

TEST_TIMEOUT(sins, hangs, 1)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;)
		pause();
}

TEST(sins, dies_of_a_signal)
{
	raise(SIGKILL);
}

TEST(sins, reads_address_zero)
{
	int *volatile p = NULL;

	nothing = *p;
}

TEST(sins, exits_early)
{
	_exit(0);
}

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_SEEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_SEEN 1
#endif
#endif
#ifdef LEAKS_ARE_SEEN
static void forget(void)
{
	char *volatile p = malloc(77);

	p[0] = 'x';
	p = NULL;
}

TEST(sins, leaks_memory)
{
	forget();
}
#endif

TEST(innocent, does_nothing)
{
}

TEST(innocent, leaves_files_in_its_folder)
{
	CHECK(close(creat(test_path("file"), 0600)) == 0);
}
