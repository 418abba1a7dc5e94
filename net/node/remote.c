/*
 * remote.c - calls to a server of shared objects, over one connection for the whole process.
 *
 * Happy path of a call: it gets a number, its frame is sent at once, and the caller sleeps in the socket until the reply
 * has come, with the lock let go: one call in flight costs a send and a receive.  While calls of several threads are under way,
 * over what is no TCP socket, and where somebody polls for a RING, the callers lead the engine instead, and whoever leads reads for all.
 * What comes while there is no call is then read by the engine; else at the next call, or beat.
 *
 * When the deadline passes CANCEL is sent, and the reply awaited nevertheless: it says whether the call was done.  That lasts
 * while the server is heard, or takes what is being sent to it; after a second of nothing (QUIET) the connection is given up like one that
 * is dead, for all its calls.  Calls that do not wait have their deadline when they begin, and need no CANCEL.
 *
 * Failure modes: the connection ends, is silent for too long, or the server breaks the protocol: all calls end in COHORT_EPEER,
 * with a sentence.  No memory for a call: only that call fails.
 *
 * All is guarded by the engine lock.
 */
#include "node/remote.h"

#include "addr/address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "conn/conn_priv.h"
#include "node/remote_list.h"
#include "os/fd.h"
#include "work/desk.h"
#include "work/engine.h"
#include "work/pulse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define BUCKETS 64
#define DIRECT 8192 /* bytes that one receive without the engine may bring: a hundred small items */
/*
 * Time without a sign of the server, behind the deadline of a call: what a stopped process may cost those who share memory with
 * it, too (COH_PRIMITIVE_GRACE), and more than the slowest way there and back.  No look counts for more than a nap: if we
 * were stopped ourselves, the server still has half of it to answer in.
 */
#define QUIET COHORT_SECOND

struct coh_remote {
	struct coh_remote_link link; /* remote_list.c's */
	struct cohort_conn *conn;
	struct coh_watch *watch;
	struct coh_pulse pulse;
	unsigned events;
	struct coh_remote_handle *handles;
	struct coh_remote_call *calls[BUCKETS];
	uint32_t last_request;
	unsigned under_way; /* calls */
	unsigned last_number;
	bool sleeps;  /* the connection lets a caller sleep in it */
	bool crowded; /* since the last beat calls of several threads were under way at once */
	bool watched; /* somebody polls for a RING */
	bool reading; /* a caller sleeps in the socket: nobody else reads */
	struct cohort_error failure; /* how it ended; code 0: it has not */
};

/* ---- calls under way ---- */

static struct coh_remote_call **call_find(struct coh_remote *r, uint32_t request)
{
	struct coh_remote_call **at = &r->calls[request % BUCKETS];

	while (*at != NULL && (*at)->request != request)
		at = &(*at)->chain;
	return at;
}

static void call_enter(struct coh_remote *r, struct coh_remote_call *c)
{
	do
		c->request = ++r->last_request;
	while (*call_find(r, c->request) != NULL); /* after 2^32 of them one may still be out */
	c->done = false;
	c->chain = NULL;
	*call_find(r, c->request) = c;
}

static void call_leave(struct coh_remote *r, struct coh_remote_call *c)
{
	struct coh_remote_call **at = call_find(r, c->request);

	if (*at == c)
		*at = c->chain;
}

/* ---- its end ---- */

/* The server is WHAT, with the sentence WHY: over for all. */
static void remote_end(struct coh_remote *r, const char *what, const char *why)
{
	struct coh_remote_handle *h;

	coh_engine_loop(); /* we are the leader here, or hold the loop */
	if (r->failure.code != 0)
		return;
	coh_fail(&r->failure, COHORT_EPEER, "the server at %.150s is %s: %.250s", r->link.address, what, why);
	coh_log(COHORT_LOG_WARN, "%s", r->failure.text);
	coh_watch_free(r->watch);
	r->watch = NULL;
	coh_pulse_drop(&r->pulse);
	coh_remote_list_drop(&r->link); /* whoever opens next dials again */
	for (int i = 0; i < BUCKETS; i++)
		for (struct coh_remote_call *c = r->calls[i]; c != NULL; c = c->chain) {
			c->code = COHORT_EPEER;
			c->done = true;
		}
	memset(r->calls, 0, sizeof r->calls);
	/* Who sleeps in it wakes; and a server that was only stopped finds us gone, and has back what was lent to us. */
	coh_fd_shutdown(coh_conn_fd(r->conn), COH_FD_BOTH);
	DL_FOREACH(r->handles, h)
		if (h->rung != NULL)
			h->rung(h);
}

