/*
 * server_client.c - one client of a server: frames in, to the desk; frames out, as the desk says.
 *
 * All that one read brought is answered in one write, for every client that has an answer by it; and those who were heard in
 * one round of the loop are answered at its end, so that a CPU that sleeps is not woken for each of them.
 *
 * Before an item leaves its queue there is room for its answer (`spare`): what the connection has no memory for waits there, and is
 * tried again with every event and beat; so long the client counts as one that does not read.
 *
 * Failure modes: a frame that breaks the protocol, or the end of the connection: the client is gone, its calls
 * are dropped, what it held goes back.  A connection that cannot send an answer any more, or has no memory for it, is shut, so that the next
 * read finds its end.  A client that does not read: when more than FULL bytes wait for it, it is not heard any more, and nothing is
 * handed out to it, until half of them are gone; its credit and signs of life are heard nevertheless.
 */
#include "node/server_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "work/engine.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define CLIENTS_MAX 1000           /* fewer than the seats of a ring */
#define SPARE_FIRST ((size_t)1 << 10)
#define SPARE_KEEP ((size_t)64 << 10) /* a larger one is given back with each answer */
#define FULL ((size_t)1 << 20)     /* bytes that wait to be sent to a client before it is not heard any more */

/* An answer that waits for memory, or room for one. */
struct coh_server_spare {
	struct coh_frame frame;
	size_t room, size;
	bool waits;
	unsigned char data[];
};

static void client_full(struct coh_server_client *c)
{
	c->full = true;
	coh_desk_client_full(c->desk, true);
}

int coh_server_client_room(void *client, size_t size)
{
	struct coh_server_client *c = client;
	struct coh_server_spare *s = c->spare;

	if (coh_conn_sends_no_more(c->conn))
		return COHORT_EPEER;
	if (s != NULL && s->waits)
		return -ENOMEM;
	if (s != NULL && s->room >= size)
		return 0;
	size = size > SPARE_FIRST ? size : SPARE_FIRST;
	s = coh_alloc(sizeof *s + size);
	if (s == NULL)
		return -ENOMEM;
	coh_free(c->spare);
	*s = (struct coh_server_spare){.room = size};
	c->spare = s;
	return 0;
}

/* The connection has no memory for F and its body: it goes later, if it may.  True: it will. */
static bool send_later(struct coh_server_client *c, const struct coh_frame *f, const void *body, size_t size)
{
	struct coh_server_spare *s = c->spare;

	if (coh_conn_sends_no_more(c->conn) || s == NULL || s->waits || s->room < size)
		return false;
	s->frame = *f;
	s->size = size;
	s->waits = true;
	if (size != 0)
		memcpy(s->data, body, size);
	client_full(c);
	return true;
}

/* What waits for memory.  False: it waits on. */
static bool send_again(struct coh_server_client *c)
{
	struct coh_server_spare *s = c->spare;
	struct iovec iov;
	int rc;

	if (s == NULL || !s->waits)
		return true;
	iov = (struct iovec){s->data, s->size};
	rc = coh_conn_put_frame(c->conn, &s->frame, &iov, s->size != 0, COHORT_NOW);
	s->waits = rc == -ENOMEM && !coh_conn_sends_no_more(c->conn);
	return !s->waits;
}

int coh_server_client_send(void *client, struct coh_frame *f, const void *body, size_t size)
{
	struct coh_server_client *c = client;
	struct iovec iov = {(void *)(uintptr_t)body, size};
	int rc = coh_conn_put_frame(c->conn, f, &iov, size != 0, COHORT_NOW);

	if (!c->dirty) {
		c->dirty = true;
		c->next_dirty = c->server->dirty;
		c->server->dirty = c;
	}
	if (rc == -ENOMEM && send_later(c, f, body, size))
		return 0;
	if (c->spare != NULL && !c->spare->waits && c->spare->room > SPARE_KEEP) {
		coh_free(c->spare);
		c->spare = NULL;
	}
	if (rc != 0) /* its call would wait for ever; the next read tells */
		coh_fd_shutdown(coh_conn_fd(c->conn), COH_FD_BOTH);
	if (rc == -ENOMEM)
		return rc;
	if (!c->full && coh_conn_pending(c->conn) > FULL)
		client_full(c);
	return 0;
}

static void client_watch(struct coh_server_client *c)
{
	unsigned events = coh_loop_events(coh_conn_events(c->conn));

	if (events == c->events)
		return;
	coh_engine_loop(); /* C cannot end meanwhile: that needs a call of its own, or the right to the loop */
	c->events = events;
	coh_watch_set(c->watch, events);
}


