/*
 * fd.c - descriptors: made, passed, waited for, closed.
 *
 * The rule: close-on-exec from birth, by the flag of the call that makes it and never by a
 * later fcntl, because another thread may exec in between.  What a child is to have is
 * named in its heritage; inheriting by accident is what multiprocessing suffers from (its
 * sentinel stays "alive" while any grandchild holds the pipe).
 *
 * Calls that make a descriptor pass one countdown, so that a test can make any of them
 * fail; the countdown is in every build, what is tested is what is shipped.
 */
#include "os/fd.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

static atomic_ulong fault_at;   /* 0: off; only tests write it */
static atomic_ulong fault_seen; /* calls since coh_fd_fail, while it is on */
static int fault_errno;

void coh_fd_fail(unsigned long n, int e)
{
	fault_errno = e;
	atomic_store(&fault_seen, 0);
	atomic_store(&fault_at, n);
}

unsigned long coh_fd_count(void)
{
	return atomic_load(&fault_seen);
}

static bool fault_due(void)
{
	unsigned long at = atomic_load_explicit(&fault_at, memory_order_relaxed);

	if (at == 0 || atomic_fetch_add(&fault_seen, 1) + 1 != at)
		return false;
	errno = fault_errno;
	return true;
}

static int result(int rc)
{
	return rc < 0 ? -errno : rc;
}

int coh_fd_pair(int fds[2], int type)
{
	return result(fault_due() ? -1 : socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
}

int coh_fd_pipe(int fds[2])
{
	return result(fault_due() ? -1 : pipe2(fds, O_CLOEXEC));
}

int coh_fd_event(void)
{
	return result(fault_due() ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int coh_fd_timer(void)
{
	return result(fault_due() ? -1 : timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

void coh_fd_timer_set(int fd, cohort_time when)
{
	struct itimerspec at = {0};

	if (when != COHORT_FOREVER)
		at.it_value = coh_clock_timespec(when > 0 ? when : 1); /* 0 would turn it off */
	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL); /* fails for a wrong argument only */
}

int coh_fd_memory(const char *name)
{
	return result(fault_due() ? -1 : memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

int coh_fd_open(const char *path, int flags)
{
	return result(fault_due() ? -1 : open(path, flags | O_CLOEXEC));
}

int coh_fd_open_at(int dir, const char *name, int flags)
{
	return result(fault_due() ? -1 : openat(dir, name, flags | O_CLOEXEC, 0600));
}

int coh_fd_dup(int fd)
{
	return result(fault_due() ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

void coh_fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/* The lowest of the N in KEEP that is >= FROM, or -1. */
static int lowest(const int *keep, int n, int from)
{
	int best = -1;

	for (int i = 0; i < n; i++)
		if (keep[i] >= from && (best < 0 || keep[i] < best))
			best = keep[i];
	return best;
}

int coh_fd_close_except(int first, const int *keep, int n)
{
	int next;

	while ((next = lowest(keep, n, first)) >= 0) {
		if (next > first && close_range((unsigned)first, (unsigned)next - 1, 0) < 0)
			return -errno;
		first = next + 1;
	}
	return result(close_range((unsigned)first, ~0u, 0));
}

void coh_fd_shutdown(int fd, enum coh_fd_end what)
{
	int saved = errno;

	shutdown(fd, what == COH_FD_BOTH ? SHUT_RDWR : SHUT_WR);
	errno = saved; /* it fails only where the peer has gone already */
}

int coh_fd_set_exec(int fd, enum coh_fd_exec what)
{
	return result(fcntl(fd, F_SETFD, what == COH_FD_EXEC_CLOSE ? FD_CLOEXEC : 0));
}

int coh_fd_wait(int fd, short events, cohort_time deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	for (;;) {
		n = poll(&p, 1, coh_clock_poll_ms(deadline));
		if (n > 0)
			return p.revents & POLLNVAL ? -EBADF : 1;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && coh_clock_passed(deadline))
			return 0;
	}
}

/* Room for the control message that carries descriptors, aligned as CMSG_FIRSTHDR wants it. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int) * COH_FD_PASS)];
};

ssize_t coh_fd_send(int socket, const struct iovec *iov, int n, const int *fds, int nfds)
{
	union control control;
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	struct cmsghdr *c;
	ssize_t sent;

	if (nfds > COH_FD_PASS)
		return -EINVAL;
	if (nfds > 0) {
		memset(&control, 0, sizeof control);
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)nfds);
	}
	do
		sent = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static int take_fds(struct msghdr *m, int fds[COH_FD_PASS])
{
	int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)n);
	}
	return n;
}

static void drop_fds(int *fds, int *n)
{
	while (*n > 0)
		coh_fd_close(&fds[--*n]);
}

ssize_t coh_fd_recv(int socket, void *p, size_t size, int fds[COH_FD_PASS], int *nfds, int flags)
{
	union control control;
	struct iovec iov = {.iov_base = p, .iov_len = size};
	struct msghdr m = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof control.bytes};
	ssize_t got;

	*nfds = 0;
	do
		got = recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	*nfds = take_fds(&m, fds);
	if (m.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		drop_fds(fds, nfds);
		return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EMFILE;
	}
	return got;
}

int coh_fd_read_at(int fd, void *p, size_t size, off_t offset)
{
	unsigned char *to = p;
	ssize_t n;

	while (size > 0) {
		n = pread(fd, to, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		to += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

int coh_fd_write_at(int fd, const void *p, size_t size, off_t offset)
{
	const unsigned char *from = p;
	ssize_t n;

	while (size > 0) {
		n = pwrite(fd, from, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* A SIGPIPE that the caller holds up and has not looked at yet: it is no business of ours. */
static bool pipe_signal_waits(const sigset_t *blocked)
{
	sigset_t pending;

	return sigismember(blocked, SIGPIPE) == 1 && sigpending(&pending) == 0 &&
	    sigismember(&pending, SIGPIPE) == 1;
}

/* SIGPIPE comes to the thread whose write it is about: held up meanwhile, it can be taken back. */
ssize_t coh_fd_send_file(int socket, int in, off_t *at, size_t size)
{
	static const struct timespec at_once;
	sigset_t pipe, before;
	ssize_t n;
	bool other;
	int e;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	other = pipe_signal_waits(&before);
	do
		n = sendfile(socket, in, at, size);
	while (n < 0 && errno == EINTR);
	e = errno;
	if (n < 0 && e == EPIPE && !other)
		(void)sigtimedwait(&pipe, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n >= 0 ? n : -e;
}

int coh_fd_write_all(int fd, struct iovec *iov, int n)
{
	ssize_t done;

	while (n > 0) {
		done = writev(fd, iov, n);
		if (done < 0 && errno != EINTR)
			return -errno;
		for (; n > 0 && done >= 0 && (size_t)done >= iov->iov_len; n--, iov++)
			done -= (ssize_t)iov->iov_len;
		if (n > 0 && done > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}
