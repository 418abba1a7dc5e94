/*
 * queue_remote.c - a queue that a server publishes: coh_queue_ops by calls over a connection.
 *
 * One call of the user's is one call of the server's (work/desk_queue.h).  What the server lends is a copy here, known by the
 * number under which the server has it.
 *
 * The descriptor of cohort_queue_fd is an eventfd: readable from the first on, silenced by a get that finds nothing, which
 * asks the server to say when there is something again.
 */
#include "addr/address.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "node/remote.h"
#include "os/fd.h"
#include "sync/bell.h"
#include "work/desk_queue.h"
#include "work/pulse.h"
#include "work/queue_priv.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <utlist.h>

#define OPEN_DEADLINE (10 * COHORT_SECOND)
#define BATCH ((size_t)4 << 20) /* bytes of one PUT_MANY, about; and of what is made room for at once */
#define SIZE 4

/* An item that is lent to us. */
struct lent {
	struct lent *prev, *next;
	uint32_t hold;
	unsigned char data[];
};

struct queue_remote {
	struct cohort_queue q;
	struct coh_remote_handle handle;
	uint64_t memory; /* of the queue, for items */
	pthread_mutex_t lock; /* guards what follows; a leaf */
	struct lent *lent;
	int fd;               /* -1: nobody asked for it */
};

static struct queue_remote *remote_of(struct cohort_queue *q)
{
	return COH_CONTAINER(struct queue_remote, q, q);
}

static int remote_call(struct queue_remote *r, struct coh_remote_call *c, cohort_time deadline)
{
	struct cohort_error *err = coh_queue_err(), why = {0};
	int rc = coh_remote_call(&r->handle, c, deadline, &why);

	if (rc < 0 && why.code == rc)
		coh_fail(err, rc, "queue %.150s: %.300s", r->q.address, why.text);
	return rc;
}

/* ---- put ---- */

static int remote_put(struct cohort_queue *q, const struct coh_ring_item *item, cohort_time deadline)
{
	struct iovec body = {(void *)(uintptr_t)item->data, item->size};
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_PUT,
	    .param = (unsigned)item->typed | item->priority << 1,
	    .body = &body,
	    .n = item->size != 0};

	if (item->size > remote_of(q)->memory)
		return COHORT_ETOOBIG; /* it need not travel to be refused */
	return remote_call(remote_of(q), &c, deadline);
}

/* How many of the N ITEMS go in one call, and the bytes of them. */
static int batch_of(const struct cohort_bytes *items, int n, size_t *size)
{
	int i = 0;

	*size = 0;
	while (i < n && (i == 0 || *size + items[i].size <= BATCH))
		*size += items[i++].size;
	return i;
}

static int put_batch(
    struct cohort_queue *q, const struct cohort_bytes *items, int n, size_t size, cohort_time deadline)
{
	size_t heads = (size_t)(n + 1) * SIZE;
	unsigned char *p, *at;
	struct iovec body;
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_PUT_MANY, .body = &body, .n = 1};
	int rc;

	if (size > COHORT_MESSAGE_MAX - heads) { /* one item, and no room for its size beside it */
		struct coh_ring_item item = {.data = items->data, .size = items->size};

		rc = remote_put(q, &item, deadline);
		return rc == 0 ? 1 : rc;
	}
	p = coh_alloc(heads + size);
	if (p == NULL)
		return -ENOMEM;
	coh_put_u32(p, (uint32_t)n);
	at = p + heads;
	for (int i = 0; i < n; i++) {
		coh_put_u32(p + (size_t)(i + 1) * SIZE, (uint32_t)items[i].size);
		if (items[i].size != 0)
			memcpy(at, items[i].data, items[i].size);
		at += items[i].size;
	}
	body = (struct iovec){p, heads + size};
	rc = remote_call(remote_of(q), &c, deadline);
	coh_free(p);
	return rc;
}

static int remote_put_many(
    struct cohort_queue *q, const struct cohort_bytes *items, int n, cohort_time deadline)
{
	int done = 0, rc, k;
	size_t size;

	do {
		k = batch_of(items + done, n - done, &size);
		rc = put_batch(q, items + done, k, size, deadline);
		done += rc > 0 ? rc : 0;
	} while (rc == k && done < n);
	return done != 0 ? done : rc;
}

/* ---- get ---- */

/* Where a get's answer goes. */
struct getting {
	const struct coh_want *want;
	void *buffer;
	struct coh_ring_got *got;
};

