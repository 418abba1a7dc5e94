/*
 * queue_local.c - a queue in memory that processes of this machine share.
 *
 * A handle is a segment, a ring in it, and a seat.  A forked child has the same handle; at its first use it takes a seat of
 * its own, since a seat is a process's.  When there is none left it uses seat 0, which is everybody's: what is got through
 * that stays undone if the process dies.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "os/fd.h"
#include "sync/party.h"
#include "work/queue_priv.h"
#include "work/share.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define MEMORY_DEFAULT (UINT64_C(64) << 20)
#define INLINED_DEFAULT 1024u
#define TAKES_DEFAULT 1024u

_Static_assert(sizeof(struct coh_ring_bytes) == sizeof(struct cohort_bytes) &&
	offsetof(struct coh_ring_bytes, data) == offsetof(struct cohort_bytes, data) &&
	offsetof(struct coh_ring_bytes, size) == offsetof(struct cohort_bytes, size),
    "one may stand for the other");

struct queue_local {
	struct cohort_queue q;
	_Atomic uint64_t party; /* whose `seat` is */
	_Atomic uint64_t taker; /* the process of which one thread takes a seat, or took one */
	_Atomic unsigned seat;
	struct coh_ring ring;
};

static struct queue_local *local_of(struct cohort_queue *q)
{
	return COH_CONTAINER(struct queue_local, q, q);
}

static const struct coh_queue_ops ops;

struct coh_ring *coh_queue_local_ring(struct cohort_queue *q)
{
	return q->ops == &ops ? &local_of(q)->ring : NULL;
}

/* ---- the seat ---- */

static unsigned seat_anew(struct queue_local *l, uint64_t self)
{
	uint64_t before = atomic_load(&l->taker);
	int seat;

	if (before == self || !atomic_compare_exchange_strong(&l->taker, &before, self)) {
		while (atomic_load(&l->party) != self)
			sched_yield(); /* another thread is at it */
		return atomic_load(&l->seat);
	}
	seat = coh_ring_sit(&l->ring);
	atomic_store(&l->seat, seat > 0 ? (unsigned)seat : 0);
	atomic_store(&l->party, self);
	return atomic_load(&l->seat);
}

static inline unsigned seat_of(struct queue_local *l)
{
	uint64_t self = coh_party_self();

	if (__builtin_expect(atomic_load_explicit(&l->party, memory_order_acquire) == self, 1))
		return atomic_load_explicit(&l->seat, memory_order_relaxed);
	return seat_anew(l, self);
}

/* ---- the calls ---- */

static int local_put(struct cohort_queue *q, const struct coh_ring_item *item, cohort_time deadline)
{
	struct queue_local *l = local_of(q);

	return coh_ring_put(&l->ring, seat_of(l), item, deadline);
}

static int local_put_many(
    struct cohort_queue *q, const struct cohort_bytes *items, int n, cohort_time deadline)
{
	struct queue_local *l = local_of(q);

	return coh_ring_put_many(
	    &l->ring, seat_of(l), (const struct coh_ring_bytes *)(const void *)items, n, deadline);
}

static int local_get(struct cohort_queue *q, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline)
{
	struct queue_local *l = local_of(q);

	return coh_ring_get(&l->ring, seat_of(l), want, buffer, got, deadline);
}

static int local_get_many(struct cohort_queue *q, const struct coh_ring_batch *batch, cohort_time deadline)
{
	struct queue_local *l = local_of(q);

	return coh_ring_get_many(&l->ring, seat_of(l), batch, deadline);
}

static int local_peek(struct cohort_queue *q, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline)
{
	return coh_ring_peek(&local_of(q)->ring, want, buffer, got, deadline);
}

static int local_take(struct cohort_queue *q, struct cohort_item *item, cohort_time deadline)
{
	static const struct coh_want any = {.most = SIZE_MAX};
	struct queue_local *l = local_of(q);
	struct coh_ring_lent lent;
	int rc = coh_ring_take(&l->ring, seat_of(l), &any, &lent, deadline);

	if (rc != 0)
		return rc;
	*item = (struct cohort_item){.data = lent.data,
	    .size = lent.got.size,
	    .typed = lent.got.typed,
	    .deliveries = lent.got.deliveries,
	    .priority = lent.got.priority,
	    .id = lent.id,
	    .hold = l};
	return 0;
}

