/*
 * desk_queue.c - a queue behind the desk: each op is one call of the ring that does not wait.
 *
 * Every client has a seat in the ring for each handle, so that it leaves as if it were a process of this
 * machine; what it took is in the desk's ledger and comes back with it.
 *
 * What comes from a client has met the bounds of a frame; here it meets those of the queue.
 *
 * The rule that matters: before an item leaves the ring the desk is asked whether its REPLY can be sent (the ring's
 * `fits`).  Where there is no memory for that, or the client is gone, the item has never left.
 */
#include "work/desk_queue.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "sync/ring.h"
#include "work/queue_priv.h"

#include <cohort/queue.h>
#include <errno.h>
#include <string.h>

#define ROOM_FIRST ((size_t)4 << 10)
#define ROOM_KEEP ((size_t)1 << 20)  /* a room larger than this is given back when it is empty */
#define MANY_ROOM ((size_t)1 << 20)  /* of a GET_MANY, unless one item alone is larger */
#define MANY_SIZE 4                  /* bytes of a size, and of a count */
#define WANT_HEAD 8

static unsigned seat_of(const struct coh_desk_call *c)
{
	return (unsigned)(uintptr_t)c->own;
}

static bool answered(struct coh_desk_reply *out, int code)
{
	out->code = code;
	return true;
}

static bool malformed(struct coh_desk_reply *out)
{
	return answered(out, COHORT_EPROTOCOL);
}

/* Have room for N bytes.  0 or -ENOMEM. */
static int room_make(struct coh_desk_queue *q, size_t n)
{
	unsigned char *p;

	if (n <= q->room_size)
		return 0;
	n = n > ROOM_FIRST ? n : ROOM_FIRST;
	p = coh_realloc(q->room, n);
	if (p == NULL)
		return -ENOMEM;
	q->room = p;
	q->room_size = n;
	return 0;
}

static void room_rest(struct coh_desk_queue *q)
{
	if (q->room_size <= ROOM_KEEP)
		return;
	coh_free(q->room);
	q->room = NULL;
	q->room_size = 0;
}

static uint64_t tag_of(const struct coh_ring_got *g)
{
	uint64_t deliveries = g->deliveries < 0xffffff ? g->deliveries : 0xffffff;

	return (uint64_t)g->typed | (uint64_t)g->priority << 1 | deliveries << 8;
}

/* ---- put ---- */

/* Is an item that is TYPED or not, at DATA, what the queue takes? */
static int item_fits(
    const struct coh_ring_config *c, bool typed, const void *data, size_t size)
{
	struct coh_want want = {.form = COH_WANT_TYPED, .most = SIZE_MAX};

	if (!c->typed)
		return 0;
	want.text = c->format;
	want.length = strlen(c->format);
	return coh_want_judge(&want, typed, data, size) == 0 ? 0 : COHORT_EFORMAT;
}

static bool queue_put(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct coh_ring_item item = {.data = c->data,
	    .size = c->size,
	    .typed = c->param & 1,
	    .priority = c->param >> 1};
	int rc = item.priority < q->ring->config.priorities ? 0 : COHORT_EARGUMENT;

	if (rc == 0)
		rc = item_fits(&q->ring->config, item.typed, item.data, item.size);
	if (rc == 0)
		rc = coh_ring_put(q->ring, seat_of(c), &item, COHORT_NOW);
	return rc != COHORT_EFULL && answered(out, rc);
}