static int get_take(struct coh_remote_call *c, const void *body, size_t size)
{
	const struct getting *g = c->arg;

	if (c->code != 0) {
		g->got->size = (size_t)(c->value >> 1);
		g->got->typed = c->value & 1;
		return c->code;
	}
	*g->got = (struct coh_ring_got){.size = size,
	    .typed = c->value & 1,
	    .priority = (unsigned)(c->value >> 1 & 0xf),
	    .deliveries = (unsigned)(c->value >> 8 & 0xffffff)};
	if (size > g->want->most)
		return COHORT_ETOOBIG; /* a server that says what it may not */
	if (size != 0)
		memcpy(g->buffer, body, size);
	return 0;
}

/* Nothing was there: be told when there is something, if somebody polls. */
static void remote_arm(struct queue_remote *r)
{
	struct coh_remote_call c = {.op = COH_DESK_ARM};
	int fd;

	pthread_mutex_lock(&r->lock);
	fd = r->fd;
	pthread_mutex_unlock(&r->lock);
	if (fd < 0)
		return;
	coh_bell_hush(fd);
	if (remote_call(r, &c, COHORT_NOW) != 0)
		coh_bell_ring(fd); /* there is already, or the server is gone */
}

static int remote_get_by(struct cohort_queue *q, unsigned op, const struct getting *g,
    cohort_time deadline)
{
	unsigned char most[8];
	struct iovec body[2] = {
	    {most, sizeof most}, {(void *)(uintptr_t)g->want->text, g->want->length}};
	struct coh_remote_call c = {.op = op,
	    .param = g->want->form,
	    .body = body,
	    .n = g->want->text != NULL ? 2 : 1,
	    .take = get_take,
	    .arg = (void *)(uintptr_t)g};
	int rc;

	coh_put_u64(most, g->want->most);
	rc = remote_call(remote_of(q), &c, deadline);
	if (rc == COHORT_EEMPTY)
		remote_arm(remote_of(q));
	return rc;
}

static int remote_get(struct cohort_queue *q, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline)
{
	struct getting g = {want, buffer, got};

	return remote_get_by(q, COH_DESK_QUEUE_GET, &g, deadline);
}

static int remote_peek(struct cohort_queue *q, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline)
{
	struct getting g = {want, buffer, got};

	return remote_get_by(q, COH_DESK_QUEUE_PEEK, &g, deadline);
}

static int many_take(struct coh_remote_call *c, const void *body, size_t size)
{
	const struct coh_ring_batch *b = c->arg;
	const unsigned char *p = body;
	unsigned char *to = b->buffer;
	size_t heads = c->code > 0 ? (size_t)c->code * SIZE : 0, left;

	if (c->code <= 0) {
		b->items[0] = (struct coh_ring_bytes){NULL, (size_t)(c->value >> 1)};
		return c->code;
	}
	if (c->code > b->n || size < heads || size - heads > b->size)
		return COHORT_EPROTOCOL;
	left = size - heads;
	if (left != 0)
		memcpy(to, p + heads, left);
	for (int i = 0; i < c->code; i++) {
		size_t n = coh_get_u32(p + (size_t)i * SIZE);

		if (n > left)
			return COHORT_EPROTOCOL;
		b->items[i] = (struct coh_ring_bytes){to, n};
		to += n;
		left -= n;
	}
	return c->code;
}

static int remote_get_many(
    struct cohort_queue *q, const struct coh_ring_batch *batch, cohort_time deadline)
{
	unsigned char ask[8 + SIZE];
	struct iovec body = {ask, sizeof ask};
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_GET_MANY,
	    .body = &body,
	    .n = 1,
	    .take = many_take,
	    .arg = (void *)(uintptr_t)batch};
	int rc;

	coh_put_u64(ask, batch->size);
	coh_put_u32(ask + 8, (uint32_t)batch->n);
	rc = remote_call(remote_of(q), &c, deadline);
	if (rc == COHORT_EEMPTY)
		remote_arm(remote_of(q));
	return rc;
}

/* ---- take ---- */

struct taking {
	struct queue_remote *r;
	struct cohort_item *item;
};

static int take_take(struct coh_remote_call *c, const void *body, size_t size)
{
	const struct taking *t = c->arg;
	struct lent *l;

	if (c->code != 0)
		return c->code;
	l = coh_alloc(sizeof *l + size);
	if (l == NULL)
		return -ENOMEM; /* the caller gives it back */
	l->hold = (uint32_t)(c->value >> 32);
	if (size != 0)
		memcpy(l->data, body, size);
	*t->item = (struct cohort_item){.data = l->data,
	    .size = size,
	    .typed = c->value & 1,
	    .deliveries = (unsigned)(c->value >> 8 & 0xffffff),
	    .priority = (unsigned)(c->value >> 1 & 0xf),
	    .id = l->hold,
	    .hold = l};
	pthread_mutex_lock(&t->r->lock);
	DL_APPEND(t->r->lent, l);
	pthread_mutex_unlock(&t->r->lock);
	return 0;
}

