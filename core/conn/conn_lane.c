/*
 * conn_lane.c - what goes out when the peer has to be able to take it: lanes, credit, slices.
 *
 * Frames of a lane go in order; those that cannot go now wait in its queue.  A large one leaves as
 * slices, many to a write and from where it lies; between two writes anything else may go.
 *
 * The rule that matters: after every write the stream stands at the boundary of a frame, or what is
 * left of one is in `held`.  So whatever must not wait (a BEAT, CREDIT) can be put behind `held` at
 * any time, also by what happens while a call waits in here; and nothing learnt about `held`
 * before a wait is true after it.
 *
 * A large frame whose deadline passes is kept to go on by itself; when there is no memory for
 * that, it is given up, which costs that message alone.
 */
#include "conn/conn_struct.h"

#include "base/object.h"

#include <errno.h>
#include <string.h>

#define FLUSH_AT ((size_t)64 << 10) /* as conn_out.c */
#define SLICES 16                   /* in one write: 1 MiB */
#define OPEN_SIZE (2 * COH_FRAME_SIZE)
#define GIVEN_UP_SIZE 4

bool coh_conn_lane_urgent(const struct coh_frame *f)
{
	switch (f->type) {
	case COH_FRAME_PING:
	case COH_FRAME_PONG:
	case COH_FRAME_BEAT:
	case COH_FRAME_CREDIT:
	case COH_FRAME_BLOCK_BACK:
		return true;
	default:
		return false;
	}
}

bool coh_conn_lane_counts(const struct coh_frame *f)
{
	if (f->type == COH_FRAME_SLICE)
		return f->flags == COH_SLICE_BYTES;
	/* What goes with descriptors and blocks is bounded by their number. */
	return !coh_conn_lane_urgent(f) && f->type != COH_FRAME_PASS && f->type != COH_FRAME_BLOCK;
}

/* What F takes of its window. */
static size_t lane_cost(const struct coh_frame *f)
{
	return coh_conn_lane_counts(f) ? COH_FRAME_SIZE + (size_t)f->length : 0;
}

/* Does F go as a transfer? */
static bool lane_slices(const struct coh_frame *f)
{
	return f->length > COH_SESSION_SLICE && f->type != COH_FRAME_PASS;
}

/* The lane of F, which is whole or a transfer to be. */
static enum coh_session_lane lane_of(const struct cohort_conn *c, const struct coh_frame *f)
{
	return coh_frame_overtakes(c->phase) && lane_slices(f) ? COH_LANE_BULK : COH_LANE_ORDERED;
}

static bool lane_idle(const struct coh_conn_lane *l)
{
	return coh_buf_len(&l->queue) == 0 && !l->transfer.on;
}

void coh_conn_lane_fini(struct coh_conn_out *out)
{
	for (int i = 0; i < COH_LANES; i++) {
		coh_buf_fini(&out->lane[i].queue);
		out->lane[i].transfer = (struct coh_conn_transfer){0};
	}
}

/* ---- one transfer ---- */

static void transfer_begin(
    struct coh_conn_transfer *t, enum coh_session_lane lane, const struct coh_frame *f)
{
	struct coh_frame open = {.type = COH_FRAME_OPEN,
	    .length = COH_FRAME_SIZE,
	    .channel = lane,
	    .flags = COH_OPEN_FRAME,
	    .id = f->length};

	*t = (struct coh_conn_transfer){.on = true, .left = f->length};
	coh_frame_encode(&open, t->open);
	coh_frame_encode(f, t->open + COH_FRAME_SIZE);
	t->open_size = OPEN_SIZE;
}

/* One write under way: what is held, then units, each a header and a body. */
struct gather {
	struct iovec iov[2 * (SLICES + 1) + 1];
	unsigned char heads[SLICES][COH_FRAME_SIZE];
	int units;
	size_t held, size; /* bytes of what was held; of all */
};

static size_t unit_size(const struct gather *g, int i)
{
	return g->iov[1 + 2 * i].iov_len + g->iov[2 + 2 * i].iov_len;
}

static void gather_unit(struct gather *g, struct iovec head, struct iovec body)
{
	g->iov[1 + 2 * g->units] = head;
	g->iov[2 + 2 * g->units] = body;
	g->units++;
	g->size += head.iov_len + body.iov_len;
}

