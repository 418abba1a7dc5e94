/*
 * queue.c - the calls of queue.h: arguments, messages and sentences, wherever the queue is.
 *
 * The straight way of an item is one check, one indirect call and the ring.  Sentences of what happens all the time (full,
 * empty) are made when they are asked for.
 */
#include "base/err.h"
#include "base/mem.h"
#include "work/queue_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MANY_MAX 65536        /* items of one call: a batch holds a lock */
#define MESSAGE_ROOM 1024     /* what a get of a message makes room for first: most are smaller */

/* The last failure of this thread. */
static _Thread_local struct failure {
	const struct cohort_queue *q;
	int code;
	struct cohort_error err;  /* its sentence, if its code is that */
	struct cohort_error said; /* for cohort_queue_error */
} last;

struct cohort_error *coh_queue_err(void)
{
	return &last.err;
}

/* RC is what a call on Q returns.  Rare, and kept out of the way of those that succeed. */
static __attribute__((noinline, cold)) int failed(const struct cohort_queue *q, int rc)
{
	last.q = q;
	last.code = rc;
	if (rc == COHORT_ESEGMENT && q->shared.segment.header != NULL)
		(void)coh_segment_check(&q->shared.segment, &last.err); /* which says more, if it was cut */
	if (last.err.code != rc)
		last.err.text[0] = '\0';
	last.err.code = 0;
	return rc;
}

static inline int result(const struct cohort_queue *q, int rc)
{
	return __builtin_expect(rc >= 0, 1) ? rc : failed(q, rc);
}

const char *cohort_queue_error(const struct cohort_queue *q)
{
	if (last.q != q || last.code == 0)
		return "no call of this thread on this queue has failed";
	if (last.err.text[0] != '\0')
		return last.err.text;
	coh_fail(&last.said, last.code, "queue %s: %s", q->address, cohort_strerror(last.code));
	return last.said.text;
}

/* ---- closed ones ---- */

static bool closed(const struct cohort_queue *q)
{
	return __builtin_expect(q->shared.magic == COH_SHARED_CLOSED, 0);
}

void coh_queue_retire(struct cohort_queue *q)
{
	static char nowhere[] = "(closed)";

	coh_free(q->address);
	q->address = nowhere;
	coh_shared_retire(&q->shared);
}

/* ---- opening ---- */

struct range {
	const char *what;
	uint64_t got, least, most; /* 0 is always allowed: a default */
};

static int options_check(const struct cohort_queue_options *o, struct cohort_error *err)
{
	const struct range all[] = {
	    {"open", (uint64_t)o->open, 0, COHORT_OPEN_ATTACH},
	    {"most", o->most, 1, COH_RING_MOST},
	    {"memory", o->memory, COH_RING_MEMORY_MIN, COH_RING_MEMORY_MAX},
	    {"inlined", o->inlined, 64, COH_RING_INLINED_MAX},
	    {"priorities", o->priorities, 1, COH_RING_LANES},
	    {"takes", o->takes, 1, COH_RING_TAKES_MAX},
	    {"policy", (uint64_t)o->policy, 0, COHORT_QUEUE_FAIL},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i].got != 0 && (all[i].got < all[i].least || all[i].got > all[i].most))
			return coh_fail(err, COHORT_EARGUMENT,
			    "open a queue: `%s` is %llu, allowed are %llu to %llu, and 0", all[i].what,
			    (unsigned long long)all[i].got, (unsigned long long)all[i].least,
			    (unsigned long long)all[i].most);
	if (o->format != NULL && coh_format_get(o->format, err) == NULL)
		return err != NULL ? err->code : COHORT_EFORMAT;
	return 0;
}

static const struct coh_queue_scheme *scheme_find(const char *address)
{
	size_t n = strcspn(address, ":");

	for (int i = 0; address[n] == ':' && coh_queue_schemes[i] != NULL; i++)
		if (strlen(coh_queue_schemes[i]->name) == n &&
		    strncmp(coh_queue_schemes[i]->name, address, n) == 0)
			return coh_queue_schemes[i];
	return NULL;
}

int cohort_queue_open(struct cohort_queue **out, const char *address,
    const struct cohort_queue_options *options, struct cohort_error *err)
{
	static const struct cohort_queue_options none;
	const struct coh_queue_scheme *scheme;
	struct cohort_error own = {0};
	int rc;

	*out = NULL;
	err = err != NULL ? err : &own;
	address = address != NULL ? address : "local:";
	options = options != NULL ? options : &none;
	rc = options_check(options, err);
	if (rc != 0)
		return rc;
	scheme = scheme_find(address);
	if (scheme == NULL)
		return coh_fail(err, COHORT_EADDRESS,
		    "open a queue: the address is '%.200s', which no scheme that is known here begins", address);
	return scheme->open(out, address, options, err);
}

int cohort_queue_recv(struct cohort_queue **out, struct cohort_conn *c,
    const struct cohort_queue_options *options, cohort_time deadline, struct cohort_error *err)
{
	static const struct cohort_queue_options none;
	struct cohort_error own = {0};
	int rc;

	*out = NULL;
	err = err != NULL ? err : &own;
	options = options != NULL ? options : &none;
	rc = options_check(options, err);
	return rc == 0 ? coh_queue_local_recv(out, c, options, deadline, err) : rc;
}