/* The server has HOLD back, or is done with it. */
static int remote_end(struct queue_remote *r, unsigned op, uint32_t hold)
{
	unsigned char number[SIZE];
	struct iovec body = {number, sizeof number};
	struct coh_remote_call c = {.op = op, .body = &body, .n = 1};

	coh_put_u32(number, hold);
	return remote_call(r, &c, COHORT_NOW);
}

static int remote_take(struct cohort_queue *q, struct cohort_item *item, cohort_time deadline)
{
	struct queue_remote *r = remote_of(q);
	struct taking t = {r, item};
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_TAKE, .take = take_take, .arg = &t};
	int rc = remote_call(r, &c, deadline);

	if (rc == -ENOMEM && c.value >> 32 != 0)
		(void)remote_end(r, COH_DESK_QUEUE_RETURN, (uint32_t)(c.value >> 32));
	if (rc == COHORT_EEMPTY)
		remote_arm(r);
	return rc;
}

/* What ITEM is of, out of the list; NULL: it is not lent through R. */
static struct lent *lent_out(struct queue_remote *r, struct cohort_item *item)
{
	struct lent *l;

	pthread_mutex_lock(&r->lock);
	DL_FOREACH(r->lent, l)
		if (l == item->hold && l->hold == item->id)
			break;
	if (l != NULL)
		DL_DELETE(r->lent, l);
	pthread_mutex_unlock(&r->lock);
	return l;
}

static int item_end(struct queue_remote *r, struct cohort_item *item, unsigned op)
{
	struct lent *l = item->id != 0 ? lent_out(r, item) : NULL;
	int rc;

	if (l == NULL)
		return coh_remote_forked(&r->handle) ? COHORT_ESTATE : COHORT_EARGUMENT;
	rc = remote_end(r, op, l->hold);
	coh_free(l);
	item->id = 0;
	return rc;
}

static int remote_ack(struct cohort_queue *q, struct cohort_item *item)
{
	return item_end(remote_of(q), item, COH_DESK_QUEUE_ACK);
}

static int remote_give_back(struct cohort_queue *q, struct cohort_item *item)
{
	return item_end(remote_of(q), item, COH_DESK_QUEUE_RETURN);
}

/* ---- the whole ---- */

static int remote_task_done(struct cohort_queue *q)
{
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_TASK_DONE};

	return remote_call(remote_of(q), &c, COHORT_NOW);
}

static int remote_join(struct cohort_queue *q, cohort_time deadline)
{
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_JOIN};

	return remote_call(remote_of(q), &c, deadline);
}

static int remote_shutdown(struct cohort_queue *q, enum cohort_shutdown_mode mode)
{
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_SHUTDOWN, .param = mode};
	int rc = remote_call(remote_of(q), &c, COHORT_NOW);

	return rc < 0 ? rc : c.value < INT_MAX ? (int)c.value : INT_MAX;
}

static int64_t remote_size(struct cohort_queue *q)
{
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_SIZE};
	int rc = remote_call(remote_of(q), &c, COHORT_NOW);

	return rc < 0 ? rc : (int64_t)c.value;
}

static int stats_take(struct coh_remote_call *c, const void *body, size_t size)
{
	struct cohort_queue_stats *s = c->arg;
	uint64_t n[COH_DESK_QUEUE_NUMBERS];

	if (c->code != 0)
		return c->code;
	if (size != sizeof n)
		return COHORT_EPROTOCOL;
	for (int i = 0; i < COH_DESK_QUEUE_NUMBERS; i++)
		n[i] = coh_get_u64((const unsigned char *)body + (size_t)i * sizeof *n);
	*s = (struct cohort_queue_stats){.size = n[0], .taken = n[1], .unfinished = n[2], .put = n[3],
	    .got = n[4], .returned = n[5], .failed = n[6], .most = n[7], .memory = n[8],
	    .memory_used = n[9], .shut = n[10] != 0};
	return 0;
}

static int remote_stats(struct cohort_queue *q, struct cohort_queue_stats *stats)
{
	struct coh_remote_call c = {
	    .op = COH_DESK_QUEUE_STATS, .take = stats_take, .arg = stats};

	return remote_call(remote_of(q), &c, COHORT_NOW);
}

static void remote_rung(struct coh_remote_handle *h)
{
	struct queue_remote *r = COH_CONTAINER(struct queue_remote, handle, h);

	pthread_mutex_lock(&r->lock);
	if (r->fd >= 0)
		coh_bell_ring(r->fd);
	pthread_mutex_unlock(&r->lock);
}

static int remote_fd(struct cohort_queue *q)
{
	struct queue_remote *r = remote_of(q);
	int fd;

	coh_remote_watch(&r->handle);
	pthread_mutex_lock(&r->lock);
	if (r->fd < 0) {
		r->fd = coh_fd_event();
		if (r->fd >= 0)
			coh_bell_ring(r->fd); /* until a get finds nothing */
	}
	fd = r->fd;
	pthread_mutex_unlock(&r->lock);
	return fd;
}