static void remote_ended(struct coh_remote *r, const char *why)
{
	remote_end(r, "gone", why);
}

/* ---- what comes ---- */

static int reply_frame(struct coh_remote *r, const struct coh_frame *f, const void *body)
{
	struct coh_remote_call **at = call_find(r, f->flags), *c = *at;

	if (c == NULL)
		return COHORT_EPROTOCOL; /* each request has one reply */
	*at = c->chain;
	c->code = (int)f->channel;
	c->value = f->id;
	if (c->take != NULL)
		c->code = c->take(c, body, f->length);
	c->done = true;
	return 0;
}

static int ring_frame(struct coh_remote *r, const struct coh_frame *f)
{
	struct coh_remote_handle *h;

	DL_FOREACH(r->handles, h)
		if (h->number == f->channel >> 16 && h->rung != NULL)
			h->rung(h);
	return 0; /* one that was detached meanwhile is nobody's */
}

static int remote_frame(struct coh_remote *r, const struct coh_frame *f, const void *body)
{
	switch (f->type) {
	case COH_FRAME_REPLY:
		return reply_frame(r, f, body);
	case COH_FRAME_RING:
		return ring_frame(r, f);
	case COH_FRAME_PONG:
		return 0;
	default:
		return COHORT_EPROTOCOL;
	}
}

static void remote_read(struct coh_remote *r)
{
	const void *body;
	struct coh_frame f;
	int rc;

	do {
		rc = coh_conn_next_frame(r->conn, &f, &body, COHORT_NOW);
		if (rc == COHORT_ETIMEDOUT || rc == -ENOMEM)
			return;
		if (rc != 0) {
			remote_ended(r, cohort_conn_error(r->conn));
			return;
		}
		if (remote_frame(r, &f, body) != 0) {
			remote_ended(r, "it broke the protocol");
			return;
		}
	} while (coh_conn_has_frame(r->conn));
}

/* Do callers read themselves, and the engine does not? */
static bool remote_direct(const struct coh_remote *r)
{
	return r->sleeps && !r->crowded && !r->watched && !coh_conn_busy(r->conn);
}

static unsigned remote_events(const struct coh_remote *r)
{
	short events = coh_conn_events(r->conn);

	return coh_loop_events(r->reading || remote_direct(r) ? (short)(events & ~POLLIN) : events);
}

/* The engine waits for what the connection says, unless a caller does, and for nothing else. */
static void remote_watch(struct coh_remote *r)
{
	if (r->watch == NULL || remote_events(r) == r->events)
		return;
	coh_engine_loop(); /* may let the lock go: R may have ended meanwhile */
	if (r->watch == NULL)
		return;
	r->events = remote_events(r);
	coh_watch_set(r->watch, r->events);
}

static void remote_push(struct coh_remote *r)
{
	(void)coh_conn_push(r->conn); /* that it failed is found by the next read */
	remote_watch(r);
}

static void remote_cb(unsigned events, void *arg)
{
	struct coh_remote *r = arg;

	coh_engine_lock();
	if (events & COH_LOOP_WRITE)
		(void)coh_conn_push(r->conn);
	if (!r->reading)
		remote_read(r);
	remote_watch(r);
	coh_engine_unlock();
}

/* Deal with what has come while nobody read. */
static void remote_look(struct coh_remote *r)
{
	if (remote_direct(r) && !r->reading && r->failure.code == 0)
		remote_read(r);
}

static cohort_time remote_beat(void *arg, cohort_time now)
{
	struct coh_remote *r = arg;
	cohort_time next = COHORT_FOREVER;

	r->crowded = r->under_way > 1;
	remote_look(r);
	if (r->failure.code == 0 && coh_conn_tick(r->conn, now, &next) == 0)
		remote_push(r);
	else
		remote_ended(r, cohort_conn_error(r->conn));
	return next;
}

/* ---- what goes ---- */