int cohort_queue_send(struct cohort_queue *q, struct cohort_conn *c, cohort_time deadline)
{
	if (!closed(q) && q->ops->send == NULL)
		return failed(q,
		    coh_fail(&last.err, COHORT_ENOTSUP, "queue %s is a server's: send its address", q->address));
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->send(q, c, deadline));
}

int cohort_queue_close(struct cohort_queue *q, cohort_time deadline)
{
	if (q == NULL)
		return 0;
	if (closed(q))
		return failed(q, COHORT_ECLOSED);
	if (last.q == q)
		last.q = NULL;
	return q->ops->close(q, deadline);
}

/* ---- put ---- */

static int too_big(const struct cohort_queue *q, size_t size)
{
	return failed(q, coh_fail(&last.err, COHORT_ETOOBIG, "queue %s: an item of %zu bytes, allowed are %zu",
			     q->address, size, COHORT_MESSAGE_MAX));
}

static int no_priority(const struct cohort_queue *q, unsigned priority)
{
	return failed(q, coh_fail(&last.err, COHORT_EARGUMENT, "queue %s: priority %u, allowed are 0 to %u",
			     q->address, priority, q->priorities - 1));
}

static int other_format(const struct cohort_queue *q, const char *got)
{
	return failed(q,
	    coh_fail(&last.err, COHORT_EFORMAT, "queue %s: an item is %s%s%s, allowed is format \"%s\"", q->address,
		got != NULL ? "of format \"" : "plain bytes", got != NULL ? got : "", got != NULL ? "\"" : "",
		coh_format_text(q->format)));
}

int cohort_queue_put_bytes_first(
    struct cohort_queue *q, const void *data, size_t size, unsigned priority, cohort_time deadline)
{
	struct coh_ring_item item = {.data = data, .size = size, .priority = priority};

	if (size > COHORT_MESSAGE_MAX)
		return too_big(q, size);
	if (priority >= q->priorities)
		return no_priority(q, priority);
	if (q->format != NULL)
		return other_format(q, NULL);
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->put(q, &item, deadline));
}

int cohort_queue_put_bytes(struct cohort_queue *q, const void *data, size_t size, cohort_time deadline)
{
	return cohort_queue_put_bytes_first(q, data, size, 0, deadline);
}

int cohort_queue_put_first(
    struct cohort_queue *q, struct cohort_message *m, unsigned priority, cohort_time deadline)
{
	struct coh_ring_item item = {.typed = true, .priority = priority};
	int rc;

	if (priority >= q->priorities)
		return no_priority(q, priority);
	if (q->format != NULL && cohort_message_format(m) != coh_format_text(q->format))
		return other_format(q, cohort_message_format(m));
	rc = cohort_message_image(m, &item.data, &item.size);
	if (rc != 0)
		return failed(q, rc);
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->put(q, &item, deadline));
}

int cohort_queue_put(struct cohort_queue *q, struct cohort_message *m, cohort_time deadline)
{
	return cohort_queue_put_first(q, m, 0, deadline);
}

static int no_count(const struct cohort_queue *q, int n)
{
	return failed(q, coh_fail(&last.err, COHORT_EARGUMENT, "queue %s: %d items, allowed are 1 to %d",
			     q->address, n, MANY_MAX));
}

int cohort_queue_put_many(
    struct cohort_queue *q, const struct cohort_bytes *items, int n, cohort_time deadline)
{
	if (n < 1 || n > MANY_MAX)
		return no_count(q, n);
	if (q->format != NULL)
		return other_format(q, NULL);
	for (int i = 0; i < n; i++)
		if (items[i].size > COHORT_MESSAGE_MAX)
			return too_big(q, items[i].size);
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->put_many(q, items, n, deadline));
}

/* ---- get ---- */

/* A get that was refused an item for what it is: say what was wanted. */
static int refused(const struct cohort_queue *q, int rc, const char *wanted, const struct coh_ring_got *got,
    size_t room)
{
	if (rc == COHORT_EFORMAT)
		coh_fail(&last.err, rc, "queue %s: the next item, of %zu bytes, is not of format \"%s\"; it is kept",
		    q->address, got->size, wanted != NULL ? wanted : ""); /* a server may say anything */
	else if (rc == COHORT_ESTATE)
		coh_fail(&last.err, rc, "queue %s: the next item, of %zu bytes, is %s; it is kept", q->address,
		    got->size, got->typed ? "a message" : "plain bytes");
	else if (rc == COHORT_ETOOBIG)
		coh_fail(&last.err, rc, "queue %s: the next item has %zu bytes, there is room for %zu; it is kept",
		    q->address, got->size, room);
	return failed(q, rc);
}

