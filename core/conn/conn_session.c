/*
 * conn_session.c - a connection in time: signs of life both ways while somebody looks at it.
 *
 * wire/session.c decides, this asks the clock and moves the bytes.  A call that waits wakes for the
 * next tick; an engine ticks all its connections by one timer (coh_conn_tick); a user's own
 * loop calls cohort_conn_step.
 *
 * The rule that matters: a connection with a session never sleeps in a write.  Two ends that both
 * send before they read would sleep there for ever, and a BEAT could not be said.
 *
 * A peer found dead ends the connection when all that it had said has been received.
 */
#include "conn/conn_struct.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define KEPT ((size_t)6 << 20) /* more than both windows: of what comes while we wait to send */
#define LEAVE (500 * COHORT_MS) /* at most, and only while the peer does not read what was sent */
#define TURNS 8 /* reads of one step */

void coh_conn_begin_session(struct cohort_conn *c, const struct coh_session_config *config)
{
	coh_session_init(&c->session, config, cohort_now());
	c->in.scanned = c->in.lent; /* the last of the handshake is none of its frames */
}

/* The peer ended C by its silence, or by half a frame. */
static int session_end(struct cohort_conn *c, int code)
{
	const struct coh_session *s = &c->session;

	if (code == COHORT_ESILENT)
		coh_conn_fail(c, code, "nothing came for %.1f s, it promised a sign of life every %.1f s",
		    (double)s->quiet / COHORT_SECOND, (double)s->config.beat_in / COHORT_SECOND);
	else
		coh_conn_fail(c, code, "it began a message and did not finish it within %.1f s",
		    (double)s->config.frame / COHORT_SECOND);
	return c->in.failure = code;
}

/* Say that we live, unless the transport has more than it takes already. */
static void session_beat(struct cohort_conn *c)
{
	struct coh_frame f = {.type = COH_FRAME_BEAT, .id = (uint64_t)c->session.quiet};

	if (coh_buf_len(&c->out.held) == 0)
		(void)coh_conn_put_frame(c, &f, NULL, 0, COHORT_NOW);
	if (coh_conn_push(c) == 0) /* its failure is the next sender's to hear */
		coh_session_said_then(&c->session);
}

int coh_conn_tick(struct cohort_conn *c, cohort_time now, cohort_time *next)
{
	struct coh_conn_in_view v;
	int rc;

	*next = COHORT_FOREVER;
	if (!c->session.on || c->in.failure != 0)
		return c->in.failure;
	v = coh_conn_in_view(c);
	rc = coh_session_tick(&c->session, now, v.partial);
	*next = c->session.next;
	if (rc == COH_SESSION_BEAT)
		session_beat(c);
	return rc < 0 && !v.message ? session_end(c, rc) : 0;
}

int coh_conn_session_idle(struct cohort_conn *c, cohort_time deadline)
{
	cohort_time now = cohort_now(), next;
	int rc = now >= c->session.next ? coh_conn_tick(c, now, &next) : 0;

	return rc != 0 ? rc : deadline <= now ? -EAGAIN : 0;
}

int coh_conn_session_wait(struct cohort_conn *c, bool room, cohort_time deadline)
{
	struct pollfd p = {.fd = c->ops->fd(c->self), .events = c->ops->events(c->self, room)};
	cohort_time next = coh_conn_session_next(c);
	cohort_time left = coh_clock_left(next < deadline ? next : deadline);
	struct timespec ts = coh_clock_timespec(left);
	bool full = c->in.ncame == COH_CONN_CAME;
	int n;

	if (deadline == COHORT_NOW)
		return -EAGAIN;
	if (coh_conn_unread(c) > KEPT)
		return c->in.failure = coh_conn_fail(c, COHORT_EPROTOCOL,
			   "it says more than it may while it takes nothing");
	if (c->in.ended && !room)
		return coh_conn_fail(c, COHORT_EPEER, "cannot send: closed by the peer");
	if (full)
		coh_session_heard(&c->session); /* it says more than we can keep now */
	if ((c->in.ended || full) && (p.events & POLLOUT))
		p.events = POLLOUT; /* what is there and not read would wake us at once */
	n = ppoll(&p, 1, left == COHORT_FOREVER ? NULL : &ts, NULL);
	if (n > 0 && (p.revents & ~POLLOUT) && !full)
		(void)coh_conn_hear(c);
	if (n <= 0)
		return coh_conn_session_idle(c, deadline);
	return c->in.failure;
}

enum coh_session_lane coh_conn_session_lane(const struct coh_frame *f)
{
	if (f->type == COH_FRAME_FILE)
		return COH_LANE_BULK;
	return (f->type == COH_FRAME_OPEN || f->type == COH_FRAME_SLICE) && f->channel < COH_LANES
	    ? (enum coh_session_lane)f->channel
	    : COH_LANE_ORDERED;
}

