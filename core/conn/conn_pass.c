/*
 * conn_pass.c - descriptors and connections that travel over a connection.
 *
 * A descriptor goes with the first byte of a PASS frame (or of an offered BLOCK), and a read of the
 * kernel's ends behind the bytes of the write that brought one.  So descriptors come in the
 * order of their frames, each no later than its header; they are noted with the place in the
 * stream where they came, and a frame takes the oldest.
 *
 * The rule that matters: every descriptor that comes is owned at once, by the note, by the caller
 * or by nobody (closed).  One that no frame announced, and a frame without the one it announces,
 * end the connection; strangers' never enter, since nobody asks for them before the proof.
 * One lost for want of room (RLIMIT_NOFILE) costs its message alone.
 *
 * Rejected: a socket of its own for descriptors (their order among the messages would be lost).
 */
#include "conn/conn_block.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* What the descriptor of a PASS is: its channel. */
enum pass_kind { PASS_FD = 1, PASS_CONN = 2 };

/*
 * The body of a PASS_CONN: version (1), whether there is a session (1), bytes of peer (2), the four spans of
 * the session in nanoseconds (8 each), of each lane what may be sent, what may come and what was taken, how
 * much of what it had received was judged (8 each), peer; then what it had received.
 */
#define STATE_VERSION 1
#define STATE_SPANS 4
#define STATE_WAYS (STATE_SPANS + 4 * 8)
#define STATE_HEAD (STATE_WAYS + (3 * COH_LANES + 1) * 8)
#define PEER_MAX 255
#define SPAN_MAX ((uint64_t)3600 * COHORT_SECOND)

/* ---- what came ---- */

void coh_conn_came(struct cohort_conn *c, int fd)
{
	struct coh_conn_in *in = &c->in;

	if (fd == -E2BIG || in->ncame == COH_CONN_CAME) {
		coh_fd_close(&fd);
		in->failure = coh_conn_fail(
		    c, COHORT_EPROTOCOL, "more descriptors came than there are messages for them");
		return;
	}
	in->came[in->ncame++] = (struct coh_conn_came){fd, in->total};
}

int coh_conn_came_judge(struct cohort_conn *c, const struct coh_frame *f)
{
	struct coh_conn_in *in = &c->in;
	bool due = f->type == COH_FRAME_PASS ||
	    (f->type == COH_FRAME_BLOCK && f->flags == COH_BLOCK_OFFER);

	if (in->ncame != 0 && in->came[0].end <= in->total - (in->tail - in->head))
		return in->failure = coh_conn_fail(
			   c, COHORT_EPROTOCOL, "a descriptor came that no message announced");
	if (due && in->ncame == 0)
		return in->failure = coh_conn_fail(c, COHORT_EPROTOCOL,
			   "a %s came without its descriptor", coh_frame_name(f->type));
	return 0;
}

int coh_conn_came_take(struct cohort_conn *c)
{
	struct coh_conn_in *in = &c->in;
	int fd = in->came[0].fd;

	memmove(in->came, in->came + 1, --in->ncame * sizeof *in->came);
	return fd;
}

void coh_conn_came_drop(struct cohort_conn *c)
{
	while (c->in.ncame != 0)
		coh_fd_close(&c->in.came[--c->in.ncame].fd);
}

/* ---- descriptors ---- */

/* Can C carry descriptors? */
static int pass_check(struct cohort_conn *c)
{
	if (c->ops->write_fd != NULL && c->framing == NULL)
		return 0;
	return coh_conn_fail(c, COHORT_ENOTSUP,
	    "descriptors travel over Unix sockets and socket pairs only, within one machine");
}

static int pass_send(struct cohort_conn *c, int fd, struct coh_frame *f, const struct iovec *body,
    int n, cohort_time deadline)
{
	struct coh_conn_outgoing o = {f, body, n, COH_CONN_SEND};
	int rc;

	f->type = COH_FRAME_PASS;
	for (int i = 0; i < n; i++)
		f->length += (uint32_t)body[i].iov_len;
	rc = coh_conn_out_pass(c, &o, fd, deadline);
	if (rc == -ETOOMANYREFS)
		return coh_conn_fail(c, rc, "too many descriptors are on their way already: %s",
		    strerror(ETOOMANYREFS));
	return rc;
}

int cohort_conn_send_fd(struct cohort_conn *c, int fd, cohort_time deadline)
{
	struct coh_frame f = {.channel = PASS_FD};
	int rc = pass_check(c);

	if (rc != 0)
		return rc;
	if (fcntl(fd, F_GETFD) < 0)
		return coh_conn_fail(c, -EBADF, "descriptor %d is not open", fd);
	return pass_send(c, fd, &f, NULL, 0, deadline);
}

/* Wait for a PASS of KIND; it is not taken. */
static int pass_expect(
    struct cohort_conn *c, enum pass_kind kind, struct coh_frame *f, cohort_time deadline)
{
	int rc = pass_check(c);

