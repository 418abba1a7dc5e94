/*
 * faults.c - system calls that fail when a test wants them to.
 *
 * A fault is named by the call, by how many of it came before, and by the errno.  The errors
 * of a call are those of its manual page that can happen to a program whose arguments are right.
 */
#include "fault/faults.h"

#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define ERRORS 10
#define LONG_TIME (8 * COHORT_SECOND) /* more than any scenario needs, less than its patience */

/* The calls; the list of --wrap in tests/CMakeLists.txt has the same names. */
enum call {
	CALL_RECV,
	CALL_RECVMSG,
	CALL_SEND,
	CALL_SENDMSG,
	CALL_READ,
	CALL_WRITE,
	CALL_PREAD,
	CALL_PPOLL,
	CALL_POLL,
	CALL_EPOLL_CREATE1,
	CALL_EPOLL_CTL,
	CALL_EPOLL_WAIT,
	CALL_ACCEPT4,
	CALL_CONNECT,
	CALL_SOCKET,
	CALL_SOCKETPAIR,
	CALL_BIND,
	CALL_LISTEN,
	CALL_GETSOCKNAME,
	CALL_GETPEERNAME,
	CALL_GETSOCKOPT,
	CALL_SETSOCKOPT,
	CALL_SHUTDOWN,
	CALL_FCNTL,
	CALL_TIMERFD_CREATE,
	CALL_TIMERFD_SETTIME,
	CALL_EVENTFD,
	CALL_OPEN,
	CALL_OPENAT,
	CALL_FSTAT,
	CALL_LSTAT,
	CALL_FCHMOD,
	CALL_FSYNC,
	CALL_UNLINK,
	CALL_MMAP,
	CALL_SENDFILE,
	CALL_MEMFD,
	CALL_FTRUNCATE,
	CALL_FSTATFS,
	CALL_MADVISE,
	CALL_MLOCK,
	CALL_STAT,
	CALL_MKDIR,
	CALL_FLOCK,
	CALL_RENAMEAT,
	CALL_UNLINKAT,
	CALL_IOCTL,
	CALL_COUNT,
};

