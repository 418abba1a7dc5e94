/*
 * listener.c - strangers in, peers out.
 *
 * One epoll set holds the listening socket, every stranger and one timer, so that its own
 * descriptor tells a caller's poll or loop when there is anything to do.  A step does what
 * can be done without waiting and hands out one peer at most; what else is ready stays
 * ready (level-triggered), so nothing is queued here.
 *
 * The rule that matters: nobody who has not proved the key costs more than one slot of few,
 * a bounded time from the moment of accept, and 1 KiB at a time.
 *
 *   stranger -> (hello, proof) -> peer: handed out
 *            -> wrong bytes, wrong key, time is up, crowded out -> told one byte, closed, logged
 *
 * Crowded out are first those who said nothing, oldest first: an honest peer speaks at once.
 *
 * Rejected: a thread a stranger (memory for each, and a limit of threads to attack), accepting
 * only when somebody is asked for (one mute peer would block the rest).
 */
#include "conn/listener_priv.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "conn/bind.h"
#include "conn/mode.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 32               /* accepts, or ready strangers, of one step */
#define PAUSE (100 * COHORT_MS) /* without accepting, when there are no descriptors to be had */
#define SETTLED COHORT_SECOND  /* a stranger who has spoken is not crowded out before this age */
#define LOG_LINES 5            /* about strangers, a second; the rest is counted */
#define MS_MAX (24 * 60 * 60 * 1000) /* of one wait, which may then begin again */
#define DRAIN ((size_t)4 << 10) /* read off before closing, lest the refusal be lost in a reset */

struct stranger {
	TAILQ_ENTRY(stranger) link;
	struct cohort_conn *conn;
	struct coh_greeting greeting;
	cohort_time since;
};

struct log_limit {
	cohort_time since;
	int lines;
	unsigned long more;
};

struct cohort_listener {
	struct coh_bound bound;
	struct coh_identity id;
	char address[COH_ADDRESS_TEXT];
	int epoll, timer;
	int reserve; /* a descriptor to give up when there is no other */
	cohort_time handshake;
	cohort_time paused; /* not accepting until then; 0: accepting */
	cohort_time armed;  /* what the timer is set to; 0: not set; < 0: it rings */
	int max, count;
	coh_handshake_admit_fn admit;
	void *admit_arg;
	TAILQ_HEAD(strangers, stranger) strangers; /* the oldest first */
	struct log_limit log;
};

/* Say WHAT of a stranger, unless too much has been said this second. */
static void listener_log(struct cohort_listener *l, const char *what)
{
	cohort_time now = cohort_now();

	if (now - l->log.since >= COHORT_SECOND) {
		if (l->log.more != 0)
			coh_log(COHORT_LOG_WARN, "listener %s: %lu more refused", l->address,
			    l->log.more);
		l->log = (struct log_limit){.since = now};
	}
	if (l->log.lines < LOG_LINES) {
		l->log.lines++;
		coh_log(COHORT_LOG_WARN, "listener %s: %s", l->address, what);
	} else {
		l->log.more++;
	}
}

static int listener_watch(struct cohort_listener *l, int op, int fd, void *whom, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = whom};

	return epoll_ctl(l->epoll, op, fd, &e) == 0 ? 0 : -errno;
}