int cohort_queue_get_into(
    struct cohort_queue *q, void *buffer, size_t size, size_t *got, cohort_time deadline)
{
	struct coh_want want = {.form = COH_WANT_BYTES, .most = size};
	struct coh_ring_got g = {0};
	int rc = closed(q) ? COHORT_ECLOSED : q->ops->get(q, &want, buffer, &g, deadline);

	if (got != NULL)
		*got = g.size;
	return __builtin_expect(rc == 0, 1) ? 0 : refused(q, rc, NULL, &g, size);
}

int cohort_queue_get(struct cohort_queue *q, struct cohort_message *m, cohort_time deadline)
{
	const char *text = cohort_message_format(m);
	struct coh_want want = {.form = COH_WANT_TYPED, .text = text, .length = strlen(text)};
	struct coh_ring_got g = {.size = MESSAGE_ROOM};
	void *room;
	int rc;

	do {
		want.most = g.size;
		room = coh_message_room(m, &want.most);
		if (room == NULL)
			return failed(q, -ENOMEM);
		rc = closed(q) ? COHORT_ECLOSED : q->ops->get(q, &want, room, &g, deadline);
	} while (rc == COHORT_ETOOBIG && g.size > want.most && g.size <= COHORT_MESSAGE_MAX);
	if (rc != 0)
		return refused(q, rc, text, &g, want.most);
	return result(q, coh_message_filled(m, g.size, &last.err));
}

int cohort_queue_get_many(struct cohort_queue *q, struct cohort_bytes *items, int n, void *buffer,
    size_t size, cohort_time deadline)
{
	struct coh_ring_batch batch = {
	    .items = (struct coh_ring_bytes *)(void *)items, .n = n, .buffer = buffer, .size = size};
	struct coh_ring_got g = {0};
	int rc;

	if (n < 1 || n > MANY_MAX)
		return no_count(q, n);
	rc = closed(q) ? COHORT_ECLOSED : q->ops->get_many(q, &batch, deadline);
	if (rc >= 0)
		return rc;
	if (rc == COHORT_ETOOBIG)
		g.size = items[0].size;
	g.typed = rc == COHORT_ESTATE;
	return refused(q, rc, NULL, &g, size);
}

int cohort_queue_peek(
    struct cohort_queue *q, void *buffer, size_t size, size_t *got, cohort_time deadline)
{
	struct coh_want want = {.most = size};
	struct coh_ring_got g = {0};
	int rc = closed(q) ? COHORT_ECLOSED : q->ops->peek(q, &want, buffer, &g, deadline);

	if (got != NULL)
		*got = g.size;
	return rc == 0 ? 0 : refused(q, rc, NULL, &g, size);
}

/* ---- take ---- */

int cohort_queue_take(struct cohort_queue *q, struct cohort_item *item, cohort_time deadline)
{
	int rc = closed(q) ? COHORT_ECLOSED : q->ops->take(q, item, deadline);

	if (rc == 0)
		return 0;
	*item = (struct cohort_item){0};
	return failed(q, rc);
}

static int not_lent(struct cohort_queue *q, int rc)
{
	if (rc == COHORT_EARGUMENT)
		coh_fail(&last.err, rc,
		    "queue %s: the item is not lent to this process by it: it was acknowledged or given back, or its process has died",
		    q->address);
	return failed(q, rc);
}

int cohort_queue_ack(struct cohort_queue *q, struct cohort_item *item)
{
	int rc = closed(q) ? COHORT_ECLOSED : q->ops->ack(q, item);

	return rc == 0 ? 0 : not_lent(q, rc);
}

int cohort_queue_return(struct cohort_queue *q, struct cohort_item *item)
{
	int rc = closed(q) ? COHORT_ECLOSED : q->ops->give_back(q, item);

	return rc == 0 ? 0 : not_lent(q, rc);
}

/* ---- the whole ---- */

int cohort_queue_task_done(struct cohort_queue *q)
{
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->task_done(q));
}

int cohort_queue_join(struct cohort_queue *q, cohort_time deadline)
{
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->join(q, deadline));
}

int cohort_queue_shutdown(struct cohort_queue *q, enum cohort_shutdown_mode mode)
{
	if (mode != COHORT_SHUTDOWN_DRAIN && mode != COHORT_SHUTDOWN_NOW)
		return failed(q, coh_fail(&last.err, COHORT_EARGUMENT, "queue %s: mode %d of a shutdown, allowed are %d and %d",
				     q->address, (int)mode, COHORT_SHUTDOWN_DRAIN, COHORT_SHUTDOWN_NOW));
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->shutdown(q, mode));
}

int64_t cohort_queue_size(struct cohort_queue *q)
{
	int64_t n = closed(q) ? COHORT_ECLOSED : q->ops->size(q);

	return n >= 0 ? n : failed(q, (int)n);
}

int cohort_queue_stats(struct cohort_queue *q, struct cohort_queue_stats *stats)
{
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->stats(q, stats));
}

int cohort_queue_fd(struct cohort_queue *q)
{
	return result(q, closed(q) ? COHORT_ECLOSED : q->ops->fd(q));
}

const char *cohort_queue_address(const struct cohort_queue *q)
{
	return q->address;
}