	if (rc == 0)
		rc = coh_conn_expect(c, COH_FRAME_PASS, f, deadline);
	if (rc != 0 || f->channel == kind)
		return rc;
	if (f->channel != PASS_FD && f->channel != PASS_CONN)
		return c->in.failure = coh_conn_fail(
			   c, COHORT_EPROTOCOL, "a PASS of an unknown kind, %u", f->channel);
	return coh_conn_fail(c, COHORT_ESTATE, "the next message is %s",
	    kind == PASS_FD ? "a connection, not a descriptor" : "a descriptor, not a connection");
}

/* Take the frame that was seen last, and its descriptor: that, or -errno. */
static int pass_take(struct cohort_conn *c)
{
	int fd = coh_conn_came_take(c);

	(void)coh_conn_in_take(c);
	if (fd < 0)
		return coh_conn_fail(c, fd,
		    "a descriptor that was sent is lost, there was no room for it here: %s",
		    strerror(-fd));
	return fd;
}

int cohort_conn_recv_fd(struct cohort_conn *c, int *fd, cohort_time deadline)
{
	struct coh_frame f;
	int rc = pass_expect(c, PASS_FD, &f, deadline);

	*fd = -1;
	if (rc == 0)
		rc = pass_take(c);
	if (rc < 0)
		return rc;
	*fd = rc;
	return 0;
}

/* ---- connections ---- */

/* Can SENT be handed over now?  The sentence is C's. */
static int conn_check(struct cohort_conn *c, struct cohort_conn *sent, cohort_time deadline)
{
	struct coh_frame f;
	int rc;

	if (sent == c)
		return coh_conn_fail(c, COHORT_EARGUMENT, "it cannot be sent over itself");
	if (coh_conn_socket(sent) < 0 || sent->framing != NULL || sent->phase != COH_PHASE_USER)
		return coh_conn_fail(c, COHORT_ENOTSUP,
		    "the connection to %s is more than a socket and lives in this process alone",
		    sent->peer);
	(void)coh_conn_in_look(sent, &f); /* lets go of what was lent */
	rc = coh_conn_failure(sent);
	if (rc != 0)
		return coh_conn_fail(c, COHORT_ESTATE, "the connection to %s has ended: %s",
		    sent->peer, cohort_conn_error(sent));
	if (sent->in.assembled || sent->session.way[COH_LANE_ORDERED].transfer ||
	    sent->session.way[COH_LANE_BULK].transfer || coh_conn_file_goes(sent) ||
	    coh_conn_file_comes(sent))
		return coh_conn_fail(c, COHORT_ESTATE,
		    "the connection to %s has a large message or a file under way", sent->peer);
	if (sent->in.ncame != 0)
		return coh_conn_fail(c, COHORT_ESTATE,
		    "the connection to %s holds descriptors that were not received yet",
		    sent->peer);
	if (coh_conn_block_any(sent))
		return coh_conn_fail(c, COHORT_ESTATE,
		    "the connection to %s has moved large messages through memory it shares with its "
		    "peer, which cannot be handed over",
		    sent->peer);
	rc = coh_conn_out_flush(sent, deadline);
	return rc == 0
	    ? 0
	    : coh_conn_fail(c, rc, "what was put on the connection to %s cannot be sent: %s",
		  sent->peer, cohort_conn_error(sent));
}

static void state_write(unsigned char head[STATE_HEAD], const struct cohort_conn *sent, size_t peer)
{
	const struct coh_session_config *s = &sent->session.config;
	unsigned char *p = head + STATE_WAYS;

	head[0] = STATE_VERSION;
	head[1] = sent->session.on;
	coh_put_u16(head + 2, (uint16_t)peer);
	coh_put_u64(head + 4, (uint64_t)s->beat_out);
	coh_put_u64(head + 12, (uint64_t)s->beat_in);
	coh_put_u64(head + 20, (uint64_t)s->silence);
	coh_put_u64(head + 28, (uint64_t)s->frame);
	for (int i = 0; i < COH_LANES; i++, p += 24) {
		coh_put_u64(p, sent->session.way[i].credit);
		coh_put_u64(p + 8, sent->session.way[i].open);
		coh_put_u64(p + 16, sent->session.way[i].taken);
	}
	coh_put_u64(p, sent->in.scanned);
}

