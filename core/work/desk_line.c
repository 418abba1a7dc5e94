/*
 * desk_line.c - calls that wait at the desk: in line, and for their deadline.
 *
 * A line is first come, first served: whoever is at its head is tried, and when it cannot be answered
 * nobody behind it is tried either.  The entries of a client that does not read are passed over, for
 * what they got would only lie in our memory, and keep their places.
 *
 * Deadlines are in a heap; one that passes is answered as late, without one more try: it would not
 * have been its turn.
 */
#include "work/desk_priv.h"

#include "base/mem.h"
#include "base/object.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define HEAP_FIRST 64 /* places; twice as many when they are full */

/* ---- deadlines ---- */

static void heap_put(struct coh_desk *d, size_t at, struct coh_desk_entry *e)
{
	d->heap[at] = e;
	e->heap_at = at;
}

static void heap_up(struct coh_desk *d, size_t at)
{
	struct coh_desk_entry *e = d->heap[at];

	for (; at > 1 && d->heap[at / 2]->deadline > e->deadline; at /= 2)
		heap_put(d, at, d->heap[at / 2]);
	heap_put(d, at, e);
}

static void heap_down(struct coh_desk *d, size_t at)
{
	struct coh_desk_entry *e = d->heap[at];
	size_t child;

	while ((child = 2 * at) <= d->count) {
		if (child < d->count && d->heap[child + 1]->deadline < d->heap[child]->deadline)
			child++;
		if (d->heap[child]->deadline >= e->deadline)
			break;
		heap_put(d, at, d->heap[child]);
		at = child;
	}
	heap_put(d, at, e);
}

static int heap_add(struct coh_desk *d, struct coh_desk_entry *e)
{
	size_t room = d->room != 0 ? 2 * d->room : HEAP_FIRST;
	struct coh_desk_entry **more;

	if (d->count + 1 >= d->room) {
		more = coh_realloc(d->heap, room * sizeof *more);
		if (more == NULL)
			return -ENOMEM;
		d->heap = more;
		d->room = room;
	}
	heap_put(d, ++d->count, e);
	heap_up(d, d->count);
	return 0;
}

static void heap_remove(struct coh_desk *d, struct coh_desk_entry *e)
{
	size_t at = e->heap_at;
	struct coh_desk_entry *last = d->heap[d->count--];

	e->heap_at = 0;
	if (last == e)
		return;
	heap_put(d, at, last);
	heap_up(d, at);
	heap_down(d, last->heap_at);
}

cohort_time coh_desk_next(const struct coh_desk *d)
{
	return d->count != 0 ? d->heap[1]->deadline : COHORT_FOREVER;
}

cohort_time coh_desk_tick(struct coh_desk *d, cohort_time now)
{
	while (d->count != 0 && d->heap[1]->deadline <= now)
		coh_desk_line_late(d->heap[1]);
	return coh_desk_next(d);
}

/* ---- in and out ---- */

static struct coh_desk_entry **bucket(const struct coh_desk_client *c, uint32_t request)
{
	return (struct coh_desk_entry **)(uintptr_t)&c->entries[request % COH_DESK_BUCKETS];
}

struct coh_desk_entry *coh_desk_line_find(const struct coh_desk_client *c, uint32_t request)
{
	struct coh_desk_entry *e = *bucket(c, request);

	while (e != NULL && e->request != request)
		e = e->chain;
	return e;
}

int coh_desk_line_enter(struct coh_desk_attached *a, const struct coh_desk_call *call,
    uint32_t request, cohort_time deadline)
{
	struct coh_desk_client *c = a->client;
	struct coh_desk_object *o = a->object;
	struct coh_desk_entry *e;

	if (c->calls >= COH_DESK_CALLS_MAX || call->size > COH_DESK_BYTES_MAX - c->bytes)
		return COHORT_EBUSY;
	e = coh_alloc(sizeof *e + call->size);
	if (e == NULL)
		return -ENOMEM;
	*e = (struct coh_desk_entry){.call = *call,
	    .request = request,
	    .line = o->ops->line(call->op),
	    .deadline = deadline};
	if (call->size != 0)
		memcpy(e + 1, call->data, call->size);
	e->call.data = e + 1;
	if (deadline != COHORT_FOREVER && heap_add(c->desk, e) != 0) {
		coh_free(e);
		return -ENOMEM;
	}
	e->chain = *bucket(c, request);
	*bucket(c, request) = e;
	c->calls++;
	c->bytes += call->size;
	DL_APPEND(o->line[e->line], e);
	o->waits[e->line]++;
	o->waiting++;
	return 0;
}

