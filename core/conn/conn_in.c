/*
 * conn_in.c - what comes in: bytes of a transport made into whole frames.
 *
 * One buffer.  A frame is looked at where it arrived and its body is lent from there, so a
 * small message costs no copy and no allocation, and one read brings many.  Once a header
 * says that a large body follows, exactly the rest of that message is read straight into
 * its place: then the next message begins at the start of the buffer and nothing is moved.
 *
 * The rule that matters: memory follows bytes that arrived, never a length that was claimed
 * (at most double, COHORT_MESSAGE_MAX at the very end of a message that large).
 *
 * Rejected: a buffer per message (two allocations and a copy each), a ring (a body could wrap).
 */
#include "conn/conn_block.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define READ_AHEAD ((size_t)64 << 10)   /* one read; a socket hands over little more at once */
#define READ_RESTED ((size_t)1000)      /* likewise where only signs of life came: an allocation that costs nothing */
#define READ_STRANGER ((size_t)2 << 10) /* a frame before authentication and a little more */
#define LARGE ((size_t)16 << 10)        /* from here moving bytes costs more than one more read */
#define KEEP_MAX ((size_t)4 << 20)      /* what a large message may leave behind */
#define CALM_READS 1024                 /* after so many small reads the buffer is small again */
#define READS 16                        /* while bytes flow the time is looked at so often */
#define HOARD ((size_t)128 << 10)       /* beyond a large message, for what a transport read too far */

static size_t in_held(const struct coh_conn_in *in)
{
	return in->tail - in->head;
}

static size_t in_least(const struct cohort_conn *c)
{
	return c->phase == COH_PHASE_STRANGER ? READ_STRANGER : c->in.rested ? READ_RESTED : READ_AHEAD;
}

static void in_drop(struct coh_conn_in *in, size_t n)
{
	in->head += n;
	in->scanned -= n < in->scanned ? n : in->scanned;
	if (in->head == in->tail)
		in->head = in->tail = 0;
}

/* Make the buffer CAP bytes, which hold what is held. */
static int in_resize(struct coh_conn_in *in, size_t cap)
{
	unsigned char *p;

	if (in->head != 0) {
		memmove(in->data, in->data + in->head, in_held(in));
		in->tail -= in->head;
		in->head = 0;
	}
	p = coh_realloc(in->data, cap);
	if (p == NULL)
		return -ENOMEM;
	in->data = p;
	in->cap = cap;
	return 0;
}

/* Give back what an earlier large message earned, once it has not been needed for long. */
static void in_shrink(struct cohort_conn *c)
{
	struct coh_conn_in *in = &c->in;
	size_t least = in_least(c);

	if (in->cap <= least || in_held(in) > least)
		return;
	if (in->cap > KEEP_MAX || ++in->calm > CALM_READS) {
		in->calm = 0;
		(void)in_resize(in, least); /* a smaller block that cannot be had is no loss */
	}
}

/*
 * Make room to read on towards a frame of NEED bytes, header included: *ROOM bytes at the tail.
 * What has arrived decides how far the buffer grows.  A transport that holds bytes itself has
 * read beyond the message already: what is behind it comes into the same buffer.
 */
static int in_room(struct cohort_conn *c, size_t need, size_t *room)
{
	struct coh_conn_in *in = &c->in;
	size_t held = in_held(in), least = in_least(c), cap, rest;
	bool hoards = c->ops->ready != NULL;
	int rc;

	if (need > least)
		in->calm = 0;
	else
		in_shrink(c);
	rest = need > held ? need - held : 1;
	if (in->head + need > in->cap || (rest <= LARGE && in->cap - in->tail < least / 2)) {
		cap = need > 2 * held ? 2 * held : need > least && hoards ? need + HOARD : need;
		if (cap < least)
			cap = least;
		rc = cap > in->cap ? in_resize(in, cap) : 0;
		if (rc != 0)
			return rc;
		if (in->head != 0) {
			memmove(in->data, in->data + in->head, held);
			in->head = 0;
			in->tail = held;
		}
	}
	*room = in->cap - in->tail;
	if (rest > LARGE && *room > rest && !hoards)
		*room = rest;
	else if (rest <= LARGE && *room > least)
		*room = least;
	return 0;
}