/* The items of C from the one DONE on, in ITEMS.  How many, or COHORT_EPROTOCOL. */
static int many_read(
    const struct coh_desk_call *c, size_t done, struct coh_ring_bytes items[COH_DESK_QUEUE_MANY])
{
	const unsigned char *p = c->data;
	size_t n = c->size >= MANY_SIZE ? coh_get_u32(p) : 0, at, size;

	if (n == 0 || n > COH_DESK_QUEUE_MANY || c->size / MANY_SIZE < n + 1)
		return COHORT_EPROTOCOL;
	at = (n + 1) * MANY_SIZE;
	for (size_t i = 0; i < n; i++) {
		size = coh_get_u32(p + (i + 1) * MANY_SIZE);
		if (size > c->size - at)
			return COHORT_EPROTOCOL;
		if (i >= done)
			items[i - done] = (struct coh_ring_bytes){p + at, size};
		at += size;
	}
	return at == c->size ? (int)(n - done) : COHORT_EPROTOCOL;
}

static bool queue_put_many(
    struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct coh_ring_bytes *items;
	uint32_t n = c->size >= MANY_SIZE ? coh_get_u32(c->data) : 0;
	int rc = q->ring->config.typed ? COHORT_EFORMAT : 0, count;

	if (n == 0 || n > COH_DESK_QUEUE_MANY)
		return malformed(out);
	items = coh_alloc(n * sizeof *items);
	if (items == NULL)
		return answered(out, -ENOMEM);
	count = many_read(c, c->done, items);
	if (count < 0)
		rc = count;
	if (rc == 0)
		rc = coh_ring_put_many(q->ring, seat_of(c), items, count, COHORT_NOW);
	coh_free(items);
	c->done += rc > 0 ? (uint64_t)rc : 0;
	if (c->done == n || (rc < 0 && rc != COHORT_EFULL))
		return answered(out, c->done != 0 ? (int)c->done : rc);
	return false;
}

/* ---- get ---- */

static bool want_read(const struct coh_desk_call *c, struct coh_want *want)
{
	const unsigned char *p = c->data;
	uint64_t most;

	if (c->size < WANT_HEAD || c->param > COH_WANT_TYPED)
		return false;
	most = coh_get_u64(p);
	*want = (struct coh_want){.form = (enum coh_want_form)c->param,
	    .text = c->size > WANT_HEAD ? (const char *)p + WANT_HEAD : NULL,
	    .length = c->size - WANT_HEAD,
	    .most = most < COHORT_MESSAGE_MAX ? (size_t)most : COHORT_MESSAGE_MAX};
	return true;
}

static int reply_fits(void *arg, size_t size)
{
	return coh_desk_room(arg, size);
}

typedef int (*get_fn)(struct coh_desk_queue *q, unsigned seat, const struct coh_want *want,
    struct coh_ring_got *got);

static int get_one(struct coh_desk_queue *q, unsigned seat, const struct coh_want *want,
    struct coh_ring_got *got)
{
	return coh_ring_get(q->ring, seat, want, q->room, got, COHORT_NOW);
}

static int peek_one(struct coh_desk_queue *q, unsigned seat, const struct coh_want *want,
    struct coh_ring_got *got)
{
	(void)seat;
	return coh_ring_peek(q->ring, want, q->room, got, COHORT_NOW);
}

/* One item into the room, which grows for it, by GET. */
static int room_fill(struct coh_desk_queue *q, const struct coh_desk_call *c,
    const struct coh_want *want, get_fn get, struct coh_ring_got *got)
{
	struct coh_want mine = *want;
	size_t need = ROOM_FIRST;
	int rc;

	for (;;) {
		rc = room_make(q, need);
		if (rc != 0)
			return rc;
		mine.most = want->most < q->room_size ? want->most : q->room_size;
		rc = get(q, seat_of(c), &mine, got);
		if (rc != COHORT_ETOOBIG || got->size > want->most || got->size <= mine.most)
			return rc;
		need = got->size;
	}
}

static bool queue_get_by(struct coh_desk_queue *q, struct coh_desk_call *c, get_fn get,
    struct coh_desk_reply *out)
{
	struct coh_ring_got got = {0};
	struct coh_want want;
	int rc;