/* As much of T, which lies at P, as LANE has credit for. */
static void gather_transfer(struct cohort_conn *c, struct gather *g, enum coh_session_lane lane,
    struct coh_conn_transfer *t, const unsigned char *p)
{
	struct coh_frame slice = {.type = COH_FRAME_SLICE, .channel = lane};
	size_t part;
	uint64_t left = t->left;

	g->held = coh_buf_len(&c->out.held);
	g->iov[0] = (struct iovec){
	    g->held != 0 ? c->out.held.data + c->out.held.head : NULL, g->held};
	g->size = g->held;
	g->units = 0;
	if (!coh_session_may(&c->session, lane, t->open_size))
		return;
	if (t->open_size != 0)
		gather_unit(g, (struct iovec){t->open, t->open_size}, (struct iovec){0});
	for (int i = 0; i < SLICES && left != 0; i++) {
		part = left < COH_SESSION_SLICE ? (size_t)left : COH_SESSION_SLICE;
		if (!coh_session_may(
			&c->session, lane, g->size - g->held + COH_FRAME_SIZE + part))
			break;
		slice.length = (uint32_t)part;
		coh_frame_encode(&slice, g->heads[i]);
		gather_unit(g, (struct iovec){g->heads[i], COH_FRAME_SIZE},
		    (struct iovec){(void *)(uintptr_t)p, part});
		p += part;
		left -= part;
	}
}

/* Hold what is left of unit I, of which SENT bytes are out. */
static int gather_hold(struct cohort_conn *c, const struct gather *g, int i, size_t sent)
{
	for (int k = 1 + 2 * i; k < 3 + 2 * i; k++) {
		const struct iovec *v = &g->iov[k];
		size_t skip = sent < v->iov_len ? sent : v->iov_len;
		int rc = skip == v->iov_len ? 0
					    : coh_buf_put(&c->out.held,
						  (const char *)v->iov_base + skip, v->iov_len - skip);

		if (rc != 0)
			return coh_conn_out_end(c, coh_conn_fail(c, rc,
			    "cannot send: no memory for the rest of a message that is partly out"));
		sent -= skip;
	}
	return 0;
}

/*
 * Send what can go of T, which lies at P, without waiting.  Bytes of it that need no more care; 0: there
 * is no credit; -EAGAIN: the transport is full; or how sending ended.
 */
static ssize_t transfer_emit(struct cohort_conn *c, enum coh_session_lane lane,
    struct coh_conn_transfer *t, const unsigned char *p)
{
	struct gather g;
	size_t sent, size, done = 0;
	ssize_t n;
	int rc = 0;

	gather_transfer(c, &g, lane, t, p);
	if (g.units == 0)
		return coh_conn_out_held(c); /* what is left of a slice is owed to the peer before it gives more */
	n = coh_conn_out_write(c, g.iov, 2 * g.units + 1);
	if (n < 0)
		return n;
	sent = (size_t)n;
	coh_buf_drop(&c->out.held, sent < g.held ? sent : g.held);
	if (sent <= g.held)
		return -EAGAIN;
	sent -= g.held;
	for (int i = 0; i < g.units && sent != 0 && rc == 0; i++) {
		size = unit_size(&g, i);
		if (sent < size)
			rc = gather_hold(c, &g, i, sent);
		sent -= sent < size ? sent : size;
		coh_session_spend(&c->session, lane, size);
		if (g.iov[2 + 2 * i].iov_len == 0)
			t->open_size = 0;
		done += g.iov[2 + 2 * i].iov_len;
	}
	t->left -= done;
	return rc != 0 ? rc : done != 0 ? (ssize_t)done : -EAGAIN;
}

/* The rest of T will not come, for CODE. */
static int transfer_give_up(struct cohort_conn *c, enum coh_session_lane lane, int code)
{
	struct coh_frame f = {.type = COH_FRAME_SLICE,
	    .length = GIVEN_UP_SIZE,
	    .channel = lane,
	    .flags = COH_SLICE_GIVEN_UP};
	unsigned char out[COH_FRAME_SIZE + GIVEN_UP_SIZE];

	coh_frame_encode(&f, out);
	coh_put_u32(out + COH_FRAME_SIZE, (uint32_t)code);
	if (coh_buf_put(&c->out.held, out, sizeof out) != 0)
		return coh_conn_out_end(c, coh_conn_fail(c, -ENOMEM,
		    "cannot send: no memory for the rest of a message that is partly out"));
	return coh_conn_fail_code(c, code);
}