/* Frames to the desk, while there are any and it takes its answers.  0; or C has ended. */
static int client_read(struct coh_server_client *c)
{
	struct cohort_error err;
	cohort_time now = cohort_now();
	const void *body;
	struct coh_frame f;
	int rc;

	while (!c->full) {
		rc = coh_conn_next_frame(c->conn, &f, &body, COHORT_NOW);
		if (rc == COHORT_ETIMEDOUT || rc == -ENOMEM)
			return 0;
		if (rc != 0) {
			coh_log(COHORT_LOG_INFO, "client %s: %s", cohort_conn_peer(c->conn),
			    cohort_conn_error(c->conn));
			return rc;
		}
		if (f.type != COH_FRAME_PONG)
			rc = coh_desk_frame(c->desk, &f, body, now, &err);
		if (rc != 0) {
			coh_log(COHORT_LOG_WARN, "client %s is cut off: %s",
			    cohort_conn_peer(c->conn), err.text);
			return rc;
		}
		if (!coh_conn_has_frame(c->conn))
			break;
	}
	return coh_conn_failure(c->conn);
}

void coh_server_client_push(struct coh_server_client *c)
{
	bool again = false, all = send_again(c);

	(void)coh_conn_push(c->conn); /* that it failed is found by the next read */
	if (c->full && all && coh_conn_pending(c->conn) <= FULL / 2) {
		c->full = false;
		coh_desk_client_full(c->desk, false);
		again = coh_conn_has_frame(c->conn);
	}
	client_watch(c);
	if (again && client_read(c) != 0)
		coh_server_client_free(c);
}

static void client_heard(struct coh_server_client *c)
{
	struct cohort_server *s = c->server;

	if (!coh_server_wake(s, c))
		return;
	if (!c->full) {
		if (client_read(c) != 0)
			coh_server_client_free(c);
		return;
	}
	(void)coh_conn_hear(c->conn); /* its credit */
	if (coh_conn_failure(c->conn) != 0)
		coh_server_client_free(c);
	else
		coh_server_client_push(c);
}

static void client_cb(unsigned events, void *arg)
{
	struct coh_server_client *c = arg;
	struct cohort_server *s = c->server;

	(void)events; /* a transport may need room to read, or bytes to write */
	coh_engine_lock();
	client_heard(c);
	coh_watch_fire(s->settling);
	coh_engine_unlock();
}

static cohort_time client_beat(void *arg, cohort_time now)
{
	struct coh_server_client *c = arg;
	struct cohort_server *s = c->server;
	cohort_time next;

	if (coh_conn_tick(c->conn, now, &next) == 0) {
		coh_server_client_push(c);
		return next;
	}
	coh_log(COHORT_LOG_WARN, "client %s: %s", cohort_conn_peer(c->conn), cohort_conn_error(c->conn));
	coh_server_client_free(c);
	coh_server_settle(s);
	return COHORT_FOREVER;
}

/* Have C called when there is something to do.  0 or -errno. */
static int client_attend(struct coh_server_client *c)
{
	struct coh_loop *loop = coh_engine_loop();
	cohort_time next;

	c->events = coh_loop_events(coh_conn_events(c->conn));
	c->watch = coh_watch_new(loop, coh_conn_fd(c->conn), c->events, client_cb, c);
	if (c->watch == NULL)
		return -ENOMEM;
	(void)coh_conn_tick(c->conn, cohort_now(), &next); /* that it has ended is for the first read */
	return next != COHORT_FOREVER ? coh_pulse_add(&c->pulse, client_beat, c, next) : 0;
}

void coh_server_client_free(struct coh_server_client *c)
{
	struct cohort_server *s = c->server;
	struct coh_server_client **at;

	coh_engine_loop();
	coh_watch_free(c->watch);
	coh_pulse_drop(&c->pulse);
	if (c->desk != NULL)
		coh_desk_client_free(c->desk);
	for (at = &s->dirty; c->dirty && *at != NULL; at = &(*at)->next_dirty)
		if (*at == c) {
			*at = c->next_dirty;
			break;
		}
	DL_DELETE(s->clients, c);
	s->client_count--;
	cohort_conn_close(c->conn);
	coh_free(c->spare);
	coh_free(c);
}

void coh_server_client_new(struct cohort_server *s, struct cohort_conn *conn)
{
	struct coh_server_client *c =
	    s->client_count < CLIENTS_MAX ? coh_calloc(sizeof *c) : NULL;
	int rc = c != NULL ? 0 : s->client_count < CLIENTS_MAX ? -ENOMEM : COHORT_EBUSY;

	if (rc != 0) {
		coh_log(COHORT_LOG_ERROR, "client %s cannot be served: %s", cohort_conn_peer(conn),
		    cohort_strerror(rc));
		cohort_conn_close(conn);
		return;
	}
	c->server = s;
	c->conn = conn;
	DL_APPEND(s->clients, c);
	s->client_count++;
	coh_conn_set_phase(conn, COH_PHASE_SHARED);
	coh_conn_keep_all(conn); /* FULL bounds what it has waiting */
	c->desk = coh_desk_client_new(s->desk, c);
	rc = c->desk != NULL ? client_attend(c) : -ENOMEM;
	if (rc != 0)
		coh_log(COHORT_LOG_ERROR, "client %s cannot be served: %s", cohort_conn_peer(conn),
		    cohort_strerror(rc));
	if (rc != 0 || (coh_conn_has_frame(conn) && client_read(c) != 0)) /* with the end of the handshake */
		coh_server_client_free(c);
}