/* E is in no list any more; it lives on. */
static void line_take(struct coh_desk_entry *e)
{
	struct coh_desk_client *c = e->call.from->client;
	struct coh_desk_object *o = e->call.from->object;
	struct coh_desk_entry **at = bucket(c, e->request);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	c->calls--;
	c->bytes -= e->call.size;
	if (e->heap_at != 0)
		heap_remove(c->desk, e);
	DL_DELETE(o->line[e->line], e);
	o->waits[e->line]--;
	o->waiting--;
}

void coh_desk_line_drop(struct coh_desk_entry *e)
{
	line_take(e);
	coh_free(e);
}

void coh_desk_line_finish(struct coh_desk_entry *e, struct coh_desk_reply *out)
{
	struct coh_desk_object *o = e->call.from->object;
	int rc;

	line_take(e);
	rc = coh_desk_answer(e->call.from->client, e->request, out);
	o->ops->sent(o->self, &e->call, out, rc);
	coh_free(e);
}

void coh_desk_line_late(struct coh_desk_entry *e)
{
	struct coh_desk_object *o = e->call.from->object;
	struct coh_desk_reply out = {0};

	o->ops->late(o->self, &e->call, &out);
	coh_desk_line_finish(e, &out);
}

void coh_desk_line_leave(struct coh_desk_attached *a)
{
	struct coh_desk_entry *e, *tmp;

	for (int i = 0; i < COH_DESK_LINES; i++)
		DL_FOREACH_SAFE(a->object->line[i], e, tmp)
			if (e->call.from == a)
				coh_desk_line_drop(e);
}

void coh_desk_line_clear(struct coh_desk_object *o, const struct coh_desk_reply *out)
{
	for (int i = 0; i < COH_DESK_LINES; i++)
		while (o->line[i] != NULL) {
			struct coh_desk_reply copy = *out;

			coh_desk_line_finish(o->line[i], &copy);
		}
}

/* ---- service ---- */

/* Serve LINE of O from its head on.  True when somebody was, at least in part. */
static bool line_serve(struct coh_desk_object *o, int line)
{
	struct coh_desk_entry *e, *tmp;
	bool served = false;

	DL_FOREACH_SAFE(o->line[line], e, tmp) {
		struct coh_desk_reply out = {0};
		uint64_t done = e->call.done;

		if (e->call.from->client->full)
			continue;
		if (!o->ops->call(o->self, &e->call, &out)) {
			served |= e->call.done != done; /* a part of it */
			break;
		}
		coh_desk_line_finish(e, &out);
		served = true;
	}
	return served;
}

static void ring_armed(struct coh_desk_object *o)
{
	struct coh_desk_attached *a;

	DL_FOREACH(o->attached, a) {
		struct coh_frame f = {
		    .type = COH_FRAME_RING, .channel = coh_desk_channel(a->number, 0, 0)};

		if (!a->armed)
			continue;
		if (a->client->desk->send(a->client->owner, &f, NULL, 0) != 0)
			continue; /* no memory: with the next */
		a->armed = false;
		o->armed--;
	}
}

void coh_desk_line_run(struct coh_desk_object *o)
{
	bool served = o->waiting != 0;

	while (served) { /* what was served may make room, or bring something, for another line */
		served = false;
		for (int i = 0; i < COH_DESK_LINES; i++)
			served |= o->line[i] != NULL && line_serve(o, i);
		served &= o->waiting != 0;
	}
	if (o->armed != 0 && o->ops->ready(o->self))
		ring_armed(o);
}
