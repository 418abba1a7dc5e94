/*
 * stream_tls.c - a connection through TLS over a connected TCP socket.
 *
 * trust/tls_openssl.c makes the bytes; this waits for the socket, as stream_fd.c does: without a
 * deadline inside recv and send, else in poll.
 */
#include "conn/stream_tls.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "conn/conn_struct.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream_tls {
	struct coh_tls *tls;
	int fd;
	bool unblocked; /* dialled: made blocking when a call first sleeps in it */
	bool delayed;   /* dialled: TCP may hold small messages back, which the handshake has none of (stream_fd.c) */
};

/* A read, or a write, waits until DEADLINE: may it sleep in the socket? */
static bool stream_tls_sleeps(struct stream_tls *s, cohort_time deadline)
{
	if (deadline != COHORT_FOREVER)
		return false;
	if (s->unblocked && fcntl(s->fd, F_SETFL, 0) == 0)
		s->unblocked = false;
	return true;
}

/* Wait for what a read or a write needs until DEADLINE: true when there is something to try. */
static bool stream_tls_wait(const struct stream_tls *s, bool writing, cohort_time deadline)
{
	struct pollfd p = {.fd = s->fd, .events = coh_tls_events(s->tls, writing)};
	cohort_time left = coh_clock_left(deadline);
	struct timespec ts = coh_clock_timespec(left);

	if (writing && (p.events & POLLOUT) != 0)
		p.events = POLLOUT; /* what is there to read does not help a writer */
	/* Interrupted counts as "try": the caller comes back here and sees what time is left. */
	return left != 0 && ppoll(&p, 1, left == COHORT_FOREVER ? NULL : &ts, NULL) != 0;
}

static ssize_t stream_tls_read(void *self, void *p, size_t n, cohort_time deadline)
{
	struct stream_tls *s = self;
	bool sleeps = stream_tls_sleeps(s, deadline);
	ssize_t got;

	do
		got = coh_tls_read(s->tls, p, n, sleeps);
	while (got == -EAGAIN && stream_tls_wait(s, false, deadline));
	return got;
}

static ssize_t stream_tls_write(void *self, const struct iovec *iov, int n, cohort_time deadline)
{
	struct stream_tls *s = self;
	bool sleeps = stream_tls_sleeps(s, deadline);
	int on = 1;
	ssize_t sent;

	if (s->delayed && coh_tls_done(s->tls)) {
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* else it is only slower */
		s->delayed = false;
	}
	do
		sent = coh_tls_write(s->tls, iov, n, sleeps);
	while (sent == -EAGAIN && stream_tls_wait(s, true, deadline));
	return sent;
}

static int stream_tls_fd(void *self)
{
	return ((struct stream_tls *)self)->fd;
}

static short stream_tls_events(void *self, bool writing)
{
	return coh_tls_events(((struct stream_tls *)self)->tls, writing);
}

static void stream_tls_close(void *self)
{
	struct stream_tls *s = self;

	coh_tls_free(s->tls);
	close(s->fd);
	coh_free(s);
}

static bool stream_tls_ready(void *self)
{
	return coh_tls_ready(((struct stream_tls *)self)->tls);
}

static int stream_tls_why(void *self, struct cohort_error *err)
{
	return coh_tls_why(((struct stream_tls *)self)->tls, err);
}

static void stream_tls_end(void *self)
{
	struct stream_tls *s = self;

	coh_tls_end(s->tls);
	if ((coh_tls_events(s->tls, false) & POLLOUT) == 0)
		(void)shutdown(s->fd, SHUT_WR);
}

static const struct coh_stream_ops stream_tls_ops = {
    .read = stream_tls_read,
    .write = stream_tls_write,
    .fd = stream_tls_fd,
    .events = stream_tls_events,
    .close = stream_tls_close,
    .ready = stream_tls_ready,
    .why = stream_tls_why,
    .end = stream_tls_end,
};

int coh_stream_tls_conn(struct cohort_conn **out, const struct coh_tls_config *config,
    const char *peer, struct cohort_error *err)
{
	struct stream_tls *s = coh_calloc(sizeof *s);
	int rc;

	*out = NULL;
	if (s == NULL)
		return coh_fail(err, -ENOMEM, "no memory for a connection to %s", peer);
	s->fd = config->fd;
	s->unblocked = s->delayed = config->side == COH_TLS_CLIENT;
	rc = coh_tls_new(&s->tls, config, err);
	if (rc == 0)
		*out = coh_conn_new(&stream_tls_ops, s, COH_PHASE_STRANGER, peer);
	if (*out != NULL)
		return 0;
	coh_tls_free(s->tls);
	coh_free(s);
	return rc != 0 ? coh_fail_in(err, rc, "connection to %s", peer)
		       : coh_fail(err, -ENOMEM, "no memory for a connection to %s", peer);
}

struct coh_tls *coh_stream_tls_end(const struct cohort_conn *c)
{
	return c->ops == &stream_tls_ops ? ((struct stream_tls *)c->self)->tls : NULL;
}