static const struct {
	const char *name;
	int errors[ERRORS];
} calls[CALL_COUNT] = {
    [CALL_RECV] = {"recv", {EINTR, EAGAIN, ECONNRESET, ECONNREFUSED, ETIMEDOUT, ENOMEM}},
    [CALL_RECVMSG] = {"recvmsg", {EINTR, EAGAIN, ECONNRESET, ETIMEDOUT, ENOMEM}},
    [CALL_SEND] = {"send", {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EHOSTUNREACH}},
    [CALL_SENDMSG] = {"sendmsg", {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
    [CALL_READ] = {"read", {EINTR, EIO}},
    [CALL_WRITE] = {"write", {EINTR, EIO, ENOSPC}},
    [CALL_PREAD] = {"pread", {EINTR, EIO}},
    [CALL_PPOLL] = {"ppoll", {EINTR, ENOMEM}},
    [CALL_POLL] = {"poll", {EINTR, ENOMEM}},
    [CALL_EPOLL_CREATE1] = {"epoll_create1", {EMFILE, ENFILE, ENOMEM}},
    [CALL_EPOLL_CTL] = {"epoll_ctl", {ENOMEM, ENOSPC}},
    [CALL_EPOLL_WAIT] = {"epoll_wait", {EINTR}},
    [CALL_ACCEPT4] = {"accept4", {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO}},
    [CALL_CONNECT] = {"connect", {EINTR, ECONNREFUSED, ENETUNREACH, ETIMEDOUT, EADDRNOTAVAIL, EACCES}},
    [CALL_SOCKET] = {"socket", {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES}},
    [CALL_SOCKETPAIR] = {"socketpair", {EMFILE, ENFILE, ENOMEM}},
    [CALL_BIND] = {"bind", {EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM}},
    [CALL_LISTEN] = {"listen", {EADDRINUSE, ENOBUFS}},
    [CALL_GETSOCKNAME] = {"getsockname", {ENOBUFS}},
    [CALL_GETPEERNAME] = {"getpeername", {ENOTCONN, ENOBUFS}},
    [CALL_GETSOCKOPT] = {"getsockopt", {ENOBUFS, ENOPROTOOPT}},
    [CALL_SETSOCKOPT] = {"setsockopt", {ENOBUFS, ENOPROTOOPT}},
    [CALL_SHUTDOWN] = {"shutdown", {ENOTCONN}},
    [CALL_FCNTL] = {"fcntl", {EMFILE, ENOLCK}},
    [CALL_TIMERFD_CREATE] = {"timerfd_create", {EMFILE, ENFILE, ENOMEM}},
    [CALL_TIMERFD_SETTIME] = {"timerfd_settime", {ECANCELED}},
    [CALL_EVENTFD] = {"eventfd", {EMFILE, ENFILE, ENOMEM}},
    [CALL_OPEN] = {"open", {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EIO}},
    [CALL_OPENAT] = {"openat", {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EIO}},
    [CALL_FSTAT] = {"fstat", {EIO, ENOMEM}},
    [CALL_LSTAT] = {"lstat", {EACCES, ENOMEM}},
    [CALL_FCHMOD] = {"fchmod", {EPERM, EROFS}},
    [CALL_FSYNC] = {"fsync", {EIO, ENOSPC}},
    [CALL_UNLINK] = {"unlink", {EACCES, EBUSY}},
    [CALL_MMAP] = {"mmap", {ENOMEM}},
    [CALL_SENDFILE] = {"sendfile", {EINTR, EAGAIN, EPIPE, ECONNRESET, EIO, ENOMEM, EINVAL}},
    [CALL_MEMFD] = {"memfd_create", {EMFILE, ENFILE, ENOMEM}},
    [CALL_FTRUNCATE] = {"ftruncate", {EFBIG, ENOSPC}},
    [CALL_FSTATFS] = {"fstatfs", {ENOMEM}},
    [CALL_MADVISE] = {"madvise", {ENOMEM, EFAULT}},
    [CALL_MLOCK] = {"mlock", {ENOMEM, EPERM}},
    [CALL_STAT] = {"stat", {EACCES, ENOMEM}},
    [CALL_MKDIR] = {"mkdir", {EACCES, ENOSPC}},
    [CALL_FLOCK] = {"flock", {EINTR, EWOULDBLOCK, ENOLCK}},
    [CALL_RENAMEAT] = {"renameat", {EACCES, ENOSPC, EROFS}},
    [CALL_UNLINKAT] = {"unlinkat", {EACCES}},
    [CALL_IOCTL] = {"ioctl", {ENOTTY}},
};

/* What this thread has asked for. */
static _Thread_local struct {
	bool counting, short_io;
	enum call call;
	unsigned long seen, nth; /* of `call`; which of them fails, 0: none */
	int error;
	bool fired;
	int descriptors; /* when the sweep began */
} fault;

/* One more of CALL: does it fail?  Then errno is set. */
static bool fails(enum call call)
{
	if (!fault.counting || fault.call != call || ++fault.seen != fault.nth)
		return false;
	fault.fired = true;
	errno = fault.error;
	return true;
}

static size_t most(size_t n)
{
	return fault.short_io && n > 1 ? 1 : n;
}

/* The same of what may be a file; what has eight bytes is a counter, and is read and written whole. */
static size_t most_of_file(size_t n)
{
	return n > sizeof(uint64_t) ? most(n) : n;
}

/* M with its first byte alone, by way of PART. */
static struct msghdr cut(const struct msghdr *m, struct iovec *part)
{
	struct msghdr first = *m;
	size_t i = 0;

	while (i < m->msg_iovlen && m->msg_iov[i].iov_len == 0)
		i++;
	if (!fault.short_io || i == m->msg_iovlen)
		return first;
	*part = (struct iovec){m->msg_iov[i].iov_base, 1};
	first.msg_iov = part;
	first.msg_iovlen = 1;
	return first;
}

/* A wrapper that may fail with -1 and changes nothing else. */
#define WRAP(call, type, name, parameters, arguments)                                       \
	type __real_##name parameters;                                                      \
	type __wrap_##name parameters;                                                      \
	type __wrap_##name parameters                                                       \
	{                                                                                   \
		return fails(call) ? (type)-1 : __real_##name arguments;                    \
	}

WRAP(CALL_RECV, ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, most(n), flags))
WRAP(CALL_SEND, ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, most(n), flags))
WRAP(CALL_READ, ssize_t, read, (int fd, void *p, size_t n), (fd, p, most_of_file(n)))
WRAP(CALL_WRITE, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, most_of_file(n)))
WRAP(CALL_PREAD, ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, most(n), at))
WRAP(CALL_PPOLL, int, ppoll,
    (struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *s), (p, n, t, s))