/* The stream said END (0 or -errno) in place of bytes. */
static int in_end(struct cohort_conn *c, ssize_t end)
{
	bool transfer = c->session.way[COH_LANE_ORDERED].transfer ||
	    c->session.way[COH_LANE_BULK].transfer || coh_conn_file_comes(c);
	size_t held = in_held(&c->in) + c->in.parts_len + transfer;

	if (end == -ECONNRESET && held == 0 && coh_conn_session_quits(c))
		end = 0; /* it went while our CREDIT was on its way: it owes us nothing */
	if (end == 0 && held == 0)
		c->in.failure = coh_conn_fail(c, COHORT_EOF, "closed by the peer");
	else if (end == 0)
		c->in.failure = coh_conn_fail(c, COHORT_ETRUNCATED,
		    "closed by the peer in the middle of a message, %zu bytes into it", held);
	else
		c->in.failure = coh_conn_fail_stream(c, COHORT_EPEER, "", (int)end);
	return c->in.failure;
}

ssize_t coh_conn_in_stream(struct cohort_conn *c, void *p, size_t n, cohort_time deadline)
{
	int fd = -1;
	ssize_t got;

	if (c->ops->read_fd == NULL || c->phase == COH_PHASE_STRANGER)
		got = c->ops->read(c->self, p, n, deadline); /* a stranger's never enter */
	else
		got = c->ops->read_fd(c->self, p, n, deadline, &fd);
	if (got > 0)
		c->in.total += (size_t)got;
	if (fd != -1)
		coh_conn_came(c, fd);
	return got;
}

/* Read; while bytes wait to be sent, whichever can go on goes on.  As the read of the stream. */
static ssize_t in_read_once(struct cohort_conn *c, size_t room, cohort_time deadline)
{
	struct pollfd p;
	struct timespec ts;
	cohort_time left;
	ssize_t n;

	if (!coh_conn_busy(c))
		return coh_conn_in_stream(c, c->in.data + c->in.tail, room, deadline);
	p = (struct pollfd){.fd = c->ops->fd(c->self)};
	for (;;) {
		(void)coh_conn_push(c); /* its failure is the next sender's to hear */
		if (!coh_conn_busy(c))
			return coh_conn_in_stream(c, c->in.data + c->in.tail, room, deadline);
		n = coh_conn_in_stream(c, c->in.data + c->in.tail, room, COHORT_NOW);
		if (n != -EAGAIN)
			return n;
		left = coh_clock_left(deadline);
		if (left == 0)
			return -EAGAIN;
		ts = coh_clock_timespec(left);
		p.events = coh_conn_events(c);
		if (ppoll(&p, 1, left == COHORT_FOREVER ? NULL : &ts, NULL) < 0 && errno != EINTR)
			return -errno;
	}
}

/* As in_read_once, with signs of life, given and expected, while it waits. */
static ssize_t in_read(struct cohort_conn *c, size_t room, cohort_time deadline)
{
	cohort_time until = coh_conn_session_next(c);
	ssize_t n;
	int rc;

	for (;; until = coh_conn_session_next(c)) {
		n = in_read_once(c, room, until < deadline ? until : deadline);
		if (!c->session.on)
			return n;
		if (n > 0) {
			coh_session_heard(&c->session);
			if (++c->in.reads % READS != 0)
				return n;
			rc = coh_conn_session_idle(c, COHORT_FOREVER); /* a flood must not keep us silent */
			return rc != 0 ? rc : n;
		}
		if (n != -EAGAIN || until == COHORT_FOREVER)
			return n;
		rc = coh_conn_session_idle(c, deadline);
		if (rc != 0)
			return rc;
	}
}