/* Close FD, having told it CODE's byte; what it said too much is read off first. */
static void fd_refuse(int fd, int code)
{
	struct coh_frame f = {.type = COH_FRAME_REFUSE, .length = 1};
	unsigned char out[COH_FRAME_SIZE + 1], in[DRAIN];

	coh_frame_encode(&f, out);
	out[COH_FRAME_SIZE] = (unsigned char)coh_handshake_refusal(code);
	if (send(fd, out, sizeof out, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
		shutdown(fd, SHUT_WR);
		if (recv(fd, in, sizeof in, MSG_DONTWAIT) < 0)
			errno = 0; /* nothing there: the usual case */
	}
	close(fd);
}

static void stranger_free(struct cohort_listener *l, struct stranger *s)
{
	TAILQ_REMOVE(&l->strangers, s, link);
	l->count--;
	coh_greeting_fini(&s->greeting);
	if (s->conn != NULL) {
		unsigned char in[DRAIN];
		int fd = coh_conn_fd(s->conn);

		shutdown(fd, SHUT_WR);
		if (recv(fd, in, sizeof in, MSG_DONTWAIT) < 0)
			errno = 0; /* nothing there: the usual case */
		cohort_conn_close(s->conn);
	}
	coh_free(s);
}

/* A stranger out of the accepted FD, taken in any case. */
static void stranger_new(struct cohort_listener *l, int fd, const char *peer)
{
	struct coh_mode_socket socket = {.fd = fd,
	    .mode = l->bound.mode,
	    .role = COH_HANDSHAKE_SERVER,
	    .id = &l->id,
	    .peer = peer};
	struct stranger *s = coh_calloc(sizeof *s);
	struct cohort_error err = {0};
	int rc;

	if (s == NULL || coh_mode_conn(&s->conn, &socket, &err) != 0) {
		listener_log(l, "no memory for another stranger");
		coh_free(s);
		fd_refuse(fd, COHORT_EBUSY);
		return;
	}
	s->since = cohort_now();
	TAILQ_INSERT_TAIL(&l->strangers, s, link);
	l->count++;
	rc = coh_greeting_init(&s->greeting, s->conn, &l->id, COH_HANDSHAKE_SERVER, &err);
	s->greeting.hs.config.admit = l->admit;
	s->greeting.hs.config.admit_arg = l->admit_arg;
	if (rc == 0) {
		rc = listener_watch(l, EPOLL_CTL_ADD, fd, s, EPOLLIN);
		if (rc != 0)
			coh_fail_errno(&err, -rc, "cannot watch %s", peer);
	}
	if (rc != 0) {
		listener_log(l, err.text);
		stranger_free(l, s);
	}
}

/* Make room for one more: false when all here have a better right to stay. */
static bool listener_crowd_out(struct cohort_listener *l)
{
	struct stranger *s, *first = TAILQ_FIRST(&l->strangers);

	TAILQ_FOREACH(s, &l->strangers, link)
		if (!coh_greeting_spoke(&s->greeting))
			break;
	if (s == NULL && first != NULL && cohort_now() - first->since > SETTLED)
		s = first;
	if (s == NULL)
		return false;
	listener_log(l, "a silent stranger is crowded out by others");
	stranger_free(l, s);
	return true;
}

static void peer_text(const struct cohort_listener *l, const struct sockaddr *sa, socklen_t len,
    char out[COH_ADDRESS_TEXT + 16])
{
	struct coh_address a;

	if (sa->sa_family != AF_UNIX && coh_sockaddr_to_address(sa, len, &a) == 0)
		coh_address_print(&a, out);
	else
		snprintf(out, COH_ADDRESS_TEXT + 16, "a client of %s", l->address);
}

/* Somebody was accepted as FD. */
static void listener_meet(
    struct cohort_listener *l, int fd, const struct sockaddr *sa, socklen_t len)
{
	char peer[COH_ADDRESS_TEXT + 16];
	int on = 1;

	if (l->count >= l->max && !listener_crowd_out(l)) {
		listener_log(l, "a newcomer is refused: too many strangers");
		fd_refuse(fd, COHORT_EBUSY);
		return;
	}
	if (sa->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	peer_text(l, sa, len, peer);
	stranger_new(l, fd, peer);
}

/*
 * There is no descriptor for whoever waits.  Give up the reserve to accept and drop one, so
 * that the socket does not stay readable for ever, and leave the others in the queue a while.
 */
static void listener_exhausted(struct cohort_listener *l, int e)
{
	int fd;

	listener_log(l, e == EMFILE || e == ENFILE ? "no descriptor left to accept with"
						   : "no memory left to accept with");
	if (l->reserve >= 0) {
		close(l->reserve);
		fd = accept4(l->bound.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			fd_refuse(fd, COHORT_EBUSY);
	}
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->paused = cohort_in(PAUSE);
	(void)listener_watch(l, EPOLL_CTL_MOD, l->bound.fd, &l->bound, 0);
}

/* Accept who waits.  0, or -errno when the socket is no longer one to accept from. */
static int listener_take(struct cohort_listener *l)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	for (int i = 0; i < BATCH; i++) {
		len = sizeof sa;
		fd = accept4(l->bound.fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
		if (fd >= 0) {
			listener_meet(l, fd, (struct sockaddr *)&sa, len);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			return 0;
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			listener_exhausted(l, errno);
			return 0;
		case EBADF:
		case EINVAL:
		case ENOTSOCK:
			return -errno;
		default: /* this one is gone already (accept(2) passes on what happened to it) */
			break;
		}
	}
	return 0;
}

/* Hear stranger S.  1: it has become *CONN. */
static int listener_hear(struct cohort_listener *l, struct stranger *s, struct cohort_conn **conn,
    struct coh_handshake_peer *peer)
{
	struct cohort_error err = {0};
	int rc = coh_greeting_serve(&s->greeting, &err);

	if (rc == COH_HANDSHAKE_DONE) {
		coh_greeting_admit(&s->greeting);
		(void)listener_watch(l, EPOLL_CTL_DEL, coh_conn_fd(s->conn), NULL, 0);
		if (peer != NULL)
			*peer = s->greeting.hs.peer;
		*conn = s->conn;
		s->conn = NULL;
		stranger_free(l, s);
		return 1;
	}
	if (rc < 0) {
		listener_log(l, err.text);
		stranger_free(l, s);
	}
	return 0;
}

/* Drop those whose time is up, end a pause, and set the timer for what comes next. */
static void listener_tick(struct cohort_listener *l)
{
	struct stranger *s;
	cohort_time next = 0;
	struct itimerspec when = {0};

	while ((s = TAILQ_FIRST(&l->strangers)) != NULL &&
	    cohort_now() - s->since >= l->handshake) {
		listener_log(l, "a stranger did not prove itself in time");
		stranger_free(l, s);
	}
	if (l->paused != 0 && coh_clock_passed(l->paused)) {
		l->paused = 0;
		(void)listener_watch(l, EPOLL_CTL_MOD, l->bound.fd, &l->bound, EPOLLIN);
	}
	if (s != NULL)
		next = s->since + l->handshake;
	if (l->paused != 0 && (next == 0 || l->paused < next))
		next = l->paused;
	/* A ring too early costs less than setting it for each who comes and goes. */
	if (l->armed >= 0 && (next == 0 || (l->armed != 0 && l->armed <= next)))
		return;
	when.it_value = coh_clock_timespec(next);
	if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0)
		l->armed = next;
}

/* As coh_listener_step, and wait for something to do for MS at most (< 0: until there is). */
static int listener_step(struct cohort_listener *l, int ms, struct cohort_conn **conn,
    struct coh_handshake_peer *peer, struct cohort_error *err)
{
	struct epoll_event events[BATCH];
	bool waiting = false;
	int rc = 0, n = epoll_wait(l->epoll, events, BATCH, ms);

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &l->bound)
			waiting = true;
		else if (events[i].data.ptr == &l->timer)
			l->armed = -1; /* it is silent only when set anew */
		else if (listener_hear(l, events[i].data.ptr, conn, peer) == 1)
			return 1;
	}
	/* Newcomers last: they may crowd out a stranger who stood in EVENTS. */
	if (waiting)
		rc = listener_take(l);
	listener_tick(l);
	if (rc == 0 && n < 0 && errno != EINTR)
		rc = -errno;
	return rc == 0 ? 0 : coh_fail_errno(err, -rc, "listener %s", l->address);
}