WRAP(CALL_POLL, int, poll, (struct pollfd *p, nfds_t n, int ms), (p, n, ms))
WRAP(CALL_EPOLL_CREATE1, int, epoll_create1, (int flags), (flags))
WRAP(CALL_EPOLL_CTL, int, epoll_ctl, (int e, int op, int fd, struct epoll_event *v), (e, op, fd, v))
WRAP(CALL_EPOLL_WAIT, int, epoll_wait, (int e, struct epoll_event *v, int n, int ms), (e, v, n, ms))
WRAP(CALL_ACCEPT4, int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int f), (fd, a, n, f))
WRAP(CALL_CONNECT, int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(CALL_SOCKET, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(CALL_SOCKETPAIR, int, socketpair, (int d, int t, int p, int fds[2]), (d, t, p, fds))
WRAP(CALL_BIND, int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(CALL_LISTEN, int, listen, (int fd, int n), (fd, n))
WRAP(CALL_GETSOCKNAME, int, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAP(CALL_GETPEERNAME, int, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAP(CALL_GETSOCKOPT, int, getsockopt,
    (int fd, int level, int name, void *value, socklen_t *n), (fd, level, name, value, n))
WRAP(CALL_SETSOCKOPT, int, setsockopt,
    (int fd, int level, int name, const void *value, socklen_t n), (fd, level, name, value, n))
WRAP(CALL_SHUTDOWN, int, shutdown, (int fd, int how), (fd, how))
WRAP(CALL_TIMERFD_CREATE, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(CALL_TIMERFD_SETTIME, int, timerfd_settime,
    (int fd, int flags, const struct itimerspec *to, struct itimerspec *was), (fd, flags, to, was))
WRAP(CALL_EVENTFD, int, eventfd, (unsigned int value, int flags), (value, flags))
WRAP(CALL_FSTAT, int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(CALL_LSTAT, int, lstat, (const char *path, struct stat *st), (path, st))
WRAP(CALL_FCHMOD, int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(CALL_FSYNC, int, fsync, (int fd), (fd))
WRAP(CALL_UNLINK, int, unlink, (const char *path), (path))
WRAP(CALL_MMAP, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
    (p, n, prot, flags, fd, at))
WRAP(CALL_SENDFILE, ssize_t, sendfile, (int to, int from, off_t *at, size_t n), (to, from, at, most(n)))
WRAP(CALL_MEMFD, int, memfd_create, (const char *name, unsigned int flags), (name, flags))
WRAP(CALL_FTRUNCATE, int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(CALL_FSTATFS, int, fstatfs, (int fd, struct statfs *st), (fd, st))
WRAP(CALL_MADVISE, int, madvise, (void *p, size_t n, int advice), (p, n, advice))
WRAP(CALL_MLOCK, int, mlock, (const void *p, size_t n), (p, n))
WRAP(CALL_STAT, int, stat, (const char *path, struct stat *st), (path, st))
WRAP(CALL_MKDIR, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(CALL_FLOCK, int, flock, (int fd, int what), (fd, what))
WRAP(CALL_RENAMEAT, int, renameat,
    (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(CALL_UNLINKAT, int, unlinkat, (int at, const char *path, int flags), (at, path, flags))

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct iovec part;
	struct msghdr first = cut(m, &part);

	return fails(CALL_SENDMSG) ? -1 : __real_sendmsg(fd, &first, flags);
}

ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	struct iovec part;
	struct msghdr first = cut(m, &part);
	ssize_t n = fails(CALL_RECVMSG) ? -1 : __real_recvmsg(fd, &first, flags);

	m->msg_controllen = first.msg_controllen;
	m->msg_flags = first.msg_flags;
	return n;
}

/* Those whose last argument is there or not. */
int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
	va_list ap;
	long value;

	va_start(ap, what);
	value = va_arg(ap, long);
	va_end(ap);
	return fails(CALL_FCNTL) ? -1 : __real_fcntl(fd, what, value);
}

int __real_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...)
{
	va_list ap;
	void *value;

	va_start(ap, what);
	value = va_arg(ap, void *);
	va_end(ap);
	return fails(CALL_IOCTL) ? -1 : __real_ioctl(fd, what, value);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails(CALL_OPENAT) ? -1 : __real_openat(at, path, flags, mode);
}

void faults_short(bool on)
{
	fault.short_io = on;
}

void faults_over(void)
{
	fault.counting = false;
}

int faults_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	REQUIRE(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* Is RC, said of the fault that is armed, an answer? */
static void judge(int rc, const struct cohort_error *err, cohort_time took)
{
	const char *name = calls[fault.call].name, *what = strerrorname_np(fault.error);
	bool passing = fault.error == EINTR || fault.error == EAGAIN;

	if (rc > 0 || (rc != 0 && passing))
		FAIL("%s %lu failed with %s: %d, %s", name, fault.nth, what, rc, err->text);
	if (rc < 0 && (err->code != rc || err->text[0] == '\0'))
		FAIL("%s %lu failed with %s: %d without words (%d, \"%s\")", name, fault.nth, what,
		    rc, err->code, err->text);
	if (took > test_span(LONG_TIME))
		FAIL("%s %lu failed with %s: it took %lld ms", name, fault.nth, what,
		    (long long)(took / COHORT_MS));
}

/* Run SCENARIO with the NTH of CALL failing with ERROR; false when there were not as many. */
static bool inject(enum call call, unsigned long nth, int error,
    int (*scenario)(void *arg, struct cohort_error *err), void *arg)
{
	struct cohort_error err = {0};
	int rc;
	cohort_time start = cohort_now();

	fault.counting = true;
	fault.call = call;
	fault.seen = 0;
	fault.nth = nth;
	fault.error = error;
	fault.fired = false;
	rc = scenario(arg, &err);
	fault.counting = false;
	if (!fault.fired) {
		if (!CHECK_EQ(rc, 0))
			FAIL("without a fault: %s", err.text);
		return false;
	}
	judge(rc, &err, cohort_now() - start);
	start = cohort_now();
	while (faults_descriptors() != fault.descriptors &&
	    cohort_now() - start < test_span(LONG_TIME))
		(void)poll(NULL, 0, 1); /* another thread may be about to close the other end */
	if (!CHECK_EQ(faults_descriptors(), fault.descriptors))
		FAIL("%s %lu failed with %s: descriptors", calls[call].name, nth,
		    strerrorname_np(error));
	return true;
}

/* After the NTH; under a sanitizer not each of the many that carry one large message. */
static unsigned long stride(unsigned long nth)
{
	return test_span(1) > 1 && nth > 16 ? 11 : 1;
}

long faults_sweep(int (*scenario)(void *arg, struct cohort_error *err), void *arg)
{
	unsigned long nth;
	long injected = 0;

	fault.descriptors = faults_descriptors();
	for (int call = 0; call < CALL_COUNT; call++)
		for (int i = 0; i < ERRORS && calls[call].errors[i] != 0; i++) {
			for (nth = 1; inject(call, nth, calls[call].errors[i], scenario, arg); nth += stride(nth))
				injected++;
			if (nth == 1)
				break; /* it never calls this one */
		}
	return injected;
}
