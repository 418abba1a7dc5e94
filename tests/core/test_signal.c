/* test_signal.c - signals as a descriptor: one tells a program to end, more of them do not cut it short. */
#include "os/fd.h"
#include "os/signal.h"
#include "support/test.h"

#include <cohort/time.h>
#include <poll.h>
#include <signal.h>

static bool is_blocked(int sig)
{
	sigset_t mask;

	REQUIRE_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
	return sigismember(&mask, sig) == 1;
}

TEST(signal, comes_as_something_to_read)
{
	int fd = coh_signal_open();

	REQUIRE(fd >= 0);
	CHECK_EQ(coh_signal_take(fd), 0);
	REQUIRE_EQ(raise(SIGHUP), 0);
	CHECK_EQ(coh_fd_wait(fd, POLLIN, COHORT_NOW), 1);
	CHECK_EQ(coh_signal_take(fd), SIGHUP);
	CHECK_EQ(coh_signal_take(fd), 0);
	CHECK(is_blocked(SIGTERM) && is_blocked(SIGINT) && is_blocked(SIGHUP));
	coh_signal_close(fd);
}

/* A second one that was let through, before the close or after it, would end the test. */
TEST(signal, sent_again_while_the_program_ends_ends_it_no_sooner)
{
	int fd = coh_signal_open();

	REQUIRE(fd >= 0);
	REQUIRE_EQ(raise(SIGTERM), 0);
	CHECK_EQ(coh_signal_take(fd), SIGTERM);
	REQUIRE_EQ(raise(SIGTERM), 0);
	REQUIRE_EQ(raise(SIGINT), 0);
	coh_signal_close(fd);
	REQUIRE_EQ(raise(SIGTERM), 0);
	CHECK(is_blocked(SIGTERM));
}
