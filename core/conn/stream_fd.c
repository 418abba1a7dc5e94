/*
 * stream_fd.c - a connection over a connected stream socket: a pair, Unix or TCP.
 *
 * The socket stays in blocking mode, so that the usual receive (no deadline, nothing held)
 * is one system call; what must not wait says so call by call (MSG_DONTWAIT).  That also
 * leaves the file description alone, which a parent and a child may share.  One that was dialled
 * comes non-blocking, and is made blocking when a call first wants to sleep in it: many never do.  Nor is TCP told
 * not to hold small messages back (TCP_NODELAY) before it could: it does so while something it sent was not acknowledged, and
 * the messages of the handshake are each answered.
 *
 * Not so on Unix sockets: who sleeps in recv there is also woken when the peer takes what was
 * sent before (room to write, which recv does not tell apart), to find nothing and sleep
 * again.  poll does tell it apart, so the wait is poll's: one call more, but half the
 * switches when parent and child share a CPU (a task on local:1 4.1 us, not 5.1).
 *
 * Rejected: O_NONBLOCK with poll before every read (two calls for each round trip more),
 * SO_RCVTIMEO (a call to set it for each deadline, and no absolute time; who naps, sets it once).
 */
#include "conn/conn_struct.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERED 2 /* messages that a client says in the handshake */
#define BULK 65536 /* a read for more is for the rest of a large message: its bytes are coming */

struct stream_fd {
	int fd;
	bool unblocked; /* the description is non-blocking now */
	bool files; /* and stays so: sendfile knows no other way not to wait */
	bool polls; /* wait in poll, not in recv */
	unsigned answered; /* writes that TCP does not hold back, before it is told not to */
};

/* Wait for EVENTS until DEADLINE: true when there is something to try. */
static bool stream_fd_wait(const struct stream_fd *s, short events, cohort_time deadline)
{
	struct pollfd p = {.fd = s->fd, .events = events};
	cohort_time left = coh_clock_left(deadline);
	struct timespec ts = coh_clock_timespec(left);

	/* Interrupted counts as "try": the caller comes back here and sees what time is left. */
	return left != 0 && ppoll(&p, 1, left == COHORT_FOREVER ? NULL : &ts, NULL) != 0;
}

/* Let calls sleep in the socket.  Where that fails they find nothing and wait in poll. */
static void stream_fd_block(struct stream_fd *s)
{
	if (s->unblocked && !s->files && fcntl(s->fd, F_SETFL, 0) == 0)
		s->unblocked = false;
}

/* The flags of a call that waits until DEADLINE by itself, if that is for ever. */
static int stream_fd_flags(struct stream_fd *s, cohort_time deadline)
{
	if (deadline != COHORT_FOREVER)
		return MSG_DONTWAIT;
	stream_fd_block(s);
	return 0;
}

/* Room for the control message that carries one descriptor, aligned as CMSG_FIRSTHDR wants it. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* The descriptor that came in M, -1, or -errno when it did not arrive. */
static int control_take(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	if (!(m->msg_flags & MSG_CTRUNC))
		return fd;
	if (fd < 0)
		return -EMFILE;
	coh_fd_close(&fd);
	return -E2BIG; /* we took one, there were more */
}

/* Receive, and with it a descriptor if FD is not NULL. */
static ssize_t stream_fd_recv(const struct stream_fd *s, struct iovec *iov, int flags, int *fd)
{
	union control control;
	struct msghdr m = {.msg_iov = iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t got;

	if (fd == NULL)
		return recv(s->fd, iov->iov_base, iov->iov_len, flags);
	got = recvmsg(s->fd, &m, flags | MSG_CMSG_CLOEXEC);
	if (got >= 0 && (m.msg_controllen != 0 || m.msg_flags & MSG_CTRUNC))
		*fd = control_take(&m);
	return got;
}

static ssize_t stream_fd_read_fd(void *self, void *p, size_t n, cohort_time deadline, int *fd)
{
	struct stream_fd *s = self;
	struct iovec iov = {p, n};
	bool bulk = n > BULK;
	int flags = bulk || !s->polls ? stream_fd_flags(s, deadline) : MSG_DONTWAIT;
	ssize_t got;

	/* The bytes are seldom there yet, but for a message under way: asking first saves a call. */
	if (flags != 0 && !bulk && deadline != COHORT_NOW)
		(void)stream_fd_wait(s, POLLIN, deadline);
	for (;;) {
		got = stream_fd_recv(s, &iov, flags, fd);
		if (got >= 0)
			return got;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !stream_fd_wait(s, POLLIN, deadline))
			return -errno;
	}
}