static int remote_send(struct coh_remote *r, struct coh_frame *f, const struct iovec *body, int n)
{
	int rc = r->failure.code;

	if (rc != 0)
		return rc;
	rc = coh_conn_put_frame(r->conn, f, body, n, COHORT_NOW);
	if (rc == -ENOMEM || rc == COHORT_ETOOBIG)
		return rc;
	if (rc != 0)
		coh_fd_shutdown(coh_conn_fd(r->conn), COH_FD_BOTH); /* the next read tells */
	remote_push(r);
	return r->failure.code;
}

/* Sleep in the socket until something comes, and deal with it.  0, or COHORT_ETIMEDOUT: by DEADLINE, or in one nap. */
static int remote_receive(struct coh_remote *r, cohort_time deadline)
{
	unsigned char bytes[DIRECT];
	size_t room = coh_conn_feed_room(r->conn);
	ssize_t got;

	if (room == 0) {
		r->crowded = true; /* by the engine, until the next beat */
		return 0;
	}
	room = room < sizeof bytes ? room : sizeof bytes;
	if (coh_conn_unread(r->conn) != 0)
		room = 0; /* only wait: the rest is read into its place */
	r->reading = true;
	coh_engine_unlock();
	got = coh_conn_socket_recv(r->conn, bytes, room, deadline);
	coh_engine_lock();
	r->reading = false;
	if (r->failure.code == 0 && got != -EAGAIN) {
		if (room != 0)
			coh_conn_feed(r->conn, bytes, got);
		remote_read(r);
	}
	if (r->under_way > 1)
		coh_engine_poke();
	return got == -EAGAIN ? COHORT_ETIMEDOUT : 0;
}

/* One who waits for the reply to CALL. */
struct awaiting {
	const struct coh_remote *remote;
	const struct coh_remote_call *call;
};

static bool left_test(void *arg)
{
	const struct awaiting *a = arg;

	return a->call->done || !a->remote->reading;
}

static bool done_test(void *arg)
{
	const struct awaiting *a = arg;

	return a->call->done || remote_direct(a->remote);
}

/* Read, or let others read, one time: until DEADLINE, or for a nap.  0, or COHORT_ETIMEDOUT: it brought nothing. */
static int remote_turn(struct coh_remote *r, struct coh_remote_call *c, cohort_time deadline, bool nap)
{
	struct awaiting a = {r, c};

	if (!r->reading && remote_direct(r))
		return remote_receive(r, nap ? COHORT_FOREVER : deadline);
	remote_watch(r);
	return coh_engine_wait(
	    r->reading ? left_test : done_test, &a, nap ? cohort_in(COH_CONN_NAP) : deadline);
}

/* Until C is done.  0, or COHORT_ETIMEDOUT. */
static int remote_await(struct coh_remote *r, struct coh_remote_call *c, cohort_time deadline)
{
	while (!c->done)
		if (remote_turn(r, c, deadline, false) != 0 && coh_clock_passed(deadline) && !c->done)
			return COHORT_ETIMEDOUT;
	return 0;
}

/* C has waited for its answer in vain since BEGAN. */
static void remote_silent(struct coh_remote *r, struct coh_remote_call *c, cohort_time began)
{
	char why[200];

	coh_engine_loop(); /* may let the lock go: the answer may come */
	if (c->done)
		return;
	snprintf(why, sizeof why, "no answer %lld ms after the deadline of a call; it may be stopped, or cut off:"
	    " what is opened anew dials again", (long long)((cohort_now() - began) / COHORT_MS));
	remote_end(r, "silent", why);
}

/* The deadline of C has passed: until it is done, for as long as the server gives a sign. */
static void call_await_answer(struct coh_remote *r, struct coh_remote_call *c)
{
	cohort_time began = cohort_now(), before, now = began, quiet = 0;
	size_t unsent = 0, left;
	uint64_t came;

	while (!c->done && quiet < QUIET) {
		came = coh_conn_bytes_came(r->conn);
		before = now;
		(void)remote_turn(r, c, COHORT_FOREVER, true);
		if (c->done)
			return;
		now = cohort_now();
		left = coh_conn_unsent(r->conn); /* while a large item goes there is no sign to be had but this */
		if (coh_conn_bytes_came(r->conn) != came || left < unsent)
			quiet = 0;
		else
			quiet += now - before < COH_CONN_NAP ? now - before : COH_CONN_NAP;
		unsent = left;
	}
	if (!c->done)
		remote_silent(r, c, began);
}