/* An item of another queue has the number of one of ours, perhaps. */
static int is_ours(const struct queue_local *l, const struct cohort_item *item)
{
	return item->hold == l && item->id != 0;
}

static int local_ack(struct cohort_queue *q, struct cohort_item *item)
{
	struct queue_local *l = local_of(q);
	int rc = is_ours(l, item) ? coh_ring_ack(&l->ring, item->id) : COHORT_EARGUMENT;

	if (rc == 0)
		item->id = 0;
	return rc;
}

static int local_give_back(struct cohort_queue *q, struct cohort_item *item)
{
	struct queue_local *l = local_of(q);
	int rc = is_ours(l, item) ? coh_ring_return(&l->ring, item->id) : COHORT_EARGUMENT;

	if (rc == 0)
		item->id = 0;
	return rc;
}

static int local_task_done(struct cohort_queue *q)
{
	struct queue_local *l = local_of(q);

	return coh_ring_task_done(&l->ring, seat_of(l));
}

static int local_join(struct cohort_queue *q, cohort_time deadline)
{
	return coh_ring_join(&local_of(q)->ring, deadline);
}

static int local_shutdown(struct cohort_queue *q, enum cohort_shutdown_mode mode)
{
	int64_t n = coh_ring_shutdown(&local_of(q)->ring, mode == COHORT_SHUTDOWN_NOW);

	return n < INT_MAX ? (int)n : INT_MAX;
}

static int64_t local_size(struct cohort_queue *q)
{
	return coh_ring_size(&local_of(q)->ring);
}

static int local_stats(struct cohort_queue *q, struct cohort_queue_stats *stats)
{
	struct queue_local *l = local_of(q);
	struct coh_ring_stats s;
	int rc = coh_ring_stats(&l->ring, &s);

	if (rc != 0)
		return rc;
	*stats = (struct cohort_queue_stats){.size = s.size,
	    .taken = s.lent,
	    .unfinished = s.size + s.lent + s.owed,
	    .put = s.put,
	    .got = s.got,
	    .returned = s.returned,
	    .failed = s.failed,
	    .most = l->ring.config.most,
	    .memory = l->ring.config.memory,
	    .memory_used = s.memory_used,
	    .shut = s.shut};
	return 0;
}

static int local_fd(struct cohort_queue *q)
{
	struct queue_local *l = local_of(q);
	int rc = coh_ring_listen(&l->ring, seat_of(l), COH_RING_ITEMS);

	return rc == 0 ? l->ring.bell[COH_RING_ITEMS] : rc;
}

static int local_send(struct cohort_queue *q, struct cohort_conn *c, cohort_time deadline)
{
	int rc = coh_share_send(c, &q->shared.segment, deadline);

	return rc == 0 ? 0 : coh_fail(coh_queue_err(), rc, "send queue %s: %s", q->address, cohort_conn_error(c));
}

static void local_free(struct queue_local *l)
{
	coh_segment_close(&l->q.shared.segment);
	coh_queue_retire(&l->q);
}

static int local_close(struct cohort_queue *q, cohort_time deadline)
{
	struct queue_local *l = local_of(q);
	int64_t left = 0;

	if (atomic_load(&l->party) == coh_party_self() && atomic_load(&l->seat) != 0)
		left = coh_ring_leave(&l->ring, atomic_load(&l->seat), deadline);
	local_free(l);
	return left < 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX;
}

static const struct coh_queue_ops ops = {
    .put = local_put,
    .put_many = local_put_many,
    .get = local_get,
    .get_many = local_get_many,
    .peek = local_peek,
    .take = local_take,
    .ack = local_ack,
    .give_back = local_give_back,
    .task_done = local_task_done,
    .join = local_join,
    .shutdown = local_shutdown,
    .size = local_size,
    .stats = local_stats,
    .fd = local_fd,
    .send = local_send,
    .close = local_close,
};

/* ---- opening ---- */

