/*
 * dial.c - out to an address: connect, then prove each other.
 *
 * What may be tried again elsewhere is the connect only: once something answered, its answer
 * is the result, also when it is a refusal.
 *
 * The socket is made non-blocking for the connect alone; connections read and write blocking
 * ones (stream_fd.c).  A Unix connect never says "in progress": a full queue there is waited
 * for by the send timeout of a blocking socket.
 */
#include "addr/resolve.h"
#include "base/clock.h"
#include "base/err.h"
#include "conn/listener_priv.h"
#include "conn/mode.h"

#include <cohort/dial.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#define HANDSHAKE (10 * COHORT_SECOND) /* twice what a listener allows: it may be busy */
#define CONNECT (30 * COHORT_SECOND)   /* of one address, when there is no deadline */

/* The moment until which the first of N addresses may be tried. */
static cohort_time share(cohort_time deadline, int n)
{
	cohort_time left = coh_clock_left(deadline);

	return cohort_in(left == COHORT_FOREVER ? CONNECT : left / n);
}

/* Connect the Unix socket FD.  0 or -errno. */
static int connect_unix(
    int fd, const struct sockaddr *sa, socklen_t len, cohort_time deadline)
{
	cohort_time left;
	struct timeval tv;
	int rc, e;

	do {
		left = coh_clock_left(deadline);
		tv = (struct timeval){
		    left / COHORT_SECOND, left % COHORT_SECOND / COHORT_US + 1};
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
		rc = connect(fd, sa, len);
		e = errno;
	} while (rc != 0 && e == EINTR && left != 0);
	tv = (struct timeval){0, 0};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	return rc == 0 ? 0 : e == EAGAIN ? -ETIMEDOUT : -e;
}

/* Connect the TCP socket FD.  0 or -errno. */
static int connect_tcp(int fd, const struct sockaddr *sa, socklen_t len, cohort_time deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct timespec ts;
	int e = 0, on = 1, flags = fcntl(fd, F_GETFL);
	socklen_t size = sizeof e;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (connect(fd, sa, len) != 0 && errno != EINPROGRESS)
		return -errno;
	do
		ts = coh_clock_timespec(coh_clock_left(deadline));
	while (ppoll(&p, 1, &ts, NULL) < 0 && errno == EINTR);
	if (p.revents == 0)
		return -ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size);
	fcntl(fd, F_SETFL, flags);
	return -e;
}

/* A socket connected to SA, or -errno. */
static int dial_connect(const struct sockaddr *sa, socklen_t len, cohort_time deadline)
{
	int rc, fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	rc = sa->sa_family == AF_UNIX ? connect_unix(fd, sa, len, deadline)
				      : connect_tcp(fd, sa, len, deadline);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* The first of WHERE that takes a connection: its descriptor, or why the last one did not. */
static int dial_any(const struct coh_resolved *where, const struct coh_address *a,
    enum coh_mode *mode, const struct coh_dial *how, cohort_time deadline,
    struct cohort_error *err)
{
	char address[COH_ADDRESS_TEXT];
	int rc, fd = -EADDRNOTAVAIL;

	for (int i = 0; i < where->n; i++) {
		const struct sockaddr *sa = (const struct sockaddr *)&where->at[i].sa;

		rc = coh_mode_choose(mode, a, sa, where->at[i].len, how->options, err);
		if (rc != 0)
			return coh_fail_in(err, rc, "cannot dial");
		fd = dial_connect(sa, where->at[i].len, share(deadline, where->n - i));
		if (fd >= 0)
			return fd;
	}
	coh_address_print(a, address);
	if (fd == -ETIMEDOUT)
		return coh_fail(err, COHORT_ETIMEDOUT, "cannot dial %s: no answer in time", address);
	return coh_fail_errno(err, -fd, "cannot dial %s", address);
}

/* S is connected: is it one of ours?  Takes its descriptor in any case. */
static int dial_greet(struct cohort_conn **conn, const struct coh_mode_socket *s,
    const struct coh_dial *how, cohort_time deadline, struct cohort_error *err)
{
	struct coh_greeting g;
	cohort_time limit = cohort_in(HANDSHAKE);
	int rc = coh_mode_conn(conn, s, err);

	if (rc != 0) {
		close(s->fd);
		return rc;
	}
	rc = coh_greeting_init(&g, *conn, how->id, COH_HANDSHAKE_CLIENT, err);
	if (rc == 0)
		rc = coh_greeting_dial(&g, deadline < limit ? deadline : limit, err);
	if (rc == 0 && how->peer != NULL)
		*how->peer = g.hs.peer;
	if (rc == 0)
		coh_greeting_admit(&g);
	coh_greeting_fini(&g);
	if (rc != 0) {
		cohort_conn_close(*conn);
		*conn = NULL;
	}
	return rc;
}

int coh_dial(struct cohort_conn **conn, const char *address, const struct coh_dial *how,
    cohort_time deadline, struct cohort_error *err)
{
	struct coh_address a;
	struct coh_resolved where;
	char text[COH_ADDRESS_TEXT];
	struct coh_mode_socket s = {
	    .role = COH_HANDSHAKE_CLIENT, .id = how->id, .peer = text, .host = a.where};
	int rc = coh_address_parse(&a, address, err);

	*conn = NULL;
	if (rc == 0)
		rc = coh_address_check(&a, COH_ADDRESS_DIAL, err);
	if (rc != 0)
		return rc;
	coh_address_print(&a, text);
	rc = coh_resolve(&a, &where, err);
	if (rc != 0)
		return coh_fail_in(err, rc, "cannot dial %s", text);
	s.fd = dial_any(&where, &a, &s.mode, how, deadline, err);
	return s.fd < 0 ? s.fd : dial_greet(conn, &s, how, deadline, err);
}

int cohort_dial(struct cohort_conn **conn, const char *address,
    const struct cohort_net_options *options, cohort_time deadline, struct cohort_error *err)
{
	struct coh_identity id;
	struct coh_dial how = {.id = &id, .options = options};
	struct coh_address a;
	int rc = coh_address_parse(&a, address, err);

	*conn = NULL;
	if (rc != 0)
		return rc;
	rc = coh_address_is_python(&a) ? coh_identity_init_python(&id, options, err)
				       : coh_identity_init(&id, options, err);
	if (rc == 0)
		rc = coh_dial(conn, address, &how, deadline, err);
	coh_identity_fini(&id);
	return rc;
}