	if (!want_read(c, &want))
		return malformed(out);
	want.fits = get == get_one ? reply_fits : NULL;
	want.arg = c->from;
	rc = room_fill(q, c, &want, get, &got);
	if (rc == COHORT_EEMPTY)
		return false;
	out->code = rc;
	out->value = rc == 0 ? tag_of(&got) : (uint64_t)got.typed | (uint64_t)got.size << 1;
	if (rc != 0)
		return true;
	out->data = q->room;
	out->size = got.size;
	return true;
}

static bool queue_get(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	return queue_get_by(q, c, get_one, out);
}

static bool queue_peek(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	return queue_get_by(q, c, peek_one, out);
}

/* What a GET_MANY asks for. */
struct many {
	size_t n, room;
	struct coh_ring_bytes *items;
};

static int many_fits(void *arg, int count, size_t size)
{
	return coh_desk_room(arg, (size_t)count * MANY_SIZE + size);
}

/* Get M's items behind M->n sizes of room. */
static int many_fill(struct coh_desk_queue *q, const struct coh_desk_call *c, struct many *m)
{
	size_t heads = m->n * MANY_SIZE, most = COHORT_MESSAGE_MAX - heads;
	size_t size = m->room < MANY_ROOM ? m->room : MANY_ROOM;
	struct coh_ring_batch batch = {
	    .items = m->items, .n = (int)m->n, .fits = many_fits, .arg = c->from};
	int rc;

	for (;;) {
		rc = room_make(q, heads + size);
		if (rc != 0)
			return rc;
		batch.buffer = q->room + heads;
		batch.size = size;
		m->items[0].size = 0;
		rc = coh_ring_get_many(q->ring, seat_of(c), &batch, COHORT_NOW);
		if (rc != COHORT_ETOOBIG || m->items[0].size > m->room || m->items[0].size > most ||
		    m->items[0].size <= size)
			return rc;
		size = m->items[0].size;
	}
}

static void many_answer(
    struct coh_desk_queue *q, const struct many *m, int count, struct coh_desk_reply *out)
{
	unsigned char *p = q->room + (m->n - (size_t)count) * MANY_SIZE;

	out->code = count;
	out->data = p;
	out->size = (size_t)count * MANY_SIZE;
	for (int i = 0; i < count; i++) {
		coh_put_u32(p + (size_t)i * MANY_SIZE, (uint32_t)m->items[i].size);
		out->size += m->items[i].size;
	}
}

static bool queue_get_many(
    struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct many m = {0};
	uint64_t room = c->size == WANT_HEAD + MANY_SIZE ? coh_get_u64(c->data) : 0;
	int rc;

	m.n = c->size == WANT_HEAD + MANY_SIZE
	    ? coh_get_u32((const unsigned char *)c->data + WANT_HEAD) : 0;
	m.room = room < COHORT_MESSAGE_MAX ? (size_t)room : COHORT_MESSAGE_MAX;
	if (m.n == 0 || m.n > COH_DESK_QUEUE_MANY)
		return malformed(out);
	m.items = coh_alloc(m.n * sizeof *m.items);
	if (m.items == NULL)
		return answered(out, -ENOMEM);
	rc = many_fill(q, c, &m);
	if (rc > 0)
		many_answer(q, &m, rc, out);
	else {
		out->code = rc;
		out->value = (uint64_t)(rc == COHORT_ESTATE) | (uint64_t)m.items[0].size << 1;
	}
	coh_free(m.items);
	return rc != COHORT_EEMPTY;
}

/* ---- take ---- */

/* What an item that is to be lent needs first. */
struct lending {
	struct coh_desk_attached *to;
	uint32_t hold; /* 0: none yet */
};

static int lending_fits(void *arg, size_t size)
{
	struct lending *l = arg;
	int rc = coh_desk_room(l->to, size);

	if (rc == 0 && l->hold == 0)
		l->hold = coh_desk_hold(l->to, UINT64_MAX);
	return rc != 0 ? rc : l->hold != 0 ? 0 : COHORT_EBUSY;
}

