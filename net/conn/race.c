/*
 * race.c - the sockets of one host's addresses, side by side.
 *
 * How a connect went is asked of connect(2) itself, by calling it again: 0, still under way, or
 * what is wrong.  On one machine the second call says 0 at once, where waiting for the socket to
 * become writable and reading SO_ERROR would be two calls more.
 *
 * A Unix socket's connect is never under way: its queue is full (EAGAIN), or it is done.
 */
#include "conn/race.h"

#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

void coh_race_init(struct coh_race *r, const struct coh_resolved *where)
{
	*r = (struct coh_race){.where = where, .epoll = -1, .failed = -1};
	coh_eyeballs_init(&r->pace, where->n);
	for (int i = 0; i < where->n; i++)
		r->fds[i] = -1;
}

static void race_drop(struct coh_race *r, int i)
{
	r->under_way -= r->fds[i] >= 0;
	coh_fd_close(&r->fds[i]);
}

void coh_race_fini(struct coh_race *r)
{
	for (int i = 0; i < r->pace.n; i++)
		race_drop(r, i);
	coh_fd_close(&r->epoll);
}

/* Failures of this machine's own say less than those that an address answered. */
static bool says_little(int failure)
{
	return failure == -EADDRNOTAVAIL || failure == -ENETUNREACH || failure == -EAFNOSUPPORT;
}

static void race_lost(struct coh_race *r, int i, int failure)
{
	race_drop(r, i);
	coh_eyeballs_failed(&r->pace);
	if (r->failed >= 0 && says_little(failure) && !says_little(r->failure))
		return;
	r->failed = i;
	r->failure = failure;
}

static int race_watch(struct coh_race *r, int fd)
{
	struct epoll_event e = {.events = EPOLLOUT};

	return epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

/* Address I has been begun: see that coh_race_fd tells of it.  0 or -errno. */
static int race_share(struct coh_race *r, int i)
{
	int rc;

	if (r->epoll >= 0)
		return race_watch(r, r->fds[i]);
	if (r->under_way == 1)
		return 0;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	rc = r->epoll < 0 ? -errno : 0;
	for (int k = 0; k <= i && rc == 0; k++)
		if (r->fds[k] >= 0)
			rc = race_watch(r, r->fds[k]);
	if (rc != 0)
		coh_fd_close(&r->epoll);
	return rc;
}

/* How does connecting address I go?  1 connected, 0 under way, -errno. */
static int race_connect(const struct coh_race *r, int i)
{
	const struct sockaddr *sa = (const struct sockaddr *)&r->where->at[i].sa;

	if (connect(r->fds[i], sa, r->where->at[i].len) == 0 || errno == EISCONN)
		return 1;
	return errno == EINPROGRESS || errno == EALREADY || errno == EINTR ? 0 : -errno;
}

/* Begin address I.  As race_connect. */
static int race_begin(struct coh_race *r, int i)
{
	int rc;

	r->fds[i] =
	    socket(r->where->at[i].sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->fds[i] < 0)
		return -errno;
	r->under_way++;
	rc = race_connect(r, i);
	if (rc == 0)
		rc = race_connect(r, i); /* on this machine it is done by now */
	if (rc == 0)
		rc = race_share(r, i);
	return rc;
}

/* Address I has connected: *FD is its socket. */
static void race_win(struct coh_race *r, int i, int *fd)
{
	*fd = r->fds[i];
	r->fds[i] = -1;
	r->under_way--;
	coh_race_fini(r);
}

/* What RC, the news of address I, means for the race.  1: it is won. */
static int race_news(struct coh_race *r, int i, int rc, int *fd)
{
	if (rc == 1)
		race_win(r, i, fd);
	if (rc < 0)
		race_lost(r, i, rc);
	return rc == 1;
}

int coh_race_step(struct coh_race *r, cohort_time now, int *won, int *fd)
{
	int i;

	for (*won = 0; *won < r->pace.begun; ++*won)
		if (r->fds[*won] >= 0 && race_news(r, *won, race_connect(r, *won), fd))
			return 1;
	while ((i = coh_eyeballs_begin(&r->pace, now)) >= 0) {
		*won = i;
		if (race_news(r, i, race_begin(r, i), fd))
			return 1;
	}
	*won = r->failed;
	return r->under_way != 0 ? 0 : r->failure;
}

int coh_race_fd(const struct coh_race *r, short *events)
{
	*events = r->epoll >= 0 ? POLLIN : POLLOUT;
	for (int i = 0; i < r->pace.begun && r->epoll < 0; i++)
		if (r->fds[i] >= 0)
			return r->fds[i];
	return r->epoll;
}

cohort_time coh_race_next(const struct coh_race *r)
{
	return coh_eyeballs_next(&r->pace);
}