/* Take what the stream holds itself: its descriptor would not tell of it again. */
static int in_drain(struct cohort_conn *c)
{
	size_t room;
	ssize_t n;
	int rc;

	while (c->ops->ready != NULL && c->ops->ready(c->self)) {
		rc = in_room(c, in_held(&c->in) + 1, &room);
		if (rc != 0)
			return coh_conn_fail_code(c, rc);
		n = coh_conn_in_stream(c, c->in.data + c->in.tail, room, COHORT_NOW);
		if (n <= 0)
			return 0; /* the next read says why */
		c->in.tail += (size_t)n;
	}
	return 0;
}

/* One read brought N bytes. */
static void in_came(struct coh_conn_in *in, size_t n)
{
	in->tail += n;
	in->most = n > in->most ? n : in->most;
	in->rested = in->rested && in->tail < in->cap;
}

/* Read once towards a frame of NEED bytes. */
static int in_fill(struct cohort_conn *c, size_t need, cohort_time deadline)
{
	size_t room;
	ssize_t n;
	int rc = in_room(c, need, &room);

	if (rc == 0)
		rc = coh_conn_session_owed(c);
	if (rc != 0)
		return coh_conn_fail_code(c, rc);
	n = c->in.ended ? c->in.end : in_read(c, room, deadline);
	c->in.drained = n > 0 && (size_t)n < room;
	if (n > 0) {
		in_came(&c->in, (size_t)n);
		return in_drain(c);
	}
	if (n == -EAGAIN) {
		if (deadline == COHORT_NOW && c->session.on)
			coh_conn_rest(c); /* ten thousand of them are silent most of the time */
		return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
	}
	return c->in.failure != 0 ? c->in.failure : in_end(c, n);
}

/* Room for one read more, behind all that is held; what is lent stays where it is. */
static int in_room_beyond(struct cohort_conn *c, size_t *room)
{
	struct coh_conn_in *in = &c->in;
	size_t held = coh_conn_unread(c), cap = 2 * held > READ_AHEAD ? 2 * held : READ_AHEAD;
	unsigned char *p;

	if (in->cap - in->tail < LARGE && in->lent == 0 && in_resize(in, cap) != 0)
		return -ENOMEM;
	if (in->cap - in->tail < LARGE || (c->session.on && in->block == NULL && in->lent != 0)) {
		p = coh_alloc(cap);
		if (p == NULL)
			return -ENOMEM;
		memcpy(p, in->data + in->head + in->lent, held);
		in->old = in->data;
		in->data = p;
		in->cap = cap;
		in->scanned -= in->lent;
		in->head = in->lent = 0;
		in->tail = held;
	}
	*room = in->cap - in->tail < READ_AHEAD ? in->cap - in->tail : READ_AHEAD;
	return 0;
}

/* Judge the whole frames that have come, whether or not those before them were taken. */
static void in_scan(struct cohort_conn *c)
{
	struct coh_conn_in *in = &c->in;
	struct coh_frame f;
	const unsigned char *p;
	size_t left;

	while ((left = in_held(in) - in->scanned) >= COH_FRAME_SIZE) {
		p = in->data + in->head + in->scanned;
		if (coh_frame_decode(&f, p, c->phase, NULL) != 0 || left - COH_FRAME_SIZE < f.length)
			return; /* a look tells what is wrong with it */
		if (coh_conn_session_came(c, &f, p + COH_FRAME_SIZE) != 0)
			return;
		in->scanned += COH_FRAME_SIZE + (size_t)f.length;
	}
}

static int in_find(struct cohort_conn *c, struct coh_frame *f, size_t *need);

/* What is lent is set aside, so that what is behind it can be dealt with. */
static void in_set_aside(struct coh_conn_in *in)
{
	if (!in->parts_lent)
		return;
	in->old = in->parts;
	in->parts = NULL;
	in->parts_len = in->parts_cap = 0;
	in->assembled = in->parts_lent = false;
}