static bool queue_take(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct lending l = {.to = c->from};
	struct coh_want any = {.most = SIZE_MAX, .fits = lending_fits, .arg = &l};
	struct coh_ring_lent lent;
	int rc = coh_ring_take(q->ring, seat_of(c), &any, &lent, COHORT_NOW);

	if (rc != 0 && l.hold != 0)
		(void)coh_desk_unhold(c->from, l.hold);
	if (rc != 0)
		return rc != COHORT_EEMPTY && answered(out, rc);
	coh_desk_hold_is(c->from, l.hold, lent.id);
	*out = (struct coh_desk_reply){.value = (uint64_t)l.hold << 32 | tag_of(&lent.got),
	    .data = lent.data,
	    .size = lent.got.size,
	    .lent = l.hold};
	return true;
}

static void queue_give_back(void *self, uint64_t what)
{
	struct coh_desk_queue *q = self;

	(void)coh_ring_return(q->ring, what); /* that its memory was damaged is for the next call to find */
}

static bool queue_done(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	uint64_t what = c->size == 4 ? coh_desk_unhold(c->from, coh_get_u32(c->data)) : 0;

	if (what == 0)
		return answered(out, COHORT_EARGUMENT);
	return answered(out, c->op == COH_DESK_QUEUE_ACK ? coh_ring_ack(q->ring, what)
							 : coh_ring_return(q->ring, what));
}

/* ---- the whole ---- */

static bool queue_task_done(
    struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	return answered(out, coh_ring_task_done(q->ring, seat_of(c)));
}

static bool queue_join(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	int rc = coh_ring_join(q->ring, COHORT_NOW);

	(void)c;
	return rc != COHORT_ETIMEDOUT && answered(out, rc);
}

/* N is a count, or a code. */
static bool counted(struct coh_desk_reply *out, int64_t n)
{
	out->value = n > 0 ? (uint64_t)n : 0;
	return answered(out, n < 0 ? (int)n : 0);
}

static bool queue_shutdown(
    struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	return counted(out, coh_ring_shutdown(q->ring, c->param == COHORT_SHUTDOWN_NOW));
}

static bool queue_size(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	(void)c;
	return counted(out, coh_ring_size(q->ring));
}

static bool queue_stats(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct coh_ring_stats s;
	int rc = coh_ring_stats(q->ring, &s);

	(void)c;
	if (rc == 0)
		rc = room_make(q, COH_DESK_QUEUE_NUMBERS * sizeof(uint64_t));
	if (rc != 0)
		return answered(out, rc);
	const uint64_t all[COH_DESK_QUEUE_NUMBERS] = {s.size, s.lent, s.size + s.lent + s.owed, s.put,
	    s.got, s.returned, s.failed, q->ring->config.most, q->ring->config.memory, s.memory_used,
	    s.shut};
	for (int i = 0; i < COH_DESK_QUEUE_NUMBERS; i++)
		coh_put_u64(q->room + (size_t)i * sizeof *all, all[i]);
	out->data = q->room;
	out->size = sizeof all;
	return true;
}

static bool queue_close(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	int64_t left = coh_ring_left(q->ring, seat_of(c));

	return left <= 0 && counted(out, left);
}

