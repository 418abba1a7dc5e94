/*
 * server.c - a server's life: its listener, what it publishes, its one timer, and the bells of its queues.
 *
 * It runs on the engine: whoever waits does the work.  Watches are made when somebody needs them: a queue's bells only
 * while a call waits for an item, or for room; they ring when processes of this machine put or get by themselves.  A bell that
 * rings while nobody waits is let go of then, not when the last waiter left, so that calls which wait one after the other cost nothing.
 *
 * The timer is for deadlines, and while anything waits for what has no bell: the end of all work (join, close), the items of
 * those who died (looked for ten times a second), and bells that rest.  It is never set back, only forward: one that rings too early
 * costs less than setting it for each call.
 *
 * A server that was stopped (SIGSTOP, a machine that slept) finds calls of clients that gave it up meanwhile.  What they would
 * get would be lost: so whoever wakes after a PAUSE first drops those who have hung up.
 */
#include "node/server_priv.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "conn/listener_priv.h"
#include "os/fd.h"
#include "work/engine.h"
#include "work/queue_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <utlist.h>

#define SERVER_MAGIC 0x5e7e7u
#define TEND (100 * COHORT_MS) /* as those who wait in shared memory: COH_GATE_SLICE */
#define PAUSE (500 * COHORT_MS) /* a client gives us up when a second is over at the soonest (remote.c) */
#define VAIN 3                 /* rings for nothing before a bell rests; one or two may be for what others were quicker to get */
#define ENDS (10 * COHORT_MS)  /* how late a join may hear that the last piece is done */

static struct cohort_server *server_cast(void *arg)
{
	return COH_CAST(struct cohort_server, SERVER_MAGIC, arg);
}

/* ---- after a pause ---- */

static bool hung_up(const struct coh_server_client *c)
{
	return coh_fd_wait(coh_conn_fd(c->conn), POLLRDHUP, COHORT_NOW) > 0;
}

bool coh_server_wake(struct cohort_server *s, const struct coh_server_client *self)
{
	cohort_time now = cohort_now(), before = s->looked;
	struct coh_server_client *c, *tmp;
	bool lives = true;

	s->looked = now;
	if (now - before < PAUSE)
		return true;
	DL_FOREACH(s->clients, c)
		if (!c->full && hung_up(c)) {
			c->gone = c->full = true;
			coh_desk_client_full(c->desk, true);
		}
	DL_FOREACH_SAFE(s->clients, c, tmp)
		if (c->gone) {
			coh_log(COHORT_LOG_INFO, "client %s hung up", cohort_conn_peer(c->conn));
			lives &= c != self;
			coh_server_client_free(c); /* what it held may be handed to others, none of whom is gone */
		}
	return lives;
}

/* ---- bells ---- */

static bool bell_needed(const struct coh_server_queue *q, int which)
{
	size_t n = coh_desk_waiting(q->object,
	    which == COH_RING_ITEMS ? COH_DESK_QUEUE_ITEMS : COH_DESK_QUEUE_ROOM);

	return n != 0 || (which == COH_RING_ITEMS && coh_desk_armed(q->object) != 0);
}

static void bell_drop(struct coh_server_queue *q, int which)
{
	coh_engine_loop();
	coh_watch_free(q->bell[which]);
	q->bell[which] = NULL;
}

/* It brought nobody anything: those who wait cannot take what is there, or there is nothing.  It must not go on ringing. */
static void bell_vain(struct coh_server_queue *q, int which)
{
	if (which == COH_RING_ITEMS)
		coh_ring_quiet(q->self.ring);
	if (coh_fd_wait(q->self.ring->bell[which], POLLIN, COHORT_NOW) == 0)
		q->vain[which] = 0;
	else if (++q->vain[which] == VAIN) {
		q->vain[which] = 0;
		q->resting[which] = true;
		bell_drop(q, which);
	}
}

static void bell_rang(struct coh_server_queue *q, int which)
{
	struct cohort_server *s = q->server;
	size_t before = coh_desk_waiting(q->object, -1) + coh_desk_armed(q->object);

	if (!bell_needed(q, which)) {
		bell_drop(q, which);
		return;
	}
	coh_desk_ring(q->object);
	if (before == coh_desk_waiting(q->object, -1) + coh_desk_armed(q->object))
		bell_vain(q, which);
	else
		q->vain[which] = 0;
	coh_server_settle(s);
}

static void items_cb(unsigned events, void *arg)
{
	struct coh_server_queue *q = arg;

	(void)events;
	coh_engine_lock();
	(void)coh_server_wake(q->server, NULL);
	bell_rang(q, COH_RING_ITEMS);
	coh_engine_unlock();
}

static void room_cb(unsigned events, void *arg)
{
	struct coh_server_queue *q = arg;

	(void)events;
	coh_engine_lock();
	(void)coh_server_wake(q->server, NULL);
	bell_rang(q, COH_RING_ROOM);
	coh_engine_unlock();
}

