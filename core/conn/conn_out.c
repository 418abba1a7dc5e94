/*
 * conn_out.c - what goes out: frames made of bodies, many to a write.
 *
 * Small frames are built behind each other in one buffer and leave in one write; a large body
 * is never copied: header and parts go out by one gathering write.
 *
 * The rule that matters: a frame of which one byte is out must go out whole, and one of which
 * none is out can be taken back.  So when a deadline passes, a frame not begun is undone and
 * the caller hears COHORT_ETIMEDOUT; of one begun the rest is kept, to go first with whatever
 * is sent next, and the caller hears 0.
 *
 * Rejected: reporting how much was sent (every caller would have to finish the frame), and
 * ending the connection at a deadline (a slow peer is not a lost one).
 */
#include "conn/conn_block.h"

#include <errno.h>
#include <string.h>

#define FLUSH_AT ((size_t)64 << 10)  /* one write; larger ones gain nothing, and cost cache */
#define COPY_MAX ((size_t)16 << 10)  /* a larger body is gathered from where it lies */
#define KEEP_LIMIT ((size_t)64 << 20) /* unless coh_conn_keep_all was called */
#define FRAME_ROOM (KEEP_LIMIT + ((size_t)1 << 20)) /* for one more frame, the largest */
#define SPARE_MAX ((size_t)256 << 10) /* an empty buffer larger than this is given back */
#define PONGS_MAX ((size_t)256 << 10) /* answers held for a peer that does not read them */

void coh_conn_out_init(struct coh_conn_out *out)
{
	coh_buf_init(&out->held, KEEP_LIMIT + FRAME_ROOM);
	for (int i = 0; i < COH_LANES; i++)
		coh_buf_init(&out->lane[i].queue, KEEP_LIMIT + FRAME_ROOM);
	out->keep = KEEP_LIMIT;
	out->pass = -1;
}

void coh_conn_keep_all(struct cohort_conn *c)
{
	c->out.keep = SIZE_MAX - FRAME_ROOM;
	c->out.held.max = SIZE_MAX;
	for (int i = 0; i < COH_LANES; i++)
		c->out.lane[i].queue.max = SIZE_MAX;
}

size_t coh_conn_pending(const struct cohort_conn *c)
{
	const struct coh_conn_out *out = &c->out;

	return coh_buf_len(&out->held) + coh_buf_len(&out->lane[COH_LANE_ORDERED].queue) +
	    coh_buf_len(&out->lane[COH_LANE_BULK].queue);
}

bool coh_conn_sends_no_more(const struct cohort_conn *c)
{
	return c->in.failure != 0 || c->out.failure != 0;
}

bool coh_conn_busy(const struct cohort_conn *c)
{
	return coh_conn_pending(c) != 0 || coh_conn_file_goes(c);
}

int coh_conn_out_end(struct cohort_conn *c, int code)
{
	coh_conn_file_stop(c);
	coh_buf_fini(&c->out.held);
	coh_conn_lane_fini(&c->out);
	c->out.pongs = 0;
	c->out.failure = code;
	return code;
}

ssize_t coh_conn_out_stream(
    struct cohort_conn *c, const struct iovec *iov, int n, cohort_time deadline)
{
	ssize_t sent;

	if (c->out.pass < 0)
		return c->ops->write(c->self, iov, n, deadline);
	sent = c->ops->write_fd(c->self, iov, n, deadline, c->out.pass);
	if (sent > 0)
		c->out.pass = -1; /* it is on its way */
	return sent;
}

/* The stream said E: is it the descriptor of the next byte that is refused, and nothing else? */
static bool out_refused(const struct cohort_conn *c, ssize_t e)
{
	return c->out.pass >= 0 && (e == -ETOOMANYREFS || e == -EBADF);
}

/* One write of the stream.  The count, -EAGAIN, or how sending ended. */
static ssize_t out_write(
    struct cohort_conn *c, const struct iovec *iov, int n, cohort_time deadline)
{
	ssize_t w = coh_conn_out_stream(c, iov, n, deadline);

	if (w >= 0 || w == -EAGAIN)
		return w;
	if (out_refused(c, w)) {
		c->out.refused = (int)w;
		return -EAGAIN; /* so that the frame is taken back */
	}
	return coh_conn_out_end(c, coh_conn_fail_stream(c, COHORT_EPEER, "cannot send: ", (int)w));
}

ssize_t coh_conn_out_write(struct cohort_conn *c, const struct iovec *iov, int n)
{
	ssize_t w = out_write(c, iov, n, COHORT_NOW);

	if (w > 0) {
		c->out.total += (uint64_t)w;
		coh_session_said(&c->session);
	}
	return w;
}

static void out_emptied(struct coh_conn_out *out)
{
	out->pongs = 0;
	if (out->held.cap > SPARE_MAX)
		coh_buf_fini(&out->held);
}

/*
 * How sending, or all of C, ended; 0 while it can go on.  A stranger who spoke no frame may
 * still be told that it is refused.
 */
