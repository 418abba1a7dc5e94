/*
 * desk.c - objects, clients, what clients hold, and the frames between them.
 *
 * Happy path: ATTACH finds the object by name and gives it the client's number; a CALL is tried at
 * once, and its REPLY sent; what it changed may serve those who wait.  If it cannot be answered, and
 * may wait, it gets in line (desk_line.c).
 *
 * Failure modes: what is wrong with a call is its answer; what is wrong with a frame ends the
 * client (COHORT_EPROTOCOL).  A client that goes: its numbers are detached one by one, which drops what
 * waits and gives back what is held.  An object that goes: all that waits is answered, its numbers stay
 * with the clients, and every later call is answered COHORT_ECLOSED.
 *
 * A call that finds others in its line gets in behind them, unless it does not wait: then it is tried, and
 * takes nothing from anybody, as whoever waits was tried when something last came.
 */
#include "work/desk_priv.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define OPENING_HEAD 2 /* bytes of the version */

/* ---- the desk and its objects ---- */

struct coh_desk *coh_desk_new(coh_desk_send_fn send, coh_desk_room_fn room)
{
	struct coh_desk *d = coh_calloc(sizeof *d);

	if (d == NULL)
		return NULL;
	d->send = send;
	d->fits = room;
	return d;
}

int coh_desk_room(struct coh_desk_attached *from, size_t size)
{
	const struct coh_desk *d = from->client->desk;

	return d->fits != NULL ? d->fits(from->client->owner, size) : 0;
}

void coh_desk_free(struct coh_desk *d)
{
	if (d == NULL)
		return;
	COH_ASSERT(d->clients == NULL && d->count == 0);
	while (d->objects != NULL)
		coh_desk_remove(d, d->objects);
	coh_free(d->heap);
	coh_free(d);
}

struct coh_desk_object *coh_desk_find(struct coh_desk *d, const char *name)
{
	struct coh_desk_object *o;