/* ---- beginning and end ---- */

static void remote_free(struct queue_remote *r)
{
	struct lent *l, *tmp;

	DL_FOREACH_SAFE(r->lent, l, tmp)
		coh_free(l);
	coh_fd_close(&r->fd);
	pthread_mutex_destroy(&r->lock);
	coh_queue_retire(&r->q);
}

static int remote_close(struct cohort_queue *q, cohort_time deadline)
{
	struct queue_remote *r = remote_of(q);
	struct coh_remote_call c = {.op = COH_DESK_QUEUE_CLOSE};
	int rc = remote_call(r, &c, deadline), left;

	left = rc == 0 || rc == COHORT_ETIMEDOUT ? c.value < INT_MAX ? (int)c.value : INT_MAX : 0;
	coh_remote_close(&r->handle); /* what is lent through it goes back */
	remote_free(r);
	return left;
}

static const struct coh_queue_ops remote_ops = {
    .put = remote_put,
    .put_many = remote_put_many,
    .get = remote_get,
    .get_many = remote_get_many,
    .peek = remote_peek,
    .take = remote_take,
    .ack = remote_ack,
    .give_back = remote_give_back,
    .task_done = remote_task_done,
    .join = remote_join,
    .shutdown = remote_shutdown,
    .size = remote_size,
    .stats = remote_stats,
    .fd = remote_fd,
    .close = remote_close,
};

static int remote_about(void *arg, const void *body, size_t size)
{
	struct queue_remote *r = arg;
	struct coh_desk_queue_about about;
	int rc = coh_desk_queue_about(&about, body, size);

	if (rc != 0)
		return rc;
	r->q.priorities = about.priorities;
	r->memory = about.memory;
	if (about.typed)
		r->q.format = coh_format_get(about.format, NULL);
	return about.typed && r->q.format == NULL ? COHORT_EPROTOCOL : 0;
}

/* How the server is met: what `net` says, and what the options say over it. */
static struct cohort_net_options remote_net(const struct cohort_queue_options *o)
{
	struct cohort_net_options net = o->net != NULL ? *o->net : (struct cohort_net_options){0};

	if (o->key_file != NULL) {
		net.key = NULL;
		net.key_file = o->key_file;
	}
	if (net.heartbeat == 0)
		net.heartbeat = COH_PULSE_BEAT;
	return net;
}

static int remote_begin(struct queue_remote *r, const struct cohort_queue_options *o,
    struct cohort_error *err)
{
	struct cohort_net_options net = remote_net(o);
	struct coh_remote_opening open = {.address = r->q.address, .kind = "queue", .net = &net};
	struct coh_buf expect;
	int rc;

	coh_buf_init(&expect, COH_FRAME_CONTROL_MAX / 2);
	rc = coh_desk_queue_expect(o, &expect);
	if (rc == 0) {
		open.expect = coh_buf_peek(&expect);
		open.expect_size = coh_buf_len(&expect);
		rc = coh_remote_open(&r->handle, &open, remote_about, r,
		    o->deadline != 0 ? o->deadline : cohort_in(OPEN_DEADLINE), err);
	} else
		coh_fail(err, rc, "open %.200s: what it should be is too long", r->q.address);
	coh_buf_fini(&expect);
	return rc;
}

static int remote_open(struct cohort_queue **out, const char *address,
    const struct cohort_queue_options *options, struct cohort_error *err)
{
	struct queue_remote *r;
	struct coh_address where;
	int rc = coh_address_parse_object(&where, address, NULL, err);

	if (rc != 0)
		return rc;
	r = coh_calloc(sizeof *r);
	if (r == NULL)
		return coh_fail(err, -ENOMEM, "no memory to open %.200s", address);
	pthread_mutex_init(&r->lock, NULL);
	r->fd = -1;
	r->q.shared.magic = COH_SHARED_MAGIC(0);
	r->q.ops = &remote_ops;
	r->handle.rung = remote_rung;
	r->q.address = coh_strdup(address);
	rc = r->q.address != NULL ? remote_begin(r, options, err)
				  : coh_fail(err, -ENOMEM, "no memory to open %.200s", address);
	if (rc == 0)
		*out = &r->q;
	else
		remote_free(r);
	return rc;
}

static const struct coh_queue_scheme scheme_unix = {"unix", remote_open};
static const struct coh_queue_scheme scheme_tcp = {"tcp", remote_open};
static const struct coh_queue_scheme scheme_tls = {"tls", remote_open};

const struct coh_queue_scheme *const coh_queue_schemes[] = {&coh_queue_scheme_local,
    &coh_queue_scheme_inherit, &scheme_unix, &scheme_tcp, &scheme_tls, NULL};