static int out_failure(struct cohort_conn *c)
{
	if (c->in.failure != 0 && c->phase != COH_PHASE_STRANGER)
		return coh_conn_fail_again(c, c->in.failure);
	return c->out.failure != 0 ? coh_conn_fail_again(c, c->out.failure) : 0;
}

void coh_conn_out_rest(struct coh_conn_out *out)
{
	if (coh_buf_len(&out->held) == 0)
		coh_buf_fini(&out->held);
	for (int i = 0; i < COH_LANES; i++)
		if (coh_buf_len(&out->lane[i].queue) == 0)
			coh_buf_fini(&out->lane[i].queue);
}

int coh_conn_out_held(struct cohort_conn *c)
{
	struct coh_buf *held = &c->out.held;
	struct iovec iov;
	ssize_t n;

	while (coh_buf_len(held) != 0) {
		iov = (struct iovec){held->data + held->head, coh_buf_len(held)};
		n = coh_conn_out_write(c, &iov, 1);
		if (n < 0)
			return (int)n;
		coh_buf_drop(held, (size_t)n);
	}
	out_emptied(&c->out);
	return 0;
}

/* As coh_conn_out_flush, when the peer's credit may have to be waited for. */
static int out_flush_session(struct cohort_conn *c, cohort_time deadline)
{
	int rc;

	while ((rc = coh_conn_lane_push(c)) >= 0 && coh_conn_pending(c) != 0) {
		rc = coh_conn_session_wait(c, rc == 1, deadline);
		if (rc == -EAGAIN)
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
		if (rc != 0)
			return coh_conn_out_end(c, rc);
	}
	return rc;
}

int coh_conn_out_flush(struct cohort_conn *c, cohort_time deadline)
{
	struct coh_buf *held = &c->out.held;
	struct iovec iov;
	ssize_t n;
	int rc = out_failure(c);

	if (rc != 0)
		return rc;
	if (c->session.on)
		return out_flush_session(c, deadline);
	while (coh_buf_len(held) != 0) {
		iov = (struct iovec){held->data + held->head, coh_buf_len(held)};
		n = out_write(c, &iov, 1, deadline);
		if (n == -EAGAIN)
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
		if (n < 0)
			return (int)n;
		coh_buf_drop(held, (size_t)n);
	}
	out_emptied(&c->out);
	return 0;
}

int coh_conn_push(struct cohort_conn *c)
{
	int rc;

	if (!coh_conn_busy(c) || out_failure(c) != 0)
		return out_failure(c);
	if (c->session.on)
		rc = coh_conn_lane_push(c);
	else
		rc = coh_conn_out_flush(c, COHORT_NOW);
	if (rc == 0 && coh_conn_file_goes(c))
		rc = coh_conn_file_push(c, COHORT_NOW);
	return rc == COHORT_ETIMEDOUT ? 1 : rc;
}

/* The header of F at OUT; how many bytes. */
static size_t out_header(
    const struct cohort_conn *c, const struct coh_frame *f, unsigned char out[COH_FRAME_SIZE])
{
	if (c->framing != NULL)
		return c->framing->encode(f, out);
	coh_frame_encode(f, out);
	return COH_FRAME_SIZE;
}

/* A small frame: behind those held, and out when there is enough of them. */
static int out_copied(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline)
{
	struct coh_buf *held = &c->out.held;
	unsigned char header[COH_FRAME_SIZE], *p;
	size_t head = out_header(c, o->frame, header), size = head + o->frame->length;
	int rc = coh_buf_reserve(held, size);

	if (rc != 0)
		return coh_conn_fail_code(c, rc);
	p = held->data + held->tail;
	memcpy(p, header, head);
	p += head;
	for (int i = 0; i < o->n; i++) {
		if (o->body[i].iov_len != 0)
			memcpy(p, o->body[i].iov_base, o->body[i].iov_len);
		p += o->body[i].iov_len;
	}
	held->tail += size;
	if (o->how != COH_CONN_SEND && coh_buf_len(held) < FLUSH_AT)
		return 0;
	rc = coh_conn_out_flush(c, deadline);
	if (rc != COHORT_ETIMEDOUT || o->how == COH_CONN_KEEP || coh_buf_len(held) < size)
		return rc == COHORT_ETIMEDOUT ? 0 : rc;
	held->tail -= size;
	return rc;
}

/* Drop N bytes from the front of IOV. */
static void iov_advance(struct iovec *iov, int n, size_t bytes)
{
	for (int i = 0; i < n && bytes != 0; i++) {
		size_t part = bytes < iov[i].iov_len ? bytes : iov[i].iov_len;

		if (part == 0)
			continue; /* it may have no base at all */
		iov[i].iov_base = (char *)iov[i].iov_base + part;
		iov[i].iov_len -= part;
		bytes -= part;
	}
}

/* Hold what is left in IOV, of which the first part is what was held already. */
static int out_keep(struct cohort_conn *c, const struct iovec *iov, int n)
{
	size_t rest = 0;
	int rc;

	coh_buf_drop(&c->out.held, coh_conn_pending(c) - iov[0].iov_len);
	for (int i = 1; i < n; i++)
		rest += iov[i].iov_len;
	rc = coh_buf_reserve(&c->out.held, rest);
	for (int i = 1; i < n && rc == 0; i++)
		rc = coh_buf_put(&c->out.held, iov[i].iov_base, iov[i].iov_len);
	return rc;
}