/* Listen to the bell if somebody waits for it.  Without memory or a descriptor the timer has to do. */
static void bell_keep(struct coh_server_queue *q, int which)
{
	struct coh_loop *loop;

	if (q->bell[which] != NULL || q->resting[which] || !bell_needed(q, which))
		return;
	if (coh_ring_listen(q->self.ring, q->seat, (enum coh_ring_bell)which) != 0) {
		q->resting[which] = true;
		return;
	}
	loop = coh_engine_loop();
	if (q->bell[which] == NULL)
		q->bell[which] = coh_watch_new(loop, q->self.ring->bell[which], COH_LOOP_READ,
		    which == COH_RING_ITEMS ? items_cb : room_cb, q);
}

/* ---- time ---- */

/* When O must be looked at without a bell. */
static cohort_time queue_due(const struct coh_server_queue *q, cohort_time now)
{
	if (coh_desk_waiting(q->object, COH_DESK_QUEUE_END) != 0)
		return now + ENDS;
	return coh_desk_waiting(q->object, -1) != 0 || coh_desk_armed(q->object) != 0 ? now + TEND
										      : COHORT_FOREVER;
}

static void server_arm(struct cohort_server *s)
{
	cohort_time next = coh_desk_next(s->desk), due, now = 0;
	struct coh_server_queue *q;

	DL_FOREACH(s->queues, q) {
		if (coh_desk_waiting(q->object, -1) == 0 && coh_desk_armed(q->object) == 0)
			continue;
		now = now != 0 ? now : cohort_now();
		due = queue_due(q, now);
		next = due < next ? due : next;
	}
	if (next >= s->armed)
		return;
	s->armed = next;
	coh_fd_timer_set(s->timer, next);
}

void coh_server_settle(struct cohort_server *s)
{
	struct coh_server_client *c;
	struct coh_server_queue *q;

	while ((c = s->dirty) != NULL) {
		s->dirty = c->next_dirty;
		c->dirty = false;
		coh_server_client_push(c); /* may serve others, who are dirty then */
	}
	DL_FOREACH(s->queues, q)
		if (coh_desk_waiting(q->object, -1) != 0 || coh_desk_armed(q->object) != 0)
			for (int i = 0; i < COH_RING_BELLS; i++)
				bell_keep(q, i);
	server_arm(s);
}

/* The end of a round in which clients were heard. */
static void settling_cb(unsigned events, void *arg)
{
	(void)events;
	coh_engine_lock();
	coh_server_settle(server_cast(arg));
	coh_engine_unlock();
}

static void timer_cb(unsigned events, void *arg)
{
	struct cohort_server *s = server_cast(arg);
	struct coh_server_queue *q;

	(void)events;
	coh_engine_lock();
	(void)coh_server_wake(s, NULL);
	s->armed = COHORT_FOREVER;
	coh_fd_timer_set(s->timer, COHORT_FOREVER);
	(void)coh_desk_tick(s->desk, cohort_now());
	DL_FOREACH(s->queues, q) {
		memset(q->resting, 0, sizeof q->resting);
		if (coh_desk_waiting(q->object, -1) == 0 && coh_desk_armed(q->object) == 0)
			continue;
		(void)coh_ring_tend(q->self.ring); /* a failure is for a call to tell */
		coh_desk_ring(q->object);
	}
	coh_server_settle(s);
	coh_engine_unlock();
}

/* ---- who comes ---- */

static void listening_cb(unsigned events, void *arg)
{
	struct cohort_server *s = server_cast(arg);
	struct cohort_error err;
	struct cohort_conn *conn;

	(void)events;
	coh_engine_lock();
	while (coh_listener_step(s->listener, &conn, NULL, &err) == 1) {
		coh_log(COHORT_LOG_INFO, "client %s is here", cohort_conn_peer(conn));
		coh_server_client_new(s, conn);
	}
	coh_server_settle(s);
	coh_engine_unlock();
}

/* ---- what is published ---- */

static void queue_remove(struct coh_server_queue *q)
{
	struct cohort_server *s = q->server;

	for (int i = 0; i < COH_RING_BELLS; i++)
		bell_drop(q, i);
	coh_desk_remove(s->desk, q->object);
	(void)coh_ring_leave(q->self.ring, q->seat, COHORT_NOW);
	coh_desk_queue_fini(&q->self);
	DL_DELETE(s->queues, q);
	coh_free(q);
}

static int queue_add(struct cohort_server *s, const char *name, struct coh_ring *ring,
    struct cohort_error *err)
{
	struct coh_server_queue *q = coh_calloc(sizeof *q);
	int rc;

