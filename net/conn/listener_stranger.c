/*
 * listener_stranger.c - one stranger: met, heard, let in or let go.
 *
 *   enter -> (hello, proof) -> found: a peer, on its way to the user
 *         -> wrong bytes, wrong key                told one byte, closed, on its account
 *         -> its time is up, or crowded out        closed
 *
 * What a stranger costs is here: this struct, a connection with a read buffer of 2 KiB, a
 * descriptor.  It is given no thread, and nobody ever waits for it.
 */
#include "conn/listener_struct.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DRAIN ((size_t)4 << 10) /* read off before closing, lest the refusal be lost in a reset */

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT, "a connection's events are epoll's");

/* Say no more to FD, and read off what it said too much. */
static void fd_hang_up(int fd)
{
	unsigned char in[DRAIN];

	shutdown(fd, SHUT_WR);
	if (recv(fd, in, sizeof in, MSG_DONTWAIT) < 0)
		errno = 0; /* nothing there: the usual case */
}

/*
 * Does a stranger whom nothing has been said to understand a frame in the clear?  All of ours do, also one
 * who is about to speak TLS and hears it in place of TLS.
 */
static bool clear_is_understood(enum coh_mode mode)
{
	return !coh_mode_is_python(mode);
}

void coh_listener_refuse(struct cohort_listener *l, int fd, int code)
{
	struct coh_frame f = {.type = COH_FRAME_REFUSE, .length = 1};
	unsigned char out[COH_FRAME_SIZE + 1];

	coh_frame_encode(&f, out);
	out[COH_FRAME_SIZE] = (unsigned char)coh_handshake_refusal(code);
	if (clear_is_understood(l->bound.mode) &&
	    send(fd, out, sizeof out, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		fd_hang_up(fd);
	close(fd);
}

static void stranger_free(struct cohort_listener *l, struct coh_listener_stranger *s)
{
	if (l->beside == s)
		l->beside = NULL;
	coh_greeting_fini(&s->greeting);
	if (s->conn != NULL) {
		fd_hang_up(coh_conn_fd(s->conn));
		cohort_conn_close(s->conn);
	}
	coh_free(s);
}

void coh_listener_drop(
    struct cohort_listener *l, struct coh_listener_stranger *s, enum coh_penalty_why why)
{
	coh_strangers_leave(&l->strangers, &s->place, why, cohort_now());
	stranger_free(l, s);
}

void coh_listener_yield(struct cohort_listener *l, struct coh_listener_stranger *s)
{
	coh_strangers_yield(&l->strangers, &s->place, cohort_now());
	stranger_free(l, s);
}

/* Watch S for EVENTS: in the set of all, or beside it, where one who is alone costs two system calls less. */
static int stranger_watch(struct cohort_listener *l, struct coh_listener_stranger *s, short events)
{
	int op = s->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	s->watched = events;
	if (op == EPOLL_CTL_ADD && l->attended && l->strangers.count == 1)
		l->beside = s;
	return l->beside == s ? 0 : coh_listener_watch(l, op, coh_conn_fd(s->conn), s, events);
}

void coh_listener_set(struct cohort_listener *l)
{
	struct coh_listener_stranger *s = l->beside;

	l->beside = NULL;
	if (s != NULL && coh_listener_watch(l, EPOLL_CTL_ADD, coh_conn_fd(s->conn), s, s->watched) != 0)
		coh_listener_drop(l, s, COH_PENALTY_NONE);
}

/* Begin to greet S, which has its place.  0, or why that cannot be. */
static int stranger_begin(struct cohort_listener *l, struct coh_listener_stranger *s,
    const char *text, struct cohort_error *err)
{
	int rc = coh_greeting_init(&s->greeting, s->conn, &l->id, COH_HANDSHAKE_SERVER,
	    l->bound.end.address[0] != '\0' ? &l->bound.end : NULL, err);

	if (rc != 0)
		return rc;
	s->greeting.hs.config.admit = l->admit;
	s->greeting.hs.config.admit_arg = l->admit_arg;
	rc = stranger_watch(l, s, coh_conn_events(s->conn));
	return rc == 0 ? 0 : coh_fail_errno(err, -rc, "cannot watch %s", text);
}

void coh_listener_enter(struct cohort_listener *l, const struct coh_listener_newcomer *n)
{
	struct coh_mode_socket socket = {.fd = n->fd,
	    .mode = l->bound.mode,
	    .family = l->bound.family,
	    .role = COH_HANDSHAKE_SERVER,
	    .ahead = l->strangers.count == 0, /* its memory is too much for each of many */
	    .id = &l->id,
	    .peer = n->text};
	struct coh_listener_stranger *s = coh_calloc(sizeof *s);
	struct cohort_error err = {.text = "no memory for another stranger"};

	if (s == NULL || coh_mode_conn(&s->conn, &socket, &err) != 0) {
		coh_listener_say(l, COH_LISTENER_ITSELF, "%s", err.text);
		coh_free(s);
		coh_listener_refuse(l, n->fd, err.code == COHORT_EAUTH ? err.code : COHORT_EBUSY);
		return;
	}
	coh_strangers_enter(&l->strangers, &s->place, n->source, cohort_now());
	if (stranger_begin(l, s, n->text, &err) != 0) {
		coh_listener_say(l, n->source, "%s", err.text);
		coh_listener_drop(l, s, COH_PENALTY_NONE);
	} /* else its first word, which is seldom here yet, is told of */
}

/* What a greeting that failed with CODE costs the source of S. */
static enum coh_penalty_why penalty_for(const struct coh_listener_stranger *s, int code)
{
	switch (code) {
	case COHORT_EAUTH:
		return COH_PENALTY_AUTHFAIL;
	case COHORT_EPROTOCOL: /* who never spoke our language is at the wrong door, more often than hostile */
	case COHORT_ETOOBIG:
		return s->place.spoke ? COH_PENALTY_PROTOCOL : COH_PENALTY_AUTHFAIL;
	case COHORT_ENAME: /* it holds the key, or does not know our grammar */
		return s->greeting.hs.name_taken ? COH_PENALTY_NONE : COH_PENALTY_PROTOCOL;
	case COHORT_EOF:
	case COHORT_ETRUNCATED:
	case COHORT_EPEER:
	case COHORT_EVERSION:
	case COHORT_ESELF:
	case COHORT_ECLUSTER:
	case COHORT_EADDR:
		return COH_PENALTY_NOAUTH;
	default:
		return COH_PENALTY_NONE;
	}
}

static void last_keep(struct cohort_listener *l, const struct coh_listener_stranger *s)
{
	static const char digits[] = "0123456789abcdef";
	struct coh_listener_last *last = &l->last;

	last->peer = s->greeting.hs.peer;
	snprintf(last->address, sizeof last->address, "%s", cohort_conn_peer(s->conn));
	for (int i = 0; i < COH_HANDSHAKE_UUID; i++) {
		last->uuid[2 * i] = digits[last->peer.uuid[i] >> 4];
		last->uuid[2 * i + 1] = digits[last->peer.uuid[i] & 15];
	}
	last->told = (struct cohort_peer){.name = last->peer.name,
	    .uuid = last->uuid,
	    .address = last->address,
	    .mode = coh_mode_text(l->bound.mode)};
}

/* S has proved itself: it becomes a peer, whose descriptor nobody here watches. */
static void stranger_found(struct cohort_listener *l, struct coh_listener_stranger *s)
{
	last_keep(l, s);
	coh_greeting_admit(&s->greeting);
	if (l->beside != s)
		(void)coh_listener_watch(l, EPOLL_CTL_DEL, coh_conn_fd(s->conn), NULL, 0);
	COH_ASSERT(l->found == NULL);
	l->found = s->conn;
	s->conn = NULL;
	coh_listener_drop(l, s, COH_PENALTY_NONE);
}

/* S goes on: watch for what it waits for now. */
static enum coh_listener_fate stranger_stays(
    struct cohort_listener *l, struct coh_listener_stranger *s)
{
	short events = coh_conn_events(s->conn);

	if (coh_greeting_spoke(&s->greeting))
		coh_strangers_spoke(&l->strangers, &s->place);
	if (events == s->watched)
		return COH_LISTENER_STAYS;
	if (stranger_watch(l, s, events) == 0)
		return COH_LISTENER_STAYS;
	coh_listener_drop(l, s, COH_PENALTY_NONE);
	return COH_LISTENER_GONE;
}

enum coh_listener_fate coh_listener_hear(
    struct cohort_listener *l, struct coh_listener_stranger *s)
{
	struct cohort_error err = {0};
	int rc = coh_greeting_step(&s->greeting, &err);

	if (rc == COH_HANDSHAKE_DONE) {
		stranger_found(l, s);
		return COH_LISTENER_FOUND;
	}
	if (rc == COH_HANDSHAKE_MORE)
		return stranger_stays(l, s);
	coh_listener_say(l, s->place.source, "%s", err.text);
	coh_listener_drop(l, s, penalty_for(s, rc));
	return COH_LISTENER_GONE;
}