int cohort_conn_send_conn(struct cohort_conn *c, struct cohort_conn *sent, cohort_time deadline)
{
	struct coh_frame f = {.channel = PASS_CONN};
	unsigned char head[STATE_HEAD];
	struct iovec body[3];
	size_t peer, unread;
	int rc = pass_check(c);

	if (rc == 0)
		rc = conn_check(c, sent, deadline);
	if (rc != 0)
		return rc;
	peer = strnlen(sent->peer, PEER_MAX);
	unread = coh_conn_unread(sent);
	if (unread > COHORT_MESSAGE_MAX - STATE_HEAD - PEER_MAX)
		return coh_conn_fail(c, COHORT_ESTATE,
		    "the connection to %s holds %zu bytes that were not received yet", sent->peer,
		    unread);
	state_write(head, sent, peer);
	body[0] = (struct iovec){head, sizeof head};
	body[1] = (struct iovec){sent->peer, peer};
	body[2] = (struct iovec){unread != 0 ? sent->in.data + sent->in.head : NULL, unread};
	rc = pass_send(c, coh_conn_socket(sent), &f, body, 3, deadline);
	if (rc == 0)
		cohort_conn_close(sent);
	return rc;
}

/* FD is a connected stream socket of a family that connections use. */
static bool is_stream(int fd)
{
	int type = 0, domain = 0;
	socklen_t size = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	    (domain == AF_UNIX || domain == AF_INET || domain == AF_INET6);
}

/* The four spans at P, none of which is absurd. */
static bool spans_read(struct coh_session_config *s, const unsigned char *p)
{
	cohort_time *spans[] = {&s->beat_out, &s->beat_in, &s->silence, &s->frame};

	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
		uint64_t span = coh_get_u64(p + 8 * i);

		if (span > SPAN_MAX)
			return false;
		*spans[i] = (cohort_time)span;
	}
	return true;
}

/*
 * The SIZE bytes of STATE describe a connection: its peer and session.  How many of them precede
 * what it had received, or -1.
 */
static ssize_t state_read(const unsigned char *state, size_t size, char peer[PEER_MAX + 1],
    struct coh_session_config *session)
{
	size_t n;

	if (size < STATE_HEAD || state[0] != STATE_VERSION || state[1] > 1)
		return -1;
	n = coh_get_u16(state + 2);
	if (n > PEER_MAX || n > size - STATE_HEAD || !spans_read(session, state + STATE_SPANS))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (state[STATE_HEAD + i] < ' ' || state[STATE_HEAD + i] == 0x7f)
			return -1;
	memcpy(peer, state + STATE_HEAD, n);
	peer[n] = '\0';
	return (ssize_t)(STATE_HEAD + n);
}

/* S goes on in its windows where P says, no more than UNREAD bytes being judged; false when that cannot be. */
static bool ways_read(struct coh_session *s, const unsigned char *p, size_t unread)
{
	bool valid = true;

	for (int i = 0; i < COH_LANES; i++, p += 24) {
		struct coh_session_way *way = &s->way[i];
		uint64_t window = way->open;

		way->credit = coh_get_u64(p);
		way->open = coh_get_u64(p + 8);
		way->taken = coh_get_u64(p + 16);
		valid = valid && way->credit <= window && way->open <= window &&
		    way->taken <= window - way->open;
	}
	return valid && coh_get_u64(p) <= unread;
}

/* A connection over FD, taken on success, as STATE says; COHORT_EPROTOCOL or -ENOMEM. */
static int conn_rebuild(struct cohort_conn *c, int fd, const unsigned char *state, size_t size,
    struct cohort_conn **received)
{
	struct coh_session_config config = {0};
	struct coh_session session;
	char peer[PEER_MAX + 1];
	ssize_t head = state_read(state, size, peer, &config);
	int rc;

	if (head >= 0)
		coh_session_init(&session, &config, cohort_now());
	if (head < 0 || !is_stream(fd) ||
	    !ways_read(&session, state + STATE_WAYS, size - (size_t)head))
		return coh_conn_fail(c, COHORT_EPROTOCOL, "what was passed is no connection");
	rc = coh_conn_from_fd(received, fd, COH_PHASE_USER, peer, c->error);
	if (rc != 0)
		return rc;
	rc = coh_conn_in_preload(*received, state + head, size - (size_t)head);
	if (rc != 0) {
		(void)coh_conn_release_fd(*received); /* it holds nothing */
		*received = NULL;
		return coh_conn_fail(c, rc, "no memory for a connection that was passed");
	}
	coh_conn_set_guard(*received, "as whoever passed it to this process had it guarded");
	if (state[1] != 0) {
		(*received)->session = session;
		(*received)->in.scanned = coh_get_u64(state + STATE_WAYS + 24 * COH_LANES);
	}
	return 0;
}

int cohort_conn_recv_conn(
    struct cohort_conn *c, struct cohort_conn **received, cohort_time deadline)
{
	struct coh_frame f;
	int rc = pass_expect(c, PASS_CONN, &f, deadline);

	*received = NULL;
	if (rc != 0)
		return rc;
	if (c->in.came[0].fd >= 0)
		rc = conn_rebuild(c, c->in.came[0].fd, coh_conn_in_body(c), f.length, received);
	if (rc == COHORT_EPROTOCOL)
		return c->in.failure = rc;
	if (rc != 0)
		return rc; /* it is kept */
	rc = pass_take(c);
	return rc < 0 ? rc : 0;
}