int coh_listener_step(struct cohort_listener *l, struct cohort_conn **conn,
    struct coh_handshake_peer *peer, struct cohort_error *err)
{
	return listener_step(l, 0, conn, peer, err);
}

/* What is left until DEADLINE, for epoll_wait: rounded up, since too early would be a spin. */
static int ms_left(cohort_time deadline)
{
	cohort_time left = coh_clock_left(deadline);

	if (left == COHORT_FOREVER)
		return -1;
	return left < MS_MAX * COHORT_MS ? (int)((left + COHORT_MS - 1) / COHORT_MS) : MS_MAX;
}

int cohort_listener_accept(struct cohort_listener *l, struct cohort_conn **conn,
    cohort_time deadline, struct cohort_error *err)
{
	int rc, ms = ms_left(deadline);

	*conn = NULL;
	for (;;) {
		rc = listener_step(l, ms, conn, NULL, err);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
		if (ms == 0)
			return coh_fail(err, COHORT_ETIMEDOUT,
			    "listener %s: nobody came in time", l->address);
		ms = ms_left(deadline);
	}
}

static int listener_open(struct cohort_listener *l, struct cohort_error *err)
{
	int rc = 0;

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (l->epoll < 0 || l->timer < 0 || l->reserve < 0)
		rc = -errno;
	if (rc == 0)
		rc = listener_watch(l, EPOLL_CTL_ADD, l->bound.fd, &l->bound, EPOLLIN);
	if (rc == 0)
		rc = listener_watch(l, EPOLL_CTL_ADD, l->timer, &l->timer, EPOLLIN);
	return rc == 0 ? 0 : coh_fail_errno(err, -rc, "cannot listen at %s", l->address);
}