static int config_of(
    struct coh_ring_config *c, const struct cohort_queue_options *o, struct cohort_error *err)
{
	*c = (struct coh_ring_config){.memory = o->memory != 0 ? o->memory : MEMORY_DEFAULT,
	    .most = o->most != 0 ? o->most : COH_RING_MOST,
	    .inlined = o->inlined != 0 ? o->inlined : INLINED_DEFAULT,
	    .priorities = o->priorities != 0 ? o->priorities : 1,
	    .takes = o->takes != 0 ? o->takes : TAKES_DEFAULT,
	    .tries = o->tries,
	    .once = o->policy == COHORT_QUEUE_FAIL,
	    .typed = o->format != NULL};
	if (o->format != NULL)
		snprintf(c->format, sizeof c->format, "%s", o->format);
	if (coh_ring_config_check(c) == 0)
		return 0;
	return coh_fail(err, COHORT_EARGUMENT,
	    "make a queue: an item of %u bytes in the ring is asked for, and %llu bytes of memory: it does not fit",
	    c->inlined, (unsigned long long)c->memory);
}

/* What somebody else made is what is wanted.  What is 0 in the options is not asked for. */
int coh_queue_local_agrees(const struct coh_ring_config *c, const struct cohort_queue_options *o,
    const char *address, struct cohort_error *err)
{
	const struct {
		const char *what;
		uint64_t wanted, is;
	} all[] = {
	    {"most", o->most, c->most},
	    {"memory", o->memory, c->memory},
	    {"inlined", o->inlined, c->inlined},
	    {"priorities", o->priorities, c->priorities},
	    {"takes", o->takes, c->takes},
	    {"tries", o->tries, c->tries},
	    {"policy", o->policy, c->once},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].wanted != 0 && all[i].wanted != all[i].is)
			return coh_fail(err, COHORT_EARGUMENT,
			    "open queue %s: `%s` %llu is asked for, it was made with %llu", address, all[i].what,
			    (unsigned long long)all[i].wanted, (unsigned long long)all[i].is);
	if (o->format != NULL && (!c->typed || strcmp(o->format, c->format) != 0))
		return coh_fail(err, COHORT_EFORMAT, "open queue %s: items of format \"%s\" are asked for, it has %s%s%s",
		    address, o->format, c->typed ? "\"" : "any", c->typed ? c->format : "", c->typed ? "\"" : "");
	return 0;
}

static int local_attach(struct queue_local *l, const char *address, const struct cohort_queue_options *o,
    struct cohort_error *err)
{
	struct coh_segment *s = &l->q.shared.segment;
	int rc = coh_ring_attach(&l->ring, s->header, s->size, s->fd, s->bell);

	l->ring.mark = s->mark;
	if (rc != 0)
		return coh_fail(err, rc, "open queue %s: its memory was damaged", address);
	return coh_queue_local_agrees(&l->ring.config, o, address, err);
}

static int local_make(struct queue_local *l, const char *address, const struct coh_ring_config *c,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	struct coh_segment *s = &l->q.shared.segment;
	int rc = coh_ring_init(&l->ring, s->header, s->fd, s->bell, c);

	l->ring.mark = s->mark;
	if (rc != 0)
		return coh_fail_errno(err, -rc, "make queue %s", address);
	return coh_segment_publish(s, spec, err);
}

/* The rest of a handle whose ring is there. */
static int local_begin(struct queue_local *l, const char *address, const struct cohort_queue_options *o,
    struct cohort_error *err)
{
	const struct coh_ring_config *c = &l->ring.config;
	int seat;

	l->q.shared.magic = COH_SHARED_MAGIC(COH_SEGMENT_QUEUE);
	l->q.ops = &ops;
	l->q.priorities = c->priorities;
	l->q.address = coh_strdup(address);
	if (l->q.address == NULL)
		return coh_fail_errno(err, ENOMEM, "open queue %s", address);
	if (c->typed) {
		l->q.format = coh_format_get(c->format, err);
		if (l->q.format == NULL)
			return err != NULL ? err->code : COHORT_ESEGMENT;
	}
	l->ring.spin_asked = o->spin > 0;
	if (o->spin != 0)
		l->ring.spin = o->spin;
	seat = coh_ring_sit(&l->ring);
	if (seat < 0)
		return coh_fail(err, seat, "open queue %s: %s", address,
		    seat == -ENOSPC ? "1023 handles of it are open, which is the limit" : cohort_strerror(seat));
	atomic_store(&l->seat, (unsigned)seat);
	atomic_store(&l->taker, coh_party_self());
	atomic_store(&l->party, coh_party_self());
	return 0;
}