bool coh_conn_hear(struct cohort_conn *c)
{
	struct coh_conn_in *in = &c->in;
	struct coh_frame f;
	size_t room;
	ssize_t n = -EAGAIN;
	bool came = false;

	if (c->session.on)
		in_set_aside(in);
	do {
		if (in->ended || in->ncame == COH_CONN_CAME || in_room_beyond(c, &room) != 0)
			break;
		n = coh_conn_in_stream(c, in->data + in->tail, room, COHORT_NOW);
		came = came || n > 0;
		in->tail += n > 0 ? (size_t)n : 0;
	} while (n > 0 && c->ops->ready != NULL && c->ops->ready(c->self));
	if (n <= 0 && n != -EAGAIN) {
		in->ended = true; /* told when all before it has been taken */
		in->end = n;
	}
	if (came && c->session.on) {
		coh_session_heard(&c->session);
		in_scan(c);
		/* Not past a block, which is lent or the next to be: those behind it keep. */
		if (!in->assembled && in->block == NULL)
			(void)in_find(c, &f, &room); /* slices make room for those behind them */
	}
	return came;
}

/* Let go of what was lent. */
static void in_settle(struct cohort_conn *c)
{
	struct coh_conn_in *in = &c->in;

	in->block = NULL;
	if (c->blocks != NULL)
		coh_conn_block_settle(c);
	if (in->lent != 0) {
		in_drop(in, in->lent);
		in->lent = 0;
	} else if (in->parts_lent) {
		coh_conn_slice_settle(in);
	} else if (in->old != NULL) {
		coh_free(in->old);
		in->old = NULL;
	}
}

/* The header at P of a framing that is not ours. */
static int in_header_other(
    struct cohort_conn *c, struct coh_frame *f, const unsigned char *p, size_t held)
{
	int rc = c->framing->decode(f, p, held, &c->in.header, c->error);

	if (rc < 0)
		c->in.failure = coh_fail_in(c->error, rc, "connection to %s", c->peer);
	return rc;
}

/*
 * The header at the head, if there.  A first byte that cannot begin one is refused at once: a
 * peer that speaks another language may wait for ours before it has said 24 bytes.
 */
static int in_header(struct cohort_conn *c, struct coh_frame *f)
{
	unsigned char part[COH_FRAME_SIZE] = {0};
	size_t held = in_held(&c->in);
	const unsigned char *p = held != 0 ? c->in.data + c->in.head : part;
	int rc;

	c->in.header = COH_FRAME_SIZE;
	if (c->framing != NULL)
		return in_header_other(c, f, p, held);
	if (held < COH_FRAME_SIZE) {
		if (held == 0 || (p[0] == COH_FRAME_MAGIC >> 8 &&
				     (held < 2 || p[1] == (COH_FRAME_MAGIC & 0xff))))
			return 0;
		memcpy(part, p, held);
		p = part;
	}
	rc = coh_frame_decode(f, p, c->phase, c->error);
	if (rc == 0 && c->session.on && f->length > COH_SESSION_SLICE && f->type != COH_FRAME_PASS)
		rc = coh_fail(c->error, COHORT_EPROTOCOL, "a %s of %u bytes is not in slices",
		    coh_frame_name(f->type), f->length);
	if (rc == 0)
		return 1;
	c->in.failure = coh_fail_in(c->error, rc, "connection to %s", c->peer);
	return rc;
}

/* Part of a frame is there, or nothing.  0. */
static int in_unfinished(struct cohort_conn *c)
{
	if (in_held(&c->in) != 0 && coh_session_unmeasured(&c->session))
		(void)coh_session_tick(&c->session, cohort_now(), true);
	return 0;
}