/* Until C is done: until DEADLINE, then for the answer to CANCEL. */
static void call_wait(struct coh_remote *r, struct coh_remote_call *c, cohort_time deadline)
{
	struct coh_frame cancel = {.type = COH_FRAME_CANCEL, .flags = c->request};

	/* One that does not wait is answered at once, and needs no CANCEL. */
	if (deadline == COHORT_NOW || remote_await(r, c, deadline) != 0) {
		if (deadline != COHORT_NOW)
			(void)remote_send(r, &cancel, NULL, 0);
		call_await_answer(r, c);
	}
}

static int call_run(struct coh_remote *r, struct coh_remote_call *c, struct coh_frame *f,
    cohort_time deadline, struct cohort_error *err)
{
	int rc;

	call_enter(r, c);
	f->flags = c->request;
	r->crowded |= r->under_way++ != 0;
	rc = remote_send(r, f, c->body, c->n);
	if (rc == 0)
		call_wait(r, c, deadline);
	else
		call_leave(r, c);
	r->under_way--;
	rc = rc != 0 ? rc : c->code;
	if (rc == COHORT_ECLOSED)
		return coh_fail(err, COHORT_EPEER, "the server at %.150s does not publish it any more",
		    r->link.address);
	if (rc == COHORT_EPEER)
		return coh_fail(err, rc, "%s", r->failure.text);
	return rc;
}

int coh_remote_call(struct coh_remote_handle *h, struct coh_remote_call *c, cohort_time deadline,
    struct cohort_error *err)
{
	struct coh_frame f = {
	    .type = COH_FRAME_CALL, .channel = coh_desk_channel(h->number, c->op, c->param)};
	int rc;

	if (coh_remote_forked(h))
		return coh_fail(err, COHORT_ESTATE,
		    "it was opened before this process was forked: it is the parent's; open it again");
	f.id = deadline == COHORT_FOREVER ? COH_DESK_NO_LIMIT : (uint64_t)coh_remote_left(deadline);
	coh_engine_lock();
	rc = call_run(h->remote, c, &f, deadline, err);
	coh_engine_unlock();
	return rc;
}

/* ---- attaching ---- */

struct attaching {
	struct coh_remote_call call;
	coh_remote_about_fn about;
	void *arg;
	struct cohort_error *err;
	const char *address;
};

static int attach_take(struct coh_remote_call *c, const void *body, size_t size)
{
	const struct attaching *a = c->arg;
	int text = (int)(size < 300 ? size : 300);

	if (c->code == 0)
		return a->about(a->arg, body, size);
	return coh_fail(a->err, c->code, "open %.120s: %.*s", a->address, text, (const char *)body);
}

/* The body of an ATTACH into B: version, kind, name. */
static int opening_put(struct coh_buf *b, const char *kind, const char *name)
{
	size_t k = strlen(kind), n = strlen(name);
	int rc = coh_buf_reserve(b, 4 + k + n);

	if (rc != 0)
		return rc;
	(void)coh_buf_put_u16(b, COH_DESK_VERSION);
	(void)coh_buf_put_u8(b, (uint8_t)k);
	(void)coh_buf_put(b, kind, k);
	(void)coh_buf_put_u8(b, (uint8_t)n);
	return coh_buf_put(b, name, n);
}

/* A number that no handle has.  0: none is left. */
static unsigned number_free(struct coh_remote *r)
{
	struct coh_remote_handle *h;

	for (int tries = 0; tries <= COH_DESK_ATTACHED_MAX; tries++) {
		r->last_number = r->last_number % UINT16_MAX + 1;
		DL_FOREACH(r->handles, h)
			if (h->number == r->last_number)
				break;
		if (h == NULL)
			return r->last_number;
	}
	return 0;
}

static int remote_attach(struct coh_remote *r, struct coh_remote_handle *h,
    const struct coh_remote_opening *o, struct attaching *a, cohort_time deadline)
{
	struct coh_frame f = {.type = COH_FRAME_ATTACH};
	const char *name = strrchr(o->address, '/') + 1;
	struct coh_buf head;
	int rc;

	coh_buf_init(&head, 600);
	rc = opening_put(&head, o->kind, name);
	if (rc == 0) {
		struct iovec body[2] = {{(void *)(uintptr_t)coh_buf_peek(&head), coh_buf_len(&head)},
		    {(void *)(uintptr_t)o->expect, o->expect_size}};

		h->number = number_free(r);
		f.channel = coh_desk_channel(h->number, 0, 0);
		a->call = (struct coh_remote_call){.body = body, .n = 2, .take = attach_take, .arg = a};
		if (h->number == 0)
			rc = coh_fail(a->err, COHORT_EBUSY, "open %.200s: too many handles", o->address);
		else
			rc = call_run(r, &a->call, &f, deadline, a->err);
	}
	coh_buf_fini(&head);
	return rc;
}