static void spec_of(struct coh_segment_spec *spec, const struct coh_ring_config *c)
{
	static const struct coh_ring_config least = {
	    .memory = COH_RING_MEMORY_MIN, .most = 1, .inlined = 64, .priorities = 1, .takes = 1};
	size_t size, tail;

	*spec = (struct coh_segment_spec){.kind = COH_SEGMENT_QUEUE, .bells = COH_RING_BELLS, .what = "queue"};
	coh_ring_layout(&least, &size, &tail);
	spec->least = size;
	coh_ring_layout(c, &spec->size, &spec->tail);
}

static enum coh_segment_open how_of(const struct cohort_queue_options *o)
{
	return o->open == COHORT_OPEN_CREATE ? COH_SEGMENT_CREATE
	    : o->open == COHORT_OPEN_ATTACH ? COH_SEGMENT_ATTACH
					    : COH_SEGMENT_EITHER;
}

static int local_open(struct cohort_queue **out, const char *address,
    const struct cohort_queue_options *options, struct cohort_error *err)
{
	struct coh_segment_spec spec;
	struct coh_ring_config config;
	struct queue_local *l;
	bool made;
	int rc = config_of(&config, options, err);

	if (rc != 0)
		return rc;
	l = coh_calloc(sizeof *l);
	if (l == NULL)
		return coh_fail_errno(err, ENOMEM, "open queue %s", address);
	spec_of(&spec, &config);
	rc = coh_segment_open(&l->q.shared.segment, address, how_of(options), &spec, &made, err);
	if (rc == 0 && made) {
		rc = local_make(l, address, &config, &spec, err);
		made = rc != -EEXIST || options->open != COHORT_OPEN_EITHER;
		rc = made ? rc : 0;
	}
	if (rc == 0 && !made)
		rc = local_attach(l, address, options, err);
	if (rc == 0)
		rc = local_begin(l, address, options, err);
	if (rc == 0)
		*out = &l->q;
	else
		local_free(l);
	return rc;
}

const struct coh_queue_scheme coh_queue_scheme_local = {"local", local_open};
const struct coh_queue_scheme coh_queue_scheme_inherit = {"inherit", local_open};

/* ---- from another process ---- */

static int adopt(struct queue_local *l, struct cohort_conn *c, const struct cohort_queue_options *options,
    cohort_time deadline, struct cohort_error *err)
{
	static const struct coh_ring_config any = {
	    .memory = COH_RING_MEMORY_MIN, .most = 1, .inlined = 64, .priorities = 1, .takes = 1};
	int fds[1 + COH_SEGMENT_BELLS], n, rc;
	struct coh_segment_spec spec;

	n = coh_share_recv(c, COH_RING_BELLS, fds, deadline);
	if (n < 0)
		return coh_fail(err, n, "receive a queue: %s", cohort_conn_error(c));
	spec_of(&spec, &any);
	rc = coh_segment_adopt(&l->q.shared.segment, fds, n, &spec, err);
	for (int i = 0; rc != 0 && i < n; i++)
		coh_fd_close(&fds[i]);
	if (rc == 0)
		rc = local_attach(l, "local:", options, err);
	return rc == 0 ? local_begin(l, "local:", options, err) : rc;
}

int coh_queue_local_recv(struct cohort_queue **out, struct cohort_conn *c,
    const struct cohort_queue_options *options, cohort_time deadline, struct cohort_error *err)
{
	struct queue_local *l = coh_calloc(sizeof *l);
	int rc = l != NULL ? adopt(l, c, options, deadline, err)
			   : coh_fail_errno(err, ENOMEM, "receive a queue");

	if (rc == 0)
		*out = &l->q;
	else if (l != NULL)
		local_free(l);
	return rc;
}