	DL_FOREACH(d->objects, o)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

void *coh_desk_self(const struct coh_desk_object *o)
{
	return o->self;
}

/* 1 to 255 bytes without '/', not "." or "..", as every shared object's. */
static bool name_good(const char *name)
{
	size_t n = strlen(name);

	return n >= 1 && n <= COH_DESK_NAME_MAX && strchr(name, '/') == NULL &&
	    strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int coh_desk_add(struct coh_desk *d, struct coh_desk_object **out, const char *name,
    const struct coh_desk_ops *ops, void *self, struct cohort_error *err)
{
	struct coh_desk_object *o;

	*out = NULL;
	if (!name_good(name))
		return coh_fail(err, COHORT_ENAME,
		    "publish \"%.80s\": allowed are 1 to %d bytes without '/', not \".\" or \"..\"",
		    name, COH_DESK_NAME_MAX);
	if (coh_desk_find(d, name) != NULL)
		return coh_fail(err, -EEXIST, "publish %s: there is one of this name", name);
	o = coh_calloc(sizeof *o);
	if (o != NULL)
		o->name = coh_strdup(name);
	if (o == NULL || o->name == NULL) {
		coh_free(o);
		return coh_fail(err, -ENOMEM, "no memory to publish %s", name);
	}
	o->desk = d;
	o->ops = ops;
	o->self = self;
	DL_APPEND(d->objects, o);
	*out = o;
	return 0;
}

/* ---- the ledger of a client ---- */

uint32_t coh_desk_hold(struct coh_desk_attached *from, uint64_t what)
{
	struct coh_desk_client *c = from->client;
	struct coh_desk_hold_entry *h, **at;

	if (c->holds >= COH_DESK_HOLDS_MAX || (h = coh_alloc(sizeof *h)) == NULL)
		return 0;
	for (bool taken = true; taken;) { /* after 2^32 of them a number may still be out */
		if (++c->last_hold == 0)
			continue;
		taken = false;
		for (h->chain = c->held[c->last_hold % COH_DESK_BUCKETS]; h->chain != NULL;
		     h->chain = h->chain->chain)
			taken |= h->chain->number == c->last_hold;
	}
	at = &c->held[c->last_hold % COH_DESK_BUCKETS];
	*h = (struct coh_desk_hold_entry){*at, from, what, c->last_hold};
	*at = h;
	c->holds++;
	return h->number;
}

void coh_desk_hold_is(struct coh_desk_attached *from, uint32_t number, uint64_t what)
{
	struct coh_desk_hold_entry *h = from->client->held[number % COH_DESK_BUCKETS];

	while (h->number != number || h->from != from)
		h = h->chain;
	h->what = what;
}

uint64_t coh_desk_unhold(struct coh_desk_attached *from, uint32_t number)
{
	struct coh_desk_client *c = from->client;
	struct coh_desk_hold_entry *h, **at = &c->held[number % COH_DESK_BUCKETS];
	uint64_t what;

	while ((h = *at) != NULL && (h->number != number || h->from != from))
		at = &h->chain;
	if (h == NULL)
		return 0;
	*at = h->chain;
	what = h->what;
	coh_free(h);
	c->holds--;
	return what;
}

/* All that is held through A is given back. */
static void ledger_give_back(struct coh_desk_attached *a)
{
	struct coh_desk_client *c = a->client;
	struct coh_desk_hold_entry *h, **at;

	for (int i = 0; i < COH_DESK_BUCKETS && c->holds != 0; i++)
		for (at = &c->held[i]; (h = *at) != NULL;) {
			if (h->from != a) {
				at = &h->chain;
				continue;
			}
			*at = h->chain;
			a->object->ops->give_back(a->object->self, h->what);
			coh_free(h);
			c->holds--;
		}
}

/* ---- numbers ---- */

static struct coh_desk_attached *attached_find(const struct coh_desk_client *c, unsigned number)
{
	struct coh_desk_attached *a = c->attached[number % COH_DESK_BUCKETS];

	while (a != NULL && a->number != number)
		a = a->chain;
	return a;
}

static void attached_disarm(struct coh_desk_attached *a)
{
	a->object->armed -= a->armed;
	a->armed = false;
}

/* What A's object has of its client goes; A is the client's alone then. */
static void attached_part(struct coh_desk_attached *a)
{
	struct coh_desk_object *o = a->object;

	if (o == NULL)
		return;
	coh_desk_line_leave(a);
	ledger_give_back(a);
	attached_disarm(a);
	DL_DELETE(o->attached, a);
	a->object = NULL;
	o->ops->detach(o->self, a->own);
	if (o->waiting != 0 || o->armed != 0)
		coh_desk_line_run(o); /* who stood behind it, and for what came back */
}

static void attached_free(struct coh_desk_attached *a)
{
	struct coh_desk_client *c = a->client;
	struct coh_desk_attached **at = &c->attached[a->number % COH_DESK_BUCKETS];

	attached_part(a);
	while (*at != a)
		at = &(*at)->chain;
	*at = a->chain;
	c->numbers--;
	coh_free(a);
}

void coh_desk_remove(struct coh_desk *d, struct coh_desk_object *o)
{
	static const struct coh_desk_reply closed = {.code = COHORT_ECLOSED};

	coh_desk_line_clear(o, &closed);
	while (o->attached != NULL) {
		struct coh_desk_attached *a = o->attached;

		if (a->armed) { /* what waits for a descriptor finds out by its next call */
			struct coh_frame f = {.type = COH_FRAME_RING,
			    .channel = coh_desk_channel(a->number, 0, 0)};

			(void)d->send(a->client->owner, &f, NULL, 0);
		}
		attached_part(a);
	}
	DL_DELETE(d->objects, o);
	coh_free(o->name);
	coh_free(o);
}

/* ---- clients ---- */

struct coh_desk_client *coh_desk_client_new(struct coh_desk *d, void *owner)
{
	struct coh_desk_client *c = coh_calloc(sizeof *c);

	if (c == NULL)
		return NULL;
	c->desk = d;
	c->owner = owner;
	DL_APPEND(d->clients, c);
	return c;
}

void coh_desk_client_free(struct coh_desk_client *c)
{
	c->full = true; /* nothing is handed out to it any more */
	for (int i = 0; i < COH_DESK_BUCKETS; i++)
		while (c->attached[i] != NULL)
			attached_free(c->attached[i]);
	COH_ASSERT(c->calls == 0 && c->holds == 0 && c->bytes == 0 && c->numbers == 0);
	DL_DELETE(c->desk->clients, c);
	coh_free(c);
}

void coh_desk_client_full(struct coh_desk_client *c, bool full)
{
	bool again = c->full && !full;

	c->full = full;
	for (int i = 0; again && i < COH_DESK_BUCKETS; i++)
		for (struct coh_desk_attached *a = c->attached[i]; a != NULL; a = a->chain)
			if (a->object != NULL)
				coh_desk_line_run(a->object);
}

void coh_desk_ring(struct coh_desk_object *o)
{
	coh_desk_line_run(o);
}

size_t coh_desk_waiting(const struct coh_desk_object *o, int line)
{
	return line < 0 ? o->waiting : o->waits[line];
}

size_t coh_desk_armed(const struct coh_desk_object *o)
{
	return o->armed;
}

/* ---- frames ---- */

int coh_desk_answer(
    struct coh_desk_client *c, uint32_t request, const struct coh_desk_reply *out)
{
	struct coh_frame f = {.type = COH_FRAME_REPLY,
	    .channel = (uint32_t)out->code,
	    .flags = request,
	    .id = out->value};

	return c->desk->send(c->owner, &f, out->data, out->size);
}

/* The answer to REQUEST is CODE, with the sentence in ERR if that has one. */
static int answer_failure(
    struct coh_desk_client *c, uint32_t request, int code, const struct cohort_error *err)
{
	struct coh_desk_reply out = {.code = code};

	if (err != NULL) {
		out.data = err->text;
		out.size = strlen(err->text);
	}
	return coh_desk_answer(c, request, &out);
}

/* A word with one byte of length in front, at *AT of BODY: to OUT, with an end.  False: it is none. */
static bool word_get(const unsigned char *body, size_t size, size_t *at, char out[256])
{
	size_t n = *at < size ? body[*at] : 0;

	if (n == 0 || n > size - *at - 1)
		return false;
	memcpy(out, body + *at + 1, n);
	out[n] = '\0';
	*at += n + 1;
	return strlen(out) == n;
}

struct opening {
	char kind[256], name[256];
	struct cohort_bytes options;
};

/* 0; COHORT_EVERSION; COHORT_EPROTOCOL: it cannot be read. */
static int opening_read(struct opening *o, const unsigned char *body, size_t size)
{
	size_t at = OPENING_HEAD;

	if (size < OPENING_HEAD)
		return COHORT_EPROTOCOL;
	if (coh_get_u16(body) != COH_DESK_VERSION)
		return COHORT_EVERSION; /* what is behind it may be anything */
	if (!word_get(body, size, &at, o->kind) || !word_get(body, size, &at, o->name))
		return COHORT_EPROTOCOL;
	o->options = (struct cohort_bytes){body + at, size - at};
	return 0;
}

static int attach_object(struct coh_desk_client *c, unsigned number, const struct opening *open,
    struct coh_desk_reply *out, struct cohort_error *err)
{
	struct coh_desk_object *o = coh_desk_find(c->desk, open->name);
	struct coh_desk_attached *a;
	int rc;

	if (o == NULL)
		return coh_fail(err, -ENOENT, "nothing is published as %.100s", open->name);
	if (strcmp(o->ops->kind, open->kind) != 0)
		return coh_fail(err, COHORT_EARGUMENT, "%.100s is a %s, not a %.40s", open->name,
		    o->ops->kind, open->kind);
	if (c->numbers >= COH_DESK_ATTACHED_MAX)
		return coh_fail(err, COHORT_EBUSY, "%d objects are attached already",
		    COH_DESK_ATTACHED_MAX);
	a = coh_calloc(sizeof *a);
	if (a == NULL)
		return coh_fail(err, -ENOMEM, "no memory to attach it");
	rc = o->ops->attach(o->self, &open->options, &a->own, out, err);
	if (rc != 0) {
		coh_free(a);
		return rc;
	}
	a->client = c;
	a->object = o;
	a->number = number;
	a->chain = c->attached[number % COH_DESK_BUCKETS];
	c->attached[number % COH_DESK_BUCKETS] = a;
	c->numbers++;
	DL_APPEND(o->attached, a);
	return 0;
}

static int frame_attach(struct coh_desk_client *c, const struct coh_frame *f, const void *body,
    struct cohort_error *err)
{
	unsigned number = f->channel >> 16;
	struct coh_desk_reply out = {0};
	struct cohort_error why = {0};
	struct opening open;
	int rc = opening_read(&open, body, f->length);

	if (rc == COHORT_EPROTOCOL || (f->channel & 0xffff) != 0 || f->id != 0)
		return coh_fail(err, COHORT_EPROTOCOL, "an ATTACH that cannot be read");
	if (attached_find(c, number) != NULL)
		return coh_fail(err, COHORT_EPROTOCOL, "ATTACH of number %u, which is in use", number);
	if (rc == COHORT_EVERSION)
		(void)coh_fail(&why, rc, "it speaks version %d of shared objects, not %u",
		    COH_DESK_VERSION, coh_get_u16(body));
	else
		rc = attach_object(c, number, &open, &out, &why);
	if (rc != 0)
		(void)answer_failure(c, f->flags, rc, &why);
	else if (coh_desk_answer(c, f->flags, &out) != 0)
		attached_free(attached_find(c, number));
	return 0;
}

static cohort_time moment(cohort_time now, uint64_t left)
{
	cohort_time at;

	return left > INT64_MAX || __builtin_add_overflow(now, (cohort_time)left, &at)
	    ? COHORT_FOREVER
	    : at;
}

/* ARM: 1 when there is something already; else it is rung. */
static void call_arm(struct coh_desk_attached *a, uint32_t request)
{
	struct coh_desk_reply out = {.code = a->object->ops->ready(a->object->self)};

	attached_disarm(a);
	a->armed = out.code == 0;
	a->object->armed += a->armed;
	if (coh_desk_answer(a->client, request, &out) != 0)
		attached_disarm(a);
}

/* CALL gets in line.  It is answered there, or now, since it cannot wait. */
static void call_wait(struct coh_desk_attached *a, struct coh_desk_call *call,
    const struct coh_frame *f, cohort_time now)
{
	struct coh_desk_object *o = a->object;
	struct coh_desk_reply out = {0};
	int rc = f->id != 0 ? coh_desk_line_enter(a, call, f->flags, moment(now, f->id)) : 0;

	if (f->id != 0 && rc == 0)
		return;
	if (rc == 0 || call->done != 0)
		o->ops->late(o->self, call, &out);
	else
		out.code = rc;
	o->ops->sent(o->self, call, &out, coh_desk_answer(a->client, f->flags, &out));
}

static void call_object(struct coh_desk_attached *a, const struct coh_frame *f,
    const void *body, cohort_time now)
{
	struct coh_desk_object *o = a->object;
	struct coh_desk_call call = {.op = f->channel >> 8 & 0xff,
	    .param = f->channel & 0xff,
	    .data = body,
	    .size = f->length,
	    .own = a->own,
	    .from = a};
	struct coh_desk_reply out = {0};
	int line = o->ops->line(call.op);
	bool behind = line >= 0 && o->line[line] != NULL && f->id != 0;

	if (!behind && o->ops->call(o->self, &call, &out))
		o->ops->sent(o->self, &call, &out, coh_desk_answer(a->client, f->flags, &out));
	else
		call_wait(a, &call, f, now);
	if (o->waiting != 0 || o->armed != 0)
		coh_desk_line_run(o);
}

static int frame_call(struct coh_desk_client *c, const struct coh_frame *f, const void *body,
    cohort_time now, struct cohort_error *err)
{
	struct coh_desk_attached *a = attached_find(c, f->channel >> 16);

	if (a == NULL)
		return coh_fail(err, COHORT_EPROTOCOL, "a CALL of number %u, which is not attached",
		    f->channel >> 16);
	if (coh_desk_line_find(c, f->flags) != NULL)
		return coh_fail(err, COHORT_EPROTOCOL,
		    "a CALL with the number of one that waits, %u", f->flags);
	if (a->object == NULL)
		(void)answer_failure(c, f->flags, COHORT_ECLOSED, NULL);
	else if ((f->channel >> 8 & 0xff) == COH_DESK_ARM)
		call_arm(a, f->flags);
	else
		call_object(a, f, body, now);
	return 0;
}

static int frame_detach(
    struct coh_desk_client *c, const struct coh_frame *f, struct cohort_error *err)
{
	struct coh_desk_attached *a = attached_find(c, f->channel >> 16);

	if (a == NULL || (f->channel & 0xffff) != 0 || f->flags != 0 || f->id != 0)
		return coh_fail(err, COHORT_EPROTOCOL, "a DETACH of number %u, which is not attached",
		    f->channel >> 16);
	attached_free(a);
	return 0;
}

static int frame_cancel(
    struct coh_desk_client *c, const struct coh_frame *f, struct cohort_error *err)
{
	struct coh_desk_entry *e = coh_desk_line_find(c, f->flags);
	struct coh_desk_object *o;

	if (f->channel != 0 || f->id != 0)
		return coh_fail(err, COHORT_EPROTOCOL, "a CANCEL with fields it does not have");
	if (e == NULL)
		return 0; /* its answer is on the way */
	o = e->call.from->object;
	coh_desk_line_late(e);
	if (o->waiting != 0)
		coh_desk_line_run(o); /* it may have held up those behind it */
	return 0;
}

int coh_desk_frame(struct coh_desk_client *c, const struct coh_frame *f, const void *body,
    cohort_time now, struct cohort_error *err)
{
	switch (f->type) {
	case COH_FRAME_CALL:
		return frame_call(c, f, body, now, err);
	case COH_FRAME_CANCEL:
		return frame_cancel(c, f, err);
	case COH_FRAME_ATTACH:
		return frame_attach(c, f, body, err);
	case COH_FRAME_DETACH:
		return frame_detach(c, f, err);
	default:
		return coh_fail(err, COHORT_EPROTOCOL, "%s may not come from a client",
		    coh_frame_name(f->type));
	}
}

/* ---- tests ---- */

static const char *client_check(const struct coh_desk_client *c)
{
	size_t calls = 0, bytes = 0, holds = 0, numbers = 0;

	for (int i = 0; i < COH_DESK_BUCKETS; i++) {
		for (const struct coh_desk_entry *e = c->entries[i]; e != NULL; e = e->chain) {
			calls++;
			bytes += e->call.size;
			if (e->call.from->client != c || e->call.from->object == NULL)
				return "an entry is of another client, or of an object that is gone";
			if ((e->heap_at == 0) != (e->deadline == COHORT_FOREVER))
				return "an entry with a deadline is not in the heap";
		}
		for (const struct coh_desk_hold_entry *h = c->held[i]; h != NULL; h = h->chain)
			holds++;
		for (const struct coh_desk_attached *a = c->attached[i]; a != NULL; a = a->chain)
			numbers++;
	}
	return calls != c->calls || bytes != c->bytes ? "a client's entries are not counted right"
	    : holds != c->holds || numbers != c->numbers
	    ? "a client's holds or numbers are not counted right"
	    : NULL;
}

static const char *object_check(const struct coh_desk_object *o)
{
	size_t waiting = 0, armed = 0, n;
	const struct coh_desk_entry *e;
	const struct coh_desk_attached *a;

	for (int i = 0; i < COH_DESK_LINES; i++) {
		DL_COUNT(o->line[i], e, n);
		if (n != o->waits[i])
			return "a line is not counted right";
		waiting += n;
	}
	DL_FOREACH(o->attached, a) {
		armed += a->armed;
		if (a->object != o)
			return "an object has a number of another";
	}
	return waiting != o->waiting || armed != o->armed ? "an object is not counted right" : NULL;
}

const char *coh_desk_check(const struct coh_desk *d)
{
	const struct coh_desk_object *o;
	const struct coh_desk_client *c;
	const char *broken = NULL;
	size_t calls = 0, waiting = 0;

	DL_FOREACH(d->objects, o) {
		broken = broken != NULL ? broken : object_check(o);
		waiting += o->waiting;
	}
	DL_FOREACH(d->clients, c) {
		broken = broken != NULL ? broken : client_check(c);
		calls += c->calls;
	}
	for (size_t i = 2; i <= d->count; i++)
		if (d->heap[i]->deadline < d->heap[i / 2]->deadline || d->heap[i]->heap_at != i)
			return "the heap is out of order";
	if (broken == NULL && calls != waiting)
		return "an entry is in no line, or in two";
	return broken;
}