static ssize_t stream_fd_read(void *self, void *p, size_t n, cohort_time deadline)
{
	return stream_fd_read_fd(self, p, n, deadline, NULL);
}

/* Put FD into M, whose control message lies in C. */
static void control_put(struct msghdr *m, union control *c, int fd)
{
	memset(c, 0, sizeof *c);
	m->msg_control = c->bytes;
	m->msg_controllen = sizeof c->bytes;
	c->header.cmsg_level = SOL_SOCKET;
	c->header.cmsg_type = SCM_RIGHTS;
	c->header.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&c->header), &fd, sizeof fd);
}

/* Send, and with it FD unless it is -1. */
static ssize_t stream_fd_send(
    const struct stream_fd *s, const struct iovec *iov, int n, int flags, int fd)
{
	struct msghdr m = {0};
	union control control;

	if (n == 1 && fd < 0)
		return send(s->fd, iov->iov_base, iov->iov_len, flags | MSG_NOSIGNAL);
	memcpy(&m.msg_iov, &iov, sizeof iov); /* sendmsg writes nothing there */
	m.msg_iovlen = (size_t)n;
	if (fd >= 0)
		control_put(&m, &control, fd);
	return sendmsg(s->fd, &m, flags | MSG_NOSIGNAL);
}

/* Nothing is to be held back from now on. */
static void stream_fd_now(struct stream_fd *s)
{
	int on = 1;

	if (s->answered != 0)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* else it is only slower */
	s->answered = 0;
}

static ssize_t stream_fd_write_fd(
    void *self, const struct iovec *iov, int n, cohort_time deadline, int fd)
{
	struct stream_fd *s = self;
	int flags = stream_fd_flags(s, deadline);
	ssize_t sent;

	if (s->answered > 1)
		s->answered--;
	else
		stream_fd_now(s);
	for (;;) {
		sent = stream_fd_send(s, iov, n, flags, fd);
		if (sent >= 0)
			return sent;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !stream_fd_wait(s, POLLOUT, deadline))
			return -errno;
	}
}

static ssize_t stream_fd_write(void *self, const struct iovec *iov, int n, cohort_time deadline)
{
	return stream_fd_write_fd(self, iov, n, deadline, -1);
}

/* What has gone is told when the rest cannot, since it will not come again. */
static ssize_t stream_fd_send_file(
    void *self, const struct coh_stream_file *part, cohort_time deadline)
{
	struct stream_fd *s = self;
	off_t at = (off_t)part->offset;
	ssize_t head, n;

	stream_fd_now(s);
	if (!s->unblocked && fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK) != 0)
		return -EINVAL;
	s->unblocked = s->files = true; /* reading and writing wait in poll then */
	for (;;) {
		head = send(s->fd, part->head, part->head_size,
		    MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);
		if (head >= 0 || (errno != EINTR &&
				     (errno != EAGAIN || !stream_fd_wait(s, POLLOUT, deadline))))
			break;
	}
	if (head < 0)
		return -errno;
	if ((size_t)head < part->head_size)
		return head;
	n = coh_fd_send_file(s->fd, part->fd, &at, part->size);
	return n > 0 ? head + n : head;
}

static int stream_fd_fd(void *self)
{
	return ((struct stream_fd *)self)->fd;
}

static short stream_fd_events(void *self, bool writing)
{
	(void)self;
	return writing ? POLLIN | POLLOUT : POLLIN;
}

static void stream_fd_close(void *self)
{
	close(stream_fd_fd(self));
	coh_free(self);
}

static const struct coh_stream_ops stream_fd_ops = {
    .read = stream_fd_read,
    .write = stream_fd_write,
    .fd = stream_fd_fd,
    .events = stream_fd_events,
    .close = stream_fd_close,
    .send_file = stream_fd_send_file,
};