int coh_conn_session_came(struct cohort_conn *c, const struct coh_frame *f, const void *body)
{
	struct coh_session *s = &c->session;

	coh_session_whole(s);
	if (f->type == COH_FRAME_PING)
		coh_conn_out_pong(c, f, body);
	if (f->type == COH_FRAME_CREDIT) {
		if (coh_session_credit(s, f->channel, f->id) != 0)
			return c->in.failure = coh_conn_fail(c, COHORT_EPROTOCOL,
				   "it gives back more than was sent to it");
		(void)coh_conn_push(c); /* its failure is the next sender's to hear */
	}
	if (coh_conn_lane_counts(f) &&
	    coh_session_came(s, coh_conn_session_lane(f), COH_FRAME_SIZE + (uint64_t)f->length) != 0)
		return c->in.failure = coh_conn_fail(
			   c, COHORT_EPROTOCOL, "it sends more than the window that it was given");
	return 0;
}

/* As coh_conn_session_taken; also why it cannot be given back. */
static int session_give(struct cohort_conn *c, enum coh_session_lane lane, uint64_t size)
{
	struct coh_frame credit = {.type = COH_FRAME_CREDIT, .channel = lane};
	int rc;

	credit.id = coh_session_taken(&c->session, lane, size);
	if (credit.id == 0)
		return 0;
	rc = coh_conn_put_frame(c, &credit, NULL, 0, COHORT_NOW);
	if (rc != 0)
		coh_session_not_given(&c->session, lane, credit.id);
	(void)coh_conn_push(c);
	return rc;
}

void coh_conn_session_taken(struct cohort_conn *c, enum coh_session_lane lane, uint64_t size)
{
	(void)session_give(c, lane, size); /* else with the next, or before a wait */
}

int coh_conn_session_owed(struct cohort_conn *c)
{
	for (int i = 0; i < COH_LANES; i++)
		if (session_give(c, (enum coh_session_lane)i, 0) == -ENOMEM)
			return -ENOMEM;
	return 0; /* who can send no more has nothing to wait for but what is there */
}

bool coh_conn_session_quits(const struct cohort_conn *c)
{
	const struct coh_session *s = &c->session;

	for (int i = 0; s->on && i < COH_LANES; i++)
		if (s->way[i].credit != s->config.window[i])
			return false;
	return s->on;
}

/* Could the peer say something by itself, a CREDIT or a BEAT, while what we sent is on its way? */
static bool session_answers(const struct cohort_conn *c)
{
	return c->phase == COH_PHASE_USER && c->in.failure == 0 && c->out.failure == 0 &&
	    (c->session.config.beat_in != 0 ||
		c->out.total >= c->session.config.window[COH_LANE_ORDERED] / 4);
}

uint64_t coh_conn_bytes_came(const struct cohort_conn *c)
{
	return c->in.total;
}

size_t coh_conn_unsent(const struct cohort_conn *c)
{
	int left = 0;

	if (ioctl(c->ops->fd(c->self), SIOCOUTQ, &left) != 0 || left < 0)
		left = 0;
	return coh_conn_pending(c) + (size_t)left;
}

/*
 * TCP throws away what it has not sent yet when something comes for a socket that is closed or
 * holds unread bytes.  So a CREDIT on its way to us would cost the peer our last words: wait until they
 * have arrived there, though not long for one who does not read.
 */
void coh_conn_session_leave(struct cohort_conn *c)
{
	struct pollfd p = {.fd = c->ops->fd(c->self)};
	cohort_time limit = cohort_in(LEAVE), pause = 20 * COHORT_US;
	struct timespec ts;
	int left = 0, protocol = 0;
	socklen_t size = sizeof protocol;

	if (!session_answers(c) ||
	    getsockopt(p.fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0 ||
	    protocol != IPPROTO_TCP)
		return;
	while (ioctl(p.fd, SIOCOUTQ, &left) == 0 && left != 0 && !coh_clock_passed(limit)) {
		ts = coh_clock_timespec(pause);
		if (ppoll(&p, 1, &ts, NULL) > 0)
			return; /* it is gone */
		pause = pause < COHORT_MS ? 2 * pause : pause;
	}
}

int cohort_conn_fd(const struct cohort_conn *c)
{
	return coh_conn_fd(c);
}

short cohort_conn_events(const struct cohort_conn *c)
{
	return coh_conn_events(c);
}

/* Whoever steps does so whenever something comes, so that it may come back late otherwise. */
int cohort_conn_step(struct cohort_conn *c, cohort_time *next)
{
	cohort_time when;
	bool ready;

	(void)coh_conn_push(c); /* its failure is the next sender's to hear */
	for (int i = 0; i < TURNS && !coh_conn_message_ready(c); i++)
		if (!coh_conn_in_pump(c) || c->in.drained)
			break;
	(void)coh_conn_tick(c, cohort_now(), &when);
	ready = coh_conn_message_ready(c);
	if (coh_conn_unread(c) == 0)
		coh_conn_rest(c);
	if (next != NULL)
		*next = when == COHORT_FOREVER ? when : coh_session_rest(&c->session);
	return ready;
}
