/*
 * listener_door.c - newcomers: accepted, judged, and what is done when there is nothing to accept with.
 *
 * The rule that matters: nobody has to go for a newcomer who has not been heard to the last byte.
 * In a rush of honest callers the oldest who said nothing may just not have had its turn.
 */
#include "conn/listener_struct.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 16                /* accepts of one step: a quarter of the turns to be heard */
#define PAUSE (100 * COHORT_MS) /* without accepting, when there are no descriptors to be had */

/* Make room by VICTIM.  False: it has spoken after all, so that somebody else may have to go. */
static bool door_clear(struct cohort_listener *l, struct coh_stranger *victim)
{
	struct coh_listener_stranger *s = coh_listener_stranger_at(victim);
	bool spoke = victim->spoke;

	if (coh_listener_hear(l, s) != COH_LISTENER_STAYS)
		return true;
	if (victim->spoke && !spoke)
		return false;
	coh_listener_say(l, victim->source, "%s, who %s, is let go for others",
	    cohort_conn_peer(s->conn), spoke ? "takes its time" : "says nothing");
	coh_listener_yield(l, s);
	return true;
}

/* N has no place. */
static void door_turn_away(struct cohort_listener *l, const struct coh_listener_newcomer *n,
    enum coh_strangers_verdict verdict)
{
	cohort_time until = coh_penalty_until(&l->strangers.penalty, n->source, cohort_now());

	if (verdict == COH_STRANGERS_PENALTY)
		coh_listener_say(l, n->source, "%s is kept out for another %lld s", n->text,
		    (long long)((until - cohort_now()) / COHORT_SECOND + 1));
	else if (verdict == COH_STRANGERS_SOURCE)
		coh_listener_say(l, n->source, "%s is told to come back: %d others of its address are here",
		    n->text, l->strangers.limits.per_source);
	else
		coh_listener_say(l, n->source, "%s is told to come back: too many strangers", n->text);
	coh_listener_refuse(l, n->fd, COHORT_EBUSY);
}

static void door_meet(struct cohort_listener *l, const struct coh_listener_newcomer *n)
{
	struct coh_stranger *victim;
	enum coh_strangers_verdict verdict;

	do
		verdict = coh_strangers_judge(&l->strangers, n->source, cohort_now(), &victim);
	while (victim != NULL && !door_clear(l, victim));
	if (verdict == COH_STRANGERS_ADMIT)
		coh_listener_enter(l, n);
	else
		door_turn_away(l, n, verdict);
}

/* Where N came from, as text. */
static void door_text(const struct cohort_listener *l, const struct sockaddr *sa, socklen_t len,
    struct coh_listener_newcomer *n)
{
	struct coh_address a;

	if (sa->sa_family != AF_UNIX && coh_sockaddr_to_address(sa, len, &a) == 0)
		coh_address_print(&a, n->text);
	else
		snprintf(n->text, sizeof n->text, "a client of %s", l->address);
}

/* Accept nobody until UNTIL. */
static void door_close(struct cohort_listener *l, cohort_time until)
{
	l->paused = until;
	(void)coh_listener_watch(l, EPOLL_CTL_MOD, l->bound.fd, &l->bound, 0);
}

/* True when nobody can be let in now: then callers wait in the queue of the socket. */
static bool door_is_crowded(struct cohort_listener *l)
{
	cohort_time until = coh_strangers_busy(&l->strangers, cohort_now());

	if (until == 0)
		return false;
	l->crowded = true;
	door_close(l, until);
	return true;
}

/*
 * There is no descriptor, or no memory, for whoever waits (E says which).  Somebody who says nothing gives
 * his; true: try again.  Else give up the reserve to accept and drop one, so that the
 * socket does not stay readable for ever, and leave the others in the queue a while.
 */
static bool door_exhausted(struct cohort_listener *l, int e)
{
	struct coh_stranger *spare = coh_strangers_spare(&l->strangers);
	cohort_time now = cohort_now();
	int fd;

	if (spare != NULL)
		return door_clear(l, spare) && l->found == NULL;
	if (now - l->complained >= COHORT_SECOND) {
		l->complained = now;
		coh_listener_say(l, COH_LISTENER_ITSELF, "cannot accept: %s",
		    e == EMFILE || e == ENFILE ? "no descriptor is left" : "no memory is left");
	}
	if (l->reserve >= 0) {
		close(l->reserve);
		fd = accept4(l->bound.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			coh_listener_refuse(l, fd, COHORT_EBUSY);
	}
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	door_close(l, cohort_in(PAUSE));
	return false;
}

/* accept4 failed with E.  0: go on; 1: enough for now; or -errno for good. */
static int door_failed(struct cohort_listener *l, int e)
{
	switch (e) {
	case EAGAIN:
		return 1;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return door_exhausted(l, e) ? 0 : 1;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
		return -e;
	default: /* this one is gone already (accept(2) passes on what happened to it) */
		return 0;
	}
}

/*
 * An accept that finds nobody costs as much as one that does.  So one is made where one caller was heard of,
 * and twice as many each time that they were not enough.
 */
int coh_listener_take(struct cohort_listener *l)
{
	struct coh_listener_newcomer n;
	struct sockaddr_storage sa;
	socklen_t len;
	int rc = 0;

	for (int i = 0; i < l->allowance && rc == 0 && l->found == NULL; i++) {
		if (door_is_crowded(l))
			return 0;
		len = sizeof sa;
		n.fd = accept4(l->bound.fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
		if (n.fd < 0) {
			rc = door_failed(l, errno);
			continue;
		}
		n.source = coh_network_has(&l->exempt, (struct sockaddr *)&sa, len)
		    ? COH_SOURCE_EXEMPT
		    : l->source((struct sockaddr *)&sa, len);
		door_text(l, (struct sockaddr *)&sa, len, &n);
		door_meet(l, &n);
	}
	if (rc == 0 && l->allowance < BATCH)
		l->allowance *= 2;
	return rc < 0 ? rc : 0;
}
