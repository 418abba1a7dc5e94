/* test_fd.c - descriptors are close-on-exec, and pass whole or not at all. */
#include "os/fd.h"
#include "support/test.h"

#include <cohort/error.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_cloexec(int fd)
{
	REQUIRE(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void close_both(int fds[2])
{
	coh_fd_close(&fds[0]);
	coh_fd_close(&fds[1]);
}

TEST(fd, every_descriptor_is_born_close_on_exec)
{
	int pair[2], pipe[2], one[4];

	REQUIRE(coh_fd_pair(pair, SOCK_SEQPACKET) == 0 && coh_fd_pipe(pipe) == 0);
	one[0] = coh_fd_event();
	one[1] = coh_fd_memory("test");
	one[2] = coh_fd_open("/dev/null", O_RDWR);
	one[3] = coh_fd_dup(pair[0]);
	for (int i = 0; i < 2; i++) {
		check_cloexec(pair[i]);
		check_cloexec(pipe[i]);
	}
	for (int i = 0; i < 4; i++) {
		check_cloexec(one[i]);
		coh_fd_close(&one[i]);
		CHECK_EQ(one[i], -1);
	}
	close_both(pair);
	close_both(pipe);
}

TEST(fd, passes_descriptors_that_are_close_on_exec_too)
{
	int pair[2], out[2], in[COH_FD_PASS], n;
	char bytes[] = "abc", text[8];
	struct iovec iov = {bytes, 3};

	REQUIRE(coh_fd_pair(pair, SOCK_SEQPACKET) == 0 && coh_fd_pipe(out) == 0);
	REQUIRE_EQ(coh_fd_send(pair[0], &iov, 1, out, 2), 3);
	REQUIRE_EQ(coh_fd_recv(pair[1], text, sizeof text, in, &n, 0), 3);
	CHECK_MEM(text, "abc", 3);
	REQUIRE_EQ(n, 2);
	check_cloexec(in[0]);
	REQUIRE(write(in[1], "x", 1) == 1 && read(out[0], text, 1) == 1);
	CHECK_EQ(text[0], 'x');
	close_both(in);
	close_both(out);
	close_both(pair);
}

/* With no room for them the descriptors do not arrive, and none is left open. */
TEST(fd, a_message_whose_descriptors_find_no_room_gives_none)
{
	struct rlimit old, tight;
	int pair[2], out[2], in[COH_FD_PASS], n;
	char bytes[] = "abc", text[8];
	struct iovec iov = {bytes, 3};

	REQUIRE(coh_fd_pair(pair, SOCK_SEQPACKET) == 0 && coh_fd_pipe(out) == 0);
	REQUIRE_EQ(coh_fd_send(pair[0], &iov, 1, out, 2), 3);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
	tight = old;
	tight.rlim_cur = (rlim_t)out[1] + 2; /* one of the two would fit */
	REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
	CHECK_EQ(coh_fd_recv(pair[1], text, sizeof text, in, &n, 0), -EMFILE);
	CHECK_EQ(n, 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	close_both(out);
	close_both(pair);
}

TEST(fd, a_message_longer_than_the_room_is_an_error)
{
	int pair[2], in[COH_FD_PASS], n;
	char bytes[] = "abcdef", text[3];
	struct iovec iov = {bytes, 6};

	REQUIRE(coh_fd_pair(pair, SOCK_SEQPACKET) == 0);
	REQUIRE_EQ(coh_fd_send(pair[0], &iov, 1, NULL, 0), 6);
	CHECK_EQ(coh_fd_recv(pair[1], text, sizeof text, in, &n, 0), -EMSGSIZE);
	CHECK_EQ(coh_fd_recv(pair[1], text, sizeof text, in, &n, MSG_DONTWAIT), -EAGAIN);
	coh_fd_close(&pair[0]);
	CHECK_EQ(coh_fd_recv(pair[1], text, sizeof text, in, &n, 0), 0);
	CHECK_EQ(coh_fd_send(pair[1], &iov, 1, NULL, 0), -EPIPE);
	coh_fd_close(&pair[1]);
}

static void close_and_look(void)
{
	int keep[3] = {-1, -1, -1}, all[8];

	for (int i = 0; i < 8; i++)
		all[i] = coh_fd_open("/dev/null", O_RDWR);
	keep[0] = all[5];
	keep[1] = all[1];
	REQUIRE_EQ(coh_fd_close_except(all[0], keep, 3), 0);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(fcntl(all[i], F_GETFD) >= 0, i == 5 || i == 1);
	_exit(0);
}

/* In a process of its own: the runner's descriptors are not the test's to close. */
TEST(fd, closes_all_but_what_is_kept)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		close_and_look();
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(fd, wait_keeps_its_deadline_and_sees_the_end)
{
	cohort_time start = cohort_now();
	int fds[2];

	REQUIRE(coh_fd_pipe(fds) == 0);
	CHECK_EQ(coh_fd_wait(fds[0], POLLIN, COHORT_NOW), 0);
	CHECK_EQ(coh_fd_wait(fds[0], POLLIN, start + 20 * COHORT_MS), 0);
	CHECK(cohort_now() >= start + 20 * COHORT_MS);
	coh_fd_close(&fds[1]);
	CHECK_EQ(coh_fd_wait(fds[0], POLLIN, COHORT_FOREVER), 1);
	coh_fd_close(&fds[0]);
}

TEST(fd, writes_all_parts_and_reads_them_at_their_place)
{
	char bytes[] = "onethree", text[8];
	struct iovec iov[] = {{bytes, 3}, {bytes, 0}, {bytes + 3, 5}};
	int fd = coh_fd_memory("test");

	REQUIRE(fd >= 0);
	REQUIRE_EQ(coh_fd_write_all(fd, iov, 3), 0);
	REQUIRE_EQ(coh_fd_read_at(fd, text, 8, 0), 0);
	CHECK_MEM(text, "onethree", 8);
	CHECK_EQ(coh_fd_read_at(fd, text, 8, 1), -ENODATA);
	coh_fd_close(&fd);
}

static bool pipe_signal_is_pending(void)
{
	sigset_t pending;

	REQUIRE_EQ(sigpending(&pending), 0);
	return sigismember(&pending, SIGPIPE) == 1;
}

/* A signal that came would end the test. */
TEST(fd, sends_a_file_to_one_who_is_gone_without_a_signal)
{
	int pair[2], file = coh_fd_memory("file");
	sigset_t pipe;
	off_t at = 0;

	REQUIRE(coh_fd_pair(pair, SOCK_STREAM) == 0 && ftruncate(file, 100) == 0);
	CHECK_EQ(coh_fd_send_file(pair[0], file, &at, 60), 60);
	CHECK_EQ(at, 60);
	coh_fd_close(&pair[1]);
	CHECK_EQ(coh_fd_send_file(pair[0], file, &at, 40), -EPIPE);
	CHECK_EQ(at, 60);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	REQUIRE_EQ(pthread_sigmask(SIG_BLOCK, &pipe, NULL), 0);
	CHECK_EQ(coh_fd_send_file(pair[0], file, &at, 40), -EPIPE);
	CHECK(!pipe_signal_is_pending());
	REQUIRE_EQ(raise(SIGPIPE), 0); /* that of the caller is left to him */
	CHECK_EQ(coh_fd_send_file(pair[0], file, &at, 40), -EPIPE);
	CHECK(pipe_signal_is_pending());
	coh_fd_close(&pair[0]);
	coh_fd_close(&file);
}

TEST(fd, each_call_that_makes_one_can_be_made_to_fail)
{
	int fds[2];

	coh_fd_fail(2, EMFILE);
	REQUIRE(coh_fd_pipe(fds) == 0);
	CHECK_EQ(coh_fd_event(), -EMFILE);
	CHECK_EQ(coh_fd_count(), 2);
	coh_fd_fail(0, 0);
	close_both(fds);
}