/* Over Unix sockets descriptors travel too. */
static const struct coh_stream_ops stream_unix_ops = {
    .read = stream_fd_read,
    .write = stream_fd_write,
    .fd = stream_fd_fd,
    .events = stream_fd_events,
    .close = stream_fd_close,
    .send_file = stream_fd_send_file,
    .read_fd = stream_fd_read_fd,
    .write_fd = stream_fd_write_fd,
};

int coh_conn_from_socket(struct cohort_conn **out, int fd, int family,
    enum coh_frame_phase phase, const char *peer, struct cohort_error *err)
{
	struct stream_fd *s = coh_alloc(sizeof *s);

	*out = NULL;
	if (s != NULL) {
		s->fd = fd;
		s->unblocked = s->files = false;
		s->polls = family == AF_UNIX;
		s->answered = 0;
		*out = coh_conn_new(
		    s->polls ? &stream_unix_ops : &stream_fd_ops, s, phase, peer);
	}
	if (*out != NULL)
		return 0;
	coh_free(s);
	return coh_fail(err, -ENOMEM, "no memory for a connection to %s", peer);
}

int coh_conn_from_fd(struct cohort_conn **out, int fd, enum coh_frame_phase phase,
    const char *peer, struct cohort_error *err)
{
	socklen_t size = sizeof(int);
	int family = AF_UNSPEC;

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size); /* unknown: not a Unix socket */
	return coh_conn_from_socket(out, fd, family, phase, peer, err);
}

int coh_conn_socket(const struct cohort_conn *c)
{
	return c->ops == &stream_fd_ops || c->ops == &stream_unix_ops ? stream_fd_fd(c->self) : -1;
}

void coh_conn_socket_dialled(struct cohort_conn *c)
{
	struct stream_fd *s = c->self;

	s->unblocked = true;
	s->answered = s->polls ? 0 : ANSWERED + 1;
}

bool coh_conn_socket_sleeps(struct cohort_conn *c)
{
	static const struct timeval nap = {.tv_usec = COH_CONN_NAP / COHORT_US};
	struct stream_fd *s = c->self;

	if (c->ops != &stream_fd_ops)
		return false;
	stream_fd_block(s);
	return !s->unblocked && setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &nap, sizeof nap) == 0;
}

ssize_t coh_conn_socket_recv(const struct cohort_conn *c, void *p, size_t n, cohort_time deadline)
{
	const struct stream_fd *s = c->self;
	bool naps = coh_clock_left(deadline) > COH_CONN_NAP;
	ssize_t got;

	if (naps && n != 0) { /* by the socket's own time: one system call */
		got = recv(s->fd, p, n, 0);
		if (got >= 0 || errno != EINTR)
			return got >= 0 ? got : -errno;
	}
	if (naps)
		deadline = cohort_in(COH_CONN_NAP); /* however often we are interrupted */
	do {
		if (!stream_fd_wait(s, POLLIN, deadline))
			return -EAGAIN;
		got = n != 0 ? recv(s->fd, p, n, MSG_DONTWAIT) : 1;
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	return got >= 0 ? got : -errno;
}

int coh_conn_release_fd(struct cohort_conn *c)
{
	struct coh_frame f;
	int fd;

	if (coh_conn_socket(c) < 0)
		return COHORT_ENOTSUP;
	(void)coh_conn_in_look(c, &f); /* lets go of what was lent */
	if (c->in.tail != 0 || coh_conn_busy(c))
		return COHORT_ESTATE;
	stream_fd_block(c->self);
	stream_fd_now(c->self);
	fd = stream_fd_fd(c->self);
	coh_free(c->self);
	coh_conn_dispose(c);
	return fd;
}

int cohort_conn_pair(struct cohort_conn **a, struct cohort_conn **b, struct cohort_error *err)
{
	int fds[2], rc;

	*a = *b = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return coh_fail_errno(err, errno, "cannot make a socket pair");
	rc = coh_conn_from_fd(a, fds[0], COH_PHASE_USER, "the other end of a pair", err);
	if (rc != 0) {
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	rc = coh_conn_from_fd(b, fds[1], COH_PHASE_USER, "the other end of a pair", err);
	if (rc != 0) {
		cohort_conn_close(*a);
		*a = NULL;
		close(fds[1]);
	}
	return rc;
}