/*
 * The deadline passed with IOV left, of which SENT bytes beyond those held before are out:
 * take the frame back if that is still possible.
 */
static int out_late(struct cohort_conn *c, const struct coh_conn_outgoing *o,
    const struct iovec *iov, bool begun)
{
	int rc;

	if (!begun && o->how != COH_CONN_KEEP) {
		coh_buf_drop(&c->out.held, coh_conn_pending(c) - iov[0].iov_len);
		return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
	}
	rc = out_keep(c, iov, o->n + 2);
	if (rc != 0 && begun)
		return coh_conn_out_end(c, coh_conn_fail(c, rc,
		    "cannot send: no memory for the rest of a message that is partly out"));
	return rc != 0 ? coh_conn_fail_code(c, rc) : 0;
}

/* A large frame: what is held, the header and the body's parts in one gathering write. */
static int out_gathered(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline)
{
	struct iovec iov[COH_CONN_PARTS + 2];
	unsigned char header[COH_FRAME_SIZE];
	size_t before = coh_conn_pending(c), left, sent = 0;
	size_t head = out_header(c, o->frame, header);
	ssize_t n;

	iov[0] = (struct iovec){before != 0 ? c->out.held.data + c->out.held.head : NULL, before};
	iov[1] = (struct iovec){header, head};
	memcpy(iov + 2, o->body, (size_t)o->n * sizeof *iov);
	for (left = before + head + o->frame->length; sent < left; sent += (size_t)n) {
		n = out_write(c, iov, o->n + 2, deadline);
		if (n == -EAGAIN)
			return out_late(c, o, iov, sent > before);
		if (n < 0)
			return (int)n;
		iov_advance(iov, o->n + 2, (size_t)n);
	}
	coh_buf_drop(&c->out.held, before);
	out_emptied(&c->out);
	return 0;
}

/* The frame lies in a block: what says so is small, and goes as small frames do. */
static int out_boxed(struct cohort_conn *c, const struct coh_conn_boxed *b, cohort_time deadline)
{
	int rc = c->session.on ? coh_conn_lane_frame(c, &b->o, deadline)
			       : out_copied(c, &b->o, deadline);

	if (rc != 0)
		coh_conn_block_undo(c, b);
	return rc;
}

/* What does not wait for the peer's credit: behind what is begun, and kept. */
static int out_urgent(struct cohort_conn *c, const struct coh_conn_outgoing *o)
{
	struct coh_conn_outgoing kept = *o;

	kept.how = COH_CONN_KEEP;
	return out_copied(c, &kept, COHORT_NOW);
}

int coh_conn_out_frame(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline)
{
	struct coh_conn_boxed b;
	int rc = out_failure(c);

	if (rc != 0)
		return rc;
	if (o->how == COH_CONN_KEEP && coh_conn_pending(c) > c->out.keep)
		return coh_conn_fail(c, COHORT_ETOOBIG,
		    "the peer does not take what is sent: %zu bytes wait, the limit is %zu",
		    coh_conn_pending(c), c->out.keep);
	if (o->frame->length >= COH_BLOCK_LEAST && coh_conn_block_fill(c, o, &b))
		return out_boxed(c, &b, deadline);
	if (c->blocks != NULL)
		coh_conn_block_calm(c, COH_CONN_SMALL);
	if (c->session.on && coh_conn_lane_urgent(o->frame))
		return out_urgent(c, o);
	if (c->session.on)
		return coh_conn_lane_frame(c, o, deadline);
	if (o->frame->length <= COPY_MAX)
		return out_copied(c, o, deadline);
	return out_gathered(c, o, deadline);
}

int coh_conn_out_pass(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, int fd, cohort_time deadline)
{
	int refused, rc = coh_conn_out_flush(c, deadline);

	if (rc != 0)
		return rc;
	c->out.pass = fd;
	c->out.refused = 0;
	rc = coh_conn_out_frame(c, o, deadline);
	c->out.pass = -1;
	refused = c->out.refused;
	c->out.refused = 0;
	return refused != 0 ? coh_conn_fail_code(c, refused) : rc;
}

void coh_conn_out_pong(struct cohort_conn *c, const struct coh_frame *ping, const void *body)
{
	struct coh_frame f = *ping;
	struct iovec part = {.iov_len = f.length};
	struct coh_conn_outgoing o = {&f, &part, 1, COH_CONN_KEEP};

	memcpy(&part.iov_base, &body, sizeof body); /* an iovec has no const */
	if (c->out.pongs + COH_FRAME_SIZE + f.length > PONGS_MAX)
		return;
	f.type = COH_FRAME_PONG;
	if (coh_conn_out_frame(c, &o, COHORT_NOW) == 0 && coh_conn_pending(c) != 0)
		c->out.pongs += COH_FRAME_SIZE + f.length;
}