/* The whole frame F is at the head.  1: it, or what it made whole, is the caller's; 0: it was ours; or how C ended. */
static int in_control(struct cohort_conn *c, struct coh_frame *f)
{
	int rc;

	switch (f->type) {
	case COH_FRAME_PING:
		if (!c->session.on) /* else it was answered when it was judged */
			coh_conn_out_pong(c, f, c->in.data + c->in.head + c->in.header);
		return 0;
	case COH_FRAME_BEAT:
	case COH_FRAME_CREDIT:
		return 0;
	case COH_FRAME_OPEN:
	case COH_FRAME_SLICE:
		rc = coh_conn_slice_came(c, f, c->in.data + c->in.head + c->in.header);
		if (rc != 1)
			return rc;
		in_drop(&c->in, c->in.wire);
		*f = c->in.frame;
		return 1;
	case COH_FRAME_BLOCK:
	case COH_FRAME_BLOCK_BACK:
		return coh_conn_block_look(c, f);
	default:
		return 1;
	}
}

/* As coh_conn_in_look; when it is 0, *NEED is how many bytes the frame will have in all. */
static int in_look(struct cohort_conn *c, struct coh_frame *f, size_t *need)
{
	in_settle(c);
	return in_find(c, f, need);
}

/* The same, but what is lent stays: it is not in front of what is looked at. */
static int in_find(struct cohort_conn *c, struct coh_frame *f, size_t *need)
{
	struct coh_conn_in *in = &c->in;
	int rc;

	if (in->assembled) {
		*f = in->frame;
		return 1;
	}
	for (;;) {
		if (in->failure != 0)
			return coh_conn_fail_again(c, in->failure);
		rc = in_header(c, f);
		*need = rc == 1 ? in->header + f->length
				: c->framing == NULL ? COH_FRAME_SIZE : in_held(in) + 1;
		if (rc < 0)
			return rc;
		if (rc == 0 || in_held(in) < *need)
			return in_unfinished(c);
		rc = coh_conn_came_judge(c, f);
		if (rc != 0)
			return rc;
		in->wire = *need;
		if (c->session.on && in->scanned == 0) {
			rc = coh_conn_session_came(c, f, in->data + in->head + in->header);
			if (rc != 0)
				return rc;
			in->scanned = *need;
		}
		in->owed = c->session.on && coh_conn_lane_counts(f) ? *need : 0;
		in->owed_lane = coh_conn_session_lane(f);
		rc = in_control(c, f);
		if (rc != 0)
			return rc;
		in_drop(in, *need);
	}
}

int coh_conn_in_look(struct cohort_conn *c, struct coh_frame *f)
{
	size_t need;

	return in_look(c, f, &need);
}

int coh_conn_in_peek(struct cohort_conn *c, struct coh_frame *f, cohort_time deadline)
{
	bool tried = false;
	size_t need;
	int rc;

	while ((rc = in_look(c, f, &need)) == 0) {
		/* One read is made however late it is; a flood must not hold the caller longer. */
		if (tried && coh_clock_passed(deadline))
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
		rc = in_fill(c, need, deadline);
		if (rc != 0)
			return rc;
		tried = true;
	}
	return rc > 0 ? 0 : rc;
}

const void *coh_conn_in_take(struct cohort_conn *c)
{
	if (c->in.assembled) {
		c->in.parts_lent = true;
		return c->in.parts;
	}
	c->in.lent = c->in.wire;
	if (c->in.block != NULL)
		coh_conn_block_lend(c);
	if (c->in.owed != 0)
		coh_conn_session_taken(c, c->in.owed_lane, c->in.owed);
	return coh_conn_in_body(c);
}

size_t coh_conn_unread(const struct cohort_conn *c)
{
	return in_held(&c->in) - c->in.lent;
}

static bool in_is_message(const struct coh_frame *f)
{
	switch (f->type) {
	case COH_FRAME_PING:
	case COH_FRAME_BEAT:
	case COH_FRAME_CREDIT:
	case COH_FRAME_OPEN:
	case COH_FRAME_SLICE:
	case COH_FRAME_BLOCK_BACK:
		return false;
	case COH_FRAME_BLOCK:
		return f->flags != COH_BLOCK_OFFER;
	default:
		return true;
	}
}

