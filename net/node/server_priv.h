/*
 * server_priv.h - the inside of a server: server.c (its life, what is published) and server_client.c (each client).
 *
 * All of it is guarded by the engine lock.
 */
#ifndef COH_NODE_SERVER_PRIV_H
#define COH_NODE_SERVER_PRIV_H

#include "conn/conn_priv.h"
#include "os/loop.h"
#include "sync/ring.h"
#include "work/desk.h"
#include "work/desk_queue.h"
#include "work/pulse.h"

#include <cohort/server.h>

/* A queue under a name. */
struct coh_server_queue {
	struct coh_server_queue *prev, *next;
	struct cohort_server *server;
	struct coh_desk_object *object;
	struct coh_desk_queue self;
	struct coh_watch *bell[COH_RING_BELLS]; /* NULL: nobody waits for it */
	bool resting[COH_RING_BELLS]; /* it rings for nothing: not before the timer */
	int vain[COH_RING_BELLS];     /* how often it did so by now, one time after the other */
	unsigned seat; /* ours, to listen */
};

struct coh_server_client {
	struct coh_server_client *prev, *next;
	struct coh_server_client *next_dirty;
	struct cohort_server *server;
	struct coh_desk_client *desk;
	struct cohort_conn *conn;
	struct coh_watch *watch;
	struct coh_pulse pulse;
	struct coh_server_spare *spare; /* server_client.c's; may be NULL */
	unsigned events;
	bool dirty;  /* something was put that was not pushed */
	bool full;   /* it does not read what it was sent */
	bool gone;   /* it hung up while we did not look */
};

struct cohort_server {
	uint32_t magic;
	struct cohort_listener *listener;
	struct coh_desk *desk;
	struct coh_server_queue *queues;
	struct coh_server_client *clients, *dirty;
	int client_count;
	struct coh_watch *listening, *ticking, *settling;
	int timer;
	cohort_time looked; /* when somebody was last served, or could have been */
	cohort_time armed; /* when TIMER rings at the latest; COHORT_FOREVER: it is not set */
};

/* server.c: something happened: send what was put, wait for what is needed now. */
void coh_server_settle(struct cohort_server *s);

/*
 * server.c: before anything is handed out: drop those who hung up while we did not look, if that was long.  False: SELF is one
 * of them.
 */
bool coh_server_wake(struct cohort_server *s, const struct coh_server_client *self);

/* server_client.c */

/* Serve CONN, which is taken in any case. */
void coh_server_client_new(struct cohort_server *s, struct cohort_conn *conn);
void coh_server_client_free(struct coh_server_client *c);

/* For the desk: coh_desk_send_fn. */
int coh_server_client_send(void *client, struct coh_frame *f, const void *body, size_t size);
int coh_server_client_room(void *client, size_t size); /* coh_desk_room_fn */

/* Send what was put for C. */
void coh_server_client_push(struct coh_server_client *c);

#endif