static const struct {
	bool (*call)(struct coh_desk_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out);
	int line;
} ops[COH_DESK_QUEUE_OPS] = {
    [COH_DESK_QUEUE_PUT] = {queue_put, COH_DESK_QUEUE_ROOM},
    [COH_DESK_QUEUE_PUT_MANY] = {queue_put_many, COH_DESK_QUEUE_ROOM},
    [COH_DESK_QUEUE_GET] = {queue_get, COH_DESK_QUEUE_ITEMS},
    [COH_DESK_QUEUE_GET_MANY] = {queue_get_many, COH_DESK_QUEUE_ITEMS},
    [COH_DESK_QUEUE_TAKE] = {queue_take, COH_DESK_QUEUE_ITEMS},
    [COH_DESK_QUEUE_ACK] = {queue_done, -1},
    [COH_DESK_QUEUE_RETURN] = {queue_done, -1},
    [COH_DESK_QUEUE_PEEK] = {queue_peek, COH_DESK_QUEUE_ITEMS},
    [COH_DESK_QUEUE_TASK_DONE] = {queue_task_done, -1},
    [COH_DESK_QUEUE_JOIN] = {queue_join, COH_DESK_QUEUE_END},
    [COH_DESK_QUEUE_SHUTDOWN] = {queue_shutdown, -1},
    [COH_DESK_QUEUE_SIZE] = {queue_size, -1},
    [COH_DESK_QUEUE_STATS] = {queue_stats, -1},
    [COH_DESK_QUEUE_CLOSE] = {queue_close, COH_DESK_QUEUE_END},
};

static int queue_line(unsigned op)
{
	return op < COH_DESK_QUEUE_OPS && ops[op].call != NULL ? ops[op].line : -1;
}

static bool queue_call(void *self, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	if (c->op >= COH_DESK_QUEUE_OPS || ops[c->op].call == NULL)
		return answered(out, COHORT_ENOTSUP);
	return ops[c->op].call(self, c, out);
}

static void queue_late(void *self, const struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct coh_desk_queue *q = self;
	int64_t left;

	switch (queue_line(c->op)) {
	case COH_DESK_QUEUE_ITEMS:
		out->code = COHORT_EEMPTY;
		break;
	case COH_DESK_QUEUE_ROOM:
		out->code = c->done != 0 ? (int)c->done : COHORT_EFULL;
		break;
	default:
		out->code = COHORT_ETIMEDOUT;
	}
	if (c->op == COH_DESK_QUEUE_CLOSE) {
		left = coh_ring_left(q->ring, seat_of(c));
		out->value = left > 0 ? (uint64_t)left : 0;
	}
}

static void queue_sent(
    void *self, const struct coh_desk_call *c, const struct coh_desk_reply *out, int rc)
{
	struct coh_desk_queue *q = self;

	if (out->lent != 0 && rc != 0)
		queue_give_back(q, coh_desk_unhold(c->from, (uint32_t)out->lent));
	room_rest(q);
}

static bool queue_ready(void *self)
{
	struct coh_desk_queue *q = self;
	struct coh_ring_stats s;

	if (coh_ring_size(q->ring) != 0)
		return true;
	return coh_ring_stats(q->ring, &s) != 0 || s.shut; /* a failure is for a call to tell */
}

/* ---- attaching ---- */

#define EXPECT_SIZE 36 /* most, memory, inlined, priorities, takes, tries, policy, open; then the format */
#define ABOUT_SIZE 20  /* priorities, most, memory; then the format */

int coh_desk_queue_expect(const struct cohort_queue_options *o, struct coh_buf *b)
{
	size_t n = o->format != NULL ? strlen(o->format) : 0;
	int rc = coh_buf_reserve(b, EXPECT_SIZE + n);

	if (rc != 0)
		return rc;
	(void)coh_buf_put_u32(b, o->most);
	(void)coh_buf_put_u64(b, o->memory);
	(void)coh_buf_put_u32(b, o->inlined);
	(void)coh_buf_put_u32(b, o->priorities);
	(void)coh_buf_put_u32(b, o->takes);
	(void)coh_buf_put_u32(b, o->tries);
	(void)coh_buf_put_u32(b, (uint32_t)o->policy);
	(void)coh_buf_put_u32(b, (uint32_t)o->open);
	return n != 0 ? coh_buf_put(b, o->format, n) : 0;
}