/* ---- what waits in a lane ---- */

/* Move small frames from the queue of LANE to `held`.  True when some went. */
static int lane_stage(struct cohort_conn *c, enum coh_session_lane lane)
{
	struct coh_conn_lane *l = &c->out.lane[lane];
	struct coh_frame f;
	size_t size;
	int n = 0;

	while (coh_buf_len(&l->queue) != 0 && coh_buf_len(&c->out.held) < FLUSH_AT) {
		if (coh_frame_decode(&f, coh_buf_peek(&l->queue), c->phase, NULL) != 0)
			f = (struct coh_frame){0}; /* our own: cannot be */
		size = COH_FRAME_SIZE + (size_t)f.length;
		if (lane_slices(&f)) {
			coh_buf_drop(&l->queue, COH_FRAME_SIZE);
			transfer_begin(&l->transfer, lane, &f);
			return 1;
		}
		if (!coh_session_may(&c->session, lane, lane_cost(&f)))
			break;
		if (coh_buf_put(&c->out.held, coh_buf_peek(&l->queue), size) != 0)
			break; /* later */
		coh_session_spend(&c->session, lane, lane_cost(&f));
		coh_buf_drop(&l->queue, size);
		n = 1;
	}
	return n;
}

/* Let LANE go on.  1: it did; 0: it cannot now; -EAGAIN: the transport is full; or how sending ended. */
static int lane_step(struct cohort_conn *c, enum coh_session_lane lane)
{
	struct coh_conn_lane *l = &c->out.lane[lane];
	struct coh_conn_transfer *t = &l->transfer;
	ssize_t n;

	if (!t->on)
		return lane_stage(c, lane);
	n = transfer_emit(c, lane, t, coh_buf_peek(&l->queue));
	if (n > 0)
		coh_buf_drop(&l->queue, (size_t)n);
	if (n > 0 && t->left == 0)
		t->on = false;
	return n > 0 ? 1 : (int)n;
}

int coh_conn_lane_push(struct cohort_conn *c)
{
	int rc;

	do {
		rc = coh_conn_out_held(c);
		for (int i = 0; i < COH_LANES && rc == 0; i++)
			rc = lane_step(c, (enum coh_session_lane)i);
	} while (rc == 1);
	return rc == -EAGAIN ? 1 : rc;
}

/* ---- sending ---- */

/* Wait until LANE is idle and has credit for SIZE bytes, and little is held. */
static int lane_await(
    struct cohort_conn *c, enum coh_session_lane lane, size_t size, cohort_time deadline)
{
	const struct coh_conn_lane *l = &c->out.lane[lane];
	int rc;

	while (!lane_idle(l) || !coh_session_may(&c->session, lane, size) ||
	    coh_buf_len(&c->out.held) >= FLUSH_AT) {
		rc = coh_conn_push(c);
		if (rc < 0)
			return rc;
		if (lane_idle(l) && coh_session_may(&c->session, lane, size) &&
		    coh_buf_len(&c->out.held) < FLUSH_AT)
			return 0;
		rc = coh_conn_session_wait(c, rc == 1, deadline);
		if (rc != 0)
			return rc == -EAGAIN ? coh_conn_fail_code(c, COHORT_ETIMEDOUT)
					     : coh_conn_out_end(c, rc);
	}
	return 0;
}

/* Wait until all that is held is out. */
static int lane_flush(struct cohort_conn *c, cohort_time deadline)
{
	int rc;

	while ((rc = coh_conn_out_held(c)) == -EAGAIN) {
		if (c->out.refused != 0)
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT); /* the caller knows why */
		rc = coh_conn_session_wait(c, true, deadline);
		if (rc == -EAGAIN)
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
		if (rc != 0)
			return coh_conn_out_end(c, rc);
	}
	return rc;
}

static int frame_append(struct coh_buf *to, const struct coh_conn_outgoing *o)
{
	int rc = coh_buf_reserve(to, COH_FRAME_SIZE + (size_t)o->frame->length);

	if (rc != 0)
		return rc;
	coh_frame_encode(o->frame, to->data + to->tail);
	to->tail += COH_FRAME_SIZE;
	for (int i = 0; i < o->n; i++) {
		if (o->body[i].iov_len != 0)
			memcpy(to->data + to->tail, o->body[i].iov_base, o->body[i].iov_len);
		to->tail += o->body[i].iov_len;
	}
	return 0;
}