int cohort_listen(struct cohort_listener **out, const char *address,
    const struct cohort_net_options *options, struct cohort_error *err)
{
	static const struct cohort_net_options none;
	struct cohort_listener *l = coh_calloc(sizeof *l);
	struct coh_address a;
	int rc;

	*out = NULL;
	if (l == NULL)
		return coh_fail(err, -ENOMEM, "cannot listen at %.200s: no memory", address);
	l->bound.fd = l->epoll = l->timer = l->reserve = -1;
	l->handshake = COH_LISTENER_HANDSHAKE;
	l->max = COH_LISTENER_STRANGERS;
	TAILQ_INIT(&l->strangers);
	rc = coh_address_parse(&a, address, err);
	if (rc == 0)
		rc = coh_address_check(&a, COH_ADDRESS_BIND, err);
	if (rc == 0)
		rc = coh_address_is_python(&a) ? coh_identity_init_python(&l->id, options, err)
					       : coh_identity_init(&l->id, options, err);
	if (rc == 0)
		rc = coh_bind(&l->bound, &a, options != NULL ? options : &none, err);
	if (rc == 0) {
		coh_address_print(&l->bound.address, l->address);
		rc = listener_open(l, err);
	}
	if (rc != 0) {
		cohort_listener_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

int cohort_listener_reload(struct cohort_listener *l, struct cohort_error *err)
{
	int rc = coh_identity_reload(&l->id, err);

	return rc == 0 ? 0 : coh_fail_in(err, rc, "listener %s", l->address);
}

const char *cohort_listener_address(const struct cohort_listener *l)
{
	return l->address;
}

int cohort_listener_fd(const struct cohort_listener *l)
{
	return l->epoll;
}

void coh_listener_limit(struct cohort_listener *l, cohort_time handshake, int strangers)
{
	l->handshake = handshake;
	l->max = strangers;
}

void coh_listener_admit(struct cohort_listener *l, coh_handshake_admit_fn fn, void *arg)
{
	l->admit = fn;
	l->admit_arg = arg;
}

struct coh_identity *coh_listener_identity(struct cohort_listener *l)
{
	return &l->id;
}

int coh_listener_strangers(const struct cohort_listener *l)
{
	return l->count;
}

static void fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cohort_listener_close(struct cohort_listener *l)
{
	if (l == NULL)
		return;
	while (!TAILQ_EMPTY(&l->strangers))
		stranger_free(l, TAILQ_FIRST(&l->strangers));
	coh_bind_undo(&l->bound);
	coh_identity_fini(&l->id);
	fd_close(l->epoll);
	fd_close(l->timer);
	fd_close(l->reserve);
	coh_free(l);
}