int coh_remote_open(struct coh_remote_handle *h, const struct coh_remote_opening *o,
    coh_remote_about_fn about, void *arg, cohort_time deadline, struct cohort_error *err)
{
	struct attaching a = {.about = about, .arg = arg, .err = err, .address = o->address};
	struct coh_remote_link *link;
	int rc = coh_engine_open(err);

	if (rc != 0)
		return rc;
	coh_engine_lock();
	rc = coh_remote_list_get(&link, o->address, o->net, deadline, err);
	if (rc == 0) {
		h->remote = COH_CONTAINER(struct coh_remote, link, link);
		h->generation = coh_remote_generation();
		rc = remote_attach(h->remote, h, o, &a, deadline);
		if (rc != 0)
			coh_remote_list_put(link);
		else
			DL_APPEND(h->remote->handles, h);
	}
	coh_engine_unlock();
	if (rc == 0)
		return 0;
	coh_engine_close();
	return err != NULL && err->code == rc ? rc
					      : coh_fail(err, rc, "open %.200s: %s", o->address,
						    cohort_strerror(rc));
}

void coh_remote_close(struct coh_remote_handle *h)
{
	struct coh_remote *r = h->remote;
	struct coh_frame f = {
	    .type = COH_FRAME_DETACH, .channel = coh_desk_channel(h->number, 0, 0)};

	if (coh_remote_forked(h))
		return;
	coh_engine_lock();
	DL_DELETE(r->handles, h);
	(void)remote_send(r, &f, NULL, 0);
	coh_remote_list_put(&r->link);
	coh_engine_unlock();
	coh_engine_close();
}

void coh_remote_watch(struct coh_remote_handle *h)
{
	struct coh_remote *r = h->remote;

	if (coh_remote_forked(h))
		return;
	coh_engine_lock();
	r->watched = true;
	remote_watch(r);
	coh_engine_unlock();
}

bool coh_remote_forked(const struct coh_remote_handle *h)
{
	return h->generation != coh_remote_generation();
}

/* ---- beginning and end: for remote_list.c ---- */

struct coh_remote_link *coh_remote_new(struct cohort_error *err)
{
	struct coh_remote *r = coh_calloc(sizeof *r);

	if (r == NULL)
		(void)coh_fail(err, -ENOMEM, "no memory for a connection to a server");
	return r != NULL ? &r->link : NULL;
}

int coh_remote_begin(struct coh_remote_link *link, struct cohort_conn *conn)
{
	struct coh_remote *r = COH_CONTAINER(struct coh_remote, link, link);
	struct coh_loop *loop = coh_engine_loop();
	cohort_time next;

	r->conn = conn;
	coh_conn_set_phase(conn, COH_PHASE_SHARED);
	coh_conn_keep_all(conn); /* each caller waits for its own */
	r->sleeps = coh_conn_socket_sleeps(conn);
	r->events = remote_events(r);
	r->watch = coh_watch_new(loop, coh_conn_fd(conn), r->events, remote_cb, r);
	if (r->watch == NULL)
		return -ENOMEM;
	(void)coh_conn_tick(conn, cohort_now(), &next); /* that it has ended is for the first read */
	return next != COHORT_FOREVER ? coh_pulse_add(&r->pulse, remote_beat, r, next) : 0;
}

void coh_remote_look(struct coh_remote_link *link)
{
	remote_look(COH_CONTAINER(struct coh_remote, link, link));
}

void coh_remote_free(struct coh_remote_link *link)
{
	struct coh_remote *r = COH_CONTAINER(struct coh_remote, link, link);

	coh_engine_loop();
	COH_ASSERT(r->handles == NULL);
	coh_watch_free(r->watch);
	coh_pulse_drop(&r->pulse);
	if (r->conn != NULL)
		coh_conn_end(r->conn);
	cohort_conn_close(r->conn);
	coh_free(r);
}