/* The other way; FORMAT is room for its text.  False: it cannot be read. */
static bool expect_read(
    const struct cohort_bytes *in, struct cohort_queue_options *o, char format[COH_RING_FORMAT])
{
	const unsigned char *p = in->data;
	size_t n = in->size - EXPECT_SIZE;

	if (in->size < EXPECT_SIZE || n >= COH_RING_FORMAT)
		return false;
	*o = (struct cohort_queue_options){.most = coh_get_u32(p),
	    .memory = coh_get_u64(p + 4),
	    .inlined = coh_get_u32(p + 12),
	    .priorities = coh_get_u32(p + 16),
	    .takes = coh_get_u32(p + 20),
	    .tries = coh_get_u32(p + 24),
	    .policy = coh_get_u32(p + 28) != 0 ? COHORT_QUEUE_FAIL : COHORT_QUEUE_RETURN};
	if (coh_get_u32(p + 32) == COHORT_OPEN_CREATE)
		o->open = COHORT_OPEN_CREATE;
	memcpy(format, p + EXPECT_SIZE, n);
	format[n] = '\0';
	o->format = n != 0 ? format : NULL;
	return strlen(format) == n;
}

static int queue_describe(struct coh_desk_queue *q, struct coh_desk_reply *out)
{
	const struct coh_ring_config *c = &q->ring->config;
	size_t n = c->typed ? strlen(c->format) : 0;

	if (room_make(q, ABOUT_SIZE + n) != 0)
		return -ENOMEM;
	coh_put_u32(q->room, c->priorities);
	coh_put_u64(q->room + 4, c->most);
	coh_put_u64(q->room + 12, c->memory);
	memcpy(q->room + ABOUT_SIZE, c->format, n);
	out->data = q->room;
	out->size = ABOUT_SIZE + n;
	return 0;
}

static int queue_attach(void *self, const struct cohort_bytes *options, void **own,
    struct coh_desk_reply *out, struct cohort_error *err)
{
	struct coh_desk_queue *q = self;
	struct cohort_queue_options o;
	char format[COH_RING_FORMAT];
	int rc;

	if (!expect_read(options, &o, format))
		return coh_fail(err, COHORT_EPROTOCOL, "what the queue should be cannot be read");
	if (o.open == COHORT_OPEN_CREATE)
		return coh_fail(err, -EEXIST, "it is there already");
	rc = coh_queue_local_agrees(&q->ring->config, &o, "there", err);
	if (rc != 0)
		return rc;
	rc = queue_describe(q, out);
	if (rc != 0)
		return coh_fail(err, rc, "the server has no memory");
	rc = coh_ring_sit(q->ring);
	if (rc < 0)
		return coh_fail(err, rc, "it has no seat left");
	*own = (void *)(uintptr_t)rc;
	return 0;
}

static void queue_detach(void *self, void *own)
{
	struct coh_desk_queue *q = self;

	(void)coh_ring_leave(q->ring, (unsigned)(uintptr_t)own, COHORT_NOW);
}

int coh_desk_queue_about(struct coh_desk_queue_about *about, const void *body, size_t size)
{
	const unsigned char *p = body;
	size_t n = size - ABOUT_SIZE;

	if (size < ABOUT_SIZE || n >= sizeof about->format)
		return COHORT_EPROTOCOL;
	*about = (struct coh_desk_queue_about){.priorities = coh_get_u32(p),
	    .most = coh_get_u64(p + 4),
	    .memory = coh_get_u64(p + 12),
	    .typed = n != 0};
	memcpy(about->format, p + ABOUT_SIZE, n);
	return strlen(about->format) == n ? 0 : COHORT_EPROTOCOL;
}

void coh_desk_queue_fini(struct coh_desk_queue *self)
{
	coh_free(self->room);
	self->room = NULL;
	self->room_size = 0;
}

const struct coh_desk_ops coh_desk_queue_ops = {
    .kind = "queue",
    .attach = queue_attach,
    .detach = queue_detach,
    .line = queue_line,
    .call = queue_call,
    .late = queue_late,
    .sent = queue_sent,
    .give_back = queue_give_back,
    .ready = queue_ready,
};