	if (q == NULL)
		return coh_fail(err, -ENOMEM, "no memory to publish %s", name);
	rc = coh_ring_sit(ring);
	if (rc < 0) {
		coh_free(q);
		return coh_fail(err, rc, "publish %s: it cannot be opened once more", name);
	}
	q->seat = (unsigned)rc;
	q->server = s;
	q->self.ring = ring;
	rc = coh_desk_add(s->desk, &q->object, name, &coh_desk_queue_ops, &q->self, err);
	if (rc != 0) {
		(void)coh_ring_leave(ring, q->seat, COHORT_NOW);
		coh_free(q);
		return rc;
	}
	DL_APPEND(s->queues, q);
	return 0;
}

int cohort_server_publish(
    struct cohort_server *s, const char *name, struct cohort_queue *q, struct cohort_error *err)
{
	struct coh_ring *ring = coh_queue_local_ring(q);
	int rc;

	if (ring == NULL)
		return coh_fail(err, COHORT_ENOTSUP,
		    "publish %s: the queue %s is a server's; local queues can be published", name,
		    cohort_queue_address(q));
	coh_engine_lock();
	rc = queue_add(s, name, ring, err);
	coh_engine_unlock();
	return rc;
}

int cohort_server_unpublish(struct cohort_server *s, const char *name, struct cohort_error *err)
{
	struct coh_desk_object *o;
	int rc = 0;

	coh_engine_lock();
	coh_engine_loop();
	o = coh_desk_find(s->desk, name);
	if (o == NULL)
		rc = coh_fail(err, -ENOENT, "unpublish %.100s: nothing is published under it", name);
	else {
		queue_remove(COH_CONTAINER(struct coh_server_queue, self, coh_desk_self(o)));
		coh_server_settle(s);
	}
	coh_engine_unlock();
	return rc;
}

/* ---- beginning and end ---- */

static int server_listen(struct cohort_server *s, const char *address,
    const struct cohort_net_options *options, struct cohort_error *err)
{
	struct cohort_net_options mine =
	    options != NULL ? *options : (struct cohort_net_options){0};

	if (strncmp(address, "python", strlen("python")) == 0)
		return coh_fail(err, COHORT_ENOTSUP,
		    "serve at %.200s: Python's connections know no shared objects of ours", address);
	if (mine.heartbeat == 0)
		mine.heartbeat = COH_PULSE_BEAT;
	return cohort_listen(&s->listener, address, &mine, err);
}

static int server_attend(struct cohort_server *s)
{
	struct coh_loop *loop;

	s->looked = cohort_now();
	s->timer = coh_fd_timer();
	if (s->timer < 0)
		return s->timer;
	s->desk = coh_desk_new(coh_server_client_send, coh_server_client_room);
	if (s->desk == NULL)
		return -ENOMEM;
	coh_engine_lock();
	loop = coh_engine_loop();
	s->ticking = coh_watch_new(loop, s->timer, COH_LOOP_READ, timer_cb, s);
	s->listening = coh_watch_new(
	    loop, cohort_listener_fd(s->listener), COH_LOOP_READ, listening_cb, s);
	s->settling = coh_watch_new(loop, -1, 0, settling_cb, s);
	coh_engine_unlock();
	return s->ticking != NULL && s->listening != NULL && s->settling != NULL ? 0 : -ENOMEM;
}

/* The engine is open, the rest may be. */
static void server_dispose(struct cohort_server *s)
{
	coh_engine_lock();
	coh_engine_loop();
	coh_watch_free(s->listening);
	coh_watch_free(s->ticking);
	coh_watch_free(s->settling);
	while (s->clients != NULL)
		coh_server_client_free(s->clients);
	while (s->queues != NULL)
		queue_remove(s->queues);
	coh_desk_free(s->desk);
	coh_engine_unlock();
	cohort_listener_close(s->listener);
	coh_fd_close(&s->timer);
	coh_engine_close();
	s->magic = 0;
	coh_free(s);
}

int cohort_server_open(struct cohort_server **out, const char *address,
    const struct cohort_net_options *options, struct cohort_error *err)
{
	struct cohort_server *s = coh_calloc(sizeof *s);
	int rc;

	*out = NULL;
	if (s == NULL)
		return coh_fail(err, -ENOMEM, "no memory for a server");
	s->magic = SERVER_MAGIC;
	s->timer = -1;
	s->armed = COHORT_FOREVER;
	rc = coh_engine_open(err);
	if (rc != 0) {
		coh_free(s);
		return rc;
	}
	rc = server_listen(s, address, options, err);
	if (rc == 0 && (rc = server_attend(s)) != 0)
		coh_fail_errno(err, -rc, "serve at %.200s", address);
	if (rc == 0)
		*out = s;
	else
		server_dispose(s);
	return rc;
}

const char *cohort_server_address(const struct cohort_server *s)
{
	return cohort_listener_address(s->listener);
}

int cohort_server_clients(struct cohort_server *s)
{
	int n;

	coh_engine_lock();
	n = s->client_count;
	coh_engine_unlock();
	return n;
}

void cohort_server_close(struct cohort_server *s)
{
	if (s != NULL)
		server_dispose(server_cast(s));
}