/* With F a message may be whole, or gone out. */
static bool in_may_make(const struct coh_frame *f)
{
	return f->type >= COH_FRAME_CREDIT && f->type <= COH_FRAME_BLOCK_BACK;
}

struct coh_conn_in_view coh_conn_in_view(const struct cohort_conn *c)
{
	const struct coh_conn_in *in = &c->in;
	struct coh_conn_in_view v = {.message = in->assembled && !in->parts_lent};
	struct coh_frame f;
	size_t at = in->head + in->lent, left;

	while (!v.message && (left = in->tail - at) != 0) {
		v.partial = left < COH_FRAME_SIZE;
		/* What cannot be decoded is not waited for either. */
		v.message = !v.partial && coh_frame_decode(&f, in->data + at, c->phase, NULL) != 0;
		if (v.partial || v.message)
			break;
		v.partial = left - COH_FRAME_SIZE < f.length;
		if (v.partial)
			break;
		v.slice |= in_may_make(&f);
		v.message = in_is_message(&f);
		at += COH_FRAME_SIZE + (size_t)f.length;
	}
	return v;
}

bool coh_conn_has_frame(const struct cohort_conn *c)
{
	const struct coh_conn_in *in = &c->in;
	struct coh_conn_in_view v;
	struct coh_frame f;
	size_t held = coh_conn_unread(c), header;
	int rc;

	if (in->failure != 0)
		return true;
	if (c->session.on) {
		v = coh_conn_in_view(c);
		return v.message || v.slice;
	}
	if (c->framing != NULL && held != 0) {
		rc = c->framing->decode(&f, in->data + in->head + in->lent, held, &header, NULL);
		return rc < 0 || (rc == 1 && held - header >= f.length);
	}
	if (held < COH_FRAME_SIZE)
		return false;
	/* What cannot be decoded is not waited for either. */
	return coh_frame_decode(&f, in->data + in->head + in->lent, c->phase, NULL) != 0 ||
	    held - COH_FRAME_SIZE >= f.length;
}

bool coh_conn_in_pump(struct cohort_conn *c)
{
	struct coh_frame f;
	size_t need;
	int rc = in_look(c, &f, &need);

	if (rc == 0)
		rc = in_fill(c, need, COHORT_NOW);
	return rc != COHORT_ETIMEDOUT && rc != -ENOMEM;
}

void coh_conn_rest(struct cohort_conn *c)
{
	struct coh_conn_in *in = &c->in;

	in_settle(c);
	coh_conn_block_calm(c, COH_CONN_RESTS);
	in->rested = in->most < READ_RESTED;
	in->most = 0;
	if (in_held(in) == 0) {
		coh_free(in->data);
		in->data = NULL;
		in->head = in->tail = in->cap = 0;
		in->scanned = in->calm = 0;
	}
	if (!in->assembled && in->parts_len == 0) {
		coh_free(in->parts);
		in->parts = NULL;
		in->parts_cap = 0;
	}
	coh_conn_out_rest(&c->out);
}

size_t coh_conn_feed_room(struct cohort_conn *c)
{
	size_t room;

	in_settle(c);
	return in_room(c, in_held(&c->in) + 1, &room) == 0 ? room : 0;
}

void coh_conn_feed(struct cohort_conn *c, const void *p, ssize_t got)
{
	struct coh_conn_in *in = &c->in;

	if (got <= 0) {
		in->ended = true;
		in->end = got;
		return;
	}
	memcpy(in->data + in->tail, p, (size_t)got);
	in_came(in, (size_t)got);
	in->total += (size_t)got;
	if (c->session.on)
		coh_session_heard(&c->session);
}

int coh_conn_in_preload(struct cohort_conn *c, const void *data, size_t size)
{
	struct coh_conn_in *in = &c->in;

	if (size == 0)
		return 0;
	if (in_resize(in, size > READ_AHEAD ? size : READ_AHEAD) != 0)
		return -ENOMEM;
	memcpy(in->data, data, size);
	in->tail = size;
	in->total = size;
	return 0;
}
