/*
 * bench_io.c - what contestants are made of: a second process, a pair of sockets, a command.
 *
 * Children are bound to their parent's life by PR_SET_PDEATHSIG, so that a contestant that
 * fails half-way leaves nothing behind.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t bench_peer(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_pin(1);
	_exit(fn(arg) == 0 ? 0 : 1);
}

int bench_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return bench_say(BENCH_FAILED, "waitpid: %s", strerror(errno));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return BENCH_OK;
	return bench_say(BENCH_FAILED, "the other side ended with status %#x", status);
}

/* The child's side of bench_command: ARGV with its output on FD. */
static void command_exec(char *const argv[], int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd, STDOUT_FILENO);
	execvp(argv[0], argv);
	_exit(127);
}

int bench_command(char *const argv[], double *value)
{
	char text[256] = "", *end = text;
	int pipe_ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(pipe_ends) < 0)
		return bench_say(BENCH_FAILED, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		command_exec(argv, pipe_ends[1]);
	close(pipe_ends[1]);
	n = pid < 0 ? -1 : read(pipe_ends[0], text, sizeof(text) - 1);
	close(pipe_ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return bench_say(BENCH_FAILED, "%s: %s", argv[0], strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return bench_say(BENCH_MISSING, "%s: not found", argv[0]);
	if (n > 0)
		*value = strtod(text, &end);
	return end != text ? BENCH_OK : bench_say(BENCH_FAILED, "%s: no number", argv[0]);
}

int bench_finish(pid_t pid, int rc)
{
	if (rc == 0)
		return bench_reap(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return BENCH_FAILED;
}

int bench_listen(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 128) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &size) == 0) {
		*port = ntohs(a.sin_port);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

int bench_connect(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_port = htons((uint16_t)port);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int tcp_pair(int fds[2])
{
	int on = 1, port = 0, listener = bench_listen(&port);

	fds[0] = bench_connect(port);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (listener >= 0)
		close(listener);
	if (fds[0] < 0 || fds[1] < 0)
		return -1;
	return setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int bench_pair(enum bench_link link, int fds[2])
{
	int rc = link == BENCH_TCP ? tcp_pair(fds)
	                           : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);

	return rc == 0 ? BENCH_OK : bench_say(BENCH_FAILED, "pair: %s", strerror(errno));
}

int bench_read(int fd, void *data, size_t n)
{
	char *p = data;
	ssize_t got;

	while (n > 0) {
		got = read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int bench_read_answer(int fd, void *data, size_t n)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, -1) < 0 ? -1 : bench_read(fd, data, n);
}

int bench_write(int fd, const void *data, size_t n)
{
	const char *p = data;
	ssize_t put;

	while (n > 0) {
		put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}