/* Take back SIZE bytes that were put when START bytes had to go before them.  False: they are begun. */
static bool frame_take_back(struct cohort_conn *c, uint64_t start, size_t size)
{
	struct coh_buf *held = &c->out.held;
	unsigned char *at;

	if (c->out.total > start)
		return false;
	at = held->data + held->head + (start - c->out.total);
	memmove(at, at + size, (size_t)(held->data + held->tail - (at + size)));
	held->tail -= size;
	return true;
}

static int lane_small(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline)
{
	size_t size = COH_FRAME_SIZE + (size_t)o->frame->length;
	size_t cost = lane_cost(o->frame);
	uint64_t start;
	int rc = lane_await(c, COH_LANE_ORDERED, cost, deadline);

	if (rc != 0)
		return rc;
	start = c->out.total + coh_buf_len(&c->out.held);
	rc = frame_append(&c->out.held, o);
	if (rc != 0)
		return coh_conn_fail_code(c, rc);
	coh_session_spend(&c->session, COH_LANE_ORDERED, cost);
	if (o->how != COH_CONN_SEND && coh_buf_len(&c->out.held) < FLUSH_AT)
		return 0;
	rc = lane_flush(c, deadline);
	if (rc != COHORT_ETIMEDOUT)
		return rc;
	if (!frame_take_back(c, start, size))
		return 0;
	coh_session_refund(&c->session, COH_LANE_ORDERED, cost);
	return rc;
}

/* The deadline passed: T, whose rest is at P, goes on by itself. */
static int transfer_keep(struct cohort_conn *c, enum coh_session_lane lane,
    struct coh_conn_transfer *t, const unsigned char *p)
{
	struct coh_conn_lane *l = &c->out.lane[lane];
	int rc = coh_buf_put(&l->queue, p, (size_t)t->left);

	if (rc != 0)
		return transfer_give_up(c, lane, rc);
	l->transfer = *t;
	return 0;
}

static int lane_large(struct cohort_conn *c, enum coh_session_lane lane,
    const struct coh_conn_outgoing *o, cohort_time deadline)
{
	const unsigned char *p = o->body[0].iov_base;
	struct coh_conn_transfer t;
	ssize_t n;
	int rc = lane_await(c, lane, OPEN_SIZE, deadline);

	if (rc != 0)
		return rc;
	transfer_begin(&t, lane, o->frame);
	while (t.left != 0) {
		n = transfer_emit(c, lane, &t, p);
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		p += n > 0 ? n : 0;
		if (n > 0)
			continue;
		rc = coh_conn_session_wait(c, n == -EAGAIN, deadline);
		if (rc == -EAGAIN)
			return t.open_size != 0 ? coh_conn_fail_code(c, COHORT_ETIMEDOUT)
						: transfer_keep(c, lane, &t, p);
		if (rc != 0)
			return coh_conn_out_end(c, rc);
	}
	rc = lane_flush(c, deadline);
	return rc == COHORT_ETIMEDOUT ? 0 : rc; /* it is begun, and the rest is held */
}

/* Put O into its lane whatever the transport says. */
static int lane_keep(
    struct cohort_conn *c, enum coh_session_lane lane, const struct coh_conn_outgoing *o)
{
	struct coh_conn_lane *l = &c->out.lane[lane];
	size_t cost = lane_cost(o->frame);
	bool direct = !lane_slices(o->frame) && lane_idle(l) &&
	    coh_session_may(&c->session, lane, cost) && coh_buf_len(&c->out.held) < FLUSH_AT;
	int rc = frame_append(direct ? &c->out.held : &l->queue, o);

	if (rc != 0)
		return coh_conn_fail_code(c, rc);
	if (direct)
		coh_session_spend(&c->session, lane, cost);
	if (!direct || coh_buf_len(&c->out.held) >= FLUSH_AT) {
		rc = coh_conn_push(c);
		return rc < 0 ? rc : 0;
	}
	return 0;
}

int coh_conn_lane_frame(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline)
{
	enum coh_session_lane lane = lane_of(c, o->frame);

	if (o->how == COH_CONN_KEEP)
		return lane_keep(c, lane, o);
	if (!lane_slices(o->frame))
		return lane_small(c, o, deadline);
	COH_ASSERT(o->n == 1); /* nobody makes a large message of parts */
	return lane_large(c, lane, o, deadline);
}
